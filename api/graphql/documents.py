"""Trusted documents: GraphQL questions by name, for tools that can only follow a link.

Law: a name means one text for ever, so that what was kept of its answers stays right; each shipped
document has its version in its name, and any document can also be named by `sha256:` and the digest
of its text. A document is one query that the schema takes; it changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    validate,
)

from api.graphql.schema import schema
from ledger.domain.errors import Conflict, InvalidInput
from ledger.store import documents
from ledger.store.database import Database
from projections.rows.catalogue import ASKED_ONLY, TABLES
from projections.rows.definition import camel

CHARACTERS_MAX = 100_000
DIGEST = "sha256:"
_DIGEST = re.compile(DIGEST + "[0-9a-f]{64}")
_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
_PINNABLE = frozenset(
    {"snapshot", "diff", "node", "nodes", "__typename"}
    | {camel(table.root) for table in (*TABLES.values(), *ASKED_ONLY)}
)
"""The roots whose answers rest on their bases alone."""


@cache
def shipped() -> Mapping[str, str]:
    """The documents of this release, by name."""
    folder = files("api") / "documents"
    return {
        file.name.removesuffix(".graphql"): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".graphql")
    }


@cache
def _by_digest() -> Mapping[str, str]:
    return {digest_of(text): text for text in shipped().values()}


def digest_of(text: str) -> str:
    """The name that any document has: `sha256:` and the digest of its text."""
    return DIGEST + hashlib.sha256(text.encode()).hexdigest()


def text_of(database: Database, document_id: str) -> str:
    """The text of a document.

    Args:
        database: where those that an operator added are.
        document_id: its name, or its digest.

    Raises:
        NotFound: `unknown-document`.
    """
    text = shipped().get(document_id) or _by_digest().get(document_id)
    if text is not None:
        return text
    if _DIGEST.fullmatch(document_id):
        sha256 = bytes.fromhex(document_id.removeprefix(DIGEST))
        found = documents.document_of_digest(database, sha256)
    else:
        found = documents.document(database, document_id)
    if found is None:
        raise documents.unknown(document_id)
    return found.text


def add(database: Database, document_id: str, text: str, added_by: str) -> None:
    """Add a document.

    Args:
        database: where it is kept.
        document_id: its name.
        text: the document.
        added_by: the operator.

    Raises:
        InvalidInput: `invalid-document-id`, `invalid-document`.
        Conflict: `document-id-taken`.
    """
    if not _ID.fullmatch(document_id):
        raise InvalidInput(
            "invalid-document-id",
            f"{document_id[:100]!r} is not a name of a document",
            where="id",
            hint="use small letters, digits, points and hyphens, such as pipeline-v1",
        )
    if document_id in shipped():
        raise Conflict(
            "document-id-taken", f"{document_id} is a document of this release", where="id"
        )
    _check(text)
    documents.add(database, document_id, text, added_by)


def _check(text: str) -> None:
    if len(text) > CHARACTERS_MAX:
        raise InvalidInput(
            "invalid-document", f"a document has at most {CHARACTERS_MAX} characters"
        )
    try:
        document = parse(text)
    except GraphQLError as error:
        raise InvalidInput("invalid-document", f"no GraphQL document: {error.message}") from None
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if [operation.operation for operation in operations] != [OperationType.QUERY]:
        raise InvalidInput("invalid-document", "a document is one query, and nothing else")
    faults = validate(schema._schema, document)
    if faults:
        place = faults[0].locations
        line = f" in line {place[0].line}" if place else ""
        raise InvalidInput(
            "invalid-document", f"the schema does not take it: {faults[0].message}{line}"
        )


@lru_cache(maxsize=512)
def variables_of(text: str) -> frozenset[str]:
    """The names of the variables that a document takes."""
    return frozenset(
        each.variable.name.value
        for definition in parse(text).definitions
        if isinstance(definition, OperationDefinitionNode)
        for each in definition.variable_definitions or ()
    )


def check_variables(text: str, given: Iterable[str]) -> None:
    """Refuse a variable that a document does not take: left out in silence, it would be missed.

    Args:
        text: the document.
        given: the names of the variables that somebody gave.

    Raises:
        InvalidInput: `unknown-variable`.
    """
    for name in given:
        if name not in variables_of(text):
            raise InvalidInput(
                "unknown-variable",
                f"the document takes no variable {name[:100]!r}",
                where="variables",
                hint=f"it takes {', '.join(sorted(variables_of(text))) or 'none'}",
            )


@lru_cache(maxsize=512)
def rests_on_its_bases(text: str) -> bool:
    """Whether the answer to a document depends on nothing but the bases that it asks for."""
    try:
        return "madeFrom" not in text and _roots(parse(text)) <= _PINNABLE
    except GraphQLError:
        return False


def _roots(document: DocumentNode) -> frozenset[str]:
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode)
    }
    found: set[str] = set()
    seen: set[str] = set()

    def look(selections: SelectionSetNode) -> None:
        for each in selections.selections:
            if isinstance(each, FieldNode):
                found.add(each.name.value)
            elif isinstance(each, InlineFragmentNode):
                look(each.selection_set)
            elif isinstance(each, FragmentSpreadNode) and each.name.value not in seen:
                seen.add(each.name.value)
                look(fragments[each.name.value].selection_set)

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            look(definition.selection_set)
    return frozenset(found)
