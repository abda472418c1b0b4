"""A line of days from the packed moves of the journal says what the rectangles say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any, LiteralString

import orjson
import pytest
from psycopg import Connection

from ledger.config import Settings
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.times import end_of_day, zone
from ledger.store.ledger import Ledger
from projections import sessions
from projections.fold.moves import MEASURES, by_day
from projections.tables import openings
from projections.tables.columns import Shape
from projections.tables.daily import Line, first_balance, steps_by_day
from projections.tables.serving import Tables
from projections.tables.sides import Side, on
from projections.tables.spans import Steps, steps_along
from projections.tables.writing import apply
from tests.integration.tables_kit import OPENED, START, as_known_then, random_deal

SHAPE = Shape.of(("owner", "currency"))
FIRST, DAYS = date(2026, 1, 9), 60
_WITHOUT_WHAT_IS_PACKED: LiteralString = """
    DELETE FROM {side}.forecast_entry WHERE at >= %s AND at <= ALL (
        SELECT max(at) FROM {side}.forecast_opening
        WHERE month IN (month_before, month_after) GROUP BY month
    )
"""
PERIODS = [FiscalCalendar().period(name) for name in ("2026-Q1", "2026-04", "2026")]
ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Europe/Berlin")


@pytest.fixture
def tables(ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    """The tables, in a session that may write them; few entries make an opening."""
    monkeypatch.setattr(openings, "ENTRIES_PER_OPENING_MIN", 6)
    assert settings.database_url is not None
    with sessions.writing(settings.database_url.get_secret_value()) as connection:
        yield Tables(connection, Side.A, 0)


def fill(tables: Tables, seed: int, time_zone: str) -> None:
    """A book that was written and opened bit by bit."""
    connection, random = tables.connection, Random(seed)
    connection.execute("UPDATE qledger.projection SET zone = %s", [time_zone])
    for last in range(10, 70, 10):
        with connection.transaction():
            changes = {f"D{random.randrange(30)}": random_deal(random) for _ in range(8)}
            at_midnight = as_known_then([(last - 3, OPENED), (last, OPENED._replace(owner="eve"))])
            apply(connection, Side.A, {**changes, f"M{last}": at_midnight})
            openings.roll(connection, Side.A, START + timedelta(days=last))


def days(time_zone: str, every: int = 1) -> list[datetime]:
    return [
        end_of_day(FIRST + timedelta(number), zone(time_zone)) for number in range(0, DAYS, every)
    ]


def held(steps: Iterable[Steps], points: int) -> dict[tuple[Any, ...], list[tuple[int, int]]]:
    """What is there at each point, by group, currency and category; empty lines are left out."""
    amounts: dict[tuple[Any, ...], list[int]] = {}
    deals: dict[tuple[Any, ...], list[int]] = {}
    for row, currency, category, at, more, count in steps:
        key = *row, currency, category
        for sums, moved in ((amounts, more), (deals, count)):
            line = sums.setdefault(key, [0] * points)
            for point, each in zip(at, moved, strict=True):
                line[point] += each
    return {
        key: list(zip(accumulate(amounts[key]), accumulate(deals[key]), strict=True))
        for key in amounts
        if any(amounts[key]) or any(deals[key])
    }


def check(tables: Tables, line: Line) -> int:
    """Hold the journal against the rectangles in every measure; how many lines there were."""
    found = 0
    opened = first_balance(tables, line)
    for measure in MEASURES:
        points = len(line.points)
        asked = steps_by_day(tables, line, opened, measure, SHAPE)
        there = steps_along(tables, line.period, line.points, None, measure, SHAPE)
        expected = held(there, points)
        assert held(asked, points) == expected
        found += len(expected)
    return found


@pytest.mark.parametrize("time_zone", ZONES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_line_of_days_is_the_same_from_moves_and_from_rectangles(
    tables: Tables, seed: int, time_zone: str
) -> None:
    fill(tables, seed, time_zone)
    for period in PERIODS:
        for every in (1, 7):
            assert check(tables, Line(period, days(time_zone, every), time_zone))


@pytest.mark.parametrize("seed", [4, 5])
def test_a_line_needs_no_opening(tables: Tables, seed: int) -> None:
    fill(tables, seed, "UTC")
    kept = tables.rows("SELECT month, at FROM {side}.forecast_opening ORDER BY month, at", {})
    assert len(kept) > 6
    for month, at in Random(seed).sample(kept, len(kept)):
        tables.connection.execute(
            on(Side.A, "DELETE FROM {side}.forecast_opening WHERE month = %s AND at = %s"),
            [month, at],
        )
        assert check(tables, Line(PERIODS[2], days("UTC"), "UTC"))


def test_points_at_no_end_of_a_day_and_days_of_another_zone_are_read_from_entries(
    tables: Tables,
) -> None:
    fill(tables, 6, "Europe/Berlin")
    random = Random(6)
    any_time = sorted(START + timedelta(hours=random.uniform(0, 1_500)) for _ in range(40))
    assert check(tables, Line(PERIODS[2], any_time, "Europe/Berlin"))
    assert check(tables, Line(PERIODS[2], days("UTC"), "UTC"))
    assert check(tables, Line(PERIODS[2], days("UTC"), "Europe/Berlin"))
    assert check(tables, Line(PERIODS[2], days("UTC")[:1], "UTC"))


def test_a_line_of_days_reads_few_entries(tables: Tables) -> None:
    fill(tables, 7, "UTC")
    line = Line(PERIODS[2], days("UTC"), "UTC")
    expected = held(steps_by_day(tables, line, first_balance(tables, line), "claimed", SHAPE), DAYS)
    tables.connection.execute(on(Side.A, _WITHOUT_WHAT_IS_PACKED), [line.points[0]])
    found = held(steps_by_day(tables, line, first_balance(tables, line), "claimed", SHAPE), DAYS)
    assert len(tables.rows("SELECT FROM {side}.forecast_entry", {})) > 0
    assert found == expected


def test_moves_too_large_for_json_are_kept_exactly(tables: Tables) -> None:
    large = OPENED._replace(amount="999999999999998.999999", outcome="won")
    changes = {f"D{n}": as_known_then([(n + 12, large), (n + 30, None)]) for n in range(20)}
    with tables.connection.transaction():
        apply(tables.connection, Side.A, changes)
        assert openings.roll(tables.connection, Side.A, START + timedelta(days=50))
    [[text]] = tables.rows("SELECT closed::text FROM {side}.forecast_opening LIMIT 1", {})
    assert any('"' in moved for moved in orjson.loads(text).values())
    assert check(tables, Line(PERIODS[0], days("UTC"), "UTC")) == 4


def test_moves_come_in_and_go_out_by_day_in_the_reporting_zone(tables: Tables) -> None:
    connection: Connection[Any] = tables.connection
    connection.execute("UPDATE qledger.projection SET zone = 'Asia/Tokyo'")
    in_the_evening, at_midnight = 2 + 16 / 24, 2 + 15 / 24  # in Tokyo it is 9 hours later
    changes = {f"E{n}": as_known_then([(in_the_evening, OPENED)]) for n in range(3)}
    changes |= {f"M{n}": as_known_then([(at_midnight, OPENED)]) for n in range(2)}
    changes["B"] = as_known_then([(at_midnight - 1e-9, OPENED)])
    with connection.transaction():
        apply(connection, Side.A, changes)
        assert openings.roll(connection, Side.A, START + timedelta(days=9)) == 1
    [[text]] = tables.rows("SELECT claimed::text FROM {side}.forecast_opening", {})
    moved: Counter[date] = Counter()
    for (_key, day), (_amount, deals) in by_day(text).items():
        moved[date.fromordinal(day)] += deals
    local = (START + timedelta(at_midnight)).astimezone(zone("Asia/Tokyo")).date()
    assert moved == {local: 5, local - timedelta(1): 1}
    assert (START + timedelta(at_midnight)).astimezone(UTC).date() != local
