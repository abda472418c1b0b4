"""Subscriptions as server-sent events, in the distinct connections mode of graphql-sse.

Law: one request is one subscription: `POST /graphql/stream`, or any request to /graphql that takes
`text/event-stream`. Each item is an event `next` whose id is its position; a request that comes
back with `Last-Event-ID` goes on right behind it, and a quiet stream says from time to time how far
it is. A stream that the server breaks off, because it stops, has no `complete`: it is to be taken
up again. Nothing but subscriptions is taken here, and from no page of another site.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from fastapi import Depends, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response, StreamingResponse
from strawberry.http import process_result
from strawberry.http.websocket_origin import is_same_origin
from strawberry.types.unset import UNSET

from api.asof import parse_horizon
from api.http.encoding import json_bytes
from api.http.faults import fault
from api.http.media import ranges
from api.http.questions import Question, QuestionRouter
from api.http.sockets import SocketHandler, TextSocket, known_on
from api.subscribing import Stream, Subscriptions
from ledger.domain.errors import Forbidden, InvalidInput, QledgerError

LOGGER = logging.getLogger("qledger.http")
EVENT_STREAM = "text/event-stream"
PATH = "/stream"
QUIET_SECONDS_MAX = 15.0
"""How long nothing is said at most, so that nobody on the way takes the connection for dead."""

FIRST_QUIET_SECONDS_MAX = 0.5
"""The same at first: who comes back before the first item goes on from where they began."""

_HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx must not keep it back
}


class _Part(NamedTuple):
    """A part of a stream: its text, and the position of the item that it tells."""

    event: str
    data: bytes
    position: int | None = None

    def __bytes__(self) -> bytes:
        said = b"" if self.position is None else b"id: %d\n" % self.position
        return b"%sevent: %s\ndata: %s\n\n" % (said, self.event.encode(), self.data)


class StreamRouter(QuestionRouter):
    """A router that also tells subscriptions, over sockets and as server-sent events."""

    graphql_transport_ws_handler_class = SocketHandler
    websocket_adapter_class = TextSocket  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

        given = Depends(self.context_getter)

        async def streamed(request: Request, context: Any = given) -> Any:
            return await self._stream(request, context)

        self.add_api_route(PATH, streamed, methods=["GET", "POST"], include_in_schema=False)

    async def on_ws_connect(self, context: dict[str, Any]) -> Any:
        await known_on(context)
        return UNSET

    async def run(self, request: Any, context: Any = UNSET, root_value: Any = UNSET) -> Any:
        if isinstance(request, Request) and takes_a_stream(request):
            return await self._stream(request, context)
        return await super().run(request, context, root_value)

    async def _stream(self, request: Request, context: dict[str, Any]) -> Response:
        if not _is_of_same_origin(request):
            return fault(Forbidden("other-origin", "a page of another site may not listen"))
        try:
            asked = await _asked(request)
            resumed_at = _resumed_at(request)
        except QledgerError as error:
            return fault(error)
        stream = Stream(context["line"], context["door"].asking, resumed_at)
        results = await self.schema.subscribe(
            asked.text,
            variable_values=asked.variables,
            operation_name=asked.operation,
            context_value={**context, "stream": stream},
        )
        subscriptions: Subscriptions = context["subscriptions"]
        return StreamingResponse(
            _told(results, stream, subscriptions), media_type=EVENT_STREAM, headers=_HEADERS
        )


def takes_a_stream(request: Request) -> bool:
    """Whether a request takes server-sent events, and so is a subscription."""
    return dict(ranges(request.headers.get("accept", ""))).get(EVENT_STREAM, 0.0) > 0


def _is_of_same_origin(connection: HTTPConnection) -> bool:
    """Whether a request comes from no page, or from one of ours."""
    origin = connection.headers.get("origin")
    return origin is None or is_same_origin(origin, connection.headers.get("host"))


async def _told(
    results: AsyncGenerator[Any, None], stream: Stream, subscriptions: Subscriptions
) -> AsyncIterator[bytes]:
    """The bytes of a stream.

    One task takes the results, one at a time, so that what they are made in stays one context; it
    is at most one item ahead of what was sent.
    """
    parts: asyncio.Queue[_Part | None] = asyncio.Queue(maxsize=1)

    async def take() -> None:
        try:
            async for result in results:
                position = None if result.data is None else stream.telling
                await parts.put(_Part("next", json_bytes(process_result(result)), position))
            await parts.put(_Part("complete", b""))
        except Exception as error:  # whatever it is, the stream is broken off
            LOGGER.exception("unexpected in a stream", exc_info=error)
            await parts.put(None)

    taking = asyncio.create_task(take())
    closing = asyncio.create_task(subscriptions.closing.wait())
    closing.add_done_callback(lambda _done: _break_off(parts))
    try:
        yield b": following\n\n"
        quiet = FIRST_QUIET_SECONDS_MAX
        while True:
            try:
                async with asyncio.timeout(quiet):
                    part = await parts.get()
            except TimeoutError:
                quiet = QUIET_SECONDS_MAX
                # What is in the queue was not sent yet, and may be all that was told so far.
                known = stream.told if parts.empty() else None
                yield b": quiet\n\n" if known is None else b"id: %d\n: quiet\n\n" % known
                continue
            if part is None:
                return
            yield bytes(part)
            if part.event == "complete":
                return
    finally:
        for task in (closing, taking):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await results.aclose()


def _break_off(parts: asyncio.Queue[_Part | None]) -> None:
    """End a stream, in place of what is still to be sent: it is told when it is taken up again."""
    with suppress(asyncio.QueueEmpty):
        parts.get_nowait()
    with suppress(asyncio.QueueFull):
        parts.put_nowait(None)


async def _asked(request: Request) -> Question:
    """What a request asks.

    Raises:
        InvalidInput: `invalid-request`, `no-query`, `invalid-variables`.
    """
    try:
        if request.method == "GET":
            said: Any = dict(request.query_params)
            said["variables"] = orjson.loads(said.get("variables") or "null")
        else:
            said = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise InvalidInput("invalid-request", "a request is one JSON object") from None
    if not isinstance(said, dict):
        raise InvalidInput("invalid-request", "a request is one JSON object")
    text, variables, operation = (said.get(k) for k in ("query", "variables", "operationName"))
    if not isinstance(text, str) or not text:
        raise InvalidInput("no-query", "nothing is asked", hint="give query, and variables")
    if not isinstance(variables, dict | None):
        raise InvalidInput("invalid-variables", "variables are a JSON object", where="variables")
    if not isinstance(operation, str | None):
        raise InvalidInput("invalid-request", "operationName is text", where="operationName")
    return Question(text, variables, operation or None)


def _resumed_at(request: Request) -> int | None:
    """The position of the last event that somebody who comes back was told.

    Raises:
        InvalidInput: `invalid-horizon`.
    """
    said = request.headers.get("last-event-id", "").strip()
    return parse_horizon(said[:40], where="Last-Event-ID") if said else None
