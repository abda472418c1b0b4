"""The rebuild: beside, resumed when stopped, compared before the swap, swapped under readers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import LiteralString

import psycopg
import pytest

from ledger.domain.errors import Refused, Unavailable
from ledger.store.ledger import Ledger
from projections import rebuild as rebuilding
from projections.position import CannotProject
from projections.rebuild import rebuild
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

PARTS = 4


@pytest.fixture
def writer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """A playbook and twenty deals, in a few parts."""
    made = Writer(ledger)
    made.publish()
    made.open()
    made.write(300)
    monkeypatch.setattr(rebuilding, "EVENTS_PER_PART", made.head // PARTS)
    return made


@pytest.fixture
def url(ledger: Ledger) -> str:
    return ledger.url


def test_an_empty_ledger_can_be_rebuilt(ledger: Ledger) -> None:
    first = rebuild(ledger.url)
    assert (first.position, first.events, first.side) == (0, 0, "b")
    assert rebuild(ledger.url, verify=True).side == "a"


def test_the_side_beside_goes_live_and_the_other_is_next(writer: Writer, url: str) -> None:
    assert rebuild(url).side == "b"
    assert rebuild(url).side == "a"
    done = rebuild(url, verify=True)
    assert (done.side, done.position, done.verified) == ("b", writer.head, True)
    assert rows(url, "SELECT side FROM qledger.projection WHERE ready") == [("b",)]


def test_processes_give_what_one_alone_gives(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(url)
    monkeypatch.setattr(rebuilding, "EVENTS_PER_WORKER_MIN", 1)
    told: list[tuple[str, int, int | None]] = []
    done = rebuild(
        url, workers=2, verify=True, advance=lambda *said: told.append(said)
    )  # fmt: skip
    assert done.verified
    assert ("Folding events", done.events, done.events) in told


def test_events_that_arrive_meanwhile_are_in_it(writer: Writer, url: str) -> None:
    with following(runner(url)):
        wait_for_position(url, writer.head)
        stopped = Event()

        def write() -> None:
            while not stopped.wait(0.02):
                writer.write(1)

        thread = Thread(target=write)
        thread.start()
        try:
            for _ in range(3):
                assert rebuild(url, verify=True).verified
        finally:
            stopped.set()
            thread.join()
        wait_for_position(url, writer.head)
    assert_as_rebuilt(url)


def test_a_rebuild_that_stopped_goes_on_with_what_is_left(writer: Writer, url: str) -> None:
    runner(url).catch_up(writer.head)
    fold = Stumbling("D7")
    with pytest.raises(CannotProject) as halted:
        rebuild(url, fold=fold)
    assert halted.value.because == "ValueError: a fold that does not know this"
    opened = rows(url, "SELECT min(position) FROM qledger.event WHERE stream = 'deal:D7'")
    assert opened == [(halted.value.position,)]
    before = status_of(url)
    assert before.parts > before.parts_done > 0
    assert before.side == "a", "the live side stays"
    loaded = rows(url, "SELECT count(*) FROM qledger_b.deal_state")
    assert loaded > [(0,)]
    writer.write(50)
    runner(url).catch_up(writer.head)
    done = rebuild(url, verify=True)
    assert (done.resumed, done.verified, done.position) == (True, True, writer.head)
    assert status_of(url).parts == 0


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGINT])
def test_a_rebuild_that_was_killed_goes_on_with_what_is_left(
    writer: Writer, url: str, signalled: signal.Signals
) -> None:
    runner(url).catch_up(writer.head)
    slow = subprocess.Popen(
        [sys.executable, "-c", _SLOW, url, str(writer.head // PARTS)],
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: status_of(url).parts_done > 0, "a part is loaded")
    os.kill(slow.pid, signalled)
    assert slow.wait(30) != 0
    left = status_of(url)
    assert left.parts > left.parts_done
    done = rebuild(url, verify=True)
    assert (done.resumed, done.verified) == (True, True)


_SLOW = """
import sys
from projections import rebuild as rebuilding
from tests.integration.projected import Stumbling
rebuilding.EVENTS_PER_PART = int(sys.argv[2])
fold = Stumbling("nobody")
fold.pause_seconds = 0.1
rebuilding.rebuild(sys.argv[1], fold=fold)
"""


def test_other_rules_are_not_mixed_in(writer: Writer, url: str) -> None:
    with pytest.raises(CannotProject):
        rebuild(url, fold=Stumbling("D7"))
    rows(url, "UPDATE qledger.projection SET rules = '0' WHERE side = 'b' RETURNING side")
    assert not rebuild(url).resumed
    assert_as_rebuilt(url)


def test_two_rebuilds_do_not_run_at_once(writer: Writer, url: str) -> None:
    fold = Stumbling("nobody")
    fold.pause_seconds = 0.05
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(rebuild, url, fold=fold)
        wait_until(lambda: status_of(url).parts > 0, "it began")
        with pytest.raises(Refused) as refused:
            rebuild(url)
        assert refused.value.code == "rebuild-runs"
        assert first.result().position == writer.head


@pytest.mark.parametrize(
    "fault",
    [
        "DELETE FROM qledger_a.deal_state AS a WHERE deal = 'D4' AND valid_from = known_from",
        "UPDATE qledger_a.deal_state SET owner = 'eve' WHERE deal = 'D4'",
        "UPDATE qledger_a.deal_state SET amount = amount::numeric(20, 4) WHERE deal = 'D4'",
        "UPDATE qledger_a.forecast_entry SET causes = '{1}' WHERE deal = 'D4'",
    ],
    ids=["a row is missing", "a value differs", "digits differ", "a cause differs"],
)
def test_tables_that_differ_are_not_swapped(writer: Writer, url: str, fault: str) -> None:
    runner(url).catch_up(writer.head)
    rows(url, f"{fault} RETURNING deal")
    with pytest.raises(Refused) as refused:
        rebuild(url, verify=True)
    assert refused.value.code == "rebuild-differs"
    assert "deal=D4" in refused.value.message
    assert status_of(url).side == "a"
    assert rebuild(url).side == "b"
    assert_as_rebuilt(url)


def test_tables_of_other_rules_cannot_be_verified(writer: Writer, url: str) -> None:
    runner(url).catch_up(writer.head)
    rows(url, "UPDATE qledger.projection SET rules = '0' WHERE live RETURNING side")
    with pytest.raises(Refused) as refused:
        rebuild(url, verify=True)
    assert refused.value.code == "nothing-to-verify"


_HOW_MANY: dict[str, LiteralString] = {
    "a": "SELECT count(*) FROM qledger_a.deal_state",
    "b": "SELECT count(*) FROM qledger_b.deal_state",
}
_WHICH = "SELECT side FROM qledger.projection WHERE live"


def test_readers_never_see_half_a_side(writer: Writer, url: str) -> None:
    runner(url).catch_up(writer.head)
    expected = rows(url, "SELECT count(*) FROM qledger_a.deal_state")[0][0]
    stopped = Event()

    def read() -> set[tuple[str, int]]:
        seen = set()
        with psycopg.connect(url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not stopped.wait(0.002):
                with connection.transaction():
                    (side,) = connection.execute(_WHICH).fetchone() or ("",)
                    (count,) = connection.execute(_HOW_MANY[side]).fetchone() or (0,)
                    seen.add((side, count))
        return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for _ in range(6):
                rebuild(url)
        finally:
            stopped.set()
        seen = set().union(*(reader.result() for reader in readers))
    assert seen == {("a", expected), ("b", expected)}


def test_a_side_is_not_emptied_under_a_reader_of_it(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner(url).catch_up(writer.head)
    monkeypatch.setattr(rebuilding, "READERS_SECONDS_MAX", 0.3)
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert connection.execute(_WHICH).fetchone() == ("a",)
        assert rebuild(url).side == "b"
        with pytest.raises(Unavailable) as busy:
            rebuild(url)
        assert busy.value.code == "readers-busy"
        count = connection.execute("SELECT count(*) > 0 FROM qledger_a.deal_state").fetchone()
        assert count == (True,)
    assert rebuild(url).side == "a"
