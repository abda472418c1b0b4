"""The fold of one deal with its reasons against the library's replay of an aggregate, in one run.

    .venv/bin/python -m scripts.bench.fold --events 200

Ours reads the envelopes and judges every gate over time: statuses, moves, loops, lapses, each with
its events. The peer decodes as many stored events and applies them one by one, and judges nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import UUID

import typer
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import DatetimeAsISO, JSONTranscoder, Mapper, UUIDAsHex
from rich.console import Console
from rich.table import Table

from ledger.domain.envelope import decode, prepare, splice
from ledger.domain.events import Draft, EventPayload, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.domain.playbook import Criterion, parse_playbook
from ledger.domain.times import format_instant
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory

SHIPPED = Path(__file__).parents[2] / "ledger" / "playbooks" / "buyers_journey.toml"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
AGAINST_EVERY = 17
"""One piece of evidence in so many speaks against its criterion."""


class Timing(NamedTuple):
    """A way of folding, in milliseconds a deal."""

    name: str
    best_ms: float
    median_ms: float


def envelopes(count: int) -> list[bytes]:
    """The envelopes of a busy deal: its stakeholders, then evidence on every gate, day by day."""
    playbook = parse_playbook(SHIPPED.read_text(encoding="utf-8"), where=SHIPPED.name)
    roles = sorted({each.said_by_role or "champion" for each in playbook.criteria.values()})
    payloads = [parse_payload("deal-opened", {"name": "Busy"})]
    payloads += [
        parse_payload("stakeholder-added", {"stakeholder": role, "name": role, "role": role})
        for role in roles
    ]
    asked = [
        criterion
        for gate in playbook.gates
        if not gate.after_decision
        for criterion in gate.criteria
    ]
    payloads += [
        _evidence(asked[number % len(asked)], against=number % AGAINST_EVERY == AGAINST_EVERY - 1)
        for number in range(count - len(payloads))
    ]
    return [_envelope("deal:busy", payload, number) for number, payload in enumerate(payloads, 1)]


def _evidence(criterion: Criterion, *, against: bool) -> EventPayload:
    return parse_payload(
        "evidence-recorded",
        {
            "criterion": criterion.key,
            "stance": "contradicts" if against else "supports",
            "source_kind": (criterion.source_kinds or ("meeting",))[0],
            "said_by": criterion.said_by_role or "champion",
            "quote": "The money is in the plan for this year, and the board has signed it off.",
        },
    )


def _envelope(stream: str, payload: EventPayload, number: int) -> bytes:
    happened = START + timedelta(hours=19 * number)
    identity = event_id_of("bench", stream, str(number))
    draft = Draft(stream, payload, identity, "ann", Source("bench"), happened)
    return splice(prepare(draft, number), number, happened)


class Busy(Aggregate):
    """The peer: an aggregate that takes as many events."""

    @event("Told")
    def tell(self, criterion: str, stance: str, source_kind: str, said_by: str, quote: str) -> None:
        self.last = (criterion, stance, source_kind, said_by, quote)


def library_replay(count: int) -> Callable[[], object]:
    """Decode and apply an aggregate's events, as the library's repository does."""
    busy = Busy()
    for _ in range(count - 1):
        busy.tell(
            criterion="budget_price_confirmed", stance="supports", source_kind="meeting",
            said_by="economic_buyer",
            quote="The money is in the plan for this year, and the board has signed it off.",
        )  # fmt: skip
    mapper: Mapper[UUID] = Mapper(_transcoder())
    stored = [mapper.to_stored_event(each) for each in busy.collect_events()]

    def replay() -> object:
        aggregate: Busy | None = None
        for each in stored:
            told = mapper.to_domain_event(each)
            aggregate = told.mutate(aggregate)  # type: ignore[attr-defined]
        if aggregate is None:
            raise AggregateNotFoundError
        return aggregate

    return replay


def _transcoder() -> JSONTranscoder:
    transcoder = JSONTranscoder()
    transcoder.register(UUIDAsHex())
    transcoder.register(DatetimeAsISO())
    return transcoder


def our_folds(count: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Reading and judging a deal; and judging it alone, when its events are read already."""
    text = SHIPPED.read_text(encoding="utf-8")
    playbook = parse_playbook(text, where=SHIPPED.name).model_dump(mode="json", exclude_none=True)
    published = parse_payload("playbook-published", {"playbook": playbook})
    valid_at = format_instant(START + timedelta(hours=19 * (count + 1)))
    stream = f"playbook:{playbook['key']}"
    playbooks = PlaybookHistory([decode(_envelope(stream, published, 0))], valid_at)
    written = envelopes(count)
    read = [decode(each) for each in written]

    def read_and_judge() -> object:
        return qualify("busy", [decode(each) for each in written], valid_at, playbooks)

    return read_and_judge, lambda: qualify("busy", read, valid_at, playbooks)


def timed(name: str, work: Callable[[], object], seconds: float) -> Timing:
    """Run a piece of work again and again for so long."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return Timing(name, min(taken), statistics.median(taken))


def main(
    events: Annotated[int, typer.Option(help="Events of the deal.")] = 200,
    seconds: Annotated[float, typer.Option(help="Seconds for each way.")] = 2.0,
) -> None:
    """Fold one deal both ways, and print the ratio."""
    read_and_judge, judge = our_folds(events)
    timings = [
        timed("library: decode and apply", library_replay(events), seconds),
        timed("ours: read and judge", read_and_judge, seconds),
        timed("ours: judge what is read", judge, seconds),
    ]
    table = Table(title=f"Fold of one deal with {events} events", title_justify="left")
    for column in ("way", "best ms", "median ms", "to library"):
        table.add_column(column, justify="left" if column == "way" else "right")
    peer = timings[0].median_ms
    for each in timings:
        table.add_row(
            each.name,
            f"{each.best_ms:.2f}",
            f"{each.median_ms:.2f}",
            f"{each.median_ms / peer:.2f}",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
