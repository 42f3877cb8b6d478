"""The farm is shared fairly between projects, and within each between users; by weights, with what was used counting less and
less."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.shares import share_error, shared_farm
from benchmarks.virtual_farm import VirtualFarm
from brender.api.farm import Job
from brender.bus.messages import Manage, Sorry
from brender.farm.record import Ledger
from brender.farm.usage import Usages
from brender.model.errors import NotFound
from brender.model.keys import KeyRole
from brender.model.quotas import QuotaKind, turns_in_words
from brender.scheduling.audit import audit
from brender.store.audit import differences
from brender.store.database import open_for_writing
from tests.rosters import info, job
from tests.tools import command, let_commands_ask
from tests.world import World, animation, memory_database, new_id

HOUR = 3600.0


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def kept_world(database: str) -> Iterator[World]:
    """A farm with its record in each kind of database; SQLite's in memory, which is quicker."""
    kept = open_for_writing(database) if "://" in database else memory_database()
    yield World(database=kept)
    kept.close()


def manage(world: World, what: str, **arguments: object) -> object:
    return world.request(Manage(id=new_id(), what=what, arguments=arguments))  # type: ignore[arg-type]


def frames_of(world: World, worker: str, count: int) -> list[int]:
    """Return the frames that *worker* does next, each in a second."""
    return [frame for _ in range(count) for frame in world.finish(worker)]


# --- who is next ----------------------------------------------------------------------------------------------------------


def test_a_user_with_many_jobs_gets_no_more_of_the_farm_than_one_with_a_single_one(world: World) -> None:
    for number in range(4):
        world.submit(animation("1-50", user="ada", name=f"ada {number}", chunk=1))
    world.submit(animation("101-150", user="ben", chunk=1))
    world.add_worker("a")
    assert 18 <= sum(frame > 100 for frame in frames_of(world, "a", 40)) <= 22


def test_projects_share_the_farm_before_their_users_do(world: World) -> None:
    for number, user in enumerate(("ada", "ben", "cleo")):
        world.submit(animation(f"{number * 100 + 1}-{number * 100 + 60}", user=user, project="film", name=user, chunk=1))
    world.submit(animation("301-360", user="dora", project="series", chunk=1))
    world.add_worker("a")
    frames = frames_of(world, "a", 60)
    assert 27 <= sum(frame > 300 for frame in frames) <= 33
    assert all(8 <= sum(number * 100 < frame < number * 100 + 99 for frame in frames) <= 12 for number in range(3))


def test_a_weight_of_three_is_three_times_the_share(world: World) -> None:
    assert not isinstance(manage(world, "set-weight", kind="user", name="ada", weight=3), Sorry)
    world.submit(animation("1-60", user="ada", chunk=1))
    world.submit(animation("101-160", user="ben", chunk=1))
    world.add_worker("a")
    assert 27 <= sum(frame < 100 for frame in frames_of(world, "a", 40)) <= 33


def test_priority_comes_before_the_share(world: World) -> None:
    world.submit(animation("1-20", user="ada", chunk=1))
    world.submit(animation("101-120", user="ben", priority=60, chunk=1))
    world.submit(animation("201-220", user="ben", priority=60, name="second", chunk=1))
    world.add_worker("a")
    assert min(frames_of(world, "a", 20)) > 100


def test_what_runs_for_longer_than_expected_counts_while_it_does(world: World) -> None:
    world.submit(animation("1-20", user="ada"))
    for name in "ab":
        world.add_worker(name)
    world.run(1000)
    told = world.server.farm.usages.known["default", "ada"]
    assert told.running == pytest.approx((1000 + 60) * told.live, rel=0.7) and told.running > 2000


# --- what is kept ---------------------------------------------------------------------------------------------------------


def test_usage_and_weights_survive_a_restart_of_the_server(kept_world: World) -> None:
    world = kept_world
    manage(world, "set-weight", kind="project", name="default", weight=2.5)
    manage(world, "set-half-life", seconds=2 * HOUR)
    world.submit(animation("1-9", user="ada", chunk=1))
    world.add_worker("a")
    frames_of(world, "a", 3)
    before = world.server.farm.usages.known["default", "ada"]
    world.start_server()
    usages = world.server.farm.usages
    after = usages.known["default", "ada"]
    assert after is not before and after.seconds == before.seconds > 0 and after.live == before.live
    assert usages.half_life == 2 * HOUR and usages.quota(QuotaKind.PROJECT, "default").weight == 2.5
    world.run(0.3)
    assert world.ask("shares")["users"][0]["live"] == after.live
    assert not world.server.dispatch.audit() and not [*differences(world.writer, world.server.farm.entities())]


def test_a_weight_of_zero_is_refused_with_what_to_do_instead(world: World) -> None:
    told = manage(world, "set-weight", kind="user", name="ada", weight=0)
    assert isinstance(told, Sorry) and "brender pause" in told.message and "the user ada" in told.message
    assert isinstance(manage(world, "set-weight", kind="user", name="ada", weight=float("nan")), Sorry)
    assert isinstance(manage(world, "set-weight", kind="farm", name="half-life", weight=2), Sorry)
    assert isinstance(manage(world, "set-half-life", seconds=1), Sorry)


def test_only_wranglers_and_admins_set_weights(world: World) -> None:
    message = Manage(id=new_id(), what="set-weight", arguments={"kind": "user", "name": "ada", "weight": 9.0})
    assert isinstance(world.request(message, KeyRole.CLIENT), Sorry)


# --- how use counts -------------------------------------------------------------------------------------------------------


