"""The write door: idempotency, conflicts, versions, and the rules at the door."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from ledger.domain.errors import Conflict, InvalidInput
from ledger.domain.events import (
    DealOpened,
    Draft,
    EventPayload,
    PersonJoined,
    QuotaSet,
    Source,
    StageClaimed,
)
from ledger.domain.ids import event_id_of
from ledger.domain.times import format_instant
from ledger.store.ledger import IMPORT_EVENTS_MAX, Ledger
from ledger.store.recorder import StreamEvent

SECOND = timedelta(seconds=1)


def some_id(number: int) -> UUID:
    return event_id_of("test", "record", str(number))


def draft(
    ledger: Ledger,
    number: int,
    stream: str = "deal:1",
    *,
    payload: EventPayload | None = None,
    occurred_at: datetime | None = None,
    known_at: datetime | None = None,
    actor: str = "ann",
) -> Draft:
    return Draft(
        stream=stream,
        payload=payload or StageClaimed(stage=f"stage {number}"),
        event_id=some_id(number),
        actor=actor,
        source=Source("test", str(number)),
        occurred_at=occurred_at or ledger.clock(),
        known_at=known_at,
    )


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert ledger.head() == (0, None)
    assert list(ledger.events()) == []
    assert ledger.stream("deal:1") == []
    assert ledger.event(some_id(1)) is None


def test_what_was_recorded_is_read_back(ledger: Ledger) -> None:
    first = draft(ledger, 1)
    recorded = ledger.record([first, draft(ledger, 2)])
    assert recorded.positions == (1, 2)
    assert recorded.stream_version == 2
    assert ledger.head() == (2, recorded.recorded_at)
    event = ledger.event(first.event_id)
    assert event == ledger.stream("deal:1")[0] == next(ledger.events())
    assert event["payload"] == {"stage": "stage 1"}
    assert event["witnessed"]
    assert event["known_at"] == event["recorded_at"] == format_instant(recorded.recorded_at)
    assert event["occurred_at"] == format_instant(first.occurred_at)
    assert event["source"] == {"system": "test", "record": "1"}


def test_recording_twice_is_recording_once(ledger: Ledger) -> None:
    drafts = [draft(ledger, 1), draft(ledger, 2)]
    first = ledger.record(drafts, expected_version=0)
    ledger.record([draft(ledger, 3)])
    for expected in (0, None):
        again = ledger.record(drafts, expected_version=expected)
        assert again == first._replace(added=False)
    assert ledger.head().size == 3


def test_the_same_id_with_other_content_is_a_conflict(ledger: Ledger) -> None:
    first = draft(ledger, 1)
    ledger.record([first])
    for other in (
        first._replace(actor="bob"),
        first._replace(occurred_at=first.occurred_at - SECOND),
        first._replace(stream="deal:2"),
        first._replace(payload=StageClaimed(stage="other")),
    ):
        with pytest.raises(Conflict) as refusal:
            ledger.record([other])
        assert refusal.value.code == "event-id-taken"
    assert ledger.head().size == 1


def test_an_act_of_which_a_part_is_new_names_what_is_recorded_and_what_is_not(
    ledger: Ledger,
) -> None:
    old, new = draft(ledger, 1), draft(ledger, 2)
    ledger.record([old])
    for act in ([old, new], [new, old]):
        with pytest.raises(Conflict) as refusal:
            ledger.record(act)
        assert refusal.value.code == "event-id-taken"
        assert f"event {old.event_id} is recorded already" in refusal.value.message
        assert f"{new.event_id} of the same act is new" in refusal.value.message
    with pytest.raises(Conflict) as refusal:
        ledger.record([new, old._replace(actor="bob")])
    assert f"event {old.event_id} is recorded already, with other" in refusal.value.message
    assert ledger.head().size == 1


def test_a_decision_on_an_old_version_is_a_conflict(ledger: Ledger) -> None:
    ledger.record([draft(ledger, 1)], expected_version=0)
    for expected in (0, 2):
        with pytest.raises(Conflict) as refusal:
            ledger.record([draft(ledger, 2)], expected_version=expected)
        assert refusal.value.code == "stream-moved"
    assert ledger.record([draft(ledger, 2)], expected_version=1).stream_version == 2
    assert ledger.head().size == 2


def test_a_writer_with_a_stale_memory_still_records(ledger: Ledger) -> None:
    with Ledger.open(ledger.database.settings) as other:
        for number in range(0, 20, 2):
            ledger.record([draft(ledger, number)])
            other.record([draft(ledger, number + 1)])
    assert [event["stream_version"] for event in ledger.stream("deal:1")] == list(range(1, 21))


def test_events_are_read_by_position_type_and_stream(ledger: Ledger) -> None:
    now = ledger.clock()
    drafts = [
        draft(
            ledger, n, f"deal:{n % 3}", occurred_at=now,
            payload=DealOpened(name="x") if n < 3 else None,
        )
        for n in range(2_500)
    ]  # fmt: skip
    ledger.import_events(drafts)

    def positions(**arguments: object) -> list[int]:
        return [event["position"] for event in ledger.events(**arguments)]  # type: ignore[arg-type]

    assert positions() == list(range(1, 2_501))
    assert positions(after=2_000, up_to=2_010) == list(range(2_001, 2_011))
    assert positions(types=["deal-opened"]) == [1, 2, 3]
    assert positions(stream="deal:1") == list(range(2, 2_501, 3))
    assert positions(stream="deal:1", after=1_000, up_to=1_010) == [1_001, 1_004, 1_007, 1_010]
    assert ledger.last_versions(["deal:0", "deal:1", "deal:9"]) == {"deal:0": 834, "deal:1": 833}


def test_the_librarys_event_store_reads_the_same_events(ledger: Ledger) -> None:
    ledger.record([draft(ledger, 1), draft(ledger, 2)])
    read = list(ledger.events.get("deal:1", gt=1))
    assert read == [StreamEvent("deal:1", 2, event=ledger.stream("deal:1")[1])]
    written = ledger.save(StreamEvent("deal:1", 3, draft=draft(ledger, 3)))
    assert written[0].notification.id == 3
    assert ledger.stream("deal:1")[2]["payload"] == {"stage": "stage 3"}


# --- import --------------------------------------------------------------------------------------


def attested(ledger: Ledger, count: int, start: int = 0) -> list[Draft]:
    now = ledger.clock()
    return [
        draft(ledger, n, f"deal:{n % 7}", occurred_at=now - SECOND, known_at=now)
        for n in range(start, start + count)
    ]


def test_an_import_keeps_the_order_and_numbers_each_stream(ledger: Ledger) -> None:
    ledger.record([draft(ledger, 10_000, "deal:0")])
    drafts = attested(ledger, 1_000)
    assert ledger.import_events(drafts) == (1_000, 0, [])
    events = list(ledger.events(after=1))
    assert [event["event_id"] for event in events] == [str(d.event_id) for d in drafts]
    assert not any(event["witnessed"] for event in events)
    assert events[0]["stream_version"] == 2
    assert events[0]["known_at"] == format_instant(drafts[0].known_at or drafts[0].occurred_at)


def test_importing_again_adds_nothing(ledger: Ledger) -> None:
    drafts = attested(ledger, 100)
    ledger.import_events(drafts[:60])
    assert ledger.import_events(drafts) == (40, 60, [])
    assert ledger.import_events(drafts) == (0, 100, [])
    assert ledger.head().size == 100


def test_an_import_reports_ids_with_other_content(ledger: Ledger) -> None:
    drafts = attested(ledger, 10)
    ledger.import_events(drafts[:5])
    drafts[3] = drafts[3]._replace(actor="bob")
    result = ledger.import_events(drafts)
    assert (result.added, result.known) == (5, 4)
    assert [(index, conflict.code) for index, conflict in result.conflicts] == [
        (3, "event-id-taken")
    ]


def test_a_strict_import_with_a_conflict_writes_nothing(ledger: Ledger) -> None:
    drafts = attested(ledger, 10)
    ledger.import_events(drafts[:5])
    drafts[3] = drafts[3]._replace(actor="bob")
    with pytest.raises(Conflict) as refusal:
        ledger.import_events(drafts, strict=True)
    assert refusal.value.code == "event-id-taken"
    assert ledger.head().size == 5


def test_an_id_repeated_within_a_chunk_is_one_event(ledger: Ledger) -> None:
    drafts = attested(ledger, 3)
    drafts += [drafts[0], drafts[1]._replace(actor="bob")]
    result = ledger.import_events(drafts)
    assert (result.added, result.known) == (3, 1)
    assert [index for index, _ in result.conflicts] == [4]


def test_an_import_recovers_from_a_stale_memory_of_versions(ledger: Ledger) -> None:
    with Ledger.open(ledger.database.settings) as other:
        ledger.import_events(attested(ledger, 100))
        other.import_events(attested(ledger, 100, start=100))
        assert ledger.import_events(attested(ledger, 100, start=200)) == (100, 0, [])
    for n in range(7):
        versions = [event["stream_version"] for event in ledger.stream(f"deal:{n}")]
        assert versions == list(range(1, len(versions) + 1))


def test_nothing_and_too_much(ledger: Ledger) -> None:
    assert ledger.import_events([]) == (0, 0, [])
    for call in (ledger.record, ledger.import_events):
        with pytest.raises(InvalidInput) as refusal:
            call([draft(ledger, 1)] * (IMPORT_EVENTS_MAX + 1))
        assert refusal.value.code == "too-many-events"
    with pytest.raises(InvalidInput) as refusal:
        ledger.record([])
    assert refusal.value.code == "no-events"


# --- rules at the door ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"stream": "deal"}, "invalid-stream"),
        ({"stream": "deal:a\x00b"}, "invalid-stream"),
        ({"stream": "person:1"}, "wrong-stream"),
        ({"payload": PersonJoined(name="Ann")}, "wrong-stream"),
        ({"actor": ""}, "invalid-actor"),
        ({"actor": "a" * 201}, "invalid-actor"),
        ({"source": Source("s" * 201)}, "invalid-source"),
        ({"source": Source("s", "r" * 201)}, "invalid-source"),
        ({"occurred_at": datetime(2026, 1, 1)}, "invalid-instant"),  # noqa: DTZ001
    ],
)
def test_what_can_never_stand_in_the_ledger_is_refused(
    ledger: Ledger, change: dict[str, object], code: str
) -> None:
    wrong = draft(ledger, 1)._replace(**change)  # type: ignore[arg-type]
    for write in (ledger.record, ledger.import_events):
        with pytest.raises(InvalidInput) as refusal:
            write([wrong])
        assert refusal.value.code == code
    assert ledger.head().size == 0


def test_nothing_happens_after_it_was_known_unless_announced(ledger: Ledger) -> None:
    now = ledger.clock()
    hour = timedelta(hours=1)
    quota = QuotaSet.model_validate(
        {"period": "2026-Q1", "person": "ann", "amount": {"amount": "1", "currency": "USD"}}
    )
    late = draft(ledger, 1, occurred_at=now + hour)
    attested_late = draft(ledger, 2, occurred_at=now, known_at=now - hour)
    unknown = draft(ledger, 3, occurred_at=now, known_at=now + hour)
    announced = draft(ledger, 4, "period:2026-Q1", payload=quota, occurred_at=now + hour)
    for wrong, code in (
        (late, "occurred-after-known"),
        (attested_late, "occurred-after-known"),
        (unknown, "known-in-the-future"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            ledger.record([wrong])
        assert refusal.value.code == code
    assert ledger.record([announced]).positions == (1,)
