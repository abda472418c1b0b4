"""A rebuild gives way: to snapshots that it may not look into, and to who holds the tables."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from ledger.domain.errors import Unavailable
from ledger.store.ledger import Ledger
from projections import rebuild as rebuilding
from projections.projector import Projector
from projections.rebuild import rebuild
from tests.integration.projected import Writer, rows, runner, status_of, wait_until

_numbers = itertools.count(1)

WAITING = """
SELECT count(*) > 0 FROM pg_locks AS l JOIN pg_stat_activity AS s USING (pid)
WHERE NOT l.granted AND s.datname = current_database()
"""


@pytest.fixture
def writer(ledger: Ledger) -> Writer:
    """A playbook and twenty deals, projected."""
    made = Writer(ledger)
    made.publish()
    made.open()
    made.write(100)
    runner(ledger.url).catch_up(made.head)
    return made


@pytest.fixture
def url(ledger: Ledger) -> str:
    return ledger.url


@contextmanager
def login(url: str, member_of: str) -> Iterator[str]:
    """The URL for a login of its own that is no superuser; dropped at the end."""
    name = f"gives_way_{next(_numbers)}"
    role = Identifier(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(role, Identifier(member_of))
        )
        try:
            yield make_conninfo(url, user=name)
        finally:
            connection.execute(SQL("DROP ROLE {}").format(role))


@contextmanager
def looking(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A transaction that keeps its snapshot."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT side FROM qledger.projection WHERE live")
        yield connection


def swapped_long_ago(url: str) -> None:
    rows(url, "UPDATE qledger.projection SET swapped_at = now() - interval '1 day' RETURNING side")


def waits_for_a_lock(url: str) -> bool:
    return rows(url, WAITING) == [(True,)]


def test_a_snapshot_whose_age_it_may_not_see_is_waited_for(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped_long_ago(url)
    with login(url, "qledger_app") as own, login(url, "qledger_reader") as others:
        with looking(others):
            with monkeypatch.context() as patch:
                patch.setattr(rebuilding, "READERS_SECONDS_MAX", 0.3)
                with pytest.raises(Unavailable) as busy:
                    rebuild(own)
            assert busy.value.code == "readers-busy"
            assert status_of(url).parts == 0
        assert rebuild(own).side == "b"


def test_a_snapshot_that_it_sees_to_be_young_is_not_waited_for(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped_long_ago(url)
    monkeypatch.setattr(rebuilding, "READERS_SECONDS_MAX", 0.3)
    with login(url, "qledger_reader") as others, looking(others):
        assert rebuild(url).side == "b"


def test_tables_that_somebody_holds_are_left_as_they_are(
    writer: Writer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(url)
    swapped_long_ago(url)
    places = "SELECT side, live, position, ready FROM qledger.projection ORDER BY side"
    before = rows(url, places), rows(url, "SELECT count(*) FROM qledger_a.deal_state")
    monkeypatch.setattr(rebuilding, "READERS_SECONDS_MAX", 0.3)
    with psycopg.connect(url) as holding:
        holding.execute("SELECT count(*) FROM qledger_a.deal_state")
        with pytest.raises(Unavailable) as busy:
            rebuild(url)
    assert busy.value.code == "readers-busy"
    assert busy.value.hint == "end it, or wait until it ends, and run it again"
    assert (rows(url, places), rows(url, "SELECT count(*) FROM qledger_a.deal_state")) == before
    assert status_of(url).parts == 0
    assert rebuild(url).side == "a"


def test_who_asks_meanwhile_is_answered_before_the_holder_ends(writer: Writer, url: str) -> None:
    rebuild(url)
    swapped_long_ago(url)
    with psycopg.connect(url) as holding, ThreadPoolExecutor(1) as pool:
        holding.execute("SELECT count(*) FROM qledger_a.deal_state")
        done = pool.submit(rebuild, url)
        wait_until(lambda: waits_for_a_lock(url), "it wants the tables")
        assert rows(url, "SELECT count(*) > 0 FROM qledger_a.deal_state") == [(True,)]
        assert not done.done()
        holding.rollback()
        assert done.result(60).side == "a"


def test_a_projector_that_waited_for_a_swap_goes_on_with_the_side_that_is_live_now(
    writer: Writer, url: str
) -> None:
    rebuild(url)
    before = writer.head
    writer.write(5)
    with (
        psycopg.connect(url) as swapping,
        psycopg.connect(url, autocommit=True) as projecting,
        ThreadPoolExecutor(1) as pool,
    ):
        swapping.execute("SELECT FROM qledger.projection ORDER BY side FOR UPDATE")
        swapping.execute("UPDATE qledger.projection SET live = NOT live, ready = NOT ready")
        batch = pool.submit(Projector(projecting).batch)
        wait_until(lambda: waits_for_a_lock(url), "it waits for the swap")
        swapping.commit()
        assert batch.result(60).position == writer.head
    places = rows(url, "SELECT side, live, position FROM qledger.projection ORDER BY side")
    assert places == [("a", True, writer.head), ("b", False, before)]
