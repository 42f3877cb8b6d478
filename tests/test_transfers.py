"""Transfers that are cut by killing whoever takes part, and what else the farm does while they go on."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from brender.api.place import as_client
from brender.bus.address import Address, free_ports
from brender.bus.client import Client
from brender.bus.keys import Credentials
from brender.store.datafolder import DataFolder
from brender.transfer.blob_store import BlobStore
from brender.transfer.client import Exchange
from tests.tools import line_of, process, until


@pytest.mark.parametrize("victim", ["server", pytest.param("manager", marks=pytest.mark.thorough), "worker"])
def test_a_transfer_that_is_cut_by_kill_ends_with_the_right_bytes(tmp_path: Path, victim: str) -> None:
    cut_by_kill(tmp_path, victim, megabytes=96)


def cut_by_kill(folder: Path, victim: str, megabytes: int, seed: int = 1) -> None:
    """A client pushes a file to the server, and a worker pulls it through the manager, while one of them is killed whenever it
    has come so far as chance says, and started again."""
    chance, big = random.Random(seed), _file(folder / "big", megabytes)
    name = _digest(big)
    with _Farm(folder) as farm:
        addresses, pair = as_client(None, DataFolder(farm.server))
        pushing = _Thread(lambda: _push(addresses.files, Credentials(pair, addresses.key), {name: big}))
        if victim == "server":
            farm.kill_along("server", farm.server / "blobs", name, big.stat().st_size, chance)
        pushing.join(120)
        worker = BlobStore(folder / "worker" / "blobs")
        farm.start("worker", name)
        farm.kill_along(victim, worker.root, name, big.stat().st_size, chance)
        assert farm.processes["worker"].wait(120) == 0
        assert _digest(worker.path(name)) == name


def test_requests_of_a_client_are_answered_by_its_own_client(apart: tuple[Path, Path]) -> None:
    """Files have a door of their own: what passes there keeps nobody waiting at the other."""
    server, mine = apart
    addresses, pair = as_client(None, DataFolder(mine))
    file = _file(mine / "big", 30)
    name = _digest(file)
    sending = _Thread(lambda: _push(addresses.files, Credentials(pair, addresses.key), {name: file}))
    with Client(addresses, pair) as connection:
        assert connection.ask("about")["trouble"] == ""
    sending.join(60)
    assert BlobStore(DataFolder(server).blobs).has(name)


class _Farm:
    """A server and a manager of one farm, and a worker's end of a transfer, each a process that can be killed and started
    again."""

    def __init__(self, folder: Path) -> None:
        first = free_ports(9)
        self.server = folder / "server"
        self._folder = folder
        self._words = {
            "server": ("server", "--listen", f"127.0.0.1:{first + 4}", "--lease", "5", "--no-link-files"),
            "manager": ("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", "--lease", "5", "--no-link-files"),
        }
        self._blob = ""
        self._entered: list[AbstractContextManager[subprocess.Popen[bytes]]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "_Farm":
        self.start("server")
        self.start("manager")
        return self

    def __exit__(self, *exception: object) -> None:
        for each in self.processes.values():
            each.kill()
            each.wait()

    def start(self, role: str, blob: str = "") -> None:
        """Start the *role*, again if it ran before."""
        if role == "worker":
            self._blob = blob or self._blob
            command = [sys.executable, "-m", "tests.pulling", str(self.server), str(self._folder / "worker"), self._blob]
            self.processes[role] = subprocess.Popen(command)
            return
        joins = self.server if role == "manager" and role not in self.processes else None
        # Entered and never left: it is killed.
        context = process(*self._words[role], data=self._folder / role, farm=joins)
        self._entered.append(context)
        self.processes[role] = started = context.__enter__()
        line_of(started, "listens on")

    def kill_along(self, victim: str, store: Path, blob: str, size: int, chance: random.Random) -> None:
        """Three times, when so much of *blob* has come into *store* as *chance* says: kill *victim*, and start it again."""
        for share in sorted(chance.uniform(0.02, 0.9) for _ in range(3)):
            until(lambda share=share: _have(store, blob) >= share * size, 120)
            self.processes[victim].send_signal(signal.SIGKILL)
            self.processes[victim].wait()
            self.start(victim)


def _have(store: Path, blob: str) -> int:
    """How much of *blob* is in *store*."""
    found = [BlobStore(store).path(blob), store / "partial" / blob]
    return max((path.stat().st_size for path in found if path.exists()), default=0)


def _file(path: Path, megabytes: int) -> Path:
    """A file of so many *megabytes* that does not repeat itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = os.urandom(2**20)
    with path.open("wb") as file:
        for number in range(megabytes):
            file.write(block[number:] + block[:number])
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _push(files: Address, credentials: Credentials, blobs: dict[str, Path]) -> None:
    with Exchange(files, credentials) as connection:
        connection.send(blobs)


class _Thread:
    """A call in a thread of its own, whose failure is that of whoever waits for it."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._error: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:
            self._error = error

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it has ended in time"
        if self._error is not None:
            raise self._error
