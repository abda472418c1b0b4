"""How the cost of things grows with the book: disk, rebuild, questions; as a table and as a plot.

    .venv/bin/python -m scripts.bench.growth --deals 10000 --deals 100000 --keep /tmp/bench-books \\
        --docs docs

Every size is a book of its own (`scripts.bench.book`), measured as `scripts.bench.read_models`
measures. With `--docs` the figures are written to `growth.json`, the plot to `growth.svg`, and the
table into `growth.md`, between its two marks; a size that was measured before and is not now keeps
its figures.
A million deals take about 60 GB while they are kept; have 100 GB free.

Law: the plot and the table are made from `growth.json` alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg.sql import SQL, Literal
from pydantic import TypeAdapter
from rich.console import Console

from ledger.config import Settings
from ledger.store.database import Database
from scripts.bench.append import machine
from scripts.bench.book import Shape, filled
from scripts.bench.chart import Chart, Line, svg
from scripts.bench.partitions import Way, compare
from scripts.bench.questions import Both, Spread
from scripts.bench.read_models import Figures, live_schema, measure

BEGIN_MARK, END_MARK = "<!-- measured -->\n", "<!-- /measured -->\n"

_BYTES = """
    SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint,
        coalesce(sum(pg_indexes_size(oid)), 0)::bigint
    FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = {}::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What was measured of a book of one size; see `scripts.bench.read_models.Figures`.

    `load_before` is the machine's load average when measuring began: near zero it was quiet.
    """

    deals: int
    events: int
    states: int
    log_bytes: int
    log_index_bytes: int
    tables_bytes: int
    tables_index_bytes: int
    rebuild_seconds: float
    as_known_then: Both
    any_basis: Both
    daily: Both
    bridge: Spread
    whole: Way
    partitioned: Way
    load_before: float
    machine: str


_SIZES = TypeAdapter(list[Size])


def measured(settings: Settings, deals: int, instants: int) -> Size:
    """Measure one book.

    Args:
        settings: of a ledger that holds it.
        deals: how many it has.
        instants: at how many instants to ask.
    """
    load_before = os.getloadavg()[0]
    figures: Figures = measure(settings, instants)
    with Database(settings) as database:
        log, log_index = _bytes_of(database.url, "qledger")
        tables, tables_index = _bytes_of(database.url, live_schema(database.url))
        whole, partitioned = compare(database.url, instants)
    return Size(
        deals, figures.events, figures.states, log, log_index, tables, tables_index,
        round(figures.rebuild_seconds, 1),
        _rounded(figures.as_known_then), _rounded(figures.any_basis), _rounded(figures.daily),
        _to_hundredths(figures.bridge), _way(whole), _way(partitioned),
        round(load_before, 1), machine(),
    )  # fmt: skip


def _rounded(both: Both) -> Both:
    return Both(_to_hundredths(both.ours), _to_hundredths(both.peer))


def _to_hundredths(spread: Spread) -> Spread:
    return Spread(round(spread.median_ms, 2), round(spread.worst_ms, 2))


def _way(way: Way) -> Way:
    name, load_seconds, size, median_ms, worst_ms = way
    return Way(name, round(load_seconds, 1), size, round(median_ms, 2), round(worst_ms, 2))


def _bytes_of(url: str, schema: str) -> tuple[int, int]:
    """How many bytes the tables of a schema take, and how many their indexes."""
    with psycopg.connect(url) as connection:
        row = connection.execute(SQL(_BYTES).format(Literal(schema))).fetchone()
    assert row is not None  # noqa: S101 - an aggregate gives one row
    return int(row[0]), int(row[1])


# --- what is written -----------------------------------------------------------------------------

_COLUMNS = ("deals", "events", "log", "read models", "rebuild", "as known then", "any basis",
            "730 days", "bridge")  # fmt: skip


_JOURNAL = ("deals", "whole: load", "on disk", "a question", "partitioned: load", "on disk",
            "a question")  # fmt: skip


def table(sizes: Sequence[Size]) -> str:
    """The figures as tables in Markdown: the book, with DuckDB's in brackets; the journal."""
    return "\n".join(
        [
            *_table(_COLUMNS, [list(_cells(size)) for size in sizes]),
            "The journal whole, and in a partition a quarter of a year:",
            "",
            *_table(_JOURNAL, [list(_journal_cells(size)) for size in sizes]),
            *_conditions(sizes),
        ]
    )


