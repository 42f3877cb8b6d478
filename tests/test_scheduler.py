"""The scheduler decides by class what a simple one decides by comparing every job with every worker."""

import re
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brender.model.devices import Device
from brender.model.eligibility import general_obstacle
from brender.model.job import Requirements
from brender.model.nodes import Blender, WorkerInfo, dotted
from brender.model.obstacle import Obstacle
from brender.model.paths import PathVariable
from brender.scheduling import classes
from brender.scheduling.assignment import assign
from brender.scheduling.audit import audit
from brender.scheduling.fitting import hindrance
from brender.scheduling.reasons import Causes, Reasons
from brender.scheduling.recalls import Recalls
from brender.scheduling.roster import Roster
from brender.scheduling.terms import NOT_ALONE, Demand, Held, Take, TakeBack
from tests import simple_scheduler
from tests.simple_scheduler import Slot, is_unfit, urgency

PLENTY = 1_000_000
PATHS = (PathVariable("projects", "linux", "/mnt/projects"), PathVariable("projects", "windows", "P:\\", "south"))

tag_sets = st.frozensets(st.sampled_from(["gpu", "fast", "alone"]), max_size=2)
_PLACES = [
    {},
    {"reads": ("/mnt/a.blend",), "writes": ("/mnt/out",)},
    {"reads": ("{projects}/a.blend",), "writes": ("/srv/out",)},
    {"writes": ("/srv/out",)},
]
versions = st.sampled_from([(3, 4, 1), (4, 2, 0), (5, 0, 1)])


@st.composite
def infos(draw: st.DrawFn, number: int) -> WorkerInfo:
    return WorkerInfo(
        id=f"w{number}",
        incarnation=number,
        name=f"m{number}",
        host=draw(st.sampled_from(["", f"host {number}", "shared", "shared"])),
        platform=draw(st.sampled_from(["Linux-6.1", "Windows-11"])),
        blenders=tuple(
            Blender("executable", f"/opt/{number}/blender", version)
            for version in draw(st.lists(versions, max_size=2, unique=True))
        ),
        tags=draw(tag_sets),
        job_types=frozenset({"command"}) | draw(st.sampled_from([frozenset(), frozenset({"video"})])),
        programs=draw(st.sampled_from([frozenset({"*"}), frozenset({"ffmpeg"})])),
        takes_trusted=draw(st.booleans()),
        site=draw(st.sampled_from(["", "south"])),
        folders=draw(st.sampled_from([(), (), ("/mnt",), ("/srv", "P:\\")])),
        readable=draw(st.sampled_from([(), ("/srv",)])),
        pool=draw(st.sampled_from(["", "film", "series"])),
        cores=draw(st.sampled_from([2, 4])),
        devices=(Device(kind="cuda", name=draw(st.sampled_from(["a", "b"]))),),
        gpu_memory=draw(st.sampled_from([0, 8])),
    )


@st.composite
def needs(draw: st.DrawFn) -> Requirements:
    return Requirements(
        job_type=draw(st.sampled_from(["command", "video"])),
        tags=draw(st.one_of(st.just(frozenset[str]()), tag_sets)),
        blender=(blender := draw(st.sampled_from([None, None, (4, 2), (5, 0)]))),
        oldest_blender=draw(st.sampled_from([None, (3, 4, 0), (4, 2, 5)])) if blender else None,
        program=draw(st.sampled_from(["", "ffmpeg", "true"])),
        trusted=draw(st.sampled_from([False, False, True])),
        variables=draw(st.sampled_from([frozenset(), frozenset({"projects"})])),
        pool=draw(st.sampled_from(["", "", "film"])),
        licences=draw(st.sampled_from([(), (), ("nuke",), ("houdini", "nuke")])),
        cores=draw(st.sampled_from([0, 0, 0, 1, 3])),
        gpu_memory=draw(st.sampled_from([0, 0, 0, 3, 6])),
        **draw(st.sampled_from(_PLACES)),
    )


@st.composite
def slots(draw: st.DrawFn, number: int) -> Slot:
    serving, is_open = draw(st.sampled_from([(True, True)] * 6 + [(True, False), (False, False)]))
    slot = Slot(draw(infos(number)), is_open, draw(st.integers(0, 3)), draw(st.sampled_from([None, 1, 2, 3])), serving)
    if slot.count and slot.worker.host:
        slot.reserved, slot.alone = draw(st.sampled_from([0, 0, 1, 2])), draw(st.sampled_from([False] * 5 + [True]))
    if slot.count:
        slot.tail = draw(st.sampled_from(["", "j0", "j1", "j2", "gone"]))
        slot.cores, slot.gpu_memory = draw(st.sampled_from([(0, 0), (0, 0), (1, 0), (2, 5)]))
    return slot


