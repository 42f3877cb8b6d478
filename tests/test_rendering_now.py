"""What "rendering" means to people: what a worker renders at this moment, and not what it has only been handed."""

import pytest
from playwright.sync_api import Page, expect

from brender.farm.record import Row
from brender.store import questions
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.named import Record
from brender.store.tables import make_tables
from brender.store.writer import Writer
from tests.rows import new, put
from tests.test_store import JOB
from tests.tools import command, let_commands_ask
from tests.web import make_users, served, sign_in_as

ID = "a" * 16


@pytest.fixture
def record(folder: DataFolder) -> Record:
    """A record of a job of ten frames in two tasks: a worker renders frame 2 of the first, and has been handed the second."""
    make_users(folder)
    node = {"incarnation": 1, "last_seen": 1.0}
    worker = {"manager": "m", "name": "w1", "status": "busy", "job": ID, "frame": 2, "fraction": 0.5, "attempt": "1"}
    attempt = {"job": ID, "worker": "w", "manager": "m", "granted": 1.0, "outcome": "live"}
    rows: list[Row] = [
        put("project", "default", {}),
        put("manager", "m", {**node, "name": "m1", "status": "online"}),
        put("worker", "w", {**node, **worker}),
        new("job", ID, {**JOB, "status": "active", "part_count": 10, "task_count": 2, "planned_tasks": 2, "started": 1.0}),
    ]
    for task in (1, 2):
        rows.append(new("task", task, {"job": ID, "number": task - 1, "status": "active"}))
        rows.append(new("attempt", str(task), {**attempt, "task": task, "started": 1.0 if task == 1 else None}))
    for frame in range(1, 11):
        begun = {"status": "active", "attempt": "1", "worker": "w"} if frame <= 5 else {"status": "queued"}
        rows.append(new("part", frame, {"job": ID, "task": 1 if frame <= 5 else 2, "frame": frame, **begun}))
    writer = Writer(open_for_writing(str(folder.make().database)))
    writer.commit(rows)
    return Record(make_tables(writer.database), folder)


def test_a_job_says_which_frames_are_rendered_at_this_moment(record: Record) -> None:
    assert questions.job(record, ID)["frames_now"] == [2]
    (stage,) = questions.graph(record, ID)["stages"]
    assert (stage["name"], stage["counts"]) == ("commands", {"active": 1, "handed out": 1})


def test_a_task_that_its_worker_has_not_begun_is_handed_out(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    let_commands_ask(lambda asked: questions.answer(record, asked.question, asked.arguments), monkeypatch)
    lines = command(capsys, "tasks", ID).out.splitlines()
    assert "active" in lines[1] and "handed out" in lines[2] and "active" not in lines[2]


@pytest.mark.browser
@pytest.mark.thorough
def test_the_page_counts_one_frame_of_a_chunk_as_rendering(record: Record, page: Page) -> None:
    with served(record.folder) as dashboard:
        sign_in_as(page, dashboard.url, then=f"jobs/{ID}")
        expect(page.locator("#legend")).to_have_text("1 rendering 4 handed out 5 to come")


@pytest.mark.browser
@pytest.mark.thorough
def test_a_completed_frame_of_a_canceled_attempt_is_shown_as_completed(record: Record, page: Page) -> None:
    writer = Writer(open_for_writing(str(record.folder.database)))
    stopped = {"job": ID, "worker": "w", "manager": "m", "granted": 1.0, "started": 1.0, "task": 1}
    waiting = {**JOB, "name": "later", "status": "queued", "reason": "No worker can run it. Start one with `brender-worker`"}
    writer.commit(
        [
            put("worker", "w", {"incarnation": 1, "last_seen": 1.0, "manager": "m", "name": "w1", "status": "offline"}),
            put("attempt", "1", {**stopped, "outcome": "canceled", "reason": "stopped", "finished": 2.0}),
            put("attempt", "0", {**stopped, "outcome": "failed", "reason": "it was too hot", "finished": 1.0}),
            put("part", 1, {"job": ID, "task": 1, "frame": 1, "status": "completed", "attempt": "1", "worker": "w"}),
            new("job", "b" * 16, {**waiting, "part_count": 2, "task_count": 1}),
        ]
    )
    with served(record.folder) as dashboard:
        sign_in_as(page, dashboard.url, then=f"jobs/{ID}#frame-1")
        expect(page.locator("#attempts button", has_text="too hot").locator(".badge")).to_have_text("failed")
        expect(page.locator("#attempts .completed")).to_have_count(1)
        expect(page.locator("#attempts")).not_to_contain_text("stopped")
        page.goto(dashboard.url)
        expect(page.locator("#active-title")).to_have_text("Waiting")
        expect(page.locator("#attention code")).to_have_text("brender-worker")
        expect(page.locator("#active")).not_to_contain_text("No worker can run it")
