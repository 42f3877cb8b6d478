"""Keeps Blender warm: a session stays open after its attempt, for the next one of the same scene."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed, AttemptStopped
from brender.engines.ocio import configuration_files
from brender.engines.session import Session
from brender.model.nodes import Blender
from brender.model.text import plural
from brender.system.memory import read_memory

Signature = tuple[int, ...] | None
"""Of a file: its inode, its size, and where they mean something the times of change of its content (mtime) and of the file itself
(ctime), in nanoseconds. A file that is put in the place of another may have that one's size and mtime."""
_MTIME, _CTIME = 2, 3
#: Nanoseconds that the times of files lag behind the clock at most: the system takes them from its last tick.
_CLOCK_STEP = 20_000_000
#: What a log says before the reason why the scene was not open.
OPENS_AGAIN = " opens the scene again: "
#: Why a Blender is not open any more that no attempt gave back.
_NOT_RETURNED = "the attempt before failed or was canceled, or needed a Blender of its own"
_KEPT_APART = "the one that was open rendered another job, and this worker keeps jobs apart"


@dataclass(frozen=True)
class Warmth:
    """How long a Blender is kept that renders nothing: ``seconds`` (0: not at all), or until the machine has less than
    ``least_free`` of its memory available (0 to 1). After ``frames`` frames (0: never) it is restarted."""

    seconds: float = 300.0
    frames: int = 0
    least_free: float = 0.1


@dataclass
class WarmScene:
    """A session with its scene open. ``request`` is what it was asked to open, ``opened`` what the driver found."""

    session: Session
    blender: Blender
    request: dict[str, Any]
    opened: dict[str, Any]
    job: str
    files: dict[str, Signature]
    """The files that it uses, as they were."""
    laid_out: Path
    """Below it the files are those that the worker laid out itself."""

    def why_not_for(self, blender: Blender, request: Mapping[str, Any], job: str) -> str:
        """Return why it is not what *request* would open, to the last texture, as a clause; "" if it is."""
        if self.blender != blender:
            return f"the one that was open is {self.blender.label}"
        if self.request["file"] != request["file"]:
            is_sent = Path(self.request["file"]).is_relative_to(self.laid_out)
            return "a scene sent with another job was open" if is_sent else f"another scene was open, {self.request['file']}"
        if self.job != job and self.opened["vague"]:
            return "the scene uses files that Blender does not name, and is opened again for each job"
        if not self.session.alive:
            return "the one that was open has ended"
        now = signatures(self.files, self.laid_out)
        changed = next((path for path, signature in self.files.items() if now[path] != signature), None)
        if changed is not None:
            return f"{changed} was changed since the scene was opened"
        others = [name.replace("_", " ") for name in request if name != "note" and self.request[name] != request[name]]
        if others:
            return f"the scene was open with other settings ({', '.join(others)})"
        return "" if self.request == request else "a file or a setting of the scene was changed"


