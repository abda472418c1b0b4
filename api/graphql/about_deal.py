"""What answers about many deals share: which deal a part of an answer is about.

Law: the deal itself is read only where it is asked for, at the basis of the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import strawberry

from api.graphql.deals import Deal
from api.graphql.opener import Opener
from api.graphql.told import told
from projections.deals import deal_page


@strawberry.type(description="A part of an answer that is about one deal.")
class AboutDeal:
    book: strawberry.Private[Opener]
    deal_id: strawberry.ID = strawberry.field(description="The deal's id in the CRM.")
    name: str | None = strawberry.field(description="The deal's name.")

    @strawberry.field(description="The deal itself, at the snapshot's basis.")
    async def deal(self) -> Deal:
        (row,) = await self.book.ask(lambda book: deal_page(book, only=str(self.deal_id)))
        return Deal.of(self.book, row)

    @classmethod
    def about(cls, opener: Opener, facts: Mapping[str, Any]) -> Self:
        """A part of an answer, see `of_deal`."""
        return told(cls, of_deal(opener, facts))


def of_deal(opener: Opener, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `AboutDeal` shows, beside the rest.

    Args:
        opener: of the snapshot.
        facts: a part of an answer, which names its `deal`.
    """
    return {**facts, "book": opener, "deal_id": facts["deal"]}
