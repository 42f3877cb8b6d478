"""Whatever things are called, pages show it as text that stays in its place: in a real Chromium, wide and on a phone. No server
runs."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from tests.rows import new, put
from tests.test_store import JOB
from tests.web import PASSWORD, make_users, served

pytestmark = [pytest.mark.browser, pytest.mark.thorough]
NAMES = {
    "html": "<img src=x onerror=alert(1)><b>bold</b>",
    "right-to-left": "\u202egnp.exe \u05d0\u05d1\u05d2",
    "long": "x" * 255,
    "lines": "one\ntwo\n\nthree",
}


def fill(folder: DataFolder) -> None:
    """Record a job, a worker, a manager and a project of each name; the small picture of each job's frame is none."""
    make_users(folder)
    writer, now = Writer(open_for_writing(str(folder.database))), time.time()
    for number, name in enumerate(NAMES.values()):
        id, job, task = f"n{number}", f"{number:016x}", number + 1
        node = {"incarnation": 1, "name": name, "status": "online", "reason": name, "last_seen": now}
        of = {
            "name": name,
            "user": name,
            "project": name,
            "status": "active",
            "reason": name,
            "warnings": [f"Missing file: /{name}"],
        }
        part = {"job": job, "task": task, "status": "completed", "output": name, "worker": id, "attempt": job, "finished": now}
        tried = {"job": job, "task": task, "worker": id, "manager": id, "outcome": "failed", "reason": name}
        writer.commit(
            [
                put("project", name, {}),
                put("manager", id, node),
                put(
                    "worker",
                    id,
                    {**node, "manager": id, "status": "busy", "job": job, "line": name, "note": name, "tags": [name]},
                ),
                new("job", job, {**JOB, **of, "submitted": now}),
                new("task", task, {"job": job, "number": 0, "status": "active"}),
                new("part", task, {**part, "frame": 1, "warnings": [name]}),
                new("attempt", job, {**tried, "granted": now - 99, "started": now - 98, "finished": now}),
            ]
        )
        small = folder.thumbnail(job, task)
        small.parent.mkdir(parents=True, exist_ok=True)
        small.write_bytes(b"no picture")
        log = folder.log(job, job)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(name)
    writer.database.close()


def test_names_are_shown_harmlessly_on_every_page(page: Page, folder: DataFolder, tmp_path: Path) -> None:
    fill(folder)
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    with served(folder) as dashboard:
        page.goto(f"{dashboard.url}login")
        page.get_by_label("Name").fill("boss")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        each = [
            f"{kind}/{id}" for number in range(len(NAMES)) for kind, id in (("jobs", f"{number:016x}"), ("workers", f"n{number}"))
        ]
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 850})
            for path in ("", "jobs/", "workers/", "managers/", "projects/", "activity/", *each):
                page.goto(dashboard.url + path, wait_until="networkidle" if path == "" else "load")
                page.wait_for_timeout(250)
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{path or 'farm'} is {wide} pixels wide on {width}"
                expect(page.locator("main img[src=x], main b")).to_have_count(0)
                turned = page.evaluate(r"/[\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText)")
                assert not turned, f"{path or 'farm'} turns around what stands after a name"
    assert not asked
