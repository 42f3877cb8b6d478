"""Finished frames on their way to this machine: which are here already, and which files they may not replace."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brender.api.connection import Bytes, Connection, unseen
from brender.api.finished import JobFile, finished_files
from brender.blendfile.packing import digest_of_file
from brender.model.errors import BadInput, Conflict, NotFound
from brender.model.text import harmless, job_in_words, plural, some_of


def frames_of(connection: Connection, job: str) -> list[JobFile]:
    """Return the finished frames of *job*, by their numbers, and its film at the end; none of their further files."""
    files = [each for each in finished_files(connection, job) if not each.file]
    return sorted(files, key=lambda each: (each.frame is None, each.frame or 0, each.layer, each.output))


def fetch_frames(
    connection: Connection, record: Mapping[str, Any], folder: Path, replace: bool = False, progress: Bytes = unseen
) -> list[Path]:
    """Fetch the finished frames of the job of *record* to *folder*; returns their files, those too that were there. Raises
    `Conflict`, with nothing fetched, where others of their names are there, unless *replace* allows it."""
    if record["frames_deleted"] is not None:
        raise NotFound(f"The frames of {record['name']} were deleted")
    target = folder.absolute()
    found = [(each, target_of(target, each)) for each in frames_of(connection, record["id"])]
    missing = [(each, path) for each, path in found if not is_here(path, each)]
    if not replace:
        check_none_replaced(record, target, [path for each, path in missing if not was_fetched_earlier(path, each)], 0)
    for each, path in missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.fetch(record["id"], each.part, path, progress, each.file)
    return [path for _, path in found]


def target_of(folder: Path, file: JobFile) -> Path:
    """Return where *file* goes in *folder*. Raises `BadInput` where it would lie outside of it."""
    path = (folder / file.output).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BadInput(f"The file {harmless(file.output)} would lie outside of {folder}, and is not fetched")
    return path


def check_none_replaced(job: Mapping[str, Any], target: Path, paths: Iterable[Path], fetched: int) -> None:
    """Raise `Conflict` where one of *paths*, which are not the files of *job*, is there. *fetched*: how many came before."""
    there = [path for path in paths if path.exists() or path.is_symlink()]
    if not there:
        return
    names = some_of([harmless(str(path.relative_to(target.resolve()))) for path in there])
    one, called = len(there) == 1, job_in_words(job["id"], job["name"])
    raise Conflict(
        f"{plural(len(there), 'file')} in {target} {'is' if one else 'are'} not what the job {called} has "
        f"under {'its name' if one else 'their names'}, and {'stays' if one else 'stay'}: {names}. "
        f"{plural(fetched, 'file') + ' fetched before' if fetched else 'Nothing was fetched'}. "
        f"Fetch to another folder with --to FOLDER, or replace {'it' if one else 'them'} with --replace"
    )


def was_fetched_earlier(path: Path, file: JobFile) -> bool:
    """Return whether *path* is an earlier picture of the frame, which this *file* is better than."""
    return bool(file.earlier) and path.is_file() and not path.is_symlink() and digest_of_file(path)[0] in file.earlier


def is_here(path: Path, file: JobFile) -> bool:
    """Return whether *path* is that file already, whole."""
    if not path.exists() or path.stat().st_size != file.size:
        return False
    return not file.digest or digest_of_file(path)[0] == file.digest
