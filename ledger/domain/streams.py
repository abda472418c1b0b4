"""Deciding on any stream: given its events, when a command, then these events.

Law: each kind of stream has one decider: `initial`, `evolve(state, event)` and `decide(state,
command)`. The state is the fold of what is visible now; of a playbook also what is announced, since
a version that was once published never changes.

A correction is decided as the command that it stands for: what the event is to say, and when, on
the state of the stream without it, by the one who corrects. A command, a correction and a
retraction alike may bring no new fault into the course of the stream (see `course`), and by a
retraction or correction nobody adds to what is waived of a deal who could not waive it themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, NamedTuple

from ledger.domain import deal
from ledger.domain import events as ev
from ledger.domain.command import Command, Playbooks, check_actor, check_times
from ledger.domain.course import DRAFT_ID, refuse_new_faults, starts_of_added_waivers, waived
from ledger.domain.errors import InvalidInput, Refused
from ledger.domain.events import (
    CATALOGUE,
    Event,
    EventCorrected,
    EventPayload,
    EventRetracted,
    parse_payload,
    stream_category,
    stream_id,
)
from ledger.domain.history import check_act, effective
from ledger.domain.playbook import Playbook
from ledger.domain.times import END_OF_TIME, format_instant


class Decider(NamedTuple):
    """The write side of one kind of stream."""

    initial: Any
    evolve: Callable[[Any, Event], Any]
    decide: Callable[[Any, Command], tuple[EventPayload, ...]]


def decide(events: Sequence[Event], command: Command) -> tuple[EventPayload, ...]:
    """The events that a command leads to in its stream.

    Args:
        events: all events of the stream.
        command: what is asked for.

    Raises:
        InvalidInput: `wrong-stream`, `invalid-actor`, `occurred-after-known`, or a rule of the
            stream's kind.
        Refused: a rule of the stream's kind.
    """
    payload = command.payload
    category = stream_category(command.stream)
    if type(payload) not in CATALOGUE[category]:
        raise InvalidInput(
            "wrong-stream",
            f"{payload.type} cannot stand in a {category} stream",
            where=command.stream,
        )
    check_actor(command)
    check_times(command)
    if isinstance(payload, EventRetracted | EventCorrected):
        decided = check_act(events, payload, command.now)
        if isinstance(decided, EventCorrected):
            _decide_correction(events, command, decided)
    else:
        (decided,) = _decided(events, command)
    _check_course(events, command, decided)
    return (decided,)


def _decided(events: Iterable[Event], command: Command) -> tuple[EventPayload, ...]:
    category = stream_category(command.stream)
    decider = DECIDERS[category]
    state = decider.initial
    until = END_OF_TIME if category == "playbook" else max(command.now, command.occurred_at)
    for event in effective(events, format_instant(until)):
        state = decider.evolve(state, event)
    return decider.decide(state, command)


def _decide_correction(events: Sequence[Event], command: Command, act: EventCorrected) -> None:
    """Decide on what the target of a correction is to say, as if it had not been recorded."""
    target = str(act.target)
    standing = next(event for event in _all(events) if event["event_id"] == target)
    told = standing["payload"] if act.payload is None else act.payload
    in_its_place = command._replace(
        payload=parse_payload(standing["type"], told),
        occurred_at=act.occurred_at or datetime.fromisoformat(standing["occurred_at"]),
        standing=standing,
    )
    _decided((event for event in events if event["event_id"] != target), in_its_place)


def _check_course(events: Sequence[Event], command: Command, decided: EventPayload) -> None:
    category = stream_category(command.stream)
    if category not in {"deal", "person"}:
        return
    before, after = _all(events), _all([*events, _draft(events, command, decided)])
    refuse_new_faults(category, before, after)
    if category == "deal" and isinstance(decided, EventRetracted | EventCorrected):
        state = reduce(deal.evolve, before, deal.DealState())
        for start in starts_of_added_waivers(state.waived, waived(after)):
            deal.refuse_waiver_by_owner(state, command.actor, start)


def _all(events: Iterable[Event]) -> list[Event]:
    return effective(events, format_instant(END_OF_TIME))


def _draft(events: Sequence[Event], command: Command, decided: EventPayload) -> Event:
    """The event that a command leads to, as if it had been recorded."""
    now = format_instant(command.now)
    return {
        "position": 1 + max((event["position"] for event in events), default=0),
        "stream": command.stream,
        "stream_version": len(events) + 1,
        "event_id": DRAFT_ID,
        "type": decided.type,
        "schema_version": decided.schema_version,
        "occurred_at": format_instant(command.occurred_at),
        "known_at": now,
        "recorded_at": now,
        "witnessed": True,
        "actor": command.actor,
        "source": {"system": ""},
        "payload": decided.to_json(),
    }


def playbooks_in_force(events: Iterable[Event], valid_at: str) -> Playbooks:
    """The playbooks in force: of each, the version published last.

    Args:
        events: the visible events of all playbook streams.
        valid_at: valid time, in the one spelling.
    """
    in_force: dict[str, Playbook] = {}
    for event in effective(events, valid_at):
        if event["type"] == ev.PlaybookPublished.type:
            playbook = Playbook.model_validate(event["payload"]["playbook"])
            in_force[playbook.key] = playbook
    return Playbooks(in_force)


# --- account, person, playbook: an entity that is opened once -----------------------------------


class _Entity(NamedTuple):
    """Seen types, versions published, and (from when on, whether it is there) in time's order."""

    seen: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    presence: tuple[tuple[str, bool], ...] = ()

    def is_gone_at(self, instant: str) -> bool:
        """Whether it had left by an instant in the one spelling."""
        here = next((here for since, here in reversed(self.presence) if since <= instant), True)
        return not here


