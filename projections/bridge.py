"""The bridge: how the amount of a period moved from one basis to another.

Law: `opening + steps = closing`, exactly, in every group, in every currency, and in the reporting
currency. The steps are those of the changes on the deals' paths (`projections.paths`), each taken
apart by one law (`projections.fold.steps`); so a deal that slipped and came back shows both. The
opening is at the rates of the first basis, all else at those of the second: what the rates alone
did to the opening is the revaluation, a part of the step `currency`.

Every balance on the way is rounded once, half-even, and a step is the difference between the
balances before and after it, in the order of the steps: so what is read adds up to the cent. People
are those of the second basis: a manager's bridge has the same people at both ends. Every step opens
into its deals and their events (`projections.opened`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ledger.domain.errors import InvalidInput
from ledger.domain.money import Rates, conversion_rate, format_amount, round_to_minor_unit
from projections.balances import DIMENSIONS, Balances, Line, Lines
from projections.book import Book
from projections.fold.steps import Measure, StepKind
from projections.forecast import BY_PERSON, GROUPS_MAX, Directory, check_group_by
from projections.movements import Between, add_up

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bridge:
    """The answer. Amounts are exact; they are rounded when written."""

    between: Between
    measure: Measure
    group_by: tuple[str, ...]
    balances: Balances

    @property
    def opening(self) -> Book:
        """The book at the first basis."""
        return self.between.opening

    @property
    def closing(self) -> Book:
        """The book at the second basis."""
        return self.between.closing

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON: every step of the whole, and of each group those that occurred.

        Raises:
            InvalidInput: `too-many-groups`.
        """
        groups = self.balances.groups
        if len(groups) > GROUPS_MAX:
            raise InvalidInput(
                "too-many-groups",
                f"that is {len(groups)} groups; the limit is {GROUPS_MAX}",
                hint="group by fewer dimensions",
            )
        ordered = sorted(groups, key=lambda key: tuple((part is None, part or "") for part in key))
        return {
            "from": self.opening.basis.as_dict(),
            "to": self.closing.basis.as_dict(),
            "period": {
                "name": self.between.period.name,
                "first_day": self.between.period.first_day.isoformat(),
                "last_day": self.between.period.last_day.isoformat(),
            },
            "measure": str(self.measure),
            "currency": self.between.reporting_currency,
            "group_by": list(self.group_by),
            **self._written(self.balances.total, whole=True),
            "groups": [
                {
                    "key": dict(zip(self.group_by, key, strict=True)),
                    **self._written(groups[key], whole=False),
                }
                for key in ordered
            ],
            "unconverted": self._unconverted(),
        }

    def _written(self, lines: Lines, *, whole: bool) -> dict[str, Any]:
        """The balances and the steps between them.

        Args:
            whole: with the steps that did not occur.
        """
        currency = self.between.reporting_currency
        balance = _Balance(currency, self.closing.settings.rates, lines.opening)
        opened = converted_sum(
            lines.opening.amounts, currency, self.opening.settings.rates
        )  # at the first basis
        revaluation = balance.amount - opened
        opening = _line(opened, balance.by_currency, lines.opening.deals)
        deals = lines.opening.deals
        written = []
        for kind in StepKind:
            line = lines.steps.get(kind)
            moved = line is not None or (kind is StepKind.CURRENCY and revaluation != 0)
            if not whole and not moved:
                continue
            line = line or Line()
            deals += line.deals
            amount, by_currency = balance.move(line)
            if kind is StepKind.CURRENCY:
                amount += revaluation
            written.append(
                {
                    "step": str(kind),
                    **_line(amount, by_currency, line.deals),
                    "changes": line.changes,
                    "restated": line.restated,
                }
            )
        return {
            "opening": opening,
            "steps": written,
            "revaluation": format_amount(revaluation),
            "closing": _line(balance.amount, balance.by_currency, deals),
        }

    def _unconverted(self) -> list[str]:
        """The currencies that are missing from the sums for want of a rate at the second basis."""
        total = self.balances.total
        seen = {
            currency
            for line in (total.opening, *total.steps.values())
            for currency, amount in line.amounts.items()
            if amount
        }
        to, rates = self.between.reporting_currency, self.closing.settings.rates
        return sorted(
            each for each in seen if to is None or conversion_rate(each, to, rates) is None
        )


