"""Where a deal really stands: its gates over time, folded from what the buyer did and said.

Law, gate by gate:

- A gate is got through when all its mandatory criteria and enough of its optional ones hold - and
  those of every gate before it, tested again as strictly as the next gate asks. The number of gates
  got through at the furthest is the *bar*: to its strictness all evidence is held from then on.
- A gate that was got through is `passed` while its own criteria hold at the bar, and `regressed`
  while they do not. A gate that was not got through is `pending`, or `regressed` if it once was.
- The deal *stands at* the first gate that is not passed. When an early criterion lapses, the deal
  stands at its gate from that instant on. A gate passed again after a regression is a loop.
- When the buyer goes back to a gate (`buyer-regressed`, `buyer-looped`), that gate and those after
  it are contradicted until newer evidence, and the bar comes down to it: the way begins anew.
  `buyer-advanced` is what somebody says, and passes nothing.
- Evidence from before the opening counts from the opening on, with its age. The decision settles
  the gates before it: they stay as they were at that instant, whatever is recorded or ages later.
  The gates after the decision begin when the deal is won. Reopened, everything is judged anew.
- All that is said about one instant counts together. A state changes only at an instant at which
  something is said, or at a lapse that was announced (`lapses_at`).

A sweep over valid time applies this; nothing is sampled. What cannot be placed - a criterion or a
gate that the version in force does not have - changes nothing, is listed, and counts when a version
has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush, merge
from operator import itemgetter

from ledger.domain.deal import OPEN
from ledger.domain.events import Event, Outcome, cause_of
from ledger.domain.history import effective
from projections.fold.criterion import (
    UNMET,
    Judgement,
    Piece,
    Rule,
    Stakeholder,
    Status,
    Track,
    Waiver,
    Word,
    judge,
)
from projections.fold.gates import (
    Change,
    CriterionState,
    Declared,
    GateState,
    GateStatus,
    Loop,
    Move,
    MoveKind,
    Qualification,
)
from projections.fold.rulebook import PlaybookHistory, Rulebook

_ORDER = itemgetter("occurred_at", "known_at", "position")

QUALIFYING_TYPES = frozenset(
    {
        "evidence-recorded", "criterion-waived", "waiver-revoked", "stakeholder-added",
        "stakeholder-changed", "stakeholder-left", "buyer-advanced", "buyer-regressed",
        "buyer-looped",
    }
)  # fmt: skip
"""The events of a deal that its gates depend on, besides those that claims depend on."""


def qualify(
    deal_id: str,
    events: Iterable[Event],
    valid_at: str,
    playbooks: PlaybookHistory,
    account_evidence: Mapping[str, Sequence[Event]] | None = None,
    *,
    ahead_until: str | None = None,
) -> Qualification | None:
    """Fold one deal's gates.

    Args:
        deal_id: the deal's own id.
        events: its events that are visible to the basis, in any order.
        valid_at: valid time, in the one spelling.
        playbooks: the versions that the basis sees.
        account_evidence: account id -> the visible events of that account's stream.
        ahead_until: also tell what will lapse up to this instant if nothing happens.

    Returns:
        None where the deal is not in the book at that basis.
    """
    own = effective(events, valid_at)
    opened_at = _opened_at(own)
    if opened_at is None:
        return None
    sweep = _Sweep(playbooks, opened_at)
    sweep.run(_with_accounts(own, valid_at, account_evidence or {}), valid_at)
    if sweep.removed:
        return None
    found = sweep.result(deal_id, valid_at)
    if ahead_until is None or ahead_until <= valid_at:
        return found
    changes, moves = len(sweep.changes), len(sweep.moves)
    sweep.run([], ahead_until)
    return found._replace(
        upcoming=tuple(sweep.changes[changes:]), upcoming_moves=tuple(sweep.moves[moves:])
    )


def _opened_at(events: Sequence[Event]) -> str | None:
    opened = None
    for event in events:
        if event["type"] == "deal-opened":
            opened = event["occurred_at"]
    return opened


def _with_accounts(
    own: list[Event], valid_at: str, account_evidence: Mapping[str, Sequence[Event]]
) -> Iterable[Event]:
    """The deal's events with the evidence of the accounts that it ever belonged to, in order."""
    if not account_evidence:
        return own
    accounts = {event["payload"]["account"] for event in own if event["payload"].get("account")}
    theirs = [
        [
            event
            for event in effective(account_evidence[account], valid_at)
            if event["type"] == "evidence-recorded"
        ]
        for account in sorted(accounts & account_evidence.keys())
    ]
    return merge(own, *theirs, key=_ORDER) if theirs else own


