"""Plain line charts as SVG text: axes, lines with their names at the end, nothing else.

Law: the same figures give the same bytes. Both axes may be logarithmic, since what is shown is how
one figure grows with another: a straight line of slope one is "as many times as much".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 128, 40, 48
_COLOURS = ("#1f5fa8", "#b4491f", "#3a7d34", "#6b4a9c", "#555555")
_LABEL_GAP = 14


class Line(NamedTuple):
    """A named line; points are (x, y), both above zero."""

    name: str
    points: Sequence[tuple[float, float]]


class Chart(NamedTuple):
    """One chart.

    Args:
        title: what it shows, with the unit of y.
        x_label: what x is, with its unit.
        lines: at least one, with at least one point.
        y_from_zero: a linear y axis that begins at zero, instead of a logarithmic one.
    """

    title: str
    x_label: str
    lines: Sequence[Line]
    y_from_zero: bool = False


class _Axis(NamedTuple):
    """Where values of one axis lie: in pixels, from one end to the other."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def at(self, value: float) -> float:
        low, high, value = self.low, self.high, max(value, self.low)
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if not self.logarithmic:
            step = _round_step(self.high / 4)
            return [step * n for n in range(math.floor(self.high / step + 1e-9) + 1)]
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**n for n in range(first, last + 1)]


def svg(charts: Sequence[Chart], columns: int = 2) -> str:
    """Charts side by side, as one SVG document.

    Args:
        charts: at least one.
        columns: how many stand in a row.
    """
    rows = -(-len(charts) // columns)
    width, height = WIDTH * min(columns, len(charts)), HEIGHT * rows
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for index, chart in enumerate(charts):
        x, y = index % columns * WIDTH, index // columns * HEIGHT
        parts += [f'<g transform="translate({x},{y})">', *_chart(chart), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _chart(chart: Chart) -> list[str]:
    xs = [x for line in chart.lines for x, _y in line.points]
    ys = [y for line in chart.lines for _x, y in line.points]
    across = _Axis(*_decades(xs), _LEFT, WIDTH - _RIGHT, logarithmic=True)
    bounds = (0.0, max(ys) * 1.1) if chart.y_from_zero else _decades(ys)
    up = _Axis(*bounds, HEIGHT - _BOTTOM, _TOP, logarithmic=not chart.y_from_zero)
    middle = (across.start + across.end) / 2
    parts = [
        _text(_LEFT, 22, chart.title, "start", bold=True),
        _text(middle, HEIGHT - 10, chart.x_label, "middle"),
    ]
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(_stroke(x, up.start, x, up.start + 5, "#222222"))
        parts.append(_text(x, up.start + 18, _number(tick), "middle"))
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(_stroke(across.start, y, across.end, y, "#dddddd"))
        parts.append(_text(across.start - 8, y + 4, _number(tick), "end"))
    parts.append(_stroke(across.start, up.start, across.end, up.start, "#222222"))
    names = _spread([up.at(line.points[-1][1]) for line in chart.lines])
    for line, colour, name_at in zip(chart.lines, _COLOURS, names, strict=False):
        parts += _line(line, across, up, colour)
        last_x = across.at(line.points[-1][0])
        parts.append(_text(last_x + 8, name_at + 4, line.name, "start", colour=colour))
    return parts


def _line(line: Line, across: _Axis, up: _Axis, colour: str) -> list[str]:
    places = [(across.at(x), up.at(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    return drawn + [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]


def _spread(places: Sequence[float]) -> list[float]:
    """Where names stand so that none covers another, each as near as may be to its line."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    found = list(places)
    for before, index in pairwise(order):
        found[index] = max(found[index], found[before] + _LABEL_GAP)
    return found


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """The powers of ten around values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _round_step(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= step)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(
    x: float, y: float, text: str, anchor: str, *, colour: str = "#222222", bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )
