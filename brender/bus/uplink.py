"""A node's connection to its parent, as its loop watches it: made, refused, or made with the wrong one."""

from brender.bus.transport import Connections, Socket

#: Seconds until a refused connection is tried again: at first, and at most.
_FIRST, _MOST = 0.25, 5.0
_REFUSED = (
    "it does not admit this machine's key. If that was revoked or has expired, join again with a new token (--join); if it was "
    "made just now, it is admitted in a moment"
)
_STRANGE = (
    "the program that listens there has another key than this machine knows, or is not a brender server. Was the server "
    "reinstalled, or is another farm's there? If so, join it with a new token (--join)"
)
_MUTE = "the program that listens there takes connections, and then is silent: it hangs, or is overloaded. Its own log says more"


class Uplink:
    """Watches a node's connecting socket, and the next one when that is made again. ``connections`` is for the loop to poll."""

    def __init__(self) -> None:
        self.connections: Connections
        self._pause = _FIRST
        self._again: float | None = None
        self._trouble = ""

    def watch(self, socket: Socket) -> None:
        """Before *socket* connects."""
        self.connections = socket.connections()
        self._again = None

    def made(self, now: float) -> bool:
        """Return whether a connection was made since the last look; if so there is no trouble any more. *now*: monotonic."""
        made = self.connections.happened()
        if made:
            self._pause, self._trouble = _FIRST, ""
        if self.connections.refused and self._again is None:
            self._again = now + self._pause
            self._pause = min(_MOST, self._pause * 2)
        return made

    @property
    def up(self) -> bool:
        """Whether there is a connection, as of the last look."""
        return self.connections.up

    @property
    def trouble(self) -> str:
        """Why the connection was refused last, as a sentence, or "" if it was not, or there is one."""
        return self._trouble

    def new_trouble(self) -> str:
        """Return why the connection is refused, as a sentence, or "" if it is not, or that was said. (The role's core logs a
        connection that is lost, brender.model.log_events.)"""
        if self.connections.nobody:
            self._trouble = ""  # that of before is over: who had it is gone
            return ""
        troubles = ((self.connections.refused, _REFUSED), (self.connections.strange, _STRANGE), (self.connections.mute, _MUTE))
        trouble = next((sentence for is_so, sentence in troubles if is_so), self._trouble)
        said, self._trouble = self._trouble, trouble
        return trouble if trouble != said else ""

    def is_to_be_made_anew(self, now: float) -> bool:
        """Return whether it was refused, and it is time to try again, with a new socket."""
        return self._again is not None and now >= self._again
