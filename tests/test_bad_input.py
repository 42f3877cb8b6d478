"""Whatever is wrong with what the user gives: one clear sentence (what, where, what to do) and a non-zero exit code."""

import os
import re
from pathlib import Path

import pytest
import zmq

from brender.bus.address import Address, free_ports
from brender.commands.config import check_config, settings_for
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.commands.setting_options import Number
from brender.jobs.declare import render_settings
from brender.store.datafolder import DataFolder
from tests.conftest import BLENDS, SCENES
from tests.tools import Said, command, ended, let_commands_ask, one_farm, process, submit_command

CUBE = SCENES / "03_animated_cube.blend"
BENCHMARK = BLENDS / "brender-1" / "benchmark.blend"


def assert_refused(said: Said, *parts: str) -> None:
    """One sentence, no traceback, and every one of *parts* in it."""
    assert said.code != 0
    assert "Traceback" not in said.err
    message = said.err.strip().splitlines()
    assert len(message) == 1 and message[0].startswith("Error: "), said.err
    for part in parts:
        assert re.search(part, message[0]), f"{part!r} is not in {message[0]!r}"


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert_refused(command(capsys, "render", tmp_path / "nope.blend"), "There is no file .*nope.blend")


def test_a_folder_in_place_of_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert_refused(command(capsys, "render", tmp_path), "is a folder: name a .blend in it")


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04 a zip", b"\x89PNG\r\n"])
def test_a_file_that_is_no_blend(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.blend").write_bytes(content)
    assert_refused(command(capsys, "render", tmp_path / "x.blend"), r"x\.blend is not a \.blend file")


def test_an_empty_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x.blend").write_bytes(b"")
    assert_refused(command(capsys, "render", tmp_path / "x.blend"), r"x\.blend is empty")


@pytest.mark.parametrize("length", [12, 100, 3000, 300_000, -1000, -24])
def test_a_blend_that_is_cut_off(capsys: pytest.CaptureFixture[str], tmp_path: Path, length: int) -> None:
    (tmp_path / "x.blend").write_bytes(BENCHMARK.read_bytes()[:length])
    assert_refused(command(capsys, "render", tmp_path / "x.blend"), r"x\.blend is (cut off|damaged)")


def test_a_file_whose_name_is_not_in_utf8(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.blend"))
    path.write_bytes(BENCHMARK.read_bytes())
    assert_refused(command(capsys, "render", path), "is not in UTF-8", "Rename it")


def test_a_blend_without_a_camera(capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "render", SCENES / "01_linked_collection.blend", "--allow-missing")
    assert_refused(said, "01_linked_collection.blend", "the scene 'Scene' has no camera", "--camera")


def test_a_scene_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "render", CUBE, "--allow-missing", "--scene", "Nope"), "no scene 'Nope'; it has: 'Scene'")


def test_a_camera_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "render", CUBE, "--allow-missing", "--camera", "Nope"), "no camera 'Nope'; it has: 'Camera'")


@pytest.mark.parametrize("frames", ["", "x", "1-", "1.5", "9999999"])
def test_an_impossible_frame_range(capsys: pytest.CaptureFixture[str], frames: str) -> None:
    assert_refused(command(capsys, "render", CUBE, "--allow-missing", "--frames", frames), "frame")


def test_an_output_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = command(capsys, "render", CUBE, "--allow-missing", "--output", tmp_path / "file" / "out")
    assert_refused(said, "output folder .*out cannot be written: Not a directory", "--output")


def test_an_output_pattern_that_climbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "render", CUBE, "--allow-missing", "--pattern", "../x_##"), r"climbs out of the output folder")


@pytest.mark.parametrize("given", ["10", "10%", "10 %", 10])
def test_a_resolution_may_be_written_with_its_sign(given: object) -> None:
    assert Number(render_settings()["resolution"]).convert(given, None, None) == 10


def test_a_resolution_that_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a whole percentage, such as 50 or 50%" in command(capsys, "render", CUBE, "--resolution", "half").err


