"""Opening balances of the forecast journal: so that a forecast is a balance and the entries since.

Law: an opening of a month at an instant is the sum of all entries up to and at that instant, by
measure, owner, currency and category, exactly; it is there whole or not at all. Any opening may be
missing: the balance before it and the entries since give the same. It stands at a midnight UTC, and
one is made when about as many entries touched the month since the last one as an opening has rows,
at least `ENTRIES_PER_OPENING_MIN`: so there are about as many rows as entries at most, and a
forecast reads about as many entries as rows.

    claimed    the claimed category     the amount of every deal
    evidenced  the category by evidence the same
    weighted   the category by evidence the same by the weight of the gate
    closed     closed                   the amount of deals won
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.domain.times import Instant
from projections.tables.sides import Side, on

ENTRIES_PER_OPENING_MIN = 256
"""Reading so many entries takes well below a millisecond: fewer need no opening."""

WORK_MEMORY = "64MB"

_INVALIDATE: LiteralString = """
    DELETE FROM {side}.forecast_opening AS opening
    USING unnest(%(months)s::date[], %(since)s::timestamptz[]) AS changed (month, since)
    WHERE opening.month = changed.month AND opening.at >= changed.since
"""

# Every month that entries name, found by skipping through the index; its last opening; and whether
# at least as many entries touched it since as that has rows. A deal leaves a month only after an
# entry into it.
_DUE: LiteralString = """
    WITH RECURSIVE named (month) AS (
        SELECT min(month_after) FROM {side}.forecast_entry
        UNION ALL
        SELECT (SELECT min(month_after) FROM {side}.forecast_entry WHERE month_after > month)
        FROM named WHERE month IS NOT NULL
    )
    SELECT month, since FROM named
    CROSS JOIN LATERAL (
        SELECT coalesce(max(at), '0001-01-01Z') AS since FROM {side}.forecast_opening AS opening
        WHERE opening.month = named.month
    ) AS last
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
    WHERE month IS NOT NULL AND entries >= greatest(%(entries_min)s, (
        SELECT count(*) FROM {side}.forecast_opening AS kept
        WHERE kept.month = named.month AND kept.at = since
    ))
    ORDER BY month
"""

_TOUCHING: LiteralString = """
    SELECT *,
        date_trunc('day', at - interval '1 microsecond', 'UTC') + interval '24 hours' AS midnight,
        (month_before, owner_before, currency_before, amount_before, category_before,
         evidenced_before, weight_before, outcome_before) IS DISTINCT FROM
        (month_after, owner_after, currency_after, amount_after, category_after,
         evidenced_after, weight_after, outcome_after) AS moves
    FROM {side}.forecast_entry
"""

_BY_MEASURE: LiteralString = """
    VALUES ('claimed', category, amount, true), ('evidenced', evidenced, amount, true),
        ('weighted', evidenced, amount * weight * 0.01, true), ('closed', 'closed', amount, won)
"""

_ROLL: LiteralString = f"""
    WITH touching AS MATERIALIZED ({_TOUCHING}
        WHERE month_after = %(month)s AND at > %(since)s AND at <= %(until)s
        UNION ALL {_TOUCHING}
        WHERE month_before = %(month)s AND month_before IS DISTINCT FROM month_after
            AND at > %(since)s AND at <= %(until)s
    ),
    kept AS (
        SELECT measure, owner, currency, category, amount, deals FROM {{side}}.forecast_opening
        WHERE month = %(month)s AND at = %(since)s
    ),
    -- Of the accounts that it can name, an opening has about a third: so many entries must
    -- come between two of them.
    bound AS (
        SELECT greatest(%(entries_min)s, count(*) * 2 / 5) AS entries FROM (
            SELECT measure, owner, currency, category FROM kept
            UNION
            SELECT measure, owner_after, currency_after, of_measure.category FROM (
                SELECT DISTINCT owner_after, currency_after, category_after AS category,
                    evidenced_after AS evidenced, 0 AS amount, 0 AS weight,
                    outcome_after = 'won' AS won
                FROM touching WHERE month_after = %(month)s
            ) AS into_month CROSS JOIN LATERAL ({_BY_MEASURE}
            ) AS of_measure (measure, category, amount, counts) WHERE counts
        ) AS account
    ),
    filled AS (
        SELECT midnight, div(sum(count(*)) OVER (ORDER BY midnight), bound.entries) AS openings
        FROM touching CROSS JOIN bound GROUP BY midnight, bound.entries
    ),
    opening AS (
        SELECT midnight AS at, row_number() OVER (ORDER BY midnight) AS number FROM (
            SELECT midnight,
                openings > lag(openings, 1, 0::numeric) OVER (ORDER BY midnight) AS made
            FROM filled
        ) AS by_day WHERE made
    ),
    first_in AS (
        SELECT midnight, min(number) AS number
        FROM filled JOIN opening ON opening.at >= midnight GROUP BY midnight
    ),
    moved AS (
        SELECT number, owner, currency, category, evidenced, weight, won,
            sum(amount) AS amount, sum(deals) AS deals
        FROM (
            SELECT midnight, owner_after, currency_after, category_after, evidenced_after,
                weight_after, outcome_after = 'won', coalesce(amount_after, 0), 1
            FROM touching WHERE month_after = %(month)s AND moves
            UNION ALL
            SELECT midnight, owner_before, currency_before, category_before, evidenced_before,
                weight_before, outcome_before = 'won', -coalesce(amount_before, 0), -1
            FROM touching WHERE month_before = %(month)s AND moves
        ) AS posting
            (midnight, owner, currency, category, evidenced, weight, won, amount, deals)
        JOIN first_in USING (midnight)
        GROUP BY number, owner, currency, category, evidenced, weight, won
    ),
    by_measure AS (
        SELECT number, measure, owner, currency, of_measure.category,
            sum(of_measure.amount) AS amount, sum(deals) AS deals
        FROM moved CROSS JOIN LATERAL ({_BY_MEASURE}
        ) AS of_measure (measure, category, amount, counts)
        WHERE counts GROUP BY number, measure, owner, currency, of_measure.category
        UNION ALL
        SELECT 0, measure, owner, currency, category, amount, deals FROM kept
    ),
    running AS (
        SELECT measure, owner, currency, category, number,
            lead(number) OVER by_time AS next_number,
            sum(amount) OVER by_time AS amount, sum(deals) OVER by_time AS deals
        FROM by_measure
        WINDOW by_time AS (PARTITION BY measure, owner, currency, category ORDER BY number)
    )
    INSERT INTO {{side}}.forecast_opening
        (month, at, measure, owner, currency, category, amount, deals)
    SELECT %(month)s, opening.at, measure, owner, currency, category, amount, deals
    FROM running JOIN opening ON opening.number >= running.number
        AND (next_number IS NULL OR opening.number < next_number)
    WHERE deals <> 0 OR amount <> 0
    ORDER BY opening.at
"""


def roll(connection: Connection[TupleRow], side: Side, until: Instant) -> int:
    """Make the openings that are due.

    Args:
        connection: in UTC, in a transaction.
        side: whose tables.
        until: no opening is made after this instant: what is known now of the time after it may
            still change.

    Returns:
        How many rows were written.
    """
    midnight = until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    bounds = {"until": midnight, "entries_min": ENTRIES_PER_OPENING_MIN}
    connection.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
    written = 0
    for month, since in connection.execute(on(side, _DUE), bounds).fetchall():
        made = connection.execute(on(side, _ROLL), {**bounds, "month": month, "since": since})
        written += made.rowcount
    return written


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
