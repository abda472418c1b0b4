"""Exact sums over deals: by group, measure, category and currency.

Law: a tally over parts of the book is the same in whatever parts they come, and in whatever order.
Sums that come from the journal stay rows of whole numbers (`projections.fold.accounts`), one for
each group and currency, until a single cell is looked at: most questions add up or tell whole rows.
A measure is in rows or in cells, never in both. A cell in which no deal is left is no cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from ledger.domain.money import Money
from projections.fold.accounts import LINES, Row, accounts_in, add_row

GroupKey: TypeAlias = tuple[str | None, ...]
CellKey: TypeAlias = tuple[GroupKey, str, str]
"""(group, measure, category)"""
CellPlace: TypeAlias = tuple[str, str]
"""(measure, category): where a cell stands within its group."""
_IN_ROWS = frozenset(measure for measure, _category in LINES)

Rows: TypeAlias = dict[GroupKey, dict[str | None, Row]]
"""By group and currency; without a currency there are deals and no amounts."""


@dataclass(slots=True)
class Cell:
    """Exact sums by currency, and how many deals they rest on."""

    amounts: dict[str, Decimal] = field(default_factory=dict)
    deals: int = 0

    def add(self, amount: Money | None, deals: int) -> None:
        self.deals += deals
        if amount is not None:
            self.amounts[amount.currency] = self.amounts.get(amount.currency, 0) + amount.amount

    def merge(self, other: Cell) -> None:
        self.deals += other.deals
        for currency, amount in other.amounts.items():
            self.amounts[currency] = self.amounts.get(currency, Decimal(0)) + amount


@dataclass(slots=True)
class Tally:
    """Sums over a part of the book.

    Args:
        rows: those from the journal, which have not become cells yet.
        without_amount: deals that count with no amount.
        without_close_date: deals that count in no period.
        deals: how many deals were looked at.
    """

    rows: Rows = field(default_factory=dict)
    without_amount: list[str] = field(default_factory=list)
    without_close_date: list[str] = field(default_factory=list)
    deals: int = 0
    _cells: dict[CellKey, Cell] = field(default_factory=dict)

    @property
    def cells(self) -> dict[CellKey, Cell]:
        """All sums as cells; worked out anew where there are rows."""
        if not self.rows:
            return self._cells
        by_group = self.by_group(self.groups())
        return {
            (group, *place): cell
            for group, cells in by_group.items()
            for place, cell in cells.items()
        }

    @property
    def other_cells(self) -> dict[CellKey, Cell]:
        """The sums that are not in rows, as cells."""
        return self._cells

    def cell(self, group: GroupKey, place: CellPlace) -> Cell:
        """A copy of a cell; an empty one where nothing is."""
        found = Cell()
        of_rows = _cells_in(self.rows.get(group, {})).get(place)
        for each in (of_rows, self._cells.get((group, *place))):
            if each is not None:
                found.merge(each)
        return found

    def by_group(self, groups: Iterable[GroupKey]) -> dict[GroupKey, dict[CellPlace, Cell]]:
        """The cells of some groups, in which all sums are, by group.

        Args:
            groups: in the order wanted.
        """
        found = {group: _cells_in(self.rows.get(group, {})) for group in groups}
        for (group, measure, category), cell in self._cells.items():
            found[group].setdefault((measure, category), Cell()).merge(cell)
        return found

    def groups(self) -> set[GroupKey]:
        """The groups in which anything is."""
        return self.rows.keys() | {key[0] for key in self._cells}

    def currencies(self) -> set[str]:
        """The currencies of all amounts."""
        found = {each for by_currency in self.rows.values() for each in by_currency if each}
        return found.union(*(cell.amounts for cell in self._cells.values()))

    def totals(self) -> dict[CellPlace, Cell]:
        """The cells over all groups, in the order of measures and categories by name."""
        rows: dict[str | None, Row] = {}
        for by_currency in self.rows.values():
            for currency, row in by_currency.items():
                add_row(rows, currency, row)
        found = _cells_in(rows)
        for (_group, measure, category), cell in self._cells.items():
            found.setdefault((measure, category), Cell()).merge(cell)
        return dict(sorted(found.items()))

    def add(self, key: CellKey, amount: Money | None, deals: int = 1) -> None:
        """Add to a cell."""
        self._cell(key).add(amount, deals)

    def add_row(self, group: GroupKey, currency: str | None, row: Row) -> None:
        """Add the sums in a currency to those of a group."""
        add_row(self.rows.setdefault(group, {}), currency, row)

    def merge(self, other: Tally) -> None:
        """Add the sums over another part of the book."""
        for group, by_currency in other.rows.items():
            for currency, row in by_currency.items():
                self.add_row(group, currency, row)
        for key, cell in other._cells.items():
            self._cell(key).merge(cell)
        if self.rows and any(measure in _IN_ROWS for _group, measure, _category in self._cells):
            self._cells, self.rows = self.cells, {}
        self.without_amount += other.without_amount
        self.without_close_date += other.without_close_date
        self.deals += other.deals

    def _cell(self, key: CellKey) -> Cell:
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell()
        return cell


def _cells_in(by_currency: Mapping[str | None, Row]) -> dict[CellPlace, Cell]:
    """The cells of a group, or of all groups together.

    Args:
        by_currency: their rows.
    """
    found: dict[CellPlace, Cell] = {}
    for currency, row in by_currency.items():
        for place, amount, deals in accounts_in(row):
            if not deals:
                continue
            cell = found.get(place)
            if cell is None:
                cell = found[place] = Cell()
            cell.deals += deals
            if currency is not None:
                cell.amounts[currency] = amount
    return found
