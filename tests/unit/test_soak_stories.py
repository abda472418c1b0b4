"""The stories that the soak and the law of the read models are told with."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.domain.events import CATALOGUE, stream_category
from scripts.soaking.sources import sources
from scripts.soaking.stories import DAYS, START, WEIGHTS, story

SEEDS = range(20)


def test_the_same_seed_tells_the_same_story() -> None:
    assert story(7, 3, 50) == story(7, 3, 50)
    assert story(7, 3, 50) != story(8, 3, 50)


def test_no_id_is_told_with_two_contents() -> None:
    told = [draft for seed in SEEDS for draft in story(seed, 3, 80)]
    assert len({draft.event_id for draft in told}) == len(set(map(repr, told)))


def test_what_is_told_may_stand_where_it_is_told() -> None:
    last = START + timedelta(days=DAYS + 30)
    for seed in SEEDS:
        for draft in story(seed, 3, 80):
            assert type(draft.payload) in CATALOGUE[stream_category(draft.stream)]
            assert draft.known_at is None or draft.known_at < last
            assert draft.payload.announceable or draft.occurred_at <= (draft.known_at or last)


def test_stories_hold_late_corrected_announced_and_witnessed_events() -> None:
    told = [draft for seed in SEEDS for draft in story(seed, 3, 80)]
    types = {draft.payload.type for draft in told}
    assert types >= {"event-retracted", "event-corrected", "fiscal-calendar-set", "deal-removed"}
    assert any(draft.known_at is None for draft in told)
    assert any(draft.known_at and draft.occurred_at > draft.known_at for draft in told)
    in_order = sorted(told, key=lambda draft: draft.known_at or START)
    assert in_order != told
    assert all(weight > 0 for weight in WEIGHTS.values())


def test_in_one_zone_no_calendar_is_set() -> None:
    told = [draft for seed in SEEDS for draft in story(seed, 3, 80, one_zone=True)]
    assert not [draft for draft in told if draft.payload.type == "fiscal-calendar-set"]


def test_a_public_data_set_that_is_missing_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QLEDGER_DATA", "/nowhere")
    assert [source.name for source in sources(["stories", "maven"])] == ["stories"]
    assert capsys.readouterr().out == "left out: maven: there is no /nowhere/maven_crm\n"
