"""Ingest: POST /ingest takes canonical events in bulk, one JSON object a line.

Law: a body is read as it comes, in bounded memory, and no faster than it is recorded. What was
recorded stays, whatever becomes of the rest; the answer tells how far that is. Lines that are sent
again are recognised by their event ids, so whoever got no answer sends all of it again. Only some
bodies are taken at once, and one that stalls is given up, so that others get their turn.

    200  every line is in the ledger
    207  some lines were refused and left out; every other line is in the ledger
    422  nothing could be recorded; or a line was refused, and the sender asked to stop there
    408, 409, 413, 503  reading ended early, for a reason in `errors`; go on after `up_to_line`
"""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from api.access.policy import Operation
from api.door import Door
from api.http.credentials import asking_of
from api.http.faults import fault, told_of
from ledger.connectors.ingest import Ingest, OnRefusal
from ledger.domain.errors import InvalidInput, QledgerError, Unavailable
from ledger.store.ledger import Ledger

INGEST_PATH = "/ingest"
NDJSON = b"application/x-ndjson"
"""A page of another site cannot send it without asking, and is not answered when it asks."""

AT_ONCE_MAX = 2
RETRY_SECONDS = 5
STALLED_SECONDS = 60
"""How long a sender may send nothing."""

LINGER_SECONDS = 2
"""How long a sender who was told why reading ended may take to hear it."""

PART_BYTES = 256 * 1024
"""How much is handed to the thread that reads lines at once."""


def ingest_routes(door: Door, ledger: Ledger) -> APIRouter:
    """The route that takes events in bulk.

    Args:
        door: knows what the one who asks may do.
        ledger: where events are recorded.
    """
    router = APIRouter()
    running = threading.BoundedSemaphore(AT_ONCE_MAX)

    @router.post(INGEST_PATH, include_in_schema=False)
    async def ingest(request: Request) -> Response:
        try:
            door.seen_by(asking_of(request)).check(Operation.IMPORT)
            on_refusal = _on_refusal(request)
            body = _Body(request, ledger.database.settings.ingest_bytes_max)
        except QledgerError as error:
            return _refused(error)
        if not running.acquire(blocking=False):
            refused = _refused(
                Unavailable("too-many-ingests", f"{AT_ONCE_MAX} bodies are being taken already")
            )
            refused.headers["Retry-After"] = str(RETRY_SECONDS)
            return refused
        try:
            return await _taken(body, Ingest(ledger, on_refusal))
        finally:
            running.release()

    return router


def _on_refusal(request: Request) -> OnRefusal:
    """What the sender wants to become of the rest when a line is refused.

    Raises:
        InvalidInput: `unknown-argument`, `argument-twice`, `invalid-argument`.
    """
    said = request.query_params.multi_items()
    for name, _text in said:
        if name != "on_refusal":
            raise InvalidInput(
                "unknown-argument", f"there is no argument {name[:100]!r}", where=name[:100],
                hint="there is on_refusal",
            )  # fmt: skip
    if len(said) > 1:
        raise InvalidInput("argument-twice", "on_refusal is given twice", where="on_refusal")
    spelt = said[0][1] if said else OnRefusal.GO_ON.value
    if spelt not in set(OnRefusal):
        raise InvalidInput(
            "invalid-argument", f"{spelt[:100]!r} is no way to go on", where="on_refusal",
            hint=f"it is {' or '.join(OnRefusal)}",
        )  # fmt: skip
    return OnRefusal(spelt)


async def _taken(body: _Body, incoming: Ingest) -> Response:
    """Read a body to its end, or as far as that goes, and tell what became of it."""
    try:
        async for part in body.parts():
            if not await run_in_threadpool(incoming.take, part):
                break
        await run_in_threadpool(incoming.end)
    except ClientDisconnect:
        return Response(status_code=408)  # nobody hears it
    except QledgerError as error:
        return _refused(error, incoming.as_dict(), is_read=body.is_read)
    return JSONResponse(incoming.as_dict(), _status(incoming), {"Cache-Control": "no-store"})


def _status(incoming: Ingest) -> int:
    nothing = not (incoming.added or incoming.already_known)
    if incoming.stopped or (incoming.refused_count and nothing):
        return 422
    return 207 if incoming.refused_count else 200


def _refused(
    error: QledgerError, counted: dict[str, Any] | None = None, *, is_read: bool = False
) -> Response:
    """Why reading ended, with what had become of the lines before that."""
    told = {**(counted or {}), "errors": [told_of(error)]}
    answer = JSONResponse if is_read else _Lingering
    return answer(told, fault(error).status_code, {"Cache-Control": "no-store"})


