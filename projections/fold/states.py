"""A deal as rectangles: which state was true of it when, as known when; and the journal of the
forecast as known then.

Law: at any valid time V and knowledge time K the one rectangle that holds (V, K) bears the state
that folding the events known by K at V gives; where no rectangle does, the deal is not in the book.
A rectangle is half open on both axes, and is made when its state or its span of valid time becomes
known; it ends when something else becomes known of it, and reaches less far when what was known
turns out to hold for a part of its span only. What will lapse if nothing happens is known
beforehand, so it has rectangles too. The entries are the changes of state on the diagonal, V = K:
what anyone could have seen at the time.

The result depends on the set of events alone: fed one by one or at once, in whatever order they are
recorded, the same rectangles and entries come out (`Learned` says what to change in those that are
kept). A deal is walked through valid time once, and goes on where it stood when news comes in the
order in which it happened; news of the past, corrections and retractions, announced waivers and new
playbook versions make it walk anew (`_Walk`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import orjson

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import CLAIM_TYPES, OPEN, claim
from ledger.domain.events import Event, Outcome, cause_of, stream_id
from ledger.domain.history import ACTS, ORDER, effective
from ledger.domain.times import END_OF_TIME, format_instant
from projections.fold.claims import ClaimedDeal, counting_day
from projections.fold.criterion import Judgement, Status
from projections.fold.gate_rules import worked_at
from projections.fold.gates import MoveKind
from projections.fold.known_then import accounts_mentioned
from projections.fold.qualification import QUALIFYING_TYPES, Sweep, with_accounts
from projections.fold.rulebook import PlaybookHistory, Rulebook
from projections.fold.verdict import projected

FOREVER = format_instant(END_OF_TIME)
BEGINNING = ""
"""Text before every instant."""

STATE_TYPES = CLAIM_TYPES | QUALIFYING_TYPES | ACTS
"""The events of a deal that its states depend on."""

ACCOUNT_TYPES = frozenset({"evidence-recorded"}) | ACTS
"""The events of an account that the states of its deals depend on."""

_known_at = itemgetter("known_at")


class DealState(NamedTuple):
    """All that is visible of a deal at a basis; equal states are one state.

    Args:
        category: as claimed; once it is closed the outcome decides.
        outcome: `open`, or how it ended.
        amount: a decimal, as claimed.
        close_date: the day that the record carries, as ISO text.
        counts_on: the day that decides in which period it counts, as ISO text.
        dimensions: the deal's own, as canonical JSON; None when there are none.
        evidenced: the category that its evidence supports.
        gate: the key of the gate where it really stands.
        weight_percent: the share of the amount that the weighted measure takes.
    """

    name: str | None
    account: str | None
    owner: str | None
    stage: str | None
    category: str
    outcome: str
    amount: str | None
    currency: str | None
    close_date: str | None
    counts_on: str | None
    dimensions: str | None
    evidenced: str
    gate: str | None
    weight_percent: int


class Rectangle(NamedTuple):
    """A state, from when to when it was true, as known from when to when; the ends are outside."""

    valid_from: str
    valid_to: str
    known_from: str
    known_to: str
    state: DealState


class Entry(NamedTuple):
    """On the diagonal a deal's state changed.

    Args:
        at: the instant, on both axes.
        before: None where the deal was not in the book.
        after: None where it is not from then on.
        move: how evidence moved it (a `MoveKind`); None where only claims changed.
        causes: the positions of the events that became known, or that a lapse rests on.
    """

    at: str
    before: DealState | None
    after: DealState | None
    move: str | None
    causes: tuple[int, ...]


class Learned(NamedTuple):
    """What to change in what is kept of a deal.

    Args:
        whole: everything kept is to be forgotten first; then all is given.
        closed: (valid_from, known_from, known_to) of kept rectangles that end.
        opened: new rectangles.
        entries_from: kept entries at or after this instant are replaced.
        entries: by these.
        shortened: (valid_from, known_from, valid_to) of kept rectangles that reach less far.
    """

    whole: bool
    closed: list[tuple[str, str, str]]
    opened: list[Rectangle]
    entries_from: str
    entries: list[Entry]
    shortened: Sequence[tuple[str, str, str]] = ()


class World:
    """What all deals are folded with.

    Args:
        playbook_events: the events of all playbook streams.
        zone: the reporting time zone (IANA): it says on which day a deal closed.
    """

    def __init__(self, playbook_events: Sequence[Event], zone: str) -> None:
        self.playbook_events = playbook_events
        self.zone = zone
        self.calendar = FiscalCalendar(time_zone=zone)
        self.known: dict[str, list[int]] = {}
        """When something became known of playbooks -> the positions of those events."""
        for event in sorted(playbook_events, key=_known_at):
            self.known.setdefault(event["known_at"], []).append(event["position"])
        self._histories: dict[int, PlaybookHistory] = {}

    def playbooks(self, known_at: str) -> PlaybookHistory:
        """The versions known at an instant; each set of them is compiled once."""
        known = [event for event in self.playbook_events if event["known_at"] <= known_at]
        history = self._histories.get(len(known))
        if history is None:
            history = self._histories[len(known)] = PlaybookHistory(known, FOREVER)
        return history


class _Point(NamedTuple):
    """From an instant of valid time on, until the next point.

    Args:
        place: how far along the version's gates it stands.
        playbook: the version that judges.
    """

    at: str
    state: DealState | None
    move: str | None = None
    causes: tuple[int, ...] = ()
    place: int = 0
    playbook: str | None = None


class _Segment(NamedTuple):
    """A span of valid time with one state, as known now and since when."""

    valid_from: str
    valid_to: str
    known_from: str
    state: DealState


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
        self._start_over()

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
            news = self._sources.all()
        self._closed: list[tuple[str, str, str]] = []
        self._opened: dict[tuple[str, str], Rectangle] = {}
        self._shortened: dict[tuple[str, str], str] = {}
        entries_from = BEGINNING if whole else FOREVER
        for instant, group in self._by_knowledge(news):
            entries_from = min(entries_from, instant)
            self._take(instant, group)
        self._kept = True
        changed = [entry for entry in self._entries if entry.at >= entries_from]
        shortened = [(*which, valid_to) for which, valid_to in self._shortened.items()]
        opened = list(self._opened.values())
        return Learned(whole, self._closed, opened, entries_from, changed, shortened)

    def _start_over(self) -> None:
        self._known_at = BEGINNING
        self._walk: _Walk | None = None
        self._points: list[_Point] = []
        self._segments: list[_Segment] = []
        self._entries: list[Entry] = []

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

    def _hold_against(self, points: list[_Point], kept: int, instant: str) -> None:
        """Close the segments that are no longer so, open those that are new.

        Args:
            points: what is known now.
            kept: how many of them are as they were, to their end.
            instant: the instant of knowledge.
        """
        segments, opened = self._segments, self._opened
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
            if same is not None and same.valid_to >= valid_to and same.state == point.state:
                del before[point.at]
                if same.valid_to > valid_to:
                    same = self._shorten(same, valid_to, instant)
                segments.append(same)
                continue
            segments.append(_Segment(point.at, valid_to, instant, point.state))
            opened[point.at, instant] = Rectangle(point.at, valid_to, instant, FOREVER, point.state)
        for each in before.values():
            fresh = opened.get((each.valid_from, each.known_from))
            if fresh is None:
                self._closed.append((each.valid_from, each.known_from, instant))
            else:
                opened[each.valid_from, each.known_from] = fresh._replace(known_to=instant)

    def _shorten(self, segment: _Segment, valid_to: str, instant: str) -> _Segment:
        """A state that is known to have ended earlier than it was thought to.

        What was right all along stays one rectangle, known since it was; only what turned out
        otherwise ends. So hindsight finds a deal changed where it was mistaken, and nowhere else.
        """
        valid_from, known_from = segment.valid_from, segment.known_from
        fresh = self._opened.get((valid_from, known_from))
        if fresh is None:
            self._shortened[valid_from, known_from] = valid_to
        else:
            self._opened[valid_from, known_from] = fresh._replace(valid_to=valid_to)
        self._opened[valid_to, known_from] = Rectangle(
            valid_to, segment.valid_to, known_from, instant, segment.state
        )
        return segment._replace(valid_to=valid_to)

    def _enter(self, points: list[_Point], instant: str, group: list[Event]) -> None:
        """The journal from an instant on, as it is known now."""
        entries = self._entries
        while entries and entries[-1].at >= instant:
            entries.pop()
        state = entries[-1].after if entries else None
        index = len(points) - 1
        while index >= 0 and points[index].at > instant:
            index -= 1
        now = points[index] if index >= 0 else _Point(instant, None)
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

    def _move(self, before: DealState | None, now: _Point, instant: str) -> str | None:
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

    def _point_at(self, instant: str) -> _Point | None:
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

    def all(self) -> list[Event]:
        """All that was recorded, in the order of knowledge; nothing of it is told yet."""
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

    def walk(self, history: DealHistory, known_at: str) -> _Walk | None:
        """Walk the deal as far as what is known happened; None where it was never opened."""
        own = effective(self._own, FOREVER)
        opened = [event["occurred_at"] for event in own if event["type"] == "deal-opened"]
        if not opened:
            return None
        openings = list(dict.fromkeys(opened))
        playbooks = history.world.playbooks(known_at)
        events = list(with_accounts(own, FOREVER, self._of_accounts))
        calendar = history.world.calendar
        walk = _Walk(history.deal_id, openings[-1], playbooks, calendar)
        walk.announced = any(event["occurred_at"] > event["known_at"] for event in events)
        walk.go_on(events)
        if len(openings) > 1:  # opened again, by a source: until then as opened before
            walk.announced = True
            walk.points = self._walked_before(openings, walk, events)
        return walk

    def _walked_before(self, openings: list[str], last: _Walk, events: list[Event]) -> list[_Point]:
        points: list[_Point] = []
        for opened_at, until in zip(openings, [*openings[1:], FOREVER], strict=True):
            walk = last
            if until != FOREVER:
                walk = _Walk(last.deal_id, opened_at, last.playbooks, last.calendar)
                walk.announced = True
                walk.go_on([event for event in events if event["occurred_at"] < until])
            walked = walk.points + (walk.ahead() if until != FOREVER else [])
            points += [each for each in walked if opened_at <= each.at < until]
        return _without_repeats(points)


def _without_repeats(points: list[_Point]) -> list[_Point]:
    kept: list[_Point] = []
    for point in points:
        if point.state != (kept[-1].state if kept else None):
            kept.append(point)
    return kept


class _Ahead(NamedTuple):
    """What evidence will say from an instant on, if nothing else becomes known."""

    at: str
    evidenced: str
    gate: str | None
    weight_percent: int
    causes: tuple[int, ...]
    place: int


class _Walk:
    """One deal walked through valid time, with one state of knowledge that may grow.

    Args:
        deal_id: the deal's own id.
        opened_at: when it opened.
        playbooks: the versions that are known.
        calendar: in whose time zone days begin.
    """

    def __init__(
        self, deal_id: str, opened_at: str, playbooks: PlaybookHistory, calendar: FiscalCalendar
    ) -> None:
        self.deal_id = deal_id
        self.opened_at = opened_at
        self.playbooks = playbooks
        self.calendar = calendar
        self.points: list[_Point] = []
        self.announced = False
        """Whether something takes effect only after it was known: then it is walked anew."""
        self._sweep = Sweep(playbooks, opened_at)
        self._claims: dict[str, Event] = {}
        self._claimed: tuple[str | None, ...] = ()
        self._rulebook: Rulebook | None = None
        self._taken = -1
        self._moves = 0
        self._changes = 0
        self._age = _Age(None, False, ())
        self._ahead: list[_Ahead] | None = None

    def may_go_on(self, group: Sequence[Event], playbooks: PlaybookHistory) -> bool:
        """Whether news only adds to what is walked: all of it happened since, as it came."""
        now = self._sweep.now
        return (
            playbooks is self.playbooks
            and not self.announced
            and all(
                now < event["occurred_at"] <= event["known_at"]
                and event["type"] not in _WALKED_ANEW
                and not event["payload"].get("account")
                for event in group
            )
        )

    def go_on(self, events: Sequence[Event]) -> None:
        """Walk through events, up to the last of them."""
        if not events:
            return
        if len(events) > 1:
            events = sorted(events, key=ORDER)
        claims = [event for event in events if event["type"] in CLAIM_TYPES]
        claims.reverse()
        until = max(events[-1]["occurred_at"], self.opened_at)
        for instant in self._sweep.steps(events, until):
            said: list[Event] = []
            while claims and claims[-1]["occurred_at"] <= instant:
                said.append(claims.pop())
                claim(self._claims, said[-1])
            self._look(instant, said)

    # --- the state at an instant ------------------------------------------------------------------

    def _look(self, instant: str, said: Sequence[Event]) -> None:
        """Note the state at an instant, where it is another than before."""
        sweep = self._sweep
        judged_anew = sweep.rulebook is not self._rulebook
        if said:
            self._claimed = self._read_claims()
        elif sweep.taken == self._taken and len(sweep.moves) == self._moves and not judged_anew:
            return
        if sweep.taken != self._taken or judged_anew:
            self._age = _age(sweep)
        self._taken, self._rulebook, self._ahead = sweep.taken, sweep.rulebook, None
        state = None
        if not sweep.heard.removed:
            gate = sweep.moves[-1].to_gate
            category, weight = projected(
                sweep.rulebook,
                sweep.heard.outcome,
                gate,
                anything_met=self._age.met_until is not None,
            )
            state = self._state(str(category), gate, weight)
        before = self.points[-1].state if self.points else None
        if state != before:
            self.points.append(self._point(instant, before, state, said, judged_anew=judged_anew))
        self._moves, self._changes = len(sweep.moves), len(sweep.changes)

    def _state(self, evidenced: str, gate: str | None, weight_percent: int) -> DealState:
        return DealState(*self._claimed, evidenced, gate, weight_percent)  # type: ignore[call-arg, arg-type]

    def _read_claims(self) -> tuple[str | None, ...]:
        deal = ClaimedDeal(self.deal_id, self._claims)
        money, close_date = deal.value("amount"), deal.value("close_date")
        own = deal.dimensions
        return (
            deal.name,
            deal.account,
            deal.owner,
            deal.stage,
            str(deal.category),
            deal.outcome,
            None if money is None else money["amount"],
            None if money is None else money["currency"],
            close_date,
            counting_day(deal, self.calendar),
            orjson.dumps(own, option=orjson.OPT_SORT_KEYS).decode() if own else None,
        )

    def _point(
        self,
        instant: str,
        before: DealState | None,
        state: DealState | None,
        said: Sequence[Event],
        *,
        judged_anew: bool,
    ) -> _Point:
        sweep = self._sweep
        moves, changes = sweep.moves[self._moves :], sweep.changes[self._changes :]
        causes = {cause_of(event) for event in said}
        move = None
        if moves:
            move = moves[-1].kind
            causes.update(cause for each in moves for cause in each.causes)
        elif before is not None and state is not None and evidence(before) != evidence(state):
            move = _kind_of(change.after for change in changes)
            causes.update(cause for change in changes for cause in change.after.causes)
            if judged_anew and sweep.rulebook is not None:  # it may ask for nothing that was met
                move = MoveKind.PLAYBOOK_CHANGED
                causes.add(sweep.rulebook.cause)
        if move is not None:
            causes.update(self._waivers_ended(change.criterion for change in changes))
        playbook = None if sweep.rulebook is None else sweep.rulebook.label
        return _Point(instant, state, move, tuple(sorted(causes)), self._place(), playbook)

    def _waivers_ended(self, criteria: Iterable[str]) -> Iterator[int]:
        """The waivers of criteria whose end is now: they are why those hold no more."""
        for key in criteria:
            waiver = self._sweep.heard.track(key).waiver
            if waiver is not None and waiver.ends_at == self._sweep.now:
                yield waiver.cause

    def _place(self) -> int:
        rulebook, stands = self._sweep.rulebook, self._sweep.stands
        if rulebook is None:
            return 0
        return len(rulebook.gates) if stands is None else stands

    # --- what lies ahead --------------------------------------------------------------------------

    def ahead(self) -> list[_Point]:
        """What will be so later if nothing else becomes known."""
        sweep, rulebook = self._sweep, self._sweep.rulebook
        if not self.points or self.points[-1].state is None:
            return []
        if self.announced or self._age.waived or sweep.versions_ahead:
            return self._walked_ahead()
        if rulebook is None:
            return []
        if self._ahead is None:
            self._ahead = list(self._lapses(rulebook))
        points = []
        for lapse in self._ahead:
            state = self._state(lapse.evidenced, lapse.gate, lapse.weight_percent)
            points.append(
                _Point(
                    lapse.at, state, MoveKind.LAPSED, lapse.causes, lapse.place, rulebook.label
                )
            )  # fmt: skip
        return points

    def _walked_ahead(self) -> list[_Point]:
        """Walked to the end of time; this walk cannot go on after that."""
        count = len(self.points)
        self.announced = True
        for instant in self._sweep.steps((), FOREVER):
            self._look(instant, [])
        ahead = self.points[count:]
        del self.points[count:]
        return ahead

    def _lapses(self, rulebook: Rulebook) -> Iterator[_Ahead]:
        """The same where evidence does nothing but age: no need to walk.

        A criterion that ages does not hold any more, so gates are only lost, and a deal falls to
        the first of those that are.
        """
        sweep = self._sweep
        outcome, place = sweep.heard.outcome, self._place()
        state = self.points[-1].state
        if state is None or outcome not in {OPEN, Outcome.WON}:
            return
        lost = [
            (self._lost_at(rulebook, gate), gate)
            for gate in worked_at(rulebook, outcome)
            if gate < place
        ]
        instants = {instant for instant, _gate in lost if instant != FOREVER}
        last = self._age.met_until
        if outcome == OPEN and last is not None and last != FOREVER:
            instants.add(last)
        now = evidence(state)
        for instant in sorted(instants):
            gates = [gate for at, gate in lost if at == instant and gate < place]
            place = min([place, *gates])
            gate_key = rulebook.gates[place].key if place < len(rulebook.gates) else None
            met = last is not None and instant < last
            category, weight = projected(rulebook, outcome, gate_key, anything_met=met)
            if (str(category), gate_key, weight) == now:
                continue
            now = (str(category), gate_key, weight)
            keys = rulebook.of_gate[place] if gates else tuple(rulebook.criteria)
            causes = {
                cause
                for key in keys
                if sweep.judged[key].lapses_at == instant
                for cause in sweep.judged[key].causes
            }
            yield _Ahead(instant, *now, tuple(sorted(causes)), place)

    def _lost_at(self, rulebook: Rulebook, gate: int) -> str:
        """When a gate that holds ceases to hold by the age of its evidence; at the end: never."""
        if not any(key in self._age.ageing for key in rulebook.of_gate[gate]):
            return FOREVER
        lost_at, optional = FOREVER, list[str]()
        for criterion in rulebook.gates[gate].criteria:
            judgement = self._sweep.judged[criterion.key]
            lapses_at = judgement.lapses_at or FOREVER
            if criterion.mandatory:
                lost_at = min(lost_at, lapses_at)
            elif judgement.status is Status.MET:
                optional.append(lapses_at)
        spare = len(optional) - rulebook.gates[gate].threshold
        if spare < len(optional):
            lost_at = min(lost_at, sorted(optional)[spare])
        return lost_at


class _Age(NamedTuple):
    """What the criteria say of the time ahead.

    Args:
        met_until: until when evidence meets any criterion, if nothing is added; None: none now.
        waived: whether any is waived: then more than age changes what is so.
        ageing: the criteria that will lapse.
    """

    met_until: str | None
    waived: bool
    ageing: Collection[str]


def _age(sweep: Sweep) -> _Age:
    met_until: str | None = None
    waived, ageing = False, set[str]()
    judged = sweep.judged
    for key in () if sweep.rulebook is None else sweep.rulebook.criteria:
        judgement = judged[key]
        if judgement.status is Status.MET:
            until = judgement.lapses_at or FOREVER
            met_until = until if met_until is None else max(met_until, until)
            if judgement.lapses_at is not None:
                ageing.add(key)
        elif judgement.status is Status.WAIVED:
            waived = True
    return _Age(met_until, waived, ageing)


_WALKED_ANEW = ACTS | {"deal-opened"}


def evidence(state: DealState) -> tuple[str, str | None, int]:
    """The part of a state that evidence decides."""
    return state.evidenced, state.gate, state.weight_percent


def _kind_of(turned: Iterable[Judgement]) -> MoveKind:
    """How criteria moved a deal that stands where it stood: in or out of what may be projected."""
    statuses = {judgement.status for judgement in turned}
    if Status.MET in statuses:
        return MoveKind.ADVANCED
    return MoveKind.REGRESSED if Status.CONTRADICTED in statuses else MoveKind.LAPSED
