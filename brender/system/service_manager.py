"""The service manager that started this process, such as systemd, is told that it is ready, that it lives, and that it ends.

The protocol is a datagram of lines to the socket that ``NOTIFY_SOCKET`` names (sd_notify(3) of systemd). Where nobody named one,
nothing is sent.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping

from brender.system.clock import steady

_LONGEST_STATUS = 300
#: Seconds between two words that a start goes on; six times as long without one, and it counts as hung.
_START_SECONDS = 10.0


class ServiceManager:
    """Who started this process as a service, by its *environment* (``None``: that of this process). *clock* tells seconds."""

    def __init__(self, environment: Mapping[str, str] | None = None, clock: Callable[[], float] = steady) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._clock = clock
        self._told = float("-inf")
        is_watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "") if is_watched else ""
        self._every = int(microseconds) / 2e6 if microseconds.isdecimal() and self._address else None
        """Seconds between two signs of life, half of those after which the process is taken for hung; ``None`` for none."""

    def ready(self, status: str) -> None:
        """Tell that the process does its work now, and in *status* what that is."""
        self._tell(f"READY=1\nSTATUS={_line(status)}")

    @contextlib.contextmanager
    def starting(self, every: float = _START_SECONDS) -> Iterator[None]:
        """Tell every so many seconds, from a thread, that the start goes on, so that it is not ended however long it takes."""
        ended = threading.Event()
        if not self._address:
            yield
            return

        def tell() -> None:
            while True:
                self._tell(f"EXTEND_TIMEOUT_USEC={round(every * 6e6)}")
                if ended.wait(every):
                    return

        thread = threading.Thread(target=tell, name="starting", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def alive(self) -> None:
        """Give a sign of life, where one is due. Call it from the loop that would stand still if the process hung."""
        if self._every is not None and self._clock() - self._told >= self._every:
            self._told = self._clock()
            self._tell("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """Tell that the process ends, and in *status* what it waits for."""
        self._tell(f"STOPPING=1\nSTATUS={_line(status)}")

    def _tell(self, said: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        # (A name that begins with @ is one of Linux' abstract sockets.)
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as manager:
                manager.setblocking(False)
                manager.sendto(said.encode("utf-8", "replace"), address)
        except OSError:
            # It is gone, or too busy to listen: the next sign of life comes soon, and nothing else depends on it.
            return


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_STATUS]
