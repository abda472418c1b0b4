"""What is asked in another way than it is answered: HEAD, other methods, paths that are not there,
arguments and columns that are spelt otherwise, another Content-Type."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from ledger.config import Settings
from tests.e2e.process import Qledger
from tests.e2e.sales_force import BEFORE, House

FILE = "/export/deals.parquet"
DIFFERS = {"content-length", "transfer-encoding", "x-request-id", "date", "qledger-made-from"}
"""What only the answer itself could tell, or what is of each request."""


def error(answer: httpx.Response) -> dict[str, Any]:
    (told,) = answer.json()["errors"]
    return {"message": told["message"], **told["extensions"]}


def of_document(name: str, **variables: Any) -> dict[str, str]:
    return {"documentId": name, "variables": orjson.dumps(variables).decode()}


def heads(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in DIFFERS}


def readings_of(settings: Settings, person: str) -> int:
    assert settings.database_url is not None
    operator = Qledger.on(settings.database_url.get_secret_value())
    found = operator.ok_here("readings", "--person", person, "--format", "json")
    return len(found.json["readings"])


# --- HEAD ---------------------------------------------------------------------------------------


def test_the_head_of_an_export_is_that_of_the_file(house: House) -> None:
    http = house.as_("una").http
    whole, head = (ask(FILE, params={"as_of": BEFORE}) for ask in (http.get, http.head))
    assert (head.status_code, head.content) == (200, b"")
    assert heads(head) == heads(whole)
    assert {"etag", "qledger-basis", "content-disposition"} <= heads(head).keys()
    assert "content-length" not in head.headers
    again = http.head(
        FILE, params={"as_of": BEFORE}, headers={"if-none-match": head.headers["etag"]}
    )
    assert again.status_code == 304


def test_a_head_refuses_what_the_same_get_refuses(house: House) -> None:
    for who, path, params in (
        ("una", "/export/deals.nope", {}),
        ("una", "/export/events.csv", {}),
        ("imp", FILE, {}),
        ("una", FILE, {"asOf": BEFORE}),
        ("una", "/graphql", of_document("nope-v1")),
        ("una", "/graphql", of_document("deals-v1", nope=1)),
        ("una", "/nope", {}),
    ):
        http = house.as_(who).http
        refused = http.get(path, params=params)
        assert refused.status_code >= 400
        assert http.head(path, params=params).status_code == refused.status_code, path


def test_the_head_of_a_question_has_its_tag_once_it_was_answered(house: House) -> None:
    http = house.as_("una").http
    asked = of_document("deals-v1", asOf=BEFORE, owner="ann")
    before = http.head("/graphql", params=asked)
    assert (before.status_code, before.content) == (200, b"")
    assert "etag" not in before.headers
    whole = http.get("/graphql", params=asked)
    head = http.head("/graphql", params=asked)
    assert head.headers["etag"] == whole.headers["etag"]
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.headers["cache-control"] == whole.headers["cache-control"]
    fresh = {"if-none-match": whole.headers["etag"]}
    assert http.head("/graphql", params=asked, headers=fresh).status_code == 304


def test_a_head_opens_no_stream_and_asks_nothing(house: House) -> None:
    http = house.as_("ada").http
    stream = {"accept": "text/event-stream"}
    asked = {"query": "subscription { events { position } }"}
    assert http.head("/graphql", params=asked, headers=stream).content == b""
    page = http.head("/graphql", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")


def test_a_head_is_no_reading(house: House, empty_settings: Settings) -> None:
    http = house.as_("otto").http
    asked = of_document("deals-v1", asOf=BEFORE, owner="bob")
    http.get("/graphql", params=asked)
    read = readings_of(empty_settings, "otto")
    assert read > 0
    assert http.head("/graphql", params=asked).status_code == 200
    assert http.head(FILE, params={"as_of": BEFORE}).status_code == 200
    assert readings_of(empty_settings, "otto") == read


@pytest.mark.parametrize("path", ["/", "/schema.graphql", "/api/columns.json", "/healthz",
                                  "/readyz", "/metrics"])  # fmt: skip
def test_whatever_is_read_has_a_head(house: House, path: str) -> None:
    http = house.as_("ada").http
    whole, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers.get("content-type") == whole.headers.get("content-type")


# --- what is not there --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/foo", "/export", "/export/deals.csv/more", "/graphiql/nope.js"])
def test_a_path_that_is_not_there_is_refused_as_everything_is(house: House, path: str) -> None:
    answer = house.as_("ada").http.get(path)
    assert answer.status_code == 404
    told = error(answer)
    assert told["code"] == "unknown-path"
    assert path in told["message"]
    assert "/graphql" in told["hint"]


def test_a_method_that_is_not_answered_is_refused_with_those_that_are(house: House) -> None:
    answer = house.as_("ada").http.request("PUT", FILE)
    assert answer.status_code == 405
    assert error(answer)["code"] == "method-not-allowed"
    for method in ("GET", "HEAD"):
        assert method in error(answer)["hint"]
        assert method in answer.headers["allow"]


# --- what is spelt otherwise --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "near"),
    [("asOf", "as_of"), ("knownAt", "known_at"), ("asof", "as_of"), ("onwer", "owner"),
     ("countsFrom", "counts_from"), ("column", "columns")],
)  # fmt: skip
def test_an_argument_that_is_not_there_brings_the_near_one(
    house: House, name: str, near: str
) -> None:
    answer = house.as_("una").http.get(FILE, params={name: "x"})
    assert answer.status_code == 400
    told = error(answer)
    assert (told["code"], told["where"]) == ("unknown-argument", name)
    assert told["hint"].startswith(f"{near} is meant, perhaps; it takes as_of, ")
    assert "witnessed_only" in told["hint"]


def test_an_argument_like_no_other_brings_all_that_there_are(house: House) -> None:
    answer = house.as_("una").http.get(FILE, params={"zzz": "x"})
    assert error(answer)["hint"].startswith("it takes as_of, ")


def test_a_column_that_is_not_there_brings_those_of_the_file(house: House) -> None:
    http = house.as_("una").http
    told = error(http.get(FILE, params={"columns": "deal,nope"}))
    assert told["code"] == "unknown-column"
    named = told["hint"].removeprefix("it has ").split(", ")
    csv = http.get("/export/deals.csv", params={"columns": "all", "as_of": BEFORE})
    assert named == csv.text.splitlines()[0].replace('"', "").split(",")


def test_events_of_another_kind_of_content_are_told_how_they_are_sent(house: House) -> None:
    answer = house.as_("imp").http.post("/ingest", json={"type": "x"})
    assert answer.status_code == 415
    told = error(answer)
    assert (told["code"], told["where"]) == ("not-ndjson", "Content-Type")
    assert "application/x-ndjson" in told["message"]
    assert "one JSON object a line" in told["message"]
    question = house.as_("ada").http.post("/graphql", content=b"{}")
    assert error(question)["code"] == "not-json"
