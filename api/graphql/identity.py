"""Ids that name a thing in the whole ledger, as Relay asks for them.

Law: an id names the same thing at every basis; what of it is told depends on the basis. It is
opaque to clients, and is read only where it is spelt exactly as it was given.
"""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar, NamedTuple

import strawberry

ID_CHARACTERS_MAX = 2_000


class NodeId(NamedTuple):
    """What an id names.

    Args:
        type_name: the type in the schema.
        key: its own key among those of that type.
    """

    type_name: str
    key: str

    def spelt(self) -> strawberry.ID:
        """The id as clients hold it."""
        return strawberry.ID(base64.b64encode(f"{self.type_name}:{self.key}".encode()).decode())

    @classmethod
    def read(cls, text: str) -> NodeId | None:
        """What an id names; None where it is not spelt as one."""
        if len(text) > ID_CHARACTERS_MAX:
            return None
        try:
            type_name, colon, key = base64.b64decode(text, validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            return None
        found = cls(type_name, key)
        return found if colon and found.spelt() == text else None


@strawberry.interface(
    description="Something that has an id of its own in the whole ledger. The id is the same at "
    "every basis; what is told under it is told at the basis at which it is asked for."
)
class Node:
    KEY: ClassVar[str]
    """The field that holds its own key among those of its type."""

    @strawberry.field(
        description="Its id for node(id), the same at every basis. It is opaque: the key that "
        "people know stands in another field."
    )
    def id(self) -> strawberry.ID:
        return NodeId(type(self).__name__, str(getattr(self, self.KEY))).spelt()
