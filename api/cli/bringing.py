"""Commands that bring history in and take it out: import salesforce, csv, calls, events; export."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from api.cli import progress
from api.cli.output import Format, write_json, write_line, write_table
from api.cli.session import open_ledger, settings
from ledger.domain.errors import InvalidInput
from ledger.domain.times import parse_instant

if TYPE_CHECKING:
    from ledger.connectors.importer import ImportOptions, Progress
    from ledger.connectors.report import Report
    from ledger.store.ledger import Ledger

TimeZoneOption = Annotated[
    str | None, typer.Option(help="The time zone of times without an offset; UTC by default.")
]


class DateOrder(StrEnum):
    """How dates with slashes are written."""

    DMY = "dmy"
    MDY = "mdy"


DateOrderOption = Annotated[
    DateOrder | None, typer.Option(help="How dates are written, where the files do not tell.")
]
CurrencyOption = Annotated[
    str | None, typer.Option(help="The currency of amounts without one, such as USD.")
]
PrefixOption = Annotated[
    str | None, typer.Option(help="Put before every record id, where two CRMs use the same ids.")
]
SnapshotOption = Annotated[
    str | None,
    typer.Option(help="When the export was made, an instant; by default its newest change."),
]
EncodingOption = Annotated[str | None, typer.Option(help="The files' encoding; UTF-8 by default.")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse all if a row or cell is left out.")
]
RejectsOption = Annotated[Path | None, typer.Option(help="Where to write what cannot be read.")]
MappingOption = Annotated[
    Path, typer.Option("--mapping", exists=True, dir_okay=False, help="A mapping in TOML.")
]
StagesOption = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        exists=True,
        dir_okay=False,
        help="What stages mean, in TOML: [stages] tables and nothing else.",
    ),
]
ReportOption = Annotated[Format, typer.Option("--format", help="How to write the report.")]


def salesforce(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The export.")],
    mapping: StagesOption = None,
    time_zone: TimeZoneOption = None,
    date_order: DateOrderOption = None,
    currency: CurrencyOption = None,
    id_prefix: PrefixOption = None,
    snapshot_at: SnapshotOption = None,
    encoding: EncodingOption = None,
    strict: StrictOption = False,
    rejects: RejectsOption = None,
    output: ReportOption = Format.TABLE,
) -> None:
    """Import a folder of Salesforce CSVs, found by their columns."""
    from ledger.connectors.salesforce import import_salesforce

    options = _options(
        time_zone=time_zone,
        date_order=date_order,
        currency=currency,
        id_prefix=id_prefix,
        snapshot_at=snapshot_at,
        encoding=encoding,
        strict=strict,
        rejects=rejects,
    )
    _bring(
        lambda ledger, advance: import_salesforce(ledger, directory, options, advance, mapping),
        output,
    )


def csv(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV or .gz.")],
    mapping: MappingOption,
    time_zone: TimeZoneOption = None,
    date_order: DateOrderOption = None,
    currency: CurrencyOption = None,
    id_prefix: PrefixOption = None,
    snapshot_at: SnapshotOption = None,
    encoding: EncodingOption = None,
    strict: StrictOption = False,
    rejects: RejectsOption = None,
    output: ReportOption = Format.TABLE,
) -> None:
    """Import CSV files of any CRM, with a mapping of their columns, stages and values."""
    from ledger.connectors.importer import import_csv

    options = _options(
        time_zone=time_zone,
        date_order=date_order,
        currency=currency,
        id_prefix=id_prefix,
        snapshot_at=snapshot_at,
        encoding=encoding,
        strict=strict,
        rejects=rejects,
    )
    _bring(
        lambda ledger, advance: import_csv(ledger, mapping, files, options, advance),
        output,
    )


def calls(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV or .gz.")],
    mapping: MappingOption,
    time_zone: TimeZoneOption = None,
    date_order: DateOrderOption = None,
    currency: CurrencyOption = None,
    encoding: EncodingOption = None,
    strict: StrictOption = False,
    rejects: RejectsOption = None,
    output: ReportOption = Format.TABLE,
) -> None:
    """Import rep submissions, quotas and exchange rates."""
    from ledger.connectors.calls import import_calls

    options = _options(
        time_zone=time_zone,
        date_order=date_order,
        currency=currency,
        encoding=encoding,
        strict=strict,
        rejects=rejects,
    )
    _bring(
        lambda ledger, advance: import_calls(ledger, mapping, files, options, advance),
        output,
    )


def events(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="NDJSON or .gz.")],
    strict: StrictOption = False,
    rejects: RejectsOption = None,
    output: ReportOption = Format.TABLE,
) -> None:
    """Import canonical events, one JSON object a line, as `export events` writes them."""
    from ledger.connectors.ndjson import import_events

    options = _options(strict=strict, rejects=rejects)
    _bring(lambda ledger, advance: import_events(ledger, file, options, advance), output)


def export_events(
    file: Annotated[
        Path | None, typer.Argument(help="Where to; standard output when left out.")
    ] = None,
    up_to: Annotated[int | None, typer.Option(help="The last position to write.")] = None,
) -> None:
    """Write every event as it was recorded, one envelope a line, in the order of positions."""
    if file is None:
        _export(sys.stdout.buffer, up_to)
        return
    try:
        unfinished = file.with_name(file.name + ".part")
        with unfinished.open("wb") as sink:
            written = _export(sink, up_to)
        unfinished.replace(file)
    except OSError as error:
        raise InvalidInput("unwritable-file", f"cannot write the export: {error}") from None
    write_line(f"{written} events written to {file}")


def _export(sink: BinaryIO, up_to: int | None) -> int:
    from ledger.connectors.ndjson import export_events as write

    with open_ledger() as ledger, progress.bar() as advance:
        return write(ledger, sink, up_to, advance)


def _options(
    *,
    strict: bool,
    rejects: Path | None,
    time_zone: str | None = None,
    date_order: DateOrder | None = None,
    currency: str | None = None,
    id_prefix: str | None = None,
    snapshot_at: str | None = None,
    encoding: str | None = None,
) -> ImportOptions:
    from ledger.connectors.importer import ImportOptions

    return ImportOptions(
        time_zone=time_zone,
        date_order=None if date_order is None else date_order.value,
        currency=currency,
        id_prefix=id_prefix,
        snapshot_at=None if snapshot_at is None else parse_instant(snapshot_at),
        encoding=encoding,
        strict=strict,
        rejects=rejects,
        home=settings().home,
    )


def _project(ledger: Ledger) -> None:
    from projections.service import catch_up_if_cheap

    if ledger.database.settings.project:
        with ledger.database.connection() as connection:
            catch_up_if_cheap(ledger.url, connection)


def _bring(work: Callable[[Ledger, Progress], Report], output: Format) -> None:
    with open_ledger() as ledger, progress.bar() as advance:
        report = work(ledger, advance)
        if report.events_added:
            ledger.database.analyze()
            _project(ledger)
    if output is Format.JSON:
        write_json(report.as_dict())
        return
    columns = ["file", "kind", "rows read*", "used*", "unchanged*", "ignored*", "rejected*"]
    rows = [
        [each.name, each.kind, each.rows_read, each.used, each.unchanged, each.ignored,
         each.rejected]
        for each in [*report.files, report.total]
    ]  # fmt: skip
    write_table(f"Imported from {report.system}", columns, rows)
    write_line(
        f"{report.events_added} events added, {report.events_known} of the same were there "
        f"already, {report.deals} deals, {report.reconciled} differences with the current records"
    )
    for name in report.ignored_files:
        write_line(f"not recognised, left out: {name}")
    for note in [*report.warnings, *report.caveats]:
        write_line(f"note: {note}")
    for reject in report.rejects:
        place = f"{reject.file}, row {reject.row}, {reject.column or 'the whole row'}"
        what = "rejected" if reject.left_out == "row" else "cell left out"
        write_line(f"{what}: {place}: {reject.value!r}: {reject.reason} [{reject.code}]")
    if report.rejects_path is not None:
        write_line(f"all that was left out, with the reasons: {report.rejects_path}")
