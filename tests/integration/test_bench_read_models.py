"""The benchmarks of the read models, run tiny: they run, and both peers give the same sums."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.store.ledger import Ledger
from scripts.bench import growth, lives, questions, read_models
from scripts.bench.book import Shape, fill, filled
from scripts.bench.peers import Duck


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A small generated book, its read models made."""
    with read_models.temporary_book(Shape(60)) as made:
        read_models.rebuild(made)
        yield made


def test_all_questions_have_the_same_answers_as_their_peers(settings: Settings) -> None:
    size = growth.measured(settings, deals=60, instants=3)  # raises where answers differ
    assert size.events == Shape(60).events
    assert size.states > 60 * lives.EVENTS_PER_DEAL
    assert min(size.log_bytes, size.tables_bytes, size.tables_index_bytes) > 0


def test_every_arriving_event_is_seen_in_the_tables() -> None:
    with read_models.temporary_book(Shape(10, together=10)) as settings:
        taken = read_models.lags(settings, first_deal=10, seconds=0.5, per_second=200)
    assert len(taken) == 100
    assert min(taken) >= 0


def test_a_book_is_caught_up_with_in_the_order_of_knowledge() -> None:
    assert min(read_models.catch_up(20, peer_events=60)) > 0


def test_a_home_that_holds_another_book_is_refused(settings: Settings) -> None:
    with pytest.raises(SystemExit):
        filled(settings.home, Shape(61))


def test_a_home_that_holds_the_whole_book_is_left_as_it_is(settings: Settings) -> None:
    with Ledger.open(settings) as ledger:
        assert fill(ledger, Shape(60)) == 0


def test_an_answer_that_differs_from_its_peers_ends_the_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2025, 6, 1, tzinfo=UTC)
    wrong = (None, "omitted", "USD", "omitted", 0, False, 1, Decimal(2))
    monkeypatch.setattr(Duck, "scan", lambda *_: [wrong])
    with read_models.asking(settings) as (door, duck), pytest.raises(questions.Clash):
        questions.ask_forecasts(door, duck, [Basis(at, at, door.head().size)])


def test_an_answer_that_was_folded_from_the_log_is_not_taken_for_ours(settings: Settings) -> None:
    at = datetime(2025, 6, 1, tzinfo=UTC)
    with read_models.asking(settings) as (door, duck):
        earlier = Basis(at, at, door.head().size // 2)
        with pytest.raises(questions.Clash, match="folded from the log"):
            questions.ask_forecasts(door, duck, [earlier])
