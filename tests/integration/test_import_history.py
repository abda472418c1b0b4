"""Importing into the real store: again, grown, killed, out and in again."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from ledger.config import Settings
from ledger.connectors.importer import import_csv
from ledger.connectors.ndjson import export_events, import_events
from ledger.connectors.report import Report
from ledger.connectors.salesforce import import_salesforce
from ledger.connectors.writing import ImportOptions
from ledger.domain.events import Draft, ReportingCurrencySet, Source
from ledger.domain.ids import event_id_at
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from tests.unit.connectors_kit import MAPPINGS, public_data, write_files

RECORD = "Id,Name,StageName,Amount,CloseDate,OwnerId,CreatedDate\n"
HISTORY = "Id,OpportunityId,StageName,Amount,CloseDate,CreatedDate,CreatedById\n"
STAGES = ("Alpha", "Beta", "Gamma", "Closed Won", "Closed Lost")


def write_book(folder: Path, deals: int, rows: int) -> Path:
    """A seeded book: as many deals, each with as many history rows."""
    chance = random.Random(7)
    records, history = [RECORD], [HISTORY]
    for number in range(deals):
        stage = "Alpha"
        for row in range(rows):
            stage = chance.choice(STAGES)
            history.append(
                f"H{number}-{row},D{number},{stage},{chance.randint(1, 99)}00,2026-06-30,"
                f"2026-{row % 6 + 1:02}-{number % 28 + 1:02}T10:00:00Z,U{number % 9}\n"
            )
        records.append(f"D{number},Deal {number},{stage},500,2026-06-30,U{number % 9},2026-01-01\n")
    return write_files(folder, {"o.csv": "".join(records), "h.csv": "".join(history)})


def export(ledger: Ledger) -> list[bytes]:
    sink = io.BytesIO()
    count = export_events(ledger, sink)
    lines = sink.getvalue().splitlines()
    assert len(lines) == count
    return lines


def without_recorded_at(lines: list[bytes]) -> list[dict[str, object]]:
    facts = [orjson.loads(line) for line in lines]
    for fact in facts:
        del fact["recorded_at"]
    return facts


@contextmanager
def another_ledger(server: EmbeddedServer, home: Path, name: str) -> Iterator[Ledger]:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        template = Identifier("qledger_template")
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), template))
        url = SecretStr(server.url(name))
        with Ledger.open(Settings(home=home, database_url=url)) as opened:
            yield opened
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def test_a_second_import_adds_nothing(ledger: Ledger, tmp_path: Path) -> None:
    folder = write_book(tmp_path / "book", deals=300, rows=6)
    options = ImportOptions(home=tmp_path)
    first = import_salesforce(ledger, folder, options)
    assert first.events_added == ledger.head().size > 1_500
    again = import_salesforce(ledger, folder, options)
    assert (again.events_added, again.total.used, again.total.rejected) == (0, 0, 0)


def test_an_import_may_run_twice_at_once(settings: Settings, tmp_path: Path) -> None:
    folder = write_book(tmp_path / "book", deals=1500, rows=6)
    program = [sys.executable, "-c", _IMPORT, str(folder), str(tmp_path)]
    both = [subprocess.Popen(program, env=_environment(settings)) for _ in range(2)]
    assert [one.wait(timeout=120) for one in both] == [0, 0]
    with Ledger.open(settings) as ledger:
        size = ledger.head().size
        report = import_salesforce(ledger, folder, ImportOptions(home=tmp_path))
        assert (report.events_added, ledger.head().size) == (0, size)
        opened = sum(1 for _ in ledger.events(types=["deal-opened"]))
        assert opened == 1500


def test_an_import_that_is_killed_and_run_again_ends_as_one_run(
    settings: Settings, server: EmbeddedServer, tmp_path: Path
) -> None:
    folder = write_book(tmp_path / "book", deals=3000, rows=6)
    program = [sys.executable, "-c", _IMPORT, str(folder), str(tmp_path)]
    with Ledger.open(settings) as ledger:
        kills = 0
        seen = 0
        while kills < 4:
            running = subprocess.Popen(program, env=_environment(settings))
            while running.poll() is None and ledger.head().size <= seen:
                time.sleep(0.01)
            if running.poll() is not None:
                break
            running.send_signal(signal.SIGKILL)
            running.wait()
            kills += 1
            seen = ledger.head().size
        assert kills > 0
        import_salesforce(ledger, folder, ImportOptions(home=tmp_path))
        resumed = export(ledger)
    with another_ledger(server, tmp_path, "one_run") as whole:
        import_salesforce(whole, folder, ImportOptions(home=tmp_path))
        assert without_recorded_at(export(whole)) == without_recorded_at(resumed)


_IMPORT = """
import sys
from pathlib import Path
from ledger.connectors.salesforce import import_salesforce
from ledger.connectors.writing import ImportOptions
from ledger.store.ledger import Ledger
with Ledger.open() as ledger:
    import_salesforce(ledger, Path(sys.argv[1]), ImportOptions(home=Path(sys.argv[2])))
