"""Buyer's remorse: what shows, after a deal was won, that the purchase may yet be regretted.

Law: each risk is a rule with a name, a sentence and its events; each holds from an instant on, and
is gone as soon as what it says is not so any more.

    no-hand-over      30 days after winning, hand-over never held. Hand-over is what the playbook
                      asks first after the decision: the first criterion of the first such gate.
    contradicted      a criterion is contradicted by a word since winning
    buyer-went-back   the buyer went back to a gate, and no evidence since speaks for the deal
    champion-left     a champion left after winning, and is not back
    silence           nothing of the buyer's was recorded for 60 days, or ever since winning:
                      no evidence, no going back, and nothing about a stakeholder

Only a deal that is won at the basis has any, and only while a playbook judges it.

Words and goings back count by the rules of the fold (`criterion.judge`, `gate_rules`): what cannot
be placed, or may not be heard, neither makes a risk nor ends one. But the decision settles the
gates before it, and remorse is just what is said of them afterwards: so each criterion is judged
once more by all the evidence, as if nothing were settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from ledger.domain.events import Event, Outcome, cause_of
from ledger.domain.playbook import in_words
from projections.fold.criterion import Judgement, Rule, Status, judge
from projections.fold.gate_rules import gate_gone_back_to
from projections.fold.gates import Qualification
from projections.fold.hearing import GoingBack, Heard
from projections.fold.rulebook import Rulebook, expiry

HANDOVER_DAYS = 30
SILENCE_DAYS = 60
CHAMPION = "champion"

_BUYERS = frozenset(
    {
        "evidence-recorded", "buyer-regressed", "buyer-looped", "stakeholder-added",
        "stakeholder-changed", "stakeholder-left",
    }
)  # fmt: skip
"""In which something of the buyer's is recorded."""

_HEARD = frozenset({Rule.EVIDENCE_COUNTS, Rule.EVIDENCE_AGED})
"""By which a criterion rests on evidence for it that was heard."""


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


class _Since(NamedTuple):
    """What was said of a deal since it was won.

    Args:
        won: the event that closed it.
        buyers: the events in which something of the buyer's was recorded, in the fold's order.
        said_at: position -> valid time, of all events.
        goings_back: the buyer's goings back to gates that the version has.
        judged: what each criterion is by all the evidence, as if nothing were settled.
    """

    won: Event
    buyers: Sequence[Event]
    said_at: Mapping[int, str]
    goings_back: Sequence[GoingBack]
    judged: Mapping[str, Judgement]


def remorse_risks(deal: Qualification, won: Event, events: Iterable[Event]) -> list[Risk]:
    """The signs of remorse about a deal that was won.

    Args:
        deal: its gates at the basis.
        won: the event that closed it.
        events: its events and its account's evidence in the fold's order, as corrected.
    """
    if deal.rulebook is None or deal.outcome != Outcome.WON:
        return []
    since = _heard_since(deal, deal.rulebook, won, events)
    return [
        *_no_hand_over(deal, deal.rulebook, won),
        *_contradicted(since),
        *_went_back(since),
        *_champion_left(deal, won["occurred_at"]),
        *_silence(deal.valid_at, since),
    ]


def _heard_since(
    deal: Qualification, rulebook: Rulebook, won: Event, events: Iterable[Event]
) -> _Since:
    heard = Heard(deal.moves[0].at)
    later = []
    for event in events:
        heard.take(event)
        if event["occurred_at"] > won["occurred_at"]:
            later.append(event)
    return _Since(
        won=won,
        buyers=[event for event in later if event["type"] in _BUYERS],
        said_at={cause_of(event): event["occurred_at"] for event in later},
        goings_back=[
            going
            for going in heard.goings_back
            if going.word.occurred_at > won["occurred_at"]
            and gate_gone_back_to(rulebook, going) is not None
        ],
        judged={
            key: judge(
                rule, heard.track(key), max(deal.bar, rule.gate), deal.valid_at,
                deal.stakeholders, None,
            )
            for key, rule in rulebook.criteria.items()
        },
    )  # fmt: skip


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
        f"{HANDOVER_DAYS} days after winning, nothing shows {in_words(key)}.",
        due_at,
        tuple(sorted(causes)),
    )


def _contradicted(since: _Since) -> Iterator[Risk]:
    for key, judgement in sorted(since.judged.items()):
        said_at = [since.said_at.get(cause) for cause in judgement.causes]
        if judgement.status is Status.CONTRADICTED and said_at[0] is not None:
            yield Risk(
                Remorse.CONTRADICTED,
                f"Since winning, the last word on {in_words(key)} is against it.",
                said_at[0],
                judgement.causes,
            )


def _went_back(since: _Since) -> Iterator[Risk]:
    if not since.goings_back:
        return
    going = since.goings_back[-1]
    at = going.word.occurred_at
    heard = (judgement for judgement in since.judged.values() if judgement.rule in _HEARD)
    if any(since.said_at.get(cause, "") > at for each in heard for cause in each.causes):
        return
    yield Risk(
        Remorse.BUYER_WENT_BACK,
        f"After winning, the buyer went back to {in_words(going.gate)}.",
        at,
        (going.word.cause,),
    )


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


def _silence(valid_at: str, since: _Since) -> Iterator[Risk]:
    last = since.buyers[-1] if since.buyers else since.won
    silent_at = expiry(last["occurred_at"], timedelta(days=SILENCE_DAYS))
    if silent_at is not None and silent_at <= valid_at:
        what = "the deal was won on " if last is since.won else ""
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
