"""Exports at random: every table in every format, with the filters that the catalogue tells of."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import httpx

from api.export.formats import FORMATS
from scripts.fuzzing.words import WILD, Words

ARGUMENTS_MAX = 4
WILDNESS = 0.4
OF_THE_BASIS = {
    "as_of": "AsOfTime", "valid_at": "AsOfTime", "known_at": "AsOfTime", "horizon": "BigInt",
    "min_position": "BigInt", "under": "String", "hindsight": "Boolean", "columns": "String",
    "witnessed_only": "Boolean", "nothing": "String",
}  # fmt: skip


class Export(NamedTuple):
    """An export to ask for.

    Args:
        path: table and format.
        said: the arguments.
    """

    path: str
    said: dict[str, str]


class Exports:
    """Makes up exports.

    Args:
        http: tells of the tables.
        words: what arguments say.
    """

    def __init__(self, http: httpx.Client, words: Words) -> None:
        tables: list[dict[str, Any]] = http.get("/api/columns.json").json()["tables"]
        self._tables = [table for table in tables if table["exported"]]
        self._words = words

    def made_up(self, random: Random) -> Export:
        """One of them."""
        table = random.choice(self._tables)
        kinds = {each["name"]: each["type"] for each in table["arguments"]} | OF_THE_BASIS
        names = random.sample(sorted(kinds), random.randrange(ARGUMENTS_MAX + 1))
        said = {name: self._word(random, name, kinds[name]) for name in names}
        return Export(f"/export/{table['name']}.{random.choice(sorted(FORMATS))}", said)

    def _word(self, random: Random, name: str, kind: str) -> str:
        if random.random() < WILDNESS:
            wild = self._words.wild(random, kind if kind in WILD else "String", "made up")
            return wild.encode("utf-8", "replace").decode()
        if kind == "Boolean":
            return random.choice(("true", "false"))
        return self._words.tame(random, kind, name) or "1"
