"""The farm's entities by themselves: what each transition changes, and that their rows follow."""

from collections.abc import Callable
from typing import Any

import pytest

from brender.farm.farm import Farm
from brender.farm.nodes import ManagerState
from brender.farm.record import Ledger, Row
from brender.farm.tasks import AttemptState, PartState, TaskState
from brender.model.errors import IllegalTransition
from brender.model.job import FILM
from brender.model.status import JobStatus, ManagerStatus, Outcome, TaskStatus, WorkerStatus
from tests.entities import (
    ACTIVE,
    CANCELED,
    COMPLETED,
    FAILED,
    QUEUED,
    a_job,
    a_part,
    a_task,
    a_worker,
    an_attempt,
    written,
)

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
        (
            lambda: a_part(status=ACTIVE, attempt="a", worker="w"),
            PartState.give_up,
            {"status": QUEUED, "attempt": "", "worker": ""},
        ),
        (
            lambda: a_part(status=COMPLETED, attempt="a", worker="w", finished=5.0, digest="d", further_files=({},), kept=True),
            PartState.requeue,
            {"status": QUEUED, "attempt": "", "worker": "", "finished": None, "digest": "", "further_files": (), "kept": False},
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
def test_an_attempt_is_written_as_a_transition_leaves_it(
    attempt: Callable[[], AttemptState], change: Any, fields: dict[str, Any]
) -> None:
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


# --- nodes --------------------------------------------------------------------------------------------------------------


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
    assert row.fields["blenders"] == [{"kind": "bpy", "path": "/usr/bin/python3", "version": "5.0.1"}]


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
