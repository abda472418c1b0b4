"""Reading your own writes: no answer is made from a log that has not reached a position.

Law: who knows that something was recorded at a position, and asks for it, is not told of a ledger
without it. A primary holds all that was ever recorded, so a position behind its end is refused at
once: waiting would bring nothing. A standby follows, so there it is waited for, a bounded time and
by a bounded number of questions. How far the read models are plays no part: answers are folded from
the log where the tables lag.
"""

from __future__ import annotations

import threading
from typing import LiteralString

from ledger.domain.errors import Unavailable
from ledger.store.database import Database
from projections.position import times_to_look

SECONDS_MAX = 5.0
"""How long a question waits for a standby."""

WAITING_MAX = 8
"""How many questions wait at once; the others are refused instead, so that threads are left."""

_END: LiteralString = "SELECT size, pg_is_in_recovery() FROM qledger.head"

_waiting = threading.BoundedSemaphore(WAITING_MAX)


def not_reached(position: int, head: int) -> Unavailable:
    """The refusal to answer from a log that ends before a position.

    Args:
        position: the one that must be in it.
        head: where the log ends.
    """
    return Unavailable(
        "position-not-reached",
        f"the log that is read here ends at position {head}, before {position}",
        hint="ask again in a moment, or ask the server that recorded it",
    )


def await_reached(database: Database, position: int, seconds_max: float = SECONDS_MAX) -> int:
    """Wait until the log that is read holds a position, where there is something to wait for.

    Args:
        database: where it is read.
        position: that must be in it.
        seconds_max: how long to wait at most.

    Returns:
        Where the log ends now: the position or behind it.

    Raises:
        Unavailable: `position-not-reached`.
    """
    head, follows = _end(database)
    if head >= position:
        return head
    if not (follows and _waiting.acquire(blocking=False)):
        raise not_reached(position, head)
    try:
        for _time in times_to_look(seconds_max):
            head, _follows = _end(database)
            if head >= position:
                return head
        raise not_reached(position, head)
    finally:
        _waiting.release()


def _end(database: Database) -> tuple[int, bool]:
    """Where the log ends, and whether it is that of a standby."""
    with database.asking() as connection:
        row = connection.execute(_END, prepare=True).fetchone()
    assert row is not None  # noqa: S101 - the head row is always there
    return int(row[0]), bool(row[1])
