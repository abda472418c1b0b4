"""What holds at each of many points of time: settings, people, accounts, calls.

Law: at a point it is what a `Book` at the point's basis says. It is folded again only where it can
have changed: where an event became known, took effect or ceased to hold since the point before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Generic, NamedTuple, TypeVar

from ledger.domain.basis import Basis
from ledger.domain.calendar import Period
from ledger.domain.events import Event
from ledger.domain.times import format_instant
from projections.book import Book
from projections.fold.calls import Call, calls_at
from projections.fold.people import Organisation, accounts_at, chart_of, people_at
from projections.fold.settings import LedgerSettings, settings_at
from projections.forecast import Directory
from projections.scope import Scope

_T = TypeVar("_T")


class Point(NamedTuple):
    """A point of a line.

    Args:
        day: the day at whose end it is.
        basis: what is asked there.
        settings: calendar, reporting currency and rates at that basis.
        period: the fiscal period whose forecast it is, in that calendar.
    """

    day: date
    basis: Basis
    settings: LedgerSettings
    period: Period


class Along(Generic[_T]):
    """What some events say at any basis.

    Args:
        events: all that any of the bases sees.
        fold: makes it from the events that one sees, and valid time in the one spelling.
    """

    def __init__(self, events: Sequence[Event], fold: Callable[[list[Event], str], _T]) -> None:
        self._events = events
        self._fold = fold
        self._instants = sorted({instant for event in events for instant in _turns(event)})
        self._folded: dict[tuple[int, int], _T] = {}

    def at(self, basis: Basis) -> _T:
        """What they say at a basis."""
        valid_at, known_at = format_instant(basis.valid_at), format_instant(basis.known_at)
        turn = bisect_right(self._instants, valid_at), bisect_right(self._instants, known_at)
        if turn not in self._folded:
            known = [event for event in self._events if event["known_at"] <= known_at]
            self._folded[turn] = self._fold(known, valid_at)
        return self._folded[turn]


def _turns(event: Event) -> Iterator[str]:
    """When an event may change what is said."""
    payload = event["payload"]
    yield event["known_at"]
    yield event["occurred_at"]
    for said in (payload, payload.get("payload") or {}):
        yield from (said[key] for key in ("occurred_at", "expires_at") if said.get(key))


def settings_along(last: Book) -> Callable[[Basis], LedgerSettings]:
    """The settings at any basis that sees nothing that a book does not see.

    Args:
        last: the book that sees all.
    """
    settings = Along(
        last.settings_events, lambda events, at: settings_at(events, at, first_currency=None)
    )
    first = last.first_amount

    def at(basis: Basis) -> LedgerSettings:
        found = settings.at(basis)
        if found.reporting_currency is not None or first is None:
            return found
        if first.known_at > format_instant(basis.known_at):
            return last.at(basis).settings
        return replace(found, reporting_currency=first.currency)

    return at


def directories_along(
    last: Book, group_by: Iterable[str], organisation: Organisation
) -> Callable[[Basis], Directory]:
    """The people and accounts at any basis that sees nothing that a book does not see.

    Args:
        last: the book that sees all.
        group_by: the dimensions for which they are needed.
        organisation: people as they were at the basis, or as they are.
    """
    needs_people, needs_accounts = last.needed_for(tuple(group_by))
    people = Along(last.people_events if needs_people else [], people_at)
    accounts = Along(last.account_events if needs_accounts else [], accounts_at)
    made: dict[tuple[int, int], Directory] = {}

    def at(basis: Basis) -> Directory:
        as_is = needs_people and organisation is Organisation.AS_IS
        parts = (last.as_is.people if as_is else people.at(basis)), accounts.at(basis)
        return made.setdefault((id(parts[0]), id(parts[1])), Directory(*parts))

    return at


def calls_along(last: Book, period: Period) -> Callable[[Basis], list[Call]]:
    """The calls of a period at any basis that sees nothing that a book does not see.

    They are those in scope: a team is what it is at each basis.
    """
    people = Along(last.people_events, lambda events, at: chart_of(people_at(events, at)))
    made: dict[int, Along[list[Call]]] = {}
    scopes: dict[int, Scope] = {}
    events = last.call_events(period)

    def at(basis: Basis) -> list[Call]:
        chart = people.at(basis)
        if id(chart) not in made:
            made[id(chart)] = Along(
                events, lambda known, valid_at: calls_at(known, valid_at, chart.above)
            )
        if id(chart) not in scopes:
            scopes[id(chart)] = last.scope.there(chart)
        holds = scopes[id(chart)].holds
        return [call for call in made[id(chart)].at(basis) if holds(call.person)]

    return at
