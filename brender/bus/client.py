"""Asking the server: what the command line and the dashboard use. One question, one answer, a clear error in between."""

from typing import Any

import msgspec
import zmq

from brender.bus.address import ServerAddresses, answers
from brender.bus.asking import ask
from brender.bus.ids import new_id
from brender.bus.keys import Credentials, KeyPair
from brender.bus.messages import Act, Ask, Done, Look, Manage, Message, Refused, Sorry, Submit
from brender.bus.transport import Received, Socket
from brender.model.errors import BrenderError, Unreachable, from_code
from brender.model.job import JobSpec

_RESEND_SECONDS = 3.0
#: How long it takes at most to see whether something listens where no answer came from.
_PROBE_SECONDS = 1.0
#: The sentences about keys that do not fit.
OTHER_KEY = (
    "The program {where} has another key than this machine knows of the farm's server, or is not a brender server. Was the "
    "server reinstalled? Then join it again with a new token: `brender join TOKEN`"
)
NOT_ADMITTED = (
    "The server at {server} does not admit this machine's key. If it was revoked or has expired, ask the one who runs the farm "
    "for a new token (`brender token create`), and use it with `brender join TOKEN`"
)


class Client:
    """A connection to a *server*'s control socket, with the key *pair*. Not for more than one thread. Use it in a ``with``
    statement.

    ``timeout`` is how many seconds one request waits for its answer; meanwhile it is sent again, which is safe because
    each request carries an id and each is idempotent. ``on_behalf_of``: the user for whom it asks, as the dashboard does, or ""
    for itself. ``asker``: who is at the keyboard, for the activity log, where its key does not say that.
    """

    asker = ""

    def __init__(self, server: ServerAddresses, pair: KeyPair, timeout: float = 10.0, on_behalf_of: str = "") -> None:
        self.timeout = timeout
        self.on_behalf_of = on_behalf_of
        self._pair = pair
        self._connect(server)

    def _connect(self, server: ServerAddresses) -> None:
        self.addresses = server
        self.server = server.control
        self._context = zmq.Context()
        self._socket = Socket(self._context, zmq.DEALER, "client", Credentials(self._pair, server.key))
        self._connections = self._socket.connections()
        self._socket.connect(server.control)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def move(self, server: ServerAddresses) -> None:
        """Ask at *server* from now on, where the server has other addresses since it was started again."""
        self.close()
        self._connect(server)

    def close(self) -> None:
        self._socket.close()
        self._context.term()

    def submit(self, job: JobSpec) -> dict[str, Any]:
        """Hand in *job*; returns its record once the server has committed it. Raises what the server says of it."""
        return dict(self._request(Submit(id=new_id(), job=job, on_behalf_of=self.on_behalf_of)))

    def act(self, action: str, target: str, value: int | str | dict[str, Any] | None = None, user: str = "") -> dict[str, Any]:
        """Ask for a change, such as ``pause`` of the job *target* (its id, or the start of it)."""
        given = {"action": action, "target": target, "value": value, "user": user or self.on_behalf_of}
        return dict(self._request(msgspec.convert({**self._begun("act"), **given}, Act)))

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer to *question* (brender.store.questions lists them)."""
        return self._request(Ask(id=new_id(), question=question, arguments=arguments, on_behalf_of=self.on_behalf_of))

    def manage(self, what: str, **arguments: Any) -> Any:
        """Ask something about keys and tokens, which only an admin's key may (`Manage` lists what)."""
        return self._request(
            msgspec.convert({**self._begun("manage"), "what": what, "arguments": arguments, "user": self.asker}, Manage)
        )

    def look(self, variable: str, proof: str) -> dict[str, Any]:
        """Have every worker look for the file for *proof* in the folder of the path *variable*; returns the ``workers`` there
        are. What they see, the question ``sights`` tells."""
        return dict(self._request(Look(id=new_id(), variable=variable, proof=proof)))

    def _begun(self, kind: str) -> dict[str, str]:
        return {"type": kind, "id": new_id(), "on_behalf_of": self.on_behalf_of}

    def _request(self, message: Submit | Act | Ask | Manage | Look) -> Any:
        def answer(received: Received) -> Done | None:
            told: Message = received.message
            if isinstance(told, Sorry) and told.id == message.id:
                raise from_code(told.code, told.message)
            if isinstance(told, Refused):
                raise BrenderError(f"The server at {self.server} refused: {told.reason}")
            return told if isinstance(told, Done) and told.id == message.id else None

        done = ask(self._socket, message, self.timeout, _RESEND_SECONDS, answer, self._check_admitted)
        if done is not None:
            return done.data
        if self._connections.strange:
            raise Unreachable(OTHER_KEY.format(where=f"at {self.server}"))
        if answers(self.server, _PROBE_SECONDS):
            raise Unreachable(
                f"The server at {self.server} is there and did not answer within {self.timeout:g} seconds: it hangs, was "
                "stopped, or has too much to do. Its own log says more; try again in a moment"
            )
        raise Unreachable(
            f"The server at {self.server} did not answer within {self.timeout:g} seconds. Is it running? "
            "Start it with brender-server (or brender farm), or name another with --server"
        )

    def _check_admitted(self) -> None:
        self._connections.happened()
        if self._connections.refused:
            raise Unreachable(NOT_ADMITTED.format(server=self.server))
