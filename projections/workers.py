"""Processes that do a share of a rebuild each.

Law: a worker is a plain process that gets its job as a line of JSON on standard input; secrets
never stand in its arguments. It ends when its parent does. An event that it cannot project is told
to the parent, who raises it.
"""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson

from ledger.domain.errors import Unavailable
from projections.position import CannotProject

_CANNOT_PROJECT = 3
"""The exit status of a worker that met an event which it cannot project."""


class Workers:
    """Processes that run a module.

    Args:
        module: which; it calls `work`.
        jobs: as JSON values, one for each process.
    """

    def __init__(self, module: str, jobs: Sequence[dict[str, Any]]) -> None:
        self._processes = [_spawn(module, job) for job in jobs]

    def running(self) -> bool:
        """Whether any is at work.

        Raises:
            CannotProject: one met an event that it cannot project.
            Unavailable: `worker-failed`.
        """
        for process in self._processes:
            status = process.poll()
            if status == _CANNOT_PROJECT:
                assert process.stdout is not None  # noqa: S101 - a pipe was asked for
                fault = orjson.loads(process.stdout.read())
                raise CannotProject(fault["position"], fault["because"])
            if status:
                raise Unavailable(
                    "worker-failed", "a process that rebuilds a part of the read models failed",
                    hint="run qledger rebuild: it goes on where it was",
                )  # fmt: skip
        return any(process.poll() is None for process in self._processes)

    def end(self) -> None:
        """End those at work; what they have not finished is undone."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()


def _spawn(module: str, job: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - one of our own modules
        # -P: a module in the working directory must not come before one of ours.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    with suppress(BrokenPipeError):  # it ended early: why is told when it is waited for
        process.stdin.write(orjson.dumps(job) + b"\n")
        process.stdin.flush()
    return process


def work(do: Callable[[dict[str, Any]], None]) -> None:
    """Do the job on standard input, and end the process.

    Args:
        do: does a job.
    """
    said = orjson.loads(sys.stdin.buffer.readline())
    try:
        do(said)
    except CannotProject as fault:
        sys.stdout.buffer.write(
            orjson.dumps({"position": fault.position, "because": fault.because})
        )
        sys.exit(_CANNOT_PROJECT)
    except KeyboardInterrupt:
        pass  # the parent was interrupted too, and says so
    sys.exit(0)


def parent_lives() -> bool:
    """Whether standard input, which the parent holds, is still open."""
    readable, _, _ = select.select([sys.stdin.buffer], [], [], 0)
    return not readable
