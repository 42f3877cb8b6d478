"""Scenes that are set to write a movie: their frames are rendered apart, and the last task makes the film that Blender would."""

import subprocess
from pathlib import Path

import pytest

import brender.engines
from brender.jobs.declare import job_type
from brender.model.nodes import Blender
from tests.rendering import studio
from tests.tools import in_blender

_SCENE = """
import bpy, math, struct, wave
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
render = scene.render
render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
render.resolution_x, render.resolution_y, render.fps = 48, 32, 30
render.fps_base = 1.001
scene.frame_start, scene.frame_end = 3, 8
thing = bpy.data.objects["Cube"]
thing.keyframe_insert("location", frame=3)
thing.location.x = 2
thing.keyframe_insert("location", frame=8)
with wave.open({sound!r}, "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(48000)
    file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 17))) for i in range(9000)))
editor = scene.sequence_editor_create()
(editor.strips if hasattr(editor, "strips") else editor.sequences).new_sound("tone", {sound!r}, 1, 4)
if hasattr(render.image_settings, "media_type"):
    render.image_settings.media_type = "VIDEO"
render.image_settings.file_format = "FFMPEG"
film = render.ffmpeg
film.format, film.codec, film.audio_codec = "MKV", "FFV1", "FLAC"
render.filepath = "//made/movie_"
{more}
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""
_DIRECT = """
import bpy, os
bpy.ops.wm.open_mainfile(filepath={file!r}, load_ui=False)
bpy.ops.render.render(animation=True)
os._exit(0)
"""


def movie_scene(blender: Blender, folder: Path, more: str = "") -> Path:
    file = folder / "shot.blend"
    in_blender(blender, _SCENE.format(file=str(file), sound=str(folder / "tone.wav"), more=more), folder)
    return file


def as_blender_itself(blender: Blender, file: Path) -> Path:
    """The movie that Blender makes of *file*."""
    in_blender(blender, _DIRECT.format(file=str(file)), file.parent)
    (made,) = (file.parent / "made").iterdir()
    return made


def decoded(film: Path, stream: str) -> bytes:
    """The pixels (``v``) or samples (``a``) of *film*."""
    how = ["-f", "rawvideo", "-pix_fmt", "rgba"] if stream == "v" else ["-f", "s16le"]
    words = ["ffmpeg", "-v", "error", "-i", str(film), "-map", f"0:{stream}", *how, "-"]
    return subprocess.run(words, check=True, capture_output=True).stdout


def facts_of(film: Path) -> list[str]:
    shown = "stream=codec_name,width,height,pix_fmt,r_frame_rate,duration,sample_rate,channels,color_space,color_range"
    words = ["ffprobe", "-v", "error", "-show_entries", shown, "-of", "default=nw=1", str(film)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


_FAR_APART = """
import sys
sys.path.insert(0, {inside!r})
import bpy, film
scene = bpy.context.scene
strips = film.add_strips(scene, [(number, "/tmp/%d.png" % number) for number in (*range(1, 1202), 100000, 1000000)])
shown = [[strip.frame_final_start, strip.frame_final_end, len(strip.elements)] for strip in strips]
assert sum(count for *_, count in shown) == 1203 and all(count <= 500 for *_, count in shown), shown
for number in (1, 501, 1201, 100000, 1000000):
    assert sum(first <= number < end for first, end, _ in shown) == 1, (number, shown)
"""


@pytest.mark.blender
def test_frames_far_apart_take_no_picture_for_each_frame_between_them(blender: Blender, tmp_path: Path) -> None:
    inside = Path(brender.engines.__file__).parent / "inside"
    in_blender(blender, _FAR_APART.format(inside=str(inside)), tmp_path)


@pytest.mark.blender
def test_the_film_of_a_job_is_the_one_that_blender_makes_with_its_sound(blender: Blender, tmp_path: Path) -> None:
    file = movie_scene(blender, tmp_path)
    with studio(tmp_path / "worker", blender) as farm:
        spec = farm.job(file, tmp_path / "out", chunk=4)
        kind = job_type(spec.job_type)
        assert kind.task_count(spec) == 3 and kind.part_count(spec) == 7
        outcomes = [farm.run(spec, task) for task in range(3)]
    assert [outcome.ended.reason for outcome in outcomes] == ["", "", ""], outcomes[-1].log
    direct, made = as_blender_itself(blender, file), tmp_path / "out" / "movie_0003-0008.mkv"
    assert direct.name == made.name
    assert decoded(direct, "v") == decoded(made, "v") and len(decoded(made, "v")) == 6 * 48 * 32 * 4
    assert decoded(direct, "a") == decoded(made, "a") != b""
    assert facts_of(direct) == facts_of(made)
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert there == ["movie_0003-0008.mkv", "movie__frames"]
    assert len(list((tmp_path / "out" / "movie__frames").iterdir())) == 6


_PICTURES = """
if hasattr(render.image_settings, "media_type"):
    render.image_settings.media_type = "IMAGE"
render.image_settings.file_format = "PNG"
film.audio_codec = "NONE"
"""


@pytest.mark.thorough
def test_a_scene_of_pictures_gets_the_film_that_its_job_asks_for_with_its_sound(bpy: Blender, tmp_path: Path) -> None:
    file = movie_scene(bpy, tmp_path, _PICTURES)
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(file, tmp_path / "out", chunk=6, film="cut.mp4", film_quality="LOW", film_rate=25)
        outcomes = [farm.run(spec, task) for task in range(2)]
    assert [outcome.ended.reason for outcome in outcomes] == ["", ""], outcomes[-1].log
    told = facts_of(tmp_path / "out" / "cut.mp4")
    assert {"codec_name=h264", "codec_name=aac", "r_frame_rate=25/1", "width=48"} <= set(told), told
    assert sorted(each.name for each in (tmp_path / "out").glob("*.png"))[0] == "movie_0003.png"


@pytest.mark.thorough
def test_a_codec_that_its_container_cannot_hold_is_told_of_before_a_frame_is_rendered(bpy: Blender, tmp_path: Path) -> None:
    file = movie_scene(bpy, tmp_path, _PICTURES)
    with studio(tmp_path / "worker", bpy) as farm:
        outcome = farm.run(farm.job(file, tmp_path / "out", chunk=6, film="cut.webm", film_codec="PRORES"), 0)
    assert "cannot write the film that the job asks for (PRORES)" in outcome.ended.reason, outcome.log
