"""Uploads on the dashboard's machine: where they lie, whose they are, how long, and how much of them there is room for."""

import json
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.exceptions import RequestEntityTooLarge

from brender.model.errors import NotFound
from brender.system import private_files
from brender.system.removal import remove_tree

KEPT_SECONDS = 86_400.0
_ID = re.compile(r"[0-9a-f]{16}")
#: Files lie so many folders deep in their upload's: a .blend may look for others above its own folder (``//../textures``).
_ABOVE = "/".join(["above"] * 6)
#: A file takes at least a block of the disk, and a name.
_FILE_BYTES = 4096


class Reservation:
    """Room that is kept for a body until `release`, which may be called more than once and from any thread."""

    def __init__(self, user: str, size: int, held: set["Reservation"]) -> None:
        self.user = user
        self.size = size
        self._held = held
        held.add(self)

    def release(self) -> None:
        self._held.discard(self)


class Uploads:
    """The uploads in the folder *root*: up to *of_one* bytes of one user's and *in_all* bytes of all (0: any), with *least_free*
    bytes of the disk left free. Each upload is a folder, with a file beside it that says whose it is. What was dropped lies some
    folders deep in it (`files_folder`), so that there is room for what a .blend looks for above its own folder."""

    def __init__(self, root: Path, of_one: int, in_all: int, least_free: int) -> None:
        self.root = root
        self._of_one = of_one
        self._in_all = in_all
        self._least_free = least_free
        self._held: set[Reservation] = set()
        self._lock = threading.Lock()

    def reserve(self, user: str, size: int) -> Reservation:
        """Keep room for *size* bytes more of *user*. Raises `RequestEntityTooLarge` with what stands against it."""
        self.forget_old()
        with self._lock:
            held = [(each.user, each.size) for each in list(self._held)]
            known = [*self._known(), *held]
            mine = sum(bytes for owner, bytes in known if owner == user)
            whole = sum(bytes for _, bytes in known)
            if self._of_one and mine + size > self._of_one:
                raise RequestEntityTooLarge(
                    f"These files have {_gb(size)}, and what you uploaded in the last day {_gb(mine)}: one user may upload "
                    f"{_gb(self._of_one)} a day. Remove your uploads, wait, or send the file by `brender submit --send` "
                    "(an admin can change this: brender-dashboard --upload-quota)"
                )
            if self._in_all and whole + size > self._in_all:
                raise RequestEntityTooLarge(
                    f"These files have {_gb(size)}, and all uploads of the last day {_gb(whole)}: this dashboard keeps "
                    f"{_gb(self._in_all)} of them. Wait, or ask an admin (brender-dashboard --upload-total)"
                )
            self._check_disk(size + sum(bytes for _, bytes in held))
            return Reservation(user, size, self._held)

    @contextmanager
    def new(self, user: str) -> Iterator[tuple[str, Path]]:
        """The id and folder of a new upload of *user*, to be filled in a ``with`` statement; what raises there leaves nothing."""
        id = secrets.token_hex(8)
        folder = self.root / id
        files_folder(folder).mkdir(parents=True)
        try:
            yield id, folder
            self._weigh(id, user)
        except BaseException:
            remove_tree(folder)
            raise

    @contextmanager
    def more(self, id: str, user: str) -> Iterator[tuple[str, Path]]:
        """The id and folder of the upload *id* of *user*, to be added to in a ``with`` statement. Raises `NotFound`."""
        folder = self.folder(id, user)
        try:
            yield id, folder
        finally:
            self._weigh(id, user)

    def folder(self, id: str, user: str) -> Path:
        """Return the folder of the upload *id* of *user*. Raises `NotFound`."""
        if not _ID.fullmatch(id) or self._read(self._label(id))[0] != user:
            raise NotFound(f"There is no upload {id!r} of yours (any more): upload the files again")
        return self.root / id

    def changed(self, folder: Path) -> int:
        """Return a mark of when files were added to the upload in *folder* last."""
        return self._label(folder.name).stat().st_mtime_ns

    def bytes_of(self, user: str) -> int:
        """Return how much of *user*'s lies there."""
        return sum(bytes for owner, bytes in self._known() if owner == user)

    def remove_all_of(self, user: str) -> None:
        """Remove what *user* has uploaded. What was submitted of it, the farm has."""
        for label in self.root.glob("*.json"):
            if self._read(label)[0] == user:
                label.unlink(missing_ok=True)
                remove_tree(label.with_suffix(""))

    def forget_old(self) -> None:
        """Remove what was uploaded more than a day ago."""
        for path in self.root.glob("*"):
            try:
                if path.stat().st_mtime >= time.time() - KEPT_SECONDS:
                    continue
                path.unlink() if path.is_file() else remove_tree(path)
            except OSError:
                continue  # another request removes it

    def _weigh(self, id: str, user: str) -> None:
        room = files_folder(self.root / id)
        rooms = {room, *room.parents}
        size = sum(max(path.lstat().st_size, _FILE_BYTES) for path in (self.root / id).rglob("*") if path not in rooms)
        self._label(id).write_text(json.dumps({"user": user, "bytes": size}))

    def _known(self) -> list[tuple[str, int]]:
        """Whose each upload is, and its bytes."""
        return [self._read(label) for label in self.root.glob("*.json")]

    def _label(self, id: str) -> Path:
        return self.root / f"{id}.json"

    @staticmethod
    def _read(label: Path) -> tuple[str, int]:
        try:
            said = json.loads(label.read_text())
            return str(said["user"]), int(said["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return "", 0

    def _check_disk(self, size: int) -> None:
        """A body lies in the folder for temporary files first, and is then copied to its place."""
        private_files.make_folder(self.root)
        wanted: dict[int, int] = {}
        folders = (Path(tempfile.gettempdir()), self.root)
        for folder in folders:
            disk = folder.stat().st_dev
            wanted[disk] = wanted.get(disk, 0) + size
        for folder in folders:
            free = shutil.disk_usage(folder).free
            if free - wanted[folder.stat().st_dev] < self._least_free:
                raise RequestEntityTooLarge(
                    f"There is no room for these files: they need {_gb(wanted[folder.stat().st_dev])} of the disk of {folder} on "
                    f"the dashboard's machine, which has {_gb(free)} free, and {_gb(self._least_free)} stay free. Ask an "
                    "admin to make room"
                )


def files_folder(upload: Path) -> Path:
    """Return the folder below *upload*, that of an upload, in which the files that were dropped lie."""
    return upload / _ABOVE


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
