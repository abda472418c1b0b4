"""The fast executor on the ledger's own schema: the same bytes as graphql-core's, row by row."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

import orjson
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from api.door import Door
from api.graphql import forecasts, row_answers
from api.graphql.executor import executed_by
from api.graphql.schema import schema
from api.http.encoding import json_bytes
from ledger.config import Settings
from ledger.domain.events import Draft
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from projections.rebuild import rebuild
from projections.rows import spelt as spelling
from projections.rows.catalogue import TABLES
from projections.rows.definition import Source, Table, camel
from tests.conftest import TEMPLATE
from tests.integration import bi_book

QUESTIONS = 200
BASES = (
    'asOf: "2026-03-10"',
    'asOf: "2026-06-30"',
    'validAt: "2026-03-10", knownAt: "2026-06-01"',
    'validAt: "2026-09-01", knownAt: "2026-03-01"',
    'asOf: "2026-01-05T10:00:00Z"',
    'asOf: "2026-06-30", witnessedOnly: true',
)
STOCK, FAST = executed_by(schema, "stock"), executed_by(schema, "fast")


@pytest.fixture(scope="module")
def door(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door on a book with all that could be spelt in two ways, with read models."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS fast WITH (FORCE)"))
        connection.execute(SQL("CREATE DATABASE fast TEMPLATE {}").format(Identifier(TEMPLATE)))
        url = server.url("fast")
        chosen = Settings(
            home=tmp_path_factory.mktemp("home"), database_url=SecretStr(url), workers=1
        )
        with Ledger.open(chosen) as ledger:
            bi_book.write(ledger)
            ledger.import_events(list(_calls()), strict=True)
            rebuild(url)
            yield Door(ledger.database, chosen)
        connection.execute(SQL("DROP DATABASE fast WITH (FORCE)"))


def _calls() -> Iterator[Draft]:
    for rep, (category, currency) in enumerate(product(("commit", "best_case"), ("USD", "CHF"))):
        of = {"period": "2027-Q1", "person": f"rep{rep}", "category": category}
        amount = {"amount": "1234.565", "currency": currency}
        yield bi_book.draft(
            "period:2027-Q1", bi_book.said("forecast-called", amount=amount, **of), 40
        )
        if rep % 2:
            haircut = {
                "haircut_percent": 13,
                "expires_at": "2026-12-31T00:00:00Z",
                "adjuster": "mia",
                "reason": "as ever",
            }
            yield bi_book.draft(
                "period:2027-Q1", bi_book.said("forecast-adjusted", **haircut, **of), 41
            )


class _Asker:
    """Questions by chance.

    Args:
        seed: which.
    """

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def fields(self, table: Table) -> str:
        folded = self.chance.random() < 0.25 or table.name != "deals"
        names = [
            camel(each.name) for each in table.columns if folded or each.source is Source.STATE
        ]
        chosen = self.chance.sample(names, self.chance.randint(1, min(14, len(names))))
        often = self.chance.choice([0.0, 0.15])
        parts = [f"x_{name}: {name}" if self.chance.random() < often else name for name in chosen]
        if self.chance.random() < 0.2:
            parts.append("__typename")
        if self.chance.random() < 0.2:
            parts[0] += self.chance.choice([" @skip(if: true)", " @include(if: false)"])
        return " ".join(parts)

    def rows(self) -> str:
        table = self.chance.choice([TABLES["deals"]] * 4 + list(TABLES.values()))
        name = camel(table.root)
        kind = name[0].upper() + name[1:].removesuffix("s")
        fields = self.fields(table)
        shown = self.chance.choice(
            [f"{{ {fields} }}", f"{{ ... on {kind} {{ {fields} }} }}", "{ ...Cells }"]
        )
        parts = [f"nodes {shown}"]
        parts += self.chance.sample(
            ["pageInfo { hasNextPage hasPreviousPage startCursor endCursor }", "totalCount",
             "edges { cursor }", "aggregate { count }", "basis { validAt horizon }",
             f"again: nodes {{ {self.fields(table)} }}"],
            self.chance.randint(0, 3),
        )  # fmt: skip
        arguments = [self.chance.choice(BASES), f"first: {self.chance.choice([1, 2, 5, 1000])}"]
        if table.name == "deals":
            order = ['orderBy: "-amount"', 'owner: "ann"', "amountFrom: 1000", 'deal: "A"']
            arguments += self.chance.sample(order, self.chance.choice([0, 0, 1, 2]))
        fragment = f"fragment Cells on {kind} {{ {fields} }}" if "...Cells" in shown else ""
        return f"{{ {name}({', '.join(arguments)}) {{ {' '.join(parts)} }} }} {fragment}"

    def forecast(self) -> str:
        dimensions = self.chance.sample(
            ["owner", "manager", "team", "stage", "gate", "category", "currency", "segment"],
            self.chance.choice([0, 1, 1, 2, 3]),
        )
        by_currency = " byCurrency { currency amount }" if self.chance.random() < 0.15 else ""
        parts = ["measure", "category", "amount", "deals", "n: deals", "x: amount", "__typename"]
        chosen = self.chance.sample(parts, self.chance.randint(1, len(parts)))
        cells = f"cells {{ {' '.join(chosen)}{by_currency} }}"
        key = self.chance.choice(
            ["key { dimension value }", "key { v: value }", "k: key { ... on GroupKey { value } }",
             "key { value again: value }", "key @skip(if: true) { value }", ""]
        )  # fmt: skip
        within = [cells, key]
        self.chance.shuffle(within)
        groups = f"groups {{ {' '.join(within)} }}"
        beside = self.chance.sample(
            ["cells { measure category amount deals }", f"more: groups {{ {cells} }}", "currency",
             "unconverted { amount currency }", "groups { __typename }"],
            self.chance.randint(0, 2),
        )  # fmt: skip
        period = self.chance.choice(["2026", "2027-Q1", "2027-Q1", "2027", "2026-04"])
        asked = f'period: "{period}", groupBy: {orjson.dumps(dimensions).decode()}'
        return (
            f"{{ snapshot({self.chance.choice(BASES)}) {{ forecast({asked}) {{ "
            f"{' '.join([groups, *beside])} }} }} }}"
        )


async def told(executed: Any, door: Door, question: str) -> tuple[bytes, bytes]:
    """The data and the errors as they are sent."""
    answer = await executed.execute(question, context_value={"door": door})
    errors = [error.formatted for error in answer.errors or []]
    return json_bytes(answer.data), orjson.dumps(errors)


def test_flat_rows_are_told_as_graphql_core_tells_them(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker, by = _Asker(11), Counter[str]()
    spelt_page, as_json = spelling.spelt_page, row_answers._as_json

    def spelt(*arguments: Any, **named: Any) -> Any:
        page = spelt_page(*arguments, **named)
        by["not by the database" if page is None else "by the database"] += 1
        return page

    def made(*arguments: Any) -> Any:
        by["in the thread"] += 1
        return as_json(*arguments)

    monkeypatch.setattr(row_answers, "spelt_page", spelt)
    monkeypatch.setattr(row_answers, "_as_json", made)

    async def ask() -> None:
        for _ in range(QUESTIONS):
            question = asker.rows()
            stock = await told(STOCK, door, question)
            assert await told(FAST, door, question) == stock, question
            by["with rows"] += b'"nodes":[{' in stock[0]
            by["refused"] += stock[1] != b"[]"

    asyncio.run(ask())
    # All ways are gone: written by the database, made in the thread, and given back.
    assert min(by[each] for each in ("by the database", "in the thread", "with rows")) > 15, by
    assert by["not by the database"] > 1, by


def test_groups_of_a_forecast_are_told_as_graphql_core_tells_them(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker, by = _Asker(13), Counter[str]()
    spelt_groups = forecasts._Cells.spelt_groups

    def spelt(*arguments: Any) -> bytes:
        by["asked to spell"] += 1
        groups = spelt_groups(*arguments)
        by["spelt"] += 1
        return groups

    monkeypatch.setattr(forecasts._Cells, "spelt_groups", spelt)

    async def ask() -> None:
        for _ in range(QUESTIONS):
            question = asker.forecast()
            stock = await told(STOCK, door, question)
            assert await told(FAST, door, question) == stock, question
            by["with calls"] += b'"measure":"adjusted"' in stock[0]
            by["with groups"] += b'"groups":[{' in stock[0]
            assert stock[1] == b"[]", stock

    asyncio.run(ask())
    assert (
        min(by["spelt"], by["with groups"], by["with calls"], by["asked to spell"] - by["spelt"])
        > 15
    ), by


EVENT = "{ position eventId type occurredAt knownAt recordedAt witnessed actor source summary }"
DEAL = f"""{{ snapshot(asOf: "2026-06-30") {{ deals(first: 20) {{ nodes {{
    name amount {{ amount currency }} standsAt why headline
    claims {{ field value because {EVENT} }}
    evidenced {{ category counts summary because {EVENT} }}
    gates {{ gate status since summary missing tooOld because {EVENT}
        criteria {{ criterion status rule since summary lapsesAt because {EVENT} }} }}
    stakeholders {{ stakeholderId away {{ from until }} because {EVENT} }}
    moves {{ at kind summary criteria because {EVENT} }}
}} }} forecast(period: "2026", groupBy: ["owner"]) {{
    cells {{ measure category amount deals byCurrency {{ amount currency }} }}
    groups {{ key {{ dimension value }} cells {{ measure amount }} }}
    unconverted {{ measure category amount currency }} withoutAmount
}} }} }}"""


def test_deals_with_their_gates_are_told_as_graphql_core_tells_them(door: Door) -> None:
    async def ask() -> None:
        stock = await told(STOCK, door, DEAL)
        assert stock[1] == b"[]", stock[1]
        assert await told(FAST, door, DEAL) == stock

    asyncio.run(ask())


def test_a_position_beyond_a_whole_number_of_the_schema_is_refused_as_ever(door: Door) -> None:
    question = f'{{ dealRows(horizon: "{2**40}") {{ nodes {{ deal basisPosition }} }} }}'

    async def ask() -> None:
        stock = await told(STOCK, door, question)
        assert stock[1] != b"[]"
        assert await told(FAST, door, question) == stock

    asyncio.run(ask())
