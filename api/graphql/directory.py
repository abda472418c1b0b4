"""Our people and the buyers' accounts, as the schema shows them.

Law: who reads a part of the book sees the people of that part and the accounts of its deals. What
several nodes have has one type in all of them, so that one question can ask it of each.
"""

from __future__ import annotations

from typing import Any, ClassVar

import strawberry

from api.graphql.forecasts import GroupKey
from api.graphql.identity import Node
from api.graphql.journey import BECAUSE
from api.graphql.opener import Opener
from api.graphql.told import told
from api.graphql.types import STREAM_VERSION, LedgerEvent
from ledger.domain.events import stream_name


@strawberry.type(description="Somebody of ours: a seller or a manager.")
class Person(Node):
    KEY: ClassVar = "person"

    book: strawberry.Private[Opener]
    person: strawberry.ID = strawberry.field(description="The person's id in the CRM.")
    name: str | None = strawberry.field(description="Their name.")
    role: str | None = strawberry.field(description="Their role.")
    manager: str | None = strawberry.field(description="The id of their manager.")
    team: str | None = strawberry.field(description="Their team.")
    left: bool = strawberry.field(description="Whether they had left; their deals stay theirs.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)

    @strawberry.field(
        description=f"{STREAM_VERSION} It is for those who see the person's assessments, which are "
        "recorded there too."
    )
    async def stream_version(self) -> int | None:
        return await self.book.version(stream_name("person", str(self.person)))

    @classmethod
    def at(cls, opener: Opener, facts: dict[str, Any]) -> Person:
        """A person as `projections.directory.people_rows` tells it."""
        return told(cls, {**facts, "book": opener})


@strawberry.type(description="A buyer's organisation.")
class Account(Node):
    KEY: ClassVar = "account"

    book: strawberry.Private[Opener]
    account: strawberry.ID = strawberry.field(description="The account's id in the CRM.")
    name: str | None = strawberry.field(description="Its name.")
    parent: str | None = strawberry.field(description="The id of the account above it.")
    dimensions: list[GroupKey] = strawberry.field(
        description="What its deals can be grouped by, such as its segment."
    )

    @strawberry.field(description=STREAM_VERSION)
    async def stream_version(self) -> int | None:
        return await self.book.version(stream_name("account", str(self.account)))

    @classmethod
    def at(cls, opener: Opener, facts: dict[str, Any]) -> Account:
        """An account as `projections.directory.account_rows` tells it."""
        dimensions = [
            GroupKey(dimension=name, value=value) for name, value in facts["dimensions"].items()
        ]
        return cls(
            book=opener,
            account=strawberry.ID(facts["account"]),
            name=facts["name"],
            parent=facts["parent"],
            dimensions=dimensions,
        )
