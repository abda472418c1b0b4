"""The table of a series: readable at any width, as narrow as it must be."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from api.cli import bridging, output

CATEGORIES = ("pipeline", "best_case", "commit")
DAYS = [(date(2026, 1, 4) + timedelta(days=7 * week)).isoformat() for week in range(26)]


def answer(dimensions: tuple[str, ...]) -> dict[str, Any]:
    """A series of half a year of weeks; no two amounts are the same."""
    lines = [
        {
            "key": {name: f"{name} {group}" for name in dimensions},
            "measure": measure,
            "category": category,
            "amounts": [f"{group + 1}{at}{day:02d}0000.{day:02d}" for day in range(len(DAYS))],
            "deals": None,
        }
        for group in range(2 if dimensions else 1)
        for at, (measure, category) in enumerate(
            [*(("claimed", each) for each in CATEGORIES), ("closed", "closed")]
        )
    ]
    keys = ("day", "period", "currency", "valid_at", "known_at")
    points = [dict.fromkeys(keys, day) for day in DAYS]
    return {"group_by": list(dimensions), "lines": lines, "points": points}


def written(
    told: dict[str, Any], width: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> list[str]:
    monkeypatch.setattr(output, "PIPED_COLUMNS", width)
    bridging.write_series(told)
    lines: list[str] = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize("dimensions", [(), ("owner",), ("owner", "team")])
@pytest.mark.parametrize("width", [40, 80, 100, 160, 500])
def test_every_amount_stands_whole_beside_its_day_or_below_it(
    dimensions: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    told = answer(dimensions)
    lines = written(told, width, monkeypatch, capsys)
    text = "\n".join(lines)
    assert "…" not in text
    for line in told["lines"]:
        assert all(amount in text for amount in line["amounts"])
    assert all(day in text for day in DAYS)
    if width == 500:
        assert all(day in lines[2] for day in DAYS)


def test_an_amount_stands_in_the_row_of_its_day_where_days_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    told = answer(("owner",))
    lines = written(told, 160, monkeypatch, capsys)
    for line in told["lines"]:
        for day, amount in zip(DAYS, line["amounts"], strict=True):
            (row,) = [each for each in lines if amount in each]
            assert {day, line["measure"]} <= set(row.split())
            assert line["key"]["owner"] in row


def test_each_line_is_a_table_of_its_own_where_nothing_else_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    told = answer(("owner",))
    text = "\n".join(written(told, 40, monkeypatch, capsys))
    for line in told["lines"]:
        assert f"{line['key']['owner']}, {line['measure']}," in text


def test_what_fits_nowhere_is_broken_and_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    told = answer(("owner",))
    text = "".join(written(told, 20, monkeypatch, capsys))
    assert "…" not in text
    digits = sum(len(amount) for line in told["lines"] for amount in line["amounts"])
    assert sum(each.isdigit() or each == "." for each in text) >= digits
