"""Events in bulk over HTTP: who may, what is told, and what stays when it ends early."""

from __future__ import annotations

import gzip
import json
import re
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from api.http import ingest
from ledger.config import Settings
from ledger.connectors.ingest import CHUNK_LINES_MAX
from ledger.store.ledger import Ledger
from tests.e2e.asking import Client
from tests.e2e.process import Qledger
from tests.e2e.sales_force import ROLES, House, serving

NDJSON = {"Content-Type": "application/x-ndjson"}
SECONDS_MAX = 30


def lines_of(deal: str, count: int = 1, **more: Any) -> list[bytes]:
    """A deal that is opened, and what was claimed of it then."""
    known = {"known_at": "2026-01-02T00:00:00Z", "occurred_at": "2026-01-01T00:00:00Z"}
    found = []
    for number in range(count):
        kind, payload = ("stage-claimed", {"stage": f"stage {number}"})
        if number == 0:
            kind, payload = ("deal-opened", {"name": "Pump"})
        event = {
            "actor": "crm", "event_id": str(uuid4()), **known, "payload": payload,
            "source": {"system": "crm", "record": f"{deal}-{number}"}, "stream": f"deal:{deal}",
            "type": kind, **more,
        }  # fmt: skip
        found.append(json.dumps(event).encode() + b"\n")
    return found


@pytest.fixture(scope="module")
def house(empty_settings: Settings) -> Iterator[House]:
    with serving(empty_settings) as house:
        yield house


@pytest.fixture
def importer(house: House) -> httpx.Client:
    return house.http("imp")


def head(house: House) -> int:
    return house.ledger.head().size


def sent(http: httpx.Client, body: Any, expected: int = 200, **more: Any) -> dict[str, Any]:
    """What became of a body."""
    headers = {**NDJSON, **more.pop("headers", {})}
    answer = http.post("/ingest", content=body, headers=headers, **more)
    assert answer.status_code == expected, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    return told


# --- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ROLES)
def test_importers_and_admins_may_and_nobody_else(house: House, who: str) -> None:
    before = head(house)
    answer = house.http(who).post("/ingest", content=b"".join(lines_of(who)), headers=NDJSON)
    if ROLES[who] in {"importer", "admin"}:
        assert (answer.status_code, answer.json()["added"]) == (200, 1)
        assert head(house) == before + 1
    else:
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["extensions"]["code"] == "forbidden"
        assert head(house) == before


def test_nobody_unknown_may(house: House) -> None:
    before = head(house)
    answer = httpx.post(f"{house.address}/ingest", content=b"{}", headers=NDJSON)
    assert answer.status_code == 401
    assert head(house) == before


def test_an_importer_reads_nothing(house: House, importer: httpx.Client) -> None:
    sent(importer, b"".join(lines_of("unread")))
    refused = Client(importer).refusal('{ snapshot { deal(id: "unread") { name } } }')
    assert refused["extensions"]["code"] == "forbidden"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
        "application/json", "text/plain, application/x-ndjson", "application/x-ndjson, text/plain",
        "",
    ],
)  # fmt: skip
def test_a_page_of_another_site_cannot_send_events(
    house: House, importer: httpx.Client, kind: str
) -> None:
    before = head(house)
    headers = {"Content-Type": kind, "Origin": "https://evil.example"}
    answer = importer.post("/ingest", content=b"".join(lines_of("evil")), headers=headers)
    assert answer.status_code == 415
    assert answer.json()["errors"][0]["extensions"]["code"] == "not-ndjson"
    assert "access-control-allow-origin" not in answer.headers
    asked = importer.options(
        "/ingest",
        headers={
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert asked.status_code >= 400
    assert "access-control-allow-origin" not in asked.headers
    assert head(house) == before


def test_events_in_bulk_are_taken_at_their_own_address_alone(importer: httpx.Client) -> None:
    answer = importer.post("/graphql", content=b"{}", headers=NDJSON)
    assert answer.status_code == 415


# --- what becomes of lines ----------------------------------------------------------------------


def test_a_long_body_is_taken_as_it_comes_and_is_known_when_it_comes_again(
    house: House, importer: httpx.Client
) -> None:
    body = lines_of("long", 4_000)
    assert sum(map(len, body)) > 1024 * 1024
    first = sent(importer, iter(body))
    assert (first["added"], first["already_known"], first["refused"]) == (4_000, 0, [])
    assert first["up_to_line"] == 4_000
    assert first["position"] == head(house)
    again = sent(importer, b"".join(body))
    assert (again["added"], again["already_known"]) == (0, 4_000)
    assert again["position"] == head(house) == first["position"]


def test_what_was_sent_is_read_back_by_its_position(house: House, importer: httpx.Client) -> None:
    done = sent(importer, b"".join(lines_of("back", 3)))
    found = house.as_("ada").ask(
        """query($n: BigInt) { snapshot(minPosition: $n) { basis { horizon }
            deal(id: "back") { name stage } } }""",
        n=str(done["position"]),
    )["snapshot"]
    assert found["deal"] == {"name": "Pump", "stage": "stage 2"}
    assert int(found["basis"]["horizon"]) >= done["position"]


def test_refused_lines_are_left_out_and_told(house: House, importer: httpx.Client) -> None:
    first, second, third = lines_of("some", 3)
    before = head(house)
    told = sent(importer, first + b"{\n" + second + third.replace(b"stage 2", b""), 207)
    assert (told["added"], told["refused_count"], told["up_to_line"]) == (2, 2, 4)
    assert [(each["line"], each["code"]) for each in told["refused"]] == [
        (2, "not-json"), (4, "invalid-payload"),
    ]  # fmt: skip
    assert told["refused"][1]["where"] == "stage-claimed.stage"
    assert head(house) == before + 2
    changed = sent(importer, second.replace(b"stage 1", b"stage 9"), 422)
    assert changed["refused"][0]["code"] == "event-id-taken"
    assert changed["refused"][0]["hint"]


def test_who_wants_all_or_nothing_is_stopped_at_the_chunk_of_the_refused_line(
    house: House, importer: httpx.Client
) -> None:
    body = lines_of("strict", CHUNK_LINES_MAX + 10)
    wrong = [*body[:-5], b"{\n", *body[-5:]]
    before = head(house)
    told = sent(importer, b"".join(wrong), 422, params={"on_refusal": "stop"})
    assert [each["line"] for each in told["refused"]] == [CHUNK_LINES_MAX + 6]
    assert (told["added"], told["up_to_line"]) == (CHUNK_LINES_MAX, CHUNK_LINES_MAX)
    assert head(house) == before + CHUNK_LINES_MAX
    rest = sent(importer, b"".join(body[told["up_to_line"] :]), params={"on_refusal": "stop"})
    assert (rest["added"], rest["already_known"]) == (10, 0)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("on_refusal=never", "invalid-argument"),
        ("on_refusal=stop&on_refusal=stop", "argument-twice"),
        ("strict=true", "unknown-argument"),
    ],
)
def test_arguments_that_are_none_are_refused(
    house: House, importer: httpx.Client, query: str, code: str
) -> None:
    before = head(house)
    answer = importer.post(f"/ingest?{query}", content=lines_of("x")[0], headers=NDJSON)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == code
    assert head(house) == before


