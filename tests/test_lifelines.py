"""No role outlives the command that started it, however that ends and however signals were set when it began."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from brender.commands.children import Children
from brender.commands.options import client
from brender.store.datafolder import DataFolder
from tests.tools import submit_command, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are ignored otherwise on Windows")
_SILENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _ignore_signals() -> None:
    """As a shell script does for its background jobs, and nohup."""
    for number in _SILENT:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _in_background(*words: object, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``brender`` with *words* as a background job that ignores signals; whatever it leaves behind is ended."""
    command = [sys.executable, "-P", "-m", "brender.commands.main", *map(str, words), "--data", str(data)]
    with (data.parent / "output").open("wb") as output:
        started = subprocess.Popen(
            command,
            cwd=data.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_ignore_signals,
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        for left in _roles_in(data):
            with contextlib.suppress(psutil.Error):
                left.kill()


def _roles_in(data: Path) -> list[psutil.Process]:
    """The processes of roles that work in the data folder *data*."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = each.cmdline()
            if "role" in words and str(data) in words and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def test_all_roles_and_what_they_run_end_with_a_farm_that_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "glob.py").write_text("raise SystemExit('a file of the user is not a part of Python')")
    with _in_background("farm", "--any-ports", "--workers", 1, data=data) as farm:
        until(lambda: all(DataFolder(data).announced(role) for role in ("server", "manager-manager", "dashboard")))
        with client(None, data) as connection:
            submit_command(connection, sys.executable, "-c", "import time; time.sleep(1000)", name="sleeper")
            until(lambda: any(row["status"] == "busy" for row in connection.ask("workers")))
        began = {role.cmdline()[role.cmdline().index("role") + 1] for role in _roles_in(data)}
        assert began == {"server", "manager", "worker", "dashboard"}
        below = psutil.Process(farm.pid).children(recursive=True)
        farm.kill()
        farm.wait()
        until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in below), 15)


@pytest.mark.thorough
def test_the_workers_of_a_machine_end_with_the_command_that_runs_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with _in_background("farm", "--any-ports", "--workers", 0, data=data):
        until(lambda: DataFolder(data).announced("manager-manager"))
        with _in_background("role", "worker", "--name", "slot", "--slots", 2, data=data) as slots:
            until(lambda: len(psutil.Process(slots.pid).children()) == 2)
            below = psutil.Process(slots.pid).children()
            with client(None, data) as connection:
                until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) == 2)
            slots.kill()
            slots.wait()
            until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in below), 15)


@pytest.mark.thorough
def test_slots_in_the_settings_file_are_shared_out_once(tmp_path: Path) -> None:
    settings = tmp_path / "brender.toml"
    settings.write_text('[worker]\nslots = "2"\n')
    said = tmp_path / "data" / "run" / "worker-s-1.log"
    with _in_background("role", "worker", "--name", "s", "--config", settings, data=tmp_path / "data"):
        assert until(lambda: said.exists() and said.read_text()).startswith("Error: The worker s-1 has not joined a farm yet")


def test_a_role_that_refuses_what_it_is_given_is_not_started_again_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brender.commands.children._REFUSALS", 0)
    children = Children(DataFolder(tmp_path))
    children.start("w", ["no-such-role"])
    until(lambda: children.check() or not children.all)
    assert "no-such-role" in children.refused


def test_a_role_that_does_not_stop_when_it_is_asked_to_is_ended() -> None:
    hangs = """
import threading
from brender.commands import lifeline
lifeline.STOP_SECONDS = 0.1
lifeline.Lifeline(True).ends(lambda: None)
print("ready", flush=True)
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", hangs], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as role:
        assert role.stdin is not None and role.stdout is not None
        assert role.stdout.readline() == b"ready\n"
        role.stdin.close()
        assert role.wait(20) == 1
