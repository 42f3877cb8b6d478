"""A Blender that reads .blend files and renders nothing: started when it is first asked, kept for a while.

Starting one takes half a second, and opening a file in one that runs a twentieth: so one is kept for each kind of Blender until
nobody has asked for `_IDLE_SECONDS`. Scripts in the files never run.
"""

import atexit
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brender.engines.blenders import ask, own_bpy
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.errors import BadInput, BrenderError
from brender.model.nodes import Blender, can_read

_SCRIPT = Path(__file__).parent / "inside" / "trace.py"
_DONE = "BRENDER_DONE"
#: What Blender prints of a scene whose render engine it does not know, and for which it takes its default (wm_files.cc).
_ENGINE = re.compile(r"Engine '(.+)' not available for scene '(.+)' \(an add-on")
#: Seconds that opening one file may take.
_SECONDS = 600.0
_IDLE_SECONDS = 60.0
_WORDS_LINES = 5


class CannotOpen(BadInput):
    """Blender cannot open the file; the text is its own."""


class NoReader(BrenderError):
    """This machine's Blender does not start; the text says why."""


class Reader:
    """Reads .blend files in *blender*. Every method may be called from any thread; one file is read at a time."""

    def __init__(self, blender: Blender) -> None:
        self.blender = blender
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._folder = Path()
        self._idle: threading.Timer | None = None

    def ask(self, file: Path, copy: str = "", names: dict[str, str] | None = None) -> dict[str, Any]:
        """Return what inside/trace.py tells of *file*; with *copy*, also write a copy there in which each path that is a key of
        *names* is the other one. Raises `CannotOpen` where Blender cannot,
        `BadInput` where it takes too long, `NoReader` where it does not even start."""
        with self._lock, self._running() as process:
            answer = self._folder / "answer.json"
            answer.unlink(missing_ok=True)
            request = {"file": str(file), "answer": str(answer), "copy": copy, "names": names or {}}
            said = self._exchange(process, json.dumps(request) + "\n", file)
            try:
                told = json.loads(answer.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise CannotOpen(f"{self.blender.label} cannot open it: {_last(said)}") from error
            if "error" in told:
                raise CannotOpen(f"{self.blender.label} cannot open it: {told['error']}")
            engines = {found[2]: found[1] for line in said if (found := _ENGINE.search(line))}
            for scene in told["scenes"]:
                scene["engine"] = engines.get(scene["name"], scene["engine"])
            return dict(told)

    def close(self) -> None:
        """End its process, if there is one."""
        with self._lock:
            self._end()

    @contextlib.contextmanager
    def _running(self) -> Iterator[subprocess.Popen[str]]:
        if self._idle is not None:
            self._idle.cancel()
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._process is not None
        try:
            yield self._process
        finally:
            self._idle = threading.Timer(_IDLE_SECONDS, self.close)
            self._idle.daemon = True
            self._idle.start()

    def _start(self) -> None:
        self._end()
        self._folder = Path(tempfile.mkdtemp(prefix="brender-reader-"))
        self._process = subprocess.Popen(
            script_in(self.blender, _SCRIPT),
            env=clean_environment({}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            self._exchange(self._process, "", Path("anything"))
        except BadInput as error:
            raise NoReader(f"{self.blender.label} does not start: {error}") from error

    def _exchange(self, process: subprocess.Popen[str], request: str, file: Path) -> list[str]:
        """Send *request* and return the lines that Blender printed until it was done. Raises `BadInput` where it ended."""
        assert process.stdin is not None and process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(_SECONDS, give_up)
        timer.start()
        lines: list[str] = []
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request)
                process.stdin.flush()
            for line in process.stdout:
                if line.strip() == _DONE:
                    return lines
                if line.strip():
                    lines.append(line.strip())
        finally:
            timer.cancel()
        self._end()
        if late.is_set():
            raise BadInput(f"{self.blender.label} did not open {file} within {_SECONDS:.0f} seconds")
        raise CannotOpen(f"{self.blender.label} cannot open it: it ended. Its last words: {_last(lines)}")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # what was not yet sent
                pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)


_readers: dict[Blender, Reader] = {}
_readers_lock = threading.Lock()


def reader_for(version: tuple[int, int]) -> Reader | None:
    """Return a reader whose Blender can open what *version* saved, or ``None`` where this machine has none.

    The bpy package of this Python comes first, then the ``blender`` on the path.
    """
    for found in (own_bpy, _executable):
        blender = found()
        if blender is not None and can_read(blender, version):
            with _readers_lock:
                return _readers.setdefault(blender, Reader(blender))
    return None


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
