"""Rows of deals: what is claimed of each, and what its evidence supports, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ledger.domain.money import Money, minor_units
from projections.book import Book
from projections.explain import verdict_sentence
from projections.fold.gates import GateStatus, MoveKind
from projections.fold.stays import falls
from projections.forecast import CATEGORIES
from projections.qualified import BookDeal
from projections.rows.definition import (
    Column,
    Filter,
    Kind,
    Role,
    Row,
    Source,
    Table,
    Test,
    Wanted,
    basis_cells,
)
from projections.rows.telling import (
    DEAL_COLUMNS,
    DEAL_FILTERS,
    Teller,
    amount_cells,
    deals_of,
)

_CLAIMED = (
    Column("stage", Kind.STRING, "The stage that the CRM claims."),
    Column(
        "amount", Kind.FLOAT, "The claimed amount in its own currency, as a number for charts.",
        Role.SUM, exact="amount_exact", currency="currency",
    ),
    Column("amount_exact", Kind.STRING, "The claimed amount as exact decimal text."),
    Column("currency", Kind.STRING, "The currency of the amount, ISO 4217."),
    Column(
        "reporting_amount", Kind.FLOAT,
        "The claimed amount in the reporting currency, at the rate known and valid at the basis; "
        "null without a rate.",
        Role.SUM, exact="reporting_amount_exact", currency="reporting_currency",
    ),
    Column(
        "reporting_amount_exact", Kind.STRING,
        "The same as exact decimal text, rounded half-even to the minor unit in each row: a sum of "
        "rows may miss a cell of the forecast, which is rounded once. amount_exact adds up "
        "exactly, within a currency.",
    ),
    Column(
        "weighted_amount", Kind.FLOAT,
        "The amount by the weight of the gate where the deal really stands, in the reporting "
        "currency.",
        Role.SUM, exact="weighted_amount_exact", currency="reporting_currency",
    ),
    Column(
        "weighted_amount_exact", Kind.STRING,
        "The same as exact decimal text, rounded half-even to the minor unit in each row, as "
        "reporting_amount_exact is.",
    ),
    Column("reporting_currency", Kind.STRING, "The reporting currency at the basis, ISO 4217."),
    Column("close_date", Kind.DATE, "The close date that the record carries: expected while open."),
    Column(
        "dimensions", Kind.STRING,
        "Your own dimensions as a JSON object, such as segment and region: the deal's, and those "
        "of its account that the deal does not say itself.",
    ),
)  # fmt: skip
_EVIDENCED = (
    Column(
        "evidenced", Kind.STRING,
        "The forecast category that the evidence supports; omitted is out.", required=True,
    ),
    Column(
        "stands_at", Kind.STRING,
        "The key of the gate where the deal really stands; null when all are passed, or where no "
        "playbook judges.",
    ),
    Column(
        "weight_percent", Kind.INT, "The weight of that gate in percent.", Role.MEAN, required=True,
    ),
)  # fmt: skip
_FOLDED = (
    Column(
        "probability", Kind.INT, "The probability in percent that is claimed.", Role.MEAN,
        source=Source.FOLD,
    ),
    Column("opened_at", Kind.DATETIME, "When the deal was opened.", source=Source.FOLD),
    Column("closed_at", Kind.DATETIME, "When it ended; null while open.", source=Source.FOLD),
    Column("buyer_reason", Kind.STRING, "Why it ended, as the buyer says.", source=Source.FOLD),
    Column("seller_reason", Kind.STRING, "Why it ended, as the seller says.", source=Source.FOLD),
    Column(
        "playbook", Kind.STRING, "The playbook version that judges, key@version.",
        source=Source.FOLD,
    ),
    Column(
        "stands_since", Kind.DATETIME, "Since when it has stood at its gate.", source=Source.FOLD,
    ),
    Column(
        "days_at_gate", Kind.INT, "Full days that it has stood there; null once it has ended.",
        Role.MEAN, source=Source.FOLD,
    ),
    Column(
        "gates_passed", Kind.INT, "How many gates are passed now.", Role.MEAN, source=Source.FOLD,
    ),
    Column(
        "regressions", Kind.INT, "How often it fell back by a word against it, while undecided.",
        Role.SUM, source=Source.FOLD,
    ),
    Column(
        "lapses", Kind.INT, "How often it fell back because evidence aged, while undecided.",
        Role.SUM, source=Source.FOLD,
    ),
    Column("loops", Kind.INT, "How often a gate was passed again after it was lost.", Role.SUM,
           source=Source.FOLD),
    Column(
        "findings", Kind.INT, "How many differences there are between claims and evidence.",
        Role.SUM, source=Source.FOLD,
    ),
    Column(
        "next_lapse_at", Kind.DATETIME,
        "When the first criterion that holds now will lapse if nothing happens.",
        source=Source.FOLD,
    ),
    Column("why", Kind.STRING, "Why its amount is in or out, in a sentence.", source=Source.FOLD),
)  # fmt: skip

_OF_GATES = frozenset(
    column.name for column in (*_EVIDENCED, *_FOLDED) if column.name not in {
        "probability", "opened_at", "closed_at", "buyer_reason", "seller_reason",
    }
) | {"weighted_amount", "weighted_amount_exact"}  # fmt: skip
"""The columns for which the gates of a deal must be judged."""


def _rows(book: Book, wanted: Wanted) -> Iterator[Row]:
    teller, basis = Teller(book), basis_cells(book.basis)
    folded, judged = wanted.folded(DEALS), not _OF_GATES.isdisjoint(wanted.columns)
    for deal in deals_of(book, wanted):
        yield (
            *teller.of_deal(deal.claimed),
            *_claimed(teller, deal, weight=deal.verdict.weight_percent if judged else None),
            *(_evidenced(deal) if judged else (None,) * len(_EVIDENCED)),
            *(_folded(book, deal, judged=judged) if folded else (None,) * len(_FOLDED)),
            *basis,
        )


def _claimed(teller: Teller, deal: BookDeal, weight: int | None) -> Row:
    claimed, converter = deal.claimed, teller.converter
    amount: Money | None = claimed.amount
    close_date = claimed.close_date
    return (
        claimed.stage,
        *amount_cells(None if amount is None else amount.amount),
        None if amount is None else amount.currency,
        *amount_cells(converter.reporting(amount)),
        *amount_cells(None if weight is None else converter.reporting(amount, weight)),
        converter.currency,
        None if close_date is None else close_date.isoformat(),
        teller.dimensions(claimed),
    )


def _evidenced(deal: BookDeal) -> Row:
    verdict = deal.verdict
    return (str(verdict.category), verdict.gate, verdict.weight_percent)


def _folded(book: Book, deal: BookDeal, *, judged: bool) -> Row:
    claimed = deal.claimed
    told = tuple(claimed.value(field) for field in (
        "probability", "opened", "closed_at", "buyer_reason", "seller_reason",
    ))  # fmt: skip
    if not judged:
        return (*told, *(None,) * (len(_FOLDED) - len(told)))
    found = deal.qualification
    lapses = [each.judgement.lapses_at for each in found.criteria if each.judgement.holds]
    return (
        *told,
        None if found.rulebook is None else found.rulebook.label,
        found.stands_since,
        days_between(found.stands_since, book.valid_at) if deal.is_open else None,
        sum(gate.status is GateStatus.PASSED for gate in found.gates),
        falls(found, MoveKind.REGRESSED),
        falls(found, MoveKind.LAPSED),
        len(found.loops),
        len(deal.findings(book.calendar)),
        min((each for each in lapses if each is not None), default=None),
        verdict_sentence(deal.verdict, found),
    )


def days_between(start: str, end: str) -> int:
    """Full days from one instant to another, both in the one spelling."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).days


