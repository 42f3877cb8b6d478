"""The program of docs/kitsu_preview.py, started by the hook of a real farm, publishes a job's film by Kitsu's own client.

Kitsu itself is a stand-in that answers four requests and records them; no Kitsu is asked.
"""

import importlib.util
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.store.datafolder import DataFolder
from tests.conftest import SCENES, find_blender
from tests.tools import command
from tests.web import with_token

PROGRAM = Path(__file__).parents[1] / "docs" / "kitsu_preview.py"
TASK = "4f1c0d5e-0000-4000-8000-000000000001"

pytestmark = pytest.mark.skipif(importlib.util.find_spec("gazu") is None, reason="gazu is not installed")


class StandInForKitsu(BaseHTTPRequestHandler):
    """Answers what gazu asks to publish a preview, and puts each request into `heard`: its way, its token and its body."""

    heard: queue.Queue[tuple[str, str, bytes]]

    def do_GET(self) -> None:
        self._answer([{"id": "waiting-for-approval"}] if "short_name=wfa" in self.path else {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.put((self.path, self.headers["Authorization"], body))
        self._answer({"id": "preview" if self.path.endswith("/add-preview") else "comment"})

    def _answer(self, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def kitsu() -> Iterator[str]:
    StandInForKitsu.heard = queue.Queue()
    with HTTPServer(("127.0.0.1", 0), StandInForKitsu) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_a_job_that_names_no_task_publishes_nothing() -> None:
    told = json.dumps({"event": "job-completed", "job": "1", "name": "sh_010", "text": "done"})
    done = subprocess.run([sys.executable, PROGRAM, "/no/such/file"], input=told, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.blender
@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_the_film_of_a_completed_job_becomes_a_preview_of_its_task(
    folder: DataFolder, tmp_path: Path, kitsu: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program, settings, config = tmp_path / "kitsu-preview", tmp_path / "kitsu.json", tmp_path / "brender.toml"
    program.write_text(PROGRAM.read_text("utf-8").replace("/usr/bin/env python3", sys.executable, 1))
    program.chmod(0o755)
    config.write_text(f'[server]\nhook-program = ["{program}"]\n')
    at = ("--data", folder.root)
    plan = FarmPlan(folder=folder, workers=1, any_ports=True, blenders=[find_blender("bpy").path], config=config)
    with LocalFarm(plan) as farm:
        with client(None, folder.root) as connection:
            token = with_token(connection)["Authorization"].removeprefix("Bearer ")
        known = {"farm": farm.dashboard_url.rstrip("/"), "token": token, "kitsu": kitsu, "kitsu_token": "of-a-bot"}
        settings.write_text(json.dumps(known))
        assert command(capsys, "hooks", "add", program, "--event", "job-completed", *at, "--", settings).code == 0
        wanted = ("--name", f"cube (task {TASK})", "--frames", "1-3", "--resolution", "10", "--samples", "1")
        scene = SCENES / "03_animated_cube.blend"
        done = command(capsys, "submit", scene, *wanted, "--output", tmp_path / "out", "--allow-missing", "--wait", *at)
        assert done.code == 0, done.err
        heard = [StandInForKitsu.heard.get(timeout=60) for _ in range(3)]
    assert {token for _, token, _ in heard} == {"Bearer of-a-bot"}
    comment, preview, upload = heard
    assert comment[0] == f"/api/actions/tasks/{TASK}/comment" and b"waiting-for-approval" in comment[2]
    assert preview[0] == f"/api/actions/tasks/{TASK}/comments/comment/add-preview"
    assert upload[0] == "/api/pictures/preview-files/preview"
    film = tmp_path / "film.mp4"
    film.write_bytes(upload[2].split(b"\r\n\r\n", 1)[1])
    asked = ["ffprobe", "-v", "quiet", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", film]
    assert subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "3"
