"""The log's statements: every read and write of `qledger.event` and `qledger.head` is here.

Law: an append is one call of an SQL function (`qledger.append_one` for a single event, else
`qledger.append`), an import one binary COPY under the same lock on the head row; all of them splice
and hash the same bytes (`ledger.domain.envelope.splice`). Nothing here knows what an event means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import LiteralString, NamedTuple
from uuid import UUID
from weakref import WeakSet

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from ledger.domain.envelope import Prepared
from ledger.domain.times import Instant, format_instant
from ledger.store import arrays
from ledger.store.database import Connection

EVENT_ID_TAKEN = "event_event_id"
STREAM_MOVED = "event_stream_version"
"""The unique constraints that an append may violate."""


class Head(NamedTuple):
    """The end of the log: how many events it holds, and when the last was recorded."""

    size: int
    recorded_at: Instant | None


class Appended(NamedTuple):
    """Where an append landed: the first position, the others follow it."""

    first_position: int
    recorded_at: Instant


class Row(NamedTuple):
    """An event as it is stored."""

    position: int
    stream: str
    stream_version: int
    type: str
    envelope: bytes


# --- writing -------------------------------------------------------------------------------------

_APPEND = "SELECT first_position, recorded_at FROM qledger.append(%b, %b, %b, %b, %b, %b, %b, %b)"


def append(connection: Connection, events: Sequence[Prepared]) -> Appended:
    """Append prepared events in one round trip, all or nothing.

    Args:
        connection: in autocommit, or in a transaction that was begun.
        events: at least one.

    Raises:
        psycopg.errors.UniqueViolation: on `EVENT_ID_TAKEN` or `STREAM_MOVED`.
    """
    if len(events) == 1 and connection.pgconn.transaction_status == TransactionStatus.IDLE:
        return _append_one(connection, events[0])
    ids, streams, versions, types, occurred, known, befores, afters = zip(*events, strict=True)
    row = connection.execute(
        _APPEND,
        [
            arrays.uuids(ids), arrays.texts(streams), arrays.integers(versions),
            arrays.texts(types), arrays.instants(occurred), arrays.instants(known),
            arrays.byteas(befores), arrays.byteas(afters),
        ],
        prepare=True,
        binary=True,
    ).fetchone()  # fmt: skip
    assert row is not None  # noqa: S101 - a function with OUT parameters returns one row
    return Appended(*row)


# One event: the statement that people wait for. The driver's cursor takes 0.05 ms to bind eight
# values and to find its prepared statement again, of 0.4 ms with the disk; so this one goes to the
# driver's protocol layer, prepared by name. The driver drops all names after a rollback; outside a
# transaction nothing is lost by finding that out from the server.
_APPEND_ONE = b"""
SELECT first_position, recorded_at FROM qledger.append_one($1, $2, $3, $4, $5, $6, $7, $8)
"""
_APPEND_ONE_NAME = b"qledger_append_one"
_APPEND_ONE_TYPES = (2950, 25, 23, 25, 1184, 1184, 17, 17)
_ALL_BINARY = (Format.BINARY,) * len(_APPEND_ONE_TYPES)
_prepared_on: WeakSet[Connection] = WeakSet()
_integer = struct.Struct(">i").pack
_bigint = struct.Struct(">q")


def _append_one(connection: Connection, event: Prepared) -> Appended:
    event_id, stream, version, kind, occurred_at, known_at, before, after = event
    values = (
        event_id.bytes,
        stream.encode(),
        _integer(version),
        kind.encode(),
        _bigint.pack(arrays.microseconds(occurred_at)),
        None if known_at is None else _bigint.pack(arrays.microseconds(known_at)),
        before,
        after,
    )
    with connection.lock:
        try:
            row = _call_append_one(connection, values)
        except psycopg.errors.InvalidSqlStatementName:
            _prepared_on.discard(connection)
            row = _call_append_one(connection, values)
    position, recorded = (_bigint.unpack(row.get_value(0, n) or b"")[0] for n in (0, 1))
    return Appended(position, arrays.instant(recorded))


def _call_append_one(connection: Connection, values: Sequence[bytes | None]) -> PGresult:
    if connection not in _prepared_on:
        connection.pgconn.send_prepare(_APPEND_ONE_NAME, _APPEND_ONE, _APPEND_ONE_TYPES)
        _answer(connection, ExecStatus.COMMAND_OK)
        _prepared_on.add(connection)
    connection.pgconn.send_query_prepared(
        _APPEND_ONE_NAME, values, _ALL_BINARY, result_format=Format.BINARY
    )
    return _answer(connection, ExecStatus.TUPLES_OK)


def _answer(connection: Connection, expected: ExecStatus) -> PGresult:
    """The result of what was sent, waited for interruptibly, as a cursor does."""
    result: PGresult = connection.wait(generators.execute(connection.pgconn))[-1]
    if result.status != expected:
        raise psycopg.errors.error_from_result(result, "utf-8")
    return result


_LOCK_HEAD = """
WITH head AS MATERIALIZED (SELECT size, recorded_at FROM qledger.head FOR UPDATE)
SELECT size, greatest(clock_timestamp(), recorded_at) FROM head
"""
_MOVE_HEAD = "UPDATE qledger.head SET size = %s, recorded_at = %s"
_COPY = (
    "COPY qledger.event (position, recorded_at, occurred_at, known_at, stream_version, witnessed,"
    " event_id, stream, type, leaf_hash, envelope) FROM STDIN (FORMAT binary)"
)
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_COPY_EVENTS_PER_WRITE = 250
_row_head = struct.Struct(">hiqiqiqiqiiibi16si").pack
_size = struct.Struct(">i").pack


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Hold the lock of the append for several statements: nobody else writes meanwhile."""
    with connection.transaction():
        connection.execute(_LOCK_HEAD, prepare=True)
        yield


