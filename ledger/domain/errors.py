"""Errors a person can act on.

Law: every refusal carries a stable `code` (never renamed once released), a sentence that says what
is wrong, and - where there is one - the place (`where`) and what to do (`hint`). Doors translate
the class into an exit status or an HTTP status; nothing else about an error depends on the door.

    QledgerError
    |-- InvalidInput      the caller gave something that can never be accepted
    |-- Refused           well-formed, but the ledger's state or rules forbid it
    |   |-- Conflict      somebody else was first; read again and retry
    |   |   `-- StreamMoved   they recorded in the same stream; it says its version now
    |   `-- Forbidden     the one who asks may not
    |-- Unauthenticated   nobody knows who asks
    |-- NotFound          no such deal, event, playbook ... at this basis
    `-- Unavailable       the store cannot serve now (not started, newer than the code ...)
"""

from __future__ import annotations

from typing import Any


class QledgerError(Exception):
    """The base of the tree.

    Args:
        code: stable kebab-case identifier, part of the public contract.
        message: what is wrong, as a sentence without a final full stop.
        where: the place: a payload path, or "file:row:column".
        hint: what to do about it.
    """

    def __init__(self, code: str, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" (at {self.where})" if self.where else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{self.message}{place}{advice} [{self.code}]"

    def as_dict(self) -> dict[str, Any]:
        """The same facts for JSON: `code`, `message`, and `where` and `hint` where given."""
        facts = {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}
        return {key: value for key, value in facts.items() if value}


class InvalidInput(QledgerError):
    """The input can never be accepted, whatever the state of the ledger."""


class Refused(QledgerError):
    """A rule of the domain forbids this in the present state."""


class Conflict(Refused):
    """The stream moved on, or the event id is taken by other content."""


class StreamMoved(Conflict):
    """The stream is not at the version that was decided upon: `stream-moved`.

    Args:
        stream: its name.
        version: its last version now, 0 for one without events.
    """

    def __init__(self, stream: str, version: int) -> None:
        super().__init__(
            "stream-moved",
            f"{stream} is at version {version}, which is not the one that this was decided upon",
            where=stream,
            hint="read it again and decide again",
        )
        self.version = version

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "current_version": self.version}


class Forbidden(Refused):
    """The role of the one who asks does not allow this, whatever the state of the ledger."""


class Unauthenticated(QledgerError):
    """Who asks is not known: no credentials, or none that hold."""


class NotFound(QledgerError):
    """Nothing of that name is visible at this basis."""


class Unavailable(QledgerError):
    """The store cannot serve the request now."""
