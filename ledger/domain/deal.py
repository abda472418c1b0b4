"""A deal: what is claimed of it, who is at the buyer, and what may be recorded next.

Law: `evolve` turns events in the fold's order into state and never refuses; `decide` looks at
state and a command and either gives the event to record or refuses with a code. What depends on
time - the owner, a waiver, the outcome, a removal - is asked of the instant at which the command
says that it happened. What the CRM claims
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
from ledger.domain.course import Spans, unknown_stakeholder, waived
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
        for key, event in sorted(each for each in claims.items() if each[0].startswith(DIMENSION))
    }


class DealState(NamedTuple):
    """What `decide` needs to know of a deal: its claims as of now, and how it came to them."""

    claims: Claims = {}
    stakeholders: frozenset[str] = frozenset()
    """All that were ever named."""
    owners: tuple[tuple[str, str | None], ...] = ()
    """(from when on, who owns it), in the order of time."""
    outcomes: tuple[tuple[str, str], ...] = ()
    """(from when on, what the outcome is), in the order of time."""
    waived: Spans = {}

    def owner_at(self, instant: str) -> str | None:
        """Who owned the deal at an instant in the one spelling."""
        return next((who for since, who in reversed(self.owners) if since <= instant), None)

    def outcome_at(self, instant: str) -> str:
        """How the deal stood at an instant in the one spelling."""
        return next((what for since, what in reversed(self.outcomes) if since <= instant), OPEN)

    def is_waived_at(self, criterion: str, instant: str) -> bool:
        """Whether a waiver of a criterion is in force at an instant in the one spelling."""
        return any(start <= instant < end for start, end in self.waived.get(criterion, ()))


def evolve(state: DealState, event: Event) -> DealState:
    """The deal after one more event in the fold's order."""
    payload, at = event["payload"], event["occurred_at"]
    match event["type"]:
        case "stakeholder-added":
            return state._replace(stakeholders=state.stakeholders | {payload["stakeholder"]})
        case "criterion-waived" | "waiver-revoked":
            return state._replace(waived=waived([event], state.waived))
        case "deal-closed" | "deal-reopened":
            outcomes = (*state.outcomes, (at, payload.get("outcome", OPEN)))
            state = state._replace(outcomes=outcomes)
        case "deal-opened" | "deal-revised" if "owner" in payload:
            state = state._replace(owners=(*state.owners, (at, payload["owner"])))
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
    elif "opened" not in state.claims:
        raise Refused(
            "unknown-deal", "no such deal has been opened", hint="record its deal-opened first"
        )
    _not_removed(state, command)
    rule = _RULES.get(type(payload))
    if rule is not None:
        rule(state, payload, command)
    return (payload,)


def _not_removed(state: DealState, command: Command) -> None:
    """After its removal nothing happens to a deal; what happened before may come to light."""
    removal = state.claims.get("removed")
    if removal is None:
        return
    removed_at, standing = removal["occurred_at"], command.standing
    late = format_instant(command.occurred_at) >= removed_at
    was_late = standing is not None and standing["occurred_at"] >= removed_at
    if isinstance(command.payload, ev.DealRemoved) or (late and not was_late):
        raise Refused(
            "deal-removed", f"the deal was removed at {removed_at}; nothing happens to it after"
        )


def _names_playbook(
    state: DealState, payload: ev.DealOpened | ev.DealRevised, command: Command
) -> None:
    if payload.playbook is not None and not command.keeps("playbook"):
        command.playbooks.of_deal(payload.playbook)


def _stage(state: DealState, payload: ev.StageClaimed, command: Command) -> None:
    if payload.gate is not None:
        _known_gate(state, payload.gate, command)


def _evidence(state: DealState, payload: ev.EvidenceRecorded, command: Command) -> None:
    _known_criterion(state, payload.criterion, command)


def _waiver(state: DealState, payload: ev.CriterionWaived, command: Command) -> None:
    _known_criterion(state, payload.criterion, command)
    refuse_waiver_by_owner(state, command.actor, format_instant(command.occurred_at))
    if payload.ends_at <= command.occurred_at:
        raise InvalidInput(
            "ends-before-it-starts",
            "the waiver ends before it starts",
            where="criterion-waived.ends_at",
        )


def refuse_waiver_by_owner(state: DealState, actor: str, starts_at: str) -> None:
    """Refuse what would let an owner set a criterion of their own deal aside, in whatever way.

    Args:
        state: the deal.
        actor: who asks.
        starts_at: valid time from which the criterion would be waived, in the one spelling.

    Raises:
        Refused: `waiver-by-owner`, for who owns the deal now and for who owned it at that instant.
    """
    if actor in {claimed(state.claims, "owner"), state.owner_at(starts_at)}:
        raise Refused(
            "waiver-by-owner",
            "the owner of a deal cannot waive its criteria",
            hint="ask the manager",
        )


def _revoke(state: DealState, payload: ev.WaiverRevoked, command: Command) -> None:
    if not state.is_waived_at(payload.criterion, format_instant(command.occurred_at)):
        raise Refused("no-waiver", f"no waiver of {payload.criterion!r} is in force")


