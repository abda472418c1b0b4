"""Writing chunks, rejecting rows and counting both: what every import does alike.

Law: a chunk is at most 5,000 events and all or nothing. A row is counted once, whatever becomes of
its events; a row that was rejected is not also used, and none of its cells is told of as left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from ledger.connectors import sentences
from ledger.connectors.dates import DateOrder
from ledger.connectors.facts import Ref
from ledger.connectors.report import FileReport, Reject, Report, rejects_name, write_rejects
from ledger.domain.errors import Conflict, InvalidInput
from ledger.domain.events import SETTINGS_STREAM, Draft, Event
from ledger.domain.money import minor_units
from ledger.domain.times import Instant

CHUNK_EVENTS_MAX = 5_000
REJECTS_SHOWN_MAX = 20
DEFAULT_CURRENCY = "USD"

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and how much there is, if known."""


def no_progress(_what: str, _done: int, _total: int | None) -> None:
    """Progress that nobody looks at."""


class ImportResult(Protocol):
    """What the ledger says of a chunk."""

    @property
    def added(self) -> int: ...
    @property
    def known(self) -> int: ...
    @property
    def conflicts(self) -> list[tuple[int, Conflict]]: ...


class Target(Protocol):
    """What the connectors need of a ledger."""

    def import_events(self, drafts: Sequence[Draft], *, strict: bool = False) -> ImportResult: ...
    def stream(self, name: str) -> list[Event]: ...
    def last_versions(self, streams: Sequence[str]) -> dict[str, int]: ...
    def clock(self) -> Instant: ...

    @property
    def events(self) -> Callable[..., Iterator[Event]]: ...


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a user may say about an import; it goes before what a mapping says.

    Args:
        time_zone: IANA name, of dates and times without an offset; default UTC.
        date_order: of dates with slashes; default: what the export's dates prove.
        currency: of amounts that say none; default: the ledger's reporting currency, else USD.
        id_prefix: put before every record id.
        snapshot_at: when the records were as they are; default: the newest change in the files.
        encoding: of the files; default UTF-8 (or UTF-16 with its mark).
        system: the name of the source; part of every event's identity.
        strict: refuse everything if any row is rejected or any cell left out.
        rejects: where to write what was left out; default: a file under `home`.
        home: the ledger's home directory, for the default rejects file.
    """

    time_zone: str | None = None
    date_order: DateOrder | None = None
    currency: str | None = None
    id_prefix: str | None = None
    snapshot_at: Instant | None = None
    encoding: str | None = None
    system: str | None = None
    strict: bool = False
    rejects: Path | None = None
    home: Path | None = None


NO_OPTIONS = ImportOptions()


class Step(NamedTuple):
    """A draft, the row it came from, and whether it is a difference found at the snapshot."""

    draft: Draft
    ref: Ref
    reconciled: bool = False


class Fault(NamedTuple):
    """A row that cannot be used, and why."""

    ref: Ref
    column: str
    value: str
    code: str
    reason: str


class Writer:
    """Writes an import's events and keeps its counts.

    Args:
        ledger: the ledger to write to.
        paths: the files of the import, in the order of their numbers.
        options: what the user says.
        system: the name of the source.
    """

    def __init__(
        self, ledger: Target, paths: Sequence[Path], options: ImportOptions, system: str
    ) -> None:
        self.ledger = ledger
        self.options = options
        self.report = Report(system)
        self.tallies: Counter[str] = Counter()
        self.rejects: list[Reject] = []
        self.cells: list[Reject] = []
        self._paths = list(paths)
        self._rejected: list[set[int]] = [set() for _ in paths]
        self._used: list[set[int]] = [set() for _ in paths]
        self._chunk: list[Step] = []

    def reject(self, fault: Fault) -> None:
        """Reject a row that had been read; twice is once."""
        rows = self._rejected[fault.ref.file]
        if fault.ref.row not in rows:
            rows.add(fault.ref.row)
            name = self.report.files[fault.ref.file].name
            self.rejects.append(Reject(name, fault.ref.row, *fault[1:]))

    def use(self, ref: Ref) -> None:
        """Count a row as used."""
        self._used[ref.file].add(ref.row)

    def add(self, steps: Sequence[Step]) -> None:
        """Take in the events of one deal, or of one row; they go into one chunk if they fit."""
        if len(self._chunk) + len(steps) > CHUNK_EVENTS_MAX:
            self.flush()
        self._chunk += steps
        while len(self._chunk) > CHUNK_EVENTS_MAX:
            rest = self._chunk[CHUNK_EVENTS_MAX:]
            self._chunk = self._chunk[:CHUNK_EVENTS_MAX]
            self.flush()
            self._chunk = rest

    def flush(self) -> None:
        """Write what was taken in."""
        chunk, self._chunk = self._chunk, []
        if not chunk:
            return
        drafts = [step.draft for step in chunk]
        result = self.ledger.import_events(drafts, strict=self.options.strict)
        refused = {index for index, _ in result.conflicts}
        for index in sorted(refused):
            step = chunk[index]
            self.reject(
                Fault(
                    step.ref, "", step.draft.source.record or "", "conflicting-change",
                    "the ledger has this change with other content; what is recorded stays",
                )
            )  # fmt: skip
        self.report.events_added += result.added
        self.report.events_known += result.known
        for index, step in enumerate(chunk):
            if index not in refused:
                self._used[step.ref.file].add(step.ref.row)
                self.report.events_by_type[step.draft.payload.type] += 1
                self.report.reconciled += step.reconciled

    def refuse_rejects(self) -> None:
        """Refuse the whole import if any row was rejected, or any cell left out.

        Raises:
            InvalidInput: `rows-rejected`.
        """
        left_out = self._left_out()
        if not left_out:
            return
        path = self.rejects_path()
        write_rejects(path, left_out)
        first = left_out[0]
        rows, cells = len(self.rejects), len(left_out) - len(self.rejects)
        counted = [f"{rows} row{'s'[: rows != 1]} cannot be used"] if rows else []
        counted += [f"{cells} cell{'s'[: cells != 1]} cannot be read"] if cells else []
        raise InvalidInput(
            "rows-rejected",
            f"{' and '.join(counted)}, and nothing was imported; the first: {first.reason}",
            where=f"{first.file}:{first.row}:{first.column}",
            hint=f"all of them are in {path}",
        )

    def _left_out(self) -> list[Reject]:
        """Rows, then cells of rows that were kept."""
        rows = {(row.file, row.row) for row in self.rejects}
        return self.rejects + [cell for cell in self.cells if (cell.file, cell.row) not in rows]

    def finish(self) -> Report:
        """Count what became of the rows, write the rejects file, and hand over the report."""
        self.flush()
        report = self.report
        for number, part in enumerate(report.files):
            self._count(number, part)
        report.warnings += sentences.warnings(self.tallies)
        report.caveats += sentences.caveats(self.tallies)
        left_out = self._left_out()
        report.cells_left_out = len(left_out) - len(self.rejects)
        report.rejects = left_out[:REJECTS_SHOWN_MAX]
        path = self.rejects_path()
        if left_out:
            write_rejects(path, left_out)
            report.rejects_path = path
        elif self.options.rejects is None:
            path.unlink(missing_ok=True)
        report.check()
        return report

    def _count(self, number: int, part: FileReport) -> None:
        part.rejected += len(self._rejected[number])
        part.used = len(self._used[number] - self._rejected[number])
        part.unchanged = part.rows_read - part.used - part.ignored - part.rejected

    def rejects_path(self) -> Path:
        """Where what this import leaves out is written."""
        if self.options.rejects is not None:
            return self.options.rejects
        home = self.options.home or Path()
        return home / "rejects" / rejects_name(self._paths)


def default_currency(ledger: Target, given: str | None) -> tuple[str, str]:
    """The currency of amounts that say none, and why it is that.

    Raises:
        InvalidInput: `unknown-currency`.
    """
    if given is not None:
        minor_units(given)
        return given, "as told"
    found, why = DEFAULT_CURRENCY, "the default"
    for event in ledger.stream(SETTINGS_STREAM):
        if event["type"] == "reporting-currency-set":
            found, why = event["payload"]["currency"], "the ledger's reporting currency"
    return found, why
