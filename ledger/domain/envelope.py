"""The envelope: the canonical bytes of an event, which the leaf hash covers.

Law: the envelope is the RFC 8785 JSON of everything that matters about an event; a column beside it
repeats a part of it and can be checked against it. Position and `recorded_at` are known only under
the lock of the append, so an event is prepared as the bytes *before* and *after* them (the two keys
are neighbours in RFC 8785's order); the append splices them in and hashes. The leaf hash is RFC
6962's: SHA-256 over a zero byte and the envelope.

Our JSON holds only strings, whole numbers within 53 bits, booleans, null, arrays and objects, with
keys in the basic multilingual plane; within those bounds orjson's sorted output *is* RFC 8785
(tested against an independent implementation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from ledger.domain.errors import InvalidInput
from ledger.domain.events import SCHEMA_VERSIONS, Draft, Event, upcast
from ledger.domain.times import Instant, format_instant

EVENT_BYTES_MAX = 64 * 1024
"""An envelope with its position and `recorded_at` is at most this long."""

_SPLICE_BYTES_MAX = len(
    b'"position":9223372036854775807,"recorded_at":"2026-03-31T23:59:59.999999Z",'
)
_SAFE_INTEGER_MAX = 2**53 - 1
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z


class Prepared(NamedTuple):
    """An event ready to append: its bytes but for position and `recorded_at`."""

    event_id: UUID
    stream: str
    stream_version: int
    type: str
    occurred_at: Instant
    known_at: Instant | None
    before: bytes
    after: bytes


def canonical(value: Mapping[str, Any]) -> bytes:
    """RFC 8785 JSON of a value of our kind."""
    return orjson.dumps(value, option=_CANONICAL)


def prepare(draft: Draft, stream_version: int) -> Prepared:
    """Write a draft's bytes.

    Args:
        draft: a validated event.
        stream_version: the version that it takes in its stream, 1 for the first.

    Raises:
        InvalidInput: `event-too-large`, `number-not-exact`.
    """
    payload = draft.payload.to_json()
    before: dict[str, Any] = {
        "actor": draft.actor,
        "event_id": draft.event_id,
        "occurred_at": _spelled(draft.occurred_at),
        "payload": payload,
    }
    if draft.causation_id is not None:
        before["causation_id"] = draft.causation_id
    if draft.correlation_id is not None:
        before["correlation_id"] = draft.correlation_id
    if draft.known_at is not None:
        before["known_at"] = _spelled(draft.known_at)
    system, record = draft.source
    after = {
        "schema_version": draft.payload.schema_version,
        "source": {"system": system} if record is None else {"record": record, "system": system},
        "stream": draft.stream,
        "stream_version": stream_version,
        "type": draft.payload.type,
    }
    try:
        head = canonical(before)[:-1] + b","
        tail = canonical(after)[1:]
    except TypeError as error:
        raise InvalidInput("not-json", f"the event cannot be written as JSON: {error}") from None
    _refuse_inexact(payload)
    if len(head) + _SPLICE_BYTES_MAX + len(tail) > EVENT_BYTES_MAX:
        raise InvalidInput(
            "event-too-large",
            f"the event is larger than {EVENT_BYTES_MAX} bytes",
            where=draft.stream,
            hint="keep long material where it is and record its link and SHA-256",
        )
    return Prepared(
        draft.event_id, draft.stream, stream_version, draft.payload.type,
        draft.occurred_at, draft.known_at, head, tail,
    )  # fmt: skip


def _spelled(instant: Instant) -> Instant | str:
    """What orjson spells in the one way: it leaves out the decimals when they are all zero."""
    plain = instant.microsecond and instant.tzinfo is UTC
    return instant if plain else format_instant(instant)


def _refuse_inexact(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Numbers that other JSON readers would round have no place in a canonical event."""
    for part in value.values() if isinstance(value, Mapping) else value:
        kind = type(part)
        if kind is str or kind is bool or part is None:
            continue
        if isinstance(part, dict | list | tuple):
            _refuse_inexact(part)
        elif not isinstance(part, int) or abs(part) > _SAFE_INTEGER_MAX:
            raise InvalidInput(
                "number-not-exact", f"{part!r} is not a whole number within 53 bits",
                hint="write decimals as strings",
            )  # fmt: skip


def splice(prepared: Prepared, position: int, recorded_at: Instant) -> bytes:
    """The whole envelope, as the append writes it."""
    middle = f'"position":{position},"recorded_at":"{format_instant(recorded_at)}",'
    return prepared.before + middle.encode() + prepared.after


def leaf_hash(envelope: bytes) -> bytes:
    """RFC 6962's leaf hash."""
    return hashlib.sha256(b"\x00" + envelope).digest()


def decode(envelope: bytes) -> Event:
    """Read a recorded event, its payload brought to today's shape."""
    event: Event = orjson.loads(envelope)
    complete(event)
    return event


def complete(event: Event) -> None:
    """Turn the JSON of an envelope into an event: say what its absent keys mean, upcast."""
    witnessed = event["witnessed"] = "known_at" not in event
    if witnessed:
        event["known_at"] = event["recorded_at"]
    if SCHEMA_VERSIONS.get(event["type"]) != event["schema_version"]:
        event["payload"] = upcast(event["type"], event["schema_version"], event["payload"])


def content(envelope: bytes) -> dict[str, Any]:
    """What the writer said: the envelope without what the ledger added.

    Two envelopes with the same event id must have the same content; else the second is refused.
    """
    facts: dict[str, Any] = orjson.loads(envelope)
    for key in ("position", "recorded_at", "stream_version"):
        del facts[key]
    return facts
