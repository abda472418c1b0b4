"""Canonical events as NDJSON: one envelope a line, out of a ledger and into one.

Law: an export is the recorded bytes, in the order of positions. An import keeps all that the writer
said: id, stream, type, payload, actor, source, times, causation and correlation; position, version
and `recorded_at` are this ledger's own. What another ledger witnessed, this one did not: such an
event becomes attested here, known at the other's `recorded_at`. Bringing an export into the ledger
that wrote it adds nothing.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from uuid import UUID

from ledger.connectors.facts import Ref
from ledger.connectors.report import FileReport, Reject, Report
from ledger.connectors.writing import (
    CHUNK_EVENTS_MAX,
    NO_OPTIONS,
    Fault,
    ImportOptions,
    ImportResult,
    Progress,
    Step,
    Target,
    Writer,
    no_progress,
)
from ledger.domain.envelope import EVENT_BYTES_MAX
from ledger.domain.errors import InvalidInput
from ledger.domain.events import (
    CATALOGUE,
    TYPES,
    Draft,
    Event,
    Source,
    parse_payload,
    stream_category,
    upcast,
)
from ledger.domain.json_text import parse_object
from ledger.domain.times import Instant, format_instant, parse_instant
from ledger.store import log
from ledger.store.ledger import Ledger

LINE_BYTES_MAX = 4 * EVENT_BYTES_MAX
_KEYS = frozenset(
    {"actor", "causation_id", "correlation_id", "event_id", "known_at", "occurred_at", "payload",
     "position", "recorded_at", "schema_version", "source", "stream", "stream_version", "type"}
)  # fmt: skip


class EventTarget(Target, Protocol):
    """A ledger that can also find one event."""

    def event(self, event_id: UUID) -> Event | None: ...


def export_events(
    ledger: Ledger,
    sink: BinaryIO,
    up_to: int | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write the recorded envelopes, one a line, in the order of positions.

    Args:
        ledger: the ledger to read.
        sink: where the bytes go; the caller opens and closes it.
        up_to: the last position; by default the end of the log when reading begins.
        progress: see `Progress`.

    Returns:
        How many events were written.
    """
    last = ledger.head().size if up_to is None else min(up_to, ledger.head().size)
    position = 0
    while rows := ledger.database.do(partial(log.batch, position, last, None, None)):
        sink.write(b"\n".join(row.envelope for row in rows) + b"\n")
        position = rows[-1].position
        progress("exporting", position, last)
    return position


def import_events(
    ledger: EventTarget,
    path: Path,
    options: ImportOptions = NO_OPTIONS,
    progress: Progress = no_progress,
) -> Report:
    """Bring in canonical events.

    Args:
        ledger: the ledger to write to.
        path: an `.ndjson` file, or one with `.gz`.
        options: only `strict`, `rejects` and `home` count here.
        progress: see `Progress`.

    Raises:
        InvalidInput: `missing-file`, `unreadable-file`, `rows-rejected` (strict).
    """
    if not path.is_file():
        raise InvalidInput("missing-file", f"there is no file {path}")
    if options.strict:
        _check_whole(ledger, path, options)
    incoming = _Incoming(ledger, path, options)
    for _ in incoming.steps(progress):
        if len(incoming.chunk) == CHUNK_EVENTS_MAX:
            incoming.flush()
    incoming.flush()
    return incoming.writer.finish()


def _check_whole(ledger: EventTarget, path: Path, options: ImportOptions) -> None:
    """Read the whole file without writing; refuse it if a line is at fault.

    Raises:
        InvalidInput: `rows-rejected`.
    """
    incoming = _Incoming(ledger, path, options)
    for step in incoming.steps(no_progress):
        recorded = ledger.event(step.draft.event_id)
        if recorded is not None and not says_the_same(recorded, step.draft):
            incoming.writer.reject(_taken(step))
        incoming.chunk.clear()
    incoming.writer.refuse_rejects()


