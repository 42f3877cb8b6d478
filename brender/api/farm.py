"""`Farm`: a render farm from Python, with its `Job` and `Worker` objects. `brender.api.in_asyncio` has the same for asyncio."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Unpack

import msgspec

from brender.api.archiving import Archived, write_archive
from brender.api.bus import Bus
from brender.api.chosen_job import Choice, chosen_job
from brender.api.connection import Again, Bytes, Change, Connection, Notify, asked, silent, unseen
from brender.api.fetching import Fetching, fetch_frames, frames_of
from brender.api.http import Http
from brender.api.job_types import with_script
from brender.api.jobspec import folder_here
from brender.api.known import Known
from brender.api.options import Options, check_names, check_one_thing
from brender.api.place import Place
from brender.api.standing import check_ended_well, one_node
from brender.api.waiting import check_none_gone, gone_files, log_of_failure, sees_folder, to_requeue
from brender.api.worker import NodeVerb, Worker
from brender.model.answers import WHY_QUEUED
from brender.model.beginning import After, Beginning, parse_start
from brender.model.edit import Edit, read_edit
from brender.model.errors import BadInput, NotFound, Unreachable
from brender.model.job_standing import standing, waits_for_its_turn
from brender.model.quotas import turns_in_words
from brender.model.status import ENDED_JOB
from brender.model.text import short_id
from brender.store.datafolder import DataFolder

_LOOK_SECONDS = 0.25
JobProgress = Callable[["Job"], None]
"""Hears of a job whenever it got further."""


def _data_folder(named: str | Path | None) -> Path:
    """Return the data folder that is *named*, or the one that commands have."""
    given = named or os.environ.get("BRENDER_DATA")
    return Path(given) if given else DataFolder.default()


class Farm:
    """A render farm. Use it in a ``with`` statement, or `close` it. Threads may share it.

    Without arguments it is the farm that the command line asks: the one of this machine's data folder, or the one that it joined
    (`brender join`); ``BRENDER_DATA`` and ``BRENDER_SERVER`` mean what they mean there. *address* is another's
    server, HOST or HOST:PORT, over the bus; or, with a *token* (`brender api-token make`), a farm's page such as
    ``http://farm:8888``, over HTTP. *data* is the data folder, *notify* hears sentences that are to be known meanwhile.

    Raises `Unreachable`, `Forbidden` or `BadInput`.
    """

    def __init__(
        self, address: str | None = None, *, token: str | None = None, data: str | Path | None = None, notify: Notify = silent
    ) -> None:
        self._notify = notify
        self._connection: Connection
        if address is not None and "://" in address:
            if not token:
                raise BadInput(f"{address} is asked with a token: `brender api-token make NAME --user USER` makes one")
            self._connection = Http(address, token)
        elif token is not None:
            raise BadInput("A token goes with the address of a farm's page, such as http://farm:8888")
        else:
            self._connection = Bus(Place(address or os.environ.get("BRENDER_SERVER"), _data_folder(data), notify))

    def __enter__(self) -> "Farm":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer to a *question* of the farm's record, such as ``jobs`` or ``tasks`` (``job=ID``), by the names that
        the HTTP API has. Raises `BadInput` where there is no such question, `NotFound`."""
        return self._connection.ask(question, **arguments)

    def submit(self, file: str | Path | None = None, *, progress: Bytes = unseen, **options: Unpack[Options]) -> "Job":
        """Submit the .blend *file*, or what the *options* say (`brender.api.options.Options`), as `brender submit` does.
        *progress* hears of the bytes of files that are sent, of how many. Raises `BrenderError`, with nothing submitted."""
        path = None if file is None else Path(file)
        check_names(options)
        check_one_thing(path, options)
        accepted = self._connection.submit(path, dict(options), self._notify, progress)
        return self._job(accepted["id"])

    def jobs(self, *, status: str = "", user: str = "", project: str = "", limit: int | None = None) -> "list[Job]":
        """Return the jobs, newest first: those of this *status*, *user* and *project*, at most *limit* (``None``: all)."""
        chosen = {name: value for name, value in (("status", status), ("user", user), ("project", project)) if value}
        return [Job(self._connection, row) for row in asked(self._connection, "jobs", limit, "id", **chosen)]

    def job(self, named: str, *, of_several: Choice = "newest") -> "Job":
        """Return the job with this id, beginning of an id, or name. Of several that are called so, *of_several* says which:
        the ``newest`` that has not ended, or the ``only`` one that has not; ``exact``: none, the name has to be that of one job.
        Raises `NotFound`, or `BadInput` where it may be several."""
        return self._job(chosen_job(self._connection, named, of_several, self._notify))

    def workers(self) -> "list[Worker]":
        """Return every worker, those that are there first."""
        return [Worker(self._connection, row) for row in self._connection.ask("workers")]

    def worker(self, named: str) -> "Worker":
        """Return the worker with this name, or beginning of an id. Raises `NotFound` or `BadInput`."""
        return Worker(self._connection, one_node(self._connection, "worker", named))

    def tell(self, named: str, verb: NodeVerb) -> dict[str, Any]:
        """Let the worker or manager with this name, or beginning of an id, do what the command *verb* says, such as ``drain``.
        Return its ``id``, ``kind`` and ``name``, and what is ``wanted`` of it now. Raises `BrenderError`."""
        return self._connection.act(verb, named)

    def accounts(
        self, by: str = "user", *, since: str = "", until: str = "", user: str = "", project: str = "", worker: str = ""
    ) -> dict[str, Any]:
        """Return machine seconds, frames and failures *by* user, project, worker or day, as `brender accounts --json` does."""
        return dict(self._connection.ask("accounts", by=by, since=since, until=until, user=user, project=project, worker=worker))

    def events(self, timeout: float | None = None) -> Iterator[Change]:
        """Return what changes on the farm from now on, one after the other, until nothing has for *timeout* seconds (``None``:
        without end). A break in the connection may lose some: look at the jobs again after it."""
        return self._connection.changes(timeout)

    def _job(self, id: str) -> "Job":
        return Job(self._connection, self._connection.ask("job", id=id))


