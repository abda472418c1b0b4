"""Rows of a flat table as Arrow batches.

Law: the batches of a question are the same however they are made: from the tables, whose lines are
parsed without an object a cell, or from the fold. All but the last hold `ROWS_PER_BATCH` rows, and
no more than two are in memory, with the lines of about as many rows that were read ahead: the
database goes on while what it said is parsed and written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import csv

from api.export.ahead import taken_ahead
from projections.book import Book, MadeFrom
from projections.rows.asking import Question, rows
from projections.rows.definition import BASIS_COLUMNS, Column, Kind, Source, Table, basis_cells
from projections.rows.served import copied_from_tables

ROWS_PER_BATCH = 16_384
_LINES_PER_PARSE = 4_096
_PARSES_AHEAD = 3
_ROWS_PER_STEP = 1_024

_TEXT: Mapping[Kind, pa.DataType] = {
    Kind.INT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
}
_TYPED: Mapping[Kind, pa.DataType] = {
    Kind.DATETIME: pa.timestamp("us", tz="UTC"),
    Kind.DATE: pa.date32(),
}
_BASIS = tuple(column.name for column in BASIS_COLUMNS)


class Batches(NamedTuple):
    """Rows on their way.

    Args:
        columns: what they have, in order.
        schema: of each batch; instants and days are text in their one spelling.
        batches: read them once.
        made_from: what they are made from.
    """

    columns: tuple[Column, ...]
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    made_from: MadeFrom


def text_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of batches in which instants and days are text."""
    return pa.schema(
        [
            pa.field(each.name, _TEXT.get(each.kind, pa.string()), nullable=not each.required)
            for each in columns
        ]
    )


def typed_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of files that know instants and days; columns carry their descriptions."""
    return pa.schema(
        [
            pa.field(
                each.name,
                _TYPED.get(each.kind, _TEXT.get(each.kind, pa.string())),
                nullable=not each.required,
                metadata={"description": each.description, "role": str(each.role)},
            )
            for each in columns
        ]
    )


def typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with its instants and days as such."""
    arrays = [
        array if array.type == field.type else array.cast(field.type)
        for array, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def with_batches(
    book: Book, question: Question, columns: tuple[Column, ...], work: Callable[[Batches], None]
) -> None:
    """Do something with the rows of a question; they end with it.

    Args:
        book: the book at the basis.
        question: which rows, in the order of their key.
        columns: which columns, in order.
        work: what is done with them.

    Raises:
        QledgerError: what making the rows raises.
    """
    schema = text_schema(columns)
    served = question.table.name == "deals" and all(c.source is Source.STATE for c in columns)
    read = _read_columns(question.table, columns)
    if served and read:
        names = [column.name for column in read]
        with copied_from_tables(book, question.given, names) as lines:
            if lines is not None:
                with taken_ahead(_joined(lines), _PARSES_AHEAD) as parts:
                    found = _parsed(parts, text_schema(read), columns, _constants(book))
                    work(Batches(columns, schema, _even(found), MadeFrom.TABLES))
                return
    with closing(rows(book, question, [column.name for column in columns])) as cells:
        found = _made(cells, question, schema)
        work(Batches(columns, schema, _even(found), MadeFrom.LOG))


def _read_columns(table: Table, columns: Sequence[Column]) -> list[Column]:
    """The columns to read: a number that stands beside its exact text is made from that."""
    names = dict.fromkeys(each.exact or each.name for each in columns if each.name not in _BASIS)
    return [table.column(name) for name in names]


def _constants(book: Book) -> Mapping[str, Any]:
    return dict(zip(_BASIS, basis_cells(book.basis), strict=True))


class _Lines(NamedTuple):
    """Some lines of CSV.

    Args:
        number: how many.
        text: all of them.
    """

    number: int
    text: bytes


def _joined(lines: Iterator[memoryview]) -> Iterator[_Lines]:
    while taken := list(islice(lines, _LINES_PER_PARSE)):
        yield _Lines(len(taken), b"".join(taken))


def _parsed(
    parts: Iterator[_Lines],
    read: pa.Schema,
    columns: Sequence[Column],
    constants: Mapping[str, Any],
) -> Iterator[pa.RecordBatch]:
    """Lines of CSV as batches, with the columns that are the same in every row."""
    reading = csv.ReadOptions(column_names=read.names, use_threads=False, block_size=1 << 24)
    # A line with nothing on it is a row whose only cell is empty.
    parsing = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    converting = csv.ConvertOptions(
        column_types=read,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    schema = text_schema(columns)
    for number, text in parts:
        table = csv.read_csv(pa.BufferReader(text), reading, parsing, converting).combine_chunks()
        assert table.num_rows == number, "a row was lost"  # noqa: S101
        arrays = []
        for column, field in zip(columns, schema, strict=True):
            if column.name in constants:
                arrays.append(pa.repeat(pa.scalar(constants[column.name], field.type), number))
                continue
            found = table.column(column.exact or column.name).chunk(0)
            arrays.append(found if column.exact is None else found.cast(field.type))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _made(
    found: Iterator[tuple[Any, ...]], question: Question, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Rows of cells as batches."""
    places = [question.table.index[name] for name in schema.names]
    while taken := list(islice(found, _ROWS_PER_STEP)):
        cells = list(zip(*taken, strict=True))
        yield pa.RecordBatch.from_arrays(
            [pa.array(cells[at], field.type) for at, field in zip(places, schema, strict=True)],
            schema=schema,
        )


def _even(found: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, a fixed number in each batch."""
    kept: list[pa.RecordBatch] = []
    for batch in chain(found, [None]):
        if batch is not None:
            kept.append(batch)
        held = sum(each.num_rows for each in kept)
        if held < ROWS_PER_BATCH and batch is not None:
            continue
        if not held:
            return
        whole = pa.Table.from_batches(kept).combine_chunks().to_batches()[0]
        whole_size = held if batch is None else held - held % ROWS_PER_BATCH
        for start in range(0, whole_size, ROWS_PER_BATCH):
            yield whole.slice(start, min(ROWS_PER_BATCH, held - start))
        kept = [whole.slice(whole_size)] if whole_size < held else []
