"""Claims against evidence: what a manager should see, each with its rule, its sentence, its events.

Law: a finding is a pure function of what is claimed and what is evidenced of one deal at one basis.
Only open deals have findings of this kind: once decided, the outcome speaks.

    stage-inflation             the claimed stage stands for a later gate than the evidence
    sandbagging                 the evidence stands at a later gate than the claimed stage
    commit-without-evidence     commit is claimed while the evidence does not put it there
    probability-without-authority  a high probability, and nobody with authority has spoken for it
    single-threaded             all evidence in force rests on one person
    criterion-contradicted      a mandatory criterion on the way so far is contradicted
    advance-without-evidence    an advance was declared beyond where the evidence stands
    buyer-question-open         a decision is claimed, and nothing answers why change, now or this
    overdue-at-gate             the deal stands at a gate for longer than the playbook expects
    close-date-passed           the expected close date is over
    claimed-gate-unknown        the claimed stage stands for a gate that the playbook does not have
    evidence-only-claimed       evidence is on record that names nobody at the buyer
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import OPEN
from ledger.domain.events import Category
from ledger.domain.playbook import BUYER_QUESTIONS, in_words
from projections.fold.claims import ClaimedDeal
from projections.fold.criterion import Rule, Status
from projections.fold.gates import Qualification
from projections.fold.rulebook import Rulebook, expiry
from projections.fold.verdict import Verdict

HIGH_PROBABILITY_PERCENT = 70
"""From here on a seller says that the deal is as good as won."""

THREADS_LOOKED_AT_FROM = 2
"""From so many met criteria on, one voice is too few; the first meeting is with one person."""


class Finding(NamedTuple):
    """A difference between what is claimed and what is evidenced.

    Args:
        rule: a stable name.
        sentence: as a person would say it.
        causes: the positions of the events that it rests on.
        criteria: the criteria concerned.
    """

    rule: str
    sentence: str
    causes: tuple[int, ...] = ()
    criteria: tuple[str, ...] = ()


class Sides(NamedTuple):
    """A deal as claimed and as evidenced, at one basis."""

    claimed: ClaimedDeal
    deal: Qualification
    verdict: Verdict
    rulebook: Rulebook
    calendar: FiscalCalendar

    @property
    def stands_at(self) -> int:
        """Index of the gate where the evidence stands."""
        position = self.deal.position
        return len(self.rulebook.gates) if position is None else position

    @property
    def claims_at(self) -> int | None:
        """Index of the gate that the claimed stage stands for; None where no mapping says so."""
        return self.rulebook.gate_index.get(self.claimed.gate or "")

    def name(self, gate: int) -> str:
        """A gate's name; behind the last one, that all are passed."""
        gates = self.rulebook.gates
        return gates[gate].name if gate < len(gates) else "all gates passed"

    def claims(self, *fields: str) -> tuple[int, ...]:
        """The events that answer for claimed fields."""
        causes = (self.claimed.cause(field) for field in fields)
        return tuple(cause for cause in causes if cause is not None)


def findings(
    claimed: ClaimedDeal, deal: Qualification, verdict: Verdict, calendar: FiscalCalendar
) -> list[Finding]:
    """Hold one deal's claims against its evidence.

    Args:
        claimed: what is claimed at the basis.
        deal: its gates at the same basis.
        verdict: what may be projected from it.
        calendar: in whose time zone close dates end.

    Returns:
        The findings in the order of the rules above; none for a decided deal, or where no playbook
        is in force.
    """
    if deal.outcome != OPEN or deal.rulebook is None:
        return []
    sides = Sides(claimed, deal, verdict, deal.rulebook, calendar)
    return [finding for rule in _RULES for finding in rule(sides)]


def _stage_inflation(sides: Sides) -> Iterator[Finding]:
    claims_at = sides.claims_at
    if claims_at is None or claims_at <= sides.stands_at:
        return
    ahead = claims_at - sides.stands_at
    missing = sides.deal.gates[sides.stands_at].missing
    yield Finding(
        "stage-inflation",
        f"Claimed at {sides.name(claims_at)}, evidenced at {sides.name(sides.stands_at)}: "
        f"{ahead} gate{'s' if ahead > 1 else ''} ahead of its evidence.",
        (*sides.claims("gate"), *sides.deal.gates[sides.stands_at].causes),
        missing,
    )


def _sandbagging(sides: Sides) -> Iterator[Finding]:
    claims_at = sides.claims_at
    if claims_at is None or sides.stands_at <= claims_at or not sides.deal.anything_met:
        return
    yield Finding(
        "sandbagging",
        f"Evidenced at {sides.name(sides.stands_at)}, claimed only at {sides.name(claims_at)}.",
        (*sides.claims("gate"), *sides.deal.moves[-1].causes),
    )


def _claimed_gate_unknown(sides: Sides) -> Iterator[Finding]:
    gate = sides.claimed.gate
    if gate is None or sides.claims_at is not None:
        return
    yield Finding(
        "claimed-gate-unknown",
        f"The claimed stage stands for the gate {in_words(gate)}, which {sides.rulebook.label} "
        "does not have: it cannot be held against the evidence.",
        sides.claims("gate"),
    )


def _commit_without_evidence(sides: Sides) -> Iterator[Finding]:
    if sides.claimed.category is not Category.COMMIT or sides.verdict.category is Category.COMMIT:
        return
    gate = None if sides.deal.stands_at is None else sides.deal.gates[sides.stands_at]
    missing = () if gate is None else gate.missing
    what = f": {in_words(missing[0])} does not hold" if missing else ""
    yield Finding(
        "commit-without-evidence",
        f"Commit is claimed; the evidence stands at {sides.name(sides.stands_at)}{what}.",
        (
            *sides.claims("category"),
            *sides.deal.moves[-1].causes,
            *(() if gate is None else gate.causes),
        ),
        missing,
    )


