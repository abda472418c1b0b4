"""Writing answers: as JSON (the same bytes for the same basis), CSV, or tables for people."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from rich.console import Console

PIPED_COLUMNS = 160
"""How wide a table is that goes to a file or to another program."""

_BORDER_COLUMNS = 3
"""Between two columns of a table."""


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def write_json(answer: dict[str, Any]) -> None:
    """An answer as indented JSON with a final newline; keys in the answer's order."""
    sys.stdout.buffer.write(
        orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    sys.stdout.buffer.flush()


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows as CSV (RFC 4180) with a header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    sys.stdout.buffer.write(text.getvalue().encode())
    sys.stdout.buffer.flush()


def csv_cell(value: object) -> object:
    """A value as CSV spells it: nothing is empty, a flag is true or false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def write_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows as a table; columns whose name ends in `*` are aligned to the right.

    Where it is too wide for all its values to stand in one piece, they are broken, never cut.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", header_style="bold")
    texts = _texts(rows)
    whole = fits(columns, texts)
    for index, column in enumerate(columns):
        table.add_column(
            column.removesuffix("*"),
            justify="right" if column.endswith("*") else "left",
            no_wrap=whole and all(_in_one_piece(row[index]) for row in texts),
            overflow="fold",
        )
    for row in texts:
        table.add_row(*map(escape, row))
    _console().print(table)


def fits(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bool:
    """Whether a table is narrow enough for its ids, keys, numbers and instants to stand whole."""
    from rich.cells import cell_len

    texts = _texts(rows)
    needed = 1
    for index, column in enumerate(columns):
        cells = [column.removesuffix("*"), *(row[index] for row in texts)]
        if not all(map(_in_one_piece, cells)):
            cells = [word for cell in cells for word in cell.split() if _in_one_piece(word)]
        needed += _BORDER_COLUMNS + max(map(cell_len, cells), default=0)
    return needed <= _console().width


def _texts(rows: Iterable[Sequence[object]]) -> list[list[str]]:
    return [["" if value is None else str(value) for value in row] for row in rows]


def _console() -> Console:
    """Where tables are written."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS)


def _in_one_piece(text: str) -> bool:
    """Whether a value is an id, a key, a number or an instant: it is never cut or broken."""
    return len(text) <= 19 or (len(text) <= 34 and " " not in text)


def write_line(text: str = "") -> None:
    """A line for a person."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def brief(instant: str) -> str:
    """An instant for a table: whole seconds without their zeros, in UTC."""
    return instant.replace("T", " ").replace(".000000Z", "").removesuffix("Z")


def basis_line(basis: dict[str, Any]) -> str:
    """The basis in one line, as the options that repeat the answer."""
    witnessed = " --witnessed-only" if basis["witnessed_only"] else ""
    under = f" --under {basis['under']}" if "under" in basis else ""
    return (
        f"basis: --valid-at {basis['valid_at']} --known-at {basis['known_at']} "
        f"--horizon {basis['horizon']}{witnessed}{under} (rules {basis['rules']})"
    )
