"""By which index rows of deals are read, in their order or by months: the same rows either way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, LiteralString

import orjson
import psycopg
import pytest
from psycopg import Connection

from ledger.config import Settings
from ledger.domain.basis import RULES, Basis
from projections import sessions
from projections.book import Book, Origin
from projections.fold.states import Learned
from projections.reader import LogReader
from projections.rows import served, spelt
from projections.rows.answering import PageWanted
from projections.rows.asking import question
from projections.rows.catalogue import TABLES
from projections.rows.definition import Row, Wanted
from projections.tables.serving import Tables
from projections.tables.sides import Side, on
from projections.tables.writing import load
from tests.integration.tables_kit import OPENED, START, as_known_then

DEALS = TABLES["deals"]
NUMBER = 3_000
COLUMNS = ("deal", "deal_name", "owner", "team", "amount", "weighted_amount", "close_date")
NAMES = tuple((spelt._FIELDS[name], name) for name in COLUMNS)
LATE, EARLY = START + timedelta(days=55), START + timedelta(days=2)
IN_ORDER, BY_MONTH = {"deal_state_in_order"}, {"deal_state_diagonal", "deal_state_incomplete"}


def deal(random: Random, number: int) -> Learned:
    """A deal that is opened the later, the higher its number; its state changes at random."""
    opened = number * 50 / NUMBER
    days = sorted([opened, *(random.uniform(opened, 60) for _ in range(6))])
    states = []
    for day in days:
        amount = f"{random.randrange(10**5)}.{random.randrange(100):02d}"
        owner = random.choice(["ann", "ben", None])
        category = random.choice(["commit", "pipeline"])
        name = random.choice(['a "b"', "c\\d", "e\nf", "ü"])
        states.append(
            (day, OPENED._replace(amount=amount, owner=owner, category=category, name=name))
        )
    return as_known_then(states)


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection[Any]]:
    """A session on a book of some thousand deals, with statistics."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    random = Random(11)
    with sessions.writing(url) as opened:
        with opened.transaction():
            opened.execute("SET LOCAL synchronous_commit = on")
            load(opened, Side.A, ((f"D{n:05d}", deal(random, n)) for n in range(NUMBER)))
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("UPDATE qledger.projection SET rules = %s WHERE live", [RULES])
            owner.execute("VACUUM ANALYZE")
        yield opened


def book(connection: Connection[Any], at: datetime, known_at: datetime | None = None) -> Book:
    return Book(Origin(LogReader(connection), ""), Basis(at, known_at or at, 0))


def _read(plan: dict[str, Any], used: set[str]) -> None:
    """Note the indexes of a plan; no table is read from end to end."""
    assert plan["Node Type"] != "Seq Scan", plan
    used.update(filter(None, [plan.get("Index Name")]))
    if plan["Node Type"] == "Sort":
        used.add("sorted")
    for each in plan.get("Plans", ()):
        _read(each, used)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The indexes that the last statement used, and whether it sorted."""
    found: set[str] = set()
    rows = Tables.rows

    def explained(self: Tables, statement: LiteralString, parameters: dict[str, Any]) -> Any:
        if "deal_state AS s" in statement:
            explain = b"EXPLAIN (FORMAT JSON) " + on(self.side, statement)
            [[plan]] = self.connection.execute(explain, parameters).fetchall()
            found.clear()
            _read(plan[0]["Plan"], found)
        return rows(self, statement, parameters)

    monkeypatch.setattr(Tables, "rows", explained)
    return found


def page(asked: Book, first: int, after: Row | None = None, **given: Any) -> spelt.SpeltPage:
    """A page as JSON."""
    wanted = PageWanted(first, after, frozenset(COLUMNS))
    found = spelt.spelt_page(
        asked, question(DEALS, given), wanted, NAMES, "DealRow", count=False
    )  # fmt: skip
    assert found is not None
    return found


@pytest.mark.parametrize("first", [50, 1_000])
def test_a_page_of_a_book_reads_the_deals_of_the_page_in_their_order(
    connection: Connection[Any], used: set[str], first: int
) -> None:
    found = page(book(connection, LATE), first, ("D00999",))
    assert used == IN_ORDER
    assert [row["deal"] for row in orjson.loads(found.rows)] == [
        f"D{n:05d}" for n in range(1_000, 1_000 + first)
    ]
    assert (found.first, found.last) == ("D01000", f"D{999 + first:05d}")
    assert found.more


def test_in_a_large_book_a_page_is_read_by_months_where_few_deals_are_open_yet(
    connection: Connection[Any], used: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "FEW_ROWS", 0)
    monkeypatch.setattr(served, "SPANS_PER_ROW", 1)
    early = page(book(connection, EARLY), 1_000)
    assert {*BY_MONTH, "sorted"} == used
    late = page(book(connection, LATE), 1_000)
    assert used == IN_ORDER
    monkeypatch.setattr(served, "SPANS_PER_ROW", 1_000)
    assert page(book(connection, EARLY), 1_000) == early
    assert used == IN_ORDER

    def by_months(self: served.Asked, tables: Tables, _first: int | None) -> bool:
        return not self._look_in_months(tables)

    monkeypatch.setattr(served.Asked, "_is_read_in_order", by_months)
    assert page(book(connection, LATE), 1_000) == late
    assert {*BY_MONTH, "sorted"} == used


@pytest.mark.parametrize("given", [{"owner": "ann"}, {"category": "commit"}])
def test_a_filter_is_looked_for_by_months(
    connection: Connection[Any], used: set[str], given: dict[str, Any]
) -> None:
    page(book(connection, LATE), 1_000, **given)
    assert used >= {"deal_state_diagonal"}
    assert not used & IN_ORDER


def test_off_the_diagonal_rows_are_looked_for_by_months(
    connection: Connection[Any], used: set[str]
) -> None:
    page(book(connection, EARLY, LATE), 1_000)
    assert used >= {"deal_state_diagonal", "deal_state_hindsight"}


def test_a_whole_book_is_told_while_it_is_read(connection: Connection[Any]) -> None:
    asked = book(connection, LATE)
    whole = served.Asked(asked, {}, Wanted(frozenset(COLUMNS), {}, {}))
    used: set[str] = set()
    with asked.tables() as tables:
        assert tables is not None
        whole.prepare(tables)
        statement = whole.statement([served.CELLS[name] for name in COLUMNS])
        explain = b"EXPLAIN (FORMAT JSON) " + on(tables.side, statement)
        [[plan]] = tables.connection.execute(explain, whole.parameters).fetchall()
    _read(plan[0]["Plan"], used)
    assert used == IN_ORDER
    with served.copied_from_tables(asked, {}, ["deal"]) as lines:
        assert lines is not None
        assert [bytes(line) for line in lines] == [b"D%05d\n" % n for n in range(NUMBER)]


def test_an_older_postgresql_spells_a_page_alike(
    connection: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = book(connection, LATE)
    found = page(asked, 1_000)
    monkeypatch.setattr(spelt, "_WITH_JSON_SCALAR", 10**9)
    assert page(asked, 1_000) == found
