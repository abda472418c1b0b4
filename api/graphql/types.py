"""What all parts of the schema share: the basis, the log's end, amounts, events, pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import strawberry

from api.graphql.identity import Node
from api.graphql.scalars import BigInt, ExactDecimal

STREAM_VERSION = (
    "How many events are recorded of it at the horizon of the basis, whatever their times: "
    "expectedVersion of the next command on it. Null where you see it as it was then, and not as "
    "it is."
)


@strawberry.type(
    name="Basis",
    description="All that an answer depends on. Give it back to repeat it byte for byte.",
)
class BasisType:
    valid_at: str = strawberry.field(description="Valid time, an instant in UTC.")
    known_at: str = strawberry.field(description="Knowledge time, an instant in UTC.")
    horizon: BigInt = strawberry.field(description="The last position taken into account.")
    witnessed_only: bool = strawberry.field(
        description="Whether what sources attested, and this ledger did not see, was left out."
    )
    under: str | None = strawberry.field(
        description="The playbook version, key@version, that judged instead of those in force; "
        "null where those in force judged."
    )
    rules: str = strawberry.field(description="The version of the folding rules.")

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> BasisType:
        """A basis as answers state it."""
        return cls(
            valid_at=facts["valid_at"],
            known_at=facts["known_at"],
            horizon=facts["horizon"],
            witnessed_only=facts["witnessed_only"],
            under=facts.get("under"),
            rules=facts["rules"],
        )


@strawberry.type(description="The end of the log.")
class Ledger:
    head_position: BigInt = strawberry.field(description="The last position; 0 is an empty log.")
    head_recorded_at: str | None = strawberry.field(description="When it was recorded.")


@strawberry.type(description="An amount in a currency.")
class Money:
    amount: ExactDecimal = strawberry.field(description="The exact amount.")
    currency: str = strawberry.field(description="Its ISO 4217 code, such as USD.")

    @classmethod
    def maybe(cls, amount: str | None, currency: str | None) -> Money | None:
        """An amount as rows carry it: two values, or two nulls."""
        if amount is None or currency is None:
            return None
        return cls(amount=ExactDecimal(amount), currency=currency)


@strawberry.type(description="A recorded event.")
class LedgerEvent(Node):
    KEY: ClassVar = "position"

    position: BigInt = strawberry.field(description="Its place in the log: 1, 2, 3, ...")
    event_id: strawberry.ID = strawberry.field(description="Its UUID.")
    type: str = strawberry.field(description="Such as evidence-recorded.")
    occurred_at: str = strawberry.field(description="When it happened at the buyer.")
    known_at: str = strawberry.field(description="When the organisation knew.")
    recorded_at: str = strawberry.field(description="When this ledger wrote it.")
    witnessed: bool = strawberry.field(description="False for what a source attested.")
    actor: str = strawberry.field(description="Who recorded it.")
    source: str = strawberry.field(description="The system it came from, and its record there.")
    summary: str = strawberry.field(description="What it says, in a few words.")

    @classmethod
    def of(cls, facts: dict[str, Any]) -> LedgerEvent:
        source = facts["source"]
        return cls(
            position=BigInt(facts["position"]),
            event_id=strawberry.ID(facts["event_id"]),
            type=facts["type"],
            occurred_at=facts["occurred_at"],
            known_at=facts["known_at"],
            recorded_at=facts["recorded_at"],
            witnessed=facts["witnessed"],
            actor=facts["actor"],
            source=":".join(source[key] for key in ("system", "record") if key in source),
            summary=facts["summary"],
        )


@strawberry.type(description="Where a page stands in the whole list, as Relay names it.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more behind it.")
    has_previous_page: bool = strawberry.field(description="Whether there is something before it.")
    start_cursor: str | None = strawberry.field(description="The cursor of its first edge.")
    end_cursor: str | None = strawberry.field(
        description="The cursor of its last edge; give it to after for the next page."
    )
