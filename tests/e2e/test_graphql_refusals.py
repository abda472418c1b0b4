"""Writing over GraphQL: what is refused, why and where; and who cannot reach it at all.

The tests share a server; each uses deals and people of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ledger.store.ledger import Ledger
from tests.e2e.asking import TOML, USD, YES, Client, writing_to
from tests.e2e.process import Qledger

SIMPLE_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""What a page of another site can send without being asked whether it may."""


@pytest.fixture(scope="module")
def client(qledger: Qledger) -> Iterator[Client]:
    with writing_to(qledger) as client:
        yield client


# --- refusals -----------------------------------------------------------------------------------

EVIDENCE = {"deal": "X1", "actor": "kim", "criterion": "demonstration_next_step", **YES}
WAIVER = {"deal": "X1", "actor": "mia", "criterion": "fit_confirmed", "reason": "x",
          "endsAt": "2099-01-01T00:00:00Z"}  # fmt: skip
ADJUST = {"period": "2026-Q3", "person": "kim", "category": "COMMIT", "adjuster": "mia",
          "actor": "mia", "reason": "x", "expiresAt": "2099-01-01T00:00:00Z"}  # fmt: skip
REFUSALS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("recordEvidence", {**EVIDENCE, "criterion": "hope"}, "unknown-criterion", "input.criterion"),
    ("recordEvidence", {**EVIDENCE, "saidBy": "nobody"}, "unknown-stakeholder", "input.saidBy"),
    ("recordEvidence", {**EVIDENCE, "sha256": "X"}, "invalid-payload", "input.sha256"),
    ("recordEvidence", {**EVIDENCE, "quote": "a\u0007"}, "invalid-payload", "input.quote"),
    ("recordEvidence", {**EVIDENCE, "quote": "x" * 5000}, "text-too-long", "input.quote"),
    ("recordEvidence", {**EVIDENCE, "deal": "nosuch"}, "unknown-deal", "input.deal"),
    ("recordEvidence", {**EVIDENCE, "deal": ""}, "invalid-stream", "input.deal"),
    ("recordEvidence", {**EVIDENCE, "deal": "a\u0000b"}, "invalid-stream", "input.deal"),
    ("recordEvidence", {**EVIDENCE, "actor": ""}, "invalid-actor", "input.actor"),
    ("recordEvidence", {**EVIDENCE, "eventId": "7"}, "invalid-event-id", "input.eventId"),
    ("recordEvidence", {**EVIDENCE, "occurredAt": "2026-01-20"}, "invalid-instant",
     "input.occurredAt"),
    ("recordEvidence", {**EVIDENCE, "occurredAt": "2099-01-20T00:00:00Z"}, "occurred-after-known",
     "input.occurredAt"),
    ("recordAccountEvidence", {"account": "nosuch", "actor": "kim", **YES,
                               "criterion": "symptom_in_their_words"},
     "unknown-account", "input.account"),
    ("openDeal", {"deal": "X1", "actor": "kim"}, "deal-already-opened", "input.deal"),
    ("openDeal", {"deal": "X2"}, "invalid-actor", "input.actor"),
    ("openDeal", {"deal": "X2", "actor": "kim", "playbook": "nosuch"}, "unknown-playbook",
     "input.playbook"),
    ("openDeal", {"deal": "X2", "actor": "kim", "amount": {"amount": "1", "currency": "XXX"}},
     "unknown-currency", "input.amount.currency"),
    ("openDeal", {"deal": "X2", "actor": "kim", "amount": {"amount": "-1", "currency": "USD"}},
     "negative-amount", "input.amount.amount"),
    ("openDeal", {"deal": "X2", "actor": "kim", "amount": {"amount": "ten", "currency": "USD"}},
     "invalid-amount", "input.amount.amount"),
    ("openDeal", {"deal": "X2", "actor": "kim", "products": ["a", ""]}, "invalid-payload",
     "input.products.1"),
    ("openDeal", {"deal": "X2", "actor": "kim", "closeDate": "soon"}, "invalid-date",
     "input.closeDate"),
    ("openDeal", {"deal": "X2", "actor": "kim",
                  "dimensions": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
     "dimension-twice", "input.dimensions"),
    ("openDeal", {"deal": "X2", "actor": "kim", "dimensions": [{"key": "segment"}]},
     "invalid-payload", "input.dimensions.segment"),
    ("reviseDeal", {"deal": "X1", "actor": "kim"}, "invalid-payload", "input"),
    ("claimStage", {"deal": "X1", "actor": "kim", "stage": "5", "gate": "nosuch"}, "unknown-gate",
     "input.gate"),
    ("claimStage", {"deal": "X1", "actor": "kim", "stage": "5", "probability": 101},
     "invalid-payload", "input.probability"),
    ("waiveCriterion", {**WAIVER, "actor": "kim"}, "waiver-by-owner", "input.actor"),
    ("waiveCriterion", {**WAIVER, "endsAt": "2020-01-01T00:00:00Z"}, "ends-before-it-starts",
     "input.endsAt"),
    ("revokeWaiver", {"deal": "X1", "actor": "mia", "criterion": "fit_confirmed", "reason": "x"},
     "no-waiver", "input.criterion"),
    ("addStakeholder", {"deal": "X1", "actor": "kim", "stakeholder": "z", "name": "Z",
                        "role": "king"},
     "unknown-role", "input.role"),
    ("addStakeholder", {"deal": "X1", "actor": "kim", "stakeholder": "z", "name": "Z",
                        "reportsTo": "z"},
     "own-manager", "input.reportsTo"),
    ("reopenDeal", {"deal": "X1", "actor": "kim"}, "deal-not-closed", "input.deal"),
    ("callForecast", {"period": "2026-Q9", "person": "kim", "category": "COMMIT", "amount": USD,
                      "actor": "kim"},
     "invalid-payload", "input.period"),
    ("adjustForecast", ADJUST, "invalid-payload", "input"),
    ("adjustForecast", {**ADJUST, "person": "mia", "haircutPercent": 5}, "adjuster-is-caller",
     "input.adjuster"),
    ("assessPerson", {"person": "nobody", "actor": "mia", "assessor": "mia", "aspect": "URGENCY",
                      "score": 1},
     "unknown-person", "input.person"),
    ("reviewPlaybook", {"playbook": "nosuch", "actor": "mia", "reviewer": "mia"},
     "unknown-playbook", "input.playbook"),
    ("setFiscalCalendar", {"startMonth": 1, "timeZone": "Mars", "actor": "ops"},
     "unknown-time-zone", "input.timeZone"),
    ("setFxRate", {"currency": "EUR", "to": "EUR", "rate": "1", "actor": "ops"},
     "invalid-payload", "input"),
    ("retractEvent", {"target": "018f0000-0000-7000-8000-00000000dead", "actor": "kim",
                      "reason": "x"},
     "unknown-event", "input.target"),
    ("retractEvent", {"target": "7", "actor": "kim", "reason": "x"}, "invalid-payload",
     "input.target"),
    ("publishPlaybook", {"toml": "key = 'a'\nversion =", "actor": "ops"}, "invalid-playbook",
     "input.toml:2"),
    ("publishPlaybook", {"toml": TOML.replace('name = "', 'name = "Our ', 1), "actor": "ops"},
     "version-exists", "input.toml"),
    ("publishPlaybook", {"toml": TOML, "actor": "ops", "occurredAt": "2999-01-01T00:00:00Z"},
     "version-exists", "input.occurredAt"),
    ("holdDebrief", {"deal": "X1", "actor": "mia", "reviewer": "mia", "expectedVersion": 0,
                     "answers": [{"criterion": "fit_confirmed"}]},
     "stream-moved", "input.expectedVersion"),
    ("holdDebrief", {"deal": "X1", "actor": "mia", "reviewer": "mia",
                     "answers": [{"criterion": "fit_confirmed"}, {"criterion": "hope"}]},
     "unknown-criterion", "input.answers.1.criterion"),
]  # fmt: skip


