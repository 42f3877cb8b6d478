"""Why the tasks of a job do not run, as sentences. Made from the same classes that decide, so that they are true. Pure."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice

from brender.model.eligibility import general_obstacle
from brender.model.hooks import NEEDS_SOMEBODY
from brender.model.obstacle import NAMES_SHOWN, Obstacle, short_name
from brender.model.status import ENDS_OF_WAITING, RENDERING
from brender.model.text import plural
from brender.scheduling.classes import OUTSIDE, Job, Worker, WorkerClass
from brender.scheduling.fitting import hindrance
from brender.scheduling.gates import Gate
from brender.scheduling.roster import Roster

NO_WORKER = "No worker is connected. Start one with `brender-worker`"
#: Causes that a reason gives at most.
_CAUSES_SHOWN = 3
#: Busy workers, if there are no more, whose jobs a reason names, and the most of these.
_WORKERS_ASKED, _JOBS_NAMED = 20, 2
#: What it costs, in looks, to say why a class of workers cannot run a job, and which of its folders that may not use.
_LOOKS_A_CAUSE, _LOOKS_AT_FOLDERS = 5, 20
#: What it costs in any case.
_LOOKS_A_SENTENCE = 25


class Reasons:
    """Sentences about the open jobs of *roster*. Those of jobs without exceptions are made once for each class of jobs.

    *why_closed* returns why the worker with this id, which is there, takes no new tasks now,
    *why_nobody* why there is no worker, and *job_at* the name of the job that the worker with this id renders, or "".
    """

    def __init__(
        self,
        roster: Roster,
        why_closed: Callable[[str], Obstacle],
        why_nobody: Callable[[], str] = lambda: NO_WORKER,
        job_at: Callable[[str], str] = lambda worker: "",
    ) -> None:
        self.roster = roster
        self._why_closed = why_closed
        self._why_nobody = why_nobody
        self._job_at = job_at
        self._version = -1
        self._of_class: dict[object, str] = {}

    def reason(self, job_id: str) -> str:
        """Return why none of the queued tasks of the open job *job_id* runs now, or "" if nothing hinders it."""
        roster, job = self.roster, self.roster.jobs[job_id]
        if not roster.workers:
            return self._why_nobody()
        if (shut := self.shut(job)) and not self.nobody_can(job_id):
            return shut
        if (machine := roster.machines.kept.get(job_id)) is not None:
            return _kept_free(next(iter(machine.slots)), job.demand.alone)
        if not job.kind.able:
            return self._of_nobody(job)
        if job.demand.kept_off or self._names_folders(job) or self._all_doubtful(job):
            return self._sentence(job)
        if self._version != roster.version:
            self._version = roster.version
            self._of_class.clear()
        found = self._of_class.get(job.kind)
        if found is None:
            found = self._of_class[job.kind] = self._sentence(job)
        return found

    def _of_nobody(self, job: Job) -> str:
        """Return why no worker could ever run *job*. It does not depend on their work, so it is true until others come."""
        if not self._is_known(job):
            job.unable = self.roster.membership, job.demand.need, self._sentence(job)
        return job.unable[2]

    def _is_known(self, job: Job) -> bool:
        """Return whether it was said before why nobody can run *job*, and is true still."""
        return job.unable[0] == self.roster.membership and job.unable[1] is job.demand.need

    def shut(self, job: Job) -> str:
        """Return which limit keeps *job* waiting, as a sentence, or "" if none does."""
        demand, gates = job.demand, self.roster.gates
        if demand.queued and not demand.wants_more:
            return demand.why_most or at_its_limit(demand.most, demand.live)
        gate = gates.closed(demand)
        return gate_is_full(gate, gates.most[gate], gates.live[gate]) if gate is not None else ""

    def nobody_can(self, job_id: str) -> bool:
        """Return whether none of the connected workers could ever run the open job *job_id*. A lack of memory, or of room,
        may pass."""
        job = self.roster.jobs[job_id]
        off = set(job.demand.kept_off) - job.demand.put_off.keys()
        return all(obstacle or kind.workers.keys() <= off for kind, obstacle in job.kind.obstacles.items())

    def looks(self, job_id: str) -> int:
        """Return how many workers and classes `reason` may have to look at, with what a sentence costs."""
        job = self.roster.jobs[job_id]
        if not job.kind.able and self._is_known(job):
            return 1
        is_open = any(kind.open for kind in job.kind.able)
        closed = 0 if is_open else sum(len(kind.workers) for kind in job.kind.able)
        doubtful = len(self.roster.workers) if self._all_doubtful(job) else len(job.demand.kept_off)
        hindered = 0 if is_open else _LOOKS_A_CAUSE * len(job.kind.obstacles) + _LOOKS_AT_FOLDERS * len(job.kind.outside)
        return _LOOKS_A_SENTENCE + len(job.kind.able) + doubtful + closed + hindered

    def outdated(self) -> None:
        """Note that a worker may take no new tasks for another cause than before."""
        self._of_class.clear()

    def _sentence(self, job: Job) -> str:
        able, open_workers, idle = 0, 0, 0
        hindered = Causes()
        exceptions: set[str] = set()
        doubtful = bool(job.demand.kept_off) or self._all_doubtful(job)
        for kind in job.kind.able:
            able += len(kind.workers)
            open_workers += kind.open
            idle += kind.resting
            for worker in self._doubtful(job, kind) if doubtful else ():
                if exception := hindrance(job.demand, worker, self.roster.free):
                    hindered.add(exception, 1, [(worker.order, worker.info.name)])
                    exceptions.add(worker.id)
                    able -= 1
                    open_workers -= worker.open
                    idle -= worker.open and not worker.count
        if not able:
            self._add_unable(job, hindered)
            return f"{NEEDS_SOMEBODY}. {hindered.said()}"
        if idle:
            return ""
        if open_workers:
            # They are not looked for among thousands.
            kinds = [kind for kind in job.kind.able if kind.open] if open_workers <= _WORKERS_ASKED else []
            ready = [each for kind in kinds for each in kind.workers.values() if each.open and each.id not in exceptions]
            jobs = list(dict.fromkeys(self._job_at(each.id) for each in sorted(ready, key=lambda each: each.order)))
            return busy(open_workers, _first(ready), jobs)
        closed = Causes()
        for worker in (each for kind in job.kind.able for each in kind.workers.values() if each.id not in exceptions):
            closed.add(self._why_closed(worker.id), 1, [(worker.order, worker.info.name)])
        self._add_unable(job, hindered)
        return takes_nothing(able, closed, hindered)

    def _add_unable(self, job: Job, hindered: "Causes") -> None:
        """Add to *hindered* why classes of workers cannot run *job*."""
        for kind, obstacle in job.kind.obstacles.items():
            if obstacle is OUTSIDE:
                obstacle = general_obstacle(job.demand.need, job.demand.paths, kind.info)
            if obstacle:
                hindered.add_class(obstacle, kind)

    def _names_folders(self, job: Job) -> bool:
        """Return whether its reason is of its own folders, so that it is no other job's."""
        return bool(job.kind.outside) and not any(kind.open for kind in job.kind.able)

    def _all_doubtful(self, job: Job) -> bool:
        """Return whether any worker may be an exception, for its memory and cores or for others on its machine."""
        demand, machines = job.demand, self.roster.machines
        if demand.memory or demand.alone or demand.reserves:
            return True
        return machines.solitary > 0 or machines.claims > 0 or bool(machines.kept)

    def _doubtful(self, job: Job, kind: WorkerClass) -> list[Worker]:
        """Return the workers of *kind* that may be exceptions."""
        if self._all_doubtful(job):
            return list(kind.workers.values())
        return [kind.workers[each] for each in job.demand.kept_off if each in kind.workers]


