"""The versions of playbooks: which is in force at an instant, and what differs between two.

Law: of a playbook the version that took effect last is in force; one whose time has not come is
announced, the others are superseded. Two versions are compared part by part, each part known by its
key: a gate has moved when its place among the gates that both have is another, a criterion when its
gate is. What a part says is compared field by field; the order of criteria within a gate means
nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ledger.domain.events import Event, PlaybookPublished, cause_of
from ledger.domain.history import effective
from ledger.domain.playbook import Playbook
from ledger.domain.times import END_OF_TIME, format_instant


class VersionState(StrEnum):
    """Whether a version is in force at an instant."""

    IN_FORCE = "in_force"
    ANNOUNCED = "announced"
    SUPERSEDED = "superseded"


class Version(NamedTuple):
    """A published version.

    Args:
        playbook: as published.
        state: whether it is in force.
        from_instant: valid time from which it is in force.
        until: valid time from which the next one is; None while none is published.
        cause: the position of the event that answers for it.
    """

    playbook: Playbook
    state: VersionState
    from_instant: str
    until: str | None
    cause: int

    @property
    def label(self) -> str:
        """`key@version`."""
        return f"{self.playbook.key}@{self.playbook.version}"


def versions_at(events: Iterable[Event], valid_at: str) -> list[Version]:
    """All published versions, playbook by playbook, in the order in which they take effect.

    Args:
        events: the visible events of all playbook streams.
        valid_at: valid time, in the one spelling.
    """
    published: dict[str, list[Event]] = {}
    for event in effective(events, format_instant(END_OF_TIME)):
        if event["type"] == PlaybookPublished.type:
            published.setdefault(event["payload"]["playbook"]["key"], []).append(event)
    return [version for each in published.values() for version in _versions(each, valid_at)]


def _versions(published: Sequence[Event], valid_at: str) -> Iterable[Version]:
    effective_count = sum(event["occurred_at"] <= valid_at for event in published)
    for index, event in enumerate(published):
        state = VersionState.SUPERSEDED
        if index >= effective_count:
            state = VersionState.ANNOUNCED
        elif index == effective_count - 1:
            state = VersionState.IN_FORCE
        last = index == len(published) - 1
        yield Version(
            Playbook.model_validate(event["payload"]["playbook"]),
            state,
            event["occurred_at"],
            None if last else published[index + 1]["occurred_at"],
            cause_of(event),
        )


# --- what differs -------------------------------------------------------------------------------


class FieldChange(NamedTuple):
    """A field that says something else; JSON values, None where nothing is said."""

    field: str
    old: Any
    new: Any


class PartChange(NamedTuple):
    """What became of a gate, a criterion, or a role.

    Args:
        key: its key.
        change: `added`, `removed`, `moved` (it may also say something else) or `changed`.
        old_place: of a gate its number, of a criterion its gate; None where it was not there.
        new_place: the same in the newer version.
        fields: what it says otherwise, where both have it.
    """

    key: str
    change: str
    old_place: str | None
    new_place: str | None
    fields: tuple[FieldChange, ...] = ()


class VersionChanges(NamedTuple):
    """What differs between two versions; `playbook` holds the fields of the version itself."""

    playbook: tuple[FieldChange, ...]
    roles: tuple[PartChange, ...]
    gates: tuple[PartChange, ...]
    criteria: tuple[PartChange, ...]

    @property
    def any(self) -> bool:
        """Whether anything differs at all."""
        return bool(self.playbook or self.roles or self.gates or self.criteria)


class _Part(NamedTuple):
    place: str
    says: Mapping[str, Any]


_Parts = Mapping[str, _Part]


def changes_between(old: Playbook, new: Playbook) -> VersionChanges:
    """What differs between two versions, in the order of the newer one; what is gone comes last.

    Args:
        old: the version to compare with.
        new: the version that is compared.
    """
    before, after = _parts_of(old), _parts_of(new)
    moved_gates = _out_of_order(list(before.gates), list(after.gates))
    moved_criteria = {
        key
        for key in before.criteria.keys() & after.criteria.keys()
        if before.criteria[key].place != after.criteria[key].place
    }
    return VersionChanges(
        _field_changes(before.own, after.own),
        _part_changes(before.roles, after.roles, set()),
        _part_changes(before.gates, after.gates, moved_gates),
        _part_changes(before.criteria, after.criteria, moved_criteria),
    )


class _PlaybookParts(NamedTuple):
    own: Mapping[str, Any]
    roles: _Parts
    gates: _Parts
    criteria: _Parts


def _parts_of(playbook: Playbook) -> _PlaybookParts:
    spelled = playbook.model_dump(mode="json")
    published = playbook.criteria
    own = {field: spelled[field] for field in ("key", "name")}
    roles = {
        role.pop("key"): _Part(str(number), role) for number, role in enumerate(spelled["roles"], 1)
    }
    gates: dict[str, _Part] = {}
    criteria: dict[str, _Part] = {}
    for number, gate in enumerate(spelled["gates"], 1):
        key = gate.pop("key")
        for criterion in gate.pop("criteria"):
            name = criterion.pop("key")
            tightening = playbook.tightening(published[name])
            criteria[name] = _Part(key, {**criterion, "fresher_at": tightening})
        gates[key] = _Part(str(number), gate)
    return _PlaybookParts(own, roles, gates, criteria)


def _part_changes(old: _Parts, new: _Parts, moved: set[str]) -> tuple[PartChange, ...]:
    found: list[PartChange] = []
    for key, part in new.items():
        before = old.get(key)
        if before is None:
            found.append(PartChange(key, "added", None, part.place))
            continue
        fields = _field_changes(before.says, part.says)
        if key in moved or fields:
            change = "moved" if key in moved else "changed"
            found.append(PartChange(key, change, before.place, part.place, fields))
    found += [
        PartChange(key, "removed", part.place, None) for key, part in old.items() if key not in new
    ]
    return tuple(found)


def _field_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(field, old[field], new[field]) for field in new if old[field] != new[field]
    )


def _out_of_order(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """The fewest keys that must have moved, of those that both have, to come from old to new."""
    place = {key: index for index, key in enumerate(old)}
    common = [key for key in new if key in place]
    ends: list[int] = []
    """By length, the lowest place at which a rising run of that length ends."""
    before: dict[str, str | None] = {}
    tail: list[str] = []
    for key in common:
        length = bisect_left(ends, place[key])
        before[key] = tail[length - 1] if length else None
        ends[length : length + 1] = [place[key]]
        tail[length : length + 1] = [key]
    stayed: set[str] = set()
    last = tail[-1] if tail else None
    while last is not None:
        stayed.add(last)
        last = before[last]
    return set(common) - stayed
