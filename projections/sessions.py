"""Sessions of the processes that keep the read models.

Law: times are in UTC, no statement is cut short, nothing is left open between statements, and the
session acts as the role that has just the rights it needs where that role exists. A commit does not
wait for the disk: what a crash takes is rows and checkpoint together, and they are made again from
the log.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, LiteralString

import psycopg
from psycopg import Connection

CONNECT_SECONDS_MAX = 10
APP_ROLE = "qledger_app"

_AS_ROLE: LiteralString = """
SELECT set_config('role', rolname, false) FROM pg_roles
WHERE rolname = %s AND pg_has_role(session_user, oid, 'MEMBER')
"""


def writing(conninfo: str) -> Connection[Any]:
    """A session that may write the tables; the caller closes it.

    Raises:
        psycopg.OperationalError: the database cannot be reached.
    """
    connection = owning(conninfo)
    with suppress(psycopg.errors.InsufficientPrivilege):  # then it writes as itself
        connection.execute(_AS_ROLE, [APP_ROLE])
    return connection


def owning(conninfo: str) -> Connection[Any]:
    """A session as the login itself, which may also empty tables and make indexes.

    Raises:
        psycopg.OperationalError: the database cannot be reached.
    """
    return psycopg.connect(
        conninfo,
        autocommit=True,
        application_name="qledger-projection",
        connect_timeout=CONNECT_SECONDS_MAX,
        options="-c timezone=UTC -c synchronous_commit=off -c statement_timeout=0",
    )
