"""Every request is seen: its id, its line in the log, its span, its numbers, its limits.

Law: a request has one id: the one that it brings in `X-Request-ID`, where that is sound, else a new
one; the answer carries it, and so does all that is logged of it. An error that nobody expected is
told as `internal-error`, and nothing more of it leaves.
"""

from __future__ import annotations

import logging
import math
import re
import time
import uuid
from contextlib import suppress
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import tracing
from api.access.readings import Asking
from api.http import metrics
from api.http.credentials import asking_in
from api.http.logs import log_request
from api.noted import UNEXPECTED, Noted, noting, unexpected

LOGGER = logging.getLogger("qledger.http")
PATH_CHARACTERS_MAX = 200
POSITIONS_MAX = 10
_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DOORS = {
    "/graphql": "graphql",
    "/export": "export",
    "/ingest": "ingest",
    "/healthz": "server",
    "/readyz": "server",
    "/metrics": "server",
}


class Observed:
    """Sees requests and sockets from their first byte to their last."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        method = scope.get("method", "SOCKET")
        method = method if method in _METHODS or method == "SOCKET" else "OTHER"
        one = _One(Noted(_request_id(scope)), scope, method)
        with noting(one.note), tracing.request_span(method, scope["headers"]):
            try:
                await self._app(scope, receive, one.through(send))
            except Exception as error:
                one.note.code("internal-error", failed=True)
                LOGGER.exception("unexpected in a request", exc_info=error)
                if one.status is not None or scope["type"] != "http":
                    raise
                await _unexpected(one.note)(scope, receive, one.through(send))
            finally:
                one.end()


class _One:
    """One request as it goes along."""

    def __init__(self, note: Noted, scope: Scope, method: str) -> None:
        self.note = note
        self.status: int | None = None
        self._scope = scope
        self._method = method
        self._began = time.perf_counter()

    def through(self, send: Send) -> Send:
        """Sends on, with what the head of the answer says of the request."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                if "rate-limited" in self.note.codes:
                    message["status"] = 429
                self.status = message["status"]
                _say(MutableHeaders(scope=message), self.note)
            elif message["type"] == "websocket.accept":
                self.status = 101
            await send(message)

        return told

    def end(self) -> None:
        """Count it, write its line, and name its span."""
        seconds = time.perf_counter() - self._began
        status = self.status if self.status is not None else _unanswered(self._scope)
        outcome = _outcome(status, self.note)
        door = "stream" if self.note.kind == "subscription" else _door(self._scope)
        metrics.request_ended(door, self.note.document, outcome, seconds)
        if self.note.spent is not None:
            metrics.question_asked(self.note.spent.cost)
        log_request(self._line(status, seconds, door, outcome, asking_in(self._scope)))
        tracing.tell(
            {
                "http.response.status_code": status,
                "qledger.request_id": self.note.request_id,
                "qledger.outcome": outcome,
            }
        )
        tracing.rename(f"{self._method} {door}", failed=outcome == "failed")

    def _line(
        self,
        status: int,
        seconds: float,
        door: str,
        outcome: str,
        asking: Asking | None,
    ) -> dict[str, Any]:
        note = self.note
        positions = sorted({basis.horizon for basis in asking.bases}) if asking else []
        return {
            "request_id": note.request_id,
            "method": self._method,
            "path": self._scope["path"][:PATH_CHARACTERS_MAX],
            "door": door,
            "document": note.document,
            "operation": note.operation,
            "kind": note.kind,
            "status": status,
            "outcome": outcome,
            "codes": note.codes or None,
            "ms": round(seconds * 1000, 2),
            "cost": None if note.spent is None else note.spent.cost,
            "principal": asking.principal.how if asking else None,
            "person": asking.principal.person or None if asking else None,
            "role": asking.principal.role.value if asking else None,
            "positions": positions[:POSITIONS_MAX] or None,
        }


def _request_id(scope: Scope) -> str:
    said = [value for key, value in scope["headers"] if key == b"x-request-id"]
    with suppress(UnicodeDecodeError):
        found: str = said[0].decode("ascii") if len(said) == 1 else ""
        if _ID.fullmatch(found):
            return found
    return uuid.uuid4().hex


def _say(headers: MutableHeaders, note: Noted) -> None:
    headers["X-Request-ID"] = note.request_id
    spent = note.spent
    if spent is None:
        return
    headers["X-RateLimit-Cost"] = str(spent.cost)
    if spent.limit is not None and spent.full_in_seconds is not None:
        headers["X-RateLimit-Limit"] = str(spent.limit)
        headers["X-RateLimit-Remaining"] = str(spent.remaining)
        headers["X-RateLimit-Reset"] = str(math.ceil(time.time() + spent.full_in_seconds))
    if note.wait_seconds is not None:
        headers["Retry-After"] = str(math.ceil(note.wait_seconds))


def _door(scope: Scope) -> str:
    if scope["type"] == "websocket":
        return "socket"
    return _DOORS.get("/" + scope["path"].split("/", 2)[1] if "/" in scope["path"] else "", "other")


def _unanswered(scope: Scope) -> int:
    """The status of what was never answered: the asker left, or the socket was refused."""
    return 403 if scope["type"] == "websocket" else 499


def _outcome(status: int, note: Noted) -> metrics.Outcome:
    if note.failed or status >= 500:
        return "failed"
    if status == 429:
        return "limited"
    return "refused" if status >= 400 or note.codes else "ok"


def _unexpected(note: Noted) -> JSONResponse:
    fault = {"message": UNEXPECTED, "extensions": unexpected(note)}
    return JSONResponse({"errors": [fault]}, status_code=500)
