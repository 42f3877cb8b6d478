"""An attempt, as its engine sees it: what it is to do, where, its log, its process.

The seam between worker and engines: an engine gets an `Attempt` and raises `AttemptFailed`; it never sees the bus. Who runs the
engine, and ends the attempt whatever happens in it, is `brender.engines.life`.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Protocol, runtime_checkable

from brender.engines.confine import Confinement, folders_of
from brender.engines.directories import Directory
from brender.engines.disk_space import LEAST
from brender.engines.events import AttemptEvent
from brender.engines.folder_looks import FolderLooks
from brender.engines.leftovers import Leftovers, set_aside
from brender.engines.linewatch import LineWatch
from brender.engines.logfile import LogFile
from brender.engines.ocio import configuration_files, own_configuration
from brender.engines.process import SCRATCH, Supervised
from brender.engines.publish import Lease
from brender.engines.startable import why_not_started
from brender.jobs.steps import programs_of
from brender.model.causes import Cause
from brender.model.devices import Device
from brender.model.failure_patterns import Follows, Match, match
from brender.model.frame_file import FrameFile
from brender.model.grant import Grant, Order
from brender.model.job import COPY
from brender.model.nodes import Blender
from brender.system.removal import remove_tree

#: How the name of a Blender's own folder begins, in the worker's: it works in it, and writes nowhere else.
SESSION = "session-"


class AttemptFailed(Exception):
    """The attempt cannot go on; the text is one sentence for the job's owner. ``permanent``: nor could any other, or, where
    ``follows`` is `Follows.ELSEWHERE`, any other on this worker: its machine lacks what another's may have. ``out_of_memory``:
    the machine had none left. ``forbidden``: the worker has no right to use a folder of the job. ``cause``: as the accounts count
    it. ``follows``: what a pattern in its output lets follow, where that is known already."""

    def __init__(
        self,
        reason: str,
        permanent: bool = False,
        out_of_memory: bool = False,
        forbidden: bool = False,
        cause: Cause = Cause.OTHER,
        follows: Follows | None = None,
    ) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.out_of_memory = out_of_memory
        self.forbidden = forbidden
        self.cause = cause
        self.follows = follows


class FolderRefused(AttemptFailed):
    """A folder of the job lies where this worker's owner allows none. Another worker may allow it."""


class AttemptStopped(Exception):
    """It was asked to stop."""


class Courier(Protocol):
    """Brings a job's files to the worker, and its frames to the server. Every method may be called from any thread."""

    def fetch(self, blob: str, targets: Sequence[Path], ended: Callable[[str], None]) -> None:
        """Bring the content *blob*; link it to those of *targets* that are not there, if the disk can do that. *ended* is called
        with "" once it is here, or with why it cannot be had."""

    def lay_out(self, blob: str, target: Path) -> None:
        """Make the file *target* of *blob*, whole or not at all.

        Raises `OSError`: `FileNotFoundError` where the blob is not here (any more).
        """

    def make_room(self, needed: int, blobs: Collection[str], free: int) -> tuple[int, int]:
        """Give up contents that are not in use, but *blobs*, until *needed* more bytes fit: into the worker's limit, and onto its
        disk with *free* bytes left. Returns the bytes that are too many for either. Raises `OSError`."""

    def moved(self) -> int:
        """Return how many bytes of jobs' files and frames have come and gone so far."""

    def refused(self) -> str:
        """Return why the server takes no frames now, in a sentence, or "" if it does."""

    def deliver(self, file: FrameFile, ended: Callable[[str], None]) -> None:
        """Bring the file of a frame to the server; *ended* is called with "" once it is there, or with why it never will be."""


@dataclass
class Place:
    """What the worker gives every attempt: folders, Blenders, devices, threads, its lease."""

    folder: Path
    blenders: tuple[Blender, ...]
    lease: Lease
    threads: int = 0
    devices: tuple[Device, ...] = ()
    least_free: int = LEAST
    """Bytes that must be free on the disks that it writes to."""
    env: Mapping[str, str] = field(default_factory=dict)
    confinement: Confinement = field(default_factory=Confinement)
    courier: Courier | None = None
    site: str = ""
    looks: FolderLooks = field(default_factory=FolderLooks)
    """How the folders of jobs are looked at."""
    left_behind: Callable[[], None] = lambda: None
    """Called when an attempt may have left something in a job's folders (brender.engines.leftovers)."""

    def log(self, job: str, attempt: str) -> Path:
        """Return the file for the log of *attempt* at *job*, until it is at the server."""
        return self.folder / "logs" / f"{job}-{attempt}.log"

    def logs_left(self) -> Iterator[tuple[str, str, Path]]:
        """The logs that an earlier process of the worker left: job, attempt and file of each, the newest first."""
        for path in sorted((self.folder / "logs").glob("*.log"), key=_changed, reverse=True):
            job, _, attempt = path.stem.partition("-")
            yield job, attempt, path

    def addons_folder(self, session: str) -> Path:
        """Return where the add-ons are unpacked that the Blender of *session* has."""
        return self.folder / "addons" / session

    def job_folder(self, job: str) -> Path:
        """Return where the files and frames of *job* are, where they travel."""
        return self.folder / "jobs" / job


