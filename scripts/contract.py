"""Holds the schema against the one of the last release: what breaks clients must be declared.

Law: `schema.graphql` is what the code serves. Whatever of `released.graphql` in the same folder
is not so any more stands in `breaking.toml`, each with its reason; nothing else stands
there. What is deprecated says why, and what to use instead. With a release, the schema becomes the
released one and the declarations are emptied.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)
from graphql.utilities import BreakingChange, find_breaking_changes

FOLDER = Path(__file__).resolve().parent.parent / "api" / "graphql"
REASON_CHARACTERS_MIN = 20
_DEFAULT_REASON = "No longer supported"
_PARTS = frozenset({"change", "meaning"})
_CHANGE = re.compile(r"[A-Z_]+: .+")
_FIELD = re.compile(r"\w+\.\w+")


def named(change: BreakingChange) -> str:
    """A breaking change as it is declared: its kind, and what it says."""
    return f"{change.type.name}: {change.description}"


def undeclared(
    released: GraphQLSchema, served: GraphQLSchema, declared: Mapping[str, str]
) -> list[str]:
    """What is wrong with the contract, a sentence each.

    Args:
        released: the schema of the last release.
        served: the schema that is served.
        declared: breaking change, as `named` spells it, to the reason.
    """
    found = {named(change) for change in find_breaking_changes(released, served)}
    return [
        *(f"not declared: {each}" for each in sorted(found - set(declared))),
        *(f"declared, but nothing breaks so: {each}" for each in sorted(set(declared) - found)),
        *(
            f"declared without a reason: {each}"
            for each, reason in declared.items()
            if len(reason.strip()) < REASON_CHARACTERS_MIN
        ),
        *(f"deprecated without a reason: {each}" for each in _without_reason(served)),
    ]


def declarations(text: str) -> dict[str, str]:
    """The declared breaking changes, by what breaks.

    Args:
        text: TOML: an array of tables `change`, each with `what` (a list of texts) and `reason`;
            beside it another one, see `meanings`.

    Raises:
        ValueError: where it is something else, or one is declared twice.
    """
    return _listed(text, "change", _CHANGE)


def meanings(text: str) -> dict[str, str]:
    """What keeps its shape and means something else: `Type.field` to the reason.

    No comparison of schemas finds it, so it is told by hand.

    Args:
        text: TOML: an array of tables `meaning`, each with `what` and `reason`.

    Raises:
        ValueError: as `declarations`.
    """
    return _listed(text, "meaning", _FIELD)


def unknown(released: GraphQLSchema, told: Iterable[str]) -> list[str]:
    """Which of some `Type.field` the released schema does not have."""
    return [each for each in told if not _has(released, *each.split("."))]


def _has(schema: GraphQLSchema, type_name: str, field: str) -> bool:
    return field in getattr(schema.type_map.get(type_name), "fields", {})


def _listed(text: str, part: str, key: re.Pattern[str]) -> dict[str, str]:
    read = tomllib.loads(text)
    if set(read) - _PARTS:
        raise ValueError(f"breaking.toml has unknown keys: {sorted(set(read) - _PARTS)}")
    found: dict[str, str] = {}
    for each in read.get(part, ()):
        if set(each) != {"what", "reason"}:
            raise ValueError(f"a {part} has what and reason, not {sorted(each)}")
        for what in each["what"]:
            if not key.fullmatch(what) or what in found:
                raise ValueError(f"declared twice, or no {part}: {what}")
            found[what] = each["reason"]
    return found


def _without_reason(schema: GraphQLSchema) -> Iterator[str]:
    for place, thing in _deprecable(schema):
        reason = thing.deprecation_reason
        if reason is not None and reason.strip() in {"", _DEFAULT_REASON}:
            yield place


def _deprecable(schema: GraphQLSchema) -> Iterator[tuple[str, Any]]:
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{name}.{value}", each) for value, each in kind.values.items())
        if isinstance(kind, GraphQLInputObjectType):
            yield from ((f"{name}.{field}", each) for field, each in kind.fields.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field, each in kind.fields.items():
                yield f"{name}.{field}", each
                for argument, taken in each.args.items():
                    yield f"{name}.{field}({argument})", taken


def main() -> int:
    """Print what is wrong; 0 where nothing is."""
    released = build_schema((FOLDER / "released.graphql").read_text(encoding="utf-8"))
    served = build_schema((FOLDER / "schema.graphql").read_text(encoding="utf-8"))
    text = (FOLDER / "breaking.toml").read_text(encoding="utf-8")
    faults = [
        *undeclared(released, served, declarations(text)),
        *(f"nothing there could mean something: {x}" for x in unknown(released, meanings(text))),
    ]
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if faults:
        sys.stderr.write("Declare what breaks, and why, in api/graphql/breaking.toml.\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
