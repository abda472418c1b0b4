"""What the schema shows. Every type reads an answer that the layers below made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry
from starlette.concurrency import run_in_threadpool
from strawberry.scalars import JSON

from api.door import Door
from api.graphql.cursor import DealCursor
from api.graphql.scalars import BigInt, ExactDecimal
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from projections.book import Book
from projections.deals import DealFilter, deal_as_dict, deal_page
from projections.timeline import timeline

T = TypeVar("T")

PAGE_MAX = 500


@strawberry.type(
    name="Basis",
    description="All that an answer depends on. Give it back to repeat it byte for byte.",
)
class BasisType:
    valid_at: str = strawberry.field(description="Valid time, an instant in UTC.")
    known_at: str = strawberry.field(description="Knowledge time, an instant in UTC.")
    horizon: BigInt = strawberry.field(description="The last position taken into account.")
    witnessed_only: bool
    rules: str = strawberry.field(description="The version of the folding rules.")

    @classmethod
    def of(cls, basis: Basis) -> BasisType:
        facts = basis.as_dict()
        return cls(
            valid_at=str(facts["valid_at"]),
            known_at=str(facts["known_at"]),
            horizon=BigInt(basis.horizon),
            witnessed_only=basis.witnessed_only,
            rules=basis.rules,
        )


@strawberry.type(description="The end of the log.")
class Ledger:
    head_position: BigInt = strawberry.field(description="The last position; 0 is an empty log.")
    head_recorded_at: str | None = strawberry.field(description="When it was recorded.")


@strawberry.type(description="An amount in a currency.")
class Money:
    amount: ExactDecimal
    currency: str


@strawberry.type(description="A recorded event.")
class LedgerEvent:
    position: BigInt
    event_id: strawberry.ID
    type: str
    occurred_at: str = strawberry.field(description="When it happened at the buyer.")
    known_at: str = strawberry.field(description="When the organisation knew.")
    recorded_at: str = strawberry.field(description="When this ledger wrote it.")
    witnessed: bool = strawberry.field(description="False for what a source attested.")
    actor: str
    source: str = strawberry.field(description="The system it came from, and its record there.")
    summary: str

    @classmethod
    def of(cls, facts: dict[str, Any]) -> LedgerEvent:
        source = facts["source"]
        return cls(
            position=BigInt(facts["position"]),
            event_id=strawberry.ID(facts["event_id"]),
            type=facts["type"],
            occurred_at=facts["occurred_at"],
            known_at=facts["known_at"],
            recorded_at=facts["recorded_at"],
            witnessed=facts["witnessed"],
            actor=facts["actor"],
            source=":".join(source[key] for key in ("system", "record") if key in source),
            summary=facts["summary"],
        )


@strawberry.type(description="A claimed value and the event that answers for it.")
class Claim:
    field: str
    value: JSON | None
    because: LedgerEvent


@strawberry.type(description="An event in a deal's history, and what became of it.")
class TimelineEntry:
    event: LedgerEvent
    status: str = strawberry.field(
        description="counts, later (after validAt), corrected or retracted."
    )
    acted_on_by: BigInt | None = strawberry.field(
        description="The position of the correction or retraction."
    )


@strawberry.type(description="A deal as claimed at the snapshot's basis.")
class Deal:
    book: strawberry.Private[Opener]
    id: strawberry.ID
    name: str | None
    account: str | None
    owner: str | None
    team: str | None = strawberry.field(description="The owner's team at the basis.")
    amount: Money | None
    close_date: str | None = strawberry.field(description="A calendar date.")
    stage: str | None = strawberry.field(description="As the CRM claims it.")
    category: str = strawberry.field(
        description="omitted, pipeline, best_case, commit or closed; an outcome decides."
    )
    outcome: str = strawberry.field(description="open, or how the deal ended.")

    @strawberry.field(description="Each claimed field with the event that answers for it.")
    async def claims(self) -> list[Claim]:
        answer = await self.book.ask(lambda book: deal_as_dict(book, book.deal(str(self.id))))
        return [
            Claim(field=field, value=claim["value"], because=LedgerEvent.of(claim["because"]))
            for field, claim in answer["claims"].items()
        ]

    @strawberry.field(description="Every event of the deal that the basis sees.")
    async def timeline(self) -> list[TimelineEntry]:
        answer = await self.book.ask(lambda book: timeline(book, str(self.id)))
        return [
            TimelineEntry(
                event=LedgerEvent.of(entry),
                status=entry["status"],
                acted_on_by=entry["acted_on_by"],
            )
            for entry in answer["events"]
        ]

    @classmethod
    def of(cls, book: Opener, row: dict[str, Any]) -> Deal:
        money = None
        if row["amount"] is not None:
            money = Money(amount=ExactDecimal(row["amount"]), currency=row["currency"])
        kept = ("name", "account", "owner", "team", "close_date", "stage", "category", "outcome")
        return cls(
            book=book,
            id=strawberry.ID(row["deal"]),
            amount=money,
            **{key: row[key] for key in kept},
        )


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class DealEdge:
    cursor: str
    node: Deal


@strawberry.type(description="A page of deals, in the order of their ids.")
class DealConnection:
    edges: list[DealEdge]
    page_info: PageInfo

    @strawberry.field(description="The deals of this page.")
    def nodes(self) -> list[Deal]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="A measure's sum in one category.")
class ForecastCell:
    measure: str = strawberry.field(description="claimed, called, adjusted or closed.")
    category: str = strawberry.field(description="omitted, pipeline, best_case, commit or closed.")
    amount: ExactDecimal = strawberry.field(description="In the reporting currency.")
    deals: int | None = strawberry.field(description="How many deals; null for calls.")
    by_currency: list[Money] = strawberry.field(
        description="The same in the deals' own currencies."
    )


@strawberry.type(description="A dimension's value in a group.")
class GroupKey:
    dimension: str
    value: str | None


@strawberry.type(description="The measures of one group.")
class ForecastGroup:
    key: list[GroupKey]
    cells: list[ForecastCell]


@strawberry.type(description="The forecast of a period at the snapshot's basis.")
class Forecast:
    basis: BasisType
    period: str
    first_day: str
    last_day: str
    currency: str | None
    cells: list[ForecastCell]
    groups: list[ForecastGroup]
    without_amount: list[strawberry.ID] = strawberry.field(
        description="Deals that count with no amount."
    )
    without_close_date: list[strawberry.ID] = strawberry.field(
        description="Deals that count in no period for want of a close date."
    )


@strawberry.input(description="Which deals. All parts must hold.")
class DealFilterInput:
    period: str | None = strawberry.field(
        default=None, description="Deals that count in this fiscal period, such as 2026-Q1."
    )
    category: str | None = None
    owner: str | None = None
    stage: str | None = None
    outcome: str | None = None

    def wanted(self) -> DealFilter:
        return DealFilter(self.period, self.category, self.owner, self.stage, self.outcome)


class Opener:
    """Opens the book of one snapshot for each field that asks, in a worker thread."""

    def __init__(self, door: Door, basis: Basis) -> None:
        self._door = door
        self.basis = basis

    async def ask(self, question: Callable[[Book], T]) -> T:
        return await run_in_threadpool(self._ask, question)

    def _ask(self, question: Callable[[Book], T]) -> T:
        with self._door.book_at(self.basis) as book:
            return question(book)


@strawberry.type(description="Everything below reads the ledger at one basis.")
class Snapshot:
    book: strawberry.Private[Opener]

    @strawberry.field(description="The basis used. Echo it to repeat the answer.")
    def basis(self) -> BasisType:
        return BasisType.of(self.book.basis)

    @strawberry.field(description="The log as far as this basis sees it.")
    async def ledger(self) -> Ledger:
        horizon = self.book.basis.horizon

        def recorded_at(book: Book) -> str | None:
            return book.causes({horizon})[horizon]["recorded_at"] if horizon else None

        return Ledger(
            head_position=BigInt(horizon), head_recorded_at=await self.book.ask(recorded_at)
        )

    @strawberry.field(description="A deal by its id in the CRM; null when it is not in the book.")
    async def deal(self, id: strawberry.ID) -> Deal | None:  # noqa: A002 - the argument's name
        rows = await self.book.ask(lambda book: deal_page(book, only=str(id)))
        return Deal.of(self.book, rows[0]) if rows else None

    @strawberry.field(description="The deals in the book, a page at a time.")
    async def deals(
        self, where: DealFilterInput | None = None, first: int = 50, after: str | None = None
    ) -> DealConnection:
        if not 1 <= first <= PAGE_MAX:
            raise InvalidInput(
                "invalid-page-size", f"first must be from 1 to {PAGE_MAX}", where="deals.first"
            )
        wanted = (where or DealFilterInput()).wanted()
        start = None if after is None else DealCursor.read(after, self.book.basis, wanted).deal
        rows = await self.book.ask(
            lambda book: deal_page(book, wanted, after=start, first=first + 1)
        )
        edges = [
            DealEdge(
                cursor=DealCursor.of(self.book.basis, wanted, row["deal"]).spelt(),
                node=Deal.of(self.book, row),
            )
            for row in rows[:first]
        ]
        return DealConnection(
            edges=edges,
            page_info=PageInfo(
                has_next_page=len(rows) > first,
                has_previous_page=after is not None,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )

    @strawberry.field(
        description="The forecast of a fiscal period; by default the quarter that holds validAt."
    )
    async def forecast(
        self, period: str | None = None, group_by: list[str] | None = None
    ) -> Forecast:
        answer = await self.book.ask(
            lambda book: book.forecast(book.period(period), tuple(group_by or ())).as_dict()
        )
        return _forecast(BasisType.of(self.book.basis), answer)


def _forecast(basis: BasisType, answer: dict[str, Any]) -> Forecast:
    groups = [
        ForecastGroup(
            key=[GroupKey(dimension=name, value=value) for name, value in group["key"].items()],
            cells=_cells(group["measures"]),
        )
        for group in answer["groups"]
    ]
    return Forecast(
        basis=basis,
        period=answer["period"]["name"],
        first_day=answer["period"]["first_day"],
        last_day=answer["period"]["last_day"],
        currency=answer["currency"],
        cells=_cells(answer["measures"]),
        groups=groups,
        without_amount=answer["without_amount"],
        without_close_date=answer["without_close_date"],
    )


def _cells(measures: dict[str, Any]) -> list[ForecastCell]:
    return [
        ForecastCell(
            measure=measure,
            category=category,
            amount=ExactDecimal(cell["amount"]),
            deals=cell["deals"],
            by_currency=[
                Money(amount=ExactDecimal(amount), currency=currency)
                for currency, amount in cell["by_currency"].items()
            ],
        )
        for measure, categories in measures.items()
        for category, cell in (categories or {}).items()
    ]
