"""What a mutation does: it reads its input and hands it to `ledger.service`, which decides.

Law: nothing is decided here. Each act gives back the receipts of what was recorded, that of the
event asked for last; nothing is half-written.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self
from uuid import UUID

from strawberry.types.unset import UNSET
from strawberry.utils.str_converters import to_camel_case

from api.graphql.inputs import given_facts, payload_of
from ledger import service
from ledger.domain.errors import InvalidInput, QledgerError, Refused
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
from ledger.store.ledger import Ledger


class Asked(NamedTuple):
    """What every input says besides its payload."""

    actor: str
    event_id: UUID | None
    expected_version: int | None

    @classmethod
    def of(cls, given: Any) -> Self:
        """Read it from an input.

        Raises:
            InvalidInput: `invalid-event-id`.
        """
        return cls(given.actor, _event_id(given), _or_none(given, "expected_version"))


def record(ledger: Ledger, payload: type[EventPayload], whose: str, given: Any) -> list[Receipt]:
    """Record one event.

    Args:
        ledger: where to.
        payload: what is to be recorded.
        whose: the kind of stream; the input has a field of that name with the id.
        given: the input.
    """
    stream = SETTINGS_STREAM
    if whose != "settings":
        stream = stream_name(whose, getattr(given, whose))
    facts = parse_payload(payload.type, payload_of(payload, given))
    return [_record(ledger, stream, facts, given, _instant(given, "occurred_at"))]


def act_on_event(
    ledger: Ledger,
    payload: type[EventPayload],
    whose: str,  # noqa: ARG001 - an act stands where its target does
    given: Any,
) -> list[Receipt]:
    """Retract or correct an event, in the stream in which it stands."""
    fields = [name for name in payload.model_fields if hasattr(given, name)]
    act = parse_payload(payload.type, given_facts(given, fields))
    assert isinstance(act, EventRetracted | EventCorrected)  # noqa: S101 - there are no others
    target = ledger.event(act.target)
    if target is None:
        raise Refused(
            "unknown-event",
            f"there is no event {act.target}",
            where="target",
            hint="Deal.timeline lists a deal's events with their ids",
        )
    return [_record(ledger, target["stream"], act, given, None)]


def publish(
    ledger: Ledger,
    payload: type[EventPayload],  # noqa: ARG001 - there is only one
    whose: str,  # noqa: ARG001 - the version names its playbook
    given: Any,
) -> list[Receipt]:
    """Publish a version of a playbook; the same version again is the same event."""
    playbook = parse_playbook(given.toml, where="input.toml")
    return [
        service.publish_playbook(
            ledger,
            PlaybookPublished(playbook=playbook),
            effective_at=_instant(given, "occurred_at"),
            **Asked.of(given)._asdict(),
        )
    ]


def hold_debrief(
    ledger: Ledger,
    payload: type[EventPayload],  # noqa: ARG001 - there is only one
    whose: str,
    given: Any,
) -> list[Receipt]:
    """Record a debrief and the evidence that it brought, in one act."""
    stream_category(stream_name(whose, given.deal))
    return service.hold_debrief(
        ledger,
        given.deal,
        Debrief(
            given.reviewer,
            [_answer(number, answer) for number, answer in enumerate(given.answers)],
            _or_none(given, "meetings_before"),
        ),
        occurred_at=_instant(given, "occurred_at"),
        **Asked.of(given)._asdict(),
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
        raise InvalidInput(refusal.code, refusal.message, where=f"{where}.{path}") from None
    assert isinstance(found, EvidenceRecorded)  # noqa: S101 - the model of that type
    return found


def _record(
    ledger: Ledger,
    stream: str,
    payload: EventPayload,
    given: Any,
    occurred_at: Instant | None,
) -> Receipt:
    stream_category(stream)
    return service.record(
        ledger, stream, payload, occurred_at=occurred_at, **Asked.of(given)._asdict()
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
