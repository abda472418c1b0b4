"""What ids name, at one basis.

Law: what is not there and what is not for the one who asks to see are the same: null. Which of our
ids it was, is not told. Flat rows have no such ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import strawberry

from api.graphql.deals import Deal
from api.graphql.directory import Account, Person
from api.graphql.identity import Node, NodeId
from api.graphql.opener import Opener
from api.graphql.practice import PlaybookVersion
from api.graphql.types import LedgerEvent
from ledger.domain.errors import InvalidInput
from projections.book import Book
from projections.deals import deal_page
from projections.directory import account_rows, people_rows
from projections.identified import event_at
from projections.playbooks import playbook_list

IDS_MAX = 100
DIGITS_MAX = 18

NodeIdArgument = Annotated[
    strawberry.ID, strawberry.argument(description="What a field id gave, at whatever basis.")
]
NodeIdsArgument = Annotated[
    list[strawberry.ID],
    strawberry.argument(description=f"What fields id gave; at most {IDS_MAX}."),
]


async def node_at(opener: Opener, id_: strawberry.ID) -> Node | None:
    """What an id names at the basis of a snapshot.

    Args:
        opener: of the snapshot.
        id_: what a field `id` gave.

    Raises:
        InvalidInput: `invalid-node-id`.
    """
    (found,) = await _named(opener, [_read(str(id_), "id")])
    return found


async def nodes_at(opener: Opener, ids: Sequence[strawberry.ID]) -> list[Node | None]:
    """What some ids name at the basis of a snapshot, in their order.

    Args:
        opener: of the snapshot.
        ids: what fields `id` gave.

    Raises:
        InvalidInput: `too-many-ids`; `invalid-node-id` for what cannot be an id of this ledger.
    """
    if len(ids) > IDS_MAX:
        raise InvalidInput("too-many-ids", f"at most {IDS_MAX} ids", where="ids")
    return await _named(
        opener, [_read(str(each), f"ids[{number}]") for number, each in enumerate(ids)]
    )


async def _named(opener: Opener, named: Sequence[NodeId]) -> list[Node | None]:
    def found(book: Book) -> list[Any]:
        there = _There(book)
        return [_FACTS[each.type_name](there, each.key) for each in named]

    facts = await opener.ask(found)
    return [
        None if told is None else _SHOWN[each.type_name](opener, told)
        for each, told in zip(named, facts, strict=True)
    ]


def _read(text: str, where: str) -> NodeId:
    found = NodeId.read(text)
    if found is None or found.type_name not in _FACTS:
        raise InvalidInput(
            "invalid-node-id",
            "no id of this ledger",
            where=where,
            hint="give what a field id gave; a deal by its id in the CRM is snapshot.deal",
        )
    return found


class _There:
    """What is there in a book to be named, each by its key; what several need is read once."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def deal(self, key: str) -> Any:
        return _only(deal_page(self._book, only=key))

    def event(self, key: str) -> Any:
        is_position = key.isascii() and key.isdecimal() and len(key) <= DIGITS_MAX
        return event_at(self._book, int(key)) if is_position and str(int(key)) == key else None

    def person(self, key: str) -> Any:
        return _only(people_rows(self._book, only=key))

    def account(self, key: str) -> Any:
        return _only(account_rows(self._book, only=key))

    def version(self, key: str) -> Any:
        return _only([each for each in self._versions if each["label"] == key])

    @cached_property
    def _versions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = playbook_list(self._book)["versions"]
        return found


def _only(rows: Sequence[Any]) -> Any:
    return rows[0] if rows else None


_FACTS: Mapping[str, Callable[[_There, str], Any]] = {
    Deal.__name__: _There.deal,
    LedgerEvent.__name__: _There.event,
    Person.__name__: _There.person,
    Account.__name__: _There.account,
    PlaybookVersion.__name__: _There.version,
}
"""Type -> what is told of one thing of it; None where it is not there."""

_SHOWN: Mapping[str, Callable[[Opener, Any], Node]] = {
    Deal.__name__: Deal.of,
    LedgerEvent.__name__: lambda _opener, facts: LedgerEvent.of(facts),
    Person.__name__: Person.at,
    Account.__name__: Account.at,
    PlaybookVersion.__name__: PlaybookVersion.at,
}
