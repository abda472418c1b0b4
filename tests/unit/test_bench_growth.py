"""The page about growth says what was measured, and its plot is drawn from the same figures."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.bench import growth
from scripts.bench.chart import Chart, Line, svg

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_in_the_docs_is_made_from_the_figures() -> None:
    page = (DOCS / "growth.md").read_text(encoding="utf-8")
    assert growth.with_table(page, growth.read(DOCS / "growth.json")) == page


def test_the_plot_in_the_docs_is_made_from_the_figures() -> None:
    drawn = (DOCS / "growth.svg").read_text(encoding="utf-8")
    assert growth.plot(growth.read(DOCS / "growth.json")) == drawn


def test_writing_a_size_keeps_the_others(tmp_path: Path) -> None:
    sizes = growth.read(DOCS / "growth.json")
    growth.write(tmp_path, sizes)
    growth.write(tmp_path, sizes[:1])
    assert growth.read(tmp_path / "growth.json") == sizes


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(SystemExit):
        growth.with_table("no marks here", [])


def test_the_same_lines_give_the_same_drawing_and_no_name_covers_another() -> None:
    lines = [Line(name, [(10, 5.0), (100, 50.0 + n)]) for n, name in enumerate(["abc", "&", "d"])]
    charts = [Chart("Cost (ms)", "deals", lines), Chart("Disk", "deals", lines, y_from_zero=True)]
    drawn = svg(charts)
    assert drawn == svg(charts)
    assert drawn.count("<g") == drawn.count("</g>") == 2
    assert "&amp;" in drawn
    places = [
        float(found)
        for found in re.findall(r'y="([0-9.]+)" text-anchor="start" fill="#(?!222)', drawn)
    ]
    first_chart = sorted(places[: len(lines)])
    assert all(b - a >= 14 for a, b in pairwise(first_chart))
