"""Flat rows: the tables and the log give the same cells, whatever is asked; pages, sums, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from operator import itemgetter
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from api.asof import AsOf
from api.door import Door
from ledger.config import Settings
from ledger.domain.errors import InvalidInput
from ledger.domain.money import round_to_minor_unit
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from projections.book import Book
from projections.rebuild import rebuild
from projections.rows.answering import PageWanted, Wishes, answer
from projections.rows.asking import (
    Question,
    columns_named,
    dimensions_named,
    folded_rows,
    question,
    rows,
)
from projections.rows.catalogue import TABLES
from projections.rows.definition import Row, Source
from projections.rows.served import rows_from_tables
from tests.conftest import TEMPLATE
from tests.integration import bi_book

DEALS = TABLES["deals"]
STATE = tuple(column.name for column in DEALS.columns if column.source is Source.STATE)
BASES = (
    AsOf(as_of=bi_book.END),
    AsOf(as_of="2026-03-10"),
    AsOf(as_of="2026-03-10", known_at="now"),
    AsOf(valid_at="2026-09-01", known_at="2026-03-01"),
    AsOf(as_of="2026-01-05T10:00:00Z"),
)


@pytest.fixture(scope="module")
def door(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door on the book, with read models."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS bi_rows WITH (FORCE)"))
        connection.execute(SQL("CREATE DATABASE bi_rows TEMPLATE {}").format(Identifier(TEMPLATE)))
        url = server.url("bi_rows")
        chosen = Settings(
            home=tmp_path_factory.mktemp("home"), database_url=SecretStr(url), workers=1
        )
        with Ledger.open(chosen) as ledger:
            bi_book.write(ledger)
            rebuild(url)
            yield Door(ledger.database, chosen)
        connection.execute(SQL("DROP DATABASE bi_rows WITH (FORCE)"))


def both(book: Book, asked: Question, after: Row | None = None) -> tuple[list[Row], list[Row]]:
    """The rows from the tables, and from the log: the cells that both tell."""
    wanted = asked.wanted(STATE, after)
    places = [DEALS.index[name] for name in STATE]
    with rows_from_tables(book, asked.given, wanted) as served:
        assert served is not None, "the tables could not answer"
        found = [tuple(row[at] for at in places) for row in served]
    folded = folded_rows(book, asked, wanted)
    return found, [tuple(row[at] for at in places) for row in folded]


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_the_tables_tell_every_cell_as_the_log_does(door: Door, basis: AsOf) -> None:
    with door.book(basis) as book:
        served, folded = both(book, question(DEALS, {}))
    assert served == folded
    assert bool(folded) is (basis.as_of != "2026-01-05T10:00:00Z")


def test_the_book_holds_what_could_be_spelt_in_two_ways(door: Door) -> None:
    with door.book(BASES[0]) as book:
        served, _folded = both(book, question(DEALS, {}))
    at = {name: place for place, name in enumerate(STATE)}
    rounded = {
        row[at["amount_exact"]]: row[at["reporting_amount_exact"]]
        for row in served
        if row[at["currency"]] == "USD"
    }
    assert rounded["0.125"] == "0.12"
    assert {"0.375": "0.38", "12345.675": "12345.68"}.items() & rounded.items()
    assert any(row[at["reporting_amount"]] is None for row in served if row[at["amount"]])
    spelt = {row[at["dimensions"]] for row in served}
    assert None in spelt
    assert any(each and '"industry": "food & \\"drink\\""' in str(each) for each in spelt)
    assert {row[at["fiscal_quarter"]] for row in served} >= {None, "2027-Q1", "2026-Q4"}
    assert {row[at["team"]] for row in served} >= {"Team 9", "Team 1", None}


def _values(name: str) -> list[Any]:
    values: dict[str, list[Any]] = {
        "owner": ["rep0", "rep1", "nobody"], "account": ["A1", "A3"], "team": ["Team 1"],
        "manager": ["mia"], "category": ["commit", "omitted"], "outcome": ["open", "won"],
        "period": ["2027", "2027-Q1", "2026-03"], "counts_from": ["2026-03-01"],
        "counts_until": ["2026-08-15"], "stage": ["Proposal"], "currency": ["EUR", "CHF"],
        "evidenced": ["pipeline", "omitted"], "stands_at": ["problem", "money"],
        "amount_from": [0.12, 100.0], "amount_until": [100.0, 5e6],
        "dimension": ["segment=own", "segment=shared", "a = é"], "deal": ["D00003", "no"],
    }  # fmt: skip
    return values[name]


FILTERS = st.lists(
    st.sampled_from([each.name for each in DEALS.filters]), unique=True, max_size=3
).flatmap(lambda names: st.fixed_dictionaries({n: st.sampled_from(_values(n)) for n in names}))


@settings(max_examples=60)
@given(
    filters=FILTERS,
    basis=st.sampled_from(BASES[:4]),
    after=st.sampled_from([None, ("D00010",), ("D00003",)]),
)
def test_filters_leave_the_same_rows_in_either_way(
    door: Door, filters: dict[str, Any], basis: AsOf, after: Row | None
) -> None:
    with door.book(basis) as book:
        served, folded = both(book, question(DEALS, filters), after)
    assert served == folded


@contextmanager
def book_of(door: Door) -> Iterator[Book]:
    with ExitStack() as stack:
        yield stack.enter_context(door.book(BASES[0]))


@pytest.mark.parametrize("name", TABLES)
def test_rows_come_in_the_order_of_their_key_and_no_key_twice(door: Door, name: str) -> None:
    table = TABLES[name]
    with book_of(door) as book:
        found = list(rows(book, question(table, {}), [c.name for c in table.columns]))
    keys = [
        tuple((row[table.index[key]] is None, row[table.index[key]] or "") for key in table.key)
        for row in found
    ]
    assert keys == sorted(set(keys))
    assert found
    required = [table.index[column.name] for column in table.columns if column.required]
    assert not [row for row in found if any(row[at] is None for at in required)]


@pytest.mark.parametrize("name", TABLES)
def test_rows_behind_a_key_are_those_that_follow_it(door: Door, name: str) -> None:
    table = TABLES[name]
    columns = [column.name for column in table.columns]
    with book_of(door) as book:
        whole = list(rows(book, question(table, {}), columns))
        for at in (0, len(whole) // 2, len(whole) - 1):
            key = tuple(whole[at][table.index[each]] for each in table.key)
            behind = list(rows(book, question(table, {}), columns, after=key))
            assert behind == whole[at + 1 :]


@pytest.mark.parametrize("order", [None, "-amount", "owner,-reporting_amount,deal_name", "-deal"])
def test_pages_in_any_order_put_together_are_all_rows_once(door: Door, order: str | None) -> None:
    asked = question(DEALS, {}, order)
    columns = frozenset(STATE)
    with book_of(door) as book:
        whole = list(rows(book, question(DEALS, {}), STATE))
        pages: list[Row] = []
        after: Row | None = None
        while True:
            wishes = Wishes((PageWanted(7, after, columns),), sums=frozenset())
            found = answer(book, asked, wishes)
            assert found.sums.count == len(whole)
            pages += found.pages[0].rows
            if not found.pages[0].more:
                break
            last = found.pages[0].rows[-1]
            after = tuple(last[DEALS.index[each.column]] for each in asked.full_order)
    assert Counter(pages) == Counter(whole)
    for each in reversed(asked.full_order):
        at = DEALS.index[each.column]
        held: list[Any] = [row for row in whole if row[at] is not None]
        held.sort(key=itemgetter(at), reverse=each.descending)
        whole = held + [row for row in whole if row[at] is None]
    assert pages == whole


def test_sums_are_exact_and_only_within_one_currency(door: Door) -> None:
    with book_of(door) as book:
        whole = list(rows(book, question(DEALS, {}), STATE))
        measures = frozenset({"amount", "reporting_amount", "weight_percent"})
        groups = ((dimensions_named(DEALS, ["currency"]), measures),)
        found = answer(book, question(DEALS, {}), Wishes((), measures, groups))
    total = found.sums.as_dict()
    assert (total["count"], total["sum_amount"], total["min_amount"]) == (len(whole), None, None)
    exact = [row[DEALS.index["reporting_amount_exact"]] for row in whole]
    expected = sum((Decimal(str(each)) for each in exact if each is not None), Decimal(0))
    assert Decimal(total["sum_reporting_amount_exact"]) == expected
    assert total["sum_reporting_amount"] == float(expected)
    assert "sum_weight_percent" not in total
    by_currency = {key[0]: sums.as_dict() for key, sums in found.groups[0]}
    assert list(by_currency) == [*sorted(each for each in by_currency if each), None]
    assert sum(each["count"] for each in by_currency.values()) == len(whole)
    assert by_currency["JPY"]["sum_amount_exact"] is not None


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"nope": 1}, "unknown-argument"),
        ({"category": "sure"}, "invalid-argument"),
        ({"period": "2026-Q9"}, "invalid-period"),
        ({"counts_from": "soon"}, "invalid-date"),
        ({"amount_from": "nan"}, "invalid-argument"),
        ({"dimension": "segment"}, "invalid-argument"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_read(
    given_: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        question(DEALS, given_)
    assert refused.value.code == code


def test_columns_that_are_not_there_are_refused() -> None:
    for refused in (
        lambda: question(DEALS, {}, "nope"),
        lambda: columns_named(DEALS, "deal,nope"),
        lambda: dimensions_named(DEALS, ["nope"]),
    ):
        with pytest.raises(InvalidInput, match="have no column"):
            refused()
    with pytest.raises(InvalidInput, match="calculate"):
        dimensions_named(DEALS, ["amount"])
    assert columns_named(DEALS, "all") == DEALS.columns
    assert [c.name for c in columns_named(DEALS, "amountExact,deal")] == ["amount_exact", "deal"]


@pytest.mark.parametrize("basis", BASES[:3], ids=str)
def test_rows_tie_to_cells_exactly_by_currency_and_to_half_a_cent_a_row_converted(
    door: Door, basis: AsOf
) -> None:
    missed = 0
    with door.book(basis) as book:
        cells = book.forecast(book.period("2027")).as_dict()["measures"]["claimed"]
        for category, cell in cells.items():
            asked = question(DEALS, {"period": "2027", "category": category})
            by = (DEALS.column("currency"),)
            wishes = Wishes((), frozenset({"reporting_amount"}), ((by, frozenset({"amount"})),))
            found = answer(book, asked, wishes)
            told = {key[0]: total.as_dict()["sum_amount_exact"] for key, total in found.groups[0]}
            exact = {
                each: round_to_minor_unit(Decimal(told[each]), str(each))
                for each in told
                if each is not None
            }
            assert exact == {
                each: Decimal(amount) for each, amount in cell["by_currency"].items()
            }, category
            converted = Decimal(found.sums.as_dict()["sum_reporting_amount_exact"] or 0)
            gap = abs(converted - Decimal(cell["amount"]))
            assert gap <= Decimal("0.005") * (found.sums.count + 1)
            missed += gap != 0
    assert missed, "the book has halves, so some sum of rows is not the cell"
