"""Rows of deals read from the tables that are kept: the same cells as the fold makes.

Law: a statement is put together from constants of this module alone; what is asked goes in as
parameters. The cells are spelt here as `telling` and `deals` spell them, half-even rounding and the
order of JSON keys included; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, Final, LiteralString

import orjson

from projections.book import Book
from projections.rows.deals import DEALS
from projections.rows.definition import Cell, Row, Wanted, basis_cells
from projections.rows.telling import Converter
from projections.tables import stabbing
from projections.tables.serving import Tables
from projections.tables.sides import on
from projections.tables.stabbing import Point

ROWS_PER_BATCH = 2_000
FEW_ROWS = 300
SPANS_PER_ROW = 50
"""How many spans may be passed by for each row that is read; a deal has about half as many."""

ROWS_PER_PAGE_ROW = 2
"""In a book of so many rows for each of a page, a page is read in the order of deals."""

_MONTH = timedelta(days=31)
MONTHS_MAX = 240
"""For days further apart, the whole book is looked through."""

SESSION: LiteralString = """
    SET LOCAL jit = off; SET LOCAL work_mem = '64MB'; SET LOCAL datestyle = 'ISO, YMD';
    SET LOCAL enable_memoize = off
"""
"""A book is sorted in memory; compiling a statement takes as long as running it, and remembering
what an amount comes to takes longer than working it out."""

_UNSORTED: LiteralString = """
    SET LOCAL enable_sort = off; SET LOCAL max_parallel_workers_per_gather = 0
"""
"""What is read in order is told while it is read."""

_COPYING: LiteralString = "SET LOCAL statement_timeout = '15min'"
"""A copy lasts as long as whoever reads it; that they read at all is watched at the door."""

_HALF_EVEN: LiteralString = """
    CASE WHEN {x} - floor({x}) = 0.5 THEN 2 * round({x} * 0.5) ELSE round({x}) END
    * %(unit)s::numeric
"""
_REPORTING: LiteralString = _HALF_EVEN.replace("{x}", "units.claimed")
_WEIGHTED: LiteralString = _HALF_EVEN.replace("{x}", "units.weighted")
_MANAGER: LiteralString = "(%(managers)s::jsonb ->> s.owner)"
_TEAM: LiteralString = "(%(teams)s::jsonb ->> s.owner)"
_OF_ACCOUNT: LiteralString = "(%(account_dimensions)s::jsonb -> s.account)"
_SHARED: LiteralString = f"coalesce({_OF_ACCOUNT} || s.dimensions, s.dimensions, {_OF_ACCOUNT})"

CELLS: Final[Mapping[str, LiteralString]] = {
    "deal": "s.deal",
    "deal_name": "s.name",
    "account": "s.account",
    "owner": "s.owner",
    "manager": _MANAGER,
    "team": _TEAM,
    "category": "s.category",
    "outcome": "s.outcome",
    "counts_on": "s.counts_on::text",
    "fiscal_quarter": """
        CASE WHEN month.named_by BETWEEN 2 AND 9998
            THEN lpad(month.named_by::text, 4, '0') || '-Q' || (month.months_in / 3 + 1)::text END
    """,
    "stage": "s.stage",
    "amount": "s.amount::float8",
    "amount_exact": "s.amount::text",
    "currency": "s.currency",
    "reporting_amount": "money.claimed::float8",
    "reporting_amount_exact": "money.claimed::text",
    "weighted_amount": "money.weighted::float8",
    "weighted_amount_exact": "money.weighted::text",
    "reporting_currency": "%(reporting_currency)s::text",
    "close_date": "s.close_date::text",
    "dimensions": f"nullif(({_SHARED})::text, '{{}}')",
    "evidenced": "s.evidenced",
    "stands_at": "s.gate",
    "weight_percent": "s.weight_percent::integer",
    "as_of": "%(as_of)s::text",
    "basis_known_at": "%(basis_known_at)s::text",
    "basis_position": "%(basis_position)s::bigint",
    "basis_rules": "%(basis_rules)s::text",
}  # fmt: skip
"""How each column is read."""

_CONDITIONS: Final[Mapping[str, LiteralString]] = {
    "deal": "s.deal = %(deal)s",
    "account": "s.account = %(account)s",
    "owner": "s.owner = %(owner)s",
    "manager": f"{_MANAGER} = %(manager)s",
    "team": f"{_TEAM} = %(team)s",
    "category": "s.category = %(category)s",
    "outcome": "s.outcome = %(outcome)s",
    "period": "s.counts_on BETWEEN %(first_day)s AND %(last_day)s",
    "counts_from": "s.counts_on >= %(counts_from)s::date",
    "counts_until": "s.counts_on <= %(counts_until)s::date",
    "stage": "s.stage = %(stage)s",
    "currency": "s.currency = %(currency)s",
    "evidenced": "s.evidenced = %(evidenced)s",
    "stands_at": "s.gate = %(stands_at)s",
    "amount_from": "money.claimed::float8 >= %(amount_from)s",
    "amount_until": "money.claimed::float8 <= %(amount_until)s",
    "dimension": f"({_SHARED}) ->> %(dimension_name)s = %(dimension_value)s",
}
"""What each filter leaves in."""

_JOINS: Final[Mapping[LiteralString, LiteralString]] = {
    "money.": f"""
        CROSS JOIN LATERAL (SELECT s.amount * (%(rates)s::jsonb ->> s.currency)::numeric
            * %(units)s::numeric AS claimed OFFSET 0
        ) AS converted
        CROSS JOIN LATERAL (SELECT converted.claimed,
            converted.claimed * s.weight_percent * 0.01 AS weighted OFFSET 0
        ) AS units
        CROSS JOIN LATERAL (
            SELECT {_REPORTING} AS claimed, {_WEIGHTED} AS weighted OFFSET 0
        ) AS money
    """,
    "month.": """
        CROSS JOIN LATERAL (SELECT date_part('year', s.counts_on)::integer AS year,
            date_part('month', s.counts_on)::integer AS month OFFSET 0
        ) AS calendar
        CROSS JOIN LATERAL (SELECT
            calendar.year + %(named_by_end)s - (calendar.month < %(start_month)s)::integer
                AS named_by,
            (calendar.month - %(start_month)s + 12) %% 12 AS months_in OFFSET 0
        ) AS month
    """,
}
"""What is worked out of a row, where a cell or a condition looks at it. What stands elsewhere is
looked up in a parameter: a join would take the rows out of their order."""


_WHOLE_BOOK: LiteralString = f"""
    SELECT s.* FROM {{side}}.deal_state AS s WHERE {stabbing.HOLDING}
