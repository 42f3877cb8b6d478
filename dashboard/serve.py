"""Serving the dashboard with waitress."""

import _thread
import secrets
from dataclasses import replace

from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from brender.bus.address import Address, ServerAddresses, is_loopback
from brender.bus.keys import KeyPair
from brender.model.errors import BadInput, Conflict
from brender.store.datafolder import DataFolder
from dashboard.app import create_app
from dashboard.farm import Settings
from dashboard.notify import Notifier
from dashboard.people import there_are_users
from dashboard.stream import Stream

#: Each page that listens to what happens holds a thread; the others share the rest.
_THREADS = 272
_UPLOAD_BYTES = 2**40


class Dashboard:
    """The dashboard on *address*, for the farm in *folder* whose server is *server*, which it asks with the key *pair*. Raises
    `Conflict` where the port is in use.

    ``url`` is its address; ``setup_url``, as long as there are no users, the link by which somebody becomes the first admin.
    """

    def __init__(
        self,
        folder: DataFolder,
        address: Address,
        server: ServerAddresses,
        pair: KeyPair,
        database: str = "",
        settings: Settings | None = None,
    ) -> None:
        folder.make()
        chosen = replace(settings or Settings(), setup=secrets.token_urlsafe(24), loopback_only=is_loopback(address.host))
        self._app = app = create_app(folder, server, pair, database, chosen, _session_secret(folder))
        farm = app.extensions["brender"]
        try:
            self._server = create_server(
                app,
                _dispatcher=_Threads(farm.stream),
                host=address.host,
                port=address.port,
                ident="brender",
                connection_limit=2000,
                max_request_body_size=_UPLOAD_BYTES,
                channel_request_lookahead=1,
            )
        except OSError as error:
            if address.port:
                raise Conflict(
                    f"The dashboard: port {address.port} on {address.host} is in use, perhaps by another dashboard. "
                    "Stop that one, or choose another port with --port-base"
                ) from error
            raise BadInput(f"The dashboard cannot listen on {address}: {error.strerror}") from error
        self.address = Address(address.host, int(self._server.effective_port))
        shown = Address("127.0.0.1", self.address.port) if address.host in ("0.0.0.0", "::") else self.address
        self.url = f"http://{shown}/"
        self.setup_url = f"{self.url}setup?token={chosen.setup}"
        farm.stream.tell_of_jobs(Notifier(farm.reader, chosen, self.url).hear)
        folder.announce("dashboard", url=self.url, setup=self.setup_url)
        self._lock = folder.lock("dashboard")

    def has_users(self) -> bool:
        """Whether anybody may come in by a password already."""
        with self._app.app_context():
            return there_are_users()

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or Ctrl-C."""
        try:
            self._server.run()
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End `run` in the main thread. From any thread."""
        _thread.interrupt_main()
        self._server.pull_trigger()  # or it would only look after a second


class _Threads(ThreadedTaskDispatcher):  # type: ignore[misc]
    """The threads that serve pages. When they are to end, *stream* ends first: its listeners would keep theirs."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self.set_thread_count(_THREADS)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self._stream.close()
        return bool(super().shutdown(cancel_pending, timeout))


def _session_secret(folder: DataFolder) -> bytes:
    """What signs this farm's sessions: made once, and readable by its owner alone."""
    path = folder.root / "keys" / "sessions"
    try:
        kept = path.read_bytes()
        if len(kept) >= 32:
            return kept
    except OSError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = secrets.token_bytes(32)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(made)
    return made
