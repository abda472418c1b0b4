"""What changed between two bases, as the schema shows it: bridge, what it opens into, flows.

Law: both bases of a diff are resolved once, against the same present, and everything below it is
answered at those two. Where it is asked for a page behind a cursor that it gave for the same times,
they are those of the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from threading import Lock
from typing import Annotated, Any, Self, TypeVar

import strawberry
from starlette.concurrency import run_in_threadpool

from api.asof import AsOf, check_sees
from api.door import Door
from api.graphql.cursor import Bases, times_of
from api.graphql.forecasts import GroupKey
from api.graphql.relay import (
    AfterArgument,
    BeforeArgument,
    Connection,
    FirstArgument,
    LastArgument,
    Paging,
    page_at_once,
)
from api.graphql.scalars import AsOfTime, ExactDecimal
from api.graphql.told import told
from api.graphql.types import BasisType, LedgerEvent, Money
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from projections.bridge import bridge
from projections.flows import flows
from projections.fold.steps import StepKind
from projections.movements import Between
from projections.opened import Opened

T = TypeVar("T")

FromArgument = Annotated[
    AsOfTime, strawberry.argument(name="from", description="The first time, as known then.")
]
ToArgument = Annotated[AsOfTime, strawberry.argument(description="The second time, as known then.")]
KnownAtArgument = Annotated[
    AsOfTime | None, strawberry.argument(description="Both times as known then instead.")
]
ToKnownAtArgument = Annotated[
    AsOfTime | None,
    strawberry.argument(description='The second time as known then; "now" is hindsight.'),
]
PeriodArgument = Annotated[
    str | None,
    strawberry.argument(
        description="A fiscal period: 2026, 2026-Q1 or 2026-03; by default the quarter that holds "
        "the second time."
    ),
]
MeasureArgument = Annotated[
    str, strawberry.argument(description="claimed, evidenced, weighted or closed.")
]
FlowMeasureArgument = Annotated[
    str, strawberry.argument(description="claimed, evidenced or weighted.")
]
GroupByArgument = Annotated[
    list[str] | None,
    strawberry.argument(description="At most four of owner, manager, team, category, currency."),
]
StepArgument = Annotated[
    str | None,
    strawberry.argument(description="Which step, such as slipped; by default every one."),
]


@strawberry.input(description="A dimension's value in the key of a group.")
class GroupKeyInput:
    dimension: str = strawberry.field(description="owner, manager, team, category or currency.")
    value: str | None = strawberry.field(default=None, description="Null for deals that have none.")


KeyArgument = Annotated[
    list[GroupKeyInput] | None,
    strawberry.argument(
        description="Only what is in one group of the bridge: its key, as the bridge tells it."
    ),
]

STEPS = ", ".join(StepKind)


@strawberry.enum(description="What open deals are taken together by in flows.")
class FlowBy(Enum):
    CATEGORY = strawberry.enum_value("category", description="The forecast category.")
    GATE = strawberry.enum_value("gate", description="The gate where the deal really stands.")


FlowByArgument = Annotated[
    FlowBy, strawberry.argument(description="What open deals are taken together by.")
]


@strawberry.type(description="What stands at one end of a bridge.")
class BridgeBalance:
    amount: ExactDecimal = strawberry.field(description="In the reporting currency.")
    by_currency: list[Money] = strawberry.field(description="The same in the deals' currencies.")
    deals: int = strawberry.field(description="How many deals.")

    @classmethod
    def of(cls, facts: dict[str, Any]) -> BridgeBalance:
        return cls(
            amount=ExactDecimal(facts["amount"]),
            by_currency=_by_currency(facts),
            deals=facts["deals"],
        )


@strawberry.type(description="A step of a bridge: signed, so that all of them add up.")
class BridgeStep:
    step: str = strawberry.field(description=f"{STEPS}.")
    amount: ExactDecimal = strawberry.field(description="In the reporting currency.")
    by_currency: list[Money] = strawberry.field(description="The same in the deals' currencies.")
    deals: int = strawberry.field(description="How many deals came in, less those that left.")
    changes: int = strawberry.field(
        description="How many changes of deals it is made of: one that slipped twice counts twice."
    )
    restated: int = strawberry.field(
        description="How many of them nobody could have seen at the time: they come of another "
        "knowledge at either end."
    )

    @classmethod
    def of(cls, facts: dict[str, Any]) -> BridgeStep:
        return cls(
            step=facts["step"],
            amount=ExactDecimal(facts["amount"]),
            by_currency=_by_currency(facts),
            deals=facts["deals"],
            changes=facts["changes"],
            restated=facts["restated"],
        )


def _by_currency(facts: dict[str, Any]) -> list[Money]:
    return [
        Money(amount=ExactDecimal(amount), currency=currency)
        for currency, amount in facts["by_currency"].items()
    ]


@strawberry.type(description="The bridge of one group: opening + steps = closing, to the cent.")
class BridgeGroup:
    key: list[GroupKey] = strawberry.field(
        description="Its values, in the order in which the dimensions were asked for."
    )
    opening: BridgeBalance = strawberry.field(description="At the first basis, at its rates.")
    steps: list[BridgeStep] = strawberry.field(description="The steps that occurred.")
    revaluation: ExactDecimal = strawberry.field(
        description="What the rates alone did to the opening; a part of the step currency."
    )
    closing: BridgeBalance = strawberry.field(description="At the second basis, at its rates.")

    @classmethod
    def of(cls, facts: dict[str, Any]) -> BridgeGroup:
        return cls(
            key=[GroupKey(dimension=name, value=each) for name, each in facts["key"].items()],
            opening=BridgeBalance.of(facts["opening"]),
            steps=[BridgeStep.of(step) for step in facts["steps"]],
            revaluation=ExactDecimal(facts["revaluation"]),
            closing=BridgeBalance.of(facts["closing"]),
        )


@strawberry.type(
    description="How the amount of a period moved from the first basis to the second: "
    "opening + steps = closing, to the cent."
)
class Bridge:
    period: str = strawberry.field(description="Such as 2026-Q1.")
    measure: str = strawberry.field(description="claimed, evidenced, weighted or closed.")
    currency: str | None = strawberry.field(description="The reporting currency; null without one.")
    opening: BridgeBalance = strawberry.field(description="At the first basis, at its rates.")
    steps: list[BridgeStep] = strawberry.field(description="Every step, in order.")
    revaluation: ExactDecimal = strawberry.field(
        description="What the rates alone did to the opening; a part of the step currency."
    )
    closing: BridgeBalance = strawberry.field(description="At the second basis, at its rates.")
    groups: list[BridgeGroup] = strawberry.field(
        description="The same by group; empty where no groups were asked for."
    )
    unconverted: list[str] = strawberry.field(
        description="The currencies that are in no sum of the reporting currency for want of a "
        "rate."
    )
    made_from: str = strawberry.field(
        description="What it was made from, tables or log; the answer is the same."
    )


@strawberry.type(description="One side of a change of a deal.")
class BridgeSide:
    owner: str | None = strawberry.field(description="Whose deal it is.")
    outcome: str = strawberry.field(description="open, or how it ended.")
    category: str = strawberry.field(description="By the measure: as claimed, or by evidence.")
    weight_percent: int | None = strawberry.field(description="For weighted alone.")
    month: str | None = strawberry.field(description="In which it counts, such as 2026-03.")
    amount: ExactDecimal | None = strawberry.field(description="Of the deal.")
    currency: str | None = strawberry.field(description="Of the amount.")


@strawberry.type(description="A change of a deal that is a part of a step.")
class BridgeChange:
    deal: strawberry.ID = strawberry.field(description="The deal's id in the CRM.")
    step: str = strawberry.field(
        description="Of which step. A change that is several at once is told once for each."
    )
    number: int = strawberry.field(description="Which of the deal's changes in the step: 0, 1, 2.")
    at: str | None = strawberry.field(
        description="When it could be seen, an instant in UTC; null where it is restated."
    )
    leg: str = strawberry.field(description="journal, restated_from or restated_to.")
    amount: ExactDecimal = strawberry.field(description="In the reporting currency, signed.")
    before: BridgeSide | None = strawberry.field(description="Null: it was not in the book.")
    after: BridgeSide | None = strawberry.field(description="Null: it is not in the book.")
    because: list[LedgerEvent] = strawberry.field(description="The events behind it.")


@strawberry.type(description="How many deals went from one node to another, net.")
class FlowLink:
    source: str = strawberry.field(
        description="Where they were: a category or gate, an outcome, earlier_period, "
        "later_period, no_period or not_in_book."
    )
    target: str = strawberry.field(description="Where they are.")
    deals: int = strawberry.field(description="How many.")
    from_amount: ExactDecimal = strawberry.field(description="At the first basis, at its rates.")
    to_amount: ExactDecimal = strawberry.field(description="At the second basis, at its rates.")


_TAKING_TWO = Lock()
"""Held while a diff takes its two connections: so no two wait for each other's second one."""


