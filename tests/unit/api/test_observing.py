"""What is seen of a request: its id, its line in the log, its numbers, its spans."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from graphql import GraphQLError, Source
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Message, Receive, Scope, Send

from api import tracing
from api.access.principals import Principal, Role
from api.access.readings import Asking
from api.graphql.coding import LOGGER
from api.graphql.documents import shipped
from api.http import metrics
from api.http.logs import LINES_WAITING_MAX, Log, Mode, facts_of
from api.http.observing import Observed
from api.noted import Noted, Spent, note_document, noted, noting
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput
from tests.unit.domain.builders import at

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"
SECRET = "buyer@example.com"  # noqa: S105 - what must not be seen


class Lines:
    """What a log writes."""

    def __init__(self, mode: Mode) -> None:
        self.reading, writing = os.pipe()
        self.writing = writing
        self.log = Log(mode, writing)

    def ended(self) -> list[str]:
        self.log.__exit__(None, None, None)
        os.close(self.writing)
        with os.fdopen(self.reading, "rb") as file:
            return file.read().decode().splitlines()


def seen(app: Any, *headers: tuple[bytes, bytes], path: str = "/graphql", **more: Any) -> Any:
    """What leaves of a request: the head of the answer and its body."""
    heard: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        heard.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers),
             "query_string": SECRET.encode(), **more}  # fmt: skip
    asyncio.run(Observed(app)(scope, receive, send))
    head = {key.decode(): value.decode() for key, value in heard[0]["headers"]}
    return heard[0]["status"], head, b"".join(each.get("body", b"") for each in heard[1:])


async def fine(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers, as one who is known."""
    asking = Asking(Principal("ann", Role.ANALYST, "token:q3x9k2ab"))
    asking.note(Basis(at("2026-01-01"), at("2026-01-01"), 1090))
    scope.setdefault("state", {})["asking"] = asking
    note = noted()
    assert note is not None
    note.spent = Spent(7, 100, 93, 4.2)
    note_document("deals-v1")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def limited(_scope: Scope, _receive: Receive, send: Send) -> None:
    note = noted()
    assert note is not None
    note.spent, note.wait_seconds = Spent(7, 5, 5, 0.0), 12.3
    note.code("rate-limited")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise psycopg.errors.UniqueViolation(f"Key (mail)=({SECRET}) already exists")


# --- the id and the headers ---------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"me-1", b"7f:a.b_c", b"x" * 100])
def test_a_sound_id_is_kept(said: bytes) -> None:
    assert seen(fine, (b"x-request-id", said))[1]["x-request-id"] == said.decode()


@pytest.mark.parametrize("said", [b"", b"a b", b"x" * 101, b"\xff", b'"}\n', b"a\r\nb: c"])
def test_another_id_is_replaced(said: bytes) -> None:
    found = seen(fine, (b"x-request-id", said))[1]["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", found)


def test_two_ids_are_none() -> None:
    two = seen(fine, (b"x-request-id", b"a"), (b"x-request-id", b"b"))
    assert two[1]["x-request-id"] not in {"a", "b"}


def test_the_answer_says_what_was_spent() -> None:
    head = seen(fine)[1]
    assert [head[f"x-ratelimit-{name}"] for name in ("cost", "limit", "remaining")] == [
        "7", "100", "93",
    ]  # fmt: skip
    assert int(head["x-ratelimit-reset"]) > 1_700_000_000
    assert "retry-after" not in head


def test_too_much_at_once_is_429_and_says_when_to_come_again() -> None:
    status, head, _body = seen(limited)
    assert (status, head["retry-after"]) == (429, "13")


def test_what_nobody_expected_is_masked() -> None:
    status, head, body = seen(broken)
    (error,) = orjson.loads(body)["errors"]
    assert status == 500
    assert error["message"] == "Unexpected error."
    assert error["extensions"]["code"] == "internal-error"
    assert error["extensions"]["requestId"] == head["x-request-id"]
    assert SECRET.encode() not in body


