"""How far a deal came through its gates, and how long it stood at each, from its moves.

Law: a stay begins with the move to a gate and ends with the next move, or at `valid_at`; nothing is
sampled. Gates count by their place in the version that judges at the basis: a gate that this
version lacks is no place, and neither is the time in which no version was in force.

Before the decision a deal has *reached* a gate when it once stood at it or at a later one, and has
*got through* it when it once stood at a later one; falling back takes neither away. The decision by
itself takes a deal through no gate. The gates after the decision are reached and got through by
deals that were won, from the last decision on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.events import Outcome
from projections.fold.gates import Move, MoveKind, Qualification
from projections.fold.rulebook import Rulebook
from projections.fold.statistics import duration


class Stay(NamedTuple):
    """A time in which a deal stood at one gate.

    Args:
        gate: index of the gate; as many as there are gates when all are passed.
        start: valid time of the move to it.
        end: valid time of the next move, or `valid_at`.
        phase: how many decisions and reopenings came before: even is undecided, odd is decided.
    """

    gate: int
    start: str
    end: str
    phase: int

    @property
    def decided(self) -> bool:
        return self.phase % 2 == 1


def stays(deal: Qualification) -> list[Stay]:
    """Where a deal stood, in the order of time; none where no version judges.

    Args:
        deal: its gates at the basis.
    """
    rulebook = deal.rulebook
    if rulebook is None:
        return []
    found: list[Stay] = []
    place: int | None = None
    phase = 0
    ends = [*(move.at for move in deal.moves[1:]), deal.valid_at]
    for move, end in zip(deal.moves, ends, strict=True):
        decides = move.kind is MoveKind.DECIDED
        if decides or move.kind is MoveKind.REOPENED:
            phase += decides is (phase % 2 == 0)  # a decision on a decided deal corrects it
        place = _place(move, rulebook, place)
        if place is not None:
            found.append(Stay(place, move.at, end, phase))
    return found


def _place(move: Move, rulebook: Rulebook, before: int | None) -> int | None:
    """Index of the gate that a move leads to; None where it is no place of this version."""
    if move.to_gate is not None:
        return rulebook.gate_index.get(move.to_gate)
    if move.criteria:
        return len(rulebook.gates)
    if move.kind is MoveKind.PLAYBOOK_CHANGED:  # to a version, which is its cause, or to none
        return len(rulebook.gates) if move.causes else None
    return before


def falls(deal: Qualification, kind: MoveKind) -> int:
    """How often a deal fell back in some way while it was undecided.

    Args:
        deal: its gates at the basis.
        kind: `regressed`, by a word against it, or `lapsed`.
    """
    undecided, fell = True, 0
    for move in deal.moves:
        if move.kind in {MoveKind.DECIDED, MoveKind.REOPENED}:
            undecided = move.kind is MoveKind.REOPENED
        fell += undecided and move.kind is kind
    return fell


def loops_before_decision(deal: Qualification) -> int:
    """How often a gate before the decision was passed again after it had been lost.

    Args:
        deal: its gates at the basis.
    """
    rulebook = deal.rulebook
    if rulebook is None:
        return 0
    after = {gate.key for gate in rulebook.gates[rulebook.decision :]}
    return sum(loop.gate not in after for loop in deal.loops)


class Way(NamedTuple):
    """A deal's way through the gates of the version that judges; gates by index.

    Args:
        reached: the gates that it reached.
        through: those that it got through.
        standing: the gate that it works at now; None when decided, or when none is left.
        lengths: how long it stood at each in all, up to the decision for those before it.
    """

    reached: frozenset[int]
    through: frozenset[int]
    standing: int | None
    lengths: Mapping[int, timedelta]


NOWHERE = Way(frozenset(), frozenset(), None, {})


def way(deal: Qualification) -> Way:
    """How far a deal came, and how long it stood where.

    Args:
        deal: its gates at the basis.
    """
    rulebook = deal.rulebook
    found = stays(deal)
    if rulebook is None or not found:
        return NOWHERE
    decision, last = rulebook.decision, found[-1]
    undecided = [stay for stay in found if not stay.decided]
    worked = [stay for stay in undecided if stay.gate < decision]
    furthest = min(decision, max((stay.gate for stay in undecided), default=-1))
    reached = set(range(min(furthest + 1, decision)))
    through = set(range(furthest))
    if deal.outcome == Outcome.WON:
        since_won = [stay for stay in found if stay.phase == last.phase and stay.gate >= decision]
        worked += [stay for stay in since_won if stay.gate < len(rulebook.gates)]
        furthest = max((stay.gate for stay in since_won), default=decision)
        reached.update(range(decision, min(furthest + 1, len(rulebook.gates))))
        through.update(range(decision, furthest))
    lengths: dict[int, timedelta] = {}
    for stay in worked:
        lengths[stay.gate] = lengths.get(stay.gate, timedelta(0)) + duration(stay.start, stay.end)
    at_work = deal.outcome in {OPEN, Outcome.WON} and last in worked
    return Way(frozenset(reached), frozenset(through), last.gate if at_work else None, lengths)
