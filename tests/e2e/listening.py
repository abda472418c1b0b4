"""Listens to a running server, over a WebSocket and to server-sent events, as a client does."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

SECONDS_MAX = 30.0
TRANSPORT_WS = Subprotocol("graphql-transport-ws")


class Socket:
    """One socket in the protocol graphql-transport-ws.

    Args:
        connection: open, with nothing said on it yet.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)

    @classmethod
    @contextmanager
    def on(
        cls,
        address: str,
        token: str | None = None,
        *,
        by_header: bool = False,
        origin: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[Self]:
        """An open socket on which somebody is known."""
        with cls.opened(
            address, token if by_header else None, origin=origin, headers=headers
        ) as opened:
            opened.begin(None if by_header else token)
            yield opened

    @classmethod
    @contextmanager
    def opened(
        cls,
        address: str,
        token: str | None = None,
        *,
        origin: str | None = None,
        headers: dict[str, str] | None = None,
        host: str | None = None,
    ) -> Iterator[Self]:
        """An open socket on which nothing was said yet; reached by another host's name, if any."""
        sent = dict(headers or {})
        at = httpx.URL(address)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        with connect(
            f"ws://{host or at.host}:{at.port}/graphql",
            sock=socket.create_connection((at.host, at.port or 80)),
            subprotocols=[TRANSPORT_WS],
            additional_headers=sent,
            origin=origin,  # type: ignore[arg-type]
            open_timeout=SECONDS_MAX,
            close_timeout=0.1,  # what is still on the way is not waited for
            max_queue=1,  # so that a slow reader is one to the server, too
            max_size=None,
        ) as connection:
            yield cls(connection)

    def begin(self, token: str | None = None) -> None:
        """Say who listens."""
        payload = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.send(type="connection_init", payload=payload)
        assert self.receive() == {"type": "connection_ack"}

    def send(self, **message: Any) -> None:
        """Send a message of the protocol."""
        self.say(message)

    def say(self, message: Any) -> None:
        """Send any JSON."""
        self._connection.send(json.dumps(message))

    def receive(self) -> dict[str, Any]:
        said = self._connection.recv(timeout=SECONDS_MAX)
        assert isinstance(said, str)
        message: dict[str, Any] = orjson.loads(said)
        return message

    def subscribe(self, query: str, **variables: Any) -> str:
        """Begin a subscription."""
        name = str(next(self._ids))
        self.send(type="subscribe", id=name, payload={"query": query, "variables": variables})
        return name

    def items(self, query: str, **variables: Any) -> Iterator[dict[str, Any]]:
        """The items of a subscription that is alone on its socket, none of them an error."""
        name = self.subscribe(query, **variables)
        while True:
            message = self.receive()
            assert message["type"] == "next", message
            assert message["id"] == name
            assert "errors" not in message["payload"], message
            (item,) = message["payload"]["data"].values()
            yield item

    def refusal(self, query: str, **variables: Any) -> dict[str, Any]:
        """The error with which a subscription ends at once."""
        name = self.subscribe(query, **variables)
        refused = self.receive()
        assert refused["id"] == name
        if refused["type"] == "next":
            assert self.receive() == {"type": "complete", "id": name}
        return error_of(refused)

    def _until_closed(self) -> None:
        while True:
            self._connection.recv(timeout=SECONDS_MAX)

    def closed(self) -> int:
        """The code with which the server closes the socket."""
        with pytest.raises(ConnectionClosed) as closed:
            self._until_closed()
        assert closed.value.rcvd is not None
        return int(closed.value.rcvd.code)


def refused_to_open(address: str, token: str | None = None, **given: Any) -> int:
    """The status with which the server refuses to open a socket."""
    with pytest.raises(InvalidStatus) as refused, Socket.opened(address, token, **given):
        pass
    return int(refused.value.response.status_code)


def error_of(message: dict[str, Any]) -> dict[str, Any]:
    """The one error of a message."""
    payload = message["payload"]
    errors = payload if message["type"] == "error" else payload["errors"]
    (error,) = errors
    found: dict[str, Any] = error
    return found


class Told(NamedTuple):
    """A server-sent event."""

    id: str | None
    event: str | None
    data: Any

    @property
    def item(self) -> dict[str, Any]:
        """The item that it tells."""
        assert self.event == "next", self
        assert "errors" not in self.data, self
        found: dict[str, Any]
        (found,) = self.data["data"].values()
        return found


@contextmanager
def streaming(
    http: httpx.Client,
    query: str,
    *,
    path: str = "/graphql/stream",
    after_id: str | None = None,
    **variables: Any,
) -> Iterator[Iterator[Told]]:
    """The events of a stream, those without data too."""
    headers = {"Accept": "text/event-stream"}
    if after_id is not None:
        headers["Last-Event-ID"] = after_id
    asked = {"query": query, "variables": variables}
    with http.stream("POST", path, json=asked, headers=headers, timeout=SECONDS_MAX) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _told(answer.iter_lines())


def _told(lines: Iterator[str]) -> Iterator[Told]:
    said: dict[str, str] = {}
    for line in lines:
        if line:
            name, _colon, value = line.partition(":")
            if name:
                said[name] = value.removeprefix(" ")
        elif said:
            data = said.get("data")
            yield Told(said.get("id"), said.get("event"), orjson.loads(data) if data else None)
            said = {}


def items_of(told: Iterator[Told]) -> Iterator[Told]:
    """Those of some events that tell an item."""
    return (each for each in told if each.event == "next")
