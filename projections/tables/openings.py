"""Opening balances of the forecast journal: so that a forecast is a balance and the entries since.

Law: an opening of a month at an instant is the sum of all entries up to and at that instant, by
account (`projections.fold.accounts`), exactly. Any opening may be missing: the balance before it
and the entries since give the same. It stands at a midnight UTC, and one is made when enough
entries touched the month since the last one: one for `HOLDERS_PER_ENTRY` holders that it has, at
least `ENTRIES_PER_OPENING_MIN`. So a forecast reads few entries, and history is not kept twice.
Beside its balance an opening keeps what moved by day since the opening before it, in the reporting
time zone (`projections.fold.moves`): so a line of many days reads few entries too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date
from typing import LiteralString, NamedTuple
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.domain.times import Instant
from projections.fold.accounts import Balance, Posting
from projections.fold.moves import Moved, days_beside, packed
from projections.tables.sides import Side, on
from projections.tables.stabbing import FIRST_INSTANT

ENTRIES_PER_OPENING_MIN = 128
"""Reading so many entries takes well below a millisecond: fewer need no opening."""

HOLDERS_PER_ENTRY = 2
"""Adding up an entry takes a few times as long as taking a holder's accounts out of an opening."""

WORK_MEMORY = "64MB"
_ROWS_PER_FETCH = 20_000

_INVALIDATE: LiteralString = """
    DELETE FROM {side}.forecast_opening AS opening
    USING unnest(%(months)s::date[], %(since)s::timestamptz[]) AS changed (month, since)
    WHERE opening.month = changed.month AND opening.at >= changed.since
"""

# Every month that entries name, found by skipping through the index; its last opening; and whether
# enough entries touched it since. A deal leaves a month only after an entry into it.
_DUE: LiteralString = """
    WITH RECURSIVE named (month) AS (
        SELECT min(month_after) FROM {side}.forecast_entry
        UNION ALL
        SELECT (SELECT min(month_after) FROM {side}.forecast_entry WHERE month_after > month)
        FROM named WHERE month IS NOT NULL
    )
    SELECT month, since, accounts::text, zone FROM named
    CROSS JOIN (SELECT zone FROM qledger.projection WHERE side = %(side)s) AS made_in
    LEFT JOIN LATERAL (
        SELECT at, size, accounts FROM {side}.forecast_opening AS opening
        WHERE opening.month = named.month ORDER BY at DESC LIMIT 1
    ) AS last ON true
    CROSS JOIN LATERAL (SELECT coalesce(last.at, %(beginning)s) AS since) AS begun
    CROSS JOIN LATERAL (
        SELECT count(*) AS entries FROM (
            SELECT FROM {side}.forecast_entry
            WHERE month_after = month AND at > since AND at <= %(until)s
            UNION ALL
            SELECT FROM {side}.forecast_entry
            WHERE month_before = month AND month_before IS DISTINCT FROM month_after
                AND at > since AND at <= %(until)s
        ) AS touching
    ) AS counted
    WHERE month IS NOT NULL
        AND entries >= greatest(%(entries_min)s, last.size / %(holders_per_entry)s)
    ORDER BY month
"""

_BEGUN: LiteralString = (
    "unnest(%(months)s::date[], %(opened)s::timestamptz[]) AS begun (month, since)"
)

POSTINGS: LiteralString = f"""
    SELECT at, owner_after AS owner, currency_after AS currency, category_after AS category,
        evidenced_after AS evidenced, weight_after AS weight_percent, outcome_after AS outcome,
        amount_after AS amount, 1 AS deals, 1 AS entries
    FROM {_BEGUN} CROSS JOIN LATERAL (
        SELECT * FROM {{side}}.forecast_entry
        WHERE month_after = begun.month AND at > begun.since AND at <= %(until)s OFFSET 0
    ) AS come
    UNION ALL
    SELECT at, owner_before, currency_before, category_before, evidenced_before, weight_before,
        outcome_before, -amount_before, -1, 0
    FROM {_BEGUN} CROSS JOIN LATERAL (
        SELECT * FROM {{side}}.forecast_entry
        WHERE month_after = begun.month AND month_before = begun.month
            AND at > begun.since AND at <= %(until)s OFFSET 0
    ) AS moved
    UNION ALL
    SELECT at, owner_before, currency_before, category_before, evidenced_before, weight_before,
        outcome_before, -amount_before, -1, 1
    FROM {_BEGUN} CROSS JOIN LATERAL (
        SELECT * FROM {{side}}.forecast_entry
        WHERE month_before = begun.month AND month_before IS DISTINCT FROM month_after
            AND at > begun.since AND at <= %(until)s OFFSET 0
    ) AS gone
"""
"""What came into months and went out of them, since an instant each and up to one: as it came or
moved within the month, as it was before it moved, and as it went. OFFSET 0 keeps each month's
entries a range of an index, however many the planner takes them for."""

POSTED: LiteralString = """
    owner, currency, category, evidenced, weight_percent, coalesce(outcome = 'won', false),
    coalesce(sum(amount), 0), sum(deals)
"""
"""The columns of a `Posting`, added up over what is alike."""

_DAYS: LiteralString = f"""
    SELECT DISTINCT (at AT TIME ZONE 'UTC')::date FROM ({POSTINGS}) AS posting
"""

