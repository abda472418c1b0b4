"""The definitions of flat tables, and what is made of them: one spelling everywhere."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any, BinaryIO

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, parse, validate

from api.asof import AsOf
from api.export.pipe import CHUNK_BYTES, CHUNKS_MAX, Pipe
from api.graphql.documents import rests_on_its_bases, shipped
from api.graphql.schema import schema
from api.http.caching import is_fresh, is_pinned
from projections.rows.catalogue import ASKED_ONLY, TABLES, catalogue
from projections.rows.definition import BASIS_COLUMNS, Table, camel

GRAPHQL: GraphQLSchema = schema._schema
KNOWN_TO_BI = {"ID", "String", "Int", "Float", "Boolean", "DateTime", "Date"}
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def fields_of(table: Table) -> Any:
    name = camel(table.root.removesuffix("s"))
    kind = GRAPHQL.type_map[name[0].upper() + name[1:]]
    assert isinstance(kind, GraphQLObjectType)
    return kind.fields


@pytest.mark.parametrize("table", [*TABLES.values(), *ASKED_ONLY], ids=lambda table: table.name)
def test_a_definition_holds_together(table: Table) -> None:
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) for name in names)
    assert table.columns[-len(BASIS_COLUMNS) :] == BASIS_COLUMNS
    assert set(table.key) <= set(names)
    arguments = [each.name for each in table.arguments]
    assert len(set(arguments)) == len(arguments)
    assert {each.column for each in table.filters} <= set(names)
    for column in table.columns:
        assert column.description.endswith((".", "2026-Q1."))
        assert {column.exact, *column.parted_by} <= {None, *names}
        if column.exact is not None:
            assert column.role.is_measure
            assert not table.column(column.exact).role.is_measure


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_row_has_scalars_alone_that_bi_tools_know(table: Table) -> None:
    fields = fields_of(table)
    assert list(fields) == [camel(column.name) for column in table.columns]
    for column in table.columns:
        kind = fields[camel(column.name)].type
        assert str(kind).rstrip("!") == column.kind
        assert str(kind).endswith("!") is column.required
    assert {str(get_named_type(field.type)) for field in fields.values()} <= KNOWN_TO_BI
    assert str(fields["basisPosition"].type) == "Int!"


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_arguments_of_a_root_are_scalars_and_none_is_required(table: Table) -> None:
    query = GRAPHQL.query_type
    assert query is not None
    arguments = query.fields[camel(table.root)].args
    assert {camel(each.name) for each in table.arguments} < set(arguments)
    for argument in arguments.values():
        assert str(argument.type) in {*KNOWN_TO_BI, "AsOfTime", "BigInt"}


@pytest.mark.parametrize("table", ASKED_ONLY, ids=lambda table: table.name)
def test_what_is_asked_over_graphql_alone_is_as_the_catalogue_says(table: Table) -> None:
    query = GRAPHQL.query_type
    assert query is not None
    root = query.fields[camel(table.root)]
    assert {camel(each.name) for each in table.arguments} < set(root.args)
    connection = get_named_type(root.type)
    assert isinstance(connection, GraphQLObjectType)
    assert "exportUrl" not in connection.fields
    row = get_named_type(connection.fields["nodes"].type)
    assert isinstance(row, GraphQLObjectType)
    assert {name: str(field.type).rstrip("!") for name, field in row.fields.items()} == {
        camel(column.name): str(column.kind) for column in table.columns
    }


def test_the_catalogue_says_of_every_column_what_it_is() -> None:
    tables = {**TABLES, **{table.name: table for table in ASKED_ONLY}}
    for told in catalogue()["tables"]:
        table = tables[told["name"]]
        assert told["exported"] is (told["name"] in TABLES)
        assert [each["name"] for each in told["columns"]] == list(table.index)
        assert all(each["role"] in {"dimension", "measure"} for each in told["columns"])
        assert all((each["role"] == "measure") is (each["aggregation"] in {"sum", "mean"})
                   for each in told["columns"])  # fmt: skip


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_document_is_one_query_that_the_schema_takes(name: str) -> None:
    assert re.fullmatch(r"[a-z-]+-v[0-9]+", name)
    assert validate(GRAPHQL, parse(shipped()[name])) == []


def test_only_roots_at_a_basis_rest_on_it() -> None:
    rows, head = "{ a: dealRows { totalCount } }", "{ dealRows { totalCount } ...F }"
    assert rests_on_its_bases(rows)
    assert not rests_on_its_bases(head + " fragment F on Query { ledger { headPosition } }")
    assert not rests_on_its_bases("no document")


@pytest.mark.parametrize(
    ("asked", "pinned"),
    [
        (AsOf(), False),
        (AsOf("2026-03-31"), False),
        (AsOf("2026-03-31", horizon=5), False),
        (AsOf("2026-03-31T00:00:00Z", horizon=5), True),
        (AsOf("2026-03-31T00:00:00Z"), False),
        (AsOf("pos:5"), True),
        (AsOf("pos:5", known_at="now"), False),
        (AsOf("pos:5", known_at="2026-03-31"), False),
        (AsOf(known_at="pos:5"), False),
        (AsOf(valid_at="2026-03-31T00:00:00Z", horizon=5), True),
        (AsOf("now", horizon=5), False),
        (AsOf(horizon=5), False),
        (AsOf(horizon=5, timeless=True), True),
        (AsOf(timeless=True), False),
        (AsOf(horizon=5, known_at="2026-03-31", timeless=True), False),
    ],
)
def test_a_question_is_pinned_when_nothing_later_can_change_its_meaning(
    asked: AsOf, pinned: bool
) -> None:
    assert is_pinned(asked) is pinned


def test_a_tag_is_fresh_among_others_and_weakly() -> None:
    assert is_fresh('"a"', '"b", W/"a"')
    assert is_fresh('"a"', "*")
    assert not is_fresh('"a"', '"b"')
    assert not is_fresh('"a"', None)


# --- the pipe -----------------------------------------------------------------------------------


def piped(work: Any, read: Any) -> Any:
    async def run() -> Any:
        pipe = Pipe()
        thread = threading.Thread(target=pipe.run, args=[work])
        thread.start()
        try:
            return await read(pipe)
        finally:
            pipe.stop()
            await asyncio.to_thread(thread.join, 30)
            assert not thread.is_alive()

    return asyncio.run(run())


def test_a_pipe_passes_all_bytes_in_their_order() -> None:
    parts = [bytes([number % 256]) * (number * 997 % 70_000) for number in range(60)]

    def work(sink: BinaryIO) -> None:
        for part in parts:
            assert sink.write(part) == len(part)
        assert sink.tell() == sum(map(len, parts))

    async def read(pipe: Pipe) -> bytes:
        return b"".join([chunk async for chunk in pipe.chunks()])

    assert piped(work, read) == b"".join(parts)


def test_a_writer_waits_for_its_reader_and_ends_with_it() -> None:
    written: list[int] = []

    def work(sink: BinaryIO) -> None:
        for _ in range(100):
            sink.write(bytes(CHUNK_BYTES))
            written.append(1)

    async def read(pipe: Pipe) -> int:
        chunks = pipe.chunks()
        await anext(chunks)
        for _ in range(20):  # the writer comes as far as it can
            await asyncio.sleep(0.01)
        await chunks.aclose()
        return len(written)

    assert piped(work, read) <= CHUNKS_MAX + 2
    assert len(written) <= CHUNKS_MAX + 3


def test_what_a_writer_raises_is_raised_to_its_reader() -> None:
    def work(sink: BinaryIO) -> None:
        sink.write(bytes(CHUNK_BYTES))
        raise ZeroDivisionError

    async def read(pipe: Pipe) -> int:
        chunks = pipe.chunks()
        first = await anext(chunks)
        with pytest.raises(ZeroDivisionError):
            await anext(chunks)
        return len(first)

    assert piped(work, read) == CHUNK_BYTES