@st.composite
def demands(draw: st.DrawFn, number: int, need: st.SearchStrategy[Requirements]) -> Demand:
    return Demand(
        job=f"j{number}",
        priority=draw(st.sampled_from([10, 50, 90])),
        order=number,
        live=draw(st.integers(0, 3)),
        queued=draw(st.integers(0, 5)),
        need=(asked := draw(need)),
        mean_seconds=draw(st.sampled_from([None, 0.1, 1.0, 60.0])),
        kept_off=draw(st.frozensets(st.sampled_from([f"w{n}" for n in range(8)]), max_size=2)),
        memory=draw(st.sampled_from([0, 0, 2, 3])),
        paths=PATHS if asked.variables else (),
        alone=draw(st.sampled_from([False] * 5 + [True])),
        project=draw(st.sampled_from(["", "film", "series"])),
        user=draw(st.sampled_from(["", "ada", "ben"])),
        most=draw(st.sampled_from([0, 0, 0, 1, 4])),
        rush=draw(st.sampled_from([False] * 5 + [True])),
    )


@st.composite
def uses(draw: st.DrawFn) -> simple_scheduler.Used:
    """What projects and users have used: no two the same, whatever is added to it."""
    who = [(project, user) for project in ("", "film", "series") for user in ("", "ada", "ben")]
    seconds = {each: draw(st.integers(0, 300)) + 2.0**-number for number, each in enumerate(who, 3)}
    names = [("project", "film"), ("project", "series"), ("user", "ada"), ("user", "ben")]
    weights = {each: draw(st.sampled_from([0.5, 1.0, 4.0])) for each in names}
    limited = draw(st.sets(st.sampled_from([*names, ("licence", "nuke"), ("licence", "houdini")]), max_size=3))
    return simple_scheduler.Used(seconds, weights, {each: draw(st.integers(0, 6)) for each in sorted(limited)})


def share(roster: Roster, used: simple_scheduler.Used) -> Roster:
    """Let *roster* know what was *used*; return it."""
    for (kind, name), weight in used.weights.items():
        roster.shares.set_weight(kind, name, weight)
    for who, seconds in used.seconds.items():
        roster.shares.set_used(*who, seconds)
    for gate, most in used.most.items():
        roster.set_limit(gate, most)
    return roster


@st.composite
def farms(draw: st.DrawFn) -> tuple[list[Slot], list[Demand]]:
    """Some slots, and jobs of a few kinds."""
    kinds = st.sampled_from(draw(st.lists(needs(), min_size=1, max_size=3)))
    workers = [draw(slots(number)) for number in range(draw(st.integers(0, 7)))]
    return workers, [draw(demands(number, kinds)) for number in range(draw(st.integers(0, 6)))]


def roster_of(workers: Sequence[Slot], jobs: Sequence[Demand]) -> Roster:
    free = {slot.worker.id: slot.free for slot in workers}
    roster = Roster(lambda worker: free[worker])
    for slot in workers:
        tell(roster, slot)
    for job in jobs:
        roster.job_changed(replace(job))
    roster.catch_up(PLENTY)
    return roster


def tell(roster: Roster, slot: Slot) -> None:
    how = slot.count, slot.serving, slot.open, slot.reserved, slot.alone, slot.tail, slot.cores, slot.gpu_memory
    roster.worker_changed(slot.worker, *how)


def copies(workers: Sequence[Slot]) -> list[Slot]:
    return [replace(slot) for slot in workers]


@given(st.data())
def test_workers_of_one_class_cannot_be_told_apart(data: st.DataObject) -> None:
    info, need = data.draw(infos(1)), data.draw(needs())
    assert general_obstacle(need, PATHS, info) == general_obstacle(
        need, PATHS, classes.common_info(info, need.tags, need.reserves)
    )


@given(farms(), uses())
def test_it_gives_each_worker_what_the_simple_one_gives(
    farm: tuple[list[Slot], list[Demand]], used: simple_scheduler.Used
) -> None:
    workers, jobs = farm
    roster = share(roster_of(workers, jobs), used)
    expected = simple_scheduler.assign([replace(job) for job in jobs], copies(workers), used)
    assignment = assign(roster, PLENTY)
    assert assignment.takes == expected and assignment.complete
    assert audit(roster) == []


