"""The simulated farm: histories full of faults in which nothing is lost, and planted bugs that it must find."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import msgspec
import pytest

from brender.bus.messages import PartDone
from brender.farm import left_out, sweeps
from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.sweep import Sweep
from brender.farm.sweeps import sweep_slice
from brender.farm.tasks import AttemptState, PartState
from brender.roles.effects import Now
from brender.roles.manager.core import ManagerCore
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.editing import Editing
from brender.roles.server.power import Power
from brender.roles.server.round import Round
from brender.roles.server.work import Work
from brender.roles.worker.reporting import Reporting
from brender.scheduling.classes import Limits
from tests.simulation.disk import SimulatedFiles
from tests.simulation.farm import Bugs, Conditions, Simulation, history
from tests.simulation.network import Weather
from tests.simulation.nodes import NOTHING_TO_DO
from tests.simulation.people import Habits

#: The rare bugs need what rarely comes together by chance. In one of five to twenty histories under these they are found.
LONG_OUTAGES = Conditions(outages=25.0, part_seconds=12.0, crashing=0.0)
MESSAGES_OVERTAKE = Conditions(crashing=0.0, part_seconds=0.3, weather=Weather(doubled=0.5, delay=5.0))
RENDERED_AGAIN_AND_AGAIN = Conditions(
    crashing=0.012,
    part_seconds=0.3,
    habits=Habits(asks=("requeue_all", "requeue_frames"), times=(6, 12), deletes=(0,), own_folder=1.0),
)
REQUEUED_AND_DELETED = Conditions(
    part_seconds=0.3, habits=Habits(asks=("requeue_all",), times=(1, 2), deletes=(3, 6), own_folder=0.0)
)
OVERWRITTEN = Conditions(crashing=0.0, part_seconds=0.3, habits=Habits(times=(0,), deletes=(1,), own_folder=0.0, overwrites=0.9))
KEPT = Conditions(crashing=0.0, part_seconds=0.3, habits=Habits(times=(0,), deletes=(1,), own_folder=0.0, overwrites=0.0))
EDITED = Conditions(
    crashing=0.012,
    part_seconds=3.0,
    films=0.5,
    habits=Habits(asks=("edit", "edit", "edit", "requeue_failed", "cancel"), times=(3, 8), deletes=(0,), own_folder=1.0),
)
RARE = (LONG_OUTAGES, MESSAGES_OVERTAKE, RENDERED_AGAIN_AND_AGAIN, REQUEUED_AND_DELETED, OVERWRITTEN, KEPT)


def problems_of(seeds: range, conditions: Conditions | None = None) -> list[tuple[int, str]]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        histories = pool.map(partial(history, conditions=conditions), seeds, chunksize=5)
        return [(seed, problem) for seed, _, problem in histories if problem]


@pytest.mark.timeout(200)
def test_nothing_is_lost_in_dozens_of_histories_with_faults() -> None:
    assert not problems_of(range(60)), "replay with: python -m tests.simulation --seed N"


@pytest.mark.timeout(200)
@pytest.mark.parametrize("conditions", RARE)
def test_nothing_is_lost_in_histories_under_rare_conditions(conditions: Conditions) -> None:
    assert not problems_of(range(8), conditions)


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("conditions", [*RARE, EDITED])
def test_nothing_is_lost_in_further_histories_under_rare_conditions(conditions: Conditions) -> None:
    assert not problems_of(range(8, 60), conditions)


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_nothing_is_lost_in_hundreds_of_further_histories() -> None:
    assert not problems_of(range(60, 350)), "replay with: python -m tests.simulation --seed N"


def test_a_seed_replays_exactly() -> None:
    first, again = Simulation(7), Simulation(7)
    first.run()
    again.run()
    assert first.trace == again.trace and first.steps > 100


def first_violation(bugs: Bugs | None = None, conditions: Conditions | None = None, found_at: int = 0) -> str:
    """What the first history with *bugs* violates, of a thousand under *conditions*; "" where none does. The seed *found_at*, at
    which one was found when the test was written, comes first: others may have been searched in vain."""
    for seed in (found_at, *range(1000)):
        try:
            Simulation(seed, bugs or Bugs(), conditions or Conditions()).run()
        except Exception as error:
            print(f"found at seed {seed}")
            return f"seed {seed}: {type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize(
    ("bug", "found_at"), [("acknowledge_before_commit", 0), ("ignore_the_lease", 48), ("forget_the_outbox", 10)]
)
def test_a_bug_in_a_machine_is_found(bug: str, found_at: int) -> None:
    assert first_violation(Bugs(**{bug: True}), found_at=found_at)


def test_a_grant_that_is_never_sent_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dispatch, "_resend", lambda self, now: None)
    assert first_violation()


def test_a_change_that_the_scheduler_is_not_told_of_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Farm, "enqueue", lambda self, job, task: job.enqueue(task))
    assert "the scheduler was not told" in first_violation()


def test_reports_that_are_never_sent_again_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reporting, "due_again", lambda self, now, resend: False)
    monkeypatch.setattr(Reporting, "say_all_again", lambda self: None)
    assert first_violation()


def test_a_late_grant_that_is_run_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.roles.worker.reporting._REMEMBERED", -1)
    monkeypatch.setattr(Work, "_disown", lambda self, manager, worker, attempts: None)
    assert first_violation(conditions=MESSAGES_OVERTAKE)


def test_a_superseded_report_that_is_accepted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part done by an attempt that was given up passes for done, while another attempt renders it."""
    reports = Work.reports

    def accepting(self, manager, worker, said, now):  # type: ignore[no-untyped-def]
        for report in said:
            if isinstance(report, PartDone) and report.attempt not in self.farm.attempts:
                for task in list(self.farm.tasks.values()):
                    for part in [part for part in task.parts if part.id == report.part and not part.done]:
                        part.begin(report.attempt, worker)
                        part.complete(report.attempt, worker, now.wall)
                        self.farm.jobs[task.job].count_part(task.number, 1.0, 0, False)
        reports(self, manager, worker, said, now)

    monkeypatch.setattr(Work, "reports", accepting)
    found = first_violation(found_at=12)
    assert "publish" in found or NOTHING_TO_DO in found


