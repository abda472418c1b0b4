"""JSON web tokens of an identity provider: which are taken, and what they make of whom."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from api.access import oidc
from api.access.identify import Identifier
from api.access.oidc import (
    KEYS_BYTES_MAX,
    KEYS_SECONDS_MAX,
    LEEWAY_SECONDS,
    LOOK_AGAIN_SECONDS_MIN,
    Provider,
    Verifier,
    provider_of,
)
from api.access.principals import Principal, Role
from ledger.config import Settings
from ledger.domain.errors import InvalidInput, QledgerError, Unauthenticated

ISSUER, AUDIENCE = "https://id.example", "qledger"
NOW = 1_800_000_000
RSA = RSAKey.generate_key(2048, parameters={"kid": "r1", "use": "sig"})
EC = ECKey.generate_key("P-256", parameters={"kid": "e1"})
ED = OKPKey.generate_key("Ed25519", parameters={"kid": "d1"})
OTHER = RSAKey.generate_key(2048, parameters={"kid": "r1"})


class _Signs(JWSRegistry):
    """Signs with any algorithm, without a word about which are recommended."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


class House:
    """A verifier with a key file and clocks that a test moves."""

    def __init__(self, folder: Path, *keys: Key, **settings: str) -> None:
        self.file = folder / "jwks.json"
        self.publish(*keys)
        self.now = float(NOW)
        self.ticks = 0.0
        chosen = Settings(
            oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks=str(self.file), **settings  # type: ignore[arg-type]
        )  # fmt: skip
        provider = provider_of(chosen)
        assert provider is not None
        self.provider: Provider = provider
        self.verifier = Verifier(provider, lambda: self.now, lambda: self.ticks)

    def publish(self, *keys: Key) -> None:
        told = {"keys": [key.as_dict(private=False) for key in keys]}
        self.file.write_text(json.dumps(told), encoding="utf-8")

    def taken(self, token: str) -> Principal:
        return self.verifier.principal_of(token)

    def refused(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as refusal:
            self.verifier.principal_of(token)
        assert token[-20:] not in str(refusal.value)
        return refusal.value.code


def token(key: Key = RSA, alg: str = "RS256", kid: str | None = None, **claims: Any) -> str:
    told = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["rep"], "exp": NOW + 300,
        "nbf": NOW - 10, **claims,
    }  # fmt: skip
    header = {"alg": alg, "kid": kid or str(key.kid)}
    told = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(header, told, key, registry=_Signs(algorithms=[alg]))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, RSA, EC, ED)


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")])
def test_what_the_provider_signed_for_us_is_taken(house: House, key: Key, alg: str) -> None:
    assert house.taken(token(key, alg)) == Principal("ann", Role.REP, f"oidc:{ISSUER}")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": None},
        {"aud": 7},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": NOW + LEEWAY_SECONDS + 1},
        {"iat": NOW + LEEWAY_SECONDS + 1},
        {"sub": 7},
    ],
)
def test_what_is_not_from_there_or_not_for_us_is_refused(
    house: House, claims: dict[str, Any]
) -> None:
    assert house.refused(token(**claims)) == "invalid-credentials"


def test_it_holds_between_its_instants_give_or_take_a_little(house: House) -> None:
    held = token(exp=NOW, nbf=NOW)
    for now, code in (
        (NOW - LEEWAY_SECONDS - 1, "invalid-credentials"),
        (NOW - LEEWAY_SECONDS, None),
        (NOW + LEEWAY_SECONDS - 1, None),
        (NOW + LEEWAY_SECONDS, "token-expired"),
    ):
        house.now = now
        if code is None:
            house.taken(held)
        else:
            assert house.refused(held) == code


def test_several_audiences_are_taken_when_we_are_among_them(house: House) -> None:
    assert house.taken(token(aud=["x", AUDIENCE])).person == "ann"


# --- signatures ---------------------------------------------------------------------------------


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_no_signature_is_no_signature(house: House) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["admin"], "exp": NOW + 9}
    for alg in ("none", "None", "NONE", "HS256", "RS512", "", None, 7, ["RS256"]):
        forged = f"{_part({'alg': alg, 'kid': 'r1'})}.{_part(claims)}."
        assert house.refused(forged) == "invalid-credentials"
        assert house.refused(f"{forged}AAAA") == "invalid-credentials"


def test_a_public_key_is_no_shared_secret(house: House) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["admin"], "exp": NOW + 9}
    signed = f"{_part({'alg': 'HS256', 'kid': 'r1'})}.{_part(claims)}"
    for public in (RSA.as_pem(private=False), RSA.as_der(private=False)):
        mac = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256"))
        forged = f"{signed}.{mac.rstrip(b'=').decode()}"
        assert house.refused(forged) == "invalid-credentials"


def test_another_key_of_the_same_id_does_not_sign(house: House) -> None:
    assert house.refused(token(OTHER)) == "invalid-credentials"


def test_a_key_signs_by_its_own_algorithm_alone(house: House) -> None:
    header, claims, signature = token(EC, "ES256").split(".")
    assert header
    mixed = f"{_part({'alg': 'RS256', 'kid': 'e1'})}.{claims}.{signature}"
    assert house.refused(mixed) == "invalid-credentials"


def test_what_was_changed_on_the_way_is_refused(house: House) -> None:
    header, claims, signature = token().split(".")
    assert claims
    raised = _part({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["admin"],
                    "exp": NOW + 300})  # fmt: skip
    assert house.refused(f"{header}.{raised}.{signature}") == "invalid-credentials"


def test_a_header_that_brings_its_own_key_is_not_believed(house: House) -> None:
    header = {"alg": "RS256", "kid": "r1", "jwk": OTHER.as_dict(private=False),
              "jku": "https://evil.example/keys"}  # fmt: skip
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["rep"], "exp": NOW + 300}
    forged = jwt.encode(header, claims, OTHER, registry=_Signs(algorithms=["RS256"]))
    assert house.refused(forged) == "invalid-credentials"


def test_a_critical_header_that_is_not_known_is_refused(house: House) -> None:
    header = {"alg": "RS256", "kid": "r1", "crit": ["x"], "x": 1}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["rep"], "exp": NOW + 300}
    signs = _Signs(algorithms=["RS256"], strict_check_header=False)
    signs.check_header = lambda header: None  # type: ignore[method-assign]  # noqa: ARG005
    told = jwt.encode(header, claims, RSA, registry=signs)
    assert house.refused(told) == "invalid-credentials"


@pytest.mark.parametrize(
    "spelt",
    ["", ".", "..", "a.b.c", "ey.ey.ey", "é.é.é", "x" * 100_000, "e30.e30.e30", "\x00.\x00."],
)
def test_what_is_no_token_is_refused(house: House, spelt: str) -> None:
    with pytest.raises(Unauthenticated, match="do not hold"):
        house.verifier.principal_of(spelt)


# --- keys ---------------------------------------------------------------------------------------


def test_a_new_key_is_found_when_it_is_first_used(house: House) -> None:
    house.taken(token())
    new = RSAKey.generate_key(2048, parameters={"kid": "r2"})
    house.publish(RSA, new)
    house.ticks += LOOK_AGAIN_SECONDS_MIN
    assert house.taken(token(new)).person == "ann"


def test_an_unknown_key_is_not_looked_for_again_and_again(house: House) -> None:
    house.taken(token())
    new = RSAKey.generate_key(2048, parameters={"kid": "r2"})
    assert house.refused(token(new)) == "invalid-credentials"
    house.publish(RSA, new)
    assert house.refused(token(new)) == "invalid-credentials"  # it was looked for just now
    house.ticks += LOOK_AGAIN_SECONDS_MIN
    house.taken(token(new))


def test_a_key_that_was_withdrawn_holds_no_longer_than_keys_are_kept(house: House) -> None:
    house.taken(token())
    house.publish(EC)
    house.ticks += KEYS_SECONDS_MAX
    assert house.refused(token()) == "invalid-credentials"
    house.taken(token(EC, "ES256"))


def test_keys_outlive_a_short_outage_and_no_long_one(house: House) -> None:
    house.taken(token())
    house.file.unlink()
    house.ticks += KEYS_SECONDS_MAX
    house.taken(token())
    house.ticks += KEYS_SECONDS_MAX
    with pytest.raises(QledgerError, match="keys cannot be read"):
        house.taken(token())


def test_while_somebody_looks_who_has_a_known_key_does_not_wait(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.taken(token())
    asked, answered = threading.Event(), threading.Event()

    def slowly(_source: str) -> bytes:
        asked.set()
        assert answered.wait(60)
        return house.file.read_bytes()

    monkeypatch.setattr(oidc, "_fetched", slowly)
    new = RSAKey.generate_key(2048, parameters={"kid": "r2"})
    house.publish(RSA, new)
    house.ticks += KEYS_SECONDS_MAX
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(house.taken, token(new))
        try:
            assert asked.wait(60)
            assert house.taken(token()).person == "ann"  # though its keys are old by now
        finally:
            answered.set()
        assert waiting.result().person == "ann"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": 7}', '{"keys": []}', '{"keys": [7]}', "x" * 99]
)
def test_keys_that_cannot_be_read_let_nobody_in(house: House, text: str) -> None:
    house.file.write_text(text, encoding="utf-8")
    with pytest.raises(QledgerError, match="keys cannot be read"):
        house.taken(token())


def test_a_key_set_is_bounded(house: House) -> None:
    house.file.write_text(house.file.read_text() + " " * KEYS_BYTES_MAX, encoding="utf-8")
    with pytest.raises(QledgerError, match="keys cannot be read"):
        house.taken(token())