class _Balance:
    """A running balance, rounded once wherever it is read."""

    def __init__(self, currency: str | None, rates: Rates, opening: Line) -> None:
        self._currency = currency
        self._rates = rates
        self._exact = dict(opening.amounts)
        self.amount = converted_sum(self._exact, currency, rates)
        self.by_currency = _rounded(self._exact)

    def move(self, line: Line) -> tuple[Decimal, dict[str, Decimal]]:
        """Add a step, and tell by how much the written balances changed."""
        if not line.amounts:
            return self.amount - self.amount, {}
        for currency, amount in line.amounts.items():
            self._exact[currency] = self._exact.get(currency, _ZERO) + amount
        amount, by_currency = self.amount, self.by_currency
        self.amount = converted_sum(self._exact, self._currency, self._rates)
        self.by_currency = _rounded(self._exact)
        return self.amount - amount, {
            currency: self.by_currency[currency] - by_currency.get(currency, _ZERO)
            for currency in line.amounts
        }


def converted_sum(amounts: Mapping[str, Decimal], to: str | None, rates: Rates) -> Decimal:
    """A sum in the reporting currency, rounded once; what has no rate stays out."""
    if to is None:
        return _ZERO
    total = _ZERO
    for currency, amount in sorted(amounts.items()):  # inexact rates add alike in one order
        rate = conversion_rate(currency, to, rates)
        if rate is not None:
            total += amount * rate
    return round_to_minor_unit(total, to)


def _rounded(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {currency: round_to_minor_unit(amount, currency) for currency, amount in amounts.items()}


def _line(amount: Decimal, by_currency: Mapping[str, Decimal], deals: int) -> dict[str, Any]:
    return {
        "amount": format_amount(amount),
        "by_currency": {
            currency: format_amount(by_currency[currency]) for currency in sorted(by_currency)
        },
        "deals": deals,
    }


def check_bridge(
    measure: str, group_by: Iterable[str], where: str = "group_by"
) -> tuple[Measure, tuple[str, ...]]:
    """The measure and the dimensions of a bridge, each once.

    Args:
        measure: as asked.
        group_by: likewise.
        where: what asks by these dimensions.

    Raises:
        InvalidInput: `invalid-measure`, `invalid-dimension`, `too-many-dimensions`.
    """
    if measure not in tuple(Measure):
        raise InvalidInput(
            "invalid-measure",
            f"there is no bridge of {measure!r}",
            where="measure",
            hint=f"it is one of {', '.join(Measure)}",
        )
    dimensions = check_group_by(group_by)
    for dimension in dimensions:
        if dimension not in DIMENSIONS:
            raise InvalidInput(
                "invalid-dimension",
                f"a bridge is not grouped by {dimension!r}",
                where=where,
                hint=f"group by {', '.join(DIMENSIONS)}",
            )
    return Measure(measure), dimensions


def directory_for(between: Between, dimensions: Iterable[str]) -> Directory:
    """Who is in which group: as it is at the second basis, where a dimension needs it."""
    by_person = not BY_PERSON.isdisjoint(dimensions)
    return Directory(between.closing.people) if by_person else Directory()


def bridge(
    between: Between, measure: str = Measure.CLAIMED, group_by: tuple[str, ...] = ()
) -> Bridge:
    """Lead from the amount of a period at one basis to that at another.

    Args:
        between: the two books, and the fiscal period.
        measure: claimed, evidenced, weighted or closed.
        group_by: owner, manager, team, category or currency.

    Raises:
        InvalidInput: `invalid-measure`, `invalid-dimension`, `too-many-dimensions`.
    """
    asked, dimensions = check_bridge(measure, group_by)
    balances = Balances(asked, dimensions, directory_for(between, dimensions))
    add_up(balances, between, asked, by_category="category" in dimensions)
    return Bridge(between, asked, dimensions, balances)
