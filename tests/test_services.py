"""Roles as services of the operating system: what is written for it, and what its manager hears."""

import getpass
import json
import os
import plistlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import pytest

from brender.system.service_files import ROLES, STATE, Role, Service, launchd_job, systemd_unit, windows_task
from brender.system.service_manager import ServiceManager
from tests.conftest import missing
from tests.tools import Said, command, process, until

_WORDS = ("/opt/a b/python", "-m", "brender.commands.main", "role", "worker", "--tag", 'say "100%" $HOME', "--name", "", "a\\b")


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(20)
        yield heard


def _service(role: Role = "worker", account: str = "render", folder: PurePosixPath = STATE) -> Service:
    return Service(role, f"brender-{role}", _WORDS, folder, account)


def _told(heard: socket.socket) -> str:
    return heard.recv(4096).decode()


def test_a_service_manager_hears_that_a_role_is_ready_lives_and_ends(notified: socket.socket) -> None:
    clock = [0.0]
    environment = {"NOTIFY_SOCKET": str(notified.getsockname()), "WATCHDOG_USEC": "2000000"}
    manager = ServiceManager(environment, lambda: clock[0])
    manager.ready("listens\non 9999")
    assert _told(notified) == "READY=1\nSTATUS=listens on 9999"
    for clock[0] in (1.0, 1.5, 1.9, 2.0):
        manager.alive()
    manager.stopping("ends")
    assert [_told(notified) for _ in range(3)] == ["WATCHDOG=1", "WATCHDOG=1", "STOPPING=1\nSTATUS=ends"]


