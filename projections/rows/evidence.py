"""Rows of evidence: what buyers did or said, as it counts at the basis.

Law: a piece that was retracted is not there, one that was corrected is as corrected, and one that
had not happened by `valid_at` is not there yet; eventRows has all of them as they were recorded.
Evidence on an account belongs to no single deal: its rows name the account alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ledger.domain.deal import CLAIM_TYPES
from ledger.domain.events import (
    Event,
    EvidenceRecorded,
    cause_of,
    stream_category,
    stream_id,
    stream_name,
)
from ledger.domain.history import effective
from projections.book import Book
from projections.fold.claims import claimed_deal
from projections.rows.definition import (
    Column,
    Filter,
    Kind,
    Row,
    Table,
    Test,
    Wanted,
    basis_cells,
)
from projections.rows.telling import DEAL_COLUMNS, DEAL_FILTERS, Teller

_STANCES = ("supports", "contradicts")
_KINDS = ("meeting", "call", "email", "document", "crm", "other")
_NOT_REQUIRED = tuple(column._replace(required=False) for column in DEAL_COLUMNS)
_TYPES = CLAIM_TYPES | {EvidenceRecorded.type}


def _rows(book: Book, wanted: Wanted) -> Iterator[Row]:
    teller, basis = Teller(book), basis_cells(book.basis)
    accounts = book.accounts_shown
    for stream, events in _streams(book, wanted):
        of_account = stream_category(stream) == "account"
        if of_account and accounts is not None and stream_id(stream) not in accounts:
            continue
        cells = _of_stream(book, teller, stream, events)
        if cells is None:
            continue
        pieces = [
            event
            for event in effective(events, book.valid_at)
            if event["type"] == EvidenceRecorded.type
        ]
        for event in sorted(pieces, key=lambda event: event["position"]):
            yield (*cells, *_piece(event), *basis)


def _streams(book: Book, wanted: Wanted) -> Iterator[tuple[str, list[Event]]]:
    first = None if wanted.after is None else str(wanted.after[0])
    deal = wanted.hints.get("deal")
    if deal is not None:
        return book.streams("deal", _TYPES, first=stream_name("deal", str(deal)), only=True)
    return chain(
        book.streams("account", {EvidenceRecorded.type}, first=first),
        book.streams("deal", _TYPES, first=first),
    )


def _of_stream(book: Book, teller: Teller, stream: str, events: list[Event]) -> Row | None:
    """The cells of the deal or account that the evidence is on; None for a deal not in the book."""
    if stream_category(stream) == "account":
        none = (None,) * (len(DEAL_COLUMNS) - 3)
        return (stream, None, None, stream_id(stream), *none)
    deal = claimed_deal(stream_id(stream), events, book.valid_at)
    return None if deal is None else (stream, *teller.of_deal(deal))


def _piece(event: Event) -> Row:
    payload, source = event["payload"], event["source"]
    return (
        event["position"],
        event["event_id"],
        payload["criterion"],
        payload["stance"],
        payload["source_kind"],
        payload.get("said_by"),
        payload.get("quote"),
        payload.get("link"),
        payload.get("sha256"),
        event["occurred_at"],
        event["known_at"],
        event["recorded_at"],
        event["witnessed"],
        event["actor"],
        source["system"],
        source.get("record"),
        cause_of(event) if "corrected_by" in event else None,
    )


EVIDENCE = Table(
    "evidence",
    "evidence_rows",
    "A piece of buyer evidence as it counts at the basis, on a deal or on an account.",
    columns=(
        Column(
            "stream", Kind.ID, "What it is on: deal: or account: and its id.", required=True
        ),
        *_NOT_REQUIRED,
        Column("position", Kind.INT, "The event's place in the log.", required=True),
        Column("event_id", Kind.ID, "The event's UUID.", required=True),
        Column("criterion", Kind.STRING, "The exit criterion that it is about.", required=True),
        Column("stance", Kind.STRING, "supports or contradicts.", required=True),
        Column(
            "source_kind", Kind.STRING, "meeting, call, email, document, crm or other.",
            required=True,
        ),
        Column(
            "said_by", Kind.STRING,
            "The id of the stakeholder who said it; without one it is only a claim.",
        ),
        Column("quote", Kind.STRING, "The buyer's words."),
        Column("link", Kind.STRING, "Where the artefact is."),
        Column("sha256", Kind.STRING, "The SHA-256 of the artefact."),
        Column("occurred_at", Kind.DATETIME, "When it was said or done.", required=True),
        Column("known_at", Kind.DATETIME, "When the organisation knew.", required=True),
        Column("recorded_at", Kind.DATETIME, "When this ledger wrote it.", required=True),
        Column(
            "witnessed", Kind.BOOLEAN, "False for what a source attested.", required=True
        ),
        Column("actor", Kind.STRING, "Who recorded it.", required=True),
        Column("source_system", Kind.STRING, "The system that it came from.", required=True),
        Column("source_record", Kind.STRING, "The record there."),
        Column(
            "corrected_by", Kind.INT, "The position of the correction in force, where there is one."
        ),
    ),
    key=("stream", "position"),
    filters=(
        *DEAL_FILTERS,
        Filter("criterion", "criterion", Test.IS, Kind.STRING, "Only on this criterion."),
        Filter(
            "stance", "stance", Test.IS, Kind.STRING, "supports or contradicts.", _STANCES
        ),
        Filter(
            "source_kind", "source_kind", Test.IS, Kind.STRING,
            f"Only from this kind of source: {', '.join(_KINDS)}.", _KINDS,
        ),
        Filter("said_by", "said_by", Test.IS, Kind.STRING, "Only of this stakeholder, by id."),
        Filter(
            "occurred_from", "occurred_at", Test.AT_LEAST, Kind.DATETIME,
            "Only what was said at this instant or later.",
        ),
        Filter(
            "occurred_until", "occurred_at", Test.AT_MOST, Kind.DATETIME,
            "Only what was said until this instant.",
        ),
    ),
    make=_rows,
)  # fmt: skip
