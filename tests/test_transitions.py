"""The farm's entities by themselves: what each transition changes, and that their rows follow."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.nodes import ManagerState, WorkerState
from brender.farm.record import Entity, Ledger, Row
from brender.farm.stages import grow, release
from brender.farm.sweeps import Sweep
from brender.farm.tasks import AttemptState, PartState, TaskState
from brender.jobs.declare import job_type
from brender.model.errors import IllegalTransition
from brender.model.job import FILM
from brender.model.nodes import WorkerInfo
from brender.model.status import JobStatus, ManagerStatus, Outcome, PartStatus, TaskStatus, WorkerStatus
from brender.roles.server.jobs import requirements_of
from tests.test_film_stage import movie
from tests.world import BPY, animation

QUEUED, ACTIVE, COMPLETED, FAILED, CANCELED = (
    PartStatus.QUEUED,
    PartStatus.ACTIVE,
    PartStatus.COMPLETED,
    PartStatus.FAILED,
    PartStatus.CANCELED,
)


def a_part(id: int = 1, status: PartStatus = QUEUED, **more: Any) -> PartState:
    return PartState(id, frame=id, output=f"{id:04d}.png", task=1, status=status, **more)


def a_task(status: TaskStatus = TaskStatus.QUEUED, parts: tuple[PartState, ...] = (), number: int = 0, **more: Any) -> TaskState:
    return TaskState(number + 1, "job", number, list(parts), status, **more)


def a_job(status: JobStatus = JobStatus.QUEUED, frames: str = "1-4", **more: Any) -> JobState:
    spec = animation(frames, id="aa" * 8)
    kind = job_type(spec.job_type)
    spec = kind.prepare(spec)
    fields: dict[str, Any] = {"task_count": 4, "part_count": 4, "planned": 4, "cursor": 3} | more
    return JobState(spec, kind, requirements_of(kind, spec), order=1, status=status, **fields)


def an_attempt(**more: Any) -> AttemptState:
    return AttemptState("attempt", task=1, job="job", worker="worker", sent=1.0, **more)


def written(entity: Entity, change: Callable[[Any], object]) -> dict[str, Any]:
    """Return what is written of *entity*, whose row is true, after *change*."""
    ledger = Ledger()
    entity.keep_in(ledger, recorded=True)
    change(entity)
    rows = ledger.take()
    assert not ledger.is_behind and all((row.verb, row.kind, row.key) == ("update", entity.kind, entity.key) for row in rows)
    return {name: value for row in rows for name, value in row.fields.items()}


# --- parts and tasks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "change", "fields"),
    [
        (lambda: a_part(), lambda part: part.begin("a", "w"), {"status": ACTIVE, "attempt": "a", "worker": "w"}),
        (
            lambda: a_part(status=ACTIVE, attempt="a", worker="w"),
            lambda part: part.complete("a", "w", 5.0, size=7, warnings=("black",)),
            {"status": COMPLETED, "finished": 5.0, "size": 7, "warnings": ("black",)},
        ),
        (
            lambda: a_part(status=ACTIVE, attempt="a", worker="w"),
            lambda part: part.complete("b", "v", 5.0),
            {"status": COMPLETED, "attempt": "b", "worker": "v", "finished": 5.0},
        ),
        (lambda: a_part(status=ACTIVE, attempt="a", worker="w"), PartState.give_up, {"status": QUEUED, "attempt": "", "worker": ""}),
        (
            lambda: a_part(status=COMPLETED, attempt="a", worker="w", finished=5.0, digest="d", extras=({},), kept=True),
            PartState.requeue,
            {"status": QUEUED, "attempt": "", "worker": "", "finished": None, "digest": "", "extras": (), "kept": False},
        ),
        (lambda: a_part(status=ACTIVE), PartState.fail, {"status": FAILED}),
        (lambda: a_part(), PartState.cancel, {"status": CANCELED}),
        (lambda: a_part(), lambda part: part.move_to(9), {"task": 9}),
    ],
)
def test_a_part_is_written_as_a_transition_leaves_it(part: Callable[[], PartState], change: Any, fields: dict[str, Any]) -> None:
    assert written(part(), change) == fields


@pytest.mark.parametrize(
    ("task", "change", "fields"),
    [
        (lambda: a_task(), TaskState.start, {"status": TaskStatus.ACTIVE}),
        (lambda: a_task(TaskStatus.WAITING), TaskState.release, {"status": TaskStatus.QUEUED}),
        (lambda: a_task(TaskStatus.ACTIVE, attempts=["a"]), TaskState.queue_again, {"status": TaskStatus.QUEUED}),
        (
            lambda: a_task(TaskStatus.FAILED, failures=3, reason="no light"),
            TaskState.requeue,
            {"status": TaskStatus.QUEUED, "failures": 0, "reason": ""},
        ),
        (lambda: a_task(TaskStatus.ACTIVE, reason="once"), TaskState.complete, {"status": TaskStatus.COMPLETED}),
        (lambda: a_task(reason="once"), lambda task: task.complete("now"), {"status": TaskStatus.COMPLETED, "reason": "now"}),
        (lambda: a_task(TaskStatus.ACTIVE), lambda task: task.fail("why"), {"status": TaskStatus.FAILED, "reason": "why"}),
        (lambda: a_task(reason="once"), TaskState.cancel, {"status": TaskStatus.CANCELED}),
        (lambda: a_task(reason="once"), lambda task: task.cancel("now"), {"status": TaskStatus.CANCELED, "reason": "now"}),
        (lambda: a_task(failures=1), lambda task: task.count_failure("why"), {"failures": 2, "reason": "why"}),
        (lambda: a_task(losses=1), lambda task: task.count_loss("why"), {"losses": 2, "reason": "why"}),
    ],
)
def test_a_task_is_written_as_a_transition_leaves_it(task: Callable[[], TaskState], change: Any, fields: dict[str, Any]) -> None:
    assert written(task(), change) == fields


def parts_after(change: Callable[[TaskState], object], status: TaskStatus = TaskStatus.ACTIVE) -> list[str]:
    statuses = (QUEUED, ACTIVE, COMPLETED, FAILED)
    task = a_task(status, tuple(a_part(id, status) for id, status in enumerate(statuses, 1)))
    change(task)
    return [str(part.status) for part in task.parts]


def test_what_becomes_of_a_task_becomes_of_its_parts_that_are_not_done() -> None:
    assert parts_after(TaskState.queue_again) == ["queued", "queued", "completed", "queued"]
    assert parts_after(lambda task: task.fail("why")) == ["failed", "failed", "completed", "failed"]
    assert parts_after(TaskState.cancel) == ["canceled", "canceled", "completed", "failed"]


def test_a_task_that_is_queued_again_has_no_attempts() -> None:
    task = a_task(TaskStatus.ACTIVE, attempts=["a", "b"])
    task.queue_again()
    assert task.attempts == []


def test_a_task_is_done_with_its_parts_and_makes_a_film_where_one_of_them_is_one() -> None:
    assert a_task(parts=(a_part(status=COMPLETED),)).is_done
    assert not a_task(parts=(a_part(1, COMPLETED), a_part(2, ACTIVE))).is_done
    assert a_task(parts=(a_part(1), a_part(2, piece=FILM))).is_film and not a_task(parts=(a_part(1),)).is_film


def test_the_row_of_a_part_says_where_it_belongs() -> None:
    farm = Farm()
    farm.keep(PartState(3, 7, "7.png", 2, "sky", "job", 5, "Scene", "left"))
    (row,) = farm.ledger.take()
    told = {name: row.fields[name] for name in ("job", "frame", "scene", "layer", "view", "piece", "task", "output")}
    assert (row.verb, row.kind, row.key) == ("insert", "part", 3)
    assert told == {
        "job": "job", "frame": 7, "scene": "Scene", "layer": "sky", "view": "left", "piece": 2, "task": 5, "output": "7.png",
    }  # fmt: skip


# --- attempts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "change", "fields"),
    [
        (lambda: an_attempt(), lambda each: each.begin(2.0, 50.0), {"started": 50.0}),
        (lambda: an_attempt(last_report=1), lambda each: each.take_report(2), {"last_report": 2}),
        (
            lambda: an_attempt(),
            lambda each: each.end(Outcome.FAILED, "why", 60.0, 3.0),
            {"outcome": Outcome.FAILED, "reason": "why", "finished": 60.0, "seconds": 3.0},
        ),
    ],
)
def test_an_attempt_is_written_as_a_transition_leaves_it(attempt: Callable[[], AttemptState], change: Any, fields: dict[str, Any]) -> None:
    assert written(attempt(), change) == fields


def test_an_attempt_that_has_begun_is_not_asked_back_any_more() -> None:
    attempt = an_attempt(recalling=1.0)
    assert not attempt.started
    attempt.begin(2.0, 50.0)
    assert (attempt.started, attempt.began, attempt.recalling) == (True, 2.0, None)


def test_an_attempt_whose_report_came_is_confirmed() -> None:
    attempt = an_attempt()
    attempt.take_report(1)
    assert attempt.confirmed


def test_an_attempt_that_another_was_quicker_than_ends_superseded_whatever_it_says() -> None:
    attempt = an_attempt()
    attempt.supersede()
    assert attempt.canceling
    attempt.end(Outcome.COMPLETED, "", 60.0, 3.0)
    assert (attempt.outcome, attempt.reason) == (Outcome.SUPERSEDED, "another attempt finished it first")


def test_what_has_ended_does_not_end_again() -> None:
    attempt = an_attempt()
    attempt.end(Outcome.LOST, "", 60.0, 3.0)
    with pytest.raises(IllegalTransition, match="attempt attempt cannot go from lost to failed"):
        attempt.end(Outcome.FAILED, "", 60.0, 3.0)
    with pytest.raises(IllegalTransition, match="part 1 cannot go from completed to active"):
        a_part(status=COMPLETED).begin("a", "w")
    with pytest.raises(IllegalTransition, match="task 1 cannot go from completed to active"):
        a_task(TaskStatus.COMPLETED).start()
    with pytest.raises(IllegalTransition, match=f"job {'aa' * 8} cannot go from completed to active"):
        a_job(JobStatus.COMPLETED).stand(JobStatus.ACTIVE, "", 1.0)


# --- jobs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "change", "fields"),
    [
        (lambda: a_job(), lambda job: job.stand(JobStatus.ACTIVE, "", 9.0), {"status": JobStatus.ACTIVE, "started": 9.0}),
        (lambda: a_job(started=1.0), lambda job: job.stand(JobStatus.ACTIVE, "", 9.0), {"status": JobStatus.ACTIVE}),
        (lambda: a_job(), lambda job: job.stand(JobStatus.QUEUED, "why", 9.0), {"reason": "why"}),
        (lambda: a_job(), lambda job: job.stand(JobStatus.QUEUED, "", 9.0), {}),
        (
            lambda: a_job(JobStatus.ACTIVE),
            lambda job: job.stand(JobStatus.FAILED, "why", 9.0),
            {"status": JobStatus.FAILED, "reason": "why", "finished": 9.0},
        ),
        (
            lambda: a_job(JobStatus.FAILED, finished=8.0, frames_deleted=8.5),
            lambda job: job.stand(JobStatus.QUEUED, "", 9.0),
            {"status": JobStatus.QUEUED, "finished": None, "frames_deleted": None},
        ),
        (lambda: a_job(), lambda job: job.warn("dark"), {"warnings": ("dark",)}),
        (
            lambda: a_job(failures=2, completed_parts=1, memory=5),
            lambda job: job.count_part(3.0, 7, True),
            {"completed_parts": 2, "kept_parts": 1, "render_seconds": 3.0, "memory": 7, "failures": 0},
        ),
        (lambda: a_job(memory=9), lambda job: job.count_part(3.0, 7, False), {"completed_parts": 1, "render_seconds": 3.0}),
        (lambda: a_job(completed_parts=2, kept_parts=2), JobState.uncount_part, {"completed_parts": 1, "kept_parts": 1}),
        (lambda: a_job(completed_parts=2, kept_parts=1), JobState.uncount_part, {"completed_parts": 1}),
        (lambda: a_job(failed_tasks=1), lambda job: job.count_ended_task(True), {"failed_tasks": 2}),
        (lambda: a_job(failed_tasks=1), lambda job: job.count_ended_task(False), {}),
        (lambda: a_job(ended_tasks=3, failed_tasks=1), lambda job: job.uncount_ended_task(True), {"failed_tasks": 0}),
        (lambda: a_job(failures=1), lambda job: job.count_attempt(True, 3), {"failures": 2}),
        (lambda: a_job(failures=1), lambda job: job.count_attempt(False, 3), {}),
        (lambda: a_job(), JobState.overwrite, {"overwrite": True}),
    ],
)
def test_a_job_is_written_as_a_transition_leaves_it(job: Callable[[], JobState], change: Any, fields: dict[str, Any]) -> None:
    assert written(job(), change) == fields


def test_a_job_says_whether_its_new_standing_is_news() -> None:
    job = a_job()
    assert not job.stand(JobStatus.QUEUED, "", 1.0)
    assert job.stand(JobStatus.QUEUED, "why", 1.0) and job.stand(JobStatus.ACTIVE, "why", 1.0)


def test_a_job_counts_the_tasks_that_have_ended() -> None:
    job = a_job()
    job.count_ended_task(True)
    job.count_ended_task(False)
    assert (job.ended_tasks, job.failed_tasks) == (2, 1)
    job.uncount_ended_task(False)
    assert (job.ended_tasks, job.failed_tasks) == (1, 1)


def test_a_job_remembers_how_its_last_attempts_ended() -> None:
    job = a_job()
    for failed in (True, False, False, True, True):
        job.count_attempt(failed, 3)
    assert (list(job.recent), job.failures) == ([False, True, True], 3)


def test_a_job_keeps_a_hundred_warnings_and_one_for_each_subject() -> None:
    job = a_job()
    job.warn("wood.png is missing", "wood.png")
    job.warn("there is no wood.png", "wood.png")
    job.warn("wood.png is missing")
    assert job.warnings == ["wood.png is missing"]
    for number in range(200):
        job.warn(f"texture{number:03d} is missing")
    assert len(job.warnings) == 100 and job.warnings[-1] == "texture098 is missing"


def test_a_job_is_over_once_it_has_ended_and_nothing_of_it_goes_on() -> None:
    assert a_job(JobStatus.CANCELED).is_over and not a_job().is_over
    assert not a_job(JobStatus.CANCELED, live={"a"}).is_over
    assert not a_job(JobStatus.CANCELED, sweeps=[Sweep("cancel")]).is_over


def test_workers_are_told_to_overwrite_what_is_rendered_again() -> None:
    job = a_job()
    assert not job.order_for_workers.overwrite
    job.overwrite()
    assert job.spec.overwrite and job.order_for_workers.overwrite


def test_what_workers_are_told_of_a_job_is_what_was_submitted() -> None:
    job = a_job()
    spec = job.spec
    order = job.order_for_workers
    assert (order.job, order.settings, order.output, order.trusted) == (spec.id, spec.settings, spec.output, False)
    assert (order.engine, order.blender, order.scene_engine) == ("blender", (5, 0), "CYCLES")
    assert (order.stall_seconds, order.limit_seconds) == (spec.stall_minutes * 60, spec.limit_minutes * 60)
    assert spec.facts is not None and order.inputs == spec.facts.inputs


def test_the_mean_time_of_a_frame_leaves_out_those_that_were_there_already() -> None:
    job = a_job()
    assert job.mean_part_seconds is None
    job.count_part(0.0, 0, True)
    assert job.mean_part_seconds is None
    job.count_part(4.0, 0, False)
    job.count_part(2.0, 0, False)
    assert job.mean_part_seconds == 3.0
    assert job.mean_task_seconds(1) == 3.0


def test_tasks_are_given_out_in_the_order_of_their_numbers() -> None:
    job = a_job()
    for number in (2, 0, 1):
        job.enqueue(a_task(number=number))
    assert (job.queued, job.first_queued()) == (3, 1)
    assert [job.next_task() for _ in range(3)] == [1, 2, 3]


def test_a_task_that_is_held_is_neither_queued_nor_tried_again() -> None:
    job = a_job(delayed=[(5.0, 2), (6.0, 3)])
    for number in range(3):
        job.enqueue(a_task(number=number))
    job.hold(2)
    assert (job.held, job.delayed, job.queued) == ({2}, [(6.0, 3)], 2)
    assert [job.next_task(), job.next_task()] == [1, 3]


def test_a_job_whose_queue_is_forgotten_has_nothing_that_waits() -> None:
    job = a_job(delayed=[(5.0, 2)], held={3})
    job.enqueue(a_task())
    job.forget_queue()
    assert (job.queued, job.delayed, job.held) == (0, [], set())


def film_of(pieces: dict[int, str]) -> JobState:
    spec = msgspec.structs.replace(movie("1-3", chunk=1), bundle="b" * 64, output="/renders")
    kind = job_type(spec.job_type)
    spec = kind.prepare(spec)
    return JobState(spec, kind, requirements_of(kind, spec), order=1, task_count=4, part_count=4, pieces=pieces)


def test_a_film_is_made_of_all_frames_that_are_done_in_their_order() -> None:
    job = film_of({2: "two", 1: "one", 3: "three"})
    assert job.merges(3) == ("one", "two", "three")
    assert job.merges(0) == () and film_of({}).merges(3) == ()
    assert film_of({1: "one", 3: "three"}).merges(3) == ("one", "", "three")


# --- nodes --------------------------------------------------------------------------------------------------------------


def a_worker(**more: Any) -> WorkerState:
    info = WorkerInfo(id="worker", incarnation=1, name="w", host="h", blenders=(BPY,), tags=frozenset("ba"))
    return WorkerState(info, "manager", **more)


def test_what_people_are_shown_of_a_worker_is_written_when_it_changes() -> None:
    busy = {"status": WorkerStatus.BUSY, "reason": "why", "attempt": "a", "job": "job"}
    worker = a_worker(running="a")
    assert written(worker, lambda each: each.show(WorkerStatus.BUSY, "why", "job")) == busy
    assert worker.status is WorkerStatus.BUSY
    assert written(worker, lambda each: each.show(WorkerStatus.BUSY, "why", "job")) == {}


def test_how_far_a_worker_is_ends_with_its_attempt() -> None:
    worker = a_worker(running="a")
    worker.show(WorkerStatus.BUSY, "", "job")
    worker.frame, worker.fraction, worker.line = 7, 0.5, "Sample 3"
    worker.show(WorkerStatus.BUSY, "asked to finish", "job")
    assert (worker.frame, worker.fraction, worker.line) == (7, 0.5, "Sample 3")
    worker.running = ""
    worker.show(WorkerStatus.IDLE, "", "")
    assert (worker.frame, worker.fraction, worker.line) == (None, 0.0, "")


def test_a_worker_that_has_left_runs_nothing() -> None:
    worker = a_worker(running="a", shown=(WorkerStatus.BUSY, "", "a", "job"))
    told = {"status": WorkerStatus.OFFLINE, "reason": "was stopped", "attempt": "", "job": ""}
    assert written(worker, lambda each: each.leave("was stopped")) == told


def test_the_row_of_a_worker_says_what_it_has() -> None:
    farm = Farm()
    farm.keep(a_worker(own_tags=frozenset({"gpu", "big"})))
    (row,) = farm.ledger.take()
    assert (row.verb, row.kind, row.key) == ("put", "worker", "worker")
    assert row.fields["tags"] == ("big", "gpu")
    assert row.fields["blenders"] == [
        {"kind": "bpy", "path": "/usr/bin/python3", "version": "5.0.1", "file_subversion": BPY.file_subversion}
    ]


def test_what_people_are_shown_of_a_manager_is_written_when_it_changes() -> None:
    manager = ManagerState("m", 1, "m", 0.0, 0.0)
    told = {"status": ManagerStatus.DRAINING, "reason": "asked"}
    assert written(manager, lambda each: each.show(ManagerStatus.DRAINING, "asked")) == told
    assert written(manager, lambda each: each.show(ManagerStatus.DRAINING, "asked")) == {}


# --- the ledger ---------------------------------------------------------------------------------------------------------


def test_an_entity_is_written_whole_once_and_then_only_what_changes() -> None:
    farm = Farm()
    task = farm.keep(a_task())
    (row,) = farm.ledger.take()
    assert (row.verb, row.kind, row.key) == ("insert", "task", 1)
    assert row.fields == {
        "job": "job", "number": 0, "status": TaskStatus.QUEUED, "failures": 0, "losses": 0, "reason": "",
    }  # fmt: skip
    task.start()
    assert farm.ledger.take() == [Row("update", "task", 1, ("status",), (TaskStatus.ACTIVE,))]
    assert farm.ledger.take() == [] and not farm.ledger.is_behind


def test_what_changes_back_within_a_round_is_not_written() -> None:
    farm = Farm()
    task = farm.keep(a_task(), recorded=True)
    task.start()
    task.queue_again()
    assert farm.ledger.is_behind and farm.ledger.take() == []


def test_rows_without_an_entity_are_merged_in_a_round_and_deleted_ones_go_first() -> None:
    ledger = Ledger()
    ledger.insert("activity", 1, {"text": "one", "user": "ada"})
    ledger.change("activity", 1, {"text": "two"})
    ledger.put("project", "film", {"name": "Film"})
    ledger.change("key", "k", {"revoked": 1.0})
    ledger.put("token", "t", {})
    assert ledger.is_behind
    ledger.drop("token", "t")
    assert ledger.take() == [
        Row("delete", "token", "t"),
        Row("insert", "activity", 1, ("text", "user"), ("two", "ada")),
        Row("put", "project", "film", ("name",), ("Film",)),
        Row("update", "key", "k", ("revoked",), (1.0,)),
    ]
    assert not ledger.is_behind and ledger.take() == []


@pytest.mark.parametrize("verb", ["insert", "put", "change", "drop"])
def test_a_ledger_with_one_row_is_behind(verb: str) -> None:
    ledger = Ledger()
    assert not ledger.is_behind
    getattr(ledger, verb)("kind", "key", *([] if verb == "drop" else [{}]))
    assert ledger.is_behind


# --- the farm -----------------------------------------------------------------------------------------------------------


def a_farm(tasks: int = 4, **more: Any) -> tuple[Farm, JobState, list[TaskState]]:
    """A farm with one job, whose tasks of one part each are in memory and not queued yet."""
    farm, job = Farm(), a_job(**more)
    farm.jobs[job.id] = farm.keep(job, recorded=True)
    made = [a_task(parts=(a_part(number + 1),), number=number) for number in range(tasks)]
    for task in made:
        farm.keep(task, recorded=True)
        farm.hold_in_memory(job, task)
    return farm, job, made


def test_a_task_that_is_queued_or_over_is_news_to_the_scheduler() -> None:
    farm, job, (task, *_) = a_farm()
    farm.enqueue(job, task)
    assert (farm.changed_jobs, job.queued) == ({job.id}, 1)
    farm.changed_jobs.clear()
    job.held.add(task.id)
    farm.drop(job, task, failed=True)
    assert (farm.changed_jobs, job.ended_tasks, job.failed_tasks) == ({job.id}, 1, 1)
    assert task.id not in farm.tasks and task.id not in job.tasks and not job.held
    farm.drop(job, a_task(number=9))
    assert (job.ended_tasks, job.failed_tasks) == (2, 1)


def test_a_job_leaves_memory_when_it_is_over_and_not_before() -> None:
    farm, job, _ = a_farm()
    farm.forget_if_over(job)
    assert farm.jobs == {job.id: job} and not farm.changed_jobs
    job.status = JobStatus.CANCELED
    farm.forget_if_over(job)
    farm.forget_if_over(job)
    assert farm.jobs == {} and farm.changed_jobs == {job.id}


def test_every_entity_in_memory_is_named_once() -> None:
    farm, job, tasks = a_farm(2)
    farm.attempts["attempt"] = attempt = an_attempt()
    farm.workers["worker"] = worker = a_worker()
    assert list(farm.entities()) == [worker, job, *tasks, attempt, *tasks[0].parts, *tasks[1].parts]


def test_a_task_about_to_be_given_out_takes_in_the_frames_of_those_after_it() -> None:
    farm, job, tasks = a_farm()
    for task in tasks[1:]:
        farm.enqueue(job, task)
    grow(farm, job, tasks[0], 3)
    assert [part.frame for part in tasks[0].parts] == [1, 2, 3] and {part.task for part in tasks[0].parts} == {1}
    assert [str(task.status) for task in tasks] == ["queued", "completed", "completed", "queued"]
    assert (tasks[1].parts, tasks[1].reason, job.ended_tasks, job.first_queued()) == ([], "its frames went into task 0", 2, 4)
    assert set(farm.tasks) == {1, 4}


def test_a_task_that_was_given_out_before_stays_as_it_is() -> None:
    farm, job, tasks = a_farm()
    tasks[2].granted = True
    for task in tasks[1:]:
        farm.enqueue(job, task)
    grow(farm, job, tasks[0], 4)
    assert [part.frame for part in tasks[0].parts] == [1, 2], "the third was given out before, with its own frames"
    tasks[0].granted = True
    grow(farm, job, tasks[0], 4)
    assert [part.frame for part in tasks[0].parts] == [1, 2] and job.queued == 2


def test_a_task_does_not_take_in_more_frames_than_are_wanted() -> None:
    farm, job, tasks = a_farm(2)
    tasks[1].parts.append(a_part(9))
    farm.enqueue(job, tasks[1])
    grow(farm, job, tasks[0], 2)
    assert len(tasks[0].parts) == 1 and job.queued == 1


def a_film(ended: int = 0) -> tuple[Farm, JobState, TaskState]:
    """A farm with a job of three frames and their film, of which the first *ended* tasks are over."""
    farm, job = Farm(), film_of({})
    job.planned, job.cursor = 4, 3
    farm.jobs[job.id] = farm.keep(job, recorded=True)
    for number in range(4):
        film = number == 3
        part = a_part(number + 1, piece=FILM if film else 0)
        task = a_task(TaskStatus.WAITING if film else TaskStatus.QUEUED, (part,), number)
        farm.keep(task, recorded=True)
        farm.hold_in_memory(job, task)
    job.held.add(4)
    last = farm.tasks[4]
    for number in range(ended):
        farm.tasks[number + 1].complete()
        farm.drop(job, farm.tasks[number + 1])
    farm.changed_jobs.clear()
    return farm, job, last


@pytest.mark.parametrize("ended", [0, 2])
def test_a_film_waits_for_all_frames(ended: int) -> None:
    farm, job, film = a_film(ended)
    release(farm, job)
    assert (film.status, job.held, job.queued) == (TaskStatus.WAITING, {4}, 0)


def test_a_film_is_queued_once_all_frames_are_done() -> None:
    farm, job, film = a_film(ended=3)
    release(farm, job)
    assert (film.status, job.held, job.queued, job.first_queued()) == (TaskStatus.QUEUED, set(), 1, 4)
    assert farm.changed_jobs == {job.id}


@pytest.mark.parametrize(("cursor", "goes"), [(1, False), (2, True)])
def test_a_film_waits_for_frames_that_are_not_in_memory_yet(cursor: int, goes: bool) -> None:
    farm, job, film = a_film(ended=3)
    job.cursor = cursor
    release(farm, job)
    assert (film.status is TaskStatus.QUEUED) is goes


def test_a_film_is_canceled_where_a_frame_has_failed_and_waits_while_frames_are_queued_again() -> None:
    farm, job, film = a_film(ended=3)
    job.failed_tasks = 1
    job.sweeps = [Sweep("requeue")]
    release(farm, job)
    assert film.status is TaskStatus.WAITING
    job.sweeps = []
    release(farm, job)
    assert (film.status, film.reason, job.held) == (TaskStatus.CANCELED, "a task that it waits for has failed", set())
    assert 4 not in farm.tasks and job.ended_tasks == 4
