"""Serving the dashboard with waitress."""

import os
import secrets
import signal
import threading
from dataclasses import replace
from types import FrameType
from typing import Any

from waitress import wasyncore
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from brender.bus.address import Address, ServerAddresses, is_loopback
from brender.bus.keys import KeyPair
from brender.metrics.page import MetricsPage, Snapshot
from brender.model.errors import BadInput, Conflict
from brender.store.datafolder import DataFolder
from brender.system import private_files
from brender.system.restart import STOP_SIGNALS
from dashboard.app import create_app
from dashboard.farm import Settings
from dashboard.large_bodies import admission, channel_with
from dashboard.notify import Notifier
from dashboard.people import there_are_users
from dashboard.pulse import Pulse, sentence
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
        chosen.proxies  # noqa: B018  (whatever is wrong with them is said now)
        self._app = app = create_app(folder, server, pair, database, chosen, _session_secret(folder))
        self._farm = farm = app.extensions["brender"]
        self._ended = threading.Event()
        self._page: MetricsPage | None = None
        self._sockets: dict[int, Any] = {}
        try:
            self._server = create_server(
                app,
                map=self._sockets,
                _dispatcher=_Threads(farm.stream, farm.pulse),
                host=address.host,
                port=address.port,
                ident="brender",
                connection_limit=2000,
                max_request_body_size=_UPLOAD_BYTES,
                channel_request_lookahead=1,
                # Whose word they are is for `Proxies` to say.
                clear_untrusted_proxy_headers=False,
            )
        except OSError as error:
            if address.port:
                raise Conflict(
                    f"The dashboard: port {address.port} on {address.host} is in use, perhaps by another dashboard. "
                    "Stop that one, or choose another port with --port-base"
                ) from error
            raise BadInput(f"The dashboard cannot listen on {address}: {error.strerror}") from error
        self._server.channel_class = channel_with(admission(app))
        self.address = Address(address.host, int(self._server.effective_port))
        shown = Address("127.0.0.1", self.address.port) if address.host in ("0.0.0.0", "::") else self.address
        self.url = f"http://{shown}/"
        base = chosen.public_url.rstrip("/") + "/" if chosen.public_url else self.url
        self.setup_url = f"{base}setup?token={chosen.setup}"
        farm.stream.tell_of_jobs(Notifier(farm.reader, chosen, self.url).hear)
        folder.announce("dashboard", url=self.url, setup=self.setup_url)
        self._lock = folder.lock("dashboard")
        farm.pulse.begin()

    def has_users(self) -> bool:
        """Return whether anybody may come in by a password already."""
        with self._app.app_context():
            return there_are_users()

    def run(self) -> None:
        """Serve until `stop`."""
        # Not waitress's own loop: only an exception ends that one, and none can be raised in the main thread from another where
        # SIGINT is ignored, as in every background job of a shell script.
        try:
            while not self._ended.is_set():
                wasyncore.loop(timeout=1.0, map=self._sockets, use_poll=True, count=1)
                if self._page is not None:
                    self._page.turned()
            self._server.task_dispatcher.shutdown()
        finally:
            self._lock.release()

    def show_metrics(self, page: MetricsPage) -> None:
        """Show the dashboard's metrics on *page*."""
        self._page = page

        def take() -> Snapshot:
            silent = self._farm.pulse.silent_seconds()
            values = {"brender_server_silent_seconds": silent or 0.0, "brender_database_readable": float(page.is_readable)}
            return Snapshot(values, None if silent is None else sentence(silent))

        def read() -> None:
            with self._farm.reader.record() as record:
                record.tables.Job.select().limit(1).exists()

        page.show(take, read)

    def stop(self) -> None:
        """End `run` soon. From any thread and from a signal handler."""
        self._ended.set()
        self._server.pull_trigger()  # or the loop would only look after a second

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT call `stop`. Only in a program's main thread."""

        def react(number: int, frame: FrameType | None) -> None:
            self.stop()

        for number in STOP_SIGNALS:
            signal.signal(number, react)


class _Threads(ThreadedTaskDispatcher):  # type: ignore[misc]
    """The threads that serve pages. When they are to end, *stream* ends first: its listeners would keep theirs."""

    def __init__(self, stream: Stream, pulse: Pulse) -> None:
        super().__init__()
        self._stream = stream
        self._pulse = pulse
        self.set_thread_count(_THREADS)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self._stream.close()
        self._pulse.close()
        return bool(super().shutdown(cancel_pending, timeout))


def _session_secret(folder: DataFolder) -> bytes:
    """Return what signs this farm's sessions: made once, and readable by its owner alone."""
    path = folder.root / "keys" / "sessions"
    try:
        kept = path.read_bytes()
        if len(kept) >= 32:
            return kept
    except OSError:
        pass
    private_files.make_folder(path.parent)
    made = secrets.token_bytes(32)
    path.unlink(missing_ok=True)
    with os.fdopen(private_files.create(path), "wb") as file:
        file.write(made)
    return made
