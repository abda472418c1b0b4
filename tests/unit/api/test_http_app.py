"""The HTTP door without a network: whom it lets in, and what it reads."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message, Scope

from api.access.identify import Identifier
from api.access.principals import ANYBODY, Principal
from api.door import Door
from api.http.app import create_app
from api.http.hosts import Hosts
from api.http.server import _listening
from ledger.config import Settings

NOBODY: Any = SimpleNamespace(settings=Settings(), url="", do=None)
"""Who is behind the door: what gets through fails."""

BODY = b'{"query": "{ __typename }"}'


class Anybody(Identifier):
    """Lets everybody in."""

    def __init__(self) -> None:
        pass

    def principal_of(self, authorization: str | None) -> Principal:  # noqa: ARG002
        return ANYBODY


def said(scope: Scope, received: Message) -> list[Message]:
    """What the door says to one request or socket."""
    app = create_app(Door(NOBODY, NOBODY), NOBODY, Hosts.of("127.0.0.1"), Anybody())
    heard: list[Message] = []

    async def receive() -> Message:
        return received

    async def send(message: Message) -> None:
        heard.append(message)

    asked = {
        "path": "/graphql", "raw_path": b"/graphql", "root_path": "", "query_string": b"",
        "http_version": "1.1", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 50000),
        **scope,
        "headers": [(b"host", b"127.0.0.1:8000"), *scope["headers"]],
    }  # fmt: skip
    asyncio.run(app(asked, receive, send))
    return heard


@pytest.mark.parametrize(
    ("origin", "protocol"),
    [
        (b"https://evil.example", "graphql-transport-ws"),
        (b"http://127.0.0.1:8001", "graphql-transport-ws"),
        (b"null", "graphql-transport-ws"),
        (b"http://127.0.0.1:8000", "graphql-ws"),
        (None, "graphql-ws"),
    ],
)
def test_a_socket_of_another_origin_or_protocol_is_closed_before_it_is_heard(
    origin: bytes | None, protocol: str
) -> None:
    headers = [] if origin is None else [(b"origin", origin)]
    scope = {"type": "websocket", "scheme": "ws", "subprotocols": [protocol], "headers": headers}
    heard = said(scope, {"type": "websocket.connect"})
    assert heard[-1]["type"] == "websocket.close"
    assert not [message for message in heard if message["type"] == "websocket.send"]


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([b"application/json"], 200),
        ([b"application/json; charset=utf-8"], 200),
        ([b"text/plain"], 415),
        ([b"text/plain, application/json"], 415),
        ([b"application/json, text/plain"], 415),
        ([b"application/json", b"text/plain"], 415),
        ([], 415),
    ],
)
def test_only_json_is_read(kinds: list[bytes], status: int) -> None:
    headers = [(b"content-type", kind) for kind in kinds]
    headers.append((b"content-length", str(len(BODY)).encode()))
    scope = {"type": "http", "scheme": "http", "method": "POST", "headers": headers}
    start, *_body = said(scope, {"type": "http.request", "body": BODY, "more_body": False})
    assert start["status"] == status


def test_a_short_answer_does_not_wait_for_the_packet_before_it() -> None:
    with (
        _listening("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
