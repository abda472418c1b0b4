"""What events changed of deals, told to one who listens."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ledger.domain.basis import Basis
from ledger.domain.events import Event
from ledger.domain.times import END_OF_TIME
from ledger.store.ledger import Ledger
from projections import audience as of_an_event
from projections.audience import Audience, basis_of, is_of_deal
from projections.deal_changes import deal_change
from projections.fold.rulebook import PlaybookHistory
from projections.reader import LogReader
from projections.scope import EVERYTHING
from tests.integration.projected import Writer


def test_playbooks_are_compiled_once_for_the_events_that_see_the_same(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(ledger, deals=6)
    writer.publish()
    writer.open()
    writer.write(30)
    writer.publish()
    writer.write(30)
    compiled: list[int] = []

    class Counted(PlaybookHistory):
        def __init__(self, events: Iterable[Event], valid_at: str) -> None:
            events = list(events)
            compiled.append(len(events))
            super().__init__(events, valid_at)

    monkeypatch.setattr(of_an_event, "PlaybookHistory", Counted)
    with ledger.database.asking() as connection:
        reader = LogReader(connection)
        everything = Basis(END_OF_TIME, END_OF_TIME, writer.head)
        events = [e for e in reader.log(everything, 0, None, None, whole=True) if is_of_deal(e)]
        together = Audience(reader, lambda _chart: EVERYTHING, events)
        changes = [deal_change(reader, together, event) for event in events]
        assert compiled == [1, 2]
        alone = [Audience(reader, lambda _chart: EVERYTHING, [event]) for event in events]
        each = zip(alone, events, strict=True)
        assert changes == [deal_change(reader, audience, event) for audience, event in each]
    told = [change for change in changes if change is not None]
    assert len(told) > 20
    assert {change.basis for change in told} <= {basis_of(event) for event in events}
