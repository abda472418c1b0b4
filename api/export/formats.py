"""The formats of exports, and the address of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from ledger.domain.basis import Basis
from ledger.domain.errors import NotFound
from ledger.domain.times import format_instant
from projections.rows.asking import Question
from projections.rows.definition import Cell


class Format(NamedTuple):
    """A kind of file.

    Args:
        name: the ending of its name.
        media_type: what HTTP calls it.
    """

    name: str
    media_type: str


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("csv", "text/csv; charset=utf-8; header=present"),
        Format("ndjson", "application/x-ndjson"),
        Format("arrow", "application/vnd.apache.arrow.file"),
        Format("parquet", "application/vnd.apache.parquet"),
        Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    )
}
"""The formats by name."""


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        NotFound: `unknown-format`.
    """
    if name not in FORMATS:
        raise NotFound(
            "unknown-format",
            f"there is no format {name[:80]!r}",
            where="format",
            hint=f"it is one of {', '.join(FORMATS)}",
        )
    return FORMATS[name]


def export_path(question: Question, basis: Basis, kind: Format) -> str:
    """The path and query of the export of the same rows at the same basis, for ever.

    Args:
        question: which rows.
        basis: of the answer.
        kind: the format.
    """
    given: dict[str, Cell] = {
        "valid_at": format_instant(basis.valid_at),
        "known_at": format_instant(basis.known_at),
        "horizon": basis.horizon,
        **({"witnessed_only": True} if basis.witnessed_only else {}),
        **({"under": basis.under} if basis.under is not None else {}),
        **question.given,
    }
    spelt = {name: _spelt(value) for name, value in given.items()}
    return f"/export/{question.table.name}.{kind.name}?{urlencode(spelt)}"


def _spelt(value: Cell) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
