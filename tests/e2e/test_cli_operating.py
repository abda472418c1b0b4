"""Commands that operate a ledger: config, migrate, check; a database that cannot be used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.e2e.process import SECONDS_MAX, Qledger
from tests.e2e.worked import END


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="qledger-e2e-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "home"


def test_config_masks_the_password(tmp_path: Path) -> None:
    url = "postgresql://someone:open-sesame@db.example/ledger"
    shown = (
        Qledger({"QLEDGER_DATABASE_URL": url, "QLEDGER_HOME": str(tmp_path)}).ok_here("config").text
    )
    assert "sesame" not in shown
    for variable in ("DATABASE_URL", "HOME", "HOST", "PORT", "STATEMENT_TIMEOUT_MS", "WORKERS"):
        assert f"QLEDGER_{variable}" in shown


def test_a_wrong_setting_is_named() -> None:
    refused = Qledger({"QLEDGER_PORT": "http"}).here("config")
    assert (refused.status, refused.code) == (2, "invalid-setting")
    assert "QLEDGER_PORT" in refused.err


def test_migrating_twice_is_once(empty_database_url: str) -> None:
    qledger = Qledger.on(empty_database_url)
    too_early = qledger.here("forecast")
    assert (too_early.status, too_early.code) == (5, "database-not-migrated")
    assert "applied 0001" in qledger.ok_here("migrate").text
    assert "nothing to apply" in qledger.ok_here("migrate").text
    assert "0 events read, 0 faults" in qledger.ok_here("check").text


def test_a_good_log_has_no_faults(qledger: Qledger) -> None:
    assert "25 events read, 0 faults" in qledger.ok_here("check").text


def test_a_damaged_log_is_status_five(fresh: Qledger, database_url: str) -> None:
    fresh.ok_here("record", "deal:D1", "deal-opened", '{"name": "Deal 1"}')
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # triggers do not fire
        connection.execute("UPDATE qledger.event SET type = 'deal-removed'")
    damaged = fresh.here("check")
    assert (damaged.status, damaged.code) == (5, "log-damaged")
    assert "position 1: " in damaged.text


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://nobody@127.0.0.1:9/none", "database-unreachable"),
        ("no url at all", "invalid-database-url"),
    ],
)
def test_a_database_that_is_not_there_is_status_five(url: str, code: str) -> None:
    refused = Qledger.on(url).here("forecast", "--as-of", END)
    assert (refused.status, refused.code) == (5, code)


def test_an_empty_ledger_answers(fresh: Qledger) -> None:
    answer = fresh.ok_here("forecast", "--as-of", END, "--format", "json").json
    assert (answer["currency"], answer["basis"]["horizon"]) == (None, 0)
    assert answer["measures"]["claimed"]["commit"] == {"amount": "0", "deals": 0, "by_currency": {}}
    moved = fresh.ok_here("diff", "--from", "2025-01-01", "--to", END, "--format", "json").json
    assert (moved["opening"], moved["closing"], moved["deals"]) == ("0", "0", [])


def test_the_embedded_database_repeats_an_answer_after_a_restart(home: Path) -> None:
    """Each command starts the server and, being its last user, stops it."""
    qledger = Qledger({"QLEDGER_HOME": str(home)})
    payload = (
        '{"owner": "ann", "close_date": "2025-03-31", "amount": {"amount": "5", "currency": "USD"}}'
    )
    qledger.ok("record", "deal:D1", "deal-opened", payload)
    first = qledger.ok("forecast", "--period", "2025-Q1", "--format", "json")
    basis = first.json["basis"]
    assert not list(home.glob("**/postmaster.pid"))
    pinned = ["--valid-at", basis["valid_at"], "--known-at", basis["known_at"],
              "--horizon", str(basis["horizon"])]  # fmt: skip
    again = qledger.ok("forecast", "--period", "2025-Q1", "--format", "json", *pinned)
    assert again.out == first.out

    with qledger.serving() as (process, address):
        answer = httpx.post(f"{address}/graphql", json={"query": "{ ledger { headPosition } }"})
        assert answer.json()["data"] == {"ledger": {"headPosition": "1"}}
        assert list(home.glob("**/postmaster.pid"))
        process.terminate()
        process.communicate(timeout=SECONDS_MAX)
    assert not list(home.glob("**/postmaster.pid"))


def test_a_process_without_its_database_ends_with_status_five() -> None:
    refused = Qledger.on("postgresql://nobody@127.0.0.1:9/none").run("forecast")
    assert (refused.status, refused.code) == (5, "database-unreachable")
