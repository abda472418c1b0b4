"""Openings made in shares: the same, by whomever and however often somebody is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any, LiteralString

import orjson
import pytest
from psycopg import Connection

from ledger.config import Settings
from ledger.store.ledger import Ledger
from projections import rolling, sessions
from projections.tables import openings
from projections.tables.sides import Side, on
from projections.tables.writing import apply
from tests.integration.tables_kit import START, random_deal

UNTIL = START + timedelta(days=60)
_MADE: LiteralString = "SELECT f.*::text FROM {side}.forecast_opening AS f ORDER BY 1"
_FORGET: LiteralString = "DELETE FROM {side}.forecast_opening"


@pytest.fixture
def conninfo(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


@pytest.fixture
def connection(
    ledger: Ledger, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection[Any]]:
    """A session that may write the tables, in which there are some deals."""
    monkeypatch.setattr(openings, "ENTRIES_PER_OPENING_MIN", 6)
    random = Random(3)
    with sessions.writing(conninfo) as found:
        with found.transaction():
            apply(found, Side.A, {f"D{number}": random_deal(random) for number in range(40)})
        yield found


def made_alone(connection: Connection[Any]) -> list[Any]:
    """What one process makes in one go; then there is nothing again."""
    with connection.transaction():
        openings.roll(connection, Side.A, UNTIL)
    expected = connection.execute(on(Side.A, _MADE)).fetchall()
    connection.execute(on(Side.A, _FORGET))
    return expected


def share(connection: Connection[Any], conninfo: str) -> rolling.Share:
    due = openings.months_due(connection, Side.A, UNTIL)
    return rolling.Share(conninfo, Side.A, UNTIL, due)


def jobs(share: rolling.Share, processes: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the processes are told."""
    told: list[Any] = []
    monkeypatch.setattr(rolling, "Workers", lambda _module, jobs: told.extend(jobs))
    rolling.roll_beside(share, processes)
    return told


def test_shares_make_what_one_alone_makes(
    connection: Connection[Any], conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = made_alone(connection)
    assert len(expected) > 10
    monkeypatch.setattr(rolling, "parent_lives", lambda: True)
    told = jobs(share(connection, conninfo), 2, monkeypatch)
    assert len(told) == 2
    for job in told:
        rolling._roll(orjson.loads(orjson.dumps(job)))
    assert connection.execute(on(Side.A, _MADE)).fetchall() == expected


def test_who_is_stopped_leaves_whole_months(connection: Connection[Any], conninfo: str) -> None:
    expected = made_alone(connection)
    months = len(share(connection, conninfo).due)
    assert months > 1
    for left in range(months, 0, -1):
        asked = count()
        to_do = share(connection, conninfo)
        assert len(to_do.due) == left
        rolling.roll_months(to_do, lambda asked=asked: next(asked) < 1)  # type: ignore[misc]
    assert connection.execute(on(Side.A, _MADE)).fetchall() == expected


def test_no_process_begins_without_a_month(
    connection: Connection[Any], conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_of_it = share(connection, conninfo)
    assert len(jobs(all_of_it, 500, monkeypatch)) == len(all_of_it.due)
    assert jobs(all_of_it._replace(due=[]), 2, monkeypatch) == []
