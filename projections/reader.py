"""Reading the log for a fold: the events that a basis sees, stream by stream.

Law: only what `Basis.sees` allows leaves this module; the SQL beside it says the same. Reading
keeps memory bounded: streams come in order, a batch at a time, and a stream's events come together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from types import MappingProxyType
from typing import Any, LiteralString, NamedTuple

import orjson
import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row

from ledger.domain.basis import Basis
from ledger.domain.calendar import Period
from ledger.domain.envelope import complete, decode
from ledger.domain.errors import NotFound
from ledger.domain.events import (
    AccountOpened,
    AccountRevised,
    DealOpened,
    DealRevised,
    Event,
    stream_id,
)
from ledger.domain.history import ACTS
from ledger.domain.times import Instant, format_instant

STREAMS_PER_BATCH = 1000
POSITIONS_PER_LOOK: LiteralString = "2000"

_VISIBLE: LiteralString = """
    position <= %(horizon)s AND known_at <= %(known_at)s
    AND (witnessed OR NOT %(witnessed_only)s)
"""

_STREAMS: LiteralString = f"""
    SELECT stream, string_agg(envelope, ','::bytea) FROM qledger.event
    WHERE stream >= %(first)s AND stream < %(end)s AND type = ANY(%(types)s::text[]) AND {_VISIBLE}
    GROUP BY stream ORDER BY stream
"""

# Of the deals that name close dates, only those that name one within some days. A deal without a
# close date stays, and so does one whose events were acted on, for the fold alone knows what holds.
# A key followed by its colon cannot stand within a JSON string, where its quotes are escaped.
_DEALS_DUE: LiteralString = f"""
    SELECT stream, string_agg(envelope, ','::bytea) FROM qledger.event
    CROSS JOIN LATERAL (SELECT position('"close_date":'::bytea IN envelope) AS at OFFSET 0) AS named
    WHERE stream >= %(first)s AND stream < %(end)s AND type = ANY(%(types)s::text[]) AND {_VISIBLE}
    GROUP BY stream
    HAVING NOT bool_or(at > 0 AND occurred_at <= %(valid_at)s)
        OR bool_or(at > 0 AND (
            substring(envelope FROM at + 14 FOR 10) BETWEEN %(first_day)s AND %(last_day)s
            OR substring(envelope FROM at + 13 FOR 4) = 'null'::bytea))
        OR bool_or(type = ANY(%(acts)s::text[]))
    ORDER BY stream
"""

# Of the deals, only those that name one of some owners: who owns a deal was claimed in these bytes,
# which cannot stand within a JSON string. Whether they own it at the basis, the fold alone knows.
_STREAMS_OWNED: LiteralString = f"""
    SELECT stream, string_agg(envelope, ','::bytea) FROM qledger.event
    WHERE stream >= %(first)s AND stream < %(end)s AND type = ANY(%(types)s::text[]) AND {_VISIBLE}
    GROUP BY stream
    HAVING bool_or(type = ANY(%(owning)s::text[]) AND EXISTS (
        SELECT FROM unnest(%(owners)s::bytea[]) AS owner WHERE position(owner IN envelope) > 0))
    ORDER BY stream
"""

_STREAM: LiteralString = f"""
    SELECT envelope FROM qledger.event
    WHERE stream = %(stream)s AND {_VISIBLE} ORDER BY stream_version
"""

_POSITIONS: LiteralString = """
    SELECT envelope FROM qledger.event
    WHERE position = ANY(%(positions)s::bigint[]) ORDER BY position
"""

_LAST_VERSIONS: LiteralString = """
    SELECT asked.stream, last.stream_version
    FROM unnest(%(streams)s::text[]) AS asked (stream) CROSS JOIN LATERAL (
        SELECT stream_version FROM qledger.event
        WHERE stream = asked.stream COLLATE "C" AND position <= %(horizon)s
        ORDER BY stream_version DESC LIMIT 1
    ) AS last
