"""When the evidence in hand first contradicted the forecast, and when the forecast reacted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.errors import Refused
from ledger.domain.times import format_instant
from projections.fold import known_then
from projections.fold.contradiction import Contradiction, contradictions
from projections.fold.known_then import Standing, moment_at
from projections.post_mortem import first_knowable_as_dict
from tests.unit.domain.builders import Log, at, money, opened, payload, revised, spelled
from tests.unit.fold.reviewing import CALENDAR, LATER, Story, by_position, evidence


def at_signature() -> Story:
    """A deal whose evidence stands at the signature since 10 January: commit."""
    story = Story()
    story.shows("fit_confirmed", "2026-01-08")
    story.shows("price_seen", "2026-01-10")
    return story


def only(found: list[Contradiction]) -> Contradiction:
    assert len(found) == 1, found
    return found[0]


# --- when it begins -----------------------------------------------------------------------------


def test_nothing_contradicts_a_forecast_that_stays_with_its_evidence() -> None:
    story = at_signature()
    story.claims("commit", "2026-01-10")
    story.closes("won", "2026-02-01")
    assert story.contradictions() == []


def test_a_commit_above_its_evidence_is_contradicted_from_the_claim_on() -> None:
    story = Story()
    story.shows("fit_confirmed", "2026-01-08")
    claim = story.claims("commit", "2026-01-20T09:00:00.000001Z")
    found = only(story.contradictions())
    assert found.at == "2026-01-20T09:00:00.000001Z"
    assert found.conflict.rule == "claimed-above-evidence"
    assert found.conflict.criteria == ("price_seen",)
    assert claim["position"] in found.claim.causes
    assert (found.until, found.ended_by, found.reacted_at, found.days) == (None,) * 4


def test_a_claim_is_held_against_what_was_known_then_and_not_against_what_came_later() -> None:
    story = at_signature()
    story.claims("commit", "2026-01-11")
    no = story.denies("price_seen", "2026-01-15", known="2026-01-25T08:00:00.000001Z")
    found = only(story.contradictions("2026-02-01", known_at=LATER))
    assert found.at == "2026-01-25T08:00:00.000001Z"
    assert found.conflict.rule == "contradiction-on-record"
    assert found.conflict.criteria == ("price_seen",)
    assert found.conflict.causes == (no["position"],)
    assert story.contradictions("2026-02-01", known_at="2026-01-25T08:00:00Z") == []


def test_a_lapse_contradicts_the_forecast_at_its_own_instant_without_any_event() -> None:
    story = at_signature()
    story.claims("commit", "2026-01-11")
    lapse = format_instant(at("2026-01-10") + timedelta(days=30))
    before = format_instant(at("2026-01-10") + timedelta(days=30) - timedelta(microseconds=1))
    found = only(story.contradictions())
    assert found.at == lapse
    assert (found.deal.verdict.category, found.deal.verdict.gate) == ("best_case", "price")
    assert story.contradictions(before) == []
    assert only(story.contradictions(lapse)).at == lapse


def test_pipeline_is_contradicted_only_by_a_word_against_it_and_only_with_a_close_date() -> None:
    unproven = Story()
    assert unproven.contradictions() == []
    refused, undated = Story(), Story(close_date=None)
    for story in (refused, undated):
        story.denies("fit_confirmed", "2026-01-20")
    assert only(refused.contradictions()).at == spelled("2026-01-20")
    assert undated.contradictions() == []


def test_a_word_against_an_optional_criterion_contradicts_no_forecast() -> None:
    story = at_signature()
    story.denies("legal_named", "2026-01-20")
    assert story.contradictions("2026-02-01") == []


def test_a_buyer_who_goes_back_contradicts_the_forecast_until_that_gate_is_passed_again() -> None:
    story = at_signature()
    back = story.record(payload("buyer-regressed", gate="price"), "2026-01-20")
    story.shows("price_seen", "2026-01-26")
    found = only(story.contradictions())
    assert (found.at, found.until) == (spelled("2026-01-20"), spelled("2026-01-26"))
    assert found.conflict.criteria == ("price_seen",)
    assert found.conflict.causes == (back["position"],)
    assert found.ended_by == "evidence_caught_up"


def test_falling_further_is_not_catching_up() -> None:
    story = at_signature()
    story.record(payload("buyer-regressed", gate="price"), "2026-01-20")
    story.denies("fit_confirmed", "2026-01-24")
    assert only(story.contradictions()).until is None


def test_where_no_playbook_is_in_force_nothing_is_contradicted() -> None:
    log = Log()
    log.record(revised(name="x"), "2026-01-01", stream="deal:other")
    story = Story(log=log)
    story.claims("commit", "2026-01-20")
    assert story.contradictions() == []


def test_the_playbook_judges_from_when_it_was_known() -> None:
    story = Story()
    story.log.events[0]["known_at"] = spelled("2026-02-01")
    story.claims("commit", "2026-01-20")
    assert only(story.contradictions()).at == spelled("2026-02-01")


# --- how it ends --------------------------------------------------------------------------------

Ending = Callable[[Story], object]
DAY = "2026-02-20T07:00:00.000001Z"
ENDINGS: dict[str, tuple[Ending, str | None]] = {
    "lowered to the evidence": (lambda story: story.claims("best_case", DAY), "category_lowered"),
    "lowered below it": (lambda story: story.claims("pipeline", DAY), "category_lowered"),
    "omitted": (lambda story: story.claims("omitted", DAY), "category_lowered"),
    "claimed again": (lambda story: story.claims("commit", DAY), None),
    "amount zero": (
        lambda story: story.record(revised(amount=money("0.00")), DAY), "amount_withdrawn",
    ),
    "amount cleared": (lambda story: story.record(revised(amount=None), DAY), "amount_withdrawn"),
    "amount halved": (lambda story: story.record(revised(amount=money("50000.00")), DAY), None),
    "pulled in": (lambda story: story.record(revised(close_date="2026-03-01"), DAY), None),
    "pushed within the quarter": (
        lambda story: story.record(revised(close_date="2026-03-30"), DAY), None,
    ),
    "lost": (lambda story: story.closes("lost", DAY), "closed"),
    "no decision": (lambda story: story.closes("no_decision", DAY), "closed"),
    "won": (lambda story: story.closes("won", DAY), "won"),
    "evidence": (
        lambda story: [story.shows("price_seen", DAY), story.shows("contract_back", DAY)],
        "evidence_caught_up",
    ),
}  # fmt: skip
REACTIONS = {"category_lowered", "amount_withdrawn", "closed"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_how_a_contradiction_ends(ending: str) -> None:
    story = Story(close_date="2026-03-15")
    story.shows("fit_confirmed", "2026-01-08")
    story.claims("commit", "2026-01-20")
    act, ended_by = ENDINGS[ending]
    act(story)
    until = None if ended_by is None else DAY
    assert only(story.contradictions("2026-02-10")).until is None, "it has not happened yet"
    found = story.contradictions("2026-03-01")[0]
    assert (found.at, found.until, found.ended_by) == (spelled("2026-01-20"), until, ended_by)
    assert found.reacted_at == (DAY if ended_by in REACTIONS else None)
    if until is not None:
        assert found.ended_causes


def test_a_category_lowered_that_stays_above_the_evidence_is_no_reaction() -> None:
    story = Story()
    story.claims("commit", "2026-01-20")
    story.claims("best_case", "2026-01-22")
    found = only(story.contradictions())
    assert (found.at, found.until) == (spelled("2026-01-20"), None)


def test_a_deal_taken_out_of_the_book_ends_its_forecast() -> None:
    story = Story()
    story.claims("commit", "2026-01-20")
    removal = story.record(payload("deal-removed"), DAY)
    undone = payload("event-retracted", target=removal["event_id"], reason="it was a mistake")
    story.record(undone, "2026-03-01")
    first, second = story.contradictions("2026-03-02")
    assert (first.until, first.ended_by, first.reacted_at) == (DAY, "removed", DAY)
    assert second.at == spelled("2026-03-01")


def test_a_push_to_a_later_quarter_is_a_reaction_and_the_new_forecast_is_held_anew() -> None:
    story = Story(close_date="2026-03-31")
    story.claims("commit", "2026-01-20")
    push = story.record(revised(close_date="2026-04-01"), DAY)
    first, second = story.contradictions("2026-03-01")
    assert (first.ended_by, first.reacted_at) == ("close_date_pushed", DAY)
    assert first.ended_causes == (push["position"],)
    assert first.claim.quarter is not None
    assert second.claim.quarter is not None
    assert (first.claim.quarter.name, second.claim.quarter.name) == ("2026-Q1", "2026-Q2")
    assert (second.at, second.until) == (DAY, None)


def test_quarters_are_those_of_the_fiscal_calendar() -> None:
    story = Story(close_date="2026-03-31")
    story.claims("commit", "2026-01-20")
    story.record(revised(close_date="2026-04-01"), DAY)
    moments = story.case("2026-03-01").moments
    assert len(contradictions(moments, CALENDAR)) == 2
    assert len(contradictions(moments, FiscalCalendar(start_month=2))) == 1


def test_a_close_date_at_the_end_of_time_lies_in_no_quarter() -> None:
    story = Story(close_date="9999-12-31")
    story.claims("commit", "2026-01-20")
    assert only(story.contradictions()).claim.quarter is None


def test_a_loss_is_reacted_to_when_it_is_known_and_not_when_it_happened() -> None:
    story = Story()
    story.claims("commit", "2026-01-20")
    story.closes("lost", "2026-02-10", known="2026-02-14")
    assert only(story.contradictions()).reacted_at == spelled("2026-02-14")


def test_a_claim_lowered_after_its_evidence_came_is_no_reaction() -> None:
    story = Story()
    story.claims("commit", "2026-01-20")
    story.shows("fit_confirmed", "2026-01-22")
    story.shows("price_seen", "2026-01-25")
    story.claims("pipeline", "2026-02-01")
    assert only(story.contradictions("2026-02-05")).ended_by == "evidence_caught_up"


def test_the_answer_names_the_first_contradiction_its_events_and_the_days_to_react() -> None:
    story = Story()
    claim = story.claims("commit", "2026-01-20")
    lowered = story.claims("omitted", "2026-01-30T18:00:00Z")
    answer = first_knowable_as_dict(story.contradictions(), by_position(story))
    first = answer["first_knowable"]
    assert first["at"] == spelled("2026-01-20")
    assert first["claimed"] == {
        "category": "commit", "period": "2026-Q1", "close_date": "2026-03-31",
    }  # fmt: skip
    assert first["evidenced"] == {"category": "omitted", "stands_at": "problem"}
    assert first["sentence"] == (
        "Forecast: commit closing in 2026-Q1. Its evidence said omitted, at problem; missing: "
        "fit confirmed."
    )
    assert claim["position"] in [event["position"] for event in first["because"]]
    assert answer["forecast_reacted_at"] == "2026-01-30T18:00:00.000000Z"
    assert answer["days_to_react"] == 10.25
    ended = answer["contradictions"][0]["ended_because"]
    assert [event["position"] for event in ended] == [lowered["position"]]


def test_without_a_contradiction_the_answer_says_so() -> None:
    assert first_knowable_as_dict([], {}) == {
        "first_knowable": None, "forecast_reacted_at": None, "days_to_react": None,
        "contradictions": [],
    }  # fmt: skip


# --- what was known between two moments -----------------------------------------------------------

KINDS = st.sampled_from(["supports", "contradicts", "claim", "back", "left", "waived", "amount"])
HAPPENED = st.tuples(KINDS, st.integers(0, 100), st.integers(0, 20), st.sampled_from("ab"))


@given(st.lists(HAPPENED, max_size=12), st.integers(0, 140))
def test_between_two_moments_nothing_changes(
    told: list[tuple[str, int, int, str]], looked_at: int
) -> None:
    story = Story()
    start = at("2026-01-06")
    for kind, day, delay, which in told:
        criterion = {"a": "fit_confirmed", "b": "price_seen"}[which]
        what = {
            "supports": evidence(criterion, "supports"),
            "contradicts": evidence(criterion, "contradicts"),
            "claim": payload("category-claimed", category={"a": "commit", "b": "pipeline"}[which]),
            "back": payload("buyer-regressed", gate={"a": "problem", "b": "price"}[which]),
            "left": payload("stakeholder-left", stakeholder="eve"),
            "waived": payload(
                "criterion-waived", criterion=criterion, reason="r",
                ends_at=format_instant(start + timedelta(days=day + 15)),
            ),
            "amount": revised(amount=money(str(day))),
        }[kind]  # fmt: skip
        occurred = known = start + timedelta(days=day)
        if kind == "waived":  # announced beforehand
            occurred += timedelta(days=delay)
        else:
            known += timedelta(days=delay)
        story.log.record(what, occurred, stream="deal:D1", known_at=known)
    case = story.case()
    instant = format_instant(start + timedelta(days=looked_at, hours=1))
    then, direct = moment_at(case.moments, instant), case.known_then.at(instant)
    assert then is not None
    assert direct is not None
    assert then.verdict == direct.verdict
    assert then.standing.stands_at == direct.standing.stands_at
    assert [each.status for each in then.standing.criteria] == [
        each.status for each in direct.standing.criteria
    ]
    assert [then.claimed.value(field) for field in ("category", "amount")] == [
        direct.claimed.value(field) for field in ("category", "amount")
    ]
    fresh = story.book_deal(instant, instant)
    assert fresh.verdict == direct.verdict
    stood = Standing.of(fresh.qualification)
    assert stood._replace(rulebook=None) == direct.standing._replace(rulebook=None)


@pytest.mark.parametrize("silent", ["debrief-held", "post-mortem-recorded"])
def test_what_says_nothing_of_claims_or_gates_makes_no_moment(silent: str) -> None:
    story = at_signature()
    before = [moment.at for moment in story.case().moments]
    what = {
        "debrief-held": payload(
            "debrief-held", reviewer="max",
            answers=[{"criterion": "fit_confirmed", "answer": "no_answer"}],
        ),
        "post-mortem-recorded": payload("post-mortem-recorded", reviewer="max", finding="early"),
    }[silent]  # fmt: skip
    story.record(what, "2026-01-20")
    assert [moment.at for moment in story.case().moments] == before


def test_a_moment_keeps_where_the_deal_stood_and_not_how_it_came_there() -> None:
    story = at_signature()
    back = story.record(payload("buyer-regressed", gate="price"), "2026-01-20")
    for key in ("price_seen", "contract_back", "legal_named"):
        story.shows(key, "2026-01-22")
    at_noon = {moment.at: moment.deal for moment in story.case("2026-01-25").moments}
    gone, again = at_noon[spelled("2026-01-20")], at_noon[spelled("2026-01-22")]
    assert gone is not None
    assert again is not None
    assert gone.standing.went_back == {back["position"]: "price"}
    assert again.standing.went_back == {}
    assert "moves" not in Standing._fields


def test_a_deal_of_too_many_events_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    story = at_signature()
    story.record(payload("debrief-held", reviewer="max", answers=[]), "2026-01-20")
    monkeypatch.setattr(known_then, "EVENTS_MAX", 5)
    assert story.case().moments, "the playbook, the deal, a stakeholder, and two pieces of evidence"
    story.shows("contract_back", "2026-01-21")
    with pytest.raises(Refused, match="told by 6 events") as refused:
        story.case()
    assert refused.value.code == "too-many-events"
    assert refused.value.hint


def test_before_the_deal_was_known_nothing_is_known() -> None:
    log = Log()
    log.record(opened(), "2026-01-05", known_at="2026-01-09T00:00:00Z")
    case = Story("D2", log=log).case()
    assert case.known_then.at("2026-01-04T00:00:00.000000Z") is None