class Attempt:
    """A running attempt, as its engine sees it."""

    def __init__(self, grant: Grant, order: Order, place: Place, emit: Callable[[AttemptEvent], None]) -> None:
        self.grant = grant
        self.order = order
        self.place = place
        self.emit = emit
        self.folder = place.folder / "attempts" / grant.attempt
        self.log = LogFile(place.log(grant.job, grant.attempt))
        self.leftovers = Leftovers(place.folder, grant.attempt)
        self.process: Supervised | None = None
        self.tell_of_step: Callable[[tuple[str, float, float]], None] | None = None
        """Told of what is done for a frame: its name, when it began and ended, in seconds since 1970. ``None``: nobody wants to
        know."""
        self._telling = LineWatch(self._tells)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        """Held for a moment only, and never while a folder is touched: `stop` needs it."""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell of the step *name*, which the block is."""
        if self.tell_of_step is None:
            yield
            return
        began = time.time()
        try:
            yield
        finally:
            self.tell_of_step((name, began, time.time()))

    def start_process(
        self, command: list[str], env: Mapping[str, str], heard: Callable[[bytes], None] = lambda piece: None
    ) -> Supervised:
        """Start *command* under a supervisor, its output going to the log, and each piece of it to *heard* too. Raises
        `AttemptStopped`, and `AttemptFailed` where a sandbox would say in words of its own that it cannot be started."""
        self.check()
        if self.place.confinement.sandbox and (why := why_not_started(command[0], self.folder, env)):
            raise AttemptFailed(f"{command[0]} cannot be started: {why}", permanent=True, follows=Follows.ELSEWHERE)
        self.log.say("starting " + " ".join(command))
        kept = self.confined(command, self.folder)

        def write(piece: bytes) -> None:
            self.hear(piece)
            heard(piece)

        process = Supervised(kept, env, self.folder, write, self.place.confinement.memory)
        try:
            self.use(process)
        except AttemptStopped:
            process.stop()
            raise
        return process

    def confined(self, command: list[str], folder: Path, reads: Iterable[Path] = ()) -> list[str]:
        """Return *command* as it is started in *folder*: in the sandbox, where this worker keeps its renders in one. It also
        *reads* these folders."""
        place, order = self.place, self.order
        if not place.confinement.sandbox:
            return command
        writable = [folder]
        readable: list[Path] = []
        for blender in place.blenders:
            readable += folders_of(blender)
        if own := own_configuration():
            readable += {path.parent for path in configuration_files(own)}
        readable += reads
        if order.bundle:
            readable.append(place.job_folder(order.job))
        elif order.engine == "command" and order.output:
            root, relative = self.output
            with Directory.open(root, relative, make=True):  # what is not there cannot be let in
                writable.append(Path(order.output))
        for name in programs_of(order.settings) if order.engine == "command" else ():
            if program := shutil.which(name):
                readable += {Path(program), Path(program).resolve()}  # (its owner has allowed it)
        return place.confinement.wrap(command, writable, readable, folder)

    @property
    def output(self) -> tuple[Path, str]:
        """The folder that the job's output folder lies below, as this worker's owner allows it, and the path from there.

        Raises `FolderRefused` where it lies elsewhere.
        """
        return self.allowed("The job's output folder", Path(self.order.output))

    def allowed(self, what: str, path: Path) -> tuple[Path, str]:
        """Return the root that the folder *path*, which is *what*, is reached from, and its path from there. Raises
        `FolderRefused` where this worker's owner does not allow it."""
        confinement = self.place.confinement
        if self.order.bundle or not confinement.roots:
            return path, ""
        if refusal := confinement.refusal(what, path):
            raise FolderRefused(refusal)
        found = confinement.place(path)
        assert found is not None, "it is not refused"
        return found

    def where(self, final: Path) -> tuple[Path, str]:
        """Return the root and the path from there of the file *final*, which is to be published. Raises `AttemptFailed`."""
        output = Path(self.order.output)
        if final.is_relative_to(output):
            root, below = self.output
            return root, (PurePath(below) / final.relative_to(output)).as_posix()
        try:
            root, below = self.allowed("The folder of a file-output node", final.parent)
        except FolderRefused as error:  # it was rendered by now: again and again it would be
            raise AttemptFailed(str(error)) from error
        return root, (PurePath(below) / final.name).as_posix()

    def use(self, process: Supervised) -> None:
        """Work with *process*, which is not the attempt's own: it ends only where the attempt is stopped meanwhile, or where
        it is not given back. Raises `AttemptStopped`."""
        with self._lock:
            self.check()
            self.process = process

    def give_back(self) -> None:
        """Let the process that it uses live on. Raises `AttemptStopped` where that is being ended."""
        with self._lock:
            self.check()
            self.process = None

    @property
    def written(self) -> list[Path]:
        """The folders of the job that it writes to; none where files travel. Their drives may not answer."""
        if self.order.bundle:
            return []
        copies = self.order.settings.get("copy_to") if any(part.piece == COPY for part in self.grant.parts) else ""
        return [Path(each) for each in (self.order.output, copies) if each]

    @property
    def folders(self) -> list[Path]:
        """The folders of the job that it works with, those that are `written` first. Their drives may not answer."""
        if self.order.bundle:
            return []
        read = [str(self.order.settings.get(name) or "") for name in ("file", "ocio")]
        return list(dict.fromkeys([*self.written, *(Path(each).parent for each in read if Path(each).is_absolute())]))

    def hear(self, piece: bytes) -> None:
        """Take a *piece* of what a program prints for it: into the log, and looked at for patterns that mean failure."""
        self.log.write(piece)
        self._telling.feed(piece)

    def check_output(self, what: str) -> None:
        """Look at what was printed since the last call, for *what* has gone well, as its program says. Raises `AttemptFailed`
        where a pattern says otherwise."""
        if found := [each for each in self._told() if each.pattern.always]:
            raise AttemptFailed(
                f"{what} counts as failed. {found[0].said}", cause=found[0].pattern.cause, follows=found[0].pattern.follows
            )

    def telling_line(self) -> Match | None:
        """Return the line that tells why it has failed, of what was printed since the last `check_output`; ``None`` where no
        pattern knows one."""
        found = self._told()
        return next((each for each in found if each.pattern.always), found[0] if found else None)

    def ignores(self, line: str) -> bool:
        """Return whether the farm wants *line* to mean nothing."""
        found = match(line, self.order.patterns)
        return found is not None and found.pattern.follows is Follows.IGNORE

    def _told(self) -> list[Match]:
        self._telling.feed(b"\n")  # the last line may have no end
        return self._telling.take()

    def _tells(self, line: str) -> Match | None:
        found = match(line, self.order.patterns)
        return found if found is not None and found.pattern.follows is not Follows.IGNORE else None

    def check(self) -> None:
        """Raises `AttemptStopped` where the attempt was asked to stop."""
        if self._stopping.is_set():
            raise AttemptStopped

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """End it soon. From any thread; does not wait."""
        self._stopping.set()
        with self._lock:
            if self.process is not None:
                self.process.let_go()


