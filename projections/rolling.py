"""Making the openings of a side that is being rebuilt, on all cores.

Law: a month is rolled whole, in one transaction. Who rolls which month is settled before anybody
begins, so none is rolled twice; what was not rolled when somebody was stopped is due again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from ledger.domain.times import Instant
from projections import sessions
from projections.tables.openings import Due, roll_month
from projections.tables.sides import Side
from projections.workers import Workers, parent_lives, work


class Share(NamedTuple):
    """Months that one process rolls.

    Args:
        conninfo: the database.
        side: onto which side.
        until: no opening is made after this instant.
        due: the months.
    """

    conninfo: str
    side: Side
    until: Instant
    due: Sequence[Due]


def roll_months(share: Share, go_on: Callable[[], bool]) -> None:
    """Roll months until none is left.

    Args:
        share: which.
        go_on: asked before each month.

    Raises:
        psycopg.OperationalError: the database went away.
    """
    with sessions.writing(share.conninfo) as connection:
        for month in share.due:
            if not go_on():
                return
            with connection.transaction():
                roll_month(connection, share.side, month, share.until)


def roll_beside(share: Share, count: int) -> Workers:
    """Processes that roll months.

    Args:
        share: all of them; neighbours, which are about as large, go to different processes.
        count: how many processes.
    """
    parts = ([tuple(month) for month in share.due[number::count]] for number in range(count))
    jobs = [{**share._asdict(), "due": part} for part in parts if part]
    return Workers("projections.rolling", jobs)


def _roll(said: dict[str, Any]) -> None:
    due = [
        Due(date.fromisoformat(month), datetime.fromisoformat(since), accounts, zone)
        for month, since, accounts, zone in said["due"]
    ]
    until = datetime.fromisoformat(said["until"])
    roll_months(Share(said["conninfo"], Side(said["side"]), until, due), parent_lives)


if __name__ == "__main__":
    work(_roll)