class CopyRow(NamedTuple):
    """What of a COPY row can be made before the lock is taken."""

    occurred: int
    known: int | None
    stream_version: int
    event_id: bytes
    stream_size: int
    names: bytes
    before: bytes
    after: bytes


def copy_row(event: Prepared) -> CopyRow:
    """Make the part of a COPY row that does not depend on the lock."""
    event_id, stream, version, kind, occurred_at, known_at, before, after = event
    occurred = arrays.microseconds(occurred_at)
    if known_at is None or known_at is occurred_at:
        known = None if known_at is None else occurred
    else:
        known = arrays.microseconds(known_at)
    name = stream.encode()
    return CopyRow(
        occurred, known, version, event_id.bytes, len(name), name + _type_and_hash(kind),
        before, after,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _type_and_hash(kind: str) -> bytes:
    """The type's field, and the size of the leaf hash that follows it."""
    return _size(len(kind.encode())) + kind.encode() + _size(32)


def copy_in(connection: Connection, rows: Sequence[CopyRow]) -> Appended:
    """Append by binary COPY in one transaction, all or nothing.

    PostgreSQL takes in one part while we splice and hash the next.

    Raises:
        psycopg.errors.UniqueViolation: on `EVENT_ID_TAKEN` or `STREAM_MOVED`.
    """
    with connection.transaction(), connection.cursor(binary=True) as cursor:
        cursor.execute(_LOCK_HEAD, prepare=True)
        locked = cursor.fetchone()
        assert locked is not None  # noqa: S101 - the head row is always there
        size, recorded_at = locked
        with cursor.copy(_COPY) as copy:
            copy.write(_COPY_HEADER)
            for start in range(0, len(rows), _COPY_EVENTS_PER_WRITE):
                part = rows[start : start + _COPY_EVENTS_PER_WRITE]
                copy.write(_spliced(part, size + start, recorded_at))
            copy.write(_COPY_TRAILER)
        cursor.execute(_MOVE_HEAD, [size + len(rows), recorded_at], prepare=True)
        cursor.execute("NOTIFY qledger")
    return Appended(size + 1, recorded_at)


def _spliced(rows: Sequence[CopyRow], size: int, recorded_at: Instant) -> bytes:
    """The binary COPY rows of events that follow `size` others."""
    recorded = arrays.microseconds(recorded_at)
    written = f',"recorded_at":"{format_instant(recorded_at)}",'
    parts: list[bytes] = []
    for position, row in enumerate(rows, size + 1):
        occurred, known, version, event_id, stream_size, names, before, after = row
        middle = f'"position":{position}{written}'.encode()
        parts += (
            _row_head(
                11, 8, position, 8, recorded, 8, occurred, 8, recorded if known is None else known,
                4, version, 1, known is None, 16, event_id, stream_size,
            ),
            names,
            sha256(b"\0%b%b%b" % (before, middle, after)).digest(),
            _size(len(before) + len(middle) + len(after)),
            before,
            middle,
            after,
        )  # fmt: skip
    return b"".join(parts)


# --- reading -------------------------------------------------------------------------------------

READ_BATCH = 1_000

_COLUMNS: LiteralString = "position, stream, stream_version, type, envelope"
_SELECT: LiteralString = f"SELECT {_COLUMNS} FROM qledger.event WHERE "  # noqa: S608 - constants
_LAST_VERSION = """
SELECT stream_version FROM qledger.event WHERE stream = %s ORDER BY stream_version DESC LIMIT 1
"""
_LAST_VERSIONS = """
SELECT stream, (SELECT max(stream_version) FROM qledger.event e WHERE e.stream = wanted.stream)
FROM unnest(%b) AS wanted (stream)
"""


def clock(connection: Connection) -> Instant:
    """The database's clock."""
    row = connection.execute("SELECT clock_timestamp()", binary=True).fetchone()
    assert row is not None  # noqa: S101 - one row
    instant: Instant = row[0]
    return instant


def head(connection: Connection) -> Head:
    """The end of the log."""
    row = connection.execute("SELECT size, recorded_at FROM qledger.head", binary=True).fetchone()
    assert row is not None  # noqa: S101 - the head row is always there
    return Head(*row)


def last_versions(connection: Connection, streams: Sequence[str]) -> dict[str, int]:
    """The last version of each stream that has events."""
    parameters = [arrays.texts(streams)]
    rows = connection.execute(_LAST_VERSIONS, parameters, prepare=True, binary=True)
    return {stream: version for stream, version in rows if version is not None}


def last_version(connection: Connection, stream: str) -> int:
    """The last version of a stream; 0 when it has no events."""
    row = connection.execute(_LAST_VERSION, [stream], prepare=True, binary=True).fetchone()
    return 0 if row is None else int(row[0])


def envelopes_of(connection: Connection, event_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The envelopes of those of these events that are recorded."""
    rows = connection.execute(
        "SELECT event_id, envelope FROM qledger.event WHERE event_id = ANY(%b)",
        [arrays.uuids(event_ids)],
        prepare=True,
        binary=True,
    )
    return dict(rows.fetchall())


def stream_rows(
    connection: Connection,
    stream: str,
    *,
    after_version: int | None = None,
    up_to_version: int | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> list[Row]:
    """A stream's events in the order of their versions."""
    order: LiteralString = "DESC" if descending else "ASC"
    return _rows(
        connection,
        _SELECT + "stream = %s AND stream_version > coalesce(%s::integer, -1)"
        " AND stream_version <= coalesce(%s::integer, 2147483647)"
        f" ORDER BY stream_version {order} LIMIT %s",
        [stream, after_version, up_to_version, limit],
    )


def kind_rows(connection: Connection, category: str) -> list[Row]:
    """The events of all streams of one kind, stream by stream, by the streams' own index."""
    first, end = f"{category}:", f"{category};"  # ';' is the byte after ':'
    return _rows(
        connection,
        _SELECT + "stream >= %s AND stream < %s ORDER BY stream, stream_version",
        [first, end],
    )


def batch(
    after: int,
    up_to: int,
    types: Sequence[str] | None,
    stream: str | None,
    connection: Connection,
    limit: int = READ_BATCH,
) -> list[Row]:
    """At most `limit` events after a position, up to another, in the order of positions.

    A stream is read by its own index; its versions are in the order of positions.
    """
    order: LiteralString = "position" if stream is None else "stream_version"
    where: LiteralString = "position > %s AND position <= %s"
    parameters: list[object] = [after, up_to]
    if types:
        where += " AND type = ANY(%s)"
        parameters.append(list(types))
    if stream is not None:
        where += " AND stream = %s"
        parameters.append(stream)
    return _rows(
        connection, _SELECT + where + f" ORDER BY {order} LIMIT %s", [*parameters, limit]
    )  # fmt: skip


def _rows(
    connection: Connection, statement: LiteralString, parameters: Sequence[object]
) -> list[Row]:
    found = connection.execute(statement, parameters, prepare=True, binary=True).fetchall()
    return [Row(*row) for row in found]
