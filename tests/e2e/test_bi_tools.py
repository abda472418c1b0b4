"""The recipes of docs/bi.md, run as they stand there against a server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.graphql.documents import shipped
from ledger.config import Settings
from ledger.store.ledger import Ledger
from projections.rows.catalogue import TABLES
from projections.rows.definition import camel
from tests.e2e.asking import token_of
from tests.e2e.process import Qledger
from tests.integration import bi_book

PAGE = (Path(__file__).parents[2] / "docs" / "bi.md").read_text(encoding="utf-8")
RECIPES = {
    found["name"]: found["text"]
    for found in re.finditer(
        r"<!-- recipe: (?P<name>[a-z-]+) -->\n\n```[a-z]+\n(?P<text>.*?)```\n", PAGE, re.DOTALL
    )
}
NEEDS = {
    "pandas": "pandas", "polars": "polars", "duckdb": "duckdb", "dlt": "dlt", "gql": "gql",
}  # fmt: skip
PYTHONS = (sys.executable, str(Path(__file__).parents[2] / ".venv-bi" / "bin" / "python"))
"""Interpreters that may have the tools: not all can share an environment with the ledger."""

EXPECTED = {"pandas": "rep1", "polars": "rep1", "duckdb": "rep1", "dlt": "duckdb", "gql": "rep1"}


@pytest.fixture(scope="module")
def environment(empty_settings: Settings) -> Iterator[dict[str, str]]:
    """Where a recipe finds the server, and its token."""
    with Ledger.open(empty_settings) as ledger:
        bi_book.write(ledger, deals=30)
    assert empty_settings.database_url is not None
    qledger = Qledger.on(empty_settings.database_url.get_secret_value())
    token = token_of(qledger, "admin", "tools")
    with qledger.serving() as (_process, address):
        yield {
            "QLEDGER_URL": address,
            "QLEDGER_TOKEN": token,
            "PATH": os.environ["PATH"],
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }


def having(module: str) -> str:
    """An interpreter that has a module."""
    for python in filter(os.path.exists, PYTHONS):
        asked = [python, "-c", f"import {module}"]
        if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"{module} is not installed: run scripts/bi_tools")


@pytest.mark.parametrize("name", [name for name in RECIPES if name in NEEDS])
def test_a_recipe_runs_as_it_stands_on_the_page(
    environment: dict[str, str], tmp_path: Path, name: str
) -> None:
    python = having(NEEDS[name])
    script = tmp_path / "recipe.py"
    script.write_text(RECIPES[name], encoding="utf-8")
    for _ in range(2):  # the second time there is nothing new, or a file is there already
        done = subprocess.run(
            [python, str(script)],
            cwd=tmp_path,
            env={**environment, "HOME": str(tmp_path), "DLT_DATA_DIR": str(tmp_path / "dlt")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    assert EXPECTED[name] in done.stdout


def test_ariadne_codegen_makes_a_client_of_the_shipped_documents(
    environment: dict[str, str], tmp_path: Path
) -> None:
    python = having("ariadne_codegen")
    command = Path(python).with_name("ariadne-codegen")
    (tmp_path / "pyproject.toml").write_text(RECIPES["ariadne-codegen"], encoding="utf-8")
    bearer = {"Authorization": f"Bearer {environment['QLEDGER_TOKEN']}"}
    schema = httpx.get(f"{environment['QLEDGER_URL']}/schema.graphql", headers=bearer)
    (tmp_path / "schema.graphql").write_text(schema.text, encoding="utf-8")
    (tmp_path / "queries").mkdir()
    for document, text in shipped().items():
        (tmp_path / "queries" / f"{document}.graphql").write_text(text, encoding="utf-8")
    subprocess.run([command], cwd=tmp_path, check=True, capture_output=True, timeout=240)
    script = (
        "import asyncio, os; from ledger_client import Client\n"
        "client = Client(os.environ['QLEDGER_URL'] + '/graphql',"
        " {'Authorization': 'Bearer ' + os.environ['QLEDGER_TOKEN']})\n"
        "answer = asyncio.run(client.deals(as_of='2026-06-30'))\n"
        "print(answer.deal_rows.total_count)\n"
    )
    done = subprocess.run(
        [python, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_power_query_and_grafana_ask_what_there_is() -> None:
    for document in re.findall(r"documentId[=\s\"]+([a-z-]+-v[0-9]+)", PAGE):
        assert document in shipped()
    for name in re.findall(r"^\| `([a-z-]+-v[0-9]+)` \|", PAGE, re.MULTILINE):
        assert name in shipped()
    deals = {camel(column.name) for column in TABLES["deals"].columns}
    typed = re.findall(r"\{\"([a-zA-Z]+)\", type", PAGE)
    assert typed
    assert set(typed) <= deals


def test_every_shipped_document_and_table_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `([a-z-]+-v[0-9]+)` \|", PAGE, re.MULTILINE)) == set(shipped())
    for name, variables in re.findall(r"^\| `([a-z-]+-v[0-9]+)` \| (.*) \|$", PAGE, re.MULTILINE):
        declared = set(re.findall(r"\$([a-zA-Z]+)\b[^)]*?:", shipped()[name].split("{")[0]))
        named = set(re.findall(r"`([a-zA-Z]+)`", variables))
        assert named <= declared, name
    for table in TABLES.values():
        assert f"| `{table.name}` |" in PAGE
        assert f"`{camel(table.root)}`" in PAGE
