"""The statements about trusted documents: GraphQL questions by a short name.

Law: a name means one text for ever; adding the same again changes nothing, and another text under
it is refused. Removing ends its use, and the same text may be added again.
"""

from __future__ import annotations

from typing import NamedTuple

from psycopg.rows import class_row

from ledger.domain.errors import Conflict, NotFound
from ledger.domain.times import Instant
from ledger.store.database import Connection, Database


class Document(NamedTuple):
    """A document as it is kept.

    Args:
        id: its name.
        text: the GraphQL document.
        added_at: when, by the database's clock.
        added_by: the operator who added it.
        removed_at: when it was removed; None while it is in use.
    """

    id: str
    text: str
    added_at: Instant
    added_by: str
    removed_at: Instant | None


_COLUMNS = "SELECT id, text, added_at, added_by, removed_at FROM qledger.document "
_ADD = """
    INSERT INTO qledger.document (id, text, added_by, sha256)
    VALUES (%(id)s, %(text)s, %(added_by)s, sha256(convert_to(%(text)s, 'UTF8')))
    ON CONFLICT (id) DO UPDATE SET removed_at = NULL WHERE document.text = excluded.text
    RETURNING id
"""
_REMOVE = """
    UPDATE qledger.document SET removed_at = clock_timestamp()
    WHERE id = %s AND removed_at IS NULL RETURNING id
"""


def add(database: Database, document_id: str, text: str, added_by: str) -> None:
    """Add a document.

    Args:
        database: where it is kept.
        document_id: its name: small letters, digits, points and hyphens.
        text: the document, checked.
        added_by: the operator.

    Raises:
        Conflict: `document-id-taken`, by another text.
        Unavailable: the database cannot serve now.
    """
    given = {"id": document_id, "text": text, "added_by": added_by}
    done = database.do(lambda connection: connection.execute(_ADD, given).fetchone())
    if done is None:
        raise Conflict(
            "document-id-taken",
            f"{document_id} is the name of another text",
            where="id",
            hint="a name means one text for ever: choose another, such as one with a version",
        )


def remove(database: Database, document_id: str) -> None:
    """Remove a document.

    Raises:
        NotFound: `unknown-document`.
        Unavailable: the database cannot serve now.
    """
    done = database.do(lambda connection: connection.execute(_REMOVE, [document_id]).fetchone())
    if done is None:
        raise unknown(document_id)


def documents(database: Database) -> list[Document]:
    """All documents in use, by name."""
    return database.do(lambda c: _documents(c, "WHERE removed_at IS NULL ORDER BY id", []))


def document(database: Database, document_id: str) -> Document | None:
    """The document in use under a name."""
    where = "WHERE id = %s AND removed_at IS NULL"
    found = database.do(lambda connection: _documents(connection, where, [document_id]))
    return found[0] if found else None


def document_of_digest(database: Database, sha256: bytes) -> Document | None:
    """A document in use with a text of that SHA-256, under whatever name."""
    where = "WHERE sha256 = %s AND removed_at IS NULL LIMIT 1"
    found = database.do(lambda connection: _documents(connection, where, [sha256]))
    return found[0] if found else None


def unknown(document_id: str) -> NotFound:
    """The refusal of a name that no document in use has."""
    return NotFound(
        "unknown-document",
        f"there is no document {document_id[:100]!r}",
        where="documentId",
        hint="qledger document list shows them",
    )


def _documents(connection: Connection, where: str, given: list[str | bytes]) -> list[Document]:
    with connection.cursor(row_factory=class_row(Document)) as cursor:
        return cursor.execute((_COLUMNS + where).encode(), given).fetchall()
