"""The fast executor answers what graphql-core answers: data, errors, their paths and order, on
random questions to random data in which much is wrong.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import orjson
import pytest
import strawberry

from api.graphql import compiled, executor
from api.graphql.executor import FastExecutor, executed_by
from api.graphql.scalars import CONFIG, BigInt, DateTime, ExactDecimal
from api.http.encoding import json_bytes

QUESTIONS = 1_000
WIDE = 2**40


@strawberry.enum
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@strawberry.interface
class Named:
    id: strawberry.ID


@strawberry.type
class Event(Named):
    at: DateTime
    position: BigInt
    colour: Colour
    note: str | None
    size: int


@strawberry.type
class Part:
    share: float
    exact: ExactDecimal | None

    @strawberry.field
    def doubled(self) -> float:
        return self.share * 2


@strawberry.type
class Thing:
    name: str
    count: int | None
    flag: bool
    colour: Colour
    colours: list[Colour]
    table: list[list[int | None]] | None
    part: Part | None
    parts: list[Part | None]
    events: list[Event]
    twin: Thing | None
    hidden: strawberry.Private[int] = 0

    @strawberry.field
    async def later(self) -> int:
        await asyncio.sleep(0)
        return self.hidden

    @strawberry.field
    def fails(self) -> int | None:
        if self.hidden % 3 == 0:
            raise ValueError(f"it is {self.hidden}")
        return self.hidden

    @strawberry.field
    def times(self, by: int = 2) -> int:
        return self.hidden * by


@strawberry.type
class Query:
    @strawberry.field
    def things(self, info: strawberry.Info) -> list[Thing | None]:
        found: list[Thing | None] = info.context["things"]
        return found

    @strawberry.field
    async def more(self, info: strawberry.Info) -> list[Thing]:
        found: list[Thing] = info.context["things"]
        return found


SCHEMA = strawberry.Schema(query=Query, config=CONFIG)
STOCK, FAST = executed_by(SCHEMA, "stock"), executed_by(SCHEMA, "fast")


class _Waiting:
    """What is to be waited for."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Iterator[Any]:
        return iter(()) or self._value

    def __str__(self) -> str:
        return "waiting"


