"""What a stream's events amount to: order, retractions, corrections.

Law: a fold takes the visible events in the order `(occurred_at, known_at, position)`, those that
had happened by `valid_at`. A correction or retraction acts on the knowledge axis alone: it is in
force as soon as it is visible, whenever it `occurred`; from then on its target is as corrected, or
as if it had never been. Acts can themselves be retracted, which undoes them. Among several
corrections of one event the last one known wins, payload and `occurred_at` each.

An event under a correction keeps its place (`position`, `known_at`) and names the act that made it
what it is (`corrected_by`: the one that gave its payload, else the one that moved it), so that an
answer can point at the true cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from ledger.domain.errors import InvalidInput, Refused
from ledger.domain.events import (
    TYPES,
    Event,
    EventCorrected,
    EventPayload,
    EventRetracted,
    parse_payload,
    upcast,
)
from ledger.domain.times import Instant, format_instant

ACTS = frozenset({EventRetracted.type, EventCorrected.type})


ORDER = itemgetter("occurred_at", "known_at", "position")
"""The order in which a fold takes events."""


def effective(events: Iterable[Event], valid_at: str) -> list[Event]:
    """The events of one stream that a fold takes, in its order, each as corrected.

    Args:
        events: the stream's events that are visible to the basis, in any order.
        valid_at: valid time, in the one spelling.
    """
    events = list(events)
    acts = [event for event in events if event["type"] in ACTS]
    if acts:
        events = _acted_on(events, acts)
    counted = [event for event in events if event["occurred_at"] <= valid_at]
    if len(counted) > 1:
        counted.sort(key=ORDER)
    return counted


def acts_in_force(acts: Iterable[Event]) -> list[Event]:
    """The acts that no later act undoes, in the order in which they became known."""
    undone: set[str] = set()
    in_force: list[Event] = []
    for act in sorted(acts, key=lambda act: (act["known_at"], act["position"]), reverse=True):
        if act["event_id"] in undone:
            continue
        if act["type"] == EventRetracted.type:
            undone.add(act["payload"]["target"])
        in_force.append(act)
    in_force.reverse()
    return in_force


def _acted_on(events: list[Event], acts: list[Event]) -> list[Event]:
    by_id = {event["event_id"]: event for event in events if event["type"] not in ACTS}
    for act in acts_in_force(acts):
        target = by_id.get(act["payload"]["target"])
        if target is None:
            continue
        if act["type"] == EventRetracted.type:
            del by_id[target["event_id"]]
        else:
            by_id[target["event_id"]] = _corrected(target, act)
    return list(by_id.values())


def _corrected(event: Event, act: Event) -> Event:
    change = act["payload"]
    corrected = event.copy()
    if "payload" in change:
        version = change.get("payload_version", 1)
        corrected["payload"] = upcast(event["type"], version, change["payload"])
    if "payload" in change or "corrected_by" not in event:
        corrected["corrected_by"] = act["position"]
    if "occurred_at" in change:
        corrected["occurred_at"] = change["occurred_at"]
    return corrected


def check_act(
    events: Sequence[Event], act: EventRetracted | EventCorrected, now: Instant
) -> EventPayload:
    """Decide on a retraction or correction; give it back with its payload in canonical form.

    Args:
        events: all events of the stream.
        act: what is asked for.
        now: knowledge time of the act.

    Raises:
        Refused: `unknown-event`, `already-retracted`, `cannot-correct-an-act`.
        InvalidInput: the corrected payload or `occurred_at` makes no sense for the target's type.
    """
    target_id = str(act.target)
    target = next((event for event in events if event["event_id"] == target_id), None)
    if target is None:
        raise Refused(
            "unknown-event",
            f"there is no event {target_id} in this stream",
            where=f"{act.type}.target",
            hint="qledger timeline lists the events with their ids",
        )
    in_force = acts_in_force(event for event in events if event["type"] in ACTS)
    if any(
        each["type"] == EventRetracted.type and each["payload"]["target"] == target_id
        for each in in_force
    ):
        raise Refused("already-retracted", f"event {target_id} is already retracted")
    if isinstance(act, EventRetracted):
        return act
    if target["type"] in ACTS:
        raise Refused(
            "cannot-correct-an-act",
            "a correction or retraction cannot be corrected",
            hint="retract it, then correct the event it named",
        )
    return _checked_correction(target, act, now)


def _checked_correction(target: Event, act: EventCorrected, now: Instant) -> EventCorrected:
    announceable = TYPES[target["type"]].announceable
    if act.occurred_at is not None and not announceable:
        known_at = target["known_at"]
        if format_instant(act.occurred_at) > min(known_at, format_instant(now)):
            raise InvalidInput(
                "occurred-after-known",
                f"the corrected occurred_at lies after {known_at}, when the event became known",
                where=f"{act.type}.occurred_at",
            )
    return in_canonical_form(target, act)


def in_canonical_form(target: Event, act: EventCorrected) -> EventCorrected:
    """A correction with its payload validated and spelt as its target's type spells it.

    Raises:
        InvalidInput: see `parse_payload`.
    """
    if act.payload is None:
        return act
    payload = parse_payload(target["type"], act.payload)
    shape = {"payload": payload.to_json(), "payload_version": payload.schema_version}
    return act.model_copy(update=shape)
