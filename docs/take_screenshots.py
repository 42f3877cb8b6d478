"""Takes the screenshots that README and docs show: a real farm renders the demo, a real Chromium looks at its pages.

python docs/take_screenshots.py
"""

import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from brender.commands.farm import make_demo
from brender.commands.jobspec import blender_job
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.store.datafolder import DataFolder

HERE = Path(__file__).parent / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
OPTIONS = dict.fromkeys(("chunk", "scene", "camera", "engine", "resolution", "samples", "format", "pattern", "name"))


def main() -> None:
    # Pages are cut off above the log, whose paths are this machine's.
    with tempfile.TemporaryDirectory() as temporary:
        folder = DataFolder(Path(temporary) / "data").make()
        file = make_demo(Path(temporary) / "brender-demo.blend", ())
        with LocalFarm(FarmPlan(folder=folder, workers=2, any_ports=True)) as farm, client(None, folder.root) as connection:
            job = blender_job(file, {**OPTIONS, "frames": "1-24", "output": Path("/tmp/renders/brender-demo"), "trusted": False})
            connection.submit(job)
            while connection.ask("job", id=job.id)["completed_parts"] < 11:
                time.sleep(0.2)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                for scheme in ("light", "dark"):
                    page = browser.new_page(viewport={"width": 1360, "height": 525}, color_scheme=scheme)  # type: ignore[arg-type]
                    for name, path in (("job", f"jobs/{job.id}"), ("jobs", "jobs/"), ("workers", "workers/")):
                        page.goto(farm.dashboard_url + path)
                        page.wait_for_timeout(1500)
                        if name == "job":
                            page.locator(".cell.completed").nth(4).click()
                            page.wait_for_timeout(1000)
                        page.screenshot(path=HERE / f"{name}-{scheme}.png")
                browser.close()
            connection.act("cancel", job.id)
    shutil.rmtree("/tmp/renders/brender-demo", ignore_errors=True)


if __name__ == "__main__":
    main()
