"""Cursors below a snapshot: where an edge stands, in which list, at which basis.

Law: a cursor holds the basis of its answer. A snapshot that is asked for with the same times as the
one that gave the cursor reads the ledger at that basis, so that page two reads the same ledger as
page one, whatever arrives in between. In another list, with another filter or at another basis a
cursor is refused.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from strawberry.types import Info
from strawberry.types.nodes import SelectedField, Selection

from api.asof import AsOf
from api.graphql.row_cursor import Cursor, parts_of, short_digest
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput, QledgerError
from ledger.domain.times import format_instant

PLACE_MAX = 2**53
_ARGUMENTS = frozenset({"after", "before"})


def digest_of(*parts: Any) -> str:
    """What tells one list, or one set of times as spelt, from another."""
    return short_digest(parts)


class PageCursor(NamedTuple):
    """Where an edge stands.

    Args:
        times: the digest of the snapshot's times, as they were spelt.
        listed: the digest of the list and its filters.
        basis: of the answer.
        place: the key of the edge, or its number in the list.
    """

    times: str
    listed: str
    basis: Basis
    place: str | int

    def spelt(self) -> str:
        """The cursor as clients hold it."""
        return Cursor(f"{self.times}.{self.listed}", self.basis, (self.place,)).spelt()

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
            said, basis, (place,) = parts_of(text)
            format_instant(basis[0]), format_instant(basis[1])  # not beyond the end of time
            times, listed = said.split(".")
            if not isinstance(place, str | int) or not _is_place(place):
                raise TypeError(place)
        except (ValueError, TypeError, OverflowError, binascii.Error):
            raise InvalidInput("invalid-cursor", "no cursor of this ledger", where=where) from None
        return cls(times, listed, Basis(*basis), place)

    def check(self, listed: str, basis: Basis, where: str) -> Self:
        """The cursor, which must be one of this list at this basis.

        Raises:
            InvalidInput: `cursor-of-another-question`.
        """
        if (self.listed, self.basis) != (listed, basis):
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


def times_of(asked: AsOf) -> str:
    """The digest of a snapshot's times, as they were spelt."""
    return digest_of(asked.times)


def basis_of_cursors(info: Info, asked: AsOf) -> Basis | None:
    """The basis of a cursor that is used somewhere below a snapshot asked for with these times.

    Args:
        info: of the snapshot's field.
        asked: its times, as they were spelt.

    Returns:
        None where there is none, or it was given for other times: whoever uses it refuses it, or
        finds that it is of the snapshot's basis all the same.
    """
    times = times_of(asked)
    for text in _cursors(part for each in info.selected_fields for part in each.selections):
        try:
            cursor = PageCursor.read(text, "after")
        except QledgerError:
            continue  # refused where it is used, which says the place
        if cursor.times == times:
            return cursor.basis
    return None


def _cursors(selections: Iterable[Selection]) -> Iterable[str]:
    for each in selections:
        if isinstance(each, SelectedField):
            given = (each.arguments.get(name) for name in _ARGUMENTS)
            yield from (text for text in given if isinstance(text, str))
        yield from _cursors(each.selections)
