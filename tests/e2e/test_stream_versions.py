"""Versions of streams and numbers of deals in a snapshot, as each role is told them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ledger.store.ledger import Ledger
from tests.e2e.asking import Client
from tests.e2e.sales_force import AFTER, BEFORE, DEALS, PERIOD, ROLES, House, deals_seen

READERS = [who for who, role in ROLES.items() if role != "importer"]
VERSIONS = """query($asOf: AsOfTime!, $horizon: BigInt, $period: String) {
    snapshot(asOf: $asOf, horizon: $horizon) {
        basis { horizon }
        deals { nodes { dealId streamVersion } }
        accounts { nodes { account streamVersion } }
        people { nodes { person streamVersion } }
        playbooks { playbook streamVersion }
        ladder(period: $period) { streamVersion } } }"""


def versions(house: House, who: str, as_of: str, horizon: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = house.as_(who).ask(
        VERSIONS, asOf=as_of, horizon=horizon, period=PERIOD
    )["snapshot"]
    return found


def recorded(ledger: Ledger, stream: str, horizon: int) -> int:
    """How many events a stream had at a position."""
    return sum(event["position"] <= horizon for event in ledger.stream(stream))


@pytest.mark.parametrize("who", READERS)
def test_a_deal_has_the_version_of_all_that_its_horizon_holds(house: House, who: str) -> None:
    found = versions(house, who, "now")
    horizon = int(found["basis"]["horizon"])
    nodes = found["deals"]["nodes"]
    assert {each["dealId"] for each in nodes} == deals_seen(who, AFTER)
    for each in nodes:
        deal = each["dealId"]
        assert each["streamVersion"] == recorded(house.ledger, f"deal:{deal}", horizon), deal


def test_the_times_of_the_basis_do_not_count_and_its_horizon_does(house: House) -> None:
    for horizon in (20, 30, int(versions(house, "ada", "now")["basis"]["horizon"])):
        found = versions(house, "ada", BEFORE, horizon)
        nodes = found["deals"]["nodes"]
        assert nodes
        for each in nodes:
            stream = f"deal:{each['dealId']}"
            assert each["streamVersion"] == recorded(house.ledger, stream, horizon)


def test_what_has_passed_into_other_hands_tells_no_version(house: House) -> None:
    then = {
        each["dealId"]: each["streamVersion"]
        for each in versions(house, "ann", BEFORE)["deals"]["nodes"]
    }
    assert then == {"of-ann": 4, "handed": None}
    assert {
        each["dealId"] for each in versions(house, "mia", BEFORE)["deals"]["nodes"]
        if each["streamVersion"] is None
    } == {"of-ann", "handed"}  # fmt: skip
    all_of_them = versions(house, "otto", BEFORE)["deals"]["nodes"]
    assert all(each["streamVersion"] for each in all_of_them)
    assert len(all_of_them) == len(DEALS)


@pytest.mark.parametrize("who", READERS)
def test_a_person_tells_it_to_those_who_see_their_assessments(house: House, who: str) -> None:
    found = versions(house, who, "now")
    told = {
        each["person"] for each in found["people"]["nodes"] if each["streamVersion"] is not None
    }
    everybody = {"vp", "mia", "zoe", "ann", "bob", "cleo"}
    below = {"mia": {"bob"}, "zoe": {"ann", "cleo"}, "vp": everybody - {"vp"}}
    seen = everybody if ROLES[who] in {"admin", "auditor"} else below.get(who, set())
    assert told == seen


def test_accounts_playbooks_and_periods_tell_it(house: House) -> None:
    found = versions(house, "ann", "now")
    assert found["accounts"]["nodes"] == [{"account": "acme", "streamVersion": 1}]
    assert found["playbooks"] == [{"playbook": "buyers_journey", "streamVersion": 1}]
    assert found["ladder"] == {"streamVersion": 3}
    assert versions(house, "ann", "now", 1)["ladder"] == {"streamVersion": 0}


@pytest.fixture
def rep(house: House) -> Iterator[Client]:
    bearer = {"Authorization": f"Bearer {house.tokens['bob']}"}
    with httpx.Client(base_url=house.address, headers=bearer, timeout=60) as http:
        yield Client(http)


def test_a_rep_records_on_what_they_saw_and_learns_where_it_is_when_it_moved(
    house: House, rep: Client
) -> None:
    asked = "query($d: ID!) { snapshot { deal(id: $d) { streamVersion } } }"
    seen = rep.ask(asked, d="of-bob")["snapshot"]["deal"]["streamVersion"]
    claim = {"deal": "of-bob", "category": "PIPELINE", "expectedVersion": seen}
    assert rep.recorded("claimCategory", **claim)["streamVersion"] == seen + 1
    refused = rep.ask(
        """mutation($input: ClaimCategoryInput!) { claimCategory(input: $input) {
            ... on Rejected { code message currentVersion } } }""",
        input=claim,
    )["claimCategory"]  # fmt: skip
    assert (refused["code"], refused["currentVersion"]) == ("stream-moved", seen + 1)
    assert f"at version {seen + 1}" in refused["message"]
    again = {**claim, "expectedVersion": refused["currentVersion"]}
    assert rep.recorded("claimCategory", **again)["added"]
    other = rep.ask(
        """mutation($input: ClaimCategoryInput!) { claimCategory(input: $input) {
            ... on Rejected { code currentVersion } } }""",
        input={**claim, "deal": "of-cleo", "expectedVersion": 1},
    )["claimCategory"]
    assert other == {"code": "unknown-deal", "currentVersion": None}
    assert house.ledger.last_versions(["deal:of-cleo"]) == {"deal:of-cleo": 4}


@pytest.mark.parametrize("day", [BEFORE, AFTER])
@pytest.mark.parametrize("who", READERS)
def test_a_snapshot_counts_the_deals_of_whoever_asks(house: House, who: str, day: str) -> None:
    query = """query($t: AsOfTime!) { snapshot(asOf: $t) { deals(first: 1) { totalCount }
        open: deals(where: {outcome: "open", owner: "ann"}) { totalCount nodes { dealId } } } }"""
    found = house.as_(who).ask(query, t=day)["snapshot"]
    assert found["deals"]["totalCount"] == len(deals_seen(who, day))
    assert found["open"]["totalCount"] == len(found["open"]["nodes"])
