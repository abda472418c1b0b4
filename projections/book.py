"""The book at a basis: every question about it, answered from the log.

Law: a `Book` depends on nothing but the log and its basis. Asked twice, it gives the same answer;
so what its questions share - settings, people, playbooks, the evidence on accounts - is read once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from ledger.domain.basis import Basis, everything_known
from ledger.domain.calendar import FiscalCalendar, Period
from ledger.domain.deal import CLAIM_TYPES
from ledger.domain.errors import NotFound
from ledger.domain.events import (
    SETTINGS_STREAM,
    Event,
    StageClaimed,
    is_stream,
    stream_id,
    stream_name,
)
from ledger.domain.times import Instant, format_instant
from projections.fold.calls import calls_at
from projections.fold.people import Chart, Organisation, Person, accounts_at, chart_of, people_at
from projections.fold.qualification import QUALIFYING_TYPES
from projections.fold.rulebook import PlaybookHistory, Review, reviews_at
from projections.fold.settings import LedgerSettings, settings_at
from projections.forecast import Directory, Forecast, check_group_by, tally_calls
from projections.parallel import EVENTS_PER_WORKER_MIN, Job, tally_all
from projections.qualified import BookDeal, Judge
from projections.reader import NEXT, LogReader, StreamRange, category_range, claims_of

_DIMENSIONS_OF_THE_DEAL = frozenset(
    {"owner", "stage", "gate", "category", "currency", "outcome", "account"}
)
"""Dimensions that need nobody else's record."""


class Origin(NamedTuple):
    """Where a book is read from: a reader, what a worker connects with, how many may work."""

    reader: LogReader
    conninfo: str
    workers: int = 1