_ALWAYS_TOLD = frozenset({MoveKind.DECIDED, MoveKind.REOPENED})
"""Moves that are told although the deal stands at the same gate as before."""


class _GateTrack:
    """A gate over time."""

    __slots__ = ("lost_at", "lost_by", "passes", "regressions", "since", "status")

    def __init__(self, since: str) -> None:
        self.status = GateStatus.PENDING
        self.since = since
        self.passes = 0
        self.regressions = 0
        self.lost_at = ""
        self.lost_by: tuple[int, ...] = ()


class _Sweep:
    """One deal swept through valid time; the state after the last instant."""

    def __init__(self, playbooks: PlaybookHistory, opened_at: str) -> None:
        self.playbooks = playbooks
        self.opened_at = opened_at
        self.now = opened_at
        self.opened = False
        self.rulebook: Rulebook | None = None
        self.playbook_key: str | None = None
        self.account: str | None = None
        self.outcome = OPEN
        self.removed = False
        self.bar = 0
        self.bar_at_decision = 0
        self.holds: list[bool] = []
        """By gate, whether its criteria hold at the bar."""
        self.tipped = False
        """Whether that changed for any gate at this instant."""
        self.stands: int | None = None
        self.tracks: dict[str, Track] = {}
        self.judged: dict[str, Judgement] = {}
        self.since: dict[str, str] = {}
        self.gates: dict[str, _GateTrack] = {}
        self.stakeholders: dict[str, Stakeholder] = {}
        self.said_by: dict[str, set[str]] = {}
        """Stakeholder -> the criteria on which they said something."""
        self.went_back: list[tuple[str, Word]] = []
        """Gate -> the buyer's going back to it, in order."""
        self.back_to: list[Word | None] = []
        """By gate, the last going back to it or to one before it."""
        self.of_account: list[Event] = []
        self.timers: list[tuple[str, str]] = []
        """(instant, criterion) at which it is to be judged again; no criterion: the version."""
        self.dirty: set[str] = set()
        self.rejudge_all = True
        self.too_old: tuple[str, ...] = ()
        self.reason: MoveKind | None = None
        self.reason_causes: list[int] = []
        self.changed: list[tuple[str, Judgement]] = []
        self.moves: list[Move] = []
        self.loops: list[Loop] = []
        self.changes: list[Change] = []
        self.declared: list[Declared] = []
        self.unplaced: list[tuple[str, int]] = []
        """(criterion or gate, position) of what is on something that a version may lack."""
        self.after_close: list[int] = []
        self.before_opening: list[int] = []

    # --- the sweep ---------------------------------------------------------------------------

    def run(self, events: Iterable[Event], until: str) -> None:
        """Apply events and lapses up to an instant, it included."""
        pending = iter(events)
        event = next(pending, None)
        timers = self.timers
        opened_at = self.opened_at
        while True:
            instant = timers[0][0] if timers else None
            if event is not None:
                happened = event["occurred_at"] if self.opened else opened_at
                instant = happened if instant is None or happened < instant else instant
            if instant is None or instant > until:
                return
            self.now = instant
            outcomes: list[Event] = []
            while event is not None and event["occurred_at"] <= instant:
                handler = _HANDLERS.get(event["type"])
                if handler is not None:
                    handler(self, event)
                elif event["type"] in _OUTCOMES:
                    outcomes.append(event)
                event = next(pending, None)
            while timers and timers[0][0] <= instant:
                self._wake(heappop(timers)[1])
            self._settle()
            for each in outcomes:  # what is said about that very instant still counts before it
                _OUTCOMES[each["type"]](self, each)
                self._settle()

    def _wake(self, key: str) -> None:
        if key:
            self.dirty.add(key)
        else:
            self._choose_version()

    def _choose_version(self) -> None:
        """Take the version in force; a decided deal stays with the one it was decided under."""
        rulebook = self.playbooks.at(self.playbook_key, self.now)
        if rulebook is self.rulebook or (self.rulebook is not None and self.outcome != OPEN):
            return
        before, self.rulebook = self.rulebook, rulebook
        self.rejudge_all = True
        if rulebook is None:
            return
        self.bar = _same_bar(before, self.bar, rulebook)
        self.holds = [False] * len(rulebook.gates)
        self._place_goings_back()
        for key in rulebook.criteria:
            self.tracks.setdefault(key, Track())
        for key in rulebook.gate_index:
            self.gates.setdefault(key, _GateTrack(self.now))
        if self.opened:
            self.reason = MoveKind.PLAYBOOK_CHANGED
            self.reason_causes.append(rulebook.cause)

    def _watch_versions(self) -> None:
        for instant in self.playbooks.changes(self.playbook_key):
            if instant > self.now:
                heappush(self.timers, (instant, ""))

    def _place_goings_back(self) -> None:
        rulebook = self.rulebook
        if rulebook is None:
            return
        back_to: list[Word | None] = [None] * len(rulebook.gates)
        for gate, word in self.went_back:
            first = rulebook.gate_index.get(gate)
            if first is None:
                continue
            for index in range(first, len(back_to)):
                known = back_to[index]
                if known is None or known.occurred_at <= word.occurred_at:
                    back_to[index] = word
        self.back_to = back_to

    # --- judging at one instant ----------------------------------------------------------------

    def _settle(self) -> None:
        """Judge what changed at this instant, and where the deal stands now."""
        if not self.opened:
            self._watch_versions()
            self._choose_version()
        rulebook = self.rulebook
        if rulebook is not None and (self.dirty or self.rejudge_all):
            self._judge(rulebook, rulebook.criteria if self.rejudge_all else self.dirty)
            bar = self.bar
            if self.changed or self.rejudge_all:
                self._get_through(rulebook)
            if self.tipped or self.rejudge_all or self.bar != bar:
                self._pass_gates(rulebook)
                self._stand(rulebook)
        elif self.rejudge_all:
            self._stand(rulebook)
        self.rejudge_all = self.tipped = False
        self.dirty.clear()
        self.changed.clear()
        self.reason = None
        self.reason_causes.clear()

    def _settled(self, rulebook: Rulebook, gate: int) -> bool:
        """Whether a gate is not judged now: the decision settled it, or it comes after one."""
        if self.outcome == OPEN:
            return gate >= rulebook.decision
        return gate < rulebook.decision or self.outcome != Outcome.WON

    def _judge(self, rulebook: Rulebook, keys: Iterable[str]) -> None:
        for key in sorted(keys):
            rule = rulebook.criteria.get(key)
            if rule is None:
                continue
            before = self.judged.get(key)
            if self._settled(rulebook, rule.gate):
                if before is None:
                    self.judged[key] = UNMET
                    self.since[key] = self.now
                continue
            after = self._judged_at(rulebook, key, max(self.bar, rule.gate))
            if after != before:
                self._take(key, before, after)
        gates = range(len(rulebook.gates)) if self.rejudge_all else self._gates_of_changed(rulebook)
        for gate in gates:
            holds = _enough(rulebook, gate, self.judged)
            if holds is not self.holds[gate]:
                self.holds[gate] = holds
                self.tipped = True

    def _gates_of_changed(self, rulebook: Rulebook) -> set[int]:
        return {rulebook.criteria[key].gate for key, _after in self.changed}

    def _judged_at(self, rulebook: Rulebook, key: str, bar: int) -> Judgement:
        rule = rulebook.criteria[key]
        back_to = self.back_to[rule.gate]
        return judge(rule, self.tracks[key], bar, self.now, self.stakeholders, back_to)

    def _take(self, key: str, before: Judgement | None, after: Judgement) -> None:
        self.judged[key] = after
        if after.lapses_at is not None:
            heappush(self.timers, (after.lapses_at, key))
        if after.status is Status.MET:
            self.tracks[key].was_met = True
        self.changed.append((key, after))
        if before is None or before.status is not after.status:
            self.since[key] = self.now
            if before is not None or after.status is not Status.UNMET:
                was = Status.UNMET if before is None else before.status
                self.changes.append(Change(self.now, key, was, after))

    def _span(self, rulebook: Rulebook) -> range:
        """The gates that are worked at now: those before the decision, or those after it."""
        if self.outcome == Outcome.WON:
            return range(rulebook.decision, len(rulebook.gates))
        return range(rulebook.decision)

    def _get_through(self, rulebook: Rulebook) -> None:
        """Raise the bar, a gate at a time, while all holds as strictly as the next gate asks."""
        self.too_old = ()
        span = self._span(rulebook)
        if self.outcome not in {OPEN, Outcome.WON}:
            return
        while self.bar < span.stop and all(self.holds[span.start : self.bar + 1]):
            tested = range(span.start, self.bar + 1)
            stricter = self.bar + 1
            again = {
                key: self._judged_at(rulebook, key, stricter)
                for gate in tested
                for key in rulebook.of_gate[gate]
                if rulebook.criteria[key].fresh[stricter] != rulebook.criteria[key].fresh[self.bar]
            }
            judged = {**self.judged, **again}
            if not all(_enough(rulebook, gate, judged) for gate in tested):
                self.too_old = tuple(
                    key
                    for key, judgement in again.items()
                    if self.judged[key].holds and not judgement.holds
                )
                return
            self.bar = stricter
            for key, after in again.items():
                if after != self.judged[key]:
                    self._take(key, self.judged[key], after)

    def _pass_gates(self, rulebook: Rulebook) -> None:
        for index, gate in enumerate(rulebook.gates):
            if self._settled(rulebook, index):
                continue
            track = self.gates[gate.key]
            passed = index < self.bar and self.holds[index]
            if passed == (track.status is GateStatus.PASSED):
                continue
            causes = self._causes_of(rulebook, index, holding=passed)
            track.since = self.now
            if passed:
                if track.status is GateStatus.REGRESSED:
                    self.loops.append(
                        Loop(gate.key, track.lost_at, self.now, track.lost_by, causes)
                    )
                track.status = GateStatus.PASSED
                track.passes += 1
            else:
                track.status = GateStatus.REGRESSED
                track.regressions += 1
                track.lost_at, track.lost_by = self.now, causes

    def _causes_of(self, rulebook: Rulebook, gate: int, *, holding: bool) -> tuple[int, ...]:
        """The events that a gate's criteria rest on, of those that hold or of those that do not."""
        judged = (self.judged[key] for key in rulebook.of_gate[gate])
        return _causes(judgement for judgement in judged if judgement.holds is holding)

    def _stand(self, rulebook: Rulebook | None) -> None:
        before = self.stands
        stands = None if rulebook is None else self._first_not_passed(rulebook)
        gate = None if rulebook is None or stands is None else _gate_at(rulebook, stands)
        if not self.opened:
            self.opened = True
            self._move(MoveKind.OPENED, gate, [each for each in self.changed if each[1].holds])
        elif gate != self.moves[-1].to_gate or self.reason in _ALWAYS_TOLD:
            because = self._because(gate)
            self._move(self.reason or _kind(before, stands, because), gate, because)
        self.stands = stands

    def _because(self, gate: str | None) -> list[tuple[str, Judgement]]:
        """What moved the deal: what was lost in the gate it fell to, else all that changed."""
        rulebook = self.rulebook
        if rulebook is None or gate is None:
            return self.changed
        own = rulebook.of_gate[rulebook.gate_index[gate]]
        return [each for each in self.changed if each[0] in own and not each[1].holds] or (
            self.changed
        )

    def _move(self, kind: MoveKind, gate: str | None, because: list[tuple[str, Judgement]]) -> None:
        causes = {*self.reason_causes, *_causes(judgement for _key, judgement in because)}
        before = self.moves[-1].to_gate if self.moves else None
        criteria = tuple(key for key, _judgement in because)
        self.moves.append(Move(self.now, kind, before, gate, criteria, tuple(sorted(causes))))

    def _first_not_passed(self, rulebook: Rulebook) -> int:
        span = self._span(rulebook)
        for index in span:
            if self.gates[rulebook.gates[index].key].status is not GateStatus.PASSED:
                return index
        return span.stop

    # --- the answer ----------------------------------------------------------------------------

    def result(self, deal_id: str, valid_at: str) -> Qualification:
        """The state as it is now."""
        rulebook = self.rulebook
        known: set[str] = set()
        if rulebook is not None:
            known = {*rulebook.criteria, *rulebook.gate_index}
        return Qualification(
            deal_id=deal_id,
            valid_at=valid_at,
            rulebook=rulebook,
            outcome=self.outcome,
            stands_at=self.moves[-1].to_gate,
            stands_since=next(
                move.at
                for move in reversed(self.moves)
                if move.from_gate != move.to_gate or move.kind is MoveKind.OPENED
            ),
            bar=self.bar,
            criteria=() if rulebook is None else tuple(self._criterion_states(rulebook)),
            gates=() if rulebook is None else tuple(self._gate_states(rulebook)),
            moves=tuple(self.moves),
            loops=tuple(self.loops),
            changes=tuple(self.changes),
            stakeholders=dict(self.stakeholders),
            declared=tuple(self.declared),
            unplaced=tuple(position for key, position in self.unplaced if key not in known),
            after_close=tuple(self.after_close),
            before_opening=tuple(self.before_opening),
        )

    def _criterion_states(self, rulebook: Rulebook) -> Iterable[CriterionState]:
        for key, rule in rulebook.criteria.items():
            gate = rulebook.gates[rule.gate].key
            yield CriterionState(key, gate, self.judged[key], self.since[key])

    def _gate_states(self, rulebook: Rulebook) -> Iterable[GateState]:
        for index, gate in enumerate(rulebook.gates):
            track = self.gates[gate.key]
            passed = track.status is GateStatus.PASSED
            missing = tuple(
                criterion.key
                for criterion in gate.criteria
                if criterion.mandatory and not self.judged[criterion.key].holds
            )
            optional = sum(
                self.judged[criterion.key].holds
                for criterion in gate.criteria
                if not criterion.mandatory
            )
            yield GateState(
                key=gate.key,
                status=track.status,
                since=track.since,
                missing=missing,
                optional_missing=max(0, gate.threshold - optional),
                too_old=self.too_old if index == self.bar else (),
                passes=track.passes,
                regressions=track.regressions,
                causes=self._causes_of(rulebook, index, holding=passed),
            )

    # --- what events do ------------------------------------------------------------------------

    def _fields(self, event: Event) -> None:
        payload = event["payload"]
        if "playbook" in payload and payload["playbook"] != self.playbook_key:
            self.playbook_key = payload["playbook"]
            if self.opened:
                self._watch_versions()
                self._choose_version()
        if "account" in payload and payload["account"] != self.account:
            self._leave_account()
            self.account = payload["account"]
            for each in self.of_account:
                if _account_of(each) == self.account:
                    self._hear(each)

    def _leave_account(self) -> None:
        theirs = frozenset(
            cause_of(event) for event in self.of_account if _account_of(event) == self.account
        )
        for key, track in self.tracks.items():
            if theirs:
                track.without(theirs)
                self.dirty.add(key)

    def _evidence(self, event: Event) -> None:
        account = _account_of(event)
        if account is not None:
            self.of_account.append(event)
            if account != self.account:
                return
        self._hear(event)

    def _hear(self, event: Event) -> None:
        payload = event["payload"]
        key = payload["criterion"]
        cause = cause_of(event)
        if event["occurred_at"] < self.opened_at:
            self.before_opening.append(cause)
        self.unplaced.append((key, cause))
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = Track()
        if payload["stance"] == "supports":
            said_by = payload.get("said_by")
            track.supported(Piece(event["occurred_at"], payload["source_kind"], said_by, cause))
            if said_by is not None:
                self.said_by.setdefault(said_by, set()).add(key)
        else:
            track.contradicted(Word(event["occurred_at"], Rule.EVIDENCE_AGAINST, cause))
        self.dirty.add(key)
        if self.outcome != OPEN and self.rulebook is not None:
            rule = self.rulebook.criteria.get(key)
            if rule is not None and self._settled(self.rulebook, rule.gate):
                self.after_close.append(cause)

    def _waived(self, event: Event) -> None:
        payload = event["payload"]
        key = payload["criterion"]
        self.unplaced.append((key, cause_of(event)))
        self.tracks.setdefault(key, Track()).waiver = Waiver(payload["ends_at"], cause_of(event))
        self.dirty.add(key)

    def _waiver_revoked(self, event: Event) -> None:
        key = event["payload"]["criterion"]
        if key in self.tracks:
            self.tracks[key].waiver = None
            self.dirty.add(key)

    def _stakeholder(self, event: Event) -> None:
        payload = event["payload"]
        who = payload["stakeholder"]
        known = self.stakeholders.get(who) or Stakeholder(who)
        given = {key: payload[key] for key in _STAKEHOLDER_FIELDS if key in payload}
        here = True if event["type"] == "stakeholder-added" else known.here
        self.stakeholders[who] = known._replace(**given, here=here, cause=cause_of(event))
        self.dirty |= self.said_by.get(who, set())

    def _stakeholder_left(self, event: Event) -> None:
        who = event["payload"]["stakeholder"]
        known = self.stakeholders.get(who) or Stakeholder(who)
        self.stakeholders[who] = known._replace(
            left_at=event["occurred_at"], here=False, cause=cause_of(event)
        )
        self.dirty |= self.said_by.get(who, set())

    def _advanced(self, event: Event) -> None:
        self._declare(event, event["payload"]["gate"])

    def _regressed(self, event: Event) -> None:
        self._go_back(event, event["payload"]["gate"])

    def _looped(self, event: Event) -> None:
        to_gate = event["payload"]["to_gate"]
        index = {} if self.rulebook is None else self.rulebook.gate_index
        backward = index.get(to_gate, -1) <= index.get(event["payload"]["from_gate"], len(index))
        if backward:
            self._go_back(event, to_gate)
        else:
            self._declare(event, to_gate)

    def _declare(self, event: Event, gate: str) -> None:
        self.unplaced.append((gate, cause_of(event)))
        self.declared.append(Declared(event["occurred_at"], event["type"], gate, cause_of(event)))

    def _go_back(self, event: Event, gate: str) -> None:
        self._declare(event, gate)
        word = Word(event["occurred_at"], Rule.BUYER_WENT_BACK, cause_of(event))
        self.went_back.append((gate, word))
        self._place_goings_back()
        rulebook = self.rulebook
        first = None if rulebook is None else rulebook.gate_index.get(gate)
        if rulebook is None or first is None or self._settled(rulebook, first):
            return
        self.bar = min(self.bar, first)
        self.rejudge_all = True

    def _closed(self, event: Event) -> None:
        was_open = self.outcome == OPEN
        self.outcome = event["payload"]["outcome"]
        if was_open:
            self.bar_at_decision = self.bar
        self.reason = MoveKind.DECIDED
        self.reason_causes.append(cause_of(event))
        self.rejudge_all = True
        if self.outcome == Outcome.WON and self.rulebook is not None:
            self.bar = max(self.bar, self.rulebook.decision)

    def _reopened(self, event: Event) -> None:
        if self.outcome == OPEN:
            return
        self.outcome = OPEN
        self.bar = self.bar_at_decision
        self._choose_version()
        self.reason = MoveKind.REOPENED
        self.reason_causes.append(cause_of(event))
        self.rejudge_all = True

    def _removed(self, event: Event) -> None:  # noqa: ARG002 - handlers share one signature
        self.removed = True


