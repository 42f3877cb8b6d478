"""A network drive that hangs under a job's folder: leases, grants and other jobs go on, and nothing is lost."""

import time
from pathlib import Path

import pytest

from brender.bus.ids import new_id
from brender.commands.options import client
from brender.engines.life import STOP_SECONDS
from brender.model.errors import Unreachable
from brender.model.job import JobSpec
from brender.model.nodes import Blender
from tests.conftest import SCENES
from tests.hanging import can_hang, hanging
from tests.test_trouble import PYTHON, three_roles
from tests.tools import Said, command, ended, submit_command, tries, until

LEASE_SECONDS = 5


@pytest.mark.thorough
@pytest.mark.blender
def test_a_drive_that_hangs_under_a_job_s_folder_stops_only_that_job(
    bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not can_hang():
        pytest.skip("this user may not mount a drive that hangs (FUSE)")
    server_data, clients = tmp_path / "server", tmp_path / "clients"
    drive_at = (tmp_path / "drive", tmp_path / "behind")
    with hanging(*drive_at) as drive, three_roles(server_data, tmp_path / "worker", clients, lease=LEASE_SECONDS) as (server, _):
        words = ("--samples", "1", "--resolution", "5", "--allow-missing", "--server", server, "--data", clients)

        def submit(name: str, frames: str, output: Path) -> Said:
            scene = SCENES / "03_animated_cube.blend"
            return command(capsys, "submit", scene, "--send", "--frames", frames, "--output", output, "--name", name, *words)

        with client(server, clients) as connection:
            assert submit("stuck", "1-4", drive.path / "show").code == 0
            until(lambda: list(drive.behind.glob("show/[!.]*")))
            drive.hang()
            began = time.monotonic()
            assert submit("fine", "1-2", tmp_path / "fine").code == 0
            assert ended(connection, "fine")["status"] == "completed" and len(list((tmp_path / "fine").iterdir())) == 2
            stuck = until(lambda: connection.ask("job", id="stuck")["reason"])
            assert stuck.startswith(f"The folder {drive.path / 'show'} does not answer; ") and "to be put there" in stuck
            until(lambda: connection.ask("job", id="stuck")["completed_parts"] == 4)
            like = connection.ask("job", id="fine")
            fields = {name: like[name] for name in ("job_type", "settings", "bundle")}
            with pytest.raises(Unreachable, match="does not answer on the server's machine: submit the job again"):
                connection.submit(JobSpec(id=new_id(), name="other", output=str(drive.path / "other"), **fields))
            until(lambda: time.monotonic() - began > 3 * LEASE_SECONDS)
            assert connection.ask("job", id="stuck")["status"] == "active", "its frames are not in its folder"
            assert len(list((server_data / "incoming").iterdir())) == 4 - len(list(drive.behind.glob("show/[!.]*")))
            drive.go_on()
            assert ended(connection, "stuck")["status"] == "completed"
            assert len(list(drive.behind.glob("show/*"))) == 4 and not list((server_data / "incoming").iterdir())
            assert tries(connection, "stuck") == ["completed"] * 4 and tries(connection, "fine") == ["completed"] * 2


@pytest.mark.thorough
def test_a_drive_that_hangs_under_a_worker_costs_no_lease_and_the_job_says_why_while_others_are_done(tmp_path: Path) -> None:
    if not can_hang():
        pytest.skip("this user may not mount a drive that hangs (FUSE)")
    server_data, clients = tmp_path / "server", tmp_path / "clients"
    drive_at = (tmp_path / "drive", tmp_path / "behind")
    with (
        hanging(*drive_at) as drive,
        three_roles(server_data, tmp_path / "worker", clients, lease=LEASE_SECONDS) as (server, _),
        client(server, clients) as connection,
    ):
        wanted = f"print('begun', flush=True); open(r'{drive.path / 'x'}', 'w')"
        running = submit_command(connection, PYTHON, "-c", wanted, name="running", priority=90)
        until(lambda: ended(connection, running)["status"] == "completed")
        drive.hang()
        began = time.monotonic()
        running = submit_command(connection, PYTHON, "-c", wanted, name="hangs", priority=90)
        until(lambda: connection.ask("job", id=running)["status"] == "active")
        connection.act("cancel", running)
        stuck = submit_command(connection, PYTHON, "-c", "pass", name="stuck", output=str(drive.path / "show"), priority=80)
        fine = submit_command(connection, PYTHON, "-c", "pass", name="fine", frames="1-5")
        assert ended(connection, fine)["status"] == "completed" and time.monotonic() - began < STOP_SECONDS + 15
        assert f"(The folder {drive.path / 'show'} does not answer)" in until(lambda: connection.ask("job", id=stuck)["reason"])
        assert connection.ask("job", id=stuck)["failures"] == 0
        assert [row["status"] for row in connection.ask("workers")] == ["idle"]
        assert tries(connection, stuck) == ["canceled"] and tries(connection, running) == ["canceled"]
        drive.go_on()