# --- the log ------------------------------------------------------------------------------------


def test_a_request_is_one_line_with_who_asked_and_which_ledger() -> None:
    lines = Lines("json")
    with lines.log:
        seen(fine, (b"x-request-id", b"me-1"), (b"authorization", b"Bearer ql_secret"))
    (line,) = lines.ended()
    facts = orjson.loads(line)
    assert facts.pop("time").endswith("Z")
    assert facts.pop("ms") >= 0
    assert facts == {
        "level": "info", "event": "request", "request_id": "me-1", "method": "GET",
        "path": "/graphql", "door": "graphql", "document": "deals-v1", "status": 200,
        "outcome": "ok", "cost": 7, "principal": "token:q3x9k2ab", "person": "ann",
        "role": "analyst", "positions": [1090],
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["json", "text"])
def test_an_error_is_logged_under_the_id_of_its_request_without_what_it_quotes(mode: Mode) -> None:
    lines = Lines(mode)
    with lines.log:
        seen(broken, (b"x-request-id", b"me-2"))
    written = lines.ended()
    text = "\n".join(written)
    assert SECRET not in text
    assert "UniqueViolation" in text
    assert "SQLSTATE 23505" in text
    assert "test_observing.py" in text
    assert text.count("me-2") == 2
    assert "Bearer" not in text


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"invalid: {SECRET}"),
        GraphQLError("no", source=Source(f"{{ find(mail: {SECRET!r}) }}"), positions=[1]),
        psycopg.errors.NotNullViolation(f"Failing row contains ({SECRET})."),
    ],
)
def test_what_quotes_a_value_is_not_told(error: Exception) -> None:
    lines = Lines("json")
    with lines.log:
        LOGGER.error("unexpected", exc_info=error)
    (line,) = lines.ended()
    assert SECRET not in line
    assert orjson.loads(line)["error"] == type(error).__name__


def test_a_line_stays_one_line_whatever_the_path() -> None:
    lines = Lines("text")
    with lines.log:
        seen(fine, path="/a\nlevel=error event=request \x1b[31m" + "x" * 1_000)
    (line,) = lines.ended()
    assert line.isprintable()
    assert len(line) < 800


def test_off_writes_errors_alone() -> None:
    lines = Lines("off")
    with lines.log:
        seen(fine)
        LOGGER.error("unexpected")
    (line,) = lines.ended()
    assert "unexpected" in line


def test_a_log_that_is_no_terminal_is_json() -> None:
    lines = Lines("auto")
    with lines.log:
        seen(fine)
    assert orjson.loads(lines.ended()[0])["status"] == 200


def test_a_slow_reader_of_the_log_stops_nobody_and_learns_what_it_missed() -> None:
    lines = Lines("json")
    with lines.log:
        for _each in range(LINES_WAITING_MAX * 2):
            LOGGER.warning("x" * 100)
        select.select([lines.reading], [], [], 5)
        text = b""
        while b"lines-lost" not in text:
            text += os.read(lines.reading, 1 << 20)
    lost = [orjson.loads(each) for each in text.splitlines() if b"lines-lost" in each]
    assert lost[0]["lines"] > 0
    lines.ended()


def test_afterwards_logging_is_as_it_was() -> None:
    before = list(logging.getLogger().handlers)
    lines = Lines("json")
    with lines.log:
        assert logging.getLogger().handlers != before
    lines.ended()
    assert logging.getLogger().handlers == before


def test_what_is_noted_is_bounded_and_reaches_nobody_else() -> None:
    assert noted() is None
    with noting(Noted("r")) as note:
        for number in range(100):
            note.code(f"c{number}")
        assert noted() is note
    assert noted() is None
    assert len(note.codes) == 10


# --- the numbers --------------------------------------------------------------------------------


def counted(**labels: str) -> float:
    return metrics.REGISTRY.get_sample_value("qledger_requests_total", labels) or 0.0


