"""What must be true of the farm after every step, and once it has come to rest."""

import json
from collections import Counter
from collections.abc import Iterable
from posixpath import normpath
from typing import TYPE_CHECKING, Any

from brender.farm.record import Row
from brender.jobs.numbering import TAKEN_OUT
from brender.jobs.stages import Stage
from brender.model.frames import parse_frames
from brender.model.job import COPY, FILM
from brender.model.nodes import WorkerInfo
from brender.model.paths import spelled
from brender.model.status import TaskStatus
from brender.model.units import steps_of
from brender.roles.server.round import AT_A_REPORT
from brender.roles.server.work import LOST_ITS_STATE, NEVER_CAME
from brender.store.audit import differences
from tests.simulation.disk import copies_of

if TYPE_CHECKING:
    from tests.simulation.farm import Simulation


_UNFINISHED_PARTS = (
    "SELECT part.id, part.status, task.id FROM part JOIN task ON part.task = task.id"
    " WHERE task.status = 'completed' AND part.status != 'completed'"
)


#: In how many commits each row is compared with its entity once, whatever was written.
_COMMITS_A_WHOLE_COMPARISON = 20


class Violation(AssertionError):
    """Something that must always be true was not."""


def _check_finished_frames(world: "Simulation") -> None:
    for job, claimed, text in _rows(world, "SELECT id, finished_frames, settings FROM job"):
        settings = json.loads(text)
        if settings.get("film") or steps_of(settings) == 1 or world.people.may_be_gone(job):
            continue  # (the copy of a film has the same piece as one of a frame)
        last = COPY if settings.get("copy_to") else 0
        done = f"SELECT COUNT(*) FROM part WHERE job = '{job}' AND status = 'completed' AND piece = {last}"
        if claimed != (counted := _rows(world, done)[0][0]):
            raise Violation(f"the job {job} counts {claimed} finished frames, and has {counted}")


def check_commit(world: "Simulation") -> None:
    """After every commit, against what the record said before: nothing accepted is lost, nothing completed is undone."""
    if world.disk.wrong:
        raise Violation(world.disk.wrong)
    rows = _rows(world, "SELECT id, attempt, job, frame FROM part WHERE status = 'completed'")
    films = f"SELECT part.id FROM part JOIN job ON part.job = job.id WHERE piece IN ({FILM}, {COPY}) AND part.output = 'shot.mp4'"
    world.film_parts |= {part for (part,) in _rows(world, films)}
    completed = {part: attempt for part, attempt, _, _ in rows}
    world.job_of_part |= {part: job for part, _, job, _ in rows}
    world.frame_of_part |= {part: frame for part, _, _, frame in rows}
    for part, attempt in world.completed.items():
        if part not in completed and world.people.took_out(world.job_of_part[part], world.frame_of_part[part]):
            continue
        if part in world.film_parts and world.people.frames.get(world.job_of_part[part]):
            continue  # it is made again where a job gets other frames
        if completed.get(part) != attempt and not world.people.let_undo(part) and not _may_be_gone(world, part):
            raise Violation(f"part {part} was completed by {attempt}, and now the record says {completed.get(part)}")
    for part, attempt in completed.items():
        if world.completed.get(part) != attempt and attempt not in world.published.get(part, ()):
            raise Violation(f"part {part} is recorded as completed by {attempt}, which never published it")
    world.completed = completed
    counted = Counter(job for _, _, job, _ in rows)
    rows = _rows(world, "SELECT id, completed_parts, status, sweeps, given_up_parts FROM job")
    jobs = {job: (parts, given_up) for job, parts, _, _, given_up in rows}
    for lost in sorted(world.accepted - jobs.keys()):
        if not world.people.may_be_gone(lost):
            raise Violation(f"the accepted job {lost} is gone")
    unfinished = Counter(job for (job,) in _rows(world, "SELECT job FROM part WHERE status IN ('failed', 'canceled')"))
    for job, (claimed, given_up) in jobs.items():
        if claimed != counted[job] and not world.people.may_be_gone(job):
            raise Violation(f"the job {job} counts {claimed} completed parts, and has {counted[job]}")
        if given_up != unfinished[job] and not world.people.may_be_gone(job):
            raise Violation(f"the job {job} counts {given_up} parts that failed or were canceled, and has {unfinished[job]}")
    asked = {
        job: (status, {sweep["user"]: sweep["cursor"] for sweep in json.loads(sweeps)}) for job, _, status, sweeps, _ in rows
    }
    _check_finished_frames(world)
    if broken := world.people.broken_promise(asked, completed):
        raise Violation(broken)
    if world.people.edits or world.people.samples or world.people.frames:
        given = {job: json.loads(settings) for job, settings in _rows(world, "SELECT id, settings FROM job")}
        samples, frames = ({job: its.get(name) for job, its in given.items()} for name in ("samples", "frames"))
        if broken := world.people.broken_edit(completed, samples, frames):
            raise Violation(broken)
        made = "SELECT job.id, job.settings, part.output FROM part JOIN job ON part.job = job.id WHERE job.status = 'completed'"
        for job, settings, output in _rows(world, made):
            named = (json.loads(settings).get("pattern") or "").rstrip("#")
            if named.startswith("of ") and not output.startswith(named):
                raise Violation(f"the files of {job} were to be called {named}, and one is {output}")
    unfinished = _rows(world, "SELECT output, settings FROM job WHERE status NOT IN ('completed', 'failed', 'canceled')")
    owners = Counter((normpath(output), json.loads(settings).get("pattern")) for output, settings in unfinished)
    for (output, pattern), count in owners.items():
        if count > 1:
            raise Violation(f"{count} unfinished jobs write to {output}, with the names {pattern}")
    # (One with a reason was told to stop, such as for a rush job, and its worker has not answered yet.)
    going = "SELECT task, COUNT(*) FROM attempt WHERE outcome = 'live' AND reason = ''"
    twice = _rows(world, f"{going} GROUP BY task HAVING COUNT(*) > 2")
    if twice and not world.canceled:
        raise Violation(f"the task {twice[0][0]} has {twice[0][1]} live attempts")