class Engine(Protocol):
    """Something that can run a grant, in a thread that each attempt has of its own."""

    def run(self, attempt: Attempt) -> None:
        """Do every part of the attempt's grant, emitting events. Returns when all is done; raises `AttemptFailed` or
        `AttemptStopped`."""


@runtime_checkable
class KeepsProcesses(Protocol):
    """An engine that keeps processes beyond the attempts that they were started for."""

    @property
    def pid(self) -> int | None:
        """The process that is kept now."""

    def look(self) -> None:
        """Close what was kept long enough, or what the machine has no memory for. Called now and then, from any thread."""

    def close(self) -> None:
        """Close everything. No attempt runs."""


class InstantEngine(Protocol):
    """Something that is done with a grant at once, without a process or a thread; told by its `events`."""

    def events(self, grant: Grant, order: Order) -> Iterable[AttemptEvent]:
        """All that happens in the attempt, the last of it an `Ended`."""


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def set_leftovers_aside(folder: Path) -> None:
    """Move what attempts of an earlier process of the worker in *folder* left out of the way of new ones. Raises `OSError`."""
    set_aside(folder)
    remove_tree(folder / "attempts")
    remove_tree(folder / "addons")
    for name in (SCRATCH, SESSION):
        for scratch in (folder / "blender").glob(f"{name}*"):
            remove_tree(scratch)
