"""Dates as CRM exports write them.

Law: a text is read in one way or not at all. ISO 8601 (with or without a time and an offset) is
always understood; a date with slashes, dots or dashes is read in one order for the whole export,
day first or month first, which the export's own dates must prove (a part above 12) or the user must
give. A two-digit year from 69 on is of the last century. A date without a time is the start of that
day, and a time without an offset stands, in the mapping's time zone. A calendar date is the one
written, whatever its offset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from ledger.domain.errors import InvalidInput
from ledger.domain.times import Instant

DateOrder = Literal["dmy", "mdy"]

DATE_TEXT_MAX = 64
_PIVOT = 69
_CACHE_MAX = 200_000

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:$|[T ])")
_ISO_LOOSE = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
    r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?\Z"
)
_SLASHED = re.compile(
    r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})"
    r"(?:,?[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*([AaPp])?\.?(?:[Mm]\.?)?)?\Z"
)


class Unreadable(Exception):
    """A cell that cannot be read: a stable code, and the reason for a person."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Stamp(NamedTuple):
    """A moment as a cell gave it: the instant it stands for, and the calendar date as written."""

    instant: Instant
    day: date


class OrderVotes(NamedTuple):
    """How many dates prove each order, and how many prove neither."""

    day_first: int
    month_first: int
    undecided: int


def count_orders(texts: Iterable[str]) -> OrderVotes:
    """Count what the dates of an export prove about their order."""
    day_first = month_first = undecided = 0
    for text in texts:
        found = _SLASHED.match(text)
        if not found:
            continue
        first, second = int(found[1]), int(found[2])
        if first > 12 >= second:
            day_first += 1
        elif second > 12 >= first:
            month_first += 1
        elif first != second:
            undecided += 1
    return OrderVotes(day_first, month_first, undecided)


def is_slashed(text: str) -> bool:
    """Whether a date needs an order to be read."""
    return _SLASHED.match(text) is not None


def settle_order(votes: OrderVotes) -> DateOrder | None:
    """The order that an export's dates prove; none when it has no date that needs one.

    Where both orders are proved the majority rules, and the rows of the minority will be rejected
    one by one.

    Raises:
        InvalidInput: `ambiguous-dates` when nothing proves an order, or both equally.
    """
    if votes.day_first != votes.month_first:
        return "dmy" if votes.day_first > votes.month_first else "mdy"
    if votes.day_first == votes.undecided == 0:
        return None
    raise InvalidInput(
        "ambiguous-dates",
        f"nothing in the export shows whether its dates are day first or month first "
        f"({votes.undecided} could be either)",
        hint="say so with --date-order dmy or --date-order mdy",
    )


class DateReader:
    """Reads the dates of one export; remembers what it has read.

    Args:
        zone: the time zone of what has no offset.
        order: how dates with slashes are written; none refuses them.
        formats: further formats in `strptime`'s spelling, tried first.
    """

    def __init__(
        self, zone: ZoneInfo, order: DateOrder | None = None, formats: Sequence[str] = ()
    ) -> None:
        self._zone = UTC if zone.key == "UTC" else zone
        self._order = order
        self._formats = formats
        self._read: dict[str, Stamp] = {}

    def stamp(self, text: str) -> Stamp:
        """Read a date or a moment.

        Raises:
            Unreadable: `invalid-date`, `ambiguous-dates`.
        """
        known = self._read.get(text)
        if known is None:
            if len(self._read) >= _CACHE_MAX:
                self._read.clear()
            known = self._read[text] = self._parse(text)
        return known

    def instant(self, text: str) -> Instant:
        """The instant of a cell: the start of the day where it has no time."""
        return self.stamp(text).instant

    def day(self, text: str) -> date:
        """The calendar date of a cell, as written."""
        return self.stamp(text).day

    def _parse(self, text: str) -> Stamp:
        if len(text) > DATE_TEXT_MAX:
            raise Unreadable("invalid-date", f"a date is at most {DATE_TEXT_MAX} characters long")
        try:
            moment = self._moment(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            return Stamp(moment.astimezone(UTC), moment.date())
        except (ValueError, OverflowError):
            raise Unreadable("invalid-date", self._advice(text)) from None

    def _moment(self, text: str) -> datetime:
        for pattern in self._formats:
            try:
                return datetime.strptime(text, pattern)  # noqa: DTZ007 - its zone is put in by the caller
            except ValueError:
                continue
        if _ISO.match(text):
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                pass
        if found := _ISO_LOOSE.match(text):
            return _iso_moment(found)
        if found := _SLASHED.match(text):
            return self._slashed_moment(found)
        raise ValueError(text)

    def _slashed_moment(self, found: re.Match[str]) -> datetime:
        if self._order is None:
            raise Unreadable(
                "ambiguous-dates", "nothing says whether the day or the month comes first"
            )
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        day, month = (first, second) if self._order == "dmy" else (second, first)
        if len(found[3]) == 2:
            year += 1900 if year >= _PIVOT else 2000
        hour, half = int(found[4] or 0), (found[8] or "").lower()
        if half:
            if not 1 <= hour <= 12:
                raise ValueError(found[0])
            hour = hour % 12 + (12 if half == "p" else 0)
        return datetime(  # noqa: DTZ001 - its zone is put in by the caller
            year, month, day, hour, int(found[5] or 0), int(found[6] or 0), _microseconds(found[7])
        )

    def _advice(self, text: str) -> str:
        if self._order and is_slashed(text):
            return f"not a date in this export's order ({self._order})"
        return "not a date"


def _iso_moment(found: re.Match[str]) -> datetime:
    moment = datetime(  # noqa: DTZ001 - its zone is put in by the caller, or just below
        int(found[1]), int(found[2]), int(found[3]), int(found[4] or 0), int(found[5] or 0),
        int(found[6] or 0), _microseconds(found[7]),
    )  # fmt: skip
    offset = found[8]
    if not offset:
        return moment
    if offset in ("Z", "UTC", "GMT"):
        return moment.replace(tzinfo=UTC)
    return datetime.fromisoformat(moment.isoformat() + offset)


def _microseconds(digits: str | None) -> int:
    return int(digits[:6].ljust(6, "0")) if digits else 0