@pytest.mark.parametrize(
    ("app", "operation", "outcome"),
    [(fine, "deals-v1", "ok"), (limited, "other", "limited"), (broken, "other", "failed")],
)
def test_requests_are_counted_by_what_became_of_them(
    app: Any, operation: str, outcome: str
) -> None:
    labels = {"door": "graphql", "operation": operation, "outcome": outcome}
    before = counted(**labels)
    seen(app)
    assert counted(**labels) == before + 1


def test_labels_are_few_whatever_is_asked() -> None:
    for number in range(50):
        metrics.request_ended("graphql", f"sha256:{number}", "ok", 0.1)
        seen(fine, path=f"/nosuch/{number}")
    families = [each for each in metrics.REGISTRY.collect() if each.name == "qledger_requests"]
    found = [sample.labels for family in families for sample in family.samples]
    assert {each["operation"] for each in found} <= {*shipped(), "other"}
    assert {each["door"] for each in found} <= {
        "graphql", "stream", "export", "ingest", "socket", "server", "other",
    }  # fmt: skip


def test_the_page_names_every_metric_of_this_process() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [each.name for each in metrics.REGISTRY.collect() if each.name.startswith("qledger")]
    assert names
    assert [name for name in names if name not in page] == []


# --- spans --------------------------------------------------------------------------------------


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.switch_on(lambda: provider.get_tracer("test"))
    yield exporter
    tracing.switch_off()
    provider.shutdown()


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


async def asks(scope: Scope, receive: Receive, send: Send) -> None:
    with (
        tracing.span("graphql query"),
        tracing.question_span(Basis(at("2026-01-01"), at("2026-02-01"), 1090)),
    ):
        await fine(scope, receive, send)


def test_a_request_has_a_span_with_the_basis_below_it_and_none_of_its_text(
    spans: InMemorySpanExporter,
) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    seen(asks, (b"traceparent", f"00-{trace}-{parent}-01".encode()), (b"x-request-id", b"me-3"))
    found = by_name(spans)
    request, operation, question = (
        found[name] for name in ("GET graphql", "graphql query", "question")
    )
    assert request.parent is not None
    assert operation.parent is not None
    assert question.parent is not None
    assert f"{request.parent.trace_id:032x}" == trace
    assert f"{request.parent.span_id:016x}" == parent
    assert operation.parent.span_id == request.context.span_id
    assert question.parent.span_id == operation.context.span_id
    attributes = dict(question.attributes or {})
    assert attributes == {
        "qledger.basis.valid_at": "2026-01-01T12:00:00.000000Z",
        "qledger.basis.known_at": "2026-02-01T12:00:00.000000Z",
        "qledger.basis.horizon": 1090,
        "qledger.basis.witnessed_only": False,
    }
    told = dict(request.attributes or {})
    assert told["http.response.status_code"] == 200
    assert told["qledger.request_id"] == "me-3"
    assert SECRET not in str([span.to_json() for span in spans.get_finished_spans()])


def test_a_failure_marks_its_span_and_quotes_nothing(spans: InMemorySpanExporter) -> None:
    seen(broken)
    (request,) = spans.get_finished_spans()
    assert request.status.status_code.name == "ERROR"
    assert SECRET not in request.to_json()


def test_nothing_is_traced_unless_it_is_switched_on() -> None:
    assert tracing.span("x") is tracing.request_span("GET", [])
    tracing.tell({"a": 1})
    tracing.rename("x", failed=True)


def test_tracing_without_the_packages_says_how_to_get_them() -> None:
    def missing() -> Any:
        raise ImportError("opentelemetry")

    with pytest.raises(InvalidInput) as refusal:
        tracing.switch_on(missing)
    assert "qualification-ledger[otel]" in refusal.value.hint


def test_a_key_that_was_not_found_is_no_part_of_the_log() -> None:
    error = KeyError("Acme")
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "m", (), (KeyError, error, None))
    assert "Acme" not in str(facts_of(record))
