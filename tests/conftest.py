"""Fixtures: one embedded server for the run, and a fresh, migrated database for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from ledger.config import Settings
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from ledger.store.migrate import migrate

TEMPLATE = "qledger_template"

FreshLedger = Callable[[], AbstractContextManager[tuple[Ledger, Settings]]]

# A law holds or not; how long one example takes says more of the machine than of the law.
hypothesis_settings.register_profile(
    "qledger", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("qledger")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """An embedded PostgreSQL in a temporary home."""
    home = Path(tempfile.mkdtemp(prefix="qledger-test-"))
    home.chmod(0o755)
    with EmbeddedServer(home) as running:
        with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(TEMPLATE)))
        migrate(running.url(TEMPLATE))
        yield running
    shutil.rmtree(home)


@pytest.fixture
def empty_database_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database of its own without our tables, dropped afterwards."""
    yield from _database(server, "template1")


@pytest.fixture
def database_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a fresh, migrated database of its own, as its owner; dropped afterwards."""
    yield from _database(server, TEMPLATE)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings that name the test's database."""
    return Settings(home=tmp_path, database_url=SecretStr(database_url), workers=8)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """An open, empty ledger."""
    with Ledger.open(settings) as opened:
        yield opened


@pytest.fixture
def fresh_ledger(server: EmbeddedServer, tmp_path: Path) -> FreshLedger:
    """Makes as many open, empty ledgers as a test wants, each dropped when it is left."""

    @contextmanager
    def opened() -> Iterator[tuple[Ledger, Settings]]:
        with contextmanager(_database)(server, TEMPLATE) as url:
            chosen = Settings(home=tmp_path, database_url=SecretStr(url), workers=1)
            with Ledger.open(chosen) as made:
                yield made, chosen

    return opened


def _database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template))
        )
        yield server.url(name)
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
