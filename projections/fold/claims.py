"""What is claimed of a deal at a basis: the CRM's word, field by field, with its receipts.

Law: the fold is pure. It takes the visible events of one deal and `valid_at`, and gives the last
claim of each field in the order `(occurred_at, known_at, position)`. A deal that was not opened by
`valid_at`, or that was removed by then, is not in the book.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import (
    DIMENSION,
    OPEN,
    Claims,
    answering,
    claim,
    claimed,
    claimed_dimensions,
)
from ledger.domain.events import Category, Event, Outcome, cause_of
from ledger.domain.history import effective
from ledger.domain.money import Money


def category_of_outcome(outcome: str) -> Category:
    """What won is closed; whatever else ended a deal leaves it out of the forecast."""
    return Category.CLOSED if outcome == Outcome.WON else Category.OMITTED


CLAIMED_FIELDS = (
    "name", "account", "owner", "amount", "close_date", "stage", "gate", "probability", "category",
    "outcome", "opened", "closed_at", "buyer_reason", "seller_reason", "playbook", "products",
    "dimensions",
)  # fmt: skip
"""The fields that can be claimed of a deal, in the order in which people read them."""


class ClaimedDeal:
    """A deal as claimed. Values are read from the claims when asked for; `None` is "not claimed".

    Args:
        deal_id: the deal's own id.
        claims: what is claimed, by the events that answer for it.
    """

    __slots__ = ("claims", "deal_id")

    def __init__(self, deal_id: str, claims: Claims) -> None:
        self.deal_id = deal_id
        self.claims = claims

    def value(self, field: str) -> Any:
        """A field's claimed value as a JSON value; see `CLAIMED_FIELDS`."""
        if field == "dimensions":
            return dict(self.dimensions) or None
        return claimed(self.claims, field)

    def cause(self, field: str) -> int | None:
        """The position of the event that answers for a field's value."""
        if field == "dimensions":
            own = (event for key, event in self.claims.items() if key.startswith(DIMENSION))
            return max(map(cause_of, own), default=None)
        event = answering(self.claims, field)
        return None if event is None else cause_of(event)

    @property
    def name(self) -> str | None:
        name: str | None = self.value("name")
        return name

    @property
    def account(self) -> str | None:
        account: str | None = self.value("account")
        return account

    @property
    def owner(self) -> str | None:
        owner: str | None = self.value("owner")
        return owner

    @property
    def playbook(self) -> str | None:
        playbook: str | None = self.value("playbook")
        return playbook

    @property
    def amount(self) -> Money | None:
        money = self.value("amount")
        return None if money is None else Money(Decimal(money["amount"]), money["currency"])

    @property
    def close_date(self) -> date | None:
        """The close date that the record carries: expected while open."""
        day = self.value("close_date")
        return None if day is None else date.fromisoformat(day)

    @property
    def stage(self) -> str | None:
        stage: str | None = self.value("stage")
        return stage

    @property
    def gate(self) -> str | None:
        """The playbook gate that the claimed stage stands for, where a mapping says so."""
        gate: str | None = self.value("gate")
        return gate

    @property
    def probability(self) -> int | None:
        """Percent."""
        probability: int | None = self.value("probability")
        return probability

    @property
    def products(self) -> tuple[str, ...]:
        return tuple(self.value("products") or ())

    @property
    def dimensions(self) -> Mapping[str, str]:
        return claimed_dimensions(self.claims)

    @property
    def outcome(self) -> str:
        """`open`, or how it ended."""
        return self.value("outcome") or OPEN

    @property
    def opened_at(self) -> datetime:
        return datetime.fromisoformat(self.value("opened"))

    @property
    def closed_at(self) -> datetime | None:
        closed_at = self.value("closed_at")
        return None if closed_at is None else datetime.fromisoformat(closed_at)

    @property
    def category(self) -> Category:
        """The claimed forecast category. Once the deal is closed, its outcome decides."""
        if self.outcome != OPEN:
            return category_of_outcome(self.outcome)
        return Category(self.value("category") or Category.PIPELINE)


def claimed_deal(deal_id: str, events: Iterable[Event], valid_at: str) -> ClaimedDeal | None:
    """Fold what is claimed of one deal.

    Args:
        deal_id: the deal's own id.
        events: its events that are visible to the basis, in any order.
        valid_at: valid time, in the one spelling.

    Returns:
        The deal, or None where it is not in the book at that basis.
    """
    claims: dict[str, Event] = {}
    for event in effective(events, valid_at):
        claim(claims, event)
    if "opened" not in claims or "removed" in claims:
        return None
    return ClaimedDeal(deal_id, claims)


def counting_day(deal: ClaimedDeal, calendar: FiscalCalendar) -> str | None:
    """The day that decides in which period a deal counts, as ISO text."""
    carries = deal.claims.get("close_date")
    day: str | None = None if carries is None else carries["payload"]["close_date"]
    if day is not None:
        return day
    closed_at = deal.closed_at
    return None if closed_at is None else calendar.day_of(closed_at).isoformat()
