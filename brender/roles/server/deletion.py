"""Jobs are deleted: their files in a thread of its own, their rows a slice at a time, so that nobody waits for either.

What is to go stands in the record (``job.deleting``), so that a server that is killed meanwhile goes on when it is started again.
"""

import contextlib
import logging
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from peewee import PeeweeException, fn

from brender.model.changes import Change, Update
from brender.model.status import ENDED_JOB, PartStatus
from brender.roles.server.projects import Kept, outlived
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.tables import Tables, make_tables
from brender.store.writer import Writer
from brender.transfer.server import digest_of

log = logging.getLogger("brender.server")

_ROWS_A_SLICE = 5_000
_PARTS_A_READ = 5_000
#: By how much the clock of a disk may be ahead of the server's before its files seem to be changed.
_CLOCKS_DIFFER_SECONDS = 60.0
#: What belongs to a job, in the order in which it may go.
_BELONGS = ("attempt", "part", "task", "kept_off", "job_revision", "output_owner")


class Remover:
    """Deletes what belongs to jobs from *folder* and the record in *database*; *folder_of* tells which folder of this machine a
    job's output is."""

    def __init__(self, folder: DataFolder, database: str, folder_of: Callable[[str], Path]) -> None:
        self._folder = folder
        self._database = database
        self._folder_of = folder_of
        self._waiting: deque[tuple[str, str]] = deque()
        self._now: tuple[str, str] | None = None
        self._thread: threading.Thread | None = None
        self._problem = ""
        self._left = 0

    def resume(self, tables: Tables) -> None:
        """At the server's start: go on with what was begun."""
        job = tables.Job
        self._waiting.extend(job.select(job.id, job.deleting).where(job.deleting != "").tuples())

    def begin(self, job: str, what: str) -> None:
        """Delete *what* of *job*, after what was asked for before."""
        self._waiting.append((job, what))

    def step(self, writer: Writer, wall: float) -> list[Change]:
        """Go on a little; returns what is to be recorded of it. Raises `OperationalError` while nothing can be written."""
        if self._now is None:
            if not self._waiting:
                return []
            self._now = self._waiting.popleft()
            self._problem, self._left = "", 0
            self._thread = threading.Thread(target=self._delete_files, args=self._now, name="brender-removal", daemon=True)
            self._thread.start()
        job, what = self._now
        if self._thread is not None:
            if self._thread.is_alive():
                return []
            self._thread = None
        if self._problem:
            log.error("the job %s is not deleted: %s", job, self._problem)
            self._now = None
            return [Update("job", job, {"deleting": "", "reason": f"Not deleted: {self._problem}"[:500]})]
        if what == "frames":
            self._now = None
            return [Update("job", job, {"deleting": "", "frames_deleted": wall, **self._said_of_the_left(writer.tables, job)})]
        for kind in _BELONGS:
            if writer.delete(kind, "job", job, _ROWS_A_SLICE):
                return []
        writer.delete("job", "id", job, 1)
        self._now = None
        return []

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _delete_files(self, job: str, what: str) -> None:
        try:
            database = open_for_reading(self._database)
            with database.connection_context():
                tables = make_tables(database)
                if what != "record":
                    self._delete_frames(tables, job)
                if what != "frames" and not self._problem:
                    self._delete_logs(tables, job)
        except (OSError, PeeweeException) as error:
            self._problem = str(error)

    def _delete_frames(self, tables: Tables, job: str) -> None:
        """Delete the files that the job made, below its own folder, unless they were changed since. Folders that this leaves
        empty go only where brender alone makes folders: in the farm's own, and those of a still's pieces."""
        output = tables.Job.get_by_id(job).output
        if not output:
            return
        folder = self._folder_of(output)
        files = list(_files(tables, job))
        ours = folder.is_relative_to(self._folder.root)
        if not folder.is_dir():
            if files and not ours:
                self._problem = f"the server's machine does not see its output folder {folder}"
            return
        emptied = {folder} if ours else set()
        for file in files:
            path = folder / file.name
            if not path.parent.resolve().is_relative_to(folder.resolve()):
                continue
            try:
                if file.is_at(path):
                    path.unlink()
                elif path.exists():
                    self._left += 1
                    log.info("%s is not as the job %s made it, and stays", path, job)
            except OSError as error:
                self._problem = f"{path} cannot be deleted: {error.strerror}"
                return
            emptied |= {each for each in path.parents if each.is_relative_to(folder) and (ours or _is_of_pieces(each))}
        for each in sorted(emptied, key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):  # what is not the job's keeps its folder
                each.rmdir()

    def _said_of_the_left(self, tables: Tables, job: str) -> dict[str, Any]:
        """What the record of *job* says more where some of its files were left."""
        if not self._left:
            return {}
        files = "1 file was" if self._left == 1 else f"{self._left} files were"
        warning = f"Of its frames {files} changed after the job had made them, and not deleted"
        return {"warnings": [*tables.Job.get_by_id(job).warnings, warning]}

    def _delete_logs(self, tables: Tables, job: str) -> None:
        shutil.rmtree(self._folder.root / "logs" / job, ignore_errors=True)
        attempt = tables.Attempt
        ids = {id for (id,) in attempt.select(attempt.id).where(attempt.job == job).tuples()}
        for path in self._folder.thumbnails.glob("*/*.jpg") if ids else ():
            if path.name.rpartition("-")[0] in ids:
                path.unlink(missing_ok=True)


