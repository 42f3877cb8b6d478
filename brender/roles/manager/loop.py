"""The manager's loop: its sockets and its clock around the core."""

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial

import msgspec
import zmq

from brender import __version__
from brender.bus.address import ManagerAddresses, ServerAddresses
from brender.bus.keys import Credentials, Guard, Keyring, Zap, kept_pair, read_private, write_private
from brender.bus.loop import Loop
from brender.bus.messages import AnyMessage, Beat, Hello, Renewed
from brender.bus.rights import Door
from brender.bus.routes import Routes
from brender.bus.traffic import Meter
from brender.bus.transport import Received, Socket
from brender.bus.uplink import Uplink
from brender.engines.stats import StatsReader
from brender.metrics.families import of_the_bus
from brender.metrics.frame_traces import ManagerTraces
from brender.metrics.page import Snapshot
from brender.model.errors import BrenderError
from brender.model.keys import Principal
from brender.model.log_events import ABOUT_PARENT, log_event, set_level
from brender.roles.effects import AdmitKeys, Bind, Effect, Exit, LogEvent, Now, Peer, Reply, Send, SendUp, SetLogLevel, Unbind
from brender.roles.identity import next_incarnation, node_id
from brender.roles.manager.core import ManagerCore
from brender.roles.policy import Policy
from brender.store.datafolder import DataFolder, addresses_as_text
from brender.system.clock import steady
from brender.transfer.blob_store import BlobStore
from brender.transfer.manager import FileRelay

log = logging.getLogger("brender.manager")

_TICK_SECONDS = 0.1
_KEEP_SECONDS = 1.0


