"""What the ledger already says about a deal, an account or a person, field by field.

Law: this is the claimed state, and nothing of qualification: the last word on each field in the
order of the fold, (`occurred_at`, `known_at`, position). The importer compares it with a CRM's
record; it is no read model and answers no question of a user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.domain.events import Event
from ledger.domain.money import Money
from ledger.domain.times import Instant

DEAL_FIELDS = ("name", "account", "owner", "playbook", "amount", "close_date", "products")
"""The fields of `deal-opened` and `deal-revised`, but for dimensions."""


class Told(NamedTuple):
    """An event as it counts here: recorded, or about to be."""

    occurred_at: Instant
    known_at: Instant
    order: int
    type: str
    payload: Mapping[str, Any]
    event_id: str


def told(event: Event) -> Told:
    """A recorded event, its times read."""
    return Told(
        datetime.fromisoformat(event["occurred_at"]),
        datetime.fromisoformat(event["known_at"]),
        event["position"],
        event["type"],
        event["payload"],
        event["event_id"],
    )


def effective(events: Iterable[Told], known_at: Instant) -> list[Told]:
    """The events known by an instant, corrected, less the retracted, in the order of the fold."""
    seen = {event.event_id: event for event in events if event.known_at <= known_at}
    for change in sorted(seen.values(), key=lambda event: (event.known_at, event.order)):
        if change.type == "event-retracted":
            seen.pop(change.payload["target"], None)
        elif change.type == "event-corrected":
            target = seen.get(change.payload["target"])
            if target is not None:
                seen[target.event_id] = _corrected(target, change.payload)
    return sorted(seen.values(), key=lambda event: (event.occurred_at, event.known_at, event.order))


def _corrected(target: Told, correction: Mapping[str, Any]) -> Told:
    payload = correction.get("payload", target.payload)
    when = correction.get("occurred_at")
    occurred_at = target.occurred_at if when is None else datetime.fromisoformat(when)
    return target._replace(payload=payload, occurred_at=occurred_at)


class Claimed:
    """The claimed state of one deal.

    `floor` is the last instant at which it opened, closed or reopened: a close that follows did not
    happen before.
    """

    __slots__ = (
        "category", "dimensions", "fields", "floor", "outcome", "removed", "stage", "stakeholders",
    )  # fmt: skip

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.dimensions: dict[str, str] = {}
        self.stage: str | None = None
        self.category: str | None = None
        self.outcome: str | None = None
        self.removed = False
        self.floor: Instant | None = None
        self.stakeholders: dict[str, str | None] = {}

    def apply(self, event: Told) -> None:  # noqa: C901 - one case an event type
        """Take in an event, in the order of the fold."""
        payload = event.payload
        match event.type:
            case "deal-opened" | "deal-revised":
                self._revise(payload)
                if event.type == "deal-opened":
                    self._raise_floor(event.occurred_at)
            case "stage-claimed":
                self.stage = payload["stage"]
            case "category-claimed":
                self.category = payload["category"]
            case "deal-closed":
                self.outcome = payload["outcome"]
                self._raise_floor(event.known_at)
            case "deal-reopened":
                self.outcome = None
                self._raise_floor(event.known_at)
            case "deal-removed":
                self.removed = True
            case "stakeholder-added" | "stakeholder-changed":
                if "role" in payload or payload["stakeholder"] not in self.stakeholders:
                    self.stakeholders[payload["stakeholder"]] = payload.get("role")
            case "stakeholder-left":
                self.stakeholders.pop(payload["stakeholder"], None)

    def _raise_floor(self, instant: Instant) -> None:
        if self.floor is None or instant > self.floor:
            self.floor = instant

    def _revise(self, payload: Mapping[str, Any]) -> None:
        for name, value in payload.items():
            if name == "dimensions":
                self._merge(value)
            else:
                self.fields[name] = read_field(name, value)

    def _merge(self, dimensions: Mapping[str, str | None] | None) -> None:
        if dimensions is None:
            self.dimensions.clear()
            return
        for key, value in dimensions.items():
            if value is None:
                self.dimensions.pop(key, None)
            else:
                self.dimensions[key] = value


def read_field(name: str, value: Any) -> Any:
    """A field's JSON value as the importer compares it."""
    if value is None:
        return None
    if name == "amount":
        return Money(Decimal(value["amount"]), value["currency"])
    if name == "close_date":
        return date.fromisoformat(value)
    if name == "products":
        return tuple(value)
    return value


def fold_deal(events: Iterable[Told], known_at: Instant) -> Claimed:
    """The claimed state of a deal as known at an instant."""
    state = Claimed()
    for event in effective(events, known_at):
        state.apply(event)
    return state


def fold_fields(events: Iterable[Told], known_at: Instant) -> tuple[dict[str, Any], dict[str, str]]:
    """The plain fields and the dimensions of an account or a person as known at an instant."""
    fields: dict[str, Any] = {}
    dimensions: dict[str, str | None] = {}
    for event in effective(events, known_at):
        if event.type not in (
            "account-opened", "account-revised", "person-joined", "person-reassigned",
        ):  # fmt: skip
            continue
        for name, value in event.payload.items():
            if name != "dimensions":
                fields[name] = value
                continue
            dimensions.update(value or {})
    return fields, {key: label for key, label in dimensions.items() if label is not None}
