"""A link between two roles: a small TCP proxy that can be cut, made to swallow what it carries, or made slow."""

import contextlib
import selectors
import socket
import threading
import time


class Link:
    """Listens on *port* and passes on to *target*, both on this machine, until `close`.

    ``mode``: ``open``; ``cut`` (connections end, new ones are refused); ``half`` (connections stay, and nothing passes in
    either direction, which neither end is told); ``slow`` (what passes is late).
    """

    def __init__(self, port: int, target: int) -> None:
        self.mode = "open"
        self.carried = 0
        """Bytes that passed, in both directions."""
        self._target = target
        self._selector = selectors.DefaultSelector()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        for end in [*self._pairs, self._listener]:
            end.close()

    def _run(self) -> None:
        while not self._closing:
            if self.mode == "cut":
                for end in list(self._pairs):
                    self._drop(end)
            for key, _ in self._selector.select(0.05):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._listener:
                    self._accept()
                elif end in self._pairs and self.mode != "half":
                    self._pass_on(end)
            if self.mode == "half":
                time.sleep(0.05)  # what has arrived stays where it is, and is readable all the time

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            near, _ = self._listener.accept()
            if self.mode in ("cut", "half"):
                near.close()
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 1)
            except OSError:
                near.close()
                return
            for end, other in ((near, far), (far, near)):
                self._pairs[end] = other
                self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        if self.mode == "slow":
            time.sleep(0.02)
        try:
            piece = end.recv(65536)
            if piece:
                self._pairs[end].sendall(piece)
                self.carried += len(piece)
                return
        except OSError:
            piece = b""
        self._drop(end)

    def _drop(self, end: socket.socket) -> None:
        other = self._pairs.pop(end, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for each in (end, other):
            with contextlib.suppress(KeyError):
                self._selector.unregister(each)
            each.close()
