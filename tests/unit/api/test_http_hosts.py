"""Which hosts the door answers to: those that the person who serves chose, and no page's own."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send

from api.http.hosts import Hosts, KnownHostsOnly
from ledger.config import Settings, shown

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what this is about


@pytest.mark.parametrize("served_at", ["127.0.0.1", "localhost", "::1", "10.0.0.5", EVERYWHERE])
@pytest.mark.parametrize("host", ["localhost", "LocalHost:8420", "127.0.0.1:8420", "[::1]:8420"])
def test_loopback_is_answered_wherever_it_listens(served_at: str, host: str) -> None:
    assert Hosts.of(served_at).answers(host)


@pytest.mark.parametrize("served_at", ["127.0.0.1", "::1", "10.0.0.5", EVERYWHERE, "::", "me.lan"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "localhost.evil.example", "",
     "localhost:1:2", "[evil.example]", "[::1", "::1", "*", "127.0.0.1@evil.example",
     "127.0.0.1/evil", "localhost."],
)  # fmt: skip
def test_a_name_that_nobody_listed_is_refused_wherever_it_listens(
    served_at: str, host: str
) -> None:
    assert not Hosts.of(served_at, ["ledger.example"]).answers(host)


@pytest.mark.parametrize(
    ("served_at", "host", "answered"),
    [
        ("127.0.0.1", "10.0.0.5:8420", False),
        ("10.0.0.5", "10.0.0.5:8420", True),
        ("10.0.0.5", "10.0.0.6:8420", False),
        ("fd00::5", "[fd00:0::5]:8420", True),
        ("fd00::5", "[fd00::6]:8420", False),
        (EVERYWHERE, "10.0.0.5", True),
        (EVERYWHERE, "[fd00::5]:8420", True),
        ("::", "10.0.0.5:8420", True),
        ("::", "[fd00::5]:8420", True),
        ("Me.lan", "me.LAN:8420", True),
    ],
)
def test_an_address_is_answered_where_it_is_served(
    served_at: str, host: str, answered: bool
) -> None:
    assert Hosts.of(served_at).answers(host) is answered


def test_listed_names_are_answered_with_any_port() -> None:
    hosts = Hosts.of("127.0.0.1", ["Ledger.example", "192.0.2.7"])
    for host in ("ledger.example", "LEDGER.example:443", "192.0.2.7:8420"):
        assert hosts.answers(host)


@pytest.mark.parametrize(
    "said", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]]
)
def test_a_request_that_does_not_name_one_host_is_refused(said: list[bytes]) -> None:
    for kind, expected in (("http", 400), ("websocket", None)):
        heard = _heard({"type": kind, "headers": [(b"host", host) for host in said]})
        assert heard[0].get("status") == expected
        assert heard[0]["type"] in {"http.response.start", "websocket.close"}


def _heard(scope: Scope) -> list[Message]:
    heard: list[Message] = []

    async def behind(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("it got through")

    async def receive() -> Message:
        raise AssertionError("it was read")

    async def send(message: Message) -> None:
        heard.append(message)

    asyncio.run(KnownHostsOnly(behind, Hosts.of("127.0.0.1"))(scope, receive, send))
    return heard


def test_names_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLEDGER_HOSTS", " ledger.example,, fd00::5 ,127.0.0.2")
    settings = Settings()
    assert settings.hosts == ("ledger.example", "fd00::5", "127.0.0.2")
    assert shown(settings)["QLEDGER_HOSTS"] == "ledger.example,fd00::5,127.0.0.2"


@pytest.mark.parametrize("name", ["*", "*.example", "http://ledger.example", "ledger.example:8420"])
def test_what_is_no_name_cannot_be_listed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("QLEDGER_HOSTS", name)
    with pytest.raises(ValidationError, match="is not a host"):
        Settings()
