"""Sums along points of time: what changed at each point, added up to what holds there.

Law: at a point a line says what a cell of the forecast says there: amounts added exactly in their
own currency, converted at the point's rates and rounded once, half-even. A line is worked out only
where something changed, or where rates did; in between it says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from itertools import pairwise
from typing import Any

from ledger.domain.money import conversion_rate, format_amount, minor_units
from projections.along import Point
from projections.fold.settings import LedgerSettings
from projections.forecast import CATEGORIES, DEAL_MEASURES, MEASURES
from projections.tally import Cell, CellKey

_ZERO = Decimal(0)


class Lines:
    """Lines over some points.

    Args:
        points: in order.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self._steps: dict[CellKey, dict[int, list[tuple[str | None, Decimal, int]]]] = {}
        self._turns = [0] + [
            index
            for index, (before, after) in enumerate(pairwise(points), 1)
            if before.settings is not after.settings
        ]
        self._rates: dict[tuple[int, str], Decimal | None] = {}
        self._unconverted: list[set[str]] = [set() for _ in points]

    @property
    def length(self) -> int:
        """How many points there are."""
        return len(self._points)

    def add(
        self, key: CellKey, point: int, currency: str | None, amount: Decimal, deals: int
    ) -> None:
        """From a point on there is more, or less, in a cell."""
        at = self._steps.setdefault(key, {})
        step = currency, amount, deals
        if point in at:
            at[point].append(step)
        else:
            at[point] = [step]

    def change(
        self, point: int, before: Mapping[CellKey, Cell], after: Mapping[CellKey, Cell]
    ) -> None:
        """From a point on these are the cells, where those were."""
        for cells, sign in ((before, -1), (after, 1)):
            for key, cell in cells.items():
                is_there = cell.deals if key[1] in DEAL_MEASURES else 1
                self.add(key, point, None, _ZERO, sign * is_there)
                for currency, amount in cell.amounts.items():
                    self.add(key, point, currency, sign * amount, 0)

    def as_dicts(self, group_by: tuple[str, ...]) -> list[dict[str, Any]]:
        """The lines in the order of groups, measures and categories; empty ones are left out."""
        found = []
        for key in sorted(self._steps, key=_order):
            group, measure, category = key
            amounts, deals = self._worked_out(self._steps[key])
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

    def _worked_out(
        self, steps: Mapping[int, list[tuple[str | None, Decimal, int]]]
    ) -> tuple[list[str], list[int]]:
        """The amount and the number of deals at each point."""
        amounts: list[str] = []
        deals: list[int] = []
        held: dict[str, Decimal] = {}
        count = 0
        for point, following in pairwise([*sorted({*steps, *self._turns}), len(self._points)]):
            for currency, amount, more in steps.get(point, ()):
                count += more
                if currency is not None:
                    held[currency] = held.get(currency, _ZERO) + amount
            amounts += [self._converted(held, point, following)] * (following - point)
            deals += [count] * (following - point)
        return amounts, deals

    def _converted(self, held: Mapping[str, Decimal], point: int, following: int) -> str:
        """Amounts in the reporting currency of a point, which is that of those up to another."""
        settings = self._points[point].settings
        to = settings.reporting_currency
        total = _ZERO
        for currency in sorted(held):  # inexact rates add alike in one order
            amount = held[currency]
            if not amount:
                continue
            rate = self._rate(settings, currency)
            if rate is not None:
                total += amount * rate
            else:
                for each in self._unconverted[point:following]:
                    each.add(currency)
        if to is None:
            return format_amount(_ZERO)
        return format_amount(total.quantize(_quantum(to), rounding=ROUND_HALF_EVEN))

    def _rate(self, settings: LedgerSettings, currency: str) -> Decimal | None:
        key = id(settings), currency
        if key not in self._rates:
            to = settings.reporting_currency
            self._rates[key] = None if to is None else conversion_rate(currency, to, settings.rates)
        return self._rates[key]


@cache
def _quantum(currency: str) -> Decimal:
    return Decimal(1).scaleb(-minor_units(currency))


def _order(key: CellKey) -> tuple[object, ...]:
    """Groups with missing values last, measures and categories in the order of forecasts."""
    group, measure, category = key
    named = tuple((part is None, part or "") for part in group)
    return named, MEASURES.index(measure), CATEGORIES.index(category)
