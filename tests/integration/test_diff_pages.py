"""Pages of the changes of a diff: all read the two bases of the first, by either executor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from anyio import to_thread

from api.door import Door
from api.graphql.cursor import PageCursor
from api.graphql.executor import executed_by
from api.graphql.schema import schema
from ledger.config import Settings
from ledger.store.ledger import Ledger
from tests.e2e import worked

EXECUTED = {name: executed_by(schema, name) for name in ("stock", "fast")}
DEALS = 25
DIFF = """query($from: AsOfTime!, $known: AsOfTime, $measure: String!, $step: String!,
               $period: String, $first: Int, $after: String, $last: Int, $before: String) {
    diff(from: $from, to: "now", knownAt: $known) {
        from { horizon knownAt } to { horizon knownAt }
        bridge(period: $period) { steps { step changes } }
        changes(step: $step, period: $period, measure: $measure, first: $first, after: $after,
                last: $last, before: $before) {
            totalCount edges { cursor } nodes { deal number amount because { position } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""
ASKED = {"from": "2025-01-01", "step": "created", "period": "2025-Q1", "measure": "claimed"}
Ask = Callable[..., Any]


async def _settled(answer: Awaitable[Any]) -> Any:
    """An answer, once nobody works on a part of it any more that a refusal made needless."""
    found = await answer
    at_work = to_thread.current_default_thread_limiter()
    while at_work.borrowed_tokens:
        await asyncio.sleep(0.001)
    return found


@pytest.fixture(params=sorted(EXECUTED))
def ask(request: pytest.FixtureRequest, ledger: Ledger, settings: Settings) -> Ask:
    """Asks for a page of the diff; the code of the error where it is refused."""
    ledger.import_events(worked.many_deals(DEALS))
    executed, context = EXECUTED[request.param], {"door": Door(ledger.database, settings)}

    def asked(query: str = DIFF, **more: Any) -> Any:
        answer = asyncio.run(_settled(executed.execute(query, ASKED | more, context_value=context)))
        for error in answer.errors or []:
            return (error.extensions or {})["code"], (error.extensions or {}).get("where")
        assert answer.data is not None
        return answer.data["diff"] if query is DIFF else answer.data

    return asked


def test_pages_read_both_bases_of_the_first_while_events_arrive(ask: Ask, ledger: Ledger) -> None:
    whole = ask(first=500)
    page, found = ask(first=4), []
    bases = page["from"], page["to"]
    for number in range(DEALS):
        assert (page["from"], page["to"]) == bases
        assert page["bridge"] == whole["bridge"]
        assert page["changes"]["totalCount"] == DEALS
        found += page["changes"]["nodes"]
        if not page["changes"]["pageInfo"]["hasNextPage"]:
            break
        late = worked.opened(f"M{number:04d}a", "ann", "2025-03-30", None)
        ledger.import_events([late])  # between two deals of the list
        page = ask(first=4, after=page["changes"]["pageInfo"]["endCursor"])
    assert found == whole["changes"]["nodes"]
    assert {each["deal"] for each in found} == {f"M{number:04d}" for number in range(DEALS)}
    assert ask(first=1)["changes"]["totalCount"] > DEALS


EVERY_STEP = """query($from: AsOfTime!, $key: [GroupKeyInput!]) { diff(from: $from, to: "now") {
    bridge(period: "2025-Q1", groupBy: ["owner", "currency"]) {
        groups { key { dimension value } steps { step changes } } }
    changes(period: "2025-Q1", key: $key) { totalCount nodes { deal step after { owner } } } } }"""


def test_a_group_of_the_bridge_opens_into_its_changes_by_its_own_key(ask: Ask) -> None:
    groups = ask(EVERY_STEP)["diff"]["bridge"]["groups"]
    assert len(groups) > 1
    for group in groups:
        found = ask(EVERY_STEP, key=group["key"])["diff"]["changes"]
        assert found["totalCount"] == sum(step["changes"] for step in group["steps"])
        owner = next(each["value"] for each in group["key"] if each["dimension"] == "owner")
        assert {each["after"]["owner"] for each in found["nodes"]} == {owner}
        assert {each["step"] for each in found["nodes"]} == {
            step["step"] for step in group["steps"] if step["changes"]
        }


def test_a_key_that_no_group_can_have_is_refused(ask: Ask) -> None:
    stage = {"dimension": "stage", "value": "Proposal"}
    assert ask(EVERY_STEP, key=[stage]) == ("invalid-dimension", "key")
    ann = {"dimension": "owner", "value": "ann"}
    assert ask(EVERY_STEP, key=[ann, ann]) == ("invalid-dimension", "key")


def test_pages_go_backwards_as_well(ask: Ask) -> None:
    whole = ask()["changes"]["nodes"]
    page, found = ask(last=7)["changes"], list[Any]()
    while True:
        found = page["nodes"] + found
        if not page["pageInfo"]["hasPreviousPage"]:
            break
        page = ask(last=7, before=page["pageInfo"]["startCursor"])["changes"]
    assert found == whole


def test_a_page_beside_another_is_of_the_same_two_bases(ask: Ask, ledger: Ledger) -> None:
    first = ask(first=2)
    ledger.import_events([worked.opened("late", "ann", "2025-03-30", None)])
    behind = first["changes"]["edges"][0]["cursor"]
    assert ask(first=1, after=behind)["changes"]["nodes"] == first["changes"]["nodes"][1:]


def test_a_cursor_of_other_arguments_is_refused(ask: Ask) -> None:
    cursor = ask(first=2)["changes"]["pageInfo"]["endCursor"]
    others = ({"step": "won"}, {"measure": "evidenced"}, {"period": "2025"}, {"period": None},
              {"from": "2025-01-31"}, {"known": "2025-03-31"})  # fmt: skip
    for other in others:
        assert ask(after=cursor, **other) == ("cursor-of-another-question", "after")


def test_a_cursor_of_a_snapshot_is_none_of_a_diff_and_the_other_way_round(ask: Ask) -> None:
    findings = """query($after: String, $first: Int) {
        snapshot { findings(after: $after, first: $first) { pageInfo { endCursor } } } }"""
    of_diff = ask(first=2)["changes"]["pageInfo"]["endCursor"]
    assert ask(findings, after=of_diff) == ("cursor-of-another-question", "after")
    deals = "{ snapshot { deals(first: 2) { pageInfo { endCursor } } } }"
    of_snapshot = ask(deals)["snapshot"]["deals"]["pageInfo"]["endCursor"]
    assert ask(after=of_snapshot) == ("cursor-of-another-question", "after")
    assert ask(after="WzEsMl0=") == ("invalid-cursor", "after")


def test_a_cursor_with_the_digests_of_this_diff_and_one_basis_is_refused(ask: Ask) -> None:
    of_diff = PageCursor.read(ask(first=2)["changes"]["pageInfo"]["endCursor"], "after")
    assert len(of_diff.bases) == 2
    forged = of_diff._replace(bases=of_diff.bases[1:]).spelt()
    assert ask(after=forged) == ("cursor-of-another-question", "after")
