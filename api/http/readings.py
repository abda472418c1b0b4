"""The log of what was read, at the doors: requests, and all that leaves in parts.

Law: what has to be logged is logged before it leaves: an answer in one piece before it is sent, one
that leaves in parts as begun before the first of them, and again at its end with all that left,
also where it was broken off. A HEAD tells nothing of the ledger, and is no reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256

from anyio import CancelScope
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.readings import ASKED_CHARACTERS_MAX, Asking, log_reading
from api.http.credentials import asking_in
from ledger.store.database import Database

_BEGUN, _BROKEN_OFF = "(begun) ", "(broken off) "


class Reading:
    """An answer as it leaves, and its lines in the log.

    Args:
        database: where readings are logged.
        asking: who asks, and what was noted of what they are told.
        asked: the question as it is logged, as far as it is known when it is called.
    """

    def __init__(self, database: Database, asking: Asking, asked: Callable[[], str]) -> None:
        self._database = database
        self._asking = asking
        self._asked = asked
        self._digest, self._size = sha256(), 0
        self._begun = self._ended = False

    async def begin(self) -> None:
        """More is to come behind what leaves next."""
        if not self._begun:
            await run_in_threadpool(self._log, _BEGUN)
            self._begun = True

    def take(self, told: bytes) -> None:
        """A part that leaves next."""
        self._digest.update(told)
        self._size += len(told)

    async def complete(self) -> None:
        """What was taken is all of it, and leaves now."""
        await run_in_threadpool(self._log, "")
        self._ended = True

    async def end(self, *, completed: bool = False) -> None:
        """Nothing more leaves of what was begun; also where the task is being ended.

        Args:
            completed: whether all of it has left.
        """
        if self._begun and not self._ended:
            with CancelScope(shield=True):
                await run_in_threadpool(self._log, "" if completed else _BROKEN_OFF)

    def _log(self, how_far: str) -> None:
        log_reading(
            self._database,
            self._asking.principal,
            asked=how_far + self._asked(),
            bases=self._asking.bases,
            answer_sha256=self._digest.digest(),
            answer_bytes=self._size,
        )


class ReadingsLogged:
    """Logs the readings of requests."""

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asking = asking_in(scope) if scope["type"] == "http" else None
        if asking is None or scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        asked = _Asked(scope)
        reading = Reading(self._database, asking, lambda: str(asked))

        async def heard() -> Message:
            message = await receive()
            asked.take(message)
            return message

        async def told(message: Message) -> None:
            if message["type"] == "http.response.body" and asking.may_be_logged:
                more, is_reading = message.get("more_body", False), asking.is_to_be_logged
                if is_reading and more:
                    await reading.begin()
                reading.take(message.get("body", b""))
                if is_reading and not more:
                    await reading.complete()
            await send(message)

        try:
            await self._app(scope, heard, told)
        finally:
            await reading.end()


class _Asked:
    """A request as it is logged: its line, and as much of its body as is kept."""

    def __init__(self, scope: Scope) -> None:
        query = scope.get("query_string", b"").decode("latin-1")
        self._line = f"{scope['method']} {scope['path']}{'?' if query else ''}{query}"
        self._parts: list[bytes] = []
        self._kept = 0

    def take(self, message: Message) -> None:
        """Take a part of the body; the server limits how long all of them are."""
        body = message.get("body", b"")
        if self._kept <= 16 * ASKED_CHARACTERS_MAX:
            self._parts.append(body)
            self._kept += len(body)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self._line
        body = b"".join(self._parts).decode(errors="replace")
        if body:
            yield body
