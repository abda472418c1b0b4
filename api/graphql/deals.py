"""A deal as the schema shows it: what is claimed of it, and what its evidence supports.

Law: plain fields come with the deal's row. Those of its journey share one fold (see
`Opener.journey`), however many of them are asked for.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

import strawberry
from strawberry.scalars import JSON

from api.graphql.cursor import Bases, PageCursor, digest_of
from api.graphql.forecasts import CATEGORIES
from api.graphql.identity import Node
from api.graphql.journey import (
    Change,
    Declared,
    Evidenced,
    Finding,
    Gate,
    JudgedBy,
    Loop,
    Move,
    Stakeholder,
    Upcoming,
)
from api.graphql.opener import Journey, Opener
from api.graphql.practice import Agenda
from api.graphql.relay import (
    AfterArgument,
    BeforeArgument,
    Connection,
    FirstArgument,
    LastArgument,
    Paging,
    check_size,
    page,
)
from api.graphql.scalars import AsOfTime, BigInt
from api.graphql.told import told
from api.graphql.types import STREAM_VERSION, LedgerEvent, Money, PageInfo
from ledger.domain.errors import InvalidInput
from ledger.domain.events import stream_name
from ledger.domain.times import format_instant
from projections.agenda import agenda
from projections.deals import DealFilter, deal_as_dict, deal_page
from projections.evidence import evidence_of
from projections.fold.asks import check_ahead
from projections.rows.asking import Question
from projections.rows.counting import count_of
from projections.rows.deals import DEALS
from projections.timeline import timeline

T = TypeVar("T")

UntilArgument = Annotated[
    AsOfTime,
    strawberry.argument(description="Until when, later than validAt; at most ten years ahead."),
]
WithinDaysArgument = Annotated[
    int,
    strawberry.argument(
        description="What holds now and will lapse within so many days after validAt is asked too."
    ),
]


@strawberry.type(description="A claimed value and the event that answers for it.")
class Claim:
    field: str = strawberry.field(description="Such as amount, stage or close_date.")
    value: JSON | None = strawberry.field(description="What is claimed, as the event spells it.")
    because: LedgerEvent = strawberry.field(description="The event that says so.")


@strawberry.type(description="An event in a deal's history, and what became of it.")
class TimelineEntry:
    event: LedgerEvent = strawberry.field(description="The event.")
    status: str = strawberry.field(
        description="counts, later (after validAt), corrected or retracted."
    )
    acted_on_by: BigInt | None = strawberry.field(
        description="The position of the correction or retraction."
    )
    payload: JSON = strawberry.field(
        description="What it says in full, as it was recorded; its keys are as the ledger spells "
        "them, such as said_by."
    )

    @classmethod
    def of(cls, facts: dict[str, Any]) -> TimelineEntry:
        return cls(
            event=LedgerEvent.of(facts),
            status=facts["status"],
            acted_on_by=facts["acted_on_by"],
            payload=facts["payload"],
        )


@strawberry.type(description="A piece of buyer evidence as it counts at the basis.")
class Evidence:
    event: LedgerEvent = strawberry.field(description="The event that recorded it.")
    criterion: str = strawberry.field(description="The key of the criterion that it is about.")
    stance: str = strawberry.field(description="supports or contradicts.")
    source_kind: str = strawberry.field(description="meeting, call, email, document, crm or other.")
    said_by: str | None = strawberry.field(
        description="The id of the stakeholder who said it; without one it is only a claim."
    )
    quote: str | None = strawberry.field(description="In the buyer's words.")
    link: str | None = strawberry.field(description="Where the artefact is.")
    sha256: str | None = strawberry.field(description="The SHA-256 of the artefact.")
    on: str = strawberry.field(
        description="deal, or account: then it counts for all deals of the account."
    )
    corrected_by: BigInt | None = strawberry.field(
        description="The position of the correction in force, where there is one."
    )

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Evidence:
        return told(cls, facts)


@strawberry.type(
    description="A deal at the snapshot's basis: what the CRM and its owner claim, and what the "
    "evidence of the buyer supports."
)
class Deal(Node):
    KEY: ClassVar = "deal_id"

    book: strawberry.Private[Opener]
    deal_id: strawberry.ID = strawberry.field(description="Its id in the CRM.")
    name: str | None = strawberry.field(description="Its name.")
    account: str | None = strawberry.field(description="The id of the buyer's account.")
    owner: str | None = strawberry.field(description="The id of the person who owns it.")
    team: str | None = strawberry.field(description="The owner's team at the basis.")
    amount: Money | None = strawberry.field(description="Null where none is known.")
    close_date: str | None = strawberry.field(description="A calendar date.")
    stage: str | None = strawberry.field(description="As the CRM claims it.")
    category: str = strawberry.field(
        description=f"The claimed forecast category: {CATEGORIES}; an outcome decides."
    )
    outcome: str = strawberry.field(
        description="open, or how it ended: won, lost, no_decision, disqualified or abandoned."
    )
    stands_at: str | None = strawberry.field(
        description="The key of the first gate that does not pass now: where it really stands. "
        "Null when all pass, or no playbook judges."
    )
    evidenced_category: str = strawberry.field(
        description=f"The forecast category that the evidence supports: {CATEGORIES}; evidenced "
        "says why."
    )
    weight_percent: int = strawberry.field(
        description="The share of the amount in the measure weighted, in percent."
    )
    why: str = strawberry.field(
        description="Why its amount is in or out on its evidence, as a person says it."
    )

    @strawberry.field(description=STREAM_VERSION)
    async def stream_version(self) -> int | None:
        return await self.book.version(stream_name("deal", str(self.deal_id)))

    @strawberry.field(description="Each claimed field with the event that answers for it.")
    async def claims(self) -> list[Claim]:
        answer = await self.book.ask(lambda book: deal_as_dict(book, book.deal(str(self.deal_id))))
        return [
            Claim(field=field, value=claim["value"], because=LedgerEvent.of(claim["because"]))
            for field, claim in answer["claims"].items()
        ]

    @strawberry.field(
        description="Every event of the deal that the basis sees, in the order in which they "
        "became known."
    )
    async def timeline(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[TimelineEntry]:
        answer = await self.book.ask(lambda book: timeline(book, str(self.deal_id)))
        listed = ("timeline", str(self.deal_id))
        paging = Paging(first, after, last, before)
        return page(self.book, listed, paging, answer["events"], TimelineEntry.of)

    @strawberry.field(
        description="The evidence on the deal and on its account as it counts, in the order in "
        "which it happened."
    )
    async def evidence(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[Evidence]:
        pieces = await self.book.ask(lambda book: evidence_of(book, str(self.deal_id)))
        listed = ("evidence", str(self.deal_id))
        paging = Paging(first, after, last, before)
        return page(self.book, listed, paging, pieces, Evidence.of)

    @strawberry.field(description="Claimed and evidenced side by side, in one breath.")
    async def headline(self) -> str:
        headline: str = (await self._journey())["headline"]
        return headline

    @strawberry.field(description="What the evidence supports: why the amount is in or out.")
    async def evidenced(self) -> Evidenced:
        return told(Evidenced, (await self._journey())["evidenced"])

    @strawberry.field(description="The playbook version that judges; null where none is in force.")
    async def playbook(self) -> JudgedBy | None:
        judge = (await self._journey())["playbook"]
        return None if judge is None else told(JudgedBy, judge)

    @strawberry.field(
        description="Every gate of its playbook in order, with the exit criteria; empty where no "
        "playbook judges."
    )
    async def gates(self) -> list[Gate]:
        journey = await self._journey()
        if journey["playbook"] is None:
            return []
        playbook = "{key}@{version}".format_map(journey["playbook"])
        return [Gate.explained(each, playbook) for each in journey["gates"]]

    @strawberry.field(description="Who is at the buyer: whose word counts, and for what.")
    async def stakeholders(self) -> list[Stakeholder]:
        return await self._told(Stakeholder, "stakeholders")

    @strawberry.field(description="Where it stood, move by move, in the order of time.")
    async def moves(self) -> list[Move]:
        return await self._told(Move, "moves")

    @strawberry.field(description="The gates that were passed, lost, and passed again.")
    async def loops(self) -> list[Loop]:
        return await self._told(Loop, "loops")

    @strawberry.field(description="What people declared of the buyer's way.")
    async def declared(self) -> list[Declared]:
        return await self._told(Declared, "declared")

    @strawberry.field(
        description="What is claimed held against the evidence: inflation, contradictions, single "
        "threads, sandbagging."
    )
    async def findings(self) -> list[Finding]:
        return await self._told(Finding, "findings")

    @strawberry.field(description="What will change until an instant if nothing happens.")
    async def upcoming(self, until: UntilArgument) -> Upcoming:
        ahead = await self.book.instant(until)
        check_ahead(format_instant(self.book.basis.valid_at), ahead)
        answer = await self._journey(ahead)
        return Upcoming(
            until=ahead,
            changes=[told(Change, each) for each in answer["upcoming"]],
            moves=[told(Move, each) for each in answer["upcoming_moves"]],
        )

    @strawberry.field(
        description="Events on criteria or gates that the playbook version which judges does not "
        "have."
    )
    async def unplaced(self) -> list[LedgerEvent]:
        return await self._told(LedgerEvent, "unplaced")

    @strawberry.field(description="Evidence on gates that the decision had settled already.")
    async def after_close(self) -> list[LedgerEvent]:
        return await self._told(LedgerEvent, "after_close")

    @strawberry.field(description="Evidence from before the deal was opened.")
    async def before_opening(self) -> list[LedgerEvent]:
        return await self._told(LedgerEvent, "before_opening")

    @strawberry.field(
        description="What to ask in a debrief, in gate order: what is missing, stale, "
        "contradicted or about to lapse, up to one gate beyond the one claimed or stood at."
    )
    async def agenda(self, within_days: WithinDaysArgument = 14) -> Agenda:
        return told(
            Agenda, await self.book.ask(lambda book: agenda(book, str(self.deal_id), within_days))
        )

    async def _journey(self, ahead_until: str | None = None) -> dict[str, Any]:
        return await self.book.journey(Journey(str(self.deal_id), ahead_until))

    async def _told(self, cls: type[T], part: str) -> list[T]:
        of = getattr(cls, "of", None) or (lambda facts: told(cls, facts))
        return [of(facts) for facts in (await self._journey())[part]]

    @classmethod
    def of(cls, book: Opener, row: dict[str, Any]) -> Deal:
        kept = ("name", "account", "owner", "team", "close_date", "stage", "category", "outcome",
                "stands_at", "weight_percent", "why")  # fmt: skip
        return cls(
            book=book,
            deal_id=strawberry.ID(row["deal"]),
            amount=Money.maybe(row["amount"], row["currency"]),
            evidenced_category=row["evidenced"],
            **{key: row[key] for key in kept},
        )


@strawberry.type(description="A deal in a page.")
class DealEdge:
    cursor: str = strawberry.field(
        description="Where it stands; it holds the basis and the filter of its answer."
    )
    node: Deal = strawberry.field(description="The deal.")


@strawberry.type(description="A page of deals, in the order of their ids.")
class DealConnection:
    book: strawberry.Private[Opener]
    wanted: strawberry.Private[DealFilter]
    edges: list[DealEdge] = strawberry.field(description="The deals with their cursors.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")

    @strawberry.field(description="The deals of this page.")
    def nodes(self) -> list[Deal]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many deals there are on all pages together, whatever the page. They are "
        "counted where this is asked for."
    )
    async def total_count(self) -> int:
        given = {name: value for name, value in self.wanted._asdict().items() if value is not None}
        return await self.book.ask(lambda book: count_of(book, Question(DEALS, given)))


@strawberry.input(description="Which deals. All parts must hold; what is absent does not filter.")
class DealFilterInput:
    period: str | None = strawberry.field(
        default=None, description="Deals that count in this fiscal period, such as 2026-Q1."
    )
    category: str | None = strawberry.field(
        default=None, description=f"Of this claimed forecast category: {CATEGORIES}."
    )
    owner: str | None = strawberry.field(default=None, description="Owned by this person's id.")
    stage: str | None = strawberry.field(
        default=None, description="In this stage, as the CRM claims it."
    )
    outcome: str | None = strawberry.field(
        default=None,
        description="open, or ended so: won, lost, no_decision, disqualified or abandoned.",
    )
    stands_at: str | None = strawberry.field(
        default=None, description="Really standing at the gate of this key."
    )
    evidenced: str | None = strawberry.field(
        default=None, description=f"Whose evidence supports this forecast category: {CATEGORIES}."
    )

    def wanted(self) -> DealFilter:
        return DealFilter(
            self.period,
            self.category,
            self.owner,
            self.stage,
            self.outcome,
            self.stands_at,
            self.evidenced,
        )


async def page_of(
    opener: Opener, wanted: DealFilter, first: int, after: str | None
) -> DealConnection:
    """A page of deals.

    Raises:
        InvalidInput: `invalid-page-size`, `invalid-cursor`, `cursor-of-another-question`, and what
            `deal_page` raises.
    """
    check_size("first", first)
    listed = digest_of("deals", *wanted)
    start = None if after is None else _deal_of(after, listed, opener.bases)
    rows = await opener.ask(lambda book: deal_page(book, wanted, after=start, first=first + 1))
    edges = [
        DealEdge(
            cursor=PageCursor(opener.times, listed, opener.bases, row["deal"]).spelt(),
            node=Deal.of(opener, row),
        )
        for row in rows[:first]
    ]
    return DealConnection(
        book=opener,
        wanted=wanted,
        edges=edges,
        page_info=PageInfo(
            has_next_page=len(rows) > first,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


def _deal_of(after: str, listed: str, bases: Bases) -> str:
    """The deal behind which a page begins."""
    place = PageCursor.read(after, "after").check(listed, bases, "after").place
    if not isinstance(place, str):
        raise InvalidInput("invalid-cursor", "no cursor of this list", where="after")
    return place
