"""Facts: what rows say, whatever CRM they came from.

Law: a fact holds values, no text of a format: instants in UTC, calendar dates, exact decimals. It
knows the row it came from, and nothing of other rows. An empty cell is `None`; a column that the
export does not have is not among a fact's fields at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from ledger.domain.events import EventPayload
from ledger.domain.times import Instant

HISTORY_FIELDS = (
    "stage", "category", "probability", "amount", "close_date", "owner", "name", "account",
    "is_deleted",
)  # fmt: skip
"""What a history row can say about a deal."""


class Ref(NamedTuple):
    """A row: the file's number in this import, and the row's number in the file."""

    file: int
    row: int


class Amount(NamedTuple):
    """An amount as a cell gives it; the currency is none where no column or suffix tells it."""

    value: Decimal
    currency: str | None


class DealRecord(NamedTuple):
    """A deal as its record stands at the snapshot.

    Args:
        fields: which of the fields the export has a column for.
        values: the fields' values, by name; `None` for an empty cell.
        dimensions: what one can group by, empty cells left out.
        opened: when the record was created.
        closed: the day it closed, where a column says so.
        is_closed: the CRM's own flag, none where it has none; so `is_won`, `is_deleted`.
        roles: stakeholder role to contact id.
    """

    id: str
    ref: Ref
    fields: frozenset[str]
    values: Mapping[str, Any]
    dimensions: Mapping[str, str]
    opened: Instant | None
    closed: Instant | None
    currency: str | None
    is_closed: bool | None
    is_won: bool | None
    is_deleted: bool | None
    loss_reason: str | None
    roles: tuple[tuple[str, str], ...]


class Change(NamedTuple):
    """What a history row says: these fields have these values from this instant on.

    Args:
        at: the CRM's change time.
        record: the row's own id, or one made of its content where it has none.
        actor: who changed it, where the row says.
        fields: the names of the fields it speaks of.
        values: their values, in the same order.
        olds: the values before, where the row tells them (field history).
        known_with: prefix of the change's identity, for a change read from a record's own dates.
    """

    at: Instant
    ref: Ref
    record: str
    actor: str | None
    fields: tuple[str, ...]
    values: tuple[Any, ...]
    olds: tuple[Any, ...] | None = None
    currency: str | None = None
    known_with: str = ""


class Extra(NamedTuple):
    """A row that is an event by itself: a stakeholder, a piece of evidence."""

    at: Instant | None
    ref: Ref
    record: str
    change: str
    actor: str | None
    payload: EventPayload


class AccountRecord(NamedTuple):
    """An account as its record stands at the snapshot."""

    id: str
    ref: Ref
    name: str | None
    parent: str | None
    dimensions: Mapping[str, str]
    opened: Instant | None


class PersonRecord(NamedTuple):
    """A seller as the record stands at the snapshot."""

    id: str
    ref: Ref
    name: str | None
    email: str | None
    role: str | None
    manager: str | None
    team: str | None
    joined: Instant | None


class ContactRecord(NamedTuple):
    """A person at the buyer, as the record stands at the snapshot."""

    id: str
    ref: Ref
    name: str | None
    email: str | None
    title: str | None


@dataclass(slots=True)
class DealFacts:
    """All that an export says about one deal."""

    id: str
    record: DealRecord | None = None
    changes: list[Change] = field(default_factory=list)
    extras: list[Extra] = field(default_factory=list)


Deals: TypeAlias = dict[str, DealFacts]


@dataclass(slots=True)
class Facts:
    """All that an export says, deals in the order in which they first appear."""

    deals: Deals = field(default_factory=dict)
    accounts: dict[str, AccountRecord] = field(default_factory=dict)
    people: dict[str, PersonRecord] = field(default_factory=dict)
    contacts: dict[str, ContactRecord] = field(default_factory=dict)
    products: set[str] = field(default_factory=set)
    snapshot_fields: set[str] = field(default_factory=set)
    """Fields that a history of whole rows tracks."""
    changed_fields: set[str] = field(default_factory=set)
    """Fields that a history of single changes tracks."""
    newest: Instant | None = None
    """The newest instant that a change column carries."""

    def deal(self, identifier: str) -> DealFacts:
        """The facts of a deal, made when first asked for."""
        found = self.deals.get(identifier)
        if found is None:
            found = self.deals[identifier] = DealFacts(identifier)
        return found

    def saw(self, instant: Instant | None) -> None:
        """Take note of an instant of a change column."""
        if instant is not None and (self.newest is None or instant > self.newest):
            self.newest = instant


def day_of(value: object) -> date | None:
    """A value that is a calendar date, or none."""
    return value if isinstance(value, date) else None
