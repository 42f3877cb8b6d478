"""The command line as its users know it."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from brender import __version__
from brender.bus.client import Client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.main import brender
from brender.commands.options import client
from brender.engines.blenders import Search
from brender.model.job_standing import standing
from brender.store.datafolder import DataFolder
from tests.tools import command, ended, submit_command, until

WITH_DASHBOARD = True
PYTHON = sys.executable


def test_a_job_is_submitted_waited_for_and_looked_at(module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--data", module_farm.folder.root)
    said = command(
        capsys,
        "submit",
        *here,
        "--type",
        "command",
        "--frames",
        "1-3",
        "--name",
        "three",
        "--wait",
        "--",
        "echo",
        "frame {frame}",
    )
    assert said.code == 0 and "3 frames in 3 tasks" in said.out
    (job,) = [each for each in json.loads(command(capsys, "jobs", *here, "--json").out) if each["name"] == "three"]
    assert (job["status"], job["completed_parts"]) == ("completed", 3)
    assert job["id"][:8] in command(capsys, "jobs", *here).out
    shown = command(capsys, "job", *here, job["id"][:5]).out
    assert "three" in shown and "3 of 3 frames" in shown
    tasks = json.loads(command(capsys, "tasks", *here, "three", "--json").out)
    assert [task["frames"] for task in tasks] == [[1], [2], [3]]
    assert "completed" in command(capsys, "tasks", *here, "three").out
    until(lambda: "frame 2" in command(capsys, "log", *here, "three", "--frame", "2").out)


def test_a_program_gets_its_output_folder_which_is_made(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = ("--data", module_farm.folder.root, "--wait", "--output", "new/out")
    assert command(capsys, "submit", *here, "--", "touch", "{output}/file").code == 0
    assert (tmp_path / "new" / "out" / "file").exists()


def test_a_failing_job_makes_the_waiting_command_fail(module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "submit", "--data", module_farm.folder.root, "--type", "command", "--wait", "--", "/no/such/program")
    assert said.code == 5 and "/no/such/program cannot be started" in said.err


def test_a_job_is_paused_resumed_canceled_requeued_and_given_a_priority(
    module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--data", module_farm.folder.root)
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, PYTHON, "-c", "pass", frames="1-2", name="x", paused=True)
        assert f"Job {job[:8]} has priority 70" in command(capsys, "priority", *here, job, "70").out
        assert connection.ask("job", id=job)["priority"] == 70
        assert "is canceled" in command(capsys, "cancel", *here, job[:6]).out
        assert "is queued" in command(capsys, "requeue", *here, job).out
        assert ended(connection, job)["status"] == "completed"
        assert "is queued" in command(capsys, "requeue", *here, job, "--frames", "2").out
        assert ended(connection, job)["status"] == "completed"
        other = submit_command(connection, PYTHON, "-c", "pass", name="y", paused=True)
        assert "queued" in command(capsys, "resume", *here, other).out
        assert ended(connection, other)["status"] == "completed"
        slow = submit_command(connection, PYTHON, "-c", "import time; time.sleep(0.5)", frames="1-50", name="z")
        assert "is paused" in command(capsys, "pause", *here, slow).out
        connection.act("cancel", slow)


def test_workers_and_managers_are_listed(module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--data", module_farm.folder.root)
    until(lambda: len(json.loads(command(capsys, "workers", *here, "--json").out)) == 2)
    assert "worker-1" in command(capsys, "workers", *here).out
    (manager,) = json.loads(command(capsys, "managers", *here, "--json").out)
    assert (manager["name"], manager["status"], manager["workers"]) == ("manager", "online", 2)
    assert "manager" in command(capsys, "managers", *here).out
    stats = until(lambda: json.loads(command(capsys, "workers", *here, "--json").out)[0]["stats"])
    assert stats["memory_total"] > 0 and stats["disk_free"] > 0


def test_an_empty_farm_says_what_to_do_first(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with LocalFarm(FarmPlan(folder=folder, workers=0, any_ports=True, with_dashboard=False)):
        assert "brender submit FILE.blend" in command(capsys, "jobs", "--data", folder.root).out


def test_options_go_before_the_environment_and_that_before_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "brender.toml").write_text("[jobs]\nserver = 'in-the-file.invalid'\n")
    config = ("--config", tmp_path / "brender.toml")
    assert "in-the-file.invalid" in command(capsys, "jobs", *config).err
    monkeypatch.setenv("BRENDER_SERVER", "in-the-environment.invalid")
    assert "in-the-environment.invalid" in command(capsys, "jobs", *config).err
    assert "in-the-option.invalid" in command(capsys, "jobs", *config, "--server", "in-the-option.invalid").err


def test_the_settings_file_gives_the_data_folder_to_all_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BRENDER_DATA")
    (tmp_path / "brender.toml").write_text(f"data = '{tmp_path}/elsewhere'\n")
    said = command(capsys, "doctor", "--quick", "--config", tmp_path / "brender.toml", "--json")
    assert f"{tmp_path}/elsewhere" in [finding["found"] for finding in json.loads(said.out)]


def test_the_doctor_finds_blender_disk_ports_and_the_running_server(
    module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]
) -> None:
    module_farm.folder.note_backup({"file": "farm-1.db", "bytes": 1, "wall": 1.0, "trouble": "No room"})
    findings = json.loads(command(capsys, "doctor", "--quick", "--json", "--data", module_farm.folder.root).out)
    seen = {finding["what"]: finding for finding in findings}
    assert seen["server"]["ok"] and seen["clock"]["ok"] and seen["data folder"]["ok"]
    assert not seen["backup"]["ok"] and "farm-1.db of 1970" in seen["backup"]["found"] and "No room" in seen["backup"]["found"]
    assert "ports of a server" not in seen, "while a farm runs its ports are rightly in use"
    assert all(each in seen["the server listens at"]["found"] for each in ("control", "events", "stats", "files", "enrolment"))
    assert "stats" in seen["the manager manager listens at"]["found"]


def test_the_version_is_told_of_this_brender_and_of_each_role_of_the_farm(
    module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(capsys, "version").out.startswith(f"brender {__version__} on Python 3")
    words = ("version", "--farm", "--data", module_farm.folder.root)
    roles = ("server", "dashboard", "manager", "worker-1", "worker-2")
    said = until(lambda: all(role in (each := command(capsys, *words)).out for role in roles) and each)
    assert "NOTE" not in said.out and said.out.endswith(f"All run brender {__version__}\n")


def test_the_doctor_lists_all_ports_that_a_farm_needs_and_which_are_in_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("brender.commands.doctor.search_blenders", lambda named: Search(()))
    monkeypatch.setattr("brender.commands.doctor.is_free", lambda address: address.port not in (9997, 7776))
    said = command(capsys, "doctor", "--quick").out
    assert "FAIL ports of a server: in use: 9997 (stats)" in said and "FAIL ports of a manager: in use: 7776 (files)" in said
    assert "ok   ports of a dashboard: free: 8888 page" in said
    monkeypatch.setattr("brender.commands.doctor.is_free", lambda address: True)
    assert "free: 9999 control, 9998 events, 9997 stats, 9996 files, 9995 enrolment" in command(capsys, "doctor", "--quick").out


@pytest.mark.blender
@pytest.mark.thorough
def test_the_doctor_renders_with_each_engine(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.conftest import find_blender

    blender = find_blender("executable")
    said = command(capsys, "doctor", "--json", "--blender", blender.path)
    engines = {finding["what"]: finding["ok"] for finding in json.loads(said.out) if " in " in finding["what"]}
    assert engines == {f"{engine} in {blender.label}": True for engine in ("cycles", "eevee", "workbench")}


def test_the_doctor_says_what_to_do_where_there_is_no_blender(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brender.commands.doctor.search_blenders", lambda named: Search(()))
    said = command(capsys, "doctor", "--quick")
    assert said.code == 1
    assert "FAIL Blender: none found" in said.out and "pip install 'brender[blender]'" in said.out


def test_the_monitor_tells_what_happens(module_farm: LocalFarm) -> None:
    import subprocess

    words = [PYTHON, "-m", "brender.commands.main", "role", "monitor", "--plain", "--data", str(module_farm.folder.root)]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as monitor,
        client(None, module_farm.folder.root) as connection,
    ):
        assert monitor.stdout is not None
        first = json.loads(monitor.stdout.readline())
        assert first["type"] == "event"
        job = submit_command(connection, PYTHON, "-c", "pass", name="watched")
        kinds = set()
        for line in monitor.stdout:
            event = json.loads(line)
            kinds.add(event["kind"])
            if event["kind"] == "job" and event["key"] == job and event["fields"].get("status") == "completed":
                break
        until(lambda: "stats" in kinds or kinds.add(json.loads(monitor.stdout.readline())["kind"]))
        monitor.terminate()
    assert {"job", "task", "part", "attempt", "stats"} <= kinds


def test_a_worker_s_blenders_and_its_device_are_called_as_everywhere() -> None:
    from brender.commands.nodes import _blenders, _device

    blenders = [{"kind": "bpy", "version": "5.0.1"}, {"kind": "executable", "version": "3.4.1"}]
    assert _blenders({"blenders": blenders}) == "bpy 5.0.1, Blender 3.4.1"
    assert _device({"tags": ["cpu"]}) == "CPU"


def test_one_manager_is_shown_by_its_name(module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--data", module_farm.folder.root)
    (row,) = json.loads(command(capsys, "managers", "--json", *here).out)
    said = command(capsys, "manager", row["name"], *here)
    assert said.code == 0 and row["address"] in said.out and row["id"] in said.out
    assert "`brender managers` lists them" in command(capsys, "manager", "nobody", *here).err


def test_completion_for_the_shell_is_offered() -> None:
    import os
    import subprocess

    env = {**os.environ, "_BRENDER_COMPLETE": "bash_source"}
    program = Path(PYTHON).with_name("brender")
    assert "_brender_completion" in subprocess.run([program], env=env, capture_output=True, text=True, check=False).stdout


def test_every_command_stands_under_a_heading_of_the_help() -> None:
    listed = [name for names in brender.sections.values() for name in names]
    assert sorted(listed) == brender.list_commands(click.Context(brender))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shot.blend",), "`brender render shot.blend` renders it here and now"),
        (("--data", "/x", "render"), "--data comes after the command's name: brender render --data …"),
        (("jbos",), "There is no command 'jbos'. Is jobs meant?"),
        (("jobs", "slow"), "`brender jobs` lists all. `brender job slow` shows job slow"),
        (("workers", "w1", "--json"), "`brender worker w1` shows worker w1"),
        (("job", "slow", "fast"), "Got unexpected extra argument (fast)"),
    ],
)
def test_a_word_that_is_no_command_is_answered_with_what_was_meant(words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(brender, words, prog_name="brender")
    assert result.exit_code == 2 and said in result.output


def test_a_project_that_is_gone_as_soon_as_it_was_made_is_said_in_a_sentence(
    module_farm: LocalFarm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Client, "ask", lambda self, question, **arguments: [])
    said = command(capsys, "project", "set", "p", "--data", module_farm.folder.root)
    assert said.code == 3 and "The server took the project p, and has none of that name now" in said.err


def test_a_worker_and_what_was_done_are_shown(module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--data", module_farm.folder.root)
    with client(None, module_farm.folder.root) as connection:
        row = until(lambda: next(iter(connection.ask("workers")), None))
        submit_command(connection, PYTHON, "-c", "pass", name="seen", paused=True)
    shown = command(capsys, "worker", row["name"], *here).out
    assert f"Worker:       {row['name']}" in shown and "Status:" in shown and "Tags:" in shown
    command(capsys, "describe", row["name"], "--add-tags", "night", *here)
    assert re.search("^Tags: .*, night$", command(capsys, "worker", row["name"], *here).out, re.MULTILINE)
    command(capsys, "describe", row["name"], "--add-tags", ", night,", *here)
    with client(None, module_farm.folder.root) as connection:
        assert [each["extra_tags"] for each in connection.ask("workers") if each["id"] == row["id"]] == [["night"]]
    command(capsys, "describe", row["name"], "--tags", "", *here)
    assert "There is no worker 'nobody'" in command(capsys, "worker", "nobody", *here).err
    assert "submitted seen" in command(capsys, "activity", *here).out


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"reason": "No worker is there."}, "shot (aaaaaaaa) waits. No worker is there"),
        ({"reason": "Waits for a (bb)"}, "shot (aaaaaaaa) waits for a (bb)"),
        ({"rendering": [{"name": "w2"}, {"name": "w1"}]}, "shot (aaaaaaaa) renders on w1 and w2: 3 of 8 frames are done"),
        ({"rendering": [{"name": f"w{n:02}"} for n in range(60)]}, "shot (aaaaaaaa) renders on w00, w01, w02 and 57 more: 3"),
        ({"status": "paused", "units": 1, "units_done": 1}, "shot (aaaaaaaa) is paused, 1 of 1 frame is done."),
        ({"status": "paused"}, "shot (aaaaaaaa) is paused, 3 of 8 frames are done. `brender resume aaaaaaaa` goes on"),
        ({"status": "canceled", "reason": "canceled by anna"}, "shot (aaaaaaaa) is canceled by anna"),
        ({"status": "failed", "reason": "no camera"}, "shot (aaaaaaaa) failed: no camera. `brender log aaaaaaaa` prints"),
    ],
)
def test_a_job_says_in_a_sentence_why_it_stands_as_it_does(record: dict[str, Any], said: str) -> None:
    known = {"id": "a" * 16, "name": "shot", "status": "active", "reason": "", "rendering": [], "unit": "frame"}
    assert standing(known | {"units_done": 3, "units": 8} | record).startswith(said)
