"""The fast executor on the ledger's own schema: the same bytes as graphql-core's, row by row, in
every role, errors and nulls included.
"""

from __future__ import annotations

import asyncio
import logging
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

from api.access.principals import ANYBODY, Principal, Role
from api.access.readings import Asking
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

ROWS, FORECASTS, DEALS = 520, 280, 240
"""How many questions are asked of each: more than a thousand together."""

FAULT_SHARE = 0.06
"""How many parts of questions are wrong."""

PRINCIPALS = (
    ANYBODY,
    *(Principal(person, role, "token:test") for person, role in (
        ("rep1", Role.REP), ("mia", Role.MANAGER), ("ula", Role.ANALYST), ("aud", Role.AUDITOR),
    )),
)  # fmt: skip
BASES = (
    'asOf: "2026-03-10"',
    'asOf: "2026-06-30"',
    'validAt: "2026-03-10", knownAt: "2026-06-01"',
    'validAt: "2026-09-01", knownAt: "2026-03-01"',
    'asOf: "2026-01-05T10:00:00Z"',
    'asOf: "2026-06-30", witnessedOnly: true',
)
EVERYBODY = [f"{each.role} was told" for each in PRINCIPALS]
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
    """Questions by chance, by whom they are asked, and what became of them.

    Args:
        door: where they are asked.
        seed: which.
    """

    def __init__(self, door: Door, seed: int) -> None:
        self.chance = Random(seed)
        self.by: Counter[str] = Counter()
        """What was told: roles of who got data, codes of what was refused."""
        self._doors = [(each, door.seen_by(Asking(each))) for each in PRINCIPALS]

    async def ask(self, question: str) -> bytes:
        """The data, which both executors must tell alike, and the errors."""
        principal, door = self.chance.choice(self._doors)
        data, errors = await told(STOCK, door, question)
        assert await told(FAST, door, question) == (data, errors), (principal, question)
        codes = {str(each.get("extensions", {}).get("code")) for each in orjson.loads(errors)}
        assert "invalid-query" not in codes, (question, errors)
        self.by.update(codes or {f"{principal.role} was told"})
        return data

    def faulty(self, right: str, *wrong: str) -> str:
        """Now and then something wrong."""
        return self.chance.choice(wrong) if self.chance.random() < FAULT_SHARE else right

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
        size = self.faulty(
            f"first: {self.chance.choice([1, 2, 5, 1000])}", 'after: "x"', "first: 0"
        )
        arguments = [self.faulty(self.chance.choice(BASES), 'asOf: "2026-13-01"'), size]
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
        dimensions = [self.faulty(each, "No Dimension") for each in dimensions]
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
        period = self.faulty(period, "Q9")
        asked = f'period: "{period}", groupBy: {orjson.dumps(dimensions).decode()}'
        return (
            f"{{ snapshot({self.chance.choice(BASES)}) {{ forecast({asked}) {{ "
            f"{' '.join([groups, *beside])} }} }} }}"
        )

    def deals(self) -> str:
        number = self.chance.randint(0, 60)
        gate = self._some("gate", "status", "since", "summary", "missing", "tooOld")
        criterion = f"{self._some('criterion', 'status', 'lapsesAt')} {self._because()}"
        parts = [
            f"gates {{ {gate} {self._because()} criteria {{ {criterion} }} }}",
            f"claims {{ {self._some('field', 'value')} {self._because()} }}",
            f"stakeholders {{ {self._some('stakeholderId', 'role')} away {{ from until }} }}",
            f"evidenced {{ {self._some('category', 'counts', 'summary')} {self._because()} }}",
            f"moves {{ {self._some('at', 'kind', 'summary', 'criteria')} }}",
            "amount { amount currency }",
            "timeline(first: 3) { nodes { status payload event { position type } } totalCount }",
            "name headline standsAt why __typename",
        ]
        fields = " ".join(self.chance.sample(parts, self.chance.randint(1, 4)))
        page = self.faulty(f"first: {self.chance.choice([1, 2, 3])}", 'first: 2, after: "x"')
        one = self.faulty(f"D{number:05d}", "nope")
        asked = self.chance.choice(
            [f"deals({page}) {{ nodes {{ {fields} }} }}", f'deal(id: "{one}") {{ {fields} }}',
             f'deal(id: "{one}") {{ {fields} }} other: deals({page}) {{ nodes {{ name }} }}',
             f'deal(id: "{one}") {{ {fields} }} postMortem(deal: "{one}") {{ outcome }}']
        )  # fmt: skip
        return f"{{ snapshot({self.chance.choice(BASES)}) {{ {asked} }} }}"

    def _some(self, *names: str) -> str:
        return " ".join(self.chance.sample(names, self.chance.randint(1, len(names))))

    def _because(self) -> str:
        event = self._some("position", "type", "occurredAt", "witnessed", "actor", "summary")
        return self.chance.choice([f"because {{ {event} }}", ""])


