"""Who reads the pictures that renders leave: this process, or, where renders are kept in a sandbox, a process in one of its own.

A prepared picture may take over what decodes it. The confined process has no folder of this machine but programs and libraries;
it gets files one by one, as descriptors, and lives on from frame to frame. If it dies, the reading is tried once more in another.
"""

import contextlib
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brender.engines.confine import Confinement
from brender.engines.environment import clean_environment
from brender.engines.exr_merge import CannotMerge
from brender.engines.pictures import BadPicture
from brender.engines.readings import MOST_AT_ONCE, READINGS, Answer
from brender.system.memory import read_memory

#: Seconds that a reading may take: so many, and more for large files, of which so many bytes a second are read at the least.
_SECONDS, _BYTES_A_SECOND = 120.0, 2 * 2**20
_LOOK_SECONDS = 0.5
#: Seconds that it may take to hear a request.
_SEND_SECONDS = 30.0
_LONGEST_ANSWER = 4 * 2**20
_HEAD = struct.Struct(">cI")
_LENGTH = struct.Struct(">I")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_LONGEST_TEXT = 500
#: The share of the machine's memory that the confined process may take.
_MEMORY_SHARE = 0.5
_STARTS = "import sys; sys.path += sys.argv[2:]; from brender.engines.reading_child import main; main(int(sys.argv[1]))"
_END_SECONDS = 5.0
_MOMENT_SECONDS = 3.0


@dataclass(frozen=True)
class OpenFile:
    """A file to read: its descriptor, and its path, for messages and for what reads it in this process."""

    descriptor: int
    path: Path


def _nothing() -> None:
    """What is called now and then, and does nothing."""


def _no_picture() -> bytes | None:
    return None


@dataclass
class Read:
    """An answer. ``small`` gives the small JPEG that belongs to it, once it is made; ``None`` if there is no small one. From any
    thread."""

    answer: Answer
    small: Callable[[], bytes | None] = field(default=_no_picture)


class PictureReader:
    """Reads pictures in this process, where files cannot be handed to another one (Windows)."""

    def is_stuck(self) -> bool:
        """Return whether it cannot be asked now."""
        return False

    def ask(self, do: str, files: Sequence[OpenFile], check: Callable[[], None] = _nothing, **values: Any) -> Read:
        """Return what the reading *do* (`brender.engines.readings`) says of *files*; *check* is called now and then meanwhile,
        and may raise. Raises `BadPicture` or `CannotMerge`."""
        said = READINGS[do]([file.path for file in files], **values)
        answer = next(said)
        assert isinstance(answer, dict), "an answer comes first"
        return Read(answer, lambda: next((each for each in said if isinstance(each, bytes)), None))

    def warm_up(self) -> None:
        """Have ready what reads."""

    def close(self) -> None:
        """End what reads."""


