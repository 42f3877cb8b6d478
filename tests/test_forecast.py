"""When jobs will be done: the pace of workers and jobs as it was measured, and the queue simulated ahead."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brender.model.prospect import Expected
from brender.model.spans import precision
from brender.scheduling.forecast import forecast
from brender.scheduling.forecast_lanes import Lane
from brender.scheduling.forecast_room import Claim
from brender.scheduling.forecast_shares import Usage
from brender.scheduling.forecast_work import Work
from brender.scheduling.pace import Measured, Pace

_ALL = frozenset({0})


def _lanes(count: int, **how: object) -> list[Lane]:
    return [Lane(0, **how) for _ in range(count)]  # type: ignore[arg-type]


def _work(job: str, tasks: int = 100, seconds: float = 10.0, **how: object) -> Work:
    given = {"priority": 50, "order": 0, "kinds": _ALL, **how}
    return Work(job=job, tasks=tasks, seconds=seconds, **given)  # type: ignore[arg-type]


def test_a_job_alone_is_done_when_its_tasks_are_shared_out() -> None:
    assert forecast(_lanes(10), [_work("a")])["a"].seconds == pytest.approx(100, rel=0.15)


def test_a_more_urgent_job_is_done_first_and_those_of_equal_priority_share() -> None:
    found = forecast(_lanes(10), [_work("a", order=1), _work("b", order=2), _work("c", tasks=10, priority=60, order=3)])
    assert found["c"].seconds == 10
    assert found["a"].seconds == pytest.approx(210, rel=0.15) and found["b"].seconds == pytest.approx(210, rel=0.15)


def test_a_job_that_waits_for_another_begins_when_that_is_done() -> None:
    found = forecast(_lanes(10), [_work("b", after=frozenset({"a"})), _work("a")])
    assert found["b"].seconds == pytest.approx(found["a"].seconds + 100, rel=0.15)


def test_a_job_that_starts_later_is_not_begun_before() -> None:
    assert forecast(_lanes(10), [_work("a", tasks=10, delay=1000.0)])["a"].seconds == 1010


def test_a_job_that_begins_later_waits_for_the_tasks_that_run_then_and_for_no_more_and_a_rush_job_for_none() -> None:
    works = [_work("low", tasks=1000), _work("high", tasks=1, priority=90, order=1, delay=15.0)]
    assert forecast(_lanes(1), works)["high"].seconds == 30
    assert forecast(_lanes(1), [works[0], replace(works[1], rush=True)])["high"].seconds == 25
    found = forecast(_lanes(1), [replace(works[0], tasks=3), replace(works[1], rush=True)])
    assert found["low"].seconds == 45, "what gave way begins from its first second"


def test_a_machine_renders_as_many_frames_at_once_as_it_has_memory_for() -> None:
    lanes = [Lane(0, machine="a", has=Claim(memory=64, gpu_memory=24)) for _ in range(4)]
    for claim, at_once in ((Claim(memory=30), 2), (Claim(gpu_memory=24), 1), (Claim(memory=2), 4)):
        assert forecast(lanes, [_work("a", claim=claim)])["a"].seconds == pytest.approx(1000 / at_once, rel=0.15)
    assert not forecast(lanes, [_work("a", claim=Claim(memory=70))])


def test_workers_of_a_pool_take_its_jobs_before_more_urgent_ones_and_others_once_it_has_none() -> None:
    lanes = [*(Lane(0, pool="film") for _ in range(2)), *(Lane(1) for _ in range(2))]
    works = [_work("all", priority=90, kinds=frozenset({0, 1})), _work("own", tasks=10, pool="film", order=1)]
    found = forecast(lanes, works)
    assert found["own"].seconds == 50 and found["all"].seconds == pytest.approx(275, rel=0.1)


def test_projects_advance_by_their_weights_and_who_has_used_less_comes_first() -> None:
    works = [_work(name, tasks=90, project=name, order=at) for at, name in enumerate("ab")]
    weighed = forecast(_lanes(10), works, usage=Usage(weights={("project", "b"): 3.0}))
    assert weighed["b"].seconds == pytest.approx(120, rel=0.15) and weighed["a"].seconds == pytest.approx(180, rel=0.1)
    used = forecast(_lanes(10), works, usage=Usage(used={("a", ""): 10_000.0}))
    assert used["b"].seconds == pytest.approx(90, rel=0.15) and used["a"].seconds == pytest.approx(180, rel=0.1)


def test_workers_that_may_take_a_job_later_do_then() -> None:
    found = forecast([Lane(0), Lane(1)], [_work("a", tasks=40, later=((1, 100.0),))])
    assert found["a"].seconds == pytest.approx(250, rel=0.1)
    assert forecast([Lane(1)], [_work("a", tasks=4, kinds=frozenset(), later=((1, 100.0),))])["a"].seconds == 140


def test_a_job_that_nobody_can_run_is_expected_at_no_time() -> None:
    assert not forecast(_lanes(10), [_work("a", kinds=frozenset({1}))])


def test_a_job_of_few_workers_takes_as_long_as_they_do() -> None:
    found = forecast(_lanes(10), [_work("a", most=2, order=1), _work("b", order=2)])
    assert found["a"].seconds == pytest.approx(500, rel=0.15) and found["b"].seconds == pytest.approx(130, rel=0.2)


def test_what_a_worker_renders_already_counts_with_its_job() -> None:
    assert forecast([Lane(0, job="a", left=30.0)], [_work("a", tasks=0)])["a"].seconds == 30


def test_the_less_is_known_of_a_job_the_wider_its_bounds_are() -> None:
    little, much = (forecast(_lanes(10), [_work("a", spread=0.5, known=known)])["a"] for known in (1, 400))
    assert little.seconds == much.seconds
    assert little.most and much.seconds and much.most
    assert little.least < much.least < much.seconds < much.most < little.most


def test_very_many_workers_are_taken_together_and_found_as_fast() -> None:
    found = forecast(_lanes(5000), [_work("a", tasks=50_000), _work("b", tasks=50_000, order=1)])
    assert found["b"].seconds == pytest.approx(200, rel=0.15)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0.2, 5.0)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(1, 60), st.floats(0.1, 500.0), st.sets(st.integers(0, 3)), st.integers(0, 3)), max_size=8),
)
def test_each_job_that_somebody_can_run_is_done_and_never_sooner_than_all_its_workers_together_could(
    workers: list[tuple[int, float]], jobs: list[tuple[int, float, set[int], int]]
) -> None:
    lanes = [Lane(kind, speed) for kind, speed in workers]
    works = [
        _work(str(number), tasks, seconds, kinds=frozenset(kinds), most=most, priority=number % 3, order=number)
        for number, (tasks, seconds, kinds, most) in enumerate(jobs)
    ]
    found = forecast(lanes, works)
    for work in works:
        able = sum(lane.speed for lane in lanes if lane.kind in work.kinds)
        assert (work.job in found) is (able > 0)
        if able:
            assert found[work.job].seconds >= 0.999 * work.tasks * work.seconds / able


def test_tasks_that_reserve_cores_are_done_as_their_machine_has_room_for_them() -> None:
    lanes = [Lane(0, machine="a", has=Claim(16)) for _ in range(8)]
    assert forecast(lanes, [_work("a", claim=Claim(8))])["a"].seconds == pytest.approx(500, rel=0.15)
    found = forecast(lanes, [_work("a", claim=Claim(12), priority=60), _work("b", order=1)])
    assert found["a"].seconds == 1000, "one at a time"
    assert found["b"].seconds == pytest.approx(500, rel=0.15), "two slots of two cores beside it"
    assert forecast(lanes, [_work("a")])["a"].seconds == pytest.approx(130, rel=0.15), "where nothing is reserved, all eight"


def test_no_more_tasks_are_out_than_there_are_licences() -> None:
    nuke = {"gates": (("licence", "nuke"), ("user", "ada"))}
    works = [_work("a", **nuke), _work("b", order=1, **nuke), _work("c", order=2, seconds=1.0)]
    found = forecast(_lanes(10), works, {("licence", "nuke"): 4})
    assert max(found["a"].seconds, found["b"].seconds) == pytest.approx(500, rel=0.15)
    assert found["c"].seconds < 30, "the others have workers of their own"


def test_a_task_that_reserves_more_cores_than_any_one_machine_has_is_expected_at_no_time() -> None:
    for count in (2, 900):  # (of so many, several are taken together)
        lanes = [Lane(0, machine=str(at), has=Claim(16)) for at in range(count)]
        assert not forecast(lanes, [_work("a", claim=Claim(17))])
        found = forecast(lanes, [_work("a", tasks=2 * count, claim=Claim(12))])
        assert found["a"].seconds == 20, "one at a time on each machine"


def test_a_slot_that_waits_for_cores_takes_them_once_another_of_its_machine_is_done() -> None:
    lanes = [Lane(0, machine="a", has=Claim(8), job="first", left=30.0), Lane(0, machine="a", has=Claim(8))]
    works = [_work("first", tasks=0, claim=Claim(6)), _work("then", tasks=2, claim=Claim(4), order=1)]
    assert forecast(lanes, works)["then"].seconds == 40, "both slots at once, and not before"


def test_a_limit_that_one_job_leaves_room_of_serves_another_on_workers_that_wait() -> None:
    lanes = [Lane(0, job="first", left=30.0), Lane(1)]
    gates = (("user", "ada"),)
    works = [_work("first", tasks=0, gates=gates), _work("then", tasks=1, kinds=frozenset({1}), gates=gates)]
    assert forecast(lanes, works, {gates[0]: 1})["then"].seconds == 40


def test_what_shares_workers_with_jobs_of_unknown_length_lies_between_their_taking_none_and_all_of_what_is_theirs() -> None:
    unknown = {"known": 0, "seconds": 0.0}
    found = forecast(_lanes(10), [_work("a"), _work("b", order=1, **unknown)])
    assert "b" not in found and found["a"].least < 110 < found["a"].seconds < 200 < found["a"].most
    works = [_work("a"), _work("b", priority=90, **unknown), _work("c", kinds=frozenset({1}))]
    found = forecast([*_lanes(10), Lane(1)], works)
    assert found["a"].seconds is None and found["a"].least == pytest.approx(100, rel=0.2)
    assert found["c"].seconds == 1000, "on workers that the others cannot have"
    busy = forecast([Lane(0, job="b", left=60.0)], [_work("a"), _work("b", tasks=0, **unknown)])
    assert busy["a"].seconds is None and "b" not in busy


def test_what_waits_for_one_frame_after_the_other_is_not_done_before_the_last() -> None:
    works = [
        _work("b", tasks=10, frames_of=frozenset({"a"}), priority=90),
        _work("a", order=1),
        _work("c", after=frozenset({"b"})),
    ]
    found = forecast(_lanes(10), works)
    assert found["a"].seconds < found["b"].seconds < found["c"].seconds
    gone = [replace(works[0], frames_of=frozenset({"gone"})), *works[1:]]
    assert forecast(_lanes(10), gone).keys() == {"a"}


@given(st.floats(1.0, 1e6), st.floats(0.0, 4.0))
def test_an_estimate_is_not_rounded_by_more_than_a_quarter_of_itself_however_little_is_known(
    seconds: float, share: float
) -> None:
    to = precision(seconds, seconds / (1 + share), seconds * (1 + share))
    assert to <= max(1.0, seconds / 2)
    assert abs(to * max(1, round(seconds / to)) - seconds) <= max(1.0, seconds / 4)


def test_where_the_simulation_ends_early_jobs_are_said_to_take_longer_and_have_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.scheduling.forecast._STEPS_MOST", 100)
    found = forecast(_lanes(3), [_work("now", tasks=60, priority=90), _work("later", tasks=1000, order=1)])
    assert found["now"].seconds == pytest.approx(200, rel=0.15)
    assert found["later"] == Expected(None, found["later"].least, None) and 200 < found["later"].least < 3600


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 32)), min_size=1, max_size=6),
    st.lists(
        st.tuples(st.integers(1, 60), st.floats(0.1, 50.0), st.integers(0, 32), st.integers(0, 2), st.booleans()),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 5),
    st.sampled_from([1, 120]),
)
def test_no_job_is_expected_sooner_than_cores_and_licences_allow_and_none_is_left_out_that_fits_a_machine(
    shapes: list[tuple[int, int]], jobs: list[tuple[int, float, int, int, bool]], licences: int, times: int
) -> None:
    machines = shapes * times  # (of many, several are taken together)
    lanes = [Lane(0, machine=str(at), has=Claim(cores)) for at, (slots, cores) in enumerate(machines) for _ in range(slots)]
    gates = (("licence", "nuke"),)
    works = [
        _work(str(at), tasks, seconds, claim=Claim(cores), priority=priority, gates=gates if limited else (), order=at)
        for at, (tasks, seconds, cores, priority, limited) in enumerate(jobs)
    ]
    found = forecast(lanes, works, {gates[0]: licences})
    assert found.keys() == {work.job for work in works if work.claim.cores <= max(cores for _, cores in machines)}
    for work in works:
        if work.job in found:
            room = sum(min(slots, cores // work.claim.cores) if work.claim.cores else slots for slots, cores in machines)
            at_once = min(room, licences) if work.gates else room
            assert _ends(found, work) >= 0.999 * work.tasks * work.seconds / at_once
    those = [work for work in works if work.job in found]
    limited = [work for work in those if work.gates]
    assert _last(found, limited) >= 0.999 * sum(work.tasks * work.seconds for work in limited) / licences
    reserved = sum(work.tasks * work.seconds * work.claim.cores for work in those)
    assert _last(found, those) >= 0.999 * reserved / sum(cores for _, cores in machines)


def _ends(found: dict[str, Expected], work: Work) -> float:
    """Return when *work* is done at the soonest."""
    expected = found[work.job]
    return expected.least if expected.seconds is None else expected.seconds


def _last(found: dict[str, Expected], works: list[Work]) -> float:
    return max((_ends(found, work) for work in works), default=0.0)


def test_fast_and_slow_workers_are_told_apart_whatever_they_render() -> None:
    chance, pace = random.Random(1), Pace()
    speeds, jobs = {"slow": 0.5, "mean": 1.0, "fast": 2.0}, {"light": 2.0, "heavy": 300.0}
    names = [(job, worker) for job in jobs for worker in speeds] * 30
    chance.shuffle(names)
    pace.learn(Measured(job, worker, jobs[job] / speeds[worker] * chance.uniform(0.8, 1.2)) for job, worker in names)
    assert pace.speed("fast") / pace.speed("slow") == pytest.approx(4, rel=0.15)
    light, heavy = pace.of_job("light"), pace.of_job("heavy")
    assert light and heavy and heavy.work / light.work == pytest.approx(150, rel=0.15)


def test_a_job_that_only_slow_workers_have_rendered_is_not_taken_for_a_heavy_one() -> None:
    pace = Pace()
    pace.learn(Measured("a", worker, seconds) for worker, seconds in [("slow", 40.0), ("fast", 10.0)] * 40)
    pace.learn([Measured("b", "slow", 40.0)] * 5)
    a, b = pace.of_job("a"), pace.of_job("b")
    assert a and b and b.work == pytest.approx(a.work, rel=0.1)


def test_frames_that_grow_heavier_are_expected_to_stay_so() -> None:
    pace = Pace()
    pace.learn(Measured("a", "w", seconds) for seconds in (10.0,) * 50 + (20.0,) * 50)
    found = pace.of_job("a")
    assert found and found.work == pytest.approx(15) and found.recent > 19 and 17 < found.expected < 18


def test_nothing_is_known_of_a_job_without_a_part_that_is_done() -> None:
    assert Pace().of_job("a") is None and Pace().speed("w") == 1
