"""A Blender that reads .blend files and renders nothing: started when it is first asked, kept for a while.

Starting one takes half a second, and opening a file in one that runs a twentieth: so one is kept for each kind of Blender until
nobody has asked for `_IDLE_SECONDS`. Scripts in the files never run.
"""

import atexit
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brender import engines
from brender.engines.blenders import ask, own_bpy
from brender.engines.color import color_line, color_loss, read_remarks
from brender.engines.command_line import script_in
from brender.engines.confine import Confinement, folders_of
from brender.engines.environment import clean_environment
from brender.engines.ocio import VARIABLES, configuration_files, environment_of, own_configuration
from brender.model.errors import BadInput, BrenderError
from brender.model.nodes import Blender, reads_all
from brender.system.removal import remove_tree

_SCRIPT = Path(engines.__file__).parent / "inside" / "trace.py"
#: What Blender prints of a scene whose render engine it does not know, and for which it takes its default (wm_files.cc).
_ENGINE = re.compile(r"Engine '(.+)' not available for scene '(.+)' \(an add-on")
#: Seconds that opening one file may take, and one of a stranger's.
_SECONDS, _STRANGER_SECONDS = 600.0, 120.0
_IDLE_SECONDS = 60.0
_WORDS_LINES = 5


class CannotOpen(BadInput):
    """Blender cannot open the file; the text is its own."""


class NoReader(BrenderError):
    """This machine's Blender does not start, or our program in it fails; the text says why."""


class Reader:
    """Reads .blend files in *blender*. Every method may be called from any thread; one file is read at a time.

    With *within*, what is read comes from a stranger: the process sees of homes and temporary folders only that folder, where
    bubblewrap is installed, and nothing that lies beyond it is looked at. *seconds*: as many as opening one file may take.
    *configuration*: the OCIO configuration that files are opened with, "" for Blender's own.
    """

    def __init__(self, blender: Blender, within: Path | None = None, seconds: float = _SECONDS, configuration: str = "") -> None:
        self.blender, self.configuration = blender, configuration
        self._within, self._seconds = within, seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._folder = Path()
        self._idle: threading.Timer | None = None
        self._owner = os.getpid()

    def ask(self, file: Path, copy: Path | None = None, names: dict[str, str] | None = None) -> dict[str, Any]:
        """Return what inside/trace.py tells of *file*; with *copy*, also write a copy there in which each path that is a key of
        *names* is the other one.

        Raises `CannotOpen` where Blender cannot open it, `BadInput` where that takes too long or a copy would lose colors,
        `NoReader` where Blender does not start or cannot tell.
        """
        with self._lock, self._running() as process:
            # (In a sandbox it writes to its own folder only.)
            written = "" if copy is None else str(self._folder / "copy.blend")
            told, said = self._exchange(process, file, written, names or {})
            if "error" in told:
                # Blender names the file twice in it.
                words = re.sub(r'^Loading ".*" failed: |(?<=read blend file )\'.*?\': ', "", str(told["error"]))
                raise CannotOpen(f"{self.blender.label}: {words}")
            if "fault" in told or Path(told["file"]) != file:
                self._end()
                raise NoReader(f"{self.blender.label} cannot tell of {file}: {told.get('fault', 'it told of another file')}")
            if copy is not None:
                remarks = read_remarks([remark for line in said if (remark := color_line(line)) is not None])
                if loss := color_loss(remarks, file, self.blender.label, self.configuration):
                    raise BadInput(loss)
                shutil.move(written, copy)
            engines = {found[2]: found[1] for line in said if (found := _ENGINE.search(line))}
            for scene in told["scenes"]:
                scene["engine"] = engines.get(scene["name"], scene["engine"])
            return told

    def close(self) -> None:
        """End its process, if there is one and this process started it."""
        if os.getpid() == self._owner:
            with self._lock:
                self._end()

    @contextlib.contextmanager
    def _running(self) -> Iterator[subprocess.Popen[str]]:
        if self._idle is not None:
            self._idle.cancel()
        if self._process is None or self._process.poll() is not None or os.getpid() != self._owner:
            self._start()
        assert self._process is not None
        try:
            yield self._process
        finally:
            self._idle = threading.Timer(_IDLE_SECONDS, self.close)
            self._idle.daemon = True
            self._idle.start()

    def _start(self) -> None:
        if os.getpid() == self._owner:
            self._end()
        self._owner = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="brender-reader-"))
        command = script_in(self.blender, _SCRIPT)
        if self._within is not None and sys.platform == "linux" and shutil.which("bwrap") is not None:
            readable = [
                self._within,
                *folders_of(self.blender),
                *(file.parent for file in configuration_files(self.configuration)),
            ]
            command = Confinement(sandbox=True).wrap(command, [self._folder], readable, self._folder)
        environment = {name: value for name, value in clean_environment({}).items() if name not in VARIABLES}
        self._process = subprocess.Popen(
            command,
            env=environment | environment_of(self.configuration),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            self._exchange(self._process, None, "", {})
        except BadInput as error:
            raise NoReader(f"{self.blender.label} does not start: {error}") from error

    def _exchange(
        self, process: subprocess.Popen[str], file: Path | None, copy: str, names: dict[str, str]
    ) -> tuple[dict[str, Any], list[str]]:
        """Ask about *file* (``None``: nothing); return the answer, and the lines that Blender printed meanwhile."""
        assert process.stdin is not None and process.stdout is not None
        # Blender prints names that files have: neither the mark nor where the answer lies may be known to one.
        mark = f"brender-{secrets.token_hex(16)}"
        answer = self._folder / f"{mark}.json"
        request = {"file": str(file or ""), "within": str(self._within or ""), "copy": copy, "names": names}
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._seconds, give_up)
        timer.start()
        lines: list[str] = []
        has_begun = False
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request | {"answer": str(answer), "mark": mark}) + "\n")
                process.stdin.flush()
            for line in process.stdout:
                if line.strip() == mark and not has_begun:
                    has_begun = True
                    lines.clear()  # of what was open before
                elif line.strip() == mark:
                    told = dict(json.loads(answer.read_text("utf-8")))
                    answer.unlink()
                    return told, lines
                elif line.strip():
                    lines.append(line.strip())
        except (OSError, ValueError) as error:
            self._end()
            raise NoReader(f"{self.blender.label} gave no answer: {error}") from error
        finally:
            timer.cancel()
        self._end()
        what = file or "anything"
        if late.is_set():
            raise BadInput(f"{self.blender.label} did not open {what} within {self._seconds:.0f} seconds")
        raise CannotOpen(f"{self.blender.label} cannot open {what}: it ended. Its last words: {_last(lines)}")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # what it was not sent any more
                pipe.close()
        remove_tree(self._folder)