async def told(executed: Any, door: Door, question: str) -> tuple[bytes, bytes]:
    """The data and the errors as they are sent."""
    answer = await executed.execute(question, context_value={"door": door})
    errors = sorted((error.formatted for error in answer.errors or []), key=str)
    return json_bytes(answer.data), orjson.dumps(errors)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Without what Strawberry logs of each error."""
    logger = logging.getLogger("strawberry.execution")
    logger.disabled = True
    yield
    logger.disabled = False


def test_flat_rows_are_told_as_graphql_core_tells_them(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = _Asker(door, 11)
    by = asker.by
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
        for _ in range(ROWS):
            by["with rows"] += b'"nodes":[{' in await asker.ask(asker.rows())

    asyncio.run(ask())
    # All ways are gone: written by the database, made in the thread, and given back.
    assert min(by[each] for each in ("by the database", "in the thread", "with rows")) > 15, by
    assert by["not by the database"] > 1, by
    refused = ("forbidden", "invalid-cursor", "invalid-page-size", "invalid-as-of")
    assert min(by[each] for each in (*refused, *EVERYBODY)) > 2, by


def test_groups_of_a_forecast_are_told_as_graphql_core_tells_them(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = _Asker(door, 13)
    by = asker.by
    spelt_groups = forecasts._Cells.spelt_groups

    def spelt(*arguments: Any) -> bytes:
        by["asked to spell"] += 1
        groups = spelt_groups(*arguments)
        by["spelt"] += 1
        return groups

    monkeypatch.setattr(forecasts._Cells, "spelt_groups", spelt)
    monkeypatch.setattr(forecasts, "GROUPS_AT_ONCE", 2)  # more are told in a thread

    async def ask() -> None:
        for _ in range(FORECASTS):
            data = await asker.ask(asker.forecast())
            by["with calls"] += b'"measure":"adjusted"' in data
            by["with groups"] += b'"groups":[{' in data

    asyncio.run(ask())
    assert (
        min(by["spelt"], by["with groups"], by["with calls"], by["asked to spell"] - by["spelt"])
        > 15
    ), by
    refused = ("forbidden", "invalid-dimension", "invalid-period")
    assert min(by[each] for each in (*refused, *EVERYBODY)) > 2, by


def test_deals_with_parts_by_chance_are_told_as_graphql_core_tells_them(door: Door) -> None:
    asker = _Asker(door, 17)
    by = asker.by

    async def ask() -> None:
        for _ in range(DEALS):
            data = await asker.ask(asker.deals())
            by["with gates"] += b'"gates":[{' in data
            by["no such deal"] += b'"deal":null' in data

    asyncio.run(ask())
    assert min(by["with gates"], by["no such deal"]) > 10, by
    refused = ("forbidden", "invalid-cursor", "unknown-deal")
    assert min(by[each] for each in (*refused, *EVERYBODY)) > 2, by


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
