"""Rebuilding the read models beside the live ones, and swapping.

Law: only the side that is not live is written, so answers come from the live one until the swap,
which is one UPDATE in one transaction. Deals are folded in parts (`projections.parts`); a rebuild
that was stopped - interrupted, killed - goes on with the parts that are left. Then the new side is
indexed, is brought to where the live one has come meanwhile, and goes live. One rebuild at a time,
by an advisory lock of its session.

`verify` compares the two sides at one position, all states and all entries both ways, and refuses
to swap when they differ.

A side is emptied only when no reader can still be looking at it: one whose transaction began before
that side ceased to be live is waited for, since TRUNCATE does not keep old rows for old snapshots.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import Connection, IsolationLevel

from ledger.domain.basis import RULES
from ledger.domain.errors import Refused, Unavailable
from ledger.domain.times import Instant
from projections import sessions
from projections.fold import walk
from projections.fold.deal_history import DealHistory
from projections.histories import Fold
from projections.parallel import EVENTS_PER_WORKER_MIN
from projections.parts import Job, load_beside, load_parts
from projections.position import INDEXING_LOCK, PROJECTED_CHANNEL, REBUILD_LOCK
from projections.projector import Projector, note_known
from projections.reader import LogReader, StreamRange, category_range
from projections.rolling import Share, roll_beside, roll_months
from projections.runner import Advance
from projections.tables import openings
from projections.tables.sides import Side, on
from projections.verify import differences
from projections.workers import Workers
from projections.worlds import world_at

EVENTS_PER_PART = 25_000
PARTS_MAX = 128
POLL_SECONDS = 0.2
READERS_SECONDS_MAX = 300

COMPILED = not str(walk.__file__).endswith(".py")
"""Whether the fold runs compiled to C."""

_ALONE: LiteralString = "SELECT pg_try_advisory_lock(%s)"
_NO_LONGER_ALONE: LiteralString = "SELECT pg_advisory_unlock(%s)"
_SIDES: LiteralString = """
SELECT side, live, position, rules, zone, ready,
       (SELECT count(*) FROM qledger.rebuild_part AS part WHERE part.side = p.side)
FROM qledger.projection AS p ORDER BY live
"""
_HEAD: LiteralString = "SELECT size FROM qledger.head"
_OLD_READERS: LiteralString = """
SELECT count(*) FROM pg_stat_activity AS session, qledger.projection AS p
WHERE p.side = %s AND session.datname = current_database()
AND session.pid <> pg_backend_pid() AND session.xact_start <= p.swapped_at + interval '10 seconds'
"""
_HIDDEN_READERS: LiteralString = """
SELECT pid, backend_xmin::text FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
AND xact_start IS NULL AND backend_xmin IS NOT NULL
"""
_RECORDED: LiteralString = """
SELECT coalesce(recorded_at, clock_timestamp()) FROM qledger.head
"""
_FORGET_PARTS: LiteralString = "DELETE FROM qledger.rebuild_part"
_EMPTY: LiteralString = """
TRUNCATE {side}.deal_state, {side}.forecast_entry, {side}.forecast_opening
"""
_GIVE_WAY: LiteralString = "SET LOCAL lock_timeout = '1s'"
_UNINDEX: LiteralString = "SELECT qledger.unindex_side(%s)"
_INDEX_ENTRIES: LiteralString = "SELECT qledger.index_entries(%s)"
_INDEX_STATES: LiteralString = "SELECT qledger.index_states(%s)"
_ALONE_BESIDE: LiteralString = "SELECT pg_advisory_lock(%s)"
_WATCHED: LiteralString = "SET client_connection_check_interval = '1s'"
_BEGIN: LiteralString = """
UPDATE qledger.projection SET position = %(horizon)s, rules = %(rules)s, zone = %(zone)s,
    ready = false, halted_at = NULL, halted_because = NULL, projected_at = clock_timestamp()
