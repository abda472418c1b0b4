"""The order of rows: by some columns, up or down, nulls last; the key decides between equals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import total_ordering
from typing import Any, NamedTuple

from projections.rows.definition import Row, Table


class Order(NamedTuple):
    """A column to sort by; nulls come last either way."""

    column: str
    descending: bool = False


@total_ordering
class Descending:
    """A value in the opposite order."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and bool(self.value == other.value)

    def __lt__(self, other: Descending) -> bool:
        return bool(other.value < self.value)

    __hash__ = None  # type: ignore[assignment]


def places(table: Table, order: Sequence[Order]) -> Callable[[Row], tuple[Any, ...]]:
    """What a row is sorted by: for each column whether it is null, and its value."""
    parts = [(table.index[each.column], each.descending) for each in order]

    def place(row: Row) -> tuple[Any, ...]:
        found: list[Any] = []
        for at, descending in parts:
            cell = row[at]
            found.append(cell is None)
            found.append(0 if cell is None else Descending(cell) if descending else cell)
        return tuple(found)

    return place
