"""Takes the moving picture that the README shows: a job's page in a real Chromium while a real farm renders the demo.

python docs/take_moving_picture.py

It needs chromium and ffmpeg.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec
from playwright.sync_api import sync_playwright
from take_screenshots import FLAGS, OPTIONS, PASSWORD, sign_in
from werkzeug.security import generate_password_hash

from brender.api.jobspec import blender_job
from brender.commands.farm import make_demo
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.store.datafolder import DataFolder

TARGET = Path(__file__).parent / "recordings" / "job.webp"
FRAMES = 24
SIZE = {"width": 1200, "height": 720}
#: Pictures a second, and for how long the last one stays.
RATE, LAST_SECONDS = 3, 3
#: The most pictures, evenly out of those that were taken.
MOST = 36
LARGEST_BYTES = 1_500_000


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        shots = Path(temporary) / "shots"
        shots.mkdir()
        record(Path(temporary), shots)
        taken = sorted(shots.glob("*.png"))
        chosen = [taken[round(n * (len(taken) - 1) / (MOST - 1))] for n in range(MOST)] if len(taken) > MOST else taken
        film = Path(temporary) / "chosen"
        film.mkdir()
        for number, shot in enumerate([*chosen, *[chosen[-1]] * (RATE * LAST_SECONDS)]):
            shutil.copy(shot, film / f"{number:03}.png")
        for quality in (80, 65, 50, 35):
            words = ["ffmpeg", "-v", "error", "-y", "-framerate", str(RATE), "-i", str(film / "%03d.png"), "-vf", "scale=960:-1"]
            subprocess.run([*words, "-c:v", "libwebp_anim", "-quality", str(quality), "-loop", "0", TARGET], check=True)
            if TARGET.stat().st_size <= LARGEST_BYTES:
                break
    print(f"{TARGET}: {len(chosen)} pictures, {TARGET.stat().st_size / 1e6:.2f} MB")


def record(place: Path, shots: Path) -> None:
    """Have a farm render, and keep a picture of the job's page in *shots* as often as can be."""
    folder = DataFolder(place / "data").make()
    file = make_demo(place / "night-train.blend", ())
    with LocalFarm(FarmPlan(folder=folder, workers=2, any_ports=True)) as farm, client(None, folder.root) as connection:
        connection.manage("set-user", name="anna", role="admin", password=generate_password_hash(PASSWORD))
        options = {"frames": f"1-{FRAMES}", "samples": 8, "resolution": 100, "output": place / "frames", "trusted": False}
        spec = msgspec.structs.replace(blender_job(file, {**OPTIONS, **options}), name="night train", user="anna")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport=SIZE, color_scheme="dark")
            sign_in(page, farm.dashboard_url)
            connection.submit(spec)
            page.goto(f"{farm.dashboard_url}jobs/{spec.id}")
            ends = time.monotonic() + 300
            number = left = 0
            while left < 3 and time.monotonic() < ends:  # (the end of the job is seen on a picture or two)
                page.screenshot(path=shots / f"{number:04}.png")
                number += 1
                left += connection.ask("job", id=spec.id)["finished"] is not None
                page.wait_for_timeout(200)
            browser.close()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
