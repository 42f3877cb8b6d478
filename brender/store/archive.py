"""Everything of a farm in one file: its record, and on request its keys, the files that clients sent, its frames, logs,
and its own job types.

An archive is a tar file. Its first member is the record, as `brender.store.backup` copies it; its last is a list of all others
with their sizes and SHA-256, by which an archive that is cut off, or was changed, is recognized.
"""

import errno
import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from brender import __version__
from brender.model.errors import BadInput
from brender.store.backup import PARTIAL, copy_record, in_words, name_new, new_beside, sync_file
from brender.store.datafolder import DataFolder
from brender.system import private_files

#: What an archive may hold beside the record, and the folders of the data folder that each is in.
CONTENTS = {
    "keys": ("keys",),
    "blobs": ("blobs",),
    "frames": ("frames", "incoming"),
    "logs": ("logs", "thumbnails"),
    "job-types": ("job_types",),
}
#: The keys also have those of the managers and workers of this data folder, which the workers that joined know the managers by:
#: in each of their folders, who it is, its key, and the farm that it joined.
_NODES, _NODE_FILES = ("managers", "workers"), ("node", "membership.json", "key")
RECORD, LIST = "farm.db", "brender-archive.json"
_PIECE = 1024 * 1024
_FORMAT = 1
#: How often a file is read that is made shorter meanwhile.
_TRIES = 5


class Written(NamedTuple):
    """The ``size`` of an archive in bytes, and the links that lead nowhere, which it is without."""

    size: int
    left_out: tuple[Path, ...]


class _Hashed:
    """A file that is read to its end through here, and its SHA-256."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.hash.update(piece)
        return piece


def is_archive(path: Path) -> bool:
    """Return whether the file at *path* begins as an archive does. Raises `OSError`."""
    try:
        with tarfile.open(path, "r:") as archive:
            first = archive.next()
    except tarfile.TarError:
        return False
    return first is not None and first.name == RECORD


def write_archive(folder: DataFolder, database: str, target: Path, what: frozenset[str]) -> Written:
    """Write the record at *database*, and of *folder* what is named in *what* (`CONTENTS`), to the new file *target*, and read it
    again. The farm goes on meanwhile: files that it deletes on the way are left out.

    Raises `Conflict` where the target exists; `BadInput` as `back_up` does. What was begun is removed then.
    """
    with new_beside(target) as partial:
        record = partial.with_name(f"{target.name}.record")
        copy_record(database, record, target)
        members: dict[str, tuple[int, str]] = {}
        left_out: list[Path] = []
        try:
            with (
                os.fdopen(private_files.create(partial), "wb") as file,
                tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive,
            ):
                members[RECORD] = _add(archive, file, record, RECORD)
                record.unlink()
                # The record is older than all that follows: what it names has not come later.
                for path in _files(folder, what):
                    try:
                        name = path.relative_to(folder.root).as_posix()
                        members[name] = _add(archive, file, path, name)
                    except FileNotFoundError:
                        if path.is_symlink():
                            left_out.append(path)
                listed = {"format": _FORMAT, "brender": __version__, "wall": time.time(), "members": members}
                _add_bytes(archive, LIST, json.dumps(listed).encode())
                archive.close()
                file.flush()
                os.fsync(file.fileno())
            for _ in _read_members(partial):
                pass
            name_new(partial, target)
        except (OSError, tarfile.TarError) as error:
            raise BadInput(f"The archive {target} could not be written: {in_words(error)}") from error
    return Written(target.stat().st_size, tuple(left_out))


def unpack_archive(archive: Path, folder: Path) -> None:
    """Lay *archive* out in the new *folder*, checked by its list. Raises `BadInput`, with the folder left, where it is cut off,
    was changed, is not one, or cannot be laid out."""
    try:
        for name, member in _read_members(archive):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(private_files.create(target), "wb") as file:
                for piece in member:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(f"The archive {archive} could not be laid out in {folder}: {in_words(error)}") from error


def lay_in(unpacked: Path, folder: DataFolder) -> int:
    """Put the blobs, frames, logs and job types in *unpacked* into *folder*, where a file that is there stays as it is; return
    how many were added. May be done again where it was cut off. Raises `OSError`."""
    added = 0
    for name in (each for contents in CONTENTS.values() for each in contents if each != "keys"):
        for path in sorted((unpacked / name).rglob("*")):
            target = folder.root / path.relative_to(unpacked)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _bring(path, target)
                added += 1
    return added


def _bring(path: Path, target: Path) -> None:
    """Let the file at *path* be *target*, which may be on another disk; whole, or not at all."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f"{target.name}.restoring{PARTIAL}")
        try:
            shutil.copy2(path, partial)
            sync_file(partial)
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)


