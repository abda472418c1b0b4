"""Patterns over a set of deals: conversion, time in gates, falls, loops, and what separates."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.errors import InvalidInput
from projections.fold.gates import MoveKind
from projections.fold.stays import falls, loops_before_decision, stays, way
from projections.patterns import ALL_DAYS, Window, pattern_of, studied, window_of
from tests.unit.domain.builders import Log, payload, revised, spelled
from tests.unit.fold.reviewing import LATER, Story


def told(*stories: Story, valid_at: str = LATER, against: str = "not_won") -> dict[str, Any]:
    return pattern_of([studied(story.book_deal(valid_at)) for story in stories], against)


def gate(answer: dict[str, Any], key: str) -> dict[str, Any]:
    (playbook,) = answer["playbooks"]
    (found,) = (each for each in playbook["gates"] if each["gate"] == key)
    assert isinstance(found, dict)
    return found


def criterion(answer: dict[str, Any], key: str) -> dict[str, Any]:
    (playbook,) = answer["playbooks"]
    (found,) = (each for each in playbook["criteria"] if each["criterion"] == key)
    assert isinstance(found, dict)
    return found


def story(*shown: tuple[str, str], outcome: str | None = None, on: str = "2026-03-01") -> Story:
    found = Story()
    for key, day in shown:
        found.shows(key, day)
    if outcome is not None:
        found.closes(outcome, on)
    return found


FIT, PRICE, SIGN = (
    ("fit_confirmed", "2026-01-08"), ("price_seen", "2026-02-18"), ("contract_back", "2026-02-25"),
)  # fmt: skip

# --- gates --------------------------------------------------------------------------------------


def test_conversion_counts_the_deals_that_reached_a_gate_and_are_not_under_way() -> None:
    answer = told(
        story(outcome="no_decision"), story(FIT, outcome="lost"), story(FIT, PRICE, outcome="won"),
        story(FIT, PRICE, SIGN, outcome="won"), story(FIT), story(),
        valid_at="2026-03-02",
    )  # fmt: skip
    rows = {
        key: (found["reached"], found["through"], found["under_way"])
        for key in ("problem", "price", "sign", "advocacy")
        for found in [gate(answer, key)]
    }
    assert rows == {
        "problem": (6, 4, 1), "price": (4, 2, 1), "sign": (2, 1, 0), "advocacy": (2, 0, 2),
    }  # fmt: skip
    assert gate(answer, "problem")["conversion"]["of"] == 5
    assert gate(answer, "problem")["conversion"]["share"] == 0.8
    assert gate(answer, "price")["ended_there"]["lost"] == 1
    assert gate(answer, "sign")["ended_there"]["won"] == 1, "won on thinner evidence"
    assert answer["deals"] == {"decided": 4, "open": 2, "not_judged": 0}


def test_falling_back_does_not_take_away_what_a_deal_got_through() -> None:
    fell = story(FIT, PRICE)
    fell.denies("fit_confirmed", "2026-02-26")
    fell.closes("lost", "2026-03-01")
    went = way(fell.book_deal().qualification)
    assert (set(went.reached), set(went.through), went.standing) == ({0, 1, 2}, {0, 1}, None)


def test_an_open_deal_that_fell_back_is_under_way_at_every_gate_that_it_has_not_got_through() -> (
    None
):
    fell = story(FIT)
    fell.denies("fit_confirmed", "2026-01-18")
    answer = told(fell)
    assert [gate(answer, key)["under_way"] for key in ("problem", "price", "sign")] == [0, 1, 0]
    assert gate(answer, "price")["conversion"]["of"] == 0


def test_the_days_at_a_gate_are_summed_over_all_stays_up_to_the_decision() -> None:
    fell = story(FIT)
    fell.denies("fit_confirmed", "2026-01-18")
    fell.shows("fit_confirmed", "2026-01-20")
    fell.closes("lost", "2026-01-30")
    found = fell.book_deal().qualification
    assert [(stay.gate, stay.start) for stay in stays(found)][:4] == [
        (0, spelled("2026-01-05")), (1, spelled("2026-01-08")), (0, spelled("2026-01-18")),
        (1, spelled("2026-01-20")),
    ]  # fmt: skip
    assert way(found).lengths == {0: timedelta(days=5), 1: timedelta(days=20)}


def test_a_gate_at_which_a_deal_stands_now_has_no_length_yet() -> None:
    answer = told(story(FIT), story(FIT, outcome="lost", on="2026-01-28"), valid_at="2026-03-01")
    assert gate(answer, "problem")["days"]["count"] == 2
    assert gate(answer, "price")["days"] == {
        "count": 1, "least": 20.0, "q1": 20.0, "median": 20.0, "q3": 20.0, "greatest": 20.0,
        "few": True,
    }  # fmt: skip
    assert gate(answer, "price")["expected_days"] == 20


def test_gates_jumped_over_in_one_instant_were_got_through_without_any_days() -> None:
    quick = Story()
    quick.shows("price_seen", "2026-01-08")
    quick.shows("fit_confirmed", "2026-01-08")
    went = way(quick.book_deal("2026-01-10").qualification)
    assert (set(went.through), went.standing) == ({0, 1}, 2)
    assert went.lengths == {0: timedelta(days=3), 2: timedelta(days=2)}


def test_the_gates_after_the_decision_are_reached_by_won_deals_alone() -> None:
    won = story(FIT, PRICE, SIGN, outcome="won")
    won.shows("handover_done", "2026-03-11")
    lost = story(FIT, PRICE, SIGN, outcome="lost")
    answer = told(won, lost)
    found = gate(answer, "advocacy")
    assert (found["reached"], found["through"], found["days"]["median"]) == (1, 1, 10.0)


def test_a_deal_through_all_gates_before_the_decision_waits_at_none_of_them() -> None:
    waiting = story(FIT, PRICE, SIGN)
    went = way(waiting.book_deal("2026-02-26").qualification)
    assert (set(went.reached), set(went.through), went.standing) == ({0, 1, 2}, {0, 1, 2}, None)


def test_while_no_version_is_in_force_a_deal_stands_nowhere() -> None:
    away = story(FIT)
    away.record(revised(playbook="nowhere"), "2026-01-10")
    away.record(revised(playbook="short"), "2026-01-20")
    went = way(away.book_deal("2026-01-25").qualification)
    assert (set(went.through), went.standing) == ({0}, 1)
    assert went.lengths == {0: timedelta(days=3), 1: timedelta(days=7)}


def test_a_reopened_deal_goes_on_where_it_stood() -> None:
    again = story(FIT, outcome="lost", on="2026-01-28")
    again.record(payload("deal-reopened"), "2026-02-10")
    again.closes("no_decision", "2026-02-20")
    went = way(again.book_deal().qualification)
    assert went.lengths == {0: timedelta(days=3), 1: timedelta(days=30)}
    assert went.standing is None


def test_deals_that_no_playbook_judges_are_counted_apart() -> None:
    log = Log()
    log.record(revised(name="x"), "2026-01-01", stream="deal:other")
    unjudged = Story(log=log)
    unjudged.closes("lost", "2026-02-01")
    answer = told(unjudged)
    assert answer["deals"] == {"decided": 1, "open": 0, "not_judged": 1}
    assert (answer["playbooks"], answer["looped"]["of"]) == ([], 0)
    assert answer["outcomes"]["lost"] == 1


# --- falls and loops ------------------------------------------------------------------------------


def test_falls_by_a_word_and_by_a_lapse_and_loops_are_counted_before_the_decision() -> None:
    fell = story(FIT, ("price_seen", "2026-01-10"))
    fell.shows("price_seen", "2026-02-20")  # lapsed on 9 February: a loop
    fell.denies("fit_confirmed", "2026-02-25")
    fell.closes("won", "2026-03-01")
    found = fell.book_deal().qualification
    assert falls(found, MoveKind.LAPSED) == 1
    assert falls(found, MoveKind.REGRESSED) == 1
    assert loops_before_decision(found) == 1
    answer = told(fell, story(FIT, outcome="lost"))
    assert [answer[name]["count"] for name in ("regressed", "lapsed", "looped")] == [1, 1, 1]
    assert [answer[name]["of"] for name in ("regressed", "lapsed", "looped")] == [2, 2, 2]
    assert (gate(answer, "price")["regressions"], gate(answer, "price")["loops"]) == (1, 1)


def test_what_falls_after_the_decision_is_not_counted() -> None:
    won = story(FIT, PRICE, SIGN, outcome="won")
    won.shows("handover_done", "2026-03-11")
    won.denies("handover_done", "2026-03-20")
    won.shows("handover_done", "2026-03-25")
    found = won.book_deal().qualification
    assert len(found.loops) == 1
    assert (falls(found, MoveKind.REGRESSED), loops_before_decision(found)) == (0, 0)


# --- what separates -------------------------------------------------------------------------------


def test_criteria_met_at_the_decision_and_ever_among_won_and_others() -> None:
    lapsed = story(FIT, ("price_seen", "2026-01-10"), outcome="lost", on="2026-02-20")
    answer = told(story(FIT, PRICE, outcome="won"), lapsed, story(outcome="no_decision"), story())
    found = criterion(answer, "price_seen")
    assert [(found["at_decision"][side]["count"], found["at_decision"][side]["of"])
            for side in ("won", "others")] == [(1, 1), (0, 2)]  # fmt: skip
    assert found["ever"]["others"]["count"] == 1
    assert (found["at_decision"]["difference"], found["ever"]["difference"]) == (1.0, 0.5)
    assert found["at_decision"]["few"] is True
    keys = [each["criterion"] for each in answer["playbooks"][0]["criteria"]]
    assert keys == ["price_seen", "fit_confirmed", "contract_back", "legal_named"]


def test_won_deals_may_be_held_against_one_other_outcome() -> None:
    stories = [story(FIT, outcome="won"), story(FIT, outcome="lost"), story(outcome="no_decision")]
    by_side = {
        against: criterion(told(*stories, against=against), "fit_confirmed")["ever"]["difference"]
        for against in ("lost", "no_decision", "not_won")
    }
    assert by_side == {"lost": 0.0, "no_decision": 1.0, "not_won": 0.5}


@pytest.mark.parametrize(("decided", "few"), [(9, True), (10, False)])
def test_small_groups_are_labelled_few(decided: int, few: bool) -> None:
    won = [story(FIT, outcome="won") for _ in range(10)]
    lost = [story(outcome="lost") for _ in range(decided)]
    found = criterion(told(*won, *lost), "fit_confirmed")
    assert found["at_decision"]["few"] is few


def test_the_share_of_no_decision_is_of_the_decided_deals() -> None:
    answer = told(story(outcome="no_decision"), story(outcome="lost"), story())
    assert (answer["no_decision"]["count"], answer["no_decision"]["of"]) == (1, 2)
    assert answer["outcomes"] == {
        "won": 0, "lost": 1, "no_decision": 1, "disqualified": 0, "abandoned": 0,
    }  # fmt: skip


def test_of_no_deals_there_is_no_pattern() -> None:
    answer = pattern_of([])
    assert answer["no_decision"]["share"] is None
    assert answer["playbooks"] == []


# --- the window -----------------------------------------------------------------------------------


class _Calendar:
    """What a window needs of a book."""

    def period(self, name: str) -> Any:
        return FiscalCalendar().period(name)


def window(**asked: Any) -> Window:
    return window_of(_Calendar(), **asked)  # type: ignore[arg-type]


def test_a_window_holds_both_its_days() -> None:
    quarter = window(period="2026-Q1")
    assert quarter == Window(date(2026, 1, 1), date(2026, 3, 31))
    days = (date(2025, 12, 31), date(2026, 1, 1), date(2026, 3, 31), date(2026, 4, 1))
    assert [quarter.holds(day) for day in days] == [False, True, True, False]
    assert [window(first=days[1]).holds(day) for day in days] == [False, True, True, True]
    assert quarter.limits
    assert (window(), ALL_DAYS.limits) == (ALL_DAYS, False)


@pytest.mark.parametrize("code", ["period-and-days", "ends-before-it-starts"])
def test_a_window_that_makes_no_sense_is_refused(code: str) -> None:
    first, last = (FiscalCalendar().period(name).first_day for name in ("2026-Q2", "2026-Q1"))
    asked = {"period": "2026-Q1", "first": first} if code == "period-and-days" else {
        "first": first, "last": last,
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        window(**asked)
    assert caught.value.code == code
