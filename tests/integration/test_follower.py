"""Following the log: what is kept of its end, and what happens to who is slower than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from ledger.config import Settings
from ledger.domain.errors import NotFound
from ledger.domain.events import DealOpened, DealRevised, Draft, EventPayload, Source
from ledger.store.ledger import Ledger
from projections import follower as following
from projections import hints
from projections.follower import Follower, Sought

EVERYTHING = Sought()
SECONDS_MAX = 20.0


def record(ledger: Ledger, count: int, *, name: str = "d", payload: EventPayload) -> None:
    ledger.import_events([
        Draft(f"deal:{name}-{uuid4()}", payload, uuid4(), "tests", Source("tests"),
              datetime(2026, 1, 1, tzinfo=UTC))
        for _ in range(count)
    ], strict=False)  # fmt: skip


@pytest.fixture
def log(ledger: Ledger) -> Ledger:
    record(ledger, 10, payload=DealOpened(name="Deal"))
    return ledger


@pytest.fixture
def follower(log: Ledger) -> Follower:
    return Follower(lambda: log.url, log.database.do)


class Heard:
    """Counts how often it is woken."""

    def __init__(self) -> None:
        self._bell = threading.Event()

    def __call__(self) -> None:
        self._bell.set()

    def wait(self) -> None:
        assert self._bell.wait(SECONDS_MAX)
        self._bell.clear()


def positions(follower: Follower, after: int, limit: int = 200) -> list[int]:
    return [event["position"] for event in follower.read(after, EVERYTHING, limit).events]


def read_from(follower: Follower, after: int, until: int, heard: Heard) -> Iterator[int]:
    """Every position behind one, as one who follows reads them."""
    while after < until:
        passage = follower.read(after, EVERYTHING, 7)
        yield from (event["position"] for event in passage.events)
        if passage.up_to == after:
            heard.wait()
        after = passage.up_to


def test_while_nobody_follows_the_log_itself_is_read(follower: Follower) -> None:
    assert positions(follower, 0) == list(range(1, 11))
    assert positions(follower, 3, limit=4) == [4, 5, 6, 7]
    assert follower.read(10, EVERYTHING).up_to == 10
    with pytest.raises(NotFound) as refused:
        follower.read(11, EVERYTHING)
    assert refused.value.code == "unknown-position"


def test_only_what_is_sought_is_read_and_all_up_to_the_end_is_told(
    log: Ledger, follower: Follower
) -> None:
    record(log, 3, name="special", payload=DealOpened(name="Special"))
    revised = Sought(types=frozenset({DealRevised.type}))
    assert follower.read(0, revised) == ([], 13)
    opened = Sought(types=frozenset({DealOpened.type}))
    assert follower.read(0, opened, 5).up_to == 5
    stream = follower.read(10, EVERYTHING).events[0]["stream"]
    passage = follower.read(0, Sought(stream=stream))
    assert [event["position"] for event in passage.events] == [11]


def test_who_follows_is_woken_and_reads_from_memory(log: Ledger, follower: Follower) -> None:
    heard = Heard()
    with follower.woken(heard):
        heard.wait()
        record(log, 5, payload=DealOpened(name="New"))
        assert list(read_from(follower, 10, 15, heard)) == [11, 12, 13, 14, 15]
    assert follower._tail is None


def test_a_lost_notification_costs_one_poll(
    log: Ledger, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    monkeypatch.setattr(hints, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(hints.Hints, "wait", lambda _self, stopping: stopping.wait(0.01))
    with follower.woken(heard):
        heard.wait()
        record(log, 1, payload=DealOpened(name="Unheard"))
        assert list(read_from(follower, 10, 11, heard)) == [11]


@pytest.mark.parametrize(("limit", "value"), [("KEPT_EVENTS_MAX", 6), ("KEPT_BYTES_MAX", 2_000)])
def test_who_is_slower_than_what_is_kept_reads_the_log_and_misses_nothing(
    log: Ledger, follower: Follower, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(following, limit, value)
    heard = Heard()
    with follower.woken(heard):
        heard.wait()
        for _ in range(12):
            record(log, 5, payload=DealOpened(name="Many"))
        assert list(read_from(follower, 10, 70, heard)) == list(range(11, 71))
        tail = follower._tail
        assert tail is not None
        assert len(tail._kept) <= following.KEPT_EVENTS_MAX
        assert tail._bytes <= following.KEPT_BYTES_MAX
        assert tail._bytes == sum(len(envelope) for _position, envelope in tail._kept)


def test_many_follow_while_several_write_and_each_reads_every_event_once(
    log: Ledger, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "KEPT_EVENTS_MAX", 50)
    found: dict[int, list[int]] = {}

    def follow(number: int) -> None:
        heard = Heard()
        with follower.woken(heard):
            found[number] = list(read_from(follower, 10, 310, heard))

    def write() -> None:
        for _ in range(25):
            record(log, 4, payload=DealOpened(name="Busy"))

    work = [threading.Thread(target=follow, args=[number]) for number in range(6)]
    work += [threading.Thread(target=write) for _ in range(3)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert [found[number] for number in range(6)] == [list(range(11, 311))] * 6


def test_it_goes_on_when_the_database_was_away(
    log: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.01)
    follower, heard = Follower(lambda: log.url, log.database.do), Heard()
    with follower.woken(heard):
        heard.wait()
        with log.database.connection() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
        record(log, 2, payload=DealOpened(name="Later"))
        assert list(read_from(follower, 10, 12, heard)) == [11, 12]
