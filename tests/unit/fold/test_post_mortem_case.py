"""The case of a deal: its weeks as known then, what came late or never, and its timeline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ledger.domain.events import Event, EventPayload
from ledger.domain.times import format_instant
from projections import post_mortem
from projections.case import late_entries, timeline_of
from projections.post_mortem import criteria_as_dict, weeks_as_dict
from tests.unit.domain.builders import at, money, payload, revised, spelled
from tests.unit.fold.reviewing import Story, by_position, evidence

# --- weeks --------------------------------------------------------------------------------------


def weeks(story: Story, valid_at: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = weeks_as_dict(story.case(valid_at))["weeks"]
    return found


def test_weeks_run_from_the_opening_and_the_last_one_ends_with_the_decision() -> None:
    story = Story()
    story.closes("lost", "2026-01-23")
    ends = [spelled("2026-01-12"), spelled("2026-01-19"), spelled("2026-01-23")]
    assert [(week["week"], week["ends_at"]) for week in weeks(story, "2026-06-01")] == list(
        enumerate(ends, 1)
    )


@pytest.mark.parametrize(
    ("valid_at", "numbers"),
    [
        ("2026-01-05T12:00:00Z", [1]),
        ("2026-01-12T12:00:00Z", [1]),
        ("2026-01-12T12:00:00.000001Z", [1, 2]),
    ],
)
def test_a_week_is_seven_days_to_the_microsecond(valid_at: str, numbers: list[int]) -> None:
    told = weeks(Story(), valid_at)
    assert [week["week"] for week in told] == numbers
    assert told[-1]["ends_at"] == spelled(valid_at)


def test_each_week_says_what_was_claimed_and_evidenced_as_known_then() -> None:
    story = Story()
    stage = payload("stage-claimed", stage="Proposal", gate="price", probability=60)
    story.record(stage, "2026-01-08")
    fit = story.shows("fit_confirmed", "2026-01-09", known="2026-01-14")
    story.record(revised(amount=money("90000.00"), close_date="2026-04-30"), "2026-01-16")
    first, second = weeks(story, "2026-01-19")
    assert first["stood_at"] == "problem"
    assert first["claimed"] == {
        "category": "pipeline", "amount": "100000.00", "currency": "USD", "stage": "Proposal",
        "probability": 60, "close_date": "2026-03-31", "period": "2026-Q1", "outcome": "open",
    }  # fmt: skip
    assert first["evidenced"] == {
        "category": "omitted", "weight_percent": 0, "rule": "no-evidence",
    }  # fmt: skip
    assert second["stood_at"] == "price"
    assert (second["claimed"]["amount"], second["claimed"]["period"]) == ("90000.00", "2026-Q2")
    assert second["evidenced"]["category"] == "best_case"
    assert second["causes"] == [fit["position"]]


def test_a_deal_told_late_was_not_known_in_its_first_weeks() -> None:
    story = Story()
    story.log.events[1]["known_at"] = spelled("2026-01-15")
    first, second = weeks(story, "2026-01-19")
    assert (first["claimed"], first["evidenced"], first["stood_at"]) == (None, None, None)
    assert second["claimed"]["category"] == "pipeline"


def test_very_many_weeks_are_left_out_before_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_mortem, "WEEKS_MAX", 3)
    answer = weeks_as_dict(Story().case("2026-03-01"))
    assert [week["week"] for week in answer["weeks"]] == [1, 2, 8]
    assert answer["weeks_left_out"] == 5


def test_a_deal_may_be_asked_about_at_the_end_of_time() -> None:
    answer = weeks_as_dict(Story().case("9999-12-31T23:59:59.999999Z"))
    assert len(answer["weeks"]) == post_mortem.WEEKS_MAX
    assert answer["weeks"][-1]["ends_at"] == "9999-12-31T23:59:59.999999Z"


# --- what came late -------------------------------------------------------------------------------


def late(story: Story, valid_at: str = "2026-06-01") -> list[dict[str, Any]]:
    return late_entries(story.case(valid_at), by_position(story))


@pytest.mark.parametrize(
    ("delay", "counts"),
    [
        (timedelta(days=2), False),
        (timedelta(days=2, microseconds=1), True),
    ],
)
def test_evidence_is_late_when_it_was_known_more_than_two_days_after(
    delay: timedelta, counts: bool
) -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-01-10", known=format_instant(at("2026-01-10") + delay))
    assert [entry["why"] for entry in late(story)] == ([["known_late"]] if counts else [])


def test_evidence_known_after_the_decision_is_late_however_soon() -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-02-10T11:00:00Z", known="2026-02-10T13:00:00Z")
    story.shows("fit_confirmed", "2026-02-10T12:00:01Z", known="2026-02-10T13:00:00Z")
    story.closes("lost", "2026-02-10T12:00:00Z")
    (entry,) = late(story)
    assert (entry["why"], entry["occurred_at"]) == (
        ["known_after_decision"], "2026-02-10T11:00:00.000000Z",
    )  # fmt: skip
    assert entry["days_late"] == 0.08


def test_a_late_entry_tells_what_it_would_have_changed() -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-01-08")
    told = story.shows("price_seen", "2026-01-10", known="2026-02-01")
    (entry,) = late(story)
    assert entry["as_known_then"] == {
        "stands_at": "price", "category": "best_case", "criterion": "unmet",
    }  # fmt: skip
    assert entry["with_it"] == entry["in_hindsight"]
    assert entry["with_it"] == {"stands_at": "sign", "category": "commit", "criterion": "met"}
    assert entry["would_have_changed"] is True
    assert entry["days_late"] == 22.0
    assert [event["position"] for event in entry["because"]] == [told["position"]]


def test_one_late_piece_alone_may_change_nothing_where_several_together_did() -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-01-10", known="2026-02-01")
    story.shows("price_seen", "2026-01-10", known="2026-02-01")
    _fit, price = late(story)
    assert (price["with_it"]["stands_at"], price["with_it"]["criterion"]) == ("problem", "met")
    assert (price["with_it"]["category"], price["would_have_changed"]) == ("pipeline", True)
    assert price["in_hindsight"]["stands_at"] == "sign"


def test_a_late_piece_that_moves_the_deal_nowhere_would_have_changed_nothing() -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-01-08")
    story.shows("legal_named", "2026-01-10", known="2026-02-01")
    (entry,) = late(story)
    assert (entry["as_known_then"]["criterion"], entry["with_it"]["criterion"]) == ("unmet", "met")
    assert entry["would_have_changed"] is False


def test_a_late_word_of_the_buyers_going_back_is_late_evidence() -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-01-08")
    story.record(payload("buyer-regressed", gate="problem"), "2026-01-10", known="2026-02-01")
    (entry,) = late(story)
    assert (entry["criterion"], entry["would_have_changed"]) == (None, True)
    assert (entry["as_known_then"]["stands_at"], entry["with_it"]["stands_at"]) == (
        "price", "problem",
    )  # fmt: skip


def test_what_was_retracted_is_no_late_entry_and_what_was_corrected_is_told_as_corrected() -> None:
    story = Story()
    gone = story.shows("fit_confirmed", "2026-01-10", known="2026-02-01")
    story.record(
        payload("event-retracted", target=gone["event_id"], reason="another deal"), "2026-02-02"
    )
    other = story.shows("price_seen", "2026-01-10", known="2026-02-01")
    said = evidence("fit_confirmed", "supports").to_json()
    correction = payload(
        "event-corrected", target=other["event_id"], payload=said, reason="it was about the fit"
    )
    story.record(correction, "2026-02-03")
    (entry,) = late(story)
    assert entry["criterion"] == "fit_confirmed"
    assert entry["with_it"]["stands_at"] == "price"
    assert [event["type"] for event in entry["because"]] == ["event-corrected"]


@pytest.mark.parametrize("stream", ["deal:D1", "account:acme"])
def test_late_evidence_whose_retraction_was_retracted_counts_and_is_told_so(stream: str) -> None:
    story = Story(account="acme")

    def record(what: EventPayload, day: str, known: str | None = None) -> Event:
        return story.log.record(what, day, stream=stream, known_at=known)

    told = record(evidence("fit_confirmed", "supports"), "2026-01-10", "2026-02-01")
    gone = payload("event-retracted", target=told["event_id"], reason="another deal")
    retraction = record(gone, "2026-02-02")
    record(payload("event-retracted", target=retraction["event_id"], reason="no"), "2026-02-03")
    (entry,) = late(story)
    assert entry["with_it"]["stands_at"] == entry["in_hindsight"]["stands_at"] == "price"
    assert [
        (each["type"], each["status"])
        for each in timeline_of(story.case())
        if each["stream"] == stream and each["type"] in {"evidence-recorded", "event-retracted"}
    ] == [
        ("evidence-recorded", "counts"),
        ("event-retracted", "retracted"),
        ("event-retracted", "counts"),
    ]


def test_acts_on_what_is_not_evidence_stay_out_of_the_timeline() -> None:
    story = Story(account="acme")
    other = story.log.record(
        evidence("fit_confirmed", "supports"), "2026-01-10", stream="account:other"
    )
    gone = payload("event-retracted", target=other["event_id"], reason="no")
    story.log.record(gone, "2026-02-02", stream="account:acme")
    assert {each["type"] for each in timeline_of(story.case())} == {
        "deal-opened", "stakeholder-added",
    }  # fmt: skip


def test_evidence_from_before_the_opening_is_compared_at_the_opening() -> None:
    story = Story()
    story.shows("fit_confirmed", "2025-12-20", known="2026-01-20")
    (entry,) = late(story)
    assert entry["compared_at"] == spelled("2026-01-05")
    assert (entry["as_known_then"]["stands_at"], entry["with_it"]["stands_at"]) == (
        "problem", "price",
    )  # fmt: skip


def test_late_evidence_on_the_account_counts_for_its_deal() -> None:
    story = Story(account="acme")
    for account in ("acme", "other"):
        story.log.record(
            evidence("fit_confirmed", "supports"), "2026-01-10", stream=f"account:{account}",
            known_at="2026-02-01",
        )  # fmt: skip
    entries = late(story)
    assert [entry["would_have_changed"] for entry in entries] == [True]


# --- criteria -----------------------------------------------------------------------------------


def test_never_evidenced_lapsed_regressed_and_looped() -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-01-08")
    price = story.shows("price_seen", "2026-01-10")
    again = story.shows("price_seen", "2026-02-20")
    story.record(evidence("contract_back", "supports", said_by=None), "2026-02-21")
    story.denies("fit_confirmed", "2026-02-25")
    story.closes("lost", "2026-03-01")
    answer = criteria_as_dict(story.book_deal().qualification, by_position(story))
    lapse = format_instant(at("2026-01-10") + timedelta(days=30))
    never = {each["criterion"]: each["rule"] for each in answer["never_evidenced"]}
    assert never == {"contract_back": "nobody-named", "legal_named": "no-evidence"}
    assert [(each["at"], each["criterion"], each["gate"]) for each in answer["lapsed"]] == [
        (lapse, "price_seen", "price")
    ]
    assert [(each["kind"], each["to_gate"]) for each in answer["regressions"]] == [
        ("lapsed", "price"), ("regressed", "problem"),
    ]  # fmt: skip
    (loop,) = answer["loops"]
    assert (loop["gate"], loop["lost_at"], loop["again_at"]) == (
        "price", lapse, spelled("2026-02-20"),
    )  # fmt: skip
    assert [event["position"] for event in loop["lost_by"]] == [price["position"]]
    assert [event["position"] for event in loop["again_by"]] == [again["position"]]


def test_what_comes_after_the_decision_is_asked_for_only_of_a_deal_that_was_won() -> None:
    for outcome, asked in (("won", True), ("lost", False)):
        story = Story()
        story.closes(outcome, "2026-02-01")
        answer = criteria_as_dict(story.book_deal().qualification, by_position(story))
        never = [each["criterion"] for each in answer["never_evidenced"]]
        assert ("handover_done" in never) is asked


# --- the timeline ---------------------------------------------------------------------------------


def test_claims_and_evidence_stand_in_one_list_in_the_order_in_which_they_happened() -> None:
    story = Story(account="acme")
    story.log.record(
        evidence("fit_confirmed", "supports"), "2026-01-06", stream="account:acme",
        known_at="2026-01-20",
    )  # fmt: skip
    claim = story.claims("commit", "2026-01-12")
    story.record(
        payload("event-retracted", target=claim["event_id"], reason="too early"), "2026-01-13"
    )
    story.closes("lost", "2026-02-01")
    told = timeline_of(story.case("2026-01-25", "2026-06-01"))
    assert [(each["kind"], each["type"], each["status"], each["late"]) for each in told] == [
        ("claim", "deal-opened", "counts", False),
        ("stakeholder", "stakeholder-added", "counts", False),
        ("evidence", "evidence-recorded", "counts", True),
        ("claim", "category-claimed", "retracted", False),
        ("correction", "event-retracted", "counts", False),
        ("decision", "deal-closed", "later", False),
    ]
    assert told[2]["stream"] == "account:acme"
    assert (told[2]["occurred_at"], told[2]["known_at"]) == (
        spelled("2026-01-06"), spelled("2026-01-20"),
    )  # fmt: skip
