"""The forecast of a period at many points of time, read from the tables in one pass.

Law: along a line of points - as known then, both times of a point the same; in hindsight,
knowledge the same at all points - a rectangle holds the points of one span: on the diagonal from
the later of its starts to the earlier of its ends, in hindsight its valid time. So it comes in at
the first point at or after the start of its span, and goes out at the first at or after the end;
the sums of what came in and went out, up to a point, are the sums over the rectangles that hold the
point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, LiteralString, NamedTuple

from psycopg.rows import TupleRow

from ledger.domain.calendar import Period
from ledger.domain.times import Instant
from projections.fold.accounts import units
from projections.tables.columns import Shape
from projections.tables.serving import Tables
from projections.tables.stabbing import months_of

WORK_MEMORY = "64MB"
"""For the sums of one pass."""

_DIAGONAL: LiteralString = """
    CROSS JOIN LATERAL (VALUES
        (greatest(s.valid_from, s.known_from), {amount}, 1),
        (least(s.valid_to, s.known_to), -({amount}), -1)
    ) AS posting (at, amount, deals)
    WHERE qledger.month_of(s.counts_on) = ANY(%(months)s::date[])
    AND greatest(s.valid_from, s.known_from) < least(s.valid_to, s.known_to)
    AND greatest(s.valid_from, s.known_from) <= %(last)s
    AND s.valid_to > %(first)s AND s.known_to > %(first)s
"""
_HINDSIGHT: LiteralString = """
    CROSS JOIN LATERAL (VALUES
        (s.valid_from, {amount}, 1), (s.valid_to, -({amount}), -1)
    ) AS posting (at, amount, deals)
    WHERE qledger.month_of(s.counts_on) = ANY(%(months)s::date[])
    AND s.known_from <= %(known_at)s AND s.known_to > %(known_at)s
    AND s.valid_from <= %(last)s AND s.valid_to > %(first)s
"""
MEASURES: Final[Mapping[str, tuple[LiteralString, LiteralString, LiteralString]]] = {
    "claimed": ("s.category", "s.amount", "true"),
    "evidenced": ("s.evidenced", "s.amount", "true"),
    "weighted": ("s.evidenced", "s.amount * s.weight_percent * 0.01", "true"),
    "closed": ("'closed'::text", "s.amount", "s.outcome = 'won'"),
}
"""By measure its category, its amount, and what limits it, of states or postings `s`."""

_ORDINALS: tuple[LiteralString, ...] = ("1", "2", "3", "4", "5", "6", "7", "8")

# A step is what comes in less what goes out at a point.
_LINES: LiteralString = """
    WITH step ({names}, point, amount, deals) AS (
        SELECT {columns},
            width_bucket(posting.at - interval '1 microsecond', %(points)s::timestamptz[]),
            coalesce(sum(posting.amount), 0), sum(posting.deals)
        FROM {side}.deal_state AS s {held} AND posting.at <= %(last)s
        GROUP BY {ordinals}
        HAVING sum(posting.deals) <> 0 OR sum(posting.amount) <> 0
    )
    SELECT {names}, array_agg(point), array_agg(amount), array_agg(deals)
    FROM step GROUP BY {names}
"""


class Steps(NamedTuple):
    """What comes in and goes out along the points, of deals that are alike.

    Args:
        row: the columns asked for.
        currency: None for deals without an amount.
        category: of the measure.
        points: indexes of points, in any order; one may come more than once.
        amounts: what comes in at each of them, less what goes out: whole numbers as in
            `projections.fold.accounts`.
        deals: likewise.
    """

    row: TupleRow
    currency: str | None
    category: str
    points: Sequence[int]
    amounts: Sequence[int]
    deals: Sequence[int]


def steps_along(
    tables: Tables,
    period: Period,
    points: Sequence[Instant],
    known_at: Instant | None,
    measure: str,
    shape: Shape,
) -> Iterator[Steps]:
    """What comes into and goes out of a period's forecast at some points.

    Args:
        tables: that may answer at all the points.
        period: a fiscal period.
        points: valid times, ascending.
        known_at: the knowledge of all points in hindsight; None is as known then.
        measure: claimed, evidenced, weighted or closed.
        shape: which columns tell the group.
    """
    its_category, amount, only = MEASURES[measure]
    held: LiteralString = (_DIAGONAL if known_at is None else _HINDSIGHT) + " AND " + only
    width = len(shape.columns)
    statement = (
        _LINES.replace("{held}", held)
        .replace("{amount}", amount)
        .replace("{columns}", f"{shape.expressions}s.currency, {its_category}")
        .replace("{names}", f"{shape.names}currency, category")
        .replace("{ordinals}", ", ".join(_ORDINALS[: width + 3]))
    )
    asked = {
        "months": months_of(period),
        "points": list(points),
        "first": points[0],
        "last": points[-1],
        "known_at": known_at,
        **shape.parameters,
    }
    tables.connection.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
    for row in tables.rows(statement, asked):
        currency, category, at, amounts, deals = row[width:]
        yield Steps(row[:width], currency, category, at, [units(each) for each in amounts], deals)
