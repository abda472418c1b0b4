"""The path of every deal from one basis to another, change by change, folded from the log.

Law: a path leads from the deal's state at the first basis to its state at the second, and each of
its hops begins where the one before it ended. As known then, valid time and knowledge are one
instant; so the path goes

1. from the first basis to what was known at the instant t1, the earlier of its `valid_at` and its
   `known_at` (nothing to do for a basis as known then);
2. through the journal: every change of what anyone could have seen at the time, in (t1, t2];
3. from what was known at t2, the same instant of the second basis, to the second basis.

The journal is that of the log as the second basis sees it. What leads to it and away from it is
*restated*: one hop a deal, since nothing happened there but that something else is known, or looked
at from another day. Where there is no journal between the two - t2 is not later than t1, or the
second basis judges under a version of its own - all of the path is one such hop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from ledger.domain.basis import Basis
from ledger.domain.calendar import FiscalCalendar, Period
from ledger.domain.events import DealClosed, Event, stream_id
from ledger.domain.history import ACTS
from ledger.domain.times import format_instant
from projections.book import Book
from projections.fold.deal_history import DealHistory, World
from projections.fold.known_then import accounts_mentioned
from projections.fold.states import DealState, Entry, claimed_part, with_evidence_part
from projections.qualified import BookDeal
from projections.reader import merged
from projections.worlds import is_of_playbooks


class Leg(StrEnum):
    """The legs of a path, in order."""

    RESTATED_FROM = "restated_from"
    JOURNAL = "journal"
    RESTATED_TO = "restated_to"


class Hop(NamedTuple):
    """One change of a deal on the way.

    Args:
        leg: on which leg of the path.
        at: when it could be seen, on both axes; None where it is restated.
        before: None where the deal was not in the book.
        after: None where it is not.
        move: how evidence moved it (a `MoveKind`), where the journal says so.
        causes: the positions that the journal names.
    """

    leg: Leg
    at: str | None
    before: DealState | None
    after: DealState | None
    move: str | None = None
    causes: tuple[int, ...] = ()


class Path(NamedTuple):
    """A deal's way from one basis to another; no hops where it is the same at both, and between."""

    deal_id: str
    first: DealState | None
    hops: tuple[Hop, ...]
    last: DealState | None


class Span(NamedTuple):
    """The part of the journal between two bases: entries after `start`, up to `end`."""

    start: str
    end: str


def span_between(first: Basis, second: Basis) -> Span | None:
    """The journal between two bases; None where there is none."""
    start = format_instant(min(first.valid_at, first.known_at))
    end = format_instant(min(second.valid_at, second.known_at))
    return Span(start, end) if start < end and second.under is None else None


def is_as_known_then(basis: Basis) -> bool:
    """Whether a basis looks at an instant as it was known at that instant."""
    return basis.valid_at == basis.known_at


def paths(opening: Book, closing: Book, period: Period) -> Iterator[Path]:
    """The paths of all deals that may count in a period anywhere on their way, in order.

    Args:
        opening: the book at the first basis.
        closing: the book at the second; each has a reader of its own.
        period: deals that surely never count in it are left out.
    """
    traveller = _Traveller(opening, closing)
    both = merged(opening.histories(), closing.histories())
    for stream, found in groupby(both, key=itemgetter(0)):
        sides = {which: events for _stream, which, events in found}
        before, after = sides.get(0, []), sides.get(1, [])
        if _may_count((*before, *after), period):
            yield traveller.path(stream_id(stream), before, after)


def ends(
    opening: Book, closing: Book, period: Period
) -> Iterator[tuple[DealState | None, DealState | None]]:
    """Every deal that may count in a period at either basis: its state at the first, and at the
    second."""
    both = merged(opening.histories(), closing.histories())
    for stream, found in groupby(both, key=itemgetter(0)):
        sides = {which: events for _stream, which, events in found}
        before, after = sides.get(0, []), sides.get(1, [])
        if _may_count((*before, *after), period):
            deal_id = stream_id(stream)
            yield state_at(opening, deal_id, before), state_at(closing, deal_id, after)


def _may_count(events: Iterable[Event], period: Period) -> bool:
    """Whether a deal may count in a period at any basis: a close date in it was named, or it ended
    about then; where its events were acted on, whenever it ended."""
    first = (period.first_day - timedelta(days=1)).isoformat()
    last = (period.last_day + timedelta(days=1)).isoformat()
    ended, acted = False, False
    for event in events:
        payload = event["payload"]
        acted = acted or event["type"] in ACTS
        if event["type"] == DealClosed.type:
            ended = ended or first <= event["occurred_at"][:10] <= last
        for said in (payload, payload.get("payload") or {}):
            if period.holds_text(said.get("close_date") or ""):
                return True
    return ended or acted


