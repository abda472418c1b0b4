"""The forecast of a period at many points of time as known then, read from the journal.

Law: what holds at a point is the balance at the first point and the moves since, up to and at the
point. Between two openings the moves are read packed, by the days in the reporting time zone at
whose ends the points are; after the last opening, and wherever openings are missing or points are
at no day's end, they are added up from the entries. An account of the journal tells owner and
currency, so groups by these, and by what follows from the owner, are read here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import compress, groupby
from operator import itemgetter
from typing import LiteralString, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import orjson

from ledger.domain.calendar import Period
from ledger.domain.times import Instant
from projections.fold.accounts import LINES, WIDTH, Balance, units
from projections.fold.moves import Account, account_of, days_ended, unpacked
from projections.fold.sums import Increments, gather, points_of
from projections.tables.columns import Shape
from projections.tables.openings import POSTINGS
from projections.tables.reading import balance
from projections.tables.serving import Tables
from projections.tables.spans import MEASURES, WORK_MEMORY, Steps
from projections.tables.stabbing import Point, months_of

_COLUMNS = ("owner", "currency")
"""Of `columns.COLUMNS`, those that an account tells."""

_PACKED: LiteralString = """
    SELECT month, since, at, {measure}::text FROM {side}.forecast_opening
    WHERE month = ANY(%(months)s::date[]) AND at > %(first)s AND at <= %(last)s AND zone = %(zone)s
    ORDER BY month, at
"""

_ENTRIES: LiteralString = f"""
    WITH step (owner, currency, category, point, amount, deals) AS (
        SELECT s.owner, s.currency, {{category}},
            width_bucket(s.at - interval '1 microsecond', %(points)s::timestamptz[]),
            coalesce(sum({{amount}}), 0), sum(s.deals)
        FROM ({POSTINGS}) AS s WHERE {{only}}
        GROUP BY 1, 2, 3, 4
        HAVING sum(s.deals) <> 0 OR sum({{amount}}) <> 0
    )
    SELECT category, currency, owner, array_agg(point), array_agg(amount), array_agg(deals)
    FROM step GROUP BY owner, currency, category
"""


def told_by_accounts(shape: Shape) -> bool:
    """Whether the accounts of the journal tell all columns."""
    return set(_COLUMNS).issuperset(shape.columns)


_Alike: TypeAlias = tuple[tuple[str | None, ...], str | None, str]
"""(the columns asked for, currency, category)"""


class Line(NamedTuple):
    """A line of points as known then.

    Args:
        period: a fiscal period.
        points: valid times, ascending; knowledge is the same at each.
        zone: the reporting time zone (IANA).
    """

    period: Period
    points: Sequence[Instant]
    zone: str


def first_balance(tables: Tables, line: Line) -> Balance:
    """The accounts of a period at the first of some points."""
    first = line.points[0]
    return balance(tables, Point(first, first, months_of(line.period)))


def steps_by_day(
    tables: Tables, line: Line, opened: Balance, measure: str, shape: Shape
) -> Iterator[Steps]:
    """What comes into and goes out of a period's forecast at some points.

    Args:
        tables: that may answer at all the points.
        line: the points.
        opened: the accounts at the first of them.
        measure: claimed, evidenced, weighted or closed.
        shape: which columns tell the group; see `told_by_accounts`.
    """
    moves = _Moves(tables, line, measure, shape)
    moves.open(opened)
    moves.read()
    return moves.steps()


class _Moves:
    """The moves of a measure along a line.

    Args:
        tables: that may answer at all the points.
        line: the points.
        measure: which.
        shape: which columns tell the group.
    """

    def __init__(self, tables: Tables, line: Line, measure: str, shape: Shape) -> None:
        self._tables = tables
        self._line = line
        self._measure = measure
        self._pick = [_COLUMNS.index(each) for each in shape.columns]
        self._found: dict[_Alike, Increments] = {}
        self._texts: dict[str, list[str]] = {}
        """By account as it is spelt."""
        self._days = days_ended(line.points, ZoneInfo(line.zone))

    def _alike(self, account: Account) -> Increments:
        """What was found of the deals of an account, and of those like them."""
        category, currency, owner = account
        holder = owner, currency
        alike = tuple([holder[index] for index in self._pick]), currency, category
        found = self._found.get(alike)
        if found is None:
            found = self._found[alike] = Increments.none()
        return found

    def open(self, balance: Balance) -> None:
        """What there is at the first point."""
        lines = [index for index, (measure, _) in enumerate(LINES) if measure == self._measure]
        for (owner, currency), row in balance.rows():
            for index in lines:
                amount, deals = row[index], row[WIDTH + index]
                if amount or deals:
                    found = self._alike((LINES[index][1], currency, owner))
                    found.add([0], [amount], [deals])

    def read(self) -> None:
        """What moves after it."""
        points = self._line.points
        months = months_of(self._line.period)
        asked = {
            "months": months,
            "points": list(points),
            "first": points[0],
            "last": points[-1],
            "until": points[-1],
            "zone": self._line.zone,
        }
        reached = dict.fromkeys(months, points[0])
        if self._days is not None:
            packed = self._tables.rows(_PACKED.replace("{measure}", self._measure), asked)
            for month, spans in groupby(packed, itemgetter(0)):
                reached[month] = self._take(spans)
        self._read_entries({**asked, "opened": [reached[each] for each in months]})

    def _take(self, spans: Iterator[tuple[date, Instant, Instant, str]]) -> Instant:
        """Take the packed moves of a month as far as one span follows another.

        Returns:
            How far they reach.
        """
        reached = self._line.points[0]
        for _month, since, at, text in spans:
            if since > reached:
                break
            gather(self._texts, orjson.loads(text))
            reached = at
        return reached

    def _read_entries(self, asked: dict[str, object]) -> None:
        category, amount, only = MEASURES[self._measure]
        statement = (
            _ENTRIES.replace("{category}", category)
            .replace("{amount}", amount)
            .replace("{only}", only)
        )
        self._tables.connection.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
        for category, currency, owner, points, amounts, deals in self._tables.rows(
            statement, asked
        ):
            found = self._alike((category, currency, owner))
            found.add(points, [units(each) for each in amounts], deals)

    def steps(self) -> Iterator[Steps]:
        """All of them."""
        if self._days is not None:
            first, last = self._days[0], self._days[-1]
            point_of = [bisect_left(self._days, day) for day in range(first, last + 1)]
            for account, texts in self._texts.items():
                days, amounts, deals = _after(first, *unpacked(texts))
                points = points_of(days, point_of, first)
                self._alike(account_of(account)).add(points, amounts, deals)
        for (row, currency, category), found in self._found.items():
            yield Steps(row, currency, category, *found)


def _after(
    first: int, days: list[int], amounts: list[int], deals: list[int]
) -> tuple[list[int], list[int], list[int]]:
    """What moves on later days: the first span may begin before the first point."""
    if min(days) > first:
        return days, amounts, deals
    later = [day > first for day in days]
    return (
        list(compress(days, later)),
        list(compress(amounts, later)),
        list(compress(deals, later)),
    )
