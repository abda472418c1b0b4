"""What can only be a slip of the pen is refused, with what there is instead; never answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.asking import Client


@pytest.mark.parametrize(
    ("asked", "code", "where", "hint"),
    [
        ('eventRows(type: "deal-opend")', "unknown-event-type", "type", "deal-opened"),
        ('eventRows(type: "deal-opened, foo")', "unknown-event-type", "type", "deal-revised"),
        ("eventRows(afterPosition: 99999999)", "unknown-position", "afterPosition", "restored"),
        ("eventRows(afterPosition: -5)", "invalid-horizon", "afterPosition", "from 1"),
        ('dealRows(currency: "usd")', "unknown-currency", "currency", ""),
        ("dealRows(amountFrom: 2, amountUntil: 1)", "invalid-span", "amountFrom", "smaller"),
        ('dealRows(countsFrom: "2026-02-01", countsUntil: "2026-01-01")', "invalid-span",
         "countsFrom", "smaller"),
        ('forecastRows(groupBy: "colour")', "invalid-dimension", "groupBy",
         "a dimension of your deals"),
        ('forecastSeries(from: "2025-01-01", to: "2025-02-01", groupBy: "colour")',
         "invalid-dimension", "groupBy", "a dimension of your deals"),
    ],
)  # fmt: skip
def test_flat_rows_refuse_it(client: Client, asked: str, code: str, where: str, hint: str) -> None:
    facts = client.refusal(f"{{ {asked} {{ nodes {{ __typename }} }} }}")["extensions"]
    assert (facts["code"], facts["where"]) == (code, where)
    assert hint in facts["hint"]


@pytest.mark.parametrize("field", ["forecast", "patterns"])
def test_a_snapshot_refuses_a_dimension_that_nobody_has(client: Client, field: str) -> None:
    query = f'{{ snapshot {{ {field}(groupBy: ["colour"]) {{ __typename organisation }} }} }}'
    facts = client.refusal(query)["extensions"]
    assert (facts["code"], facts["where"]) == ("invalid-dimension", "groupBy")
    assert "a dimension of your deals" in facts["hint"]


def test_files_refuse_it_in_their_own_words(client: Client) -> None:
    for path, asked, code, where in (
        ("events", {"type": "foo"}, "unknown-event-type", "type"),
        ("events", {"after_position": "99999999"}, "unknown-position", "after_position"),
        ("deals", {"currency": "usd"}, "unknown-currency", "currency"),
        ("deals", {"amount_from": "2", "amount_until": "1"}, "invalid-span", "amount_from"),
        ("forecast", {"group_by": "colour"}, "invalid-dimension", "group_by"),
    ):
        answer = client.http.get(f"/export/{path}.ndjson", params=asked)
        facts = answer.json()["errors"][0]["extensions"]
        assert (facts["code"], facts["where"]) == (code, where)


def test_behind_the_end_of_the_log_there_is_nothing_yet_and_no_fault(client: Client) -> None:
    head = client.head()
    query = "query($p: BigInt, $h: BigInt) { eventRows(afterPosition: $p, horizon: $h) { nodes "
    query += "{ position } totalCount } }"
    for given in ({"p": head}, {"p": str(head)}, {"p": head, "h": 3}, {"p": 3, "h": "3"}):
        assert client.ask(query, **given)["eventRows"] == {"nodes": [], "totalCount": 0}
    assert client.refusal(query, p=head + 1)["extensions"]["code"] == "unknown-position"
    assert client.ask(query, p=head - 1)["eventRows"]["totalCount"] == 1


@pytest.mark.parametrize(
    ("mutation", "given", "where", "words", "hint"),
    [
        ("callForecast", {"period": "2026-Q9", "person": "ann", "category": "COMMIT",
                          "amount": {"amount": "1", "currency": "USD"}},
         "input.period", "no fiscal period", "2026-Q1"),
        ("waiveCriterion", {"deal": "A", "criterion": "fit_confirmed", "reason": "x",
                            "endsAt": "2027-01-31"},
         "input.endsAt", "not an instant", "2026-03-31T17:00:00Z"),
        ("recordEvidence", {"deal": "A", "criterion": "Fit Confirmed", "stance": "SUPPORTS",
                            "sourceKind": "CALL"},
         "input.criterion", "no key", "small letters"),
        ("claimStage", {"deal": "A", "stage": "3", "probability": 130}, "input.probability",
         "more than 100", ""),
        ("claimStage", {"deal": "A", "stage": "x" * 1000}, "input.stage", "more than", ""),
    ],
)  # fmt: skip
def test_a_command_is_refused_in_words_of_the_ledger(
    client: Client, mutation: str, given: dict[str, Any], where: str, words: str, hint: str
) -> None:
    refused = client.rejected(mutation, actor="ann", **given)
    assert refused["where"] == where
    assert words in refused["message"]
    assert hint in (refused["hint"] or "")
    for theirs in ("should", "pattern", "Input", "String", "Value error"):
        assert theirs not in refused["message"]


def test_a_snapshot_counts_its_deals_whatever_the_page(client: Client) -> None:
    query = """query($w: DealFilterInput) { snapshot(asOf: "2025-03-31") { deals(where: $w,
        first: 1) { totalCount nodes { dealId } } all: deals(where: $w, first: 500) {
        nodes { dealId } } } }"""
    for where in ({}, {"owner": "ann"}, {"category": "commit"}, {"period": "2025-Q1"},
                  {"owner": "nobody"}):  # fmt: skip
        found = client.ask(query, w=where)["snapshot"]
        assert found["deals"]["totalCount"] == len(found["all"]["nodes"])
    assert client.ask(query, w={})["snapshot"]["deals"]["totalCount"] > 1