"""
_IN_ORDER: LiteralString = f"""
    SELECT s.* FROM {{side}}.deal_state AS s WHERE {stabbing.IN_ORDER}
"""
_WITHOUT_A_DAY: LiteralString = f"""
    SELECT s.* FROM {{side}}.deal_state AS s WHERE {stabbing.INCOMPLETE} AND s.counts_on IS NULL
"""
"""Those that count on no day, and so in no month."""

# The first and the last month in which any deal counts that a stab could find.
_FIRST_AND_LAST: LiteralString = """
    SELECT min(qledger.month_of(counts_on)), max(qledger.month_of(counts_on))
    FROM {{side}}.deal_state WHERE {meeting}
"""
_MONTHS_ON_DIAGONAL: LiteralString = _FIRST_AND_LAST.format(
    meeting="greatest(valid_from, known_from) < least(valid_to, known_to)"
)
_MONTHS_OFF_DIAGONAL: Final[Mapping[LiteralString, LiteralString]] = {
    stabbing.IN_HINDSIGHT: _FIRST_AND_LAST.format(meeting="valid_from < known_from"),
    stabbing.IN_FORESIGHT: _FIRST_AND_LAST.format(meeting="known_from < valid_from"),
}
_IN_MONTHS: LiteralString = f"""
    SELECT s.* FROM {stabbing.MONTHS} {stabbing.AT_ONCE}
"""
_IN_MONTHS_TOO: Final[Mapping[LiteralString, LiteralString]] = {
    each: f"{_IN_MONTHS} UNION ALL SELECT s.* FROM {stabbing.MONTHS} {each}"
    for each in (stabbing.IN_HINDSIGHT, stabbing.IN_FORESIGHT)
}
"""Off the diagonal: what holds both it and the point, and what holds the point alone."""

_SPANS: LiteralString = """
    SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = '{side}.deal_state_in_order'::regclass
"""
"""About how many there are on the diagonal."""

_HAS_ROWS: LiteralString = f"""
    SELECT count(*) = %(rows)s FROM (
        SELECT FROM {stabbing.MONTHS} {stabbing.AT_ONCE} LIMIT %(rows)s
    ) AS found
