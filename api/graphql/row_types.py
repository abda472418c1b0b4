"""The types of flat rows, made from the definitions of the tables.

Law: nothing here knows a table: a column that is added to a definition is in the schema at once.
Rows have scalars only, of the kinds that BI tools know; pages are named as Relay names them, and
have `nodes` besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias

import strawberry
from strawberry.types import Info

from api.export.formats import FORMATS, export_path, format_named
from api.graphql.row_answers import RowsAnswer, selected
from api.graphql.scalars import BigInt, Date, DateTime
from api.graphql.types import BasisType, PageInfo
from projections.rows.asking import dimensions_named
from projections.rows.definition import Column, Kind, Role, Table, camel

SCALARS: Mapping[Kind, Any] = {
    Kind.ID: strawberry.ID,
    Kind.STRING: str,
    Kind.INT: int,
    Kind.BIG_INT: BigInt,
    Kind.FLOAT: float,
    Kind.BOOLEAN: bool,
    Kind.DATETIME: DateTime,
    Kind.DATE: Date,
}
"""The Python types by which kinds stand in the schema."""

_FieldsArgument = Annotated[
    list[str],
    strawberry.argument(
        description="At most six columns that are dimensions, such as owner; each combination of "
        "their values is a group."
    ),
]
_FormatArgument = Annotated[str, strawberry.argument(description=f"One of {', '.join(FORMATS)}.")]


class _Plain(NamedTuple):
    """A field that is read from the attribute of its name."""

    name: str
    kind: Any
    description: str
    required: bool = False


def _plain_type(name: str, description: str, fields: Iterable[_Plain]) -> Any:
    body: dict[str, Any] = {"__annotations__": {}}
    for field in fields:
        body["__annotations__"][field.name] = field.kind if field.required else field.kind | None
        body[field.name] = strawberry.field(name=camel(field.name), description=field.description)
    return strawberry.type(type(name, (), body), name=name, description=description)


def connection_type(table: Table, row_name: str | None = None, *, exported: bool = True) -> Any:
    """A page of rows, and what is true of all of them.

    Args:
        table: whose rows.
        row_name: the name of a row's type; by default that of the table's root.
        exported: whether the same rows are to be had as a file.
    """
    name = row_name or camel(table.root.removesuffix("s"))
    name = name[0].upper() + name[1:]
    row = _plain_type(
        name,
        table.title,
        [_Plain(c.name, SCALARS[c.kind], c.description, c.required) for c in table.columns],
    )
    edge = _plain_type(
        f"{name}Edge",
        "A row in a page.",
        [
            _Plain("cursor", str, "Where the row stands; it holds the basis.", required=True),
            _Plain("node", row, "The row.", required=True),
        ],
    )
    sums = [
        _Plain("count", int, "How many rows there are.", required=True),
        *(field for column in table.measures for field in _sums_of(column)),
    ]
    aggregate = _plain_type(
        f"{name}Aggregate", "What all rows say together, whatever the page.", sums
    )
    dimensions = [_Plain(c.name, SCALARS[c.kind], c.description) for c in table.dimensions]
    group = _plain_type(
        f"{name}Group",
        "What the rows of a group say together; dimensions that are not grouped by are null.",
        [*dimensions, *sums],
    )
    of_type: dict[str, Any] = {
        "nodes": _list_of(row),
        "edges": _list_of(edge),
        "aggregate": aggregate,
        "group_by": _list_of(group),
    }
    body: dict[str, Any] = {}
    for python_name, (resolve, description) in {
        **_of_the_page(table, edge),
        **_of_all_rows(table),
    }.items():
        if python_name == "export_url" and not exported:
            continue
        if python_name in of_type:
            resolve.__annotations__["return"] = of_type[python_name]
        resolve.__name__ = python_name
        body[python_name] = strawberry.field(
            resolver=resolve, name=camel(python_name), description=description
        )
    return strawberry.type(
        type(f"{name}Connection", (), {"__annotations__": {}, **body}),
        name=f"{name}Connection",
        description=f"A page of {table.name}, and what is true of all of them.",
    )


def _list_of(kind: Any) -> Any:
    return list[kind]


def _sums_of(column: Column) -> list[_Plain]:
    name, kind = column.name, SCALARS[column.kind]
    what = camel(name)
    apart = [*(["currency"] if column.currency else []), *map(camel, column.alike)]
    one = f" Null where they are not all of one {' and one '.join(apart)}." if apart else ""
    found = [
        _Plain(f"avg_{name}", float, f"The mean of {what}, of the rows that have one.{one}"),
        _Plain(f"min_{name}", kind, f"The least {what}.{one}"),
        _Plain(f"max_{name}", kind, f"The greatest {what}.{one}"),
    ]
    if column.role is not Role.SUM:
        return found
    if column.exact is not None:
        exact = f"The sum of {what} as exact decimal text.{one}"
        found.insert(0, _Plain(f"sum_{name}_exact", str, exact))
    return [_Plain(f"sum_{name}", kind, f"The sum of {what}.{one}"), *found]


# --- resolvers ----------------------------------------------------------------------------------


_Fields: TypeAlias = dict[str, tuple[Callable[..., Any], str]]
"""Fields of a connection by name: how each is resolved, and its description."""


def _of_the_page(table: Table, edge: Any) -> _Fields:
    """What depends on the page."""
    by_field = {camel(column.name): column.name for column in table.columns}

    def columns(names: Iterable[str]) -> frozenset[str]:
        return frozenset(by_field[name] for name in names if name in by_field)

    async def nodes(root: RowsAnswer, info: Info) -> Any:
        return (await root.page(columns(selected(info)))).rows

    async def edges(root: RowsAnswer, info: Info) -> Any:
        page = await root.page(columns(selected(info, "node")))
        return [edge(cursor=root.asked.cursor(row), node=row) for row in page.rows]

    async def page_info(root: RowsAnswer) -> PageInfo:
        rows, more = await root.ends()
        return PageInfo(
            has_next_page=more,
            has_previous_page=root.after is not None,
            start_cursor=root.asked.cursor(rows[0]) if rows else None,
            end_cursor=root.asked.cursor(rows[-1]) if rows else None,
        )

    return {
        "nodes": (nodes, "The rows of this page."),
        "edges": (edges, "The rows of this page with their cursors."),
        "page_info": (page_info, "Whether there is more."),
    }


def _of_all_rows(table: Table) -> _Fields:
    """What all rows say together, whatever the page."""
    measures = {
        camel(field.name): column.name for column in table.measures for field in _sums_of(column)
    }

    def summed(info: Info) -> frozenset[str]:
        return frozenset(measures[name] for name in selected(info) if name in measures)

    async def total_count(root: RowsAnswer) -> int:
        found: int = (await root.sums(frozenset())).count
        return found

    async def aggregate(root: RowsAnswer, info: Info) -> Any:
        return await root.sums(summed(info))

    async def group_by(root: RowsAnswer, info: Info, fields: _FieldsArgument) -> Any:
        dimensions = dimensions_named(table, fields)
        found = await root.groups(dimensions, summed(info))
        absent = [column.name for column in table.dimensions if column not in dimensions]
        for each in found:
            vars(each).update(dict.fromkeys(absent))
        return found

    def basis(root: RowsAnswer) -> BasisType:
        return BasisType.of(root.basis.as_dict())

    def export_url(
        root: RowsAnswer,
        format: _FormatArgument,  # noqa: A002 - the argument's name
    ) -> str:
        return export_path(root.question, root.basis, format_named(format))

    return {
        "total_count": (total_count, "How many rows there are on all pages together."),
        "aggregate": (aggregate, "What all rows say together, whatever the page."),
        "group_by": (group_by, "The same for each combination of some dimensions' values."),
        "basis": (basis, "The basis used. Echo it to repeat the answer."),
        "export_url": (export_url, "Where the same rows are as a file, at this basis, for ever."),
    }
