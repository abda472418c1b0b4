"""A manager who asks about a date ahead: nobody who is only to report to them is theirs yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ledger.config import Settings
from ledger.domain.events import Draft, parse_payload
from ledger.domain.ids import event_id_of
from tests.e2e.sales_force import CRM, House, deals_seen, serving, write

TODAY, AHEAD = "2026-01-31", "2100-06-30"


@pytest.fixture(scope="module")
def house(empty_settings: Settings) -> Iterator[House]:
    """Bob is announced to report to zoe from 2100 on; until then he is mia's."""
    with serving(empty_settings) as house:
        write(house.ledger)
        announced = Draft(
            stream="person:bob",
            payload=parse_payload("person-reassigned", {"manager": "zoe"}),
            event_id=event_id_of("crm", "person:bob", "announced"),
            actor="crm",
            source=CRM,
            occurred_at=datetime(2100, 1, 1, tzinfo=UTC),
            known_at=datetime(2025, 8, 1, tzinfo=UTC),
        )
        house.ledger.import_events([announced], strict=True)
        yield house


def seen(house: House, who: str, times: str) -> set[str]:
    query = f"{{ snapshot({times}) {{ deals(first: 100) {{ nodes {{ dealId }} }} }} }}"
    nodes = house.as_(who).ask(query)["snapshot"]["deals"]["nodes"]
    flat = house.as_(who).ask(f"{{ dealRows({times}, first: 100) {{ nodes {{ deal }} }} }}")
    listed = {node["dealId"] for node in nodes}
    assert {node["deal"] for node in flat["dealRows"]["nodes"]} == listed
    return listed


@pytest.mark.parametrize(
    "times", [f'asOf: "{AHEAD}"', f'validAt: "{AHEAD}"'], ids=["as known then", "as known now"]
)
def test_a_date_ahead_shows_no_more_of_others_than_today_does(house: House, times: str) -> None:
    assert seen(house, "zoe", f'asOf: "{TODAY}"') == deals_seen("zoe", "2025-07-31")
    assert seen(house, "zoe", times) == deals_seen("zoe", "2025-07-31"), "bob is not hers yet"
    assert seen(house, "mia", times) == {"of-mia"}, "bob is not hers any more, then"
    assert seen(house, "vp", times) == deals_seen("vp", "2025-07-31")


def test_who_is_to_report_to_a_manager_is_not_told_of_by_sums_or_by_name(house: House) -> None:
    query = f"""{{ snapshot(asOf: "{AHEAD}") {{ deal(id: "of-bob") {{ dealId }} }}
        dealRows(asOf: "{AHEAD}", first: 1) {{ totalCount }} }}"""
    told = house.as_("zoe").ask(query)
    assert told["snapshot"]["deal"] is None
    assert int(told["dealRows"]["totalCount"]) == len(deals_seen("zoe", "2025-07-31"))
    assert house.as_("una").ask(query)["snapshot"]["deal"] == {"dealId": "of-bob"}


def test_after_the_date_has_come_the_team_is_the_new_one(house: House) -> None:
    """What is ahead is told of the chart alone, so the analyst sees who will be whose."""
    query = f'{{ dealRows(asOf: "{AHEAD}", manager: "zoe", first: 100) {{ nodes {{ deal }} }} }}'
    nodes = house.as_("una").ask(query)["dealRows"]["nodes"]
    assert {node["deal"] for node in nodes} >= {"of-bob", "of-cleo", "of-ann"}
