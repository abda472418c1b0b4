"""Waiting for news of the log: a hint cuts the wait short, and nobody relies on one.

Law: whoever waits looks again after `POLL_SECONDS` at the latest, whether or not a notification
came, and whether or not the connection on which they come is there.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection

from projections import sessions

POLL_SECONDS = 0.5


class Hints:
    """Waiting for news: until a notification comes, or it is time to poll.

    It listens on a connection of its own. Where that is lost, polls are all there is until it is
    made again.

    Args:
        conninfo: the database.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Connection[Any] | None = None

    def wait(self, stopping: threading.Event) -> bool:
        """Wait for a hint, at most until the next poll; whether one came."""
        try:
            if self._connection is None:
                self._connection = sessions.writing(self._conninfo)
                self._connection.execute("LISTEN qledger")
                return True  # what came before it listened is found by looking
            hints = list(self._connection.notifies(timeout=POLL_SECONDS, stop_after=1))
        except psycopg.Error:  # lost, or a standby, which does not listen
            self.close()
            stopping.wait(POLL_SECONDS)
            return True
        return bool(hints)

    def close(self) -> None:
        """Listen no more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
