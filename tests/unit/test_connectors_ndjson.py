"""Canonical events in: what a line must say, and what becomes of what another ledger witnessed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger.connectors.ndjson import import_events
from ledger.connectors.report import Report
from ledger.connectors.writing import ImportOptions
from ledger.domain.errors import InvalidInput
from tests.unit.connectors_kit import MemoryLedger

LINE: dict[str, Any] = {
    "actor": "ann",
    "event_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "known_at": "2026-01-02T00:00:00.000000Z",
    "occurred_at": "2026-01-01T00:00:00.000000Z",
    "payload": {"stage": "Alpha"},
    "source": {"system": "crm", "record": "H1"},
    "stream": "deal:D1",
    "type": "stage-claimed",
}


def bring_lines(
    ledger: MemoryLedger, folder: Path, *lines: dict[str, Any] | bytes, strict: bool = False
) -> Report:
    path = folder / "events.ndjson"
    spelt = [line if isinstance(line, bytes) else orjson.dumps(line) for line in lines]
    path.write_bytes(b"\n".join(spelt) + b"\n")
    return import_events(ledger, path, ImportOptions(home=folder, strict=strict))


def test_a_line_is_brought_in_as_it_is(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    linked = LINE | {"causation_id": LINE["event_id"], "correlation_id": LINE["event_id"]}
    report = bring_lines(ledger, tmp_path, linked, b"")
    (event,) = ledger.stream("deal:D1")
    assert linked.items() <= event.items()
    assert (report.events_added, report.total.rows_read) == (1, 1)


def test_what_another_ledger_witnessed_becomes_attested(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    witnessed = {key: value for key, value in LINE.items() if key != "known_at"} | {
        "position": 7,
        "recorded_at": "2026-01-03T00:00:00.000000Z",
        "stream_version": 2,
        "schema_version": 1,
    }
    bring_lines(ledger, tmp_path, witnessed)
    (event,) = ledger.stream("deal:D1")
    assert (event["known_at"], event["witnessed"]) == (witnessed["recorded_at"], False)
    assert bring_lines(ledger, tmp_path, witnessed).events_added == 0


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        (b"{", "", "not-json"),
        (b"[]", "", "not-json"),
        (b'{"type": "deal-opened", "type": "deal-opened"}', "type", "duplicate-key"),
        ({key: LINE[key] for key in LINE if key != "known_at"}, "known_at", "missing-field"),
        ({key: LINE[key] for key in LINE if key != "actor"}, "actor", "missing-field"),
        (LINE | {"colour": "red"}, "colour", "unknown-field"),
        (LINE | {"payload": "Alpha"}, "payload", "invalid-field"),
        (LINE | {"payload": {"stage": "x" * 121}}, "stage-claimed.stage", "text-too-long"),
        (LINE | {"type": "stage-guessed"}, "", "unknown-event-type"),
        (LINE | {"schema_version": 9}, "", "newer-schema"),
        (LINE | {"stream": "period:2026"}, "stream", "wrong-stream"),
        (LINE | {"stream": "lead:1"}, "", "invalid-stream"),
        (LINE | {"event_id": "7"}, "event_id", "invalid-id"),
        (LINE | {"source": {"record": "H1"}}, "source", "invalid-field"),
        (LINE | {"occurred_at": "2026-01-01"}, "occurred_at", "invalid-instant"),
        (LINE | {"occurred_at": "2026-02-01T00:00:00Z"}, "occurred_at", "occurred-after-known"),
        (LINE | {"known_at": "2036-02-01T00:00:00Z"}, "known_at", "known-in-the-future"),
    ],
)
def test_a_line_at_fault_is_rejected_and_the_others_come_in(
    tmp_path: Path, line: dict[str, Any] | bytes, column: str, code: str
) -> None:
    ledger = MemoryLedger()
    report = bring_lines(ledger, tmp_path, line, LINE)
    (reject,) = report.rejects
    assert (reject.file, reject.row, reject.column, reject.code) == (
        "events.ndjson", 1, column, code,
    )  # fmt: skip
    assert (report.total.used, report.total.rejected) == (1, 1)
    with pytest.raises(InvalidInput) as refused:
        bring_lines(MemoryLedger(), tmp_path, line, LINE, strict=True)
    assert refused.value.code == "rows-rejected"


def test_the_same_id_with_other_content_is_rejected(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    bring_lines(ledger, tmp_path, LINE)
    other = LINE | {"payload": {"stage": "Beta"}}
    report = bring_lines(ledger, tmp_path, other, LINE)
    assert [(reject.row, reject.code) for reject in report.rejects] == [(1, "conflicting-change")]
    assert (report.events_known, report.total.unchanged) == (1, 1)
    with pytest.raises(InvalidInput):
        bring_lines(ledger, tmp_path, other, strict=True)


def test_gzip_is_read_through_and_a_broken_file_refused(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(gzip.compress(orjson.dumps(LINE)))
    assert import_events(ledger, path, ImportOptions(home=tmp_path)).events_added == 1
    path.write_bytes(gzip.compress(orjson.dumps(LINE))[:-9])
    with pytest.raises(InvalidInput) as refused:
        import_events(ledger, path, ImportOptions(home=tmp_path))
    assert refused.value.code == "unreadable-file"
    with pytest.raises(InvalidInput) as refused:
        import_events(ledger, tmp_path / "none.ndjson")
    assert refused.value.code == "missing-file"
