"""Reading ahead: items are taken in a thread of their own while those before them are worked on.

Law: items come in their order, and what taking one raises is raised where it would have come.
Memory is bounded: no more than so many items wait. When the block ends nothing is taken any more,
whether all were wanted or not, so that whoever lent the items may take them back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

_STOPPING_SECONDS = 0.05
"""How long to wait before looking again whether the thread is held up by a full queue."""


class _End(NamedTuple):
    """No item follows.

    Args:
        error: why; None where there are no more.
    """

    error: BaseException | None


@contextmanager
def taken_ahead(items: Iterator[Item], held_max: int) -> Iterator[Iterator[Item]]:
    """The same items, taken in a thread.

    Args:
        items: which nobody else may take from until the block ends.
        held_max: how many may wait.

    Raises:
        BaseException: what taking them raised.
    """
    held: Queue[Item | _End] = Queue(held_max)
    stopped = threading.Event()

    def take() -> None:
        end = _End(None)
        try:
            for item in items:
                held.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            end = _End(error)
        held.put(end)

    taker = threading.Thread(target=take, name="ahead", daemon=True)
    taker.start()
    try:
        yield _given(held)
    finally:
        stopped.set()
        while taker.is_alive():
            _empty(held)
            taker.join(_STOPPING_SECONDS)


def _given(held: Queue[Item | _End]) -> Iterator[Item]:
    while not isinstance(found := held.get(), _End):
        yield found
    if found.error is not None:
        raise found.error


def _empty(held: Queue[Item | _End]) -> None:
    try:
        while True:
            held.get_nowait()
    except Empty:
        return
