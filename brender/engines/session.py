"""A Blender process with our driver in it: started, asked, listened to, closed.

The seam for warm rendering: a session opens a file once and renders any number of frames of it. Whoever keeps it decides
for how long.
"""

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed, AttemptStopped
from brender.engines.events import Progressed
from brender.model.nodes import Blender

_DRIVER = Path(__file__).with_name("driver.py")
#: Seconds between two looks at whether the process still lives and the attempt still should.
_LOOK_SECONDS = 0.5
_START_SECONDS = 300.0


class Session:
    """A *blender* running for *attempt*. Use it in a ``with`` statement. Every method raises `AttemptFailed` or
    `AttemptStopped`."""

    def __init__(self, attempt: Attempt, blender: Blender, env: Mapping[str, str]) -> None:
        self._attempt = attempt
        self._blender = blender
        self._buffer = b""
        token = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            channel = {"BRENDER_CHANNEL": f"127.0.0.1:{port}", "BRENDER_CHANNEL_TOKEN": token}
            self._process = attempt.start_process(command_of(blender), {**env, **channel})
            self._connection = self._accept(listener, token)
        self.version = tuple(self._answer("hello")["version"])

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def open(self, **request: Any) -> dict[str, Any]:
        """Open a .blend and set it up; returns what the driver found (driver.py says what it takes and gives)."""
        self._say({"do": "open", **request})
        return self._answer("opened")

    def render(self, frame: int, path: Path, fraction: float) -> float:
        """Render *frame* to *path*; returns the seconds it took Blender. *fraction* of the attempt is done before it."""
        self._say({"do": "render", "frame": frame, "path": str(path)})
        return float(self._answer("rendered", frame, fraction)["seconds"])

    def close(self) -> None:
        """End the process, by asking first."""
        # It may be gone already.
        with contextlib.suppress(AttemptFailed, AttemptStopped):
            self._say({"do": "quit"})
        self._connection.close()
        if not self._process.wait(10.0):
            self._process.stop()

    def _accept(self, listener: socket.socket, token: str) -> socket.socket:
        """The driver's connection: the one that knows the token. Others are shown the door."""
        listener.settimeout(_LOOK_SECONDS)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                self._check_alive("before it could say hello")
                continue
            connection.settimeout(5.0)
            try:
                said = connection.recv(len(token) + 1, socket.MSG_WAITALL)
            except OSError:
                said = b""
            if secrets.compare_digest(said, token.encode() + b"\n"):
                connection.settimeout(_LOOK_SECONDS)
                return connection
            connection.close()
        raise AttemptFailed(f"{self._blender.label} did not start within {_START_SECONDS:.0f} seconds")

    def _say(self, request: dict[str, Any]) -> None:
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            self._attempt.check()
            raise self._death() from error

    def _answer(self, kind: str, frame: int | None = None, fraction: float = 0.0) -> dict[str, Any]:
        while True:
            line = self._line(frame, fraction)
            try:
                said: dict[str, Any] = json.loads(line)
            except ValueError as error:
                raise AttemptFailed(f"{self._blender.label} said something that is no answer: {line[:100]!r}") from error
            if said.get("is") == "error":
                raise AttemptFailed(said["message"], permanent=said["permanent"])
            if said.get("is") == kind:
                return said

    def _line(self, frame: int | None, fraction: float) -> bytes:
        while b"\n" not in self._buffer:
            try:
                piece = self._connection.recv(65536)
            except TimeoutError:
                self._check_alive("")
                if frame is not None:
                    self._attempt.emit(Progressed(frame, fraction, self._attempt.log.last_line, self._attempt.log.received))
                continue
            except OSError as error:
                raise self._death() from error
            if not piece:
                raise self._death()
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _check_alive(self, when: str) -> None:
        self._attempt.check()
        if self._process.returncode is not None or self._process.error:
            raise self._death(when)

    def _death(self, when: str = "") -> AttemptFailed:
        """Why the process is no more."""
        self._process.wait(10.0)
        self._attempt.check()
        ending = self._process.ending or "it ended of its own accord, with exit code 0"
        hint = f" {when}" if when else ""
        return AttemptFailed(
            f"{self._blender.label} ended{hint} in the middle of the work: {ending}. The end of the log says more"
        )


def command_of(blender: Blender) -> list[str]:
    """The command that starts *blender* with our driver in it."""
    if blender.kind == "bpy":
        return [blender.path, "-I", str(_DRIVER)]
    # -Y: scripts in the .blend that Blender opens first, its start-up file, do not run either.
    return [blender.path, "--background", "-Y", "--python-exit-code", "1", "--python", str(_DRIVER)]


def shader_cache(folder: Path) -> dict[str, str]:
    """The environment that keeps Mesa's compiled shaders in *folder*: without it every process compiles them anew."""
    return {"MESA_SHADER_CACHE_DIR": os.fspath(folder)}
