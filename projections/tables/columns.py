"""Which columns of `deal_state` tell the group of a deal, and how.

Law: as `projections.forecast.deal_dimension` tells it: manager and team by the owner's record, a
dimension of the deal's own before that of its account.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, LiteralString, NamedTuple, TypeAlias

from psycopg.rows import TupleRow

from projections.forecast import BY_PERSON, Directory, person_dimension
from projections.tally import GroupKey

COLUMNS: dict[str, LiteralString] = {
    "owner": "s.owner",
    "stage": "s.stage",
    "gate": "s.gate",
    "account": "s.account",
    "category": "s.category",
    "outcome": "s.outcome",
    "currency": "s.currency",
    "own_0": "s.dimensions ->> %(own_0)s::text",
    "own_1": "s.dimensions ->> %(own_1)s::text",
    "own_2": "s.dimensions ->> %(own_2)s::text",
    "own_3": "s.dimensions ->> %(own_3)s::text",
}
"""The columns that may be read to tell a dimension."""

_NAMES: tuple[LiteralString, ...] = ("c0", "c1", "c2", "c3", "c4")

Teller: TypeAlias = Callable[[TupleRow], str | None]


class Shape(NamedTuple):
    """Which columns are read to tell the group of a deal.

    Args:
        group_by: dimensions, checked by `forecast.check_group_by`.
        columns: names of `COLUMNS`, each once, in the order in which they are read.
    """

    group_by: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, group_by: tuple[str, ...]) -> Shape:
        """What some dimensions need."""
        needed = [name for number in range(len(group_by)) for name in _needed(group_by, number)]
        return cls(group_by, tuple(dict.fromkeys(needed)))

    @property
    def parameters(self) -> dict[str, Any]:
        """What the columns need besides."""
        return {
            f"own_{number}": dimension
            for number, dimension in enumerate(self.group_by)
            if f"own_{number}" in self.columns
        }

    @property
    def expressions(self) -> LiteralString:
        """The columns as the beginning of a list in SQL, of the table `s`."""
        return "".join([f"{COLUMNS[each]}, " for each in self.columns])

    @property
    def names(self) -> LiteralString:
        """A name for each of them, as the beginning of a list in SQL."""
        return "".join([f"{name}, " for name in _NAMES[: len(self.columns)]])

    def tellers(self, directory: Directory) -> list[Teller]:
        """For each dimension its value, from a row that begins with the columns.

        Args:
            directory: people and accounts, as far as the dimensions need them.
        """
        at = {name: index for index, name in enumerate(self.columns)}
        return [
            _teller(dimension, at, f"own_{number}", directory)
            for number, dimension in enumerate(self.group_by)
        ]


def group_of(row: TupleRow, tellers: list[Teller]) -> GroupKey:
    """The group of the deals in a row."""
    return tuple([tell(row) for tell in tellers])


def _needed(group_by: tuple[str, ...], number: int) -> list[str]:
    dimension = group_by[number]
    if dimension in BY_PERSON:
        return ["owner"]
    return [dimension] if dimension in COLUMNS else ["account", f"own_{number}"]


def _teller(dimension: str, at: dict[str, int], own: str, directory: Directory) -> Teller:
    if dimension in BY_PERSON:
        owner = at["owner"]
        return lambda row: person_dimension(row[owner], dimension, directory)
    if own in at:
        value, account = at[own], at["account"]
        return lambda row: _own_or_of_account(row[value], row[account], dimension, directory)
    return itemgetter(at[dimension])


def _own_or_of_account(
    own: str | None, account_id: str | None, dimension: str, directory: Directory
) -> str | None:
    account = directory.accounts.get(account_id or "")
    return own if own is not None or account is None else account.dimensions.get(dimension)
