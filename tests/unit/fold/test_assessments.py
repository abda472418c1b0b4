"""Assessments of one's own people, each aspect with a freshness of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.domain.events import Event
from ledger.domain.times import MICROSECOND, format_instant
from projections.fold.assessments import (
    FRESH_FOR_DAYS,
    AspectState,
    Assessment,
    AssessmentStatus,
    assessments_at,
)
from tests.unit.domain.builders import Log, at, payload, spelled

ANN = "person:ann"


def assessed(*dated: tuple[str, str, int]) -> list[Event]:
    log = Log()
    log.record(payload("person-joined", name="Ann"), "2026-01-01", stream=ANN)
    for day, aspect, score in dated:
        one = payload("person-assessed", aspect=aspect, score=score, assessor="mia", note="seen")
        log.record(one, day, stream=ANN)
    return log.events


def state(events: list[Event], aspect: str, when: str) -> AspectState:
    return {each.aspect: each for each in assessments_at(events, when)}[aspect]


def test_every_aspect_is_told_and_one_never_assessed_is_none() -> None:
    states = assessments_at(assessed(), spelled("2026-02-01"))
    assert [each.aspect for each in states] == [
        "motivation", "confidence", "urgency", "buy_in", "knowledge", "skills_applied",
    ]  # fmt: skip
    assert {each.status for each in states} == {AssessmentStatus.NONE}
    assert {(each.since, each.lapses_at, each.last) for each in states} == {(None, None, None)}


def test_the_latest_assessment_counts_and_the_history_keeps_all() -> None:
    events = assessed(("2026-01-10", "urgency", 2), ("2026-01-20", "urgency", 4))
    found = state(events, "urgency", spelled("2026-02-01"))
    assert found == AspectState(
        "urgency",
        AssessmentStatus.FRESH,
        spelled("2026-01-20"),
        spelled("2026-02-19"),
        (
            Assessment(spelled("2026-01-10"), 2, "mia", "seen", 2),
            Assessment(spelled("2026-01-20"), 4, "mia", "seen", 3),
        ),
    )


@pytest.mark.parametrize("aspect", FRESH_FOR_DAYS)
def test_each_aspect_goes_stale_at_its_own_age_to_the_microsecond(aspect: str) -> None:
    events = assessed(("2026-01-10", aspect, 3))
    lapses = at("2026-01-10") + timedelta(days=FRESH_FOR_DAYS[aspect])
    before = state(events, aspect, format_instant(lapses - MICROSECOND))
    at_it = state(events, aspect, format_instant(lapses))
    assert (before.status, before.lapses_at) == (AssessmentStatus.FRESH, format_instant(lapses))
    assert (at_it.status, at_it.since) == (AssessmentStatus.STALE, format_instant(lapses))
    assert at_it.lapses_at is None


def test_attitudes_move_faster_than_what_somebody_has_learnt() -> None:
    attitudes = {"motivation", "confidence", "urgency", "buy_in"}
    learnt = {"knowledge", "skills_applied"}
    assert max(FRESH_FOR_DAYS[each] for each in attitudes) < min(
        FRESH_FOR_DAYS[each] for each in learnt
    )


def test_a_retracted_assessment_has_never_been() -> None:
    log = Log()
    for event in assessed(("2026-01-10", "buy_in", 2), ("2026-01-12", "buy_in", 5)):
        log.events.append(event)
    log.record(
        payload("event-retracted", target=log.events[-1]["event_id"], reason="of another person"),
        "2026-01-13",
        stream=ANN,
    )
    last = state(log.events, "buy_in", spelled("2026-02-01")).last
    assert last is not None
    assert last.score == 2
