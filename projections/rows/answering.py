"""What many rows say: a page of them, their number, their sums, groups of them.

Law: all of it is made in one pass over the rows, in constant memory: a page holds as many rows as
it shows, a sum one number. Counts and sums say what all rows say that the filters let through,
whatever page is looked at. Amounts are added exactly, and only what may be added: all in one
currency, of one measure, and of a bridge either its steps or one of its ends.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from ledger.domain.errors import InvalidInput
from projections.book import Book
from projections.rows.asking import Question, rows
from projections.rows.definition import Cell, Column, Kind, Role, Row, Table
from projections.rows.ordering import Descending, places

GROUPS_MAX = 50_000


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
    parts: dict[str, set[Any]] = field(default_factory=dict)
    """By measure: the currencies, and what else tells apart what may not be added."""

    def add(self, row: Row) -> None:
        """Take one more row."""
        self.count += 1
        for column, at, exact, part_of in _measured(self.table, self.measures):
            cell: Any = row[at]
            if cell is None:
                continue
            name = column.name
            self.counts[name] = self.counts.get(name, 0) + 1
            exactly = Decimal(str(row[exact])) if exact is not None else Decimal(cell)
            self.totals[name] = self.totals.get(name, Decimal(0)) + exactly
            self.least[name] = min(cell, self.least.get(name, cell))
            self.most[name] = max(cell, self.most.get(name, cell))
            if part_of is not None:
                self.parts.setdefault(name, set()).add(part_of(row))

    def as_dict(self) -> dict[str, Any]:
        """`count`, and for each measure `sum_`, `avg_`, `min_` and `max_`; exact sums as text."""
        facts: dict[str, Any] = {"count": self.count}
        for column, *_places in _measured(self.table, self.measures):
            name = column.name
            counted = self.counts.get(name, 0)
            mixed = len(self.parts.get(name, ())) > 1
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


_Measured: TypeAlias = tuple[Column, int, int | None, Callable[[Row], Any] | None]


@cache
def _measured(table: Table, measures: frozenset[str]) -> tuple[_Measured, ...]:
    """The measures with their places, those of their exact text, and what parts each."""
    at = table.index
    return tuple(
        (
            column,
            at[column.name],
            None if column.exact is None else at[column.exact],
            itemgetter(*map(at.__getitem__, column.parted_by)) if column.parted_by else None,
        )
        for column in table.measures
        if column.name in measures
    )


def _looked_at(table: Table, measures: frozenset[str]) -> set[str]:
    """The columns that sums of some measures look at."""
    found = [table.column(name) for name in measures]
    several = ((each.name, each.exact, *each.parted_by) for each in found)
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
    with closing(rows(book, asked, columns)) as found:
        return answer_of(found, asked, wishes)


def answer_of(found: Iterable[Row], asked: Question, wishes: Wishes) -> Answers:
    """Answer all of it in one pass over rows that somebody made.

    Args:
        found: the rows, in any order, with all cells that are looked at.
        asked: which rows they are, in which order they are to be.
        wishes: what is wanted of them.

    Raises:
        InvalidInput: `too-many-groups`.
    """
    table = asked.table
    makers = [_Paging(asked, page) for page in wishes.pages]
    grouping = [_Grouping(table, dimensions, summed) for dimensions, summed in wishes.groups]
    total = Sums(table, wishes.sums or frozenset())
    for row in found:
        total.add(row)
        for each in makers:
            each.add(row)
        for group in grouping:
            group.add(row)
    return Answers([each.page() for each in makers], total, [group.groups() for group in grouping])


def _next_page(book: Book, asked: Question, page: PageWanted) -> Page:
    """A page in the order of the key: read from where the last one ended."""
    more = rows(book, asked, page.columns, after=page.after, first=page.first + 1)
    with closing(more) as found:
        taken = list(islice(found, page.first + 1))
    return Page(taken[: page.first], len(taken) > page.first)


class _Paging:
    """Keeps the first rows behind a row, in an order, of all that come by."""

    def __init__(self, asked: Question, page: PageWanted) -> None:
        order = asked.full_order
        self._place = places(asked.table, order)
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
        entry = (Descending(place), row)
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
