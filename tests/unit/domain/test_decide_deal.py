"""Deciding on a deal: given its events, when a command, then these events or a refusal."""

from __future__ import annotations

import pytest

from ledger.domain.command import Playbooks
from ledger.domain.events import CATALOGUE, EventPayload
from tests.unit.domain.builders import (
    NO_PLAYBOOKS,
    PLAYBOOK,
    PLAYBOOKS_WITH_ROLES,
    Scenario,
    given,
    money,
    opened,
    payload,
    revised,
)

CLOSED = payload("deal-closed", outcome="won")
REOPENED = payload("deal-reopened")
REMOVED = payload("deal-removed")


def evidence(criterion: str = "fit_confirmed", **fields: object) -> EventPayload:
    return payload(
        "evidence-recorded",
        criterion=criterion,
        stance="supports",
        source_kind="call",
        **fields,
    )


def stakeholder(who: str, **fields: object) -> EventPayload:
    return payload("stakeholder-added", stakeholder=who, name="Zoe", **fields)


def changed(who: str, **fields: object) -> EventPayload:
    return payload("stakeholder-changed", stakeholder=who, **(fields or {"title": "CFO"}))


def left(who: str) -> EventPayload:
    return payload("stakeholder-left", stakeholder=who)


def waiver(ends_at: str = "2026-06-01T00:00:00Z", criterion: str = "fit_confirmed") -> EventPayload:
    return payload("criterion-waived", criterion=criterion, reason="A pilot", ends_at=ends_at)


def revocation(criterion: str = "fit_confirmed") -> EventPayload:
    return payload("waiver-revoked", criterion=criterion, reason="It failed")


def debrief(reviewer: str, criterion: str = "fit_confirmed") -> EventPayload:
    answers = [{"criterion": criterion, "answer": "no_answer"}]
    return payload("debrief-held", reviewer=reviewer, answers=answers)


def post_mortem() -> EventPayload:
    return payload("post-mortem-recorded", reviewer="mia", finding="Price came late")


def open_deal(**fields: object) -> Scenario:
    return given(opened(owner="ann", **fields))


# --- opening and removing -------------------------------------------------------------------------


def test_a_deal_is_opened_once() -> None:
    given().when(opened(name="Big")).then(opened(name="Big"))
    open_deal().when(opened()).refused("deal-already-opened")


def test_nothing_is_recorded_on_a_deal_that_was_not_opened() -> None:
    given().when(revised(name="Big")).refused("unknown-deal")
    given(revised(name="Big")).when(CLOSED).refused("unknown-deal")


def test_nothing_is_recorded_on_a_removed_deal() -> None:
    given(opened(), REMOVED).when(revised(name="Big")).refused("deal-removed")
    given(opened(), REMOVED).when(REOPENED).refused("deal-removed")


def test_a_removed_deal_is_not_opened_again() -> None:
    given(opened(), REMOVED).when(opened()).refused("deal-already-opened")


@pytest.mark.parametrize(
    "claim",
    [
        revised(amount=None),
        payload("stage-claimed", stage="Closed Won"),
        payload("category-claimed", category="commit"),
        REMOVED,
    ],
)
def test_a_claim_of_the_crm_is_recorded_as_it_is(claim: EventPayload) -> None:
    open_deal().when(claim).accepted()


def test_a_claim_may_come_after_the_close() -> None:
    given(opened(), CLOSED).when(revised(amount=money("1"))).accepted()


# --- closing and reopening ------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["won", "lost", "no_decision", "disqualified", "abandoned"])
def test_an_open_deal_is_closed_with_any_outcome(outcome: str) -> None:
    open_deal().when(payload("deal-closed", outcome=outcome)).accepted()


def test_a_closed_deal_is_not_closed_again() -> None:
    given(opened(), CLOSED).when(payload("deal-closed", outcome="lost")).refused(
        "deal-already-closed"
    )


def test_a_stage_that_sounds_closed_closes_nothing() -> None:
    given(opened(), payload("stage-claimed", stage="Closed Won")).when(CLOSED).accepted()


def test_a_reopened_deal_is_closed_again() -> None:
    given(opened(), CLOSED, REOPENED).when(CLOSED).accepted()


def test_only_a_closed_deal_is_reopened() -> None:
    given(opened(), CLOSED).when(REOPENED).accepted()
    open_deal().when(REOPENED).refused("deal-not-closed")
    given(opened(), CLOSED, REOPENED).when(REOPENED).refused("deal-not-closed")


