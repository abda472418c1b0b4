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

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush, merge
from typing import NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.events import Event, Outcome, cause_of
from ledger.domain.history import ORDER, effective
from projections.fold.criterion import (
    UNMET,
    Judgement,
    Status,
    Word,
    judge,
)
from projections.fold.gate_rules import (
    enough,
    gate_gone_back_to,
    gone_back_to,
    is_ahead,
    is_settled,
    same_bar,
    worked_at,
)
from projections.fold.gates import (
    Change,
    CriterionState,
    GateState,
    GateStatus,
    Loop,
    Move,
    MoveKind,
    Qualification,
)
from projections.fold.hearing import Heard
from projections.fold.rulebook import PlaybookHistory, Rulebook

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
    events = list(events)
    own = effective(events, valid_at)
    opened_at = _opened_at(own)
    if opened_at is None:
        return None
    sweep = Sweep(playbooks, opened_at)
    sweep.run(with_accounts(own, valid_at, account_evidence or {}), valid_at)
    if sweep.heard.removed:
        return None
    found = sweep.result(deal_id, valid_at)
    if ahead_until is None or ahead_until <= valid_at:
        return found
    changes, moves = len(sweep.changes), len(sweep.moves)
    sweep.run(_announced(events, valid_at, ahead_until), ahead_until)
    return found._replace(
        upcoming=tuple(sweep.changes[changes:]), upcoming_moves=tuple(sweep.moves[moves:])
    )


def _announced(events: Iterable[Event], valid_at: str, until: str) -> list[Event]:
    """What was known at an instant to take effect after it: waivers set ahead."""
    return [
        event
        for event in effective(events, until)
        if event["occurred_at"] > valid_at >= event["known_at"]
    ]


def _opened_at(events: Sequence[Event]) -> str | None:
    opened = None
    for event in events:
        if event["type"] == "deal-opened":
            opened = event["occurred_at"]
    return opened


