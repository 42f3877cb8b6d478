"""The scheduler's audit says what is wrong with a roster, and a roster keeps nothing of what has left."""

from bisect import insort
from collections.abc import Callable

import msgspec
import pytest

from brender.model.nodes import Blender
from brender.model.obstacle import Obstacle
from brender.scheduling.assignment import assign
from brender.scheduling.audit import audit
from brender.scheduling.classes import Machine
from brender.scheduling.reasons import Causes, Reasons
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Demand
from tests.rosters import NEED, PLENTY, info, job, set_count


def roster_of(*jobs: Demand, free: int | None = None) -> Roster:
    """An idle worker and one with two grants on one machine, and one that takes nothing and may use one folder only."""
    roster = Roster(lambda worker: free)
    roster.worker_changed(info("idle", "a"), 0)
    roster.worker_changed(info("busy", "a"), 2, reserved=1)
    roster.worker_changed(info("shut", folders=("/srv",)), 0, serving=False)
    for each in jobs:
        roster.job_changed(each)
    roster.catch_up(PLENTY)
    return roster


def sort_into_eager(roster: Roster) -> None:
    worker = roster.workers["idle"]
    insort(worker.kind.eager, worker.order)


def forget_a_class(roster: Roster) -> None:
    kind, shut = roster.jobs["job"].kind, roster.workers["shut"].kind
    for known in (kind.obstacles, kind.able, kind.outside):
        known.pop(shut, None)  # type: ignore[attr-defined]


def change_info(roster: Roster) -> None:
    roster.workers["shut"].info = msgspec.structs.replace(roster.workers["shut"].info, takes_trusted=True)


def misplace(roster: Roster) -> None:
    roster.workers["idle"].place = roster.workers["idle"].kind.eager


def queue_the_shut(roster: Roster) -> None:
    worker = roster.workers["shut"]
    worker.stand_in(worker.kind.idle)


def machine_of(roster: Roster) -> Machine:
    return roster.machines.known["a", 0]


def count(what: str, worker: str = "idle") -> Callable[[Roster], None]:
    def more(roster: Roster) -> None:
        kind = roster.workers[worker].kind
        setattr(kind, what, getattr(kind, what) + 1)

    return more


def set_worker(worker: str, **values: object) -> Callable[[Roster], None]:
    def change(roster: Roster) -> None:
        for name, value in values.items():
            setattr(roster.workers[worker], name, value)

    return change


def set_job(**values: object) -> Callable[[Roster], None]:
    def change(roster: Roster) -> None:
        for name, value in values.items():
            setattr(roster.jobs["job"].kind, name, value)

    return change


