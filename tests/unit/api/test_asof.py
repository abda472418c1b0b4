"""From the time a person spells to the basis of an answer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.asof import AsOf, parse_horizon, resolve
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput, NotFound, QledgerError
from ledger.domain.events import SETTINGS_STREAM, Event, FiscalCalendarSet
from ledger.domain.times import END_OF_TIME, MICROSECOND, format_instant, parse_instant
from projections.reader import LogReader, Present
from tests.unit.domain.builders import Log, at, sees

CLOCK = at("2026-06-15")
FIRST = at("2026-01-05")


class InMemory(LogReader):
    """Reads a log in memory."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def present(self) -> Present:
        return Present(CLOCK, len(self._log.events))

    def stream(self, basis: Basis, stream: str) -> list[Event]:
        return [
            event for event in self._log.events if event["stream"] == stream and sees(basis, event)
        ]

    def at_positions(self, positions: Collection[int]) -> dict[int, Event]:
        return {position: self._log.events[position - 1] for position in positions}


def log_of(days: int = 5) -> Log:
    """One event a day, from `FIRST` on."""
    log = Log()
    for day in range(days):
        zone = FiscalCalendarSet(start_month=1, time_zone="UTC")
        log.record(zone, FIRST + timedelta(days=day), stream=SETTINGS_STREAM)
    return log


def basis_of(asked: AsOf, log: Log | None = None) -> Basis:
    reader = InMemory(log or log_of())
    return resolve(asked, reader.present(), reader)


def refusal(asked: AsOf, log: Log | None = None) -> QledgerError:
    with pytest.raises(QledgerError) as refused:
        basis_of(asked, log)
    return refused.value


END_OF_MARCH = parse_instant("2026-03-31T23:59:59.999999Z")
NOON = parse_instant("2026-03-31T12:00:00Z")
EARLIER = parse_instant("2026-02-28T23:59:59.999999Z")


@pytest.mark.parametrize(
    ("asked", "valid_at", "known_at", "horizon"),
    [
        (AsOf(), CLOCK, CLOCK, 5),
        (AsOf("now"), CLOCK, CLOCK, 5),
        (AsOf(" NOW "), CLOCK, CLOCK, 5),
        (AsOf("2026-03-31"), END_OF_MARCH, END_OF_MARCH, 5),
        (AsOf("2026-03-31T12:00:00Z"), NOON, NOON, 5),
        (AsOf("2026-03-31T14:00:00+02:00"), NOON, NOON, 5),
        (AsOf("2026-03-31", known_at="now"), END_OF_MARCH, CLOCK, 5),
        (AsOf("2026-03-31", known_at="2026-02-28"), END_OF_MARCH, EARLIER, 5),
        (AsOf("2026-03-31", valid_at="2026-02-28"), EARLIER, END_OF_MARCH, 5),
        # one axis alone: the other stays at the present, but valid time takes knowledge along
        (AsOf(known_at="2026-02-28"), CLOCK, EARLIER, 5),
        (AsOf(valid_at="2026-02-28"), EARLIER, EARLIER, 5),
        (AsOf(valid_at="2026-02-28", known_at="2026-03-31"), EARLIER, END_OF_MARCH, 5),
        (AsOf(valid_at="2026-02-28", known_at="now"), EARLIER, CLOCK, 5),
        # a position is its horizon at its recorded_at, on the axes that name it
        (AsOf("pos:3"), FIRST + timedelta(days=2), FIRST + timedelta(days=2), 3),
        (AsOf(valid_at="2026-03-31", known_at="pos:2"), END_OF_MARCH, FIRST + timedelta(1), 2),
        (AsOf("pos:4", known_at="pos:2"), FIRST + timedelta(3), FIRST + timedelta(1), 2),
        (AsOf("pos:5"), FIRST + timedelta(days=4), FIRST + timedelta(days=4), 5),
        # a horizon pins the log and moves no time
        (AsOf("2026-03-31", horizon=3), END_OF_MARCH, END_OF_MARCH, 3),
        (AsOf("2026-03-31", horizon=0), END_OF_MARCH, END_OF_MARCH, 0),
        (AsOf("pos:3", horizon=2), FIRST + timedelta(days=2), FIRST + timedelta(days=2), 2),
        (AsOf(horizon=5), CLOCK, CLOCK, 5),
        # what no clock can change is asked when the last event that it sees was recorded
        (AsOf(timeless=True), FIRST + timedelta(days=4), FIRST + timedelta(days=4), 5),
        (AsOf(horizon=3, timeless=True), FIRST + timedelta(2), FIRST + timedelta(2), 3),
        (AsOf(known_at="now", timeless=True), FIRST + timedelta(4), FIRST + timedelta(4), 5),
        (AsOf("2026-03-31", timeless=True), END_OF_MARCH, END_OF_MARCH, 5),
        (AsOf(horizon=0, timeless=True), CLOCK, CLOCK, 0),
    ],
)
def test_a_question_has_one_basis(
    asked: AsOf, valid_at: object, known_at: object, horizon: int
) -> None:
    basis = basis_of(asked)
    assert (basis.valid_at, basis.known_at, basis.horizon) == (valid_at, known_at, horizon)
    assert basis.witnessed_only is False
    witnessed = basis_of(asked._replace(witnessed_only=True))
    assert (witnessed.witnessed_only, witnessed.horizon) == (True, horizon)


