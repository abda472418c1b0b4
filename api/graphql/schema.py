"""The GraphQL schema, with its limits (`api.graphql.limits`) and the codes of its errors
(`api.graphql.coding`).

Law: limits are by arguments, never by data size. Errors that a person can act on keep their code,
place and hint in `extensions`; all others are masked.
"""

from __future__ import annotations

import strawberry
from graphql import GraphQLError
from starlette.concurrency import run_in_threadpool
from strawberry.types import ExecutionContext, Info

from api.asof import AsOf
from api.graphql.arguments import (
    AsOfArgument,
    HorizonArgument,
    KnownAtArgument,
    MinPositionArgument,
    UnderArgument,
    ValidAtArgument,
    WitnessedArgument,
    door_of,
)
from api.graphql.coding import Coded, log_unexpected
from api.graphql.limits import Limits, RateLimit, rate_limit
from api.graphql.mutations import Mutation
from api.graphql.node_roots import NodeQueries, snapshot_of
from api.graphql.over_time import OverTime
from api.graphql.row_roots import RowQueries
from api.graphql.scalars import CONFIG, BigInt
from api.graphql.snapshot import Snapshot
from api.graphql.subscriptions import Subscription
from api.graphql.traced import Traced
from api.graphql.types import Ledger
from ledger.domain.times import format_instant


@strawberry.type(description="Questions to the ledger. None of them changes anything.")
class Query(OverTime, NodeQueries, RowQueries):  # type: ignore[misc]
    @strawberry.field(description="The end of the log, now.")
    async def ledger(self, info: Info) -> Ledger:
        head = await run_in_threadpool(door_of(info).head)
        recorded_at = None if head.recorded_at is None else format_instant(head.recorded_at)
        return Ledger(head_position=BigInt(head.size), head_recorded_at=recorded_at)

    @strawberry.field(description="What this question costs, and how much you may still ask.")
    def rate_limit(self) -> RateLimit:
        return rate_limit()

    @strawberry.field(
        description="Everything below reads the ledger at one basis; no time at all is now. "
        "Compare times by aliasing two snapshots."
    )
    async def snapshot(
        self,
        info: Info,
        as_of: AsOfArgument = None,
        valid_at: ValidAtArgument = None,
        known_at: KnownAtArgument = None,
        horizon: HorizonArgument = None,
        witnessed_only: WitnessedArgument = False,
        under: UnderArgument = None,
        min_position: MinPositionArgument = None,
    ) -> Snapshot:
        asked = AsOf(as_of, valid_at, known_at, horizon, witnessed_only, under, min_position)
        return Snapshot(book=await snapshot_of(info, asked))


class Schema(strawberry.Schema):
    """Logs what nobody expected without the text of the question, which may quote the buyer."""

    def process_errors(
        self,
        errors: list[GraphQLError],
        execution_context: ExecutionContext | None = None,  # noqa: ARG002
    ) -> None:
        log_unexpected(errors)


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=CONFIG,
    extensions=[Limits, Traced, Coded],
)
