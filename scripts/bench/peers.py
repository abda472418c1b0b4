"""What the read models are measured against, in the same run on the same machine.

`Duck` holds the same `deal_state` rows in a table of DuckDB's own, in memory, and scans it with all
cores: the quickest way known to ask such rows anything. `library_catch_up` is the projection runner
of the `eventsourcing` library with as little to do as a projection can have: one upsert an event.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from functools import singledispatchmethod
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import duckdb
import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from ledger.domain.calendar import Period
from ledger.domain.times import Instant

Sums: TypeAlias = dict[tuple[tuple[str | None, ...], str, str, str | None], Decimal]
"""(group, measure, category, currency) -> exact sum; a currency of None counts the deals."""

# --- DuckDB --------------------------------------------------------------------------------------

_EXPORTED = """
    SELECT deal, valid_from AT TIME ZONE 'UTC', valid_to AT TIME ZONE 'UTC',
        known_from AT TIME ZONE 'UTC', known_to AT TIME ZONE 'UTC',
        owner, category, outcome, amount, currency, counts_on, evidenced, weight_percent
    FROM {}.deal_state
"""
_TABLE = """
    CREATE TABLE deal_state (
        deal VARCHAR, valid_from TIMESTAMP, valid_to TIMESTAMP, known_from TIMESTAMP,
        known_to TIMESTAMP, owner VARCHAR, category VARCHAR, outcome VARCHAR,
        amount DECIMAL(18, 2), currency VARCHAR, counts_on DATE, evidenced VARCHAR,
        weight_percent SMALLINT
    )
"""
_IMPORT = """
    COPY deal_state FROM '{}'
        (FORMAT csv, HEADER false, AUTO_DETECT false, DELIMITER ',', QUOTE '"')
"""
_AT = """
    SELECT owner, category, currency, evidenced, weight_percent, outcome = 'won',
        count(*), sum(amount)
    FROM deal_state
    WHERE valid_from <= $valid_at AND $valid_at < valid_to
        AND known_from <= $known_at AND $known_at < known_to
        AND counts_on BETWEEN $first_day AND $last_day
    GROUP BY ALL
"""

# A deal's states as known then are the rectangles cut by the diagonal; each adds its amount from
# the end of one day on and takes it away from the end of another on. So 730 days cost one scan, and
# no join of days with states. Days on which nothing moves are left out, to be filled by the reader.
_DAILY = """
    CREATE OR REPLACE TEMP TABLE point AS
    WITH states AS (
        SELECT owner, currency, evidenced, amount,
            greatest(valid_from, known_from) AS starts, least(valid_to, known_to) AS ends
        FROM deal_state WHERE counts_on BETWEEN $first_day AND $last_day
    ), steps AS (
        SELECT owner, currency, evidenced, starts::DATE AS day, 1 AS deals, amount
        FROM states WHERE starts < ends
        UNION ALL
        SELECT owner, currency, evidenced, ends::DATE, -1, -amount
        FROM states WHERE starts < ends
    ), sums AS (
        SELECT owner, currency, evidenced, greatest(day, $begin) AS day,
            sum(deals) AS deals, coalesce(sum(amount), 0) AS amount
        FROM steps WHERE day <= $end GROUP BY ALL
    )
    SELECT owner, currency, evidenced, day,
        sum(deals) OVER running AS deals, sum(amount) OVER running AS amount
    FROM sums WINDOW running AS (PARTITION BY owner, currency, evidenced ORDER BY day)
"""
_POINTS = """
    SELECT owner, currency, evidenced, day, deals, amount FROM point
    ORDER BY owner, currency, evidenced, day
"""


class DailyPoint(NamedTuple):
    """A sum at the end of a day (UTC), as known then."""

    owner: str | None
    currency: str | None
    category: str
    day: date
    deals: int
    amount: Decimal


class Duck:
    """The same states in DuckDB.

    Args:
        connection: an open connection, its table filled.
        rows: how many rectangles it holds.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, rows: int) -> None:
        self._connection = connection
        self.rows = rows

    @classmethod
    @contextmanager
    def of(cls, url: str, schema: str) -> Iterator[Duck]:
        """The states of one side of the read models, exported once.

        Args:
            url: the ledger's database.
            schema: the side's schema.
        """
        with tempfile.TemporaryDirectory(prefix="qledger-duck-") as folder:
            exported = Path(folder) / "deal_state.csv"
            _export(url, schema, exported)
            connection = duckdb.connect(config={"autoinstall_known_extensions": False})
            connection.execute(_TABLE)
            connection.execute(_IMPORT.format(exported))  # it takes no parameter for a path
            exported.unlink()
            found = connection.execute("SELECT count(*) FROM deal_state").fetchone()
            yield cls(connection, 0 if found is None else int(found[0]))
            connection.close()

    def scan(self, valid_at: Instant, known_at: Instant, period: Period) -> list[tuple[Any, ...]]:
        """The states of a period at a basis, summed by what the four measures need."""
        return self._connection.execute(
            _AT,
            {
                "valid_at": valid_at.replace(tzinfo=None),
                "known_at": known_at.replace(tzinfo=None),
                "first_day": period.first_day,
                "last_day": period.last_day,
            },
        ).fetchall()

    def daily(self, begin: date, end: date, period: Period) -> None:
        """Find what is evidenced of a period at the end of each day, by owner: see `points`.

        The points stay in a table of DuckDB's, since fetching them takes longer than finding them.
        """
        self._connection.execute(
            _DAILY,
            {
                "begin": begin,
                "end": end,
                "first_day": period.first_day,
                "last_day": period.last_day,
            },
        )

    def points(self, end: date) -> Iterator[DailyPoint]:
        """What `daily` found last, up to a day, each day filled in on which there is anything."""
        found = self._connection.execute(_POINTS).fetchall()
        for row, after in zip_longest(found, found[1:]):
            owner, currency, category, day, deals, amount = row
            follows = after is not None and after[:3] == row[:3]
            until = after[3] if follows else end + timedelta(days=1)
            for offset in range((until - day).days if deals else 0):
                yield DailyPoint(
                    owner, currency, category, day + timedelta(days=offset), int(deals), amount
                )


