"""People known to an identity provider: JSON web tokens of OpenID Connect.

Law: a token is taken only when one of the provider's own public keys verifies it by RS256, ES256 or
EdDSA, it is from that issuer and for this audience, and it holds now, give or take a little for
clocks that differ. Who it is and in which role are claims of it, named by the settings. Keys are
kept; one that is not known yet is looked for once, and not again for a while, however often it is
asked for. While somebody looks, whoever's key is known goes on.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key, KeySet
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from api.access.principals import Principal, Role, is_person_id
from api.access.tokens import invalid_credentials
from ledger.config import Settings
from ledger.domain.errors import InvalidInput, Unauthenticated, Unavailable

ALGORITHMS = ("RS256", "ES256", "EdDSA")
LEEWAY_SECONDS = 30
TOKEN_CHARACTERS_MAX = 8_192
KEYS_BYTES_MAX = 256 * 1024
FETCH_SECONDS_MAX = 5.0
LOOK_AGAIN_SECONDS_MIN = 60.0
"""How long after the keys were looked for they are not looked for again."""

KEYS_SECONDS_MAX = 3_600.0
"""How long keys are taken without looking whether the provider withdrew them."""

OUTAGE_SECONDS_MAX = 2 * KEYS_SECONDS_MAX
"""How old they may become while the provider cannot be asked."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KEY_TYPES = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_TAKEN = (("RSA", None), ("EC", "P-256"), ("OKP", "Ed25519"))
"""Kinds of keys and their curves."""

Clock = Callable[[], float]
"""Seconds; of a wall clock since 1970, of a monotonic one since whenever."""


class _Algorithms(JWSRegistry):
    """The three algorithms; others do not exist, whatever a token's header says."""

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"{name[:20]!r} is not taken")
        return self.algorithms[name]


class Provider(NamedTuple):
    """An identity provider, as the settings name it.

    Args:
        issuer: what `iss` must be.
        audience: what `aud` must be, or hold.
        keys: where its keys are: a file, or an https URL.
        person_claim: the claim that is a person's id.
        role_claim: the claim, or path of claims by dots, that holds roles.
        roles: value of that claim -> role; of several the first one here counts.
    """

    issuer: str
    audience: str
    keys: str
    person_claim: str
    role_claim: str
    roles: Mapping[str, Role]


def provider_of(settings: Settings) -> Provider | None:
    """The provider of an installation; None where there is none.

    Raises:
        InvalidInput: `invalid-setting`.
    """
    parts = {
        "QLEDGER_OIDC_ISSUER": settings.oidc_issuer,
        "QLEDGER_OIDC_AUDIENCE": settings.oidc_audience,
        "QLEDGER_OIDC_JWKS": settings.oidc_jwks,
    }
    missing = [name for name, value in parts.items() if not value]
    if len(missing) == len(parts):
        return None
    if missing:
        raise _invalid(missing[0], f"{', '.join(parts)} are set together")
    issuer, audience, keys = (str(value) for value in parts.values())
    if _is_url(keys):
        at = urlsplit(keys)
        if at.scheme != "https" and at.hostname not in _LOOPBACK:
            raise _invalid("QLEDGER_OIDC_JWKS", "keys are fetched by https only")
    return Provider(
        issuer,
        audience,
        keys,
        settings.oidc_person_claim,
        settings.oidc_role_claim,
        _roles(settings.oidc_roles),
    )


def _roles(pairs: tuple[str, ...]) -> dict[str, Role]:
    if not pairs:
        return {role.value: role for role in Role}
    found: dict[str, Role] = {}
    for pair in pairs:
        value, equals, role = pair.rpartition("=")
        if not equals or not value or role not in set(Role):
            raise _invalid("QLEDGER_OIDC_ROLES", f"{pair[:80]!r} is not VALUE=ROLE")
        found.setdefault(value, Role(role))
    return found


def _invalid(variable: str, message: str) -> InvalidInput:
    return InvalidInput("invalid-setting", message, where=variable)


def _is_url(keys: str) -> bool:
    return "://" in keys


