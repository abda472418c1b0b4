"""A door at one moment: whatever a request asks, and in how many threads, it has one "now"."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from api.asof import AsOf
from api.door import Door
from api.moment import HEAD, MomentDoor
from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.store.ledger import Ledger
from projections.reader import LogReader, Present
from tests.integration.projected import Writer

THREADS = 6


@pytest.fixture
def writer(ledger: Ledger) -> Writer:
    made = Writer(ledger)
    made.publish()
    made.open()
    return made


@pytest.fixture
def door(ledger: Ledger, settings: Settings) -> MomentDoor:
    return MomentDoor.of(Door(ledger.database, settings))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Present]:
    """The presents that were looked up; each takes long enough to be looked up twice."""
    found: list[Present] = []
    real = LogReader.present

    def slowly(reader: LogReader) -> Present:
        present = real(reader)
        time.sleep(0.05)
        found.append(present)
        return present

    monkeypatch.setattr(LogReader, "present", slowly)
    return found


def test_the_parts_of_a_request_that_ask_at_once_get_one_now(
    writer: Writer, door: MomentDoor, looked: list[Present]
) -> None:
    together = Barrier(THREADS)

    def ask(number: int) -> Basis:
        together.wait()
        basis = door.resolve(AsOf(under=None) if number % 2 else AsOf(known_at="now"))
        writer.write(1)
        return basis

    with ThreadPoolExecutor(THREADS) as pool:
        bases = set(pool.map(ask, range(THREADS)))
    assert len(bases) == 1
    assert len(looked) == 1
    assert set(door.rests_on) == bases


def test_what_is_recorded_after_its_first_question_is_not_in_any_of_its_books(
    writer: Writer, door: MomentDoor
) -> None:
    first = door.resolve(AsOf())
    writer.write(10)
    with door.books(AsOf(), AsOf(as_of="2026-01-02")) as (now, then):
        assert now.basis == first
        assert then.basis.horizon == first.horizon
    assert MomentDoor.of(door).resolve(AsOf()).horizon == writer.head == first.horizon + 10


def test_asked_again_later_it_rests_on_what_is_there_then(writer: Writer, door: MomentDoor) -> None:
    pinned = door.resolve(AsOf(as_of="pos:3"))
    door.resolve(AsOf())
    with door.book_at(pinned):
        pass
    assert door.head().size == writer.head
    assert door.asked == (AsOf(as_of="pos:3"), AsOf(), HEAD)
    writer.write(1)
    again = MomentDoor.of(door)
    again.ask_again(door.asked)
    assert again.rests_on[0] == pinned
    assert again.rests_on[1] != door.rests_on[1]
    assert again.rests_on[2] == door.head().size == writer.head