def test_a_post_mortem_needs_a_decision() -> None:
    given(opened(), CLOSED).when(post_mortem()).accepted()
    open_deal().when(post_mortem()).refused("deal-not-closed")


def test_a_retracted_close_closes_nothing() -> None:
    scenario = given(opened(), CLOSED)
    scenario.log.record(
        payload("event-retracted", target=scenario.event_id(2), reason="x"), "2026-02-01"
    )
    scenario.when(CLOSED).accepted()


# --- evidence -------------------------------------------------------------------------------------


def test_evidence_speaks_of_a_criterion_of_the_playbook() -> None:
    open_deal().when(evidence()).accepted()
    open_deal().when(evidence("charm")).refused(
        "unknown-criterion", where="evidence-recorded.criterion"
    )


def test_evidence_needs_a_playbook_in_force() -> None:
    open_deal().when(evidence(), playbooks=NO_PLAYBOOKS).refused("no-playbook")


def test_a_deal_follows_the_playbook_that_it_names_by_default_the_first() -> None:
    other = PLAYBOOK.model_copy(update={"key": "renewal", "gates": PLAYBOOK.gates[1:]})
    both = Playbooks({"basic": PLAYBOOK, "renewal": other})
    open_deal().when(evidence(), playbooks=both).accepted()
    renewal = open_deal(playbook="renewal")
    renewal.when(evidence("contract_received"), playbooks=both).accepted()
    renewal.when(evidence(), playbooks=both).refused("unknown-criterion")
    renewal.when(evidence()).refused("unknown-playbook")


def test_what_was_said_was_said_by_a_stakeholder() -> None:
    given(opened(), stakeholder("zoe")).when(evidence(said_by="zoe")).accepted()
    open_deal().when(evidence(said_by="zoe")).refused(
        "unknown-stakeholder", where="evidence-recorded.said_by"
    )


def test_what_a_stakeholder_said_before_leaving_is_still_recorded() -> None:
    given(opened(), stakeholder("zoe"), left("zoe")).when(evidence(said_by="zoe")).accepted()


# --- waivers --------------------------------------------------------------------------------------


def test_a_criterion_is_waived_by_someone_other_than_the_owner() -> None:
    open_deal().when(waiver(), by="mia").accepted()
    open_deal().when(waiver(), by="ann").refused("waiver-by-owner")


def test_the_owner_is_the_one_who_owns_the_deal_now() -> None:
    handed_over = given(opened(owner="ann"), revised(owner="ben"))
    handed_over.when(waiver(), by="ann").accepted()
    handed_over.when(waiver(), by="ben").refused("waiver-by-owner")


def test_a_waiver_is_of_a_criterion_of_the_playbook() -> None:
    open_deal().when(waiver(criterion="charm"), by="mia").refused("unknown-criterion")


def test_a_waiver_ends_after_it_starts() -> None:
    start = "2026-03-31T12:00:00Z"
    open_deal().when(waiver(start), by="mia", occurred_at=start).refused("ends-before-it-starts")
    later = waiver("2026-03-31T12:00:00.000001Z")
    open_deal().when(later, by="mia", occurred_at=start).accepted()


def test_a_waiver_may_be_announced_ahead() -> None:
    open_deal().when(waiver(), by="mia", occurred_at="2026-04-30").accepted()


def test_only_a_waiver_in_force_is_revoked() -> None:
    given(opened(), waiver()).when(revocation()).accepted()
    open_deal().when(revocation()).refused("no-waiver")
    given(opened(), waiver()).when(revocation("contract_received")).refused("no-waiver")
    given(opened(), waiver(), revocation()).when(revocation()).refused("no-waiver")


def test_a_waiver_that_ran_out_is_not_revoked() -> None:
    given(opened(), waiver("2026-03-31T12:00:00Z")).when(revocation()).refused("no-waiver")
    given(opened(), waiver("2026-03-31T12:00:00.000001Z")).when(revocation()).accepted()


# --- stakeholders ---------------------------------------------------------------------------------


def test_a_stakeholder_is_added_once_while_there() -> None:
    open_deal().when(stakeholder("zoe")).accepted()
    given(opened(), stakeholder("zoe")).when(stakeholder("zoe")).refused("stakeholder-exists")
    given(opened(), stakeholder("zoe"), left("zoe")).when(stakeholder("zoe")).accepted()


def test_only_a_known_stakeholder_changes() -> None:
    given(opened(), stakeholder("zoe")).when(changed("zoe")).accepted()
    open_deal().when(changed("zoe")).refused(
        "unknown-stakeholder", where="stakeholder-changed.stakeholder"
    )


