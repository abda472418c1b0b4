"""The envelope: canonical bytes, exact numbers, a limit on size, and what reading makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.envelope import EVENT_BYTES_MAX, content, decode, prepare, splice
from ledger.domain.errors import InvalidInput
from ledger.domain.events import (
    Draft,
    EventCorrected,
    EventPayload,
    EvidenceRecorded,
    PostMortemRecorded,
    Source,
    parse_payload,
)
from tests.unit.domain.builders import at

TARGET = UUID(int=1)
POSITION_MAX = 2**63 - 1
END = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t\r"),
    min_size=1,
    max_size=60,
).filter(lambda text: bool(text.strip()))
instants = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - Hypothesis adds the time zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001 - likewise
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
)


def draft(payload: EventPayload, **changed: Any) -> Draft:
    return Draft("deal:D1", payload, TARGET, "ann", Source("t"), at("2026-03-31"))._replace(
        **changed
    )


def corrected(inner: dict[str, Any]) -> EventCorrected:
    """A correction; its inner payload is only checked against its target, not as a shape."""
    return EventCorrected(target=TARGET, payload=inner, reason="x")


def code_of(made: Draft) -> str:
    with pytest.raises(InvalidInput) as caught:
        prepare(made, 1)
    return caught.value.code


# --- size -----------------------------------------------------------------------------------------


def _corrected_of_size(length: int) -> Draft:
    return draft(corrected({"name": "x" * length}))


def test_an_event_is_at_most_64_kib_at_any_position_and_time() -> None:
    largest_text = 0
    low, high = 0, EVENT_BYTES_MAX
    while low <= high:
        middle = (low + high) // 2
        try:
            prepare(_corrected_of_size(middle), 1)
            largest_text, low = middle, middle + 1
        except InvalidInput:
            high = middle - 1
    whole = splice(prepare(_corrected_of_size(largest_text), 1), POSITION_MAX, END)
    assert len(whole) == EVENT_BYTES_MAX == 65_536
    assert code_of(_corrected_of_size(largest_text + 1)) == "event-too-large"


def test_size_is_counted_in_bytes_not_in_characters() -> None:
    assert prepare(_corrected_of_size(40_000), 1)
    assert code_of(draft(corrected({"name": "ü" * 40_000}))) == "event-too-large"


def test_the_longest_texts_fit_unless_escaping_swells_them() -> None:
    longest = PostMortemRecorded(reviewer="m", finding="\U0001f680" * 4000, lesson="ü" * 4000)
    assert prepare(draft(longest), 1)
    fields = {f"f{number}": "\n" * 4000 for number in range(9)}
    assert code_of(draft(corrected(fields))) == "event-too-large"


# --- numbers and texts ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0.5, 1.0, -0.0, 2**53, -(2**53), float("nan"), float("inf")])
@pytest.mark.parametrize("nest", [lambda n: n, lambda n: [n], lambda n: {"a": [{"b": n}]}])
def test_a_number_that_another_reader_would_round_is_refused(number: float, nest: Any) -> None:
    assert code_of(draft(corrected({"x": nest(number)}))) == "number-not-exact"


@pytest.mark.parametrize("number", [0, -1, 2**53 - 1, -(2**53) + 1, True, None])
def test_a_whole_number_of_53_bits_is_exact(number: int | None) -> None:
    event = decode(splice(prepare(draft(corrected({"x": [number]})), 1), 1, END))
    assert event["payload"]["payload"] == {"x": [number]}


@pytest.mark.parametrize(
    "changed",
    [
        {"actor": "half \ud800"},
        {"source": Source("t", "\udfff")},
        {"stream": "deal:\ud83d"},
        {"payload": corrected({"x": 2**64})},
    ],
    ids=["actor", "source", "stream", "number"],
)
def test_what_json_cannot_say_is_refused(changed: dict[str, Any]) -> None:
    made = draft(EvidenceRecorded(criterion="a", stance="supports", source_kind="crm"))
    assert code_of(made._replace(**changed)) == "not-json"


# --- canonical ------------------------------------------------------------------------------------


@given(
    name=texts,
    quote=texts,
    occurred_at=instants,
    known_at=st.none() | instants,
    recorded_at=instants,
    position=st.integers(1, 2**53 - 1),
    record=st.none() | texts,
    causes=st.tuples(st.none() | st.uuids(), st.none() | st.uuids()),
)
def test_the_envelope_is_canonical_json_and_reads_back(
    name: str,
    quote: str,
    occurred_at: datetime,
    known_at: datetime | None,
    recorded_at: datetime,
    position: int,
    record: str | None,
    causes: tuple[UUID | None, UUID | None],
) -> None:
    payload = parse_payload(
        "deal-revised",
        {"name": name, "products": [quote], "dimensions": {"segment": None, "region": quote}},
    )
    made = draft(
        payload,
        actor=name,
        source=Source("crm", record),
        occurred_at=occurred_at,
        known_at=known_at,
        causation_id=causes[0],
        correlation_id=causes[1],
    )
    whole = splice(prepare(made, 3), position, recorded_at)
    assert whole == rfc8785.dumps(orjson.loads(whole))
    event = decode(whole)
    assert event["payload"] == payload.to_json()
    assert event["position"] == position
    assert event["stream_version"] == 3
    assert datetime.fromisoformat(event["occurred_at"]) == occurred_at
    assert datetime.fromisoformat(event["recorded_at"]) == recorded_at
    assert datetime.fromisoformat(event["known_at"]) == (known_at or recorded_at)
    assert event["witnessed"] is (known_at is None)
    assert ("causation_id" in event) is (causes[0] is not None)


def test_an_instant_is_spelled_in_one_way_whatever_its_offset() -> None:
    made = EvidenceRecorded(criterion="a", stance="supports", source_kind="crm")
    zone = timezone(timedelta(hours=2))
    for moment in (
        datetime(2026, 3, 31, 14, tzinfo=zone),
        datetime(2026, 3, 31, 12, tzinfo=UTC),
    ):
        whole = splice(prepare(draft(made, occurred_at=moment), 1), 1, END)
        assert b'"occurred_at":"2026-03-31T12:00:00.000000Z"' in whole


def test_known_at_is_written_for_attested_events_only() -> None:
    made = EvidenceRecorded(criterion="a", stance="supports", source_kind="crm")
    witnessed = splice(prepare(draft(made), 1), 1, END)
    attested = splice(prepare(draft(made, known_at=END), 1), 1, END)
    assert b"known_at" not in witnessed
    assert b'"known_at":"9999-12-31T23:59:59.999999Z"' in attested
    assert decode(witnessed)["witnessed"]
    assert not decode(attested)["witnessed"], "also where the two times are the same"


def test_content_is_the_same_wherever_the_ledger_put_the_event() -> None:
    prepared = prepare(draft(corrected({"x": 1})), 1)
    elsewhere = prepare(draft(corrected({"x": 1})), 9)
    other = prepare(draft(corrected({"x": 2})), 1)
    first = content(splice(prepared, 1, at("2026-01-01")))
    assert first == content(splice(elsewhere, 99, at("2026-02-02")))
    assert first != content(splice(other, 1, at("2026-01-01")))
