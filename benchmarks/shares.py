"""How fairly the farm is shared, and what that costs: the scheduler alone, on a clock of its own.

    python -m benchmarks.shares [--quick]

Fairness: 12 users of 4 projects, all with weights, and tasks of 5 to 300 seconds, on 100 workers. After 10,000 tasks: the
largest difference of what a user has used from the share that is due, in percent of the farm.

The end: a mixed queue on 100 workers, each of which has a scene open and needs 10 seconds to open another. Its time over the
lower bound, which is all work, with each scene opened once, spread evenly; against priority and age alone.
"""

import random
from dataclasses import replace

from benchmarks.report import arguments, report
from benchmarks.virtual_farm import VirtualFarm
from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.scheduling.terms import Demand

_NEED = Requirements(job_type="command")
_SWITCH_SECONDS = 10.0


def workers(count: int) -> list[WorkerInfo]:
    """Return so many workers that cannot be told apart."""
    return [
        WorkerInfo(id=f"{number:016x}", incarnation=1, name=f"w{number}", job_types=frozenset({"command"}))
        for number in range(count)
    ]


def shared_farm(count: int, seed: int = 1) -> tuple[VirtualFarm, dict[tuple[str, str], float]]:
    """Return a farm of 12 users, whose work does not end, and the share of it that each is to have."""
    chance = random.Random(seed)
    projects = {f"project {number}": weight for number, weight in enumerate((1.0, 1.0, 2.0, 4.0))}
    users = {f"user {number}": chance.choice((1.0, 2.0, 3.0)) for number in range(12)}
    members = {project: chance.sample(sorted(users), 3) for project in projects}
    demands, seconds = {}, {}
    for project, some in members.items():
        for user in some:
            for number in range(3):
                name = f"{project}, {user}, {number}"
                demands[name] = Demand(name, 50, len(demands), 0, 10**6, _NEED, project=project, user=user)
                seconds[name] = chance.choice((5.0, 20.0, 60.0, 300.0))
    farm = VirtualFarm(workers(count), demands, seconds, half_life=1e9, seed=seed)
    for project, weight in projects.items():
        farm.weigh("project", project, weight)
    for user, weight in users.items():
        farm.weigh("user", user, weight)
    due = {}
    for project, some in members.items():
        for user in some:
            of_project = projects[project] / sum(projects.values())
            due[project, user] = of_project * users[user] / sum(users[each] for each in some)
    return farm, due


def share_error(farm: VirtualFarm, due: dict[tuple[str, str], float]) -> float:
    """Return the largest difference of what somebody used from their share, as a part of all."""
    total = sum(farm.done.values())
    return max(abs(farm.done.get(who, 0.0) / total - share) for who, share in due.items())


def mixed_queue(count: int, seed: int = 2, is_shared: bool = True) -> tuple[VirtualFarm, float]:
    """Return a farm with a queue that ends, and the seconds that it takes at least."""
    chance = random.Random(seed)
    demands, seconds = {}, {}
    for number in range(60):
        name = f"job {number}"
        tasks = chance.choice((20, 100, 250, 500))
        user, project = f"user {number % 8}", f"project {number % 3}"
        demand = Demand(name, chance.choice((30, 50, 50, 70)), number, 0, tasks, _NEED, project=project, user=user)
        demands[name] = demand if is_shared else replace(demand, project="", user="")
        seconds[name] = chance.choice((5.0, 20.0, 60.0, 120.0))
    work = sum(seconds[name] * demand.queued for name, demand in demands.items())
    least = (work + _SWITCH_SECONDS * len(demands)) / count
    return VirtualFarm(workers(count), demands, seconds, switch=_SWITCH_SECONDS, seed=seed), least


def makespan(farm: VirtualFarm) -> float:
    """Return the seconds until all is done."""
    began = farm.now
    farm.run(10**9)
    return farm.now - began


def main() -> None:
    quick = arguments((__doc__ or "").splitlines()[0]).quick
    count, tasks = (20, 2_000) if quick else (100, 10_000)
    farm, due = shared_farm(count)
    farm.run(tasks)
    report(f"largest error of a fair share, after {tasks} tasks", share_error(farm, due) * 100, "%", f"{count} workers, 12 users")
    farm, least = mixed_queue(count)
    shared = makespan(farm)
    plain = makespan(mixed_queue(count, is_shared=False)[0])
    report("time of a mixed queue, shared", shared, "s", "its lower bound", shared / least)
    report("time of a mixed queue, priority and age alone", plain, "s", "its lower bound", plain / least)


if __name__ == "__main__":
    main()
