"""Which machine is kept free for a job that renders alone, from when, and until when."""

import msgspec
import pytest

from brender.scheduling import solitude
from brender.scheduling.assignment import assign
from brender.scheduling.fitting import fits, hindrance
from brender.scheduling.roster import Roster
from brender.scheduling.solitude import KEEP_SECONDS, START_SECONDS, Solitude
from brender.scheduling.terms import KEPT_FREE, Demand, Take
from tests.rosters import NEED, PLENTY, info, job, set_count


def busy_farm(
    machines: int,
    *jobs: Demand,
    free: dict[str, int | None] | None = None,
    slots: int = 2,
    remaining: dict[str, float] | None = None,
) -> tuple[Roster, Solitude]:
    """Machines h0, h1, … all of whose slots ("h0-0", …) are busy. *remaining*: when one is done."""
    roster = Roster(lambda worker: (free or {}).get(worker, 8))
    for number in range(machines):
        for slot in range(slots):
            roster.worker_changed(info(f"h{number}-{slot}", f"h{number}"), 1)
    for each in jobs:
        roster.job_changed(each)
    done = remaining or {}
    return roster, Solitude(roster, lambda worker, now: done[worker] - now if worker in done else None)


def kept(roster: Roster) -> dict[str, str]:
    """By job the host that is kept free for it."""
    return {name: next(iter(machine.slots)).info.host for name, machine in roster.machines.kept.items()}


def after_waiting(roster: Roster, looks: Solitude, seconds: float = KEEP_SECONDS) -> dict[str, str]:
    looks.look(0.0)
    looks.look(seconds)
    return kept(roster)


def test_a_machine_is_kept_free_once_a_job_has_waited_its_time_and_until_it_starts() -> None:
    roster, looks = busy_farm(2, job(alone=True))
    assert after_waiting(roster, looks, KEEP_SECONDS - 0.1) == {}
    before = roster.version
    (fresh,) = looks.look(KEEP_SECONDS)
    assert kept(roster) == {"job": "h0"} and fresh is roster.machines.kept["job"] and roster.version > before
    before = roster.version
    assert looks.look(KEEP_SECONDS + 1) == [] and kept(roster) == {"job": "h0"} and roster.version == before
    roster.job_changed(job(alone=True, live=1, queued=3))
    looks.look(KEEP_SECONDS + 2)
    assert kept(roster) == {} and fresh.kept == "" and roster.version > before + 1
    roster.job_changed(job(alone=True, live=0, queued=3))
    looks.look(KEEP_SECONDS + 3)
    assert kept(roster) == {}, "it waits again from now on"
    looks.look(2 * KEEP_SECONDS + 3)
    assert kept(roster) == {"job": "h0"}


def test_the_machine_is_the_one_on_which_the_fewest_are_busy() -> None:
    roster, looks = busy_farm(4, job(alone=True))
    set_count(roster, "h2-0", 0)
    assert after_waiting(roster, looks) == {"job": "h2"}


@pytest.mark.parametrize(("machines", "most"), [(1, 1), (19, 1), (20, 2), (30, 3), (270, 25)])
def test_one_machine_of_ten_is_kept_free_at_most_and_each_for_one_job(machines: int, most: int) -> None:
    roster, looks = busy_farm(machines, *(job(f"j{number}", alone=True) for number in range(27)), slots=1)
    after_waiting(roster, looks)
    for more in range(1, 4):
        looks.look(KEEP_SECONDS + more)
    assert len(set(kept(roster).values())) == most == len(roster.machines.kept)


@pytest.mark.parametrize(
    ("demand", "free", "found"),
    [
        ({"memory": 8}, {}, True),
        ({"memory": 9}, {}, False),
        ({"memory": 12}, {"h0-0": 10}, False),
        ({"memory": 10}, {"h0-0": 10}, True),
        ({"memory": 99}, {"h0-1": None}, True),
        ({"kept_off": {"h0-0"}}, {}, True),
        ({"kept_off": {"h0-0", "h0-1"}}, {}, False),
        ({"need": msgspec.structs.replace(NEED, job_type="video")}, {}, False),
    ],
)
def test_a_machine_suits_on_which_the_job_could_start_if_nothing_else_ran(
    demand: dict[str, object], free: dict[str, int | None], found: bool
) -> None:
    roster, looks = busy_farm(1, job(alone=True, **demand), free=free)
    assert bool(after_waiting(roster, looks)) is found


