"""The laws of time: what counts at a basis, in which order, and what corrections do to it.

Times are drawn from a few minutes, so that ties and boundaries are met often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.basis import RULES, Basis
from ledger.domain.events import Event, EventPayload, cause_of
from ledger.domain.history import ACTS, effective
from ledger.domain.times import MICROSECOND, Instant, format_instant
from tests.unit.domain.builders import (
    EPOCH,
    LAST_POSITION,
    Log,
    at,
    basis_of,
    payload,
    revised,
    sees,
    spelled,
)

MINUTES = 6


def minute(number: int) -> Instant:
    return EPOCH + timedelta(minutes=number)


class Drawn(NamedTuple):
    """An event as drawn; `target` chooses among the earlier ones when it is an act."""

    kind: str
    occurred: int
    attested: bool
    target: int
    moved_to: int


drawn_events = st.lists(
    st.builds(
        Drawn,
        kind=st.sampled_from(["plain", "plain", "plain", "retract", "correct", "move"]),
        occurred=st.integers(0, MINUTES),
        attested=st.booleans(),
        target=st.integers(0, 50),
        moved_to=st.integers(0, MINUTES),
    ),
    max_size=12,
)
minutes = st.integers(-1, MINUTES + 1)


def log_of(drawn: Sequence[Drawn]) -> Log:
    """A log in which one event is recorded each half minute, some of them attested earlier."""
    log = Log()
    for number, each in enumerate(drawn):
        recorded = EPOCH + number * timedelta(seconds=30)
        occurred = min(minute(each.occurred), recorded)
        log.record(
            _payload(log, each, number),
            occurred,
            recorded_at=recorded,
            known_at=occurred if each.attested else None,
        )
    return log


def _payload(log: Log, each: Drawn, number: int) -> EventPayload:
    targets = log.events
    if each.kind == "plain" or not targets:
        return revised(name=f"plain {number}")
    target = targets[each.target % len(targets)]
    if each.kind == "retract":
        return payload("event-retracted", target=target["event_id"], reason="x")
    if target["type"] in ACTS:
        return revised(name=f"plain {number}")
    if each.kind == "correct":
        return payload(
            "event-corrected", target=target["event_id"], reason="x", payload={"name": f"c{number}"}
        )
    return payload(
        "event-corrected",
        target=target["event_id"],
        reason="x",
        occurred_at=format_instant(minute(each.moved_to)),
    )


def at_basis(events: Sequence[Event], basis: Basis) -> list[Event]:
    visible = [event for event in events if sees(basis, event)]
    return effective(visible, format_instant(basis.valid_at))


def names(events: Sequence[Event], basis: Basis) -> list[str]:
    return [each["payload"]["name"] for each in at_basis(events, basis)]


# --- laws -----------------------------------------------------------------------------------------


@given(drawn_events, minutes, minutes, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(
    drawn: list[Drawn], valid: int, known: int, witnessed: bool, shuffle: Random
) -> None:
    events = log_of(drawn).events
    basis = Basis(minute(valid), minute(known), LAST_POSITION, witnessed)
    shuffled = list(events)
    shuffle.shuffle(shuffled)
    assert at_basis(shuffled, basis) == at_basis(events, basis)


@given(drawn_events, minutes)
def test_what_counts_is_in_the_order_of_happening_knowing_and_recording(
    drawn: list[Drawn], valid: int
) -> None:
    counted = at_basis(log_of(drawn).events, basis_of(minute(valid), minute(99)))
    keys = [(each["occurred_at"], each["known_at"], each["position"]) for each in counted]
    assert keys == sorted(keys)
    assert len({each["position"] for each in counted}) == len(counted)
    assert all(each["type"] not in ACTS for each in counted)


@given(drawn_events, minutes, minutes)
def test_what_happens_later_never_changes_an_earlier_answer(
    drawn: list[Drawn], valid: int, extra: int
) -> None:
    """A fold at V ignores what happened after V, unless an act moves it there."""
    log = log_of(drawn)
    basis = basis_of(minute(valid), minute(99))
    before = at_basis(log.events, basis)
    after_v = max(minute(valid), minute(extra)) + MICROSECOND
    log.record(revised(name="later"), after_v, recorded_at=minute(50))
    assert at_basis(log.events, basis) == before


@given(drawn_events, drawn_events, minutes, minutes)
def test_what_becomes_known_later_never_changes_an_answer_as_known_then(
    drawn: list[Drawn], more: list[Drawn], valid: int, known: int
) -> None:
    whole = log_of([*drawn, *(each._replace(attested=False) for each in more)]).events
    before_more = EPOCH + len(drawn) * timedelta(seconds=30) - MICROSECOND
    basis = basis_of(minute(valid), min(minute(known), before_more))
    assert at_basis(whole, basis) == at_basis(log_of(drawn).events, basis)


@given(drawn_events, drawn_events, minutes, minutes)
def test_a_pinned_horizon_gives_the_same_answer_for_ever(
    drawn: list[Drawn], more: list[Drawn], valid: int, known: int
) -> None:
    """Also when what comes later is attested to have been known before."""
    basis = Basis(minute(valid), minute(known), len(drawn))
    assert at_basis(log_of([*drawn, *more]).events, basis) == at_basis(log_of(drawn).events, basis)


@given(drawn_events, st.integers(0, 50), minutes)
def test_a_retracted_event_is_as_if_it_had_never_been(
    drawn: list[Drawn], chosen: int, valid: int
) -> None:
    log = log_of([*drawn, Drawn("plain", 0, False, 0, 0)])
    plain = [event for event in log.events if event["type"] not in ACTS]
    target = plain[chosen % len(plain)]
    never = [event for event in log.events if event["position"] != target["position"]]
    basis = basis_of(minute(valid), minute(99))
    before = at_basis(log.events, basis_of(minute(valid), minute(49)))
    _retract(log, target, minute(50))
    assert at_basis(log.events, basis) == at_basis(never, basis)
    as_known_before = basis_of(minute(valid), minute(50) - MICROSECOND)
    assert at_basis(log.events, as_known_before) == before, "from the act's own known_at on"


@given(drawn_events, st.integers(0, 50), minutes, st.integers(1, 4))
def test_a_retraction_of_a_retraction_restores(
    drawn: list[Drawn], chosen: int, valid: int, times: int
) -> None:
    log = log_of([*drawn, Drawn("plain", 0, False, 0, 0)])
    target = log.events[chosen % len(log.events)]
    basis = basis_of(minute(valid), minute(99))
    versions = [at_basis(log.events, basis)]
    for number in range(times):
        target = _retract(log, target, minute(50 + number))
        versions.append(at_basis(log.events, basis))
    for one, two_later in zip(versions, versions[2:], strict=False):
        assert one == two_later


def _retract(log: Log, target: Event, when: Instant) -> Event:
    act = payload("event-retracted", target=target["event_id"], reason="x")
    return log.record(act, when)


@given(drawn_events, st.integers(0, 50), minutes, st.integers(0, MINUTES))
def test_a_correction_is_as_if_the_event_had_been_recorded_so(
    drawn: list[Drawn], chosen: int, valid: int, moved_to: int
) -> None:
    plain = [each._replace(kind="plain") for each in drawn]
    log = log_of([*plain, Drawn("plain", 0, False, 0, 0)])
    target = log.events[chosen % len(log.events)]
    ideal = [event.copy() for event in log.events]
    ideal[target["position"] - 1]["payload"] = {"name": "right"}
    ideal[target["position"] - 1]["occurred_at"] = format_instant(minute(moved_to))
    fix = payload(
        "event-corrected",
        target=target["event_id"],
        reason="x",
        payload={"name": "right"},
        occurred_at=format_instant(minute(moved_to)),
    )
    act = log.record(fix, minute(50))
    ideal[target["position"] - 1]["corrected_by"] = act["position"]
    basis = basis_of(minute(valid), minute(99))
    found = at_basis(log.events, basis)
    assert found == at_basis(ideal, basis)
    for each in found:
        itself = each["position"] != target["position"]
        assert cause_of(each) == (each["position"] if itself else act["position"])


@given(drawn_events, minutes)
@settings(max_examples=50)
def test_reading_changes_no_event(drawn: list[Drawn], valid: int) -> None:
    log = log_of(drawn)
    again = log_of(drawn)
    effective(log.events, format_instant(minute(valid)))
    assert log.events == again.events


# --- single cases ---------------------------------------------------------------------------------


def test_what_happens_exactly_at_valid_at_counts_and_a_microsecond_later_does_not() -> None:
    log = Log()
    log.record(revised(name="at"), "2026-03-31T23:59:59.999999Z")
    log.record(revised(name="after"), "2026-04-01T00:00:00Z")
    assert names(log.events, basis_of("2026-03-31T23:59:59.999999Z", "2027-01-01")) == ["at"]
    assert names(log.events, basis_of("2026-04-01T00:00:00Z", "2027-01-01")) == ["at", "after"]


def test_a_correction_moves_an_event_over_valid_at_in_both_directions() -> None:
    log = Log()
    early = log.record(revised(name="early"), "2026-03-30", recorded_at="2026-04-05")
    late = log.record(revised(name="late"), "2026-04-02", recorded_at="2026-04-05")
    for event, moment in ((early, "2026-04-01"), (late, "2026-03-31")):
        fix = payload(
            "event-corrected", target=event["event_id"], reason="x", occurred_at=spelled(moment)
        )
        log.record(fix, "2026-04-10")
    assert names(log.events, basis_of("2026-03-31", "2026-04-09")) == ["early"]
    assert names(log.events, basis_of("2026-03-31", "2026-04-10")) == ["late"]
    assert names(log.events, basis_of("2026-04-10", "2026-04-10")) == ["late", "early"]


def test_an_act_works_as_soon_as_it_is_known_whenever_it_is_said_to_have_happened() -> None:
    log = Log()
    event = log.record(revised(name="wrong"), "2026-01-01")
    act = payload("event-retracted", target=event["event_id"], reason="x")
    log.record(act, "2026-06-01")
    assert names(log.events, basis_of("2026-02-01", "2026-05-31")) == ["wrong"]
    assert names(log.events, basis_of("2026-02-01", "2026-06-01")) == []


def test_of_several_corrections_the_last_known_wins_payload_and_time_each() -> None:
    log = Log()
    event = log.record(revised(name="first"), "2026-01-01")
    fixes: tuple[dict[str, object], ...] = (
        {"payload": {"name": "second"}},
        {"occurred_at": spelled("2025-12-01")},
        {"payload": {"name": "third"}},
    )
    for number, fix in enumerate(fixes):
        log.record(
            payload("event-corrected", target=event["event_id"], reason="x", **fix),
            at("2026-02-01") + timedelta(days=number),
        )
    (counted,) = at_basis(log.events, basis_of("2026-03-01"))
    assert counted["payload"] == {"name": "third"}
    assert counted["occurred_at"] == spelled("2025-12-01")
    assert cause_of(counted) == 4
    (as_known,) = at_basis(log.events, basis_of("2026-02-02"))
    assert as_known["payload"] == {"name": "second"}
    assert (as_known["position"], cause_of(as_known)) == (1, 2), "what gave the payload answers"


def test_a_retracted_correction_gives_the_earlier_one_back() -> None:
    log = Log()
    event = log.record(revised(name="first"), "2026-01-01")
    for day, name in (("2026-02-01", "second"), ("2026-02-02", "third")):
        fix = payload(
            "event-corrected", target=event["event_id"], reason="x", payload={"name": name}
        )
        act = log.record(fix, day)
    _retract(log, act, at("2026-02-03"))
    assert names(log.events, basis_of("2026-03-01")) == ["second"]


def test_an_act_on_what_is_not_visible_does_nothing() -> None:
    log = Log()
    event = log.record(revised(name="attested"), "2026-01-01", known_at="2026-01-01")
    _retract(log, event, at("2026-02-01"))
    log.record(revised(name="seen"), "2026-03-01")
    witnessed = Basis(at("2026-04-01"), at("2026-04-01"), LAST_POSITION, witnessed_only=True)
    assert names(log.events, witnessed) == ["seen"]


# --- visibility -----------------------------------------------------------------------------------


@given(
    position=st.integers(0, 4),
    known=minutes,
    witnessed=st.booleans(),
    horizon=st.integers(0, 4),
    asked=minutes,
    witnessed_only=st.booleans(),
)
def test_a_basis_sees_what_is_within_its_horizon_known_by_then_and_witnessed_if_asked(
    position: int, known: int, witnessed: bool, horizon: int, asked: int, witnessed_only: bool
) -> None:
    basis = Basis(minute(0), minute(asked), horizon, witnessed_only)
    seen = basis.sees(position=position, known_at=minute(known), witnessed=witnessed)
    assert seen is not (position > horizon or known > asked or (witnessed_only and not witnessed))


def test_a_basis_states_all_that_an_answer_depends_on() -> None:
    basis = Basis(at("2026-03-31"), at("2026-04-01"), 1090, witnessed_only=True)
    assert list(basis.as_dict().items()) == [
        ("valid_at", "2026-03-31T12:00:00.000000Z"),
        ("known_at", "2026-04-01T12:00:00.000000Z"),
        ("horizon", 1090),
        ("witnessed_only", True),
        ("rules", RULES),
    ]
    judged = replace(basis, under="buyers_journey@2")
    assert judged.as_dict() == {**basis.as_dict(), "under": "buyers_journey@2"}
