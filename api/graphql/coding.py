"""Every error that leaves has a code: ours as they are, GraphQL's own by what they are, the rest
masked.

Law: what nobody expected is told as `internal-error` with the id of the request and nothing else;
the log has the error under the same id. Neither ever has the text of the question.
"""

from __future__ import annotations

import logging
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from api.graphql.limits import TOKENS_MAX
from api.graphql.places import hint_of, place_of
from api.noted import UNEXPECTED, noted, unexpected
from ledger.domain.errors import InvalidInput, QledgerError, Unavailable

LOGGER = logging.getLogger("qledger.graphql")


def origin(error: GraphQLError) -> Exception | None:
    """What is behind an error, and behind that; None where GraphQL itself found it.

    A scalar's refusal comes wrapped more than once.
    """
    found: Exception | None = error
    while isinstance(found, GraphQLError):
        found = found.original_error
    return _of_operation(found) or found


def _of_operation(found: Exception | None) -> InvalidInput | None:
    """What Strawberry says of an operation that a subscription's door does not take, as we do."""
    match found:
        case InvalidOperationTypeError():
            return InvalidInput(
                "not-a-subscription", "only subscriptions are taken here",
                hint="POST to /graphql, without Accept: text/event-stream, takes all else",
            )  # fmt: skip
        case CannotGetOperationTypeError():
            return InvalidInput(
                "unknown-operation", "the document does not tell which of its operations is asked",
                where="operationName",
            )  # fmt: skip
        case MissingQueryError():
            return InvalidInput("no-query", "nothing is asked", hint="give query, and variables")
        case _:
            return None


def log_unexpected(errors: list[GraphQLError]) -> None:
    """Log what nobody expected, each with its place in the answer."""
    for error in errors:
        found = origin(error)
        if found is not None and not isinstance(found, QledgerError):
            place = ".".join(str(part) for part in error.path or ())
            LOGGER.error("unexpected at %s", place or "the question", exc_info=found)


class Coded(MaskErrors):
    """Gives every error its code, and masks those that nobody expected."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=lambda _error: True)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        found, note = origin(error), noted()
        if isinstance(found, QledgerError):
            facts: dict[str, Any] = found.as_dict()
            message = facts.pop("message")
            facts.update(self._in_the_question(error, found))
        elif found is None:
            message, facts = error.message, _facts(error)
        else:
            message, facts = UNEXPECTED, unexpected(note)
        if note is not None:
            internal = facts["code"] == "internal-error"
            note.code(facts["code"], failed=internal or isinstance(found, Unavailable))
        return GraphQLError(
            message,
            nodes=error.nodes,
            source=error.source,
            positions=error.positions,
            path=error.path,
            extensions=facts,
        )

    def _in_the_question(self, error: GraphQLError, found: QledgerError) -> dict[str, str]:
        """Where it is and what to do, in the words of the question."""
        variables = self.execution_context.variables
        where = place_of(error, found.where, found.code, variables)
        told = {"where": where, "hint": hint_of(found.hint)}
        return {key: value for key, value in told.items() if value}


def _facts(error: GraphQLError) -> dict[str, Any]:
    """The code of what GraphQL itself refuses."""
    facts = dict(error.extensions or {})
    if "code" in facts:
        return facts
    if isinstance(error, GraphQLSyntaxError):
        if f"more than {TOKENS_MAX} tokens" in error.message:
            return {"code": "query-too-long", "hint": "split it into several questions", **facts}
        if "nested too deeply" in error.message:
            return {"code": "query-too-deep", "hint": "ask for less in one question", **facts}
        return {"code": "invalid-syntax", **facts}
    if error.message.startswith("Variable '$") and "has invalid value" in error.message:
        return {"code": "invalid-variables", "where": "variables", **facts}
    return {"code": "invalid-query", "hint": "the schema is at /schema.graphql", **facts}
