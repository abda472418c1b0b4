"""What an import tells about itself, and the file of what it could not read.

Law: every row that was read is counted once: used (it gave new events), unchanged (it says nothing
that the ledger or the rows before it did not), ignored (the mapping leaves it out) or rejected. The
four add up to the rows read, file by file and in total; a report that does not add up is a bug and
is never returned.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ledger.domain.times import Instant, format_instant

VALUE_CHARS_MAX = 200
REJECT_COLUMNS = ("file", "row", "column", "value", "code", "reason", "left_out")


class Reject(NamedTuple):
    """A row that could not be used, or a cell that could not be read in a row that was.

    Args:
        file: the file's name.
        row: the row's number; the header is row 1.
        column: the column at fault, empty when it is the row as a whole.
        value: what stands there, shortened.
        code: stable kebab-case identifier.
        reason: what is wrong, for a person.
        left_out: what stays out: the row, which counts as rejected, or the cell alone, whose row
            is kept and counts as what else becomes of it.
    """

    file: str
    row: int
    column: str
    value: str
    code: str
    reason: str
    left_out: Literal["row", "cell"] = "row"


@dataclass(slots=True)
class FileReport:
    """What became of one file's rows."""

    name: str
    kind: str
    rows_read: int = 0
    used: int = 0
    unchanged: int = 0
    ignored: int = 0
    rejected: int = 0

    def adds_up(self) -> bool:
        return self.rows_read == self.used + self.unchanged + self.ignored + self.rejected

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "rows_read": self.rows_read,
            "used": self.used,
            "unchanged": self.unchanged,
            "ignored": self.ignored,
            "rejected": self.rejected,
        }


@dataclass(slots=True)
class Report:
    """What an import did.

    Args:
        system: the source's name.
        files: what became of each file's rows.
        ignored_files: files that were recognised as nothing to bring in.
        events_added: events that are new in the ledger.
        events_known: events that it had already: of records, those that the source brought of the
            same deals, accounts and people; of lines and submissions, the same ones.
        events_by_type: of those added, how many of each type.
        deals: how many deals the files speak of.
        cells_left_out: cells that could not be read, in rows that were kept.
        reconciled: of the events added, how many are differences between history and record.
        snapshot_at: when the records were as they are.
        currency: the currency of amounts that say none.
        date_order: the order in which dates with slashes were read.
        warnings: sentences on what looks wrong in the source, with counts.
        caveats: sentences on what was assumed, derived or kept.
        rejects: the first rows and cells that were left out, at most 20, rows before cells.
        rejects_path: the file with all of them; none when there are none.
    """

    system: str
    files: list[FileReport] = field(default_factory=list)
    ignored_files: list[str] = field(default_factory=list)
    events_added: int = 0
    events_known: int = 0
    events_by_type: Counter[str] = field(default_factory=Counter)
    deals: int = 0
    cells_left_out: int = 0
    reconciled: int = 0
    snapshot_at: Instant | None = None
    currency: str | None = None
    date_order: str | None = None
    warnings: list[str] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rejects_path: Path | None = None

    @property
    def total(self) -> FileReport:
        """The files' counts, added up."""
        total = FileReport("total", "")
        for part in self.files:
            total.rows_read += part.rows_read
            total.used += part.used
            total.unchanged += part.unchanged
            total.ignored += part.ignored
            total.rejected += part.rejected
        return total

    def check(self) -> None:
        """Refuse to tell what does not add up."""
        for part in self.files:
            if not part.adds_up():
                raise AssertionError(f"the counts of {part.name} do not add up: {part.as_dict()}")

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values, in the order people read it."""
        total = self.total.as_dict()
        del total["name"], total["kind"]
        return {
            "system": self.system,
            "rows": total,
            "files": [part.as_dict() for part in self.files],
            "ignored_files": self.ignored_files,
            "events": {
                "added": self.events_added,
                "known": self.events_known,
                "reconciled": self.reconciled,
                "by_type": dict(sorted(self.events_by_type.items())),
            },
            "deals": self.deals,
            "cells_left_out": self.cells_left_out,
            "snapshot_at": None if self.snapshot_at is None else format_instant(self.snapshot_at),
            "currency": self.currency,
            "date_order": self.date_order,
            "warnings": self.warnings,
            "caveats": self.caveats,
            "rejects": [reject._asdict() for reject in self.rejects],
            "rejects_path": None if self.rejects_path is None else str(self.rejects_path),
        }


def rejects_name(paths: list[Path]) -> str:
    """The file name for the rejects of some files: the same files, the same name."""
    spelt = "\n".join(sorted(str(path.resolve()) for path in paths))
    return f"rejects-{hashlib.sha256(spelt.encode()).hexdigest()[:12]}.csv"


def write_rejects(path: Path, rejects: list[Reject]) -> None:
    """Write the rejects file whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(REJECT_COLUMNS)
        for reject in rejects:
            writer.writerow(reject._replace(value=shorten(reject.value)))
    partial.replace(path)


def shorten(value: str) -> str:
    """A value as the rejects file shows it: one line, not too long, no control characters."""
    shown = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value
    )
    return shown if len(shown) <= VALUE_CHARS_MAX else shown[: VALUE_CHARS_MAX - 1] + "…"
