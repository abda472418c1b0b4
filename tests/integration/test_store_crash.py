"""`kill -9` at random moments: nothing acknowledged is lost, nothing is doubled.

A real process records and imports into an embedded ledger and says on its standard output what was
acknowledged. Sometimes the postmaster alone is killed - then the writer starts it again and goes
on - and sometimes everything.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from ledger.config import Settings
from ledger.domain.events import Draft, Source, StageClaimed
from ledger.domain.ids import event_id_of
from ledger.store.audit import check_log
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger

CHUNK = 200
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def draft(number: int) -> Draft:
    instant = THEN + timedelta(seconds=number)
    return Draft(
        f"deal:{number % 50}", StageClaimed(stage=f"stage {number}"),
        event_id_of("crash", "test", str(number)), "ann", Source("crash", str(number)),
        instant, instant,
    )  # fmt: skip


def write_for_ever(home: Path, number: int) -> None:
    """Write events from `number` on; print the next number after each acknowledgement."""
    with Ledger.open(Settings(home=home)) as ledger:
        while True:
            ledger.record([draft(number)])
            print(number + 1, flush=True)
            ledger.import_events([draft(n) for n in range(number + 1, number + CHUNK)])
            number += CHUNK
            print(number, flush=True)


class Writer:
    """The writing process, and how far it has said to have come."""

    def __init__(self, home: Path, number: int, output: Path) -> None:
        self.output = output
        with output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(home), str(number)], stdout=stream
            )

    def acknowledged(self) -> int:
        lines = self.output.read_bytes().rpartition(b"\n")[0].split()
        return int(lines[-1]) if lines else 0

    def wait_beyond(self, number: int) -> None:
        deadline = time.monotonic() + 60
        while self.acknowledged() <= number:
            assert self.process.poll() is None, "the writer ended"
            assert time.monotonic() < deadline, "the writer does not come on"
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="qledger-crash-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def kill_server(home: Path, *, whole: bool) -> None:
    """Kill the postmaster, or it and all its children, as a power cut would."""
    while not (home / "postgres" / "postmaster.pid").exists():
        time.sleep(0.01)  # somebody is just starting it again
    process = psutil.Process(postmaster(home))
    victims = [process, *(process.children() if whole else [])]
    for victim in victims:
        os.kill(victim.pid, signal.SIGKILL)


def test_nothing_acknowledged_is_lost_and_nothing_doubled(home: Path, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    number = 0
    for crash in range(3):
        writer = Writer(home, number, tmp_path / f"out-{crash}")
        try:
            writer.wait_beyond(number)
            time.sleep(chance.uniform(0, 0.5))
            before = writer.acknowledged()
            kill_server(home, whole=chance.random() < 0.5)
            writer.wait_beyond(before + CHUNK)  # it started the server again and went on
            time.sleep(chance.uniform(0, 0.3))
            kill_server(home, whole=True)
        finally:
            writer.kill()
        number = writer.acknowledged()
        with Ledger.open(Settings(home=home)) as ledger:
            recorded = [event["source"]["record"] for event in ledger.events()]
            assert recorded[:number] == [str(n) for n in range(number)]
            for start in range(0, number + 5 * CHUNK, CHUNK):
                ledger.import_events([draft(n) for n in range(start, start + CHUNK)])
            number = ledger.head().size
            assert number == len({event["event_id"] for event in ledger.events()})
            with ledger.database.connection() as connection:
                assert check_log(connection) == (number, (), 0)


def test_a_stale_pid_file_that_names_a_stranger_does_not_stop_the_start(home: Path) -> None:
    with EmbeddedServer(home) as server:
        server.url()
        content = (home / "postgres" / "postmaster.pid").read_text()
        kill_server(home, whole=True)
    stranger = str(os.getpid())
    stale = "\n".join([stranger, *content.splitlines()[1:]]) + "\n"
    (home / "postgres" / "postmaster.pid").write_text(stale)
    with EmbeddedServer(home) as server:
        assert server.postmaster_pid not in (None, os.getpid())


def test_an_interrupted_initdb_is_begun_again(home: Path) -> None:
    unfinished = home / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedServer(home) as server:
        assert server.postmaster_pid is not None
    assert not unfinished.exists()


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), int(sys.argv[2]))