class Verifier:
    """Says whose a JSON web token is.

    Args:
        provider: whose tokens are taken.
        now: the wall clock.
        ticks: a clock that only goes forward.
    """

    def __init__(
        self, provider: Provider, now: Clock = time.time, ticks: Clock = time.monotonic
    ) -> None:
        self._provider = provider
        self._now = now
        self._keys = _Keys(provider.keys, ticks)
        self._registry = _Algorithms(algorithms=list(ALGORITHMS), strict_check_header=False)

    def principal_of(self, spelt: str) -> Principal:
        """Whose token it is.

        Raises:
            Unauthenticated: `invalid-credentials`, `token-expired`, `no-person`, `no-role`.
            Unavailable: `keys-unavailable`.
        """
        claims = self._verified(spelt)
        person = _claim(claims, self._provider.person_claim)
        if self._provider.person_claim == "email" and claims.get("email_verified") is not True:
            raise Unauthenticated(
                "no-person", "the provider does not say that it verified the token's email",
                hint="have it send email_verified, or name another claim in "
                "QLEDGER_OIDC_PERSON_CLAIM",
            )  # fmt: skip
        if not is_person_id(person):
            raise Unauthenticated(
                "no-person", f"the token's claim {self._provider.person_claim!r} is nobody's id",
                hint="QLEDGER_OIDC_PERSON_CLAIM names the claim that is a person's id",
            )  # fmt: skip
        return Principal(str(person), self._role(claims), f"oidc:{self._provider.issuer}"[:200])

    def _verified(self, spelt: str) -> dict[str, Any]:
        if len(spelt) > TOKEN_CHARACTERS_MAX:
            raise invalid_credentials()
        checks = JWTClaimsRegistry(
            now=lambda: int(self._now()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._provider.issuer},
            aud={"essential": True, "value": self._provider.audience},
            exp={"essential": True},
        )
        try:
            token = jwt.decode(spelt, self._key_of, registry=self._registry)
            checks.validate(token.claims)
        except JoseError as error:
            if error.error == "expired_token":  # its signature held: whose it is may be told so
                raise Unauthenticated(
                    "token-expired", "the token expired", hint="sign in again"
                ) from None
            raise invalid_credentials() from None
        except (ValueError, TypeError, KeyError, UnicodeError):
            raise invalid_credentials() from None
        return token.claims

    def _key_of(self, token: Any) -> Key:
        header: dict[str, Any] = token.headers()
        algorithm, kid = header.get("alg"), header.get("kid")
        wanted = _KEY_TYPES.get(algorithm) if isinstance(algorithm, str) else None
        if wanted is None or not (kid is None or isinstance(kid, str)):
            raise invalid_credentials()
        key = self._keys.find(kid)
        if (
            key is None
            or key.key_type != wanted
            or key.as_dict(private=False).get("alg", algorithm) != algorithm
        ):
            raise invalid_credentials()
        return key

    def _role(self, claims: Mapping[str, Any]) -> Role:
        told = _claim(claims, self._provider.role_claim)
        held = {told} if isinstance(told, str) else set(_texts(told))
        for value, role in self._provider.roles.items():
            if value in held:
                return role
        raise Unauthenticated(
            "no-role", "the token gives no role in this ledger",
            hint="QLEDGER_OIDC_ROLE_CLAIM and QLEDGER_OIDC_ROLES say which claims do",
        )  # fmt: skip


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """The value at a path; a claim whose name holds dots, such as a URL, is found by it, too."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


class _Kept(NamedTuple):
    keys: tuple[Key, ...]
    at: float

    def find(self, kid: str | None) -> Key | None:
        """The key of that id; of none, the only key that there is."""
        if kid is None:
            return self.keys[0] if len(self.keys) == 1 else None
        return next((key for key in self.keys if key.kid == kid), None)


class _Keys:
    """The provider's keys, kept. One at a time looks for them; who has its key does not wait."""

    def __init__(self, source: str, ticks: Clock) -> None:
        self._source = source
        self._ticks = ticks
        self._looking = threading.Lock()
        self._kept: _Kept | None = None
        self._looked_at: float | None = None

    def find(self, kid: str | None) -> Key | None:
        """The key of that id; of none, the only key that there is.

        Raises:
            Unavailable: `keys-unavailable`, where none were ever to be had.
        """
        now, kept = self._ticks(), self._kept
        found = None if kept is None else kept.find(kid)
        age = inf if kept is None else now - kept.at
        if age < KEYS_SECONDS_MAX and (found is not None or kid is None):
            return found
        may_wait = found is None or age >= OUTAGE_SECONDS_MAX
        if not self._looking.acquire(blocking=may_wait):
            return found
        try:
            return self._looked_for(now).find(kid)
        finally:
            self._looking.release()

    def _looked_for(self, now: float) -> _Kept:
        """The keys as they are fetched now, unless that was tried just now."""
        looked, kept = self._looked_at, self._kept
        if looked is None or now - looked >= LOOK_AGAIN_SECONDS_MIN:
            self._looked_at = now
            try:
                kept = _Kept(tuple(_read_keys(_fetched(self._source))), now)
            except (OSError, ValueError, KeyError, TypeError, JoseError):
                if kept is not None and now - kept.at >= OUTAGE_SECONDS_MAX:
                    kept = None
            self._kept = kept
        if kept is None:
            raise _no_keys()
        return kept


def _no_keys() -> Unavailable:
    return Unavailable(
        "keys-unavailable", "the identity provider's keys cannot be read",
        hint="check QLEDGER_OIDC_JWKS",
    )  # fmt: skip


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keys come from where the settings say, and from nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _fetched(source: str) -> bytes:
    """The bytes of a key set, bounded in size and time."""
    if not _is_url(source):
        with Path(source).open("rb") as file:
            found = file.read(KEYS_BYTES_MAX + 1)
    else:
        opener = urllib.request.build_opener(_NoRedirects)
        with opener.open(source, timeout=FETCH_SECONDS_MAX) as answer:
            found = answer.read(KEYS_BYTES_MAX + 1)
    if len(found) > KEYS_BYTES_MAX:
        raise ValueError("a key set is not so large")
    return bytes(found)


def _read_keys(text: bytes) -> list[Key]:
    """The public keys of a set that verify signatures; what is of no use to us is left out."""
    usable = [
        each
        for each in json.loads(text)["keys"]
        if isinstance(each, dict)
        and each.get("use", "sig") == "sig"
        and (each.get("kty"), each.get("crv")) in _TAKEN
    ]
    return list(KeySet.import_key_set({"keys": usable}))
