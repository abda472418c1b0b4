"""Deals as answers list them: one with its receipts, or all that count in a period."""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

from ledger.domain.calendar import Period
from ledger.domain.deal import OPEN
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Category, Outcome
from ledger.domain.money import format_amount
from projections.book import Book
from projections.explain import evidenced_as_dict, headline, verdict_sentence
from projections.fold.claims import CLAIMED_FIELDS, ClaimedDeal
from projections.forecast import counts_in
from projections.qualified import BookDeal
from projections.timeline import event_facts


def deal_as_dict(book: Book, book_deal: BookDeal) -> dict[str, Any]:
    """A deal with each claim and the event that answers for it.

    Returns:
        JSON: `basis`, `deal`, `outcome`, `category`, `team`, `headline`, `evidenced` (why the
        amount is in or out), and `claims.<field>.{value, because}`.
    """
    deal = book_deal.claimed
    facts = {field: value for field in CLAIMED_FIELDS if (value := deal.value(field)) is not None}
    causes = {field: deal.cause(field) or 0 for field in facts}
    events = book.causes({*causes.values(), *book_deal.verdict.causes})
    return {
        "basis": book.basis.as_dict(),
        "deal": deal.deal_id,
        "outcome": deal.outcome,
        "category": str(deal.category),
        "team": _team(book, deal),
        "headline": headline(
            deal, book_deal.qualification, book_deal.verdict, book_deal.findings(book.calendar)
        ),
        "evidenced": evidenced_as_dict(book_deal, events),
        "claims": {
            field: {"value": value, "because": event_facts(events[causes[field]])}
            for field, value in facts.items()
        },
    }


def deals_rows(book: Book, period: Period, category: str | None = None) -> dict[str, Any]:
    """The deals that count in a period: the receipt of its forecast.

    Args:
        book: the book at the basis.
        period: the fiscal period.
        category: only deals in this claimed category.

    Raises:
        InvalidInput: `unknown-category`.
    """
    return {
        "basis": book.basis.as_dict(),
        "period": period.name,
        "deals": deal_page(book, DealFilter(period.name, category)),
    }


class DealFilter(NamedTuple):
    """Which deals; None does not filter."""

    period: str | None = None
    category: str | None = None
    owner: str | None = None
    stage: str | None = None
    outcome: str | None = None
    stands_at: str | None = None
    """The key of the gate where the deal really stands."""
    evidenced: str | None = None
    """The category that its evidence supports."""


NO_FILTER = DealFilter()


def deal_page(
    book: Book,
    wanted: DealFilter = NO_FILTER,
    *,
    only: str | None = None,
    after: str | None = None,
    first: int | None = None,
) -> list[dict[str, Any]]:
    """Deals as flat rows, in the order of their ids.

    Args:
        book: the book at the basis.
        wanted: which deals.
        only: the one deal of this id.
        after: only deals behind this id.
        first: how many at most; None is all.

    Raises:
        InvalidInput: `unknown-category`, `unknown-outcome`, `invalid-period`.
    """
    _check("category", wanted.category, tuple(Category))
    _check("category", wanted.evidenced, tuple(Category), where="evidenced")
    _check("outcome", wanted.outcome, (OPEN, *Outcome))
    period = None if wanted.period is None else book.period(wanted.period)
    fits = (
        deal
        for deal in book.deals(only=only, after=after)
        if _fits(deal.claimed, wanted)
        and (period is None or counts_in(deal.claimed, period, book.calendar))
        and wanted.stands_at in {None, deal.verdict.gate}
        and wanted.evidenced in {None, deal.verdict.category}
    )
    return [deal_row(book, deal) for deal in islice(fits, first)]


def _team(book: Book, deal: ClaimedDeal) -> str | None:
    owner = None if deal.owner is None else book.person(deal.owner)
    return None if owner is None else owner.team


def _check(
    what: str, value: str | None, allowed: tuple[str, ...], *, where: str | None = None
) -> None:
    if value is not None and value not in allowed:
        raise InvalidInput(
            f"unknown-{what}",
            f"{value!r} is not a deal's {what}",
            where=where or what,
            hint=f"it is one of {', '.join(allowed)}",
        )


def _fits(deal: ClaimedDeal, wanted: DealFilter) -> bool:
    return all(
        asked is None or asked == value
        for asked, value in (
            (wanted.category, deal.category),
            (wanted.owner, deal.owner),
            (wanted.stage, deal.stage),
            (wanted.outcome, deal.outcome),
        )
    )


def deal_row(book: Book, book_deal: BookDeal) -> dict[str, Any]:
    """A deal as one flat row of JSON values."""
    deal, verdict = book_deal.claimed, book_deal.verdict
    amount, close_date = deal.amount, deal.close_date
    return {
        "deal": deal.deal_id,
        "name": deal.name,
        "account": deal.account,
        "owner": deal.owner,
        "team": _team(book, deal),
        "stage": deal.stage,
        "category": str(deal.category),
        "amount": None if amount is None else format_amount(amount.amount),
        "currency": None if amount is None else amount.currency,
        "close_date": None if close_date is None else close_date.isoformat(),
        "outcome": deal.outcome,
        "evidenced": str(verdict.category),
        "stands_at": verdict.gate,
        "weight_percent": verdict.weight_percent,
        "why": verdict_sentence(verdict, book_deal.qualification),
    }
