"""How long a forecast over a large book takes, cold, from the command line, and its peak memory.

The book is generated as an import makes it: attested events, in the order of their deals, each deal
opened within two years, moved through stages, half of them pushed, half of them closed. With
`--evidence` each deal also has so many pieces of evidence on the buyer's journey, so that it is
judged gate by gate.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ledger.config import Settings
from ledger.domain.events import Draft, EventPayload, Source, parse_payload, stream_name
from ledger.domain.ids import event_id_of
from ledger.domain.playbook import parse_playbook
from ledger.store.ledger import IMPORT_EVENTS_MAX, Ledger

SOURCE = Source("bench")
START = datetime(2024, 6, 1, tzinfo=UTC)
YEARS_MINUTES = 2 * 365 * 24 * 60
STAGES = (("Discovery", 10), ("Proof", 40), ("Proposal", 60), ("Negotiation", 90))
SHIPPED = Path(__file__).parents[2] / "ledger" / "playbooks" / "buyers_journey.toml"
ROLES = ("champion", "economic_buyer", "technical_buyer", "procurement")
CRITERIA = tuple(
    criterion
    for gate in parse_playbook(SHIPPED.read_text(encoding="utf-8"), where=SHIPPED.name).gates
    if not gate.after_decision
    for criterion in gate.criteria
)
ASKED = ("forecast", "--as-of", "2026-02-10", "--period", "2026-Q1", "--format", "json")


def playbook_event() -> Draft:
    """The shipped buyer's journey, in force from the beginning."""
    playbook = parse_playbook(SHIPPED.read_text(encoding="utf-8"), where=SHIPPED.name)
    told = {"playbook": playbook.model_dump(mode="json", exclude_none=True)}
    parsed = parse_payload("playbook-published", told)
    event_id = event_id_of("bench", "playbook", "1")
    stream = stream_name("playbook", playbook.key)
    return Draft(stream, parsed, event_id, "bench", SOURCE, START, START)


def evidence_events(number: int, opened: datetime, pieces: int) -> Iterator[Draft]:
    """What the buyer said: a stakeholder a role, then a piece of evidence every four days."""
    for step, role in enumerate(ROLES, start=20):
        who = {"stakeholder": role, "name": role, "role": role, "seniority": "c_level"}
        yield _draft(number, step, opened, "stakeholder-added", who)
    for step in range(pieces):
        criterion = CRITERIA[step % len(CRITERIA)]
        said = {
            "criterion": criterion.key,
            "stance": "supports",
            "source_kind": (criterion.source_kinds or ("meeting",))[0],
            "said_by": criterion.said_by_role or "champion",
        }
        at = opened + timedelta(days=4 * (step + 1))
        yield _draft(number, 30 + step, at, "evidence-recorded", said)


def deal_events(number: int, chance: random.Random, evidence: int) -> Iterator[Draft]:
    """The history of one deal."""
    opened = START + timedelta(minutes=chance.randrange(YEARS_MINUTES))
    close = opened.date() + timedelta(days=chance.randrange(30, 180))
    amount = {"amount": f"{chance.randrange(1_000, 500_000)}.00", "currency": "USD"}
    yield _draft(
        number,
        0,
        opened,
        "deal-opened",
        {
            "name": f"Deal {number}",
            "owner": f"rep-{number % 60}",
            "amount": amount,
            "close_date": close.isoformat(),
        },
    )
    if evidence:
        yield from evidence_events(number, opened, evidence)
    moves = chance.randrange(1, 4)
    for step, (stage, probability) in enumerate(STAGES[:moves], start=1):
        payload = {"stage": stage, "probability": probability}
        yield _draft(number, step, opened + timedelta(days=9 * step), "stage-claimed", payload)
    if chance.random() < 0.5:
        pushed = {"close_date": (close + timedelta(days=30)).isoformat()}
        yield _draft(number, 8, opened + timedelta(days=60), "deal-revised", pushed)
    if chance.random() < 0.5:
        outcome = chance.choice(("won", "lost", "no_decision"))
        yield _draft(number, 9, opened + timedelta(days=90), "deal-closed", {"outcome": outcome})


def _draft(number: int, step: int, at: datetime, kind: str, payload: Mapping[str, object]) -> Draft:
    parsed: EventPayload = parse_payload(kind, payload)
    event_id = event_id_of("bench", str(number), str(step))
    return Draft(f"deal:{number:07d}", parsed, event_id, "bench", SOURCE, at, at)


def fill(ledger: Ledger, deals: int, evidence: int = 0) -> int:
    """Import a generated book; return how many events it has."""
    chance = random.Random(7)
    chunk: list[Draft] = [playbook_event()] if evidence else []
    events = 0
    for number in track(range(deals), description="Importing"):
        chunk += deal_events(number, chance, evidence)
        if len(chunk) > IMPORT_EVENTS_MAX - 120 or number == deals - 1:
            events += ledger.import_events(chunk).added
            chunk = []
    return events


def main(
    deals: Annotated[int, typer.Option(help="How many deals.")] = 100_000,
    evidence: Annotated[
        int, typer.Option(help="Pieces of evidence of each deal.", min=0, max=100)
    ] = 0,
    repeats: Annotated[int, typer.Option(help="How often to ask.")] = 5,
    home: Annotated[
        Path | None, typer.Option(help="Keep the ledger here and use it again.")
    ] = None,
) -> None:
    """Generate a book, import it, and ask for a forecast as a person would."""
    with tempfile.TemporaryDirectory(prefix="qledger-bench-") as temporary:
        settings = Settings(home=home or Path(temporary))
        with Ledger.open(settings) as ledger:
            started = time.perf_counter()
            if ledger.head().size == 0:
                fill(ledger, deals, evidence)
                ledger.database.analyze()
            seconds_import = time.perf_counter() - started
            events = ledger.head().size
            seconds, peak_mib = ask(settings, repeats)
    proven = f", {evidence} pieces of evidence a deal" if evidence else ""
    table = Table(
        title=f"Forecast over {deals:,} deals, {events:,} events{proven} ({os.cpu_count()} cores)",
        title_justify="left",
    )
    table.add_column("work")
    table.add_column("result", justify="right")
    table.add_row("import", f"{seconds_import:.1f} s ({events / seconds_import:,.0f} events/s)")
    table.add_row("qledger forecast, best", f"{min(seconds):.2f} s")
    table.add_row("qledger forecast, median", f"{statistics.median(seconds):.2f} s")
    table.add_row("qledger forecast, worst", f"{max(seconds):.2f} s")
    table.add_row("peak memory of a process", f"{peak_mib:.0f} MiB")
    Console(width=100).print(table)


def ask(settings: Settings, repeats: int) -> tuple[list[float], float]:
    """Seconds of each question, and the peak memory of the largest process, in MiB."""
    command = [str(Path(sys.executable).parent / "qledger"), *ASKED]
    environment = {**os.environ, "QLEDGER_HOME": str(settings.home)}
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    typer.run(main)