def test_a_resolution_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "render", CUBE, "--allow-missing", "--resolution", "0"), "'resolution' cannot be 0")


def test_a_blender_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = command(capsys, "render", CUBE, "--allow-missing", "--blender", "/bin/ls", "--output", tmp_path / "out")
    assert_refused(said, "/bin/ls is not a Blender")


def test_a_blender_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = command(capsys, "render", CUBE, "--allow-missing", "--blender", "/no/blender", "--output", tmp_path / "out")
    assert_refused(said, "There is no program '/no/blender'")


def test_a_server_that_does_not_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    one_farm(tmp_path / "data")
    address = f"127.0.0.1:{free_ports(1)}"
    assert_refused(command(capsys, "jobs", "--server", address), f"Nothing listens at {address}", "brender-server", "--server")


def test_a_host_name_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "jobs", "--server", "no-such-host.invalid"), "cannot be resolved", "hosts file")


def test_a_machine_that_has_not_joined_a_farm(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "jobs"), "has not joined one", "brender farm", "brender join")


def test_a_machine_that_has_not_joined_a_farm_is_told_a_command_that_makes_its_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "jobs"), "has not joined one", "`brender token create --role client --name NAME`")


@pytest.mark.parametrize("role", ["worker", "manager"])
def test_a_node_that_has_not_joined_a_farm(capsys: pytest.CaptureFixture[str], role: str) -> None:
    said = command(capsys, "role", role, "--name", "new")
    assert_refused(said, f"{role} new has not joined", f"token create --role {role}", "--join TOKEN")


@pytest.mark.parametrize("role", ["worker", "manager"])
def test_a_node_without_a_name_is_the_one_that_has_joined_from_the_data_folder_and_of_several_their_names_are_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, role: str
) -> None:
    for name in ("first", "second"):
        kept = tmp_path / f"{role}s" / name / "membership.json"
        kept.parent.mkdir(parents=True)
        kept.write_text("broken")
        said = command(capsys, "role", role, "--data", tmp_path)
        if name == "first":
            assert_refused(said, str(kept))
    assert_refused(said, "has not joined", f"Joined from {tmp_path} before: first, second. `--name first` starts that one")


def test_words_of_another_program_are_not_taken_for_options_of_brender(
    shared_farm: tuple[DataFolder, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("hooks", "add", "/bin/true", "--event", "job-completed", "--data", shared_farm[0].root)
    assert_refused(command(capsys, *words, "--", "--verbose", "-v"), "Hooks may not run '/bin/true'", "--hook-program")
    assert "Traceback" in command(capsys, *words, "--verbose").err


def test_a_hook_for_a_project_that_is_not_there_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"id": "ab", "events": ["job-failed"], "secret": "s"}
    known = [{"name": "default"}]
    let_commands_ask(lambda asked: known if getattr(asked, "question", "") == "projects" else made, monkeypatch)
    words = ("hooks", "add", "http://receiver", "--project")
    assert "there is no project nosuch yet" in command(capsys, *words, "nosuch").err
    assert not command(capsys, *words, "default").err


@pytest.mark.parametrize("words", [("join", "brender-xyz"), ("role", "worker", "--join", "hello")])
def test_what_is_no_join_token(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert_refused(command(capsys, *words), "not a join token", "brender token create")


def test_what_is_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "jobs", "--server", "host:port"), "'host:port' is not an address", "host:port, such as")


def said_of_a_port_in_use(capsys: pytest.CaptureFixture[str], role: str, offset: int, *more: object) -> None:
    """Start a *role* while the port so far from its own is taken, and look at what it says."""
    port = free_ports(7) + 4
    with zmq.Context() as context, context.socket(zmq.ROUTER) as holder:
        holder.bind(f"tcp://127.0.0.1:{port + offset}")
        said = command(capsys, "role", role, "--listen", f"127.0.0.1:{port}", *more)
    assert_refused(said, f"port {port + offset} on 127.0.0.1 is in use", "--port-base")


