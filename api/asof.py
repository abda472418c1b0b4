"""From the time a person spells to the basis of an answer: the one place where "now" is resolved.

Law: "now" is the database's clock with the head as horizon, read once, at the door; past the door
nothing reads a clock. `as_of` alone means "as known then" on both axes; `known_at` moves the
knowledge axis alone (`now` is hindsight); `horizon` pins the log. A basis given back in full
repeats its answer byte for byte. A question that no clock can change is `timeless`: its "now" is
when the last event that it sees was recorded, so that it stays the same until another one is.
`min_position` is no part of the basis: it says of the log that is read that it must hold that
position, and changes nothing in the answer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from api.reached import not_reached
from ledger.domain.basis import Basis, everything_known
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.errors import InvalidInput, NotFound
from ledger.domain.events import SETTINGS_STREAM, Event, PlaybookPublished
from ledger.domain.times import Instant, end_of_day, format_instant, parse_as_of
from projections.fold.rulebook import version_label
from projections.fold.settings import settings_at
from projections.reader import LogReader, Present

NOW = "now"


class AsOf(NamedTuple):
    """What was asked, as spelt; every part may be missing.

    Args:
        as_of: the time asked about, on both axes.
        valid_at: valid time alone; wins over `as_of`.
        known_at: knowledge time alone; `now` is hindsight.
        horizon: the last position to take into account.
        witnessed_only: leave out what sources attested.
        under: judge by this playbook version, whatever was in force.
        min_position: the answer must see the log at least up to here.
        timeless: the answer is the same whenever it is asked, as long as the same events are seen.
    """

    as_of: str | None = None
    valid_at: str | None = None
    known_at: str | None = None
    horizon: int | None = None
    witnessed_only: bool = False
    under: str | None = None
    min_position: int | None = None
    timeless: bool = False

    @property
    def times(self) -> dict[str, str | int | bool | None]:
        """What says which basis is meant, as spelt."""
        return {name: said for name, said in self._asdict().items() if name not in _BESIDE}


_BESIDE = frozenset({"min_position", "timeless"})
"""What is said beside the times."""


class _Spelt(NamedTuple):
    instant: Instant
    horizon: int | None = None


def resolve(asked: AsOf, present: Present, reader: LogReader) -> Basis:
    """The basis of a question.

    Args:
        asked: the times as spelt.
        present: the present, read at the door.
        reader: for the calendar (a date needs the reporting time zone) and for positions.

    Raises:
        InvalidInput: `invalid-as-of`, `invalid-horizon`, `invalid-version`,
            `horizon-before-min-position`.
        NotFound: `unknown-position`, `unknown-version`.
        Unavailable: `position-not-reached`.
    """
    if asked.min_position is not None and asked.min_position > present.head:
        raise not_reached(asked.min_position, present.head)
    if asked.timeless:
        present = _of_the_log(present, asked.horizon, reader)
    door = _Door(present, reader)
    both = _Spelt(present.clock) if asked.as_of is None else door.read(asked.as_of, "as_of")
    valid = both if asked.valid_at is None else door.read(asked.valid_at, "valid_at")
    known = both if asked.known_at is None else door.read(asked.known_at, "known_at")
    if asked.as_of is None and asked.valid_at is not None and asked.known_at is None:
        known = valid
    if asked.horizon is not None and asked.horizon > present.head:
        raise NotFound(
            "unknown-position",
            f"the log ends at position {present.head}; there is no {asked.horizon} yet",
            where="horizon",
        )
    limits = [present.head, asked.horizon, both.horizon, valid.horizon, known.horizon]
    horizon = min(limit for limit in limits if limit is not None)
    basis = Basis(valid.instant, known.instant, horizon, asked.witnessed_only)
    check_sees(basis, asked.min_position)
    if asked.under is None:
        return basis
    published = reader.events(everything_known(basis), "playbook", (PlaybookPublished.type,))
    return replace(basis, under=version_label(asked.under, published))


def _of_the_log(present: Present, horizon: int | None, reader: LogReader) -> Present:
    """A present whose clock stands where the last event that is seen was recorded."""
    last = present.head if horizon is None else min(horizon, present.head)
    if last < 1:
        return present
    recorded_at: str = reader.at_positions([last])[last]["recorded_at"]
    return present._replace(clock=datetime.fromisoformat(recorded_at))


def check_sees(basis: Basis, min_position: int | None) -> None:
    """Refuse a basis that leaves out what the answer must see.

    Raises:
        InvalidInput: `horizon-before-min-position`.
    """
    if min_position is not None and basis.horizon < min_position:
        raise InvalidInput(
            "horizon-before-min-position",
            f"the answer would see the log up to position {basis.horizon}, and not {min_position}",
            where="min_position",
            hint="give a horizon, a position or a page that is not before it, or leave it out",
        )


class _Door:
    """Reads spelt times against one present."""

    def __init__(self, present: Present, reader: LogReader) -> None:
        self._present = present
        self._reader = reader

    def read(self, text: str, where: str) -> _Spelt:
        if text.strip().lower() == NOW:
            return _Spelt(self._present.clock)
        spelt = parse_as_of(text, where=where)
        if spelt.instant is not None:
            return _Spelt(spelt.instant)
        if spelt.day is not None:
            return _Spelt(end_of_day(spelt.day, self._calendar().zone))
        position = spelt.position or 0
        if not 1 <= position <= self._present.head:
            raise NotFound(
                "unknown-position",
                f"there is no event at position {position}; the log ends at {self._present.head}",
                where=where,
            )
        event: Event = self._reader.at_positions([position])[position]
        return _Spelt(datetime.fromisoformat(event["recorded_at"]), position)

    def _calendar(self) -> FiscalCalendar:
        """The calendar as set now: a date is spelt in today's reporting time zone."""
        now = Basis(self._present.clock, self._present.clock, self._present.head)
        events = self._reader.stream(now, SETTINGS_STREAM)
        return settings_at(events, format_instant(now.valid_at), first_currency=None).calendar


def parse_horizon(text: str, *, where: str = "") -> int:
    """A horizon as spelt on a command line or in a URL: `1090` or `pos:1090`.

    Args:
        text: as spelt.
        where: the argument.

    Raises:
        InvalidInput: `invalid-horizon`.
    """
    digits = text.removeprefix("pos:")
    if digits.removeprefix("-").isdecimal() and digits.startswith("-"):
        raise InvalidInput(
            "invalid-horizon",
            f"a position must not be negative: {text[:40]}",
            where=where,
            hint="positions count from 1; 0 is before the first",
        )
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise InvalidInput(
            "invalid-horizon",
            f"{text!r} is not a position",
            where=where,
            hint="write it like 1090",
        )
    return int(digits)
