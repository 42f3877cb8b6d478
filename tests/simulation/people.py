"""What people ask of jobs while a history goes on, and what they were promised then."""

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brender.bus.messages import Act, Sorry
from brender.jobs import declare
from brender.jobs.stages import Graph
from brender.model.frames import format_frames, parse_frames
from brender.model.status import PartStatus
from brender.roles.server.recorded_tasks import select_for_requeue
from brender.roles.server.round import FAILED
from brender.store.recorded import job_spec

if TYPE_CHECKING:
    from tests.simulation.farm import Simulation


@dataclass
class Requeue:
    """An accepted request to render parts again that are completed.

    ``may``: the parts that it may still undo, each once. ``owed``: those that were completed when it was made, by the attempt
    that had completed them: none of them may stay so. ``epoch``: the server's, for a request that may be lost with it.
    """

    job: str
    user: str
    may: set[int]
    owed: dict[int, str]
    epoch: int
    cursor: int = -1
    """How far the record says that it has come."""
    is_recorded: bool = False


@dataclass(frozen=True)
class Edited:
    """An accepted edit after which frames look otherwise. ``before``: the attempts that were live then, of which nothing counts
    any more; ``done``: those parts that were completed then, each with its attempt."""

    job: str
    before: frozenset[str]
    done: dict[int, str]


@dataclass(frozen=True)
class Habits:
    """What people ask of each job while it is rendered: one of ``asks`` so many ``times``, and so many ``deletes``. Chance
    chooses among each. ``own_folder``: how likely a job writes to a folder that no other writes to. ``overwrites``: how likely
    it renders frames again which are there already."""

    asks: tuple[str, ...] = (
        "requeue_all", "requeue_all", "requeue_frames", "requeue_frames", "requeue_failed", "cancel", "pause", "reorder",
        "edit", "edit",
    )  # fmt: skip
    times: tuple[int, ...] = (1, 2, 4)
    deletes: tuple[int, ...] = (0, 1, 3)
    own_folder: float = 0.4
    overwrites: float = 0.5


