"""The worker's loop: its sockets, its clock, its reports on disk and its render process around the core."""

import contextlib
import logging
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

import msgspec
import zmq

from brender import __version__
from brender.bus.address import ManagerAddresses
from brender.bus.keys import Credentials, kept_pair
from brender.bus.loop import Loop
from brender.bus.messages import LogTold, Message, PartDone, Renewed, Reports
from brender.bus.traffic import Meter
from brender.bus.transport import Socket
from brender.bus.uplink import Uplink
from brender.engines.attempt import (
    Attempt,
    KeepsProcesses,
    Place,
    set_leftovers_aside,
)
from brender.engines.disk_space import FULL, shortage, why_not_writable
from brender.engines.events import AttemptEvent, Cautioned, Ended, PartFinished, Pictured, Progressed
from brender.engines.leftovers import Clearing
from brender.engines.life import Life
from brender.engines.owner import OwnerWatch, use_by
from brender.engines.publish import Lease
from brender.engines.stats import StatsReader
from brender.jobs.steps import programs_of
from brender.metrics.families import of_the_bus
from brender.metrics.frame_traces import WorkerTraces
from brender.metrics.page import Snapshot
from brender.model.errors import BadInput, BrenderError
from brender.model.grant import Grant, Order, localized
from brender.model.keys import proof_of
from brender.model.log_events import ABOUT_PARENT, frames_in_words, log_event, set_level
from brender.model.nodes import Standing, WorkerInfo, forbidden
from brender.model.text import short_id
from brender.roles.effects import (
    Effect,
    Exit,
    ExtendLease,
    Forget,
    Keep,
    LogEvent,
    LookAt,
    NextManager,
    Now,
    SendUp,
    SetLogLevel,
    StartAttempt,
    StopAttempt,
    TellLog,
    Vouch,
)
from brender.roles.policy import Policy
from brender.roles.worker.core import WorkerCore
from brender.roles.worker.courier import FileCourier, delete_jobs_of_others
from brender.roles.worker.logtail import LogTail
from brender.roles.worker.outbox import Outbox
from brender.roles.worker.setup import Setup, introduced
from brender.roles.worker.shared import SharedFolders
from brender.store.datafolder import DataFolder
from brender.system.clock import steady
from brender.system.pause import read_pause
from brender.system.removal import remove_tree
from brender.transfer.blob_store import BlobStore
from brender.transfer.worker import FileSender

log = logging.getLogger("brender.worker")

_TICK_SECONDS = 0.1
#: Seconds that a worker which stops waits for its logs and thumbnails to arrive.
_FILES_SECONDS = 3.0
#: At the end it waits so long at most for the removal of what attempts left in folders of jobs.
_CLEARING_SECONDS = 3.0
_LOOK_SECONDS = 2.0
#: How attempts end here, in its metrics.
_ENDS = ("done", "failed", "stopped")
#: Logs of an earlier process that are sent.
_LOGS_LEFT = 100