@pytest.mark.parametrize(
    ("asked", "kind", "code", "where"),
    [
        (AsOf("pos:6"), NotFound, "unknown-position", "as_of"),
        (AsOf("pos:0"), NotFound, "unknown-position", "as_of"),
        (AsOf(valid_at="pos:6"), NotFound, "unknown-position", "valid_at"),
        (AsOf(known_at="pos:6"), NotFound, "unknown-position", "known_at"),
        (AsOf(horizon=6), NotFound, "unknown-position", "horizon"),
        (AsOf("2026-03-31", horizon=-1), InvalidInput, "invalid-horizon", ""),
        (AsOf("2026-02-30"), InvalidInput, "invalid-as-of", "as_of"),
        (AsOf("2026-03-31T12:00:00"), InvalidInput, "invalid-as-of", "as_of"),
        (AsOf(""), InvalidInput, "invalid-as-of", "as_of"),
        (AsOf("2026-03-31", valid_at=""), InvalidInput, "invalid-as-of", "valid_at"),
        (AsOf("2026-03-31", known_at=" "), InvalidInput, "invalid-as-of", "known_at"),
        (AsOf(known_at="then"), InvalidInput, "invalid-as-of", "known_at"),
        (AsOf("pos:"), InvalidInput, "invalid-as-of", "as_of"),
        (AsOf("31/03/2026"), InvalidInput, "invalid-as-of", "as_of"),
    ],
)
def test_what_cannot_be_resolved_is_refused(
    asked: AsOf, kind: type[QledgerError], code: str, where: str
) -> None:
    error = refusal(asked)
    assert (type(error), error.code, error.where) == (kind, code, where)


def test_an_empty_ledger_has_no_positions_but_a_present() -> None:
    assert basis_of(AsOf(), Log()) == Basis(CLOCK, CLOCK, 0)
    assert basis_of(AsOf("2026-03-31", horizon=0), Log()).horizon == 0
    assert refusal(AsOf("pos:1"), Log()).code == "unknown-position"


@pytest.mark.parametrize(
    ("zone", "end_of_day"),
    [
        ("Europe/Berlin", "2026-03-31T21:59:59.999999Z"),  # summer time by then
        ("America/New_York", "2026-04-01T03:59:59.999999Z"),
        ("Asia/Kolkata", "2026-03-31T18:29:59.999999Z"),
    ],
)
def test_a_date_ends_in_the_reporting_time_zone(zone: str, end_of_day: str) -> None:
    log = Log()
    log.record(
        FiscalCalendarSet(start_month=1, time_zone=zone), at("2026-05-01"), stream=SETTINGS_STREAM
    )
    for asked in (AsOf("2026-03-31"), AsOf(known_at="2026-03-31"), AsOf(valid_at="2026-03-31")):
        assert format_instant(basis_of(asked, log).known_at) == end_of_day


