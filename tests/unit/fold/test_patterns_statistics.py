"""Intervals of shares and of their differences, against published values; quartiles, exactly.

The shares are the examples of Newcombe, Statistics in Medicine 17 (1998): page 857, table I, method
3, and page 873, table II, method 10.
"""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.fold.statistics import (
    Share,
    days,
    difference,
    duration,
    newcombe,
    quantile,
    quartiles_as_dict,
    wilson,
)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_a_share(hits: int, of: int, low: float, high: float) -> None:
    found = wilson(hits, of)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_difference(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    found = newcombe(Share(*one), Share(*other))
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 500), st.data())
def test_a_share_lies_in_its_interval_and_the_interval_mirrors(
    of: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, of))
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of <= high <= 1
    mirrored = wilson(of - hits, of)
    assert mirrored.low == pytest.approx(1 - high)
    assert mirrored.high == pytest.approx(1 - low)


def test_a_share_is_told_with_its_counts_and_whether_they_are_few() -> None:
    assert Share(9, 9).as_dict() == {
        "count": 9, "of": 9, "share": 1.0, "low": 0.7009, "high": 1.0, "few": True,
    }  # fmt: skip
    assert Share(1, 10).as_dict()["few"] is False


def test_of_nothing_there_is_no_share() -> None:
    assert Share(0, 0).as_dict() == {
        "count": 0, "of": 0, "share": None, "low": None, "high": None, "few": True,
    }  # fmt: skip
    assert difference(Share(0, 0), Share(1, 2)) == {
        "difference": None, "low": None, "high": None, "few": True,
    }  # fmt: skip


@pytest.mark.parametrize(("won", "lost", "few"), [(10, 10, False), (9, 10, True), (10, 9, True)])
def test_a_difference_is_few_where_either_group_is(won: int, lost: int, few: bool) -> None:
    assert difference(Share(5, won), Share(5, lost))["few"] is few


def test_quartiles_interpolate_between_ordered_durations() -> None:
    lengths = [timedelta(days=day) for day in (4, 1, 3, 2)]
    assert quartiles_as_dict(lengths) == {
        "count": 4, "least": 1.0, "q1": 1.75, "median": 2.5, "q3": 3.25, "greatest": 4.0,
        "few": True,
    }  # fmt: skip
    assert quartiles_as_dict([timedelta(hours=36)])["median"] == 1.5
    assert quartiles_as_dict([]) == {
        "count": 0, "least": None, "q1": None, "median": None, "q3": None, "greatest": None,
        "few": True,
    }  # fmt: skip


def test_a_quantile_is_exact() -> None:
    assert quantile([0, 1], Fraction(1, 3)) == Fraction(1, 3)
    assert quantile([5], Fraction(3, 4)) == 5


def test_durations_are_in_days_of_twenty_four_hours() -> None:
    start, end = "2026-01-01T00:00:00.000000Z", "2026-01-02T12:00:00.000000Z"
    assert days(duration(start, end)) == 1.5
    assert days(duration(end, start)) == -1.5
