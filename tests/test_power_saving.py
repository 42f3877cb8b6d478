"""Idle machines are put to sleep by a command, and woken by another when work waits that they can do."""

from datetime import datetime
from pathlib import Path

import pytest

from brender.api.standing import worker_standing
from brender.bus.messages import Sorry
from brender.commands.config import settings_for
from brender.model.errors import BadInput
from brender.model.nodes import Stats, WorkerInfo
from brender.model.power import ASLEEP, NOT_WOKEN, Phase, PowerPlan, Sleep, Sleeper, command_for, read_after, read_command
from brender.roles.policy import Policy
from brender.scheduling.power import GOING_SECONDS, Heard, Work, is_awake, wanted
from brender.store.farm_page import attention
from tests.world import World, animation

PLAN = PowerPlan(wake=("wol", "{mac}"), sleep=("suspend", "{host}"), after=60.0, within=40.0)
INFO = WorkerInfo(id="1", incarnation=1, name="w", host="h", mac="00:11:22:33:44:55")


def farm(plan: PowerPlan = PLAN, **hosts: str) -> World:
    """A farm with such a plan and these workers, each on its host."""
    world = World(Policy(power=plan))
    world.add_manager("m")
    for name, host in (hosts or {"w": "far"}).items():
        world.add_worker(name, "m", host=host)
    return world


def shown(world: World, name: str = "w") -> dict:
    (row,) = [each for each in world.ask("workers") if each["name"] == name]
    return row


def commands(world: World) -> list[tuple[str, str]]:
    """What was run since the last look: the verb and the machine."""
    ran, world.power = world.power, []
    return [(each.verb, each.machine) for each in ran]


def answers(world: World, machine: str, verb: str, why_not: str = "") -> None:
    """The command has ended so."""
    world.round.apply(lambda core, now: core.powered(machine, verb, why_not, now))
    world.run(0.2)


def asleep() -> World:
    """A farm whose only worker, at the machine far, was put to sleep and is gone."""
    world = farm()
    world.run(70, 1.0)
    assert commands(world) == [("sleep", "far")]
    answers(world, "far", "sleep")
    world.cut.add("w")
    world.run(90, 1.0)
    return world


def comes_back(world: World, name: str) -> None:
    """The machine is awake, and its worker's process goes on."""
    world.cut.discard(name)
    world.run(40, 1.0)


def test_a_machine_that_is_idle_for_long_is_put_to_sleep_and_shown_as_asleep() -> None:
    world = farm()
    world.run(50, 1.0)
    assert commands(world) == []
    world.run(15, 1.0)
    assert shown(world)["status"] == "falling asleep"
    world = asleep()
    row = shown(world)
    assert (
        row["status"] == "asleep" and "it was idle for 1 minute" in row["reason"] and "`brender wake w`" in worker_standing(row)
    )
    assert "far" not in {each["name"] for each in world.ask("workers")} and world.power == []


def test_a_machine_sleeps_with_all_its_workers_and_not_while_one_renders() -> None:
    world = farm(a="far", b="far")
    world.submit(animation("1", name="long"))
    world.run(120, 1.0)
    assert commands(world) == [], "one of the two renders"
    for name in ("a", "b"):
        if world.workers[name].running is not None:
            world.finish(name)
    world.run(65, 1.0)
    assert commands(world) == [("sleep", "far")]


@pytest.mark.parametrize("host", ["of-server", "host"])
def test_the_servers_machine_and_a_managers_with_other_workers_never_sleep(host: str) -> None:
    world = farm(w=host, other="far")
    world.run(120, 1.0)
    assert commands(world) == [("sleep", "far")]
    assert isinstance(world.act_on_node("sleep", "w"), Sorry)


def test_work_that_it_can_do_wakes_it_and_other_work_does_not() -> None:
    world = asleep()
    job = world.submit(animation("1-3", tags=["no-worker-has-it"]))["id"]
    world.run(20, 1.0)
    assert commands(world) == []
    job = world.submit(animation("1-3", name="shot"))["id"]
    world.run(10, 1.0)
    assert commands(world) == [("wake", "far")]
    assert "w, which is being woken" in world.ask("job", id=job)["reason"] and "shot" in shown(world)["reason"]
    answers(world, "far", "wake")
    comes_back(world, "w")
    assert shown(world)["status"] == "busy" and not world.server.farm.sleepers and commands(world) == []


def test_a_job_that_a_sleeping_machine_can_do_says_at_once_that_it_waits_for_it() -> None:
    world = asleep()
    job = world.submit(animation("1-3"))["id"]
    world.run(0.3)
    assert "waits for w, which sleeps" in world.ask("job", id=job)["reason"]


def test_a_disabled_worker_is_not_woken_by_work() -> None:
    world = asleep()
    world.act_on_node("disable", "w")
    world.submit(animation("1-3"))
    world.run(20, 1.0)
    assert commands(world) == []


