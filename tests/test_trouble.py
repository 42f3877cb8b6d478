"""Real trouble for real processes: full disks, locked databases, stuck renders, machines that are told to leave; and backups."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from brender.bus.address import free_ports
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.engines.disk_space import shortage
from brender.model.errors import Paused
from brender.store.datafolder import DataFolder
from tests.conftest import PostgreSQL
from tests.test_farm_processes import PYTHON
from tests.tools import (
    command,
    ended,
    fill,
    line_of,
    one_farm,
    pids_of_program,
    process,
    program_with_a_child,
    submit_command,
    tries,
    until,
)


@contextlib.contextmanager
def three_roles(
    server_data: Path, worker_data: Path, clients_data: Path, *worker_options: object, database: str = "", lease: int = 8
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server, a manager and a worker; the server's address and the worker's process. *clients_data*: the test's own folder."""
    record = ("--database", database) if database else ()
    times = ("--lease", lease)
    first = free_ports(9)
    server, manager = f"127.0.0.1:{first + 4}", f"127.0.0.1:{first + 6}"
    one_farm(server_data, clients_data)
    joining = {"data": worker_data, "farm": server_data}
    with (
        process("server", "--listen", server, *times, *record, data=server_data) as serving,
        process("manager", "--listen", manager, "--server", server, "--name", "m", *times, **joining) as managing,
    ):
        line_of(serving, "listens on")
        line_of(managing, "listens on")
        with process("worker", "--manager", manager, "--name", "w", *worker_options, **joining) as working:
            line_of(working, "has")
            yield server, working


# --- full disks ---------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_server_on_a_full_disk_pauses_says_why_and_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    with three_roles(small_disk / "server", tmp_path / "w", tmp_path) as (server, _), client(server, tmp_path) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.2)", frames="1-40")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
        ballast = fill(small_disk)
        until(lambda: "cannot write its database" in connection.ask("about")["trouble"])
        with pytest.raises(Paused, match="Nothing new is accepted"):
            submit_command(connection, "echo", "too late")
        assert "full" in DataFolder(small_disk / "server").trouble()
        before = connection.ask("job", id=job)["completed_parts"]
        ballast.unlink()
        record = ended(connection, job)
        assert before < 40 and (record["status"], record["completed_parts"], record["failures"]) == ("completed", 40, 0)
        assert tries(connection, job) == ["completed"] * 40
        assert connection.ask("about")["trouble"] == ""


def test_a_worker_on_a_full_disk_pauses_says_why_and_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    options = ("--least-free", "8")
    with (
        three_roles(tmp_path / "server", small_disk / "w", tmp_path, *options) as (server, _),
        client(server, tmp_path) as connection,
    ):
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.2)", frames="1-20")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
        ballast = fill(small_disk)
        row = until(lambda: next((row for row in connection.ask("workers") if row["status"] == "error"), None))
        assert row["reason"].startswith("No room on the disk") or "cannot be written" in row["reason"]
        ballast.unlink()
        record = ended(connection, job)
        assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 20, 0)


@pytest.mark.thorough
def test_a_worker_that_cannot_write_its_reports_gives_its_tasks_to_another_and_says_why(small_disk: Path, tmp_path: Path) -> None:
    options = ("--least-free", "0")
    with (
        three_roles(tmp_path / "server", small_disk / "w", tmp_path, *options) as (server, _),
        client(server, tmp_path) as connection,
    ):
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.2)", frames="1-30")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
        ballast = fill(small_disk)
        row = until(lambda: next((row for row in connection.ask("workers") if row["status"] == "error"), None))
        assert "cannot be written" in row["reason"]
        manager = connection.ask("managers")[0]["address"]
        with process("worker", "--name", "other", "--manager", manager, data=tmp_path / "other", farm=tmp_path / "server"):
            record = ended(connection, job)
        assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 30, 0)
        (row,) = [row for row in connection.ask("workers") if row["name"] == "w"]
        assert row["status"] == "error" and row["reason"]
        ballast.unlink()
        until(lambda: {row["status"] for row in connection.ask("workers") if row["name"] == "w"} == {"idle"})


def test_a_shortage_names_the_folder_and_what_is_free(tmp_path: Path) -> None:
    assert shortage([tmp_path], 0) == ""
    assert shortage([tmp_path / "not" / "there"], 2**60).startswith(f"No room on the disk of {tmp_path / 'not' / 'there'}: ")


