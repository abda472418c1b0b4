"""The write door: a command is decided on the state of its stream, and its event recorded.

Law: what is recorded was decided on exactly the version of the stream that it follows; when
somebody else was first, it is decided anew (or refused, where the caller named the version they had
seen). A retry with the same event id is one event and is not decided again.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from ledger.domain.command import Command, Playbooks
from ledger.domain.errors import Conflict
from ledger.domain.events import (
    Draft,
    Event,
    EventCorrected,
    EventPayload,
    PlaybookPublished,
    Source,
    parse_payload,
    stream_name,
)
from ledger.domain.history import in_canonical_form
from ledger.domain.ids import event_id_at
from ledger.domain.streams import decide, playbooks_in_force
from ledger.domain.times import Instant, format_instant
from ledger.store.ledger import Ledger

ATTEMPTS_MAX = 20
THIS_LEDGER = Source("qledger")


class Receipt(NamedTuple):
    """What was recorded, and where.

    Args:
        event_id: the event's id.
        type: its type.
        position: its place in the log; give it back as `pos:N` to read your own write.
        stream_version: its place in its stream.
        recorded_at: when it was written; for what this ledger witnesses, also its `known_at`.
        added: false when it had been recorded before, and nothing was written.
    """

    event_id: UUID
    type: str
    position: int
    stream_version: int
    recorded_at: Instant
    added: bool


def record(
    ledger: Ledger,
    stream: str,
    payload: EventPayload | tuple[str, dict[str, Any]],
    *,
    actor: str,
    occurred_at: Instant | None = None,
    event_id: UUID | None = None,
    expected_version: int | None = None,
    source: Source = THIS_LEDGER,
) -> Receipt:
    """Decide on a command and record the event it leads to.

    Args:
        ledger: where to.
        stream: whose event it is, such as `deal:006A1`.
        payload: what is to be recorded: a model, or a type name with JSON values.
        actor: who asks.
        occurred_at: valid time; None is now, by the ledger's clock.
        event_id: makes a retry recognisable; made here where None.
        expected_version: the version of the stream that the caller has seen.
        source: the system and record it comes from.

    Raises:
        InvalidInput, Refused: see `ledger.domain.streams.decide`.
        Conflict: `stream-moved`, `event-id-taken`.
    """
    if isinstance(payload, tuple):
        payload = parse_payload(*payload)
    for attempt in range(ATTEMPTS_MAX):
        now = ledger.clock()
        event_id = event_id or event_id_at(now)
        known = ledger.event(event_id)
        happened = occurred_at or (_occurred_at(known) if known else now)
        draft = Draft(stream, payload, event_id, actor, source, happened)
        events = ledger.stream(stream)
        if known is not None:
            return _recorded(ledger, draft._replace(payload=_as_recorded(payload, events)), None)
        playbooks = _playbooks(ledger, now)
        command = Command(stream, payload, actor, happened, now, playbooks)
        (decided,) = decide(events, command)
        version = len(events) if expected_version is None else expected_version
        try:
            return _recorded(ledger, draft._replace(payload=decided), version)
        except Conflict as conflict:
            moved = conflict.code == "stream-moved" and expected_version is None
            if not moved or attempt == ATTEMPTS_MAX - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def publish_playbook(
    ledger: Ledger, payload: PlaybookPublished, *, actor: str, effective_at: Instant | None = None
) -> Receipt | None:
    """Publish a version of a playbook; None when that very version is there already.

    Args:
        ledger: where to.
        payload: the whole version.
        actor: who publishes it.
        effective_at: valid time from which it is in force; None is now.

    Raises:
        Refused: `version-exists` when the version was published with other content.
    """
    stream = stream_name("playbook", payload.playbook.key)
    same = payload.to_json()
    if any(event["payload"] == same for event in ledger.stream(stream)):
        return None
    return record(ledger, stream, payload, actor=actor, occurred_at=effective_at)


def _recorded(ledger: Ledger, draft: Draft, expected_version: int | None) -> Receipt:
    recorded = ledger.record([draft], expected_version=expected_version)
    return Receipt(
        draft.event_id,
        draft.payload.type,
        recorded.positions[0],
        recorded.stream_version,
        recorded.recorded_at,
        recorded.added,
    )


def _as_recorded(payload: EventPayload, events: list[Event]) -> EventPayload:
    """The payload of a retry as its first time was written: a correction in canonical form."""
    if isinstance(payload, EventCorrected):
        for event in events:
            if event["event_id"] == str(payload.target):
                return in_canonical_form(event, payload)
    return payload


def _occurred_at(event: Event) -> Instant:
    return Instant.fromisoformat(event["occurred_at"])


def _playbooks(ledger: Ledger, now: Instant) -> Playbooks:
    published = ledger.events(types=[PlaybookPublished.type])
    return playbooks_in_force(published, format_instant(now))
