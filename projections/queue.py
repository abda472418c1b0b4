"""The requalification queue: what to confirm again, the largest amount at risk first.

Law: only open deals stand in the queue, with the criteria that were shown once and have to be shown
again: stale, contradicted, too old for the next gate, or about to lapse, on the gates up to the one
that is claimed or stood at. What was never shown is not in it: an agenda asks for that. The amount
at risk is the deal's whole amount in the reporting currency. Rows come by amount, the largest
first, then by the instant at which the criterion lapses or lapsed, then by deal and in gate order.
What has no amount, or no rate, comes last.

A manager's queue is that of all who report to them, directly or through others, in the organisation
as it was at the basis or as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.errors import InvalidInput, NotFound
from ledger.domain.events import Event
from projections.book import Book
from projections.explain import criterion_sentence, opened
from projections.fold.asks import RECONFIRM, Question, look_ahead, questions_of
from projections.fold.people import Organisation, chart_of
from projections.fold.settings import LedgerSettings
from projections.qualified import BookDeal
from projections.reporting import converted, own_amount, spelled, summed


class Entry(NamedTuple):
    """A criterion of a deal to confirm again."""

    deal: BookDeal
    question: Question
    at_risk: Decimal | None


def requalification_queue(
    book: Book,
    *,
    owner: str | None = None,
    manager: str | None = None,
    within_days: int = 30,
    organisation: Organisation = Organisation.AS_WAS,
) -> dict[str, Any]:
    """What to confirm again.

    Args:
        book: the book at the basis.
        owner: only the deals of this person.
        manager: only the deals of those who report to this person, directly or through others.
        within_days: what will lapse within so many days after `valid_at` is in it too.
        organisation: who reports to the manager: as it was at the basis, or as it is.

    Returns:
        JSON: `basis`, `organisation`, `currency`, `total` and `owners` with the amount at risk
        (each deal once), and `rows`.

    Raises:
        InvalidInput: `invalid-days`, `owner-or-manager`.
        NotFound: `unknown-person`.
    """
    until = look_ahead(book.valid_at, within_days)
    wanted = _owners(book, owner, manager, organisation)
    entries = [
        entry
        for deal in book.deals()
        if wanted is None or deal.claimed.owner in wanted
        for entry in _entries(deal, until, book.settings)
    ]
    entries.sort(key=_order)
    events = book.causes({c for e in entries for c in e.question.state.judgement.causes})
    by_owner: dict[str | None, list[Entry]] = {}
    for entry in entries:
        by_owner.setdefault(entry.deal.claimed.owner, []).append(entry)
    return {
        "basis": book.basis.as_dict(),
        "organisation": str(organisation),
        "owner": owner,
        "manager": manager,
        "looks_ahead_until": until,
        "currency": book.settings.reporting_currency,
        "total": _at_risk(entries, book.settings),
        "owners": [
            {"owner": each} | _at_risk(by_owner[each], book.settings)
            for each in sorted(by_owner, key=lambda each: (each is None, each or ""))
        ],
        "rows": [_row(entry, book.settings, events) for entry in entries],
    }


def _owners(
    book: Book, owner: str | None, manager: str | None, organisation: Organisation
) -> frozenset[str | None] | None:
    """Whose deals are asked for; None is everybody's."""
    if owner is not None and manager is not None:
        raise InvalidInput(
            "owner-or-manager", "a queue is that of an owner or of a manager, not of both"
        )
    if owner is not None:
        return frozenset({owner})
    if manager is None:
        return None
    people = book.directory_of(organisation).people
    below = chart_of(people).below(manager)
    if not below and manager not in people:
        raise NotFound(
            "unknown-person",
            f"nobody of the id {manager!r} is known at this basis",
            where="manager",
            hint="qledger team shows the chart",
        )
    return frozenset(below)


def _entries(deal: BookDeal, until: str, settings: LedgerSettings) -> Iterable[Entry]:
    if deal.claimed.outcome != OPEN or deal.unproven:
        return
    at_risk = converted(deal.claimed.amount, settings)
    for question in questions_of(deal.qualification, deal.claimed.gate, until):
        if question.why in RECONFIRM:
            yield Entry(deal, question, at_risk)


def _order(entry: Entry) -> tuple[bool, Decimal, str, str]:
    at_risk = entry.at_risk
    return at_risk is None, -(at_risk or Decimal(0)), entry.question.lapse, entry.deal.deal_id


def _at_risk(entries: list[Entry], settings: LedgerSettings) -> dict[str, Any]:
    deals = {entry.deal.deal_id: entry.deal.claimed.amount for entry in entries}
    return {
        "criteria": len(entries),
        "deals": len(deals),
        "at_risk": spelled(summed(deals.values(), settings), settings),
    }


def _row(entry: Entry, settings: LedgerSettings, events: Mapping[int, Event]) -> dict[str, Any]:
    deal, question = entry.deal, entry.question
    state, qualification = question.state, deal.qualification
    assert qualification.rulebook is not None  # noqa: S101 - without a version nothing is asked
    return {
        "deal": deal.deal_id,
        "name": deal.claimed.name,
        "owner": deal.claimed.owner,
        "gate": question.gate.key,
        "criterion": question.criterion.key,
        "question": question.criterion.question,
        "why": str(question.why),
        "status": str(state.status),
        "reason": criterion_sentence(state, qualification.rulebook),
        "since": state.since,
        "lapses_at": state.judgement.lapses_at,
        "said_by_role": question.criterion.said_by_role,
        "at_risk": spelled(entry.at_risk, settings),
        **own_amount(deal.claimed.amount),
        "stands_at": qualification.stands_at,
        "because": opened(state.judgement.causes, events),
    }
