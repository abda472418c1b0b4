"""After the decision: what was won and is looked after, what was lost and why, and no decision.

Law: a deal is in the answer when it had ended at the basis and counts in the period. A deal that
was won is listed with the criteria of the gates after the decision and with the signs of buyer's
remorse (`projections.fold.remorse`); one that ended otherwise with the reason as the buyer gave it
beside the seller's, and a reason that nobody gave is said to be missing. No decision is an outcome
of its own, with its share of all that ended, by deals and by amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ledger.domain.calendar import Period
from ledger.domain.deal import OPEN, answering
from ledger.domain.events import Event, Outcome, cause_of
from ledger.domain.history import ORDER, effective
from projections.book import Book
from projections.explain import opened
from projections.fold.gates import Qualification
from projections.fold.remorse import Risk, remorse_risks
from projections.fold.settings import LedgerSettings
from projections.forecast import counts_in
from projections.qualified import BookDeal
from projections.reporting import converted, own_amount, percent_of, spelled, summed


class Ended(NamedTuple):
    """A deal that ended, with the event that ended it, its gates, and the signs of remorse."""

    deal: BookDeal
    closing: Event
    gates: Qualification
    risks: tuple[Risk, ...]


def decisions(book: Book, period: Period) -> dict[str, Any]:
    """How the deals of a period ended, and what became of those that were won.

    Args:
        book: the book at the basis.
        period: the fiscal period.

    Returns:
        JSON: `basis`, `period`, `currency`, `outcomes` with their shares, `no_decision_percent` of
        the deals that ended, `won` and `not_won`.
    """
    found = [
        _ended(each)
        for each in book.deals()
        if each.claimed.outcome != OPEN and counts_in(each.claimed, period, book.calendar)
    ]
    events = book.causes({cause for each in found for cause in _causes(each)})
    outcomes = [_outcome(outcome, found, book.settings) for outcome in Outcome]
    return {
        "basis": book.basis.as_dict(),
        "period": period.name,
        "currency": book.settings.reporting_currency,
        "decided": len(found),
        "outcomes": outcomes,
        "no_decision_percent": next(
            each["deals_percent"] for each in outcomes if each["outcome"] == Outcome.NO_DECISION
        ),
        "won": [
            _won(each, book.settings, events)
            for each in found
            if each.deal.claimed.outcome == Outcome.WON
        ],
        "not_won": [
            _not_won(each, book.settings, events)
            for each in found
            if each.deal.claimed.outcome != Outcome.WON
        ],
    }


def _ended(deal: BookDeal) -> Ended:
    closing = answering(deal.claimed.claims, "outcome")
    assert closing is not None  # noqa: S101 - a deal that is not open was closed by an event
    account = deal.judge.account_evidence.get(deal.claimed.account or "", ())
    own = effective(deal.events, deal.judge.valid_at)
    events = sorted([*own, *effective(account, deal.judge.valid_at)], key=ORDER)
    gates = deal.qualification
    return Ended(deal, closing, gates, tuple(remorse_risks(gates, closing, events)))


def _causes(each: Ended) -> set[int]:
    causes = {cause_of(each.closing)}
    causes.update(cause for risk in each.risks for cause in risk.causes)
    causes.update(cause for state in each.gates.criteria for cause in state.judgement.causes)
    return causes


def _outcome(outcome: Outcome, found: list[Ended], settings: LedgerSettings) -> dict[str, Any]:
    of_it = [each for each in found if each.deal.claimed.outcome == outcome]
    total = summed((each.deal.claimed.amount for each in found), settings)
    amount = summed((each.deal.claimed.amount for each in of_it), settings)
    return {
        "outcome": str(outcome),
        "deals": len(of_it),
        "deals_percent": percent_of(len(of_it), len(found)),
        "amount": spelled(amount, settings),
        "amount_percent": percent_of(amount, total),
    }


def _common(each: Ended, settings: LedgerSettings) -> dict[str, Any]:
    deal = each.deal.claimed
    return {
        "deal": deal.deal_id,
        "name": deal.name,
        "owner": deal.owner,
        "outcome": deal.outcome,
        "closed_at": each.closing["occurred_at"],
        **own_amount(deal.amount),
        "reporting_amount": spelled(converted(deal.amount, settings), settings),
    }


def _won(each: Ended, settings: LedgerSettings, events: Mapping[int, Event]) -> dict[str, Any]:
    rulebook = each.gates.rulebook
    return {
        **_common(each, settings),
        "playbook": None if rulebook is None else rulebook.label,
        "stands_at": each.gates.stands_at,
        "criteria": list(_criteria(each.gates, events)),
        "risks": [
            {
                "rule": str(risk.rule),
                "sentence": risk.sentence,
                "since": risk.since,
                "because": opened(risk.causes, events),
            }
            for risk in each.risks
        ],
        "because": opened((cause_of(each.closing),), events),
    }


def _criteria(deal: Qualification, events: Mapping[int, Event]) -> Iterable[dict[str, Any]]:
    """What is asked after the decision, and what of it holds."""
    rulebook = deal.rulebook
    if rulebook is None:
        return
    for state in deal.criteria:
        rule = rulebook.criteria[state.key]
        if rule.gate >= rulebook.decision:
            yield {
                "gate": state.gate,
                "criterion": state.key,
                "question": rule.criterion.question,
                "mandatory": rule.criterion.mandatory,
                "status": str(state.status),
                "rule": str(state.judgement.rule),
                "since": state.since,
                "lapses_at": state.judgement.lapses_at,
                "because": opened(state.judgement.causes, events),
            }


def _not_won(each: Ended, settings: LedgerSettings, events: Mapping[int, Event]) -> dict[str, Any]:
    deal = each.deal.claimed
    missing = [who for who in ("buyer", "seller") if deal.value(f"{who}_reason") is None]
    return {
        **_common(each, settings),
        "buyer_reason": deal.value("buyer_reason"),
        "seller_reason": deal.value("seller_reason"),
        "missing_reasons": missing,
        "stood_at": each.gates.stands_at,
        "claimed_stage": deal.stage,
        "missing": [
            key
            for gate in each.gates.gates
            if gate.key == each.gates.stands_at
            for key in gate.missing
        ],
        "because": opened((cause_of(each.closing),), events),
    }
