"""The HTTP door from outside: the real server, asked over its port."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

import api.graphql
from api.graphql.schema import schema
from ledger.store.ledger import Ledger
from tests.e2e import worked
from tests.e2e.asking import Client, arguments, token_of
from tests.e2e.process import SECONDS_MAX, Qledger, basis_options
from tests.e2e.worked import END, PERIOD

BASIS = "basis { validAt knownAt horizon witnessedOnly under rules }"
CELLS = "cells { measure category amount deals byCurrency { amount currency } }"
SDL = Path(str(api.graphql.__file__)).with_name("schema.graphql")
ELSEWHERE = re.compile(r"""(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}""", re.IGNORECASE)


@pytest.fixture(scope="module")
def client(qledger: Qledger) -> Iterator[Client]:
    with qledger.serving() as (process, address), httpx.Client(base_url=address) as http:
        yield Client(http)
        assert process.poll() is None


@pytest.fixture
def own(fresh: Qledger) -> Iterator[Client]:
    """A server on the test's own ledger."""
    with fresh.serving() as (_process, address), httpx.Client(base_url=address) as http:
        yield Client(http)


def cells_of(measures: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of a command's answer, as GraphQL spells them."""
    return [
        {
            "measure": measure, "category": category,
            "amount": cell["amount"], "deals": cell["deals"],
            "byCurrency": [
                {"amount": amount, "currency": currency}
                for currency, amount in cell["by_currency"].items()
            ],
        }
        for measure, categories in measures.items()
        for category, cell in categories.items()
    ]  # fmt: skip


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["--as-of", END],
        ["--as-of", END, "--known-at", "now"],
        ["--valid-at", "2025-04-30", "--known-at", "now", "--witnessed-only"],
        ["--as-of", "pos:12"],
    ],
)
def test_the_same_basis_gives_the_same_numbers_as_the_command_line(
    client: Client, qledger: Qledger, options: list[str]
) -> None:
    told = qledger.ok_here(
        "forecast", "--period", PERIOD, "--group-by", "owner", *options, "--format", "json"
    ).json
    listed = qledger.ok_here(
        "deals", "--period", PERIOD, *basis_options(told["basis"]), "--format", "json"
    ).json
    snapshot = client.ask(
        f"""{{ snapshot({arguments(told["basis"])}) {{
            {BASIS}
            ledger {{ headPosition }}
            forecast(period: "{PERIOD}", groupBy: ["owner"]) {{
                {BASIS} period firstDay lastDay currency {CELLS} withoutAmount withoutCloseDate
                groups {{ key {{ dimension value }} {CELLS} }}
            }}
            deals(where: {{period: "{PERIOD}"}}) {{ nodes {{
                dealId name account owner team stage category amount {{ amount currency }}
                closeDate outcome evidencedCategory standsAt weightPercent why
            }} }}
        }} }}"""
    )["snapshot"]
    basis = told["basis"]
    spelt = {
        "validAt": basis["valid_at"], "knownAt": basis["known_at"],
        "horizon": str(basis["horizon"]), "witnessedOnly": basis["witnessed_only"],
        "under": None, "rules": basis["rules"],
    }  # fmt: skip
    forecast = snapshot["forecast"]
    assert snapshot["basis"] == forecast["basis"] == spelt
    assert snapshot["ledger"]["headPosition"] == spelt["horizon"]
    assert (forecast["period"], forecast["firstDay"], forecast["lastDay"]) == tuple(
        told["period"].values()
    )
    assert forecast["currency"] == told["currency"]
    assert forecast["cells"] == cells_of(told["measures"])
    assert forecast["groups"] == [
        {
            "key": [{"dimension": "owner", "value": group["key"]["owner"]}],
            "cells": cells_of(group["measures"]),
        }
        for group in told["groups"]
    ]
    assert forecast["withoutAmount"] == told["without_amount"]
    assert [
        {
            **{key: node[key] for key in ("name", "owner", "team", "stage", "category", "outcome")},
            "deal": node["dealId"],
            "evidenced": node["evidencedCategory"],
            "stands_at": node["standsAt"],
            "weight_percent": node["weightPercent"],
            "why": node["why"],
            "close_date": node["closeDate"],
            "account": node["account"],
            "amount": (node["amount"] or {}).get("amount"),
            "currency": (node["amount"] or {}).get("currency"),
        }
        for node in snapshot["deals"]["nodes"]
    ] == listed["deals"]


