"""A command: a person's wish to have an event recorded.

Law: a command carries all that its decision depends on; a decision reads no clock and no store. The
payload of the command is the payload of the event that it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ledger.domain.errors import InvalidInput, Refused
from ledger.domain.events import Event, EventPayload
from ledger.domain.playbook import Playbook
from ledger.domain.times import Instant, format_instant


class Playbooks(NamedTuple):
    """The playbooks in force, in the order in which they were first published."""

    in_force: Mapping[str, Playbook] = {}

    def of_deal(self, key: str | None) -> Playbook:
        """The playbook that a deal follows: the one it names, by default the first.

        Raises:
            Refused: `no-playbook` while none is published, `unknown-playbook`.
        """
        if not self.in_force:
            raise Refused(
                "no-playbook",
                "no playbook is in force",
                hint="publish one: qledger playbook publish buyers_journey",
            )
        if key is None:
            return next(iter(self.in_force.values()))
        if key not in self.in_force:
            raise Refused("unknown-playbook", f"there is no playbook {key!r} in force")
        return self.in_force[key]


class Command(NamedTuple):
    """What is asked for.

    Args:
        stream: where the event is to stand.
        payload: what is to be recorded.
        actor: who asks.
        occurred_at: valid time: when it happened at the buyer.
        now: knowledge time: the ledger's clock at the door.
        playbooks: what criteria and gates there are.
        standing: in a correction, the event as it stands: the command is then what is to stand in
            its place. What a correction leaves as it is was accepted, or imported, and is not
            asked for again.
    """

    stream: str
    payload: EventPayload
    actor: str
    occurred_at: Instant
    now: Instant
    playbooks: Playbooks = Playbooks()
    standing: Event | None = None

    def keeps(self, field: str) -> bool:
        """Whether a field stands already with that value."""
        if self.standing is None:
            return False
        told = self.payload.to_json()
        return field in told and told[field] == self.standing["payload"].get(field)

    def kept_keys(self) -> frozenset[str]:
        """The criteria and gates that the event names already."""
        if self.standing is None:
            return frozenset()
        payload = self.standing["payload"]
        named = [payload.get(field) for field in ("criterion", "gate", "from_gate", "to_gate")]
        named += [answer["criterion"] for answer in payload.get("answers", ())]
        return frozenset(key for key in named if key is not None)


def check_actor(command: Command) -> None:
    """Refuse an actor who could be taken for another, or for nobody.

    Raises:
        InvalidInput: `invalid-actor`.
    """
    actor = command.actor
    if not actor or actor != actor.strip() or not actor.isprintable():
        raise InvalidInput(
            "invalid-actor",
            f"{actor[:80]!r} is nobody's id",
            where="actor",
            hint="an actor's id has no spaces around it and no control characters",
        )


def check_times(command: Command) -> None:
    """Refuse what is said to have happened after it became known.

    Raises:
        InvalidInput: `occurred-after-known`, unless it is of a kind that is announced ahead.
    """
    if command.occurred_at > command.now and not command.payload.announceable:
        raise InvalidInput(
            "occurred-after-known",
            f"occurred_at {format_instant(command.occurred_at)} lies after the ledger's clock, "
            f"{format_instant(command.now)}",
            where=f"{command.payload.type}.occurred_at",
            hint="record it when it has happened",
        )
