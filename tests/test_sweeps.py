"""One slice of what is done to many tasks of a job, on the farm's entities alone."""

from typing import Any

import pytest

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.sweep import Sweep
from brender.farm.sweeps import ALL_ENDED, UNFINISHED, sweep_slice
from brender.farm.tasks import TaskState
from brender.model.job import FILM
from brender.model.status import JobStatus, PartStatus, TaskStatus
from brender.roles.policy import Policy
from brender.roles.server.recorded_tasks import queued_tasks, slice_of_tasks
from tests.entities import a_job, a_part, a_task, film_of
from tests.world import World, animation


def loaded(*statuses: TaskStatus, frames: int = 2) -> list[TaskState]:
    """Tasks as the record has them, with *frames* parts each, all of the status of their task."""
    tasks = []
    for number, status in enumerate(statuses):
        ids = range(number * frames + 1, (number + 1) * frames + 1)
        tasks.append(a_task(status, tuple(a_part(id, PartStatus(str(status))) for id in ids), number, failures=3, reason="why"))
    return tasks


def a_farm(sweep: Sweep, **more: Any) -> tuple[Farm, JobState]:
    farm, job = Farm(), a_job(JobStatus.QUEUED, sweeps=[sweep], **more)
    farm.jobs[job.id] = farm.keep(job, recorded=True)
    return farm, job


def statuses(tasks: list[TaskState]) -> list[tuple[str, list[str]]]:
    return [(str(task.status), [str(part.status) for part in task.parts]) for task in tasks]


def written(farm: Farm) -> dict[tuple[str, Any], set[str]]:
    """Return the columns that are written of each row, all of which are there already."""
    rows = farm.ledger.take()
    assert {row.verb for row in rows} <= {"update"}
    return {(row.kind, row.key): set(row.columns) for row in rows}


DONE, FAILED, CANCELED, QUEUED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELED, TaskStatus.QUEUED


def test_a_slice_that_is_not_the_last_leaves_the_sweep_after_its_last_task() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=ALL_ENDED, user="ada"), ended_tasks=2, completed_parts=4)
    assert sweep_slice(farm, job, loaded(DONE, DONE), is_last=False) is None
    assert job.sweeps == [Sweep("requeue", 1, ALL_ENDED, None, 4, "ada", ("frames",))]
    assert "sweeps" in written(farm)["job", job.id]
    assert (job.ended_tasks, job.completed_parts, job.cursor) == (0, 0, 3)


def test_a_slice_in_which_nothing_changes_moves_the_cursor_and_that_is_written() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=UNFINISHED))
    sweep_slice(farm, job, loaded(DONE, DONE), is_last=False)
    assert written(farm) == {("job", job.id): {"sweeps"}}
    sweep_slice(farm, job, [], is_last=False)
    assert job.sweeps[0].cursor == 1


def test_the_last_slice_ends_the_sweep_and_lets_the_tasks_be_read_again() -> None:
    second = Sweep("requeue", statuses=UNFINISHED)
    farm, job = a_farm(Sweep("requeue", 4, ALL_ENDED, None, 6), loading=True, ended_tasks=1, completed_parts=2)
    job.sweeps.append(second)
    over = sweep_slice(farm, job, loaded(DONE), is_last=True)
    assert over is not None and over.count == 8
    assert (job.sweeps, job.cursor, job.loading) == ([second], -1, False)


def test_all_that_has_ended_is_queued_again_as_if_it_had_never_been_rendered() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=ALL_ENDED), ended_tasks=3, failed_tasks=1, completed_parts=2)
    tasks = loaded(DONE, FAILED, CANCELED)
    sweep_slice(farm, job, tasks, is_last=True)
    assert statuses(tasks) == [("queued", ["queued", "queued"])] * 3
    assert {(task.failures, task.reason) for task in tasks} == {(0, "")}
    assert (job.ended_tasks, job.failed_tasks, job.completed_parts) == (0, 0, 0)
    rows = written(farm)
    assert all("status" in rows[kind, id] for kind, ids in (("task", range(1, 4)), ("part", range(1, 7))) for id in ids)


def test_what_is_finished_stays_where_only_what_failed_is_queued_again() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=UNFINISHED), ended_tasks=3, failed_tasks=1, completed_parts=3)
    tasks = loaded(DONE, FAILED, CANCELED)
    tasks[1].parts[0].status = PartStatus.COMPLETED
    sweep_slice(farm, job, tasks, is_last=True)
    assert statuses(tasks) == [
        ("completed", ["completed", "completed"]),
        ("queued", ["completed", "queued"]),
        ("queued", ["queued", "queued"]),
    ]
    assert (job.ended_tasks, job.failed_tasks, job.completed_parts, job.spec.overwrite) == (1, 0, 3, False)


def test_a_canceled_task_all_of_whose_frames_are_done_is_queued_to_be_completed() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=UNFINISHED), ended_tasks=1, completed_parts=2)
    tasks = loaded(CANCELED)
    for part in tasks[0].parts:
        part.status = PartStatus.COMPLETED
    sweep_slice(farm, job, tasks, is_last=True)
    assert statuses(tasks) == [("queued", ["completed", "completed"])]


