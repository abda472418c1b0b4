"""A deal opened up for a post-mortem: its timeline on both axes, and what came late.

Law: a piece of evidence - a word for or against a criterion, or the buyer's going back - came
*late* when it became known more than `LATE_AFTER_DAYS` days after it happened, or happened by the
decision and became known after it. What it would have changed is told at the instant at which it
happened (at the opening, where it is older), three times: as known then, had this one piece been
known too, and in hindsight, with everything that became known since. It would have changed
something where, known too, the deal had stood elsewhere or in another category.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import OPEN
from ledger.domain.events import TYPES, Event, cause_of
from ledger.domain.history import ACTS, ORDER, effective
from projections.explain import Events, opened
from projections.fold.known_then import Known, KnownThen, Moment, Sources, moment_at
from projections.fold.statistics import days, duration
from projections.qualified import BookDeal
from projections.summary import summary
from projections.timeline import acts_on, event_facts, status_of

LATE_AFTER_DAYS = 2
_LATE_AFTER = timedelta(days=LATE_AFTER_DAYS)

_EVIDENCE = frozenset({"evidence-recorded", "buyer-regressed", "buyer-looped"})
_KINDS: Mapping[str, str] = {
    "deal-opened": "claim",
    "deal-revised": "claim",
    "stage-claimed": "claim",
    "category-claimed": "claim",
    "buyer-advanced": "claim",
    **dict.fromkeys(_EVIDENCE, "evidence"),
    "stakeholder-added": "stakeholder",
    "stakeholder-changed": "stakeholder",
    "stakeholder-left": "stakeholder",
    "criterion-waived": "waiver",
    "waiver-revoked": "waiver",
    "deal-closed": "decision",
    "deal-reopened": "decision",
    "deal-removed": "decision",
    "debrief-held": "review",
    "post-mortem-recorded": "review",
    **dict.fromkeys(ACTS, "correction"),
}


class Case(NamedTuple):
    """A deal opened up for a post-mortem.

    Args:
        deal: the deal at the basis.
        calendar: the fiscal calendar at the basis.
        known_then: folds it as it was known at any instant.
        moments: the deal at every moment at which what was known could change.
        decided_at: valid time of the decision; None while open.
        end: the decision, or valid time of the basis.
    """

    deal: BookDeal
    calendar: FiscalCalendar
    known_then: KnownThen
    moments: list[Moment]
    decided_at: str | None
    end: str

    @property
    def opened_at(self) -> str:
        """Valid time of the opening."""
        opened_at: str = self.deal.claimed.value("opened")
        return opened_at

    @property
    def events(self) -> Iterator[Event]:
        """The deal's events, the evidence on the accounts that it belonged to, and acts on it."""
        theirs = [event for each in self.known_then.account_events.values() for event in each]
        evidence = [event for event in theirs if event["type"] not in ACTS]
        return chain(self.deal.events, evidence, _acts_on(evidence, theirs))


def _acts_on(told: Iterable[Event], events: Iterable[Event]) -> list[Event]:
    """The acts on some events, the acts on those acts, and so on, in the order of the log."""
    targets = {event["event_id"] for event in told}
    found = []
    for event in sorted(events, key=itemgetter("position")):  # an act comes after what it is on
        if event["type"] in ACTS and event["payload"]["target"] in targets:
            targets.add(event["event_id"])
            found.append(event)
    return found


def case_of(
    deal: BookDeal, playbook_events: Sequence[Event], calendar: FiscalCalendar, known_at: str
) -> Case:
    """Open a deal up.

    Args:
        deal: the deal at the basis, with all its visible events.
        playbook_events: the visible events of all playbook streams.
        calendar: the fiscal calendar at the basis.
        known_at: knowledge time of the basis, in the one spelling.
    """
    judge = deal.judge
    known_then = KnownThen(
        Sources(deal.deal_id, deal.events, judge.account_evidence, playbook_events,
                judge.playbooks, judge.valid_at)
    )  # fmt: skip
    decided_at = None if deal.claimed.outcome == OPEN else deal.claimed.value("closed_at")
    moments = known_then.moments(max(judge.valid_at, known_at))
    return Case(deal, calendar, known_then, moments, decided_at, decided_at or judge.valid_at)


def late_entries(case: Case, events: Events) -> list[dict[str, Any]]:
    """The evidence that came late, in the order in which it happened, and what it changes.

    Args:
        case: the deal, opened up.
        events: by position.
    """
    streams = (case.deal.events, *case.known_then.account_events.values())
    valid_at = case.deal.judge.valid_at
    told = [event for stream in streams for event in effective(stream, valid_at)]
    late = [event for event in told if event["type"] in _EVIDENCE and _why_late(event, case)]
    late.sort(key=ORDER)
    return [_late_entry(event, case, events) for event in late]


def _why_late(event: Event, case: Case) -> list[str]:
    """Why an event came late: by which of the two rules; none when it did not."""
    why = []
    if duration(event["occurred_at"], event["known_at"]) > _LATE_AFTER:
        why.append("known_late")
    decided_at = case.decided_at
    if decided_at is not None and event["occurred_at"] <= decided_at < event["known_at"]:
        why.append("known_after_decision")
    return why


def _late_entry(event: Event, case: Case, events: Events) -> dict[str, Any]:
    at = max(event["occurred_at"], case.opened_at)
    acts = _acts_on([event], case.events)
    with_it = frozenset(each["position"] for each in (event, *acts))
    criterion = event["payload"].get("criterion")
    sides = {
        "as_known_then": moment_at(case.moments, at),
        "with_it": case.known_then.at(at, told_early=with_it),
        "in_hindsight": case.known_then.in_hindsight(at),
    }
    told = {side: _standing(known, criterion) for side, known in sides.items()}
    return {
        "occurred_at": event["occurred_at"],
        "known_at": event["known_at"],
        "days_late": days(duration(event["occurred_at"], event["known_at"])),
        "why": _why_late(event, case),
        "criterion": criterion,
        "what": summary(event),
        "compared_at": at,
        **told,
        "would_have_changed": _place(sides["as_known_then"]) != _place(sides["with_it"]),
        "because": opened((cause_of(event),), events),
    }


def _place(known: Known | None) -> tuple[str | None, str] | None:
    """Where a deal stands, and in which category."""
    return None if known is None else (known.standing.stands_at, known.verdict.category)


def _standing(known: Known | None, criterion: str | None) -> dict[str, Any] | None:
    if known is None:
        return None
    state = None if criterion is None else known.standing.criterion(criterion)
    return {
        "stands_at": known.standing.stands_at,
        "category": str(known.verdict.category),
        "criterion": None if state is None else str(state.status),
    }


def timeline_of(case: Case) -> list[dict[str, Any]]:
    """Claims and evidence on both time axes in one list, in the order in which they happened."""
    ordered = sorted(case.events, key=ORDER)
    acts = acts_on(ordered)
    return [_entry(event, acts, case) for event in ordered]


def _entry(event: Event, acts: Mapping[str, Event], case: Case) -> dict[str, Any]:
    facts = event_facts(event)
    what = facts.pop("summary")
    return {
        **facts,
        "stream": event["stream"],
        "kind": _KINDS[event["type"]],
        "what": what,
        "status": status_of(event, acts, case.deal.judge.valid_at),
        "late": not TYPES[event["type"]].announceable and bool(_why_late(event, case)),
    }