class Causes:
    """Obstacles, each with the number of workers that have it, and the first of these in the order in which they came."""

    def __init__(self) -> None:
        self._found: dict[Obstacle, tuple[int, list[tuple[int, str]]]] = {}
        self._classes: dict[Obstacle, list[WorkerClass]] = {}
        """Whose workers are named only where a cause is told."""

    def add(self, obstacle: Obstacle, count: int, names: list[tuple[int, str]]) -> None:
        """Count *count* more workers; *names*: the order and name of each, or of the first `NAMES_SHOWN` of them."""
        before, known = self._found.get(obstacle, (0, []))
        self._found[obstacle] = before + count, sorted([*known, *names])[:NAMES_SHOWN]

    def add_class(self, obstacle: Obstacle, kind: WorkerClass) -> None:
        """Count the workers of *kind* more."""
        before, known = self._found.get(obstacle, (0, []))
        self._found[obstacle] = before + len(kind.workers), known
        self._classes.setdefault(obstacle, []).append(kind)

    def _names(self, obstacle: Obstacle, known: list[tuple[int, str]]) -> list[str]:
        several = (_first(kind.workers.values()) for kind in self._classes.get(obstacle, ()))
        return [name for _, name in sorted([*known, *chain.from_iterable(several)])[:NAMES_SHOWN]]

    def said(self) -> str:
        """Return a sentence for each of the commonest causes, and one for the rest."""
        commonest = sorted(self._found.items(), key=lambda each: (-each[1][0], each[0].several, each[0].remedy))
        told = commonest[:_CAUSES_SHOWN]
        said = [obstacle.said_of(count, self._names(obstacle, names)) for obstacle, (count, names) in told]
        if rest := sum(count for _, (count, _) in commonest[_CAUSES_SHOWN:]):
            said.append(f"{rest:,} more worker{' cannot' if rest == 1 else 's cannot'}, for other reasons")
        return ". ".join(said)


