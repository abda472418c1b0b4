"""The course of a deal or a person: what makes no sense after what stands before it.

Law: a command, a correction and a retraction are judged alike, by the course that they lead to.
Whatever brings a fault that was not there is refused with the fault's own code: a close of a closed
deal, a reopening of an open one, an outcome before the opening, somebody who comes twice or leaves
without being there, evidence said by somebody who was never named. An event counts where it stands
in the fold's order, so what is dated back is judged by its neighbours on both sides.

History that was imported is not decided: its faults stay, and hinder no act that adds none.

A deal without an opening is in no answer, and nothing of it stands before its opening. So the
opening can be retracted while other events stand: that is how one says that the deal never was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ledger.domain import events as ev
from ledger.domain.errors import Refused
from ledger.domain.events import Event

DRAFT_ID = ""
"""Stands for the id of an event that is about to be recorded."""


class Fault(NamedTuple):
    """An event that makes no sense where it stands.

    Args:
        event_id: its id.
        why: the refusal of what brings it there.
        of: whom at the buyer it names, where the fault is about them.
    """

    event_id: str
    why: Refused
    of: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the same fault before and after an act."""
        return self.event_id, self.why.code, self.of


def refuse_new_faults(category: str, before: Sequence[Event], after: Sequence[Event]) -> None:
    """Refuse what brings a fault into the course of a stream.

    Args:
        category: the kind of stream.
        before: its events in the fold's order, as corrected, without what is asked for.
        after: the same with it.

    Raises:
        Refused: `deal-already-closed`, `deal-not-closed`, `before-opening`, `stakeholder-exists`,
            `stakeholder-left-already`, `unknown-stakeholder`; `person-already-joined`,
            `unknown-person`. `where` names the event at fault if it is another one than what is
            asked for.
    """
    find = _FINDERS.get(category)
    found = [] if find is None else list(find(after))
    if find is None or not found:
        return
    known = {fault.identity for fault in find(before)}
    for fault in found:
        if fault.identity not in known:
            raise fault.why


def _faults_of_deal(events: Sequence[Event]) -> Iterable[Fault]:
    yield from _faults_of_outcomes(events)
    yield from _faults_of_stakeholders(events)


def _faults_of_outcomes(events: Sequence[Event]) -> Iterable[Fault]:
    opened = not any(event["type"] == ev.DealOpened.type for event in events)
    outcome: str | None = None
    for event in events:
        kind, at, where = event["type"], event["event_id"], _where(event)
        if kind == ev.DealOpened.type:
            opened = True
        elif kind not in {ev.DealClosed.type, ev.DealReopened.type}:
            continue
        elif not opened:
            yield Fault(
                at,
                Refused(
                    "before-opening",
                    f"{kind} would stand before the deal is opened",
                    where=where,
                    hint="correct the opening first if the deal was opened earlier",
                ),
            )
        elif kind == ev.DealClosed.type and outcome is not None:
            yield Fault(
                at,
                Refused(
                    "deal-already-closed",
                    f"the deal is already closed ({outcome})",
                    where=where,
                    hint="reopen it first, or correct the event that closed it",
                ),
            )
        elif kind == ev.DealReopened.type and outcome is None:
            yield Fault(at, Refused("deal-not-closed", "the deal is open", where=where))
        if kind != ev.DealOpened.type:
            outcome = event["payload"].get("outcome")


def _faults_of_stakeholders(events: Sequence[Event]) -> Iterable[Fault]:
    named = {
        event["payload"]["stakeholder"]
        for event in events
        if event["type"] == ev.StakeholderAdded.type
    }
    here: dict[str, bool] = {}
    for event in events:
        kind, at, where = event["type"], event["event_id"], _where(event)
        who = event["payload"].get("stakeholder", "")
        if kind == ev.StakeholderAdded.type:
            if here.get(who):
                yield Fault(
                    at,
                    Refused("stakeholder-exists", f"{who!r} is already a stakeholder", where=where),
                    who,
                )
            here[who] = True
        elif kind == ev.StakeholderLeft.type:
            if who not in here:
                yield Fault(at, unknown_stakeholder(who, where or f"{kind}.stakeholder"), who)
            elif not here[who]:
                yield Fault(
                    at,
                    Refused("stakeholder-left-already", f"{who!r} has already left", where=where),
                    who,
                )
            here[who] = False
        elif kind == ev.EvidenceRecorded.type:
            speaker = event["payload"].get("said_by")
            if speaker is not None and speaker not in named:
                yield Fault(at, unknown_stakeholder(speaker, where or f"{kind}.said_by"), speaker)


def unknown_stakeholder(stakeholder: str, where: str) -> Refused:
    """The refusal of what speaks of somebody at the buyer who was never named."""
    return Refused(
        "unknown-stakeholder",
        f"{stakeholder!r} is not a stakeholder of this deal",
        where=where,
        hint="record stakeholder-added first",
    )


def _faults_of_person(events: Sequence[Event]) -> Iterable[Fault]:
    here = False
    for event in events:
        kind, at, where = event["type"], event["event_id"], _where(event)
        if kind == ev.PersonJoined.type:
            if here:
                yield Fault(
                    at,
                    Refused("person-already-joined", "the person is already here", where=where),
                )
            here = True
        elif kind == ev.PersonLeft.type:
            if not here:
                yield Fault(
                    at,
                    Refused(
                        "unknown-person",
                        "no such person is here",
                        where=where,
                        hint="record person-joined first",
                    ),
                )
            here = False


_FINDERS: Mapping[str, Callable[[Sequence[Event]], Iterable[Fault]]] = {
    "deal": _faults_of_deal,
    "person": _faults_of_person,
}


def _where(event: Event) -> str:
    if event["event_id"] == DRAFT_ID:
        return ""
    return f"position {event['position']}, {event['type']} of {event['occurred_at']}"


# --- waived time --------------------------------------------------------------------------------

Spans: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Criterion -> the spans of valid time in which it is waived, [start, end)."""


def waived(events: Iterable[Event], so_far: Spans | None = None) -> Spans:
    """When each criterion of a deal is waived; a newer waiver takes the place of the one before.

    Args:
        events: the deal's events in the fold's order, as corrected.
        so_far: what the events before these lead to.
    """
    spans = dict(so_far or {})
    for event in events:
        if event["type"] not in {ev.CriterionWaived.type, ev.WaiverRevoked.type}:
            continue
        at, criterion = event["occurred_at"], event["payload"]["criterion"]
        own = [(start, min(end, at)) for start, end in spans.get(criterion, ())]
        if event["type"] == ev.CriterionWaived.type:
            own.append((at, event["payload"]["ends_at"]))
        spans[criterion] = own
    return spans


def starts_of_added_waivers(before: Spans, after: Spans) -> set[str]:
    """The instants from which on a criterion is waived while it was not before; none without one.

    Args:
        before: when each criterion was waived.
        after: when it is to be.
    """
    starts: set[str] = set()
    for criterion, spans in after.items():
        old = sorted(span for span in before.get(criterion, ()) if span[0] < span[1])
        for start, end in spans:
            covered = start
            for from_, until in old:
                if covered < min(from_, end):
                    starts.add(covered)
                covered = max(covered, until)
            if covered < end:
                starts.add(covered)
    return starts
