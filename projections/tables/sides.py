"""The two sides of the tables: the one place where a statement meets a side's name.

Law: a statement is a constant of our own with `{side}` where the schema stands; nothing from
outside becomes a part of one.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import LiteralString


class Side(StrEnum):
    """One of the two sets of tables."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Side:
        """The one beside it."""
        return Side.B if self is Side.A else Side.A


_SCHEMAS = {Side.A: "qledger_a", Side.B: "qledger_b"}


@lru_cache(maxsize=1_000)
def on(side: Side, statement: LiteralString) -> bytes:
    """A statement for the tables of a side.

    Args:
        side: whose tables.
        statement: SQL in which `{side}` stands for the schema.
    """
    return statement.replace("{side}", _SCHEMAS[side]).encode()
