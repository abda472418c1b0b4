"""Following the log for all who subscribe: one look at its end, shared, and the latest events.

Law: the log is followed by position. `NOTIFY qledger` only cuts a wait short, so a lost one costs
at most one poll. The latest events are kept in memory, bounded in number and bytes, and nothing is
kept for anybody alone: who is slower than that reads the log again from the position that they
reached. So nobody misses an event or is told one twice, and no reader makes the process grow. While
nobody follows, nothing runs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from typing import Any, LiteralString, NamedTuple, TypeAlias, TypeVar

import psycopg
from psycopg import Connection

from ledger.domain.basis import Basis
from ledger.domain.envelope import decode
from ledger.domain.errors import NotFound, QledgerError
from ledger.domain.events import Event
from ledger.domain.times import END_OF_TIME
from projections.hints import POLL_SECONDS, Hints
from projections.reader import LogReader

KEPT_EVENTS_MAX = 1_000
KEPT_BYTES_MAX = 8 * 1024 * 1024
"""How much of the end of the log is kept, whichever is less."""

BATCH_EVENTS_MAX = 200
"""How many events are read at once for one who follows."""

T = TypeVar("T")
Work: TypeAlias = Callable[[Connection[Any]], T]
Wake: TypeAlias = Callable[[], None]
"""Called from another thread when the log has grown; it returns at once."""

_HEAD: LiteralString = "SELECT size FROM qledger.head"
_TAIL: LiteralString = """
SELECT position, envelope FROM qledger.event
WHERE position > %s AND position <= %s ORDER BY position
"""


class Sought(NamedTuple):
    """Which events are looked for; None is all.

    Args:
        stream: only those of this stream.
        types: only those of these types.
    """

    stream: str | None = None
    types: frozenset[str] | None = None

    def holds(self, event: Event) -> bool:
        """Whether an event is one of them."""
        return self.stream in {None, event["stream"]} and (
            self.types is None or event["type"] in self.types
        )


class Passage(NamedTuple):
    """A part of the log.

    Args:
        events: those looked for, in the order of positions.
        up_to: the position up to which there are no others.
    """

    events: list[Event]
    up_to: int


class Follower:
    """Follows the log while anybody wants to know.

    Args:
        conninfo: the database.
        do: does work in a session, such as `Database.do`.
    """

    def __init__(self, conninfo: Callable[[], str], do: Callable[[Work[Any]], Any]) -> None:
        self._conninfo = conninfo
        self._do = do
        self._alone = threading.Lock()
        self._wakes: list[Wake] = []
        self._tail: _Tail | None = None

    @contextmanager
    def woken(self, wake: Wake) -> Iterator[None]:
        """Within it, `wake` is called whenever the log has grown."""
        with self._alone:
            self._wakes.append(wake)
            if self._tail is None:
                self._tail = _Tail()
                threading.Thread(
                    target=self._follow, args=[self._tail], name="follower", daemon=True
                ).start()
        try:
            yield
        finally:
            with self._alone:
                self._wakes.remove(wake)
                if not self._wakes and self._tail is not None:
                    self._tail.stopping.set()
                    self._tail = None

    def head(self) -> int:
        """The last position of the log."""
        found: int = self._do(_head)
        return found

    def read(self, after: int, sought: Sought, limit: int = BATCH_EVENTS_MAX) -> Passage:
        """What comes behind a position, from memory where it is kept, else from the log.

        Args:
            after: a position; 0 is before the first event.
            sought: which events.
            limit: how many at most.

        Raises:
            NotFound: `unknown-position`, where the log does not reach that position.
        """
        tail = self._tail
        kept = None if tail is None else tail.behind(after, limit)
        if kept is not None:
            events = [decode(envelope) for _position, envelope in kept]
            up_to = kept[-1][0] if kept else after
            return Passage([event for event in events if sought.holds(event)], up_to)
        passage: Passage = self._do(lambda connection: _read(connection, after, sought, limit))
        return passage

    def _follow(self, tail: _Tail) -> None:
        with closing(Hints(self._conninfo())) as hints:
            while not tail.stopping.is_set():
                try:
                    grown = self._do(tail.look)
                except (QledgerError, psycopg.Error):  # the database is away: look again later
                    tail.stopping.wait(POLL_SECONDS)
                    continue
                if grown:
                    self._wake()
                else:
                    hints.wait(tail.stopping)

    def _wake(self) -> None:
        with self._alone:
            wakes = list(self._wakes)
        for wake in wakes:
            with suppress(RuntimeError):  # its event loop is closed
                wake()


class _Tail:
    """The end of the log as it is kept in memory; envelopes, since a decoded event is larger."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._alone = threading.Lock()
        self._kept: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._from: int | None = None
        """Everything behind this position, up to `_up_to`, is kept."""
        self._up_to = 0

    def look(self, connection: Connection[Any]) -> bool:
        """Take in what was recorded since; whether anything was."""
        head = _head(connection)
        if self._from is None or head - self._up_to > KEPT_EVENTS_MAX:
            with self._alone:
                self._kept.clear()
                self._bytes, self._from, self._up_to = 0, head, head
            return True
        if head == self._up_to:
            return False
        rows = connection.execute(_TAIL, [self._up_to, head], binary=True).fetchall()
        with self._alone:
            for position, envelope in rows:
                self._kept.append((position, envelope))
                self._bytes += len(envelope)
            while len(self._kept) > KEPT_EVENTS_MAX or self._bytes > KEPT_BYTES_MAX:
                self._from, dropped = self._kept.popleft()
                self._bytes -= len(dropped)
            self._up_to = head
        return True

    def behind(self, after: int, limit: int) -> list[tuple[int, bytes]] | None:
        """The envelopes behind a position; None where not all of them are kept."""
        with self._alone:
            if self._from is None or not self._from <= after <= self._up_to:
                return None
            start = after - self._from
            return list(islice(self._kept, start, start + limit))


def check_reaches(head: int, after: int) -> None:
    """Refuse to go on behind a position that the log does not reach.

    Raises:
        NotFound: `unknown-position`.
    """
    if after > head:
        raise NotFound(
            "unknown-position",
            f"the log ends at position {head}; nothing comes behind {after}",
            where="afterPosition",
            hint="another ledger, or one restored from an older copy, counts from the start",
        )


def _head(connection: Connection[Any]) -> int:
    row = connection.execute(_HEAD).fetchone()
    assert row is not None  # noqa: S101 - the head row is always there
    head: int = row[0]
    return head


def _read(connection: Connection[Any], after: int, sought: Sought, limit: int) -> Passage:
    reader = LogReader(connection)
    head = reader.present().head
    check_reaches(head, after)
    if sought == Sought():
        head = min(head, after + limit)
    everything = Basis(END_OF_TIME, END_OF_TIME, head)
    types: Collection[str] | None = sought.types
    log: Any = reader.log(everything, after, sought.stream, types, whole=True)
    with closing(log):
        events = list(islice(log, limit))
    return Passage(events, events[-1]["position"] if len(events) == limit else head)
