"""Files that travel: traced, sent once, laid out where the scene expects them, and frames that come back."""

import contextlib
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio
import pytest

from brender.api.place import Place
from brender.blendfile.packing import Packed, packed, write_zip
from brender.commands.options import client
from brender.engines.job_files import said_of_gone
from brender.model.errors import BadInput, Conflict, NotFound
from brender.model.nodes import Blender
from brender.model.symptoms import symptom_of
from tests.conftest import BLENDS, SCENES
from tests.rendering import studio
from tests.tools import can_hide, command, let_commands_ask, process, until

#: Every scene here that has a camera, and what it is rendered with beside its own settings (EEVEE takes long without a GPU, and
#: Blender Internal is no more).
RENDERABLE = {
    "gltf-blender-io/scenes/01_alpha_blend.blend": {},
    "gltf-blender-io/scenes/01_missing_textures.blend": {},
    "gltf-blender-io/scenes/03_animated_cube.blend": {},
    "gltf-blender-io/scenes/05_metallic_sphere_light.blend": {},
    "gltf-blender-io/pbr_node/glTF2.blend": {},
    "brender-1/benchmark.blend": {"engine": "cycles"},
}
#: Of these, the ones that are sent at every run: one with textures, one whose textures are missing.
FEW = ("gltf-blender-io/scenes/01_alpha_blend.blend", "gltf-blender-io/scenes/01_missing_textures.blend")


# --- packing ------------------------------------------------------------------------------------------------------------


def test_a_pack_has_what_the_scene_names_and_keeps_their_places() -> None:
    with packed(SCENES / "01_alpha_blend.blend") as pack:
        assert set(pack.files) == {"scenes/01_alpha_blend.blend", "scenes/01_alpha_blend.png", "pbr_node/glTF2.blend"}
        assert pack.main == "scenes/01_alpha_blend.blend"


@pytest.mark.parametrize("name", ["pack", "pack.zip"])
def test_a_pack_is_written_as_folder_or_zip_and_over_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / name
    said = command(capsys, "pack", SCENES / "01_alpha_blend.blend", target)
    assert said.code == 0 and "3 files" in said.out and "Missing file" in said.err
    if name.endswith("zip"):
        assert "scenes/01_alpha_blend.png" in zipfile.ZipFile(target).namelist()
    else:
        assert (target / "pbr_node" / "glTF2.blend").stat().st_size > 0
    again = command(capsys, "pack", SCENES / "01_alpha_blend.blend", target)
    assert again.code == 3 and "there already" in again.err


def test_a_file_of_1970_is_packed_into_a_zip_and_what_fails_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    old = tmp_path / "old.png"
    old.write_bytes(b"old")
    os.utime(old, (0, 0))
    write_zip(Packed("s.blend", {"s.blend": old}), tmp_path / "pack.zip")
    assert zipfile.ZipFile(tmp_path / "pack.zip").read("s.blend") == b"old"
    with pytest.raises(FileNotFoundError):
        write_zip(Packed("s.blend", {"s.blend": tmp_path / "gone"}), tmp_path / "other.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.png", "pack.zip"]


def test_a_texture_named_by_an_absolute_path_comes_along(blender: Blender, tmp_path: Path) -> None:
    """It lies nowhere near the scene: the copy of the .blend in the bundle names it where it lies there."""
    from brender.engines.command_line import script_in

    texture, file, script = tmp_path / "far" / "away.png", tmp_path / "here" / "scene.blend", tmp_path / "make.py"
    texture.parent.mkdir()
    file.parent.mkdir()
    shutil.copy(SCENES / "01_alpha_blend.png", texture)
    script.write_text(
        "import sys, bpy\nimage = bpy.data.images.load(sys.argv[-2])\nimage.use_fake_user = True\n"
        "bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1], relative_remap=False)\n"
    )
    subprocess.run([*script_in(blender, script), "--", str(texture), str(file)], check=True, capture_output=True)
    with packed(file) as pack:
        assert len(pack.files) == 2 and pack.main == "scene.blend"
        (moved,) = (path for path in pack.files if path.endswith("away.png"))
        assert moved.startswith("_outside_project/")
        assert b"//_outside_project" in pack.files[pack.main].read_bytes() or pack.files[pack.main] != file