def test_a_packed_body_is_unpacked(importer: httpx.Client) -> None:
    first, second = lines_of("zipped", 2)
    packed = gzip.compress(first) + gzip.compress(second)
    told = sent(importer, packed, headers={"Content-Encoding": "gzip"})
    assert (told["added"], told["up_to_line"]) == (2, 2)


@pytest.mark.parametrize("damage", [slice(0, -9), slice(4, None)])
def test_a_damaged_body_is_recorded_as_far_as_whole_chunks_came(
    house: House, importer: httpx.Client, damage: slice
) -> None:
    before = head(house)
    packed = gzip.compress(b"".join(lines_of("torn", 2)))[damage]
    told = sent(importer, packed, 400, headers={"Content-Encoding": "gzip"})
    assert told["errors"][0]["extensions"]["code"] == "unreadable-body"
    assert (told["added"], told["up_to_line"], head(house)) == (0, 0, before)


def test_other_packings_are_refused(importer: httpx.Client) -> None:
    told = sent(importer, b"", 415, headers={"Content-Encoding": "br"})
    assert told["errors"][0]["extensions"]["code"] == "unsupported-encoding"


# --- what ends early ----------------------------------------------------------------------------


def test_a_body_beyond_the_limit_is_taken_up_to_it(empty_settings: Settings) -> None:
    body = lines_of("much", 4 * CHUNK_LINES_MAX)
    size = sum(map(len, body))
    limited = empty_settings.model_copy(update={"ingest_bytes_max": size - 1})
    with serving(limited) as house:
        before = head(house)
        http = house.http("imp")
        told = sent(http, b"".join(body), 413)  # says how long it is
        assert "added" not in told
        assert head(house) == before
        told = sent(http, iter(body), 413)  # turns out to be as long
        assert told["errors"][0]["extensions"]["code"] == "request-too-large"
        assert 0 < told["up_to_line"] == told["added"] == head(house) - before
        rest = sent(http, b"".join(body[told["up_to_line"] :]))
        assert rest["added"] == len(body) - told["added"]


class Sender:
    """A sender who is in the middle of a body.

    Args:
        address: where to.
        size: how long the body is said to be.
        token: of the one who sends.
    """

    def __init__(self, address: str, size: int, token: str | None = None) -> None:
        at = urlsplit(address)
        self.socket = socket.create_connection((at.hostname, at.port), timeout=SECONDS_MAX)
        request = (
            f"POST /ingest HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {size}\r\n"
            "Content-Type: application/x-ndjson\r\nConnection: close\r\n"
        )
        if token is not None:
            request += f"Authorization: Bearer {token}\r\n"
        request += "\r\n"
        self.socket.sendall(request.encode())

    def send(self, lines: list[bytes]) -> None:
        self.socket.sendall(b"".join(lines))

    def heard(self) -> tuple[int, dict[str, Any]]:
        """The status and the answer."""
        whole = b""
        while part := self.socket.recv(65_536):
            whole += part
        start, _, body = whole.partition(b"\r\n\r\n")
        return int(start.split()[1]), json.loads(body)


