"""Who asks: a person, in a role, known in some way.

Law: what a request may do depends on its principal alone, and a principal comes from credentials
that were checked, never from what a request says of itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

PERSON_CHARACTERS_MAX = 200


class Role(StrEnum):
    """What somebody is to the ledger; `api.access.policy` says what each may do."""

    REP = "rep"
    MANAGER = "manager"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    IMPORTER = "importer"
    ADMIN = "admin"


class Principal(NamedTuple):
    """Who asks.

    Args:
        person: their id, as events name it: the owner of deals, the actor of events. Empty where
            nobody is told from anybody else.
        role: what they may do.
        how: how they are known: `token:` and its id, `oidc:` and its issuer, or `operator`.
    """

    person: str
    role: Role
    how: str

    @property
    def is_known(self) -> bool:
        """Whether it is a person, who then is the actor of all that they write."""
        return bool(self.person)


ANYBODY = Principal("", Role.ADMIN, "operator")
"""Whoever reaches a door without access control: the command line, or a server on loopback before
the first token was made."""


def is_person_id(text: object) -> bool:
    """Whether it can be the id of a person: as an actor of events must be spelt."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= PERSON_CHARACTERS_MAX
        and text == text.strip()
        and text.isprintable()
    )
