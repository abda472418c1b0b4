"""The rules of Relay's specifications: cursor connections, and the identification of objects.

Each test names the rule as the specification has it (https://relay.dev/graphql/connections.htm and
https://relay.dev/graphql/objectidentification.htm).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import orjson
import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
)

from api.door import Door
from api.graphql.relay import PAGE_MAX, Slice, cut
from api.graphql.schema import schema
from ledger.config import Settings
from ledger.domain.errors import InvalidInput
from ledger.store.ledger import Ledger
from tests.e2e import practised
from tests.e2e.conftest import empty_settings

__all__ = ["empty_settings"]

GRAPHQL = schema._schema
OBJECTS = {
    name: kind for name, kind in GRAPHQL.type_map.items() if isinstance(kind, GraphQLObjectType)
}
CONNECTIONS = {name: kind for name, kind in OBJECTS.items() if name.endswith("Connection")}
END = practised.ON


# --- connection types -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_type_whose_name_ends_in_connection_has_edges_and_page_info(name: str) -> None:
    fields = CONNECTIONS[name].fields
    edges = fields["edges"].type
    assert isinstance(edges, GraphQLNonNull)
    assert isinstance(edges.of_type, GraphQLList)
    edge = get_named_type(edges)
    assert isinstance(edge, GraphQLObjectType)
    assert edge.name == f"{name.removesuffix('Connection')}Edge"
    assert str(fields["pageInfo"].type) == "PageInfo!"
    assert str(edge.fields["cursor"].type) == "String!"
    assert not isinstance(get_named_type(edge.fields["node"].type), GraphQLScalarType)


def test_page_info_has_the_four_fields() -> None:
    fields = {name: str(each.type) for name, each in OBJECTS["PageInfo"].fields.items()}
    assert fields == {
        "hasNextPage": "Boolean!", "hasPreviousPage": "Boolean!",
        "startCursor": "String", "endCursor": "String",
    }  # fmt: skip


def test_a_field_that_returns_a_connection_takes_arguments_to_page_by() -> None:
    found = 0
    for kind in OBJECTS.values():
        for name, field in kind.fields.items():
            if get_named_type(field.type).name not in CONNECTIONS:
                continue
            found += 1
            given = {each: str(field.args[each].type).rstrip("!") for each in field.args}
            assert (given["first"], given["after"]) == ("Int", "String"), name
            if "last" in given:
                assert (given["last"], given["before"]) == ("Int", "String"), name
    assert found >= len(CONNECTIONS)


# --- the pagination algorithm ---------------------------------------------------------------------


def by_the_specification(
    edges: list[int], first: int | None, after: int | None, last: int | None, before: int | None
) -> tuple[list[int], bool, bool]:
    """EdgesToReturn, HasPreviousPage and HasNextPage, step by step as they are written there.

    Where the specification leaves it to the server whether it can tell of edges on the other side
    of a cursor, this server can.
    """
    kept = list(edges)
    if after is not None and after in kept:
        kept = kept[kept.index(after) + 1 :]
    if before is not None and before in kept:
        kept = kept[: kept.index(before)]
    applied = list(kept)
    if first is not None and len(kept) > first:
        kept = kept[:first]
    if last is not None and len(kept) > last:
        kept = kept[len(kept) - last :]
    has_previous = (last is not None and len(applied[:first]) > last) or (
        after is not None and after in edges
    )
    has_next = (first is not None and len(applied) > first) or (
        before is not None and before in edges
    )
    return kept, has_previous, has_next


SIZES = [None, 0, 1, 2, 5]
PLACES = [None, 0, 1, 3]


@pytest.mark.parametrize("length", [0, 1, 4])
def test_edges_to_return_are_those_of_the_algorithm(length: int) -> None:
    edges = list(range(length))
    for first, after, last, before in product(SIZES, PLACES, SIZES, PLACES):
        if any(place is not None and place >= length for place in (after, before)):
            continue
        if after is not None and before is not None and before <= after:
            continue  # no page lies between them: see the next test
        expected, has_previous, has_next = by_the_specification(edges, first, after, last, before)
        found = cut(length, first=first, after=after, last=last, before=before)
        asked = (first, after, last, before)
        assert edges[found.start : found.stop] == expected, asked
        assert (found.has_previous, found.has_next) == (has_previous, has_next), asked


def test_between_cursors_that_stand_the_wrong_way_round_there_is_nothing() -> None:
    found = cut(4, first=None, after=2, last=None, before=1)
    assert found.start == found.stop


@pytest.mark.parametrize("name", ["first", "last"])
def test_a_negative_size_is_an_error(name: str) -> None:
    none = {"first": None, "after": None, "last": None, "before": None}
    with pytest.raises(InvalidInput, match="must be from 0"):
        cut(3, **{**none, name: -1})
    with pytest.raises(InvalidInput):
        cut(3, **{**none, name: PAGE_MAX + 1})
    assert cut(3, **{**none, "first": 0}) == Slice(0, 0, has_previous=False, has_next=True)


# --- a ledger -------------------------------------------------------------------------------------


Ask = Callable[..., dict[str, Any]]
ACCOUNTS = [
    practised.said("account:acme", "account-opened", "2024-07-01", name="Acme"),
    practised.said("account:beta", "account-opened", "2024-07-01", name="Beta"),
    practised.said("account:acme", "evidence-recorded", "2025-01-30", criterion="fit",
                   stance="supports", source_kind="email", said_by="cho", quote="It fits."),
    practised.said("deal:A", "deal-revised", "2025-01-12", account="acme"),
]  # fmt: skip


@pytest.fixture(scope="module")
def door(empty_settings: Settings) -> Iterator[Door]:
    with Ledger.open(empty_settings) as ledger:
        practised.write(ledger)
        ledger.import_events(ACCOUNTS, strict=True)
        yield Door(ledger.database, empty_settings)


@pytest.fixture(scope="module")
def answered(door: Door) -> Callable[..., Any]:
    def answered(query: str, **variables: Any) -> Any:
        context = {"door": door, "ledger": None}
        return asyncio.run(schema.execute(query, variable_values=variables, context_value=context))

    return answered


@pytest.fixture(scope="module")
def ask(answered: Callable[..., Any]) -> Ask:
    def ask(query: str, **variables: Any) -> dict[str, Any]:
        answer = answered(query, **variables)
        assert answer.errors is None, answer.errors
        found: dict[str, Any] = answer.data
        return found

    return ask


@pytest.fixture(scope="module")
def code(answered: Callable[..., Any]) -> Callable[..., str]:
    def code(query: str, **variables: Any) -> str:
        (error,) = answered(query, **variables).errors
        found: str = error.extensions["code"]
        return found

    return code


LISTS = {
    "findings": ("{ findings%s { %s } }", "deal rule"),
    "people": ("{ people%s { %s } }", "person"),
    "accounts": ("{ accounts%s { %s } }", "account"),
    "timeline": ('{ deal(id: "A") { timeline%s { %s } } }', "event { position }"),
    "evidence": ('{ deal(id: "A") { evidence%s { %s } } }', "event { position }"),
    "queue": ("{ queue { rows%s { %s } } }", "deal criterion"),
    "team": ("{ team { people%s { %s } } }", "person"),
    "assessments due": ("{ team { due%s { %s } } }", "person aspect"),
    "debriefs": ("{ debriefs { deals%s { %s } } }", "dealId"),
    "weeks": ('{ postMortem(deal: "A") { weeks%s { %s } } }', "week"),
    "case": ('{ postMortem(deal: "A") { timeline%s { %s } } }', "event { position }"),
    "patterns": ('{ patterns(groupBy: ["owner"]) { groups%s { %s } } }', "key { value }"),
    "deals": ("{ deals%s { %s } }", "dealId"),
}
"""Every connection below a snapshot: how it is asked for, and what tells its nodes apart."""

FORWARD_ONLY = {"deals"}
PAGE_INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
TIMES = "($first: Int!, $after: String, $asOf: AsOfTime)"


def page(ask: Ask, name: str, asked: str = "", as_of: str = END) -> dict[str, Any]:
    """A page of a list."""
    field, fields = LISTS[name]
    whole = f"edges {{ cursor node {{ {fields} }} }} nodes {{ {fields} }} {PAGE_INFO}"
    below = field % (f"({asked})" if asked else "", whole)
    found: Any = ask(f'{{ snapshot(asOf: "{as_of}") {below} }}')["snapshot"]
    while "edges" not in found:
        (found,) = found.values()
    return dict(found)


@pytest.mark.parametrize("name", LISTS)
def test_pages_forward_are_the_whole_list(ask: Ask, name: str) -> None:
    whole = page(ask, name)
    assert whole["edges"], "the example has some of each"
    assert whole["pageInfo"] == {
        "hasNextPage": False, "hasPreviousPage": False,
        "startCursor": whole["edges"][0]["cursor"], "endCursor": whole["edges"][-1]["cursor"],
    }  # fmt: skip
    assert [edge["node"] for edge in whole["edges"]] == whole["nodes"]
    found, after = list[Any](), ""
    for _ in whole["edges"]:
        one = page(ask, name, f"first: 1{after}")
        assert one["pageInfo"]["hasPreviousPage"] is bool(found)
        found += one["edges"]
        after = f', after: "{one["pageInfo"]["endCursor"]}"'
        assert one["pageInfo"]["hasNextPage"] is (len(found) < len(whole["edges"]))
    assert found == whole["edges"]


@pytest.mark.parametrize("name", sorted(set(LISTS) - FORWARD_ONLY))
def test_pages_backward_are_the_whole_list_in_the_same_order(ask: Ask, name: str) -> None:
    whole = page(ask, name)
    found, before = list[Any](), ""
    for _ in whole["edges"]:
        one = page(ask, name, f"last: 1{before}")
        assert one["pageInfo"]["hasNextPage"] is bool(found)
        found = [*one["edges"], *found]
        before = f', before: "{one["pageInfo"]["startCursor"]}"'
        assert one["pageInfo"]["hasPreviousPage"] is (len(found) < len(whole["edges"]))
    assert found == whole["edges"]


@pytest.mark.parametrize("name", LISTS)
def test_a_page_without_edges_has_no_cursors(ask: Ask, name: str) -> None:
    none = page(ask, name, "first: 0")
    assert none["edges"] == none["nodes"] == []
    assert none["pageInfo"] == {
        "hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None,
    }  # fmt: skip
    last = page(ask, name)["pageInfo"]["endCursor"]
    beyond = page(ask, name, f'first: 5, after: "{last}"')["pageInfo"]
    assert beyond == {
        "hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_size_out_of_bounds_and_a_cursor_that_is_none_are_refused(
    code: Callable[..., str], name: str
) -> None:
    field, fields = LISTS[name]
    refused = {"first: -1": "invalid-page-size", f"first: {PAGE_MAX + 1}": "invalid-page-size",
               'after: "x"': "invalid-cursor"}  # fmt: skip
    if name not in FORWARD_ONLY:
        refused |= {"last: -1": "invalid-page-size", 'before: "x"': "invalid-cursor"}
    for asked, expected in refused.items():
        query = f'{{ snapshot(asOf: "{END}") {field % (f"({asked})", f"nodes {{ {fields} }}")} }}'
        assert code(query) == expected, asked


def test_a_cursor_belongs_to_one_list_with_its_arguments_at_one_basis(
    ask: Ask, code: Callable[..., str]
) -> None:
    cursor = page(ask, "findings", "first: 1")["pageInfo"]["endCursor"]
    used = '{ snapshot(asOf: "%s") { %s { totalCount } } }'
    ask(used % (END, f'findings(after: "{cursor}")'))
    for as_of, field in (
        (END, f'findings(after: "{cursor}", owner: "ann")'),
        (END, f'people(after: "{cursor}")'),
        (END, f'accounts(before: "{cursor}")'),
        ("2025-01-31", f'findings(after: "{cursor}")'),
    ):
        assert code(used % (as_of, field)) == "cursor-of-another-question", field
    deals = f'{{ snapshot(asOf: "{END}") {{ deals(after: "{cursor}") {{ nodes {{ id }} }} }} }}'
    assert code(deals) == "cursor-of-another-question"


def test_a_cursor_that_somebody_made_up_is_refused_with_a_code(
    ask: Ask, code: Callable[..., str]
) -> None:
    query = """query($after: String) { snapshot(asOf: "%s") { %s } }"""
    for name, place in (("people", "0"), ("deals", 0)):
        cursor = page(ask, name, "first: 1")["pageInfo"]["endCursor"]
        digest, basis, cells = orjson.loads(base64.urlsafe_b64decode(cursor))
        field = f"{name}(after: $after) {{ pageInfo {{ endCursor }} }}"
        for parts, expected in (
            ([digest, basis, [place]], "invalid-cursor"),
            ([digest, basis, [*cells, 1]], "invalid-cursor"),
            ([digest, basis, [True]], "invalid-cursor"),
            ([digest, basis, [-1]], "invalid-cursor"),
            ([digest, basis, [1.5]], "invalid-cursor"),
            ([digest, basis, [None]], "invalid-cursor"),
            (["nodot", basis, cells], "invalid-cursor"),
            ([digest, [*basis[:2], -1, *basis[3:]], cells], "invalid-cursor"),
            ([digest, [*basis[:5], "0"], cells], "unknown-rules"),
            ([f"0.{digest.partition('.')[2]}", [*basis[:2], 1, *basis[3:]], cells],
             "cursor-of-another-question"),
        ):  # fmt: skip
            made = base64.urlsafe_b64encode(orjson.dumps(parts)).decode()
            assert code(query % (END, field), after=made) == expected, parts
    under = [digest, [*basis[:4], "none@9", basis[5]], cells]
    made = base64.urlsafe_b64encode(orjson.dumps(under)).decode()
    assert code(query % (END, field), after=made) == "unknown-version"


def test_page_two_reads_the_ledger_of_page_one_whatever_is_recorded_meanwhile(
    ledger: Ledger, database_url: str
) -> None:
    practised.write(ledger)
    door = Door(ledger.database, Settings.model_validate({"database_url": database_url}))
    query = """query($after: String, $asOf: AsOfTime, $knownAt: AsOfTime) {
        snapshot(asOf: $asOf, knownAt: $knownAt) {
            basis { validAt knownAt horizon }
            deals(first: 2, after: $after) { edges { cursor node { dealId } } } } }"""

    def asked(**variables: Any) -> Any:
        context = {"door": door, "ledger": None}
        answer = asyncio.run(schema.execute(query, variables, context))
        return answer.errors or (answer.data or {})["snapshot"]

    for times in ({"asOf": END}, {"asOf": END, "knownAt": "now"}, {}):
        first = asked(**times)
        found = [edge["node"]["dealId"] for edge in first["deals"]["edges"]]
        new = f"B{len(found)}{len(times)}"
        opened = practised.said(f"deal:{new}", "deal-opened", "2025-01-10", name=new, owner="ann")
        ledger.import_events([opened], strict=True)
        second = asked(**times, after=first["deals"]["edges"][-1]["cursor"])
        assert second["basis"] == first["basis"]
        assert new not in {edge["node"]["dealId"] for edge in second["deals"]["edges"]}
        (refused,) = asked(asOf="2025-02-28", after=first["deals"]["edges"][-1]["cursor"])
        assert refused.extensions["code"] == "cursor-of-another-question"


# --- object identification ------------------------------------------------------------------------

IDENTIFIED = """fragment Every on Snapshot {
    deals(first: 500) { nodes { id claims { because { id } } timeline { nodes { event { id } } }
        gates { because { id } criteria { because { id } } } playbook { publishedBy { id } }
        evidence { nodes { event { id } } } } }
    people { nodes { id because { id } } } accounts { nodes { id } }
    playbooks { id published { id } }
    asIs: people(organisation: AS_IS) { nodes { id because { id } } }
}"""
NODES = sorted(
    kind.name
    for kind in OBJECTS.values()
    if "Node" in {interface.name for interface in kind.interfaces}
)


def ids_in(answer: Any) -> Iterator[str]:
    """Every id in an answer."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            if key == "id":
                yield value
            else:
                yield from ids_in(value)
    elif isinstance(answer, list):
        for each in answer:
            yield from ids_in(each)