class Keeper:
    """Lends the session that an attempt needs: the one that it keeps, or a new one. Keeps one at most."""

    def __init__(self, warmth: Warmth, available: Callable[[], float] | None = None) -> None:
        self.warmth = warmth
        self._available = available or memory_available
        self._lock = threading.Lock()
        self._kept: WarmScene | None = None
        self._since = 0.0
        self._why_closed = ""
        """Why none is kept that was, as a clause; "" before the first."""

    def take(
        self, attempt: Attempt, blender: Blender, env: Mapping[str, str], request: dict[str, Any], fresh: str = ""
    ) -> WarmScene:
        """Return a session of *blender* that has opened what *request* names: a new one if the kept one does not serve, or if
        *fresh* says why it must be new. The attempt's log says which, and why. Raises `AttemptFailed` or `AttemptStopped`."""
        kept, why = self._taken(), fresh or self._why_closed
        if kept is not None:
            why = fresh or self._why_not(kept, attempt, blender, request)
            if not why:
                attempt.log.say(f"{blender.label} is warm: it has the scene open, after {plural(kept.session.frames, 'frame')}")
                kept.job = attempt.grant.job
                return kept
            kept.session.close(wait=True)
        if why:
            attempt.log.say(f"{blender.label}{OPENS_AGAIN}{why}")
        self._why_closed = _NOT_RETURNED
        laid_out = attempt.place.folder / "jobs"
        before = signatures([request["file"], *map(str, configuration_files(request["ocio"]))], laid_out)
        session = Session(attempt, blender, env, attempt.place.folder / "blender", request["threads"])
        began = time.time_ns()
        try:
            opened = session.open(**request)
        except BaseException:
            session.close(wait=True)
            raise
        files = unsure_of_changed(signatures(opened["files"], laid_out), began) | before
        return WarmScene(session, blender, request, opened, attempt.grant.job, files, laid_out)

    def begin(self, attempt: Attempt, blender: Blender, env: Mapping[str, str], threads: int) -> Session:
        """Return a new session with nothing open, which is never kept: its owner closes it. Raises `AttemptFailed` or
        `AttemptStopped`."""
        kept = self._taken()
        if kept is not None:
            kept.session.close(wait=True)
        return Session(attempt, blender, env, attempt.place.folder / "blender", threads)

    def give_back(self, scene: WarmScene) -> None:
        """The attempt is done with *scene*: it is kept, or closed. Raises `AttemptFailed` or `AttemptStopped`."""
        scene.session.rest()
        frames = scene.session.frames
        if self.warmth.frames and frames >= self.warmth.frames:
            self._why_closed = f"the one that was open had rendered {plural(frames, 'frame')} (--warm-frames)"
        elif self.warmth.seconds <= 0:
            self._why_closed = "this worker keeps none open (--keep-warm 0)"
        elif self._available() < self.warmth.least_free:
            self._why_closed = _short_of_memory(self.warmth)
        else:
            self._keep(scene)
            return
        scene.session.close()

    @property
    def pid(self) -> int | None:
        """The process that is kept, ``None`` for none."""
        kept = self._kept
        return kept.session.process.pid if kept is not None else None

    def look(self) -> None:
        """Close what has been kept for long enough, what died, and what the machine needs the memory of."""
        with self._lock:
            kept = self._kept
            if kept is None:
                return
            rested = time.monotonic() - self._since
            if not kept.session.alive:
                why = "the one that was open has ended"
            elif rested >= self.warmth.seconds:
                why = f"the one that was open had nothing to render for {self.warmth.seconds:g} s (--keep-warm)"
            elif self._available() < self.warmth.least_free:
                why = _short_of_memory(self.warmth)
            else:
                return
            self._kept, self._why_closed = None, why
        kept.session.close()

    def close(self) -> None:
        """Close it, and wait until that is done."""
        kept = self._taken()
        if kept is not None:
            kept.session.close(wait=True)

    def _why_not(self, kept: WarmScene, attempt: Attempt, blender: Blender, request: Mapping[str, Any]) -> str:
        if attempt.place.confinement.sandbox and kept.job != attempt.grant.job:
            return _KEPT_APART  # one job's scripts, or what took its Blender over, render nothing of another's
        why = kept.why_not_for(blender, request, attempt.grant.job)
        return why or ("" if self._is_awake(kept, attempt) else "the one that was open has ended")

    @staticmethod
    def _is_awake(kept: WarmScene, attempt: Attempt) -> bool:
        """Return whether the kept process still answers: what died at rest is not a failure of the attempt."""
        try:
            kept.session.serve(attempt)
        except AttemptFailed:
            return False
        except AttemptStopped:
            kept.session.close()
            raise
        return True

    def _keep(self, scene: WarmScene) -> None:
        with self._lock:
            self._kept, self._since = scene, time.monotonic()

    def _taken(self) -> WarmScene | None:
        with self._lock:
            kept, self._kept = self._kept, None
            if kept is not None:
                self._why_closed = _NOT_RETURNED
            return kept


def _short_of_memory(warmth: Warmth) -> str:
    return f"less than {warmth.least_free:.0%} of the machine's memory was available"


def signatures(paths: Iterable[str], laid_out: Path) -> dict[str, Signature]:
    """Return what tells whether the files *paths* have changed; ``None`` for one that is not there.

    A file that the worker has laid out, below *laid_out*, is a link to a blob, whose content never changes and whose times change
    with each use by anybody. It is known by its inode and size alone.
    """
    found: dict[str, Signature] = {}
    for path in paths:
        try:
            stat = Path(path).stat()
        except OSError:
            found[path] = None
        else:
            times = () if Path(path).is_relative_to(laid_out) else (stat.st_mtime_ns, stat.st_ctime_ns)
            found[path] = (stat.st_ino, stat.st_size, *times)
    return found


def unsure_of_changed(files: Mapping[str, Signature], began: int) -> dict[str, Signature]:
    """Return *files* with a signature that no file has for those that were changed since *began*, in nanoseconds: Blender, which
    began to open them then, may have read them before."""
    # What Windows calls ctime is when the file was created.
    when = _MTIME if os.name == "nt" else _CTIME
    return {
        path: () if signature is not None and len(signature) > when and signature[when] > began - _CLOCK_STEP else signature
        for path, signature in files.items()
    }


def memory_available() -> float:
    """Return how much of the machine's memory is free for use, 0 to 1."""
    memory = read_memory()
    return memory.available / memory.total
