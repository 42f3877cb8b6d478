"""Roles and commands with nobody at the other end: they end when they are asked to, and say at once what is missing."""

import contextlib
import signal
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from brender.api.own_server import await_server
from brender.bus.address import DOORS
from brender.bus.keys import kept_pair
from brender.bus.membership import Membership
from brender.commands.options import client
from brender.model.keys import KeyRole
from brender.store.datafolder import KEEPER, DataFolder
from tests.tools import command, process, until


def test_workers_and_managers_end_at_once_although_what_is_above_them_is_dead(tmp_path: Path) -> None:
    with contextlib.ExitStack() as roles:
        server = roles.enter_context(process("server", "--port-base", 0, data=tmp_path))
        until(lambda: DataFolder(tmp_path).announced("server"))
        manager = roles.enter_context(process("manager", "--name", "m", "--port-base", 0, data=tmp_path))
        worker = roles.enter_context(process("worker", "--name", "w", data=tmp_path))
        with client(None, tmp_path) as connection:
            until(lambda: any(row["status"] == "idle" for row in connection.ask("workers")))
        for dead, left, whom in ((server, manager, "server"), (manager, worker, "manager")):
            dead.send_signal(signal.SIGKILL)
            dead.wait()
            time.sleep(0.3)  # the loss of a connection is noticed in a moment
            left.terminate()
            left.wait(4)
            assert left.stdout is not None
            assert f" connection to the {whom} at 127.0.0.1:" in left.stdout.read().decode()


def test_a_command_beside_a_server_that_does_not_run_says_so_at_once(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in (folder.server_key, folder.local_key):
        kept_pair(key)
    began = time.monotonic()
    said = command(capsys, "jobs", "--data", folder.root)
    assert said.code == 4 and f"No server runs in the data folder {folder.root}. Start it with" in said.err
    assert time.monotonic() - began < 3


def test_a_monitor_s_key_says_what_it_is_for(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    pair = kept_pair(folder.client_key)
    Membership(
        key="k", role=KeyRole.MONITOR, name="wall", server_key=pair.public, host="127.0.0.1", ports=dict.fromkeys(DOORS, 1)
    ).keep(folder.membership)
    said = command(capsys, "jobs", "--data", folder.root)
    assert "A monitor's key, which this machine joined the farm with, may not " in said.err


@pytest.fixture
def killed(folder: DataFolder) -> DataFolder:
    """The data folder of a server that was killed."""
    for key in (folder.server_key, folder.local_key):
        kept_pair(key)
    folder.announce("server")
    return folder


def test_a_command_beside_a_server_that_was_killed_says_that_it_died(
    killed: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    said = command(capsys, "jobs", "--data", killed.root)
    assert said.code == 4 and f"The server of the data folder {killed.root} has died" in said.err
    assert "Start it again with `brender farm`" in said.err


def test_a_command_waits_for_a_killed_server_that_its_farm_starts_again(
    killed: DataFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brender.api.own_server._TELL_SECONDS", 0.1)
    monkeypatch.setattr("brender.api.own_server._PATIENCE_SECONDS", 0.3)
    held: list[FileLock] = []
    with killed.lock(KEEPER):
        said = command(capsys, "jobs", "--data", killed.root)
        assert said.code == 4 and "is being started again; waiting for it" in said.err and "is not back yet" in said.err
        monkeypatch.setattr("brender.api.own_server._PATIENCE_SECONDS", 10.0)
        threading.Timer(0.2, lambda: held.append(killed.lock("server"))).start()
        await_server(killed)
        held.pop().release()