@pytest.fixture(scope="module")
def standing(client: Client) -> str:
    return client.opened("X1")


@pytest.mark.parametrize(("mutation", "given", "code", "where"), REFUSALS)
def test_what_is_refused_says_why_and_where(
    client: Client,
    standing: str,
    mutation: str,
    given: dict[str, Any],
    code: str,
    where: str | None,
) -> None:
    before = client.head()
    refused = client.rejected(mutation, **given)
    assert (refused["code"], refused["where"]) == (code, where)
    assert client.head() == before


def test_a_correction_that_does_not_fit_names_the_place_in_its_payload(client: Client) -> None:
    opening = client.recorded("openDeal", deal="K1", actor="kim")
    refused = client.rejected("correctEvent", target=opening["eventId"], actor="kim", reason="x",
                              payload={"amount": {"amount": "1"}})  # fmt: skip
    assert (refused["code"], refused["where"]) == (
        "missing-field", "input.payload.amount.currency"
    )  # fmt: skip


def test_the_same_version_of_a_playbook_again_is_the_same_event(client: Client) -> None:
    before = client.head()
    again = client.recorded("publishPlaybook", toml=TOML, actor="somebody else")
    assert not again["added"]
    assert client.head() == before


@pytest.mark.parametrize(
    ("mutation", "given", "words"),
    [
        ("openDeal", {"actor": "kim"}, "deal"),
        ("openDeal", {"deal": "Y1", "actor": "kim", "hope": 1}, "hope"),
        ("claimCategory", {"deal": "Y1", "actor": "kim", "category": "HOPE"}, "Category"),
        ("openDeal", {"deal": "Y1", "actor": "kim",
                      "amount": {"amount": 0.1, "currency": "USD"}}, "not an exact decimal"),
    ],
)  # fmt: skip
def test_what_is_no_command_at_all_is_an_error(
    client: Client, mutation: str, given: dict[str, Any], words: str
) -> None:
    kind = f"{mutation[0].upper()}{mutation[1:]}Input"
    error = client.refusal(
        f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ __typename }} }}", input=given
    )
    assert words in error["message"]
    assert error["message"] != "Unexpected error."


