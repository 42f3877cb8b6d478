"""Costly things that readers may ask for: how many are done at once, in all and for one user."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import TooManyRequests

_AGAIN_SECONDS = 30


class Turns:
    """Up to *in_all* of some costly thing at once, and up to *of_one* for one user. *what*: its plural, for a sentence. Nobody
    waits for longer than *wait* seconds."""

    def __init__(self, what: str, in_all: int, of_one: int, wait: float = 0.0) -> None:
        self._what = what
        self._in_all = in_all
        self._of_one = of_one
        self._wait = wait
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, user: str) -> Iterator[None]:
        """Do one for *user* in a ``with`` statement. Raises `TooManyRequests`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(user), self._wait):
                if self._taken[user] >= self._of_one:
                    text = f"You have as many {self._what} in the making as one user may ({self._of_one})"
                else:
                    text = f"The dashboard makes as many {self._what} as it may at once ({self._in_all})"
                raise TooManyRequests(f"{text}: try again when one is done", retry_after=_AGAIN_SECONDS)
            self._taken[user] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[user] -= 1
                if not self._taken[user]:
                    del self._taken[user]
                self._changed.notify_all()

    def _has_room(self, user: str) -> bool:
        return self._taken.total() < self._in_all and self._taken[user] < self._of_one
