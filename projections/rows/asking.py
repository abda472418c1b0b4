"""Asking a flat table: which rows, with which columns, in which order.

Law: what is asked is checked before anything is read. Rows come in the order of their key, from the
tables where these may answer and say all that is looked at, else from the fold; they are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
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
    Row,
    Table,
    Test,
    Wanted,
    camel,
    names_in,
)
from projections.rows.ordering import Order, places
from projections.rows.served import rows_from_tables

PAGE_MAX = 10_000
ORDER_COLUMNS_MAX = 4
GROUP_COLUMNS_MAX = 6

Given: TypeAlias = Mapping[str, Cell]
"""Arguments by name; what is null is not asked."""


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
    _check_spans(checked)
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
    return tuple(dict.fromkeys(_column(table, name, "columns") for name in names_in(names)))


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
    for name in names_in(order_by or ""):
        column = _column(table, name.removeprefix("-"), "order_by")
        found.setdefault(column.name, Order(column.name, name.startswith("-")))
    _few(tuple(found), ORDER_COLUMNS_MAX, "order_by")
    return tuple(found.values())


# --- arguments ----------------------------------------------------------------------------------


def _check_spans(checked: Mapping[str, Cell]) -> None:
    """Refuse what begins behind its end.

    Raises:
        InvalidInput: `invalid-span`.
    """
    for start, first in checked.items():
        end = "to" if start == "from" else start.removesuffix("_from") + "_until"
        last: Any = checked.get(end)
        if last is not None and first > last:
            raise InvalidInput(
                "invalid-span",
                f"it begins at {first} and ends before that, at {last}",
                where=start,
                hint="give the smaller one first",
            )


def _checked(argument: Option | Filter, value: Cell) -> Cell:
    read = _READERS.get(argument.kind)
    found = value if read is None else read(argument.name, value)
    if isinstance(argument, Option):
        return found
    if argument.choices and found not in argument.choices:
        raise _invalid(argument.name, value, f"it is one of {', '.join(argument.choices)}")
    if argument.check is not None:
        try:
            argument.check(str(found))
        except InvalidInput as refusal:
            raise InvalidInput(
                refusal.code, refusal.message, where=argument.name, hint=refusal.hint
            ) from None
    if argument.test is Test.IN_PERIOD:
        FiscalCalendar().period(str(found))
    if argument.test is Test.HAS_DIMENSION and "=" not in str(found):
        raise _invalid(argument.name, value, "write it like segment=enterprise")
    return found


def _invalid(name: str, value: Cell, hint: str) -> InvalidInput:
    return InvalidInput("invalid-argument", f"{value!r} cannot be asked for", where=name, hint=hint)


def _text(name: str, value: Cell) -> Cell:
    if not isinstance(value, str) or not is_text(value):
        raise _invalid(name, value, "it is a text")
    return value


def is_text(value: str) -> bool:
    """Whether the database can take a text: it has no NUL and no half of a character."""
    return "\x00" not in value and not any("\ud800" <= each <= "\udfff" for each in value)


def _flag(name: str, value: Cell) -> Cell:
    spelt = {"true": True, "false": False, True: True, False: False}
    if value not in spelt:
        raise _invalid(name, value, "it is true or false")
    return spelt[value]


def _whole(name: str, value: Cell) -> Cell:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise _invalid(name, value, "it is a whole number, and not negative")
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
    Kind.BIG_INT: _whole,
    Kind.FLOAT: _number,
    Kind.DATE: _day,
    Kind.DATETIME: _instant,
}


# --- rows ---------------------------------------------------------------------------------------


def rows(
    book: Book,
    asked: Question,
    columns: Iterable[str],
    *,
    after: Row | None = None,
    first: int | None = None,
) -> Generator[Row, None, None]:
    """The rows in the order of the key, all columns wide. Close it when you do not read to the end.

    Args:
        book: the book at the basis.
        asked: which rows; its order is left aside.
        columns: what will be looked at; other columns may be null.
        after: the cells of a row's key: only rows behind it.
        first: how many will be read at most; None is all.
    """
    wanted = asked.wanted(columns, after)
    if asked.table.name == "deals" and not wanted.folded(asked.table):
        with rows_from_tables(book, asked.given, wanted, first) as served:
            if served is not None:
                yield from served
                return
    yield from folded_rows(book, asked, wanted)


def folded_rows(book: Book, asked: Question, wanted: Wanted) -> Iterator[Row]:
    """The rows as the fold makes them, filtered, in the order of the key."""
    table = asked.table
    found = fitting(table.make(book, wanted), asked, book.calendar)
    if wanted.after is None:
        return found
    place = places(table, [Order(key) for key in table.key])
    last = place(_row_of_key(table, wanted.after))
    return (row for row in found if place(row) > last)


def fitting(found: Iterator[Row], asked: Question, calendar: FiscalCalendar) -> Iterator[Row]:
    """The rows that the filters of a question leave.

    Args:
        found: all that were made.
        asked: which rows.
        calendar: the fiscal calendar at the basis.
    """
    fits = [
        _condition(asked.table, each, asked.given[each.name], calendar)
        for each in asked.table.filters
        if each.name in asked.given
    ]
    return (row for row in found if all(fit(row) for fit in fits)) if fits else found


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
            several = frozenset(names_in(str(value)))
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
