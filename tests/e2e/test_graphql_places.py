"""Where an error points over GraphQL: at the argument as it was written, whatever layer refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.asking import Client

UNKNOWN = "bm90aGluZw=="


@pytest.mark.parametrize(
    ("query", "variables", "code", "where"),
    [
        ('{ dealRows(orderBy: "hope") { totalCount } }', {}, "unknown-column", "orderBy"),
        ("query($o: String) { dealRows(orderBy: $o) { totalCount } }", {"o": "hope"},
         "unknown-column", "orderBy"),
        ('{ dealRows(countsFrom: "soon") { totalCount } }', {}, "invalid-date", "countsFrom"),
        ('{ snapshot(asOf: "pos:999999") { basis { rules } } }', {}, "unknown-position", "asOf"),
        ('{ snapshot(asOf: "soon") { basis { rules } } }', {}, "invalid-as-of", "asOf"),
        ('{ snapshot(horizon: "-5") { basis { rules } } }', {}, "invalid-horizon", "horizon"),
        ("query($h: BigInt) { snapshot(horizon: $h) { basis { rules } } }", {"h": "x"},
         "invalid-horizon", "variables.h"),
        ("{ snapshot { queue(withinDays: -1) { currency } } }", {}, "invalid-days", "withinDays"),
        ('{ snapshot { deals(where: {evidenced: "hope"}) { totalCount } } }', {},
         "unknown-category", "where.evidenced"),
        ("query($w: DealFilterInput) { snapshot { deals(where: $w) { totalCount } } }",
         {"w": {"category": "hope"}}, "unknown-category", "where.category"),
        ('{ snapshot { forecast(period: "soon") { period } } }', {}, "invalid-period", "period"),
        ('{ snapshot { forecast(groupBy: ["Not One"]) { period } } }', {}, "invalid-dimension",
         "groupBy"),
        ('{ forecastSeries(from: "2026-02-01", to: "2026-01-01") { totalCount } }', {},
         "invalid-span", "from"),
        ('{ snapshot { patterns(firstDay: "soon") { against } } }', {}, "invalid-date",
         "firstDay"),
        ('{ snapshot { patterns(firstDay: "2026-02-01", lastDay: "2026-01-01") { against } } }',
         {}, "ends-before-it-starts", "lastDay"),
        (f'{{ nodes(ids: ["{UNKNOWN}"]) {{ id }} }}', {}, "invalid-node-id", "ids[0]"),
        (f'{{ node(id: "{UNKNOWN}") {{ id }} }}', {}, "invalid-node-id", "id"),
    ],
)  # fmt: skip
def test_it_is_the_argument_as_it_was_written(
    client: Client, query: str, variables: dict[str, Any], code: str, where: str
) -> None:
    facts = client.refusal(query, **variables)["extensions"]
    assert (facts["code"], facts.get("where")) == (code, where)


def test_of_several_ids_it_says_which(client: Client) -> None:
    deals = client.ask("{ snapshot { deals(first: 3) { nodes { id } } } }")["snapshot"]["deals"]
    ids = [*(each["id"] for each in deals["nodes"]), UNKNOWN]
    facts = client.refusal("query($i: [ID!]!) { nodes(ids: $i) { id } }", i=ids)["extensions"]
    assert facts["where"] == "ids[3]"
    below = "query($i: [ID!]!) { snapshot { nodes(ids: $i) { id } } }"
    assert client.refusal(below, i=ids)["extensions"]["where"] == "ids[3]"


def test_a_hint_names_arguments_as_the_schema_does(client: Client) -> None:
    query = '{ snapshot { postMortem(deal: "nowhere") { outcome } } }'
    facts = client.refusal(query)["extensions"]
    assert facts["code"] == "unknown-deal"
    assert "knownAt" in facts["hint"]
    assert "known_at" not in facts["hint"]


def test_a_file_names_its_parameters_as_its_address_does(client: Client) -> None:
    answer = client.http.get("/export/deals.csv", params={"counts_from": "soon"})
    assert answer.json()["errors"][0]["extensions"]["where"] == "counts_from"
    answer = client.http.get("/export/deals.csv", params={"as_of": "pos:999999"})
    assert answer.json()["errors"][0]["extensions"]["where"] == "as_of"
