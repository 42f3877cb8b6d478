"""The dashboard's pages and its JSON API: what they show and ask for, and what they refuse. No server runs, no browser."""

import html
import io
import json
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import OpenImageIO as oiio
import pytest
from flask import Flask

from brender.engines.log_end import NOISE
from brender.farm.record import Row
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from tests.conftest import missing
from tests.rows import new, put, update
from tests.test_store import JOB
from tests.web import Browser, application, make_users, picture

JOB_ID, OTHER = "a" * 16, "c" * 16
EVIL = "<script>alert(1)</script>"
API = "/api/v1"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def app(folder: DataFolder, output: Path) -> Flask:
    """The application over a record with a job of anna's with three frames, two of them done, and one of somebody else's."""
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    part = {"job": JOB_ID, "task": 1, "status": "completed", "attempt": "b" * 16}
    failed = {"submitted": 2.0, "status": "failed", "reason": "it broke"}
    node = {"incarnation": 1, "name": "render-1", "status": "idle", "last_seen": 1.0}
    writer.commit(
        [
            put("project", "default", {}),
            put("manager", "m", {**node, "name": f"m {EVIL}", "status": "online"}),
            put("worker", "w", {**node, "manager": "m", "name": f"w {EVIL}"}),
            new("job", JOB_ID, {**JOB, "name": f"shot {EVIL}", "user": "anna", "output": str(output), "completed_parts": 1}),
            new("job", OTHER, {**JOB, "name": "other", "user": "somebody", **failed}),
            new("task", 1, {"job": JOB_ID, "number": 0, "status": "active"}),
            new("part", 1, {**part, "frame": 1, "output": "x_0001.png"}),
            new("part", 2, {**part, "frame": 2, "status": "queued", "attempt": ""}),
            new("part", 3, {**part, "frame": 3, "output": "../../farm.db"}),
        ]
    )
    writer.database.close()
    return application(folder)


@pytest.fixture
def web(app: Flask) -> Browser:
    return Browser(app)


PAGES = [
    "/",
    "/jobs/",
    f"/jobs/{JOB_ID}",
    "/submit",
    "/workers/",
    "/workers/w",
    "/managers/",
    "/projects/",
    "/accounts/",
    "/activity/",
    "/users/",
    "/account",
]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(web: Browser, page: str) -> None:
    answer = web.get(page)
    assert answer.status_code == 200 and "brender" in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_pages_take_everything_from_the_package_and_run_no_inline_script(web: Browser, page: str) -> None:
    answer = web.get(page)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)
    assert not re.findall(r"<script(?![^>]*\bsrc=)", answer.text) and not re.findall(r"\son\w+=", answer.text)
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for source in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert web.get(source).status_code == 200, source


def test_browsers_keep_scripts_and_styles_until_another_version_comes(web: Browser) -> None:
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', web.get("/").text)
    assert named and all("?v=" in each for each in named)
    assert "immutable" in web.get(named[0]).headers["Cache-Control"]
    assert "immutable" not in web.get(named[0].split("?")[0]).headers["Cache-Control"]


def test_a_job_s_page_folds_a_log_by_the_same_expressions_as_the_terminal(web: Browser) -> None:
    found = re.search(r"data-noise='([^']+)'", web.get(f"/jobs/{JOB_ID}").text)
    assert found is not None and json.loads(html.unescape(found[1])) == list(NOISE)
    script = web.get("/static/joblog.js").text
    assert "libGL" not in script and "dataset.noise" in script


@pytest.mark.parametrize("page", [f"/jobs/{JOB_ID}", "/workers/w", "/managers/m"])
def test_a_hostile_name_is_only_text(web: Browser, page: str) -> None:
    assert EVIL not in web.get(page).text and "&lt;script&gt;" in web.get(page).text


