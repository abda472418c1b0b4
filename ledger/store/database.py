"""The database of a ledger: the embedded one or the one that the settings name, and its pool.

Law: sessions are in UTC, in autocommit, with a statement timeout, and act as `qledger_app` wherever
that role exists, so that they can read and append and nothing else. Errors of the driver leave this
module as `Unavailable`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

import psycopg
import psycopg_pool

from ledger.config import Settings
from ledger.domain.errors import Unavailable
from ledger.store.embedded import EmbeddedServer
from ledger.store.migrate import APP_ROLE, check_migrated, migrate, unreachable

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_Pool: TypeAlias = psycopg_pool.ConnectionPool[Connection]
_T = TypeVar("_T")

CONNECT_SECONDS_MAX = 10
POOL_SPARE = 4
"""Connections beyond one a worker: a subscription, a reader."""

_TIMEOUT = "SELECT set_config('statement_timeout', %s, false)"
_SESSION = """
SELECT set_config('timezone', 'UTC', false),
       set_config('statement_timeout', %s, false),
       (SELECT set_config('role', rolname, false) FROM pg_roles
        WHERE rolname = %s AND pg_has_role(session_user, oid, 'MEMBER'))
"""

logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it repeats what we raise


class _Session(psycopg.Connection[tuple[Any, ...]]):
    """A session that knows its statement timeout, so that it is set only where it changes."""

    timeout_ms: int | None = None


class _Timeout(NamedTuple):
    """How long a statement may take, and what is said when it takes longer."""

    ms: int
    code: str
    hint: str


class Database:
    """An open database: its URL and a pool of sessions that may read and append.

    Args:
        settings: where it is. Without `database_url` the embedded server is started, and migrated.

    Raises:
        Unavailable: `home-not-writable`, `database-not-started`, `database-unreachable`,
            `database-not-migrated`, `database-newer`, `database-too-old`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: EmbeddedServer | None = None
        self._pool: _Pool | None = None
        self._recovering = threading.Lock()
        try:
            self.url = self._reach()
            self._pool = self._open_pool()
        except BaseException:
            self.close()
            raise

    def _reach(self) -> str:
        if self.settings.database_url is None:
            self.server = EmbeddedServer(self.settings.home)
            url = self.server.url()
            migrate(url)
            return url
        url = self.settings.database_url.get_secret_value()
        try:
            with psycopg.connect(url, connect_timeout=CONNECT_SECONDS_MAX) as connection:
                check_migrated(connection)
        except psycopg.OperationalError as error:
            raise unreachable(error) from None
        except psycopg.ProgrammingError:
            raise Unavailable(
                "invalid-database-url", "QLEDGER_DATABASE_URL is not a PostgreSQL URL",
                hint="write it like postgresql://user@host:5432/database",
            ) from None  # fmt: skip
        return url

    def _open_pool(self) -> _Pool:
        pool: _Pool = psycopg_pool.ConnectionPool(
            self.url,
            connection_class=_Session,
            kwargs={"autocommit": True, "application_name": "qledger"},
            min_size=1,
            max_size=self.settings.workers + POOL_SPARE,
            timeout=CONNECT_SECONDS_MAX,
            configure=self._configure,
            open=False,
        )
        try:
            pool.open(wait=True, timeout=CONNECT_SECONDS_MAX)
        except psycopg.OperationalError as error:
            pool.close(timeout=0)
            raise unreachable(error) from None
        return pool

    def _configure(self, connection: Connection) -> None:
        values = [str(self.settings.statement_timeout_ms), APP_ROLE]
        try:
            connection.execute(_SESSION, values)
        except psycopg.errors.InsufficientPrivilege:
            # A member without the right to act as the role (PostgreSQL 16 can say so).
            connection.execute(_SESSION, [values[0], ""])
        if isinstance(connection, _Session):
            connection.timeout_ms = self.settings.statement_timeout_ms

    def connection(self) -> AbstractContextManager[Connection]:
        """A session of the pool, in autocommit.

        Raises:
            Unavailable: `database-unreachable`, `statement-timeout`, `ledger-closed`.
        """
        return self._lent(
            _Timeout(
                self.settings.statement_timeout_ms,
                "statement-timeout",
                "raise QLEDGER_STATEMENT_TIMEOUT_MS",
            )
        )

    def asking(self) -> AbstractContextManager[Connection]:
        """The same for a question, which has a timeout of its own.

        Raises:
            Unavailable: `database-unreachable`, `question-too-slow`, `ledger-closed`.
        """
        return self._lent(
            _Timeout(
                self.settings.question_timeout_ms,
                "question-too-slow",
                "ask for smaller pages, fewer groups or a shorter time; whoever runs the server "
                "can raise QLEDGER_QUESTION_TIMEOUT_MS",
            )
        )

    @contextmanager
    def _lent(self, timeout: _Timeout) -> Iterator[Connection]:
        if self._pool is None:
            raise Unavailable("ledger-closed", "this ledger is closed")
        try:
            with self._pool.connection() as connection:
                if isinstance(connection, _Session) and connection.timeout_ms != timeout.ms:
                    connection.execute(_TIMEOUT, [str(timeout.ms)])
                    connection.timeout_ms = timeout.ms
                yield connection
        except psycopg.errors.QueryCanceled:
            raise Unavailable(
                timeout.code,
                f"the database worked longer than {timeout.ms} ms on one statement",
                hint=timeout.hint,
            ) from None
        except psycopg_pool.PoolClosed:
            raise Unavailable("ledger-closed", "this ledger is closed") from None
        except psycopg.OperationalError as error:
            raise unreachable(error) from None

    def do(self, work: Callable[[Connection], _T]) -> _T:
        """Do work in a session; once more when the database was gone and is back.

        So the work must be safe to repeat: it only reads, or it writes idempotently.

        Raises:
            Unavailable: as `connection` does.
        """
        pool = self._pool
        try:
            with self.connection() as connection:
                return work(connection)
        except Unavailable as error:
            if error.code != "database-unreachable":
                raise
            self._recover(pool)
            with self.connection() as connection:
                return work(connection)

    def connect(self) -> Connection:
        """A session of its own, configured like those of the pool; the caller closes it.

        Raises:
            Unavailable: `database-unreachable`.
        """
        try:
            connection: Connection = psycopg.connect(
                self.url, autocommit=True, application_name="qledger",
                connect_timeout=CONNECT_SECONDS_MAX,
            )  # fmt: skip
        except psycopg.OperationalError as error:
            raise unreachable(error) from None
        self._configure(connection)
        return connection

    def _recover(self, failed: _Pool | None) -> None:
        """Start the embedded server again when it died; replace the pool whose sessions died.

        A pool would wait longer and longer before it connects again; a new one does it at once.
        """
        with self._recovering:
            if self._pool is not failed or failed is None:
                return  # closed, or another thread was first
            if self.server is not None:
                self.server.ensure_running()
                self.url = self.server.url()
            self._pool = self._open_pool()
        failed.close(timeout=0)

    def pool_stats(self) -> dict[str, int]:
        """How the pool is used, as psycopg_pool tells it; nothing once it is closed."""
        pool = self._pool
        return {} if pool is None else pool.get_stats()

    def analyze(self) -> None:
        """Tell the planner what the log holds now: after an import, before questions.

        It needs the tables' owner, as which the URL logs in; another login changes nothing.
        """
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ANALYZE qledger.event")

    def close(self) -> None:
        """Close the pool and leave the embedded server. Closing twice is harmless."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
        if self.server is not None:
            self.server.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
