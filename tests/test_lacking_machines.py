"""What one machine lacks, and another may have: a program, an output folder, a Blender for an add-on, memory."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from brender.commands.options import client
from brender.engines.addons import addons_for
from brender.engines.attempt import Attempt, AttemptFailed, Place
from brender.engines.command import CommandEngine
from brender.engines.confine import Confinement
from brender.engines.events import Ended
from brender.engines.job_files import make_output_folder
from brender.engines.life import Life
from brender.engines.publish import Lease
from brender.jobs.steps import Environment, Step, Steps
from brender.model.addon import AddOn
from brender.model.failure_patterns import Follows
from brender.model.grant import Grant, Order, PartGrant
from brender.model.nodes import Blender
from tests.tools import ended, process, submit_command, until

PROGRAM = "render-of-another-machine"
#: Nobody can make a folder in /proc, be it root.
NOT_MOUNTED = "/proc/brender/show"


def attempt_at(
    folder: Path, settings: dict[str, object], emit: Callable[[object], None] = lambda event: None, **more: object
) -> Attempt:
    confinement = more.pop("confinement", Confinement())
    order = Order(job="j" * 16, engine="command", settings=settings, **more)  # type: ignore[arg-type]
    grant = Grant(attempt="a" * 16, worker="w", task=1, job="j" * 16, parts=(PartGrant(id=1, frame=1, layer="render"),))
    place = Place(folder / "w", (), Lease(), least_free=0, confinement=confinement)  # type: ignore[arg-type]
    return Attempt(grant, order, place, emit)


def end_of(folder: Path, settings: dict[str, object], confinement: Confinement, **more: object) -> Ended:
    events: list[object] = []
    life = Life(attempt_at(folder, settings, events.append, confinement=confinement, **more), CommandEngine())
    life.begin()
    assert life.join(60)
    (end,) = (each for each in events if isinstance(each, Ended))
    return end


@pytest.mark.parametrize("of_steps", [False, True])
@pytest.mark.parametrize("sandbox", [False, True])
def test_a_program_that_is_not_installed_here_is_tried_at_another_machine(tmp_path: Path, of_steps: bool, sandbox: bool) -> None:
    steps = Steps(steps=(Step(name="render", command=(PROGRAM,)),))
    settings: dict[str, object] = (
        {"steps": msgspec.json.encode(steps).decode()} if of_steps else {"program": PROGRAM, "arguments": []}
    )
    end = end_of(tmp_path, settings, Confinement(sandbox=sandbox, roots=(tmp_path,)))
    assert end.reason.endswith(f"{PROGRAM} cannot be started: No such file or directory")
    assert end.permanent and end.elsewhere


@pytest.mark.parametrize("sandbox", [False, True])
@pytest.mark.parametrize(
    ("made_by", "why"),
    [
        ("printf '#!/bin/sh\\n' > tool.sh; chmod +x tool.sh", ""),
        ("echo 'exit 0' > tool.sh", "Permission denied"),
        ("mkdir tool.sh", "Permission denied"),
        ("", "No such file or directory"),
    ],
)
def test_a_program_that_its_environment_writes_is_started_or_says_why_not(
    tmp_path: Path, made_by: str, why: str, sandbox: bool
) -> None:
    around = Environment(name="tools", enter=("sh", "-c", made_by or "true"))
    steps = Steps(steps=(Step(name="render", command=("./tool.sh",), environments=(around,)),))
    settings: dict[str, object] = {"steps": msgspec.json.encode(steps).decode()}
    end = end_of(tmp_path, settings, Confinement(sandbox=sandbox, roots=(tmp_path,)))
    assert end.reason.endswith(f"./tool.sh cannot be started: {why}") if why else end.reason == ""


def test_a_program_that_takes_more_memory_than_this_worker_gives_is_tried_at_another_machine(tmp_path: Path) -> None:
    settings = {"program": "python3", "arguments": ["-c", "import time; held = b'x' * 200_000_000; time.sleep(60)"]}
    end = end_of(tmp_path, settings, Confinement(memory=60_000_000))
    assert "(--limit-memory)" in end.reason and end.permanent and end.elsewhere


def test_an_output_folder_in_whose_place_a_file_stands_is_tried_at_another_machine(tmp_path: Path) -> None:
    (tmp_path / "mnt").write_text("a file")
    with pytest.raises(AttemptFailed, match="mnt/show cannot be made: Not a directory") as failed:
        make_output_folder(attempt_at(tmp_path, {}, output=str(tmp_path / "mnt" / "show")))
    assert failed.value.permanent and failed.value.follows is Follows.ELSEWHERE


def test_an_output_folder_that_is_not_mounted_here_is_tried_here_again_in_some_minutes(tmp_path: Path) -> None:
    steps = Steps(steps=(Step(name="render", command=("true",)),))
    settings: dict[str, object] = {"steps": msgspec.json.encode(steps).decode()}
    end = end_of(tmp_path, settings, Confinement(), output=NOT_MOUNTED)
    assert end.reason.startswith(f"The output folder {NOT_MOUNTED} cannot be ")
    assert end.put_off and not end.elsewhere and not end.permanent


def test_an_output_folder_that_may_not_be_written_is_found_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # (a stand-in: who runs the tests may be root)
    with pytest.raises(AttemptFailed, match="out cannot be used: Permission denied") as failed:
        make_output_folder(attempt_at(tmp_path, {}, output=str(tmp_path / "out")))
    assert failed.value.follows is Follows.LATER


def test_an_add_on_that_is_not_for_the_blender_here_is_tried_at_another_machine(tmp_path: Path) -> None:
    addon = AddOn(name="New", module="new", digest="0" * 64, size=1, oldest=(5, 0, 0))
    old = Blender(kind="executable", path="/opt/blender", version=(3, 6, 0))
    with pytest.raises(AttemptFailed, match=r"needs Blender 5\.0 or later") as failed:
        addons_for(attempt_at(tmp_path, {}, addons=(addon,)), old, tmp_path / "addons")
    assert failed.value.permanent and failed.value.follows is Follows.ELSEWHERE


@pytest.mark.thorough
def test_a_farm_of_two_machines_of_which_one_lacks_the_program_renders_all_on_the_other(tmp_path: Path) -> None:
    programs, server = tmp_path / "programs", tmp_path / "server"
    programs.mkdir()
    (programs / PROGRAM).write_text("#!/bin/sh\n")
    (programs / PROGRAM).chmod(0o755)
    having = ("env", f"PATH={programs}:{os.environ['PATH']}")
    with (
        process("server", data=server),
        process("manager", data=tmp_path / "m", farm=server),
        process("worker", "--name", "lacks", data=tmp_path / "a", farm=server),
        client(None, server) as connection,
    ):
        until(lambda: [row["status"] for row in connection.ask("workers")] == ["idle"])
        alone = ended(connection, submit_command(connection, PROGRAM, frames="1-3"))
        assert (alone["status"], alone["reason"]) == ("failed", f"{PROGRAM} cannot be started: No such file or directory")
        with process("worker", "--name", "has", data=tmp_path / "b", farm=server, inside=having):
            until(lambda: len([row for row in connection.ask("workers") if row["status"] == "idle"]) == 2)
            job = ended(connection, submit_command(connection, PROGRAM, frames="1-20"))
    assert (job["status"], job["failures"], [off["worker_name"] for off in job["kept_off"]]) == ("completed", 0, ["lacks"])
