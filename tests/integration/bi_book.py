"""A book for BI tools: every kind of cell that could be spelt in two ways, and many deals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from ledger.domain.events import Draft, EventPayload, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.store.ledger import Ledger
from tests.unit.domain.builders import payload
from tests.unit.fold.journey_kit import JOURNEY

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
END = "2026-06-30"
NAMES = (
    "plain", 'with "quotes", commas; and semicolons', "two\tparts", "Ünïcödé 漢字 🙂", "=1+1",
    "'single' \\ back", "<b>&amp;</b>", " NULL", "null", "true", "007", "1e5", "-", "%s {x}",
    ',{"deal":"D"},', "},{",
)  # fmt: skip
"""What a writer of files may get wrong."""

AMOUNTS = ("100.00", "0.125", "0.375", "2.5", "1000000000.01", "0", "33.333333", "12345.675")
"""Halves that round to even, and many decimals."""

CURRENCIES = ("USD", "EUR", "JPY", "GBP", "CHF")
"""USD is the reporting currency; EUR and JPY have a rate, GBP one the other way round, CHF none."""


def write(ledger: Ledger, deals: int = 60, seed: int = 1) -> None:
    """Write the book.

    Args:
        ledger: an empty one.
        deals: how many there are.
        seed: of what happens to them.
    """
    drafts = [*_settings(), *_people(), *_accounts()]
    chance = Random(seed)
    for number in range(deals):
        drafts += _deal(number, chance)
    for start in range(0, len(drafts), 2_000):
        ledger.import_events(drafts[start : start + 2_000], strict=True)


def draft(stream: str, said: EventPayload, days: float, late: float = 0) -> Draft:
    """An event that the CRM attests.

    Args:
        stream: whose.
        said: what.
        days: when, after the start.
        late: how many days later it became known.
    """
    occurred = START + timedelta(days=days)
    event_id = event_id_of("bi", stream, f"{said.type} {days} {late} {said!r}")
    known = occurred + timedelta(days=late)
    return Draft(stream, said, event_id, "crm", Source("crm", stream), occurred, known)


def said(kind: str, **fields: Any) -> EventPayload:
    return parse_payload(kind, fields)


def _settings() -> list[Draft]:
    rates = (("EUR", "USD", "1.115"), ("JPY", "USD", "0.0067"), ("USD", "GBP", "0.77"))
    return [
        draft("settings:ledger", said("reporting-currency-set", currency="USD"), 0),
        draft("settings:ledger", said(
            "fiscal-calendar-set", start_month=2, named_by="end", time_zone="Europe/Berlin"), 0),
        *(
            draft("settings:ledger", said("fx-rate-set", currency=one, to=other, rate=rate), 0)
            for one, other, rate in rates
        ),
        draft("playbook:small", payload("playbook-published", playbook=JOURNEY.model_dump()), 0),
    ]  # fmt: skip


def _people() -> list[Draft]:
    return [
        draft("person:mia", said("person-joined", name="Mia", team="EMEA"), 0),
        *(
            draft(f"person:rep{number}", said(
                "person-joined", name=f"Rep {number}", manager="mia", team=f"Team {number % 2}"), 0)
            for number in range(3)
        ),
        draft("person:rep0", said("person-reassigned", team="Team 9"), 100),
    ]  # fmt: skip


def _accounts() -> list[Draft]:
    return [
        draft(f"account:A{number}", said(
            "account-opened", name=f"Account {number}",
            **({"dimensions": {"segment": "shared", "industry": 'food & "drink"'}}
               if number else {})), 0)
        for number in range(3)
    ] + [
        draft("account:A1", said(
            "evidence-recorded", criterion="fit", stance="supports", source_kind="email",
            said_by="cho", quote="On the account, with a\nline break."), 3)
    ]  # fmt: skip


def _deal(number: int, chance: Random) -> list[Draft]:
    stream = f"deal:D{number:05d}"
    amount = None
    if number % 7:
        amount = {"amount": AMOUNTS[number % len(AMOUNTS)],
                  "currency": CURRENCIES[number % len(CURRENCIES)]}  # fmt: skip
    own = {"segment": "own", "a": "é", "longer_key": "x"} if number % 3 else {}
    opened = said(
        "deal-opened", name=f"{NAMES[number % len(NAMES)]} {number}", owner=f"rep{number % 4}",
        account=f"A{number % 4}", amount=amount, dimensions=own,
        close_date=None if number % 11 == 0 else f"2026-{1 + number % 12:02d}-15",
    )  # fmt: skip
    found = [draft(stream, opened, 1 + number % 5)]
    kinds = ("pipeline", "best_case", "commit")
    found.append(draft(stream, said("category-claimed", category=kinds[number % 3]), 8))
    found.append(draft(stream, said("stage-claimed", stage="Proposal", probability=60), 9))
    found.append(draft(stream, said(
        "stakeholder-added", stakeholder="cho", name="Cho", role="buyer"), 9))  # fmt: skip
    for criterion in ("fit", "deadline", "price")[: number % 4]:
        stance = "contradicts" if chance.random() < 0.2 else "supports"
        found.append(draft(stream, said(
            "evidence-recorded", criterion=criterion, stance=stance, source_kind="call",
            said_by="cho", quote=f"{criterion}, {NAMES[number % len(NAMES)]}"),
            10 + chance.randrange(120), late=chance.choice([0, 0, 30])))  # fmt: skip
    if number % 5 == 0:
        outcome = ("won", "lost", "no_decision")[number % 3]
        found.append(draft(stream, said(
            "deal-closed", outcome=outcome, buyer_reason="the price"), 90))  # fmt: skip
    if number % 13 == 0:
        found.append(draft(stream, said("deal-revised", name=None, owner="rep1"), 60, late=40))
    if number % 17 == 0:
        found.append(draft(stream, said("deal-removed"), 120))
    return found
