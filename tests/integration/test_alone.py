"""A deal that is asked for alone is the deal that the whole book gives, with the same reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from api.asof import AsOf
from api.door import Door
from ledger.config import Settings
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from projections.deals import deal_page
from projections.journey import gates_as_dict
from projections.timeline import timeline
from tests.conftest import TEMPLATE
from tests.integration.projected import Writer

BASES = (AsOf(), AsOf(valid_at="2026-03-01", known_at="now"), AsOf(as_of="2026-04-01"))


@pytest.fixture(scope="module")
def door(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door on a book that was written at random: corrections, evidence on accounts, removals."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS alone WITH (FORCE)"))
        connection.execute(SQL("CREATE DATABASE alone TEMPLATE {}").format(Identifier(TEMPLATE)))
        chosen = Settings(
            home=tmp_path_factory.mktemp("home"), database_url=SecretStr(server.url("alone"))
        )
        with Ledger.open(chosen) as ledger:
            writer = Writer(ledger, deals=12)
            writer.publish()
            writer.open()
            writer.write(150)
            yield Door(ledger.database, chosen)
        connection.execute(SQL("DROP DATABASE alone WITH (FORCE)"))


@pytest.mark.parametrize("asked", BASES, ids=str)
def test_a_deal_alone_is_the_deal_of_the_book(door: Door, asked: AsOf) -> None:
    with door.book(asked) as whole:
        rows = {row["deal"]: row for row in deal_page(whole)}
        journeys = {deal.deal_id: gates_as_dict(whole, deal) for deal in whole.deals()}
    assert len(rows) > 5
    for deal, row in rows.items():
        with door.book_at(whole.basis) as alone:
            assert deal_page(alone, only=deal) == [row]
            assert gates_as_dict(alone, alone.deal(deal)) == journeys[deal]


def test_what_one_book_has_read_another_at_its_basis_takes_over(door: Door) -> None:
    with door.book() as first:
        told = gates_as_dict(first, first.deal("D1"))
        history = timeline(first, "D1")
    with door.book_at(first.basis) as second:
        second.take_over(first)
        nothing: Any = None
        second._reader = nothing  # it has nothing to read with
        assert gates_as_dict(second, second.deal("D1")) == told
        assert timeline(second, "D1") == history


def test_a_deal_that_is_not_in_the_book_is_no_row(door: Door) -> None:
    with door.book(AsOf(as_of="2020-01-01")) as book:
        assert deal_page(book, only="D1") == []
        assert deal_page(book, only="nobody's") == []
        assert deal_page(book, only="with:colon\n") == []
