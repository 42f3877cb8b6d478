"""The server's side of its enrolment door: the socket that listens there, and the process that serves it.

The process (`brender.roles.server.enrolment_process`) is started when somebody connects, and again at the next connection after
it has ended, whatever ended it. The socket stays open meanwhile, so that those who connect wait rather than fail.
"""

import contextlib
import errno
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from brender.bus.address import Address, cannot_listen
from brender.bus.codec import encode
from brender.bus.keys import KeyPair, Refusals
from brender.bus.loop import Loop
from brender.bus.messages import Message
from brender.bus.rights import Door
from brender.engines.environment import clean_environment
from brender.roles.server import enrolment_process
from brender.roles.server.enrolment_process import FULL, Asked, Setup, Turned, read_frame, write_frame
from brender.system.processes import IN_OWN_GROUP

log = logging.getLogger("brender.server")

#: Bytes of memory that the process may hold. It needs 50 MB, and about 100 KB for each that joins at the same time.
MEMORY = 192 * 2**20
#: Connections that wait to be accepted.
_BACKLOG = 1024
#: Seconds from an end of the process to the next one: at first, and at most (a node that joins waits for five). After a process
#: that has lived for `_LIVED` it is the first again.
_LEAST_WAIT, _MOST_WAIT, _LIVED = 0.25, 2.0, 60.0
_END_SECONDS = 5.0


class EnrolmentDoor:
    """Listens at *address*, with the server's key *pair*, until `close`.

    *admit* is called in the thread of *loop* with each attempt to join; it returns the answer, or ``None`` for none. What the
    process refuses is counted in *refusals*. Raises `Conflict` where the port is in use, `BadInput` where it cannot be used.
    """

    def __init__(
        self, loop: Loop, address: Address, pair: KeyPair, refusals: Refusals, admit: Callable[[Asked], Message | None]
    ) -> None:
        self._loop = loop
        self._pair = pair
        self._refusals = refusals
        self._admit = admit
        self._listener = _listen(address)
        self.address = Address(address.host, self._listener.getsockname()[1])
        self.raw = self._listener.fileno()
        self._answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._wait = _LEAST_WAIT
        loop.add(self, self._somebody_connects)

    def close(self) -> None:
        """End the process, and listen no more."""
        with self._lock:
            self._closed.set()
            if self._process is not None:
                self._process.kill()
        self._answers.put(None)
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
        self._listener.close()

    # --- in the loop's thread -----------------------------------------------------------------------------------------

    def _somebody_connects(self) -> None:
        self._loop.remove(self)  # from now on the process accepts
        self._thread = threading.Thread(target=self._serve, name="enrolment", daemon=True)
        self._thread.start()

    def _answer(self, asked: Asked) -> None:
        answer = None
        try:
            answer = self._admit(asked)
        finally:
            self._answers.put(answer)

    # --- in the thread of the process ---------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Run one process until it has ended, and see to it that the next can be started."""
        began = time.monotonic()
        try:
            ending = self._run()
        except OSError as error:
            ending = f"cannot be started: {error}"
        if self._closed.is_set():
            return
        self._wait = _LEAST_WAIT if time.monotonic() - began > _LIVED else min(_MOST_WAIT, self._wait * 2)
        log.warning("the process at the enrolment door %s. The next attempt to join starts another", ending)
        if not self._closed.wait(self._wait):
            self._loop.post(lambda: self._loop.add(self, self._somebody_connects))

    def _run(self) -> str:
        """Start a process and serve it until it ends; return how it did, in words. Raises `OSError`."""
        with self._lock:
            if self._closed.is_set():
                return ""
            # The key is not among the words: it follows by standard input.
            command = [sys.executable, "-P", "-m", enrolment_process.__name__]
            handed: dict[str, Any] = {} if os.name == "nt" else {"pass_fds": (self.raw,)}
            environment = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=clean_environment(environment),
                **IN_OWN_GROUP,  # Ctrl-C at the terminal is for the server
                **handed,
            )
        assert process.stdin is not None and process.stdout is not None
        try:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                setup = Setup(
                    self._pair.public, self._pair.secret, self.address.endpoint, MEMORY, self.raw, self._shared(process)
                )
                write_frame(process.stdin, msgspec.msgpack.encode(setup))
                while (said := read_frame(process.stdout)) is not None:
                    self._take(process, msgspec.msgpack.decode(said, type=Asked | Turned))
        finally:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()
        return _ending(process.wait())

    def _take(self, process: "subprocess.Popen[bytes]", said: Asked | Turned) -> None:
        assert process.stdin is not None
        if isinstance(said, Turned):
            for reason, sender, times in said.away:
                self._refusals.count(Door.ENROLMENT, reason, sender, times)
            return
        self._loop.post(lambda: self._answer(said))
        answer = self._answers.get()
        write_frame(process.stdin, encode(answer)[0] if answer is not None else b"")

    def _shared(self, process: "subprocess.Popen[bytes]") -> bytes:
        if sys.platform == "win32":
            return self._listener.share(process.pid)
        return b""


def _listen(address: Address) -> socket.socket:
    """Return a socket that listens at *address*, whose host is a number, for libzmq to accept from."""
    listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # as ZeroMQ listens at the others
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise cannot_listen(
            "The server's enrolment", address, error.errno == errno.EADDRINUSE, error.strerror or str(error)
        ) from error
    listener.setblocking(False)
    return listener


def _ending(returncode: int) -> str:
    if returncode == FULL or returncode == -signal.SIGABRT:
        return f"was sent more than the {MEMORY // 2**20} MB that it may hold, and ended"
    return f"was ended by {signal.Signals(-returncode).name}" if returncode < 0 else f"ended with exit code {returncode}"
