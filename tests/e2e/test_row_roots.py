"""Flat rows over GraphQL: pages that read one ledger, cursors, what all rows say together."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import orjson
import pytest

from ledger.config import Settings
from ledger.store.ledger import Ledger
from tests.e2e import worked
from tests.e2e.asking import Client
from tests.e2e.process import Qledger

PAGE = """query(
        $after: String, $first: Int = 2, $asOf: AsOfTime, $owner: String, $orderBy: String) {
    dealRows(asOf: $asOf, owner: $owner, orderBy: $orderBy, first: $first, after: $after) {
        edges { cursor node { deal basisPosition asOf } }
        nodes { deal } totalCount basis { horizon validAt }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


def page(client: Client, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.ask(PAGE, **variables)["dealRows"]
    return found


def code(client: Client, query: str, **variables: Any) -> str:
    found: str = client.refusal(query, **variables)["extensions"]["code"]
    return found


def test_a_connection_is_as_relay_says(client: Client) -> None:
    first = page(client)
    cursors = [edge["cursor"] for edge in first["edges"]]
    assert [edge["node"]["deal"] for edge in first["edges"]] == ["A", "B"]
    assert first["nodes"] == [{"deal": "A"}, {"deal": "B"}]
    assert first["totalCount"] == 7
    assert first["pageInfo"] == {
        "hasNextPage": True, "hasPreviousPage": False,
        "startCursor": cursors[0], "endCursor": cursors[-1],
    }  # fmt: skip
    middle = page(client, after=cursors[0], first=1)
    assert middle["edges"] == [first["edges"][1]]
    assert middle["pageInfo"]["hasPreviousPage"]
    last = page(client, after=page(client, first=6)["pageInfo"]["endCursor"])
    assert (last["nodes"], last["pageInfo"]["hasNextPage"]) == ([{"deal": "G"}], False)
    beyond = page(client, after=last["pageInfo"]["endCursor"])
    assert beyond["edges"] == []
    assert beyond["pageInfo"] == {
        "hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None,
    }  # fmt: skip


@pytest.mark.parametrize("order", [None, "-amount", "owner,-deal"])
def test_page_two_reads_the_ledger_of_page_one_whatever_is_recorded_meanwhile(
    fresh: Qledger, database_url: str, order: str | None
) -> None:
    settings = Settings.model_validate({"database_url": database_url})
    with Ledger.open(settings) as ledger:
        worked.write(ledger)
        with fresh.serving() as (_p, address), httpx.Client(base_url=address, timeout=60) as http:
            client = Client(http)
            whole = page(client, first=10, orderBy=order)
            pages, after = [], None
            for number in range(4):
                found = page(client, after=after, orderBy=order)
                pages += found["edges"]
                after = found["pageInfo"]["endCursor"]
                ledger.import_events([worked.opened(f"{number}", "ann", "2025-03-30", None)])
            assert [e["node"]["deal"] for e in pages] == [n["deal"] for n in whole["nodes"]]
            (position,) = {edge["node"]["basisPosition"] for edge in pages}
            assert position == int(whole["basis"]["horizon"])
            assert page(client, first=20)["totalCount"] == 11


def test_a_cursor_of_other_arguments_is_refused(client: Client) -> None:
    cursor = page(client, asOf=worked.END)["pageInfo"]["endCursor"]
    assert page(client, asOf=worked.END, after=cursor, first=5)["nodes"]
    for other in ({}, {"asOf": "2025-03-30"}, {"asOf": worked.END, "owner": "ann"},
                  {"asOf": worked.END, "orderBy": "-deal"}):  # fmt: skip
        assert code(client, PAGE, after=cursor, **other) == "cursor-of-other-arguments"
    gates = 'query($c: String) { gateRows(after: $c, asOf: "2025-03-31") { nodes { deal } } }'
    assert code(client, gates, c=cursor) == "cursor-of-other-arguments"
    for broken in ("", "x", cursor[:-6], cursor[::-1], "W10=", "bnVsbA=="):
        assert code(client, PAGE, after=broken) == "invalid-cursor"


def test_a_cursor_that_somebody_made_up_is_refused(client: Client) -> None:
    cursor = page(client)["pageInfo"]["endCursor"]
    digest, basis, _cells = orjson.loads(base64.urlsafe_b64decode(cursor))
    for facts, cells in (
        (basis, [7]), (basis, ["a\x00b"]), (basis, []), (basis, ["A", 1]), (basis, {}),
        ([*basis[:2], -1, *basis[3:]], ["A"]), ([*basis[:2], 2**63 - 1, *basis[3:]], ["A"]),
        (["2025-03-31", *basis[1:]], ["A"]), (basis[:-1], ["A"]), ("", ["A"]),
    ):  # fmt: skip
        made_up = base64.urlsafe_b64encode(orjson.dumps([digest, facts, cells]))
        assert code(client, PAGE, after=made_up.decode()) == "invalid-cursor"
    other = [*basis[:-1], "0"]
    made = base64.urlsafe_b64encode(orjson.dumps([digest, other, ["A"]])).decode()
    assert code(client, PAGE, after=made) == "unknown-rules"


def test_a_text_that_no_database_takes_is_refused(client: Client) -> None:
    query = "query($d: String) { dealRows(deal: $d) { totalCount } }"
    assert code(client, query, d="a\x00b") == "invalid-argument"


def test_sums_and_groups_ignore_the_page(client: Client) -> None:
    found = client.ask("""{ dealRows(asOf: "2025-03-31", first: 1) {
        nodes { deal } totalCount
        aggregate { count sumReportingAmount sumReportingAmountExact sumAmount maxAmount }
        groupBy(fields: ["owner", "currency"]) {
            owner currency category count sumAmountExact avgAmount sumReportingAmountExact } } }""")
    rows = found["dealRows"]
    assert len(rows["nodes"]) == 1
    assert rows["totalCount"] == rows["aggregate"]["count"] == 6
    groups = {(each["owner"], each["currency"]): each for each in rows["groupBy"]}
    assert groups["bob", "EUR"]["sumAmountExact"] == "50000.00"
    assert groups["bob", "EUR"]["sumReportingAmountExact"] == "60000.00"
    assert groups["ann", None] == {
        "owner": "ann", "currency": None, "category": None, "count": 1, "sumAmountExact": None,
        "avgAmount": None, "sumReportingAmountExact": None,
    }  # fmt: skip
    total = sum(float(each["sumReportingAmountExact"] or 0) for each in rows["groupBy"])
    assert rows["aggregate"]["sumReportingAmount"] == total
    assert rows["aggregate"]["sumAmount"] is rows["aggregate"]["maxAmount"] is None


def test_a_time_is_asked_for_flatly(client: Client) -> None:
    query = """query($asOf: AsOfTime, $hindsight: Boolean, $knownAt: AsOfTime) {
        dealRows(asOf: $asOf, hindsight: $hindsight, knownAt: $knownAt, deal: "C") {
            nodes { amountExact asOf basisKnownAt } } }"""
    then = client.ask(query, asOf=worked.END)["dealRows"]["nodes"][0]
    now = client.ask(query, asOf=worked.END, hindsight=True)["dealRows"]["nodes"][0]
    assert (then["amountExact"], now["amountExact"]) == ("30000.00", "33000.00")
    assert then["asOf"] == now["asOf"] == then["basisKnownAt"] < now["basisKnownAt"]
    both = {"hindsight": True, "knownAt": "now", "asOf": worked.END}
    assert code(client, query, **both) == "hindsight-and-known-at"


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ('orderBy: "nope"', "unknown-column"),
        ('orderBy: "deal,name,owner,team,stage"', "unknown-column"),
        ("first: 0", "invalid-page-size"),
        ("first: 10001", "invalid-page-size"),
        ('category: "sure"', "invalid-argument"),
        ('countsFrom: "2025-13-01"', "invalid-date"),
        ('period: "Q1"', "invalid-period"),
    ],
)
def test_what_cannot_be_asked_has_a_code(client: Client, arguments: str, refused: str) -> None:
    assert code(client, f"{{ dealRows({arguments}) {{ nodes {{ deal }} }} }}") == refused


def test_groups_by_what_is_no_dimension_are_refused(client: Client) -> None:
    query = "query($f: [String!]!) { dealRows { groupBy(fields: $f) { count } } }"
    assert code(client, query, f=["amount"]) == "not-a-dimension"
    assert code(client, query, f=["nope"]) == "unknown-column"
    seven = ["deal", "dealName", "account", "owner", "manager", "team", "category"]
    assert code(client, query, f=seven) == "too-many-columns"


def test_the_log_is_copied_by_position(client: Client) -> None:
    query = """query($after: BigInt) { eventRows(afterPosition: $after, first: 5) {
        nodes { position type deal } } }"""
    found: list[dict[str, Any]] = []
    while nodes := client.ask(query, after=found[-1]["position"] if found else 0)["eventRows"][
        "nodes"
    ]:
        found += nodes
    assert [each["position"] for each in found] == list(range(1, client.head() + 1))
    types = "event-retracted,event-corrected"
    only = client.ask(f'{{ eventRows(type: "{types}", deal: "C") {{ nodes {{ deal type }} }} }}')
    assert only["eventRows"]["nodes"] == [{"deal": "C", "type": "event-corrected"}]


def test_a_forecast_is_rows(client: Client) -> None:
    found = client.ask("""{ forecastRows(asOf: "2025-03-31", period: "2025-Q1", groupBy: "owner",
        measure: "claimed", category: "commit") {
        nodes { key1 key2 amountExact deals currency complete } } }""")
    assert [row["key1"] for row in found["forecastRows"]["nodes"]] == ["ann", "bob"]
