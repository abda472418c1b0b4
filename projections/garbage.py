"""Looking for reference cycles by hand: Python's own looking would take half of a fold's time.

Law: what a fold makes refers in circles rarely, so what is given up is freed at once all the same;
the rest is looked for when the one who works says that it is a good moment.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def by_hand() -> Iterator[Callable[[], None]]:
    """Switch the looking off until the end.

    Yields:
        What looks through all that was made since it was called last. What it leaves is taken to
        stay, and not looked through again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield _sweep
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def _sweep() -> None:
    gc.collect()
    gc.freeze()