class _Incoming:
    """The lines of one file on their way into the ledger."""

    def __init__(self, ledger: EventTarget, path: Path, options: ImportOptions) -> None:
        self.ledger = ledger
        self.path = path
        self.clock = ledger.clock()
        self.writer = Writer(ledger, [path], options, "events")
        self.part = FileReport(path.name, "events")
        self.writer.report.files.append(self.part)
        self.chunk: list[Step] = []

    def steps(self, progress: Progress) -> Iterator[Step]:
        """Each line that can be read, also put into the chunk; the others are rejected."""
        for number, line in _lines(self.path):
            if not line.strip():
                continue
            self.part.rows_read += 1
            if self.part.rows_read % 1000 == 0:
                progress(f"reading {self.path.name}", self.part.rows_read, None)
            try:
                step = Step(draft_of(line, self.clock), Ref(0, number))
            except InvalidInput as error:
                self._reject(number, line, error)
            else:
                self.chunk.append(step)
                yield step

    def _reject(self, number: int, line: bytes, error: InvalidInput) -> None:
        self.part.rejected += 1
        text = line.decode(errors="replace")
        self.writer.rejects.append(
            Reject(self.path.name, number, error.where, text, error.code, error.message)
        )

    def flush(self) -> None:
        """Write the chunk; what the ledger has already is told from what it has otherwise."""
        chunk, self.chunk = self.chunk, []
        if chunk:
            self._write(chunk)

    def _write(self, chunk: list[Step]) -> None:
        try:
            result = self.ledger.import_events([step.draft for step in chunk])
        except InvalidInput as error:
            if len(chunk) == 1:
                step = chunk[0]
                fault = Fault(step.ref, error.where, step.draft.stream, error.code, error.message)
                self.writer.reject(fault)
                return
            half = len(chunk) // 2
            self._write(chunk[:half])
            self._write(chunk[half:])
            return
        self._count(chunk, result)

    def _count(self, chunk: list[Step], result: ImportResult) -> None:
        report = self.writer.report
        report.events_added += result.added
        report.events_known += result.known
        left_out = {index for index, _ in result.conflicts}
        for index in sorted(left_out):
            recorded = self.ledger.event(chunk[index].draft.event_id)
            if recorded is not None and says_the_same(recorded, chunk[index].draft):
                report.events_known += 1
            else:
                self.writer.reject(_taken(chunk[index]))
        if result.added:
            for index, step in enumerate(chunk):
                if index not in left_out:
                    self.writer.use(step.ref)
                    report.events_by_type[step.draft.payload.type] += 1


def draft_of(line: bytes, clock: Instant) -> Draft:
    """Read one line.

    Args:
        line: an envelope in JSON.
        clock: now; nothing can be known later.

    Raises:
        InvalidInput: `not-json`, `duplicate-key`, `unknown-field`, `missing-field`, `wrong-stream`,
            `known-in-the-future`, `occurred-after-known`, or what is wrong with a part.
    """
    facts = _facts_of(line)
    kind = stream_category(facts["stream"])
    event_type = facts["type"]
    model = TYPES.get(event_type)
    if model is not None and model not in CATALOGUE[kind]:
        raise InvalidInput(
            "wrong-stream", f"{event_type} cannot stand in a stream of kind {kind}", where="stream"
        )
    given = facts.get("schema_version", 1 if model is None else model.schema_version)
    payload = parse_payload(event_type, upcast(event_type, given, facts["payload"]))
    occurred_at = parse_instant(facts["occurred_at"], where="occurred_at")
    spelt = facts.get("known_at") or facts.get("recorded_at")
    if spelt is None:
        raise InvalidInput(
            "missing-field",
            "an event that no ledger recorded must give known_at",
            where="known_at",
        )
    known_at = parse_instant(spelt, where="known_at")
    if known_at > clock:
        raise InvalidInput("known-in-the-future", "later than the ledger's clock", where="known_at")
    if occurred_at > known_at and not payload.announceable:
        raise InvalidInput(
            "occurred-after-known", "it was known before it happened", where="occurred_at"
        )
    source = facts["source"]
    return Draft(
        facts["stream"], payload, _uuid(facts, "event_id"), facts["actor"],
        Source(source["system"], source.get("record")), occurred_at, known_at,
        _uuid(facts, "causation_id") if "causation_id" in facts else None,
        _uuid(facts, "correlation_id") if "correlation_id" in facts else None,
    )  # fmt: skip


