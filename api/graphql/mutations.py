"""Writing: what mutations answer, and the type that has one for every command.

Law: what the domain refuses is an answer, with a stable code and the place in the input. Only what
is wrong with the request itself, or with the service, is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import strawberry
from starlette.concurrency import run_in_threadpool
from strawberry.tools import create_type
from strawberry.types import Info
from strawberry.types.field import StrawberryField

from api.access.commands import Writer
from api.graphql.commands import COMMANDS, Command
from api.graphql.scalars import BigInt
from ledger.domain.errors import QledgerError, StreamMoved, Unavailable
from ledger.domain.times import format_instant
from ledger.service import Receipt


@strawberry.type(description="An event was recorded, or had been recorded before.")
class Recorded:
    event_id: strawberry.ID = strawberry.field(description="The event's UUID.")
    type: str = strawberry.field(description="Such as evidence-recorded.")
    position: BigInt = strawberry.field(
        description="Its place in the log. To read what you wrote, give it to your next question "
        'as minPosition; snapshot(asOf: "pos:N") reads the ledger just as it was then.'
    )
    stream_version: int = strawberry.field(
        description="Its place in its stream; expectedVersion of the next command on it."
    )
    recorded_at: str = strawberry.field(description="When it was written, an instant in UTC.")
    added: bool = strawberry.field(
        description="False when it had been recorded before, and nothing was written."
    )
    alongside: list[Recorded] = strawberry.field(
        description="What else was recorded in the same act, in order: the evidence of a debrief."
    )

    @classmethod
    def of(cls, receipts: list[Receipt]) -> Recorded:
        """The last of the receipts, with those before it."""
        *before, last = receipts
        return cls(
            event_id=strawberry.ID(str(last.event_id)),
            type=last.type,
            position=BigInt(last.position),
            stream_version=last.stream_version,
            recorded_at=format_instant(last.recorded_at),
            added=last.added,
            alongside=[cls.of([each]) for each in before],
        )


@strawberry.type(description="A command was refused; nothing was recorded.")
class Rejected:
    code: str = strawberry.field(description="Stable, such as unknown-criterion; see docs.")
    message: str = strawberry.field(description="What is wrong, as a person says it.")
    where: str | None = strawberry.field(
        description="The place in the arguments, such as input.saidBy or input.answers.0.evidence; "
        "null when it is about no single part of them."
    )
    hint: str | None = strawberry.field(description="What to do about it.")
    current_version: int | None = strawberry.field(
        description="With stream-moved, how many events the stream has now: look at what came, and "
        "give it as expectedVersion. Null with all other codes."
    )

    @classmethod
    def of(cls, refusal: QledgerError, where: str | None) -> Rejected:
        return cls(
            code=refusal.code,
            message=refusal.message,
            where=where,
            hint=refusal.hint or None,
            current_version=refusal.version if isinstance(refusal, StreamMoved) else None,
        )


CommandResult: TypeAlias = Annotated[
    Recorded | Rejected,
    strawberry.union("CommandResult", description="What became of a command."),
]


def run(command: Command, writer: Writer, given: Any) -> Recorded | Rejected:
    """Do what a command asks, and say what became of it.

    Raises:
        Unavailable: when the database cannot serve now.
    """
    try:
        return Recorded.of(command.run(writer, given))
    except Unavailable:
        raise
    except QledgerError as refusal:
        return Rejected.of(refusal, command.place(refusal))


def _mutation(command: Command) -> StrawberryField:
    async def resolve(info: Info, input: Any) -> Any:  # noqa: A002 - the argument's name
        return await run_in_threadpool(run, command, info.context["writer"], input)

    resolve.__name__ = command.mutation
    resolve.__annotations__ = {
        "info": Info,
        "input": Annotated[
            command.input(), strawberry.argument(description="What is asked, and by whom.")
        ],
        "return": CommandResult,
    }
    field: StrawberryField = strawberry.mutation(
        resolver=resolve, name=command.mutation, description=command.description
    )
    return field


Mutation = create_type(
    "Mutation",
    [_mutation(command) for command in COMMANDS],
    description="Commands. Each asks for one event (a debrief also for its evidence); the ledger "
    "decides, and answers with what it recorded, or with why it refused.",
)