def test_a_deal_with_its_claims_and_its_timeline(client: Client, qledger: Qledger) -> None:
    told = qledger.ok_here(
        "deal", "C", "--as-of", END, "--known-at", "now", "--format", "json"
    ).json
    pin = basis_options(told["basis"])
    events = qledger.ok_here("timeline", "C", *pin, "--format", "json").json["events"]
    deal = client.ask(
        f"""{{ snapshot({arguments(told["basis"])}) {{ deal(id: "C") {{
            dealId amount {{ amount currency }}
            claims {{ field value because {{ position eventId type knownAt witnessed source }} }}
            timeline {{ nodes {{
                status actedOnBy event {{ position summary recordedAt actor }} }} }}
        }} }} }}"""
    )["snapshot"]["deal"]
    assert deal["amount"] == {"amount": "33000.00", "currency": "USD"}
    assert [
        (claim["field"], claim["value"], claim["because"]["position"]) for claim in deal["claims"]
    ] == [
        (field, claim["value"], str(claim["because"]["position"]))
        for field, claim in told["claims"].items()
    ]
    assert [
        (entry["status"], entry["actedOnBy"], entry["event"]["summary"])
        for entry in deal["timeline"]["nodes"]
    ] == [
        (each["status"], None if each["acted_on_by"] is None else str(each["acted_on_by"]),
         each["summary"])
        for each in events
    ]  # fmt: skip


def test_two_times_are_compared_in_one_question(client: Client) -> None:
    amount = f'forecast(period: "{PERIOD}") {{ cells {{ measure category amount }} }}'
    answer = client.ask(
        f"""{{
            then: snapshot(asOf: "{END}") {{ {amount} }}
            now: snapshot(asOf: "{END}", knownAt: "now") {{ {amount} }}
        }}"""
    )
    best = {"measure": "claimed", "category": "best_case"}
    assert {**best, "amount": "60000.00"} in answer["then"]["forecast"]["cells"]
    assert {**best, "amount": "72000.00"} in answer["now"]["forecast"]["cells"]


def test_the_head_and_a_deal_that_is_not_there(client: Client) -> None:
    answer = client.ask(
        f"""{{ ledger {{ headPosition headRecordedAt }}
            snapshot(asOf: "{END}") {{
                deal(id: "F") {{ dealId }}
                unnamed: deal(id: "a\\u0000b") {{ dealId }}
            }}
            begin: snapshot(horizon: 0) {{ ledger {{ headPosition headRecordedAt }} }} }}"""
    )
    assert answer["ledger"]["headPosition"] == "25"
    assert answer["snapshot"] == {"deal": None, "unnamed": None}
    assert answer["begin"]["ledger"] == {"headPosition": "0", "headRecordedAt": None}


PAGE = """query($first: Int!, $after: String, $horizon: BigInt, $known: AsOfTime, $valid: AsOfTime,
                $where: DealFilterInput) {
    snapshot(asOf: "2025-03-31", validAt: $valid, knownAt: $known, horizon: $horizon) {
        basis { validAt knownAt horizon }
        deals(first: $first, after: $after, where: $where) {
            nodes { dealId } edges { cursor node { dealId } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }
}"""


def test_pages_read_one_ledger_while_events_arrive(own: Client, ledger: Ledger) -> None:
    ledger.import_events(worked.many_deals(25))
    first = own.ask(PAGE, first=10)["snapshot"]
    basis = first["basis"]
    pin = {"horizon": basis["horizon"], "known": basis["knownAt"], "valid": basis["validAt"]}
    found, page = [], first["deals"]
    while True:
        found += [node["dealId"] for node in page["nodes"]]
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        late = worked.opened(f"M{len(found):04d}a", "ann", END, None)
        ledger.import_events([late])  # between two deals that a page held
        page = own.ask(PAGE, first=10, after=page["pageInfo"]["endCursor"], **pin)["snapshot"][
            "deals"
        ]
        assert page["pageInfo"]["hasPreviousPage"]
    assert found == [f"M{number:04d}" for number in range(25)]
    assert len(own.ask(PAGE, first=50)["snapshot"]["deals"]["nodes"]) == 27

    cursor = first["deals"]["pageInfo"]["endCursor"]
    for other in ({"known": END}, {**pin, "where": {"owner": "rep1"}}, {**pin, "horizon": "3"}):
        error = own.refusal(PAGE, first=10, after=cursor, **other)
        assert error["extensions"]["code"] == "cursor-of-another-question"
        assert error["extensions"]["where"] == "after"
        assert error["extensions"]["hint"]


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ snapshot(asOf: \"pos:99\") { basis { rules } } }", "unknown-position"),
        ("{ snapshot(horizon: 99) { basis { rules } } }", "unknown-position"),
        ("{ snapshot { forecast(period: \"2025-Q9\") { currency } } }", "invalid-period"),
        ("{ snapshot { forecast(groupBy: [\"A B\"]) { currency } } }", "invalid-dimension"),
        ("{ snapshot { deals(first: 501) { nodes { dealId } } } }", "invalid-page-size"),
        ("{ snapshot { deals(first: -1) { nodes { dealId } } } }", "invalid-page-size"),
        ("{ snapshot { deals(after: \"x\") { nodes { dealId } } } }", "invalid-cursor"),
        ("{ snapshot { deals(after: \"WzEsMl0=\") { nodes { dealId } } } }", "invalid-cursor"),
        ("{ snapshot { deals(where: {category: \"hope\"}) { pageInfo { endCursor } } } }",
         "unknown-category"),
    ],
)  # fmt: skip
def test_an_error_says_what_and_where(client: Client, query: str, code: str) -> None:
    error = client.refusal(query)
    assert error["extensions"]["code"] == code
    assert error["message"] != "Unexpected error."
    assert error["path"][0] == "snapshot"
    assert error["locations"]


