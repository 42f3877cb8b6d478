"""Looking at frames on a job's page, in a real Chromium: exposure, layers, and one job's frames against another's. No server
runs."""

import re
from collections.abc import Iterator
from pathlib import Path

import OpenImageIO as oiio
import pytest
from playwright.sync_api import Page, Route, expect

from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.serve import Dashboard
from tests.rows import new, put
from tests.test_store import JOB
from tests.web import PASSWORD, make_users, served

pytestmark = [pytest.mark.browser, pytest.mark.thorough]
FIRST, SECOND = "a" * 16, "b" * 16
RED, GREEN, BLUE = (0.25, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def layered(path: Path, combined: tuple[float, ...], other: tuple[float, ...]) -> None:
    """An EXR of two layers, each of one color."""
    spec = oiio.ImageSpec(64, 36, 6, oiio.FLOAT)
    spec.channelnames = [f"View.{layer}.{letter}" for layer in ("Combined", "Normal") for letter in "RGB"]
    image = oiio.ImageBuf(spec)
    oiio.ImageBufAlgo.fill(image, (*combined, *other))
    assert image.write(str(path)), image.geterror()


@pytest.fixture
def dashboard(folder: DataFolder, tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard over two jobs of three frames each: one dark red with a green layer, the other blue."""
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    rows = [put("project", "default", {})]
    for number, (job, color) in enumerate(((FIRST, RED), (SECOND, BLUE))):
        output = tmp_path / job
        output.mkdir()
        of = {"name": "shot", "status": "completed", "part_count": 3, "completed_parts": 3, "output": str(output)}
        rows += [new("job", job, {**JOB, **of}), new("task", number + 1, {"job": job, "number": 0, "status": "completed"})]
        for frame in (1, 2, 3):
            layered(output / f"x_{frame}.exr", color, GREEN)
            part = {"job": job, "task": number + 1, "frame": frame, "status": "completed", "output": f"x_{frame}.exr"}
            rows.append(new("part", 10 * number + frame, part))
    writer.commit(rows)
    writer.database.close()
    with served(folder) as made:
        yield made


@pytest.fixture
def player(page: Page, dashboard: Dashboard) -> Page:
    """The page of the first job, with what can be done with its pictures shown."""
    page.goto(f"{dashboard.url}login?next=/jobs/{FIRST}")
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#flip")).to_have_js_property("naturalWidth", 64)
    return page


def expect_color(page: Page, share: float, color: str, file: Path) -> None:
    """Wait until the player's screen is mostly of that *color*, a word, at that *share* of its width."""

    def seen() -> str:
        box = page.locator("#screen").bounding_box()
        assert box is not None
        at = {"x": box["x"] + box["width"] * share, "y": box["y"] + box["height"] * 0.7, "width": 2, "height": 2}
        page.screenshot(path=file, clip=at)  # type: ignore[arg-type]
        red, green, blue = oiio.ImageBuf(str(file)).getpixel(0, 0)[:3]
        return {red: "red", green: "green", blue: "blue"}[max(red, green, blue)]

    for _ in range(50):
        if seen() == color:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"the screen is {seen()} at {share}, not {color}")


def test_layers_and_exposure_are_chosen_by_menu_and_keys(player: Page, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    expect_color(player, 0.5, "red", shot)
    player.keyboard.press("l")
    expect(player.locator("#layer")).to_have_value("View.Combined")
    player.keyboard.press("l")
    expect(player.locator("#layer")).to_have_value("View.Normal")
    expect_color(player, 0.5, "green", shot)
    player.locator("#view summary").click()
    player.get_by_label("Layer").select_option("View.Combined")
    expect_color(player, 0.5, "red", shot)
    player.locator("#strip").focus()
    for _ in range(4):
        player.keyboard.press("+")
    expect(player.locator("#exposure")).to_have_value("2")
    expect(player.locator("#flip")).to_have_attribute("src", re.compile("exposure=2&layer=View.Combined"))


def test_two_jobs_are_compared_as_a_wipe_as_a_blink_and_side_by_side(player: Page, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    player.locator("#view summary").click()
    player.get_by_label("Compare with").select_option(SECOND)
    player.locator("#view summary").click()
    expect(player.locator("#side-b")).to_contain_text("shot")
    expect(player.locator("#side-b")).to_contain_text("B frame ")
    for share, color in ((0.4, "red"), (0.6, "blue")):
        expect_color(player, share, color, shot)
    line = player.get_by_role("slider", name="Where this job ends")
    line.focus()
    for _ in range(10):
        player.keyboard.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", "70")
    expect_color(player, 0.6, "red", shot)
    box = player.locator("#screen").bounding_box()
    assert box is not None
    line.hover()
    player.mouse.down()
    player.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    player.mouse.up()
    expect_color(player, 0.4, "blue", shot)

    player.keyboard.press("b")
    expect(player.get_by_label("Show them")).to_have_value("blink")
    for color in ("red", "blue", "red"):
        expect_color(player, 0.5, color, shot)
    player.keyboard.press("b")
    expect(player.get_by_label("Show them")).to_have_value("beside")
    for share, color in ((0.25, "red"), (0.75, "blue")):
        expect_color(player, share, color, shot)


def test_a_picture_that_the_other_job_lacks_is_not_shown_as_the_one_before_it(player: Page, tmp_path: Path) -> None:
    (tmp_path / SECOND / "x_2.exr").unlink()
    player.locator("#view summary").click()
    player.get_by_label("Compare with").select_option(SECOND)
    player.locator("#view summary").click()
    for frame, says, classes in (
        ("3", "B frame 3 · shot", ""),
        ("2", "B has no picture of frame 2 · shot", "invisible"),
        ("1", "B frame 1", ""),
    ):
        player.locator("#at").fill(frame)
        player.locator("#at").press("Enter")
        expect(player.locator("#side-b")).to_contain_text(says)
        expect(player.locator("#flip-other")).to_have_class(classes)


def test_of_two_quick_choices_the_later_one_is_compared_with(player: Page) -> None:
    late: list[Route] = []
    player.route(f"**/jobs/{SECOND}/strip", lambda route: late.append(route))
    player.locator("#view summary").click()
    player.get_by_label("Compare with").select_option(SECOND)
    player.get_by_label("Compare with").select_option("")
    with player.expect_response(f"**/jobs/{SECOND}/strip"):
        late[0].continue_()
    player.wait_for_timeout(100)
    expect(player.locator("#flip-other")).to_have_class("d-none")
    expect(player.locator("#side-b")).to_be_hidden()
    expect(player.get_by_label("Show them")).to_be_disabled()
