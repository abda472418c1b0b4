"""Answers of flat tables: a page, a count, sums and groups, all from one pass over the rows.

Law: fields of a connection that are asked for at the same moment are answered together, in a worker
thread, at one basis. Only columns that are looked at are made.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

from starlette.concurrency import run_in_threadpool
from strawberry.dataloader import DataLoader
from strawberry.types import Info
from strawberry.types.nodes import FragmentSpread, InlineFragment, SelectedField, Selection

from api.door import Door
from api.graphql.row_cursor import Asked
from ledger.domain.basis import Basis
from ledger.domain.errors import QledgerError
from projections.rows.answering import PageWanted, Wishes, answer
from projections.rows.asking import Question
from projections.rows.definition import Column, Row, Table


@dataclass(frozen=True, slots=True)
class _Page:
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Sums:
    measures: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Groups:
    dimensions: tuple[Column, ...]
    measures: frozenset[str]


_Wish: TypeAlias = _Page | _Sums | _Groups
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
        self._wishes: DataLoader[_Wish, Any] = DataLoader(load_fn=self._answered)

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

    async def _answered(self, wanted: list[_Wish]) -> list[Any]:
        return await run_in_threadpool(self._answer, wanted)

    def _answer(self, wanted: list[_Wish]) -> list[Any]:
        pages = [each for each in wanted if isinstance(each, _Page)]
        sums = [each for each in wanted if isinstance(each, _Sums)]
        groups = [each for each in wanted if isinstance(each, _Groups)]
        columns = frozenset[str]().union(*(each.columns for each in pages))
        measures = frozenset[str]().union(*(each.measures for each in sums))
        wishes = Wishes(
            (PageWanted(self._first, self.after, columns),) if pages else (),
            measures if sums else None,
            tuple((each.dimensions, each.measures) for each in groups),
        )
        try:
            with self._door.book_at(self.basis) as book:
                found = answer(book, self.question, wishes)
        except QledgerError as error:
            return [error] * len(wanted)
        by_wish: dict[_Wish, Any] = {}
        for each in sums:
            by_wish[each] = SimpleNamespace(**found.sums.as_dict())
        for asked, rows in zip(groups, found.groups, strict=True):
            names = [column.name for column in asked.dimensions]
            by_wish[asked] = [
                SimpleNamespace(**dict(zip(names, key, strict=True)), **total.as_dict())
                for key, total in rows
            ]
        if pages:
            make = row_type(self.question.table)._make
            page = Page([make(row) for row in found.pages[0].rows], found.pages[0].more)
            by_wish.update(dict.fromkeys(pages, page))
        return [by_wish[each] for each in wanted]


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
