"""Rows of gates and of exit criteria: what each is at the basis, for every deal in the book."""

from __future__ import annotations

from collections.abc import Iterator

from projections.book import Book
from projections.explain import criterion_sentence, gate_sentence
from projections.fold.criterion import Status
from projections.fold.gates import CriterionState, GateState, GateStatus, Qualification
from projections.fold.rulebook import Rulebook
from projections.forecast import CATEGORIES
from projections.qualified import BookDeal
from projections.rows.deals import days_between
from projections.rows.definition import (
    Column,
    Filter,
    Kind,
    Role,
    Row,
    Table,
    Test,
    Wanted,
    basis_cells,
)
from projections.rows.telling import (
    DEAL_COLUMNS,
    DEAL_FILTERS,
    Teller,
    deals_of,
    listed,
    positions,
)

_GATE_STATUSES = tuple(str(each) for each in GateStatus)
_CRITERION_STATUSES = tuple(str(each) for each in Status)

_EVIDENCED = (
    Column(
        "evidenced", Kind.STRING,
        "The forecast category that the deal's evidence supports; omitted is out.", required=True,
    ),
    Column(
        "playbook", Kind.STRING, "The playbook version that judges, key@version.", required=True
    ),
    Column("journey_stage", Kind.STRING, "The stage of the buyer's journey.", required=True),
    Column("gate", Kind.STRING, "The gate's key.", required=True),
    Column("gate_name", Kind.STRING, "What the gate is called.", required=True),
    Column(
        "gate_number", Kind.INT, "Its place among the playbook's gates: 1, 2, 3, ...", required=True
    ),
)  # fmt: skip
_SHARED_FILTERS = (
    *DEAL_FILTERS,
    Filter("gate", "gate", Test.IS, Kind.STRING, "Only this gate, by its key."),
    Filter(
        "evidenced", "evidenced", Test.IS, Kind.STRING,
        f"Only deals whose evidence supports this category: {', '.join(CATEGORIES)}.", CATEGORIES,
    ),
)  # fmt: skip


def _judged(book: Book, wanted: Wanted) -> Iterator[tuple[BookDeal, Qualification, Rulebook, Row]]:
    """The deals that a playbook judges, with the cells that say so."""
    teller = Teller(book)
    for deal in deals_of(book, wanted):
        found = deal.qualification
        if found.rulebook is not None:
            yield deal, found, found.rulebook, teller.of_deal(deal.claimed)


def _evidenced(deal: BookDeal, rulebook: Rulebook, gate: str) -> Row:
    number = rulebook.gate_index[gate]
    published = rulebook.gates[number]
    return (
        str(deal.verdict.category), rulebook.label, published.stage, gate, published.name,
        number + 1,
    )  # fmt: skip


# --- gates --------------------------------------------------------------------------------------


def _gate_rows(book: Book, wanted: Wanted) -> Iterator[Row]:
    basis = basis_cells(book.basis)
    for deal, found, rulebook, cells in _judged(book, wanted):
        for gate in found.gates:
            yield (
                *cells,
                *_evidenced(deal, rulebook, gate.key),
                *_gate(book, found, gate),
                *basis,
            )


def _gate(book: Book, deal: Qualification, gate: GateState) -> Row:
    return (
        str(gate.status),
        gate.since,
        days_between(gate.since, book.valid_at),
        deal.stands_at == gate.key,
        gate.passes,
        gate.regressions,
        len(gate.missing),
        listed(gate.missing),
        gate.optional_missing,
        listed(gate.too_old),
        gate_sentence(gate, deal),
        positions(gate.causes),
    )


