"""What answers must say: the fold of the log at their basis, made in this process.

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
from ledger.store.database import Database
from projections.book import Book, Origin
from projections.reader import LogReader
from projections.rows.asking import folded_rows, question
from projections.rows.catalogue import table_named
from projections.rows.definition import Row
from projections.rows.ordering import places


class Asked(NamedTuple):
    """Which rows were asked for.

    Args:
        table: the name of the flat table.
        order_by: by what they are sorted.
        columns: which cells were told.
    """

    table: str
    order_by: str | None
    columns: tuple[str, ...]


class Truth:
    """Folds a log.

    Args:
        database: where the log is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[tuple[Basis, str], list[Row]] = {}

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
        table = table_named(asked.table)
        order = question(table, {}, asked.order_by).full_order
        found = sorted(self._folded(asked.table, basis), key=places(table, order))
        at = [table.index[name] for name in asked.columns]
        return [[row[place] for place in at] for row in found]

    def sums(self, table: str, by: str, amount: str, basis: Basis) -> dict[Any, tuple[int, str]]:
        """The number of rows and the exact sum of an amount, for each value of a column."""
        index = table_named(table).index
        counts: dict[Any, int] = defaultdict(int)
        totals: dict[Any, Decimal] = defaultdict(Decimal)
        for row in self._folded(table, basis):
            counts[row[index[by]]] += 1
            totals[row[index[by]]] += Decimal(str(row[index[amount]] or 0))
        return {each: (count, plain(totals[each])) for each, count in counts.items()}

    def _folded(self, name: str, basis: Basis) -> list[Row]:
        found = self._kept.get((basis, name))
        if found is None:
            table = table_named(name)
            asked = question(table, {})
            columns = [each.name for each in table.columns]
            with self._database.connection() as connection:
                origin = Origin(LogReader(connection), self._database.url, by_tables=False)
                found = list(folded_rows(Book(origin, basis), asked, asked.wanted(columns)))
            self._kept[basis, name] = found
        return found


def plain(amount: Decimal) -> str:
    """An amount in one spelling, however many zeros it came with."""
    return format(amount.normalize() if amount else Decimal(0), "f")
