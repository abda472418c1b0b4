"""What tests of reviews are written in: a playbook of four gates, a deal's story, and its case.

problem   fit_confirmed                            pipeline    15 %
price     price_seen (30 days, economic buyer)     best_case   50 %
sign      contract_back, legal_named (optional)    commit      90 %
advocacy  handover_done, after the decision
"""

from __future__ import annotations

from typing import Any

from ledger.domain.basis import Basis
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.events import Event, EventPayload, PlaybookPublished
from ledger.domain.playbook import Criterion, Gate, Playbook, Role
from ledger.domain.times import format_instant
from projections.case import Case, case_of
from projections.fold.contradiction import Contradiction, contradictions
from projections.fold.rulebook import PlaybookHistory
from projections.qualified import BookDeal, Judge
from tests.unit.domain.builders import Log, basis_of, money, opened, payload

PLAYBOOK = Playbook(
    key="short",
    version="1",
    name="Short",
    roles=(Role(key="economic_buyer", name="Economic buyer", authority=True),),
    gates=(
        Gate(
            key="problem", name="Problem", stage="Consideration", category="pipeline",
            weight_percent=15,
            criteria=(
                Criterion(
                    key="fit_confirmed", question="Is the fit confirmed?", layer="organization"
                ),
            ),
        ),
        Gate(
            key="price", name="Price", stage="Consideration", category="best_case",
            weight_percent=50, expected_days=20,
            criteria=(
                Criterion(
                    key="price_seen", question="Has the price been seen?", fresh_for_days=30,
                    said_by_role="economic_buyer",
                ),
            ),
        ),
        Gate(
            key="sign", name="Signature", stage="Decision", category="commit", weight_percent=90,
            criteria=(
                Criterion(key="contract_back", question="Is the contract back?"),
                Criterion(key="legal_named", question="Who is legal?", mandatory=False),
            ),
        ),
        Gate(
            key="advocacy", name="Advocacy", stage="Advocacy", category="commit",
            after_decision=True,
            criteria=(Criterion(key="handover_done", question="Is it handed over?"),),
        ),
    ),
)  # fmt: skip
CALENDAR = FiscalCalendar()
LATER = "2027-01-01"


class Story:
    """A ledger in memory in which a playbook is in force and a deal is open.

    Args:
        deal: its id.
        fields: of its opening, on 5 January 2026; it is to close on 31 March for 100000.00 USD.
    """

    def __init__(self, deal: str = "D1", *, log: Log | None = None, **fields: Any) -> None:
        self.log = Log() if log is None else log
        self.deal = deal
        if log is None:
            published = PlaybookPublished(playbook=PLAYBOOK)
            self.log.record(published, "2026-01-01", stream="playbook:short")
        given = {"amount": money("100000.00"), "close_date": "2026-03-31", "owner": "ann", **fields}
        given = {key: value for key, value in given.items() if value is not None}
        self.record(opened(**given), "2026-01-05")
        buyer = payload("stakeholder-added", stakeholder="eve", name="Eve", role="economic_buyer")
        self.record(buyer, "2026-01-05")

    def record(self, what: EventPayload, occurred: str, known: str | None = None) -> Event:
        """Record something; what is known later than it happened is attested by a source."""
        return self.log.record(what, occurred, stream=f"deal:{self.deal}", known_at=known)

    def claims(self, category: str, day: str) -> Event:
        return self.record(payload("category-claimed", category=category), day)

    def shows(self, criterion: str, day: str, known: str | None = None) -> Event:
        """The economic buyer says so in a meeting."""
        return self.record(evidence(criterion, "supports"), day, known)

    def denies(self, criterion: str, day: str, known: str | None = None) -> Event:
        return self.record(evidence(criterion, "contradicts"), day, known)

    def closes(self, outcome: str, day: str, known: str | None = None) -> Event:
        return self.record(payload("deal-closed", outcome=outcome), day, known)

    def book_deal(self, valid_at: str = LATER, known_at: str | None = None) -> BookDeal:
        """The deal at a basis."""
        basis = basis_of(valid_at, known_at)
        deal = BookDeal.fold(
            self.deal, self._stream(f"deal:{self.deal}", basis), self._judge(basis)
        )
        assert deal is not None
        return deal

    def case(self, valid_at: str = LATER, known_at: str | None = None) -> Case:
        """The deal, opened up at a basis."""
        basis = basis_of(valid_at, known_at)
        deal = self.book_deal(valid_at, known_at)
        return case_of(deal, self._playbook(basis), CALENDAR, format_instant(basis.known_at))

    def contradictions(
        self, valid_at: str = LATER, known_at: str | None = None
    ) -> list[Contradiction]:
        return contradictions(self.case(valid_at, known_at).moments, CALENDAR)

    def _judge(self, basis: Basis) -> Judge:
        valid_at = format_instant(basis.valid_at)
        accounts: dict[str, list[Event]] = {}
        for event in self.log.visible(basis):
            kind, _colon, account = event["stream"].partition(":")
            if kind == "account":
                accounts.setdefault(account, []).append(event)
        return Judge(valid_at, PlaybookHistory(self._playbook(basis), valid_at), accounts)

    def _playbook(self, basis: Basis) -> list[Event]:
        return self._stream("playbook:short", basis)

    def _stream(self, stream: str, basis: Basis) -> list[Event]:
        return [event for event in self.log.visible(basis) if event["stream"] == stream]


def evidence(criterion: str, stance: str, said_by: str | None = "eve") -> EventPayload:
    """Something said in a meeting."""
    said = {} if said_by is None else {"said_by": said_by}
    return payload(
        "evidence-recorded", criterion=criterion, stance=stance, source_kind="meeting", **said
    )


def by_position(story: Story) -> dict[int, Event]:
    """All events of a story by position."""
    return {event["position"]: event for event in story.log.events}
