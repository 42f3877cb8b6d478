"""Helpers for tests with real processes: running commands, waiting for what must come true, direct renders to compare with."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio
import psutil
import pytest

from brender.api.jobspec import command_job
from brender.bus.client import Client
from brender.bus.ids import new_id
from brender.bus.keys import kept_pair, write_pair
from brender.bus.membership import JoinToken
from brender.commands.config import run
from brender.commands.localfarm import LocalFarm
from brender.commands.main import brender
from brender.commands.options import client
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.keys import KeyRole
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder


@dataclass(frozen=True)
class Said:
    """How a command ended: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def command(capsys: pytest.CaptureFixture[str], *words: object) -> Said:
    """Run ``brender`` with *words* in this process."""
    with pytest.raises(SystemExit) as ended:
        run(brender, [str(word) for word in words])
    printed = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Said(ended.value.code, printed.out, printed.err)


def let_commands_ask(answer: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands in this process get from *answer* what a server would say to each of their messages."""

    class InProcess(Client):
        def __init__(self, *_: Any, **__: Any) -> None:
            self.on_behalf_of, self.timeout = "", 1.0

        def close(self) -> None:
            pass

        def _request(self, message: Any) -> Any:
            return answer(message)

    monkeypatch.setattr("brender.api.place.Client", InProcess)
    monkeypatch.setattr("brender.api.place.as_commands", lambda server, data, notify: (None, None))


def until(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until *what* gives something true; returns that."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "what the test waits for never came true"
        time.sleep(0.05)
    return found


def fixed_part(sentence: str) -> str:
    """The longest part of a *sentence* with ``{places}`` for values that has no such place.

    >>> fixed_part("The server at {server} does not answer")
    ' does not answer'
    """
    return max(re.split(r"{[^}]*}", sentence), key=len)


def ended(client: Client, job: str, seconds: float = 120.0) -> dict[str, Any]:
    """Wait until *job* has ended; returns its record."""

    def look() -> dict[str, Any] | None:
        record = dict(client.ask("job", id=job))
        return record if record["status"] in ("completed", "failed", "canceled") else None

    return dict(until(look, seconds))


def tries(connection: Client, job: str) -> list[str]:
    """The outcomes of a job's attempts, without those that the server asked back before they began: whether it balances
    the workers' queues like that depends on how quick each of them is."""
    return [row["outcome"] for row in connection.ask("attempts", job=job) if row["outcome"] != "recalled"]


def submit_command(
    client: Client, *words: str, frames: str | None = None, chunk: int | None = None, name: str | None = None, **more: Any
) -> str:
    """Submit a command job; returns its id."""
    given = {key: value for key, value in (("frames", frames), ("chunk", chunk)) if value is not None}
    spec = command_job(words, given, name, **more)
    client.submit(spec)
    return spec.id


def one_farm(*folders: Path) -> None:
    """Let what runs in *folders* belong to one farm: each has its keys, as the data folder of a server has."""
    first = DataFolder(folders[0])
    for key in (first.server_key, first.local_key, first.dashboard_key):
        pair = kept_pair(key)
        for other in folders[1:]:
            write_pair(other / key.relative_to(first.root), pair)


def invite(role: str, server: Path, uses: int = 1) -> str:
    """A token for a *role*, of the server whose data folder is *server*, once it runs."""
    until(lambda: DataFolder(server).announced("server"))
    with client(None, server) as admin:
        made = admin.manage("create-token", role=role, uses=uses, expires="1h", name="anna" if role == "client" else "")
        addresses = (str(admin.addresses.enrolment),)
        return JoinToken(KeyRole(role), admin.addresses.key, addresses, made["id"], made["secret"]).as_text()


def fill(folder: Path) -> Path:
    """Fill the disk of *folder*; returns the file that does."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x")
    return ballast


def as_ordinary_user() -> list[str]:
    """The words before a command that runs it without the superuser's right to open every file."""
    if os.name == "nt" or os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]


