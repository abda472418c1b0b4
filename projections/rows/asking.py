"""Asking a flat table: which rows, in which order, a page of them, their number and their sums.

Law: what is asked is checked before anything is read. Pages, counts and sums are made in one pass
over the rows, in constant memory: a page holds as many rows as it shows, a sum one number. Counts
and sums say what all rows say that the filters let through, whatever page is looked at. Amounts are
added exactly, and only where all of them are in one currency.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, total_ordering
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import orjson

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.errors import InvalidInput
from ledger.domain.times import format_instant, parse_date, parse_instant
from projections.book import Book
from projections.rows.definition import (
    Cell,
    Column,
    Filter,
    Kind,
    Option,
    Role,
    Row,
    Table,
    Test,
    Wanted,
    camel,
)
from projections.rows.served import rows_from_tables

PAGE_MAX = 10_000
ORDER_COLUMNS_MAX = 4
GROUP_COLUMNS_MAX = 6
GROUPS_MAX = 50_000

Given: TypeAlias = Mapping[str, Cell]
"""Arguments by name; what is null is not asked."""


class Order(NamedTuple):
    """A column to sort by; nulls come last either way."""

    column: str
    descending: bool = False


class Question(NamedTuple):
    """What is asked of a table, checked.

    Args:
        table: of which.
        given: filter and option values by name, without nulls, as checked.
        order: by what rows are sorted; the key decides between equal ones.
    """

    table: Table
    given: Given
    order: tuple[Order, ...] = ()

    @property
    def full_order(self) -> tuple[Order, ...]:
        """The order with the key behind it: no two rows are equal in it."""
        named = {each.column for each in self.order}
        return (*self.order, *(Order(key) for key in self.table.key if key not in named))

    def wanted(self, columns: Iterable[str], after: Row | None = None) -> Wanted:
        """What must be made for some columns to be looked at."""
        filters = {each.name: each for each in self.table.filters}
        looked_at = {filters[name].column for name in self.given if name in filters}
        ordered = {each.column for each in self.full_order}
        options = {each.name for each in self.table.options}
        return Wanted(
            frozenset({*columns, *looked_at, *ordered}),
            {name: value for name, value in self.given.items() if name in options},
            {name: value for name, value in self.given.items() if name in filters},
            after,
        )


def question(table: Table, given: Given, order_by: str | None = None) -> Question:
    """Check what is asked.

    Args:
        table: of which.
        given: filters and options by name, as clients spell them; null is not asked.
        order_by: columns by commas, as GraphQL or the table spells them; `-` before one is
            descending.

    Raises:
        InvalidInput: `unknown-argument`, `invalid-argument`, `unknown-column`,
            `too-many-columns`, and what parsing a date or an instant raises.
    """
    arguments = {each.name: each for each in table.arguments}
    checked: dict[str, Cell] = {}
    for name, value in given.items():
        argument = arguments.get(name)
        if argument is None:
            raise InvalidInput(
                "unknown-argument",
                f"{table.name} are not filtered by {name!r}",
                where=name,
                hint=f"it is one of {', '.join(sorted(arguments))}",
            )
        if value is not None:
            checked[name] = _checked(argument, value)
    return Question(table, checked, _order(table, order_by))


def columns_named(table: Table, names: str | None) -> tuple[Column, ...]:
    """The columns of that name, by commas; `all` is all, none is those that need no fold.

    Raises:
        InvalidInput: `unknown-column`.
    """
    if names is None:
        return table.ready_columns
    if names.strip() == "all":
        return table.columns
    return tuple(dict.fromkeys(_column(table, name, "columns") for name in _split(names)))


def dimensions_named(table: Table, names: Sequence[str]) -> tuple[Column, ...]:
    """The columns to group by.

    Raises:
        InvalidInput: `unknown-column`, `not-a-dimension`, `too-many-columns`.
    """
    found = tuple(dict.fromkeys(_column(table, name, "fields") for name in names))
    for column in found:
        if column.role.is_measure:
            raise InvalidInput(
                "not-a-dimension",
                f"{camel(column.name)} is a number to calculate with, not one to group by",
                where="fields",
            )
    _few(found, GROUP_COLUMNS_MAX, "fields")
    return found


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _column(table: Table, name: str, where: str) -> Column:
    by_name = {spelt: each for each in table.columns for spelt in (each.name, camel(each.name))}
    if name not in by_name:
        raise InvalidInput(
            "unknown-column",
            f"{table.name} have no column {name!r}",
            where=where,
            hint=f"they have {', '.join(camel(each.name) for each in table.columns)}",
        )
    return by_name[name]


def _few(columns: Sequence[object], limit: int, where: str) -> None:
    if len(columns) > limit:
        raise InvalidInput("too-many-columns", f"at most {limit} columns", where=where)


def _order(table: Table, order_by: str | None) -> tuple[Order, ...]:
    found: dict[str, Order] = {}
    for name in _split(order_by or ""):
        column = _column(table, name.removeprefix("-"), "order_by")
        found.setdefault(column.name, Order(column.name, name.startswith("-")))
    _few(tuple(found), ORDER_COLUMNS_MAX, "order_by")
    return tuple(found.values())


# --- arguments ----------------------------------------------------------------------------------


def _checked(argument: Option | Filter, value: Cell) -> Cell:
    read = _READERS.get(argument.kind)
    found = value if read is None else read(argument.name, value)
    if isinstance(argument, Option):
        return found
    if argument.choices and found not in argument.choices:
        raise _invalid(argument.name, value, f"it is one of {', '.join(argument.choices)}")
    if argument.test is Test.IN_PERIOD:
        FiscalCalendar().period(str(found))
    if argument.test is Test.HAS_DIMENSION and "=" not in str(found):
        raise _invalid(argument.name, value, "write it like segment=enterprise")
    return found


def _invalid(name: str, value: Cell, hint: str) -> InvalidInput:
    return InvalidInput("invalid-argument", f"{value!r} cannot be asked for", where=name, hint=hint)


def _text(name: str, value: Cell) -> Cell:
    if not isinstance(value, str):
        raise _invalid(name, value, "it is a text")
    return value


def _flag(name: str, value: Cell) -> Cell:
    spelt = {"true": True, "false": False, True: True, False: False}
    if value not in spelt:
        raise _invalid(name, value, "it is true or false")
    return spelt[value]


def _whole(name: str, value: Cell) -> Cell:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise _invalid(name, value, "it is a whole number")
    return int(text)


def _number(name: str, value: Cell) -> Cell:
    try:
        found = float(str(value))
    except ValueError:
        found = float("nan")
    if found != found or found in {float("inf"), float("-inf")}:  # noqa: PLR0124 - not a number
        raise _invalid(name, value, "it is a number")
    return found


def _day(name: str, value: Cell) -> Cell:
    return parse_date(str(value), where=name).isoformat()


def _instant(name: str, value: Cell) -> Cell:
    return format_instant(parse_instant(str(value), where=name))


_READERS: Mapping[Kind, Callable[[str, Cell], Cell]] = {
    Kind.ID: _text,
    Kind.STRING: _text,
    Kind.BOOLEAN: _flag,
    Kind.INT: _whole,
    Kind.FLOAT: _number,
    Kind.DATE: _day,
    Kind.DATETIME: _instant,
}


# --- rows ---------------------------------------------------------------------------------------


def rows(
    book: Book, asked: Question, columns: Iterable[str], *, after: Row | None = None
) -> Iterator[Row]:
    """The rows in the order of the key, all columns wide.

    Args:
        book: the book at the basis.
        asked: which rows; its order is left aside.
        columns: what will be looked at; other columns may be null.
        after: the cells of a row's key: only rows behind it.
    """
    wanted = asked.wanted(columns, after)
    if asked.table.name == "deals" and not wanted.folded(asked.table):
        with rows_from_tables(book, asked.given, wanted) as served:
            if served is not None:
                yield from served
                return
    yield from folded_rows(book, asked, wanted)


def folded_rows(book: Book, asked: Question, wanted: Wanted) -> Iterator[Row]:
    """The rows as the fold makes them, filtered, in the order of the key."""
    table = asked.table
    found = table.make(book, wanted)
    fits = [
        _condition(table, each, asked.given[each.name], book.calendar)
        for each in table.filters
        if each.name in asked.given
    ]
    if fits:
        found = (row for row in found if all(fit(row) for fit in fits))
    if wanted.after is None:
        return found
    place = _places(table, [Order(key) for key in table.key])
    last = place(_row_of_key(table, wanted.after))
    return (row for row in found if place(row) > last)


def _row_of_key(table: Table, key: Row) -> Row:
    cells: list[Cell] = [None] * len(table.columns)
    for name, cell in zip(table.key, key, strict=True):
        cells[table.index[name]] = cell
    return tuple(cells)


def _condition(
    table: Table, asked: Filter, value: Cell, calendar: FiscalCalendar
) -> Callable[[Row], bool]:
    at = table.index[asked.column]
    limit: Any = value
    match asked.test:
        case Test.IS:
            return lambda row: row[at] == limit
        case Test.AT_LEAST:
            return lambda row: row[at] is not None and row[at] >= limit
        case Test.AT_MOST:
            return lambda row: row[at] is not None and row[at] <= limit
        case Test.AFTER:
            return lambda row: row[at] is not None and row[at] > limit
        case Test.ANY_OF:
            several = frozenset(_split(str(value)))
            return lambda row: row[at] in several
        case Test.IN_PERIOD:
            period = calendar.period(str(value))
            return lambda row: row[at] is not None and period.holds_text(str(row[at]))
        case Test.HAS_DIMENSION:
            name, _, wanted = str(value).partition("=")
            return lambda row: _dimension(row[at], name.strip()) == wanted.strip()


def _dimension(spelt: Cell, name: str) -> str | None:
    if spelt is None:
        return None
    found: str | None = orjson.loads(str(spelt)).get(name)
    return found


# --- order --------------------------------------------------------------------------------------


@total_ordering
class _Descending:
    """A value in the opposite order."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)

    __hash__ = None  # type: ignore[assignment]


