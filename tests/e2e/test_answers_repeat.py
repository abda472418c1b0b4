"""Answers that depend on no clock are the same, byte for byte and tag for tag, until an event that
counts arrives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from ledger.config import Settings
from ledger.store.ledger import Ledger
from tests.e2e import worked
from tests.e2e.process import Qledger
from tests.e2e.test_questions_by_get import by_name

LINE = {"from": "2025-01-31", "to": worked.END, "every": "week", "groupBy": "owner"}
WHOLE = """{ forecastSeries(from: "2025-01-31", to: "2025-04-30", hindsight: true) {
    basis { validAt knownAt horizon } totalCount aggregate { maxAmount }
    pageInfo { startCursor endCursor } nodes { day measure amountExact basisKnownAt } } }"""


class Served(NamedTuple):
    """A server on the worked example, and what it serves."""

    http: httpx.Client
    ledger: Ledger


@pytest.fixture
def served(fresh: Qledger, database_url: str) -> Iterator[Served]:
    with Ledger.open(Settings.model_validate({"database_url": database_url})) as ledger:
        worked.write(ledger)
        with fresh.serving() as (_p, address), httpx.Client(base_url=address, timeout=60) as http:
            yield Served(http, ledger)


def asked_by_query(http: httpx.Client, tag: str | None) -> httpx.Response:
    headers = {} if tag is None else {"if-none-match": tag}
    return http.get("/graphql", params={"query": WHOLE}, headers=headers)


def line(http: httpx.Client, tag: str | None, **more: Any) -> httpx.Response:
    return by_name(http, "series-v2", tag, **LINE, **more)


def events(http: httpx.Client, tag: str | None, **more: Any) -> httpx.Response:
    return by_name(http, "events-v2", tag, **more)


def file_of_events(http: httpx.Client, tag: str | None, **more: Any) -> httpx.Response:
    headers = {} if tag is None else {"if-none-match": tag}
    return http.get("/export/events.csv", params=more, headers=headers)


QUESTIONS = [line, events, file_of_events, asked_by_query]


@pytest.mark.parametrize("ask", QUESTIONS)
def test_what_no_clock_can_change_is_the_same_until_an_event_arrives(
    served: Served, ask: Any
) -> None:
    first = ask(served.http, None)
    assert first.status_code == 200, first.text
    assert "errors" not in first.text
    time.sleep(0.01)  # the clock has moved on
    second = ask(served.http, None)
    assert second.content == first.content
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["cache-control"] == "private, no-cache"
    assert ask(served.http, first.headers["etag"]).status_code == 304
    served.ledger.import_events(worked.late_news())
    third = ask(served.http, first.headers["etag"])
    assert third.status_code == 200
    assert third.headers["etag"] != first.headers["etag"]
    assert third.content != first.content


@pytest.mark.parametrize("hindsight", [False, True])
def test_a_line_up_to_a_horizon_may_be_kept_for_ever(served: Served, hindsight: bool) -> None:
    asked = {"horizon": "20", "hindsight": hindsight}
    first = line(served.http, None, **asked)
    assert "immutable" in first.headers["cache-control"]
    served.ledger.import_events(worked.late_news())
    assert line(served.http, None, **asked).content == first.content
    assert line(served.http, first.headers["etag"], **asked).status_code == 304


def test_the_next_page_of_a_line_is_the_same_too(served: Served) -> None:
    page = line(served.http, None, first=7).json()["data"]["forecastSeries"]
    asked = {"first": 7, "after": page["pageInfo"]["endCursor"]}
    first = line(served.http, None, **asked)
    assert first.json()["data"]["forecastSeries"]["nodes"][0] != page["nodes"][0]
    time.sleep(0.01)  # the clock has moved on
    assert line(served.http, None, **asked).content == first.content
    assert line(served.http, first.headers["etag"], **asked).status_code == 304


def test_what_does_depend_on_now_is_asked_anew(served: Served) -> None:
    first = by_name(served.http, "deals-v1")
    time.sleep(0.01)  # the clock has moved on
    assert by_name(served.http, "deals-v1", first.headers["etag"]).status_code == 200
