"""The page Submit where answers are slow, wrong or late: in a real Chromium, with a dashboard whose answers are held back."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from brender.store.datafolder import DataFolder
from tests.conftest import SCENES
from tests.test_browser import drop
from tests.web import Dashboard, make_users, served, sign_in_as

pytestmark = [pytest.mark.browser, pytest.mark.thorough]
FIRST, SECOND = "a" * 16, "b" * 16


def answer(route: Route, told: Any) -> None:
    route.fulfill(status=200, content_type="application/json", body=json.dumps(told))


def opened(page: Page, folder: DataFolder, dashboard: Dashboard) -> None:
    sign_in_as(page, dashboard.url, "anna", "submit")
    page.on("dialog", lambda dialog: dialog.accept())


def test_the_submit_page_can_be_used_before_it_knows_the_job_types(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    held, wrong = list[Route](), list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.route("**/api/v1/job-types", lambda route: held.append(route))
    page.route("**/api/v1/uploads", lambda route: answer(route, {"bytes": 1000 if route.request.method == "GET" else 0}))
    with served(folder) as dashboard:
        opened(page, folder, dashboard)
        page.get_by_role("button", name="Remove them").click()
        expect(page.locator("#uploaded")).to_be_hidden()
        page.locator("#type").select_option("command")
        expect(page.locator("#problem")).to_be_hidden()
        held[0].continue_()
        expect(page.locator("#go-why")).to_have_text("Fill in what is asked for above.")
    assert not wrong


def test_a_job_is_not_wrong_while_the_farm_is_away_nor_submitted_as_changed_since(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    held = list[Route]()
    page.route("**/api/v1/estimate", lambda route: route.fulfill(status=502, body="<html>Bad gateway"))
    page.route("**/api/v1/jobs", lambda route: held.append(route))
    with served(folder) as dashboard:
        opened(page, folder, dashboard)
        page.locator("#type").select_option("command")
        page.locator("#field-program").fill("ls")
        expect(page.locator("#comes-to")).to_contain_text("502")
        with page.expect_request("**/api/v1/jobs"):
            page.get_by_role("button", name="Submit", exact=True).click()
        page.locator("#field-program").fill("another")
        answer(held[0], {"id": FIRST, "name": "first", "what": "1 task"})
        expect(page.locator("#done")).to_contain_text("first is submitted")
        expect(page.locator("#go")).to_have_text("Submit")
        expect(page.locator("#go-why")).to_be_empty()


def test_an_earlier_test_frame_does_not_take_the_place_of_the_last(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    held, ids = list[Route](), [FIRST, SECOND]
    queued = {"status": "queued", "rendering": [], "reason": "", "render_seconds": 1.0}
    page.route("**/api/v1/jobs", lambda route: answer(route, {"id": ids.pop(0), "name": "test", "what": "1 task"}))
    page.route(f"**/api/v1/jobs/{FIRST}", lambda route: held.append(route))
    page.route(f"**/api/v1/jobs/{FIRST}/parts", lambda route: answer(route, [{"id": 1, "piece": 0, "status": "completed"}]))
    page.route(f"**/api/v1/jobs/{SECOND}", lambda route: answer(route, queued))
    with served(folder) as dashboard:
        opened(page, folder, dashboard)
        drop(page, SCENES / "03_animated_cube.blend")
        page.locator("#missing").get_by_role("button", name="Render without").click()
        test = page.get_by_role("button", name="Test frame 0")
        with page.expect_request(f"**/api/v1/jobs/{FIRST}"):
            test.click()
        test.click()
        expect(page.locator("#test")).to_contain_text("waits for a worker")
        with page.expect_response(f"**/api/v1/jobs/{FIRST}"):
            answer(held[0], queued | {"status": "completed"})
        with page.expect_response(f"**/api/v1/jobs/{SECOND}"):
            pass
        expect(page.locator("#test")).to_contain_text("waits for a worker")


def test_on_a_phone_what_has_the_focus_is_not_behind_the_submit_button(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 700})
    with served(folder) as dashboard:
        opened(page, folder, dashboard)
        expect(page.locator("#go-why")).to_have_text("Drop a .blend first, or choose one.")
        page.locator("#field-frames").focus()
        while page.evaluate("document.activeElement.id") != "job-output":
            page.keyboard.press("Tab")
            both = "[document.activeElement, document.querySelector('.go')]"
            own, bar = page.evaluate(f"{both}.map((each) => each.getBoundingClientRect())")
            assert own["bottom"] <= bar["top"], page.evaluate("document.activeElement.outerHTML")


def test_an_upload_that_breaks_off_is_said(page: Page, folder: DataFolder, tmp_path: Path) -> None:
    make_users(folder)
    page.route("**/api/v1/uploads", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    (tmp_path / "small.blend").write_bytes(b"x" * 1000)
    with served(folder) as dashboard:
        opened(page, folder, dashboard)
        expect(page.locator("#go-why")).to_have_text("Drop a .blend first, or choose one.")
        page.locator("#files").set_input_files(tmp_path / "small.blend")
        expect(page.locator("#problem")).to_contain_text("The upload broke off")