@given(farms(), st.integers(1, 60))
def test_what_a_round_has_no_time_for_is_decided_in_the_next(farm: tuple[list[Slot], list[Demand]], budget: int) -> None:
    workers, jobs = farm
    expected = assign(roster_of(workers, jobs), PLENTY).takes
    roster, takes = roster_of(workers, jobs), list[Take]()
    for _ in range(300):
        assignment = assign(roster, budget)
        takes += assignment.takes
        if assignment.complete:
            break
    assert assignment.complete and takes == expected


@given(farms())
def test_it_gives_the_reasons_that_the_simple_one_gives(farm: tuple[list[Slot], list[Demand]]) -> None:
    workers, jobs = farm
    reasons = Reasons(roster_of(workers, jobs), simple_scheduler.closed)
    for job in jobs:
        assert reasons.reason(job.job) == simple_scheduler.explain(job, workers)


# --- changes ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.data())
def test_after_any_changes_it_is_what_it_would_be_from_nothing(data: st.DataObject) -> None:
    """And after each round no worker that may take something waits beside a task that it could run."""
    kinds = st.sampled_from(data.draw(st.lists(needs(), min_size=1, max_size=3)))
    workers: dict[str, Slot] = {}
    jobs: dict[str, Demand] = {}
    roster = Roster(lambda worker: workers[worker].free)
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from(["worker", "worker", "job", "job", "round", "worker gone", "job closed"])):
            case "worker":
                slot = data.draw(slots(data.draw(st.integers(0, 7))))
                workers[slot.worker.id] = slot
                tell(roster, slot)
            case "job":
                job = data.draw(demands(data.draw(st.integers(0, 5)), kinds))
                jobs[job.job] = job
                roster.job_changed(replace(job))
            case "worker gone" if workers:
                gone = data.draw(st.sampled_from(sorted(workers)))
                roster.worker_gone(gone)
                del workers[gone]
            case "job closed" if jobs:
                gone = data.draw(st.sampled_from(sorted(jobs)))
                roster.job_closed(gone)
                del jobs[gone]
            case "round":
                assignment = assign(roster, data.draw(st.sampled_from([1, 30, PLENTY])))
                for take in assignment.takes:
                    assert not is_unfit(jobs[take.job], workers[take.worker], workers.values())
                    simple_scheduler.take(workers[take.worker], jobs[take.job])
                    jobs[take.job].live += 1
                    jobs[take.job].queued -= 1
                if assignment.idle_served:
                    left = [replace(slot, open=slot.open and not slot.count) for slot in workers.values()]
                    assert simple_scheduler.assign([replace(job) for job in jobs.values()], left) == []
        assert audit(roster) == []


def test_a_worker_that_was_an_exception_takes_the_next_job_that_it_fits() -> None:
    workers, need = [slot_of("w1", free=1)], Requirements(job_type="command")
    roster = roster_of(workers, [Demand("large", 50, 1, 0, 3, need, memory=2)])
    assert assign(roster, PLENTY).takes == []
    roster.job_changed(Demand("small", 10, 2, 0, 1, need))
    assert assign(roster, PLENTY).takes == [Take("w1", "small")]


def test_two_slots_of_a_machine_do_not_start_frames_that_do_not_fit_together() -> None:
    need = Requirements(job_type="command")
    slots = [slot_of(name, free=640, host=host) for name, host in (("w1", "a"), ("w2", "a"), ("w3", "b"))]
    roster = roster_of(slots, [Demand("job", 50, 1, 0, 9, need, memory=463, mean_seconds=60.0)])
    assert {take.worker for take in assign(roster, PLENTY).takes} == {"w1", "w3"}
    exception = hindrance(roster.jobs["job"].demand, roster.workers["w2"], roster.free)
    assert exception is not None and exception.one.startswith("has 0.0 GB of memory free beside")
    roster.worker_changed(slots[0].worker, 1, reserved=0)  # it holds all that it needs: what is free is free
    assert "w2" in {take.worker for take in assign(roster, PLENTY).takes}
    assert audit(roster) == []


def test_what_ran_out_of_memory_renders_with_nothing_beside_it() -> None:
    need = Requirements(job_type="command")
    slots = [slot_of("w1", host="a", count=2), slot_of("w2", host="a")]
    jobs = [Demand("killed", 50, 1, 0, 1, need, alone=True), Demand("other", 10, 2, 0, 0, need)]
    roster = roster_of(slots, jobs)
    assert assign(roster, PLENTY).takes == []
    assert hindrance(roster.jobs["killed"].demand, roster.workers["w2"], roster.free) == NOT_ALONE
    roster.worker_changed(slots[0].worker, 0)
    assert assign(roster, PLENTY).takes == [Take("w1", "killed")]
    roster.job_changed(Demand("other", 10, 2, 0, 5, need))
    assert assign(roster, PLENTY).takes == [], "nothing starts at w2 meanwhile, nor is to follow at w1"
    roster.worker_changed(slots[0].worker, 0)
    assert "w2" in {take.worker for take in assign(roster, PLENTY).takes}
    assert audit(roster) == []