def _probability_without_authority(sides: Sides) -> Iterator[Finding]:
    probability = sides.claimed.probability
    authority = sides.rulebook.authority_roles
    if not authority or probability is None or probability < HIGH_PROBABILITY_PERCENT:
        return
    spoke = {state.judgement.said_by for state in sides.deal.criteria if state.status is Status.MET}
    known = [who for who in sides.deal.stakeholders.values() if who.role in authority and who.here]
    if any(who.stakeholder_id in spoke for who in known):
        return
    who = "nobody with authority is known"
    if known:
        who = "nobody with authority has spoken for it"
    yield Finding(
        "probability-without-authority",
        f"{probability} % is claimed, and {who}.",
        (*sides.claims("probability"), *(each.cause for each in known)),
    )


def _single_threaded(sides: Sides) -> Iterator[Finding]:
    met = [state for state in sides.deal.criteria if state.status is Status.MET]
    voices = {state.judgement.said_by for state in met if state.judgement.said_by is not None}
    if len(met) < THREADS_LOOKED_AT_FROM or len(voices) != 1:
        return
    yield Finding(
        "single-threaded",
        f"All evidence in force ({len(met)} criteria) rests on one person.",
        tuple(cause for state in met for cause in state.judgement.causes),
        tuple(state.key for state in met),
    )


def _criterion_contradicted(sides: Sides) -> Iterator[Finding]:
    so_far = max(sides.stands_at, sides.claims_at or 0)
    for state in sides.deal.criteria:
        rule = sides.rulebook.criteria[state.key]
        if state.status is Status.CONTRADICTED and rule.criterion.mandatory and rule.gate <= so_far:
            yield Finding(
                "criterion-contradicted",
                f"{in_words(state.key)} is contradicted since {state.since[:10]}.",
                state.judgement.causes,
                (state.key,),
            )


def _advance_without_evidence(sides: Sides) -> Iterator[Finding]:
    for declared in reversed(sides.deal.declared):
        if declared.type != "buyer-advanced":
            return
        gate = sides.rulebook.gate_index.get(declared.gate)
        if gate is not None and gate > sides.stands_at:
            yield Finding(
                "advance-without-evidence",
                f"The buyer is said to have advanced to {sides.name(gate)}; the evidence stands at "
                f"{sides.name(sides.stands_at)}.",
                (declared.cause,),
            )
        return


def _buyer_question_open(sides: Sides) -> Iterator[Finding]:
    """No answer to one of the buyer's own questions: the most likely outcome is no decision."""
    if sides.claimed.category not in {Category.BEST_CASE, Category.COMMIT}:
        return
    for question in BUYER_QUESTIONS:
        asked = [
            state
            for state in sides.deal.criteria
            if sides.rulebook.criteria[state.key].criterion.answers == question
        ]
        if not asked or any(state.judgement.holds for state in asked):
            continue
        yield Finding(
            "buyer-question-open",
            f"Nothing in force answers the buyer's {in_words(question)}: no decision is likely.",
            (
                *sides.claims("category"),
                *(cause for state in asked for cause in state.judgement.causes),
            ),
            tuple(state.key for state in asked),
        )


def _overdue_at_gate(sides: Sides) -> Iterator[Finding]:
    if sides.deal.stands_at is None:
        return
    gate = sides.rulebook.gates[sides.stands_at]
    if gate.expected_days is None:
        return
    due = expiry(sides.deal.stands_since, timedelta(days=gate.expected_days))
    if due is None or sides.deal.valid_at < due:
        return
    stood = datetime.fromisoformat(sides.deal.valid_at) - datetime.fromisoformat(
        sides.deal.stands_since
    )
    yield Finding(
        "overdue-at-gate",
        f"It has stood at {gate.name} for {stood.days} days; {gate.expected_days} are expected.",
        sides.deal.moves[-1].causes,
    )


def _close_date_passed(sides: Sides) -> Iterator[Finding]:
    close_date = sides.claimed.close_date
    today = sides.calendar.day_of(datetime.fromisoformat(sides.deal.valid_at))
    if close_date is None or close_date >= today:
        return
    yield Finding(
        "close-date-passed",
        f"It was to close on {close_date.isoformat()}, and is still open.",
        sides.claims("close_date"),
    )


def _evidence_only_claimed(sides: Sides) -> Iterator[Finding]:
    claims = [state for state in sides.deal.criteria if state.judgement.rule is Rule.NOBODY_NAMED]
    if claims:
        yield Finding(
            "evidence-only-claimed",
            f"{len(claims)} criteri{'on rests' if len(claims) == 1 else 'a rest'} on evidence that "
            "names nobody at the buyer: only a claim.",
            tuple(cause for state in claims for cause in state.judgement.causes),
            tuple(state.key for state in claims),
        )


_RULES: tuple[Callable[[Sides], Iterator[Finding]], ...] = (
    _stage_inflation,
    _sandbagging,
    _commit_without_evidence,
    _probability_without_authority,
    _single_threaded,
    _criterion_contradicted,
    _advance_without_evidence,
    _buyer_question_open,
    _overdue_at_gate,
    _close_date_passed,
    _claimed_gate_unknown,
    _evidence_only_claimed,
)

FINDING_RULES = tuple(rule.__name__[1:].replace("_", "-") for rule in _RULES)
"""The rules by their stable names, in the order in which their findings are told."""
