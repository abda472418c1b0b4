"""What is brought into a ledger while it is soaked: commands, each of which may be run again.

Law: the public data sets lie outside the project and are read where they lie; one that is missing
is left out with the reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.demo_book.files import write_book

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = ROOT / "docs" / "mappings"
QLEDGER = str(Path(sys.executable).with_name("qledger"))

Command = Sequence[str]


class Source(NamedTuple):
    """Something to bring in.

    Args:
        name: as it is asked for on the command line.
        commands: given a folder of its own, the commands that bring it in, in order.
        periods: fiscal periods in which its deals count.
    """

    name: str
    commands: Callable[[Path], list[Command]]
    periods: tuple[str, ...]


def data_folder() -> Path:
    """Where the public data sets lie."""
    return Path(os.environ.get("QLEDGER_DATA") or ROOT.parent / "shared" / "data")


def _demo(folder: Path) -> list[Command]:
    book = folder / "book"
    write_book(book)
    mapping = ("--mapping", str(book / "calls.toml"))
    return [
        _import("salesforce", str(book), "--mapping", str(book / "stages.toml")),
        *(_import("calls", str(book / f"{sheet}.csv"), *mapping) for sheet in ("calls", "fx")),
        _import("events", str(book / "evidence.ndjson")),
    ]


def _stories(_folder: Path) -> list[Command]:
    return []


def _salesforce(name: str, *options: str) -> Callable[[Path], list[Command]]:
    def commands(_folder: Path) -> list[Command]:
        return [_import("salesforce", str(data_folder() / name), *options)]

    return commands


def _csv(name: str, file: str, mapping: str) -> Callable[[Path], list[Command]]:
    def commands(_folder: Path) -> list[Command]:
        described = str(MAPPINGS / f"{mapping}.toml")
        return [_import("csv", str(data_folder() / name / file), "--mapping", described)]

    return commands


def _import(*arguments: str) -> Command:
    return (QLEDGER, "import", *arguments)


_USD = ("--currency", "USD")
_REAL = {
    "preppin_salesforce": Source(
        "preppin",
        _salesforce("preppin_salesforce", *_USD, "--date-order", "dmy"),
        ("2022-Q1", "2022-Q3", "2022-Q4", "2022"),
    ),
    "revops_meddicc_history": Source(
        "revops",
        _salesforce("revops_meddicc_history", *_USD),
        ("2025-Q4", "2026-Q1", "2026-Q3", "2026"),
    ),
    "salesforce_devorg": Source(
        "devorg", _salesforce("salesforce_devorg", *_USD), ("2026-Q1", "2021-Q1", "2024-Q1")
    ),
    "maven_crm": Source(
        "maven",
        _csv("maven_crm", "sales_pipeline.csv", "maven_crm"),
        ("2017-Q1", "2017-Q2", "2017-Q4"),
    ),
    "bpic2012_2011q4": Source(
        "bpic2012",
        _csv("bpic2012_2011q4", "bpic2012_2011q4.csv.gz", "bpic2012"),
        ("2011-Q4", "2011-11", "2012-Q1"),
    ),
}
"""Folder among the public data -> the source."""

STORIES = Source("stories", _stories, ("2025-Q4", "2026-Q1", "2026-Q2", "2026"))
DEMO = Source("demo", _demo, ("2026-Q1", "2026-Q2", "2026-Q3", "2026"))
NAMES = ("stories", "demo", *(source.name for source in _REAL.values()))


def sources(names: Sequence[str]) -> Iterator[Source]:
    """The sources of these names that are there; for others a reason is printed."""
    found = {each.name: each for each in (STORIES, DEMO)}
    for folder, source in _REAL.items():
        if (data_folder() / folder).is_dir():
            found[source.name] = source
        elif source.name in names:
            print(f"left out: {source.name}: there is no {data_folder() / folder}")
    for name in names:
        if name in found:
            yield found[name]