def test_a_service_manager_hears_that_a_start_goes_on_for_as_long_as_it_does(notified: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": str(notified.getsockname())})
    with manager.starting(every=0.01):
        assert {_told(notified) for _ in range(3)} == {"EXTEND_TIMEOUT_USEC=60000"}
    manager.ready("listens")
    until(lambda: _told(notified).startswith("READY=1"))
    notified.setblocking(False)
    with pytest.raises(BlockingIOError):
        _told(notified)


def test_a_role_gives_no_signs_of_life_where_nobody_asked_it_for_them(notified: socket.socket) -> None:
    other = {"NOTIFY_SOCKET": str(notified.getsockname()), "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid() + 1)}
    for environment in (other, {"WATCHDOG_USEC": "2000000"}, {}):
        ServiceManager(environment).alive()
    ServiceManager(other).ready("")
    assert _told(notified).startswith("READY=1")


def test_a_service_manager_that_is_gone_holds_no_role_up(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("")


def test_a_server_is_ready_when_it_listens_lives_while_its_loop_turns_and_says_that_it_ends(
    tmp_path: Path, notified: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(notified.getsockname()))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with process("server", "--port-base", "0", data=tmp_path / "farm") as started:
        assert _told(notified) == "EXTEND_TIMEOUT_USEC=60000000", "before it migrates, which may take long"
        until(lambda: _told(notified).startswith("READY=1\nSTATUS=listens on 127.0.0.1:"))
        assert _told(notified) == "WATCHDOG=1"
        started.send_signal(signal.SIGTERM)
        until(lambda: _told(notified).startswith("STOPPING=1"))


def test_a_unit_starts_the_very_words_that_it_was_given() -> None:
    unit = systemd_unit(_service())
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    # As systemd reads it: quotes and backslashes like a shell's, % and $ twice for themselves.
    read = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line.removeprefix("ExecStart="))]
    assert read == list(_WORDS)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("account", ["root", ""])
def test_systemd_understands_every_unit(role: Role, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")
    words = (sys.executable, "-m", "brender.commands.main", "role", role, "--tag", 'a "100%" b')
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    unit = tmp_path / "brender-x.service"
    unit.write_text(systemd_unit(Service(role, "brender-x", words, STATE, account)))
    checked = subprocess.run(
        ["systemd-analyze", "--system" if account else "--user", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (checked.stdout + checked.stderr, checked.returncode) == ("", 0)


def test_only_what_renders_keeps_the_rights_that_a_sandbox_of_its_own_needs() -> None:
    server, worker = systemd_unit(_service("server")), systemd_unit(_service("worker"))
    assert "RestrictNamespaces=yes" in server and "RestrictNamespaces" not in worker
    assert "OOMPolicy=continue" in worker and "OOMPolicy" not in server


def test_workers_that_scale_has_started_go_on_when_its_service_ends() -> None:
    scale, worker = systemd_unit(_service("scale")), systemd_unit(_service("worker"))
    assert "KillMode=process" in scale and "KillMode=mixed" in worker


def test_a_unit_makes_the_data_folder_only_where_that_is_systemd_s_to_make() -> None:
    assert "StateDirectory=brender" in systemd_unit(_service())
    assert "StateDirectory" not in systemd_unit(_service(folder=PurePosixPath("/srv/farm")))
    assert "User=" not in systemd_unit(_service(account=""))


def test_launchd_and_windows_are_given_the_same_words() -> None:
    job = plistlib.loads(launchd_job(_service()))
    assert job["ProgramArguments"] == list(_WORDS) and job["UserName"] == "render"
    task = ElementTree.fromstring(windows_task(_service()).decode("utf-16"))
    name = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    assert [child.tag.removeprefix(name) for child in task] == [
        *("RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"),
    ]
    assert task.findtext(f".//{name}Command") == _WORDS[0]
    assert task.findtext(f".//{name}Arguments") == subprocess.list2cmdline(_WORDS[1:])


def _shown(capsys: pytest.CaptureFixture[str], *words: object) -> Said:
    return command(capsys, "service", "show", "--run-as", "render", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("server", "--data", "farm"), "--data farm: a service starts elsewhere. Name it whole: --data /"),
        (("worker", "--join", "abc"), "Put the token into a file that only its account can read"),
        (("worker", "--sandbox", "wood"), "'wood' is not one of"),
        (("server", "--tag", "gpu"), "No such option"),
        (("worker", "--join", "@token"), "--join @token: a service starts elsewhere. Name it whole: --join @/"),
        (("server", "--database", "mine.db"), "--database mine.db: a service starts elsewhere. Name it whole: --database /"),
        (("server", "--database", "postgresql://u:secret@h/db"), "and that has a password"),
        (("--name", "a b", "server"), "'a b' has ' '"),
        (("--user", "server"), "--run-as and --user do not go together"),
    ],
)
def test_what_a_role_would_refuse_or_find_elsewhere_makes_no_service(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _shown(capsys, *words)
    assert shown.code == 2 and said in shown.err and not shown.out


def test_a_service_has_the_options_of_its_role_and_a_data_folder(capsys: pytest.CaptureFixture[str]) -> None:
    unit = _shown(capsys, "worker", "--tag", "gpu", "--join", "@/etc/brender/token").out
    assert "role worker --tag gpu --join @/etc/brender/token --data /var/lib/brender\n" in unit and "User=render\n" in unit
    assert " farm --data /srv/farm\n" in _shown(capsys, "farm", "--data", "/srv/farm").out


def test_a_unit_is_shown_to_root_too_with_an_account_that_is_to_be_replaced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    shown = command(capsys, "service", "show", "worker")
    assert shown.code == 0 and "Put here the one that is to run this.\nUser=brender\n" in shown.out
    assert "--run-as ACCOUNT" in shown.err
    assert plistlib.loads(command(capsys, "service", "show", "--for", "launchd", "worker").out.encode())["UserName"] == "brender"
    installed = command(capsys, "service", "install", "worker")
    assert installed.code == 2 and "No account is named to run it" in installed.err


def test_a_service_knows_the_settings_file_that_it_names_and_nothing_of_who_installs_it(
    settings_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRENDER_SERVER_LISTEN", "0.0.0.0")
    shown = _shown(capsys, "server", "--config", settings_file)
    assert f"role server --config {settings_file}\n" in shown.out  # its data folder is in there
    assert "BRENDER_SERVER_LISTEN is set here, and will not be for the service" in shown.err
    assert os.environ["BRENDER_SERVER_LISTEN"] == "0.0.0.0"
    monkeypatch.setenv("BRENDER_CONFIG", str(settings_file))
    assert "role server --data /var/lib/brender\n" in _shown(capsys, "server").out


def test_a_unit_of_somebody_else_s_is_neither_replaced_nor_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brender.commands.service._SYSTEM_UNITS", tmp_path)
    monkeypatch.setattr("brender.commands.service._systemctl", lambda of_user: ["false"])
    unit = tmp_path / "brender-server.service"
    unit.write_text("[Service]\nExecStart=/opt/mine -m brender.commands.main role server\n")
    for words in (("install", "--run-as", "root", "server"), ("remove", "server")):
        said = command(capsys, "service", *words)
        assert said.code and "was not made by brender" in said.err
    assert "/opt/mine" in unit.read_text()


def test_a_service_is_not_installed_where_no_systemd_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said = command(capsys, "service", "install", "--run-as", "render", "server")
    assert said.code == 1 and "systemd does not run on this machine" in said.err


_FILE = """
data = "/srv/farm"
[server]
lease = 20
[worker]
slots = "auto"
accept-trusted = true
join = "secret"
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "brender.toml"
    path.write_text(_FILE)
    return path


def test_each_setting_is_shown_with_where_it_comes_from(
    settings_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRENDER_SITE", "north")
    monkeypatch.delenv("BRENDER_DATA")
    shown = json.loads(command(capsys, "config", "show", "--json", "--config", settings_file).out)["settings"]
    found = {(each["section"], each["name"]): (each["value"], each["source"]) for each in shown}
    assert found["", "data"] == ("/srv/farm", "the settings file") and found["server", "lease"] == (20, "the settings file")
    assert found["server", "site"] == ("north", "$BRENDER_SITE") and ("server", "keep-blobs") not in found
    assert found["worker", "join"] == ("(not shown)", "the settings file")


def test_all_settings_of_one_table_are_shown_with_their_defaults(settings_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "config", "show", "server", "--config", settings_file).out
    lines = {words[1]: words[2:] for line in said.splitlines() if (words := line.split())[:1] == ["[server]"]}
    assert lines["keep-blobs"] == ["30.0", "default"] and lines["database"] == ["none", "default"]


def test_what_a_table_may_have_is_listed_without_options_that_are_no_settings(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_file.write_text("[jobs]\ncolour = 1\n")
    for verb in ("show", "check"):
        known = command(capsys, "config", verb, "--config", settings_file).err.strip().partition("; known are: ")[2].split(", ")
        assert known == ["all", "data", "limit", "project", "server", "status", "user"]


@pytest.mark.parametrize(
    ("was", "now", "code", "said"),
    [
        ("", "", 0, "5 settings, all good"),
        ("lease = 20", 'lease = "soon"', 2, '[server] lease is a number, and not "soon"'),
        ("lease = 20", "lease = 0", 2, "[server] lease: Invalid value for '--lease': 0.0 is not in the range"),
        ("lease = 20", "lease = [1, 2]", 2, "[server] lease is a number, and not [1, 2]"),
        ("lease = 20", "lease = true", 2, "[server] lease is a number, and not true"),
        ("lease = 20", "listen = {a = 1}", 2, "[server] listen is a text in quotes, and not a table"),
        ("lease = 20", 'listen = "1.2.3.4:x"', 2, "[server] listen: '1.2.3.4:x' is not an address"),
        ("accept-trusted = true", 'accept-trusted = "yes"', 2, '[worker] accept-trusted is true or false, and not "yes"'),
        ("accept-trusted = true", 'tag = "tall"', 2, '[worker] tag is a list: [a text in quotes, …], and not "tall"'),
        ('data = "/srv/farm"', "data = 5", 2, "data is a text in quotes, and not 5"),
        ("lease = 20", "least = 20", 2, "[server] has no setting 'least'; did you mean 'lease'?"),
    ],
)
def test_a_settings_file_is_checked_with_its_values(
    was: str, now: str, code: int, said: str, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_file.write_text(_FILE.replace(was, now))
    checked = command(capsys, "config", "check", "--config", settings_file)
    assert checked.code == code and said in checked.out + checked.err
