"""What a job's page draws of its stages and of the jobs around it, in a real browser; and the same as a tree in the terminal."""

import os

import pytest
from playwright.sync_api import Page, expect

from brender.commands.job_tree import tree
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.named import Record
from brender.store.questions import graph
from brender.store.writer import Writer
from tests.rows import new, put
from tests.test_store import JOB
from tests.web import make_users, served, sign_in_as

LIGHTING, SETS, COMP, DELIVERY, GONE = (letter * 16 for letter in "12345")


def fill(folder: DataFolder) -> Writer:
    """Record jobs that wait for each other: comp, a still in pieces, for lighting frame by frame, and for one that is deleted."""
    writer = Writer(open_for_writing(str(folder.database)))
    of = {**JOB, "settings": {"program": "true", "frames": "1-10"}, "task_count": 10, "planned_tasks": 10, "part_count": 10}
    still = {"settings": {"pieces": 3}, "job_type": "blender-still", "task_count": 4, "planned_tasks": 4, "part_count": 4}

    def after(*jobs: str, by_frame: str = "") -> dict[str, object]:
        return {"after_jobs": [{"job": job, "by_frame": job == by_frame} for job in jobs]}

    comp = after(LIGHTING, SETS, GONE, by_frame=LIGHTING)
    writer.commit(
        [
            put("project", "default", {}),
            new("job", LIGHTING, {**of, "name": "lighting", "status": "active", "completed_parts": 4}),
            new("job", SETS, {**of, "name": "sets", "status": "completed", "completed_parts": 10}),
            new("job", COMP, {**of, **still, **comp, "name": "comp", "status": "queued", "waiting_for": "somebody"}),
            new("job", DELIVERY, {**of, **after(COMP), "name": "delivery", "status": "queued", "waiting_for": "jobs"}),
            *(new("task", number + 1, {"job": COMP, "number": number, "status": status}) for number, status in enumerate(
                ("completed", "active", "queued", "waiting")
            )),
        ]
    )  # fmt: skip
    return writer


def test_a_tree_shows_what_a_job_waits_for_and_what_waits_for_it(folder: DataFolder) -> None:
    folder.make()
    record = Record(fill(folder).tables, folder)
    assert tree(graph(record, COMP), COMP) == [
        "Stages:",
        "  pieces   1 of 3 tasks done, 1 handed out",
        "  picture  0 of 1 task done; after pieces",
        "Waits for:",
        "  ├─ lighting (11111111): active, 4 of 10 frames, frame by frame",
        "  ├─ sets (22222222): completed, 10 of 10 frames",
        "  └─ the job 55555555, which is deleted",
        "Waited for by:",
        "  └─ delivery (44444444): queued, 0 of 10 frames",
    ]
    assert "    └─ lighting" in tree(graph(record, DELIVERY), DELIVERY)[2].replace("├", "└")


@pytest.mark.thorough
def test_a_page_draws_the_stages_of_a_job_and_the_jobs_around_it(page: Page, folder: DataFolder) -> None:
    make_users(folder)
    fill(folder)
    with served(folder) as made:
        page.set_viewport_size({"width": 1280, "height": 900})
        sign_in_as(page, made.url)
        page.goto(f"{made.url}jobs/{COMP}")
        page.get_by_role("tab", name="Stages").click()
        boxes = page.locator("#graph .graph-box")
        expect(boxes).to_have_count(7)
        expect(page.locator("#graph .graph-line")).to_have_count(5)
        expect(page.locator("#graph .graph-line.by-frame")).to_have_count(1)
        expect(page.locator("#graph .own .graph-name")).to_have_text("comp")
        expect(page.locator("#graph .deleted .graph-standing")).to_have_text("deleted")
        if kept := os.environ.get("KEEP_PICTURES"):
            page.locator("#graph").screenshot(path=f"{kept}/graph.png")
        page.locator("#graph a", has_text="delivery").click()
        expect(page.locator("h1")).to_have_text("delivery")
