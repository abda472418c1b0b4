"""Drafts with identities of their own: what a teller of any record writes with.

Law: an event's id is made of (system, the row's identity, aspect), so the same row makes the same
id whoever brings it in. An event that the ledger has is recognised, not written: it must say the
same, but for what was inferred and not read. A row whose values no event can carry is rejected
whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import ValidationError

from ledger.connectors.facts import Ref
from ledger.connectors.writing import Fault, Step
from ledger.domain.errors import InvalidInput
from ledger.domain.events import (
    Category,
    CategoryClaimed,
    DealClosed,
    DealRemoved,
    DealReopened,
    Draft,
    Event,
    EventPayload,
    EvidenceRecorded,
    MoneyValue,
    Outcome,
    Source,
    StageClaimed,
)
from ledger.domain.ids import event_id_of
from ledger.domain.money import Money
from ledger.domain.times import Instant

_T = TypeVar("_T")


@dataclass(slots=True)
class Telling:
    """What the facts of one deal become.

    Args:
        steps: new drafts, in the order in which they go into the ledger.
        faults: rows that were rejected.
        known: how many events the ledger has already, from the same source.
        tallies: how often something happened that the report tells.
    """

    steps: list[Step] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    known: int = 0
    tallies: Counter[str] = field(default_factory=Counter)


class Origin(NamedTuple):
    """Where the events of one row come from, and how their ids begin."""

    at: Instant
    ref: Ref
    record: str
    actor: str
    identity: str
    prefix: str = ""
    reconciled: bool = False


class Scribe:
    """Writes the drafts of one stream.

    Args:
        system: the name of the source.
        stream: the stream that the drafts go into.
        known: the stream's events in the ledger, by id.
    """

    def __init__(self, system: str, stream: str, known: Mapping[str, Event]) -> None:
        self.system = system
        self.stream = stream
        self.known = known
        self.out = Telling()

    def attempt(self, ref: Ref, work: Callable[[_T], None], item: _T) -> None:
        """Do it, or reject the row whose values no event can carry."""
        count = len(self.out.steps)
        try:
            work(item)
        except (ValidationError, InvalidInput) as error:
            del self.out.steps[count:]
            self.fault(ref, *explain(error))

    def fault(self, ref: Ref, column: str, value: str, code: str, reason: str) -> None:
        self.out.faults.append(Fault(ref, column, value, code, reason))

    def emit(
        self, origin: Origin, payload: EventPayload, change: str,
        inferred: tuple[str, ...] = (), occurred_at: Instant | None = None,
    ) -> None:  # fmt: skip
        """Add a draft, unless the ledger has it.

        A difference found at the snapshot is never there already, since it would be no difference:
        if its id is taken, this is a further one of the same snapshot's time, with a number.
        """
        event_id = event_id_of(self.system, origin.identity, origin.prefix + change)
        occurred_at = occurred_at or origin.at
        if self.known and (recorded := self.known.get(str(event_id))) is not None:
            if not origin.reconciled:
                self._recognise(origin, recorded, payload, inferred, occurred_at)
                return
            event_id = free_id(self.system, origin.identity, origin.prefix + change, self.known)
        draft = Draft(
            self.stream, payload, event_id, origin.actor,
            Source(self.system, origin.record), occurred_at, origin.at,
        )  # fmt: skip
        self.out.steps.append(Step(draft, origin.ref, origin.reconciled))

    def _recognise(
        self, origin: Origin, recorded: Event, payload: EventPayload,
        inferred: tuple[str, ...], occurred_at: Instant,
    ) -> None:  # fmt: skip
        """An event of that id is there: it must say the same, but for what was inferred."""
        told_now, told_then = payload.to_json(), dict(recorded["payload"])
        differs = [
            name
            for name in sorted(told_now.keys() | told_then.keys())
            if told_now.get(name) != told_then.get(name)
        ]
        if occurred_at != datetime.fromisoformat(recorded["occurred_at"]):
            differs.append("occurred_at")
        if origin.at != datetime.fromisoformat(recorded["known_at"]):
            differs.append("known_at")
        if origin.actor != recorded["actor"]:
            differs.append("actor")
        if any(name not in inferred for name in differs):
            name = next(name for name in differs if name not in inferred)
            self.fault(
                origin.ref, name, str(told_now.get(name, "")), "conflicting-change",
                f"the ledger has this row with another {name}; what is recorded stays",
            )  # fmt: skip
            return
        if differs:
            self.out.tallies["inferred-otherwise"] += 1


def free_id(system: str, identity: str, change: str, taken: Container[str]) -> UUID:
    """The first id of a change, numbered from 2, that is not taken."""
    numbered = (event_id_of(system, identity, f"{change}#{number}") for number in count(2))
    return next(event_id for event_id in numbered if str(event_id) not in taken)


def explain(error: ValidationError | InvalidInput) -> tuple[str, str, str, str]:
    """(column, value, code, reason) of what a payload refused."""
    if isinstance(error, InvalidInput):
        return "", "", error.code, error.message
    first = error.errors(include_url=False)[0]
    code = first.get("ctx", {}).get("code", "invalid-value")
    column = ".".join(str(part) for part in first["loc"])
    return column, str(first["input"])[:200], code, first["msg"]


REMOVED = DealRemoved()
REOPENED = DealReopened()


@lru_cache(maxsize=4096)
def stage_claimed(stage: str, gate: str | None, probability: int | None) -> StageClaimed:
    return StageClaimed(stage=stage, gate=gate, probability=probability)


@lru_cache(maxsize=16)
def category_claimed(category: Category) -> CategoryClaimed:
    return CategoryClaimed(category=category)


@lru_cache(maxsize=4096)
def deal_closed(outcome: Outcome, reason: str | None) -> DealClosed:
    return DealClosed(outcome=outcome, seller_reason=reason)


@lru_cache(maxsize=256)
def attested(
    criterion: str, stance: Literal["supports", "contradicts"] = "supports"
) -> EvidenceRecorded:
    return EvidenceRecorded(criterion=criterion, stance=stance, source_kind="crm")


def money_value(money: Money) -> MoneyValue:
    """The payload's money, with the decimals that the source gave it."""
    return _money_value(str(money.amount), money.currency)


@lru_cache(maxsize=65_536)
def _money_value(amount: str, currency: str) -> MoneyValue:
    # Not by the decimal itself: 8000 and 8000.00 are equal, and written differently.
    return MoneyValue(amount=Decimal(amount), currency=currency)
