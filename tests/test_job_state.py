"""What is kept of a job, how its tasks wait for each other and grow, and what the farm has in memory."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from brender.farm.farm import REMEMBERED_MANAGERS, Farm
from brender.farm.jobs import JobState
from brender.farm.nodes import ManagerState
from brender.farm.output_owners import delete_files
from brender.farm.stages import grow, release
from brender.farm.sweep import Sweep
from brender.farm.tasks import TaskState
from brender.jobs.declare import job_type, requirements_of
from brender.model.energy import Energy
from brender.model.errors import Conflict
from brender.model.job import FILM
from brender.model.status import JobStatus, TaskStatus
from tests.entities import (
    a_job,
    a_part,
    a_task,
    a_worker,
    an_attempt,
    film_of,
    written,
)
from tests.world import animation


def test_the_order_of_a_job_names_the_series_of_blender_that_it_has_now() -> None:
    job = a_job()
    assert job.order_for_workers.series is None
    job.pin((5, 0))
    assert job.order_for_workers.series == (5, 0)
    job.unpin()
    assert job.order_for_workers.series is None


def test_a_manager_that_joins_again_is_the_newest_of_those_that_are_remembered() -> None:
    farm = Farm()
    managers = [ManagerState(f"m{number}", 1, f"m{number}", 0.0, 0.0) for number in range(REMEMBERED_MANAGERS + 1)]
    for manager in (*managers[:-1], managers[0]):
        farm.remember(manager)
    farm.remember(managers[-1])
    assert list(farm.last_managers) == [each.id for each in (*managers[2:-1], managers[0], managers[-1])]


def test_no_files_of_an_ended_job_are_deleted_while_another_writes_to_the_same() -> None:
    farm, ended = Farm(), a_job(JobStatus.COMPLETED)
    writes = a_job(JobStatus.ACTIVE)
    writes.spec = msgspec.structs.replace(writes.spec, id="bb" * 8, output=ended.spec.output)
    farm.jobs |= {ended.id: ended, writes.id: writes}
    with pytest.raises(Conflict, match="writes to the same files"):
        delete_files(farm, ended)
    del farm.jobs[writes.id]
    delete_files(farm, ended)
    assert list(farm.deleting) == [ended.id]


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
            lambda job: job.count_part(0, 3.0, 7, True),
            {
                "completed_parts": 2,
                "kept_parts": 1,
                "render_seconds": 3.0,
                "slowest_seconds": 3.0,
                "memory": 7,
                "failures": 0,
            },
        ),
        (
            lambda: a_job(memory=9, slowest_seconds=5.0),
            lambda job: job.count_part(0, 3.0, 7, False),
            {"completed_parts": 1, "render_seconds": 3.0},
        ),
        (
            lambda: a_job(completed_parts=2, kept_parts=2),
            lambda job: job.uncount_part(0, a_part(1, kept=True)),
            {"completed_parts": 1, "kept_parts": 1},
        ),
        (
            lambda: a_job(completed_parts=2, kept_parts=1, render_seconds=5.0),
            lambda job: job.uncount_part(0, a_part(1, seconds=3.0)),
            {"completed_parts": 1, "render_seconds": 2.0},
        ),
        (lambda: a_job(failed_tasks=1), lambda job: job.count_ended_task(True), {"failed_tasks": 2}),
        (lambda: a_job(failed_tasks=1), lambda job: job.count_ended_task(False), {}),
        (lambda: a_job(given_up_parts=1), lambda job: job.count_ended_task(False, 2), {"given_up_parts": 3}),
        (lambda: a_job(ended_tasks=3, given_up_parts=3), lambda job: job.uncount_ended_task(False, 2), {"given_up_parts": 1}),
        (lambda: a_job(ended_tasks=3, failed_tasks=1), lambda job: job.uncount_ended_task(True), {"failed_tasks": 0}),
        (lambda: a_job(failures=1), lambda job: job.count_attempt(True, 3), {"failures": 2}),
        (lambda: a_job(failures=1), lambda job: job.count_attempt(False, 3), {}),
        (
            lambda: a_job(machine_seconds=2.0),
            lambda job: job.count_machine_time(3.0, Energy(5.0, 1.0)),
            {"machine_seconds": 5.0, "joules": 5.0, "metered_seconds": 1.0},
        ),
        (lambda: a_job(), lambda job: job.count_machine_time(0.0, Energy(5.0, 1.0)), {}),
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
    job.count_part(0, 0.0, 0, True)
    assert job.mean_part_seconds is None
    job.count_part(0, 4.0, 0, False)
    job.count_part(0, 2.0, 0, False)
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
    tasks = [a_task(number=number) for number in range(3)]
    for task in tasks:
        job.enqueue(task)
    job.hold([tasks[1]])
    assert (job.held, job.delayed, job.queued) == ({2}, [(6.0, 3)], 2)
    assert [job.next_task(), job.next_task()] == [1, 3]


def test_a_job_whose_queue_is_forgotten_has_nothing_that_waits() -> None:
    job = a_job(delayed=[(5.0, 2)])
    job.enqueue(a_task())
    job.dependencies.hold(a_task(number=2))
    job.forget_queue()
    assert (job.queued, job.delayed, job.held) == (0, [], set())


def test_a_film_is_made_of_all_frames_that_are_done_in_their_order() -> None:
    job = film_of({2: "two", 1: "one", 3: "three"})
    assert job.merges(3) == ("one", "two", "three")
    assert job.merges(0) == () and film_of({}).merges(3) == ()
    assert film_of({1: "one", 3: "three"}).merges(3) == ("one", "", "three")


def test_a_still_is_merged_of_all_its_pieces_in_their_order() -> None:
    base = animation("1", id="bb" * 8)
    kind = job_type("blender-still")
    settings = {"file": "/projects/shot.blend", "frame": 1, "pieces": 3}
    spec = kind.prepare(msgspec.structs.replace(base, job_type="blender-still", settings=settings, bundle="b" * 64))
    last = kind.task_count(spec) - 1
    job = JobState(spec, kind, requirements_of(kind, spec), order=1, task_count=last + 1, part_count=last + 1)
    job.pieces = {piece: f"piece {piece}" for piece in range(last, 0, -1)}
    assert last > 1 and job.merges(last) == tuple(f"piece {piece}" for piece in range(1, last + 1))


def test_the_row_of_a_job_says_what_was_submitted() -> None:
    farm = Farm()
    job = farm.keep(a_job(submitted=5.0))
    (row,) = farm.ledger.take()
    told = {name: row.fields[name] for name in ("name", "job_type", "output", "blender_version", "task_count", "submitted")}
    assert (row.verb, row.kind, row.key, row.fields["settings"]) == ("insert", "job", job.id, job.spec.settings)
    assert told == {
        "name": "shot", "job_type": "blender-animation", "output": job.spec.output,
        "blender_version": "5.0", "task_count": 4, "submitted": 5.0,
    }  # fmt: skip
    assert list(row.fields["facts"]["version"]) == [5, 0]
    without = msgspec.structs.replace(job.spec, facts=None)
    command = JobState(without, job.type, job.need, order=1, task_count=1, part_count=1)
    born = dict(zip(command.born, command.birth(), strict=True))
    assert (born["facts"], born["blender_version"]) == (None, "")


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
    job.dependencies.hold(task)
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


def test_a_task_takes_in_what_there_is_where_more_is_wanted() -> None:
    farm, job, tasks = a_farm(2)
    farm.enqueue(job, tasks[1])
    grow(farm, job, tasks[0], 10)
    assert [part.frame for part in tasks[0].parts] == [1, 2] and job.queued == 0


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
    last = farm.tasks[4]
    job.dependencies.hold(last)
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
    job.dependencies.unmade[0].add(2)
    job.sweeps = [Sweep("requeue")]
    release(farm, job)
    assert film.status is TaskStatus.WAITING
    job.sweeps = []
    release(farm, job)
    assert (film.status, job.held) == (TaskStatus.CANCELED, set())
    assert film.reason == "a task that it waits for has failed or was canceled"
    assert 4 not in farm.tasks and job.ended_tasks == 4