class Worker:
    """A worker under the first of *managers* that answers. Raises `Conflict` where another of its name runs in the same data
    folder."""

    def __init__(
        self,
        folder: DataFolder,
        managers: Sequence[ManagerAddresses],
        policy: Policy,
        setup: Setup,
        traces: WorkerTraces | None = None,
    ) -> None:
        own = folder.make().worker(setup.name)
        self._cache_bytes = policy.cache_bytes
        self._folder = folder
        self._cache = folder.root / "cache" / "blobs"
        self.error, self.again = "", False
        self.loop = Loop()
        self._meter = Meter(self.loop)
        self._setup = setup
        self._managers = [manager.to_connect() for manager in managers]
        self._manager = 0
        self._life: Life | None = None
        self._outgoing: list[Message] = []
        self._shared_folders = SharedFolders(self.loop.post, lambda seen: self._carry_out([SendUp(seen)]))
        self._told_of_waiting = False
        self._looked_around = float("-inf")
        self._disk_trouble = self._reports_unkept = False
        self._owner = OwnerWatch(setup.yield_seconds) if setup.yield_seconds else None
        self._beats: Socket | None = None
        self._link = Uplink()
        self._traces = traces
        self._frames, self._frame_seconds = 0, 0.0
        self._ended: Counter[str] = Counter()
        """Attempts that ended here, by `_ENDS`."""
        with contextlib.ExitStack() as undo:
            lock = folder.lock(f"worker-{setup.name}")
            undo.callback(lock.release)
            self._log_tail = LogTail()
            logging.getLogger().addHandler(self._log_tail)
            undo.callback(logging.getLogger().removeHandler, self._log_tail)
            log_event(log, "started", {"text": f"brender {__version__} started, as process {os.getpid()}"})
            self._pair = kept_pair(own / "key")
            self._outbox = Outbox(own / "outbox.journal")
            undo.callback(self._outbox.close)
            clearing = Clearing(own)
            self._place = Place(
                folder=own,
                blenders=tuple(setup.blenders),
                lease=Lease(),
                threads=setup.threads,
                devices=tuple(setup.devices),
                least_free=setup.least_free,
                confinement=setup.confinement,
                site=setup.site,
                left_behind=clearing.look,
            )
            set_leftovers_aside(own)
            clearing.start()
            undo.callback(clearing.close, _CLEARING_SECONDS)
            threading.Thread(target=delete_jobs_of_others, args=(folder, own), name="brender-others", daemon=True).start()
            self._open(undo)
            undo.callback(self._end_attempt)
            self._clear_what_was_not_sent()
            self._stats = StatsReader(own, setup.devices)
            self.core = WorkerCore(
                introduced(setup, own), policy, self._outbox.kept, len(managers), self._vouch, ". ".join(setup.remarks)
            )
            self.core.cut_off = True
            self._undo = undo.pop_all()

    def run(self) -> None:
        """Work until `stop`. Raises `BrenderError` where the manager refuses this worker."""
        self._files.start()
        if self._owner is not None:
            self._owner.start()
        with self._undo:
            self.loop.run(self._tick, _TICK_SECONDS)
            if self._link.up:
                self._files.wait_idle(_FILES_SECONDS)
            self._context.destroy(linger=500)
        if self.error:
            raise BrenderError(self.error)

    def drain(self) -> None:
        """Finish what runs, then leave; asked again, stop at once. From any thread."""

        def ask() -> None:
            if self.core.standing is Standing.DRAINING:
                self._carry_out(self.core.stop("the worker was stopped", self._now()))
            else:
                log_event(log, "leaving", {"text": f"{self._setup.name} {self._how_it_leaves()}"})
                self._carry_out(self.core.drain("it was asked to finish and stop", self._now()))

        self.loop.post(ask)

    def _reports_left(self) -> str:
        """Return how many reports are not delivered, and to whom they go."""
        count = self.core.reporting.undelivered_count
        return f"{count} report{'' if count == 1 else 's'}, through the manager at {self._managers[self._manager].control}"

    def _how_it_leaves(self) -> str:
        """Return what it does when it is asked to leave, in words for its log."""
        if self.core.cut_off:
            return f"stops at once, since there is no connection to the manager at {self._managers[self._manager].control}"
        return "finishes its tasks and then leaves; asked once more, it stops at once"

    def stop(self) -> None:
        """End what runs, report it, and leave. From any thread."""
        self.loop.post(lambda: self._carry_out(self.core.stop("the worker was stopped", self._now())))

    def _open(self, undo: contextlib.ExitStack) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        undo.callback(self._context.destroy, linger=0)
        store = BlobStore(self._cache, self._cache_bytes, self._folder.laid_out)
        self._files = FileSender(store)
        self._place.courier = FileCourier(self._files, store)
        undo.callback(self._files.stop)
        self._connect()

    def _clear_what_was_not_sent(self) -> None:
        """Send the logs that an earlier process of this worker left when it was killed, the newest of them; the server refuses
        those of attempts that it does not know. Pictures are not worth it."""
        for number, (job, attempt, path) in enumerate(self._place.logs_left()):
            if attempt and number < _LOGS_LEFT:
                self._files.send_log(job, attempt, path, finished=True)
            else:
                path.unlink(missing_ok=True)
        remove_tree(self._place.folder / "thumbnails")

    def _connect(self) -> None:
        manager = self._managers[self._manager]
        self._above = Socket(self._context, zmq.DEALER, "worker", self._credentials(manager))
        self._link.watch(self._above)
        self.loop.add(self._link.connections, self._greet)
        self._above.connect(manager.control)
        self.loop.add(self._above, self._read_above)

    def _open_the_rest(self) -> None:
        """Connect what goes beside the control socket, now that the manager lets this worker in: a connection that is refused is
        not tried again."""
        manager = self._managers[self._manager]
        if self._beats is not None:
            self._beats.close()
        self._beats = Socket(self._context, zmq.PUB, "worker stats", self._credentials(manager))
        self._beats.connections()
        self._beats.connect(manager.stats)
        self._files.turn_to(manager.files, self._credentials(manager))

    def _connect_again(self) -> None:
        self.loop.remove(self._link.connections)
        self.loop.remove(self._above)
        self._above.close()
        self._connect()

    def _turn_to_next_manager(self) -> None:
        self._manager = (self._manager + 1) % len(self._managers)
        log.warning("no word from the manager; turning to the one at %s", self._managers[self._manager].control)
        self._connect_again()

    def _credentials(self, manager: ManagerAddresses) -> Credentials:
        return Credentials(self._pair, manager.key)

    def _vouch(self, info: WorkerInfo) -> str:
        """Return the word to the server that this worker turned to the manager of now."""
        return proof_of(self._setup.proof, info.id, info.registration, self._managers[self._manager].key)

    def _read_above(self) -> None:
        above = self._above
        for received in above.drain():
            if above is not self._above:
                return  # a word of the manager before, which it turned away from just now
            if isinstance(received.message, Renewed):
                self._meter.answered(received.message.sent, self._now().mono)
            if self._traces is not None:
                self._traces.received(received.message)
            try:
                self._carry_out(self.core.from_above(received.message, self._now()))
            except Exception:
                log.exception("the worker failed at a %s", type(received.message).__name__)

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
        return {"parent": "manager", "address": str(self._managers[self._manager].control), **trouble}

    def _tell_trouble(self) -> None:
        if trouble := self._link.new_trouble():
            log.error("the manager at %s: %s", self._managers[self._manager].control, trouble)
        if self.core.is_waiting_to_leave and not self._told_of_waiting:
            self._told_of_waiting = True
            text = (
                f"{self._setup.name} waits to leave until the server has {self._reports_left()}, for "
                f"{self.core.policy.lease:.0f} seconds at most; once more leaves at once. They are on disk in any case"
            )
            log_event(log, "leaving", {"text": text})

    def _tick(self) -> None:
        now = self._now()
        self._tell_trouble()
        if self._link.is_to_be_made_anew(now.mono):
            self._connect_again()
        self._look_around(now)
        self._carry_out(self.core.tick(now))
        self._send()
        beat = self.core.beat_due(lambda: self._stats.read(self._render_pid()), now)
        if beat is not None and self._beats is not None:
            self._beats.send(msgspec.structs.replace(beat, bus=self._figures(self._beats)), topic="")

    def _figures(self, beats: Socket) -> bytes:
        """Return what is told of this role's part of the bus; *beats* is what it sends its heartbeats by."""
        return self._meter.figures(
            (self._above.link(), beats.link(), *self._files.links),
            held=len(self.core.held),
            outbox=self.core.reporting.undelivered_count,
            resent=self.core.reporting.resent,
        )

    def snapshot(self) -> Snapshot:
        """Return what is exported of this worker now (`MetricsPage`). In its loop."""
        sockets = [each for each in (self._above, self._beats) if each is not None]
        links = (*(each.link(is_report=False) for each in sockets), *self._files.links)
        values = of_the_bus(links, self.loop.rounds)
        values |= {
            "brender_held_attempts": len(self.core.held),
            "brender_worker_rendering": float(self.core.running is not None),
            "brender_worker_frames_total": self._frames,
            "brender_worker_frame_seconds_total": self._frame_seconds,
            "brender_worker_attempts_total": {(how,): self._ended[how] for how in _ENDS},
            "brender_outbox_reports": self.core.reporting.undelivered_count,
            "brender_reports_resent_total": self.core.reporting.resent,
        }
        if self._meter.round_trip is not None:
            values["brender_round_trip_seconds"] = self._meter.round_trip
        is_joined = self.core.welcomed and self.core.lease_until > self._now().mono
        manager = self._managers[self._manager].control
        return Snapshot(values, None if is_joined else f"This worker has not joined the manager at {manager}")

    def _render_pid(self) -> int | None:
        """Return the process that renders, or that is kept warm."""
        if self._life and self._life.process:
            return self._life.process.pid
        return next((engine.pid for engine in self._keeping() if engine.pid is not None), None)

    def _send(self) -> None:
        """Bring the reports of this round to disk, all at once, and only then send them."""
        now, unkept = self._now(), self._reports_unkept
        try:
            self._outbox.flush()
            self._reports_unkept = False
        except OSError as error:
            self._reports_unkept = self._disk_trouble = True
            if not unkept:
                log.error("reports cannot be written to %s: %s", self._place.folder, error)
            reason = f"Reports cannot be written to {self._place.folder}: {error.strerror or error}"
            self._carry_out(self.core.reports_cannot_be_kept(reason, now))
        if unkept and not self._reports_unkept:
            log.warning("reports can be written to %s again", self._place.folder)
            self._carry_out(self.core.reports_are_kept(now))
        # All but reports go out in any case: a lease must not end because a disk is full.
        wait = self._reports_unkept and not self.core.disk.keeps_no_reports(now.mono)
        outgoing, self._outgoing = self._outgoing, []
        for message in outgoing:
            if wait and isinstance(message, Reports):
                self._outgoing.append(message)
            else:
                self._above.send(message)

    def _look_around(self, now: Now) -> None:
        """Now and then: whether there is room on the worker's own disk, whether what runs can still end, and what engines need
        not keep any longer."""
        if now.mono - self._looked_around < _LOOK_SECONDS:
            return
        self._looked_around = now.mono
        own = self._place.folder
        least = self._setup.least_free
        # Once it was full, some bytes that a deleted log has freed are not enough to go on.
        trouble = shortage([own], max(least, FULL) if self._disk_trouble else least)
        if self._disk_trouble and not trouble:
            trouble = why_not_writable(own)
        self._disk_trouble = bool(trouble)
        self._carry_out(self.core.room(trouble, now))
        in_use = self._owner is not None and self._owner.is_in_use
        use = use_by(read_pause(self._folder.root, now.wall), in_use)
        self._carry_out(self.core.owner_uses(use.reason if use else "", use is not None and use.at_once, now))
        if self._life is not None:
            self._life.look()
        for engine in self._keeping():
            try:
                engine.look()
            except Exception:
                log.exception("an engine could not see to the processes that it keeps")

    def _keeping(self) -> list[KeepsProcesses]:
        return [engine for engine in self._setup.engines.values() if isinstance(engine, KeepsProcesses)]

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Keep(report):
                    self._outbox.keep(report)
                    if self._traces is not None:
                        self._traces.kept(report)
                case Forget(attempt, number):
                    self._outbox.forget(attempt, number)
                    if self._traces is not None:
                        self._traces.forgotten(attempt, number)
                case SendUp(message):
                    self._outgoing.append(message)
                case StartAttempt(grant, order):
                    self._start(grant, order)
                case StopAttempt(attempt, reason):
                    if self._life is not None and self._life.attempt.grant.attempt == attempt:
                        self._life.stop(reason)
                case ExtendLease(until, term):
                    self._place.lease.extend(until, term)
                case Vouch(attempt, term):
                    self._place.lease.vouch(attempt, term)
                case SetLogLevel(level):
                    set_level(level)
                case TellLog():
                    self._outgoing.append(LogTold(worker=self.core.info.id, text=self._log_tail.text()))
                case LookAt(variable, folder, proof):
                    self._shared_folders.look(self.core.info.id, variable, folder, proof)
                case LogEvent(happened, fields):
                    log_event(log, happened, self._around(happened) | fields)
                case NextManager():
                    self._turn_to_next_manager()
                case Exit(error, again):
                    self._send()
                    if self.core.reporting.undelivered:
                        text = (
                            f"{self._setup.name} leaves. The server does not have {self._reports_left()}, yet. What is kept in "
                            f"{self._place.folder} is sent when it is started again"
                        )
                        log_event(log, "leaving", {"text": text})
                    self.error, self.again = error, again
                    self.loop.stop()

    def _start(self, grant: Grant, order: Order) -> None:
        """Begin an attempt, or let it end with why it cannot be begun. No folder of the job is touched here: see `Life`."""
        try:
            self._begin(grant, order)
        except Exception as error:
            log.exception("the attempt %s could not be begun", grant.attempt)
            self._life = None
            self._hear_soon(grant, Ended(0.0, f"brender itself failed: {type(error).__name__}: {error}"))

    def _begin(self, grant: Grant, order: Order) -> None:
        engine = self._setup.engines.get(order.engine)
        if engine is None:
            self._hear_soon(grant, Ended(0.0, f"This worker has no engine {order.engine!r}"))
            return
        try:
            order = localized(order, platform.system(), self._setup.site)
        except BadInput as error:
            self._hear_soon(grant, Ended(0.0, str(error)))
            return
        programs = (programs_of(order.settings) if order.engine == "command" else ()) or ("",)
        site_addons = any(each.of_site for each in order.addons)
        refusals = (forbidden(self.core.info, each, order.trusted, bool(order.addons), site_addons) for each in programs)
        if why := next(filter(None, refusals), None):
            # The server knows and would not ask; any other sender is not obeyed.
            self._hear_soon(grant, Ended(0.0, why.said_of(1, [self._setup.name]), permanent=True, elsewhere=True))
            return
        if self._traces is not None:
            self._traces.begun(grant)
        self._stats.energy.begin()
        if hasattr(engine, "events"):
            for event in engine.events(grant, order):
                self._hear_soon(grant, event)
            return
        try:
            attempt = Attempt(grant, order, self._place, partial(self._hear_soon, grant))
        except OSError as error:
            reason = f"The worker's folder {self._place.folder} cannot be written: {error.strerror}"
            self._hear_soon(grant, Ended(0.0, reason, shortage=reason))
            return
        if self._traces is not None:
            attempt.tell_of_step = partial(self._traces.did, grant.attempt)
        self._life = Life(attempt, engine)
        log_event(log, "attempt-started", _about(grant))
        self._files.send_log(grant.job, grant.attempt, attempt.log.path)
        self._life.begin()

    def _hear_soon(self, grant: Grant, event: AttemptEvent) -> None:
        """Let the loop hear *event*. From any thread."""
        if self._traces is not None and isinstance(event, PartFinished):
            self._traces.done(grant, event.part)
        self.loop.post(partial(self._hear, grant, event))

    def _hear(self, grant: Grant, event: AttemptEvent) -> None:
        now, attempt = self._now(), grant.attempt
        match event:
            case Progressed(frame, fraction, line, output):
                self._carry_out(self.core.progressed(attempt, frame, fraction, line, output, now))
            case Cautioned(text, subject):
                self._carry_out(self.core.warned(attempt, text, subject, now))
            case PartFinished():
                self._frames += 1
                self._frame_seconds += event.seconds
                self._carry_out(self.core.part_done(_part_done(attempt, event), now))
            case Pictured(part, thumbnail):
                self._files.send_thumbnail(grant.job, attempt, part, thumbnail)
            case Ended(seconds, reason, permanent, stopped, missing, put_off, out_of_memory, forbidden, cause, elsewhere):
                self._place.lease.forget(attempt)
                if self._traces is not None:
                    self._traces.ended(attempt)
                self._ended["stopped" if stopped else "failed" if reason else "done"] += 1
                if self._life is not None and self._life.attempt.grant.attempt == attempt:
                    how = "attempt-stopped" if reason or stopped else "attempt-ended"
                    log_event(
                        log,
                        how,
                        _about(grant) | {"seconds": round(seconds, 3), "reason": reason or ("it was stopped" if stopped else "")},
                    )
                    self._files.send_log(grant.job, attempt, self._life.attempt.log.path, finished=True)
                    self._life = None
                if missing:
                    # No fault of the job's: the task goes back, and the worker takes no other until there is room.
                    self._disk_trouble = True
                    self._carry_out(self.core.room(missing, now))
                stopped, used = stopped or bool(missing), self._stats.energy.end()
                end = self.core.ended(
                    attempt, seconds, reason, permanent, stopped, now, put_off, out_of_memory, forbidden, cause, used, elsewhere
                )
                self._carry_out(end)

    def _end_attempt(self) -> None:
        """Leave no render process behind, however the loop ended."""
        if self._life is not None:
            self._life.close()
        for engine in self._keeping():
            engine.close()

    @staticmethod
    def _now() -> Now:
        return Now(steady(), time.time())


def _about(grant: Grant) -> dict[str, object]:
    """Return what the log says of the attempt of *grant*."""
    frames = sorted({part.frame for part in grant.parts})
    return {"what": frames_in_words(frames), "job": short_id(grant.job), "attempt": grant.attempt}


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
        memory=event.memory,
        kept=event.kept,
        digest=event.digest,
        further_files=event.further_files,
        noise=event.noise,
    )
