"""Selections compiled: one Python function makes what graphql-core makes field by field.

Law: a compiled selection gives the same as graphql-core's executor, or it raises. So whoever uses
one asks graphql-core on any exception, and errors, nulls where none may be, awaitables and whatever
nobody thought of are its work alone. Nothing but the reading of attributes is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, TypeAlias

from graphql import (
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    is_leaf_type,
)

Plan: TypeAlias = Callable[[Sequence[Any]], list[Any]]
"""Makes the items of a list of objects."""

Collect: TypeAlias = Callable[[GraphQLObjectType, Any], Any]
"""graphql-core's own: the fields that are selected of a type, through fragments and directives."""

INT_MAX = 2**31 - 1
_LISTS = (list, tuple)


class Unsure(Exception):
    """graphql-core is to be asked."""


def compile_list(item_type: GraphQLOutputType, details: Any, collect: Collect) -> Plan:
    """The function that makes a list of objects as they are selected.

    Args:
        item_type: of the list.
        details: graphql-core's details of the field that is a list.
        collect: collects what is selected.

    Raises:
        Unsure: something is selected that is more than an attribute.
    """
    writer = _Writer(collect)
    expression = writer.item(item_type, details, "each")
    source = f"def plan(items):\n    return [{expression} for each in items]\n"
    exec(_code(source), writer.names)  # noqa: S102 - names of our schema, response names as literals
    plan: Plan = writer.names["plan"]
    return plan


@lru_cache(maxsize=512)
def _code(source: str) -> Any:
    return compile(source, "<selection>", "exec")


class _Writer:
    """Writes the expression of a selection.

    Args:
        collect: collects what is selected.
    """

    def __init__(self, collect: Collect) -> None:
        self.names: dict[str, Any] = {"_none": _none, "_listed": _listed, "_finite": isfinite}
        self._collect = collect

    def _name(self, value: Any) -> str:
        name = f"_{len(self.names)}"
        self.names[name] = value
        return name

    def item(self, kind: GraphQLOutputType, details: Any, variable: str) -> str:
        """A value that a variable holds."""
        required = isinstance(kind, GraphQLNonNull)
        wanted = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if is_leaf_type(wanted):
            return self._leaf(wanted, required, variable)
        absent = "_none()" if required else "None"
        if isinstance(wanted, GraphQLObjectType):
            found = self._object(wanted, details, variable)
            return f"({absent} if {variable} is None else {found})"
        if isinstance(wanted, GraphQLList):
            each = self._name(None)
            item = self.item(wanted.of_type, details, each)
            return (
                f"({absent} if {variable} is None else [{item} for {each} in _listed({variable})])"
            )
        raise Unsure(str(kind))

    def _object(self, kind: GraphQLObjectType, details: Any, variable: str) -> str:
        fields, defers, *_ = self._collect(kind, details)
        if defers:
            raise Unsure("deferred")
        parts = [f"{name!r}: {self._field(kind, each, variable)}" for name, each in fields.items()]
        vetting = _Vetting(kind)
        known, vet = self._name(vetting.known), self._name(vetting)
        vetted = f"(type({variable}) in {known} or {vet}(type({variable}), {variable}))"
        return f"({vetted} and {{{', '.join(parts)}}})"

    def _leaf(self, kind: GraphQLLeafType, required: bool, value: str) -> str:
        """A scalar or an enum; what is of its type already is taken without a call."""
        read = self._name(coercing(kind, required))
        held = self._name(None)
        spelt = "String" if kind.coerce_output_value is str else kind.name
        test = _AS_IT_IS.get(spelt)
        if test is None:
            return f"{read}({value})"
        null = "" if required else f" or {held} is None"
        fits = test.format(held=held, first=f"({held} := {value})")
        return f"({held} if {fits}{null} else {read}({held}))"

    def _field(self, kind: GraphQLObjectType, details: Any, variable: str) -> str:
        name = details[0].node.name.value
        if name == "__typename":
            return repr(kind.name)
        value = f"{variable}.{attribute_of(kind, name)}"
        wanted = kind.fields[name].type
        bare = wanted.of_type if isinstance(wanted, GraphQLNonNull) else wanted
        if is_leaf_type(bare):
            return self.item(wanted, details, value)
        held = self._name(None)
        # Where the value is looked at twice, it is read once.
        return f"(({held} := {value}), {self.item(wanted, details, held)})[1]"


def attribute_of(kind: GraphQLObjectType, name: str) -> str:
    """The attribute that a field is, and nothing else.

    Raises:
        Unsure: it is more than an attribute.
    """
    field = kind.fields.get(name)
    if field is None or field.args or not getattr(field.resolve, "_is_default", False):
        raise Unsure(name)
    definition: Any = field.extensions.get("strawberry-definition")
    if (
        definition is None
        or not definition.is_basic_field
        or definition.default_resolver is not getattr
    ):
        raise Unsure(name)
    found: str = definition.python_name
    return found


# --- values -------------------------------------------------------------------------------------


def _none() -> None:
    """Null where none may be: graphql-core says what becomes of it."""
    raise Unsure("null")


def _listed(value: Any) -> Any:
    if type(value) not in _LISTS:
        raise Unsure("no list")
    return value


class _Vetting:
    """Whether objects are what a type shows: nothing to wait for, no error, no other type.

    Args:
        kind: the type.
    """

    def __init__(self, kind: GraphQLObjectType) -> None:
        self._is_type_of: Any = kind.is_type_of
        self.known: set[type] = set()

    def __call__(self, cls: type, value: Any) -> bool:
        if issubclass(cls, BaseException) or hasattr(cls, "__await__") or hasattr(cls, "gi_code"):
            raise Unsure(cls.__name__)
        if self._is_type_of is None:
            self.known.add(cls)
        elif self._is_type_of(value, None) is not True:
            raise Unsure(cls.__name__)
        return True


_AS_IT_IS: Mapping[str, str] = {
    "String": "type({first}) is str",
    "ID": "type({first}) is str",
    "Int": f"type({{first}}) is int and -{INT_MAX} <= {{held}} <= {INT_MAX}",
    "Float": "type({first}) is float and _finite({held})",
    "Boolean": "type({first}) is bool",
}
"""What a value is like that needs no reading; `first` is where it is looked at first."""


@lru_cache(maxsize=1024)
def coercing(kind: GraphQLLeafType, required: bool) -> Callable[[Any], Any]:
    """What reads a value of a scalar or an enum as graphql-core does.

    Args:
        kind: the scalar or enum.
        required: whether it may not be null.
    """
    coerce = kind.coerce_output_value

    def checked(value: Any) -> Any:
        if value is None:
            return _none() if required else None
        if isinstance(value, Exception) or hasattr(value, "__await__"):
            raise Unsure(kind.name)
        found = coerce(value)
        if found is None or found is Undefined or hasattr(found, "__await__"):
            raise Unsure(kind.name)
        return found

    return checked
