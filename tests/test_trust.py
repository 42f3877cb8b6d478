"""What a worker lets jobs do on its machine: a hostile .blend, the sandbox, what its owner allows; and what the wire shows."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import zmq

from brender.bus.ids import new_id
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.engines.attempt import Attempt, Place
from brender.engines.command import CommandEngine
from brender.engines.command_line import script_in
from brender.engines.confine import _SYSTEM, Confinement, confinement, lacking
from brender.engines.events import AttemptEvent, Ended
from brender.engines.inside.expressions import needs_trust
from brender.engines.life import begin
from brender.engines.publish import Lease
from brender.model.eligibility import obstacle
from brender.model.errors import BadInput
from brender.model.grant import Grant, Order, PartGrant
from brender.model.job import Requirements
from brender.model.nodes import Blender, WorkerInfo
from brender.model.trust import check_trust
from tests.conftest import BLENDS, SCENES, missing
from tests.rendering import studio
from tests.tools import ended, in_blender, submit_command, until
from tests.world import facts

WITH_DASHBOARD = True

_HOSTILE = """
import sys, bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
mark, file = sys.argv[-2:]
text = bpy.data.texts.new("startup.py")
text.write(f"open({mark!r}, 'a').write('text ')")
text.use_module = True
scene = bpy.context.scene
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x = scene.render.resolution_y = 16
bpy.ops.object.camera_add(location=(0, 0, 5))
scene.camera = bpy.context.object
driver = scene.camera.driver_add("location", 0).driver
driver.expression = f"(open({mark!r}, 'a').write('driver '), 0.0)[1]"
bpy.ops.wm.save_as_mainfile(filepath=file)
"""


@pytest.fixture
def hostile(blender: Blender, tmp_path: Path) -> tuple[Path, Path]:
    """A .blend whose scripts leave a mark when they run: a registered text, a driver's expression; and the mark."""
    script, mark, file = tmp_path / "make.py", tmp_path / "mark", tmp_path / "hostile.blend"
    script.write_text(_HOSTILE)
    subprocess.run([*script_in(blender, script), "--", str(mark), str(file)], check=True, capture_output=True)
    mark.unlink(missing_ok=True)
    return file, mark


@pytest.mark.blender
def test_scripts_in_a_hostile_blend_do_not_run(blender: Blender, hostile: tuple[Path, Path], tmp_path: Path) -> None:
    file, mark = hostile
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(file, tmp_path / "out", frames="1-2"))
    assert outcome.ended.reason == "" and not mark.exists()


@pytest.mark.blender
def test_scripts_of_a_trusted_job_do_run(blender: Blender, hostile: tuple[Path, Path], tmp_path: Path) -> None:
    """Without this, the test before could not fail."""
    file, mark = hostile
    with studio(tmp_path / "w", blender) as worker:
        assert worker.run(worker.job(file, tmp_path / "out", frames="1", trusted=True)).ended.reason == ""
    assert "text" in mark.read_text()


# --- what a worker's owner allows ---------------------------------------------------------------------------------------


def _worker(**more: object) -> WorkerInfo:
    types = frozenset({"command", "blender-animation"})
    return WorkerInfo(id="a" * 8, incarnation=1, name="w", job_types=types, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("patterns", "program", "allowed"),
    [
        ((), "ffmpeg", False),
        (("ffmpeg",), "ffmpeg", True),
        (("ffmpeg",), "/tmp/ffmpeg", False),
        (("ffmpeg",), "./ffmpeg", False),
        (("/usr/bin/*",), "/usr/bin/ffmpeg", True),
        (("/usr/bin/*",), "/usr/bin/../../tmp/x", False),
        (("/usr/bin/*",), "ffmpeg", False),
        (("ff*",), "ffprobe", True),
        (("*",), "/anything/at/all", True),
    ],
)
def test_programs_are_those_that_the_owner_named(patterns: tuple[str, ...], program: str, allowed: bool) -> None:
    why = obstacle(Requirements(job_type="command", program=program), _worker(programs=frozenset(patterns)))
    assert (why is None) is allowed
    assert allowed or "--allow-program" in str(why)


def test_trusted_jobs_go_only_to_workers_that_accept_them() -> None:
    need = Requirements(job_type="blender-animation", trusted=True)
    assert "--accept-trusted" in str(obstacle(need, _worker()))
    assert obstacle(need, _worker(takes_trusted=True)) is None


