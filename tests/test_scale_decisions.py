"""How many workers a fleet should have: held for any state of it, and for some that a farm comes to."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from brender.scaling.decisions import SERVING, Decision, Limits, Member, Phase, Trouble, Work, decide
from brender.scaling.fleet import Allocation, Fleet

NOW = 10_000.0
LIMITS = Limits(least=0, most=8, within=600.0, linger=300.0, join=600.0, queue=7200.0)
#: A hundred tasks of a minute.
QUEUE = Work(tasks=100, seconds=6000.0)
CALM = Work(calm_since=NOW - 1000)
FINE = Trouble()

_times = st.integers(0, int(NOW)).map(float)
_stands = st.lists(st.tuples(st.sampled_from(Phase), _times), max_size=12)
_fleets = _stands.map(lambda stands: tuple(Member(f"p-{number}", *each) for number, each in enumerate(stands)))
_limits = st.integers(0, 6).flatmap(lambda least: st.builds(Limits, st.just(least), st.integers(least, 10)))
_working = st.builds(
    Work,
    tasks=st.integers(1, 500),
    seconds=st.integers(1, 100_000).map(float),
    others=st.integers(0, 5),
    others_idle=st.just(0),
)
_work = _working | st.builds(Work, calm_since=_times)
_troubles = st.just(Trouble()) | st.builds(Trouble, st.integers(1, 20), _times, st.just("refused"))


def decided(
    members: tuple[Member, ...] = (), work: Work = CALM, limits: Limits = LIMITS, trouble: Trouble = FINE, start: float = 20.0
) -> Decision:
    return decide(limits, work, members, trouble, start, NOW)


def some(count: int, phase: Phase, since: float = NOW) -> tuple[Member, ...]:
    return tuple(Member(f"{phase}-{number}", phase, since) for number in range(count))


def after(members: tuple[Member, ...], decision: Decision) -> tuple[Member, ...]:
    """The fleet once *decision* has been carried out."""
    left = (member for member in members if member.name not in decision.kill)
    changed = dict.fromkeys(decision.drain, Phase.LEAVING) | dict.fromkeys((*decision.withdraw, *decision.give_up), Phase.ENDING)
    stay = tuple(replace(each, phase=changed[each.name], since=NOW) if each.name in changed else each for each in left)
    return (*stay, *(Member(f"new-{number}", Phase.WAITING, NOW) for number in range(decision.start)))


@settings(max_examples=30)
@given(_limits, _work, _fleets, _troubles)
def test_there_are_never_more_than_the_most(limits: Limits, work: Work, members: tuple[Member, ...], trouble: Trouble) -> None:
    made = decided(members, work, limits, trouble)
    assert not made.start or len(members) + made.start <= limits.most
    kept = [each for each in after(members, made) if each.phase not in (Phase.LEAVING, Phase.ENDING, Phase.GONE)]
    assert len(kept) <= limits.most


@settings(max_examples=30)
@given(_limits, _work, _fleets, _troubles)
def test_none_leaves_that_the_least_needs(limits: Limits, work: Work, members: tuple[Member, ...], trouble: Trouble) -> None:
    made = decided(members, work, limits, trouble)
    serving = [each.name for each in members if each.phase in SERVING and each.name not in made.give_up]
    going = {*made.drain, *made.withdraw} & set(serving)
    assert not going or len(serving) - len(going) >= min(limits.least, limits.most)


@settings(max_examples=30)
@given(_limits, _work, _fleets)
def test_where_nothing_hinders_there_are_the_least_in_the_end(limits: Limits, work: Work, members: tuple[Member, ...]) -> None:
    for _ in range(4):
        made = decided(members, work, limits)
        members = tuple(
            each for each in after(members, made) if each.phase not in (Phase.LEAVING, Phase.ENDING, Phase.GONE, Phase.HELD)
        )
    assert sum(each.phase in SERVING for each in members) >= limits.least


@settings(max_examples=30)
@given(_limits, _work, _fleets, _troubles)
def test_what_was_done_is_not_done_again(limits: Limits, work: Work, members: tuple[Member, ...], trouble: Trouble) -> None:
    made = decided(members, work, limits, trouble)
    again = decided(after(members, made), work, limits, trouble)
    assert not made.start or not (again.drain or again.withdraw), "what was just started is not ended"
    assert not made.drain or not again.start, "what was asked to leave is not replaced"


@settings(max_examples=30)
@given(_limits, _work, _fleets, st.integers(1, 20), st.integers(0, 10))
def test_a_provider_that_refused_is_left_alone_for_a_while(
    limits: Limits, work: Work, members: tuple[Member, ...], count: int, ago: int
) -> None:
    assert decided(members, work, limits, Trouble(count, NOW - ago, "refused")).start == 0
    assert decided(members, work, limits, Trouble(count, NOW - 1000, "refused")).start <= 1, "and then tried with one"


@settings(max_examples=30)
@given(_working, st.integers(1, 300), _fleets)
def test_more_work_never_starts_fewer(work: Work, more: int, members: tuple[Member, ...]) -> None:
    larger = replace(work, tasks=work.tasks + more, seconds=work.seconds + more * 10)
    assert decided(members, larger).start >= decided(members, work).start


@settings(max_examples=30)
@given(_limits, _work, _fleets, _troubles)
def test_only_what_has_not_joined_is_ended_at_once(
    limits: Limits, work: Work, members: tuple[Member, ...], trouble: Trouble
) -> None:
    made, phases = decided(members, work, limits, trouble), {each.name: each.phase for each in members}
    assert all(phases[name] in (Phase.WAITING, Phase.STARTING) for name in made.withdraw)
    assert all(phases[name] in (Phase.WAITING, Phase.STARTING, Phase.GONE) for name in made.give_up)
    assert all(phases[name] is Phase.ENDING for name in made.kill)
    assert all(phases[name] in (Phase.IDLE, Phase.BUSY, Phase.HELD) for name in made.drain)


def test_so_many_are_started_that_the_queue_is_done_in_time() -> None:
    assert decided(work=QUEUE).start == 8, "no more than the most"
    assert decided(work=QUEUE, limits=replace(LIMITS, most=50)).start == 10, "6,000 seconds of work in 600"
    assert decided(work=replace(QUEUE, tasks=3), limits=replace(LIMITS, most=50)).start == 3, "no more than there are tasks"
    assert decided(work=replace(QUEUE, others=9), limits=replace(LIMITS, most=50)).start == 1, "others do their share"


def test_none_is_started_where_the_wait_is_short_or_workers_are_idle() -> None:
    assert decided(some(1, Phase.BUSY), Work(tasks=5, seconds=300)).start == 0
    assert decided((*some(1, Phase.BUSY), *some(1, Phase.IDLE)), QUEUE).start == 0
    assert decided(work=replace(QUEUE, others=3, others_idle=100)).start == 0
    assert decided(some(2, Phase.BUSY), QUEUE, start=7200).start == 0, "it would come when all is done"
    assert decided(work=replace(QUEUE, seconds=0, unknown=100)).start > 0, "what nobody knows is taken to be something"


def test_one_that_is_started_counts() -> None:
    assert decided(some(8, Phase.WAITING), QUEUE).start == 0
    assert decided(some(6, Phase.STARTING), QUEUE).start == 2
    assert decided(some(8, Phase.LEAVING), QUEUE).start == 0, "their places are not free yet"


def test_a_worker_leaves_once_it_has_been_idle_for_long() -> None:
    assert decided(some(2, Phase.IDLE, NOW - 299), CALM).drain == ()
    assert decided(some(2, Phase.IDLE, NOW - 300), CALM).drain == ("idle-0", "idle-1")
    assert decided(some(2, Phase.IDLE, NOW - 300), CALM, replace(LIMITS, least=1)).drain == ("idle-0",)
    assert decided(some(2, Phase.BUSY, NOW - 9999), CALM).drain == ()
    assert decided(some(2, Phase.WAITING, NOW - 900), CALM).withdraw == ("waiting-0", "waiting-1")
    assert decided(some(2, Phase.WAITING, NOW - 900), replace(CALM, calm_since=NOW - 10)).withdraw == ()


def test_idle_ones_that_do_not_take_what_waits_leave_but_for_one() -> None:
    assert decided((*some(3, Phase.IDLE, NOW - 300), *some(1, Phase.BUSY)), QUEUE).drain == ("idle-0", "idle-1")
    assert decided((*some(1, Phase.IDLE, NOW - 300), *some(1, Phase.BUSY)), QUEUE).drain == ()


def test_where_fewer_are_allowed_those_leave_first_that_render_nothing() -> None:
    made = decided((*some(2, Phase.BUSY), *some(1, Phase.IDLE), *some(1, Phase.WAITING)), QUEUE, replace(LIMITS, most=1))
    assert (made.withdraw, made.drain) == (("waiting-0",), ("idle-0", "busy-0"))


def test_what_never_joins_is_given_up_after_its_time() -> None:
    assert decided(some(1, Phase.STARTING, NOW - 599), QUEUE).give_up == ()
    assert decided(some(1, Phase.STARTING, NOW - 600), QUEUE).give_up == ("starting-0",)
    assert decided(some(1, Phase.WAITING, NOW - 7199), QUEUE).give_up == ()
    assert decided(some(1, Phase.WAITING, NOW - 7200), QUEUE).give_up == ("waiting-0",)
    assert decided(some(1, Phase.GONE, NOW - 600), QUEUE).give_up == ("gone-0",)


def test_a_load_that_comes_and_goes_starts_and_ends_each_worker_once() -> None:
    members: tuple[Member, ...] = ()
    started = drained = 0
    for minute in range(60):
        now = NOW + 60 * minute
        left = max(0, 100 - 8 * minute)
        work = Work(tasks=left, seconds=60.0 * left, calm_since=None if left else NOW + 60 * 13)
        made = decide(LIMITS, work, members, Trouble(), 20.0, now)
        started, drained = started + made.start, drained + len(made.drain)
        staying = [each for each in members if each.name not in made.drain]
        phase = Phase.BUSY if left else Phase.IDLE
        renewed = [each if each.phase is phase else replace(each, phase=phase, since=now) for each in staying]
        members = (*renewed, *(Member(f"{minute}-{number}", phase, now) for number in range(made.start)))
    assert (started, drained, members) == (8, 8, ())


def test_the_reason_is_said_in_a_sentence() -> None:
    assert decided(work=QUEUE).why == (
        "no worker of 0 to 8; 100 tasks wait, about 1.7 h of work, and there is no worker for it; 8 workers are to be started"
    )
    assert decided(some(1, Phase.BUSY), Work(tasks=5, seconds=300)).why == (
        "1 busy of 0 to 8; 5 tasks wait, about 5 min of work for 1 worker: no more than the 10 min that it may take"
    )
    refused = decided(work=QUEUE, trouble=Trouble(2, NOW - 10, "Slurm refused")).why
    assert "2 starts failed in a row (Slurm refused), and the next is tried in 20 s" in refused


def row(name: str, status: str) -> dict[str, str]:
    return {"name": name, "id": f"id-{name}", "status": status}


def test_a_start_that_the_provider_does_not_list_yet_is_not_done_twice() -> None:
    fleet = Fleet()
    fleet.started("a", 0.0)
    assert [each.phase for each in fleet.look([], [], 5.0).members] == [Phase.WAITING]
    assert fleet.look([], [], 40.0).failed == ("a",)
    assert fleet.look([], [], 45.0).failed == (), "and it is said once"


def test_a_worker_is_followed_from_its_start_to_its_end() -> None:
    fleet = Fleet(start_seconds=0.0)
    fleet.started("a", 0.0)
    assert fleet.look([Allocation("a", False)], [], 1.0).members == (Member("a", Phase.WAITING, 0.0),)
    assert fleet.look([Allocation("a", True)], [], 2.0).members == (Member("a", Phase.STARTING, 2.0),)
    look = fleet.look([Allocation("a", True)], [row("a", "idle")], 10.0)
    assert (look.members, look.joined) == ((Member("a", Phase.IDLE, 10.0),), ("a",))
    assert fleet.start_seconds == 3.0, "what it took counts for the next"
    assert fleet.look([Allocation("a", True)], [row("a", "draining")], 20.0).members[0].phase is Phase.LEAVING
    assert fleet.look([Allocation("a", True)], [row("a", "offline")], 30.0).members[0].phase is Phase.GONE
    gone = fleet.look([], [row("a", "offline")], 40.0)
    assert (gone.members, gone.failed, gone.dead) == ((), (), {"a": "id-a"})


def test_one_that_is_not_needed_any_more_has_not_failed() -> None:
    fleet = Fleet()
    fleet.look([Allocation("a", False), Allocation("b", False)], [], 0.0)
    fleet.ending("a", 1.0)
    assert fleet.look([], [], 60.0).failed == ("b",)
