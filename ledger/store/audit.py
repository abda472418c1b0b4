"""The audit of the log: whether what is stored is what the law of the store says.

Law: positions run 1, 2, 3, ... to the head; the columns say what the envelope says; the envelope is
canonical and its leaf hash is right; `recorded_at` never decreases; the versions of a stream run
1, 2, 3, .... It reads the log once, in constant memory, in one snapshot, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from ledger.domain.envelope import canonical, leaf_hash
from ledger.domain.times import Instant
from ledger.store import log
from ledger.store.database import Connection

FAULTS_MAX = 100
"""How many faults a report lists; more than that are only counted."""

PROGRESS_EVENTS = 10_000

_ROWS_PER_FETCH = 2_000
_SCAN = """
SELECT position, recorded_at, occurred_at, known_at, stream_version, witnessed, event_id, stream,
       type, leaf_hash, envelope
FROM qledger.event ORDER BY position
"""
_BROKEN_STREAMS = """
SELECT stream, count(*), min(stream_version), max(stream_version) FROM qledger.event
GROUP BY stream HAVING min(stream_version) <> 1 OR max(stream_version) <> count(*)
"""


class Fault(NamedTuple):
    """Something that contradicts the law.

    Args:
        code: `position-gap`, `not-an-envelope`, `not-canonical`, `column-differs`,
            `leaf-hash-differs`, `recorded-at-decreases`, `stream-version-gap` or `head-differs`.
        position: of the event; 0 where it is not about one.
        message: what differs.
    """

    code: str
    position: int
    message: str


class LogReport(NamedTuple):
    """What the audit found.

    Args:
        events: how many events were read.
        faults: the first `FAULTS_MAX` faults.
        fault_count: how many there were.
    """

    events: int
    faults: tuple[Fault, ...]
    fault_count: int


class _Stored(NamedTuple):
    position: int
    recorded_at: Instant
    occurred_at: Instant
    known_at: Instant
    stream_version: int
    witnessed: bool
    event_id: UUID
    stream: str
    type: str
    leaf_hash: bytes
    envelope: bytes


def check_log(
    connection: Connection, progress: Callable[[int, int], None] | None = None
) -> LogReport:
    """Read the whole log and check it.

    Args:
        connection: a session that may read; not inside a transaction.
        progress: called now and then with the events read and the events there are.
    """
    faults: list[Fault] = []
    fault_count = events = 0
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0")
        head = log.head(connection)
        for events, found in _checked(connection, head):
            fault_count += len(found)
            faults += found[: FAULTS_MAX - len(faults)]
            if progress is not None and events % PROGRESS_EVENTS == 0:
                progress(events, head.size)
    return LogReport(events, tuple(faults), fault_count)


def _checked(connection: Connection, head: log.Head) -> Iterator[tuple[int, list[Fault]]]:
    """How many events were read so far, and the faults of the last."""
    count, last = 0, None
    with connection.cursor("audit", binary=True) as cursor:
        cursor.itersize = _ROWS_PER_FETCH
        cursor.execute(_SCAN)
        for count, values in enumerate(cursor, 1):
            row = _Stored(*values)
            yield count, [*_order_faults(row, last), *_row_faults(row)]
            last = row
    yield count, [*_head_faults(head, count, last), *_stream_faults(connection)]


def _order_faults(row: _Stored, last: _Stored | None) -> Iterator[Fault]:
    expected = 1 if last is None else last.position + 1
    if row.position != expected:
        yield Fault("position-gap", row.position, f"{expected} should come here")
    if last is not None and row.recorded_at < last.recorded_at:
        yield Fault(
            "recorded-at-decreases", row.position, f"{row.recorded_at} after {last.recorded_at}"
        )


def _row_faults(row: _Stored) -> Iterator[Fault]:
    if leaf_hash(row.envelope) != row.leaf_hash:
        yield Fault("leaf-hash-differs", row.position, "the envelope is not the one hashed")
    try:
        said = orjson.loads(row.envelope)
        wanted = _columns(said)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        yield Fault("not-an-envelope", row.position, f"{type(error).__name__}: {error}")
        return
    if canonical(said) != row.envelope:
        yield Fault("not-canonical", row.position, "the envelope is not RFC 8785 JSON")
    for name, value in wanted.items():
        stored = getattr(row, name)
        if stored != value:
            yield Fault(
                "column-differs", row.position, f"{name} is {stored}, the envelope says {value}"
            )


def _columns(said: dict[str, Any]) -> dict[str, object]:
    """What the columns should hold, by the envelope."""
    return {
        "position": said["position"],
        "recorded_at": _instant(said["recorded_at"]),
        "occurred_at": _instant(said["occurred_at"]),
        "known_at": _instant(said.get("known_at", said["recorded_at"])),
        "witnessed": "known_at" not in said,
        "stream_version": said["stream_version"],
        "event_id": UUID(said["event_id"]),
        "stream": said["stream"],
        "type": said["type"],
    }


def _instant(text: str) -> Instant:
    return datetime.fromisoformat(text).astimezone(UTC)


def _head_faults(head: log.Head, count: int, last: _Stored | None) -> Iterator[Fault]:
    if head.size != count:
        yield Fault("head-differs", 0, f"the head says {head.size} events, there are {count}")
    if last is not None and head.recorded_at != last.recorded_at:
        yield Fault("head-differs", 0, f"the head says {head.recorded_at}, not {last.recorded_at}")


def _stream_faults(connection: Connection) -> Iterator[Fault]:
    for stream, count, low, high in connection.execute(_BROKEN_STREAMS):
        yield Fault("stream-version-gap", 0, f"{stream}: {count} events, {low} to {high}")
