"""The organisation's settings at a basis: calendar, reporting currency, exchange rates.

Law: the last one set wins, among what is visible and in effect at `valid_at`. Until set: the
calendar year in quarters, in UTC, and the currency of the first deal that has an amount.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.events import Event
from ledger.domain.history import effective
from ledger.domain.money import Rates


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Settings as they hold at a basis; no reporting currency where nothing implies one."""

    calendar: FiscalCalendar = field(default_factory=FiscalCalendar)
    reporting_currency: str | None = None
    rates: Rates = field(default_factory=dict)


def settings_at(
    events: Iterable[Event], valid_at: str, *, first_currency: str | None
) -> LedgerSettings:
    """Fold the settings stream.

    Args:
        events: its visible events.
        valid_at: valid time, in the one spelling.
        first_currency: the currency of the first deal in the ledger that has an amount.
    """
    calendar = FiscalCalendar()
    currency = first_currency
    rates: dict[tuple[str, str], Decimal] = {}
    for event in effective(events, valid_at):
        payload = event["payload"]
        match event["type"]:
            case "fiscal-calendar-set":
                calendar = FiscalCalendar(**payload)
            case "reporting-currency-set":
                currency = payload["currency"]
            case "fx-rate-set":
                rates[payload["currency"], payload["to"]] = Decimal(payload["rate"])
                rates.pop((payload["to"], payload["currency"]), None)
            case _:
                pass
    return LedgerSettings(calendar, currency, rates)