# --- lists ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["other", f"shot {EVIL}"]),
        ("?descending=false", [f"shot {EVIL}", "other"]),
        ("?q=oth", ["other"]),
        ("?q=anna", [f"shot {EVIL}"]),
        (f"?q={JOB_ID[:5]}", [f"shot {EVIL}"]),
        ("?status=failed,canceled", ["other"]),
        ("?user=anna", [f"shot {EVIL}"]),
        ("?project=none", []),
        ("?tag=gpu", []),
        ("?sort=name&descending=false", ["other", f"shot {EVIL}"]),
        ("?start=1&length=1", [f"shot {EVIL}"]),
        ("?q=%25", []),
    ],
)
def test_jobs_are_filtered_sorted_and_paged_by_the_database(web: Browser, query: str, names: list[str]) -> None:
    answer = web.get(f"{API}/jobs{query}").json
    assert [row["name"] for row in answer["rows"]] == names and answer["total"] == 2


def test_what_a_list_can_be_filtered_by_is_told(web: Browser) -> None:
    assert web.get(f"{API}/jobs/choices").json == {"projects": ["default"], "users": ["anna", "somebody"]}


def test_cells_are_only_those_that_changed_since(web: Browser) -> None:
    everything = web.get(f"{API}/jobs/{JOB_ID}/cells").json
    assert [row[everything["columns"].index("frame")] for row in everything["rows"]] == [1, 2, 3]
    assert web.get(f"{API}/jobs/{JOB_ID}/cells?since={everything['change']}").json["rows"] == []


def test_the_strip_has_a_letter_for_each_frame_and_only_what_changed_since(web: Browser) -> None:
    told = web.get(f"{API}/jobs/{JOB_ID}/strip").json
    assert (told["states"], told["frames"]) == ("cqc", [[1, 1, 3]])
    assert web.get(f"{API}/jobs/{JOB_ID}/strip?since={told['change']}").json["states"] == ""


def test_a_frame_is_told_with_its_attempts_and_what_is_no_frame_of_the_job_is_not(web: Browser) -> None:
    told = web.get(f"{API}/jobs/{JOB_ID}/parts/1").json
    assert (told["frame"], told["status"], told["attempts"]) == (1, "completed", [])
    for job, part in ((OTHER, 1), (JOB_ID, 99), (JOB_ID, "x")):
        assert web.get(f"{API}/jobs/{job}/parts/{part}").status_code == 404


