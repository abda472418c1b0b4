"""The GraphQL schema, with its limits.

Law: limits are by arguments, never by data size. Errors that a person can act on keep their code,
place and hint in `extensions`; all others are masked.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from graphql import GraphQLError
from starlette.concurrency import run_in_threadpool
from strawberry.extensions import MaskErrors, MaxAliasesLimiter, MaxTokensLimiter, QueryDepthLimiter
from strawberry.types import ExecutionContext, Info

from api.asof import AsOf
from api.graphql.arguments import HorizonArgument, WitnessedArgument, door_of
from api.graphql.mutations import Mutation
from api.graphql.opener import Opener
from api.graphql.over_time import OverTime
from api.graphql.row_roots import RowQueries
from api.graphql.scalars import CONFIG, AsOfTime, BigInt
from api.graphql.snapshot import Snapshot
from api.graphql.types import Ledger
from ledger.domain.errors import QledgerError
from ledger.domain.times import format_instant

DEPTH_MAX = 15
TOKENS_MAX = 4_000
ALIASES_MAX = 50

AsOfArgument = Annotated[
    AsOfTime | None, strawberry.argument(description="On both axes: as of then, as known then.")
]
ValidAtArgument = Annotated[
    AsOfTime | None,
    strawberry.argument(description="Valid time alone: what had happened at the buyer by then."),
]
KnownAtArgument = Annotated[
    AsOfTime | None,
    strawberry.argument(
        description='Knowledge time alone: what was known by then; "now" is hindsight.'
    ),
]
UnderArgument = Annotated[
    str | None,
    strawberry.argument(
        description="Judge by this published playbook version, key@version, whatever was in force: "
        "last quarter under today's rules. A version alone is that of the first playbook that has "
        "it."
    ),
]


@strawberry.type(description="Questions to the ledger. None of them changes anything.")
class Query(OverTime, RowQueries):  # type: ignore[misc]
    @strawberry.field(description="The end of the log, now.")
    async def ledger(self, info: Info) -> Ledger:
        head = await run_in_threadpool(door_of(info).head)
        recorded_at = None if head.recorded_at is None else format_instant(head.recorded_at)
        return Ledger(head_position=BigInt(head.size), head_recorded_at=recorded_at)

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
    ) -> Snapshot:
        door = door_of(info)
        asked = AsOf(as_of, valid_at, known_at, horizon, witnessed_only, under)
        return Snapshot(book=Opener(door, await run_in_threadpool(door.resolve, asked)))


class Schema(strawberry.Schema):
    """Our errors carry what a person needs to act on them."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        super().process_errors(
            [error for error in errors if not isinstance(_origin(error), QledgerError)],
            execution_context,
        )


def _origin(error: GraphQLError) -> Exception | None:
    """What is behind an error, and behind that; None where GraphQL itself found it.

    A scalar's refusal comes wrapped more than once.
    """
    origin: Exception | None = error
    while isinstance(origin, GraphQLError):
        origin = origin.original_error
    return origin


class _Coded(MaskErrors):
    """Ours with their codes, validation errors as they are, the rest masked."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=lambda error: _origin(error) is not None)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        original = _origin(error)
        if not isinstance(original, QledgerError):
            return super().anonymise_error(error)
        facts: dict[str, Any] = original.as_dict()
        return GraphQLError(
            facts.pop("message"),
            nodes=error.nodes,
            source=error.source,
            positions=error.positions,
            path=error.path,
            extensions=facts,
        )


_DEPTH = QueryDepthLimiter(max_depth=DEPTH_MAX)
_TOKENS = MaxTokensLimiter(max_token_count=TOKENS_MAX)
_ALIASES = MaxAliasesLimiter(max_alias_count=ALIASES_MAX)

schema = Schema(
    query=Query,
    mutation=Mutation,
    config=CONFIG,
    # Made once: a rule class made anew for each request would defeat the validation cache.
    extensions=[lambda: _DEPTH, lambda: _TOKENS, lambda: _ALIASES, _Coded],
)