def test_named_frames_bring_what_their_task_could_not_be_completed_without() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=ALL_ENDED, frames=(1, 5)), ended_tasks=3, completed_parts=2)
    tasks = loaded(DONE, CANCELED, FAILED)
    over = sweep_slice(farm, job, tasks, is_last=True)
    assert over is not None and over.count == 3
    assert statuses(tasks) == [
        ("queued", ["queued", "completed"]),
        ("canceled", ["canceled", "canceled"]),
        ("queued", ["queued", "queued"]),
    ]


@pytest.mark.parametrize("frames", [None, (1, 2)])
def test_a_task_that_gave_its_frames_to_another_stays_completed(frames: tuple[int, ...] | None) -> None:
    farm, job = a_farm(Sweep("requeue", statuses=ALL_ENDED, frames=frames), ended_tasks=1)
    empty = a_task(DONE)
    over = sweep_slice(farm, job, [empty], is_last=True)
    assert over is not None and over.count == 0
    assert (empty.status, job.ended_tasks) == (DONE, 1)


def test_finished_frames_that_are_queued_again_are_rendered_over() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=ALL_ENDED), ended_tasks=1, completed_parts=2)
    sweep_slice(farm, job, loaded(DONE), is_last=True)
    assert job.spec.overwrite and "overwrite" in written(farm)["job", job.id]


def test_a_film_is_made_again_where_a_frame_of_it_is_and_not_alone() -> None:
    film = a_part(9, PartStatus.COMPLETED, piece=FILM)
    for frames, again in (((1,), True), ((9,), False), (None, True)):
        farm, job = Farm(), film_of({})
        job.sweeps, job.ended_tasks, job.completed_parts = [Sweep("requeue", statuses=ALL_ENDED, frames=frames)], 2, 3
        farm.jobs[job.id] = farm.keep(job, recorded=True)
        film.status = PartStatus.COMPLETED
        tasks = [*loaded(DONE), a_task(DONE, (film,), number=3)]
        sweep_slice(farm, job, tasks, is_last=True)
        assert (film.status is PartStatus.QUEUED) is again, frames


def running(frames: int = 3) -> TaskState:
    """A task that is rendered now, as it is in memory after a restart: without the frame that is done."""
    parts = tuple(a_part(id, PartStatus.ACTIVE, attempt="a") for id in range(2, frames + 1))
    return a_task(TaskStatus.ACTIVE, parts, attempts=["a"])


def test_a_finished_frame_of_a_task_that_runs_is_taken_into_memory_and_queued() -> None:
    farm, job = a_farm(Sweep("requeue", statuses=ALL_ENDED), completed_parts=1)
    known = farm.keep(running(), recorded=True)
    farm.hold_in_memory(job, known)
    read = a_task(TaskStatus.ACTIVE, tuple(a_part(id, PartStatus.ACTIVE) for id in (1, 2, 3)))
    read.parts[0].status = PartStatus.COMPLETED
    sweep_slice(farm, job, [read], is_last=True)
    assert sorted((part.id, str(part.status)) for part in known.parts) == [(1, "queued"), (2, "active"), (3, "active")]
    assert (known.status, known.attempts, job.ended_tasks) == (TaskStatus.ACTIVE, ["a"], 0)
    assert written(farm)["part", 1] == {"status"}


def test_what_has_not_ended_is_canceled_and_leaves_memory() -> None:
    farm, job = a_farm(Sweep("cancel"))
    known = farm.keep(running(), recorded=True)
    for part in known.parts:
        farm.keep(part, recorded=True)
    farm.hold_in_memory(job, known)
    done, queued = loaded(DONE, QUEUED)
    queued.id, queued.number, done.id = 8, 8, 7
    over = sweep_slice(farm, job, [a_task(TaskStatus.ACTIVE), done, queued], is_last=True)
    assert over is not None and over.what == "cancel"
    assert statuses([known, done, queued]) == [
        ("canceled", ["canceled", "canceled"]),
        ("completed", ["completed", "completed"]),
        ("canceled", ["canceled", "canceled"]),
    ]
    assert (farm.tasks, job.tasks, job.ended_tasks, job.failed_tasks) == ({}, set(), 2, 0)
    assert {("task", 1), ("task", 8), ("part", 2), ("part", 3)} <= written(farm).keys()


def _steps_to_read_a_slice(frames: int) -> int:
    """Return how much SQLite does to read 50 tasks in the middle of a job of so many frames."""
    world = World(Policy(plan_ahead=2 * frames))
    job = animation(f"1-{frames}", chunk=1, paused=True)
    world.submit(job)
    while world.server.farm.jobs[job.id].planned < frames:
        world.run(0.1)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    world.writer.database.connection().set_progress_handler(count, 20)
    for read in (slice_of_tasks, queued_tasks):
        assert read(world.writer.tables, job.id, 50, 50)
    return steps


def test_to_read_a_slice_takes_no_longer_the_larger_its_job_is() -> None:
    assert _steps_to_read_a_slice(1500) < 1.5 * _steps_to_read_a_slice(150)
