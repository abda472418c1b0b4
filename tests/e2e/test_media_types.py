"""The two media types of answers, by GET and by POST, and the status that goes with each."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from api.http.media import GRAPHQL_RESPONSE, JSON
from tests.e2e.process import Qledger

HEAD = "{ ledger { headPosition } }"
UNKNOWN = "{ nothing }"
FAILING = '{ ledger { headPosition } rows: dealRows(asOf: "pos:9999") { totalCount } }'


@pytest.fixture(scope="module")
def http(qledger: Qledger) -> Iterator[httpx.Client]:
    """Asks a server on the worked example."""
    with (
        qledger.serving() as (_process, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        yield http


def asked(http: httpx.Client, method: str, query: str, accept: str) -> httpx.Response:
    headers = {"accept": accept}
    if method == "GET":
        return http.get("/graphql", params={"query": query}, headers=headers)
    return http.post("/graphql", json={"query": query}, headers=headers)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_same_is_answered_in_either(http: httpx.Client, method: str) -> None:
    newer, older = (asked(http, method, HEAD, kind) for kind in (GRAPHQL_RESPONSE, JSON))
    assert newer.headers["content-type"] == GRAPHQL_RESPONSE
    assert older.headers["content-type"] == JSON
    assert newer.status_code == older.status_code == 200
    assert newer.content == older.content
    assert newer.headers.get("etag") == older.headers.get("etag")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_question_refused_as_a_whole_has_no_data_and_400_where_the_newer_one_is_asked_for(
    http: httpx.Client, method: str
) -> None:
    newer, older = (asked(http, method, UNKNOWN, kind) for kind in (GRAPHQL_RESPONSE, JSON))
    assert (newer.status_code, older.status_code) == (400, 200)
    assert "data" not in newer.json()
    assert older.json()["data"] is None
    messages = [answer.json()["errors"][0]["message"] for answer in (newer, older)]
    assert messages[0] == messages[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_fails_while_it_is_answered_is_200_in_either(http: httpx.Client, method: str) -> None:
    for kind in (GRAPHQL_RESPONSE, JSON):
        answer = asked(http, method, FAILING, kind)
        assert answer.status_code == 200
        assert "data" in answer.json()
        assert answer.json()["errors"][0]["path"] == ["rows"]


def test_a_refusal_before_graphql_is_told_in_the_media_type_asked_for(http: httpx.Client) -> None:
    mutation = "mutation { __typename }"
    for kind in (GRAPHQL_RESPONSE, JSON):
        answer = asked(http, "GET", mutation, kind)
        assert answer.status_code in {400, 405}
        assert answer.headers["content-type"] == kind
        assert answer.json()["errors"]


def test_the_tag_of_an_answer_holds_for_the_newer_media_type_too(http: httpx.Client) -> None:
    first = asked(http, "GET", HEAD, GRAPHQL_RESPONSE)
    headers = {"accept": GRAPHQL_RESPONSE, "if-none-match": first.headers["etag"]}
    again = http.get("/graphql", params={"query": HEAD}, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