def _places(table: Table, order: Sequence[Order]) -> Callable[[Row], tuple[Any, ...]]:
    """What a row is sorted by: for each column whether it is null, and its value."""
    parts = [(table.index[each.column], each.descending) for each in order]

    def place(row: Row) -> tuple[Any, ...]:
        found: list[Any] = []
        for at, descending in parts:
            cell = row[at]
            found.append(cell is None)
            found.append(0 if cell is None else _Descending(cell) if descending else cell)
        return tuple(found)

    return place


# --- one pass -----------------------------------------------------------------------------------


class Page(NamedTuple):
    """Rows behind a row, and whether there are more.

    Args:
        rows: all columns wide.
        more: whether more follow.
    """

    rows: list[Row]
    more: bool


class PageWanted(NamedTuple):
    """A page to make.

    Args:
        first: how many rows, from 1 to `PAGE_MAX`.
        after: the cells of `Question.full_order` of the row before; None is from the start.
        columns: what will be looked at.
    """

    first: int
    after: Row | None
    columns: frozenset[str]


@dataclass(slots=True)
class Sums:
    """The sums of a set of rows, as they come.

    Args:
        table: of which.
        measures: the names of the columns that are calculated with.
    """

    table: Table
    measures: frozenset[str]
    count: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    least: dict[str, Any] = field(default_factory=dict)
    most: dict[str, Any] = field(default_factory=dict)
    currencies: dict[str, set[Cell]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take one more row."""
        self.count += 1
        for column, at, exact, currency in _measured(self.table, self.measures):
            cell: Any = row[at]
            if cell is None:
                continue
            name = column.name
            self.counts[name] = self.counts.get(name, 0) + 1
            exactly = Decimal(str(row[exact])) if exact is not None else Decimal(cell)
            self.totals[name] = self.totals.get(name, Decimal(0)) + exactly
            self.least[name] = min(cell, self.least.get(name, cell))
            self.most[name] = max(cell, self.most.get(name, cell))
            if currency is not None:
                self.currencies.setdefault(name, set()).add(row[currency])

    def as_dict(self) -> dict[str, Any]:
        """`count`, and for each measure `sum_`, `avg_`, `min_` and `max_`; exact sums as text."""
        facts: dict[str, Any] = {"count": self.count}
        for column, *_places in _measured(self.table, self.measures):
            name = column.name
            counted = self.counts.get(name, 0)
            mixed = len(self.currencies.get(name, ())) > 1
            total = None if mixed or not counted else self.totals[name]
            if column.role is Role.SUM:
                whole = column.kind is Kind.INT
                facts[f"sum_{name}"] = (
                    None if total is None else int(total) if whole else float(total)
                )
                if column.exact is not None:
                    facts[f"sum_{name}_exact"] = None if total is None else format(total, "f")
            facts[f"avg_{name}"] = None if total is None else float(total / counted)
            facts[f"min_{name}"] = None if mixed else self.least.get(name)
            facts[f"max_{name}"] = None if mixed else self.most.get(name)
        return facts


_Measured: TypeAlias = tuple[Column, int, int | None, int | None]


@cache
def _measured(table: Table, measures: frozenset[str]) -> tuple[_Measured, ...]:
    """The measures with their places, and those of their exact text and of their currency."""
    at = table.index
    return tuple(
        (
            column,
            at[column.name],
            None if column.exact is None else at[column.exact],
            None if column.currency is None else at[column.currency],
        )
        for column in table.measures
        if column.name in measures
    )


def _looked_at(table: Table, measures: frozenset[str]) -> set[str]:
    """The columns that sums of some measures look at."""
    found = [table.column(name) for name in measures]
    several = ((each.name, each.exact, each.currency) for each in found)
    return {name for names in several for name in names if name is not None}


class Wishes(NamedTuple):
    """What one pass over the rows is to answer.

    Args:
        pages: pages to make.
        sums: the measures to sum over all rows; None for no sums, not even a count.
        groups: groupings to make: the dimensions of each, and the measures to sum.
    """

    pages: tuple[PageWanted, ...] = ()
    sums: frozenset[str] | None = None
    groups: tuple[tuple[tuple[Column, ...], frozenset[str]], ...] = ()


class Answers(NamedTuple):
    """What one pass found, in the order of the wishes."""

    pages: list[Page]
    sums: Sums
    groups: list[list[tuple[Row, Sums]]]


def answer(book: Book, asked: Question, wishes: Wishes) -> Answers:
    """Answer all of it in one pass over the rows.

    Args:
        book: the book at the basis.
        asked: which rows, in which order.
        wishes: what is wanted of them.

    Raises:
        InvalidInput: `too-many-groups`.
    """
    table, measures = asked.table, wishes.sums or frozenset()
    if wishes.sums is None and not wishes.groups and not asked.order:
        pages = [_next_page(book, asked, page) for page in wishes.pages]
        return Answers(pages, Sums(table, measures), [])
    columns = _looked_at(table, measures).union(*(page.columns for page in wishes.pages))
    for dimensions, summed in wishes.groups:
        columns |= {column.name for column in dimensions} | _looked_at(table, summed)
    makers = [_Paging(asked, page) for page in wishes.pages]
    grouping = [_Grouping(table, dimensions, summed) for dimensions, summed in wishes.groups]
    total = Sums(table, measures)
    for row in rows(book, asked, columns):
        total.add(row)
        for each in makers:
            each.add(row)
        for group in grouping:
            group.add(row)
    return Answers([each.page() for each in makers], total, [group.groups() for group in grouping])


def _next_page(book: Book, asked: Question, page: PageWanted) -> Page:
    """A page in the order of the key: read from where the last one ended."""
    found = rows(book, asked, page.columns, after=page.after)
    taken = list(islice(found, page.first + 1))
    close: Any = found
    close.close()
    return Page(taken[: page.first], len(taken) > page.first)


class _Paging:
    """Keeps the first rows behind a row, in an order, of all that come by."""

    def __init__(self, asked: Question, page: PageWanted) -> None:
        order = asked.full_order
        self._place = _places(asked.table, order)
        self._size = page.first
        self._kept: list[tuple[Any, Row]] = []
        self._limit: tuple[Any, ...] | None = None
        if page.after is not None:
            cells: list[Cell] = [None] * len(asked.table.columns)
            for each, cell in zip(order, page.after, strict=True):
                cells[asked.table.index[each.column]] = cell
            self._limit = self._place(tuple(cells))

    def add(self, row: Row) -> None:
        place = self._place(row)
        if self._limit is not None and place <= self._limit:
            return
        entry = (_Descending(place), row)
        if len(self._kept) <= self._size:
            heapq.heappush(self._kept, entry)
        elif place < self._kept[0][0].value:
            heapq.heapreplace(self._kept, entry)

    def page(self) -> Page:
        ordered = sorted(self._kept, key=lambda entry: entry[0].value)
        return Page([row for _place, row in ordered[: self._size]], len(ordered) > self._size)


class _Grouping:
    """Sums by the values of some columns."""

    def __init__(
        self, table: Table, dimensions: Sequence[Column], measures: frozenset[str]
    ) -> None:
        self._table = table
        self._measures = measures
        places = [table.index[column.name] for column in dimensions]
        get: Any = itemgetter(*places) if places else lambda _row: ()
        self._key: Callable[[Row], Any] = (lambda row: (get(row),)) if len(places) == 1 else get
        self._sums: dict[Any, Sums] = {}

    def add(self, row: Row) -> None:
        key = self._key(row)
        sums = self._sums.get(key)
        if sums is None:
            if len(self._sums) >= GROUPS_MAX:
                raise InvalidInput(
                    "too-many-groups",
                    f"that is more than {GROUPS_MAX} groups",
                    where="fields",
                    hint="group by fewer columns, or take an export",
                )
            sums = self._sums[key] = Sums(self._table, self._measures)
        sums.add(row)

    def groups(self) -> list[tuple[Row, Sums]]:
        """The groups in order; nulls come last."""

        def place(item: tuple[Row, Sums]) -> tuple[tuple[bool, Any], ...]:
            return tuple((cell is None, 0 if cell is None else cell) for cell in item[0])

        return sorted(self._sums.items(), key=place)
