"""Serving: one process on one address, loopback unless asked for more.

Law: wherever it listens, it answers only to hosts that the person who serves chose, so that no page
of another site can write to the ledger (see `api.http.hosts`).
"""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Sequence

import uvicorn

from api.door import Door
from api.http.app import create_app
from api.http.hosts import Hosts
from ledger.config import Settings
from ledger.domain.errors import Unavailable
from ledger.store.ledger import Ledger

SHUTDOWN_SECONDS_MAX = 10


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Serve until interrupted.

    Args:
        settings: the installation's settings.
        host: the address to listen on instead of the setting's.
        port: the port instead of the setting's; 0 takes a free one.

    Raises:
        Unavailable: `cannot-listen`, and what opening the database raises.
    """
    if threading.current_thread() is threading.main_thread():
        # By default it would end us on the spot, once the last request is answered: the database
        # would not be left.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    host = host or settings.host
    with _listening(host, settings.port if port is None else port) as listener:
        port = listener.getsockname()[1]
        with Ledger.open(settings) as ledger:
            hosts = Hosts.of(host, settings.hosts)
            app = create_app(Door(ledger.database, settings), ledger, hosts)
            _announce(host, port, settings.hosts)
            config = uvicorn.Config(
                app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX
            )
            uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise Unavailable(
            "cannot-listen",
            f"cannot listen on {host}:{port}: {error}",
            hint="choose another --port",
        ) from None
    # What is accepted inherits it. asyncio sets it only where a socket says that it is TCP, which
    # one of `create_server` does not; without it a short answer waits 40 ms for the last packet.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _announce(host: str, port: int, names: Sequence[str]) -> None:
    spelt = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"serving GraphQL at http://{spelt}:{port}/graphql (Ctrl-C stops)\n")
    sys.stdout.flush()
    if not _is_loopback(host):
        sys.stderr.write(
            f"warning: whoever reaches {spelt}:{port} can read the whole ledger and write to it; "
            "there is no access control yet. Browsers reach it by its address or localhost"
            f"{''.join(f', {name}' for name in names)}; QLEDGER_HOSTS lists more names\n"
        )
