"""Deliveries that may fail or take long: one thread for each target, so that none waits for another."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger("brender.dashboard")

_TRIES = 3
_TRY_AGAIN_SECONDS = 5.0
_TARGETS_MOST = 100
_WAITING_MOST = 10_000

Delivery = tuple[Callable[[], None], str]


class Deliveries:
    """Carries out deliveries, those of one target in their order, each up to three times. A target has a thread while there is
    something for it."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Delivery]] = {}
        self._lock = threading.Lock()

    def put(self, target: str, deliver: Callable[[], None], what: str) -> None:
        """Call *deliver*, which raises `OSError` where it fails. *what*: whom it tells what, for the log. Does not wait."""
        with self._lock:
            mine = self._waiting.get(target)
            if len(self._waiting) >= _TARGETS_MOST if mine is None else len(mine) >= _WAITING_MOST:
                log.warning("too many notifications wait; none is sent about %s", what)
            elif mine is not None:
                mine.append((deliver, what))
            else:
                self._waiting[target] = deque([(deliver, what)])
                threading.Thread(target=self._work, args=(target,), name="brender-deliver", daemon=True).start()

    def _work(self, target: str) -> None:
        while True:
            with self._lock:
                if not self._waiting[target]:
                    del self._waiting[target]
                    return
                deliver, what = self._waiting[target].popleft()
            _try(deliver, what)


def _try(deliver: Callable[[], None], what: str) -> None:
    for number in range(_TRIES):
        try:
            deliver()
            return
        except OSError as error:
            log.warning("could not tell %s: %s", what, error)
            if number + 1 < _TRIES:
                time.sleep(_TRY_AGAIN_SECONDS)
        except Exception:
            log.exception("could not tell %s", what)
            return
