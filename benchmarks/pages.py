"""How long the dashboard takes for its pages and their questions, over a record of 1,000 jobs, 1,000,000 frames and 1,000
workers.

    python -m benchmarks.pages [--quick]

The record is filled by this script. Each page, and each question that a page asks, many times in turn: the time that the
application takes itself (p95). Then a real Chromium opens the page of a job of 10,000 frames: the time until it can be used, and
how smoothly its strip is scrubbed; and the lanes of all workers' night: until the first are drawn, until all has come, and what
drawing all that is seen takes.
Meanwhile a writer commits to the same file, and counts how often it had to wait for a reader."""

import argparse
import random
import shutil
import statistics
import tempfile
import threading
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from werkzeug.security import generate_password_hash

from benchmarks.report import report
from brender.bus.address import Address, ServerAddresses, free_ports
from brender.bus.keys import kept_pair, new_pair
from brender.farm.record import Row
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.serve import Dashboard
from tests.rows import new, put, update

PASSWORD = "measured"
AIM_MS = 50.0
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
_PART = ("job", "task", "status", "frame", "output", "attempt", "worker", "size", "seconds", "memory", "finished")


def fill(folder: DataFolder, jobs: int, frames: int, workers: int) -> str:
    """Fill the record in *folder*: one job has 10,000 frames, the others share the rest. Returns the id of that one."""
    writer, chance, now = Writer(open_for_writing(str(folder.make().database))), random.Random(1), time.time()
    node = {"incarnation": 1, "status": "online", "last_seen": now}
    hashed = generate_password_hash(PASSWORD, "pbkdf2:sha256:1000")
    stats = {"cpu_percent": 50.0, "memory_used": 8 * 10**9, "memory_total": 32 * 10**9, "disk_free": 10**12, "load": 4.0}
    writer.commit(
        [
            *(put("project", f"project-{number}", {}) for number in range(10)),
            *(put("manager", f"m{number}", {**node, "name": f"manager-{number}", "address": "x"}) for number in range(10)),
            put("user", "boss", {"role": "admin", "password": hashed, "created": 1.0}),
        ]
    )
    blenders = [{"kind": "bpy", "path": "/x", "version": "5.0.1"}]
    writer.commit(
        [
            put(
                "worker",
                f"w{number:04d}",
                {
                    **node,
                    "name": f"render-{number:04d}",
                    "manager": f"m{number % 10}",
                    "status": "busy" if number % 2 else "idle",
                    "blenders": blenders,
                    "tags": ["gpu"],
                    "stats": stats,
                },
            )
            for number in range(workers)
        ]
    )
    _fill_jobs(writer, chance, jobs, frames, workers, now)
    writer.database.close()
    return _id_of(0)


def _id_of(number: int) -> str:
    return f"{number:016x}"


