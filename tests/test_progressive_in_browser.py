"""A job that refines its frames, on its page, in a real Chromium: each frame once, with its best picture. No server runs."""

from collections.abc import Iterator
from pathlib import Path

import OpenImageIO as oiio
import pytest
from playwright.sync_api import Page, expect

from brender.model.job import COPY, FILM, NOISY
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.serve import Dashboard
from tests.rows import new, put
from tests.test_store import JOB
from tests.web import PASSWORD, make_users, served

pytestmark = [pytest.mark.browser, pytest.mark.thorough]
ID, FRAMES, PASSES = "a" * 16, 3, 4


@pytest.fixture
def dashboard(folder: DataFolder, tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard over a job of three frames in four passes: the first is done, and the second of two frames."""
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    settings = JOB["settings"] | {"refine": "samples", "passes": PASSES}
    of = {"name": "shot", "status": "active", "part_count": FRAMES * PASSES, "passes": PASSES, "completed_parts": 5}
    rows = [put("project", "default", {}), new("job", ID, {**JOB, **of, "settings": settings, "output": str(tmp_path)})]
    for number in range(FRAMES * PASSES):
        place, frame = number // FRAMES, number % FRAMES + 1
        image = oiio.ImageBuf(oiio.ImageSpec(64, 36, 3, oiio.UINT8))
        assert image.write(str(tmp_path / f"x_{frame}.png")), image.geterror()
        status = "completed" if number < 5 else "queued"
        rows.append(new("task", number + 1, {"job": ID, "number": number, "status": status}))
        part = {"job": ID, "task": number + 1, "frame": frame, "status": status, "output": f"x_{frame}.png"}
        rows.append(new("part", number + 1, {**part, "piece": (place + 1) % PASSES}))
    writer.commit(rows)
    writer.database.close()
    with served(folder) as made:
        yield made


def test_each_frame_is_there_once_and_says_which_pass_it_has(page: Page, dashboard: Dashboard) -> None:
    page.goto(f"{dashboard.url}login?next=/jobs/{ID}")
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("2 of 3 frames, pass 2 of 4").first).to_be_visible()
    cells = page.locator(".cell")
    expect(cells).to_have_count(FRAMES)
    cells.nth(1).click()
    expect(page.locator("#frame-title")).to_have_text("Frame 2, pass 2 of 4")
    cells.nth(2).click()
    expect(page.locator("#frame-title")).to_have_text("Frame 3, pass 1 of 4")
    expect(page.locator("#flip")).to_have_js_property("naturalWidth", 64)


@pytest.fixture
def denoising(folder: DataFolder, tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard over a job of two frames that are denoised after they are rendered, and copied, and a film of them: both are
    rendered, and the first is denoised too."""
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    settings = {"denoise_after": True, "copy_to": "/delivery", "film": "a.mp4"}
    of = {"name": "shot", "status": "active", "part_count": 8, "completed_parts": 3, "settings": settings}
    rows = [put("project", "default", {}), new("job", ID, {**JOB, **of, "settings": settings, "output": str(tmp_path)})]
    pieces = [(1, NOISY), (2, NOISY), (1, 0), (2, 0), (2, FILM), (1, COPY), (2, COPY), (2, COPY)]
    for number, (frame, piece) in enumerate(pieces):
        status = "completed" if number < 3 else "queued"
        rows.append(new("task", number + 1, {"job": ID, "number": number, "status": status}))
        part = {"job": ID, "task": number + 1, "frame": frame, "status": status, "output": f"x_{frame}.png"}
        rows.append(new("part", number + 1, {**part, "piece": piece}))
    writer.commit(rows)
    writer.database.close()
    with served(folder) as made:
        yield made


def test_a_frame_that_is_rendered_and_not_denoised_yet_is_there_once_and_waits(page: Page, denoising: Dashboard) -> None:
    page.goto(f"{denoising.url}login?next=/jobs/{ID}")
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("3 of 8 steps").first).to_be_visible()
    cells = page.locator(".cell")
    expect(cells).to_have_count(3)
    for cell, title in ((1, "Frame 2"), (2, "The film"), (0, "Frame 1")):
        cells.nth(cell).click()
        expect(page.locator("#frame-title")).to_have_text(title)
    states = [page.evaluate(f"frames.status(frames.list[{place}])") for place in range(3)]
    assert states == ["completed", "queued", "queued"]
    assert page.evaluate("frames.unplanned") == 0
