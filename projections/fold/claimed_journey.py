"""The claimed journey: the stages that a CRM said a deal was in, and how that claim moved.

Law:

- The journey is every `stage-claimed` that the basis sees, in the fold's order. Each counts as a
  step of its own, also those about one instant; those from before the opening keep their instants
  and are listed.
- What ended a deal is told by its outcome and is no place on the way. A claim is of an ended deal
  where the deal had ended when the claim was made, as known then. It makes no move; reopened, the
  journey goes on from the last place before the end.
- A step has a place on one scale, the same for the whole journey: the `gate` that it names, by its
  index in the playbook version in force at `valid_at` (where it names none, the one that the last
  claim of the same stage names); or the `probability` claimed with it; or its stage's index in an
  order that is given. The scale on which most steps have a place is taken; of equals, the first
  named here. Where no scale places any step the journey is unordered, and nothing is guessed.
- A move compares a step with the last one before it that has a place: forward, backward or, at the
  same place, repeated. The stage that was claimed last, claimed again, is repeated on every scale.
  A step that has no place, or none to be compared with, is an unordered move.
- A backward move is a regression of the claim. A loop is a forward move to a place that had been
  claimed before and was gone back behind since. Each names the events that it rests on.

All this says what was claimed. What evidence supports is folded in `qualification`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from ledger.domain.events import DealClosed, DealReopened, Event, StageClaimed, cause_of
from ledger.domain.history import effective
from projections.fold.claims import claimed_deal
from projections.fold.rulebook import PlaybookHistory, Rulebook


class Scale(StrEnum):
    """By what the stages of a journey are ordered; stable names."""

    GATE = "gate"
    PROBABILITY = "probability"
    GIVEN = "given"


class ClaimMoveKind(StrEnum):
    """How a claim compares with the one before it."""

    FORWARD = "forward"
    BACKWARD = "backward"
    REPEATED = "repeated"
    UNORDERED = "unordered"


class Step(NamedTuple):
    """A claimed stage.

    Args:
        at: valid time of the claim.
        stage: as the CRM names it.
        gate: the gate that it stands for, where a claim says so and the version has it.
        probability: percent, as claimed with it.
        place: where it lies on the journey's scale, from low to high; None has no place.
        ended: whether the deal had ended when it was claimed.
        cause: the position of the event that answers for it.
    """

    at: str
    stage: str
    gate: str | None
    probability: int | None
    place: int | None
    ended: bool
    cause: int


class ClaimMove(NamedTuple):
    """From an instant on another stage is claimed, or the same once more.

    Args:
        at: valid time of the claim that moved.
        kind: how it compares.
        origin: the step that it is compared with.
        target: the step that moved.
    """

    at: str
    kind: ClaimMoveKind
    origin: Step
    target: Step

    @property
    def causes(self) -> tuple[int, ...]:
        """The claim before and the claim that moved."""
        return (self.origin.cause, self.target.cause)


class ClaimLoop(NamedTuple):
    """A place claimed again after the claim had gone back behind it.

    Args:
        place: where, on the journey's scale.
        gate: the gate there; None on another scale.
        stage: the stage in which it was claimed again.
        lost_at: when the claim went back behind it.
        again_at: when it was claimed again.
        lost_by: the position of the claim that went back.
        again_by: the position of the claim that came again.
    """

    place: int
    gate: str | None
    stage: str
    lost_at: str
    again_at: str
    lost_by: int
    again_by: int


class ClaimedJourney(NamedTuple):
    """The claimed journey of a deal at a basis.

    Args:
        deal_id: the deal's own id.
        valid_at: valid time of the basis.
        scale: by what it is ordered; None where no order can be known.
        playbook: the version whose gates order it, `key@version`; None on another scale.
        steps: every claimed stage, in the fold's order.
        moves: how each step compares, but for the first and those of an ended deal.
        loops: places claimed again, in the order in which they were.
        without_place: the stages of an open deal that have no place on the scale.
        before_opening: positions of claims from before the opening.
    """

    deal_id: str
    valid_at: str
    scale: Scale | None
    playbook: str | None
    steps: tuple[Step, ...]
    moves: tuple[ClaimMove, ...]
    loops: tuple[ClaimLoop, ...]
    without_place: tuple[str, ...]
    before_opening: tuple[int, ...]

    @property
    def regressions(self) -> tuple[ClaimMove, ...]:
        """The moves in which the claim went back."""
        return tuple(move for move in self.moves if move.kind is ClaimMoveKind.BACKWARD)


def claimed_journey(
    deal_id: str,
    events: Iterable[Event],
    valid_at: str,
    playbooks: PlaybookHistory | None = None,
    order: Sequence[str] = (),
) -> ClaimedJourney | None:
    """Fold the journey that is claimed of one deal.

    Args:
        deal_id: the deal's own id.
        events: its events that are visible to the basis, in any order.
        valid_at: valid time, in the one spelling.
        playbooks: the versions that the basis sees; without them, gates order nothing.
        order: stages from the first to the last, as whoever asks orders them.

    Returns:
        None where the deal is not in the book at that basis.
    """
    events = list(events)
    deal = claimed_deal(deal_id, events, valid_at)
    if deal is None:
        return None
    opened_at = deal.value("opened")
    told = effective(events, valid_at)
    rulebook = None if playbooks is None else playbooks.at(deal.playbook, valid_at)
    unplaced = _steps(told, rulebook)
    scale = _scale_of(unplaced, rulebook, order)
    steps = unplaced
    if scale is not None:
        place = _placing(scale, rulebook, order)
        steps = [step._replace(place=None if step.ended else place(step)) for step in unplaced]
    under_way = [step for step in steps if not step.ended]
    moves = _moves(under_way)
    without = [step.stage for step in under_way if step.place is None]
    by_gate = scale is Scale.GATE
    return ClaimedJourney(
        deal_id,
        valid_at,
        scale,
        rulebook.label if rulebook is not None and by_gate else None,
        tuple(steps),
        tuple(moves),
        tuple(_loops(moves, by_gate=by_gate)),
        tuple(dict.fromkeys(without)),
        tuple(step.cause for step in steps if step.at < opened_at),
    )


def _steps(told: Sequence[Event], rulebook: Rulebook | None) -> list[Step]:
    """The claims in order, without their places."""
    claims = [event for event in told if event["type"] == StageClaimed.type]
    known = {} if rulebook is None else rulebook.gate_index
    gate_of: dict[str, str] = {}
    for claim in claims:
        gate = claim["payload"].get("gate")
        if gate in known:
            gate_of[claim["payload"]["stage"]] = gate
    ended = _of_ended_deal(claims, told)
    steps = []
    for claim in claims:
        payload = claim["payload"]
        gate = payload.get("gate")
        if gate not in known:
            gate = gate_of.get(payload["stage"]) if gate is None else None
        steps.append(
            Step(
                claim["occurred_at"], payload["stage"], gate, payload.get("probability"), None,
                claim["position"] in ended, cause_of(claim),
            )
        )  # fmt: skip
    return steps


def _of_ended_deal(claims: Sequence[Event], told: Sequence[Event]) -> set[int]:
    """The positions of claims that were made when the deal had ended, as known then.

    A row of a CRM that ends a deal tells the stage first and the end right after it: what is known
    at the instant of a claim and recorded before the next claim belongs to it.
    """
    endings = [event for event in told if event["type"] in {DealClosed.type, DealReopened.type}]
    if not endings:
        return set()
    as_known = sorted(claims, key=_as_known)
    followed_by = {
        claim["position"]: _as_known(following) for claim, following in pairwise(as_known)
    }
    ended = set()
    for claim in claims:
        last = None
        for ending in endings:
            if ending["occurred_at"] > claim["occurred_at"]:
                break
            until = followed_by.get(claim["position"])
            if ending["known_at"] <= claim["known_at"] and (
                until is None or _as_known(ending) < until
            ):
                last = ending
        if last is not None and last["type"] == DealClosed.type:
            ended.add(claim["position"])
    return ended


def _as_known(event: Event) -> tuple[str, int]:
    return event["known_at"], event["position"]


Placing: TypeAlias = Callable[[Step], int | None]


def _placing(scale: Scale, rulebook: Rulebook | None, order: Sequence[str]) -> Placing:
    """How a scale places a step."""
    if scale is Scale.GATE:
        index = {} if rulebook is None else rulebook.gate_index
        return lambda step: None if step.gate is None else index.get(step.gate)
    if scale is Scale.PROBABILITY:
        return lambda step: step.probability
    places = {stage: place for place, stage in enumerate(order)}
    return lambda step: places.get(step.stage)


def _scale_of(
    steps: Sequence[Step], rulebook: Rulebook | None, order: Sequence[str]
) -> Scale | None:
    """The scale on which most steps have a place; of equals the first; None if none has."""
    best, most = None, 0
    for scale in Scale:
        place = _placing(scale, rulebook, order)
        placed = sum(place(step) is not None for step in steps if not step.ended)
        if placed > most:
            best, most = scale, placed
    return best


def _moves(steps: Sequence[Step]) -> list[ClaimMove]:
    moves = []
    before: Step | None = None
    placed: Step | None = None
    for step in steps:
        if before is not None:
            moves.append(_move(before, placed, step))
        before = step
        if step.place is not None:
            placed = step
    return moves


def _move(before: Step, placed: Step | None, step: Step) -> ClaimMove:
    """Compare a step with the one before it and the last one that has a place."""
    if step.stage == before.stage:
        return ClaimMove(step.at, ClaimMoveKind.REPEATED, before, step)
    if step.place is None or placed is None or placed.place is None:
        return ClaimMove(step.at, ClaimMoveKind.UNORDERED, before, step)
    kind = ClaimMoveKind.REPEATED
    if step.place != placed.place:
        ahead = step.place > placed.place
        kind = ClaimMoveKind.FORWARD if ahead else ClaimMoveKind.BACKWARD
    return ClaimMove(step.at, kind, placed, step)


def _loops(moves: Sequence[ClaimMove], *, by_gate: bool) -> list[ClaimLoop]:
    """The loops among moves: what a backward move lost and a forward move claims again."""
    loops = []
    claimed: set[int] = set()
    lost: dict[int, Step] = {}
    for move in moves:
        place, step = move.target.place, move.target
        if move.origin.place is not None:
            claimed.add(move.origin.place)
        if place is None:
            continue
        if move.kind is ClaimMoveKind.BACKWARD:
            for each in claimed:
                if each > place:
                    lost.setdefault(each, step)
        elif move.kind is ClaimMoveKind.FORWARD:
            back = lost.get(place)
            if back is not None:
                gate = step.gate if by_gate else None
                loops.append(
                    ClaimLoop(place, gate, step.stage, back.at, step.at, back.cause, step.cause)
                )
            lost = {each: by for each, by in lost.items() if each > place}
        claimed.add(place)
    return loops
