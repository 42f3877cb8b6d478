"""A backup that a server has made by a process of its own, which may hang with the disk that it writes to, and takes no time of
the server's loops.

The process is told by standard input what to copy, since a URL may hold a password. It writes a dot to standard output now and
then while it gets on, and at last what came of it, as JSON.
"""

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess  # nosec B404 (this very program)
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from peewee import PeeweeException

from brender.model.errors import BadInput, BrenderError, from_code
from brender.store.backup import PARTIAL, Alive, back_up
from brender.store.database import last_commit, open_for_reading
from brender.system import private_files
from brender.system.processes import IN_OWN_GROUP

#: Seconds without progress after which a backup counts as hung.
PATIENCE_SECONDS = 120.0
_DOT_SECONDS = 1.0
#: Seconds that the clock of a disk's machine may be ahead of this one's.
_CLOCKS_DIFFER = 60.0


@dataclass(frozen=True)
class Wanted:
    """A backup of ``database`` in the folder ``folder``, called ``name`` and a time. ``keep``: how many of that name stay;
    ``least_free``: bytes that stay free on that disk. Nothing is made while the newest is younger than ``every`` seconds; where
    ``is_once``, nor where one is of the same commit of the record."""

    database: str
    folder: str
    name: str = "farm"
    keep: int = 7
    every: float = 0.0
    least_free: int = 0
    is_once: bool = False


@dataclass(frozen=True)
class Made:
    """The newest backup: its ``file``, its ``bytes``, and since when it is there."""

    file: str
    bytes: int
    wall: float


class Hung(BrenderError):
    """The backup made no progress. Its process may be there still: what hangs in a system call cannot be ended."""

    def __init__(self, message: str, process: "subprocess.Popen[bytes]") -> None:
        super().__init__(message)
        self.process = process


def made_by_process(wanted: Wanted, patience: float = PATIENCE_SECONDS) -> Made:
    """Make the backup that is *wanted*, in a process of its own; return the newest one. Raises as `make` does, and `Hung` after
    *patience* seconds without progress."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRENDER_")}
    command = [sys.executable, "-P", "-m", "brender.store.backup_process"]
    process = subprocess.Popen(  # nosec B603 (our own words)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, **IN_OWN_GROUP
    )
    assert process.stdin is not None and process.stdout is not None
    said: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, said), name="backup", daemon=True).start()
    with contextlib.suppress(OSError):
        process.stdin.write(json.dumps(asdict(wanted)).encode())
        process.stdin.close()
    answer = b""
    try:
        while piece := said.get(timeout=patience):
            answer += piece
    except queue.Empty:
        process.kill()
        raise Hung(f"The backup to {wanted.folder} makes no progress. Does the disk of that folder answer?", process) from None
    process.wait()
    try:
        came = json.loads(answer.decode().lstrip("."))
    except ValueError:
        raise BrenderError(
            f"The backup to {wanted.folder} was ended before it was done (exit code {process.returncode})"
        ) from None
    if "error" in came:
        raise from_code(came["code"], came["error"])
    return Made(**came)


def _read(pipe: IO[bytes], said: "queue.Queue[bytes]") -> None:
    with pipe:
        while piece := os.read(pipe.fileno(), 65536):
            said.put(piece)
    said.put(b"")


def make(wanted: Wanted, alive: Alive) -> Made:
    """Make the backup that is *wanted*, unless the newest is young enough; return the newest one. Older ones of that name are
    removed then.

    Raises as `back_up` does.
    """
    folder = Path(wanted.folder)
    try:
        private_files.make_folder(folder)
        known = backups_in(folder, wanted.name)
        found = _good_enough(known, wanted)
        if found is None:
            for left in folder.glob(f"{wanted.name}-*.db.*{PARTIAL}"):  # of a process that was killed
                shutil.rmtree(left)
            found = folder / f"{wanted.name}-{time.strftime('%Y%m%d-%H%M%S')}.db"
            back_up(wanted.database, found, wanted.least_free, alive)
            with contextlib.suppress(OSError):
                os.utime(found, (time.time(),) * 2)  # the clock of a file server may be another
            known.append(found)
        for old in known[: -max(1, wanted.keep)]:
            if old != found:
                old.unlink(missing_ok=True)
        facts = found.stat()
    except OSError as error:
        raise BadInput(f"The folder of backups {folder} cannot be used: {error.strerror}") from error
    return Made(str(found), facts.st_size, facts.st_mtime)


def _good_enough(known: list[Path], wanted: Wanted) -> Path | None:
    """Return the one of the backups *known* that makes a further one needless, or ``None``. Raises `OSError`."""
    if known and time.time() - known[-1].stat().st_mtime < wanted.every:
        return known[-1]
    if not wanted.is_once or not known:
        return None
    commit = _last_commit(wanted.database)
    return next((path for path in known if commit is not None and _last_commit(str(path)) == commit), None)


def _last_commit(where: str) -> int | None:
    """Return the number of the last commit of the record at *where*; ``None`` where it cannot be read."""
    try:
        database = open_for_reading(where)
        with database.connection_context():
            return last_commit(database)
    except (BrenderError, PeeweeException):
        return None


def backups_in(folder: Path, name: str) -> list[Path]:
    """Return the backups called *name* and a time in *folder*, the newest last. Those from the future, by a clock that was wrong,
    are left out: they say nothing of how old the others are. Raises `OSError`."""
    of_name = re.compile(re.escape(name) + r"-\d{8}-\d{6}\.db")
    times = {path: path.stat().st_mtime for path in folder.iterdir() if of_name.fullmatch(path.name)}
    latest = time.time() + _CLOCKS_DIFFER
    return sorted((path for path in times if times[path] <= latest), key=lambda path: (times[path], path.name))


def main() -> None:
    """Make one backup as it is told by standard input."""
    wanted = Wanted(**json.load(sys.stdin))
    last = 0.0

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > _DOT_SECONDS:
            last = time.monotonic()
            sys.stdout.write(".")
            sys.stdout.flush()

    if hasattr(os, "nice"):
        os.nice(10)
    try:
        came = asdict(make(wanted, alive))
    except BrenderError as error:
        came = {"error": str(error), "code": error.code}
    print(json.dumps(came), flush=True)


if __name__ == "__main__":
    main()
