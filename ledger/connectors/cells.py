"""Cells: one text to one value.

Law: a cell is read to an exact value, or refused with a code and a reason, never read halfway. An
empty cell is `None`. An amount keeps the digits that the file has, without currency signs and
thousands separators.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, TypeAlias, TypeVar

from ledger.connectors.dates import Unreadable
from ledger.connectors.facts import Amount
from ledger.domain.errors import InvalidInput
from ledger.domain.money import parse_amount

_T = TypeVar("_T")
Reader: TypeAlias = Callable[[str], Any]

ID_CHARS_MAX = 120
NAME_CHARS_MAX = 300
LABEL_CHARS_MAX = 120
TEXT_CHARS_MAX = 4000
_MEMO_MAX = 100_000

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")
_EMAIL = re.compile(r"[^@\s]{1,200}@[^@\s]{1,53}\Z")
_SIGNS = re.compile(r"^(?:[A-Z]{3}|US\$|[$€£¥₹])\s*|\s*(?:[A-Z]{3}|[$€£¥₹])$")
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?\Z")
_GROUPED = re.compile(r"-?\d{1,3}(?:([,.' \u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?\Z")
_COMMA_DECIMAL = re.compile(r"-?\d+,\d{1,2}\Z")

_BOOLEANS = {
    "true": True, "1": True, "yes": True, "y": True, "t": True,
    "false": False, "0": False, "no": False, "n": False, "f": False,
}  # fmt: skip


class Memo(dict[str, _T], Generic[_T]):
    """Remembers what it has read: the same texts come again and again in an export."""

    def __init__(self, read: Callable[[str], _T]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> _T:
        if len(self) >= _MEMO_MAX:
            self.clear()
        value = self[text] = self._read(text)
        return value


def text_of(limit: int) -> Reader:
    """A reader of texts of at most so many characters."""

    def read(text: str) -> str | None:
        if not text:
            return None
        if len(text) > limit:
            raise Unreadable(
                "text-too-long", f"{len(text)} characters are more than the {limit} allowed"
            )
        if _CONTROL.search(text):
            raise Unreadable("control-character", "the text holds a control character")
        return text

    return read


def identifier(prefix: str) -> Reader:
    """A reader of record ids, which puts the prefix before them."""

    def read(text: str) -> str | None:
        if not text:
            return None
        if len(text) > ID_CHARS_MAX:
            raise Unreadable("text-too-long", f"an id has at most {ID_CHARS_MAX} characters")
        if not text.isprintable():
            raise Unreadable("control-character", "the id holds an unprintable character")
        return prefix + text

    return read


def amount_in(currency: str | None) -> Reader:
    """A reader of amounts in a currency, or in one that is told elsewhere."""

    def read(text: str) -> Amount | None:
        return Amount(decimal(text), currency) if text else None

    return read


def decimal(text: str) -> Decimal:
    """Read an amount.

    Raises:
        Unreadable: `invalid-amount`, `negative-amount`, `amount-too-large`.
    """
    try:
        value = parse_amount(_plain_digits(text))
    except InvalidInput as error:
        raise Unreadable(error.code, error.message) from None
    if value < 0:
        raise Unreadable("negative-amount", "an amount cannot be negative")
    return value


def _plain_digits(text: str) -> str:
    if _PLAIN.match(text):
        return text
    bare = _SIGNS.sub("", text).strip()
    if _PLAIN.match(bare):
        return bare
    if found := _GROUPED.match(bare):
        bare = bare.replace(found[1], "")
        return bare.replace(",", ".")
    if _COMMA_DECIMAL.match(bare):
        return bare.replace(",", ".")
    raise Unreadable("invalid-amount", "not an amount")


def percent(text: str) -> int | None:
    """Read a probability, rounded to whole percent."""
    if not text:
        return None
    try:
        value = round(Decimal(text.rstrip("% ")))
    except (ArithmeticError, ValueError):
        raise Unreadable("invalid-probability", "not a percentage") from None
    if not 0 <= value <= 100:
        raise Unreadable("invalid-probability", "a probability is from 0 to 100 percent")
    return value


def boolean(text: str) -> bool | None:
    """Read a flag."""
    if not text:
        return None
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise Unreadable("invalid-flag", "neither true nor false")
    return value


def email(text: str) -> str | None:
    """Read an e-mail address; none when it is not one, for that is no reason to lose a person."""
    return text if _EMAIL.match(text) else None
