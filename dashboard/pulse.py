"""Whether the server is alive: asked every second, so that no page shows a farm that nobody runs as if all were well. And when
the farm's jobs will be done, which the server knows.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import msgspec

from brender.bus.address import ServerAddresses
from brender.bus.client import Client
from brender.bus.keys import KeyPair
from brender.model.errors import BrenderError, Unreachable
from brender.model.log_events import log_event, read_event
from brender.model.prospect import Prospect
from brender.store.named import Record

log = logging.getLogger("brender.dashboard")

#: The server is called silent after this many seconds without an answer.
SILENT_SECONDS = 3.0
_EVERY_SECONDS = 1.0
_ANSWER_SECONDS = 1.5
#: How often it is asked when jobs will be done, and for how long after somebody wanted to know.
_PROSPECT_SECONDS, _WANTED_SECONDS = 5.0, 60.0


class Pulse:
    """Asks *server* with the key *pair*, in a thread that starts with the first `silent_seconds` or `begin`. *changed* is called
    in that thread when the server falls silent and when it is back."""

    def __init__(self, server: ServerAddresses, pair: KeyPair, changed: Callable[[], None]) -> None:
        self._server = server
        self._pair = pair
        self._changed = changed
        self._heard = 0.0
        self._prospect = Prospect()
        self._wanted = self._looked = float("-inf")
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start asking, if that was not done yet."""
        with self._lock:
            if self._thread is None:
                self._heard = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="brender-pulse", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ask no more. From any thread."""
        self._ended.set()

    def silent_seconds(self) -> float | None:
        """Return the seconds for which the server has not answered, or ``None`` while it does."""
        self.begin()
        silent = time.monotonic() - self._heard
        return silent if silent > SILENT_SECONDS else None

    def check(self) -> None:
        """Raise `Unreachable`, with what pages say of it, while the server is silent."""
        if (silent := self.silent_seconds()) is not None:
            raise Unreachable(sentence(silent))

    def of(self, record: Record) -> Prospect:
        """Return when jobs will be done, as the server said last; nothing is known before it was asked or while it is silent."""
        self._wanted = time.monotonic()
        return self._prospect

    def _look_ahead(self, client: Client) -> None:
        now = time.monotonic()
        if now - self._wanted < _WANTED_SECONDS and now - self._looked > _PROSPECT_SECONDS:
            self._looked = now
            with contextlib.suppress(BrenderError, msgspec.ValidationError):  # (an older server does not know the question)
                self._prospect = msgspec.convert(client.ask("prospects"), Prospect)

    def _run(self) -> None:
        said = False
        while not self._ended.is_set():
            # A connection that was refused or broken is made again: the server may have restarted with other keys.
            with Client(self._server, self._pair, _ANSWER_SECONDS) as client:
                answers = True
                while answers and not self._ended.is_set():
                    answers = _answers(client)
                    if answers:
                        self._heard = time.monotonic()
                        self._look_ahead(client)
                    silent = self.silent_seconds()
                    if silent is not None:
                        self._prospect = Prospect()
                    if (silent is not None) != said:
                        said = not said
                        fields = {"parent": "server", "address": str(self._server.control), "seconds": silent or 0.0}
                        log_event(log, "server-silent" if said else "server-heard", fields)
                        self._changed()
                    self._ended.wait(_EVERY_SECONDS if answers else _EVERY_SECONDS / 4)


def _answers(client: Client) -> bool:
    try:
        client.ask("change")
    except Unreachable:
        return False
    except BrenderError:
        return True  # an answer too, such as that it cannot record anything now
    return True


def sentence(silent_seconds: float) -> str:
    """Return what people are told while the server is silent.

    >>> sentence(12.4)
    'Server silent for 12 s; renders go on, nothing new starts'
    >>> sentence(7300)
    'Server silent for 2 h 1 min; renders go on, nothing new starts'
    """
    _, said = read_event("server-silent", {"seconds": silent_seconds})
    return said[:1].upper() + said[1:]
