"""Takes the screenshots that README and docs show: a real farm renders the demo, a real Chromium looks at each page.

python docs/take_screenshots.py
"""

import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from werkzeug.security import generate_password_hash

from brender.commands.farm import make_demo
from brender.commands.jobspec import blender_job, command_job
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.store.datafolder import DataFolder

HERE = Path(__file__).parent / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
OPTIONS = dict.fromkeys(("chunk", "scene", "camera", "engine", "resolution", "samples", "format", "pattern", "name"))
PASSWORD = "only for the screenshots"
OUTPUT = Path("/tmp/renders/brender-demo")


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = DataFolder(Path(temporary) / "data").make()
        file = make_demo(Path(temporary) / "brender-demo.blend", ())
        with LocalFarm(FarmPlan(folder=folder, workers=2, any_ports=True)) as farm, client(None, folder.root) as connection:
            connection.manage("set-user", name="anna", role="admin", password=generate_password_hash(PASSWORD))
            connection.manage("set-user", name="walt", role="wrangler", password=generate_password_hash(PASSWORD))
            connection.manage("set-path", name="projects", platform="linux", path="/mnt/projects")
            connection.submit(command_job(("false",), "1-3", None, "a job that fails"))
            job = blender_job(file, {**OPTIONS, "frames": "1-24", "output": OUTPUT, "trusted": False})
            connection.submit(job)
            while connection.ask("job", id=job.id)["completed_parts"] < 11:
                time.sleep(0.2)
            worker = connection.ask("workers")[0]["id"]
            pages = {
                "farm": "",
                "jobs": "jobs/",
                "job": f"jobs/{job.id}",
                "plots": f"jobs/{job.id}",
                "submit": "submit",
                "workers": "workers/",
                "worker": f"workers/{worker}",
                "managers": "managers/",
                "projects": "projects/",
                "activity": "activity/",
                "users": "users/",
                "settings": "settings/",
                "account": "account",
            }
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                for scheme in ("light", "dark"):
                    page = browser.new_page(viewport={"width": 1360, "height": 860}, color_scheme=scheme)  # type: ignore[arg-type]
                    sign_in(page, farm.dashboard_url)
                    for name, path in pages.items():
                        page.goto(farm.dashboard_url + path)
                        page.wait_for_timeout(1500)
                        show(page, name, file)
                        page.screenshot(path=HERE / f"{name}-{scheme}.png")
                browser.close()
            if connection.ask("job", id=job.id)["finished"] is None:
                connection.act("cancel", job.id)
    shutil.rmtree(OUTPUT, ignore_errors=True)


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}login")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(url)


def show(page: Page, name: str, file: Path) -> None:
    """Have on *page* what its picture is to show."""
    if name == "job":
        page.locator(".cell.completed").nth(4).click()
    if name == "plots":
        page.get_by_role("tab", name="Times and memory").click()
    if name == "submit":
        page.locator("#files").set_input_files([file])
    page.wait_for_timeout(1200)


if __name__ == "__main__":
    main()
