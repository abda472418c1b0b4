"""Lines say at each point what decimals, added up there by themselves, come to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from ledger.domain.basis import Basis
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.money import conversion_rate, format_amount, round_to_minor_unit
from projections.along import Point
from projections.fold.accounts import units
from projections.fold.settings import LedgerSettings
from projections.lines import Lines
from projections.tally import Cell, CellKey

CALENDAR = FiscalCalendar()
PERIOD = CALENDAR.period("2026")
START = datetime(2026, 1, 1, tzinfo=UTC)
KEY: CellKey = (("ann",), "claimed", "commit")
CURRENCIES = ("EUR", "JPY", "KWD", "USD")


def settings(to: str | None, **rates: str) -> LedgerSettings:
    """Rates by pairs such as EUR_USD."""
    pairs = {(each[:3], each[4:]): Decimal(rate) for each, rate in rates.items()}
    return LedgerSettings(calendar=CALENDAR, reporting_currency=to, rates=pairs)


def points(each: list[LedgerSettings]) -> list[Point]:
    return [
        Point(date(2026, 1, 1), Basis(START + timedelta(n), START + timedelta(n), 1), its, PERIOD)
        for n, its in enumerate(each)
    ]


def told(lines: Lines) -> dict[str, Any]:
    [line] = lines.as_dicts(("owner",))
    return line


def amount_at(held: dict[str, Decimal], its: LedgerSettings) -> str:
    """As `Forecast.amount` makes it."""
    to = its.reporting_currency
    if to is None:
        return "0"
    total = Decimal(0)
    for currency, amount in held.items():
        rate = conversion_rate(currency, to, its.rates)
        total += amount * rate if rate is not None else 0
    return format_amount(round_to_minor_unit(total, to))


ERAS = [
    settings("USD", EUR_USD="1.07", JPY_USD="0.0065", USD_KWD="0.31"),
    settings("USD", EUR_USD="1.0815", USD_JPY="151.37"),
    settings("JPY", EUR_JPY="160", USD_JPY="150", KWD_JPY="3E+2"),
    settings("KWD", EUR_KWD="0.333333333333", USD_KWD="0.000000000001"),
    settings(None),
]


@pytest.mark.parametrize("seed", range(12))
def test_a_line_is_what_is_held_at_each_point_at_its_own_rates(seed: int) -> None:
    random = Random(seed)
    along = sorted(random.choices(range(len(ERAS)), k=random.randrange(1, 30)))
    each = [ERAS[index] for index in along]
    lines = Lines(points(each))
    came: list[tuple[int, str, Decimal]] = []
    for _ in range(12):
        currency = random.choice(CURRENCIES)
        at = [random.randrange(len(each)) for _ in range(random.randrange(6))]
        amounts = [Decimal(random.randrange(-(10**9), 10**9)) / 10**6 for _ in at]
        lines.add(KEY, currency, at, [units(amount) for amount in amounts], [1] * len(at))
        came += zip(at, [currency] * len(at), amounts, strict=True)
    lines.add(KEY, None, [0], [0], [1])
    line = told(lines)
    for index, its in enumerate(each):
        held: dict[str, Decimal] = {}
        for at_point, currency, amount in came:
            if at_point <= index:
                held[currency] = held.get(currency, Decimal(0)) + amount
        assert line["amounts"][index] == amount_at(held, its)
        assert line["deals"][index] == 1 + sum(1 for at_point, _, _ in came if at_point <= index)
        to = its.reporting_currency
        missing = [
            currency
            for currency, amount in held.items()
            if amount and (to is None or conversion_rate(currency, to, its.rates) is None)
        ]
        assert lines.unconverted(index) == sorted(missing)


@pytest.mark.parametrize(
    "amount",
    ["0.005", "0.015", "0.025", "-0.005", "-0.015", "-0.004", "-0.006", "0.004999", "0.005001",
     "-1.005", "-99.995", "9.995", "12", "-12", "0", "123456789012345.675"],
)  # fmt: skip
@pytest.mark.parametrize("currency", CURRENCIES)
def test_a_line_is_rounded_once_and_to_even(amount: str, currency: str) -> None:
    its = settings(currency)
    lines = Lines(points([its, its]))
    lines.add(KEY, currency, [1], [units(Decimal(amount))], [1])
    nothing = amount_at({}, its)
    assert told(lines)["amounts"] == [nothing, amount_at({currency: Decimal(amount)}, its)]


def test_amounts_of_more_decimals_than_deals_have_stay_exact() -> None:
    its = settings("USD", EUR_USD="1.1")
    lines = Lines(points([its, its, its]))
    key: CellKey = (("ann",), "adjusted", "commit")
    fine = Decimal("0.0049999999999999")
    first = {key: Cell({"USD": fine}, 0)}
    second = {key: Cell({"USD": fine, "EUR": Decimal("0.00000000000001")}, 0)}
    lines.change(0, {}, first)
    lines.change(1, first, second)
    lines.change(2, second, {})
    line = told(lines)
    assert line["amounts"] == ["0.00", "0.01", "0.00"]
    assert line["deals"] is None


def test_a_line_that_is_always_empty_is_left_out() -> None:
    lines = Lines(points([ERAS[0], ERAS[0]]))
    lines.add(KEY, "USD", [0, 0], [units(Decimal(5)), -units(Decimal(5))], [1, -1])
    assert lines.as_dicts(("owner",)) == []
