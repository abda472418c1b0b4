"""The versions of streams: what the writer of the next command says that they have seen.

Law: the version of a stream at a basis is how many events it had at the horizon, whatever their
times: that is what a command is decided upon. It is told to those who see what the stream is about
as it is at the horizon; of what has passed into other hands, how much happened there is not told,
and of a person not to those who do not see their assessments.
"""

from __future__ import annotations

from collections.abc import Collection

from ledger.domain.errors import NotFound
from ledger.domain.events import stream_category, stream_id
from projections.book import Book


def versions_at(book: Book, streams: Collection[str]) -> dict[str, int | None]:
    """The versions of some streams at a basis.

    Args:
        book: the book at the basis.
        streams: the names of streams that the basis tells of.

    Returns:
        By name: the number of the stream's last event, 0 while it has none; None where it is not
        for the reader to know.
    """
    told = [stream for stream in streams if _is_told(book, stream)]
    found = book.versions(told) if told else {}
    return {each: found.get(each, 0) if each in told else None for each in streams}


def _is_told(book: Book, stream: str) -> bool:
    subject = stream_id(stream)
    match stream_category(stream):
        case "deal":
            return not book.scope.is_limited or _is_theirs(book.as_is, subject)
        case "account":
            shown = book.as_is.accounts_shown if book.scope.is_limited else None
            return shown is None or subject in shown
        case "person":
            return book.as_is.scope.tells_assessments_of(subject)
        case _:
            return True


def _is_theirs(book: Book, deal_id: str) -> bool:
    try:
        book.events(deal_id)
    except NotFound:
        return False
    return True
