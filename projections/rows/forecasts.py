"""Rows of a forecast: one for each group, measure and category, an amount and a count of deals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from ledger.domain.money import conversion_rate
from projections.book import Book
from projections.fold.people import Organisation
from projections.forecast import CATEGORIES
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
    names_in,
)
from projections.rows.telling import amount_cells, key_cells

_MEASURES = ("adjusted", "called", "claimed", "closed", "evidenced", "weighted")


def _rows(book: Book, wanted: Wanted) -> Iterator[Row]:
    period, group_by = wanted.options.get("period"), wanted.options.get("group_by")
    dimensions = names_in(str(group_by or ""))
    as_is = bool(wanted.options.get("as_is"))
    forecast = book.forecast(
        book.period(None if period is None else str(period)),
        dimensions,
        Organisation.AS_IS if as_is else Organisation.AS_WAS,
    )
    book.check_known(dimensions, forecast.tally.groups())
    answer = forecast.as_dict()
    groups = answer["groups"] if dimensions else [{"key": {}, "measures": answer["measures"]}]
    basis = basis_cells(book.basis)
    facts = answer["period"]
    head = (facts["name"], facts["first_day"], facts["last_day"], ",".join(dimensions) or None)
    for group in groups:
        keys = key_cells(group["key"].values())
        for measure, category, cell in _cells(group["measures"]):
            yield (
                *head, *keys, measure, category,
                *amount_cells(Decimal(cell["amount"])), answer["currency"], cell["deals"],
                _is_complete(book, cell), *basis,
            )  # fmt: skip


def _cells(measures: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for measure in _MEASURES:
        for category in sorted(measures[measure] or ()):
            yield measure, category, measures[measure][category]


def _is_complete(book: Book, cell: Mapping[str, Any]) -> bool:
    """Whether every amount of a cell could be converted."""
    to, rates = book.settings.reporting_currency, book.settings.rates
    return all(
        not Decimal(amount) or (to is not None and conversion_rate(currency, to, rates) is not None)
        for currency, amount in cell["by_currency"].items()
    )


FORECASTS = Table(
    "forecast",
    "forecast_rows",
    "A cell of the forecast of a fiscal period at the basis: a measure and a category, in a group.",
    columns=(
        Column("period", Kind.STRING, "The fiscal period.", required=True),
        Column("period_first_day", Kind.DATE, "Its first day.", required=True),
        Column("period_last_day", Kind.DATE, "Its last day.", required=True),
        Column("group_by", Kind.STRING, "The dimensions that it is grouped by, by commas."),
        Column("key_1", Kind.STRING, "The value of the first of these dimensions."),
        Column("key_2", Kind.STRING, "The value of the second."),
        Column("key_3", Kind.STRING, "The value of the third."),
        Column("key_4", Kind.STRING, "The value of the fourth."),
        Column("measure", Kind.STRING, f"{', '.join(_MEASURES)}.", required=True),
        Column("category", Kind.STRING, f"{', '.join(CATEGORIES)}.", required=True),
        Column(
            "amount", Kind.FLOAT, "In the reporting currency, as a number for charts.", Role.SUM,
            required=True, exact="amount_exact", currency="currency", alike=("measure",),
        ),
        Column(
            "amount_exact", Kind.STRING,
            "The same as exact decimal text, rounded once, half-even: a sum of cells, or of rows "
            "of deals, each of them rounded, may miss it by some cents.",
            required=True,
        ),
        Column("currency", Kind.STRING, "The reporting currency; null where none is known yet."),
        Column(
            "deals", Kind.INT,
            "How many deals are in it, those without an amount too; null for called and adjusted.",
            Role.SUM, alike=("measure",),
        ),
        Column(
            "complete", Kind.BOOLEAN,
            "False where an amount has no rate into the reporting currency and is not in the sum.",
            required=True,
        ),
    ),
    key=("key_1", "key_2", "key_3", "key_4", "measure", "category"),
    filters=(
        Filter(
            "measure", "measure", Test.IS, Kind.STRING,
            f"Only this measure: {', '.join(_MEASURES)}.", _MEASURES,
        ),
        Filter(
            "category", "category", Test.IS, Kind.STRING,
            f"Only this category: {', '.join(CATEGORIES)}.", CATEGORIES,
        ),
    ),
    options=(
        Option(
            "period", Kind.STRING,
            "A fiscal period: 2026, 2026-Q1 or 2026-03; by default the quarter that holds the "
            "basis.",
        ),
        Option(
            "group_by", Kind.STRING,
            "At most four dimensions by commas: owner, manager, team, stage, gate, category, "
            "currency, account, outcome, or one of your own such as segment.",
        ),
        Option(
            "as_is", Kind.BOOLEAN,
            "Group by who reports to whom as it is, instead of as it was at the basis.",
        ),
    ),
    make=_rows,
)  # fmt: skip
