"""`python -m scripts.isolating.importing SEED DEALS EVENTS SECONDS`: a story, spread over time."""

from __future__ import annotations

import sys
import time
from random import Random

from ledger.store.ledger import Ledger
from scripts.soaking.stories import story

CHUNKS = 150
"""In how many pieces: single events and imports of some, in turns."""


def bring_in(seed: int, deals: int, events: int, seconds: float) -> None:
    """Record a story piece by piece.

    Args:
        seed: of the story.
        deals: how many deals it is about.
        events: how many events it has.
        seconds: how long it takes, at least.
    """
    random = Random(seed)
    told = story(seed, deals, events)
    with Ledger.open() as ledger:
        while told:
            count = random.choice((1, max(1, 2 * len(told) // CHUNKS)))
            chunk, told = told[:count], told[count:]
            if count == 1:
                ledger.record(chunk)
            else:
                ledger.import_events(chunk)
            time.sleep(seconds / CHUNKS)


if __name__ == "__main__":
    seed, deals, events = map(int, sys.argv[1:4])
    bring_in(seed, deals, events, float(sys.argv[4]))
