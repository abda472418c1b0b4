"""Nobody gets in unknown: the principal behind each request.

Law: every path but those that tell only of the server itself needs credentials, as soon as any are
needed at all; a refusal is a 401 that says which kinds are taken and tells nothing of those that
were sent. Behind this the one who asks stands in the request's state, and nowhere else.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.identify import Identifier
from api.access.readings import Asking
from api.http.faults import fault
from ledger.domain.errors import QledgerError, Unauthenticated

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