def retired(database: str, frames: Path, wall: float) -> dict[str, str]:
    """The ended jobs that their projects keep no longer, each with what is to be deleted of it: all of it where its frames lie in
    *frames*, the farm's own folder; else the record only, since frames elsewhere are their owner's. For a thread of its own;
    returns nothing while the database cannot be read."""
    try:
        opened = open_for_reading(database)
        with opened.connection_context():
            tables = make_tables(opened)
            found: dict[str, str] = {}
            for project in tables.Project.select().where((tables.Project.keep_days > 0) | (tables.Project.keep_bytes > 0)):
                ended = _ended(tables, project.name, frames)
                own = {each.job for each, frames_are_own in ended if frames_are_own}
                for job in outlived([each for each, _ in ended], project.keep_days, project.keep_bytes, wall):
                    found[job] = "both" if job in own else "record"
            return found
    except PeeweeException as error:
        log.warning("which jobs are kept too long is not known now: %s", error)
        return {}


def _ended(tables: Tables, project: str, frames: Path) -> list[tuple[Kept, bool]]:
    """The jobs of *project* that have ended, each with whether its frames are the farm's own."""
    job, part = tables.Job, tables.Part
    rows = job.select(job.id, job.finished, job.output, job.frames_deleted).where(
        (job.project == project) & job.status.in_(ENDED_JOB) & job.finished.is_null(False) & (job.deleting == "")
    )
    found = []
    for id, finished, output, gone in rows.tuples():
        own = bool(output) and Path(output).is_relative_to(frames)
        size = 0
        if own and gone is None:
            size = part.select(fn.COALESCE(fn.SUM(part.size), 0)).where(part.job == id).scalar()
        found.append((Kept(id, finished, int(size)), own))
    return found


def other_with_its_files(tables: Tables, job: Any) -> str:
    """The name of another job that found files of the row *job* in their common folder and kept them; "" where there is none."""
    if not job.output:
        return ""
    mine, other, theirs = tables.Part.alias(), tables.Job.alias(), tables.Part.alias()
    row = (
        other.select(other.name)
        .join(theirs, on=(theirs.job == other.id))
        .join(mine, on=((mine.frame == theirs.frame) & (mine.output == theirs.output)))
        .where(
            (other.output == job.output)
            & (other.id != job.id)
            & other.frames_deleted.is_null()
            & (mine.job == job.id)
            & (mine.output != "")
            & (mine.status == PartStatus.COMPLETED)
            & ~mine.kept
            & (theirs.status == PartStatus.COMPLETED)
            & theirs.kept
        )
        .limit(1)
        .tuples()
        .first()
    )
    return str(row[0]) if row else ""


@dataclass(frozen=True)
class _File:
    """A file that a job made: its name, relative to the job's folder, and how it was then. ``digest`` "", ``finished`` ``None``:
    not known."""

    name: str
    size: int
    digest: str
    finished: float | None

    def is_at(self, path: Path) -> bool:
        """Whether *path* is still that file. Raises `OSError` where it cannot be read."""
        try:
            stat = path.lstat()
        except FileNotFoundError:
            return False
        if not S_ISREG(stat.st_mode) or stat.st_size != self.size:
            return False
        if self.digest:
            return digest_of(path) == self.digest
        return self.finished is None or stat.st_mtime <= self.finished + _CLOCKS_DIFFER_SECONDS


def _files(tables: Tables, job: str) -> Iterator[_File]:
    """The files that *job* made, those of its pieces too, as the record has them. What it found there and kept is another's,
    but for pieces, which nobody else has."""
    part, last = tables.Part, -1
    made_again = _made_again(tables, job)
    while True:
        made = (part.status == PartStatus.COMPLETED) & (~part.kept | (part.piece > 0))
        query = part.select().where((part.job == job) & (part.id > last) & made)
        rows = list(query.order_by(part.id).limit(_PARTS_A_READ))
        for row in (row for row in rows if row.id not in made_again):
            extras = [(extra["output"], extra.get("size", 0), extra.get("digest", "")) for extra in row.extras]
            for name, size, digest in [(row.output, row.size, row.digest), *extras]:
                if name and not Path(name).is_absolute():
                    yield _File(name, size, digest, row.finished)
        if len(rows) < _PARTS_A_READ:
            return
        last = rows[-1].id


def _made_again(tables: Tables, job: str) -> set[int]:
    """The parts of *job* whose files another job has rendered since: what is there is the other's."""
    row, mine, theirs = tables.Job.get_by_id(job), tables.Part.alias(), tables.Part.alias()
    same_folder = (tables.Job.output == row.output) & (tables.Job.id != job)
    others = [id for (id,) in tables.Job.select(tables.Job.id).where(same_folder).tuples()]
    if not others:
        return set()
    query = (
        mine.select(mine.id)
        .join(theirs, on=((theirs.frame == mine.frame) & (theirs.output == mine.output)))
        .where(
            (mine.job == job)
            & theirs.job.in_(others)
            & (theirs.status == PartStatus.COMPLETED)
            & ~theirs.kept
            & (theirs.finished >= mine.finished)
        )
    )
    return {id for (id,) in query.tuples()}


def _is_of_pieces(folder: Path) -> bool:
    return folder.name.startswith(".") and folder.name.endswith(".pieces")
