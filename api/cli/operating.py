"""Commands that operate the ledger: serve, migrate, check, config."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli import progress
from api.cli.output import write_line, write_table
from api.cli.session import open_ledger, settings
from ledger.config import shown
from ledger.domain.errors import Unavailable
from ledger.store import migrate as migrations
from ledger.store.audit import FAULTS_MAX, check_log
from ledger.store.embedded import EmbeddedServer
from projections.tables.checks import check_tables


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; loopback unless asked.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve GraphQL at /graphql."""
    from api.http.server import serve as run

    run(settings(), host=host, port=port)


def migrate() -> None:
    """Bring the database's schema up to this release."""
    chosen = settings()
    if chosen.database_url is not None:
        _report(migrations.migrate(chosen.database_url.get_secret_value()))
        return
    with EmbeddedServer(chosen.home) as server:
        _report(migrations.migrate(server.url()))


def _report(report: migrations.MigrationReport) -> None:
    for name in report.applied:
        write_line(f"applied {name}")
    if not report.applied:
        write_line("nothing to apply: the schema is up to date")
    if not report.roles:
        write_line("this login may not create roles: triggers alone protect the log")


def check() -> None:
    """Check the log from end to end, and that the read models made of it are consistent."""
    with (
        open_ledger() as ledger,
        ledger.database.connection() as connection,
        progress.bar() as advance,
    ):
        report = check_log(connection, lambda done, total: advance("Checking the log", done, total))
        found = check_tables(connection, lambda done, total: advance("Checking deals", done, total))
        faults = list(found)
    write_line(f"{report.events} events read, {report.fault_count} faults")
    for fault in report.faults:
        write_line(f"position {fault.position}: {fault.message} [{fault.code}]")
    if report.fault_count:
        raise Unavailable("log-damaged", "the log is damaged", hint="restore it from a backup")
    balanced = "not zero" if any(each.code == "trial-balance" for each in faults) else "zero"
    write_line(f"read models: {len(faults)} faults, the trial balance is {balanced}")
    for each in faults[:FAULTS_MAX]:
        write_line(f"{each.where}: {each.message} [{each.code}]")
    if faults:
        raise Unavailable(
            "read-models-damaged", "the read models are not consistent", hint="run qledger rebuild"
        )


def config() -> None:
    """The settings in force, by environment variable; secrets are masked."""
    write_table("Settings", ["variable", "value"], [[k, v] for k, v in shown(settings()).items()])
