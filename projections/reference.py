"""The reference data of a book: settings, people, accounts, playbooks, the evidence on accounts.

Law: it depends on nothing but the log and the basis, so each part is read once at most; whoever
opens another book at the same basis may take over what was read (`take_over`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Self

from ledger.domain.basis import Basis, everything_known
from ledger.domain.calendar import FiscalCalendar, Period
from ledger.domain.events import SETTINGS_STREAM, Event, EvidenceRecorded, is_stream, stream_name
from ledger.domain.history import ACTS
from ledger.domain.times import format_instant
from projections.alone import Alone, judge_alone
from projections.fold.people import CHART_TYPES, Chart, Person, accounts_at, chart_of, people_at
from projections.fold.rulebook import PlaybookHistory, Review, reviews_at
from projections.fold.settings import LedgerSettings, settings_at
from projections.forecast import Directory
from projections.qualified import Judge
from projections.reader import FirstAmount, LogReader, by_stream_id


class ReferenceData:
    """What the deals of a book share.

    Args:
        reader: of the log.
        basis: that of the book.
    """

    def __init__(self, reader: LogReader, basis: Basis) -> None:
        self._reader = reader
        self.basis = basis
        self.valid_at = format_instant(basis.valid_at)
        self._alone = Alone()

    def take_over(self, other: Self) -> None:
        """What another book at the same basis, in the same scope, has read already."""
        for name in _READ_ONCE & vars(other).keys():
            vars(self)[name] = vars(other)[name]
        self._alone = other._alone

    @cached_property
    def settings(self) -> LedgerSettings:
        """Calendar, reporting currency and rates at the basis."""
        found = settings_at(self.settings_events, self.valid_at, first_currency=None)
        if found.reporting_currency is None:
            currency = self._reader.first_currency(self.basis)
            found = replace(found, reporting_currency=currency)
        return found

    @property
    def settings_events(self) -> list[Event]:
        """The visible events of the settings."""
        return self._reader.stream(self.basis, SETTINGS_STREAM)

    @property
    def first_amount(self) -> FirstAmount | None:
        """The first amount of a deal: until one is set, its currency is the reporting currency."""
        return self._reader.first_amount(self.basis)

    @cached_property
    def directory(self) -> Directory:
        """People and accounts at the basis."""
        accounts = accounts_at(self.account_events, self.valid_at)
        return Directory(self.people, accounts, self.settings.calendar)

    @property
    def account_events(self) -> list[Event]:
        """The visible events that say what accounts are."""
        return self._reader.events(self.basis, "account", ("account-opened", "account-revised"))

    @cached_property
    def people(self) -> dict[str, Person]:
        """Everybody who ever joined, as they are at the basis, by id."""
        return people_at(self.people_events, self.valid_at)

    def person(self, person_id: str) -> Person | None:
        """One person at the basis, read alone where deals are."""
        stream = stream_name("person", person_id)
        if "people" in vars(self) or not self._alone.deals or not is_stream(stream):
            return self.people.get(person_id)
        events = [
            e for e in self._reader.stream(self.basis, stream) if e["type"] in CHART_TYPES | ACTS
        ]
        return people_at(events, self.valid_at).get(person_id)

    @property
    def people_events(self) -> list[Event]:
        """The visible events that say who people are and to whom they report."""
        return self._reader.events(self.basis, "person", CHART_TYPES)

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
    def playbooks(self) -> PlaybookHistory:
        """The playbooks in force: the versions that the basis sees."""
        under, published = self.basis.under, None
        if under is not None:
            published = self._reader.events(
                everything_known(self.basis), "playbook", ("playbook-published",)
            )
        return PlaybookHistory(
            self.playbook_events, self.valid_at, under=under, published=published
        )

    @cached_property
    def judge(self) -> Judge:
        """The playbooks in force and the evidence on accounts: by what deals are judged."""
        evidence = self._reader.events(self.basis, "account", (EvidenceRecorded.type,))
        return Judge(self.valid_at, self.playbooks, by_stream_id(evidence))

    def judge_of(self, events: Iterable[Event]) -> Judge:
        """The same for one deal: with no more than what its own events may rest on."""
        if "judge" in vars(self):
            return self.judge
        return judge_alone(self._reader, self.basis, self.valid_at, self.playbooks, events)

    @property
    def calendar(self) -> FiscalCalendar:
        """The fiscal calendar at the basis."""
        return self.settings.calendar

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


_READ_ONCE = frozenset(
    name for name, part in vars(ReferenceData).items() if isinstance(part, cached_property)
)
"""What is read of a book at most once."""
