"""The rules of gates at one instant, each by itself; `qualification` applies them over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.domain.deal import OPEN
from ledger.domain.events import Outcome
from projections.fold.criterion import Judgement, Word
from projections.fold.hearing import GoingBack
from projections.fold.rulebook import Rulebook


def enough(rulebook: Rulebook, gate: int, judged: Mapping[str, Judgement]) -> bool:
    """Whether a gate's mandatory criteria hold, and as many optional ones as it wants."""
    optional = 0
    for criterion in rulebook.gates[gate].criteria:
        holds = judged[criterion.key].holds
        if criterion.mandatory and not holds:
            return False
        optional += holds and not criterion.mandatory
    return optional >= rulebook.gates[gate].threshold


def is_settled(rulebook: Rulebook, gate: int, outcome: str) -> bool:
    """Whether the decision settled a gate: it stays as it was."""
    return outcome != OPEN and gate < rulebook.decision


def is_ahead(rulebook: Rulebook, gate: int, outcome: str) -> bool:
    """Whether a gate's work has not begun: it comes after a decision that was not won."""
    return outcome != Outcome.WON and gate >= rulebook.decision


def worked_at(rulebook: Rulebook, outcome: str) -> range:
    """The gates that a deal works at: those before the decision, or, once won, those after it."""
    if outcome == Outcome.WON:
        return range(rulebook.decision, len(rulebook.gates))
    return range(rulebook.decision)


def gate_gone_back_to(rulebook: Rulebook, going: GoingBack) -> int | None:
    """The gate's index; None for one that the version lacks, or a loop that leads forward."""
    gate = rulebook.gate_index.get(going.gate)
    came_from = rulebook.gate_index.get(going.from_gate or "", len(rulebook.gates))
    return None if gate is None or gate > came_from else gate


def gone_back_to(rulebook: Rulebook, goings_back: Iterable[GoingBack]) -> list[Word | None]:
    """By gate, the buyer's last going back to it or to one before it.

    The gates after the decision are touched only by what happened after it was won.
    """
    last: list[Word | None] = [None] * len(rulebook.gates)
    for going in goings_back:
        first = gate_gone_back_to(rulebook, going)
        if first is None:
            continue
        end = len(last) if going.outcome == Outcome.WON else rulebook.decision
        for index in range(first, end):
            known = last[index]
            if known is None or known.occurred_at <= going.word.occurred_at:
                last[index] = going.word
    return last


def same_bar(before: Rulebook | None, bar: int, after: Rulebook) -> int:
    """The bar in another version: behind the last gate got through that this one has too."""
    if before is None:
        return 0
    through = [after.gate_index[g.key] for g in before.gates[:bar] if g.key in after.gate_index]
    return max(through, default=-1) + 1