def _facts_of(line: bytes) -> dict[str, Any]:
    """The line as JSON, its parts of the right kinds."""
    if len(line) > LINE_BYTES_MAX:
        raise InvalidInput("event-too-large", f"the line is longer than {LINE_BYTES_MAX} bytes")
    try:
        facts = parse_object(line, what="the event")
    except InvalidInput as error:
        code = "not-json" if error.code == "invalid-json" else error.code
        raise InvalidInput(code, error.message, where=error.where) from None
    if unknown := sorted(facts.keys() - _KEYS):
        raise InvalidInput("unknown-field", f"an event has no {unknown[0]!r}", where=unknown[0])
    for name in ("actor", "event_id", "occurred_at", "stream", "type", "payload", "source"):
        if name not in facts:
            raise InvalidInput("missing-field", f"no {name}", where=name)
    for name, value in facts.items():
        wanted = _wanted(name)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise InvalidInput("invalid-field", f"{name} is not {wanted.__name__}", where=name)
    source = facts["source"]
    texts = all(isinstance(part, str) for part in source.values())
    if "system" not in source or source.keys() - {"system", "record"} or not texts:
        raise InvalidInput("invalid-field", "a source has a system and a record", where="source")
    return facts


def _wanted(name: str) -> type:
    if name in ("payload", "source"):
        return dict
    return int if name in ("position", "stream_version", "schema_version") else str


def _uuid(facts: Mapping[str, Any], name: str) -> UUID:
    try:
        return UUID(facts[name])
    except ValueError:
        raise InvalidInput("invalid-id", f"{name} is not a UUID", where=name) from None


def says_the_same(recorded: Event, draft: Draft) -> bool:
    """Whether a recorded event says what a line says, also if one of them was witnessed."""
    source = {"system": draft.source.system}
    if draft.source.record is not None:
        source["record"] = draft.source.record
    return draft.known_at is not None and (
        recorded["stream"], recorded["type"], recorded["payload"], recorded["actor"],
        recorded["source"], recorded["occurred_at"], recorded["known_at"],
        recorded.get("causation_id"), recorded.get("correlation_id"),
    ) == (
        draft.stream, draft.payload.type, draft.payload.to_json(), draft.actor,
        source, format_instant(draft.occurred_at), format_instant(draft.known_at),
        None if draft.causation_id is None else str(draft.causation_id),
        None if draft.correlation_id is None else str(draft.correlation_id),
    )  # fmt: skip


def _taken(step: Step) -> Fault:
    return Fault(
        step.ref, "event_id", str(step.draft.event_id), "conflicting-change",
        "the ledger has this event with other content; what is recorded stays",
    )  # fmt: skip


def _open_bytes(path: Path) -> BinaryIO:
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    return cast("BinaryIO", gzip.open(path, "rb")) if zipped else path.open("rb")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, from 1; a line that is too long is cut there."""
    with _open_bytes(path) as stream:
        number = 0
        try:
            while line := stream.readline(LINE_BYTES_MAX + 2):
                number += 1
                part = line
                while not part.endswith(b"\n") and len(part) > LINE_BYTES_MAX:
                    part = stream.readline(LINE_BYTES_MAX + 2)
                yield number, line
        except (EOFError, OSError) as error:
            raise InvalidInput("unreadable-file", f"{path.name} cannot be read: {error}") from None
