"""A deal's gates as an answer: claimed and evidenced side by side, with every reason opened.

Law: each status names its rule, the playbook version that judged, the events that it rests on, and
what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ledger.domain.errors import InvalidInput
from projections.book import Book
from projections.explain import (
    Events,
    criterion_sentence,
    evidenced_as_dict,
    gate_rule,
    gate_sentence,
    headline,
    judgement_as_dict,
    move_sentence,
    opened,
)
from projections.fold.asks import check_ahead
from projections.fold.claimed_journey import ClaimedJourney, claimed_journey
from projections.fold.criterion import Stakeholder
from projections.fold.findings import FINDING_RULES, Finding
from projections.fold.gates import Change, CriterionState, GateState, Loop, Move, Qualification
from projections.fold.rulebook import Rulebook
from projections.forecast import counts_in
from projections.qualified import BookDeal
from projections.timeline import event_facts


def gates_as_dict(book: Book, deal: BookDeal, *, ahead_until: str | None = None) -> dict[str, Any]:
    """Where a deal stands and why, gate by gate.

    Args:
        book: the book at the basis.
        deal: the deal.
        ahead_until: also tell what will lapse until this instant if nothing happens.

    Returns:
        JSON: `basis`, `deal`, `name`, `headline`, `claimed`, `evidenced`, `playbook`, `gates[]`
        with `criteria[]`, `moves[]`, `loops[]`, `claimed_journey`, `findings[]`, `upcoming[]`, and
        what could not be placed.

    Raises:
        InvalidInput: `not-ahead`, `too-far-ahead`.
    """
    if ahead_until is not None:
        check_ahead(book.valid_at, ahead_until)
    found = deal.qualification if ahead_until is None else deal.ahead(ahead_until)
    noticed = deal.findings(book.calendar)
    claims = claimed_journey(deal.deal_id, deal.events, book.valid_at, deal.judge.playbooks)
    assert claims is not None  # noqa: S101 - the deal is in the book
    events = book.causes(_positions(deal, found, noticed) | _claim_positions(claims))
    rulebook = found.rulebook
    return {
        "basis": book.basis.as_dict(),
        "deal": deal.deal_id,
        "name": deal.claimed.name,
        "headline": headline(deal.claimed, found, deal.verdict, noticed),
        "claimed": {
            "category": str(deal.claimed.category),
            "probability": deal.claimed.probability,
            "stage": deal.claimed.stage,
            "gate": deal.claimed.gate,
            "outcome": deal.claimed.outcome,
        },
        "evidenced": evidenced_as_dict(deal, events),
        "playbook": None if rulebook is None else {
            **judged_by_as_dict(rulebook, events),
            "review": _review(book, rulebook),
        },
        "stakeholders": [
            {**_stakeholder(who), "because": event_facts(events[who.cause])}
            for who in found.stakeholders.values()
        ],
        "gates": [] if rulebook is None else [
            _gate(gate, found, rulebook, events) for gate in found.gates
        ],
        "moves": [_move(move, found, events) for move in found.moves],
        "loops": [_loop(loop, events) for loop in found.loops],
        "claimed_journey": _claimed_journey(claims, events),
        "findings": [finding_as_dict(finding, events) for finding in noticed],
        "upcoming": [_change(change, found, events) for change in found.upcoming],
        "upcoming_moves": [_move(move, found, events) for move in found.upcoming_moves],
        "declared": [
            {**declared._asdict(), "cause": event_facts(events[declared.cause])}
            for declared in found.declared
        ],
        "unplaced": opened(found.unplaced, events),
        "after_close": opened(found.after_close, events),
        "before_opening": opened(found.before_opening, events),
    }  # fmt: skip


def judged_by_as_dict(rulebook: Rulebook, events: Events) -> dict[str, Any]:
    """The version that judged, and the event that published it."""
    return {
        "key": rulebook.playbook.key,
        "version": rulebook.playbook.version,
        "published_by": event_facts(events[rulebook.cause]),
    }


def _review(book: Book, rulebook: Rulebook) -> dict[str, Any] | None:
    """When the journey was last checked; after 60 days it is to be taken as wrong."""
    review = book.reviews.get(rulebook.playbook.key)
    if review is None:
        return None
    return {"at": review.at, "due_at": review.due_at, "overdue": review.overdue}


def _stakeholder(who: Stakeholder) -> dict[str, Any]:
    return {key: value for key, value in who._asdict().items() if key != "cause"}


def finding_as_dict(finding: Finding, events: Events) -> dict[str, Any]:
    """A finding with its events."""
    return {
        "rule": finding.rule,
        "sentence": finding.sentence,
        "criteria": list(finding.criteria),
        "because": opened(tuple(dict.fromkeys(finding.causes)), events),
    }


def _gate(
    gate: GateState, deal: Qualification, rulebook: Rulebook, events: Events
) -> dict[str, Any]:
    published = rulebook.gates[rulebook.gate_index[gate.key]]
    return {
        "gate": gate.key,
        "name": published.name,
        "stage": published.stage,
        "status": str(gate.status),
        "since": gate.since,
        "rule": gate_rule(gate),
        "summary": gate_sentence(gate, deal),
        "missing": list(gate.missing),
        "optional_missing": gate.optional_missing,
        "too_old": list(gate.too_old),
        "passes": gate.passes,
        "regressions": gate.regressions,
        "because": opened(gate.causes, events),
        "criteria": [
            criterion_as_dict(state, rulebook, events)
            for state in deal.criteria
            if state.gate == gate.key
        ],
    }


def criterion_as_dict(state: CriterionState, rulebook: Rulebook, events: Events) -> dict[str, Any]:
    """A criterion: what it is, since when, by which rule, because of which events."""
    criterion = rulebook.criteria[state.key].criterion
    return {
        "criterion": state.key,
        "question": criterion.question,
        "layer": criterion.layer,
        "mandatory": criterion.mandatory,
        "said_by_role": criterion.said_by_role,
        "said_by_seniority": criterion.said_by_seniority,
        "answers": criterion.answers,
        "since": state.since,
        "summary": criterion_sentence(state, rulebook),
        **judgement_as_dict(state.judgement, events),
    }


def _move(move: Move, deal: Qualification, events: Events) -> dict[str, Any]:
    return {
        "at": move.at,
        "kind": str(move.kind),
        "from_gate": move.from_gate,
        "to_gate": move.to_gate,
        "summary": move_sentence(move, deal),
        "criteria": list(move.criteria),
        "because": opened(move.causes, events),
    }


def _loop(loop: Loop, events: Events) -> dict[str, Any]:
    return {
        "gate": loop.gate,
        "lost_at": loop.lost_at,
        "again_at": loop.again_at,
        "lost_by": opened(loop.lost_by, events),
        "again_by": opened(loop.again_by, events),
    }


def _claimed_journey(claims: ClaimedJourney, events: Events) -> dict[str, Any]:
    """The way that the CRM claims: back and forth between its stages, and again."""
    return {
        "scale": None if claims.scale is None else str(claims.scale),
        "moves": [
            {
                "at": move.at,
                "kind": str(move.kind),
                "from_stage": move.origin.stage,
                "to_stage": move.target.stage,
                "because": opened(move.causes, events),
            }
            for move in claims.moves
        ],
        "loops": [
            {
                "stage": loop.stage,
                "gate": loop.gate,
                "lost_at": loop.lost_at,
                "again_at": loop.again_at,
                "because": opened((loop.lost_by, loop.again_by), events),
            }
            for loop in claims.loops
        ],
        "without_place": list(claims.without_place),
    }


def _claim_positions(claims: ClaimedJourney) -> set[int]:
    return {cause for move in claims.moves for cause in move.causes} | {
        cause for loop in claims.loops for cause in (loop.lost_by, loop.again_by)
    }


def _change(change: Change, deal: Qualification, events: Events) -> dict[str, Any]:
    gate = None
    if deal.rulebook is not None and change.criterion in deal.rulebook.criteria:
        gate = deal.rulebook.gates[deal.rulebook.criteria[change.criterion].gate].key
    return {
        "at": change.at,
        "criterion": change.criterion,
        "gate": gate,
        "before": str(change.before),
        **judgement_as_dict(change.after, events),
    }


def _positions(deal: BookDeal, found: Qualification, noticed: Iterable[Finding]) -> set[int]:
    """Every event that the answer opens."""
    positions = set(deal.verdict.causes)
    for state in found.criteria:
        positions.update(state.judgement.causes)
    for gate in found.gates:
        positions.update(gate.causes)
    for move in (*found.moves, *found.upcoming_moves):
        positions.update(move.causes)
    for loop in found.loops:
        positions.update(loop.lost_by, loop.again_by)
    for change in found.upcoming:
        positions.update(change.after.causes)
    for finding in noticed:
        positions.update(finding.causes)
    positions.update(who.cause for who in found.stakeholders.values())
    positions.update(declared.cause for declared in found.declared)
    positions.update(found.unplaced, found.after_close, found.before_opening)
    if found.rulebook is not None:
        positions.add(found.rulebook.cause)
    return positions


# --- over the book ------------------------------------------------------------------------------


def findings_rows(book: Book, *, period: str | None = None, owner: str | None = None,
                  rule: str | None = None) -> dict[str, Any]:  # fmt: skip
    """The findings of all open deals, one row each, in the order of deals.

    Args:
        book: the book at the basis.
        period: only deals that count in this fiscal period.
        owner: only deals of this owner.
        rule: only findings of this rule.

    Raises:
        InvalidInput: `invalid-period`, `unknown-rule`.
    """
    if rule is not None and rule not in FINDING_RULES:
        raise InvalidInput(
            "unknown-rule",
            f"no finding has the rule {rule!r}",
            where="rule",
            hint=f"it is one of {', '.join(FINDING_RULES)}",
        )
    found = [
        (deal, finding)
        for deal in _open_deals(book, period, owner)
        for finding in deal.findings(book.calendar)
        if rule is None or finding.rule == rule
    ]
    events = book.causes({cause for _deal, finding in found for cause in finding.causes})
    return {
        "basis": book.basis.as_dict(),
        "findings": [
            {
                "deal": deal.deal_id,
                "name": deal.claimed.name,
                "owner": deal.claimed.owner,
                **finding_as_dict(finding, events),
            }
            for deal, finding in found
        ],
    }


def lapses_rows(
    book: Book, until: str, *, period: str | None = None, owner: str | None = None
) -> dict[str, Any]:
    """What will fall until an instant if nothing happens: criteria lapse, deals fall back.

    Args:
        book: the book at the basis.
        until: valid time, in the one spelling; at most ten years ahead.
        period: only deals that count in this fiscal period.
        owner: only deals of this owner.

    Raises:
        InvalidInput: `invalid-period`, `not-ahead`, `too-far-ahead`.
    """
    check_ahead(book.valid_at, until)
    ahead = [(deal, deal.ahead(until)) for deal in _open_deals(book, period, owner)]
    events = book.causes(
        {
            cause
            for _deal, found in ahead
            for change in found.upcoming
            for cause in change.after.causes
        }
    )
    rows = [
        {"deal": deal.deal_id, "name": deal.claimed.name, "owner": deal.claimed.owner, **row}
        for deal, found in ahead
        for row in _ahead_rows(found, events)
    ]
    return {
        "basis": book.basis.as_dict(),
        "until": until,
        "lapses": sorted(rows, key=lambda row: (row["at"], row["deal"], row["criterion"])),
    }


def _ahead_rows(found: Qualification, events: Events) -> Iterator[dict[str, Any]]:
    falls = {move.at: move for move in found.upcoming_moves}
    for change in found.upcoming:
        move = falls.get(change.at)
        yield {
            **_change(change, found, events),
            "stands_at_before": None if move is None else move.from_gate,
            "stands_at_after": None if move is None else move.to_gate,
        }


def _open_deals(book: Book, period: str | None, owner: str | None) -> Iterator[BookDeal]:
    asked = None if period is None else book.period(period)
    for deal in book.deals():
        if not deal.is_open or (owner is not None and deal.claimed.owner != owner):
            continue
        if asked is None or counts_in(deal.claimed, asked, book.calendar):
            yield deal
