"""Submitting at the dashboard: uploads, files of a project's folder, what the file says, and what is refused."""

import contextlib
import hashlib
import io
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from flask import Flask

from brender.blendfile.facts import inspect
from brender.blendfile.packing import packed
from brender.blendfile.through_blender import collected_through_blender, facts_through_blender, outside_place
from brender.model.job import FileFacts, JobSpec, MissingFile
from brender.model.nodes import Blender
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.uploads import files_folder
from tests.conftest import SCENES
from tests.rows import new, put
from tests.test_store import JOB
from tests.web import Browser, application, make_users, serve_in_process
from tests.world import facts

API = "/api/v1"
CUBE = SCENES / "03_animated_cube.blend"
PROGRAM = {"job_type": "command", "settings": {"program": "true"}}
VIDEO = {"job_type": "video", "settings": {"pictures": "/a/f_####.png", "frames": "1-3"}, "output": "/tmp/film"}
TEMPLATE = {"template": {"name": "once.json", "text": (Path(__file__).parent / "templates" / "once.json").read_text()}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the project film; beside it lies what nobody is to see."""
    folder = tmp_path / "film"
    shutil.copytree(SCENES.parent, folder / "shots")
    (tmp_path / "secret.blend").write_bytes(CUBE.read_bytes())
    (folder / "notes.txt").write_text("not a .blend")
    (folder / "out").symlink_to(tmp_path)
    return folder


@pytest.fixture
def app(folder: DataFolder, root: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr("dashboard.farm.ACTION_SECONDS", 0.05)
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([put("project", "film", {"root": str(root)}), put("project", "bare", {})])
    writer.database.close()
    return application(folder)


def _upload(browser: Browser, *files: tuple[str, bytes]) -> dict[str, object]:
    answer = browser.upload(**{f"f{number}": (name, io.BytesIO(content)) for number, (name, content) in enumerate(files)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def _kept(folder: DataFolder, made: dict[str, object], file: str) -> Path:
    """Return where *file* of the upload *made* lies."""
    return files_folder(folder.root / "uploads" / str(made["upload"])) / file


def test_a_folder_of_a_project_is_listed_without_what_is_no_blend_or_leads_out(app: Flask) -> None:
    told = Browser(app, "anna").get(f"{API}/files?project=film").json
    assert [each["name"] for each in told["files"]] == ["shots"]
    told = Browser(app, "walt").get(f"{API}/files?project=film&folder=shots/scenes").json
    assert "03_animated_cube.blend" in [each["name"] for each in told["files"]]


@pytest.mark.parametrize("path", ["..", "../..", "/etc", "shots/../..", "out", "shots/\0"])
def test_no_path_climbs_out_of_the_project_s_folder(app: Flask, path: str) -> None:
    answer = Browser(app, "anna").get(f"{API}/files", query_string={"project": "film", "folder": path})
    assert answer.status_code == 400 and "leads out" in answer.json["error"]


@pytest.mark.parametrize("file", ["../secret.blend", "out/secret.blend", "/etc/passwd"])
def test_no_file_outside_is_looked_into(app: Flask, file: str) -> None:
    answer = Browser(app, "anna").post(f"{API}/inspect", {"project": "film", "file": file})
    assert answer.status_code == 400 and "leads out" in answer.json["error"]


@pytest.mark.parametrize("project", ["bare", "nowhere"])
def test_a_project_without_a_folder_has_none_to_pick_from(app: Flask, project: str) -> None:
    assert Browser(app, "anna").get(f"{API}/files?project={project}").status_code == 404


def test_what_a_file_says_is_told(app: Flask) -> None:
    told = Browser(app, "anna").post(f"{API}/inspect", {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}).json
    assert told["scenes"][0]["name"] == "Scene" and told["cameras"] == ["Camera"] and "PNG" in told["formats"]
    assert any("field.hdr" in each["path"] for each in told["missing"])


def test_the_preview_that_blender_keeps_in_a_file_is_shown(app: Flask) -> None:
    browser, shots = Browser(app, "anna"), "shots/scenes"
    where = {"project": "film", "file": f"{shots}/03_animated_cube.blend"}
    assert browser.post(f"{API}/inspect", where).json["preview"]
    answer = browser.get(f"{API}/preview", query_string=where)
    assert answer.mimetype == "image/png" and answer.data[16:24] == (128).to_bytes(4) * 2
    without = {"project": "film", "file": f"{shots}/01_linked_collection.blend"}
    answer = browser.get(f"{API}/preview", query_string=without)
    assert answer.status_code == 404 and "01_linked_collection.blend has no preview" in answer.json["error"]
    assert Browser(app, "vera").get(f"{API}/preview", query_string=where).status_code == 403


def test_a_program_that_has_the_file_open_asks_what_it_comes_to_and_sends_nothing(app: Flask, folder: DataFolder) -> None:
    scene = {"name": "Scene", "first": 1, "last": 240, "width": 1920, "height": 1080, "percent": 100, "engine": "CYCLES"}
    scene |= {"image_format": "PNG", "camera": "Camera", "output": "//shot_"}
    facts = {"path": "//shot.blend", "version": [5, 0], "active_scene": "Scene", "scenes": [scene], "cameras": ["Camera"]}
    job = {"facts": facts, "settings": {}, "output": "/renders"}
    told = Browser(app, "anna").post(f"{API}/estimate", job).json
    assert (told["frames"], told["output"], told["owner"]) == (240, "/renders", None)
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([put("project", "default", {}), new("job", "e" * 16, JOB | {"name": "the first"})])
    writer.commit([new("output_owner", ("/renders", "shot_####.png"), {"job": "e" * 16})])
    writer.database.close()
    assert Browser(app, "anna").post(f"{API}/estimate", job).json["owner"] == "the first"
    assert Browser(app, "anna").post(f"{API}/jobs", job).status_code == 400, "it is no submission"


def test_what_the_farm_has_is_not_uploaded_again(app: Flask, folder: DataFolder) -> None:
    anna, content = Browser(app, "anna"), CUBE.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    blob = folder.blob(digest)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(content)
    files = [
        {"path": "shot.blend", "digest": digest, "size": len(content)},
        {"path": "../textures/new.png", "digest": "a" * 64, "size": 3},
        {"path": "changed.blend", "digest": digest, "size": len(content) + 1},
    ]
    told = anna.post(f"{API}/uploads/offer", {"files": files}).json
    assert told["lacks"] == ["../textures/new.png", "changed.blend"]
    kept = _kept(folder, told, "shot.blend")
    assert kept.read_bytes() == content and not kept.samefile(blob)
    again = anna.post(f"{API}/uploads/offer", {"upload": told["upload"], "files": files[1:]}).json
    assert again == {"upload": told["upload"], "lacks": ["../textures/new.png", "changed.blend"]}
    assert Browser(app, "walt").post(f"{API}/uploads/offer", {"upload": told["upload"], "files": []}).status_code == 404
    assert anna.post(f"{API}/uploads/offer", {"files": [files[0], files[0]]}).status_code == 400
    for path in ("/etc/x", "a/../../../x", "../" * 9 + "x"):
        assert anna.post(f"{API}/uploads/offer", {"files": [files[0] | {"path": path}]}).status_code == 400, path


def test_an_uploaded_file_is_looked_into_once_and_again_when_more_has_come(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, looked = Browser(app, "anna"), list[Path]()

    def look(path: Path, within: Path | None) -> FileFacts:
        looked.append(path)
        return said

    said = msgspec.structs.replace(facts(), needs_trust=("a driver",))  # (so that it is refused, and no server asked)
    monkeypatch.setattr("dashboard.sources.inspect", look)
    made = _upload(anna, ("shot.blend", CUBE.read_bytes()))
    source = {"upload": made["upload"], "file": "shot.blend"}
    assert anna.post(f"{API}/inspect", source).status_code == 200
    for _ in range(2):
        anna.post(f"{API}/estimate", {"source": source})
        assert anna.post(f"{API}/jobs", {"source": source}).status_code == 400
    assert len(looked) == 1
    assert anna.upload(into=str(made["upload"]), f=("gone.png", io.BytesIO(b"x"))).status_code == 200
    anna.post(f"{API}/inspect", source)
    assert len(looked) == 2
    shared = {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}
    for _ in range(2):
        anna.post(f"{API}/inspect", shared)
    assert len(looked) == 4, "others may change what lies beside it"


def test_a_job_keeps_the_id_that_a_program_chose_and_nobody_else_s(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_in_process(folder, monkeypatch)
    job = {"id": "b" * 16, "job_type": "command", "settings": {"program": "true"}, "name": "once"}
    anna, walt = Browser(app, "anna"), Browser(app, "walt")
    assert [anna.post(f"{API}/jobs", job).json["id"] for _ in range(2)] == ["b" * 16] * 2
    assert anna.get(f"{API}/jobs").json["total"] == 1
    assert walt.post(f"{API}/jobs", job).status_code == 403


def test_a_template_gets_a_parameter_that_is_given_as_empty_and_nothing_else_beside_it(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_in_process(folder, monkeypatch)
    anna = Browser(app, "anna")
    step = "{name: A, script: {actions: {onRun: {command: echo, args: ['{{Param.Word}}']}}}}"
    text = (
        "specificationVersion: jobtemplate-2023-09\nname: x\nparameterDefinitions: [{name: Word, type: STRING, default: '-v'}]\n"
    )
    template = {"name": "a.yaml", "text": f"{text}steps: [{step}]\n"}
    made = [anna.post(f"{API}/jobs", {"template": template, "settings": {"Word": word}}).json["id"] for word in ("", None)]
    assert [anna.get(f"{API}/jobs/{each}").json["settings"]["given"] for each in made] == [["Word: "], ["Word: -v"]]
    source = {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}
    for route, more in (
        ("jobs", {"source": source}),
        ("jobs", {"again": made[0]}),
        ("estimate", {"facts": msgspec.to_builtins(facts())}),
    ):
        answer = anna.post(f"{API}/{route}", {"template": template, **more})
        assert answer.status_code == 400 and f"template and {next(iter(more))}" in answer.json["error"]
    answer = anna.post(f"{API}/jobs", {"source": source, "again": made[0]})
    assert answer.status_code == 400 and "source and again" in answer.json["error"]


def test_what_a_job_will_come_to_is_told_by_earlier_ones(app: Flask, folder: DataFolder) -> None:
    browser = Browser(app, "anna")
    job = {"source": {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}, "settings": {"frames": "1-10"}}
    told = browser.post(f"{API}/estimate", job | {"output": "/renders"}).json
    assert (told["frames"], told["tasks"], told["output"], told["time"]) == (10, 10, "/renders", None)
    spec = {"job_type": "blender-animation", "settings": {"file": "/f/03_animated_cube.blend", "scene": "Scene"}}
    scene = {"name": "Scene", "engine": "CYCLES", "width": 1920, "height": 1080, "percent": 50, "samples": 128}
    done = {"status": "completed", "completed_parts": 4, "render_seconds": 12.0, "facts": {"scenes": [scene]}}
    with contextlib.closing(open_for_writing(str(folder.database))) as database:
        node = {"incarnation": 1, "name": "render-1", "status": "idle", "last_seen": 1.0}
        blender = {"kind": "bpy", "path": "/b", "version": "5.0.1", "file_subversion": 0}
        worker = node | {"manager": "m", "job_types": ["blender-animation"], "blenders": [blender], "extra_tags": ["night"]}
        rows = [put("project", "default", {}), new("job", "e" * 16, JOB | spec | done)]
        rows += [put("manager", "m", node), put("worker", "w", worker)]
        Writer(database).commit(rows)
    told = browser.post(f"{API}/estimate", job | {"output": "/renders"}).json
    assert told["workers"] == 1 and told["time"]["seconds"] == 30.0 and told["time"]["same_file"]
    for more, workers in (
        ({"tags": ["night"]}, 1),
        ({"tags": ["nope"]}, 0),
        ({"settings": {"device": "gpu"}}, 0),
        ({"settings": {"blender": "9.9"}}, 0),
        ({"trusted": True}, 0),
        ({"output": "{nowhere}/a"}, 0),
    ):
        told = browser.post(f"{API}/estimate", job | {"output": "/renders"} | more).json
        assert told["workers"] == workers and (told["time"] is None) is (workers == 0), more
    made = _upload(browser, ("a.blend", CUBE.read_bytes()), ("one.py", b"bl_info = {'name': 'One'}"))
    sent = {"source": {"upload": made["upload"], "file": "a.blend"}, "settings": job["settings"]}
    counted = [browser.post(f"{API}/estimate", sent | {"addons": addons}).json["workers"] for addons in ([], ["one.py"])]
    assert counted == [1, 0], "its owner lets no add-ons of jobs run there"
    wrong = browser.post(f"{API}/estimate", job | {"output": "/renders", "settings": {"frames": "x"}})
    assert wrong.status_code == 400 and "'x' is not a frame set" in wrong.json["error"]


def test_a_missing_file_is_added_to_an_upload_where_its_blend_looks_for_it(app: Flask, folder: DataFolder) -> None:
    browser = Browser(app, "anna")
    made = _upload(browser, ("scenes/a.blend", CUBE.read_bytes()))
    where = {"upload": made["upload"], "file": "scenes/a.blend"}
    missing = browser.post(f"{API}/inspect", where).json["missing"]
    assert ("environments/field.hdr", "//../environments/field.hdr") in [(each["place"], each["path"]) for each in missing]
    answer = browser.upload(into=str(made["upload"]), f=("environments/field.hdr", io.BytesIO(b"x")))
    assert answer.json["blends"] == [] and _kept(folder, made, "environments/field.hdr").exists()
    assert "environments/field.hdr" not in [each["place"] for each in browser.post(f"{API}/inspect", where).json["missing"]]
    foreign = Browser(app, "walt").upload(into=str(made["upload"]), f=("a.hdr", io.BytesIO(b"x")))
    assert foreign.status_code == 404


def test_a_missing_file_from_above_its_folder_is_added_and_sent(app: Flask, folder: DataFolder) -> None:
    browser = Browser(app, "anna")
    made = _upload(browser, ("a.blend", CUBE.read_bytes()))
    where = {"upload": made["upload"], "file": "a.blend"}
    missing = browser.post(f"{API}/inspect", where).json["missing"]
    place = {each["path"]: each["place"] for each in missing}["//../pbr_node/glTF2.blend"]
    library = (SCENES.parent / "pbr_node" / "glTF2.blend").read_bytes()
    assert browser.upload(into=str(made["upload"]), f=(place, io.BytesIO(library))).status_code == 200
    told = browser.post(f"{API}/inspect", where).json
    assert "//../pbr_node/glTF2.blend" not in [each["path"] for each in told["missing"]]
    upload = folder.root / "uploads" / str(made["upload"])
    with packed(_kept(folder, made, "a.blend"), upload) as pack:
        assert "pbr_node/glTF2.blend" in pack.files and not any(str(folder.root) in path for path in pack.files)
    for name in ("../" * 7 + "b.png", "../c/../../d.png", "../" * 6 + "../x/b.png"):
        assert browser.upload(into=str(made["upload"]), f=(name, io.BytesIO(b"x"))).status_code == 400, "beyond the upload"


def test_a_file_that_is_named_by_an_absolute_path_is_taken_from_its_place_in_the_upload(tmp_path: Path) -> None:
    absolute = "P:\\tex\\wood.png"
    named = {"path": absolute, "absolute": absolute, "user": "image wood", "library": "", "files": [], "missing": [absolute]}
    written: dict[str, str] = {}

    def ask(file: Path, copy: Path | None = None, names: dict[str, str] | None = None) -> dict[str, object]:
        written.update(names or {})
        return {"active": "", "scenes": [], "cameras": [], "needs_trust": [], "paths": [named]}

    reader: Any = SimpleNamespace(ask=ask, blender=Blender("bpy", "", (5, 0, 1)))
    blend = tmp_path / "above" / "a.blend"
    blend.parent.mkdir()
    blend.write_bytes(b"BLENDER17-01v0500")
    (missing,) = facts_through_blender(reader, blend, (5, 0), tmp_path).missing
    assert missing.path == absolute
    put = tmp_path / outside_place(absolute)
    put.parent.mkdir(parents=True)
    put.write_bytes(b"y")
    assert facts_through_blender(reader, blend, (5, 0), tmp_path).missing == ()
    with collected_through_blender(reader, blend, tmp_path) as collected:
        assert collected.files[outside_place(absolute)] == put and collected.main == "a.blend"
    assert written == {absolute: f"//{outside_place(absolute)}"}


def test_an_upload_keeps_its_files_beside_each_other(app: Flask, folder: DataFolder) -> None:
    browser = Browser(app, "anna")
    made = _upload(browser, ("scenes/a.blend", CUBE.read_bytes()), ("pbr_node/glTF2.blend", b"x"), ("scenes/t.png", b"y"))
    assert made["blends"] == ["scenes/a.blend", "pbr_node/glTF2.blend"]
    assert _kept(folder, made, "scenes/t.png").read_bytes() == b"y"


@pytest.mark.parametrize("name", ["../a.blend", "/a.blend", "a/../../b.blend", "con/a.blend", "x" * 300 + ".blend"])
def test_a_name_that_leads_out_is_not_taken_and_nothing_is_kept(app: Flask, folder: DataFolder, name: str) -> None:
    answer = Browser(app, "anna").upload(f=(name, io.BytesIO(b"x")))
    assert answer.status_code == 400 and not list((folder.root / "uploads").glob("*/*"))


def test_an_upload_may_have_thousands_of_files(app: Flask) -> None:
    files = [(f"tex/{number}.png", b"x") for number in range(1500)]
    assert _upload(Browser(app, "anna"), ("a.blend", CUBE.read_bytes()), *files)["blends"] == ["a.blend"]


def test_an_upload_may_be_large_and_other_bodies_may_not(app: Flask) -> None:
    browser = Browser(app, "anna")
    assert _upload(browser, ("a.blend", CUBE.read_bytes()), ("large.exr", b"x" * 5 * 2**20))["blends"] == ["a.blend"]
    assert browser.post(f"{API}/jobs", {"name": "x" * 2**21}).status_code == 413


def test_who_may_not_submit_uploads_nothing(app: Flask, folder: DataFolder) -> None:
    answer = Browser(app, "vera").upload(f=("a.blend", io.BytesIO(b"x" * 5 * 2**20)))
    assert answer.status_code == 403 and not (folder.root / "uploads").exists()


def test_an_upload_without_a_blend_is_refused(app: Flask) -> None:
    answer = Browser(app, "anna").upload(f=("a.png", io.BytesIO(b"x")))
    assert answer.status_code == 400 and "no .blend" in answer.json["error"]


def test_an_upload_is_its_user_s_own(app: Flask) -> None:
    made = _upload(Browser(app, "anna"), ("a.blend", CUBE.read_bytes()))
    where = {"upload": made["upload"], "file": "a.blend"}
    assert Browser(app, "anna").post(f"{API}/inspect", where).status_code == 200
    assert Browser(app, "walt").post(f"{API}/inspect", where).status_code == 404


def test_a_blend_that_was_uploaded_learns_nothing_of_this_machine_s_files(app: Flask, folder: DataFolder) -> None:
    """It names ../pbr_node/glTF2.blend and its textures: what lies there, outside of the upload, counts as missing."""
    there = folder.root / "uploads" / "pbr_node" / "glTF2.blend"
    there.parent.mkdir(parents=True)
    shutil.copy(SCENES.parent / "pbr_node" / "glTF2.blend", there)
    browser = Browser(app, "anna")
    made = _upload(browser, ("a.blend", CUBE.read_bytes()))
    source = {"upload": made["upload"], "file": "a.blend"}
    answer = browser.post(f"{API}/inspect", source)
    assert "//../pbr_node/glTF2.blend" in [each["path"] for each in answer.json["missing"]]
    refused = browser.post(f"{API}/jobs", {"source": source})
    damaged = _upload(browser, ("b.blend", CUBE.read_bytes()[:999]))
    unreadable = browser.post(f"{API}/inspect", {"upload": damaged["upload"], "file": "b.blend"})
    assert "are missing: " in refused.json["error"] and unreadable.status_code == 400
    assert not any(str(folder.root) in each.text for each in (answer, refused, unreadable))


@pytest.mark.parametrize(
    ("ocio", "says"),
    [
        ("../../../secret.blend", "leads out of the folder"),
        ("/etc/passwd", "leads out of the folder"),
        ("color/none.ocio", "There is no OCIO configuration"),
        ("color/damaged.ocio", "cannot be read"),
    ],
)
def test_an_uploaded_color_configuration_is_looked_into_before_anything_is_sent(app: Flask, ocio: str, says: str) -> None:
    browser = Browser(app, "anna")
    made = _upload(browser, ("a.blend", CUBE.read_bytes()), ("color/damaged.ocio", b"garbage: ["))
    source = {"upload": made["upload"], "file": "a.blend"}
    for way in ("jobs", "estimate"):
        answer = browser.post(f"{API}/{way}", {"source": source, "settings": {"ocio": ocio}, "allow_missing": True})
        assert answer.status_code == 400 and says in answer.json["error"]
        assert str(made["upload"]) not in answer.json["error"]


def test_a_missing_file_of_an_upload_is_named_as_its_blend_names_it_however_far_away(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by where this machine keeps uploads, which says nothing to who dropped the file."""
    browser = Browser(app, "anna")
    upload = _upload(browser, ("shot.blend", CUBE.read_bytes()))["upload"]
    assert all(each.is_relative for each in inspect(CUBE).missing)

    def found(path: Path, *_: object, **__: object) -> FileFacts:
        far = Path(os.path.normpath(path.parent / "../../../../wood.png"))
        missing = (MissingFile(str(far), "image wood", is_relative=True), MissingFile("/home/anna/oak.png", "image oak"))
        return msgspec.structs.replace(facts(), missing=missing)

    monkeypatch.setattr("dashboard.v1.files.inspected", found)
    told = browser.post(f"{API}/inspect", {"upload": upload, "file": "shot.blend"}).json
    assert [each["path"] for each in told["missing"]] == ["//../../../../wood.png", "/home/anna/oak.png"]


def test_missing_files_are_named_before_a_job_is_submitted_unless_they_are_allowed(app: Flask) -> None:
    browser = Browser(app, "anna")
    source = {"project": "film", "file": "shots/scenes/01_missing_textures.blend"}
    job = {"source": source, "output": "/tmp/nowhere", "settings": {"frames": "1"}}
    answer = browser.post(f"{API}/jobs", job)
    assert answer.status_code == 400 and "MissingTexture.png" in answer.json["error"] and "allow" in answer.json["error"]
    assert browser.post(f"{API}/jobs", job | {"allow_missing": True}).status_code == 503, "no server runs here"


def test_the_folder_of_a_job_is_told_to_the_server_without_links_and_with_what_is_to_be_made_of_it(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[JobSpec] = []
    server = SimpleNamespace(submit=lambda spec: told.append(spec) or {})
    monkeypatch.setattr("dashboard.farm.Farm.client", lambda farm: contextlib.nullcontext(server))
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    job = {"source": {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}, "settings": {"frames": "1"}}
    for way in ("out", "link", "out/../out"):
        Browser(app, "anna").post(f"{API}/jobs", job | {"output": f"{tmp_path}/{way}", "allow_missing": True})
    assert [spec.output for spec in told] == [str(tmp_path / "out")] * 3
    told.clear()
    for path in ("new/deep/v1", "new/deep"):
        Browser(app, "anna").post(f"{API}/estimate", job | {"output": f"{tmp_path}/{path}", "allow_missing": True})
        Browser(app, "anna").post(f"{API}/jobs", job | {"output": f"{tmp_path}/{path}", "allow_missing": True})
    assert [(spec.made_output, spec.made_above) for spec in told] == [(True, 2), (True, 1)]
    assert not (tmp_path / "new").exists(), "workers make it, once they have something to put there"


def test_a_file_that_needs_trust_is_refused_until_that_is_chosen(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(*path: object) -> FileFacts:
        return msgspec.structs.replace(facts(), needs_trust=("the text 'rig.py' (registered)",))

    monkeypatch.setattr("dashboard.sources.inspect", inspect)
    browser = Browser(app, "anna")
    source = {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}
    assert browser.post(f"{API}/inspect", source).json["needs_trust"] == ["the text 'rig.py' (registered)"]
    job = {"source": source, "output": "/tmp/nowhere", "settings": {"frames": "1"}}
    answer = browser.post(f"{API}/jobs", job)
    assert answer.status_code == 400 and "'rig.py'" in answer.json["error"] and "Trust it" in answer.json["error"]
    for chosen in (True, False):
        assert browser.post(f"{API}/jobs", job | {"trusted": chosen}).status_code == 503, "no server runs here"


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"settings": {}}, "needs its .blend"),
        ({"job_type": "nonsense"}, "nonsense"),
        ({"job_type": "command", "settings": {"nonsense": 1}}, "has no setting 'nonsense'"),
        ({"job_type": "command", "settings": {"program": 3}}, "takes text"),
        (PROGRAM | {"overwrite": True, "trusted": True}, 'has no .blend: leave out "overwrite" and "trusted"'),
        (PROGRAM | {"trusted": False, "site_addons": False}, 'has no .blend: leave out "trusted" and "site_addons"'),
        (VIDEO | {"allow_missing": True}, 'A job of the type video has no .blend: leave out "allow_missing"'),
        (PROGRAM | {"source": {"file": "a.blend", "project": "film"}}, 'has no .blend: leave out "source"'),
        (TEMPLATE | {"trusted": True}, 'has no .blend: leave out "trusted"'),
        (TEMPLATE | {"job_type": "video"}, """leave out "job_type", which is 'video'"""),
        (PROGRAM | {"test": True}, 'leave out "test"'),
        ({"priority": 1000}, "make"),
        ({"source": {"file": "a.blend"}}, "of an upload, or of a project"),
        (
            {"source": {"file": "shots/scenes/03_animated_cube.blend", "project": "film"}, "allow_missing": True},
            "The scene names a temporary place (/tmp/): name a folder",
        ),
        (
            {
                "source": {"file": "shots/scenes/03_animated_cube.blend", "project": "film"},
                "allow_missing": True,
                "output": "relative",
            },
            "not an absolute path",
        ),
        ({"unknown": 1}, "make"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_in_a_sentence(app: Flask, job: dict[str, object], says: str) -> None:
    for way in ("jobs", "estimate"):
        answer = Browser(app, "anna").post(f"{API}/{way}", job)
        assert answer.status_code in (400, 404) and says in answer.json["error"] and "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("addons", "says"),
    [
        (["../../../secret.blend"], "leads out of the folder"),
        (["none.zip"], "The add-on none.zip cannot be read"),
        (["."], "The add-on '.' is the whole upload: name the file"),
        (["a.blend"], "a.blend is no Blender add-on"),
        (["one.py", "one.py"], "are both called one in Blender"),
    ],
)
def test_an_add_on_that_came_with_an_upload_is_looked_into_before_anything_is_sent(
    app: Flask, addons: list[str], says: str
) -> None:
    browser = Browser(app, "anna")
    made = _upload(browser, ("a.blend", CUBE.read_bytes()), ("one.py", b"bl_info = {'name': 'One'}"))
    job = {"source": {"upload": made["upload"], "file": "a.blend"}, "addons": addons, "allow_missing": True}
    for way in ("jobs", "estimate"):
        answer = browser.post(f"{API}/{way}", job)
        assert answer.status_code == 400 and says in answer.json["error"], answer.text
        assert str(made["upload"]) not in answer.json["error"] and "above" not in answer.json["error"]


def test_add_ons_are_for_uploads_that_are_rendered_alone(app: Flask) -> None:
    for job in ({"job_type": "command", "settings": {"program": "true"}}, {"source": {"project": "film", "file": "a.blend"}}):
        answer = Browser(app, "anna").post(f"{API}/jobs", job | {"addons": ["one.py"]})
        assert answer.status_code == 400 and "Add-ons are for a .blend that is uploaded" in answer.json["error"]


def test_a_folder_that_is_named_as_blender_names_files_is_refused_with_the_options_that_mean_it(
    app: Flask, tmp_path: Path
) -> None:
    source = {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}
    job = {"source": source, "allow_missing": True, "output": f"{tmp_path}/take/name_####"}
    for way in ("jobs", "estimate"):
        for test in (False, True):
            answer = Browser(app, "anna").post(f"{API}/{way}", job | {"test": test})
            assert answer.status_code == 400 and f"--output {tmp_path}/take " in answer.json["error"]
            assert answer.json["error"].endswith("--pattern name_####")
    assert not (tmp_path / "take").exists()
    for folder in (f"{tmp_path}/C#/renders", f"{tmp_path}/a##b"):
        Path(folder).mkdir(parents=True)
        assert Browser(app, "anna").post(f"{API}/estimate", job | {"output": folder}).status_code == 200


def test_two_slashes_before_a_folder_mean_the_folder_of_the_blend_as_in_blender(app: Flask, root: Path) -> None:
    anna, output = Browser(app, "anna"), {"output": "//beauty/v1", "allow_missing": True}
    there = {"source": {"project": "film", "file": "shots/scenes/03_animated_cube.blend"}}
    assert anna.post(f"{API}/estimate", there | output).json["output"] == f"{root}/shots/scenes/beauty/v1"
    upload = {"source": {"upload": _upload(anna, ("a.blend", CUBE.read_bytes()))["upload"], "file": "a.blend"}}
    answer = anna.post(f"{API}/jobs", upload | output)
    assert answer.status_code == 400 and answer.json["error"].startswith("//beauty/v1 is a folder beside")
