"""The sentences behind statuses and moves say what is so, and since when."""

from __future__ import annotations

from typing import Any

from projections.explain import criterion_sentence, move_sentence
from projections.fold.gates import Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory
from tests.unit.domain.builders import PLAYBOOK, Log, opened, payload, spelled


def judged(*told: tuple[str, str, dict[str, Any]], playbook: bool = True) -> Qualification:
    """A deal opened on 2 January, of which this is said, at the end of the year."""
    log, plays = Log(), Log()
    if playbook:
        version = payload("playbook-published", playbook=PLAYBOOK.model_dump(mode="json"))
        plays.record(version, "2026-01-01", stream="playbook:basic")
    log.record(opened(), "2026-01-02")
    log.record(payload("stakeholder-added", stakeholder="ann", name="Ann"), "2026-01-02")
    for day, kind, fields in told:
        log.record(payload(kind, **fields), day)
    at = spelled("2026-12-31")
    found = qualify("D1", log.events, at, PlaybookHistory(plays.events, at))
    assert found is not None
    return found


def said(stance: str) -> dict[str, Any]:
    return {
        "criterion": "fit_confirmed",
        "stance": stance,
        "source_kind": "call",
        "said_by": "ann",
    }


def why(found: Qualification) -> str:
    state = found.criterion("fit_confirmed")
    assert state is not None
    assert found.rulebook is not None
    return criterion_sentence(state, found.rulebook)


def way(found: Qualification) -> list[str]:
    return [move_sentence(move, found) for move in found.moves]


def test_a_sentence_dates_its_own_rule_not_the_one_before() -> None:
    found = judged(
        ("2026-03-01", "evidence-recorded", said("contradicts")),
        ("2026-03-10", "buyer-regressed", {"gate": "problem"}),
    )
    assert why(found) == "The buyer went back on 2026-03-10, and nothing newer speaks for it."
    state = found.criterion("fit_confirmed")
    assert state is not None
    assert state.since == spelled("2026-03-01")


def test_who_left_is_why_from_the_day_they_left() -> None:
    found = judged(
        ("2026-03-01", "evidence-recorded", said("supports")),
        ("2026-04-20", "stakeholder-left", {"stakeholder": "ann"}),
    )
    assert why(found) == "Stale since 2026-04-20: who said it left."


def test_every_decision_is_told_with_its_own_outcome() -> None:
    found = judged(
        ("2026-03-01", "deal-closed", {"outcome": "lost"}),
        ("2026-04-01", "deal-reopened", {}),
        ("2026-05-01", "deal-closed", {"outcome": "won"}),
    )
    assert way(found) == [
        "Opened at Problem",
        "Decided (lost) at Problem",
        "Reopened at Problem",
        "Decided (won) at Problem",
    ]


def test_without_a_playbook_nothing_is_said_to_be_passed() -> None:
    assert way(judged(playbook=False)) == ["Opened unjudged: no playbook was in force"]
