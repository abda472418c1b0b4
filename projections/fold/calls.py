"""Calls and adjustments of a period at a basis: gut numbers, recorded as what they are.

Law: a person's last call for a category is their call. The last adjustment of it that has started
and not expired at `valid_at` replaces it (override) or cuts it (haircut); without one, adjusted is
what was called. A haircut of a call that was never made is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.domain.events import Event, cause_of
from ledger.domain.history import effective
from ledger.domain.money import Money


class Call(NamedTuple):
    """One person's number for one category, as called and as adjusted, with their causes."""

    person: str
    category: str
    called: Money | None
    adjusted: Money | None
    called_by: int | None
    adjusted_by: int | None


def calls_at(events: Iterable[Event], valid_at: str) -> list[Call]:
    """Fold a period's stream.

    Args:
        events: its visible events.
        valid_at: valid time, in the one spelling.

    Returns:
        One entry a person and category, in that order.
    """
    called: dict[tuple[str, str], Event] = {}
    adjusted: dict[tuple[str, str], Event] = {}
    for event in effective(events, valid_at):
        payload = event["payload"]
        if event["type"] == "forecast-called":
            called[payload["person"], payload["category"]] = event
        elif event["type"] == "forecast-adjusted" and event["payload"]["expires_at"] > valid_at:
            adjusted[payload["person"], payload["category"]] = event
    return [_call(key, called.get(key), adjusted.get(key)) for key in sorted({*called, *adjusted})]


def _call(key: tuple[str, str], call: Event | None, adjustment: Event | None) -> Call:
    called = None if call is None else _money(call["payload"]["amount"])
    adjusted = called
    if adjustment is not None:
        payload = adjustment["payload"]
        if "override" in payload:
            adjusted = _money(payload["override"])
        elif called is not None:
            kept = Decimal(100 - payload["haircut_percent"]) / 100
            adjusted = Money(called.amount * kept, called.currency)
    return Call(
        *key,
        called,
        adjusted,
        None if call is None else cause_of(call),
        None if adjustment is None else cause_of(adjustment),
    )


def _money(value: dict[str, Any]) -> Money:
    return Money(Decimal(value["amount"]), value["currency"])
