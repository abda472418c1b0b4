"""Counts told with how far they can be trusted: shares, differences of shares, quartiles.

Law: a share is never told without its counts. Its interval is Wilson's score interval; that of a
difference of two independent shares is Newcombe's hybrid score interval, made from the two Wilson
intervals. (E. B. Wilson, JASA 22, 1927; R. G. Newcombe, Statistics in Medicine 17, 1998, pages 857
and 873: method 3, and method 10 of the second.) Both hold at the confidence of `CONFIDENCE_PERCENT`
and are asymmetric near none and all. Where either side rests on fewer than `FEW_BELOW` deals, the
statement says `few`; nothing here is called significant.

Quartiles interpolate between the ordered values, the least and the greatest included (type 7 of
Hyndman and Fan, 1996); they are exact for exact values.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

CONFIDENCE_PERCENT = 95
Z = NormalDist().inv_cdf(0.5 + CONFIDENCE_PERCENT / 200)

FEW_BELOW = 10
"""Below so many in a group a share says little, whatever its interval."""

SHARE_DECIMALS = 4
DAYS_DECIMALS = 2
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class Interval(NamedTuple):
    """From where to where, both ends included."""

    low: float
    high: float


class Share(NamedTuple):
    """So many of so many."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """None where there is nothing to have a share of."""
        return self.hits / self.of if self.of else None

    @property
    def few(self) -> bool:
        return self.of < FEW_BELOW

    @property
    def interval(self) -> Interval | None:
        """Wilson's score interval; None where there is nothing to have a share of."""
        return wilson(self.hits, self.of) if self.of else None

    def as_dict(self) -> dict[str, Any]:
        """The share as answers state it: counts first."""
        interval = self.interval
        return {
            "count": self.hits,
            "of": self.of,
            "share": _rounded(self.value),
            "low": None if interval is None else _rounded(interval.low),
            "high": None if interval is None else _rounded(interval.high),
            "few": self.few,
        }


def wilson(hits: int, of: int) -> Interval:
    """Wilson's score interval of a share.

    Args:
        hits: how many.
        of: among how many; at least one.
    """
    share, z2 = hits / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    reach = Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    low = 0.0 if hits == 0 else max(0.0, middle - reach)
    high = 1.0 if hits == of else min(1.0, middle + reach)
    return Interval(low, high)


def difference(one: Share, other: Share) -> dict[str, Any]:
    """How much greater one share is than another, as answers state it.

    Args:
        one: the first share.
        other: the share to take from it; of other deals.

    Returns:
        JSON: `difference`, `low`, `high` (Newcombe's hybrid score interval), each None where
        either group is empty, and `few`.
    """
    interval = newcombe(one, other)
    value = None if one.value is None or other.value is None else one.value - other.value
    return {
        "difference": _rounded(value),
        "low": None if interval is None else _rounded(interval.low),
        "high": None if interval is None else _rounded(interval.high),
        "few": one.few or other.few,
    }


def newcombe(one: Share, other: Share) -> Interval | None:
    """Newcombe's hybrid score interval of a difference; None where either group is empty."""
    if one.value is None or other.value is None:
        return None
    first, second = wilson(*one), wilson(*other)
    delta = one.value - other.value
    down = sqrt((one.value - first.low) ** 2 + (second.high - other.value) ** 2)
    up = sqrt((first.high - one.value) ** 2 + (other.value - second.low) ** 2)
    return Interval(max(-1.0, delta - down), min(1.0, delta + up))


def duration(start: str, end: str) -> timedelta:
    """The time between two instants in the one spelling."""
    return datetime.fromisoformat(end) - datetime.fromisoformat(start)


def days(length: timedelta) -> float:
    """A duration in days, to two decimals, as answers state it."""
    return round(length / _DAY, DAYS_DECIMALS)


def quartiles_as_dict(lengths: Iterable[timedelta]) -> dict[str, Any]:
    """Durations in days: how many, quartiles, the least and the greatest.

    Returns:
        JSON: `count`, `least`, `q1`, `median`, `q3`, `greatest` (days; None without any), `few`.
    """
    ordered = sorted(each // _MICROSECOND for each in lengths)
    places = {
        "least": Fraction(0),
        "q1": Fraction(1, 4),
        "median": Fraction(1, 2),
        "q3": Fraction(3, 4),
        "greatest": Fraction(1),
    }
    told = {
        name: round(float(quantile(ordered, place) / (_DAY // _MICROSECOND)), DAYS_DECIMALS)
        if ordered
        else None
        for name, place in places.items()
    }
    return {"count": len(ordered), **told, "few": len(ordered) < FEW_BELOW}


def quantile(ordered: list[int], place: Fraction) -> Fraction:
    """The value at a place between the least (0) and the greatest (1), interpolated exactly.

    Args:
        ordered: the values, ascending; at least one.
        place: from 0 to 1.
    """
    index = place * (len(ordered) - 1)
    below = index.numerator // index.denominator
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (index - below) * (ordered[above] - ordered[below])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, SHARE_DECIMALS)
