"""Money: exact, rounded once, half-even, to what can be paid."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.errors import InvalidInput
from ledger.domain.money import (
    AMOUNT_MAX,
    conversion_rate,
    format_amount,
    minor_units,
    parse_amount,
    round_to_minor_unit,
)

amounts = st.decimals(-AMOUNT_MAX, AMOUNT_MAX, places=6)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "USD", "0.00"), ("0.015", "USD", "0.02"), ("0.025", "USD", "0.02"),
        ("0.0251", "USD", "0.03"), ("-0.025", "USD", "-0.02"), ("1", "USD", "1.00"),
        ("0.5", "JPY", "0"), ("1.5", "JPY", "2"), ("2.5", "JPY", "2"), ("1234", "JPY", "1234"),
        ("0.0005", "KWD", "0.000"), ("0.0015", "KWD", "0.002"), ("1.2345", "KWD", "1.234"),
    ],
)  # fmt: skip
def test_money_is_rounded_half_even_to_its_minor_unit(
    amount: str, currency: str, rounded: str
) -> None:
    assert format_amount(round_to_minor_unit(Decimal(amount), currency)) == rounded


@pytest.mark.parametrize(("currency", "units"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_a_currency_knows_its_minor_unit(currency: str, units: int) -> None:
    assert minor_units(currency) == units


@pytest.mark.parametrize("currency", ["", "usd", "XXX", "XTS", "XAU", "BTC", "DEM", "US Dollar"])
def test_what_is_not_paid_in_is_no_currency(currency: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        minor_units(currency)
    assert caught.value.code == "unknown-currency"


@given(amounts)
def test_an_amount_reads_back_as_it_was_written(amount: Decimal) -> None:
    again = parse_amount(format_amount(amount))
    assert again == amount
    assert "E" not in format_amount(again)
    assert parse_amount(str(amount)) == amount


@given(st.lists(amounts, max_size=50))
def test_sums_do_not_drift_whatever_the_order(parts: list[Decimal]) -> None:
    forwards = sum(parts, Decimal(0))
    scaled = sum(int(part.scaleb(6)) for part in parts)
    backwards = sum(reversed(parts), Decimal(0))
    assert forwards == backwards == Decimal(scaled).scaleb(-6)


@given(amounts, st.sampled_from(["USD", "JPY", "KWD"]))
def test_rounding_moves_an_amount_by_at_most_half_a_unit_and_only_once(
    amount: Decimal, currency: str
) -> None:
    rounded = round_to_minor_unit(amount, currency)
    assert abs(rounded - amount) <= Decimal("0.5").scaleb(-minor_units(currency))
    assert round_to_minor_unit(rounded, currency) == rounded


def test_a_rate_is_given_directly_or_by_its_inverse() -> None:
    rates = {("EUR", "USD"): Decimal("1.25")}
    assert conversion_rate("EUR", "USD", rates) == Decimal("1.25")
    assert conversion_rate("USD", "EUR", rates) == Decimal("0.8")
    assert conversion_rate("EUR", "EUR", {}) == 1
    assert conversion_rate("GBP", "USD", rates) is None


def test_the_direct_rate_goes_before_the_inverse() -> None:
    rates = {("EUR", "USD"): Decimal("1.25"), ("USD", "EUR"): Decimal("0.9")}
    assert conversion_rate("USD", "EUR", rates) == Decimal("0.9")


@given(
    st.decimals("0.01", "1000000", places=2),
    st.decimals("0.0001", "10000", places=4),
)
def test_there_and_back_is_the_same_to_the_cent(amount: Decimal, rate: Decimal) -> None:
    rates = {("EUR", "USD"): rate}
    there = conversion_rate("EUR", "USD", rates)
    back = conversion_rate("USD", "EUR", rates)
    assert there is not None
    assert back is not None
    assert round_to_minor_unit(amount * there * back, "EUR") == amount
