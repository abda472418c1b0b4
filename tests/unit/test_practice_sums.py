"""Sums, shares and medians of the practice, and the meetings before a first debrief."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.money import Money
from projections.debriefs import Covered, First, covered, median
from projections.fold.claims import claimed_deal
from projections.fold.settings import LedgerSettings
from projections.reporting import converted, percent_of, spelled, summed
from tests.unit.domain.builders import Log, opened, payload
from tests.unit.domain.builders import spelled as at_noon

EUR = LedgerSettings(
    reporting_currency="USD",
    rates={("EUR", "USD"): Decimal("1.105"), ("USD", "JPY"): Decimal(150)},
)


def money(amount: str, currency: str) -> Money:
    return Money(Decimal(amount), currency)


def test_amounts_are_added_exactly_and_rounded_once_half_even() -> None:
    parts = [money("0.10", "EUR"), money("0.10", "EUR"), None, money("0.004", "USD")]
    assert summed(parts, EUR) == Decimal("0.225")
    assert spelled(summed(parts, EUR), EUR) == "0.22"


def test_what_has_no_rate_has_no_reporting_amount_and_stays_out_of_sums() -> None:
    assert converted(money("5", "CHF"), EUR) is None
    assert summed([money("5", "CHF"), money("1", "USD")], EUR) == Decimal(1)
    assert converted(money("5", "USD"), LedgerSettings()) is None
    assert spelled(None, EUR) is None


@pytest.mark.parametrize(
    ("part", "whole", "share"),
    [(1, 3, "33.3"), (2, 3, "66.7"), (1, 2000, "0.0"), (3, 2000, "0.2"), (0, 5, "0.0")],
)
def test_a_share_has_one_decimal_half_even(part: int, whole: int, share: str) -> None:
    assert percent_of(part, whole) == share
    assert percent_of(part, 0) is None


@pytest.mark.parametrize(
    ("numbers", "middle"),
    [([], None), ([7], "7"), ([3, 1, 2], "2"), ([1, 4], "2.5"), ([1, 3], "2"), ([0, 0], "0")],
)
def test_a_median_is_the_middle_or_halfway_between_two(
    numbers: list[int], middle: str | None
) -> None:
    assert median(numbers) == middle


def debriefed(**held: Any) -> Covered:
    log = Log()
    log.record(opened(owner="ann"), "2026-01-01")
    for day, kind in (("02", "meeting"), ("02", "meeting"), ("05", "call"), ("06", "email"),
                      ("20", "meeting")):  # fmt: skip
        told = payload(
            "evidence-recorded", criterion="fit", stance="supports", source_kind=kind, said_by="cho"
        )
        log.record(told, f"2026-01-{day}")
    log.record(payload("debrief-held", reviewer="mia", **held), "2026-01-15")
    log.record(payload("debrief-held", reviewer="mia"), "2026-02-15")
    deal = claimed_deal("D1", log.events, at_noon("2026-03-01"))
    assert deal is not None
    return covered(deal, log.events, at_noon("2026-03-01"), FiscalCalendar())


def test_the_meetings_before_the_first_debrief_are_those_that_evidence_tells_of_each_once() -> None:
    assert debriefed().first == First(days=14, meetings=2, said_so=False, told_by=(2, 4))


def test_what_the_debrief_itself_says_of_meetings_goes_before_evidence() -> None:
    assert debriefed(meetings_before=5).first == First(14, 5, said_so=True, told_by=())
