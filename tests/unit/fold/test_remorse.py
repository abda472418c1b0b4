"""Signs that a purchase may be regretted: each rule from its instant on, and until it is not so."""

from __future__ import annotations

import pytest

from projections.fold.remorse import Remorse, Risk, remorse_risks
from tests.unit.domain.builders import spelled
from tests.unit.fold.journey_kit import Journey


def won(day: str = "2026-02-01") -> Journey:
    journey = Journey()
    journey.shows("fit", "2026-01-10")
    journey.say("deal-closed", day, outcome="won")
    return journey


def risks(journey: Journey, day: str) -> dict[str, Risk]:
    closed = next(event for event in journey.events if event["type"] == "deal-closed")
    found = remorse_risks(journey.at(day), closed, journey.effective(day))
    assert len({risk.rule for risk in found}) == len(found)
    return {str(risk.rule): risk for risk in found}


def test_a_hand_over_is_missed_from_thirty_days_after_winning_on() -> None:
    journey = won()
    journey.shows("review", "2026-02-20")
    assert risks(journey, "2026-03-03T11:59:59.999999Z") == {}
    (risk,) = risks(journey, "2026-03-03").values()
    assert risk == Risk(
        Remorse.NO_HAND_OVER,
        "30 days after winning, nothing shows handover.",
        spelled("2026-03-03"),
        (6,),
    )


def test_a_hand_over_that_came_late_or_aged_is_no_risk_any_more() -> None:
    journey = won()
    journey.shows("handover", "2026-03-10")
    assert Remorse.NO_HAND_OVER in risks(journey, "2026-03-09")
    assert Remorse.NO_HAND_OVER not in risks(journey, "2026-03-10")
    assert Remorse.NO_HAND_OVER not in risks(journey, "2028-01-01")


def test_the_last_word_against_a_criterion_since_winning_is_a_risk_until_outweighed() -> None:
    journey = won()
    against = journey.shows("fit", "2026-02-10", stance="contradicts")
    (risk,) = risks(journey, "2026-02-11").values()
    assert (risk.rule, risk.causes) == (Remorse.CONTRADICTED, (against["position"],))
    assert risk.sentence == "Since winning, the last word on fit is against it."
    journey.shows("fit", "2026-02-12")
    assert risks(journey, "2026-02-13") == {}


def test_the_word_of_a_crm_against_a_criterion_is_no_risk_where_it_does_not_count() -> None:
    journey = won()
    journey.say(
        "evidence-recorded",
        "2026-02-10",
        criterion="fit",
        stance="contradicts",
        source_kind="crm",
    )
    assert risks(journey, "2026-02-11") == {}


def test_evidence_that_may_not_be_heard_outweighs_no_word_against_a_criterion() -> None:
    journey = won()
    journey.shows("price", "2026-02-10", said_by="bea", stance="contradicts")
    journey.shows("price", "2026-02-12", said_by="cho")
    assert Remorse.CONTRADICTED in risks(journey, "2026-02-13")
    journey.shows("price", "2026-02-14", said_by="bea")
    assert Remorse.CONTRADICTED not in risks(journey, "2026-02-15")


def test_a_word_against_from_before_winning_is_settled() -> None:
    journey = Journey()
    journey.shows("fit", "2026-01-10", stance="contradicts")
    journey.say("deal-closed", "2026-02-01", outcome="won")
    assert risks(journey, "2026-02-02") == {}


def test_a_buyer_who_goes_back_after_winning_is_a_risk_until_evidence_speaks_for_them() -> None:
    journey = won()
    journey.say("buyer-regressed", "2026-02-10", gate="problem")
    (risk,) = risks(journey, "2026-02-11").values()
    assert risk.rule is Remorse.BUYER_WENT_BACK
    assert risk.sentence == "After winning, the buyer went back to problem."
    journey.say("buyer-advanced", "2026-02-12", gate="decision")
    assert Remorse.BUYER_WENT_BACK in risks(journey, "2026-02-12")
    journey.shows("handover", "2026-02-13")
    assert Remorse.BUYER_WENT_BACK not in risks(journey, "2026-02-13")