"""


@contextmanager
def rows_from_tables(
    book: Book, given: Mapping[str, Cell], wanted: Wanted, first: int | None = None
) -> Iterator[Iterator[Row] | None]:
    """The rows of deals, all columns wide; None where the log must be folded.

    Args:
        book: the book at the basis.
        given: filter values by name, checked.
        wanted: the columns that will be looked at, none of which the fold alone says.
        first: how many rows will be read at most; None is all.
    """
    asked = Asked(book, given, wanted)
    with book.tables() as tables:
        if tables is None:
            yield None
            return
        asked.prepare(tables, first)
        cells = [CELLS[name] if name in wanted.columns else "NULL" for name in _COLUMNS]
        statement = asked.statement(cells)
        parameters = {**asked.parameters, "first": first}
        if first is not None:
            statement += " LIMIT %(first)s"
        with tables.connection.cursor(name="rows") as cursor:
            cursor.itersize = ROWS_PER_BATCH
            yield iter(cursor.execute(on(tables.side, statement), parameters, binary=True))


@contextmanager
def copied_from_tables(
    book: Book, given: Mapping[str, Cell], columns: Sequence[str]
) -> Iterator[Iterator[memoryview] | None]:
    """The rows of deals as lines of CSV without a head; None where the log must be folded.

    Args:
        book: the book at the basis.
        given: filter values by name, checked.
        columns: which columns, in order; none of them needs the fold.
    """
    asked = Asked(book, given, Wanted(frozenset(columns), {}, {}))
    with book.tables() as tables:
        if tables is None:
            yield None
            return
        asked.prepare(tables)
        tables.connection.execute(_COPYING)
        statement: LiteralString = "COPY (" + asked.statement([CELLS[name] for name in columns])
        statement += ") TO STDOUT (FORMAT csv)"
        with (
            tables.connection.cursor() as cursor,
            cursor.copy(on(tables.side, statement), asked.parameters) as copy,
        ):
            yield _chunks(copy)


def _chunks(copy: Any) -> Iterator[memoryview]:
    for line in copy:
        yield memoryview(line)


class Asked:
    """A question as SQL: everything that needs the log is read before the tables are.

    Args:
        book: the book at the basis.
        given: filter values by name.
        wanted: which columns are looked at, and behind which deal.
    """

    def __init__(self, book: Book, given: Mapping[str, Cell], wanted: Wanted) -> None:
        basis = book.basis
        self._given = given
        self._after = None if wanted.after is None else wanted.after[0]
        self._bounds = _bounds(book, given)
        self._point = Point(basis.valid_at, basis.known_at, _months(self._bounds))
        self.parameters: dict[str, Any] = {
            **self._point.parameters(),
            **given,
            **dict(zip(_BASIS, basis_cells(basis), strict=True)),
            "after": self._after,
        }
        self._add_conversion(book)
        self._add_calendar(book)
        self._whole = self._bounds is None
        self._in_order = False
        parts = [*(CELLS[name] for name in wanted.columns), *(_CONDITIONS[name] for name in given)]
        self._joins = [join for join in _JOINS if any(join in part for part in parts)]
        if any("%(managers)s" in part or "%(teams)s" in part for part in parts):
            self._add_people(book)
        if any("%(account_dimensions)s" in part for part in parts):
            self._add_accounts(book)

    def _add_conversion(self, book: Book) -> None:
        converter = Converter(book.settings)
        known = {currency for pair in book.settings.rates for currency in pair}
        known |= {converter.currency} if converter.currency is not None else set()
        rates = {
            currency: str(rate)
            for currency in sorted(known)
            if (rate := converter.rate(currency)) is not None
        }
        unit = converter.unit
        self.parameters.update(
            reporting_currency=converter.currency,
            unit=unit,
            units=None if unit is None else 1 / unit,
            rates=_json(rates),
        )

    def _add_calendar(self, book: Book) -> None:
        calendar = book.calendar
        self.parameters.update(
            start_month=calendar.start_month,
            named_by_end=int(calendar.named_by == "end" and calendar.start_month > 1),
            first_day=None if self._bounds is None else self._bounds[0],
            last_day=None if self._bounds is None else self._bounds[1],
        )
        name, _, value = str(self._given.get("dimension", "")).partition("=")
        self.parameters.update(dimension_name=name.strip(), dimension_value=value.strip())

    def _add_people(self, book: Book) -> None:
        people = book.people.values()
        self.parameters.update(
            managers=_json({each.person_id: each.manager for each in people}),
            teams=_json({each.person_id: each.team for each in people}),
        )

    def _add_accounts(self, book: Book) -> None:
        accounts = book.directory.accounts.items()
        shared = {key: account.dimensions for key, account in accounts if account.dimensions}
        self.parameters.update(account_dimensions=_json(shared))

    def prepare(self, tables: Tables, first: int | None = None, *, ordered: bool = True) -> None:
        """Choose how rows are found: in the order of deals, or by the months in which they count.

        In the order of deals reading ends with the page, but passes by those that were not open
        yet; by months all of the book is found, and nothing else.

        Args:
            tables: those that are to be asked, from now on as is best for rows.
            first: how many rows will be read at most; None is all.
            ordered: whether the order is wanted.
        """
        tables.connection.execute(SESSION)
        if self._bounds is not None or "deal" in self._given:
            return
        if ordered and not self._given and self._point.added is None:
            self._in_order = self._is_read_in_order(tables, first)
        elif self._given or first is None or first > FEW_ROWS:
            self._look_in_months(tables)
        if self._in_order:
            tables.connection.execute(_UNSORTED)

    def _is_read_in_order(self, tables: Tables, first: int | None) -> bool:
        """Whether few spans of the book are passed by for each row that is read."""
        if first is not None and first <= FEW_ROWS:
            return True
        spans = int(tables.rows(_SPANS, {})[0][0])
        if first is not None and spans <= SPANS_PER_ROW * first:
            return True
        rows = spans // SPANS_PER_ROW if first is None else ROWS_PER_PAGE_ROW * first
        return not self._look_in_months(tables) or self._holds(tables, rows)

    def _holds(self, tables: Tables, rows: int) -> bool:
        """Whether the book has so many rows at the point."""
        [[many]] = tables.rows(_HAS_ROWS, {**self.parameters, "rows": rows})
        return bool(many)

    def _look_in_months(self, tables: Tables) -> bool:
        """Look through the months in which deals count, unless they are too far apart."""
        added = self._point.added
        asked = [_MONTHS_ON_DIAGONAL, *([] if added is None else [_MONTHS_OFF_DIAGONAL[added]])]
        found = [day for each in asked for day in tables.rows(each, {})[0] if day is not None]
        if not found or max(found) - min(found) > MONTHS_MAX * _MONTH:
            return False
        self._bounds = min(found), max(found)
        self._point = self._point._replace(months=_months(self._bounds))
        self.parameters.update(self._point.parameters())
        return True

    def statement(self, cells: Sequence[LiteralString], *, ordered: bool = True) -> LiteralString:
        """The rows with some cells.

        Args:
            cells: as SQL.
            ordered: in the order of deals, or in none.
        """
        conditions: list[LiteralString] = [_CONDITIONS[name] for name in self._given]
        if self._after is not None:
            conditions.append("s.deal > %(after)s")
        where: LiteralString = " AND ".join(["true", *conditions])
        selected: LiteralString = ", ".join(cells)
        joined: LiteralString = " ".join(_JOINS[join] for join in self._joins)
        return (
            "SELECT " + selected + " FROM (" + self._source() + ") AS s " + joined
            + " WHERE " + where + (" ORDER BY s.deal" if ordered else "")
        )  # fmt: skip

    def _source(self) -> LiteralString:
        if self._in_order:
            return _IN_ORDER
        if self._bounds is None or "deal" in self._given:
            return _WHOLE_BOOK
        added = self._point.added
        found = _IN_MONTHS if added is None else _IN_MONTHS_TOO[added]
        return found + " UNION ALL " + _WITHOUT_A_DAY if self._whole else found


def _json(found: Mapping[str, Any]) -> str:
    return orjson.dumps(found).decode()


_BASIS = ("as_of", "basis_known_at", "basis_position", "basis_rules")
_COLUMNS = tuple(DEALS.index)


def _bounds(book: Book, given: Mapping[str, Cell]) -> tuple[date, date] | None:
    """The days between which deals count that are asked for; None when they are not bounded."""
    if "period" in given:
        period = book.calendar.period(str(given["period"]))
        return period.first_day, period.last_day
    if {"counts_from", "counts_until"} <= given.keys():
        first = date.fromisoformat(str(given["counts_from"]))
        last = date.fromisoformat(str(given["counts_until"]))
        is_short = first <= last and last - first <= MONTHS_MAX * _MONTH
        return (first, last) if is_short else None
    return None


def _months(bounds: tuple[date, date] | None) -> list[date]:
    if bounds is None:
        return []
    return stabbing.months_between(bounds[0].replace(day=1), bounds[1])