_readers: dict[tuple[Blender, str], Reader] = {}
_readers_lock = threading.Lock()


@contextlib.contextmanager
def reader_for(version: tuple[int, int], within: Path | None = None, configuration: str | None = None) -> Iterator[Reader | None]:
    """Give a reader whose Blender can open what *version* saved, or ``None`` where this machine has none. *configuration*: its
    OCIO configuration, "" for Blender's own, ``None`` for that of this process's environment.

    The bpy package of this Python comes first, then the ``blender`` on the path. What lies *within* a folder of a stranger's is
    read by a process of its own, so that it can neither hold up nor mislead anybody else.
    """
    # An older one would lose data, and write copies without it.
    here = (find() for find in (own_bpy, _executable))
    blender = next((found for found in here if found is not None and reads_all(found, version)), None)
    if blender is None:
        yield None
        return
    ocio = own_configuration() if configuration is None else configuration
    if within is None:
        with _readers_lock:
            shared = _readers.setdefault((blender, ocio), Reader(blender, configuration=ocio))
        yield shared
        return
    own = Reader(blender, within.resolve(), _STRANGER_SECONDS, ocio)
    try:
        yield own
    finally:
        own.close()


def _executable() -> Blender | None:
    path = shutil.which("blender")
    try:
        return ask(path) if path is not None else None
    except BrenderError:
        return None


def close_readers() -> None:
    """End all that run."""
    with _readers_lock:
        for reader in _readers.values():
            reader.close()


def _last(lines: list[str]) -> str:
    return " / ".join(lines[-_WORDS_LINES:]) or "none"


atexit.register(close_readers)
