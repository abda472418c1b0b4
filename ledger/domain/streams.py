"""Deciding on any stream: given its events, when a command, then these events.

Law: each kind of stream has one decider: `initial`, `evolve(state, event)` and `decide(state,
command)`. Corrections and retractions are decided alike for all. The state is the fold of what is
visible now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ledger.domain import deal
from ledger.domain import events as ev
from ledger.domain.command import Command, Playbooks, check_times
from ledger.domain.errors import InvalidInput, Refused
from ledger.domain.events import (
    CATALOGUE,
    Event,
    EventCorrected,
    EventPayload,
    EventRetracted,
    stream_category,
    stream_id,
)
from ledger.domain.history import check_act, effective
from ledger.domain.playbook import Playbook
from ledger.domain.times import format_instant


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
        InvalidInput: `wrong-stream`, `occurred-after-known`, or a rule of the stream's kind.
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
    check_times(command)
    if isinstance(payload, EventRetracted | EventCorrected):
        return (check_act(events, payload, command.now),)
    decider = DECIDERS[category]
    state = decider.initial
    for event in effective(events, format_instant(max(command.now, command.occurred_at))):
        state = decider.evolve(state, event)
    return decider.decide(state, command)


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
    """Seen types, versions published, whether it has left."""

    seen: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    left: bool = False


def _evolve_entity(state: _Entity, event: Event) -> _Entity:
    kind = event["type"]
    state = state._replace(seen=state.seen | {kind})
    if kind == ev.PlaybookPublished.type:
        version = event["payload"]["playbook"]["version"]
        return state._replace(versions=state.versions | {version})
    if kind in {ev.PersonLeft.type, ev.PersonJoined.type}:
        return state._replace(left=kind == ev.PersonLeft.type)
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
        if criterion is None:
            raise InvalidInput(
                "unknown-criterion",
                f"playbook {playbook.key} {playbook.version} has no criterion "
                f"{payload.criterion!r}",
            )
        if criterion.layer != "organization":
            raise InvalidInput(
                "wrong-layer",
                f"{payload.criterion!r} is of the {criterion.layer} layer",
                hint="record it on the deal",
            )
    return (payload,)


def _decide_person(state: _Entity, command: Command) -> tuple[EventPayload, ...]:
    payload = command.payload
    here = ev.PersonJoined.type in state.seen and not state.left
    if isinstance(payload, ev.PersonJoined):
        if here:
            raise Refused("person-already-joined", "the person is already here")
    elif not here:
        raise Refused("unknown-person", "no such person is here", hint="record person-joined first")
    if getattr(payload, "manager", None) == stream_id(command.stream):
        raise InvalidInput("own-manager", "nobody reports to themselves", where="manager")
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
        if payload.playbook.version in state.versions:
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