def check_streaks(world: "Simulation") -> None:
    """After every commit: whoever is drained has failed so many tasks in a row that are completed by now, by the record."""
    for worker, streak in _rows(world, "SELECT id, failed_in_row FROM worker WHERE drained <> ''"):
        finished = [task for task, done in json.loads(streak) if done]
        if len(finished) < world.policy.drain_after:
            raise Violation(f"the worker {worker} is drained, and of what failed there others completed only {finished}")


def check_accounts(world: "Simulation") -> None:
    """After every commit: the sums of the accounts are those of the attempts and the jobs, as long as none is deleted."""
    if world.people.deleted:
        return
    (ended,) = _rows(
        world,
        "SELECT COUNT(*), COALESCE(SUM(outcome = 'failed' OR (outcome = 'lost' AND started IS NOT NULL)), 0)"
        " FROM attempt WHERE outcome <> 'live'",
    )
    ((*sums, seconds),) = _rows(
        world,
        "SELECT COALESCE(SUM(attempts), 0), COALESCE(SUM(failures), 0), COALESCE(SUM(machine_seconds), 0) FROM account",
    )
    if (*sums,) != ended:
        raise Violation(f"the accounts count attempts and failures {sums}, and the record has {ended}")
    ((causes, of_jobs),) = _rows(
        world,
        "SELECT (SELECT COALESCE(SUM(failures), 0) FROM account_failure), (SELECT COALESCE(SUM(machine_seconds), 0) FROM job)",
    )
    if causes != sums[1]:
        raise Violation(f"the accounts count {sums[1]} failures, and {causes} by their causes")
    if abs(seconds - of_jobs) > 1e-6 * max(1.0, of_jobs):
        raise Violation(f"the accounts have {seconds} machine seconds, and the jobs {of_jobs}")


def check_begun(world: "Simulation") -> None:
    """After every commit: what was granted in it waits for nothing, by the record. (What is queued again at the same time is
    another matter.)"""
    if not (world.has_graphs or world.times.has_some):
        return
    farm = world.server.core.farm
    new = {id: (job, task) for id, job, task in _rows(world, "SELECT id, job, task FROM attempt WHERE outcome = 'live'")}
    again = {requeue.job for requeue in world.people.requeues}
    for id in new.keys() - world.looked_at:
        world.looked_at.add(id)
        job, task = farm.jobs.get(new[id][0]), farm.tasks.get(new[id][1])
        if job is not None and (why := world.times.too_early(job.spec.start_at, job.spec.night, world.server.now().wall)):
            raise Violation(f"{id} of {job.id} was granted, which {why}")
        if job is None or task is None or job.sweeps or job.id in again:
            continue
        frames = sorted({part.frame for part in task.parts})
        for place, by_frame in job.graph.waits[job.graph.place(task.number)]:
            stage = job.graph.stages[place]
            if wrong := _not_done(world, job.id, [stage], frames if by_frame else None):
                raise Violation(f"{id} at task {task.number} of {job.id} waits for the stage {stage.name}: {wrong}")
        if job.graph.waits[job.graph.place(task.number)]:
            continue
        for after in job.spec.after:
            other = farm.jobs.get(after.job)
            ((status, sweeps),) = _rows(world, f"SELECT status, sweeps FROM job WHERE id = '{after.job}'") or [("deleted", "[]")]
            if status == "completed" or sweeps != "[]" or after.job in again:
                continue
            if not after.by_frame or other is None:
                known = farm.awaited.get(after.job) if status == "deleted" else None  # (its frames had been done before)
                was_there = after.by_frame and known is not None and all(map(known.has, frames))
                if not was_there and (not after.by_frame or status not in ("failed", "canceled")):
                    raise Violation(f"{id} of {job.id} was granted, which waits for {after.job}, and that is {status}")
                continue
            last = [other.graph.stages[place] for place in other.graph.last_of_frames]
            if wrong := _not_done(world, other.id, last, frames):
                raise Violation(f"{id} of {job.id} waits for frames {frames} of {other.id}: {wrong}")


