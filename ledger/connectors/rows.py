"""Rows of CSV files.

Law: a file is read whole or refused whole; a row is handed over with its number or handed over as
unreadable, never skipped. Row numbers count records as a spreadsheet does: the header is row 1, and
a quoted line break does not start a new row. Text is UTF-8 (a byte-order mark is taken off), or
UTF-16 with its mark, or what the user names; a file that is none of these is refused, since a guess
would misspell names for ever. `.gz` is read through.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from ledger.domain.errors import InvalidInput

FIELD_CHARS_MAX = 128 * 1024
COLUMNS_MAX = 2_000
_DELIMITERS = (",", ";", "\t", "|")


class Row(NamedTuple):
    """One record of a file.

    Args:
        number: the record's number, the header being 1.
        cells: its cells, stripped of surrounding blanks; as many as the header has.
        fault: why it cannot be read as a record; none when it can.
    """

    number: int
    cells: list[str]
    fault: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file whose header has been read.

    Args:
        path: where it is.
        columns: the header's names, in order.
        encoding: the encoding it is read in.
        delimiter: what separates its cells.
    """

    path: Path
    columns: tuple[str, ...]
    encoding: str
    delimiter: str

    @property
    def name(self) -> str:
        return self.path.name

    def rows(self) -> Iterator[Row]:
        """The records after the header, blank lines left out.

        Raises:
            InvalidInput: `not-utf-8` when the file turns out to be in another encoding.
        """
        csv.field_size_limit(FIELD_CHARS_MAX)
        width = len(self.columns)
        with _open_text(self.path, self.encoding) as stream:
            reader = csv.reader(stream, delimiter=self.delimiter)
            number = 0
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    number += 1
                    yield Row(number, [], ("unreadable-row", str(error)))
                    continue
                except UnicodeDecodeError as error:
                    raise _not_text(self.path, self.encoding, error) from None
                except (EOFError, OSError) as error:
                    raise _unreadable(self.path, error) from None
                if not cells and number:
                    continue
                number += 1
                if number == 1:
                    continue
                if len(cells) != width:
                    reason = f"the row has {len(cells)} cells, the header {width}"
                    yield Row(number, cells, ("wrong-column-count", reason))
                else:
                    yield Row(number, [cell.strip() for cell in cells])


def open_table(path: Path, encoding: str | None = None) -> Table:
    """Read a file's header.

    Args:
        path: a `.csv` (or `.tsv`, or either with `.gz`).
        encoding: the encoding, where it is not UTF-8.

    Raises:
        InvalidInput: `missing-file`, `unreadable-file`, `empty-file`, `not-utf-8`,
            `duplicate-column`, `unknown-encoding`.
    """
    if not path.is_file():
        raise InvalidInput("missing-file", f"there is no file {path}")
    chosen = encoding or _encoding_of(path)
    try:
        with _open_text(path, chosen) as stream:
            first = stream.readline(FIELD_CHARS_MAX)
    except UnicodeDecodeError as error:
        raise _not_text(path, chosen, error) from None
    except LookupError:
        raise InvalidInput("unknown-encoding", f"there is no encoding {chosen!r}") from None
    except (EOFError, OSError) as error:
        raise _unreadable(path, error) from None
    delimiter = max(_DELIMITERS, key=first.count)
    columns = tuple(cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), []))
    if not any(columns):
        raise InvalidInput(
            "empty-file", f"{path.name} has no header row", hint="export it with column names"
        )
    _check_columns(path, columns)
    return Table(path, columns, chosen, delimiter)


def _check_columns(path: Path, columns: tuple[str, ...]) -> None:
    if len(columns) > COLUMNS_MAX:
        raise InvalidInput("too-many-columns", f"{path.name} has more than {COLUMNS_MAX} columns")
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InvalidInput(
            "duplicate-column",
            f"{path.name} has two columns named {twice[0]!r}",
            hint="rename one of them",
        )


def _encoding_of(path: Path) -> str:
    with path.open("rb") as raw:
        head = raw.read(4)
        if head[:2] == b"\x1f\x8b":
            raw.seek(0)
            try:
                head = gzip.GzipFile(fileobj=raw).read(4)
            except (OSError, EOFError) as error:
                raise _unreadable(path, error) from None
    return "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _open_text(path: Path, encoding: str) -> IO[str]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    if zipped:
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _not_text(path: Path, encoding: str, error: UnicodeDecodeError) -> InvalidInput:
    name = "UTF-8" if encoding.startswith("utf-8") else encoding
    return InvalidInput(
        "not-utf-8",
        f"{path.name} is not {name} text: byte 0x{error.object[error.start]:02x} cannot be read",
        where=path.name,
        hint="export it as UTF-8, or name its encoding with --encoding (for example cp1252)",
    )


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    return InvalidInput("unreadable-file", f"{path.name} cannot be read: {error}")
