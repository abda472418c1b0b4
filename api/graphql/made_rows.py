"""Answers of flat tables whose rows are made all at once, from more than one book.

Law: rows are made once for all fields of a connection, and what is said of them is said as of any
flat table (`api.graphql.row_answers`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from strawberry.dataloader import DataLoader

from api.door import Door
from api.graphql.row_answers import RowsAnswer, Wish
from api.graphql.row_cursor import Asked
from ledger.domain.errors import QledgerError
from projections.rows.answering import answer_of
from projections.rows.asking import Question
from projections.rows.definition import Row

_ROWS = "rows"


class MadeRows(RowsAnswer):
    """What a connection of such rows answers.

    Args:
        make: makes the rows.
        door: where it is asked.
        question: which rows they are, in which order.
        asked: what its cursors belong to; its basis is the second one.
        first: how many rows a page has.
        after: the cells of the last row of the page before.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[list[Row]]],
        door: Door,
        question: Question,
        asked: Asked,
        first: int,
        after: Row | None,
    ) -> None:
        super().__init__(door, question, asked, first, after)
        self._make = make
        self._rows: DataLoader[str, list[Row]] = DataLoader(load_fn=self._all)

    async def _answered(self, wanted: list[Wish]) -> list[Any]:
        try:
            rows = await self._rows.load(_ROWS)
            answered = partial(answer_of, rows, self.question)
            by_wish = await run_in_threadpool(self._made, answered, wanted)
        except QledgerError as error:
            return [error] * len(wanted)
        return [by_wish[each] for each in wanted]

    async def _all(self, wanted: list[str]) -> list[list[Row] | QledgerError]:
        try:
            rows = await self._make()
        except QledgerError as error:
            return [error] * len(wanted)
        return [rows] * len(wanted)
