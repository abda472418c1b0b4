"""Why a status is what it is, in sentences that a person would say.

Law: a sentence is made from the fold's answer alone; its rule and its events stand beside it. It
names criteria, gates and roles, never people: who said something is in the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ledger.domain.deal import OPEN
from ledger.domain.events import Event
from ledger.domain.playbook import in_words
from projections.fold.claims import ClaimedDeal
from projections.fold.criterion import Judgement, Rule, Status
from projections.fold.findings import Finding
from projections.fold.gates import (
    CriterionState,
    GateState,
    GateStatus,
    Move,
    MoveKind,
    Qualification,
)
from projections.fold.rulebook import Rulebook
from projections.fold.verdict import Verdict, VerdictRule
from projections.qualified import BookDeal
from projections.timeline import event_facts

WORST = "probability-without-authority"
"""The finding that is told with a deal's headline."""

Events = Mapping[int, Event]
"""Position -> event: what answers open their causes with."""


def day(instant: str) -> str:
    """The day of an instant, in UTC, as sentences name it."""
    return instant[:10]


def opened(causes: tuple[int, ...], events: Events) -> list[dict[str, Any]]:
    """The events behind an answer, as answers list them."""
    return [event_facts(events[position]) for position in causes]


# --- criteria -----------------------------------------------------------------------------------


def criterion_sentence(state: CriterionState, rulebook: Rulebook) -> str:
    """Why a criterion is what it is.

    Args:
        state: the criterion at the basis.
        rulebook: the version that judges.
    """
    told = _SENTENCES[state.judgement.rule]
    return told if isinstance(told, str) else told(state, rulebook)


def _met(state: CriterionState, _rulebook: Rulebook) -> str:
    if state.settled:
        return f"Met since {day(state.since)}, when it was decided too."
    until = state.judgement.lapses_at
    lasting = "" if until is None else f"; counts until {day(until)}"
    return f"Met since {day(state.since)}{lasting}."


def _aged(state: CriterionState, rulebook: Rulebook) -> str:
    judgement = state.judgement
    held_to = min(judgement.held_to or 0, len(rulebook.gates) - 1)
    fresh = rulebook.criteria[state.key].fresh[held_to]
    gate = rulebook.gates[held_to].name
    limit = "" if fresh is None else f": at {gate} it counts for {fresh.days} days"
    return f"Went stale on {day(judgement.lapsed_at or state.since)}{limit}."


def _waived(state: CriterionState, _rulebook: Rulebook) -> str:
    until = state.judgement.lapses_at
    return "Set aside when it was decided." if until is None else f"Set aside until {day(until)}."


def _wrong_role(state: CriterionState, rulebook: Rulebook) -> str:
    wanted = in_words(rulebook.criteria[state.key].criterion.said_by_role or "")
    if state.status is Status.STALE:
        return f"Stale since {day(state.by_rule_since)}: who said it is not the {wanted} any more."
    return f"Said, but not by the {wanted}."


def _too_junior(state: CriterionState, rulebook: Rulebook) -> str:
    wanted = in_words(rulebook.criteria[state.key].criterion.said_by_seniority or "")
    if state.status is Status.STALE:
        return f"Stale since {day(state.by_rule_since)}: who said it is below {wanted} now."
    return f"Said, but by nobody of {wanted} or above."


def _speaker_left(state: CriterionState, _rulebook: Rulebook) -> str:
    if state.status is Status.STALE:
        return f"Stale since {day(state.by_rule_since)}: who said it left."
    return "Said, but by somebody who had left."


def _against(state: CriterionState, _rulebook: Rulebook) -> str:
    return f"Contradicted since {day(state.by_rule_since)}, and nothing newer speaks for it."


def _went_back(state: CriterionState, _rulebook: Rulebook) -> str:
    return f"The buyer went back on {day(state.by_rule_since)}, and nothing newer speaks for it."