def test_what_renders_on_a_machine_gives_its_memory_back() -> None:
    """What a slot could have is what nobody uses and what the slot itself holds."""
    for memory, found in ((13, True), (14, False)):
        roster, looks = busy_farm(1, job(alone=True, memory=memory))
        roster.machines.known["h0", 0].available = 3
        assert bool(after_waiting(roster, looks)) is found


def test_a_machine_that_takes_nothing_or_is_wanted_by_more_urgent_jobs_is_not_kept() -> None:
    roster, looks = busy_farm(1, job(alone=True))
    for worker in ("h0-0", "h0-1"):
        set_count(roster, worker, 0, serving=False)
    assert after_waiting(roster, looks) == {}
    cases: list[tuple[Demand, bool]] = [
        (job("urgent", priority=51), False),
        (job("as urgent", priority=50), True),
        (job("urgent, of nothing here", priority=60, need=msgspec.structs.replace(NEED, job_type="video")), True),
        (job("urgent, kept off", priority=60, kept_off={"h0-0", "h0-1"}), True),
        (job("urgent, too large", priority=60, memory=9), True),
        (job("urgent, done", priority=60, queued=0), True),
    ]
    for other, found in cases:
        roster, looks = busy_farm(1, job(alone=True), other)
        assert bool(after_waiting(roster, looks)) is found, other.job
    roster, looks = busy_farm(1, job(alone=True), job("urgent, alone", priority=60, alone=True, memory=9))
    assert after_waiting(roster, looks) == {"job": "h0"}


def test_a_job_that_does_not_start_on_an_empty_machine_waits_twice_as_long_each_time() -> None:
    roster, looks = busy_farm(1, job(alone=True), slots=1)
    set_count(roster, "h0-0", 0)
    times = []
    held = False
    for second in range(8000):
        looks.look(float(second))
        if held is not bool(roster.machines.kept):
            held = not held
            times.append(second)
    first, start = int(KEEP_SECONDS), int(START_SECONDS)
    expected, at, wait = [], first, first
    while at < 8000:
        wait *= 2
        expected += [at, at + 1 + start]
        at += 1 + start + min(wait, 3600)
    assert times == [each for each in expected if each < 8000]


def test_a_machine_that_is_busy_for_long_is_not_said_to_fail() -> None:
    roster, looks = busy_farm(1, job(alone=True), slots=1)
    assert after_waiting(roster, looks) == {"job": "h0"}
    set_count(roster, "h0-0", 0)
    looks.look(KEEP_SECONDS + 1)
    set_count(roster, "h0-0", 1)
    looks.look(KEEP_SECONDS + 2)
    set_count(roster, "h0-0", 0)
    for more in (3, 3 + START_SECONDS - 0.1):
        looks.look(KEEP_SECONDS + more)
        assert kept(roster) == {"job": "h0"}, "it is empty since that long only"
    looks.look(KEEP_SECONDS + 3 + START_SECONDS)
    assert kept(roster) == {}


def test_a_search_that_is_too_long_for_one_look_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solitude, "_WORKERS_A_LOOK", 3)
    free: dict[str, int | None] = {f"h{number}-{slot}": 9 if number == 4 else 5 for number in range(6) for slot in range(2)}
    roster, looks = busy_farm(6, job(alone=True, memory=9), free=free)
    looks.look(0.0)
    found = []
    for more in range(3):
        looks.look(KEEP_SECONDS + more)
        found.append(kept(roster))
    assert found == [{}, {}, {"job": "h4"}]


def test_after_all_workers_were_looked_at_in_vain_a_job_waits_its_time_again() -> None:
    free: dict[str, int | None] = {"h0-0": 5, "h0-1": 5}
    roster, looks = busy_farm(1, job(alone=True, memory=9), free=free)
    assert after_waiting(roster, looks) == {}
    free.update({"h0-0": 9, "h0-1": 9})
    looks.look(2 * KEEP_SECONDS - 0.1)
    assert kept(roster) == {}
    looks.look(2 * KEEP_SECONDS)
    assert kept(roster) == {"job": "h0"}


def test_a_machine_is_given_up_for_more_urgent_work_and_for_a_more_urgent_job_that_renders_alone() -> None:
    roster, looks = busy_farm(1, job(alone=True))
    assert after_waiting(roster, looks) == {"job": "h0"}
    roster.job_changed(job("first", alone=True, priority=60))
    looks.look(KEEP_SECONDS + 1)
    assert kept(roster) == {"job": "h0"}, "that one has not waited yet"
    roster.job_changed(job("urgent", priority=55))
    looks.look(KEEP_SECONDS + 2)
    assert kept(roster) == {}
    roster.job_closed("urgent")
    looks.look(2 * KEEP_SECONDS + 2)
    assert kept(roster) == {"first": "h0"}
    assert assign(roster, PLENTY).takes == []
    for worker in ("h0-0", "h0-1"):
        set_count(roster, worker, 0)
    assert assign(roster, PLENTY).takes == [Take("h0-0", "first")]


