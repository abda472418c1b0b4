"""The forecast as a line: at the end of every day, week, month or quarter between two dates.

Law: each point is the forecast asked at the point's own basis - the same period, calendar, people,
currency and rates - so a point opens into the answer that `Book.forecast` gives there, amount by
amount. On the axis `as_known_then` a point's basis is the end of its day on both axes; in hindsight
valid time is the end of its day and knowledge is that of the book's basis. The horizon is the
book's. Nothing is interpolated. Where the tables may answer at every point, they do so in one pass
over what came in and went out; else each point is asked by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import compress, groupby, pairwise
from typing import Any, NamedTuple, TypeAlias

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.errors import InvalidInput
from ledger.domain.times import end_of_day, format_instant
from projections.along import (
    Point,
    calls_along,
    directories_along,
    settings_along,
)
from projections.book import Book, MadeFrom
from projections.fold.people import Organisation
from projections.forecast import (
    DEAL_MEASURES,
    MEASURES,
    Directory,
    check_group_by,
    tally_calls,
)
from projections.lines import Lines
from projections.tables.columns import Shape, Teller, group_of
from projections.tables.daily import Line, first_balance, steps_by_day, told_by_accounts
from projections.tables.serving import Tables
from projections.tables.spans import Steps, steps_along
from projections.tally import Cell, CellKey, GroupKey


class Every(StrEnum):
    """How often there is a point: at the end of each, the last day asked for always among them."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


class Axis(StrEnum):
    """Which knowledge a point rests on."""

    AS_KNOWN_THEN = "as_known_then"
    HINDSIGHT = "hindsight"


POINTS_MAX = 4_000

_SUNDAY = 6


class _Asked(NamedTuple):
    """What is asked, besides the points."""

    group_by: tuple[str, ...]
    measures: tuple[str, ...]
    axis: Axis
    organisation: Organisation


def series(  # noqa: PLR0913 - every part of the question is one
    book: Book,
    first: date,
    last: date,
    every: Every = Every.WEEK,
    *,
    period: str | None = None,
    group_by: tuple[str, ...] = (),
    measures: tuple[str, ...] = DEAL_MEASURES,
    axis: Axis = Axis.AS_KNOWN_THEN,
    organisation: Organisation = Organisation.AS_WAS,
) -> dict[str, Any]:
    """The forecast at every end of a day, week (Sunday), calendar month or fiscal quarter.

    Args:
        book: the book at the basis: its horizon limits all points, and its `known_at` is the
            knowledge of hindsight. Days are cut in the reporting time zone at that basis.
        first: the first day that may be a point.
        last: the last day; it is always a point.
        every: how often.
        period: the fiscal period whose forecast it is; None is the quarter that holds each day.
        group_by: as `Book.forecast` takes them.
        measures: of claimed, evidenced, weighted, called, adjusted and closed.
        axis: as known then at each point, or all as known at the basis.
        organisation: by whose manager and team.

    Returns:
        JSON: `basis` (that of the last point), `axis`, `every`, `period` (None where it rolls),
        `group_by`, `organisation`, `points`: a list of {`day`, `valid_at`, `known_at`, `period`,
        `currency`, `unconverted`: the currencies of which something is in no amount for want of a
        rate}, and `lines`, one for each group, measure and category that is ever other than empty,
        in their order: {`key`: {dimension: value}, `measure`, `category`, `amounts`, `deals`}.
        `amounts` has one decimal string a point, in the point's currency; `deals` one number a
        point, and is None for called and adjusted.

    Raises:
        InvalidInput: `invalid-span`, `too-many-points`, `invalid-period`, `invalid-measure`,
            `invalid-dimension`, `too-many-dimensions`.
    """
    asked = _Asked(check_group_by(group_by), _check_measures(measures), axis, organisation)
    days = _days(first, last, every, book.calendar)
    points = _points(book, days, period, axis)
    lines = Lines(points)
    _add_deals(lines, book, points, asked)
    _add_calls(lines, book, points, asked)
    told = lines.as_dicts(asked.group_by)
    return {
        "basis": points[-1].basis.as_dict(),  # not of the day on which it was asked
        "axis": str(axis),
        "every": str(every),
        "period": period,
        "group_by": list(asked.group_by),
        "organisation": str(organisation),
        "points": [
            {
                "day": point.day.isoformat(),
                "valid_at": format_instant(point.basis.valid_at),
                "known_at": format_instant(point.basis.known_at),
                "period": point.period.name,
                "currency": point.settings.reporting_currency,
                "unconverted": lines.unconverted(index),
            }
            for index, point in enumerate(points)
        ],
        "lines": told,
    }


