"""The read models as a person keeps them: project, rebuild, status, and beside a server."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.process import SECONDS_MAX, Qledger


@pytest.fixture
def few(fresh: Qledger) -> Qledger:
    """A ledger with a few deals, of which nothing is projected."""
    for number in range(3):
        fresh.ok_here("record", f"deal:D{number}", "deal-opened", f'{{"name": "Deal {number}"}}')
    return fresh


def status(qledger: Qledger) -> dict[str, Any]:
    return qledger.ok_here("status", "--format", "json").json


def test_projecting_brings_the_tables_to_the_head(few: Qledger) -> None:
    before = status(few)
    assert (before["position"], before["lag_events"], before["in_use"]) == (0, 3, False)
    assert before["lag_seconds"] > 0
    assert "up to position 3" in few.ok_here("project").text
    after = status(few)
    assert (after["position"], after["lag_events"], after["in_use"]) == (3, 0, True)
    assert after["rules"]["differ"] is False
    assert "up to position 3" in few.ok_here("project").text


def test_an_empty_ledger_is_projected_and_rebuilt(fresh: Qledger) -> None:
    assert "all 0 events" in fresh.ok_here("project").text
    assert "live at position 0" in fresh.ok_here("rebuild").text


def test_a_rebuild_is_verified_against_what_is_live(few: Qledger, database_url: str) -> None:
    few.ok_here("project")
    assert "equal to those before" in few.ok_here("rebuild", "--verify").text
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE qledger_b.deal_state SET name = 'x' WHERE deal = 'D1'")
    differs = few.here("rebuild", "--verify")
    assert (differs.status, differs.code) == (3, "rebuild-differs")
    assert "deal=D1" in differs.err
    assert status(few)["side"] == "b"


def test_tables_of_other_rules_ask_for_a_rebuild(few: Qledger, database_url: str) -> None:
    few.ok_here("project")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE qledger.projection SET rules = '0'")
    assert status(few)["in_use"] is False
    assert "run qledger rebuild" in few.ok_here("status").text
    done = few.here("project")
    assert (done.status, status(few)["in_use"]) == (0, True)
    assert "the rules of folding changed" in done.err


def test_an_event_that_cannot_be_projected_is_named(few: Qledger, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # triggers do not fire
        connection.execute("""
            UPDATE qledger.event SET envelope = convert_to(replace(
                convert_from(envelope, 'UTF8'), '"schema_version":1', '"schema_version":99'
            ), 'UTF8') WHERE position = 2
        """)
    halted = few.here("project")
    assert (halted.status, halted.code) == (5, "cannot-project")
    found = status(few)
    assert (found["position"], found["halted"]["position"]) == (1, 2)
    assert "newer-schema" in found["halted"]["because"]
    assert "halted on the event at position 2" in few.ok_here("status").text


def wait_until_projected(address: str, events: int) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        facts: dict[str, Any] = httpx.get(f"{address}/readyz").json()["read_models"]
        if facts["in_use"] and facts["lag_events"] == 0:
            return facts
        assert time.monotonic() < deadline, f"{events} events are not projected: {facts}"
        time.sleep(0.05)


def test_a_server_projects_what_others_record(few: Qledger) -> None:
    with few.serving() as (_process, address):
        wait_until_projected(address, 3)
        few.ok_here("record", "deal:D7", "deal-opened", '{"name": "Deal 7"}')
        wait_until_projected(address, 4)
        assert status(few)["runner"] is True
    deadline = time.monotonic() + SECONDS_MAX
    while status(few)["runner"]:  # the server was killed, and what projects goes with it
        assert time.monotonic() < deadline, "the runner outlives its server"
        time.sleep(0.05)


def test_a_server_leaves_it_to_others_when_told_so(few: Qledger) -> None:
    quiet = Qledger({**few.settings, "QLEDGER_PROJECT": "off"})
    assert "QLEDGER_PROJECT" in quiet.ok_here("config").text
    with quiet.serving() as (_process, address):
        answer = httpx.get(f"{address}/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
        assert answer.json()["read_models"]["in_use"] is False
        assert status(quiet)["runner"] is False
