"""From an answer of the layers below to the type that shows it.

Law: the plain fields of a type are keys of the answer that it shows. A key that is not there is a
fault of ours and is raised, never shown as null. (A key that is a word of Python has an underscore
behind it in the type.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from strawberry.types.base import has_object_definition

T = TypeVar("T")
Reader = Callable[[Any], Any]


def told(cls: type[T], facts: Mapping[str, Any]) -> T:
    """Show an answer, or a part of one, as a type.

    Args:
        cls: a type of the schema. Its fields may be other such types, lists of them, or null; a
            type that has a classmethod `of` reads its part itself.
        facts: the answer's JSON.
    """
    shown: Any = cls
    made: T = shown(
        **{name: read(facts[name.rstrip("_")]) for name, read in _readers(shown).items()}
    )
    return made


@cache
def _readers(cls: Any) -> dict[str, Reader]:
    hints = get_type_hints(cls)
    return {
        field.name: _reader(hints[field.name]) for field in dataclasses.fields(cls) if field.init
    }


def _reader(hint: Any) -> Reader:
    if get_origin(hint) in {Union, UnionType}:
        (wanted,) = (part for part in get_args(hint) if part is not type(None))
        read = _reader(wanted)
        return lambda value: None if value is None else read(value)
    if get_origin(hint) is list:
        read = _reader(get_args(hint)[0])
        return lambda values: [read(value) for value in values]
    if not has_object_definition(hint):
        return lambda value: value
    shown: Any = hint
    own: Reader | None = getattr(shown, "of", None)
    return own or (lambda value: told(shown, value))
