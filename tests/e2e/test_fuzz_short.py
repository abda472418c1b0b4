"""A short fuzz: whatever the schema allows is asked of a served ledger, and nothing ends badly.

`scripts/fuzz` does the same for as long as it is asked to, over the demo book.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from graphql import build_schema, parse, validate
from hypothesis import HealthCheck, given, settings

from api.graphql.schema import schema
from ledger.config import Settings
from scripts.fuzzing.asking import Fuzz, wrong_with
from scripts.fuzzing.questions import Question, questions
from scripts.fuzzing.words import Words
from scripts.serving import served
from tests.e2e.asking import TOML, Client

SECONDS = 10
WORDS = Words({"deal": ("A", "B"), "person": ("ann",), "period": ("2025-Q1",)})
SDL = schema.as_str()
ASKED_OF = build_schema(SDL)


def test_nothing_that_the_schema_allows_ends_in_an_internal_error(
    worked_settings: Settings, tmp_path: Path
) -> None:
    assert worked_settings.database_url is not None
    url = worked_settings.database_url.get_secret_value()
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with served(url, tmp_path) as address, httpx.Client(base_url=address, timeout=60) as http:
        Client(http).recorded("publishPlaybook", toml=TOML, actor="ops")
        before = Client(http).head()
        fuzz = Fuzz(http)
        faults = fuzz.run(SECONDS, seed)
        assert not faults, "\n\n".join(fault.text for fault in faults)
        assert fuzz.counts["questions"], fuzz.counts
        assert fuzz.counts["answered in full"], fuzz.counts
        assert Client(http).head() >= before


@settings(max_examples=25, database=None, suppress_health_check=list(HealthCheck))
@given(questions(SDL, WORDS))
def test_what_is_asked_is_always_valid(question: Question) -> None:
    assert not validate(ASKED_OF, parse(question.text))


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (lambda: httpx.Response(200, json={"data": {"ledger": None}}), None),
        (lambda: httpx.Response(200, json={"errors": [{"message": "no such deal"}]}), None),
        (lambda: httpx.Response(400, json={"errors": [{"message": "no such field"}]}), None),
        (lambda: httpx.Response(503, json={"errors": [{"message": "come again"}]}), None),
        (lambda: httpx.Response(500, json={"errors": [{"message": "sorry"}]}), "status 500"),
        (lambda: httpx.Response(502, json={}), "status 502"),
        (lambda: httpx.Response(200, text="<html>"), "status 200, and the answer is not JSON"),
        (
            lambda: httpx.Response(200, json={"errors": [{"message": "Unexpected error."}]}),
            "Unexpected error",
        ),
        (lambda: httpx.Response(200, json={"data": None}), "neither data nor errors"),
    ],
)
def test_a_bad_end_is_told_from_a_refusal(
    answer: Callable[[], httpx.Response], because: str | None
) -> None:
    assert wrong_with(answer()) == because
