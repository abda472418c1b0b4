"""The read models against their peers, side by side in one run.

    .venv/bin/python -m scripts.bench.read_models --home /tmp/bench-100k --deals 100000

The book is generated (`scripts.bench.book`), the questions and how they are timed are those of
`scripts.bench.questions`, the peers those of `scripts.bench.peers`.

Law: every figure of ours comes from the program as it is used: the read models are made by
`qledger rebuild`, kept by `qledger project --follow`, and asked through the door that every command
asks through.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from api.door import Door
from ledger.config import Settings
from ledger.store.database import Database
from ledger.store.ledger import Ledger
from projections.position import await_position
from projections.projector import Projector
from projections.tables.sides import Side
from scripts.bench import lives
from scripts.bench.append import machine
from scripts.bench.book import Shape, filled
from scripts.bench.peers import Duck, library_catch_up
from scripts.bench.questions import (
    Both,
    Spread,
    as_known_then,
    ask_bridges,
    ask_forecasts,
    ask_series,
    at_any_basis,
)

WRITES_PER_SECOND = 50
"""At so many writes a second events arrive, each write with its share of them."""

CAUGHT_UP_SECONDS_MAX = 600
PEER_EVENTS = 3_000
_LOOK_SECONDS = 0.002

_SIDE = "SELECT side FROM qledger.projection WHERE live"
_LOOK = "SELECT position, clock_timestamp() FROM qledger.projection WHERE live"
_ARRIVED = "SELECT position, recorded_at FROM qledger.event WHERE position > %s ORDER BY position"


class Figures(NamedTuple):
    """What the read models of one book did, and their peers.

    Args:
        events: how many the log holds.
        states: how many rectangles came of them.
        rebuild_seconds: all tables, from the log.
        as_known_then: the forecast by owner and category at an instant as known then.
        any_basis: the same at any two instants.
        daily: 730 points by owner.
        bridge: between two instants a quarter apart, by owner.
    """

    events: int
    states: int
    rebuild_seconds: float
    as_known_then: Both
    any_basis: Both
    daily: Both
    bridge: Spread


class Rates(NamedTuple):
    """Events a second: our catch-up, and the library's runner."""

    caught_up: float
    library: float


class Lag(NamedTuple):
    """How long events waited for the tables, in milliseconds."""

    median_ms: float
    p99_ms: float
    worst_ms: float


# --- the program as it is used -------------------------------------------------------------------


def qledger(*arguments: str) -> list[str]:
    """The command line of the installed program."""
    return [str(Path(sys.executable).parent / "qledger"), *arguments]


def environment(settings: Settings) -> Mapping[str, str]:
    """The environment in which the program finds the ledger of these settings."""
    return {**os.environ, "QLEDGER_HOME": str(settings.home)}


