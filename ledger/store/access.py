"""The statements about who may use the doors: every read and write of tokens and readings is here.

Law: of a secret only its SHA-256 ever reaches the database. A token is revoked, never deleted, and
of the log of readings nothing is changed or deleted. Nothing here knows what a role may do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from ledger.domain.times import Instant
from ledger.store.database import Connection, Database

READINGS_MAX = 10_000
"""How many readings are listed at once."""


class Token(NamedTuple):
    """A token as it is kept.

    Args:
        id: the part of it that is shown to people.
        secret_sha256: of its secret.
        person: whose it is.
        role: what they may do.
        made_at: when, by the database's clock.
        made_by: the operator who made it.
        expires_at: the instant from which it holds no more.
        revoked_at: when it was revoked; None while it is not.
        last_used: the last day (UTC) on which it was used.
        now: the database's clock when it was looked up.
    """

    id: str
    secret_sha256: bytes
    person: str
    role: str
    made_at: Instant
    made_by: str
    expires_at: Instant
    revoked_at: Instant | None
    last_used: date | None
    now: Instant


class Reading(NamedTuple):
    """What somebody was told.

    Args:
        person: who asked.
        role: as whom.
        how: how they were known: by which token, or which issuer.
        asked: the question, bounded.
        bases: the bases that the answer states.
        answer_sha256: of the answer's bytes.
        answer_bytes: how many there were.
    """

    person: str
    role: str
    how: str
    asked: str
    bases: Sequence[Mapping[str, Any]]
    answer_sha256: bytes
    answer_bytes: int


class LoggedReading(NamedTuple):
    """A reading with its number and when it was logged."""

    number: int
    at: Instant
    person: str
    role: str
    how: str
    asked: str
    bases: Sequence[Mapping[str, Any]]
    answer_sha256: bytes
    answer_bytes: int


_SELECT = """
    SELECT id, secret_sha256, person, role, made_at, made_by, expires_at, revoked_at, last_used,
           clock_timestamp() AS now
    FROM qledger.token
"""
_USED = """
    UPDATE qledger.token SET last_used = %s
    WHERE id = %s AND last_used IS DISTINCT FROM %s
"""
_LOG = """
    INSERT INTO qledger.reading (person, role, how, asked, bases, answer_sha256, answer_bytes)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_READINGS = """
    SELECT number, at, person, role, how, asked, bases, answer_sha256, answer_bytes
    FROM qledger.reading
    WHERE (%(person)s::text IS NULL OR person = %(person)s) AND number > %(after)s
"""
_LAST_FIRST = _READINGS + " ORDER BY number DESC LIMIT %(limit)s"
_FIRST_FIRST = _READINGS + " ORDER BY number LIMIT %(limit)s"


def any_token(connection: Connection) -> bool:
    """Whether a token was ever made; one that was revoked or expired counts."""
    found = connection.execute("SELECT EXISTS (SELECT FROM qledger.token)").fetchone()
    return found is not None and bool(found[0])


def token(database: Database, token_id: str) -> Token | None:
    """The token of that id."""
    found = database.do(lambda connection: _tokens(connection, "WHERE id = %s", [token_id]))
    return found[0] if found else None


def tokens(connection: Connection) -> list[Token]:
    """All tokens that were ever made, in the order in which they were."""
    return _tokens(connection, "ORDER BY made_at, id", [])


def _tokens(connection: Connection, which: str, parameters: Sequence[object]) -> list[Token]:
    with connection.cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute((_SELECT + which).encode(), parameters).fetchall()


def keep_token(
    connection: Connection,
    *,
    token_id: str,
    secret_sha256: bytes,
    person: str,
    role: str,
    made_by: str,
    days: int,
) -> Instant:
    """Keep a new token.

    Args:
        connection: a session that may write.
        token_id: the part of it that is shown.
        secret_sha256: of its secret.
        person: whose it is.
        role: what they may do.
        made_by: who makes it.
        days: for how long it holds, from now on.

    Returns:
        When it expires, by the database's clock.

    Raises:
        psycopg.errors.UniqueViolation: the id is taken.
    """
    found = connection.execute(
        "INSERT INTO qledger.token (id, secret_sha256, person, role, made_by, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, clock_timestamp() + make_interval(days => %s))"
        " RETURNING expires_at",
        [token_id, secret_sha256, person, role, made_by, days],
    ).fetchone()
    assert found is not None  # noqa: S101 - the row that was written
    expires_at: Instant = found[0]
    return expires_at


def revoke_token(connection: Connection, token_id: str) -> bool:
    """Revoke a token; whether there is one of that id. Revoking it again changes nothing."""
    connection.execute(
        "UPDATE qledger.token SET revoked_at = clock_timestamp()"
        " WHERE id = %s AND revoked_at IS NULL",
        [token_id],
    )
    found = connection.execute("SELECT FROM qledger.token WHERE id = %s", [token_id]).fetchone()
    return found is not None


def token_used(database: Database, used: Token) -> None:
    """Note the day on which a token was used, at most once a day."""
    today = used.now.date()
    if used.last_used != today:
        database.do(lambda connection: connection.execute(_USED, [today, used.id, today]))


def log_reading(database: Database, reading: Reading) -> None:
    """Log what somebody was told."""
    values = [*reading[:4], Jsonb(list(reading.bases)), *reading[5:]]
    database.do(lambda connection: connection.execute(_LOG, values))


def readings(
    connection: Connection, *, person: str | None = None, after: int = 0, limit: int = 100
) -> list[LoggedReading]:
    """What was read, the last first; behind a number, the first first, so that none is missed.

    Whoever reads all of it, page by page, so begins behind the number of a reading that they know.

    Args:
        connection: any session.
        person: only what this person read.
        after: only readings with a higher number.
        limit: how many at most, up to `READINGS_MAX`.
    """
    asked = {"person": person, "after": after, "limit": min(limit, READINGS_MAX)}
    with connection.cursor(row_factory=class_row(LoggedReading)) as cursor:
        return cursor.execute(_FIRST_FIRST if after else _LAST_FIRST, asked).fetchall()
