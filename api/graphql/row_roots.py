"""The roots of flat rows, one for each table: scalar arguments in, a page of scalars out."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Annotated, Any

import strawberry
from starlette.concurrency import run_in_threadpool
from strawberry.types import Info
from strawberry.types.field import StrawberryField

from api.access.policy import Operation
from api.asof import AsOf
from api.door import Door
from api.graphql.arguments import HORIZON, KNOWN_AT, MIN_POSITION, VALID_AT, WITNESSED, door_of
from api.graphql.row_answers import RowsAnswer
from api.graphql.row_cursor import PageAsked
from api.graphql.row_types import SCALARS, connection_type
from api.graphql.scalars import AsOfTime, BigInt
from ledger.domain.errors import InvalidInput
from projections.rows.asking import PAGE_MAX, question
from projections.rows.catalogue import TABLES
from projections.rows.definition import Table, camel

FIRST = 1_000
"""How many rows a page has when nobody says."""

TIMES: dict[str, tuple[Any, str]] = {
    "as_of": (AsOfTime, "On both axes: as of then, as known then; by default now."),
    "valid_at": (AsOfTime, VALID_AT),
    "known_at": (AsOfTime, KNOWN_AT),
    "hindsight": (bool, 'The same as knownAt: "now".'),
    "horizon": (BigInt, HORIZON),
    "witnessed_only": (bool, WITNESSED),
    "under": (str, "Judge by this playbook version, key@version, whatever was in force."),
    "min_position": (BigInt, MIN_POSITION),
}
"""What says of the basis of flat rows, also of those in files."""

_PAGING: dict[str, tuple[Any, str]] = {
    "order_by": (
        str,
        "Columns by commas, - before one that descends: -amount,deal. By default the key.",
    ),
    "first": (int, f"How many rows a page has, from 1 to {PAGE_MAX}; by default {FIRST}."),
    "after": (
        str,
        "The endCursor of the page before; it reads the ledger of that page.",
    ),
}


def asked_of(given: dict[str, Any]) -> AsOf:
    """What was said of the basis; taken out of the arguments.

    Raises:
        InvalidInput: `hindsight-and-known-at`.
    """
    times = {name: given.pop(name, None) for name in TIMES}
    if times["hindsight"] and times["known_at"] is not None:
        raise InvalidInput(
            "hindsight-and-known-at", "give hindsight or knownAt, not both", where="hindsight"
        )
    return AsOf(
        times["as_of"],
        times["valid_at"],
        "now" if times["hindsight"] else times["known_at"],
        times["horizon"],
        bool(times["witnessed_only"]),
        times["under"],
        times["min_position"],
    )


def _answer(door: Door, table: Table, given: dict[str, Any]) -> RowsAnswer:
    if table.name == "events":
        door.check(Operation.READ_EVENTS)
    first, after = given.pop("first", None), given.pop("after", None)
    order_by = given.pop("order_by", None)
    asked = asked_of(given)._replace(timeless=table.timeless)
    what = question(table, given, order_by)
    page = PageAsked.of(what, FIRST if first is None else first, after, asked.times)
    basis = door.taken_up(asked, page.basis)
    return RowsAnswer(door, what, page.asked(basis), page.first, page.after)


def _root(table: Table) -> StrawberryField:
    connection = connection_type(table)

    async def resolve(info: Info, **given: Any) -> Any:
        return await run_in_threadpool(_answer, door_of(info), table, given)

    arguments = {
        **TIMES,
        **{each.name: (SCALARS[each.kind], each.description) for each in table.arguments},
        **_PAGING,
    }
    annotations = {
        name: Annotated[kind | None, strawberry.argument(description=description)]
        for name, (kind, description) in arguments.items()
    }
    shown: Any = resolve
    shown.__name__ = table.root
    shown.__annotations__ = {"info": Info, **annotations, "return": connection}
    shown.__signature__ = Signature(
        [
            Parameter("info", Parameter.POSITIONAL_OR_KEYWORD, annotation=Info),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
                for name, annotation in annotations.items()
            ),
        ],
        return_annotation=connection,
    )
    field: StrawberryField = strawberry.field(
        resolver=shown,
        name=camel(table.root),
        description=f"Flat rows for BI tools. {table.title}",
    )
    return field


RowQueries = strawberry.type(
    type(
        "RowQueries",
        (),
        {"__annotations__": {}, **{table.root: _root(table) for table in TABLES.values()}},
    ),
    description="The roots of flat rows.",
)
"""What the query type has of them."""
