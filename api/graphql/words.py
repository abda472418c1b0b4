"""What the fields of commands mean, in words for an analyst.

Law: every field of every payload, and every value of every choice, has words. Payloads share field
names that mean the same; where one means something else in an event, `FIELDS_OF` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_CRM = "A field of the CRM; it counts only where a criterion names it."


class Choice(NamedTuple):
    """An enum of the schema.

    Args:
        name: its name.
        description: what is chosen.
        values: what each value means, in their order.
    """

    name: str
    description: str
    values: tuple[str, ...]


CHOICES: Mapping[tuple[str, ...], Choice] = {
    ("omitted", "pipeline", "best_case", "commit", "closed"): Choice(
        "Category",
        "A forecast category, from least to most certain.",
        ("Counts in no forecast.", "Open, and too early to say.", "Could close in the period.",
         "Will close in the period.", "Won."),
    ),
    ("pipeline", "best_case", "commit"): Choice(
        "CallCategory",
        "A forecast category that can be called.",
        ("Open, and too early to say.", "Could close in the period.", "Will close in the period."),
    ),
    ("won", "lost", "no_decision", "disqualified", "abandoned"): Choice(
        "Outcome",
        "How a deal ended.",
        ("The buyer bought from us.", "The buyer bought elsewhere.",
         "The buyer decided to do nothing.", "We found that it is none of ours.",
         "We stopped, or the buyer fell silent."),
    ),
    ("supports", "contradicts"): Choice(
        "Stance",
        "Whether evidence speaks for a criterion or against it.",
        ("It speaks for it.", "It speaks against it."),
    ),
    ("meeting", "call", "email", "document", "crm", "other"): Choice(
        "SourceKind",
        "Where evidence comes from.",
        ("A meeting with the buyer.", "A call with the buyer.", "A message of the buyer's.",
         "A document of the buyer's.", _CRM, "Anything else."),
    ),
    ("c_level", "vice_president", "director", "manager", "staff"): Choice(
        "Seniority",
        "A stakeholder's rank.",
        ("Of the board or top management.", "Vice president.", "Director.", "Manager.", "Staff."),
    ),
    ("high", "medium", "low"): Choice(
        "Influence",
        "A stakeholder's influence on the decision.",
        ("High.", "Medium.", "Low."),
    ),
    ("motivation", "confidence", "urgency", "buy_in", "knowledge", "skills_applied"): Choice(
        "Aspect",
        "What of a seller is assessed.",
        ("Motivation, and what incentive suits now.", "Confidence in our solution.",
         "Sense of urgency.", "Buy-in to policies and mission.",
         "Knowledge of product and systems.", "Skills that are really applied."),
    ),
    ("start", "end"): Choice(
        "FiscalYearNamedBy",
        "Which calendar year names a fiscal year.",
        ("The one in which it starts.", "The one in which it ends."),
    ),
}  # fmt: skip
"""Values -> the enum that they make."""

_GATE = "The key of a gate of the deal's playbook."
_WHY = "Why, in words."

FIELDS: Mapping[str, str] = {
    "name": "The name.",
    "account": "The id of the buyer's account.",
    "owner": "The id of the person who owns the deal.",
    "playbook": "The key of the playbook that the deal follows; by default the first one.",
    "amount": "The amount.",
    "close_date": "When it is expected to close, a calendar date such as 2026-03-31.",
    "products": "What it is about: at most 50 names; the whole list.",
    "dimensions": "What it can be grouped by, at most 32.",
    "stage": "The stage as the CRM calls it.",
    "gate": _GATE,
    "probability": "How likely it is to be won, as claimed, 0 to 100 percent.",
    "category": "The forecast category.",
    "criterion": "The key of an exit criterion of the playbook.",
    "stance": "Whether it speaks for the criterion or against it.",
    "source_kind": "Where it comes from.",
    "quote": "The buyer's words.",
    "said_by": "The id of the stakeholder who said it. What nobody said is only a claim.",
    "link": "Where the artefact is.",
    "sha256": "The SHA-256 of the artefact, 64 hexadecimal digits.",
    "reason": _WHY,
    "ends_at": "When the waiver ends, an instant such as 2026-03-31T17:00:00Z.",
    "stakeholder": "The stakeholder's id, unique within the deal.",
    "email": "An e-mail address.",
    "title": "The title on their card.",
    "role": "Their role.",
    "seniority": "Their rank.",
    "influence": "Their influence on the decision.",
    "reports_to": "The id of the stakeholder to whom they report.",
    "from_gate": "The key of the gate from which the buyer went back.",
    "to_gate": "The key of the gate to which the buyer went back.",
    "outcome": "How it ended.",
    "buyer_reason": "The reason as the buyer gave it.",
    "seller_reason": "The reason as the seller sees it.",
    "reviewer": "The id of who reviewed it.",
    "meetings_before": "How many meetings with the buyer there had been.",
    "finding": "What was found.",
    "lesson": "What is to be done otherwise.",
    "parent": "The id of the account above it.",
    "note": "What else there is to say.",
    "manager": "The id of their manager.",
    "team": "Their team.",
    "aspect": "What is assessed.",
    "score": "1 (low) to 5 (high).",
    "assessor": "The id of whose judgement it is; never the person's own.",
    "period": "A fiscal period: 2026, 2026-Q1 or 2026-03.",
    "person": "The id of the person whose number it is.",
    "override": "Another number in place of what stands so far; give this or haircutPercent.",
    "haircut_percent": "By how many percent to cut what stands so far; give this or override.",
    "adjuster": "The id of whose adjustment it is; never the person's own.",
    "expires_at": "When it expires, an instant such as 2026-03-31T17:00:00Z.",
    "currency": "An ISO 4217 code, such as USD.",
    "to": "The currency into which is converted, an ISO 4217 code.",
    "rate": 'How many units of "to" one unit of "currency" buys, such as "1.0842".',
    "start_month": "The month in which the fiscal year starts, 1 to 12.",
    "named_by": "Which calendar year names the fiscal year.",
    "time_zone": "The reporting time zone, an IANA name such as Europe/Berlin.",
    "target": "The id of the event.",
    "payload": "The whole payload as it should have been, a JSON object with the keys as the "
    "ledger spells them (see Deal.timeline); null or absent leaves it.",
    "occurred_at": "When it happened at the buyer, an instant such as 2026-03-31T17:00:00Z.",
}
"""Field -> what it means."""

FIELDS_OF: Mapping[tuple[str, str], str] = {
    ("stage-claimed", "gate"): "The key of the gate before which a deal in that stage stands.",
    ("stakeholder-added", "role"): "The part they play, a role of the playbook.",
    ("stakeholder-changed", "role"): "The part they play, a role of the playbook; null clears it.",
    ("buyer-regressed", "gate"): "The key of the gate to which the buyer went back.",
    ("buyer-advanced", "gate"): "The key of the gate that the buyer is said to have passed.",
    ("criterion-waived", "criterion"): "The key of the exit criterion to set aside.",
    ("event-corrected", "occurred_at"): "When it really happened, an instant; null or absent "
    "leaves it.",
    ("quota-set", "amount"): "The quota.",
    ("forecast-called", "amount"): "The number that the person submits.",
    ("deal-revised", "products"): "The whole list as it is now; null clears it.",
}
"""(event type, field) -> what it means there."""
