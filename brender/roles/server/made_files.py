"""The files that a job made, as the record proves, and how they are deleted: what others put there or changed since stays.

Nothing here is for the control loop: folders may not answer, and files are large.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, Protocol

from peewee import OP, Expression, PeeweeException

from brender.jobs.numbering import NUMBERED
from brender.jobs.pieces import is_piece
from brender.model.job import COPY
from brender.model.status import PartStatus
from brender.roles.server.folder_threads import Alive
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.progressive import pictures
from brender.store.tables import Tables, make_tables
from brender.system.removal import remove_tree
from brender.transfer.pieces import digest_of

log = logging.getLogger("brender.server")

_PARTS_A_READ = 5_000
_ATTEMPTS_A_READ = 500
#: By how much the clock of a disk may be ahead of the server's before its files seem to be changed.
_CLOCKS_DIFFER_SECONDS = 60.0


@dataclass
class Deletion:
    """What is to be deleted of a job, and how it goes."""

    job: str
    what: str
    problem: str = ""
    """Why it cannot be."""
    left: int = 0
    """Files that were changed after the job had made them, and stay."""


class JobFiles(Protocol):
    """The files of jobs, of which each method is called in the thread of the job's output folder."""

    def kept_by_another(self, job: str) -> str:
        """Return why the frames of *job* stay: another job counts them among its own. Return "" if none does."""

    def delete(self, deletion: Deletion, alive: Alive) -> Iterator[None]:
        """Delete the files of the job, one a step; note in *deletion* what stays, and why it cannot go on."""


class MadeFiles:
    """The files of jobs on the disks that this machine sees, by the record in *database*; *folder_of* tells where the output
    folder of a job is here. A `JobFiles`."""

    def __init__(self, folder: DataFolder, database: str, folder_of: Callable[[str], Path]) -> None:
        self._folder = folder
        self._database = database
        self._folder_of = folder_of

    def kept_by_another(self, job: str) -> str:
        """Return why the frames of *job* stay: another job that has found them counts them among its own. Return "" if none does.
        That is looked up here, since it may take a while."""
        try:
            database = open_for_reading(self._database)
            with database.connection_context():
                tables = make_tables(database)
                row = tables.Job.get_by_id(job)
                other = other_with_its_files(tables, row)
        except PeeweeException as error:
            return str(error)
        return f"the job {other} keeps frames of it in {row.output}: delete that job first, or the record only" if other else ""

    def delete(self, deletion: Deletion, alive: Alive) -> Iterator[None]:
        """Delete the files of the job, one a step."""
        database = open_for_reading(self._database)
        with database.connection_context():
            tables = make_tables(database)
            if deletion.what != "record":
                yield from self._frames(tables, deletion, alive)
            if deletion.what != "frames" and not deletion.problem:
                yield from self._logs(tables, deletion.job)

    def _frames(self, tables: Tables, deletion: Deletion, alive: Alive) -> Iterator[None]:
        """Delete the files that the job made, below its own folder, unless they were changed since. Folders that this leaves
        empty go only where brender alone makes folders: in the farm's own, the one that was made for the job, and those of a
        still's pieces."""
        job = tables.Job.get_by_id(deletion.job)
        output = job.output
        if not output:
            return
        folder = self._folder_of(output)
        ours = folder.is_relative_to(self._folder.root)
        if not folder.is_dir():
            if not ours and next(made_files(tables, deletion.job), None) is not None:
                deletion.problem = f"the server's machine does not see its output folder {folder}"
            return
        made = ours or job.made_output
        emptied = {folder} if made else set()
        for file in made_files(tables, deletion.job):
            yield
            path = folder / file.name
            if not path.parent.resolve().is_relative_to(folder.resolve()):
                continue
            try:
                if file.is_at(path, alive):
                    path.unlink()
                elif path.exists():
                    deletion.left += 1
                    log.info("%s is not as the job %s made it, and stays", path, deletion.job)
            except OSError as error:
                deletion.problem = f"{path} cannot be deleted: {error.strerror}"
                return
            emptied |= {each for each in path.parents if each.is_relative_to(folder) and (made or _is_of_pieces(each))}
        if made:
            emptied.update(folder.parents[: job.made_above])
        for each in sorted(emptied, key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):  # what is not the job's keeps its folder
                each.rmdir()

    def _logs(self, tables: Tables, job: str) -> Iterator[None]:
        """Delete the job's logs and thumbnails: an attempt may have left one of each part of its task."""
        remove_tree(self._folder.root / "logs" / job)
        attempt, part, last = tables.Attempt, tables.Part, ""
        settings = tables.Job.select(tables.Job.settings).where(tables.Job.id == job).scalar() or {}
        lost_frames = bool(settings.get(NUMBERED.name))
        while True:
            query = attempt.select(attempt.id, attempt.task).where((attempt.job == job) & (attempt.id > last))
            rows = list(query.order_by(attempt.id).limit(_ATTEMPTS_A_READ).tuples())
            tasks: dict[int, list[int]] = {}
            for id, task in part.select(part.id, part.task).where(part.task.in_({task for _, task in rows})).tuples():
                tasks.setdefault(task, []).append(id)
            for id, task in rows:
                yield
                for number in tasks.get(task, ()):
                    self._folder.thumbnail(id, number).unlink(missing_ok=True)
                if lost_frames:  # of which nothing else is known any more
                    for each in self._folder.thumbnail(id, 0).parent.glob(f"{id}-*.jpg"):
                        each.unlink(missing_ok=True)
            if len(rows) < _ATTEMPTS_A_READ:
                return
            last = rows[-1][0]


