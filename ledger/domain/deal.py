"""A deal: what is claimed of it, who is at the buyer, and what may be recorded next.

Law: `evolve` turns events in the fold's order into state and never refuses; `decide` looks at
state and a command and either gives the event to record or refuses with a code. What the CRM claims
is kept field by field as the event that answers for it: that is the receipt of every number made
from it. The last event in order wins, field by field.

A deal exists from its `deal-opened` on. Only `deal-closed` and `deal-reopened` change its outcome;
a stage that sounds closed is a claim, not an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from ledger.domain import events as ev
from ledger.domain.command import Command
from ledger.domain.errors import InvalidInput, Refused
from ledger.domain.events import Event, EventPayload
from ledger.domain.times import format_instant

OPEN = "open"

CLAIM_TYPES = frozenset(
    model.type
    for model in (
        ev.DealOpened,
        ev.DealRevised,
        ev.StageClaimed,
        ev.CategoryClaimed,
        ev.DealClosed,
        ev.DealReopened,
        ev.DealRemoved,
    )
)
"""The events that what is claimed of a deal depends on (with corrections and retractions)."""


Claims: TypeAlias = Mapping[str, Event]
"""Key -> the event that answers for it; the keys are in `_EVENT_OF` and `claim`."""

_KEY_OF_TYPE = {
    ev.StageClaimed.type: "stage",
    ev.CategoryClaimed.type: "category",
    ev.DealClosed.type: "outcome",
    ev.DealReopened.type: "outcome",
    ev.DealRemoved.type: "removed",
}

_KEY_OF_FIELD = {
    "gate": "stage",
    "probability": "stage",
    "closed_at": "outcome",
    "buyer_reason": "outcome",
    "seller_reason": "outcome",
}
"""Fields that are claimed together with another one."""

DIMENSION = "dimensions."
"""Before a dimension's own name, it makes its key."""


def claim(claims: dict[str, Event], event: Event) -> None:
    """Take one more event, in the fold's order, into what is claimed."""
    key = _KEY_OF_TYPE.get(event["type"])
    if key is not None:
        claims[key] = event
    elif event["type"] in _REVISIONS:
        for field, value in event["payload"].items():
            if field == "dimensions":
                _claim_dimensions(claims, value, event)
            else:
                claims[field] = event
        if event["type"] == ev.DealOpened.type:
            claims["opened"] = event


_REVISIONS = frozenset({ev.DealOpened.type, ev.DealRevised.type})


def _claim_dimensions(
    claims: dict[str, Event], dimensions: Mapping[str, str | None] | None, event: Event
) -> None:
    if dimensions is None:
        dimensions = {key.removeprefix(DIMENSION): None for key in claims if DIMENSION in key}
    for key, value in dimensions.items():
        claims.pop(DIMENSION + key, None)
        if value is not None:
            claims[DIMENSION + key] = event


def answering(claims: Claims, field: str) -> Event | None:
    """The event that answers for a claimed field; None where nothing was claimed."""
    return claims.get(_KEY_OF_FIELD.get(field, field))


def claimed(claims: Claims, field: str) -> Any:
    """A claimed value, as the JSON value that stands in the payload; None where there is none."""
    event = answering(claims, field)
    if event is None:
        return None
    if field in _TOLD_OTHERWISE:
        return _TOLD_OTHERWISE[field](event)
    return event["payload"].get(field)


_TOLD_OTHERWISE: Mapping[str, Callable[[Event], Any]] = {
    "outcome": lambda event: event["payload"].get("outcome", OPEN),
    "opened": lambda event: event["occurred_at"],
    "closed_at": lambda event: (
        event["occurred_at"] if event["type"] == ev.DealClosed.type else None
    ),
}
"""Fields whose value is not simply in the payload under their own name."""


def claimed_dimensions(claims: Claims) -> dict[str, str]:
    """The deal's own dimensions, merged key by key."""
    return {
        key.removeprefix(DIMENSION): event["payload"]["dimensions"][key.removeprefix(DIMENSION)]
        for key, event in sorted(claims.items())
        if key.startswith(DIMENSION)
    }


