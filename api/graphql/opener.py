"""Opens the book of one snapshot for the fields that ask.

Law: every field of a snapshot is answered at its one basis, in a worker thread. What a deal's gates
say is folded once for all fields of the deal, and for all deals of a page from one book.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from starlette.concurrency import run_in_threadpool
from strawberry.dataloader import DataLoader

from api.door import Door
from ledger.domain.basis import Basis
from ledger.domain.errors import QledgerError
from projections.book import Book
from projections.journey import gates_as_dict

T = TypeVar("T")


class Journey(NamedTuple):
    """The gates of a deal, asked for with what lapses until an instant, or without."""

    deal: str
    ahead_until: str | None = None


class Opener:
    """Opens books at one basis.

    Args:
        door: where questions are asked.
        basis: that of the snapshot.
    """

    def __init__(self, door: Door, basis: Basis) -> None:
        self._door = door
        self.basis = basis
        self._journeys: DataLoader[Journey, dict[str, Any]] = DataLoader(load_fn=self._load)

    async def ask(self, question: Callable[[Book], T]) -> T:
        """An answer from a book of its own."""
        return await run_in_threadpool(self._ask, question)

    async def journey(self, journey: Journey) -> dict[str, Any]:
        """See `projections.journey.gates_as_dict`."""
        return await self._journeys.load(journey)

    async def instant(self, spelt: str) -> str:
        """A time to look ahead to, as an instant.

        Raises:
            InvalidInput: `invalid-as-of`.
        """
        return await run_in_threadpool(self._door.instant, spelt, self.basis)

    async def _load(self, wanted: list[Journey]) -> Sequence[dict[str, Any] | BaseException]:
        return await self.ask(lambda book: [_journey(book, each) for each in wanted])

    def _ask(self, question: Callable[[Book], T]) -> T:
        with self._door.book_at(self.basis) as book:
            return question(book)


def _journey(book: Book, wanted: Journey) -> dict[str, Any] | QledgerError:
    try:
        return gates_as_dict(book, book.deal(wanted.deal), ahead_until=wanted.ahead_until)
    except QledgerError as error:
        return error
