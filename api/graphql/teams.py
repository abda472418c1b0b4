"""The team as the schema shows it: the chart, what is owned and rolled up, assessments.

Law: the chart is told top down, each person before those who report to them, with a depth; so a
page of it can be read as a part of a tree. See `projections.team` for what it means.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import strawberry

from api.graphql.journey import BECAUSE
from api.graphql.looked_after import PERIOD, REPORTING_CURRENCY
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
from api.graphql.scalars import BigInt, DateTime, ExactDecimal
from api.graphql.told import told
from api.graphql.types import LedgerEvent
from projections.fold.assessments import FRESH_FOR_DAYS

T = TypeVar("T")

_ASPECT = f"{', '.join(FRESH_FOR_DAYS)}."
_SCORE = "1 (low) to 5 (high)."
_ASSESSOR = "The id of whose judgement it is."


@strawberry.type(description="Amounts by forecast category, in the reporting currency.")
class CategoryAmounts:
    pipeline: ExactDecimal = strawberry.field(description="Open, and too early to say.")
    best_case: ExactDecimal = strawberry.field(description="Could close in the period.")
    commit: ExactDecimal = strawberry.field(description="Will close in the period.")
    closed: ExactDecimal = strawberry.field(description="Won.")


@strawberry.type(description="Deals of the period, claimed beside evidenced.")
class TeamSums:
    deals: int = strawberry.field(description="How many deals.")
    claimed: CategoryAmounts = strawberry.field(description="By what the CRM or the rep claims.")
    evidenced: CategoryAmounts = strawberry.field(description="By what the evidence supports.")


@strawberry.type(description="One assessment of an aspect.")
class PastAssessment:
    at: DateTime = strawberry.field(description="When it was made.")
    score: int = strawberry.field(description=_SCORE)
    assessor: str = strawberry.field(description=_ASSESSOR)
    position: BigInt = strawberry.field(description="The position of the assessment.")


@strawberry.type(description="How a manager finds an aspect of one of their people.")
class AssessedAspect:
    aspect: str = strawberry.field(description=_ASPECT)
    status: str = strawberry.field(description="fresh, stale, or none where nobody assessed it.")
    score: int | None = strawberry.field(description=_SCORE)
    assessor: str | None = strawberry.field(description=_ASSESSOR)
    at: DateTime | None = strawberry.field(description="When it was assessed last.")
    note: str | None = strawberry.field(description="What else was said.")
    since: DateTime | None = strawberry.field(
        description="From when its status has been so; null where it was never assessed."
    )
    lapses_at: DateTime | None = strawberry.field(
        description="When a fresh one ceases to count if nothing happens."
    )
    history: list[PastAssessment] = strawberry.field(
        description="All assessments of it, the last one last."
    )
    because: list[LedgerEvent] = strawberry.field(description="The last assessment.")


@strawberry.type(description="A person in the chart, with their deals of the period.")
class TeamMember:
    person: strawberry.ID | None = strawberry.field(
        description="Their id; null for what nobody owns."
    )
    depth: int = strawberry.field(description="How many stand above them here; 0 for a root.")
    name: str | None = strawberry.field(description="Their name.")
    role: str | None = strawberry.field(description="Their role.")
    team: str | None = strawberry.field(description="Their team.")
    manager: str | None = strawberry.field(description="The id of their manager.")
    left: bool = strawberry.field(description="Whether they have left.")
    in_chart: bool = strawberry.field(
        description="False for one who owns deals and of whom nothing else is known."
    )
    reports: list[strawberry.ID] = strawberry.field(
        description="The ids of those who report to them directly."
    )
    own: TeamSums = strawberry.field(description="What they own themselves.")
    rolled_up: TeamSums = strawberry.field(
        description="The same with that of all below them, each deal once."
    )
    assessments: list[AssessedAspect] = strawberry.field(
        description="How they were found, aspect by aspect; empty where it is not for you to see."
    )
    because: list[LedgerEvent] = strawberry.field(description="The events about them.")


@strawberry.type(description="An assessment that is to be made.")
class DueAssessment:
    person: strawberry.ID = strawberry.field(description="The id of whom to assess.")
    aspect: str = strawberry.field(description=_ASPECT)
    status: str = strawberry.field(description="stale, or none where nobody assessed it.")
    since: DateTime | None = strawberry.field(
        description="Since when it is stale; null where it was never assessed."
    )
    fresh_for_days: int = strawberry.field(
        description="For how many days an assessment of this aspect counts."
    )
    position: BigInt | None = strawberry.field(
        description="The position of the last assessment; null without one."
    )


@strawberry.type(description="What is wrong with the chart: people who report in a circle.")
class ChartFault:
    fault: str = strawberry.field(description="reporting-cycle.")
    people: list[strawberry.ID] = strawberry.field(description="The ids of those in the circle.")
    cut_at: strawberry.ID = strawberry.field(
        description="Who is taken as reporting to nobody, so that sums are right."
    )
    sentence: str = strawberry.field(description="What it is, as a person says it.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(
    description="Who reports to whom, what they claim and what the evidence says, and how they "
    "are doing."
)
class Team:
    book: strawberry.Private[Opener]
    answer: strawberry.Private[dict[str, Any]]
    manager: strawberry.Private[str | None]
    period: str = strawberry.field(description=PERIOD)
    organisation: str = strawberry.field(description="as_was or as_is: whose chart it is.")
    currency: str | None = strawberry.field(description=REPORTING_CURRENCY)
    faults: list[ChartFault] = strawberry.field(description="What is wrong with the chart.")

    @strawberry.field(
        description="The chart as a tree, top down: each person before those who report to them. "
        "The roots together hold the whole forecast of the period."
    )
    def people(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[TeamMember]:
        return self._page("people", TeamMember, Paging(first, after, last, before))

    @strawberry.field(description="The assessments to make, in the order of the chart.")
    def due(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[DueAssessment]:
        return self._page("due", DueAssessment, Paging(first, after, last, before))

    def _page(self, part: str, shown: type[T], paging: Paging) -> Connection[T]:
        listed = ("team", self.period, self.manager, self.organisation, part)
        return page(self.book, listed, paging, self.answer[part], partial(told, shown))

    @classmethod
    def at(cls, opener: Opener, manager: str | None, answer: dict[str, Any]) -> Team:
        """A team.

        Args:
            opener: of the snapshot.
            manager: whose part of the chart was asked for.
            answer: see `projections.team.team`.
        """
        return told(cls, {**answer, "book": opener, "manager": manager, "answer": answer})