def rebuild(settings: Settings) -> float:
    """Make the read models anew from the log; return the seconds that it took."""
    started = time.perf_counter()
    subprocess.run(
        qledger("rebuild"), env=environment(settings), check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - started


@contextmanager
def projecting(settings: Settings) -> Iterator[None]:
    """A process that keeps the read models at the head of the log."""
    process = subprocess.Popen(
        qledger("project", "--follow"), env=environment(settings),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def live_schema(url: str) -> str:
    """The schema of the side of the tables that is live."""
    with psycopg.connect(url) as connection:
        row = connection.execute(_SIDE).fetchone()
    assert row is not None  # noqa: S101 - one side is always live
    return f"qledger_{row[0]}"


# --- from the log to the tables ------------------------------------------------------------------


def catch_up(deals: int, peer_events: int = PEER_EVENTS) -> Rates:
    """Project a small book in the order of knowledge, as it arrived, on one core; and the peer.

    Args:
        deals: how many, of thirty events each.
        peer_events: how many events the library's runner gets; a multiple of 30.
    """
    with temporary_book(Shape(deals, together=deals)) as settings, Database(settings) as database:
        with database.connect() as connection:
            projector = Projector(connection, side=Side.A)
            started, events = time.perf_counter(), 0
            while (batch := projector.batch()).events:
                events += batch.events
        caught_up = events / (time.perf_counter() - started)
        return Rates(caught_up, library_catch_up(database.url, peer_events))


@contextmanager
def temporary_book(shape: Shape) -> Iterator[Settings]:
    """A generated book in a home that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="qledger-bench-") as home:
        Path(home).chmod(0o755)
        yield filled(Path(home), shape)


def lags(settings: Settings, first_deal: int, seconds: float, per_second: int) -> list[float]:
    """How long each event waits for the tables while events arrive at a steady rate.

    Args:
        settings: of a ledger whose read models are caught up.
        first_deal: the number from which on deals are new.
        seconds: for how long events arrive.
        per_second: how many events arrive a second.

    Returns:
        Seconds from `recorded_at` until a session that looks every two milliseconds sees the
        position in the tables; by the database's clock, an event each.
    """
    size = max(1, per_second // WRITES_PER_SECOND)
    with projecting(settings), Ledger.open(settings) as ledger:
        before = ledger.head().size
        if not await_position(ledger.database.connection, before, CAUGHT_UP_SECONDS_MAX):
            raise SystemExit("the runner did not catch up")
        with _watching(ledger.database) as seen:
            arriving = _arriving(first_deal, int(seconds * per_second))
            begun = time.perf_counter()
            for number in range(int(seconds * per_second) // size):
                _wait_until(begun + number * size / per_second)
                now = ledger.clock()
                drafts = [next(arriving) for _ in range(size)]
                ledger.import_events(
                    [each._replace(occurred_at=now, known_at=None) for each in drafts]
                )
            await_position(ledger.database.connection, ledger.head().size, CAUGHT_UP_SECONDS_MAX)
            time.sleep(10 * _LOOK_SECONDS)
        with ledger.database.connection() as connection:
            arrived = connection.execute(_ARRIVED, [before]).fetchall()
    positions = [position for position, _at in seen]
    return [
        (seen[bisect_left(positions, position)][1] - recorded_at).total_seconds()
        for position, recorded_at in arrived
    ]


def _arriving(first_deal: int, events: int) -> Iterator[Any]:
    """Events of new deals, in the order of knowledge."""
    deals = events // lives.EVENTS_PER_DEAL + 1
    told = [
        (each.known, number, version, each)
        for number in range(first_deal, first_deal + deals)
        for version, each in enumerate(lives.life(number), start=1)
    ]
    told.sort(key=lambda each: each[:3])
    return (lives.draft(number, version, each) for _known, number, version, each in told)


def _wait_until(moment: float) -> None:
    left = moment - time.perf_counter()
    if left > 0:
        time.sleep(left)


Seen: TypeAlias = list[tuple[int, datetime]]


@contextmanager
def _watching(database: Database) -> Iterator[Seen]:
    """Look at the projected position again and again; note each time that it has moved."""
    seen: Seen = []
    stop = threading.Event()

    def watch() -> None:
        with database.connect() as connection:
            while not stop.wait(_LOOK_SECONDS):
                row = connection.execute(_LOOK, prepare=True).fetchone()
                if row is not None and (not seen or seen[-1][0] < row[0]):
                    seen.append((row[0], row[1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


# --- all of it -----------------------------------------------------------------------------------


@contextmanager
def asking(settings: Settings) -> Iterator[tuple[Door, Duck]]:
    """A door to a ledger, and a DuckDB that holds what its live tables hold."""
    with Database(settings) as database, Duck.of(database.url, live_schema(database.url)) as duck:
        yield Door(database, settings), duck


def measure(settings: Settings, instants: int) -> Figures:
    """Rebuild the read models of a book, and ask what they promise of them and of DuckDB."""
    seconds = rebuild(settings)
    with asking(settings) as (door, duck):
        horizon = door.head().size
        return Figures(
            horizon,
            duck.rows,
            seconds,
            ask_forecasts(door, duck, as_known_then(instants, horizon)),
            ask_forecasts(door, duck, at_any_basis(instants, horizon)),
            ask_series(door, duck, horizon, max(3, instants // 4)),
            ask_bridges(door, horizon, instants),
        )


def lag_of_runner(deals: int, seconds: float, per_second: int) -> Lag:
    """The lag of the runner on a book of its own, in which nothing else happens."""
    with temporary_book(Shape(deals)) as settings:
        taken = sorted(1000 * each for each in lags(settings, deals, seconds, per_second))
    return Lag(statistics.median(taken), taken[len(taken) * 99 // 100], taken[-1])


def show(figures: Figures, rates: Rates, lag: Lag, per_second: int) -> None:
    """Print the table."""
    table = Table(
        title=f"Read models: {figures.events:,} events, {figures.states:,} states",
        title_justify="left",
    )
    for column in ("work", "ours", "peer", "times as good", "to reach"):
        table.add_column(column, justify="right" if column == "times as good" else "left")
    for work, rate in (
        ("rebuild, all tables, from the log", figures.events / figures.rebuild_seconds),
        ("catch-up in the order of knowledge, one core", rates.caught_up),
    ):
        library = rates.library
        told = f"{rate:,.0f} events/s", f"{library:,.0f} events/s", f"{rate / library:,.1f}"
        table.add_row(work, *told, ">= 80,000 events/s")
    for work, (ours, peer), goal in (
        ("forecast by owner and category, as known then", figures.as_known_then, "<= 5 ms"),
        ("the same at any (valid, known)", figures.any_basis, "<= 100 ms"),
        ("730 daily points by owner", figures.daily, "<= 100 ms"),
    ):
        table.add_row(work, str(ours), str(peer), f"{peer.median_ms / ours.median_ms:,.1f}", goal)
    table.add_row("bridge by owner over a quarter", str(figures.bridge), "", "", "<= 50 ms")
    waited = f"p50 {lag.median_ms:.0f} ms, p99 {lag.p99_ms:.0f} ms, worst {lag.worst_ms:.0f} ms"
    table.add_row(f"lag while {per_second:,} events/s arrive", waited, "", "", "p99 <= 1 s")
    console = Console(width=150)
    console.print(table)
    console.print(f"peers: the library's ProjectionRunner; DuckDB {version('duckdb')} in memory")
    console.print(machine())


def main(
    deals: Annotated[int, typer.Option(help="Deals of the book, 30 events each.")] = 100_000,
    home: Annotated[
        Path | None, typer.Option(help="Keep the ledger here and use it again.")
    ] = None,
    instants: Annotated[int, typer.Option(help="At how many instants to ask.", min=1)] = 20,
    seconds: Annotated[float, typer.Option(help="For how long events arrive.")] = 10.0,
    per_second: Annotated[int, typer.Option(help="How many arrive a second.")] = 1_000,
    small: Annotated[
        int, typer.Option(help="Deals of the book that is caught up with, and that grows.")
    ] = 2_000,
) -> None:
    """Print what the read models do beside their peers."""
    with tempfile.TemporaryDirectory(prefix="qledger-bench-") as temporary:
        Path(temporary).chmod(0o755)
        figures = measure(filled(home or Path(temporary), Shape(deals)), instants)
    show(figures, catch_up(small), lag_of_runner(small, seconds, per_second), per_second)


if __name__ == "__main__":
    typer.run(main)
