"""Jobs are deleted: their files by threads of their folders, their rows a slice at a time, so that nobody waits for either.

What is to go stands in the record (``job.deleting``), so that a server that is killed meanwhile goes on when it is started again.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
from peewee import PeeweeException, fn

from brender.model.beginning import After
from brender.model.errors import BadInput
from brender.model.status import ENDED_JOB, JobStatus
from brender.roles.server.files import FileKeeper
from brender.roles.server.folder_threads import Alive
from brender.roles.server.made_files import Deletion, JobFiles
from brender.roles.server.projects import Kept, outlived
from brender.store.database import open_for_reading
from brender.store.tables import Tables, make_tables
from brender.store.writer import Writer

log = logging.getLogger("brender.server")

_ROWS_A_SLICE = 5_000
#: How long files of one job are deleted before the next action on the same folder has its turn.
_SLICE_SECONDS = 0.5
_NOT_DELETED = "Not deleted: "
#: What belongs to a job, in the order in which it may go.
_BELONGS = ("attempt", "part", "task", "kept_off", "job_revision", "output_owner")


class Remover:
    """Deletes jobs: their *files* in the threads of their folders (*keeper*), then their rows, a slice at a time.

    A folder that does not answer delays the deletion of its own jobs alone. *clock*: seconds, for slices of files.
    """

    def __init__(self, keeper: FileKeeper, files: JobFiles, clock: Callable[[], float] = time.monotonic) -> None:
        self._keeper = keeper
        self._files = files
        self._clock = clock
        self._asked: deque[tuple[str, str]] = deque()
        self._with_files: dict[str, str] = {}
        """The jobs whose files are being deleted, each with the folder that is worked on."""
        self._without_files: SimpleQueue[Deletion] = SimpleQueue()
        self._now: Deletion | None = None

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

    def drop_folder(self, output: str, above: int = 0) -> None:
        """Remove the folder *output*, if it is empty, in its own thread; and so many of those *above* it, as long as they are."""

        def drop(alive: Alive) -> None:
            with contextlib.suppress(OSError, BadInput):  # it is not empty, or not seen from here
                folder = self._keeper.folder_of(output)
                for each in (folder, *folder.parents[:above]):
                    each.rmdir()

        self._keeper.threads.do(output, drop)

    def step(self, writer: Writer, wall: float) -> list[tuple[str, dict[str, Any] | None]]:
        """Go on a little; return the jobs whose deletion is over, each with what is to be recorded of it, ``None`` where its
        record is gone. Raises `OperationalError` while nothing can be written."""
        while self._asked:
            job, what = self._asked[0]
            row = writer.tables.Job.get_or_none(writer.tables.Job.id == job)
            self._asked.popleft()
            if row is None or job in self._with_files:
                continue  # it was asked for twice
            output = self._with_files[job] = row.output
            self._keeper.threads.do(output, partial(self._begin_files, Deletion(job, what)))
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
            known = writer.tables.Job.get_by_id(now.job).reason
            ended = _reason_to_end(known)
            said = f"{ended}{'. ' if ended else ''}{_NOT_DELETED}{now.problem[:500]}"
            return [(now.job, {"deleting": ""} | ({"reason": said} if said != known else {}))]
        if now.what == "frames":
            self._now = None
            row = writer.tables.Job.get_by_id(now.job)
            reason = {"reason": _reason_to_end(row.reason)} if _NOT_DELETED in row.reason else {}
            return [(now.job, {"deleting": "", "frames_deleted": wall} | reason | _said_of_the_left(row, now))]
        for kind in _BELONGS:
            if writer.delete(kind, "job", now.job, _ROWS_A_SLICE):
                return []
        freed = _ended_that_waited_for(writer.tables, now.job)
        writer.delete("job", "id", now.job, 1)
        self._now = None
        return [*freed, (now.job, None)]

    # --- in threads of folders ----------------------------------------------------------------------------------------

    def _begin_files(self, deletion: Deletion, alive: Alive) -> None:
        """In the thread of the job's output folder, after all frames that were to be put there."""
        if deletion.what != "record":
            deletion.problem = self._files.kept_by_another(deletion.job)
            if deletion.problem:
                self._without_files.put(deletion)
                return
            self._keeper.placement.give_up(deletion.job)
        elif waiting := self._keeper.placement.waiting(deletion.job):
            frames = "1 finished frame waits" if len(waiting) == 1 else f"{len(waiting)} finished frames wait"
            deletion.problem = f"{frames} to be put into its folder: delete the record after that, or the frames with it"
            self._without_files.put(deletion)
            return
        self._go_on(self._with_files[deletion.job], deletion, self._files.delete(deletion, alive), alive)

    def _go_on(self, folder: str, deletion: Deletion, steps: Iterator[None], alive: Alive) -> None:
        """Take *steps* for a moment, then let others have the thread of *folder*."""
        until = self._clock() + _SLICE_SECONDS
        try:
            for _ in steps:
                alive()
                if self._clock() > until:
                    self._keeper.threads.do(folder, lambda alive: self._go_on(folder, deletion, steps, alive))
                    return
        except (OSError, BadInput, PeeweeException) as error:
            deletion.problem = str(error)
        except Exception as error:  # else the job would be going for ever
            log.exception("the files of the job %s cannot be deleted", deletion.job)
            deletion.problem = str(error)
        self._without_files.put(deletion)


