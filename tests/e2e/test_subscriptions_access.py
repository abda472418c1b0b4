"""Who is told what by subscriptions: each role hears what a snapshot at that position shows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from api import subscribing
from api.access import tokens
from api.http.encoding import json_bytes
from ledger.config import Settings
from ledger.store import access
from tests.e2e.listening import SECONDS_MAX, Socket, error_of, items_of, refused_to_open, streaming
from tests.e2e.sales_force import DEALS, PERIOD, ROLES, House, serving
from tests.e2e.test_subscriptions import CHANGES, EVENTS, FORECASTS, head

READERS = [who for who, role in ROLES.items() if role != "importer"]


@pytest.fixture(scope="module")
def told(house: House) -> dict[int, dict[str, Any]]:
    """All events, by position, as an admin is told them."""
    with streaming(house.http("ada"), EVENTS, after="0") as stream:
        items = [each.item for each in islice(items_of(stream), head(house))]
    return {int(item["position"]): item for item in items}


def heard_until(house: House, who: str, query: str, end: int, **variables: Any) -> list[Any]:
    """All that somebody is told up to a position: a stream says when it has come that far."""
    found = []
    with streaming(house.http(who), query, after="0", **variables) as stream:
        for each in stream:
            if each.event == "next":
                found.append(each.item)
            if each.id == str(end):
                break
    return found


def visible(house: House, who: str, deal: str, position: int) -> bool:
    query = f'{{ snapshot(asOf: "pos:{position}") {{ deal(id: "{deal}") {{ id }} }} }}'
    return house.as_(who).ask(query)["snapshot"]["deal"] is not None


# --- scope --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", READERS)
def test_an_event_is_told_to_whom_a_snapshot_at_its_position_shows_the_deal(
    house: House, who: str, told: dict[int, dict[str, Any]]
) -> None:
    raw = ROLES[who] in {"auditor", "admin"}
    expected = [
        position
        for position, item in told.items()
        if (raw if item["deal"] is None else visible(house, who, item["deal"], position))
    ]
    heard = heard_until(house, who, EVENTS, max(told), variables=None)
    assert [int(item["position"]) for item in heard] == expected


@pytest.mark.parametrize("who", READERS)
def test_a_change_is_told_to_whom_the_deal_was_or_is(
    house: House, who: str, told: dict[int, dict[str, Any]]
) -> None:
    heard = {int(each["position"]): each for each in heard_until(house, who, CHANGES, max(told))}
    for position, item in told.items():
        if item["deal"] is None:
            assert position not in heard
            continue
        after = visible(house, who, item["deal"], position)
        before = visible(house, who, item["deal"], position - 1)
        change = heard.get(position)
        if change is not None:
            assert (change["before"] is not None, change["after"] is not None) == (before, after)
            assert (change["event"] is None) != after
        else:
            assert before == after  # whoever gains or loses a deal is told


def test_who_loses_a_deal_is_not_told_who_has_it_now(house: House) -> None:
    end = head(house)
    changes = heard_until(house, "ann", CHANGES, end, deal="handed")
    lost, gained = changes[-1], heard_until(house, "cleo", CHANGES, end, deal="handed")[0]
    assert lost["position"] == gained["position"]
    assert lost["before"]["owner"] == "ann"
    assert lost["after"] is None
    assert "cleo" not in str(lost)
    assert gained["before"] is None
    assert gained["after"]["owner"] == "cleo"
    assert "ann" not in str(gained)


@pytest.mark.parametrize("who", READERS)
def test_totals_of_a_forecast_are_those_of_a_snapshot_as_they_see_it(
    house: House, who: str
) -> None:
    with Socket.on(house.address, house.tokens[who]) as socket:
        item = next(socket.items(FORECASTS, period=PERIOD, by=["owner"]))
    query = f"""{{ snapshot(asOf: "pos:{item["position"]}") {{
        forecast(period: "{PERIOD}", groupBy: ["owner"]) {{
            cells {{ measure category amount deals }}
            groups {{ key {{ value }} cells {{ measure category amount }} }} }} }} }}"""
    told = item["forecast"]
    assert told.pop("basis")["horizon"] == item["position"]
    assert told == house.as_(who).ask(query)["snapshot"]["forecast"]


def test_an_analyst_is_told_neither_names_nor_words_of_people_at_the_buyer(house: House) -> None:
    heard = [str(heard_until(house, "una", query, head(house))) for query in (EVENTS, CHANGES)]
    for words in ("quote of", "person at", ".example", "assessment of"):
        assert words not in "".join(heard)
    assert "(withheld)" in heard[0]
    assert all(deal in heard[0] for deal in DEALS)


def test_an_importer_is_told_nothing(house: House) -> None:
    with Socket.on(house.address, house.tokens["imp"]) as socket:
        for query, given in ((EVENTS, {}), (CHANGES, {}), (FORECASTS, {"period": PERIOD})):
            refused = socket.refusal(query, after="0", **given)
            assert refused["extensions"]["code"] == "forbidden"
    with streaming(house.http("imp"), EVENTS, after="0") as told:
        (refused_event, complete) = [each for each in told if each.event]
    assert refused_event.id is None
    assert refused_event.data["errors"][0]["extensions"]["code"] == "forbidden"
    assert complete.event == "complete"


# --- who listens --------------------------------------------------------------------------------


def test_a_socket_is_known_by_its_handshake_or_by_its_first_message(house: House) -> None:
    for by_header in (True, False):
        with Socket.on(house.address, house.tokens["ann"], by_header=by_header) as socket:
            item = next(socket.items(EVENTS, after="0", deal="of-ann"))
            assert item["deal"] == "of-ann"


def test_the_first_message_counts_where_the_handshake_says_another(house: House) -> None:
    with Socket.opened(house.address, house.tokens["ada"]) as socket:
        socket.begin(house.tokens["imp"])
        assert socket.refusal(EVENTS)["extensions"]["code"] == "forbidden"


def test_a_token_is_taken_as_the_password_of_basic(house: House) -> None:
    basic = httpx.BasicAuth("anybody", house.tokens["ada"])
    request = next(basic.auth_flow(httpx.Request("GET", house.address)))
    sent = {"Authorization": request.headers["Authorization"]}
    with Socket.on(house.address, headers=sent) as socket:
        assert next(socket.items(EVENTS, after="0"))["position"] == "1"


@pytest.mark.parametrize("payload", [{}, {"Authorization": "Bearer ql_00000000_no"}, {"a": 1}])
def test_a_socket_on_which_nobody_is_known_is_closed(house: House, payload: Any) -> None:
    with Socket.opened(house.address) as socket:
        socket.send(type="connection_init", payload=payload)
        assert socket.closed() == 4403


def test_nothing_is_told_before_somebody_is_known(house: House) -> None:
    with Socket.opened(house.address) as socket:
        socket.subscribe(EVENTS, after="0")
        assert socket.closed() == 4401


def test_credentials_that_do_not_hold_open_no_socket(house: House) -> None:
    assert refused_to_open(house.address, "ql_00000000_no") == 403


def test_no_stream_without_credentials(house: House) -> None:
    asked = {"query": "subscription { events { position } }"}
    assert httpx.post(f"{house.address}/graphql/stream", json=asked).status_code == 401


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_another_site_opens_no_socket_and_no_stream(house: House, origin: str) -> None:
    assert refused_to_open(house.address, house.tokens["ada"], origin=origin) == 403
    answer = house.http("ada").get(
        "/graphql/stream",
        params={"query": "subscription { events { position } }"},
        headers={"Origin": origin},
    )
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["extensions"]["code"] == "other-origin"


def test_a_page_of_ours_may_listen(house: House) -> None:
    with Socket.on(house.address, house.tokens["ada"], origin=house.address) as socket:
        assert next(socket.items(EVENTS, after="0"))["position"] == "1"


def test_a_host_that_is_not_answered_opens_no_socket(house: House) -> None:
    assert refused_to_open(house.address, house.tokens["ada"], host="evil.example") == 403


# --- when they hold no more ---------------------------------------------------------------------


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who listens is known again at every turn."""
    monkeypatch.setattr(subscribing, "RECHECK_SECONDS", 0.05)


