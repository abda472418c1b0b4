"""Whether the forecast journal is better kept in partitions by time: the same rows both ways.

    .venv/bin/python -m scripts.bench.partitions --home /tmp/bench-books/100000

The live journal of a ledger is copied twice into a schema of its own, once as it is and once in a
partition a quarter of a year, with the same index; both are loaded, indexed and asked the same: the
entries into a quarter's months in the month before an instant, summed by owner, currency and
category. The schema is dropped afterwards.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, LiteralString, NamedTuple

import psycopg
import typer
from psycopg.sql import SQL, Composed, Identifier, Literal
from rich.console import Console
from rich.table import Table

from ledger.config import Settings
from ledger.domain.calendar import FiscalCalendar
from ledger.store.database import Database
from scripts.bench import lives
from scripts.bench.append import machine
from scripts.bench.questions import instants
from scripts.bench.read_models import live_schema

SCHEMA = "bench_partitions"
LOOK_BACK = timedelta(days=31)

_INDEX: LiteralString = "CREATE INDEX ON {schema}.{table} (month_after, at)"
_ASKED: LiteralString = """
    SELECT owner_after, currency_after, category_after, count(*), sum(amount_after)
    FROM {schema}.{table}
    WHERE month_after = ANY(%(months)s) AND at > %(after)s AND at <= %(until)s
    GROUP BY owner_after, currency_after, category_after ORDER BY 1, 2, 3
"""
_BYTES: LiteralString = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = {schema}::regnamespace AND starts_with(relname, {table})
"""


class Way(NamedTuple):
    """What one way of keeping the journal cost.

    Args:
        name: which way.
        load_seconds: to copy all entries, and to index them.
        bytes: on disk, indexes included.
        median_ms: of a question.
        worst_ms: of the slowest.
    """

    name: str
    load_seconds: float
    bytes: int
    median_ms: float
    worst_ms: float


def compare(url: str, count: int) -> list[Way]:
    """Keep the live journal of a ledger both ways, and ask both.

    Args:
        url: the ledger's database.
        count: at how many instants to ask.

    Raises:
        SystemExit: the answers differ.
    """
    source = live_schema(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute("SET statement_timeout = 0")
        with _schema(connection):
            ways = [
                _kept(connection, source, "whole", ""),
                _kept(connection, source, "partitioned", "PARTITION BY RANGE (at)"),
            ]
            told = [_asked(connection, name, count) for name, _load, _bytes in ways]
    if told[0][1] != told[1][1]:
        raise SystemExit("the two give different answers")
    return [
        Way(*way, statistics.median(taken), max(taken))
        for way, (taken, _answers) in zip(ways, told, strict=True)
    ]


@contextmanager
def _schema(connection: psycopg.Connection[Any]) -> Iterator[None]:
    drop = SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(SCHEMA))
    connection.execute(drop)
    connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(SCHEMA)))
    try:
        yield
    finally:
        connection.execute(drop)


def _kept(
    connection: psycopg.Connection[Any], source: str, name: str, how: LiteralString
) -> tuple[str, float, int]:
    connection.execute(
        _on(name, "CREATE TABLE {schema}.{table} (LIKE {source}.forecast_entry) " + how, source)
    )
    for first, end in _quarters() if how else ():
        connection.execute(
            SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
                Identifier(SCHEMA, f"{name}_{first.year}_{first.month:02d}"),
                Identifier(SCHEMA, name), Literal(first), Literal(end),
            )
        )  # fmt: skip
    if how:
        connection.execute(
            SQL("CREATE TABLE {} PARTITION OF {} DEFAULT").format(
                Identifier(SCHEMA, f"{name}_else"), Identifier(SCHEMA, name)
            )
        )
    started = time.perf_counter()
    copied: LiteralString = "INSERT INTO {schema}.{table} SELECT * FROM {source}.forecast_entry"
    connection.execute(_on(name, copied, source))
    connection.execute(_on(name, _INDEX, source))
    seconds = time.perf_counter() - started
    connection.execute(_on(name, "VACUUM ANALYZE {schema}.{table}", source))
    sized = SQL(_BYTES).format(schema=Literal(SCHEMA), table=Literal(name))
    row = connection.execute(sized).fetchone()
    assert row is not None  # noqa: S101 - an aggregate gives one row
    return name, seconds, int(row[0])


def _on(name: str, statement: LiteralString, source: str) -> Composed:
    return SQL(statement).format(
        schema=Identifier(SCHEMA), table=Identifier(name), source=Identifier(source)
    )


def _quarters() -> Iterator[tuple[date, date]]:
    """The quarters that the book covers, each with the day after it."""
    day = lives.days()[0]
    while day <= lives.days()[-1]:
        period = FiscalCalendar().quarter_of(day)
        yield period.first_day, period.last_day + timedelta(days=1)
        day = period.last_day + timedelta(days=1)


def _asked(
    connection: psycopg.Connection[Any], name: str, count: int
) -> tuple[list[float], list[Sequence[Any]]]:
    statement = SQL(_ASKED).format(schema=Identifier(SCHEMA), table=Identifier(name))
    taken, answers = [], list[Sequence[Any]]()
    at = instants(count)
    for until in (at[0], *at):
        started = time.perf_counter()
        rows = connection.execute(statement, _parameters(until), prepare=True).fetchall()
        taken.append((time.perf_counter() - started) * 1000)
        answers.append(rows)
    return taken[1:], answers


def _parameters(until: datetime) -> dict[str, Any]:
    first = FiscalCalendar().quarter_of(until.date()).first_day
    months = [date(first.year, first.month + number, 1) for number in range(3)]
    return {"months": months, "after": until - LOOK_BACK, "until": until}


def main(
    home: Annotated[Path, typer.Option(help="A ledger's home, its read models made.")],
    count: Annotated[int, typer.Option("--instants", help="At how many to ask.", min=1)] = 20,
) -> None:
    """Print what both ways cost."""
    with Database(Settings(home=home)) as database:
        ways = compare(database.url, count)
    table = Table(title="The forecast journal, whole and in partitions", title_justify="left")
    for column in ("kept", "load and index", "on disk", "a question", "worst"):
        table.add_column(column, justify="left" if column == "kept" else "right")
    for way in ways:
        table.add_row(
            way.name, f"{way.load_seconds:.1f} s", f"{way.bytes / 2**20:,.0f} MiB",
            f"{way.median_ms:.1f} ms", f"{way.worst_ms:.1f} ms",
        )  # fmt: skip
    Console(width=100).print(table)
    Console().print(machine())


if __name__ == "__main__":
    typer.run(main)