def test_the_schema_has_an_interface_node_with_one_id() -> None:
    node = GRAPHQL.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {name: str(field.type) for name, field in node.fields.items()} == {"id": "ID!"}


def test_the_query_type_has_node_that_takes_an_id_and_gives_a_node_or_null() -> None:
    assert GRAPHQL.query_type is not None
    for kind in (GRAPHQL.query_type, OBJECTS["Snapshot"]):
        field = kind.fields["node"]
        assert (str(field.args["id"].type), str(field.type)) == ("ID!", "Node")
        required = [name for name, each in field.args.items() if str(each.type).endswith("!")]
        assert set(required) <= {"id", "witnessedOnly"}
        plural = kind.fields["nodes"]
        assert (str(plural.args["ids"].type), str(plural.type)) == ("[ID!]!", "[Node]!")


def test_flat_rows_are_no_nodes() -> None:
    assert NODES == ["Account", "Deal", "LedgerEvent", "Person", "PlaybookVersion"]


@pytest.mark.parametrize(
    "times", [f'asOf: "{END}"', f'asOf: "{END}", knownAt: "now"', f'asOf: "{END}", horizon: "30"']
)
def test_an_object_asked_for_by_its_id_is_the_same_object(ask: Ask, times: str) -> None:
    told = ask(f"{{ snapshot({times}) {{ ...Every }} }} {IDENTIFIED}")
    ids = sorted(set(ids_in(told)))
    kinds = {base64.b64decode(each).decode().partition(":")[0] for each in ids}
    assert set(NODES) - {"Account"} <= kinds <= set(NODES)
    query = f"""query($ids: [ID!]!) {{
        nodes(ids: $ids, {times}) {{ __typename id }}
        snapshot({times}) {{ nodes(ids: $ids) {{ __typename id }} }} }}"""
    for start in range(0, len(ids), 100):
        some = ids[start : start + 100]
        found = ask(query, ids=some)
        assert [node["id"] for node in found["nodes"]] == some
        assert found["snapshot"]["nodes"] == found["nodes"]
        for each, node in zip(some, found["nodes"], strict=True):
            assert base64.b64decode(each).decode().partition(":")[0] == node["__typename"]
    one = ask(f"query($id: ID!) {{ node(id: $id, {times}) {{ id }} }}", id=ids[0])
    assert one == {"node": {"id": ids[0]}}


