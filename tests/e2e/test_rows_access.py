"""Who may read flat rows and exports, and what is logged of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import httpx
import pytest

from ledger.config import Settings
from ledger.store.ledger import Ledger
from tests.e2e.asking import token_of
from tests.e2e.process import Qledger
from tests.integration import bi_book

ROLES = {"rep": "rep1", "manager": "mia", "analyst": "ana", "auditor": "aud", "importer": "sync"}
AS_OF = {"as_of": bi_book.END}


@pytest.fixture(scope="module")
def doors(empty_settings: Settings) -> Iterator[dict[str, httpx.Client]]:
    """Who asks, by role; `nobody` has no token."""
    with Ledger.open(empty_settings) as ledger:
        bi_book.write(ledger, deals=30)
    assert empty_settings.database_url is not None
    qledger = Qledger.on(empty_settings.database_url.get_secret_value())
    tokens = {role: token_of(qledger, role, person) for role, person in ROLES.items()}
    with qledger.serving() as (_process, address):
        clients = {
            role: httpx.Client(base_url=address, timeout=60, auth=("any", token))
            for role, token in tokens.items()
        }
        clients["nobody"] = httpx.Client(base_url=address, timeout=60)
        yield clients
        for client in clients.values():
            client.close()


def owners(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {row["owner"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))}


def test_an_export_holds_what_its_reader_may_see(doors: dict[str, httpx.Client]) -> None:
    for role, seen in (
        ("rep", {"rep1"}),
        ("manager", {"rep0", "rep1", "rep2"}),
        ("analyst", {"rep0", "rep1", "rep2", "rep3"}),
        ("auditor", {"rep0", "rep1", "rep2", "rep3"}),
    ):
        for table in ("deals", "gates", "criteria"):
            answer = doors[role].get(f"/export/{table}.csv", params=AS_OF)
            assert owners(answer) == seen, (role, table)
        evidence = owners(doors[role].get("/export/evidence.csv", params=AS_OF))
        assert evidence - {""} <= seen


def test_a_filter_or_a_sum_shows_nothing_more(doors: dict[str, httpx.Client]) -> None:
    query = """{ dealRows(asOf: "2026-06-30", owner: "rep2") { totalCount aggregate { count }
        groupBy(fields: ["owner"]) { owner } }
        all: dealRows(asOf: "2026-06-30") { groupBy(fields: ["owner"]) { owner } } }"""
    found = doors["rep"].get("/graphql", params={"query": query}).json()["data"]
    assert found["dealRows"] == {"totalCount": 0, "aggregate": {"count": 0}, "groupBy": []}
    assert found["all"]["groupBy"] == [{"owner": "rep1"}]
    assert owners(doors["rep"].get("/export/deals.csv", params={**AS_OF, "owner": "rep2"})) == set()


def test_raw_events_are_for_auditors(doors: dict[str, httpx.Client]) -> None:
    query = {"query": "{ eventRows(first: 1) { nodes { position } } }"}
    for role in ("rep", "manager", "analyst"):
        refused = doors[role].get("/export/events.csv")
        assert (refused.status_code, _code(refused)) == (403, "forbidden"), role
        assert _code(doors[role].get("/graphql", params=query)) == "forbidden"
    assert doors["auditor"].get("/export/events.csv", params=AS_OF).status_code == 200
    assert "errors" not in doors["auditor"].get("/graphql", params=query).json()


def _code(answer: httpx.Response) -> str:
    code: str = answer.json()["errors"][0]["extensions"]["code"]
    return code


def test_who_may_not_export_is_refused(doors: dict[str, httpx.Client]) -> None:
    assert doors["importer"].get("/export/deals.csv").status_code == 403
    assert doors["nobody"].get("/export/deals.csv").status_code == 401
    assert doors["nobody"].get("/graphql", params={"documentId": "deals-v1"}).status_code == 401


def test_an_analyst_reads_no_words_of_the_buyer(doors: dict[str, httpx.Client]) -> None:
    for role, withheld in (("analyst", True), ("auditor", False)):
        answer = doors[role].get("/export/evidence.csv", params=AS_OF)
        quotes = {row["quote"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))}
        assert (quotes <= {"(withheld)", ""}) is withheld
        deals = doors[role].get("/export/deals.csv", params={**AS_OF, "columns": "all"})
        assert ("the price" not in deals.text) is withheld


def test_two_readers_do_not_share_an_answer(doors: dict[str, httpx.Client]) -> None:
    for path, params in (("/export/deals.csv", AS_OF), ("/graphql", {"documentId": "deals-v1"})):
        whole = doors["auditor"].get(path, params=params)
        tag = {"if-none-match": whole.headers["etag"]}
        own = doors["rep"].get(path, params=params, headers=tag)
        assert own.status_code == 200
        assert whole.headers["cache-control"].startswith("private")
        assert "Authorization" in whole.headers["vary"]


def test_exports_are_logged_whoever_asks(
    doors: dict[str, httpx.Client], empty_settings: Settings
) -> None:
    doors["rep"].get("/export/gates.ndjson", params={**AS_OF, "owner": "rep1"})
    assert empty_settings.database_url is not None
    qledger = Qledger.on(empty_settings.database_url.get_secret_value())
    readings = qledger.ok("readings", "--person", "rep1", "--format", "json").json["readings"]
    asked = [each["asked"] for each in readings]
    assert f"GET /export/gates.ndjson?as_of={bi_book.END}&owner=rep1" in asked
    assert not [each for each in asked if "dealRows" in each]
