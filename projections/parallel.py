"""Folding a large book on all cores.

Law: the parts are disjoint, cover the book, and their tallies merge to the same result in any
order, so an answer does not depend on how many workers made it. A worker is a plain process that
gets its job on standard input and writes its tally to standard output; secrets never stand in its
arguments.
"""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ledger.domain.basis import Basis
from ledger.domain.calendar import Period
from ledger.domain.errors import Unavailable
from ledger.domain.events import stream_id
from projections.forecast import Directory, tally_deals
from projections.qualified import BookDeal, Judge
from projections.reader import LogReader, StreamRange
from projections.scope import EVERYTHING, Scope
from projections.tally import Tally

EVENTS_PER_WORKER_MIN = 100_000
"""Below this, starting another process costs more than it saves."""


class Job(NamedTuple):
    """One part of a tally."""

    basis: Basis
    streams: StreamRange
    types: frozenset[str]
    period: Period
    group_by: tuple[str, ...]
    directory: Directory
    judge: Judge
    scope: Scope = EVERYTHING


def tally(reader: LogReader, job: Job) -> Tally:
    """Fold and tally one part of the book."""
    folded = (
        BookDeal.fold(stream_id(stream), events, job.judge)
        for stream, events in reader.deals_due(job.basis, job.streams, job.types, job.period)
    )
    holds = job.scope.holds
    deals = (deal for deal in folded if deal is not None and holds(deal.claimed.owner))
    with _no_cycles():
        return tally_deals(deals, job.period, job.group_by, job.directory)


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Folding makes no reference cycles, and looking for them takes half its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def tally_all(reader: LogReader, conninfo: str, jobs: Sequence[Job]) -> Tally:
    """Tally all parts: the first one here, each other in a process of its own.

    Raises:
        Unavailable: `worker-failed`.
    """
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for job in jobs[1:]:
            workers.append(_spawn())
            _give(workers[-1], conninfo, job)
        total = tally(reader, jobs[0])
        for worker in workers:
            total.merge(_finish(worker))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
    return total


def _spawn() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P: a module in the working directory must not come before one of ours.
        [sys.executable, "-P", "-m", "projections.parallel"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _give(worker: subprocess.Popen[bytes], conninfo: str, job: Job) -> None:
    assert worker.stdin is not None  # noqa: S101 - a pipe was asked for
    with suppress(BrokenPipeError):  # it ended early: what it was is told when it is waited for
        worker.stdin.write(pickle.dumps((conninfo, job)))
        worker.stdin.close()


def _finish(worker: subprocess.Popen[bytes]) -> Tally:
    assert worker.stdout is not None  # noqa: S101 - a pipe was asked for
    answer = worker.stdout.read()
    if worker.wait() != 0:
        raise Unavailable("worker-failed", "a process folding a part of the book failed")
    result: Tally = pickle.loads(answer)  # noqa: S301 - written by our own worker
    return result


def _work() -> None:
    conninfo, job = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    with LogReader.connect(conninfo) as reader:
        sys.stdout.buffer.write(pickle.dumps(tally(reader, job)))


if __name__ == "__main__":
    _work()
