"""Columns: which cell of a row is which field, and how it is read.

Law: a field is read in one way wherever it stands. A cell that cannot be read rejects its row,
naming the column and the value. A few cells are worth less than their row - an e-mail address, a
forecast category, which can be derived: they are left out, and told of alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from ledger.connectors import cells
from ledger.connectors.cells import Memo
from ledger.connectors.dates import DateReader, Unreadable
from ledger.connectors.mapping import FileMap
from ledger.connectors.rows import Row, Table
from ledger.connectors.stages import category_named
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Category
from ledger.domain.money import minor_units
from ledger.domain.times import Instant

_DATES = frozenset({"at", "opened", "closed", "modified", "joined", "effective"})
_IDS = frozenset({"id", "deal", "account", "owner", "changed_by", "person", "parent", "manager",
                  "economic_buyer", "champion", "said_by", "reports_to"})  # fmt: skip
_PAST = frozenset({"at", "opened", "joined"})


class RowFault(Exception):
    """A row that cannot be used: the column, its value, a stable code, the reason."""

    def __init__(self, column: str, value: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.value = value
        self.code = code
        self.reason = reason


class CellFault(NamedTuple):
    """A cell that is left out of its row: the column, its value, a stable code, the reason."""

    column: str
    value: str
    code: str
    reason: str


class Column(NamedTuple):
    """One field of a file: where it stands and how it is read."""

    name: str
    place: int
    column: str
    read: Callable[[str], Any]


class Columns:
    """Reads the cells of one import's files.

    Args:
        dates: the reader of dates.
        prefix: put before every record id.
        clock: now; nothing can be known later.
        values: field -> spelling -> the spelling to take instead.
    """

    def __init__(
        self,
        dates: DateReader,
        prefix: str,
        clock: Instant,
        values: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.tallies: Counter[str] = Counter()
        self.cell_faults: list[CellFault] = []
        """Of the row that is being read."""
        self._dates = dates
        self._prefix = prefix
        self._clock = clock
        self._values = values
        self._categories: Memo[Category | None] = Memo(category_named)

    def columns_of(self, table: Table, entry: FileMap) -> list[Column]:
        found = []
        for name, column in entry.columns.items():
            if column in table.columns:
                read = self.reader_of(name, entry.kind, column, entry.product_separator)
                if name in self._values:
                    read = self._replacing(name, read)
                found.append(Column(name, table.columns.index(column), column, read))
        return found

    def _replacing(self, name: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
        """The same reader, with the mapping's spellings put in place of others."""
        replace = self._values[name]

        def read_replaced(text: str) -> Any:
            if text in replace:
                self.tallies[f"replaced:{name}"] += 1
                text = replace[text]
            return read(text)

        return read_replaced

    def reader_of(
        self, name: str, kind: str, column: str, separator: str | None
    ) -> Callable[[str], Any]:
        if name in _DATES:
            return Memo(self._instant if name in _PAST else self._any_instant).__getitem__
        if name == "close_date":
            return Memo(self._day).__getitem__
        if name in _IDS:
            read = cells.identifier(self._prefix)
            return read if name == "id" else Memo(read).__getitem__
        if name in ("amount", "commit", "best_case", "pipeline"):
            return Memo(cells.amount_in(currency_of_column(column))).__getitem__
        if name == "category":
            return partial(self._category, column)
        if name in ("is_closed", "is_won", "is_deleted"):
            return Memo(cells.boolean).__getitem__
        if name == "products":
            return Memo(partial(_products, separator)).__getitem__
        if name == "currency" and kind != "rates":
            return Memo(_currency).__getitem__
        simple: dict[str, Callable[[str], Any]] = {
            "probability": Memo(cells.percent).__getitem__,
            "email": partial(self._email, column),
            "stage": Memo(cells.text_of(cells.LABEL_CHARS_MAX)).__getitem__,
            "name": cells.text_of(cells.NAME_CHARS_MAX),
            "loss_reason": cells.text_of(cells.TEXT_CHARS_MAX),
            "quote": cells.text_of(cells.TEXT_CHARS_MAX),
            "note": cells.text_of(cells.TEXT_CHARS_MAX),
            "link": cells.text_of(2000),
            "old_value": cells.text_of(cells.TEXT_CHARS_MAX),
            "new_value": cells.text_of(cells.TEXT_CHARS_MAX),
        }
        return simple.get(name, cells.text_of(cells.LABEL_CHARS_MAX))

    def _day(self, text: str) -> date | None:
        return self._dates.day(text) if text else None

    def _any_instant(self, text: str) -> Instant | None:
        return self._dates.instant(text) if text else None

    def _instant(self, text: str) -> Instant | None:
        if not text:
            return None
        instant = self._dates.instant(text)
        if instant > self._clock:
            raise Unreadable(
                "in-the-future", "later than the ledger's clock: it cannot be known yet"
            )
        return instant

    def _category(self, column: str, text: str) -> Category | None:
        if not text:
            return None
        category = self._categories[text]
        if category is None:
            self.tallies[f"unknown-category:{text[:60]}"] += 1
            fault = CellFault(column, text, "unknown-category", "no forecast category; derived")
            self.cell_faults.append(fault)
        return category

    def _email(self, column: str, text: str) -> str | None:
        address = cells.email(text)
        if address is None and text:
            self.tallies["email-unreadable"] += 1
            fault = CellFault(column, text, "invalid-email", "not an e-mail address; left out")
            self.cell_faults.append(fault)
        return address

    def read_row(self, fields: Sequence[Column], row: Row) -> list[Any]:
        """The values of a row, in the order of its fields."""
        texts = row.cells
        try:
            return [read(texts[place]) for _, place, _, read in fields]
        except Unreadable:
            raise _fault_of(fields, texts) from None

    def values_of(self, table: Table, entry: FileMap) -> Callable[[Row], dict[str, Any]]:
        """A function that reads a row's fields, constants among them, by name."""
        fields = self.columns_of(table, entry)
        constants = self.constants_of(entry)
        names = [found.name for found in fields]

        def values(row: Row) -> dict[str, Any]:
            return constants | dict(zip(names, self.read_row(fields, row), strict=True))

        return values

    def labels_of(self, table: Table, entry: FileMap) -> Callable[[Row], dict[str, str]]:
        """A function that reads a row's dimensions, the empty ones left out."""
        dimensions = [
            (key, table.columns.index(column), self._values.get(key, {}))
            for key, column in entry.dimensions.items()
        ]
        read_label = Memo(cells.text_of(cells.LABEL_CHARS_MAX))

        def labels(row: Row) -> dict[str, str]:
            found = {}
            for key, place, replace in dimensions:
                text = row.cells[place]
                try:
                    label = read_label[replace.get(text, text)]
                except Unreadable as fault:
                    raise RowFault(key, text, fault.code, fault.reason) from None
                if label is not None:
                    found[key] = label
            return found

        return labels

    def constants_of(self, entry: FileMap) -> dict[str, Any]:
        try:
            read = {
                name: self.reader_of(name, entry.kind, "", None)(text)
                for name, text in entry.constants.items()
            }
        except Unreadable as fault:
            raise InvalidInput("invalid-mapping", f"a constant cannot be read: {fault}") from None
        for cell in self.cell_faults:
            raise InvalidInput(
                "invalid-mapping", f"a constant cannot be read: {cell.value!r} is {cell.reason}"
            )
        return read


