"""The envelope's bytes: golden, canonical by an independent implementation, and read back."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.envelope import (
    EVENT_BYTES_MAX,
    canonical,
    content,
    decode,
    leaf_hash,
    prepare,
    splice,
)
from ledger.domain.errors import InvalidInput
from ledger.domain.events import (
    Draft,
    EventCorrected,
    EventPayload,
    Source,
    StageClaimed,
    parse_payload,
)
from ledger.domain.times import format_instant

THEN = datetime(2026, 3, 31, 17, 0, 0, 250_000, tzinfo=UTC)
LATER = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
EVENT_ID = UUID("0195f0e4-7b20-7c3e-8f3a-0123456789ab")

GOLDEN = (
    b'{"actor":"ann","event_id":"0195f0e4-7b20-7c3e-8f3a-0123456789ab",'
    b'"known_at":"2026-04-01T09:30:00.000000Z","occurred_at":"2026-03-31T17:00:00.250000Z",'
    b'"payload":{"probability":40,"stage":"N\xc3\xa4chste \\"Stufe\\"\\n!"},'
    b'"position":42,"recorded_at":"2026-04-01T09:30:00.000000Z","schema_version":1,'
    b'"source":{"record":"008X","system":"salesforce"},"stream":"deal:006A1",'
    b'"stream_version":7,"type":"stage-claimed"}'
)

basic_plane = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(basic_plane, max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
instants = st.datetimes(timezones=st.just(UTC))


def draft(payload: EventPayload | None = None, **changes: object) -> Draft:
    base = Draft(
        "deal:006A1", payload or StageClaimed(stage="x"), EVENT_ID, "ann",
        Source("salesforce", "008X"), THEN, LATER,
    )  # fmt: skip
    return base._replace(**changes)  # type: ignore[arg-type]


def correction(payload: dict[str, object]) -> Draft:
    return draft(EventCorrected(target=EVENT_ID, payload=payload, reason="typing error"))


def test_the_golden_envelope() -> None:
    payload = parse_payload("stage-claimed", {"stage": 'Nächste "Stufe"\n!', "probability": 40})
    envelope = splice(prepare(draft(payload), 7), 42, LATER)
    assert envelope == GOLDEN
    assert leaf_hash(envelope) == hashlib.sha256(b"\x00" + GOLDEN).digest()


@given(st.dictionaries(st.text(basic_plane, max_size=8), values, max_size=6))
def test_our_canonical_json_is_rfc_8785(value: dict[str, object]) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(
    payload=st.dictionaries(st.text(basic_plane, max_size=8), values, max_size=6),
    occurred_at=instants,
    known_at=st.none() | instants,
    recorded_at=instants,
    numbers=st.tuples(st.integers(1, 2**53 - 1), st.integers(1, 2**31 - 1)),
    actor=st.text(max_size=20),
    record=st.none() | st.text(max_size=20),
    caused=st.none() | st.uuids(),
)
def test_a_spliced_envelope_is_rfc_8785_and_reads_back(
    payload: dict[str, object],
    occurred_at: datetime,
    known_at: datetime | None,
    recorded_at: datetime,
    numbers: tuple[int, int],
    actor: str,
    record: str | None,
    caused: UUID | None,
) -> None:
    position, version = numbers
    written = correction(payload)._replace(
        occurred_at=occurred_at, known_at=known_at, actor=actor, source=Source("crm", record),
        causation_id=caused, correlation_id=caused,
    )  # fmt: skip
    envelope = splice(prepare(written, version), position, recorded_at)
    event = decode(envelope)
    assert event["position"] == position
    assert event["stream_version"] == version
    assert event["occurred_at"] == format_instant(occurred_at)
    assert event["recorded_at"] == format_instant(recorded_at)
    assert event["known_at"] == format_instant(known_at or recorded_at)
    assert event["witnessed"] == (known_at is None)
    assert event["payload"]["payload"] == payload
    plain = dict(event)
    del plain["witnessed"]
    if known_at is None:
        del plain["known_at"]
    assert envelope == rfc8785.dumps(plain)  # type: ignore[arg-type]


@given(instants)
def test_an_instant_is_spelled_in_27_characters_whose_order_is_times(instant: datetime) -> None:
    text = format_instant(instant)
    assert len(text) == 27
    assert datetime.fromisoformat(text) == instant
    moved = instant.astimezone(timezone(timedelta(hours=0)))
    assert format_instant(moved) == text


def test_an_instant_of_another_offset_is_written_in_utc() -> None:
    abroad = THEN.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert (
        prepare(draft(occurred_at=abroad, known_at=abroad), 1).before
        == prepare(draft(occurred_at=THEN, known_at=THEN), 1).before
    )


@pytest.mark.parametrize(
    "payload",
    [{"a": 1.5}, {"a": [0, {"b": 2**53}]}, {"a": -(2**53)}, {"a": [1e300]}],
)
def test_numbers_that_others_would_round_are_refused(payload: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        prepare(correction(payload), 1)
    assert refusal.value.code == "number-not-exact"


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InvalidInput) as refusal:
        prepare(draft(actor="\ud800"), 1)
    assert refusal.value.code == "not-json"


def test_an_event_has_a_largest_size() -> None:
    room = EVENT_BYTES_MAX - len(prepare(correction({"a": ""}), 1).before) - 500
    prepare(correction({"a": "x" * room}), 1)
    with pytest.raises(InvalidInput) as refusal:
        prepare(correction({"a": "x" * (room + 500)}), 1)
    assert refusal.value.code == "event-too-large"


def test_content_is_what_the_writer_said() -> None:
    prepared = prepare(draft(), 7)
    assert content(splice(prepared, 1, THEN)) == content(splice(prepare(draft(), 9), 2, LATER))
    assert content(splice(prepared, 1, THEN)) != content(
        splice(prepare(draft(actor="bob"), 7), 1, THEN)
    )
