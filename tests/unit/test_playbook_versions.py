"""Which version is in force, and what differs between two."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.playbook import Criterion, Gate, Playbook, Role
from projections.fold.versions import (
    FieldChange,
    PartChange,
    VersionChanges,
    VersionState,
    changes_between,
    versions_at,
)
from tests.unit.domain.builders import PLAYBOOK, Log, payload, spelled

STREAM = "playbook:basic"


def published(version: str, key: str = "basic") -> Any:
    playbook = PLAYBOOK.model_copy(update={"version": version, "key": key})
    return payload("playbook-published", playbook=playbook.model_dump(mode="json"))


def states(log: Log, day: str) -> dict[str, VersionState]:
    return {each.label: each.state for each in versions_at(log.events, spelled(day))}


def test_the_version_that_took_effect_last_is_in_force() -> None:
    log = Log()
    log.record(published("1"), "2026-01-01", stream=STREAM)
    log.record(published("2"), "2026-06-01", stream=STREAM, recorded_at="2026-01-02")
    log.record(published("1", "renewal"), "2026-03-01", stream="playbook:renewal")
    announced, in_force, superseded = (
        VersionState.ANNOUNCED, VersionState.IN_FORCE, VersionState.SUPERSEDED,
    )  # fmt: skip
    assert states(log, "2025-12-31") == {
        "basic@1": announced, "basic@2": announced, "renewal@1": announced,
    }  # fmt: skip
    assert states(log, "2026-05-31") == {
        "basic@1": in_force, "basic@2": announced, "renewal@1": in_force,
    }  # fmt: skip
    assert states(log, "2026-06-01") == {
        "basic@1": superseded, "basic@2": in_force, "renewal@1": in_force,
    }  # fmt: skip


def test_a_version_is_in_force_until_the_next_one_is() -> None:
    log = Log()
    log.record(published("2"), "2026-06-01", stream=STREAM, recorded_at="2026-01-01")
    log.record(published("1"), "2026-02-01", stream=STREAM)
    first, second = versions_at(log.events, spelled("2026-03-01"))
    assert (first.label, first.from_instant, first.until) == (
        "basic@1", spelled("2026-02-01"), spelled("2026-06-01"),
    )  # fmt: skip
    assert (second.label, second.until) == ("basic@2", None)
    assert (first.cause, second.cause) == (2, 1)


def test_a_retracted_version_is_none() -> None:
    log = Log()
    log.record(published("1"), "2026-01-01", stream=STREAM)
    wrong = log.record(published("2"), "2026-02-01", stream=STREAM)
    act = payload("event-retracted", target=wrong["event_id"], reason="Not agreed")
    log.record(act, "2026-02-02", stream=STREAM)
    assert states(log, "2026-03-01") == {"basic@1": VersionState.IN_FORCE}


# --- what differs ---------------------------------------------------------------------------------


def criterion(key: str, **fields: Any) -> Criterion:
    return Criterion(key=key, question=f"Is {key} so?", **fields)


def gate(key: str, *criteria: Criterion, **fields: Any) -> Gate:
    return Gate(key=key, name=key.title(), stage="Any", criteria=criteria, **fields)


def playbook(*gates: Gate, roles: tuple[Role, ...] = (), name: str = "Any") -> Playbook:
    return Playbook(key="any", version="1", name=name, gates=gates, roles=roles)


NOTHING = VersionChanges((), (), (), ())
OLD = playbook(
    gate("one", criterion("a"), criterion("b")),
    gate("two", criterion("c", fresh_for_days=60)),
    gate("three", criterion("d")),
)


def test_a_version_does_not_differ_from_itself() -> None:
    assert changes_between(OLD, OLD) == NOTHING
    assert not changes_between(OLD, OLD).any
    assert changes_between(OLD, OLD.model_copy(update={"version": "2"})) == NOTHING


def test_the_order_of_criteria_within_a_gate_means_nothing() -> None:
    turned = playbook(gate("one", criterion("b"), criterion("a")), *OLD.gates[1:])
    assert changes_between(OLD, turned) == NOTHING


def test_parts_are_added_and_removed() -> None:
    new = playbook(
        gate("one", criterion("a"), criterion("x")),
        gate("new", criterion("y")),
        OLD.gates[1],
        roles=(Role(key="payer", name="Payer"),),
    )
    assert changes_between(OLD, new) == VersionChanges(
        (),
        (PartChange("payer", "added", None, "1"),),
        (PartChange("new", "added", None, "2"), PartChange("three", "removed", "3", None)),
        (
            PartChange("x", "added", None, "one"),
            PartChange("y", "added", None, "new"),
            PartChange("b", "removed", "one", None),
            PartChange("d", "removed", "three", None),
        ),
    )


def test_a_changed_field_tells_what_it_was_and_is() -> None:
    new = playbook(
        OLD.gates[0],
        gate("two", criterion("c", fresh_for_days=45, fresher_at={"three": 30}), threshold=0,
             weight_percent=20),
        OLD.gates[2],
        name="Another",
    )  # fmt: skip
    assert changes_between(OLD, new) == VersionChanges(
        (FieldChange("name", "Any", "Another"),),
        (),
        (PartChange("two", "changed", "2", "2", (FieldChange("weight_percent", 0, 20),)),),
        (
            PartChange(
                "c", "changed", "two", "two",
                (FieldChange("fresh_for_days", 60, 45),
                 FieldChange("fresher_at", {}, {"three": 30})),
            ),
        ),
    )  # fmt: skip


def test_a_criterion_in_another_gate_has_moved_and_may_have_changed_too() -> None:
    new = playbook(
        gate("one", criterion("a")),
        gate("two", criterion("c", fresh_for_days=60), criterion("b", mandatory=False)),
        OLD.gates[2],
    )
    changed = FieldChange("mandatory", old=True, new=False)
    assert changes_between(OLD, new).criteria == (
        PartChange("b", "moved", "one", "two", (changed,)),
    )


def test_only_the_gate_that_moved_has_moved() -> None:
    one, two, three = OLD.gates
    assert changes_between(OLD, playbook(three, one, two)).gates == (
        PartChange("three", "moved", "3", "1"),
    )
    fewer = changes_between(OLD, playbook(two, three))
    assert [each.change for each in fewer.gates] == ["removed"], "the others stay in order"


@given(st.permutations("abcdef"), st.permutations("abcdef"), st.sets(st.sampled_from("abcdef")))
def test_without_what_moved_the_gates_are_in_the_same_order(
    before: list[str], after: list[str], gone: set[str]
) -> None:
    after = [key for key in after if key not in gone] or ["z"]
    old = playbook(*(gate(key, criterion(f"of_{key}")) for key in before))
    new = playbook(*(gate(key, criterion(f"of_{key}")) for key in after))
    moved = {each.key for each in changes_between(old, new).gates if each.change == "moved"}
    stayed = [key for key in before if key in after and key not in moved]
    assert stayed == [key for key in after if key in before and key not in moved]
    removed = {each.key for each in changes_between(old, new).gates if each.change == "removed"}
    assert removed == set(before) - set(after)
