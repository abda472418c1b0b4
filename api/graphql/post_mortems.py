"""The post-mortem of a deal as the schema shows it; see `projections.post_mortem`.

Law: what grows with the life of a deal - its weeks, late entries and timeline - is read page by
page. The other lists are short: a post-mortem takes a thousand events at most.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import strawberry

from api.graphql.about_deal import AboutDeal, of_deal
from api.graphql.forecasts import CATEGORIES
from api.graphql.journey import BECAUSE, RULE, Loop
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
from api.graphql.scalars import Date, DateTime, ExactDecimal
from api.graphql.told import told
from api.graphql.types import LedgerEvent
from projections.explain import opened
from projections.fold.contradiction import Contradicts, EndedBy
from projections.post_mortem import WEEKS_MAX

CATEGORY = f"{CATEGORIES}."
_OWN = "In the deal's own currency."
_CURRENCY = "The deal's own currency, an ISO 4217 code."
_STOOD = "The key of the gate where the deal really stood; null when all passed, or none judged."


# --- how it ended ---------------------------------------------------------------------------------


@strawberry.type(description="Why a deal ended, by either side.")
class ClosingReasons:
    buyer: str | None = strawberry.field(description="The reason as the buyer gave it.")
    seller: str | None = strawberry.field(description="The reason as the seller sees it.")
    because: list[LedgerEvent] = strawberry.field(
        description="The event that ended the deal; empty while it is open."
    )


@strawberry.type(description="A half-decade of amounts, in which deals are of like size.")
class AmountBand:
    half_decade: int = strawberry.field(description="k, of amounts from 10^(k/2) on.")
    from_: ExactDecimal = strawberry.field(
        name="from", description="The least amount in it, in the reporting currency."
    )
    below: ExactDecimal = strawberry.field(description="Amounts in it are less than this.")
    currency: str = strawberry.field(description="The reporting currency.")


# --- who could have known -------------------------------------------------------------------------


@strawberry.type(description="What was forecast of a deal.")
class ForecastClaim:
    category: str = strawberry.field(description=f"The claimed category: {CATEGORY}")
    period: str | None = strawberry.field(
        description="The fiscal quarter that holds the close date; null without one."
    )
    close_date: Date | None = strawberry.field(description="The claimed close date.")


@strawberry.type(description="What the evidence in hand said of a deal.")
class EvidenceSaid:
    category: str = strawberry.field(description=f"The category it supported: {CATEGORY}")
    stands_at: str | None = strawberry.field(description=_STOOD)


@strawberry.type(
    description="When the evidence in hand first contradicted the forecast, as known then."
)
class FirstKnowable:
    at: DateTime = strawberry.field(description="The moment, on both time axes.")
    rule: str = strawberry.field(description=f"By which rule: {', '.join(Contradicts)}.")
    sentence: str = strawberry.field(description="What stood against what, as a person says it.")
    claimed: ForecastClaim = strawberry.field(description="What was forecast then.")
    evidenced: EvidenceSaid = strawberry.field(description="What the evidence said then.")
    criteria: list[str] = strawberry.field(
        description="The keys of the criteria that were contradicted, or kept the deal back."
    )
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="A time in which the evidence in hand contradicted the forecast.")
class ForecastContradiction(FirstKnowable):
    until: DateTime | None = strawberry.field(description="When it ended; null while it lasts.")
    ended_by: str | None = strawberry.field(
        description=f"How it ended: {', '.join(EndedBy)}; null while it lasts."
    )
    ended_because: list[LedgerEvent] = strawberry.field(
        description="The events that ended it; none where evidence lapsed."
    )
    days: float | None = strawberry.field(
        description="How long it lasted, in days to two decimals; null while it lasts."
    )


# --- week by week ---------------------------------------------------------------------------------


@strawberry.type(description="What was claimed of a deal at the end of a week, as known then.")
class WeekClaim:
    category: str = strawberry.field(description=f"The claimed category: {CATEGORY}")
    amount: ExactDecimal | None = strawberry.field(description=_OWN)
    currency: str | None = strawberry.field(description=_CURRENCY)
    stage: str | None = strawberry.field(description="The stage as the CRM claimed it.")
    probability: int | None = strawberry.field(description="As claimed, 0 to 100 percent.")
    close_date: Date | None = strawberry.field(description="The claimed close date.")
    period: str | None = strawberry.field(
        description="The fiscal quarter that holds the close date; null without one."
    )
    outcome: str = strawberry.field(
        description="open, or how it ended: won, lost, no_decision, disqualified or abandoned."
    )


@strawberry.type(description="What the evidence said at the end of a week, as known then.")
class WeekEvidence:
    category: str = strawberry.field(description=f"The category it supported: {CATEGORY}")
    weight_percent: int = strawberry.field(
        description="The share of the amount in the measure weighted, in percent."
    )
    rule: str = strawberry.field(description=RULE)


@strawberry.type(description="Where a deal stood at the end of a week, as known then.")
class PostMortemWeek:
    week: int = strawberry.field(description="Its number, from 1 at the opening on.")
    ends_at: DateTime = strawberry.field(
        description="Its end; that of the last one is the decision, or validAt."
    )
    stood_at: str | None = strawberry.field(description=_STOOD)
    claimed: WeekClaim | None = strawberry.field(
        description="What was claimed; null while the deal was not known yet."
    )
    evidenced: WeekEvidence | None = strawberry.field(
        description="What the evidence said; null while the deal was not known yet."
    )
    because: list[LedgerEvent] = strawberry.field(
        description="The events that the evidenced category rests on."
    )


# --- criteria, regressions ------------------------------------------------------------------------


@strawberry.type(
    description="A criterion that evidence never met: of a gate before the decision, and of those "
    "after it for a deal that was won."
)
class NeverEvidenced:
    criterion: str = strawberry.field(description="The criterion's key.")
    gate: str = strawberry.field(description="The key of its gate.")
    question: str = strawberry.field(description="The question to ask in a debrief.")
    mandatory: bool = strawberry.field(description="False for one of the optional criteria.")
    status: str = strawberry.field(description="unmet, contradicted or waived.")
    rule: str = strawberry.field(description=RULE)
    summary: str = strawberry.field(description="Why, as a person says it.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="A time at which evidence aged out, or who had said it left.")
class LapsedCriterion:
    at: DateTime = strawberry.field(description="When, exact to the microsecond.")
    criterion: str = strawberry.field(description="The criterion's key.")
    gate: str | None = strawberry.field(
        description="The key of its gate; null where the version that judges lacks it."
    )
    rule: str = strawberry.field(description=RULE)
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="A fall of a deal to an earlier gate.")
class FallBack:
    at: DateTime = strawberry.field(description="When, exact to the microsecond.")
    kind: str = strawberry.field(
        description="regressed (by a word against it) or lapsed (evidence aged)."
    )
    from_gate: str | None = strawberry.field(description="The key of the gate where it stood.")
    to_gate: str | None = strawberry.field(description="The key of the gate it fell back to.")
    criteria: list[str] = strawberry.field(description="The keys of the criteria that moved it.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


# --- late entries ---------------------------------------------------------------------------------


@strawberry.type(description="Where a deal stood at an instant, by some knowledge.")
class LateStanding:
    stands_at: str | None = strawberry.field(description=_STOOD)
    category: str = strawberry.field(
        description=f"The category that the evidence supported: {CATEGORY}"
    )
    criterion: str | None = strawberry.field(
        description="The status of the criterion that the entry is about; null where it is about "
        "none."
    )


@strawberry.type(
    description="Evidence that became known more than two days after it happened, or after the "
    "decision, and what it would have changed."
)
class LateEntry:
    occurred_at: DateTime = strawberry.field(description="When it happened at the buyer.")
    known_at: DateTime = strawberry.field(description="When the organisation knew.")
    days_late: float = strawberry.field(description="The days in between, to two decimals.")
    why: list[str] = strawberry.field(description="known_late, known_after_decision, or both.")
    criterion: str | None = strawberry.field(description="The key of the criterion it is about.")
    what: str = strawberry.field(description="What it says, in a few words.")
    compared_at: DateTime = strawberry.field(
        description="The instant at which the three standings below hold: when it happened, or "
        "the opening, if that is later."
    )
    as_known_then: LateStanding | None = strawberry.field(
        description="By what was known then; null while the deal was not known yet."
    )
    with_it: LateStanding | None = strawberry.field(
        description="Had this one piece been known too."
    )
    in_hindsight: LateStanding | None = strawberry.field(
        description="With everything that became known since."
    )
    would_have_changed: bool = strawberry.field(
        description="Whether the deal, had it been known, had stood elsewhere or in another "
        "category."
    )
    because: list[LedgerEvent] = strawberry.field(description="The event that told it.")


# --- the most similar won deal --------------------------------------------------------------------


@strawberry.type(description="One of two deals that are held side by side.")
class ComparedSide:
    evidence: int = strawberry.field(
        description="How many pieces of evidence were recorded up to its decision."
    )
    days: float = strawberry.field(description="From its opening to its decision, in days.")


@strawberry.type(description="How long two deals stood at one gate.")
class ComparedGate:
    gate: str = strawberry.field(description="The gate's key.")
    this: float | None = strawberry.field(
        description="The days that the deal of the post-mortem stood there; null where it never "
        "reached it."
    )
    that: float | None = strawberry.field(
        description="The days that the won deal stood there; null where it never reached it."
    )


@strawberry.type(
    description="The won deal that is most like the one of the post-mortem: under the same "
    "playbook, through the same gates at least, in the same band of amounts."
)
class SimilarWon(AboutDeal):
    amount: ExactDecimal | None = strawberry.field(description=_OWN)
    currency: str | None = strawberry.field(description=_CURRENCY)
    band: AmountBand | None = strawberry.field(description="The band of its amount.")
    this: ComparedSide = strawberry.field(description="The deal of the post-mortem.")
    that: ComparedSide = strawberry.field(description="The won deal.")
    gates: list[ComparedGate] = strawberry.field(
        description="The gates before the decision, in order."
    )


# --- the whole of it ------------------------------------------------------------------------------


@strawberry.type(description="An event in the case of a post-mortem, and what became of it.")
class CaseEntry:
    event: LedgerEvent = strawberry.field(description="The event.")
    stream: str = strawberry.field(description="What it was recorded of, such as deal:acme-1.")
    kind: str = strawberry.field(
        description="claim, evidence, stakeholder, waiver, decision, review or correction."
    )
    status: str = strawberry.field(
        description="counts, later (after validAt), corrected or retracted."
    )
    late: bool = strawberry.field(description="Whether it is a late entry.")

    @classmethod
    def of(cls, facts: dict[str, Any]) -> CaseEntry:
        """An entry as `projections.case.timeline_of` tells it."""
        return told(cls, {**facts, "event": {**facts, "summary": facts["what"]}})


@strawberry.type(
    description="A deal looked back on, decided or still open: what was claimed, what the "
    "evidence said, and who could have known."
)
class PostMortem(AboutDeal):
    answer: strawberry.Private[dict[str, Any]]
    owner: str | None = strawberry.field(description="The id of the person who owns the deal.")
    amount: ExactDecimal | None = strawberry.field(description=_OWN)
    currency: str | None = strawberry.field(description=_CURRENCY)
    outcome: str = strawberry.field(
        description="open, or how it ended: won, lost, no_decision, disqualified or abandoned."
    )
    opened_at: DateTime = strawberry.field(description="When the deal was opened.")
    decided_at: DateTime | None = strawberry.field(description="When it ended; null while open.")
    stood_at: str | None = strawberry.field(
        description="The key of the gate where it stood when it was decided, or stands while open."
    )
    playbook: str | None = strawberry.field(description="The version that judges, key@version.")
    reasons: ClosingReasons = strawberry.field(description="Why it ended.")
    amount_band: AmountBand | None = strawberry.field(
        description="The band of its amount; null without an amount or a rate."
    )
    first_knowable: FirstKnowable | None = strawberry.field(
        description="When the evidence in hand first contradicted the forecast; null where it "
        "never did."
    )
    forecast_reacted_at: DateTime | None = strawberry.field(
        description="When the forecast came down to that evidence; null where it did not."
    )
    days_to_react: float | None = strawberry.field(
        description="The days in between, to two decimals."
    )
    contradictions: list[ForecastContradiction] = strawberry.field(
        description="Every time in which the evidence in hand contradicted the forecast."
    )
    weeks_left_out: int = strawberry.field(
        description=f"How many weeks are not told: a deal is told by {WEEKS_MAX} weeks at most, "
        "the last one of them."
    )
    never_evidenced: list[NeverEvidenced] = strawberry.field(
        description="The criteria that evidence never met."
    )
    lapsed: list[LapsedCriterion] = strawberry.field(
        description="Each time that evidence lapsed, in the order of time."
    )
    regressions: list[FallBack] = strawberry.field(
        description="Each fall to an earlier gate, in the order of time."
    )
    loops: list[Loop] = strawberry.field(
        description="The gates that were passed, lost, and passed again."
    )
    similar_won: SimilarWon | None = strawberry.field(
        description="The won deal most like it; null where none is like it."
    )

    @strawberry.field(description="Where it stood at the end of each week, from the opening on.")
    async def weeks(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[PostMortemWeek]:
        weeks = self.answer["weeks"]
        causes = {cause for week in weeks for cause in week["causes"]}
        events = await self.book.ask(lambda book: book.causes(causes))

        def shown(week: dict[str, Any]) -> PostMortemWeek:
            because = opened(tuple(week["causes"]), events)
            return told(PostMortemWeek, {**week, "because": because})

        paging = Paging(first, after, last, before)
        return page(self.book, self._listed("weeks"), paging, weeks, shown)

    @strawberry.field(description="The evidence that came late, in the order in which it happened.")
    def late_entries(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[LateEntry]:
        paging, late = Paging(first, after, last, before), self.answer["late_entries"]
        return page(self.book, self._listed("late"), paging, late, partial(told, LateEntry))

    @strawberry.field(
        description="The deal's events, those on its account and acts on them, in the order in "
        "which they happened."
    )
    def timeline(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[CaseEntry]:
        paging, entries = Paging(first, after, last, before), self.answer["timeline"]
        return page(self.book, self._listed("timeline"), paging, entries, CaseEntry.of)

    def _listed(self, part: str) -> tuple[str, str, str]:
        return "postMortem", str(self.deal_id), part

    @classmethod
    def at(cls, opener: Opener, answer: dict[str, Any]) -> PostMortem:
        """A post-mortem as `projections.post_mortem.post_mortem` tells it."""
        similar = answer["similar_won"]
        like_it = None if similar is None else of_deal(opener, similar)
        return cls.about(opener, {**answer, "similar_won": like_it, "answer": answer})
