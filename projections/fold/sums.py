"""Whole numbers added up along points of time, converted and rounded: the innermost loops of lines.

Law: sums are exact, whatever their size, and rounded once, half-even; nothing has no sign. Here are
only numbers; what they are of, `projections.lines` and `projections.tables.daily` know.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple, Self, TypeAlias


class Increments(NamedTuple):
    """What comes in at points of time, less what goes out.

    Args:
        points: their indexes, in any order; one may come more than once.
        amounts: at each of them: whole numbers as in `projections.fold.accounts`.
        deals: likewise.
    """

    points: list[int]
    amounts: list[int]
    deals: list[int]

    @classmethod
    def none(cls) -> Self:
        """To which others are added."""
        return cls([], [], [])

    def add(self, points: Sequence[int], amounts: Sequence[int], deals: Sequence[int]) -> None:
        """Add what comes in besides."""
        self.points.extend(points)
        self.amounts.extend(amounts)
        self.deals.extend(deals)


Part: TypeAlias = tuple[list[int], list[int], list[int], list[int]]
"""(points in any order, amounts that come in there, deals likewise, the factor in each era)"""

Era: TypeAlias = tuple[int, int, int, int]
"""(the first point, the one after the last, unit and places as `spelt` takes them)"""


def told_along(parts: list[Part], eras: list[Era]) -> tuple[list[str], list[int]]:
    """What amounts come to at each point, as they are told, and how many deals there are.

    Args:
        parts: of one line, each in a currency; without factors it has no amounts.
        eras: of all points, in order; in each all factors are the same.
    """
    length = eras[-1][1]
    common = _common(parts, eras)
    moved = [0] * length
    came = [0] * length
    for points, amounts, deals, factors in parts:
        for index in range(len(points)):
            came[points[index]] += deals[index]
        if factors:
            _convert(moved, _by_point(points, amounts, length, common), factors, eras)
    told: list[str] = []
    counts: list[int] = []
    total = 0
    count = 0
    text = ""
    for start, end, its_unit, places in eras:
        unit = its_unit // common
        for point in range(start, end):
            more = moved[point]
            if more != 0 or point == start:
                total += more
                text = spelt(total, unit, places)
            told.append(text)
            count += came[point]
            counts.append(count)
    return told, counts


def _common(parts: list[Part], eras: list[Era]) -> int:
    """What all amounts and units may be divided by: smaller numbers are added sooner."""
    common = gcd(*[unit for _start, _end, unit, _places in eras])
    for _points, amounts, _deals, _factors in parts:
        common = gcd(common, *amounts)
    return common or 1


def _by_point(points: list[int], amounts: list[int], length: int, common: int) -> list[int]:
    """What comes in at each of all points, divided by what all have in common."""
    moves = [0] * length
    for index in range(len(points)):
        moves[points[index]] += amounts[index] // common
    return moves


def _convert(moved: list[int], moves: list[int], factors: list[int], eras: list[Era]) -> None:
    """Add what comes in to what moves; where a factor changes, what is held moves with it."""
    held = 0
    before = factors[0]
    for number in range(len(eras)):
        start, end, _unit, _places = eras[number]
        factor = factors[number]
        moved[start] += (factor - before) * held
        for point in range(start, end):
            amount = moves[point]
            if amount != 0:
                held += amount
                moved[point] += factor * amount
        before = factor


def gather(into: dict[str, list[str]], more: dict[str, str]) -> None:
    """Add a text to those of the same name."""
    for name, text in more.items():
        found = into.get(name)
        if found is None:
            into[name] = [text]
        else:
            found.append(text)


def points_of(days: list[int], point_of: list[int], first: int) -> list[int]:
    """The points at which days count.

    Args:
        days: the first or later ones.
        point_of: the point that a day counts at, by its number after the first.
        first: a day.
    """
    return [point_of[day - first] for day in days]


def spelt(total: int, unit: int, places: int) -> str:
    """A total in the minor unit of a currency.

    Args:
        total: exact.
        unit: how many of the total are one minor unit; 0 where there is no currency.
        places: how many decimals the currency has.
    """
    if unit == 0:
        return "0"
    whole = total // unit
    rest = 2 * (total - whole * unit)
    if rest > unit or (rest == unit and whole & 1):
        whole += 1
    text = str(whole)
    if places == 0:
        return text
    if whole < 0 or len(text) <= places:
        text = ("-" if whole < 0 else "") + str(abs(whole)).zfill(places + 1)
    return text[:-places] + "." + text[-places:]
