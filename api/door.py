"""What every door does first: reach the ledger, resolve the basis, open the book.

Law: an answer is made from one `Book`, whose basis was resolved once. A door shows what its
principal may read, and nothing else: every book that it opens has their scope.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from api.access import policy
from api.access.commands import Now
from api.access.policy import Operation
from api.access.principals import ANYBODY
from api.access.readings import Asking
from api.asof import AsOf, check_sees, resolve
from api.reached import await_reached
from api.tracing import question_span
from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.domain.times import format_instant
from ledger.store import log
from ledger.store.database import Connection, Database
from ledger.store.log import Head
from projections.book import Book, Origin
from projections.discreet import DiscreetReader
from projections.reader import LogReader, Present
from projections.scope import Scope

NOW = AsOf()


class Door:
    """Opens books on one database.

    Args:
        database: where the log is.
        settings: of the installation.
        asking: who asks; by default anybody, who may see everything.
    """

    def __init__(
        self, database: Database, settings: Settings, asking: Asking | None = None
    ) -> None:
        self.database = database
        self._settings = settings
        self.asking = asking or Asking(ANYBODY)
        self._reached = 0
        """The log is known to hold this position."""

    def seen_by(self, asking: Asking) -> Door:
        """The same door as the one who asks sees it."""
        return Door(self.database, self._settings, asking)

    def check(self, operation: Operation) -> None:
        """Refuse what the one who asks may not do.

        Raises:
            Forbidden: `forbidden`.
        """
        policy.check(self.asking.principal, operation)

    def head(self) -> Head:
        """The end of the log."""
        with self.database.asking() as connection:
            return log.head(connection)

    def reach(self, *questions: AsOf) -> None:
        """Wait, a bounded time, until the log holds what questions must see.

        Raises:
            Unavailable: `position-not-reached`.
        """
        self._reach(max((asked.min_position or 0 for asked in questions), default=0))

    def _reach(self, position: int) -> None:
        if position > self._reached:
            self._reached = await_reached(self.database, position)

    def resolve(self, asked: AsOf) -> Basis:
        """The basis of a question asked now.

        Raises:
            InvalidInput, NotFound: see `api.asof.resolve`.
            Forbidden: `forbidden`.
            Unavailable: `position-not-reached`.
        """
        self.check(Operation.READ)
        self.reach(asked)
        with self.database.asking() as connection:
            reader = LogReader(connection)
            present = self._now(reader)
            basis = resolve(asked, present, reader)
        self._reached = max(self._reached, present.head)
        self._note(basis)
        return basis

    def _now(self, reader: LogReader) -> Present:
        return reader.present()

    def taken_up(self, asked: AsOf, basis: Basis | None) -> Basis:
        """The basis of a page: that of the page before, or what is asked now.

        Args:
            asked: what was said of the basis.
            basis: that of the page before; None for a first page.

        Raises:
            InvalidInput, NotFound, Forbidden, Unavailable: as `resolve` does.
        """
        if basis is None:
            return self.resolve(asked)
        check_sees(basis, asked.min_position)
        return basis

    def instant(self, spelt: str, basis: Basis) -> str:
        """A time that is not a basis, such as the end of what is looked ahead to, as an instant.

        Raises:
            InvalidInput: `invalid-as-of`.
        """
        with self.database.asking() as connection:
            reader = LogReader(connection)
            ahead = resolve(AsOf(as_of=spelt), Present(basis.known_at, basis.horizon), reader)
        return format_instant(ahead.valid_at)

    @contextmanager
    def book_at(self, basis: Basis) -> Iterator[Book]:
        """A book at a basis that is resolved already.

        Raises:
            Forbidden: `forbidden`.
            Unavailable: `position-not-reached`, where the log that is read ends before it.
        """
        self._reach(basis.horizon)
        with question_span(basis), self.database.asking() as connection:
            yield self._book(connection, basis)

    @contextmanager
    def books(self, *questions: AsOf) -> Iterator[list[Book]]:
        """A book for each question, all resolved against the same present.

        Raises:
            InvalidInput, NotFound: see `api.asof.resolve`.
            Forbidden: `forbidden`.
            Unavailable: `position-not-reached`.
        """
        self.reach(*questions)
        with ExitStack() as stack:
            books = []
            present: Present | None = None
            for asked in questions:
                connection = stack.enter_context(self.database.asking())
                reader = LogReader(connection)
                present = present or reader.present()
                self._reached = max(self._reached, present.head)
                basis = resolve(asked, present, reader)
                stack.enter_context(question_span(basis))
                books.append(self._book(connection, basis))
            yield books

    @contextmanager
    def book(self, asked: AsOf = NOW) -> Iterator[Book]:
        """A book for one question."""
        with self.books(asked) as (book,):
            yield book

    def now(self) -> Now:
        """What is in the scope of the one who asks now: on what they may write."""

        def scope() -> Scope:
            with self._present() as book:
                return book.scope

        def accounts() -> frozenset[str] | None:
            with self._present() as book:
                return book.accounts_shown

        return Now(cache(scope), cache(accounts))

    @contextmanager
    def _present(self) -> Iterator[Book]:
        with self.database.connection() as connection:
            clock, head = LogReader(connection).present()
            yield self._scoped(connection, Basis(clock, clock, head))

    def _book(self, connection: Connection, basis: Basis) -> Book:
        self.check(Operation.READ)
        self._note(basis)
        return self._scoped(connection, basis)

    def _scoped(self, connection: Connection, basis: Basis) -> Book:
        principal = self.asking.principal
        discreet = not policy.reads_personal_data(principal)
        reader = DiscreetReader(connection) if discreet else LogReader(connection)
        book = Book(Origin(reader, self.database.url, self._settings.workers), basis)
        book.scope = policy.scope_of(principal, lambda: book.chart)
        if book.scope.superior is not None:
            clock, head = reader.present()
            if max(basis.valid_at, basis.known_at) > clock:  # who is to report to them does not yet
                book.scope = book.scope.also_at(book.at(Basis(clock, clock, head)).chart)
        return book

    def _note(self, basis: Basis) -> None:
        policy.check_basis(self.asking.principal, basis)
        self.asking.note(basis)
