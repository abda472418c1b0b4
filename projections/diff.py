"""What changed between two bases: which deals moved, by how much, because of which events.

The two books must have readers of their own, since both are read at once.

Law: `opening + revaluation + the deals' changes = closing`, exactly. A deal's value is its amount
while it counts in the period in any category but omitted, at the rates of the later basis; the
change of rates alone is the revaluation of the opening. Every changed field names the event that
answers for its new value; where a value came back because something was retracted, the act does.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from ledger.domain.calendar import Period
from ledger.domain.deal import OPEN
from ledger.domain.events import Category, Event, stream_id
from ledger.domain.history import ACTS
from ledger.domain.money import Rates, conversion_rate, format_amount, round_to_minor_unit
from projections.book import Book
from projections.fold.claims import CLAIMED_FIELDS, ClaimedDeal, claimed_deal
from projections.forecast import counts_in
from projections.reader import merged
from projections.timeline import event_facts

FIELDS = tuple(field for field in CLAIMED_FIELDS if field not in {"opened", "closed_at"})


class _Held(NamedTuple):
    """A value that a deal holds, and the position that answers for it."""

    value: Any
    cause: int | None


class Side(NamedTuple):
    """A deal at one of the two bases."""

    deal: ClaimedDeal | None
    events: list[Event]


class Change(NamedTuple):
    """One changed field: JSON values, and the position that answers for the new one."""

    field: str
    old: Any
    new: Any
    cause: int | None


class Moved(NamedTuple):
    """A deal that differs between the two bases."""

    deal_id: str
    before: ClaimedDeal | None
    after: ClaimedDeal | None
    changes: tuple[Change, ...]
    causes: tuple[int, ...]
    value_before: Decimal
    value_after: Decimal


class Diff(NamedTuple):
    """The answer. Amounts are exact; they are rounded when written."""

    opening_book: Book
    closing_book: Book
    period: Period
    currency: str | None
    opening: Decimal
    revaluation: Decimal
    closing: Decimal
    moved: list[Moved]

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON, every cause opened into its event."""
        positions = {position for moved in self.moved for position in moved.causes}
        events = self.closing_book.causes(positions)
        return {
            "from": self.opening_book.basis.as_dict(),
            "to": self.closing_book.basis.as_dict(),
            "period": self.period.name,
            "currency": self.currency,
            "opening": self._spell(self.opening),
            "revaluation": self._spell(self.revaluation),
            "change": self._spell(  # of what is written, so that the bridge adds up as it is read
                self._rounded(self.closing)
                - self._rounded(self.opening)
                - self._rounded(self.revaluation)
            ),
            "closing": self._spell(self.closing),
            "deals": [self._moved_as_dict(moved, events) for moved in self.moved],
        }

    def _moved_as_dict(self, moved: Moved, events: dict[int, Event]) -> dict[str, Any]:
        known = moved.after or moved.before
        return {
            "deal": moved.deal_id,
            "name": None if known is None else known.name,
            "before": self._side(moved.before, moved.value_before),
            "after": self._side(moved.after, moved.value_after),
            "change": self._spell(moved.value_after - moved.value_before),
            "fields": [change._asdict() for change in moved.changes],
            "because": [event_facts(events[position]) for position in moved.causes],
        }

    def _side(self, deal: ClaimedDeal | None, value: Decimal) -> dict[str, Any] | None:
        if deal is None:
            return None
        return {
            "category": str(deal.category),
            "stage": deal.stage,
            "outcome": deal.outcome,
            "close_date": None if deal.close_date is None else deal.close_date.isoformat(),
            "value": self._spell(value),
        }

    def _spell(self, amount: Decimal) -> str:
        return format_amount(self._rounded(amount))

    def _rounded(self, amount: Decimal) -> Decimal:
        return amount if self.currency is None else round_to_minor_unit(amount, self.currency)


