"""What several roots of the schema share: arguments, each described once, and the door to ask."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.door import Door
from api.graphql.scalars import AsOfTime, BigInt

VALID_AT = "Valid time alone: what had happened at the buyer by then."
KNOWN_AT = 'Knowledge time alone: what was known by then; "now" is hindsight.'
HORIZON = "The last position to take into account."
WITNESSED = "Leave out what sources attested and this ledger did not see."
MIN_POSITION = (
    "The answer must see the log at least up to this position, such as that of what you have just "
    "recorded: read your own writes. A server that has not got that far answers "
    "position-not-reached. It is no part of the basis."
)

AsOfArgument = Annotated[
    AsOfTime | None, strawberry.argument(description="On both axes: as of then, as known then.")
]
ValidAtArgument = Annotated[
    AsOfTime | None,
    strawberry.argument(description=VALID_AT),
]
KnownAtArgument = Annotated[
    AsOfTime | None,
    strawberry.argument(description=KNOWN_AT),
]
UnderArgument = Annotated[
    str | None,
    strawberry.argument(
        description="Judge by this published playbook version, key@version, whatever was in force: "
        "last quarter under today's rules. A version alone is that of the first playbook that has "
        "it."
    ),
]
HorizonArgument = Annotated[BigInt | None, strawberry.argument(description=HORIZON)]
WitnessedArgument = Annotated[
    bool,
    strawberry.argument(description=WITNESSED),
]

MinPositionArgument = Annotated[BigInt | None, strawberry.argument(description=MIN_POSITION)]


def door_of(info: Info) -> Door:
    """The door through which a question is asked."""
    door: Door = info.context["door"]
    return door