def _reason_to_end(reason: str) -> str:
    """Return why a job ended, of a *reason* that says why it was not deleted either.

    >>> _reason_to_end("canceled by ann. Not deleted: the disk is away")
    'canceled by ann'
    """
    return reason.partition(_NOT_DELETED)[0].removesuffix(". ")


def _ended_that_waited_for(tables: Tables, job: str) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the ended jobs that had waited for *job*, whose record is about to go, each with what it waits for from then on: one
    that is queued again is not to wait for what was completed long ago. (Those that have not ended, the farm knows.)"""
    row = tables.Job
    if row.get_by_id(job).status != JobStatus.COMPLETED:
        return []
    waited = row.after_jobs.cast("TEXT").contains(job) & row.status.in_(ENDED_JOB)
    return [
        (id, {"after_jobs": tuple(each for each in msgspec.convert(after, tuple[After, ...]) if each.job != job)})
        for id, after in row.select(row.id, row.after_jobs).where(waited).tuples()
    ]


def _said_of_the_left(job: Any, deletion: Deletion) -> dict[str, Any]:
    """Return what the record of the row *job* says more where some of its files were left."""
    if not deletion.left:
        return {}
    files = "1 file was" if deletion.left == 1 else f"{deletion.left} files were"
    warning = f"Of its frames {files} changed after the job had made them, and not deleted"
    return {"warnings": [*job.warnings, warning]}


def retired(database: str, frames: Path, wall: float) -> dict[str, tuple[str, str]]:
    """Return the ended jobs that their projects keep no longer, each with what is to be deleted of it and its output folder: all
    of it where its frames lie in *frames*, the farm's own folder; else the record only, since frames elsewhere are their
    owner's. For a thread of its own; returns nothing while the database cannot be read."""
    try:
        opened = open_for_reading(database)
        with opened.connection_context():
            tables = make_tables(opened)
            found: dict[str, tuple[str, str]] = {}
            for project in tables.Project.select().where((tables.Project.keep_days > 0) | (tables.Project.keep_bytes > 0)):
                ended = _ended(tables, project.name, frames)
                own = {each.job: output for each, output in ended if output}
                for job in outlived([each for each, _ in ended], project.keep_days, project.keep_bytes, wall):
                    found[job] = ("both", own[job]) if job in own else ("record", "")
            return found
    except PeeweeException as error:
        log.warning("which jobs are kept too long is not known now: %s", error)
        return {}


def _ended(tables: Tables, project: str, frames: Path) -> list[tuple[Kept, str]]:
    """Return the jobs of *project* that have ended, each with its output folder, or "" if that is not the farm's own."""
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
        found.append((Kept(id, finished, int(size)), output if own else ""))
    return found