class Book:
    """The book of deals at a basis."""

    def __init__(self, origin: Origin, basis: Basis) -> None:
        self._origin = origin
        self._reader = origin.reader
        self.basis = basis
        self.valid_at = format_instant(basis.valid_at)

    @cached_property
    def settings(self) -> LedgerSettings:
        """Calendar, reporting currency and rates at the basis."""
        return settings_at(
            self._reader.stream(self.basis, SETTINGS_STREAM),
            self.valid_at,
            first_currency=self._reader.first_currency(self.basis),
        )

    @cached_property
    def directory(self) -> Directory:
        """People and accounts at the basis."""
        accounts = self._reader.events(self.basis, "account", ("account-opened", "account-revised"))
        return Directory(self.people, accounts_at(accounts, self.valid_at), self.settings.calendar)

    @cached_property
    def people(self) -> dict[str, Person]:
        """Everybody who ever joined, as they are at the basis, by id."""
        types = ("person-joined", "person-reassigned", "person-left")
        return people_at(self._reader.events(self.basis, "person", types), self.valid_at)

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
        return Book(self._origin, self._at(recorded_at))

    def _at(self, instant: Instant) -> Basis:
        return replace(self.basis, valid_at=instant, known_at=instant)

    @cached_property
    def chart(self) -> Chart:
        """Who reported to whom at the basis."""
        return chart_of(self.people)

    def superiors(self, person: str) -> tuple[str, ...]:
        """The chain of command above a person at the basis, the nearest superior first."""
        return self.chart.above(person)

    def period(self, name: str | None = None) -> Period:
        """The fiscal period of that name, or the quarter that holds `valid_at`.

        Raises:
            InvalidInput: `invalid-period`.
        """
        calendar = self.settings.calendar
        if name is None:
            return calendar.quarter_of(calendar.day_of(self.basis.valid_at))
        return calendar.period(name)

    @cached_property
    def judge(self) -> Judge:
        """The playbooks in force and the evidence on accounts: by what deals are judged."""
        under, published = self.basis.under, None
        if under is not None:
            published = self._reader.events(
                everything_known(self.basis), "playbook", ("playbook-published",)
            )
        return Judge(
            self.valid_at,
            PlaybookHistory(self.playbook_events, self.valid_at, under=under, published=published),
            by_stream_id(self._reader.events(self.basis, "account", ("evidence-recorded",))),
        )

    def events(self, deal_id: str) -> list[Event]:
        """The events of a deal that the basis sees, in recorded order.

        Raises:
            NotFound: `unknown-deal`.
        """
        stream = stream_name("deal", deal_id)
        events = self._reader.stream(self.basis, stream) if is_stream(stream) else []
        if not events:
            raise NotFound(
                "unknown-deal",
                f"there is no deal {deal_id!r} at this basis",
                hint="it may have become known later: ask with a later known_at",
            )
        return events

    def deal(self, deal_id: str) -> BookDeal:
        """A deal: what is claimed of it, and what its evidence supports.

        Raises:
            NotFound: `unknown-deal`, also for one that was not open yet, or removed.
        """
        deal = BookDeal.fold(deal_id, self.events(deal_id), self.judge)
        if deal is None:
            raise NotFound(
                "unknown-deal",
                f"deal {deal_id!r} is not in the book at this basis",
                hint="it was opened later, or removed before: qledger timeline shows when",
            )
        return deal

    def claims(self) -> Iterator[tuple[str, list[Event]]]:
        """Every deal's stream with the events that claims depend on, in the order of names."""
        return claims_of(self._reader, self.basis, category_range("deal"))

    @property
    def calendar(self) -> FiscalCalendar:
        """The fiscal calendar at the basis."""
        return self.settings.calendar

    @property
    def _types(self) -> frozenset[str]:
        """What is read of deals: claims alone where nothing can be judged."""
        return CLAIM_TYPES | QUALIFYING_TYPES if self.judge.playbooks.any else CLAIM_TYPES

    def deals(self, *, only: str | None = None, after: str | None = None) -> Iterator[BookDeal]:
        """Deals in the book, in the order of their ids, a batch at a time.

        Args:
            only: the one deal of this id.
            after: only deals behind this id.
        """
        if only is not None and not is_stream(stream_name("deal", only)):
            return
        streams = category_range("deal")
        if after is not None:
            streams = streams._replace(first=stream_name("deal", after) + NEXT)
        if only is not None:
            streams = StreamRange(stream_name("deal", only), stream_name("deal", only) + NEXT)
        for stream, events in self._reader.streams(self.basis, streams, self._types):
            deal = BookDeal.fold(stream_id(stream), events, self.judge)
            if deal is not None:
                yield deal

    def of_kind(self, category: str, types: Collection[str]) -> dict[str, list[Event]]:
        """The visible events of some types, and the acts on them, by the id of their stream.

        Args:
            category: deal, account, playbook, person or period.
            types: event types.
        """
        return by_stream_id(self._reader.events(self.basis, category, types))

    def period_events(self, period: Period) -> list[Event]:
        """The visible events of a period: calls, adjustments, quotas."""
        return self._reader.stream(self.basis, stream_name("period", period.name))

    def causes(self, positions: set[int]) -> dict[int, Event]:
        """The events that answer for values, by position."""
        return self._reader.at_positions(positions) if positions else {}

    @cached_property
    def playbook_events(self) -> list[Event]:
        """The publications and reviews of all playbooks."""
        return self._reader.events(
            self.basis, "playbook", ("playbook-published", "playbook-reviewed")
        )

    @cached_property
    def reviews(self) -> dict[str, Review]:
        """When each playbook was last checked, by key."""
        return reviews_at(self.playbook_events, self.valid_at)

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
        alone = _DIMENSIONS_OF_THE_DEAL.issuperset(group_by)
        directory = Directory(calendar=self.settings.calendar)
        if not alone:
            directory = self.directory_of(organisation)
        types = self._types if "stage" in group_by else self._types - {StageClaimed.type}
        jobs = [
            Job(self.basis, part, types, period, group_by, directory, self.judge)
            for part in self._parts()
        ]
        tally = tally_all(self._reader, self._origin.conninfo, jobs)
        calls = calls_at(self.period_events(period), self.valid_at, self.superiors)
        tally.merge(tally_calls(calls, group_by, directory))
        return Forecast(self.basis, period, self.settings, group_by, tally, organisation)

    def _parts(self) -> list[StreamRange]:
        horizon = self.basis.horizon
        parts = max(1, min(self._origin.workers, horizon // EVENTS_PER_WORKER_MIN))
        whole = category_range("deal")
        return [whole] if parts == 1 else self._reader.split(whole, parts, horizon)


def by_stream_id(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Events by the id behind the colon of their stream."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[stream_id(event["stream"])].append(event)
    return dict(found)