# --- the points -----------------------------------------------------------------------------------


def _check_measures(measures: Sequence[str]) -> tuple[str, ...]:
    for measure in measures:
        if measure not in MEASURES:
            raise InvalidInput(
                "invalid-measure",
                f"{measure!r} is not a measure",
                hint=f"it is one of {', '.join(MEASURES)}",
            )
    return tuple(measure for measure in MEASURES if measure in measures)


def _days(first: date, last: date, every: Every, calendar: FiscalCalendar) -> list[date]:
    """The days at whose end there is a point."""
    if first > last:
        raise InvalidInput("invalid-span", f"{first} is later than {last}", where="first")
    span = (last - first).days + 1
    each = (first + timedelta(days) for days in range(span))
    ends = _ends(every, calendar)
    days = [day for day in each if day == last or ends(day)] if span <= 366 * POINTS_MAX else []
    if not 0 < len(days) <= POINTS_MAX:
        raise InvalidInput(
            "too-many-points",
            f"from {first} to {last} there are more than {POINTS_MAX} points",
            hint="ask for a shorter time, or for fewer points",
        )
    return days


def _ends(every: Every, calendar: FiscalCalendar) -> Callable[[date], bool]:
    match every:
        case Every.DAY:
            return lambda _day: True
        case Every.WEEK:
            return lambda day: day.weekday() == _SUNDAY
        case Every.MONTH:
            return lambda day: (day + timedelta(1)).day == 1
        case Every.QUARTER:
            return lambda day: (
                (day + timedelta(1)).day == 1 and calendar.quarter_of(day).last_day == day
            )


def _points(book: Book, days: Sequence[date], period: str | None, axis: Axis) -> list[Point]:
    instants = [end_of_day(day, book.calendar.zone) for day in days]
    known_at = None if axis is Axis.AS_KNOWN_THEN else book.basis.known_at
    bases = [book.basis.at(instant, known_at or instant) for instant in instants]
    settings_at = settings_along(book.at(bases[-1]))
    points = []
    for day, basis in zip(days, bases, strict=True):
        settings = settings_at(basis)
        calendar = settings.calendar
        at_day = calendar.day_of(basis.valid_at)
        its = calendar.quarter_of(at_day) if period is None else calendar.period(period)
        points.append(Point(day, basis, settings, its))
    return points


# --- the sums -------------------------------------------------------------------------------------


def _add_deals(lines: Lines, book: Book, points: Sequence[Point], asked: _Asked) -> None:
    measures = [measure for measure in asked.measures if measure in DEAL_MEASURES]
    if not measures:
        return
    last = book.at(points[-1].basis)
    directory_at = directories_along(last, asked.group_by, asked.organisation)
    directories = [directory_at(point.basis) for point in points]
    one_zone = len({point.settings.calendar.time_zone for point in points}) == 1
    with last.tables() as tables:
        if tables is not None and one_zone:
            for start, end in _runs(points, lambda point: point.period):
                part = _Part(points[start:end], directories[start:end], start)
                _add_from_tables(lines, tables, part, measures, asked)
            book.made_from = MadeFrom.TABLES
            return
    book.made_from = MadeFrom.LOG
    before: dict[CellKey, Cell] = {}
    for index, point in enumerate(points):
        forecast = book.at(point.basis).forecast(point.period, asked.group_by, asked.organisation)
        after = {key: cell for key, cell in forecast.tally.cells.items() if key[1] in measures}
        lines.change(index, before, after)
        before = after


class _Part(NamedTuple):
    """Neighbouring points whose forecast is that of one period.

    Args:
        points: in order.
        directories: at each of them.
        start: the index of the first.
    """

    points: Sequence[Point]
    directories: Sequence[Directory]
    start: int