DEALS = Table(
    "deals",
    "deal_rows",
    "A deal at the basis: what is claimed of it, and what its evidence supports.",
    columns=(*DEAL_COLUMNS, *_CLAIMED, *_EVIDENCED, *_FOLDED),
    key=("deal",),
    filters=(
        *DEAL_FILTERS,
        Filter("stage", "stage", Test.IS, Kind.STRING, "Only deals at this claimed stage."),
        Filter(
            "currency", "currency", Test.IS, Kind.STRING,
            "Only amounts in this currency, ISO 4217: USD.", check=minor_units,
        ),
        Filter(
            "evidenced", "evidenced", Test.IS, Kind.STRING,
            f"Only deals whose evidence supports this category: {', '.join(CATEGORIES)}.",
            CATEGORIES,
        ),
        Filter(
            "stands_at", "stands_at", Test.IS, Kind.STRING,
            "Only deals that really stand at this gate, by its key.",
        ),
        Filter(
            "amount_from", "reporting_amount", Test.AT_LEAST, Kind.FLOAT,
            "Only deals of at least so much in the reporting currency.",
        ),
        Filter(
            "amount_until", "reporting_amount", Test.AT_MOST, Kind.FLOAT,
            "Only deals of at most so much in the reporting currency.",
        ),
        Filter(
            "dimension", "dimensions", Test.HAS_DIMENSION, Kind.STRING,
            "Only deals with this value of one of your own dimensions: segment=enterprise.",
        ),
    ),
    make=_rows,
)  # fmt: skip
