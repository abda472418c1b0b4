"""How far the read models are: position, lag, whether they may be asked, who projects.

Law: everything here is read from the database, so any process sees the same, whoever projects. The
lag is counted against the head of the log: in events, and in seconds since the oldest event that is
not in the tables was recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, TypeAlias

from psycopg import Connection

from ledger.domain.basis import RULES
from ledger.domain.errors import QledgerError, Unavailable
from ledger.domain.times import format_instant

Connections: TypeAlias = Callable[[], AbstractContextManager[Connection[Any]]]
"""Lends a connection, as a pool does."""

LEADER_LOCK = 0x716C6C656164  # "qllead"
REBUILD_LOCK = 0x716C6275696C  # "qlbuil"
INDEXING_LOCK = 0x716C696E6478  # "qlindx"
"""Session advisory locks: who projects onto the live side, who rebuilds beside it, and who makes
indexes for that."""

PROJECTED_CHANNEL: LiteralString = "qledger_projected"
"""Notified when the live side has moved; a hint that nobody may rely on."""

REASON_CHARACTERS_MAX = 500
POLL_SECONDS_MIN = 0.005
POLL_SECONDS_MAX = 0.1

_STATUS: LiteralString = """
SELECT p.side, p.position, p.rules, p.zone, p.ready, p.halted_at, p.halted_because, p.projected_at,
       head.size,
       (SELECT greatest(0, extract(epoch FROM clock_timestamp() - waiting.recorded_at))::float8
        FROM qledger.event AS waiting WHERE waiting.position = p.position + 1),
       (SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (classid::bigint << 32 | objid::bigint) = %(leader)s),
       (SELECT count(*) FROM qledger.rebuild_part),
       (SELECT count(*) FROM qledger.rebuild_part WHERE done)
FROM qledger.projection AS p, qledger.head WHERE p.live
"""
_POSITION: LiteralString = """
SELECT position, halted_at IS NOT NULL FROM qledger.projection WHERE live
"""


class CannotProject(Unavailable):
    """An event that the read models cannot take: they stop before it.

    Args:
        position: the event's.
        because: why, in a sentence.
    """

    def __init__(self, position: int, because: str) -> None:
        super().__init__(
            "cannot-project",
            f"the event at position {position} cannot be projected: {because}",
            where=f"position {position}",
            hint="answers are folded from the log meanwhile; the release that knows it goes on",
        )
        self.position = position
        self.because = because

    @classmethod
    def at(cls, position: int, error: Exception) -> CannotProject:
        """The same for what an event raised."""
        text = str(error) if isinstance(error, QledgerError) else f"{type(error).__name__}: {error}"
        return cls(position, text.strip()[:REASON_CHARACTERS_MAX])


class Status(NamedTuple):
    """The read models now.

    Args:
        side: which of the two is live.
        position: all events up to it are in the tables.
        rules: the version of the folding code that made them; empty when nothing did yet.
        zone: the reporting time zone by which they were made.
        ready: whether they may be asked.
        halted_at: the position of the event that could not be projected.
        halted_because: why.
        projected_at: when the position last moved.
        head: the last position of the log.
        waiting_seconds: how long the oldest event that is not projected has been waiting.
        runner: whether a process projects.
        parts: of an unfinished rebuild: how many parts there are.
        parts_done: how many of them are loaded.
    """

    side: str
    position: int
    rules: str
    zone: str
    ready: bool
    halted_at: int | None
    halted_because: str | None
    projected_at: datetime | None
    head: int
    waiting_seconds: float | None
    runner: bool
    parts: int
    parts_done: int

    @property
    def lag_events(self) -> int:
        """How many events are recorded and not in the tables."""
        return max(0, self.head - self.position)

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has been waiting; 0 when there is none."""
        return self.waiting_seconds or 0.0

    @property
    def rules_differ(self) -> bool:
        """Whether the tables were made by other rules than this program's: they are not used."""
        return self.rules != RULES and self.position > 0

    @property
    def in_use(self) -> bool:
        """Whether answers may come from the tables; those about now once they are at the head."""
        return self.ready and self.rules == RULES

    @property
    def answers_from(self) -> str:
        """What answers come from, in words."""
        if not self.in_use:
            return "the log"
        if self.lag_events:
            return "the log for what may have changed since that position, else the tables"
        return "the tables"

    def as_dict(self) -> dict[str, Any]:
        """The status as JSON."""
        moved = None if self.projected_at is None else format_instant(self.projected_at)
        halted = {"position": self.halted_at, "because": self.halted_because}
        return {
            "head": self.head,
            "position": self.position,
            "lag_events": self.lag_events,
            "lag_seconds": round(self.lag_seconds, 3),
            "in_use": self.in_use,
            "answers_from": self.answers_from,
            "runner": self.runner,
            "projected_at": moved,
            "side": self.side,
            "zone": self.zone,
            "rules": {"tables": self.rules, "program": RULES, "differ": self.rules_differ},
            "halted": halted if self.halted_because is not None else None,
            "rebuild": {"parts": self.parts, "done": self.parts_done} if self.parts else None,
        }


def status(connection: Connection[Any]) -> Status:
    """How far the read models are, in one statement."""
    row = connection.execute(_STATUS, {"leader": LEADER_LOCK}).fetchone()
    assert row is not None  # noqa: S101 - one side is always live
    *facts, leaders, parts, done = row
    return Status._make([*facts, leaders > 0, parts, done])


def await_position(connections: Connections, position: int, seconds_max: float) -> bool:
    """Wait until the live tables hold all events up to a position.

    So a writer reads its own write from the tables. Where it does not come to that, the answer is
    folded from the log: later, and the same.

    Args:
        connections: lends a connection for each look, such as `pool.connection`.
        position: the last one that must be in the tables.
        seconds_max: how long to wait at most.

    Returns:
        Whether it is there. False at once when the runner has halted on an event.
    """
    for _time in times_to_look(seconds_max):
        with connections() as connection:
            row = connection.execute(_POSITION, prepare=True).fetchone()
        reached, halted = row or (0, False)
        if reached >= position:
            return True
        if halted:
            return False
    return False


def times_to_look(seconds_max: float) -> Iterator[None]:
    """When to look whether something has come about: at once, then after pauses that grow.

    Args:
        seconds_max: how long to wait at most; the last time is then.
    """
    deadline = time.monotonic() + seconds_max
    pause = POLL_SECONDS_MIN
    yield
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 2, POLL_SECONDS_MAX)
        yield
