"""What is claimed of a deal at a basis, field by field, with its receipts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ledger.domain.deal import CLAIM_TYPES
from ledger.domain.money import Money
from projections.fold.claims import ClaimedDeal, claimed_deal
from tests.unit.domain.builders import (
    Log,
    at,
    basis_of,
    money,
    opened,
    payload,
    revised,
    spelled,
)


def deal_at(log: Log, valid_at: str, known_at: str | None = None) -> ClaimedDeal | None:
    basis = basis_of(valid_at, known_at)
    return claimed_deal("D1", log.visible(basis), spelled(valid_at))


def there(log: Log, valid_at: str = "2027-01-01", known_at: str | None = None) -> ClaimedDeal:
    deal = deal_at(log, valid_at, known_at)
    assert deal is not None
    return deal


def log_with(*payloads: Any) -> Log:
    """An event a day, from the first of January on."""
    log = Log()
    for number, each in enumerate(payloads, 1):
        log.record(each, f"2026-01-{number:02d}")
    return log


def test_nothing_is_claimed_of_a_deal_that_only_opened() -> None:
    deal = there(log_with(opened()))
    assert (deal.name, deal.account, deal.owner, deal.playbook) == (None,) * 4
    assert (deal.amount, deal.close_date, deal.stage, deal.gate, deal.probability) == (None,) * 5
    assert (deal.products, dict(deal.dimensions)) == ((), {})
    assert (deal.outcome, deal.category, deal.closed_at) == ("open", "pipeline", None)
    assert deal.opened_at == at("2026-01-01")
    assert (deal.cause("name"), deal.cause("dimensions")) == (None, None)


def test_the_last_claim_of_each_field_wins_and_names_its_event() -> None:
    deal = there(
        log_with(
            opened(name="One", owner="ann", amount=money("100"), products=["a", "b"]),
            revised(amount=money("200.50", "EUR"), close_date="2026-06-30"),
            revised(name="Two"),
            payload("stage-claimed", stage="Proposal", gate="problem", probability=60),
            payload("category-claimed", category="commit"),
        )
    )
    assert (deal.name, deal.cause("name")) == ("Two", 3)
    assert (deal.owner, deal.cause("owner")) == ("ann", 1)
    assert (deal.amount, deal.cause("amount")) == (Money(Decimal("200.50"), "EUR"), 2)
    assert (deal.close_date, deal.cause("close_date")) == (date(2026, 6, 30), 2)
    assert (deal.stage, deal.gate, deal.probability) == ("Proposal", "problem", 60)
    assert {deal.cause(field) for field in ("stage", "gate", "probability")} == {4}
    assert (deal.category, deal.cause("category")) == ("commit", 5)
    assert deal.products == ("a", "b")


def test_null_clears_a_field_and_the_clearing_answers_for_it() -> None:
    deal = there(log_with(opened(owner="ann", amount=money("1")), revised(amount=None)))
    assert (deal.amount, deal.cause("amount")) == (None, 2)
    assert (deal.owner, deal.cause("owner")) == ("ann", 1)


def test_a_new_stage_says_anew_what_gate_and_probability_are() -> None:
    deal = there(
        log_with(
            opened(),
            payload("stage-claimed", stage="Proposal", gate="problem", probability=60),
            payload("stage-claimed", stage="Prospecting"),
        )
    )
    assert (deal.stage, deal.gate, deal.probability) == ("Prospecting", None, None)


def test_dimensions_are_merged_key_by_key_and_null_removes_one() -> None:
    log = log_with(
        opened(dimensions={"segment": "mid", "region": "emea"}),
        revised(dimensions={"segment": "large", "region": None, "source": "fair"}),
    )
    assert dict(there(log).dimensions) == {"segment": "large", "source": "fair"}
    assert there(log).cause("dimensions") == 2
    assert dict(there(log, "2026-01-01").dimensions) == {"segment": "mid", "region": "emea"}


@pytest.mark.parametrize("known", [{}, {"dimensions": {"segment": "mid"}}])
def test_removing_a_dimension_that_is_not_there_and_merging_nothing_change_nothing(
    known: dict[str, Any],
) -> None:
    log = log_with(opened(**known), revised(dimensions={"region": None}), revised(dimensions={}))
    assert dict(there(log).dimensions) == known.get("dimensions", {})


def test_null_for_all_dimensions_clears_them() -> None:
    log = log_with(opened(dimensions={"segment": "mid"}), revised(dimensions=None))
    assert dict(there(log).dimensions) == {}


def test_a_deal_is_in_the_book_from_its_opening_to_its_removal() -> None:
    log = log_with(opened(), revised(name="x"), payload("deal-removed"))
    assert deal_at(log, "2025-12-31", "2027-01-01") is None
    assert deal_at(log, "2026-01-01") is not None
    assert deal_at(log, "2026-01-03T11:59:59.999999Z") is not None
    assert deal_at(log, "2026-01-03T12:00:00Z") is None
    assert deal_at(log, "2027-01-01") is None


def test_a_deal_that_was_never_opened_is_not_in_the_book() -> None:
    assert deal_at(log_with(revised(name="x")), "2027-01-01") is None
    assert deal_at(Log(), "2027-01-01") is None


def test_history_from_before_the_opening_is_kept() -> None:
    log = Log()
    log.record(revised(owner="ann"), "2025-12-01")
    log.record(opened(name="x"), "2026-01-01")
    assert deal_at(log, "2025-12-31") is None
    assert there(log).owner == "ann"


@pytest.mark.parametrize(
    ("outcome", "category"),
    [
        ("won", "closed"),
        ("lost", "omitted"),
        ("no_decision", "omitted"),
        ("disqualified", "omitted"),
        ("abandoned", "omitted"),
    ],
)
def test_once_closed_the_outcome_decides_the_category(outcome: str, category: str) -> None:
    log = log_with(
        opened(),
        payload("category-claimed", category="commit"),
        payload("deal-closed", outcome=outcome, buyer_reason="b"),
        payload("category-claimed", category="best_case"),
    )
    deal = there(log)
    assert (deal.outcome, deal.category, deal.closed_at) == (outcome, category, at("2026-01-03"))
    assert (deal.cause("outcome"), deal.cause("closed_at"), deal.cause("buyer_reason")) == (3, 3, 3)


def test_a_reopened_deal_is_in_the_category_claimed_last() -> None:
    log = log_with(
        opened(),
        payload("category-claimed", category="commit"),
        payload("deal-closed", outcome="lost"),
        payload("deal-reopened"),
    )
    deal = there(log)
    assert (deal.outcome, deal.category, deal.closed_at) == ("open", "commit", None)
    assert deal.cause("outcome") == 4
    assert there(log, "2026-01-03").outcome == "lost"


def test_a_closed_stage_or_category_is_a_claim_and_not_an_outcome() -> None:
    log = log_with(
        opened(),
        payload("stage-claimed", stage="Closed Won"),
        payload("category-claimed", category="closed"),
    )
    assert (there(log).outcome, there(log).category) == ("open", "closed")


def test_what_is_entered_late_sorts_by_when_it_happened() -> None:
    log = Log()
    log.record(opened(amount=money("1")), "2026-01-01")
    log.record(revised(amount=money("3")), "2026-03-01")
    log.record(revised(amount=money("2")), "2026-02-01", recorded_at="2026-04-01")

    def amount(valid_at: str, known_at: str) -> str:
        found = there(log, valid_at, known_at).amount
        assert found is not None
        return str(found.amount)

    assert amount("2026-02-15", "2026-02-15") == "1"
    assert amount("2026-02-15", "2026-04-01") == "2", "in hindsight"
    assert amount("2026-04-02", "2026-04-02") == "3"


def test_a_corrected_claim_names_the_correction_and_a_retracted_one_gives_way() -> None:
    log = Log()
    log.record(opened(amount=money("1")), "2026-01-01")
    wrong = log.record(revised(amount=money("999")), "2026-01-02")
    fix = payload(
        "event-corrected", target=wrong["event_id"], reason="x", payload={"amount": money("9")}
    )
    log.record(fix, "2026-01-03")
    log.record(payload("event-retracted", target=wrong["event_id"], reason="x"), "2026-01-04")
    at_days = [there(log, "2026-01-02", f"2026-01-0{day}") for day in (2, 3, 4)]
    assert [deal.amount for deal in at_days] == [
        Money(Decimal(amount), "USD") for amount in (999, 9, 1)
    ]
    assert [deal.cause("amount") for deal in at_days] == [2, 3, 1]


def test_only_some_events_bear_on_what_is_claimed() -> None:
    log = log_with(opened(name="x"))
    claimed = there(log)
    log.record(payload("stakeholder-added", stakeholder="z", name="Zoe"), "2026-02-01")
    log.record(payload("buyer-regressed", gate="problem"), "2026-02-02")
    log.record(
        payload("evidence-recorded", criterion="a", stance="supports", source_kind="crm"),
        "2026-02-03",
    )
    assert there(log).claims == claimed.claims
    assert {event["type"] for event in log.events} - CLAIM_TYPES == {
        "stakeholder-added",
        "buyer-regressed",
        "evidence-recorded",
    }
