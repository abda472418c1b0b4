"""Post-mortems, decisions, debriefs, the team and patterns over GraphQL: what the layers below say,
in types, by either executor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from api.asof import AsOf
from api.door import Door
from api.graphql.executor import executed_by
from api.graphql.schema import schema
from ledger.domain.times import parse_date
from projections.book import Book
from projections.debriefs import debrief_coverage
from projections.decisions import decisions
from projections.fold.people import Organisation
from projections.patterns import patterns, window_of
from projections.post_mortem import post_mortem
from projections.team import team
from tests.e2e.asking import Client, arguments, camel, mirrored, same, selection
from tests.e2e.test_graphql_journey import (
    END,
    PERIOD,
    book_of_business,
    client,
    door,
    some,
)

__all__ = ["book_of_business", "client", "door", "some"]

STOCK = executed_by(schema, "stock")

ANSWERS: dict[str, tuple[Callable[[Book], dict[str, Any]], tuple[str, ...]]] = {
    f'debriefs(period: "{PERIOD}")': (
        lambda book: debrief_coverage(book, book.period(PERIOD)), ("owners", "deals"),
    ),
    f'decisions(period: "{PERIOD}")': (
        lambda book: decisions(book, book.period(PERIOD)), ("won", "not_won"),
    ),
    f'team(period: "{PERIOD}", organisation: AS_IS)': (
        lambda book: team(book, book.period(PERIOD), organisation=Organisation.AS_IS),
        ("people", "due"),
    ),
    'patterns(firstDay: "2025-10-01", lastDay: "2026-03-31", groupBy: ["owner", "team"])': (
        lambda book: patterns(
            book,
            window_of(book, first=parse_date("2025-10-01"), last=parse_date("2026-03-31")),
            ("owner", "team"),
        ),
        ("groups",),
    ),
    "patterns": (patterns, ("groups",)),
}  # fmt: skip
"""How each is asked for -> what the layers below answer, and what of it comes in pages."""


def in_types(answer: Any) -> Any:
    """An answer of the layers below, in the shape of the schema's types."""
    if isinstance(answer, list):
        return [in_types(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    found = {key: in_types(value) for key, value in answer.items()}
    if isinstance(answer.get("deal"), str):
        found["deal_id"] = found.pop("deal")
    if isinstance(answer.get("key"), dict):
        found["key"] = [{"dimension": key, "value": value} for key, value in answer["key"].items()]
    if "causes" in answer:
        found["because"] = [{"position": cause} for cause in found.pop("causes")]
    if "stream" in answer:
        own = {key: found.pop(key) for key in ("stream", "kind", "status", "late")}
        found["summary"] = found.pop("what")
        found = {**own, "event": found}
    return found


def check(client: Client, door: Door, pin: str, field: str, answer: dict[str, Any],
          paged: tuple[str, ...]) -> None:  # fmt: skip
    """Whether what is told of a field is the answer of the layers below, by either executor."""
    rows = {part: mirrored(in_types(answer[part])) for part in paged}
    others = mirrored(in_types({key: answer[key] for key in answer if key not in paged}))
    whole = {key: value for key, value in others.items() if value != {}}
    shown = {part: selection(rows[part]) if rows[part] else "{ __typename }" for part in paged}
    pages = " ".join(
        f"{camel(part)}(first: 500) {{ totalCount nodes {shown[part]} }}" for part in paged
    )
    query = f"{{ snapshot({pin}) {{ told: {field} {selection(whole)[:-1]} {pages} }} }} }}"
    data = client.ask(query)
    told = data["snapshot"]["told"]
    for part in paged:
        found = told.pop(camel(part))
        assert found["totalCount"] == len(answer[part])
        assert not rows[part] or same(found["nodes"], rows[part][:500]), part
    assert same(told, whole)
    context = {"door": door, "ledger": None}
    stock = asyncio.run(STOCK.execute(query, context_value=context))
    assert stock.errors is None
    assert stock.data == client.ask(query)


@pytest.mark.parametrize("field", ANSWERS)
def test_what_is_told_in_types_is_what_the_layers_below_say(
    client: Client, door: Door, field: str
) -> None:
    question, paged = ANSWERS[field]
    with door.book(AsOf(END)) as book:
        answer = question(book)
        pin = arguments(book.basis.as_dict())
    assert any(answer[part] for part in paged) or field == "patterns"
    check(client, door, pin, field, answer, paged)


def test_a_post_mortem_of_every_kind_of_deal(
    client: Client, door: Door, some: frozenset[str]
) -> None:
    with door.book(AsOf(END)) as book:
        answers = {deal: post_mortem(book, deal) for deal in sorted(some)}
        pin = arguments(book.basis.as_dict())
    assert any(answer["similar_won"] for answer in answers.values())
    assert any(answer["late_entries"] for answer in answers.values())
    assert any(answer["first_knowable"] for answer in answers.values())
    for deal, answer in answers.items():
        field = f'postMortem(deal: "{deal}")'
        check(client, door, pin, field, answer, ("weeks", "late_entries", "timeline"))


# --- deals that are named -------------------------------------------------------------------------


def test_a_deal_that_is_named_leads_to_the_deal_at_the_same_basis(
    client: Client, door: Door
) -> None:
    told = client.ask(
        f"""{{ snapshot(asOf: "{END}") {{
            decisions(period: "{PERIOD}") {{
                won(first: 3) {{ nodes {{ dealId outcome deal {{ id dealId outcome }} }} }}
                notWon(first: 3) {{ nodes {{ dealId name deal {{ dealId name }} }} }} }}
            debriefs(period: "{PERIOD}") {{
                deals(first: 3) {{ nodes {{ dealId name deal {{ dealId name }} }} }} }} }} }}"""
    )["snapshot"]
    nodes = [
        *told["decisions"]["won"]["nodes"],
        *told["decisions"]["notWon"]["nodes"],
        *told["debriefs"]["deals"]["nodes"],
    ]
    assert len(nodes) > 3
    for each in nodes:
        deal = each.pop("deal")
        deal.pop("id", None)
        assert deal == each


def test_long_lists_are_read_page_by_page(client: Client) -> None:
    query = f"""query($after: String) {{ snapshot(asOf: "{END}") {{
        debriefs(period: "{PERIOD}") {{
            deals(first: 2, after: $after) {{
                totalCount nodes {{ dealId }} pageInfo {{ hasNextPage endCursor }} }} }} }} }}"""
    found: list[str] = []
    after, more = None, True
    while more:
        page = client.ask(query, after=after)["snapshot"]["debriefs"]["deals"]
        found += [each["dealId"] for each in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert len(found) == len(set(found)) == page["totalCount"]
    assert found == sorted(found)
    elsewhere = f"""query($after: String) {{ snapshot(asOf: "{END}") {{
        decisions(period: "{PERIOD}") {{ won(after: $after) {{ totalCount }} }} }} }}"""
    refused = client.refusal(elsewhere, after=after)
    assert refused["extensions"]["code"] == "cursor-of-another-question"
