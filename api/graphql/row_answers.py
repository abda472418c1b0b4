"""Answers of flat tables: a page, a count, sums and groups, all from one pass over the rows.

Law: fields of a connection that are asked for at the same moment are answered together, in a worker
thread, at one basis. Only columns that are looked at are made.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

import orjson
from starlette.concurrency import run_in_threadpool
from strawberry.dataloader import DataLoader
from strawberry.types import Info
from strawberry.types.nodes import FragmentSpread, InlineFragment, SelectedField, Selection

from api.door import Door
from api.graphql.row_cursor import Asked
from ledger.domain.basis import Basis
from ledger.domain.errors import QledgerError
from projections.book import Book
from projections.rows.answering import Answers, PageWanted, Wishes, answer
from projections.rows.asking import Question
from projections.rows.definition import Column, Row, Table
from projections.rows.spelt import may_be_spelt, spelt_page

ROWS_PER_TURN = 500
"""How many rows are made into JSON at a time."""


@dataclass(frozen=True, slots=True)
class _Page:
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows are told as JSON.

    Args:
        names: the name of each cell and its column; no column is the name of the type.
        type_name: of a row.
        make: makes rows into what is told of them, or raises where it is not sure.
    """

    names: tuple[tuple[str, str | None], ...]
    type_name: str
    make: Callable[[Sequence[Any]], list[Any]]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are told."""
        return frozenset(column for _name, column in self.names if column is not None)


@dataclass(frozen=True, slots=True)
class _Spelt:
    shape: Shape


@dataclass(frozen=True, slots=True)
class _Ends:
    """The first and the last row of the page."""


@dataclass(frozen=True, slots=True)
class _Sums:
    measures: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Groups:
    dimensions: tuple[Column, ...]
    measures: frozenset[str]


Wish: TypeAlias = _Page | _Ends | _Spelt | _Sums | _Groups
"""What is wanted; wishes of two kinds are never equal."""


@cache
def row_type(table: Table) -> Any:
    """Rows as the schema reads them: cells by the name of their column."""
    return namedtuple("Row", [column.name for column in table.columns])


class Page(NamedTuple):
    """A page as the schema reads it: rows with cells by name."""

    rows: list[Any]
    more: bool


class RowsAnswer:
    """What a connection of flat rows answers.

    Args:
        door: where it is asked.
        question: which rows, in which order.
        asked: what its cursors belong to.
        first: how many rows a page has.
        after: the cells of the last row of the page before.
    """

    def __init__(
        self, door: Door, question: Question, asked: Asked, first: int, after: Row | None
    ) -> None:
        self.question = question
        self.asked = asked
        self.after = after
        self._first = first
        self._door = door
        self._wishes: DataLoader[Wish, Any] = DataLoader(load_fn=self._answered)

    @property
    def basis(self) -> Basis:
        """The basis of all of it."""
        return self.asked.basis

    async def page(self, columns: Iterable[str] = ()) -> Page:
        """The page; only the cells of these columns, and those of the order, are sure to be there.

        Raises:
            QledgerError: what opening the book and making the rows raises.
        """
        found: Page = await self._wishes.load(_Page(frozenset(columns)))
        return found

    async def ends(self) -> Page:
        """The first and the last row of the page, with the cells of the order; maybe others too."""
        found: Page = await self._wishes.load(_Ends())
        return found

    async def spelt(self, shape: Shape) -> orjson.Fragment:
        """The rows of the page as JSON; what is not sure to be what graphql-core makes is raised.

        Args:
            shape: how rows are told.

        Raises:
            Exception: as `page`, and as the shape does.
        """
        found: orjson.Fragment = await self._wishes.load(_Spelt(shape))
        return found

    async def sums(self, measures: frozenset[str]) -> SimpleNamespace:
        """The number of all rows and the sums of some measures over them."""
        found: SimpleNamespace = await self._wishes.load(_Sums(measures))
        return found

    async def groups(
        self, dimensions: tuple[Column, ...], measures: frozenset[str]
    ) -> list[SimpleNamespace]:
        """The same for each combination of the dimensions' values."""
        found: list[SimpleNamespace] = await self._wishes.load(_Groups(dimensions, measures))
        return found

    async def _answered(self, wanted: list[Wish]) -> list[Any]:
        return await run_in_threadpool(self._answer, wanted)

    def _answer(self, wanted: list[Wish]) -> list[Any]:
        try:
            with self._door.book_at(self.basis) as book:
                by_wish = self._spelt(book, wanted)
                left = [each for each in wanted if each not in by_wish]
                if left:
                    by_wish.update(self._made(partial(answer, book, self.question), left))
        except QledgerError as error:
            return [error] * len(wanted)
        return [by_wish[each] for each in wanted]

    def _spelt(self, book: Book, wanted: list[Wish]) -> dict[Wish, Any]:
        """The page as JSON, and what is told of it and of all rows, where the database tells it."""
        shapes = [each for each in wanted if isinstance(each, _Spelt)]
        if len(shapes) != 1 or not may_be_spelt(self.question, shapes[0].shape.names):
            return {}
        counted = _Sums(frozenset())
        (shape,) = shapes
        page = spelt_page(
            book, self.question, PageWanted(self._first, self.after, shape.shape.columns),
            shape.shape.names, shape.shape.type_name, count=counted in wanted,
        )  # fmt: skip
        if page is None:
            return {}
        found: dict[Wish, Any] = {shape: orjson.Fragment(page.rows)}
        if page.total is not None:
            found[counted] = SimpleNamespace(count=page.total)
        ends = [SimpleNamespace(deal=key) for key in (page.first, page.last) if key is not None]
        found[_Ends()] = Page(ends, page.more)
        return found

    def _made(self, answered: Callable[[Wishes], Answers], wanted: list[Wish]) -> dict[Wish, Any]:
        """What is made of rows, in one pass over them."""
        pages = [each for each in wanted if isinstance(each, _Page | _Ends)]
        shapes = [each for each in wanted if isinstance(each, _Spelt)]
        sums = [each for each in wanted if isinstance(each, _Sums)]
        groups = [each for each in wanted if isinstance(each, _Groups)]
        columns = frozenset[str]().union(
            *(each.columns for each in pages if isinstance(each, _Page)),
            *(each.shape.columns for each in shapes),
        )
        measures = frozenset[str]().union(*(each.measures for each in sums))
        wishes = Wishes(
            (PageWanted(self._first, self.after, columns),) if pages or shapes else (),
            measures if sums else None,
            tuple((each.dimensions, each.measures) for each in groups),
        )
        found = answered(wishes)
        by_wish: dict[Wish, Any] = {}
        for each in sums:
            by_wish[each] = SimpleNamespace(**found.sums.as_dict())
        for asked, rows in zip(groups, found.groups, strict=True):
            names = [column.name for column in asked.dimensions]
            by_wish[asked] = [
                SimpleNamespace(**dict(zip(names, key, strict=True)), **total.as_dict())
                for key, total in rows
            ]
        if pages or shapes:
            make = row_type(self.question.table)._make
            page = Page([make(row) for row in found.pages[0].rows], found.pages[0].more)
            by_wish.update(dict.fromkeys(pages, page))
            by_wish.update((each, _as_json(page.rows, each.shape)) for each in shapes)
        return by_wish


def _as_json(rows: list[Any], shape: Shape) -> orjson.Fragment | Exception:
    """Rows as JSON, some at a time, so that other threads get their turn."""
    parts: list[bytes] = []
    try:
        for start in range(0, len(rows), ROWS_PER_TURN):
            told = shape.make(rows[start : start + ROWS_PER_TURN])
            parts.append(orjson.dumps(told)[1:-1])
    except Exception as error:  # whatever it is, graphql-core is to say
        return error
    return orjson.Fragment(b"[" + b",".join(parts) + b"]")


def selected(info: Info, *path: str) -> frozenset[str]:
    """The names of the fields that are selected below a field, through fragments.

    Args:
        info: of the field.
        path: the names of fields to go down first.
    """
    found: list[Selection] = [part for each in info.selected_fields for part in each.selections]
    for name in path:
        found = [
            part for field in _fields(found) if field.name == name for part in field.selections
        ]
    return frozenset(field.name for field in _fields(found))


def _fields(selections: Iterable[Selection]) -> list[SelectedField]:
    found: list[SelectedField] = []
    for each in selections:
        if isinstance(each, SelectedField):
            found.append(each)
        elif isinstance(each, FragmentSpread | InlineFragment):
            found += _fields(each.selections)
    return found