"""


def _environment(settings: Settings) -> dict[str, str]:
    assert settings.database_url is not None
    return {
        **os.environ,
        "QLEDGER_HOME": str(settings.home),
        "QLEDGER_DATABASE_URL": settings.database_url.get_secret_value(),
    }


def test_events_go_out_and_in_again(ledger: Ledger, server: EmbeddedServer, tmp_path: Path) -> None:
    folder = write_book(tmp_path / "book", deals=200, rows=6)
    options = ImportOptions(home=tmp_path)
    import_salesforce(ledger, folder, options)
    now = ledger.clock()
    payload = ReportingCurrencySet(currency="EUR")
    witnessed = Draft(
        "settings:ledger", payload, event_id_at(now), "ann", Source("qledger"), now
    )  # fmt: skip
    ledger.record([witnessed])
    out_of_a = tmp_path / "a.ndjson"
    out_of_a.write_bytes(b"\n".join(export(ledger)) + b"\n")
    with (
        another_ledger(server, tmp_path, "round_b") as second,
        another_ledger(server, tmp_path, "round_c") as third,
    ):
        brought = import_events(second, out_of_a, options)
        assert brought.events_added == ledger.head().size
        out_of_b = tmp_path / "b.ndjson"
        lines = export(second)
        out_of_b.write_bytes(b"\n".join(lines) + b"\n")
        assert (
            orjson.loads(lines[-1])["known_at"] == orjson.loads(export(ledger)[-1])["recorded_at"]
        )
        back = import_events(ledger, out_of_b, options)
        assert (back.events_added, back.total.rejected) == (0, 0)
        same = import_events(ledger, out_of_a, options)
        assert (same.events_added, same.total.rejected) == (0, 0)
        import_events(third, out_of_b, options)
        assert without_recorded_at(export(third)) == without_recorded_at(lines)


def salesforce(name: str) -> Callable[[Ledger, Path], Report]:
    return lambda ledger, home: import_salesforce(
        ledger, public_data(name), ImportOptions(home=home)
    )


def mapped(name: str, mapping: str, *files: str) -> Callable[[Ledger, Path], Report]:
    return lambda ledger, home: import_csv(
        ledger, MAPPINGS / mapping, [public_data(name) / file for file in files],
        ImportOptions(home=home),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bring", "deals", "rejected", "warning"),
    [
        (salesforce("preppin_salesforce"), 219, 0,
         "dated before the deal was created: 43 history rows"),
        (salesforce("salesforce_devorg"), 36, 0, None),
        (salesforce("revops_meddicc_history"), 400, 0,
         "an open stage after a close: 12 times; the deal reopens"),
        (salesforce("fivetran_salesforce"), 9, 2, "not an e-mail address: 10 cells; left out"),
        (mapped("maven_crm", "maven_crm.toml", "sales_pipeline.csv", "products.csv"), 8800, 0,
         "without an account: 1425 deals"),
        (mapped("hubspot_import_shape", "hubspot_export.toml", "hubspot_deals.csv"), 500, 0, None),
        (mapped("bpic2012_2011q4", "bpic2012.toml", "bpic2012_2011q4.csv.gz"), 7455, 0, None),
    ],
    ids=["preppin", "devorg", "revops", "fivetran", "maven", "hubspot", "bpic"],
)  # fmt: skip
def test_public_exports_import_and_a_second_time_adds_nothing(
    ledger: Ledger, tmp_path: Path, bring: Callable[[Ledger, Path], Report],
    deals: int, rejected: int, warning: str | None,
) -> None:  # fmt: skip
    first = bring(ledger, tmp_path)
    assert (first.deals, first.total.rejected) == (deals, rejected)
    assert first.events_added == ledger.head().size
    assert warning is None or warning in first.warnings
    again = bring(ledger, tmp_path)
    assert (again.events_added, again.total.used, again.total.rejected) == (0, 0, rejected)
