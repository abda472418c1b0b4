"""A door at one moment: "now" is one instant for all that a request asks; what it asked is kept.

Law: everything in one answer rests on the same present. What was asked, and which bases it came to,
says whether another answer would be the same; asked again at a later moment it is resolved anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self, TypeAlias

from api.access.readings import Asking
from api.asof import AsOf
from api.door import Door
from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.store.database import Database
from ledger.store.log import Head
from projections.book import Book
from projections.reader import LogReader, Present

HEAD = "head"
"""Asked for: where the log ends."""

Asked: TypeAlias = AsOf | Basis | str
"""What an answer may rest on: a question of a time, a basis given in full, the end of the log."""


class MomentDoor(Door):
    """A door for one request.

    Args:
        database: where the log is.
        settings: of the installation.
        asking: who asks.
    """

    def __init__(
        self, database: Database, settings: Settings, asking: Asking | None = None
    ) -> None:
        super().__init__(database, settings, asking)
        self._moment: Present | None = None
        self._alone = threading.Lock()
        self._found: dict[Asked, Basis | int] = {}

    @classmethod
    def of(cls, door: Door) -> Self:
        """The same door, from this moment on."""
        return cls(door.database, door._settings, door.asking)

    @property
    def asked(self) -> tuple[Asked, ...]:
        """What was asked so far."""
        return tuple(self._found)

    @property
    def rests_on(self) -> tuple[Basis | int, ...]:
        """What the answer rests on: bases, and ends of the log."""
        return tuple(self._found.values())

    def ask_again(self, asked: Iterable[Asked]) -> None:
        """Ask at this moment what another request asked.

        Raises:
            InvalidInput, NotFound, Forbidden: as asking does.
        """
        for each in asked:
            if isinstance(each, AsOf):
                self.resolve(each)
            elif isinstance(each, Basis):
                self._found[each] = each
            else:
                self.head()

    def head(self) -> Head:
        head = super().head()
        with self._alone:
            self._found[HEAD] = head.size
        return head

    def resolve(self, asked: AsOf) -> Basis:
        basis = super().resolve(asked)
        with self._alone:
            self._found[asked] = basis
        return basis

    def _now(self, reader: LogReader) -> Present:
        with self._alone:
            self._moment = self._moment or super()._now(reader)
            return self._moment

    @contextmanager
    def book_at(self, basis: Basis) -> Iterator[Book]:
        with self._alone:
            if basis not in self._found.values():
                self._found[basis] = basis
        with super().book_at(basis) as book:
            yield book

    @contextmanager
    def books(self, *questions: AsOf) -> Iterator[list[Book]]:
        with ExitStack() as stack:
            bases = [self.resolve(asked) for asked in questions]
            yield [stack.enter_context(self.book_at(basis)) for basis in bases]