# --- the database -------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_database_that_another_program_locks_only_makes_the_farm_wait(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.2)", frames="1-10")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 1)
        lock = sqlite3.connect(module_farm.folder.database, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        until(lambda: "locked" in connection.ask("about")["trouble"])
        lock.execute("ROLLBACK")
        lock.close()
        record = ended(connection, job)
        assert (record["status"], record["failures"]) == ("completed", 0)
        assert tries(connection, job) == ["completed"] * 10


@pytest.mark.thorough
def test_a_postgresql_that_goes_away_only_makes_the_farm_wait(tmp_path: Path) -> None:
    postgresql = PostgreSQL()
    try:
        roles = three_roles(tmp_path / "server", tmp_path / "w", tmp_path, database=postgresql.new_database())
        with roles as (server, _), client(server, tmp_path) as connection:
            job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.2)", frames="1-15")
            until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
            postgresql.stop()
            until(lambda: "connection" in DataFolder(tmp_path / "server").trouble())
            postgresql.start()
            record = ended(connection, job)
            assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 15, 0)
            assert tries(connection, job) == ["completed"] * 15
    finally:
        postgresql.end()


@pytest.mark.thorough
def test_a_backup_is_taken_while_the_farm_works_and_can_be_gone_back_to(
    farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    with client(None, farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.05)", frames="1-60")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 5)
        said = command(capsys, "backup", copy, "--data", farm.folder.root)
        assert said.code == 0 and "checked" in said.out
        ended(connection, job)
    saved = sqlite3.connect(copy)
    assert 5 <= saved.execute("SELECT completed_parts FROM job").fetchone()[0] <= 60
    saved.close()
    (tmp_path / "again").mkdir()
    copy.rename(tmp_path / "again" / "farm.db")
    with three_roles(tmp_path / "again", tmp_path / "w", tmp_path) as (server, _), client(server, tmp_path) as connection:
        assert ended(connection, job)["completed_parts"] == 60


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("there.db", "--database", "none.db"), "There is no farm database at none.db"),
        (("there.db", "--database", "postgresql://127.0.0.1:1/x"), "The backup to there.db failed: connection failed"),
        (("taken.db", "--database", "farm.db"), "taken.db exists already"),
        (("there.db", "--database", "rubbish.db"), "The backup to there.db failed: file is not a database"),
    ],
)
def test_a_backup_that_cannot_be_says_why(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sqlite3.connect("farm.db").close()
    Path("farm.db").touch()
    Path("taken.db").touch()
    Path("rubbish.db").write_text("rubbish " * 1000)
    said = command(capsys, "backup", *words)
    assert said.code != 0 and says in said.err and not Path("there.db").exists()


# --- leaving ------------------------------------------------------------------------------------------------------------


def test_a_worker_that_gets_sigterm_finishes_its_task_and_leaves(tmp_path: Path) -> None:
    with three_roles(tmp_path / "server", tmp_path / "w", tmp_path) as (server, worker), client(server, tmp_path) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(2)", frames="1-3")
        until(lambda: any(row["started"] for row in connection.ask("attempts", job=job)))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        outcomes = sorted(row["outcome"] for row in until(lambda: settled(connection, job)))
        assert outcomes.count("completed") == 1 and set(outcomes) <= {"completed", "recalled"}
        assert connection.ask("job", id=job)["failures"] == 0


@pytest.mark.thorough
def test_a_second_sigterm_stops_it_at_once_and_its_task_is_queued_again(tmp_path: Path) -> None:
    with three_roles(tmp_path / "server", tmp_path / "w", tmp_path) as (server, worker), client(server, tmp_path) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; time.sleep(1000)", frames="1-3")
        until(lambda: any(row["started"] for row in connection.ask("attempts", job=job)))
        below = psutil.Process(worker.pid).children(recursive=True)
        worker.send_signal(signal.SIGTERM)
        until(lambda: any(row["status"] == "draining" for row in connection.ask("workers")))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        until(lambda: not any(each.is_running() for each in below))
        assert {row["outcome"] for row in until(lambda: settled(connection, job))} <= {"canceled", "recalled"}
        record = connection.ask("job", id=job)
        assert (record["status"], record["failures"]) == ("queued", 0)


@pytest.mark.thorough
def test_what_a_killed_worker_had_not_sent_is_sent_or_cleared_when_it_starts_again(tmp_path: Path) -> None:
    own = tmp_path / "w" / "workers" / "w"
    with three_roles(tmp_path / "server", tmp_path / "w", tmp_path) as (server, worker), client(server, tmp_path) as connection:
        job = submit_command(connection, PYTHON, "-c", "import time; print('so far', flush=True); time.sleep(1000)")
        (log,) = until(lambda: [each for each in own.glob("logs/*") if b"so far" in each.read_bytes()])
        worker.kill()
        worker.wait()
        (own / "thumbnails").mkdir(exist_ok=True)
        left = {own / "thumbnails/x.jpg", own / "logs/earlier.log", own / f"logs/{job}-{'0' * 24}.log", log}
        for each in left - {log}:
            each.write_bytes(b"x")
        with process("worker", "--name", "w", data=tmp_path / "w"):
            until(lambda: not any(each.exists() for each in left))
        assert "so far" in DataFolder(tmp_path / "server").log(job, log.stem.partition("-")[2]).read_text()


def settled(connection, job: str):  # type: ignore[no-untyped-def]
    """The attempts of *job*, once none of them lives."""
    rows = connection.ask("attempts", job=job)
    return rows if all(row["outcome"] != "live" for row in rows) else None


def test_the_command_line_disables_and_enables_a_worker(module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", module_farm.folder.root)
    with client(None, module_farm.folder.root) as connection:
        until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) == 2)
        assert command(capsys, "disable", "worker-1", *data).out == "The worker worker-1 gets no new tasks\n"
        job = submit_command(connection, PYTHON, "-c", "pass", frames="1-6")
        ended(connection, job)
        assert {row["worker_name"] for row in connection.ask("attempts", job=job)} == {"worker-2"}
        assert command(capsys, "enable", "worker-1", *data).out == "The worker worker-1 gets tasks again\n"
        until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) == 2)
        assert "There is no worker or manager 'nobody'" in command(capsys, "drain", "nobody", *data).err


