"""The life of a token: made, shown once, recognised, ended; and what of it is kept anywhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from api.access import tokens
from api.access.identify import Identifier
from api.access.principals import ANYBODY, Principal, Role
from ledger.config import Settings
from ledger.domain.errors import InvalidInput, NotFound, Unauthenticated
from ledger.store.database import Database
from ledger.store.ledger import Ledger


@pytest.fixture
def database(ledger: Ledger) -> Database:
    return ledger.database


def made(database: Database, **more: Any) -> tokens.NewToken:
    given = {"person": "ann", "role": "rep", "days": 30, "made_by": "ops", **more}
    return tokens.make(database, **given)


def refused(database: Database, spelt: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        tokens.principal_of(database, spelt)
    assert spelt[-20:] not in str(refusal.value) or len(spelt) < 20
    return refusal.value.code


def owner(database: Database) -> psycopg.Connection[Any]:
    return psycopg.connect(database.url, autocommit=True)


def test_a_token_is_spelt_as_promised_and_recognised(database: Database) -> None:
    new = made(database)
    assert re.fullmatch(r"ql_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", new.spelt)
    assert new.spelt.split("_")[1] == new.id
    found = tokens.principal_of(database, new.spelt)
    assert found == Principal("ann", Role.REP, f"token:{new.id}")


def test_only_the_digest_of_the_secret_is_in_the_database(database: Database) -> None:
    new = made(database)
    secret = new.spelt[12:]
    with owner(database) as connection:
        (row,) = connection.execute("SELECT token::text, secret_sha256 FROM qledger.token")
    assert secret not in row[0]
    assert row[1] == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(new)


def test_two_tokens_differ_in_id_and_secret(database: Database) -> None:
    first, second = made(database), made(database)
    assert first.id != second.id
    assert first.spelt[12:] != second.spelt[12:]


def test_a_secret_of_another_token_does_not_hold(database: Database) -> None:
    first, second = made(database), made(database)
    mixed = f"ql_{first.id}_{second.spelt[12:]}"
    assert refused(database, mixed) == "invalid-credentials"


@pytest.mark.parametrize(
    "spelt",
    [
        "", "ql_", "ql_abcdefgh", "ql_abcdefgh_", "ql_abcdefgh_short", "QL_abcdefgh_" + "x" * 43,
        "ql_abcdefgh_" + "x" * 44, "ql_ABCDEFGH_" + "x" * 43, "ql_abcdefgh_" + "x" * 43,
        "ql_abcdefgh_" + "é" * 43, "ql_abc'--gh_" + "x" * 43, "ql_abcdefgh_" + "x" * 43 + "\n",
    ],
)  # fmt: skip
def test_what_is_no_token_of_ours_is_refused_in_one_way(database: Database, spelt: str) -> None:
    made(database)
    assert refused(database, spelt) == "invalid-credentials"


def test_a_secret_is_compared_in_constant_time_whether_there_is_such_an_id_or_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []

    def watched(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return hmac_compare(left, right)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr("api.access.tokens.hmac.compare_digest", watched)
    new = made(database)
    tokens.principal_of(database, new.spelt)
    refused(database, new.spelt[:-1] + ("A" if new.spelt[-1] != "A" else "B"))
    refused(database, "ql_zzzzzzzz_" + "x" * 43)
    assert compared == [(32, 32)] * 3


def test_a_revoked_token_holds_no_more(database: Database) -> None:
    new = made(database)
    tokens.revoke(database, new.id)
    assert refused(database, new.spelt) == "token-revoked"
    assert refused(database, f"ql_{new.id}_{'x' * 43}") == "invalid-credentials"
    tokens.revoke(database, new.id)  # again is harmless
    with pytest.raises(NotFound):
        tokens.revoke(database, "zzzzzzzz")


def test_an_expired_token_holds_no_more(database: Database) -> None:
    new = made(database, days=1)
    with owner(database) as connection:
        connection.execute("ALTER TABLE qledger.token DISABLE TRIGGER token_ends_once")
        connection.execute("UPDATE qledger.token SET made_at = now() - interval '2 days',"
                           " expires_at = now() - interval '1 second'")  # fmt: skip
    assert refused(database, new.spelt) == "token-expired"
    assert refused(database, f"ql_{new.id}_{'x' * 43}") == "invalid-credentials"


def test_it_expires_so_many_days_from_now(database: Database, ledger: Ledger) -> None:
    before = ledger.clock()
    expires_at = made(database, days=30).expires_at
    assert before + timedelta(days=30) <= expires_at <= ledger.clock() + timedelta(days=30)


def test_the_day_of_the_last_use_is_kept(database: Database) -> None:
    new = made(database)
    with owner(database) as connection:
        used = "SELECT last_used = (now() AT TIME ZONE 'UTC')::date FROM qledger.token"
        assert connection.execute(used).fetchone() == (None,)
        tokens.principal_of(database, new.spelt)
        assert connection.execute(used).fetchone() == (True,)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"person": ""}, "invalid-person"),
        ({"person": " ann"}, "invalid-person"),
        ({"person": "a\nb"}, "invalid-person"),
        ({"person": "x" * 201}, "invalid-person"),
        ({"role": "king"}, "unknown-role"),
        ({"days": 0}, "invalid-days"),
        ({"days": 100_000}, "invalid-days"),
    ],
)
def test_what_no_token_is_made_for(database: Database, more: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        made(database, **more)
    assert refusal.value.code == code


# --- what the database refuses ------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM qledger.token",
        "TRUNCATE qledger.token",
        "UPDATE qledger.token SET role = 'admin'",
        "UPDATE qledger.token SET expires_at = expires_at + interval '1 year'",
        "UPDATE qledger.token SET secret_sha256 = sha256('x')",
        "UPDATE qledger.token SET revoked_at = NULL",
        "DELETE FROM qledger.reading",
        "TRUNCATE qledger.reading",
        "UPDATE qledger.reading SET person = 'x'",
    ],
)
def test_tokens_end_but_never_change_and_readings_only_grow(
    database: Database, statement: str
) -> None:
    tokens.revoke(database, made(database).id)
    with owner(database) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_who_may_only_read_the_log_sees_no_tokens_and_no_readings(database: Database) -> None:
    made(database)
    with owner(database) as connection:
        connection.execute("SET ROLE qledger_reader")
        connection.execute("SELECT FROM qledger.event")
        for table in ("token", "reading"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT FROM qledger.{table}")


# --- credentials --------------------------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_until_the_first_token_anybody_may_and_afterwards_nobody_unknown(
    database: Database, settings: Settings
) -> None:
    identifier = Identifier(database, settings)
    assert identifier.principal_of(None) is ANYBODY
    new = made(database)
    with pytest.raises(Unauthenticated) as refusal:
        identifier.principal_of(None)
    assert refusal.value.code == "no-credentials"
    tokens.revoke(database, new.id)
    for afresh in (identifier, Identifier(database, settings)):
        with pytest.raises(Unauthenticated):
            afresh.principal_of(None)  # the last token that ends opens no door


def test_a_token_is_taken_as_bearer_and_as_the_password_of_basic(
    database: Database, settings: Settings
) -> None:
    spelt = made(database).spelt
    identifier = Identifier(database, settings)
    for authorization in (
        f"Bearer {spelt}", f"bearer   {spelt} ", basic("", spelt), basic("anybody", spelt),
    ):  # fmt: skip
        assert identifier.principal_of(authorization).person == "ann", authorization


def test_other_credentials_are_refused_and_told_of_nowhere(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    spelt = made(database).spelt
    identifier = Identifier(database, settings)
    identifier.principal_of(f"Bearer {spelt}")
    for authorization in (
        "Bearer", "Bearer ", spelt, f"Token {spelt}", f"Bearer {spelt}x", basic(spelt, ""),
        "Basic !!!", f"Basic {spelt}", "Basic /w==", "Bearer a.b.c", "x" * 100_000,
        basic("", f"{spelt}:"),
    ):  # fmt: skip
        with pytest.raises(Unauthenticated) as refusal:
            identifier.principal_of(authorization)
        assert spelt[12:] not in str(refusal.value)
    assert spelt[12:] not in caplog.text
