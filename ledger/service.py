"""The write door: a command is decided on the state of its stream, and its event recorded.

Law: what is recorded was decided on exactly the version of the stream that it follows; when
somebody else was first, it is decided anew (or refused, where the caller named the version they had
seen). A retry with the same event id is one event and is not decided again, also when both are
under way at once and only the ledger's clock says when it happened.

Several events of one stream can be recorded in one act: each is decided on the state that those
before it lead to, and all are recorded, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from ledger.domain.command import Command, Playbooks
from ledger.domain.envelope import decode, prepare, splice
from ledger.domain.errors import Conflict, Refused
from ledger.domain.events import (
    DebriefHeld,
    Draft,
    Event,
    EventCorrected,
    EventPayload,
    EvidenceRecorded,
    PlaybookPublished,
    Source,
    parse_payload,
    stream_name,
)
from ledger.domain.history import effective, in_canonical_form
from ledger.domain.ids import event_id_at, event_id_of
from ledger.domain.streams import decide, playbooks_in_force
from ledger.domain.times import END_OF_TIME, Instant, format_instant
from ledger.store.ledger import Ledger

ATTEMPTS_MAX = 20
THIS_LEDGER = Source("qledger")

Guard: TypeAlias = Callable[[Sequence[Event], Command], None]
"""Whether the one who asks may: given the events of the stream and the command, it refuses or does
nothing. It is asked on exactly the version of the stream on which the command is decided."""


def _anybody(events: Sequence[Event], command: Command) -> None:
    """The guard of a door that lets everybody do everything."""


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
    guard: Guard = _anybody,
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
        guard: whether the one who asks may; a retry of what is recorded asks nothing of it.

    Raises:
        InvalidInput, Refused: see `ledger.domain.streams.decide`; and what the guard refuses.
        Conflict: `stream-moved`, `event-id-taken`.
    """
    if isinstance(payload, tuple):
        payload = parse_payload(*payload)
    for attempt in range(ATTEMPTS_MAX):
        now = ledger.clock()
        event_id = event_id or event_id_at(now)
        events = ledger.stream(stream)
        known = ledger.event(event_id)  # after the stream: what is in it is known
        happened = occurred_at or (_occurred_at(known) if known else now)
        draft = Draft(stream, payload, event_id, actor, THIS_LEDGER, happened)
        if known is not None:
            return _recorded(ledger, draft._replace(payload=_as_recorded(payload, events)), None)
        playbooks = _playbooks(ledger, now)
        command = Command(stream, payload, actor, happened, now, playbooks)
        guard(events, command)
        (decided,) = decide(events, command)
        version = len(events) if expected_version is None else expected_version
        try:
            return _recorded(ledger, draft._replace(payload=decided), version)
        except Conflict as conflict:
            moved = conflict.code == "stream-moved" and expected_version is None
            twice = conflict.code == "event-id-taken" and occurred_at is None
            if not (moved or twice) or attempt == ATTEMPTS_MAX - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


class Part(NamedTuple):
    """One event of several that are recorded in one act.

    Args:
        payload: what is to be recorded.
        event_id: makes a retry recognisable.
        occurred_at: valid time; None is that of the act.
        causation_id: the event that it follows from.
    """

    payload: EventPayload
    event_id: UUID
    occurred_at: Instant | None = None
    causation_id: UUID | None = None