def other_with_its_files(tables: Tables, job: Any) -> str:
    """Return the name of another job that found files of the row *job* and kept them, or ""."""
    mine, theirs = tables.Part.alias(), tables.Part.alias()
    for other in _others_there(tables, job):
        if other.frames_deleted:
            continue
        query = (
            mine.select(mine.id)
            .join(theirs, on=((mine.frame == theirs.frame) & other.is_same_file(mine, theirs)))
            .where(
                (mine.job == job.id)
                & (theirs.job == other.id)
                & (mine.output != "")
                & (mine.status == PartStatus.COMPLETED)
                & ~mine.kept
                & (theirs.status == PartStatus.COMPLETED)
                & theirs.kept
            )
        )
        if query.exists():
            return other.name
    return ""


@dataclass(frozen=True)
class _Other:
    """A job whose output folder is that of the job that is looked at, or lies below or above it."""

    id: str
    name: str
    frames_deleted: float | None
    before_mine: str
    """What comes before the names of the first job's files, seen from the higher of the two folders."""
    before_theirs: str

    def is_same_file(self, mine: Any, theirs: Any) -> Any:
        """Return the condition that parts of both, *mine* of the job that is looked at, have the same file."""
        if not self.before_mine and not self.before_theirs:
            return mine.output == theirs.output
        whole_mine = Expression(self.before_mine, OP.CONCAT, mine.output)
        return whole_mine == Expression(self.before_theirs, OP.CONCAT, theirs.output)


def _others_there(tables: Tables, job: Any) -> Iterator[_Other]:
    """Return the other jobs that may have files where the row *job* has."""
    folder, table = job.output, tables.Job
    if not folder:
        return
    rows = table.select(table.id, table.name, table.frames_deleted, table.output).where(
        (table.output != "") & (table.id != job.id)
    )
    for id, name, frames_deleted, output in list(rows.tuples()):
        if output == folder:
            yield _Other(id, name, frames_deleted, "", "")
        elif output.startswith(f"{folder}/"):
            yield _Other(id, name, frames_deleted, "", f"{output.removeprefix(f'{folder}/')}/")
        elif folder.startswith(f"{output}/"):
            yield _Other(id, name, frames_deleted, f"{folder.removeprefix(f'{output}/')}/", "")


@dataclass(frozen=True)
class MadeFile:
    """A file that a job made: its name, relative to the job's folder, and how it was then. ``digest`` "", ``finished`` ``None``:
    not known."""

    name: str
    size: int
    digest: str
    finished: float | None

    def is_at(self, path: Path, alive: Alive) -> bool:
        """Return whether *path* is still that file. Raises `OSError` where it cannot be read."""
        try:
            stat = path.lstat()
        except FileNotFoundError:
            return False
        if not S_ISREG(stat.st_mode) or not self.is_as_made(stat.st_size, stat.st_mtime):
            return False
        return not self.digest or digest_of(path, alive) == self.digest

    def is_as_made(self, size: int, changed: float) -> bool:
        """Return whether a file of *size* bytes, last *changed* at that time, may be it. Its digest, if there is one, is to be
        compared too."""
        if size != self.size:
            return False
        return bool(self.digest) or self.finished is None or changed <= self.finished + _CLOCKS_DIFFER_SECONDS


def made_files(tables: Tables, job: str) -> Iterator[MadeFile]:
    """Return the files that *job* made, those of its pieces too, as the record has them. What it found there and kept is
    another's, but for pieces, which nobody else has; and what was deleted before is gone."""
    part, last = tables.Part, -1
    row = tables.Job.get_by_id(job)
    made_again, gone_before = _made_again(tables, job), row.frames_deleted
    # Where a frame has several passes, its picture is that of the latest.
    best: set[int] | None = None
    if row.passes:
        best = {id for (id,) in part.select(part.id).where(pictures(tables, job, row.passes)).tuples()}
    while True:
        made = (part.status == PartStatus.COMPLETED) & (~part.kept | (part.piece > 0)) & (part.piece != COPY)
        if gone_before is not None:
            made &= part.finished > gone_before
        query = part.select().where((part.job == job) & (part.id > last) & made)
        rows = list(query.order_by(part.id).limit(_PARTS_A_READ))
        for row in (row for row in rows if row.id not in made_again):
            further_files = [
                (further["output"], further.get("size", 0), further.get("digest", "")) for further in row.further_files
            ]
            is_replaced = best is not None and row.id not in best
            for name, size, digest in [(row.output, row.size, row.digest), *further_files]:
                if name and not Path(name).is_absolute() and (is_piece(name) or not is_replaced):
                    yield MadeFile(name, size, digest, row.finished)
        if len(rows) < _PARTS_A_READ:
            return
        last = rows[-1].id


def _made_again(tables: Tables, job: str) -> set[int]:
    """Return the parts of *job* whose files another job has rendered since, or before, where *job* only found them: what is there
    is the other's."""
    mine, theirs = tables.Part.alias(), tables.Part.alias()
    found: set[int] = set()
    for other in _others_there(tables, tables.Job.get_by_id(job)):
        query = (
            mine.select(mine.id)
            .join(theirs, on=((theirs.frame == mine.frame) & other.is_same_file(mine, theirs)))
            .where(
                (mine.job == job)
                & (theirs.job == other.id)
                & (theirs.status == PartStatus.COMPLETED)
                & ~theirs.kept
                & (theirs.piece != COPY)
                # By the order of the commits, since clocks are set now and then; and by the times, where one commit has both.
                & (mine.kept | (theirs.change > mine.change) | (theirs.finished >= mine.finished))
            )
        )
        found.update(id for (id,) in query.tuples())
    return found


def _is_of_pieces(folder: Path) -> bool:
    return folder.name.startswith(".") and folder.name.endswith(".pieces")