@contextmanager
def sending(house: House, body: list[bytes]) -> Iterator[Sender]:
    sender = Sender(house.address, sum(map(len, body)), house.tokens["imp"])
    try:
        yield sender
    finally:
        sender.socket.close()


def until_head_is(house: House, position: int) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while head(house) < position:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_recorded_stays_when_the_sender_is_gone(
    house: House, importer: httpx.Client
) -> None:
    body = lines_of("gone", 2 * CHUNK_LINES_MAX)
    before = head(house)
    with sending(house, body) as sender:
        sender.send(body[:-100])
        until_head_is(house, before + CHUNK_LINES_MAX)
    again = sent(importer, b"".join(body))
    assert (again["added"], again["already_known"]) == (CHUNK_LINES_MAX, CHUNK_LINES_MAX)
    assert head(house) == before + len(body)


def test_only_some_bodies_are_taken_at_once(house: House, importer: httpx.Client) -> None:
    bodies = [lines_of(f"at-once-{n}", 2 * CHUNK_LINES_MAX) for n in range(ingest.AT_ONCE_MAX)]
    before = head(house)
    token = house.tokens["imp"]
    senders = [Sender(house.address, sum(map(len, body)), token) for body in bodies]
    try:
        for sender, body in zip(senders, bodies, strict=True):
            sender.send(body[:-100])
        until_head_is(house, before + len(bodies) * CHUNK_LINES_MAX)
        answer = importer.post("/ingest", content=lines_of("late")[0], headers=NDJSON)
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["extensions"]["code"] == "too-many-ingests"
        assert int(answer.headers["retry-after"]) > 0
        assert importer.get("/healthz").status_code == 200
        for sender, body in zip(senders, bodies, strict=True):
            sender.send(body[-100:])
            status, told = sender.heard()
            assert (status, told["added"]) == (200, len(body))
    finally:
        for sender in senders:
            sender.socket.close()
    assert sent(importer, lines_of("late")[0])["added"] == 1


def test_a_sender_who_stalls_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "STALLED_SECONDS", 0.05)
    body = lines_of("slow", 2)
    before = head(house)
    with sending(house, body) as sender:
        sender.send(body[:1])
        status, told = sender.heard()
    assert status == 408
    assert told["errors"][0]["extensions"]["code"] == "body-stalled"
    assert (told["added"], told["up_to_line"], head(house)) == (0, 0, before)


def test_a_server_that_is_stopped_tells_how_far_it_came(fresh: Qledger, ledger: Ledger) -> None:
    body = lines_of("stopped", 10 * CHUNK_LINES_MAX)
    with fresh.serving() as (process, address):
        sender = Sender(address, sum(map(len, body)))
        sender.send(body[: 2 * CHUNK_LINES_MAX])
        deadline = time.monotonic() + SECONDS_MAX
        while ledger.head().size < CHUNK_LINES_MAX:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        for line in body[2 * CHUNK_LINES_MAX :]:
            if select.select([sender.socket], [], [], 0.01)[0]:
                break
            sender.send([line])
        status, told = sender.heard()
        sender.socket.close()
        process.wait(SECONDS_MAX)
    assert status == 503
    assert told["errors"][0]["extensions"]["code"] == "server-stopping"
    assert told["up_to_line"] == told["added"] == ledger.head().size >= CHUNK_LINES_MAX
    assert told["added"] % CHUNK_LINES_MAX == 0


# --- the page about it --------------------------------------------------------------------------


def test_the_sender_of_the_documentation_loses_no_line(house: House) -> None:
    page = (Path(__file__).parents[2] / "docs" / "ingesting.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(recipe, names)  # noqa: S102 - what the page tells people to run
    tries: list[httpx.Request] = []

    class Breaking(httpx.HTTPTransport):
        """Loses the first answer, and says of the second that too many are sending."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            tries.append(request)
            if len(tries) == 2:
                return httpx.Response(503, json={"errors": []})
            answer = super().handle_request(request)
            if len(tries) == 1:
                answer.close()
                raise httpx.ReadError("lost")
            return answer

    lines = [each.strip() for each in lines_of("recipe", 5)]
    before = head(house)
    bearer = {"Authorization": f"Bearer {house.tokens['imp']}"}
    with httpx.Client(
        base_url=house.address, headers=bearer, transport=Breaking(), timeout=60
    ) as http:
        refused = names["send"]([*lines, b"{"], http, 0)
        assert [each["line"] for each in refused] == [6]
        assert names["send"](lines, http) == []
        assert [each["code"] for each in names["send"]([b"{"], http)] == ["not-json"]
    assert len(tries) == 5
    assert head(house) == before + 5


def test_the_example_of_the_documentation_is_an_event(house: House) -> None:
    page = (Path(__file__).parents[2] / "docs" / "ingesting.md").read_text(encoding="utf-8")
    (example,) = re.findall(r'^{"event_id".*$', page, re.MULTILINE)
    assert sent(house.http("ada"), example.encode())["added"] == 1