def _conditions(sizes: Sequence[Size]) -> list[str]:
    loads = ", ".join(f"{each.load_before} ({each.deals:,})" for each in sizes)
    machines = sorted({each.machine for each in sizes})
    return [*machines, "", f"Load average of the machine before each size: {loads}.", ""]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [columns, ["---:"] * len(columns), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def _journal_cells(size: Size) -> Iterator[str]:
    yield f"{size.deals:,}"
    for way in (size.whole, size.partitioned):
        yield f"{way.load_seconds:,.1f} s"
        yield f"{way.bytes / 2**20:,.0f} MiB"
        yield f"{way.median_ms:.1f} ms (worst {way.worst_ms:.1f})"


def _cells(size: Size) -> Iterator[str]:
    yield f"{size.deals:,}"
    yield f"{size.events:,}"
    yield _per_event(size.log_bytes, size.log_index_bytes, size.events)
    yield _per_event(size.tables_bytes, size.tables_index_bytes, size.events)
    yield f"{size.rebuild_seconds:,.0f} s ({size.events / size.rebuild_seconds:,.0f}/s)"
    yield _beside(size.as_known_then)
    yield _beside(size.any_basis)
    yield _beside(size.daily)
    yield f"{size.bridge.median_ms:.1f} ms"


def _per_event(table_bytes: int, index_bytes: int, events: int) -> str:
    return f"{table_bytes / events:,.0f} + {index_bytes / events:,.0f} B"


def _beside(both: Both) -> str:
    return f"{both.ours.median_ms:.1f} ms ({both.peer.median_ms:.1f})"


def plot(sizes: Sequence[Size]) -> str:
    """The figures as a plot, as SVG."""

    def line(name: str, values: Sequence[float]) -> Line:
        return Line(name, [(size.deals, y) for size, y in zip(sizes, values, strict=True)])

    return svg(
        [
            Chart("One forecast by owner and category (ms)", "deals", [
                line("as known then", [size.as_known_then.ours.median_ms for size in sizes]),
                line("any basis", [size.any_basis.ours.median_ms for size in sizes]),
                line("DuckDB's scan", [size.as_known_then.peer.median_ms for size in sizes]),
            ]),
            Chart("Lines and bridges by owner (ms)", "deals", [
                line("730 days", [size.daily.ours.median_ms for size in sizes]),
                line("bridge", [size.bridge.median_ms for size in sizes]),
                line("730, DuckDB", [size.daily.peer.median_ms for size in sizes]),
            ]),
            Chart("Disk (bytes an event, with indexes)", "deals", [
                line("log", [(s.log_bytes + s.log_index_bytes) / s.events for s in sizes]),
                line("read models",
                     [(s.tables_bytes + s.tables_index_bytes) / s.events for s in sizes]),
            ], y_from_zero=True),
            Chart("Rebuild of all tables (s)", "deals", [
                line("rebuild", [size.rebuild_seconds for size in sizes]),
            ]),
        ]
    )  # fmt: skip


def read(file: Path) -> list[Size]:
    """The figures of a file that `write` wrote."""
    return _SIZES.validate_json(file.read_bytes())


def write(folder: Path, sizes: Sequence[Size]) -> None:
    """Write figures, plot and table; sizes that are not among them keep what they had."""
    file = folder / "growth.json"
    by_deals = {each.deals: each for each in (*(read(file) if file.exists() else ()), *sizes)}
    told = [by_deals[deals] for deals in sorted(by_deals)]
    file.write_bytes(_SIZES.dump_json(told, indent=1) + b"\n")
    (folder / "growth.svg").write_text(plot(told), encoding="utf-8")
    page = folder / "growth.md"
    if page.exists():
        page.write_text(with_table(page.read_text(encoding="utf-8"), told), encoding="utf-8")


def with_table(page: str, sizes: Sequence[Size]) -> str:
    """A page with the table between its marks."""
    before, begin, rest = page.partition(BEGIN_MARK)
    _old, end, after = rest.partition(END_MARK)
    if not begin or not end:
        raise SystemExit("the page has no place for the table")
    return before + begin + table(sizes) + end + after


@contextmanager
def home_of(deals: int, keep: Path | None) -> Iterator[Path]:
    """The home of a book of that size: one that is kept, or one that is thrown away."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep / str(deals)
        return
    with tempfile.TemporaryDirectory(prefix="qledger-bench-") as temporary:
        Path(temporary).chmod(0o755)
        yield Path(temporary)


def main(
    deals: Annotated[
        list[int] | None, typer.Option(help="A size of the book; give it several times.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep each book in a folder in here, and use it again.")
    ] = None,
    docs: Annotated[Path | None, typer.Option(help="Write figures, plot and table here.")] = None,
    instants: Annotated[int, typer.Option(help="At how many instants to ask.", min=1)] = 20,
) -> None:
    """Measure books of several sizes."""
    sizes = []
    for number in deals or [10_000, 100_000]:
        with home_of(number, keep) as home:
            sizes.append(measured(filled(home, Shape(number)), number, instants))
        Console(width=200).print(table(sizes[-1:]))
        if docs is not None:
            write(docs, sizes[-1:])


if __name__ == "__main__":
    typer.run(main)
