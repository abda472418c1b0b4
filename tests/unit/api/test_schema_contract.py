"""What breaks clients fails the check unless it is declared with a reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from api.graphql.schema import schema
from scripts.contract import (
    FOLDER,
    REASON_CHARACTERS_MIN,
    declarations,
    meanings,
    undeclared,
    unknown,
)

RELEASED = build_schema("""
    enum Size { SMALL LARGE }
    input Wanted { size: Size }
    type Deal { id: ID! name: String }
    type Query { deals(where: Wanted): [Deal!]! head: Int }
""")
SERVED = """
    enum Size {{ SMALL LARGE {size} }}
    input Wanted {{ size: Size {wanted} }}
    type Deal {{ id: ID! {deal} }}
    type Query {{ deals(where: Wanted {argument}): [Deal!]! head: Int {query} }}
"""


def served(**changed: str) -> GraphQLSchema:
    """The released schema with something added, or something else in its place."""
    parts = {"size": "", "wanted": "", "deal": "name: String", "argument": "", "query": ""}
    return build_schema(SERVED.format(**{**parts, **changed}))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"deal": ""}, "FIELD_REMOVED: Field Deal.name was removed."),
        ({"deal": "name: Int"},
         "FIELD_CHANGED_KIND: Field Deal.name changed type from String to Int."),
        ({"wanted": "owner: ID!"},
         "REQUIRED_INPUT_FIELD_ADDED: A required field Wanted.owner was added."),
        ({"argument": ", first: Int!"},
         "REQUIRED_ARG_ADDED: A required argument Query.deals(first:) was added."),
    ],
)  # fmt: skip
def test_a_breaking_change_fails_unless_it_is_declared(changed: dict[str, str], what: str) -> None:
    broken = served(**changed)
    assert undeclared(RELEASED, broken, {}) == [f"not declared: {what}"]
    assert undeclared(RELEASED, broken, {what: "Nobody ever asked for it, says the log."}) == []
    assert undeclared(RELEASED, broken, {what: "because"}) == [f"declared without a reason: {what}"]


def test_what_only_adds_breaks_nothing() -> None:
    added = served(deal="name: String note: String", argument=", first: Int", size="HUGE")
    assert undeclared(RELEASED, added, {}) == []


def test_a_declaration_of_what_does_not_break_is_refused() -> None:
    (fault,) = undeclared(
        RELEASED, served(), {"FIELD_REMOVED: Field Deal.name was removed.": "x" * 30}
    )
    assert fault.startswith("declared, but nothing breaks so")


@pytest.mark.parametrize("reason", ["", '(reason: "")', '(reason: " ")'])
def test_a_deprecation_without_a_reason_is_refused(reason: str) -> None:
    aged = served(query=f"tail: Int @deprecated{reason}")
    assert undeclared(RELEASED, aged, {}) == ["deprecated without a reason: Query.tail"]
    told = served(query='tail: Int @deprecated(reason: "Use head.")')
    assert undeclared(RELEASED, told, {}) == []


@pytest.mark.parametrize(
    "text",
    [
        "other = 1",
        '[[change]]\nwhat = ["FIELD_REMOVED: a"]',
        '[[change]]\nwhat = ["whatever"]\nreason = "long enough to be a reason"',
        '[[change]]\nwhat = ["A: b", "A: b"]\nreason = "long enough to be a reason"',
        "[[change",
    ],
)
def test_declarations_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises((ValueError, tomllib.TOMLDecodeError)):
        declarations(text)


def test_what_means_something_else_is_a_field_that_was_released() -> None:
    told = meanings('[[meaning]]\nwhat = ["Deal.id", "Deal.no", "No.id"]\nreason = "a reason"')
    assert unknown(RELEASED, told) == ["Deal.no", "No.id"]
    released = build_schema((FOLDER / "released.graphql").read_text(encoding="utf-8"))
    text = (FOLDER / "breaking.toml").read_text(encoding="utf-8")
    assert unknown(released, meanings(text)) == []
    assert all(len(reason) >= REASON_CHARACTERS_MIN for reason in meanings(text).values())


def test_the_schema_that_is_served_breaks_nothing_undeclared() -> None:
    released = build_schema((FOLDER / "released.graphql").read_text(encoding="utf-8"))
    declared = declarations((FOLDER / "breaking.toml").read_text(encoding="utf-8"))
    assert undeclared(released, schema._schema, declared) == []


def test_the_check_is_a_part_of_the_checks() -> None:
    checks = Path(__file__).parents[3] / "scripts" / "check"
    assert "-m scripts.contract" in checks.read_text(encoding="utf-8")


def test_the_questions_in_the_docs_are_ones_that_the_schema_takes() -> None:
    root = Path(__file__).parents[3]
    found = [
        (page.name, question)
        for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]
        for question in re.findall(r"```graphql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]
    assert len(found) >= 5
    for page, question in found:
        assert validate(schema._schema, parse(question)) == [], page
