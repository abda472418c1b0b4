"""A deal's history of states, fed with its events as they are recorded.

Law: the result depends on the set of events alone: fed one by one or at once, in whatever order
they are recorded, the same rectangles and entries come out (`Learned` says what to change in those
that are kept). What becomes known at one instant is taken together. The deal is walked once and
goes on where it stood while news comes in the order in which it happened (see `walk`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import OPEN
from ledger.domain.events import Event, stream_id
from ledger.domain.history import ACTS, effective
from projections.fold.gates import MoveKind
from projections.fold.known_then import accounts_mentioned
from projections.fold.qualification import with_accounts
from projections.fold.rulebook import PlaybookHistory
from projections.fold.states import (
    ACCOUNT_TYPES,
    BEGINNING,
    FOREVER,
    STATE_TYPES,
    DealState,
    Entry,
    Learned,
    Rectangle,
    evidence,
)
from projections.fold.walk import Point, Walk

_known_at = itemgetter("known_at")


class World:
    """What all deals are folded with.

    Args:
        playbook_events: the events of all playbook streams.
        zone: the reporting time zone (IANA): it says on which day a deal closed.
    """

    def __init__(self, playbook_events: Sequence[Event], zone: str) -> None:
        self.zone = zone
        self.calendar = FiscalCalendar(time_zone=zone)
        self.known: dict[str, list[int]] = {}
        """When something became known of playbooks -> the positions of those events."""
        self._in_order = sorted(playbook_events, key=_known_at)
        for event in self._in_order:
            self.known.setdefault(event["known_at"], []).append(event["position"])
        self._histories: dict[int, PlaybookHistory] = {}

    def playbooks(self, known_at: str) -> PlaybookHistory:
        """The versions known at an instant; each set of them is compiled once."""
        count = bisect_right(self._in_order, known_at, key=_known_at)
        history = self._histories.get(count)
        if history is None:
            known = self._in_order[:count]
            history = self._histories[count] = PlaybookHistory(known, FOREVER)
        return history


class _Segment(NamedTuple):
    """A span of valid time with one state, as known now and since when."""

    valid_from: str
    valid_to: str
    known_from: str
    state: DealState


class _Changes:
    """What to change in the rectangles that are kept, gathered over several instants."""

    def __init__(self) -> None:
        self._closed: list[tuple[str, str, str]] = []
        self._opened: dict[tuple[str, str], Rectangle] = {}
        self._shortened: dict[tuple[str, str], str] = {}

    def open(self, segment: _Segment) -> None:
        """A state that is new."""
        valid_from, valid_to, known_from, state = segment
        self._opened[valid_from, known_from] = Rectangle(
            valid_from, valid_to, known_from, FOREVER, state
        )

    def close(self, segment: _Segment, instant: str) -> None:
        """A state that was not so, as is known from an instant on."""
        which = segment.valid_from, segment.known_from
        fresh = self._opened.get(which)
        if fresh is None:
            self._closed.append((*which, instant))
        else:
            self._opened[which] = fresh._replace(known_to=instant)

    def shorten(self, segment: _Segment, valid_to: str, instant: str) -> None:
        """A state that is known to have ended earlier than it was thought to.

        What was right all along stays one rectangle, known since it was; only what turned out
        otherwise ends. So hindsight finds a deal changed where it was mistaken, and nowhere else.
        """
        which = segment.valid_from, segment.known_from
        fresh = self._opened.get(which)
        if fresh is None:
            self._shortened[which] = valid_to
        else:
            self._opened[which] = fresh._replace(valid_to=valid_to)
        self._opened[valid_to, segment.known_from] = Rectangle(
            valid_to, segment.valid_to, segment.known_from, instant, segment.state
        )

    def learned(self, entries_from: str, entries: list[Entry], *, whole: bool) -> Learned:
        """All of it, with the entries of the journal."""
        shortened = [(*which, valid_to) for which, valid_to in self._shortened.items()]
        opened = list(self._opened.values())
        return Learned(whole, self._closed, opened, entries_from, entries, shortened)


class DealHistory:
    """One deal, fed with events as they are recorded.

    Args:
        deal_id: the deal's own id.
        world: what all deals are folded with.
    """

    def __init__(self, deal_id: str, world: World) -> None:
        self.deal_id = deal_id
        self.world = world
        self._sources = _Sources()
        self._kept = False
        self._changes = _Changes()
        self._start_over()

    def _start_over(self) -> None:
        self._known_at: str = BEGINNING
        self._walk: Walk | None = None
        self._points: list[Point] = []
        self._segments: list[_Segment] = []
        self._entries: list[Entry] = []

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts whose evidence it must be fed."""
        return self._sources.accounts

    def learn(self, events: Iterable[Event]) -> Learned:
        """Take newly recorded events of the deal, and evidence on its accounts, in any order."""
        news = [event for event in events if self._sources.wants(event)]
        news.sort(key=_known_at)
        late = bool(news) and news[0]["known_at"] <= self._known_at
        self._sources.add(news)
        whole = late or not self._kept
        if late:
            self._start_over()
            news = self._sources.start_over()
        self._changes = _Changes()
        entries_from = BEGINNING if whole else FOREVER
        for instant, group in self._by_knowledge(news):
            entries_from = min(entries_from, instant)
            self._take(instant, group)
        self._kept = True
        changed = [entry for entry in self._entries if entry.at >= entries_from]
        return self._changes.learned(entries_from, changed, whole=whole)

    def resume(self, events: Iterable[Event], kept: Mapping[str, str]) -> None:
        """Go on where a history that was fed these events stood, without telling it all again.

        What was known when is in what is kept; only what is known now has to be walked.

        Args:
            events: all that it was fed.
            kept: valid_from -> known_from of the kept rectangles that have not ended.

        Raises:
            KeyError: a rectangle is not kept that should be.
        """
        told = [event for event in events if self._sources.wants(event)]
        told.sort(key=_known_at)
        self._sources.add(told)
        self._kept = True
        if not told:
            return
        self._sources.tell(told)
        self._known_at = max(told[-1]["known_at"], max(self.world.known, default=BEGINNING))
        walk = self._walk = self._sources.walk(self, self._known_at)
        points = self._points = [] if walk is None else walk.points + walk.ahead()
        state: DealState | None = None
        for index, point in enumerate(points):
            valid_to = points[index + 1].at if index + 1 < len(points) else FOREVER
            if point.state is not None:
                self._segments.append(_Segment(point.at, valid_to, kept[point.at], point.state))
            if valid_to > self._known_at and point.state != state:
                at = max(point.at, self._known_at)
                self._entries.append(Entry(at, state, point.state, point.move, point.causes))
                state = point.state

    def _by_knowledge(self, news: list[Event]) -> Iterator[tuple[str, list[Event]]]:
        """Events by when they became known; with none, when something did of playbooks."""
        first = self._known_at or (news[0]["known_at"] if news else FOREVER)
        last = self._known_at or first
        for instant, group in groupby(news, key=_known_at):
            yield from ((each, []) for each in self.world.known if last < each < instant)
            yield instant, list(group)
            last = instant
        yield from ((each, []) for each in self.world.known if last < each)

    # --- one instant of knowledge ---------------------------------------------------------------

    def _take(self, instant: str, group: list[Event]) -> None:
        """What changes when some events become known."""
        self._sources.tell(group)
        walk, kept = self._walk, 0
        if (
            walk is not None
            and walk.may_go_on(group, self.world.playbooks(instant))
            and not self._sources.acted_on(group)
        ):
            kept = max(len(walk.points) - 1, 0)
            walk.go_on(group)
        else:
            walk = self._walk = self._sources.walk(self, instant)
        self._known_at = instant
        points = [] if walk is None else walk.points + walk.ahead()
        self._hold_against(points, kept, instant)
        self._enter(points, instant, group)
        self._points = points

    def _hold_against(self, points: list[Point], kept: int, instant: str) -> None:
        """End the segments that are no longer so, open those that are new.

        Args:
            points: what is known now.
            kept: how many of them are as they were, to their end.
            instant: the instant of knowledge.
        """
        segments, changes = self._segments, self._changes
        start = points[kept].at if kept else BEGINNING
        first = len(segments)
        while first and segments[first - 1].valid_from >= start:
            first -= 1
        before = {each.valid_from: each for each in segments[first:]}
        del segments[first:]
        last = len(points) - 1
        for index in range(kept, last + 1):
            point = points[index]
            if point.state is None:
                continue
            valid_to = points[index + 1].at if index < last else FOREVER
            same = before.get(point.at)
            if same is None or same.valid_to < valid_to or same.state != point.state:
                segment = _Segment(point.at, valid_to, instant, point.state)
                changes.open(segment)
            else:
                del before[point.at]
                segment = same._replace(valid_to=valid_to)
                if same.valid_to > valid_to:
                    changes.shorten(same, valid_to, instant)
            segments.append(segment)
        for each in before.values():
            changes.close(each, instant)

    def _enter(self, points: list[Point], instant: str, group: list[Event]) -> None:
        """The journal from an instant on, as it is known now."""
        entries = self._entries
        while entries and entries[-1].at >= instant:
            entries.pop()
        state = entries[-1].after if entries else None
        index = len(points) - 1
        while index >= 0 and points[index].at > instant:
            index -= 1
        now = points[index] if index >= 0 else Point(instant, None)
        if now.state != state:
            causes = {*self._sources.causes(group), *self.world.known.get(instant, ())}
            if now.at == instant:  # it happened, or lapsed, at the instant at which news came
                causes.update(now.causes)
            move = self._move(state, now, instant)
            entries.append(Entry(instant, state, now.state, move, tuple(sorted(causes))))
            state = now.state
        for point in points[index + 1 :]:
            entries.append(Entry(point.at, state, point.state, point.move, point.causes))
            state = point.state

    def _move(self, before: DealState | None, now: Point, instant: str) -> str | None:
        """How evidence moved a deal to where it stands, as is learned at an instant."""
        after = now.state
        if before is None or after is None or now.at == instant:
            return now.move
        if evidence(before) == evidence(after):
            return None
        if before.outcome != after.outcome:
            return MoveKind.REOPENED if after.outcome == OPEN else MoveKind.DECIDED
        stood = self._point_at(instant)
        if stood is not None and stood.playbook != now.playbook:
            return MoveKind.PLAYBOOK_CHANGED
        if stood is not None and stood.place != now.place:
            return MoveKind.ADVANCED if now.place > stood.place else MoveKind.REGRESSED
        up = after.weight_percent > before.weight_percent or before.evidenced == "omitted"
        return MoveKind.ADVANCED if up else MoveKind.REGRESSED

    def _point_at(self, instant: str) -> Point | None:
        """Where it was thought to stand before what is being learned."""
        return next((each for each in reversed(self._points) if each.at <= instant), None)


