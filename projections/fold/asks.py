"""What is still to be asked about a deal: the exit criteria that do not hold, or soon will not.

Law: an open deal is asked about the gates up to the one that is claimed or the one at which it
stands, whichever is further; an agenda looks one gate beyond it. Nothing after the decision is
asked before it, and of a deal that was won only what comes after the decision. A deal that ended
otherwise is asked nothing. A criterion is asked about when it is

    contradicted  the last word was against it
    stale         it held once, and does not now
    missing       no evidence of it ever counted
    too_old       it holds, and is too old for the next gate, which it therefore keeps closed
    lapsing       it holds, and ceases to within the time looked ahead if nothing happens

An optional one is asked about while its gate wants more of them than hold, where it is
contradicted, or where it is about to lapse in a gate that wants any.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Outcome
from ledger.domain.playbook import Criterion, Gate
from ledger.domain.times import END_OF_TIME, format_instant
from projections.fold.criterion import Status
from projections.fold.gates import CriterionState, GateState, Qualification
from projections.fold.rulebook import Rulebook, expiry

DAYS_AHEAD_MAX = 3650
"""How far lapses are told: ten years."""


class Ask(StrEnum):
    """Why a criterion is asked about."""

    CONTRADICTED = "contradicted"
    STALE = "stale"
    MISSING = "missing"
    TOO_OLD = "too_old"
    LAPSING = "lapsing"


RECONFIRM = frozenset({Ask.CONTRADICTED, Ask.STALE, Ask.TOO_OLD, Ask.LAPSING})
"""What was shown once and is to be shown again."""

_ASK_OF_STATUS = {
    Status.CONTRADICTED: Ask.CONTRADICTED,
    Status.STALE: Ask.STALE,
    Status.UNMET: Ask.MISSING,
}


class Question(NamedTuple):
    """A criterion to ask about.

    Args:
        why: why it is asked.
        gate: its gate.
        criterion: as the playbook version in force says.
        state: what it is at the basis.
    """

    why: Ask
    gate: Gate
    criterion: Criterion
    state: CriterionState

    @property
    def lapse(self) -> str:
        """When it ceases to hold, or ceased to: what a queue is ordered by."""
        return self.state.judgement.lapses_at or self.state.since


def look_ahead(valid_at: str, within_days: int) -> str:
    """The instant some days on, up to which lapses are told.

    Raises:
        InvalidInput: `invalid-days`.
    """
    if not 0 <= within_days <= DAYS_AHEAD_MAX:
        raise InvalidInput(
            "invalid-days",
            f"cannot look {within_days} days ahead",
            where="within_days",
            hint=f"give 0 to {DAYS_AHEAD_MAX} days",
        )
    return expiry(valid_at, timedelta(days=within_days)) or format_instant(END_OF_TIME)


def check_ahead(valid_at: str, until: str) -> str:
    """An instant up to which lapses can be told: behind the basis, at most ten years.

    Raises:
        InvalidInput: `not-ahead`, `too-far-ahead`.
    """
    if until <= valid_at:
        raise InvalidInput(
            "not-ahead", f"{until} does not lie ahead of the basis, {valid_at}", where="until"
        )
    if until > look_ahead(valid_at, DAYS_AHEAD_MAX):
        raise InvalidInput(
            "too-far-ahead",
            f"{until} lies more than {DAYS_AHEAD_MAX} days ahead of the basis, {valid_at}",
            where="until",
        )
    return until


def questions_of(
    deal: Qualification, claimed_gate: str | None, until: str, *, beyond: int = 0
) -> Iterator[Question]:
    """What is to be asked about a deal, in gate order.

    Args:
        deal: its gates at the basis.
        claimed_gate: the gate before which the CRM says it stands; None where no mapping says so.
        until: valid time up to which a lapse counts as near; see `look_ahead`.
        beyond: how many gates to look beyond the one claimed or stood at.
    """
    rulebook = deal.rulebook
    if rulebook is None:
        return
    states = {state.key: state for state in deal.criteria}
    too_old = {key for gate in deal.gates for key in gate.too_old}
    for index in _gates_asked(deal, rulebook, claimed_gate, beyond):
        gate = rulebook.gates[index]
        for criterion in gate.criteria:
            state = states[criterion.key]
            why = _why(state, until, too_old=state.key in too_old)
            if why is not None and _wanted(criterion, why, gate, deal.gates[index]):
                yield Question(why, gate, criterion, state)


def _gates_asked(
    deal: Qualification, rulebook: Rulebook, claimed_gate: str | None, beyond: int
) -> range:
    if deal.outcome == Outcome.WON:
        return range(rulebook.decision, len(rulebook.gates))
    if deal.outcome != OPEN:
        return range(0)
    furthest = max(deal.position or 0, rulebook.gate_index.get(claimed_gate or "", 0))
    return range(min(furthest + beyond + 1, rulebook.decision))


def _why(state: CriterionState, until: str, *, too_old: bool) -> Ask | None:
    if not state.judgement.holds:
        return _ASK_OF_STATUS[state.status]
    if too_old:
        return Ask.TOO_OLD
    lapses_at = state.judgement.lapses_at
    return Ask.LAPSING if lapses_at is not None and lapses_at <= until else None


def _wanted(criterion: Criterion, why: Ask, gate: Gate, state: GateState) -> bool:
    if criterion.mandatory or why is Ask.CONTRADICTED:
        return True
    if why is Ask.LAPSING:
        return gate.threshold > 0
    return why is Ask.TOO_OLD or state.optional_missing > 0
