"""Where the server itself goes wrong: a round that raises leaves nothing behind, and what did it cannot do it again."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from brender.bus.messages import Sorry
from brender.jobs import declare
from brender.jobs.command import Command
from brender.model.job import JobSpec, Requirements
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.jobs import Jobs
from brender.roles.server.work import Work
from tests.world import World, animation, farm_of_two, new_id


def _explode(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("planted")


def test_an_action_that_raises_halfway_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = farm_of_two()
    job = world.submit(animation("1-4", chunk=1))["id"]
    with monkeypatch.context() as patch:
        patch.setattr(Jobs, "note", _explode)  # after its status, its tasks and its attempts were changed
        answer = world.act("cancel", job)
    assert isinstance(answer, Sorry) and "has done nothing of it" in answer.message
    assert world.status(job) == "active"
    assert sorted(world.finish_everything()) == [1, 2, 3, 4] and world.status(job) == "completed"


def test_what_else_arrived_in_a_round_that_raises_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1", chunk=1))["id"]
    with monkeypatch.context() as patch:
        patch.setattr(Dispatch, "dispatch", _explode)
        world.finish("one")
        other = world.submit(animation("5", chunk=1))["id"]
        assert world.status(job) == "completed", "reports are taken while nothing can be given out"
    assert world.finish_everything() == [5] and world.status(other) == "completed"


def test_a_report_that_makes_the_server_fail_loses_its_attempt_and_not_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    world = farm_of_two()
    job = world.submit(animation("1-2", chunk=2))["id"]
    good = Work._part_done
    failed: list[int] = []

    def fails_once(self: Work, report: Any, *more: Any) -> None:
        good(self, report, *more)
        if not failed or (report.part == failed[0] and report.attempt == failed[1]):  # type: ignore[comparison-overlap]
            failed[:] = [report.part, report.attempt]
            raise ZeroDivisionError("planted")

    monkeypatch.setattr(Work, "_part_done", fails_once)
    world.finish("one" if world.workers["one"].running else "two")
    world.finish_everything()
    assert (world.status(job), world.ask("job", id=job)["completed_parts"]) == ("completed", 2)
    (lost, *_) = [row for row in world.ask("attempts", job=job) if row["outcome"] == "lost"]
    assert lost["reason"] == "the server failed at a report of it"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A job type that others wrote: ``bad`` names its method that raises."""
    trap = SimpleNamespace(bad="")

    class Plugin(Command):
        name = "plugin"

        def requirements(self, spec: JobSpec) -> Requirements:
            return msgspec.structs.replace(super().requirements(spec), job_type="command")  # which the workers take

        def __getattribute__(self, name: str) -> Any:
            return _explode if name == trap.bad else super().__getattribute__(name)

    known = declare._loaded()
    monkeypatch.setattr(declare, "_loaded", lambda: {**known, "plugin": Plugin()})
    return trap


def _plugged(world: World) -> Any:
    """The server's answer to a job of the plugin's."""
    return world.submit(JobSpec(id=new_id(), name="plugged", job_type="plugin", settings={"program": "true"}))


@pytest.mark.parametrize("method", ["task", "waits_for"])
def test_a_job_type_that_raises_fails_its_own_job_and_no_other(plugin: SimpleNamespace, method: str) -> None:
    world = farm_of_two()
    plugin.bad = method
    mine, other = _plugged(world)["id"], world.submit(animation("1-3", chunk=1))["id"]
    world.finish_everything()
    assert world.status(other) == "completed"
    record = world.ask("job", id=mine)
    assert (record["status"], record["reason"]) == ("failed", "The job type plugin failed: ZeroDivisionError: planted")


def test_a_job_type_that_raises_when_a_job_is_submitted_refuses_it_with_its_reason(plugin: SimpleNamespace) -> None:
    plugin.bad = "task_count"
    answer = _plugged(farm_of_two())
    assert isinstance(answer, Sorry) and answer.message == "The job type plugin failed: ZeroDivisionError: planted"


def test_a_job_whose_type_is_no_longer_installed_fails_when_the_server_starts_and_the_others_go_on(
    plugin: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = farm_of_two()
    mine, other = _plugged(world)["id"], world.submit(animation("1-3", chunk=1))["id"]
    known = declare._loaded()
    monkeypatch.setattr(declare, "_loaded", lambda: {name: kind for name, kind in known.items() if name != "plugin"})
    world.start_server()
    world.run(1.0)
    world.finish_everything()
    assert world.status(other) == "completed"
    record = world.ask("job", id=mine)
    assert record["status"] == "failed" and record["reason"].startswith("This server does not have the job type plugin")
