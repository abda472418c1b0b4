"""What a fuzzed question says in its arguments: names that the ledger knows, and awkward ones.

Law: chance alone would never name a deal that is there, and every question would be refused at the
door. So a tame word fits its argument, and is one that the ledger knows; a wild one has broken
programs before, fits another argument, or was made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import httpx

AWKWARD = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "é", "e\u0301",
    "😀" * 40, "x" * 5_000, "'; DROP TABLE qledger.event; --", "%", "_", "\\", '"', "{}", "[]",
    "null", "NaN", "Infinity", "-0", "1e400", "../../etc/passwd", "\n", "\r\n", "\t", "\x7f",
    "\x85", "İ", "ß", "0", "-1", "1", "true", "Query", "__typename", "deal:", ":", "a:b",
    "ann\u2028bob", "٣", "١٢٣",
)  # fmt: skip
TIMES = (
    "now", "0001-01-01", "9999-12-31", "2024-02-29", "2023-02-29", "pos:0", "pos:1", "pos:7",
    "pos:99999999999999999999", "pos:-1", "pos:", "pos:٣", "2026-03-31T23:59:59.999999+14:00",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "2026-W10",
    "20260331", "2026-03-31T24:00:00Z", "2026-03-31T17:00:60Z", "2026-03-31 17:00Z",
    "2026-03-31T17:00:00.123456789Z", "-0001-01-01", "0001-01-01T00:00:00Z",
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "12", "120000.00", "1e3", "1E+400", "NaN", "sNaN", "Infinity", "-Infinity",
    "0.000001", "1_000", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "9" * 400, "٣", "+1", " 1 ", "0x10", "1,5", "120000.005", "-0", "1e-400",
)  # fmt: skip
WILD = {
    "AsOfTime": TIMES, "Date": TIMES, "DateTime": TIMES, "BigInt": NUMBERS, "Decimal": NUMBERS,
    "JSON": NUMBERS, "String": AWKWARD, "ID": AWKWARD,
}  # fmt: skip
"""By scalar, what has broken programs before."""

_DAYS = ("2025-02-28", "2025-03-31", "2026-01-15", "2026-03-31", "2026-06-30")
_INSTANTS = ("2025-03-15T12:00:00Z", "2026-02-01T09:30:00+01:00", "2026-06-30T23:59:59.999999Z")
TAME = {
    "AsOfTime": (*_DAYS, *_INSTANTS, "now", "pos:20"),
    "Date": _DAYS,
    "DateTime": _INSTANTS,
    "BigInt": ("5", "25", "1000"),
    "Decimal": ("1200.50", "0", "99999999999.99", "1.1"),
}
"""By scalar, what is sensible."""

_KINDS = {
    "person": "actor adjuster assessor manager owner person reviewer",
    "deal": "deal afterDeal",
    "account": "account parent",
    "category": "category against",
    "day": "closeDate firstDay lastDay from to",
    "instant": "endsAt expiresAt occurredAt",
    "period": "period",
    "criterion": "criterion",
    "gate": "gate evidenced fromGate toGate standsAt",
    "currency": "currency",
    "zone": "timeZone",
    "stakeholder": "stakeholder saidBy reportsTo",
    "column": "orderBy groupBy fields",
    "cursor": "after before",
    "event": "eventId target",
    "playbook": "playbook key",
    "version": "under version",
    "measure": "measure measures",
    "node": "ids",
    "thing": "id",
    "type": "type",
    "outcome": "outcome",
    "digest": "sha256",
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}


class Words(NamedTuple):
    """The words that questions are made of.

    Args:
        by_kind: what the ledger knows, by kind.
    """

    by_kind: Mapping[str, Sequence[str]]

    def tame(self, random: Random, scalar: str, name: str) -> str | None:
        """What an argument may sensibly say; None says nothing.

        Args:
            random: chooses.
            scalar: the type of the argument.
            name: of the argument.
        """
        kind = _KIND_OF.get(name, "")
        narrow = kind in {"cursor", "event", "version"} or name in {"horizon", "minPosition"}
        if narrow and random.random() < 0.8:
            return None
        known = TAME.get(scalar) or self.by_kind.get(kind) or ("some words",)
        return random.choice(known)

    def wild(self, random: Random, scalar: str, made_up: str) -> str:
        """What an argument would rather not be told.

        Args:
            random: chooses.
            scalar: the type of the argument.
            made_up: what chance alone would have it say.
        """
        others = random.choice(list(self.by_kind.values()))
        return random.choice((made_up, random.choice(WILD[scalar]), random.choice(others)))


_ASKED = """{ snapshot { playbooks { playbook version label } deals(first: 20) { nodes { id } } }
  dealRows(first: 40) { nodes { deal account owner outcome } }
  gateRows(first: 40) { nodes { gate } }
  criterionRows(first: 200) { nodes { criterion } pageInfo { endCursor } }
  eventRows(first: 40) { nodes { eventId type } pageInfo { endCursor } } }"""
_STEADY = {
    "person": ("kim", "lee"),
    "deal": ("D-new", "D-other"),
    "account": ("A-new",),
    "category": ("commit", "best_case", "pipeline", "omitted", "closed"),
    "day": _DAYS,
    "instant": _INSTANTS,
    "period": ("2025-Q1", "2026-Q1", "2026", "2026-01"),
    "currency": ("USD", "EUR", "JPY"),
    "zone": ("UTC", "Europe/Berlin", "America/New_York"),
    "stakeholder": ("eve", "sam"),
    "measure": ("claimed", "evidenced", "weighted", "called", "adjusted", "closed"),
    "digest": ("ab" * 32,),
    "outcome": ("won", "lost", "no_decision"),
}


def words_of(http: httpx.Client) -> Words:
    """The words that a served ledger knows."""
    answer = http.post("/graphql", json={"query": _ASKED}).raise_for_status()
    data = answer.json()["data"]
    rows = [row for name, part in data.items() if name != "snapshot" for row in part["nodes"]]
    books = data["snapshot"]["playbooks"]
    pages = (data["criterionRows"], data["eventRows"])
    nodes = {node["id"] for node in data["snapshot"]["deals"]["nodes"]}
    found = {
        "person": {row.get("owner") for row in rows},
        "deal": {row.get("deal") for row in rows},
        "account": {row.get("account") for row in rows},
        "gate": {row.get("gate") for row in rows},
        "criterion": {row.get("criterion") for row in rows},
        "event": {row.get("eventId") for row in rows},
        "type": {row.get("type") for row in rows},
        "cursor": {page["pageInfo"]["endCursor"] for page in pages},
        "playbook": {book["playbook"] for book in books},
        "version": {book[name] for book in books for name in ("version", "label")},
        "column": _columns(http),
        "node": nodes,
        "thing": nodes | {row.get(name) for row in rows for name in ("deal", "account", "owner")},
    }
    kinds = sorted(found.keys() | _STEADY.keys())
    words = {
        kind: tuple(sorted({*_STEADY.get(kind, ()), *filter(None, found.get(kind, ()))}))
        for kind in kinds
    }
    return Words({kind: some for kind, some in words.items() if some})


def _columns(http: httpx.Client) -> set[str]:
    """The names of all columns of flat rows."""
    tables = http.get("/api/columns.json").raise_for_status().json()["tables"]
    return {column["name"] for table in tables for column in table["columns"]}