def _export(url: str, schema: str, file: Path) -> None:
    statement = SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(
        SQL(_EXPORTED).format(Identifier(schema))
    )
    with psycopg.connect(url) as connection, file.open("wb") as written:
        connection.execute("SET timezone = 'UTC'")
        connection.execute("SET statement_timeout = 0")
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for data in copy:
                written.write(data)


def measures(scanned: list[tuple[Any, ...]]) -> Sums:
    """The measures by owner and category, of what `Duck.scan` gave."""
    sums: defaultdict[tuple[tuple[str | None, ...], str, str, str | None], Decimal]
    sums = defaultdict(Decimal)
    for owner, category, currency, evidenced, weight, won, deals, amount in scanned:
        group = (owner,)
        weighted = None if amount is None else amount * weight / 100
        found = [
            ("claimed", category, amount),
            ("evidenced", evidenced, amount),
            ("weighted", evidenced, weighted),
        ]
        if won:
            found.append(("closed", "closed", amount))
        for measure, name, value in found:
            sums[group, measure, name, None] += deals
            if value is not None:
                sums[group, measure, name, currency] += value
    return dict(sums)


# --- the library's projection runner -------------------------------------------------------------


class Revised(Aggregate):
    """A deal whose amount is revised."""

    @event("Opened")
    def __init__(self, amount: str) -> None:
        self.amount = amount

    @event("AmountRevised")
    def revise(self, amount: str) -> None:
        self.amount = amount


class Revisions(Application[UUID]):
    """The library's application."""


class Amounts(PostgresTrackingRecorder):
    """Its read model: the amount of each deal, moved on with the position in one transaction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        table = Identifier(self.datastore.schema, "amounts")
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS {} (deal uuid PRIMARY KEY, amount numeric)").format(
                table
            )
        )
        self._put = SQL(
            "INSERT INTO {} VALUES (%s, %s)"
            " ON CONFLICT (deal) DO UPDATE SET amount = EXCLUDED.amount"
        ).format(table)

    def put(self, deal: UUID, amount: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._put, (deal, amount), prepare=True)


class AmountsOf(Projection[Amounts]):
    """Its projection: one upsert an event."""

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.put(domain_event.originator_id, domain_event.amount, tracking)


def library_catch_up(url: str, events: int) -> float:
    """Let the library's runner catch up with so many events; return events a second.

    Args:
        url: a database in which it gets a schema of its own, dropped afterwards.
        events: how many; a multiple of 30.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS bench_peer CASCADE")
        connection.execute("CREATE SCHEMA bench_peer")
    environment = _environment(url)
    with Revisions(environment) as application:
        for _ in range(events // 30):
            deal = Revised(amount="100.00")
            for number in range(29):
                deal.revise(amount=f"{100 + number}.00")
            application.save(deal)
    started = time.perf_counter()
    with ProjectionRunner(
        application_class=Revisions, projection_class=AmountsOf, view_class=Amounts,
        env=environment,
    ) as runner:  # fmt: skip
        while (runner.view.max_tracking_id(runner.app_name) or 0) < events:
            runner.run_forever(timeout=0.02)
    seconds = time.perf_counter() - started
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA bench_peer CASCADE")
    return events / seconds


def _environment(url: str) -> Mapping[str, str]:
    facts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(facts["dbname"]),
        "POSTGRES_HOST": str(facts["host"]),
        "POSTGRES_PORT": str(facts.get("port", "5432")),
        "POSTGRES_USER": str(facts["user"]),
        "POSTGRES_PASSWORD": str(facts.get("password", "")),
        "POSTGRES_SCHEMA": "bench_peer",
    }
