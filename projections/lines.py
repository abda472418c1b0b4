"""Sums along points of time: what changed at each point, added up to what holds there.

Law: at a point a line says what a cell of the forecast says there: amounts added exactly in their
own currency, converted at the point's rates and rounded once, half-even. All of it is done in whole
numbers: amounts are units of their last decimal, rates units of the last decimal of any of them. A
line is worked out only where something changed, or where rates did; in between it says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from ledger.domain.money import conversion_rate
from projections.along import Point
from projections.fold.accounts import DECIMALS
from projections.fold.converted import decimals_of, telling, whole
from projections.fold.settings import LedgerSettings
from projections.fold.sums import Increments, told_along
from projections.forecast import CATEGORIES, DEAL_MEASURES, MEASURES
from projections.tally import Cell, CellKey

_Parts: TypeAlias = dict[str | None, Increments]
"""By currency; None for deals without an amount."""


class _Exact(NamedTuple):
    """An amount that came into a cell at a point, with all its decimals."""

    currency: str
    point: int
    amount: Decimal


class _Era(NamedTuple):
    """Neighbouring points with the same settings.

    Args:
        start: the first of them.
        end: the one after them.
        currency: in which all is told.
        factors: by currency, its rate as a whole number; 0 where there is none.
    """

    start: int
    end: int
    currency: str | None
    factors: dict[str, int]


class Lines:
    """Lines over some points.

    Args:
        points: in order.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self._parts: dict[CellKey, _Parts] = {}
        self._exact: dict[CellKey, list[_Exact]] = {}
        self._unconverted: list[set[str]] = [set() for _ in points]

    @property
    def length(self) -> int:
        """How many points there are."""
        return len(self._points)

    def add(
        self,
        key: CellKey,
        currency: str | None,
        points: Sequence[int],
        amounts: Sequence[int],
        deals: Sequence[int],
    ) -> None:
        """From some points on there is more, or less, in a cell.

        Args:
            key: of the cell.
            currency: of the amounts; None for deals without one.
            points: their indexes, in any order.
            amounts: at each of them: whole numbers as in `projections.fold.accounts`.
            deals: likewise.
        """
        _part(self._parts.setdefault(key, {}), currency).add(points, amounts, deals)

    def change(
        self, point: int, before: Mapping[CellKey, Cell], after: Mapping[CellKey, Cell]
    ) -> None:
        """From a point on these are the cells, where those were."""
        for cells, sign in ((before, -1), (after, 1)):
            for key, cell in cells.items():
                is_there = cell.deals if key[1] in DEAL_MEASURES else 1
                self.add(key, None, [point], [0], [sign * is_there])
                self._exact.setdefault(key, []).extend(
                    _Exact(currency, point, sign * amount)
                    for currency, amount in cell.amounts.items()
                )

    def as_dicts(self, group_by: tuple[str, ...]) -> list[dict[str, Any]]:
        """The lines in the order of groups, measures and categories; empty ones are left out."""
        decimals, eras = self._eras()
        found = []
        for key in sorted(self._parts, key=_order):
            group, measure, category = key
            more, parts = _refined(self._parts[key], self._exact.get(key, []))
            self._note_unconverted(parts, eras)
            amounts, deals = _told(parts, eras, DECIMALS + more + decimals)
            if any(deals):
                found.append({
                    "key": dict(zip(group_by, group, strict=True)),
                    "measure": measure,
                    "category": category,
                    "amounts": amounts,
                    "deals": deals if measure in DEAL_MEASURES else None,
                })  # fmt: skip
        return found

    def unconverted(self, point: int) -> list[str]:
        """The currencies of which something is in no amount of a point for want of a rate."""
        return sorted(self._unconverted[point])

    def _eras(self) -> tuple[int, list[_Era]]:
        """How many decimals rates have as whole numbers, and the points by their rates."""
        currencies = {
            *(currency for parts in self._parts.values() for currency in parts if currency),
            *(each.currency for cells in self._exact.values() for each in cells),
        }
        decimals = 0
        spans: list[tuple[int, str | None, dict[str, Decimal]]] = []
        settings = None
        for index, point in enumerate(self._points):
            if point.settings is settings:
                continue
            settings = point.settings
            rates = _rates(settings, currencies)
            decimals = max([decimals, *map(decimals_of, rates.values())])
            if not spans or spans[-1][1:] != (settings.reporting_currency, rates):
                spans.append((index, settings.reporting_currency, rates))
        ends = [*(start for start, _currency, _rates in spans[1:]), self.length]
        return decimals, [
            _Era(
                start,
                end,
                currency,
                {each: whole(rates[each], decimals) if each in rates else 0 for each in currencies},
            )
            for (start, currency, rates), end in zip(spans, ends, strict=True)
        ]

    def _note_unconverted(self, parts: _Parts, eras: Sequence[_Era]) -> None:
        """Keep of which currencies something is in no amount."""
        for currency, part in parts.items():
            without = [era for era in eras if currency and not era.factors[currency]]
            if currency is None or not without:
                continue
            moved = [0] * self.length
            for point, amount in zip(part.points, part.amounts, strict=True):
                moved[point] += amount
            held = list(accumulate(moved))
            for era in without:
                for point in range(era.start, era.end):
                    if held[point]:
                        self._unconverted[point].add(currency)


def _part(parts: _Parts, currency: str | None) -> Increments:
    """The part in a currency."""
    part = parts.get(currency)
    if part is None:
        part = parts[currency] = Increments.none()
    return part


def _refined(parts: _Parts, exact: Sequence[_Exact]) -> tuple[int, _Parts]:
    """The parts with amounts that may have more decimals: how many more, and all with them."""
    if not exact:
        return 0, parts
    more = max(0, *[decimals_of(each.amount) - DECIMALS for each in exact])
    refined: _Parts = {
        currency: Increments(points.copy(), [each * 10**more for each in amounts], deals.copy())
        for currency, (points, amounts, deals) in parts.items()
    }
    for currency, point, amount in exact:
        _part(refined, currency).add([point], [whole(amount, DECIMALS + more)], [0])
    return more, refined


def _told(parts: _Parts, eras: Sequence[_Era], decimals: int) -> tuple[list[str], list[int]]:
    """The amount and the number of deals at each point.

    Args:
        parts: of the line.
        eras: in order.
        decimals: of amounts by rates.
    """
    return told_along(
        [
            (*part, [] if currency is None else [era.factors[currency] for era in eras])
            for currency, part in parts.items()
        ],
        [(era.start, era.end, *telling(era.currency, decimals)) for era in eras],
    )


def _rates(settings: LedgerSettings, currencies: Iterable[str]) -> dict[str, Decimal]:
    """By currency, the rates that there are."""
    to = settings.reporting_currency
    found = ((each, to and conversion_rate(each, to, settings.rates)) for each in currencies)
    return {each: rate for each, rate in found if isinstance(rate, Decimal)}


def _order(key: CellKey) -> tuple[object, ...]:
    """Groups with missing values last, measures and categories in the order of forecasts."""
    group, measure, category = key
    named = tuple((part is None, part or "") for part in group)
    return named, MEASURES.index(measure), CATEGORIES.index(category)
