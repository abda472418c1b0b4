"""Cursors of flat rows: where a page ended, in which answer, at which basis.

Law: a cursor holds the basis of its answer, so that page two reads the same ledger as page one,
whatever arrives in between, although both were asked with "now". Used with other arguments it is
refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

import orjson

from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from ledger.domain.times import format_instant
from projections.rows.asking import PAGE_MAX, Question, is_text
from projections.rows.definition import Kind, Row

CURSOR_CHARACTERS_MAX = 8_000


class Asked(NamedTuple):
    """What a cursor belongs to.

    Args:
        digest: of the arguments as they were given, without the page.
        basis: of the answer.
        order: the columns by which rows are sorted.
    """

    digest: str
    basis: Basis
    order: tuple[str, ...]

    def cursor(self, row: Any) -> str:
        """The cursor of a row, which has a column's cell under the column's name."""
        return Cursor(self.digest, self.basis, tuple(getattr(row, n) for n in self.order)).spelt()


def digest_of(question: Question, times: Mapping[str, Any]) -> str:
    """What tells one set of arguments from another.

    Args:
        question: the table, filters and order.
        times: what was said of the basis, as spelt.
    """
    order = [list(each) for each in question.order]
    asked = [question.table.name, dict(question.given), order, dict(times)]
    return short_digest(asked)


def short_digest(asked: Any) -> str:
    """What tells one question from another.

    Args:
        asked: as JSON.

    Raises:
        InvalidInput: `invalid-argument`, where a text of it cannot be spelt.
    """
    try:
        spelt = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        raise InvalidInput(
            "invalid-argument", "a text holds half of a character", hint="send whole characters"
        ) from None
    return hashlib.sha256(spelt).hexdigest()[:16]


class Cursor(NamedTuple):
    """The last row of a page.

    Args:
        digest: see `digest_of`.
        basis: of the answer.
        cells: its cells in the columns of the order.
    """

    digest: str
    basis: Basis
    cells: Row

    def spelt(self) -> str:
        """The cursor as clients hold it."""
        whole = orjson.dumps([self.digest, basis_facts(self.basis), list(self.cells)])
        return base64.urlsafe_b64encode(whole).decode()

    @classmethod
    def read(cls, text: str, question: Question, digest: str) -> Self:
        """Read a cursor for a question.

        Raises:
            InvalidInput: `invalid-cursor`, `cursor-of-other-arguments`, `unknown-rules`.
        """
        try:
            said, basis, cells = parts_of(text)
        except (ValueError, TypeError, OverflowError, binascii.Error):
            raise _invalid() from None
        if said != digest:
            raise InvalidInput(
                "cursor-of-other-arguments",
                "the cursor belongs to other arguments",
                where="after",
                hint="give all arguments but first and after as they were for the first page",
            )
        kinds = [question.table.column(each.column).kind for each in question.full_order]
        if len(cells) != len(kinds) or not all(map(_fits, cells, kinds)):
            raise _invalid()
        return cls(digest, Basis(*basis), cells)


def _invalid() -> InvalidInput:
    return InvalidInput("invalid-cursor", "no cursor of this ledger", where="after")


_LARGE = 2**62
_FACTS = (str, str, int, bool, str | None, str)
"""The kinds of the parts of a basis."""


def basis_facts(basis: Basis) -> list[Any]:
    """A basis as cursors hold it, as JSON."""
    return [
        format_instant(basis.valid_at),
        format_instant(basis.known_at),
        basis.horizon,
        basis.witnessed_only,
        basis.under,
        basis.rules,
    ]


def parts_of(text: str) -> tuple[str, tuple[Any, ...], Row]:
    """The parts of a cursor: the digest, those of the basis, the cells.

    Raises:
        ValueError, TypeError, OverflowError: it is no cursor.
    """
    if len(text) > CURSOR_CHARACTERS_MAX:
        raise ValueError(text)
    said, facts, cells = orjson.loads(base64.urlsafe_b64decode(text.encode()))
    if not (isinstance(said, str) and isinstance(cells, list)):
        raise TypeError(text)
    return said, basis_parts(facts), tuple(cells)


def basis_parts(facts: Any) -> tuple[Any, ...]:
    """The parts of a basis, from what `basis_facts` made of it.

    Raises:
        ValueError, TypeError, OverflowError: they are none.
    """
    if not isinstance(facts, list) or len(facts) != len(_FACTS):
        raise TypeError(facts)
    if not all(map(isinstance, facts, _FACTS)):
        raise TypeError(facts)
    valid_at, known_at, horizon, *others = facts
    instants = datetime.fromisoformat(valid_at), datetime.fromisoformat(known_at)
    if any(each.tzinfo is None for each in instants) or not 0 <= horizon < _LARGE:
        raise ValueError(facts)
    for each in instants:
        format_instant(each)  # not beyond the end of time
    return (*instants, horizon, *others)


def _fits(cell: Any, kind: Kind) -> bool:
    """Whether a cell may be one of a column of a kind."""
    match kind:
        case _ if cell is None:
            return True
        case Kind.INT:
            return type(cell) is int and abs(cell) < _LARGE
        case Kind.FLOAT:
            return type(cell) in {int, float}
        case Kind.BOOLEAN:
            return type(cell) is bool
        case _:
            return isinstance(cell, str) and is_text(cell)


class PageAsked(NamedTuple):
    """Which page of which rows is asked for.

    Args:
        question: which rows, in which order.
        digest: see `digest_of`.
        first: how many rows the page has.
        cursor: where the page before ended; None for a first page.
    """

    question: Question
    digest: str
    first: int
    cursor: Cursor | None

    @classmethod
    def of(cls, what: Question, first: int, after: str | None, times: Mapping[str, Any]) -> Self:
        """Check what is asked.

        Args:
            what: which rows, in which order.
            first: how many rows a page has.
            after: the cursor that was given.
            times: what was said of the basis, as spelt.

        Raises:
            InvalidInput: `invalid-page-size`, and what `Cursor.read` raises.
        """
        if not 1 <= first <= PAGE_MAX:
            raise InvalidInput(
                "invalid-page-size", f"first must be from 1 to {PAGE_MAX}", where="first"
            )
        digest = digest_of(what, times)
        cursor = None if after is None else Cursor.read(after, what, digest)
        return cls(what, digest, first, cursor)

    @property
    def after(self) -> Row | None:
        """The cells of the last row of the page before."""
        return None if self.cursor is None else self.cursor.cells

    @property
    def basis(self) -> Basis | None:
        """The basis of the page before."""
        return None if self.cursor is None else self.cursor.basis

    def asked(self, basis: Basis) -> Asked:
        """What its cursors belong to.

        Args:
            basis: of the answer.
        """
        return Asked(self.digest, basis, tuple(each.column for each in self.question.full_order))
