"""Whole farms of real processes over real sockets, with command jobs: they work together, die, and are started again."""

import contextlib
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from brender.bus.address import free_ports
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.errors import Conflict
from brender.store.datafolder import KEEPER, DataFolder
from tests.tools import (
    ended,
    line_of,
    one_farm,
    pid_of,
    pids_of_program,
    process,
    program_with_a_child,
    submit_command,
    tries,
    until,
)
from tests.web import asked

PYTHON = sys.executable


def test_a_command_runs_once_for_every_frame(module_farm: LocalFarm, tmp_path: Path) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(
            connection, PYTHON, "-c", f"open(r'{tmp_path}/{{frame:03d}}', 'x').write('{{frame}}')", frames="1-20", chunk=3
        )
        record = ended(connection, job)
        assert (record["status"], record["completed_parts"]) == ("completed", 20)
    assert sorted(path.name for path in tmp_path.glob("0*")) == [f"{frame:03d}" for frame in range(1, 21)]


def test_both_workers_take_part(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        until(lambda: sum(worker["status"] == "idle" for worker in connection.ask("workers")) == 2)
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.3)", frames="1-8")
        ended(connection, job)
        assert {attempt["worker_name"] for attempt in connection.ask("attempts", job=job)} == {"worker-1", "worker-2"}


