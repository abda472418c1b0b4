"""Exports over HTTP: the same rows in every format, their basis, refusals before the first byte."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import duckdb
import httpx
import orjson
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from ledger.config import Settings
from ledger.domain.basis import RULES
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from projections.rebuild import rebuild
from projections.rows.catalogue import TABLES
from projections.rows.definition import Kind, Table, camel
from tests.conftest import TEMPLATE
from tests.e2e import worked
from tests.e2e.process import Qledger
from tests.integration import bi_book

AS_OF = {"as_of": bi_book.END}
FORMATS = ("csv", "ndjson", "arrow", "parquet", "xlsx")
MEMORY_KILOBYTES_MAX = 120 * 1024
"""What an export of any size may add to the memory of the server."""

EXCEL_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(scope="module")
def http(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Who asks a server with the book."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        create = SQL("CREATE DATABASE bi_exports TEMPLATE {}").format(Identifier(TEMPLATE))
        connection.execute(create)
        url = server.url("bi_exports")
        settings = Settings(
            home=tmp_path_factory.mktemp("home"), database_url=SecretStr(url), workers=1
        )
        with Ledger.open(settings) as ledger:
            bi_book.write(ledger, deals=40)
        rebuild(url)
        with (
            Qledger.on(url).serving() as (_process, address),
            httpx.Client(base_url=address, timeout=120) as client,
        ):
            yield client
        connection.execute(SQL("DROP DATABASE bi_exports WITH (FORCE)"))


def exported(http: httpx.Client, name: str, **given: Any) -> httpx.Response:
    answer = http.get(f"/export/{name}", params={**AS_OF, **given})
    assert answer.status_code == 200, answer.text
    return answer


def told_by_graphql(http: httpx.Client, table: Table) -> list[dict[str, Any]]:
    """All rows over GraphQL, a page at a time."""
    fields = " ".join(camel(column.name) for column in table.columns)
    query = f"""query($after: String) {{ found: {camel(table.root)}(
        asOf: "{bi_book.END}", first: 100, after: $after
    ) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        answer = http.post("/graphql", json={"query": query, "variables": {"after": after}}).json()
        assert "errors" not in answer, answer["errors"]
        page = answer["data"]["found"]
        rows += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            names = {camel(column.name): column.name for column in table.columns}
            return [{names[key]: value for key, value in row.items()} for row in rows]


# --- reading what was written -------------------------------------------------------------------


def of_csv(table: Table, body: bytes) -> list[dict[str, Any]]:
    return [
        {name: _of_text(table.column(name).kind, text) for name, text in row.items()}
        for row in csv.DictReader(io.StringIO(body.decode(), newline=""))
    ]


def _of_text(kind: Kind, text: str) -> Any:
    if not text:
        return None
    if kind is Kind.BOOLEAN:
        return {"true": True, "false": False}[text]
    return {Kind.INT: int, Kind.FLOAT: float}.get(kind, str)(text)


def of_arrow(found: pa.Table) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in found.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


def of_sheet(table: Table, body: bytes, number: int = 1) -> list[list[Any]]:
    """The cells of a sheet; those that are not there are None."""
    with zipfile.ZipFile(io.BytesIO(body)) as book:
        tree = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))  # noqa: S314 - ours
    rows = []
    for row in tree.iter(f"{SHEET}row"):
        cells: dict[int, Any] = {}
        for cell in row.iter(f"{SHEET}c"):
            place = _place(cell.attrib["r"])
            kind = cell.attrib.get("t", "n")
            text = "".join(part.text or "" for part in cell.iter(f"{SHEET}t"))
            value = cell.findtext(f"{SHEET}v")
            cells[place] = (
                text if kind == "inlineStr" else value == "1" if kind == "b" else float(value or 0)
            )
        rows.append([cells.get(place) for place in range(max(cells, default=-1) + 1)])
    return rows


def _place(reference: str) -> int:
    place = 0
    for letter in reference.rstrip("0123456789"):
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def told_by_sheet(table: Table, body: bytes) -> list[dict[str, Any]]:
    head, *rows = of_sheet(table, body)
    return [
        {
            name: _of_cell(table.column(name).kind, row[place] if place < len(row) else None)
            for place, name in enumerate(head)
        }
        for row in rows
    ]