# What moved by the end of each day, by day in the reporting time zone too, with the number of
# entries that touched the month.
_BY_DAY: LiteralString = f"""
    SELECT midnight, width_bucket(at - interval '1 microsecond', %(ends)s::timestamptz[]),
        {POSTED}, sum(entries)
    FROM ({POSTINGS}) AS posting
    CROSS JOIN LATERAL (
        SELECT date_trunc('day', at - interval '1 microsecond', 'UTC') + interval '24 hours'
    ) AS day_end (midnight)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ORDER BY 1, 2
"""
_COPY: LiteralString = """
    COPY {side}.forecast_opening
        (month, since, at, zone, size, accounts, claimed, evidenced, weighted, closed) FROM STDIN
"""


class DayEnd(NamedTuple):
    """A month of the journal at the end of a day on which entries touched it.

    Args:
        at: the midnight (UTC).
        entries: how many entries touched the month on that day.
        balance: at that instant; it goes on with the next day.
        moved: what moved on that day.
    """

    at: Instant
    entries: int
    balance: Balance
    moved: list[Moved]


class Due(NamedTuple):
    """A month for which openings are to be made.

    Args:
        month: of the journal.
        since: where its last opening stands; the beginning of time without one.
        accounts: that opening, packed.
        zone: the reporting time zone (IANA).
    """

    month: date
    since: Instant
    accounts: str | None
    zone: str


def roll(connection: Connection[TupleRow], side: Side, until: Instant) -> int:
    """Make the openings that are due.

    Args:
        connection: in UTC, in a transaction.
        side: whose tables.
        until: no opening is made after this instant: what is known now of the time after it may
            still change.

    Returns:
        How many were made.
    """
    due = months_due(connection, side, until)
    return sum(roll_month(connection, side, each, until) for each in due)


def months_due(connection: Connection[TupleRow], side: Side, until: Instant) -> list[Due]:
    """The months for which openings are due; see `roll`."""
    bounds = {
        "side": side,
        "until": _midnight(until),
        "beginning": FIRST_INSTANT,
        "entries_min": ENTRIES_PER_OPENING_MIN,
        "holders_per_entry": HOLDERS_PER_ENTRY,
    }
    return [Due(*row) for row in connection.execute(on(side, _DUE), bounds)]


def roll_month(connection: Connection[TupleRow], side: Side, due: Due, until: Instant) -> int:
    """Make the openings that are due of one month; see `roll`."""
    connection.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
    span = due.since, _midnight(until)
    days = day_ends(connection, side, due.month, span, Balance(due.accounts), due.zone)
    openings = list(_openings(days))
    since = due.since
    with connection.cursor() as cursor, cursor.copy(on(side, _COPY)) as copy:
        for at, *kept in openings:
            copy.write_row((due.month, since, at, due.zone, *kept))
            since = at
    return len(openings)


def _midnight(until: Instant) -> Instant:
    """The last midnight (UTC) up to an instant."""
    return until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _openings(days: Iterator[DayEnd]) -> Iterator[tuple[Instant, int, str, *tuple[str, ...]]]:
    """(at, number of holders, accounts packed, moves packed ...) of each opening to be made."""
    entries = 0
    moved: list[Moved] = []
    for day in days:
        entries += day.entries
        moved += day.moved
        size = len(day.balance)
        if entries >= max(ENTRIES_PER_OPENING_MIN, size // HOLDERS_PER_ENTRY):
            yield day.at, size, day.balance.packed(), *packed(moved)
            entries = 0
            moved = []


def day_ends(
    connection: Connection[TupleRow],
    side: Side,
    month: date,
    span: tuple[Instant, Instant],
    balance: Balance,
    zone: str,
) -> Iterator[DayEnd]:
    """A month of the journal at the end of each day on which entries touched it.

    Args:
        connection: in UTC, in a transaction.
        side: whose tables.
        month: in which deals count.
        span: after which instant, and up to which.
        balance: at the first of them; it is taken on.
        zone: in which the days of moves are cut (IANA).
    """
    since, until = span
    asked = {"months": [month], "opened": [since], "until": until}
    touched = connection.execute(on(side, _DAYS), asked, binary=True)
    days, ends = days_beside((each for (each,) in touched), ZoneInfo(zone))
    with connection.cursor("postings", binary=True) as cursor:
        at, entries = None, 0
        moved: list[Moved] = []
        cursor.execute(on(side, _BY_DAY), {**asked, "ends": ends})
        while rows := cursor.fetchmany(_ROWS_PER_FETCH):
            for midnight, ended, *posted, touching in rows:
                if at is not None and at != midnight:
                    yield DayEnd(at, entries, balance, moved)
                    entries, moved = 0, []
                at = midnight
                entries += int(touching)
                posting = Posting(*posted)
                balance.post(posting)
                moved.append((days[ended], posting))
        if at is not None:
            yield DayEnd(at, entries, balance, moved)


def invalidate(connection: Connection[TupleRow], side: Side, since: Mapping[date, Instant]) -> None:
    """Take away the openings that entries changed.

    Args:
        connection: in a transaction.
        side: whose tables.
        since: by month, the first instant at which its entries are others than before.
    """
    if since:
        connection.execute(
            on(side, _INVALIDATE), {"months": list(since), "since": list(since.values())}
        )
