"""Operating the server: limits over HTTP, health, metrics, its log, and stopping without a loss."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import psycopg
import pytest

from ledger.config import Settings
from ledger.store.database import Database
from ledger.store.ledger import Ledger
from tests.e2e.asking import Client, token_of
from tests.e2e.listening import streaming
from tests.e2e.process import SECONDS_MAX, Qledger

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
HEAD = "{ ledger { headPosition } }"
OPEN = "mutation($input: OpenDealInput!) { openDeal(input: $input) { __typename } }"
WRITERS = 4


def with_settings(qledger: Qledger, **settings: str) -> Qledger:
    named = {f"QLEDGER_{name.upper()}": value for name, value in settings.items()}
    return Qledger({**qledger.settings, **named})


@contextmanager
def asking(qledger: Qledger) -> Iterator[httpx.Client]:
    with qledger.serving() as (_process, address), httpx.Client(base_url=address) as http:
        yield http


def ask(http: httpx.Client, query: str, **headers: str) -> httpx.Response:
    return http.post("/graphql", json={"query": query}, headers=headers)


def code(answer: httpx.Response) -> str:
    (error,) = answer.json()["errors"]
    found: str = error["extensions"]["code"]
    return found


def samples(http: httpx.Client) -> dict[str, float]:
    """The metrics that are told now."""
    answer = http.get("/metrics")
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _space, value in (line.rpartition(" ") for line in lines)}


# --- limits -------------------------------------------------------------------------------------


def test_who_asked_too_much_waits_and_others_do_not(fresh: Qledger) -> None:
    served = with_settings(fresh, query_points_a_minute="20")
    ann, bob = (
        {"Authorization": f"Bearer {token_of(served, 'analyst', who)}"} for who in ("ann", "bob")
    )
    costly = "{ rateLimit { cost remaining } snapshot { forecast { currency } } }"
    with asking(served) as http:
        first = ask(http, costly, **ann)
        told = first.json()["data"]["rateLimit"]
        assert first.headers["x-ratelimit-cost"] == str(told["cost"])
        assert first.headers["x-ratelimit-remaining"] == str(told["remaining"])
        second = ask(http, costly, **ann)
        assert (second.status_code, code(second)) == (429, "rate-limited")
        assert 0 < int(second.headers["retry-after"]) <= 60
        assert ask(http, costly, **bob).status_code == 200
        by_link = http.get("/graphql", params={"query": "{ rateLimit { remaining } }"}, headers=bob)
        assert by_link.headers["cache-control"] == "no-store"  # it is another one each time
        assert samples_of(http, ann)['qledger_requests_total{door="graphql",operation="other",'
                                     'outcome="limited"}'] == 1  # fmt: skip


def samples_of(http: httpx.Client, headers: dict[str, str]) -> dict[str, float]:
    with httpx.Client(base_url=http.base_url, headers=headers) as known:
        return samples(known)


def test_a_question_that_costs_too_much_says_so_in_every_way_of_asking(fresh: Qledger) -> None:
    with asking(with_settings(fresh, query_cost_max="40")) as http:
        query = "query($n: Int) { dealRows(first: $n) { nodes { deal } } }"
        body = {"query": query, "variables": {"n": 10_000}}
        posted = http.post("/graphql", json=body)
        got = http.get("/graphql", params={"query": query, "variables": '{"n": 10000}'})
        newer = {"Accept": "application/graphql-response+json"}
        refused = http.post("/graphql", json=body, headers=newer)
        assert [code(each) for each in (posted, got, refused)] == ["query-too-costly"] * 3
        assert [each.status_code for each in (posted, got, refused)] == [200, 200, 400]
        assert http.post("/graphql", json={**body, "variables": {"n": 10}}).json()["data"]


def test_a_question_that_the_database_works_on_too_long_is_ended(
    fresh: Qledger, ledger: Ledger
) -> None:
    with (
        asking(with_settings(fresh, question_timeout_ms="200")) as http,
        ledger.database.connect() as other,
    ):
        other.execute("RESET ROLE")
        with other.transaction():
            other.execute("LOCK TABLE qledger.head IN ACCESS EXCLUSIVE MODE")
            slow = ask(http, "{ snapshot { basis { horizon } } }")
            assert code(slow) == "question-too-slow"
            assert "QLEDGER_QUESTION_TIMEOUT_MS" in slow.json()["errors"][0]["extensions"]["hint"]
        assert "errors" not in ask(http, "{ snapshot { basis { horizon } } }").json()


def test_a_session_has_the_timeout_of_what_it_is_lent_for(settings: Settings) -> None:
    def timeout(session: Any) -> str:
        with session as connection:
            found: str = connection.execute("SHOW statement_timeout").fetchone()[0]
            return found

    with Database(settings.model_copy(update={"question_timeout_ms": 30_000})) as database:
        asked = [timeout(each()) for each in (database.asking, database.connection) * 3]
    assert asked == ["30s", "1min"] * 3


# --- health and metrics -------------------------------------------------------------------------


def test_it_is_ready_only_with_the_migrations_of_this_release(
    fresh: Qledger, ledger: Ledger
) -> None:
    with asking(fresh) as http:
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert ready.json()["read_models"]["lag_events"] == 0
        with ledger.database.connect() as owner:
            owner.execute("RESET ROLE")
            owner.execute(
                "DELETE FROM qledger.migration WHERE number = "
                "(SELECT max(number) FROM qledger.migration)"
            )
        lacking = http.get("/readyz")
        assert (lacking.status_code, lacking.json()["code"]) == (503, "database-not-migrated")
        assert http.get("/healthz").status_code == 200


def test_the_metrics_tell_of_the_log_and_what_was_asked(fresh: Qledger) -> None:
    with asking(fresh) as http:
        Client(http).recorded("openDeal", deal="D1", actor="kim")
        ask(http, "{ nonesuch }")
        http.get("/graphql", params={"documentId": "deals-v1"})
        found = samples(http)
    assert found["qledger_head_position"] == found["qledger_events_appended_total"] == 1
    assert found["qledger_database_up"] == 1
    assert found["qledger_projection_halted"] == 0
    assert found["qledger_pool_sessions_max"] > 0
    assert found["process_resident_memory_bytes"] > 0
    asked = 'qledger_requests_total{door="graphql",operation="%s",outcome="%s"}'
    counts = [("deals-v1", "ok"), ("other", "ok"), ("other", "refused")]
    assert [found[asked % each] for each in counts] == [1, 1, 1]


def test_the_metrics_count_who_listens(fresh: Qledger) -> None:
    with asking(fresh) as http:
        assert samples(http)["qledger_open_subscriptions"] == 0
        listen = "subscription { events { __typename } }"
        with streaming(http, listen, after_id="0") as told:
            next(told)  # the stream has begun
            assert samples(http)["qledger_open_subscriptions"] == 1


def test_the_metrics_outlive_the_tables(fresh: Qledger, ledger: Ledger) -> None:
    with asking(fresh) as http:
        page = PAGE.read_text(encoding="utf-8")
        names = {re.sub(r"(_bucket|_sum|_count)?(\{.*)?$", "", name) for name in samples(http)}
        assert [name for name in names if name.startswith("qledger") and name not in page] == []
        with ledger.database.connect() as owner:
            owner.execute("RESET ROLE")
            owner.execute("ALTER TABLE qledger.projection RENAME TO projection_of_old")
        found = samples(http)
        assert found["qledger_database_up"] == 0
        assert "qledger_head_position" not in found


@pytest.mark.parametrize(
    ("role", "status"),
    [("rep", 403), ("manager", 403), ("importer", 403), ("analyst", 200), ("auditor", 200),
     ("admin", 200)],
)  # fmt: skip
def test_who_reads_the_metrics(
    guarded: tuple[httpx.Client, Qledger], role: str, status: int
) -> None:
    http, qledger = guarded
    assert http.get("/metrics").status_code == 401
    token = token_of(qledger, role, "x")
    assert http.get("/metrics", auth=("", token)).status_code == status


@pytest.fixture(scope="module")
def guarded(qledger: Qledger) -> Iterator[tuple[httpx.Client, Qledger]]:
    token_of(qledger, "admin", "ops")
    with asking(qledger) as http:
        yield http, qledger


# --- the log ------------------------------------------------------------------------------------


def test_the_log_has_a_line_a_request_and_what_was_masked(fresh: Qledger, ledger: Ledger) -> None:
    with with_settings(fresh, log="json", project="off").serving() as (process, address):
        with httpx.Client(base_url=address) as http:
            ask(http, 'query Mine { snapshot(asOf: "2026-01-01") { basis { horizon } } }')
            with ledger.database.connect() as owner:
                owner.execute("RESET ROLE")
                owner.execute("ALTER TABLE qledger.head RENAME TO head_of_old")
            masked = ask(http, HEAD, **{"X-Request-ID": "mine-7"})
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=SECONDS_MAX)
    assert code(masked) == "internal-error"
    assert masked.json()["errors"][0]["extensions"]["requestId"] == "mine-7"
    lines = [orjson.loads(line) for line in err.splitlines()]
    (asked,) = [line for line in lines if line.get("operation") == "Mine"]
    assert asked["positions"] == [0]
    assert asked["principal"] == "operator"
    assert "2026-01-01" not in err
    errors = [line for line in lines if line["event"] == "error" and "request_id" in line]
    assert {line["request_id"] for line in errors} == {"mine-7"}
    assert errors[0]["said"] == "SQLSTATE 42P01"
    (failed,) = [line for line in lines if line.get("outcome") == "failed"]
    assert failed["codes"] == ["internal-error"]


def test_spans_are_sent_to_the_collector_that_is_named(fresh: Qledger) -> None:
    sent: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        served = with_settings(fresh, tracing="on")
        served.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = (
            f"http://127.0.0.1:{collector.server_port}"
        )
        served.environment["OTEL_EXPORTER_OTLP_COMPRESSION"] = "none"
        with served.serving() as (process, address):
            with httpx.Client(base_url=address) as http:
                ask(http, "query Mine { snapshot { deals { nodes { id } } } }")
            process.send_signal(signal.SIGTERM)
            _out, err = process.communicate(timeout=SECONDS_MAX)
        collector.shutdown()
    assert process.returncode == 130, err
    assert {path for path, _body in sent} == {"/v1/traces"}
    told = b"".join(body for _path, body in sent)
    for name in (b"POST graphql", b"graphql query", b"question", b"qledger.basis.horizon"):
        assert name in told, name
    assert b"nodes" not in told


# --- stopping -----------------------------------------------------------------------------------


def test_writers_in_flight_at_the_end_are_answered_and_recorded(
    fresh: Qledger, ledger: Ledger
) -> None:
    with fresh.serving() as (process, address), ThreadPoolExecutor(WRITERS) as threads:
        with ledger.database.connect() as other, other.transaction():
            other.execute("RESET ROLE")
            other.execute("SELECT * FROM qledger.head FOR UPDATE")  # appends wait for it
            writing = [threads.submit(_opened, address, f"D{n}") for n in range(WRITERS)]
            _until(lambda: _waiting(ledger) >= WRITERS)
            process.send_signal(signal.SIGTERM)
            _until(lambda: _refuses(address))
            assert not any(each.done() for each in writing)
        assert [each.result() for each in writing] == ["Recorded"] * WRITERS
        _out, err = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 130, err
    assert _streams(ledger) == {f"deal:D{n}" for n in range(WRITERS)}


def test_what_was_acknowledged_until_the_end_is_in_the_log(fresh: Qledger, ledger: Ledger) -> None:
    with fresh.serving() as (process, address), ThreadPoolExecutor(WRITERS) as threads:
        running = [threads.submit(_writes_on, address, n) for n in range(WRITERS)]
        _until(lambda: len(_streams(ledger)) >= 20)
        process.send_signal(signal.SIGTERM)
        acknowledged = {stream for each in running for stream in each.result()}
        process.communicate(timeout=SECONDS_MAX)
    assert len(acknowledged) >= 20 - WRITERS
    assert acknowledged <= _streams(ledger)


def _opened(address: str, deal: str) -> str:
    given = {"deal": deal, "actor": "kim", "eventId": str(uuid4())}
    body = {"query": OPEN, "variables": {"input": given}}
    answer = httpx.post(f"{address}/graphql", json=body, timeout=SECONDS_MAX)
    found: str = answer.json()["data"]["openDeal"]["__typename"]
    return found


def _writes_on(address: str, writer: int) -> list[str]:
    """Writes until the server is gone; what it acknowledged."""
    done: list[str] = []
    while True:
        deal = f"W{writer}-{len(done)}"
        try:
            assert _opened(address, deal) == "Recorded"
        except httpx.TransportError:
            return done
        done.append(f"deal:{deal}")


def _streams(ledger: Ledger) -> set[str]:
    with ledger.database.connection() as connection:
        return {row[0] for row in connection.execute("SELECT stream FROM qledger.event")}


def _waiting(ledger: Ledger) -> int:
    """How many wait for a lock."""
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND datname = current_database()"
        ).fetchone()
    assert row is not None
    found: int = row[0]
    return found


def _refuses(address: str) -> bool:
    try:
        httpx.get(f"{address}/healthz", timeout=1)
    except httpx.TransportError:
        return True
    return False


def _until(holds: Any) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