_SENTENCES: Mapping[Rule, str | Callable[[CriterionState, Rulebook], str]] = {
    Rule.EVIDENCE_COUNTS: _met,
    Rule.EVIDENCE_AGED: _aged,
    Rule.WAIVER_IN_FORCE: _waived,
    Rule.SPEAKER_LEFT: _speaker_left,
    Rule.SPEAKER_WITHOUT_ROLE: _wrong_role,
    Rule.SPEAKER_TOO_JUNIOR: _too_junior,
    Rule.EVIDENCE_AGAINST: _against,
    Rule.BUYER_WENT_BACK: _went_back,
    Rule.NO_EVIDENCE: "No evidence.",
    Rule.NOBODY_NAMED: "Only a claim: nobody at the buyer is named who said it.",
    Rule.WRONG_LAYER: "Said of the account, but this is not about the organization.",
    Rule.SOURCE_DOES_NOT_COUNT: "Said, but in a kind of source that does not count here.",
}


# --- gates --------------------------------------------------------------------------------------


def gate_sentence(gate: GateState, deal: Qualification) -> str:
    """Why a gate is what it is, and what is missing."""
    if gate.status is GateStatus.PASSED:
        return f"Passed since {day(gate.since)}."
    lost = f"Lost on {day(gate.since)}. " if gate.status is GateStatus.REGRESSED else ""
    if gate.missing:
        wanted = ", ".join(in_words(key) for key in gate.missing)
        return f"{lost}Missing: {wanted}."
    if gate.optional_missing:
        return f"{lost}Missing: {gate.optional_missing} more of the optional criteria."
    if gate.too_old:
        old = ", ".join(in_words(key) for key in gate.too_old)
        return f"{lost}Its criteria hold; too old for the next gate: {old}."
    return lost + _not_reached(deal)


def gate_rule(gate: GateState) -> str:
    """The name of the rule by which a gate is what it is; it never changes its meaning."""
    if gate.status is GateStatus.PASSED:
        return "all-criteria-hold"
    if gate.missing:
        return "mandatory-criterion-missing"
    if gate.optional_missing:
        return "too-few-optional-criteria"
    return "too-old-for-next-gate" if gate.too_old else "earlier-gate-not-passed"


def _not_reached(deal: Qualification) -> str:
    if deal.stands_at is None:
        return "Not judged."
    return f"Its criteria hold; the deal stands at {_gate_name(deal, deal.stands_at)}."


def _gate_name(deal: Qualification, key: str) -> str:
    if deal.rulebook is None or key not in deal.rulebook.gate_index:
        return in_words(key)
    return deal.rulebook.gates[deal.rulebook.gate_index[key]].name


def move_sentence(move: Move, deal: Qualification) -> str:
    """What happened on the way, as a person says it."""
    decided = move.kind is MoveKind.DECIDED
    at, to = _place(move.from_gate if decided else move.to_gate, move, deal)
    because = ", ".join(in_words(key) for key in move.criteria)
    match move.kind:
        case MoveKind.OPENED:
            return f"Opened {at}"
        case MoveKind.ADVANCED:
            return f"Advanced {to}: {because}"
        case MoveKind.REGRESSED:
            return f"Regressed {to}: {because}"
        case MoveKind.LAPSED:
            return f"Fell back {to}: {because} lapsed"
        case MoveKind.PLAYBOOK_CHANGED:
            return f"Judged by another playbook version: {at}"
        case MoveKind.DECIDED:
            return f"Decided ({in_words(move.outcome)}) {at}"
        case MoveKind.REOPENED:
            return f"Reopened {at}"


def _place(gate: str | None, move: Move, deal: Qualification) -> tuple[str, str]:
    """Where a deal stands or goes, as in "stands at Problem" and "went to Problem"."""
    if gate is not None:
        name = _gate_name(deal, gate)
        return f"at {name}", f"to {name}"
    if move.playbook is None:
        return ("unjudged: no playbook was in force",) * 2
    return "with all gates passed", "through all gates"


# --- revenue ------------------------------------------------------------------------------------


