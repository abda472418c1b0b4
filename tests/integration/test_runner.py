"""The runner: exactly once whatever dies, one leader, halts and goes on, and waits for no hint."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext

import orjson
import psycopg
import pytest

from ledger.domain import envelope
from ledger.domain.events import SCHEMA_VERSIONS, SETTINGS_STREAM, DealRevised
from ledger.store.ledger import Ledger
from projections import projector
from projections import runner as running
from projections.position import CannotProject, await_position
from projections.projector import Need, Projector
from projections.sessions import writing
from projections.tables.sides import Side
from tests.integration.projected import (
    Stumbling,
    Writer,
    assert_as_rebuilt,
    following,
    rows,
    runner,
    status_of,
    wait_for_position,
    wait_until,
)
from tests.unit.domain.builders import payload


@pytest.fixture
def writer(ledger: Ledger) -> Writer:
    """A playbook and twenty deals."""
    made = Writer(ledger)
    made.publish()
    made.open()
    return made


@pytest.fixture
def url(ledger: Ledger) -> str:
    return ledger.url


def test_an_empty_ledger_is_projected_at_once(ledger: Ledger) -> None:
    runner(ledger.url).catch_up(0)
    found = status_of(ledger.url)
    assert (found.position, found.lag_events, found.lag_seconds) == (0, 0, 0)


def test_catching_up_gives_what_a_rebuild_gives(writer: Writer, url: str) -> None:
    for _ in range(3):
        writer.write(150)
        runner(url).catch_up(writer.head)
        assert status_of(url).position == writer.head
    assert_as_rebuilt(url)


def test_events_that_come_one_by_one_give_what_a_rebuild_gives(writer: Writer, url: str) -> None:
    work = runner(url)
    with writing(url) as connection:
        keeps = work.projector(connection)
        while keeps.batch().left:
            pass
        for _ in range(60):
            writer.write(1)
            assert keeps.batch().left == 0
    assert_as_rebuilt(url)


def test_what_is_not_in_memory_is_read_again_from_the_log(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "DEALS_AT_WORK_MAX", 3)
    monkeypatch.setattr("projections.histories.EVENTS_HELD_MAX", 0)
    with writing(url) as connection:
        keeps = Projector(connection, Side.A)
        for _ in range(10):
            writer.write(20)
            while keeps.batch(7).left:
                pass
    assert_as_rebuilt(url)


@pytest.mark.parametrize("alone", [True, False], ids=["the runner", "its session"])
def test_every_event_is_projected_once_whatever_dies(writer: Writer, url: str, alone: bool) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    process = _process(url)
    try:
        for _ in range(6):
            writer.write(200)
            time.sleep(chance.uniform(0, 0.3))
            if alone:
                _kill(process)
                process = _process(url)
            else:
                _terminate(url, "application_name = 'qledger-projection'")
        wait_for_position(url, writer.head)
    finally:
        _kill(process)
    assert_as_rebuilt(url)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND
"""


