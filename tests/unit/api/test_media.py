"""In which media type an answer is told."""

from __future__ import annotations

import pytest
from graphql import GraphQLError
from strawberry.types import ExecutionResult

from api.http.media import GRAPHQL_RESPONSE, JSON, is_refused, media_type_for, without_data


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/html", JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (GRAPHQL_RESPONSE.upper(), GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}; charset=utf-8, {JSON};q=0.9", GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE};q=0.9", JSON),
        (f"{JSON};q=0.5, {GRAPHQL_RESPONSE};q=0.9", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0", JSON),
        (f"{GRAPHQL_RESPONSE};q=much", JSON),
    ],
)
def test_the_newer_media_type_is_for_those_who_ask_for_it(
    accept: str | None, expected: str
) -> None:
    assert media_type_for(accept) == expected


def test_a_question_is_refused_when_no_part_of_it_was_answered() -> None:
    unknown = GraphQLError("no such field")
    failed = GraphQLError("no such deal", path=["snapshot", "deal"])
    assert is_refused(ExecutionResult(data=None, errors=[unknown]))
    assert not is_refused(ExecutionResult(data=None, errors=[failed]))
    assert not is_refused(ExecutionResult(data={"snapshot": None}, errors=[failed]))
    assert not is_refused(ExecutionResult(data={}, errors=None))


def test_an_answer_to_nothing_has_no_data() -> None:
    assert without_data({"data": None, "errors": ["why"]}) == {"errors": ["why"]}