class _Traveller:
    """Makes the paths between two books."""

    def __init__(self, opening: Book, closing: Book) -> None:
        self._opening = opening
        self._closing = closing
        self._span = span_between(opening.basis, closing.basis)
        playbooks = [_of_playbooks(book) for book in (opening, closing)]
        self._world = World(playbooks[1], closing.calendar.time_zone)
        self._opens_on_journal = (
            is_as_known_then(opening.basis)
            and opening.basis.under is None
            and opening.calendar.time_zone == closing.calendar.time_zone
            and self._known_then(playbooks[1]) == _positions(playbooks[0])
        )
        self._closes_on_journal = is_as_known_then(closing.basis)

    def path(self, deal_id: str, before: list[Event], after: list[Event]) -> Path:
        """The path of one deal.

        Args:
            deal_id: the deal's own id.
            before: its events that the first basis sees, in any order.
            after: those that the second one sees.
        """
        if self._span is None:
            first = state_at(self._opening, deal_id, before)
            last = state_at(self._closing, deal_id, after)
            hops = _hops(Leg.RESTATED_TO, first, last)
            return Path(deal_id, first, hops, last)
        told = [*after, *self._account_events(self._closing, after)]
        entries = self._shown(DealHistory(deal_id, self._world).learn(told).entries)
        then = _then(entries, self._span.start)
        now = _then(entries, self._span.end)
        known = [*before, *self._account_events(self._opening, before)]
        first, last = then, now
        if not self._opens_on_journal or self._known_then(told) != _positions(known):
            first = state_at(self._opening, deal_id, before)
        if not self._closes_on_journal:
            last = state_at(self._closing, deal_id, after)
        journal = tuple(
            Hop(Leg.JOURNAL, each.at, each.before, each.after, each.move, each.causes)
            for each in entries
            if self._span.start < each.at <= self._span.end
        )
        hops = (
            *_hops(Leg.RESTATED_FROM, first, then), *journal, *_hops(Leg.RESTATED_TO, now, last)
        )  # fmt: skip
        return Path(deal_id, first, hops, last)

    def _shown(self, entries: list[Entry]) -> list[Entry]:
        """The journal as the scope shows it: in other hands a deal is not in the book."""
        scope = self._closing.scope
        if not scope.is_limited:
            return entries
        seen = (
            entry._replace(before=scope.seen(entry.before), after=scope.seen(entry.after))
            for entry in entries
        )
        return [entry for entry in seen if (entry.before, entry.after) != (None, None)]

    def _known_then(self, events: Iterable[Event]) -> set[int]:
        """The positions of what was known where the journal begins."""
        start = "" if self._span is None else self._span.start
        return {event["position"] for event in events if event["known_at"] <= start}

    def _account_events(self, book: Book, events: list[Event]) -> list[Event]:
        evidence = book.judge.account_evidence
        if not evidence:
            return []
        return [
            event
            for account in sorted(accounts_mentioned(events))
            for event in evidence.get(account, ())
        ]


def _of_playbooks(book: Book) -> list[Event]:
    return [event for event in book.playbook_events if is_of_playbooks(event)]


def _positions(events: Iterable[Event]) -> set[int]:
    return {event["position"] for event in events}


def _hops(leg: Leg, before: DealState | None, after: DealState | None) -> tuple[Hop, ...]:
    return () if before == after else (Hop(leg, None, before, after),)


def _then(entries: Sequence[Entry], instant: str) -> DealState | None:
    state = None
    for entry in entries:
        if entry.at > instant:
            break
        state = entry.after
    return state


def state_at(book: Book, deal_id: str, events: list[Event]) -> DealState | None:
    """A deal's state at the basis of a book; None where it is not in it.

    Args:
        book: the book.
        deal_id: the deal's own id.
        events: its events that the basis sees, in any order.
    """
    deal = BookDeal.fold(deal_id, events, book.judge)
    return None if deal is None else _state_of(deal, book.calendar)


def _state_of(deal: BookDeal, calendar: FiscalCalendar) -> DealState:
    verdict = deal.verdict
    return with_evidence_part(
        claimed_part(deal.claimed, calendar),
        str(verdict.category),
        verdict.gate,
        verdict.weight_percent,
    )