def busy(count: int, names: list[tuple[int, str]], jobs: Sequence[str] = ()) -> str:
    """Return that the *count* workers that can run it are busy; *names*: the order and name of the only one, *jobs*: the names of
    the jobs that they render, "" among them where one has begun none."""
    if not jobs or "" in jobs:
        rendered = ""
    elif len(jobs) > _JOBS_NAMED:
        rendered = f"{RENDERING}{len(jobs)} other jobs"
    else:
        rendered = f"{RENDERING}{' and '.join(short_name(each) for each in jobs)}"
    if count == 1:
        return f"The only worker that can run it, {short_name(names[0][1])},{ENDS_OF_WAITING[0]}{rendered}"
    return f"{'Both' if count == 2 else f'All {count:,}'} workers that can run it{ENDS_OF_WAITING[1]}{rendered}"


def at_its_limit(most: int, live: int) -> str:
    """Return that a job has as many tasks out as it may have."""
    return f"It may have {plural(most, 'task')} out at a time (`--most-workers`), and has {live}: it waits until one is done"


def gate_is_full(gate: Gate, most: int, live: int) -> str:
    """Return that so many tasks of *gate* are out as may be at *most*, and the command that allows more."""
    kind, name = gate
    more = f"`brender limits --{kind} {shlex.quote(f'{name}={most + 1}')}` allows {'one more' if most else 'one'}"
    if not most:
        if kind == "licence":
            return f"The farm has no licence {short_name(name)}, so no task that needs one begins. {more}"
        return f"{_whose(gate)} may have 0 tasks out at a time, so none begins. {more}"
    if kind == "licence":
        taken = f"{live} {'is' if live == 1 else 'are'} taken"
        return f"The farm has {most} of the licence {short_name(name)}, and {taken}: it waits until one is free. {more}"
    return f"{_whose(gate)} may have {plural(most, 'task')} out at a time, and has {live}: it waits until one is done. {more}"


def _whose(gate: Gate) -> str:
    kind, name = gate
    return f"The {kind} {short_name(name)}" if name else "Who gave no name"


def _kept_free(worker: Worker, alone: bool) -> str:
    """Return that the machine of *worker* is kept free for it, since it renders *alone*, or else for what its tasks reserve."""
    if alone:
        why = "A frame of it ran out of memory beside others, and renders alone now"
    else:
        why = "No machine had as much free at once as each task of it reserves"
    return f"{why}. The machine {short_name(worker.info.host)} is kept free for it, and finishes what it has begun"


def takes_nothing(count: int, closed: Causes, hindered: Causes) -> str:
    """Return that none of the *count* workers that can run it takes new tasks, for what causes, and why the others cannot."""
    none = "The only worker that can run it takes no" if count == 1 else f"None of the {count:,} workers that can run it takes"
    said = f"{none} new tasks. {closed.said()}"
    return f"{said}. {others}" if (others := hindered.said()) else said


def _first(workers: Iterable[Worker]) -> list[tuple[int, str]]:
    return [(worker.order, worker.info.name) for worker in islice(workers, NAMES_SHOWN)]
