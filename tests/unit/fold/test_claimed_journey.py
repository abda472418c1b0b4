"""The claimed journey: how a claim moves, and by which order."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.events import EventPayload
from ledger.domain.playbook import Playbook
from projections.fold.claimed_journey import ClaimedJourney, ClaimLoop, Scale, claimed_journey
from projections.fold.rulebook import PlaybookHistory
from tests.unit.domain.builders import Log, basis_of, opened, payload, spelled

GATES = ("problem", "price", "process", "decision")
JOURNEY = Playbook.model_validate(
    {
        "key": "journey",
        "version": "1",
        "name": "Journey",
        "gates": [
            {
                "key": gate,
                "name": gate,
                "stage": gate,
                "criteria": [{"key": f"{gate}_confirmed", "question": "Is it?"}],
            }
            for gate in GATES
        ],
    }
)
ORDER = ("A", "B", "C", "D")


def claim(stage: str, gate: str | None = None, probability: int | None = None) -> EventPayload:
    given = {"gate": gate, "probability": probability}
    return payload(
        "stage-claimed", stage=stage, **{k: v for k, v in given.items() if v is not None}
    )


def won() -> EventPayload:
    return payload("deal-closed", outcome="won")


class Deal:
    """A deal of one story: each part happens a day after the one before, from 2026-01-02 on."""

    def __init__(self, *story: EventPayload, opened_on: str = "2026-01-01") -> None:
        self.log = Log()
        self.log.record(opened(name="Alpha"), opened_on)
        for day, each in enumerate(story, 2):
            self.log.record(each, f"2026-01-{day:02}")

    def journey(
        self, *order: str, on: str = "2026-03-01", playbook: Playbook | None = None
    ) -> ClaimedJourney:
        """Its journey on a day, as known then."""
        playbooks = None
        if playbook is not None:
            shelf = Log()
            published = payload("playbook-published", playbook=playbook.model_dump(mode="json"))
            shelf.record(published, "2025-01-01", stream=f"playbook:{playbook.key}")
            playbooks = PlaybookHistory(shelf.events, spelled(on))
        events = self.log.visible(basis_of(on))
        journey = claimed_journey("D1", events, spelled(on), playbooks, order)
        assert journey is not None
        return journey


def kinds(journey: ClaimedJourney) -> list[str]:
    return [str(move.kind) for move in journey.moves]


def test_stages_are_ordered_by_the_gates_they_stand_for() -> None:
    deal = Deal(claim("Demo", "problem"), claim("Offer", "process"), claim("Price", "price"))
    journey = deal.journey(playbook=JOURNEY)
    assert (journey.scale, journey.playbook) == (Scale.GATE, "journey@1")
    assert [(step.stage, step.place) for step in journey.steps] == [
        ("Demo", 0), ("Offer", 2), ("Price", 1),
    ]  # fmt: skip
    assert kinds(journey) == ["forward", "backward"]
    (back,) = journey.regressions
    assert (back.at, back.causes) == (spelled("2026-01-04"), (3, 4))


def test_without_gates_the_probability_orders() -> None:
    deal = Deal(claim("Demo", None, 20), claim("Offer", None, 60), claim("Demo", None, 20))
    journey = deal.journey()
    assert (journey.scale, journey.playbook) == (Scale.PROBABILITY, None)
    assert kinds(journey) == ["forward", "backward"]


def test_without_both_a_given_order_orders() -> None:
    journey = Deal(claim("B"), claim("C"), claim("A")).journey(*ORDER)
    assert journey.scale is Scale.GIVEN
    assert kinds(journey) == ["forward", "backward"]


def test_without_any_order_nothing_is_guessed() -> None:
    journey = Deal(claim("B", "price"), claim("C"), claim("C"), claim("A")).journey()
    assert journey.scale is None
    assert kinds(journey) == ["unordered", "repeated", "unordered"]
    assert (journey.regressions, journey.loops) == ((), ())
    assert journey.without_place == ("B", "C", "A")


def test_the_scale_on_which_most_claims_have_a_place_is_taken() -> None:
    deal = Deal(claim("B", "price", 40), claim("C", None, 60), claim("A", None, 10))
    assert deal.journey(playbook=JOURNEY).scale is Scale.PROBABILITY
    deal = Deal(claim("B", "price", 40), claim("C", "process", 60), claim("A"))
    assert deal.journey(playbook=JOURNEY).scale is Scale.GATE


def test_a_gate_that_the_version_lacks_is_no_place() -> None:
    journey = Deal(claim("B", "price"), claim("X", "legal"), claim("A", "problem")).journey(
        playbook=JOURNEY
    )
    assert kinds(journey) == ["unordered", "backward"]
    assert journey.without_place == ("X",)
    assert journey.moves[1].origin.stage == "B"


def test_a_stage_that_named_its_gate_once_keeps_it() -> None:
    """Rows that were imported before a mapping named gates are ordered by those after it."""
    deal = Deal(claim("B"), claim("A", "problem"), claim("B", "price"))
    assert kinds(deal.journey(playbook=JOURNEY)) == ["backward", "forward"]


def test_stages_of_one_gate_are_one_place() -> None:
    deal = Deal(claim("Made", "price"), claim("Sent", "price"), claim("Sent", "price"))
    assert kinds(deal.journey(playbook=JOURNEY)) == ["repeated", "repeated"]


def test_the_same_stage_again_is_repeated_whatever_its_probability() -> None:
    deal = Deal(claim("A", None, 50), claim("A", None, 70), claim("B", None, 60))
    assert kinds(deal.journey()) == ["repeated", "backward"]
    assert deal.journey().loops == ()


def test_a_loop_is_a_place_claimed_again_after_going_back_behind_it() -> None:
    journey = Deal(claim("A"), claim("C"), claim("B"), claim("C")).journey(*ORDER)
    assert journey.loops == (
        ClaimLoop(2, None, "C", spelled("2026-01-04"), spelled("2026-01-05"), 4, 5),
    )


def test_a_place_reached_for_the_first_time_is_no_loop() -> None:
    journey = Deal(claim("D"), claim("A"), claim("B"), claim("C")).journey(*ORDER)
    assert (len(journey.regressions), journey.loops) == (1, ())


def test_coming_back_down_to_a_place_is_no_loop() -> None:
    journey = Deal(claim("B"), claim("D"), claim("B")).journey(*ORDER)
    assert (kinds(journey), journey.loops) == (["forward", "backward"], ())


def test_each_return_is_a_loop_and_names_its_own_going_back() -> None:
    stages = ("A", "D", "C", "A", "D", "B", "C")
    journey = Deal(*map(claim, stages)).journey(*ORDER)
    assert [(loop.stage, loop.lost_by, loop.again_by) for loop in journey.loops] == [
        ("D", 4, 6),
        ("C", 7, 8),
    ]


def test_two_claims_about_one_instant_are_two_steps() -> None:
    log = Log()
    log.record(opened(name="Alpha"), "2026-01-01")
    for stage in ("B", "C", "A"):
        log.record(claim(stage), "2026-01-02")
    journey = claimed_journey("D1", log.events, spelled("2026-01-02"), None, ORDER)
    assert journey is not None
    assert kinds(journey) == ["forward", "backward"]


def test_the_stage_of_an_end_is_no_move_and_a_reopened_deal_goes_on() -> None:
    """A row that ends a deal tells the stage first, and the end at the same instant."""
    log = Log()
    log.record(opened(name="Alpha"), "2026-01-01")
    for stage, day in (("A", 2), ("C", 3)):
        log.record(claim(stage), f"2026-01-{day:02}")
    ended = "2026-01-09"
    log.record(claim("B"), ended, known_at=ended, recorded_at="2026-02-01")
    log.record(claim("Won"), ended, known_at=ended, recorded_at="2026-02-01")
    log.record(won(), "2026-01-05", known_at=ended, recorded_at="2026-02-01")
    again = "2026-01-12"
    log.record(claim("C"), again, known_at=again, recorded_at="2026-02-01")
    log.record(payload("deal-reopened"), again, known_at=again, recorded_at="2026-02-01")
    journey = claimed_journey("D1", log.events, spelled("2026-02-01"), None, (*ORDER, "Won"))
    assert journey is not None
    assert [(step.stage, step.ended) for step in journey.steps] == [
        ("A", False), ("C", False), ("B", False), ("Won", True), ("C", False),
    ]  # fmt: skip
    assert kinds(journey) == ["forward", "backward", "forward"]
    assert [loop.stage for loop in journey.loops] == ["C"]


def test_a_close_entered_late_does_not_end_what_was_claimed_before_it_was_known() -> None:
    deal = Deal(claim("C"), claim("B"))
    deal.log.record(won(), "2026-01-02T18:00:00Z", recorded_at="2026-01-20")
    assert kinds(deal.journey(*ORDER, on="2026-02-01")) == ["backward"]


def test_claims_from_before_the_opening_are_steps_and_are_listed() -> None:
    deal = Deal(claim("C"), claim("B"), opened_on="2026-01-03")
    journey = deal.journey(*ORDER)
    assert (kinds(journey), journey.before_opening) == (["backward"], (2,))


def test_what_was_retracted_was_never_claimed() -> None:
    deal = Deal(claim("C"), claim("A"), claim("D"))
    target = deal.log.events[2]["event_id"]
    deal.log.record(payload("event-retracted", target=target, reason="Wrong deal"), "2026-01-20")
    assert kinds(deal.journey(*ORDER, on="2026-01-10")) == ["backward", "forward"]
    assert kinds(deal.journey(*ORDER)) == ["forward"]


def test_a_corrected_claim_answers_by_its_correction() -> None:
    deal = Deal(claim("A"), claim("C"), claim("B"))
    target = deal.log.events[3]["event_id"]
    act = payload("event-corrected", target=target, payload={"stage": "D"}, reason="Typing")
    position = deal.log.record(act, "2026-01-20")["position"]
    journey = deal.journey(*ORDER)
    assert (kinds(journey), journey.steps[-1].cause) == (["forward", "forward"], position)


@pytest.mark.parametrize("on", ["2025-12-31", "2026-02-01"])
def test_a_deal_that_is_not_in_the_book_has_no_journey(on: str) -> None:
    deal = Deal(claim("A"))
    deal.log.record(payload("deal-removed"), "2026-01-20")
    assert claimed_journey("D1", deal.log.visible(basis_of(on)), spelled(on)) is None


def test_a_deal_without_a_claim_has_an_empty_journey() -> None:
    journey = Deal().journey(*ORDER)
    assert (journey.scale, journey.steps, journey.moves) == (None, (), ())


@given(st.lists(st.sampled_from(ORDER), max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_the_order_of_arrival_does_not_matter_and_moves_add_up(
    stages: list[str], shuffled: Random
) -> None:
    deal = Deal(*map(claim, stages))
    events = list(deal.log.events)
    shuffled.shuffle(events)
    journey = claimed_journey("D1", events, spelled("2026-03-01"), None, ORDER)
    assert journey == deal.journey(*ORDER)
    ranks = [ORDER.index(stage) for stage in stages]
    steps = list(pairwise(ranks))
    assert len(journey.regressions) == sum(after < before for before, after in steps)
    seen = [place in ranks[:at] and place > ranks[at - 1] for at, place in enumerate(ranks) if at]
    assert len(journey.loops) == sum(seen)
