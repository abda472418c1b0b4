"""One line a person can read about an event."""

from __future__ import annotations

from typing import Any

from ledger.domain.events import Event, Payload


def summary(event: Event) -> str:
    """What an event says, in a few words."""
    payload = event["payload"]
    match event["type"]:
        case "deal-opened" | "deal-revised" | "account-opened" | "account-revised":
            return _fields(payload)
        case "stage-claimed":
            probability = payload.get("probability")
            return f"{payload['stage']}" + ("" if probability is None else f" ({probability} %)")
        case "category-claimed":
            return str(payload["category"])
        case "evidence-recorded":
            verb = "supports" if payload["stance"] == "supports" else "contradicts"
            quote = f': "{payload["quote"]}"' if "quote" in payload else ""
            return f"{verb} {payload['criterion']} ({payload['source_kind']}){quote}"
        case "debrief-held":
            count = len(payload.get("answers", ()))
            told = f"by {payload['reviewer']}, {count} answer{'s'[: count != 1]}"
            before = payload.get("meetings_before")
            return told if before is None else f"{told}, after {before} meetings"
        case "deal-closed":
            reasons = [payload[key] for key in ("buyer_reason", "seller_reason") if key in payload]
            return ": ".join([payload["outcome"], *(["; ".join(reasons)] if reasons else [])])
        case "event-retracted":
            return f"{payload['target']}: {payload['reason']}"
        case "event-corrected":
            return f"{payload['target']}: {payload['reason']} {_correction(payload)}".rstrip()
        case "playbook-published":
            playbook = payload["playbook"]
            return f"{playbook['key']} {playbook['version']}"
        case _:
            return _fields(payload)


def _correction(payload: Payload) -> str:
    parts = dict(payload.get("payload") or {})
    if "occurred_at" in payload:
        parts["occurred_at"] = payload["occurred_at"]
    return f"({_fields(parts)})" if parts else ""


def _fields(payload: Payload) -> str:
    return ", ".join(f"{key} {spell(value)}" for key, value in payload.items())


def spell(value: Any) -> str:
    """A claimed value as text: money as `120000.00 USD`, nothing as `-`."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        if value.keys() == {"amount", "currency"}:
            return f"{value['amount']} {value['currency']}"
        return ", ".join(f"{key}={spell(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return f"{len(value)} answers" if value and isinstance(value[0], dict) else ", ".join(value)
    return str(value)
