"""Connections, as the cursor specification of Relay names and cuts them.

Law: a page is cut as the specification says: first the cursors, then `first`, then `last`. Sizes
are limited by arguments. A cursor belongs to one list of one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import strawberry

from api.graphql.cursor import Based, PageCursor, digest_of
from api.graphql.types import PageInfo
from ledger.domain.errors import InvalidInput

T = TypeVar("T")

FIRST = 100
PAGE_MAX = 500

FirstArgument = Annotated[
    int | None,
    strawberry.argument(
        description=f"How many edges at most, from the front, up to {PAGE_MAX}; {FIRST} where "
        "neither first nor last is given."
    ),
]
AfterArgument = Annotated[
    str | None, strawberry.argument(description="Only edges behind this cursor.")
]
LastArgument = Annotated[
    int | None,
    strawberry.argument(description=f"How many edges at most, from the end, up to {PAGE_MAX}."),
]
BeforeArgument = Annotated[
    str | None, strawberry.argument(description="Only edges in front of this cursor.")
]


@strawberry.type(description="One of a page, and where it stands.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="Where it stands in the list, at the basis of this answer; for after and "
        "before."
    )
    node: T = strawberry.field(description="The thing itself.")


@strawberry.type(description="A page of a list, as Relay names its parts.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="Those of this page with their cursors.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")
    total_count: int = strawberry.field(
        description="How many there are on all pages together, whatever the page."
    )

    @strawberry.field(description="Those of this page, without cursors.")
    def nodes(self) -> list[T]:
        return [edge.node for edge in self.edges]


class Paging(NamedTuple):
    """Which part of a list is asked for.

    Args:
        first: at most so many from the front.
        after: only behind this cursor.
        last: at most so many from the end.
        before: only in front of this cursor.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None


class Slice(NamedTuple):
    """A part of a list: from one number up to another, and whether there is more on either side."""

    start: int
    stop: int
    has_previous: bool
    has_next: bool


def check_size(name: str, size: int | None) -> None:
    """Refuse a size of a page.

    Raises:
        InvalidInput: `invalid-page-size`.
    """
    if size is not None and not 0 <= size <= PAGE_MAX:
        raise InvalidInput("invalid-page-size", f"{name} must be from 0 to {PAGE_MAX}", where=name)


def cut(
    length: int, *, first: int | None, after: int | None, last: int | None, before: int | None
) -> Slice:
    """Cut a page out of a list, as the cursor specification of Relay says.

    Args:
        length: of the list.
        first: at most so many from the front.
        after: the number of an edge: only those behind it.
        last: at most so many from the end.
        before: the number of an edge: only those in front of it.

    Raises:
        InvalidInput: `invalid-page-size`.
    """
    check_size("first", first)
    check_size("last", last)
    start = 0 if after is None else min(after + 1, length)
    stop = length if before is None else max(start, min(before, length))
    has_previous, has_next = start > 0, stop < length
    if first is not None and stop - start > first:
        stop, has_next = start + first, True
    if last is not None and stop - start > last:
        start, has_previous = stop - last, True
    return Slice(start, stop, has_previous, has_next)


def page(
    answer: Based,
    listed: Sequence[Any],
    paging: Paging,
    items: Sequence[Any],
    show: Callable[[Any], T],
) -> Connection[T]:
    """A page of a list that is wholly known.

    Args:
        answer: that the list is in: a snapshot, or a diff.
        listed: what tells the list from others: its name, and all that it depends on besides the
            basis, as JSON.
        paging: which part.
        items: the list.
        show: makes what the schema shows of an item; those of the page alone are shown.

    Raises:
        InvalidInput: `invalid-page-size`, `invalid-cursor`, `cursor-of-another-question`.
    """

    def shown(start: int, stop: int) -> list[T]:
        return [show(each) for each in items[start:stop]]

    return page_at_once(answer, listed, paging, len(items), shown)


def page_at_once(
    answer: Based,
    listed: Sequence[Any],
    paging: Paging,
    length: int,
    show: Callable[[int, int], Sequence[T]],
) -> Connection[T]:
    """As `page`, of a list whose items are made together, those of the page alone.

    Args:
        answer: as there.
        listed: as there.
        paging: which part.
        length: of the list.
        show: makes what the schema shows of the items from one number up to another.

    Raises:
        InvalidInput: as there.
    """
    digest = digest_of(*listed)
    first = FIRST if paging.first is None and paging.last is None else paging.first
    found = cut(
        length,
        first=first,
        after=_number(paging.after, digest, answer, "after"),
        last=paging.last,
        before=_number(paging.before, digest, answer, "before"),
    )
    edges = [
        Edge(cursor=PageCursor(answer.times, digest, answer.bases, number).spelt(), node=node)
        for number, node in enumerate(show(found.start, found.stop), found.start)
    ]
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=found.has_next,
            has_previous_page=found.has_previous,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        total_count=length,
    )


def _number(text: str | None, digest: str, answer: Based, where: str) -> int | None:
    if text is None:
        return None
    place = PageCursor.read(text, where).check(digest, answer.bases, where).place
    if not isinstance(place, int):
        raise InvalidInput("invalid-cursor", "no cursor of this list", where=where)
    return place
