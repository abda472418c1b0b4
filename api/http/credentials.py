"""Nobody gets in unknown: the principal behind each request, and the log of what was read.

Law: every path but those that tell only of the server itself needs credentials, as soon as any are
needed at all; a refusal is a 401 that says which kinds are taken and tells nothing of those that
were sent. Behind this the one who asks stands in the request's state, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from anyio import CancelScope
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.identify import Identifier
from api.access.readings import ASKED_CHARACTERS_MAX, Asking, log_reading
from api.http.faults import fault
from ledger.domain.errors import QledgerError, Unauthenticated
from ledger.store.database import Database

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What tells of the server itself, and nothing of the ledger."""

_CHALLENGES = ('Basic realm="qledger", charset="UTF-8"', 'Bearer realm="qledger"')
_ASKING = "asking"

LATER_PATH = "/graphql"
"""Where a socket may say who it is with its first message (see `api.http.sockets`)."""


def asking_of(connection: HTTPConnection) -> Asking:
    """Who asks in a request, and what was noted of what they were told."""
    asking: Asking = connection.scope["state"][_ASKING]
    return asking


def asking_in(scope: Scope) -> Asking | None:
    """The same; None where nobody is known yet."""
    asking: Asking | None = scope.get("state", {}).get(_ASKING)
    return asking


def know(scope: Scope, asking: Asking) -> None:
    """Keep who asks, for all that looks at the request."""
    scope.setdefault("state", {})[_ASKING] = asking


class KnownOnly:
    """Refuses requests and sockets without credentials that hold.

    A socket without any may say them with its first message: it is let through unknown.
    """

    def __init__(self, app: ASGIApp, identifier: Identifier) -> None:
        self._app = app
        self._identifier = identifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        said = [value.decode("latin-1") for key, value in headers if key == b"authorization"]
        try:
            if len(said) > 1:
                raise Unauthenticated("invalid-credentials", "credentials are sent once")
            authorization = said[0] if said else None
            if authorization is None and _says_later(scope):
                await self._app(scope, receive, send)
                return
            principal = await run_in_threadpool(self._identifier.principal_of, authorization)
        except QledgerError as refusal:
            await _refuse(refusal, scope, receive, send)
            return
        know(scope, Asking(principal))
        await self._app(scope, receive, send)


def _says_later(scope: Scope) -> bool:
    return bool(scope["type"] == "websocket" and scope["path"] == LATER_PATH)


async def _refuse(refusal: QledgerError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4401})
        return
    answer = fault(refusal)
    for challenge in _CHALLENGES if isinstance(refusal, Unauthenticated) else ():
        answer.headers.append("WWW-Authenticate", challenge)
    await answer(scope, receive, send)


class ReadingsLogged:
    """Logs a reading before the last bytes of its answer leave.

    An answer that leaves in parts is logged before the first of them as begun, and again at its
    end with all that left, also where it was broken off.
    """

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _ASKING not in scope.get("state", {}):
            await self._app(scope, receive, send)
            return
        asking: Asking = scope["state"][_ASKING]
        asked = _Asked(scope)
        digest, size = sha256(), 0
        begun = ended = False

        async def heard() -> Message:
            message = await receive()
            asked.take(message)
            return message

        def log(how_far: str = "") -> None:
            log_reading(
                self._database,
                asking.principal,
                asked=how_far + str(asked),
                bases=asking.bases,
                answer_sha256=digest.digest(),
                answer_bytes=size,
            )

        async def told(message: Message) -> None:
            nonlocal size, begun, ended
            if message["type"] == "http.response.body" and asking.is_to_be_logged:
                body, more = message.get("body", b""), message.get("more_body", False)
                if more and not begun:
                    begun = True
                    await run_in_threadpool(log, "(begun) ")
                digest.update(body)
                size += len(body)
                if not more:
                    await run_in_threadpool(log)
                    ended = True
            await send(message)

        try:
            await self._app(scope, heard, told)
        finally:
            if begun and not ended:
                with CancelScope(shield=True):
                    await run_in_threadpool(log, "(broken off) ")


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
