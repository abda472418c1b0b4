"""Cursors below a snapshot or a diff: where an edge stands, in which list, at which bases.

Law: a cursor holds the basis of its answer, and both of a diff. A snapshot or diff that is asked
for with the same times as the one that gave the cursor reads the ledger there, so that page two
reads the same ledger as page one, whatever arrives in between. In another list, with another filter
or at another basis a cursor is refused.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

from strawberry.types import Info
from strawberry.types.nodes import SelectedField, Selection

from api.asof import AsOf
from api.graphql.row_cursor import Cursor, basis_facts, basis_parts, parts_of, short_digest
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput, QledgerError

PLACE_MAX = 2**53
_ARGUMENTS = frozenset({"after", "before"})

Bases: TypeAlias = tuple[Basis, ...]
"""What an answer rests on: the one basis of a snapshot, the two of a diff."""


class Based(Protocol):
    """What the cursors of an answer say of it."""

    @property
    def times(self) -> str:
        """The digest of its times, as they were spelt."""

    @property
    def bases(self) -> Bases:
        """What the times came to."""


def digest_of(*parts: Any) -> str:
    """What tells one list, or one set of times as spelt, from another."""
    return short_digest(parts)


class PageCursor(NamedTuple):
    """Where an edge stands.

    Args:
        times: the digest of the answer's times, as they were spelt.
        listed: the digest of the list and its filters.
        bases: of the answer.
        place: the key of the edge, or its number in the list.
    """

    times: str
    listed: str
    bases: Bases
    place: str | int

    def spelt(self) -> str:
        """The cursor as clients hold it."""
        *first, basis = self.bases
        cells = (self.place, *(fact for each in first for fact in basis_facts(each)))
        return Cursor(f"{self.times}.{self.listed}", basis, cells).spelt()

    @classmethod
    def read(cls, text: str, where: str) -> Self:
        """Read a cursor.

        Args:
            text: as clients hold it.
            where: the argument that it was given to.

        Raises:
            InvalidInput: `invalid-cursor`, `unknown-rules`.
        """
        try:
            said, last, (place, *first) = parts_of(text)
            bases = (basis_parts(first), last) if first else (last,)
            times, listed = said.split(".")
            if not isinstance(place, str | int) or not _is_place(place):
                raise TypeError(place)
        except (ValueError, TypeError, OverflowError, binascii.Error):
            raise InvalidInput("invalid-cursor", "no cursor of this ledger", where=where) from None
        return cls(times, listed, tuple(Basis(*parts) for parts in bases), place)

    def check(self, listed: str, bases: Bases, where: str) -> Self:
        """The cursor, which must be one of this list at these bases.

        Raises:
            InvalidInput: `cursor-of-another-question`.
        """
        if (self.listed, self.bases) != (listed, bases):
            raise InvalidInput(
                "cursor-of-another-question",
                "the cursor belongs to another list, another filter or another basis",
                where=where,
                hint="ask as for the first page: the same times, or the basis that it stated, and "
                "the same arguments but for the page",
            )
        return self


def _is_place(place: str | int) -> bool:
    if isinstance(place, str):
        return place.isprintable()
    return type(place) is int and 0 <= place < PLACE_MAX


def times_of(*asked: AsOf) -> str:
    """The digest of the times of a snapshot, or of both of a diff, as they were spelt."""
    return digest_of(*(each.times for each in asked))


def bases_of_cursors(info: Info, *asked: AsOf) -> Bases | None:
    """The bases of a cursor that is used somewhere below what is asked for with these times.

    Args:
        info: of the field of the snapshot or the diff.
        asked: its times, as they were spelt.

    Returns:
        None where there is none, or it was given for other times: whoever uses it refuses it, or
        finds that it is of the snapshot's basis all the same.
    """
    times = times_of(*asked)
    for text in _cursors(part for each in info.selected_fields for part in each.selections):
        try:
            cursor = PageCursor.read(text, "after")
        except QledgerError:
            continue  # refused where it is used, which says the place
        if cursor.times == times and len(cursor.bases) == len(asked):
            return cursor.bases
    return None


def _cursors(selections: Iterable[Selection]) -> Iterable[str]:
    for each in selections:
        if isinstance(each, SelectedField):
            given = (each.arguments.get(name) for name in _ARGUMENTS)
            yield from (text for text in given if isinstance(text, str))
        yield from _cursors(each.selections)
