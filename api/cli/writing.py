"""Commands that write: record, retract, correct."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from api.cli.output import write_line
from api.cli.session import open_door, open_ledger
from ledger.domain.errors import InvalidInput
from ledger.domain.json_text import parse_object
from ledger.domain.times import parse_instant

if TYPE_CHECKING:
    from ledger.service import Receipt

ActorOption = Annotated[
    str, typer.Option("--actor", help="Who records it.", default_factory=getpass.getuser)
]
OccurredOption = Annotated[
    str | None,
    typer.Option(
        "--occurred-at", help="When it happened at the buyer (an instant); by default now."
    ),
]
EventIdOption = Annotated[
    str | None, typer.Option("--event-id", help="A UUID of your own makes a retry one event.")
]
ExpectedVersionOption = Annotated[
    int | None, typer.Option(help="The version of the stream that you have seen.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
EventArgument = Annotated[
    str, typer.Argument(help="The event: its position in qledger timeline, or its id.")
]
StreamArgument = Annotated[str, typer.Argument(help="Whose event it is, such as deal:006A1.")]


def record(
    stream: StreamArgument,
    event_type: Annotated[str, typer.Argument(help="Such as evidence-recorded.")],
    payload: Annotated[str, typer.Argument(help="The payload as JSON, or - for standard input.")],
    actor: ActorOption,
    occurred_at: OccurredOption = None,
    event_id: EventIdOption = None,
    expected_version: ExpectedVersionOption = None,
) -> None:
    """Record one event, after the rules of its stream have been asked."""
    text = typer.get_binary_stream("stdin").read() if payload == "-" else payload
    record_event(
        stream,
        event_type,
        parse_object(text, what="the payload"),
        actor,
        occurred_at,
        event_id,
        expected_version,
    )


def retract(
    stream: StreamArgument,
    event: EventArgument,
    reason: ReasonOption,
    actor: ActorOption,
    event_id: EventIdOption = None,
    expected_version: ExpectedVersionOption = None,
) -> None:
    """Retract an event: from now on it is as if it had never been."""
    facts = {"target": _event_id(event), "reason": reason}
    record_event(stream, "event-retracted", facts, actor, None, event_id, expected_version)


def correct(
    stream: StreamArgument,
    event: EventArgument,
    reason: ReasonOption,
    actor: ActorOption,
    payload: Annotated[
        str | None, typer.Option(help="The whole payload as it should have been, as JSON.")
    ] = None,
    occurred_at: Annotated[
        str | None, typer.Option(help="When it really happened, an instant.")
    ] = None,
    event_id: EventIdOption = None,
    expected_version: ExpectedVersionOption = None,
) -> None:
    """Correct an event: from now on it counts as corrected; what was known before stays."""
    facts: dict[str, Any] = {"target": _event_id(event), "reason": reason}
    if payload is not None:
        facts["payload"] = parse_object(payload, what="the payload")
    if occurred_at is not None:
        facts["occurred_at"] = occurred_at
    record_event(stream, "event-corrected", facts, actor, None, event_id, expected_version)


def record_event(
    stream: str,
    event_type: str,
    payload: dict[str, Any],
    actor: str,
    occurred_at: str | None = None,
    event_id: str | None = None,
    expected_version: int | None = None,
) -> None:
    """Record an event by the rules of its stream, and say where it stands."""
    from ledger import service

    with open_ledger() as ledger:
        recorded = service.record(
            ledger,
            stream,
            (event_type, payload),
            actor=actor,
            occurred_at=None if occurred_at is None else parse_instant(occurred_at),
            event_id=None if event_id is None else event_uuid(event_id),
            expected_version=expected_version,
        )
    say_receipt(stream, recorded)


def say_receipt(stream: str, receipt: Receipt) -> None:
    """Where an event was recorded, in a line."""
    again = "" if receipt.added else " (it was there already)"
    write_line(f"{stream}: {receipt.type} {receipt.event_id} at position {receipt.position}{again}")


def _event_id(event: str) -> str:
    """The id of an event that is named by its position or its id."""
    if not event.isdecimal():
        return event
    position = int(event)
    with open_door() as door, door.book() as book:
        return book.causes({position})[position]["event_id"]


def event_uuid(text: str) -> UUID:
    """An event's id as spelt.

    Raises:
        InvalidInput: `invalid-event-id`.
    """
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput("invalid-event-id", f"{text!r} is not a UUID") from None