def can_hide() -> bool:
    """Whether a process here may have mounts of its own."""
    words = ["unshare", "--mount", "true"]
    return shutil.which("unshare") is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def process(
    *words: object,
    data: Path,
    farm: Path | None = None,
    hidden: Path | None = None,
    inside: Sequence[str] = (),
    software: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """One role's program as a process of its own, ended by SIGTERM: by a second one where the first lets it finish its work. A
    worker may run any program. *farm*: the data folder of the server that it joins by a token; its own folder is then another.
    *hidden*: a folder that is empty to it, where this machine lets that be (a mount namespace of its own). *inside*: words that
    start it elsewhere, as in a network of its own. *software*: the folder of another brender that it runs (tests.previous)."""
    import sys

    allowed = ["--allow-program", "*"] if words[0] == "worker" else []
    command = [sys.executable, "-m", "brender.commands.main", "role", *map(str, words), *allowed, "--data", str(data)]
    if hidden is not None and can_hide():
        command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
    command = [*inside, *command]
    environment = os.environ | ({"BRENDER_JOIN": invite(str(words[0]), farm)} if farm is not None else {})
    if software is not None:
        environment["PYTHONPATH"] = str(software)  # (and not where this one lies)
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=software)
    try:
        yield started
    finally:
        terminate(started)


def terminate(started: subprocess.Popen[bytes]) -> None:
    """End a role by SIGTERM, and a second one where the first lets it finish its work. Raises `subprocess.TimeoutExpired`, with
    the process killed, where neither ends it."""
    for _ in range(2):
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.terminate()
            started.wait(0.5)
    try:
        started.wait(20)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
        raise


def program_with_a_child(folder: Path, first: str = "pass") -> str:
    """A Python program, for a command job, that starts a child in a session of its own, writes both pids to *folder*, and never
    ends. *first*: statements before all."""
    return (
        f"import os, signal, subprocess, sys, time; {first or 'pass'};"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True);"
        f"open(r'{folder}/pids.part', 'w').write(f'{{{{os.getpid()}}}} {{{{child.pid}}}}');"
        f"os.rename(r'{folder}/pids.part', r'{folder}/pids');"
        "time.sleep(1000)"
    )


def pid_of(farm: LocalFarm, name: str) -> int:
    """Return the process id of the role of *farm* called *name*, such as "server"."""
    return next(child.process.pid for child in farm.children if child.name == name)


def pids_of_program(folder: Path) -> list[int]:
    """The pids that `program_with_a_child` wrote, once it has."""
    until((folder / "pids").exists)
    return [int(word) for word in (folder / "pids").read_text().split()]


def line_of(started: subprocess.Popen[bytes], containing: str) -> str:
    """Wait for a line of a process's output that contains a text."""
    assert started.stdout is not None
    for raw in started.stdout:
        line = raw.decode()
        if containing in line:
            return line
    raise AssertionError(f"the process ended without saying {containing!r}")


_DIRECT = """
import sys, bpy
file, out, frames, percent, samples = sys.argv[-5:]
bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=False)
scene = bpy.context.scene
scene.render.resolution_percentage = int(percent)
scene.cycles.samples = int(samples)
scene.render.image_settings.file_format = "PNG"
scene.render.filepath = out + "/direct_####"
scene.frame_start, scene.frame_end = map(int, frames.split("-"))
bpy.ops.render.render(animation=True)
"""


def render_directly(blender: Blender, file: Path, out: Path, frames: str, percent: int, samples: int) -> None:
    """Let *blender* itself render *frames* (``1-8``) of *file* in one run, to ``direct_0001.png`` and so on in *out*."""
    out.mkdir(parents=True, exist_ok=True)
    script = out / "direct.py"
    script.write_text(_DIRECT)
    words = [*script_in(blender, script), "--", str(file), str(out), frames, str(percent), str(samples)]
    subprocess.run(words, env=clean_environment({}), check=True, capture_output=True, stdin=subprocess.DEVNULL)


def pixels(path: Path) -> numpy.ndarray:
    image = oiio.ImageBuf(str(path))
    found = image.get_pixels(oiio.FLOAT)
    assert found is not None, image.geterror()
    return numpy.asarray(found)


def replace_unseen(path: Path, content: bytes) -> None:
    """Put a file with *content* in the place of *path* that has its time of change, and its size if *content* has."""
    stat, other = path.stat(), path.with_name(f"{path.name}.other")
    other.write_bytes(content)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)


def in_blender(blender: Blender, code: str, folder: Path) -> None:
    """Run *code* in *blender*."""
    script = folder / f"{new_id()}.py"
    script.write_text(code)
    subprocess.run(
        script_in(blender, script), env=clean_environment({}), check=True, capture_output=True, stdin=subprocess.DEVNULL
    )


def blender_processes() -> list[psutil.Process]:
    """The render processes with our driver in them that run now, below this one."""
    found = []
    for each in psutil.Process(os.getpid()).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            words = each.cmdline()
            if any(word.endswith("driver.py") for word in words) and not any("supervisor" in word for word in words):
                found.append(each)
    return found
