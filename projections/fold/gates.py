"""What the fold of a deal's gates says: the words in which it answers.

The rules behind them stand in `qualification` (gates, moves, loops) and `criterion` (statuses).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from ledger.domain.deal import OPEN
from projections.fold.criterion import Judgement, Stakeholder, Status
from projections.fold.rulebook import Rulebook


class GateStatus(StrEnum):
    """What a gate is at an instant."""

    PENDING = "pending"
    PASSED = "passed"
    REGRESSED = "regressed"


class MoveKind(StrEnum):
    """Why a deal stands elsewhere than before."""

    OPENED = "opened"
    ADVANCED = "advanced"
    REGRESSED = "regressed"
    LAPSED = "lapsed"
    DECIDED = "decided"
    REOPENED = "reopened"
    PLAYBOOK_CHANGED = "playbook_changed"


class CriterionState(NamedTuple):
    """A criterion at the basis, since when, and why.

    Args:
        key: the criterion.
        gate: its gate.
        judgement: what it is.
        since: valid time from which it has had this status.
        by_rule_since: valid time from which the same rule says so.
        settled: whether the decision settled it: then it neither lapses nor turns any more.
    """

    key: str
    gate: str
    judgement: Judgement
    since: str
    by_rule_since: str
    settled: bool

    @property
    def status(self) -> Status:
        return self.judgement.status


class GateState(NamedTuple):
    """A gate at the basis, since when, and what is missing.

    Args:
        key: the gate.
        status: what it is.
        since: valid time from which it has been so.
        missing: the mandatory criteria that do not hold.
        optional_missing: how many more optional criteria are wanted.
        too_old: criteria of this and earlier gates that hold, and are too old for the next gate.
        passes: how often it was passed.
        regressions: how often it was lost again.
        causes: the positions of the events that its status rests on.
    """

    key: str
    status: GateStatus
    since: str
    missing: tuple[str, ...]
    optional_missing: int
    too_old: tuple[str, ...]
    passes: int
    regressions: int
    causes: tuple[int, ...]


class Move(NamedTuple):
    """From an instant on the deal stands elsewhere.

    Args:
        at: valid time.
        kind: why.
        from_gate: where it stood; None before the opening, through all gates, or not judged.
        to_gate: where it stands; None through all gates, or not judged.
        criteria: what changed and so moved it.
        causes: the positions of the events that it rests on.
        outcome: the deal's, from then on.
        playbook: the version that judged, `key@version`; None where none was in force.
    """

    at: str
    kind: MoveKind
    from_gate: str | None
    to_gate: str | None
    criteria: tuple[str, ...]
    causes: tuple[int, ...]
    outcome: str
    playbook: str | None


class Loop(NamedTuple):
    """A gate passed again after a regression."""

    gate: str
    lost_at: str
    again_at: str
    lost_by: tuple[int, ...]
    again_by: tuple[int, ...]


class Change(NamedTuple):
    """A criterion's status changed."""

    at: str
    criterion: str
    before: Status
    after: Judgement


class Declared(NamedTuple):
    """What somebody said of the buyer's way: an advance, a regression, a loop."""

    at: str
    type: str
    gate: str
    cause: int


class Qualification(NamedTuple):
    """A deal's gates at a basis.

    Args:
        deal_id: the deal's own id.
        valid_at: valid time of the basis.
        rulebook: the playbook version that judges; None where none is in force.
        outcome: `open`, or how it ended.
        stands_at: the first gate that is not passed; None when all are, or none is judged.
        stands_since: valid time from which it has stood there.
        bar: how many gates it got through at its furthest.
        criteria: in gate order.
        gates: in order.
        moves: where it stood, in the order of time.
        loops: gates passed again.
        changes: every change of a criterion's status, in the order of time.
        stakeholders: who is at the buyer, by id.
        declared: what was said of the buyer's way.
        unplaced: positions of events on criteria or gates that the version in force does not have.
        after_close: positions of evidence on gates that the decision had settled.
        before_opening: positions of evidence from before the opening.
        upcoming: the lapses still to come if nothing happens, as asked for.
        upcoming_moves: where the deal will then stand.
    """

    deal_id: str
    valid_at: str
    rulebook: Rulebook | None
    outcome: str
    stands_at: str | None
    stands_since: str
    bar: int
    criteria: tuple[CriterionState, ...]
    gates: tuple[GateState, ...]
    moves: tuple[Move, ...]
    loops: tuple[Loop, ...]
    changes: tuple[Change, ...]
    stakeholders: Mapping[str, Stakeholder]
    declared: tuple[Declared, ...]
    unplaced: tuple[int, ...]
    after_close: tuple[int, ...]
    before_opening: tuple[int, ...]
    upcoming: tuple[Change, ...] = ()
    upcoming_moves: tuple[Move, ...] = ()

    def criterion(self, key: str) -> CriterionState | None:
        """The state of a criterion; None where the version does not have it."""
        return next((each for each in self.criteria if each.key == key), None)

    def gate_state(self, key: str) -> GateState | None:
        """The state of a gate; None where the version does not have it."""
        return next((each for each in self.gates if each.key == key), None)

    @property
    def position(self) -> int | None:
        """Index of the gate it stands at; as many as there are gates when all are passed."""
        if self.rulebook is None:
            return None
        if self.stands_at is None:
            return len(self.rulebook.gates)
        return self.rulebook.gate_index[self.stands_at]

    @property
    def stood_when_decided(self) -> str | None:
        """The gate at which it stood when it was decided, or stands while it is open."""
        decided = [move for move in self.moves if move.kind is MoveKind.DECIDED]
        return decided[-1].from_gate if decided and self.outcome != OPEN else self.stands_at

    @property
    def anything_met(self) -> bool:
        """Whether evidence in force meets any criterion at all."""
        return any(each.status is Status.MET for each in self.criteria)
