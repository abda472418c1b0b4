"""Opens the book of one snapshot for the fields that ask.

Law: every field of a snapshot is answered at its one basis. Fields that ask at the same moment (all
deals of a page do) are answered from one book, one after another in one worker thread: what they
share is read once, not once a deal, and one snapshot does not take the connections of all others.
What a deal's gates say is folded once for all fields of the deal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from starlette.concurrency import run_in_threadpool
from strawberry.dataloader import DataLoader

from api.door import Door
from ledger.domain.basis import Basis
from ledger.domain.errors import QledgerError
from projections.book import Book
from projections.journey import gates_as_dict
from projections.versions import versions_at

K = TypeVar("K")
T = TypeVar("T")
Question = Callable[[Book], Any]


class Journey(NamedTuple):
    """The gates of a deal, asked for with what lapses until an instant, or without."""

    deal: str
    ahead_until: str | None = None


class Opener:
    """Opens books at one basis.

    Args:
        door: where questions are asked.
        basis: that of the snapshot.
        times: the digest of the snapshot's times as they were spelt; its cursors hold it.
    """

    def __init__(self, door: Door, basis: Basis, times: str) -> None:
        self._door = door
        self.basis = basis
        self.bases = (basis,)
        self.times = times
        self._before: Book | None = None
        self._questions: DataLoader[Question, Any] = DataLoader(load_fn=self._answered, cache=False)
        self._instants: DataLoader[str, str] = DataLoader(load_fn=self._resolved)
        self._versions: DataLoader[str, int | None] = DataLoader(load_fn=self._counted)
        self._journeys: DataLoader[Journey, dict[str, Any]] = DataLoader(load_fn=self._folded)

    async def ask(self, question: Callable[[Book], T]) -> T:
        """An answer from the book of all that is asked at the same moment.

        Raises:
            QledgerError: that of the question; what nobody expected fails all of that moment.
        """
        answer: T = await self._questions.load(question)
        return answer

    async def journey(self, journey: Journey) -> dict[str, Any]:
        """See `projections.journey.gates_as_dict`."""
        return await self._journeys.load(journey)

    async def version(self, stream: str) -> int | None:
        """See `projections.versions.versions_at`."""
        return await self._versions.load(stream)

    async def instant(self, spelt: str) -> str:
        """A time to look ahead to, as an instant.

        Raises:
            InvalidInput: `invalid-as-of`.
        """
        return await self._instants.load(spelt)

    async def _resolved(self, spelt: list[str]) -> list[str | QledgerError]:
        def instant(each: str) -> str:
            return self._door.instant(each, self.basis)

        return await run_in_threadpool(_each, instant, spelt)

    async def _counted(self, streams: list[str]) -> list[int | None]:
        found = await self.ask(lambda book: versions_at(book, streams))
        return [found[stream] for stream in streams]

    async def _folded(self, wanted: list[Journey]) -> list[dict[str, Any] | QledgerError]:
        return await self.ask(lambda book: _each(partial(_journey, book), wanted))

    async def _answered(self, questions: list[Question]) -> list[Any]:
        return await run_in_threadpool(self._ask, questions)

    def _ask(self, questions: list[Question]) -> list[Any]:
        with self._door.book_at(self.basis) as book:
            if self._before is not None:
                book.take_over(self._before)
            self._before = book
            return _each(lambda question: question(book), questions)


def _journey(book: Book, wanted: Journey) -> dict[str, Any]:
    return gates_as_dict(book, book.deal(wanted.deal), ahead_until=wanted.ahead_until)


def _each(answer: Callable[[K], T], asked: list[K]) -> list[T | QledgerError]:
    """The answer to each, or why it has none."""
    found: list[T | QledgerError] = []
    for each in asked:
        try:
            found.append(answer(each))
        except QledgerError as error:
            found.append(error.with_traceback(None))  # else it keeps what it went through
    return found