def _process(url: str) -> subprocess.Popen[bytes]:
    """The runner as the server starts it."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "projections.service"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(orjson.dumps({"conninfo": url, "workers": 1}) + b"\n")
    process.stdin.flush()
    return process


def _terminate(url: str, which: str) -> None:
    rows(url, _TERMINATE + which)


def test_the_process_ends_with_the_one_that_started_it(writer: Writer, url: str) -> None:
    process = _process(url)
    wait_for_position(url, writer.head)
    assert process.stdin is not None
    process.stdin.close()  # as the system does for whoever dies
    assert process.wait(30) == 0


def test_of_two_runners_one_leads_and_the_other_takes_over(writer: Writer, url: str) -> None:
    leaders = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with following(runner(url)) as first:
        wait_for_position(url, writer.head)
        with following(runner(url)):
            writer.write(30)
            wait_for_position(url, writer.head)
            assert rows(url, leaders) == [(1,)]
            first.stop()
            writer.write(30)
            wait_for_position(url, writer.head)
            assert rows(url, leaders) == [(1,)]
            assert status_of(url).runner
    assert not status_of(url).runner
    assert_as_rebuilt(url)


def test_whoever_waits_for_a_position_is_content_with_another_leader(
    writer: Writer, url: str
) -> None:
    with following(runner(url)):
        runner(url).catch_up(writer.head)
    assert status_of(url).position == writer.head


def test_an_event_that_cannot_be_projected_halts_and_is_not_skipped(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "HALT_RETRY_SECONDS", 0.05)
    with following(runner(url)):
        wait_for_position(url, writer.head)
    before = writer.head
    writer.of("deal:D1", payload("deal-revised", owner="ben"))
    writer.of("deal:D7", payload("deal-revised", owner="ben"))
    writer.of("deal:D2", payload("deal-revised", owner="ben"))
    fold = Stumbling("D7")
    with following(runner(url, fold=fold)):
        wait_until(lambda: status_of(url).halted_at is not None, "it halts")
        found = status_of(url)
        assert (found.position, found.halted_at) == (before + 1, before + 2)
        assert found.halted_because == "ValueError: a fold that does not know this"
        assert found.lag_events == 2
        with psycopg.connect(url, autocommit=True) as connection:
            assert not await_position(lambda: _lent(connection), writer.head, 30)
        fold.healed = True
        wait_for_position(url, writer.head)
    assert status_of(url).halted_because is None
    assert_as_rebuilt(url)


def test_an_event_of_a_newer_release_halts_until_that_release_runs(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DealRevised, "schema_version", 99)
    before = writer.head
    writer.of("deal:D1", payload("deal-revised", owner="ben"))
    monkeypatch.undo()
    with pytest.raises(CannotProject) as halted:
        runner(url).catch_up(writer.head)
    assert halted.value.position == before + 1
    assert "newer-schema" in halted.value.because
    assert status_of(url).position == before
    monkeypatch.setitem(SCHEMA_VERSIONS, "deal-revised", 99)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "upcast", lambda _type, _version, said: said)
        runner(url).catch_up(writer.head)
        assert status_of(url).halted_at is None
        assert_as_rebuilt(url)


def test_the_writer_reads_its_own_write(writer: Writer, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection, following(runner(url)):
        for owner in ("ben", "cleo", "dan"):
            writer.of("deal:D3", payload("deal-revised", owner=owner))
            assert await_position(lambda: _lent(connection), writer.head, 30)
            said = rows(url, "SELECT owner FROM qledger_a.deal_state WHERE deal = 'D3'")
            assert (owner,) in said


def test_nobody_waits_longer_than_asked(writer: Writer, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        assert await_position(lambda: _lent(connection), 0, 0)
        assert not await_position(lambda: _lent(connection), writer.head, 0.05)


def _lent(connection: psycopg.Connection) -> AbstractContextManager[psycopg.Connection]:
    """A connection to use that stays open."""
    return nullcontext(connection)


def test_a_lost_notification_is_made_up_for(writer: Writer, url: str) -> None:
    with following(runner(url)):
        for _ in range(3):
            wait_for_position(url, writer.head)
            _terminate(url, "query = 'LISTEN qledger'")
            writer.write(5)
        wait_for_position(url, writer.head)
    assert_as_rebuilt(url)


@pytest.mark.parametrize("deals_at_work", [500, 5], ids=["a small book", "a large book"])
def test_a_playbook_judges_every_deal_anew(
    writer: Writer, url: str, deals_at_work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "DEALS_AT_WORK_MAX", deals_at_work)
    for _ in range(3):
        writer.write(40)
        writer.publish()
        writer.write(40)
        runner(url).catch_up(writer.head)
        assert status_of(url).position == writer.head
    assert_as_rebuilt(url)


def test_a_large_book_stands_before_the_playbook_until_it_is_rebuilt(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "DEALS_AT_WORK_MAX", 5)
    with writing(url) as connection:
        keeps = Projector(connection)
        while keeps.batch().left:
            pass
        before = writer.head
        writer.publish()
        writer.write(10)
        assert keeps.batch().need is Need.PLAYBOOK
        assert status_of(url).position == before


def test_another_time_zone_moves_days_for_every_deal(writer: Writer, url: str) -> None:
    runner(url).catch_up(writer.head)
    writer.of(
        SETTINGS_STREAM, payload("fiscal-calendar-set", start_month=1, time_zone="Pacific/Auckland")
    )
    writer.write(20)
    runner(url).catch_up(writer.head)
    assert status_of(url).zone == "Pacific/Auckland"
    assert_as_rebuilt(url)


def test_a_calendar_in_the_same_zone_moves_the_position_only(writer: Writer, url: str) -> None:
    runner(url).catch_up(writer.head)
    writer.of(SETTINGS_STREAM, payload("fiscal-calendar-set", start_month=4))
    with writing(url) as connection:
        batch = Projector(connection).batch()
    assert (batch.events, batch.need, batch.left) == (1, None, 0)


def test_tables_of_other_rules_are_made_anew(writer: Writer, url: str) -> None:
    runner(url).catch_up(writer.head)
    rows(url, "UPDATE qledger.projection SET rules = '0' WHERE live RETURNING side")
    assert status_of(url).rules_differ
    assert not status_of(url).in_use
    runner(url).catch_up(writer.head)
    found = status_of(url)
    assert (found.side, found.in_use) == ("b", True)


def test_far_behind_the_book_is_made_anew(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner(url).catch_up(writer.head)
    monkeypatch.setattr(projector, "BEHIND_EVENTS_MIN", 100)
    writer.write(300)
    runner(url).catch_up(writer.head)
    assert status_of(url).side == "b"
    assert_as_rebuilt(url)
