"""The book that benchmarks ask: as an import would have brought it, and the same each time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ledger.domain.envelope import prepare
from scripts.bench import lives
from scripts.bench.book import Shape, rows

DEALS = range(0, 1_000, 40)


@pytest.mark.parametrize("number", DEALS)
def test_a_generated_event_is_byte_for_byte_what_the_write_door_prepares(number: int) -> None:
    for version, told in enumerate(lives.life(number), start=1):
        by_the_door = prepare(lives.draft(number, version, told), version)
        assert lives.prepared(number, version, told) == by_the_door


@pytest.mark.parametrize("number", DEALS)
def test_a_deal_has_thirty_events_in_the_order_of_knowledge_beginning_with_its_opening(
    number: int,
) -> None:
    told = lives.life(number)
    assert len(told) == lives.EVENTS_PER_DEAL
    assert told[0].kind == "deal-opened"
    assert all(before.known <= after.known for before, after in pairwise(told))
    assert all(each.occurred <= each.known for each in told)
    assert told == lives.life(number)


def test_every_kind_of_change_is_in_the_book() -> None:
    kinds = {told.kind for number in range(600) for told in lives.life(number)}
    assert kinds >= {
        "deal-revised", "stage-claimed", "category-claimed", "evidence-recorded",
        "stakeholder-added", "buyer-regressed", "event-corrected", "deal-closed", "deal-reopened",
    }  # fmt: skip


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("after", [0, 1, 219, 220, 221, 250, 300, 339])
def test_a_book_goes_on_from_any_position_as_if_it_had_never_stopped(
    together: int, after: int
) -> None:
    shape = Shape(deals=4, together=together)
    whole = list(rows(shape))
    assert len(whole) == shape.events
    assert list(rows(shape, after)) == whole[after:]


def test_deals_together_come_in_the_order_of_knowledge() -> None:
    known = [row.known or 0 for row in rows(Shape(deals=4, together=4), after=Shape(0).events)]
    assert known == sorted(known)
