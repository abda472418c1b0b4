"""A ledger in memory and small exports, for tests of how rows become events."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from ledger.connectors.importer import import_csv
from ledger.connectors.report import Report
from ledger.connectors.salesforce import import_salesforce
from ledger.connectors.writing import ImportOptions
from ledger.domain.envelope import content, decode, prepare, splice
from ledger.domain.errors import Conflict
from ledger.domain.events import Draft, Event
from ledger.domain.times import Instant

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
DATA = Path(os.environ.get("QLEDGER_DATA", Path(__file__).parents[3] / "shared" / "data"))
MAPPINGS = Path(__file__).parents[2] / "docs" / "mappings"


class Result(NamedTuple):
    added: int
    known: int
    conflicts: list[tuple[int, Conflict]]


class Killed(Exception):
    """What stands in for a killed process."""


class MemoryLedger:
    """Keeps the rules of the real one: idempotent by id, all or nothing a chunk.

    Args:
        dies_at: the number of the chunk before which it stops working; none for never.
    """

    def __init__(self, dies_at: int | None = None) -> None:
        self.log: list[bytes] = []
        self.streams: dict[str, list[bytes]] = {}
        self.by_id: dict[UUID, bytes] = {}
        self.chunks = 0
        self.dies_at = dies_at

    def import_events(self, drafts: Sequence[Draft], *, strict: bool = False) -> Result:
        assert not strict or self.dies_at is None
        assert len(drafts) <= 5_000
        self.chunks += 1
        if self.chunks == self.dies_at:
            raise Killed
        added = known = 0
        conflicts = []
        for index, draft in enumerate(drafts):
            assert draft.known_at is not None
            assert draft.payload.announceable or draft.occurred_at <= draft.known_at <= NOW
            version = len(self.streams.get(draft.stream, [])) + 1
            envelope = splice(prepare(draft, version), len(self.log) + 1, NOW)
            before = self.by_id.get(draft.event_id)
            if before is None:
                self.by_id[draft.event_id] = envelope
                self.log.append(envelope)
                self.streams.setdefault(draft.stream, []).append(envelope)
                added += 1
            elif content(before) == content(envelope):
                known += 1
            else:
                conflicts.append((index, Conflict("event-id-taken", "other content")))
        return Result(added, known, conflicts)

    def stream(self, name: str) -> list[Event]:
        return [decode(envelope) for envelope in self.streams.get(name, [])]

    def last_versions(self, streams: Sequence[str]) -> dict[str, int]:
        return {name: len(self.streams[name]) for name in streams if name in self.streams}

    def clock(self) -> Instant:
        return NOW

    def events(self, types: Sequence[str] | None = None) -> Iterator[Event]:
        every = (decode(envelope) for envelope in self.log)
        return (event for event in every if types is None or event["type"] in types)

    def event(self, event_id: UUID) -> Event | None:
        envelope = self.by_id.get(event_id)
        return None if envelope is None else decode(envelope)

    def story(self, deal: str) -> list[str]:
        """A deal's events in one line each, in the order of the stream."""
        return [tell(event) for event in self.stream(f"deal:{deal}")]

    def fact(self, stream: str, event_type: str) -> Mapping[str, Any]:
        """The payload of the only event of a type in a stream."""
        (event,) = [event for event in self.stream(stream) if event["type"] == event_type]
        return event["payload"]


def tell(event: Event) -> str:
    """An event as a line: the time (two if they differ), the type, and what it says."""
    known, occurred = _short(event["known_at"]), _short(event["occurred_at"])
    when = known if known == occurred else f"{occurred} known {known}"
    return f"{when} {event['type']} {_say(event['payload'])}".rstrip()


def _short(text: str) -> str:
    return text[:10] if text.endswith("T00:00:00.000000Z") else text[:16]


def _say(value: Any) -> str:
    if isinstance(value, Mapping):
        if value.keys() == {"amount", "currency"}:
            return f"{value['amount']} {value['currency']}"
        return " ".join(f"{key}={_say(part)}" for key, part in sorted(value.items()))
    return str(value)


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Put small files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(data)
    return folder


def bring(
    ledger: MemoryLedger, folder: Path, files: Mapping[str, str | bytes], **options: Any
) -> Report:
    """Import small Salesforce files, which replace what the folder held."""
    if folder.exists():
        for old in folder.iterdir():
            old.unlink()
    write_files(folder, files)
    given = ImportOptions(home=folder.parent / "home", **options)
    return import_salesforce(ledger, folder, given)


def bring_csv(
    ledger: MemoryLedger,
    folder: Path,
    mapping: str,
    files: Mapping[str, str | bytes],
    **options: Any,
) -> Report:
    """Import small files by a mapping."""
    write_files(folder, {**files, "map.toml": mapping})
    given = ImportOptions(home=folder.parent / "home", **options)
    return import_csv(ledger, folder / "map.toml", [folder / name for name in files], given)


def public_data(name: str) -> Path:
    """A folder of the public data, or a skip that says that it is missing."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"public data is not here: {folder}")
    return folder
