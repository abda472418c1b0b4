"""What a bridge is made of, added up in total and by group.

Law: sums are exact, by currency, and the same in whatever order and in however large parts they
come in. `opening + steps = closing` holds of amounts and of numbers of deals, since it holds of
every change (`projections.fold.steps`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from projections.fold.steps import Change, Measure, Step, StepKind, steps
from projections.forecast import Directory, person_dimension
from projections.tally import GroupKey

DIMENSIONS = ("owner", "manager", "team", "category", "currency")
"""What a bridge can be grouped by: what its accounts are made of."""

_ZERO = Decimal(0)


class Account(NamedTuple):
    """An account of the journal, in one period and measure."""

    owner: str | None
    currency: str | None
    category: str | None


@dataclass(slots=True)
class Line:
    """A balance or a step: exact sums by currency.

    Args:
        amounts: signed, by currency.
        deals: how many deals; of a step how many came in, less those that left.
        changes: how many changes of deals a step is made of.
        restated: how many of them are restatements.
    """

    amounts: dict[str, Decimal] = field(default_factory=dict)
    deals: int = 0
    changes: int = 0
    restated: int = 0

    def add(self, currency: str | None, amount: Decimal, deals: int) -> None:
        """Add an amount in an account; without a currency there is none."""
        self.deals += deals
        if currency is not None:
            self.amounts[currency] = self.amounts.get(currency, _ZERO) + amount


@dataclass(slots=True)
class Lines:
    """The lines of one group, or of all."""

    opening: Line = field(default_factory=Line)
    steps: dict[StepKind, Line] = field(default_factory=dict)

    def step(self, kind: StepKind) -> Line:
        """The line of a step."""
        line = self.steps.get(kind)
        if line is None:
            line = self.steps[kind] = Line()
        return line


class Balances:
    """Adds up openings and changes.

    Args:
        measure: of the changes.
        group_by: dimensions, each of `DIMENSIONS`.
        directory: says who manages an owner, and in which team.
    """

    def __init__(self, measure: Measure, group_by: tuple[str, ...], directory: Directory) -> None:
        self.total = Lines()
        self.groups: dict[GroupKey, Lines] = {}
        self._measure = measure
        self._group_by = group_by
        self._directory = directory
        self._lines: dict[Account, tuple[Lines, ...]] = {}

    def open(self, account: Account, amount: Decimal, deals: int) -> None:
        """Add to the opening."""
        for lines in self._of(account):
            lines.opening.add(account.currency, amount, deals)

    def take(self, change: Change, times: int = 1, *, restated: bool = False) -> None:
        """Add the steps of changes that are alike.

        Args:
            change: with the sums of their amounts.
            times: how many.
            restated: whether they are restatements.
        """
        counted: set[tuple[int, StepKind]] = set()
        for step in steps(change, self._measure):
            for lines in self._of(Account(step.owner, step.currency, step.category)):
                line = lines.step(step.kind)
                line.add(step.currency, step.amount, step.deals * times)
                if (id(lines), step.kind) not in counted:
                    counted.add((id(lines), step.kind))
                    line.changes += times
                    line.restated += times if restated else 0

    def add_step(self, step: Step, times: int) -> None:
        """Add a step that is all there is of some changes, with the sum of their amounts."""
        for lines in self._of(Account(step.owner, step.currency, step.category)):
            line = lines.step(step.kind)
            line.add(step.currency, step.amount, step.deals * times)
            line.changes += times

    def _of(self, account: Account) -> tuple[Lines, ...]:
        found = self._lines.get(account)
        if found is None:
            found = (self.total,)
            if self._group_by:
                key = tuple(value_of(account, each, self._directory) for each in self._group_by)
                found = self.total, self.groups.setdefault(key, Lines())
            self._lines[account] = found
        return found


def value_of(account: Account, dimension: str, directory: Directory) -> str | None:
    """An account's value in one of `DIMENSIONS`."""
    match dimension:
        case "owner":
            return account.owner
        case "currency":
            return account.currency
        case "category":
            return account.category
        case _:
            return person_dimension(account.owner, dimension, directory)