def test_what_was_used_counts_half_after_a_half_life_and_is_never_lost_from_count() -> None:
    usages = Usages(Ledger())
    usages.advance(1000.0)
    usages.charge("a", "film", "ada", 60.0)
    usages.settle("a", 100.0)
    usages.advance(1000.0 + HOUR)
    usages.charge("b", "film", "ben", 60.0)
    usages.settle("b", 50.0)
    assert usages.known["film", "ada"].used == pytest.approx(usages.known["film", "ben"].used)


@given(st.lists(st.tuples(st.sampled_from(["ada", "ben"]), st.floats(1, 1000), st.floats(0, 80 * HOUR)), max_size=20))
def test_counting_again_after_many_half_lives_changes_no_order(uses: list[tuple[str, float, float]]) -> None:
    usages = Usages(Ledger())
    usages.advance(wall := 1000.0)
    exact = {"ada": 0.0, "ben": 0.0}
    for number, (user, seconds, later) in enumerate(uses):
        usages.charge(str(number), "film", user, 60.0)
        wall += later
        usages.advance(wall)
        exact = {name: value * 2 ** (-later / HOUR) for name, value in exact.items()}
        usages.settle(str(number), seconds)
        exact[user] += seconds
    for user, expected in exact.items():
        if ("film", user) in usages.known:
            assert usages.known["film", user].used / usages.scale == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_shares_converge(seed: int) -> None:
    farm, due = shared_farm(10, seed)
    farm.run(1500)
    assert share_error(farm, due) < 0.05
    assert audit(farm.roster) == []


def test_nobody_starves_whoever_else_has_work() -> None:
    demands = {each.job: each for each in (job("ada", 10**6, user="ada"), job("ben", 10**6, user="ben", order=2))}
    farm = VirtualFarm([info(f"w{n}") for n in range(4)], demands, {"ada": 5.0, "ben": 50.0})
    farm.run(50)
    before = dict(farm.done)
    farm.run(200)
    assert all(farm.done[who] > before[who] for who in before)


def test_who_gets_the_farm_and_who_should_is_told_of_those_that_have_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0 + world.now)
    manage(world, "set-weight", kind="user", name="ben", weight=3)
    world.submit(animation("1", user="cleo", project="ads"))
    world.add_worker("a")
    world.finish("a")
    world.submit(animation("1-50", user="ada", project="film", chunk=1))
    world.submit(animation("1-50", user="ben", project="film", chunk=1))
    frames_of(world, "a", 40)
    told = world.ask("shares")
    film, ads = told["projects"]
    assert (film["project"], film["due"], film["had"], film["running"], film["waiting"]) == ("film", 1.0, 1.0, 1, 59)
    assert (ads["due"], ads["had"], ads["running"], ads["waiting"]) == (None, None, 0, 0) and ads["seconds"] > 0
    shares = {row["user"]: row for row in told["users"]}
    assert (shares["ben"]["due"], shares["ada"]["due"], shares["cleo"]["due"]) == (0.75, 0.25, None)
    assert shares["ben"]["had"] == pytest.approx(0.75, abs=0.05)
    said = turns_in_words(told, "film", "ben", 50)
    assert said.startswith("Jobs of equal priority take turns by weight: ben is due 75 % of the project film and had 7")
    assert turns_in_words(told, "ads", "cleo", 50) == "", "nothing of hers waits"
    own = world.ask("shares", user="ben")
    assert [row["user"] for row in own["users"]] == ["ben"] and own["projects"] == [film]
    assert own["users"] == [shares["ben"]] and [row["name"] for row in own["weights"]] == ["ben"]
    assert turns_in_words(own, "film", "ben", 50) == said and turns_in_words(own, "film", "ada", 50) == ""
    assert turns_in_words(told, "film", "ben", 10) == "Jobs of higher priority come first: it has 10, others have up to 50"


def test_brender_why_says_whose_turn_it_is_of_a_job_that_waits_for_busy_workers(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    let_commands_ask(lambda message: world.ask(message.question, **message.arguments), monkeypatch)
    for user in ("ada", "ben"):
        world.submit(animation("1-50", user=user, name=f"of {user}", chunk=1))
    assert "take turns" not in command(capsys, "why", "of ben").out, "it waits for a worker"
    world.add_worker("a")
    world.run(3)
    assert "turns by weight: ben is due 50 % of the project default and had 0 %" in command(capsys, "why", "of ben").out
    assert command(capsys, "shares").out.count("50 %") == 2


class _OlderPage:
    """The page of a farm of an earlier version, which has jobs and no shares. (A stand-in.)"""

    refusal_is_final = False

    def __init__(self, world: World) -> None:
        self._world = world

    def ask(self, question: str, **arguments: object) -> object:
        if question == "shares":
            raise NotFound("There is no such page")
        return self._world.ask(question, **arguments)


def test_why_of_python_leaves_out_whose_turn_it_is_where_the_farm_does_not_tell_it(world: World) -> None:
    for user in ("ada", "ben"):
        world.submit(animation("1-50", user=user, name=f"of {user}", chunk=1))
    world.add_worker("a")
    world.run(3)
    (record,) = (world.ask("job", id=row["id"]) for row in world.ask("jobs", user="ben"))
    said = Job(_OlderPage(world), record).why()  # type: ignore[arg-type]
    assert "of ben" in said and "waits" in said and "turns" not in said


def test_who_has_used_what_is_told_with_the_weights(world: World) -> None:
    manage(world, "set-weight", kind="user", name="ben", weight=2)
    world.submit(animation("1-4", user="ada", chunk=1))
    world.add_worker("a")
    frames_of(world, "a", 2)
    ada, ben = world.ask("shares")["users"]
    assert (ada["user"], ada["of_farm"], ada["of_project"], ada["live"]) == ("ada", 1.0, 1.0, 2) and ada["seconds"] >= 0
    assert (ben["user"], ben["user_weight"], ben["seconds"]) == ("ben", 2.0, 0.0)
