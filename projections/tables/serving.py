"""May the tables answer at a basis? Only where they say what folding the log would say.

Law: they may exactly when they are ready, made by the rules of this program and in the reporting
time zone of the basis, when nothing is to be left out (witnessed only) or judged otherwise (under
another playbook version), and when no event that the one sees and the other does not could count:
no event between the horizon of the basis and the position of the tables was known by `known_at`.
At the end of time itself nothing holds, so nothing is asked there. Question and answer are read in
one transaction that sees one state of the tables, whatever is written or swapped meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.domain.basis import RULES, Basis
from ledger.domain.times import END_OF_TIME
from projections.reader import LogReader
from projections.tables.sides import Side, on

POSITIONS_PER_BLOCK = 1_000
"""How many positions share a row of `qledger.known_block`."""

_LIVE: LiteralString = """
    SELECT side, position FROM qledger.projection
    WHERE live AND ready AND rules = %(rules)s AND zone = %(zone)s
"""
_KNOWN_IN_LOG: LiteralString = """
    SELECT EXISTS (
        SELECT FROM qledger.event
        WHERE position > %(after)s AND position <= %(up_to)s AND known_at <= %(known_at)s
    )
"""
_BLOCKS: LiteralString = """
    SELECT count(*), min(known_from) FROM qledger.known_block
    WHERE block >= %(first)s AND block < %(end)s
"""


class Tables(NamedTuple):
    """Tables that may be asked, in a transaction that sees one state of them.

    Args:
        connection: in that transaction.
        side: whose tables.
        position: all events up to it are in them.
    """

    connection: Connection[TupleRow]
    side: Side
    position: int

    def rows(self, statement: LiteralString, parameters: dict[str, Any]) -> list[TupleRow]:
        """The rows of a statement on the side."""
        done = self.connection.execute(on(self.side, statement), parameters, binary=True)
        return done.fetchall()

    @contextmanager
    def begun(
        self, statement: LiteralString, parameters: dict[str, Any]
    ) -> Iterator[Callable[[], list[TupleRow]]]:
        """A statement that the database works on while something else is done; gives its rows."""
        with self.connection.pipeline():
            done = self.connection.execute(on(self.side, statement), parameters, binary=True)
            yield done.fetchall

    def may_answer(self, basis: Basis) -> bool:
        """Whether they may answer at another basis too, of the same reporting time zone."""
        return _askable(basis) and not _differ(self.connection, basis, self.position)


@contextmanager
def tables_at(reader: LogReader, basis: Basis, zone: str) -> Iterator[Tables | None]:
    """The tables, where they may answer at a basis; None where the log must be folded.

    Args:
        reader: of the log; while its connection is at work on something else nothing is served.
        basis: of the question.
        zone: the reporting time zone at the basis (IANA).
    """
    if not _askable(basis):
        yield None
        return
    with reader.one_state() as connection:
        yield None if connection is None else _serving(connection, basis, zone)


def _askable(basis: Basis) -> bool:
    return (
        not basis.witnessed_only
        and basis.under is None
        and max(basis.valid_at, basis.known_at) < END_OF_TIME
    )


def _serving(connection: Connection[TupleRow], basis: Basis, zone: str) -> Tables | None:
    live = connection.execute(_LIVE, {"rules": RULES, "zone": zone}).fetchone()
    if live is None:
        return None
    side, position = live
    if _differ(connection, basis, position):
        return None
    return Tables(connection, Side(side), position)


def _differ(connection: Connection[TupleRow], basis: Basis, position: int) -> bool:
    """Whether an event that only the basis or only the tables take was known by then."""
    after, up_to = sorted((basis.horizon, position))
    if after == up_to:
        return False
    first, end = -(-(after + 1) // POSITIONS_PER_BLOCK), (up_to + 1) // POSITIONS_PER_BLOCK
    if position < basis.horizon or first >= end:  # not in blocks yet, or less than one of them
        return _known(connection, basis, after, up_to)
    blocks, known_from = connection.execute(_BLOCKS, {"first": first, "end": end}).fetchall()[0]
    return (
        blocks != end - first
        or known_from <= basis.known_at
        or _known(connection, basis, after, first * POSITIONS_PER_BLOCK - 1)
        or _known(connection, basis, end * POSITIONS_PER_BLOCK - 1, up_to)
    )


def _known(connection: Connection[TupleRow], basis: Basis, after: int, up_to: int) -> bool:
    asked = {"after": after, "up_to": up_to, "known_at": basis.known_at}
    return bool(connection.execute(_KNOWN_IN_LOG, asked).fetchall()[0][0])
