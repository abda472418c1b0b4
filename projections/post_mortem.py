"""The post-mortem of a deal: what was claimed, what the evidence said, and who could have known.

Law: one basis answers everything. What was claimed and evidenced week by week, the contradictions
and the first knowable date are as they were known *then* (see `fold.known_then` and
`fold.contradiction`, where the law of that date stands); criteria, lapses, regressions and loops
are as the basis knows them now. What came late, and what it would have changed, see `case`.

Weeks are counted from the opening, and the last one ends with the decision, or at `valid_at`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.events import Outcome
from ledger.domain.money import format_amount
from ledger.domain.playbook import in_words
from ledger.domain.times import END_OF_TIME, format_instant
from projections.book import Book
from projections.case import Case, case_of, late_entries, timeline_of
from projections.explain import Events, criterion_sentence, opened
from projections.fold.contradiction import (
    Contradiction,
    Contradicts,
    contradictions,
    quarter_of,
)
from projections.fold.criterion import Rule, Status
from projections.fold.gates import CriterionState, MoveKind, Qualification
from projections.fold.known_then import Known, moment_at
from projections.similar import band_as_dict, band_of, compared_as_dict, most_similar_won

WEEKS_MAX = 520
"""Ten years; a deal that is open for longer is told week by week so far."""

_LISTED_MAX = 3
_WEEK = timedelta(days=7)


def post_mortem(book: Book, deal_id: str) -> dict[str, Any]:
    """The post-mortem of a decided deal, or of an open one so far.

    Args:
        book: the book at the basis.
        deal_id: the deal's own id.

    Returns:
        JSON: `basis`, the deal and how it ended, `first_knowable`, `forecast_reacted_at`,
        `days_to_react`, all `contradictions[]`, `weeks[]`, `never_evidenced[]`, `lapsed[]`,
        `regressions[]`, `loops[]`, `late_entries[]`, `similar_won`, and the `timeline[]`.

    Raises:
        NotFound: `unknown-deal`.
        Refused: `too-many-events`; see `projections.fold.known_then`.
    """
    deal = book.deal(deal_id)
    playbook_events = book.playbook_events
    case = case_of(deal, playbook_events, book.calendar, format_instant(book.basis.known_at))
    events = {event["position"]: event for event in chain(case.events, playbook_events)}
    rulebook = deal.qualification.rulebook
    if rulebook is not None and rulebook.cause not in events:
        events.update(book.causes({rulebook.cause}))
    similar = most_similar_won(deal, book.deals(), book.settings)
    return {
        "basis": book.basis.as_dict(),
        **_how_it_ended(case, events),
        "amount_band": band_as_dict(band_of(deal, book.settings), book.settings),
        **first_knowable_as_dict(contradictions(case.moments, case.calendar), events),
        **weeks_as_dict(case),
        **criteria_as_dict(deal.qualification, events),
        "late_entries": late_entries(case, events),
        "similar_won": (
            None if similar is None else compared_as_dict(deal, similar, book.settings)
        ),
        "timeline": timeline_of(case),
    }


def _how_it_ended(case: Case, events: Events) -> dict[str, Any]:
    claimed, rulebook = case.deal.claimed, case.deal.qualification.rulebook
    decided_by = claimed.cause("outcome") if case.decided_at is not None else None
    amount = claimed.amount
    return {
        "deal": claimed.deal_id,
        "name": claimed.name,
        "owner": claimed.owner,
        "amount": None if amount is None else format_amount(amount.amount),
        "currency": None if amount is None else amount.currency,
        "outcome": claimed.outcome,
        "opened_at": case.opened_at,
        "decided_at": case.decided_at,
        "stood_at": case.deal.qualification.stood_when_decided,
        "playbook": None if rulebook is None else rulebook.label,
        "reasons": {
            "buyer": claimed.value("buyer_reason"),
            "seller": claimed.value("seller_reason"),
            "because": opened(() if decided_by is None else (decided_by,), events),
        },
    }


# --- who could have known -------------------------------------------------------------------------


def first_knowable_as_dict(found: Sequence[Contradiction], events: Events) -> dict[str, Any]:
    """When the evidence in hand first contradicted the forecast, and when the forecast came down.

    Args:
        found: the contradictions, in the order of time.
        events: by position.

    Returns:
        JSON: `first_knowable` (None where nothing ever contradicted it), `forecast_reacted_at` and
        `days_to_react` (None where that contradiction did not end by a reaction), and all
        `contradictions`.
    """
    first = found[0] if found else None
    return {
        "first_knowable": None if first is None else _begun(first, events),
        "forecast_reacted_at": None if first is None else first.reacted_at,
        "days_to_react": None if first is None or first.reacted_at is None else first.days,
        "contradictions": [
            {
                **_begun(each, events),
                "until": each.until,
                "ended_by": None if each.ended_by is None else str(each.ended_by),
                "ended_because": opened(each.ended_causes, events),
                "days": each.days,
            }
            for each in found
        ],
    }


def _begun(found: Contradiction, events: Events) -> dict[str, Any]:
    claim, deal = found.claim, found.deal
    causes = tuple(sorted({*claim.causes, *found.conflict.causes}))
    return {
        "at": found.at,
        "rule": str(found.conflict.rule),
        "sentence": _sentence(found),
        "claimed": {
            "category": str(claim.category),
            "period": None if claim.quarter is None else claim.quarter.name,
            "close_date": deal.claimed.value("close_date"),
        },
        "evidenced": {"category": str(deal.verdict.category), "stands_at": deal.verdict.gate},
        "criteria": list(found.conflict.criteria),
        "because": opened(causes, events),
    }


def _sentence(found: Contradiction) -> str:
    said, deal = f"Forecast: {found.claim.sentence}.", found.deal
    if found.conflict.rule is Contradicts.CONTRADICTION_ON_RECORD:
        against = [
            state for state in deal.standing.criteria if state.key in found.conflict.criteria
        ]
        back = [state for state in against if state.judgement.rule is Rule.BUYER_WENT_BACK]
        told = _listed([state.key for state in against if state not in back])
        went_back = f" The buyer had gone back to {in_words(back[0].gate)}." if back else ""
        return f"{said}{f' On record against it: {told}.' if told else ''}{went_back}"
    where = "" if deal.verdict.gate is None else f", at {in_words(deal.verdict.gate)}"
    missing = _listed(found.conflict.criteria)
    return (
        f"{said} Its evidence said {in_words(deal.verdict.category)}{where}"
        f"{f'; missing: {missing}' if missing else ''}."
    )


def _listed(criteria: Sequence[str]) -> str:
    told = ", ".join(in_words(key) for key in criteria[:_LISTED_MAX])
    more = len(criteria) - _LISTED_MAX
    return f"{told} and {more} more" if more > 0 else told


# --- week by week ---------------------------------------------------------------------------------


def weeks_as_dict(case: Case) -> dict[str, Any]:
    """Where the deal stood at the end of each week, claimed and evidenced, as known then.

    Returns:
        JSON: `weeks` and how many more were left out. Each has its number, `ends_at`, what was
        claimed (None where the deal was not known yet), what was evidenced, and `causes`, the
        positions of the events that the evidenced category rests on.
    """
    ends = list(_week_ends(case.opened_at, case.end))
    told = ends if len(ends) <= WEEKS_MAX else [*ends[: WEEKS_MAX - 1], ends[-1]]
    return {
        "weeks": [_week(number, at, case) for number, at in told],
        "weeks_left_out": len(ends) - len(told),
    }


def _week_ends(opened_at: str, end: str) -> Iterator[tuple[int, str]]:
    """Numbers and ends of the weeks from the opening on, the last one cut short."""
    last = datetime.fromisoformat(end)
    at, number = datetime.fromisoformat(opened_at), 1
    while last - at > _WEEK and at <= END_OF_TIME - _WEEK:
        at += _WEEK
        yield number, format_instant(at)
        number += 1
    yield number, end


def _week(number: int, ends_at: str, case: Case) -> dict[str, Any]:
    known = moment_at(case.moments, ends_at)
    return {
        "week": number,
        "ends_at": ends_at,
        "stood_at": None if known is None else known.standing.stands_at,
        "claimed": None if known is None else _claimed(known, case.calendar),
        "evidenced": None if known is None else _evidenced(known),
        "causes": [] if known is None else list(known.verdict.causes),
    }


def _claimed(known: Known, calendar: FiscalCalendar) -> dict[str, Any]:
    claimed = known.claimed
    amount, quarter = claimed.amount, quarter_of(claimed, calendar)
    return {
        "category": str(claimed.category),
        "amount": None if amount is None else format_amount(amount.amount),
        "currency": None if amount is None else amount.currency,
        "stage": claimed.stage,
        "probability": claimed.probability,
        "close_date": claimed.value("close_date"),
        "period": None if quarter is None else quarter.name,
        "outcome": claimed.outcome,
    }


def _evidenced(known: Known) -> dict[str, Any]:
    return {
        "category": str(known.verdict.category),
        "weight_percent": known.verdict.weight_percent,
        "rule": str(known.verdict.rule),
    }


# --- criteria, regressions, loops -----------------------------------------------------------------


def criteria_as_dict(found: Qualification, events: Events) -> dict[str, Any]:
    """What was never evidenced, what lapsed, where the deal fell back and came again.

    Args:
        found: the deal's gates at the basis.
        events: by position.

    Returns:
        JSON: `never_evidenced`: the criteria that evidence never met, of the gates before the
        decision, and after it for a deal that was won; `lapsed`: each time that evidence aged out
        or lost its speaker; `regressions`: each fall to an earlier gate, by a word against it
        (`regressed`) or by a lapse (`lapsed`); `loops`.
    """
    ever_met = {change.criterion for change in found.changes if change.after.status is Status.MET}
    return {
        "never_evidenced": [
            _never_evidenced(state, found, events)
            for state in found.criteria
            if state.key not in ever_met and _asked_for(state, found)
        ],
        "lapsed": [
            {
                "at": change.at,
                "criterion": change.criterion,
                "gate": _gate_of(change.criterion, found),
                "rule": str(change.after.rule),
                "because": opened(change.after.causes, events),
            }
            for change in found.changes
            if change.after.status is Status.STALE
        ],
        "regressions": [
            {
                "at": move.at,
                "kind": str(move.kind),
                "from_gate": move.from_gate,
                "to_gate": move.to_gate,
                "criteria": list(move.criteria),
                "because": opened(move.causes, events),
            }
            for move in found.moves
            if move.kind in {MoveKind.REGRESSED, MoveKind.LAPSED}
        ],
        "loops": [
            {
                "gate": loop.gate,
                "lost_at": loop.lost_at,
                "again_at": loop.again_at,
                "lost_by": opened(loop.lost_by, events),
                "again_by": opened(loop.again_by, events),
            }
            for loop in found.loops
        ],
    }


def _asked_for(state: CriterionState, found: Qualification) -> bool:
    rulebook = found.rulebook
    assert rulebook is not None  # noqa: S101 - there are criteria only where a version judges
    before_decision = rulebook.criteria[state.key].gate < rulebook.decision
    return before_decision or found.outcome == Outcome.WON


def _never_evidenced(state: CriterionState, found: Qualification, events: Events) -> dict[str, Any]:
    rulebook = found.rulebook
    assert rulebook is not None  # noqa: S101 - there are criteria only where a version judges
    criterion = rulebook.criteria[state.key].criterion
    return {
        "criterion": state.key,
        "gate": state.gate,
        "question": criterion.question,
        "mandatory": criterion.mandatory,
        "status": str(state.status),
        "rule": str(state.judgement.rule),
        "summary": criterion_sentence(state, rulebook),
        "because": opened(state.judgement.causes, events),
    }


def _gate_of(criterion: str, found: Qualification) -> str | None:
    state = found.criterion(criterion)
    return None if state is None else state.gate
