"""A ledger that holds the worked example, shared by tests that only ask."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from ledger.config import Settings
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from tests.conftest import TEMPLATE
from tests.e2e import worked
from tests.e2e.asking import Client
from tests.e2e.process import Qledger
from tests.e2e.sales_force import House, serving, write

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def empty_settings(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A migrated database without events, for one module."""
    name = f"module_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(TEMPLATE))
        )
        url = SecretStr(server.url(name))
        yield Settings(home=_home(tmp_path_factory), database_url=url, workers=2)
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="module")
def house(empty_settings: Settings) -> Iterator[House]:
    """The sales force, served, for one module."""
    with serving(empty_settings) as house:
        write(house.ledger)
        yield house


@pytest.fixture(scope="module")
def worked_settings(empty_settings: Settings) -> Settings:
    """A database with the worked example, for one module."""
    with Ledger.open(empty_settings) as ledger:
        worked.write(ledger)
    return empty_settings


@pytest.fixture(scope="module")
def qledger(worked_settings: Settings) -> Qledger:
    """The command line on the worked example, to ask only."""
    assert worked_settings.database_url is not None
    return Qledger.on(worked_settings.database_url.get_secret_value())


@pytest.fixture(scope="module")
def client(qledger: Qledger) -> Iterator[Client]:
    """Asks a server on the worked example, for one module."""
    with (
        qledger.serving() as (_process, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        yield Client(http)


@pytest.fixture
def fresh(database_url: str) -> Qledger:
    """The command line on an empty ledger of the test's own."""
    return Qledger.on(database_url)


def _home(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("home")