def record_together(
    ledger: Ledger,
    stream: str,
    parts: Sequence[Part],
    *,
    actor: str,
    occurred_at: Instant | None = None,
    correlation_id: UUID | None = None,
    expected_version: int | None = None,
    guard: Guard = _anybody,
) -> list[Receipt]:
    """Decide on several commands in turn and record what they lead to in one act: all, or none.

    Args:
        ledger: where to.
        stream: whose events they are, such as `deal:006A1`.
        parts: what is to be recorded, in that order. A retry gives the same ids again, and with
            the same content they are the same events and are not decided again.
        actor: who asks.
        occurred_at: valid time of the act; None is now, by the ledger's clock, or in a retry that
            of the first time.
        correlation_id: what ties them together.
        expected_version: the version of the stream that the caller has seen.
        guard: as in `record`; it is asked about each.

    Returns:
        A receipt for each part, in order.

    Raises:
        InvalidInput, Refused: see `ledger.domain.streams.decide`; nothing is recorded.
        Conflict: `stream-moved`, `event-id-taken`.
    """
    for attempt in range(ATTEMPTS_MAX):
        now = ledger.clock()
        events = ledger.stream(stream)
        known = [ledger.event(part.event_id) for part in parts]
        drafts = [
            Draft(
                stream,
                part.payload,
                part.event_id,
                actor,
                THIS_LEDGER,
                part.occurred_at or occurred_at or (_occurred_at(each) if each else now),
                causation_id=part.causation_id,
                correlation_id=correlation_id,
            )
            for part, each in zip(parts, known, strict=True)
        ]
        if any(each is not None for each in known):
            drafts = [d._replace(payload=_as_recorded(d.payload, events)) for d in drafts]
            return _recorded_together(ledger, drafts, None)
        decided = _decided_in_turn(events, drafts, now, _playbooks(ledger, now), guard)
        version = len(events) if expected_version is None else expected_version
        try:
            return _recorded_together(ledger, decided, version)
        except Conflict as conflict:
            moved = conflict.code == "stream-moved" and expected_version is None
            twice = conflict.code == "event-id-taken" and occurred_at is None
            if not (moved or twice) or attempt == ATTEMPTS_MAX - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


class Answer(NamedTuple):
    """What a debrief brought on one criterion.

    Args:
        criterion: its key.
        evidence: what the buyer did or said; None where there was no answer.
        occurred_at: valid time of the evidence; None is that of the debrief.
        note: what else was said.
    """

    criterion: str
    evidence: EvidenceRecorded | None = None
    occurred_at: Instant | None = None
    note: str | None = None


class Debrief(NamedTuple):
    """A debrief of a deal.

    Args:
        reviewer: who asked; never the owner of the deal.
        answers: by criterion, in the order in which they were given.
        meetings_before: how many meetings there had been with the buyer.
    """

    reviewer: str
    answers: Sequence[Answer]
    meetings_before: int | None = None


def hold_debrief(
    ledger: Ledger,
    deal_id: str,
    debrief: Debrief,
    *,
    actor: str,
    occurred_at: Instant | None = None,
    event_id: UUID | None = None,
    expected_version: int | None = None,
    guard: Guard = _anybody,
) -> list[Receipt]:
    """Record a debrief in one act: each answer that is evidence, then the debrief that names them.

    The debrief is the cause of its evidence, and ties all of it together. The ids of the evidence
    are made from the debrief's, so that one id makes the whole act recognisable in a retry.

    Args:
        ledger: where to.
        deal_id: the deal's own id.
        debrief: who asked, and what was answered.
        actor: who records it.
        occurred_at: valid time of the debrief; None is now.
        event_id: the id of the `debrief-held`; made here where None.
        expected_version: the version of the deal's stream that the caller has seen.
        guard: as in `record`.

    Returns:
        The receipts, that of the debrief last.

    Raises:
        InvalidInput, Refused: see `ledger.domain.deal.decide`, among them `reviewer-is-owner`,
            `unknown-criterion`, `unknown-stakeholder`; nothing is recorded.
        Conflict: `stream-moved`, `event-id-taken`.
    """
    debrief_id = event_id or event_id_at(ledger.clock())
    parts: list[Part] = []
    told: list[dict[str, Any]] = []
    for number, answer in enumerate(debrief.answers, 1):
        evidence_id = None
        if answer.evidence is not None:
            evidence_id = event_id_of(THIS_LEDGER.system, str(debrief_id), f"answer {number}")
            parts.append(Part(answer.evidence, evidence_id, answer.occurred_at, debrief_id))
        told.append(
            {
                "criterion": answer.criterion,
                "answer": "no_answer" if evidence_id is None else "evidence",
                "evidence": evidence_id,
                "note": answer.note,
            }
        )
    held = parse_payload(
        DebriefHeld.type,
        {
            "reviewer": debrief.reviewer,
            "answers": told,
            "meetings_before": debrief.meetings_before,
        },
    )
    return record_together(
        ledger,
        stream_name("deal", deal_id),
        [*parts, Part(held, debrief_id)],
        actor=actor,
        occurred_at=occurred_at,
        correlation_id=debrief_id,
        expected_version=expected_version,
        guard=guard,
    )


