"""The roots of what ids name, and the basis of a snapshot: that of its times, or of a cursor in it.

Law: a snapshot has one basis. Where it is asked for a page behind a cursor that it gave for the
same times, it has the basis of that cursor, in all of its parts.
"""

from __future__ import annotations

import strawberry
from starlette.concurrency import run_in_threadpool
from strawberry.types import Info

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
from api.graphql.cursor import bases_of_cursors, times_of
from api.graphql.identity import Node
from api.graphql.nodes import NodeIdArgument, NodeIdsArgument, node_at, nodes_at
from api.graphql.opener import Opener


async def snapshot_of(info: Info, asked: AsOf) -> Opener:
    """Opens the books of a snapshot.

    Args:
        info: of the field that is answered at one basis.
        asked: its times, as they were spelt.

    Raises:
        InvalidInput, NotFound: see `api.asof.resolve`.
        Forbidden: `forbidden`.
        Unavailable: `position-not-reached`.
    """
    door = door_of(info)
    (basis,) = bases_of_cursors(info, asked) or (None,)
    basis = await run_in_threadpool(door.taken_up, asked, basis)
    return Opener(door, basis, times_of(asked))


@strawberry.type
class NodeQueries:
    """The roots of what ids name."""

    @strawberry.field(
        description="What an id names, at a basis; no time at all is now. Null when it is not "
        "there at that basis, or not for you to see."
    )
    async def node(  # noqa: PLR0913, PLR0917 - every part of the question is one
        self,
        info: Info,
        id: NodeIdArgument,  # noqa: A002 - the argument's name
        as_of: AsOfArgument = None,
        valid_at: ValidAtArgument = None,
        known_at: KnownAtArgument = None,
        horizon: HorizonArgument = None,
        witnessed_only: WitnessedArgument = False,
        under: UnderArgument = None,
        min_position: MinPositionArgument = None,
    ) -> Node | None:
        asked = AsOf(as_of, valid_at, known_at, horizon, witnessed_only, under, min_position)
        return await node_at(await snapshot_of(info, asked), id)

    @strawberry.field(
        description="What several ids name, at one basis, in their order; null for each that is "
        "not there at that basis, or not for you to see."
    )
    async def nodes(  # noqa: PLR0913, PLR0917 - every part of the question is one
        self,
        info: Info,
        ids: NodeIdsArgument,
        as_of: AsOfArgument = None,
        valid_at: ValidAtArgument = None,
        known_at: KnownAtArgument = None,
        horizon: HorizonArgument = None,
        witnessed_only: WitnessedArgument = False,
        under: UnderArgument = None,
        min_position: MinPositionArgument = None,
    ) -> list[Node | None]:
        asked = AsOf(as_of, valid_at, known_at, horizon, witnessed_only, under, min_position)
        return await nodes_at(await snapshot_of(info, asked), ids)
