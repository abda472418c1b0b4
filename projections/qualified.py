"""A deal of the book: what is claimed of it, and what its evidence supports, side by side.

Law: both are folded from the same visible events at the same basis; what is not asked for is not
folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import OPEN
from ledger.domain.events import Event
from projections.fold.claims import ClaimedDeal, claimed_deal
from projections.fold.findings import Finding, findings
from projections.fold.gates import Qualification
from projections.fold.qualification import QUALIFYING_TYPES, qualify
from projections.fold.rulebook import PlaybookHistory
from projections.fold.verdict import Verdict, no_evidence_no_revenue

_BESIDES_EVIDENCE = frozenset({"stakeholder-added", "stakeholder-changed", "stakeholder-left"})
_MOVING_TYPES = QUALIFYING_TYPES - _BESIDES_EVIDENCE


class Judge(NamedTuple):
    """What judging deals depends on, besides their own events.

    Args:
        valid_at: valid time of the basis, in the one spelling.
        playbooks: the versions that the basis sees.
        account_evidence: account id -> the visible evidence of that account's stream.
    """

    valid_at: str
    playbooks: PlaybookHistory
    account_evidence: Mapping[str, Sequence[Event]]

    def qualify(
        self, deal_id: str, events: Iterable[Event], *, ahead_until: str | None = None
    ) -> Qualification | None:
        """See `projections.fold.qualification.qualify`."""
        return qualify(
            deal_id,
            events,
            self.valid_at,
            self.playbooks,
            self.account_evidence,
            ahead_until=ahead_until,
        )


class BookDeal:
    """A deal at a basis.

    Args:
        claimed: what is claimed of it.
        events: its visible events, those of gates among them where any playbook is in force.
        judge: by what it is judged.
    """

    def __init__(self, claimed: ClaimedDeal, events: list[Event], judge: Judge) -> None:
        self.claimed = claimed
        self.events = events
        self.judge = judge

    @classmethod
    def fold(cls, deal_id: str, events: list[Event], judge: Judge) -> BookDeal | None:
        """The deal, or None where it is not in the book at that basis."""
        claimed = claimed_deal(deal_id, events, judge.valid_at)
        return None if claimed is None else cls(claimed, events, judge)

    @property
    def deal_id(self) -> str:
        return self.claimed.deal_id

    @property
    def is_open(self) -> bool:
        """Whether nothing has ended the deal."""
        return self.claimed.outcome == OPEN

    @cached_property
    def qualification(self) -> Qualification:
        """Where it really stands, and why."""
        return self.ahead(None)

    def ahead(self, until: str | None) -> Qualification:
        """The same, and what will lapse until an instant if nothing happens."""
        found = self.judge.qualify(self.deal_id, self.events, ahead_until=until)
        assert found is not None  # noqa: S101 - a deal in the book has gates: both folds agree on it
        return found

    @cached_property
    def verdict(self) -> Verdict:
        """What may be projected from it on its evidence."""
        return no_evidence_no_revenue(self.qualification)

    def findings(self, calendar: FiscalCalendar) -> list[Finding]:
        """Its claims held against its evidence; the calendar says when a close date is over."""
        return findings(self.claimed, self.qualification, self.verdict, calendar)

    @property
    def unproven(self) -> bool:
        """Whether nothing was ever recorded that could move it through a gate."""
        account = self.claimed.account
        return not self.judge.account_evidence.get(account or "") and not any(
            event["type"] in _MOVING_TYPES for event in self.events
        )
