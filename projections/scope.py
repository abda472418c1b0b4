"""Whose deals a book shows: the scope of one who may not see all of it.

Law: a deal is in scope while its owner at the basis is; out of scope it is as if it did not exist,
in lists, sums and answers about it alike. Calls are in scope with the person who made them. Nobody
outside learns of a deal what happened, and became known, after the instant that they look at: with
an old basis they see what was theirs then, never what became of it in other hands.

Assessments of people have a scope of their own: they are for those above a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.domain.events import Event
from ledger.domain.history import ACTS
from projections.fold.people import Chart
from projections.fold.states import DealState


class Scope(NamedTuple):
    """What of a book is shown.

    Args:
        owners: those whose deals and calls are; None is everybody, and what nobody owns.
        assessed: those whose assessments are; None is everybody.
        superior: whose team the owners are at the basis; None where they are not a team.
    """

    owners: frozenset[str] | None = None
    assessed: frozenset[str] | None = None
    superior: str | None = None

    @classmethod
    def of_person(cls, person: str) -> Scope:
        """What is a person's own."""
        return cls(frozenset({person}), frozenset())

    @classmethod
    def of_team(cls, superior: str, chart: Chart) -> Scope:
        """What is a superior's own, and of all who report to them, directly or through others.

        Args:
            superior: the manager.
            chart: who reported to whom at the basis.
        """
        below = chart.below(superior)
        return cls(below | {superior}, below, superior)

    @property
    def is_limited(self) -> bool:
        """Whether anybody's deals are left out."""
        return self.owners is not None

    def holds(self, owner: str | None) -> bool:
        """Whether what a person owns is in it."""
        return self.owners is None or owner in self.owners

    def seen(self, state: DealState | None) -> DealState | None:
        """A deal's state as the scope shows it: None where it is not its owner's to see."""
        return state if state is not None and self.holds(state.owner) else None

    def tells_assessments_of(self, person: str) -> bool:
        """Whether the assessments of a person are in it."""
        return self.assessed is None or person in self.assessed

    def there(self, chart: Chart) -> Scope:
        """The same at another basis: a team is what it is there.

        Args:
            chart: who reports to whom at that basis.
        """
        return self if self.superior is None else Scope.of_team(self.superior, chart)

    def also_at(self, chart: Chart) -> Scope:
        """The same where, for an answer at the basis, another instant is looked at as well: of a
        team, those who report to the superior then, too.

        Args:
            chart: who reports to whom at that instant.
        """
        if self.superior is None or self.owners is None:
            return self
        other = Scope.of_team(self.superior, chart)
        return Scope(
            self.owners & (other.owners or frozenset()),
            (self.assessed or frozenset()) & (other.assessed or frozenset()),
            self.superior,
        )

    def of_their_time(self, events: Iterable[Event], valid_at: str) -> list[Event]:
        """The events of a deal in scope without those that happened, and became known, later, and
        without the acts on these.

        Args:
            events: of the deal, in any order; they stay in it.
            valid_at: valid time of the basis, in the one spelling.
        """
        events = list(events)
        if self.owners is None:
            return events
        left_out = {
            event["event_id"]
            for event in events
            if event["type"] not in ACTS
            and event["occurred_at"] > valid_at
            and event["known_at"] > valid_at
        }
        if not left_out:
            return events
        return [
            event
            for event in events
            if event["event_id"] not in left_out
            and not (event["type"] in ACTS and event["payload"].get("target") in left_out)
        ]


EVERYTHING = Scope()