def diff(opening: Book, closing: Book, period: Period) -> Diff:
    """Compare the book at two bases.

    Args:
        opening: the book at the earlier (or either) basis.
        closing: the book at the other.
        period: values count while a deal counts in this period.
    """
    # Before the first deal there is no currency: then the other side's.
    currency = closing.settings.reporting_currency or opening.settings.reporting_currency
    totals = {"opening": Decimal(0), "at_new_rates": Decimal(0), "closing": Decimal(0)}
    moved: list[Moved] = []
    for deal_id, before, after in _pairs(opening, closing):
        value = {
            "opening": _value(before.deal, period, opening, currency, opening.settings.rates),
            "at_new_rates": _value(before.deal, period, opening, currency, closing.settings.rates),
            "closing": _value(after.deal, period, closing, currency, closing.settings.rates),
        }
        for key, amount in value.items():
            totals[key] += amount
        changes = tuple(_changes(before.deal, after.deal))
        if changes or value["at_new_rates"] != value["closing"]:
            causes = _causes(before, after, changes, opening.valid_at)
            moved.append(
                Moved(deal_id, before.deal, after.deal, changes, causes,
                      value["at_new_rates"], value["closing"])
            )  # fmt: skip
    moved.sort(key=lambda each: (-abs(each.value_after - each.value_before), each.deal_id))
    return Diff(
        opening, closing, period, currency,
        totals["opening"], totals["at_new_rates"] - totals["opening"], totals["closing"], moved,
    )  # fmt: skip


def _pairs(opening: Book, closing: Book) -> Iterator[tuple[str, Side, Side]]:
    """Every deal of either book with its two sides, both read once, side by side, in order."""
    nothing = Side(None, [])
    both = merged(opening.claims(), closing.claims())
    for stream, found in groupby(both, key=itemgetter(0)):
        sides = {which: events for _stream, which, events in found}
        deal_id = stream_id(stream)
        yield (
            deal_id,
            _side(deal_id, sides[0], opening) if 0 in sides else nothing,
            _side(deal_id, sides[1], closing) if 1 in sides else nothing,
        )


def _side(deal_id: str, events: list[Event], book: Book) -> Side:
    return Side(claimed_deal(deal_id, events, book.valid_at), events)


def _value(
    deal: ClaimedDeal | None, period: Period, book: Book, currency: str | None, rates: Rates
) -> Decimal:
    if deal is None or deal.category == Category.OMITTED or deal.amount is None:
        return Decimal(0)
    if currency is None or not counts_in(deal, period, book.settings.calendar):
        return Decimal(0)
    rate = conversion_rate(deal.amount.currency, currency, rates)
    return Decimal(0) if rate is None else deal.amount.amount * rate


def _held(deal: ClaimedDeal | None, field: str) -> _Held:
    """A field's value and cause; category is what counts, so a closing answers for it."""
    if deal is None:
        return _Held(None, None)
    if field == "category":
        decided_by = "outcome" if deal.outcome != OPEN else "category"
        return _Held(str(deal.category), deal.cause(decided_by) or deal.cause("opened"))
    if field == "outcome":
        return _Held(deal.outcome, deal.cause("outcome") or deal.cause("opened"))
    return _Held(deal.value(field), deal.cause(field))


def _changes(before: ClaimedDeal | None, after: ClaimedDeal | None) -> Iterator[Change]:
    for field in FIELDS:
        old, new = _held(before, field), _held(after, field)
        if old.value != new.value:
            yield Change(field, old.value, new.value, new.cause)


def _causes(
    before: Side, after: Side, changes: tuple[Change, ...], valid_before: str
) -> tuple[int, ...]:
    """The events that answer for the changes: those that give the new values and, where a value
    came back or went away, the acts, removals and revisions that did it. Where all that is gone
    from the second basis, the events that only the first one sees; where the deal merely counts
    elsewhere, those that decide where."""
    seen = {
        event["position"]
        for event in before.events
        if event["type"] in ACTS or event["occurred_at"] <= valid_before
    }
    named = {change.cause for change in changes if change.cause is not None}
    fresh = {position for position in named if position not in seen}
    if len(fresh) < len(named) or not named:
        fresh |= {
            event["position"]
            for event in after.events
            if event["position"] not in seen
            and (event["type"] in ACTS or event["type"] == "deal-removed")
        }
    if any(change.field == "dimensions" for change in changes):
        fresh |= {
            event["position"]
            for event in after.events
            if event["position"] not in seen and "dimensions" in event["payload"]
        }
    return tuple(sorted(fresh or named or _gone(before, after) or _placing(after)))


def _gone(before: Side, after: Side) -> set[int]:
    return {event["position"] for event in before.events} - {
        event["position"] for event in after.events
    }


def _placing(side: Side) -> set[int]:
    """What decides in which period a deal counts, and that it is there at all."""
    deal = side.deal
    if deal is None:
        return {event["position"] for event in side.events}
    causes = (deal.cause(field) for field in ("close_date", "closed_at", "opened"))
    return {position for position in causes if position is not None}
