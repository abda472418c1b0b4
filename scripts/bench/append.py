"""Appends and imports against their peers, in one run on one server; the figures are ratios.

    .venv/bin/python scripts/bench/append.py --seconds 5 --events 100000

The peers: a bare INSERT of the same row into a table like ours, and the recorder of the
`eventsourcing` library in its default (safe) mode.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import UUID, uuid4

import psycopg
import typer
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from rich.console import Console
from rich.table import Table

from ledger.config import Settings
from ledger.domain.envelope import leaf_hash, prepare, splice
from ledger.domain.events import Draft, EvidenceRecorded, Source
from ledger.domain.ids import event_id_at, event_id_of
from ledger.domain.times import Instant
from ledger.store import log
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import IMPORT_EVENTS_MAX, Ledger

LIBRARY_BATCH = 100
STREAMS = 20_000
ROUNDS = 3
"""Imports and their peer take turns, since a disk has its moods; the middle one counts."""

TURNS = 7
"""Single writes take more and shorter turns: each waits for the disk."""

WARM_UP_SECONDS = 0.5

WORKED_ON = 200
"""Single writes go to streams whose version the writer knows, as the peers' writers do."""

PAYLOAD = EvidenceRecorded(
    criterion="budget_confirmed",
    stance="supports",
    source_kind="meeting",
    quote="The money is in the plan for this year, and the board has signed it off.",
    said_by="contact-0031",
    link="https://crm.example/meetings/4711",
)
BARE = """
CREATE TABLE bare (LIKE qledger.event INCLUDING ALL);
"""
BARE_INSERT = "INSERT INTO bare VALUES (%s, %s, %s, %s, %s, true, %s, %s, %s, %b, %b)"


class Rate(NamedTuple):
    """A way of writing and how many events a second it took."""

    name: str
    per_second: float


def draft(number: int, now: Instant, *, attested: bool) -> Draft:
    """An event of about 550 bytes."""
    happened = now - timedelta(seconds=STREAMS - number % STREAMS)
    return Draft(
        stream=f"deal:{number % STREAMS:06d}",
        payload=PAYLOAD,
        event_id=event_id_of("bench", str(now), str(number)) if attested else event_id_at(now),
        actor="ann@example.com",
        source=Source("salesforce", f"008{number:012d}"),
        occurred_at=happened,
        known_at=happened if attested else None,
    )


def timed(name: str, work: Iterator[int], seconds: float) -> Rate:
    """Run a worker that yields how many events it has just written, for so long."""
    written, start = 0, time.perf_counter()
    for count in work:
        written += count
        if time.perf_counter() - start > seconds:
            break
    return Rate(name, written / (time.perf_counter() - start))


