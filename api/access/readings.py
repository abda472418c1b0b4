"""The log of readings: what an auditor was told, and what anybody exported.

Law: a reading is logged before its answer is complete, and one that leaves in parts before the
first of them, so nothing that has to be logged is told unlogged: what cannot be logged is not
answered. It says who asked what, the bases that the answer states, and the SHA-256 of the answer's
bytes; so an answer that somebody shows later is theirs, or is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from api.access import policy
from api.access.principals import Principal
from ledger.domain.basis import Basis
from ledger.store import access
from ledger.store.database import Database

ASKED_CHARACTERS_MAX = 8_000
_KEPT = 7_800


class Asking:
    """What one request asks for, as it goes along.

    Args:
        principal: who asks.
    """

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.is_export = False
        self.is_stream = False
        self._bases: dict[Basis, None] = {}

    def note(self, basis: Basis) -> None:
        """The answer states this basis."""
        if self.is_stream and len(self._bases) > 1:
            self._bases.popitem()
        self._bases[basis] = None

    def streams(self) -> None:
        """The answer may go on for days: of the bases that it states, the first and the last are
        kept.
        """
        self.is_stream = True

    def exports(self, basis: Basis) -> None:
        """The answer is an export at this basis: it is logged, whoever asks."""
        self.is_export = True
        self.note(basis)

    @property
    def bases(self) -> list[Basis]:
        """The bases that the answer states, in the order in which they were asked for."""
        return list(self._bases)

    @property
    def may_be_logged(self) -> bool:
        """Whether it is to be logged if it tells anything of the ledger."""
        return self.is_export or policy.is_logged(self.principal)

    @property
    def is_to_be_logged(self) -> bool:
        """Whether it is to be logged: an export, or something of the ledger told to an auditor."""
        return self.is_export or (self.may_be_logged and bool(self._bases))


def log_reading(
    database: Database,
    principal: Principal,
    *,
    asked: str,
    bases: Iterable[Basis | Mapping[str, Any]],
    answer_sha256: bytes,
    answer_bytes: int,
) -> None:
    """Log what somebody was told.

    Args:
        database: where it is logged.
        principal: who asked.
        asked: the question: a document with its variables, or a path with its arguments.
        bases: those that the answer states.
        answer_sha256: the SHA-256 of the answer's bytes.
        answer_bytes: how many there are.

    Raises:
        Unavailable: the database cannot serve now; then the answer must not be given.
    """
    access.log_reading(
        database,
        access.Reading(
            person=principal.person or principal.how,
            role=str(principal.role),
            how=principal.how,
            asked=bounded(asked),
            bases=[b.as_dict() if isinstance(b, Basis) else dict(b) for b in bases],
            answer_sha256=answer_sha256,
            answer_bytes=answer_bytes,
        ),
    )


def bounded(asked: str) -> str:
    """A question as it is kept: a long one is cut, and says by its SHA-256 what it was."""
    asked = asked.replace("\x00", "\ufffd")
    if len(asked) <= ASKED_CHARACTERS_MAX:
        return asked
    digest = sha256(asked.encode(errors="surrogatepass")).hexdigest()
    return f"{asked[:_KEPT]}... ({len(asked)} characters, SHA-256 {digest})"
