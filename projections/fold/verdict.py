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
from projections.fold.rulebook import Rulebook


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


def without_judging(outcome: str, *, unproven: bool) -> tuple[Category, int] | None:
    """The category and weight in percent of what needs no judge; None where the gates decide.

    Args:
        outcome: `open`, or how the deal ended.
        unproven: whether no evidence in force can meet any criterion.
    """
    if outcome == Outcome.WON:
        return Category.CLOSED, 100
    if outcome != OPEN or unproven:
        return Category.OMITTED, 0
    return None


def projected(
    rulebook: Rulebook | None, outcome: str, stands_at: str | None, *, anything_met: bool
) -> tuple[Category, int]:
    """The category in which evidence puts a deal, and the weight in percent.

    Args:
        rulebook: the playbook version that judges; None where none is in force.
        outcome: `open`, or how the deal ended.
        stands_at: the key of the first gate that is not passed; None when all are.
        anything_met: whether evidence in force meets any criterion.
    """
    at_once = without_judging(outcome, unproven=not anything_met or rulebook is None)
    if at_once is not None or rulebook is None:
        return at_once or (Category.OMITTED, 0)
    index = -1 if stands_at is None else rulebook.gate_index[stands_at]
    gate = rulebook.gates[index]
    return Category(gate.category), gate.weight_percent


def no_evidence_no_revenue(deal: Qualification) -> Verdict:
    """What may be projected from a deal on its evidence.

    Args:
        deal: its gates at the basis.
    """
    met = [state for state in deal.criteria if state.status is Status.MET]
    category, weight = projected(
        deal.rulebook, deal.outcome, deal.stands_at, anything_met=bool(met)
    )
    if deal.rulebook is None or deal.outcome != OPEN or not met:
        return _out_or_won(deal, (category, weight))
    at_gate = deal.stands_at is not None
    rule = VerdictRule.STANDS_AT_GATE if at_gate else VerdictRule.ALL_GATES_PASSED
    causes = {cause for state in met for cause in state.judgement.causes}
    causes.update(deal.moves[-1].causes)
    return Verdict(category, weight, rule, deal.stands_at, tuple(sorted(causes)))


def _out_or_won(deal: Qualification, placed: tuple[Category, int]) -> Verdict:
    if deal.outcome != OPEN:
        decided = [move for move in deal.moves if move.kind is MoveKind.DECIDED]
        rule = VerdictRule.WON if deal.outcome == Outcome.WON else VerdictRule.ENDED
        return Verdict(*placed, rule, deal.stands_at, decided[-1].causes)
    rule = VerdictRule.NO_PLAYBOOK if deal.rulebook is None else VerdictRule.NO_EVIDENCE
    return Verdict(*placed, rule, deal.stands_at)
