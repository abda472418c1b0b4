"""Answers of flat tables whose rows are made all at once, from more than one book.

Law: rows are made once for all fields of a connection, in a worker thread; what is said of them is
said as of any flat table (`projections.rows.answering`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace

from starlette.concurrency import run_in_threadpool
from strawberry.dataloader import DataLoader

from api.graphql.row_answers import Page, row_type
from api.graphql.row_cursor import Asked
from ledger.domain.basis import Basis
from ledger.domain.errors import QledgerError
from projections.rows.answering import Answers, PageWanted, Wishes, answer_of
from projections.rows.asking import Question
from projections.rows.definition import Column, Row

_ROWS = "rows"


class MadeRows:
    """What a connection of such rows answers; see `api.graphql.row_answers.RowsAnswer`.

    Args:
        make: makes the rows.
        question: which rows they are, in which order.
        asked: what its cursors belong to.
        first: how many rows a page has.
        after: the cells of the last row of the page before.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[list[Row]]],
        question: Question,
        asked: Asked,
        first: int,
        after: Row | None,
    ) -> None:
        self.question = question
        self.asked = asked
        self.after = after
        self._make = make
        self._first = first
        self._rows: DataLoader[str, list[Row]] = DataLoader(load_fn=self._made)

    @property
    def basis(self) -> Basis:
        """The second basis."""
        return self.asked.basis

    async def page(self, columns: Iterable[str] = ()) -> Page:
        """The page, with all its cells."""
        del columns
        found = await self._answered(
            Wishes(pages=(PageWanted(self._first, self.after, frozenset()),))
        )
        rows, more = found.pages[0]
        return Page([row_type(self.question.table)._make(row) for row in rows], more)

    async def ends(self) -> Page:
        """The same: its first and its last row are in it."""
        return await self.page()

    async def sums(self, measures: frozenset[str]) -> SimpleNamespace:
        """The number of all rows and the sums of some measures over them."""
        found = await self._answered(Wishes(sums=measures))
        return SimpleNamespace(**found.sums.as_dict())

    async def groups(
        self, dimensions: tuple[Column, ...], measures: frozenset[str]
    ) -> list[SimpleNamespace]:
        """The same for each combination of the dimensions' values."""
        found = await self._answered(Wishes(groups=((dimensions, measures),)))
        names = [column.name for column in dimensions]
        return [
            SimpleNamespace(**dict(zip(names, key, strict=True)), **total.as_dict())
            for key, total in found.groups[0]
        ]

    async def _answered(self, wishes: Wishes) -> Answers:
        rows = await self._rows.load(_ROWS)
        return await run_in_threadpool(answer_of, rows, self.question, wishes)

    async def _made(self, wanted: list[str]) -> list[list[Row] | QledgerError]:
        try:
            rows = await self._make()
        except QledgerError as error:
            return [error] * len(wanted)
        return [rows] * len(wanted)