@pytest.mark.parametrize(
    ("expression", "needs"),
    [
        ("frame / 4", False),
        ("var * sin(radians(frame)) if frame > 3 else pi", False),
        ("max([var, 2]) ** len((1, 2))", False),
        ("clamp(lerp(0, 1, var), 0, 1)", False),
        ("var +", False),
        ("bpy.context.scene.frame_current", True),
        ("self.location.x", True),
        ("wobble(frame)", True),
        ("[x for x in (1, 2)][0]", True),
        ("str(3)", True),
        ("__import__('os')", True),
    ],
)
def test_drivers_need_trust_where_blender_would_refuse_them(expression: str, needs: bool) -> None:
    """(As bpy 4.2, 5.0 and 5.3 do, to which these were given.)"""
    assert needs_trust(expression, ["var"]) is needs


def test_what_needs_trust_is_refused_until_it_is_trusted_or_not() -> None:
    file = msgspec.structs.replace(facts(), needs_trust=("the text 'rig.py' (registered)",))
    with pytest.raises(
        BadInput, match=r"1 thing needs trust in /projects/shot.blend: the text 'rig.py' .*--trusted .*--untrusted"
    ):
        check_trust(file, None, "--trusted", "--untrusted")
    assert check_trust(file, True, "--trusted", "--untrusted") == ()
    (warning,) = check_trust(file, False, "--trusted", "--untrusted")
    assert "the text 'rig.py' (registered) does not run" in warning
    assert check_trust(facts(), None, "--trusted", "--untrusted") == ()


@pytest.mark.parametrize(
    ("count", "asked", "warning"),
    [
        (
            1,
            "1 thing needs trust in /projects/shot.blend: t0. Choose --yes to let it run, or --no to render without: what it "
            "moves then stands still",
            "Not trusted: t0 does not run, and what it moves stands still",
        ),
        (
            3,
            "3 things need trust in /projects/shot.blend: t0, t1, t2. Choose --yes to let them run, or --no to render without: "
            "what they move then stands still",
            "Not trusted: t0, t1, t2 do not run, and what they move stands still",
        ),
        (
            5,
            "5 things need trust in /projects/shot.blend: t0, t1, t2 and 2 more. Choose --yes to let them run, or --no to render "
            "without: what they move then stands still",
            "Not trusted: t0, t1, t2 and 2 more do not run, and what they move stands still",
        ),
    ],
)
def test_what_is_said_of_trust_agrees_in_number_with_what_needs_it(count: int, asked: str, warning: str) -> None:
    file = msgspec.structs.replace(facts(), needs_trust=tuple(f"t{number}" for number in range(count)))
    with pytest.raises(BadInput, match=f"^{re.escape(asked)}$"):
        check_trust(file, None, "--yes", "--no")
    assert check_trust(file, False, "--yes", "--no") == (warning,)


# --- the sandbox --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox(tmp_path: Path) -> Confinement:
    if shutil.which("bwrap") is None:
        missing("bubblewrap (apt-get install bubblewrap)")
    (tmp_path / "show").mkdir()
    return confinement("bubblewrap", 0, roots=[tmp_path / "show"], data=tmp_path / "data")


