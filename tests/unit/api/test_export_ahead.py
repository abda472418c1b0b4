"""Reading ahead: the same items in their order, bounded, and nothing taken after the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count, islice

import pytest

from api.export.ahead import taken_ahead


def test_items_come_in_their_order() -> None:
    with taken_ahead(iter(range(1_000)), 2) as items:
        assert list(items) == list(range(1_000))


def test_nothing_comes_of_nothing() -> None:
    with taken_ahead(iter(()), 1) as items:
        assert list(items) == []


def test_they_are_taken_in_another_thread_and_no_more_than_may_wait() -> None:
    taken: list[threading.Thread] = []
    third = threading.Event()

    def found() -> Iterator[int]:
        for number in range(9):
            taken.append(threading.current_thread())
            if number == 2:
                third.set()
            yield number

    with taken_ahead(found(), 2) as items:
        assert third.wait(10)  # two wait, the third is in hand
        assert len(taken) == 3
        assert list(items) == list(range(9))
    assert threading.current_thread() not in taken


def test_what_taking_one_raises_is_raised_where_it_would_have_come() -> None:
    def found() -> Iterator[int]:
        yield 1
        raise RuntimeError("the connection is gone")

    with taken_ahead(found(), 4) as items:
        assert next(items) == 1
        with pytest.raises(RuntimeError, match="gone"):
            next(items)


@pytest.mark.parametrize("wanted", [0, 1, 50])
def test_who_stops_early_leaves_nobody_taking(wanted: int) -> None:
    at_work: list[threading.Thread] = []

    def found() -> Iterator[int]:
        for number in count():
            at_work[:] = [threading.current_thread()]
            yield number

    with taken_ahead(found(), 3) as items:
        assert list(islice(items, wanted)) == list(range(wanted))
    assert not any(each.is_alive() for each in at_work)