WHERE side = %(side)s AND NOT live
"""
_PART: LiteralString = """
INSERT INTO qledger.rebuild_part (side, number, first_stream, end_stream) VALUES (%s, %s, %s, %s)
"""
_PROGRESS: LiteralString = """
SELECT count(*), count(*) FILTER (WHERE done), coalesce(sum(events), 0)::bigint
FROM qledger.rebuild_part WHERE side = %s
"""
_OPENED: LiteralString = "SELECT count(DISTINCT month) FROM {side}.forecast_opening"
_HOLD_BOTH: LiteralString = "SELECT side FROM qledger.projection ORDER BY side FOR UPDATE"
_SWAP: LiteralString = """
UPDATE qledger.projection
SET live = (side = %(side)s), ready = (side = %(side)s), swapped_at = clock_timestamp(),
    halted_at = NULL, halted_because = NULL
"""
_HOLD_LIVE: LiteralString = "SELECT side FROM qledger.projection WHERE live FOR UPDATE"
_NOTIFY: LiteralString = f"NOTIFY {PROJECTED_CHANNEL}"


class Rebuilt(NamedTuple):
    """What a rebuild did.

    Args:
        side: the side that went live.
        position: where it stood then.
        events: how many events were folded.
        resumed: whether it went on with a rebuild that had been stopped.
        verified: whether the new tables were found equal to the old ones.
    """

    side: Side
    position: int
    events: int
    resumed: bool
    verified: bool


def rebuild(
    conninfo: str,
    *,
    workers: int = 1,
    verify: bool = False,
    advance: Advance = lambda _what, _done, _total: None,
    fold: Fold = DealHistory,
) -> Rebuilt:
    """Make the read models anew from the log and let them go live.

    Args:
        conninfo: the database.
        workers: how many processes fold.
        verify: compare with the live tables before the swap.
        advance: told of the progress.
        fold: makes the empty history of a deal; with another than ours, all is folded here.

    Raises:
        Refused: `rebuild-runs`; with `verify`, `rebuild-differs` or `nothing-to-verify`.
        CannotProject: an event that the fold does not take.
        Unavailable: `worker-failed`, `readers-busy`.
        psycopg.OperationalError: the database went away; what was done stays.
    """
    with sessions.owning(conninfo) as connection:
        row = connection.execute(_ALONE, [REBUILD_LOCK]).fetchone()
        if row is None or not row[0]:
            raise Refused(
                "rebuild-runs", "another process rebuilds the read models",
                hint="qledger status shows how far it is",
            )  # fmt: skip
        try:
            work = _Rebuild(connection, conninfo, fold, advance)
            resumed = work.plan(verify=verify)
            events = work.load(workers)
            work.finish(verify=verify)
            position = work.swap()
            return Rebuilt(work.side, position, events, resumed, verify)
        finally:  # at once: the session may end a little after its connection
            with suppress(psycopg.Error):
                connection.execute(_NO_LONGER_ALONE, [REBUILD_LOCK])


def _readers_busy() -> Unavailable:
    return Unavailable(
        "readers-busy", "a transaction still reads the tables that are to be emptied",
        hint="end it, or wait until it ends, and run it again",
    )  # fmt: skip


class _Place(NamedTuple):
    """A side as its row says."""

    side: str
    live: bool
    position: int
    rules: str
    zone: str
    ready: bool
    parts: int


class _Rebuild:
    """One rebuild, by the session that holds the lock."""

    def __init__(
        self, connection: Connection[Any], conninfo: str, fold: Fold, advance: Advance
    ) -> None:
        self._connection = connection
        self._conninfo = conninfo
        self._fold = fold
        self._advance = advance
        self.side = Side.A
        self._job = Job(conninfo, self.side, 0, "")
        self._count = 1
        """How many processes are at work."""

    def plan(self, *, verify: bool) -> bool:
        """Take up what was stopped, or empty the side and cut the book into parts.

        Returns:
            Whether something was taken up.
        """
        beside, live = self._places()
        self.side = Side(beside.side)
        if verify and not (live.ready and live.rules == RULES):
            raise Refused(
                "nothing-to-verify", "the live tables were made by other rules",
                hint="run qledger rebuild without --verify",
            )  # fmt: skip
        goes_on = beside.parts and beside.rules == RULES and not beside.ready
        if goes_on and (not verify or beside.position <= live.position):
            self._job = Job(self._conninfo, self.side, beside.position, beside.zone)
            return True
        horizon = live.position if verify else self._one(_HEAD)
        self._begin(horizon)
        return False

    def _begin(self, horizon: int) -> None:
        self._await_old_readers()
        zone = world_at(self._connection, horizon).zone
        self._job = Job(self._conninfo, self.side, horizon, zone)
        count = max(1, min(PARTS_MAX, horizon // EVENTS_PER_PART))
        parts = LogReader(self._connection).split(category_range("deal"), count, horizon)
        plan = {"side": self.side, "horizon": horizon, "rules": RULES, "zone": zone}
        deadline = time.monotonic() + READERS_SECONDS_MAX
        while not self._emptied(plan, parts):
            if time.monotonic() > deadline:
                raise _readers_busy()
            time.sleep(POLL_SECONDS)

    def _emptied(self, plan: dict[str, Any], parts: Sequence[StreamRange]) -> bool:
        """Empty the side and write the plan down; False where somebody holds the tables.

        It gives way soon: whoever asks for a table that it waits for would wait behind it.
        """
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.execute(_FORGET_PARTS)  # first: it waits for who still loads one of them
                cursor.execute(_GIVE_WAY)
                cursor.execute(on(self.side, _EMPTY))
                cursor.execute(_UNINDEX, [self.side])
                cursor.execute(_BEGIN, plan)
                cursor.executemany(
                    _PART, [(self.side, number, *part) for number, part in enumerate(parts)]
                )
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def _await_old_readers(self) -> None:
        deadline = time.monotonic() + READERS_SECONDS_MAX
        hidden = self._hidden_readers()
        while self._one(_OLD_READERS, self.side) or hidden & self._hidden_readers():
            if time.monotonic() > deadline:
                raise _readers_busy()
            time.sleep(POLL_SECONDS)

    def _hidden_readers(self) -> set[tuple[int, str]]:
        """The snapshots of other logins, of which this one may not see since when they are."""
        return {(pid, xmin) for pid, xmin in self._connection.execute(_HIDDEN_READERS)}

    def load(self, workers: int) -> int:
        """Fold and load the parts that are left; how many events all parts hold."""
        self._count = 1 if self._job.horizon < EVENTS_PER_WORKER_MIN else workers
        while True:
            parts, done, events = self._progress()
            if parts == done:
                return events
            if self._count < 2 or self._fold is not DealHistory:
                load_parts(self._job, lambda: self._progress() is not None, self._fold)
            else:
                count = min(self._count, parts - done)
                self._await(load_beside(self._job, count), self._progress)
            time.sleep(0 if self._progress()[1] > done else POLL_SECONDS)

    def _await(self, workers: Workers, tell: Callable[[], object]) -> None:
        try:
            while workers.running():
                time.sleep(POLL_SECONDS)
                tell()
        finally:
            workers.end()

    def _progress(self) -> tuple[int, int, int]:
        row = self._connection.execute(_PROGRESS, [self.side]).fetchone()
        assert row is not None  # noqa: S101 - an aggregate gives one row
        parts, done, events = row
        total = self._job.horizon if done < parts else events
        self._advance("Folding events", events, total)
        return parts, done, events

    def finish(self, *, verify: bool) -> None:
        """Index the new side, bring it to where the live one is, compare the two."""
        note_known(self._connection, 0, self._job.horizon)
        self._advance("Making indexes", 0, 2)
        with self._states_indexed():
            self._connection.execute(_INDEX_ENTRIES, [self.side])
            self._advance("Making indexes", 1, 2)
            for (recorded_at,) in self._connection.execute(_RECORDED).fetchall():
                self._roll(recorded_at)
        self._advance("Making indexes", 2, 2)
        self._catch_up()
        if verify:
            self._verify()

    @contextmanager
    def _states_indexed(self) -> Iterator[None]:
        """Index the states meanwhile, on another core; all of them are when this ends.

        The session ends soon after this process does, and never is there a second one.
        """
        with sessions.owning(self._conninfo) as connection, ThreadPoolExecutor(1) as beside:
            connection.execute(_WATCHED)
            connection.execute(_ALONE_BESIDE, [INDEXING_LOCK])
            indexing = beside.submit(connection.execute, _INDEX_STATES, [self.side])
            try:
                yield
                indexing.result()
            except BaseException:
                with suppress(psycopg.Error):
                    connection.cancel_safe()
                raise

    def _roll(self, until: Instant) -> None:
        due = openings.months_due(self._connection, self.side, until)
        begun = self._one(on(self.side, _OPENED))

        def told() -> bool:
            done = self._one(on(self.side, _OPENED)) - begun
            self._advance("Making openings", min(done, len(due)), len(due))
            return True

        share = Share(self._conninfo, self.side, until, due)
        if self._count < 2:
            roll_months(share, told)
        else:
            self._await(roll_beside(share, self._count), told)
        self._advance("Making openings", len(due), len(due))

    def _catch_up(self) -> None:
        """Project onto the new side what the live one has taken since."""
        projector = Projector(self._connection, self.side, self._fold)
        while True:
            beside, live = self._places()
            if beside.position >= live.position:
                return
            self._advance("Catching up", beside.position, live.position)
            if projector.batch(up_to=live.position).need is not None:
                raise Refused(
                    "rebuild-overtaken", "the live tables went beyond what this rebuild can follow",
                    hint="run it again",
                )  # fmt: skip

    def _verify(self) -> None:
        """Compare both sides at one position.

        The live side is held where it is until the new one is there too and a snapshot is taken.
        """
        self._advance("Comparing", 0, 1)
        with sessions.owning(self._conninfo) as holding, sessions.owning(self._conninfo) as seeing:
            seeing.isolation_level = IsolationLevel.REPEATABLE_READ
            with seeing.transaction():
                with holding.transaction():
                    holding.execute(_HOLD_LIVE)
                    self._catch_up()
                    places = [_Place(*row) for row in seeing.execute(_SIDES)]
                if len({(each.position, each.rules, each.zone) for each in places}) > 1:
                    raise Refused(
                        "nothing-to-verify", "the two sides are not at one position",
                        hint="run qledger rebuild --verify again",
                    )  # fmt: skip
                found = differences(seeing)
        if found:
            self._connection.execute(_FORGET_PARTS)
            first = "".join(f"\n  {each}" for each in found)
            raise Refused(
                "rebuild-differs", f"the rebuilt tables differ from the live ones:{first}\n",
                hint="the live tables stay; run qledger rebuild to replace them",
            )  # fmt: skip
        self._advance("Comparing", 1, 1)

    def swap(self) -> int:
        """Let the new side go live; the live one is held still for the last few events."""
        self._catch_up()
        with self._connection.transaction():
            self._connection.execute(_HOLD_BOTH)
            self._catch_up()
            self._connection.execute(_SWAP, {"side": self.side})
            self._connection.execute(_FORGET_PARTS)
            self._connection.execute(_NOTIFY)
            _beside, live = self._places()
        return live.position

    def _places(self) -> tuple[_Place, _Place]:
        """The side beside and the live one."""
        beside, live = (_Place(*row) for row in self._connection.execute(_SIDES))
        return beside, live

    def _one(self, query: LiteralString | bytes, *parameters: object) -> int:
        row = self._connection.execute(query, parameters).fetchone()
        assert row is not None  # noqa: S101 - each of these queries gives one row
        return int(row[0])
