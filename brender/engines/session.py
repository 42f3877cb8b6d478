"""A Blender process with our driver in it: started, asked, listened to, closed.

A session opens a file once and renders any number of frames of it, for one attempt after another. Who keeps it, and for how
long, is `brender.engines.warm`'s matter.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brender.engines.addons import addons_for
from brender.engines.attempt import SESSION, Attempt, AttemptFailed
from brender.engines.color import color_line, read_remarks
from brender.engines.command_line import script_in
from brender.engines.device_errors import device_error
from brender.engines.events import Progressed
from brender.engines.linewatch import LineWatch
from brender.engines.process import Supervised
from brender.engines.progress import FILMING, LOADING, RENDERING, FrameProgress, read_progress, read_status
from brender.model.addon import ENABLING
from brender.model.causes import Cause
from brender.model.failure_patterns import Follows
from brender.model.nodes import Blender
from brender.model.text import once_each
from brender.system.removal import remove_tree

_DRIVER = Path(__file__).parent / "inside" / "driver.py"
#: Seconds between two looks at whether the process still lives and the attempt still should.
_LOOK_SECONDS = 0.5
_START_SECONDS = 300.0
#: Seconds within which what connects says who it is.
_HELLO_SECONDS = 5.0
#: Seconds that output which is on its way may take to arrive.
_OUTPUT_SECONDS = 5.0
#: Seconds that a process which was let go may take to end.
_END_SECONDS = 30.0

_UNIX = getattr(socket, "AF_UNIX", None)


@dataclass(frozen=True)
class Rendered:
    """A frame, as Blender tells of it: the seconds it took, and the bytes that the process has held at most until then (0: not
    known)."""

    seconds: float
    memory: int
    written: tuple[Any, ...] = ()
    """What file-output nodes wrote beside it (inside/nodes.py)."""


class Session:
    """A *blender* running in a new folder in *folder*, started for *attempt*, which it serves until it is given to another
    (`serve`). *threads*: as many as it may use, 0 for all.

    Every method but `close` raises `AttemptFailed` or `AttemptStopped`; after either the session is of no more use.
    """

    def __init__(self, attempt: Attempt, blender: Blender, env: Mapping[str, str], folder: Path, threads: int = 0) -> None:
        self.frames = 0
        """How many it has rendered."""
        self._attempt: Attempt | None = attempt
        self._blender = blender
        self._buffer = b""
        self._statuses = 0
        self._mark = b""
        self._output = b""
        self._output_is_here = threading.Event()
        self._deaf = False
        """Its output no longer comes here: a script in the .blend has closed it."""
        self._devices, self._colors = LineWatch(device_error), LineWatch(color_line)
        token = secrets.token_hex(16)
        command = script_in(blender, _DRIVER, threads)
        self._enabling = ""
        """The add-on that is being enabled."""
        self._remedies: dict[str, str] = {}
        """By add-on of the farm, how to do without it."""
        name = f"{SESSION}{secrets.token_hex(8)}"
        self.folder = folder = folder / name
        """It works in this one, and writes nowhere else. Gone with it."""
        self._addons = attempt.place.addons_folder(name)
        """Its add-ons, gone with it too. In a sandbox it only reads them."""
        attempt.check()
        addons = addons_for(attempt, blender, self._addons)
        folder.mkdir(parents=True)
        attempt.log.say("starting " + " ".join(command))
        confinement = attempt.place.confinement
        with _listener(folder, confinement.sandbox) as listener:
            ours = {"BRENDER_CHANNEL": _name_of(listener), "BRENDER_CHANNEL_TOKEN": token, "BRENDER_THREADS": str(threads)}
            ours |= _fresh_account(folder)
            kept = attempt.confined(command, folder, [self._addons] if addons else [])
            self.process = Supervised(kept, {**env, **ours}, folder, self._write, confinement.memory)
            try:
                attempt.use(self.process)
                self._connection = self._accept(listener, token)
            except BaseException:
                self.process.stop()
                self._remove_folders()
                raise
        self.version = tuple(self._answer("hello")["version"])
        if addons:
            self._remedies = {str(each["subject"]): str(each["remedy"]) for each in addons}
            self._say({"do": "enable", "addons": addons})
            try:
                self._answer("enabled", attempt.grant.parts[0].frame, phase=LOADING)
            except BaseException:
                self.close(wait=True)
                raise
            self._enabling = ""
            self._catch_up()

    @property
    def alive(self) -> bool:
        """Whether its process runs, as far as is known."""
        return self.process.returncode is None and not self.process.error

    def serve(self, attempt: Attempt) -> None:
        """Work for *attempt* from now on: its log, its events, its end."""
        attempt.use(self.process)
        self._attempt = attempt
        self._say({"do": "ping"})
        self._answer("awake")

    def rest(self) -> None:
        """The attempt is over, and all that Blender has printed for it is in its log; the process stays."""
        self._catch_up()
        self._working_for.give_back()
        self._attempt = None

    def open(self, **request: Any) -> dict[str, Any]:
        """Open a .blend and set it up; returns what the driver found (driver.py says what it takes and gives), and as
        ``color_lines`` what Blender has printed of its colors (color.py)."""
        self._catch_up()
        # Of the time before, what it said of its start-up file is of no interest.
        lines = [line for line in self._colors.take() if read_remarks([line]).errors]
        self._say({"do": "open", **request})
        opened = self._answer("opened", self._working_for.grant.parts[0].frame, phase=LOADING)
        self._catch_up()
        return opened | {"color_lines": lines + self._colors.take()}

    def ask(self, answer: str, **request: Any) -> dict[str, Any]:
        """Ask the driver for something else; return its answer of that kind."""
        self._devices.take()
        self._say(request)
        said = self._answer(answer)
        self._catch_up()
        self._check_devices("The device failed that does this")
        return said

    def film(self, frame: int, **request: Any) -> dict[str, Any]:
        """Have the driver make the film of a scene; progress is told of *frame*."""
        self._devices.take()
        self._say({"do": "film", **request})
        said = self._answer("filmed", frame, 0.0, 1.0, FILMING)
        self._catch_up()
        self._check_devices("The film: the device failed that makes it")
        return said

    def bake(self, frame: int, **request: Any) -> dict[str, Any]:
        """Have the driver bake what simulates; progress is told of *frame*."""
        self._say({"do": "bake", **request})
        said = self._answer("baked", frame, 0.0, 1.0)
        self._catch_up()
        self._working_for.check_output("The bake")
        return said

    def run_script(self, frame: int, done: float, **request: Any) -> None:
        """Have the driver run a script for *frame*. *done* is how much of the attempt is behind it (0 to 1)."""
        self._say({"do": "script", "frame": frame, **request})
        self._answer("scripted", frame, done)
        self._catch_up()
        self._working_for.check_output(f"Frame {frame}")

    def render(self, frame: int, path: Path, done: float, share: float, asked: Mapping[str, Any] | None = None) -> Rendered:
        """Render *frame* to *path*. *done* is how much of the attempt is behind it, *share* how much it is itself (0 to 1);
        *asked*, what the driver is asked for, where that is not the frame as it is."""
        self._devices.take()
        self._say({"do": "render", "frame": frame, "path": str(path)} | dict(asked or {}))
        answer = self._answer("rendered", frame, done, share)
        self._catch_up()
        self._check_devices(f"Frame {frame}: the device failed that renders it")
        self._working_for.check_output(f"Frame {frame}")
        if wrong := read_remarks(self._colors.take()).errors:
            raise AttemptFailed(f"Frame {frame}: its colors are wrong, by OpenColorIO's own word: {wrong[0]}")
        self.frames += 1
        return Rendered(float(answer["seconds"]), int(answer["memory"]), tuple(answer["written"]))

    def close(self, wait: bool = False) -> None:
        """End the process and all that it started. Nothing of value is in it."""
        self._connection.close()
        if wait:
            self.process.stop()
            self._clear()
        else:
            self.process.let_go()
            threading.Thread(target=self._clear, name="session-end", daemon=True).start()

    def _clear(self) -> None:
        """Remove its folder, once nobody writes there."""
        self.process.wait(_END_SECONDS)
        self._remove_folders()

    def _remove_folders(self) -> None:
        remove_tree(self.folder)
        remove_tree(self._addons)

    def _check_devices(self, what: str) -> None:
        """Raise `AttemptFailed`, which begins with *what*, where Blender has printed that a device failed."""
        if errors := [each for each in self._devices.take() if not self._working_for.ignores(each)]:
            # Blender may go on and leave black tiles. Not permanent: another try, or another device, may do it.
            raise AttemptFailed(f"{what}, by Blender's own word: {errors[0]}", cause=Cause.DEVICE)

    @property
    def _working_for(self) -> Attempt:
        assert self._attempt is not None, "the session serves an attempt"
        return self._attempt

    def _catch_up(self) -> None:
        """Wait until all that Blender has printed is here."""
        if self._deaf:
            return
        self._mark = f"brender-{secrets.token_hex(8)}".encode()
        self._output_is_here.clear()
        self._say({"do": "mark", "text": self._mark.decode()})
        self._answer("marked")
        self._deaf = not self._output_is_here.wait(_OUTPUT_SECONDS)

    def _write(self, piece: bytes) -> None:
        """Output of the process: into the log of the attempt that it serves, up to the mark that `_catch_up` waits for."""
        attempt, mark = self._attempt, self._mark
        self._devices.feed(piece)
        self._colors.feed(piece)
        if not mark:
            if attempt is not None:
                attempt.hear(piece)
            return
        before, found, _ = (self._output + piece).partition(mark + b"\n")
        if not found:
            # The mark may come in two pieces: what could be its beginning waits.
            keep = min(len(before), len(mark))
            before, self._output = before[: len(before) - keep], before[len(before) - keep :]
        if attempt is not None and before:
            attempt.hear(before)
        if found:
            self._mark, self._output = b"", b""
            self._output_is_here.set()

    def _accept(self, listener: socket.socket, token: str) -> socket.socket:
        """Return the driver's connection: the one that knows the token. Others are shown the door."""
        listener.settimeout(_LOOK_SECONDS)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                self._check_alive("before it could say hello")
                continue
            said = first_words(connection, len(token) + 1)
            if secrets.compare_digest(said, token.encode() + b"\n"):
                connection.settimeout(_LOOK_SECONDS)
                if connection.family != _UNIX:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection
            connection.close()
        raise AttemptFailed(f"{self._blender.label} did not start within {_START_SECONDS:.0f} seconds")

    def _say(self, request: dict[str, Any]) -> None:
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            self._working_for.check()
            raise self._death() from error

    def _answer(
        self, kind: str, frame: int | None = None, done: float = 0.0, share: float = 0.0, phase: str = RENDERING
    ) -> dict[str, Any]:
        """Return the driver's answer of this *kind*; while it is awaited, progress is told of *frame*, from *phase* on."""
        began = time.monotonic()
        status, told = FrameProgress(phase=phase), began
        printed = self._working_for.log.last_line
        while True:
            line = self._line()
            if line is None:
                # Some versions only print where they are.
                if (last := self._working_for.log.last_line) != printed and (read := read_progress(last)):
                    printed, told = last, time.monotonic()
                    status = read.after(status, told - began)
                self._tell(frame, done, share, replace(status, since=time.monotonic() - told))
                continue
            try:
                said: dict[str, Any] = json.loads(line)
            except ValueError as error:
                raise AttemptFailed(f"{self._blender.label} said something that is not an answer: {line[:100]!r}") from error
            if said.get("is") == "error":
                raise AttemptFailed(once_each(said["message"]), permanent=said["permanent"])  # Cycles says some twice
            if said.get("is") == kind:
                return said
            if said.get("is") == "enabling":
                self._enabling = said["what"]
                self._statuses += 1
                self._tell(frame, done, share, status)
            if said.get("is") == "status":
                self._statuses += 1
                self._devices.feed(said["text"].encode() + b"\n")
                told = time.monotonic()
                status = read_status(said["text"]).after(status, told - began)
                self._tell(frame, done, share, status)

    def _tell(self, frame: int | None, done: float, share: float, status: FrameProgress) -> None:
        """Tell the attempt where its *frame* is."""
        if frame is None:
            return
        log = self._working_for.log
        text = f"{ENABLING} {self._enabling}" if self._enabling else status.text
        self._working_for.emit(Progressed(frame, done + status.share * share, text, log.received + self._statuses))

    def _line(self) -> bytes | None:
        """Return the driver's next line; ``None`` if none came for a moment, which is not a fault."""
        while b"\n" not in self._buffer:
            try:
                piece = self._connection.recv(65536)
            except TimeoutError:
                self._check_alive("")
                return None
            except OSError as error:
                raise self._death() from error
            if not piece:
                raise self._death()
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _check_alive(self, when: str) -> None:
        self._working_for.check()
        if not self.alive:
            raise self._death(when)

    def _death(self, when: str = "") -> AttemptFailed:
        """Return why the process is no more."""
        self.process.wait(10.0)
        self._working_for.check()
        ending = self.process.ending or "it ended of its own accord, with exit code 0"
        if errors := read_remarks(self._colors.take()).errors:
            # Before 5.0 Blender ends where it cannot read its configuration or a LUT.
            return AttemptFailed(f"{self._blender.label} ended, for its OCIO configuration cannot be used: {errors[0]}")
        hint = f" {when}" if when else ""
        if self._enabling:
            remedy = self._remedies.get(self._enabling)
            more = f". {remedy}" if remedy else ""
            return AttemptFailed(
                f"{self._blender.label} ended while it enabled {self._enabling}: {ending}. The end of the log says more{more}",
                out_of_memory=self.process.ran_out_of_memory,
            )
        return AttemptFailed(
            f"{self._blender.label} ended{hint} in the middle of the work: {ending}. The end of the log says more",
            out_of_memory=self.process.ran_out_of_memory,
            follows=Follows.ELSEWHERE if self.process.error else None,  # another worker has its own Blender and limits
        )