def with_accounts(
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
    return merge(own, *theirs, key=ORDER) if theirs else own


_OUTCOMES = frozenset({"deal-closed", "deal-reopened"})

_ALWAYS_TOLD = frozenset({MoveKind.DECIDED, MoveKind.REOPENED})
"""Moves that are told although the deal stands at the same gate as before."""


class _Changed(NamedTuple):
    """A criterion judged otherwise than before; turned, when its status is another one."""

    key: str
    after: Judgement
    turned: bool


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


class Sweep:
    """One deal swept through valid time; the state after the last instant."""

    def __init__(self, playbooks: PlaybookHistory, opened_at: str) -> None:
        self.playbooks = playbooks
        self.heard = Heard(opened_at)
        self.now = opened_at
        self.opened = False
        self.rulebook: Rulebook | None = None
        self.playbook: str | None = None
        """The playbook that the deal names, as of the last version chosen."""
        self.bar = 0
        self.bar_at_decision = 0
        self.stands: int | None = None
        self.judged: dict[str, Judgement] = {}
        self.holding: dict[str, Judgement] = {}
        """Those of them that hold, of whichever version."""
        self.since: dict[str, str] = {}
        self.by_rule_since: dict[str, str] = {}
        self.holds: list[bool] = []
        """By gate, whether its criteria hold at the bar."""
        self.gates: dict[str, _GateTrack] = {}
        self.goings_back = 0
        """How many of them are placed."""
        self.back_to: list[Word | None] = []
        """By gate, the last going back to it or to one before it."""
        self.timers: list[tuple[str, str]] = []
        """(instant, criterion) at which it is to be judged again; no criterion: the version."""
        self.versions_ahead = 0
        """How many of them are for the version."""
        self.moves: list[Move] = []
        self.loops: list[Loop] = []
        self.changes: list[Change] = []
        self.taken = 0
        """How often a criterion was judged otherwise than before."""
        # What happens at this one instant:
        self.rejudge_all = True
        self.tipped = False
        self.before: dict[str, Judgement | None] = {}
        """What the criteria judged otherwise now were before this instant."""
        self.changed: list[_Changed] = []
        self.reason: MoveKind | None = None
        self.reason_causes: list[int] = []

    # --- the sweep ---------------------------------------------------------------------------

    def run(self, events: Iterable[Event], until: str) -> None:
        """Apply events and lapses up to an instant, it included."""
        for _instant in self.steps(events, until):
            pass

    def steps(self, events: Iterable[Event], until: str) -> Iterator[str]:
        """The same, an instant at a time: each is given when all of it has been applied."""
        pending = iter(events)
        event = next(pending, None)
        heard, timers = self.heard, self.timers
        while True:
            instant = timers[0][0] if timers else None
            if event is not None:
                happened = event["occurred_at"] if self.opened else heard.opened_at
                instant = happened if instant is None or happened < instant else instant
            if instant is None or instant > until:
                self.now = until
                return
            self.now = instant
            outcomes: list[Event] = []
            while event is not None and event["occurred_at"] <= instant:
                if event["type"] in _OUTCOMES:
                    outcomes.append(event)
                else:
                    heard.take(event)
                event = next(pending, None)
            self._wake(instant)
            if heard.touched or self.rejudge_all or not self.opened:
                self._settle()
            for each in outcomes:  # what is said about that very instant still counts before it
                self._decide(each)
                self._settle()
            yield instant

    def _wake(self, instant: str) -> None:
        """Take what this instant brings: lapses, another version, the buyer's going back."""
        version_due = not self.opened or self.heard.playbook != self.playbook
        while self.timers and self.timers[0][0] <= instant:
            due, key = heappop(self.timers)
            if not key:
                version_due = True
                self.versions_ahead -= 1
            elif self.judged[key].lapses_at == due:  # else it was renewed, and lapses later
                self.heard.touched.add(key)
        if version_due:
            self._choose_version()
        if self.goings_back < len(self.heard.goings_back):
            self._go_back()

    def _choose_version(self) -> None:
        """Take the version in force; a decided deal stays with the one it was decided under.

        A deal that was won before there was any is judged on the gates after the decision.
        """
        if not self.opened or self.heard.playbook != self.playbook:
            self.playbook = self.heard.playbook
            for instant in self.playbooks.changes(self.playbook):
                if instant > self.now:
                    heappush(self.timers, (instant, ""))
                    self.versions_ahead += 1
        rulebook = self.playbooks.at(self.playbook, self.now)
        judged_before = self.rulebook is not None or self.heard.outcome != Outcome.WON
        decided = self.opened and self.heard.outcome != OPEN and judged_before
        if rulebook is self.rulebook or decided:
            return
        before, self.rulebook = self.rulebook, rulebook
        self.rejudge_all = True
        self.reason = MoveKind.PLAYBOOK_CHANGED if self.opened else None
        if rulebook is None:
            return
        self.bar = same_bar(before, self.bar, rulebook)
        self.holds = [False] * len(rulebook.gates)
        self.back_to = gone_back_to(rulebook, self.heard.goings_back[: self.goings_back])
        for key in rulebook.gate_index:
            self.gates.setdefault(key, _GateTrack(self.now))
        if self.opened:
            self.reason_causes.append(rulebook.cause)

    def _go_back(self) -> None:
        """Place the buyer's goings back, and bring the bar down to them."""
        fresh = self.heard.goings_back[self.goings_back :]
        self.goings_back = len(self.heard.goings_back)
        rulebook = self.rulebook
        if rulebook is None:
            return
        self.back_to = gone_back_to(rulebook, self.heard.goings_back)
        begins = worked_at(rulebook, self.heard.outcome).start
        for going in fresh:
            first = gate_gone_back_to(rulebook, going)
            if first is None:
                continue
            self.rejudge_all = True
            self.bar_at_decision = min(self.bar_at_decision, first)
            if not self._settled(rulebook, max(first, begins)):
                self.bar = min(self.bar, max(first, begins))

    def _decide(self, event: Event) -> None:
        """Take a closing or a reopening."""
        was_open = self.heard.outcome == OPEN
        if event["type"] == "deal-closed":
            self.heard.outcome = event["payload"]["outcome"]
            self.bar_at_decision = self.bar if was_open else self.bar_at_decision
            if self.heard.outcome == Outcome.WON and self.rulebook is not None:
                self.bar = max(self.bar, self.rulebook.decision)
            self.reason = MoveKind.DECIDED
        elif not was_open:
            self.heard.outcome = OPEN
            self.bar = self.bar_at_decision
            self._choose_version()
            self.reason = MoveKind.REOPENED
        else:
            return
        self.reason_causes.append(cause_of(event))
        self.rejudge_all = True

    # --- judging at one instant ----------------------------------------------------------------

    def _settle(self) -> None:
        """Judge what changed at this instant, and where the deal stands now."""
        rulebook, touched = self.rulebook, self.heard.touched
        if rulebook is not None and (touched or self.rejudge_all):
            self._judge(rulebook, rulebook.criteria if self.rejudge_all else touched)
            bar = self.bar
            if self.before or self.rejudge_all:
                self._get_through(rulebook)
            self._take_all()
            if self.tipped or self.rejudge_all or self.bar != bar:
                self._pass_gates(rulebook)
                self._stand(rulebook)
        elif self.rejudge_all:
            self._stand(rulebook)
        self.rejudge_all = self.tipped = False
        touched.clear()
        self.before.clear()
        self.changed.clear()
        self.reason = None
        self.reason_causes.clear()

    def _settled(self, rulebook: Rulebook, gate: int) -> bool:
        return is_settled(rulebook, gate, self.heard.outcome)

    def _judge(self, rulebook: Rulebook, keys: Collection[str]) -> None:
        tested = set(range(len(rulebook.gates))) if self.rejudge_all else set()
        for key in sorted(keys) if len(keys) > 1 else keys:
            rule = rulebook.criteria.get(key)
            if rule is None:
                continue
            before = self.judged.get(key)
            if self._settled(rulebook, rule.gate):
                self.judged.setdefault(key, UNMET)
                self.since.setdefault(key, self.now)
                self.by_rule_since.setdefault(key, self.now)
                continue
            after = self._judged_at(rulebook, key, max(self.bar, rule.gate))
            if after != before:
                self._judged_now(key, after)
                if before is None or before.holds is not after.holds:
                    tested.add(rule.gate)
        for gate in tested:
            holds = enough(rulebook, gate, self.judged)
            if holds is not self.holds[gate]:
                self.holds[gate] = holds
                self.tipped = True

    def _judged_at(self, rulebook: Rulebook, key: str, bar: int) -> Judgement:
        rule = rulebook.criteria[key]
        heard, back_to = self.heard, self.back_to[rule.gate]
        if back_to is None and key not in heard.tracks:  # nothing was said of it
            return UNMET
        if is_ahead(rulebook, rule.gate, heard.outcome):
            return UNMET
        return judge(rule, heard.track(key), bar, self.now, heard.stakeholders, back_to)

    def _judged_now(self, key: str, after: Judgement) -> None:
        self.before.setdefault(key, self.judged.get(key))
        self.judged[key] = after
        if after.holds:
            self.holding[key] = after
        else:
            self.holding.pop(key, None)

    def _take_all(self) -> None:
        """Take what changed over the whole instant: a criterion turns once in it, if at all."""
        for key, before in self.before.items():
            after = self.judged[key]
            if after != before:
                self._take(key, before, after)

    def _take(self, key: str, before: Judgement | None, after: Judgement) -> None:
        if after.lapses_at is not None:
            heappush(self.timers, (after.lapses_at, key))
        self.taken += 1
        if after.status is Status.MET or after.status is Status.STALE:
            self.heard.track(key).was_met = True
        turned = before is None or before.status is not after.status
        self.changed.append(_Changed(key, after, turned))
        if before is None or turned or before.rule is not after.rule:
            self.by_rule_since[key] = self.now
        if turned:
            self.since[key] = self.now
            if before is not None or after.status is not Status.UNMET:
                was = Status.UNMET if before is None else before.status
                self.changes.append(Change(self.now, key, was, after))

    def _get_through(self, rulebook: Rulebook) -> None:
        """Raise the bar, a gate at a time, while all holds as strictly as the next gate asks."""
        span = worked_at(rulebook, self.heard.outcome)
        if self.heard.outcome not in {OPEN, Outcome.WON}:
            return
        while self.bar < span.stop and all(self.holds[span.start : self.bar + 1]):
            tested = range(span.start, self.bar + 1)
            stricter = self.bar + 1
            again = self._tested_again(rulebook, tested)
            judged = {**self.judged, **again}
            if not all(enough(rulebook, gate, judged) for gate in tested):
                return
            self.bar = stricter
            for key, after in again.items():
                self._judged_now(key, after)

    def _tested_again(self, rulebook: Rulebook, gates: range) -> dict[str, Judgement]:
        """Judged as strictly as the next gate asks: the criteria for which that is stricter."""
        bar = self.bar
        return {
            key: self._judged_at(rulebook, key, bar + 1)
            for gate in gates
            for key in rulebook.of_gate[gate]
            if rulebook.criteria[key].fresh[bar + 1] != rulebook.criteria[key].fresh[bar]
        }

    def _too_old(self, rulebook: Rulebook) -> tuple[str, ...]:
        """What holds now, and keeps the deal from getting through all the same."""
        span = worked_at(rulebook, self.heard.outcome)
        tested = range(span.start, self.bar + 1)
        if self.bar not in span or not all(self.holds[gate] for gate in tested):
            return ()
        again = self._tested_again(rulebook, tested)
        return tuple(
            key
            for key, judgement in again.items()
            if self.judged[key].holds and not judgement.holds
        )

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
            self._move(MoveKind.OPENED, gate, [each for each in self.changed if each.after.holds])
        elif gate != self.moves[-1].to_gate or self.reason in _ALWAYS_TOLD:
            because = self._because(gate)
            self._move(self.reason or _kind(before, stands, because), gate, because)
        self.stands = stands

    def _because(self, gate: str | None) -> list[_Changed]:
        """What moved the deal: what was lost in the gate it fell to, else all that turned."""
        turned = [each for each in self.changed if each.turned] or self.changed
        rulebook = self.rulebook
        if rulebook is None or gate is None:
            return turned
        own = rulebook.of_gate[rulebook.gate_index[gate]]
        return [each for each in turned if each.key in own and not each.after.holds] or turned

    def _move(self, kind: MoveKind, gate: str | None, because: list[_Changed]) -> None:
        causes = {*self.reason_causes, *_causes(each.after for each in because)}
        before = self.moves[-1].to_gate if self.moves else None
        criteria = tuple(dict.fromkeys(each.key for each in because))
        playbook = None if self.rulebook is None else self.rulebook.label
        self.moves.append(
            Move(
                self.now, kind, before, gate, criteria, tuple(sorted(causes)),
                self.heard.outcome, playbook,
            )
        )  # fmt: skip

    def _first_not_passed(self, rulebook: Rulebook) -> int:
        span = worked_at(rulebook, self.heard.outcome)
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
            outcome=self.heard.outcome,
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
            stakeholders=dict(self.heard.stakeholders),
            declared=tuple(self.heard.declared),
            unplaced=tuple(position for key, position in self.heard.about if key not in known),
            after_close=tuple(self._after_close(rulebook)),
            before_opening=tuple(self.heard.before_opening),
        )

    def _after_close(self, rulebook: Rulebook | None) -> Iterable[int]:
        for said in self.heard.while_decided:
            rule = None if rulebook is None else rulebook.criteria.get(said.criterion)
            if rulebook is None or rule is None:
                continue
            asked = (rulebook, rule.gate, said.outcome)
            if is_settled(*asked) or is_ahead(*asked):
                yield said.cause

    def _criterion_states(self, rulebook: Rulebook) -> Iterable[CriterionState]:
        for key, rule in rulebook.criteria.items():
            gate = rulebook.gates[rule.gate].key
            settled = self._settled(rulebook, rule.gate)
            judgement = self.judged[key]
            yield CriterionState(
                key, gate, judgement._replace(lapses_at=None) if settled else judgement,
                self.since[key], self.by_rule_since[key], settled,
            )  # fmt: skip

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
                too_old=self._too_old(rulebook) if index == self.bar else (),
                passes=track.passes,
                regressions=track.regressions,
                causes=self._causes_of(rulebook, index, holding=passed),
            )


def _causes(judgements: Iterable[Judgement]) -> tuple[int, ...]:
    return tuple(sorted({cause for judgement in judgements for cause in judgement.causes}))


def _kind(before: int | None, stands: int | None, because: Iterable[_Changed]) -> MoveKind:
    if stands is None or before is None or stands > before:
        return MoveKind.ADVANCED
    against = any(each.after.status is Status.CONTRADICTED for each in because)
    return MoveKind.REGRESSED if against else MoveKind.LAPSED


def _gate_at(rulebook: Rulebook, index: int) -> str | None:
    return rulebook.gates[index].key if index < len(rulebook.gates) else None