def test_a_worker_of_a_local_farm_that_was_drained_stays_away(farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    with client(None, farm.folder.root) as connection:
        until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) == 2)
        assert command(capsys, "drain", "worker-1", "--data", farm.folder.root).code == 0
        until(lambda: farm.check() or "worker-1" not in [child.name for child in farm.children])
        statuses = {row["name"]: row["status"] for row in connection.ask("workers")}
        assert statuses == {"worker-1": "offline", "worker-2": "idle"}


# --- time limits --------------------------------------------------------------------------------------------------------


def test_a_stuck_program_is_killed_with_all_that_it_started(module_farm: LocalFarm, tmp_path: Path) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(
            connection,
            PYTHON,
            "-c",
            program_with_a_child(tmp_path, deaf),
            stall_minutes=0.05,
        )
        pids = pids_of_program(tmp_path)
        until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
        first = until(lambda: next((row for row in connection.ask("attempts", job=job) if row["outcome"] == "failed"), None))
        assert first["reason"] == "It showed no sign of progress for 3 seconds, the job's limit for that"
        connection.act("cancel", job)


def test_a_worker_that_stood_still_ends_nothing_for_that(tmp_path: Path) -> None:
    """SIGSTOP for longer than the job's limit: the time in which the worker itself did not run does not count."""
    roles = three_roles(tmp_path / "server", tmp_path / "w", tmp_path, lease=30)
    with roles as (server, worker), client(server, tmp_path) as connection:
        talks = "import time; [(print(n, flush=True), time.sleep(0.5)) for n in range(14)]"
        job = submit_command(connection, PYTHON, "-c", talks, stall_minutes=0.05)
        until(lambda: any(row["started"] for row in connection.ask("attempts", job=job)))
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(6)
        os.kill(worker.pid, signal.SIGCONT)
        assert ended(connection, job)["status"] == "completed"
        assert tries(connection, job) == ["completed"]


# --- another manager ----------------------------------------------------------------------------------------------------


def test_a_worker_whose_manager_is_killed_turns_to_the_other(tmp_path: Path) -> None:
    first = free_ports(13)
    server, north, south = (f"127.0.0.1:{first + offset}" for offset in (4, 6, 9))
    folder = tmp_path / "server"
    one_farm(folder, tmp_path)
    with (
        process("server", "--listen", server, "--lease", "3", data=folder),
        process("manager", "--name", "north", "--listen", north, "--lease", "3", data=tmp_path / "n", farm=folder) as one,
        process("manager", "--name", "south", "--listen", south, "--lease", "3", data=tmp_path / "s", farm=folder),
        process("worker", "--name", "w", "--manager", f"{north},{south}", data=tmp_path / "w", farm=folder),
        client(server, tmp_path) as connection,
    ):
        job = submit_command(connection, sys.executable, "-c", "import time; time.sleep(3)", frames="1-2")
        until(lambda: any(row["started"] for row in connection.ask("attempts", job=job)))
        one.kill()
        assert ended(connection, job)["status"] == "completed"
        (row,) = connection.ask("workers")
        assert row["manager_name"] == "south"
        assert tries(connection, job) == ["completed"] * 2
