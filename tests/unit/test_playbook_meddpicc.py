"""The second playbook that we ship: other gates, other roles, judged by the same fold."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import ledger
from ledger.domain.playbook import Playbook, parse_playbook
from ledger.domain.times import format_instant
from projections.fold.gates import GateStatus, Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory
from projections.fold.verdict import no_evidence_no_revenue
from tests.unit.domain.builders import Log, at, opened, payload

FOLDER = Path(ledger.__file__).parent / "playbooks"
START = at("2026-01-05")


def shipped(name: str) -> Playbook:
    return parse_playbook((FOLDER / f"{name}.toml").read_text(encoding="utf-8"), where=name)


@pytest.fixture(scope="module")
def meddpicc() -> Playbook:
    return shipped("meddpicc")


def test_each_letter_is_a_gate(meddpicc: Playbook) -> None:
    letters = {gate.key for gate in meddpicc.gates}
    assert letters == {
        "metrics", "economic_buyer", "decision_criteria", "decision_process", "paper_process",
        "identify_pain", "champion", "competition",
    }  # fmt: skip
    assert not any(gate.after_decision for gate in meddpicc.gates)


def test_it_shares_as_good_as_nothing_with_the_buyers_journey(meddpicc: Playbook) -> None:
    other = shipped("buyers_journey")
    assert len(meddpicc.gates) != len(other.gates)
    assert not meddpicc.criteria.keys() & other.criteria.keys()
    assert {role.key for role in meddpicc.roles} != {role.key for role in other.roles}
    asked = {each.question for each in meddpicc.criteria.values()}
    assert not asked & {each.question for each in other.criteria.values()}


def test_every_gate_asks_both_sides_and_weighs_more_than_the_one_before(
    meddpicc: Playbook,
) -> None:
    for gate in meddpicc.gates:
        assert gate.buyer_questions, gate.key
        assert gate.seller_questions, gate.key
    assert all(
        later.weight_percent > earlier.weight_percent for earlier, later in pairwise(meddpicc.gates)
    )
    assert [gate.key for gate in meddpicc.gates if gate.category == "commit"] == ["paper_process"]


def test_one_criterion_takes_the_word_of_a_crm(meddpicc: Playbook) -> None:
    taking = {key for key, each in meddpicc.criteria.items() if "crm" in each.source_kinds}
    assert taking == {"alternatives_named"}


def test_what_is_said_early_is_asked_again_at_the_end(meddpicc: Playbook) -> None:
    earlier = [each for gate in meddpicc.gates[:-1] for each in gate.criteria if each.mandatory]
    tightened = [each.key for each in earlier if "paper_process" in each.fresher_at]
    assert len(tightened) >= len(earlier) - 1


# --- judged ---------------------------------------------------------------------------------------


class Deal:
    """A deal under a playbook, in which a day goes by with each thing that is recorded."""

    def __init__(self, playbook: Playbook) -> None:
        self.log = Log()
        self.now = START
        stream = f"playbook:{playbook.key}"
        version = payload("playbook-published", playbook=playbook.model_dump(mode="json"))
        self.log.record(version, self.now, stream=stream)
        self.record(opened(name="Big"))
        for role in playbook.roles:
            who = {"stakeholder": role.key, "name": "Z", "role": role.key}
            self.record(payload("stakeholder-added", **who, seniority="c_level"))

    def record(self, said: Any) -> None:
        self.now += timedelta(hours=6)
        self.log.record(said, self.now)

    def hears(self, criterion: str, said_by: str | None, kind: str) -> None:
        fields = {} if said_by is None else {"said_by": said_by}
        self.record(
            payload("evidence-recorded", criterion=criterion, stance="supports",
                    source_kind=kind, **fields)
        )  # fmt: skip

    def judged(self, *, days_later: int = 0) -> Qualification:
        valid_at = format_instant(self.now + timedelta(days=days_later))
        published = [event for event in self.log.events if event["stream"].startswith("playbook:")]
        own = [event for event in self.log.events if event["stream"].startswith("deal:")]
        found = qualify("D1", own, valid_at, PlaybookHistory(published, valid_at))
        assert found is not None
        return found


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.toml")))
def test_a_deal_goes_through_every_gate_of_a_shipped_playbook(name: str) -> None:
    playbook = shipped(name)
    deal = Deal(playbook)
    for gate in playbook.gates:
        if gate.after_decision:
            deal.record(payload("deal-closed", outcome="won"))
        before = deal.judged()
        assert before.stands_at == gate.key
        for each in gate.criteria:
            role = each.said_by_role or playbook.roles[0].key
            deal.hears(each.key, role, each.source_kinds[0] if each.source_kinds else "call")
        state = deal.judged().gate_state(gate.key)
        assert state is not None
        assert state.status is GateStatus.PASSED, gate.key
    assert deal.judged().stands_at is None


def test_a_deal_is_projected_in_the_category_of_its_meddpicc_gate(meddpicc: Playbook) -> None:
    deal = Deal(meddpicc)
    deal.hears("pain_described", "affected", "meeting")
    verdict = no_evidence_no_revenue(deal.judged())
    assert (verdict.category, verdict.weight_percent, verdict.gate) == ("pipeline", 5, "champion")
    deal.hears("champion_acted", "affected", "meeting")
    assert deal.judged().stands_at == "champion", "somebody else's word is not the champion's"


def test_the_crms_word_needs_nobodys_name_where_it_counts(meddpicc: Playbook) -> None:
    deal = Deal(meddpicc)
    deal.hears("alternatives_named", None, "crm")
    deal.hears("pain_described", None, "crm")
    states = {each.key: each.status for each in deal.judged().criteria}
    assert (states["alternatives_named"], states["pain_described"]) == ("met", "unmet")


def test_what_was_fresh_enough_early_is_too_old_at_a_later_gate(meddpicc: Playbook) -> None:
    """The champion's deed counts for 75 days, for 60 once the economic buyer is to be won."""
    deal = Deal(meddpicc)
    deal.hears("pain_described", "affected", "meeting")
    deal.hears("champion_acted", "champion", "meeting")
    early = deal.judged(days_later=65)
    assert early.stands_at == "metrics"
    for gate in meddpicc.gates[2:5]:
        for each in gate.criteria:
            role = each.said_by_role or "affected"
            deal.hears(each.key, role, each.source_kinds[0] if each.source_kinds else "call")
    assert deal.judged().stands_at == "economic_buyer"
    assert deal.judged(days_later=58).stands_at == "champion"
