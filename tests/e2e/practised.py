"""A ledger in which the practice can be added up by hand, as of 10 March 2025.

The small journey of `tests.unit.fold.journey_kit`: problem (fit, and one of options and deadline),
decision (price), signature (contract), then advocacy (handover, review). Dora directs, Mia manages
Ann and Bob; on 10 April Ann goes to Max. One EUR buys 1.10 USD.

    A  100000.00 USD  ann  commit; fit and options shown on 20 January, debriefed on 10 February by
                           Mia after two meetings: nobody knew about the price; won on 25 March
    B   50000.00 EUR  bob  best case; fit shown on 20 February; never debriefed
    C   30000.00 USD  ann  won on 1 February; the champion left on the 20th; no hand-over
    D   20000.00 USD  bob  no decision on 15 February; the buyer says why, and so does the seller
    E   10000.00 USD  bob  lost on 20 February; only the seller says why

Ann calls a commit of 120000.00; Mia cuts it by half, Dora puts it at 80000.00. Bob calls a best
case of 55000.00 EUR. Mia assessed Ann's urgency on 1 March, and her knowledge in September.
"""

from __future__ import annotations

from typing import Any

from ledger.domain.events import Draft
from ledger.domain.ids import event_id_of
from ledger.store.ledger import Ledger
from tests.e2e.worked import attested, eur, usd
from tests.unit.fold.journey_kit import JOURNEY

PERIOD = "2025-Q1"
ON = "2025-03-10"
"""The day asked about."""


def said(stream: str, kind: str, occurred: str, **payload: Any) -> Draft:
    """An event as attested on its day, with an id of its own."""
    draft = attested(stream, kind, payload, occurred)
    identity = f"{kind} {occurred} {sorted(payload.items())}"
    return draft._replace(event_id=event_id_of("crm", stream, identity))


def _person(who: str, manager: str | None = None) -> Draft:
    fields = {} if manager is None else {"manager": manager}
    return said(f"person:{who}", "person-joined", "2024-06-01", name=who.title(), **fields)


def _deal(deal: str, owner: str, amount: dict[str, str], category: str) -> list[Draft]:
    stream = f"deal:{deal}"
    return [
        said(stream, "deal-opened", "2025-01-10", name=f"Deal {deal}", owner=owner,
             close_date="2025-03-28", amount=amount),
        said(stream, "category-claimed", "2025-01-15", category=category),
        said(stream, "stakeholder-added", "2025-01-16", stakeholder="cho", name="Cho",
             role="champion"),
    ]  # fmt: skip


def _shown(deal: str, criterion: str, occurred: str, kind: str = "meeting") -> Draft:
    return said(
        f"deal:{deal}", "evidence-recorded", occurred, criterion=criterion, stance="supports",
        source_kind=kind, said_by="cho", quote=f"Yes, {criterion}.",
    )  # fmt: skip


def _closed(deal: str, occurred: str, **payload: Any) -> Draft:
    return said(f"deal:{deal}", "deal-closed", occurred, **payload)


def _call(person: str, category: str, amount: dict[str, str]) -> Draft:
    return said(f"period:{PERIOD}", "forecast-called", "2025-03-02", period=PERIOD, person=person,
                category=category, amount=amount)  # fmt: skip


def _adjusted(adjuster: str, occurred: str, **change: Any) -> Draft:
    return said(
        f"period:{PERIOD}", "forecast-adjusted", occurred, period=PERIOD, person="ann",
        category="commit", adjuster=adjuster, reason=f"{adjuster}'s view",
        expires_at="2025-04-01T00:00:00Z", **change,
    )  # fmt: skip


def _assessed(aspect: str, score: int, occurred: str) -> Draft:
    return said("person:ann", "person-assessed", occurred, aspect=aspect, score=score,
                assessor="mia")  # fmt: skip


DRAFTS = [
    said("playbook:small", "playbook-published", "2024-06-01",
         playbook=JOURNEY.model_dump(mode="json")),
    said("settings:ledger", "fx-rate-set", "2024-06-01", currency="EUR", to="USD", rate="1.10"),
    _person("dora"), _person("mia", "dora"), _person("max", "dora"),
    _person("ann", "mia"), _person("bob", "mia"),
    _assessed("knowledge", 2, "2024-09-01"),
    *_deal("A", "ann", usd("100000.00"), "commit"),
    *_deal("B", "bob", eur("50000.00"), "best_case"),
    *_deal("C", "ann", usd("30000.00"), "commit"),
    *_deal("D", "bob", usd("20000.00"), "pipeline"),
    *_deal("E", "bob", usd("10000.00"), "pipeline"),
    _shown("A", "fit", "2025-01-20"),
    _shown("A", "options", "2025-01-20"),
    _closed("C", "2025-02-01", outcome="won"),
    said("deal:A", "debrief-held", "2025-02-10", reviewer="mia", meetings_before=2,
         answers=[{"criterion": "price", "answer": "no_answer"}]),
    _closed("D", "2025-02-15", outcome="no_decision", buyer_reason="We keep what we have.",
            seller_reason="Price."),
    _shown("B", "fit", "2025-02-20", "call"),
    said("deal:C", "stakeholder-left", "2025-02-20", stakeholder="cho"),
    _closed("E", "2025-02-20", outcome="lost", seller_reason="Price."),
    _assessed("urgency", 4, "2025-03-01"),
    _call("ann", "commit", usd("120000.00")),
    _call("bob", "best_case", eur("55000.00")),
    _adjusted("dora", "2025-03-04", override=usd("80000.00")),
    _adjusted("mia", "2025-03-05", haircut_percent=50),
    _closed("A", "2025-03-25", outcome="won"),
    said("person:ann", "person-reassigned", "2025-04-10", manager="max"),
]  # fmt: skip


def write(ledger: Ledger) -> None:
    """Write the whole example into an empty ledger."""
    added = ledger.import_events(DRAFTS, strict=True).added
    assert added == len(DRAFTS)