class _Answers(BaseHTTPRequestHandler):
    """Answers with the file behind the server, or sends elsewhere."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Path(self.server.file).read_bytes())  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(("path", "found"), [("/keys", True), ("/moved", False)])
def test_keys_are_fetched_from_where_the_settings_say_and_from_nowhere_else(
    house: House, path: str, found: bool
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.file = str(house.file)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            at = f"http://127.0.0.1:{server.server_port}{path}"
            verifier = Verifier(house.provider._replace(keys=at), lambda: float(NOW))
            if found:
                assert verifier.principal_of(token()).person == "ann"
            else:
                with pytest.raises(QledgerError, match="keys cannot be read"):
                    verifier.principal_of(token())
        finally:
            server.shutdown()
            thread.join()


def test_keys_of_other_kinds_are_left_out(tmp_path: Path) -> None:
    p384 = ECKey.generate_key("P-384", parameters={"kid": "e3"})
    encrypts = RSAKey.generate_key(2048, parameters={"kid": "r9", "use": "enc"})
    secret = OctKey.generate_key(256, parameters={"kid": "o1"})
    house = House(tmp_path, RSA, p384, encrypts, secret)
    house.taken(token())
    for key in (p384, encrypts):
        alg = "ES256" if key is p384 else "RS256"
        header = {"alg": alg, "kid": key.kid}
        forged = f"{_part(header)}.{_part({'iss': ISSUER})}.AAAA"
        assert house.refused(forged) == "invalid-credentials"


def test_without_a_key_id_the_only_key_is_meant(tmp_path: Path) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["rep"], "exp": NOW + 300}
    nameless = jwt.encode({"alg": "RS256"}, claims, RSA, registry=_Signs(algorithms=["RS256"]))
    assert House(tmp_path, RSA).taken(nameless).person == "ann"
    assert House(tmp_path, RSA, EC).refused(nameless) == "invalid-credentials"


# --- who it is ----------------------------------------------------------------------------------


def test_claims_and_roles_are_named_by_the_settings(tmp_path: Path) -> None:
    house = House(
        tmp_path, RSA, oidc_person_claim="email", oidc_role_claim="realm_access.roles",
        oidc_roles="sales-leads=manager, sales=rep,https://x.example/a=b=auditor",
    )  # fmt: skip
    told: dict[str, Any] = {"email": "ann@x.example", "email_verified": True, "roles": None}
    for roles, role in (
        (["sales"], Role.REP),
        (["sales", "sales-leads"], Role.MANAGER),
        (["https://x.example/a=b"], Role.AUDITOR),
        ("sales", Role.REP),
    ):
        found = house.taken(token(realm_access={"roles": roles}, **told))
        assert (found.person, found.role) == ("ann@x.example", role)
    for none in ([], ["rep"], "", 7, None, [7], {"sales": 1}):
        assert house.refused(token(realm_access={"roles": none}, **told)) == "no-role"


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_address_that_nobody_verified_is_nobody(tmp_path: Path, verified: Any) -> None:
    house = House(tmp_path, RSA, oidc_person_claim="email", oidc_role_claim="roles")
    told = {"email": "ann@x.example", "email_verified": verified, "roles": ["rep"]}
    assert house.refused(token(**told)) == "no-person"


def test_a_claim_whose_name_holds_dots_is_found(tmp_path: Path) -> None:
    house = House(tmp_path, RSA, oidc_role_claim="https://qledger.example/roles")
    claims: dict[str, Any] = {"https://qledger.example/roles": ["auditor"]}
    assert house.taken(token(**claims)).role is Role.AUDITOR


@pytest.mark.parametrize("person", [None, "", " ann", "a\nb", "x" * 201, ["ann"], True])
def test_who_is_nobody_is_refused(tmp_path: Path, person: Any) -> None:
    house = House(tmp_path, RSA, oidc_person_claim="upn")
    assert house.refused(token(upn=person)) == "no-person"


# --- settings -----------------------------------------------------------------------------------


def test_without_settings_there_is_no_provider() -> None:
    assert provider_of(Settings()) is None


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"oidc_issuer": ISSUER}, "QLEDGER_OIDC_AUDIENCE"),
        ({"oidc_jwks": "keys.json"}, "QLEDGER_OIDC_ISSUER"),
        ({"oidc_issuer": ISSUER, "oidc_audience": "q", "oidc_jwks": "http://id.example/keys"},
         "QLEDGER_OIDC_JWKS"),
        ({"oidc_issuer": ISSUER, "oidc_audience": "q", "oidc_jwks": "file:///etc/keys"},
         "QLEDGER_OIDC_JWKS"),
        ({"oidc_issuer": ISSUER, "oidc_audience": "q", "oidc_jwks": "k", "oidc_roles": "x=king"},
         "QLEDGER_OIDC_ROLES"),
        ({"oidc_issuer": ISSUER, "oidc_audience": "q", "oidc_jwks": "k", "oidc_roles": "rep"},
         "QLEDGER_OIDC_ROLES"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_named(settings: dict[str, Any], variable: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Identifier(None, Settings(**settings))  # type: ignore[arg-type]
    assert (refusal.value.code, refusal.value.where) == ("invalid-setting", variable)
