"""All flat tables, and what they hold, for whoever builds a model on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.domain.errors import NotFound
from projections.rows.bridges import BRIDGES
from projections.rows.deals import DEALS
from projections.rows.definition import Table, camel
from projections.rows.events import EVENTS
from projections.rows.evidence import EVIDENCE
from projections.rows.forecasts import FORECASTS
from projections.rows.gates import CRITERIA, GATES
from projections.rows.points import POINTS

TABLES: Mapping[str, Table] = {
    table.name: table for table in (DEALS, GATES, CRITERIA, EVIDENCE, FORECASTS, EVENTS)
}
"""The tables by name."""

ASKED_ONLY = (BRIDGES, POINTS)
"""Tables that are asked over GraphQL alone: each takes two times."""


def table_named(name: str) -> Table:
    """The table of that name.

    Raises:
        NotFound: `unknown-table`.
    """
    if name not in TABLES:
        raise NotFound(
            "unknown-table",
            f"there is no table {name[:80]!r}",
            where="table",
            hint=f"it is one of {', '.join(TABLES)}",
        )
    return TABLES[name]


def catalogue() -> dict[str, Any]:
    """What the tables hold, for whoever builds a model on them.

    Returns:
        JSON: `tables`, each with `name`, `graphql` (its root), `exported` (whether it is also to be
        had as a file), `description`, `key`, `arguments` and `columns` ({`name`, `graphql`, `type`,
        `role`, `aggregation`, `nullable`, `exact`, `currency`, `alike`, `standard`, `description`};
        what is of several currencies, or says several things in a column of `alike`, is never
        calculated into one number}.
    """
    return {"tables": [_table_as_dict(table) for table in (*TABLES.values(), *ASKED_ONLY)]}


def _table_as_dict(table: Table) -> dict[str, Any]:
    standard = table.ready_columns
    return {
        "name": table.name,
        "graphql": camel(table.root),
        "exported": table.name in TABLES,
        "description": table.title,
        "key": list(table.key),
        "arguments": [
            {
                "name": each.name,
                "graphql": camel(each.name),
                "type": str(each.kind),
                "description": each.description,
            }
            for each in table.arguments
        ],
        "columns": [
            {
                "name": column.name,
                "graphql": camel(column.name),
                "type": str(column.kind),
                "role": "measure" if column.role.is_measure else "dimension",
                "aggregation": str(column.role) if column.role.is_measure else None,
                "nullable": not column.required,
                "exact": column.exact,
                "currency": column.currency,
                "alike": list(column.alike),
                "standard": column in standard,
                "description": column.description,
            }
            for column in table.columns
        ],
    }