class Job(Known):
    """A job of a `Farm`, as it was when it was looked at last (`refresh`, and all that changes it). ``record`` has all that is
    known of it, as `brender job --json` prints it."""

    def __repr__(self) -> str:
        return f"<Job {short_id(self.id)} {self.name!r}, {self.status}>"

    @property
    def reason(self) -> str:
        """Why it waits, failed or is as it is, or "" if nothing is to be said."""
        return str(self.record["reason"])

    @property
    def progress(self) -> float:
        """The share of it that is done, 0 to 1."""
        return float(self.record["progress"])

    @property
    def has_ended(self) -> bool:
        """Whether it is completed, failed or canceled."""
        return self.status in ENDED_JOB

    def refresh(self) -> "Job":
        """Look at it again; returns it. Raises `NotFound` where it is deleted."""
        self.record = self._connection.ask("job", id=self.id)
        return self

    def wait(self, timeout: float | None = None, progress: JobProgress | None = None, *, files: bool = False) -> "Job":
        """Wait until it has completed; returns it. *progress* hears of it whenever it got further. A farm that is away for a
        moment is waited for, ten minutes at most. *files*: its files are looked for then, where this machine sees its folder;
        those that are gone are rendered again, once. Raises `RenderFailed` where it failed or was canceled, and `TimeoutError`
        after *timeout* seconds (``None``: never)."""
        began = time.monotonic()
        self._follow(timeout, progress, began)
        if files and self.requeue_gone():
            self._follow(timeout, progress, began)
            self.check_none_gone()
        return self

    def _follow(self, timeout: float | None, progress: JobProgress | None, began: float) -> None:
        for pause in self.steps(timeout, progress, began):
            time.sleep(pause)
            self.look()

    def look(self) -> "Job":
        """Look at it again, and let a farm that is away for a moment be: then it is as it was. Raises `Unreachable` after ten
        minutes of that."""
        asked = time.monotonic()
        try:
            self.refresh()
            self._patience.answered()
        except Unreachable:
            if self._patience.is_over(asked):
                raise
        return self

    def requeue_gone(self) -> bool:
        """Queue those of its finished frames again whose files are gone, where this machine sees its folder; return whether there
        are some."""
        gone = gone_files(self._connection, self.record) if sees_folder(self._connection, self.record) else []
        if gone:
            self.requeue(to_requeue(gone))
        return bool(gone)

    def check_none_gone(self) -> None:
        """Raise `RenderFailed` where files of it that were rendered again (`requeue_gone`) are gone again."""
        check_none_gone(self._connection, self.record)

    def steps(
        self, timeout: float | None = None, progress: JobProgress | None = None, began: float | None = None
    ) -> Iterator[float]:
        """Yield the seconds after which to look at it again, until it has completed: what `wait` does between two looks. The
        *timeout* counts from when it *began*, on the monotonic clock; ``None``: from now."""
        began = time.monotonic() if began is None else began
        deadline, told = None if timeout is None else began + timeout, None
        while True:
            now = self.status, self.record["completed_parts"], self.progress
            if progress is not None and now != told:
                progress(self)
            told = now
            if self.has_ended:
                check_ended_well(self.record)
                return
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"The job {self.name} is {self.status} after {timeout:g} seconds, {self.progress:.0%} done")
            yield _LOOK_SECONDS

    def cancel(self) -> "Job":
        """Stop it, and what renders of it."""
        return self._act("cancel")

    def pause(self) -> "Job":
        """Start nothing more of it; what renders is finished."""
        return self._act("pause")

    def resume(self) -> "Job":
        """Go on with it after a pause."""
        return self._act("resume")

    def requeue(self, frames: str | None = None) -> "Job":
        """Render *frames* again, such as ``1-10,15`` or ``all``; ``None``: those that failed or were canceled."""
        return self._act("requeue", frames)

    def set_priority(self, value: int) -> "Job":
        """Set its priority, 0 to 100; higher goes first."""
        return self._act("priority", value)

    def edit(self, *, settings: Mapping[str, Any] | None = None, from_now_on: bool = False, **fields: Any) -> "Job":
        """Change its *settings*, such as ``{"frames": "1-50"}``, and other *fields*: ``name``, ``priority``, ``tags`` and what
        else `brender edit` takes. Finished frames that are still valid stay; *from_now_on*: all of it.
        ``record["revisions"][-1]["said"]`` tells then what changed. Raises `BadInput` or `Conflict` where it cannot be so."""
        given = {name: value for name, value in fields.items() if value is not None}
        return self._act("edit", given | {"settings": dict(settings or {}), "from_now_on": from_now_on})

    def clone(
        self,
        *,
        settings: Mapping[str, Any] | None = None,
        output: str | Path = "",
        overwrite: bool = False,
        paused: bool = False,
        after: Sequence[str] = (),
        after_frames: Sequence[str] = (),
        start_at: str = "",
        night: bool = False,
        **fields: Any,
    ) -> "Job":
        """Submit it again, with other *settings* and *fields* (`edit`); returns the new job. Its frames go to the folder *output*
        ("": a new one beside this one's). It begins at once, unless the rest says otherwise, as in `Farm.submit`."""
        given = dict(settings or {})
        change = _edit(fields, with_script(given) if self.record["job_type"] == "script" else given)
        beginning = _beginning(after, after_frames, start_at, night)
        accepted = self._connection.clone(self.record, Again(change, str(output), overwrite, paused, beginning))
        return Job(self._connection, self._connection.ask("job", id=accepted["id"]))

    def begin(
        self, *, after: Sequence[str] = (), after_frames: Sequence[str] = (), start_at: str = "", night: bool = False
    ) -> "Job":
        """Say when it begins: *after* these jobs, frame by frame *after_frames* of these, at the time *start_at*, at *night*
        alone. It no longer waits for anything that is left out; without arguments it begins at once."""
        return self._act("when", msgspec.to_builtins(_beginning(after, after_frames, start_at, night)))

    def delete(self, what: Literal["both", "frames", "record"] = "both") -> None:
        """Delete the frames that it rendered, its record and logs, or *both*. Raises `Conflict` where it has not ended."""
        self._connection.act("delete", self.id, what)

    def archive(self, target: str | Path, *, frames: bool = True) -> Archived:
        """Write all of it into the new zip *target*, with its *frames*: ``job.json`` has what it was and what became of it,
        ``logs/`` the end of each attempt's log, ``frames/`` its finished files. Returns how many files and logs that are. Raises
        `Conflict` where *target* is there."""
        return write_archive(self._connection, self.refresh().record, Path(target), frames)

    def tasks(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return its tasks, in their order, with what became of each; at most *limit* (``None``: all)."""
        return asked(self._connection, "tasks", limit, "id", job=self.id)

    def readmit(self, worker: str | None = None) -> "Job":
        """Let *worker* (``None``: all) try it again that was kept off for failing it."""
        return self._act("readmit", worker)

    def fetching(self, to: str | Path, *, replace: bool = False) -> Fetching:
        """Return what brings its finished files to the folder *to*, as more and more of them are finished. *replace*: files there
        that are others are replaced. Raises `NotFound` where they were deleted."""
        return Fetching(self._connection, self.record, Path(to), replace)

    def frames(self, to: str | Path | None = None, *, replace: bool = False, progress: Bytes = unseen) -> list[Path]:
        """Return the files of its finished frames, by their numbers: in its folder as this machine sees it, or fetched *to* a
        folder. Files there that are others stay, unless *replace* allows it; *progress* hears of each file's bytes. Raises
        `NotFound`, `Conflict` or `BadInput`."""
        if to is not None:
            return fetch_frames(self._connection, self.record, Path(to), replace, progress)
        output = str(self.record["output"])
        if not output:
            raise NotFound("The farm keeps the frames of this job: name a folder for them, as in job.frames(to=folder)")
        folder = folder_here(output, self._connection.ask("paths"))
        if not folder.is_dir():
            raise NotFound(f"{folder} is not seen on this machine: job.frames(to=folder) fetches the frames")
        return [folder / each.output for each in frames_of(self._connection, self.id)]

    def log(self, frame: int | None = None) -> str:
        """Return the end of the log of its newest attempt, or of the newest at a *frame*. Raises `NotFound`."""
        given = {} if frame is None else {"frame": frame}
        return str(self._connection.ask("log", job=self.id, **given)["text"])

    def log_of_failure(self) -> str:
        """Return the end of the log of its newest attempt that failed; "": none has."""
        found = log_of_failure(self._connection, self.id)
        return "" if found is None else found[1]

    def why(self, frame: int | None = None, stage: str = "", task: int | None = None) -> str:
        """Return in a sentence or two how it stands and why; where it waits for busy workers, also whose turn it is. With a
        *frame*, a *stage*, or the number of a *task*, how that stands. Raises `NotFound` where it has no such."""
        if frame is not None or stage or task is not None:
            of_task = {} if task is None else {"task": task}  # (which a server of an earlier version does not know)
            return str(self._connection.ask("why", job=self.id, frame=frame, stage=stage, **of_task))
        record = self.refresh().record
        said = standing(record, self._why_queued())
        if not waits_for_its_turn(record):
            return said
        try:
            shares = self._connection.ask("shares")
        except NotFound:  # (A farm's page of an earlier version does not have them.)
            return said
        whose = record["project"], record["user"], record["priority"]
        return ". ".join(filter(None, (said, turns_in_words(shares, *whose))))

    def _why_queued(self) -> str:
        """Return why the scheduler gives out none of its queued tasks though others run; "": nothing hinders it, or it cannot be
        asked."""
        if not self.record["rendering"]:
            return ""  # (then the record says it)
        try:
            return str(self._connection.ask(WHY_QUEUED, id=self.id))
        except (BadInput, NotFound):  # a server or a page of an earlier version is not asked that
            return ""

    def _act(self, action: str, value: Any = None) -> "Job":
        answer = self._connection.act(action, self.id, value)
        # (Its status right after this: a moment later it may be done.)
        self.record = self.refresh().record | {"status": answer["status"]}
        return self


def _edit(fields: Mapping[str, Any], settings: Mapping[str, Any] | None) -> Edit:
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items() if value is not None}
    return read_edit(given | {"settings": dict(settings or {})})


def _beginning(after: Sequence[str], after_frames: Sequence[str], start_at: str, night: bool) -> Beginning:
    """Return when a job begins that is to begin so. Raises `BadInput`."""
    jobs = (*map(After, after), *(After(each, by_frame=True) for each in after_frames))
    return Beginning(after=jobs, start_at=parse_start(start_at, datetime.now()) if start_at else 0.0, night=night)