_NEED = "Requirements(job_type='command', "


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda roster: roster.jobs["job"].kind.ready.clear(), "the ready jobs differ"),
        (set_job(waits=True), "the ready jobs differ"),
        (
            lambda roster: roster.ready.tops.clear(),
            "the bits of the classes of ready jobs, by the highest priority in each, differ",
        ),
        (set_job(reach=0), f"the bits of the classes of workers that can run jobs that need {_NEED}...differ"),
        (lambda roster: setattr(roster.jobs["job"].line, "reach", 0), "the bits of those that can run jobs of  in  differ"),
        (
            lambda roster: setattr(roster.ready, "tiny_mask", -1),
            f"the bits of the jobs that need {_NEED}...are (True, False, True)",
        ),
        (lambda roster: roster.ready.classes.clear(), "the classes of ready jobs differ"),
        (forget_a_class, f"jobs that need {_NEED}...were not compared with each class of workers"),
        (set_job(live=7), f"jobs that need {_NEED}...count 7 live attempts"),
        (lambda roster: roster.jobs["job"].kind.able.clear(), f"the classes that can run jobs that need {_NEED}...differ from"),
        (
            lambda roster: roster.jobs["job"].kind.outside.clear(),
            f"the classes that may not use the folders of jobs that need {_NEED}...differ from those that are said to be",
        ),
        (set_job(inside=frozenset({1})), f"a job that needs {_NEED}...is not in the limits that its class is in"),
        (lambda roster: roster.by_order.pop(1), "the worker idle is not where it should be"),
        (lambda roster: roster.workers["idle"].kind.workers.pop("idle"), "the worker idle is not where it should be"),
        (change_info, "the worker shut is in a class that is not its own"),
        (sort_into_eager, "the worker idle stands in the queues ['idle', 'eager']"),
        (misplace, "the worker idle stands in the queues ['idle']"),
        (queue_the_shut, "the worker shut is in a queue"),
        (lambda roster: roster.workers["idle"].stand_in(None), "the worker idle is not in a queue"),
        (set_worker("idle", count=1), "the worker idle with 1 grants is among the idle ones"),
        (set_worker("busy", count=0), "the worker busy with 0 grants is among the eager ones"),
        (lambda roster: roster.queues.hungry.clear(), "the worker idle could take something and is not asked"),
        (lambda roster: roster.queues.hungry.clear(), "the worker busy could take something and is not asked"),
        (lambda roster: roster.block(roster.workers["idle"]), "the worker idle could take a task of job and is kept waiting"),
        (lambda roster: roster.crowded.clear(), "the workers with more than one grant differ"),
        (
            lambda roster: setattr(machine_of(roster), "reserved", 5),
            "the machines count {('a', 0): (2, 1, 5, 0, 0)}, and have {('a', 0): (2, 1, 1, 0, 0)}",
        ),
        (lambda roster: roster.lonely.update(job=None), "the jobs that render alone differ"),
        (lambda roster: setattr(machine_of(roster), "kept", "job"), "the machines that are kept free differ"),
        (
            lambda roster: machine_of(roster).blocked.update({roster.workers["idle"]: None}),
            "a machine has workers among its blocked ones that are not",
        ),
        (count("open"), "a class counts 3 open and 1 resting workers, and has 2 and 1"),
        (count("resting"), "a class counts 2 open and 2 resting workers, and has 2 and 1"),
        (count("serving"), "a class counts 2 open and 1 resting workers, and has 2 and 1"),
    ],
)
def test_the_audit_says_what_is_wrong(wrong: Callable[[Roster], object], said: str) -> None:
    roster = roster_of(job(need=msgspec.structs.replace(NEED, writes=("/mnt/out",)), queued=2))
    assert audit(roster) == []
    wrong(roster)
    begins, _, ends = said.partition("...")
    found = audit(roster)
    assert any(each.startswith(begins) and ends in each and (ends or "{" in said or each == said) for each in found), found


def test_the_audit_says_nothing_before_jobs_were_compared_with_new_limits() -> None:
    roster = roster_of(job(need=msgspec.structs.replace(NEED, writes=("/mnt/out",))))
    roster.lonely["job"] = None
    roster.stale["job"] = None
    assert audit(roster) == []


# --- what has left ------------------------------------------------------------------------------------------------------


def remembered(roster: Roster) -> set[str]:
    """What *roster* has, of all that it is to forget with its workers and jobs."""
    held = vars(roster) | vars(roster.machines) | vars(roster.classes) | vars(roster.queues) | vars(roster.ready)
    return {name for name, value in held.items() if isinstance(value, dict) and value} - {"limits", "touched"}


