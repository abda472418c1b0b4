"""In which media type an answer is told, and with which status: GraphQL over HTTP.

Law: who asks for `application/graphql-response+json` gets it, and its status says whether the
question was taken: 400 where it was refused before any of it was answered, and then there is no
`data`. Everybody else gets `application/json`, and 200 with the errors inside, as older tools want.
"""

from __future__ import annotations

from strawberry.http import GraphQLHTTPResponse
from strawberry.types import ExecutionResult

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"


def media_type_for(accept: str | None) -> str:
    """The media type of an answer.

    Args:
        accept: the header, as sent. Who takes both equally gets the newer one.
    """
    wished = dict(ranges(accept or ""))
    newer = wished.get(GRAPHQL_RESPONSE, 0.0)
    return GRAPHQL_RESPONSE if newer > 0 and newer >= wished.get(JSON, 0.0) else JSON


def is_refused(result: ExecutionResult) -> bool:
    """Whether a question was refused before any of it was answered: no error has a path."""
    errors = result.errors or []
    return result.data is None and bool(errors) and all(error.path is None for error in errors)


def without_data(told: GraphQLHTTPResponse) -> GraphQLHTTPResponse:
    """The answer to a question of which nothing was answered."""
    left = told.copy()
    left.pop("data", None)
    return left


def ranges(accept: str) -> list[tuple[str, float]]:
    """The media ranges that a header names, each with how much it is wished for."""
    found = []
    for each in accept.split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        found.append((name, _weight(parameters)))
    return found


def _weight(parameters: list[str]) -> float:
    said = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return float(said)
    except ValueError:
        return 0.0
