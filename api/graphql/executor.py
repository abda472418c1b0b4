"""The executor: graphql-core's, faster where it surely gives the same.

Law: what it answers is what graphql-core answers, to the byte, errors and nulls included: on any
doubt it asks graphql-core (see `api.graphql.compiled`). QLEDGER_EXECUTOR=stock leaves it out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from copy import copy
from typing import Any, Literal, Self

from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType
from graphql.pyutils import Path
from strawberry.schema.schema import Schema, StrawberryGraphQLCoreExecutionContext

from api.graphql.compiled import Plan, Unsure, attribute_of, compile_list
from api.graphql.forecasts import Forecast
from api.graphql.row_answers import RowsAnswer, Shape

_SPELT: Mapping[type, str] = {RowsAnswer: "nodes", Forecast: "groups"}
"""The list that each of these tells as JSON."""


class FastExecutor(StrawberryGraphQLCoreExecutionContext):
    """Lists of plain objects are made by compiled selections; the largest are spelt as JSON."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans: dict[tuple[int, int], tuple[Any, Plan | None]] = {}
        manager = self.middleware_manager
        if manager is not None and not manager.middlewares:
            self.middleware_manager = None  # Strawberry gives one to every field, also an empty one

    def build_per_event_executor(self, payload: Any) -> Self:
        """One for an item of a subscription: what was compiled for the item before is let go."""
        executor: Self = super().build_per_event_executor(payload)  # type: ignore[assignment]
        executor._plans = {}
        return executor

    def execute_field(
        self, parent_type: GraphQLObjectType, source: Any, field_details_list: Any, path: Path,
        position_context: Any,
    ) -> Any:  # fmt: skip
        """As graphql-core's; flat rows and the groups of a forecast come as JSON."""
        if type(source) in _SPELT and position_context is None:
            made = self._spelt(parent_type, source, field_details_list, path)
            if made is not None:
                return made
        return super().execute_field(
            parent_type, source, field_details_list, path, position_context
        )

    def complete_iterable_value(
        self, item_type: Any, field_details_list: Any, info: Any, path: Path, items: Iterable[Any],
        position_context: Any,
    ) -> Any:  # fmt: skip
        """As graphql-core's; objects whose fields are attributes are read at once."""
        if position_context is None and isinstance(items, list | tuple) and items:
            plan = self._plan(item_type, field_details_list, path)
            if plan is not None:
                try:
                    return plan(items)
                except Exception:  # noqa: S110 - whatever it is, graphql-core is to say
                    pass
        return super().complete_iterable_value(
            item_type, field_details_list, info, path, items, position_context
        )

    def _plan(self, item_type: Any, details: Any, path: Path) -> Plan | None:
        """The compiled selection of a list; None where graphql-core has to make it."""
        key = (id(item_type), id(details))
        kept = self._plans.get(key)
        if kept is None:
            kept = self._plans[key] = details, self._compiled(item_type, details, path)
        return kept[1]

    def _compiled(self, item_type: Any, details: Any, path: Path) -> Plan | None:
        bare = item_type.of_type if isinstance(item_type, GraphQLNonNull) else item_type
        if not isinstance(bare, GraphQLObjectType) or self.middleware_manager:
            return None
        try:
            if self.get_stream_usage(details, path) is not None:
                return None
            return compile_list(item_type, details, self.collect_subfields)
        except Exception:  # whatever it is, graphql-core is to say
            return None

    # --- what comes as JSON ---------------------------------------------------------------------

    def _spelt(
        self, parent_type: GraphQLObjectType, source: RowsAnswer | Forecast, details: Any,
        path: Path,
    ) -> Awaitable[Any] | None:  # fmt: skip
        node, field = details[0].node, _SPELT[type(source)]
        if node.name.value != field or node.arguments or self.middleware_manager:
            return None
        listed = parent_type.fields[field].type
        listed = listed.of_type if isinstance(listed, GraphQLNonNull) else listed
        if not isinstance(listed, GraphQLList):
            return None
        plan = self._plan(listed.of_type, details, path)
        shape = None if plan is None else self._shape(listed.of_type, details, plan)
        if shape is None:
            return None
        # The two words of `super` need a cell, which the function within has not.
        asked = super().execute_field

        async def made() -> Any:
            try:
                return await source.spelt(shape)
            except Exception:  # whatever it is, graphql-core is to say
                again = asked(parent_type, source, details, path, None)
                return await again if self.is_awaitable(again) else again

        return made()

    def _shape(self, item_type: Any, details: Any, plan: Plan) -> Shape | None:
        """The columns that are selected, by response name; None stands for the type's name."""
        kind = item_type.of_type if isinstance(item_type, GraphQLNonNull) else item_type
        fields, *_ = self.collect_subfields(kind, details)
        try:
            columns = tuple(
                (name, _column(kind, each[0].node.name.value)) for name, each in fields.items()
            )
        except Unsure:
            return None
        return Shape(columns, kind.name, plan)


def _column(kind: GraphQLObjectType, field: str) -> str | None:
    return None if field == "__typename" else attribute_of(kind, field)


def executed_by(schema: Schema, executor: Literal["fast", "stock"]) -> Schema:
    """The same schema, executed as the setting says.

    Args:
        schema: with any executor.
        executor: which one.
    """
    found = copy(schema)
    stock = StrawberryGraphQLCoreExecutionContext
    found.execution_context_class = FastExecutor if executor == "fast" else stock
    return found
