"""The roots of questions about change over time: a diff, and flat rows of bridges and of series.

Law: flat rows take scalars and give scalars, so that a BI tool reads them as a table; they say what
the nested answers say.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any

import strawberry
from starlette.concurrency import run_in_threadpool
from strawberry.types import Info

from api.asof import AsOf
from api.graphql.arguments import HorizonArgument, WitnessedArgument, door_of
from api.graphql.diffs import (
    STEPS,
    FromArgument,
    GroupByArgument,
    KnownAtArgument,
    LedgerDiff,
    MeasureArgument,
    PeriodArgument,
    ToArgument,
    ToKnownAtArgument,
    TwoBases,
)
from api.graphql.scalars import AsOfTime, BigInt, ExactDecimal
from ledger.domain.times import parse_date
from projections.bridge import bridge
from projections.forecast import DEAL_MEASURES
from projections.series import Axis, Every, series

KEYS_MAX = 4


@strawberry.enum(description="How often a series has a point.")
class Interval(Enum):
    DAY = strawberry.enum_value("day", description="At the end of every day.")
    WEEK = strawberry.enum_value("week", description="At the end of every Sunday.")
    MONTH = strawberry.enum_value("month", description="At the end of every calendar month.")
    QUARTER = strawberry.enum_value("quarter", description="At the end of every fiscal quarter.")


@strawberry.type(description="A line of a bridge as one flat row.")
class BridgeRow:
    key1: str | None = strawberry.field(description="The value in the first dimension.")
    key2: str | None = strawberry.field(description="The value in the second dimension.")
    key3: str | None = strawberry.field(description="The value in the third dimension.")
    key4: str | None = strawberry.field(description="The value in the fourth dimension.")
    step: str = strawberry.field(description=f"opening, {STEPS} or closing.")
    amount: ExactDecimal = strawberry.field(description="In the reporting currency, signed.")
    currency: str | None = strawberry.field(description="The reporting currency; null without one.")
    deals: int = strawberry.field(description="How many; of a step, those in less those out.")
    changes: int | None = strawberry.field(description="Of a step: changes of deals.")
    restated: int | None = strawberry.field(description="Of a step: how many are restatements.")
    measure: str = strawberry.field(description="claimed, evidenced, weighted or closed.")
    period: str = strawberry.field(description="Such as 2026-Q1.")
    from_valid_at: str = strawberry.field(description="Valid time of the first basis.")
    from_known_at: str = strawberry.field(description="Knowledge time of the first basis.")
    to_valid_at: str = strawberry.field(description="Valid time of the second basis.")
    to_known_at: str = strawberry.field(description="Knowledge time of the second basis.")
    basis_position: BigInt = strawberry.field(description="The horizon of the second basis.")


@strawberry.type(description="A measure's sum in one category at the end of one day.")
class ForecastPoint:
    day: str = strawberry.field(description="A calendar date in the reporting time zone.")
    key1: str | None = strawberry.field(description="The value in the first dimension.")
    key2: str | None = strawberry.field(description="The value in the second dimension.")
    key3: str | None = strawberry.field(description="The value in the third dimension.")
    key4: str | None = strawberry.field(description="The value in the fourth dimension.")
    measure: str = strawberry.field(
        description="claimed, evidenced, weighted, called, adjusted or closed."
    )
    category: str = strawberry.field(description="omitted, pipeline, best_case, commit or closed.")
    amount: ExactDecimal = strawberry.field(description="In the reporting currency.")
    currency: str | None = strawberry.field(description="That of the day; null without one.")
    deals: int | None = strawberry.field(description="How many deals; null for calls.")
    period: str = strawberry.field(description="The fiscal period that it is the forecast of.")
    valid_at: str = strawberry.field(description="Valid time of the point's basis.")
    known_at: str = strawberry.field(description="Knowledge time of the point's basis.")
    basis_position: BigInt = strawberry.field(description="The horizon of the point's basis.")


FirstDayArgument = Annotated[
    str, strawberry.argument(name="from", description="The first day, a calendar date.")
]
LastDayArgument = Annotated[
    str, strawberry.argument(description="The last day, a calendar date; it is always a point.")
]
EveryArgument = Annotated[Interval, strawberry.argument(description="How often there is a point.")]
SeriesPeriodArgument = Annotated[
    str | None,
    strawberry.argument(description="A fiscal period; by default the quarter that holds each day."),
]
SeriesGroupByArgument = Annotated[
    list[str] | None,
    strawberry.argument(
        description="At most four of owner, manager, team, stage, gate, category, currency, "
        "account, outcome, or a dimension of your deals or accounts."
    ),
]
MeasuresArgument = Annotated[
    list[str] | None,
    strawberry.argument(
        description="Of claimed, evidenced, weighted, called, adjusted and closed; by default "
        "those of deals."
    ),
]
SeriesKnownAtArgument = Annotated[
    AsOfTime | None,
    strawberry.argument(description="The knowledge of hindsight; by default now."),
]
HindsightArgument = Annotated[
    bool,
    strawberry.argument(description="All points as known at knownAt, instead of as known then."),
]


@strawberry.type
class OverTime:
    """The roots of questions about change over time."""

    @strawberry.field(description="Everything below compares the ledger at two bases.")
    async def diff(
        self,
        info: Info,
        from_: FromArgument,
        to: ToArgument,
        known_at: KnownAtArgument = None,
        to_known_at: ToKnownAtArgument = None,
        horizon: HorizonArgument = None,
        witnessed_only: WitnessedArgument = False,
    ) -> LedgerDiff:
        later = known_at if to_known_at is None else to_known_at
        first = AsOf(from_, None, known_at, horizon, witnessed_only)
        second = AsOf(to, None, later, horizon, witnessed_only)
        return LedgerDiff(
            books=await run_in_threadpool(TwoBases.resolve, door_of(info), first, second)
        )

    @strawberry.field(description="A bridge as flat rows: each group, opening to closing.")
    async def bridge_rows(  # noqa: PLR0913, PLR0917 - every part of the question is one
        self,
        info: Info,
        from_: FromArgument,
        to: ToArgument,
        known_at: KnownAtArgument = None,
        to_known_at: ToKnownAtArgument = None,
        period: PeriodArgument = None,
        measure: MeasureArgument = "claimed",
        group_by: GroupByArgument = None,
        horizon: HorizonArgument = None,
    ) -> list[BridgeRow]:
        later = known_at if to_known_at is None else to_known_at
        first = AsOf(from_, None, known_at, horizon)
        second = AsOf(to, None, later, horizon)
        books = await run_in_threadpool(TwoBases.resolve, door_of(info), first, second)
        answer = await books.ask(
            period, lambda between: bridge(between, measure, tuple(group_by or ())).as_dict()
        )
        return list(_bridge_rows(answer))

    @strawberry.field(description="The forecast along a line of days as flat rows.")
    async def forecast_series(  # noqa: PLR0913, PLR0917 - every part of the question is one
        self,
        info: Info,
        from_: FirstDayArgument,
        to: LastDayArgument,
        every: EveryArgument = Interval.WEEK,
        period: SeriesPeriodArgument = None,
        group_by: SeriesGroupByArgument = None,
        measures: MeasuresArgument = None,
        hindsight: HindsightArgument = False,
        known_at: SeriesKnownAtArgument = None,
        horizon: HorizonArgument = None,
    ) -> list[ForecastPoint]:
        days = parse_date(from_, where="from"), parse_date(to, where="to")
        axis = Axis.HINDSIGHT if hindsight else Axis.AS_KNOWN_THEN

        def answer() -> dict[str, Any]:
            with door_of(info).book(AsOf(known_at=known_at, horizon=horizon)) as book:
                return series(
                    book,
                    *days,
                    Every(str(every.value)),
                    period=period,
                    group_by=tuple(group_by or ()),
                    measures=tuple(measures or DEAL_MEASURES),
                    axis=axis,
                )

        return list(_points(await run_in_threadpool(answer)))


def _keys(key: dict[str, str | None]) -> dict[str, Any]:
    values = [*key.values(), *[None] * KEYS_MAX][:KEYS_MAX]
    return {f"key{number}": value for number, value in enumerate(values, 1)}


def _bridge_rows(answer: dict[str, Any]) -> Iterator[BridgeRow]:
    stated = {
        "currency": answer["currency"],
        "measure": answer["measure"],
        "period": answer["period"]["name"],
        "basis_position": BigInt(answer["to"]["horizon"]),
        **{
            f"{side}_{time}": answer[side][time]
            for side in ("from", "to")
            for time in ("valid_at", "known_at")
        },
    }
    for lines in answer["groups"] or [{"key": {}, **answer}]:
        opening, closing = (
            {"step": which, "changes": None, "restated": None, **lines[which]}
            for which in ("opening", "closing")
        )
        for each in (opening, *lines["steps"], closing):
            facts = {name: each[name] for name in ("step", "deals", "changes", "restated")}
            amount = ExactDecimal(each["amount"])
            yield BridgeRow(**_keys(lines["key"]), **facts, amount=amount, **stated)


def _points(answer: dict[str, Any]) -> Iterator[ForecastPoint]:
    horizon = BigInt(answer["basis"]["horizon"])
    for line in answer["lines"]:
        keys = _keys(line["key"])
        for index, point in enumerate(answer["points"]):
            yield ForecastPoint(
                **keys,
                day=point["day"],
                measure=line["measure"],
                category=line["category"],
                amount=ExactDecimal(line["amounts"][index]),
                currency=point["currency"],
                deals=None if line["deals"] is None else line["deals"][index],
                period=point["period"],
                valid_at=point["valid_at"],
                known_at=point["known_at"],
                basis_position=horizon,
            )
