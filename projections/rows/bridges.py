"""Rows of a bridge: its opening, its steps and its closing, each a row, in each group.

Law: a row's basis is the second of the two; the first stands in columns of its own, which begin the
key, so that whoever holds a key knows both. In a group, opening + steps = closing, to the cent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from ledger.domain.basis import Basis
from ledger.domain.times import format_instant
from projections.book import Book
from projections.bridge import Bridge
from projections.fold.steps import Measure, StepKind
from projections.rows.definition import (
    Column,
    Filter,
    Kind,
    Option,
    Role,
    Row,
    Table,
    Test,
    Wanted,
    basis_cells,
)
from projections.rows.telling import KEY_COLUMNS, KEY_FILTERS, amount_cells, key_cells

FROM = ("from_valid_at", "from_known_at", "from_position")
"""The columns of the first basis."""

LINES = ("opening", *(str(step) for step in StepKind), "closing")
"""The lines of every bridge, in their order."""

KINDS = ("opening", "step", "closing")
"""What a line is: the steps lead from the opening to the closing, and are added up without them."""


def bridge_rows(found: Bridge) -> Iterator[Row]:
    """The rows of a bridge, in the order of its groups and steps.

    Args:
        found: the bridge.

    Raises:
        InvalidInput: `too-many-groups`.
    """
    answer = found.as_dict()
    first, second = found.opening.basis, found.closing.basis
    head = (
        format_instant(first.valid_at), format_instant(first.known_at), first.horizon,
        answer["period"]["name"], answer["measure"],
    )  # fmt: skip
    for group in answer["groups"] or [{"key": {}, **answer}]:
        keys = key_cells(group["key"].values())
        for place, line in _lines(group):
            yield (
                *head, *keys, place, line["step"], _kind(line["step"]),
                *amount_cells(Decimal(line["amount"])), answer["currency"], line["deals"],
                line.get("changes"), line.get("restated"), *basis_cells(second),
            )  # fmt: skip


def _lines(group: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    opening, closing = ({"step": end, **group[end]} for end in ("opening", "closing"))
    for line in (opening, *group["steps"], closing):
        yield LINES.index(line["step"]), line


def _kind(line: str) -> str:
    return line if line in KINDS else "step"


def first_basis_of(row: Row, second: Basis) -> Basis:
    """The first basis of a bridge, from a key of its rows.

    Args:
        row: the cells of `FROM`.
        second: the second basis.

    Raises:
        ValueError, TypeError: they are none.
    """
    valid_at, known_at = (datetime.fromisoformat(str(cell)) for cell in row[:2])
    if valid_at.tzinfo is None or known_at.tzinfo is None or not isinstance(row[2], int):
        raise ValueError(row)
    return Basis(valid_at, known_at, row[2], second.witnessed_only, second.under)


def _made_elsewhere(_book: Book, _wanted: Wanted) -> Iterator[Row]:
    raise AssertionError("a bridge has two books: see bridge_rows")


BRIDGES = Table(
    "bridges",
    "bridge_rows",
    "A line of a bridge from one basis to another: the opening, a step or the closing, in a group.",
    columns=(
        Column(
            "from_valid_at", Kind.DATETIME, "Valid time of the first basis.", required=True
        ),
        Column(
            "from_known_at", Kind.DATETIME, "Knowledge time of the first basis.", required=True
        ),
        Column(
            "from_position", Kind.INT,
            "The last position of the log that the first basis takes into account.", required=True,
        ),
        Column("period", Kind.STRING, "The fiscal period.", required=True),
        Column("measure", Kind.STRING, f"{', '.join(Measure)}.", required=True),
        *KEY_COLUMNS,
        Column(
            "line", Kind.INT, "The place of the step in every bridge: 0 is the opening.",
            required=True,
        ),
        Column("step", Kind.STRING, f"{', '.join(LINES)}.", required=True),
        Column("kind", Kind.STRING, f"{', '.join(KINDS)}.", required=True),
        Column(
            "amount", Kind.FLOAT,
            "In the reporting currency, as a number for charts; of a step signed, so that opening "
            "and steps add up to the closing.",
            Role.SUM, required=True, exact="amount_exact", currency="currency", alike=("kind",),
        ),
        Column(
            "amount_exact", Kind.STRING, "The same as exact decimal text.", required=True
        ),
        Column("currency", Kind.STRING, "The reporting currency; null without one."),
        Column(
            "deals", Kind.INT,
            "How many deals; of a step, those that came in less those that left.",
            Role.SUM, required=True, alike=("kind",),
        ),
        Column("changes", Kind.INT, "Of a step: how many changes of deals.", Role.SUM),
        Column(
            "restated", Kind.INT,
            "Of a step: how many of the changes nobody could have seen at the time.", Role.SUM,
        ),
    ),
    key=(*FROM, "key_1", "key_2", "key_3", "key_4", "line"),
    filters=(
        Filter(
            "step", "step", Test.IS, Kind.STRING, f"Only this line: {', '.join(LINES)}.", LINES
        ),
        Filter(
            "steps", "step", Test.ANY_OF, Kind.STRING,
            "Only these lines, by commas: opening,won,lost,closing.",
        ),
        Filter(
            "min_changes", "changes", Test.AT_LEAST, Kind.INT,
            "Only steps of so many changes of deals or more.",
        ),
        *KEY_FILTERS,
    ),
    options=(
        Option("from", Kind.STRING, "The first time, as known then."),
        Option("to", Kind.STRING, "The second time, as known then."),
        Option("known_at", Kind.STRING, "Both times as known then instead."),
        Option(
            "to_known_at", Kind.STRING, 'The second time as known then; "now" is hindsight.'
        ),
        Option(
            "period", Kind.STRING,
            "A fiscal period: 2026, 2026-Q1 or 2026-03; by default the quarter that holds the "
            "second time.",
        ),
        Option("measure", Kind.STRING, f"{', '.join(Measure)}; by default claimed."),
        Option(
            "group_by", Kind.STRING,
            "At most four dimensions by commas: owner, manager, team, category, currency.",
        ),
    ),
    make=_made_elsewhere,
)  # fmt: skip
