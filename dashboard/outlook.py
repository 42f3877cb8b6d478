"""When open jobs will be done, as the server says."""

import contextlib
import threading
import time
from collections.abc import Callable

import msgspec

from brender.bus.client import Client
from brender.model.errors import BrenderError
from brender.model.prospect import Prospect
from brender.store.questions import Record

#: How long an answer counts, and how long nobody is asked again who did not answer.
_PAUSE, _SILENT_PAUSE = 5.0, 30.0


class ServersOutlook:
    """Asks the server, now and then, by *connect*. May be used from any thread."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._prospect = Prospect()
        self._again = float("-inf")

    def of(self, record: Record) -> Prospect:
        """Return what the server said last; nothing is known where it does not answer."""
        if not self._lock.acquire(blocking=False):
            return self._prospect  # (another asks already)
        try:
            if time.monotonic() >= self._again:
                found, pause = Prospect(), _SILENT_PAUSE
                with contextlib.suppress(BrenderError, msgspec.ValidationError), self._connect() as client:
                    found, pause = msgspec.convert(client.ask("prospects"), Prospect), _PAUSE
                self._prospect = found
                self._again = time.monotonic() + pause
            return self._prospect
        finally:
            self._lock.release()
