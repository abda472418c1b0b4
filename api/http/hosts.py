"""Whom the door answers to: the host that a request names.

Law: a page of another site can point a name of its own at this machine and have a browser send
requests here that it takes for its own site's (DNS rebinding); what such a request cannot hide is
that name, in its `Host`. So a name is answered only when the person who serves chose it: a name of
loopback, the one served at, or one in `QLEDGER_HOSTS`. An address is no name that a page can own;
served at all addresses of a machine, whichever of them is asked for is answered.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.faults import fault
from ledger.domain.errors import InvalidInput

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SPELT = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^\[\]:]+))(?::\d{1,5})?")


class Hosts(NamedTuple):
    """The hosts that are answered.

    Args:
        names: in small letters, addresses in their shortest spelling.
        any_address: whether every address literal is answered as well.
    """

    names: frozenset[str]
    any_address: bool = False

    @classmethod
    def of(cls, served_at: str, listed: Iterable[str] = ()) -> Hosts:
        """Those of a server.

        Args:
            served_at: the address or name that it listens on.
            listed: more names, as the settings list them.
        """
        address = _address(served_at)
        names = frozenset(_plain(name) for name in (*_LOOPBACK, served_at, *listed))
        return cls(names, any_address=address is not None and address.is_unspecified)

    def answers(self, host: str) -> bool:
        """Whether a request that says this `Host`, with a port or without, is answered."""
        found = _SPELT.fullmatch(host.lower())
        if found is None:
            return False
        said = found["address"] or found["name"]
        return _plain(said) in self.names or (self.any_address and _address(said) is not None)


class KnownHostsOnly:
    """Refuses requests and sockets that do not name one host, and one that is answered."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        said = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
        if len(said) == 1 and self._hosts.answers(said[0]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            refused = InvalidInput(
                "unknown-host", "this host is not answered",
                hint="the person who serves lists the names that are, in QLEDGER_HOSTS",
            )  # fmt: skip
            await fault(refused)(scope, receive, send)


def _address(spelt: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(spelt)
    except ValueError:
        return None


def _plain(name: str) -> str:
    return str(_address(name) or name.lower())