"""

# A key that stands in the bytes may be that of something else: then the JSON is looked into.
_DIMENSION: LiteralString = """
    SELECT envelope FROM qledger.event
    WHERE position <= %(horizon)s AND type = ANY(%(types)s::text[])
    AND CASE WHEN position(%(part)s::bytea IN envelope) = 0 THEN false
        WHEN %(name)s::text IS NULL THEN true
        ELSE convert_from(envelope, 'UTF8')::jsonb #> '{payload,dimensions}' ? %(name)s::text
            OR convert_from(envelope, 'UTF8')::jsonb #> '{payload,payload,dimensions}'
                ? %(name)s::text
        END
    ORDER BY position DESC LIMIT %(limit)s
"""
_DIMENSIONS = b'"dimensions":{"'
_WITH_DIMENSIONS = (DealOpened.type, DealRevised.type, AccountOpened.type, AccountRevised.type)

_SAMPLE: LiteralString = """
    SELECT stream FROM qledger.event
    WHERE position = ANY(%(positions)s::bigint[]) AND stream >= %(first)s AND stream < %(end)s
    ORDER BY stream
"""

_FIRST_AMOUNTS: LiteralString = f"""
    SELECT envelope FROM qledger.event
    WHERE position > %(after)s AND position <= %(after)s + {POSITIONS_PER_LOOK}
    AND type IN ('deal-opened', 'deal-revised', 'event-corrected')
    AND stream >= 'deal:' AND stream < 'deal;' AND {_VISIBLE}
    ORDER BY position
"""


_LOG_WHERE: LiteralString = f"""
    FROM qledger.event
    WHERE position > %(after)s AND {_VISIBLE}
    AND (%(stream)s::text IS NULL OR stream = %(stream)s)
    AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s::text[]))
    ORDER BY position
"""
_LOG: LiteralString = f"SELECT envelope {_LOG_WHERE}"
_LOG_COLUMNS: LiteralString = f"""
    SELECT position, event_id, stream, type, occurred_at, known_at, recorded_at, witnessed
    {_LOG_WHERE}
"""

READER_ROLE = "qledger_reader"
_AS_READER: LiteralString = """
    SELECT set_config('role', rolname, false) FROM pg_roles
    WHERE rolname = %s AND pg_has_role(session_user, oid, 'MEMBER')
"""

_PRESENT: LiteralString = """
    SELECT greatest(clock_timestamp(), recorded_at), size FROM qledger.head
"""


class Present(NamedTuple):
    """The present, read once: the database's clock and the head of the log."""

    clock: Instant
    head: int


class FirstAmount(NamedTuple):
    """The first amount that the log says of a deal: its currency, and when it became known."""

    currency: str
    known_at: str


NEXT = "\x01"
"""Behind a stream's name it makes the first name after it: no name holds a control character."""


class StreamRange(NamedTuple):
    """Streams from `first` on, before `end`, in the byte order of their names."""

    first: str
    end: str


def category_range(category: str) -> StreamRange:
    """All streams of one kind."""
    return StreamRange(f"{category}:", f"{category};")  # ';' is the byte after ':'