def run_program(tmp_path: Path, kept: Confinement, code: str) -> tuple[Ended, str]:
    """Run the Python *code*, which finds the job's output folder in its arguments, as a command task."""
    output = tmp_path / "show" / "out"
    settings = {"program": sys.executable, "arguments": ["-c", code, "{output}"]}
    order = Order(job=new_id(), engine="command", settings=settings, output=str(output))
    grant = Grant(attempt=new_id(), worker="w", task=1, job=order.job, parts=(PartGrant(id=1, frame=1),))
    events: list[AttemptEvent] = []
    attempt = Attempt(grant, order, Place(tmp_path / "data" / "w", (), Lease(), confinement=kept), events.append)
    assert begin(attempt, CommandEngine()).join(60)
    (end,) = (event for event in events if isinstance(event, Ended))
    return end, attempt.log.path.read_text()


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("reads the farm's keys", "open(r'{data}/keys/server').read()"),
        ("reads a home", "open(r'{home}/secret').read()"),
        ("reads another's temporary file", "open(r'{temporary}').read()"),
        ("writes into the system", "open('/usr/owned', 'w')"),
        ("writes beside its folder", "open(r'{data}/owned', 'w').write('x'); import os; os.stat(r'{outside}/x')"),
        ("reaches the network", "import socket; socket.create_connection(('127.0.0.1', {port}), 3)"),
        ("sees other processes", "import os; os.kill({pid}, 0)"),
    ],
)
def test_in_the_sandbox_a_program_does_not_reach(
    sandbox: Confinement, tmp_path: Path, what: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    home = tmp_path / "home"
    for secret in (tmp_path / "data" / "keys" / "server", home / "secret"):
        secret.parent.mkdir(parents=True)
        secret.write_text("x")
    monkeypatch.setenv("HOME", str(home))
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile() as temporary:
        own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        try:
            filled = code.format(
                data=tmp_path / "data",
                home=home,
                outside=tmp_path,
                temporary=temporary.name,
                port=listener.getsockname()[1],
                pid=own.pid,
            ).replace("{", "{{")
            free, _ = run_program(tmp_path, Confinement(), filled) if "owned" not in code else (None, "")
            assert free is None or free.reason == "", "outside the sandbox it does, so that this can fail"
            end, log = run_program(tmp_path, sandbox, "print('it began');" + filled)
            assert end.reason and "\nit began\n" in log, f"it {what}"
        finally:
            own.kill()
            own.wait()
    assert not (tmp_path / "data" / "owned").exists()


def test_in_the_sandbox_a_service_s_home_and_data_folder_are_empty_wherever_they_lie(
    sandbox: Confinement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "programs" / "data"
    for file in (data / "key", data / "blender" / "blender", data / "job" / "scene"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    monkeypatch.setattr("brender.engines.confine._SYSTEM", (*_SYSTEM, str(tmp_path / "programs")))
    for home in (tmp_path / "programs", data, Path("/")):
        monkeypatch.setenv("HOME", str(home))
        kept = replace(sandbox, data=data, readable=(data / "blender",))
        look = ["/usr/bin/find", str(data), "-type", "f", "-printf", "%f "]
        done = subprocess.run(kept.wrap(look, [data / "job"], [], Path("/")), capture_output=True, text=True, check=False)
        assert sorted(done.stdout.split()) == ["blender", "scene"], (home, done.stderr)


def test_a_folder_with_a_dot_before_its_name_is_itself(tmp_path: Path) -> None:
    kept = Confinement(roots=(tmp_path,))
    for below in ("", ".wip/shot", "..shot"):
        assert kept.place(tmp_path / below) == (tmp_path, below)


def test_in_the_sandbox_a_program_writes_to_the_job_s_output(sandbox: Confinement, tmp_path: Path) -> None:
    end, log = run_program(tmp_path, sandbox, "import sys; open(sys.argv[1] + '/made', 'w').write('it')")
    assert end.reason == "", log
    assert (tmp_path / "show" / "out" / "made").read_text() == "it"


@pytest.mark.blender
def test_a_render_in_the_sandbox_is_the_same(blender: Blender, sandbox: Confinement, tmp_path: Path) -> None:
    files = {}
    kept_in = replace(sandbox, roots=(*sandbox.roots, BLENDS))
    for name, kept in (("free", Confinement()), ("kept", kept_in)):
        with studio(tmp_path / "data" / name, blender, confinement=kept) as worker:
            spec = worker.job(SCENES / "03_animated_cube.blend", tmp_path / "show" / name, frames="1", samples=1, resolution=5)
            outcome = worker.run(spec)
        assert outcome.ended.reason == "", outcome.log
        files[name] = (tmp_path / "show" / name / outcome.parts[0].output).read_bytes()
    assert len(files["free"]) == len(files["kept"]) > 0


_SCENE = """
import bpy
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 4, DENOISES
scene.render.resolution_x = scene.render.resolution_y = 32
scene.render.resolution_percentage, scene.frame_end = 100, 2
image = scene.render.image_settings
if FILM:
    if hasattr(image, "media_type"):
        image.media_type = "VIDEO"
    image.file_format, scene.render.ffmpeg.format = "FFMPEG", "MPEG4"
bpy.ops.wm.save_as_mainfile(filepath=FILE)
"""


@pytest.mark.thorough
@pytest.mark.parametrize("film", [False, True])
def test_a_split_still_and_a_film_are_made_in_the_sandbox_and_leave_nothing_there(
    blender: Blender, sandbox: Confinement, tmp_path: Path, film: bool
) -> None:
    file, out, data = tmp_path / "show" / "s.blend", tmp_path / "show" / "out", tmp_path / "data" / "w"
    denoises = str(blender.kind == "bpy" and not film)  # Debian's Blender has no denoiser
    made = _SCENE.replace("DENOISES", denoises).replace("FILM", str(film))
    in_blender(blender, made.replace("FILE", repr(str(file))), tmp_path)
    with studio(data, blender, confinement=sandbox) as worker:
        job = worker.job(file, out) if film else worker.job(file, out, job_type="blender-still", pieces=2, frame=1)
        outcome = worker.run(job)
        assert outcome.ended.reason == "", outcome.log
        assert all((out / part.output).exists() for part in outcome.parts[2 if not film else 0 :])
        assert len(outcome.parts) == 3
    assert {path.suffix for path in out.rglob("*") if path.is_file()} == ({".png", ".mp4"} if film else {".png"})
    assert not list((data / "blender").glob("session-*")) and not list((data / "leftovers").iterdir())


def test_a_sandbox_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("brender.engines.confine.lacking", lambda: "needs Linux and the program bwrap")
    with pytest.raises(BadInput, match="needs Linux and the program bwrap"):
        confinement("bubblewrap", 0, roots=[tmp_path])
    assert not confinement("auto", 0).sandbox


def test_a_sandbox_needs_folders_that_its_owner_allows_and_they_are_none_with_the_farm_s_keys(tmp_path: Path) -> None:
    if lacking() is not None:
        missing("bubblewrap (apt-get install bubblewrap)")
    for sandbox in ("bubblewrap", "auto"):
        with pytest.raises(BadInput, match="needs --allow-folder FOLDER"):
            confinement(sandbox, 0)  # type: ignore[arg-type]
    for root in (Path("/"), tmp_path, tmp_path / "data", tmp_path / "data" / "in"):
        (tmp_path / "data" / "in").mkdir(parents=True, exist_ok=True)
        with pytest.raises(BadInput, match="with its keys, would be in jobs' reach"):
            confinement("bubblewrap", 0, roots=[root], data=tmp_path / "data")


def test_a_program_that_takes_more_memory_than_it_may_is_ended_and_says_so(tmp_path: Path) -> None:
    end, _ = run_program(tmp_path, Confinement(memory=150 * 2**20), "import time; x = bytearray(300 * 2**20); time.sleep(60)")
    assert "more than the 150 MB of memory" in end.reason


# --- what the wire shows ------------------------------------------------------------------------------------------------


def captured(folder: Path, ports: Iterable[int], meanwhile: Callable[[], object]) -> bytes:
    """Everything that passes on these loopback *ports* while *meanwhile* is called, from the plain word that is seen before it to
    the one after it."""
    if shutil.which("tshark") is None:
        missing("tshark (apt-get install tshark)")
    file = folder / "wire.pcapng"
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        plain = pull.bind_to_random_port("tcp://127.0.0.1")
        push.connect(f"tcp://127.0.0.1:{plain}")

        def is_seen(word: bytes) -> bool:
            assert capture.poll() is None, "tshark has ended"
            push.send(word)
            assert pull.recv() == word
            return file.exists() and word in file.read_bytes()

        only = " or ".join(f"port {port}" for port in (*ports, plain))
        words = ["tshark", "-q", "-i", "lo", "-f", only, "-w", str(file)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as capture:
            try:
                until(lambda: is_seen(b"plain-word-before"))
                meanwhile()
                until(lambda: is_seen(b"plain-word-after"))
            finally:
                capture.terminate()
    return file.read_bytes()


def test_the_packets_of_a_farm_show_nothing_of_what_is_said(farm: LocalFarm, tmp_path: Path) -> None:
    job, secret = "name-of-a-job-4711", "word-in-a-log-0815"

    def talk() -> None:
        with client(None, farm.folder.root) as connection:
            ended(connection, submit_command(connection, sys.executable, "-c", f"print('{secret}' * 3)", name=job))
            assert connection.ask("jobs")[0]["name"] == job

    told = [farm.folder.announced(role) or {} for role in ("server", "manager-manager")]
    ports = [int(text.rpartition(":")[2]) for facts in told for text in facts.values() if re.fullmatch(r"[\d.]+:\d+", str(text))]
    assert len(ports) == 8
    wire = captured(tmp_path, ports, talk)
    assert b"CURVE" in wire, "how a connection is greeted is to be seen"
    for said in (job, secret, "worker-1", sys.executable):
        assert said.encode() not in wire, said
    assert json.dumps(job).encode() not in wire