def test_a_wake_that_fails_is_shown_and_tried_again_ever_later() -> None:
    world = asleep()
    job = world.submit(animation("1-3"))["id"]
    world.run(10, 1.0)
    commands(world)
    answers(world, "far", "wake", "wol ended with exit code 1: no such interface")
    world.run(3, 1.0)
    row = shown(world)
    assert row["status"] == "asleep" and "could not be woken, tried once: wol ended with exit code 1" in row["reason"]
    assert "w, which sleeps and could not be woken: wol ended" in world.ask("job", id=job)["reason"]
    assert row["id"] in {need["id"] for need in attention(world.record, 1_700_000_000.0 + world.now)}
    world.run(60, 1.0)
    assert commands(world) == []
    world.run(30, 1.0)
    assert commands(world) == [("wake", "far")]
    answers(world, "far", "wake")
    world.run(45, 1.0)
    assert "tried 2 times: it was not back within 40 seconds" in shown(world)["reason"]


def test_a_command_that_puts_it_to_sleep_and_fails_since_it_sleeps_already_leaves_it_asleep() -> None:
    world = farm()
    world.run(70, 1.0)
    world.cut.add("w")
    answers(world, "far", "sleep", "ssh: connect to host far port 22: No route to host")
    world.run(90, 1.0)
    assert shown(world)["reason"].startswith(ASLEEP)


def test_a_server_that_stood_still_since_does_not_take_it_for_awake_before_its_manager_could_say_that_it_is_gone() -> None:
    world = farm()
    world.run(70, 1.0)
    world.cut.add("w")
    answers(world, "far", "sleep", "ssh: connect to host far port 22: No route to host")
    world.now += 60
    world.run(90, 1.0)
    assert shown(world)["reason"].startswith(ASLEEP)


def test_a_command_that_puts_it_to_sleep_and_fails_leaves_it_at_work() -> None:
    world = farm()
    world.run(70, 1.0)
    answers(world, "far", "sleep", "suspend cannot be run: No such file or directory")
    world.beat("w", Stats())
    world.run(2.0, 0.5)
    row = shown(world)
    assert row["status"] == "idle" and row["reason"].startswith("it could not be put to sleep: suspend cannot be run")
    world.submit(animation("1"))
    world.run(2.0)
    assert world.workers["w"].running is not None


def test_who_sleeps_is_known_to_a_restarted_server() -> None:
    world = asleep()
    world.start_server()
    world.run(5, 1.0)
    assert shown(world)["status"] == "asleep"
    world.submit(animation("1"))
    world.run(10, 1.0)
    assert commands(world)[-1] == ("wake", "far")


def test_people_put_a_machine_to_sleep_and_wake_it() -> None:
    world = farm(PowerPlan(wake=("wol",), sleep=("suspend",)))
    world.submit(animation("1"))
    world.run(1.0)
    world.act_on_node("sleep", "w")
    world.run(2.0, 0.5)
    assert commands(world) == [] and "it is put to sleep" in shown(world)["reason"], "it finishes first"
    world.finish("w")
    world.run(2.0, 0.5)
    assert commands(world) == [("sleep", "far")]
    answers(world, "far", "sleep")
    world.cut.add("w")
    world.run(90, 1.0)
    world.act_on_node("wake", "w")
    assert commands(world) == [("wake", "far")]
    comes_back(world, "w")
    assert isinstance(world.act_on_node("wake", "w"), Sorry), "it does not sleep any more"
    world = farm(PowerPlan())
    for action in ("sleep", "wake"):
        assert isinstance(told := world.act_on_node(action, "w"), Sorry)
    assert isinstance(told, Sorry)


def test_a_machine_that_was_told_to_sleep_and_beats_on_is_awake() -> None:
    world = farm()
    world.run(70, 1.0)
    answers(world, "far", "sleep")
    world.run(35, 1.0)
    world.beat("w", Stats())
    world.run(2.0, 0.5)
    assert shown(world)["status"] == "idle"


NEVER = float("-inf")
#: A worker fell asleep at 100, registered by the term "a" at its second start. A lease is 10 seconds; the server heard from 0 on.
KNOWN = Heard(2, "a", 99.0)


@pytest.mark.parametrize(
    ("heard", "registered", "now", "proves"),
    [
        (None, NEVER, 1000.0, False),
        (KNOWN, NEVER, 110.0, False),
        (Heard(3, "b", NEVER), 101.0, 101.0, True),
        (Heard(2, "b", NEVER), 101.0, 101.0, False),
        (Heard(2, "b", NEVER), 101.0, 115.0, False),
        (Heard(2, "b", NEVER), 110.0, 110.0, True),
        (Heard(2, "a", 100.0 + GOING_SECONDS), NEVER, 131.0, False),
        (Heard(2, "a", 101.0 + GOING_SECONDS), NEVER, 132.0, True),
        (KNOWN, NEVER, 100.0 + GOING_SECONDS + 29.0, False),
        (KNOWN, NEVER, 100.0 + GOING_SECONDS + 30.0, True),
    ],
)
def test_only_what_a_machine_cannot_have_said_before_it_slept_proves_that_it_is_awake(
    heard: Heard | None, registered: float, now: float, proves: bool
) -> None:
    worker = WorkerInfo(id="1", incarnation=2, name="w")
    sleeper = Sleeper(worker, Sleep(Phase.ASLEEP, 0.0, ""), slept=100.0, term="a", registered=registered)
    assert is_awake(sleeper, heard, 0.0, 10.0, now) is proves
    going = Sleeper(worker, Sleep(Phase.GOING, 0.0, ""), slept=100.0, term="a", registered=registered)
    assert not is_awake(going, heard, 0.0, 10.0, now), "it may say what it likes until the command has ended"