class Manager:
    """A manager called *name* on *addresses*, under the server at *server*, which is to have admitted the manager's key. Raises
    `Conflict` where a port is taken."""

    def __init__(
        self,
        folder: DataFolder,
        addresses: ManagerAddresses,
        server: ServerAddresses,
        policy: Policy,
        name: str,
        traces: ManagerTraces | None = None,
    ) -> None:
        self.folder = folder.make()
        self.error, self.again = "", False
        self.loop = Loop()
        self._meter = Meter(self.loop)
        self._routes = Routes()
        own = folder.manager(name)
        self._admitted = own / "admitted"
        self._server = server.to_connect()
        self._beats_out: Socket | None = None
        self._link = Uplink()
        self._traces = traces
        self._unkept, self._kept = False, float("-inf")
        with contextlib.ExitStack() as undo:
            lock = folder.lock(f"manager-{name}")
            undo.callback(lock.release)
            self._pair = kept_pair(own / "key")
            self._credentials = Credentials(self._pair, self._server.key)
            self._keyring = Keyring(self._kept_keys())
            self._bind(addresses.resolved(), policy, undo)
            self._connect()
            hello = Hello(
                node=node_id(own),
                incarnation=next_incarnation(own),
                role="manager",
                name=name,
                host=socket.gethostname(),
                software=__version__,
                pid=os.getpid(),
                address=str(self.addresses.control),
            )
            self.core = ManagerCore(hello, policy)
            self.core.cut_off = True
            self._stats = StatsReader(folder.root)
            folder.announce(f"manager-{name}", **addresses_as_text(self.addresses))
            self._undo = undo.pop_all()

    def _bind(self, wanted: ManagerAddresses, policy: Policy, undo: contextlib.ExitStack) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        undo.callback(self._context.destroy, linger=0)
        zap = Zap(self._context, self._keyring)
        self.loop.add(zap, zap.answer)
        self._below = Socket(self._context, zmq.ROUTER, "manager control", Guard(self._pair, self._keyring, Door.MANAGER))
        self._beats_in = Socket(self._context, zmq.SUB, "manager stats", Guard(self._pair, self._keyring, Door.MANAGER_STATS))
        self._below.connections()
        self._beats_in.connections()
        store = BlobStore(self._admitted.with_name("blobs"), policy.cache_bytes)
        self._files = FileRelay(wanted.files, self._pair, self._keyring, store, policy.link_files)
        undo.callback(self._files.stop)
        self.addresses = ManagerAddresses(
            control=self._below.bind(wanted.control, "The manager"),
            stats=self._beats_in.bind(wanted.stats, "The manager's stats"),
            files=self._files.address,
            key=self._pair.public,
        )
        self._beats_in.subscribe()
        self.loop.add(self._below, self._read_below)
        self.loop.add(self._beats_in, self._read_beats)

    def _connect(self) -> None:
        self._above = Socket(self._context, zmq.DEALER, "manager, upward", self._credentials)
        self._link.watch(self._above)
        self.loop.add(self._link.connections, self._greet)
        self._above.connect(self._server.control)
        self.loop.add(self._above, self._read_above)

    def _open_the_rest(self) -> None:
        """Connect what goes beside the control socket, now that the server lets this manager in: a connection that is refused is
        not tried again."""
        if self._beats_out is not None:
            self._beats_out.close()
        self._beats_out = Socket(self._context, zmq.PUB, "manager stats, upward", self._credentials)
        self._beats_out.connections()
        self._beats_out.connect(self._server.stats)
        self._files.connect(self._server.files, self._credentials)

    def _connect_again(self) -> None:
        self.loop.remove(self._link.connections)
        self.loop.remove(self._above)
        self._above.close()
        self._connect()

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
            elif not self._link.up:
                log.warning(
                    "leaving at once: without a connection to the server at %s nothing that the workers finish could be reported",
                    self._server.control,
                )
                self.loop.stop()
            else:
                log.warning("finishing what the workers run, then leaving; once more leaves at once")
                self._carry_out(self.core.drain("it was asked to finish and stop", self._now()))

        self.loop.post(ask)

    def _read_below(self) -> None:
        for received in self._below.drain():
            principal = received.principal
            peer = Peer(
                principal.id, received.route, *self._routes.who(received.route), bound=principal.node, origin=received.origin
            )
            self._guarded(received, partial(self.core.from_below, peer))

    def _read_above(self) -> None:
        for received in self._above.drain():
            if isinstance(received.message, Renewed):
                self._meter.answered(received.message.sent, self._now().mono)
            self._guarded(received, self.core.from_above)

    def _greet(self) -> None:
        now = self._now()
        if self._link.made(now.mono):
            self._open_the_rest()
            self._carry_out(self.core.connected(now))
        self.core.cut_off = not self._link.up
        self._tell_trouble()

    def _around(self, event: str) -> dict[str, object]:
        """Return what the log says with *event* of this role's parent."""
        if event not in ABOUT_PARENT:
            return {}
        trouble = {"trouble": self._link.trouble} if self._link.trouble else {}
        return {"parent": "server", "address": str(self._server.control), **trouble}

    def _tell_trouble(self) -> None:
        if trouble := self._link.new_trouble():
            log.error("the server at %s: %s", self._server.control, trouble)

    def _read_beats(self) -> None:
        for received in self._beats_in.drain():
            if isinstance(received.message, Beat):
                self.core.beat_heard(received.message, self._now())

    def _guarded(self, received: Received, handle: Callable[[AnyMessage, Now], list[Effect]]) -> None:
        """Whatever one message does wrong, the manager lives."""
        began = time.time()
        try:
            self._carry_out(handle(received.message, self._now()))
        except Exception:
            log.exception("the manager failed at a %s", type(received.message).__name__)
        if self._traces is not None:
            self._traces.passed(received.message, began)

    def _tick(self) -> None:
        now = self._now()
        self._tell_trouble()
        if self._link.is_to_be_made_anew(now.mono):
            self._connect_again()
        self._carry_out(self.core.tick(now))
        self._keep_keys(now)
        refused = self._keyring.refusals.total
        beats = self.core.beats_due(self._stats.read, refused, now)
        if beats is not None and self._beats_out is not None:
            self._beats_out.send(msgspec.structs.replace(beats, bus=self._figures(self._beats_out)), topic="")
        elif self._beats_out is not None and (beats := self.core.beats_to_pass_on(refused, now)) is not None:
            self._beats_out.send(beats, topic="")

    def _figures(self, beats: Socket) -> bytes:
        """Return what is told of this role's part of the bus; *beats* is what it sends its heartbeats by."""
        links = (self._below.link(), self._beats_in.link(), self._above.link(), beats.link(), *self._files.links)
        return self._meter.figures(links, held=self._held_count, refusals=self._keyring.refusals.so_far())

    @property
    def _held_count(self) -> int:
        """The attempts that its workers hold."""
        return sum(len(worker.held) for worker in self.core.workers.values())

    def snapshot(self) -> Snapshot:
        """Return what is exported of this manager now (`MetricsPage`). In its loop."""
        sockets = [each for each in (self._below, self._beats_in, self._above, self._beats_out) if each is not None]
        links = (*(each.link(is_report=False) for each in sockets), *self._files.links)
        values = of_the_bus(links, self.loop.rounds)
        values |= {
            "brender_bus_refusals_total": self._keyring.refusals.total,
            "brender_managed_workers": len(self.core.workers),
            "brender_held_attempts": self._held_count,
        }
        if self._meter.round_trip is not None:
            values["brender_round_trip_seconds"] = self._meter.round_trip
        is_joined = self.core.welcomed and self.core.lease_until > self._now().mono
        return Snapshot(values, None if is_joined else f"This manager has not joined the server at {self._server.control}")

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
                case AdmitKeys(keys):
                    self._keyring.replace(keys)
                    self._unkept = True
                case LogEvent(happened, fields):
                    log_event(log, happened, self._around(happened) | fields)
                case SetLogLevel(level):
                    set_level(level)
                case Exit(error, again):
                    self.error, self.again = error, again
                    self.loop.stop()

    def _keep_keys(self, now: Now) -> None:
        """Write down which keys are admitted, for when the server is away: not for each of many that come one after another."""
        if self._unkept and now.mono - self._kept > _KEEP_SECONDS:
            self._unkept, self._kept = False, now.mono
            try:
                write_private(self._admitted, json.dumps({"keys": msgspec.to_builtins(self._keyring.principals())}))
            except BrenderError as error:
                log.warning("which workers are admitted is not kept: %s", error)

    def _kept_keys(self) -> tuple[Principal, ...]:
        """Return the workers' keys as the server told of them last."""
        if not self._admitted.exists():
            return ()
        try:
            return msgspec.convert(read_private(self._admitted, "list of keys")["keys"], tuple[Principal, ...])
        except (BrenderError, KeyError, msgspec.ValidationError) as error:
            log.warning("no worker is let in before the server tells of their keys: %s", error)
            return ()

    @staticmethod
    def _now() -> Now:
        return Now(steady(), time.time())
