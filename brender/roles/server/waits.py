"""Which jobs wait for other jobs, for a time or for the night, in the server's core: looked at when something changes, and else
once a second. Pure."""

from datetime import datetime

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.stages import release
from brender.farm.waiting import Hindrance, hindrance
from brender.model.schedule import asleep, parse_schedule, until_next
from brender.model.status import ENDED_JOB, OPEN_JOB, JobStatus
from brender.roles.effects import Now
from brender.roles.policy import Policy
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.jobs import Jobs

_LOOK_SECONDS = 1.0
#: Jobs that are looked at in a round at most, of those of which nothing changed but the time.
_LOOKED_AT_A_ROUND = 200


class Waits:
    """Closes and opens the waiting jobs of *farm*, and says on each why it waits."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, dispatch: Dispatch) -> None:
        self.farm = farm
        self._jobs, self._dispatch = jobs, dispatch
        self._night = parse_schedule(policy.night)
        self._due = float("-inf")
        self._next: list[str] = []

    def tick(self, now: Now) -> None:
        """Look at the jobs that may wait otherwise than before."""
        farm = self.farm
        if not farm.waiting and not farm.waits_changed:
            return
        if now.mono >= self._due and not self._next:
            self._due = now.mono + _LOOK_SECONDS
            self._next = sorted(farm.waiting)
            for id in [id for id, awaited in farm.awaited.items() if not awaited.waiting]:
                del farm.awaited[id]  # somebody asked to wait for it, and was refused
        changed, farm.waits_changed = farm.waits_changed, set()
        for id in sorted(changed):
            if (job := farm.jobs.get(id)) is not None and job.status not in ENDED_JOB:
                release(farm, job)
                self._look(job, now)
        for id in self._next[:_LOOKED_AT_A_ROUND]:
            if id not in changed and (job := farm.jobs.get(id)) is not None and job.status not in ENDED_JOB:
                self._look(job, now)
        del self._next[:_LOOKED_AT_A_ROUND]

    def _look(self, job: JobState, now: Now) -> None:
        found = hindrance(self.farm, job, now.wall, self._until_night)
        closed = found is not None and found.closed
        if closed is not job.closed:
            job.closed = closed
            self.farm.changed_jobs.add(job.id)
            if closed and job.live:
                self._dispatch.recall_job(job, now)
        self._say(job, found, now)
        if found is None and not job.spec.after and not job.spec.night:
            self.farm.waiting.discard(job.id)  # only its time was waited for

    def _say(self, job: JobState, found: Hindrance | None, now: Now) -> None:
        """Say on *job* what it waits for, where nothing of it goes on."""
        waits = found is not None and (found.closed or not (job.queued or job.delayed)) and not job.live
        if found is not None and waits:
            job.stand_waiting(found.kind)
            if job.status in OPEN_JOB:
                self._jobs.set_status(job, JobStatus.QUEUED, found.reason, now)
        elif job.waiting_for:
            job.stand_waiting("")
            if job.status in OPEN_JOB:
                self._jobs.set_status(job, job.status, "", now)

    def _until_night(self, wall: float) -> float | None:
        """Return when the next night begins, seen from *wall*; ``None`` where it is night, or the farm has none."""
        here = datetime.fromtimestamp(wall)
        day, minute = here.weekday(), here.hour * 60 + here.minute
        if not self._night or asleep(self._night, day, minute) is not None:
            return None
        return wall - here.second - here.microsecond / 1e6 + 60 * until_next(self._night, day, minute)
