"""Whose deals a book shows, and what it leaves out of what it shows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.discreet import WITHHELD, discreet
from projections.fold.people import Chart
from projections.scope import EVERYTHING, Scope
from tests.unit.domain.builders import Log, opened, payload, spelled

CHART = Chart({"ann": "mia", "bob": "mia", "mia": "vp", "cleo": "zoe"})
PEOPLE = ["ann", "bob", "cleo", "mia", "vp", "zoe", None]


def test_everything_holds_everybody_and_nobody() -> None:
    assert not EVERYTHING.is_limited
    assert all(EVERYTHING.holds(person) for person in PEOPLE)
    assert EVERYTHING.tells_assessments_of("ann")


def test_a_person_sees_their_own_and_no_assessment() -> None:
    scope = Scope.of_person("ann")
    assert [person for person in PEOPLE if scope.holds(person)] == ["ann"]
    assert not scope.tells_assessments_of("ann")


def test_a_superior_sees_all_below_and_assessments_of_these_alone() -> None:
    scope = Scope.of_team("vp", CHART)
    assert {person for person in PEOPLE if scope.holds(person)} == {"vp", "mia", "ann", "bob"}
    assert scope.tells_assessments_of("mia")
    assert not scope.tells_assessments_of("vp")
    assert not scope.tells_assessments_of("cleo")


def test_what_nobody_owns_is_in_no_limited_scope() -> None:
    assert not Scope.of_team("vp", CHART).holds(None)
    assert not Scope.of_person("").holds(None)


charts = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("wxyz")).map(Chart)


@given(charts, charts, st.sampled_from("abcdwxyz"))
@settings(max_examples=200)
def test_another_instant_never_widens_a_scope(one: Chart, other: Chart, superior: str) -> None:
    scope = Scope.of_team(superior, one)
    both = scope.also_at(other)
    assert both.owners is not None
    assert scope.owners is not None
    assert both.owners <= scope.owners
    assert both.owners <= (Scope.of_team(superior, other).owners or frozenset())
    assert superior in both.owners
    assert EVERYTHING.also_at(other) == EVERYTHING
    assert Scope.of_person("a").also_at(other) == Scope.of_person("a")


def test_what_happened_and_became_known_later_is_left_out_with_the_acts_on_it() -> None:
    log = Log()
    kept = [
        log.record(opened(owner="ann"), "2026-01-01"),
        log.record(payload("stage-claimed", stage="late news"), "2026-01-05",
                   recorded_at="2026-03-01"),
        log.record(payload("criterion-waived", criterion="c", reason="announced",
                           ends_at="2026-12-01T00:00:00Z"), "2026-06-01", recorded_at="2026-01-20"),
    ]  # fmt: skip
    later = log.record(payload("stage-claimed", stage="later"), "2026-04-01")
    log.record(payload("event-corrected", target=later["event_id"], reason="x",
                       payload={"stage": "still later"}), "2026-04-02")  # fmt: skip
    kept.append(
        log.record(payload("event-retracted", target=kept[1]["event_id"], reason="x"), "2026-05-01")
    )
    scope = Scope.of_person("ann")
    assert scope.of_their_time(log.events, spelled("2026-02-01")) == kept
    assert EVERYTHING.of_their_time(log.events, spelled("2026-02-01")) == log.events
    assert scope.of_their_time(log.events, spelled("2026-12-01")) == log.events


# --- the buyer's people -------------------------------------------------------------------------


def test_names_addresses_and_words_of_the_buyer_are_withheld_and_nothing_else() -> None:
    log = Log()
    told = [
        (payload("stakeholder-added", stakeholder="eve", name="Eve", email="e@x.y", title="CFO"),
         {"stakeholder": "eve", "name": WITHHELD, "email": WITHHELD, "title": "CFO"}),
        (payload("stakeholder-changed", stakeholder="eve", email=None),
         {"stakeholder": "eve", "email": None}),
        (payload("evidence-recorded", criterion="c", stance="supports", source_kind="call",
                 quote="yes"),
         {"criterion": "c", "stance": "supports", "source_kind": "call", "quote": WITHHELD}),
        (payload("deal-closed", outcome="lost", buyer_reason="dear", seller_reason="late"),
         {"outcome": "lost", "buyer_reason": WITHHELD, "seller_reason": "late"}),
        (payload("buyer-regressed", gate="fit", reason="Eve doubts it"),
         {"gate": "fit", "reason": WITHHELD}),
        (payload("buyer-advanced", gate="fit", reason="Eve likes it"),
         {"gate": "fit", "reason": WITHHELD}),
        (payload("buyer-looped", from_gate="fit", to_gate="need", reason="Eve left"),
         {"from_gate": "fit", "to_gate": "need", "reason": WITHHELD}),
        (payload("deal-reopened", reason="Eve called"), {"reason": WITHHELD}),
        (payload("stakeholder-left", stakeholder="eve", reason="a new job"),
         {"stakeholder": "eve", "reason": WITHHELD}),
        (payload("deal-removed", reason="a duplicate"), {"reason": "a duplicate"}),
        (payload("waiver-revoked", criterion="c", reason="too soon"),
         {"criterion": "c", "reason": "too soon"}),
        (opened(name="Pump", owner="ann"), {"name": "Pump", "owner": "ann"}),
    ]  # fmt: skip
    for said, expected in told:
        event = log.record(said, "2026-01-01")
        before = dict(event["payload"])
        assert discreet(event)["payload"] == expected
        assert event["payload"] == before
    joined = log.record(payload("person-joined", name="Ann"), "2026-01-01", stream="person:ann")
    assert discreet(joined) == joined


def test_they_are_withheld_in_corrections_of_whatever_kind() -> None:
    log = Log()
    target = log.record(opened(name="Pump"), "2026-01-01")["event_id"]
    cases = [
        ({"name": "Pump 2", "owner": "ann"}, {"name": "Pump 2", "owner": "ann"}),
        ({"stakeholder": "eve", "name": "Eve"}, {"stakeholder": "eve", "name": WITHHELD}),
        ({"criterion": "c", "stance": "supports", "source_kind": "call", "quote": "yes"},
         {"criterion": "c", "stance": "supports", "source_kind": "call", "quote": WITHHELD}),
        ({"gate": "fit", "reason": "Eve doubts it"}, {"gate": "fit", "reason": WITHHELD}),
        ({"reason": "Eve called"}, {"reason": WITHHELD}),
        ({"criterion": "c", "reason": "too soon"}, {"criterion": "c", "reason": "too soon"}),
        ({"quote": "of a shape that is not known", "name": "nobody's"},
         {"quote": WITHHELD, "name": WITHHELD}),
    ]  # fmt: skip
    for said, expected in cases:
        act = payload("event-corrected", target=target, reason="x", payload=said)
        event = discreet(log.record(act, "2026-01-02"))
        assert event["payload"]["payload"] == expected
        assert event["payload"]["reason"] == "x"
