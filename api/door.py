"""What every door does first: reach the ledger, resolve the basis, open the book.

Law: an answer is made from one `Book`, whose basis was resolved once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from api.asof import AsOf, resolve
from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.domain.times import format_instant
from ledger.store import log
from ledger.store.database import Database
from ledger.store.log import Head
from projections.book import Book, Origin
from projections.reader import LogReader, Present

NOW = AsOf()


class Door:
    """Opens books on one database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def head(self) -> Head:
        """The end of the log."""
        with self._database.connection() as connection:
            return log.head(connection)

    def resolve(self, asked: AsOf) -> Basis:
        """The basis of a question asked now.

        Raises:
            InvalidInput, NotFound: see `api.asof.resolve`.
        """
        with self._database.connection() as connection:
            reader = LogReader(connection)
            return resolve(asked, reader.present(), reader)

    def instant(self, spelt: str, basis: Basis) -> str:
        """A time that is not a basis, such as the end of what is looked ahead to, as an instant.

        Raises:
            InvalidInput: `invalid-as-of`.
        """
        with self._database.connection() as connection:
            reader = LogReader(connection)
            ahead = resolve(AsOf(as_of=spelt), Present(basis.known_at, basis.horizon), reader)
        return format_instant(ahead.valid_at)

    @contextmanager
    def book_at(self, basis: Basis) -> Iterator[Book]:
        """A book at a basis that is resolved already."""
        with self._database.connection() as connection:
            yield self._book(LogReader(connection), basis)

    @contextmanager
    def books(self, *questions: AsOf) -> Iterator[list[Book]]:
        """A book for each question, all resolved against the same present.

        Raises:
            InvalidInput, NotFound: see `api.asof.resolve`.
        """
        with ExitStack() as stack:
            books = []
            present: Present | None = None
            for asked in questions:
                connection = stack.enter_context(self._database.connection())
                reader = LogReader(connection)
                present = present or reader.present()
                books.append(self._book(reader, resolve(asked, present, reader)))
            yield books

    @contextmanager
    def book(self, asked: AsOf = NOW) -> Iterator[Book]:
        """A book for one question."""
        with self.books(asked) as (book,):
            yield book

    def _book(self, reader: LogReader, basis: Basis) -> Book:
        return Book(Origin(reader, self._database.url, self._settings.workers), basis)
