"""The limits of a question: its depth, tokens and aliases, what it costs, what is left to who asks.

Law: a question is measured before any of it is answered, by its text and variables, never by how
much data there is. Each refusal has a code and says what to do. What was read of late is found
again by its text and the rules, which are always the same ones, or it would never be found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_operation_ast,
    parse,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from api.access.principals import Principal
from api.allowance import Allowance, Refusal
from api.graphql.cost import cost_of
from api.graphql.scalars import DateTime
from api.noted import Spent, noted
from ledger.domain.times import format_instant

DEPTH_MAX = 15
TOKENS_MAX = 4_000
ALIASES_MAX = 50
REPEATS_MAX = 50
"""Whoever compares those of the same name compares each with each."""
DOCUMENTS_KEPT_MAX = 256
ALLOWANCE = "allowance"
"""Where in a request's context its `Allowance` is; nothing is counted where there is none."""


# --- the size of a document ---------------------------------------------------------------------


class Size(NamedTuple):
    """How large a part of a document is.

    Args:
        depth: how many objects lie in one another at most.
        aliases: how many fields have another name.
    """

    depth: int
    aliases: int


class _Sizes:
    """The sizes of one document; each fragment is measured once, however often it is spread."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self._known: dict[str, Size] = {}
        self.repeats = 0
        """How often one selection names the same field, at most, in what was measured so far."""
        self.empty: list[SelectionSetNode] = []
        """Those selections of what was measured so far that select nothing."""

    def of(self, selections: SelectionSetNode | None) -> Size:
        if selections is None:
            return Size(0, 0)
        if not selections.selections:
            self.empty.append(selections)
            return Size(0, 0)
        named = Counter(_name(each) for each in selections.selections)
        self.repeats = max(self.repeats, *named.values())
        sizes = [self._one(each) for each in selections.selections]
        return Size(max(size.depth for size in sizes), sum(size.aliases for size in sizes))

    def _one(self, selection: Any) -> Size:
        match selection:
            case FieldNode():
                inside = self.of(selection.selection_set)
                described = selection.name.value.startswith("__") or not selection.selection_set
                aliased = selection.alias is not None
                return Size(0 if described else 1 + inside.depth, inside.aliases + aliased)
            case InlineFragmentNode():
                return self.of(selection.selection_set)
            case FragmentSpreadNode():
                return self._fragment(selection.name.value)
            case _:
                return Size(0, 0)

    def _fragment(self, name: str) -> Size:
        if name not in self._known:
            self._known[name] = Size(0, 0)  # a circle, or unknown: other rules refuse both
            fragment = self._fragments.get(name)
            self._known[name] = self.of(None if fragment is None else fragment.selection_set)
        return self._known[name]


def _name(selection: Any) -> str:
    """Under which name the answer has a field; for a part that is spread in, its own."""
    match selection:
        case FieldNode():
            return (selection.alias or selection.name).value
        case FragmentSpreadNode():
            return f"...{selection.name.value}"
        case _:
            return "..."


def size_faults(document: DocumentNode) -> tuple[GraphQLError, ...]:
    """Why a document is too large, or selects nothing somewhere; nothing when all is well."""
    sizes = _Sizes(document)
    operations = [
        each for each in document.definitions if isinstance(each, OperationDefinitionNode)
    ]
    measured = [(each, sizes.of(each.selection_set)) for each in operations]
    deep = [
        _too_deep(f"of {size.depth} objects", each)
        for each, size in measured
        if size.depth > DEPTH_MAX
    ]
    aliases = sum(size.aliases for _each, size in measured)
    many = [_too_many_aliases(aliases)] if aliases > ALIASES_MAX else []
    often = [_too_many_repeats(sizes.repeats)] if sizes.repeats > REPEATS_MAX else []
    nothing = [_empty_selection(each) for each in sizes.empty[:1]]
    return (*deep, *many, *often, *nothing)


# --- reading and charging -----------------------------------------------------------------------


_NOTHING = parse("{ __typename }")
"""Stands for a document that could not be read."""


class Read(NamedTuple):
    """A document that was parsed and validated.

    Args:
        document: its tree.
        faults: why the schema does not take it; empty when it does.
    """

    document: DocumentNode
    faults: tuple[GraphQLError, ...]


@lru_cache(maxsize=DOCUMENTS_KEPT_MAX)
def read(schema: GraphQLSchema, text: str, rules: tuple[Any, ...]) -> Read:
    """Parse and validate a document, or find it among those of late.

    Args:
        schema: that is to take it.
        text: of the document.
        rules: all that it must keep.

    Raises:
        GraphQLSyntaxError: it cannot be parsed, or has too many tokens.
    """
    try:
        document = parse(text, max_tokens=TOKENS_MAX)
        faults = size_faults(document)  # first: to validate what is too large takes long
        return Read(document, faults or tuple(validate_document(schema, document, rules)))
    except GraphQLSyntaxError:
        raise
    except RecursionError:
        return Read(_NOTHING, (_too_deep("beyond measure"),))
    except Exception as error:
        return Read(_NOTHING, (_unforeseen(error),))


class Limits(SchemaExtension):
    """Reads a question, measures it, and takes what it costs from who asks."""

    def on_operation(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options["max_tokens"] = TOKENS_MAX
        self._read: Read | None = None
        yield

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query and context.graphql_document is None:
            with suppress(GraphQLSyntaxError):  # it is told by who parses it after this
                self._read = read(context.schema._schema, context.query, context.validation_rules)
                context.graphql_document = self._read.document
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if self._read is not None:
            faults = list(self._read.faults)
            context.pre_execution_errors = faults or self._charged(self._read.document)
        yield

    def _charged(self, document: DocumentNode) -> list[GraphQLError]:
        """As `_charge`; an error that left this extension would be told as it is."""
        try:
            return self._charge(document)
        except Exception as error:
            return [_unforeseen(error)]

    def _charge(self, document: DocumentNode) -> list[GraphQLError]:
        """Take what the question costs; why not, where it is too much."""
        context = self.execution_context
        given: Any = context.context
        cost = cost_of(context.schema._schema, document, context.operation_name, context.variables)
        _note(document, context.operation_name, Spent(cost))
        if not isinstance(given, Mapping) or ALLOWANCE not in given:
            return []
        allowance: Allowance = given[ALLOWANCE]
        if 0 < allowance.cost_max < cost:
            return [_too_costly(cost, allowance.cost_max)]
        principal: Principal = given["door"].asking.principal
        spent = allowance.spend(principal, cost)
        note = noted()
        if note is not None:
            note.spent = spent.spent if isinstance(spent, Refusal) else spent
            note.wait_seconds = spent.wait_seconds if isinstance(spent, Refusal) else None
        return [_rate_limited(spent)] if isinstance(spent, Refusal) else []


def _note(document: DocumentNode, name: str | None, spent: Spent) -> None:
    note = noted()
    operation = get_operation_ast(document, name)
    if note is None or operation is None:
        return
    note.kind = OperationType(operation.operation).value
    note.operation = None if operation.name is None else operation.name.value
    note.spent = spent


# --- what the schema tells of it ----------------------------------------------------------------


@strawberry.type(
    description="What this question costs, and how much may still be asked. Points come back with "
    "time; the same is told by the X-RateLimit headers of every answer."
)
class RateLimit:
    cost: int = strawberry.field(
        description="What this question costs, in points: known from its text and variables, "
        "before it is answered."
    )
    limit: int | None = strawberry.field(
        description="How many points may be spent a minute; null where nobody counts."
    )
    remaining: int | None = strawberry.field(
        description="How many are left after this question; null where nobody counts."
    )
    reset_at: DateTime | None = strawberry.field(
        description="When all of them are there again, by the server's clock, an instant in UTC; "
        "null where nobody counts."
    )


def rate_limit() -> RateLimit:
    """What is told of the question at hand."""
    note = noted()
    spent = Spent(0) if note is None or note.spent is None else note.spent
    return RateLimit(
        cost=spent.cost,
        limit=spent.limit,
        remaining=spent.remaining,
        reset_at=None if spent.full_in_seconds is None else _in(spent.full_in_seconds),
    )


def _in(seconds: float) -> DateTime:
    return DateTime(format_instant(datetime.now(UTC) + timedelta(seconds=seconds)))


# --- the refusals -------------------------------------------------------------------------------


def _refusal(code: str, message: str, hint: str, *nodes: Any) -> GraphQLError:
    return GraphQLError(message, list(nodes) or None, extensions={"code": code, "hint": hint})


def _too_deep(depth: str, *operations: OperationDefinitionNode) -> GraphQLError:
    return _refusal(
        "query-too-deep",
        f"the question has a depth {depth}, and at most {DEPTH_MAX} objects are taken",
        "ask for what lies deepest in a question of its own",
        *operations,
    )


def _too_many_aliases(aliases: int) -> GraphQLError:
    return _refusal(
        "too-many-aliases",
        f"the question has {aliases} aliases, and at most {ALIASES_MAX} are taken",
        "split it into several questions",
    )


def _too_many_repeats(repeats: int) -> GraphQLError:
    return _refusal(
        "query-too-long",
        f"the question names a field {repeats} times in one place, and at most {REPEATS_MAX} are "
        "taken",
        "name each once",
    )


def _empty_selection(selections: SelectionSetNode) -> GraphQLError:
    return _refusal(
        "empty-selection",
        "nothing is selected between { and }",
        "name at least one field there",
        selections,
    )


def _unforeseen(error: Exception) -> GraphQLError:
    """What nobody expected of a document; `api.graphql.coding` masks it."""
    return GraphQLError(str(error), original_error=error)


def _too_costly(cost: int, most: int) -> GraphQLError:
    return _refusal(
        "query-too-costly", f"the question costs {cost} points, and at most {most} are taken",
        "ask for smaller pages (first), for fewer lists inside lists, or in several questions; "
        "for whole tables use /export",
    )  # fmt: skip


def _rate_limited(refusal: Refusal) -> GraphQLError:
    spent, wait = refusal
    hint = "ask for less at a time" if wait is None else f"ask again in {wait:.1f} seconds"
    return _refusal(
        "rate-limited",
        f"the question costs {spent.cost} points, and {spent.remaining} of {spent.limit} a minute "
        "are left to you",
        hint,
    )
