"""The product's side: a data set imported into a database of its own, and its answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from api.asof import AsOf
from api.door import Door
from ledger.config import Settings
from ledger.connectors.report import Report
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from projections.book import Book

from .oracle import Answer, Basis, Deal, Quarter, Sum, Sums

TEMPLATE = "qledger_template"
"""The migrated database that tests/conftest.py keeps."""

_numbers = itertools.count(1)


class Imported(NamedTuple):
    """A ledger that holds one data set."""

    ledger: Ledger
    door: Door
    report: Report
    settings: Settings

    def with_workers(self, workers: int) -> Imported:
        """The same, read by several processes."""
        settings = self.settings.model_copy(update={"workers": workers})
        return self._replace(door=Door(self.ledger.database, settings), settings=settings)

    @contextmanager
    def book(self, basis: Basis) -> Iterator[Book]:
        """The product's book at a basis."""
        asked = AsOf(as_of=basis.as_of, known_at="now" if basis.hindsight else None)
        with self.door.book(asked) as book:
            yield book

    def deals(self, basis: Basis) -> dict[str, Deal]:
        """Every deal in the book."""
        with self.book(basis) as book:
            return {
                deal.deal_id: Deal(
                    deal.stage,
                    deal.owner,
                    None if deal.amount is None else deal.amount.amount,
                    deal.close_date,
                    deal.outcome,
                    str(deal.category),
                )
                for deal in (each.claimed for each in book.deals())
            }

    def answer(self, basis: Basis, quarter: Quarter, *, by_owner: bool = False) -> Answer:
        """The forecast of a quarter."""
        with self.book(basis) as book:
            forecast = book.forecast(book.period(quarter.name), ("owner",) if by_owner else ())
            said = forecast.as_dict()
            days = (quarter.first_day.isoformat(), quarter.last_day.isoformat())
            assert (said["period"]["first_day"], said["period"]["last_day"]) == days
            assert said["unconverted"] == []
            return Answer(
                sum(1 for _ in book.deals()),
                _sums(said["measures"]),
                said["without_amount"],
                said["without_close_date"],
                {group["key"]["owner"]: _sums(group["measures"]) for group in said["groups"]},
            )


def _sums(measures: dict[str, Any]) -> Sums:
    return {
        (measure, category): Sum(Decimal(cell["amount"]), cell["deals"])
        for measure in ("claimed", "closed")
        for category, cell in measures[measure].items()
        if cell["deals"]
    }


@contextmanager
def imported(
    server: EmbeddedServer, home: Path, load: Callable[[Ledger, Path], Report]
) -> Iterator[Imported]:
    """A database of its own with a data set in it, dropped afterwards.

    Args:
        server: the run's server.
        home: a folder for rejects.
        load: brings the data set into a ledger; the second argument is `home`.
    """
    name = f"realdata_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(TEMPLATE))
        )
        try:
            settings = Settings(home=home, database_url=SecretStr(server.url(name)), workers=1)
            with Ledger.open(settings) as ledger:
                report = load(ledger, home)
                yield Imported(ledger, Door(ledger.database, settings), report, settings)
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
