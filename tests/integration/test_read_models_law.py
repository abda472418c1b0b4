"""The law of the read models: rebuilt tables = live tables = fold from scratch, at any basis.

Hypothesis makes up histories - late events, corrections and retractions, history that is imported
long after it became known, lapses, loops, people and owners and currencies that change, evidence on
accounts and deals that change their account, new versions of playbooks, waivers set ahead, another
time zone - and records them in a real ledger, piece by piece, with the projector at work meanwhile.
Then three things are held against each other: the live tables, the tables rebuilt beside them, and
the log folded from scratch; and each forecast is asked of the tables and of the log.

In the second test the projector does not come to the end of its batch: the fold raises, or its
session is terminated by the server, and a rebuild is broken off and taken up again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from random import Random
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ledger.config import Settings
from ledger.domain.events import Draft, Event
from ledger.store.ledger import Ledger
from projections import sessions
from projections.fold.deal_history import DealHistory, World
from projections.fold.states import Learned
from projections.projector import Projector
from projections.rebuild import rebuild
from projections.tables import openings
from projections.tables.checks import check_tables
from scripts.soaking.asking import KINDS, Asker, questions
from scripts.soaking.compare import (
    bases,
    deals_of,
    differences,
    differences_at,
    from_scratch,
    kept_on,
    live_side,
)
from scripts.soaking.stories import story

pytestmark = pytest.mark.usefixtures("openings_of_few_entries")

FreshLedger = Callable[[], AbstractContextManager[tuple[Ledger, Settings]]]


@pytest.fixture
def openings_of_few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Openings that a story of some hundred events has as well."""
    monkeypatch.setattr(openings, "ENTRIES_PER_OPENING_MIN", 3)


seeds = st.integers(0, 2**40)
AS_FOUND = (Phase.explicit, Phase.generate)
"""A story grows from its seed: a smaller seed is no smaller story."""


class Stopped(BaseException):
    """As when a person or the system ends the process."""


class Fold:
    """Folds as `DealHistory` does, until something happens in the middle."""

    def __init__(self) -> None:
        self._left = 0
        self._happens: Callable[[], None] | None = None

    def after(self, deals: int, happens: Callable[[], None] | None) -> None:
        """What happens once some more deals have learned something."""
        self._left, self._happens = deals, happens

    def __call__(self, deal_id: str, world: World) -> Interrupted:
        return Interrupted(self, DealHistory(deal_id, world))

    def step(self) -> None:
        """One deal has learned something."""
        self._left -= 1
        if self._left < 0 and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()


class Interrupted:
    """A deal's history that may be interrupted after it has learned something."""

    def __init__(self, fold: Fold, history: DealHistory) -> None:
        self._fold = fold
        self._history = history

    @property
    def accounts(self) -> frozenset[str]:
        return self._history.accounts

    def learn(self, events: Iterable[Event]) -> Learned:
        learned = self._history.learn(events)
        self._fold.step()
        return learned


class Kept:
    """A ledger whose read models are kept, and held against the law."""

    def __init__(self, ledger: Ledger, told: Sequence[Draft], random: Random) -> None:
        self.ledger = ledger
        self.told = list(told)
        self.random = random
        self.fold = Fold()
        self._sessions = ExitStack()
        self.projecting, self.projector = self._start()

    def close(self) -> None:
        self._sessions.close()

    def _start(self) -> tuple[psycopg.Connection[Any], Projector]:
        connection = self._sessions.enter_context(sessions.writing(self.ledger.url))
        return connection, Projector(connection, fold=self.fold)

    def record(self, count: int) -> None:
        """Record the next events: as an import, or one by one."""
        chunk, self.told = self.told[:count], self.told[count:]
        if self.random.random() < 0.3:
            for draft in chunk:
                self.ledger.record([draft])
        elif chunk:
            self.ledger.import_events(chunk)

    def project(self, events_max: int = 1_000) -> None:
        """Project a batch; it may be broken off."""
        with self._surviving():
            self.projector.batch(events_max)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """As the runner does: whoever lost the connection makes another and tries again."""
        try:
            yield
        except Stopped:
            pass
        except psycopg.OperationalError:
            self.projecting.close()
            self.projecting, self.projector = self._start()

    def open_balances(self) -> None:
        """Make openings of the journal, as known by the last event."""
        with self._surviving(), self.projecting.transaction():
            openings.roll(self.projecting, live_side(self.projecting), self.ledger.clock())

    def restart(self) -> None:
        """Another process projects on, with nothing in memory."""
        self.projector = Projector(self.projecting, fold=self.fold)

    def catch_up(self) -> None:
        """Project all there is; nothing happens any more."""
        self.fold.after(0, None)
        left = True
        while left:
            with self._surviving():
                left = self.projector.batch(self.random.choice([3, 40, 1_000])).left > 0

    def rebuild(self, *, verify: bool) -> None:
        """Rebuild beside and swap; it may be broken off."""
        with suppress(Stopped, psycopg.OperationalError):
            rebuild(self.ledger.url, verify=verify, fold=self.fold)

    def terminate(self) -> None:
        """End every session that keeps the read models, from the server's side."""
        with psycopg.connect(self.ledger.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'qledger-projection' AND datname = current_database()"
            )

    def holds(self, *, points: int, questions_asked: int) -> Counter[str]:
        """Hold everything against the law; how many answers of each kind the tables gave."""
        with sessions.owning(self.ledger.url) as connection, Asker(self.ledger.url) as asker:
            side = live_side(connection)
            deals, kept = deals_of(connection, side), kept_on(connection, side)
            assert deals.position == self.ledger.head().size
            assert differences("live", kept, from_scratch(deals, self.random)) == []
            assert differences_at(deals, kept, bases(deals, self.random, points)) == []
            asked = asker.ask(questions(deals, self.random, questions_asked))
            assert asked.differences == []
            return asked.from_tables

    def is_rebuilt_alike(self) -> None:
        """Rebuilt on the other side the tables are the same, and so they go live."""
        with sessions.owning(self.ledger.url) as connection:
            before = live_side(connection)
            rebuild(self.ledger.url, verify=True)
            assert live_side(connection) is before.other
            both = [kept_on(connection, side) for side in (before, before.other)]
            assert differences("live, rebuilt", *both) == []
            assert list(check_tables(connection)) == []


