"""The dashboard: what it shows, what it asks for, and what it refuses. The last part with a real browser."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect, sync_playwright

from brender.bus.address import Address, ServerAddresses, free_ports
from brender.bus.keys import new_pair
from brender.commands.jobspec import blender_job
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.changes import New, Put
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.app import create_app
from tests.conftest import SCENES, find_blender
from tests.test_rendering import NOTHING
from tests.test_store import JOB
from tests.tools import ended, submit_command, until

JOB_ID = "a" * 16
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def web(folder: DataFolder, output: Path) -> FlaskClient:
    """The application over a record with one job of two frames, the first of them done. No server runs."""
    writer = Writer(open_for_writing(str(folder.make().database)))
    part = {"job": JOB_ID, "task": 1, "status": "completed", "attempt": "b" * 16}
    writer.commit(
        [
            Put("project", "default", {}),
            New("job", JOB_ID, {**JOB, "name": f"shot {EVIL}", "output": str(output), "completed_parts": 1}),
            New("task", 1, {"job": JOB_ID, "number": 0, "status": "active"}),
            New("part", 1, {**part, "frame": 1, "output": "x_0001.png"}),
            New("part", 2, {**part, "frame": 2, "status": "queued", "attempt": ""}),
            New("part", 3, {**part, "frame": 3, "output": "../../farm.db"}),
        ]
    )
    writer.database.close()
    app = create_app(folder, ServerAddresses.of(Address("127.0.0.1", free_ports(1)), key=new_pair().public), new_pair())
    return app.test_client()


@pytest.mark.parametrize("page", ["/jobs/", f"/jobs/{JOB_ID}", "/workers/", "/managers/", "/activity/"])
def test_every_page_opens(web: FlaskClient, page: str) -> None:
    answer = web.get(page)
    assert answer.status_code == 200 and b"brender" in answer.data


def test_the_first_page_is_the_jobs(web: FlaskClient) -> None:
    assert web.get("/").location == "/jobs/"


def test_pages_take_everything_from_the_package_and_run_no_inline_script(web: FlaskClient) -> None:
    page = web.get("/jobs/").text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert not re.findall(r"<script(?![^>]*\bsrc=)", page)
    assert "default-src 'self'" in web.get("/jobs/").headers["Content-Security-Policy"]
    for source in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert web.get(source).status_code == 200, source


def test_a_hostile_job_name_is_only_text(web: FlaskClient) -> None:
    assert EVIL not in web.get(f"/jobs/{JOB_ID}").text
    assert "&lt;script&gt;" in web.get(f"/jobs/{JOB_ID}").text


def test_the_api_gives_only_what_changed_since(web: FlaskClient) -> None:
    everything = web.get(f"/api/jobs/{JOB_ID}").json
    assert [part["frame"] for part in everything["parts"]] == [1, 2, 3]
    assert web.get(f"/api/jobs/{JOB_ID}?since={everything['change']}").json["parts"] == []


@pytest.mark.parametrize(
    "path",
    ["/api/jobs/zzz", "/jobs/zzz", "/nonsense", "/api/nonsense", f"/jobs/{JOB_ID}/thumbnails/1", f"/jobs/{JOB_ID}/frames/2"],
)
def test_what_is_not_there_is_said_so(web: FlaskClient, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404 and "Traceback" not in answer.text


def test_a_frame_is_shown_as_it_was_rendered(web: FlaskClient, output: Path) -> None:
    (output / "x_0001.png").write_bytes(b"\x89PNG")
    assert web.get(f"/jobs/{JOB_ID}/frames/1").data == b"\x89PNG"


def test_no_file_outside_the_output_folder_is_shown(web: FlaskClient) -> None:
    assert web.get(f"/jobs/{JOB_ID}/frames/3").status_code == 404


def test_a_data_folder_named_from_here_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert DataFolder(Path("farm")).thumbnail("b" * 16, 1).is_relative_to(tmp_path)


def test_a_thumbnail_is_shown(web: FlaskClient, folder: DataFolder) -> None:
    path = folder.thumbnail("b" * 16, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"jpeg")
    assert web.get(f"/jobs/{JOB_ID}/thumbnails/1").data == b"jpeg"


OURS = {"X-Brender": "1"}


def test_a_change_from_another_sites_page_is_refused(web: FlaskClient) -> None:
    assert web.post(f"/api/jobs/{JOB_ID}/cancel").status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8888", "192.0.2.1"])
def test_another_host_name_is_refused(web: FlaskClient, host: str) -> None:
    assert web.get("/api/jobs", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8888", "127.0.0.1", "brender-dashboard:8888", "[::1]:8888"])
def test_the_dashboards_own_names_are_not(web: FlaskClient, host: str) -> None:
    assert web.get("/api/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("explode", None, 404),
        ("priority", "[1]", 400),
        ("priority", '{"value": [1]}', 400),
        ("priority", '{"value": true}', 400),
        ("priority", "{", 400),
    ],
)
def test_an_action_that_makes_no_sense_is_refused(web: FlaskClient, path: str, body: str | None, status: int) -> None:
    answer = web.post(f"/api/jobs/{JOB_ID}/{path}", data=body, headers=OURS)
    assert (answer.status_code, set(answer.json)) == (status, {"error", "code"})


def test_a_worker_takes_no_unknown_action(web: FlaskClient) -> None:
    answer = web.post("/api/nodes/w/explode", headers=OURS)
    assert answer.status_code == 404 and "drain, disable, enable" in answer.json["error"]


def test_an_action_while_the_server_is_away_says_so(web: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.api._ACTION_SECONDS", 0.3)
    answer = web.post(f"/api/jobs/{JOB_ID}/pause", headers=OURS)
    assert answer.status_code == 503 and "did not answer" in answer.json["error"]


def test_before_there_is_a_farm_the_page_says_how_to_start_one(tmp_path: Path) -> None:
    web = create_app(
        DataFolder(tmp_path), ServerAddresses.of(Address("127.0.0.1", 9), new_pair().public), new_pair()
    ).test_client()
    assert "start the server first" in web.get("/api/jobs").json["error"]


@pytest.fixture
def page(browser_path: str) -> Iterator[Page]:
    """A page in a real Chromium; whatever goes wrong in it fails the test."""
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=flags)
        made = browser.new_page()
        made.on("pageerror", lambda error: problems.append(str(error)))
        made.on("console", lambda message: problems.append(message.text) if "Security" in message.text else None)
        yield made
        browser.close()
    assert not problems


@pytest.mark.browser
@pytest.mark.blender
def test_the_job_page_shows_the_frames_as_they_come(page: Page, folder: DataFolder, tmp_path: Path) -> None:
    blender = find_blender("bpy")
    with (
        LocalFarm(FarmPlan(folder=folder, workers=2, any_ports=True, blenders=[blender.path])) as farm,
        client(None, folder.root) as connection,
    ):
        spec = blender_job(
            SCENES / "03_animated_cube.blend",
            {**NOTHING, "frames": "1-6", "resolution": 10, "samples": 1, "output": tmp_path / "out", "trusted": False},
        )
        connection.submit(spec)
        page.goto(farm.dashboard_url)
        page.get_by_role("link", name="03_animated_cube").click()
        expect(page.locator(".cell.completed")).to_have_count(6, timeout=60_000)
        expect(page.locator("#status")).to_have_text("completed")
        expect(page.locator("#count")).to_have_text("6 of 6 frames")
        expect(page.locator("#warnings")).to_contain_text("field.hdr")
        picture = page.locator(".cell").nth(2).locator("img")
        expect(picture).to_have_js_property("naturalWidth", 192, timeout=20_000)
        page.locator(".cell").nth(2).click()
        expect(page.locator("#frame-title")).to_have_text("Frame 3")
        expect(page.locator("#log")).to_contain_text("frame 3 in", timeout=20_000)
        page.locator("#frame-requeue").click()
        expect(page.locator("#count")).to_have_text("5 of 6 frames")
        expect(page.locator("#count")).to_have_text("6 of 6 frames", timeout=30_000)
        page.get_by_role("link", name="Workers").click()
        expect(page.locator("#workers tbody tr")).to_have_count(2)


@pytest.mark.browser
def test_a_job_is_paused_and_canceled_from_its_page(page: Page, farm: LocalFarm) -> None:
    with client(None, farm.folder.root) as connection:
        job = submit_command(connection, "sleep", "0.3", frames="1-100", name=f"slow {EVIL}")
        page.goto(f"{farm.dashboard_url}jobs/{job}")
        expect(page.locator("#status")).to_have_text("active", timeout=20_000)
        expect(page.locator("h1")).to_have_text(f"slow {EVIL}")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#status")).to_have_text("paused")
        page.locator("#priority").fill("77")
        page.get_by_role("button", name="Set").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#status")).to_have_text("canceled")
        record = ended(connection, job)
        assert (record["status"], record["priority"], record["reason"]) == ("canceled", 77, "canceled by dashboard")
        page.get_by_role("link", name="Activity").click()
        expect(page.locator("#activity tbody")).to_contain_text("priority set to 77")
        expect(page.locator("#activity tbody tr", has_text="priority set to 77")).to_contain_text("127.0.0.1")


@pytest.mark.browser
def test_a_worker_that_is_kept_off_a_job_is_shown_and_readmitted(page: Page, farm: LocalFarm) -> None:
    # A command runs in a folder of its worker's, so that it can tell where it is.
    fails_at_one = "import os, sys, time; time.sleep(0.2); sys.exit('worker-1' in os.getcwd())"
    with client(None, farm.folder.root) as connection:
        until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) == 2)
        job = submit_command(connection, sys.executable, "-S", "-c", fails_at_one, frames="1-200")
        page.goto(f"{farm.dashboard_url}jobs/{job}")
        expect(page.locator("#warnings")).to_contain_text("worker-1 is kept off this job after 3 failures", timeout=30_000)
        page.get_by_role("button", name="Readmit").click()
        until(lambda: any(row["action"] == "readmit" for row in connection.ask("activity", job=job)))
        connection.act("cancel", job)


@pytest.mark.browser
def test_a_worker_is_disabled_and_enabled_from_the_page(page: Page, farm: LocalFarm) -> None:
    page.goto(f"{farm.dashboard_url}workers/")
    line = page.locator("#workers tbody tr").filter(has_text="worker-1")
    line.get_by_role("button", name="Disable").click()
    expect(line.locator(".badge")).to_have_text("disabled", timeout=20_000)
    line.get_by_role("button", name="Enable").click()
    expect(line.locator(".badge")).to_have_text("idle", timeout=20_000)


@pytest.mark.browser
def test_every_page_says_that_the_server_cannot_record_anything(page: Page, farm: LocalFarm) -> None:
    farm.folder.tell_trouble("The server cannot write its database (database or disk is full)")
    page.goto(f"{farm.dashboard_url}workers/")
    expect(page.locator("#trouble")).to_contain_text("disk is full")
    farm.folder.tell_trouble("")
    expect(page.locator("#trouble")).to_be_hidden(timeout=20_000)