def test_nothing_is_kept_of_workers_and_jobs_that_have_left() -> None:
    blend = msgspec.structs.replace(NEED, blender=(4, 2), oldest_blender=(4, 2, 0), reads=("/mnt/a.blend",))
    blender = (Blender("executable", "/b", (4, 2, 0)),)
    roster = Roster(lambda worker: 10)
    for each in (
        info("w1", "a", {"gpu", "fast"}, blenders=blender, folders=("/mnt",)),
        info("w2", "a"),
        info("w3", "b", {"gpu"}),
    ):
        roster.worker_changed(each, 0)
    roster.job_changed(job("picky", need=blend, kept_off={"w1"}, live=2))
    roster.job_changed(job("alone", 2, alone=True, priority=60))
    roster.job_changed(job("tagged", 3, need=msgspec.structs.replace(NEED, tags=frozenset({"gpu"})), memory=4))
    roster.job_changed(job("large", 3, memory=40))
    assert len(assign(roster, PLENTY).takes) > 1
    machine = roster.workers["w1"].machine
    assert machine is not None
    roster.machines.keep(machine, "alone")
    roster.job_changed(job("picky", need=blend, kept_off={"w1"}, live=1, priority=40))
    for name in ("picky", "alone", "tagged", "large"):
        roster.job_closed(name, 50, 1)
    assert (
        roster.live == {50: 4}
        and not roster.jobs
        and not roster.classes.of_jobs
        and not roster.lonely
        and not roster.ready.classes
    )
    for name in ("picky", "alone", "tagged", "large"):
        roster.job_closed(name)
    assert not roster.live
    for worker in ("w1", "w2", "w3", "nobody"):
        roster.worker_gone(worker)
    assert remembered(roster) == set() and roster.machines.solitary == 0


def test_jobs_forget_a_class_of_workers_that_has_left() -> None:
    roster = roster_of(job(need=msgspec.structs.replace(NEED, writes=("/mnt/out",))), job("other", queued=0))
    shut, kind = roster.workers["shut"].kind, roster.jobs["job"].kind
    assert list(kind.outside) == [shut] and shut in kind.needs.obstacles and shut in roster.jobs["other"].kind.able
    roster.worker_gone("shut")
    assert roster.is_behind and audit(roster) == []
    roster.catch_up(PLENTY)
    assert not roster.is_behind
    for each in (kind, roster.jobs["other"].kind):
        assert not each.outside and shut not in each.able and shut not in each.obstacles and shut not in each.needs.obstacles
    roster.job_closed("job")
    assert list(roster.classes.of_jobs.values()) == [roster.jobs["other"].kind] and audit(roster) == []


def test_a_change_that_may_concern_the_grants_of_others_is_noted() -> None:
    roster = roster_of(job("job", live=0))

    def moved(change: Callable[[], None]) -> bool:
        roster.grants_moved, before = False, roster.version
        roster.touched.clear()
        change()
        assert roster.version > before
        return roster.grants_moved

    assert not moved(lambda: roster.job_changed(job("second", live=0)))
    assert moved(lambda: roster.job_changed(job("third", live=1)))
    assert not moved(lambda: roster.job_changed(job("third", live=2)))
    assert moved(lambda: roster.job_changed(job("third", live=2, priority=60)))
    assert not moved(lambda: roster.job_closed("second"))
    assert moved(lambda: roster.job_closed("third", 60, 2)) and roster.live == {60: 2}
    tagged = msgspec.structs.replace(NEED, tags=frozenset({"gpu"}))
    assert not moved(lambda: roster.job_changed(job("job", need=tagged)))
    assert moved(lambda: roster.job_changed(job("job", live=1)))
    assert not moved(lambda: set_count(roster, "idle", 1)) and list(roster.touched) == ["idle"]
    assert roster.live == {60: 2, 50: 1}


# --- reasons ------------------------------------------------------------------------------------------------------------


def reasons_of(roster: Roster, said: str = "sleeps") -> Reasons:
    return Reasons(roster, lambda worker: Obstacle(said, said))


def test_a_reason_is_made_again_after_a_change_and_where_a_cause_is_another() -> None:
    roster, causes = roster_of(job()), ["sleeps"]
    reasons = Reasons(roster, lambda worker: Obstacle(causes[0], causes[0]))
    assert reasons.reason("job") == ""
    set_count(roster, "idle", 1)
    assert reasons.reason("job") == "Both workers that can run it are busy"
    roster.worker_gone("idle")
    assert reasons.reason("job") == "The only worker that can run it, busy, is busy"
    roster.worker_gone("busy")
    assert reasons.reason("job") == "The only worker that can run it takes no new tasks. The worker shut sleeps"
    causes[0] = "is disabled"
    assert reasons.reason("job").endswith("sleeps"), "which costs nothing"
    reasons.outdated()
    assert reasons.reason("job").endswith("is disabled")


