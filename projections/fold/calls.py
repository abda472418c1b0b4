"""Calls and adjustments of a period at a basis: gut numbers, recorded as what they are.

Law: a person's last call for a category is their call. The last adjustment of it that has started
and not expired at `valid_at` replaces it (override) or cuts it (haircut); without one, adjusted is
what was called. A haircut of a call that was never made is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.domain.events import Event
from ledger.domain.history import Effective, effective
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
    called: dict[tuple[str, str], Effective] = {}
    adjusted: dict[tuple[str, str], Effective] = {}
    for each in effective(events, valid_at):
        payload = each.event["payload"]
        if each.event["type"] == "forecast-called":
            called[payload["person"], payload["category"]] = each
        elif each.event["type"] == "forecast-adjusted":
            adjusted[payload["person"], payload["category"]] = each
    in_force = {
        key: each
        for key, each in adjusted.items()
        if each.event["payload"]["expires_at"] > valid_at
    }
    return [_call(key, called.get(key), in_force.get(key)) for key in sorted({*called, *in_force})]


def _call(key: tuple[str, str], call: Effective | None, adjustment: Effective | None) -> Call:
    called = None if call is None else _money(call.event["payload"]["amount"])
    adjusted = called
    if adjustment is not None:
        payload = adjustment.event["payload"]
        if "override" in payload:
            adjusted = _money(payload["override"])
        elif called is not None:
            kept = Decimal(100 - payload["haircut_percent"]) / 100
            adjusted = Money(called.amount * kept, called.currency)
    return Call(
        *key,
        called,
        adjusted,
        None if call is None else call.cause,
        None if adjustment is None else adjustment.cause,
    )


def _money(value: dict[str, Any]) -> Money:
    return Money(Decimal(value["amount"]), value["currency"])