def _not_done(world: "Simulation", job: str, stages: Iterable[Stage], frames: list[int] | None) -> str:
    """Return what of the *stages* of *job* is not done, of these *frames* only; "" for nothing."""
    of_these = " OR ".join(f"task.number BETWEEN {each.first_task} AND {each.last_task}" for each in stages)
    found = _rows(
        world,
        f"SELECT part.frame, part.status FROM part JOIN task ON part.task = task.id WHERE part.job = '{job}' AND ({of_these})",
    )
    open_ones = [each for each in found if each[1] != "completed" and (frames is None or each[0] in frames)]
    missing = [frame for frame in frames or () if frame not in {each[0] for each in found}]
    return f"{open_ones} are not done, {missing} are not there" if open_ones or missing else ""


def _may_be_gone(world: "Simulation", part: int) -> bool:
    return world.people.may_be_gone(world.job_of_part[part])


def check_schedule(world: "Simulation") -> None:
    """What the scheduler keeps from change to change is what it would make of the farm now."""
    if wrong := world.server.core.dispatch.audit() + world.server.core.planning.audit():
        raise Violation(wrong[0])
    if exceeded := world.shares.exceeded():
        raise Violation(exceeded)


def check_rows(world: "Simulation", written: Iterable[Row]) -> None:
    """After every commit: the row of each entity in memory is what the entity says. Rows that were not *written* now, of
    entities that say what they said when they were compared before, are compared with each of every few commits only."""
    compared, now = world.compared, {(row.kind, row.key) for row in written}
    world.comparisons += 1
    is_whole = world.comparisons % _COMMITS_A_WHOLE_COMPARISON == 0
    said = {(entity.kind, entity.key): (entity, entity.values()) for entity in world.server.core.farm.entities()}
    doubtful = [
        entity
        for each, (entity, values) in said.items()
        if is_whole or each in now or each not in compared or compared[each] != values
    ]
    for difference in differences(world.writer, doubtful):
        raise Violation(difference)
    world.compared = {each: values for each, (_, values) in said.items()}


def check_publish(world: "Simulation", attempt: str, part: int) -> None:
    """When *attempt* publishes *part*: nobody replaces a file that the record says another attempt completed, and no attempt
    publishes that was given up (but for one that the server itself failed at: its worker does not know yet)."""
    lost = f"SELECT outcome FROM attempt WHERE id = '{attempt}' AND outcome = 'lost' AND reason <> '{AT_A_REPORT}'"
    for (outcome,) in _rows(world, lost):
        raise Violation(f"{attempt} published part {part}, and the record says that it is {outcome}")
    recorded = world.completed.get(part)
    if recorded is not None and recorded != attempt:
        raise Violation(f"{attempt} published part {part}, which {recorded} had completed")


def check_allowed(worker: WorkerInfo, folder: str) -> None:
    """When *worker* publishes into *folder*: its owner allows that."""
    if worker.folders and not spelled(folder, "linux").startswith(tuple(spelled(each, "linux") for each in worker.folders)):
        raise Violation(f"{worker.name} was given a job in {folder}, and may use {', '.join(worker.folders)} only")


def check_ledger(world: "Simulation") -> None:
    """What the server has in mind is what the record says."""
    farm = world.server.core.farm
    recorded = dict(_rows(world, "SELECT id, status FROM task WHERE status IN ('waiting', 'queued', 'active')"))
    for task in farm.tasks.values():
        if recorded.get(task.id) != task.status:
            raise Violation(f"the server thinks that task {task.id} is {task.status}; the record says {recorded.get(task.id)}")
        held = any(each in farm.attempts for each in task.attempts) or farm.jobs[task.job].sweeps  # a sweep will come by it
        if task.status is TaskStatus.ACTIVE and not held:
            raise Violation(f"task {task.id} is active, and nobody has it")
    live = {attempt for (attempt,) in _rows(world, "SELECT id FROM attempt WHERE outcome = 'live'")}
    if live != farm.attempts.keys():
        raise Violation(f"live attempts differ: {sorted(live ^ farm.attempts.keys())}")


