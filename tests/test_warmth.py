"""Of idle workers that are alike, one takes a task that has its scene open, or its files."""

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from brender.model.job import Requirements
from brender.scheduling.assignment import assign
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Demand
from tests.simple_scheduler import Slot
from tests.test_scheduler import PLENTY, farms, roster_of
from tests.world import World, animation


def _farm(*names: str) -> World:
    world = World()
    for name in names:
        world.add_worker(name)
    return world


def _renders(world: World, file: str, **more: Any) -> str:
    """The worker that takes a job of one frame of *file*."""
    job = world.submit(animation("1", file=file, **more))["id"]
    return next(name for name, stub in world.workers.items() if stub.running is not None and stub.running.job == job)


def _at_work(world: World, *scenes: dict[str, Any]) -> None:
    """Let the workers render a frame of each of *scenes*, the first worker of the first, and then be idle."""
    names = [_renders(world, **scene) for scene in scenes]
    assert names == list(world.workers)[: len(names)]
    for name in names:
        world.finish(name)
    world.run(1.0)


def test_an_idle_worker_that_has_the_scene_open_renders_the_next_job_of_it() -> None:
    world = _farm("one", "two", "three")
    _at_work(world, {"file": "/a.blend"}, {"file": "/b.blend"})
    assert _renders(world, "/b.blend") == "two"
    assert _renders(world, "/a.blend") == "one"
    assert _renders(world, "/b.blend") == "three"


def test_a_worker_that_has_the_files_renders_a_later_version_of_a_scene_that_travels() -> None:
    world = _farm("one", "two")
    _at_work(world, {"file": "a.blend", "bundle": "a1" * 32}, {"file": "b.blend", "bundle": "b1" * 32})
    assert _renders(world, "b.blend", bundle="b2" * 32) == "two"


def test_one_that_has_this_version_open_comes_before_one_that_has_another() -> None:
    world = _farm("one", "two")
    _at_work(world, {"file": "a.blend", "bundle": "a1" * 32}, {"file": "a.blend", "bundle": "a2" * 32})
    assert _renders(world, "a.blend", bundle="a2" * 32) == "two"


def test_scenes_of_equal_names_of_two_projects_are_not_taken_for_one() -> None:
    world = _farm("one", "two")
    _at_work(
        world, {"file": "b.blend", "project": "x", "bundle": "b1" * 32}, {"file": "a.blend", "project": "x", "bundle": "a1" * 32}
    )
    assert _renders(world, "a.blend", project="y", bundle="a2" * 32) == "one"


def test_a_worker_that_is_gone_is_forgotten_and_only_so_many_scenes_of_each_are_remembered() -> None:
    world = _farm("one")
    for number in range(12):
        _at_work(world, {"file": f"/{number}.blend"})
    roster = world.server.dispatch.roster
    (worker,) = roster.workers.values()
    assert list(worker.scenes) == [f"default\n/{number}.blend" for number in range(4, 12)]
    roster.worker_gone(worker.id)
    assert roster.warmth._holders == {}


_SCENES = st.sampled_from(["", "a", "b", "c"])


@given(farms(), st.data())
def test_what_is_taken_by_workers_of_each_class_does_not_depend_on_what_they_have_open(
    farm: tuple[list[Slot], list[Demand]], data: st.DataObject
) -> None:
    slots, jobs = farm
    jobs = [replace(job, kept_off=(), put_off={}, memory=0, alone=False, need=_anywhere(job.need)) for job in jobs]
    scenes = [replace(job, files=(name := data.draw(_SCENES)), scene=name) for job in jobs]
    had = {slot.worker.id: data.draw(st.lists(_SCENES)) for slot in slots}

    def taken(jobs: list[Demand]) -> Counter[tuple[int, str]]:
        roster = roster_of(slots, jobs)
        for worker, names in had.items():
            for name in names:
                roster.warmth.note(roster.workers[worker], Demand("", 0, 0, 0, 0, jobs[0].need, files=name, scene=name))
        return Counter((_class(roster, take.worker), take.job) for take in assign(roster, PLENTY).takes)

    if jobs:
        assert taken(scenes) == taken(jobs)


def _anywhere(need: Requirements) -> Requirements:
    """The same, of which no machine has too little left."""
    return msgspec.structs.replace(need, cores=0, gpu_memory=0)


def _class(roster: Roster, worker: str) -> int:
    return roster.workers[worker].kind.number
