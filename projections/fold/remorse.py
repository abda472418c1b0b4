"""Buyer's remorse: what shows, after a deal was won, that the purchase may yet be regretted.

Law: each risk is a rule with a name, a sentence and its events; each holds from an instant on, and
is gone as soon as what it says is not so any more.

    no-hand-over      30 days after winning, hand-over never held. Hand-over is what the playbook
                      asks first after the decision: the first criterion of the first such gate.
    contradicted      the last word on a criterion since winning is against it
    buyer-went-back   the buyer went back to a gate, and no evidence since speaks for the deal
    champion-left     a champion left after winning, and is not back
    silence           nothing of the buyer's was recorded for 60 days, or ever since winning

Only a deal that is won at the basis has any, and only while a playbook judges it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from ledger.domain.events import Event, EvidenceRecorded, Outcome, cause_of, stream_category
from projections.fold.gates import Qualification
from projections.fold.qualification import QUALIFYING_TYPES
from projections.fold.rulebook import Rulebook, expiry

HANDOVER_DAYS = 30
SILENCE_DAYS = 60
CHAMPION = "champion"


class Remorse(StrEnum):
    """The rules; stable names."""

    NO_HAND_OVER = "no-hand-over"
    CONTRADICTED = "contradicted"
    BUYER_WENT_BACK = "buyer-went-back"
    CHAMPION_LEFT = "champion-left"
    SILENCE = "silence"


class Risk(NamedTuple):
    """A sign that the purchase may be regretted.

    Args:
        rule: the rule that says so.
        sentence: what a person would say.
        since: valid time from which it has been so.
        causes: the positions of the events that it rests on.
    """

    rule: Remorse
    sentence: str
    since: str
    causes: tuple[int, ...]


def remorse_risks(deal: Qualification, won: Event, events: Iterable[Event]) -> list[Risk]:
    """The signs of remorse about a deal that was won.

    Args:
        deal: its gates at the basis.
        won: the event that closed it.
        events: its events and its account's evidence in the fold's order, as corrected.
    """
    if deal.rulebook is None or deal.outcome != Outcome.WON:
        return []
    since = [
        event
        for event in events
        if event["type"] in QUALIFYING_TYPES and event["occurred_at"] > won["occurred_at"]
    ]
    return [
        *_no_hand_over(deal, deal.rulebook, won),
        *_contradicted(deal.rulebook, since),
        *_went_back(deal.rulebook, since),
        *_champion_left(deal, won["occurred_at"]),
        *_silence(deal.valid_at, won, since),
    ]


def _no_hand_over(deal: Qualification, rulebook: Rulebook, won: Event) -> Iterator[Risk]:
    if rulebook.decision == len(rulebook.gates):
        return
    key = rulebook.of_gate[rulebook.decision][0]
    state = deal.criterion(key)
    due_at = expiry(won["occurred_at"], timedelta(days=HANDOVER_DAYS))
    held = any(change.criterion == key and change.after.holds for change in deal.changes)
    if state is None or state.judgement.holds or held or due_at is None or due_at > deal.valid_at:
        return
    causes = {cause_of(won), *state.judgement.causes}
    yield Risk(
        Remorse.NO_HAND_OVER,
        f"{HANDOVER_DAYS} days after winning, nothing shows {_words(key)}.",
        due_at,
        tuple(sorted(causes)),
    )


def _contradicted(rulebook: Rulebook, since: Sequence[Event]) -> Iterator[Risk]:
    last: dict[str, Event] = {}
    for event in since:
        if event["type"] == EvidenceRecorded.type and _may_count(event, rulebook):
            last[event["payload"]["criterion"]] = event
    for key, event in sorted(last.items()):
        if event["payload"]["stance"] == "contradicts":
            yield Risk(
                Remorse.CONTRADICTED,
                f"Since winning, the last word on {_words(key)} is against it.",
                event["occurred_at"],
                (cause_of(event),),
            )


def _may_count(event: Event, rulebook: Rulebook) -> bool:
    """Whether evidence may count on its criterion at all, for it or against it.

    What stands on the account counts for the organization layer, and the word of a CRM where the
    criterion names it; see `projections.fold.criterion`.
    """
    rule = rulebook.criteria.get(event["payload"]["criterion"])
    if rule is None:
        return False
    of_account = stream_category(event["stream"]) == "account"
    if of_account and rule.criterion.layer != "organization":
        return False
    return event["payload"]["source_kind"] != "crm" or "crm" in rule.kinds


def _went_back(rulebook: Rulebook, since: Sequence[Event]) -> Iterator[Risk]:
    back: tuple[Event, str] | None = None
    for event in since:
        gate = _back_to(event, rulebook)
        if gate is not None:
            back = event, gate
        elif event["type"] == EvidenceRecorded.type and event["payload"]["stance"] == "supports":
            back = None
    if back is not None:
        event, gate = back
        yield Risk(
            Remorse.BUYER_WENT_BACK,
            f"After winning, the buyer went back to {_words(gate)}.",
            event["occurred_at"],
            (cause_of(event),),
        )


def _back_to(event: Event, rulebook: Rulebook) -> str | None:
    """The gate to which the buyer went back; None for whatever else an event says."""
    payload = event["payload"]
    if event["type"] == "buyer-regressed":
        return str(payload["gate"])
    if event["type"] != "buyer-looped":
        return None
    order = rulebook.gate_index
    to_gate: str = payload["to_gate"]
    backward = order.get(to_gate, -1) <= order.get(payload["from_gate"], len(order))
    return to_gate if backward else None


def _champion_left(deal: Qualification, won_at: str) -> Iterator[Risk]:
    for who in sorted(deal.stakeholders):
        person = deal.stakeholders[who]
        left_at = person.left_at or ""
        if person.role == CHAMPION and not person.here and left_at > won_at:
            yield Risk(
                Remorse.CHAMPION_LEFT,
                f"The champion left {_days(won_at, left_at)} days after winning.",
                left_at,
                (person.cause,),
            )


def _silence(valid_at: str, won: Event, since: Sequence[Event]) -> Iterator[Risk]:
    last = since[-1] if since else won
    silent_at = expiry(last["occurred_at"], timedelta(days=SILENCE_DAYS))
    if silent_at is not None and silent_at <= valid_at:
        what = "the deal was won on " if last is won else ""
        days = _days(last["occurred_at"], valid_at)
        yield Risk(
            Remorse.SILENCE,
            f"Nothing of the buyer's was recorded for {days} days, since {what}"
            f"{last['occurred_at'][:10]}.",
            silent_at,
            (cause_of(last),),
        )


def _days(start: str, end: str) -> int:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).days


def _words(key: str) -> str:
    return key.replace("_", " ")
