"""The scalars of the schema: exact decimals, positions, and the one spelling of a time."""

from __future__ import annotations

from typing import Any, NewType

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

from api.asof import parse_horizon
from ledger.domain.errors import InvalidInput
from ledger.domain.times import parse_as_of

AsOfTime = NewType("AsOfTime", str)
BigInt = NewType("BigInt", int)
ExactDecimal = NewType("ExactDecimal", str)
DateTime = NewType("DateTime", str)
Date = NewType("Date", str)


def _as_of(value: Any) -> AsOfTime:
    text = str(value).strip()
    if text.lower() != "now":
        parse_as_of(text, where="AsOfTime")
    return AsOfTime(text)


def _big_int(value: Any) -> BigInt:
    return BigInt(parse_horizon(str(value)))


def _decimal(value: Any) -> ExactDecimal:
    """What is no decimal at all is refused where it is used, which says the place."""
    if isinstance(value, bool | float) or not isinstance(value, str | int):
        raise InvalidInput(
            "money-as-float",
            f"{value!r} is not an exact decimal",
            where="Decimal",
            hint='give it as a string, such as "120000.00"',
        )
    return ExactDecimal(str(value))


SCALARS: dict[object, ScalarDefinition] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description='An instant in UTC in its one spelling: "2026-03-31T23:59:59.999999Z". As an '
        "argument any ISO 8601 instant with an offset.",
        serialize=str,
        parse_value=lambda value: DateTime(str(value)),
    ),
    Date: strawberry.scalar(
        name="Date",
        description='A calendar date: "2026-03-31".',
        serialize=str,
        parse_value=lambda value: Date(str(value)),
    ),
    AsOfTime: strawberry.scalar(
        name="AsOfTime",
        description='A time in the one spelling: "2026-03-31" (the last microsecond of that day in '
        'the reporting time zone), an instant "2026-03-31T17:00:00Z", a position "pos:1090" (that '
        'horizon, at its recordedAt), or "now".',
        serialize=str,
        parse_value=_as_of,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A 64-bit whole number as a string.",
        serialize=str,
        parse_value=_big_int,
    ),
    ExactDecimal: strawberry.scalar(
        name="Decimal",
        description='An exact decimal as a string, such as "120000.00".',
        serialize=str,
        parse_value=_decimal,
    ),
}

CONFIG = StrawberryConfig(auto_camel_case=True, scalar_map=SCALARS)
