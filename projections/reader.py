"""Reading the log for a fold: the events that a basis sees, stream by stream.

Law: only what `Basis.sees` allows leaves this module; the SQL beside it says the same. Reading
keeps memory bounded: streams come in order, a batch at a time, and a stream's events come together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, LiteralString, NamedTuple

import orjson
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow, tuple_row

from ledger.domain.basis import Basis
from ledger.domain.deal import CLAIM_TYPES
from ledger.domain.envelope import complete, decode
from ledger.domain.errors import NotFound
from ledger.domain.events import Event
from ledger.domain.history import ACTS
from ledger.domain.times import Instant

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

_STREAM: LiteralString = f"""
    SELECT envelope FROM qledger.event
    WHERE stream = %(stream)s AND {_VISIBLE} ORDER BY stream_version
"""

_POSITIONS: LiteralString = """
    SELECT envelope FROM qledger.event
    WHERE position = ANY(%(positions)s::bigint[]) ORDER BY position
"""

_SAMPLE: LiteralString = """
    SELECT stream FROM qledger.event
    WHERE position = ANY(%(positions)s::bigint[]) AND stream >= %(first)s AND stream < %(end)s
    ORDER BY stream
"""

_FIRST_AMOUNTS: LiteralString = f"""
    SELECT envelope FROM qledger.event
    WHERE position > %(after)s AND position <= %(after)s + {POSITIONS_PER_LOOK}
    AND type IN ('deal-opened', 'deal-revised') AND {_VISIBLE}
    ORDER BY position
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
        parameters = {
            **_visible(basis),
            "first": streams.first,
            "end": streams.end,
            "types": sorted({*types, *ACTS}),
        }
        self._cursors += 1
        name = f"streams_{self._cursors}"  # one may be read while another is open
        with self._connection.transaction(), self._connection.cursor(name=name) as cursor:
            # Streams must come in index order, without a sort of the whole log on the way.
            self._connection.execute("SET LOCAL enable_sort = off")
            self._connection.execute("SET LOCAL enable_hashagg = off")
            cursor.itersize = STREAMS_PER_BATCH
            for stream, envelopes in cursor.execute(_STREAMS, parameters, binary=True):
                events: list[Event] = orjson.loads(b"[" + envelopes + b"]")
                for event in events:
                    complete(event)
                yield stream, events

    def events(self, basis: Basis, category: str, types: Collection[str]) -> list[Event]:
        """The visible events of some types in all streams of one kind."""
        found = self.streams(basis, category_range(category), types)
        return [event for _stream, events in found for event in events]

    def stream(self, basis: Basis, stream: str) -> list[Event]:
        """The visible events of one stream, in recorded order."""
        rows = self._fetch(_STREAM, {**_visible(basis), "stream": stream})
        return [decode(envelope) for (envelope,) in rows]

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

    def first_currency(self, basis: Basis) -> str | None:
        """The currency of the first visible deal event that has an amount."""
        for after in range(0, basis.horizon, int(POSITIONS_PER_LOOK)):
            for (envelope,) in self._fetch(_FIRST_AMOUNTS, {**_visible(basis), "after": after}):
                amount = decode(envelope)["payload"].get("amount")
                if amount:
                    currency: str = amount["currency"]
                    return currency
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


def claims_of(
    reader: LogReader, basis: Basis, streams: StreamRange
) -> Iterator[tuple[str, list[Event]]]:
    """Every deal in a range with the visible events that claims depend on."""
    return reader.streams(basis, streams, CLAIM_TYPES)


def _visible(basis: Basis) -> dict[str, Any]:
    return {
        "horizon": basis.horizon,
        "known_at": basis.known_at,
        "witnessed_only": basis.witnessed_only,
    }