def test_what_the_service_cannot_do_now_is_an_error_and_masked(
    fresh: Qledger, ledger: Ledger
) -> None:
    with fresh.serving() as (_process, address), httpx.Client(base_url=address) as http:
        with ledger.database.connect() as connection:
            connection.execute("RESET ROLE")
            connection.execute("ALTER TABLE qledger.head RENAME TO head_of_old")
        error = Client(http).refusal(
            'mutation { setReportingCurrency(input: {currency: "USD", actor: "x"}) { __typename } }'
        )
    assert error["message"] == "Unexpected error."


# --- who cannot reach it ------------------------------------------------------------------------

WRITE = 'mutation { openDeal(input: {deal: "EVIL", actor: "x"}) { __typename } }'


def test_a_link_cannot_write(client: Client) -> None:
    before = client.head()
    for accept in ("application/json", "*/*"):
        answer = client.http.get("/graphql", params={"query": WRITE}, headers={"Accept": accept})
        assert answer.status_code == 400, answer.text
        assert re.search(r"mutation", answer.text, re.IGNORECASE)
    read = client.http.get(
        "/graphql",
        params={"query": "{ ledger { headPosition } }"},
        headers={"Accept": "application/json"},
    )
    assert read.json()["data"]["ledger"]["headPosition"] == str(before)


@pytest.mark.parametrize(
    "kind",
    [
        *SIMPLE_TYPES,
        "text/plain; x=application/json",
        "text/plain, application/json",
        "application/json, text/plain",
        "x-application/json",
        "",
    ],
)
def test_a_page_of_another_site_cannot_write(client: Client, kind: str) -> None:
    before = client.head()
    body = b'{"query": "' + WRITE.replace('"', '\\"').encode() + b'"}'
    headers = {"Content-Type": kind, "Origin": "https://evil.example"}
    if kind == "multipart/form-data":
        answer = client.http.post(
            "/graphql",
            data={"operations": body.decode(), "map": "{}"},
            files={"0": b""},
            headers={"Origin": "https://evil.example"},
        )
    else:
        answer = client.http.post("/graphql", content=body, headers=headers)
    assert answer.status_code == 415, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] == "not-json"
    assert client.head() == before
    assert "access-control-allow-origin" not in answer.headers


def test_another_site_is_not_allowed_to_send_json(client: Client) -> None:
    asked = client.http.options(
        "/graphql",
        headers={
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert asked.status_code >= 400
    assert "access-control-allow-origin" not in asked.headers


def test_a_name_that_points_here_cannot_write(client: Client) -> None:
    before = client.head()
    answer = client.http.post("/graphql", json={"query": WRITE}, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert client.head() == before
