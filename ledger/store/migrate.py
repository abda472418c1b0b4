"""Migrations: numbered SQL files, each applied once, in order, and never changed again.

Law: what was applied is recorded with its SHA-256 in `qledger.migration`. A database that has more
than this release knows is refused, and so is one whose recorded checksum differs from our file.
Migrating holds an advisory lock, so several processes may try at once. The roles `qledger_app` (may
read and append), `qledger_reader` (may read) and `bi_reader` (may read the schema `bi` alone) are
made where the login may make roles; where it may not, the triggers alone protect the log, and the
report says so.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib.resources import files
from typing import NamedTuple, cast

import psycopg
from psycopg.sql import SQL, Identifier

from ledger.domain.errors import Unavailable

APP_ROLE = "qledger_app"
READER_ROLE = "qledger_reader"
BI_ROLE = "bi_reader"
POSTGRES_VERSION_MIN = 150000

_ADVISORY_LOCK = 0x716C6564676572  # "qledger"
_ROLE_RACE = (
    psycopg.errors.DuplicateObject,
    psycopg.errors.UniqueViolation,
    psycopg.errors.InternalError_,  # "tuple concurrently updated": another database's migration
)
_ROLE_ATTEMPTS_MAX = 10

_START = """
CREATE SCHEMA IF NOT EXISTS qledger;
CREATE TABLE IF NOT EXISTS qledger.migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class Migration(NamedTuple):
    """One numbered SQL file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class MigrationReport(NamedTuple):
    """What `migrate` did.

    Args:
        applied: the names of the files that were applied now.
        roles: whether the roles are in place; if not, only the triggers protect the log.
    """

    applied: tuple[str, ...]
    roles: bool


def migrations() -> list[Migration]:
    """The migrations of this release, in order."""
    found = [
        Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8"))
        for file in (files("ledger.store") / "sql").iterdir()
        if file.name[:4].isdigit() and file.name.endswith(".sql")
    ]
    return sorted(found)


def migrate(url: str) -> MigrationReport:
    """Bring a database to this release.

    Args:
        url: the connection URL of a login that owns the database or may create in it.

    Raises:
        Unavailable: `database-unreachable`, `database-too-old`, `database-newer`,
            `migration-altered`, `database-not-writable`.
    """
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
            return migrate_locked(connection, migrations())
    except psycopg.errors.InsufficientPrivilege as error:
        raise Unavailable(
            "database-not-writable", f"this login may not migrate the database: {error}",
            hint="migrate as the owner of the database",
        ) from None  # fmt: skip
    except psycopg.OperationalError as error:
        raise unreachable(error) from None


def migrate_locked(
    connection: psycopg.Connection[tuple[object, ...]], known: list[Migration]
) -> MigrationReport:
    """Apply what is missing; the caller holds the advisory lock and is in autocommit."""
    _check_server(connection)
    if not _is_started(connection):
        connection.execute(_START)
    missing = _missing(connection, known)
    for migration in missing:
        with connection.transaction():
            connection.execute(migration.sql)
            connection.execute(
                "INSERT INTO qledger.migration (number, name, sha256) VALUES (%s, %s, %s)",
                [migration.number, migration.name, migration.sha256],
            )
    return MigrationReport(tuple(m.name for m in missing), _ensure_roles(connection, bool(missing)))


def check_migrated(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Refuse a database that this release cannot work with as it is.

    Raises:
        Unavailable: `database-too-old`, `database-not-migrated`, `database-newer`,
            `migration-altered`.
    """
    _check_server(connection)
    if not _is_started(connection) or _missing(connection, migrations()):
        raise Unavailable(
            "database-not-migrated", "the database lacks tables of this release",
            hint="run qledger migrate",
        )  # fmt: skip


def unreachable(error: psycopg.OperationalError) -> Unavailable:
    """The refusal to give when the database cannot be reached. It never shows the URL."""
    return Unavailable(
        "database-unreachable", f"the database cannot be reached: {str(error).strip()}",
        hint="check that it runs, and QLEDGER_DATABASE_URL",
    )  # fmt: skip


def _check_server(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    if connection.info.server_version < POSTGRES_VERSION_MIN:
        raise Unavailable(
            "database-too-old",
            f"the server is PostgreSQL {connection.info.server_version // 10_000}",
            hint="use PostgreSQL 15 or later",
        )


def _is_started(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    found = connection.execute("SELECT to_regclass('qledger.migration') IS NOT NULL").fetchone()
    return found is not None and bool(found[0])


def _missing(
    connection: psycopg.Connection[tuple[object, ...]], known: list[Migration]
) -> list[Migration]:
    rows = connection.execute("SELECT number, name, sha256 FROM qledger.migration ORDER BY 1")
    by_number = {migration.number: migration for migration in known}
    applied = set()
    for number, name, sha256 in rows:
        migration = by_number.get(cast("int", number))
        if migration is None:
            raise Unavailable(
                "database-newer", f"the database has {name}, which this release does not know",
                hint="use the release that migrated it, or a newer one",
            )  # fmt: skip
        if migration.sha256 != sha256:
            raise Unavailable(
                "migration-altered", f"{migration.name} is not the file that was applied here",
                hint="install the release again; an applied migration never changes",
            )  # fmt: skip
        applied.add(migration.number)
    return [migration for migration in known if migration.number not in applied]


def _ensure_roles(connection: psycopg.Connection[tuple[object, ...]], anew: bool) -> bool:
    """Make the roles and their grants; whether they are in place."""
    if not anew and _may_act_as_app(connection):
        return True
    for attempt in range(_ROLE_ATTEMPTS_MAX):
        try:
            with connection.transaction():
                _make_roles(connection)
            _open_bi(connection)
            return True
        except psycopg.errors.InsufficientPrivilege:
            return False
        except _ROLE_RACE:
            if attempt == _ROLE_ATTEMPTS_MAX - 1:
                raise
    return False


def _may_act_as_app(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    return bool(
        connection.execute(
            "SELECT 1 FROM pg_roles"
            " WHERE rolname = %s AND pg_has_role(session_user, oid, 'MEMBER')",
            [APP_ROLE],
        ).fetchone()
    )


def _make_roles(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for role in (APP_ROLE, READER_ROLE):
        _make_role(connection, role)
    if not _may_act_as_app(connection):
        connection.execute(SQL("GRANT {} TO CURRENT_USER").format(Identifier(APP_ROLE)))
    connection.execute(_grants("roles.sql"))


def _make_role(connection: psycopg.Connection[tuple[object, ...]], role: str) -> None:
    there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    if there is None:
        connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))


def _open_bi(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Let `bi_reader` read the schema `bi`; where it may not be made, nobody but the owner does."""
    with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
        _make_role(connection, BI_ROLE)
        connection.execute(_grants("roles_bi.sql"))


def _grants(name: str) -> str:
    return (files("ledger.store") / "sql" / name).read_text(encoding="utf-8")