def _add_from_tables(
    lines: Lines, tables: Tables, part: _Part, measures: Sequence[str], asked: _Asked
) -> None:
    shape = Shape.of(asked.group_by)
    ages = [
        (start, shape.tellers(part.directories[start]))
        for start, _end in _runs(part.directories, id)
    ]
    end = part.start + len(part.points)
    for measure, steps in _steps(tables, part, measures, asked.axis, shape):
        for group, points, amounts, deals in _by_group(steps, ages):
            key = group, measure, steps.category
            at = [part.start + point for point in points] if part.start else points
            lines.add(key, steps.currency, at, amounts, deals)
        if end < lines.length:  # what the next period's forecast is, is told anew
            key = group_of(steps.row, ages[-1][1]), measure, steps.category
            lines.add(key, steps.currency, [end], [-sum(steps.amounts)], [-sum(steps.deals)])


def _steps(
    tables: Tables, part: _Part, measures: Sequence[str], axis: Axis, shape: Shape
) -> Iterator[tuple[str, Steps]]:
    """By measure what comes in and goes out: from the journal, where it tells the groups."""
    period = part.points[0].period
    instants = [point.basis.valid_at for point in part.points]
    if axis is Axis.AS_KNOWN_THEN and told_by_accounts(shape):
        line = Line(period, instants, part.points[0].settings.calendar.time_zone)
        opened = first_balance(tables, line)
        for measure in measures:
            for steps in steps_by_day(tables, line, opened, measure, shape):
                yield measure, steps
        return
    known_at = None if axis is Axis.AS_KNOWN_THEN else part.points[0].basis.known_at
    for measure in measures:
        for steps in steps_along(tables, period, instants, known_at, measure, shape):
            yield measure, steps


_Changes: TypeAlias = tuple[GroupKey, Sequence[int], Sequence[int], Sequence[int]]
"""A group, points, amounts and deals."""


def _by_group(steps: Steps, ages: Sequence[tuple[int, list[Teller]]]) -> Iterator[_Changes]:
    """What changes in which group at which points: a group that changes takes along what it has.

    Args:
        steps: of deals that are alike.
        ages: from which point on which tellers tell the group.
    """
    first = group_of(steps.row, ages[0][1])
    groups = [(start, group_of(steps.row, tellers)) for start, tellers in ages]
    if all(group == first for _start, group in groups):
        yield first, steps.points, steps.amounts, steps.deals
        return
    starts = [start for start, _group in groups]
    for point, amount, deals in zip(steps.points, steps.amounts, steps.deals, strict=True):
        yield groups[bisect_right(starts, point) - 1][1], [point], [amount], [deals]
    for (_start, before), (start, after) in pairwise(groups):
        if before != after:
            so_far = [point < start for point in steps.points]
            amount = sum(compress(steps.amounts, so_far))
            deals = sum(compress(steps.deals, so_far))
            yield before, [start], [-amount], [-deals]
            yield after, [start], [amount], [deals]


def _add_calls(lines: Lines, book: Book, points: Sequence[Point], asked: _Asked) -> None:
    measures = [measure for measure in asked.measures if measure not in DEAL_MEASURES]
    if not measures:
        return
    last = book.at(points[-1].basis)
    directory_at = directories_along(last, asked.group_by, asked.organisation)
    before: dict[CellKey, Cell] = {}
    for start, end in _runs(points, lambda point: point.period):
        calls_at = calls_along(last, points[start].period)
        for index in range(start, end):
            basis = points[index].basis
            tally = tally_calls(calls_at(basis), asked.group_by, directory_at(basis))
            after = {key: cell for key, cell in tally.cells.items() if key[1] in measures}
            if after != before:
                lines.change(index, before, after)
                before = after


def _runs(values: Sequence[Any], key: Callable[[Any], Any]) -> Iterator[tuple[int, int]]:
    """(start, end) of neighbours with the same key."""
    start = 0
    for _key, group in groupby(values, key):
        end = start + sum(1 for _ in group)
        yield start, end
        start = end
