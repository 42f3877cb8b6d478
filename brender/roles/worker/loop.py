"""The worker's loop: its sockets, its clock, its reports on disk and its render process around the core."""

import contextlib
import logging
import os
import platform
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import zmq

from brender import __version__
from brender.bus.address import ManagerAddresses, resolve_loopback
from brender.bus.files import FileSender
from brender.bus.loop import Loop
from brender.bus.messages import PartDone
from brender.bus.transport import Socket
from brender.engines.attempt import Attempt, Engine, Place, start
from brender.engines.blender import BlenderEngine
from brender.engines.command import CommandEngine
from brender.engines.events import AttemptEvent, Cautioned, Ended, PartFinished, Progressed
from brender.engines.publish import Lease
from brender.engines.stats import StatsReader
from brender.jobs.declare import job_types
from brender.model.errors import BrenderError
from brender.model.grant import Grant
from brender.model.nodes import Blender, WorkerInfo, tags_of
from brender.roles.effects import Effect, Exit, ExtendLease, Forget, Keep, Now, SendUp, StartAttempt, StopAttempt, Vouch
from brender.roles.identity import next_incarnation, node_id
from brender.roles.policy import Policy
from brender.roles.worker.core import WorkerCore
from brender.roles.worker.outbox import Outbox
from brender.store.datafolder import DataFolder

log = logging.getLogger("brender.worker")

_TICK_SECONDS = 0.1
#: Seconds that a worker which stops waits for its logs and thumbnails to arrive.
_FILES_SECONDS = 3.0