@pytest.mark.parametrize("offset", [0, -2, -4])
def test_a_port_of_the_server_in_use(capsys: pytest.CaptureFixture[str], offset: int) -> None:
    said_of_a_port_in_use(capsys, "server", offset)


@pytest.mark.parametrize(("role", "offset"), [("manager", 0), ("manager", 1), ("dashboard", 0)])
def test_a_port_in_use(shared_farm: tuple[DataFolder, str], capsys: pytest.CaptureFixture[str], role: str, offset: int) -> None:
    said_of_a_port_in_use(capsys, role, offset, "--data", shared_farm[0].root)


def test_a_data_folder_that_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(
        command(capsys, "role", "server", "--data", tmp_path / "file" / "x"), "data folder .* cannot be used", "--data"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[server]\nlisen = '127.0.0.1'", r"\[server\] has no setting 'lisen'; did you mean 'listen'"),
        ("[serve]\nlisten = '127.0.0.1'", r"nobody knows the table \[serve\]; did you mean 'server'"),
        ("[restore]\nas-it-is = true", r"\[restore\] as-it-is cannot be set in the file: give it on the command line each time"),
        ("colour = 1", "nobody knows the setting 'colour'"),
        ("server = 1", r"'server' must be a table, \[server\]"),
        ("[server\n", "is not TOML"),
    ],
)
def test_a_settings_file_that_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "brender.toml").write_text(content)
    assert_refused(command(capsys, "jobs", "--config", tmp_path / "brender.toml"), r"brender\.toml", said)


def test_a_settings_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(command(capsys, "jobs", "--config", "/no/brender.toml"), "no settings file /no/brender.toml")


def test_a_value_in_the_settings_file_that_does_not_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "brender.toml").write_text("[farm]\nworkers = 'many'")
    said = command(capsys, "farm", "--config", tmp_path / "brender.toml")
    assert said.code == 2 and '[farm] workers is a whole number, and not "many"' in said.err


def test_an_option_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "render", "--nonsense")
    assert said.code == 2 and "No such option" in said.err


def test_the_trace_is_shown_to_who_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "render", "/no/file.blend", "--verbose")
    assert said.code == 2 and "Traceback" in said.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("job", "zzz"), ["There is no job 'zzz'"]),
        (("pause", "zzz"), ["There is no job 'zzz'"]),
        (("log", "JOB", "--frame", "99"), ["has no frame 99: it has the frame 0"]),
        (("pause", "JOB"), ["is completed already"]),
        (("resume", "JOB"), ["is completed, not paused", "requeue"]),
        (("priority", "JOB", "101"), ["101 is not a whole number from 0 to 100"]),
        (("requeue", "JOB", "--frames", "x"), ["'x' is not a frame set"]),
        (("requeue", "JOB", "--frames", "5"), ["has none of these frames"]),
        (("requeue", "JOB", "--frames", "5", "--all"), ["--all or --frames, not both"]),
        (("submit", "--type", "nonsense"), ["no job type 'nonsense'"]),
        (("submit", "--type", "command"), ["needs a program"]),
        (("submit", "--", "echo", "{nope}"), ["{nope} in '{nope}' is not a placeholder"]),
        (("submit", "--type", "command", "--", "echo", "{nope}"), ["{nope} in '{nope}' is not a placeholder"]),
        (("submit",), ["Name one .blend"]),
        (("submit", "--", "a.blend", "b.blend"), ["Name one .blend"]),
        (("submit", "a.blend", "--", "true"), ["Name one .blend"]),
        (("submit", "--frames", "1-2", "a.blend", "--", "true"), ["Name one .blend"]),
        # What would be ignored is refused.
        (("submit", "--trusted", "--overwrite", "--", "true"), ["has no .blend: leave out --overwrite and --trusted"]),
        (("submit", "--untrusted", "--allow-missing", "--", "true"), ["leave out --allow-missing and --untrusted"]),
        (("submit", "--no-site-addons", "--addon", "x.py", "--", "true"), ["leave out --addon and --no-site-addons"]),
        (("submit", "--no-persistent", "--", "true"), ["--no-persistent is not for jobs of the type command"]),
        (("submit", "--chunk", "auto", "--frames", "1-2", "--", "true"), ["'chunk' cannot be 0"]),
        (("submit", "--output", "//out", "--", "true"), ["//out is a folder beside the .blend", "give a whole path"]),
        (("submit", "--set", "program=ls", "--", "true"), ["stands after --, and in --set program="]),
        (("submit", "--frames", "1", "--set", "frames=2", "--", "true"), ["--frames and --set frames= say the same setting"]),
        (("submit", "--pictures", "--", "true"), ["--pictures shows frames while the job is waited for", "--wait"]),
        (("submit", "--type", "video", "--set", "pictures=/a_#.png", "--frames", "1-2", "x.blend"), ["no use for x.blend"]),
        (("submit", "--type", "video", "job.yaml"), ["job.yaml is a template", "leave out --type video"]),
        (("submit", "--set", "a=b", "job.yaml"), ["job.yaml is a template", "--param NAME=VALUE"]),
        (
            ("submit", "--type", "blender-bake", "--passes", "3", "--allow-missing", str(CUBE)),
            ["blender-progressive", "or --type blender-bake"],
        ),
        (("when", "JOB", "--start-at", "+1h", "--any-time"), ["--start-at or --any-time, not both"]),
    ],
)
def test_what_cannot_be_asked_of_a_farm(
    shared_farm: tuple[DataFolder, str], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], parts: list[str]
) -> None:
    folder, job = shared_farm
    given = [job if word == "JOB" else word for word in words]
    at = given.index("--") if "--" in given else len(given)
    assert_refused(command(capsys, *given[:at], "--data", folder.root, *given[at:]), *map(re.escape, parts))