def first_words(connection: socket.socket, length: int) -> bytes:
    """Return the first *length* bytes of what comes, or fewer where no more come within a moment."""
    said, deadline = b"", time.monotonic() + _HELLO_SECONDS
    # Not MSG_WAITALL: Windows refuses it where a time-out is set, and elsewhere it does not wait then.
    with contextlib.suppress(OSError):
        while len(said) < length and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            piece = connection.recv(length - len(said))
            if not piece:
                break
            said += piece
    return said


def shader_cache(folder: Path) -> dict[str, str]:
    """Return the environment that keeps Mesa's compiled shaders in *folder*, which is made: Mesa does not make the folders above
    it, and without it every process compiles them again. A folder that cannot be made is left to Mesa to complain of."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return {"MESA_SHADER_CACHE_DIR": os.fspath(folder)}


def _fresh_account(folder: Path) -> dict[str, str]:
    """Return the environment in which Blender, and add-ons through it, find nothing that belongs to the worker's account."""
    return {f"BLENDER_USER_{each}": str(folder / "account") for each in ("CONFIG", "SCRIPTS", "DATAFILES", "EXTENSIONS")}


def _listener(folder: Path, no_network: bool) -> socket.socket:
    """Return what the driver connects to: a loopback port, or, where it has *no_network*, a socket in its *folder*."""
    if not no_network:
        return socket.create_server(("127.0.0.1", 0))
    assert _UNIX is not None, "there is no sandbox where there are no such sockets"
    listener = socket.socket(_UNIX)
    # Its name may have 107 bytes (unix(7)); the folder's may be longer, so it is reached by a descriptor.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/channel")
    finally:
        os.close(descriptor)
    listener.listen(1)
    return listener


def _name_of(listener: socket.socket) -> str:
    return "channel" if listener.family == _UNIX else f"127.0.0.1:{listener.getsockname()[1]}"