@pytest.mark.parametrize("spelt", ["yesterday", "", "2025-02-30", "2025-03-31T12:00:00"])
def test_a_time_that_is_none_is_refused_before_anything_is_read(client: Client, spelt: str) -> None:
    literal = client.refusal(f'{{ snapshot(asOf: "{spelt}") {{ basis {{ rules }} }} }}')
    variable = client.refusal(
        "query($t: AsOfTime) { snapshot(asOf: $t) { basis { rules } } }", t=spelt
    )
    for error in (literal, variable):
        assert "is not a time" in error["message"]
        assert error["extensions"]["code"] == "invalid-as-of"
        assert error["extensions"]["where"] == ("asOf" if error is literal else "variables.t")
        assert "2026-03-31" in error["extensions"]["hint"]


@pytest.mark.parametrize(
    ("kind", "argument", "value", "words"),
    [
        ("BigInt", "horizon", "latest", "is not a position"),
        ("Boolean! = false", "witnessedOnly", "maybe", "Boolean cannot represent"),
    ],
)
def test_a_variable_of_the_wrong_type_is_told(
    client: Client, kind: str, argument: str, value: str, words: str
) -> None:
    query = f"query($v: {kind}) {{ snapshot({argument}: $v) {{ basis {{ rules }} }} }}"
    assert words in client.refusal(query, v=value)["message"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{" + "snapshot { deals { nodes { timeline { event { " * 4 + "type" + "}" * 21, "depth"),
        ("{ ledger { " + "headPosition " * 4_100 + "} }", "token"),
        ("{" + " ".join(f"a{n}: ledger {{ headPosition }}" for n in range(51)) + "}", "alias"),
        ("{ nonesuch }", "Cannot query field"),
    ],
)
def test_a_question_beyond_the_limits_is_refused(client: Client, query: str, words: str) -> None:
    answer = client.post(query)
    assert answer["data"] is None
    assert any(words in error["message"] for error in answer["errors"])


def test_limits_hold_when_many_ask_at_once(client: Client) -> None:
    aliases = "{" + " ".join(f"a{n}: ledger {{ headPosition }}" for n in range(51)) + "}"
    good = "{ ledger { headPosition } }"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(client.post, [aliases, good] * 30))
    assert all(answer["data"] is None for answer in answers[::2])
    assert all("errors" not in answer for answer in answers[1::2])


def test_what_nobody_expected_is_masked(fresh: Qledger, ledger: Ledger) -> None:
    with fresh.serving() as (_process, address), httpx.Client(base_url=address) as http:
        with ledger.database.connect() as connection:
            connection.execute("RESET ROLE")
            connection.execute("ALTER TABLE qledger.head RENAME TO head_of_old")
        error = Client(http).refusal("{ ledger { headPosition } }")
    assert error["message"] == "Unexpected error."
    assert "head" not in str(error.get("extensions", ""))


def test_a_body_too_large_is_refused(client: Client) -> None:
    query = "{ ledger { headPosition } } #" + "x" * 1024 * 1024
    answer = client.http.post("/graphql", json={"query": query})
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["extensions"]["code"] == "request-too-large"
    unknown = client.http.post("/graphql", content=iter([b'{"query": "{ledger{headPosition}}"}']))
    assert unknown.status_code == 413  # it does not say how long it is


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.example"])
def test_another_name_for_this_host_is_refused(client: Client, host: str) -> None:
    for path in ("/graphql", "/healthz", "/graphiql/graphiql-init.js"):
        assert client.http.get(path, headers={"Host": host}).status_code == 400
    assert client.http.get("/healthz", headers={"Host": "localhost:1"}).status_code == 200


def test_health(client: Client) -> None:
    answer = client.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert client.http.get("/").headers["location"] == "/graphql"


# --- the query editor ---------------------------------------------------------------------------


def test_the_editor_needs_nothing_from_elsewhere(client: Client) -> None:
    page = client.http.get("/graphql", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert not ELSEWHERE.search(page.text)
    assets = re.findall(r"""(?:src|href)="([^"]+)\"""", page.text)
    assets = [asset for asset in assets if not asset.startswith("data:")]
    assert len(assets) == 8
    for asset in assets:
        answer = client.http.get(asset)
        assert answer.status_code == 200, asset
        if "data:font" in answer.text:
            assert "font-src 'self' data:" in policy, asset
        if asset.endswith(".css"):
            for reference in re.findall(r"url\(\s*['\"]?([^)'\"]+)", answer.text):
                if not reference.startswith(("data:", "#")):
                    assert client.http.get(urljoin(asset, reference)).status_code == 200
            assert not re.search(r"@import", answer.text)
    for asset in ("/graphiql/graphiql-init.js", "/graphiql/graphiql-page.css"):
        assert not ELSEWHERE.search(client.http.get(asset).text)


def test_the_editors_first_question_and_its_introspection_run(client: Client) -> None:
    script = client.http.get("/graphiql/graphiql-init.js").text
    question = script.partition("FIRST_QUERY = `")[2].partition("`")[0]
    assert client.ask(question)["snapshot"]["forecast"]["cells"]
    found = client.ask(INTROSPECTION)["__schema"]["types"]
    assert {"Snapshot", "Deal", "Forecast"} <= {each["name"] for each in found}


INTROSPECTION = """query IntrospectionQuery { __schema { queryType { name } types {
    kind name description fields(includeDeprecated: true) { name args { name type { ...T } }
    type { ...T } } inputFields { name type { ...T } } enumValues { name } } directives { name } } }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
    kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    } } } } } } } } }"""


# --- the schema, starting and stopping ----------------------------------------------------------


def test_the_committed_schema_is_the_one_that_is_served() -> None:
    """After a change that is meant: python -c "from api.graphql.schema import schema; \
    print(schema)" > api/graphql/schema.graphql"""
    assert SDL.read_text(encoding="utf-8") == f"{schema}\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(fresh: Qledger, sent: signal.Signals) -> None:
    with fresh.serving() as (process, address):
        assert httpx.get(f"{address}/healthz").status_code == 200
        process.send_signal(sent)
        _out, err = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/healthz")


def test_a_port_that_is_taken_is_told(client: Client, qledger: Qledger) -> None:
    refused = qledger.here("serve", "--port", str(client.http.base_url.port))
    assert (refused.status, refused.code) == (5, "cannot-listen")


def test_beyond_loopback_it_listens_only_where_credentials_are_needed(fresh: Qledger) -> None:
    refused = fresh.here("serve", "--port", "0", "--host", "0.0.0.0")  # noqa: S104
    assert (refused.status, refused.code) == (3, "no-access-control")
    with fresh.serving() as (process, _address):
        assert process.stdout is not None
        assert "everybody on this machine may read and write" in process.stdout.readline()
    token_of(fresh, "admin", "ops")
    with fresh.serving("--host", "0.0.0.0") as (process, _address):  # noqa: S104
        assert process.stderr is not None
        assert "HTTPS" in process.stderr.readline()


def test_at_all_addresses_a_name_that_points_here_cannot_write(fresh: Qledger) -> None:
    served = Qledger({**fresh.settings, "QLEDGER_HOSTS": "ledger.example, other.example"})
    bearer = {"Authorization": f"Bearer {token_of(served, 'admin', 'x')}"}
    with (
        served.serving("--host", "0.0.0.0") as (_process, address),  # noqa: S104
        httpx.Client(base_url=address, headers=bearer) as http,
    ):
        query = 'mutation { openDeal(input: {deal: "D", actor: "x"}) { __typename } }'
        port = http.base_url.port

        def asked(host: str) -> httpx.Response:
            return http.post("/graphql", json={"query": query}, headers={"Host": host})

        refused = asked(f"evil.example:{port}")
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["extensions"]["code"] == "unknown-host"
        assert Client(http).ask("{ ledger { headPosition } }")["ledger"]["headPosition"] == "0"
        for host in (
            f"ledger.example:{port}",
            f"127.0.0.1:{port}",
            f"10.1.2.3:{port}",
            "localhost",
        ):
            assert asked(host).status_code == 200, host


def test_the_ipv6_loopback_is_an_address_one_can_follow(fresh: Qledger) -> None:
    with fresh.serving("--host", "::1") as (_process, address):
        assert address.startswith("http://[::1]:")
        assert httpx.get(f"{address}/healthz").status_code == 200
