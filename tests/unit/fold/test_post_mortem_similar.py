"""The won deal most like another: the same playbook, gates and amount band."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from projections.fold.settings import LedgerSettings
from projections.similar import band_as_dict, compared_as_dict, half_decade, most_similar_won
from tests.unit.domain.builders import money, payload
from tests.unit.fold.reviewing import Story

DOLLARS = LedgerSettings(reporting_currency="USD", rates={("EUR", "USD"): Decimal("1.20")})


@pytest.mark.parametrize(
    ("amount", "rate", "band"),
    [
        ("0.000001", "1", -12), ("1", "1", 0), ("3.162277", "1", 0), ("3.162278", "1", 1),
        ("9.999999", "1", 1), ("10", "1", 2), ("31622.776601", "1", 8), ("31622.776602", "1", 9),
        ("99999.999999", "1", 9), ("100000", "1", 10), ("999999999999999", "1", 29),
        ("999999999999999.999999", "1", 29), ("1000000000000000", "1", 30),
        ("83333.33", "1.20", 9), ("83333.34", "1.20", 10),
    ],
)  # fmt: skip
def test_a_band_is_half_a_decade_and_exact(amount: str, rate: str, band: int) -> None:
    assert half_decade(Decimal(amount), Decimal(rate)) == band


def test_a_band_says_where_it_begins_and_ends() -> None:
    assert band_as_dict(9, DOLLARS) == {
        "half_decade": 9, "from": "31622.78", "below": "100000.00", "currency": "USD",
    }  # fmt: skip
    assert band_as_dict(None, DOLLARS) is None


def won(deal: str, through: int, *, outcome: str = "won", **fields: Any) -> Story:
    """A deal decided on 1 March that got through so many gates on its evidence."""
    story = Story(deal, **fields)
    for criterion, day in [
        ("fit_confirmed", "2026-01-08"), ("price_seen", "2026-02-18"),
        ("contract_back", "2026-02-25"),
    ][:through]:  # fmt: skip
        story.shows(criterion, day)
    story.closes(outcome, "2026-03-01")
    return story


def most_similar(story: Story, *others: Story, settings: LedgerSettings = DOLLARS) -> str | None:
    deals = [other.book_deal() for other in others]
    found = most_similar_won(story.book_deal(), deals, settings)
    return None if found is None else found.deal_id


def lost(through: int = 1, **fields: Any) -> Story:
    return won("L", through, outcome="lost", **fields)


def test_the_won_deal_that_reached_the_same_gates_and_the_fewest_besides() -> None:
    assert most_similar(lost(1), won("A", 3), won("C", 1), won("B", 1)) == "B"
    assert most_similar(lost(2), won("A", 3), won("B", 1)) == "A"


def test_no_won_deal_is_like_one_that_came_further() -> None:
    assert most_similar(lost(2), won("A", 1)) is None


def test_a_deal_in_another_band_is_not_similar() -> None:
    assert most_similar(lost(), won("A", 1, amount=money("99999.99"))) is None
    assert most_similar(lost(), won("A", 1, amount=money("316227.76"))) == "A"
    assert most_similar(lost(), won("A", 1, amount=money("316227.77"))) is None


def test_bands_are_compared_in_the_reporting_currency() -> None:
    assert most_similar(lost(), won("A", 1, amount=money("83333.34", "EUR"))) == "A"
    assert most_similar(lost(), won("A", 1, amount=money("83333.33", "EUR"))) is None
    assert most_similar(lost(), won("A", 1, amount=money("150000", "GBP"))) is None, "no rate"


@pytest.mark.parametrize("amount", [None, money("0.00")])
def test_a_deal_without_an_amount_is_like_no_other(amount: dict[str, str] | None) -> None:
    assert most_similar(lost(amount=amount), won("A", 1, amount=amount)) is None


def test_only_won_deals_are_looked_at_and_never_the_deal_itself() -> None:
    assert most_similar(lost(), won("A", 1, outcome="no_decision"), lost()) is None
    assert most_similar(won("A", 1), won("A", 1)) is None


def test_without_a_reporting_currency_nothing_is_similar() -> None:
    assert most_similar(lost(), won("A", 1), settings=LedgerSettings()) is None


def test_side_by_side_stand_the_days_at_each_gate_and_the_pieces_of_evidence() -> None:
    story, other = lost(1), won("A", 3, name="Like it")
    other.record(payload("deal-reopened"), "2026-03-02")
    other.closes("won", "2026-03-04")
    other.shows("handover_done", "2026-04-01")
    answer = compared_as_dict(story.book_deal(), other.book_deal(), DOLLARS)
    assert (answer["deal"], answer["name"], answer["amount"]) == ("A", "Like it", "100000.00")
    assert answer["this"] == {"evidence": 1, "days": 55.0}
    assert answer["that"] == {"evidence": 3, "days": 58.0}
    assert answer["gates"] == [
        {"gate": "problem", "this": 3.0, "that": 3.0},
        {"gate": "price", "this": 52.0, "that": 41.0},
        {"gate": "sign", "this": None, "that": 7.0},
    ]
