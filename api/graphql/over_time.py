"""The roots of questions about change over time: a diff, and flat rows of bridges and of series.

Law: flat rows take scalars and give scalars, so that a BI tool reads them as a table; they say what
the nested answers say. A page behind a cursor reads the bases of that cursor.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from starlette.concurrency import run_in_threadpool
from strawberry.types import Info

from api.asof import AsOf
from api.door import Door
from api.graphql.arguments import (
    HorizonArgument,
    MinPositionArgument,
    WitnessedArgument,
    door_of,
)
from api.graphql.cursor import bases_of_cursors
from api.graphql.diffs import (
    FromArgument,
    KnownAtArgument,
    LedgerDiff,
    MeasureArgument,
    PeriodArgument,
    ToArgument,
    ToKnownAtArgument,
    TwoBases,
)
from api.graphql.made_rows import MadeRows
from api.graphql.row_answers import RowsAnswer
from api.graphql.row_cursor import Cursor, PageAsked
from api.graphql.row_types import connection_type
from api.graphql.scalars import AsOfTime
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from projections.bridge import bridge
from projections.movements import Between
from projections.rows.asking import PAGE_MAX, Question, fitting, question
from projections.rows.bridges import BRIDGES, FROM, bridge_rows, first_basis_of
from projections.rows.definition import Row, Table, names_in
from projections.rows.points import POINTS

_BRIDGES = connection_type(BRIDGES, exported=False)
_POINTS = connection_type(POINTS, "ForecastPoint", exported=False)


def _told(table: Table, name: str) -> str:
    """What an argument of a table is for."""
    found = next(each for each in table.arguments if each.name == name)
    return found.description


GroupByArgument = Annotated[str | None, strawberry.argument(description=_told(BRIDGES, "group_by"))]
StepArgument = Annotated[str | None, strawberry.argument(description=_told(BRIDGES, "step"))]
StepsArgument = Annotated[str | None, strawberry.argument(description=_told(BRIDGES, "steps"))]
MinChangesArgument = Annotated[
    int | None, strawberry.argument(description=_told(BRIDGES, "min_changes"))
]
Key1Argument = Annotated[str | None, strawberry.argument(description=_told(BRIDGES, "key_1"))]
Key2Argument = Annotated[str | None, strawberry.argument(description=_told(BRIDGES, "key_2"))]
Key3Argument = Annotated[str | None, strawberry.argument(description=_told(BRIDGES, "key_3"))]
Key4Argument = Annotated[str | None, strawberry.argument(description=_told(BRIDGES, "key_4"))]
FirstDayArgument = Annotated[
    str, strawberry.argument(name="from", description=_told(POINTS, "from"))
]
LastDayArgument = Annotated[str, strawberry.argument(description=_told(POINTS, "to"))]
EveryArgument = Annotated[str, strawberry.argument(description=_told(POINTS, "every"))]
SeriesPeriodArgument = Annotated[
    str | None, strawberry.argument(description=_told(POINTS, "period"))
]
SeriesGroupByArgument = Annotated[
    str | None, strawberry.argument(description=_told(POINTS, "group_by"))
]
MeasuresArgument = Annotated[str | None, strawberry.argument(description=_told(POINTS, "measures"))]
CategoryArgument = Annotated[
    str | None, strawberry.argument(description=POINTS.filters[0].description)
]
HindsightArgument = Annotated[bool, strawberry.argument(description=_told(POINTS, "hindsight"))]
SeriesKnownAtArgument = Annotated[
    AsOfTime | None,
    strawberry.argument(description="The knowledge of hindsight; by default all that is known."),
]
OrderByArgument = Annotated[
    str | None,
    strawberry.argument(
        description="Columns by commas, - before one that descends: step,-amount. By default the "
        "key."
    ),
]
FirstArgument = Annotated[
    int,
    strawberry.argument(description=f"How many rows a page has, from 1 to {PAGE_MAX}."),
]
AfterArgument = Annotated[
    str | None,
    strawberry.argument(
        description="The endCursor of the page before; it reads the ledger of that page."
    ),
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
        min_position: MinPositionArgument = None,
    ) -> LedgerDiff:
        later = known_at if to_known_at is None else to_known_at
        first = AsOf(from_, None, known_at, horizon, witnessed_only)
        second = AsOf(to, None, later, horizon, witnessed_only, None, min_position)
        bases = bases_of_cursors(info, first, second)
        return LedgerDiff(
            books=await run_in_threadpool(TwoBases.taken_up, door_of(info), first, second, bases)
        )

    @strawberry.field(description=f"Flat rows for BI tools. {BRIDGES.title}", graphql_type=_BRIDGES)
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
        step: StepArgument = None,
        steps: StepsArgument = None,
        min_changes: MinChangesArgument = None,
        key_1: Key1Argument = None,
        key_2: Key2Argument = None,
        key_3: Key3Argument = None,
        key_4: Key4Argument = None,
        horizon: HorizonArgument = None,
        min_position: MinPositionArgument = None,
        order_by: OrderByArgument = None,
        first: FirstArgument = PAGE_MAX,
        after: AfterArgument = None,
    ) -> Any:
        later = known_at if to_known_at is None else to_known_at
        start = AsOf(from_, None, known_at, horizon)
        end = AsOf(to, None, later, horizon, min_position=min_position)
        given = {
            "period": period, "measure": measure, "group_by": group_by, "step": step,
            "steps": steps, "min_changes": min_changes,
            "key_1": key_1, "key_2": key_2, "key_3": key_3, "key_4": key_4,
        }  # fmt: skip
        times = {"0": start.times, "1": end.times}
        page = PageAsked.of(question(BRIDGES, given, order_by), first, after, times)
        return await run_in_threadpool(_bridge, door_of(info), page, start, end)

    @strawberry.field(description=f"Flat rows for BI tools. {POINTS.title}", graphql_type=_POINTS)
    async def forecast_series(  # noqa: PLR0913, PLR0917 - every part of the question is one
        self,
        info: Info,
        from_: FirstDayArgument,
        to: LastDayArgument,
        every: EveryArgument = "week",
        period: SeriesPeriodArgument = None,
        group_by: SeriesGroupByArgument = None,
        measures: MeasuresArgument = None,
        category: CategoryArgument = None,
        key_1: Key1Argument = None,
        key_2: Key2Argument = None,
        key_3: Key3Argument = None,
        key_4: Key4Argument = None,
        hindsight: HindsightArgument = False,
        known_at: SeriesKnownAtArgument = None,
        horizon: HorizonArgument = None,
        min_position: MinPositionArgument = None,
        order_by: OrderByArgument = None,
        first: FirstArgument = PAGE_MAX,
        after: AfterArgument = None,
    ) -> Any:
        given = {
            "from": from_, "to": to, "every": every, "period": period, "group_by": group_by,
            "measures": measures, "category": category, "hindsight": hindsight,
            "key_1": key_1, "key_2": key_2, "key_3": key_3, "key_4": key_4,
        }  # fmt: skip
        asked = AsOf(
            known_at=known_at, horizon=horizon, min_position=min_position, timeless=POINTS.timeless
        )
        page = PageAsked.of(question(POINTS, given, order_by), first, after, {"0": asked.times})
        door = door_of(info)
        basis = await run_in_threadpool(door.taken_up, asked, page.basis)
        return RowsAnswer(door, page.question, page.asked(basis), first, page.after)


def _bridge(door: Door, page: PageAsked, start: AsOf, end: AsOf) -> MadeRows:
    cursor = page.cursor
    bases = None if cursor is None else (_first_basis(page.question, cursor), cursor.basis)
    books = TwoBases.taken_up(door, start, end, bases)
    given = page.question.given
    period, measure = given.get("period"), str(given["measure"])
    group_by = names_in(str(given.get("group_by") or ""))

    def made(between: Between) -> list[Row]:
        rows = bridge_rows(bridge(between, measure, group_by))
        return list(fitting(rows, page.question, between.closing.calendar))

    async def make() -> list[Row]:
        return await books.ask(None if period is None else str(period), made)

    return MadeRows(make, door, page.question, page.asked(books.second), page.first, page.after)


def _first_basis(asked: Question, cursor: Cursor) -> Basis:
    order = [each.column for each in asked.full_order]
    cells = tuple(cursor.cells[order.index(name)] for name in FROM)
    try:
        return first_basis_of(cells, cursor.basis)
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput("invalid-cursor", "no cursor of this ledger", where="after") from None
