"""The data sets: where each lies, how either side reads it, and the days that are asked about."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from ledger.connectors.importer import ImportOptions, import_csv
from ledger.connectors.report import Report
from ledger.connectors.salesforce import import_salesforce
from ledger.store.ledger import Ledger

from . import exports
from .oracle import Oracle, Quarter

MAPPINGS = Path(__file__).parents[3] / "docs" / "mappings"

Row = dict[str, str]


class Case(NamedTuple):
    """A data set.

    Args:
        folder: its folder among the public data.
        read: the oracle's reading of the folder.
        bring: the product's reading: ledger, folder, home.
        days: the days and instants asked about.
        grouped: those asked about owner by owner as well.
        quarters: asked about on every day, besides the day's own quarter and its neighbours.
        every_deal_on: the days on which every deal is compared; all of them when empty.
        late: whether it is read from a copy in which closings were entered late.
    """

    folder: str
    read: Callable[[Path], Oracle]
    bring: Callable[[Ledger, Path, Path], Report]
    days: tuple[str, ...]
    grouped: frozenset[str] = frozenset()
    quarters: tuple[Quarter, ...] = ()
    every_deal_on: frozenset[str] = frozenset()
    late: bool = False


def _salesforce(
    date_order: Literal["dmy", "mdy"] | None = None,
) -> Callable[[Ledger, Path, Path], Report]:
    def bring(ledger: Ledger, folder: Path, home: Path) -> Report:
        options = ImportOptions(date_order=date_order, currency="USD", home=home)
        return import_salesforce(ledger, folder, options)

    return bring


def _mapped(mapping: str, file: str) -> Callable[[Ledger, Path, Path], Report]:
    def bring(ledger: Ledger, folder: Path, home: Path) -> Report:
        path = MAPPINGS / f"{mapping}.toml"
        return import_csv(ledger, path, [folder / file], ImportOptions(home=home))

    return bring


def late_closings(folder: Path, into: Path) -> None:
    """Copy the invented company's files with every other closing entered 3 to 23 days late.

    The close date that such a row carries stays as it was, so that it lies before the row's change.
    Rows after it that came sooner now precede the closing.
    """
    rows = rows_of(folder / "opportunity_history.csv")
    for row in rows:
        number = int(row["opportunity_id"].removeprefix("O"))
        if row["stage"].startswith("Closed") and number % 2 == 0:
            entered = date.fromisoformat(row["changed_date"]) + timedelta(3 + number % 21)
            row["changed_date"] = entered.isoformat()
    write(into / "opportunity_history.csv", rows)
    (into / "opportunities.csv").write_bytes((folder / "opportunities.csv").read_bytes())


def rows_of(path: Path) -> list[Row]:
    """The rows of a file with a header."""
    with _text(path, "rt") as source:
        return list(csv.DictReader(source))


def write(path: Path, rows: list[Row]) -> None:
    """Write rows with a header."""
    with _text(path, "wt") as target:
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _text(path: Path, mode: Literal["rt", "wt"]) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, mode, compresslevel=1, encoding="utf-8-sig", newline="")
    return path.open(mode, encoding="utf-8-sig", newline="")


_REVOPS_DAYS = (
    "2025-04-30",
    "2025-06-30",
    "2025-09-30",
    "2025-11-21",
    "2025-12-31",
    "2026-02-15",
    "2026-03-12",
    "2026-03-31",
    "2026-04-05",
    "2026-06-30",
    "2026-08-31",
    "2026-09-30",
    "2026-10-07",
    "2026-10-08",
    "2026-11-15",
)

CASES = {
    "preppin": Case(
        "preppin_salesforce",
        exports.preppin,
        _salesforce("dmy"),
        days=(
            "2021-12-31",
            "2022-01-31",
            "2022-03-02",
            "2022-03-31",
            "2022-05-24",
            "2022-06-30",
            "2022-07-07",
            "2022-08-15",
            "2022-09-30",
            "2022-11-11",
            "2022-12-23",
            "2022-12-24",
            "2022-12-31",
        ),
        grouped=frozenset({"2022-03-31", "2022-06-30", "2022-11-11"}),
    ),
    "revops": Case(
        "revops_meddicc_history",
        exports.revops,
        _salesforce(),
        days=_REVOPS_DAYS,
        grouped=frozenset({"2025-12-31", "2026-03-31", "2026-09-30", "2026-10-08"}),
        quarters=(Quarter(2027, 1),),
    ),
    "revops_late": Case(
        "revops_meddicc_history",
        exports.revops,
        _salesforce(),
        days=_REVOPS_DAYS[2:-1],
        grouped=frozenset({"2025-12-31", "2026-03-31", "2026-09-30"}),
        late=True,
    ),
    "devorg": Case(
        "salesforce_devorg",
        exports.devorg,
        _salesforce(),
        days=(
            "2026-02-22",
            "2026-02-23T12:00:00Z",
            "2026-02-23T20:54:59Z",
            "2026-02-23T20:55:00Z",
            "2026-02-23",
            "2026-02-24T02:17:00Z",
            "2026-02-24T02:19:30Z",
            "2026-02-24T02:20:00Z",
            "2026-02-24T02:21:30Z",
            "2026-02-24",
            "2026-03-07T20:58:59Z",
            "2026-03-07T20:59:00Z",
            "2026-03-07",
            "2026-03-31",
            "2026-06-30",
        ),
        quarters=(Quarter(2021, 1), Quarter(2024, 1)),
    ),
    "maven": Case(
        "maven_crm",
        exports.maven,
        _mapped("maven_crm", "sales_pipeline.csv"),
        days=(
            "2016-12-31",
            "2017-03-01",
            "2017-03-31",
            "2017-05-15",
            "2017-06-30",
            "2017-08-20",
            "2017-09-30",
            "2017-11-11",
            "2017-12-15",
            "2017-12-30",
            "2017-12-31",
        ),
        grouped=frozenset({"2017-03-31", "2017-06-30", "2017-12-31"}),
        every_deal_on=frozenset({"2017-08-20", "2017-12-31"}),
    ),
    "bpic2012": Case(
        "bpic2012_2011q4",
        exports.bpic2012,
        _mapped("bpic2012", "bpic2012_2011q4.csv.gz"),
        days=(
            "2011-09-30",
            "2011-10-01T12:00:00Z",
            "2011-10-07",
            "2011-10-14T09:30:00.250Z",
            "2011-10-31",
            "2011-11-09",
            "2011-11-18",
            "2011-11-30",
            "2011-12-10T08:15:30Z",
            "2011-12-20",
            "2011-12-31",
        ),
        every_deal_on=frozenset({"2011-10-14T09:30:00.250Z", "2011-11-30"}),
    ),
}
