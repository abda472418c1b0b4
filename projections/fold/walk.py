"""A deal walked through valid time under one state of knowledge, which may grow.

Law: the points are all instants of valid time at which the state that is known changes, in order;
between two of them nothing does. News that happened after all that was walked, and was known when
or after it happened, is walked on to; any other news - of the past, a correction, an announced
waiver, another playbook version - asks for a new walk (`may_go_on`). What lies ahead, if nothing
else becomes known, is told without walking where evidence does nothing but age.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import CLAIM_TYPES, OPEN, claim
from ledger.domain.events import Event, Outcome, cause_of
from ledger.domain.history import ACTS, ORDER
from projections.fold.claims import ClaimedDeal
from projections.fold.criterion import Judgement, Status
from projections.fold.gate_rules import worked_at
from projections.fold.gates import MoveKind
from projections.fold.qualification import Sweep
from projections.fold.rulebook import PlaybookHistory, Rulebook
from projections.fold.states import (
    FOREVER,
    Claimed,
    DealState,
    claimed_part,
    evidence,
    with_evidence_part,
)
from projections.fold.verdict import projected

_WALKED_ANEW = ACTS | {"deal-opened"}


class Point(NamedTuple):
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


class _Ahead(NamedTuple):
    """What evidence will say from an instant on, if nothing else becomes known."""

    at: str
    evidenced: str
    gate: str | None
    weight_percent: int
    causes: tuple[int, ...]
    place: int


class Walk:
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
        self.points: list[Point] = []
        self.announced = False
        """Whether something takes effect only after it was known: then it is walked anew."""
        self._sweep = Sweep(playbooks, opened_at)
        self._claims: dict[str, Event] = {}
        self._claimed: Claimed = ()
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
            self._claimed = claimed_part(ClaimedDeal(self.deal_id, self._claims), self.calendar)
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
            state = with_evidence_part(self._claimed, str(category), gate, weight)
        before = self.points[-1].state if self.points else None
        if state != before:
            self.points.append(self._point(instant, before, state, said, judged_anew=judged_anew))
        self._moves, self._changes = len(sweep.moves), len(sweep.changes)

    def _point(
        self,
        instant: str,
        before: DealState | None,
        state: DealState | None,
        said: Sequence[Event],
        *,
        judged_anew: bool,
    ) -> Point:
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
        return Point(instant, state, move, tuple(sorted(causes)), self._place(), playbook)

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

    def ahead(self) -> list[Point]:
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
            state = with_evidence_part(
                self._claimed, lapse.evidenced, lapse.gate, lapse.weight_percent
            )
            points.append(
                Point(
                    lapse.at, state, MoveKind.LAPSED, lapse.causes, lapse.place, rulebook.label
                )
            )  # fmt: skip
        return points

    def _walked_ahead(self) -> list[Point]:
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
    asked = () if sweep.rulebook is None else sweep.rulebook.criteria
    for key, judgement in sweep.holding.items():
        if key not in asked:
            continue
        if judgement.status is Status.MET:
            until = judgement.lapses_at or FOREVER
            met_until = until if met_until is None else max(met_until, until)
            if judgement.lapses_at is not None:
                ageing.add(key)
        else:
            waived = True
    return _Age(met_until, waived, ageing)


def _kind_of(turned: Iterable[Judgement]) -> MoveKind:
    """How criteria moved a deal that stands where it stood: in or out of what may be projected."""
    statuses = {judgement.status for judgement in turned}
    if Status.MET in statuses:
        return MoveKind.ADVANCED
    return MoveKind.REGRESSED if Status.CONTRADICTED in statuses else MoveKind.LAPSED
