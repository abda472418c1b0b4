"""Rows of the forecast along a line of days: one for each day, group, measure and category.

Law: a row's basis is that of its point, so that the forecast asked there gives the same amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from ledger.domain.errors import InvalidInput
from projections.book import Book
from projections.forecast import CATEGORIES, DEAL_MEASURES, MEASURES
from projections.rows.definition import (
    Cell,
    Column,
    Filter,
    Kind,
    Option,
    Role,
    Row,
    Table,
    Test,
    Wanted,
    names_in,
)
from projections.rows.telling import KEY_COLUMNS, KEY_FILTERS, amount_cells, key_cells
from projections.series import Axis, Every, series


def _rows(book: Book, wanted: Wanted) -> Iterator[Row]:
    asked = wanted.options
    period = asked.get("period")
    answer = series(
        book,
        date.fromisoformat(str(asked["from"])),
        date.fromisoformat(str(asked["to"])),
        _every(asked.get("every")),
        period=None if period is None else str(period),
        group_by=tuple(names_in(str(asked.get("group_by") or ""))),
        measures=names_in(str(asked.get("measures") or "")) or DEAL_MEASURES,
        axis=Axis.HINDSIGHT if asked.get("hindsight") else Axis.AS_KNOWN_THEN,
    )
    book.check_known(answer["group_by"], (tuple(line["key"].values()) for line in answer["lines"]))
    basis, points = answer["basis"], answer["points"]
    for line in sorted(answer["lines"], key=_place):  # each is in the order of its days
        head, tail = key_cells(line["key"].values()), (line["measure"], line["category"])
        for index, point in enumerate(points):
            yield (
                point["day"], point["period"], *head, *tail,
                *amount_cells(Decimal(line["amounts"][index])), point["currency"],
                None if line["deals"] is None else line["deals"][index],
                point["valid_at"], point["known_at"], basis["horizon"], basis["rules"],
            )  # fmt: skip


def _place(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where a line stands in the order of the key; nulls come last."""
    keys = [(key is None, key or "") for key in key_cells(line["key"].values())]
    return (*keys, line["measure"], line["category"])


def _every(spelt: Cell) -> Every:
    try:
        return Every.WEEK if spelt is None else Every(str(spelt).lower())
    except ValueError:
        raise InvalidInput(
            "invalid-argument",
            f"{spelt!r} is not how often there is a point",
            where="every",
            hint=f"it is one of {', '.join(Every)}",
        ) from None


POINTS = Table(
    "points",
    "forecast_series",
    "The forecast at the end of a day: a measure and a category, in a group.",
    columns=(
        Column("day", Kind.DATE, "A day in the reporting time zone.", required=True),
        Column("period", Kind.STRING, "The fiscal period that it is the forecast of.",
               required=True),
        *KEY_COLUMNS,
        Column("measure", Kind.STRING, f"{', '.join(MEASURES)}.", required=True),
        Column("category", Kind.STRING, f"{', '.join(CATEGORIES)}.", required=True),
        Column(
            "amount", Kind.FLOAT,
            "In the reporting currency, as a number for charts; it is what holds that day, and "
            "adds up over groups and categories, never over days or measures.",
            Role.MEAN, required=True, exact="amount_exact", currency="currency",
            alike=("measure",),
        ),
        Column("amount_exact", Kind.STRING, "The same as exact decimal text.", required=True),
        Column("currency", Kind.STRING, "The reporting currency of the day; null without one."),
        Column(
            "deals", Kind.INT, "How many deals that day; null for called and adjusted.", Role.MEAN,
            alike=("measure",),
        ),
    ),
    key=("key_1", "key_2", "key_3", "key_4", "measure", "category", "day"),
    filters=(
        Filter(
            "category", "category", Test.IS, Kind.STRING,
            f"Only this category: {', '.join(CATEGORIES)}.", CATEGORIES,
        ),
        *KEY_FILTERS,
    ),
    options=(
        Option("from", Kind.DATE, "The first day, a calendar date."),
        Option("to", Kind.DATE, "The last day, a calendar date; it is always a point."),
        Option(
            "every", Kind.STRING,
            "How often there is a point: at the end of every day, week (its Sunday), month or "
            "fiscal quarter; by default week.",
        ),
        Option(
            "period", Kind.STRING,
            "A fiscal period; by default the quarter that holds each day.",
        ),
        Option(
            "group_by", Kind.STRING,
            "At most four dimensions by commas: owner, manager, team, stage, gate, category, "
            "currency, account, outcome, or one of your own such as segment.",
        ),
        Option(
            "measures", Kind.STRING,
            f"Of {', '.join(MEASURES)}, by commas; by default those of deals.",
        ),
        Option(
            "hindsight", Kind.BOOLEAN,
            "All points as known at knownAt, instead of each as known then.",
        ),
    ),
    make=_rows,
    timeless=True,
)  # fmt: skip
