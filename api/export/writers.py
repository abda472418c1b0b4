"""Writers of files: the same rows as CSV, NDJSON, Arrow, Parquet and a spreadsheet.

Law: a file holds exactly the rows, in the order of their key, and says at which basis they were
made: Arrow and Parquet in the metadata of their schema, a spreadsheet on a sheet of its own. CSV
and NDJSON have no place for it; the basis stands in each of their rows, where its columns are asked
for. Written twice at one basis, a file has the same bytes (a spreadsheet too: it is dated by its
basis).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Protocol

import orjson
import pyarrow as pa
import xlsxwriter
from pyarrow import csv, parquet

from api.export.batches import Batches, typed, typed_schema
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from projections.rows.asking import Question
from projections.rows.definition import Column, Kind

SHEET_ROWS_MAX = 1_048_575
"""What a spreadsheet holds besides the head."""

SHEET_CELL_CHARACTERS_MAX = 32_767
_ROWS_AT_ONCE = 2_048


class Writer(Protocol):
    """Writes rows to a sink."""

    def __call__(self, question: Question, basis: Basis, rows: Batches, sink: BinaryIO) -> None: ...


def write_csv(question: Question, basis: Basis, rows: Batches, sink: BinaryIO) -> None:  # noqa: ARG001
    """CSV by RFC 4180 with a head; what is null is empty, and a text is in quotes."""
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    sink.write((",".join(rows.schema.names) + "\n").encode())
    for batch in rows.batches:
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            text = io.BytesIO()
            csv.write_csv(batch.slice(start, _ROWS_AT_ONCE), text, options)
            sink.write(text.getbuffer())


def write_ndjson(question: Question, basis: Basis, rows: Batches, sink: BinaryIO) -> None:  # noqa: ARG001
    """A JSON object a line, with all columns in order."""
    for batch in rows.batches:
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            part = batch.slice(start, _ROWS_AT_ONCE).to_pylist()
            sink.write(b"".join(orjson.dumps(row) + b"\n" for row in part))


def write_arrow(question: Question, basis: Basis, rows: Batches, sink: BinaryIO) -> None:
    """An Arrow IPC file (Feather), compressed."""
    schema = typed_schema(rows.columns).with_metadata(metadata(question, basis))
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, schema, options=options) as writer:
        for batch in rows.batches:
            writer.write_batch(typed(batch, schema))


def write_parquet(question: Question, basis: Basis, rows: Batches, sink: BinaryIO) -> None:
    """A Parquet file, compressed, a row group a batch."""
    schema = typed_schema(rows.columns).with_metadata(metadata(question, basis))
    told_again = _told_again(question, rows.columns)
    with parquet.ParquetWriter(
        sink, schema, compression="zstd", use_dictionary=told_again
    ) as writer:
        for batch in rows.batches:
            writer.write_batch(typed(batch, schema))


def _told_again(question: Question, columns: Sequence[Column]) -> list[str]:
    """The columns whose cells come again: a dictionary of the others would be as long as they."""
    key = question.table.key
    alone = {column.exact for column in question.table.columns}
    alone |= set(key) if len(key) == 1 else set()
    return [each.name for each in columns if not each.role.is_measure and each.name not in alone]


def write_xlsx(question: Question, basis: Basis, rows: Batches, sink: BinaryIO) -> None:
    """A spreadsheet: the rows on the first sheet, the basis and the columns on the second.

    Raises:
        InvalidInput: `too-many-rows`.
    """
    book = xlsxwriter.Workbook(sink, {"constant_memory": True, "strings_to_urls": False,
                                      "strings_to_formulas": False})  # fmt: skip
    try:
        _fill(book, question, basis, rows)
    except BaseException:
        book.filename = io.BytesIO()  # it is closed all the same, and what it wrote is dropped
        book.close()
        raise
    book.close()


def _fill(book: Any, question: Question, basis: Basis, rows: Batches) -> None:
    facts = metadata(question, basis)
    book.set_properties(
        {
            "title": f"{question.table.name} of the qualification ledger",
            "comments": facts["qledger.basis"],
            "created": basis.valid_at.replace(tzinfo=None),
        }
    )
    for name, value in facts.items():
        book.set_custom_property(name, value[:255])
    formats = {
        Kind.DATETIME: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
        Kind.DATE: book.add_format({"num_format": "yyyy-mm-dd"}),
    }
    head = book.add_format({"bold": True})
    sheet = book.add_worksheet(question.table.name)
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(rows.columns):
        sheet.write_string(0, place, column.name, head)
    for number, row in enumerate(_cells(rows), 1):
        for place, (cell, column) in enumerate(zip(row, rows.columns, strict=True)):
            if cell is not None:
                _put(sheet, number, place, cell, column.kind, formats)
    about = book.add_worksheet("about")
    told = {**facts, "": "", **{column.name: column.description for column in rows.columns}}
    for place, (name, value) in enumerate(told.items()):
        about.write_string(place, 0, name, head)
        about.write_string(place, 1, value)


def _cells(rows: Batches) -> Iterator[tuple[Any, ...]]:
    number = 0
    for batch in rows.batches:
        number += batch.num_rows
        if number > SHEET_ROWS_MAX:
            raise InvalidInput(
                "too-many-rows",
                f"a spreadsheet holds {SHEET_ROWS_MAX} rows",
                hint="filter, or take csv or parquet",
            )
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            columns = batch.slice(start, _ROWS_AT_ONCE).columns
            yield from zip(*(column.to_pylist() for column in columns), strict=True)


def _put(
    sheet: Any, row: int, place: int, cell: Any, kind: Kind, formats: Mapping[Kind, Any]
) -> None:
    if kind in formats:
        instant = datetime.fromisoformat(cell).replace(tzinfo=None)
        if instant.year >= 1900:
            sheet.write_datetime(row, place, instant, formats[kind])
            return
    if isinstance(cell, bool):
        sheet.write_boolean(row, place, cell)
    elif isinstance(cell, str):
        sheet.write_string(row, place, cell[:SHEET_CELL_CHARACTERS_MAX])
    else:
        sheet.write_number(row, place, cell)


def metadata(question: Question, basis: Basis) -> dict[str, str]:
    """What a file says of itself: the table, the question and the basis, as JSON."""
    return {
        "qledger.table": question.table.name,
        "qledger.question": orjson.dumps(
            dict(question.given), option=orjson.OPT_SORT_KEYS
        ).decode(),
        "qledger.basis": orjson.dumps(basis.as_dict()).decode(),
    }


WRITERS: Mapping[str, Writer] = {
    "csv": write_csv,
    "ndjson": write_ndjson,
    "arrow": write_arrow,
    "parquet": write_parquet,
    "xlsx": write_xlsx,
}
"""The writers by the name of their format."""
