"""Fixtures that many tests share, and the rule that on CI nothing that matters may be missing."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page, sync_playwright

from brender.bus.address import Address, ServerAddresses, free_ports
from brender.bus.ids import new_id
from brender.commands.joining import join_as_client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.engines.blenders import ask, own_bpy
from brender.model.nodes import Blender
from brender.roles.policy import Policy
from brender.roles.server.loop import Server
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from tests.new_records import make_schema
from tests.tools import invite, line_of, process, until

# A machine that others use too may draw examples slowly: that is no fault of what is tested.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

BLENDS = Path(__file__).parent / "blends"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCENES = BLENDS / "gltf-blender-io" / "scenes"


def missing(what: str) -> None:
    """A test cannot run here for want of *what*: on CI that is a failure, elsewhere a skip."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is not installed here")


def find_blender(kind: str) -> Blender:
    """The Blender of that kind, ``bpy`` or ``executable``, that tests render with."""
    found = own_bpy() if kind == "bpy" else ask(path) if (path := shutil.which("blender")) else None
    if found is None:
        missing({"bpy": "the bpy package (pip install -e '.[blender]')", "executable": "a blender executable"}[kind])
    assert found is not None
    return found


@pytest.fixture(params=["bpy", "executable"])
def blender(request: pytest.FixtureRequest) -> Blender:
    """Each of the two kinds of Blender in turn: the bpy package, and a ``blender`` executable."""
    return find_blender(request.param)


@pytest.fixture
def bpy() -> Blender:
    """The bpy package, where one kind of Blender is enough."""
    return find_blender("bpy")


@pytest.fixture(scope="session")
def browser_path() -> str:
    """A Chromium of the system's own."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("Chromium")
    assert path is not None
    return path


@pytest.fixture(scope="module")
def module_browser(browser_path: str) -> Iterator[Browser]:
    """A real Chromium for the tests of a module. (Not for all: as long as it runs, nothing else can use asyncio.)"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(module_browser: Browser) -> Iterator[Page]:
    """A page in a real Chromium, with cookies of its own; whatever goes wrong in it fails the test."""
    problems: list[str] = []
    made = module_browser.new_page()
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("console", lambda message: problems.append(message.text) if "Security" in message.text else None)
    yield made
    made.close()
    assert not problems


class PostgreSQL:
    """A real PostgreSQL of its own, running until `end`. ``url`` is without a database's name. *durable*: what it has committed
    would outlive a power cut, which no test needs."""

    def __init__(self, durable: bool = False) -> None:
        self._fsync = "on" if durable else "off"
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        control = shutil.which("pg_ctl") or (str(programs[-1]) if programs else None)
        if control is None:
            missing("PostgreSQL")
        assert control is not None
        self._home = Path(tempfile.mkdtemp(prefix="brender-postgresql-"))
        # PostgreSQL does not run as root.
        become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if become:
            shutil.chown(self._home, "postgres")
        self._port = free_ports(1)
        self._template = ""
        self._control = [*become, control]
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/"
        self._run("initdb", "-o", "-A trust -U postgres -E UTF8")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories= -c fsync={self._fsync}"
        self._run("start", "-w", "-o", options, "-l", str(self._home / "log"))

    def stop(self) -> None:
        """As if its machine had died."""
        self._run("stop", "-m", "immediate")

    def end(self) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of a fresh database, without tables."""
        return self._create("template1")

    def new_record(self) -> str:
        """The URL of a database with a new record, a copy of one that was migrated."""
        if not self._template:
            made = self.new_database()
            open_for_writing(made).close()
            self._template = made.removeprefix(self.url)
        return self._create(self._template)

    def _create(self, template: str) -> str:
        import psycopg

        name = f"brender_{new_id()}"
        with psycopg.connect(self.url + "postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url + name

    def _run(self, verb: str, *words: str) -> None:
        command = [*self._control, verb, "-D", str(self._home / "data"), *words]
        subprocess.run(command, check=True, capture_output=True, cwd="/")


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """A real PostgreSQL that runs for these tests alone."""
    made = PostgreSQL()
    yield made
    made.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new record is or is to be, on each of the two kinds in turn: a file, and a real PostgreSQL's URL."""
    if request.param == "sqlite":
        return str(tmp_path / "farm.db")
    running: PostgreSQL = request.getfixturevalue("postgresql")
    return running.new_record()


@pytest.fixture(scope="session", autouse=True)
def one_migration() -> Iterator[None]:
    """In this process, new records are copies of one that was migrated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brender.store.database.migrate", make_schema)
        yield


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the data folder, settings or farm of whoever runs it."""
    for name in list(os.environ):
        if name.startswith("BRENDER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BRENDER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def _plan(folder: DataFolder, module: ModuleType) -> FarmPlan:
    """A farm with two workers on any free ports; with a dashboard, which takes long to start, where *module* says so."""
    return FarmPlan(folder=folder, workers=2, any_ports=True, with_dashboard=getattr(module, "WITH_DASHBOARD", False))


@pytest.fixture
def farm(request: pytest.FixtureRequest, folder: DataFolder) -> Iterator[LocalFarm]:
    """A whole farm of real processes with two workers, and a dashboard where the test's module has ``WITH_DASHBOARD = True``."""
    with LocalFarm(_plan(folder, request.module)) as running:
        yield running


@pytest.fixture(scope="module")
def module_farm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFarm]:
    """A whole farm as `farm`, that the tests of a module share: for those that leave it able to work, and look only at what is
    their own."""
    with LocalFarm(_plan(DataFolder(tmp_path_factory.mktemp("farm") / "data"), request.module)) as running:
        yield running


@pytest.fixture
def server(folder: DataFolder) -> Iterator[Server]:
    """A server in a thread of this process, on any free ports, without managers and workers."""
    made = Server(folder, ServerAddresses.of(Address("127.0.0.1", free_ports(4))), Policy())
    serving = threading.Thread(target=made.run)
    serving.start()
    yield made
    made.stop()
    serving.join(30)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a disk of its own, of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode:
        # Not `missing`, which is for what CI can install: this is a right. The simulation tries full disks anyway.
        pytest.skip("this user may not mount a small disk (tmpfs)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A farm whose roles share nothing, each with a data folder of its own: the server's folder, and that of a client who
    joined. Beside these is the folder "private", which the worker does not see. Many tests use it: what one submits is called as
    nothing that another does."""
    root, first = tmp_path_factory.mktemp("apart"), free_ports(9)
    server, mine = root / "server", root / "client"
    (root / "private").mkdir()
    with process("server", "--listen", f"127.0.0.1:{first + 4}", data=server) as serving:
        line_of(serving, "listens on")
        manager = process("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", data=root / "manager", farm=server)
        # Other tests look for Blenders below this process: it keeps none.
        words = ("worker", "--name", "w", "--keep-warm", "0")
        with manager as managing, process(*words, data=root / "worker", farm=server, hidden=root / "private"):
            line_of(managing, "listens on")
            join_as_client(DataFolder(mine), invite("client", server), "anna")
            with client(None, mine) as connection:
                until(lambda: [row["status"] for row in connection.ask("workers")] == ["idle"])
            yield server, mine