def publish_playbook(
    ledger: Ledger,
    payload: PlaybookPublished,
    *,
    actor: str,
    effective_at: Instant | None = None,
    event_id: UUID | None = None,
    expected_version: int | None = None,
    guard: Guard = _anybody,
) -> Receipt:
    """Publish a version of a playbook; one that is published already stays as it is.

    Args:
        ledger: where to.
        payload: the whole version.
        actor: who publishes it.
        effective_at: valid time from which it is in force; None is now, or from when on the same
            version is in force already.
        event_id: makes a retry recognisable; made here where None.
        expected_version: the version of the stream that the caller has seen.
        guard: as in `record`.

    Returns:
        The receipt; that of the earlier event, with `added` false, when the same version is there.

    Raises:
        Refused: `version-exists` when the version is published with other content, or takes effect
            at another instant. One that was retracted is not there.
        Conflict: `stream-moved`, `event-id-taken`.
    """
    stream = stream_name("playbook", payload.playbook.key)
    try:
        return record(
            ledger,
            stream,
            payload,
            actor=actor,
            occurred_at=effective_at,
            event_id=event_id,
            expected_version=expected_version,
            guard=guard,
        )
    except Refused as refusal:
        if refusal.code != "version-exists":
            raise
        published = _published_alike(ledger.stream(stream), payload)
        if published is None:
            raise
    since = published["occurred_at"]
    if effective_at is not None and format_instant(effective_at) != since:
        raise Refused(
            "version-exists",
            f"version {payload.playbook.version} is already published, to take effect at {since}",
            where=f"{payload.type}.occurred_at",
            hint=f"to move that, correct the occurred_at of event {published['event_id']}",
        )
    return _receipt_of(published)


def _published_alike(events: Sequence[Event], payload: PlaybookPublished) -> Event | None:
    """The event by which that very version is published; None where there is none."""
    for event in effective(events, format_instant(END_OF_TIME)):
        if (
            event["type"] == payload.type
            and parse_payload(payload.type, event["payload"]) == payload
        ):
            return event
    return None


def _receipt_of(event: Event) -> Receipt:
    return Receipt(
        UUID(event["event_id"]),
        event["type"],
        event["position"],
        event["stream_version"],
        Instant.fromisoformat(event["recorded_at"]),
        added=False,
    )


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


def _decided_in_turn(
    events: Sequence[Event],
    drafts: Sequence[Draft],
    now: Instant,
    playbooks: Playbooks,
    guard: Guard,
) -> list[Draft]:
    """The drafts as decided, each on what those before it lead to."""
    so_far = list(events)
    decided: list[Draft] = []
    for draft in drafts:
        command = Command(
            draft.stream, draft.payload, draft.actor, draft.occurred_at, now, playbooks
        )
        guard(so_far, command)
        (payload,) = decide(so_far, command)
        decided.append(draft._replace(payload=payload))
        position = so_far[-1]["position"] + 1 if so_far else 1
        so_far.append(decode(splice(prepare(decided[-1], len(so_far) + 1), position, now)))
    return decided


def _recorded_together(
    ledger: Ledger, drafts: Sequence[Draft], expected_version: int | None
) -> list[Receipt]:
    recorded = ledger.record(drafts, expected_version=expected_version)
    first = recorded.stream_version - len(drafts) + 1
    return [
        Receipt(
            draft.event_id,
            draft.payload.type,
            position,
            version,
            recorded.recorded_at,
            recorded.added,
        )
        for version, (draft, position) in enumerate(
            zip(drafts, recorded.positions, strict=True), first
        )
    ]


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
    return playbooks_in_force(ledger.kind("playbook"), format_instant(now))
