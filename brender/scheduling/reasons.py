"""Why the tasks of a job do not run, in one sentence. Made from the same classes that decide, so that it is true. Pure."""

from collections import Counter

from brender.model.status import ENDS_OF_WAITING
from brender.scheduling.classes import Job, Worker, WorkerClass
from brender.scheduling.roster import Roster

#: What becomes of the first word of an obstacle (brender.scheduling.eligibility, `Demand.exception`) where it is said of several
#: workers; others stay as they are.
_OF_SEVERAL = {"does": "do", "failed": "failed", "has": "have", "lacks": "lack"}


class Reasons:
    """Sentences about the open jobs of *roster*. Those of jobs without exceptions are made once for each class of jobs."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self._version = -1
        self._of_class: dict[object, str] = {}

    def reason(self, job_id: str) -> str:
        """Return why none of the queued tasks of the open job *job_id* runs now; "" if nothing hinders it."""
        roster, job = self.roster, self.roster.jobs[job_id]
        if not roster.workers:
            return "No worker is connected. Start one with brender-worker"
        if job.demand.memory or job.demand.kept_off:
            return self._sentence(job)
        if self._version != roster.version:
            self._version = roster.version
            self._of_class.clear()
        found = self._of_class.get(job.kind)
        if found is None:
            found = self._of_class[job.kind] = self._sentence(job)
        return found

    def nobody_can(self, job_id: str) -> bool:
        """Return whether none of the connected workers could ever run the open job *job_id*. A lack of memory, or of room,
        may pass."""
        job = self.roster.jobs[job_id]
        off = set(job.demand.kept_off) - job.demand.put_off.keys()
        return all(obstacle or kind.workers.keys() <= off for kind, obstacle in job.kind.obstacles.items())

    def looks(self, job_id: str) -> int:
        """Return how many workers and classes `reason` may have to look at."""
        job = self.roster.jobs[job_id]
        return len(job.kind.obstacles) + (len(self.roster.workers) if job.demand.memory else len(job.demand.kept_off))

    def _sentence(self, job: Job) -> str:
        able, open_workers, idle = 0, 0, 0
        hindered: Counter[str] = Counter()
        for kind, obstacle in job.kind.obstacles.items():
            if obstacle:
                hindered[obstacle] += len(kind.workers)
                continue
            able += len(kind.workers)
            open_workers += kind.open
            idle += kind.resting
            for worker in self._doubtful(job, kind):
                if exception := job.demand.exception(worker.id, self.roster.free(worker.id)):
                    hindered[exception] += 1
                    able -= 1
                    open_workers -= worker.open
                    idle -= worker.open and not worker.count
        if not able:
            commonest = sorted(hindered.items(), key=lambda each: (-each[1], each[0]))[:3]
            return "No worker can run it: " + "; ".join(counted(n, obstacle) for obstacle, n in commonest)
        if not open_workers:
            return (
                "The only worker that could run it takes no new tasks"
                if able == 1
                else f"All {able} workers that could run it take no new tasks"
            )
        if not idle:
            return (
                f"The only worker that could run it now{ENDS_OF_WAITING[0]}"
                if open_workers == 1
                else f"All {open_workers} workers that could run it{ENDS_OF_WAITING[1]}"
            )
        return ""

    def _doubtful(self, job: Job, kind: WorkerClass) -> list[Worker]:
        """Return the workers of *kind* that may be exceptions."""
        if job.demand.memory:
            return list(kind.workers.values())
        return [kind.workers[each] for each in job.demand.kept_off if each in kind.workers]


def counted(workers: int, obstacle: str) -> str:
    """Return that so many *workers* have this *obstacle*, for a person.

    >>> counted(1, "lacks the tag gpu"), counted(2, "lacks the tag gpu")
    ('one lacks the tag gpu', '2 lack the tag gpu')
    """
    if workers == 1:
        return f"one {obstacle}"
    verb, _, rest = obstacle.partition(" ")
    return f"{workers} {_OF_SEVERAL.get(verb, verb)} {rest}"