def _fill_jobs(writer: Writer, chance: random.Random, jobs: int, frames: int, workers: int, now: float) -> None:
    """Record jobs, the oldest first, each with its frames after the attempts that had ended when it was submitted."""
    counts = [min(10_000, frames) if number == 0 else max(1, (frames - 10_000) // max(1, jobs - 1)) for number in range(jobs)]
    for number, count in enumerate(counts):
        open_now = number % 20 == 0
        done = count // 2 if open_now else count
        fields = {
            "project": f"project-{number % 10}",
            "name": f"shot {number:04d}",
            "user": f"user-{number % 50}",
            "job_type": "blender-animation",
            "status": "active" if open_now else ("failed" if number % 7 == 0 else "completed"),
            "priority": 50,
            "settings": {"file": "/x.blend"},
            "task_count": 1,
            "part_count": count,
            "completed_parts": done,
            "render_seconds": done * 10.0,
            "machine_seconds": done * 11.0,
            "output": "/nowhere",
            "submitted": now - number * 600,
            "started": now - number * 600 + 10,
            "finished": None if open_now else now - number * 500,
        }
        task = new("task", number + 1, {"job": _id_of(number), "number": 0, "status": "active"})
        writer.commit([new("job", _id_of(number), fields), task])
    attempts, written = _attempts(chance, jobs, workers, now), 0
    first = [1, *(1 + before for before in accumulate(counts))]  # the number of each job's first part
    for number, count in sorted(enumerate(counts), reverse=True):
        submitted, done = now - number * 600, count // 2 if number % 20 == 0 else count
        upto = bisect(attempts, submitted, written, key=lambda row: row.values[-1])
        rows = attempts[written:upto]
        written = upto
        for frame, part in enumerate(range(first[number], first[number] + count)):
            status = "completed" if frame < done else "queued"
            worker = f"w{chance.randrange(workers):04d}" if frame < done else ""
            finished = min(now, submitted + frame) if frame < done else None
            of = (_id_of(number), number + 1, status, frame, f"x_{frame:05d}.png", f"{frame:016x}", worker)
            rows.append(Row("insert", "part", part, _PART, (*of, 10**6, 10.0, 10**9, finished)))
        writer.commit(rows)
    writer.commit(attempts[written:])


def _attempts(chance: random.Random, jobs: int, workers: int, now: float) -> list[Row]:
    """Return what workers rendered through the night, and in an hour of the one before, by its end: tasks of about 5 minutes."""
    names, rows = ("job", "task", "worker", "manager", "outcome", "granted", "started", "finished"), []
    for number, ago, ending in ((number, *hours) for number in range(workers) for hours in ((90_000, 86_400), (43_200, 10))):
        wall = now - ago
        while wall < now - ending:
            end = min(wall + chance.uniform(120, 480), now)
            outcome = "failed" if chance.random() < 0.01 else "completed"
            of = (_id_of(chance.randrange(jobs)), 1, f"w{number:04d}", "m0", outcome, wall, wall, end)
            rows.append(Row("insert", "attempt", f"{len(rows):016x}", names, of))
            wall = end + 0.5
    return sorted(rows, key=lambda row: row.values[-1])


def timed(web: Any, path: str, times: int) -> list[float]:
    """Seconds of each of *times* answers to *path*."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        answer = web.get(path)
        taken.append(time.perf_counter() - began)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:200])
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    jobs, frames, workers = (100, 20_000, 100) if quick else (1000, 1_000_000, 1000)
    with tempfile.TemporaryDirectory() as temporary:
        folder = DataFolder(Path(temporary))
        big = fill(folder, jobs, frames, workers)
        kept_pair(folder.server_key)  # as beside a server: of one elsewhere the dashboard would ask for each log and picture
        nowhere = ServerAddresses.of(Address("127.0.0.1", free_ports(1)), key=new_pair().public)
        dashboard = Dashboard(folder, Address("127.0.0.1", free_ports(1)), nowhere, new_pair())
        threading.Thread(target=dashboard._server.run, daemon=True).start()
        measure(folder, dashboard, big, 5 if quick else 40)


def measure(folder: DataFolder, dashboard: Dashboard, big: str, times: int) -> None:
    writer, waits, ending = Writer(open_for_writing(str(folder.database))), list[float](), threading.Event()

    def write() -> None:
        number = 0
        while not ending.wait(0.05):
            number += 1
            began = time.perf_counter()
            writer.commit([update("worker", "w0001", {"line": f"at {number}"})])
            waits.append(time.perf_counter() - began)

    web = dashboard._app.test_client()
    token = web.get("/login").text.split('name="csrf-token" content="')[1].split('"')[0]
    assert web.post("/login", data={"name": "boss", "password": PASSWORD, "csrf_token": token}).status_code == 302
    writing = threading.Thread(target=write)
    writing.start()
    try:
        asked = [
            "/",
            "/jobs/",
            f"/jobs/{big}",
            "/submit",
            "/workers/",
            "/workers/w0001",
            "/managers/",
            "/projects/",
            "/activity/",
        ]
        asked += [
            f"/api/v1/{each}"
            for each in (
                "overview",
                "lanes?seconds=3600",
                "lanes?seconds=43200",
                "jobs?length=50",
                "jobs?q=shot&sort=progress",
                "jobs/choices",
            )
        ]
        asked += [
            f"/api/v1/jobs/{big}/{each}"
            for each in ("strip", "strip?since=999999", "parts/5", "cells", "attempts?frame=5", "graph")
        ]
        asked += [f"/api/v1/{each}" for each in ("workers/w0001", "managers", "projects", "activity")]
        for path in [*asked, "/api/v1/workers"]:
            taken = sorted(timed(web, path, times))
            p95 = taken[int(0.95 * (len(taken) - 1))] * 1e3
            report(f"server time of {path.replace(big, 'JOB')}, p95", p95, "ms", f"aim: {AIM_MS:.0f} ms", p95 / AIM_MS)
        with in_chromium(dashboard) as page:
            seconds = statistics.median(usable(page, f"{dashboard.url}jobs/{big}") for _ in range(5))
            report("page of a job of 10,000 frames in Chromium, until it can be used", seconds, "s", "aim: 0.5 s")
            report("its strip scrubbed in Chromium", page.evaluate(_SCRUB), "frames/s", "aim: 50 frames/s")
            measure_lanes(page, dashboard.url)
    finally:
        ending.set()
        writing.join()
    report("commits beside the readers, longest wait", max(waits) * 1e3, "ms", "none was refused")
    writer.database.close()


@contextmanager
def in_chromium(dashboard: Dashboard) -> Iterator[Page]:
    """A page of somebody who has signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{dashboard.url}login")
        page.get_by_label("Name").fill("boss")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(dashboard.url)
        yield page
        browser.close()


def usable(page: Page, address: str) -> float:
    """Return the seconds from asking for a job's page until its strip is there and has chosen a frame."""
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator("#strip[aria-valuetext]").wait_for(timeout=20000)
    page.locator("#frame-title[data-status]").wait_for()
    return time.perf_counter() - began


#: Drags along the strip for 180 pictures of the screen; returns how many of them came a second.
_SCRUB = """async () => {
  const strip = document.getElementById("strip"), box = strip.getBoundingClientRect();
  strip.setPointerCapture = () => {};
  strip.hasPointerCapture = () => true;
  const point = (kind, x) => {
    const at = { clientX: box.left + x, clientY: box.top + 20 };
    strip.dispatchEvent(new PointerEvent(kind, { bubbles: true, pointerId: 1, buttons: 1, ...at }));
  };
  point("pointerdown", 5);
  const began = performance.now();
  let count = 0;
  await new Promise((done) => {
    const step = () => {
      for (let more = 0; more < 2; more += 1) point("pointermove", 5 + ((count * 7 + more * 3) % (box.width - 10)));
      count += 1;
      if (count < 180) requestAnimationFrame(step); else done();
    };
    requestAnimationFrame(step);
  });
  point("pointerup", 100);
  return (1000 * count) / (performance.now() - began);
}"""


def measure_lanes(page: Page, address: str) -> None:
    """Report how long the lanes of a night take to be there, and to be drawn again."""
    page.goto(address)
    page.locator(".lane").first.wait_for()
    page.wait_for_timeout(2000)
    asked = """() => performance.getEntriesByType("resource").filter((each) => each.name.includes("/lanes?"))
        .map((each) => each.responseEnd - began)"""
    page.evaluate("() => { performance.clearResourceTimings(); window.began = performance.now(); }")
    page.locator("[data-span='43200']").click()
    ends, before = list[float](), -1
    while len(ends) != before:
        before = len(ends)
        page.wait_for_timeout(1500)
        ends = page.evaluate(asked)
    report("lanes of a night in Chromium, until the first are there", ends[0], "ms", "aim: 300 ms")
    report(
        "lanes of a night in Chromium, until all its tasks have come",
        max(ends),
        "ms",
        f"{len(ends)} answers, the last tasks first",
    )
    drawn = page.evaluate("() => { const began = performance.now(); lanes.show(); return performance.now() - began; }")
    report("lanes of a night in Chromium, drawing what is seen of them", drawn, "ms", "aim: 300 ms")


if __name__ == "__main__":
    main()