def check_rest(world: "Simulation") -> None:
    """Once all faults have ended and there was time: every job has ended as it should, and nothing of it waits."""
    own_failures = bool(world.failing or world.sticking or world.raising)
    for job, status, reason, claimed, parts in _rows(world, "SELECT id, status, reason, completed_parts, part_count FROM job"):
        if status not in ("completed", "failed", "canceled"):
            raise Violation(f"the job {job} is still {status}, with {claimed} of {parts} parts")
        if status == "completed" and claimed != parts:
            raise Violation(f"the job {job} is completed with {claimed} of {parts} parts")
        if status == "canceled" and job not in world.canceled:
            raise Violation(f"the job {job} is canceled ({reason}), and nobody asked for that")
        if status == "failed" and not own_failures:
            raise Violation(f"the job {job} has failed, and no attempt ever failed by itself")
        if status != "completed" and not reason:
            raise Violation(f"the job {job} is {status}, and does not say why")
    for job, settings in _rows(world, "SELECT id, settings FROM job WHERE status = 'completed'"):
        asked = world.people.frames.get(job) and json.loads(settings)["frames"]
        done = {frame for (frame,) in _rows(world, f"SELECT frame FROM part WHERE job = '{job}' AND piece >= 0")}
        if asked and done != set(parse_frames(asked)):
            raise Violation(f"{job} was edited to have the frames {asked}, and has completed {sorted(done)}")
    for attempt, reason in _rows(world, f"SELECT id, reason FROM attempt WHERE reason LIKE '%{NEVER_CAME}'"):
        raise Violation(f"{attempt} had finished every part, and is recorded as failed: {reason}")
    for attempt, job in _rows(world, f"SELECT id, job FROM attempt WHERE outcome = 'superseded' AND reason = '{TAKEN_OUT}'"):
        given = world.whole.get(attempt)
        if given is not None and not any(world.people.took_out(job, part.frame) for part in given.parts):
            raise Violation(f"{attempt} did all its frames, which {job} still has, and is recorded as superseded: {TAKEN_OUT}")
    for part, status, task in _rows(world, _UNFINISHED_PARTS):
        raise Violation(f"part {part} is {status}, and its task {task} is completed")
    for kind in ("task", "part"):
        for which, status in _rows(world, f"SELECT id, status FROM {kind} WHERE status IN ('waiting', 'queued', 'active')"):
            raise Violation(f"{kind} {which} is still {status}, and all jobs have ended")
    forgotten = f"SELECT id FROM attempt WHERE outcome = 'lost' AND reason LIKE '%{LOST_ITS_STATE}'"
    for (attempt,) in _rows(world, forgotten):
        if attempt in world.kept:
            raise Violation(f"the worker of {attempt} had reports of it on disk when it crashed, and then knew nothing of it")
    waiting = [worker.name for worker in world.workers if worker.journal and worker.name not in world.power.asleep]
    if waiting:
        raise Violation(f"{waiting[0]} still holds reports that nobody acknowledged")


def check_files(world: "Simulation") -> None:
    """Once all has come to rest: each frame that the record has is there, unless it was deleted; of a deleted job, nothing is
    left in the record, and of its own files none."""
    if world.disk.wrong:
        raise Violation(world.disk.wrong)
    frames = (
        "SELECT job.id, job.output, part.output, part.piece FROM part JOIN job ON part.job = job.id"
        f" WHERE part.status = 'completed' AND (job.frames_deleted IS NULL OR part.piece = {COPY})"
    )
    for job, output, name, piece in _rows(world, frames):
        folder = copies_of(job) if piece == COPY else output
        if (folder, name) not in world.disk.files and not world.disk.may_be_gone((folder, name), job):
            raise Violation(f"the job {job} has completed {name}, and it is not there")
    there = {job for (job,) in _rows(world, "SELECT id FROM job")}
    for kind in ("task", "part", "attempt", "kept_off", "job_revision", "output_owner"):
        for (job,) in _rows(world, f"SELECT DISTINCT job FROM {kind}"):
            if job not in there:
                raise Violation(f"the job {job} is deleted, and its rows in {kind} are not")


def _rows(world: "Simulation", statement: str) -> list[Any]:
    return list(world.writer.database.execute_sql(statement).fetchall())
