"""A selection of nothing, which parses, is refused by every door that takes a question."""

from __future__ import annotations

import pytest

from tests.e2e.listening import Socket, streaming
from tests.e2e.sales_force import House

QUESTIONS = ("{ }", "{ snapshot { deals { nodes { } } } }", "{ ledger { ... on Ledger { } } }")
SUBSCRIPTIONS = ("subscription { }", "subscription { events { } }")


@pytest.mark.parametrize("query", QUESTIONS)
def test_a_question_is_refused_by_post_and_by_get(house: House, query: str) -> None:
    http = house.http("ada")
    answers = (
        http.post("/graphql", json={"query": query}),
        http.get("/graphql", params={"query": query}),
    )
    for answer in answers:
        assert answer.status_code == 200
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "empty-selection"
        assert error["locations"]


@pytest.mark.parametrize("query", SUBSCRIPTIONS)
def test_a_subscription_is_refused_over_a_socket_and_as_a_stream(house: House, query: str) -> None:
    with Socket.on(house.address, house.tokens["ada"]) as socket:
        assert socket.refusal(query)["extensions"]["code"] == "empty-selection"
    with streaming(house.http("ada"), query) as told:
        (error,) = next(told).data["errors"]
    assert error["extensions"]["code"] == "empty-selection"