def test_a_worker_that_is_readmitted_takes_the_job_again() -> None:
    need = Requirements(job_type="command")
    roster = roster_of([slot_of("w1")], [Demand("job", 50, 1, 0, 1, need, kept_off={"w1"})])
    assert assign(roster, PLENTY).takes == []
    roster.job_changed(Demand("job", 50, 1, 0, 1, need))
    assert assign(roster, PLENTY).takes == [Take("w1", "job")]


def test_a_tag_that_a_job_asks_for_first_tells_workers_apart() -> None:
    workers = [slot_of(f"w{number}", tags={f"host-{number}"}) for number in range(5)]
    roster = roster_of(workers, [])
    assert len(roster.classes.of_workers) == 1
    roster.job_changed(Demand("job", 50, 1, 0, 3, Requirements(job_type="command", tags=frozenset({"host-3"}))))
    assert assign(roster, PLENTY).takes[0] == Take("w3", "job")
    assert len(roster.classes.of_workers) == 2 and audit(roster) == []


def test_eligibility_is_asked_once_for_each_pair_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(need: Requirements, paths: tuple[PathVariable, ...], worker: WorkerInfo) -> Obstacle | None:
        asked.append(need)
        return general_obstacle(need, paths, worker)

    monkeypatch.setattr(classes, "general_obstacle", counted)
    gpu = frozenset({"gpu"})
    workers = [slot_of(f"w{number}", tags=gpu if number % 2 else ()) for number in range(200)]
    jobs = [
        Demand(f"j{n}", 50, n, 0, 9, Requirements(job_type="command", tags=gpu if n % 2 else frozenset())) for n in range(100)
    ]
    roster = roster_of(workers, jobs)
    reasons = Reasons(roster, simple_scheduler.closed)
    assert len(assign(roster, PLENTY).takes) == 400
    assert len({reasons.reason(job.job) for job in jobs}) == 2
    assert len(asked) <= 6


def test_where_the_able_workers_take_nothing_it_is_said_why_the_idle_ones_may_not() -> None:
    """Each job's own folders are named, although all the jobs are of one class."""
    jobs = [Demand(f"j{n}", 50, n, 1, 1, Requirements(job_type="command", writes=frozenset({f"/mnt/{n}"}))) for n in range(2)]
    workers = [slot_of("w0"), slot_of("penny", folders=("/srv",))]
    workers[0].open = False
    reasons = Reasons(roster_of(workers, jobs), simple_scheduler.closed)
    for n in range(2):
        assert reasons.reason(f"j{n}") == (
            "The only worker that can run it takes no new tasks. The worker w0 is disabled: enable. "
            f"The worker penny may not write to /mnt/{n}: add `--allow-folder /mnt/{n}` to those that it has"
        )


# --- recalls ----------------------------------------------------------------------------------------------------------------


def slot_of(
    worker: str,
    count: int = 0,
    tags: Sequence[str] | frozenset[str] | set[str] = (),
    free: int | None = None,
    host: str = "",
    folders: tuple[str, ...] = (),
) -> Slot:
    info = WorkerInfo(
        id=worker, incarnation=1, name=worker, host=host, tags=frozenset(tags), job_types=frozenset({"command"}), folders=folders
    )
    return Slot(info, count=count, free=free)


@st.composite
def held_farms(draw: st.DrawFn, recalling: bool = False) -> tuple[list[Slot], list[Demand]]:
    """A farm whose workers hold what they have not begun."""
    workers, jobs = draw(farms())
    known = [job.job for job in jobs] + ["paused"]
    priorities = {job.job: job.priority for job in jobs} | {"paused": 10}
    for slot in workers:
        if slot.count > 1:
            names = draw(st.lists(st.sampled_from(known), min_size=slot.count - 1, max_size=slot.count - 1))
            slot.waiting = [
                Held(f"{slot.worker.id}-{number}", job, priorities[job], recalling and draw(st.booleans()))
                for number, job in enumerate(names)
            ]
            for job in jobs:
                job.live += names.count(job.job)
    return workers, jobs


