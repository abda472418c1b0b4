"""What is asked about a deal, up to which gate, and why."""

from __future__ import annotations

import pytest

from ledger.domain.errors import InvalidInput
from ledger.domain.times import END_OF_TIME, format_instant
from projections.fold.asks import Ask, look_ahead, questions_of
from tests.unit.domain.builders import spelled
from tests.unit.fold.journey_kit import Journey


def asked(
    journey: Journey, day: str, claimed: str | None = None, within: int = 0, beyond: int = 0
) -> list[tuple[str, str]]:
    until = look_ahead(spelled(day), within)
    return [
        (each.criterion.key, str(each.why))
        for each in questions_of(journey.at(day), claimed, until, beyond=beyond)
    ]


def test_what_is_missing_is_asked_up_to_the_gate_where_the_deal_stands() -> None:
    journey = Journey()
    missing = [("fit", "missing"), ("options", "missing"), ("deadline", "missing")]
    assert asked(journey, "2026-01-03") == missing


def test_a_claim_that_is_further_on_asks_for_what_it_claims_and_one_behind_changes_nothing() -> (
    None
):
    journey = Journey()
    assert asked(journey, "2026-01-03", "signature")[-2:] == [
        ("price", "missing"),
        ("contract", "missing"),
    ]
    assert asked(journey, "2026-01-03", "problem") == asked(journey, "2026-01-03", "no_such_gate")


def test_an_agenda_looks_one_gate_beyond_and_never_beyond_the_decision() -> None:
    journey = Journey()
    assert asked(journey, "2026-01-03", beyond=1)[-1] == ("price", "missing")
    assert asked(journey, "2026-01-03", "signature", beyond=1)[-1] == ("contract", "missing")


def test_an_optional_criterion_is_asked_only_while_its_gate_wants_more() -> None:
    journey = Journey()
    journey.shows("options", "2026-01-04")
    assert asked(journey, "2026-01-05") == [("fit", "missing")]
    journey.shows("deadline", "2026-01-06", stance="contradicts")
    assert asked(journey, "2026-01-07") == [("fit", "missing"), ("deadline", "contradicted")]


def test_what_lapses_within_the_days_looked_ahead_is_asked_to_the_instant() -> None:
    journey = Journey()
    journey.shows("fit", "2026-01-04")
    journey.shows("options", "2026-01-20")
    journey.shows("price", "2026-01-20", said_by="bea")  # now the fit is held to 20 days
    lapsing = [("price", "lapsing"), ("contract", "missing")]
    assert asked(journey, "2026-01-21", within=3) == [("fit", "lapsing"), ("contract", "missing")]
    assert asked(journey, "2026-01-21", within=2) == [("contract", "missing")]
    assert asked(journey, "2026-01-24", "signature", within=26)[0] == ("fit", "stale")
    assert asked(journey, "2026-01-24", "signature", within=26)[1:] == lapsing


def test_what_is_too_old_for_the_next_gate_keeps_it_closed_and_is_asked() -> None:
    journey = Journey()
    journey.shows("fit", "2026-01-04")
    journey.shows("options", "2026-02-20")
    journey.shows("price", "2026-02-20", said_by="bea")
    found = journey.at("2026-02-21")
    assert found.stands_at == "problem"
    assert asked(journey, "2026-02-21") == [("fit", "too_old")]


def test_what_went_stale_or_was_contradicted_is_asked_as_such() -> None:
    journey = Journey()
    journey.shows("fit", "2026-01-04")
    journey.shows("options", "2026-01-04")
    journey.shows("fit", "2026-01-10", stance="contradicts")
    assert asked(journey, "2026-01-11")[0] == ("fit", "contradicted")
    journey.shows("fit", "2026-01-12")
    assert ("fit", "stale") in asked(journey, "2026-04-01")


def test_a_waiver_about_to_end_is_asked() -> None:
    journey = Journey()
    journey.say(
        "criterion-waived",
        "2026-01-05",
        criterion="fit",
        reason="known",
        ends_at="2026-01-20T12:00:00Z",
    )
    assert ("fit", "lapsing") in asked(journey, "2026-01-10", within=10)
    assert ("fit", "lapsing") not in asked(journey, "2026-01-10", within=9)


def test_after_winning_only_what_comes_after_the_decision_is_asked() -> None:
    journey = Journey()
    journey.say("deal-closed", "2026-02-01", outcome="won")
    assert asked(journey, "2026-02-02", "decision", beyond=1) == [("handover", "missing")]


@pytest.mark.parametrize("outcome", ["lost", "no_decision", "disqualified", "abandoned"])
def test_a_deal_that_ended_otherwise_is_asked_nothing(outcome: str) -> None:
    journey = Journey()
    journey.say("deal-closed", "2026-02-01", outcome=outcome)
    assert asked(journey, "2026-02-02", "decision", beyond=1) == []


def test_a_queue_is_ordered_by_when_it_lapses_or_lapsed() -> None:
    journey = Journey()
    journey.shows("fit", "2026-01-04")
    (first, *_rest) = questions_of(journey.at("2026-01-10"), None, spelled("2027-01-01"))
    assert (first.why, first.lapse) == (Ask.LAPSING, spelled("2026-03-05"))
    (first, *_rest) = questions_of(journey.at("2026-03-10"), None, spelled("2027-01-01"))
    assert (first.why, first.lapse) == (Ask.STALE, spelled("2026-03-05"))


def test_looking_ahead_has_limits() -> None:
    assert look_ahead(spelled("2026-01-01"), 0) == spelled("2026-01-01")
    assert look_ahead(format_instant(END_OF_TIME), 30) == format_instant(END_OF_TIME)
    for days in (-1, 3651):
        with pytest.raises(InvalidInput) as caught:
            look_ahead(spelled("2026-01-01"), days)
        assert caught.value.code == "invalid-days"
