"""The runner as a process of its own, kept alive beside a server.

Law: folding never takes time from answers: it has a process, and so a core, of its own. The process
ends with the one that started it, however that dies, for it holds the other end of a pipe. When it
dies itself, or cannot be started, it is started again, with longer and longer pauses.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Self

import orjson
from psycopg import Connection

from ledger.domain.errors import Unavailable
from projections.position import status
from projections.rebuild import rebuild
from projections.runner import Runner

LOGGER = logging.getLogger("qledger.projecting")
CHEAP_EVENTS_MAX = 1_000
PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 5.0
POLL_SECONDS = 0.2


class Service:
    """A process that projects, as long as this one wants it to. Stop it, or use it in a `with`.

    Args:
        conninfo: gives the database; asked before each start, for it may come to be elsewhere.
        workers: how many processes fold when the tables must be made anew.
    """

    def __init__(self, conninfo: Callable[[], str], workers: int) -> None:
        self._conninfo = conninfo
        self._workers = workers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="projecting", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the process. Stopping twice is harmless."""
        self._stopping.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _keep(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while not self._stopping.is_set():
            if self._watch() > PAUSE_SECONDS_MAX:
                pause = PAUSE_SECONDS_MIN
            self._stopping.wait(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)

    def _watch(self) -> float:
        """Start the process and watch over it to its end; for how many seconds it lived."""
        try:
            process = _spawn(self._conninfo(), self._workers)
        except Exception:  # whatever it is, such as no memory left: it may be over next time
            LOGGER.exception("the process that projects cannot be started")
            return 0.0
        lived = 0.0
        while process.poll() is None and not self._stopping.wait(POLL_SECONDS):
            lived += POLL_SECONDS
        _end(process)
        return lived


def runner(conninfo: str, workers: int, tell: Callable[[str], None]) -> Runner:
    """A runner that rebuilds by itself when that is needed."""
    return Runner(conninfo, partial(rebuild, conninfo, workers=workers), tell)


def catch_up_if_cheap(conninfo: str, connection: Connection[Any]) -> bool:
    """Project what a command has just written, where it is little and nobody else does.

    Otherwise it is left to the next that projects; answers are folded from the log until then.

    Args:
        conninfo: the database.
        connection: to look at how far the tables are.

    Returns:
        Whether all events are in the tables now.
    """
    found = status(connection)
    if not found.lag_events:
        return True
    if found.runner or found.rules_differ or found.lag_events > CHEAP_EVENTS_MAX:
        return False
    work = Runner(conninfo, _decline, lambda _sentence: work.stop())
    try:
        work.catch_up(found.head)
    except Unavailable:
        return False
    return status(connection).position >= found.head


def _decline() -> None:
    raise Unavailable("rebuild-needed", "the read models must be made anew")


def _spawn(conninfo: str, workers: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        # -P: a module in the working directory must not come before one of ours.
        [sys.executable, "-P", "-m", "projections.service"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt in the terminal is for us, and we end it in order
    )
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    with suppress(BrokenPipeError):
        process.stdin.write(orjson.dumps({"conninfo": conninfo, "workers": workers}) + b"\n")
        process.stdin.flush()
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it finish its batch; kill it when it does not come to that."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _work() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = orjson.loads(sys.stdin.buffer.readline())
    work = runner(said["conninfo"], said["workers"], _tell)
    threading.Thread(target=_stop_with_parent, args=[work], daemon=True).start()
    work.follow()


def _stop_with_parent(work: Runner) -> None:
    sys.stdin.buffer.read()  # returns when the parent closes it, or is gone
    work.stop()


def _tell(sentence: str) -> None:
    sys.stderr.write(f"projecting: {sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    _work()
