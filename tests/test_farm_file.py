"""The settings file says what projects, users and licences may have; what people set while the farm runs counts more."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from brender.bus.messages import Manage, Sorry
from brender.commands.config import read_config, settings_for
from brender.commands.settings import config
from brender.jobs.clones import clone
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.farm_file import Said, read_farm_tables
from brender.model.quotas import HALF_LIFE, HALF_LIFE_SECONDS, QuotaKind
from brender.model.sharing import NO_POOL, Sharing
from brender.roles.policy import Policy
from tests.world import World, animation, new_id

FILE = {
    "shares": {"half-life": 24, "projects": {"film": 3}, "users": {"ada": 2.5}},
    "limits": {"users": {"ada": 50}},
    "licences": {"nuke": 4},
    "pools": {"film": "night"},
}


def world_with(content: dict[str, Any], world: World | None = None) -> World:
    """A farm whose server is started with a settings file of this *content*; *world*: one that was there before."""
    policy = Policy(farm_tables=read_farm_tables(content))
    if world is None:
        return World(policy)
    world.policy = policy
    world.start_server()
    world.run(0.3)
    return world


def manage(world: World, what: Any, **arguments: Any) -> Any:
    return world.request(Manage(id=new_id(), what=what, arguments=arguments))


def most(world: World, user: str = "ada") -> int | None:
    return world.server.farm.usages.quota(QuotaKind.USER, user).most


def test_what_the_file_says_counts_until_somebody_sets_another_and_again_when_they_say_so() -> None:
    world = world_with(FILE)
    usages = world.server.farm.usages
    assert usages.quota(QuotaKind.PROJECT, "film").weight == 3 and usages.half_life == 24 * 3600 and most(world) == 50
    manage(world, "set-limit", kind="user", name="ada", most=8)
    world_with({"limits": {"users": {"ada": 60}}}, world)
    assert most(world) == 8
    (limit,) = world.ask("limits")
    assert (limit["most"], limit["said_by"], limit["in_file"]) == (8, "command", 60)
    assert manage(world, "set-limit", kind="user", name="ada", most="file")["most"] == 60
    assert world.ask("limits")[0]["said_by"] == "file"


def test_what_the_file_says_no_more_is_forgotten() -> None:
    world = world_with(FILE)
    world_with({}, world)
    usages = world.server.farm.usages
    assert most(world) is None and usages.quota(QuotaKind.PROJECT, "film").weight == 1.0
    assert usages.half_life == HALF_LIFE_SECONDS == world.ask("shares")["half_life"]
    assert world.ask("limits") == [] and world.server.dispatch.audit() == []


def test_a_limit_that_was_lifted_by_command_stays_lifted() -> None:
    world = world_with(FILE)
    manage(world, "set-limit", kind="user", name="ada", most=None)
    assert most(world_with(FILE, world)) is None


def test_the_jobs_of_a_project_belong_to_its_pool_unless_they_say_otherwise() -> None:
    world = world_with(FILE)
    pool_of = {
        said: world.ask("job", id=world.submit(animation("1", project="film", sharing=Sharing(pool=said)))["id"])["sharing"]
        for said in ("", "day", NO_POOL)
    }
    assert pool_of == {"": {"pool": "night"}, "day": {"pool": "day"}, NO_POOL: {}}
    assert world.ask("job", id=world.submit(animation("1"))["id"])["sharing"] == {}
    assert manage(world, "set-pool", name="film", pool="late") == {"name": "film", "pool": "late"}
    world_with(FILE, world)
    job = world.submit(animation("1", project="film"))["id"]
    assert world.ask("job", id=job)["sharing"] == {"pool": "late"}
    assert next(row["pool"] for row in world.ask("projects") if row["name"] == "film") == "late"
    assert manage(world, "set-pool", name="film", pool="file")["pool"] == "night"
    assert isinstance(manage(world, "set-pool", name="film", pool=" x"), Sorry)


def test_the_clone_of_a_job_without_a_pool_has_none_either() -> None:
    world = world_with(FILE)
    job = world.submit(animation("1", project="film", sharing=Sharing(pool=NO_POOL)))["id"]
    again = clone(world.ask("job", id=job), new_id(), "ada", Edit())
    assert world.ask("job", id=world.submit(msgspec.structs.replace(again, output="/renders/again"))["id"])["sharing"] == {}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"shares": {"users": {"ada": 0}}}, "[shares] users"),
        ({"shares": {"half-life": "long"}}, "[shares] half-life"),
        ({"shares": {"licences": {}}}, "[shares] licences"),
        ({"limits": {"projects": 4}}, "[limits] projects"),
        ({"limits": {"projects": {"film": -1}}}, "[limits] projects"),
        ({"licences": {"nuke": 2.5}}, "[licences] nuke"),
        ({"licences": {"": 2}}, "[licences] "),
        ({"pools": {"film": 3}}, "[pools] film"),
        ({"pools": []}, "[pools]"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_name(content: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_farm_tables(content)
    assert str(refused.value).startswith(named)


TOML = """
[shares]
half-life = 24
users = { ada = 2 }
[limits.users]
ada = 50
[pools]
film = "night"
"""


def test_config_shows_and_checks_the_tables_and_no_command_takes_them_for_options(tmp_path: Path) -> None:
    file = tmp_path / "brender.toml"
    file.write_text(TOML)
    content = read_config(["--config", str(file)])
    assert settings_for("limits", content) == {} == settings_for("shares", content)
    shown = CliRunner().invoke(config, ["show", "--config", str(file), "shares"])
    assert "half-life" in shown.output and "24" in shown.output and "brender shares" in shown.output
    assert CliRunner().invoke(config, ["check", "--config", str(file)]).exit_code == 0
    file.write_text("[pools]\nfilm = 3\n")
    refused = CliRunner().invoke(config, ["check", "--config", str(file)])
    assert isinstance(refused.exception, BadInput) and "[pools] film" in str(refused.exception)


def test_hours_become_seconds() -> None:
    (said,) = read_farm_tables({"shares": {"half-life": 0.5}})
    assert said == Said("shares", "half-life", *HALF_LIFE, "weight", 1800.0)
