"""Limits of jobs, users, projects and licences are never exceeded, and said where they keep a job waiting."""

import msgspec
import pytest

from brender.bus.messages import Manage, Sorry, Submit
from brender.model.job import JobSpec
from brender.model.keys import KeyRole
from brender.model.sharing import Sharing, pool_warnings
from brender.scheduling.reasons import at_its_limit, gate_is_full
from tests.world import World, animation, new_id


@pytest.fixture
def world() -> World:
    made = World()
    for name in "abcd":
        made.add_worker(name)
    return made


def limit(world: World, kind: str, name: str, most: int | None) -> object:
    arguments = {"kind": kind, "name": name, "most": most}
    return world.request(Manage(id=new_id(), what="set-limit", arguments=arguments))


def shot(frames: str = "1-20", sharing: Sharing | None = None, **more: object) -> JobSpec:
    return msgspec.structs.replace(animation(frames, chunk=1, **more), sharing=sharing or Sharing())


def out(world: World, user: str = "") -> int:
    farm = world.server.farm
    return sum(user in ("", farm.jobs[each.job].spec.user) for each in farm.attempts.values())


def work(world: World, rounds: int, most: int, user: str = "") -> None:
    """Let all workers finish what they have, and look after each task whether more than *most* are out."""
    for _ in range(rounds):
        for name, stub in world.workers.items():
            if stub.running is not None:
                world.finish(name)
            assert out(world, user) <= most
    assert not world.server.dispatch.audit()


def test_a_job_is_rendered_by_no_more_workers_than_it_names(world: World) -> None:
    world.submit(shot(sharing=Sharing(most_workers=2)))
    assert out(world) == 2
    work(world, 4, 2)


def test_a_users_limit_counts_all_of_their_jobs_and_leaves_the_rest_to_others(world: World) -> None:
    limit(world, "user", "ada", 1)
    for name in ("first", "second"):
        world.submit(shot(user="ada", name=name))
    world.submit(shot(user="ben"))
    work(world, 4, 1, "ada")
    assert out(world, "ada") == 1 and out(world, "ben") >= 3


def test_a_projects_limit_can_be_changed_while_it_renders(world: World) -> None:
    limit(world, "project", "film", 1)
    world.submit(shot(project="film"))
    assert out(world) == 1
    limit(world, "project", "film", 3)
    world.run(0.5)
    assert out(world) == 3
    limit(world, "project", "film", None)
    world.run(0.5)
    assert out(world) > 3


def test_no_more_tasks_are_out_than_there_are_licences_nor_after_a_restart(world: World) -> None:
    limit(world, "licence", "nuke", 2)
    world.submit(shot(sharing=Sharing(licences=("nuke",))))
    world.submit(shot(sharing=Sharing(licences=("nuke",)), user="ben", name="other"))
    work(world, 2, 2)
    world.start_server()
    world.run(1)
    assert out(world) == 2
    said = {"said_by": "command", "in_file": None}
    assert world.ask("limits") == [{"kind": "licence", "name": "nuke", "most": 2, "live": 2, **said}]


def test_a_licence_that_the_farm_does_not_have_is_refused_with_the_command_that_makes_it(world: World) -> None:
    told = world.submit(shot(sharing=Sharing(licences=("nuke",))))
    assert isinstance(told, Sorry) and "brender limits --licence nuke=4" in told.message


def test_a_job_that_waits_for_a_limit_says_so_with_the_numbers_and_the_command(world: World) -> None:
    limit(world, "licence", "nuke", 0)
    job = world.submit(shot(sharing=Sharing(licences=("nuke",))))
    world.run(2)
    said = world.ask("job", id=job["id"])["reason"]
    assert said == gate_is_full(("licence", "nuke"), 0, 0) and "`brender limits --licence nuke=1`" in said
    limit(world, "licence", "nuke", 1)
    limit(world, "user", "ada", 0)
    other = world.submit(shot(user="ada"))
    world.run(2)
    assert world.ask("job", id=other["id"])["reason"] == gate_is_full(("user", "ada"), 0, 0)
    assert "0 tasks out at a time" in gate_is_full(("user", "ada"), 0, 0)
    assert "1 task " in at_its_limit(1, 1)


def test_of_the_limits_one_user_is_shown_their_own_and_those_of_all(world: World) -> None:
    for kind, name in (("user", "ada"), ("user", "bob"), ("project", "film"), ("licence", "nuke")):
        limit(world, kind, name, 2)
    world.run(0.2)
    told = {(row["kind"], row["name"]) for row in world.ask("limits", user="ada")}
    assert told == {("user", "ada"), ("project", "film"), ("licence", "nuke")}
    assert len(world.ask("limits")) == 4


def test_a_pool_that_no_worker_is_of_is_named_when_a_job_asks_for_it(world: World) -> None:
    (said,) = world.submit(shot("1-4", sharing=Sharing(pool="nigth")))["warnings"]
    assert "No connected worker is of the pool nigth" in said
    other = world.submit(shot("1-4", output="/other"))
    assert not other["warnings"]
    world.act("edit", other["id"], {"pool": "nigth"})
    assert world.ask("job", id=other["id"])["warnings"] == [said]
    assert pool_warnings("night", ["", "night"]) == []
    assert "there are: day and night" in pool_warnings("nigth", ["night", "day", "night"])[0]


def test_what_a_job_says_of_sharing_is_kept_and_shown(world: World) -> None:
    sharing = Sharing(most_workers=3, pool="film")
    job = world.submit(shot(sharing=sharing))
    assert world.ask("job", id=job["id"])["sharing"] == {"most_workers": 3, "pool": "film"}
    world.start_server()
    assert world.server.farm.jobs[job["id"]].spec.sharing == sharing


@pytest.mark.parametrize(
    "sharing", [Sharing(most_workers=-1), Sharing(licences=("a", "a")), Sharing(pool=" x"), Sharing(reclaim_at_once=True)]
)
def test_what_makes_no_sense_is_refused(world: World, sharing: Sharing) -> None:
    assert isinstance(world.submit(shot(sharing=sharing)), Sorry)
    assert isinstance(limit(world, "user", "ada", -1), Sorry)


def test_an_artist_may_not_rush(world: World) -> None:
    spec = shot(sharing=Sharing(rush=True))
    world.server.farm.users["ada"] = "artist"  # type: ignore[assignment]
    told = world.request(Submit(id=new_id(), job=spec, on_behalf_of="ada"))
    assert isinstance(told, Sorry) and "--rush" in told.message
    assert not isinstance(world.request(Submit(id=new_id(), job=spec), KeyRole.ADMIN), Sorry)