def _add_stakeholder(state: DealState, payload: ev.StakeholderAdded, command: Command) -> None:
    _known_superior(state, payload, command)
    _known_role(state, payload.role, command)


def _change_stakeholder(state: DealState, payload: ev.StakeholderChanged, command: Command) -> None:
    if not command.keeps("stakeholder"):
        _known_stakeholder(state, payload.stakeholder, f"{payload.type}.stakeholder")
    _known_superior(state, payload, command)
    _known_role(state, payload.role, command)


def _known_superior(
    state: DealState, payload: ev.StakeholderAdded | ev.StakeholderChanged, command: Command
) -> None:
    where = f"{payload.type}.reports_to"
    if payload.reports_to == payload.stakeholder:
        raise InvalidInput("own-manager", "nobody reports to themselves", where=where)
    if not command.keeps("reports_to"):
        _known_stakeholder(state, payload.reports_to, where)


def _known_stakeholder(state: DealState, stakeholder: str | None, where: str) -> None:
    if stakeholder is not None and stakeholder not in state.stakeholders:
        raise unknown_stakeholder(stakeholder, where)


def _advance(state: DealState, payload: ev.BuyerAdvanced, command: Command) -> None:
    _known_gate(state, payload.gate, command)


def _regress(state: DealState, payload: ev.BuyerRegressed, command: Command) -> None:
    _known_gate(state, payload.gate, command)


def _loop(state: DealState, payload: ev.BuyerLooped, command: Command) -> None:
    _known_gate(state, payload.from_gate, command, "from_gate")
    _known_gate(state, payload.to_gate, command, "to_gate")


def _debrief(state: DealState, payload: ev.DebriefHeld, command: Command) -> None:
    if payload.reviewer == state.owner_at(format_instant(command.occurred_at)):
        raise Refused("reviewer-is-owner", "the owner of a deal cannot debrief it")
    if not payload.answers:
        raise InvalidInput(
            "no-answers",
            "a debrief without a question was none",
            where="debrief-held.answers",
            hint="qledger agenda lists what to ask; no answer is an answer",
        )
    asked: set[str] = set()
    for number, answer in enumerate(payload.answers):
        if answer.criterion in asked:
            raise InvalidInput(
                "answered-twice",
                f"{answer.criterion!r} is answered twice",
                where=f"debrief-held.answers.{number}.criterion",
            )
        asked.add(answer.criterion)
        _known_criterion(state, answer.criterion, command, f"answers.{number}.criterion")


def _post_mortem(state: DealState, payload: ev.PostMortemRecorded, command: Command) -> None:
    if state.outcome_at(format_instant(command.occurred_at)) == OPEN:
        raise Refused("deal-not-closed", "a post-mortem needs a decision; the deal is open")


def _known_criterion(
    state: DealState, criterion: str, command: Command, field: str = "criterion"
) -> None:
    if criterion in command.kept_keys():
        return
    playbook = command.playbooks.of_deal(claimed(state.claims, "playbook"))
    if criterion not in playbook.criteria:
        raise InvalidInput(
            "unknown-criterion",
            f"playbook {playbook.key} {playbook.version} has no criterion {criterion!r}",
            where=f"{command.payload.type}.{field}",
            hint="qledger playbook show lists them",
        )


def _known_gate(state: DealState, gate: str, command: Command, field: str = "gate") -> None:
    if gate in command.kept_keys():
        return
    playbook = command.playbooks.of_deal(claimed(state.claims, "playbook"))
    if gate not in {each.key for each in playbook.gates}:
        raise InvalidInput(
            "unknown-gate",
            f"playbook {playbook.key} {playbook.version} has no gate {gate!r}",
            where=f"{command.payload.type}.{field}",
            hint="qledger playbook show lists them",
        )


def _known_role(state: DealState, role: str | None, command: Command) -> None:
    """People may be met before there is a playbook; one without roles takes any."""
    key = claimed(state.claims, "playbook")
    in_force = command.playbooks.in_force
    if role is None or command.keeps("role") or not in_force or key not in {None, *in_force}:
        return
    playbook = command.playbooks.of_deal(key)
    roles = [each.key for each in playbook.roles]
    if roles and role not in roles:
        raise InvalidInput(
            "unknown-role",
            f"playbook {playbook.key} {playbook.version} has no role {role!r}",
            where=f"{command.payload.type}.role",
            hint=f"the roles are {', '.join(roles)}",
        )


_Rule: TypeAlias = Callable[[DealState, Any, Command], None]
_RULES: dict[type[EventPayload], _Rule] = {
    ev.DealOpened: _names_playbook,
    ev.DealRevised: _names_playbook,
    ev.StageClaimed: _stage,
    ev.EvidenceRecorded: _evidence,
    ev.CriterionWaived: _waiver,
    ev.WaiverRevoked: _revoke,
    ev.StakeholderAdded: _add_stakeholder,
    ev.StakeholderChanged: _change_stakeholder,
    ev.BuyerAdvanced: _advance,
    ev.BuyerRegressed: _regress,
    ev.BuyerLooped: _loop,
    ev.DebriefHeld: _debrief,
    ev.PostMortemRecorded: _post_mortem,
}