GATES = Table(
    "gates",
    "gate_rows",
    "A gate of a deal at the basis; deals that no playbook judges have none.",
    columns=(
        *DEAL_COLUMNS,
        *_EVIDENCED,
        Column(
            "status", Kind.STRING,
            "pending, passed, or regressed (it had been passed, and is not now).", required=True,
        ),
        Column("since", Kind.DATETIME, "Since when it has been so.", required=True),
        Column("days", Kind.INT, "Full days that it has been so.", Role.MEAN, required=True),
        Column(
            "stands_here", Kind.BOOLEAN, "Whether the deal really stands at this gate.",
            required=True,
        ),
        Column("passes", Kind.INT, "How often it was passed.", Role.SUM, required=True),
        Column("regressions", Kind.INT, "How often it was lost again.", Role.SUM, required=True),
        Column(
            "missing_count", Kind.INT, "How many mandatory criteria do not hold.", Role.SUM,
            required=True,
        ),
        Column(
            "missing", Kind.STRING,
            "The keys of the mandatory criteria that do not hold, separated by commas.",
        ),
        Column(
            "optional_missing", Kind.INT, "How many more optional criteria are wanted.", Role.SUM,
            required=True,
        ),
        Column(
            "too_old", Kind.STRING,
            "The keys of criteria that hold and are too old for the next gate.",
        ),
        Column("why", Kind.STRING, "Why it is so, in a sentence.", required=True),
        Column("because", Kind.STRING, "The positions of the events behind it."),
    ),
    key=("deal", "gate_number"),
    filters=(
        *_SHARED_FILTERS,
        Filter(
            "status", "status", Test.IS, Kind.STRING,
            f"Only gates of this status: {', '.join(_GATE_STATUSES)}.", _GATE_STATUSES,
        ),
        Filter(
            "stands_here", "stands_here", Test.IS, Kind.BOOLEAN,
            "Only gates at which the deal really stands, or only others.",
        ),
    ),
    make=_gate_rows,
)  # fmt: skip


# --- criteria -----------------------------------------------------------------------------------


def _criterion_rows(book: Book, wanted: Wanted) -> Iterator[Row]:
    basis = basis_cells(book.basis)
    for deal, found, rulebook, cells in _judged(book, wanted):
        for number, state in enumerate(found.criteria, 1):
            yield (
                *cells,
                *_evidenced(deal, rulebook, state.gate),
                *_criterion(rulebook, state, number),
                *basis,
            )


def _criterion(rulebook: Rulebook, state: CriterionState, number: int) -> Row:
    criterion, judgement = rulebook.criteria[state.key].criterion, state.judgement
    return (
        state.key,
        number,
        criterion.question,
        criterion.layer,
        criterion.mandatory,
        criterion.answers,
        criterion.said_by_role,
        str(judgement.status),
        judgement.holds,
        str(judgement.rule),
        state.since,
        judgement.lapses_at,
        judgement.said_by,
        criterion_sentence(state, rulebook),
        positions(judgement.causes),
    )


CRITERIA = Table(
    "criteria",
    "criterion_rows",
    "An exit criterion of a deal at the basis; deals that no playbook judges have none.",
    columns=(
        *DEAL_COLUMNS,
        *_EVIDENCED,
        Column("criterion", Kind.STRING, "The criterion's key.", required=True),
        Column(
            "criterion_number", Kind.INT, "Its place among the playbook's criteria: 1, 2, 3, ...",
            required=True,
        ),
        Column("question", Kind.STRING, "The question, as asked in a debrief.", required=True),
        Column(
            "layer", Kind.STRING, "organization, opportunity or stakeholder.", required=True
        ),
        Column(
            "mandatory", Kind.BOOLEAN, "Whether the gate is not passed without it.", required=True
        ),
        Column("answers", Kind.STRING, "Which of the buyer's own questions it answers."),
        Column("said_by_role", Kind.STRING, "The role that must have said it."),
        Column(
            "status", Kind.STRING, "unmet, met, stale, contradicted or waived.", required=True
        ),
        Column("holds", Kind.BOOLEAN, "Whether it counts as fulfilled.", required=True),
        Column("rule", Kind.STRING, "The rule that says so; a stable name.", required=True),
        Column("since", Kind.DATETIME, "Since when it has had this status.", required=True),
        Column("lapses_at", Kind.DATETIME, "When it ceases to hold if nothing happens."),
        Column("said_by", Kind.STRING, "The id of the stakeholder on whose word it rests."),
        Column("why", Kind.STRING, "Why it is so, in a sentence.", required=True),
        Column("because", Kind.STRING, "The positions of the events behind it."),
    ),
    key=("deal", "criterion_number"),
    filters=(
        *_SHARED_FILTERS,
        Filter("criterion", "criterion", Test.IS, Kind.STRING, "Only this criterion, by its key."),
        Filter(
            "status", "status", Test.IS, Kind.STRING,
            f"Only criteria of this status: {', '.join(_CRITERION_STATUSES)}.",
            _CRITERION_STATUSES,
        ),
        Filter("mandatory", "mandatory", Test.IS, Kind.BOOLEAN, "Only mandatory, or only others."),
        Filter(
            "lapses_from", "lapses_at", Test.AT_LEAST, Kind.DATETIME,
            "Only criteria that lapse at this instant or later.",
        ),
        Filter(
            "lapses_until", "lapses_at", Test.AT_MOST, Kind.DATETIME,
            "Only criteria that lapse until this instant.",
        ),
    ),
    make=_criterion_rows,
)  # fmt: skip
