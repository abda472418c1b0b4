"""The log itself: SQL and Python write the same bytes, nobody changes them, the audit sees it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domain.envelope import Prepared, leaf_hash, prepare, splice
from ledger.domain.events import Draft, EvidenceRecorded, Source, StageClaimed
from ledger.store import log
from ledger.store.audit import check_log
from ledger.store.database import Connection
from ledger.store.ledger import Ledger

instants = st.datetimes(
    datetime(1, 1, 2), datetime(9999, 12, 30),  # noqa: DTZ001 - Hypothesis wants them naive
    timezones=st.just(UTC),
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


def prepared(
    version: int = 1, stream: str = "deal:1", quote: str = "yes", known_at: datetime | None = None
) -> Prepared:
    then = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    evidence = EvidenceRecorded(
        criterion="budget", stance="supports", source_kind="call", quote=quote
    )
    return prepare(
        Draft(stream, evidence, uuid4(), "ann", Source("test", "1"), then, known_at), version
    )


def stored(connection: Connection, position: int) -> tuple[bytes, bytes]:
    row = connection.execute(
        "SELECT envelope, leaf_hash FROM qledger.event WHERE position = %s", [position]
    ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.fixture
def owner(ledger: Ledger) -> Iterator[Connection]:
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        yield connection


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_append_and_import_write_the_bytes_that_splice_writes(
    ledger: Ledger, data: st.DataObject
) -> None:
    quote, stream = data.draw(texts), "deal:" + data.draw(texts)
    occurred_at, known_at = data.draw(instants), data.draw(st.none() | instants)
    draft = Draft(
        stream, StageClaimed(stage="x" + quote.strip()), uuid4(), quote, Source(quote, quote),
        occurred_at, known_at,
    )  # fmt: skip
    with ledger.database.connection() as connection:
        version = log.last_versions(connection, [stream]).get(stream, 0)
        first, second = (
            prepare(draft, version + 1),
            prepare(draft._replace(event_id=uuid4()), version + 2),
        )
        for event, landed in (
            (first, log.append(connection, [first])),
            (second, log.copy_in(connection, [log.copy_row(second)])),
        ):
            envelope, leaf = stored(connection, landed.first_position)
            assert envelope == splice(event, landed.first_position, landed.recorded_at)
            assert leaf == leaf_hash(envelope)
        # The audit also compares every column with the envelope.
        assert check_log(connection).faults == ()


def test_a_batch_is_spliced_event_by_event(ledger: Ledger) -> None:
    batch = [prepared(version) for version in range(1, 13)]
    with ledger.database.connection() as connection:
        landed = log.append(connection, batch)
        for n, event in enumerate(batch):
            position = landed.first_position + n
            assert stored(connection, position)[0] == splice(event, position, landed.recorded_at)


def test_recorded_at_never_decreases_though_the_clock_does(
    ledger: Ledger, owner: Connection
) -> None:
    ahead = ledger.clock() + timedelta(hours=1)
    owner.execute("UPDATE qledger.head SET recorded_at = %s", [ahead])
    with ledger.database.connection() as connection:
        assert log.append(connection, [prepared(1)]).recorded_at == ahead
        assert log.copy_in(connection, [log.copy_row(prepared(2))]).recorded_at == ahead


def test_a_failed_append_leaves_no_gap(ledger: Ledger) -> None:
    with ledger.database.connection() as connection:
        log.append(connection, [prepared(1)])
        with pytest.raises(psycopg.errors.UniqueViolation) as violation:
            log.append(connection, [prepared(2), prepared(1)])
        assert violation.value.diag.constraint_name == log.STREAM_MOVED
        with pytest.raises(psycopg.errors.UniqueViolation) as violation:
            log.copy_in(connection, [log.copy_row(prepared(2)), log.copy_row(prepared(1))])
        assert violation.value.diag.constraint_name == log.STREAM_MOVED
        assert log.append(connection, [prepared(2)]).first_position == 2


CHANGES = [
    "UPDATE qledger.event SET type = 'x'",
    "DELETE FROM qledger.event",
    "TRUNCATE qledger.event",
    "DELETE FROM qledger.head",
    "TRUNCATE qledger.head",
    "INSERT INTO qledger.head (one, size) VALUES (false, 0)",
    "UPDATE qledger.head SET size = 0",
    "UPDATE qledger.head SET recorded_at = recorded_at - interval '1 s'",
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_is_refused_by_a_trigger(ledger: Ledger, owner: Connection, change: str) -> None:
    with ledger.database.connection() as connection:
        log.append(connection, [prepared(1)])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"):
        owner.execute(change)
    assert ledger.head().size == 1


@pytest.mark.parametrize("change", [*CHANGES[:6], "DROP TABLE qledger.event"])
def test_the_app_role_has_no_permission(ledger: Ledger, change: str) -> None:
    with (
        ledger.database.connection() as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"denied|must be owner"),
    ):
        connection.execute(change)


def test_the_reader_role_reads_and_cannot_append(ledger: Ledger, owner: Connection) -> None:
    owner.execute("SET ROLE qledger_reader")
    assert log.head(owner).size == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        log.append(owner, [prepared(1)])


@pytest.mark.parametrize(
    ("tampering", "code"),
    [
        ("UPDATE qledger.event SET type = 'deal-closed' WHERE position = 2", "column-differs"),
        ("UPDATE qledger.event SET occurred_at = now() WHERE position = 2", "column-differs"),
        ("UPDATE qledger.event SET witnessed = false WHERE position = 2", "column-differs"),
        ("UPDATE qledger.event SET event_id = gen_random_uuid()", "column-differs"),
        ("UPDATE qledger.event SET leaf_hash = '\\x00' WHERE position = 2", "leaf-hash-differs"),
        ("UPDATE qledger.event SET envelope = '{}' WHERE position = 2", "not-an-envelope"),
        ("UPDATE qledger.event SET envelope = envelope || ' '::bytea", "not-canonical"),
        ("DELETE FROM qledger.event WHERE position = 2", "position-gap"),
        ("DELETE FROM qledger.event WHERE position = 2", "stream-version-gap"),
        ("DELETE FROM qledger.event WHERE position = 3", "head-differs"),
        (
            "UPDATE qledger.event SET recorded_at = now() - interval '1 d' WHERE position = 3",
            "recorded-at-decreases",
        ),
    ],
)
def test_the_audit_sees_what_an_owner_without_triggers_did(
    ledger: Ledger, owner: Connection, tampering: str, code: str
) -> None:
    with ledger.database.connection() as connection:
        log.append(connection, [prepared(version) for version in (1, 2, 3)])
        assert check_log(connection) == (3, (), 0)
    owner.execute("ALTER TABLE qledger.event DISABLE TRIGGER ALL")
    owner.execute(tampering)
    report = check_log(owner)
    assert code in {fault.code for fault in report.faults}
    assert report.fault_count == len(report.faults)


def test_the_audit_tells_its_progress(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.audit.PROGRESS_EVENTS", 2)
    told: list[tuple[int, int]] = []
    with ledger.database.connection() as connection:
        log.append(connection, [prepared(version) for version in range(1, 6)])
        check_log(connection, lambda done, all_: told.append((done, all_)))
    assert told == [(2, 5), (4, 5)]
