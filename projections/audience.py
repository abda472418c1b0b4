"""Who is told of an event: whose deal it was right after it, and to whom they reported.

Law: an event is held against the scope at the instant at which it was recorded, as known then: the
basis `pos:N` of its own position. So who is told of it never depends on when they read it, and
reading again from a position brings the same events; and what is told is what a snapshot of that
basis tells. What became of a deal in other hands is not theirs to hear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeAlias

from ledger.domain.basis import Basis
from ledger.domain.events import Event, PlaybookPublished, stream_category, stream_id
from ledger.domain.history import ACTS
from projections.fold.claims import ClaimedDeal, claimed_deal
from projections.fold.people import CHART_TYPES, Chart, chart_of, people_at
from projections.fold.rulebook import PlaybookHistory
from projections.reader import LogReader
from projections.scope import Scope

ScopeAt: TypeAlias = Callable[[Callable[[], Chart]], Scope]
"""The scope of somebody, given who reported to whom."""


def basis_of(event: Event) -> Basis:
    """The basis of an event's own position: when it was recorded, on both axes, and up to it."""
    recorded_at = datetime.fromisoformat(event["recorded_at"])
    return Basis(recorded_at, recorded_at, event["position"])


def seen_at(events: Iterable[Event], event: Event) -> list[Event]:
    """Those of some events that the basis of one of them sees."""
    return [
        each
        for each in events
        if each["position"] <= event["position"] and each["known_at"] <= event["recorded_at"]
    ]


class Audience:
    """Those who see what a scope holds, over some events of the log.

    Args:
        reader: of the log.
        scope_at: their scope.
        events: in the order of positions.
    """

    def __init__(self, reader: LogReader, scope_at: ScopeAt, events: list[Event]) -> None:
        self._reader = reader
        self._scope_at = scope_at
        self._events = events
        self._histories: dict[str, list[Event]] = {}
        self._people: list[Event] | None = None
        self._charts: dict[tuple[int, int | str], Chart] = {}
        self._published: list[Event] | None = None
        self._playbooks: dict[int, PlaybookHistory] = {}

    def scope(self, event: Event) -> Scope:
        """The scope at the event's own basis."""
        return self._scope_at(lambda: self._chart(event))

    def sees(self, event: Event) -> bool:
        """Whether an event of a deal is theirs to see."""
        scope = self.scope(event)
        if not scope.is_limited:
            return True
        deal = self.deal(event)
        return deal is not None and scope.holds(deal.owner)

    def history(self, event: Event) -> list[Event]:
        """The events of a deal that the basis of one of them sees; none where not even itself."""
        stream = event["stream"]
        if stream not in self._histories:
            self._histories[stream] = self._reader.stream(self._last, stream)
        seen = seen_at(self._histories[stream], event)
        return seen if seen and seen[-1]["position"] == event["position"] else []

    def deal(self, event: Event) -> ClaimedDeal | None:
        """A deal as claimed right after one of its events; None where it is not in the book."""
        seen = self.history(event)
        return claimed_deal(stream_id(event["stream"]), seen, event["recorded_at"])

    def playbooks(self, event: Event) -> PlaybookHistory:
        """The playbooks that the event's own basis sees."""
        if self._published is None:
            types = (PlaybookPublished.type,)
            self._published = self._reader.events(self._last, "playbook", types)
        seen = seen_at(self._published, event)
        # What one basis of the log sees, each later one sees: as many are the same.
        if len(seen) not in self._playbooks:
            self._playbooks[len(seen)] = PlaybookHistory(seen, event["recorded_at"])
        return self._playbooks[len(seen)]

    @property
    def _last(self) -> Basis:
        return basis_of(self._events[-1])

    def _chart(self, event: Event) -> Chart:
        if self._people is None:
            self._people = self._reader.events(self._last, "person", CHART_TYPES)
        seen = seen_at(self._people, event)
        # Both numbers only grow along the log: while they are equal, the same events count. A
        # correction can move an event in time, and then only the same instant is surely the same.
        happened: int | str = sum(each["occurred_at"] <= event["recorded_at"] for each in seen)
        if any(each["type"] in ACTS for each in seen):
            happened = event["recorded_at"]
        key = (len(seen), happened)
        if key not in self._charts:
            self._charts[key] = chart_of(people_at(seen, event["recorded_at"]))
        return self._charts[key]


def is_of_deal(event: Event) -> bool:
    """Whether an event is about one deal."""
    return stream_category(event["stream"]) == "deal"
