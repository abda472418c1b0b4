"""Serving: one process on one address, loopback unless asked for more.

Law: wherever it listens, it answers only to hosts that the person who serves chose, so that no page
of another site can write to the ledger (see `api.http.hosts`). Beyond loopback it listens only
where nobody gets in without credentials.
"""

from __future__ import annotations

import gc
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import uvicorn

from api import tracing
from api.access.identify import Identifier
from api.allowance import Allowance
from api.door import Door
from api.http.app import BODY_BYTES_MAX, create_app
from api.http.hosts import Hosts
from api.http.logs import Log
from api.subscribing import Subscriptions
from ledger.config import Settings
from ledger.domain.errors import Refused, Unavailable
from ledger.store.ledger import Ledger
from projections.service import Service

SWITCH_SECONDS = 0.002
OBJECTS_PER_SWEEP = 20_000
SHUTDOWN_SECONDS_MAX = 10
CONNECTIONS_WAITING_MAX = 2_048
"""Who connects while so many wait is not heard, and tries again only after a second, then three."""
IDLE_SECONDS_MAX = 75
"""How long a connection may be idle: longer than proxies and clients keep theirs, or a request may
arrive at one that is being closed."""


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Serve until interrupted.

    Args:
        settings: the installation's settings.
        host: the address to listen on instead of the setting's.
        port: the port instead of the setting's; 0 takes a free one.

    Raises:
        Unavailable: `cannot-listen`, and what opening the database raises.
        Refused: `no-access-control`, beyond loopback while nobody needs credentials.
        InvalidInput: `invalid-setting`.
    """
    if threading.current_thread() is threading.main_thread():
        # By default it would end us on the spot, once the last request is answered: the database
        # would not be left.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    host = host or settings.host
    with _listening(host, settings.port if port is None else port) as listener:
        port = listener.getsockname()[1]
        with Ledger.open(settings) as ledger:
            identifier = Identifier(ledger.database, settings)
            controlled = identifier.controls()
            if not (controlled or _is_loopback(host)):
                raise _no_access_control(host)
            hosts = Hosts.of(host, settings.hosts)
            allowance = Allowance(settings.query_cost_max, settings.query_points_a_minute)
            door = Door(ledger.database, settings)
            app = create_app(door, ledger, hosts, identifier, allowance)
            _announce(host, port, settings.hosts, controlled=controlled)
            _take_turns()
            config = uvicorn.Config(
                app,
                ws="websockets-sansio",
                ws_max_size=BODY_BYTES_MAX,
                log_config=None,  # what it has to say goes to our log
                log_level="warning",
                timeout_keep_alive=IDLE_SECONDS_MAX,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
            )
            with Log(settings.log), _traced(settings), _projecting(ledger, settings):
                _Server(config, app.state.subscriptions).run(sockets=[listener])


def _take_turns() -> None:
    """See to it that a large answer does not keep small ones waiting.

    Threads that make answers hand over to the one that takes questions in more often than Python
    would. Cycles are looked for less often, since answers make thousands of objects and hardly any
    cycle, and never among what was loaded to serve.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_PER_SWEEP)


class _Server(uvicorn.Server):
    """Ends streams before it waits for answers to end: theirs would not.

    Args:
        config: of the server.
        subscriptions: that it serves.
    """

    def __init__(self, config: uvicorn.Config, subscriptions: Subscriptions) -> None:
        super().__init__(config)
        self._subscriptions = subscriptions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests, end streams, and wait for all else that runs."""
        self._subscriptions.closing.set()
        await super().shutdown(sockets)


def _projecting(ledger: Ledger, settings: Settings) -> AbstractContextManager[object]:
    """The runner beside the server, unless it is switched off."""
    if not settings.project:
        return nullcontext()
    return Service(lambda: ledger.url, settings.workers)


@contextmanager
def _traced(settings: Settings) -> Iterator[None]:
    """Spans are sent while it serves, where that is switched on."""
    if settings.tracing:
        tracing.switch_on()
    try:
        yield
    finally:
        tracing.switch_off()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server(
            (host, port), family=family, backlog=CONNECTIONS_WAITING_MAX
        )
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


def _no_access_control(host: str) -> Refused:
    return Refused(
        "no-access-control",
        f"whoever reaches {host} could read the whole ledger and write to it: there is no token, "
        "and no identity provider, so the server listens on loopback only",
        hint="make a token: qledger token create; or set QLEDGER_OIDC_ISSUER; see docs/access.md",
    )


def _announce(host: str, port: int, names: Sequence[str], *, controlled: bool) -> None:
    spelt = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"serving GraphQL at http://{spelt}:{port}/graphql (Ctrl-C stops)\n")
    if not controlled:
        sys.stdout.write(
            "no token was ever made: everybody on this machine may read and write everything, and "
            "nobody else reaches it (qledger token create)\n"
        )
    sys.stdout.flush()
    if not _is_loopback(host):
        sys.stderr.write(
            f"note: listening at {spelt}:{port} without encryption, so put a proxy that speaks "
            "HTTPS before it. It is reached by its address or localhost"
            f"{''.join(f', {name}' for name in names)}; QLEDGER_HOSTS lists more names\n"
        )
