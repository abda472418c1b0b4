"""Canonical events as they stream in: what is recorded, what is told, and what is left out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.connectors.ingest import REFUSED_TOLD_MAX, Ingest, OnRefusal
from ledger.connectors.ndjson import LINE_BYTES_MAX, draft_of
from ledger.domain.errors import Conflict, Unavailable
from ledger.store.ledger import Imported, Ledger
from tests.conftest import FreshLedger

SPACE = UUID("018f0000-0000-7000-8000-000000000000")


def line(number: int, **more: Any) -> bytes:
    """An event of deal D1, known by its number."""
    return orjson.dumps(
        {
            "actor": "crm",
            "event_id": str(uuid5(SPACE, str(number))),
            "known_at": "2026-01-02T00:00:00Z",
            "occurred_at": "2026-01-01T00:00:00Z",
            "payload": {"stage": f"stage {number}"},
            "source": {"system": "crm", "record": str(number)},
            "stream": "deal:D1",
            "type": "stage-claimed",
            **more,
        }
    )


def lines(*numbers: int) -> bytes:
    return b"".join(line(number) + b"\n" for number in numbers)


def taken(
    ledger: Ledger, body: bytes, on_refusal: OnRefusal = OnRefusal.GO_ON, chunk: int = 3
) -> Ingest:
    """A body that came at once."""
    incoming = Ingest(ledger, on_refusal, chunk)
    if incoming.take(body):
        incoming.end()
    return incoming


def stages(ledger: Ledger) -> list[str]:
    return [event["payload"]["stage"] for event in ledger.events(stream="deal:D1")]


def test_lines_are_recorded_in_their_order_and_attested(ledger: Ledger) -> None:
    done = taken(ledger, lines(*range(1, 8)))
    assert stages(ledger) == [f"stage {n}" for n in range(1, 8)]
    assert not any(event["witnessed"] for event in ledger.stream("deal:D1"))
    assert done.as_dict() == {
        "added": 7, "already_known": 0, "refused_count": 0, "refused": [], "up_to_line": 7,
        "position": 7,
    }  # fmt: skip


def test_the_same_lines_again_add_nothing(ledger: Ledger) -> None:
    taken(ledger, lines(1, 2, 3, 4))
    again = taken(ledger, lines(2, 3, 4, 5, 5, 5))
    assert (again.added, again.already_known, again.refused_count) == (1, 5, 0)
    assert (again.position, ledger.head().size) == (5, 5)


def test_what_this_ledger_saw_itself_is_known_when_it_comes_back(ledger: Ledger) -> None:
    ledger.record([draft_of(line(1), ledger.clock())._replace(known_at=None)])
    event = ledger.stream("deal:D1")[0]
    body = orjson.dumps({k: v for k, v in event.items() if k not in {"witnessed", "known_at"}})
    done = taken(ledger, body)
    assert (done.added, done.already_known, done.refused) == (0, 1, [])


@pytest.mark.parametrize("empty", [b"", b"\n", b"\n\r\n  \n"])
def test_empty_lines_are_no_events(ledger: Ledger, empty: bytes) -> None:
    done = taken(ledger, empty + line(1) + b"\n" + empty)
    assert (done.added, done.refused_count) == (1, 0)
    assert taken(ledger, empty).as_dict()["position"] == 1


def test_a_refused_line_is_left_out_and_the_others_are_recorded(ledger: Ledger) -> None:
    taken(ledger, lines(1))
    other = line(1, payload={"stage": "another"})
    done = taken(ledger, b"\n".join([line(2), b"{", line(3), other, line(4, colour=1), line(5)]))
    assert [(each.line, each.reason.code) for each in done.refused] == [
        (2, "not-json"), (4, "event-id-taken"), (5, "unknown-field"),
    ]  # fmt: skip
    assert stages(ledger) == [f"stage {n}" for n in (1, 2, 3, 5)]
    assert (done.added, done.already_known, done.refused_count, done.up_to_line) == (3, 0, 3, 6)


def test_a_refused_line_can_end_the_reading_before_its_chunk(ledger: Ledger) -> None:
    body = lines(1, 2, 3, 4) + b"{\n" + line(5, colour=1) + b"\n" + lines(7, 8, 9)
    done = taken(ledger, body, OnRefusal.STOP)
    assert done.stopped
    assert [each.line for each in done.refused] == [5, 6]
    assert (done.added, done.up_to_line, done.position) == (3, 3, 3)
    assert stages(ledger) == ["stage 1", "stage 2", "stage 3"]
    rest = taken(ledger, lines(*range(4, 10)), OnRefusal.STOP)
    assert (rest.added, rest.stopped) == (6, False)


def test_what_only_the_store_refuses_is_told_of_its_line(ledger: Ledger) -> None:
    long = line(2, actor="x" * 201)
    large = line(3, payload={"stage": "s"}, source={"system": "s", "record": "r" * 201})
    body = b"\n".join([line(1), long, large, line(4)])
    stopped = taken(ledger, body, OnRefusal.STOP, chunk=10)
    assert stopped.stopped
    assert ledger.head().size == 0
    done = taken(ledger, body, chunk=10)
    for each in (stopped, done):
        assert [(one.line, one.reason.code) for one in each.refused] == [
            (2, "invalid-actor"), (3, "invalid-source"),
        ]  # fmt: skip
    assert stages(ledger) == ["stage 1", "stage 4"]


def test_an_id_with_two_contents_in_one_body_is_refused_the_second_time(ledger: Ledger) -> None:
    other = line(1, payload={"stage": "another"})
    for chunk in (1, 10):
        done = taken(ledger, b"\n".join([line(1), other]), chunk=chunk)
        assert [each.line for each in done.refused] == [2]
    assert stages(ledger) == ["stage 1"]


@pytest.mark.parametrize("said", [b"x", b" "], ids=["text", "blanks"])
def test_a_line_that_is_too_long_is_refused_in_bounded_memory(ledger: Ledger, said: bytes) -> None:
    incoming = Ingest(ledger)
    incoming.take(line(1) + b"\n")
    for _ in range(40):
        incoming.take(said * (LINE_BYTES_MAX // 4))
        assert len(incoming._unfinished) <= LINE_BYTES_MAX + 1
    incoming.take(b"\n" + line(2))
    incoming.end()
    assert [(each.line, each.reason.code) for each in incoming.refused] == [(2, "event-too-large")]
    assert stages(ledger) == ["stage 1", "stage 2"]


def test_all_refusals_are_counted_and_only_some_told(ledger: Ledger) -> None:
    done = taken(ledger, b"{\n" * (REFUSED_TOLD_MAX + 50), chunk=7)
    assert done.refused_count == REFUSED_TOLD_MAX + 50
    assert [each.line for each in done.refused] == list(range(1, REFUSED_TOLD_MAX + 1))


def test_what_was_counted_before_the_store_failed_is_recorded(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = Ingest(ledger, chunk_lines_max=2)
    incoming.take(lines(1, 2, 3))
    real = ledger.import_events

    def fail(*_: Any, **__: Any) -> Imported:
        raise Unavailable("database-unreachable", "gone")

    monkeypatch.setattr(ledger, "import_events", fail)
    with pytest.raises(Unavailable):
        incoming.take(lines(4, 5))
    assert (incoming.added, incoming.up_to_line, incoming.position) == (2, 2, 2)
    monkeypatch.setattr(ledger, "import_events", real)
    again = taken(ledger, lines(1, 2, 3, 4, 5))
    assert (again.added, again.already_known) == (3, 2)


def test_an_event_that_somebody_else_records_meanwhile_is_known(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ledger.import_events

    def raced(drafts: Any, *, strict: bool = False) -> Imported:
        monkeypatch.setattr(ledger, "import_events", real)
        taken(ledger, lines(2))
        taken(ledger, line(3, payload={"stage": "another"}))
        return real(drafts, strict=strict)

    monkeypatch.setattr(ledger, "import_events", raced)
    done = taken(ledger, lines(1, 2, 3))
    assert (done.added, done.already_known, done.refused_count) == (1, 1, 1)
    assert sorted(stages(ledger)) == ["another", "stage 1", "stage 2"]


def test_a_race_that_goes_on_and_on_ends(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> Imported:
        raise Conflict("event-id-taken", "taken")

    monkeypatch.setattr(ledger, "import_events", lost)
    with pytest.raises(Conflict) as lasting:
        taken(ledger, lines(1))
    assert lasting.value.code == "stream-moved"


PIECES = [line(1), line(2), b"", b"{", line(3), line(2), line(3, actor="another"), line(4)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 2_500), max_size=8), chunk=st.integers(1, 9))
def test_wherever_the_bytes_are_cut_the_same_becomes_of_them(
    fresh_ledger: FreshLedger, cuts: list[int], chunk: int
) -> None:
    body = b"\n".join(PIECES)
    with fresh_ledger() as (ledger, _settings):
        incoming = Ingest(ledger, chunk_lines_max=chunk)
        edges = [0, *sorted(cut % len(body) for cut in cuts), len(body)]
        for start, end in pairwise(edges):
            incoming.take(body[start:end])
        incoming.end()
        told = incoming.as_dict()
        assert [each["line"] for each in told.pop("refused")] == [4, 7]
        assert told == {
            "added": 4, "already_known": 1, "refused_count": 2, "up_to_line": 8, "position": 4,
        }  # fmt: skip
