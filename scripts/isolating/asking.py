"""Clients that page, aggregate and export, as BI tools do, and keep what they were told.

Law: a client believes nothing: it keeps each answer with the basis that the answer states. What it
may be told to do again - too many exports at once - it does again.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import httpx
import orjson

from ledger.domain.basis import Basis
from ledger.domain.times import parse_instant
from projections.rows.catalogue import ASKED_ONLY, TABLES
from projections.rows.definition import camel
from scripts.isolating.truth import Asked, plain

BUSY_SECONDS = 0.2
_BASIS = "basis { validAt knownAt horizon witnessedOnly under }"

_CELLS = ("key_1", "measure", "category", "amount_exact", "deals")
_BY_OWNER = (("group_by", "owner"), ("period", "2026-Q1"))

PAGED = (
    Asked("deals", None, ("deal", "owner", "amount_exact", "currency", "category", "evidenced")),
    Asked("deals", "-amount", ("deal", "amount", "stands_at", "close_date", "outcome")),
    Asked("deals", "owner,-weighted_amount", ("deal", "owner", "weighted_amount_exact")),
    Asked("gates", None, ("deal", "gate_number", "gate", "status", "since", "missing")),
    Asked("criteria", "status", ("deal", "criterion_number", "criterion", "status", "lapses_at")),
    Asked("events", None, ("position", "event_id", "type", "known_at", "summary")),
    Asked("evidence", None, ("stream", "position", "criterion", "stance", "quote", "owner")),
    Asked("evidence", "-occurred_at", ("position", "occurred_at", "corrected_by", "category")),
    Asked("forecast", None, _CELLS, _BY_OWNER),
    Asked(
        "bridges", None, ("from_position", "key_1", "step", "amount_exact", "deals", "restated"),
        (*_BY_OWNER, ("measure", "evidenced"), ("from", "2026-01-31T12:00:00.000000Z"),
         ("to", "2026-03-20T12:00:00.000000Z")),
    ),
    Asked(
        "bridges", "-amount", ("key_1", "kind", "step", "amount", "changes"),
        (*_BY_OWNER, ("measure", "claimed"), ("from", "2026-01-10T00:00:00.000000Z"),
         ("to", "now")),
    ),
    Asked(
        "points", None, ("day", "key_1", "measure", "category", "amount_exact", "deals"),
        (*_BY_OWNER, ("from", "2026-01-15"), ("to", "2026-03-15"), ("every", "month")),
    ),
    Asked(
        "points", "day,-amount", ("day", "period", "key_1", "measure", "amount_exact", "currency"),
        (("group_by", "category"), ("from", "2026-02-01"), ("to", "2026-02-14"),
         ("every", "week"), ("hindsight", "true")),
    ),
)  # fmt: skip
EXPORTED = (
    Asked(
        "deals", None, ("deal", "owner", "amount_exact", "evidenced", "counts_on", "weight_percent")
    ),
    Asked("gates", None, ("deal", "gate_number", "status", "passes", "regressions")),
    Asked("events", None, ("position", "event_id", "stream", "type", "payload")),
    Asked("evidence", None, ("stream", "position", "said_by", "source_kind", "known_at")),
    Asked("forecast", None, _CELLS, _BY_OWNER),
)
_ROOT = {table.name: camel(table.root) for table in (*TABLES.values(), *ASKED_ONLY)}
_OWN_TIMES = frozenset({table.name for table in ASKED_ONLY})
"""Tables that are asked by times of their own."""
_AMOUNT = "reporting_amount_exact"


class Told(NamedTuple):
    """What a client was told.

    Args:
        asked: which rows.
        basis: what the answer says it depends on.
        rows: all of them; None where they were summed up.
        by: the column by which they were summed up.
        sums: the number of rows and the exact sum of amounts, for each value of that column.
        pages: in how many pieces it came.
    """

    asked: Asked
    basis: Basis
    rows: list[list[Any]] | None
    by: str = ""
    sums: dict[Any, tuple[int, str]] | None = None
    pages: int = 1


class Refused(Exception):
    """A client got no answer."""


class Client:
    """One who asks, again and again.

    Args:
        http: reaches the server.
        random: chooses what is asked.
    """

    def __init__(self, http: httpx.AsyncClient, random: Random) -> None:
        self._http = http
        self._random = random
        self.told: list[Told] = []

    async def ask_until(self, end: float, begin: Asked) -> None:
        """Ask until the event loop's clock says that time.

        Args:
            end: that time.
            begin: what is asked first.
        """
        clock = asyncio.get_running_loop().time
        self.told.append(await self._page(begin))
        while clock() < end:
            ask = self._random.choice(
                (self._page, self._page, self._page, self._sum_up, self._export, self._forecast)
            )
            self.told.append(await ask())

    async def _page(self, begin: Asked | None = None) -> Told:
        asked = begin or self._random.choice(PAGED)
        first = self._random.choice((7, 25, 100))
        when = await self._when()
        rows: list[list[Any]] = []
        bases: list[Basis] = []
        after = None
        while True:
            found = await self._post(_page_query(asked, when), first=first, after=after)
            bases.append(_basis(found["basis"]))
            rows += [[node[camel(name)] for name in asked.columns] for node in found["nodes"]]
            if not found["pageInfo"]["hasNextPage"]:
                break
            after = found["pageInfo"]["endCursor"]
        if len(set(bases)) > 1:
            raise Refused(f"the pages of one walk rest on {set(bases)}")
        return Told(asked, bases[0], rows, pages=len(bases))

    async def _forecast(self) -> Told:
        """The groups of a forecast as people read them, told as the rows of the flat table."""
        asked = Asked("forecast", None, _CELLS, _BY_OWNER)
        found = await self._post(
            f"""query {{ rows: snapshot({_arguments(await self._when())}) {{ {_BASIS}
                forecast(period: "2026-Q1", groupBy: ["owner"]) {{ groups {{
                    key {{ value }} cells {{ measure category amount deals }} }} }} }} }}"""
        )
        rows = [
            [key["value"], cell["measure"], cell["category"], cell["amount"], cell["deals"]]
            for group in found["forecast"]["groups"]
            for key in group["key"]
            for cell in group["cells"]
        ]
        rows.sort(key=lambda row: (row[0] is None, row[0] or "", row[1], row[2]))
        return Told(asked, _basis(found["basis"]), rows)

    async def _sum_up(self) -> Told:
        by = self._random.choice(("owner", "evidenced", "category", "outcome"))
        amount = camel(f"sum_{_AMOUNT}")
        found = await self._post(
            f"""query {{ rows: dealRows({_arguments(await self._when())}) {{ {_BASIS} totalCount
                aggregate {{ count {amount} }}
                groupBy(fields: ["{by}"]) {{ {by} count {amount} }} }} }}"""
        )
        sums = {each[by]: (each["count"], _plain(each[amount])) for each in found["groupBy"]}
        whole = sum(count for count, _sum in sums.values())
        total = sum((Decimal(each) for _count, each in sums.values()), Decimal())
        counts = {found["totalCount"], found["aggregate"]["count"], whole}
        if len(counts) > 1 or plain(total) != _plain(found["aggregate"][amount]):
            raise Refused(f"the parts of one answer do not add up: {found}")
        return Told(Asked("deals", None, ()), _basis(found["basis"]), None, by, sums)

    async def _export(self) -> Told:
        asked = self._random.choice(EXPORTED)
        when = await self._when()
        told = {"columns": ",".join(asked.columns), **dict(asked.given)}
        told |= {"as_of": when} if when else {}
        while True:
            answer = await self._http.get(f"/export/{asked.table}.ndjson", params=told)
            if answer.status_code != 503:
                break
            await asyncio.sleep(BUSY_SECONDS)
        if answer.status_code != 200:
            raise Refused(f"an export: {answer.status_code} {answer.text}")
        lines = map(orjson.loads, answer.content.splitlines())
        rows = [[line[name] for name in asked.columns] for line in lines]
        return Told(asked, _told_basis(orjson.loads(answer.headers["qledger-basis"])), rows)

    async def _when(self) -> str | None:
        """Mostly now; at times a day of the story, or what the log held a little while ago."""
        chance = self._random.random()
        if chance < 0.5:
            return None
        if chance < 0.75:
            return f"2026-0{self._random.randrange(1, 4)}-{self._random.randrange(10, 29)}"
        answer = await self._http.post("/graphql", json={"query": "{ ledger { headPosition } }"})
        head = int(answer.json()["data"]["ledger"]["headPosition"])
        return f"pos:{max(1, head - self._random.randrange(200))}" if head else None

    async def _post(self, query: str, **variables: Any) -> Any:
        answer = await self._http.post("/graphql", json={"query": query, "variables": variables})
        told = answer.json()
        if answer.status_code != 200 or "errors" in told:
            raise Refused(f"{answer.status_code} {answer.text}\n{query}\n{variables}")
        return told["data"]["rows"]


def _page_query(asked: Asked, when: str | None) -> str:
    given = [f"{camel(name)}: {_spelt(value)}" for name, value in asked.given]
    given += [] if asked.table in _OWN_TIMES else [_arguments(when)]
    given += [f'orderBy: "{asked.order_by}"'] if asked.order_by else []
    return f"""query($first: Int!, $after: String) {{
        rows: {_ROOT[asked.table]}(first: $first, after: $after, {", ".join(given)}) {{
            {_BASIS} pageInfo {{ hasNextPage endCursor }}
            nodes {{ {" ".join(map(camel, asked.columns))} }} }} }}"""


def _spelt(value: str) -> str:
    return value if value == "true" else f'"{value}"'


def _arguments(when: str | None) -> str:
    return "witnessedOnly: false" if when is None else f'asOf: "{when}"'


def _plain(amount: str | None) -> str:
    return plain(Decimal(amount or 0))


def _basis(told: dict[str, Any]) -> Basis:
    return Basis(
        parse_instant(told["validAt"]), parse_instant(told["knownAt"]), int(told["horizon"]),
        told["witnessedOnly"], told["under"],
    )  # fmt: skip


def _told_basis(told: dict[str, Any]) -> Basis:
    return Basis(
        parse_instant(told["valid_at"]), parse_instant(told["known_at"]), told["horizon"],
        told["witnessed_only"], told.get("under"), told["rules"],
    )  # fmt: skip