def test_what_cannot_be_placed_neither_makes_nor_ends_a_buyers_going_back() -> None:
    journey = won()
    journey.say("buyer-regressed", "2026-02-09", gate="gone")
    assert risks(journey, "2026-02-09") == {}
    journey.say("buyer-regressed", "2026-02-10", gate="problem")
    journey.say("buyer-regressed", "2026-02-11", gate="gone")
    for key in ("elsewhere", "handover"):
        journey.say(
            "evidence-recorded", "2026-02-12", criterion=key, stance="supports", source_kind="crm"
        )
    (risk,) = risks(journey, "2026-02-13").values()
    assert (risk.rule, risk.since) == (Remorse.BUYER_WENT_BACK, spelled("2026-02-10"))


def test_evidence_that_aged_spoke_for_the_deal_all_the_same() -> None:
    journey = won()
    journey.say("buyer-regressed", "2026-02-10", gate="problem")
    journey.shows("review", "2026-02-11")
    assert Remorse.BUYER_WENT_BACK not in risks(journey, "2027-02-11")


@pytest.mark.parametrize(
    ("from_gate", "to_gate", "back"),
    [("decision", "problem", True), ("problem", "decision", False)],
)
def test_a_loop_counts_only_when_it_leads_back(from_gate: str, to_gate: str, back: bool) -> None:
    journey = won()
    journey.say("buyer-looped", "2026-02-10", from_gate=from_gate, to_gate=to_gate)
    assert (Remorse.BUYER_WENT_BACK in risks(journey, "2026-02-11")) is back


def test_a_champion_who_leaves_after_winning_is_a_risk_until_they_are_back() -> None:
    journey = won()
    left = journey.say("stakeholder-left", "2026-02-11", stakeholder="cho")
    (risk,) = risks(journey, "2026-02-12").values()
    assert risk == Risk(
        Remorse.CHAMPION_LEFT,
        "The champion left 10 days after winning.",
        spelled("2026-02-11"),
        (left["position"],),
    )
    journey.say("stakeholder-added", "2026-02-20", stakeholder="cho", name="cho", role="champion")
    assert Remorse.CHAMPION_LEFT not in risks(journey, "2026-02-21")


def test_a_champion_who_left_before_or_somebody_else_who_leaves_is_none() -> None:
    journey = Journey()
    journey.say("stakeholder-left", "2026-01-20", stakeholder="cho")
    journey.say("deal-closed", "2026-02-01", outcome="won")
    journey.say("stakeholder-left", "2026-02-10", stakeholder="bea")
    assert risks(journey, "2026-02-12") == {}


def test_sixty_days_without_a_word_of_the_buyers_are_silence_whatever_the_crm_does() -> None:
    journey = won()
    journey.shows("handover", "2026-02-02")
    journey.say("deal-revised", "2026-03-20", name="Renamed")
    assert risks(journey, "2026-04-03T11:59:59.999999Z") == {}
    (risk,) = risks(journey, "2026-04-03").values()
    assert risk.rule is Remorse.SILENCE
    assert risk.sentence == "Nothing of the buyer's was recorded for 60 days, since 2026-02-02."
    journey.shows("review", "2026-04-04")
    assert risks(journey, "2026-04-05") == {}


def test_what_the_organisation_does_breaks_no_silence_and_a_new_stakeholder_does() -> None:
    journey = won()
    journey.say(
        "criterion-waived", "2026-03-20", criterion="review", reason="r",
        ends_at="2026-06-01T00:00:00Z",
    )  # fmt: skip
    journey.say("buyer-advanced", "2026-03-21", gate="signature")
    assert Remorse.SILENCE in risks(journey, "2026-04-03")
    journey.say("stakeholder-added", "2026-03-22", stakeholder="dan", name="dan", role="buyer")
    assert Remorse.SILENCE not in risks(journey, "2026-04-03")


def test_silence_since_winning_names_the_winning() -> None:
    risk = risks(won(), "2026-04-03")[Remorse.SILENCE]
    assert risk.sentence == (
        "Nothing of the buyer's was recorded for 61 days, since the deal was won on 2026-02-01."
    )
    assert risk.causes == (6,)


def test_a_deal_that_was_not_won_has_no_remorse() -> None:
    journey = Journey()
    journey.say("deal-closed", "2026-02-01", outcome="lost")
    assert risks(journey, "2026-06-01") == {}