class TwoBases:
    """Opens the two books of a diff.

    Args:
        door: where questions are asked.
        times: the digest of both times as they were spelt; the cursors of a diff hold it.
        first: the first basis.
        second: the second.
    """

    def __init__(self, door: Door, times: str, first: Basis, second: Basis) -> None:
        self._door = door
        self.times = times
        self.first = first
        self.second = second

    @property
    def bases(self) -> Bases:
        """Both."""
        return self.first, self.second

    @classmethod
    def taken_up(cls, door: Door, first: AsOf, second: AsOf, bases: Bases | None) -> Self:
        """The bases of the page before, or both times against the same present.

        Args:
            door: where questions are asked.
            first: the first time, as it was spelt.
            second: the second time; it says what the answer must see.
            bases: both of the page before; None for a first page.

        Raises:
            InvalidInput, NotFound, Forbidden, Unavailable: see `api.door.Door.books`.
        """
        times = times_of(first, second)
        if bases is not None:
            check_sees(bases[-1], second.min_position)
            return cls(door, times, *bases)
        door.reach(first, second)  # before anybody waits for us
        with ExitStack() as stack:
            with _TAKING_TWO:
                opening, closing = stack.enter_context(door.books(first, second))
            return cls(door, times, opening.basis, closing.basis)

    async def ask(self, period: str | None, question: Callable[[Between], T]) -> T:
        """An answer from both books."""

        def answer() -> T:
            with self._between(period) as between:
                return question(between)

        return await run_in_threadpool(answer)

    @contextmanager
    def _between(self, period: str | None) -> Iterator[Between]:
        with ExitStack() as stack:
            with _TAKING_TWO:
                opening = stack.enter_context(self._door.book_at(self.first))
                closing = stack.enter_context(self._door.book_at(self.second))
            yield Between(opening, closing, closing.period(period))


