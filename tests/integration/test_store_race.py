"""Eight writers and readers that follow the log *while* they write: nothing missed, no gap."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from uuid import UUID, uuid4

from ledger.domain.errors import Conflict
from ledger.domain.events import Draft, Source, StageClaimed
from ledger.domain.times import Instant
from ledger.store.audit import check_log
from ledger.store.ledger import Ledger
from ledger.store.recorder import LedgerRecorder

WRITERS = 8
ROUNDS = 40
BATCH = 20


def draft(stream: str, now: Instant, event_id: UUID | None = None) -> Draft:
    return Draft(
        stream, StageClaimed(stage="x"), event_id or uuid4(), "ann", Source("race"), now
    )  # fmt: skip


def test_readers_that_follow_during_a_race_miss_nothing(ledger: Ledger) -> None:
    now = ledger.clock()
    stop = threading.Event()

    def write(writer: int) -> int:
        """Singles and chunks, on a stream of one's own and on one that all share."""
        written = 0
        for n in range(ROUNDS):
            ledger.record([draft("deal:shared" if n % 4 else f"deal:{writer}", now)])
            chunk = [draft(f"deal:{writer}-{m % 3}", now) for m in range(BATCH)]
            written += 1 + ledger.import_events(chunk).added
        return written

    def follow() -> list[int]:
        """What a reader that asks for `position > last` sees, until all have stopped."""
        seen: list[int] = []
        while True:
            last_look = stop.is_set()
            seen += [event["position"] for event in ledger.events(after=seen[-1] if seen else 0)]
            if last_look:
                return seen

    def subscribe(total: int) -> list[int]:
        assert isinstance(ledger.recorder, LedgerRecorder)
        seen: list[int] = []
        with ledger.recorder.subscribe(gt=0) as subscription:
            for notification in subscription:
                seen.append(notification.id)
                if len(seen) == total or (stop.is_set() and len(seen) == ledger.head().size):
                    return seen
        return seen

    total = WRITERS * ROUNDS * (1 + BATCH)
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        follower = pool.submit(follow)
        subscriber = pool.submit(subscribe, total)
        writers = [pool.submit(write, n) for n in range(WRITERS)]
        wait(writers)
        stop.set()
        assert sum(writer.result() for writer in writers) == total
        assert follower.result() == list(range(1, total + 1))
        assert subscriber.result() == list(range(1, total + 1))
    with ledger.database.connection() as connection:
        assert check_log(connection) == (total, (), 0)


def test_many_who_write_one_stream_all_come_to_an_end(ledger: Ledger) -> None:
    now = ledger.clock()
    ledgers = [Ledger.open(ledger.database.settings) for _ in range(WRITERS)]

    def write(writer: Ledger) -> None:
        for n in range(25):
            if n % 2:
                writer.record([draft("deal:1", now)])
            else:
                writer.import_events([draft("deal:1", now)])

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, ledgers))
    for each in ledgers:
        each.close()
    versions = [event["stream_version"] for event in ledger.stream("deal:1")]
    assert versions == list(range(1, WRITERS * 25 + 1))


def test_of_many_writers_with_one_decision_one_wins(ledger: Ledger) -> None:
    now = ledger.clock()

    def decide(version: int) -> bool:
        with suppress(Conflict):
            ledger.record([draft("deal:1", now)], expected_version=version)
            return True
        return False

    with ThreadPoolExecutor(WRITERS) as pool:
        for version in range(10):
            assert sum(pool.map(decide, [version] * WRITERS)) == 1
    assert ledger.head().size == 10


def test_many_who_bring_the_same_chunk_bring_it_once(ledger: Ledger) -> None:
    now = ledger.clock()
    ids = [uuid4() for _ in range(500)]
    chunk = [draft(f"deal:{n % 50}", now, event_id) for n, event_id in enumerate(ids)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ledger.import_events, [chunk] * 4))
    assert sorted(result.added for result in results) == [0, 0, 0, 500]
    assert all(result.conflicts == [] for result in results)
    assert ledger.head().size == 500


def test_a_subscription_survives_the_loss_of_its_connections(ledger: Ledger) -> None:
    now = ledger.clock()
    assert isinstance(ledger.recorder, LedgerRecorder)
    with ledger.recorder.subscribe(gt=0, topics=["stage-claimed"]) as subscription:
        for n in range(1, 4):
            ledger.record([draft("deal:1", now)])
            assert next(subscription).id == n
            with ledger.database.connect() as killer:
                killer.execute("RESET ROLE")
                killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


def test_a_subscription_stops_from_another_thread(ledger: Ledger) -> None:
    assert isinstance(ledger.recorder, LedgerRecorder)
    with ledger.recorder.subscribe(gt=0) as subscription:
        timer = threading.Timer(0.3, subscription.stop)
        timer.start()
        start = time.monotonic()
        assert list(subscription) == []
        assert time.monotonic() - start < 5
        timer.join()
