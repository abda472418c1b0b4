"""Whether a deal's amount may be projected, and as what: no evidence, no revenue.

Law: what won is closed, and what ended otherwise is out. An open deal is projected in the category
of the gate at which it really stands, as its playbook says, and only if evidence in force meets at
least one criterion: where there is no playbook, or nothing that a buyer did or said, nothing is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.events import Category, Outcome
from projections.fold.criterion import Status
from projections.fold.gates import MoveKind, Qualification


class VerdictRule(StrEnum):
    """Why an amount is in or out; stable names."""

    WON = "won"
    ENDED = "ended"
    NO_PLAYBOOK = "no-playbook"
    NO_EVIDENCE = "no-evidence"
    STANDS_AT_GATE = "stands-at-gate"
    ALL_GATES_PASSED = "all-gates-passed"


class Verdict(NamedTuple):
    """In which category evidence puts a deal, and why.

    Args:
        category: the evidenced category; `omitted` is out.
        weight_percent: the share of the amount that the weighted measure takes.
        rule: the rule that says so.
        gate: the gate at which the deal stands; None where none is judged or all are passed.
        causes: the positions of the events that it rests on.
    """

    category: Category
    weight_percent: int
    rule: VerdictRule
    gate: str | None = None
    causes: tuple[int, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the amount is in."""
        return self.category is not Category.OMITTED


def no_evidence_no_revenue(deal: Qualification) -> Verdict:
    """What may be projected from a deal on its evidence.

    Args:
        deal: its gates at the basis.
    """
    if deal.outcome != OPEN:
        return _decided(deal)
    if deal.rulebook is None:
        return Verdict(Category.OMITTED, 0, VerdictRule.NO_PLAYBOOK)
    met = [state for state in deal.criteria if state.status is Status.MET]
    if not met:
        return Verdict(Category.OMITTED, 0, VerdictRule.NO_EVIDENCE, deal.stands_at)
    gate, rule = deal.rulebook.gates[-1], VerdictRule.ALL_GATES_PASSED
    if deal.stands_at is not None:
        gate = deal.rulebook.gates[deal.rulebook.gate_index[deal.stands_at]]
        rule = VerdictRule.STANDS_AT_GATE
    causes = {cause for state in met for cause in state.judgement.causes}
    causes.update(deal.moves[-1].causes)
    return Verdict(
        Category(gate.category), gate.weight_percent, rule, deal.stands_at, tuple(sorted(causes))
    )


def _decided(deal: Qualification) -> Verdict:
    decided = [move for move in deal.moves if move.kind is MoveKind.DECIDED]
    causes = decided[-1].causes
    if deal.outcome == Outcome.WON:
        return Verdict(Category.CLOSED, 100, VerdictRule.WON, deal.stands_at, causes)
    return Verdict(Category.OMITTED, 0, VerdictRule.ENDED, deal.stands_at, causes)
