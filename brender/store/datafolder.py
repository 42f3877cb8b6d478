"""The data folder: where everything of one farm lies on one machine, and how to find it from there.

::

    farm.db                      the server's database
    farm.db-mark                 which database file its write-ahead log belongs to
    logs/<job>/<attempt>.log     what an attempt printed
    logs/workers/<worker>.log    what a worker told last of its own log, when it was asked
    thumbnails/<last two digits of the attempt>/<attempt>-<part>.jpg
    run/<role>.json              the addresses and process of the role that runs now
    run/server.trouble           why the server cannot record anything now; blank while it can
    backups/                     backups of the record, where the server is given no other folder for them
    run/backup.json              the newest of them, and why the last one could not be made
    seen.json                    how far the record was when the server last looked (brender.store.last_seen)
    blobs/                       contents of jobs' files, by their SHA-256
    uploads/<id>, <id>.json      what a user has uploaded at the dashboard, for a day, and whose it is
    incoming/<attempt>-<part>    frames on their way, before the server has accepted their report; -<n> further files of one
    frames/<job>/                frames of jobs whose files travel and that name no other folder
    job_types/*.py               the farm's own job types, put there by its owner
    keys/server, keys/local      the server's key, and an admin's key for all who may read this folder: secrets both
    membership.json, keys/client the farm that this machine's commands have joined, where its server is elsewhere, and their key
    managers/<name>/             each manager's own: its identity, its key, the workers' keys that it knows
    workers/<name>/              each worker's own: its identity, its key, unsent reports, logs, caches
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from brender import __version__
from brender.model.errors import BadInput, Conflict
from brender.system import private_files

_TROUBLE_BYTES = 1024
#: The name of the place in the data folder that is held by what starts its server again whenever that dies.
KEEPER = "server-keeper"


class DataFolder:
    """Paths in the data folder *root*. Making the object touches nothing."""

    def __init__(self, root: Path) -> None:
        # Flask takes a relative path for one beside its application.
        self.root = root.absolute()
        self.database = self.root / "farm.db"
        self.server_key = self.root / "keys" / "server"
        self.local_key = self.root / "keys" / "local"
        self.dashboard_key = self.root / "keys" / "dashboard"
        self.client_key = self.root / "keys" / "client"
        self.membership = self.root / "membership.json"

    @classmethod
    def default(cls) -> Path:
        """Return the platform's own place for an application's data."""
        return platformdirs.user_data_path("brender", appauthor=False)

    def make(self) -> "DataFolder":
        """Create the folder, for its owner alone. Raises `BadInput` where that cannot be."""
        try:
            private_files.make_folder(self.root)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError(13, "it is not writable")
        except OSError as error:
            raise BadInput(f"The data folder {self.root} cannot be used: {error.strerror}. Give another with --data") from error
        return self

    def log(self, job: str, attempt: str) -> Path:
        return self.root / "logs" / job / f"{attempt}.log"

    def worker_log(self, worker: str) -> Path:
        """Return what a worker told last of its own log."""
        return self.root / "logs" / "workers" / f"{worker}.log"

    def thumbnail(self, attempt: str, part: int) -> Path:
        return self.thumbnails / attempt[-2:] / f"{attempt}-{part}.jpg"

    @property
    def thumbnails(self) -> Path:
        return self.root / "thumbnails"

    @property
    def job_types(self) -> Path:
        """Return where the Python files of the farm's own job types are."""
        return self.root / "job_types"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    def blob(self, digest: str) -> Path:
        """Return the file of one of them."""
        return self.blobs / digest[:2] / digest

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    @property
    def frames_folder(self) -> Path:
        return self.root / "frames"

    def frames(self, job: str) -> Path:
        return self.frames_folder / job

    def manager(self, name: str) -> Path:
        return self.root / "managers" / name

    def worker(self, name: str) -> Path:
        return self.root / "workers" / name

    def laid_out(self) -> Iterator[Path]:
        """The files of jobs that the workers of this folder have laid out, or are laying out."""
        for folder in self.root.glob("workers/*/jobs/*/files*"):
            for below, _, names in os.walk(folder):
                yield from (Path(below, name) for name in names)

    def lock(self, role: str) -> FileLock:
        """Hold the place of *role* in this folder until the process ends. Raises `Conflict` where another has it."""
        path = self.root / "run" / f"{role}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            # Not at once: `is_locked` of another process may hold it for a moment.
            lock.acquire(timeout=1)
        except Timeout as error:
            if role == "server":
                raise Conflict(f"{self.server_in_words()}. Stop it, or give another folder with --data") from error
            kind, named, name = role.partition("-")
            other = "another name with --name" if named else "another folder with --data"
            which = f"{kind} called {name}" if named else kind
            raise Conflict(
                f"Another brender {which} already uses the data folder {self.root}. Stop it, or give {other}"
            ) from error
        return lock

    def server_in_words(self) -> str:
        """Return that a server uses this folder: which command has started it, its process, and the page of its farm, as far as
        that is known."""
        said = f"A brender server already uses the data folder {self.root}"
        keeper = (self.last_announced(KEEPER) if self.is_locked(KEEPER) else None) or {}
        pid = keeper.get("pid") or (self.last_announced("server") or {}).get("pid")
        process = f"process {pid}" if pid else ""
        if command := keeper.get("command"):
            said += f": that of `{command}` ({process})"
        elif process:
            said += f" ({process})"
        page = (self.announced("dashboard") or {}).get("url")
        return f"{said}, with the page {page}" if page else said

    def is_locked(self, role: str) -> bool:
        """Return whether a *role* runs in this folder now."""
        path = self.root / "run" / f"{role}.lock"
        if not path.exists():
            return False
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def announce(self, role: str, **facts: Any) -> None:
        """Write down that *role* runs in this process, and where it listens, for others on this machine to find."""
        path = self.root / "run" / f"{role}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"pid": os.getpid(), "software": __version__, **facts}))
        temporary.replace(path)

    def withdraw(self, role: str) -> None:
        """Take back what *role* announced, since it ends as it was asked to: what dies leaves it."""
        (self.root / "run" / f"{role}.json").unlink(missing_ok=True)

    def tell_trouble(self, text: str) -> None:
        """Write down why the server cannot record anything, or "" if it can. Works on a full disk, once it was called with "":
        the file keeps its length, and is written over."""
        path = self.root / "run" / "server.trouble"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.write(text.encode()[:_TROUBLE_BYTES].ljust(_TROUBLE_BYTES))

    def trouble(self) -> str:
        """Return why the server that runs in this folder cannot record anything now, or "" if it can."""
        try:
            return (self.root / "run" / "server.trouble").read_bytes().decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def note_backup(self, facts: dict[str, Any]) -> None:
        """Write down what is known of the newest backup: its ``file``, ``bytes``, ``wall``; and ``trouble``, where the last one
        could not be made."""
        path = self.root / "run" / "backup.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(facts))
            temporary.replace(path)
        except OSError:
            return  # it is told elsewhere too

    def last_backup(self) -> dict[str, Any] | None:
        """Return what `note_backup` was last told; ``None`` where no backup was made yet."""
        return self._facts("backup")

    def announced(self, role: str) -> dict[str, Any] | None:
        """Return what the running *role* has announced; ``None`` if none runs."""
        return self.last_announced(role) if self.is_locked(role) else None

    def last_announced(self, role: str) -> dict[str, Any] | None:
        """Return what *role* announced, whether it still runs or has died; ``None`` where it never ran, or has ended as it was
        asked to."""
        return self._facts(role)

    def _facts(self, name: str) -> dict[str, Any] | None:
        try:
            facts = json.loads((self.root / "run" / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None


def addresses_as_text(addresses: Any) -> dict[str, str]:
    """Return a dataclass of addresses and a key as plain text, for `DataFolder.announce`."""
    return {name: value if isinstance(value, str) else str(value) for name, value in vars(addresses).items()}
