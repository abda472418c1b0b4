"""The evidence on a deal, piece by piece, as it counts at the basis.

Law: evidence on the deal's account stands among that of the deal, since it counts for all deals of
the account. A piece that was retracted is not there, one that was corrected is as corrected, and
one that had not happened by `valid_at` is not there yet; a timeline has all of them.
"""

from __future__ import annotations

from typing import Any

from ledger.domain.events import Event, EvidenceRecorded, cause_of, stream_category
from ledger.domain.history import ORDER, effective
from projections.book import Book
from projections.timeline import event_facts

_FIELDS = ("criterion", "stance", "source_kind", "said_by", "quote", "link", "sha256")


def evidence_of(book: Book, deal_id: str) -> list[dict[str, Any]]:
    """The evidence on a deal and on its account, in the order in which it happened.

    Args:
        book: the book at the basis.
        deal_id: the deal's own id.

    Returns:
        JSON: of each piece `event`, `criterion`, `stance`, `source_kind`, `said_by`, `quote`,
        `link`, `sha256`, `on` (deal or account), and `corrected_by`: the position of the correction
        in force.

    Raises:
        NotFound: `unknown-deal`.
    """
    deal = book.deal(deal_id)
    account = deal.judge.account_evidence.get(deal.claimed.account or "", ())
    pieces = [
        event
        for recorded in (deal.events, account)
        for event in effective(recorded, book.valid_at)
        if event["type"] == EvidenceRecorded.type
    ]
    return [_piece(event) for event in sorted(pieces, key=ORDER)]


def _piece(event: Event) -> dict[str, Any]:
    return {
        "event": event_facts(event),
        **{name: event["payload"].get(name) for name in _FIELDS},
        "on": stream_category(event["stream"]),
        "corrected_by": cause_of(event) if "corrected_by" in event else None,
    }
