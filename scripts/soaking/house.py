"""A ledger under soak: a database of its own, the processes at work on it, and what befalls them.

Law: all that is done to the processes happens to real ones from outside - signals, sessions that
the server ends, a server that loses power, a disk that is full - and nothing of it is in the
product. The full disk is a trigger of this database alone: it raises PostgreSQL's own `disk_full`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]
import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger.store.embedded import EmbeddedServer
from ledger.store.migrate import migrate
from scripts.soaking.sources import QLEDGER, ROOT, Command

QUIET_SECONDS_MAX = 300
"""How long it may take until all is told and projected, once nothing befalls anybody any more."""

STARTING_SECONDS_MAX = 10

_DISK = """
CREATE TABLE public.soak_disk (is_full boolean NOT NULL);
INSERT INTO public.soak_disk VALUES (false);
CREATE FUNCTION public.soak_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF random() < 0.5 AND (SELECT is_full FROM public.soak_disk) THEN
        RAISE EXCEPTION 'could not extend file: No space left on device'
            USING ERRCODE = 'disk_full';
    END IF;
    RETURN NULL;
END
$$;
"""
_WATCHED = ("deal_state", "forecast_entry", "forecast_opening")
_WATCH = """
CREATE TRIGGER soak_write AFTER INSERT OR UPDATE OR DELETE ON {}
    FOR EACH STATEMENT EXECUTE FUNCTION public.soak_write()
"""
_PROJECTING = """
SELECT FROM pg_stat_activity WHERE datname = %s AND application_name = 'qledger-projection'
"""
_TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid() AND application_name = ANY(%s)
"""


class House:
    """A ledger and the processes at work on it. Use it in a `with`.

    Args:
        server: the soak's own server.
        name: of the database.
        folder: for the logs of the processes.
        random: chooses what befalls them.
    """

    def __init__(self, server: EmbeddedServer, name: str, folder: Path, random: Random) -> None:
        self.server = server
        self.name = name
        self.folder = folder
        self.random = random
        self.url = server.url(name)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        migrate(self.url)
        self._watch_disk()

    def _watch_disk(self) -> None:
        tables = [
            Identifier(schema, table) for schema in ("qledger_a", "qledger_b") for table in _WATCHED
        ]
        with self.connection() as connection:
            connection.execute(_DISK)
            for table in (*tables, Identifier("qledger", "rebuild_part")):
                connection.execute(SQL(_WATCH).format(table))

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.kill(name)

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        """A session of the soak itself, as the owner, in UTC."""
        with psycopg.connect(self.url, autocommit=True, options="-c timezone=UTC") as connection:
            yield connection

    # --- processes ------------------------------------------------------------------------------

    def start(self, name: str, command: Command) -> None:
        """Start a process with a log of its own; one that runs already stays."""
        if self.is_running(name):
            return
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("QLEDGER_")},
            "QLEDGER_DATABASE_URL": self.url,
            "QLEDGER_HOME": str(self.folder),
            "QLEDGER_WORKERS": "2",
            "PYTHONPATH": str(ROOT),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True, cwd=ROOT,
            )  # fmt: skip

    def start_runner(self, name: str = "runner") -> None:
        """Project as events arrive."""
        self.start(name, (QLEDGER, "project", "--follow"))

    def start_rebuild(self) -> None:
        """Rebuild beside; sometimes compare before the swap."""
        verify = ["--verify"] if self.random.random() < 0.3 else []
        self.start("rebuild", (QLEDGER, "rebuild", *verify))

    def is_running(self, name: str) -> bool:
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def ended(self, name: str) -> int | None:
        """The exit status of a process that ended; None where it runs or never ran."""
        process = self._processes.get(name)
        return None if process is None else process.poll()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process and to those that it started; wait for its end."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def last_words(self, name: str) -> str:
        """The end of a process's log."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-2_000:] if path.exists() else ""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the product to its end, undisturbed."""
        return subprocess.run(
            [QLEDGER, *arguments], capture_output=True, text=True, check=False, cwd=ROOT,
            env={
                **os.environ, "QLEDGER_DATABASE_URL": self.url, "QLEDGER_HOME": str(self.folder),
                "QLEDGER_WORKERS": "2", "PYTHONPATH": str(ROOT),
            },
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """What `qledger status` says."""
        found: dict[str, Any] = orjson.loads(self.run("status", "--format", "json").stdout)
        return found

    # --- what befalls them ------------------------------------------------------------------------

    def befall(self) -> str:
        """Something happens, by chance; what it was."""
        acts = {
            self._kill_runner: 5, self._kill_rebuild: 3, self._end_sessions: 5,
            self._end_all_sessions: 2, self._interrupt_runner: 1, self._fill_disk: 3,
            self._rebuild: 4, self._second_runner: 2, self._lose_power: 1,
        }  # fmt: skip
        self._await_runner()
        time.sleep(self.random.uniform(0, 1.2))
        act = self.random.choices(list(acts), list(acts.values()))[0]
        return act()

    def _await_runner(self) -> None:
        """Wait until somebody projects, for it takes a while to start; not longer than that."""
        until = time.monotonic() + STARTING_SECONDS_MAX
        with self.connection() as connection:
            while time.monotonic() < until:
                if connection.execute(_PROJECTING, [self.name]).fetchall():
                    return
                time.sleep(0.05)

    def _kill_runner(self) -> str:
        self.kill("runner")
        self.start_runner()
        return "kill -9 runner"

    def _interrupt_runner(self) -> str:
        self.kill("runner", signal.SIGINT)
        self.start_runner()
        return "interrupt runner"

    def _second_runner(self) -> str:
        if self.is_running("second runner"):
            self.kill("second runner")
            return "kill -9 second runner"
        self.start_runner("second runner")
        return "second runner"

    def _rebuild(self) -> str:
        self.start_rebuild()
        return "rebuild"

    def _kill_rebuild(self) -> str:
        if not self.is_running("rebuild"):
            return self._rebuild()
        self.kill("rebuild")
        return "kill -9 rebuild"

    def _end_sessions(self) -> str:
        ended = self._terminate("qledger-projection")
        return "end projecting sessions" if ended else "find no session to end"

    def _end_all_sessions(self) -> str:
        ended = self._terminate("qledger-projection", "qledger", "")
        return "end all sessions" if ended else "find no session to end"

    def _terminate(self, *names: str) -> int:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            row = connection.execute(_TERMINATE, [self.name, list(names)]).fetchone()
            return 0 if row is None else int(row[0])

    def _fill_disk(self) -> str:
        self.disk_is_full(True)
        time.sleep(self.random.uniform(0.1, 1.5))
        self.disk_is_full(False)
        return "disk full for a while"

    def disk_is_full(self, is_full: bool) -> None:
        """From now on, half of what is written to the tables finds no room; or no more."""
        with self.connection() as connection:
            connection.execute("UPDATE public.soak_disk SET is_full = %s", [is_full])

    def _lose_power(self) -> str:
        """Kill the server and all its sessions at once, then start it again."""
        number = self.server.postmaster_pid
        if number is not None:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(number)
                for victim in (process, *process.children()):
                    with suppress(ProcessLookupError):
                        os.kill(victim.pid, signal.SIGKILL)
        self.server.ensure_running()
        return "power cut"


def teller(seed: int, deals: int, events: int, *, one_zone: bool) -> Sequence[str]:
    """The command that tells a story."""
    numbers = map(str, (seed, deals, events, int(one_zone)))
    return (sys.executable, "-m", "scripts.soaking.teller", *numbers)
