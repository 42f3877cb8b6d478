"""The forecast of a queue beside what the farm, with its real scheduler, then does with it on a virtual clock."""

from math import inf
from typing import Any

import msgspec
import pytest

from brender.bus.messages import Manage
from brender.farm.refusals import RESTS_AFTER
from brender.model.job import After
from brender.model.nodes import Stats
from brender.model.sharing import Sharing
from brender.scheduling.pace import Measured, Pace
from brender.store.outlook import Outlook
from tests.test_limits_and_leaving import put_off
from tests.world import World, animation, new_id

pytestmark = pytest.mark.thorough
_GB = 10**9
#: Seconds that a frame takes where a test does not say it: many, beside those that the virtual farm needs between two.
_FRAME = 100.0


class _Farm(World):
    """A farm whose workers render by themselves. Each frame of a job takes its ``seconds``, and needs its bytes of ``memory``."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, int] = {}
        self.completed: dict[str, float] = {}
        """When each job was."""
        self._due: dict[str, tuple[float, str]] = {}
        """By the name of a worker, when its attempt is done."""

    def job(self, frames: int, seconds: float = _FRAME, memory: int = 0, after: str = "", **how: Any) -> str:
        """Submit a job, which may wait for one *after* which it begins; return its id."""
        spec = animation(f"1-{frames}", chunk=1, **how)
        if after:
            spec = msgspec.structs.replace(spec, after=(After(job=after),))
        job = str(self.submit(spec)["id"])
        self.seconds[job], self.memory[job] = seconds, memory
        return job

    def play(self, until: float = inf) -> None:
        """Let all workers render until nothing is left, or it is so late."""
        while self.seconds.keys() - self.completed.keys():
            if not (due := self._look()):
                self.run(2.0, step=1.0)  # all of it rests
                if self.now > until:
                    return
                continue
            name, (when, _) = min(due.items(), key=lambda each: each[1])
            if (wait := min(when, until) - self.now) > 0:
                self.run(wait, step=wait / 4)
            if when > until:
                return
            running = self.workers[name].running
            if running is None or running.attempt != due[name][1]:
                continue  # it was taken from there meanwhile
            self.finish_part(name, self.seconds[running.job], memory=self.memory[running.job])
            self.end(name)
            if self.status(running.job) == "completed":
                self.completed[running.job] = self.now
                self._stop()

    def _stop(self) -> None:
        """Let workers stop what is to give way to a job that begins now."""
        self.run(1.0, step=0.25)
        for name, stub in self.workers.items():
            if stub.running is not None and stub.running.attempt in stub.stopped:
                self.end(name, stopped=True)

    def _look(self) -> dict[str, tuple[float, str]]:
        running = {name: stub.running for name, stub in self.workers.items() if stub.running is not None}
        self._due = {
            name: each
            if (each := self._due.get(name)) and each[1] == grant.attempt
            else (self.now + self.seconds[grant.job], grant.attempt)
            for name, grant in running.items()
        }
        return self._due


def _check(farm: _Farm, within: float, after: float = 4.5) -> None:
    """Look ahead when so many frames' times have passed, let the farm render the rest, and compare: of the time that a job really
    takes, the forecast is not off by more than the share *within*."""
    farm.play(farm.now + after * _FRAME)
    asked, pace, early = farm.now, Pace(), set(farm.completed)
    pace.learn(Measured(job, "earlier", seconds) for job, seconds in farm.seconds.items())
    expected = Outlook(lambda: asked, lambda: farm.epoch + asked, pace).of(farm.record).jobs
    farm.play()
    took = {job: when - asked for job, when in farm.completed.items() if job not in early}
    assert {job: expected[job].seconds for job in took} == {job: pytest.approx(each, rel=within) for job, each in took.items()}


def _machine(farm: World, name: str, slots: int, memory: int = 0, gpu_memory: int = 0, cores: int = 0, pool: str = "") -> None:
    """Add a machine with so many workers, and with the memory that these tell of."""
    for number in range(slots):
        slot = farm.add_worker(f"{name}{number}", host=name, cores=cores, gpu_memory=gpu_memory, pool=pool)
        if memory:
            farm.beat(f"{name}{number}", Stats(memory_total=memory + 2 * _GB, memory_used=2 * _GB))
        assert slot.core.info.host == name


def test_several_small_frames_share_a_big_machine_and_few_large_ones_do() -> None:
    farm = _Farm()
    _machine(farm, "big", 4, memory=64 * _GB)
    _machine(farm, "small", 2, memory=8 * _GB)
    farm.job(40, memory=30 * _GB, priority=60)
    farm.job(50, memory=1 * _GB)
    _check(farm, 0.1)


def test_slots_that_share_a_gpu_render_as_many_frames_at_once_as_reserve_its_memory() -> None:
    farm = _Farm()
    _machine(farm, "one", 4, gpu_memory=24 * _GB)
    farm.job(20, sharing=Sharing(gpu_memory=10 * _GB), priority=60)
    farm.job(30, seconds=50.0)
    _check(farm, 0.1)


def _weigh(farm: World, kind: str, name: str, weight: float) -> None:
    farm.request(Manage(id=new_id(), what="set-weight", arguments={"kind": kind, "name": name, "weight": weight}))


def test_projects_and_users_advance_by_their_weights_and_who_had_less_catches_up() -> None:
    farm = _Farm()
    _machine(farm, "m", 6)
    _weigh(farm, "project", "film", 3.0)
    _weigh(farm, "user", "ada", 2.0)
    farm.job(12, project="series", user="bob")
    farm.play(farm.now + 1.5 * _FRAME)
    for project, user, frames in (("film", "ada", 40), ("film", "bob", 20), ("series", "bob", 30), ("series", "cyd", 20)):
        farm.job(frames, project=project, user=user)
    _check(farm, 0.12)


def test_workers_of_a_pool_render_its_jobs_first_and_lend_what_is_idle() -> None:
    farm = _Farm()
    _machine(farm, "own", 3, pool="film")
    _machine(farm, "all", 3)
    farm.job(30, priority=80)
    farm.job(40, sharing=Sharing(pool="film"))
    farm.job(20)
    _check(farm, 0.1)


@pytest.mark.parametrize(
    ("sharing", "pool"), [({}, ""), ({"rush": True}, ""), ({"pool": "film", "reclaim_at_once": True}, "film")]
)
def test_a_job_that_begins_later_and_comes_first_has_the_workers_after_their_frames_or_at_once(
    sharing: dict[str, Any], pool: str
) -> None:
    farm = _Farm()
    _machine(farm, "m", 4, pool=pool)
    first = farm.job(20, priority=80)
    farm.job(40, seconds=4 * _FRAME)
    farm.job(60, priority=40)
    farm.job(12, priority=60, after=first, sharing=Sharing(**sharing))
    _check(farm, 0.1, after=2.5)


def test_a_job_that_rests_is_rendered_by_nobody_until_its_rest_is_over() -> None:
    farm = _Farm()
    _machine(farm, "m", RESTS_AFTER)
    farm.job(40, seconds=20.0)
    for number in range(RESTS_AFTER):
        put_off(farm, f"m{number}", "The folder /renders/show does not answer")
    _machine(farm, "later", 3)
    assert all(stub.running is None for stub in farm.workers.values())
    _check(farm, 0.15, after=0.05)  # (one worker alone tries it first, for some seconds)
