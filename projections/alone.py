"""Deals that are asked for one by one: each is read alone, once, whatever else the book holds.

Law: a deal read alone is the deal that the whole book gives. It is judged by the same playbooks,
and by the evidence of the accounts that its own events name; no others could count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ledger.domain.basis import Basis
from ledger.domain.events import Event, EvidenceRecorded, is_stream, stream_name
from ledger.domain.history import ACTS
from projections.fold.known_then import accounts_mentioned
from projections.fold.rulebook import PlaybookHistory
from projections.qualified import BookDeal, Judge
from projections.reader import LogReader

_EVIDENCE = ACTS | {EvidenceRecorded.type}


class Alone:
    """The deals that were asked for one by one, and the events that they rest on."""

    def __init__(self) -> None:
        self.deals: dict[str, BookDeal] = {}
        self._events: dict[int, Event] = {}

    def add(self, deal: BookDeal, others: Iterable[Event]) -> None:
        """Keep a deal.

        Args:
            deal: as it was read.
            others: events that it may rest on besides its own.
        """
        self.deals[deal.deal_id] = deal
        self._events.update((each["position"], each) for each in (*deal.events, *others))

    def known(self, positions: Collection[int]) -> dict[int, Event]:
        """The events at some positions, of those that were read."""
        return {at: self._events[at] for at in positions if at in self._events}


def judge_alone(
    reader: LogReader,
    basis: Basis,
    valid_at: str,
    playbooks: PlaybookHistory,
    events: Iterable[Event],
) -> Judge:
    """By what a deal is judged that is read alone.

    Args:
        reader: of the log.
        basis: that of the book.
        valid_at: its valid time, in the one spelling.
        playbooks: those that the basis sees.
        events: of the deal, as the basis sees them.
    """
    evidence: dict[str, list[Event]] = {}
    for account in sorted(accounts_mentioned(events)):
        stream = stream_name("account", account)
        read = reader.stream(basis, stream) if is_stream(stream) else []
        found = [event for event in read if event["type"] in _EVIDENCE]
        if found:
            evidence[account] = found
    return Judge(valid_at, playbooks, evidence)