def _group(key: list[GroupKeyInput]) -> dict[str, str | None]:
    group: dict[str, str | None] = {}
    for each in key:
        if each.dimension in group:
            raise InvalidInput(
                "invalid-dimension", f"{each.dimension!r} is given twice", where="key"
            )
        group[each.dimension] = each.value
    return group


@strawberry.type(description="What changed between two bases.")
class LedgerDiff:
    books: strawberry.Private[TwoBases]

    @strawberry.field(name="from", description="The first basis.")
    def from_(self) -> BasisType:
        return BasisType.of(self.books.first.as_dict())

    @strawberry.field(description="The second basis.")
    def to(self) -> BasisType:
        return BasisType.of(self.books.second.as_dict())

    @strawberry.field(description="How the amount of a period moved, step by step.")
    async def bridge(
        self,
        period: PeriodArgument = None,
        measure: MeasureArgument = "claimed",
        group_by: GroupByArgument = None,
    ) -> Bridge:
        def asked(between: Between) -> dict[str, Any]:
            answer = bridge(between, measure, tuple(group_by or ())).as_dict()
            return {**answer, "made_from": str(between.closing.made_from)}

        answer = await self.books.ask(period, asked)
        return told(Bridge, {**answer, "period": answer["period"]["name"]})

    @strawberry.field(
        description="What a step opens into, or every step: changes of deals and their events."
    )
    async def changes(
        self,
        step: StepArgument = None,
        period: PeriodArgument = None,
        measure: MeasureArgument = "claimed",
        key: KeyArgument = None,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[BridgeChange]:
        group = _group(key or [])
        listed = ("changes", step, period, measure, *group.items())
        paging = Paging(first, after, last, before)

        def asked(between: Between) -> Connection[BridgeChange]:
            found = Opened.of(between, measure, step, group)

            def shown(start: int, stop: int) -> list[BridgeChange]:
                return [told(BridgeChange, each) for each in found.changes(start, stop)]

            return page_at_once(self.books, listed, paging, len(found.parts), shown)

        return await self.books.ask(period, asked)

    @strawberry.field(
        description="From where to where the deals of a period went, for a Sankey diagram."
    )
    async def flows(
        self,
        period: PeriodArgument = None,
        measure: FlowMeasureArgument = "claimed",
        by: FlowByArgument = FlowBy.CATEGORY,
    ) -> list[FlowLink]:
        answer = await self.books.ask(
            period, lambda between: flows(between, measure, str(by.value))
        )
        return [told(FlowLink, each) for each in answer["links"]]
