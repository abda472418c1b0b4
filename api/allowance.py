"""How much each principal may ask: points that are spent by questions and come back with time.

Law: one bucket a principal, in this process. What a question costs is known before it is answered
and is taken then, whatever becomes of the answer; a question that would cost more than is left is
refused and costs nothing. How much data there is plays no part.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from api.access.principals import Principal
from api.noted import Spent

SECONDS = 60
"""In which an empty bucket fills."""
PRINCIPALS_MAX = 10_000


class Refusal(NamedTuple):
    """There is not enough left.

    Args:
        spent: what it would cost, and what is left.
        wait_seconds: how long until there is enough; None when there never is.
    """

    spent: Spent
    wait_seconds: float | None


class Allowance:
    """The points of all principals.

    Args:
        cost_max: the most that one question may cost, in points; 0 is no limit.
        points_a_minute: how many each principal may spend a minute; 0 is no limit.
        clock: seconds that only go forward.
    """

    def __init__(
        self, cost_max: int, points_a_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.cost_max = cost_max
        self._full = float(points_a_minute)
        self._clock = clock
        self._left: OrderedDict[Principal, tuple[float, float]] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def spend(self, principal: Principal, cost: int) -> Spent | Refusal:
        """Take what a question costs, or refuse it.

        Args:
            principal: who asks.
            cost: in points.
        """
        if not self._full:
            return Spent(cost)
        with self._one_at_a_time:
            now = self._clock()
            left = self._left_of(principal, now)
            enough = cost <= left
            if enough:
                left -= cost
            self._left[principal] = (left, now)
            self._left.move_to_end(principal)
            if len(self._left) > PRINCIPALS_MAX:
                self._left.popitem(last=False)
        spent = Spent(cost, int(self._full), int(left), self._seconds(self._full - left))
        if enough:
            return spent
        return Refusal(spent, None if cost > self._full else self._seconds(cost - left))

    def _left_of(self, principal: Principal, now: float) -> float:
        left, since = self._left.get(principal, (self._full, now))
        return min(self._full, left + (now - since) * self._full / SECONDS)

    def _seconds(self, points: float) -> float:
        return math.ceil(points * SECONDS / self._full * 1000) / 1000
