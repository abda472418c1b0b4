"""Deals counted without being made, and dimensions that nobody has: from tables and log alike."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from api.asof import AsOf
from api.door import Door
from ledger import service
from ledger.config import Settings
from ledger.domain.errors import InvalidInput
from ledger.domain.events import parse_payload
from ledger.store.ledger import Ledger
from projections.book import Book
from projections.dimensions import BUILT_IN
from projections.patterns import Window, patterns
from projections.rebuild import rebuild
from projections.rows.asking import Question, question, rows
from projections.rows.catalogue import TABLES
from projections.rows.counting import count_of
from projections.rows.definition import Row
from projections.rows.points import POINTS
from tests.integration import bi_book

DEALS = TABLES["deals"]
BASES = (
    AsOf(as_of=bi_book.END),
    AsOf(as_of="2026-03-10"),
    AsOf(as_of="2026-03-10", known_at="now"),
    AsOf(as_of="2026-03-10", known_at="now", horizon=150),
)
FILTERS: tuple[dict[str, Any], ...] = (
    {}, {"period": "2026-Q1"}, {"category": "commit"}, {"owner": "rep1"}, {"stage": "Proposal"},
    {"outcome": "open"}, {"stands_at": "problem"}, {"evidenced": "pipeline"},
    {"owner": "rep0", "outcome": "won"}, {"owner": "nobody"},
)  # fmt: skip


@pytest.fixture
def door(settings: Settings, ledger: Ledger) -> Door:
    """A door on the book, with read models."""
    bi_book.write(ledger, deals=40)
    assert isinstance(settings.database_url, SecretStr)
    rebuild(settings.database_url.get_secret_value())
    return Door(ledger.database, settings)


def grouped(book: Book, period: str, by: str) -> list[Row]:
    """The rows of a forecast."""
    asked = question(TABLES["forecast"], {"period": period, "group_by": by})
    return list(rows(book, asked, ("amount",)))


def test_deals_are_counted_as_they_are_listed_from_tables_and_log(door: Door) -> None:
    for basis in BASES:
        for given in FILTERS:
            with door.book(basis) as book:
                listed = len(list(rows(book, question(DEALS, given), ("deal",))))
                assert count_of(book, Question(DEALS, given)) == listed, (basis, given)
                book._origin = book._origin._replace(by_tables=False)
                assert count_of(book, Question(DEALS, given)) == listed, (basis, given)
    with door.book(BASES[0]) as book:
        assert count_of(book, Question(DEALS, {})) == sum(1 for _deal in book.deals()) > 30
        assert count_of(book, Question(DEALS, {"owner": "a\x00b"})) == 0


def test_where_the_tables_answer_they_count_and_no_row_is_made(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_asked: object, **_more: object) -> None:
        raise AssertionError("a row was made")

    monkeypatch.setattr("projections.rows.counting.rows", made)
    with door.book(BASES[0]) as book:
        assert count_of(book, Question(DEALS, {"outcome": "open"})) > 0


@pytest.mark.parametrize("by_tables", [True, False])
def test_a_dimension_that_nobody_ever_had_is_refused_with_those_that_there_are(
    door: Door, by_tables: bool
) -> None:
    with door.book(BASES[0]) as book:
        book._origin = book._origin._replace(by_tables=by_tables)
        with pytest.raises(InvalidInput) as refused:
            grouped(book, "2026-Q3", "owner,colour")
    assert (refused.value.code, refused.value.where) == ("invalid-dimension", "group_by")
    assert "'colour'" in refused.value.message
    assert "segment" in refused.value.hint


def test_patterns_and_lines_refuse_it_too(door: Door) -> None:
    with door.book(BASES[0]) as book:
        with pytest.raises(InvalidInput) as refused:
            patterns(book, Window(None, None), ("colour",))
        assert refused.value.code == "invalid-dimension"
        asked = {"from": "2026-03-01", "to": "2026-03-31", "group_by": "colour"}
        with pytest.raises(InvalidInput) as refused:
            list(rows(book, question(POINTS, asked), ("amount",)))
        assert refused.value.code == "invalid-dimension"
        asked["group_by"] = "segment"
        assert list(rows(book, question(POINTS, asked), ("amount",)))


@pytest.mark.parametrize("name", ["name", "close_date", "amount", "type"])
def test_what_deals_have_but_not_as_a_dimension_is_refused(door: Door, name: str) -> None:
    with door.book(BASES[0]) as book, pytest.raises(InvalidInput) as refused:
        grouped(book, "2026-Q3", name)
    assert refused.value.code == "invalid-dimension"


def test_one_that_only_a_correction_gives_is_known(door: Door, ledger: Ledger) -> None:
    target = next(e for e in ledger.stream("deal:D00001") if e["type"] == "deal-opened")
    corrected = {**target["payload"], "dimensions": {"tier": "gold}"}}
    act = parse_payload(
        "event-corrected", {"target": target["event_id"], "reason": "x", "payload": corrected}
    )
    with door.book(AsOf()) as book, pytest.raises(InvalidInput):
        grouped(book, "2031-Q3", "tier")
    service.record(ledger, "deal:D00001", act, actor="mia")
    with door.book(AsOf()) as book:
        assert grouped(book, "2031-Q3", "tier") == []


def test_one_that_is_known_elsewhere_has_no_value_and_is_no_fault(door: Door) -> None:
    with door.book(AsOf(as_of="2026-01-01")) as book:
        assert grouped(book, "2025-Q1", "segment") == []
    with door.book(AsOf(as_of=bi_book.END)) as book:
        for each in sorted(BUILT_IN):
            assert grouped(book, "2031-Q1", each) == []


def test_it_is_unknown_before_the_first_event_that_names_it(door: Door) -> None:
    with door.book(AsOf(as_of="now")) as book:
        named = book._reader.naming_dimension("segment", book.basis.horizon, 10_000)
    first = named[-1]["position"]
    with (
        door.book(AsOf(as_of="now", horizon=first - 1)) as book,
        pytest.raises(InvalidInput, match="segment"),
    ):
        grouped(book, "2026-Q3", "segment")
    with door.book(AsOf(as_of="now", horizon=first)) as book:
        assert grouped(book, "2031-Q3", "segment") == []
