"""The book at a basis: every question about it, answered from the log or from what is kept of it.

Law: a `Book` depends on nothing but the log and its basis. Asked twice, it gives the same answer,
whether it is folded from the log or read from tables that say the same (`tables.serving`);
so what its questions share - settings, people, playbooks, the evidence on accounts - is read once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from ledger.domain.basis import Basis
from ledger.domain.calendar import Period
from ledger.domain.deal import CLAIM_TYPES
from ledger.domain.errors import NotFound
from ledger.domain.events import (
    CATALOGUE,
    Event,
    PersonAssessed,
    StageClaimed,
    is_stream,
    stream_id,
    stream_name,
)
from ledger.domain.times import Instant
from projections.dimensions import BUILT_IN, check_known
from projections.fold.calls import Call, calls_at
from projections.fold.claims import claimed_deal
from projections.fold.people import Organisation
from projections.fold.qualification import QUALIFYING_TYPES
from projections.forecast import (
    BY_PERSON,
    Directory,
    Forecast,
    check_group_by,
    tally_calls,
)
from projections.parallel import EVENTS_PER_WORKER_MIN, Job, tally_all
from projections.qualified import BookDeal
from projections.reader import NEXT, LogReader, StreamRange, by_stream_id, category_range
from projections.reference import ReferenceData
from projections.scope import EVERYTHING, Scope
from projections.tables.reading import tally_from_tables
from projections.tables.serving import Tables, tables_at
from projections.tally import Tally

_DIMENSIONS_OF_THE_DEAL = BUILT_IN - BY_PERSON
"""Dimensions that need nobody else's record."""

DEAL_TYPES = frozenset(model.type for model in CATALOGUE["deal"])
"""All that can be recorded of a deal."""


class MadeFrom(StrEnum):
    """What an answer was made from; it is the same either way."""

    TABLES = "tables"
    LOG = "log"


class Origin(NamedTuple):
    """Where a book is read from.

    Args:
        reader: of the log.
        conninfo: what a worker connects with.
        workers: how many processes may fold.
        by_tables: whether the tables answer where they may; else everything is folded.
    """

    reader: LogReader
    conninfo: str
    workers: int = 1
    by_tables: bool = True