@st.composite
def crowded_farms(draw: st.DrawFn) -> tuple[list[Slot], list[Demand]]:
    """A farm of two kinds of workers, some of them idle, and others that hold what they have not begun."""
    plain, gpu = (Requirements(job_type="command", tags=frozenset(tags)) for tags in ((), ("gpu",)))
    jobs = [
        Demand(f"job{number}", priority, number, 0, draw(st.integers(0, 3)), draw(st.sampled_from([plain, gpu])))
        for number, priority in enumerate(draw(st.lists(st.sampled_from([10, 50, 90]), min_size=2, max_size=4)))
    ]
    workers = []
    for number in range(draw(st.integers(2, 5))):
        slot = slot_of(f"worker{number}", draw(st.sampled_from([0, 1, 3])), draw(st.sampled_from([(), ("gpu",)])))
        slot.waiting = [
            Held(f"{number}-{each}", job.job, job.priority, draw(st.sampled_from([False, False, True])))
            for each, job in enumerate(draw(st.sampled_from(jobs)) for _ in range(slot.count - 1))
        ]
        for held in slot.waiting:
            next(job for job in jobs if job.job == held.job).live += 1
        workers.append(slot)
    return workers, jobs


def recalls_of(workers: Sequence[Slot], jobs: Sequence[Demand]) -> Recalls:
    held = {slot.worker.id: slot.waiting for slot in workers}
    roster = roster_of(workers, jobs)
    roster.job_closed("paused", 10, sum(each.job == "paused" for waiting in held.values() for each in waiting))
    return Recalls(roster, lambda worker: held[worker])


def of_one_urgency(jobs: Sequence[Demand]) -> list[Demand]:
    """The jobs with the same priority and without a pool: at workers of its pool, a job is more urgent than others."""
    return [replace(job, priority=50, need=msgspec.structs.replace(job.need, pool="")) for job in jobs]


@given(held_farms())
def test_idle_workers_ask_back_what_they_do_for_the_simple_one(farm: tuple[list[Slot], list[Demand]]) -> None:
    workers, jobs = farm
    jobs = of_one_urgency(jobs)
    for slot in workers:
        slot.waiting = [held._replace(priority=50) for held in slot.waiting]
    assert recalls_of(workers, jobs).take_back(PLENTY) == simple_scheduler.relieve(jobs, workers)


@given(held_farms(recalling=True))
def test_only_what_helps_someone_is_asked_back(farm: tuple[list[Slot], list[Demand]]) -> None:
    workers, jobs = farm
    for back in recalls_of(workers, jobs).take_back(PLENTY):
        assert helps(back, workers, jobs)


@given(held_farms(recalling=True), st.integers(20, 60))
def test_what_a_round_has_no_time_to_ask_back_is_asked_back_in_the_next(
    farm: tuple[list[Slot], list[Demand]], budget: int
) -> None:
    workers, jobs = farm
    expected = recalls_of(workers, jobs).take_back(PLENTY)
    held, asked = {slot.worker.id: slot.waiting for slot in workers}, list[TakeBack]()
    recalls = Recalls(recalls_of(workers, jobs).roster, lambda worker: held[worker])
    for _ in range(200):
        for back in recalls.take_back(budget):
            assert helps(back, workers, jobs)
            asked.append(back)
            held[back.worker] = [
                each._replace(recalling=each.recalling or each.attempt == back.attempt) for each in held[back.worker]
            ]
        if not recalls.behind:
            break
    assert not recalls.behind and bool(asked) == bool(expected)


@settings(max_examples=100)
@given(st.lists(crowded_farms(), min_size=2, max_size=5))
def test_what_is_asked_back_does_not_depend_on_what_was_before(farms: list[tuple[list[Slot], list[Demand]]]) -> None:
    held: dict[str, Sequence[Held]] = {}
    free: dict[str, int | None] = {}
    roster = Roster(lambda worker: free[worker])
    recalls = Recalls(roster, lambda worker: held[worker])
    for workers, jobs in farms:
        version = roster.version
        held |= {slot.worker.id: slot.waiting for slot in workers}
        free |= {slot.worker.id: slot.free for slot in workers}
        for gone in roster.workers.keys() - {slot.worker.id for slot in workers}:
            roster.worker_gone(gone)
        for slot in workers:
            tell(roster, slot)
        for closed in roster.jobs.keys() - {job.job for job in jobs}:
            roster.job_closed(closed)
        roster.job_closed("paused", 10, sum(each.job == "paused" for slot in workers for each in slot.waiting))
        for job in jobs:
            roster.job_changed(replace(job))
        roster.catch_up(PLENTY)
        workers.sort(key=lambda slot: roster.workers[slot.worker.id].order)
        asked, expected = recalls.take_back(PLENTY), recalls_of(workers, jobs).take_back(PLENTY)
        assert asked == expected or roster.version == version


