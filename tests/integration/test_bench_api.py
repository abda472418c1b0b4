"""The benchmark of the API, run tiny: it runs, and both executors give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.config import Settings
from scripts.bench import api, read_models
from scripts.bench.book import Shape


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A small generated book, its read models made."""
    with read_models.temporary_book(Shape(60)) as made:
        read_models.rebuild(made)
        yield made


def test_every_question_is_answered_alike_and_no_reader_sees_an_error(settings: Settings) -> None:
    figures, ours, peer = api.measure(settings, deals=60, repeats=2, readers=20)
    assert len(figures) == 4
    assert (ours.errors, peer.errors) == (0, 0)
    assert min(each.ours.median_ms for each in figures) > 0
    probed = [each.health_ms for each in figures if each.health_ms is not None]
    assert len(probed) == 2
    assert min(probed) > 0


def test_an_answer_that_differs_from_its_peers_ends_the_run(settings: Settings) -> None:
    with (
        api.Server.running(settings, "fast") as ours,
        api.Server.running(settings, "stock") as peer,
        pytest.raises(api.Clash, match="bytes"),
    ):
        api.compared(
            ours, peer, "health", lambda server, _at: server.get("/healthz") + _who(server, ours),
            ["2026-01-01"], "",
        )  # fmt: skip


def _who(server: api.Server, ours: api.Server) -> bytes:
    return b"ours" if server is ours else b""


def test_a_question_that_is_refused_ends_the_run(settings: Settings) -> None:
    with api.Server.running(settings, "fast") as server, pytest.raises(api.Clash, match="no_such"):
        server.ask("{ no_such }")