class _World:
    """Data and questions by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def wrong(self, right: Any, *wrong: Any) -> Any:
        """Now and then something wrong."""
        return self.chance.choice(wrong) if self.chance.random() < 0.012 else right

    def part(self) -> Any:
        exact: Any = self.chance.choice([None, ExactDecimal("1.20"), Decimal(2)])
        share = self.wrong(1.5, float("nan"), None, "2.5", 3, float("inf"))
        return self.wrong(
            Part(share=share, exact=exact),
            ValueError("no part"), 7,
        )  # fmt: skip

    def event(self, number: int) -> Any:
        return Event(
            id=strawberry.ID(self.wrong(str(number), number, None)),
            at=self.wrong(DateTime("2026-01-01T00:00:00.000000Z"), None, Exception("no time")),
            position=self.wrong(BigInt(WIDE + number), None),
            colour=self.wrong(Colour.RED, "blue", "none", None),
            note=self.wrong(None, 'with "quotes" and \\ and \n', 4),
            size=self.wrong(number, WIDE, "x", True, 2.0, 2.5),
        )

    def thing(self, number: int, depth: int = 1) -> Thing:
        some = self.chance.random
        return Thing(
            name=self.wrong(f"thing {number} ü☃", None, 5, b"bytes", ValueError("no name")),
            count=self.chance.choice([None, number, self.wrong(number, WIDE, -WIDE, 1.0)]),
            flag=self.wrong(some() < 0.5, None, 1, "yes"),
            colour=self.wrong(self.chance.choice(list(Colour)), "purple"),
            colours=self.wrong([self.chance.choice(list(Colour)) for _ in range(2)], None, 3),
            table=self.chance.choice(
                [None, [[1, None], [number]], ((1,), (2,)), self.wrong([], 1)]
            ),
            part=self.chance.choice([None, self.part()]),
            parts=[
                self.chance.choice([None, self.part()]) for _ in range(self.chance.randint(0, 2))
            ],
            events=self.wrong([self.event(number), self.event(number + 1)], None, "text", iter(())),
            twin=self.thing(number + 100, depth - 1) if depth and some() < 0.3 else None,
            hidden=number,
        )

    def things(self) -> list[Thing | None]:
        many = self.chance.randint(0, 7)
        return [self.chance.choice([self.thing(number)] * 12 + [None]) for number in range(many)]

    # --- questions --------------------------------------------------------------------------

    def directive(self) -> str:
        return self.chance.choice(
            [""] * 6 + [" @skip(if: $no)", " @include(if: $no)", " @include(if: true)",
                        " @skip(if: $yes)"]
        )  # fmt: skip

    def field(self, name: str, below: str = "") -> str:
        alias = self.chance.choice(["", "", "", f"x_{name}: ", f"Y_{name}: "])
        return f"{alias}{name}{self.directive()} {below}"

    def below(self, names: list[str]) -> str:
        chosen = self.chance.sample(names, self.chance.randint(1, len(names)))
        parts = [self.field(name) for name in chosen]
        if self.chance.random() < 0.3:
            parts.append("__typename")
        return "{ " + " ".join(parts) + " }"

    def selection(self, depth: int = 1) -> str:
        leaves = ["name", "count", "flag", "colour", "colours", "table"]
        parts = [self.field(name) for name in self.chance.sample(leaves, self.chance.randint(0, 5))]
        parts += [part for part, often in self.others(depth) if self.chance.random() < often]
        self.chance.shuffle(parts)
        return "{ " + " ".join(parts or ["__typename"]) + " }"

    def others(self, depth: int) -> list[tuple[str, float]]:
        """What else may be selected, and how often it is."""
        event = self.below(["at", "position", "colour", "note", "size", "id"])
        deeper = [(self.field("twin", self.selection(depth - 1)), 0.3)] if depth else []
        return [
            (self.field("part", self.below(["share", "exact"])), 0.5),
            (self.field("parts", self.below(["share", "exact"])), 0.4),
            (self.field("events", event), 0.5),
            ("events { ... on Named { named: id } ... on Event { size } }", 0.2),
            *deeper,
            ("later_: later", 0.1),
            ("fails_: fails", 0.1),
            ("times_: times(by: $n)", 0.1),
            ("part { doubled }", 0.15),
            ("...Some", 0.3),
            ("... on Thing { flag } ...Some", 0.2),
        ]

    def question(self) -> str:
        root = self.chance.choice(["things", "more"])
        body = f"{root} {self.selection()}"
        if self.chance.random() < 0.2:
            body += f" again: {root} {self.selection()}"
        some = "fragment Some on Thing { name events { size } twin { name } }"
        fragment = some if "...Some" in body else ""
        kinds = {"yes": "Boolean!", "no": "Boolean!", "n": "Int!"}
        used = ", ".join(f"${name}: {kind}" for name, kind in kinds.items() if f"${name}" in body)
        return f"query{f'({used})' if used else ''} {{ {body} }} {fragment}"


async def told(schema: strawberry.Schema, question: str, things: list[Any]) -> bytes:
    """The data as it is sent, and all errors with their paths."""
    variables = {"yes": True, "no": False, "n": 3}
    answer = await schema.execute(question, variables, context_value={"things": things})
    errors = [error.formatted for error in answer.errors or []]
    return json_bytes(answer.data) + b"\n" + orjson.dumps(sorted(errors, key=str))


@pytest.fixture
def quiet() -> Iterator[None]:
    """Without what Strawberry logs of each error."""
    logger = logging.getLogger("strawberry.execution")
    logger.disabled = True
    yield
    logger.disabled = False


@pytest.mark.usefixtures("quiet")
def test_data_and_errors_are_those_of_graphql_core(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[str] = Counter()
    compile_list = compiled.compile_list

    def counted(*arguments: Any) -> Any:
        try:
            plan = compile_list(*arguments)
        except Exception:
            made["not compiled"] += 1
            raise

        def run(items: Any) -> Any:
            try:
                found = plan(items)
            except Exception:
                made["given back"] += 1
                raise
            made["compiled"] += 1
            return found

        return run

    monkeypatch.setattr(executor, "compile_list", counted)
    world, seen = _World(7), Counter[bool]()

    async def ask() -> None:
        for number in range(QUESTIONS):
            question, things = world.question(), world.things()
            stock = await told(STOCK, question, things)
            assert await told(FAST, question, things) == stock, (number, question)
            seen[stock.endswith(b"[]")] += 1

    asyncio.run(ask())
    # Neither is vacuous: compiled, given back while running, and left to graphql-core at once.
    assert min(made.values()) > 30, made
    assert min(seen.values()) > 60, seen


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "things",
    [
        [None],
        [ValueError("no thing")],
        [7],
        [_Waiting(None)],
        (),
        [{"name": "a dict"}],
        None,
        "abc",
    ],
    ids=["null", "error", "number", "waiting", "none at all", "dict", "no list", "text"],
)
@pytest.mark.parametrize("selected", ["__typename", "name", "twin { __typename }"])
def test_what_is_no_object_is_left_to_graphql_core(things: Any, selected: str) -> None:
    question = f"{{ things {{ {selected} }} }}"
    expected = asyncio.run(told(STOCK, question, things))
    assert asyncio.run(told(FAST, question, things)) == expected


def test_an_installation_may_leave_it_out() -> None:
    assert FAST.execution_context_class is FastExecutor
    assert not issubclass(STOCK.execution_context_class, FastExecutor)
