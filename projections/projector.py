"""From the log to one side of the read models, a batch at a time.

Law: a batch is the next events by position, without a gap; what they change and the new position
are one transaction. So every event is projected exactly once, whatever dies when. The row of
`qledger.projection` is locked while a batch is at work: two projectors on one side take turns, and
a swap waits for the batch.

What all deals share - a playbook, the reporting time zone - makes every deal stale when it changes.
A small book is folded anew on the spot; a larger one stops before that event and is rebuilt beside
(`projections.rebuild`). Answers are folded from the log meanwhile. Events of people, periods and
settings move the position only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import takewhile
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection

from ledger.domain.basis import RULES
from ledger.domain.envelope import decode
from ledger.domain.events import Event
from ledger.domain.times import parse_instant
from projections.fold.deal_history import DealHistory, World
from projections.histories import Fold, Histories, News
from projections.position import PROJECTED_CHANNEL
from projections.tables import openings, writing
from projections.tables.sides import Side, on
from projections.worlds import Shared, is_of_calendar, is_of_playbooks

BATCH_EVENTS_MAX = 1_000
CATCH_UP_EVENTS_MAX = 10_000
"""Where so many wait they make one batch: what a deal went through comes to it in one go."""

DEALS_AT_WORK_MAX = 500
"""How many deals are in memory at once beside those kept from before."""

EVENTS_PER_OPENING = 5_000
"""After so many events it is looked whether a month of the journal is due for an opening."""

BEHIND_EVENTS_MIN = 5_000
BEHIND_SHARE = 0.1
"""Farther behind than both of these, deals are rebuilt all together, which is much quicker."""

_LOCK: LiteralString = """
SELECT p.side, p.live, p.position, p.rules, p.zone, (SELECT size FROM qledger.head)
FROM qledger.projection AS p WHERE CASE WHEN %(side)s::text IS NULL THEN p.live
                                        ELSE p.side = %(side)s END
FOR NO KEY UPDATE
"""
_NEWS: LiteralString = """
SELECT position, envelope FROM qledger.event
WHERE position > %(after)s AND position <= %(up_to)s ORDER BY position
"""
_NOTIFY: LiteralString = f"NOTIFY {PROJECTED_CHANNEL}"
_MOVE: LiteralString = """
UPDATE qledger.projection
SET position = %(position)s, rules = %(rules)s, zone = %(zone)s, projected_at = clock_timestamp(),
    halted_at = NULL, halted_because = NULL
