"""A farm that is upgraded machine by machine while it renders: roles of the brender before beside those of this one.

The brender before is kept in tests/previous; tests.previous says how it is renewed.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from brender import __version__
from brender.bus.address import free_ports
from brender.commands.options import client
from brender.store.datafolder import DataFolder
from tests.previous import unpack_previous, version_of_previous
from tests.tools import command, ended, line_of, one_farm, process, submit_command, tries, until

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]

#: Each frame makes a file, which must not be there: none is rendered twice.
_WORK = "import pathlib, sys, time; time.sleep(0.3); pathlib.Path(sys.argv[1]).open('x').close()"


class MixedFarm:
    """A farm in *folder* with a server, a manager and two workers, each of this brender or of the one in *previous*."""

    def __init__(self, folder: Path, previous: Path, running: ExitStack) -> None:
        self.folder = folder
        self.server = folder / "server"
        self._previous, self._running = previous, running
        first = free_ports(9)
        self.address, manager = f"127.0.0.1:{first + 4}", f"127.0.0.1:{first + 6}"
        worker = ("worker", "--manager", manager, "--name")
        self._words = {
            "server": ("server", "--listen", self.address, "--lease", "8"),
            "manager": ("manager", "--name", "m", "--server", self.address, "--listen", manager, "--lease", "8"),
            "w1": (*worker, "w1"),
            "w2": (*worker, "w2"),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, name: str, previous: bool = False) -> None:
        """Let the role *name* run. What ran of that name is asked to end first, once, so that it finishes what it renders."""
        if name in self._processes:
            self._processes[name].send_signal(signal.SIGTERM)
            assert self._processes[name].wait(60) == 0
        more: dict[str, Any] = {} if name == "server" else {"farm": self.server}
        role = process(*self._words[name], data=self.folder / name, software=self._previous if previous else None, **more)
        self._processes[name] = self._running.enter_context(role)
        line_of(self._processes[name], "has" if name.startswith("w") else "listens on")


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[MixedFarm]:
    """A farm of the brender before."""
    (tmp_path / "previous").mkdir()
    one_farm(tmp_path / "server", tmp_path)
    with ExitStack() as running:
        farm = MixedFarm(tmp_path, unpack_previous(tmp_path / "previous"), running)
        for name in ("server", "manager", "w1", "w2"):
            farm.run(name, previous=True)
        yield farm


@pytest.mark.parametrize("order", [("server", "manager", "w1", "w2"), ("w1", "manager", "server", "w2")])
def test_a_farm_is_upgraded_machine_by_machine_while_it_renders(
    order: tuple[str, ...], mixed: MixedFarm, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mixed.folder / "made"
    made.mkdir()

    def done() -> int:
        with client(mixed.address, mixed.folder) as connection:
            return int(connection.ask("job", id=job)["completed_parts"])

    with client(mixed.address, mixed.folder) as connection:
        job = submit_command(connection, sys.executable, "-c", _WORK, f"{made}/{{frame}}", frames="1-60")
    words = ("version", "--farm", "--json", "--data", mixed.server)
    for name in order:
        before = done()
        until(lambda before=before: done() >= before + 4)  # all work together as they are now
        mixed.run(name)
        if name == order[1]:
            said = until(lambda: len(each := json.loads(command(capsys, *words).out)) == 4 and each)  # its workers come back
            names = {"server": "server", "manager": "manager"}
            upgraded = {names.get(each["role"], each["name"]) for each in said if each["software"] == __version__}
            assert upgraded == set(order[:2])
            assert {each["software"] for each in said} == {__version__, version_of_previous()}
    with client(mixed.address, mixed.folder) as connection:
        record = ended(connection, job)
        assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 60, 0)
        assert tries(connection, job).count("completed") == 60 and len(list(made.iterdir())) == 60
        assert {row["software"] for row in (*connection.ask("workers"), *connection.ask("managers"))} == {__version__}
    said = command(capsys, "version", "--farm", "--data", mixed.server).out
    assert f"All run brender {__version__}" in said
    backups = list(DataFolder(mixed.server).backups.glob("before-upgrade-*.db"))
    assert len(backups) == 1, "the server's own upgrade changed the record's form"
