"""Takes the screenshots that README and docs show: a real farm renders the demo, a real Chromium looks at each page, light, dark
and on a phone.

python docs/take_screenshots.py [FOLDER [PAGE ...]]
"""

import argparse
import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import OpenImageIO as oiio
from playwright.sync_api import Page, sync_playwright
from werkzeug.security import generate_password_hash

from brender.api.jobspec import blender_job, command_job
from brender.bus.client import Client
from brender.commands.farm import make_demo
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.store.datafolder import DataFolder

#: A .blend that has a preview picture, and names files that are not there.
SCENE = Path(__file__).parent.parent / "tests" / "blends" / "gltf-blender-io" / "scenes" / "03_animated_cube.blend"
HERE = Path(__file__).parent / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
OPTIONS = dict.fromkeys(("chunk", "scene", "camera", "engine", "resolution", "samples", "format", "pattern", "name"))
PASSWORD = "only for the screenshots"
OUTPUT = Path("/tmp/renders/brender-demo")


#: Each look: what the page is seen on.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True, "is_mobile": True},
}


#: The pages that are seen first, while the farm is busy.
WHILE_RENDERING = ("farm", "jobs", "job")
#: Since when the farm seems to work: its tasks are shown as if they had taken so much longer, so that the lanes are full.
SEEMING_SECONDS = 3400.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path, nargs="?", default=HERE, metavar="FOLDER", help="where the pictures go")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="only these pages")
    given = parser.parse_args()
    into = given.into
    into.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = DataFolder(Path(temporary) / "data").make()
        file = make_demo(Path(temporary) / "brender-demo.blend", ())
        with LocalFarm(FarmPlan(folder=folder, workers=3, any_ports=True)) as farm, client(None, folder.root) as connection:
            jobs = fill(connection, file)
            stretch(folder)
            worker, manager = connection.ask("workers")[0]["id"], connection.ask("managers")[0]["id"]
            pages = {
                "farm": "",
                "jobs": "jobs/",
                "job": f"jobs/{jobs[-1]}",
                "compare": f"jobs/{jobs[-1]}",
                "plots": f"jobs/{jobs[-1]}",
                "submit": "submit",
                "workers": "workers/",
                "worker": f"workers/{worker}",
                "managers": "managers/",
                "manager": f"managers/{manager}",
                "projects": "projects/",
                "activity": "activity/",
                "users": "users/",
                "settings": "settings/",
                "account": "account",
            }
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                chosen = given.pages or list(pages)
                for is_busy in (True, False):
                    wanted = [name for name in chosen if (name in WHILE_RENDERING) is is_busy]
                    for look, how in LOOKS.items():
                        page = browser.new_page(**how)
                        sign_in(page, farm.dashboard_url)
                        for name in wanted:
                            page.goto(farm.dashboard_url + pages[name])
                            page.wait_for_timeout(1200)
                            show(page, name, jobs)
                            keep(page, into / f"{name}-{look}.webp")
                        page.close()
                browser.close()
            for row in connection.ask("jobs"):
                if row["finished"] is None:
                    connection.act("cancel", row["id"])
    shutil.rmtree(OUTPUT, ignore_errors=True)


def fill(connection: Client, file: Path) -> list[str]:
    """Have the farm work as on any evening; return the ids of the jobs that render *file*, the last one half done."""
    for name, role in (("anna", "admin"), ("walt", "wrangler"), ("vera", "viewer")):
        connection.manage("set-user", name=name, role=role, password=generate_password_hash(PASSWORD))
    connection.manage("set-path", name="projects", platform="linux", path="/mnt/projects")
    connection.manage("set-project", name="night-train", root="/mnt/projects/night-train", keep_days=30.0)
    jobs = []
    for name, samples, frames, count in (("train leaves v1", 1, "1-12", 12), ("train leaves v2", 4, "1-96", 24)):
        given = {**OPTIONS, "frames": frames, "samples": samples, "output": OUTPUT / name.replace(" ", "-"), "trusted": False}
        spec = msgspec.structs.replace(blender_job(file, given), name=name, user="anna", project="night-train")
        jobs.append(spec.id)
        connection.submit(spec)
        if len(jobs) == 1:
            failing = command_job(
                ("sh", "-c", "sleep 3; echo cannot open /mnt/projects/night-train/cache.abc >&2; exit 3"),
                {"frames": "1-2"},
                "simulate smoke",
            )
            connection.submit(msgspec.structs.replace(failing, user="walt", project="night-train"))
            baking = command_job(("sleep", "5"), {"frames": "1001-1240"}, "bake curtains")
            connection.submit(msgspec.structs.replace(baking, user="vera", project="night-train"))
        wait_until(lambda job=spec.id, count=count: connection.ask("job", id=job)["completed_parts"] >= count)  # type: ignore[misc]
    # (Else the jobs of this project take turns, and a picture may be taken while this one waits.)
    connection.act("priority", jobs[-1], value=60)
    gpu = command_job(("true",), {"frames": "1-24"}, "comp night train 030")
    connection.submit(msgspec.structs.replace(gpu, user="anna", project="night-train", tags=("gpu",)))
    return jobs


def stretch(folder: DataFolder) -> None:
    """Have what the farm did so far fill the lanes of its workers, as if it had worked for an hour."""
    with contextlib.closing(sqlite3.connect(folder.database, timeout=30)) as record, record:
        now = time.time()
        ((first,),) = record.execute("SELECT MIN(started) FROM attempt")
        moved = ", ".join(f"{name} = :now - (:now - {name}) * :factor" for name in ("granted", "started", "finished"))
        record.execute(f"UPDATE attempt SET {moved}", {"now": now, "factor": SEEMING_SECONDS / (now - first)})


def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.2)


def keep(page: Page, target: Path) -> None:
    """Keep a picture of *page* at *target*, in a format that takes a third of a PNG's room."""
    with tempfile.NamedTemporaryFile(suffix=".png") as taken:
        page.screenshot(path=taken.name)
        image = oiio.ImageBuf(taken.name)
        image.specmod().attribute("compression", "webp:90")
        if not image.write(str(target)):
            raise OSError(f"{target} is not written: {image.geterror()}")


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}login")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(url)


def show(page: Page, name: str, jobs: list[str]) -> None:
    """Have on *page* what its picture is to show."""
    if name == "job":
        page.locator(".cell.completed").nth(4).click()
        page.evaluate("window.scrollTo(0, 0)")
    if name == "compare":
        page.locator(".cell.completed").nth(8).click()
        page.evaluate("window.scrollTo(0, 0)")
        page.locator("#view summary").click()
        page.get_by_label("Compare with").select_option(jobs[0])
        page.locator("#view summary").click()
    if name == "plots":
        page.get_by_role("tab", name="Times and memory").click()
        page.locator("#pane-plots circle").first.wait_for()
        page.locator("#tab-plots").evaluate("tab => tab.scrollIntoView()")
    if name == "submit":
        page.locator("#files").set_input_files([SCENE])
        page.locator("#facts:not(:empty)").wait_for(timeout=120_000)
        page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    main()
