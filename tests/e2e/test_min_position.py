"""Reading your own writes: every question takes the position that its answer must see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from projections.rows.catalogue import TABLES
from projections.rows.definition import camel
from tests.e2e import worked
from tests.e2e.asking import Client, writing_to
from tests.e2e.process import Qledger

QUESTIONS = {
    "snapshot": "snapshot(minPosition: $n) { basis { horizon } }",
    "diff": f'diff(from: "2025-02-28", to: "{worked.END}", minPosition: $n) {{ to {{ horizon }} }}',
    "bridgeRows": f'bridgeRows(from: "2025-02-28", to: "{worked.END}", minPosition: $n) '
    "{ basis { horizon } }",
    "forecastSeries": f'forecastSeries(from: "2025-02-28", to: "{worked.END}", minPosition: $n) '
    "{ basis { horizon } }",
    **{
        camel(table.root): f"{camel(table.root)}("
        + ('deal: "A", ' if table.name == "gates" else "")
        + "minPosition: $n) { basis { horizon } }"
        for table in TABLES.values()
    },
}


@pytest.fixture(scope="module")
def client(qledger: Qledger) -> Iterator[Client]:
    with writing_to(qledger) as client:
        yield client


def asked(question: str) -> str:
    return f"query($n: BigInt) {{ {question} }}"


@pytest.mark.parametrize("root", QUESTIONS)
def test_every_question_takes_the_position_that_it_must_see(client: Client, root: str) -> None:
    head = client.head()
    (answer,) = client.ask(asked(QUESTIONS[root]), n=str(head)).values()
    assert int((answer.get("basis") or answer["to"])["horizon"]) == head
    refused = client.refusal(asked(QUESTIONS[root]), n=str(head + 1))
    assert refused["extensions"]["code"] == "position-not-reached"
    assert refused["extensions"]["hint"]
    assert str(head) in refused["message"]


def test_it_changes_nothing_in_the_answer(client: Client) -> None:
    query = """query($n: BigInt) { snapshot(asOf: "2025-06-30", minPosition: $n) {
        deals { nodes { id stage } pageInfo { endCursor } } } }"""
    head = client.head()
    assert client.ask(query, n=str(head)) == client.ask(query)


def test_a_page_needs_it_no_more(client: Client) -> None:
    query = """query($n: BigInt, $after: String) {
        dealRows(first: 1, minPosition: $n, after: $after) {
            basis { horizon } pageInfo { endCursor } } }"""
    head = client.head()
    first = client.ask(query, n=str(head))["dealRows"]
    position = client.recorded("openDeal", deal="minpos", name="X", actor="kim")["position"]
    after = first["pageInfo"]["endCursor"]
    for n in (None, str(head)):
        assert client.ask(query, n=n, after=after)["dealRows"]["basis"] == first["basis"]
    refused = client.refusal(query, n=position, after=after)["extensions"]
    assert refused["code"] == "horizon-before-min-position"


def test_a_horizon_before_it_is_a_contradiction(client: Client) -> None:
    query = 'query($n: BigInt) { snapshot(asOf: "pos:3", minPosition: $n) { basis { horizon } } }'
    assert client.ask(query, n="3")["snapshot"]["basis"]["horizon"] == "3"
    refused = client.refusal(query, n="4")["extensions"]
    assert (refused["code"], refused["where"]) == ("horizon-before-min-position", "minPosition")


def test_a_question_by_get_takes_it_and_is_not_called_fresh_before(client: Client) -> None:
    def get(n: int, tag: str | None = None) -> httpx.Response:
        return client.http.get(
            "/graphql",
            params={
                "query": asked('dealRows(asOf: "2025-06-30", minPosition: $n) { totalCount }'),
                "variables": orjson.dumps({"n": str(n)}).decode(),
            },
            headers={"accept": "*/*"} | ({} if tag is None else {"if-none-match": tag}),
        )

    head = client.head()
    answer = get(head)
    assert "errors" not in answer.json()
    assert get(head, answer.headers["etag"]).status_code == 304
    early = get(head + 1)
    assert early.json()["errors"][0]["extensions"]["code"] == "position-not-reached"
    assert early.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("least", "status", "code"),
    [(0, 200, None), (1, 503, "position-not-reached"), ("x", 400, "invalid-horizon")],
)
def test_an_export_takes_it(client: Client, least: Any, status: int, code: str | None) -> None:
    spelt = least if isinstance(least, str) else str(client.head() + least)
    answer = client.http.get("/export/deals.csv", params={"min_position": spelt})
    assert answer.status_code == status
    if code is None:
        assert orjson.loads(answer.headers["qledger-basis"])["horizon"] == client.head()
    else:
        assert answer.json()["errors"][0]["extensions"]["code"] == code
