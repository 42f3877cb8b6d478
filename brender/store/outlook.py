"""When the open jobs of a record will be done: what its finished parts say of paces, put into the forecast of its queue."""

import logging
import threading
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec
from peewee import PeeweeException

from brender.farm.refusals import RESTS_AFTER
from brender.model.beginning import TIME
from brender.model.job import RUSH, Requirements
from brender.model.passes import are_alike, weight_of, weight_to_come
from brender.model.paths import PathVariable
from brender.model.prospect import Prospect
from brender.model.sharing import Sharing
from brender.model.status import JobStatus, WorkerStatus
from brender.scheduling.forecast import forecast
from brender.scheduling.forecast_room import Claim, about
from brender.scheduling.forecast_work import Work
from brender.scheduling.gates import Gate
from brender.scheduling.pace import Begun, Measured, Pace
from brender.store.forecast import able_kinds, estimated_part_seconds, kinds_there, need_of, parts_a_task
from brender.store.forecast_lanes import lanes_of
from brender.store.forecast_usage import usage_now
from brender.store.kinds_apart import KindApart, kept_apart, rests, workers_off
from brender.store.path_variables import path_variables
from brender.store.time_beside import TimeBeside

log = logging.getLogger("brender.server")

if TYPE_CHECKING:
    from brender.store.named import Record

#: How long an answer counts, and how many times the seconds that it took to find.
_PAUSE, _PAUSE_SHARE = 5.0, 20.0
#: Open jobs that are looked at, those that are served first; how many of them are compared with earlier ones; the parts of one
#: that are read when it is first looked at, its last.
_JOBS_MOST, _ESTIMATED_MOST, _PARTS_MOST = 1000, 20, 500
#: Jobs that have ended whose parts tell how fast workers are.
_EARLIER_MOST = 30
_OPEN = (JobStatus.QUEUED, JobStatus.ACTIVE)
#: Jobs that are looked up at once.
_IDS_A_QUERY = 500


def expected_of(record: "Record", jobs: list[str]) -> dict[str, float]:
    """Return in how many seconds each of *jobs* will be done, without those of which that is not known."""
    found = record.outlook.of(record).jobs if record.outlook is not None else {}
    return {id: seconds for id in jobs if id in found and (seconds := found[id].seconds) is not None}


class Outlook:
    """Looks ahead. *clock* tells seconds, *wall* the time of the record; *pace*: what is known of paces already. May be used
    from any thread."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float], pace: Pace | None = None) -> None:
        self._clock, self._wall = clock, wall
        self._lock = threading.Lock()
        self._pace = pace or Pace()
        self._change = -1
        self._known: set[str] = set()
        self._beside = TimeBeside()
        self._needs: dict[tuple[str, str, int], Requirements | None] = {}
        self._prospect = Prospect()
        self._again = float("-inf")

    def of(self, record: "Record") -> Prospect:
        """Return what the *record* lets expect now, or did a moment ago."""
        with self._lock:
            begun = self._clock()
            if begun >= self._again:
                try:
                    self._prospect = self._look(record)
                except PeeweeException:
                    raise
                except Exception:
                    # Whoever asks about a job is told the rest of it.
                    log.exception("when jobs will be done could not be told")
                    self._prospect = Prospect()
                self._again = self._clock() + max(_PAUSE, _PAUSE_SHARE * (self._clock() - begun))
            return self._prospect

    def _look(self, record: "Record") -> Prospect:
        job = record.tables.Job
        query = job.select().where(job.status.in_(_OPEN)).order_by(job.priority.desc(), job.submitted).limit(_JOBS_MOST)
        rows = list(query)
        if self._change < 0:
            ended = job.select().where(job.status == JobStatus.COMPLETED).order_by(job.finished.desc()).limit(_EARLIER_MOST)
            self._read(record, list(ended)[::-1])  # how fast workers are is known before a job of now tells
        begun = self._begun(record, rows)
        self._learn(record, rows, begun)
        paths = path_variables(record.tables)
        put_off = workers_off(record, [row.id for row in rows], self._wall())
        kinds = kept_apart(kinds_there(record), put_off)
        resting = rests(put_off, RESTS_AFTER)
        takes = self._takes(record, rows)
        by_worker = {each.worker: each for each in begun}
        lanes, running = lanes_of(record, kinds, {row.id: row for row in rows}, by_worker, takes, self._pace.speed)
        able: dict[tuple[Requirements, frozenset[int]], frozenset[int]] = {}
        works, over = [], _completed(record, rows)
        for order, row in enumerate(rows):
            need = self._need(row)
            if need is None or _waits_for_night(row):
                continue
            seconds, spread, known = takes[row.id]
            off = frozenset(number for number, kind in enumerate(kinds) if row.id in kind.off)
            if (need, off) not in able:
                able[need, off] = _numbers(need, paths, kinds, off)
            after = [each for each in row.after_jobs if each["job"] not in over]
            later = {number: kinds[number].put_off[row.id] for number in able[need, off] if row.id in kinds[number].put_off}
            parts, sharing = parts_a_task(row), msgspec.convert(row.sharing, Sharing)
            tasks = ceil(max(0, row.part_count - row.completed_parts - row.given_up_parts) / parts) - running[row.id]
            works.append(
                Work(
                    row.id,
                    row.priority + (RUSH if sharing.rush else 0),
                    order,
                    max(0, tasks),
                    seconds * parts,
                    able[need, off] - later.keys(),
                    spread,
                    known,
                    frozenset(each["job"] for each in after if not each.get("by_frame")),
                    frozenset(each["job"] for each in after if each.get("by_frame")),
                    max(0.0, row.start_at - self._wall(), 0.0 if running[row.id] else resting.get(row.id, 0.0)),
                    sharing.most_workers,
                    Claim(need.cores, about(row.memory), about(need.gpu_memory)),
                    (("project", row.__data__["project"]), ("user", row.user), *(("licence", each) for each in need.licences)),
                    row.__data__["project"],
                    row.user,
                    need.pool,
                    sharing.rush,
                    sharing.reclaim_at_once,
                    tuple(later.items()),
                )
            )
        said = forecast(lanes, works, _limits(record), usage_now(record.tables, self._wall()))
        count = len(rows) if len(rows) < _JOBS_MOST else job.select().where(job.status.in_(_OPEN)).count()
        return Prospect(said, {row.id: row.__data__["project"] for row in rows}, count - len(said))

    def _learn(self, record: "Record", rows: list[Any], begun: list[Begun]) -> None:
        """Take in the parts of these jobs that were done since the last look, and those that workers are at."""
        newest = self._read(record, rows)
        # (A part of a later pass takes longer than one of the first: its worker would be taken for a slow one.)
        alike = {row.id for row in rows if are_alike(row.settings)}
        self._pace.learn([], [each for each in begun if each.job in alike])
        self._known = {row.id for row in rows if row.completed_parts > row.kept_parts}
        self._change = newest

    def _read(self, record: "Record", rows: list[Any]) -> int:
        """Take in what was done of these jobs since the last look; return the newest change that was seen."""
        part, newest = record.tables.Part, self._change
        for row in rows:
            if row.completed_parts == row.kept_parts or (row.id in self._known and row.change <= self._change):
                continue
            since = self._change if row.id in self._known else -1
            fits = (part.job == row.id) & (part.change > since) & (part.status == "completed") & (part.seconds > 0)
            query = part.select(part.worker, part.seconds, part.piece, part.change).where(fits & ~part.kept)
            found = list(query.order_by(part.change.desc()).limit(_PARTS_MOST).tuples())[::-1]
            self._pace.learn(
                Measured(row.id, worker, seconds / weight_of(row.settings, piece)) for worker, seconds, piece, _ in found
            )
            newest = max(newest, row.change, *(change for *_, change in found))
        return newest

    def _begun(self, record: "Record", rows: list[Any]) -> list[Begun]:
        """Return the frames that workers are at, of jobs whose tasks have one each: of others nobody knows since when."""
        worker, attempt = record.tables.Worker, record.tables.Attempt
        single = {row.id for row in rows if parts_a_task(row) == 1}
        query = worker.select(worker.id, worker.job, worker.fraction, attempt.started).join(
            attempt, on=(attempt.id == worker.attempt)
        )
        busy = query.where((worker.status == WorkerStatus.BUSY) & attempt.started.is_null(False)).tuples()
        now = self._wall()
        return [Begun(job, id, now - since, fraction or None) for id, job, fraction, since in busy if job in single]

    def _takes(self, record: "Record", rows: list[Any]) -> dict[str, tuple[float, float, int]]:
        """Return by job the work of a part to come, its spread, and by how many parts that is known: by one where it is only
        compared with earlier jobs, and by none where nobody knows."""
        found, compared = {}, 0
        self._beside.begin({row.id for row in rows})
        for row in rows:
            found[row.id] = self._of_part(record, row)
            if not found[row.id][0] and compared < _ESTIMATED_MOST and self._need(row) is not None:
                compared += 1
                if seconds := estimated_part_seconds(record, row):
                    found[row.id] = seconds, 0.0, 1
        return found

    def _of_part(self, record: "Record", row: Any) -> tuple[float, float, int]:
        """Return the same of the job of *row*, without a comparison."""
        pace = self._pace.of_job(row.id)
        if pace is None:
            return 0.0, 0.0, 0
        weight = weight_to_come(row.settings, row.completed_parts, row.part_count)
        return pace.expected * weight * self._beside.of(record, row), pace.spread, pace.parts

    def _need(self, row: Any) -> Requirements | None:
        key = (row.id, row.series, row.revision)
        if key not in self._needs:
            if len(self._needs) > 4 * _JOBS_MOST:
                self._needs.clear()
            self._needs[key] = need_of(row)
        return self._needs[key]


def _limits(record: "Record") -> dict[Gate, int]:
    """Return how many tasks users, projects and licences may have out, of those that have a limit."""
    quota = record.tables.Quota
    limited = quota.select(quota.kind, quota.name, quota.most).where(quota.most.is_null(False)).tuples()
    return {(kind, name): most for kind, name, most in limited}


def _numbers(need: Requirements, paths: tuple[PathVariable, ...], kinds: list[KindApart], off: frozenset[int]) -> frozenset[int]:
    """Return the numbers of those *kinds* that can take a job with these requirements, which is kept off those numbered *off*."""
    there = {number: each.kind for number, each in enumerate(kinds) if number not in off}
    able = {id(kind) for kind in able_kinds(need, paths, list(there.values()))}
    return frozenset(number for number, kind in there.items() if id(kind) in able)


def _completed(record: "Record", rows: list[Any]) -> set[str]:
    """Return the jobs that those of *rows* wait for no more. Paused, failed and deleted ones are waited for."""
    job, found = record.tables.Job, set[str]()
    wanted = list({after["job"] for row in rows for after in row.after_jobs})
    for first in range(0, len(wanted), _IDS_A_QUERY):
        those = job.select(job.id).where(job.id.in_(wanted[first : first + _IDS_A_QUERY]) & (job.status == JobStatus.COMPLETED))
        found |= {id for (id,) in those.tuples()}
    return found


def _waits_for_night(row: Any) -> bool:
    """Return whether the job of *row* waits for the night, perhaps the one after its time to start: the record does not know when
    it begins."""
    return bool(row.night and row.waiting_for == TIME)
