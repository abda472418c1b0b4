"""The organisation chart and the accounts at a basis.

Law: a person's manager and team are those that hold at `valid_at` (as-was), by the same order of
events as everywhere. Someone who left is still known by name: their past deals keep an owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.domain.events import Event, stream_id
from ledger.domain.history import effective


@dataclass(frozen=True, slots=True)
class Person:
    """A seller or manager as of a basis."""

    person_id: str
    name: str
    role: str | None = None
    manager: str | None = None
    team: str | None = None
    left: bool = False


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


def _merged(events: Iterable[Event], valid_at: str) -> dict[str, dict[str, Any]]:
    """Stream id -> the last value of each field, dimensions merged key by key."""
    merged: dict[str, dict[str, Any]] = {}
    for event in effective(events, valid_at):
        if event["type"] in {"person-assessed", "evidence-recorded"}:
            continue
        facts = merged.setdefault(stream_id(event["stream"]), {})
        for key, value in event["payload"].items():
            if key == "dimensions" and value is not None:
                both = {**(facts.get("dimensions") or {}), **value}
                facts[key] = {k: v for k, v in both.items() if v is not None}
            else:
                facts[key] = value
        facts["last_type"] = event["type"]
    return merged