def test_a_look_that_takes_several_rounds_comes_to_its_end() -> None:
    """Idle workers that have too little memory for what waits at others, and a job that may use few of the busy ones."""
    idle = [slot_of(f"idle{number}", free=1) for number in range(5)]
    busy = [slot_of(f"busy{number}", count=2, tags=("gpu",), free=number) for number in range(9)]
    for slot in busy:
        slot.waiting = [Held(f"{slot.worker.id}-0", "large", 50)]
    need, gpu = Requirements(job_type="command"), Requirements(job_type="command", tags=frozenset({"gpu"}))
    recalls = recalls_of(
        idle + busy, [Demand("large", 50, 1, 9, 0, need, memory=2), Demand("urgent", 90, 2, 0, 1, gpu, memory=8)]
    )
    asked, rounds = recalls.take_back(20), 1
    while recalls.behind and rounds < 50:
        asked, rounds = asked + recalls.take_back(20), rounds + 1
    assert asked == [TakeBack("busy8", "busy8-0")] and rounds < 50


def test_a_look_for_an_urgent_job_goes_on_where_its_budget_ended() -> None:
    busy = [slot_of(f"busy{number}", count=2, free=1) for number in range(39)] + [slot_of("large", count=2, free=8)]
    for slot in busy:
        slot.waiting = [Held(f"{slot.worker.id}-0", "small", 50)]
    need = Requirements(job_type="command")
    recalls = recalls_of(busy, [Demand("small", 50, 1, 40, 0, need), Demand("urgent", 90, 2, 0, 1, need, memory=8)])
    asked, rounds = recalls.take_back(30), 1
    while recalls.behind and rounds < 50:
        asked, rounds = asked + recalls.take_back(30), rounds + 1
    assert asked == [TakeBack("large", "large-0")] and rounds < 50


def test_what_a_job_with_one_live_attempt_leaves_behind_is_looked_at_again_when_it_closes() -> None:
    need = Requirements(job_type="command")
    for live, moved in ((0, False), (1, True)):
        roster = roster_of([slot_of("w", count=live)], [Demand("j", 50, 1, live, 0, need)])
        roster.grants_moved = False
        roster.job_closed("j", 50, live)
        assert roster.grants_moved is moved


def test_a_worker_that_may_lose_data_is_left_out_only_while_one_that_loses_nothing_serves() -> None:
    def worker(major: int, minor: int) -> WorkerInfo:
        blender = Blender("executable", "/blender", (major, minor, 0))
        return msgspec.structs.replace(slot_of(f"{major}.{minor}").worker, blenders=(blender,))

    need = Requirements(job_type="command", blender=(5, 0), oldest_blender=(4, 2, 0))
    roster = roster_of([Slot(worker(4, 2))], [Demand("j", 50, 1, 0, 3, need)])

    def able() -> set[str]:
        roster.catch_up(PLENTY)
        return {dotted(blender.version[:2]) for kind in roster.jobs["j"].kind.able for blender in kind.info.blenders}

    assert able() == {"4.2"}
    roster.worker_changed(worker(5, 0), 0)
    assert able() == {"5.0"}
    roster.worker_changed(worker(4, 5), 0)  # (of a class that is new while the job waits)
    assert able() == {"5.0"}
    roster.worker_changed(worker(5, 0), 0, serving=False)
    assert able() == {"4.2", "4.5", "5.0"}


@given(held_farms())
def test_an_urgent_job_asks_back_as_many_less_urgent_grants_as_it_can_use(farm: tuple[list[Slot], list[Demand]]) -> None:
    workers, jobs = farm
    workers = [replace(slot, count=max(1, slot.count)) for slot in workers]  # nobody is idle
    asked = recalls_of(workers, jobs).take_back(PLENTY)
    assert len({back.worker for back in asked}) == len(asked), "one grant of a worker at a time"
    assert bool(asked) == bool(simple_scheduler.preempt(jobs, workers))
    own = {job.job for job in jobs if job.need.pool}  # (what is of a worker's own pool may be more urgent there)
    for job in (each for each in jobs if each.priority == 90 and each.wants_more):
        could = [
            slot
            for slot in workers
            if slot.open
            and not is_unfit(job, slot, workers)
            and any(held.priority < 90 and held.job not in own for held in slot.waiting)
        ]
        assert len(asked) >= min(job.queued, job.most - job.live if job.most else job.queued, len(could))