class ChildReader(PictureReader):
    """Reads pictures in a process of its own, one after another: libraries for pictures wait for drives, and die of files, in
    ways that would stop the whole worker.

    *sandbox*: that process is in the sandbox. *data*: as `Confinement` has it.
    """

    def __init__(self, sandbox: bool, data: Path | None = None) -> None:
        self._sandbox = sandbox
        self._data = data
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._unread: Iterator[bytes | Answer] | None = None
        self._check = _nothing
        """Of the one who asks now: what is left to read of an earlier request is not ended because that one's attempt was."""

    def ask(self, do: str, files: Sequence[OpenFile], check: Callable[[], None] = _nothing, **values: Any) -> Read:
        with self._lock:
            self._check = check
            for last in (False, True):
                try:
                    return self._ask(do, files, values)
                except _Died as error:
                    self._end()
                    if last or error.late:
                        raise BadPicture(f"reading it {error}") from error
                except BaseException:
                    self._end()  # what it says later would be taken for another answer
                    raise
        raise AssertionError

    def warm_up(self) -> None:
        with self._lock:
            self._running()

    def is_stuck(self) -> bool:
        """Return whether it waits for a drive that does not answer, or reads for longer than a moment."""
        if self._lock.acquire(timeout=_MOMENT_SECONDS):
            self._lock.release()
            return False
        return True

    def close(self) -> None:
        with self._lock:
            self._end()

    @property
    def pid(self) -> int | None:
        """Its process; ``None`` if it does not run."""
        return self._process.pid if self._process is not None else None

    def _ask(self, do: str, files: Sequence[OpenFile], values: dict[str, Any]) -> Read:
        if sys.platform != "linux":
            raise NotImplementedError("sandboxes are made on Linux only")
        self._finish_reading()
        connection = self._running()
        asked = {"do": do, "names": [_kind(file.path) for file in files], "shown": [str(file.path) for file in files]}
        body = json.dumps(asked | {"values": values}).encode()
        size = sum(os.fstat(file.descriptor).st_size for file in files)
        try:
            connection.sendall(_LENGTH.pack(len(body)) + body)
            for first in range(0, len(files), MOST_AT_ONCE):
                socket.send_fds(connection, [b"f"], [file.descriptor for file in files[first : first + MOST_AT_ONCE]])
        except OSError as error:
            raise _Died from error
        said = self._answers(connection, time.monotonic() + _SECONDS + size / _BYTES_A_SECOND)
        answer = next(said, None)
        if not isinstance(answer, dict):
            raise _Died
        small: list[bytes | None] = []

        def rest() -> Iterator[bytes | Answer]:
            for each in said:
                small.append(each if isinstance(each, bytes) else None)
                yield each

        self._unread = unread = rest()

        def give() -> bytes | None:
            with self._lock, contextlib.suppress(_Died, BadPicture, CannotMerge):
                if self._unread is unread:
                    self._check = _nothing
                    self._finish_reading()
            return small[0] if small else None

        if "small" not in values and do != "preview":
            self._finish_reading()
        return Read(answer, give)

    def _finish_reading(self) -> None:
        """Read what belongs to the last request: its small picture is made after its answer."""
        unread, self._unread = self._unread, None
        try:
            for _ in unread or ():
                pass
        except (BadPicture, CannotMerge):
            pass  # there is no small picture, which no frame fails of
        except _Died:
            self._end()

    def _answers(self, connection: socket.socket, deadline: float) -> Iterator[Answer | bytes]:
        def check() -> None:
            self._check()

        while True:
            kind, length = _HEAD.unpack(_received(connection, _HEAD.size, deadline, check))
            if length > _LONGEST_ANSWER:
                raise _Died
            body = _received(connection, length, deadline, check)
            if kind == b".":
                return
            if kind == b"s":
                yield body
                continue
            try:
                said = json.loads(body)
                if kind == b"e":
                    text = _CONTROL.sub(" ", str(said["text"]))[:_LONGEST_TEXT]
                    error = CannotMerge(text) if said["kind"] == "CannotMerge" else BadPicture(text)
                    _received(connection, _HEAD.size, deadline, check)
                    raise error
                yield dict(said)
            except (ValueError, KeyError, TypeError) as error:
                raise _Died from error

    def _running(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._connection is None:
            ours, theirs = socket.socketpair()
            memory = int(read_memory().total * _MEMORY_SHARE) if self._sandbox else 0
            command = [sys.executable, "-I", "-c", _STARTS, str(memory), str(Path(__file__).resolve().parents[2])]
            command += [each for each in sys.path if each.endswith("-packages")]
            if self._sandbox:
                command = Confinement(sandbox=True, data=self._data).wrap(command, [], [], Path("/"))
            extra = {"TMPDIR": "/tmp"} if self._sandbox else {}  # nosec B108: the sandbox's own
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=clean_environment(extra),
                    start_new_session=True,
                )
            ours.settimeout(_SEND_SECONDS)
            self._connection = ours
        return self._connection

    def _end(self) -> None:
        self._unread = None
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()  # (bwrap ends with what it runs, and that with bwrap.)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)


class _Died(Exception):
    """The confined process is gone, says something else than an answer, or nothing; the text is the end of a sentence."""

    def __init__(self, text: str = "ended the process that reads pictures, twice", late: bool = False) -> None:
        super().__init__(text)
        self.late = late


def _received(connection: socket.socket, length: int, deadline: float, check: Callable[[], None]) -> bytes:
    """Return so many bytes of what it says. Raises `_Died`."""
    if sys.platform != "linux":
        raise NotImplementedError("sandboxes are made on Linux only")
    received, poll = bytearray(), select.poll()  # (select.select takes no descriptors from 1,024 on)
    poll.register(connection, select.POLLIN)
    while len(received) < length:
        if not poll.poll(_LOOK_SECONDS * 1000):
            check()
            if time.monotonic() > deadline:
                raise _Died("took longer than a picture of its size may", late=True)
            continue
        try:
            piece = connection.recv(length - len(received))
        except OSError as error:
            raise _Died from error
        if not piece:
            raise _Died
        received += piece
    return bytes(received)


def _kind(path: Path) -> str:
    """Return the end of a file's name that tells its format, if it is of a few letters and digits."""
    return path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", path.suffix) else ""
