"""What a question costs before it is answered: from its text and variables, never from data.

Law: a list is as long as its page-size argument asks for, or as there are ids that it takes; where
it takes neither it counts as `LENGTHS` says, else as `LENGTH_ASSUMED`. What stands inside a list
costs that many times as much, and so on down the tree. An object costs 1 unit, a value nothing,
`UNITS_A_POINT` units are a point, and a field that reads much whatever it returns costs points of
its own (`POINTS`). What is skipped by a directive counts. The points are judged, not measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NamedTypeNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    is_list_type,
)

LENGTH_ASSUMED = 10
LENGTH_MAX = 10_000
"""A longer page is refused by the field itself, in words that say so."""
UNITS_A_POINT = 100
SIZES = frozenset({"first", "last"})
IDS = "ids"
PAGE_BY_DEFAULT = 100
"""Of a page of anything else that says no size."""
ROWS_BY_DEFAULT = 1_000
"""Of a page of flat rows that says no size."""

POINTS: Mapping[str, int] = {
    "Query.diff": 10,
    "Query.bridgeRows": 20,
    "Query.forecastSeries": 50,
    "Query.ledger": 0,
    "Query.rateLimit": 0,
    "Query.node": 5,
    "Query.nodes": 5,
    "Snapshot.basis": 0,
    "Snapshot.ledger": 0,
    "Snapshot.deal": 2,
    "Snapshot.deals": 5,
    "Snapshot.forecast": 10,
    "Snapshot.findings": 20,
    "Snapshot.lapses": 20,
    "Snapshot.queue": 20,
    "Snapshot.ladder": 50,
    "Snapshot.team": 20,
    "Snapshot.debriefs": 20,
    "Snapshot.decisions": 20,
    "Snapshot.postMortem": 50,
    "Snapshot.patterns": 50,
    "LedgerDiff.bridge": 20,
    "LedgerDiff.changes": 10,
    "LedgerDiff.flows": 20,
    "DebriefedDeal.deal": 2,
    "WonDeal.deal": 2,
    "NotWonDeal.deal": 2,
    "PostMortem.deal": 2,
    "SimilarWon.deal": 2,
    "DealConnection.totalCount": 5,
    "Forecast.withoutAmount": 5,
    "Forecast.withoutCloseDate": 5,
    "Deal.agenda": 2,
    "Deal.gates": 1,
    "Deal.timeline": 2,
}
"""Type.field -> points of its own."""
LENGTHS: Mapping[str, int] = {
    "Forecast.groups": 100,
    "Ladder.calls": 100,
    "Ladder.people": 100,
    "Queue.owners": 100,
}
"""Type.field -> as how long a list counts that comes whole, and grows with people or groups."""
POINTS_OF_A_ROOT = 5
"""Of every other field of these types, which read the ledger anew."""
ROOTS = frozenset({"Query", "Mutation", "Subscription", "Snapshot"})
POINTS_OF_A_SUM = 5
SUMS = frozenset({"aggregate", "groupBy"})
"""Fields of a connection that go through all rows."""


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation_name: str | None,
    variables: Mapping[str, Any] | None,
) -> int:
    """What a question costs, in points, at least 1.

    Args:
        schema: that took the document.
        document: a valid one.
        operation_name: which of its operations; None where it has one.
        variables: as they were sent.
    """
    operations = [each for each in document.definitions if _is_asked(each, operation_name)]
    if len(operations) != 1:
        return 1  # it is refused: nobody knows which is asked
    operation = operations[0]
    assert isinstance(operation, OperationDefinitionNode)  # noqa: S101 - by `_is_asked`
    root = schema.get_root_type(operation.operation)
    if root is None:
        return 1
    given = {**_defaults(operation), **(variables or {})}
    units = _Costs(schema, document, given).of(root, operation.selection_set, None)
    return max(1, math.ceil(units / UNITS_A_POINT))


def _is_asked(definition: object, operation_name: str | None) -> bool:
    return isinstance(definition, OperationDefinitionNode) and (
        operation_name is None
        or (definition.name is not None and definition.name.value == operation_name)
    )


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """What variables are by default, as far as it decides the length of a list."""
    found: dict[str, Any] = {}
    for each in operation.variable_definitions or ():
        match each.default_value:
            case IntValueNode(value=number):
                found[each.variable.name.value] = int(number)
            case ListValueNode(values=ids):
                found[each.variable.name.value] = list(ids)
            case _:
                pass
    return found


class _Costs:
    """The costs of one document with its variables; each fragment is gone through once a place."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self._known: dict[tuple[str, str, int | None], int] = {}

    def of(self, kind: Any, selections: SelectionSetNode, page: int | None) -> int:
        """The units of what is selected of one object.

        Args:
            kind: its type.
            selections: what is selected.
            page: how long the lists of a connection are; None elsewhere.
        """
        return sum(self._one(kind, each, page) for each in selections.selections)

    def _one(self, kind: Any, selection: Any, page: int | None) -> int:
        match selection:
            case FieldNode():
                return self._field(kind, selection, page)
            case InlineFragmentNode():
                return self.of(
                    self._narrowed(kind, selection.type_condition), selection.selection_set, page
                )
            case FragmentSpreadNode():
                return self._spread(kind, selection.name.value, page)
            case _:
                return 0

    def _spread(self, kind: Any, name: str, page: int | None) -> int:
        key = (name, kind.name, page)
        if key not in self._known:
            self._known[key] = 0  # a circle, which validation refuses
            fragment = self._fragments[name]
            narrowed = self._narrowed(kind, fragment.type_condition)
            self._known[key] = self.of(narrowed, fragment.selection_set, page)
        return self._known[key]

    def _narrowed(self, kind: Any, condition: NamedTypeNode | None) -> Any:
        return kind if condition is None else self._schema.type_map[condition.name.value]

    def _field(self, kind: Any, node: FieldNode, page: int | None) -> int:
        name = node.name.value
        field = _field_of(self._schema, kind, name)
        if field is None:
            return 0
        own = _points(kind.name, name) * UNITS_A_POINT
        named = get_named_type(field.type)
        if not is_composite_type(named):
            return own
        size = self._size(field, node)
        many = is_list_type(_nullable(field.type))
        assumed = LENGTHS.get(f"{kind.name}.{name}", LENGTH_ASSUMED)
        length = (size or (page if not field.args else None) or assumed) if many else 1
        inside = 0
        if node.selection_set is not None:
            inside = self.of(named, node.selection_set, None if many else size)
        return own + length * (1 + inside)

    def _size(self, field: GraphQLField, node: FieldNode) -> int | None:
        """How many a field is asked for; None where it takes no size."""
        said = {each.name.value: each.value for each in node.arguments or ()}
        if IDS in field.args and IDS in said:
            return min(self._length(said[IDS]), LENGTH_MAX)
        taken = SIZES & field.args.keys()
        if not taken:
            return None
        sizes = [
            size
            for name in taken
            if name in said and (size := self._number(said[name])) is not None
        ]
        if not sizes:
            by_default = [field.args[name].default_value for name in taken]
            sizes = [each for each in by_default if isinstance(each, int)]
        if not sizes:
            rows = get_named_type(field.type).name.endswith("RowConnection")
            sizes = [ROWS_BY_DEFAULT if rows else PAGE_BY_DEFAULT]
        return min(max(sizes), LENGTH_MAX)

    def _length(self, value: ValueNode) -> int:
        """How many are in a list that is given; one thing alone is a list of one."""
        if isinstance(value, ListValueNode):
            return len(value.values)
        found = self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
        return len(found) if isinstance(found, list) else 1

    def _number(self, value: ValueNode) -> int | None:
        found: Any = None
        if isinstance(value, IntValueNode):
            found = int(value.value)
        elif isinstance(value, VariableNode):
            found = self._variables.get(value.name.value)
        sound = isinstance(found, int) and not isinstance(found, bool)
        return max(0, found) if sound else None


def _points(kind: str, name: str) -> int:
    if name.startswith("__"):
        return 0
    if name in SUMS and kind.endswith("Connection"):
        return POINTS_OF_A_SUM
    return POINTS.get(f"{kind}.{name}", POINTS_OF_A_ROOT if kind in ROOTS else 0)


def _field_of(schema: GraphQLSchema, kind: Any, name: str) -> GraphQLField | None:
    found: GraphQLField | None = None
    if name.startswith("__"):
        found = schema.get_field(kind, name)
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        found = kind.fields.get(name)
    return found


def _nullable(kind: Any) -> Any:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind
