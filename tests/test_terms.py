"""What a job wants: which workers are exceptions and why, how much may wait at one, and whose folders it may use."""

import msgspec
import pytest

from brender.model.text import SHORT_ID
from brender.scheduling.assignment import assign
from brender.scheduling.classes import Limits
from brender.scheduling.folder_limits import inside_of
from brender.scheduling.roster import Roster
from brender.scheduling.terms import TRIED_AGAIN
from tests.rosters import NEED, PLENTY, info, job


def test_why_one_worker_is_an_exception_is_said() -> None:
    demand = job("0123456789abcdef", memory=2 * 10**9, kept_off={"off", "later"}, put_off={"later": "it is away"})
    later, off, short = demand.exception("later", 0), demand.exception("off", 0), demand.exception("w", 15 * 10**8)
    assert later is not None and later.one == later.several == "cannot run it now (it is away)"
    assert later.remedy == f"{TRIED_AGAIN} `brender readmit 01234567`"
    assert off is not None and off.one == off.several == "failed it before"
    assert off.remedy == f"`brender readmit {demand.job[:SHORT_ID]}` allows another try"
    assert short is not None and short.one == "has 1.5 GB of memory free, and a frame of it needed 2.0 GB"
    assert short.several == "have less memory free than the 2.0 GB that a frame of it needed"
    assert short.remedy == "close what else runs there, or start a worker where 2.0 GB are free"
    beside = demand.exception("w", -1, True)
    assert beside is not None
    assert beside.one == "has 0.0 GB of memory free beside what others on that machine need, and a frame of it needed 2.0 GB"
    assert demand.exception("w", 2 * 10**9) is None is demand.exception("w", None) and job().exception("w", 0) is None


@pytest.mark.parametrize(
    ("seconds", "queued", "width", "depth"),
    [
        *((None, 999, 1, 1), (10.0, 999, 1, 1), (1.0, 999, 1, 2), (0.1, 999, 1, 20), (0.1, 30, 3, 10), (0.1, 2, 3, 1)),
        *((0.0, 10**6, 1, 512), (0.1, 999, 0, 20), (0.1, 8, 0, 8)),
    ],
)
def test_tiny_tasks_wait_at_a_worker_for_two_seconds_of_work(seconds: float | None, queued: int, width: int, depth: int) -> None:
    assert job(queued=queued, mean_seconds=seconds).prefetch_depth(width) == depth


def test_a_worker_takes_what_it_runs_and_as_many_as_may_wait() -> None:
    for seconds, takes in ((None, 2), (1.0, 3)):
        roster = Roster(lambda worker: None)
        roster.worker_changed(info("w"), 0)
        roster.job_changed(job(queued=50, mean_seconds=seconds))
        assert len(assign(roster, PLENTY).takes) == takes


def test_a_job_is_inside_the_limits_that_have_all_its_folders() -> None:
    limits = [Limits.of(info("w", folders=folders, readable=("/r",))) for folders in (("/a", "/b"), ("/a",), ("/c", "/b"))]
    known = [each for each in limits if each is not None]
    assert len(known) == 3 and Limits.of(info("w", readable=("/r",))) is None

    def inside(reads: tuple[str, ...], writes: tuple[str, ...]) -> list[int]:
        found = inside_of(job(need=msgspec.structs.replace(NEED, reads=reads, writes=writes)), known)
        return [number for number, each in enumerate(known) if each in found]

    assert inside(("/a/x",), ("/b/y",)) == [0] and inside(("/r/x",), ("/b/y",)) == [0, 2] and inside((), ("/a",)) == [0, 1]
    assert inside(("/r/x",), ("/r/y",)) == [] and inside((), ()) == [0, 1, 2]