def test_what_a_server_hears_first_after_a_standstill_wakes_nobody() -> None:
    worker = WorkerInfo(id="1", incarnation=2, name="w")
    sleeper = Sleeper(worker, Sleep(Phase.ASLEEP, 0.0, ""), slept=100.0, term="a", registered=501.0)
    assert is_awake(sleeper, Heard(2, "b", NEVER), 0.0, 10.0, 501.0)
    assert not is_awake(sleeper, Heard(2, "b", NEVER), 500.0, 10.0, 501.0)
    sleeper.registered = 510.0
    assert is_awake(sleeper, Heard(2, "b", NEVER), 500.0, 10.0, 510.0)


def test_a_machine_that_is_taken_for_awake_by_late_words_and_is_gone_at_once_sleeps_still() -> None:
    world = asleep()
    world.cut.discard("w")
    world.run(10, 1.0)
    assert shown(world)["status"] == "idle"
    world.cut.add("w")
    world.run(45, 1.0)
    assert shown(world)["status"] == "asleep" and "idle for 1 minute" in shown(world)["reason"]


def test_a_machine_that_was_switched_off_is_woken_by_hand_and_shown_as_off_where_that_fails() -> None:
    world = farm(PowerPlan(wake=("wol", "{mac}"), within=40.0))
    world.cut.add("w")
    world.run(50, 1.0)
    assert shown(world)["status"] == "offline"
    world.act_on_node("wake", "w")
    assert commands(world) == [("wake", "far")] and "it is being woken" in shown(world)["reason"]
    answers(world, "far", "wake")
    world.run(45, 1.0)
    assert shown(world)["status"] == "offline" and NOT_WOKEN in shown(world)["reason"]
    assert not world.server.farm.sleepers
    world.act_on_node("wake", "w")
    comes_back(world, "w")
    assert shown(world)["status"] == "idle"


def test_a_worker_that_is_missing_on_a_machine_that_is_awake_is_not_woken() -> None:
    world = farm(a="far", b="far")
    world.cut.add("b")
    world.run(50, 1.0)
    told = world.act_on_node("wake", "b")
    assert isinstance(told, Sorry) and "a runs on it" in told.message


def test_further_machines_are_woken_only_where_that_is_worth_it() -> None:
    machines, all_three = {"a": 1, "b": 1, "c": 1}, frozenset("abc")
    assert wanted([Work(("j",), 0, 0.0, 0, all_three)], machines, (), 60) == {}
    assert list(wanted([Work(("j",), 50, 50.0, 0, all_three)], machines, (), 60)) == ["a"]
    assert list(wanted([Work(("j",), 50, 50.0, 1, all_three)], machines, (), 60)) == []
    assert list(wanted([Work(("j",), 50, 5000.0, 1, all_three)], machines, (), 60)) == ["a", "b", "c"]
    assert list(wanted([Work(("j",), 2, 5000.0, 1, all_three)], machines, (), 60)) == ["a", "b"]
    assert list(wanted([Work(("j",), 2, 5000.0, 1, all_three)], machines, ("a",), 60)) == ["b"]
    assert list(wanted([Work(("j",), 2, 5000.0, 1, frozenset("c"))], machines, (), 60)) == ["c"]


@pytest.mark.parametrize(
    "told",
    [
        {"mac": ""},
        {"mac": "--help"},
        {"host": "-oProxyCommand=reboot"},
        {"host": "a b"},
        {"host": "h;reboot"},
        {"name": "-x"},
        {"name": "w; reboot"},
        {"name": "$(reboot)"},
        {"host": "localhost"},
        {"host": "127.0.0.1"},
    ],
)
def test_what_a_worker_says_of_itself_is_never_an_option_or_a_word_of_its_own(told: dict[str, str]) -> None:
    worker = WorkerInfo(id="1", incarnation=1, **({"name": "w", "host": "h", "mac": INFO.mac} | told))
    with pytest.raises(BadInput, match=r"cannot be|does not say"):
        command_for(("run", "{name}", "{host}", "{mac}"), worker)


def test_settings_of_the_table_power(tmp_path: Path) -> None:
    content = {"power": {"wake": "wol {mac}", "after": "1h"}, "server": {"lease": 5}}
    assert settings_for("server", content) == {"power_wake": "wol {mac}", "power_after": "1h", "lease": 5}
    assert read_command("wol '{mac}' x{host}") == ("wol", "{mac}", "x{host}")
    for text in ("wol {ip}", "wol 'open"):
        with pytest.raises(BadInput):
            read_command(text)
    for text in ("", "20", "4s", "soon", "-5m"):
        with pytest.raises(BadInput):
            read_after(text)
    assert datetime.fromtimestamp(read_after("1h30m")) == datetime.fromtimestamp(5400)
