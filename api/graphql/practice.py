"""The practice of qualifying as the schema shows it: agenda, queue, ladder, playbook versions.

Law: answers that are small and settled have types; see `projections` for what each of them means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import strawberry

from api.graphql.identity import Node
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
from api.graphql.scalars import BigInt, ExactDecimal
from api.graphql.told import told
from api.graphql.types import STREAM_VERSION, BasisType, LedgerEvent
from ledger.domain.events import stream_name
from projections.playbooks import playbook_as_dict

WHY = (
    "Why it is asked: contradicted, stale, missing (nothing counted ever), too_old (for the next "
    "gate) or lapsing."
)
REPORTING = "In the reporting currency, rounded once; null without a rate."


# --- agenda and queue ---------------------------------------------------------------------------


@strawberry.type(description="Somebody at the buyer who could say what is asked.")
class CanSayIt:
    stakeholder: strawberry.ID = strawberry.field(description="The stakeholder's id.")
    name: str | None = strawberry.field(description="Their name.")


@strawberry.type(description="What was said of a criterion last.")
class LastWord:
    at: str = strawberry.field(description="When it was said, an instant in UTC.")
    stance: str = strawberry.field(description="supports or contradicts.")
    source_kind: str = strawberry.field(description="meeting, call, email, document, crm or other.")
    said_by: str | None = strawberry.field(description="The id of the stakeholder who said it.")
    name: str | None = strawberry.field(description="Their name.")
    quote: str | None = strawberry.field(description="In the buyer's words.")
    position: BigInt = strawberry.field(description="The position of the evidence.")


@strawberry.type(description="How often a question was asked in debriefs without an answer.")
class NoAnswer:
    times: int = strawberry.field(description="How often.")
    last_at: str | None = strawberry.field(description="When last, an instant in UTC.")


@strawberry.type(description="A question for a debrief: a benchmark, never a feeling.")
class AgendaQuestion:
    gate: str = strawberry.field(description="The key of its gate.")
    criterion: str = strawberry.field(description="The criterion's key.")
    question: str = strawberry.field(description="What to ask.")
    why: str = strawberry.field(description=WHY)
    status: str = strawberry.field(description="The criterion's status at the basis.")
    rule: str = strawberry.field(description=RULE)
    reason: str = strawberry.field(description="Why it has that status, as a person says it.")
    since: str = strawberry.field(description=SINCE)
    lapses_at: str | None = strawberry.field(description="When it lapses if nothing happens.")
    mandatory: bool = strawberry.field(description="False for one of the optional criteria.")
    layer: str = strawberry.field(description="organization, opportunity or stakeholder.")
    said_by_role: str | None = strawberry.field(description="The role whose word counts.")
    can_say_it: list[CanSayIt] = strawberry.field(
        description="Who at the buyer has that role and is still there."
    )
    source_kinds: list[str] = strawberry.field(description="The kinds of source that count.")
    last_word: LastWord | None = strawberry.field(
        description="What was said of it last; null when nothing was."
    )
    no_answer: NoAnswer = strawberry.field(description="How often nobody could answer it.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="What to ask in a debrief of a deal.")
class Agenda:
    looks_ahead_until: str = strawberry.field(
        description="What lapses up to here is asked too, an instant in UTC."
    )
    playbook: str | None = strawberry.field(description="The version that judges, key@version.")
    claimed_gate: str | None = strawberry.field(description="The gate that the CRM claims.")
    stands_at: str | None = strawberry.field(description="The gate where the deal really stands.")
    meetings: int = strawberry.field(
        description="How many meetings and calls the evidence tells of."
    )
    debriefs: int = strawberry.field(description="How many debriefs were held.")
    last_debrief_at: str | None = strawberry.field(description="When last, an instant in UTC.")
    questions: list[AgendaQuestion] = strawberry.field(description="In gate order.")


@strawberry.type(description="A criterion of a deal to confirm again.")
class QueueRow:
    deal: strawberry.ID = strawberry.field(description="The deal's id in the CRM.")
    name: str | None = strawberry.field(description="The deal's name.")
    owner: str | None = strawberry.field(description="The id of the person who owns the deal.")
    gate: str = strawberry.field(description="The key of the criterion's gate.")
    criterion: str = strawberry.field(description="The criterion's key.")
    question: str = strawberry.field(description="What to ask.")
    why: str = strawberry.field(description=WHY)
    status: str = strawberry.field(description="The criterion's status at the basis.")
    reason: str = strawberry.field(description="Why it has that status, as a person says it.")
    since: str = strawberry.field(description=SINCE)
    lapses_at: str | None = strawberry.field(description="When it lapses if nothing happens.")
    said_by_role: str | None = strawberry.field(description="The role whose word counts.")
    at_risk: ExactDecimal | None = strawberry.field(
        description=f"The deal's whole amount. {REPORTING}"
    )
    amount: ExactDecimal | None = strawberry.field(description="In the deal's own currency.")
    currency: str | None = strawberry.field(description="The deal's own currency.")
    stands_at: str | None = strawberry.field(description="The gate where the deal really stands.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="What of somebody's book has to be confirmed again, added up.")
class AtRisk:
    owner: str | None = strawberry.field(description="The id of the person who owns the deals.")
    criteria: int = strawberry.field(description="How many criteria.")
    deals: int = strawberry.field(description="In how many deals.")
    at_risk: ExactDecimal | None = strawberry.field(
        description="The amount of those deals, each once, in the reporting currency."
    )


@strawberry.type(description="The requalification queue: what to confirm again.")
class Queue:
    pages: strawberry.Private[Callable[[Paging], Connection[QueueRow]]]
    organisation: str = strawberry.field(
        description="as_was or as_is: who reports to the manager asked about."
    )
    looks_ahead_until: str = strawberry.field(
        description="What lapses up to here is in it too, an instant in UTC."
    )
    currency: str | None = strawberry.field(description="The reporting currency.")
    owners: list[AtRisk] = strawberry.field(description="By owner.")

    @strawberry.field(
        description="The largest amount at risk first, then by the instant of the lapse."
    )
    def rows(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[QueueRow]:
        return self.pages(Paging(first, after, last, before))

    @classmethod
    def at(cls, opener: Opener, listed: Sequence[Any], answer: dict[str, Any]) -> Queue:
        """A queue.

        Args:
            opener: of the snapshot.
            listed: what was asked, as JSON.
            answer: see `projections.queue.requalification_queue`.
        """

        def pages(paging: Paging) -> Connection[QueueRow]:
            rows = answer["rows"]
            return page(opener, listed, paging, rows, lambda each: told(QueueRow, each))

        return told(cls, {**answer, "pages": pages})


# --- ladder -------------------------------------------------------------------------------------


@strawberry.type(description="A number of the ladder, as given and in the reporting currency.")
class LadderNumber:
    amount: ExactDecimal = strawberry.field(description="As given.")
    currency: str = strawberry.field(description="As given.")
    reporting_amount: ExactDecimal | None = strawberry.field(description=REPORTING)


@strawberry.type(description="What one superior made of a call.")
class LadderStep:
    adjuster: str = strawberry.field(description="The id of who adjusted it.")
    level: int | None = strawberry.field(
        description="1 for the person's manager, 2 for theirs; null for one outside the chain."
    )
    kind: str = strawberry.field(description="override or haircut.")
    haircut_percent: int | None = strawberry.field(description="Of a haircut, by how much.")
    after: LadderNumber | None = strawberry.field(description="What stands after this step.")
    difference: ExactDecimal | None = strawberry.field(
        description="After less before, in the reporting currency; the steps add up exactly."
    )
    reason: str = strawberry.field(description="Why.")
    expires_at: str = strawberry.field(description="Until when it holds, an instant in UTC.")
    position: BigInt = strawberry.field(description="The position of the adjustment.")


@strawberry.type(
    description="A person's number in a category, and what their superiors made of it."
)
class LadderCall:
    person: strawberry.ID = strawberry.field(description="Whose call it is.")
    name: str | None = strawberry.field(description="Their name.")
    category: str = strawberry.field(description="commit, best_case or pipeline.")
    called: LadderNumber | None = strawberry.field(description="What the person submitted.")
    steps: list[LadderStep] = strawberry.field(description="The nearest superior first.")
    adjusted: LadderNumber | None = strawberry.field(description="What stands in the end.")
    difference: ExactDecimal | None = strawberry.field(
        description="Adjusted less called, in the reporting currency."
    )
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="The total of a category once everybody up to a level adjusted it.")
class LadderLevel:
    level: int | None = strawberry.field(
        description="1 for the callers' managers, 2 for theirs; null for those outside the chain."
    )
    adjusters: list[strawberry.ID] = strawberry.field(description="Who adjusted at this level.")
    total: ExactDecimal = strawberry.field(description="What stands after it.")
    difference: ExactDecimal = strawberry.field(description="Less what stood before it.")


@strawberry.type(description="The totals of a category, in the reporting currency.")
class LadderCategory:
    category: str = strawberry.field(description="commit, best_case or pipeline.")
    called: ExactDecimal = strawberry.field(description="As submitted.")
    levels: list[LadderLevel] = strawberry.field(description="Level by level, upwards.")
    adjusted: ExactDecimal = strawberry.field(description="What stands in the end.")
    difference: ExactDecimal = strawberry.field(description="Adjusted less called.")


@strawberry.type(description="A person's commit beside the evidence and the outcome.")
class LadderPerson:
    person: strawberry.ID = strawberry.field(description="The person's id.")
    name: str | None = strawberry.field(description="Their name.")
    manager: str | None = strawberry.field(description="The id of their manager at the basis.")
    called: ExactDecimal | None = strawberry.field(description="The commit they submitted.")
    adjusted: ExactDecimal | None = strawberry.field(description="What their superiors made of it.")
    evidenced_commit: ExactDecimal = strawberry.field(
        description="What the evidence supports as commit, of the open deals."
    )
    closed: ExactDecimal = strawberry.field(
        description="What had been won of the period at the basis."
    )
    outcome: ExactDecimal = strawberry.field(
        description="What was won in the period in the end, as of outcomeBasis."
    )
    called_less_outcome: ExactDecimal | None = strawberry.field(description="The call's miss.")
    adjusted_less_outcome: ExactDecimal | None = strawberry.field(
        description="The adjusted number's miss."
    )
    evidenced_less_outcome: ExactDecimal = strawberry.field(
        description="The miss of evidenced commit and what had been won, together."
    )
    closest: str | None = strawberry.field(
        description="evidenced, adjusted or called: what came closest; null until the period has "
        "ended, or without a call."
    )


@strawberry.type(description="From call to adjusted number in a period, step by step.")
class Ladder:
    book: strawberry.Private[Opener]
    period: str = strawberry.field(description="Such as 2026-Q1.")
    outcome_basis: BasisType = strawberry.field(
        description="As of which the outcome is told: all that the horizon holds."
    )
    ended: bool = strawberry.field(description="Whether the period was over by then.")
    currency: str | None = strawberry.field(description="The reporting currency.")
    calls: list[LadderCall] = strawberry.field(description="Every call and its steps.")
    categories: list[LadderCategory] = strawberry.field(description="The totals.")
    people: list[LadderPerson] = strawberry.field(
        description="Commit, evidence and outcome by person, in the reporting currency."
    )
    unconverted: list[BigInt] = strawberry.field(
        description="The positions of numbers that have no rate, and are in no total."
    )

    @strawberry.field(
        description=f"{STREAM_VERSION} Of the period, that is: of everybody's calls and quotas "
        "in it."
    )
    async def stream_version(self) -> int | None:
        return await self.book.version(stream_name("period", self.period))

    @classmethod
    def at(cls, opener: Opener, facts: dict[str, Any]) -> Ladder:
        """A ladder as `projections.ladder.ladder` tells it."""
        return told(cls, {**facts, "book": opener})


# --- playbooks ----------------------------------------------------------------------------------


@strawberry.type(description="When a playbook was last checked against what buyers do.")
class PlaybookReview:
    at: str = strawberry.field(description="When, an instant in UTC.")
    reviewer: str | None = strawberry.field(
        description="Who went through it; null where it was only published."
    )
    due_at: str | None = strawberry.field(description="When the next review is due.")
    overdue: bool = strawberry.field(
        description="Whether that is past: a journey not reviewed for 60 days is to be taken as "
        "wrong."
    )
    because: LedgerEvent = strawberry.field(description="The event of the review.")


@strawberry.type(description="A part that somebody at the buyer plays.")
class PlaybookRole:
    role: str = strawberry.field(description="Its key, such as economic_buyer.")
    name: str = strawberry.field(description="Its name.")
    authority: bool = strawberry.field(description="Whether it may decide on the purchase.")


@strawberry.type(description="How fresh evidence must be once a deal has come to a later gate.")
class Tightening:
    gate: str = strawberry.field(description="The key of the later gate.")
    days: int = strawberry.field(description="For how many days evidence counts from there on.")


@strawberry.type(description="An exit criterion as a playbook says it.")
class PlaybookCriterion:
    criterion: str = strawberry.field(description="Its key.")
    question: str = strawberry.field(description="The question to ask in a debrief.")
    layer: str = strawberry.field(description="organization, opportunity or stakeholder.")
    mandatory: bool = strawberry.field(description="False for one of the optional criteria.")
    fresh_for_days: int | None = strawberry.field(
        description="For how many days evidence counts; null where it does not age."
    )
    fresher_at: list[Tightening] = strawberry.field(
        description="The later gates at which evidence must be fresher."
    )
    said_by_role: str | None = strawberry.field(
        description="The role of the stakeholder whose word counts; null is anybody at the buyer."
    )
    said_by_seniority: str | None = strawberry.field(
        description="How senior the stakeholder must be at the least whose word counts."
    )
    source_kinds: list[str] = strawberry.field(
        description="The kinds of source that count; empty where all do but a CRM's word."
    )
    lapses_with_stakeholder: bool = strawberry.field(
        description="Whether it lapses when the one who said it leaves."
    )
    answers: str | None = strawberry.field(
        description="Which of the buyer's three questions it answers: why_change, why_now or "
        "why_this."
    )

    @classmethod
    def of(cls, facts: dict[str, Any]) -> PlaybookCriterion:
        tighter = [{"gate": gate, "days": days} for gate, days in facts["fresher_at"].items()]
        return told(cls, {**facts, "fresher_at": tighter})


@strawberry.type(description="A gate as a playbook says it.")
class PlaybookGate:
    gate: str = strawberry.field(description="Its key.")
    name: str = strawberry.field(description="Its name.")
    stage: str = strawberry.field(description="The stage of the buyer's journey it belongs to.")
    after_decision: bool = strawberry.field(description="Whether it comes after the decision.")
    threshold: int = strawberry.field(description="How many optional criteria must be met.")
    expected_days: int | None = strawberry.field(description="How long a deal should need for it.")
    category_before: str = strawberry.field(
        description="The forecast category of a deal that stands before it."
    )
    weight_percent_before: int = strawberry.field(
        description="The share of such a deal's amount in the measure weighted, in percent."
    )
    buyer_questions: list[str] = strawberry.field(description="What the buyer asks at this gate.")
    seller_questions: list[str] = strawberry.field(description="What the seller asks there.")
    criteria: list[PlaybookCriterion] = strawberry.field(description="Its exit criteria.")


@strawberry.type(description="A published version of a playbook.")
class PlaybookVersion(Node):
    KEY: ClassVar = "label"

    book: strawberry.Private[Opener]
    playbook: str = strawberry.field(description="The playbook's key.")
    version: str = strawberry.field(description="The version.")
    label: str = strawberry.field(description="key@version: what snapshot(under) takes.")
    name: str = strawberry.field(description="Its name.")
    state: str = strawberry.field(
        description="in_force, announced (not yet in force) or superseded."
    )
    default: bool = strawberry.field(description="Whether deals follow it that name no playbook.")
    from_: str = strawberry.field(
        name="from", description="From when it is in force, an instant in UTC."
    )
    until: str | None = strawberry.field(description="Until when it is in force.")
    gate_count: int = strawberry.field(description="How many gates it has.")
    criterion_count: int = strawberry.field(description="How many exit criteria it has.")
    published: LedgerEvent = strawberry.field(description="The event that published it.")
    review: PlaybookReview | None = strawberry.field(
        description="Its last review; null for a version that is not in force."
    )

    @strawberry.field(
        description=f"{STREAM_VERSION} It is that of all versions of the playbook together."
    )
    async def stream_version(self) -> int | None:
        return await self.book.version(stream_name("playbook", self.playbook))

    @strawberry.field(description="Its gates in order, with their questions and exit criteria.")
    async def gates(self) -> list[PlaybookGate]:
        return [told(PlaybookGate, gate) for gate in (await self._whole())["gates"]]

    @strawberry.field(description="The parts that people at the buyer play in it.")
    async def roles(self) -> list[PlaybookRole]:
        return [told(PlaybookRole, role) for role in (await self._whole())["roles"]]

    async def _whole(self) -> dict[str, Any]:
        return await self.book.ask(lambda book: playbook_as_dict(book, self.playbook, self.version))

    @classmethod
    def at(cls, opener: Opener, facts: dict[str, Any]) -> PlaybookVersion:
        """A version as `projections.playbooks.playbook_list` tells it."""
        return told(cls, {**facts, "book": opener})
