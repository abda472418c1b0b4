"""Whether a principal may give a command: the policy held against the stream that it is for.

Law: nobody learns more by writing than by reading. A deal or an account out of scope is refused in
exactly the words in which one is that does not exist, and an event out of scope likewise. Whoever a
command names as acting - who reviews, assesses, adjusts or calls - is the one who gives it. A
command is judged by who owns the deal and who reports to whom now, on exactly the version of the
stream on which it is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial, reduce
from typing import NamedTuple

from api.access import policy
from api.access.policy import Reach
from api.access.principals import Principal
from ledger.domain import events as ev
from ledger.domain.command import Command
from ledger.domain.deal import DealState, evolve
from ledger.domain.errors import Forbidden, InvalidInput, Refused
from ledger.domain.events import (
    Event,
    EventCorrected,
    EventPayload,
    EventRetracted,
    parse_payload,
    stream_category,
    stream_id,
)
from ledger.domain.history import ACTS, effective
from ledger.domain.streams import decide
from ledger.domain.times import END_OF_TIME, Instant, format_instant
from ledger.service import Guard
from ledger.store.ledger import Ledger
from projections.scope import Scope

_ACTING = {
    ev.DebriefHeld.type: "reviewer",
    ev.PostMortemRecorded.type: "reviewer",
    ev.ForecastAdjusted.type: "adjuster",
    ev.PersonAssessed.type: "assessor",
    ev.ForecastCalled.type: "person",
}
"""Event type -> the field that names who acts."""


class Now(NamedTuple):
    """What a guard asks of the present.

    Args:
        scope: whose deals the writer reads now.
        accounts: the accounts of the deals in scope now; None where the scope has no limits.
    """

    scope: Callable[[], Scope]
    accounts: Callable[[], frozenset[str] | None]


class Writer(NamedTuple):
    """Somebody at a door who gives commands.

    Args:
        ledger: where they are recorded.
        principal: who it is.
        guard: whether they may.
    """

    ledger: Ledger
    principal: Principal
    guard: Guard

    @classmethod
    def of(cls, ledger: Ledger, principal: Principal, now: Now) -> Writer:
        """A principal at a door."""
        return cls(ledger, principal, partial(check_command, principal, now))

    def actor(self, said: str | None) -> str:
        """The actor of what is recorded: the person, whatever a request says.

        Args:
            said: who the request says asks.

        Raises:
            InvalidInput: `invalid-actor`, where nobody is told from anybody else and none is said.
            Forbidden: `forbidden`, where somebody else is said.
        """
        if not self.principal.is_known:
            if said is None:
                raise InvalidInput("invalid-actor", "say who asks", where="actor")
            return said
        if said not in {None, self.principal.person}:
            raise policy.forbidden(
                f"you are {self.principal.person}, and record as nobody else", where="actor"
            )
        return self.principal.person


def unknown_event(target: object) -> Refused:
    """The refusal to act on an event that is not there."""
    return Refused(
        "unknown-event",
        f"there is no event {target}",
        where="target",
        hint="Deal.timeline lists a deal's events with their ids",
    )


def check_command(
    principal: Principal, now: Now, events: Sequence[Event], command: Command
) -> None:
    """Refuse a command that a principal may not give.

    Args:
        principal: who gives it.
        now: what is in their scope.
        events: all events of its stream.
        command: what is asked for.

    Raises:
        Forbidden: `forbidden`.
        Refused: as for what does not exist.
    """
    if not principal.is_known:
        return
    policy.check(principal, policy.Operation.WRITE)
    if isinstance(command.payload, EventRetracted | EventCorrected):
        _check_act(principal, now, events, command)
        return
    policy.reach(principal, command.payload.type)
    if not _may_write_on(principal, now, events, command):
        decide((), command)  # refuses as for what does not exist
        decide(events, command)  # what is there cannot be opened, whosever it is
        raise policy.forbidden("that is not yours")
    _check_kind(principal, now, events, command)


def _check_act(principal: Principal, now: Now, events: Sequence[Event], command: Command) -> None:
    """A correction or retraction: judged as what it acts on, and as what is to stand instead."""
    act = command.payload
    assert isinstance(act, EventRetracted | EventCorrected)  # noqa: S101 - the caller looked
    target = _standing(events, str(act.target))
    if target is None or not _may_write_on(principal, now, events, command):
        raise unknown_event(act.target)
    if target["type"] in ACTS:
        return  # the domain says why not
    at = (isinstance(act, EventCorrected) and act.occurred_at) or datetime.fromisoformat(
        target["occurred_at"]
    )
    payload = parse_payload(target["type"], target["payload"])
    in_its_place = command._replace(payload=payload, occurred_at=at)
    if not _is_seen(now, in_its_place):
        raise unknown_event(act.target)
    if policy.acts_only_on_their_own(principal) and target["actor"] != principal.person:
        raise policy.forbidden("you correct and retract only what you recorded", where="target")
    others = [event for event in events if event["event_id"] != str(act.target)]
    _check_kind(principal, now, others, in_its_place)
    if isinstance(act, EventRetracted) and isinstance(payload, ev.DealOpened):
        policy.reach(principal, ev.DealRemoved.type)
    if isinstance(act, EventCorrected) and act.payload is not None:
        corrected = parse_payload(target["type"], act.payload)
        _check_kind(principal, now, others, in_its_place._replace(payload=corrected))


def _standing(events: Sequence[Event], event_id: str) -> Event | None:
    """An event as it stands now; as it was recorded where it was retracted."""
    standing = effective(events, format_instant(END_OF_TIME))
    return next((each for each in (*standing, *events) if each["event_id"] == event_id), None)


# --- whose it is --------------------------------------------------------------------------------


def _may_write_on(
    principal: Principal, now: Now, events: Sequence[Event], command: Command
) -> bool:
    """Whether a deal or account is one that the principal may write on, if it is there."""
    category, its_id = stream_category(command.stream), stream_id(command.stream)
    if not events or category not in {"deal", "account"} or not now.scope().is_limited:
        return True
    if category == "deal":
        return now.scope().holds(_owner_at(events, command.now))
    return events[0]["actor"] == principal.person or its_id in (now.accounts() or ())


def _is_seen(now: Now, command: Command) -> bool:
    """Whether what is told of a person is in scope."""
    payload, scope = command.payload, now.scope()
    if isinstance(payload, ev.PersonAssessed):
        return scope.tells_assessments_of(stream_id(command.stream))
    if isinstance(payload, ev.ForecastCalled | ev.ForecastAdjusted | ev.QuotaSet):
        return scope.holds(payload.person)
    return True


def _owner_at(events: Sequence[Event], instant: Instant) -> str | None:
    """Who owns the deal of some events at an instant, as far as is known now."""
    spelt = format_instant(instant)
    return reduce(evolve, effective(events, spelt), DealState()).owner_at(spelt)


# --- what is asked for --------------------------------------------------------------------------


def _check_kind(principal: Principal, now: Now, events: Sequence[Event], command: Command) -> None:
    """Refuse what a command names and is not the principal's to name."""
    payload = command.payload
    reach = policy.reach(principal, payload.type)
    if reach is Reach.ALL:
        return
    acting = _ACTING.get(payload.type)
    if acting is not None and getattr(payload, acting) != principal.person:
        raise policy.forbidden(
            f"the {acting} is the one who asks: {principal.person}",
            where=f"{payload.type}.{acting}",
        )
    scope = now.scope()
    match payload:
        case ev.DealOpened() if not scope.holds(payload.owner):
            raise _not_theirs(reach, payload)
        case ev.DealRevised() if "owner" in payload.model_fields_set:
            changes = payload.owner != _owner_at(events, command.occurred_at)
            if changes and (reach is Reach.OWN or not scope.holds(payload.owner)):
                raise _not_theirs(reach, payload)
        case ev.ForecastAdjusted():
            _check_below(principal, scope, payload.person, f"{payload.type}.person")
        case ev.PersonAssessed():
            _check_below(principal, scope, stream_id(command.stream), "person")
        case _:
            pass


def _not_theirs(reach: Reach, payload: EventPayload) -> Forbidden:
    whose = "you; a manager gives deals away" if reach is Reach.OWN else "you or one of your team"
    return policy.forbidden(f"the owner must be {whose}", where=f"{payload.type}.owner")


def _check_below(principal: Principal, scope: Scope, person: str, where: str) -> None:
    if not scope.holds(person) or person == principal.person:
        raise policy.forbidden("only for people who report to you", where=where)
