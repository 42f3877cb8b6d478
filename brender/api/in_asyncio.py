"""`AsyncFarm`: the same as `Farm`, for programs of asyncio. Each request runs in a thread, and no event loop waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, Unpack

from brender.api.archiving import Archived
from brender.api.connection import Bytes, Change, Notify, silent, unseen
from brender.api.farm import Farm, Job, JobProgress
from brender.api.options import Options
from brender.api.worker import Worker


class AsyncFarm:
    """A render farm, as `Farm` is one, with the same arguments. Use it in an ``async with`` statement. What a callback hears, it
    hears in the thread of the request."""

    def __init__(
        self, address: str | None = None, *, token: str | None = None, data: str | Path | None = None, notify: Notify = silent
    ) -> None:
        self._address, self._token, self._data, self._notify = address, token, data, notify
        self._farm: Farm | None = None

    async def __aenter__(self) -> "AsyncFarm":
        self._farm = await asyncio.to_thread(Farm, self._address, token=self._token, data=self._data, notify=self._notify)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.to_thread(self.farm.close)

    @property
    def farm(self) -> Farm:
        """The `Farm` that is asked."""
        if self._farm is None:
            raise RuntimeError("Use an AsyncFarm in an `async with` statement")
        return self._farm

    async def submit(self, file: str | Path | None = None, *, progress: Bytes = unseen, **options: Unpack[Options]) -> "AsyncJob":
        """Submit a job, as `Farm.submit` does."""
        return AsyncJob(await asyncio.to_thread(lambda: self.farm.submit(file, progress=progress, **options)))

    async def jobs(self, *, status: str = "", user: str = "", project: str = "", limit: int | None = None) -> "list[AsyncJob]":
        """Return the jobs, as `Farm.jobs` does."""
        found = await asyncio.to_thread(self.farm.jobs, status=status, user=user, project=project, limit=limit)
        return [AsyncJob(job) for job in found]

    async def job(self, named: str) -> "AsyncJob":
        """Return a job, as `Farm.job` does."""
        return AsyncJob(await asyncio.to_thread(self.farm.job, named))

    async def workers(self) -> "list[AsyncWorker]":
        """Return every worker."""
        return [AsyncWorker(worker) for worker in await asyncio.to_thread(self.farm.workers)]

    async def worker(self, named: str) -> "AsyncWorker":
        """Return a worker, as `Farm.worker` does."""
        return AsyncWorker(await asyncio.to_thread(self.farm.worker, named))

    async def accounts(
        self, by: str = "user", *, since: str = "", until: str = "", user: str = "", project: str = "", worker: str = ""
    ) -> dict[str, Any]:
        """Return machine seconds, frames and failures, as `Farm.accounts` does."""
        return await asyncio.to_thread(
            self.farm.accounts, by, since=since, until=until, user=user, project=project, worker=worker
        )

    async def events(self, timeout: float | None = None) -> AsyncIterator[Change]:
        """Yield what changes on the farm, as `Farm.events` does."""
        changes = await asyncio.to_thread(self.farm.events, timeout)
        while (change := await asyncio.to_thread(next, changes, None)) is not None:
            yield change


class AsyncJob:
    """A job of an `AsyncFarm`. ``now`` is the `Job`, as it was looked at last."""

    def __init__(self, now: Job) -> None:
        self.now = now

    def __repr__(self) -> str:
        return repr(self.now)

    @property
    def id(self) -> str:
        """Its id."""
        return self.now.id

    @property
    def name(self) -> str:
        """Its name."""
        return self.now.name

    @property
    def status(self) -> str:
        """queued, active, paused, completed, failed or canceled."""
        return self.now.status

    @property
    def reason(self) -> str:
        """Why it waits, failed or is as it is."""
        return self.now.reason

    @property
    def progress(self) -> float:
        """The share of it that is done, 0 to 1."""
        return self.now.progress

    async def refresh(self) -> "AsyncJob":
        """Look at it again; returns it."""
        await asyncio.to_thread(self.now.refresh)
        return self

    async def wait(self, timeout: float | None = None, progress: JobProgress | None = None, *, files: bool = False) -> "AsyncJob":
        """Wait until it has completed, as `Job.wait` does; it may be canceled, and *progress* is called in the loop."""
        began = time.monotonic()
        await self._follow(timeout, progress, began)
        if files and await asyncio.to_thread(self.now.requeue_gone):
            await self._follow(timeout, progress, began)
            await asyncio.to_thread(self.now.check_none_gone)
        return self

    async def _follow(self, timeout: float | None, progress: JobProgress | None, began: float) -> None:
        for pause in self.now.steps(timeout, progress, began):
            await asyncio.sleep(pause)
            await asyncio.to_thread(self.now.look)

    async def cancel(self) -> "AsyncJob":
        """Stop it, and what renders of it."""
        await asyncio.to_thread(self.now.cancel)
        return self

    async def pause(self) -> "AsyncJob":
        """Start nothing more of it; what renders is finished."""
        await asyncio.to_thread(self.now.pause)
        return self

    async def resume(self) -> "AsyncJob":
        """Go on with it after a pause."""
        await asyncio.to_thread(self.now.resume)
        return self

    async def requeue(self, frames: str | None = None) -> "AsyncJob":
        """Render frames again, as `Job.requeue` does."""
        await asyncio.to_thread(self.now.requeue, frames)
        return self

    async def edit(self, *, settings: Mapping[str, Any] | None = None, from_now_on: bool = False, **fields: Any) -> "AsyncJob":
        """Change it, as `Job.edit` does."""
        await asyncio.to_thread(partial(self.now.edit, settings=settings, from_now_on=from_now_on, **fields))
        return self

    async def clone(self, **said: Any) -> "AsyncJob":
        """Submit it again, as `Job.clone` does; returns the new job."""
        return AsyncJob(await asyncio.to_thread(partial(self.now.clone, **said)))

    async def begin(self, **said: Any) -> "AsyncJob":
        """Say when it begins, as `Job.begin` does."""
        await asyncio.to_thread(partial(self.now.begin, **said))
        return self

    async def delete(self, what: Literal["both", "frames", "record"] = "both") -> None:
        """Delete it, as `Job.delete` does."""
        await asyncio.to_thread(self.now.delete, what)

    async def archive(self, target: str | Path, *, frames: bool = True) -> Archived:
        """Write all of it into a zip, as `Job.archive` does."""
        return await asyncio.to_thread(partial(self.now.archive, target, frames=frames))

    async def tasks(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return its tasks, as `Job.tasks` does."""
        return await asyncio.to_thread(self.now.tasks, limit)

    async def readmit(self, worker: str | None = None) -> "AsyncJob":
        """Let workers try it again that were kept off, as `Job.readmit` does."""
        await asyncio.to_thread(self.now.readmit, worker)
        return self

    async def set_priority(self, value: int) -> "AsyncJob":
        """Set its priority, 0 to 100; higher goes first."""
        await asyncio.to_thread(self.now.set_priority, value)
        return self

    async def frames(self, to: str | Path | None = None, *, replace: bool = False, progress: Bytes = unseen) -> list[Path]:
        """Return the files of its finished frames, as `Job.frames` does."""
        return await asyncio.to_thread(self.now.frames, to, replace=replace, progress=progress)

    async def log(self, frame: int | None = None) -> str:
        """Return the end of a log, as `Job.log` does."""
        return await asyncio.to_thread(self.now.log, frame)

    async def log_of_failure(self) -> str:
        """Return the end of the log of what failed, as `Job.log_of_failure` does."""
        return await asyncio.to_thread(self.now.log_of_failure)

    async def why(self, frame: int | None = None, stage: str = "", task: int | None = None) -> str:
        """Return in a sentence how it, or a frame, stage or task of it, stands and why, as `Job.why` does."""
        return await asyncio.to_thread(self.now.why, frame, stage, task)


