"""A job that refines its frames, on its page, in a real Chromium: each frame once, with its best picture. No server runs."""

from collections.abc import Iterator
from pathlib import Path

import OpenImageIO as oiio
import pytest
from playwright.sync_api import Page, expect

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
    of = {"name": "shot", "status": "active", "part_count": FRAMES * PASSES, "passes": PASSES, "completed_parts": 5}
    rows = [put("project", "default", {}), new("job", ID, {**JOB, **of, "output": str(tmp_path)})]
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
