"""The organisation chart and the accounts at a basis.

Law: a person's manager and team are those that hold at `valid_at` (as-was), by the same order of
events as everywhere. Someone who left is still known by name: their past deals keep an owner.

Nobody can stand above themselves. Where the recorded lines run in a circle, the circle is named as
a fault and cut at its smallest id: that person has nobody above, so every roll-up comes to an end
and counts everybody once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from ledger.domain.events import Event, cause_of, stream_id
from ledger.domain.history import effective


class Organisation(StrEnum):
    """Whose manager and team a roll-up follows: who they reported to then, or report to now."""

    AS_WAS = "as_was"
    AS_IS = "as_is"


@dataclass(frozen=True, slots=True)
class Person:
    """A seller or manager as of a basis.

    Args:
        causes: the positions of the events that name them, their manager and their leaving.
    """

    person_id: str
    name: str
    role: str | None = None
    manager: str | None = None
    team: str | None = None
    left: bool = False
    causes: tuple[int, ...] = field(default=(), compare=False)


class Cycle(NamedTuple):
    """Reporting lines in a circle.

    Args:
        people: each reports to the next, the last to the first; the first is where it is cut.
        causes: the positions of the events behind it.
    """

    people: tuple[str, ...]
    causes: tuple[int, ...]


CHART_TYPES = frozenset({"person-joined", "person-reassigned", "person-left"})
"""The events that say who people are, and to whom they report."""


class Chart(NamedTuple):
    """Who reports to whom, without circles.

    Args:
        managers: person -> manager; who has none is not in it.
        cycles: the circles that were cut, in the order of the ids at which they were.
    """

    managers: Mapping[str, str]
    cycles: tuple[Cycle, ...] = ()

    def above(self, person: str) -> tuple[str, ...]:
        """The chain of command above a person, the nearest superior first."""
        chain: list[str] = []
        superior = self.managers.get(person)
        while superior is not None:
            chain.append(superior)
            superior = self.managers.get(superior)
        return tuple(chain)

    def below(self, person: str) -> frozenset[str]:
        """All who report to a person, directly or through others."""
        return frozenset(each for each in self.managers if person in self.above(each))


def chart_of(people: Mapping[str, Person]) -> Chart:
    """The reporting lines of some people, cut where they run in a circle.

    Args:
        people: as of a basis; see `people_at`. A manager need not be among them.
    """
    managers = {each: person.manager for each, person in people.items() if person.manager}
    cycles: list[Cycle] = []
    checked: set[str] = set()
    for start in sorted(managers):
        way: list[str] = []
        here: str | None = start
        while here is not None and here not in checked:
            checked.add(here)
            way.append(here)
            here = managers.get(here)
        if here in way:
            circle = way[way.index(here) :]
            first = circle.index(min(circle))
            ordered = tuple(circle[first:] + circle[:first])
            causes = {cause for each in ordered for cause in people[each].causes}
            cycles.append(Cycle(ordered, tuple(sorted(causes))))
    for cycle in cycles:
        del managers[cycle.people[0]]
    return Chart(managers, tuple(sorted(cycles)))


@dataclass(frozen=True, slots=True)
class Account:
    """A buyer's organisation as of a basis."""

    account_id: str
    name: str
    parent: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)


def people_at(events: Iterable[Event], valid_at: str) -> dict[str, Person]:
    """Fold all person streams.

    Args:
        events: the visible events of all person streams.
        valid_at: valid time, in the one spelling.
    """
    people: dict[str, Person] = {}
    for identifier, facts in _merged(events, valid_at).items():
        if facts.get("name"):
            people[identifier] = Person(
                identifier,
                facts["name"],
                facts.get("role"),
                facts.get("manager"),
                facts.get("team"),
                facts["last_type"] == "person-left",
                _causes(facts),
            )
    return people


def accounts_at(events: Iterable[Event], valid_at: str) -> dict[str, Account]:
    """Fold all account streams.

    Args:
        events: the visible `account-opened` and `account-revised` events of all account streams.
        valid_at: valid time, in the one spelling.
    """
    return {
        identifier: Account(
            identifier, facts["name"], facts.get("parent"), facts.get("dimensions") or {}
        )
        for identifier, facts in _merged(events, valid_at).items()
        if facts.get("name")
    }


def _causes(facts: Mapping[str, Any]) -> tuple[int, ...]:
    said_by = facts["said_by"]
    keys = ["name", "manager"]
    if facts["last_type"] == "person-left":
        keys.append("last_type")
    return tuple(sorted({said_by[key] for key in keys if key in said_by}))


def _merged(events: Iterable[Event], valid_at: str) -> dict[str, dict[str, Any]]:
    """Stream id -> the last value of each field, dimensions merged key by key."""
    merged: dict[str, dict[str, Any]] = {}
    for event in effective(events, valid_at):
        if event["type"] in {"person-assessed", "evidence-recorded"}:
            continue
        facts = merged.setdefault(stream_id(event["stream"]), {"said_by": {}})
        facts["said_by"]["last_type"] = cause_of(event)
        for key, value in event["payload"].items():
            facts["said_by"][key] = cause_of(event)
            if key == "dimensions" and value is not None:
                both = {**(facts.get("dimensions") or {}), **value}
                facts[key] = {k: v for k, v in both.items() if v is not None}
            else:
                facts[key] = value
        facts["last_type"] = event["type"]
    return merged