def _of_cell(kind: Kind, value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if kind is Kind.INT:
        return int(value)
    if kind in {Kind.DATE, Kind.DATETIME}:
        instant = EXCEL_EPOCH + timedelta(days=value)
        return instant.date().isoformat() if kind is Kind.DATE else instant
    return value


def told(http: httpx.Client, table: Table, kind: str) -> list[dict[str, Any]]:
    """All rows and columns of a table in a format."""
    body = exported(http, f"{table.name}.{kind}", columns="all").content
    match kind:
        case "csv":
            return of_csv(table, body)
        case "ndjson":
            return [orjson.loads(line) for line in body.splitlines()]
        case "arrow":
            return of_arrow(pa.ipc.open_file(io.BytesIO(body)).read_all())
        case "parquet":
            return of_arrow(pq.read_table(io.BytesIO(body)))
        case _:
            return told_by_sheet(table, body)


def _rounded(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Instants as a spreadsheet keeps them: to the millisecond, about."""
    return [
        {
            name: _milliseconds(value) if table.column(name).kind is Kind.DATETIME else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _milliseconds(value: Any) -> Any:
    if value is None:
        return None
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return round((instant - EXCEL_EPOCH) / timedelta(milliseconds=1))


# --- the law ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_graphql_and_all_files_hold_the_same_rows(http: httpx.Client, name: str) -> None:
    table = TABLES[name]
    expected = told_by_graphql(http, table)
    assert len(expected) > 20
    for kind in FORMATS:
        found = told(http, table, kind)
        if kind == "xlsx":
            assert _rounded(table, found) == _rounded(table, expected)
        elif kind == "csv":  # whose reader does not tell an empty text from none
            assert found == [{k: None if v == "" else v for k, v in r.items()} for r in expected]
        else:
            assert found == expected, kind


@pytest.mark.parametrize("kind", FORMATS)
def test_the_tables_and_the_log_write_the_same_file(http: httpx.Client, kind: str) -> None:
    standard = ",".join(column.name for column in TABLES["deals"].ready_columns)
    served = exported(http, f"deals.{kind}")
    folded = exported(http, f"deals.{kind}", columns=f"{standard},why", witnessed_only="false")
    assert served.headers["qledger-made-from"] == "tables"
    assert folded.headers["qledger-made-from"] == "log"
    if kind == "csv":
        without = [row[:-1] for row in csv.reader(io.StringIO(folded.text, newline=""))]
        assert without == list(csv.reader(io.StringIO(served.text, newline="")))
    again = exported(http, f"deals.{kind}")
    assert again.content == served.content


def test_filters_and_columns_are_those_of_graphql(http: httpx.Client) -> None:
    given = {"owner": "rep1", "period": "2027", "columns": "deal,amountExact"}
    found = exported(http, "deals.csv", **given).text.splitlines()
    query = f"""{{ dealRows(asOf: "{bi_book.END}", owner: "rep1", period: "2027") {{
        nodes {{ deal amountExact }} exportUrl(format: "csv") }} }}"""
    answer = http.post("/graphql", json={"query": query}).json()["data"]["dealRows"]
    assert found[0] == "deal,amount_exact"
    assert len(found) - 1 == len(answer["nodes"]) > 3
    linked = list(csv.DictReader(io.StringIO(http.get(answer["exportUrl"]).text, newline="")))
    assert [row["deal"] for row in linked] == [row["deal"] for row in answer["nodes"]]


@pytest.mark.parametrize("column", [c.name for c in TABLES["deals"].ready_columns])
def test_a_column_alone_has_every_row(http: httpx.Client, column: str) -> None:
    rows = len(exported(http, "deals.ndjson", columns="deal").text.splitlines())
    found = exported(http, "deals.ndjson", columns=column)
    of_the_basis = column == "as_of" or column.startswith("basis_")
    assert found.headers["qledger-made-from"] == ("log" if of_the_basis else "tables")
    assert len(found.text.splitlines()) == rows > 20
    beside = exported(http, "deals.ndjson", columns=f"{column},basis_position")
    assert len(beside.text.splitlines()) == rows


# --- the basis ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_says_at_which_basis_it_was_made(http: httpx.Client, kind: str) -> None:
    answer = exported(http, f"gates.{kind}", owner="rep1")
    basis = orjson.loads(answer.headers["qledger-basis"])
    assert basis["valid_at"] == "2026-06-30T21:59:59.999999Z"
    match kind:
        case "arrow":
            facts = pa.ipc.open_file(io.BytesIO(answer.content)).schema.metadata
        case "parquet":
            facts = pq.read_schema(io.BytesIO(answer.content)).metadata
        case "xlsx":
            about = of_sheet(TABLES["gates"], answer.content, 2)
            facts = {row[0].encode(): row[1].encode() for row in about if len(row) == 2}
        case _:
            line = next(iter(told(http, TABLES["gates"], kind)))
            assert line["basis_position"] == basis["horizon"]
            return
    assert orjson.loads(facts[b"qledger.basis"]) == basis
    assert orjson.loads(facts[b"qledger.question"]) == {"owner": "rep1"}


def test_duckdb_reads_parquet_with_its_types(http: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "deals.parquet"
    file.write_bytes(exported(http, "deals.parquet").content)
    found = duckdb.execute(
        "SELECT typeof(counts_on), typeof(as_of), typeof(amount), count(*) FROM read_parquet(?)"
        " WHERE counts_on BETWEEN DATE '2026-01-01' AND DATE '2026-12-31' GROUP BY ALL",
        [str(file)],
    ).fetchall()
    assert [row[:3] for row in found] == [("DATE", "TIMESTAMP WITH TIME ZONE", "DOUBLE")]


def test_the_same_answer_is_not_sent_twice(http: httpx.Client) -> None:
    first = exported(http, "deals.csv")
    tag = {"if-none-match": first.headers["etag"]}
    again = http.get("/export/deals.csv", params=AS_OF, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    other = http.get("/export/deals.csv", params={**AS_OF, "owner": "rep1"}, headers=tag)
    assert other.status_code == 200


def test_only_what_nothing_later_can_change_is_immutable(http: httpx.Client) -> None:
    basis = orjson.loads(exported(http, "deals.csv").headers["qledger-basis"])
    pinned = {key: basis[key] for key in ("valid_at", "known_at", "horizon")}
    for given, immutable in (
        (pinned, True),
        ({"as_of": f"pos:{basis['horizon']}"}, True),
        ({"as_of": bi_book.END, "horizon": basis["horizon"]}, False),
        ({"valid_at": basis["valid_at"], "known_at": basis["known_at"]}, False),
        ({"horizon": basis["horizon"]}, False),
        ({**pinned, "known_at": "now"}, False),
    ):
        answer = http.get("/export/forecast.csv", params=given)
        assert ("immutable" in answer.headers["cache-control"]) is immutable, given


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/export/nothing.csv", 404, "unknown-table"),
        ("/export/deals.pdf", 404, "unknown-format"),
        ("/export/deals.csv?nope=1", 400, "unknown-argument"),
        ("/export/deals.csv?owner=a&owner=b", 400, "argument-twice"),
        ("/export/deals.csv?columns=deal,nope", 400, "unknown-column"),
        ("/export/deals.csv?as_of=soon", 400, "invalid-as-of"),
        ("/export/deals.csv?as_of=pos:99999999", 404, "unknown-position"),
        ("/export/deals.csv?horizon=x", 400, "invalid-horizon"),
        ("/export/deals.csv?hindsight=1&known_at=now", 400, "hindsight-and-known-at"),
        ("/export/deals.csv?hindsight=perhaps", 400, "invalid-argument"),
        ("/export/forecast.parquet?group_by=a,b,c,d,e", 400, "too-many-dimensions"),
        ("/export/forecast.xlsx?group_by=Owner", 400, "invalid-dimension"),
    ],
)
def test_a_refusal_is_json_before_the_first_byte(
    http: httpx.Client, path: str, status: int, code: str
) -> None:
    answer = http.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["errors"][0]["extensions"]["code"] == code


# --- memory -------------------------------------------------------------------------------------


def _peak(process: Any) -> int:
    """The most memory that a process ever had, in kilobytes."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


def _drain(http: httpx.Client, path: str, **given: Any) -> int:
    """Read an export and keep nothing; how many bytes it was."""
    with http.stream("GET", path, params=given) as answer:
        assert answer.status_code == 200
        return sum(len(chunk) for chunk in answer.iter_bytes())


_STATES = """
    INSERT INTO {}.deal_state
    SELECT 'X' || lpad(n::text, 7, '0'), timestamptz '2025-01-01', timestamptz '9999-12-31 23:59:59.999999+00',
        timestamptz '2025-01-01', timestamptz '9999-12-31 23:59:59.999999+00', repeat('name ', 20) || n, 'A' || n, 'ann', 'Proposal',
        'commit', 'open', n, 'USD', date '2025-03-01', date '2025-03-01', NULL, 'omitted', NULL, 0
    FROM generate_series(1, %s) AS n
"""  # noqa: E501


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_an_export_of_any_size_takes_bounded_memory(
    server: EmbeddedServer, database_url: str, settings: Settings
) -> None:
    with Ledger.open(settings) as ledger:
        drafts = worked.many_deals(25_000)
        for start in range(0, len(drafts), 5_000):
            ledger.import_events(drafts[start : start + 5_000])
        head = ledger.head().size
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE qledger.projection SET position = %s, rules = %s, zone = 'UTC', ready = true"
            " WHERE live",
            [head, RULES],
        )
        (side,) = connection.execute("SELECT side FROM qledger.projection WHERE live").fetchone()  # type: ignore[misc]
        states = SQL(_STATES).format(Identifier(f"qledger_{side}"))
        connection.execute(states, [200_000])
    alone = {"QLEDGER_PROJECT": "0"}
    with (
        Qledger({"QLEDGER_DATABASE_URL": database_url, **alone}).serving() as (process, address),
        httpx.Client(base_url=address, timeout=300) as http,
    ):
        for kind in ("csv", "ndjson", "arrow", "parquet"):
            _drain(http, f"/export/deals.{kind}", deal="X0000001")
            _drain(http, f"/export/events.{kind}", deal="M0001")
        before = _peak(process)
        assert _drain(http, "/export/deals.ndjson") > 100 * 1024 * 1024
        for path in ("deals.csv", "deals.parquet", "deals.arrow", "events.ndjson", "events.csv",
                     "events.parquet"):  # fmt: skip
            assert _drain(http, f"/export/{path}") > 1024 * 1024
        assert _peak(process) - before < MEMORY_KILOBYTES_MAX
