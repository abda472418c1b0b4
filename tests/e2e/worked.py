"""The worked example: seven deals in two currencies, small enough to be added up by hand.

What the CRM attests has its own change time as `known_at`; what is written here now is known now,
years after the quarter it tells of: that is hindsight.

    A  100000.00 USD  ann  commit, won on 18 March
    B   50000.00 EUR  bob  best case; on 25 March it grew to 60000.00, which was entered on 2 April
    C   30000.00 USD  ann  commit; corrected now: it had always been 33000.00
    D   40000.00 USD  bob  lost on 10 March; retracted now: it was another deal
    E   10000.50 EUR  ann  commit, won on 20 February, reopened on 5 March
    F    7000.00 USD  bob  of 1 March, recorded now, by ourselves: the only one that we witnessed
    G  no amount      ann  open, in the pipeline

One EUR buys 1.10 USD, from 1 March on 1.20. Ann calls a commit of 120000.00 USD, cut by half until
1 April; Bob calls a best case of 55000.00 EUR.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from ledger import service
from ledger.domain.events import Draft, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.store.ledger import Ledger

CRM = Source("crm")
PERIOD = "2025-Q1"
END = "2025-03-31"


def day(text: str) -> datetime:
    """Noon of a day."""
    return datetime.fromisoformat(text).replace(hour=12, tzinfo=UTC)


def usd(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def attested(
    stream: str, kind: str, payload: dict[str, Any], occurred: str, known: str | None = None
) -> Draft:
    """An event as a CRM tells it: on these days, known on the day itself unless said."""
    return Draft(
        stream=stream,
        payload=parse_payload(kind, payload),
        event_id=event_id_of("crm", stream, f"{kind} {occurred}"),
        actor="crm",
        source=CRM,
        occurred_at=day(occurred),
        known_at=day(known or occurred),
    )


def opened(deal: str, owner: str, close: str, amount: dict[str, str] | None) -> Draft:
    payload = {"name": f"Deal {deal}", "owner": owner, "close_date": close, "amount": amount}
    return attested(f"deal:{deal}", "deal-opened", payload, "2025-01-10")


def category(deal: str, name: str, occurred: str = "2025-01-15") -> Draft:
    return attested(f"deal:{deal}", "category-claimed", {"category": name}, occurred)


def fx(rate: str, occurred: str) -> Draft:
    payload = {"currency": "EUR", "to": "USD", "rate": rate}
    return attested("settings:ledger", "fx-rate-set", payload, occurred)


def _call(person: str, name: str, amount: dict[str, str]) -> Draft:
    payload = {"period": PERIOD, "person": person, "category": name, "amount": amount}
    stream = f"period:{PERIOD}"
    draft = attested(stream, "forecast-called", payload, "2025-03-02")
    return draft._replace(event_id=event_id_of("crm", stream, person))


CORRECTED = opened("C", "ann", "2025-03-30", usd("30000.00"))
RETRACTED = attested("deal:D", "deal-closed", {"outcome": "lost"}, "2025-03-10")

ATTESTED = [
    fx("1.10", "2025-01-01"),
    attested("person:ann", "person-joined", {"name": "Ann", "team": "East"}, "2025-01-02"),
    attested("person:bob", "person-joined", {"name": "Bob", "team": "West"}, "2025-01-02"),
    opened("A", "ann", "2025-03-20", usd("100000.00")),
    opened("B", "bob", "2025-03-28", eur("50000.00")),
    CORRECTED,
    opened("D", "bob", "2025-03-15", usd("40000.00")),
    opened("E", "ann", "2025-03-25", eur("10000.50")),
    opened("G", "ann", "2025-03-31", None),
    category("A", "commit"),
    category("B", "best_case"),
    category("C", "commit"),
    category("E", "commit"),
    attested("deal:E", "deal-closed", {"outcome": "won"}, "2025-02-20"),
    fx("1.20", "2025-03-01"),
    _call("ann", "commit", usd("120000.00")),
    _call("bob", "best_case", eur("55000.00")),
    attested(
        f"period:{PERIOD}",
        "forecast-adjusted",
        {"period": PERIOD, "person": "ann", "category": "commit", "haircut_percent": 50,
         "adjuster": "mia", "reason": "as last quarter", "expires_at": "2025-04-01T00:00:00Z"},
        "2025-03-05",
    ),
    attested("deal:E", "deal-reopened", {}, "2025-03-05"),
    RETRACTED,
    attested("deal:A", "deal-closed", {"outcome": "won"}, "2025-03-18"),
    attested("deal:B", "deal-revised", {"amount": eur("60000.00")}, "2025-03-25", "2025-04-02"),
]  # fmt: skip


class Written(NamedTuple):
    """Where the events stand that were written here."""

    correction: int
    retraction: int
    witnessed: int


def write(ledger: Ledger) -> Written:
    """Write the whole example into an empty ledger."""
    added = ledger.import_events(ATTESTED, strict=True).added
    assert added == len(ATTESTED)
    payload = {**CORRECTED.payload.to_json(), "amount": usd("33000.00")}
    correction = service.record(
        ledger,
        "deal:C",
        ("event-corrected", {"target": str(CORRECTED.event_id), "payload": payload,
                             "reason": "a digit was misread"}),
        actor="mia",
    )  # fmt: skip
    retraction = service.record(
        ledger,
        "deal:D",
        ("event-retracted", {"target": str(RETRACTED.event_id), "reason": "another deal"}),
        actor="mia",
    )
    witnessed = service.record(
        ledger,
        "deal:F",
        ("deal-opened", {"name": "Deal F", "owner": "bob", "close_date": END,
                         "amount": usd("7000.00")}),
        actor="bob",
        occurred_at=day("2025-03-01"),
    )  # fmt: skip
    return Written(correction.position, retraction.position, witnessed.position)


def late_news() -> list[Draft]:
    """A later import that tells of times long known: A grew in February, and there was a deal H."""
    return [
        attested("deal:A", "deal-revised", {"amount": usd("110000.00")}, "2025-02-11"),
        opened("H", "bob", "2025-03-12", usd("500.00")),
        fx("1.30", "2025-03-20"),
    ]


def many_deals(count: int) -> list[Draft]:
    """Plain deals on four owners, in three categories and two currencies."""
    drafts = []
    for number in range(count):
        deal = f"M{number:04d}"
        amount = f"{1000 + 7 * number}.{number % 100:02d}"
        money = (usd if number % 3 else eur)(amount)
        drafts.append(opened(deal, f"rep{number % 4}", f"2025-03-{1 + number % 28:02d}", money))
        drafts.append(category(deal, ("commit", "best_case", "pipeline")[number % 3]))
        if number % 5 == 0:
            outcome = "won" if number % 2 else "no_decision"
            drafts.append(
                attested(f"deal:{deal}", "deal-closed", {"outcome": outcome}, "2025-02-15")
            )
    return drafts
