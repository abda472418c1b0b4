"""What a question costs, how large it may be, and how much each may ask."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import GraphQLSchema, get_introspection_query, parse

from api.access.principals import ANYBODY, Principal, Role
from api.access.readings import Asking
from api.allowance import Allowance, Refusal
from api.graphql import relay, row_roots
from api.graphql.cost import (
    LENGTH_ASSUMED,
    LENGTHS,
    PAGE_BY_DEFAULT,
    POINTS,
    ROWS_BY_DEFAULT,
    UNITS_A_POINT,
    cost_of,
)
from api.graphql.documents import shipped
from api.graphql.limits import (
    ALIASES_MAX,
    ALLOWANCE,
    DEPTH_MAX,
    REPEATS_MAX,
    TOKENS_MAX,
    read,
    size_faults,
)
from api.graphql.schema import schema
from api.noted import UNEXPECTED, Noted, noting
from ledger.config import Settings

GRAPHQL: GraphQLSchema = schema._schema
ANN = Principal("ann", Role.REP, "token:a")
BOB = Principal("bob", Role.REP, "token:b")


def cost(text: str, **variables: Any) -> int:
    return cost_of(GRAPHQL, parse(text), None, variables)


def asked(text: str, context: dict[str, Any] | None = None, **variables: Any) -> list[Any]:
    """The errors of a question that is refused before anything is read."""
    given = {"door": SimpleNamespace(asking=Asking(ANYBODY)), **(context or {})}
    answer = asyncio.run(schema.execute(text, variables, context_value=given))
    return [{"message": each.message, **(each.extensions or {})} for each in answer.errors or []]


CHAIN = "{ ...F0 }" + "".join(f"fragment F{n} on T {{ a {{ ...F{n + 1} }} }}" for n in range(350))
"""Deeper than what may be gone through at all."""


# --- the cost -----------------------------------------------------------------------------------


def test_a_page_costs_what_it_asks_for_and_not_what_there_is() -> None:
    page = "query($n: Int) { dealRows(first: $n) { nodes { deal owner amount } } }"
    base = cost(page, n=0)
    assert cost(page, n=10_000) - cost(page, n=5_000) == 5_000 / UNITS_A_POINT
    assert cost(page, n=1_000) == cost(page) == cost(page, n=None)  # the page by default
    assert base < cost(page, n=1_000)


def test_what_stands_in_a_page_is_multiplied_down_the_tree() -> None:
    def page(first: int) -> int:
        what = "{ nodes { gates { criteria { criterion } } } }"
        return cost(f"{{ snapshot {{ deals(first: {first}) {what} }} }}")

    inside = 1 + UNITS_A_POINT + LENGTH_ASSUMED * (1 + LENGTH_ASSUMED)
    assert (page(300) - page(100)) * UNITS_A_POINT == 200 * inside


def test_a_size_in_a_variable_a_default_and_the_text_cost_the_same() -> None:
    written = cost("{ snapshot { deals(first: 400) { nodes { deal: id } } } }")
    given = "query($n: Int!%s) { snapshot { deals(first: $n) { nodes { deal: id } } } }"
    assert cost(given % "", n=400) == written
    assert cost(given % " = 400") == written
    assert cost(given % " = 3", n=400) == written


def test_a_fragment_costs_as_much_as_what_it_stands_for() -> None:
    plain = cost("{ snapshot { deals { nodes { gates { gate criteria { criterion } } } } } }")
    spread = cost(
        "{ snapshot { deals { nodes { ...G } } } } fragment G on Deal { gates { ...C } } "
        "fragment C on Gate { gate criteria { criterion } }"
    )
    inline = cost(
        "{ snapshot { deals { nodes { ... on Deal { gates { gate criteria {criterion}}}}}}}"
    )
    assert plain == spread == inline


def test_what_is_asked_by_ids_costs_as_much_as_there_are_ids() -> None:
    text = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Deal { gates { gate } } } }"
    few, many = cost(text, ids=["a"]), cost(text, ids=["a"] * 101)
    assert (many - few) * UNITS_A_POINT == 100 * (1 + UNITS_A_POINT + LENGTH_ASSUMED)
    assert cost('{ nodes(ids: ["a", "b"]) { ... on Deal { gates { gate } } } }') == cost(
        text, ids=["a", "b"]
    )


def test_ids_that_are_a_default_cost_as_much_as_ids_that_are_sent() -> None:
    question = (
        "query ($ids: [ID!]!{}) {{ nodes(ids: $ids) {{ ... on Deal {{ gates {{ name }} }} }} }}"
    )
    ids = [f"id{number}" for number in range(60)]
    spelt = " = [" + ", ".join(f'"{each}"' for each in ids) + "]"
    assert cost(question.format(spelt)) == cost(question.format(""), ids=ids)


def test_a_page_that_says_no_size_costs_what_it_will_have() -> None:
    assert (PAGE_BY_DEFAULT, ROWS_BY_DEFAULT) == (relay.FIRST, row_roots.FIRST)


def test_every_field_that_costs_points_of_its_own_is_there() -> None:
    for place in (*POINTS, *LENGTHS):
        kind, _dot, field = place.partition(".")
        assert field in getattr(GRAPHQL.type_map[kind], "fields", {}), place


def test_a_list_that_comes_whole_and_grows_costs_as_a_page_does() -> None:
    whole = cost("{ snapshot { ladder { calls { because { position } } } } }")
    shorter = cost("{ snapshot { ladder { categories { category } } } }")
    assert (whole - shorter) * UNITS_A_POINT >= 100 * (1 + LENGTH_ASSUMED) - LENGTH_ASSUMED
    page = '{{ snapshot {{ lapses(until: "2030-01-01") {{ lapses{} {{ nodes {{ at }} }} }} }} }}'
    assert cost(page.format("")) == cost(page.format("(first: 100)"))
    assert cost(page.format("(first: 500)")) == cost(page.format("")) + 400 / UNITS_A_POINT
    assert cost("{ snapshot { forecast { withoutAmount } } }") > cost(
        "{ snapshot { forecast { currency } } }"
    )


def test_an_alias_costs_as_much_as_the_field() -> None:
    once = cost("{ snapshot { forecast { currency } } }")
    twice = cost("{ snapshot { a: forecast { currency } b: forecast { currency } } }")
    assert twice >= 2 * once - 6  # the snapshot itself is asked once


@pytest.mark.parametrize("size", [-1, 10**12, True, "7", None, 1.5])
def test_a_size_that_is_none_has_some_cost_and_is_refused_elsewhere(size: Any) -> None:
    text = "query($n: Int!) { snapshot { deals(first: $n) { nodes { id } } } }"
    assert 1 <= cost(text, n=size) < 1_000


def test_every_shipped_document_may_be_asked_and_so_may_the_schema() -> None:
    most = Settings.model_fields["query_cost_max"].default
    assert all(cost(text) < most / 10 for text in shipped().values())
    assert cost(get_introspection_query()) < most / 10
    assert cost("{ dealRows(first: 10000) { edges { cursor node { deal } } } }") < most / 10


def test_a_document_of_many_operations_costs_what_is_asked_of_it() -> None:
    document = parse("query A { ledger { headPosition } } query B { snapshot { ladder { name } } }")
    assert cost_of(GRAPHQL, document, "A", None) == 1
    assert cost_of(GRAPHQL, document, "B", None) > 50
    assert cost_of(GRAPHQL, document, None, None) == 1  # refused: nobody knows which


# --- the size -----------------------------------------------------------------------------------


def codes(text: str) -> list[str]:
    return [(fault.extensions or {})["code"] for fault in size_faults(parse(text))]


def test_depth_is_counted_through_fragments() -> None:
    def nested(depth: int) -> str:
        return "{" + "a {" * depth + "b" + "}" * depth + "}"

    assert codes(nested(DEPTH_MAX)) == []
    assert codes(nested(DEPTH_MAX + 1)) == ["query-too-deep"]
    halves = DEPTH_MAX // 2 + 1
    fragment = f"{{ {'a {' * halves} ...F {'}' * halves} }} fragment F on T {nested(halves)}"
    assert codes(fragment) == ["query-too-deep"]


def test_aliases_are_counted_in_every_place_where_a_fragment_is_spread() -> None:
    fragment = " fragment F on T { " + " ".join(f"a{n}: b" for n in range(ALIASES_MAX)) + " }"
    assert codes("{ ...F }" + fragment) == []
    assert codes("{ ...F x: c }" + fragment) == ["too-many-aliases"]
    assert codes("{ c { ...F } d { ...F } }" + fragment) == ["too-many-aliases"]


def test_a_field_is_not_named_again_and_again() -> None:
    assert codes("{ " + "a " * REPEATS_MAX + "}") == []
    assert codes("{ " + "a " * (REPEATS_MAX + 1) + "}") == ["query-too-long"]


def test_fragments_that_double_are_measured_once_each() -> None:
    doubling = " ".join(
        f"fragment F{n} on T {{ ...F{n + 1} x {{ ...F{n + 1} }} }}" for n in range(30)
    )
    assert codes(f"{{ ...F0 }} {doubling} fragment F30 on T {{ a }}") == ["query-too-deep"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{ a " * (TOKENS_MAX // 3) + "}" * (TOKENS_MAX // 3), "query-too-deep"),
        (CHAIN, "query-too-deep"),
        ("{ ledger { " + "headPosition " * TOKENS_MAX + "} }", "query-too-long"),
        ("{ ledger { headPosition ", "invalid-syntax"),
        ("{ nonesuch }", "invalid-query"),
        ("{ ...F } fragment F on Query { ...F }", "invalid-query"),
        ("{ ...F }", "invalid-query"),
        ("{ }", "empty-selection"),
        ("mutation { }", "empty-selection"),
        ("{ snapshot { deals { nodes { } } } }", "empty-selection"),
        ("{ ... on Query { } }", "empty-selection"),
        ("{ ledger { headPosition { } } }", "empty-selection"),
        ("{ ...F } fragment F on Query { }", "empty-selection"),
        ("{ ledger { headPosition } } fragment F on Query { }", "invalid-query"),  # used nowhere
        ("query($n: Int!) { snapshot { deals(first: $n) { nodes { id } } } }", "invalid-variables"),
        ("{ " + " ".join(f"a{n}: ledger {{ headPosition }}" for n in range(51)) + "}",
         "too-many-aliases"),
    ],
)  # fmt: skip
def test_every_refusal_of_a_question_has_a_code(text: str, code: str) -> None:
    found = asked(text)
    assert found
    assert {each["code"] for each in found} == {code}


@pytest.mark.parametrize("broken", ["api.graphql.limits.size_faults", "api.graphql.limits.cost_of"])
def test_what_nobody_expected_of_a_document_is_masked(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_given: object) -> None:
        raise TypeError("a secret")

    monkeypatch.setattr(broken, fails)
    (found,) = asked(f"{{ rateLimit {{ cost }} }} # {broken}")
    assert (found["message"], found["code"]) == (UNEXPECTED, "internal-error")


def test_what_was_read_of_late_is_found_again() -> None:
    text = "{ nonesuch_of_this_test }"
    asked(text)
    before = read.cache_info().hits
    asked(text)
    assert read.cache_info().hits == before + 1


# --- how much each may ask ----------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_points_are_spent_and_come_back_with_time() -> None:
    clock = Clock()
    allowance = Allowance(0, 60, clock)
    spent = allowance.spend(ANN, 50)
    assert spent == (50, 60, 10, 50.0)
    refusal = allowance.spend(ANN, 20)
    assert isinstance(refusal, Refusal)
    assert (refusal.spent.remaining, refusal.wait_seconds) == (10, 10.0)
    clock.now += 10
    assert allowance.spend(ANN, 20) == (20, 60, 0, 60.0)
    clock.now += 3_600
    assert allowance.spend(ANN, 1) == (1, 60, 59, 1.0)  # no more than all of them comes back


def test_what_is_refused_costs_nothing_and_others_have_their_own() -> None:
    allowance = Allowance(0, 60, Clock())
    allowance.spend(ANN, 60)
    for _again in range(3):
        assert isinstance(allowance.spend(ANN, 1), Refusal)
    assert allowance.spend(BOB, 60).cost == 60  # type: ignore[union-attr]


def test_what_costs_more_than_all_points_never_gets_through() -> None:
    refusal = Allowance(0, 60, Clock()).spend(ANN, 61)
    assert isinstance(refusal, Refusal)
    assert refusal.wait_seconds is None


def test_nobody_counts_where_there_is_no_limit() -> None:
    assert Allowance(0, 0).spend(ANN, 10**9) == (10**9, None, None, None)


def test_a_question_beyond_the_most_is_refused_and_says_what_to_do() -> None:
    text = "{ snapshot { deals(first: 500) { nodes { gates { gate } } } } }"
    allowance = Allowance(100, 60_000)
    (found,) = asked(text, {ALLOWANCE: allowance})
    assert found["code"] == "query-too-costly"
    assert "first" in found["hint"]
    assert str(cost(text)) in found["message"]
    assert allowance.spend(ANYBODY, 60_000).cost == 60_000  # type: ignore[union-attr]


def test_a_question_beyond_what_is_left_is_refused_and_noted() -> None:
    context = {ALLOWANCE: Allowance(0, 5, Clock())}
    with noting(Noted("r")) as note:
        (found,) = asked("{ snapshot { forecast { currency } } }", context)
    assert found["code"] == "rate-limited"
    assert note.codes == ["rate-limited"]
    assert not note.failed
    assert note.spent is not None
    assert note.spent.remaining == 5


def test_a_question_tells_what_it_costs() -> None:
    context = {"door": SimpleNamespace(asking=Asking(ANN)), ALLOWANCE: Allowance(0, 100, Clock())}
    text = "{ rateLimit { cost limit remaining resetAt } }"
    with noting(Noted("r")):
        answer = asyncio.run(schema.execute(text, context_value=context))
    assert answer.data is not None
    told = dict(answer.data["rateLimit"])
    assert told.pop("resetAt").endswith("Z")
    assert told == {"cost": 1, "limit": 100, "remaining": 99}