# --- the whole way ------------------------------------------------------------------------------------------------------


@pytest.mark.blender
@pytest.mark.parametrize(
    "path",
    [*FEW, *(pytest.param(path, marks=pytest.mark.thorough) for path in RENDERABLE if path not in FEW)],
    ids=lambda path: Path(path).stem,
)
def test_a_scene_that_was_sent_renders_as_it_does_here(
    apart: tuple[Path, Path], bpy: Blender, tmp_path: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    name, more = Path(path).stem, RENDERABLE[path]
    copy = mine.parent / "private" / name
    shutil.copytree(BLENDS, copy)
    scene, options = copy / path, ("--frames", "1", "--samples", "2", "--resolution", "15", "--name", f"far-{name}")
    chosen = [word for key, value in more.items() for word in (f"--{key}", value)]
    said = command(capsys, "submit", scene, "--send", *options, *chosen, "--wait", "--data", mine, "--allow-missing")
    assert said.code == 0, said.err
    assert command(capsys, "fetch", f"far-{name}", "--to", tmp_path / "got", "--data", mine).code == 0
    with studio(tmp_path / "w", bpy) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "here", frames="1", samples=2, resolution=15, **more))
    (got,) = (tmp_path / "got").iterdir()
    here = tmp_path / "here" / outcome.parts[0].output
    pictures = [oiio.ImageBuf(str(each)).get_pixels(oiio.FLOAT) for each in (got, here)]
    assert numpy.array_equal(*pictures)


