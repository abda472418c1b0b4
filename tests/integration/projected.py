"""A book that is written at random, and what its read models must say: what a rebuild says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Thread
from typing import Any

import psycopg

from ledger.domain.events import Draft, Event, EventPayload, Source
from ledger.domain.ids import event_id_of
from ledger.store.ledger import Ledger
from projections.fold.deal_history import DealHistory, World
from projections.fold.states import Learned
from projections.histories import History
from projections.position import Status, status
from projections.rebuild import rebuild
from projections.runner import Runner
from tests.unit.domain.builders import money, payload
from tests.unit.fold.journey_kit import JOURNEY

SECONDS_MAX = 60
THEN = datetime(2026, 1, 1, tzinfo=UTC)


class Writer:
    """Writes random events of deals, some of them late, and evidence on their accounts.

    Args:
        ledger: where to.
        deals: how many deals there are.
        seed: what they go through.
    """

    def __init__(self, ledger: Ledger, deals: int = 20, seed: int = 1) -> None:
        self.ledger = ledger
        self.deals = deals
        self._random = Random(seed)
        self._number = 0

    def publish(self) -> None:
        """Publish a version of the playbook."""
        version = JOURNEY.model_copy(update={"version": str(self._number + 1)})
        said = payload("playbook-published", playbook=version.model_dump())
        self._add([self._draft("playbook:small", said)])

    def open(self) -> None:
        """Open all deals."""
        self._add(
            self._draft(f"deal:D{number}", payload(
                "deal-opened", name=f"Deal {number}", owner="ann", account=f"A{number % 3}",
                amount=money("100.00"), close_date="2026-06-30",
            ))
            for number in range(self.deals)
        )  # fmt: skip

    def write(self, events: int) -> None:
        """Write some more, all in one act."""
        self._add([self._any() for _ in range(events)])

    def of(self, stream: str, said: EventPayload) -> None:
        """Write an event of a stream."""
        self._add([self._draft(stream, said)])

    @property
    def head(self) -> int:
        return self.ledger.head().size

    def _any(self) -> Draft:
        chance = self._random
        deal = f"deal:D{chance.randrange(self.deals)}"
        met = {"criterion": chance.choice(["fit", "deadline", "price"]), "source_kind": "call"}
        stance = chance.choice(["supports", "supports", "contradicts"])
        stream, said = chance.choice([
            (deal, payload("deal-revised", amount=money(f"{chance.randrange(1, 999)}.50"))),
            (deal, payload("deal-revised", close_date=f"2026-0{chance.randrange(1, 10)}-15")),
            (deal, payload("deal-revised", account=f"A{chance.randrange(3)}")),
            (deal, payload("category-claimed", category=chance.choice(["commit", "pipeline"]))),
            (deal, payload("evidence-recorded", **met, stance=stance, said_by="cho")),
            (deal, payload("stakeholder-added", stakeholder="cho", name="Cho", role="buyer")),
            (f"account:A{chance.randrange(3)}",
             payload("evidence-recorded", **met, stance=stance, said_by="cho")),
            ("person:ann", payload("person-assessed", aspect="urgency", score=3, assessor="mia")),
        ])  # fmt: skip
        return self._draft(stream, said, late_hours=chance.choice([0, 0, 0, 200]))

    def _draft(self, stream: str, said: EventPayload, late_hours: int = 0) -> Draft:
        self._number += 1
        known = THEN + timedelta(minutes=20 * self._number)
        event_id = event_id_of("projected", "event", f"{id(self)}-{self._number}")
        occurred = max(THEN, known - timedelta(hours=late_hours))
        return Draft(stream, said, event_id, "ann", Source("crm"), occurred, known)

    def _add(self, drafts: Iterable[Draft]) -> None:
        self.ledger.import_events(list(drafts))


class Stumbling:
    """A fold that stumbles over events of one deal, until it is healed."""

    def __init__(self, deal: str) -> None:
        self.deal = deal
        self.healed = False
        self.pause_seconds = 0.0

    def __call__(self, deal_id: str, world: World) -> History:
        return _Stumbler(deal_id, world, self)


class _Stumbler:
    """A history around ours, for a compiled one has no heirs."""

    def __init__(self, deal_id: str, world: World, cause: Stumbling) -> None:
        self._history = DealHistory(deal_id, world)
        self._cause = cause

    @property
    def accounts(self) -> frozenset[str]:
        return self._history.accounts

    def learn(self, events: Iterable[Event]) -> Learned:
        events = list(events)
        time.sleep(self._cause.pause_seconds)
        if self._history.deal_id == self._cause.deal and events and not self._cause.healed:
            raise ValueError("a fold that does not know this")
        return self._history.learn(events)


def runner(url: str, **more: Any) -> Runner:
    """A runner that rebuilds here when it must."""
    return Runner(url, lambda: rebuild(url), lambda _sentence: None, **more)


@contextmanager
def following(work: Runner) -> Iterator[Runner]:
    """A runner at work in a thread, stopped at the end."""
    thread = Thread(target=work.follow, daemon=True)
    thread.start()
    try:
        yield work
    finally:
        work.stop()
        thread.join(SECONDS_MAX)
        assert not thread.is_alive(), "the runner does not stop"


def status_of(url: str) -> Status:
    """How far the read models are."""
    with psycopg.connect(url, autocommit=True) as connection:
        return status(connection)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fail when it never does."""
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)


def wait_for_position(url: str, position: int) -> None:
    """Wait until the live tables hold all events up to a position."""
    wait_until(lambda: status_of(url).position >= position, f"position {position}")


def assert_as_rebuilt(url: str) -> None:
    """The live tables are what is made of the log from scratch."""
    before = status_of(url)
    assert before.lag_events == 0
    done = rebuild(url, verify=True)
    assert done.verified
    assert done.position == before.position


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Ask the database, as its owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()
