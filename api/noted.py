"""What is noted of a request while it is answered: for its line in the log, its span, the metrics.

Law: it holds names, codes and numbers, never the text of a question, its values, or a token; so
whatever is made of it may be kept and shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

CODES_MAX = 10
UNEXPECTED = "Unexpected error."


class Spent(NamedTuple):
    """What a question costs, and what is left to who asks.

    Args:
        cost: of this question, in points.
        limit: how many points may be spent a minute; None where nobody counts.
        remaining: how many are left now; None likewise.
        full_in_seconds: in how many seconds all of them are there again; None likewise.
    """

    cost: int
    limit: int | None = None
    remaining: int | None = None
    full_in_seconds: float | None = None


class Noted:
    """One request.

    Args:
        request_id: by which it is found again in the log.
    """

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.document: str | None = None
        """The name of the trusted document that was asked."""
        self.operation: str | None = None
        """The name that the question has in its own text."""
        self.kind: str | None = None
        """query, mutation or subscription."""
        self.spent: Spent | None = None
        self.wait_seconds: float | None = None
        """How long to wait, where there are not enough points."""
        self.codes: list[str] = []
        self.failed = False
        """Whether the server could not do what it should: unavailable, or not expected."""

    def code(self, code: str, *, failed: bool = False) -> None:
        """An error that the answer tells."""
        if code not in self.codes and len(self.codes) < CODES_MAX:
            self.codes.append(code)
        self.failed = self.failed or failed


_current: ContextVar[Noted | None] = ContextVar("noted", default=None)


def noted() -> Noted | None:
    """What is noted of the request at hand; None outside one."""
    return _current.get()


def note_document(name: str) -> None:
    """The request at hand asks a trusted document."""
    note = _current.get()
    if note is not None:
        note.document = name


def unexpected(note: Noted | None) -> dict[str, str]:
    """What is told of an error that nobody expected, beside `UNEXPECTED`.

    Args:
        note: of the request; None outside one.
    """
    if note is None:
        return {"code": "internal-error"}
    return {
        "code": "internal-error",
        "hint": "the log of the server has it under this id",
        "requestId": note.request_id,
    }


@contextmanager
def noting(one: Noted) -> Iterator[Noted]:
    """Within it, `one` is noted on, in threads that it starts too."""
    token = _current.set(one)
    try:
        yield one
    finally:
        _current.reset(token)
