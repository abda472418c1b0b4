"""Sums in the reporting currency, and shares of them, as answers state them.

Law: amounts are added exactly in their own currency, converted at the rate known and valid at the
basis, and rounded once, half-even. What has no rate is not guessed: it has no reporting amount, and
stays out of sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from ledger.domain.money import Money, conversion_rate, format_amount, round_to_minor_unit
from projections.fold.settings import LedgerSettings


def converted(amount: Money | None, settings: LedgerSettings) -> Decimal | None:
    """An amount in the reporting currency, exact; None without an amount or a rate."""
    to = settings.reporting_currency
    if amount is None or to is None:
        return None
    rate = conversion_rate(amount.currency, to, settings.rates)
    return None if rate is None else amount.amount * rate


def summed(amounts: Iterable[Money | None], settings: LedgerSettings) -> Decimal:
    """The exact sum of some amounts in the reporting currency."""
    by_currency: dict[str, Decimal] = {}
    for amount in amounts:
        if amount is not None:
            so_far = by_currency.get(amount.currency, Decimal(0))
            by_currency[amount.currency] = so_far + amount.amount
    return sum(
        (
            converted(Money(amount, currency), settings) or Decimal(0)
            for currency, amount in sorted(by_currency.items())
        ),
        Decimal(0),
    )


def rounded(amount: Decimal, settings: LedgerSettings) -> Decimal:
    """An exact sum rounded once to the reporting currency's minor unit."""
    currency = settings.reporting_currency
    return amount if currency is None else round_to_minor_unit(amount, currency)


def spelled(amount: Decimal | None, settings: LedgerSettings) -> str | None:
    """An exact sum as a decimal string, rounded once."""
    return None if amount is None else format_amount(rounded(amount, settings))


def own_amount(amount: Money | None) -> dict[str, Any]:
    """An amount in its own currency, as rows carry it."""
    return {
        "amount": None if amount is None else format_amount(amount.amount),
        "currency": None if amount is None else amount.currency,
    }


def percent_of(part: Decimal | int, whole: Decimal | int) -> str | None:
    """A share in percent with one decimal, half-even; None of nothing."""
    if not whole:
        return None
    share = Decimal(100) * Decimal(part) / Decimal(whole)
    return format_amount(share.quantize(Decimal("0.1"), rounding=ROUND_HALF_EVEN))