class DealState(NamedTuple):
    """What `decide` needs to know of a deal, as of now."""

    claims: Claims = {}
    stakeholders: Mapping[str, bool] = {}
    """Stakeholder -> whether still there."""
    waivers: Mapping[str, str] = {}
    """Criterion -> until when it is waived."""

    @property
    def owner(self) -> str | None:
        owner: str | None = claimed(self.claims, "owner")
        return owner

    @property
    def outcome(self) -> str:
        return claimed(self.claims, "outcome") or OPEN


def evolve(state: DealState, event: Event) -> DealState:
    """The deal after one more event in the fold's order."""
    payload = event["payload"]
    match event["type"]:
        case "stakeholder-added":
            present = {**state.stakeholders, payload["stakeholder"]: True}
            return state._replace(stakeholders=present)
        case "stakeholder-left":
            present = {**state.stakeholders, payload["stakeholder"]: False}
            return state._replace(stakeholders=present)
        case "criterion-waived":
            waivers = {**state.waivers, payload["criterion"]: payload["ends_at"]}
            return state._replace(waivers=waivers)
        case "waiver-revoked":
            waivers = {k: v for k, v in state.waivers.items() if k != payload["criterion"]}
            return state._replace(waivers=waivers)
        case _:
            claims = dict(state.claims)
            claim(claims, event)
            return state._replace(claims=claims)


def decide(state: DealState, command: Command) -> tuple[EventPayload, ...]:
    """The events that a command leads to.

    Raises:
        Refused: with a code of its own for each rule; the rules stand below, one function each.
        InvalidInput: a key that the deal's playbook does not have.
    """
    payload = command.payload
    if isinstance(payload, ev.DealOpened):
        if "opened" in state.claims:
            raise Refused("deal-already-opened", "the deal is already open")
        return (payload,)
    if "opened" not in state.claims:
        raise Refused(
            "unknown-deal", "no such deal has been opened", hint="record its deal-opened first"
        )
    if "removed" in state.claims:
        raise Refused("deal-removed", "the deal was removed; nothing can be added to it")
    rule = _RULES.get(type(payload))
    if rule is not None:
        rule(state, payload, command)
    return (payload,)


def _evidence(state: DealState, payload: ev.EvidenceRecorded, command: Command) -> None:
    _known_criterion(state, payload.criterion, command)
    if payload.said_by is not None and payload.said_by not in state.stakeholders:
        raise _unknown_stakeholder(payload.said_by, "said_by")


def _waiver(state: DealState, payload: ev.CriterionWaived, command: Command) -> None:
    _known_criterion(state, payload.criterion, command)
    if command.actor == state.owner:
        raise Refused(
            "waiver-by-owner",
            "the owner of a deal cannot waive its criteria",
            hint="ask the manager",
        )
    if payload.ends_at <= command.occurred_at:
        raise InvalidInput(
            "ends-before-it-starts",
            "the waiver ends before it starts",
            where="criterion-waived.ends_at",
        )


def _revoke(state: DealState, payload: ev.WaiverRevoked, command: Command) -> None:
    until = state.waivers.get(payload.criterion)
    if until is None or until <= format_instant(command.occurred_at):
        raise Refused("no-waiver", f"no waiver of {payload.criterion!r} is in force")


def _add_stakeholder(state: DealState, payload: ev.StakeholderAdded, command: Command) -> None:
    if state.stakeholders.get(payload.stakeholder):
        raise Refused("stakeholder-exists", f"{payload.stakeholder!r} is already a stakeholder")
    _known_superior(state, payload.reports_to, payload.stakeholder)


def _change_stakeholder(state: DealState, payload: ev.StakeholderChanged, command: Command) -> None:
    if payload.stakeholder not in state.stakeholders:
        raise _unknown_stakeholder(payload.stakeholder, "stakeholder")
    _known_superior(state, payload.reports_to, payload.stakeholder)