def test_an_answer_is_not_made_again_as_long_as_nothing_has_changed(web: Browser, folder: DataFolder) -> None:
    first = web.get(f"{API}/jobs")
    again = web.get(f"{API}/jobs", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and not again.data
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([update("job", JOB_ID, {"priority": 99})])
    writer.database.close()
    assert web.get(f"{API}/jobs", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_the_overview_names_what_needs_somebody(web: Browser, folder: DataFolder) -> None:
    accepted = "Missing file: /known.png (used by image x); what needs it renders without it"
    missing = "Missing file: /x.png (image y) is not there for the worker; what needs it renders without it"
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit(
        [
            update("job", OTHER, {"finished": 4e9}),
            update("job", JOB_ID, {"status": "queued", "reason": "No worker is connected", "warnings": [accepted, missing]}),
            update("worker", "w", {"status": "error", "reason": "No room on the disk"}),
        ]
    )
    writer.database.close()
    told = web.get(f"{API}/overview").json
    whys = {(each["kind"], each["why"]) for each in told["attention"]}
    assert {("job", "it broke"), ("job", "No worker is connected"), ("worker", "No room on the disk")} <= whys
    assert ("job", missing) in whys and told["workers"] == {"error": 1}
    assert not any("/known.png" in why for _, why in whys), "it was accepted when the job was submitted"


def test_nobody_is_told_to_do_what_they_may_not(app: Flask, folder: DataFolder) -> None:
    writer = Writer(open_for_writing(str(folder.database)))
    ill = update("worker", "w", {"status": "error", "reason": "No room on the disk"})
    writer.commit([update("job", OTHER, {"finished": 4e9}), update("job", JOB_ID, {"status": "failed", "finished": 4e9}), ill])
    writer.database.close()
    needs = {
        name: {each["id"] for each in Browser(app, name).get(f"{API}/overview").json["attention"]}
        for name in ("vera", "anna", "walt")
    }
    assert needs == {"vera": set(), "anna": {JOB_ID}, "walt": {JOB_ID, OTHER, "w"}}


def test_an_admin_is_told_that_the_record_could_not_be_backed_up_and_nobody_else(app: Flask, folder: DataFolder) -> None:
    folder.note_backup({"trouble": "No room for a backup on the disk of /backups"})
    told = {name: Browser(app, name).get(f"{API}/about").json["trouble"] for name in ("anna", "boss")}
    assert "backed up" not in told["anna"]
    assert "The record could not be backed up. No room for a backup on the disk of /backups" in told["boss"]


def test_what_passes_by_itself_needs_nobody(web: Browser, folder: DataFolder) -> None:
    writer = Writer(open_for_writing(str(folder.database)))
    busy = "Both workers that can run it are busy, rendering benchmark"
    asleep = {"status": "paused", "reason": "it sleeps until 18:00"}
    writer.commit(
        [
            update("job", JOB_ID, {"status": "queued", "reason": busy}),
            update("worker", "w", asleep),
            update("part", 1, {"finished": 5.0}),
        ]
    )
    writer.database.close()
    told = web.get(f"{API}/overview").json
    assert told["attention"] == []
    (job,) = told["active"]
    assert (job["reason"], job["picture"]["part"], job["workers"]) == (busy, 1, 0)


def test_frames_of_the_last_hour_are_counted_by_their_end_where_their_job_began_earlier(web: Browser, folder: DataFolder) -> None:
    writer, now = Writer(open_for_writing(str(folder.database))), time.time()
    of = {"job": JOB_ID, "task": 1, "worker": "w", "manager": "m", "outcome": "completed"}
    for number, minutes in ((1, 2000), (2, 90), (3, 5)):
        end = now - minutes * 60
        writer.commit(
            [
                update("job", JOB_ID, {"started": now - 200_000, "status": "active"}),
                update("part", number, {"status": "completed", "finished": end}),
                new("attempt", f"at-{minutes}", {**of, "granted": end - 9, "started": end - 9, "finished": end}),
            ]
        )
    writer.database.close()
    assert web.get(f"{API}/overview").json["frames"] == {"hour": 1, "day": 2}


def test_lanes_tell_what_ended_and_what_goes_on_and_leave_older_ones_for_the_next_question(
    web: Browser, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, now = Writer(open_for_writing(str(folder.database))), time.time()
    of = {"job": JOB_ID, "task": 1, "worker": "w", "manager": "m"}

    def attempt(id: str, start: float | None, end: float | None, outcome: str) -> Row:
        return new("attempt", id, {**of, "granted": now - 9000, "started": start, "finished": end, "outcome": outcome})

    writer.commit(
        [
            update("worker", "w", {"last_seen": now}),
            attempt("old", now - 8000, now - 7000, "completed"),
            attempt("across", now - 4000, now - 3000, "completed"),
            attempt("failed", now - 900, now - 800, "failed"),
            attempt("never-begun", None, now - 700, "recalled"),
            attempt("live", now - 60, None, "live"),
        ]
    )
    writer.database.close()
    monkeypatch.setattr("brender.store.farm_page.LANES_ROWS", 1)
    newest = web.get(f"{API}/lanes?seconds=3600").json
    assert [(row[0], row[1], row[4]) for row in newest["rows"]] == [(0, 0, "failed"), (0, 0, "live")]
    assert newest["rows"][1][3] == -1 and newest["jobs"] == [[JOB_ID, f"shot {EVIL}"]] and newest["ids"] == ["w"]
    assert [worker["name"] for worker in newest["workers"]] == [f"w {EVIL}"]
    monkeypatch.undo()
    older = web.get(f"{API}/lanes?seconds=3600&until={newest['older']}").json
    assert [row[4] for row in older["rows"]] == ["failed", "completed"] and older["older"] is None
    since = web.get(f"{API}/lanes?seconds=3600&since={now - 850}").json
    assert [row[4] for row in since["rows"]] == ["failed", "live"]


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/jobs/zzz",
        "/jobs/zzz",
        "/nonsense",
        f"{API}/nonsense",
        "/workers/zzz",
        "/managers/zzz",
        f"{API}/managers/zzz",
        f"{API}/workers/zzz",
        f"/jobs/{JOB_ID}/thumbnails/1",
        f"/jobs/{JOB_ID}/frames/2",
        f"/jobs/{JOB_ID}/pictures/2",
        f"/jobs/{JOB_ID}/frames.zip",
        f"/jobs/{JOB_ID}/contact-sheet.jpg",
    ],
)
def test_what_is_not_there_is_said_so(web: Browser, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404 and "Traceback" not in answer.text


def test_a_page_shows_commands_in_a_sentence_as_code(web: Browser) -> None:
    shown = web.get("/jobs/zzz").text
    assert "<code>brender jobs</code> lists them" in shown and "`brender" not in shown


@pytest.mark.parametrize(
    "query",
    ["start=-1", "length=0", "length=100000", "sort=output", "descending=maybe", "q=" + "x" * 300, "nonsense=1"],
)
def test_parameters_that_make_no_sense_are_refused(web: Browser, query: str) -> None:
    answer = web.get(f"{API}/jobs?{query}")
    assert answer.status_code == 400 and "make no sense" in answer.json["error"]


# --- pictures ----------------------------------------------------------------------------------------------------------------


def test_a_frame_is_shown_as_it_was_rendered(web: Browser, output: Path) -> None:
    (output / "x_0001.png").write_bytes(b"\x89PNG")
    assert web.get(f"/jobs/{JOB_ID}/frames/1").data == b"\x89PNG"


def test_a_frame_without_a_picture_of_its_own_gives_the_files_of_its_outputs(
    web: Browser, folder: DataFolder, output: Path
) -> None:
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([update("part", 1, {"output": "", "further_files": [{"output": "a.exr"}, {"output": "b.exr"}]})])
    writer.database.close()
    for name in ("a.exr", "b.exr"):
        (output / name).write_bytes(name.encode())
    assert web.get(f"/jobs/{JOB_ID}/frames/1").data == web.get(f"/jobs/{JOB_ID}/frames/1/files/0").data == b"a.exr"
    assert web.get(f"/jobs/{JOB_ID}/frames/1/files/1").data == b"b.exr"
    for beyond in ("frames/1/files/2", "pictures/1"):
        assert web.get(f"/jobs/{JOB_ID}/{beyond}").status_code == 404


def test_no_file_outside_the_output_folder_is_shown(web: Browser) -> None:
    for what in ("frames", "pictures"):
        assert web.get(f"/jobs/{JOB_ID}/{what}/3").status_code == 404


def test_a_thumbnail_is_shown(web: Browser, folder: DataFolder) -> None:
    path = folder.thumbnail("b" * 16, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"jpeg")
    assert web.get(f"/jobs/{JOB_ID}/thumbnails/1").data == b"jpeg"


def _pixel(jpeg: bytes, folder: Path) -> tuple[float, ...]:
    (folder / "seen.jpg").write_bytes(jpeg)
    return tuple(oiio.ImageBuf(str(folder / "seen.jpg")).getpixel(2, 2))


def test_linear_light_is_shown_as_screens_need_it_and_with_an_exposure(
    web: Browser, folder: DataFolder, output: Path, tmp_path: Path
) -> None:
    picture(output / "e_0001.exr", (0.18, 0.18, 0.18))
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([update("part", 1, {"output": "e_0001.exr"})])
    writer.database.close()
    plain = _pixel(web.get(f"/jobs/{JOB_ID}/pictures/1").data, tmp_path)
    brighter = _pixel(web.get(f"/jobs/{JOB_ID}/pictures/1?exposure=1").data, tmp_path)
    assert plain[0] == pytest.approx(0.461, abs=0.02) and brighter[0] == pytest.approx(0.636, abs=0.02)


def test_a_picture_that_is_no_linear_light_is_shown_as_it_is(web: Browser, output: Path, tmp_path: Path) -> None:
    picture(output / "x_0001.png", (1.0, 0.5, 0.25), (600, 300))
    answer = web.get(f"/jobs/{JOB_ID}/pictures/1?width=256")
    assert _pixel(answer.data, tmp_path) == pytest.approx((1.0, 0.5, 0.25), abs=0.03)
    assert oiio.ImageBuf(str(tmp_path / "seen.jpg")).spec().width == 256


def test_each_layer_of_an_exr_is_shown_by_itself(web: Browser, folder: DataFolder, output: Path, tmp_path: Path) -> None:
    spec = oiio.ImageSpec(8, 4, 7, oiio.FLOAT)
    spec.channelnames = (
        *(f"View.Combined.{letter}" for letter in "RGB"),
        "View.Depth.Z",
        *(f"View.Normal.{letter}" for letter in "XYZ"),
    )
    image = oiio.ImageBuf(spec)
    oiio.ImageBufAlgo.fill(image, (1.0, 0.0, 0.0, 4.0, 0.0, 1.0, 0.0))
    oiio.ImageBufAlgo.fill(image, (1.0, 0.0, 0.0, 1e10, 0.0, 1.0, 0.0), oiio.ROI(0, 1, 0, 4))
    oiio.ImageBufAlgo.fill(image, (1.0, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0), oiio.ROI(7, 8, 0, 4))
    assert image.write(str(output / "m_0001.exr"))
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([update("part", 1, {"output": "m_0001.exr"})])
    writer.database.close()
    assert web.get(f"{API}/jobs/{JOB_ID}/parts/1/layers").json == ["View.Combined", "View.Depth", "View.Normal"]
    seen = {
        name: _pixel(web.get(f"/jobs/{JOB_ID}/pictures/1?layer=View.{name}").data, tmp_path)
        for name in ("Combined", "Normal", "Depth")
    }
    assert seen["Combined"] == pytest.approx((1, 0, 0), abs=0.03) and seen["Normal"] == pytest.approx((0, 1, 0), abs=0.03)
    assert seen["Depth"] == pytest.approx((0, 0, 0), abs=0.1), "the farthest is black"
    answer = web.get(f"{API}/jobs/{JOB_ID}/pictures/1?layer=nope")
    assert answer.status_code == 404 and "it has: View.Combined, View.Depth" in answer.json["error"]


@pytest.mark.parametrize("query", ["width=5", "width=100000", "exposure=1000", "exposure=nan"])
def test_a_picture_is_made_only_in_sensible_ways(web: Browser, output: Path, query: str) -> None:
    picture(output / "x_0001.png")
    assert web.get(f"/jobs/{JOB_ID}/pictures/1?{query}").status_code == 400


def test_finished_frames_come_as_one_zip(web: Browser, output: Path) -> None:
    picture(output / "x_0001.png")
    answer = web.get(f"/jobs/{JOB_ID}/frames.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as zipped:
        assert zipped.namelist() == ["x_0001.png"] and zipped.testzip() is None
        assert zipped.read("x_0001.png") == (output / "x_0001.png").read_bytes()
    assert "shot" in answer.headers["Content-Disposition"] and "<" not in answer.headers["Content-Disposition"]


def test_finished_frames_make_a_film(web: Browser, output: Path) -> None:
    if shutil.which("ffmpeg") is None:
        missing("ffmpeg")
    picture(output / "x_0001.png", size=(64, 35))
    answer = web.get(f"/jobs/{JOB_ID}/movie.mp4?fps=12")
    assert answer.status_code == 200 and answer.data[4:8] == b"ftyp"
    assert web.get(f"/jobs/{JOB_ID}/movie.mp4?fps=0").status_code == 400


def test_one_user_has_one_film_made_at_once_and_the_dashboard_makes_two(
    app: Flask, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes all cores of the machine, which may be the server's."""
    begun, go = threading.Semaphore(0), threading.Event()

    def make(frames: Iterable[Path], fps: float, target: Path, width: int) -> int:
        begun.release()
        assert go.wait(30)
        return target.write_bytes(b"film")

    monkeypatch.setattr("dashboard.pictures.make_film", make)
    picture(output / "x_0001.png")
    film = f"/jobs/{JOB_ID}/movie.mp4"
    readers = [Browser(app, name) for name in ("vera", "anna", "walt")]
    with ThreadPoolExecutor(2) as pool:
        making = [pool.submit(reader.get, film) for reader in readers[:2]]
        assert begun.acquire(timeout=30) and begun.acquire(timeout=30)
        again, third = readers[0].get(film), readers[2].get(film)
        go.set()
        made = [each.result(30) for each in making]
    assert again.status_code == 429 and "films in the making as one user may" in again.text and again.headers["Retry-After"]
    assert third.status_code == 429 and "as many films as it may at once" in third.text
    assert [(each.status_code, each.data) for each in made] == [(200, b"film")] * 2
    for each in made:
        each.close()
    assert readers[0].get(film).status_code == 200, "what is done makes room"


def test_downloads_that_nobody_reads_are_not_begun_without_end(app: Flask, output: Path) -> None:
    picture(output / "x_0001.png")
    vera, path = Browser(app, "vera"), f"/jobs/{JOB_ID}/frames.zip"
    held = [vera.get(path, buffered=False) for _ in range(3)]
    assert [each.status_code for each in held] == [200] * 3 and vera.get(path).status_code == 429
    assert Browser(app, "anna").get(path).status_code == 200
    for each in held:
        each.close()
    answer = vera.get(path)
    assert answer.status_code == 200
    answer.close()


@pytest.mark.parametrize(
    ("gone", "seconds", "says"), [(True, 60.0, "Nobody waits"), (False, -1.0, "0 of 1 frames were in the film")]
)
def test_a_film_is_given_up_where_nobody_waits_or_it_takes_too_long(
    web: Browser, output: Path, monkeypatch: pytest.MonkeyPatch, gone: bool, seconds: float, says: str
) -> None:
    if shutil.which("ffmpeg") is None:
        missing("ffmpeg")
    monkeypatch.setattr("dashboard.pictures._FILM_SECONDS", seconds)
    picture(output / "x_0001.png", size=(64, 36))
    answer = web.get(f"/jobs/{JOB_ID}/movie.mp4", environ_overrides={"waitress.client_disconnected": lambda: gone})
    assert answer.status_code == 400 and says in answer.text


def test_without_ffmpeg_there_is_no_film_and_the_page_says_so(
    web: Browser, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(output / "x_0001.png")
    monkeypatch.setattr("brender.engines.ffmpeg.shutil.which", lambda name: None)
    answer = web.get(f"/jobs/{JOB_ID}/movie.mp4")
    assert answer.status_code == 404 and "no ffmpeg" in answer.text


def test_small_pictures_make_a_contact_sheet(web: Browser, folder: DataFolder, tmp_path: Path) -> None:
    picture(folder.thumbnail("b" * 16, 1))
    sheet = web.get(f"/jobs/{JOB_ID}/contact-sheet.jpg")
    assert sheet.status_code == 200 and sheet.data.startswith(b"\xff\xd8")


# --- changes ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("explode", {}, 404),
        ("priority", [1], 400),
        ("priority", {"value": [1]}, 400),
        ("priority", {"value": True}, 400),
        ("priority", {"value": 10**9}, 400),
        ("priority", {"worth": 1}, 400),
        ("cancel", None, 503),
    ],
)
def test_an_action_that_makes_no_sense_is_refused(
    web: Browser, path: str, body: object, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.farm.ACTION_SECONDS", 0.3)
    answer = web.post(f"{API}/jobs/{JOB_ID}/actions/{path}", body)
    assert (answer.status_code, set(answer.json)) == (status, {"error", "code"})


def test_a_worker_takes_no_unknown_action(web: Browser) -> None:
    answer = web.post(f"{API}/nodes/w/actions/explode")
    assert answer.status_code == 404 and "drain, disable, enable" in answer.json["error"]


def test_an_action_while_the_server_is_away_says_so(web: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.farm.ACTION_SECONDS", 0.3)
    answer = web.post(f"{API}/jobs/{JOB_ID}/actions/pause")
    assert answer.status_code == 503 and "did not answer" in answer.json["error"]


def test_a_body_that_is_too_large_or_no_json_is_refused(web: Browser) -> None:
    token = {"X-CSRFToken": web._token}
    large = web.app.post(f"{API}/jobs/{JOB_ID}/actions/pause", data=b'{"value": "' + b"x" * 2**21 + b'"}', headers=token)
    assert large.status_code in (400, 413)
    assert web.app.post(f"{API}/jobs/{JOB_ID}/actions/pause", data="x", headers=token).status_code == 400


def test_before_there_is_a_farm_the_page_says_how_to_start_one(tmp_path: Path) -> None:
    web = application(DataFolder(tmp_path)).test_client()
    assert "There are no users yet" in web.get("/login").text


def test_a_data_folder_named_from_here_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert DataFolder(Path("farm")).thumbnail("b" * 16, 1).is_relative_to(tmp_path)