class Book(ReferenceData):
    """The book of deals at a basis.

    Args:
        origin: where it is read from.
        basis: all that its answers depend on.
        scope: whose deals, calls and assessments are in it; all others are as if they did not
            exist.
    """

    def __init__(self, origin: Origin, basis: Basis, scope: Scope = EVERYTHING) -> None:
        super().__init__(origin.reader, basis)
        self._origin = origin
        self.scope = scope
        self.made_from: MadeFrom | None = None
        """What the last answer was made from that the tables could give; no part of any answer."""

    def directory_of(self, organisation: Organisation) -> Directory:
        """The same with people as they were at the basis, or as they are.

        As is: at the instant at which the horizon was recorded, on both axes; so the answer to the
        same basis stays the same.
        """
        if organisation is Organisation.AS_WAS:
            return self.directory
        return self.directory._replace(people=self.as_is.people)

    @cached_property
    def as_is(self) -> Book:
        """The book at the instant at which the horizon was recorded, on both axes.

        What became of things, as far as this basis may take it into account: the same basis always
        leads to the same one.
        """
        if not self.basis.horizon:
            return self
        last = self._reader.at_positions([self.basis.horizon])[self.basis.horizon]
        recorded_at = datetime.fromisoformat(last["recorded_at"])
        as_is = Book(self._origin, self._at(recorded_at), self.scope)
        if self.scope.superior is not None:
            as_is.scope = self.scope.also_at(as_is.chart)
        return as_is

    def at(self, basis: Basis) -> Book:
        """The book at another basis, read from the same place; a team is what it is there."""
        other = Book(self._origin, basis, self.scope)
        if self.scope.superior is not None:
            other.scope = self.scope.there(other.chart)
        return other

    def _at(self, instant: Instant) -> Basis:
        return self.basis.at(instant, instant)

    def events(self, deal_id: str) -> list[Event]:
        """The events of a deal that the basis sees, in recorded order.

        Raises:
            NotFound: `unknown-deal`.
        """
        if deal_id in self._alone.deals:
            return self._alone.deals[deal_id].events
        stream = stream_name("deal", deal_id)
        found = self._reader.stream(self.basis, stream) if is_stream(stream) else []
        events = self._in_scope(deal_id, found)
        if not events:
            raise NotFound(
                "unknown-deal",
                f"there is no deal {deal_id!r} at this basis",
                hint="it may have become known later: ask with a later known_at",
            )
        return events

    def _in_scope(self, deal_id: str, events: list[Event]) -> list[Event]:
        """What the scope shows of the events of a deal; nothing of a deal that it does not hold."""
        if not self.scope.is_limited:
            return events
        claimed = claimed_deal(deal_id, events, self.valid_at)
        if claimed is None or not self.scope.holds(claimed.owner):
            return []
        return self.scope.of_their_time(events, self.valid_at)

    def _streams(
        self, streams: StreamRange, types: Collection[str]
    ) -> Iterator[tuple[str, list[Event]]]:
        """The deals in scope with their events of some types, among them those of claims."""
        owners = self.scope.owners
        every = (
            self._reader.streams(self.basis, streams, types)
            if owners is None
            else self._reader.owned_streams(self.basis, streams, types, owners)
        )
        for stream, found in every:
            events = self._in_scope(stream_id(stream), found)
            if events:
                yield stream, events

    def deal(self, deal_id: str) -> BookDeal:
        """A deal: what is claimed of it, and what its evidence supports.

        Raises:
            NotFound: `unknown-deal`, also for one that was not open yet, or removed.
        """
        if (known := self._alone.deals.get(deal_id)) is not None:
            return known
        events = self.events(deal_id)
        deal = BookDeal.fold(deal_id, events, self.judge_of(events))
        if deal is None:
            raise NotFound(
                "unknown-deal",
                f"deal {deal_id!r} is not in the book at this basis",
                hint="it was opened later, or removed before: qledger timeline shows when",
            )
        own = () if "judge" in vars(self) else deal.judge.account_evidence.values()
        self._alone.add(deal, chain(self.playbook_events, *own))
        return deal

    def claims(self) -> Iterator[tuple[str, list[Event]]]:
        """Every deal's stream with the events that claims depend on, in the order of names."""
        return self._streams(category_range("deal"), CLAIM_TYPES)

    def histories(self, *, only: str | None = None) -> Iterator[tuple[str, list[Event]]]:
        """Every deal's stream with the events that its states depend on, in the order of names.

        Args:
            only: the one deal of this id.
        """
        streams = category_range("deal")
        if only is not None:
            if not is_stream(stream_name("deal", only)):
                return iter(())
            streams = StreamRange(stream_name("deal", only), stream_name("deal", only) + NEXT)
        return self._streams(streams, self._types)

    @property
    def _types(self) -> frozenset[str]:
        """What is read of deals: claims alone where nothing can be judged."""
        return CLAIM_TYPES | QUALIFYING_TYPES if self.playbooks.any else CLAIM_TYPES

    def deals(self, *, only: str | None = None, after: str | None = None) -> Iterator[BookDeal]:
        """Deals in the book, in the order of their ids, a batch at a time.

        Args:
            only: the one deal of this id.
            after: only deals behind this id.
        """
        if only is not None:
            with suppress(NotFound):
                yield self.deal(only)
            return
        streams = category_range("deal")
        if after is not None:
            streams = streams._replace(first=stream_name("deal", after) + NEXT)
        for stream, events in self._streams(streams, self._types):
            deal = BookDeal.fold(stream_id(stream), events, self.judge)
            if deal is not None:
                yield deal

    def of_kind(self, category: str, types: Collection[str]) -> dict[str, list[Event]]:
        """The visible events of some types, and the acts on them, by the id of their stream.

        Args:
            category: deal, account, playbook or person; for calls see `calls`.
            types: event types.
        """
        found = by_stream_id(self._reader.events(self.basis, category, types))
        if category == "deal" and self.scope.is_limited:
            return {
                deal: self.scope.of_their_time(found[deal], self.valid_at)
                for deal in self._deal_ids
                if deal in found
            }
        if category == "person" and PersonAssessed.type in types:
            return {who: found[who] for who in found if self.scope.tells_assessments_of(who)}
        assert category != "period" or not self.scope.is_limited  # noqa: S101 - calls have an owner
        return found

    def streams(
        self, category: str, types: Collection[str], *, first: str | None = None, only: bool = False
    ) -> Iterator[tuple[str, list[Event]]]:
        """Streams of deals or accounts with their events of some types, in the order of names.

        Args:
            category: deal or account.
            types: event types; for deals, those that claims depend on among them.
            first: the name of a stream: it and those behind it.
            only: of these, that one alone.
        """
        streams = category_range(category)
        if first is not None:
            streams = streams._replace(first=max(streams.first, first))
        if only:
            streams = streams._replace(end=streams.first + NEXT)
        if category == "deal":
            return self._streams(streams, types)
        return self._reader.streams(self.basis, streams, types)

    def log(
        self, *, after: int = 0, stream: str | None = None, types: Collection[str] | None = None,
        whole: bool = True,
    ) -> Iterator[Event]:  # fmt: skip
        """The events that the basis sees, in the order of positions; in a limited scope, of deals.

        Args:
            after: only events behind this position.
            stream: only events of this stream.
            types: only events of these types.
            whole: whether all of them is wanted, or only what the log's columns say.
        """
        if not self.scope.is_limited:
            return self._reader.log(self.basis, after, stream, types, whole=whole)
        found = [
            event
            for name, events in self._streams(category_range("deal"), DEAL_TYPES)
            for event in events
            if stream in {None, name}
            and event["position"] > after
            and (types is None or event["type"] in types)
        ]
        return iter(sorted(found, key=itemgetter("position")))

    @cached_property
    def _deal_ids(self) -> list[str]:
        """The deals in scope, in order."""
        return [stream_id(stream) for stream, _events in self.claims()]

    @cached_property
    def accounts_shown(self) -> frozenset[str] | None:
        """The accounts of the deals in scope; None where all of both are shown."""
        if not self.scope.is_limited:
            return None
        deals = (
            claimed_deal(stream_id(stream), events, self.valid_at)
            for stream, events in self.claims()
        )
        return frozenset(deal.account for deal in deals if deal is not None and deal.account)

    def calls(self, period: Period) -> list[Call]:
        """The calls of a period by those in scope, and what their superiors made of them."""
        found = calls_at(self.call_events(period), self.valid_at, self.superiors)
        return [call for call in found if self.scope.holds(call.person)]

    def call_events(self, period: Period) -> list[Event]:
        """The visible events of a period, whoever made the calls in them; see `calls`."""
        return self._reader.stream(self.basis, stream_name("period", period.name))

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        """How many events streams had at the horizon, whosever they are; see `versions_at`."""
        return self._reader.last_versions(streams, self.basis.horizon)

    def causes(self, positions: set[int]) -> dict[int, Event]:
        """The events that answer for values, by position."""
        found = self._alone.known(positions)
        left = positions - found.keys()
        return {**found, **self._reader.at_positions(left)} if left else found

    def forecast(
        self,
        period: Period,
        group_by: tuple[str, ...] = (),
        organisation: Organisation = Organisation.AS_WAS,
    ) -> Forecast:
        """The forecast of a period.

        Args:
            period: see `period`.
            group_by: owner, manager, team, stage, gate (where the deal really stands), category,
                currency, account, outcome, or any dimension of deals or accounts such as segment.
            organisation: by whose manager and team: as it was at the basis, or as it is.

        Raises:
            InvalidInput: `invalid-dimension`, `too-many-dimensions`.
        """
        group_by = check_group_by(group_by)
        directory = self._directory_for(group_by, organisation)
        with self.tables(of_owners=True) as tables:
            if tables is not None:
                tally = tally_from_tables(
                    tables, self.basis, period, group_by, directory, self.scope.owners
                )
        if tables is None:
            tally = self._folded(period, group_by, directory)
        self.made_from = MadeFrom.LOG if tables is None else MadeFrom.TABLES
        tally.merge(tally_calls(self.calls(period), group_by, directory))
        return Forecast(self.basis, period, self.settings, group_by, tally, organisation)

    def check_known(self, group_by: Sequence[str], keys: Iterable[Sequence[str | None]]) -> None:
        """See `dimensions.check_known`.

        Raises:
            InvalidInput: `invalid-dimension`.
        """

        def naming(name: str | None, limit: int) -> list[Event]:
            return self._reader.naming_dimension(name, self.basis.horizon, limit)

        check_known(naming, group_by, keys, told=not self.scope.is_limited)

    @contextmanager
    def tables(self, *, of_owners: bool = False) -> Iterator[Tables | None]:
        """The read models, where they may answer at the basis; None where the log is folded.

        They hold everybody's deals. A book of limited scope is folded, unless the question takes
        only what those in scope own; and in hindsight even then, since a correction may date back
        what the scope does not tell of (see `Scope.of_their_time`).

        Args:
            of_owners: whether the question leaves out what the scope does not hold.
        """
        is_exact = of_owners and self.basis.known_at <= self.basis.valid_at
        if not self._origin.by_tables or (self.scope.is_limited and not is_exact):
            yield None
            return
        zone = self.calendar.time_zone
        with tables_at(self._reader, self.basis, zone) as tables:
            yield tables

    def _directory_for(self, group_by: tuple[str, ...], organisation: Organisation) -> Directory:
        """The directory as far as some dimensions need it."""
        needs_people, needs_accounts = self.needed_for(group_by)
        if needs_accounts:
            return self.directory_of(organisation)
        if needs_people:
            book = self if organisation is Organisation.AS_WAS else self.as_is
            return Directory(book.people, calendar=self.calendar)
        return Directory(calendar=self.calendar)

    @staticmethod
    def needed_for(group_by: tuple[str, ...]) -> tuple[bool, bool]:
        """Whether dimensions need people's records, and whether they need those of accounts."""
        others = set(group_by) - _DIMENSIONS_OF_THE_DEAL
        return not BY_PERSON.isdisjoint(others), bool(others - BY_PERSON)

    def _folded(self, period: Period, group_by: tuple[str, ...], directory: Directory) -> Tally:
        """The tally of a period, folded from the log on all cores."""
        types = self._types if "stage" in group_by else self._types - {StageClaimed.type}
        jobs = [
            Job(self.basis, part, types, period, group_by, directory, self.judge, self.scope)
            for part in self._parts()
        ]
        return tally_all(self._reader, self._origin.conninfo, jobs)

    def _parts(self) -> list[StreamRange]:
        horizon = self.basis.horizon
        parts = max(1, min(self._origin.workers, horizon // EVENTS_PER_WORKER_MIN))
        whole = category_range("deal")
        return [whole] if parts == 1 else self._reader.split(whole, parts, horizon)