def test_a_token_that_is_revoked_ends_its_subscriptions(house: House, watchful: None) -> None:
    spelt = house.token("ada", "admin")
    bearer = {"Authorization": f"Bearer {spelt}"}
    with (
        Socket.on(house.address, spelt) as socket,
        httpx.Client(base_url=house.address, headers=bearer, timeout=60) as http,
        streaming(http, EVENTS, after="0") as stream,
    ):
        assert next(items_of(stream)).id == "1"
        socket.subscribe(EVENTS)
        tokens.revoke(house.ledger.database, spelt)
        assert error_of(socket.receive())["extensions"]["code"] == "token-revoked"
        assert socket.receive()["type"] == "complete"
        *_items, refused, complete = [each for each in stream if each.event]
        assert refused.data["errors"][0]["extensions"]["code"] == "token-revoked"
        assert complete.event == "complete"
        refused_again = socket.refusal(EVENTS)
        assert refused_again["extensions"]["code"] == "token-revoked"


def test_a_token_that_expires_ends_its_subscriptions(house: House, watchful: None) -> None:
    spelt = house.token("ada", "admin")
    with Socket.on(house.address, spelt) as socket:
        socket.subscribe(EVENTS)
        with psycopg.connect(house.ledger.url, autocommit=True) as connection:
            connection.execute("ALTER TABLE qledger.token DISABLE TRIGGER token_ends_once")
            connection.execute(
                "UPDATE qledger.token SET made_at = now() - interval '2 days',"
                " expires_at = now() - interval '1 second' WHERE id = %s",
                [spelt.split("_")[1]],
            )
            connection.execute("ALTER TABLE qledger.token ENABLE TRIGGER token_ends_once")
        assert error_of(socket.receive())["extensions"]["code"] == "token-expired"


