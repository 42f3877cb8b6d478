"""How far from the truth it is when a job is expected to be done, from a tenth of it on; beside the plain estimate: its mean
frame time by the workers at it.

    python -m benchmarks.estimates [--quick]

A farm with a virtual clock: workers of different speeds take frames as the scheduler gives them out, by priority, then from the
job at which the fewest are at work. Frames of a job differ, drift from its first to its last, and jobs come in between. Each job
is asked about at a tenth, a quarter, a half and three quarters of its frames. The error is a share of what it still took.
"""

import random
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import median

from benchmarks.report import arguments, report
from brender.farm.jobs import FORESEEN_AT
from brender.scheduling.forecast import forecast
from brender.scheduling.forecast_lanes import Lane
from brender.scheduling.forecast_work import Work
from brender.scheduling.pace import Begun, Measured, Pace, still_takes

_ALL = frozenset({0})


@dataclass
class _Job:
    name: str
    priority: int
    order: int
    frames: list[float]
    """The work of each, in seconds at the speed 1."""
    next: int = 0
    done: int = 0
    seconds: float = 0.0
    at_work: int = 0
    said: list[tuple[float, float, float]] = field(default_factory=list)
    """(when, the forecast, the plain estimate)."""
    ended: float | None = None


def _new_job(chance: random.Random, number: int) -> _Job:
    count = int(chance.lognormvariate(5.0, 0.6)) + 20
    mean, drift, noise = chance.lognormvariate(3.5, 1.0), chance.uniform(-0.15, 0.15), chance.uniform(0.05, 0.2)
    frames = [mean * (1 + drift * (2 * at / count - 1)) * chance.lognormvariate(0, noise) for at in range(count)]
    return _Job(f"j{number}", chance.choice((50, 50, 50, 60, 80)), number, frames)


def _night(chance: random.Random, workers: int, jobs: int, later: int) -> list[_Job]:
    """Return the jobs of one night, *later* of which come in while others are rendered, and what was said of them."""
    speeds = [chance.choice((0.5, 1.0, 1.0, 2.0, 4.0)) * chance.uniform(0.9, 1.1) for _ in range(workers)]
    pace = Pace()
    for number in range(3):  # what the farm has rendered before
        frames = _new_job(chance, number).frames
        workers_of = [chance.randrange(workers) for _ in frames]
        for frame, at in zip(frames, workers_of, strict=True):
            pace.learn([Measured(f"before {number}", str(at), frame / speeds[at])])
    open_jobs, ended = [_new_job(chance, number) for number in range(jobs)], list[_Job]()
    # (when, order, worker, its job, the frame's seconds); a new job where the worker is -1.
    events: list[tuple[float, int, int, _Job | None, float]] = []
    number, running = 0, dict[int, tuple[_Job, float]]()  # (the job, and since when)

    def push(when: float, worker: int, job: _Job | None, seconds: float) -> None:
        nonlocal number
        number += 1
        heappush(events, (when, number, worker, job, seconds))

    def take(worker: int, now: float) -> None:
        ready = [job for job in open_jobs if job.next < len(job.frames)]
        if not ready:
            running.pop(worker, None)
            return
        job = min(ready, key=lambda job: (-job.priority, job.at_work, job.order))
        seconds = job.frames[job.next] / speeds[worker]
        job.next += 1
        job.at_work += 1
        running[worker] = job, now
        push(now + seconds, worker, job, seconds)

    def ask(about: _Job, now: float) -> None:
        lanes, works = [], []
        pace.learn([], [Begun(job.name, str(worker), now - since) for worker, (job, since) in running.items()])
        for worker in range(workers):
            known = pace.speed(str(worker))
            if worker in running:
                job, since = running[worker]
                of_job = pace.of_job(job.name)
                lanes.append(Lane(0, known, job.name, still_takes(of_job.expected / known, now - since) if of_job else 60.0))
            else:
                lanes.append(Lane(0, known))
        for job in open_jobs:
            of_job = pace.of_job(job.name)
            seconds, spread, parts = (of_job.expected, of_job.spread, of_job.parts) if of_job else (60.0, 0.0, 1)
            works.append(Work(job.name, job.priority, job.order, len(job.frames) - job.next, seconds, _ALL, spread, parts))
        plain = about.seconds / about.done * (len(about.frames) - about.done) / max(1, about.at_work)
        told = forecast(lanes, works)[about.name].seconds
        assert told is not None, "such a farm is looked at to its end"
        about.said.append((now, told, plain))

    for worker in range(workers):
        take(worker, 0.0)
    for coming in range(jobs, jobs + later):
        push(chance.uniform(0, 4000), -1, _new_job(chance, coming), 0.0)
    while events:
        now, _, worker, job, seconds = heappop(events)
        assert job is not None
        if worker < 0:
            open_jobs.append(job)
            for idle in [each for each in range(workers) if each not in running]:
                take(idle, now)
            continue
        pace.learn([Measured(job.name, str(worker), seconds)])
        job.done, job.seconds, job.at_work = job.done + 1, job.seconds + seconds, job.at_work - 1
        take(worker, now)
        if job.done == len(job.frames):
            job.ended = now
            open_jobs.remove(job)
            ended.append(job)
        elif len(job.said) < len(FORESEEN_AT) and job.done >= FORESEEN_AT[len(job.said)] * len(job.frames):
            ask(job, now)
    return ended


def main() -> None:
    quick = arguments(__doc__.splitlines()[0]).quick
    for name, jobs, later, workers in (("one job", 1, 0, 8), ("a queue", 12, 0, 20), ("a queue that grows", 8, 4, 20)):
        errors, plain = list[float](), list[float]()
        for seed in range(4 if quick else 40):
            for job in _night(random.Random(seed), workers, jobs, later):
                for when, expected, simple in job.said:
                    took = (job.ended or 0.0) - when
                    errors.append(abs(expected - took) / took)
                    plain.append(abs(simple - took) / took)
        found, simple = 100 * median(errors), 100 * median(plain)
        report(f"error of the time left, {name}", found, "% at the median", f"plain: {simple:.0f} %", found / simple)


if __name__ == "__main__":
    main()