def test_rebuilt_tables_live_tables_and_the_fold_from_scratch_are_equal(
    fresh_ledger: FreshLedger,
) -> None:
    answered = Counter[str]()

    @given(seeds, st.integers(1, 5), st.integers(0, 120))
    @hypothesis_settings(max_examples=9, phases=AS_FOUND)
    def law(seed: int, deals: int, events: int) -> None:
        random = Random(seed)
        with kept_ledger(fresh_ledger, story(seed, deals, events), random) as kept:
            while kept.told:
                kept.record(random.choice([1, 5, 30, 80]))
                if random.random() < 0.8:
                    kept.project(random.choice([1, 7, 1_000]))
                if random.random() < 0.2:
                    kept.open_balances()
                if random.random() < 0.1:
                    kept.restart()
            kept.catch_up()
            answered.update(kept.holds(points=6, questions_asked=12))
            kept.is_rebuilt_alike()
            kept.holds(points=0, questions_asked=4)

    law()
    assert {kind for kind, times in answered.items() if times} == set(KINDS)


@contextmanager
def kept_ledger(fresh: FreshLedger, told: Sequence[Draft], random: Random) -> Iterator[Kept]:
    with fresh() as (ledger, _settings):
        kept = Kept(ledger, told, random)
        try:
            yield kept
        finally:
            kept.close()


class InterruptedMachine(RuleBasedStateMachine):
    """The same while whoever projects or rebuilds is stopped in the middle of it."""

    fresh_ledger: ClassVar[FreshLedger]

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.kept: Kept

    @initialize(seed=seeds, deals=st.integers(2, 4), events=st.integers(30, 90))
    def begin(self, seed: int, deals: int, events: int) -> None:
        told = story(seed, deals, events)
        fresh = type(self).fresh_ledger
        self.kept = self.opened.enter_context(kept_ledger(fresh, told, Random(seed)))
        self.kept.record(10)
        self.kept.catch_up()

    @rule(count=st.sampled_from([1, 10, 40]))
    def record(self, count: int) -> None:
        self.kept.record(count)

    @rule(events=st.sampled_from([2, 20, 1_000]))
    def project(self, events: int) -> None:
        self.kept.project(events)

    @rule()
    def open_balances(self) -> None:
        self.kept.open_balances()

    @rule()
    def another_takes_over(self) -> None:
        self.kept.restart()

    @rule(after=st.integers(0, 4), terminated=st.booleans())
    def dies_in_the_middle(self, after: int, terminated: bool) -> None:
        self.kept.fold.after(after, self.kept.terminate if terminated else stop)

    @rule(verify=st.booleans())
    def rebuild(self, verify: bool) -> None:
        self.kept.rebuild(verify=verify)

    @rule()
    def ask(self) -> None:
        self.kept.catch_up()
        self.kept.holds(points=2, questions_asked=3)

    def teardown(self) -> None:
        try:
            if hasattr(self, "kept"):
                self.kept.record(len(self.kept.told))
                self.kept.catch_up()
                self.kept.holds(points=3, questions_asked=4)
                self.kept.is_rebuilt_alike()
        finally:
            self.opened.close()


def stop() -> None:
    raise Stopped


def test_whatever_dies_when_the_tables_come_to_say_what_the_log_says(
    fresh_ledger: FreshLedger,
) -> None:
    over_fresh_ledgers = type(
        "Interrupted", (InterruptedMachine,), {"fresh_ledger": staticmethod(fresh_ledger)}
    )
    run_state_machine_as_test(
        over_fresh_ledgers,
        settings=hypothesis_settings(max_examples=8, stateful_step_count=14, phases=AS_FOUND),
    )
