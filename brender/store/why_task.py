"""Why a frame of a job, or one of its stages, is not done: a sentence, from the tasks, the stages and the jobs of the record."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from peewee import fn

from brender.jobs.numbering import TAKEN_OUT
from brender.jobs.stages import Graph, Stage
from brender.model.answers import PAGE
from brender.model.errors import BadInput, NotFound
from brender.model.frames import format_frames, parse_frames
from brender.model.job_standing import because
from brender.model.obstacle import short_name
from brender.model.status import ENDED_JOB, PartStatus, TaskStatus
from brender.model.text import job_in_words, plural, short_id, times
from brender.store.job_graph import stages_of, waits

if TYPE_CHECKING:
    from brender.store.named import Record

#: How many tasks before one are counted at most: a job may have a million, and a page asks every two seconds.
_AHEAD_MOST = 10_000


def why_frame(record: "Record", job: Any, frame: int, queued: str) -> str:
    """Return how *frame* of *job*, a row, stands and why, with the command that changes it. Raises `NotFound`."""
    if frames := frames_unless(record, job.id, frame):
        raise NotFound(f"The job {short_id(job.id)} has no frame {frame}: it has {frames}")
    part, task = record.tables.Part, record.tables.Task
    of_frame = part.select(part.task).where((part.job == job.id) & (part.frame == frame))
    found = list(task.select().where(task.id.in_(of_frame) & (task.reason != TAKEN_OUT)).order_by(task.number))
    return _Teller(record, job, queued).said(f"Frame {frame}", found, frame)


def why_number(record: "Record", job: Any, number: int, queued: str) -> str:
    """Return how the task of this *number* of *job*, a row, stands and why. Raises `NotFound`."""
    task = record.tables.Task
    found = list(task.select().where((task.job == job.id) & (task.number == number)).limit(1))
    if found and found[0].reason == TAKEN_OUT:
        return f"Task {number} of {job_in_words(job.id, job.name)} has frames alone that were taken out of the job"
    if not found and not 0 <= number < job.task_count:
        raise NotFound(f"The job {short_id(job.id)} has no task {number}: `brender tasks {short_id(job.id)}` lists them")
    return _Teller(record, job, queued).said(f"Task {number}", found, number)


def why_stage(record: "Record", job: Any, title: str, queued: str) -> str:
    """Return how the stage of *job*, a row, that is called *title* stands and why. Raises `NotFound`."""
    stages = stages_of(job)
    same = [each for each in stages if each.title == title]
    if not same:
        there = ", ".join(repr(each) for each in dict.fromkeys(each.title for each in stages))
        raise NotFound(f"The job {short_id(job.id)} has no stage {title!r}: it has {there}")
    task = record.tables.Task
    # (Frames that were added have theirs after the other stages.)
    inside = reduce(or_, (task.number.between(each.first_task, each.last_task) for each in same))
    of_stage = (task.job == job.id) & inside & (task.reason != TAKEN_OUT)
    undone = task.select().where(of_stage & (task.status != TaskStatus.COMPLETED)).order_by(task.number).limit(PAGE)
    # (What runs or has failed says more of a stage than what waits behind it.)
    urgent = {TaskStatus.FAILED: 0, TaskStatus.ACTIVE: 1, TaskStatus.QUEUED: 2}
    found = sorted(undone, key=lambda each: (urgent.get(each.status, 3), each.number))
    if not found:
        found = list(task.select().where(of_stage).limit(1))
    return _Teller(record, job, queued).said(f"The stage {title}", found[:1], None)


def why_task(record: "Record", job: Any, task: Any, queued: str) -> str:
    """Return why *task* of *job*, two rows, is not done; "" if it is. *queued*: as in `why`."""
    return "" if task.status == TaskStatus.COMPLETED else _Teller(record, job, queued).of_task(task)


def frames_unless(record: "Record", id: str, frame: int) -> str:
    """Return which frames the job *id* has, in words, or "" if *frame* is one of them."""
    tables = record.tables
    part, settings = tables.Part, tables.Job.get_by_id(id).settings
    if part.select().where((part.job == id) & (part.frame == frame)).exists():
        return ""
    said = str(settings.get("frames") or "")
    if said and frame in parse_frames(said):
        return ""  # it is not planned yet
    numbers = [number for (number,) in part.select(part.frame).where(part.job == id).distinct().limit(PAGE).tuples()]
    said = said or format_frames(numbers)
    if not said:
        return ""  # nothing is planned yet, and only its tasks know
    return f"the frames {said}" if parse_frames(said)[1:] else f"the frame {said}"


class _Teller:
    def __init__(self, record: "Record", job: Any, queued: str) -> None:
        self.record, self.job = record, job
        self.why_queued = str(job.reason).rstrip(".") or queued.rstrip(".")
        self.graph = Graph(stages_of(job))

    def said(self, what: str, tasks: list[Any], frame: int | None) -> str:
        """Return how *what* stands, which the rows *tasks* make, one after the other."""
        called = f"{what} of {job_in_words(self.job.id, self.job.name)}"
        undone = [each for each in tasks if each.status != TaskStatus.COMPLETED]
        if tasks and not undone:
            return f"{called} is done"
        if not undone:
            later = "the tasks of the job before it are planned first"
            return f"{called} {_waits(self._whole() or str(self.job.reason).rstrip('.') or later)}"
        stage = self.graph.stage(undone[0].number).title
        of_stage = f" ({stage})" if len(self.graph.stages) > 1 and frame is not None else ""
        return f"{called}{of_stage} {self.of_task(undone[0])}"

    def of_task(self, task: Any) -> str:
        """Return what the row *task*, which is not done, does or waits for, as the end of a sentence about it."""
        id = short_id(self.job.id)
        if task.status == TaskStatus.ACTIVE:
            return self._at_work(task)
        if task.status == TaskStatus.FAILED:
            tried = f"failed {times(task.failures)}" if task.failures else "failed"
            return f"{tried}: {task.reason or self.job.reason}. `brender requeue {id}` tries it again"
        if task.status == TaskStatus.CANCELED:
            why = task.reason or (self.job.reason if self.job.status == "canceled" else "what it waits for failed")
            return f"was {because('canceled', why)}. `brender requeue {id}` brings it back"
        before = f" It failed {times(task.failures)}: {task.reason}." if task.failures and task.reason else ""
        if whole := self._whole():
            return f"waits: {whole}{f'.{before}' if before else ''}"
        if task.status == TaskStatus.WAITING:
            return _waits(self._awaited(task))
        table = self.record.tables.Task
        ahead = (table.job == self.job.id) & (table.number < task.number) & (table.status == TaskStatus.QUEUED)
        count = table.select(table.id).where(ahead).order_by(table.number.desc()).limit(_AHEAD_MOST + 1).count()
        why = self.why_queued or "it has its turn as soon as a worker that may take it is free"
        tasks = plural(count, "task") if count <= _AHEAD_MOST else f"more than {_AHEAD_MOST:,} tasks"
        turn = f"{tasks} of the job {'comes' if count == 1 else 'come'} before it. " if count else ""
        why = f"waits: {turn}{why[:1].upper()}{why[1:]}" if turn else _waits(why)
        return f"{why}{f'.{before}' if before else ''}"

    def _whole(self) -> str:
        """Return what all of the job waits for; "": for nothing of that kind."""
        if self.job.status == "paused":
            return f"the job is paused. `brender resume {short_id(self.job.id)}` goes on"
        if self.job.status in ENDED_JOB:
            return f"the job is {self.job.status}"
        return ""

    def _at_work(self, task: Any) -> str:
        tables = self.record.tables
        attempt, worker = tables.Attempt, tables.Worker
        live = attempt.select(attempt.started, worker.name.alias("name"), worker.frame.alias("frame"), worker.job.alias("at"))
        live = live.join(worker).where((attempt.job == self.job.id) & (attempt.task == task.id) & (attempt.outcome == "live"))
        found = next(iter(live.order_by(attempt.started.is_null(), attempt.granted).dicts()), None)
        if found is None:
            return "is being ended at a worker"
        name = short_name(found["name"])
        if found["started"] is None:
            return f"is handed out to {name}, which finishes what it does first"
        now = f", which is at frame {found['frame']}" if found["frame"] is not None and found["at"] == self.job.id else ""
        return f"is at work on {name}{now}"

    def _awaited(self, task: Any) -> str:
        """Return what the row *task* waits for: another stage, or another job."""
        part, table = self.record.tables.Part, self.record.tables.Task
        frames = [frame for (frame,) in part.select(part.frame).where(part.task == task.id).limit(PAGE).tuples()]
        for place, by_frame in self.graph.waits[self.graph.place(task.number)]:
            before = self.graph.stages[place]
            inside = (table.job == self.job.id) & table.number.between(before.first_task, before.last_task)
            if by_frame:
                of_same = part.select(part.task).where((part.job == self.job.id) & part.frame.in_(frames))
                inside &= table.id.in_(of_same)
            undone = table.select(fn.COUNT(table.id)).where(inside & (table.status != TaskStatus.COMPLETED)).scalar()
            if by_frame and undone:
                return f"the same frame of the stage {before.title} is not done"
            if not by_frame and (left := self._left(before)):
                return f"{plural(left, 'task')} of the stage {before.title} {'is' if left == 1 else 'are'} not done"
        for each in waits(self.record, self.job):
            if each["by_frame"] and each["status"] != "completed":
                return self._of_job(each, frames)
        return str(self.job.reason) or "what it waits for was done a moment ago"

    def _left(self, stage: Stage) -> int:
        """Return how many tasks of *stage* are not done, those that are not planned among them."""
        table = self.record.tables.Task
        inside = (table.job == self.job.id) & table.number.between(stage.first_task, stage.last_task)
        done = (table.status == TaskStatus.COMPLETED) | (table.reason == TAKEN_OUT)
        return stage.count - int(table.select(fn.COUNT(table.id)).where(inside & done).scalar())

    def _of_job(self, awaited: dict[str, Any], frames: list[int]) -> str:
        part = self.record.tables.Part
        called = job_in_words(awaited["job"], awaited["name"]) if awaited["name"] else f"the job {short_id(awaited['job'])}"
        without = f"`brender when {short_id(self.job.id)} --not-after {short_id(awaited['job'])}` lets this one begin without it"
        if not awaited["status"] or awaited["status"] in ENDED_JOB:
            return f"its frame of {called} will not come, since that is {awaited['status'] or 'deleted'}: {without}"
        there = part.select(part.frame, part.status).where((part.job == awaited["job"]) & part.frame.in_(frames))
        stands = dict(there.order_by(part.id).tuples())
        undone = [frame for frame in sorted(set(frames)) if stands.get(frame) != PartStatus.COMPLETED]
        if undone and undone[0] not in stands and frames_unless(self.record, awaited["job"], undone[0]):
            return f"{called} has no frame {undone[0]}, so all of that job has to be done first ({awaited['done']})"
        which = f"frame {undone[0]}" if undone else "the same frame"
        return f"{which} of {called} is not done ({awaited['done']})"


def _waits(why: str) -> str:
    """Return that something waits, for the reason *why*, as the end of a sentence."""
    return f"w{why[1:]}" if why.startswith("Waits ") else f"waits: {why}"


def why(record: "Record", job: Any, frame: int | None, stage: str, task: int | None, queued: str) -> str:
    """Return why *frame*, *stage*, or the *task* of this number of *job*, a row, stands as it does; *queued*: why the scheduler
    gives out none of its tasks now, "" if nothing hinders it. Raises `BadInput` unless one of them is named."""
    named = sum((frame is not None, bool(stage), task is not None))
    if not named:
        raise BadInput("Name a frame, a stage or a task of the job")
    if named > 1:
        raise BadInput("Ask of a frame, a stage or a task, and only of one")
    if frame is not None:
        return why_frame(record, job, frame, queued)
    return why_stage(record, job, stage, queued) if task is None else why_number(record, job, task, queued)
