"""Rows of accounts in the reporting currency, in whole numbers all the way.

Law: what is told of a row is what `Forecast.amount` says of the same sums: exact amounts at the
rates of the basis, added and rounded once, half-even. What has no rate is in no amount. A rate is a
decimal, so with enough zeros it is a whole number as the amounts are.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from operator import add

from ledger.domain.money import minor_units
from projections.fold.accounts import DECIMALS, LINES, WIDTH, Line, Row
from projections.fold.sums import spelt


class Conversion:
    """Tells rows in a currency.

    Args:
        to: the reporting currency; None while there is none, and then amounts are 0.
        rates: the factor to it, by currency.
    """

    def __init__(self, to: str | None, rates: Mapping[str, Decimal]) -> None:
        decimals = max(map(decimals_of, rates.values()), default=0)
        self._factors: dict[str | None, int] = {
            currency: whole(rate, decimals) for currency, rate in rates.items()
        }
        self._telling = telling(to, DECIMALS + decimals)

    def told(self, by_currency: Mapping[str | None, Row]) -> list[tuple[Line, str, int]]:
        """The lines in which deals are left: (line, amount, deals).

        Args:
            by_currency: rows, by the currency of their amounts.
        """
        unit, places = self._telling
        counts = [0] * WIDTH
        converted: list[tuple[int, Row]] = []
        for currency, row in by_currency.items():
            counts = [*map(add, counts, row[WIDTH:])]
            factor = self._factors.get(currency)
            if factor is not None:
                converted.append((factor, row))
        found: list[tuple[Line, str, int]] = []
        for index in range(WIDTH):
            deals = counts[index]
            if deals != 0:
                total = 0
                for factor, row in converted:
                    total += factor * row[index]
                found.append((LINES[index], spelt(total, unit, places), deals))
        return found


def decimals_of(number: Decimal) -> int:
    """How many decimals a finite number has."""
    return max(0, -int(number.as_tuple().exponent))


def whole(number: Decimal, decimals: int) -> int:
    """A number as a whole one, in units of a decimal that is not before its last."""
    return int(number.scaleb(decimals))


def telling(to: str | None, decimals: int) -> tuple[int, int]:
    """The unit and the places by which exact amounts are told; see `spelt`.

    Args:
        to: the reporting currency; None while there is none, and then amounts are 0.
        decimals: of the amounts, which are whole numbers of the last one.
    """
    if to is None:
        return 0, 0
    places = minor_units(to)
    return 10 ** (decimals - places), places
