"""Virtual time: what is to happen, in its order. One seed, one history."""

import heapq
import itertools
from collections.abc import Callable


class Clock:
    """``now`` in seconds. `at` plans, `step` lets the next thing happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, delay: float, call: Callable[[], None]) -> None:
        """*call* in *delay* seconds."""
        heapq.heappush(self._planned, (self.now + delay, next(self._order), call))

    def step(self) -> None:
        """The next thing that is planned happens."""
        when, _, call = heapq.heappop(self._planned)
        self.now = max(self.now, when)
        call()
