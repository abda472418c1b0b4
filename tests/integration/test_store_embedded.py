"""The embedded server: shared by processes, stopped by the last, wherever the home lies."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from ledger.config import Settings, shown
from ledger.domain.errors import Unavailable
from ledger.store import embedded
from ledger.store.embedded import ROOT_PLACE, EmbeddedServer
from ledger.store.ledger import Ledger

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must give the server away")

USE = """
import sys
from pathlib import Path
from ledger.config import Settings
from ledger.store.ledger import Ledger
with Ledger.open(Settings(home=Path(sys.argv[1]))) as ledger:
    print(ledger.database.server.postmaster_pid, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="qledger-embedded-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "home"


def answers(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def is_running(pid: int | None) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def use(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USE, str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def pid_told_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_processes_that_start_at_once_share_one_server(home: Path) -> None:
    processes = [use(home) for _ in range(4)]
    pids = {pid_told_by(process) for process in processes}
    assert len(pids) == 1
    pid = pids.pop()
    for process in processes[:3]:
        process.communicate("\n")
        assert process.returncode == 0
        assert is_running(pid)
    processes[3].communicate("\n")
    assert not is_running(pid)


def test_a_killed_user_holds_nothing(home: Path) -> None:
    killed = use(home)
    pid = pid_told_by(killed)
    killed.kill()
    killed.communicate()
    assert is_running(pid)
    with EmbeddedServer(home) as server:
        assert server.postmaster_pid == pid
    assert not is_running(pid)


def test_leaving_twice_and_using_twice_is_harmless(home: Path) -> None:
    first, second = EmbeddedServer(home), EmbeddedServer(home)
    pid = first.postmaster_pid
    first.leave()
    first.leave()
    assert is_running(pid)
    assert answers(second.url())
    second.leave()
    assert not is_running(pid)
    with pytest.raises(Unavailable) as refusal:
        second.url()
    assert refusal.value.code == "database-not-started"


def test_an_open_ledger_goes_on_after_the_server_was_killed(home: Path) -> None:
    with Ledger.open(Settings(home=home)) as ledger:
        assert ledger.database.server is not None
        assert ledger.database.server.postmaster_pid is not None
        os.kill(ledger.database.server.postmaster_pid, 9)
        start = time.monotonic()
        assert ledger.head().size == 0
        assert time.monotonic() - start < 8


def test_it_listens_on_no_network_and_lets_nobody_else_in(home: Path) -> None:
    with EmbeddedServer(home) as server, psycopg.connect(server.url()) as connection:
        settings: dict[str, str] = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('listen_addresses', 'fsync', 'synchronous_commit', 'full_page_writes')"
            ).fetchall()
        )
        assert settings == {
            "listen_addresses": "", "fsync": "on", "synchronous_commit": "on",
            "full_page_writes": "on",
        }  # fmt: skip
        assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700


def test_a_long_path_gets_a_short_socket(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    with EmbeddedServer(deep) as server:
        assert answers(server.url())
        directory = server.url().split("host=")[1].replace("%2F", "/")
        assert len(directory) < 60
        assert stat.S_IMODE(Path(directory).stat().st_mode) == 0o700
    assert not Path(directory).exists()


@as_root
def test_a_home_that_only_root_may_enter_keeps_its_cluster_elsewhere(home: Path) -> None:
    home.mkdir(mode=0o700)
    with EmbeddedServer(home) as server:
        assert answers(server.url())
        cluster = (home / "postgres").resolve()
        assert cluster.parent == ROOT_PLACE
        assert cluster.stat().st_uid != 0
    with EmbeddedServer(home) as server:
        assert answers(server.url())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    shutil.rmtree(cluster)


@as_root
def test_an_ordinary_user_runs_it_as_himself(home: Path) -> None:
    home.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (home / "postgres" / "PG_VERSION").stat().st_uid == nobody.pw_uid
        return
    status = 1
    try:
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        with EmbeddedServer(home) as server:
            status = 0 if answers(server.url()) else 2
    finally:
        os._exit(status)


def test_a_home_that_cannot_be_made_is_refused(home: Path) -> None:
    home.write_text("a file")
    with pytest.raises(Unavailable) as refusal:
        EmbeddedServer(home)
    assert refusal.value.code == "home-not-writable"


def test_opening_and_closing_a_ledger_again_is_quick(home: Path) -> None:
    Ledger.open(Settings(home=home)).close()
    start = time.monotonic()
    Ledger.open(Settings(home=home)).close()
    assert time.monotonic() - start < 15


def test_settings_are_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLEDGER_DATABASE_URL", "postgresql://ann:hunter2@db/x")
    monkeypatch.setenv("QLEDGER_HOME", "~/somewhere")
    listed = shown(Settings())
    assert "hunter2" not in str(listed)
    assert listed["QLEDGER_DATABASE_URL"] == "**********"
    assert listed["QLEDGER_HOME"] == str(Path.home() / "somewhere")


@pytest.mark.parametrize(
    ("memory_gb", "allowed", "kept_mb"),
    [(1, "max", 256), (8, "max", 1024), (64, "max", 2048), (64, f"{4 * 2**30}", 512), (4, "", 512)],
)
def test_it_keeps_an_eighth_of_the_memory_there_is_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_gb: int, allowed: str, kept_mb: int
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{allowed}\n", encoding="ascii")
    monkeypatch.setattr(embedded, "_CGROUP_MEMORY_MAX", limit)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=memory_gb * 2**30))
    assert embedded._shared_mb() == kept_mb
    limit.unlink()
    assert embedded._shared_mb() >= kept_mb