_STAKEHOLDER_FIELDS = ("name", "title", "role", "seniority", "influence", "reports_to")

_Handler = Callable[[_Sweep, Event], None]
_HANDLERS: Mapping[str, _Handler] = {
    "deal-opened": _Sweep._fields,
    "deal-revised": _Sweep._fields,
    "evidence-recorded": _Sweep._evidence,
    "criterion-waived": _Sweep._waived,
    "waiver-revoked": _Sweep._waiver_revoked,
    "stakeholder-added": _Sweep._stakeholder,
    "stakeholder-changed": _Sweep._stakeholder,
    "stakeholder-left": _Sweep._stakeholder_left,
    "buyer-advanced": _Sweep._advanced,
    "buyer-regressed": _Sweep._regressed,
    "buyer-looped": _Sweep._looped,
    "deal-removed": _Sweep._removed,
}
_OUTCOMES: Mapping[str, _Handler] = {
    "deal-closed": _Sweep._closed,
    "deal-reopened": _Sweep._reopened,
}


def _account_of(event: Event) -> str | None:
    kind, _colon, identifier = event["stream"].partition(":")
    return identifier if kind == "account" else None


def _enough(rulebook: Rulebook, gate: int, judged: Mapping[str, Judgement]) -> bool:
    """Whether a gate's mandatory criteria hold, and enough of the optional ones."""
    optional = 0
    for criterion in rulebook.gates[gate].criteria:
        holds = judged[criterion.key].holds
        if criterion.mandatory and not holds:
            return False
        optional += holds and not criterion.mandatory
    return optional >= rulebook.gates[gate].threshold


def _causes(judgements: Iterable[Judgement]) -> tuple[int, ...]:
    return tuple(sorted({cause for judgement in judgements for cause in judgement.causes}))


def _kind(before: int | None, stands: int | None, because: list[tuple[str, Judgement]]) -> MoveKind:
    if stands is None or before is None or stands > before:
        return MoveKind.ADVANCED
    against = any(judgement.status is Status.CONTRADICTED for _key, judgement in because)
    return MoveKind.REGRESSED if against else MoveKind.LAPSED


def _gate_at(rulebook: Rulebook, index: int) -> str | None:
    return rulebook.gates[index].key if index < len(rulebook.gates) else None


def _same_bar(before: Rulebook | None, bar: int, after: Rulebook) -> int:
    """The bar in another version: behind the last gate got through that the new version has too."""
    if before is None:
        return 0
    through = [after.gate_index[g.key] for g in before.gates[:bar] if g.key in after.gate_index]
    return max(through, default=-1) + 1
