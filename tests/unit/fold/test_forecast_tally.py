"""The forecast of a period: which deals count, and sums that are exact however they are made."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.errors import InvalidInput
from ledger.domain.money import Money
from projections.fold.calls import Call
from projections.fold.claims import ClaimedDeal, claimed_deal, counting_day
from projections.fold.people import Account, Person
from projections.fold.rulebook import PlaybookHistory
from projections.fold.settings import LedgerSettings
from projections.forecast import (
    Directory,
    Forecast,
    check_group_by,
    counts_in,
    tally_calls,
    tally_deals,
)
from projections.qualified import BookDeal, Judge
from projections.tally import Tally
from tests.unit.domain.builders import Log, basis_of, money, opened, payload, spelled

CALENDAR = FiscalCalendar()
Q1 = CALENDAR.period("2026-Q1")
DIRECTORY = Directory(
    {
        "ann": Person("ann", "Ann", manager="mia", team="North"),
        "ben": Person("ben", "Ben", manager="mia", team="South"),
    },
    {"acme": Account("acme", "Acme", dimensions={"segment": "mid", "region": "emea"})},
)
RATES = {("EUR", "USD"): Decimal("1.1"), ("USD", "GBP"): Decimal("0.7")}
SETTINGS = LedgerSettings(CALENDAR, "USD", RATES)


def deal(deal_id: str = "D", *, outcome: str | None = None, category: str | None = None,
         closed_on: str = "2026-02-01", **fields: Any) -> ClaimedDeal:  # fmt: skip
    log = Log()
    log.record(opened(**fields), "2026-01-01")
    if category is not None:
        log.record(payload("category-claimed", category=category), "2026-01-02")
    if outcome is not None:
        log.record(payload("deal-closed", outcome=outcome), closed_on)
    made = claimed_deal(deal_id, log.events, spelled("2026-12-31"))
    assert made is not None
    return made


NO_PLAYBOOK = Judge(spelled("2026-12-31"), PlaybookHistory([], spelled("2026-12-31")), {})


def judged(deals: Iterable[ClaimedDeal]) -> list[BookDeal]:
    """Deals on which there is no evidence."""
    return [BookDeal(each, [], NO_PLAYBOOK) for each in deals]


def forecast(
    deals: list[ClaimedDeal],
    *group_by: str,
    calls: tuple[Call, ...] = (),
    settings: LedgerSettings = SETTINGS,
) -> dict[str, Any]:
    tally = tally_deals(judged(deals), Q1, group_by, DIRECTORY)
    tally.merge(tally_calls(calls, group_by, DIRECTORY))
    return Forecast(basis_of("2026-03-31"), Q1, settings, group_by, tally).as_dict()


# --- which deals count ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "day"),
    [
        (deal(close_date="2026-03-31"), "2026-03-31"),
        (deal(close_date="2026-03-31", outcome="won", closed_on="2026-05-01"), "2026-03-31"),
        (deal(outcome="won", closed_on="2026-03-31T23:30:00Z"), "2026-03-31"),
        (deal(outcome="lost", closed_on="2026-05-01"), "2026-05-01"),
        (deal(), None),
    ],
)
def test_a_deal_counts_on_its_close_date_else_on_the_day_it_closed(
    made: ClaimedDeal, day: str | None
) -> None:
    assert counting_day(made, CALENDAR) == day


def test_the_day_it_closed_is_that_of_the_reporting_time_zone() -> None:
    late = deal(outcome="won", closed_on="2026-03-31T23:30:00Z")
    berlin = FiscalCalendar(time_zone="Europe/Berlin")
    assert counting_day(late, berlin) == "2026-04-01"
    assert counts_in(late, Q1, CALENDAR)
    assert not counts_in(late, Q1, berlin)


@pytest.mark.parametrize(
    ("day", "counts"),
    [("2025-12-31", False), ("2026-01-01", True), ("2026-03-31", True), ("2026-04-01", False)],
)
def test_both_ends_of_a_period_are_in_it(day: str, counts: bool) -> None:
    assert counts_in(deal(close_date=day), Q1, CALENDAR) is counts


def test_deals_without_a_date_or_an_amount_are_listed() -> None:
    answer = forecast(
        [
            deal("undated", amount=money("5")),
            deal("b-priceless", close_date="2026-02-01", category="commit"),
            deal("a-priceless", close_date="2026-02-01", category="commit"),
            deal("later-priceless", close_date="2026-07-01"),
        ]
    )
    assert answer["without_close_date"] == ["undated"]
    assert answer["without_amount"] == ["a-priceless", "b-priceless"]
    assert answer["measures"]["claimed"]["commit"] == {
        "amount": "0.00",
        "deals": 2,
        "by_currency": {},
    }


# --- measures -------------------------------------------------------------------------------------


def test_claimed_counts_every_category_and_closed_only_what_was_won() -> None:
    facts: dict[str, Any] = {"close_date": "2026-02-01", "amount": money("10")}
    answer = forecast(
        [
            deal("1", **facts),
            deal("2", category="commit", **facts),
            deal("3", category="closed", **facts),
            deal("4", outcome="won", category="commit", **facts),
            deal("5", outcome="lost", **facts),
        ]
    )
    claimed = answer["measures"]["claimed"]
    assert {category: cell["deals"] for category, cell in claimed.items()} == {
        "omitted": 1,
        "pipeline": 1,
        "best_case": 0,
        "commit": 1,
        "closed": 2,
    }
    closed = answer["measures"]["closed"]
    assert (closed["closed"]["amount"], closed["closed"]["deals"]) == ("10.00", 1)
    assert sum(cell["deals"] for cell in closed.values()) == 1


def test_amounts_are_converted_and_also_given_in_their_own_currency() -> None:
    answer = forecast(
        [
            deal("1", close_date="2026-02-01", amount=money("10", "EUR")),
            deal("2", close_date="2026-02-01", amount=money("7", "GBP")),
            deal("3", close_date="2026-02-01", amount=money("1.50")),
        ]
    )
    assert answer["measures"]["claimed"]["pipeline"] == {
        "amount": "22.50",
        "deals": 3,
        "by_currency": {"EUR": "10.00", "GBP": "7.00", "USD": "1.50"},
    }


def test_what_has_no_rate_stays_out_of_the_sum_and_is_named() -> None:
    yen = deal("1", close_date="2026-02-01", amount=money("1000", "JPY"))
    answer = forecast([yen, deal("2", close_date="2026-02-01", amount=money("1"))])
    assert answer["measures"]["claimed"]["pipeline"]["amount"] == "1.00"
    assert answer["measures"]["claimed"]["pipeline"]["by_currency"]["JPY"] == "1000"
    assert answer["unconverted"] == [
        {"measure": "claimed", "category": "pipeline", "currency": "JPY", "amount": "1000"},
        {"measure": "evidenced", "category": "omitted", "currency": "JPY", "amount": "1000"},
    ]


def test_without_a_reporting_currency_nothing_is_converted() -> None:
    made = deal("1", close_date="2026-02-01", amount=money("5"))
    answer = forecast([made], settings=LedgerSettings())
    assert answer["currency"] is None
    assert answer["measures"]["claimed"]["pipeline"]["by_currency"] == {"USD": "5.00"}
    assert {each["currency"] for each in answer["unconverted"]} == {"USD"}


def test_rounding_is_done_once_at_the_end_half_even() -> None:
    thirds = [deal(str(n), close_date="2026-02-01", amount=money("0.005")) for n in range(3)]
    assert forecast(thirds)["measures"]["claimed"]["pipeline"]["amount"] == "0.02"
    assert forecast(thirds[:1])["measures"]["claimed"]["pipeline"]["amount"] == "0.00"
    mixed = [
        deal("1", close_date="2026-02-01", amount=money("0.004")),
        deal("2", close_date="2026-02-01", amount=money("0.001", "EUR")),
    ]
    assert forecast(mixed)["measures"]["claimed"]["pipeline"]["amount"] == "0.01"


CALLS = (
    Call("ann", "commit", Money(Decimal(100), "USD"), Money(Decimal(50), "USD"), 1, 2),
    Call("ben", "commit", Money(Decimal(10), "EUR"), Money(Decimal(10), "EUR"), 3, None),
    Call("ben", "best_case", None, None, None, 4),
)


def test_called_and_adjusted_stand_side_by_side_and_count_no_deals() -> None:
    measures = forecast([], calls=CALLS)["measures"]
    assert measures["called"]["commit"]["amount"] == "111.00"
    assert measures["adjusted"]["commit"]["amount"] == "61.00"
    assert measures["called"]["commit"]["deals"] is None
    assert measures["called"]["best_case"]["by_currency"] == {}


# --- groups ---------------------------------------------------------------------------------------


def grouped(answer: dict[str, Any], measure: str, category: str) -> dict[Any, str]:
    return {
        tuple(group["key"].values()): group["measures"][measure][category]["amount"]
        for group in answer["groups"]
    }


def test_deals_and_calls_are_grouped_by_people_and_missing_values_come_last() -> None:
    facts: dict[str, Any] = {"close_date": "2026-02-01", "category": "commit", "amount": money("1")}
    deals = [deal("1", owner="ann", **facts), deal("2", owner="zed", **facts), deal("3", **facts)]
    by_team = forecast(deals, "team", calls=CALLS)
    assert grouped(by_team, "claimed", "commit") == {
        ("North",): "1.00",
        ("South",): "0.00",
        (None,): "2.00",
    }
    assert list(grouped(by_team, "called", "commit").values()) == ["100.00", "11.00", "0.00"]
    by_owner = forecast(deals, "owner", "category", calls=CALLS)
    assert list(grouped(by_owner, "claimed", "commit")) == [
        ("ann", "commit"),
        ("ben", "commit"),
        ("zed", "commit"),
        (None, "commit"),
    ]


def test_a_deals_own_dimension_goes_before_its_accounts() -> None:
    facts: dict[str, Any] = {"close_date": "2026-02-01", "account": "acme", "amount": money("1")}
    deals = [deal("1", dimensions={"segment": "large"}, **facts), deal("2", **facts)]
    answer = forecast(deals, "segment", "region")
    assert list(grouped(answer, "claimed", "pipeline")) == [("large", "emea"), ("mid", "emea")]


def test_calls_are_null_where_they_cannot_be_grouped_so() -> None:
    made = deal("1", close_date="2026-02-01", amount=money("1"))
    answer = forecast([made], "stage", calls=CALLS)
    (group,) = answer["groups"]
    assert group["measures"]["called"] is group["measures"]["adjusted"] is None
    assert group["measures"]["claimed"] is not None


def test_dimensions_are_each_taken_once_and_at_most_four() -> None:
    assert check_group_by(["owner", "team", "owner"]) == ("owner", "team")
    for wrong in ("Owner", "", "a b", "1st"):
        with pytest.raises(InvalidInput, match="not a dimension") as caught:
            check_group_by([wrong])
        assert caught.value.code == "invalid-dimension"
    with pytest.raises(InvalidInput) as caught:
        check_group_by(["a", "b", "c", "d", "e"])
    assert caught.value.code == "too-many-dimensions"


# --- laws -----------------------------------------------------------------------------------------


class Facts(NamedTuple):
    """A drawn deal."""

    owner: str | None
    amount: tuple[Decimal, str] | None
    day: str | None
    category: str | None
    outcome: str | None


amounts = st.tuples(
    st.decimals(0, 10**9, places=6), st.sampled_from(["USD", "EUR", "GBP", "JPY", "KWD"])
)
facts = st.builds(
    Facts,
    st.sampled_from(["ann", "ben", None]),
    st.none() | amounts,
    st.sampled_from(["2026-01-01", "2026-03-31", "2026-04-01", None]),
    st.sampled_from(["commit", "best_case", None]),
    st.sampled_from(["won", "lost", None]),
)


def built(drawn: list[Facts]) -> list[ClaimedDeal]:
    return [
        deal(f"D{number}", outcome=each.outcome, category=each.category, **_claimed(each))
        for number, each in enumerate(drawn)
    ]


def _claimed(each: Facts) -> dict[str, Any]:
    amount = each.amount and money(str(each.amount[0]), each.amount[1])
    return {"owner": each.owner, "amount": amount, "close_date": each.day}


DIRECT = LedgerSettings(
    CALENDAR,
    "USD",
    {("EUR", "USD"): Decimal("1.0812"), ("USD", "GBP"): Decimal("0.7"),
     ("USD", "JPY"): Decimal("149.7")},
)  # fmt: skip


@given(st.lists(st.tuples(facts, st.integers(0, 3)), max_size=12), st.permutations(range(4)))
def test_parts_of_the_book_merge_in_any_order_to_the_same_answer(
    drawn: list[tuple[Facts, int]], order: list[int]
) -> None:
    deals = built([each for each, _part in drawn])
    parts = [
        [one for one, (_facts, part) in zip(deals, drawn, strict=True) if part == number]
        for number in order
    ]
    group_by = ("team", "currency")
    total = Tally()
    for part in parts:
        total.merge(tally_deals(judged(reversed(part)), Q1, group_by, DIRECTORY))
    whole = tally_deals(judged(deals), Q1, group_by, DIRECTORY)
    basis = basis_of("2026-03-31")
    assert (
        Forecast(basis, Q1, DIRECT, group_by, total).as_dict()
        == Forecast(basis, Q1, DIRECT, group_by, whole).as_dict()
    )
    assert total.deals == len(deals)


@given(st.lists(facts, max_size=12), st.sampled_from(["owner", "team", "category", "currency"]))
def test_groups_add_up_to_the_total_exactly_in_every_currency(
    drawn: list[Facts], dimension: str
) -> None:
    tally = tally_deals(judged(built(drawn)), Q1, (dimension,), DIRECTORY)
    answer = Forecast(basis_of("2026-03-31"), Q1, DIRECT, (dimension,), tally)
    for measure in ("claimed", "closed"):
        for category in ("omitted", "pipeline", "best_case", "commit", "closed"):
            whole = answer.cell(measure, category)
            parts = [answer.cell(measure, category, group) for group in answer.groups()]
            assert whole.deals == sum(part.deals for part in parts)
            for currency, amount in whole.amounts.items():
                assert amount == sum(
                    (part.amounts.get(currency, Decimal(0)) for part in parts), Decimal(0)
                )


@given(st.lists(facts, max_size=12))
def test_every_deal_is_counted_once_or_said_to_be_undated(drawn: list[Facts]) -> None:
    deals = built(drawn)
    answer = forecast(deals)
    counted = sum(cell["deals"] for cell in answer["measures"]["claimed"].values())
    in_period = sum(counts_in(each, Q1, CALENDAR) for each in deals)
    assert counted == in_period
    undated = [each.deal_id for each in deals if counting_day(each, CALENDAR) is None]
    assert answer["without_close_date"] == sorted(undated)
