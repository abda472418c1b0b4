"""What the pure tests are written in: a small ledger in memory, a playbook, and scenarios.

given(deal_opened()).when(DealReopened()).refused("deal-not-closed")
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.domain.basis import Basis
from ledger.domain.command import Command, Playbooks
from ledger.domain.envelope import decode, prepare, splice
from ledger.domain.errors import QledgerError
from ledger.domain.events import Draft, Event, EventPayload, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.domain.playbook import Criterion, Gate, Playbook, Role
from ledger.domain.streams import decide
from ledger.domain.times import Instant, format_instant, parse_instant

DEAL = "deal:D1"
LAST_POSITION = 10**18


def at(text: str) -> Instant:
    """An instant; a date alone is its noon."""
    return parse_instant(text if "T" in text else f"{text}T12:00:00Z")


def spelled(text: str) -> str:
    """An instant in the one spelling; a date alone is its noon."""
    return format_instant(at(text))


class Log:
    """A ledger in memory: it gives events their positions, versions and ids, as the store does."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(
        self,
        payload: EventPayload,
        occurred_at: str | Instant,
        *,
        stream: str = DEAL,
        recorded_at: str | Instant | None = None,
        known_at: str | Instant | None = None,
    ) -> Event:
        """Append an event.

        Args:
            payload: what happened.
            occurred_at: valid time.
            stream: where it stands.
            recorded_at: by default when it occurred.
            known_at: given for what a source attests.
        """
        position = len(self.events) + 1
        version = 1 + sum(event["stream"] == stream for event in self.events)
        draft = Draft(
            stream=stream,
            payload=payload,
            event_id=event_id_of("test", "log", str(position)),
            actor="tester",
            source=Source("test"),
            occurred_at=_instant(occurred_at),
            known_at=None if known_at is None else _instant(known_at),
        )
        recorded = _instant(occurred_at if recorded_at is None else recorded_at)
        event = decode(splice(prepare(draft, version), position, recorded))
        self.events.append(event)
        return event

    def visible(self, basis: Basis) -> list[Event]:
        """What a basis sees."""
        return [event for event in self.events if sees(basis, event)]


def _instant(value: str | Instant) -> Instant:
    return at(value) if isinstance(value, str) else value


def sees(basis: Basis, event: Event) -> bool:
    """Whether a basis sees a recorded event."""
    return basis.sees(
        position=event["position"],
        known_at=parse_instant(event["known_at"]),
        witnessed=event["witnessed"],
    )


def basis_of(valid_at: str | Instant, known_at: str | Instant | None = None) -> Basis:
    """A basis with no horizon to speak of; `known_at` is `valid_at` unless given."""
    valid = _instant(valid_at)
    return Basis(valid, valid if known_at is None else _instant(known_at), LAST_POSITION)


def payload(event_type: str, /, **fields: Any) -> EventPayload:
    """A validated payload."""
    return parse_payload(event_type, fields)


def opened(**fields: Any) -> EventPayload:
    return payload("deal-opened", **fields)


def revised(**fields: Any) -> EventPayload:
    return payload("deal-revised", **fields)


def money(amount: str, currency: str = "USD") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


PLAYBOOK = Playbook(
    key="basic",
    version="1",
    name="Basic",
    gates=(
        Gate(
            key="problem",
            name="Problem",
            stage="Consideration",
            criteria=(
                Criterion(key="fit_confirmed", question="Is the fit confirmed?"),
                Criterion(key="policy_known", question="Is it known?", layer="organization"),
            ),
        ),
        Gate(
            key="decision",
            name="Decision",
            stage="Decision",
            criteria=(Criterion(key="contract_received", question="Is it here?"),),
        ),
    ),
)
PLAYBOOKS = Playbooks({"basic": PLAYBOOK})
ROLES = (Role(key="payer", name="Payer", authority=True), Role(key="user", name="User"))
PLAYBOOKS_WITH_ROLES = Playbooks({"basic": PLAYBOOK.model_copy(update={"roles": ROLES})})
NO_PLAYBOOKS = Playbooks()
NOW = "2026-03-31"


class Scenario:
    """Events that are given; each happened and was recorded a day after the one before."""

    def __init__(self, payloads: Sequence[EventPayload], stream: str) -> None:
        self.stream = stream
        self.log = Log()
        day = at("2026-01-01")
        for each in payloads:
            self.log.record(each, day, stream=stream)
            day += timedelta(days=1)

    def event_id(self, number: int) -> str:
        """The id of the first, second ... given event."""
        return self.log.events[number - 1]["event_id"]

    def when(
        self,
        asked: EventPayload,
        *,
        by: str = "ann",
        occurred_at: str = NOW,
        now: str = NOW,
        playbooks: Playbooks = PLAYBOOKS,
    ) -> Decision:
        """A command by somebody."""
        command = Command(self.stream, asked, by, at(occurred_at), at(now), playbooks)
        return Decision(self.log.events, command)


class Decision:
    """A command that is about to be decided."""

    def __init__(self, events: Iterable[Event], command: Command) -> None:
        self.events = list(events)
        self.command = command

    def then(self, *expected: EventPayload) -> None:
        """It leads to these events."""
        decided = decide(self.events, self.command)
        assert decided == expected, f"decided {decided}, expected {expected}"

    def accepted(self) -> None:
        """It leads to the event that was asked for."""
        self.then(self.command.payload)

    def refused(self, code: str, *, where: str | None = None) -> QledgerError:
        """It is refused with this code."""
        with pytest.raises(QledgerError) as caught:
            decide(self.events, self.command)
        error = caught.value
        assert error.code == code, f"refused with {error.code}, expected {code}: {error}"
        assert where is None or error.where == where, f"refused at {error.where!r}"
        return error


def given(*payloads: EventPayload, stream: str = DEAL) -> Scenario:
    """The events that a stream holds."""
    return Scenario(payloads, stream)


EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