@pytest.mark.blender
def test_without_being_sent_a_scene_that_the_worker_does_not_see_cannot_be_rendered(
    apart: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the test before can fail. Another worker, which sees it, renders such a job; the first is kept off it then."""
    if not can_hide():
        pytest.skip("no process here may have mounts of its own")
    server, mine = apart
    scene = mine.parent / "private" / "unsent" / "scenes" / "03_animated_cube.blend"
    shutil.copytree(SCENES.parent, scene.parents[1])
    output = mine.parent / "unsent"
    words = ("--frames", "1", "--samples", "1", "--resolution", "5", "--output", output, "--allow-missing", "--wait")
    said = command(capsys, "submit", scene, *words, "--data", mine)
    assert said.code == 5 and said_of_gone(scene, "").partition(", ")[0] in said.err
    assert "--send sends them" in said.err, "which is said before"
    seeing = process("worker", "--name", "sees", "--keep-warm", "0", data=mine.parent / "sees", farm=server)
    with seeing, client(None, mine) as connection:
        until(lambda: [row["status"] for row in connection.ask("workers") if row["name"] == "sees"] == ["idle"])
        words = ("--frames", "1-4", "--chunk", "1", "--name", "seen-by-one", *words[2:])
        assert command(capsys, "submit", scene, *words, "--overwrite", "--data", mine).code == 0
        job = next(row["id"] for row in connection.ask("jobs") if row["name"] == "seen-by-one")
        told = connection.ask("job", id=job)
    assert (told["status"], told["completed_parts"]) == ("completed", 4)
    assert [each["worker_name"] for each in told["kept_off"]] == ["w"] and str(scene) in told["kept_off"][0]["reason"]


@pytest.mark.blender
def test_a_second_submit_sends_only_what_has_changed(
    apart: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    shutil.copytree(SCENES.parent, tmp_path / "project")
    scene = tmp_path / "project" / "scenes" / "01_alpha_blend.blend"
    # A pixel of its own, so that no other test has sent it.
    picture = oiio.ImageBuf(oiio.ImageSpec(4, 4, 3, oiio.UINT8))
    picture.write(str(scene.with_suffix(".png")))
    words = (
        "submit",
        scene,
        "--send",
        "--frames",
        "1",
        "--samples",
        "1",
        "--resolution",
        "5",
        "--paused",
        "--data",
        mine,
        "--allow-missing",
    )
    command(capsys, *words)
    oiio.ImageBufAlgo.fill(picture, (1, 0, 0))
    picture.write(str(scene.with_suffix(".png")))
    assert "3 files" in (again := command(capsys, *words).err) and "1 of them new" in again
    assert "0 of them new" in command(capsys, *words).err


@pytest.mark.blender
def test_frames_are_fetched_as_they_come_and_only_once(
    apart: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, mine = apart
    words = ("--frames", "1-3", "--samples", "1", "--resolution", "5", "--name", "watched", "--data", mine, "--allow-missing")
    command(capsys, "submit", SCENES / "03_animated_cube.blend", "--send", *words)
    said = command(capsys, "fetch", "watched", "--watch", "--to", tmp_path / "got", "--data", mine)
    assert "3 files fetched" in said.out and len(list((tmp_path / "got").iterdir())) == 3
    assert "0 files fetched" in command(capsys, "fetch", "watched", "--to", tmp_path / "got", "--data", mine).out
    with client(None, mine) as connection:
        job = connection.ask("job", id="watched")
    assert job["output"] == str(server / "frames" / job["id"]) and not list((server / "incoming").iterdir())


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The frames, by name, of the finished job "shot" that commands in this process ask for; each file has a frame of its own."""
    frames: dict[str, bytes] = {}
    job = {"id": "0e92" * 4, "name": "shot", "status": "completed", "frames_deleted": None, "fps": 24.0}
    part = {"status": "completed", "piece": 0, "layer": "", "change": 1, "further_files": [], "digest": ""}

    def answer(message: Any) -> Any:
        if message.question == "job":
            return job
        return [part | {"id": i, "frame": i, "output": n, "size": len(frames[n])} for i, n in enumerate(frames)]

    class Fetching(contextlib.nullcontext["Fetching"]):
        def fetch(self, job: str, part: int, target: Path, *_: object) -> None:
            target.write_bytes(list(frames.values())[part])

        def __enter__(self) -> "Fetching":
            return self

    let_commands_ask(answer, monkeypatch)
    monkeypatch.setattr("brender.api.place.Place.exchange", lambda *_: Fetching())
    return frames


def test_fetch_replaces_no_file_of_other_content_unless_it_is_told_to(
    served: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served |= {"0001.png": b"one", "0002.png": b"two", "0003.png": b"three"}
    (tmp_path / "0001.png").write_bytes(b"one")
    (tmp_path / "0003.png").write_bytes(b"another job's")
    refused = command(capsys, "fetch", "shot", "--to", tmp_path)
    assert refused.code == 3 and "1 file in" in refused.err and ": 0003.png. Nothing was fetched" in refused.err
    assert "--to FOLDER" in refused.err and "--replace" in refused.err
    assert (tmp_path / "0003.png").read_bytes() == b"another job's" and not (tmp_path / "0002.png").exists()
    assert "3 files fetched" in command(capsys, "fetch", "shot", "--to", tmp_path / "other").out
    assert "2 files fetched" in command(capsys, "fetch", "shot", "--to", tmp_path, "--replace").out
    assert (tmp_path / "0003.png").read_bytes() == b"three"


def test_fetch_says_which_files_are_not_what_the_job_rendered_any_more(
    served: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changed(contextlib.nullcontext["Changed"]):
        def fetch(self, job: str, part: int, target: Path, *_: object) -> None:
            target.write_bytes(b"one" if part == 0 else b"another job's")

        def __enter__(self) -> "Changed":
            return self

    served |= {"0001.png": b"one", "0002.png": b"two"}
    monkeypatch.setattr("brender.api.place.Place.exchange", lambda *_: Changed())
    said = command(capsys, "fetch", "shot", "--to", tmp_path / "got")
    assert said.code == Conflict.exit_code and "2 files fetched" in said.out
    assert "1 file of the job shot" in said.err and "0002.png" in said.err and symptom_of(said.err) == "not-the-files"


def test_fetch_names_three_of_the_files_that_are_in_its_way(
    served: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 6):
        served[f"{number}.png"] = b"new"
        (tmp_path / f"{number}.png").write_bytes(b"another")
    assert "5 files in" in (said := command(capsys, "fetch", "shot", "--to", tmp_path).err)
    assert "1.png, 2.png, 3.png and 2 more" in said


def test_fetch_replaces_no_film_either(served: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served["1.png"] = b"new"
    (tmp_path / "shot.mp4").write_bytes(b"film")
    refused = command(capsys, "fetch", "shot", "--to", tmp_path / "got", "--movie", tmp_path / "shot.mp4")
    assert refused.code == 3 and "--replace" in refused.err and not (tmp_path / "got").exists()
    assert (tmp_path / "shot.mp4").read_bytes() == b"film"


@pytest.mark.blender
def test_a_job_is_archived_to_one_zip_with_its_log_and_frames(
    apart: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    words = ("--frames", "1-2", "--samples", "1", "--resolution", "5", "--name", "kept", "--allow-missing", "--wait")
    command(capsys, "submit", SCENES / "03_animated_cube.blend", "--send", *words, "--data", mine)
    with client(None, mine) as connection:
        attempts = [attempt["id"] for attempt in connection.ask("attempts", job="kept")]
        until(lambda: all("frame" in connection.ask("log", job="kept", attempt=each)["text"] for each in attempts))
    said = command(capsys, "archive", "kept", tmp_path / "kept.zip", "--data", mine)
    assert said.code == 0 and "2 files" in said.out
    with zipfile.ZipFile(tmp_path / "kept.zip") as zipped:
        record = json.loads(zipped.read("job.json"))
        assert record["job"]["name"] == "kept" and record["job"]["settings"]["frames"] == "1-2"
        frames = [name for name in zipped.namelist() if name.startswith("frames/")]
        assert len(frames) == 2 and zipped.read(frames[0]).startswith(b"\x89PNG")
        assert any(b"frame 2" in zipped.read(name) for name in zipped.namelist() if name.startswith("logs/"))
    again = command(capsys, "archive", "kept", tmp_path / "kept.zip", "--data", mine)
    assert again.code == 3 and "there already" in again.err


def test_a_job_whose_files_never_came_is_refused(apart: tuple[Path, Path]) -> None:
    from brender.api.jobspec import blender_job

    _, mine = apart
    scene = SCENES / "03_animated_cube.blend"
    options = {"output": None, "name": None, "trusted": False, "frames": "1"}
    spec = blender_job(scene, options, bundle="a" * 64, main="scenes/x.blend")
    with client(None, mine) as connection, pytest.raises(BadInput, match=r"not on the server.*submit it again"):
        connection.submit(spec)


@pytest.mark.parametrize("words", [("submit", "--send"), ("submit",), ("render",)])
def test_missing_files_are_named_with_who_uses_them_before_anything_is_done(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = command(capsys, words[0], SCENES / "01_missing_textures.blend", *words[1:])
    assert said.code == 2 and "missing: " in said.err and "used by image" in said.err and "--allow-missing" in said.err


def test_a_frame_that_is_not_there_is_said_so(apart: tuple[Path, Path]) -> None:
    _, mine = apart
    with Place(None, mine).exchange() as files, pytest.raises(NotFound, match="not rendered"):
        files.fetch("a" * 16, 7, mine / "x")


@pytest.mark.blender
def test_a_still_that_was_sent_is_split_and_merged_far_away(
    apart: tuple[Path, Path], bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    scene = mine.parent / "private" / "still" / "scenes" / "03_animated_cube.blend"
    shutil.copytree(SCENES.parent, scene.parents[1])
    words = (
        "--frames",
        "3",
        "--engine",
        "cycles",
        "--samples",
        "4",
        "--resolution",
        "10",
        "--format",
        "OPEN_EXR",
        "--name",
        "still",
    )
    said = command(capsys, "submit", scene, "--send", "--pieces", "4", *words, "--wait", "--data", mine, "--allow-missing")
    assert said.code == 0, said.err
    assert "1 file fetched" in command(capsys, "fetch", "still", "--to", tmp_path / "got", "--data", mine).out
    with studio(tmp_path / "w", bpy) as worker:
        whole = worker.job(scene, tmp_path / "here", frames="3", engine="cycles", samples=4, resolution=10, format="OPEN_EXR")
        outcome = worker.run(whole)
    (got,) = (tmp_path / "got").iterdir()
    here = tmp_path / "here" / outcome.parts[0].output
    pictures = [oiio.ImageBuf(str(each)).get_pixels(oiio.FLOAT) for each in (got, here)]
    assert numpy.abs(pictures[0] - pictures[1]).max() <= 1e-5