def test_what_a_program_prints_is_in_its_attempts_log(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", "print('hello from', {frame})", frames="1-2")
        ended(connection, job)
        assert until(lambda: "hello from 2" in connection.ask("log", job=job, frame=2)["text"])
        assert "hello from 1" not in connection.ask("log", job=job, frame=2)["text"]


def test_a_program_that_fails_is_tried_three_times_and_then_says_why(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", "print('warming up', flush=True); raise SystemExit('no such reel')")
        record = ended(connection, job)
        assert record["status"] == "failed"
        assert record["reason"].endswith(f"{PYTHON} failed at frame 0: it ended with exit code 1. Its last line: no such reel")
        assert tries(connection, job) == ["failed"] * 3


def test_a_program_that_no_worker_has_fails_its_job_once_each_has_tried_it(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, "/no/such/program", frames="1-50")
        record = ended(connection, job)
        assert record["reason"].startswith("/no/such/program cannot be started: No such file or directory. No other worker could")
        assert set(tries(connection, job)) <= {"failed", "recalled", "canceled"} and tries(connection, job).count("failed") <= 4


def test_a_canceled_program_is_killed_with_its_children(module_farm: LocalFarm, tmp_path: Path) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", program_with_a_child(tmp_path))
        pids = pids_of_program(tmp_path)
        connection.act("cancel", job)
        until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
        assert ended(connection, job)["status"] == "canceled"
        until(lambda: all(attempt["outcome"] == "canceled" for attempt in connection.ask("attempts", job=job)))


def test_a_killed_worker_is_started_again_and_its_frames_are_done(module_farm: LocalFarm, tmp_path: Path) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(
            connection, PYTHON, "-c", f"import time; time.sleep(0.4); open(r'{tmp_path}/{{frame:03d}}', 'w')", frames="1-12"
        )
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
        killed = pid_of(module_farm, "worker-1")
        os.kill(killed, signal.SIGKILL)
        until(lambda: module_farm.check() or pid_of(module_farm, "worker-1") != killed)
        record = ended(connection, job)
        assert (record["status"], record["completed_parts"]) == ("completed", 12)
    assert len(list(tmp_path.glob("0*"))) == 12


def test_a_killed_server_is_started_again_and_the_job_goes_on(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.3)", frames="1-20")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
        killed = pid_of(module_farm, "server")
        os.kill(killed, signal.SIGKILL)
        until(lambda: module_farm.check() or pid_of(module_farm, "server") != killed)
        record = ended(connection, job)
        assert (record["status"], record["completed_parts"]) == ("completed", 20)
        assert tries(connection, job) == ["completed"] * 20
        told = [each["text"] for each in connection.ask("activity")]
        assert sum("the server was restarted" in each for each in told) == 1, "once for the kill, and not for the first start"


def test_a_killed_manager_is_started_again_and_the_job_goes_on(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.3)", frames="1-20")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
        killed = pid_of(module_farm, "manager")
        os.kill(killed, signal.SIGKILL)
        until(lambda: module_farm.check() or pid_of(module_farm, "manager") != killed)
        assert ended(connection, job)["status"] == "completed"


def test_ending_the_farm_leaves_no_process_behind(folder: DataFolder) -> None:
    with LocalFarm(FarmPlan(folder=folder, workers=2, any_ports=True)) as farm:
        with client(None, folder.root) as connection:
            job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(1000)", frames="1-2")
            until(lambda: connection.ask("job", id=job)["status"] == "active")
        everything = [each for child in farm.children for each in psutil.Process(child.process.pid).children(recursive=True)]
        assert everything
    until(lambda: not any(each.is_running() for each in everything))


def test_the_second_server_in_a_data_folder_does_not_start(module_farm: LocalFarm) -> None:
    page = (module_farm.folder.announced("dashboard") or {}).get("url", "")
    with pytest.raises(Conflict) as refused:
        LocalFarm(FarmPlan(folder=module_farm.folder, workers=0, any_ports=True)).__enter__()
    said = str(refused.value)
    assert f"already uses the data folder {module_farm.folder.root}: that of `brender farm` (process {os.getpid()})" in said
    assert page in said and "brender farm --data OTHER-FOLDER --any-ports" in said
    assert module_farm.folder.is_locked(KEEPER), "the farm that runs still starts its server again"


@pytest.mark.thorough
def test_two_managers_with_two_workers_each_share_one_job(tmp_path: Path) -> None:
    """Each role started by hand, as a process of its own with a data folder of its own."""
    first = free_ports(13)
    server, north, south, dashboard = (f"127.0.0.1:{first + offset}" for offset in (4, 6, 9, 12))
    one_farm(tmp_path / "server", tmp_path)
    with contextlib.ExitStack() as farm:

        def start(ready: str, *words: object) -> str:
            alone = words[0] in ("manager", "worker")
            data, joined = tmp_path / (str(words[2]) if alone else "server"), tmp_path / "server" if alone else None
            return line_of(farm.enter_context(process(*words, data=data, farm=joined)), ready)

        start("listens on", "server", "--listen", server)
        page = start("is at", "dashboard", "--listen", dashboard, "--server", server).split()[-1]
        for manager, address in (("north", north), ("south", south)):
            start("listens on", "manager", "--name", manager, "--listen", address, "--server", server)
            for number in (1, 2):
                start("has", "worker", "--name", f"{manager}-{number}", "--manager", address)
        with client(server, tmp_path) as connection:
            until(lambda: [worker["status"] for worker in connection.ask("workers")] == ["idle"] * 4)
            job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.5)", frames="1-16")
            assert ended(connection, job)["status"] == "completed"
            shares = Counter(attempt["worker_name"] for attempt in connection.ask("attempts", job=job))
            assert set(shares) == {"north-1", "north-2", "south-1", "south-2"}
            shown = {what: asked(f"{page}api/v1/{what}", connection) for what in ("workers", "managers", "jobs")}
    assert {row["name"]: row["workers"] for row in shown["managers"]} == {"north": 2, "south": 2}
    assert {row["name"]: row["manager_name"] for row in shown["workers"]} == {
        "north-1": "north",
        "north-2": "north",
        "south-1": "south",
        "south-2": "south",
    }
    assert [row["id"] for row in shown["jobs"]["rows"]] == [job]


def test_a_farm_keeps_its_record_in_each_kind_of_database(database: str, tmp_path: Path) -> None:
    first = free_ports(9)
    server, manager, page = (f"127.0.0.1:{first + offset}" for offset in (4, 6, 8))
    one_farm(tmp_path / "server", tmp_path / "dashboard", tmp_path)
    with (
        process("server", "--listen", server, "--database", database, data=tmp_path / "server"),
        process("manager", "--listen", manager, data=tmp_path / "manager", farm=tmp_path / "server"),
        process("worker", "--manager", manager, "--name", "w", data=tmp_path / "worker", farm=tmp_path / "server"),
        process(
            "dashboard", "--listen", page, "--server", server, "--database", database, data=tmp_path / "dashboard"
        ) as dashboard,
        client(server, tmp_path) as connection,
    ):
        job = submit_command(connection, "echo", "{frame}", frames="1-5")
        assert ended(connection, job)["status"] == "completed"
        line_of(dashboard, "is at")
        shown = asked(f"http://{page}/api/v1/jobs", connection)["rows"]
        assert [row["completed_parts"] for row in shown] == [5]


def test_a_server_that_migrates_for_long_is_not_ended_by_the_farm_that_starts_it(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brender.commands.localfarm._START_SECONDS", 0.0)
    lock, said = folder.make().lock("server"), list[str]()

    def notify(text: str) -> None:
        said.append(text)
        folder.announce("server")

    farm = LocalFarm(FarmPlan(folder=folder, workers=0, notify=notify))
    farm._await(SimpleNamespace(name="server", process=SimpleNamespace(pid=os.getpid(), poll=lambda: None)), "server")  # type: ignore[arg-type]
    assert said and "brender-server is still starting" in said[0]
    lock.release()
