"""Jobs are deleted: their files by threads of their folders, their rows a slice at a time, so that nobody waits for either.

What is to go stands in the record (``job.deleting``), so that a server that is killed meanwhile goes on when it is started again.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from stat import S_ISREG
from typing import Any

from peewee import PeeweeException, fn

from brender.model.errors import BadInput
from brender.model.status import ENDED_JOB, PartStatus
from brender.roles.server.files import FileKeeper
from brender.roles.server.folder_threads import Alive
from brender.roles.server.projects import Kept, outlived
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.tables import Tables, make_tables
from brender.store.writer import Writer
from brender.system.removal import remove_tree
from brender.transfer.pieces import digest_of

log = logging.getLogger("brender.server")

_ROWS_A_SLICE = 5_000
_PARTS_A_READ = 5_000
_ATTEMPTS_A_READ = 500
#: How long files of one job are deleted before the next action on the same folder has its turn.
_SLICE_SECONDS = 0.5
#: By how much the clock of a disk may be ahead of the server's before its files seem to be changed.
_CLOCKS_DIFFER_SECONDS = 60.0
#: What belongs to a job, in the order in which it may go.
_BELONGS = ("attempt", "part", "task", "kept_off", "job_revision", "output_owner")


@dataclass
class _Deletion:
    """What is to be deleted of a job, and how it goes."""

    job: str
    what: str
    problem: str = ""
    """Why it cannot be."""
    left: int = 0
    """Files that were changed after the job had made them, and stay."""


class Remover:
    """Deletes what belongs to jobs from *folder* and the record in *database*: files by the threads of their folders (*keeper*),
    then rows, a slice at a time. A folder that does not answer delays its own job's deletion alone."""

    def __init__(self, folder: DataFolder, database: str, keeper: FileKeeper) -> None:
        self._folder = folder
        self._database = database
        self._keeper = keeper
        self._asked: deque[tuple[str, str]] = deque()
        self._with_files: dict[str, str] = {}
        """The jobs whose files are being deleted, each with the folder that is worked on."""
        self._without_files: SimpleQueue[_Deletion] = SimpleQueue()
        self._now: _Deletion | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to delete."""
        return not self._asked and not self._with_files and self._now is None

    def resume(self, tables: Tables) -> None:
        """At the server's start: go on with what was begun."""
        job = tables.Job
        self._asked.extend(job.select(job.id, job.deleting).where(job.deleting != "").tuples())

    def begin(self, job: str, what: str) -> None:
        """Delete *what* of *job*, once this is recorded."""
        self._asked.append((job, what))

    def step(self, writer: Writer, wall: float) -> list[tuple[str, dict[str, Any]]]:
        """Go on a little; return the jobs of which something is to be recorded, and what. Raises `OperationalError` while nothing
        can be written."""
        while self._asked:
            job, what = self._asked[0]
            output = writer.tables.Job.get_by_id(job).output
            self._asked.popleft()
            self._with_files[job] = output
            self._keeper.threads.do(output, partial(self._begin_files, _Deletion(job, what)))
        if self._now is None:
            try:
                self._now = self._without_files.get_nowait()
            except Empty:
                return []
            self._with_files.pop(self._now.job, None)
        now = self._now
        if now.problem:
            log.error("the job %s is not deleted: %s", now.job, now.problem)
            self._now = None
            return [(now.job, {"deleting": "", "reason": f"Not deleted: {now.problem}"[:500]})]
        if now.what == "frames":
            self._now = None
            return [(now.job, {"deleting": "", "frames_deleted": wall, **_said_of_the_left(writer.tables, now)})]
        for kind in _BELONGS:
            if writer.delete(kind, "job", now.job, _ROWS_A_SLICE):
                return []
        writer.delete("job", "id", now.job, 1)
        self._now = None
        return []

    # --- in threads of folders ----------------------------------------------------------------------------------------

    def _begin_files(self, deletion: _Deletion, alive: Alive) -> None:
        """In the thread of the job's output folder, after all frames that were to be put there."""
        if deletion.what != "record":
            deletion.problem = self._kept_by_another(deletion.job)
            if deletion.problem:
                self._without_files.put(deletion)
                return
            self._keeper.placement.give_up(deletion.job)
        elif waiting := self._keeper.placement.waiting(deletion.job):
            frames = "1 finished frame waits" if len(waiting) == 1 else f"{len(waiting)} finished frames wait"
            deletion.problem = f"{frames} to be put into its folder: delete the record after that, or the frames with it"
            self._without_files.put(deletion)
            return
        self._go_on(self._with_files[deletion.job], deletion, self._files(deletion, alive), alive)

    def _kept_by_another(self, job: str) -> str:
        """Return why the frames of *job* stay: another job that has found them counts them among its own. "" where none does.
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

    def _go_on(self, folder: str, deletion: _Deletion, steps: Iterator[None], alive: Alive) -> None:
        """Take *steps* for a moment, then let others have the thread of *folder*."""
        until = time.monotonic() + _SLICE_SECONDS
        try:
            for _ in steps:
                alive()
                if time.monotonic() > until:
                    self._keeper.threads.do(folder, lambda alive: self._go_on(folder, deletion, steps, alive))
                    return
        except (OSError, BadInput, PeeweeException) as error:
            deletion.problem = str(error)
        except Exception as error:  # else the job would be going for ever
            log.exception("the files of the job %s cannot be deleted", deletion.job)
            deletion.problem = str(error)
        self._without_files.put(deletion)

    def _files(self, deletion: _Deletion, alive: Alive) -> Iterator[None]:
        """Delete the files of the job, one a step."""
        database = open_for_reading(self._database)
        with database.connection_context():
            tables = make_tables(database)
            if deletion.what != "record":
                yield from self._frames(tables, deletion, alive)
            if deletion.what != "frames" and not deletion.problem:
                yield from self._logs(tables, deletion.job)

    def _frames(self, tables: Tables, deletion: _Deletion, alive: Alive) -> Iterator[None]:
        """Delete the files that the job made, below its own folder, unless they were changed since. Folders that this leaves
        empty go only where brender alone makes folders: in the farm's own, and those of a still's pieces."""
        output = tables.Job.get_by_id(deletion.job).output
        if not output:
            return
        folder = self._keeper.folder_of(output)
        ours = folder.is_relative_to(self._folder.root)
        if not folder.is_dir():
            if not ours and next(_files(tables, deletion.job), None) is not None:
                deletion.problem = f"the server's machine does not see its output folder {folder}"
            return
        emptied = {folder} if ours else set()
        for file in _files(tables, deletion.job):
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
            emptied |= {each for each in path.parents if each.is_relative_to(folder) and (ours or _is_of_pieces(each))}
        for each in sorted(emptied, key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):  # what is not the job's keeps its folder
                each.rmdir()

    def _logs(self, tables: Tables, job: str) -> Iterator[None]:
        """Delete the job's logs and thumbnails: an attempt may have left one of each part of its task."""
        remove_tree(self._folder.root / "logs" / job)
        attempt, part, last = tables.Attempt, tables.Part, ""
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
            if len(rows) < _ATTEMPTS_A_READ:
                return
            last = rows[-1][0]


