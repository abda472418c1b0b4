"""Tokens: made, shown once, recognised.

Law: a token is `ql_<8 characters>_<43 characters>`: an id that is shown to people, and 256 random
bits. Only the SHA-256 of the secret is kept, and it is compared in constant time, also where there
is no token of that id; so neither the database nor a clock tells a secret. Why a token does not
hold is told only to who knows its secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from typing import NamedTuple

import psycopg

from api.access.principals import PERSON_CHARACTERS_MAX, Principal, Role, is_person_id
from ledger.domain.errors import InvalidInput, NotFound, Unauthenticated
from ledger.domain.times import Instant, format_instant
from ledger.store import access
from ledger.store.database import Database

DAYS_MAX = 3_660
PREFIX = "ql_"
_SPELT = re.compile(r"ql_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_ID_LETTERS = string.ascii_lowercase + string.digits
_ID_ATTEMPTS_MAX = 5
_NOBODYS = hashlib.sha256(b"").digest()
"""What the secret of an unknown id is compared with; no secret is empty."""


class NewToken(NamedTuple):
    """A token that was made just now: the only time that it is spelt.

    Args:
        id: the part that is shown to people.
        spelt: the whole token.
        expires_at: the instant from which it holds no more.
    """

    id: str
    spelt: str
    expires_at: Instant

    def __repr__(self) -> str:
        return f"NewToken(id={self.id!r}, expires_at={self.expires_at!r})"


def make(database: Database, *, person: str, role: str, days: int, made_by: str) -> NewToken:
    """Make a token.

    Args:
        database: where it is kept.
        person: whose it is: the id by which events name them.
        role: what they may do.
        days: for how long it holds.
        made_by: who makes it.

    Raises:
        InvalidInput: `invalid-person`, `unknown-role`, `invalid-days`.
    """
    if not is_person_id(person):
        raise InvalidInput(
            "invalid-person", f"{person[:40]!r} is nobody's id", where="person",
            hint=f"1 to {PERSON_CHARACTERS_MAX} printable characters, no spaces around them",
        )  # fmt: skip
    if role not in set(Role):
        raise InvalidInput(
            "unknown-role", f"{role[:40]!r} is not a role", where="role",
            hint=f"it is one of {', '.join(Role)}",
        )  # fmt: skip
    if not 1 <= days <= DAYS_MAX:
        raise InvalidInput("invalid-days", f"a token holds from 1 to {DAYS_MAX} days", where="days")
    secret = secrets.token_urlsafe(32)
    for attempt in range(_ID_ATTEMPTS_MAX):
        token_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
        try:
            with database.connection() as connection:
                expires_at = access.keep_token(
                    connection, token_id=token_id, secret_sha256=_digest(secret), person=person,
                    role=role, made_by=made_by, days=days,
                )  # fmt: skip
        except psycopg.errors.UniqueViolation:
            if attempt == _ID_ATTEMPTS_MAX - 1:
                raise
        else:
            return NewToken(token_id, f"{PREFIX}{token_id}_{secret}", expires_at)
    raise AssertionError("the last attempt returns or raises")


def principal_of(database: Database, spelt: str) -> Principal:
    """Whose token it is.

    Raises:
        Unauthenticated: `invalid-credentials`; and to who knows the secret `token-revoked`,
            `token-expired`.
    """
    found = _SPELT.fullmatch(spelt)
    if found is None:
        raise invalid_credentials()
    token_id, secret = found.groups()
    kept = access.token(database, token_id)
    expected = _NOBODYS if kept is None else kept.secret_sha256
    same = hmac.compare_digest(_digest(secret), expected)
    if kept is None or not same or kept.role not in set(Role):
        raise invalid_credentials()
    if kept.revoked_at is not None:
        raise Unauthenticated(
            "token-revoked",
            f"the token {kept.id} was revoked",
            hint="ask who administers the ledger",
        )
    if kept.now >= kept.expires_at:
        raise Unauthenticated(
            "token-expired", f"the token {kept.id} expired at {format_instant(kept.expires_at)}",
            hint="ask who administers the ledger for a new one",
        )  # fmt: skip
    access.token_used(database, kept)
    return Principal(kept.person, Role(kept.role), f"token:{kept.id}")


def revoke(database: Database, token_id: str) -> None:
    """Revoke a token; it holds no more from the next request on.

    Args:
        database: where it is kept.
        token_id: the part that is shown to people; the whole token is taken, too.

    Raises:
        NotFound: `unknown-token`.
    """
    found = _SPELT.fullmatch(token_id)
    token_id = token_id if found is None else found[1]
    with database.connection() as connection:
        if not access.revoke_token(connection, token_id):
            raise NotFound("unknown-token", "there is no such token", hint="qledger token list")


def invalid_credentials() -> Unauthenticated:
    """The refusal that tells nothing of what was wrong."""
    return Unauthenticated("invalid-credentials", "these credentials do not hold")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
