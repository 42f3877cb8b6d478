"""Finished frames on their way from the server's incoming folder into the folders of their jobs.

A frame lies in the incoming folder, safe from a power cut, from before its report is accepted until it lies in its job's folder
just as safely. A folder that cannot take it now, or does not answer, gets it later; until then its job says so.
"""

import contextlib
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from brender.engines.directories import signature
from brender.engines.publish import BadSource, put
from brender.model.errors import BadInput
from brender.roles.effects import PublishFrame
from brender.roles.server.folder_threads import Alive, FolderThreads
from brender.transfer.durable import flush_folder

log = logging.getLogger("brender.files")

AGAIN_SECONDS = 30.0
#: Frames whose folders are flushed together.
_BATCH = 64


@dataclass
class _Folder:
    """A job's folder that frames wait for."""

    frames: dict[PublishFrame, None] = field(default_factory=dict)
    """Those that are to be placed now, in their order."""
    failed: dict[PublishFrame, str] = field(default_factory=dict)
    """Those that could not be placed, and why."""
    of_file: dict[tuple[str, str], PublishFrame] = field(default_factory=dict)
    """All of these, by job and file: the one that came last of each."""
    again: float = 0.0
    """When those are tried again, monotonic."""
    at_work: bool = False


class Placement:
    """Places frames in the folders of their jobs, each folder's by a thread of its own (*threads*).

    *incoming* gives the path at which a file of an attempt's part arrives, by its number. *folder_of* gives this machine's folder
    for a job's output, or raises `BadInput`. *before* is called with each frame before it is moved, and where it lies then.
    *placed* is called with frames that are in their places. Both are called in threads.
    """

    def __init__(
        self,
        threads: FolderThreads,
        incoming: Callable[[str, int, int], Path],
        folder_of: Callable[[str], Path],
        before: Callable[[PublishFrame, Path], None],
        placed: Callable[[list[PublishFrame]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads = threads
        self._incoming = incoming
        self._folder_of = folder_of
        self._before = before
        self._placed = placed
        self._clock = clock
        self._lock = threading.Lock()
        self._folders: dict[str, _Folder] = {}

    def add(self, frame: PublishFrame) -> None:
        """Place *frame* as soon as its folder takes it, instead of an earlier one of the same file."""
        with self._lock:
            folder = self._folders.setdefault(frame.into, _Folder())
            known = folder.of_file.get((frame.job, frame.output))
            older = [known] if known is not None and known != frame else []
            self._drop(folder, older)
            folder.frames[frame] = None
            folder.of_file[frame.job, frame.output] = frame
        if older:
            self._threads.do(frame.into, lambda alive: self._throw_away(older))
            self._placed(older)
        self._work(frame.into)

    def waiting(self, job: str) -> set[tuple[str, int]]:
        """Return the frames of *job* that are not in their places, each by its attempt and part."""
        with self._lock:
            return {(frame.attempt, frame.part) for frame in self._all() if frame.job == job}

    def give_up(self, job: str) -> None:
        """Throw the frames of *job* away that are not in their places. In a thread of its folder."""
        with self._lock:
            dropped = [frame for frame in self._all() if frame.job == job]
            for folder in self._folders.values():
                self._drop(folder, dropped)
        self._throw_away(dropped)
        if dropped:
            self._placed(dropped)

    def tick(self) -> None:
        """Try again, where it is time for that, what could not be placed."""
        due = []
        with self._lock:
            for into, folder in list(self._folders.items()):
                if folder.failed and folder.again <= self._clock():
                    folder.frames |= dict.fromkeys(folder.failed)
                    due.append(into)
                elif not (folder.frames or folder.failed or folder.at_work):
                    del self._folders[into]
        for into in due:
            self._work(into)

    def hindrances(self) -> dict[str, str]:
        """Return a sentence for each job with frames that wait for its folder: how many, and for what."""
        silent = self._threads.silent()
        said = {}
        with self._lock:
            for into, folder in self._folders.items():
                if into not in silent and not folder.failed:
                    continue
                whys = {frame.job: why for frame, why in folder.failed.items()}
                for job, count in Counter(frame.job for frame in folder.of_file.values()).items():
                    if into in silent:
                        said[job] = f"The folder {self._shown(into)} does not answer; {_wait(count)} to be put there"
                    elif job in whys:
                        said[job] = (
                            f"{_wait(count)} to be put into {self._shown(into)}, which is tried again every "
                            f"{AGAIN_SECONDS:.0f} seconds: {whys[job]}"
                        )
        return said

    def _work(self, into: str) -> None:
        with self._lock:
            folder = self._folders[into]
            if folder.at_work:
                return
            folder.at_work = True
        self._threads.do(into, lambda alive: self._place_all(into, alive))

    # --- in a thread of the folder --------------------------------------------------------------------------------------

    def _place_all(self, into: str, alive: Alive) -> None:
        folder = self._folders[into]
        while True:
            with self._lock:
                batch = list(islice(folder.frames, _BATCH))
                if not batch:
                    folder.at_work = False
                    return
            failed = self._place(batch, alive)
            with self._lock:
                # What was given up meanwhile has been told already.
                still = [frame for frame in batch if frame in folder.frames]
                self._drop(folder, still)
                for frame in still:
                    if frame in failed:
                        folder.failed[frame] = failed[frame]
                        folder.of_file[frame.job, frame.output] = frame
                        folder.again = self._clock() + AGAIN_SECONDS
            if done := [frame for frame in still if frame not in failed]:
                self._placed(done)

    def _place(self, batch: list[PublishFrame], alive: Alive) -> dict[PublishFrame, str]:
        """Place *batch*, so that it survives a power cut; returns those frames that could not be, with why."""
        failed: dict[PublishFrame, str] = {}
        changed: set[Path] = set()
        copied: list[Path] = []
        for frame in batch:
            alive()
            try:
                self._move(frame, changed, copied, alive)
            except (OSError, BadSource, BadInput) as error:
                failed[frame] = _why(error)
                log.error("the frame %s cannot be put into %s now: %s", frame.output, frame.into, error)
            except Exception as error:  # whatever is wrong with one frame, the others go on
                failed[frame] = str(error)
                log.exception("the frame %s cannot be put into %s", frame.output, frame.into)
        try:
            for each in changed:
                alive()
                flush_folder(each)
        except OSError as error:
            return dict.fromkeys(batch, _why(error))
        for source in copied:
            source.unlink(missing_ok=True)
        return failed

    def _move(self, frame: PublishFrame, changed: set[Path], copied: list[Path], alive: Alive) -> None:
        """Give the files of *frame* their names; adds the folders to flush to *changed*, and files to delete after that to
        *copied*. The frame itself comes last: while it is in the incoming folder, not all is done."""
        folder = self._folder_of(frame.into)
        self._before(frame, self._incoming(frame.attempt, frame.part, 0))
        names = (frame.output, *frame.further_files)
        for number in (*range(1, len(names)), 0):
            arrived, target = self._incoming(frame.attempt, frame.part, number), folder / names[number]
            _note_folders(target.parent, changed)
            if not arrived.exists():
                # It was moved by an earlier try, which went wrong later, or before the server was started again.
                if signature(folder, names[number]) is None:
                    log.error("the file %s is gone, from %s too", target, arrived)
            elif put(folder, names[number], arrived, f".{target.name}.{os.getpid()}", alive):
                copied.append(arrived)

    def _throw_away(self, frames: Iterable[PublishFrame]) -> None:
        for frame in frames:
            for number in range(len(frame.further_files) + 1):
                with contextlib.suppress(OSError):
                    self._incoming(frame.attempt, frame.part, number).unlink(missing_ok=True)

    # --- with the lock held ---------------------------------------------------------------------------------------------

    def _all(self) -> Iterable[PublishFrame]:
        for folder in self._folders.values():
            yield from folder.of_file.values()

    @staticmethod
    def _drop(folder: _Folder, frames: Iterable[PublishFrame]) -> None:
        for frame in frames:
            folder.frames.pop(frame, None)
            folder.failed.pop(frame, None)
            if folder.of_file.get((frame.job, frame.output)) == frame:
                del folder.of_file[frame.job, frame.output]

    def _shown(self, into: str) -> str:
        try:
            return str(self._folder_of(into))
        except BadInput:
            return into


def _wait(count: int) -> str:
    return "1 finished frame waits" if count == 1 else f"{count} finished frames wait"


def _why(error: OSError | BadSource | BadInput) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _note_folders(path: Path, changed: set[Path]) -> None:
    """Add the folder *path*, in which something changes, to *changed*, and each that gets a new folder with it. Raises
    `OSError`."""
    changed.add(path)
    if not path.exists():
        _note_folders(path.parent, changed)
