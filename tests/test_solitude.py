"""A job that is to render alone comes to its turn on a busy farm, and keeps no more of the farm idle than that needs."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.scheduling import assignment
from brender.scheduling.assignment import assign
from brender.scheduling.audit import audit
from brender.scheduling.fitting import fits
from brender.scheduling.reasons import Reasons
from brender.scheduling.roster import Roster
from brender.scheduling.solitude import KEEP_SECONDS, SHARE, START_SECONDS, Solitude
from brender.scheduling.terms import Demand
from tests import simple_scheduler

NEED = Requirements(job_type="command")
PLENTY = 1_000_000


@dataclass
class Farm:
    """Workers on machines, each ``(slots, bytes of memory)``, that are busy with an endless job when others come; the tasks of a
    job take so many ``seconds``. Second by second."""

    machines: list[tuple[int, int]]
    jobs: list[Demand]
    seconds: dict[str, int]
    now: int = 0
    running: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """By worker: what it holds, and how long that takes."""
    started: dict[str, int] = field(default_factory=dict)
    """When the first task of a job began."""
    kept: set[str] = field(default_factory=set)
    """The jobs for which a machine was kept free."""
    idle: int = 0
    """Seconds that workers were idle although something was queued, in all."""
    others: tuple[int, ...] = ()
    """How long the first tasks take."""
    expected: bool = False
    """It is known how long tasks take."""

    def __post_init__(self) -> None:
        self.memory: dict[str, int] = {}
        self.roster = Roster(lambda worker: self.memory[worker])
        self.solitude = Solitude(self.roster, self.remaining)
        self.first = list(self.others)
        self.infos: dict[str, WorkerInfo] = {}
        for number, (slots, memory) in enumerate(self.machines):
            for slot in range(slots):
                name = f"m{number}-{slot}"
                self.memory[name], self.running[name] = memory, []
                self.infos[name] = WorkerInfo(
                    id=name, incarnation=1, name=name, host=f"m{number}", job_types=frozenset({"command"})
                )
                self.tell(name)
        self.roster.job_changed(endless())
        self.run(2)
        for job in self.jobs:
            self.roster.job_changed(replace(job))

    def tell(self, worker: str) -> None:
        held = [self.roster.jobs[job].demand for job, _ in self.running[worker]]
        self.roster.worker_changed(self.infos[worker], len(held), reserved=0, alone=any(demand.alone for demand in held))

    def remaining(self, worker: str, now: float) -> float | None:
        return self.running[worker][0][1] if self.expected else None

    def run(self, seconds: int) -> None:
        """Let time pass; every worker that has something goes on with it."""
        for _ in range(seconds):
            self.now += 1
            for worker, held in self.running.items():
                if held:
                    job, left = held[0]
                    held[0] = job, left - 1
                    if left <= 1:
                        held.pop(0)
                        demand = self.roster.jobs[job].demand
                        self.roster.job_changed(replace(demand, live=demand.live - 1))
                        self.tell(worker)
            for machine in self.solitude.look(self.now):
                for slot in machine.slots:  # what has not begun is asked back
                    for job, _ in self.running[slot.id][1:]:
                        demand = self.roster.jobs[job].demand
                        self.roster.job_changed(replace(demand, live=demand.live - 1, queued=demand.queued + 1))
                    del self.running[slot.id][1:]
                    self.tell(slot.id)
            for take in assign(self.roster, PLENTY).takes:
                self.running[take.worker].append((take.job, self.first.pop(0) if self.first else self.seconds[take.job]))
            for held in self.running.values():
                for job, _ in held[:1]:
                    self.started.setdefault(job, self.now)
            self.kept |= self.roster.machines.kept.keys()
            assert len(self.roster.machines.kept) <= max(1, len(self.machines) // SHARE)
            self.idle += sum(not held for held in self.running.values())


def alone(job: str = "alone", priority: int = 50, memory: int = 0, order: int = 99) -> Demand:
    return Demand(job, priority, order, 0, 1, NEED, memory=memory, alone=True)


def endless() -> Demand:
    return Demand("endless", 50, 1, 0, 10**6, NEED)


def test_a_job_that_is_to_render_alone_gets_a_machine_on_a_busy_farm() -> None:
    farm = Farm([(2, 8)] * 3, [alone()], {"endless": 7, "alone": 5})
    farm.run(5)
    assert farm.roster.machines.kept == {} and "alone" not in farm.started
    farm.run(int(KEEP_SECONDS) - 4)
    ((job, machine),) = farm.roster.machines.kept.items()
    assert job == "alone" and Reasons(farm.roster, simple_scheduler.closed).reason("alone") == (
        "A frame of it ran out of memory beside others, and renders alone now. The machine m0 is kept free for it, and finishes "
        "what it has begun"
    )
    farm.run(15)
    assert KEEP_SECONDS < farm.started["alone"] <= KEEP_SECONDS + 14
    farm.run(10)
    assert farm.roster.machines.kept == {} and all(slot.count for slot in machine.slots), "and then others render there again"
    assert audit(farm.roster) == []


def test_the_most_urgent_one_comes_first_and_one_machine_in_ten_is_kept_free() -> None:
    jobs = [alone(f"a{number}", 50 + number, order=number) for number in range(5)]
    farm = Farm([(2, 8)] * 20, jobs, {"endless": 30} | {f"a{number}": 1 for number in range(5)})
    farm.run(200)
    starts = [farm.started[f"a{number}"] for number in reversed(range(5))]
    assert starts == sorted(starts) and starts[-1] < KEEP_SECONDS + 3 * 35


def test_no_machine_is_kept_from_more_urgent_work() -> None:
    farm = Farm([(2, 8)] * 2, [alone(priority=40)], {"endless": 7, "alone": 5})
    farm.run(150)
    assert farm.kept == set()
    farm.roster.job_changed(replace(farm.roster.jobs["endless"].demand, priority=40))
    farm.run(150)
    assert "alone" in farm.started


def test_what_fits_on_no_machine_keeps_none_free_and_hinders_no_other() -> None:
    jobs = [alone("too large", 70, memory=16), alone("fits", 50, memory=8)]
    farm = Farm([(2, 8)] * 2, jobs, {"endless": 7, "too large": 5, "fits": 5})
    farm.run(200)
    assert farm.kept == {"fits"} and "too large" not in farm.started
    assert farm.started["fits"] <= KEEP_SECONDS + 14


def test_what_does_not_start_on_an_empty_machine_gives_it_back_and_waits_longer_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    farm = Farm([(2, 8)] * 2, [alone()], {"endless": 7, "alone": 5})
    monkeypatch.setattr(assignment, "fits", lambda demand, *at: not demand.alone and fits(demand, *at))
    farm.run(1000)
    assert farm.kept == {"alone"} and "alone" not in farm.started
    assert farm.idle < 5 * 2 * (7 + START_SECONDS + 2), "at about 60, 130, 260, 510 and 1000 seconds"


LONG = [(2, 8)] * 2, (3600, 7, 3600, 7), {"endless": 7, "alone": 5}


@pytest.mark.parametrize("lonely", [1, 3])
def test_what_runs_for_long_keeps_the_slot_beside_it_idle_for_about_half_the_time(lonely: int) -> None:
    machines, others, seconds = LONG
    jobs = [alone(f"a{number}", order=number) for number in range(lonely)]
    farm = Farm(machines, jobs, seconds | {job.job: 5 for job in jobs}, others=others)
    farm.run(1900)
    assert farm.kept and not farm.started.keys() & farm.kept
    assert farm.idle <= farm.now * 0.6, "of one slot of four"
    farm.run(3700 - farm.now)
    assert farm.started["a0"] < 3650 or lonely == 1
    farm.run(1000)
    assert {job.job for job in jobs} <= farm.started.keys()


def test_a_machine_that_is_known_to_be_busy_for_long_is_not_kept_free() -> None:
    machines, _, seconds = LONG
    farm = Farm(machines, [alone()], seconds, others=(300, 7, 250, 7), expected=True)
    farm.run(int(KEEP_SECONDS) + 100)
    assert farm.kept == set() and farm.idle == 0
    farm.run(50)
    (machine,) = farm.roster.machines.kept.values()
    assert {slot.info.host for slot in machine.slots} == {"m1"}, "the one that is free soonest"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from([4, 8, 16])), min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from([50, 60]), st.sampled_from([0, 6, 12, 32])), min_size=1, max_size=3),
    st.integers(2, 20),
    st.lists(st.sampled_from([2, 150]), max_size=5).map(tuple),
)
def test_it_neither_starves_nor_lets_the_farm_idle(
    machines: list[tuple[int, int]], wanting: list[tuple[int, int]], task: int, others: tuple[int, ...]
) -> None:
    lonely = [alone(f"a{number}", priority, memory, number) for number, (priority, memory) in enumerate(wanting)]
    farm = Farm(machines, lonely, {"endless": task} | dict.fromkeys((job.job for job in lonely), 3), others=others)
    longest = max((task, *others))
    farm.run(int(KEEP_SECONDS * 2 + (task + 3) * 3 * len(lonely)) + (420 if longest > task else 0))
    able = {job.job for job in lonely if any(memory >= job.memory for _, memory in machines)}
    assert farm.started.keys() - {"endless"} == able and farm.kept <= able
    assert farm.idle <= sum(3 * (2 * task + START_SECONDS) for _ in able) + (farm.now if longest > task else 0)
    assert audit(farm.roster) == []
