"""Corrections and retractions are held to the rules of the commands whose events they change."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.events import EventPayload
from tests.unit.domain.builders import (
    NO_PLAYBOOKS,
    NOW,
    PLAYBOOK,
    Scenario,
    given,
    opened,
    payload,
    revised,
    spelled,
)

CLOSED = payload("deal-closed", outcome="won")
LOST = payload("deal-closed", outcome="lost")
REOPENED = payload("deal-reopened")
WAIVER = {"criterion": "fit_confirmed", "reason": "A pilot", "ends_at": "2026-06-01T00:00:00Z"}
EVIDENCE = {"criterion": "fit_confirmed", "stance": "supports", "source_kind": "call"}
ZOE = payload("stakeholder-added", stakeholder="zoe", name="Zoe")
ZOE_LEFT = payload("stakeholder-left", stakeholder="zoe")


def correction(scenario: Scenario, number: int, **fields: Any) -> EventPayload:
    target = scenario.event_id(number)
    return payload("event-corrected", target=target, reason="A typing error", **fields)


def retraction(scenario: Scenario, number: int) -> EventPayload:
    return payload("event-retracted", target=scenario.event_id(number), reason="A mistake")


def waived() -> Scenario:
    return given(opened(owner="ann"), payload("criterion-waived", **WAIVER))


def evidence(**fields: Any) -> EventPayload:
    return payload("evidence-recorded", **{**EVIDENCE, **fields})


# --- the rules of the command ---------------------------------------------------------------------


def test_an_owner_extends_no_waiver_by_correcting_it() -> None:
    scenario = waived()
    longer = correction(scenario, 2, payload={**WAIVER, "ends_at": "2036-06-01T00:00:00Z"})
    scenario.when(longer, by="ann").refused("waiver-by-owner")
    decided = scenario.when(longer, by="mia")
    assert decided.command.payload is longer
    scenario.when(correction(scenario, 2, occurred_at="2026-01-01T12:00:00Z"), by="ann").refused(
        "waiver-by-owner"
    )


def test_the_owner_of_that_time_and_of_now_are_both_owners() -> None:
    scenario = given(
        opened(owner="ann"), payload("criterion-waived", **WAIVER), revised(owner="ben")
    )
    shorter = correction(scenario, 2, payload={**WAIVER, "ends_at": "2026-05-01T00:00:00Z"})
    for owner in ("ann", "ben"):
        scenario.when(shorter, by=owner).refused("waiver-by-owner")


def test_a_corrected_waiver_ends_after_it_starts() -> None:
    scenario = waived()
    start = scenario.log.events[1]["occurred_at"]
    over = correction(scenario, 2, payload={**WAIVER, "ends_at": start})
    scenario.when(over, by="mia").refused("ends-before-it-starts")
    late = correction(scenario, 2, occurred_at="2026-06-01T00:00:00Z")
    scenario.when(late, by="mia").refused("ends-before-it-starts")


@pytest.mark.parametrize(
    ("first", "corrected", "code"),
    [
        (evidence(), {**EVIDENCE, "criterion": "charm"}, "unknown-criterion"),
        (evidence(), {**EVIDENCE, "said_by": "tim"}, "unknown-stakeholder"),
        (payload("buyer-advanced", gate="problem"), {"gate": "moon"}, "unknown-gate"),
        (payload("stage-claimed", stage="A"), {"stage": "A", "gate": "moon"}, "unknown-gate"),
        (revised(name="Big"), {"playbook": "moon"}, "unknown-playbook"),
        (payload("debrief-held", reviewer="mia"), {"reviewer": "ann"}, "reviewer-is-owner"),
        (ZOE, {"stakeholder": "zoe", "name": "Zoe", "reports_to": "zoe"}, "own-manager"),
    ],
)
def test_a_correction_is_refused_as_its_command_would_be(
    first: EventPayload, corrected: dict[str, Any], code: str
) -> None:
    scenario = given(opened(owner="ann"), first)
    scenario.when(correction(scenario, 2, payload=corrected), by="mia").refused(code)


def test_an_account_is_no_place_for_corrected_evidence_of_another_layer() -> None:
    scenario = given(
        payload("account-opened", name="Acme"),
        evidence(criterion="policy_known"),
        stream="account:A1",
    )
    scenario.when(correction(scenario, 2, payload=EVIDENCE)).refused("wrong-layer")


def test_a_call_is_corrected_within_its_period_and_by_its_rules() -> None:
    facts = {
        "period": "2026-Q2",
        "person": "ann",
        "category": "commit",
        "haircut_percent": 50,
        "adjuster": "mia",
        "reason": "No evidence",
        "expires_at": "2026-07-01T00:00:00Z",
    }
    scenario = given(payload("forecast-adjusted", **facts), stream="period:2026-Q2")
    for change, code in (
        ({"adjuster": "ann"}, "adjuster-is-caller"),
        ({"period": "2026-Q3"}, "wrong-stream"),
        ({"expires_at": "2025-07-01T00:00:00Z"}, "ends-before-it-starts"),
    ):
        scenario.when(correction(scenario, 1, payload={**facts, **change})).refused(code)


def test_a_published_version_keeps_its_content_and_may_take_effect_at_another_time() -> None:
    facts = {"playbook": PLAYBOOK.model_dump(mode="json")}
    scenario = given(payload("playbook-published", **facts), stream="playbook:basic")
    renamed = {"playbook": {**facts["playbook"], "name": "Other"}}
    scenario.when(correction(scenario, 1, payload=renamed)).refused("version-exists")
    later = correction(scenario, 1, occurred_at="2026-05-01T00:00:00Z")
    scenario.when(later).then(later)


# --- the target is left out -----------------------------------------------------------------------


def test_the_first_event_of_a_stream_is_corrected_as_if_it_were_not_there_yet() -> None:
    for stream, first, corrected in (
        ("deal:D1", opened(name="Big"), {"name": "Bigger"}),
        ("account:A1", payload("account-opened", name="Acme"), {"name": "Acme Ltd"}),
        ("person:ann", payload("person-joined", name="Ann"), {"name": "Anne"}),
    ):
        scenario = given(first, stream=stream)
        act = correction(scenario, 1, payload=corrected)
        scenario.when(act).then(act.model_copy(update={"payload_version": 1}))


def test_somebody_who_came_twice_is_corrected_in_both_places() -> None:
    scenario = given(opened(), ZOE, ZOE_LEFT, ZOE)
    for number in (2, 4):
        act = correction(scenario, number, payload={"stakeholder": "zoe", "name": "Zoë"})
        scenario.when(act).then(act.model_copy(update={"payload_version": 1}))


def test_a_person_who_has_left_is_still_corrected() -> None:
    assessed = {"aspect": "urgency", "score": 3, "assessor": "mia"}
    scenario = given(
        payload("person-joined", name="Ann"),
        payload("person-assessed", **assessed),
        payload("person-left"),
        stream="person:ann",
    )
    act = correction(scenario, 2, payload={**assessed, "score": 4})
    scenario.when(act).then(act.model_copy(update={"payload_version": 1}))
    late = correction(scenario, 3, occurred_at="2025-12-31T00:00:00Z")
    scenario.when(late).refused("unknown-person")


# --- what was imported was never decided ----------------------------------------------------------


def test_what_a_correction_leaves_as_it_is_is_not_asked_for_again() -> None:
    scenario = given(
        opened(playbook="moon"),
        evidence(criterion="charm", said_by="nobody"),
        payload("stage-claimed", stage="A", gate="moon"),
    )
    for number, corrected in (
        (1, {"name": "Big", "playbook": "moon"}),
        (2, {**EVIDENCE, "criterion": "charm", "said_by": "nobody", "quote": "Yes"}),
        (3, {"stage": "A", "gate": "moon", "probability": 10}),
    ):
        act = correction(scenario, number, payload=corrected)
        for playbooks in (NO_PLAYBOOKS, scenario.when(act).command.playbooks):
            decided = scenario.when(act, playbooks=playbooks)
            decided.then(act.model_copy(update={"payload_version": 1}))


def test_an_imported_deal_that_closed_twice_is_corrected_where_its_order_stays() -> None:
    scenario = given(opened(), LOST, CLOSED)
    act = correction(scenario, 3, payload={"outcome": "lost", "seller_reason": "price"})
    scenario.when(act).then(act.model_copy(update={"payload_version": 1}))
    moved = correction(scenario, 3, occurred_at="2026-01-02T18:00:00Z")
    scenario.when(moved).then(moved)
    scenario.when(retraction(scenario, 3)).accepted()
    scenario.when(retraction(scenario, 2)).accepted()


def test_a_correction_puts_nobody_unknown_in_the_place_of_somebody_unknown() -> None:
    scenario = given(
        opened(), evidence(said_by="nobody"), payload("stakeholder-left", stakeholder="x")
    )
    for number, corrected in (
        (2, {**EVIDENCE, "said_by": "tim"}),
        (3, {"stakeholder": "tim"}),
    ):
        act = correction(scenario, number, payload=corrected)
        scenario.when(act).refused("unknown-stakeholder")


# --- what an act leaves behind --------------------------------------------------------------------


def test_an_act_leaves_no_deal_closed_twice_and_no_open_one_reopened() -> None:
    scenario = given(opened(), CLOSED, REOPENED, LOST)
    scenario.when(retraction(scenario, 4)).accepted()
    left = scenario.when(retraction(scenario, 3)).refused("deal-already-closed")
    assert left.where.startswith("position 4, deal-closed of 2026-01-04")
    scenario.when(retraction(scenario, 2)).refused("deal-not-closed")
    early = correction(scenario, 4, occurred_at="2026-01-02T18:00:00Z")
    scenario.when(early).refused("deal-already-closed")
    before = correction(scenario, 2, occurred_at="2025-12-31T00:00:00Z")
    scenario.when(before).refused("before-opening")


def test_a_retraction_is_undone_only_where_the_event_still_fits() -> None:
    scenario = given(opened(), CLOSED)
    act = scenario.log.record(retraction(scenario, 2), "2026-02-01")
    undoing = payload("event-retracted", target=act["event_id"], reason="It was right")
    scenario.when(undoing).accepted()
    scenario.log.record(LOST, "2026-02-02")
    scenario.when(undoing).refused("deal-already-closed")


def test_the_opening_of_a_deal_that_never_was_is_retracted_with_all_that_follows() -> None:
    scenario = given(opened(), ZOE, CLOSED, REOPENED)
    act = scenario.log.record(retraction(scenario, 1), "2026-02-01")
    scenario.when(payload("event-retracted", target=act["event_id"], reason="x")).accepted()
    scenario.when(revised(name="Big")).refused("unknown-deal")
    scenario.when(opened(), occurred_at="2026-01-01").accepted()
    scenario.when(opened(), occurred_at="2026-01-03T18:00:00Z").refused("before-opening")


def test_who_spoke_stays_a_stakeholder() -> None:
    scenario = given(opened(), ZOE, evidence(said_by="zoe"))
    scenario.when(retraction(scenario, 2)).refused("unknown-stakeholder")
    other = correction(scenario, 2, payload={"stakeholder": "tim", "name": "Tim"})
    scenario.when(other).refused("unknown-stakeholder")
    scenario.log.record(retraction(scenario, 3), "2026-02-01")
    scenario.when(retraction(scenario, 2)).accepted()


def test_an_owner_brings_no_waiver_back_by_retracting_its_revocation() -> None:
    revoked = payload("waiver-revoked", criterion="fit_confirmed", reason="It failed")
    scenario = given(opened(owner="ann"), payload("criterion-waived", **WAIVER), revoked)
    scenario.when(retraction(scenario, 3), by="ann").refused("waiver-by-owner")
    later = correction(scenario, 3, occurred_at="2026-01-02T18:00:00Z")
    scenario.when(later, by="ann").accepted()
    scenario.when(retraction(scenario, 3), by="mia").accepted()
    scenario.when(retraction(scenario, 2), by="ann").accepted()
    act = scenario.log.record(retraction(scenario, 2), "2026-02-01")
    undoing = payload("event-retracted", target=act["event_id"], reason="x")
    scenario.when(undoing, by="ann").refused("waiver-by-owner")


def test_a_former_owner_brings_no_waiver_of_their_own_time_back() -> None:
    revoked = payload("waiver-revoked", criterion="fit_confirmed", reason="It failed")
    waiver = payload("criterion-waived", **WAIVER)
    scenario = given(opened(owner="ann"), waiver, revoked, revised(owner="bob"))
    for owner in ("ann", "bob"):
        scenario.when(retraction(scenario, 3), by=owner).refused("waiver-by-owner")
        later = correction(scenario, 3, occurred_at="2026-01-03T11:00:00Z")
        scenario.when(later, by=owner).accepted()
    scenario.when(retraction(scenario, 3), by="mia").accepted()
    before = given(opened(owner="ann"), waiver, revised(owner="bob"), revoked)
    before.when(retraction(before, 4), by="bob").refused("waiver-by-owner")
    before.when(retraction(before, 4), by="ann").accepted()


def test_who_may_waive_is_asked_of_each_instant_at_which_waived_time_is_added() -> None:
    """The waiver that is retracted had cut off one that was in force before and after it."""
    long, short = WAIVER, {**WAIVER, "ends_at": "2026-01-04T18:00:00Z"}
    scenario = given(
        opened(owner="bob"),
        payload("criterion-waived", **long),
        payload("criterion-waived", **short),
        revised(owner="ann"),
        revised(owner="cho"),
    )
    scenario.when(retraction(scenario, 3), by="ann").refused("waiver-by-owner")
    scenario.when(retraction(scenario, 3), by="cho").refused("waiver-by-owner")
    scenario.when(retraction(scenario, 3), by="bob").accepted()


# --- what is dated back ---------------------------------------------------------------------------


def test_an_outcome_is_decided_where_it_stands() -> None:
    scenario = given(opened(), CLOSED, REOPENED)
    for day in ("2026-01-01T18:00:00Z", "2026-01-02T12:00:00Z"):
        scenario.when(LOST, occurred_at=day).refused("deal-already-closed")
    scenario.when(LOST, occurred_at="2026-01-03T12:00:00Z").accepted()
    scenario.when(LOST, occurred_at=NOW).accepted()
    scenario.when(LOST, occurred_at="2025-12-31").refused("before-opening")


def test_a_reopening_is_decided_where_it_stands() -> None:
    scenario = given(opened(), CLOSED)
    scenario.when(REOPENED, occurred_at="2026-01-01T18:00:00Z").refused("deal-not-closed")
    scenario.when(REOPENED, occurred_at="2026-01-02T12:00:00Z").accepted()
    twice = given(opened(), CLOSED, REOPENED)
    twice.when(REOPENED, occurred_at="2026-01-02T18:00:00Z").refused("deal-not-closed")


def test_late_evidence_may_stand_before_the_opening_and_after_the_close() -> None:
    scenario = given(opened(), CLOSED)
    for day in ("2025-06-01", "2026-02-01"):
        scenario.when(evidence(), occurred_at=day).accepted()


def test_what_happened_before_a_removal_may_still_come_to_light() -> None:
    scenario = given(opened(), revised(name="Big"), payload("deal-removed"))
    scenario.when(evidence(), occurred_at="2026-01-02T18:00:00Z").accepted()
    scenario.when(evidence(), occurred_at="2026-01-03T12:00:00Z").refused("deal-removed")
    scenario.when(payload("deal-removed"), occurred_at="2026-01-02").refused("deal-removed")
    act = correction(scenario, 2, payload={"name": "Bigger"})
    scenario.when(act).then(act.model_copy(update={"payload_version": 1}))
    scenario.when(correction(scenario, 3, occurred_at="2026-01-01T18:00:00Z")).accepted()


def test_a_waiver_is_revoked_at_an_instant_at_which_it_is_in_force() -> None:
    revoked = payload("waiver-revoked", criterion="fit_confirmed", reason="It failed")
    scenario = waived()
    scenario.when(revoked, occurred_at="2026-01-02T12:00:00Z").accepted()
    scenario.when(revoked, occurred_at="2026-01-02T11:59:59.999999Z").refused("no-waiver")
    over = given(
        opened(owner="ann"),
        payload("criterion-waived", **{**WAIVER, "ends_at": "2026-01-05T00:00:00Z"}),
    )
    over.when(revoked, occurred_at="2026-01-04T23:59:59.999999Z").accepted()
    over.when(revoked, occurred_at="2026-01-05T00:00:00Z").refused("no-waiver")


def test_a_debrief_and_a_post_mortem_ask_for_the_owner_and_outcome_of_their_time() -> None:
    scenario = given(opened(owner="ann"), CLOSED, revised(owner="mia"), REOPENED)
    answers = [{"criterion": "fit_confirmed", "answer": "no_answer"}]
    debrief = payload("debrief-held", reviewer="mia", answers=answers)
    scenario.when(debrief, occurred_at="2026-01-02T18:00:00Z").accepted()
    scenario.when(debrief).refused("reviewer-is-owner")
    post_mortem = payload("post-mortem-recorded", reviewer="kim", finding="Price came late")
    scenario.when(post_mortem, occurred_at="2026-01-02T18:00:00Z").accepted()
    scenario.when(post_mortem, occurred_at="2026-01-01T18:00:00Z").refused("deal-not-closed")
    scenario.when(post_mortem).refused("deal-not-closed")


def test_nobody_leaves_before_they_came() -> None:
    scenario = given(opened(), ZOE)
    scenario.when(ZOE_LEFT, occurred_at="2026-01-01T18:00:00Z").refused("unknown-stakeholder")
    scenario.when(ZOE, occurred_at="2026-01-01T18:00:00Z").refused("stakeholder-exists")
    person = given(payload("person-joined", name="Ann"), stream="person:ann")
    person.when(payload("person-left"), occurred_at="2025-06-01").refused("unknown-person")


# --- keys and actors ------------------------------------------------------------------------------


def test_a_deal_names_a_playbook_in_force() -> None:
    given().when(opened(playbook="basic")).accepted()
    given().when(opened(playbook="moon")).refused("unknown-playbook")
    given(opened()).when(revised(playbook="moon")).refused("unknown-playbook")
    given(opened()).when(revised(playbook=None)).accepted()
    given().when(opened(playbook="basic"), playbooks=NO_PLAYBOOKS).refused("no-playbook")


def test_a_claimed_stage_names_a_gate_of_the_playbook() -> None:
    scenario = given(opened())
    stage = payload("stage-claimed", stage="Proposal", gate="decision")
    scenario.when(stage).accepted()
    scenario.when(stage, playbooks=NO_PLAYBOOKS).refused("no-playbook")
    scenario.when(payload("stage-claimed", stage="Proposal", gate="moon")).refused("unknown-gate")
    scenario.when(payload("stage-claimed", stage="Proposal"), playbooks=NO_PLAYBOOKS).accepted()


@pytest.mark.parametrize("actor", ["", " ", "ann ", " ann", "ann\u00a0", "a\tnn", "ann\u200b"])
def test_an_actor_is_spelt_in_one_way(actor: str) -> None:
    given(opened(owner="ann")).when(revised(name="Big"), by=actor).refused("invalid-actor")


def test_corrections_are_decided_at_the_time_that_they_give() -> None:
    scenario = given(opened(), CLOSED, payload("deal-revised", name="Big"))
    act = correction(scenario, 2, occurred_at=spelled("2026-01-01T18:00:00Z"))
    scenario.when(act).accepted()