class LogReader:
    """Reads through one connection; not to be shared by threads at the same time."""

    def __init__(self, connection: Connection[TupleRow]) -> None:
        self._connection = connection
        self._cursors = 0

    @classmethod
    @contextmanager
    def connect(cls, conninfo: str) -> Iterator[LogReader]:
        """A reader with a connection of its own, closed at the end."""
        with psycopg.connect(
            conninfo,
            autocommit=True,
            options="-c timezone=UTC -c default_transaction_read_only=on",
            row_factory=tuple_row,
        ) as connection:
            connection.execute(_AS_READER, [READER_ROLE])
            yield cls(connection)

    @contextmanager
    def one_state(self) -> Iterator[Connection[TupleRow] | None]:
        """A transaction whose statements all see one state of the database, and only read.

        Yields:
            The connection in it; None while the connection is at work on something else.
        """
        if self._connection.info.transaction_status != TransactionStatus.IDLE:
            yield None
            return
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield self._connection
        finally:
            if not self._connection.broken:
                self._connection.execute("COMMIT")  # what is prepared outlives no rollback

    def present(self) -> Present:
        """The database's clock and the last position."""
        return Present(*self._fetch(_PRESENT, {})[0])

    def streams(
        self, basis: Basis, streams: StreamRange, types: Collection[str]
    ) -> Iterator[tuple[str, list[Event]]]:
        """Every stream in a range with its visible events of some types, and all acts on them.

        Yields:
            The stream's name and its events, in no particular order.
        """
        return self._streams(_STREAMS, basis, streams, types)

    def deals_due(
        self, basis: Basis, streams: StreamRange, types: Collection[str], period: Period
    ) -> Iterator[tuple[str, list[Event]]]:
        """As `streams`, without the deals that surely have a close date outside a period."""
        days = {
            "valid_at": basis.valid_at,
            "first_day": period.first_day.isoformat().encode(),
            "last_day": period.last_day.isoformat().encode(),
            "acts": sorted(ACTS),
        }
        return self._streams(_DEALS_DUE, basis, streams, types, days)

    def owned_streams(
        self,
        basis: Basis,
        streams: StreamRange,
        types: Collection[str],
        owners: Collection[str],
    ) -> Iterator[tuple[str, list[Event]]]:
        """As `streams`, without the deals that surely none of some people ever owned.

        Args:
            basis: what is seen.
            streams: a range of deals.
            types: event types, those that name owners among them.
            owners: the people.
        """
        named = [b'"owner":' + orjson.dumps(owner) for owner in sorted(owners)]
        owning = [DealOpened.type, DealRevised.type, *sorted(ACTS)]
        return self._streams(
            _STREAMS_OWNED, basis, streams, types, {"owners": named, "owning": owning}
        )

    def _streams(
        self,
        query: LiteralString,
        basis: Basis,
        streams: StreamRange,
        types: Collection[str],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Iterator[tuple[str, list[Event]]]:
        parameters = {
            **_visible(basis),
            **streams._asdict(),
            "types": sorted({*types, *ACTS}),
            **more,
        }
        self._cursors += 1
        name = f"streams_{self._cursors}"  # one may be read while another is open
        with self._connection.transaction(), self._connection.cursor(name=name) as cursor:
            # Streams must come in index order, without a sort of the whole log on the way.
            self._connection.execute("SET LOCAL enable_sort = off")
            self._connection.execute("SET LOCAL enable_hashagg = off")
            cursor.itersize = STREAMS_PER_BATCH
            for stream, envelopes in cursor.execute(query, parameters, binary=True):
                yield stream, _opened(envelopes)

    def events(self, basis: Basis, category: str, types: Collection[str]) -> list[Event]:
        """The visible events of some types in all streams of one kind."""
        if category == "deal":
            found = self.streams(basis, category_range(category), types)
            return [event for _stream, events in found for event in events]
        asked = {**_visible(basis), **category_range(category)._asdict()}
        rows = self._fetch(_STREAMS, {**asked, "types": sorted({*types, *ACTS})})
        return [event for _stream, envelopes in rows for event in _opened(envelopes)]

    def stream(self, basis: Basis, stream: str) -> list[Event]:
        """The visible events of one stream, in recorded order."""
        rows = self._fetch(_STREAM, {**_visible(basis), "stream": stream})
        return [decode(envelope) for (envelope,) in rows]

    def log(
        self, basis: Basis, after: int, stream: str | None, types: Collection[str] | None,
        *, whole: bool,
    ) -> Iterator[Event]:  # fmt: skip
        """The visible events in the order of positions, a batch at a time.

        Args:
            basis: what is seen.
            after: only events behind this position.
            stream: only events of this stream.
            types: only events of these types.
            whole: whether all of them is wanted; else they lack what only the envelope says.
        """
        self._cursors += 1
        name = f"log_{self._cursors}"
        query = _LOG if whole else _LOG_COLUMNS
        parameters = {
            **_visible(basis),
            "after": after,
            "stream": stream,
            "types": None if types is None else sorted(types),
        }
        with self._connection.transaction(), self._connection.cursor(name=name) as cursor:
            cursor.itersize = STREAMS_PER_BATCH
            for row in cursor.execute(query, parameters, binary=True):
                yield decode(row[0]) if whole else _from_columns(row)

    def at_positions(self, positions: Collection[int]) -> dict[int, Event]:
        """The events at some positions.

        Raises:
            NotFound: `unknown-position`.
        """
        rows = self._fetch(_POSITIONS, {"positions": list(positions)})
        found = [decode(envelope) for (envelope,) in rows]
        by_position = {event["position"]: event for event in found}
        for position in positions:
            if position not in by_position:
                raise NotFound("unknown-position", f"there is no event at position {position}")
        return by_position

    def last_versions(self, streams: Collection[str], horizon: int) -> dict[str, int]:
        """How many events streams had at a position of the log, whatever their times.

        Args:
            streams: their names; those without events are not in the answer.
            horizon: the last position that counts.
        """
        asked = {"streams": list(streams), "horizon": horizon}
        rows = self._fetch(_LAST_VERSIONS, asked)
        return dict(rows)

    def naming_dimension(self, name: str | None, horizon: int, limit: int) -> list[Event]:
        """The last events that give a deal or an account a dimension, the last one first.

        Args:
            name: which; None is any.
            horizon: the last position that counts, whatever the times.
            limit: how many at most.
        """
        asked = {
            "name": name,
            "part": _DIMENSIONS if name is None else orjson.dumps(name) + b":",
            "types": sorted({*_WITH_DIMENSIONS, *ACTS}),
            "horizon": horizon,
            "limit": limit,
        }
        return [decode(envelope) for (envelope,) in self._fetch(_DIMENSION, asked)]

    def first_currency(self, basis: Basis) -> str | None:
        """The currency of the first visible deal event that says an amount; a correction may."""
        found = self.first_amount(basis)
        return None if found is None else found.currency

    def first_amount(self, basis: Basis) -> FirstAmount | None:
        """The first visible deal event that says an amount; a correction may."""
        for after in range(0, basis.horizon, int(POSITIONS_PER_LOOK)):
            for (envelope,) in self._fetch(_FIRST_AMOUNTS, {**_visible(basis), "after": after}):
                event = decode(envelope)
                said = event["payload"]
                amount = (said.get("payload") or said).get("amount")
                if amount:
                    return FirstAmount(amount["currency"], event["known_at"])
        return None

    def split(self, streams: StreamRange, parts: int, horizon: int) -> list[StreamRange]:
        """Cut a range of streams into parts of about equal numbers of events, by a sample."""
        step = max(1, horizon // 400)
        sample = self._fetch(
            _SAMPLE, {**streams._asdict(), "positions": list(range(1, horizon + 1, step))}
        )
        cuts = (
            [sample[len(sample) * part // parts][0] for part in range(1, parts)] if sample else []
        )
        bounds = [streams.first, *sorted(set(cuts)), streams.end]
        return [StreamRange(*pair) for pair in pairwise(bounds)]

    def _fetch(self, query: LiteralString, parameters: dict[str, Any]) -> Sequence[TupleRow]:
        return self._connection.execute(query, parameters, binary=True).fetchall()


def _opened(envelopes: bytes) -> list[Event]:
    """The events of a stream, from their envelopes by commas."""
    events: list[Event] = orjson.loads(b"[" + envelopes + b"]")
    for event in events:
        complete(event)
    return events


def _from_columns(row: TupleRow) -> Event:
    position, event_id, stream, kind, occurred_at, known_at, recorded_at, witnessed = row
    event: Any = {
        "position": position,
        "event_id": str(event_id),
        "stream": stream,
        "type": kind,
        "occurred_at": format_instant(occurred_at),
        "known_at": format_instant(known_at),
        "recorded_at": format_instant(recorded_at),
        "witnessed": witnessed,
    }
    found: Event = event
    return found


def merged(
    before: Iterator[tuple[str, list[Event]]], after: Iterator[tuple[str, list[Event]]]
) -> Iterator[tuple[str, int, list[Event]]]:
    """Two readings of streams as one, in the order of names: (stream, 0 or 1, events)."""
    left, right = next(before, None), next(after, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0].encode() <= right[0].encode()):
            assert left is not None  # noqa: S101 - the loop's condition, for the type checker
            yield left[0], 0, left[1]
            left = next(before, None)
        else:
            yield right[0], 1, right[1]
            right = next(after, None)


def _visible(basis: Basis) -> dict[str, Any]:
    return {
        "horizon": basis.horizon,
        "known_at": basis.known_at,
        "witnessed_only": basis.witnessed_only,
    }


def by_stream_id(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Events by the id behind the colon of their stream."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[stream_id(event["stream"])].append(event)
    return dict(found)