class AsyncWorker:
    """A worker of an `AsyncFarm`. ``now`` is the `Worker`, as it was looked at last."""

    def __init__(self, now: Worker) -> None:
        self.now = now

    def __repr__(self) -> str:
        return repr(self.now)

    async def drain(self) -> "AsyncWorker":
        """Let it finish what it renders, and leave."""
        await asyncio.to_thread(self.now.drain)
        return self

    async def restart(self) -> "AsyncWorker":
        """Let it finish what it renders, and start again."""
        await asyncio.to_thread(self.now.restart)
        return self

    async def sleep(self) -> "AsyncWorker":
        """Put its machine to sleep, as `Worker.sleep` does."""
        await asyncio.to_thread(self.now.sleep)
        return self

    async def wake(self) -> "AsyncWorker":
        """Wake its machine, as `Worker.wake` does."""
        await asyncio.to_thread(self.now.wake)
        return self

    async def forget(self) -> None:
        """Take it off the lists, as `Worker.forget` does."""
        await asyncio.to_thread(self.now.forget)

    async def describe(
        self,
        *,
        tags: Iterable[str] | None = None,
        add_tags: Iterable[str] = (),
        note: str | None = None,
        sleeps: str | None = None,
        give_back: float | None = None,
    ) -> "AsyncWorker":
        """Set what people say of it, as `Worker.describe` does."""
        await asyncio.to_thread(self.now.describe, tags=tags, add_tags=add_tags, note=note, sleeps=sleeps, give_back=give_back)
        return self

    async def disable(self) -> "AsyncWorker":
        """Give it nothing new; what it renders is finished."""
        await asyncio.to_thread(self.now.disable)
        return self

    async def enable(self) -> "AsyncWorker":
        """Give it work again."""
        await asyncio.to_thread(self.now.enable)
        return self

    async def why(self) -> str:
        """Return in a sentence how it stands, or why it renders nothing."""
        return await asyncio.to_thread(self.now.why)