def bare_inserts(url: str, ledger: Ledger) -> Iterator[int]:
    now = ledger.clock()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BARE)
        for number in range(1, 10_000_000):
            event = prepare(draft(number, now, attested=False), 1 + number // STREAMS)
            envelope = splice(event, number, now)
            connection.execute(
                BARE_INSERT,
                [
                    number, now, event.occurred_at, now, event.stream_version, event.event_id,
                    event.stream, event.type, leaf_hash(envelope), envelope,
                ],
                prepare=True,
            )  # fmt: skip
            yield 1


def our_appends(ledger: Ledger) -> Iterator[int]:
    now = ledger.clock()
    for number in range(10_000_000):
        event = draft(number, now, attested=False)
        ledger.record([event._replace(stream=f"deal:{number % WORKED_ON}")])
        yield 1


def library_appends(recorder: PostgresApplicationRecorder, batch: int) -> Iterator[int]:
    state = prepare(draft(1, Instant.now(UTC), attested=False), 1).before
    while True:
        originator: UUID = uuid4()
        recorder.insert_events(
            [StoredEvent(originator, n, "evidence-recorded", state) for n in range(batch)]
        )
        yield batch


def our_import(ledger: Ledger, chunks: list[list[Draft]]) -> Iterator[int]:
    for chunk in chunks:
        yield ledger.import_events(chunk).added


def our_copy(ledger: Ledger, chunks: list[list[log.CopyRow]]) -> Iterator[int]:
    for chunk in chunks:
        with ledger.database.connection() as connection:
            log.copy_in(connection, chunk)
        yield len(chunk)


def library(url: str) -> PostgresApplicationRecorder:
    facts = psycopg.conninfo.conninfo_to_dict(url)
    store = PostgresDatastore(
        dbname=str(facts["dbname"]), host=str(facts["host"]), port="5432",
        user=str(facts["user"]), password="", pool_size=2,
    )  # fmt: skip
    recorder = PostgresApplicationRecorder(store)
    recorder.create_table()
    return recorder


def measure(ledger: Ledger, seconds: float, events: int) -> list[Rate]:
    """All rates, each way on the same server, in turns."""
    recorder = library(ledger.url)
    now = ledger.clock()
    drafts = [draft(number, now, attested=True) for number in range(events)]
    chunks = [drafts[i : i + IMPORT_EVENTS_MAX] for i in range(0, events, IMPORT_EVENTS_MAX)]
    singles: list[tuple[str, Callable[[], Iterator[int]]]] = [
        ("bare INSERT, 1 a transaction", lambda: bare_inserts(ledger.url, ledger)),
        ("library recorder, 1 a transaction", lambda: library_appends(recorder, 1)),
        ("ours: record, 1 a transaction", lambda: our_appends(ledger)),
    ]
    workers = [(name, work()) for name, work in singles]
    for _name, worker in workers:
        timed("", worker, WARM_UP_SECONDS)
    turns = [[timed("", w, seconds / TURNS).per_second for _, w in workers] for _ in range(TURNS)]
    rates = [
        Rate(name, statistics.median(taken))
        for (name, _work), taken in zip(singles, zip(*turns, strict=True), strict=True)
    ]
    rows = [
        [log.copy_row(prepare(ready(d, n), 1_000_000 + n)) for n, d in part]
        for part in (list(enumerate(chunk, i * 10_000)) for i, chunk in enumerate(chunks))
    ]
    imports: list[tuple[str, Callable[[int], Rate]]] = [
        (f"library recorder, {LIBRARY_BATCH} a transaction",
         lambda _: timed("", library_appends(recorder, LIBRARY_BATCH), seconds)),
        ("ours: import, drafts to disk",
         lambda n: timed("", our_import(ledger, chunks[n::ROUNDS]), 1e9)),
        ("ours: import, events prepared before",
         lambda n: timed("", our_copy(ledger, rows[n::ROUNDS]), 1e9)),
    ]  # fmt: skip
    rounds = [[work(n).per_second for _name, work in imports] for n in range(ROUNDS)]
    middle = [statistics.median(taken) for taken in zip(*rounds, strict=True)]
    rates += [Rate(name, rate) for (name, _work), rate in zip(imports, middle, strict=True)]
    recorder.datastore.close()
    return rates


def ready(attested: Draft, number: int) -> Draft:
    """The same with an id as this ledger makes them: a UUIDv7, in the order of time."""
    made_at = attested.occurred_at + timedelta(milliseconds=number)
    return attested._replace(event_id=event_id_at(made_at))


def show(rates: list[Rate]) -> None:
    bare, single, _, batched = (rate.per_second for rate in rates[:4])
    table = Table(title="Appending events")
    for column in ("way", "events/s", "to bare INSERT", "to library, 1", "to library, 100"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for name, rate in rates:
        ratios = (f"{rate / peer:.2f}" for peer in (bare, single, batched))
        table.add_row(name, f"{rate:,.0f}", *ratios)
    console = Console(width=110)
    console.print(table)
    console.print(machine())


def machine() -> str:
    """What it ran on, for whoever reads the figures."""
    return (
        f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, embedded PostgreSQL, fsync on"
    )


def main(
    seconds: Annotated[float, typer.Option(help="For each way of single writes.")] = 3.0,
    events: Annotated[int, typer.Option(help="To import.")] = 100_000,
) -> None:
    """Print the rates and their ratios."""
    with tempfile.TemporaryDirectory(prefix="qledger-bench-") as home:
        Path(home).chmod(0o755)
        with EmbeddedServer(Path(home)), Ledger.open(Settings(home=Path(home))) as ledger:
            show(measure(ledger, seconds, events))


if __name__ == "__main__":
    typer.run(main)
