"""What each role reads over GraphQL: role by operation by owner, and that nothing leaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_required_argument,
)

from api.graphql.schema import schema
from tests.e2e.sales_force import (
    AFTER,
    AMOUNTS,
    BEFORE,
    CALLS,
    DEALS,
    MANAGERS,
    PERIOD,
    ROLES,
    House,
    deals_seen,
    owners_seen,
)

READERS = [who for who, role in ROLES.items() if role != "importer"]
DAYS = [BEFORE, AFTER]


def snapshot(day: str, fields: str) -> str:
    return f'{{ snapshot(asOf: "{day}") {{ {fields} }} }}'


# --- deals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", READERS)
def test_deals_are_listed_counted_and_looked_up_in_scope_alone(
    house: House, who: str, day: str
) -> None:
    seen = deals_seen(who, day)
    client = house.as_(who)
    listed = client.ask(snapshot(day, "deals(first: 500) { nodes { dealId owner } }"))["snapshot"]
    assert {node["dealId"] for node in listed["deals"]["nodes"]} == seen
    for owner in ("ann", "bob", "cleo", "mia"):
        where = f'{{owner: "{owner}", period: "{PERIOD}"}}'
        fields = f"deals(where: {where}) {{ nodes {{ dealId owner }} }}"
        nodes = client.ask(snapshot(day, fields))["snapshot"]["deals"]["nodes"]
        assert {node["owner"] for node in nodes} <= {owner}
        assert {node["dealId"] for node in nodes} <= seen
    for deal in DEALS:
        found = client.ask(snapshot(day, f'deal(id: "{deal}") {{ dealId }}'))["snapshot"]["deal"]
        assert found == ({"dealId": deal} if deal in seen else None)


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", READERS)
def test_a_page_begins_behind_the_last_deal_seen_and_holds_as_many(
    house: House, who: str, day: str
) -> None:
    client, after, found = house.as_(who), "null", list[str]()
    while True:
        page = client.ask(
            snapshot(day, f"deals(first: 2, after: {after}) {{ nodes {{ dealId }} "
                          "pageInfo { hasNextPage endCursor } }")
        )["snapshot"]["deals"]  # fmt: skip
        found += [node["dealId"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert len(page["nodes"]) == 2
        after = f'"{page["pageInfo"]["endCursor"]}"'
    assert sorted(found) == sorted(deals_seen(who, day))


# --- sums ---------------------------------------------------------------------------------------


def amount(cells: list[dict[str, Any]], measure: str) -> Decimal:
    return sum((Decimal(c["amount"]) for c in cells if c["measure"] == measure), Decimal(0))


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", READERS)
def test_a_forecast_sums_deals_and_calls_in_scope_alone(house: House, who: str, day: str) -> None:
    owners = owners_seen(who, day)
    cells = "cells { measure amount deals }"
    found = house.as_(who).ask(
        snapshot(day, f"""
            whole: forecast(period: "{PERIOD}") {{ {cells} }}
            grouped: forecast(period: "{PERIOD}", groupBy: ["owner"]) {{
                groups {{ key {{ value }} {cells} }} }}
            byManager: forecast(period: "{PERIOD}", groupBy: ["manager"]) {{
                groups {{ key {{ value }} {cells} }} }}
        """)
    )["snapshot"]  # fmt: skip
    expected = sum((AMOUNTS[deal] for deal in deals_seen(who, day)), Decimal(0))
    called = sum(
        (Decimal(each) for caller, each in CALLS.items() if owners is None or caller in owners),
        Decimal(0),
    )
    assert amount(found["whole"]["cells"], "claimed") == expected
    assert amount(found["whole"]["cells"], "called") == called
    for grouped in ("grouped", "byManager"):
        groups = found[grouped]["groups"]
        assert sum(amount(group["cells"], "claimed") for group in groups) == expected
        assert sum(amount(group["cells"], "called") for group in groups) == called
    if owners is not None:
        assert {group["key"][0]["value"] for group in found["grouped"]["groups"]} <= owners


# --- no trace of what is out of scope -----------------------------------------------------------

GRAPHQL: GraphQLSchema = schema._schema
ARGUMENTS = {
    "until": '"2026-03-31"', "first": "100", "id": '"ann"', "period": f'"{PERIOD}"',
    "step": '"created"', "format": '"csv"', "fields": '["owner"]',
}  # fmt: skip
OF_TYPE = {
    "ForecastRowConnection": {"fields": '["category"]'},
    "EventRowConnection": {"fields": '["type"]'},
    "BridgeRowConnection": {"fields": '["step"]'},
    "ForecastPointConnection": {"fields": '["category"]'},
}
"""What is given for arguments of these names; others are left out, or are of the caller."""

DEPTH_MAX = 7
DEAL_DEPTH_MAX = 2
"""A deal that is named further below is told in its plain fields."""


def selection(kind: Any, depth: int = 0) -> str:
    """All fields of a type, and all of theirs."""
    kind = get_named_type(kind)
    if not isinstance(kind, GraphQLObjectType):
        return ""
    deepest = DEAL_DEPTH_MAX if kind.name == "Deal" else DEPTH_MAX
    parts = [
        f"{name}{given(field, **OF_TYPE.get(kind.name, {}))} {selection(field.type, depth + 1)}"
        for name, field in kind.fields.items()
        if depth < deepest or not isinstance(get_named_type(field.type), GraphQLObjectType)
    ]
    return f"{{ {' '.join(parts)} }}"


def given(field: GraphQLField, **more: str) -> str:
    """The arguments of a field."""
    known = ARGUMENTS | more
    told = [f"{name}: {known[name]}" for name in field.args if name in known]
    left_out = [n for n, arg in field.args.items() if is_required_argument(arg) and n not in known]
    assert not left_out, left_out
    return f"({', '.join(told)})" if told else ""


BY_ID_OF_ALL = {"node", "nodes"}
"""What is asked by ids of everything; see test_access_nodes."""

BY_DEAL = {"deal": "id", "postMortem": "deal"}
"""The fields of a snapshot that are about one deal, and the argument that names it."""


def every_question(day: str, *, hindsight: bool) -> Iterator[str]:
    """Every root of the schema and every field of a snapshot, each with all that is below it."""
    query, snapshots = GRAPHQL.type_map["Query"], GRAPHQL.type_map["Snapshot"]
    assert isinstance(query, GraphQLObjectType)
    assert isinstance(snapshots, GraphQLObjectType)
    times = {"validAt": f'"{day}"', "knownAt": '"now"'} if hindsight else {"asOf": f'"{day}"'}
    for name, field in query.fields.items():
        if name in {"diff", "bridgeRows", "forecastSeries"}:
            about = {"from": f'"{day}"', "to": f'"{day}"', "every": '"month"'}
            yield f"{{ {name}{given(field, **about)} {selection(field.type)} }}"
        elif name not in {"snapshot", *BY_ID_OF_ALL}:
            yield f"{{ {name}{given(field, **times)} {selection(field.type)} }}"
    at = given(query.fields["snapshot"], **times)
    for name, field in snapshots.fields.items():
        if name in BY_ID_OF_ALL:
            continue
        for more in [{}] if name not in BY_DEAL else [{BY_DEAL[name]: f'"{d}"'} for d in DEALS]:
            yield f"{{ snapshot{at} {{ {name}{given(field, **more)} {selection(field.type)} }} }}"


def traces(text: str) -> set[str]:
    """The deals of which an answer holds a trace."""
    return {deal for deal in DEALS if deal in text}


def answers(house: House, who: str, day: str, *, hindsight: bool = False) -> str:
    """All that somebody is told."""
    found = []
    for query in every_question(day, hindsight=hindsight):
        answer = house.http(who).post("/graphql", json={"query": query})
        errors = answer.json().get("errors", [])
        codes = {error.get("extensions", {}).get("code") for error in errors}
        assert codes <= {"unknown-deal", "forbidden"}, errors
        assert "forbidden" not in codes or "eventRows" in query
        found.append(answer.text if not errors else _without_the_question(answer.text))
    return "".join(found)


def _without_the_question(refusal: str) -> str:
    """A refusal without the id that was asked for, in the quotes in which it is given back."""
    return re.sub(r"there is no deal '[a-z-]+' at", "", refusal)


@pytest.mark.parametrize("hindsight", [False, True])
@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", ["ann", "cleo", "mia", "zoe", "otto"])
def test_no_answer_holds_a_trace_of_what_is_out_of_scope(
    house: House, who: str, day: str, hindsight: bool
) -> None:
    assert traces(answers(house, who, day, hindsight=hindsight)) == deals_seen(who, day)


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", READERS)
def test_the_ladder_and_the_team_are_of_people_in_scope(house: House, who: str, day: str) -> None:
    owners = owners_seen(who, day)
    told = house.as_(who).ask(
        snapshot(day, f"""ladder(period: "{PERIOD}") {{ calls {{ person }} people {{ person }} }}
                          team(period: "{PERIOD}") {{ people {{ nodes {{ person }} }} }}""")
    )["snapshot"]  # fmt: skip
    callers = {call["person"] for call in told["ladder"]["calls"]}
    assert callers == (set(CALLS) if owners is None else set(CALLS) & owners)
    if owners is not None:
        assert {each["person"] for each in told["team"]["people"]["nodes"]} == owners
        assert {each["person"] for each in told["ladder"]["people"]} <= owners


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", READERS)
def test_assessments_are_for_those_above_a_person(house: House, who: str, day: str) -> None:
    query = snapshot(
        day,
        f"""team(period: "{PERIOD}") {{ due {{ nodes {{ person }} }}
                              people {{ nodes {{ assessments {{ note }} }} }} }}""",
    )
    answer = house.http(who).post("/graphql", json={"query": query})
    told = {each for each in CALLS if f"assessment of {each}" in answer.text}
    owners = owners_seen(who, day)
    everybody = ROLES[who] in {"auditor", "admin"}
    below = set() if owners is None else owners - {who}
    assert told == (set(CALLS) if everybody else below & set(CALLS))
    due = {each["person"] for each in answer.json()["data"]["snapshot"]["team"]["due"]["nodes"]}
    if not everybody:
        assert due <= below


def test_what_became_of_a_deal_in_other_hands_is_not_told_in_hindsight(house: House) -> None:
    query = f"""{{ snapshot(validAt: "{BEFORE}", knownAt: "now") {{ deal(id: "handed") {{
        owner timeline {{ nodes {{ event {{ summary }} payload }} }} }} }} }}"""
    of_ann = house.http("ann").post("/graphql", json={"query": query})
    assert "quote of handed" in of_ann.text
    assert "after handed over" not in of_ann.text
    assert "cleo" not in of_ann.text
    assert "after handed over" in house.http("ada").post("/graphql", json={"query": query}).text


def test_a_former_report_is_told_of_no_more(house: House) -> None:
    query = snapshot(BEFORE, f'ladder(period: "{PERIOD}") {{ people {{ person }} }}')
    told = house.as_("mia").ask(query)["snapshot"]["ladder"]["people"]
    assert {each["person"] for each in told} == {"bob", "mia"}  # ann's outcome is zoe's to see


def test_attested_events_cannot_be_left_out_to_see_more(house: House) -> None:
    query = "{ snapshot(witnessedOnly: true) { deals { nodes { dealId } } } }"
    for who in ("ann", "mia"):
        assert house.as_(who).refusal(query)["extensions"]["code"] == "forbidden"
    for who in ("una", "otto", "ada"):
        house.as_(who).ask(query)


# --- between two times --------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["ann", "bob", "cleo", "mia", "zoe", "vp", "otto"])
def test_a_diff_holds_the_deals_that_were_in_scope_at_either_end(house: House, who: str) -> None:
    query, changed = GRAPHQL.type_map["Query"], GRAPHQL.type_map["LedgerDiff"]
    assert isinstance(query, GraphQLObjectType)
    assert isinstance(changed, GraphQLObjectType)
    changes = selection(changed.fields["changes"].type)
    ends = {"from": f'"{BEFORE}"', "to": f'"{AFTER}"', "every": '"month"'}
    text = "".join(
        house.http(who).post("/graphql", json={"query": f"{{ {part} }}"}).text
        for part in (
            f'diff(from: "{BEFORE}", to: "{AFTER}") {selection(changed)}',
            *(
                f'diff(from: "{BEFORE}", to: "{AFTER}") {{ '
                f'changes(step: "{step}", period: "{PERIOD}") {changes} }}'
                for step in ("owner_in", "owner_out", "removed", "moved_in", "moved_out")
            ),
            *(
                f"{name}{given(query.fields[name], **ends)} {selection(query.fields[name].type)}"
                for name in ("bridgeRows", "forecastSeries")
            ),
        )
    )
    assert '"errors"' not in text, text
    assert traces(text) <= deals_seen(who, BEFORE) | deals_seen(who, AFTER)
    owners = owners_seen(who, BEFORE)
    if owners is not None:
        others = set(CALLS) - owners - (owners_seen(who, AFTER) or set())
        assert not {other for other in others if f'"{other}"' in text}


@pytest.mark.parametrize("who", ["ann", "mia", "zoe"])
def test_a_line_tells_at_each_day_what_a_snapshot_of_that_day_tells(house: House, who: str) -> None:
    told = house.as_(who).ask(
        f"""{{ forecastSeries(from: "{BEFORE}", to: "{AFTER}", every: "month", period: "{PERIOD}",
            measures: "claimed,called") {{
            nodes {{ day measure amountExact }} }} }}"""
    )["forecastSeries"]["nodes"]
    for day in (BEFORE, AFTER):
        cells = house.as_(who).ask(
            snapshot(day, f'forecast(period: "{PERIOD}") {{ cells {{ measure amount }} }}')
        )["snapshot"]["forecast"]["cells"]
        for measure in ("claimed", "called"):
            points = [each for each in told if each["day"] == day and each["measure"] == measure]
            found = sum((Decimal(each["amountExact"]) for each in points), Decimal(0))
            assert found == amount(cells, measure), (day, measure)


# --- as if it did not exist ---------------------------------------------------------------------

BY_ID = [
    'deal(id: "ID") { dealId }',
    'postMortem(deal: "ID") { dealId }',
]


@pytest.mark.parametrize("field", BY_ID)
@pytest.mark.parametrize("who", ["ann", "mia"])
def test_a_deal_out_of_scope_is_told_of_in_the_words_for_one_that_is_not_there(
    house: House, who: str, field: str
) -> None:
    http = house.http(who)

    def asked(deal: str) -> bytes:
        query = snapshot(BEFORE, field.replace("ID", deal))
        body = http.post("/graphql", json={"query": query}).json()
        return orjson.dumps(body).replace(deal.encode(), b"ID")

    assert asked("of-cleo") == asked("no-such")


def test_a_cursor_of_somebody_else_shows_no_more(house: House) -> None:
    query = snapshot(BEFORE, "basis { validAt knownAt horizon } "
                             "deals(first: 1) { pageInfo { endCursor } }")  # fmt: skip
    told = house.as_("ada").ask(query)["snapshot"]
    cursor, basis = told["deals"]["pageInfo"]["endCursor"], told["basis"]
    at = f'asOf: "{basis["validAt"]}", horizon: "{basis["horizon"]}"'
    found = house.as_("ann").ask(
        f'{{ snapshot({at}) {{ deals(after: "{cursor}") {{ nodes {{ dealId }} }} }} }}'
    )["snapshot"]["deals"]["nodes"]
    assert {node["dealId"] for node in found} <= deals_seen("ann", BEFORE)


# --- the buyer's people -------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["una", "bob", "otto"])
def test_an_analyst_reads_neither_names_nor_words_of_people_at_the_buyer(
    house: House, who: str
) -> None:
    told = answers(house, who, BEFORE)
    discreet = ROLES[who] == "analyst"
    for words in ("quote of", "person at", ".example"):
        assert (words in told) != discreet, words
    assert ("(withheld)" in told) == discreet


def test_numbers_of_an_analyst_are_those_of_everybody(house: House) -> None:
    query = snapshot(BEFORE, f"""forecast(period: "{PERIOD}", groupBy: ["owner", "gate"]) {{
        cells {{ measure category amount deals }}
        groups {{ key {{ value }} cells {{ measure category amount }} }} }}
        deals {{ nodes {{ dealId standsAt evidencedCategory weightPercent }} }}""")  # fmt: skip
    assert house.as_("una").ask(query) == house.as_("ada").ask(query)


# --- who reads nothing --------------------------------------------------------------------------


def test_an_importer_reads_nothing(house: House) -> None:
    client = house.as_("imp")
    for query in (
        snapshot(BEFORE, "deals { nodes { dealId } }"),
        snapshot(BEFORE, "basis { horizon }"),
    ):
        assert client.refusal(query)["extensions"]["code"] == "forbidden"


def test_names_of_our_own_people_are_no_secret(house: House) -> None:
    nodes = house.as_("una").ask(snapshot(BEFORE, "deals { nodes { owner } }"))["snapshot"]
    assert {node["owner"] for node in nodes["deals"]["nodes"]} >= set(MANAGERS) - {"zoe"}
