"""The log works on the oldest PostgreSQL that we promise, 15, where that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from ledger import service
from ledger.config import Settings
from ledger.domain.events import Draft, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.store.audit import check_log
from ledger.store.ledger import Ledger
from ledger.store.migrate import migrate

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
OWNER = "postgres"
THEN = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def oldest_url() -> Iterator[str]:
    if not (PROGRAMS / "initdb").exists() or os.geteuid() != 0:
        pytest.skip(f"needs {PROGRAMS} (Debian's postgresql-15) and root to run it as {OWNER}")
    folder = Path(tempfile.mkdtemp(prefix="qledger-pg15-"))
    shutil.chown(folder, OWNER)
    _as_owner("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", OWNER)
    options = f"-k {folder} -c listen_addresses="
    log = str(folder / "log")
    _as_owner("pg_ctl", "-D", str(folder / "data"), "-o", options, "-l", log, "-w", "start")
    try:
        yield f"postgresql://{OWNER}@/postgres?host={folder}"
    finally:
        _as_owner("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder)


def _as_owner(program: str, *arguments: str) -> None:
    subprocess.run(
        [str(PROGRAMS / program), *arguments],
        check=True, user=OWNER, cwd="/", stdout=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_log_works_on_postgresql_15(oldest_url: str, tmp_path: Path) -> None:
    migrate(oldest_url)
    with Ledger.open(Settings(home=tmp_path, database_url=SecretStr(oldest_url))) as ledger:
        opened = parse_payload("deal-opened", {"name": "A deal"})
        draft = Draft(
            "deal:A", opened, event_id_of("crm", "A", "opened"), "crm", Source("crm"), THEN, THEN
        )
        assert ledger.import_events([draft]).added == 1
        receipt = service.record(ledger, "deal:A", ("stage-claimed", {"stage": "New"}), actor="ann")
        assert receipt.position == 2
        with ledger.database.connection() as connection:
            assert connection.info.server_version // 10_000 == 15
            assert check_log(connection).fault_count == 0
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM qledger.event")