def test_what_a_reason_costs_is_known() -> None:
    folders = msgspec.structs.replace(NEED, writes=("/mnt/out",))
    video = msgspec.structs.replace(NEED, job_type="video", writes=("/mnt/out",))
    jobs = [job(), job("folders", need=folders), job("video", need=video), job("memory", memory=1), job("off", kept_off={"idle"})]
    roster = roster_of(*jobs)
    reasons = reasons_of(roster)
    assert [reasons.looks(each.job) - 25 for each in jobs] == [2, 1, 10, 2 + 3, 2 + 1]
    assert reasons.reason("video") and reasons.looks("video") == 1, "it is said already"
    set_count(roster, "idle", 0, is_open=False)
    set_count(roster, "busy", 2, is_open=False)
    assert [reasons.looks("job"), reasons.looks("folders")] == [25 + 2 + 3 + 10, 25 + 1 + 2 + 30]
    for worker in ("idle", "busy"):
        roster.worker_gone(worker)
    roster.catch_up(PLENTY)
    assert reasons.looks("folders") == 25 + 5 + 20


def test_why_nobody_can_run_a_job_is_made_again_when_other_workers_come_or_it_needs_something_else() -> None:
    video = msgspec.structs.replace(NEED, job_type="video", writes=("/mnt/out",))
    roster = roster_of(job(need=video))
    reasons = reasons_of(roster)
    said = reasons.reason("job")
    set_count(roster, "idle", 1)
    assert said.startswith("No worker can run it") and reasons.reason("job") is said
    roster.worker_changed(info("w4", "b"), 0)
    assert "4 workers" in (more := reasons.reason("job")) and more != said
    roster.worker_changed(info("w4", "b", {"gpu"}), 0)
    assert reasons.reason("job") == more
    roster.job_changed(job(need=msgspec.structs.replace(video, job_type="other")))
    assert reasons.reason("job") not in (said, more)


def test_a_job_that_no_worker_could_ever_run_is_told_from_one_that_has_to_wait() -> None:
    off = {"idle", "busy", "shut"}
    jobs = [
        *(job(), job("memory", memory=99), job("video", need=msgspec.structs.replace(NEED, job_type="video"))),
        *(job("off", kept_off=off), job("some", kept_off={"idle"}), job("later", kept_off=off, put_off={"busy": "why"})),
    ]
    reasons = reasons_of(roster_of(*jobs, free=1))
    assert [each.job for each in jobs if reasons.nobody_can(each.job)] == ["video", "off"]


def test_the_commonest_causes_are_said_first_and_of_the_rest_how_many_there_are() -> None:
    causes = Causes()
    for number, (cause, workers) in enumerate({"a": 1, "b": 3, "c": 2, "d": 1, "e": 1}.items()):
        for each in range(workers):
            causes.add(Obstacle(cause, cause), 1, [(9 - each, f"{number}-{each}")])
    assert causes.said() == (
        "The workers 1-2, 1-1 and 1-0 b. The workers 2-1 and 2-0 c. The worker 0-0 a. 2 more workers cannot, for other reasons"
    )
    only = Causes()
    for cause in "abcd":
        only.add(Obstacle(cause, cause), 1, [(1, "w")])
    assert only.said().endswith(". 1 more worker cannot, for other reasons")
    only.add(Obstacle("z", "z"), 5, [(5, "y"), (4, "x"), (3, "w"), (2, "v")])
    assert only.said().startswith("5 workers (v, w, x and 2 more) z. The worker w a. ")