def _evolve_entity(state: _Entity, event: Event) -> _Entity:
    kind = event["type"]
    state = state._replace(seen=state.seen | {kind})
    if kind == ev.PlaybookPublished.type:
        version = event["payload"]["playbook"]["version"]
        return state._replace(versions=state.versions | {version})
    if kind in {ev.PersonLeft.type, ev.PersonJoined.type}:
        turn = (event["occurred_at"], kind == ev.PersonJoined.type)
        return state._replace(presence=(*state.presence, turn))
    return state


def _decide_account(state: _Entity, command: Command) -> tuple[EventPayload, ...]:
    payload = command.payload
    opened = ev.AccountOpened.type in state.seen
    if isinstance(payload, ev.AccountOpened):
        if opened:
            raise Refused("account-already-opened", "the account is already there")
    elif not opened:
        raise Refused("unknown-account", "no such account", hint="record account-opened first")
    if isinstance(payload, ev.EvidenceRecorded):
        playbook = command.playbooks.of_deal(None)
        criterion = playbook.criteria.get(payload.criterion)
        if payload.criterion in command.kept_keys():
            return (payload,)
        if criterion is None:
            raise InvalidInput(
                "unknown-criterion",
                f"playbook {playbook.key} {playbook.version} has no criterion "
                f"{payload.criterion!r}",
                where=f"{payload.type}.criterion",
            )
        if criterion.layer != "organization":
            raise InvalidInput(
                "wrong-layer",
                f"{payload.criterion!r} is of the {criterion.layer} layer",
                where=f"{payload.type}.criterion",
                hint="record it on the deal",
            )
    return (payload,)


def _decide_person(state: _Entity, command: Command) -> tuple[EventPayload, ...]:
    payload = command.payload
    at = format_instant(command.occurred_at)
    joins = isinstance(payload, ev.PersonJoined)
    if not joins and (ev.PersonJoined.type not in state.seen or state.is_gone_at(at)):
        raise Refused("unknown-person", "no such person is here", hint="record person-joined first")
    if getattr(payload, "manager", None) == stream_id(command.stream):
        raise InvalidInput(
            "own-manager", "nobody reports to themselves", where=f"{payload.type}.manager"
        )
    if isinstance(payload, ev.PersonAssessed) and payload.assessor == stream_id(command.stream):
        raise Refused("assessor-is-person", "nobody assesses themselves")
    return (payload,)


def _decide_playbook(state: _Entity, command: Command) -> tuple[EventPayload, ...]:
    payload = command.payload
    if isinstance(payload, ev.PlaybookPublished):
        if payload.playbook.key != stream_id(command.stream):
            raise InvalidInput(
                "wrong-stream",
                f"playbook {payload.playbook.key!r} belongs in its own stream",
                where=command.stream,
            )
        changed = command.standing is not None and (
            payload.playbook.version == command.standing["payload"]["playbook"]["version"]
            and not command.keeps("playbook")
        )
        if changed or payload.playbook.version in state.versions:
            raise Refused(
                "version-exists",
                f"version {payload.playbook.version} is already published",
                hint="a published version never changes; give the new one a new version",
            )
    elif not state.versions:
        raise Refused("unknown-playbook", "no such playbook is published")
    return (payload,)


def _decide_period(state: _Entity, command: Command) -> tuple[EventPayload, ...]:
    payload = command.payload
    period = getattr(payload, "period", None)
    if period != stream_id(command.stream):
        raise InvalidInput("wrong-stream", f"{payload.type} is for {period}", where=command.stream)
    if isinstance(payload, ev.ForecastAdjusted):
        if payload.adjuster == payload.person:
            raise Refused("adjuster-is-caller", "nobody adjusts their own call")
        if payload.expires_at <= command.occurred_at:
            raise InvalidInput(
                "ends-before-it-starts",
                "the adjustment expires before it starts",
                where="forecast-adjusted.expires_at",
            )
    return (payload,)


def _decide_settings(state: _Entity, command: Command) -> tuple[EventPayload, ...]:
    if command.stream != ev.SETTINGS_STREAM:
        raise InvalidInput(
            "wrong-stream", f"settings stand in {ev.SETTINGS_STREAM}", where=command.stream
        )
    return (command.payload,)


DECIDERS: Mapping[str, Decider] = {
    "deal": Decider(deal.DealState(), deal.evolve, deal.decide),
    "account": Decider(_Entity(), _evolve_entity, _decide_account),
    "person": Decider(_Entity(), _evolve_entity, _decide_person),
    "playbook": Decider(_Entity(), _evolve_entity, _decide_playbook),
    "period": Decider(_Entity(), _evolve_entity, _decide_period),
    "settings": Decider(_Entity(), _evolve_entity, _decide_settings),
}
