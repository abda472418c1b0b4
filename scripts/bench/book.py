"""A large book, generated: deals of thirty events each (`scripts.bench.lives`), into a ledger.

    .venv/bin/python -m scripts.bench.book --home /tmp/bench-100k --deals 100000

The events come in whatever order is asked for: deal by deal, as an import brings them, or so many
deals together in the order of knowledge, as a ledger in use has them.

Law: the same shape gives the same log. A home that holds a part of a book is filled from where it
ended; one that holds another book is refused.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import track

from ledger.config import Settings
from ledger.domain.envelope import prepare
from ledger.domain.events import SETTINGS_STREAM, Draft, Source, parse_payload, stream_name
from ledger.domain.ids import event_id_of
from ledger.domain.playbook import parse_playbook
from ledger.store import log
from ledger.store.ledger import IMPORT_EVENTS_MAX, Ledger
from scripts.bench.lives import (
    BEGIN,
    CURRENCIES,
    EVENTS_PER_DEAL,
    OWNERS,
    SHIPPED,
    WINDOW_DAYS,
    life,
    owner,
    prepared,
)

SOURCE = Source("crm")


class Shape(NamedTuple):
    """Which book.

    Args:
        deals: how many.
        together: how many deals at a time are written in the order of knowledge.
    """

    deals: int
    together: int = 1

    @property
    def events(self) -> int:
        """How many events the whole book has."""
        return len(world()) + self.deals * EVENTS_PER_DEAL


# --- what is not of a deal -----------------------------------------------------------------------


def world() -> list[Draft]:
    """Settings, rates, people and the playbook: what stands before the first deal."""
    playbook = parse_playbook(SHIPPED.read_text(encoding="utf-8"), where=SHIPPED.name)
    published = {"playbook": playbook.model_dump(mode="json", exclude_none=True)}
    told: list[tuple[str, str, dict[str, Any], int]] = [
        (SETTINGS_STREAM, "reporting-currency-set", {"currency": "USD"}, 0),
        (stream_name("playbook", playbook.key), "playbook-published", published, 0),
    ]
    for day in range(0, WINDOW_DAYS, 91):
        for currency, rate in CURRENCIES[1:]:
            swing = rate + (day // 91 % 3 - 1) * 0.02
            paid = {"currency": currency, "to": "USD", "rate": f"{swing:.4f}"}
            told.append((SETTINGS_STREAM, "fx-rate-set", paid, day))
    for number in range(OWNERS):
        lead = f"lead-{number % 20:02d}"
        who = {"name": f"Rep {number}", "manager": lead, "team": f"team-{number % 20:02d}"}
        told.append((stream_name("person", owner(number)), "person-joined", who, 0))
    return [
        Draft(
            stream, parse_payload(kind, payload), event_id_of("bench", "world", str(number)),
            "crm", SOURCE, BEGIN + timedelta(days=day), BEGIN + timedelta(days=day),
        )
        for number, (stream, kind, payload, day) in enumerate(told)
    ]  # fmt: skip


def _world_rows() -> list[log.CopyRow]:
    versions: dict[str, int] = {}
    rows = []
    for draft in world():
        versions[draft.stream] = versions.get(draft.stream, 0) + 1
        rows.append(log.copy_row(prepare(draft, versions[draft.stream])))
    return rows


# --- into a ledger -------------------------------------------------------------------------------


def rows(shape: Shape, after: int = 0) -> Iterator[log.CopyRow]:
    """The rows of the book behind a position, in the order of the log."""
    first = _world_rows()
    yield from first[after:]
    done = max(0, after - len(first))
    begun = done // (shape.together * EVENTS_PER_DEAL) * shape.together
    skip = done - begun * EVENTS_PER_DEAL
    chance = random.Random()
    for number in range(begun, shape.deals, shape.together):
        block = [
            log.copy_row(prepared(each, version, told))
            for each in range(number, min(number + shape.together, shape.deals))
            for version, told in enumerate(life(each, chance), start=1)
        ]
        if shape.together > 1:
            block.sort(key=lambda row: row.known or 0)
        yield from block[skip:]
        skip = 0


def fill(ledger: Ledger, shape: Shape) -> int:
    """Write what is missing of the book; return how many events that was.

    One part is generated while the database takes in the part before it.
    """
    before = ledger.head().size
    left = rows(shape, before)
    missing = shape.events - before
    if missing <= 0:
        return 0
    parts = -(-missing // IMPORT_EVENTS_MAX)
    with ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None
        for _ in track(range(parts), description=f"Writing {missing:,} events"):
            part = list(islice(left, IMPORT_EVENTS_MAX))
            if writing is not None:
                writing.result()
            writing = writer.submit(_write, ledger, part)
        if writing is not None:
            writing.result()
    ledger.database.analyze()
    return missing


def _write(ledger: Ledger, part: Sequence[log.CopyRow]) -> None:
    with ledger.database.connection() as connection:
        log.copy_in(connection, part)


def filled(home: Path, shape: Shape) -> Settings:
    """The settings of a home that holds the whole book, filled now if it does not.

    Raises:
        SystemExit: the home holds another book.
    """
    settings = Settings(home=home, statement_timeout_ms=0)
    note = home / "bench-book.json"
    if note.exists() and Shape(*json.loads(note.read_text())) != shape:
        raise SystemExit(f"{home} holds another book: {note.read_text()}; choose another --home")
    home.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(shape))
    with Ledger.open(settings) as ledger:
        fill(ledger, shape)
    return settings


def main(
    home: Annotated[Path, typer.Option(help="The ledger's home; kept, and filled up.")],
    deals: Annotated[int, typer.Option(help="How many deals, of 30 events each.")] = 100_000,
    together: Annotated[
        int, typer.Option(help="Deals at a time written in the order of knowledge.", min=1)
    ] = 1,
) -> None:
    """Generate a book into a home."""
    started = time.perf_counter()
    shape = Shape(deals, together)
    settings = Settings(home=home)
    filled(home, shape)
    seconds = time.perf_counter() - started
    Console().print(f"{settings.home}: {shape.events:,} events, {seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