class Worker:
    """A worker called *name* with *blenders*, under the manager at *manager*. ``threads``: CPU threads for a render, 0 for
    all. Raises `Conflict` where another of that name runs in the same data folder."""

    def __init__(
        self,
        folder: DataFolder,
        manager: ManagerAddresses,
        policy: Policy,
        name: str,
        blenders: Sequence[Blender] = (),
        tags: Sequence[str] = (),
        threads: int = 0,
    ) -> None:
        own = folder.make().worker(name)
        self.error = ""
        self.loop = Loop()
        self._attempt: Attempt | None = None
        self._engines: dict[str, Engine] = {"blender": BlenderEngine(), "command": CommandEngine()}
        with contextlib.ExitStack() as undo:
            lock = folder.lock(f"worker-{name}")
            undo.callback(lock.release)
            self._outbox = Outbox(own / "outbox.journal")
            undo.callback(self._outbox.close)
            self._place = Place(folder=own, blenders=tuple(blenders), lease=Lease(), threads=threads)
            self._clear_leftovers(own)
            self._connect(manager, undo)
            undo.callback(self._end_attempt)
            self._stats = StatsReader(own)
            self.core = WorkerCore(self._introduce(name, own, blenders, tags), policy, self._outbox.kept)
            self._undo = undo.pop_all()

    def run(self) -> None:
        """Work until `stop`. Raises `BrenderError` where the manager refuses this worker."""
        self._files.start()
        with self._undo:
            self.loop.run(self._tick, _TICK_SECONDS)
            self._files.wait_idle(_FILES_SECONDS)
            self._context.destroy(linger=500)
        if self.error:
            raise BrenderError(self.error)

    def _connect(self, manager: ManagerAddresses, undo: contextlib.ExitStack) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        undo.callback(self._context.destroy, linger=0)
        control, stats, files = (
            resolve_loopback(address, "The manager's address") for address in (manager.control, manager.stats, manager.files)
        )
        self._above = Socket(self._context, zmq.DEALER, "worker")
        self._beats = Socket(self._context, zmq.PUB, "worker stats")
        self._above.connect(control)
        self._beats.connect(stats)
        self._files = FileSender(files)
        undo.callback(self._files.stop)
        self.loop.add(self._above, self._read_above)

    def stop(self) -> None:
        """End what runs, report it, and leave. From any thread."""
        self.loop.post(lambda: self._carry_out(self.core.stop("the worker was stopped", self._now())))

    def _introduce(self, name: str, own: Path, blenders: Sequence[Blender], tags: Sequence[str]) -> WorkerInfo:
        kinds = job_types()
        able = {kind.name for kind in kinds.values() if kind.engine in self._engines and (kind.engine != "blender" or blenders)}
        return WorkerInfo(
            id=node_id(own),
            incarnation=next_incarnation(own),
            name=name,
            host=socket.gethostname(),
            platform=platform.platform(terse=True),
            software=__version__,
            pid=os.getpid(),
            cores=psutil.cpu_count() or 1,
            memory=psutil.virtual_memory().total,
            blenders=tuple(blenders),
            tags=frozenset(tags) | tags_of(blenders),
            job_types=frozenset(able),
        )

    @staticmethod
    def _clear_leftovers(own: Path) -> None:
        """What an earlier process that was killed left behind; its render process went with it."""
        shutil.rmtree(own / "attempts", ignore_errors=True)

    def _read_above(self) -> None:
        for received in self._above.drain():
            try:
                self._carry_out(self.core.from_above(received.message, self._now()))
            except Exception:
                log.exception("the worker failed at a %s", type(received.message).__name__)

    def _tick(self) -> None:
        now = self._now()
        self._carry_out(self.core.tick(now))
        pid = self._attempt.process.pid if self._attempt and self._attempt.process else None
        beat = self.core.beat_due(lambda: self._stats.read(pid), now)
        if beat is not None:
            self._beats.send(beat, topic="")

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Keep(report):
                    self._outbox.keep(report)
                case Forget(attempt, number):
                    self._outbox.forget(attempt, number)
        self._outbox.flush()
        for effect in effects:
            match effect:
                case SendUp(message):
                    self._above.send(message)
                case StartAttempt(grant):
                    self._start(grant)
                case StopAttempt(attempt, reason):
                    if self._attempt is not None and self._attempt.grant.attempt == attempt:
                        self._attempt.log.say(f"stopping: {reason}")
                        self._attempt.stop()
                case ExtendLease(until, term):
                    self._place.lease.extend(until, term)
                case Vouch(attempt, term):
                    self._place.lease.vouch(attempt, term)
                case Exit(error):
                    self.error = error
                    self.loop.stop()

    def _start(self, grant: Grant) -> None:
        engine = self._engines.get(grant.engine)
        if engine is None:
            reason = f"This worker has no engine {grant.engine!r}"
            self.loop.post(lambda: self._hear(grant, Ended(0.0, reason)))
            return
        try:
            self._attempt = Attempt(grant, self._place, lambda event: self.loop.post(lambda: self._hear(grant, event)))
        except OSError as error:
            reason = f"The worker's folder cannot be written: {error.strerror}"
            self.loop.post(lambda: self._hear(grant, Ended(0.0, reason)))
            return
        self._files.send_log(grant.job, grant.attempt, self._attempt.log.path)
        start(self._attempt, engine)

    def _hear(self, grant: Grant, event: AttemptEvent) -> None:
        now, attempt = self._now(), grant.attempt
        if isinstance(event, Ended):
            self._place.lease.forget(attempt)
        match event:
            case Progressed(frame, fraction, line):
                self._carry_out(self.core.progressed(attempt, frame, fraction, line, now))
            case Cautioned(text, subject):
                self._carry_out(self.core.warned(attempt, text, subject, now))
            case PartFinished():
                if event.thumbnail is not None:
                    self._files.send_thumbnail(grant.job, attempt, event.part, event.thumbnail)
                self._carry_out(self.core.part_done(_part_done(attempt, event), now))
            case Ended(seconds, reason, permanent, stopped):
                if self._attempt is not None:
                    self._files.send_log(grant.job, attempt, self._attempt.log.path, finished=True)
                    self._attempt = None
                self._carry_out(self.core.ended(attempt, seconds, reason, permanent, stopped, now))

    def _end_attempt(self) -> None:
        """Leave no render process behind, however the loop ended."""
        if self._attempt is not None:
            self._attempt.stop()
            if self._attempt.process is not None:
                self._attempt.process.stop()

    @staticmethod
    def _now() -> Now:
        return Now(time.monotonic(), time.time())


def _part_done(attempt: str, event: PartFinished) -> PartDone:
    return PartDone(
        attempt=attempt,
        number=0,
        part=event.part,
        seconds=event.seconds,
        output=event.output,
        size=event.size,
        width=event.width,
        height=event.height,
        warnings=event.warnings,
    )
