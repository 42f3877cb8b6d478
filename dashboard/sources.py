"""Where a .blend is that somebody submits: in an upload of theirs, or in a project's folder on the server's machine; and what it
says of itself. Paths lead out of neither."""

import contextlib
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from brender.blendfile.facts import inspect
from brender.engines.addon_archive import PackedAddOn, packed_addons
from brender.engines.destination import missing_folders, one_spelling
from brender.model.errors import BadInput, NotFound
from brender.model.job import FileFacts, MissingFile
from brender.model.paths import collapse, expand, places, platform_of
from brender.store.path_variables import path_variables
from dashboard.farm import farm, user_name
from dashboard.uploads import files_folder

Name = Annotated[str, msgspec.Meta(max_length=255)]
#: What .blend files said of themselves, by path, bounds and stat; as many as are kept in memory.
_SEEN: dict[tuple[Path, Path | None, int, int, int], FileFacts] = {}
_SEEN_MOST = 64


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A .blend: of an ``upload``, or of a ``project``'s folder; ``file`` is its path there."""

    file: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    upload: Name = ""
    project: Name = ""


def source_file(where: Where) -> Path:
    """Return the file that *where* means. Raises `NotFound` or `BadInput`."""
    if bool(where.upload) == bool(where.project):
        raise BadInput("A .blend is of an upload, or of a project: name one of these")
    root = project_folder(where.project) if where.project else files_folder(upload_folder(where.upload))
    path = inside(root, where.file)
    if not path.is_file():
        raise NotFound(f"There is no file {where.file!r} there")
    return path


def bounds(where: Where) -> Path | None:
    """Return the folder beyond which a .blend learns nothing of this machine's files; ``None`` for those of projects, which share
    them."""
    return upload_folder(where.upload) if where.upload else None


def upload_folder(id: str) -> Path:
    """Return the folder of the upload *id*, beyond which nothing of it lies. Raises `NotFound`."""
    return farm().uploads.folder(id, user_name())


def project_folder(project: str) -> Path:
    """Return the folder of *project* on this machine. Raises `NotFound`."""
    with farm().reader.record() as record:
        row = record.tables.Project.get_or_none(name=project)
        variables = path_variables(record.tables)
    if row is None or not row.root:
        raise NotFound(f"The project {project!r} has no folder on the server's machine: an admin or wrangler can name one")
    here = platform_of(platform.system())
    return Path(expand(row.root, places(variables, here), here)).resolve()


def inside(root: Path, path: str) -> Path:
    """Return *path* below *root*, wherever links lead. Raises `BadInput`."""
    found = root / path
    if "\0" in path or PurePosixPath(path).is_absolute() or not is_inside(root, found):
        raise BadInput(f"{path!r} leads out of the folder")
    return found


def is_inside(root: Path, path: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def inspected(path: Path, within: Path | None, fresh: bool) -> FileFacts:
    """What the .blend at *path* says of itself, as it was seen last unless *fresh*: Blender opens the file for it. In an upload,
    *within*, nothing changes but by more files: there it is looked into again after these alone. Raises `BadInput`."""
    stat = path.stat()
    added = farm().uploads.changed(within) if within else 0
    key = (path, within, stat.st_mtime_ns, stat.st_size, added)
    found = None if fresh and not within else _SEEN.get(key)
    if found is None:
        with in_words_of(within):
            found = _SEEN[key] = inspect(path, within)
        while len(_SEEN) > _SEEN_MOST:
            _SEEN.pop(next(iter(_SEEN)), None)
    return found


@contextlib.contextmanager
def in_words_of(upload: Path | None) -> Iterator[None]:
    """Let a `BadInput` name files of the folder *upload* as their owner knows them: by their paths in it. ``None`` changes
    nothing."""
    try:
        yield
    except BadInput as error:
        said = str(error)
        for base in {upload, upload.resolve()} if upload else ():
            said = said.replace(f"{files_folder(base)}/", "").replace(f"{base}/", "")
        raise BadInput(said) from error


@contextlib.contextmanager
def addons_of(upload: Path, addons: Sequence[str]) -> Iterator[list[PackedAddOn]]:
    """Pack the files of the *upload* that are named as *addons*, for the length of the block. Raises `BadInput`."""
    room = files_folder(upload)
    with in_words_of(upload):
        paths = [inside(room, each) for each in addons]
        for path, named in zip(paths, addons, strict=True):
            if path.resolve() == room.resolve():
                raise BadInput(f"The add-on {named!r} is the whole upload: name the file or folder of one add-on in it")
        with packed_addons(paths) as own:
            yield own


def as_told(facts: FileFacts, path: Path, source: Where) -> FileFacts:
    """Return *facts*, those of the .blend at *path*, with paths that its submitter knows: nobody knows where this machine keeps
    an upload."""
    if not source.upload:
        return facts
    missing = tuple(msgspec.structs.replace(each, path=_shown(each, path)) for each in facts.missing)
    return msgspec.structs.replace(facts, path=path.name, missing=missing)


def _shown(missing: MissingFile, blend: Path) -> str:
    """Return the path of the file *missing* of an uploaded *blend* as Blender writes it: relative to the .blend, where it is
    named so, or lies below this machine's data folder."""
    kept = farm().uploads.root.parent
    if not missing.is_relative and not any(Path(missing.path).is_relative_to(data) for data in (kept, kept.resolve())):
        return missing.path
    # The .blend may have been opened by another spelling of its folder: from that, the way would be a longer one.
    ways = [os.path.relpath(missing.path, folder) for folder in (blend.parent, blend.resolve().parent)]
    return f"//{Path(min(ways, key=len)).as_posix()}"


def placed(folder: str) -> str:
    """Return the one spelling of the output *folder*, a path of this machine or one with a path variable."""
    if not folder.startswith("{"):
        _must_be_absolute(Path(folder))
    with farm().reader.record() as record:
        return one_spelling(folder, path_variables(record.tables))


def to_be_made(output: str) -> int:
    """Return how many folders workers will make for the folder *output* of a job, by what is on this machine now: itself, and
    those that it lies in. 0 where it has no place here."""
    folder = _here(output)
    try:
        return 0 if folder is None else missing_folders(folder)
    except OSError:
        return 0


def is_there(output: str) -> bool:
    """Return whether the folder *output* of a job is on this machine."""
    folder = _here(output)
    return folder is not None and folder.exists()


def _here(output: str) -> Path | None:
    here = platform_of(platform.system())
    with farm().reader.record() as record:
        variables = path_variables(record.tables)
    try:
        return Path(expand(output, places(variables, here), here))
    except BadInput:
        return None


def shared(path: Path) -> str:
    """Return *path* with a path variable for its beginning, where one fits."""
    if str(path).startswith("{"):
        return str(path)
    _must_be_absolute(path)
    with farm().reader.record() as record:
        return collapse(str(path), path_variables(record.tables), platform_of(platform.system()))


def _must_be_absolute(path: Path) -> None:
    if not path.is_absolute():
        raise BadInput(f"{str(path)!r} is not an absolute path")
