"""Questions by GET: documents by name, tags, what may be kept, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from api.graphql.documents import digest_of, shipped
from api.graphql.schema import schema
from ledger.config import Settings
from ledger.store.ledger import Ledger
from tests.e2e import worked
from tests.e2e.process import Qledger

MUTATION = 'mutation { removeDeal(input: {deal: "A", actor: "x"}) { __typename } }'


@pytest.fixture(scope="module")
def http(qledger: Qledger) -> Iterator[httpx.Client]:
    """Asks a server on the worked example."""
    with (
        qledger.serving() as (_process, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        yield http


def by_name(
    http: httpx.Client, name: str, tag: str | None = None, **variables: Any
) -> httpx.Response:
    headers = {"accept": "*/*"} | ({} if tag is None else {"if-none-match": tag})
    asked = {"documentId": name, "variables": orjson.dumps(variables).decode()}
    return http.get("/graphql", params=asked, headers=headers)


def data(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    assert "errors" not in found, found
    told: dict[str, Any] = found["data"]
    return told


ASKED: dict[str, dict[str, Any]] = {
    "bridge-v2": {"from": "2025-02-28", "to": worked.END},
    "series-v2": {"from": "2025-01-31", "to": worked.END},
    "gates-v1": {"deal": "A"},
}
"""The variables without which a document cannot be asked."""


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_document_is_answered_by_its_name(http: httpx.Client, name: str) -> None:
    variables = {"asOf": worked.END} if "$asOf" in shipped()[name] else {}
    found = data(by_name(http, name, **variables, **ASKED.get(name, {})))
    assert found
    by_digest = by_name(http, digest_of(shipped()[name]), **variables, **ASKED.get(name, {}))
    assert data(by_digest).keys() == found.keys()


def test_the_same_is_answered_by_post_and_as_a_query(http: httpx.Client) -> None:
    variables = {"asOf": worked.END, "period": "2025-Q1"}
    expected = data(by_name(http, "forecast-v1", **variables))
    posted = http.post("/graphql", json={"documentId": "forecast-v1", "variables": variables})
    assert data(posted) == expected
    asked = {"query": shipped()["forecast-v1"], "variables": orjson.dumps(variables).decode()}
    assert data(http.get("/graphql", params=asked)) == expected


def test_a_link_to_a_document_is_never_the_page_for_people(http: httpx.Client) -> None:
    for accept in ("*/*", "text/html", "text/html,*/*"):
        answer = http.get(
            "/graphql", params={"documentId": "forecast-v1"}, headers={"accept": accept}
        )
        assert answer.headers["content-type"] == "application/json"
    assert (
        "text/html" in http.get("/graphql", headers={"accept": "text/html"}).headers["content-type"]
    )
    nothing = http.get("/graphql", headers={"accept": "*/*"})
    assert nothing.json()["errors"][0]["extensions"]["code"] == "no-query"


def test_an_answer_is_not_made_again_until_something_is_recorded(
    fresh: Qledger, database_url: str
) -> None:
    with Ledger.open(Settings.model_validate({"database_url": database_url})) as ledger:
        worked.write(ledger)
        with fresh.serving() as (_p, address), httpx.Client(base_url=address, timeout=60) as http:
            first = by_name(http, "deals-v1", asOf=worked.END)
            tag = first.headers["etag"]
            again = by_name(http, "deals-v1", tag, asOf=worked.END)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
            assert by_name(http, "deals-v1", tag, asOf=worked.END, owner="ann").status_code == 200
            assert by_name(http, "deals-v1", tag, asOf="2025-03-30").status_code == 200
            ledger.import_events(worked.late_news())
            changed = by_name(http, "deals-v1", tag, asOf=worked.END)
            assert changed.status_code == 200
            assert data(changed) != data(first)


def test_only_what_nothing_later_can_change_is_immutable(http: httpx.Client) -> None:
    at = "2025-03-31T23:59:59.999999Z"
    for name, variables, immutable in (
        ("deals-v1", {"asOf": at, "horizon": "20"}, True),
        ("deals-v1", {"asOf": "pos:20"}, True),
        ("findings-v2", {"asOf": "pos:20"}, True),
        ("deals-v1", {"asOf": at}, False),
        ("deals-v1", {"asOf": worked.END, "horizon": "20"}, False),
        ("deals-v1", {"horizon": "20"}, False),
        ("deals-v1", {"asOf": at, "knownAt": "now", "horizon": "20"}, False),
    ):
        answer = by_name(http, name, **variables)
        assert ("immutable" in answer.headers["cache-control"]) is immutable, variables
        assert answer.headers["vary"] == "Authorization, Accept"
    query = '{ ledger { headPosition } dealRows(asOf: "pos:20") { totalCount } }'
    answer = http.get("/graphql", params={"query": query})
    assert answer.headers["cache-control"] == "private, no-cache"


def test_an_error_is_not_kept(http: httpx.Client) -> None:
    answer = by_name(http, "deals-v1", asOf=worked.END, period="Q9")
    assert answer.json()["errors"][0]["extensions"]["code"] == "invalid-period"
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"documentId": "nope"}, 404, "unknown-document"),
        ({"documentId": "sha256:" + "0" * 64}, 404, "unknown-document"),
        ({"documentId": "deals-v1", "query": "{ __typename }"}, 400, "document-and-query"),
        ({"documentId": "deals-v1", "variables": "{"}, 400, "invalid-variables"),
        ({"documentId": "deals-v1", "variables": "[1]"}, 400, "invalid-variables"),
        ({"query": MUTATION}, 400, "invalid-request"),
    ],
)
def test_a_refusal_is_json_with_a_code(
    http: httpx.Client, asked: dict[str, str], status: int, code: str
) -> None:
    answer = http.get("/graphql", params=asked, headers={"accept": "*/*"})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"] == code


def test_a_variable_that_a_document_does_not_take_is_refused(http: httpx.Client) -> None:
    answer = by_name(http, "forecast-v1", asOf=worked.END, horizn="5")
    assert answer.status_code == 400
    (refused,) = answer.json()["errors"]
    assert refused["extensions"]["code"] == "unknown-variable"
    assert "horizn" in refused["message"]
    posted = {"documentId": "forecast-v1", "variables": {"as_of": worked.END}}
    assert http.post("/graphql", json=posted).status_code == 400


def test_a_bridge_is_pinned_to_a_horizon(http: httpx.Client) -> None:
    asked = {**ASKED["bridge-v2"], "horizon": "5"}
    rows = data(by_name(http, "bridge-v2", **asked))["bridgeRows"]["nodes"]
    assert {row["basisPosition"] for row in rows} == {row["fromPosition"] for row in rows} == {5}


def test_a_mutation_by_get_records_nothing(http: httpx.Client) -> None:
    before = data(http.get("/graphql", params={"query": "{ ledger { headPosition } }"}))
    for query in (
        MUTATION,
        f"query A {{ __typename }} {MUTATION.replace('mutation', 'mutation B')}",
    ):
        answer = http.get("/graphql", params={"query": query, "operationName": "B"})
        assert answer.status_code == 400
    assert data(http.get("/graphql", params={"query": "{ ledger { headPosition } }"})) == before


def test_an_operator_adds_and_removes_documents(fresh: Qledger, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.graphql"
    file.write_text('query { dealRows(category: "pipeline") { totalCount } }', encoding="utf-8")
    added = fresh.ok("document", "add", "pipeline-v1", str(file))
    assert added.text.startswith("added pipeline-v1 (sha256:")
    with fresh.serving() as (_p, address), httpx.Client(base_url=address, timeout=60) as http:
        assert data(by_name(http, "pipeline-v1")) == {"dealRows": {"totalCount": 0}}
        digest = added.text.split("(")[1].rstrip(")\n")
        assert data(by_name(http, digest)) == {"dealRows": {"totalCount": 0}}
        listed = fresh.ok("document", "list", "--format", "json").json["documents"]
        assert {"pipeline-v1", "deals-v1"} <= {each["document"] for each in listed}
        assert fresh.ok("document", "remove", "pipeline-v1").text == "removed\n"
        for gone in ("pipeline-v1", digest, "sha256:0", "sha256:" + "Z" * 64):
            assert by_name(http, gone).status_code == 404
    fresh.ok("document", "add", "pipeline-v1", str(file))
    file.write_text("query { dealRows { totalCount } }", encoding="utf-8")
    other = fresh.run("document", "add", "pipeline-v1", str(file))
    assert (other.status, other.code) == (3, "document-id-taken")
    shipped_one = fresh.run("document", "add", "deals-v1", str(file))
    assert (shipped_one.status, shipped_one.code) == (3, "document-id-taken")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("query {", "invalid-document"),
        ("mutation { __typename }", "invalid-document"),
        ("query A { __typename } query B { __typename }", "invalid-document"),
        ("query { nothing }", "invalid-document"),
    ],
)
def test_what_is_no_question_is_no_document(
    qledger: Qledger, tmp_path: Path, text: str, code: str
) -> None:
    file = tmp_path / "document.graphql"
    file.write_text(text, encoding="utf-8")
    refused = qledger.here("document", "add", "mine", str(file))
    assert (refused.status, refused.code) == (2, code)
    assert qledger.here("document", "add", "Mine!", str(file)).code == "invalid-document-id"
    assert qledger.here("document", "add", "mine", str(tmp_path / "no")).code == "file-not-read"
    assert qledger.here("document", "remove", "mine").code == "unknown-document"


def test_the_schema_and_the_columns_are_there_to_read(http: httpx.Client) -> None:
    assert http.get("/schema.graphql").text == schema.as_str()
    tables = http.get("/api/columns.json").json()["tables"]
    exported = {"deals", "gates", "criteria", "evidence", "forecast", "events"}
    assert exported == {table["name"] for table in tables if table["exported"]}
    assert {"bridges", "points"} == {table["name"] for table in tables if not table["exported"]}
    for table in tables:
        assert [column["name"] for column in table["columns"]][-4:] == [
            "as_of", "basis_known_at", "basis_position", "basis_rules",
        ]  # fmt: skip
