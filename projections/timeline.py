"""The timeline of a deal: its events on both time axes, and what became of each.

Law: nothing is left out. A retracted or corrected event stays in the list and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.domain.events import Event, EventRetracted
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
    acts = acts_on(events)
    ordered = sorted(events, key=lambda event: (event["known_at"], event["position"]))
    return {
        "basis": book.basis.as_dict(),
        "deal": deal_id,
        "events": [_entry(event, acts, book.valid_at) for event in ordered],
    }


def acts_on(events: Iterable[Event]) -> Mapping[str, Event]:
    """By event id, the act in force that made an event what it is; the last known of several.

    Args:
        events: those listed, with all acts on them.
    """
    acts = acts_in_force(event for event in events if event["type"] in ACTS)
    return {act["payload"]["target"]: act for act in acts}


def status_of(event: Event, acts: Mapping[str, Event], valid_at: str) -> str:
    """What became of an event: `counts`, `retracted`, `corrected`, or `later` than the basis.

    Args:
        event: as recorded.
        acts: see `acts_on`.
        valid_at: valid time of the basis, in the one spelling; acts hold whenever they occurred.
    """
    act = acts.get(event["event_id"])
    if act is not None:
        return "retracted" if act["type"] == EventRetracted.type else "corrected"
    later = event["occurred_at"] > valid_at and event["type"] not in ACTS
    return "later" if later else "counts"


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


def _entry(event: Event, acts: Mapping[str, Event], valid_at: str) -> dict[str, Any]:
    act = acts.get(event["event_id"])
    return {
        **event_facts(event),
        "status": status_of(event, acts, valid_at),
        "acted_on_by": None if act is None else act["position"],
        "payload": event["payload"],
    }