# --- what is logged -----------------------------------------------------------------------------


def logged(house: House, after: int, who: str = "otto") -> list[access.LoggedReading]:
    with house.ledger.database.connection() as connection:
        return access.readings(connection, person=who, after=after, limit=100)


def last_reading(house: House, who: str) -> int:
    with house.ledger.database.connection() as connection:
        found = access.readings(connection, person=who, limit=1)
    return found[0].number if found else 0


def test_what_an_auditor_is_told_is_logged_before_it_leaves(house: House) -> None:
    before = last_reading(house, "otto")
    with Socket.on(house.address, house.tokens["otto"]) as socket:
        next(socket.items(EVENTS, after="0"))
        (begun,) = logged(house, before)
        assert begun.asked.startswith("(begun) WS /graphql ")
        assert "afterPosition" in begun.asked
        assert begun.bases[0]["horizon"] == 1
    before = last_reading(house, "otto")
    with streaming(house.http("otto"), CHANGES, after="0") as told:
        next(items_of(told))
        (begun,) = [each for each in logged(house, before) if "POST" in each.asked]
        assert begun.asked.startswith("(begun) POST /graphql/stream")


def closing_line(house: House, who: str) -> access.LoggedReading:
    """What is logged when the only stream of somebody has ended; waited for."""
    deadline = time.monotonic() + SECONDS_MAX
    while len(found := logged(house, 0, who)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    begun, ended = sorted(found, key=lambda each: each.number)
    assert begun.asked.startswith("(begun) ")
    assert begun.answer_bytes in {0, len(b": following\n\n")}
    return ended


@pytest.mark.parametrize("over", ["socket", "stream"])
def test_what_an_auditor_was_told_is_logged_when_they_leave(house: House, over: str) -> None:
    token = house.token(who := f"auditor-{over}", "auditor")
    if over == "socket":
        with Socket.on(house.address, token) as socket:
            items = list(islice(socket.items(EVENTS, after="0"), 3))
    else:
        bearer = {"Authorization": f"Bearer {token}"}
        with (
            httpx.Client(base_url=house.address, headers=bearer, timeout=60) as http,
            streaming(http, EVENTS, after="0") as told,
        ):
            items = [each.item for each in islice(items_of(told), 3)]
    ended = closing_line(house, who)
    assert ended.asked.startswith("(broken off) ")
    assert ended.answer_bytes > len(orjson.dumps(items))
    assert ended.bases[0]["horizon"] == 1
    assert ended.bases[-1]["horizon"] >= 3


def test_the_completed_end_of_a_socket_of_an_auditor_is_logged(
    house: House, watchful: None
) -> None:
    token = house.token(who := "auditor-socket-ended", "auditor")
    payloads = []
    with Socket.on(house.address, token) as socket:
        socket.subscribe(EVENTS, after="0")
        payloads.append(socket.receive()["payload"])
        tokens.revoke(house.ledger.database, token)
        while (message := socket.receive())["type"] == "next":
            payloads.append(message["payload"])
        assert message["type"] == "complete"
        ended = closing_line(house, who)
    assert ended.asked.startswith("WS /graphql ")
    told = b"".join(map(json_bytes, payloads))
    assert (ended.answer_bytes, ended.answer_sha256) == (len(told), sha256(told).digest())
    assert ended.bases[0]["horizon"] == 1


def test_the_completed_end_of_a_stream_of_an_auditor_is_logged(
    house: House, watchful: None
) -> None:
    token = house.token(who := "auditor-stream-ended", "auditor")
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    asked = {"query": EVENTS, "variables": {"after": "0"}}
    with (
        httpx.Client(base_url=house.address, headers=headers, timeout=60) as http,
        http.stream("POST", "/graphql/stream", json=asked) as answer,
    ):
        parts = answer.iter_raw()
        told = next(parts)
        while b"event: next" not in told:
            told += next(parts)
        tokens.revoke(house.ledger.database, token)
        told += b"".join(parts)
    assert b"token-revoked" in told
    assert told.endswith(b"event: complete\ndata: \n\n")
    ended = closing_line(house, who)
    assert ended.asked.startswith("POST /graphql/stream")
    assert (ended.answer_bytes, ended.answer_sha256) == (len(told), sha256(told).digest())
    assert ended.bases[0]["horizon"] == 1


def test_variables_with_numbers_beyond_64_bits_are_answered(house: House) -> None:
    token = house.token(who := "auditor-large", "auditor")
    with Socket.on(house.address, token) as socket:
        next(socket.items(EVENTS, after="0", more=2**70))
    assert str(2**70) in closing_line(house, who).asked


def test_others_are_not_logged(house: House) -> None:
    heard_until(house, "ann", EVENTS, head(house))
    assert last_reading(house, "ann") == 0


# --- nothing else -------------------------------------------------------------------------------

OTHERS = [
    "{ ledger { headPosition } }",
    'mutation { reviseDeal(input: {deal: "of-ann", name: "x"}) { __typename } }',
]


@pytest.mark.parametrize("query", OTHERS)
def test_neither_a_socket_nor_a_stream_takes_anything_but_subscriptions(
    house: House, query: str
) -> None:
    end = head(house)
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        assert socket.refusal(query)["extensions"]["code"] == "not-a-subscription"
    with streaming(house.http("ada"), query) as told:
        refused = next(each for each in told if each.event)
    assert refused.data["errors"][0]["extensions"]["code"] == "not-a-subscription"
    assert head(house) == end


@pytest.mark.parametrize(
    "message",
    [
        [], "text", {"type": 1}, {"type": "no-such"}, {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "id": "1", "payload": {"query": 1}},
        {"type": "subscribe", "id": [], "payload": {"query": EVENTS}},
        {"type": "complete", "id": {}},
    ],
)  # fmt: skip
def test_a_message_that_is_none_closes_the_socket(house: House, message: Any) -> None:
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        socket.say(message)
        assert socket.closed() == 4400


# --- how many -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(empty_settings: Settings) -> Iterator[House]:
    """The same ledger behind a server with room for few."""
    few = {"subscriptions_max": 3, "subscriptions_per_connection_max": 2}
    with serving(empty_settings.model_copy(update=few)) as house:
        yield house


def test_a_connection_holds_so_many_and_a_server_so_many(house: House, narrow: House) -> None:
    token = narrow.tokens["ada"]
    with Socket.on(narrow.address, token) as socket:
        names = [socket.subscribe(EVENTS, after="0", deal="of-ann") for _ in range(2)]
        heard = {socket.receive()["id"] for _ in range(8)}
        assert heard == set(names)
        refused = socket.refusal(EVENTS)
        assert refused["extensions"]["code"] == "too-many-subscriptions"
        with Socket.on(narrow.address, token) as other:
            next(other.items(EVENTS, after="0", deal="of-ann"))
            with streaming(narrow.http("ada"), EVENTS, after="0") as told:
                (refused_event,) = [each for each in told if each.event == "next"]
            code = refused_event.data["errors"][0]["extensions"]["code"]
            assert code == "too-many-subscriptions"


def test_who_leaves_makes_room(narrow: House) -> None:
    for _ in range(8):
        with Socket.on(narrow.address, narrow.tokens["ada"]) as socket:
            told = socket.items(EVENTS, after="0", deal="of-ann")
            assert next(told)["position"]
            socket.send(type="complete", id="1")