def _stakeholder_left(state: DealState, payload: ev.StakeholderLeft, command: Command) -> None:
    if payload.stakeholder not in state.stakeholders:
        raise _unknown_stakeholder(payload.stakeholder, "stakeholder")
    if not state.stakeholders[payload.stakeholder]:
        raise Refused("stakeholder-left-already", f"{payload.stakeholder!r} has already left")


def _known_superior(state: DealState, reports_to: str | None, stakeholder: str) -> None:
    if reports_to == stakeholder:
        raise InvalidInput("own-manager", "nobody reports to themselves", where="reports_to")
    if reports_to is not None and reports_to not in state.stakeholders:
        raise _unknown_stakeholder(reports_to, "reports_to")


def _advance(state: DealState, payload: ev.BuyerAdvanced, command: Command) -> None:
    _known_gate(state, payload.gate, command)


def _regress(state: DealState, payload: ev.BuyerRegressed, command: Command) -> None:
    _known_gate(state, payload.gate, command)


def _loop(state: DealState, payload: ev.BuyerLooped, command: Command) -> None:
    _known_gate(state, payload.from_gate, command)
    _known_gate(state, payload.to_gate, command)


def _close(state: DealState, payload: ev.DealClosed, command: Command) -> None:
    if state.outcome != OPEN:
        raise Refused(
            "deal-already-closed",
            f"the deal is already closed ({state.outcome})",
            hint="reopen it first, or correct the event that closed it",
        )


def _reopen(state: DealState, payload: ev.DealReopened, command: Command) -> None:
    if state.outcome == OPEN:
        raise Refused("deal-not-closed", "the deal is open")


def _debrief(state: DealState, payload: ev.DebriefHeld, command: Command) -> None:
    if payload.reviewer == state.owner:
        raise Refused("reviewer-is-owner", "the owner of a deal cannot debrief it")
    for answer in payload.answers:
        _known_criterion(state, answer.criterion, command)


def _post_mortem(state: DealState, payload: ev.PostMortemRecorded, command: Command) -> None:
    if state.outcome == OPEN:
        raise Refused("deal-not-closed", "a post-mortem needs a decision; the deal is open")


def _known_criterion(state: DealState, criterion: str, command: Command) -> None:
    playbook = command.playbooks.of_deal(claimed(state.claims, "playbook"))
    if criterion not in playbook.criteria:
        raise InvalidInput(
            "unknown-criterion",
            f"playbook {playbook.key} {playbook.version} has no criterion {criterion!r}",
            hint="qledger playbook show lists them",
        )


def _known_gate(state: DealState, gate: str, command: Command) -> None:
    playbook = command.playbooks.of_deal(claimed(state.claims, "playbook"))
    if gate not in {each.key for each in playbook.gates}:
        raise InvalidInput(
            "unknown-gate", f"playbook {playbook.key} {playbook.version} has no gate {gate!r}"
        )


def _unknown_stakeholder(stakeholder: str, field: str) -> Refused:
    return Refused(
        "unknown-stakeholder",
        f"{stakeholder!r} is not a stakeholder of this deal",
        where=field,
        hint="record stakeholder-added first",
    )


_Rule: TypeAlias = Callable[[DealState, Any, Command], None]
_RULES: dict[type[EventPayload], _Rule] = {
    ev.EvidenceRecorded: _evidence,
    ev.CriterionWaived: _waiver,
    ev.WaiverRevoked: _revoke,
    ev.StakeholderAdded: _add_stakeholder,
    ev.StakeholderChanged: _change_stakeholder,
    ev.StakeholderLeft: _stakeholder_left,
    ev.BuyerAdvanced: _advance,
    ev.BuyerRegressed: _regress,
    ev.BuyerLooped: _loop,
    ev.DealClosed: _close,
    ev.DealReopened: _reopen,
    ev.DebriefHeld: _debrief,
    ev.PostMortemRecorded: _post_mortem,
}
