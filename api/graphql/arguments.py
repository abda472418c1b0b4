"""The arguments that several roots of the schema share, each described once."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.door import Door
from api.graphql.scalars import BigInt

HorizonArgument = Annotated[
    BigInt | None, strawberry.argument(description="The last position to take into account.")
]
WitnessedArgument = Annotated[
    bool,
    strawberry.argument(description="Leave out what sources attested and this ledger did not see."),
]


def door_of(info: Info) -> Door:
    """The door through which a question is asked."""
    door: Door = info.context["door"]
    return door
