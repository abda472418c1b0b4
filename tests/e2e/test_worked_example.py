"""The worked example, with the numbers written out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.asof import AsOf
from api.door import Door
from ledger.config import Settings
from ledger.domain.money import format_amount
from ledger.store.database import Database
from tests.e2e.worked import END, PERIOD

CATEGORIES = ["omitted", "pipeline", "best_case", "commit", "closed"]


@pytest.fixture(scope="module")
def door(worked_settings: Settings) -> Iterator[Door]:
    with Database(worked_settings) as database:
        yield Door(database, worked_settings)


def forecast(door: Door, asked: AsOf, *group_by: str) -> dict[str, Any]:
    with door.book(asked) as book:
        return book.forecast(book.period(PERIOD), group_by).as_dict()


def amounts(measures: dict[str, Any], measure: str) -> list[str]:
    """By category, from omitted to closed."""
    assert list(measures[measure]) == CATEGORIES
    return [measures[measure][category]["amount"] for category in CATEGORIES]


def deals(measures: dict[str, Any], measure: str) -> list[int | None]:
    return [measures[measure][category]["deals"] for category in CATEGORIES]


def test_the_end_of_the_quarter_as_known_then(door: Door) -> None:
    measures = forecast(door, AsOf(END))["measures"]
    assert amounts(measures, "claimed") == [
        "40000.00",  # D, lost as was believed
        "0.00",  # G has no amount
        "60000.00",  # B: 50000.00 EUR at 1.20; that it had grown was not known yet
        "42000.60",  # C 30000.00, and E, reopened: 10000.50 EUR at 1.20 is 12000.60
        "100000.00",  # A, won
    ]
    assert deals(measures, "claimed") == [1, 1, 1, 2, 1]
    assert amounts(measures, "closed") == ["0.00", "0.00", "0.00", "0.00", "100000.00"]
    assert deals(measures, "closed") == [0, 0, 0, 0, 1]  # E's win was undone
    assert amounts(measures, "called") == ["0.00", "0.00", "66000.00", "120000.00", "0.00"]
    assert amounts(measures, "adjusted") == ["0.00", "0.00", "66000.00", "60000.00", "0.00"]
    assert deals(measures, "called") == [None] * 5
    assert measures["claimed"]["commit"]["by_currency"] == {"EUR": "10000.50", "USD": "30000.00"}


def test_the_same_day_in_hindsight(door: Door) -> None:
    measures = forecast(door, AsOf(END, known_at="now"))["measures"]
    assert amounts(measures, "claimed") == [
        "0.00",  # D was never lost
        "47000.00",  # G without an amount, D 40000.00, F 7000.00 recorded years late
        "72000.00",  # B had grown on 25 March: 60000.00 EUR at 1.20
        "45000.60",  # C corrected to 33000.00, and E 12000.60
        "100000.00",  # A
    ]
    assert deals(measures, "claimed") == [0, 3, 1, 2, 1]
    assert amounts(measures, "adjusted") == ["0.00", "0.00", "66000.00", "60000.00", "0.00"]


def test_what_was_said_in_april_about_that_day(door: Door) -> None:
    measures = forecast(door, AsOf(valid_at=END, known_at="2025-04-02"))["measures"]
    # B's growth is known by then; nothing that was written here is.
    assert amounts(measures, "claimed") == [
        "40000.00", "0.00", "72000.00", "42000.60", "100000.00",
    ]  # fmt: skip


def test_only_what_was_witnessed_here(door: Door) -> None:
    answer = forecast(door, AsOf(END, known_at="now", witnessed_only=True))
    # F alone; the correction and the retraction have nothing to act on, nobody set a rate.
    assert amounts(answer["measures"], "claimed") == ["0.00", "7000.00", "0.00", "0.00", "0.00"]
    assert deals(answer["measures"], "claimed") == [0, 1, 0, 0, 0]
    assert amounts(answer["measures"], "called") == ["0.00"] * 5
    assert (answer["currency"], answer["without_amount"]) == ("USD", [])
    then = forecast(door, AsOf(END, witnessed_only=True))
    assert then["currency"] is None  # nothing was witnessed then
    assert amounts(then["measures"], "claimed") == ["0"] * 5


def test_a_month_earlier(door: Door) -> None:
    measures = forecast(door, AsOf("2025-02-28"))["measures"]
    assert amounts(measures, "claimed") == [
        "0.00",
        "40000.00",  # D is open, and G without an amount
        "55000.00",  # B: 50000.00 EUR at 1.10
        "130000.00",  # A is open: 100000.00, C 30000.00
        "11000.55",  # E had been won: 10000.50 EUR at 1.10
    ]
    assert deals(measures, "claimed") == [0, 2, 1, 2, 1]
    assert amounts(measures, "closed")[-1] == "11000.55"
    assert amounts(measures, "called") == ["0.00"] * 5


def test_a_haircut_ends_when_it_expires(door: Door) -> None:
    measures = forecast(door, AsOf("2025-04-01"))["measures"]
    assert measures["adjusted"]["commit"]["amount"] == "120000.00"
    before = forecast(door, AsOf("2025-03-04"))["measures"]
    assert before["adjusted"]["commit"]["amount"] == "120000.00"


@pytest.mark.parametrize("dimensions", [("owner",), ("team", "category"), ("currency",)])
def test_groups_add_up_to_the_whole(door: Door, dimensions: tuple[str, ...]) -> None:
    with door.book(AsOf(END, known_at="now")) as book:
        found = book.forecast(book.period(PERIOD), dimensions)
    for measure in ("claimed", "called", "adjusted", "closed"):
        for category in CATEGORIES:
            parts = [found.amount(found.cell(measure, category, key)) for key in found.groups()]
            assert sum(parts) == found.amount(found.cell(measure, category))


def test_groups_by_owner(door: Door) -> None:
    ann, bob = forecast(door, AsOf(END), "owner", "team")["groups"]
    assert (ann["key"], bob["key"]) == (
        {"owner": "ann", "team": "East"},
        {"owner": "bob", "team": "West"},
    )
    assert amounts(ann["measures"], "claimed") == ["0.00", "0.00", "0.00", "42000.60", "100000.00"]
    assert amounts(bob["measures"], "claimed") == ["40000.00", "0.00", "60000.00", "0.00", "0.00"]
    assert amounts(ann["measures"], "adjusted")[3] == "60000.00"
    assert amounts(bob["measures"], "called")[2] == "66000.00"


def test_calls_have_no_segment(door: Door) -> None:
    (group,) = forecast(door, AsOf(END), "segment")["groups"]
    assert group["key"] == {"segment": None}
    assert (group["measures"]["called"], group["measures"]["adjusted"]) == (None, None)
    assert deals(group["measures"], "claimed") == [1, 1, 1, 2, 1]


def test_a_currency_without_a_rate_is_named_and_not_guessed(door: Door) -> None:
    answer = forecast(door, AsOf(valid_at="2025-03-31", known_at="now", horizon=5))
    # Up to position 5: the first rate, two people, A and B.
    assert answer["measures"]["claimed"]["pipeline"]["amount"] == "155000.00"
    with door.book(AsOf("2024-12-31", known_at="now")) as book:
        assert book.settings.rates == {}
        assert list(book.deals()) == []


def test_receipts_name_the_act_that_made_a_value_what_it_is(door: Door) -> None:
    with door.book(AsOf(END, known_at="now")) as book:
        corrected = book.deal("C").claimed
        cause = corrected.cause("amount")
        assert cause is not None
        event = book.causes({cause})[cause]
        amount = corrected.amount
    assert event["type"] == "event-corrected"
    assert amount is not None
    assert format_amount(amount.amount) == "33000.00"
