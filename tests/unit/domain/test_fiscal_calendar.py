"""Fiscal years, quarters and months, wherever the year begins and whichever name it bears."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.errors import InvalidInput
from ledger.domain.times import END_OF_TIME, end_of_day, parse_instant

DAY = timedelta(days=1)

calendars = st.builds(
    FiscalCalendar, st.integers(1, 12), st.sampled_from(["start", "end"]), st.just("UTC")
)


def days(calendar: FiscalCalendar, name: str) -> tuple[str, str]:
    period = calendar.period(name)
    return period.first_day.isoformat(), period.last_day.isoformat()


@pytest.mark.parametrize("start_month", range(1, 13))
def test_a_fiscal_year_begins_with_its_month_and_bears_the_year_of_its_start_or_end(
    start_month: int,
) -> None:
    by_start = FiscalCalendar(start_month, "start").period("2026")
    by_end = FiscalCalendar(start_month, "end").period("2026")
    assert by_start.first_day == date(2026, start_month, 1)
    assert by_start.last_day == date(2027, start_month, 1) - DAY
    assert by_end.last_day.year == 2026
    assert by_end.first_day.month == start_month
    if start_month == 1:
        assert by_start == by_end


@pytest.mark.parametrize(
    ("start_month", "named_by", "name", "first", "last"),
    [
        (1, "start", "2026-Q1", "2026-01-01", "2026-03-31"),
        (1, "end", "2026-Q4", "2026-10-01", "2026-12-31"),
        (2, "end", "2026-Q1", "2025-02-01", "2025-04-30"),
        (2, "end", "2026-Q4", "2025-11-01", "2026-01-31"),
        (2, "start", "2026-Q4", "2026-11-01", "2027-01-31"),
        (4, "start", "2026-Q4", "2027-01-01", "2027-03-31"),
        (7, "end", "2026", "2025-07-01", "2026-06-30"),
        (12, "start", "2023-Q1", "2023-12-01", "2024-02-29"),
        (10, "end", "2026-02", "2026-02-01", "2026-02-28"),
        (10, "start", "2024-02", "2024-02-01", "2024-02-29"),
        (10, "start", "2026-12", "2026-12-01", "2026-12-31"),
    ],
)
def test_a_period_holds_these_days(
    start_month: int, named_by: Literal["start", "end"], name: str, first: str, last: str
) -> None:
    assert days(FiscalCalendar(start_month, named_by), name) == (first, last)


@given(calendars, st.integers(2, 9997))
def test_a_year_is_its_four_quarters(calendar: FiscalCalendar, year: int) -> None:
    whole = calendar.period(f"{year:04d}")
    quarters = [calendar.period(f"{year:04d}-Q{number}") for number in (1, 2, 3, 4)]
    assert quarters[0].first_day == whole.first_day
    assert quarters[3].last_day == whole.last_day
    for one, following in pairwise(quarters):
        assert one.last_day + DAY == following.first_day
    following_year = calendar.period(f"{year + 1:04d}")
    assert whole.last_day + DAY == following_year.first_day


@given(calendars, st.dates(date(4, 1, 1), date(9997, 12, 31)))
def test_a_day_lies_in_its_quarter_alone(calendar: FiscalCalendar, day: date) -> None:
    quarter = calendar.quarter_of(day)
    assert quarter.first_day <= day <= quarter.last_day
    assert quarter.holds_text(day.isoformat())
    assert calendar.period(quarter.name) == quarter
    before, after = quarter.first_day - DAY, quarter.last_day + DAY
    assert calendar.quarter_of(before).last_day == before
    assert calendar.quarter_of(after).first_day == after
    assert not quarter.holds_text(before.isoformat())
    assert not quarter.holds_text(after.isoformat())


@given(calendars, st.dates(date(4, 1, 1), date(9997, 12, 31)))
def test_a_month_is_a_calendar_month_in_every_calendar(calendar: FiscalCalendar, day: date) -> None:
    month = calendar.period(f"{day.year:04d}-{day.month:02d}")
    assert month.first_day == day.replace(day=1)
    assert (month.last_day + DAY).day == 1
    assert month.holds_text(day.isoformat())


@pytest.mark.parametrize(
    "name",
    [
        "", "26", "2026-Q0", "2026-Q5", "2026-q1", "2026-00", "2026-13", "2026-1", "2026-Q1 ",
        "2026-Q1\n", "0000", "0001", "9999", "9999-12", "2026-03-31", "Q1",
        "\uff12\uff10\uff12\uff16",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        FiscalCalendar().period(name)
    assert caught.value.code == "invalid-period"


def test_a_day_is_that_of_the_reporting_time_zone() -> None:
    instant = parse_instant("2026-03-31T22:30:00Z")
    assert FiscalCalendar().day_of(instant) == date(2026, 3, 31)
    assert FiscalCalendar(time_zone="Europe/Berlin").day_of(instant) == date(2026, 4, 1)
    assert FiscalCalendar(time_zone="America/New_York").day_of(instant) == date(2026, 3, 31)


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_end_of_a_day_falls_on_that_day(tz: str) -> None:
    calendar = FiscalCalendar(time_zone=tz)
    for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)):
        assert calendar.day_of(end_of_day(day, calendar.zone)) == day


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_end_of_time_has_a_day(tz: str) -> None:
    assert FiscalCalendar(time_zone=tz).day_of(END_OF_TIME) == date.max
