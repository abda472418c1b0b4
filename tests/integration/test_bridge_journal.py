"""What the tables add up of the journal is what the law of steps makes of each entry by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from ledger.domain.times import format_instant
from projections.balances import Balances
from projections.fold.states import DealState, Entry, Learned
from projections.fold.steps import BridgeScope, Measure, StepKind, change_of
from projections.forecast import Directory
from projections.tables.sides import Side, on
from projections.tables.steps import Journal, Summed, by_step, by_step_statement, entries
from projections.tables.writing import load

START = datetime(2026, 1, 1, tzinfo=UTC)
ENTRIES = 4_000


def drawn(random: Random) -> DealState | None:
    """A state, most often one that may count in the first quarter of 2026."""
    if random.random() < 0.1:
        return None
    amount = random.choice(["0.00", "10.01", "99.99", "1234.5", None])
    choose = random.choice
    return DealState(
        "Deal",
        None,
        choose(["ann", "ben", None]),
        None,
        choose(["omitted", "pipeline", "best_case", "commit", "closed"]),
        choose(["open", "open", "open", "won", "lost", "no_decision", "abandoned"]),
        amount,
        None if amount is None else choose(["USD", "EUR"]),
        None,
        choose(["2026-02-15", "2026-02-28", "2026-01-01", "2025-12-31", "2026-04-01", None]),
        None,
        choose(["omitted", "pipeline", "best_case", "commit"]),
        "problem",
        choose([0, 10, 33, 90]),
    )


def told(seed: int) -> Iterator[tuple[str, list[Entry]]]:
    """Entries of many deals; in most of them only a little changes."""
    random = Random(seed)
    for number in range(ENTRIES):
        before, after = drawn(random), drawn(random)
        if before is not None and after is not None and random.random() < 0.6:
            fields = random.sample(DealState._fields, 3)
            after = before._replace(**{field: getattr(after, field) for field in fields})
            if after.amount is None or after.currency is None:
                after = after._replace(amount=None, currency=None)
        move = random.choice(
            [None, "advanced", "regressed", "lapsed", "playbook_changed", "decided"]
        )
        at = format_instant(START + timedelta(minutes=number))
        yield f"D{number:05}", [Entry(at, before, after, move, (number + 1,))]


@pytest.fixture(params=range(2))
def journal(request: pytest.FixtureRequest, database_url: str) -> Iterator[Any]:
    """A session on tables that hold random entries, and the entries."""
    kept = dict(told(request.param))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        with connection.transaction():
            load(connection, Side.A, (
                (deal, Learned(True, [], [], "", changes)) for deal, changes in kept.items()
            ))  # fmt: skip
        yield connection, kept


def part(measure: Measure, start: int = -1, end: int = ENTRIES) -> Journal:
    instants = (format_instant(START + timedelta(minutes=minutes)) for minutes in (start, end))
    return Journal(Side.A, BridgeScope(measure, "2026-01-01", "2026-03-01"), *instants)


def added_up(connection: Connection[Any], asked: Journal, group_by: tuple[str, ...]) -> Balances:
    """The balances that the tables give."""
    balances = Balances(asked.scope.measure, group_by, Directory())
    for found in by_step(connection, asked, by_category="category" in group_by):
        if isinstance(found, Summed):
            balances.add_step(found.step, found.times)
        else:
            balances.take(found.change, found.times)
    return balances


@pytest.mark.parametrize("group_by", [("owner", "category"), ("currency", "owner")])
@pytest.mark.parametrize("measure", list(Measure))
def test_sums_of_the_tables_are_sums_of_the_law(
    journal: tuple[Connection[Any], dict[str, list[Entry]]],
    measure: Measure,
    group_by: tuple[str, ...],
) -> None:
    connection, kept = journal
    asked = part(measure, 100, ENTRIES - 100)
    law = Balances(measure, group_by, Directory())
    for (entry,) in kept.values():
        change = change_of(entry.before, entry.after, entry.move, asked.scope)
        if change is not None and asked.start < entry.at <= asked.end:
            law.take(change)
    found = added_up(connection, asked, group_by)
    assert found.total == law.total
    assert found.groups == law.groups
    everything = set(StepKind) - {StepKind.LAPSED, StepKind.PLAYBOOK_CHANGE, StepKind.CREATED}
    if measure is not Measure.CLOSED:
        assert everything <= set(found.total.steps)


def test_entries_come_back_as_what_moves_amounts(
    journal: tuple[Connection[Any], dict[str, list[Entry]]],
) -> None:
    connection, kept = journal
    for measure in Measure:
        asked = part(measure)
        wanted = {
            deal: change_of(entry.before, entry.after, entry.move, asked.scope)
            for deal, (entry,) in kept.items()
        }
        found = {
            deal: change_of(entry.before, entry.after, entry.move, asked.scope)
            for deal, entry in entries(connection, asked)
        }
        assert {deal: each for deal, each in found.items() if each} == {
            deal: each for deal, each in wanted.items() if each
        }


def test_the_journal_is_read_by_its_indexes(
    journal: tuple[Connection[Any], dict[str, list[Entry]]],
) -> None:
    connection, _kept = journal
    connection.execute("ANALYZE qledger_a.forecast_entry")
    connection.execute("SET enable_seqscan = off")  # so few rows would be scanned
    for measure in Measure:
        asked = part(measure, 10, 20)
        plan = "\n".join(row for (row,) in explained(connection, asked))
        assert "Seq Scan" not in plan, plan
        assert "forecast_entry_into" in plan, plan


def explained(connection: Connection[Any], asked: Journal) -> list[tuple[str]]:
    statement = b"EXPLAIN " + on(asked.side, by_step_statement(asked.scope.measure))
    parameters = {**asked.parameters(), "by_category": False}
    return connection.execute(statement, parameters).fetchall()
