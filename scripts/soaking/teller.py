"""`python -m scripts.soaking.teller SEED DEALS EVENTS ONE_ZONE`: records a story in the ledger.

Law: it may be killed and started again: what stands in the ledger already is not recorded twice.
"""

from __future__ import annotations

import sys
import time
from random import Random

from ledger.store.ledger import Ledger
from scripts.soaking.stories import story


def tell(seed: int, deals: int, events: int, one_zone: int) -> None:
    """Record a story in pieces of all sizes, with pauses in between.

    Args:
        seed: of the story; when it is told in which pieces is left to chance as well.
        deals: how many deals it is about.
        events: how many events it has.
        one_zone: 1 where the reporting time zone stays as it is.
    """
    random = Random()  # another run cuts the story elsewhere
    told = story(seed, deals, events, one_zone=bool(one_zone))
    with Ledger.open() as ledger:
        while told:
            count = random.choice([1, 1, 2, 10, 60])
            chunk, told = told[:count], told[count:]
            if count == 1:
                ledger.record(chunk)
            else:
                ledger.import_events(chunk)
            time.sleep(random.choice([0, 0.002, 0.02]))


if __name__ == "__main__":
    tell(*map(int, sys.argv[1:5]))