@pytest.fixture(scope="module")
def shared_farm(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """One farm for all tests of this module that only ask it things, with one completed job."""
    from brender.commands.localfarm import FarmPlan

    folder = DataFolder(tmp_path_factory.mktemp("shared") / "data")
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True, with_dashboard=False)):
        with client(None, folder.root) as connection:
            job = submit_command(connection, "true")
            ended(connection, job)
        yield folder, job


def test_rubbish_on_every_socket_stops_no_role(tmp_path: Path) -> None:
    first = free_ports(8)
    server, manager = Address("127.0.0.1", first + 4), Address("127.0.0.1", first + 6)
    one_farm(tmp_path / "server", tmp_path)
    with (
        process("server", "--listen", server, data=tmp_path / "server"),
        process("manager", "--listen", manager, data=tmp_path / "manager", farm=tmp_path / "server"),
        process("worker", "--manager", manager, "--name", "w", data=tmp_path / "worker", farm=tmp_path / "server"),
        client(str(server), tmp_path) as connection,
    ):
        context: zmq.Context = zmq.Context()
        # Nobody takes what is sent to a port that none of them has: without this, closing would wait for it without end.
        context.setsockopt(zmq.LINGER, 0)
        for port in range(first, first + 8):
            for kind in (zmq.DEALER, zmq.PUB):
                socket = context.socket(kind)
                socket.connect(f"tcp://127.0.0.1:{port}")
                for rubbish in ([b""], [b"\xff" * 100], [b"a", b"b", b"c"], [b"\x81\xa1v\x02"], [b"x" * 1_000_000]):
                    socket.send_multipart(rubbish)
        job = submit_command(connection, "true", frames="1-3")
        assert ended(connection, job)["status"] == "completed"
        context.destroy(linger=0)


def test_a_setting_is_called_as_its_option_is(tmp_path: Path) -> None:
    """(As the documentation has them.) Also where no other command is declared, as in `brender jobs`."""
    content = {"worker": {"allow-program": ["ffmpeg"], "tag": ["tall"], "allow-folder": ["/mnt/show"], "programs": ["x"]}}
    check_config(content, tmp_path)
    del content["worker"]["programs"]
    assert settings_for("worker", content) == {"programs": ["ffmpeg"], "tags": ["tall"], "roots": ["/mnt/show"]}
