"""Money: an exact decimal and an ISO 4217 currency.

Law: money is never a float. Amounts are added exactly and rounded once, at the end, half-even, to
the currency's minor unit. A conversion uses the rate that is known and valid at the basis. So that
nothing is rounded on the way, all of the process calculates with `DIGITS`: the 28 of the standard
library are too few for sums of the largest amounts at the largest rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DefaultContext,
    InvalidOperation,
    getcontext,
)
from functools import lru_cache
from typing import NamedTuple

from ledger.domain.errors import InvalidInput

AMOUNT_MAX = Decimal(999999999999999)
AMOUNT_DECIMALS_MAX = 6

DIGITS = 100
DefaultContext.prec = DIGITS  # of threads to come
getcontext().prec = DIGITS  # of this one

_INVERSE = Context(prec=28)
"""How exact a rate is that is known only the other way round."""


class Money(NamedTuple):
    """An amount in a currency. Events carry it as `{"amount": "120000.00", "currency": "USD"}`."""

    amount: Decimal
    currency: str


@lru_cache(maxsize=512)
def minor_units(currency: str) -> int:
    """How many decimals a currency has: 2 for USD, 0 for JPY, 3 for KWD.

    Raises:
        InvalidInput: `unknown-currency`.
    """
    from iso4217 import Currency  # noqa: PLC0415 - reading its tables takes 70 ms: only when asked

    try:
        exponent = Currency(currency).exponent
    except ValueError:
        exponent = None
    if exponent is None:
        raise InvalidInput(
            "unknown-currency",
            f"{currency!r} is not a currency of ISO 4217 that is paid in",
            hint="use a code such as USD",
        )
    return int(exponent)


def parse_amount(text: str) -> Decimal:
    """Read a decimal amount: digits, an optional point, at most six decimals, any sign.

    Raises:
        InvalidInput: `invalid-amount`, `amount-too-large`.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or "_" in text or not text.isascii():
        raise InvalidInput(
            "invalid-amount", f"{text!r} is not an amount", hint="write it like 120000.00"
        )
    if abs(amount) > AMOUNT_MAX or -int(amount.as_tuple().exponent) > AMOUNT_DECIMALS_MAX:
        raise InvalidInput(
            "amount-too-large",
            f"{text!r} is out of range: at most {AMOUNT_MAX} with {AMOUNT_DECIMALS_MAX} decimals",
        )
    return amount + 0  # one spelling: no negative zero, no exponent


def format_amount(amount: Decimal) -> str:
    """Write a decimal plainly, without an exponent."""
    return format(amount, "f")


def round_to_minor_unit(amount: Decimal, currency: str) -> Decimal:
    """Round half-even to what can be paid in that currency; nothing has no sign."""
    return amount.quantize(_unit(currency), rounding=ROUND_HALF_EVEN) + 0


@lru_cache(maxsize=512)
def _unit(currency: str) -> Decimal:
    """The minor unit of a currency in units of it: 0.01 for USD."""
    return Decimal(1).scaleb(-minor_units(currency))


Rates = Mapping[tuple[str, str], Decimal]
"""(from, to) -> how many units of `to` one unit of `from` buys, as known and valid at a basis."""


def conversion_rate(currency: str, to: str, rates: Rates) -> Decimal | None:
    """The factor from one currency to another: given directly, or by its inverse; else None."""
    if currency == to:
        return Decimal(1)
    direct = rates.get((currency, to))
    if direct is not None:
        return direct
    inverse = rates.get((to, currency))
    return None if inverse is None else _INVERSE.divide(Decimal(1), inverse)