def _fault_of(fields: Sequence[Column], texts: Sequence[str]) -> RowFault:
    """What is wrong with a row of which some cell cannot be read."""
    for _, place, column, read in fields:
        try:
            read(texts[place])
        except Unreadable as fault:
            return RowFault(column, texts[place], fault.code, fault.reason)
    raise AssertionError("a cell that could not be read can be read")


def currency_of_column(column: str) -> str | None:
    """The currency that a column's name ends in: `amount_usd`, `Amount (EUR)`."""
    tail = column.rstrip(") ").replace("(", " ").replace("_", " ").split()
    if len(tail) < 2 or len(tail[-1]) != 3 or not tail[-1].isalpha():
        return None
    code = tail[-1].upper()
    try:
        minor_units(code)
    except InvalidInput:
        return None
    return code


def _currency(text: str) -> str | None:
    if not text:
        return None
    try:
        minor_units(text.upper())
    except InvalidInput as error:
        raise Unreadable(error.code, error.message) from None
    return text.upper()


def _products(separator: str | None, text: str) -> tuple[str, ...]:
    read = cells.text_of(cells.NAME_CHARS_MAX)
    parts = text.split(separator) if separator else [text]
    found = tuple(part.strip() for part in parts if part.strip())
    if len(found) > 50:
        raise Unreadable("too-many-parts", "more than 50 products")
    for part in found:
        read(part)
    return found


def names_of(fields: Sequence[Column]) -> dict[str, str]:
    return {found.name: found.column for found in fields}