def test_an_id_is_the_same_at_every_basis_and_what_is_told_is_not(ask: Ask) -> None:
    then, now = (
        ask(f'{{ snapshot(asOf: "{day}") {{ deal(id: "A") {{ id }} }} }}')["snapshot"]["deal"]
        for day in (END, "now")
    )
    assert then == now
    early = ask('query($id: ID!) { node(id: $id, asOf: "2001-01-01") { id } }', id=then["id"])
    assert early == {"node": None}


def test_plural_identification_keeps_the_order_and_has_null_for_what_is_not_there(
    ask: Ask,
) -> None:
    a, b, nobody = (base64.b64encode(f"Deal:{each}".encode()).decode() for each in ("A", "B", "?"))
    found = ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[b, nobody, a, b])["nodes"]
    assert found == [{"id": b}, None, {"id": a}, {"id": b}]
    assert ask("{ nodes(ids: []) { id } }") == {"nodes": []}


@pytest.mark.parametrize(
    "key",
    ["Deal:a\x00b", "Deal:", "LedgerEvent:0", "LedgerEvent:9999999", "LedgerEvent:-1",
     "LedgerEvent:01", "LedgerEvent:1e3", "LedgerEvent:" + "9" * 40, "Person:nobody",
     "Account:none", "PlaybookVersion:none@1", "PlaybookVersion:"],
)  # fmt: skip
def test_what_is_not_there_is_null(ask: Ask, key: str) -> None:
    text = base64.b64encode(key.encode()).decode()
    assert ask("query($id: ID!) { node(id: $id) { id } }", id=text) == {"node": None}


@pytest.mark.parametrize("text", ["", "A", "RGVhbA==", "RGVhbDpB\n", "RGVhbDpB=", "!", "x" * 4_000,
                                  base64.b64encode(b"DealRow:A").decode(),
                                  base64.b64encode(b"Deal:\xff").decode()])  # fmt: skip
def test_what_is_no_id_is_refused(code: Callable[..., str], text: str) -> None:
    assert code("query($id: ID!) { node(id: $id) { id } }", id=text) == "invalid-node-id"


def test_more_ids_than_a_page_holds_are_refused(code: Callable[..., str]) -> None:
    many = [base64.b64encode(b"Deal:A").decode()] * 101
    assert code("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=many) == "too-many-ids"


def test_a_deal_is_told_by_its_id_as_by_its_key(ask: Ask) -> None:
    parts = "id dealId name owner amount { amount } standsAt gates { gate status }"
    deal = ask(f'{{ snapshot(asOf: "{END}") {{ deal(id: "A") {{ {parts} }} }} }}')["snapshot"]
    query = f'query($id: ID!) {{ node(id: $id, asOf: "{END}") {{ ... on Deal {{ {parts} }} }} }}'
    assert ask(query, id=deal["deal"]["id"])["node"] == deal["deal"]