def verdict_sentence(verdict: Verdict, deal: Qualification) -> str:
    """Why a deal's amount is in or out."""
    where = "" if verdict.gate is None else _gate_name(deal, verdict.gate)
    match verdict.rule:
        case VerdictRule.WON:
            return "In, as closed: the deal was won."
        case VerdictRule.ENDED:
            return f"Out: the deal ended ({in_words(deal.outcome)})."
        case VerdictRule.NO_PLAYBOOK:
            return "Out: no playbook was in force, so nothing could be judged."
        case VerdictRule.NO_EVIDENCE:
            return "Out: no evidence in force meets any criterion."
        case VerdictRule.ALL_GATES_PASSED:
            return f"In, as {in_words(verdict.category)}: all gates are passed."
        case VerdictRule.STANDS_AT_GATE if verdict.counts:
            return f"In, as {in_words(verdict.category)}: it stands at {where}."
        case VerdictRule.STANDS_AT_GATE:
            return f"Out: it stands at {where}, and nothing is projected from there."


def standing_reason(deal: Qualification) -> str:
    """Why it stands where it stands: what keeps it from passing that gate."""
    if deal.rulebook is None:
        return "no playbook was in force"
    if deal.stands_at is None:
        return "all gates are passed"
    gate = deal.gate_state(deal.stands_at)
    assert gate is not None  # noqa: S101 - a deal stands at a gate of its own version
    blame = [deal.criterion(key) for key in (*gate.missing, *gate.too_old)]
    if not any(blame) and gate.optional_missing:
        blame = [each for each in deal.criteria if each.gate == gate.key and _was_lost(each)]
    state = next((each for each in blame if each is not None), None)
    if state is None:
        return f"{gate.optional_missing} more of the optional criteria must be met"
    if state.key in gate.too_old:
        return f"{in_words(state.key)} is too old for the next gate"
    sentence = criterion_sentence(state, deal.rulebook)
    return f"{in_words(state.key)}: {sentence[0].lower()}{sentence[1:].removesuffix('.')}"


def _was_lost(state: CriterionState) -> bool:
    return state.status is Status.STALE or state.status is Status.CONTRADICTED


def headline(
    claimed: ClaimedDeal, deal: Qualification, verdict: Verdict, noticed: Iterable[Finding] = ()
) -> str:
    """Claimed and evidenced, side by side, in one breath, with what is worst of the findings."""
    probability = claimed.probability
    sure = "" if probability is None else f", {probability} %"
    said = f"Claimed: {in_words(claimed.category)}{sure}."
    if deal.outcome != OPEN:
        return f"{said} {verdict_sentence(verdict, deal)}"
    if deal.rulebook is None:
        return f"{said} Evidenced: nothing, for no playbook was in force."
    where = "has passed all gates"
    if deal.stands_at is not None:
        name = _gate_name(deal, deal.stands_at)
        where = f"stands at {name} since {day(deal.stands_since)}"
    worst = "".join(f" {each.sentence}" for each in noticed if each.rule == WORST)
    evidenced = f"Evidenced: {in_words(verdict.category)}, {where}: {standing_reason(deal)}."
    return f"{said} {evidenced}{worst}"


def judgement_as_dict(judgement: Judgement, events: Events) -> dict[str, Any]:
    """A judgement as JSON: status, rule, events, when it lapses."""
    return {
        "status": str(judgement.status),
        "rule": str(judgement.rule),
        "said_by": judgement.said_by,
        "lapses_at": judgement.lapses_at,
        "because": opened(judgement.causes, events),
    }


def evidenced_as_dict(deal: BookDeal, events: Events) -> dict[str, Any]:
    """What the evidence supports: the category, and why the amount is in or out."""
    found, verdict = deal.qualification, deal.verdict
    return {
        "category": str(verdict.category),
        "weight_percent": verdict.weight_percent,
        "counts": verdict.counts,
        "stands_at": found.stands_at,
        "since": found.stands_since,
        "furthest": found.bar,
        "rule": str(verdict.rule),
        "summary": verdict_sentence(verdict, found),
        "because": opened(verdict.causes, events),
    }
