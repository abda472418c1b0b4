"""What answers must say: the fold of the log at their bases, made in this process.

Law: nothing of it comes from the tables, from SQL that makes JSON, from pages or from sums that the
product makes: rows are folded from the log, put in order, counted and added up here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.domain.times import parse_instant
from ledger.store.database import Database
from projections.book import Book, Origin
from projections.bridge import bridge
from projections.movements import Between
from projections.reader import LogReader
from projections.rows.asking import folded_rows, question
from projections.rows.bridges import BRIDGES, bridge_rows
from projections.rows.catalogue import ASKED_ONLY, TABLES
from projections.rows.definition import Row, Table
from projections.rows.ordering import places


class Asked(NamedTuple):
    """Which rows were asked for.

    Args:
        table: the name of the flat table.
        order_by: by what they are sorted.
        columns: which cells were told.
        given: what else was said, by name, in the spelling of tables. The times of a bridge are
            instants: its first basis is there, as known then, up to the horizon of the second.
    """

    table: str
    order_by: str | None
    columns: tuple[str, ...]
    given: tuple[tuple[str, str], ...] = ()


_EVERY_TABLE = {**TABLES, **{table.name: table for table in ASKED_ONLY}}


class Truth:
    """Folds a log.

    Args:
        database: where the log is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[tuple[Basis, str, tuple[tuple[str, str], ...]], list[Row]] = {}

    @classmethod
    @contextmanager
    def of(cls, settings: Settings) -> Iterator[Truth]:
        """The truth of an installation's log."""
        with Database(settings) as database:
            yield cls(database)

    def forget(self) -> None:
        """Keep nothing of what was folded: the next answers have another basis."""
        self._kept.clear()

    def rows(self, asked: Asked, basis: Basis) -> list[list[Any]]:
        """All rows in order, with the cells that were asked for."""
        table = _EVERY_TABLE[asked.table]
        order = question(table, {}, asked.order_by).full_order
        found = sorted(self._folded(asked, basis), key=places(table, order))
        at = [table.index[name] for name in asked.columns]
        return [[row[place] for place in at] for row in found]

    def sums(self, table: str, by: str, amount: str, basis: Basis) -> dict[Any, tuple[int, str]]:
        """The number of rows and the exact sum of an amount, for each value of a column."""
        index = _EVERY_TABLE[table].index
        counts: dict[Any, int] = defaultdict(int)
        totals: dict[Any, Decimal] = defaultdict(Decimal)
        for row in self._folded(Asked(table, None, ()), basis):
            counts[row[index[by]]] += 1
            totals[row[index[by]]] += Decimal(str(row[index[amount]] or 0))
        return {each: (count, plain(totals[each])) for each, count in counts.items()}

    def _folded(self, asked: Asked, basis: Basis) -> list[Row]:
        key = basis, asked.table, asked.given
        if key not in self._kept:
            make = self._bridged if asked.table == BRIDGES.name else self._made
            self._kept[key] = make(_EVERY_TABLE[asked.table], dict(asked.given), basis)
        return self._kept[key]

    def _made(self, table: Table, given: dict[str, str], basis: Basis) -> list[Row]:
        asked = question(table, given)
        columns = [each.name for each in table.columns]
        with self._book(basis) as book:
            return list(folded_rows(book, asked, asked.wanted(columns)))

    def _bridged(self, _table: Table, given: dict[str, str], basis: Basis) -> list[Row]:
        first = parse_instant(given["from"])
        with self._book(basis.at(first, first)) as opening, self._book(basis) as closing:
            between = Between(opening, closing, closing.period(given["period"]))
            return list(bridge_rows(bridge(between, given["measure"], (given["group_by"],))))

    @contextmanager
    def _book(self, basis: Basis) -> Iterator[Book]:
        with self._database.connection() as connection:
            yield Book(Origin(LogReader(connection), self._database.url, by_tables=False), basis)


def plain(amount: Decimal) -> str:
    """An amount in one spelling, however many zeros it came with."""
    return format(amount.normalize() if amount else Decimal(0), "f")
