"""Loading the side that is being rebuilt, part by part, on all cores.

Law: a part is a range of deals. It is claimed, folded, loaded and marked as done in one
transaction, so each is loaded exactly once, by whichever process, and one that dies leaves its part
to the next.
A worker takes parts of its own plan only: the side must still stand at the horizon, the rules and
the zone that it folds by. It ends when its parent does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import Connection

from ledger.domain.basis import RULES, Basis
from ledger.domain.envelope import decode
from ledger.domain.errors import Unavailable
from ledger.domain.events import Event, stream_id
from ledger.domain.times import END_OF_TIME
from projections import garbage, sessions
from projections.fold.deal_history import DealHistory, World
from projections.fold.states import STATE_TYPES, Learned
from projections.histories import Fold, told, with_evidence
from projections.position import CannotProject
from projections.reader import LogReader, StreamRange
from projections.tables import writing
from projections.tables.sides import Side
from projections.workers import Workers, parent_lives, work
from projections.worlds import Shared

DEALS_AT_WORK_MAX = 500

_CLAIM: LiteralString = """
SELECT part.number, part.first_stream, part.end_stream FROM qledger.rebuild_part AS part
WHERE part.side = %(side)s AND NOT part.done AND EXISTS (
    SELECT FROM qledger.projection AS p WHERE p.side = part.side AND NOT p.live AND NOT p.ready
    AND p.position = %(horizon)s AND p.zone = %(zone)s AND p.rules = %(rules)s)
ORDER BY part.number LIMIT 1 FOR UPDATE OF part SKIP LOCKED
"""
_DONE: LiteralString = """
UPDATE qledger.rebuild_part SET done = true, events = %(events)s
WHERE side = %(side)s AND number = %(number)s
"""
_ENVELOPES: LiteralString = """
SELECT stream, position, envelope FROM qledger.event
WHERE stream >= %(first)s AND stream < %(end)s AND position <= %(horizon)s
AND type = ANY(%(types)s::text[]) ORDER BY stream, stream_version
"""


class Job(NamedTuple):
    """What a worker is to load.

    Args:
        conninfo: the database.
        side: onto which side.
        horizon: the last position to take into account.
        zone: the reporting time zone.
    """

    conninfo: str
    side: Side
    horizon: int
    zone: str


def load_parts(job: Job, go_on: Callable[[], bool], fold: Fold = DealHistory) -> None:
    """Load parts until none is left to claim.

    Args:
        job: of which plan.
        go_on: asked before each part.
        fold: makes the empty history of a deal.

    Raises:
        CannotProject: an event that the fold does not take; its part is not loaded.
        psycopg.OperationalError: the database went away.
    """
    with (
        sessions.writing(job.conninfo) as connection,
        sessions.writing(job.conninfo) as reading,
        garbage.by_hand() as sweep,
    ):
        world = World(tuple(Shared.read(reading, job.horizon).playbooks), job.zone)
        while go_on() and _load_part(connection, reading, job, world, fold):
            sweep()


def _load_part(
    connection: Connection[Any], reading: Connection[Any], job: Job, world: World, fold: Fold
) -> bool:
    """Load the next part; False when there is none."""
    plan = {"side": job.side, "horizon": job.horizon, "zone": job.zone, "rules": RULES}
    with connection.transaction():
        row = connection.execute(_CLAIM, plan).fetchone()
        if row is None:
            return False
        number, first, end = row
        streams = StreamRange(first, end)
        counted = _Counted()
        try:
            deals = _learned(reading, streams, job.horizon, world, fold, counted)
            writing.load(connection, job.side, deals)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except Exception as error:  # whatever an event does to the fold, or its row to the table
            fault = fault_in(reading, streams, job.horizon, world, fold)
            raise fault or _failed(error) from error
        connection.execute(_DONE, {"side": job.side, "number": number, "events": counted.events})
    return True


class _Counted:
    """How many events were folded."""

    events = 0


def _learned(
    reading: Connection[Any],
    streams: StreamRange,
    horizon: int,
    world: World,
    fold: Fold,
    counted: _Counted,
) -> Iterator[tuple[str, Learned]]:
    """Every deal of a range with all that is learned of it, a few hundred in memory at a time."""
    everything = Basis(END_OF_TIME, END_OF_TIME, horizon)
    found = LogReader(reading).streams(everything, streams, STATE_TYPES)
    while some := dict(islice(found, DEALS_AT_WORK_MAX)):
        deals = {stream_id(stream): events for stream, events in some.items()}
        for deal, events in with_evidence(reading, deals, horizon).items():
            counted.events += len(events)
            yield deal, fold(deal, world).learn(events)


def _failed(error: Exception) -> Unavailable:
    return Unavailable("rebuild-failed", f"{type(error).__name__}: {str(error).strip()}")


def fault_in(
    reading: Connection[Any], streams: StreamRange, horizon: int, world: World, fold: Fold
) -> CannotProject | None:
    """The first event of a range of deals that cannot be projected, found one by one."""
    parameters = {**streams._asdict(), "horizon": horizon, "types": sorted(STATE_TYPES)}
    rows = reading.execute(_ENVELOPES, parameters, binary=True).fetchall()
    faults = []
    for _stream, position, envelope in rows:
        try:
            decode(envelope)
        except Exception as error:
            faults.append(CannotProject.at(position, error))
    if faults:
        return min(faults, key=lambda fault: fault.position)
    for deal in sorted({stream_id(stream) for stream, _position, _envelope in rows}):
        events = told(reading, [deal], horizon).get(deal, [])
        fault = _fault_of(fold(deal, world).learn, sorted(events, key=_position))
        if fault is not None:
            return fault
    return None


def _fault_of(
    learn: Callable[[Sequence[Event]], Learned], events: Sequence[Event]
) -> CannotProject | None:
    for event in events:
        try:
            learn([event])
        except Exception as error:
            return CannotProject.at(event["position"], error)
    return None


def _position(event: Event) -> int:
    position: int = event["position"]
    return position


# --- processes ------------------------------------------------------------------------------------


def load_beside(job: Job, count: int) -> Workers:
    """Processes that load parts.

    Args:
        job: of which plan.
        count: how many processes.
    """
    return Workers("projections.parts", [job._asdict()] * count)


def _load(said: dict[str, Any]) -> None:
    load_parts(Job(**{**said, "side": Side(said["side"])}), parent_lives)


if __name__ == "__main__":
    work(_load)