def test_the_machine_is_the_one_that_is_free_soonest_where_that_is_known() -> None:
    times = {"h0-0": 110.0, "h0-1": 70.0, "h1-0": 100.0, "h1-1": 100.0, "h2-0": 70.0}  # (of h2's other slot it is not)
    roster, looks = busy_farm(4, job(alone=True), remaining=times)
    assert after_waiting(roster, looks) == {"job": "h1"}


def test_no_machine_is_kept_that_would_be_free_too_late() -> None:
    for done, found in ((2 * KEEP_SECONDS, True), (2 * KEEP_SECONDS + 1, False)):
        roster, looks = busy_farm(1, job(alone=True), slots=1, remaining={"h0-0": done})
        assert bool(after_waiting(roster, looks)) is found
    looks.look(3 * KEEP_SECONDS - 0.1)
    assert kept(roster) == {}, "it waits twice as long"
    roster.worker_changed(roster.workers["h0-0"].info, 1)
    looks.look(3 * KEEP_SECONDS)
    assert kept(roster) == {"job": "h0"}


def test_a_machine_that_stays_busy_is_given_back_and_none_is_kept_for_a_while() -> None:
    roster, looks = busy_farm(2, job(alone=True), slots=1)
    times = []
    held = False
    for second in range(2000):
        looks.look(float(second))
        if held is not bool(roster.machines.kept):
            held = not held
            times.append(second)
    first = int(KEEP_SECONDS)
    assert times[:6] == [first, 2 * first, 4 * first, 6 * first, 10 * first, 14 * first]
    roster.job_changed(job("other", alone=True, priority=60))
    roster, looks = busy_farm(1, job(alone=True), slots=1)
    looks.look(0.0)
    looks.look(KEEP_SECONDS)
    roster.job_changed(job("other", alone=True))
    looks.look(KEEP_SECONDS + 1)
    assert kept(roster) == {"job": "h0"}
    looks.look(2 * KEEP_SECONDS)
    assert kept(roster) == {}, "nor for the other, which has not waited long enough"
    looks.look(3 * KEEP_SECONDS - 0.1)
    assert kept(roster) == {}, "others have the use of it as long as it was kept"
    looks.look(3 * KEEP_SECONDS)
    assert kept(roster) == {"other": "h0"}


def test_nothing_goes_beside_what_renders_alone_nor_that_beside_others() -> None:
    roster = Roster(lambda worker: None)
    for worker in ("a", "b"):
        roster.worker_changed(info(worker, "host"), 0)
    roster.worker_changed(info("far"), 1)
    lonely, plain = job("alone", alone=True), job("plain")

    def both_fit(worker: str) -> list[bool]:
        return [fits(each, roster.workers[worker], roster.free) for each in (lonely, plain)]

    assert both_fit("a") == both_fit("b") == both_fit("far") == [True, True]
    set_count(roster, "a", 1)
    assert both_fit("a") == both_fit("b") == [False, True]
    roster.worker_changed(roster.workers["a"].info, 1, alone=True)
    assert both_fit("a") == both_fit("b") == [False, False]
    roster.worker_changed(roster.workers["a"].info, 0, alone=False)
    machine = roster.workers["a"].machine
    assert machine is not None
    roster.machines.keep(machine, "alone")
    assert both_fit("b") == [True, False]
    assert [hindrance(each, roster.workers["b"], roster.free) for each in (lonely, plain)] == [None, KEPT_FREE]


def test_a_machine_that_is_kept_for_one_job_is_not_another_s_though_that_is_more_urgent() -> None:
    free: dict[str, int | None] = {f"h{number}-0": 9 if number == 0 else 5 for number in range(20)}
    roster, looks = busy_farm(20, job("low", alone=True, memory=9), free=free, slots=1)
    looks.look(0.0)
    roster.job_changed(job("high", alone=True, memory=9, priority=60))
    looks.look(1.0)
    looks.look(KEEP_SECONDS)
    assert kept(roster) == {"low": "h0"}
    looks.look(KEEP_SECONDS + 1)
    assert kept(roster) == {"low": "h0"}
