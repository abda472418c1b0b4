"""The agenda of a debrief: what to ask about a deal, in gate order, and what was said last.

Law: an agenda asks for benchmarks - what the buyer did or said - and never for a feeling. Which
criteria it asks about, `projections.fold.asks` says; it looks one gate beyond the one claimed or
stood at, so that a debrief also prepares the next step. Each question says who must say it, who of
the buyer could, and the last word on it; a question that was asked before without an answer says
how often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from ledger.domain.events import Event, EvidenceRecorded, cause_of
from ledger.domain.history import ORDER, effective
from projections.book import Book
from projections.explain import criterion_sentence, opened
from projections.fold.asks import Question, look_ahead, questions_of
from projections.fold.criterion import Stakeholder
from projections.fold.gates import Qualification
from projections.fold.rulebook import Rulebook
from projections.qualified import BookDeal
from projections.reporting import own_amount

MEETING_KINDS = frozenset({"meeting", "call"})
"""The kinds of source in which somebody met the buyer."""


class Debrief(NamedTuple):
    """A debrief that was held.

    Args:
        at: when, valid time.
        reviewer: who asked.
        meetings_before: how many meetings there had been, where it says so.
        unanswered: the criteria on which there was no answer.
        cause: the position of its event.
    """

    at: str
    reviewer: str
    meetings_before: int | None
    unanswered: frozenset[str]
    cause: int


def debriefs_of(events: Iterable[Event]) -> list[Debrief]:
    """The debriefs of a deal, in the fold's order.

    Args:
        events: its events in the fold's order, as corrected; see `effective`.
    """
    return [
        Debrief(
            event["occurred_at"],
            event["payload"]["reviewer"],
            event["payload"].get("meetings_before"),
            frozenset(
                answer["criterion"]
                for answer in event["payload"].get("answers", ())
                if answer["answer"] == "no_answer"
            ),
            cause_of(event),
        )
        for event in events
        if event["type"] == "debrief-held"
    ]


def meetings_of(events: Iterable[Event], before: str) -> list[int]:
    """The meetings and calls that evidence tells of, each once, by a position that tells of it.

    Args:
        events: a deal's events in the fold's order, as corrected.
        before: only those that took place before this instant.
    """
    met: dict[tuple[str, str], int] = {}
    for event in events:
        if event["type"] == EvidenceRecorded.type and event["occurred_at"] < before:
            kind = event["payload"]["source_kind"]
            if kind in MEETING_KINDS:
                met.setdefault((event["occurred_at"], kind), cause_of(event))
    return list(met.values())


def agenda(book: Book, deal_id: str, within_days: int = 14) -> dict[str, Any]:
    """What to ask in a debrief of a deal.

    Args:
        book: the book at the basis.
        deal_id: the deal's own id.
        within_days: what holds and will lapse within so many days after `valid_at` is asked too.

    Returns:
        JSON: `basis`, `deal`, where it stands beside what is claimed, how many meetings and
        debriefs there were, and `questions` in gate order.

    Raises:
        NotFound: `unknown-deal`.
        InvalidInput: `invalid-days`.
    """
    until = look_ahead(book.valid_at, within_days)
    deal = book.deal(deal_id)
    found = deal.qualification
    events = effective(book.events(deal_id), book.valid_at)
    account = deal.claimed.account or ""
    of_account = effective(deal.judge.account_evidence.get(account, ()), book.valid_at)
    held = debriefs_of(events)
    asked = list(questions_of(found, deal.claimed.gate, until, beyond=1))
    words = _last_words([*events, *of_account])
    facts = [_Facts(each, words.get(each.state.key), held) for each in asked]
    causes = book.causes({cause for each in facts for cause in each.causes})
    meetings = meetings_of(events, book.valid_at)
    return {
        "basis": book.basis.as_dict(),
        "deal": deal_id,
        **_standing(deal, found),
        "looks_ahead_until": until,
        "meetings": len(meetings),
        "debriefs": len(held),
        "last_debrief_at": held[-1].at if held else None,
        "questions": [] if found.rulebook is None else [
            _question(each, found, found.rulebook, causes) for each in facts
        ],
    }  # fmt: skip


def _standing(deal: BookDeal, found: Qualification) -> dict[str, Any]:
    claimed = deal.claimed
    return {
        "name": claimed.name,
        "owner": claimed.owner,
        "outcome": claimed.outcome,
        **own_amount(claimed.amount),
        "playbook": None if found.rulebook is None else found.rulebook.label,
        "claimed_stage": claimed.stage,
        "claimed_gate": claimed.gate,
        "claimed_category": str(claimed.category),
        "stands_at": found.stands_at,
        "stands_since": found.stands_since,
        "evidenced_category": str(deal.verdict.category),
    }


def _last_words(events: Iterable[Event]) -> dict[str, Event]:
    """Criterion -> what was said of it last, for it or against it."""
    words: dict[str, Event] = {}
    for event in sorted(events, key=ORDER):
        if event["type"] == EvidenceRecorded.type:
            words[event["payload"]["criterion"]] = event
    return words


class _Facts(NamedTuple):
    """A question with what is known around it."""

    question: Question
    word: Event | None
    held: Sequence[Debrief]

    @property
    def unanswered(self) -> list[Debrief]:
        key = self.question.state.key
        return [debrief for debrief in self.held if key in debrief.unanswered]

    @property
    def causes(self) -> tuple[int, ...]:
        causes = {*self.question.state.judgement.causes}
        causes.update(debrief.cause for debrief in self.unanswered)
        if self.word is not None:
            causes.add(cause_of(self.word))
        return tuple(sorted(causes))


def _question(
    facts: _Facts, deal: Qualification, rulebook: Rulebook, causes: dict[int, Event]
) -> dict[str, Any]:
    why, gate, criterion, state = facts.question
    unanswered = facts.unanswered
    role = criterion.said_by_role
    return {
        "gate": gate.key,
        "criterion": criterion.key,
        "question": criterion.question,
        "why": str(why),
        "status": str(state.status),
        "rule": str(state.judgement.rule),
        "reason": criterion_sentence(state, rulebook),
        "since": state.since,
        "lapses_at": state.judgement.lapses_at,
        "mandatory": criterion.mandatory,
        "layer": criterion.layer,
        "said_by_role": role,
        "can_say_it": [] if role is None else _who_can(role, deal.stakeholders.values()),
        "source_kinds": sorted(rulebook.criteria[criterion.key].kinds),
        "last_word": None if facts.word is None else _word(facts.word, deal),
        "no_answer": {
            "times": len(unanswered),
            "last_at": unanswered[-1].at if unanswered else None,
        },
        "because": opened(facts.causes, causes),
    }


def _who_can(role: str, stakeholders: Iterable[Stakeholder]) -> list[dict[str, Any]]:
    return [
        {"stakeholder": each.stakeholder_id, "name": each.name}
        for each in sorted(stakeholders, key=attrgetter("stakeholder_id"))
        if each.role == role and each.here
    ]


def _word(event: Event, deal: Qualification) -> dict[str, Any]:
    payload = event["payload"]
    speaker = deal.stakeholders.get(payload.get("said_by", ""))
    return {
        "at": event["occurred_at"],
        "stance": payload["stance"],
        "source_kind": payload["source_kind"],
        "said_by": payload.get("said_by"),
        "name": None if speaker is None else speaker.name,
        "quote": payload.get("quote"),
        "position": cause_of(event),
    }
