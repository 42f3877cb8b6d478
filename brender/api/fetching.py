"""Finished frames on their way to this machine: which are here already, and which files they may not replace."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from brender.api.connection import Bytes, Connection, unseen
from brender.api.finished import JobFile, finished_files
from brender.api.standing import when
from brender.blendfile.packing import digest_of_file
from brender.model.errors import BadInput, Conflict, NotFound
from brender.model.text import harmless, job_in_words, plural, short_id, some_of


def frames_of(connection: Connection, job: str) -> list[JobFile]:
    """Return the finished frames of *job*, by their numbers, and its film at the end; none of their further files."""
    files = [each for each in finished_files(connection, job) if not each.file]
    return sorted(files, key=_place_of)


def _place_of(file: JobFile) -> tuple[bool, int, str, str]:
    return file.frame is None, file.frame or 0, file.layer, file.output


def fetch_frames(
    connection: Connection, record: Mapping[str, Any], folder: Path, replace: bool = False, progress: Bytes = unseen
) -> list[Path]:
    """Fetch the finished frames of the job of *record* to *folder*; returns their files, those too that were there. Raises
    `Conflict`, with nothing fetched, where others of their names are there, unless *replace* allows it; and, once all are here,
    where one is not what the job rendered (`Fetching.check_rendered`)."""
    fetching = Fetching(connection, record, folder, replace, with_further=False)
    found = fetching.look(lambda file: progress)
    fetching.check_rendered()
    return [path for _, path in sorted(found, key=lambda each: _place_of(each[0]))]


class Fetching:
    """Brings the files of finished frames of the job of *record* to *folder*, which is made; what is there already, whole, is not
    fetched again. *with_further*: those too that a frame has beside its picture.

    ``fetched``: how many were. Raises `NotFound` where the job's frames were deleted.
    """

    def __init__(
        self, connection: Connection, record: Mapping[str, Any], folder: Path, replace: bool = False, with_further: bool = True
    ) -> None:
        if record["frames_deleted"] is not None:
            raise NotFound(f"The frames of {record['name']} were deleted on {when(record['frames_deleted'])}")
        self.folder, self.fetched = folder.absolute(), 0
        self._connection, self._record = connection, record
        self._replace, self._with_further = replace, with_further
        self._own: set[Path] = set()
        self._changed: dict[Path, str] = {}
        self._change = -1

    def look(self, begin: Callable[[JobFile], Bytes]) -> list[tuple[JobFile, Path]]:
        """Fetch what was finished since the last look; returns those files, each with where it is, also those that were there.
        *begin* hears of each that is fetched, and returns what hears of its bytes. Raises `Conflict` where others of their names
        are there, unless they may be replaced."""
        finished = list(finished_files(self._connection, self._record["id"], self._change))
        self._change = max((each.change for each in finished), default=self._change)
        found = [(each, target_of(self.folder, each)) for each in finished if self._with_further or not each.file]
        missing = [(each, path) for each, path in found if not is_here(path, each)]
        self._own |= {path for each, path in missing if was_fetched_earlier(path, each)}
        self._check([path for _, path in missing])
        for each, path in missing:
            self._check([path])  # (another command may fetch to the same folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection.fetch(self._record["id"], each.part, path, begin(each), each.file)
            self._own.add(path)
            self.fetched += 1
            self._changed.pop(path, None)
            if was_changed(self._record, path, each):
                self._changed[path] = each.output
        return found

    def check_rendered(self) -> None:
        """Raise `Conflict` where a file that was fetched is not what the job rendered under its name."""
        check_unchanged(self._record, list(self._changed.values()), "fetched")

    def _check(self, paths: Iterable[Path]) -> None:
        if not self._replace:
            _check_none_replaced(self._record, self.folder, [path for path in paths if path not in self._own], self.fetched)


def was_changed(record: Mapping[str, Any], path: Path, file: JobFile) -> bool:
    """Return whether *path*, as which *file* of the job of *record* has just come, is not what the job rendered."""
    # (In a progressive job, a pass replaces the one before.)
    return bool(file.size) and not record.get("passes") and not is_here(path, file)


def check_unchanged(record: Mapping[str, Any], changed: Sequence[str], what: str) -> None:
    """Raise `Conflict` where files of the job of *record*, *changed* by their names, are not what the job rendered; *what* was
    done with them as they are, such as "fetched"."""
    if changed:
        one, called = len(changed) == 1, job_in_words(record["id"], record["name"])
        raise Conflict(
            f"{plural(len(changed), 'file')} of the job {called} {'was' if one else 'were'} changed since the job rendered "
            f"{'it' if one else 'them'}, by another job, a program or a person, and {'was' if one else 'were'} {what} as "
            f"{'it is' if one else 'they are'} now: {some_of([harmless(name) for name in changed])}. "
            f"`brender requeue {short_id(record['id'])} --all` renders the job's own again"
        )


def target_of(folder: Path, file: JobFile) -> Path:
    """Return where *file* goes in *folder*. Raises `BadInput` where it would lie outside of it."""
    path = (folder / file.output).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BadInput(f"The file {harmless(file.output)} would lie outside of {folder}, and is not fetched")
    return path


def _check_none_replaced(job: Mapping[str, Any], target: Path, paths: Iterable[Path], fetched: int) -> None:
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