def _said_of_the_left(tables: Tables, deletion: _Deletion) -> dict[str, Any]:
    """Return what the record of a job says more where some of its files were left."""
    if not deletion.left:
        return {}
    files = "1 file was" if deletion.left == 1 else f"{deletion.left} files were"
    warning = f"Of its frames {files} changed after the job had made them, and not deleted"
    return {"warnings": [*tables.Job.get_by_id(deletion.job).warnings, warning]}


def retired(database: str, frames: Path, wall: float) -> dict[str, str]:
    """Return the ended jobs that their projects keep no longer, each with what is to be deleted of it: all of it where its
    frames lie in *frames*, the farm's own folder; else the record only, since frames elsewhere are their owner's. For a
    thread of its own; returns nothing while the database cannot be read."""
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
    """Return the jobs of *project* that have ended, each with whether its frames are the farm's own."""
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
    """Return the name of another job that found files of the row *job* in their common folder and kept them; "" where there
    is none."""
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

    def is_at(self, path: Path, alive: Alive) -> bool:
        """Return whether *path* is still that file. Raises `OSError` where it cannot be read."""
        try:
            stat = path.lstat()
        except FileNotFoundError:
            return False
        if not S_ISREG(stat.st_mode) or stat.st_size != self.size:
            return False
        if self.digest:
            return digest_of(path, alive) == self.digest
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
    """Return the parts of *job* whose files another job has rendered since: what is there is the other's."""
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
