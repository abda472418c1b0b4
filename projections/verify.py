"""The two sides of the read models held against each other, row by row.

Law: two sides at one position, made by the same rules, hold the same rows; a row that only one of
them has is a fault of one of them. Amounts are compared with their digits: 1.0 is not 1.00.
"""

from __future__ import annotations

from typing import Any, LiteralString, NamedTuple

from psycopg import Connection

from projections.tables.sides import Side

DIFFERENCES_MAX = 5

# EXCEPT ALL: a row that stands there twice differs from one that stands there once.
_STATES: LiteralString = """
(SELECT 'a', to_jsonb(only_here) FROM (
    SELECT *, scale(amount) FROM qledger_a.deal_state
    EXCEPT ALL SELECT *, scale(amount) FROM qledger_b.deal_state
) AS only_here ORDER BY deal, known_from, valid_from LIMIT %(most)s)
UNION ALL
(SELECT 'b', to_jsonb(only_here) FROM (
    SELECT *, scale(amount) FROM qledger_b.deal_state
    EXCEPT ALL SELECT *, scale(amount) FROM qledger_a.deal_state
) AS only_here ORDER BY deal, known_from, valid_from LIMIT %(most)s)
"""
_ENTRIES: LiteralString = """
(SELECT 'a', to_jsonb(only_here) FROM (
    SELECT *, scale(amount_before), scale(amount_after) FROM qledger_a.forecast_entry
    EXCEPT ALL
    SELECT *, scale(amount_before), scale(amount_after) FROM qledger_b.forecast_entry
) AS only_here ORDER BY deal, at LIMIT %(most)s)
UNION ALL
(SELECT 'b', to_jsonb(only_here) FROM (
    SELECT *, scale(amount_before), scale(amount_after) FROM qledger_b.forecast_entry
    EXCEPT ALL
    SELECT *, scale(amount_before), scale(amount_after) FROM qledger_a.forecast_entry
) AS only_here ORDER BY deal, at LIMIT %(most)s)
"""


class Difference(NamedTuple):
    """A row that one side has and the other has not.

    Args:
        table: which table.
        side: who has it.
        row: its columns.
    """

    table: str
    side: Side
    row: dict[str, Any]

    def __str__(self) -> str:
        said = ", ".join(f"{key}={value}" for key, value in self.row.items() if value is not None)
        return f"only in side {self.side} of {self.table}: {said}"


def differences(connection: Connection[Any]) -> list[Difference]:
    """The first rows in which the two sides differ.

    Args:
        connection: in a transaction that sees both sides at one position.
    """
    return [
        Difference(table, Side(side), row)
        for table, query in (("deal_state", _STATES), ("forecast_entry", _ENTRIES))
        for side, row in connection.execute(query, {"most": DIFFERENCES_MAX})
    ]
