"""Subscriptions over a WebSocket, in the protocol graphql-transport-ws.

Law: who listens is known before anything is told: by the `Authorization` of the handshake, or by
that in the payload of `connection_init`, which a page can send; the payload counts where there are
both. Nothing but subscriptions is taken, so a socket reads and writes nothing that a request may
not. What has to be logged as a reading is logged before the first item leaves, and again at the
end, with the digest of all items that did.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)

from api.access.identify import Identifier
from api.access.readings import Asking
from api.door import Door
from api.http.credentials import know
from api.http.encoding import json_bytes
from api.http.readings import Reading
from api.subscribing import Line, Stream
from ledger.domain.errors import QledgerError
from ledger.store.database import Database

INIT_SECONDS_MAX = timedelta(seconds=10)
"""How long a socket may be open before it says who listens."""


async def known_on(context: dict[str, Any]) -> None:
    """Know who listens on a socket, and open the door for them.

    Args:
        context: of the socket: `line`, `door` and `identifier`, and what it said at first.

    Raises:
        ConnectionRejectionError: nobody is known by these credentials.
    """
    line: Line = context["line"]
    identifier: Identifier = context["identifier"]
    said = context["connection_params"]
    given = said.get("Authorization", said.get("authorization"))
    if given is not None:
        line.authorization = str(given)
    try:
        principal = await run_in_threadpool(identifier.principal_of, line.authorization)
    except QledgerError:
        raise ConnectionRejectionError from None
    asking = Asking(principal)
    know(context["request"].scope, asking)
    door: Door = context["door"]
    context["door"] = door.seen_by(asking)


class TextSocket(ASGIWebSocketAdapter):
    """A socket that sends JSON as text, as the protocol wants it."""

    async def send_json(self, message: Any) -> None:
        try:
            await self.ws.send_text(json_bytes(message).decode())
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error


class _Operation:
    """A subscription of a socket, and the log of what it told.

    Args:
        database: where readings are logged.
        stream: as it is told.
        asked: the question.
    """

    def __init__(self, database: Database, stream: Stream, asked: dict[str, Any]) -> None:
        self.stream = stream
        self._reading = Reading(
            database, stream.asking, lambda: f"WS /graphql {json_bytes(asked).decode()}"
        )

    async def tell(self, payload: Any) -> None:
        """Log before it leaves what has to be logged."""
        if self.stream.asking.is_to_be_logged:
            await self._reading.begin()
            self._reading.take(json_bytes(payload))

    async def end(self, *, completed: bool) -> None:
        """Log all that was told, also where the task is being ended."""
        await self._reading.end(completed=completed)


_operation: ContextVar[_Operation | None] = ContextVar("operation", default=None)
"""The subscription of the task at hand."""


class _SubscriptionsOnly:
    """A schema as a socket may use it."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    async def stream(self, query: Any, *, context_value: dict[str, Any], **given: Any) -> Any:
        """Begin a subscription; whatever else is asked is refused."""
        operation = _operation.get()
        assert operation is not None  # noqa: S101 - each is run in a task of its own
        context = {**context_value, "stream": operation.stream}
        return await self._schema.subscribe(query, context_value=context, **given)


class SocketHandler(BaseGraphQLTransportWSHandler[dict[str, Any], None]):
    """Speaks the protocol on one socket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schema: Any = _SubscriptionsOnly(self.schema)

    async def handle_message(self, message: Any) -> None:
        if not _is_well_formed(message):
            await self.handle_invalid_message("Failed to parse message")
            return
        await super().handle_message(message)

    async def run_operation(self, operation: Any) -> None:
        door: Door = self.context["door"]
        stream = Stream(self.context["line"], Asking(door.asking.principal))
        asked = {
            "query": operation.query,
            "variables": operation.variables,
            "operationName": operation.operation_name,
        }
        told = _Operation(door.database, stream, asked)
        _operation.set(told)
        try:
            await super().run_operation(operation)
        finally:
            await told.end(completed=operation.completed)

    async def send_message(self, message: Any) -> None:
        operation = _operation.get()
        if operation is not None and message["type"] == "next":
            await operation.tell(message["payload"])
        await super().send_message(message)


def _is_well_formed(message: Any) -> bool:
    """Whether a message has the parts that its type must have."""
    if not isinstance(message, dict):
        return False
    match message.get("type"):
        case "subscribe":
            payload = message.get("payload")
            return (
                isinstance(message.get("id"), str)
                and isinstance(payload, dict)
                and isinstance(payload.get("query"), str)
                and isinstance(payload.get("variables"), dict | None)
                and isinstance(payload.get("operationName"), str | None)
            )
        case "complete":
            return isinstance(message.get("id"), str)
        case _:
            return isinstance(message.get("type"), str)
