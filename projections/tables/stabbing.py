"""Which rectangles hold a point: the rows of `deal_state` that say what was so at (V, K).

Law: a rectangle holds the point of valid time V and knowledge K where `valid_from <= V < valid_to`
and `known_from <= K < known_to`; at most one of a deal does. Let m be the earlier of the two. Then
those that hold (V, K) are those that hold (m, m), without those of them that do not hold (V, K) -
the dropped - and with those that hold (V, K) and not (m, m) - the added. Nothing about how a deal
was cut into rectangles is assumed, so retractions, removals and whatever comes late are in it by
themselves.

Each of the three sets is one stab of spans on one axis by one instant. A rectangle meets the
diagonal in the span from the later of its starts to the earlier of its ends; V lies in a rectangle
above the diagonal in the span from `valid_from` to the earlier of `valid_to` and `known_from`; K in
one below it likewise with the axes exchanged. The spans are indexed by month, by class of length
(`qledger.span_class`) and by start: of one class, those that hold an instant began less than the
class's bound before it. So a stab touches little beside what it finds, however long history is.

The spans on the diagonal are indexed by deal too. So the deals of a page are found in their order,
and reading touches the spans of those deals, however large the book is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

from ledger.domain.calendar import Period
from ledger.domain.times import Instant

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
BOUNDS: Final = (4 * _HOUR, 12 * _HOUR, *(2**power * _DAY for power in range(13)))
"""Of `qledger.span_class`: a span of class n is shorter than the bound at n; the last has none."""

ENDLESS: Final = 99
"""The class of spans that do not end."""

FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)

MONTHS: LiteralString = """
    unnest(%(months)s::date[]) AS due (month)
"""
_SPANS: LiteralString = """
    CROSS JOIN unnest(%(classes)s::integer[], %(since)s::timestamptz[]) AS span (class, since)
    JOIN {side}.deal_state AS s ON qledger.month_of(s.counts_on) = due.month
"""
_ON_DIAGONAL: LiteralString = f"""
    {_SPANS}
    AND qledger.span_class(greatest(s.valid_from, s.known_from), least(s.valid_to, s.known_to))
        = span.class
    AND greatest(s.valid_from, s.known_from) <= %(diagonal)s
    AND greatest(s.valid_from, s.known_from) > span.since
    AND greatest(s.valid_from, s.known_from) < least(s.valid_to, s.known_to)
    AND s.valid_to > %(diagonal)s AND s.known_to > %(diagonal)s
"""
HOLDING: LiteralString = """
    s.valid_from <= %(valid_at)s AND s.valid_to > %(valid_at)s
    AND s.known_from <= %(known_at)s AND s.known_to > %(known_at)s
"""

AT_ONCE: LiteralString = f"""
    {_ON_DIAGONAL} AND s.valid_to > %(valid_at)s AND s.known_to > %(known_at)s
"""
"""Those that hold both (m, m) and (V, K)."""

DROPPED: LiteralString = f"""
    {_ON_DIAGONAL} AND span.class < 99
    AND (s.valid_to <= %(valid_at)s OR s.known_to <= %(known_at)s)
"""
"""Those that hold (m, m) and not (V, K): they end, in valid time or in knowledge."""

IN_HINDSIGHT: LiteralString = f"""
    {_SPANS} AND span.class < 99
    AND qledger.span_class(s.valid_from, least(s.valid_to, s.known_from)) = span.class
    AND s.valid_from <= %(diagonal)s AND s.valid_from > span.since
    AND s.valid_from < s.known_from
    AND s.known_from > %(diagonal)s AND {HOLDING}
"""
"""Where V < K: those that hold (V, K) and became known only after V."""

IN_FORESIGHT: LiteralString = f"""
    {_SPANS} AND span.class < 99
    AND qledger.span_class(s.known_from, least(s.known_to, s.valid_from)) = span.class
    AND s.known_from <= %(diagonal)s AND s.known_from > span.since
    AND s.known_from < s.valid_from
    AND s.valid_from > %(diagonal)s AND {HOLDING}
"""
"""Where V > K: those that hold (V, K) and were to begin only after K."""

IN_ORDER: LiteralString = """
    greatest(s.valid_from, s.known_from) < least(s.valid_to, s.known_to)
    AND greatest(s.valid_from, s.known_from) <= %(diagonal)s
    AND least(s.valid_to, s.known_to) > %(diagonal)s
"""
"""Those that hold (m, m), found deal by deal."""

INCOMPLETE: LiteralString = f"""
    greatest(s.valid_from, s.known_from) <= greatest(%(valid_at)s::timestamptz, %(known_at)s)
    AND {HOLDING} AND (s.amount IS NULL OR s.counts_on IS NULL)
"""
"""Those that hold (V, K) and lack an amount or a day on which they count."""


class Point(NamedTuple):
    """A point of the two axes, and months in which deals count.

    Args:
        valid_at: valid time.
        known_at: knowledge time.
        months: the first days of months.
    """

    valid_at: Instant
    known_at: Instant
    months: Sequence[date]

    @property
    def diagonal(self) -> Instant:
        """The earlier of the two times."""
        return min(self.valid_at, self.known_at)

    @property
    def added(self) -> LiteralString | None:
        """What holds the point and not the diagonal; None on the diagonal."""
        if self.valid_at == self.known_at:
            return None
        return IN_HINDSIGHT if self.valid_at < self.known_at else IN_FORESIGHT

    def parameters(self) -> dict[str, Any]:
        """The parameters of the statements above."""
        since = [_before(self.diagonal, bound) for bound in BOUNDS]
        return {
            "valid_at": self.valid_at,
            "known_at": self.known_at,
            "diagonal": self.diagonal,
            "months": list(self.months),
            "classes": [*range(len(BOUNDS) + 1), ENDLESS],
            "since": [*since, FIRST_INSTANT, FIRST_INSTANT],
        }


def months_of(period: Period) -> list[date]:
    """The first days of a period's months: periods are whole months."""
    return months_between(period.first_day, period.last_day)


def months_between(first: date, last: date) -> list[date]:
    """The first days of months, from one of them to the month of a day."""
    found = [first]
    while found[-1] < last.replace(day=1):  # asked before adding: no day follows the last one
        found.append((found[-1] + timedelta(days=31)).replace(day=1))
    return found


def _before(instant: Instant, span: timedelta) -> Instant:
    """An instant earlier, at most as early as instants go."""
    return FIRST_INSTANT if instant - FIRST_INSTANT < span else instant - span