class People:
    """Those who cancel, queue again, pause and reorder jobs. In half of all histories they only ever cancel,
    unless their habits are given."""

    def __init__(self, world: "Simulation", habits: Habits | None) -> None:
        self.world = world
        self.chance = random.Random(f"people of {world.seed}")
        self.are_many = world.seed % 2 == 1 or habits is not None
        self.habits = habits or Habits()
        self.requeues: list[Requeue] = []
        self.edits: list[Edited] = []
        self.frames: dict[str, set[frozenset[int]]] = {}
        """The same of its frames."""
        self.samples: dict[str, set[int | None]] = {}
        """By job, what its setting may be in the record: that which was accepted last, and what was asked for since."""
        self.deleted: dict[str, set[str]] = {}
        """By job, what somebody asked to be deleted of it, answered or not."""
        self.overwriting: set[str] = set()
        """Jobs that render frames again which are there already."""
        self._asked = 0

    def follow(self, job: str) -> None:
        """Plan what is asked of *job*, which has just been submitted."""
        world, chance = self.world, self.chance
        if world.chance.random() < 0.25:
            world.clock.at(world.chance.uniform(1, 20), lambda: self._cancel(job))
        asks = {
            "requeue_all": self._requeue_all, "requeue_frames": self._requeue_frames, "requeue_failed": self._requeue_failed,
            "cancel": self._cancel, "pause": self._pause, "reorder": self._reorder,
            "edit": self._edit,
        }  # fmt: skip
        for _ in range(chance.choice(self.habits.times) if self.are_many else 0):
            ask = asks[chance.choice(self.habits.asks)]
            world.clock.at(chance.uniform(1, 40), lambda ask=ask: ask(job))  # type: ignore[misc]

        for _ in range(chance.choice(self.habits.deletes) if self.are_many else 0):
            world.clock.at(chance.uniform(1, 80), lambda: self._delete(job))
        if world.has_graphs:
            world.clock.at(world.graphs.uniform(5, 40), lambda: self._stop_waiting(job))

    def output_of(self, job: str) -> str:
        """Return the output folder that they name for *job*: often one that others have named, spelled in another way."""
        if not self.are_many or self.chance.random() < self.habits.overwrites:
            self.overwriting.add(job)
        if not self.are_many or self.chance.random() < self.habits.own_folder:
            return f"/renders/{job}"
        return self.chance.choice(["/renders/shot", "/renders/a/../shot", "/renders/./shot/"])

    # --- what they were promised --------------------------------------------------------------------------------------

    def let_undo(self, part: int) -> bool:
        """Whether somebody asked for *part* to be rendered again; each asking counts once."""
        for requeue in self.requeues:
            if part in requeue.may:
                requeue.may.discard(part)
                return True
        return False

    def broken_promise(self, jobs: dict[str, tuple[str, dict[str, int]]], completed: dict[int, str]) -> str:
        """Return what was promised and not done, "" for nothing. *jobs*: the status of each, and how far that has come
        which somebody asked for; *completed*: the attempt of each completed part; both as the record has them."""
        for requeue in list(self.requeues):
            if requeue.job not in jobs:
                self.requeues.remove(requeue)  # it is deleted
                continue
            status, waiting = jobs[requeue.job]
            if requeue.user in waiting:
                if waiting[requeue.user] < requeue.cursor:
                    return (
                        f"what {requeue.user} asked for was done up to task {requeue.cursor}, and is {waiting[requeue.user]} now"
                    )
                requeue.is_recorded, requeue.cursor = True, waiting[requeue.user]
                continue
            if not requeue.is_recorded and requeue.epoch == self.world.server.epoch:
                continue  # it is not in the record yet
            self.requeues.remove(requeue)
            if not requeue.is_recorded or status in ("canceled", "failed"):
                continue  # it was lost with the server before it was answered, or the job was ended meanwhile
            for part, attempt in requeue.owed.items():
                if completed.get(part) == attempt:
                    return f"part {part} was to be rendered again, and what {attempt} made is still taken for it"
        return ""

    def took_out(self, job: str, frame: int) -> bool:
        """Return whether *frame* of *job* may have been taken out of it."""
        return any(frame not in frames for frames in self.frames.get(job, ()))

    def broken_edit(self, completed: dict[int, str], samples: dict[str, int | None], frames: dict[str, str]) -> str:
        """Return which edit is not kept to, "" for none. *completed*: the attempt of each completed part; *samples* and *frames*:
        the settings of each job; all as the record has them."""
        for edited in self.edits:
            for part, attempt in completed.items():
                if attempt in edited.before and edited.done.get(part) != attempt:
                    return f"part {part} counts as {attempt} made it, which was begun before {edited.job} was edited"
        for job, several in self.frames.items():
            if job in frames and frozenset(parse_frames(frames[job])) not in several:
                return f"{job} was edited to have one of the frames {[*map(format_frames, several)]}, and has {frames[job]}"
        for job, allowed in self.samples.items():
            if job in samples and samples[job] not in allowed:
                return f"{job} was edited to have one of {allowed} samples, and has {samples[job]}"
        return ""

    # --- what they do -------------------------------------------------------------------------------------------------

    def _cancel(self, job: str) -> None:
        if self._act("cancel", job) and self.world.chance.random() < 0.5:
            # Somebody thinks better of it.
            self.world.clock.at(self.world.chance.uniform(0.1, 10), lambda: self._requeue_failed(job))

    def _requeue_failed(self, job: str) -> None:
        self._act("requeue", job)

    def _requeue_all(self, job: str) -> None:
        self._act("requeue", job, "all")

    def _requeue_frames(self, job: str) -> None:
        first = self.chance.randint(1, 20)
        self._act("requeue", job, f"{first}-{first + self.chance.randint(0, 8)}")

    def _pause(self, job: str) -> None:
        self._act("pause", job)
        self.world.clock.at(self.chance.uniform(1, 15), lambda: self._resume(job))

    def _resume(self, job: str) -> None:
        """Resume *job*, sooner or later."""
        server = self.world.server
        waiting = not server.up or server.paused
        if not waiting and job in self.world.accepted and self._status(job) == "paused":
            waiting = not self._act("resume", job) or not server.up or server.paused  # it was not answered
        if waiting:
            self.world.clock.at(3.0, lambda: self._resume(job))

    def _status(self, job: str) -> str:
        """Return the recorded status of *job*, "" where it is deleted."""
        found = self.world.writer.database.execute_sql("SELECT status FROM job WHERE id = ?", (job,)).fetchone()
        return str(found[0]) if found is not None else ""

    def _stop_waiting(self, job: str) -> None:
        """Where *job* waits for one that was canceled, has failed or is deleted: let it wait for that no more."""
        statement = "SELECT waiting_for, after_jobs FROM job WHERE id = ?"
        found = self.world.writer.database.execute_sql(statement, (job,)).fetchone()
        if found is not None and found[0] == "somebody":
            after = [each for each in json.loads(found[1]) if self._status(each["job"]) in ("queued", "active")]
            self._act("when", job, {"after": after})
        if found is not None or job not in self.world.accepted:  # (one that has ended may be queued again)
            self.world.clock.at(7.0, lambda: self._stop_waiting(job))

    def _reorder(self, job: str) -> None:
        self._act("priority", job, self.chance.randint(0, 100))

    def _edit(self, job: str) -> None:
        """Edit *job*: most of the time its pictures or its frames."""
        row = self.world.writer.tables.Job.get_or_none(id=job)
        if row is None or "samples" not in row.settings:
            return
        of_all = self.chance.random() < 0.5
        samples = self.chance.randint(1, 1000)
        there = parse_frames(row.settings["frames"])
        first, last = min(there), max(there)
        fewer = f"{self.chance.randint(first, last)}-{last}x{self.chance.randint(1, 3)}"
        asked: dict[str, Any] = self.chance.choice(
            [
                {"settings": {"samples": samples}, "from_now_on": not of_all},
                {"settings": {"samples": samples}, "from_now_on": not of_all},
                {"settings": {"samples": samples, "pattern": f"of {samples}.####"}, "from_now_on": False},
                {"settings": {"frames": f"1-{last + self.chance.randint(1, 5)}"}},
                {"settings": {"frames": fewer}},
                {"settings": {"frames": f"{fewer},{last + 1}-{last + self.chance.randint(1, 5)}"}},
                {"settings": {"frames": fewer, "samples": samples}, "from_now_on": False},
                {"name": f"edited {samples}", "priority": self.chance.randint(0, 100)},
            ]
        )
        self._act("edit", job, asked)

    def _edits_pictures(self, action: str, value: Any) -> bool:
        return action == "edit" and "samples" in value.get("settings", {})

    def tidy_up(self) -> None:
        """Once all jobs have ended: delete some of them, in any order."""
        jobs = sorted(self.world.accepted) if self.are_many else []
        for job in self.chance.sample(jobs, len(jobs) // 2):
            self._delete(job)

    def _delete(self, job: str) -> None:
        what = self.chance.choice(["frames", "record", "both", "both"])
        before = set(self.deleted.get(job, ()))
        self.deleted.setdefault(job, set()).add(what)
        if not self._act("delete", job, what):
            self.deleted[job] = before
            if self.world.faults:  # it has not ended, perhaps: they ask again
                self.world.clock.at(self.chance.uniform(1, 8), lambda: self._delete(job))

    def may_be_gone(self, job: str) -> bool:
        """Return whether the record of *job* may be deleted."""
        return bool(self.deleted.get(job, set()) & {"record", "both"})

    def _act(self, action: Any, job: str, value: Any = None) -> bool:
        """Ask for *action* as the server's loop does; returns whether it was not refused."""
        world, server = self.world, self.world.server
        if action == "cancel" and server.up and job not in server.core.farm.jobs:
            return False  # it has ended
        if server.up and action != "cancel":
            server.guarded(lambda: server.do([]))
        if not server.up or server.paused or job not in world.accepted:
            return False
        self._asked += 1
        message = Act(id=world.new_id(), action=action, target=job, value=value, user=f"person {self._asked}")
        edits_pictures = self._edits_pictures(action, value)
        renders_again = edits_pictures and not value["from_now_on"]
        promise = (
            self._promise(job, message.user, "all" if renders_again else value) if action == "requeue" or renders_again else None
        )
        edited = self._edited(job, value["settings"]["samples"]) if edits_pictures else None
        frames = self._frames_asked(job, value) if action == "edit" else None
        before = set(world.canceled)
        if action == "cancel":
            world.canceled.add(job)
        answer = server.request(message)
        said = answer.message if isinstance(answer, Sorry) else "accepted" if answer else "no answer"
        world.say(f"{message.user} asks: {action} {job} {value or ''}: {said}")
        if isinstance(answer, Sorry):
            if answer.message == FAILED.format(what="act") and not world.raising:
                raise AssertionError(f"the server failed at {action} by itself: its log says why")
            world.canceled = before
            if promise is not None:
                self.requeues.remove(promise)
            if frames is not None:
                self.frames[job] = frames[0]
        if answer is not None and not isinstance(answer, Sorry) and frames is not None:
            self.frames[job] = {frames[1]}
        if answer is not None and not isinstance(answer, Sorry) and edited is not None:
            self.edits.append(edited)
            self.samples[job] = {value["settings"]["samples"]}
            swept = server.up and job in server.core.farm.jobs and server.core.farm.jobs[job].sweeps
            if promise is not None and promise in self.requeues and not promise.is_recorded and not swept:
                self.requeues.remove(promise)  # nothing of it was done yet
        return not isinstance(answer, Sorry)

    def _frames_asked(self, job: str, value: Any) -> tuple[set[frozenset[int]], frozenset[int]] | None:
        """Return what the frames of *job* may have been until now, and what *value*, an edit, asks for, which they may be hence;
        ``None`` where it is not about them."""
        if "frames" not in value.get("settings", {}):
            return None
        row = self.world.writer.tables.Job.get_by_id(job)
        known, asked = frozenset(parse_frames(row.settings["frames"])), frozenset(parse_frames(value["settings"]["frames"]))
        before = self.frames.setdefault(job, {known})
        self.frames[job] = before | {asked}
        return before, asked

    def _edited(self, job: str, samples: int) -> Edited:
        """Return what an edit of the pictures of *job* would promise. It may be recorded although it is not answered."""
        row = self.world.writer.tables.Job.get_by_id(job)
        self.samples.setdefault(job, {row.settings["samples"]}).add(samples)
        statement = "SELECT id FROM attempt WHERE job = ? AND outcome = 'live'"
        before = self.world.writer.database.execute_sql(statement, (job,)).fetchall()
        return Edited(job, frozenset(id for (id,) in before), dict(self.world.completed))

    def _promise(self, job: str, user: str, value: Any) -> Requeue:
        selection = select_for_requeue(self.world.writer.tables, job, value)
        chosen = self._chosen(job, selection.frames)
        may = chosen if PartStatus.COMPLETED in selection.statuses else set()
        owed = {part: self.world.completed[part] for part in may if part in self.world.completed}
        self.requeues.append(requeue := Requeue(job, user, may, owed, self.world.server.epoch))
        return requeue

    def _chosen(self, job: str, frames: tuple[int, ...] | None) -> set[int]:
        """Return the parts of *job* that *frames* mean (``None``: all), with those that are made of them."""
        statement = "SELECT part.id, frame, number FROM part JOIN task ON part.task = task.id WHERE part.job = ?"
        rows = self.world.writer.database.execute_sql(statement, (job,)).fetchall()
        row = self.world.writer.tables.Job.get_or_none(id=job)
        if row is None:
            return set()  # it is deleted
        kind = declare.job_type(row.job_type)
        graph = Graph(kind.stages(job_spec(row, kind, None)))
        named = {part for part, frame, number in rows if frames is None or (frame in frames and graph.stage(number).of_frames)}
        touched = frozenset(graph.stage(number).name for part, _, number in rows if part in named)
        for stage in graph:  # (in the order in which they can be done)
            place = graph.place(stage.first_task)
            if graph.is_remade(place, touched):
                named |= {part for part, _, number in rows if graph.place(number) == place}
                touched |= {stage.name}
        return named