def helps(back: TakeBack, workers: Sequence[Slot], jobs: Sequence[Demand]) -> bool:
    """Whether an idle worker could run the grant, or a more urgent job that waits could run at its worker."""
    slot = next(slot for slot in workers if slot.worker.id == back.worker)
    held = next(held for held in slot.waiting if held.attempt == back.attempt)
    job = next((job for job in jobs if job.job == held.job), None)
    idle = [each for each in workers if each.open and not each.count]
    relieved = job is not None and any(not is_unfit(job, each, workers) for each in idle)
    here = urgency(held.priority, job, slot)
    urgent = [each for each in jobs if each.wants_more and urgency(each.priority, each, slot) > here]
    return slot.open and not held.recalling and (relieved or any(not is_unfit(each, slot, workers) for each in urgent))


def test_workers_that_cannot_run_what_waits_elsewhere_cost_nothing() -> None:
    read = []

    def waiting(worker: str) -> list[Held]:
        read.append(worker)
        return [Held(f"{worker}-1", "job", 50)]

    workers = [slot_of(f"idle{n}") for n in range(300)] + [slot_of(f"busy{n}", count=2, tags=["gpu"]) for n in range(300)]
    roster = roster_of(workers, [Demand("job", 50, 1, 600, 9, Requirements(job_type="command", tags=frozenset({"gpu"})))])
    recalls = Recalls(roster, waiting)
    assert recalls.take_back(PLENTY) == [] and not read
    roster.worker_changed(workers[-1].worker, 2)
    assert recalls.take_back(PLENTY) == [] and not read


def test_a_worker_that_may_not_use_a_jobs_folders_is_not_given_it() -> None:
    need = Requirements(job_type="command", reads=("/mnt/x/a.blend",), writes=("/mnt/x/out",))
    slots = [slot_of(name, folders=("/srv",)) for name in ("w1", "w2")]
    roster = roster_of(slots, [Demand(f"job-{number}", 50, number, 0, 1, need) for number in range(100)])
    assert assign(roster, PLENTY).takes == []
    assert Reasons(roster, simple_scheduler.closed).reason("job-3") == (
        "No worker can run it. The workers w1 and w2 may not read /mnt/x/a.blend nor write to /mnt/x/out: "
        "add `--allow-folder /mnt/x` to those that they have"
    )
    roster.worker_changed(slot_of("w3", folders=("/mnt/x", "/srv")).worker, 0)
    rounds = [assign(roster, 50) for _ in range(200)]
    assert next(take for each in rounds for take in each.takes) == Take("w3", "job-0"), (
        "the oldest, though jobs are compared anew"
    )
    assert not rounds[0].complete and rounds[-1].complete and len(roster.classes.of_jobs) == 1
    assert audit(roster) == []


def test_jobs_in_folders_of_their_own_are_of_few_classes() -> None:
    jobs = [
        Demand(f"job-{n}", 50, n, 0, 1, Requirements(job_type="command", writes=(f"/mnt/{n % 2}/shot-{n}",))) for n in range(50)
    ]
    roster = roster_of([slot_of("w1", folders=("/mnt/1",)), slot_of("w2", folders=("/srv",)), slot_of("w3")], jobs)
    assert len(roster.classes.of_jobs) == 2 and {take.worker for take in assign(roster, PLENTY).takes} == {"w1", "w3"}
    for _ in range(20):  # one that leaves and comes back, with the same limits, is not compared anew
        roster.worker_gone("w2")
        roster.worker_changed(slot_of("w2", folders=("/srv",)).worker, 0)
        assert not roster.stale and len(roster.classes.limits) == 2


def test_a_changed_worker_is_of_the_class_of_its_new_tags() -> None:
    slot = slot_of("w1")
    roster = roster_of([slot], [Demand("job", 50, 1, 0, 1, Requirements(job_type="command", tags=frozenset({"gpu"})))])
    assert assign(roster, PLENTY).takes == []
    roster.worker_changed(msgspec.structs.replace(slot.worker, tags=frozenset({"gpu"})), 0)
    assert assign(roster, PLENTY).takes == [Take("w1", "job")] and audit(roster) == []


_WORKER = WorkerInfo(id="w", incarnation=1, name="w", host="h", platform="Linux-6.1", job_types=frozenset({"command"}))


def test_workers_with_the_same_cause_are_counted_together_whatever_is_said_of_each() -> None:
    short = Demand("j", 50, 1, 0, 1, need=Requirements(job_type="command"), memory=2 * 10**9)
    causes = Causes()
    for order, (name, free) in enumerate({"a": 10**9, "b": 15 * 10**8}.items()):
        obstacle = short.exception(name, free)
        assert obstacle is not None
        causes.add(obstacle, 1, [(order, name)])
    assert causes.said().startswith("The workers a and b have less memory free than the 2.0 GB that a frame of it needed: ")


