"""Where the server itself goes wrong: a round that raises leaves nothing behind, and what did it cannot do it again."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from peewee import OperationalError

from brender.bus.messages import Act, Sorry, Submit
from brender.jobs import declare
from brender.jobs.command import Command
from brender.model.errors import Paused
from brender.model.job import JobSpec, Requirements
from brender.model.keys import KeyRole
from brender.roles.effects import Effect, Now, Peer
from brender.roles.server.activity import ActivityLog
from brender.roles.server.core import ServerCore
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.farm_store import FarmStore
from brender.roles.server.jobs import NOT_FINITE
from brender.roles.server.nodes import Nodes
from brender.roles.server.recorded_jobs import UNREADABLE_FACTS
from brender.roles.server.round import AT_A_REPORT, FAILED, Run
from brender.roles.server.work import Work
from brender.store.writer import Writer
from tests.tools import fixed_part
from tests.world import World, animation, farm_of_two, new_id


def _explode(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("planted")


def test_an_action_that_raises_halfway_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = farm_of_two()
    job = world.submit(animation("1-4", chunk=1))["id"]
    with monkeypatch.context() as patch:
        patch.setattr(ActivityLog, "note", _explode)  # after its status, its tasks and its attempts were changed
        answer = world.act("cancel", job)
    assert isinstance(answer, Sorry) and fixed_part(FAILED) in answer.message
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
    assert lost["reason"] == AT_A_REPORT


def test_reports_that_are_refused_are_acknowledged_so_that_their_worker_forgets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add_worker("one")
    world.submit(animation("1", chunk=1))
    with monkeypatch.context() as patch:
        patch.setattr(Work, "_completed", _explode)
        world.finish("one")
        world.run(30.0)
        assert not world.workers["one"].core.reporting.undelivered


def test_what_a_node_says_and_the_server_failed_at_is_heard_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    with monkeypatch.context() as patch:
        patch.setattr(Nodes, "joined", _explode)
        world.add_worker("one")
        world.run(5.0)
        assert not world.ask("workers")
    world.run(30.0)
    assert not world.ask("workers"), "each try reads the whole farm"
    world.run(60.0)
    assert [row["status"] for row in world.ask("workers")] == ["idle"]


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


@pytest.mark.parametrize("method", ["task", "rank"])
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


def test_a_job_type_that_makes_a_billion_tasks_has_its_job_refused(
    plugin: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = declare._loaded()["plugin"]
    for name in ("task_count", "part_count"):
        monkeypatch.setattr(type(kind), name, lambda self, spec: 1_000_000_000, raising=False)
    answer = _plugged(farm_of_two())
    assert isinstance(answer, Sorry) and "makes 1,000,000,000 tasks with 1,000,000,000 parts of the job" in answer.message


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


# --- what a round that was abandoned must not do --------------------------------------------------------------------------


def test_a_job_with_a_number_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = animation("1")
    assert spec.facts is not None
    (scene,) = spec.facts.scenes
    odd = msgspec.structs.replace(spec.facts, scenes=(msgspec.structs.replace(scene, frame_length=float("nan")),))
    answer = farm_of_two().submit(msgspec.structs.replace(spec, facts=odd))
    assert isinstance(answer, Sorry) and NOT_FINITE in answer.message


def test_a_job_that_cannot_be_read_from_the_record_fails_and_the_others_go_on() -> None:
    world = farm_of_two()
    mine, other = world.submit(animation("1-2", paused=True))["id"], world.submit(animation("1-3", chunk=1))["id"]
    world.writer.database.execute_sql("UPDATE job SET facts = '{\"path\": 3}' WHERE id = ?", (mine,))
    world.start_server()
    world.run(1.0)
    world.finish_everything()
    assert (world.status(mine), world.status(other)) == ("failed", "completed")
    assert world.ask("job", id=mine)["reason"].startswith(UNREADABLE_FACTS)


def test_a_sweep_loses_nothing_when_that_of_another_job_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    world = farm_of_two()
    world.round.store = FarmStore(world.writer, world.record, sweep_size=3)
    jobs = [world.submit(animation("1-9", chunk=1))["id"] for _ in range(2)]
    for job in jobs:
        world.act("cancel", job)
    for name, stub in world.workers.items():
        if stub.running:
            world.end(name, stopped=True)
    good, failing = FarmStore.slice_of_tasks, [True]

    def fails_once(self: FarmStore, job: str, after: int) -> Any:
        if job == jobs[1] and failing:
            failing.clear()
            raise ZeroDivisionError("planted")
        return good(self, job, after)

    monkeypatch.setattr(FarmStore, "slice_of_tasks", fails_once)
    for job in jobs:
        world.act("requeue", job)
    world.run(40.0)
    world.finish_everything()
    assert [world.status(job) for job in jobs] == ["completed", "completed"]


def test_half_a_round_is_not_written_while_the_record_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world = farm_of_two()
    job = world.submit(animation("1-4", chunk=1))["id"]
    with monkeypatch.context() as patch:
        patch.setattr(ActivityLog, "note", _explode)
        patch.setattr(FarmStore, "restore", _away)
        message = Act(id=new_id(), action="cancel", target=job)
        world.round.receive(Peer("local", b"client", key=KeyRole.ADMIN), message)
        world.round.settle()
        world.run(2.0)
        assert world.status(job) == "active" and world.round.paused
    world.run(2.0)
    assert isinstance(world.answers[message.id], Sorry) and not world.round.paused
    assert len(world.ask("set_aside")) == 1
    assert sorted(world.finish_everything()) == [1, 2, 3, 4] and world.status(job) == "completed"


def _away(*_: Any) -> None:
    raise OperationalError("the database is away")


@pytest.mark.parametrize("is_noticed", [False, True])
def test_who_submits_or_acts_while_the_database_is_away_is_asked_to_try_again(
    monkeypatch: pytest.MonkeyPatch, is_noticed: bool
) -> None:
    world = farm_of_two()
    job = world.submit(animation("1-4", chunk=1))["id"]
    with monkeypatch.context() as patch:
        for owner, name in ((Writer, "has"), (Writer, "commit"), (FarmStore, "restore"), (FarmStore, "job_id")):
            patch.setattr(owner, name, _away)
        if is_noticed:
            world.round.apply(lambda core, now: core.farm.ledger.put("project", "film", {}) or [])  # type: ignore[func-returns-value]
            world.round.settle()
        assert world.round.paused is is_noticed
        told = [world.submit(animation("7")), world.act("cancel", job), world.submit(animation("8"))]
        assert [each.code for each in told] == [Paused.code] * 3
    world.run(2.0)
    assert not world.round.paused and world.submit(animation("7"))["id"] != job
    assert sorted(world.finish_everything()) == [1, 2, 3, 4, 7]


def test_nothing_is_answered_before_it_is_written_after_a_time_in_which_nothing_could_be(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    written, full = Writer.commit, [True]

    def commit(self: Writer, rows: Any) -> int:
        if full[0]:
            raise OperationalError("database or disk is full")
        return written(self, rows)

    def put(project: str) -> Run:
        def run(core: ServerCore, now: Now) -> list[Effect]:
            core.farm.ledger.put("project", project, {})
            return []

        return run

    monkeypatch.setattr(Writer, "commit", commit)
    world.round.apply(put("one"))
    job = animation("1")
    message = Submit(id=new_id(), job=job)
    world.round.receive(Peer("local", b"client", key=KeyRole.ADMIN), message)  # which finds out that nothing can be written
    answer = world.answers[message.id]
    assert isinstance(answer, Sorry) and answer.code == Paused.code and job.id not in world.server.farm.jobs
    world.round.apply(put("two"))
    full[0] = False
    world.now += 5.0
    world.round.settle()
    assert {row["name"] for row in world.ask("projects")} >= {"one", "two"}
    assert not world.server.farm.ledger.is_behind, "what could not be written, then the rest, and only then the answers"


def test_two_messages_that_raise_in_one_round_are_both_answered_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    world = farm_of_two()
    job = world.submit(animation("1-4", chunk=1))["id"]
    with monkeypatch.context() as patch:
        patch.setattr(ActivityLog, "note", _explode)
        asked = [Submit(id=new_id(), job=animation("7", name=name)) for name in ("one", "other")]
        for message in asked:
            world.round.receive(Peer("local", b"client", key=KeyRole.ADMIN), message)
        world.round.settle()
    assert all(isinstance(world.answers[message.id], Sorry) for message in asked)
    assert len(world.ask("set_aside")) == 2 and world.status(job) == "active"


def test_a_job_whose_type_is_installed_again_can_be_queued_again(
    plugin: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = farm_of_two()
    mine = _plugged(world)["id"]
    world.act("cancel", mine)
    with monkeypatch.context() as patch:
        known = declare._loaded()
        patch.setattr(declare, "_loaded", lambda: {name: kind for name, kind in known.items() if name != "plugin"})
        answer = world.act("requeue", mine)
        assert isinstance(answer, Sorry) and "does not have the job type plugin: install it" in answer.message
    world.start_server()
    assert world.act("requeue", mine)["status"] == "queued"


def test_a_job_that_was_queued_again_meanwhile_is_not_deleted_for_its_age() -> None:
    world = farm_of_two()
    job = world.submit(animation("1-4", chunk=1))["id"]
    world.finish_everything()
    world.act("requeue", job, "all")
    world._serve(lambda core, now: core.retire({job: ("both", "/renders/gone")}, now))
    assert world.ask("job", id=job)["deleting"] == ""