def test_the_time_zone_is_the_one_set_now_whatever_the_question() -> None:
    log = Log()
    berlin = FiscalCalendarSet(start_month=1, time_zone="Europe/Berlin")
    tokyo = FiscalCalendarSet(start_month=1, time_zone="Asia/Tokyo")
    log.record(berlin, at("2026-01-10"), stream=SETTINGS_STREAM)
    log.record(tokyo, CLOCK + timedelta(days=1), stream=SETTINGS_STREAM, recorded_at=CLOCK)
    # Tokyo is announced for tomorrow: today it is still Berlin, also for what was asked before.
    for asked in (AsOf("2026-01-01"), AsOf("2026-01-01", horizon=0)):
        assert format_instant(basis_of(asked, log).valid_at) == "2026-01-01T22:59:59.999999Z"


def test_a_day_of_23_hours_ends_when_the_next_begins() -> None:
    log = Log()
    berlin = FiscalCalendarSet(start_month=1, time_zone="Europe/Berlin")
    log.record(berlin, FIRST, stream=SETTINGS_STREAM)
    before, after = (basis_of(AsOf(day), log).valid_at for day in ("2026-03-28", "2026-03-29"))
    assert after - before == timedelta(hours=23)


def test_the_last_date_is_the_end_of_time() -> None:
    assert basis_of(AsOf("9999-12-31")).valid_at == END_OF_TIME


instants = st.datetimes(
    min_value=at("2025-01-01").replace(tzinfo=None), max_value=at("2027-01-01").replace(tzinfo=None)
).map(lambda moment: moment.replace(tzinfo=CLOCK.tzinfo))
spelt = st.one_of(
    st.none(),
    st.just("now"),
    st.dates(at("2025-01-01").date(), at("2027-01-01").date()).map(str),
    instants.map(format_instant),
    st.integers(1, 5).map(lambda position: f"pos:{position}"),
)


HORIZONS = st.one_of(st.none(), st.integers(0, 5))


NOTHING = st.none()


@given(st.builds(AsOf, spelt, spelt, spelt, HORIZONS, st.booleans(), NOTHING, min_position=NOTHING))
def test_a_basis_given_back_in_full_is_the_same_basis(asked: AsOf) -> None:
    basis = basis_of(asked)
    facts: dict[str, Any] = basis.as_dict()
    log = log_of(9)  # later events have arrived
    again = basis_of(
        AsOf(None, facts["valid_at"], facts["known_at"], facts["horizon"], facts["witnessed_only"]),
        log,
    )
    assert again == basis
    assert again.as_dict() == facts


@pytest.mark.parametrize(("text", "position"), [("1090", 1090), ("pos:7", 7), ("0", 0)])
def test_a_horizon_is_a_position(text: str, position: int) -> None:
    assert parse_horizon(text) == position


@pytest.mark.parametrize("text", ["", "pos:", "-1", "1.0", "1e3", "9" * 19, "latest", "\u0663"])
def test_what_is_no_position_is_no_horizon(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_horizon(text)
    assert refused.value.code == "invalid-horizon"


def test_a_day_is_over_at_its_last_microsecond() -> None:
    next_day = basis_of(AsOf("2026-04-01T00:00:00Z")).valid_at
    assert next_day - basis_of(AsOf("2026-03-31")).valid_at == MICROSECOND


@pytest.mark.parametrize("asked", [AsOf(), AsOf("2026-01-06"), AsOf(horizon=4), AsOf("pos:4")])
def test_a_position_that_must_be_seen_is_no_part_of_the_basis(asked: AsOf) -> None:
    seen = asked._replace(min_position=4)
    assert basis_of(seen) == basis_of(asked)
    assert seen.times == asked.times


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (AsOf(min_position=6), "position-not-reached"),
        (AsOf(horizon=4, min_position=5), "horizon-before-min-position"),
        (AsOf("pos:4", min_position=5), "horizon-before-min-position"),
        (AsOf("2026-01-06", known_at="pos:4", min_position=5), "horizon-before-min-position"),
    ],
)
def test_a_position_that_would_not_be_seen_is_refused(asked: AsOf, code: str) -> None:
    assert refusal(asked).code == code
