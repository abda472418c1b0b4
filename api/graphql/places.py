"""Where an error points, in the words of whoever asked over GraphQL.

Law: the layers below name an argument as the ledger spells it (`order_by`); here it is told as it
stands in the question: `orderBy`, `where.evidenced` for a part of an input, `variables.asOf` for a
variable that cannot be what it is declared to be. What names no argument stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLError,
    Node,
    ObjectValueNode,
    TokenKind,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
)
from strawberry.utils.str_converters import to_camel_case

_NAME = re.compile(r"[a-z]+(_[a-z0-9]+)*")
_TIMES = re.compile(r"\b(as_of|valid_at|known_at|witnessed_only|min_position)\b")
"""The arguments that hints name."""

_OF_CODES: Mapping[str, tuple[str, ...]] = {
    "invalid-period": ("period",),
    "invalid-dimension": ("groupBy",),
    "too-many-dimensions": ("groupBy",),
    "invalid-measure": ("measure", "measures"),
}
"""Code -> the arguments that a refusal may mean which names no place itself."""

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"to": ("lastDay",)}
"""Name of an argument -> what it is called where it is not called so."""


def place_of(
    error: GraphQLError, where: str, code: str, variables: Mapping[str, Any] | None
) -> str:
    """The place of an error in the question; empty where it is about no single part of it.

    Args:
        error: as GraphQL raised it, with the part of the question that it is about.
        where: the place as the layers below name it.
        code: of the error.
        variables: as they were sent.
    """
    node = error.nodes[0] if error.nodes else None
    match node:
        case VariableDefinitionNode():
            return f"variables.{node.variable.name.value}"
        case ValueNode():
            return _argument_before(node) or where
        case FieldNode() if not where:
            return _given_of(node, _OF_CODES.get(code, ())) or ""
        case FieldNode() if _NAME.fullmatch(where):
            return _argument_of(node, to_camel_case(where), variables or {})
        case _:
            return where


def hint_of(hint: str) -> str:
    """A hint with the arguments that it names as GraphQL spells them."""
    return _TIMES.sub(lambda found: to_camel_case(found[0]), hint)


def _argument_of(field: FieldNode, name: str, variables: Mapping[str, Any]) -> str:
    """An argument of a field, or the part of one, of some name."""
    given = _given_of(field, (name, *_OTHER_NAMES.get(name, ())))
    if given is not None:
        return given
    for each in field.arguments or ():
        if name in _parts_of(each, variables):
            return f"{each.name.value}.{name}"
    return name


def _given_of(field: FieldNode, names: tuple[str, ...]) -> str | None:
    """The first of some names under which a field was given an argument."""
    given = {each.name.value for each in field.arguments or ()}
    return next((name for name in names if name in given), None)


def _parts_of(argument: ArgumentNode, variables: Mapping[str, Any]) -> set[str]:
    """The names of the parts of an input."""
    value = argument.value
    if isinstance(value, ObjectValueNode):
        return {each.name.value for each in value.fields}
    given = variables.get(value.name.value) if isinstance(value, VariableNode) else None
    return set(given) if isinstance(given, dict) else set()


def _argument_before(value: Node) -> str | None:
    """The name that a value was given to, which stands before it and a colon."""
    colon = None if value.loc is None else value.loc.start_token.prev
    if colon is None or colon.kind is not TokenKind.COLON or colon.prev is None:
        return None
    return colon.prev.value
