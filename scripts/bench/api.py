"""The API over HTTP, beside stock Strawberry on the same data, in one run.

    .venv/bin/python -m scripts.bench.api --home /tmp/bench-100k --deals 100000

The peer is the same server with QLEDGER_EXECUTOR=stock: Strawberry with graphql-core's executor. It
has no faster way to many rows than pages of them, so that is what its figure for a file is.

Law: each figure is taken over one connection to one process of `qledger serve`, from the first byte
sent to the last one read. While the large answers are made, the page and the file, another
connection asks /healthz again and again. Both must give the same bytes; a difference, or an error,
ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import re
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlencode

import httpx
import orjson
import typer
from rich.console import Console
from rich.table import Table

from ledger.config import Settings
from ledger.domain.times import format_instant
from scripts.bench import lives
from scripts.bench.append import machine
from scripts.bench.book import Shape, filled
from scripts.bench.questions import Spread, instants
from scripts.bench.read_models import environment, qledger, rebuild

ROWS_A_PAGE = 10_000
HEALTH_EVERY_SECONDS = 0.002
_ADDRESS = re.compile(r"http://([^:/]+):(\d+)/graphql")

_COLUMNS = (
    "deal dealName account owner stage category amount currency closeDate evidenced weightPercent "
    "basisPosition"
)
_ROWS = f"""query($asOf: AsOfTime, $first: Int, $after: String) {{
    dealRows(asOf: $asOf, first: $first, after: $after) {{
        nodes {{ {_COLUMNS} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
_EVENT = "{ position type occurredAt knownAt actor summary }"
_WHY = f"{{ rule playbook summary missing because {_EVENT} }}"
_DEAL = f"""query($asOf: AsOfTime, $deal: ID!) {{ snapshot(asOf: $asOf) {{ deal(id: $deal) {{
    name owner category standsAt why headline
    gates {{ gate name status since summary missing because {_EVENT} explain {_WHY}
        criteria {{ criterion status rule since summary because {_EVENT} explain {_WHY} }} }}
    timeline(first: 500) {{ nodes {{ status event {_EVENT} payload }} }} }} }} }}"""
_FORECAST = """query($asOf: AsOfTime) { snapshot(asOf: $asOf) { forecast(groupBy: ["owner"]) {
    period currency groups { key { dimension value } cells { measure category amount deals } }
} } }"""
_FEW = """query($asOf: AsOfTime) { dealRows(asOf: $asOf, first: 50) {
    nodes { deal owner amount currency category evidenced } } }"""


class Clash(Exception):
    """An answer is an error, or differs from its peer's."""


class Figure(NamedTuple):
    """What one kind of work took us and the peer.

    Args:
        work: in words.
        ours: milliseconds.
        peer: milliseconds.
        health_ms: the longest that /healthz of ours took meanwhile; None where it was not asked.
        target: what is to be reached.
    """

    work: str
    ours: Spread
    peer: Spread
    health_ms: float | None
    target: str


class Readers(NamedTuple):
    """What many readers at once saw.

    Args:
        p50_ms: of all answers.
        p99_ms: of all answers.
        errors: how many were none.
        per_second: answers a second.
    """

    p50_ms: float
    p99_ms: float
    errors: int
    per_second: float


# --- a server and who asks it --------------------------------------------------------------------


class Server:
    """A running server, and one connection to it.

    Args:
        host: its address.
        port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.address = f"http://{host}:{port}"
        self._connection = http.client.HTTPConnection(host, port, timeout=600)

    @classmethod
    @contextmanager
    def running(cls, settings: Settings, executor: str) -> Iterator[Self]:
        """A server on a ledger, ended at the end.

        Args:
            settings: of the ledger.
            executor: fast or stock.
        """
        chosen = {
            "QLEDGER_EXECUTOR": executor, "QLEDGER_PROJECT": "false", "QLEDGER_LOG": "off",
            "QLEDGER_QUERY_COST_MAX": "0", "QLEDGER_QUERY_POINTS_A_MINUTE": "0",
        }  # fmt: skip
        process = subprocess.Popen(
            qledger("serve", "--port", "0"), env={**environment(settings), **chosen},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            found = _ADDRESS.search(process.stdout.readline())
            if found is None:
                raise Clash("the server did not start")
            server = cls(found[1], int(found[2]))
            with contextlib.closing(server._connection):
                yield server
        finally:
            process.terminate()
            process.communicate()

    def connect(self) -> None:
        """Be connected: the server hangs up on who says nothing for some seconds."""
        try:
            self.get("/healthz")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self.get("/healthz")

    def get(self, path: str) -> bytes:
        """What a path answers."""
        return self._answer("GET", path)

    def ask(self, query: str, **variables: Any) -> bytes:
        """What a question answers."""
        body = orjson.dumps({"query": query, "variables": variables})
        return self._answer("POST", "/graphql", body)

    def _answer(self, method: str, path: str, body: bytes | None = None) -> bytes:
        kind = {} if body is None else {"Content-Type": "application/json"}
        self._connection.request(method, path, body, kind)
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status != 200 or told.startswith(b'{"errors"') or b'"errors":[{' in told[-2000:]:
            raise Clash(f"{method} {path}: {answer.status} {told[:500]!r}")
        return told

    @contextmanager
    def probed(self, probing: bool) -> Iterator[list[float]]:
        """How long /healthz takes, in milliseconds, asked over and over over its own connection.

        Args:
            probing: whether it is asked at all.
        """
        taken: list[float] = []
        if not probing:
            yield taken
            return
        stop = threading.Event()
        host, _, port = self.address.removeprefix("http://").partition(":")

        def probe() -> None:
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            with contextlib.closing(connection):
                while not stop.wait(HEALTH_EVERY_SECONDS):
                    started = time.perf_counter()
                    connection.request("GET", "/healthz")
                    connection.getresponse().read()
                    taken.append(_since(started))

        prober = threading.Thread(target=probe)
        prober.start()
        try:
            yield taken
        finally:
            stop.set()
            prober.join()


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


# --- one reader -----------------------------------------------------------------------------------

Work = Callable[[Server, str], bytes]
"""What is asked of a server at an instant."""


def _page(server: Server, as_of: str) -> bytes:
    return server.ask(_ROWS, asOf=as_of, first=ROWS_A_PAGE)


def _deal(server: Server, as_of: str) -> bytes:
    return server.ask(_DEAL, asOf=as_of, deal="0000007")


def _forecast(server: Server, as_of: str) -> bytes:
    return server.ask(_FORECAST, asOf=as_of)


def _file(server: Server, as_of: str) -> bytes:
    return server.get(f"/export/deals.parquet?{urlencode({'as_of': as_of})}")


def _pages(server: Server, as_of: str) -> bytes:
    after: str | None = None
    while True:
        told = server.ask(_ROWS, asOf=as_of, first=ROWS_A_PAGE, after=after)
        page = orjson.loads(told)["data"]["dealRows"]["pageInfo"]
        if not page["hasNextPage"]:
            return told
        after = page["endCursor"]


def compared(
    ours: Server, peer: Server, work: str, ask: Work, at: Sequence[str], target: str,
    *, ask_peer: Work | None = None, probed: bool = False,
) -> Figure:  # fmt: skip
    """Ask both in turns, at each instant; the first one twice, once to warm up.

    Args:
        ours: the server that is measured.
        peer: the one beside it.
        work: what is asked, in words.
        ask: what is asked.
        at: instants.
        target: what is to be reached, in words.
        ask_peer: what the peer is asked instead, for an answer of another kind.
        probed: whether another connection asks /healthz meanwhile.

    Raises:
        Clash: their answers differ.
    """
    taken: list[float] = []
    theirs: list[float] = []
    health: list[float] = []
    for number, as_of in enumerate([at[0], *at]):
        ours.connect()
        with ours.probed(probed) as meanwhile:
            started = time.perf_counter()
            told = ask(ours, as_of)
            mine = _since(started)
        peer.connect()
        with peer.probed(probed):
            started = time.perf_counter()
            expected = (ask_peer or ask)(peer, as_of)
            other = _since(started)
        if ask_peer is None and told != expected:
            raise Clash(f"{work} at {as_of}: {len(told)} bytes, and {len(expected)} of the peer")
        if number:
            taken.append(mine)
            theirs.append(other)
            health += meanwhile
    worst = max(health, default=0.0) if probed else None
    return Figure(work, Spread.of(taken), Spread.of(theirs), worst, target)


def figures(ours: Server, peer: Server, deals: int, repeats: int) -> list[Figure]:
    """Everything that one reader asks.

    Args:
        ours: the server that is measured.
        peer: the one beside it.
        deals: how many there are in the book at its end.
        repeats: at how many instants to ask.
    """
    at = [format_instant(each) for each in instants(repeats)]
    end = format_instant(lives.BEGIN + timedelta(days=lives.WINDOW_DAYS))
    rows = min(deals, ROWS_A_PAGE)
    return [
        compared(
            ours, peer, f"{rows:,} rows x 12 columns", _page, [end] * repeats,
            "<= 60 ms, healthz <= 20 ms", probed=True,
        ),
        compared(ours, peer, "a deal with gates, explain and timeline", _deal, [end] * repeats,
                 "<= 15 ms"),
        compared(ours, peer, "forecast by owner at any date", _forecast, at, "<= 15 ms"),
        compared(ours, peer, f"{deals:,} rows as Parquet; stock: in pages", _file,
                 [end] * max(1, repeats // 5), "<= 1,000 ms for 100,000",
                 ask_peer=_pages, probed=True),
    ]  # fmt: skip


# --- many readers ---------------------------------------------------------------------------------


def many_readers(server: Server, readers: int, questions: int) -> Readers:
    """Many readers at once, each with its own connection, one question after another.

    Args:
        server: which is asked.
        readers: how many.
        questions: how many each asks.
    """
    at = [format_instant(each) for each in instants(questions, seed=23)]
    taken: list[float] = []
    errors: list[str] = []
    trust = ssl.create_default_context()  # once, not once a client

    async def read() -> None:
        # A client each: one that they share takes its connections up in an order of its own.
        async with httpx.AsyncClient(base_url=server.address, timeout=60, verify=trust) as client:
            for as_of in at:
                started = time.perf_counter()
                asked = {"query": _FEW, "variables": {"asOf": as_of}}
                try:
                    answer = await client.post("/graphql", json=asked)
                except httpx.HTTPError as error:
                    errors.append(repr(error))
                    continue
                taken.append(_since(started))
                if answer.status_code != 200 or b'"errors"' in answer.content:
                    errors.append(answer.text[:200])

    async def all_of_them() -> None:
        await asyncio.gather(*(read() for _ in range(readers)))

    started = time.perf_counter()
    asyncio.run(all_of_them())
    seconds = time.perf_counter() - started
    taken.sort()
    return Readers(
        taken[len(taken) // 2], taken[len(taken) * 99 // 100], len(errors), len(taken) / seconds
    )


# --- all of it ------------------------------------------------------------------------------------


def measure(
    settings: Settings, deals: int, repeats: int, readers: int
) -> tuple[list[Figure], Readers, Readers]:
    """Measure a ledger whose read models are made: one reader, many of ours, many of the peer.

    Raises:
        Clash: an answer is an error, or differs from its peer's.
    """
    with ExitStack() as stack:
        ours = stack.enter_context(Server.running(settings, "fast"))
        peer = stack.enter_context(Server.running(settings, "stock"))
        found = figures(ours, peer, deals, repeats)
        return found, many_readers(ours, readers, 5), many_readers(peer, readers, 5)


def show(found: Sequence[Figure], ours: Readers, peer: Readers, readers: int) -> None:
    """Print the table."""
    table = Table(title="API over HTTP, one worker", title_justify="left")
    for column in (
        "work",
        "ours",
        "stock Strawberry",
        "times as fast",
        "worst healthz",
        "to reach",
    ):
        table.add_column(column, justify="right" if column == "times as fast" else "left")
    for each in found:
        ratio = f"{each.peer.median_ms / each.ours.median_ms:,.1f}"
        told = each.work, str(each.ours), str(each.peer), ratio
        health = "" if each.health_ms is None else f"{each.health_ms:.1f} ms"
        table.add_row(*told, health, each.target)
    told_ours, told_peer = (
        f"p50 {each.p50_ms:.0f} ms, p99 {each.p99_ms:.0f} ms, {each.errors} errors, "
        f"{each.per_second:.0f}/s"
        for each in (ours, peer)
    )
    table.add_row(
        f"{readers} readers at once, 50 rows each", told_ours, told_peer,
        f"{peer.p99_ms / ours.p99_ms:.1f}", "", "no error",
    )  # fmt: skip
    console = Console(width=190)
    console.print(table)
    console.print(f"stock: the same server with QLEDGER_EXECUTOR=stock. {machine()}")
    console.print(f"load when it ended: {os.getloadavg()[0]:.1f}")


def main(
    deals: Annotated[int, typer.Option(help="Deals of the book, 30 events each.")] = 12_000,
    home: Annotated[
        Path | None, typer.Option(help="Keep the ledger here and use it again.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="How often to ask each question.", min=1)] = 20,
    readers: Annotated[int, typer.Option(help="How many read at once.", min=1)] = 200,
    made: Annotated[bool, typer.Option(help="The home's read models are made already.")] = False,
) -> None:
    """Print what the API takes beside stock Strawberry on the same data."""
    with tempfile.TemporaryDirectory(prefix="qledger-bench-") as temporary:
        Path(temporary).chmod(0o755)
        settings = filled(home or Path(temporary), Shape(deals))
        if not made:
            rebuild(settings)
        show(*measure(settings, deals, repeats, readers), readers)


if __name__ == "__main__":
    typer.run(main)
