"""The playbook that we ship says what the sales practice behind it says."""

from itertools import pairwise
from pathlib import Path

import pytest

from ledger.domain.playbook import Gate, Playbook, parse_playbook
from scripts.demo_book.cast import TITLES

SHIPPED = Path(__file__).parents[2] / "ledger" / "playbooks" / "buyers_journey.toml"

EXIT_CRITERIA = {
    "awareness": {"discovery_meeting_scheduled"},
    "engagement": {"demonstration_next_step", "technical_teams_next_step"},
    "problem": {
        "everyone_affected_confirmed",
        "champion_committed",
        "fit_confirmed",
        "solution_cocreated",
        "problem_next_step",
    },
    "investment": {"budget_price_confirmed", "authority_saw_price"},
    "decision_process": {"yes_or_no_agreed", "deployment_plan_approved"},
    "decision": {"executive_verbal_commitment", "contract_received_signing_date"},
    "advocacy": {
        "handover_done",
        "paperwork_complete",
        "referral_asked",
        "review_scheduled",
        "testimonial_given",
        "introductions_made",
    },
}


@pytest.fixture(scope="module")
def playbook() -> Playbook:
    return parse_playbook(SHIPPED.read_text(encoding="utf-8"), where=SHIPPED.name)


@pytest.fixture(scope="module")
def before_decision(playbook: Playbook) -> list[Gate]:
    return [gate for gate in playbook.gates if not gate.after_decision]


def test_its_key_is_its_file_name(playbook: Playbook) -> None:
    assert (playbook.key, playbook.version) == (SHIPPED.stem, "2")


def test_gates_follow_the_stages_of_the_journey(playbook: Playbook) -> None:
    assert [(gate.stage, gate.key) for gate in playbook.gates] == [
        ("Awareness", "awareness"),
        ("Engagement", "engagement"),
        ("Consideration", "problem"),
        ("Consideration", "investment"),
        ("Consideration", "decision_process"),
        ("Decision", "decision"),
        ("Advocacy", "advocacy"),
    ]


def test_every_exit_criterion_of_the_practice_is_there(playbook: Playbook) -> None:
    for gate in playbook.gates:
        keys = {criterion.key for criterion in gate.criteria}
        assert keys >= EXIT_CRITERIA[gate.key], gate.key


def test_every_exit_criterion_before_the_decision_is_mandatory(before_decision: list[Gate]) -> None:
    for gate in before_decision:
        mandatory = {criterion.key for criterion in gate.criteria if criterion.mandatory}
        assert mandatory >= EXIT_CRITERIA[gate.key], gate.key


def test_a_threshold_can_be_reached(playbook: Playbook) -> None:
    for gate in playbook.gates:
        assert gate.threshold <= sum(not criterion.mandatory for criterion in gate.criteria)


def test_evidence_ages_faster_at_later_gates(before_decision: list[Gate]) -> None:
    longest = [
        max(criterion.fresh_for_days or 3650 for criterion in gate.criteria if criterion.mandatory)
        for gate in before_decision
    ]
    assert all(later < earlier for earlier, later in pairwise(longest))


def test_every_criterion_is_tested_again_more_strictly_at_the_decision(playbook: Playbook) -> None:
    """Qualification is continuous: what was said early is asked again before anybody signs."""
    before_it = playbook.gates[: [gate.key for gate in playbook.gates].index("decision")]
    for gate in before_it:
        for criterion in gate.criteria:
            at_the_decision = criterion.fresher_at["decision"]
            assert criterion.fresh_for_days is not None, criterion.key
            assert at_the_decision < criterion.fresh_for_days, criterion.key
            assert at_the_decision >= 30, f"{criterion.key} would be asked every month"


def test_the_roles_are_those_that_criteria_and_the_demo_book_name(playbook: Playbook) -> None:
    roles = {role.key for role in playbook.roles}
    assert roles >= {each.said_by_role for each in playbook.criteria.values()} - {None}
    assert roles >= set(TITLES)
    assert [role.key for role in playbook.roles if role.authority] == ["economic_buyer"]


def test_the_questions_of_both_streams_are_asked(playbook: Playbook) -> None:
    """Why change, why now, why this; will they act, buy from us, is it worth winning."""
    buyers = " ".join(question for gate in playbook.gates for question in gate.buyer_questions)
    sellers = " ".join(question for gate in playbook.gates for question in gate.seller_questions)
    for asked in ("Why change", "Why now", "Why this", "What if we do nothing"):
        assert asked in buyers, asked
    for asked in ("do anything", "likely to buy from us", "worth winning", "what happens next"):
        assert asked in sellers, asked


def test_what_money_and_c_level_must_say_only_the_economic_buyer_can_say(
    playbook: Playbook,
) -> None:
    for key in (
        "budget_price_confirmed",
        "authority_saw_price",
        "yes_or_no_agreed",
        "deployment_plan_approved",
        "executive_verbal_commitment",
        "contract_received_signing_date",
    ):
        assert playbook.criteria[key].said_by_role == "economic_buyer", key


def test_what_must_be_said_in_words_needs_a_meeting_or_a_call(playbook: Playbook) -> None:
    for key in ("budget_price_confirmed", "executive_verbal_commitment"):
        assert playbook.criteria[key].source_kinds == ("meeting", "call"), key


def test_revenue_is_imminent_only_before_the_decision(before_decision: list[Gate]) -> None:
    assert [gate.key for gate in before_decision if gate.category == "commit"] == ["decision"]


def test_the_weight_rises_with_every_gate(playbook: Playbook) -> None:
    assert all(
        later.weight_percent > earlier.weight_percent for earlier, later in pairwise(playbook.gates)
    )


def test_each_gate_asks_the_buyers_and_the_sellers_questions(playbook: Playbook) -> None:
    for gate in playbook.gates:
        assert gate.buyer_questions, gate.key
        assert gate.seller_questions, gate.key
        assert gate.expected_days, gate.key


def test_the_three_layers_are_all_asked_about(playbook: Playbook) -> None:
    layers = {criterion.layer for criterion in playbook.criteria.values()}
    assert layers == {"organization", "opportunity", "stakeholder"}


def test_every_question_is_one(playbook: Playbook) -> None:
    for criterion in playbook.criteria.values():
        assert criterion.question.endswith("?"), criterion.key
        assert "feel" not in criterion.question, criterion.key
