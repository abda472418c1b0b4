"""Commands that write - record, retract, correct - and those of playbooks."""

from __future__ import annotations

import getpass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import orjson
import typer

from api.cli.output import write_line, write_table
from api.cli.session import open_door, open_ledger
from ledger.domain.errors import InvalidInput
from ledger.domain.events import PlaybookPublished, stream_name
from ledger.domain.playbook import parse_playbook
from ledger.domain.streams import playbooks_in_force
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
    expected_version: Annotated[
        int | None, typer.Option(help="The version of the stream that you have seen.")
    ] = None,
) -> None:
    """Record one event, after the rules of its stream have been asked."""
    text = typer.get_binary_stream("stdin").read() if payload == "-" else payload
    _record(stream, event_type, _json(text), actor, occurred_at, event_id, expected_version)


def retract(
    stream: StreamArgument,
    event: EventArgument,
    reason: ReasonOption,
    actor: ActorOption,
) -> None:
    """Retract an event: from now on it is as if it had never been."""
    _record(stream, "event-retracted", {"target": _event_id(event), "reason": reason}, actor)


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
) -> None:
    """Correct an event: from now on it counts as corrected; what was known before stays."""
    facts: dict[str, Any] = {"target": _event_id(event), "reason": reason}
    if payload is not None:
        facts["payload"] = _json(payload)
    if occurred_at is not None:
        facts["occurred_at"] = occurred_at
    _record(stream, "event-corrected", facts, actor)


def playbook_publish(
    source: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped playbook.")],
    actor: ActorOption,
    effective_at: Annotated[
        str | None, typer.Option(help="When it takes effect, an instant; by default now.")
    ] = None,
) -> None:
    """Publish a version of a playbook. Publishing the same version again changes nothing."""
    from ledger import service

    path = Path(source)
    if not path.suffix:
        path = Path(str(files("ledger") / "playbooks" / f"{source}.toml"))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("unreadable-file", f"cannot read the playbook: {error}") from None
    playbook = parse_playbook(text, where=str(path))
    with open_ledger() as ledger:
        published = service.publish_playbook(
            ledger,
            PlaybookPublished(playbook=playbook),
            actor=actor,
            effective_at=None if effective_at is None else parse_instant(effective_at),
        )
    if published is None:
        write_line(f"{playbook.key} {playbook.version} is already published")
    else:
        _say(stream_name("playbook", playbook.key), published)


def playbook_list() -> None:
    """The playbooks in force."""
    with open_door() as door, door.book() as book:
        in_force = playbooks_in_force(book.playbook_events(), book.valid_at).in_force
    write_table(
        "Playbooks",
        ["key", "version", "name", "gates*", "criteria*"],
        [
            [each.key, each.version, each.name, len(each.gates), len(each.criteria)]
            for each in in_force.values()
        ],
    )


def playbook_show(
    key: Annotated[str | None, typer.Argument(help="By default the first in force.")] = None,
) -> None:
    """A playbook's gates and exit criteria."""
    with open_door() as door, door.book() as book:
        playbook = playbooks_in_force(book.playbook_events(), book.valid_at).of_deal(key)
    write_table(
        f"{playbook.name} ({playbook.key} {playbook.version})",
        ["gate", "criterion", "question", "mandatory", "fresh for days*", "said by"],
        [
            [gate.key, each.key, each.question, "yes" if each.mandatory else "no",
             each.fresh_for_days, each.said_by_role]
            for gate in playbook.gates
            for each in gate.criteria
        ],
    )  # fmt: skip


def _record(
    stream: str,
    event_type: str,
    payload: dict[str, Any],
    actor: str,
    occurred_at: str | None = None,
    event_id: str | None = None,
    expected_version: int | None = None,
) -> None:
    from ledger import service

    with open_ledger() as ledger:
        recorded = service.record(
            ledger,
            stream,
            (event_type, payload),
            actor=actor,
            occurred_at=None if occurred_at is None else parse_instant(occurred_at),
            event_id=None if event_id is None else _uuid(event_id),
            expected_version=expected_version,
        )
    _say(stream, recorded)


def _say(stream: str, receipt: Receipt) -> None:
    again = "" if receipt.added else " (it was there already)"
    write_line(f"{stream}: {receipt.type} {receipt.event_id} at position {receipt.position}{again}")


def _json(text: str | bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("invalid-json", f"the payload is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput("invalid-json", "the payload is not a JSON object")
    return value


def _event_id(event: str) -> str:
    """The id of an event that is named by its position or its id."""
    if not event.isdecimal():
        return event
    position = int(event)
    with open_door() as door, door.book() as book:
        return book.causes({position})[position]["event_id"]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput("invalid-event-id", f"{text!r} is not a UUID") from None
