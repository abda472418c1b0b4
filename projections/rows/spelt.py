"""Pages of deals as JSON that PostgreSQL writes: no object a cell is made on the way.

Law: the bytes are those that the rows of `answering` come to as JSON: numbers with a point are
spelt as Python spells them, which is checked of every one; where one might not be, there is no
page. As in `served`, a statement is put together from constants alone; so cells have the names of
their fields, and there is no page where one is asked for under another name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, LiteralString, NamedTuple, TypeAlias

from projections.book import Book, MadeFrom
from projections.rows.answering import PageWanted
from projections.rows.asking import Question
from projections.rows.counting import counted
from projections.rows.deals import DEALS
from projections.rows.definition import Kind, Source, camel
from projections.rows.served import CELLS, Asked

INT_MAX = 2**31 - 1
_TYPENAME: LiteralString = "__typename"

_EXACT: Final[Mapping[str, LiteralString]] = {
    "amount": "s.amount",
    "reporting_amount": "money.claimed",
    "weighted_amount": "money.weighted",
}
"""The exact number behind each column that is a float."""

_FLOAT: LiteralString = """
    CASE WHEN {x} IS NULL THEN 'null' WHEN abs({x}) < 1e12 AND scale(trim_scale({x})) <= 3
        THEN round(trim_scale({x}), greatest(1, scale(trim_scale({x}))))::text END
"""
"""At most fifteen digits, and none so small that it has an exponent: all spell them alike. What
another number comes to is null, and so is the line that it stands in."""

_TEXT: LiteralString = "coalesce(json_scalar({x})::text, 'null')"
_TEXT_BEFORE_17: LiteralString = "coalesce(to_json({x})::text, 'null')"
_WITH_JSON_SCALAR = 170_000
"""It looks up how a type is told once a statement, and `to_json` once a cell."""

_WHOLE_KINDS = frozenset({Kind.INT, Kind.BOOLEAN})
_WHOLE: LiteralString = "coalesce(({x})::text, 'null')"

_PAGE: LiteralString = """
    SELECT convert_to(string_agg(found.line, ','), 'UTF8'), count(*),
        (array_agg(found.key))[1], (array_agg(found.key))[least(count(*), %(first)s)],
        count(found.line) = count(*)
    FROM ({rows} LIMIT %(first)s::bigint + 1) AS found
"""
"""One row more than the page, in the order of the subquery: nothing stands between the two that
PostgreSQL could do in another order."""


class SpeltPage(NamedTuple):
    """A page as JSON.

    Args:
        rows: an array of objects, in the order of the key.
        first: the key of the first row; None where there is no row.
        last: the key of the last one.
        more: whether more follow.
        total: how many rows there are on all pages; None where that was not asked.
    """

    rows: bytes
    first: str | None
    last: str | None
    more: bool
    total: int | None


Names: TypeAlias = Sequence[tuple[str, str | None]]
"""The name of each cell in an object and its column; no column is the name of the type."""

_FIELDS: Final[Mapping[str, LiteralString]] = {each: camel(each) for each in CELLS}
"""The field of each column that may be read: a constant as much as the column."""


def may_be_spelt(asked: Question, names: Names) -> bool:
    """Whether a page may be asked for as JSON at all.

    Args:
        asked: which rows, in which order.
        names: of the cells.
    """
    if asked.table is not DEALS or asked.order:
        return False
    columns = [DEALS.column(column) for _name, column in names if column is not None]
    return (
        bool(columns)
        and all(
            name == (_TYPENAME if column is None else _FIELDS.get(column)) for name, column in names
        )
        and all(each.source is Source.STATE for each in columns)
    )


def spelt_page(
    book: Book, asked: Question, page: PageWanted, names: Names, of_type: str, *, count: bool
) -> SpeltPage | None:
    """A page of deals as JSON; None where it has to be made otherwise.

    Args:
        book: the book at the basis.
        asked: which rows; see `may_be_spelt`.
        page: how many, behind which.
        names: of the cells, in order.
        of_type: what a cell without a column says.
        count: whether to count all rows too.
    """
    if book.basis.horizon > INT_MAX:
        return None
    wanted = asked.wanted((column for _name, column in names if column is not None), page.after)
    spelling = Asked(book, asked.given, wanted)
    with book.tables() as tables:
        if tables is None:
            return None
        spelling.prepare(tables, page.first)
        parameters = {**spelling.parameters, "first": page.first, "of_type": of_type}
        statement = _statement(spelling, names, tables.connection.info.server_version)
        found = tables.rows(statement, parameters)[0]
        lines, shown_or_more, first, last, plain = found
        total = counted(Asked(book, asked.given, asked.wanted(())), tables) if count else None
    if not plain:
        return None
    book.made_from = MadeFrom.TABLES
    more = shown_or_more > page.first
    lines = lines or b""
    end = lines.rindex(_before_a_row(names)) if more else len(lines)
    rows = b"".join((b"[", memoryview(lines)[:end], b"]"))
    return SpeltPage(rows, first, last, more, total)


def _before_a_row(names: Names) -> bytes:
    """What stands between two rows and nowhere else: within a text a quote has a backslash before
    it, and behind the quote that ends a text there is no name."""
    return b',{"' + _field(names[0][1]).encode() + b'":'


def _field(column: str | None) -> LiteralString:
    return _TYPENAME if column is None else _FIELDS[column]


def _statement(spelling: Asked, names: Names, version: int) -> LiteralString:
    """The page; a row is put together as one text, in two thirds of the time of a record's JSON."""
    text = _TEXT if version >= _WITH_JSON_SCALAR else _TEXT_BEFORE_17
    cells: list[LiteralString] = []
    for _name, column in names:
        field = _field(column)
        before: LiteralString = "," if cells else "{"
        cells.append("'" + before + '"' + field + "\":' || " + _cell(column, text))
    line = " || ".join(cells) + " || '}' AS line"
    return _PAGE.replace("{rows}", spelling.statement(["s.deal AS key", line]))


def _cell(column: str | None, text: LiteralString) -> LiteralString:
    if column is None:
        return text.replace("{x}", "%(of_type)s::text")
    if column in _EXACT:
        return _FLOAT.replace("{x}", _EXACT[column])
    kind = DEALS.column(column).kind
    assert kind is not Kind.FLOAT, column  # noqa: S101 - each has an exact one
    return (_WHOLE if kind in _WHOLE_KINDS else text).replace("{x}", CELLS[column])
