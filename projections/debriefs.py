"""How much of the forecast was debriefed, and how early.

Law: coverage is a share of the *open claimed forecast*: the amounts of the open deals that count in
the period and are claimed as pipeline, best case or commit. A deal is covered `recently` when a
debrief of it was held less than 60 days before `valid_at`, and `ever` when one was held at all. A
deal without an amount counts among the deals and adds nothing to the amounts.

How early the first debrief of a deal came is told in days from its opening, in the reporting time
zone, and in meetings: as many as the debrief says there were, else the meetings and calls before it
that evidence tells of. A debrief on the second call can still change the deal or drop it; one on
the fifteenth records what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from ledger.domain.calendar import FiscalCalendar, Period
from ledger.domain.deal import OPEN
from ledger.domain.events import Category, Event
from ledger.domain.history import effective
from ledger.domain.money import format_amount
from projections.agenda import Debrief, debriefs_of, meetings_of
from projections.book import Book
from projections.explain import opened
from projections.fold.claims import ClaimedDeal
from projections.fold.rulebook import expiry
from projections.fold.settings import LedgerSettings
from projections.fold.statistics import quantile
from projections.forecast import counts_in
from projections.reporting import converted, own_amount, percent_of, spelled, summed

RECENT_DAYS = 60
"""As long as a journey map may go unchecked: by then buyers have changed."""

FORECAST_CATEGORIES = (Category.PIPELINE, Category.BEST_CASE, Category.COMMIT)


class First(NamedTuple):
    """How early the first debrief of a deal came.

    Args:
        days: from the opening to the debrief.
        meetings: how many meetings and calls there had been.
        said_so: whether the debrief itself says how many; else evidence tells.
        told_by: the positions of the evidence that tells of them.
    """

    days: int
    meetings: int
    said_so: bool
    told_by: tuple[int, ...]


class Covered(NamedTuple):
    """A deal that counts in the period, with its debriefs."""

    deal: ClaimedDeal
    debriefs: tuple[Debrief, ...]
    recent: bool
    first: First | None

    @property
    def in_forecast(self) -> bool:
        """Whether its amount is a part of the open claimed forecast."""
        return self.deal.outcome == OPEN and self.deal.category in FORECAST_CATEGORIES


def covered(
    deal: ClaimedDeal, events: Iterable[Event], valid_at: str, calendar: FiscalCalendar
) -> Covered:
    """A deal with its debriefs.

    Args:
        deal: as claimed at the basis.
        events: its visible debriefs and evidence, in any order.
        valid_at: valid time, in the one spelling.
        calendar: whose days are counted.
    """
    counted = effective(events, valid_at)
    debriefs = tuple(debriefs_of(counted))
    recent = bool(debriefs) and not _older(debriefs[-1].at, valid_at)
    first = _first(deal, debriefs[0], counted, calendar) if debriefs else None
    return Covered(deal, debriefs, recent, first)


def _older(at: str, valid_at: str) -> bool:
    ends_at = expiry(at, timedelta(days=RECENT_DAYS))
    return ends_at is not None and ends_at <= valid_at


def _first(
    deal: ClaimedDeal, debrief: Debrief, events: list[Event], calendar: FiscalCalendar
) -> First:
    held_on = calendar.day_of(datetime.fromisoformat(debrief.at))
    days = max(0, (held_on - calendar.day_of(deal.opened_at)).days)
    if debrief.meetings_before is not None:
        return First(days, debrief.meetings_before, said_so=True, told_by=())
    told_by = tuple(meetings_of(events, debrief.at))
    return First(days, len(told_by), said_so=False, told_by=told_by)


def debrief_coverage(book: Book, period: Period) -> dict[str, Any]:
    """How much of a period's open claimed forecast was debriefed, and how early.

    Args:
        book: the book at the basis.
        period: the fiscal period.

    Returns:
        JSON: `basis`, `period`, `currency`, `total`, `categories` and `owners` with amounts and
        shares covered recently and ever, `first_debrief` with medians over the deals that had one,
        and `deals`, each with its debriefs.
    """
    told = book.of_kind("deal", ("debrief-held", "evidence-recorded"))
    found = [
        covered(each.claimed, told.get(each.deal_id, ()), book.valid_at, book.calendar)
        for each in book.deals()
        if counts_in(each.claimed, period, book.calendar)
    ]
    in_forecast = [each for each in found if each.in_forecast]
    owners = sorted({each.deal.owner for each in in_forecast}, key=lambda o: (o is None, o or ""))
    firsts = [each.first for each in found if each.first is not None]
    settings = book.settings
    events = book.causes({cause for each in found for cause in _causes(each)})
    return {
        "basis": book.basis.as_dict(),
        "period": period.name,
        "currency": settings.reporting_currency,
        "recent_days": RECENT_DAYS,
        "total": _coverage(in_forecast, settings),
        "categories": [
            {"category": str(category)}
            | _coverage([e for e in in_forecast if e.deal.category == category], settings)
            for category in FORECAST_CATEGORIES
        ],
        "owners": [
            {"owner": owner}
            | _coverage([each for each in in_forecast if each.deal.owner == owner], settings)
            for owner in owners
        ],
        "first_debrief": {
            "deals": len(firsts),
            "never_debriefed": len(found) - len(firsts),
            "median_days": median([first.days for first in firsts]),
            "median_meetings": median([first.meetings for first in firsts]),
        },
        "deals": [_deal(each, settings, events) for each in found],
    }


def _coverage(deals: list[Covered], settings: LedgerSettings) -> dict[str, Any]:
    total = summed((each.deal.amount for each in deals), settings)
    measures: dict[str, Any] = {"amount": spelled(total, settings), "deals": len(deals)}
    for name, part in (
        ("recent", [each for each in deals if each.recent]),
        ("ever", [each for each in deals if each.debriefs]),
    ):
        amount = summed((each.deal.amount for each in part), settings)
        measures[f"{name}_amount"] = spelled(amount, settings)
        measures[f"{name}_deals"] = len(part)
        measures[f"{name}_percent"] = percent_of(amount, total)
    return measures


def median(numbers: list[int]) -> str | None:
    """The middle number, or halfway between the two in the middle, exactly; None of none."""
    if not numbers:
        return None
    middle = quantile(sorted(numbers), Fraction(1, 2))
    return format_amount(Decimal(middle.numerator) / middle.denominator)


def _causes(each: Covered) -> tuple[int, ...]:
    causes = {debrief.cause for debrief in each.debriefs}
    causes.update(() if each.first is None else each.first.told_by)
    return tuple(sorted(causes))


def _deal(each: Covered, settings: LedgerSettings, events: Mapping[int, Event]) -> dict[str, Any]:
    deal, first = each.deal, each.first
    return {
        "deal": deal.deal_id,
        "name": deal.name,
        "owner": deal.owner,
        "outcome": deal.outcome,
        "category": str(deal.category),
        **own_amount(deal.amount),
        "reporting_amount": spelled(converted(deal.amount, settings), settings),
        "in_forecast": each.in_forecast,
        "debriefs": len(each.debriefs),
        "last_at": each.debriefs[-1].at if each.debriefs else None,
        "recent": each.recent,
        "first_at": each.debriefs[0].at if each.debriefs else None,
        "first_after_days": None if first is None else first.days,
        "first_after_meetings": None if first is None else first.meetings,
        "meetings_from": None if first is None else "debrief" if first.said_so else "evidence",
        "because": opened(_causes(each), events),
    }
