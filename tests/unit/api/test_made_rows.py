"""Rows that are made all at once: all that is asked of them is answered in one pass."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from api.graphql import made_rows
from api.graphql.made_rows import MadeRows
from api.graphql.row_cursor import Asked
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from projections.rows.answering import Answers, Wishes, answer_of
from projections.rows.asking import Question, question
from projections.rows.bridges import BRIDGES
from projections.rows.definition import Row

AT = datetime(2026, 3, 31, tzinfo=UTC)
STEP = BRIDGES.column("step")


def row(line: int, step: str) -> Row:
    known: dict[str, Any] = {
        "line": line, "step": step, "amount": 1.0, "amount_exact": "1.00", "deals": 1,
    }  # fmt: skip
    return tuple(known.get(column.name, "") for column in BRIDGES.columns)


ROWS = [row(2, "won"), row(0, "opening"), row(1, "created")]


def made(make: Any) -> MadeRows:
    asked = question(BRIDGES, {})
    order = tuple(each.column for each in asked.full_order)
    return MadeRows(make, cast("Any", None), asked, Asked("", Basis(AT, AT, 1), order), 2, None)


def test_fields_that_are_asked_for_together_take_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = 0

    def counted(found: Iterable[Row], asked: Question, wishes: Wishes) -> Answers:
        nonlocal passes
        passes += 1
        return answer_of(found, asked, wishes)

    async def make() -> list[Row]:
        return ROWS

    async def ask() -> Any:
        rows = made(make)
        sums, groups = rows.sums(frozenset({"deals"})), rows.groups((STEP,), frozenset())
        return await asyncio.gather(rows.page(), rows.ends(), sums, groups)

    monkeypatch.setattr(made_rows, "answer_of", counted)
    page, ends, total, groups = asyncio.run(ask())
    assert passes == 1
    assert page == ends
    assert [each.step for each in page.rows] == ["opening", "created"]
    assert page.more
    assert total.count == total.sum_deals == 3
    assert [each.step for each in groups] == ["created", "opening", "won"]


def test_why_they_could_not_be_made_is_told_to_each() -> None:
    async def make() -> list[Row]:
        raise InvalidInput("too-many-groups", "too many")

    async def ask() -> list[Any]:
        rows = made(make)
        both = rows.page(), rows.sums(frozenset())
        return list(await asyncio.gather(*both, return_exceptions=True))

    assert [str(each.code) for each in asyncio.run(ask())] == ["too-many-groups"] * 2
