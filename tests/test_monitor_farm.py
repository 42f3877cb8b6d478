"""The monitor against a real farm: in a real terminal, with deaths; as a snapshot; with a key that may only listen."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from brender.api.place import as_client
from brender.bus.address import Address
from brender.bus.client import OTHER_KEY
from brender.bus.keys import new_pair
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.model.errors import Unreachable
from brender.model.keys import KeyRole
from brender.model.log_events import SENTENCES
from brender.monitor.feed import Feed, Outcome
from brender.monitor.once import NOTHING_HEARD, settle
from brender.monitor.session import LiveSession
from tests.tools import command, fixed_part, invite, pid_of, submit_command, until

pytestmark = pytest.mark.thorough
#: Seconds within which a death is to be seen on the screen, and what a look at the screen may take.
SEEN_SECONDS, LOOK_SECONDS = 5.0, 0.5


class Terminal:
    """A terminal of 100 by 30 cells, by tmux, in which the monitor runs."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._runs = folder, 0

    @property
    def _socket(self) -> Path:
        """Each run has a server of its own: one that is ending would be asked otherwise."""
        return self._folder / f"tmux-{self._runs}"

    def run(self, *words: object) -> None:
        self.close()
        self._runs += 1
        line = " ".join(map(str, (sys.executable, "-m", "brender.commands.main", "role", "monitor", *words)))
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", f"{line}; sleep 60")

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def until(self, what: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Return the screen once it is as *what* says."""
        deadline = time.monotonic() + seconds
        while not what(screen := self.screen()):
            assert time.monotonic() < deadline, screen
            time.sleep(0.05)
        return screen

    def close(self) -> None:
        self._tmux("kill-server", check=False)

    def _tmux(self, *words: str, check: bool = True) -> str:
        env = {**os.environ, "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        done = subprocess.run(["tmux", "-S", str(self._socket), *words], env=env, capture_output=True, text=True, check=check)
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    made = Terminal(tmp_path)
    yield made
    made.close()


def rows(screen: str) -> list[str]:
    """The workers' and jobs' names and states on *screen*: what does not change with the seconds."""
    return re.findall(r"^(worker-\d +[a-z]+|seen +[a-z]+)", screen, re.MULTILINE)


def test_deaths_are_seen_within_5_seconds_and_a_recording_shows_the_same_screen(
    farm: LocalFarm, terminal: Terminal, tmp_path: Path
) -> None:
    recording = tmp_path / "recording"
    terminal.run("--data", farm.folder.root, "--record", recording)
    terminal.until(lambda screen: "2 workers: 2 idle" in screen)
    with client(None, farm.folder.root) as connection:
        submit_command(connection, sys.executable, "-c", "pass", frames="1-4", name="seen")
    terminal.until(lambda screen: re.search(r"seen +completed .*4/4", screen) is not None)
    terminal.press("2")
    terminal.until(lambda screen: len(re.findall(r"worker-\d +worker +connected", screen)) == 2 and "4 roles, 4 tell" in screen)
    terminal.press("3")
    terminal.until(lambda screen: re.search(r"worker-\d finished frame 4 of seen", screen) is not None)
    terminal.press("1")
    terminal.until(lambda screen: "[1 Farm]" in screen)

    for name, sign in (("worker-1", r"worker-1 +silent"), ("server", SENTENCES["server-silent"][1].partition("{")[0])):
        os.kill(pid_of(farm, name), signal.SIGKILL)
        terminal.until(lambda screen, sign=sign: re.search(sign, screen) is not None, SEEN_SECONDS + LOOK_SECONDS)  # type: ignore[misc]
    screen = terminal.until(lambda screen: "2 unknown" in screen)
    assert len(rows(screen)) == 3
    terminal.press("q")
    until(
        lambda: (
            recording.read_bytes().rstrip().splitlines()[-1].startswith(b'{"at"') and b'"items"' in recording.read_bytes()[-80:]
        )
    )

    terminal.run("--replay", recording, "--speed", "1000")
    assert rows(terminal.until(lambda screen: "2 unknown" in screen)) == rows(screen)


def test_a_snapshot_shows_the_farm_and_its_bus_and_one_worker_s_part_of_it(
    module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--data", module_farm.folder.root)
    data = json.loads(command(capsys, "role", "monitor", "--once", "--json", *here).out)
    nodes = {node["name"]: node for node in data["nodes"]}
    assert nodes.keys() >= {"server", "manager", "worker-1", "worker-2"}
    assert nodes["worker-1"]["bus"]["links"][0]["state"] == "connected" and nodes["manager"]["bus"]["round_trip"] > 0
    assert nodes["server"]["rates"]["total"]["received"] > 0 and nodes["server"]["bus"]["rounds"]["commits"] > 0
    text = command(capsys, "role", "monitor", "--once", *here).out
    assert "2 workers: 2 idle" in text and "4 roles, 4 tell of their part of the bus" in text
    one = command(capsys, "role", "monitor", "--once", "--at", "worker-2", *here).out
    assert one.startswith("worker worker-2: idle") and "Renew" in one and "worker-1 " not in one
    nobody = command(capsys, "role", "monitor", "--once", "--at", "nobody", *here)
    assert nobody.code == 2 and "There is no worker or manager 'nobody'" in nobody.err


def test_a_key_that_may_only_listen_sees_workers_and_what_happens(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert command(capsys, "join", invite("monitor", module_farm.folder.root), "--data", other).code == 0
    recording = tmp_path / "recording"
    data = json.loads(command(capsys, "role", "monitor", "--once", "--json", "--record", recording, "--data", other).out)
    assert {node["name"]: node["state"] for node in data["nodes"]}.items() >= {"worker-1": "idle", "manager": "online"}.items()
    assert command(capsys, "role", "monitor", "--once", "--json", "--replay", recording).code == 0


def test_changes_are_asked_of_the_server_and_their_outcome_is_told(module_farm: LocalFarm) -> None:
    addresses, pair = as_client(None, module_farm.folder)
    session = LiveSession(Feed(addresses, pair, KeyRole.ADMIN, "ada").start())
    try:
        until(lambda: session.step(0.0) or len(list(session.heard.of_kind("worker"))) == 2)
        worker = next(node for node in session.heard.of_kind("worker") if node.name == "worker-2")
        for action, status in (("disable", "disabled"), ("enable", "idle")):
            session.act(action, worker.id, None, f"{action} the worker worker-2")
            assert until(session.outcome) == Outcome(f"{action} the worker worker-2: done", True)
            until(lambda status=status: session.step(0.0) or session.heard.status(worker, session.now()) == status)  # type: ignore[misc]
        session.act("pause", "f" * 16, None, "pause a job")
        outcome = until(session.outcome)
        assert not outcome.is_done and "There is no job" in outcome.text
    finally:
        session.close()


def test_a_server_with_another_key_and_one_that_is_not_there_are_told_apart(module_farm: LocalFarm) -> None:
    addresses, pair = as_client(None, module_farm.folder)
    for given, why in (
        (replace(addresses, key=new_pair().public), OTHER_KEY),
        (replace(addresses, events=Address("127.0.0.1", 1)), NOTHING_HEARD),
    ):
        session = LiveSession(Feed(given, pair, KeyRole.MONITOR).start())
        with pytest.raises(Unreachable, match=re.escape(fixed_part(why))):
            settle(session)
        session.close()