WHERE side = %(side)s
"""
_KNOWN: LiteralString = """
INSERT INTO qledger.known_block (block, known_from)
SELECT position / 1000, min(known_at) FROM qledger.event
WHERE position > %(after)s AND position <= %(up_to)s GROUP BY 1
ON CONFLICT (block) DO UPDATE
SET known_from = least(known_block.known_from, excluded.known_from)
"""
_DEALS: LiteralString = "SELECT DISTINCT deal FROM {side}.deal_state ORDER BY deal LIMIT %s"
_DEALS_NAMING: LiteralString = (
    "SELECT DISTINCT deal FROM {side}.deal_state WHERE account = ANY(%s::text[])"
)


class Need(StrEnum):
    """Why the tables must be made anew beside the live ones."""

    RULES = "the rules of folding changed"
    PLAYBOOK = "a playbook changed"
    ZONE = "the reporting time zone changed"
    BEHIND = "it is quicker than catching up"


class Batch(NamedTuple):
    """What one batch did.

    Args:
        position: where the side is now.
        events: how many events were projected.
        left: how many are recorded and not projected yet.
        need: set when the side cannot go on by itself.
    """

    position: int
    events: int
    left: int
    need: Need | None = None


class _Place(NamedTuple):
    """A side as its row says."""

    side: Side
    live: bool
    position: int
    rules: str
    zone: str
    head: int


class Projector:
    """Projects onto one side, through one connection; not to be shared by threads.

    Args:
        connection: in autocommit; may write the tables.
        side: the side; by default the live one, whichever it is.
        fold: makes the empty history of a deal.
    """

    def __init__(
        self, connection: Connection[Any], side: Side | None = None, fold: Fold = DealHistory
    ) -> None:
        self._connection = connection
        self._side = side
        self._histories = Histories(fold)
        self._at: tuple[Side, int, str] | None = None
        self._since_opening = EVENTS_PER_OPENING
        self._shared = Shared((), ())
        self._world = World((), "UTC")

    def batch(self, events_max: int = BATCH_EVENTS_MAX, up_to: int | None = None) -> Batch:
        """Project the next events.

        Args:
            events_max: how many at most.
            up_to: the last position to come to; by default the head.

        Raises:
            Exception: whatever the fold or the database raises; then nothing was projected, and
                nothing is kept in memory.
        """
        try:
            with self._connection.transaction():
                return self._batch(events_max, up_to)
        except BaseException:
            self._at = None
            raise

    def _batch(self, events_max: int, up_to: int | None) -> Batch:
        place = self._lock()
        end = place.head if up_to is None else min(up_to, place.head)
        left = end - place.position
        need = self._need(place, left)
        if need is not None or left <= 0:
            return Batch(place.position, 0, max(0, left), need)
        if self._at != (place.side, place.position, place.zone):
            self._start(place)
        events = self._read(place.position, min(end, place.position + events_max))
        alike = self._before_all_change(events)
        if alike:
            events = events[:alike]
            self._project(place, events)
        else:
            zone = self._zone(events[:1])
            need = Need.ZONE if zone != self._world.zone else Need.PLAYBOOK
            events = list(takewhile(_moves_position_only, events))
            if not self._fold_all_anew(place, events, self._zone(events) if events else zone):
                return Batch(place.position, 0, left, need)
        position = place.position + len(events)
        self._move(place, position)
        self._open_balances(place.side, events)
        return Batch(position, len(events), end - position)

    def _lock(self) -> _Place:
        parameters = {"side": self._side}
        row = None
        while row is None:  # a swap that was waited for leaves none: the live side is another one
            row = self._connection.execute(_LOCK, parameters, prepare=True, binary=True).fetchone()
        return _Place(Side(row[0]), *row[1:])

    def _need(self, place: _Place, left: int) -> Need | None:
        if place.rules != RULES and place.position:
            return Need.RULES
        behind = max(BEHIND_EVENTS_MIN, int(place.head * BEHIND_SHARE))
        return Need.BEHIND if self._side is None and left > behind else None

    def _start(self, place: _Place) -> None:
        """Begin at a place that somebody else, or an earlier run, brought the tables to."""
        self._histories.forget()
        self._shared = Shared.read(self._connection, place.position)
        self._world = World(tuple(self._shared.playbooks), place.zone)

    def _read(self, after: int, up_to: int) -> list[Event]:
        rows = self._connection.execute(
            _NEWS, {"after": after, "up_to": up_to}, prepare=True, binary=True
        ).fetchall()
        positions = [position for position, _envelope in rows]
        assert positions == list(range(after + 1, up_to + 1)), "the log has a gap"  # noqa: S101
        return [decode(envelope) for _position, envelope in rows]

    def _before_all_change(self, events: Sequence[Event]) -> int:
        """How many of the events come before the first that makes every deal stale."""
        if not any(map(_is_shared, events)) and self._zone(events) == self._world.zone:
            return len(events)
        for count, event in enumerate(events):
            if is_of_playbooks(event) or self._zone(events[: count + 1]) != self._world.zone:
                return count
        return len(events)

    def _zone(self, events: Sequence[Event]) -> str:
        """The reporting time zone when the last of the events is recorded."""
        return self._shared.zone_at(events[-1]["recorded_at"], filter(is_of_calendar, events))

    def _project(self, place: _Place, events: Sequence[Event]) -> None:
        news = News(events)
        accounts = sorted(news.by_account)
        deals = {*news, *self._histories.naming(accounts)}
        if accounts:
            deals.update(self._deals(place.side, _DEALS_NAMING, accounts))
        span = place.position, place.position + len(events)
        for some in _portions(sorted(deals)):
            learned = self._histories.learn(
                self._connection, place.side, some, news, self._world, span
            )
            writing.apply(self._connection, place.side, learned)
        self._shared.take(events)

    def _fold_all_anew(self, place: _Place, events: Sequence[Event], zone: str) -> bool:
        """Fold a small book under what changed for all of it; whether it is small."""
        deals = self._deals(place.side, _DEALS, DEALS_AT_WORK_MAX + 1)
        if len(deals) > DEALS_AT_WORK_MAX:
            return False
        self._shared.take(events)
        self._world = World(tuple(self._shared.playbooks), zone)
        self._histories.forget()
        learned = self._histories.anew(
            self._connection, deals, self._world, place.position + len(events)
        )
        writing.apply(self._connection, place.side, learned)
        return True

    def _deals(self, side: Side, query: LiteralString, wanted: int | list[str]) -> list[str]:
        return [deal for (deal,) in self._connection.execute(on(side, query), [wanted])]

    def _move(self, place: _Place, position: int) -> None:
        """The checkpoint, in the same transaction as what the events changed."""
        note_known(self._connection, place.position, position)
        parameters = {
            "side": place.side, "position": position, "rules": RULES, "zone": self._world.zone
        }  # fmt: skip
        self._connection.execute(_MOVE, parameters, prepare=True)
        if place.live:
            self._connection.execute(_NOTIFY)
        self._at = place.side, position, self._world.zone

    def _open_balances(self, side: Side, events: Sequence[Event]) -> None:
        """Make the openings of the journal that are due, at the first batch and now and then."""
        self._since_opening += len(events)
        if events and self._since_opening >= EVENTS_PER_OPENING:
            openings.roll(self._connection, side, parse_instant(events[-1]["recorded_at"]))
            self._since_opening = 0


def note_known(connection: Connection[Any], after: int, up_to: int) -> None:
    """Keep the earliest `known_at` of each block of positions."""
    connection.execute(_KNOWN, {"after": after, "up_to": up_to}, prepare=True)


def _is_shared(event: Event) -> bool:
    return is_of_playbooks(event) or is_of_calendar(event)


def _moves_position_only(event: Event) -> bool:
    return not event["stream"].startswith(("deal:", "account:"))


def _portions(deals: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(deals), DEALS_AT_WORK_MAX):
        yield deals[first : first + DEALS_AT_WORK_MAX]