class _Sources:
    """The events of a deal and of its accounts: those recorded, and those told so far."""

    def __init__(self) -> None:
        self.accounts: frozenset[str] = frozenset()
        self._recorded: list[Event] = []
        self._own: list[Event] = []
        self._of_accounts: dict[str, list[Event]] = {}
        self._targets: set[str] = set()
        """Of the acts told so far; a source may tell an act before what it acts on."""
        self._named: frozenset[str] = frozenset()
        """The accounts that what was told so far names."""

    def wants(self, event: Event) -> bool:
        """Whether states depend on an event."""
        of_account = event["stream"].startswith("account:")
        return event["type"] in (ACCOUNT_TYPES if of_account else STATE_TYPES)

    def add(self, news: Sequence[Event]) -> None:
        """Take events as recorded."""
        self._recorded += news
        self.accounts |= accounts_mentioned(
            event for event in news if event["stream"].startswith("deal:")
        )

    def start_over(self) -> list[Event]:
        """All that was recorded, in the order of knowledge; nothing of it is told any more."""
        self._own, self._of_accounts, self._targets = [], {}, set()
        self._named = frozenset()
        return sorted(self._recorded, key=_known_at)

    def tell(self, group: Sequence[Event]) -> None:
        """Take events as known."""
        self._targets.update(event["payload"]["target"] for event in group if event["type"] in ACTS)
        for event in group:
            if event["stream"].startswith("deal:"):
                self._own.append(event)
            else:
                self._of_accounts.setdefault(stream_id(event["stream"]), []).append(event)
        self._named |= accounts_mentioned(
            event for event in group if event["stream"].startswith("deal:")
        )

    def causes(self, group: Iterable[Event]) -> list[int]:
        """The positions of what was told, without evidence on accounts the deal never named."""
        return [
            event["position"]
            for event in group
            if event["stream"].startswith("deal:") or stream_id(event["stream"]) in self._named
        ]

    def acted_on(self, group: Iterable[Event]) -> bool:
        """Whether something told before corrects or takes back any of these events."""
        return bool(self._targets) and any(event["event_id"] in self._targets for event in group)

    def walk(self, history: DealHistory, known_at: str) -> Walk | None:
        """Walk the deal as far as what is known happened; None where it was never opened."""
        own = effective(self._own, FOREVER)
        opened = [event["occurred_at"] for event in own if event["type"] == "deal-opened"]
        if not opened:
            return None
        openings = list(dict.fromkeys(opened))
        playbooks = history.world.playbooks(known_at)
        events = list(with_accounts(own, FOREVER, self._of_accounts))
        calendar = history.world.calendar
        walk = Walk(history.deal_id, openings[-1], playbooks, calendar)
        walk.announced = any(event["occurred_at"] > event["known_at"] for event in events)
        walk.go_on(events)
        if len(openings) > 1:  # opened again, by a source: until then as opened before
            walk.announced = True
            walk.points = self._walked_before(openings, walk, events)
        return walk

    def _walked_before(self, openings: list[str], last: Walk, events: list[Event]) -> list[Point]:
        points: list[Point] = []
        for opened_at, until in zip(openings, [*openings[1:], FOREVER], strict=True):
            walk = last
            if until != FOREVER:
                walk = Walk(last.deal_id, opened_at, last.playbooks, last.calendar)
                walk.announced = True
                walk.go_on([event for event in events if event["occurred_at"] < until])
            walked = walk.points + (walk.ahead() if until != FOREVER else [])
            points += [each for each in walked if opened_at <= each.at < until]
        return _without_repeats(points)


def _without_repeats(points: list[Point]) -> list[Point]:
    kept: list[Point] = []
    for point in points:
        if point.state != (kept[-1].state if kept else None):
            kept.append(point)
    return kept
