"""Migrations: by themselves only where the database is ours; never backwards; safe at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from ledger.config import Settings
from ledger.domain.errors import Unavailable
from ledger.domain.events import Draft, Source, StageClaimed
from ledger.domain.ids import event_id_at
from ledger.store.database import Database
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from ledger.store.migrate import migrate, migrations


def external(url: str) -> Settings:
    return Settings(home=Path("/nonexistent"), database_url=SecretStr(url))


def refusal_of(url: str) -> Unavailable:
    with pytest.raises(Unavailable) as refusal:
        Database(external(url))
    return refusal.value


def test_an_external_database_is_migrated_only_when_told(empty_database_url: str) -> None:
    refusal = refusal_of(empty_database_url)
    assert refusal.code == "database-not-migrated"
    assert refusal.hint == "run qledger migrate"
    report = migrate(empty_database_url)
    assert report.applied == tuple(migration.name for migration in migrations())
    assert report.roles
    assert migrate(empty_database_url) == ((), True)
    Database(external(empty_database_url)).close()


def test_migrating_at_once_applies_each_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(migrate, [empty_database_url] * 4))
    applied = [name for report in reports for name in report.applied]
    assert sorted(applied) == sorted(migration.name for migration in migrations())


def test_a_database_of_a_newer_release_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO qledger.migration (number, name, sha256) VALUES (9999, '9999_x.sql', '')"
        )
    assert refusal_of(database_url).code == "database-newer"
    with pytest.raises(Unavailable, match=r"9999_x\.sql"):
        migrate(database_url)


def test_an_altered_migration_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE qledger.migration SET sha256 = 'x' WHERE number = 1")
    assert refusal_of(database_url).code == "migration-altered"
    with pytest.raises(Unavailable) as refusal:
        migrate(database_url)
    assert refusal.value.code == "migration-altered"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://nobody:hunter2@127.0.0.1:1/x", "database-unreachable"),
        ("no url at all", "invalid-database-url"),
    ],
)
def test_a_database_out_of_reach_is_told_without_its_password(url: str, code: str) -> None:
    refusal = refusal_of(url)
    assert refusal.code == code
    assert "hunter2" not in str(refusal)


@pytest.fixture
def plain_login(server: EmbeddedServer, empty_database_url: str) -> Iterator[str]:
    """A login that owns its database but may not make roles."""
    database = empty_database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    name = f"plain_{database}"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
        connection.execute(
            SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database), Identifier(name))
        )
        yield empty_database_url.replace("postgres@", f"{name}@")
        connection.execute(SQL("REASSIGN OWNED BY {} TO postgres").format(Identifier(name)))
        connection.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def test_a_login_that_may_not_make_roles_works_with_triggers_alone(plain_login: str) -> None:
    assert not migrate(plain_login).roles
    with Ledger.open(external(plain_login)) as ledger:
        now = ledger.clock()
        draft = Draft(
            "deal:1", StageClaimed(stage="x"), event_id_at(now), "ann", Source("test"), now
        )
        assert ledger.record([draft]).positions == (1,)
        with (
            ledger.database.connection() as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"),
        ):
            connection.execute("DELETE FROM qledger.event")
