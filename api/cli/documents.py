"""Commands about trusted documents: GraphQL questions by name, for tools that follow links.

Whoever can run them reaches the database itself, and so is the operator.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.output import Format, brief, write_csv, write_json, write_line, write_table
from api.cli.session import settings
from ledger.domain.errors import InvalidInput
from ledger.domain.times import format_instant
from ledger.store.database import Database

NameArgument = Annotated[
    str, typer.Argument(help="Its name: small letters, digits, points and hyphens.")
]


def add(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="The GraphQL file: one query.")],
    added_by: Annotated[
        str, typer.Option("--added-by", help="Who adds it.", default_factory=getpass.getuser)
    ],
) -> None:
    """Add a document: /graphql?documentId=NAME answers it from then on."""
    from api.graphql import documents

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "file-not-read", f"the file cannot be read: {error}", where=str(file)
        ) from None
    with Database(settings()) as database:
        documents.add(database, name, text, added_by)
    write_line(f"added {name} ({documents.digest_of(text)})")


def listed(
    format_: Annotated[
        Format, typer.Option("--format", help="How to write the answer.")
    ] = Format.TABLE,
) -> None:
    """All documents in use: those of this release, and those that were added."""
    from api.graphql import documents
    from ledger.store.documents import documents as added

    with Database(settings()) as database:
        found = added(database)
    rows: list[dict[str, Any]] = [
        {"document": name, "added_at": None, "added_by": None, "digest": documents.digest_of(text)}
        for name, text in documents.shipped().items()
    ]
    rows += [
        {
            "document": each.id,
            "added_at": format_instant(each.added_at),
            "added_by": each.added_by,
            "digest": documents.digest_of(each.text),
        }
        for each in found
    ]
    if format_ is Format.JSON:
        write_json({"documents": rows})
        return
    columns = ["document", "added_at", "added_by", "digest"]
    if format_ is Format.CSV:
        write_csv(columns, [[row[column] for column in columns] for row in rows])
        return
    write_table(
        "Documents",
        columns,
        [
            [
                row["document"],
                "shipped" if row["added_at"] is None else brief(row["added_at"]),
                row["added_by"],
                row["digest"][:19],
            ]
            for row in rows
        ],
    )


def remove(name: NameArgument) -> None:
    """Remove a document that was added: it is not answered any more."""
    from ledger.store import documents

    with Database(settings()) as database:
        documents.remove(database, name)
    write_line("removed")
