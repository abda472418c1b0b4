"""Commands about who may use the doors: tokens, and who read what.

Whoever can run them reaches the database itself, and so is the operator.
"""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from api.cli.output import Format, brief, write_csv, write_json, write_line, write_table
from api.cli.session import open_door, settings
from ledger.domain.times import Instant, format_instant
from ledger.store import access
from ledger.store.access import LoggedReading, Token
from ledger.store.database import Database

DAYS = 90

MadeByOption = Annotated[
    str, typer.Option("--made-by", help="Who makes it.", default_factory=getpass.getuser)
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the answer.")]


def create(
    role: Annotated[str, typer.Option(help="rep, manager, analyst, auditor, importer or admin.")],
    person: Annotated[
        str,
        typer.Option(help="Whose it is: the id by which events name them, or a program's name."),
    ],
    made_by: MadeByOption,
    days: Annotated[int, typer.Option(help="For how many days it holds.")] = DAYS,
) -> None:
    """Make a token and show it, once: only its SHA-256 is kept."""
    from api.access import tokens

    with open_door() as door:
        with door.book() as book:
            is_known = person in book.people
        made = tokens.make(door.database, person=person, role=role, days=days, made_by=made_by)
    write_line(made.spelt)
    typer.echo(
        f"token {made.id} of {person}, {role}, until {brief(format_instant(made.expires_at))} UTC; "
        "it is not shown again",
        err=True,
    )
    if not is_known:
        typer.echo(
            f"note: the ledger knows nobody by the id {person!r}; that is as it should be for "
            "a program, but a rep or a manager owns deals by it",
            err=True,
        )


def listed(format_: FormatOption = Format.TABLE) -> None:
    """All tokens that were ever made, without their secrets."""
    with Database(settings()) as database, database.connection() as connection:
        found = access.tokens(connection)
    rows = [_token(token) for token in found]
    if format_ is Format.JSON:
        write_json({"tokens": rows})
        return
    columns = ["token", "person", "role", "state", "made_at", "made_by", "expires_at", "last_used"]
    cells = [[row[column] for column in columns] for row in rows]
    if format_ is Format.CSV:
        write_csv(columns, cells)
        return
    write_table("Tokens", columns, [[_short(cell) for cell in row] for row in cells])


def revoke(
    token: Annotated[str, typer.Argument(help="The token's id, as qledger token list shows it.")],
) -> None:
    """Revoke a token: it holds no more from the next request on."""
    from api.access import tokens

    with Database(settings()) as database:
        tokens.revoke(database, token)
    write_line("revoked")


def readings(
    person: Annotated[str | None, typer.Option(help="Only what this person read.")] = None,
    after: Annotated[
        int, typer.Option(help="Only readings with a higher number, the first of them first.")
    ] = 0,
    limit: Annotated[
        int, typer.Option(help="How many at most; without --after, the last ones.")
    ] = 100,
    format_: FormatOption = Format.TABLE,
) -> None:
    """What auditors read and what was exported: who asked what, and the digest of the answer."""
    with Database(settings()) as database, database.connection() as connection:
        found = access.readings(connection, person=person, after=after, limit=max(limit, 0))
    rows = [_reading(reading) for reading in found]
    if format_ is Format.JSON:
        write_json({"readings": rows})
        return
    columns = ["number", "at", "person", "role", "how", "answer_sha256", "answer_bytes", "asked"]
    cells = [[row[column] for column in columns] for row in rows]
    if format_ is Format.CSV:
        write_csv(columns, cells)
        return
    shown = [[*map(_short, row[:5]), row[5][:12], row[6], _one_line(row[7])] for row in cells]
    write_table("Readings", columns, shown)


def _token(token: Token) -> dict[str, Any]:
    return {
        "token": token.id,
        "person": token.person,
        "role": token.role,
        "state": _state(token),
        "made_at": format_instant(token.made_at),
        "made_by": token.made_by,
        "expires_at": format_instant(token.expires_at),
        "revoked_at": _spelt(token.revoked_at),
        "last_used": None if token.last_used is None else token.last_used.isoformat(),
    }


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.now >= token.expires_at else "holds"


def _reading(reading: LoggedReading) -> dict[str, Any]:
    return {
        **reading._asdict(),
        "at": format_instant(reading.at),
        "answer_sha256": reading.answer_sha256.hex(),
    }


def _spelt(instant: Instant | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _short(cell: object) -> object:
    """An instant in whole seconds, everything else as it is."""
    if isinstance(cell, str) and cell.endswith("Z") and cell[:4].isdigit():
        return brief(
            format_instant(datetime.fromisoformat(cell).astimezone(UTC).replace(microsecond=0))
        )
    return cell


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:59]}…"
