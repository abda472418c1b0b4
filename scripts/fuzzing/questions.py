"""Questions and commands at random: what Schemathesis makes of the schema, said in fitting words.

Law: a question is made from the schema as served and from one source of chance, so that a seed
repeats it and Hypothesis finds the smallest one that shows a fault.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import schemathesis
from graphql import (
    GraphQLSchema,
    IntValueNode,
    NameNode,
    Node,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    build_schema,
    get_named_type,
    is_input_object_type,
    is_non_null_type,
    parse,
    parse_type,
    print_ast,
    visit,
)
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from schemathesis.core.result import Ok

from scripts.fuzzing.words import WILD, Words

AS_VARIABLES = 0.3
"""How often what arguments say is sent as variables, beside the text."""

SMALL = (1, 2, 3, 5, 30)
"""The whole numbers that are sensible: scores, months, days, rows of a page."""

WILDNESS = (0.0, 0.05, 0.5)
"""How many of the words of a question are wild: one of these."""

EMPTIED = 0.1
"""How many of the selections of a question, where all its words are wild, select nothing."""

_GRAPHS = frozenset({"Query.snapshot", "Query.diff"})
"""The roots that open into a graph."""


class Question(NamedTuple):
    """What is asked.

    Args:
        of: the field of the root that it is about.
        text: the document.
        variables: what its variables stand for.
    """

    of: str
    text: str
    variables: dict[str, Any]

    @property
    def changes(self) -> bool:
        """Whether it is a command."""
        return self.of.startswith("Mutation.")


def questions(sdl: str, words: Words) -> st.SearchStrategy[Question]:
    """Questions about every field of the roots; those that open into a graph come more often.

    Args:
        sdl: the schema.
        words: what arguments say.
    """
    for name in WILD.keys() - {"String", "ID"}:
        schemathesis.graphql.scalar(name, st.text(max_size=20).map(nodes.String))
    found = schemathesis.graphql.from_file(sdl).get_all_operations()
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    schema = build_schema(sdl)

    def about(operation: Any) -> st.SearchStrategy[Question]:
        chance = st.integers(0, 2**32 - 1)
        return st.builds(
            lambda case, seed: worded(schema, operation.label, case.body, words, Random(seed)),
            operation.as_strategy(),
            chance,
        )

    often = [each for each in operations for _ in range(_weight(each.label))]
    return st.sampled_from(often).flatmap(about)


def _weight(label: str) -> int:
    return 1 if label.startswith("Mutation.") else 12 if label in _GRAPHS else 2


def worded(schema: GraphQLSchema, label: str, text: str, words: Words, random: Random) -> Question:
    """The same question with other words in its arguments.

    Args:
        schema: in which it is asked.
        label: the field of the root.
        text: the document.
        words: to choose from.
        random: chooses.
    """
    types = TypeInfo(schema)
    wording = _Wording(types, words, random, as_variables=random.random() < AS_VARIABLES)
    document = visit(parse(text, no_location=True), TypeInfoVisitor(types, wording))
    return Question(label, print_ast(document), wording.variables)


class _Wording(Visitor):
    """Puts words where strings stand, in the text or beside it."""

    def __init__(
        self, types: TypeInfo, words: Words, random: Random, *, as_variables: bool
    ) -> None:
        super().__init__()
        self._types = types
        self._words = words
        self._random = random
        self._wildness = random.choice(WILDNESS)
        self._as_variables = as_variables
        self._declared: list[VariableDefinitionNode] = []
        self.variables: dict[str, Any] = {}

    def enter_string_value(
        self, node: StringValueNode, _key: object, parent: Any, _path: object,
        ancestors: list[Any],
    ) -> Node:  # fmt: skip
        kind = self._types.get_input_type()
        scalar = str(kind).strip("[]!")
        if scalar not in WILD:
            return node
        if self._random.random() < self._wildness:
            said = self._words.wild(self._random, scalar, node.value)
        else:
            tame = self._words.tame(self._random, scalar, _argument([*ancestors, parent]))
            if tame is None and not is_non_null_type(kind):
                return NullValueNode()
            said = tame or node.value
        if not self._as_variables:
            return StringValueNode(value=_sayable(said))
        name = f"v{len(self.variables)}"
        self.variables[name] = said
        variable = VariableNode(name=NameNode(value=name))
        declared = VariableDefinitionNode(
            variable=variable, type=parse_type(f"{str(kind).strip('!')}!"), directives=()
        )
        self._declared.append(declared)
        return variable

    def enter_object_value(self, node: ObjectValueNode, *_: object) -> Node:
        """A command says who gives it, unless it is a wild one: without, it would be refused."""
        kind = get_named_type(self._types.get_input_type())
        given = {field.name.value for field in node.fields}
        known = kind.fields if is_input_object_type(kind) else {}
        if "actor" not in known or "actor" in given or self._random.random() < self._wildness:
            return node
        actor = ObjectFieldNode(name=NameNode(value="actor"), value=StringValueNode(value="ann"))
        return ObjectValueNode(fields=(*node.fields, actor))

    def enter_int_value(self, node: IntValueNode, _key: object, parent: Any, *_: Any) -> Node:
        kind = self._types.get_input_type()
        if kind is None or self._random.random() < self._wildness:
            return node
        if _argument([parent]) == "expectedVersion":
            return NullValueNode()
        return IntValueNode(value=str(self._random.choice(SMALL)))

    def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> Node:
        """A wild question selects nothing in some places, which the grammar of late allows."""
        if self._random.random() < self._wildness * EMPTIED:
            return SelectionSetNode(selections=())
        return node

    def leave_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> Node:
        """Declare the variables that were put into it."""
        parts = {key: getattr(node, key) for key in node.keys}
        return OperationDefinitionNode(**{**parts, "variable_definitions": tuple(self._declared)})


def _argument(ancestors: list[Any]) -> str:
    """The name of the argument, or field of an input, that a value is given to."""
    for each in reversed(ancestors):
        name = getattr(each, "name", None)
        if isinstance(name, NameNode):
            return name.value
    return ""


def _sayable(said: str) -> str:
    """A text can say anything but half of a pair."""
    return said.encode("utf-16", "replace").decode("utf-16", "replace")
