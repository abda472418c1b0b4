"""Cursors: where a page ended, and in which answer.

Law: a cursor holds the basis and the filter of its answer; used with others it is refused, so that
page two reads the same ledger as page one, whatever arrives in between.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

import orjson

from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from projections.deals import DealFilter


class DealCursor(NamedTuple):
    """The last deal of a page, in the answer of one question."""

    question: str
    deal: str

    @classmethod
    def of(cls, basis: Basis, wanted: DealFilter, deal: str) -> DealCursor:
        """The cursor of a deal in the answer at a basis, with a filter."""
        asked = orjson.dumps([basis.as_dict(), list(wanted)])
        return cls(hashlib.sha256(asked).hexdigest()[:24], deal)

    def spelt(self) -> str:
        """The cursor as clients hold it."""
        return base64.urlsafe_b64encode(orjson.dumps(list(self))).decode()

    @classmethod
    def read(cls, text: str, basis: Basis, wanted: DealFilter) -> DealCursor:
        """Read a cursor for a question.

        Raises:
            InvalidInput: `invalid-cursor`, `cursor-of-another-question`.
        """
        try:
            question, deal = orjson.loads(base64.urlsafe_b64decode(text.encode()))
            if not (isinstance(deal, str) and deal.isprintable()):
                raise TypeError(deal)
        except (ValueError, TypeError, binascii.Error):
            raise InvalidInput(
                "invalid-cursor", "no cursor of this ledger", where="after"
            ) from None
        if cls.of(basis, wanted, deal).question != question:
            raise InvalidInput(
                "cursor-of-another-question",
                "the cursor belongs to another basis or filter",
                where="after",
                hint="give snapshot the basis that the first page stated, and the same filter",
            )
        return cls(question, deal)
