"""Where each part of a TOML document stands: the line of every key, table and array element.

Law: the document is valid TOML (`tomllib` has read it, and keeps no positions), so this only has to
find the way: strings of all four kinds, comments, nested arrays and inline tables are stepped over
as TOML writes them, never guessed at.

A path is what leads to a value in the document that `tomllib.loads` gives: keys, and indices in
arrays, such as `("gates", 3, "criteria", 0, "fresh_for_days")`.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?""""{0,2}'''  # multi-line strings may end in quotes of their own
    r"""|'''.*?''''{0,2}"""
    r"""|"(?:\\.|[^"\\])*"|'[^']*'"""
    r"""|\#[^\n]*|\n|[^\S\n]+|[\[\]{},=]|[^\s\[\]{},="'#]+""",
    re.DOTALL,
)
_ASSIGNED = " = 0"
"""Behind a key it makes a document, in which `tomllib` reads the key."""


def lines_of(text: str) -> dict[Path, int]:
    """The line, counted from 1, on which each part of a document stands.

    Args:
        text: a valid TOML document.

    Returns:
        The line of every key and array element by its path; of a table, that of its header.
    """
    return _Scan(text).lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a part, or of the innermost part around it that is there; 1 for the document."""
    for length in range(len(path), 0, -1):
        found = lines.get(path[:length])
        if found is not None:
            return found
    return 1


class _Scan:
    """One pass over the tokens of a document."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tokens = _TOKEN.findall(text)
        self._at = 0
        self._line = 1
        self._elements: Counter[Path] = Counter()
        """Array of tables -> how many `[[headers]]` it had so far."""
        self._document()

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        self._line += token.count("\n")
        return token

    def _skip_blank(self) -> None:
        while self._peek() and (self._peek().isspace() or self._peek().startswith("#")):
            self._take()

    def _take_until(self, end: str) -> str:
        taken = []
        while self._peek() not in {end, ""}:
            taken.append(self._take())
        self._take()
        return "".join(taken)

    def _document(self) -> None:
        table: Path = ()
        self._skip_blank()
        while self._peek():
            if self._peek() == "[":
                table = self._header()
            else:
                self._assignment(table)
            self._skip_blank()

    def _header(self) -> Path:
        line = self._line
        self._take()
        of_array = self._peek() == "["
        if of_array:
            self._take()
        *parents, last = _key_parts(self._take_until("]"))
        path: Path = ()
        for part in parents:
            path = self._inside((*path, part), line)
        path = (*path, last)
        if of_array:
            self._take()
            self._note(path, line)
            path = (*path, self._elements[path])
            self._elements[path[:-1]] += 1
        self._note(path, line)
        return path

    def _inside(self, path: Path, line: int) -> Path:
        """A table on the way to a header's own: of an array of tables, the last one so far."""
        self._note(path, line)
        return (*path, self._elements[path] - 1) if path in self._elements else path

    def _assignment(self, table: Path) -> None:
        line = self._line
        path = table
        for part in _key_parts(self._take_until("=")):
            path = (*path, part)
            self._note(path, line)
        self._skip_blank()
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._peek() == "[":
            self._array(path)
        elif self._peek() == "{":
            self._inline_table(path)
        else:
            while self._peek() not in {"", "\n", ",", "]", "}"}:
                self._take()

    def _array(self, path: Path) -> None:
        self._take()
        self._skip_blank()
        index = 0
        while self._peek() not in {"]", ""}:
            self._note((*path, index), self._line)
            self._value((*path, index))
            index += 1
            self._step_over_comma()
        self._take()

    def _inline_table(self, path: Path) -> None:
        self._take()
        self._skip_blank()
        while self._peek() not in {"}", ""}:
            self._assignment(path)
            self._step_over_comma()
        self._take()

    def _step_over_comma(self) -> None:
        self._skip_blank()
        if self._peek() == ",":
            self._take()
        self._skip_blank()

    def _note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)


def _key_parts(written: str) -> list[str]:
    """The parts of a key as it is written: `a."b c".d`."""
    table: Any = tomllib.loads(written.strip() + _ASSIGNED)
    parts = []
    while isinstance(table, dict):
        ((part, table),) = table.items()
        parts.append(part)
    return parts
