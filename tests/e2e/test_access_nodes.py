"""What ids name, for each role: nothing out of scope, and no trace of it in any refusal."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from api.graphql import nodes
from ledger.domain.events import Event, stream_category, stream_id
from projections.book import Book
from projections.playbooks import playbook_list
from tests.e2e.sales_force import (
    AFTER,
    BEFORE,
    CALLS,
    DEALS,
    EVERYBODY,
    ROLES,
    House,
    deals_seen,
    owners_seen,
)

READERS = [who for who, role in ROLES.items() if role != "importer"]
DAYS = [BEFORE, AFTER]
NODES = """query($ids: [ID!]!, $asOf: AsOfTime) { nodes(ids: $ids, asOf: $asOf) {
    id ... on Deal { dealId owner }
    ... on LedgerEvent { position type summary } ... on Person { person manager }
    ... on Account { account } ... on PlaybookVersion { label } } }"""


@pytest.fixture(scope="module")
def log(house: House) -> dict[int, Event]:
    """The whole log, by position."""
    rows = house.as_("ada").ask("{ eventRows { nodes { position type stream knownAt payload } } }")[
        "eventRows"
    ]["nodes"]
    return {row["position"]: row for row in rows}


def named(kind: str, *keys: object) -> list[str]:
    return [base64.b64encode(f"{kind}:{key}".encode()).decode() for key in keys]


def asked(house: House, who: str, day: str, ids: list[str]) -> list[Any]:
    found: list[Any] = house.as_(who).ask(NODES, ids=ids, asOf=day)["nodes"]
    assert [each["id"] for each in found if each] == [
        name for name, each in zip(ids, found, strict=True) if each
    ]
    return found


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", READERS)
def test_deals_people_and_accounts_are_named_in_scope_alone(
    house: House, who: str, day: str
) -> None:
    seen, owners = deals_seen(who, day), owners_seen(who, day)
    deals = asked(house, who, day, named("Deal", *DEALS))
    assert {each["dealId"] for each in deals if each} == seen
    people = asked(house, who, day, named("Person", *sorted(EVERYBODY)))
    assert {each["person"] for each in people if each} == (owners or EVERYBODY)
    accounts = asked(house, who, day, named("Account", "acme", "bolt"))
    of_ann = {deal for deal in DEALS if DEALS[deal] == "ann"}
    expected = {"acme"} if seen & of_ann else set()
    expected |= {"bolt"} if seen - of_ann else set()
    if owners is None:
        expected = {"acme", "bolt"}
    assert {each["account"] for each in accounts if each} == expected
    (version,) = asked(house, who, day, named("PlaybookVersion", "buyers_journey@2"))
    assert version is not None


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("who", READERS)
def test_events_are_named_where_what_they_are_about_is_in_scope(
    house: House, log: dict[int, Any], who: str, day: str
) -> None:
    seen, owners = deals_seen(who, day), owners_seen(who, day)
    found = asked(house, who, day, named("LedgerEvent", *log))
    told = {int(each["position"]): each for each in found if each}
    for position, event in log.items():
        category, subject = stream_category(event["stream"]), stream_id(event["stream"])
        known = event["knownAt"] < f"{day}T23:59:59.999999Z"
        of_the_chart = event["type"] in {"person-joined", "person-reassigned"}
        if not known and not of_the_chart:  # which people as they are tell of at any basis
            assert position not in told
        elif category == "deal":
            assert (position in told) is (subject in seen), event
        elif event["type"] == "person-assessed":
            everything = ROLES[who] in {"auditor", "admin"}
            below = set() if owners is None else owners - {who}
            assert (position in told) is (everything or subject in below)
        elif category == "person":
            assert (position in told) is (owners is None or subject in owners)
        elif category == "period":
            caller = next(each for each in CALLS if f'"person":"{each}"' in event["payload"])
            assert (position in told) is (owners is None or caller in owners)
        elif category == "playbook":
            assert position in told
    words = " ".join(each["summary"] for each in told.values())
    assert ("quote of" in words) is (ROLES[who] != "analyst" and bool(seen))


@pytest.mark.parametrize("who", ["ann", "mia"])
def test_what_is_out_of_scope_is_told_of_as_what_is_not_there(
    house: House, log: dict[int, Any], who: str
) -> None:
    hidden = [at for at, event in log.items() if event["stream"] == "deal:of-cleo"]
    http = house.http(who)
    for kind, out_of_scope, absent in (
        ("Deal", "of-cleo", "nothing"),
        ("Person", "cleo", "nobody"),
        ("LedgerEvent", hidden[0], len(log) + 1),
    ):
        answers = [
            http.post("/graphql", json={
                "query": "query($id: ID!) { node(id: $id) { id } }", "variables": {"id": name},
            })
            for name in named(kind, out_of_scope, absent)
        ]  # fmt: skip
        assert answers[0].json() == answers[1].json() == {"data": {"node": None}}
        assert answers[0].headers.get("cache-control") == answers[1].headers.get("cache-control")


def test_what_a_rep_is_shown_can_be_asked_for_by_its_id(house: House) -> None:
    shown = house.as_("ann").ask(
        f"""{{ snapshot(asOf: "{BEFORE}") {{ deals {{ nodes {{
            id timeline {{ nodes {{ event {{ id }} }} }} claims {{ because {{ id }} }}
            playbook {{ publishedBy {{ id }} }} }} }} }} }}"""
    )["snapshot"]["deals"]["nodes"]
    ids = [deal["id"] for deal in shown]
    for deal in shown:
        ids += [each["event"]["id"] for each in deal["timeline"]["nodes"]]
        ids += [each["because"]["id"] for each in deal["claims"]]
        ids.append(deal["playbook"]["publishedBy"]["id"])
    assert len(ids) > 10
    assert None not in asked(house, "ann", BEFORE, ids)


def test_an_importer_is_named_nothing(house: House) -> None:
    error = house.as_("imp").refusal(NODES, ids=named("Deal", "of-ann"), asOf=BEFORE)
    assert error["extensions"]["code"] == "forbidden"


@pytest.mark.parametrize("who", ["ann", "mia"])
def test_attested_events_cannot_be_left_out_by_asking_for_an_id(house: House, who: str) -> None:
    query = "query($id: ID!) { node(id: $id, witnessedOnly: true) { id } }"
    (name,) = named("Deal", "of-ann")
    assert house.as_(who).refusal(query, id=name)["extensions"]["code"] == "forbidden"


def test_what_several_ids_need_is_read_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    claims, versions = Book.claims, playbook_list

    def counted_claims(book: Book) -> Iterator[tuple[str, list[Event]]]:
        read.append("claims")
        return claims(book)

    def counted_versions(book: Book) -> dict[str, Any]:
        read.append("versions")
        return versions(book)

    monkeypatch.setattr(Book, "claims", counted_claims)
    monkeypatch.setattr(nodes, "playbook_list", counted_versions)
    ids = [*named("Account", "acme", "bolt", "acme"), *named("PlaybookVersion", "a@1", "b@1")]
    found = asked(house, "ann", BEFORE, ids)
    assert [each and each["account"] for each in found[:3]] == ["acme", None, "acme"]
    assert sorted(read) == ["claims", "versions"]
