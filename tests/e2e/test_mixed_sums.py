"""Sums of flat rows: what is not of one kind is never added into one number."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.e2e import worked
from tests.e2e.asking import Client

SUMS = "count sumAmount sumAmountExact avgAmount minAmount maxAmount sumDeals"


def forecast(client: Client, measure: str = "") -> Any:
    return client.ask(f"""{{ forecastRows(asOf: "{worked.END}", period: "2025-Q1" {measure}) {{
        aggregate {{ {SUMS} }} groupBy(fields: ["measure"]) {{ measure {SUMS} }}
        byCategory: groupBy(fields: ["category"]) {{ category {SUMS} }}
        nodes {{ measure category amountExact deals }} }} }}""")["forecastRows"]


def added(rows: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["amountExact"]) for row in rows), Decimal())


def test_several_measures_of_a_forecast_are_no_number(client: Client) -> None:
    found = forecast(client)
    names = SUMS.split()[1:]
    assert found["aggregate"]["count"] == len(found["nodes"])
    assert [found["aggregate"][name] for name in names] == [None] * len(names)
    assert all(each["sumAmountExact"] is None for each in found["byCategory"])
    assert {each["measure"] for each in found["groupBy"]} >= {"claimed", "evidenced", "weighted"}
    for each in found["groupBy"]:
        rows = [row for row in found["nodes"] if row["measure"] == each["measure"]]
        assert Decimal(each["sumAmountExact"]) == added(rows)
        counts = [row["deals"] for row in rows if row["deals"] is not None]
        assert each["sumDeals"] == (sum(counts) if counts else None)


def test_one_measure_of_a_forecast_is_added_up(client: Client) -> None:
    found = forecast(client, ', measure: "claimed"')
    assert Decimal(found["aggregate"]["sumAmountExact"]) == added(found["nodes"]) > 0
    assert [each["category"] for each in found["byCategory"]] == sorted(
        row["category"] for row in found["nodes"]
    )
    assert all(each["sumAmountExact"] for each in found["byCategory"])


def test_a_bridge_is_added_up_step_by_step_and_never_with_its_ends(client: Client) -> None:
    def ask(steps: str = "") -> Any:
        return client.ask(f"""{{ bridgeRows(from: "2025-01-31", to: "2025-03-31",
            period: "2025-Q1", groupBy: "owner" {steps}) {{ aggregate {{ {SUMS} }}
            groupBy(fields: ["kind"]) {{ kind {SUMS} }} nodes {{ kind step amountExact }}
            byOwner: groupBy(fields: ["key1"]) {{ sumAmount }} }} }}""")["bridgeRows"]

    whole = ask()
    assert whole["aggregate"]["sumAmountExact"] is whole["aggregate"]["sumDeals"] is None
    assert {each["sumAmount"] for each in whole["byOwner"]} == {None}
    kinds = {each["kind"]: Decimal(each["sumAmountExact"]) for each in whole["groupBy"]}
    assert kinds["opening"] + kinds["step"] == kinds["closing"]
    assert kinds["step"] == added([row for row in whole["nodes"] if row["kind"] == "step"])
    for row in whole["nodes"]:
        assert (row["kind"] == "step") is (row["step"] not in {"opening", "closing"})
    steps = ask(', steps: "created,won,lost,slipped,pulled_in"')
    assert Decimal(steps["aggregate"]["sumAmountExact"]) == added(steps["nodes"])


def test_a_line_has_no_mean_of_several_measures(client: Client) -> None:
    found = client.ask("""{ forecastSeries(from: "2025-01-31", to: "2025-03-31", every: "month") {
        aggregate { count avgAmount maxAmount avgDeals }
        groupBy(fields: ["measure"]) { measure avgAmount maxAmount avgDeals } } }""")
    told = found["forecastSeries"]
    assert told["aggregate"]["count"] > 0
    assert list(told["aggregate"].values())[1:] == [None] * 3
    assert {each["measure"] for each in told["groupBy"]} >= {"claimed", "evidenced", "weighted"}
    assert all(each["avgAmount"] is not None for each in told["groupBy"])


def test_the_catalogue_says_what_is_never_added(client: Client) -> None:
    tables = {each["name"]: each for each in client.http.get("/api/columns.json").json()["tables"]}

    def alike(table: str) -> dict[str, list[str]]:
        columns = tables[table]["columns"]
        return {each["name"]: each["alike"] for each in columns if each["alike"]}

    of_one_measure = {"amount": ["measure"], "deals": ["measure"]}
    assert alike("forecast") == alike("points") == of_one_measure
    assert alike("bridges") == {"amount": ["kind"], "deals": ["kind"]}
    assert alike("deals") == {}
