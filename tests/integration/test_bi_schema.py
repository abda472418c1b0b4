"""The schema bi: read-only, the read models alone, and the same as the book says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from api.asof import AsOf
from api.door import Door
from ledger.config import Settings
from ledger.domain.basis import RULES
from ledger.store.ledger import Ledger
from projections.book import Book
from projections.rebuild import rebuild
from projections.rows.asking import question, rows
from projections.rows.catalogue import TABLES
from tests.integration import bi_book

DEALS = TABLES["deals"]
AT = datetime(2026, 6, 30, 21, 59, 59, 999999, tzinfo=UTC)
EARLIER = datetime(2026, 3, 10, 22, 59, 59, 999999, tzinfo=UTC)
TOLD = {
    "deal": "deal", "deal_name": "deal_name", "account": "account", "owner": "owner",
    "stage": "stage", "category": "category", "outcome": "outcome", "currency": "currency",
    "evidenced": "evidenced", "stands_at": "stands_at", "weight_percent": "weight_percent",
    "amount": "amount_exact", "counts_on": "counts_on", "close_date": "close_date",
}  # fmt: skip
"""Columns of `bi.deal_state` and the columns of rows that say the same."""


@pytest.fixture
def door(ledger: Ledger, settings: Settings, database_url: str) -> Door:
    """A door on the book, with read models."""
    bi_book.write(ledger, deals=40)
    rebuild(database_url)
    return Door(ledger.database, settings)


@pytest.fixture
def reader(door: Door, database_url: str) -> Iterator[Connection[Any]]:
    """A session of a tool that may only read bi."""
    del door
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET ROLE bi_reader")
        yield connection


def told(connection: Connection[Any], query: str, **given: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query.encode(), given).fetchall()


@pytest.mark.parametrize(
    ("as_of", "known_at"), [(AT, None), (EARLIER, None), (EARLIER, AT), (AT, EARLIER)]
)
def test_deal_state_says_what_the_book_says(
    door: Door, reader: Connection[Any], as_of: datetime, known_at: datetime | None
) -> None:
    query = 'SELECT * FROM bi.deal_state(%(as_of)s, %(known_at)s) ORDER BY deal COLLATE "C"'
    found = told(reader, query, as_of=as_of, known_at=known_at)
    known = known_at or as_of
    with door.book(AsOf(valid_at=as_of.isoformat(), known_at=known.isoformat())) as book:
        expected = list(rows(book, question(DEALS, {}), TOLD.values()))
        horizon = book.basis.horizon
    assert len(found) > 30
    assert [_spelt(row) for row in found] == [
        tuple(row[DEALS.index[name]] for name in TOLD.values()) for row in expected
    ]
    assert {row["basis_position"] for row in found} == {horizon}
    assert {(row["as_of_instant"], row["basis_known_at"]) for row in found} == {(as_of, known)}


def _spelt(row: dict[str, Any]) -> tuple[Any, ...]:
    cells = [row[name] for name in TOLD]
    return tuple(
        cell if cell is None or isinstance(cell, str | int) else _text(cell) for cell in cells
    )


def _text(cell: Any) -> str:
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell.isoformat())


def test_forecast_says_what_the_book_says(door: Door, reader: Connection[Any]) -> None:
    with door.book(AsOf(as_of=bi_book.END)) as book:
        period = book.period("2027")
        expected = _cells(book)
    query = """
        SELECT owner, currency, measure, category, sum(amount) AS amount,
            sum(deals)::bigint AS deals
        FROM bi.forecast(%(at)s, %(first)s, %(last)s) GROUP BY 1, 2, 3, 4
    """
    days = {"first": period.first_day, "last": period.last_day}
    found = told(reader, query, at=AT, **days)
    assert {
        (row["owner"], row["measure"], row["category"], row["currency"]): row["amount"]
        for row in found
        if row["currency"] is not None
    } == expected
    deals: dict[tuple[str, str], int] = {}
    for row in found:
        key = (row["measure"], row["category"])
        deals[key] = deals.get(key, 0) + row["deals"]
    with door.book(AsOf(as_of=bi_book.END)) as book:
        answer = book.forecast(period).as_dict()["measures"]
    assert deals == {
        (measure, category): cell["deals"]
        for measure in ("claimed", "evidenced", "weighted", "closed")
        for category, cell in answer[measure].items()
        if cell["deals"]
    }


def _cells(book: Book) -> dict[tuple[Any, ...], Decimal]:
    forecast = book.forecast(book.period("2027"), ("owner",))
    return {
        (group[0], measure, str(category), currency): amount
        for (group, measure, category), cell in forecast.tally.cells.items()
        if measure in {"claimed", "evidenced", "weighted", "closed"}
        for currency, amount in cell.amounts.items()
    }


def test_the_position_that_answers_are_made_at_is_told(
    door: Door, ledger: Ledger, reader: Connection[Any]
) -> None:
    head = ledger.head().size
    ledger.import_events([bi_book.draft("deal:N1", bi_book.said(
        "deal-opened", name="new", owner="rep0"), 1)])  # fmt: skip
    (row,) = told(reader, "SELECT * FROM bi.projection")
    assert (row["basis_position"], row["head_position"], row["lag_events"]) == (head, head + 1, 1)
    (now,) = told(reader, "SELECT DISTINCT basis_position FROM bi.deal")
    assert now == {"basis_position": head}
    entries = told(reader, "SELECT basis_position, causes FROM bi.forecast_entry")
    assert entries[0]["causes"]
    spans = told(reader, "SELECT min(valid_from), max(valid_to) FROM bi.deal_history")
    assert spans[0]["max"].year == 9999


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM qledger.event",
        "SELECT * FROM qledger.projection",
        "SELECT * FROM qledger.token",
        "SELECT * FROM qledger_a.deal_state",
        "SELECT qledger.append(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "INSERT INTO bi.deal_history (deal) VALUES ('x')",
        "DELETE FROM bi.deal",
        "CREATE TABLE bi.mine (x integer)",
        "CREATE TEMPORARY TABLE mine (x integer); SELECT qledger.index_side('a')",
    ],
)
def test_a_bi_reader_sees_nothing_else_and_changes_nothing(
    reader: Connection[Any], statement: str
) -> None:
    with pytest.raises(
        (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)
    ):
        reader.execute(statement.encode())


def test_others_see_nothing_of_it(door: Door, database_url: str) -> None:
    del door
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE bi_stranger NOLOGIN")
        try:
            connection.execute("SET ROLE bi_stranger")
            for statement in ("SELECT * FROM bi.deal", "SELECT * FROM bi.deal_state(now())"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP ROLE bi_stranger")


def test_it_does_not_answer_before_the_read_models_are_made(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET ROLE bi_reader")
        for statement in ANSWERS:
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
                connection.execute(statement.encode())
            assert "rebuild" in str(refused.value.diag.message_hint)


ANSWERS = (
    "SELECT * FROM bi.deal",
    "SELECT * FROM bi.deal_state(now())",
    "SELECT * FROM bi.forecast(now(), '2026-01-01', '2027-12-31')",
    "SELECT count(*) FROM bi.deal_history",
    "SELECT * FROM bi.forecast_entry LIMIT 1",
    "SELECT bi.basis_position()",
)


def test_it_answers_by_the_rules_of_the_api_or_not_at_all(
    door: Door, reader: Connection[Any], database_url: str
) -> None:
    assert told(reader, "SELECT basis_rules, api_rules FROM bi.projection") == [
        {"basis_rules": RULES, "api_rules": RULES}
    ]
    for statement in ANSWERS:
        assert told(reader, statement)
    with door.database.connection() as connection:
        connection.execute("UPDATE qledger.projection SET rules = 'old'")
    for statement in ANSWERS:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="rules old") as no:
            told(reader, statement)
        assert "qledger rebuild" in str(no.value.diag.message_hint)
    (row,) = told(reader, "SELECT basis_rules, api_rules FROM bi.projection")
    assert row == {"basis_rules": "old", "api_rules": RULES}
    rebuild(database_url)
    for statement in ANSWERS:
        assert told(reader, statement)


def test_a_time_must_be_given(reader: Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        reader.execute("SELECT * FROM bi.deal_state(NULL)")
