"""The doors where credentials are needed: who gets in, what is logged, and the command line."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from api.access import readings
from api.access.principals import Principal, Role
from api.http.readings import ReadingsLogged
from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.domain.times import Instant
from ledger.store import access
from tests.e2e.asking import Client, token_of
from tests.e2e.process import Qledger
from tests.e2e.sales_force import BEFORE, House, serving

QUERY = f'{{ snapshot(asOf: "{BEFORE}") {{ basis {{ horizon }} deals {{ nodes {{ dealId }} }} }} }}'


@pytest.fixture(scope="module")
def operator(empty_settings: Settings) -> Qledger:
    """The command line on the same database."""
    assert empty_settings.database_url is not None
    return Qledger.on(empty_settings.database_url.get_secret_value())


def logged(operator: Qledger) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operator.ok_here("readings", "--format", "json").json["readings"]
    return found


# --- who gets in --------------------------------------------------------------------------------


def test_without_credentials_nothing_but_health_is_told(house: House) -> None:
    with httpx.Client(base_url=house.address) as http:
        assert http.get("/healthz").status_code == 200
        for answer in (
            http.post("/graphql", json={"query": QUERY}),
            http.get("/graphql", params={"query": QUERY}),
            http.get("/graphql", headers={"Accept": "text/html"}),
            http.get("/"),
            http.get("/graphiql/index.html"),
            http.get("/no-such"),
        ):
            assert answer.status_code == 401
            assert answer.json()["errors"][0]["extensions"]["code"] == "no-credentials"
            challenges = answer.headers.get_list("www-authenticate")
            assert [each.split()[0] for each in challenges] == ["Basic", "Bearer"]


def test_the_same_token_is_taken_as_the_password_of_basic(house: House) -> None:
    with httpx.Client(base_url=house.address, auth=("", house.tokens["ann"])) as http:
        found = Client(http).ask(QUERY)["snapshot"]["deals"]["nodes"]
        assert {node["dealId"] for node in found} == {"of-ann", "handed"}
        page = http.get("/graphql", headers={"Accept": "text/html"})
        assert "html" in page.headers["content-type"]


def test_credentials_that_do_not_hold_are_refused_and_not_given_back(house: House) -> None:
    wrong = house.tokens["ann"][:-1] + "~"
    encoded = base64.b64encode(f":{wrong}".encode()).decode()
    for authorization in (f"Bearer {wrong}", f"Basic {encoded}", "Basic", "Digest x"):
        with httpx.Client(base_url=house.address) as http:
            http.headers["Authorization"] = authorization
            answer = http.post("/graphql", json={"query": QUERY})
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["extensions"]["code"] == "invalid-credentials"
        assert wrong[12:] not in answer.text
        assert wrong[12:] not in str(answer.headers)


def test_two_credentials_at_once_are_none(house: House) -> None:
    sent = [("Authorization", f"Bearer {house.tokens[who]}") for who in ("ann", "ada")]
    answer = httpx.post(f"{house.address}/graphql", json={"query": QUERY}, headers=sent)
    assert answer.status_code == 401


def test_a_token_that_is_revoked_holds_no_more_from_the_next_request_on(
    house: House, operator: Qledger
) -> None:
    spelt = house.token("ann", "rep")
    with httpx.Client(base_url=house.address) as http:
        http.headers["Authorization"] = f"Bearer {spelt}"
        Client(http).ask(QUERY)
        operator.ok_here("token", "revoke", spelt.split("_")[1])
        answer = http.post("/graphql", json={"query": QUERY})
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["extensions"]["code"] == "token-revoked"


def test_people_of_an_identity_provider_get_in(empty_settings: Settings, tmp_path: Path) -> None:
    key = RSAKey.generate_key(2048, parameters={"kid": "k"})
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="utf-8")
    settings = empty_settings.model_copy(
        update={
            "oidc_issuer": "https://id.example", "oidc_audience": "qledger",
            "oidc_jwks": str(keys), "oidc_roles": ("leads=manager",),
        }
    )  # fmt: skip
    claims = {"iss": "https://id.example", "aud": "qledger", "sub": "zoe", "roles": ["leads"],
              "exp": 4_000_000_000}  # fmt: skip
    spelt = jwt.encode({"alg": "RS256", "kid": "k"}, claims, key)
    with serving(settings) as house, httpx.Client(base_url=house.address) as http:
        assert http.post("/graphql", json={"query": QUERY}).status_code == 401
        http.headers["Authorization"] = f"Bearer {spelt}"
        found = Client(http).ask(QUERY)["snapshot"]["deals"]["nodes"]
        assert {node["dealId"] for node in found} == {"of-cleo"}
        http.headers["Authorization"] = f"Bearer {spelt[:-9]}"
        assert http.post("/graphql", json={"query": QUERY}).status_code == 401


# --- readings -----------------------------------------------------------------------------------


def test_what_an_auditor_reads_is_logged_with_the_digest_of_the_answer(
    house: House, operator: Qledger
) -> None:
    variables = {"owner": "ann"}
    query = f"""query OfOwner($owner: String) {{ snapshot(asOf: "{BEFORE}") {{
        basis {{ validAt knownAt horizon witnessedOnly rules }}
        deals(where: {{owner: $owner}}) {{ nodes {{ dealId }} }} }} }}"""
    before = logged(operator)
    answer = house.http("otto").post("/graphql", json={"query": query, "variables": variables})
    (reading, *earlier) = logged(operator)
    assert earlier == before
    assert (reading["person"], reading["role"]) == ("otto", "auditor")
    assert reading["how"] == f"token:{house.tokens['otto'].split('_')[1]}"
    assert reading["asked"].startswith("POST /graphql\n")
    assert json.loads(reading["asked"].split("\n", 1)[1]) == {
        "query": query,
        "variables": variables,
    }
    assert reading["answer_sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert reading["answer_bytes"] == len(answer.content)
    told = answer.json()["data"]["snapshot"]["basis"]
    assert reading["bases"] == [
        {
            "valid_at": told["validAt"], "known_at": told["knownAt"],
            "horizon": int(told["horizon"]), "witnessed_only": told["witnessedOnly"],
            "rules": told["rules"],
        }
    ]  # fmt: skip


def test_a_question_in_a_link_is_logged_with_its_arguments(house: House, operator: Qledger) -> None:
    answer = house.http("otto").get("/graphql", params={"query": QUERY})
    assert answer.status_code == 200
    assert logged(operator)[0]["asked"] == f"GET /graphql?{answer.request.url.query.decode()}"


def test_a_long_question_is_cut_and_known_by_its_digest(house: House, operator: Qledger) -> None:
    query = f"#{'x' * 20_000}\n{QUERY}"
    house.http("otto").post("/graphql", json={"query": query})
    asked = logged(operator)[0]["asked"]
    assert len(asked) <= 8_000
    assert "characters, SHA-256" in asked


def test_what_others_read_is_not_logged(house: House, operator: Qledger) -> None:
    before = logged(operator)
    for who in ("ann", "mia", "una", "ada"):
        house.as_(who).ask(QUERY)
    house.as_("otto").ask("{ __schema { queryType { name } } }")  # nothing of the ledger
    house.as_("otto").rejected("removeDeal", deal="of-ann")
    assert logged(operator) == before


def test_what_cannot_be_logged_is_not_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr(access, "log_reading", fails)
    with pytest.raises(httpx.HTTPError):
        house.http("otto").post("/graphql", json={"query": QUERY}).raise_for_status()
    house.as_("ann").ask(QUERY)


def test_an_export_is_logged_whoever_asks(house: House, operator: Qledger) -> None:
    readings.log_reading(
        house.ledger.database,
        Principal("una", Role.ANALYST, "token:x"),
        asked="GET /export/deals.csv?as_of=2025-03-31",
        bases=[{"horizon": 3}],
        answer_sha256=hashlib.sha256(b"a,b").digest(),
        answer_bytes=3,
    )
    assert logged(operator)[0]["person"] == "una"
    (only,) = operator.ok_here("readings", "--person", "una", "--format", "json").json["readings"]
    assert only["bases"] == [{"horizon": 3}]


async def streamed_in_two_parts(scope: Any, receive: Any, send: Any) -> None:
    """An export of two parts, as an app sends it; whether the second is sent is for `receive`."""
    scope["state"]["asking"].exports(Basis(Instant.now(UTC), Instant.now(UTC), 1))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a,b\n", "more_body": True})
    if scope["path"] == "/breaks":
        raise ConnectionResetError
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize(
    ("path", "kept"), [("/ends", ["(begun) ", ""]), ("/breaks", ["(begun) ", "(broken off) "])]
)
def test_an_export_is_logged_before_its_first_part_leaves(
    house: House, operator: Qledger, path: str, kept: list[str]
) -> None:
    asking = readings.Asking(Principal("ula", Role.ANALYST, "token:x"))
    sent: list[tuple[bytes, int]] = []
    before = len(readings_of(operator, "ula"))

    async def send(message: Any) -> None:
        if message.get("body"):
            sent.append((message["body"], len(readings_of(operator, "ula")) - before))

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": path, "state": {"asking": asking}}
    app = ReadingsLogged(streamed_in_two_parts, house.ledger.database)
    with suppress(ConnectionResetError):
        asyncio.run(app(scope, receive, send))
    assert sent == [(b"a,b\n", 1)]
    logged_now = readings_of(operator, "ula")[: len(kept)]
    assert [each["asked"] for each in reversed(logged_now)] == [f"{how}GET {path}" for how in kept]
    assert logged_now[0]["answer_sha256"] == hashlib.sha256(b"a,b\n").hexdigest()


def readings_of(operator: Qledger, person: str) -> list[dict[str, Any]]:
    found = operator.ok_here("readings", "--person", person, "--format", "json")
    told: list[dict[str, Any]] = found.json["readings"]
    return told


# --- the command line ---------------------------------------------------------------------------


def test_a_token_is_shown_once_and_listed_without_its_secret(fresh: Qledger) -> None:
    made = fresh.here(
        "token", "create", "--role", "rep", "--person", "ann", "--days", "7", "--made-by", "ops"
    )
    assert made.status == 0
    (spelt,) = made.text.split()
    secret = spelt[12:]
    assert secret not in made.err
    assert "not shown again" in made.err
    assert "knows nobody by the id 'ann'" in made.err
    (listed,) = fresh.ok_here("token", "list", "--format", "json").json["tokens"]
    assert {key: listed[key] for key in ("token", "person", "role", "state", "made_by")} == {
        "token": spelt.split("_")[1], "person": "ann", "role": "rep", "state": "holds",
        "made_by": "ops",
    }  # fmt: skip
    for told in (["token", "list"], ["token", "list", "--format", "csv"], ["config"]):
        assert secret not in fresh.ok_here(*told).text
    fresh.ok_here("token", "revoke", spelt)
    (listed,) = fresh.ok_here("token", "list", "--format", "json").json["tokens"]
    assert listed["state"] == "revoked"


def test_a_token_of_somebody_the_ledger_knows_is_made_without_a_note(
    house: House, operator: Qledger
) -> None:
    assert "ann" in house.tokens
    made = operator.here("token", "create", "--role", "rep", "--person", "ann")
    assert made.status == 0
    assert "note:" not in made.err


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["create", "--role", "king", "--person", "ann"], 2, "unknown-role"),
        (["create", "--role", "rep", "--person", " "], 2, "invalid-person"),
        (["create", "--role", "rep", "--person", "ann", "--days", "0"], 2, "invalid-days"),
        (["revoke", "zzzzzzzz"], 4, "unknown-token"),
    ],
)
def test_what_the_command_line_refuses(
    fresh: Qledger, arguments: list[str], status: int, code: str
) -> None:
    refused = fresh.here("token", *arguments)
    assert (refused.status, refused.code) == (status, code)


def test_the_operator_is_not_scoped(operator: Qledger, house: House) -> None:
    listed = operator.ok_here("deals", "--as-of", BEFORE, "--period", "2025-Q3", "--format", "json")
    assert len(listed.json["deals"]) == 6
    assert house.tokens


def test_a_process_that_serves_needs_credentials_at_once_when_a_token_is_made(
    fresh: Qledger,
) -> None:
    with fresh.serving() as (_process, address), httpx.Client(base_url=address) as http:
        assert http.post("/graphql", json={"query": QUERY}).status_code == 200
        spelt = token_of(fresh, "admin", "ops")
        assert http.post("/graphql", json={"query": QUERY}).status_code == 401
        http.headers["Authorization"] = f"Bearer {spelt}"
        assert http.post("/graphql", json={"query": QUERY}).status_code == 200
