"""The timeline of a deal: its events on both time axes, and what became of each.

Law: nothing is left out. A retracted or corrected event stays in the list and says so.
"""

from __future__ import annotations

from typing import Any

from ledger.domain.events import Event
from ledger.domain.history import ACTS, acts_in_force
from projections.book import Book
from projections.summary import summary


def timeline(book: Book, deal_id: str) -> dict[str, Any]:
    """All events of a deal that the basis sees.

    Args:
        book: the book at the basis.
        deal_id: the deal's own id.

    Returns:
        JSON: `basis`, `deal`, and `events` in the order in which they became known.

    Raises:
        NotFound: `unknown-deal`.
    """
    events = book.events(deal_id)
    acts = acts_in_force(event for event in events if event["type"] in ACTS)
    fate = {act["payload"]["target"]: act for act in acts}
    ordered = sorted(events, key=lambda event: (event["known_at"], event["position"]))
    return {
        "basis": book.basis.as_dict(),
        "deal": deal_id,
        "events": [_entry(event, fate.get(event["event_id"]), book.valid_at) for event in ordered],
    }


def event_facts(event: Event) -> dict[str, Any]:
    """An event as answers list it: its place, its times, who and what."""
    return {
        "position": event["position"],
        "event_id": event["event_id"],
        "type": event["type"],
        "occurred_at": event["occurred_at"],
        "known_at": event["known_at"],
        "recorded_at": event["recorded_at"],
        "witnessed": event["witnessed"],
        "actor": event["actor"],
        "source": dict(event["source"]),
        "summary": summary(event),
    }


def _entry(event: Event, act: Event | None, valid_at: str) -> dict[str, Any]:
    status = "counts"
    if event["occurred_at"] > valid_at and event["type"] not in ACTS:
        status = "later"
    if act is not None:
        status = "retracted" if act["type"] == "event-retracted" else "corrected"
    return {
        **event_facts(event),
        "status": status,
        "acted_on_by": None if act is None else act["position"],
        "payload": event["payload"],
    }
