"""The input types of mutations, made from the payloads of the events that they ask for.

Law: an input *is* the payload of its event, field by field, and besides it whose event it is, who
asks, and when it happened. A field that is added to a payload is in the schema at once; it needs
words in `api.graphql.words`, and without them the program does not start. What was left out and
what is null are kept apart: a patch clears what is null, and leaves what was left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

import strawberry
from pydantic.fields import FieldInfo
from strawberry.scalars import JSON
from strawberry.types.unset import UNSET

from api.graphql.scalars import ExactDecimal
from api.graphql.words import CHOICES, FIELDS, FIELDS_OF, Choice
from ledger.domain.errors import InvalidInput
from ledger.domain.events import EventPayload, MoneyValue


@strawberry.input(description="An amount in a currency.")
class MoneyInput:
    amount: ExactDecimal = strawberry.field(
        description='An exact decimal as a string, such as "120000.00"; never negative.'
    )
    currency: str = strawberry.field(description="Its ISO 4217 code, such as USD.")


@strawberry.input(description="A dimension of a deal or account, such as segment or region.")
class DimensionInput:
    key: str = strawberry.field(description="Small letters, digits and underscores.")
    value: str | None = strawberry.field(
        description="In a revision null removes the dimension; dimensions that are not named stay."
    )


class Field(NamedTuple):
    """A field of an input.

    Args:
        annotation: its type.
        description: for an analyst.
        default: none means that it must be given.
    """

    annotation: Any
    description: str
    default: Any = ...


_SCALARS: Mapping[Any, Any] = {
    str: str,
    int: int,
    date: str,
    datetime: str,
    UUID: strawberry.ID,
    Decimal: ExactDecimal,
    MoneyValue: MoneyInput,
    Any: JSON,
}


def input_type(name: str, description: str, fields: Mapping[str, Field]) -> type[Any]:
    """An input type of the schema.

    Args:
        name: its name.
        description: for an analyst.
        fields: by the name as Python spells it.
    """
    body: dict[str, Any] = {
        "__annotations__": {key: field.annotation for key, field in fields.items()},
        "__module__": __name__,
    }
    for key, field in fields.items():
        default = {} if field.default is ... else {"default": field.default}
        body[key] = strawberry.field(description=field.description, **default)
    return strawberry.input(type(name, (), body), name=name, description=description)


def fields_of(payload: type[EventPayload], without: Collection[str] = ()) -> dict[str, Field]:
    """The fields that a payload has, as an input has them."""
    return {
        name: _field(payload.type, name, info)
        for name, info in payload.model_fields.items()
        if name not in without
    }


def payload_of(payload: type[EventPayload], given: Any) -> dict[str, Any]:
    """What an input says of a payload, in the values that its model reads.

    Raises:
        InvalidInput: `dimension-twice`.
    """
    return given_facts(given, payload.model_fields)


def given_facts(given: Any, names: Iterable[str]) -> dict[str, Any]:
    """The fields of an input that were given, null or not.

    Raises:
        InvalidInput: `dimension-twice`.
    """
    values = {name: getattr(given, name) for name in names}
    return {name: _plain(name, value) for name, value in values.items() if value is not UNSET}


def _field(event_type: str, name: str, info: FieldInfo) -> Field:
    wanted, nullable = _without_null(info.annotation)
    annotation = _in_graphql(wanted)
    words = FIELDS_OF.get((event_type, name)) or FIELDS[name]
    if nullable:
        return Field(annotation | None, words, UNSET)
    if info.is_required():
        return Field(annotation, words)
    return Field(annotation, words, annotation(info.default))


def _without_null(hint: Any) -> tuple[Any, bool]:
    """A type without its `Annotated` and without null, and whether null was in it."""
    if get_origin(hint) is Annotated:
        return _without_null(get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        (wanted,) = (part for part in get_args(hint) if part is not type(None))
        return _without_null(wanted)[0], True
    return hint, False


def _in_graphql(hint: Any) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        return choice(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return choice(tuple(str(member.value) for member in hint))
    if origin is tuple:
        return list[_in_graphql(_without_null(get_args(hint)[0])[0])]  # type: ignore[misc]
    if origin is dict:
        is_any = get_args(hint)[1] is Any
        return JSON if is_any else list[DimensionInput]
    return _SCALARS[hint]


@cache
def choice(values: tuple[str, ...]) -> Any:
    """The enum of values that a payload's field can have; each is spelt small in answers."""
    found: Choice = CHOICES[values]
    members = {
        value.upper(): strawberry.enum_value(value, description=words)
        for value, words in zip(values, found.values, strict=True)
    }
    made: Any = Enum(found.name, members, module=__name__)  # type: ignore[misc]
    return strawberry.enum(
        made,
        description=f"{found.description} Answers spell the values small.",
    )


def _plain(name: str, value: Any) -> Any:
    """A value of an input as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, MoneyInput):
        return {"amount": value.amount, "currency": value.currency}
    if name == "dimensions" and value is not None:
        return _dimensions(name, value)
    return value


def _dimensions(name: str, given: list[DimensionInput]) -> dict[str, str | None]:
    found = {each.key: each.value for each in given}
    if len(found) < len(given):
        raise InvalidInput("dimension-twice", "a dimension is given twice", where=name)
    return found
