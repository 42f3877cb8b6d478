"""The dashboard in a real Chromium, on a real farm: the whole way of an admin, what a viewer may not, and what everybody can
read."""

import base64
import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.sharing import Sharing
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from tests.conftest import SCENES, find_blender
from tests.rows import new, put
from tests.test_store import JOB
from tests.tools import ended, pid_of, submit_command, until
from tests.web import PASSWORD, add_user, make_users, serve_in_process, served, sign_in, sign_in_as

pytestmark = pytest.mark.browser
# These machines are shared, and slow now and then.
expect.set_options(timeout=15_000)
WITH_DASHBOARD = True
WCAG_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
JOB_ID = "a" * 16
EVIL = "<script>alert(1)</script>"


@pytest.mark.blender
def test_the_whole_way_from_the_first_admin_to_a_disabled_worker(page: Page, folder: DataFolder) -> None:
    blender = find_blender("bpy")
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True, blenders=[blender.path])) as farm:
        page.goto(farm.link())
        page.get_by_label("Name").fill("boss")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("The same again").fill(PASSWORD)
        page.get_by_role("button", name="Make the admin").click()
        expect(page.get_by_role("heading", name="Farm", exact=True)).to_be_visible()
        assert farm.link() == farm.dashboard_url, "the link was good once"

        # Submit by upload: with what the scene needs it renders as it should.
        page.get_by_role("link", name="Submit a job", exact=True).click()
        drop(page, SCENES / "03_animated_cube.blend")
        expect(page.locator("#preview")).to_have_js_property("naturalWidth", 128)
        expect(page.locator("#facts")).to_contain_text("Cycles, 128 samples, 1920×1080 at 50 %, PNG")
        expect(page.locator("#missing")).to_contain_text("2 files are missing")
        expect(page.locator("#missing")).to_contain_text("//../environments/field.hdr")
        # What it looks for above its own folder may lie anywhere; what fits nothing is said beside the button.
        page.locator("#find-files").set_input_files(SCENES / "01_alpha_blend.png")
        expect(page.locator("#missing")).to_contain_text("01_alpha_blend.png has the name of no missing file")
        page.locator("#find-files").set_input_files(SCENES.parent / "pbr_node" / "glTF2.blend")
        expect(page.locator("#missing")).to_contain_text("1 file is missing")
        expect(page.locator("#find-why")).to_be_hidden()
        expect(page.locator("#field-frames")).to_have_attribute("placeholder", "0-120")
        page.locator("#field-frames").fill("1-6")
        expect(page.locator("#comes-to")).to_contain_text("6 frames")
        page.locator("summary").filter(has_text="Picture").click()
        page.locator("#field-resolution").fill("10")
        page.locator("#field-samples").fill("1")
        expect(page.locator("#go-why")).to_contain_text("1 file is missing: find it, or choose Render without")
        expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()
        page.locator("#missing").get_by_role("button", name="Render without").click()
        page.get_by_role("button", name="Test frame 1").click()
        expect(page.locator("#test img")).to_have_js_property("naturalWidth", 192, timeout=60_000)
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_role("button", name="Submit another")).to_be_enabled()
        expect(page.locator("#go-why")).to_have_text("03_animated_cube is submitted")
        page.locator("#done").get_by_role("link", name="03_animated_cube").click()

        # Its frames appear without a reload; the newest is the poster.
        expect(page.locator(".cell.completed")).to_have_count(6, timeout=60_000)
        expect(page.locator("#status")).to_have_text("completed")
        expect(page.locator("#count")).to_have_text("6 of 6 frames")
        expect(page.locator("#flip")).to_have_js_property("naturalWidth", 192, timeout=20_000)
        expect(page.locator(".cell").nth(2).locator("img")).to_have_js_property("naturalWidth", 192, timeout=20_000)
        page.locator(".cell").nth(2).click()
        expect(page.locator("#frame-title")).to_have_text("Frame 3")
        expect(page.locator("#frame-facts")).to_contain_text("CPU")
        expect(page.locator("#log")).to_contain_text("frame 3 in", timeout=20_000)
        page.get_by_role("button", name="Large").click()
        expect(page.locator("#large-picture")).to_have_js_property("naturalWidth", 192)
        page.locator("#large").get_by_role("button", name="Close").click()

        # The strip is the scrubber, and the player plays what is there.
        strip = page.get_by_role("slider", name="Frame")
        strip.click(position={"x": 2, "y": 20})
        expect(strip).to_have_attribute("aria-valuetext", "Frame 1, completed")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#frame-title")).to_have_text("Frame 2")
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#at")).not_to_have_value("2")
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("tab", name="Times and memory").click()
        expect(page.locator("#plots circle")).to_have_count(12)
        page.get_by_role("tab", name="Settings").click()
        expect(page.locator("#settings")).to_contain_text("Resolution")

        # A frame, and several, are queued again from the strip.
        page.locator("#at").fill("4")
        page.keyboard.press("Enter")
        expect(page.locator("#frame-title")).to_have_text("Frame 4")
        page.locator("#frame-requeue").click()
        expect(page.locator("#attempts button")).to_have_count(2, timeout=30_000)
        expect(page.locator("#count")).to_have_text("6 of 6 frames", timeout=30_000)
        page.keyboard.press("Shift+ArrowRight")
        expect(page.locator("#requeue-selected")).to_have_text("Requeue 2 frames")
        with page.expect_download() as downloaded:
            page.get_by_role("button", name="Download").click()
            page.get_by_role("link", name="All frames (zip)").click()
        assert downloaded.value.suggested_filename == "03_animated_cube.zip"

        with client(None, folder.root) as connection:
            submit_command(connection, "sleep", "0.3", frames="1-200", name="slow")
            page.get_by_role("link", name="Jobs").click()
            page.get_by_role("link", name="slow").click()
            expect(page.locator("#status")).to_have_text("rendering", timeout=20_000)
            page.get_by_role("button", name="More actions").click()
            page.get_by_role("button", name="Cancel").click()
            expect(page.locator("#status")).to_have_text("canceled")

        page.locator("a.page[href='/workers/']").click()
        line = page.locator("#workers tbody tr").filter(has_text="worker-1")
        line.get_by_role("button", name="Disable").click()
        expect(line.locator(".badge:visible")).to_have_text("disabled", timeout=20_000)
        line.get_by_role("button", name="Enable").click()
        expect(line.locator(".badge:visible")).to_have_text("idle", timeout=20_000)
        page.get_by_role("link", name="Activity").click()
        expect(page.locator("#activity tbody")).to_contain_text("canceled")
        expect(page.locator("#activity tbody tr").first).to_contain_text("boss")


