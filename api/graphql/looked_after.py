"""What was debriefed of a forecast and how deals ended, as the schema shows it.

Law: both are told of a fiscal period; their deals, of which there are as many as the period holds,
are read page by page. See `projections.debriefs` and `projections.decisions` for what it means.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import strawberry

from api.graphql.about_deal import AboutDeal
from api.graphql.journey import BECAUSE, RULE, SINCE
from api.graphql.opener import Opener
from api.graphql.relay import (
    AfterArgument,
    BeforeArgument,
    Connection,
    FirstArgument,
    LastArgument,
    Paging,
    page,
)
from api.graphql.scalars import DateTime, ExactDecimal
from api.graphql.told import told
from api.graphql.types import LedgerEvent
from projections.debriefs import RECENT_DAYS
from projections.fold.remorse import Remorse

OUTCOMES = "won, lost, no_decision, disqualified or abandoned."
PERIOD = "The fiscal period, such as 2026-Q1."
REPORTING_CURRENCY = "The reporting currency; null without one."
_REPORTING = "In the reporting currency, rounded once"


@strawberry.type(description="A deal of a period, with its amount.")
class DealOfPeriod(AboutDeal):
    owner: str | None = strawberry.field(description="The id of the person who owns the deal.")
    outcome: str = strawberry.field(description=f"open, or how it ended: {OUTCOMES}")
    amount: ExactDecimal | None = strawberry.field(description="In the deal's own currency.")
    currency: str | None = strawberry.field(description="The deal's own currency.")
    reporting_amount: ExactDecimal | None = strawberry.field(
        description=f"{_REPORTING}; null without an amount or a rate."
    )


# --- debriefs -------------------------------------------------------------------------------------


@strawberry.type(
    description="How much of the open claimed forecast was debriefed: the open deals of the "
    "period that are claimed as pipeline, best case or commit."
)
class DebriefCoverage:
    amount: ExactDecimal = strawberry.field(description=f"Of all of it. {_REPORTING}.")
    deals: int = strawberry.field(description="How many deals.")
    recent_amount: ExactDecimal = strawberry.field(
        description=f"Of the deals debriefed less than {RECENT_DAYS} days before validAt. "
        f"{_REPORTING}."
    )
    recent_deals: int = strawberry.field(description="How many deals were debriefed as recently.")
    recent_percent: ExactDecimal | None = strawberry.field(
        description="The share of the amount debriefed as recently, in percent to one decimal; "
        "null of nothing."
    )
    ever_amount: ExactDecimal = strawberry.field(
        description=f"Of the deals debriefed at any time. {_REPORTING}."
    )
    ever_deals: int = strawberry.field(description="How many deals were debriefed at any time.")
    ever_percent: ExactDecimal | None = strawberry.field(
        description="The share of the amount debriefed at any time, in percent to one decimal; "
        "null of nothing."
    )


@strawberry.type(description="How much of a category was debriefed.")
class CategoryCoverage(DebriefCoverage):
    category: str = strawberry.field(description="pipeline, best_case or commit.")


@strawberry.type(description="How much of what a person owns was debriefed.")
class OwnerCoverage(DebriefCoverage):
    owner: str | None = strawberry.field(
        description="The id of the person who owns the deals; null of deals that nobody owns."
    )


@strawberry.type(description="How early the first debriefs of a period's deals came.")
class FirstDebriefs:
    deals: int = strawberry.field(description="How many deals had a debrief.")
    never_debriefed: int = strawberry.field(description="How many had none.")
    median_days: ExactDecimal | None = strawberry.field(
        description="The median of the days from the opening to the first debrief; null without "
        "any."
    )
    median_meetings: ExactDecimal | None = strawberry.field(
        description="The median of the meetings and calls before the first debrief; null without "
        "any."
    )


@strawberry.type(description="A deal of the period, with its debriefs.")
class DebriefedDeal(DealOfPeriod):
    category: str = strawberry.field(description="The claimed forecast category.")
    in_forecast: bool = strawberry.field(
        description="Whether its amount is a part of the open claimed forecast."
    )
    debriefs: int = strawberry.field(description="How many debriefs were held.")
    last_at: DateTime | None = strawberry.field(description="When the last one was held.")
    recent: bool = strawberry.field(
        description=f"Whether that was less than {RECENT_DAYS} days before validAt."
    )
    first_at: DateTime | None = strawberry.field(description="When the first one was held.")
    first_after_days: int | None = strawberry.field(
        description="How many days after the opening, in the reporting time zone."
    )
    first_after_meetings: int | None = strawberry.field(
        description="After how many meetings and calls with the buyer."
    )
    meetings_from: str | None = strawberry.field(
        description="Who tells how many: debrief, or evidence where the debrief does not."
    )
    because: list[LedgerEvent] = strawberry.field(
        description="The debriefs, and the evidence that tells of the meetings."
    )


@strawberry.type(
    description="How much of a period's open claimed forecast was debriefed, and how early."
)
class Debriefs:
    book: strawberry.Private[Opener]
    answer: strawberry.Private[dict[str, Any]]
    period: str = strawberry.field(description=PERIOD)
    currency: str | None = strawberry.field(description=REPORTING_CURRENCY)
    recent_days: int = strawberry.field(
        description="Less than so many days before validAt is recent."
    )
    total: DebriefCoverage = strawberry.field(description="Of the whole open claimed forecast.")
    categories: list[CategoryCoverage] = strawberry.field(description="By claimed category.")
    first_debrief: FirstDebriefs = strawberry.field(description="How early debriefs came.")

    @strawberry.field(description="By owner, in the order of their ids; nobody comes last.")
    def owners(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[OwnerCoverage]:
        listed, paging = ("debriefs", self.period, "owners"), Paging(first, after, last, before)
        return page(self.book, listed, paging, self.answer["owners"], partial(told, OwnerCoverage))

    @strawberry.field(description="The deals of the period, in the order of their ids.")
    def deals(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[DebriefedDeal]:
        listed, paging = ("debriefs", self.period, "deals"), Paging(first, after, last, before)
        shown = partial(DebriefedDeal.about, self.book)
        return page(self.book, listed, paging, self.answer["deals"], shown)

    @classmethod
    def at(cls, opener: Opener, answer: dict[str, Any]) -> Debriefs:
        """The coverage as `projections.debriefs.debrief_coverage` tells it."""
        return told(cls, {**answer, "book": opener, "answer": answer})


# --- decisions ------------------------------------------------------------------------------------


@strawberry.type(description="How many of a period's decided deals ended in one way.")
class OutcomeShare:
    outcome: str = strawberry.field(description=OUTCOMES)
    deals: int = strawberry.field(description="How many deals.")
    deals_percent: ExactDecimal | None = strawberry.field(
        description="Their share of all that ended, in percent to one decimal; null of none."
    )
    amount: ExactDecimal = strawberry.field(description=f"{_REPORTING}.")
    amount_percent: ExactDecimal | None = strawberry.field(
        description="Its share of the amount of all that ended, in percent to one decimal; null "
        "of nothing."
    )


@strawberry.type(description="A criterion of a gate after the decision, for a deal that was won.")
class CriterionAfterDecision:
    gate: str = strawberry.field(description="The key of its gate.")
    criterion: str = strawberry.field(description="The criterion's key.")
    question: str = strawberry.field(description="What to ask.")
    mandatory: bool = strawberry.field(description="False for one of the optional criteria.")
    status: str = strawberry.field(description="unmet, met, stale, contradicted or waived.")
    rule: str = strawberry.field(description=RULE)
    since: DateTime = strawberry.field(description=SINCE)
    lapses_at: DateTime | None = strawberry.field(
        description="When it lapses if nothing happens; null where it does not age."
    )
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="A sign that the purchase may yet be regretted.")
class RemorseRisk:
    rule: str = strawberry.field(description=f"Which rule says so: {', '.join(Remorse)}.")
    sentence: str = strawberry.field(description="What it is, as a person says it.")
    since: DateTime = strawberry.field(description=SINCE)
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="A deal that ended.")
class DecidedDeal(DealOfPeriod):
    closed_at: DateTime = strawberry.field(description="When it ended.")
    because: list[LedgerEvent] = strawberry.field(description="The event that ended it.")


@strawberry.type(description="A deal that was won, and what became of it since.")
class WonDeal(DecidedDeal):
    playbook: str | None = strawberry.field(description="The version that judges, key@version.")
    stands_at: str | None = strawberry.field(
        description="The key of the first gate that does not pass now; null when all pass."
    )
    criteria: list[CriterionAfterDecision] = strawberry.field(
        description="The criteria of the gates after the decision, in order."
    )
    risks: list[RemorseRisk] = strawberry.field(description="The signs of buyer's remorse.")


@strawberry.type(description="A deal that ended in another way, and why.")
class NotWonDeal(DecidedDeal):
    buyer_reason: str | None = strawberry.field(description="The reason as the buyer gave it.")
    seller_reason: str | None = strawberry.field(description="The reason as the seller sees it.")
    missing_reasons: list[str] = strawberry.field(
        description="Whose reason nobody gave: buyer, seller, both or neither."
    )
    stood_at: str | None = strawberry.field(
        description="The key of the gate where it really stood; null when all passed."
    )
    claimed_stage: str | None = strawberry.field(description="The stage as the CRM claimed it.")
    missing: list[str] = strawberry.field(
        description="The keys of the mandatory criteria of that gate that were not met."
    )


@strawberry.type(description="How the deals of a period ended.")
class Decisions:
    book: strawberry.Private[Opener]
    answer: strawberry.Private[dict[str, Any]]
    period: str = strawberry.field(description=PERIOD)
    currency: str | None = strawberry.field(description=REPORTING_CURRENCY)
    decided: int = strawberry.field(description="How many deals ended.")
    outcomes: list[OutcomeShare] = strawberry.field(description="By outcome.")
    no_decision_percent: ExactDecimal | None = strawberry.field(
        description="The share of deals that ended without a decision, in percent to one decimal; "
        "null where none ended."
    )

    @strawberry.field(description="The deals that were won, in the order of their ids.")
    def won(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[WonDeal]:
        listed, paging = ("decisions", self.period, "won"), Paging(first, after, last, before)
        shown = partial(WonDeal.about, self.book)
        return page(self.book, listed, paging, self.answer["won"], shown)

    @strawberry.field(description="The deals that ended in another way, in the order of their ids.")
    def not_won(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[NotWonDeal]:
        listed, paging = ("decisions", self.period, "notWon"), Paging(first, after, last, before)
        shown = partial(NotWonDeal.about, self.book)
        return page(self.book, listed, paging, self.answer["not_won"], shown)

    @classmethod
    def at(cls, opener: Opener, answer: dict[str, Any]) -> Decisions:
        """The decisions as `projections.decisions.decisions` tells them."""
        return told(cls, {**answer, "book": opener, "answer": answer})
