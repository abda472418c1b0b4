"""The arguments that several roots of the schema share, each described once."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.door import Door
from api.graphql.scalars import AsOfTime, BigInt

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
HorizonArgument = Annotated[
    BigInt | None, strawberry.argument(description="The last position to take into account.")
]
WitnessedArgument = Annotated[
    bool,
    strawberry.argument(description="Leave out what sources attested and this ledger did not see."),
]


MIN_POSITION = (
    "The answer must see the log at least up to this position, such as that of what you have just "
    "recorded: read your own writes. A server that has not got that far answers "
    "position-not-reached. It is no part of the basis."
)
MinPositionArgument = Annotated[BigInt | None, strawberry.argument(description=MIN_POSITION)]


def door_of(info: Info) -> Door:
    """The door through which a question is asked."""
    door: Door = info.context["door"]
    return door
