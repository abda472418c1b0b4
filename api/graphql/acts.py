"""What a mutation does: it reads its input and hands it to `ledger.service`, which decides.

Law: nothing is decided here: whether the one who asks may is for the writer's guard, what may stand
in the ledger for the domain. Each act gives back the receipts of what was recorded, that of the
event asked for last; nothing is half-written.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self
from uuid import UUID

from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from api.access.commands import Writer, unknown_event
from api.graphql.inputs import given_facts, payload_of
from ledger import service
from ledger.domain.errors import InvalidInput, QledgerError
from ledger.domain.events import (
    SETTINGS_STREAM,
    EventCorrected,
    EventPayload,
    EventRetracted,
    EvidenceRecorded,
    PlaybookPublished,
    parse_payload,
    stream_category,
    stream_name,
)
from ledger.domain.playbook import parse_playbook
from ledger.domain.times import Instant, parse_instant
from ledger.service import Answer, Debrief, Receipt


class Asked(NamedTuple):
    """What every input says besides its payload."""

    actor: str
    event_id: UUID | None
    expected_version: int | None

    @classmethod
    def of(cls, writer: Writer, given: Any) -> Self:
        """Read it from an input; the actor is who asks.

        Raises:
            InvalidInput: `invalid-event-id`, `invalid-actor`.
            Forbidden: `forbidden`, where somebody else is said to be the actor.
        """
        actor = writer.actor(_or_none(given, "actor"))
        return cls(actor, _event_id(given), _or_none(given, "expected_version"))


def record(writer: Writer, payload: type[EventPayload], whose: str, given: Any) -> list[Receipt]:
    """Record one event.

    Args:
        writer: who asks, and where it is recorded.
        payload: what is to be recorded.
        whose: the kind of stream; the input has a field of that name with the id.
        given: the input.
    """
    stream = SETTINGS_STREAM
    if whose != "settings":
        stream = stream_name(whose, getattr(given, whose))
    facts = parse_payload(payload.type, payload_of(payload, given))
    return [_record(writer, stream, facts, given, _instant(given, "occurred_at"))]


def act_on_event(
    writer: Writer,
    payload: type[EventPayload],
    whose: str,  # noqa: ARG001 - an act stands where its target does
    given: Any,
) -> list[Receipt]:
    """Retract or correct an event, in the stream in which it stands."""
    fields = [name for name in payload.model_fields if hasattr(given, name)]
    act = parse_payload(payload.type, given_facts(given, fields))
    assert isinstance(act, EventRetracted | EventCorrected)  # noqa: S101 - there are no others
    target = writer.ledger.event(act.target)
    if target is None:
        raise unknown_event(act.target)
    return [_record(writer, target["stream"], act, given, None)]


def publish(
    writer: Writer,
    payload: type[EventPayload],  # noqa: ARG001 - there is only one
    whose: str,  # noqa: ARG001 - the version names its playbook
    given: Any,
) -> list[Receipt]:
    """Publish a version of a playbook; the same version again is the same event."""
    playbook = parse_playbook(given.toml, where="input.toml")
    return [
        service.publish_playbook(
            writer.ledger,
            PlaybookPublished(playbook=playbook),
            effective_at=_instant(given, "occurred_at"),
            guard=writer.guard,
            **Asked.of(writer, given)._asdict(),
        )
    ]


def hold_debrief(
    writer: Writer,
    payload: type[EventPayload],  # noqa: ARG001 - there is only one
    whose: str,
    given: Any,
) -> list[Receipt]:
    """Record a debrief and the evidence that it brought, in one act."""
    stream_category(stream_name(whose, given.deal))
    return service.hold_debrief(
        writer.ledger,
        given.deal,
        Debrief(
            given.reviewer,
            [_answer(number, answer) for number, answer in enumerate(given.answers)],
            _or_none(given, "meetings_before"),
        ),
        occurred_at=_instant(given, "occurred_at"),
        guard=writer.guard,
        **Asked.of(writer, given)._asdict(),
    )


def _answer(number: int, given: Any) -> Answer:
    where = f"input.answers.{number}"
    return Answer(
        given.criterion,
        _evidence(given, where),
        _instant(given, "occurred_at", where=f"{where}.occurredAt"),
        _or_none(given, "note"),
    )


def _evidence(given: Any, where: str) -> EvidenceRecorded | None:
    evidence = _or_none(given, "evidence")
    if evidence is None:
        return None
    fields = [name for name in EvidenceRecorded.model_fields if hasattr(evidence, name)]
    facts = {"criterion": given.criterion, **given_facts(evidence, fields)}
    try:
        found = parse_payload(EvidenceRecorded.type, facts)
    except QledgerError as refusal:
        part = refusal.where.removeprefix(f"{EvidenceRecorded.type}.")
        path = part if part == "criterion" else f"evidence.{to_camel_case(part)}"
        raise InvalidInput(
            refusal.code, refusal.message, where=f"{where}.{path}", hint=refusal.hint
        ) from None
    assert isinstance(found, EvidenceRecorded)  # noqa: S101 - the model of that type
    return found


def _record(
    writer: Writer,
    stream: str,
    payload: EventPayload,
    given: Any,
    occurred_at: Instant | None,
) -> Receipt:
    stream_category(stream)
    return service.record(
        writer.ledger,
        stream,
        payload,
        occurred_at=occurred_at,
        guard=writer.guard,
        **Asked.of(writer, given)._asdict(),
    )


def _or_none(given: Any, name: str) -> Any:
    value = getattr(given, name)
    return None if value is UNSET else value


def _instant(given: Any, name: str, *, where: str = "") -> Instant | None:
    text = _or_none(given, name)
    return None if text is None else parse_instant(text, where=where or name)


def _event_id(given: Any) -> UUID | None:
    text = _or_none(given, "event_id")
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise InvalidInput(
            "invalid-event-id", f"{text[:80]!r} is not a UUID", where="event_id"
        ) from None
