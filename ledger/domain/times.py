"""Instants, dates, and the one spelling of a time.

Law: an instant is a UTC datetime with microseconds; it is written in one way only,
`2026-03-31T23:59:59.999999Z` (27 characters, so that text order is time order). A date given where
an instant is wanted means the last microsecond of that day in the reporting time zone. Nothing here
reads a clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.domain.errors import InvalidInput

Instant: TypeAlias = datetime

MICROSECOND = timedelta(microseconds=1)
END_OF_TIME = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_POSITION = re.compile(r"pos:([0-9]{1,18})\Z")


def format_instant(instant: Instant) -> str:
    """Write an instant in the one way: UTC, six decimals, `Z`."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % (  # noqa: UP031 - twice as fast as isoformat
        instant.year, instant.month, instant.day,
        instant.hour, instant.minute, instant.second, instant.microsecond,
    )  # fmt: skip


def parse_instant(text: str, *, where: str = "") -> Instant:
    """Read an ISO 8601 instant with an offset.

    Raises:
        InvalidInput: `invalid-instant` when it is no instant, or has no offset.
    """
    try:
        instant = datetime.fromisoformat(text)
        known = instant.tzinfo is not None
        instant = instant.astimezone(UTC) if known else instant
    except (ValueError, OverflowError):
        known = False
    if not known:
        raise InvalidInput(
            "invalid-instant",
            f"{text!r} is not an instant with an offset",
            where=where,
            hint="write it like 2026-03-31T17:00:00Z",
        )
    return instant


def parse_date(text: str, *, where: str = "") -> date:
    """Read an ISO 8601 calendar date.

    Raises:
        InvalidInput: `invalid-date`.
    """
    try:
        if not _DATE.match(text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            "invalid-date", f"{text!r} is not a date", where=where, hint="write it like 2026-03-31"
        ) from None


def zone(name: str, *, where: str = "") -> ZoneInfo:
    """The IANA time zone of that name.

    Raises:
        InvalidInput: `unknown-time-zone`.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            "unknown-time-zone",
            f"there is no time zone {name!r}",
            where=where,
            hint="use an IANA name such as Europe/Berlin",
        ) from None


def start_of_day(day: date, tz: ZoneInfo) -> Instant:
    """The first instant of a day in a time zone."""
    return datetime.combine(day, time.min, tzinfo=tz).astimezone(UTC)


def end_of_day(day: date, tz: ZoneInfo) -> Instant:
    """The last microsecond of a day in a time zone, also on days that are not 24 hours long."""
    if day == date.max:
        return END_OF_TIME
    return start_of_day(day + timedelta(days=1), tz) - MICROSECOND


@dataclass(frozen=True, slots=True)
class AsOfTime:
    """A time as a person spells it, before it is resolved: exactly one of the three is set."""

    day: date | None = None
    instant: Instant | None = None
    position: int | None = None


def parse_as_of(text: str, *, where: str = "") -> AsOfTime:
    """Read the one spelling of a time: a date, an instant, or `pos:1090`.

    Raises:
        InvalidInput: `invalid-as-of`.
    """
    text = text.strip()
    if found := _POSITION.match(text):
        return AsOfTime(position=int(found[1]))
    try:
        if _DATE.match(text):
            return AsOfTime(day=parse_date(text))
        return AsOfTime(instant=parse_instant(text))
    except InvalidInput:
        raise InvalidInput(
            "invalid-as-of",
            f"{text!r} is not a time",
            where=where,
            hint="give a date (2026-03-31), an instant (2026-03-31T17:00:00Z) or pos:1090",
        ) from None
