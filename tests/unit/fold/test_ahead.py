"""What lies ahead if nothing happens: lapses, and what was announced for later."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.errors import InvalidInput
from projections.fold.asks import check_ahead
from projections.fold.gates import Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory
from tests.unit.domain.builders import Log, opened, payload, spelled


def version(number: str, fresh_for_days: int) -> dict[str, Any]:
    criterion = {"key": "fit", "question": "Does it fit?", "fresh_for_days": fresh_for_days}
    gates = [
        {"key": "problem", "name": "Problem", "stage": "S", "criteria": [criterion]},
        {"key": "end", "name": "End", "stage": "S", "criteria": [{"key": "e", "question": "Q?"}]},
    ]
    return {"key": "basic", "version": number, "name": "Basic", "gates": gates}


def published(log: Log, number: str, days: int, at: str, known: str) -> None:
    told = payload("playbook-published", playbook=version(number, days))
    log.record(told, at, recorded_at=known, stream="playbook:basic")


def deal() -> Log:
    """Evidence of 5 January, which the first version lets count for 60 days."""
    log = Log()
    published(log, "1", 60, "2026-01-01", "2026-01-01")
    log.record(opened(), "2026-01-02")
    log.record(payload("stakeholder-added", stakeholder="ann", name="Ann"), "2026-01-02")
    said = {"criterion": "fit", "stance": "supports", "source_kind": "call", "said_by": "ann"}
    log.record(payload("evidence-recorded", **said), "2026-01-05")
    return log


def ahead(log: Log, valid_at: str, *, known_at: str | None = None) -> Qualification:
    seen = [each for each in log.events if each["known_at"] <= spelled(known_at or valid_at)]
    own = [each for each in seen if each["stream"].startswith("deal:")]
    plays = [each for each in seen if each["stream"].startswith("playbook:")]
    at = spelled(valid_at)
    found = qualify("D1", own, at, PlaybookHistory(plays, at), ahead_until=spelled("2026-12-31"))
    assert found is not None
    return found


def lapses(found: Qualification) -> list[tuple[str, str]]:
    return [(each.at, str(each.after.status)) for each in found.upcoming]


def test_evidence_lapses_by_the_version_in_force() -> None:
    found = ahead(deal(), "2026-01-10")
    assert lapses(found) == [(spelled("2026-03-06"), "stale")]


def test_a_version_announced_for_later_judges_from_its_own_instant_on() -> None:
    log = deal()
    published(log, "2", 30, "2026-02-15", known="2026-01-08")
    found = ahead(log, "2026-01-10")
    assert lapses(found) == [(spelled("2026-02-15"), "stale")]
    assert found.rulebook is not None
    assert found.rulebook.label == "basic@1"


def test_what_was_announced_only_afterwards_lies_ahead_of_nobody() -> None:
    log = deal()
    published(log, "2", 30, "2026-02-15", known="2026-01-20")
    hindsight = ahead(log, "2026-01-10", known_at="2026-01-25")
    assert lapses(hindsight) == [(spelled("2026-03-06"), "stale")]


def test_a_waiver_announced_for_later_starts_and_ends() -> None:
    log = deal()
    waiver = payload("criterion-waived", criterion="fit", reason="r", ends_at=spelled("2026-04-01"))
    log.record(waiver, "2026-03-01", recorded_at="2026-01-08")
    assert lapses(ahead(log, "2026-01-10")) == [
        (spelled("2026-03-01"), "waived"),
        (spelled("2026-04-01"), "stale"),
    ]


@pytest.mark.parametrize(
    ("until", "code"),
    [("2026-01-10", "not-ahead"), ("2026-01-09", "not-ahead"), ("2036-02-01", "too-far-ahead")],
)
def test_lapses_are_told_up_to_ten_years_ahead(until: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_ahead(spelled("2026-01-10"), spelled(until))
    assert refused.value.code == code
