"""Instants, the ends of days in time zones, and the one spelling of a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.errors import InvalidInput
from ledger.domain.times import (
    END_OF_TIME,
    MICROSECOND,
    AsOfTime,
    end_of_day,
    format_instant,
    parse_as_of,
    parse_date,
    parse_instant,
    start_of_day,
    zone,
)

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut", "Pacific/Kiritimati",
]  # fmt: skip
"""Among them some whose clocks change at midnight or by half an hour."""

instants = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("tz", "day", "end"),
    [
        ("Europe/Berlin", "2026-03-28", "2026-03-28T22:59:59.999999Z"),
        ("Europe/Berlin", "2026-03-29", "2026-03-29T21:59:59.999999Z"),
        ("Europe/Berlin", "2026-10-24", "2026-10-24T21:59:59.999999Z"),
        ("Europe/Berlin", "2026-10-25", "2026-10-25T22:59:59.999999Z"),
        ("America/New_York", "2026-03-07", "2026-03-08T04:59:59.999999Z"),
        ("America/New_York", "2026-03-08", "2026-03-09T03:59:59.999999Z"),
        ("America/New_York", "2026-10-31", "2026-11-01T03:59:59.999999Z"),
        ("America/New_York", "2026-11-01", "2026-11-02T04:59:59.999999Z"),
        ("UTC", "2026-03-31", "2026-03-31T23:59:59.999999Z"),
        ("UTC", "9999-12-31", "9999-12-31T23:59:59.999999Z"),
        ("America/New_York", "9999-12-31", "9999-12-31T23:59:59.999999Z"),
        ("Pacific/Kiritimati", "9999-12-30", "9999-12-30T09:59:59.999999Z"),
        ("UTC", "0001-01-01", "0001-01-01T23:59:59.999999Z"),
    ],
)
def test_a_day_ends_with_its_last_microsecond_in_its_time_zone(tz: str, day: str, end: str) -> None:
    assert format_instant(end_of_day(date.fromisoformat(day), zone(tz))) == end


@pytest.mark.parametrize(
    ("tz", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-06-01", 24),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(tz: str, day: str, hours: float) -> None:
    first = date.fromisoformat(day)
    length = end_of_day(first, zone(tz)) + MICROSECOND - start_of_day(first, zone(tz))
    assert length == timedelta(hours=hours)


@given(
    day=st.dates(date(1990, 1, 1), date(2037, 12, 31)),
    tz=st.sampled_from(ZONES),
)
def test_days_follow_each_other_without_gap_or_overlap(day: date, tz: str) -> None:
    where = zone(tz)
    end = end_of_day(day, where)
    assert start_of_day(day, where).astimezone(where).date() == day
    assert end.astimezone(where).date() == day
    assert (end + MICROSECOND).astimezone(where).date() == day + timedelta(days=1)


@given(instants, instants)
def test_the_order_of_texts_is_the_order_of_instants(one: datetime, other: datetime) -> None:
    assert (format_instant(one) < format_instant(other)) is (one < other)


@given(instants)
def test_an_instant_reads_back_from_its_one_spelling(instant: datetime) -> None:
    text = format_instant(instant)
    assert len(text) == 27
    assert parse_instant(text) == instant
    assert format_instant(parse_instant(text)) == text


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_an_offset_names_the_same_instant(plain: datetime, minutes: int) -> None:
    instant = plain.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_instant(instant.isoformat()) == instant
    assert format_instant(instant) == format_instant(instant.astimezone(UTC))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2026-03-31T17:00:00Z", "2026-03-31T17:00:00.000000Z"),
        ("2026-03-31T17:00Z", "2026-03-31T17:00:00.000000Z"),
        ("2026-03-31 17:00:00+02:00", "2026-03-31T15:00:00.000000Z"),
        ("2026-03-31T23:30:00-05:45", "2026-04-01T05:15:00.000000Z"),
        ("2026-03-31T17:00:00.1Z", "2026-03-31T17:00:00.100000Z"),
    ],
)
def test_an_instant_may_be_given_with_any_offset(text: str, spelled: str) -> None:
    assert format_instant(parse_instant(text)) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-03-31", "2026-03-31T17:00:00", "2026-02-30T00:00:00Z",
        "2026-03-31T25:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
        "31/03/2026 17:00Z", "1775001599", "2026-03-31T17:00:00Z ", "2026-03-31T17:00:00\ud800",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_instant(text, where="a.csv:3:at")
    assert (caught.value.code, caught.value.where) == ("invalid-instant", "a.csv:3:at")


@pytest.mark.parametrize(
    "text", ["", "2026-3-1", "20260331", "2026-W14-2", "2026-02-29", "31/03/2026", "2026-03-31\n"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_date(text)
    assert caught.value.code == "invalid-date"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-31", AsOfTime(day=date(2026, 3, 31))),
        (" 2026-03-31 ", AsOfTime(day=date(2026, 3, 31))),
        ("9999-12-31", AsOfTime(day=date.max)),
        ("2026-03-31T17:00:00+02:00", AsOfTime(instant=datetime(2026, 3, 31, 15, tzinfo=UTC))),
        ("pos:0", AsOfTime(position=0)),
        ("pos:1090", AsOfTime(position=1090)),
        ("pos:999999999999999999", AsOfTime(position=10**18 - 1)),
    ],
)
def test_a_time_is_a_date_an_instant_or_a_position(text: str, expected: AsOfTime) -> None:
    assert parse_as_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "yesterday", "2026", "2026-03", "2026-Q1", "2026-02-30", "2026-03-31T17:00:00",
        "pos:", "pos:-1", "pos:1.5", "pos: 1", "POS:1", "pos:1000000000000000000",
        "pos:\uff11\uff10", "\uff12026-03-31", "1090",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_time_is_refused_with_the_three_spellings(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_as_of(text, where="--as-of")
    assert (caught.value.code, caught.value.where) == ("invalid-as-of", "--as-of")
    assert "pos:1090" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["", "Mars", "Europe", "../UTC", "/etc/passwd", "a\x00b", "europe "]
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        zone(name)
    assert caught.value.code == "unknown-time-zone"


def test_the_end_of_time_is_the_last_instant_that_can_be_written() -> None:
    assert format_instant(END_OF_TIME) == "9999-12-31T23:59:59.999999Z"
    assert max(END_OF_TIME, datetime.max.replace(tzinfo=UTC)) == END_OF_TIME