_FORMS = [
    re.compile(form)
    for form in (
        r"$|No worker (can run it|is connected)$|Start one with `brender-worker`$",
        r"The only worker that can run it(, m\d, is busy| takes no new tasks)$",
        r"(Both|All [3-7]) workers that can run it are busy$|None of the [2-7] workers that can run it takes new tasks$",
        r"The worker m\d (lacks|has|does not|allows|cannot|may not|failed|is|sleeps) ?",
        r"(The workers m\d(, m\d)? and m\d|[4-7] workers \((m\d, ){2}m\d and [1-4] more\)) "
        r"(lack|have|do not|cannot|may not|failed|are|sleep) ?",
        r"It may have [14] tasks? out at a time \(`--most-workers`\), and has [1-4]: it waits until one is done$",
        r"1 more worker cannot, for other reasons$|[2-4] more workers cannot, for other reasons$",
    )
]


@given(farms())
def test_every_reason_is_made_of_sentences_whose_numbers_agree(farm: tuple[list[Slot], list[Demand]]) -> None:
    workers, jobs = farm
    reasons = Reasons(roster_of(workers, jobs), simple_scheduler.closed)
    for job in jobs:
        reason = reasons.reason(job.job)
        for wrong in ("worker worker", "1 workers", "All 1 ", "All 2 ", "<", "None", " its ", "  "):
            assert wrong not in reason.replace("None of the", ""), reason
        for sentence in reason.split(". "):
            assert any(form.match(sentence) for form in _FORMS), sentence
        assert len(named := re.findall(r"\bm[0-7]\b", re.sub("`.*?`", "", reason))) == len(set(named)), "each has one cause"


def test_an_idle_worker_relieves_one_that_holds_the_only_task_of_its_kind() -> None:
    held = Held("w1-0", "j0", 50)
    busy = Slot(msgspec.structs.replace(_WORKER, id="w1", programs=frozenset({"*"})), count=2, waiting=[held])
    idle = Slot(msgspec.structs.replace(_WORKER, id="w0", programs=frozenset({"*"})))
    job = Demand("j0", 50, 0, 1, 0, Requirements(job_type="command"))
    assert recalls_of([idle, busy], [job]).take_back(PLENTY) == [TakeBack("w1", "w1-0")]


def test_an_urgent_job_asks_back_one_grant_for_each_task_that_waits() -> None:
    """Whatever the places of the workers among all: these are many more than there are priorities."""
    need = Requirements(job_type="command")
    idle_elsewhere = [slot_of(f"none{number}", count=1) for number in range(100)]
    busy = [slot_of(f"busy{number}", count=2) for number in range(4)]
    for slot in busy:
        slot.waiting = [Held(f"{slot.worker.id}-0", "calm", 10)]
    for queued in (1, 2, 3):
        jobs = [Demand("calm", 10, 1, 4, 0, need), Demand("urgent", 60, 2, 0, queued, need)]
        asked = recalls_of(idle_elsewhere + busy, jobs).take_back(PLENTY)
        assert asked == [TakeBack(slot.worker.id, f"{slot.worker.id}-0") for slot in busy[:queued]]


def test_a_round_gives_out_no_more_than_it_has_time_for() -> None:
    need = Requirements(job_type="command")
    roster = roster_of([slot_of(f"w{number}") for number in range(60)], [Demand("job", 50, 1, 0, 60, need)])
    first = assign(roster, 40)
    assert 0 < len(first.takes) < 40 and not first.idle_served
    taken, rounds = len(first.takes), 1
    while not first.idle_served and rounds < 60:
        first, rounds = assign(roster, 40), rounds + 1
        taken += len(first.takes)
    assert taken == 60 and rounds > 2


def test_a_slot_that_waited_for_memory_has_that_of_a_slot_that_left() -> None:
    need = Requirements(job_type="command")
    slots = [slot_of(name, free=640, host="a") for name in ("w1", "w2")]
    roster = roster_of(slots, [Demand("job", 50, 1, 0, 1, need, memory=463, mean_seconds=60.0)])
    assert [take.worker for take in assign(roster, PLENTY).takes] == ["w1"]
    roster.job_changed(Demand("job", 50, 1, 1, 1, need, memory=463, mean_seconds=60.0))
    assert "w2" not in {take.worker for take in assign(roster, PLENTY).takes}
    roster.job_changed(Demand("job", 50, 1, 2, 1, need, memory=463, mean_seconds=60.0))
    roster.worker_gone("w1")
    assert [take.worker for take in assign(roster, PLENTY).takes] == ["w2"]
