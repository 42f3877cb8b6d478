"""The manager's loop: its sockets and its clock around the core."""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial

import zmq

from brender import __version__
from brender.bus.address import ManagerAddresses, ServerAddresses, resolve_loopback
from brender.bus.files import FileRelay
from brender.bus.loop import Loop
from brender.bus.messages import AnyMessage, Beat, Hello
from brender.bus.routes import Routes
from brender.bus.transport import Received, Socket
from brender.engines.stats import StatsReader
from brender.model.errors import BrenderError
from brender.roles.effects import Bind, Effect, Exit, Now, Peer, Reply, Send, SendUp, Unbind
from brender.roles.identity import next_incarnation, node_id
from brender.roles.manager.core import ManagerCore
from brender.roles.policy import Policy
from brender.store.datafolder import DataFolder, addresses_as_text

log = logging.getLogger("brender.manager")

_TICK_SECONDS = 0.1


class Manager:
    """A manager called *name* on *addresses*, under the server at *server*. Raises `Conflict` where a port is taken."""

    def __init__(
        self, folder: DataFolder, addresses: ManagerAddresses, server: ServerAddresses, policy: Policy, name: str
    ) -> None:
        self.folder = folder.make()
        self.error = ""
        self.loop = Loop()
        self._routes = Routes()
        with contextlib.ExitStack() as undo:
            lock = folder.lock(f"manager-{name}")
            undo.callback(lock.release)
            self._connect(addresses, server, undo)
            hello = Hello(
                node=node_id(folder.root / "managers" / name),
                incarnation=next_incarnation(folder.root / "managers" / name),
                role="manager",
                name=name,
                host=socket.gethostname(),
                software=__version__,
                pid=os.getpid(),
                address=str(self.addresses.control),
            )
            self.core = ManagerCore(hello, policy)
            self._stats = StatsReader(folder.root)
            folder.announce(f"manager-{name}", **addresses_as_text(self.addresses))
            self._undo = undo.pop_all()

    def _connect(self, wanted: ManagerAddresses, server: ServerAddresses, undo: contextlib.ExitStack) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        undo.callback(self._context.destroy, linger=0)
        self._below = Socket(self._context, zmq.ROUTER, "manager control")
        self._above = Socket(self._context, zmq.DEALER, "manager, upward")
        self._beats_in = Socket(self._context, zmq.SUB, "manager stats")
        self._beats_out = Socket(self._context, zmq.PUB, "manager stats, upward")
        control, stats, files = (
            resolve_loopback(address, "The manager's address") for address in (wanted.control, wanted.stats, wanted.files)
        )
        above, stats_above, files_above = (
            resolve_loopback(address, "The server's address") for address in (server.control, server.stats, server.files)
        )
        self._files = FileRelay(files, files_above)
        undo.callback(self._files.stop)
        self.addresses = ManagerAddresses(
            control=self._below.bind(control, "The manager"),
            stats=self._beats_in.bind(stats, "The manager's stats"),
            files=self._files.address,
        )
        self._beats_in.subscribe()
        self._connections = self._above.connections()
        self.loop.add(self._connections, self._greet)
        self._above.connect(above)
        self._beats_out.connect(stats_above)
        self.loop.add(self._below, self._read_below)
        self.loop.add(self._above, self._read_above)
        self.loop.add(self._beats_in, self._read_beats)

    def run(self) -> None:
        """Manage until `stop`. Raises `BrenderError` where the server refuses this manager."""
        self._files.start()
        with self._undo:
            self.loop.run(self._tick, _TICK_SECONDS)
            self._carry_out(self.core.farewell())
            # A farewell is worth a moment: it saves the server from waiting for a lease to end.
            self._context.destroy(linger=500)
        if self.error:
            raise BrenderError(self.error)

    def stop(self) -> None:
        """Leave at once. From any thread."""
        self.loop.stop()

    def drain(self) -> None:
        """Take nothing new, and leave when the workers have finished; asked again, leave at once. From any thread."""

        def ask() -> None:
            if self.core.draining:
                self.loop.stop()
            else:
                log.warning("finishing what the workers run, then leaving; once more leaves at once")
                self._carry_out(self.core.drain("it was asked to finish and stop", self._now()))

        self.loop.post(ask)

    def _read_below(self) -> None:
        for received in self._below.drain():
            peer = Peer(received.principal, received.route, *self._routes.who(received.route))
            self._guarded(received, partial(self.core.from_below, peer))

    def _read_above(self) -> None:
        for received in self._above.drain():
            self._guarded(received, self.core.from_above)

    def _greet(self) -> None:
        if self._connections.happened():
            self._carry_out(self.core.connected(self._now()))

    def _read_beats(self) -> None:
        for received in self._beats_in.drain():
            if isinstance(received.message, Beat):
                self.core.beat_heard(received.message, self._now())

    def _guarded(self, received: Received, handle: Callable[[AnyMessage, Now], list[Effect]]) -> None:
        """Whatever one message does wrong, the manager lives."""
        try:
            self._carry_out(handle(received.message, self._now()))
        except Exception:
            log.exception("the manager failed at a %s", type(received.message).__name__)

    def _tick(self) -> None:
        now = self._now()
        self._carry_out(self.core.tick(now))
        beats = self.core.beats_due(self._stats.read, now)
        if beats is not None:
            self._beats_out.send(beats, topic="")

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(node, message):
                    if (route := self._routes.to(node)) is not None:
                        self._below.send(message, route)
                case Reply(route, message):
                    self._below.send(message, route)
                case SendUp(message):
                    self._above.send(message)
                case Bind(route, node, role):
                    self._routes.bind(route, node, role)
                case Unbind(node):
                    self._routes.unbind(node)
                case Exit(error):
                    self.error = error
                    self.loop.stop()

    @staticmethod
    def _now() -> Now:
        return Now(time.monotonic(), time.time())
