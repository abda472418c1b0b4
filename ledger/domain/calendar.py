"""Fiscal calendar and periods.

Law: a period is a run of whole days; a deal counts in the period that holds its close date. Until a
calendar is set, the fiscal year is the calendar year, in quarters, in UTC. A period is spelt
`2026` (fiscal year), `2026-Q1` (fiscal quarter) or `2026-03` (calendar month).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from ledger.domain.errors import InvalidInput
from ledger.domain.times import Instant, zone

_PERIOD = re.compile(r"(?P<year>[0-9]{4})(?:-Q(?P<quarter>[1-4])|-(?P<month>0[1-9]|1[0-2]))?\Z")


@dataclass(frozen=True, slots=True)
class Period:
    """A named run of days, both ends included."""

    name: str
    first_day: date
    last_day: date

    def holds_text(self, day: str) -> bool:
        """Whether a day, as ISO text, lies in the period. Text order is date order."""
        return self.first_day.isoformat() <= day <= self.last_day.isoformat()


@dataclass(frozen=True, slots=True)
class FiscalCalendar:
    """How the organisation cuts its years.

    Args:
        start_month: the month in which the fiscal year begins, 1 to 12.
        named_by: whether a fiscal year bears the calendar year of its `start` or of its `end`.
        time_zone: the reporting time zone (IANA), in which dates begin and end.
    """

    start_month: int = 1
    named_by: Literal["start", "end"] = "start"
    time_zone: str = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        return zone(self.time_zone)

    def day_of(self, instant: Instant) -> date:
        """The day that an instant falls on, in the reporting time zone."""
        try:
            return instant.astimezone(self.zone).date()
        except OverflowError:  # east of Greenwich the end of time is in the year 10000
            return instant.date()

    def period(self, name: str) -> Period:
        """The period of that name.

        Raises:
            InvalidInput: `invalid-period`.
        """
        found = _PERIOD.match(name)
        if not found or not 2 <= int(found["year"]) <= 9998:
            raise InvalidInput(
                "invalid-period",
                f"{name!r} is not a period",
                hint="write a year (2026), a quarter (2026-Q1) or a month (2026-03)",
            )
        year = int(found["year"])
        if found["month"]:
            return _months(name, year, int(found["month"]), 1)
        start_year = year - 1 if self.named_by == "end" and self.start_month > 1 else year
        if found["quarter"]:
            return _months(name, start_year, self.start_month + 3 * (int(found["quarter"]) - 1), 3)
        return _months(name, start_year, self.start_month, 12)

    def quarter_of(self, day: date) -> Period:
        """The fiscal quarter that holds a day."""
        months_in = (day.month - self.start_month) % 12
        start_year = day.year - (day.month < self.start_month)
        year = start_year + (self.named_by == "end" and self.start_month > 1)
        return self.period(f"{year:04d}-Q{months_in // 3 + 1}")


def _months(name: str, year: int, month: int, count: int) -> Period:
    return Period(name, _month_start(year, month), _month_start(year, month + count) - timedelta(1))


def _month_start(year: int, month: int) -> date:
    """The first day of a month that may run past December."""
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
