"""Subscriptions to a running server: nothing missed, nothing told twice, whatever is in between."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ledger.config import Settings
from ledger.domain.events import Draft, Source, parse_payload
from tests.e2e.asking import Client
from tests.e2e.listening import SECONDS_MAX, Socket, items_of, streaming
from tests.e2e.process import Qledger
from tests.e2e.sales_force import PERIOD, House

EVENTS = """subscription($after: BigInt, $types: [String!], $deal: ID) {
    events(afterPosition: $after, types: $types, deal: $deal) {
        position stream deal payload event { position type summary } } }"""
CHANGES = """subscription($after: BigInt, $deal: ID, $owner: String) {
    dealChanged(afterPosition: $after, deal: $deal, owner: $owner) {
        position deal basis { validAt knownAt horizon } event { type }
        before { owner category amount { amount currency } evidencedCategory standsAt }
        after { owner category amount { amount currency } evidencedCategory standsAt }
        changes { layer field before after } } }"""
FORECASTS = """subscription($after: BigInt, $period: String!, $by: [String!]) {
    forecastChanged(afterPosition: $after, period: $period, groupBy: $by) {
        position sincePosition
        forecast { basis { horizon } cells { measure category amount deals }
                   groups { key { value } cells { measure category amount } } } } }"""
WORDS = Source("tests")


def draft(stream: str, kind: str, **payload: Any) -> Draft:
    return Draft(
        stream=stream,
        payload=parse_payload(kind, payload),
        event_id=uuid4(),
        actor="tests",
        source=WORDS,
        occurred_at=datetime(2026, 1, 10, tzinfo=UTC),
    )


def note(house: House, n: int) -> None:
    """Record something, by ordinary means."""
    house.as_("ada").recorded("reviseDeal", deal="of-ann", name=f"name {n}")


def head(house: House) -> int:
    return house.as_("ada").head()


def test_events_come_in_order_over_a_socket_from_a_position_on(house: House) -> None:
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(EVENTS, after="0")
        everything = head(house)
        found = [int(item["position"]) for item in islice(told, everything)]
        assert found == list(range(1, everything + 1))
        note(house, 1)
        assert int(next(told)["position"]) == everything + 1


# --- nothing missed, nothing twice --------------------------------------------------------------

WRITERS, APPENDS = 3, 40
INTERRUPTED = 130
"""The exit status of a process that was told to stop."""


@contextmanager
def being_written(house: House) -> Iterator[threading.Event]:
    """Several write to the ledger meanwhile; set when they are done."""
    done = threading.Event()

    def work(writer: int) -> None:
        for n in range(APPENDS):
            stream = f"deal:w{writer}-{n}-{head(house)}"
            house.ledger.import_events([
                draft(stream, "deal-opened", name=f"w{writer} {n}", owner="ann"),
                draft(stream, "category-claimed", category="commit"),
            ], strict=True)  # fmt: skip

    threads = [threading.Thread(target=work, args=[writer]) for writer in range(WRITERS)]

    def wait() -> None:
        for thread in threads:
            thread.join()
        done.set()

    for thread in (*threads, waiting := threading.Thread(target=wait)):
        thread.start()
    try:
        yield done
    finally:
        waiting.join()


def by_socket(house: House, after: int, count: int) -> list[int]:
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(EVENTS, after=str(after))
        return [int(item["position"]) for item in islice(told, count)]


def by_stream(house: House, after: int, count: int) -> list[int]:
    with streaming(house.http("ada"), EVENTS, after_id=str(after)) as told:
        return [int(each.id or "") for each in islice(items_of(told), count)]


@pytest.mark.parametrize("listen", [by_socket, by_stream])
def test_reconnecting_while_others_write_brings_every_event_once(house: House, listen: Any) -> None:
    start = last = head(house)
    found: list[int] = []
    with being_written(house):
        end = start + WRITERS * APPENDS * 2
        for count in (1, 7, 2, 31, 5, 64, 3):
            found += listen(house, last, count)
            last = found[-1]
        found += listen(house, last, end - last)
    assert head(house) == end
    assert found == list(range(start + 1, end + 1))


def test_a_slow_reader_is_told_all_of_it_in_the_end(house: House) -> None:
    start = head(house)
    long = "x" * 3_000
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(EVENTS, after=str(start))
        for part in range(8):  # far more than the server keeps and the network holds
            house.ledger.import_events([
                draft(f"deal:slow-{part}-{n}", "post-mortem-recorded", reviewer="mia", finding=long)
                for n in range(400)
            ], strict=True)  # fmt: skip
        end = head(house)
        found = [int(item["position"]) for item in islice(told, end - start)]
    assert found == list(range(start + 1, end + 1))


def test_a_quiet_stream_says_how_far_it_is(house: House) -> None:
    with streaming(house.http("ada"), EVENTS, deal="no-such") as told:
        first = next(told)
        assert (first.id, first.event) == (str(head(house)), None)


def test_a_filter_leaves_out_what_is_not_asked_for(house: House) -> None:
    asked: dict[str, Any] = {
        "after": "0",
        "types": ["deal-opened", "deal-revised"],
        "deal": "handed",
    }
    with streaming(house.http("ada"), EVENTS, **asked) as told:
        items = [each.item for each in islice(items_of(told), 2)]
    assert [item["event"]["type"] for item in items] == ["deal-opened", "deal-revised"]
    assert {item["deal"] for item in items} == {"handed"}


def test_a_request_to_graphql_that_takes_a_stream_is_one(house: House) -> None:
    with streaming(house.http("ada"), EVENTS, path="/graphql", after="0") as told:
        assert next(items_of(told)).id == "1"
    asked = {"query": "subscription { events(afterPosition: 0) { position } }"}
    accept = {"Accept": "text/event-stream"}
    with house.http("ada").stream("GET", "/graphql", params=asked, headers=accept) as answer:
        lines = answer.iter_lines()
        assert "id: 1" in islice(lines, 6)


def test_a_position_that_the_log_does_not_reach_is_refused(house: House) -> None:
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        refused = socket.refusal(EVENTS, after=str(head(house) + 1))
        assert refused["extensions"]["code"] == "unknown-position"
        refused = socket.refusal(EVENTS, types=["no-such"])
        assert refused["extensions"]["code"] == "unknown-event-type"


# --- what an event changed of a deal ------------------------------------------------------------


def opened(client: Client, deal: str, **more: Any) -> None:
    """A deal with somebody at the buyer."""
    given = {"name": "Deal", "owner": "ann", **more}
    client.recorded("openDeal", deal=deal, **given)
    client.recorded("addStakeholder", deal=deal, stakeholder="eve", name="Eve", role="champion")


def test_a_change_tells_both_sides_and_what_differs(house: House) -> None:
    ada = house.as_("ada")
    opened(ada, "changing", amount={"amount": "100.00", "currency": "USD"})
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(CHANGES, deal="changing", after="0")
        opening = next(told)
        assert opening["before"] is None
        assert opening["after"]["amount"] == {"amount": "100.00", "currency": "USD"}
        ada.recorded("reviseDeal", deal="changing", amount={"amount": "250.00", "currency": "EUR"})
        revised = next(told)
        assert revised["event"]["type"] == "deal-revised"
        assert revised["changes"] == [
            {"layer": "claimed", "field": "amount", "before": "100.00 USD", "after": "250.00 EUR"}
        ]
        ada.recorded("recordEvidence", deal="changing", criterion="discovery_meeting_scheduled",
                     stance="SUPPORTS", sourceKind="MEETING", saidBy="eve")  # fmt: skip
        evidenced = next(told)
        assert evidenced["before"]["evidencedCategory"] == "omitted"
        criteria = {each["field"]: each for each in evidenced["changes"]}
        assert criteria["discovery_meeting_scheduled"]["after"] == "met"
        assert {each["layer"] for each in evidenced["changes"]} >= {"criterion", "evidenced"}
        ada.recorded("removeDeal", deal="changing", reason="by mistake")
        removed = next(told)
        assert (removed["after"], removed["event"]) == (None, None)


def test_a_change_says_what_a_snapshot_of_its_basis_says(house: House) -> None:
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        changes = list(islice(socket.items(CHANGES, after="0"), 15))
    for change in changes:
        deal = house.as_("ada").ask(
            f"""{{ snapshot(asOf: "pos:{change["position"]}") {{
                basis {{ validAt knownAt horizon }}
                deal(id: "{change["deal"]}") {{
                    owner category amount {{ amount currency }} evidencedCategory standsAt
                }} }} }}"""
        )["snapshot"]
        assert change["basis"] == deal["basis"]
        assert change["after"] == deal["deal"]


def test_an_event_that_changes_nothing_of_the_deal_is_no_change(house: House) -> None:
    ada = house.as_("ada")
    opened(ada, "quiet")
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(CHANGES, deal="quiet", after=str(head(house)))
        ada.recorded("addStakeholder", deal="quiet", stakeholder="kay", name="Kay", role="champion")
        ada.recorded("reviseDeal", deal="quiet", name="Louder")
        (change,) = next(told)["changes"]
        assert (change["field"], change["after"]) == ("name", "Louder")


def test_an_owner_is_told_of_deals_that_come_and_go(house: House) -> None:
    ada = house.as_("ada")
    opened(ada, "moving", owner="bob")
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(CHANGES, owner="cleo", after=str(head(house)))
        ada.recorded("reviseDeal", deal="moving", name="Still with bob")
        ada.recorded("reviseDeal", deal="moving", owner="cleo")
        ada.recorded("reviseDeal", deal="moving", owner="ann")
        came, went = next(told), next(told)
    assert (came["before"]["owner"], came["after"]["owner"]) == ("bob", "cleo")
    assert (went["before"]["owner"], went["after"]["owner"]) == ("cleo", "ann")


# --- a forecast ---------------------------------------------------------------------------------


def claimed(item: dict[str, Any]) -> Decimal:
    cells = item["forecast"]["cells"]
    return sum(
        (Decimal(cell["amount"]) for cell in cells if cell["measure"] == "claimed"), Decimal(0)
    )


def test_a_forecast_is_told_when_events_changed_it_and_taken_up_where_it_was_left(
    house: House,
) -> None:
    ada = house.as_("ada")
    usd = {"amount": "1000.00", "currency": "USD"}
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(FORECASTS, period=PERIOD)
        first = next(told)
        assert first["position"] == str(head(house))
        assert first["sincePosition"] is None
        ada.recorded("recordEvidence", deal="of-ann", criterion="fit_confirmed",
                     stance="SUPPORTS", sourceKind="CALL")  # fmt: skip
        ada.recorded("openDeal", deal="one-more", name="One", owner="ann", closeDate="2025-09-30",
                     amount=usd)  # fmt: skip
        while claimed(item := next(told)) == claimed(first):
            pass
        assert claimed(item) == claimed(first) + 1000
        assert item["position"] == item["forecast"]["basis"]["horizon"]
    ada.recorded("reviseDeal", deal="one-more", amount={"amount": "3000.00", "currency": "USD"})
    ada.recorded("addStakeholder", deal="one-more", stakeholder="kay", name="Kay", role="champion")
    with streaming(
        house.http("ada"), FORECASTS, period=PERIOD, after_id=item["position"]
    ) as stream:
        again = next(items_of(stream))
    assert claimed(again.item) == claimed(item) + 2000
    assert again.item["sincePosition"] == item["position"]
    assert again.id == again.item["position"]


def test_a_forecast_that_nothing_changed_is_not_told_again(house: House) -> None:
    ada = house.as_("ada")
    ada.recorded("openDeal", deal="elsewhere", name="Other period", owner="ann",
                 closeDate="2031-01-15", amount={"amount": "5.00", "currency": "USD"})  # fmt: skip
    start = head(house)
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        told = socket.items(FORECASTS, period=PERIOD, after=str(start))
        ada.recorded("reviseDeal", deal="elsewhere", amount={"amount": "7.00", "currency": "USD"})
        between = head(house)
        ada.recorded("openDeal", deal="counts", name="Counts", owner="ann", closeDate="2025-09-30",
                     amount={"amount": "7.00", "currency": "USD"})  # fmt: skip
        item = next(told)
    assert int(item["position"]) > between


@pytest.mark.parametrize("period", ["2025-Q9", "never"])
def test_a_period_that_is_none_is_refused(house: House, period: str) -> None:
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        assert socket.refusal(FORECASTS, period=period)["extensions"]["code"] == "invalid-period"


# --- the server stops ---------------------------------------------------------------------------


def test_a_server_that_stops_leaves_streams_to_be_taken_up_again(
    house: House, empty_settings: Settings
) -> None:
    assert empty_settings.database_url is not None
    qledger = Qledger.on(empty_settings.database_url.get_secret_value())
    token = house.tokens["ada"]
    bearer = {"Authorization": f"Bearer {token}"}
    with qledger.serving() as (process, address), Socket.on(address, token) as socket:
        told = socket.items(EVENTS, after=str(head(house) - 1))
        assert next(told)["position"] == str(head(house))
        with (
            httpx.Client(base_url=address, headers=bearer, timeout=60) as http,
            streaming(http, EVENTS, after_id=str(head(house) - 1)) as stream,
        ):
            assert next(items_of(stream)).id == str(head(house))
            process.send_signal(signal.SIGTERM)
            assert [each.event for each in stream if each.event] == []
        assert socket.closed() == 1012
        assert process.wait(SECONDS_MAX) == INTERRUPTED
