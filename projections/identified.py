"""One event of the log, asked for by its position.

Law: an event is there where the basis sees it and who asks may know of it: of a deal, an account, a
person or a call that the scope does not hold there is nothing, exactly as if it had never been
recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ledger.domain.basis import Basis, everything_known
from ledger.domain.errors import NotFound
from ledger.domain.events import Event, stream_category, stream_id
from projections.book import Book
from projections.fold.people import CHART_TYPES
from projections.timeline import event_facts


def event_at(book: Book, position: int) -> dict[str, Any] | None:
    """The event at a position, as answers list events; None where it is not there.

    Args:
        book: the book at the basis.
        position: its place in the log.
    """
    if not 0 < position <= book.basis.horizon:
        return None
    event = book.causes({position})[position]
    if not any(_sees(basis, event) for basis in _bases(book, event)):
        return None
    return event_facts(event) if _is_in_scope(book, event) else None


def _bases(book: Book, event: Event) -> Iterator[Basis]:
    """The bases at which answers of the book tell of an event of this type."""
    yield book.basis
    if event["type"] == "playbook-published" and book.basis.under is not None:
        yield everything_known(book.basis)
    if event["type"] in CHART_TYPES:
        yield book.as_is.basis


def _sees(basis: Basis, event: Event) -> bool:
    return basis.sees(
        position=event["position"],
        known_at=datetime.fromisoformat(event["known_at"]),
        witnessed=event["witnessed"],
    )


def _is_in_scope(book: Book, event: Event) -> bool:
    subject = stream_id(event["stream"])
    match stream_category(event["stream"]):
        case "deal":
            return _is_of_deal(book, subject, event["position"])
        case "person" if event["type"] not in CHART_TYPES:
            return book.scope.holds(subject) and book.scope.tells_assessments_of(subject)
        case "person":
            return book.scope.holds(subject)
        case "account":
            shown = book.accounts_shown
            return shown is None or subject in shown
        case "period":
            return book.scope.holds(event["payload"].get("person"))
        case "playbook":
            return True
        case _:
            return not book.scope.is_limited


def _is_of_deal(book: Book, deal: str, position: int) -> bool:
    try:
        return any(event["position"] == position for event in book.events(deal))
    except NotFound:
        return False