def test_a_worker_that_is_registered_only_once_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The term of a registration that never changes: what a lost worker still holds passes for its own."""
    register = ManagerCore._register

    def same_term(self, worker, now):  # type: ignore[no-untyped-def]
        self._terms = 0
        register(self, worker, now)

    monkeypatch.setattr(ManagerCore, "_register", same_term)
    assert first_violation(conditions=LONG_OUTAGES, found_at=19)


@pytest.mark.parametrize(("transition", "found_at"), [("complete", 0), ("requeue", 5), ("begin", 0)])
def test_a_transition_that_does_not_touch_its_entity_is_found(
    monkeypatch: pytest.MonkeyPatch, transition: str, found_at: int
) -> None:
    changing = getattr(PartState, transition)

    def untouched(self, *given, **named):  # type: ignore[no-untyped-def]
        ledger, self._ledger = self._ledger, None
        changing(self, *given, **named)
        self._ledger = ledger

    monkeypatch.setattr(PartState, transition, untouched)
    assert first_violation(found_at=found_at)


def test_a_report_that_is_accepted_although_the_one_before_it_is_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Work.reports

    def accepting(self, manager, worker, said, now):  # type: ignore[no-untyped-def]
        for report in said:
            if (attempt := self.farm.attempts.get(report.attempt)) is not None and report.number > attempt.last_report:
                attempt.last_report = report.number - 1
            reports(self, manager, worker, [report], now)

    monkeypatch.setattr(Work, "reports", accepting)
    assert first_violation()


def test_a_round_that_goes_on_with_what_a_failed_one_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def go_on(self: Round) -> bool:
        self._inputs, self._postponed, self._must_read_again = [], [], False
        return True

    monkeypatch.setattr(Round, "_read_again", go_on)
    assert first_violation(found_at=10)


def test_a_machine_that_is_taken_for_awake_by_words_that_came_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Power, "gone", lambda self, worker, on_purpose, now: None)
    assert "is still queued" in first_violation(conditions=MESSAGES_OVERTAKE, found_at=1)


def test_a_job_that_is_given_to_a_worker_which_may_not_use_its_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "of", lambda info: None)
    assert "was given a job in" in first_violation(conditions=Conditions(limited=True), found_at=7)


def test_two_spellings_of_one_folder_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.farm.one_spelling", lambda folder: folder)
    assert "unfinished jobs write to" in first_violation(found_at=3)


def test_files_that_another_job_has_made_again_and_that_are_deleted_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.roles.server.made_files._made_again", lambda tables, job: set())
    assert "had made it" in first_violation(conditions=OVERWRITTEN, found_at=12)


def test_files_that_another_job_keeps_and_that_are_deleted_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedFiles, "kept_by_another", lambda self, job: "")
    assert "it is not there" in first_violation(conditions=KEPT, found_at=22)


def test_a_job_that_is_let_at_files_which_are_being_deleted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.farm.output_owners._overlap", lambda one, other: False)
    assert first_violation(conditions=REQUEUED_AND_DELETED, found_at=59)


def after_a_restart(monkeypatch: pytest.MonkeyPatch, first_slice: Callable[..., Sweep | None]) -> None:
    """Let *first_slice* do the first slice that a restarted server does of a sweep which had begun before."""
    known = set()

    def slice(farm, job, tasks, is_last):  # type: ignore[no-untyped-def]
        is_first = (id(farm), job.id) not in known
        known.add((id(farm), job.id))
        went_on = is_first and job.sweeps[0].cursor >= 0
        return (first_slice if went_on else sweep_slice)(farm, job, tasks, is_last)

    monkeypatch.setattr("brender.roles.server.jobs.sweep_slice", slice)


def test_a_sweep_that_begins_again_after_a_restart_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(farm, job, tasks, is_last):  # type: ignore[no-untyped-def]
        job.sweeps[0] = msgspec.structs.replace(job.sweeps[0], cursor=-1)
        job.touch()

    after_a_restart(monkeypatch, again)
    assert first_violation(conditions=RENDERED_AGAIN_AND_AGAIN)


def test_a_sweep_that_skips_a_slice_after_a_restart_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def skip(farm, job, tasks, is_last):  # type: ignore[no-untyped-def]
        return sweep_slice(farm, job, tasks[-1:], is_last)

    after_a_restart(monkeypatch, skip)
    assert first_violation(conditions=RENDERED_AGAIN_AND_AGAIN, found_at=14)


def test_an_attempt_that_an_edit_does_not_stop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Editing, "_stop", lambda editing, job, reason, now: None)
    assert first_violation(conditions=EDITED, found_at=12)


def test_an_attempt_that_did_all_its_frames_and_is_said_to_have_lost_some_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that restarted takes an attempt whose task is done for one that has only such frames left."""
    end = Work._end_where_the_rest_is_gone

    def guess(work: Work, attempt: AttemptState, job: JobState, now: Now) -> None:
        if attempt.parts is None and job.spec.settings.get("numbered"):
            attempt.left_out = {0}
        end(work, attempt, job, now)

    monkeypatch.setattr(Work, "_end_where_the_rest_is_gone", guess)
    assert "did all its frames" in first_violation(conditions=EDITED, found_at=12)


def test_frames_that_an_edit_leaves_in_the_record_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "cut_task", lambda farm, job, task, kept: None)
    assert first_violation(conditions=EDITED, found_at=17)


def test_a_film_that_lacks_the_frames_that_were_added_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (left_out, sweeps):
        monkeypatch.setattr(module, "is_superseded", lambda graph, number: False)
    assert first_violation(conditions=EDITED, found_at=149)


def test_an_edit_that_is_not_recorded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobState, "rewrite", lambda job: None)
    assert first_violation(conditions=EDITED)