def drop(page: Page, file: Path) -> None:
    """Drop *file* on the submit page, once it takes files."""
    expect(page.locator("#drop:not([inert])")).to_be_visible()
    carried = page.evaluate_handle(
        """([name, content]) => {
            const carried = new DataTransfer();
            carried.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name));
            return carried;
        }""",
        [file.name, base64.b64encode(file.read_bytes()).decode()],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": carried})


def test_a_viewer_sees_the_work_and_has_nothing_to_change_it_with(page: Page, module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        job = submit_command(connection, "sleep", "0.2", frames="1-100", name=f"slow {EVIL}")
        hostile = submit_command(connection, "echo", "<img src=x onerror=alert(1)>", name="hostile")
        add_user(module_farm, "boss", "admin")
        sign_in(page, module_farm, "vera", "viewer")
        until(lambda: "onerror" in connection.ask("log", job=hostile)["text"] if ended(connection, hostile) else False)
        page.goto(f"{module_farm.dashboard_url}jobs/{hostile}")
        expect(page.locator("#log")).to_contain_text("<img src=x onerror=alert(1)>")
        expect(page.locator("#log img")).to_have_count(0)
        page.goto(f"{module_farm.dashboard_url}jobs/{job}")
        expect(page.locator("h1")).to_have_text(f"slow {EVIL}")
        expect(page.locator("#status")).to_have_text("rendering", timeout=20_000)
        expect(page.locator("[data-action]")).to_have_count(0)
        expect(page.get_by_role("link", name="Submit a job", exact=True)).to_have_count(0)
        token = page.locator("meta[name=csrf-token]").get_attribute("content")
        answer = page.request.post(
            f"{module_farm.dashboard_url}api/v1/jobs/{job}/actions/cancel", data={}, headers={"X-CSRFToken": token or ""}
        )
        assert answer.status == 403 and "viewer may not cancel jobs" in answer.text()
        page.goto(f"{module_farm.dashboard_url}workers/")
        expect(page.locator("#workers tbody tr")).to_have_count(2)
        expect(page.get_by_role("button", name="Disable")).to_have_count(0)
        connection.act("cancel", job)


def test_a_job_is_paused_canceled_and_deleted_from_its_page(page: Page, module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        rush = Sharing(rush=True, most_workers=7)
        job = submit_command(connection, "sleep", "0.3", frames="1-90", name="slow", sharing=rush)
        sign_in(page, module_farm)
        page.goto(f"{module_farm.dashboard_url}jobs/{job}")
        expect(page.locator("#status")).to_have_text("rendering", timeout=20_000)
        expect(page.locator("#left")).to_have_text(re.compile(r"^About (\d+ min)? ?(\d+ s)? left$"), timeout=20_000)
        expect(page.locator("#until")).to_have_text(re.compile(r"^done about (tomorrow )?\d\d:\d\d$"))
        beyond = "farm.expected({ eta_seconds: null, eta_least: 3600, eta_precision: null })"
        assert page.evaluate(beyond).startswith("not before "), "where the forecast ends early"
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#status")).to_have_text("paused")
        page.get_by_role("button", name="More actions").click()
        page.locator("#priority").fill("77")
        page.get_by_role("button", name="Set").click()
        expect(page.locator("#priority")).to_be_hidden()
        page.get_by_role("button", name="More actions").click()
        page.locator("#edit-name").fill("slower")
        connection.act("edit", job, {"settings": {"frames": "1-100"}})
        expect(page.locator("#revisions")).to_contain_text("frames 1-90 → 1-100")
        expect(page.locator("#edit-name"), "what is being typed is not lost to somebody else's edit").to_have_value("slower")
        page.locator("#edit-name").fill("slow")
        page.keyboard.press("Escape")
        expect(page.locator("#edit-frames"), "the page has the job's frames as they are now").to_have_value("1-100")
        page.get_by_role("button", name="More actions").click()
        page.locator("#edit-name").fill("slower")
        page.locator("#edit-frames").fill("1-101")
        page.get_by_role("button", name="Change this job").click()
        expect(page.locator("#revisions")).to_contain_text("name slow → slower, frames 1-100 → 1-101")
        assert connection.ask("job", id=job)["part_count"] == 101
        page.get_by_role("button", name="More actions").click()
        page.get_by_role("link", name="Submit again…").click()
        expect(page.get_by_role("heading", name="Submit slower again")).to_be_visible()
        expect(page.get_by_role("button", name="77")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#field-frames")).to_have_value("1-101")
        page.locator("#field-frames").fill("5-6")
        connection.manage("set-pool", name="default", pool="film")
        page.get_by_role("button", name="Submit", exact=True).click()
        made = page.locator("#done a").get_attribute("href") or ""
        again, first = (connection.ask("job", id=each) for each in (made.rsplit("/", 1)[-1], job))
        first["settings"].pop("numbered")
        assert again["settings"] == first["settings"] | {"frames": "5-6"}
        assert again["priority"] == 77
        assert again["sharing"] == first["sharing"] == msgspec.to_builtins(rush), "nor does it join the pool of its project"
        connection.manage("set-pool", name="default", pool="")
        pooled = first | {"sharing": {"pool": "film", "reclaim_at_once": True}}
        inputs = page.evaluate("(record) => submitAgain(record, { settings: [] }).inputs", pooled)
        assert {"job-pool": "film", "job-reclaim": "1", "job-rush": ""}.items() <= dict(inputs).items()
        connection.act("cancel", again["id"])
        page.goto(f"{module_farm.dashboard_url}jobs/{job}")
        page.get_by_role("button", name="More actions").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#status")).to_have_text("canceled")
        record = ended(connection, job)
        assert (record["status"], record["priority"], record["reason"]) == ("canceled", 77, "canceled by boss")
        page.get_by_role("button", name="More actions").click()
        expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()
        page.on("dialog", lambda dialog: dialog.accept())
        assert page.evaluate("[0, 0.042, 4.2, 42].map(farm.span)") == ["0 s", "0.04 s", "4.2 s", "42 s"]
        page.get_by_role("button", name="Delete…").click()
        page.wait_for_url(f"{module_farm.dashboard_url}jobs/**")
        expect(page.locator("#toasts")).to_contain_text("slower is deleted")


def test_jobs_are_found_selected_and_changed_together(page: Page, module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        jobs = [submit_command(connection, "sleep", "60", name=f"long {number}") for number in range(3)]
        submit_command(connection, "true", name="other")
        sign_in(page, module_farm)
        page.keyboard.press("/")
        page.keyboard.type("long")
        page.keyboard.press("Enter")
        expect(page.locator("#jobs tbody tr")).to_have_count(3)
        assert "q=long" in page.url
        page.get_by_label("Select long 0").check()
        page.get_by_label("Select long 2").check()
        page.get_by_role("button", name="Cancel").click()
        until(lambda: [connection.ask("job", id=job)["status"] == "canceled" for job in jobs] == [True, False, True])
        page.get_by_label("Status", exact=True).select_option("canceled")
        expect(page.locator("#jobs tbody tr")).to_have_count(2)
        page.reload()
        expect(page.locator("#jobs tbody tr")).to_have_count(2)
        connection.act("cancel", jobs[1])


def test_a_worker_that_is_kept_off_a_job_is_shown_and_readmitted(page: Page, module_farm: LocalFarm) -> None:
    # A command runs in a folder of its worker's, so that it can tell where it is.
    fails_at_one = "import os, sys, time; time.sleep(0.2); sys.exit('worker-1' in os.getcwd())"
    with client(None, module_farm.folder.root) as connection:
        until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) == 2)
        job = submit_command(connection, sys.executable, "-S", "-c", fails_at_one, frames="1-200")
        sign_in(page, module_farm)
        expect(page.locator("#attention")).to_contain_text("worker-1 is kept off it after 3 failures", timeout=30_000)
        page.goto(f"{module_farm.dashboard_url}jobs/{job}")
        page.get_by_role("button", name="Readmit").click()
        until(lambda: any(row["action"] == "readmit" for row in connection.ask("activity", job=job)))
        connection.act("cancel", job)


def test_a_worker_is_described_and_tells_its_log_on_its_page(page: Page, module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        until(lambda: len(connection.ask("workers")) == 2)
        sign_in(page, module_farm)
        page.locator("a.page[href='/workers/']").click()
        page.get_by_role("link", name="worker-1").click()
        page.get_by_label("Further tags").fill("night")
        page.get_by_label("Note").fill("noisy fan")
        page.get_by_label("Sleeps").fill("never")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#problem")).to_contain_text("not a span of a schedule")
        page.get_by_label("Sleeps").fill("sun 03:00-03:01")
        page.get_by_role("button", name="Save").click()
        until(lambda: [row["schedule"] for row in connection.ask("workers") if row["name"] == "worker-1"] == ["sun 03:00-03:01"])
        (row,) = (row for row in connection.ask("workers") if row["name"] == "worker-1")
        assert (row["extra_tags"], row["note"]) == (["night"], "noisy fan")
        expect(page.locator("#log")).to_have_text("(nobody has asked for it yet)")
        page.get_by_role("button", name="Ask for it").click()
        expect(page.locator("#log")).not_to_have_text("(nobody has asked for it yet)")
        expect(page.locator("#problem")).to_be_hidden()


def test_every_page_says_that_the_server_cannot_record_anything(page: Page, module_farm: LocalFarm) -> None:
    sign_in(page, module_farm)
    module_farm.folder.tell_trouble("The server cannot write its database (database or disk is full)")
    page.goto(f"{module_farm.dashboard_url}workers/")
    expect(page.locator("#trouble")).to_contain_text("disk is full")
    module_farm.folder.tell_trouble("")
    expect(page.locator("#trouble")).to_be_hidden(timeout=20_000)


def every_page(farm: LocalFarm) -> tuple[str, ...]:
    """The paths of all kinds of pages, on a *farm* that has rendered a part of a job."""
    with client(None, farm.folder.root) as connection:
        job = submit_command(connection, "sleep", "0.1", frames="1-30", name="work")
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2)
        worker, manager = connection.ask("workers")[0]["id"], connection.ask("managers")[0]["id"]
    jobs, nodes = ("jobs/", f"jobs/{job}", "submit"), ("workers/", f"workers/{worker}", "managers/", f"managers/{manager}")
    return ("", *jobs, *nodes, "projects/", "activity/", "users/", "settings/", "account")


@pytest.mark.thorough
def test_everybody_can_read_and_use_every_page_in_light_and_in_dark(page: Page, module_farm: LocalFarm) -> None:
    """axe-core finds nothing against WCAG 2.1 AA."""
    pages, found = every_page(module_farm), []
    sign_in(page, module_farm)
    for path in pages:
        page.goto(module_farm.dashboard_url + path)
        page.wait_for_load_state("load")
        expect(page.locator("h1")).to_be_visible()
        if path.startswith("jobs/") and path != "jobs/":
            page.locator(".cell.completed").first.click()
            expect(page.locator("#frame-facts")).to_contain_text("completed")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_timeout(300)  # (colors change by and by)
            told = Axe().run(page, options={"resultTypes": ["violations"], "runOnly": WCAG_AA}).response["violations"]
            found += [f"{path or 'farm'} in {scheme}: {each['id']}: {each['nodes'][0]['html'][:120]}" for each in told]
    assert not found, "\n".join(found)


def test_no_page_is_wider_than_a_phone(page: Page, module_farm: LocalFarm) -> None:
    pages = every_page(module_farm)
    sign_in(page, module_farm)
    page.set_viewport_size({"width": 390, "height": 800})
    for path in pages:
        page.goto(module_farm.dashboard_url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 391, f"{path} is {wide} pixels wide on a phone"


def test_a_project_s_folder_is_looked_through_on_the_submit_page(page: Page, module_farm: LocalFarm, tmp_path: Path) -> None:
    (tmp_path / "film" / "shots").mkdir(parents=True)
    (tmp_path / "film" / "shots" / "cube.blend").write_bytes((SCENES / "03_animated_cube.blend").read_bytes())
    with client(None, module_farm.folder.root) as connection:
        connection.manage("set-project", name="film", root=str(tmp_path / "film"))
    sign_in(page, module_farm)
    page.goto(f"{module_farm.dashboard_url}submit")
    page.get_by_text("or pick one of a project's folder").click()
    page.get_by_label("Project").first.select_option("film")
    page.get_by_role("button", name="shots/").click()
    page.get_by_role("button", name=re.compile("cube.blend")).click()
    expect(page.locator("#file-line")).to_contain_text("saved by Blender 2.78")
    expect(page.locator("#job-project")).to_have_value("film")
    page.get_by_label("Preset").select_option("720p")
    expect(page.locator("#field-resolution")).to_have_value("67")


def test_a_preset_is_offered_for_the_job_types_that_it_fits(page: Page, module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        connection.manage("set-preset", name="listing", job_type="command", settings={"program": "ls"})
        connection.manage("set-preset", name="half", job_type="blender-animation", settings={"resolution": 50})
    sign_in(page, module_farm)
    page.goto(f"{module_farm.dashboard_url}submit")
    offered = page.locator("#preset option")
    expect(offered).to_have_text(["or a preset…", "1080p", "720p", "half"])
    page.locator("#type").select_option("blender-still")
    expect(offered).to_have_text(["or a preset…", "1080p", "720p", "half"])
    page.locator("#type").select_option("command")
    expect(offered).to_have_text(["or a preset…", "listing"])
    page.get_by_label("Preset").select_option("listing")
    expect(page.locator("#field-program")).to_have_value("ls")


def test_the_submit_page_says_which_upload_does_not_fit_and_removes_uploads(
    page: Page, folder: DataFolder, tmp_path: Path
) -> None:
    make_users(folder)
    with served(folder, upload_quota=10**6) as dashboard:
        page.goto(f"{dashboard.url}login?next=/submit")
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#go-why")).to_have_text("Drop a .blend first, or choose one.")
        (tmp_path / "large.blend").write_bytes(b"x" * 2 * 10**6)
        page.locator("#files").set_input_files(tmp_path / "large.blend")
        expect(page.locator("#problem")).to_contain_text("one user may upload 1.0 MB a day")
        (tmp_path / "small.blend").write_bytes(b"x" * 1000)
        page.locator("#files").set_input_files(tmp_path / "small.blend")
        expect(page.locator("#uploaded")).to_contain_text("of your uploads are kept here, for a day")
        expect(page.locator("#go-why")).to_have_text("small.blend is not a .blend file")
        expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()
        page.get_by_role("button", name="Remove them").click()
        expect(page.locator("#go-why")).to_have_text("Drop a .blend first, or choose one.")
        expect(page.locator("#uploaded")).to_be_hidden()
    assert not list((folder.root / "uploads").iterdir())


def test_the_submit_page_keeps_its_button_in_sight_and_asks_before_a_chosen_file_is_lost(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    page.set_viewport_size({"width": 1280, "height": 600})
    with served(folder) as dashboard:
        sign_in_as(page, dashboard.url, "anna", "submit")
        page.on("dialog", lambda dialog: dialog.dismiss())
        expect(page.get_by_role("link", name="Submit", exact=True)).to_have_count(0)
        drop(page, SCENES / "03_animated_cube.blend")
        expect(page.locator("#file-line")).to_contain_text("saved by Blender 2.78")
        expect(page.get_by_role("button", name="Submit", exact=True)).to_be_in_viewport(ratio=1)
        expect(page.locator("#go-why")).to_be_in_viewport(ratio=1)
        with page.expect_event("dialog", lambda dialog: dialog.type == "beforeunload"):
            page.get_by_role("link", name="Submit a job").click()
        expect(page.locator("#file-line")).to_be_visible()


def test_a_job_has_the_same_color_in_the_lanes_at_each_visit_and_the_legend_names_it(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    now, other = time.time(), "b" * 16
    of = {"task": 1, "worker": "w", "manager": "m", "granted": now - 900, "started": now - 900, "outcome": "completed"}
    first = new("attempt", "one", {**of, "job": JOB_ID, "finished": now - 300})
    later = new("attempt", "other", {**of, "job": other, "task": 2, "started": now - 200, "finished": now - 60})
    with served(folder) as dashboard, contextlib.closing(open_for_writing(str(folder.database))) as database:
        node = {"name": "render-01", "incarnation": 1, "last_seen": now}
        manager = new("manager", "m", node | {"status": "online"})
        worker = new("worker", "w", node | {"manager": "m", "status": "idle"})
        jobs = [new("job", id, JOB | {"name": name}) for id, name in ((JOB_ID, "sh_020"), (other, "sh_030"))]
        tasks = [new("task", number, {"job": id, "number": 0, "status": "active"}) for number, id in ((1, JOB_ID), (2, other))]
        writer = Writer(database)
        writer.commit([put("project", "default", {}), manager, worker, *jobs, *tasks, first])
        sign_in_as(page, dashboard.url, "anna")
        color = "item => getComputedStyle(item.querySelector('i')).backgroundColor"
        before = page.locator("#legend li").filter(has_text="sh_020").evaluate(color)
        writer.commit([later])
        page.reload()
        expect(page.locator("#legend")).to_contain_text("sh_030")
        assert page.locator("#legend li").filter(has_text="sh_020").evaluate(color) == before


def test_a_page_that_hears_nothing_shows_its_state_as_of_then_and_says_so_in_one_box(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    with contextlib.closing(open_for_writing(str(folder.database))) as database:
        missing = [f"Missing file: /tex/{name}.png (used by image {name}); what needs it renders without it" for name in "ab"]
        now = {"status": "active", "completed_parts": 1, "warnings": missing}
        rows = [put("project", "default", {}), new("job", JOB_ID, JOB | now)]
        Writer(database).commit(rows)
    with served(folder) as dashboard:  # (no server runs)
        page.goto(f"{dashboard.url}login?next=/jobs/{JOB_ID}")
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#until")).to_contain_text("as of ")
        expect(page.locator("#left")).to_contain_text(" %")
        expect(page.locator("#who")).to_have_text("")
        expect(page.locator("#warnings > *")).to_have_count(1)
        expect(page.locator("#warnings summary")).to_have_text("2 files are missing")
        page.route("**/api/v1/**", lambda route: route.abort())
        expect(page.locator("#trouble")).to_contain_text(
            "The dashboard does not answer. Is it still running? What is shown is as of "
        )
        expect(page.locator("[role=alert]:visible")).to_have_count(1)


@pytest.mark.thorough
def test_every_page_says_within_5_seconds_that_the_server_is_silent_and_that_it_is_back(page: Page, farm: LocalFarm) -> None:
    with client(None, farm.folder.root) as connection:
        job = submit_command(connection, "sleep", "0.2", frames="1-4", name="work")
        until(lambda: connection.ask("job", id=job)["status"] == "completed")
        until(lambda: all(each["status"] == "idle" for each in connection.ask("workers")))
    sign_in(page, farm)
    lane = page.locator(".lane").filter(has_text="worker-1")
    expect(page.locator("#figures")).to_contain_text("0 of 2 workers rendering")
    expect(page.locator("#figures")).to_contain_text("4 frames this hour")
    expect(lane.locator("button")).to_have_text("idle")
    expect(page.get_by_role("img", name=re.compile(r"worker-\d: [1-4] tasks?$")).first).to_be_visible()
    with client(None, farm.folder.root) as connection:
        (other,) = (each["id"] for each in connection.ask("workers") if each["name"] == "worker-2")
        connection.act("schedule", other, value="mon-sun 00:00-23:59")
        page.get_by_role("button", name="worker-2: paused. Say why").press("Enter")
        expect(page.locator(".lane-why")).to_have_text("it sleeps until 23:59")
        connection.act("schedule", other, value="")
        expect(page.locator(".lane").filter(has_text="worker-2").locator("button")).to_have_text("idle")

    os.kill(pid_of(farm, "server"), signal.SIGKILL)
    expect(page.locator("#trouble")).to_contain_text("Server silent for", timeout=5000)
    expect(page.locator("#trouble")).to_contain_text("renders go on, nothing new starts")
    expect(lane.locator("button")).to_have_text("unknown")
    expect(page.locator("#figures")).to_contain_text("of 2 workers as of ")
    page.goto(f"{farm.dashboard_url}workers/")
    expect(page.locator("#trouble")).to_contain_text("Server silent for", timeout=5000)
    expect(page.locator(".badge.unknown:visible")).to_have_count(2)
    expect(page.locator(".badge.idle:visible")).to_have_count(0)
    about = page.evaluate("fetch('/api/v1/about').then((answer) => answer.json())")
    assert about["silent_seconds"] > 3 and "Server silent for" in about["trouble"]

    until(lambda: farm.check() or (page.wait_for_timeout(300), page.locator("#trouble").is_hidden())[1])
    expect(page.locator(".badge.idle:visible")).to_have_count(2)


def test_chosen_files_go_to_the_place_whose_path_ends_as_theirs(page: Page) -> None:
    page.add_script_tag(path=Path(__file__).parent.parent / "dashboard" / "static" / "findfiles.js")

    def find(*chosen: str, places: tuple[str, ...] = ("a/wood.png", "b/wood.png", "sky.hdr")) -> tuple[object, ...]:
        told = page.evaluate(
            "([c, p]) => { const t = findFiles(c, p); return [[...t.found], t.unclear.map((u) => u.path), t.others]; }",
            [list(chosen), list(places)],
        )
        return dict(told[0]), told[1], told[2]

    both = {"tex/a/wood.png": "a/wood.png", "tex/b/wood.png": "b/wood.png"}
    assert find("tex/a/wood.png", "tex/b/wood.png", "tex/old/c.png") == (both, [], ["tex/old/c.png"])
    assert find("wood.png", "sky.hdr") == ({"sky.hdr": "sky.hdr"}, ["wood.png"], [])
    assert find("tex/a/wood.png", "old/wood.png", places=("a/wood.png",)) == (
        {"tex/a/wood.png": "a/wood.png"},
        [],
        ["old/wood.png"],
    )
    assert find("x/wood.png", "y/wood.png", places=("a/wood.png",)) == ({}, ["x/wood.png", "y/wood.png"], [])


def test_the_first_frame_of_a_job_tells_by_its_own_progress_how_long_it_takes(page: Page) -> None:
    page.add_script_tag(path=Path(__file__).parent.parent / "dashboard" / "static" / "firstframe.js")

    def said(seconds: float, fraction: float) -> str:
        return page.evaluate(
            "([s, f]) => { const t = firstFrame(s, f, (n) => `${Math.round(n)} s`); return t.title; }", [seconds, fraction]
        )

    assert (said(72, 0.2), said(60, 0), said(3, 0)) == ("First frame about 360 s", "Rendering for 60 s", "Starting")


@pytest.mark.thorough
def test_a_worker_that_is_gone_for_good_is_taken_off_the_list(
    page: Page, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_users(folder)
    node = {"incarnation": 1, "last_seen": 1.0, "status": "offline"}
    with contextlib.closing(open_for_writing(str(folder.database))) as database:
        rows = [put("manager", "m", node | {"name": "office"})]
        Writer(database).commit(
            [*rows, *(put("worker", name, node | {"name": name, "manager": "m"}) for name in ("old", "away"))]
        )
    serve_in_process(folder, monkeypatch)
    page.on("dialog", lambda dialog: dialog.accept())
    with served(folder) as dashboard:
        page.goto(f"{dashboard.url}login?next=/workers/old")
        page.get_by_label("Name").fill("walt")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Forget").click()
        expect(page.get_by_role("row").filter(has_text="away")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="old")).to_have_count(0)
        page.get_by_role("row").filter(has_text="away").get_by_role("button", name="Forget").click()
        expect(page.get_by_role("row").filter(has_text="away")).to_have_count(0)
