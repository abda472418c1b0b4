"""One full-featured example of each event type, and others where a shape has a second face.

The golden files beside this are their canonical bytes. A changed file means that an event that is
already in somebody's ledger would be written otherwise today: raise the type's `schema_version` and
give `UPCASTERS` the step. When a change is meant, write the files anew and read the difference:

    python -m tests.unit.golden.examples

In `earlier/` are the bytes that earlier releases wrote, one for each schema version that was left
behind: `TYPE.vN.json`. They are never written anew; reading them gives `EARLIER`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from ledger.domain.envelope import prepare, splice
from ledger.domain.events import TYPES, Draft, Source, parse_payload

FOLDER = Path(__file__).with_name("events")
EARLIER_FOLDER = Path(__file__).with_name("earlier")

_ID = UUID("019d46a0-5e00-7abc-8def-0123456789ab")
_TARGET = "019d46a0-5e00-7abc-8def-0123456789ac"
_OCCURRED = datetime(2026, 3, 30, 8, 15, tzinfo=UTC)
_RECORDED = datetime(2026, 3, 31, 17, 0, 0, 123456, tzinfo=UTC)
_USD = {"amount": "120000.50", "currency": "USD"}


class Example(NamedTuple):
    """A payload and where it stands; `attested` ones come from a source with its own times."""

    stream: str
    type: str
    payload: dict[str, Any]
    attested: bool = False


_PLAYBOOK = {
    "key": "renewal",
    "version": "2026.1",
    "name": "Renewal",
    "roles": [{"key": "economic_buyer", "name": "Economic buyer", "authority": True}],
    "gates": [
        {
            "key": "problem",
            "name": "Problem",
            "stage": "Consideration",
            "threshold": 1,
            "expected_days": 30,
            "category": "best_case",
            "weight_percent": 40,
            "after_decision": False,
            "buyer_questions": ["Why change?"],
            "seller_questions": ["Who is affected?"],
            "criteria": [
                {
                    "key": "fit_confirmed",
                    "question": "Did the buyer confirm the fit?",
                    "layer": "stakeholder",
                    "mandatory": False,
                    "fresh_for_days": 60,
                    "fresher_at": {"signature": 30},
                    "said_by_role": "economic_buyer",
                    "source_kinds": ["meeting", "call"],
                    "lapses_with_stakeholder": False,
                }
            ],
        },
        {
            "key": "signature",
            "name": "Signature",
            "stage": "Decision",
            "criteria": [{"key": "contract_received", "question": "When will they sign?"}],
        },
    ],
}
_DEAL = {
    "name": "Müller & Söhne, “Phase 2” \U0001f680",
    "account": "001A",
    "owner": "005R",
    "playbook": "renewal",
    "amount": _USD,
    "close_date": "2026-06-30",
    "products": ["Suite", 'Add-on "X"'],
    "dimensions": {"segment": "Enterprise", "region": "EMEA"},
}
_STAKEHOLDER = {
    "stakeholder": "003S",
    "name": "Zoë O'Neil",
    "email": "zoe@buyer.example",
    "title": "CFO",
    "role": "economic_buyer",
    "seniority": "c_level",
    "influence": "high",
    "reports_to": "003T",
}

EXAMPLES: dict[str, Example] = {
    "deal-opened": Example("deal:006A", "deal-opened", _DEAL, attested=True),
    "deal-opened.minimal": Example("deal:006A", "deal-opened", {}),
    "deal-revised": Example(
        "deal:006A",
        "deal-revised",
        {**_DEAL, "dimensions": {"segment": "Mid-market", "region": None}},
    ),
    "deal-revised.cleared": Example(
        "deal:006A",
        "deal-revised",
        {"name": None, "account": None, "owner": None, "playbook": None, "amount": None,
         "close_date": None, "products": None, "dimensions": None},
    ),
    "stage-claimed": Example(
        "deal:006A",
        "stage-claimed",
        {"stage": "Negotiation/Review", "gate": "problem", "probability": 90},
        attested=True,
    ),
    "stage-claimed.minimal": Example("deal:006A", "stage-claimed", {"stage": "Prospecting"}),
    "category-claimed": Example("deal:006A", "category-claimed", {"category": "best_case"}),
    "evidence-recorded": Example(
        "deal:006A",
        "evidence-recorded",
        {
            "criterion": "fit_confirmed",
            "stance": "contradicts",
            "source_kind": "call",
            "quote": "We have\nnot seen the price.",
            "said_by": "003S",
            "link": "https://calls.example/42",
            "sha256": "0123456789abcdef" * 4,
        },
    ),
    "evidence-recorded.minimal": Example(
        "account:001A",
        "evidence-recorded",
        {"criterion": "fit_confirmed", "stance": "supports", "source_kind": "crm"},
    ),
    "criterion-waived": Example(
        "deal:006A",
        "criterion-waived",
        {
            "criterion": "fit_confirmed",
            "reason": "A pilot ran",
            "ends_at": "2026-05-01T02:00:00+02:00",
        },
    ),
    "waiver-revoked": Example(
        "deal:006A", "waiver-revoked", {"criterion": "fit_confirmed", "reason": "The pilot failed"}
    ),
    "stakeholder-added": Example("deal:006A", "stakeholder-added", _STAKEHOLDER),
    "stakeholder-added.minimal": Example(
        "deal:006A", "stakeholder-added", {"stakeholder": "003S", "name": "Zoë"}
    ),
    "stakeholder-changed": Example("deal:006A", "stakeholder-changed", _STAKEHOLDER),
    "stakeholder-changed.cleared": Example(
        "deal:006A", "stakeholder-changed", {"stakeholder": "003S", "email": None, "title": None}
    ),
    "stakeholder-left": Example(
        "deal:006A", "stakeholder-left", {"stakeholder": "003S", "reason": "Left the company"}
    ),
    "buyer-advanced": Example(
        "deal:006A", "buyer-advanced", {"gate": "problem", "reason": "Agreed in the workshop"}
    ),
    "buyer-regressed": Example(
        "deal:006A", "buyer-regressed", {"gate": "problem", "reason": "New sponsor"}
    ),
    "buyer-looped": Example(
        "deal:006A",
        "buyer-looped",
        {"from_gate": "investment", "to_gate": "problem", "reason": "Scope reopened"},
    ),
    "deal-closed": Example(
        "deal:006A",
        "deal-closed",
        {
            "outcome": "no_decision",
            "buyer_reason": "Nobody would sign",
            "seller_reason": "No access to power",
        },
        attested=True,
    ),
    "deal-closed.minimal": Example("deal:006A", "deal-closed", {"outcome": "won"}),
    "deal-reopened": Example("deal:006A", "deal-reopened", {"reason": "Budget came back"}),
    "debrief-held": Example(
        "deal:006A",
        "debrief-held",
        {
            "reviewer": "005M",
            "answers": [
                {"criterion": "fit_confirmed", "answer": "evidence", "evidence": _TARGET},
                {"criterion": "price_seen", "answer": "no_answer", "note": "Never asked"},
            ],
            "meetings_before": 2,
        },
    ),
    "debrief-held.minimal": Example("deal:006A", "debrief-held", {"reviewer": "005M"}),
    "post-mortem-recorded": Example(
        "deal:006A",
        "post-mortem-recorded",
        {"reviewer": "005M", "finding": "Price came late", "lesson": "Ask in the second call"},
    ),
    "deal-removed": Example("deal:006A", "deal-removed", {"reason": "Duplicate"}, attested=True),
    "account-opened": Example(
        "account:001A",
        "account-opened",
        {"name": "Müller & Söhne", "parent": "001P", "dimensions": {"industry": "Retail"}},
        attested=True,
    ),
    "account-revised": Example(
        "account:001A",
        "account-revised",
        {"name": "Müller AG", "parent": None, "dimensions": {"industry": None}},
    ),
    "playbook-published": Example(
        "playbook:renewal", "playbook-published", {"playbook": _PLAYBOOK}
    ),
    "playbook-reviewed": Example(
        "playbook:renewal", "playbook-reviewed", {"reviewer": "005M", "note": "Still true"}
    ),
    "person-joined": Example(
        "person:005R",
        "person-joined",
        {
            "name": "Rüya Ad",
            "email": "r@seller.example",
            "role": "Account Executive",
            "manager": "005M",
            "team": "North",
        },
    ),
    "person-reassigned": Example(
        "person:005R",
        "person-reassigned",
        {"manager": "005N", "team": None, "role": "Senior Account Executive"},
    ),
    "person-left": Example("person:005R", "person-left", {"reason": "Moved on"}),
    "person-assessed": Example(
        "person:005R",
        "person-assessed",
        {"aspect": "buy_in", "score": 4, "assessor": "005M", "note": "Asks early"},
    ),
    "forecast-called": Example(
        "period:2026-Q2",
        "forecast-called",
        {
            "period": "2026-Q2",
            "person": "005R",
            "category": "commit",
            "amount": _USD,
            "note": "Two are sure",
        },
    ),
    "forecast-adjusted": Example(
        "period:2026-Q2",
        "forecast-adjusted",
        {
            "period": "2026-Q2",
            "person": "005R",
            "category": "commit",
            "override": {"amount": "0", "currency": "JPY"},
            "adjuster": "005M",
            "reason": "No evidence",
            "expires_at": "2026-07-01T00:00:00Z",
        },
    ),
    "forecast-adjusted.haircut": Example(
        "period:2026-Q2",
        "forecast-adjusted",
        {
            "period": "2026-Q2",
            "person": "005R",
            "category": "best_case",
            "haircut_percent": 50,
            "adjuster": "005M",
            "reason": "Cut that rep by half",
            "expires_at": "2026-07-01T00:00:00.000001Z",
        },
    ),
    "quota-set": Example(
        "period:2026", "quota-set", {"period": "2026", "person": "005R", "amount": _USD}
    ),
    "fx-rate-set": Example(
        "settings:ledger",
        "fx-rate-set",
        {"currency": "EUR", "to": "USD", "rate": "1.081200000001"},
    ),
    "fiscal-calendar-set": Example(
        "settings:ledger",
        "fiscal-calendar-set",
        {"start_month": 2, "named_by": "end", "time_zone": "Europe/Berlin"},
    ),
    "reporting-currency-set": Example(
        "settings:ledger", "reporting-currency-set", {"currency": "EUR"}
    ),
    "event-retracted": Example(
        "deal:006A", "event-retracted", {"target": _TARGET, "reason": "Wrong deal"}
    ),
    "event-corrected": Example(
        "deal:006A",
        "event-corrected",
        {
            "target": _TARGET,
            "payload": {"name": None, "close_date": "2026-06-30"},
            "payload_version": 1,
            "occurred_at": "2026-03-01T00:00:00Z",
            "reason": "A typing error",
        },
    ),
    "event-corrected.time": Example(
        "deal:006A",
        "event-corrected",
        {"target": _TARGET, "occurred_at": "2026-03-01T00:00:00Z", "reason": "It was earlier"},
    ),
}  # fmt: skip

EARLIER: dict[str, dict[str, Any]] = {
    "playbook-published.v1": {
        "playbook": {
            "key": "renewal",
            "version": "2026.1",
            "name": "Renewal",
            "roles": [],
            "gates": [
                {
                    "key": "problem",
                    "name": "Problem",
                    "stage": "Consideration",
                    "threshold": 1,
                    "expected_days": 30,
                    "category": "best_case",
                    "weight_percent": 40,
                    "after_decision": False,
                    "buyer_questions": ["Why change?"],
                    "seller_questions": ["Who is affected?"],
                    "criteria": [
                        {
                            "key": "fit_confirmed",
                            "question": "Did the buyer confirm the fit?",
                            "layer": "stakeholder",
                            "mandatory": False,
                            "fresh_for_days": 60,
                            "fresher_at": {},
                            "said_by_role": "economic_buyer",
                            "source_kinds": ["meeting", "call"],
                            "lapses_with_stakeholder": False,
                        }
                    ],
                }
            ],
        }
    },
}
"""What an earlier release wrote -> the payload as it is read today."""


def envelope(example: Example) -> bytes:
    """The canonical bytes of an example, with fixed ids and times."""
    draft = Draft(
        stream=example.stream,
        payload=parse_payload(example.type, example.payload),
        event_id=_ID,
        actor="005M",
        source=Source("salesforce", "008A") if example.attested else Source("cli"),
        occurred_at=_OCCURRED,
        known_at=datetime(2026, 3, 30, 9, 0, 0, 1, tzinfo=UTC) if example.attested else None,
        causation_id=UUID(_TARGET) if example.attested else None,
        correlation_id=UUID(_TARGET) if example.attested else None,
    )
    return splice(prepare(draft, 7), 1090, _RECORDED)


def write() -> None:
    """Write all golden files anew."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, example in EXAMPLES.items():
        (FOLDER / f"{name}.json").write_bytes(envelope(example))
    assert {example.type for example in EXAMPLES.values()} == set(TYPES)


if __name__ == "__main__":
    write()