def test_a_stakeholder_leaves_once() -> None:
    given(opened(), stakeholder("zoe")).when(left("zoe")).accepted()
    given(opened(), stakeholder("zoe"), left("zoe")).when(left("zoe")).refused(
        "stakeholder-left-already"
    )
    open_deal().when(left("zoe")).refused(
        "unknown-stakeholder", where="stakeholder-left.stakeholder"
    )


def test_a_stakeholder_reports_to_another_known_one() -> None:
    known = given(opened(), stakeholder("zoe"), stakeholder("tim"))
    known.when(stakeholder("eve", reports_to="zoe")).accepted()
    known.when(changed("tim", reports_to="zoe")).accepted()
    known.when(stakeholder("eve", reports_to="noa")).refused("unknown-stakeholder")
    known.when(changed("tim", reports_to="noa")).refused("unknown-stakeholder")
    known.when(stakeholder("eve", reports_to="eve")).refused("own-manager")
    known.when(changed("tim", reports_to="tim")).refused("own-manager")


def test_a_stakeholder_has_a_role_of_the_deals_playbook() -> None:
    known = given(opened(), stakeholder("zoe"))
    for asked in (stakeholder("tim", role="payer"), changed("zoe", role="user")):
        known.when(asked, playbooks=PLAYBOOKS_WITH_ROLES).accepted()
    for asked in (stakeholder("tim", role="oracle"), changed("zoe", role="oracle")):
        refused = known.when(asked, playbooks=PLAYBOOKS_WITH_ROLES)
        where = f"{asked.type}.role"
        assert refused.refused("unknown-role", where=where).hint == "the roles are payer, user"
    for asked in (stakeholder("tim"), changed("zoe", role=None), changed("zoe", title="CFO")):
        known.when(asked, playbooks=PLAYBOOKS_WITH_ROLES).accepted()


def test_roles_are_those_of_the_playbook_that_the_deal_names() -> None:
    both = Playbooks({"first": PLAYBOOK, **PLAYBOOKS_WITH_ROLES.in_force})
    asked = stakeholder("zoe", role="oracle")
    open_deal().when(asked, playbooks=both).accepted()
    open_deal(playbook="basic").when(asked, playbooks=both).refused("unknown-role")


def test_any_role_will_do_where_no_playbook_says_which_there_are() -> None:
    asked = stakeholder("zoe", role="oracle")
    open_deal().when(asked).accepted()
    open_deal().when(asked, playbooks=NO_PLAYBOOKS).accepted()
    open_deal(playbook="gone").when(asked, playbooks=PLAYBOOKS_WITH_ROLES).accepted()


# --- the buyer's moves ----------------------------------------------------------------------------


@pytest.mark.parametrize("move", ["buyer-advanced", "buyer-regressed"])
def test_the_buyer_moves_between_gates_of_the_playbook(move: str) -> None:
    open_deal().when(payload(move, gate="decision")).accepted()
    open_deal().when(payload(move, gate="moon")).refused("unknown-gate", where=f"{move}.gate")


def test_a_loop_goes_between_gates_of_the_playbook() -> None:
    loop = payload("buyer-looped", from_gate="decision", to_gate="problem")
    open_deal().when(loop).accepted()
    for field, gates in (("from_gate", ("moon", "problem")), ("to_gate", ("decision", "moon"))):
        loop = payload("buyer-looped", from_gate=gates[0], to_gate=gates[1])
        open_deal().when(loop).refused("unknown-gate", where=f"buyer-looped.{field}")


# --- debriefs -------------------------------------------------------------------------------------


def test_a_deal_is_debriefed_by_someone_other_than_its_owner() -> None:
    open_deal().when(debrief("mia")).accepted()
    open_deal().when(debrief("ann")).refused("reviewer-is-owner")


def test_a_debrief_asks_about_criteria_of_the_playbook() -> None:
    open_deal().when(debrief("mia", "charm")).refused(
        "unknown-criterion", where="debrief-held.answers.0.criterion"
    )


# --- all kinds ------------------------------------------------------------------------------------


def test_a_deals_stream_holds_deals_events_only() -> None:
    foreign = {model for models in CATALOGUE.values() for model in models} - set(CATALOGUE["deal"])
    assert foreign
    open_deal().when(payload("person-left")).refused("wrong-stream")


def test_the_order_of_recording_does_not_matter_where_time_decides() -> None:
    scenario = open_deal()
    scenario.log.record(REOPENED, "2026-02-02")
    scenario.log.record(CLOSED, "2026-02-01", recorded_at="2026-02-03")
    scenario.when(CLOSED).accepted()