class _Lingering(JSONResponse):
    """An answer to who may still be sending: what comes is read for a moment, and not looked at.

    Else the system would close the connection upon what nobody read, and take the answer back.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        while (await receive()).get("more_body", False):
                            pass
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await super().__call__(scope, receive, told)


class _Body:
    """The bytes of a request, in parts that are handed on together; unpacked where they are packed.

    Args:
        request: whose body it is.
        bytes_max: how long it may be, unpacked; 0 is no limit.

    Raises:
        InvalidInput: `unsupported-encoding`, `request-too-large`.
    """

    def __init__(self, request: Request, bytes_max: int) -> None:
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip"}:
            raise InvalidInput(
                "unsupported-encoding", "a body is sent as it is, or packed with gzip",
                where="Content-Encoding",
            )  # fmt: skip
        self._request = request
        self._zipped = _Zipped() if encoding == "gzip" else None
        self._bytes_max = bytes_max
        self._left = bytes_max
        self.is_read = False
        """Whether the sender has sent all of it."""
        said = request.headers.get("content-length", "")
        if bytes_max and said.isdecimal() and int(said) > bytes_max:
            raise self._too_large()

    async def parts(self) -> AsyncIterator[bytes]:
        """The body, part by part; the next one is asked for when the last one was worked off.

        Raises:
            InvalidInput: `request-too-large`, `body-stalled`, `unreadable-body`.
            Unavailable: `server-stopping`.
            ClientDisconnect: the sender is gone.
        """
        held: list[bytes] = []
        size = 0
        async for sent in self._sent():
            held.append(sent)
            size += len(sent)
            if size >= PART_BYTES:
                async for part in self._unpacked(b"".join(held)):
                    yield part
                held, size = [], 0
        async for part in self._unpacked(b"".join(held)):
            yield part
        if self._zipped is not None:
            self._zipped.end()

    async def _sent(self) -> AsyncIterator[bytes]:
        stream = self._request.stream()
        while True:
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    sent = await anext(stream, None)
            except TimeoutError:
                raise InvalidInput(
                    "body-stalled", f"nothing came for {STALLED_SECONDS} seconds",
                    hint="send the lines after up_to_line again",
                ) from None  # fmt: skip
            if sent is None:
                self.is_read = True
                return
            if self._request.app.state.subscriptions.closing.is_set():
                raise Unavailable(
                    "server-stopping", "the server is being stopped",
                    hint="send the lines after up_to_line again",
                )  # fmt: skip
            yield sent

    async def _unpacked(self, part: bytes) -> AsyncIterator[bytes]:
        if self._zipped is None:
            yield self._counted(part)
            return
        self._zipped.put(part)
        while unpacked := await run_in_threadpool(self._zipped.next):
            yield self._counted(unpacked)

    def _counted(self, part: bytes) -> bytes:
        self._left -= len(part)
        if self._bytes_max and self._left < 0:
            raise self._too_large()
        return part

    def _too_large(self) -> InvalidInput:
        return InvalidInput(
            "request-too-large", f"a body is at most {self._bytes_max} bytes, unpacked",
            hint="send the lines after up_to_line as another one; "
            "QLEDGER_INGEST_BYTES_MAX sets the limit",
        )  # fmt: skip


class _Zipped:
    """Gzip, unpacked a bounded part at a time, whatever it grows to."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=31)
        self._packed = b""

    def put(self, part: bytes) -> None:
        """Take in what is packed."""
        self._packed += part

    def next(self) -> bytes:
        """The next part; empty when more must be put in first.

        Raises:
            InvalidInput: `unreadable-body`.
        """
        while self._packed:
            if self._unpacker.eof:  # files put together one behind another are one file
                self._unpacker = zlib.decompressobj(wbits=31)
            try:
                part = self._unpacker.decompress(self._packed, PART_BYTES)
            except zlib.error:
                raise _unreadable() from None
            self._packed = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            if part:
                return part
        return b""

    def end(self) -> None:
        """There is no more.

        Raises:
            InvalidInput: `unreadable-body`, where it ends in the middle.
        """
        if not self._unpacker.eof:
            raise _unreadable()


def _unreadable() -> InvalidInput:
    return InvalidInput("unreadable-body", "the body is not whole gzip, as its header says it is")