def put_keys_back(unpacked: Path, folder: DataFolder) -> Path | None:
    """Replace the keys of *folder* by those in *unpacked*; return where the earlier ones are kept (``None`` if there were
    none, or the same). Raises `OSError`, with the earlier ones in their place."""
    keys, own = unpacked / "keys", folder.root / "keys"
    if not keys.is_dir() or _contents(keys) == _contents(own):
        return None
    if not own.exists():
        keys.rename(own)
        return None
    kept = own.with_name(f"keys.before-{time.strftime('%Y%m%d-%H%M%S')}")
    own.rename(kept)
    try:
        keys.rename(own)
    except OSError:
        kept.rename(own)
        raise
    return kept


def put_nodes_back(unpacked: Path, folder: DataFolder) -> int:
    """Let the managers and workers in *unpacked* be those of *folder* again, under their keys; return how many were put back. A
    key of another that is there is kept beside it, as ``key.before-DATE-TIME``. Raises `OSError`; may be done again."""
    count = 0
    for key in sorted(path for kind in _NODES for path in unpacked.glob(f"{kind}/*/key")):
        own = folder.root / key.parent.relative_to(unpacked)
        if (own / "key").is_file():
            if (own / "key").read_bytes() == key.read_bytes():
                continue
            (own / "key").rename(own / f"key.before-{time.strftime('%Y%m%d-%H%M%S')}")
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in _NODE_FILES:  # the key last, so that one that is cut off is done again
            if (key.parent / name).is_file():
                _bring(key.parent / name, own / name)
        count += 1
    return count


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} if folder.is_dir() else {}


def _files(folder: DataFolder, what: frozenset[str]) -> Iterator[Path]:
    for name in (each for kind in sorted(what) for each in CONTENTS[kind]):
        # People put links to their own files among the job types: what these show is saved.
        has_links = name in CONTENTS["job-types"]
        for below, folders, names in os.walk(folder.root / name, followlinks=has_links):
            folders[:] = sorted(each for each in folders if each != "__pycache__")
            if has_links:
                folders[:] = [each for each in folders if not _leads_back(Path(below, each), folder.root)]
            # What has a suffix of these is still on its way.
            yield from (Path(below, each) for each in sorted(names) if not each.endswith((".part", ".tmp", ".new", ".lock")))
    if "keys" in what:
        for kind in _NODES:
            found = (path for name in _NODE_FILES for path in folder.root.glob(f"{kind}/*/{name}"))
            yield from sorted(path for path in found if path.is_file())


def _leads_back(path: Path, root: Path) -> bool:
    """Return whether *path* is a link to a folder that it lies in, below *root*."""
    own = path.resolve()
    return path.is_symlink() and any(each.resolve() == own for each in path.parents if each.is_relative_to(root))


def _add(archive: tarfile.TarFile, written: IO[bytes], path: Path, name: str) -> tuple[int, str]:
    """Add the file at *path* as *name* to the *archive* that is *written*; return its size and SHA-256.

    What comes to it meanwhile is left out. Raises `OSError`: `FileNotFoundError` where it is gone, or is made shorter whenever it
    is read.
    """
    begin = archive.offset
    for _ in range(_TRIES):
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = stat.st_size, int(stat.st_mtime), 0o600
            hashed = _Hashed(file)
            try:
                archive.addfile(member, hashed)
                return stat.st_size, hashed.hash.hexdigest()
            except OSError:
                if os.fstat(file.fileno()).st_size >= stat.st_size:
                    raise
        # It was made shorter, as a log is that begins again: what is written of it is taken back.
        written.seek(begin)
        written.truncate()
        archive.offset = begin
    raise FileNotFoundError(errno.ENOENT, "It is made shorter all the time", str(path))


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), int(time.time()), 0o600
    archive.addfile(member, io.BytesIO(content))


def _read_members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield each member of the archive at *path* but its list: its name, and its content in pieces.

    At the end all is compared with the list. Raises `BadInput` where anything is not as it was written.
    """
    found: dict[str, list[object]] = {}
    listed: dict[str, object] | None = None
    broken = BadInput(f"The archive {path} is damaged, or was not copied to its end. Take another one")
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is None or not _is_safe(member.name):
                    raise broken
                if member.name == LIST:
                    listed = json.load(file)
                    continue
                hashed = hashlib.sha256()

                def pieces(file: IO[bytes] = file, hashed: "hashlib._Hash" = hashed) -> Iterator[bytes]:
                    try:
                        while piece := file.read(_PIECE):
                            hashed.update(piece)
                            yield piece
                    except tarfile.TarError as error:
                        raise broken from error

                reading = pieces()
                yield member.name, reading
                for _ in reading:
                    pass
                found[member.name] = [member.size, hashed.hexdigest()]
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise broken from error
    if not isinstance(listed, dict) or listed.get("members") != found:
        raise broken
    if listed.get("format") != _FORMAT:
        raise BadInput(f"The archive {path} was made by a newer brender ({listed.get('brender')}). Install that version")


def _is_safe(name: str) -> bool:
    """Return whether a member of this name lies where an archive has its files."""
    path = PurePosixPath(name)
    tops = {RECORD, LIST, *_NODES, *(each for contents in CONTENTS.values() for each in contents)}
    return not path.is_absolute() and ".." not in path.parts and path.parts[:1] != () and path.parts[0] in tops
