"""Why a worker renders nothing: said by the scheduler, and never otherwise than it decides."""

import pytest
from hypothesis import given

from brender.model.answers import WHY_WORKER
from brender.model.sharing import Sharing
from brender.scheduling.assignment import assign
from brender.scheduling.reasons import Reasons, at_its_limit
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Demand
from brender.scheduling.worker_reasons import WorkerReasons
from tests import simple_scheduler
from tests.simple_scheduler import Slot
from tests.test_scheduler import PLENTY, farms, roster_of
from tests.world import World, animation

_GIVEN = "is about to be given a task"


def _reasons(roster: Roster) -> WorkerReasons:
    return WorkerReasons(roster, Reasons(roster, simple_scheduler.closed), simple_scheduler.closed, lambda job: job)


@given(farms())
def test_an_idle_worker_that_is_said_to_be_given_a_task_is_given_one_and_no_other(farm: tuple[list[Slot], list[Demand]]) -> None:
    workers, jobs = farm
    roster = roster_of(workers, jobs)
    reasons = _reasons(roster)
    idle = [worker for worker in roster.workers.values() if worker.open and not worker.count]
    if len(idle) == 1:  # (of several, one may take what another could)
        told = reasons.reason(idle[0].id)
        taken = {take.worker for take in assign(roster, PLENTY).takes}
        assert (_GIVEN in told) is (idle[0].id in taken), told
    else:
        assign(roster, PLENTY)
    for worker in roster.workers.values():
        if worker.open and not worker.count:
            assert _GIVEN not in reasons.reason(worker.id)


@pytest.fixture
def world() -> World:
    world = World()
    world.add_worker("one")
    return world


def _why(world: World) -> str:
    return world.server.dispatch.why(WHY_WORKER, world.workers["one"].core.info.id)


def test_a_worker_is_idle_where_nothing_waits(world: World) -> None:
    assert _why(world) == "The worker one is idle: no job has a task that waits for a worker"


def test_what_a_worker_lacks_is_said_with_the_jobs_that_want_it(world: World) -> None:
    for name in ("shot_010", "shot_020"):
        world.submit(animation("1-3", name=name, tags=("gpu",)))
    world.run(1.0)
    told = _why(world)
    assert told.startswith("Of the 2 jobs that wait, none can go to one. The worker one lacks the tag gpu")
    assert told.endswith("(shot_010 and shot_020)")


def test_a_worker_idles_although_a_job_waits_that_has_as_many_workers_as_it_may(world: World) -> None:
    world.add_worker("two")
    world.submit(animation("1-3", name="shot_010", sharing=Sharing(most_workers=1)))
    world.run(1.0)
    idle = next(name for name, stub in world.workers.items() if stub.running is None)
    told = world.server.dispatch.why(WHY_WORKER, world.workers[idle].core.info.id)
    assert told == f"The job that waits cannot go to {idle}. {at_its_limit(1, 1)} (shot_010)"


def test_a_worker_that_somebody_disabled_is_said_to_be(world: World) -> None:
    world.act_on_node("disable", "one")
    world.run(1.0)
    assert _why(world).startswith("The worker one is disabled: `brender enable one`")


def test_a_worker_that_is_not_there_is_not_the_schedulers_to_explain(world: World) -> None:
    assert world.server.dispatch.why(WHY_WORKER, "nobody") == "" and WHY_WORKER == "why_worker"
