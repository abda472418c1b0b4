"""Bridge, flows and series over the worked example, at the command line and over GraphQL.

From 31 January to the end of the quarter, as known then; a EUR buys 1.10 USD, from March on 1.20:

    opening   100000.00 A + 50000.00 EUR B + 30000.00 C + 40000.00 D + 10000.50 EUR E   236000.55
    won       10000.50 EUR E in February, 100000.00 A in March                         -112000.60
    lost      D                                                                         -40000.00
    reopened  10000.50 EUR E                                                             12000.60
    currency  60000.50 EUR of the opening, each worth 0.10 more                           6000.05
    closing   50000.00 EUR B + 30000.00 C + 10000.50 EUR E                              102000.60

G has no amount and is a deal at both ends.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest
from graphql import GraphQLObjectType

from api.graphql.schema import schema
from ledger.store.ledger import Ledger
from tests.e2e import worked
from tests.e2e.asking import Client
from tests.e2e.process import Qledger
from tests.e2e.worked import END, PERIOD

WINDOW = ("--from", "2025-01-31", "--to", END, "--period", PERIOD)
THEN = {
    "won": ("-112000.60", -2, 2, 0),
    "lost": ("-40000.00", -1, 1, 0),
    "reopened": ("12000.60", 1, 1, 0),
    "currency": ("6000.05", 0, 0, 0),
}
HINDSIGHT = {
    **THEN,
    "created": ("7000.00", 1, 1, 1),
    "amount_up": ("15000.00", 0, 2, 2),
    "reopened": ("52000.60", 2, 2, 1),
}
QUESTION = """query($known: AsOfTime) {
    diff(from: "2025-01-31", to: "2025-03-31", toKnownAt: $known) {
        from { validAt } to { validAt knownAt }
        bridge(period: "2025-Q1", groupBy: ["owner"]) {
            currency opening { amount deals byCurrency { amount currency } }
            steps { step amount deals changes restated } revaluation closing { amount deals }
            groups { key { dimension value } closing { amount } steps { step amount } }
            unconverted
        }
        changes(period: "2025-Q1", step: "won") {
            nodes { deal number at leg amount before { category } after { outcome }
                    because { type } }
        }
        flows(period: "2025-Q1") { source target deals fromAmount toAmount }
    }
}"""


@pytest.fixture(scope="module")
def client(qledger: Qledger) -> Iterator[Client]:
    with (
        qledger.serving() as (_process, address),
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        yield Client(http)


def told(qledger: Qledger, *arguments: str, made_from: str = "log") -> bytes:
    """What a command writes; what it was made from is told beside the answer."""
    outcome = qledger.here(*arguments)
    assert (outcome.status, outcome.err) == (0, f"made from the {made_from}\n"), outcome
    return outcome.out


def asked(qledger: Qledger, *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(told(qledger, *arguments, "--format", "json"))
    return answer


def moved(answer: dict[str, Any]) -> dict[str, tuple[str, int, int, int]]:
    """The steps that moved anything."""
    return {
        each["step"]: (each["amount"], each["deals"], each["changes"], each["restated"])
        for each in answer["steps"]
        if each["changes"] or each["amount"] != "0.00"
    }


def test_the_quarter_as_known_then(qledger: Qledger) -> None:
    answer = asked(qledger, "bridge", *WINDOW)
    assert (answer["opening"]["amount"], answer["opening"]["deals"]) == ("236000.55", 6)
    assert answer["opening"]["by_currency"] == {"EUR": "60000.50", "USD": "170000.00"}
    assert moved(answer) == THEN
    assert answer["revaluation"] == "6000.05"
    assert (answer["closing"]["amount"], answer["closing"]["deals"]) == ("102000.60", 4)


def test_the_quarter_in_hindsight_tells_what_was_restated(qledger: Qledger) -> None:
    answer = asked(qledger, "bridge", *WINDOW, "--to-known-at", "now")
    assert moved(answer) == HINDSIGHT
    assert answer["closing"]["amount"] == "164000.60"


def test_groups_add_up_and_measures_differ(qledger: Qledger) -> None:
    answer = asked(qledger, "bridge", *WINDOW, "--group-by", "owner")
    assert [(each["key"]["owner"], each["closing"]["amount"]) for each in answer["groups"]] == [
        ("ann", "42000.60"), ("bob", "60000.00"),
    ]  # fmt: skip
    by_team = asked(qledger, "bridge", *WINDOW, "--group-by", "team")["groups"]
    assert [each["key"]["team"] for each in by_team] == ["East", "West"]
    closed = asked(qledger, "bridge", *WINDOW, "--measure", "closed")
    assert moved(closed) == {
        "won": ("112000.60", 2, 2, 0), "reopened": ("-12000.60", -1, 1, 0),
    }  # fmt: skip
    evidenced = asked(qledger, "bridge", *WINDOW, "--measure", "evidenced")
    assert moved(evidenced) == {}


def test_a_step_opens_into_deals_and_events(qledger: Qledger) -> None:
    answer = asked(qledger, "bridge", *WINDOW, "--step", "won")
    assert [
        (each["deal"], each["at"], each["amount"], [e["type"] for e in each["because"]])
        for each in answer["changes"]
    ] == [
        ("A", "2025-03-18T12:00:00.000000Z", "-100000.00", ["deal-closed"]),
        ("E", "2025-02-20T12:00:00.000000Z", "-12000.60", ["deal-closed"]),
    ]
    hindsight = asked(qledger, "bridge", *WINDOW, "--to-known-at", "now", "--step", "amount_up")
    assert [
        (each["deal"], each["leg"], each["amount"], [e["type"] for e in each["because"]])
        for each in hindsight["changes"]
    ] == [
        ("B", "restated_to", "12000.00", ["deal-revised"]),
        ("C", "restated_to", "3000.00", ["event-corrected"]),
    ]
    (restated,) = [
        each
        for each in asked(qledger, "bridge", *WINDOW, "--to-known-at", "now", "--step", "reopened")[
            "changes"
        ]
        if each["at"] is None
    ]
    assert restated["deal"] == "D"
    assert [event["type"] for event in restated["because"]] == ["event-retracted"]


def test_flows_lead_from_where_deals_were_to_where_they_are(qledger: Qledger) -> None:
    answer = asked(qledger, "flows", *WINDOW)
    assert {
        (link["source"], link["target"]): (link["deals"], link["from_amount"], link["to_amount"])
        for link in answer["links"]
    } == {
        ("best_case", "best_case"): (1, "55000.00", "60000.00"),
        ("commit", "commit"): (2, "41000.55", "42000.60"),
        ("commit", "won"): (1, "100000.00", "100000.00"),
        ("pipeline", "lost"): (1, "40000.00", "40000.00"),
        ("pipeline", "pipeline"): (1, "0.00", "0.00"),
    }


def test_a_series_has_the_forecast_of_each_day(qledger: Qledger) -> None:
    answer = asked(
        qledger, "series", "--from", "2025-01-31", "--to", END, "--every", "month",
        "--measure", "claimed", "--period", PERIOD,
    )  # fmt: skip
    assert [point["day"] for point in answer["points"]] == ["2025-01-31", "2025-02-28", END]
    for index, day in enumerate(("2025-01-31", "2025-02-28", END)):
        there = qledger.here(
            "forecast", "--as-of", day, "--period", PERIOD, "--format", "json"
        ).json
        for line in answer["lines"]:
            cell = there["measures"]["claimed"][line["category"]]
            assert line["amounts"][index] == cell["amount"]


def test_answers_are_written_as_tables_and_as_csv(qledger: Qledger) -> None:
    for question in (("bridge", *WINDOW), ("bridge", *WINDOW, "--step", "won"), ("flows", *WINDOW)):
        assert "basis: --valid-at 2025-03-31" in told(qledger, *question).decode()
        text = told(qledger, *question, "--format", "csv").decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert rows
        assert {row["to_valid_at"] for row in rows} == {"2025-03-31T23:59:59.999999Z"}
    series = ("series", "--from", "2025-03-01", "--to", END, "--group-by", "owner")
    assert "2025-03-02" in told(qledger, *series).decode()
    text = told(qledger, *series, "--format", "csv").decode()
    assert {row["owner"] for row in csv.DictReader(io.StringIO(text, newline=""))} == {"ann", "bob"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("bridge", *WINDOW, "--measure", "called"), "invalid-measure"),
        (("bridge", *WINDOW, "--group-by", "segment"), "invalid-dimension"),
        (("bridge", *WINDOW, "--step", "pushed"), "unknown-step"),
        (("bridge", *WINDOW, "--period", "2025-Q5"), "invalid-period"),
        (("flows", *WINDOW, "--measure", "closed"), "invalid-measure"),
        (("series", "--from", "soon", "--to", END), "invalid-date"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    qledger: Qledger, arguments: tuple[str, ...], code: str
) -> None:
    refused = qledger.here(*arguments)
    assert (refused.status, refused.code) == (2, code)


def test_graphql_says_the_same(qledger: Qledger, client: Client) -> None:
    found = client.ask(QUESTION)["diff"]
    assert found["to"]["validAt"] == "2025-03-31T23:59:59.999999Z"
    bridge = found["bridge"]
    assert moved(bridge) == THEN
    assert bridge["opening"]["byCurrency"] == [
        {"amount": "60000.50", "currency": "EUR"}, {"amount": "170000.00", "currency": "USD"},
    ]  # fmt: skip
    assert [each["closing"]["amount"] for each in bridge["groups"]] == ["42000.60", "60000.00"]
    assert [(each["deal"], each["amount"]) for each in found["changes"]["nodes"]] == [
        ("A", "-100000.00"), ("E", "-12000.60"),
    ]  # fmt: skip
    links = orjson.loads(qledger.here("flows", *WINDOW, "--format", "json").out)["links"]
    assert len(found["flows"]) == len(links)  # from the log or the tables: a runner is at work
    hindsight = client.ask(QUESTION, known="now")["diff"]["bridge"]
    assert moved(hindsight) == HINDSIGHT


def test_graphql_pages_through_a_step(client: Client) -> None:
    query = """query($first: Int, $after: String) {
        diff(from: "2025-01-31", to: "2025-03-31") {
            changes(period: "2025-Q1", step: "won", first: $first, after: $after) {
                totalCount nodes { deal number } pageInfo { hasNextPage endCursor } }
        }
    }"""
    found, after = [], None
    while True:
        page = client.ask(query, first=1, after=after)["diff"]["changes"]
        assert page["totalCount"] == 2
        found += [each["deal"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == ["A", "E"]
    assert client.refusal(query, first=501)["extensions"]["code"] == "invalid-page-size"


def test_flat_rows_for_bi(client: Client) -> None:
    found = client.ask(
        """{
            bridgeRows(from: "2025-01-31", to: "2025-03-31", period: "2025-Q1",
                       groupBy: "owner") {
                totalCount nodes { key1 key2 step amountExact currency deals basisPosition }
                groupBy(fields: ["step"]) { step count sumAmountExact sumDeals } }
            forecastSeries(from: "2025-03-30", to: "2025-03-31", every: "day", period: "2025-Q1",
                           measures: "claimed", groupBy: "owner", category: "best_case") {
                totalCount nodes { day key1 measure category amount amountExact currency deals
                                   asOf basisPosition }
            }
        }"""
    )
    ends = [
        (row["key1"], row["step"], row["amountExact"])
        for row in found["bridgeRows"]["nodes"]
        if row["step"] in {"opening", "closing"}
    ]
    assert ends == [
        ("ann", "opening", "141000.55"), ("ann", "closing", "42000.60"),
        ("bob", "opening", "95000.00"), ("bob", "closing", "60000.00"),
    ]  # fmt: skip
    assert found["bridgeRows"]["totalCount"] == len(found["bridgeRows"]["nodes"])
    sums = {row["step"]: row["sumAmountExact"] for row in found["bridgeRows"]["groupBy"]}
    opening, closing = (Decimal(sums.pop(end)) for end in ("opening", "closing"))
    assert opening + sum(map(Decimal, sums.values())) == closing
    best = found["forecastSeries"]["nodes"]
    assert [(row["day"], row["key1"], row["amountExact"], row["amount"]) for row in best] == [
        ("2025-03-30", "bob", "60000.00", 60000.0), ("2025-03-31", "bob", "60000.00", 60000.0),
    ]  # fmt: skip
    assert found["forecastSeries"]["totalCount"] == 2
    assert best[1]["asOf"] == "2025-03-31T23:59:59.999999Z"


PAGED = """query($first: Int!, $after: String, $bridgeAfter: String) {
    bridgeRows(from: "2025-01-31", to: "now", period: "2025-Q1", groupBy: "owner",
               first: $first, after: $bridgeAfter, orderBy: "-amount") {
        nodes { step key1 line amountExact fromPosition basisPosition basisKnownAt }
        pageInfo { hasNextPage endCursor } totalCount basis { horizon } }
    forecastSeries(from: "2025-03-01", to: "2025-03-31", every: "week", period: "2025-Q1",
                   groupBy: "owner", first: $first, after: $after) {
        nodes { day key1 category measure amountExact basisPosition asOf basisKnownAt }
        pageInfo { hasNextPage endCursor } totalCount basis { horizon } }
}"""


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ('step: "won"', lambda row: row["step"] == "won"),
        ('steps: "opening, won,closing"', lambda row: row["step"] in {"opening", "won", "closing"}),
        ("minChanges: 1", lambda row: (row["changes"] or 0) >= 1),
        ('key1: "ann"', lambda row: row["key1"] == "ann"),
        ('key1: "bob", key2: "USD", steps: "closing"',
         lambda row: (row["key1"], row["key2"], row["step"]) == ("bob", "USD", "closing")),
        ('step: "won", orderBy: "-amount"', lambda row: row["step"] == "won"),
    ],
)  # fmt: skip
def test_filters_of_a_bridge_leave_the_rows_that_fit(
    client: Client, filters: str, fits: Callable[[dict[str, Any]], bool]
) -> None:
    def rows(more: str) -> dict[str, Any]:
        found: dict[str, Any] = client.ask(
            f"""{{ bridgeRows(from: "2025-01-31", to: "2025-03-31", period: "{PERIOD}",
                              groupBy: "owner,currency" {more}) {{
                totalCount nodes {{ key1 key2 step changes amount amountExact }}
                aggregate {{ count }} groupBy(fields: ["step"]) {{ step count }} }} }}"""
        )["bridgeRows"]
        return found

    found, expected = rows(filters), [row for row in rows("")["nodes"] if fits(row)]
    if "orderBy" in filters:
        expected.sort(key=lambda row: -row["amount"])
    assert found["nodes"] == expected
    assert found["nodes"]
    assert found["totalCount"] == found["aggregate"]["count"] == len(expected)
    assert {each["step"] for each in found["groupBy"]} == {row["step"] for row in expected}


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ('key1: "ann"', lambda row: row["key1"] == "ann"),
        ('key2: "EUR", category: "best_case"',
         lambda row: (row["key2"], row["category"]) == ("EUR", "best_case")),
        ('key1: "bob", key2: "USD", orderBy: "-day"',
         lambda row: (row["key1"], row["key2"]) == ("bob", "USD")),
    ],
)  # fmt: skip
def test_filters_of_a_series_leave_the_rows_that_fit(
    client: Client, filters: str, fits: Callable[[dict[str, Any]], bool]
) -> None:
    def rows(more: str) -> dict[str, Any]:
        found: dict[str, Any] = client.ask(
            f"""{{ forecastSeries(from: "2025-01-31", to: "2025-03-31", every: "month",
                                  period: "{PERIOD}", groupBy: "owner,currency" {more}) {{
                totalCount nodes {{ day key1 key2 measure category amountExact }}
                aggregate {{ count }} }} }}"""
        )["forecastSeries"]
        return found

    found, expected = rows(filters), [row for row in rows("")["nodes"] if fits(row)]
    if "orderBy" in filters:
        expected.sort(key=lambda row: row["day"], reverse=True)
    assert found["nodes"] == expected
    assert found["nodes"]
    assert found["totalCount"] == found["aggregate"]["count"] == len(expected)


def test_a_step_that_no_bridge_has_is_refused(client: Client) -> None:
    query = '{ bridgeRows(from: "2025-01-31", to: "2025-03-31", step: "luck") { totalCount } }'
    assert client.refusal(query)["extensions"]["code"] == "invalid-argument"


def test_pages_of_bridges_and_series_read_the_ledger_of_the_first_one(
    fresh: Qledger, ledger: Ledger
) -> None:
    worked.write(ledger)
    with fresh.serving() as (_process, address), httpx.Client(base_url=address) as http:
        client = Client(http)
        whole = client.ask(PAGED, first=10_000)
        found: dict[str, list[Any]] = {"bridgeRows": [], "forecastSeries": []}
        page, last = client.ask(PAGED, first=3), dict[str, str]()
        for number in range(200):
            for root in found:
                found[root] += page[root]["nodes"]
            if not any(page[root]["pageInfo"]["hasNextPage"] for root in found):
                break
            ledger.import_events([worked.opened(f"N{number}", "ann", "2025-03-30", None)])
            cursors = {root: page[root]["pageInfo"]["endCursor"] for root in found}
            after, bridge_after = (
                cursors[root] or last[root]  # beyond the last page there is nothing more
                for root in ("forecastSeries", "bridgeRows")
            )
            last |= {"forecastSeries": after, "bridgeRows": bridge_after}
            page = client.ask(PAGED, first=3, after=after, bridgeAfter=bridge_after)
        for root, rows in found.items():
            then = {"basisKnownAt": ""}  # it was another now
            assert [row | then for row in rows] == [row | then for row in whole[root]["nodes"]]
            assert len({row["basisPosition"] for row in rows}) == 1
        moved = PAGED.replace('"-amount"', '"amount"')
        code = client.refusal(moved, first=3, bridgeAfter=last["bridgeRows"])["extensions"]["code"]
        assert code == "cursor-of-other-arguments"


def test_rows_of_bridges_and_series_are_scalars_that_bi_tools_know() -> None:
    kinds = {"ID", "String", "Int", "Float", "Boolean", "DateTime", "Date"}
    for name in ("BridgeRow", "ForecastPoint"):
        row = schema._schema.type_map[name]
        assert isinstance(row, GraphQLObjectType)
        assert {str(field.type).rstrip("!") for field in row.fields.values()} <= kinds
        assert {"basisPosition", "basisKnownAt", "basisRules", "asOf"} <= set(row.fields)
    query = schema._schema.query_type
    assert query is not None
    for root in ("bridgeRows", "forecastSeries"):
        arguments = {str(each.type).rstrip("!") for each in query.fields[root].args.values()}
        assert arguments <= kinds | {"AsOfTime", "BigInt"}


def test_the_tables_give_the_same_bytes(fresh: Qledger, ledger: Ledger) -> None:
    worked.write(ledger)
    questions = [
        ("bridge", *WINDOW, "--group-by", "owner,currency"),
        ("bridge", *WINDOW, "--step", "won"),
        ("bridge", "--from", END, "--to", END, "--to-known-at", "2025-04-30"),
        ("flows", *WINDOW),
    ]
    as_json = [(*question, "--format", "json") for question in questions]
    from_log = [told(fresh, *question) for question in as_json]
    assert fresh.here("project").status == 0
    from_tables = [told(fresh, *question, made_from="tables") for question in as_json]
    assert from_tables == from_log
