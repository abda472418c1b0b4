"""What managers found when they qualified their own people, and whether it still holds.

Law: of each aspect the assessment that happened last counts. Like a buyer's word it ages, each
aspect at its own pace, and at the instant at which its age reaches that freshness it is `stale`:
attitudes move with a lost deal or a new plan, what someone knows does not. An aspect that nobody
ever assessed is `none`. Someone who left is not asked about any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from ledger.domain.events import Event, PersonAssessed, cause_of
from ledger.domain.history import effective
from projections.fold.rulebook import expiry

FRESH_FOR_DAYS = {
    "motivation": 30,  # turns with one pay day, one lost deal, one quarrel
    "confidence": 30,  # in the solution: falls with the first customer who complains
    "urgency": 30,  # rises towards the end of a quarter and is gone the week after
    "buy_in": 60,  # policies and mission are argued over by the quarter, not by the week
    "knowledge": 180,  # outdated by a release or two a year
    "skills_applied": 90,  # a habit takes a quarter to form, and as long to fade
}
"""Aspect -> for how many days an assessment of it counts, in the order in which people read them.
Attitudes move fastest; what somebody has learnt stays longest."""


class AssessmentStatus(StrEnum):
    """Whether an assessment may still be relied upon."""

    FRESH = "fresh"
    STALE = "stale"
    NONE = "none"


class Assessment(NamedTuple):
    """One assessment.

    Args:
        at: when it was made, valid time.
        score: 1 (low) to 5 (high).
        assessor: whose judgement it is.
        note: what else they said.
        cause: the position of its event.
    """

    at: str
    score: int
    assessor: str
    note: str | None
    cause: int


class AspectState(NamedTuple):
    """An aspect of a person at a basis.

    Args:
        aspect: a key of `FRESH_FOR_DAYS`.
        status: whether the last assessment still counts.
        since: from when that has been so; None where it was never assessed.
        lapses_at: when a fresh one ceases to count if nothing happens; None otherwise.
        history: all assessments of it, the last one last.
    """

    aspect: str
    status: AssessmentStatus
    since: str | None
    lapses_at: str | None
    history: tuple[Assessment, ...]

    @property
    def last(self) -> Assessment | None:
        """The assessment that counts, fresh or not."""
        return self.history[-1] if self.history else None


def assessments_at(events: Iterable[Event], valid_at: str) -> tuple[AspectState, ...]:
    """Fold one person's assessments.

    Args:
        events: the visible events of the person's stream.
        valid_at: valid time, in the one spelling.

    Returns:
        Every aspect, in the order of `FRESH_FOR_DAYS`.
    """
    found: dict[str, list[Assessment]] = {aspect: [] for aspect in FRESH_FOR_DAYS}
    for event in effective(events, valid_at):
        if event["type"] == PersonAssessed.type:
            payload = event["payload"]
            found.setdefault(payload["aspect"], []).append(
                Assessment(
                    event["occurred_at"],
                    payload["score"],
                    payload["assessor"],
                    payload.get("note"),
                    cause_of(event),
                )
            )
    return tuple(
        _state(aspect, tuple(found[aspect]), days, valid_at)
        for aspect, days in FRESH_FOR_DAYS.items()
    )


def _state(aspect: str, history: tuple[Assessment, ...], days: int, valid_at: str) -> AspectState:
    if not history:
        return AspectState(aspect, AssessmentStatus.NONE, None, None, ())
    lapses_at = expiry(history[-1].at, timedelta(days=days))
    if lapses_at is None or valid_at < lapses_at:
        return AspectState(aspect, AssessmentStatus.FRESH, history[-1].at, lapses_at, history)
    return AspectState(aspect, AssessmentStatus.STALE, lapses_at, None, history)
