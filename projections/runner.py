"""The runner: keeps the live tables at the head of the log while events arrive.

Law: it follows the log by position; `NOTIFY qledger` only cuts a wait short, and a lost
notification costs at most one poll. One process leads, by an advisory lock of the session that
writes; it goes with that session, so nobody writes who does not lead, and another takes over when
the leader dies. A lost connection is made again, with longer and longer pauses.

An event that cannot be projected halts the runner: never skipped, its position and the reason stand
in `qledger.projection`, the position stays before it, and answers are folded from the log from
there on. It is tried again from time to time and by the next process, so that the runner goes on by
itself when the cause is gone, such as with the release that knows the event.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, LiteralString, NamedTuple, TypeAlias

import psycopg
from psycopg import Connection

from ledger.domain.errors import Refused, Unavailable
from projections import garbage, sessions
from projections.fold.deal_history import DealHistory
from projections.hints import Hints
from projections.histories import Fold
from projections.position import LEADER_LOCK, CannotProject
from projections.projector import (
    BATCH_EVENTS_MAX,
    CATCH_UP_EVENTS_MAX,
    Batch,
    Need,
    Projector,
)

Tell: TypeAlias = Callable[[str], None]
"""Takes a sentence for whoever looks on."""

Advance: TypeAlias = Callable[[str, int, int | None], None]
"""(what is being done, how much is done, of how much where that is known)"""

LEADER_POLL_SECONDS = 0.5
HALT_RETRY_SECONDS = 10.0
SWEEP_SECONDS = 600.0
"""How often cycles are looked for, at a quiet moment: it takes seconds, and finds next to none."""

BACKOFF_SECONDS_MIN = 0.1
BACKOFF_SECONDS_MAX = 5.0
_SHRINK = 10
"""By how much a batch that fails is made smaller, until the one event that fails is found."""

_LEAD: LiteralString = "SELECT pg_try_advisory_lock(%s)"
_PLACE: LiteralString = """
SELECT position, halted_at, halted_because FROM qledger.projection WHERE live
"""
_HALT: LiteralString = """
UPDATE qledger.projection SET halted_at = %(position)s, halted_because = %(because)s
WHERE live AND (halted_at, halted_because) IS DISTINCT FROM (%(position)s::bigint, %(because)s)
"""


class Runner:
    """Projects the log as long as it is asked to.

    Args:
        conninfo: the database.
        rebuild: makes the tables anew beside the live ones and swaps; called when that is needed.
        tell: takes a sentence when something happens that a person should know.
        advance: told how far it is.
        fold: makes the empty history of a deal.
    """

    def __init__(
        self,
        conninfo: str,
        rebuild: Callable[[], object],
        tell: Tell,
        *,
        advance: Advance = lambda _what, _done, _total: None,
        fold: Fold = DealHistory,
    ) -> None:
        self.conninfo = conninfo
        self.stopping = threading.Event()
        self.advance = advance
        self._rebuild = rebuild
        self._tell = tell
        self._fold = fold
        self._said = ""

    def stop(self) -> None:
        """End what runs after the batch at work; from any thread or signal handler."""
        self.stopping.set()

    def follow(self) -> None:
        """Project until stopped, through lost connections and changes of leader."""
        self._run(None)

    def catch_up(self, position: int) -> None:
        """Project until all events up to a position are in the live tables, by whomever.

        Raises:
            CannotProject: an event before it cannot be projected.
            Unavailable: `rebuild-failed`, `database-not-writable`.
        """
        self._run(position)

    def say(self, sentence: str) -> None:
        """Tell a person, the same thing only once in a row."""
        if sentence != self._said:
            self._said = sentence
            self._tell(sentence)

    def projector(self, connection: Connection[Any]) -> Projector:
        """A projector onto the live side."""
        return Projector(connection, fold=self._fold)

    def rebuild(self, need: Need) -> bool:
        """Make the tables anew; False when another process does so at the moment."""
        self.say(f"rebuilding the read models, since {need}")
        try:
            self._rebuild()
        except Refused as error:
            if error.code != "rebuild-runs":
                raise
            return False
        self.say("the read models are rebuilt")
        return True

    def _run(self, until: int | None) -> None:
        pause = BACKOFF_SECONDS_MIN
        while not self.stopping.is_set():
            started = time.monotonic()
            try:
                with sessions.writing(self.conninfo) as connection:
                    if self._lead(connection, until):
                        _Leader(self, connection).run(until)
                return
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self.say(f"waiting for the database: {str(error).strip()}")
            if time.monotonic() - started > BACKOFF_SECONDS_MAX:
                pause = BACKOFF_SECONDS_MIN
            self.stopping.wait(pause)
            pause = min(pause * 2, BACKOFF_SECONDS_MAX)

    def _lead(self, connection: Connection[Any], until: int | None) -> bool:
        """Wait to become the leader; False when that is not needed any more."""
        while not self.stopping.is_set():
            row = connection.execute(_LEAD, [LEADER_LOCK]).fetchone()
            if row is not None and row[0]:
                return True
            self.say("another process projects; this one takes over when it ends")
            if until is not None and _reached(connection, until):
                return False
            self.stopping.wait(LEADER_POLL_SECONDS)
        return False


class _Leader:
    """The process that projects, as long as its session lives."""

    def __init__(self, runner: Runner, connection: Connection[Any]) -> None:
        self._runner = runner
        self._connection = connection
        self._projector = runner.projector(connection)
        self._size = BATCH_EVENTS_MAX

    def run(self, until: int | None) -> None:
        """Project until a position, or until stopped."""
        stopping = self._runner.stopping
        sweep_at = time.monotonic() + SWEEP_SECONDS
        hints = Hints(self._runner.conninfo)
        with closing(hints), garbage.by_hand() as sweep:
            while not stopping.is_set():
                batch = self._next(patient=until is None)
                if batch is None:
                    continue
                self._runner.advance("Projecting", batch.position, batch.position + batch.left)
                if batch.need is not None:
                    self._anew(batch.need, patient=until is None)
                elif until is not None and batch.position >= until:
                    return
                elif batch.left <= 0 and not hints.wait(stopping) and time.monotonic() > sweep_at:
                    sweep()
                    sweep_at = time.monotonic() + SWEEP_SECONDS

    def _next(self, *, patient: bool) -> Batch | None:
        """The next batch; None when it failed and is to be tried again, smaller or later."""
        try:
            batch = self._projector.batch(self._size)
        except psycopg.InterfaceError:
            raise
        except psycopg.OperationalError as error:
            if self._connection.closed:
                raise
            # The session lives, so it is not the event's fault: a deadlock, a full disk.
            self._runner.say(f"waiting for the database: {str(error).strip()}")
            self._runner.stopping.wait(BACKOFF_SECONDS_MIN)
            return None
        except Exception as error:  # whatever an event does to the fold halts here
            if self._size > 1:
                self._size = max(1, self._size // _SHRINK)
            else:
                position = _place(self._connection).position + 1
                self._halt(CannotProject.at(position, error), patient=patient)
            return None
        far = batch.left >= CATCH_UP_EVENTS_MAX
        self._size = min(CATCH_UP_EVENTS_MAX if far else BATCH_EVENTS_MAX, self._size * 10)
        return batch

    def _anew(self, need: Need, *, patient: bool) -> None:
        try:
            if not self._runner.rebuild(need):
                self._runner.stopping.wait(LEADER_POLL_SECONDS)
        except CannotProject as error:
            self._halt(error, patient=patient)
        except Unavailable as error:
            if not patient:
                raise
            self._runner.say(str(error))
            self._runner.stopping.wait(HALT_RETRY_SECONDS)

    def _halt(self, error: CannotProject, *, patient: bool) -> None:
        """Say on which event it halts; then wait before it is tried again, or give up."""
        self._connection.execute(_HALT, {"position": error.position, "because": error.because})
        if not patient:
            raise error
        self._runner.say(str(error))
        self._runner.stopping.wait(HALT_RETRY_SECONDS)


def _reached(connection: Connection[Any], position: int) -> bool:
    """Whether the live tables hold all events up to a position.

    Raises:
        CannotProject: whoever projects has halted before it.
    """
    place = _place(connection)
    if place.position >= position:
        return True
    if place.halted_at is not None:
        raise CannotProject(place.halted_at, place.halted_because or "")
    return False


class _Place(NamedTuple):
    position: int
    halted_at: int | None
    halted_because: str | None


def _place(connection: Connection[Any]) -> _Place:
    """How far the live tables are."""
    row = connection.execute(_PLACE).fetchone()
    assert row is not None  # noqa: S101 - one side is always live
    return _Place(*row)
