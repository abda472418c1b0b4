"""Subscriptions: answers that go on while the log grows, each from a position that it states.

Law: a subscription goes through the log by position, so whoever comes back with the last position
that they were told goes on right behind it: nothing is missed and nothing is told twice. Where they
are slow nothing is kept for them; the log is read when they take the next item. Who listens is
known again every `RECHECK_SECONDS`: credentials that hold no more end it. How many there are is
limited, for a connection and for the server. Reading has threads of its own, so that those who
listen never keep those who ask waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool

from api.access.identify import Identifier
from api.access.readings import Asking
from ledger.domain.errors import Unauthenticated, Unavailable
from ledger.store.database import Database
from projections.follower import Follower, Passage, check_reaches

RECHECK_SECONDS = 10.0

T = TypeVar("T")


class Line:
    """A connection on which somebody listens.

    Args:
        authorization: the credentials by which they are known; None where there are none.
    """

    def __init__(self, authorization: str | None) -> None:
        self.authorization = authorization
        self.subscriptions = 0


class Stream:
    """One subscription as it is told.

    Args:
        line: on which it is told.
        asking: who listens, and what was noted of what they were told.
        resumed_at: go on behind this position, whatever the question says.
    """

    def __init__(self, line: Line, asking: Asking, resumed_at: int | None = None) -> None:
        self.line = line
        self.asking = asking
        self.resumed_at = resumed_at
        self.telling: int | None = None
        """The position of the item at hand."""
        self.told: int | None = None
        """All up to this position was told: where to go on from."""
        asking.streams()


class Subscriptions:
    """All subscriptions of a server.

    Args:
        database: where the log is.
        identifier: knows who listens.
    """

    def __init__(self, database: Database, identifier: Identifier) -> None:
        settings = database.settings
        self.database = database
        self.follower = Follower(lambda: database.url, database.do)
        self.closing = asyncio.Event()
        """Set when the server is about to stop: streams end, to be taken up again later."""
        self._identifier = identifier
        self._threads = CapacityLimiter(settings.workers)
        self._most = settings.subscriptions_max
        self._most_on_a_line = settings.subscriptions_per_connection_max
        self._held = 0

    @property
    def open(self) -> int:
        """How many are held now."""
        return self._held

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Do what waits for the database in a thread for those who listen."""
        return await to_thread.run_sync(lambda: work(*arguments), limiter=self._threads)

    async def know(self, stream: Stream) -> None:
        """Know again who listens.

        Raises:
            Unauthenticated: the credentials hold no more.
        """
        known = await run_in_threadpool(self._identifier.principal_of, stream.line.authorization)
        if known != stream.asking.principal:
            raise Unauthenticated("invalid-credentials", "these credentials are another's now")

    @contextmanager
    def held(self, stream: Stream) -> Iterator[None]:
        """Hold a place for a subscription.

        Raises:
            Unavailable: `too-many-subscriptions`.
        """
        line = stream.line
        if line.subscriptions >= self._most_on_a_line:
            raise _too_many(
                f"a connection holds at most {self._most_on_a_line} subscriptions",
                "complete one, or open another connection",
            )
        if self._held >= self._most:
            raise _too_many(
                f"this server holds at most {self._most} subscriptions",
                "try again later; whoever runs the server can raise QLEDGER_SUBSCRIPTIONS_MAX",
            )
        line.subscriptions += 1
        self._held += 1
        try:
            yield
        finally:
            line.subscriptions -= 1
            self._held -= 1

    async def begin(self, stream: Stream, after: int | None) -> int:
        """Where a subscription begins: behind the position that it was given, or at the end.

        Raises:
            NotFound: `unknown-position`, where the log does not reach that position.
            Unauthenticated: the credentials hold no more.
        """
        await self.know(stream)
        head = await self.in_thread(self.follower.head)
        start = next((each for each in (stream.resumed_at, after) if each is not None), head)
        check_reaches(head, start)
        stream.told = stream.telling = start
        return start

    async def passages(
        self, stream: Stream, after: int, read: Callable[[int], Passage]
    ) -> AsyncGenerator[Passage, None]:
        """The log behind a position, part by part, for as long as it is asked for more.

        Args:
            stream: to whom it is told; it is moved on when a part was dealt with.
            after: a position.
            read: reads what comes behind one, in a thread.

        Raises:
            Unauthenticated: the credentials hold no more.
            Unavailable: the database cannot serve now.
        """
        loop, bell = asyncio.get_running_loop(), asyncio.Event()
        known_at = loop.time()
        with self.follower.woken(lambda: _ring(loop, bell)):
            while True:
                if loop.time() - known_at >= RECHECK_SECONDS:
                    await self.know(stream)
                    known_at = loop.time()
                bell.clear()
                passage = await self.in_thread(read, after)
                if passage.up_to > after:
                    yield passage
                    after = stream.told = passage.up_to
                    continue
                # Not `wait_for`: it can miss a cancellation when the bell rings at once.
                with suppress(TimeoutError):
                    async with asyncio.timeout(RECHECK_SECONDS):
                        await bell.wait()


def _ring(loop: asyncio.AbstractEventLoop, bell: asyncio.Event) -> None:
    loop.call_soon_threadsafe(bell.set)


def _too_many(message: str, hint: str) -> Unavailable:
    return Unavailable("too-many-subscriptions", message, hint=hint)
