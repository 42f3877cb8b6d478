"""Frames of the farm inside Blender: what the head of an OpenEXR file says, and the Render Result of real Blenders."""

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import OpenImageIO as oiio
import pytest

from brender.blender_addon import brender_farm
from brender.blender_addon.brender_farm.client import Farm, FarmError
from brender.blender_addon.brender_farm.exr_header import check_whole, read_header, write_as_layer
from brender.blender_addon.brender_farm.posters import COLORS, Poster, with_strip
from brender.engines.command_line import script_in
from brender.model.nodes import Blender

SESSION = Path(__file__).parent / "render_result_session.py"
ADDON = Path(brender_farm.__file__).parents[1]


def attribute(name: str, kind: str, value: bytes, size: int | None = None) -> bytes:
    return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value) if size is None else size) + value


CHANNELS = attribute("channels", "chlist", b"".join(letter + b"\0" + bytes(16) for letter in (b"A", b"B", b"G", b"R")) + b"\0")


def head(*attributes: bytes, window: tuple[int, int, int, int] = (0, 0, 95, 53)) -> bytes:
    """The head of an OpenEXR file with the four CHANNELS, that *window*, and *attributes* before them."""
    given = b"".join(attributes) + CHANNELS + attribute("dataWindow", "box2i", struct.pack("<4i", *window))
    return b"v/1\x01\x02\0\0\0" + given + b"\0"


BROKEN = {
    "cut": b"v/1\x01",
    "longer than its file": b"v/1\x01\x02\0\0\0channels\0chlist\0\xff\xff\xff\x7f",
    "without anything": b"v/1\x01" + bytes(8),
    "of a size below nothing, back to itself": head(attribute("a", "b", b"", -8)),
    "of a name without an end": b"v/1\x01\x02\0\0\0" + b"a" * 1000,
    "of too many attributes": head(attribute("a", "b", b"") * 2**16),
    "of too many channels": head(attribute("view", "string", bytes(2**24))),
    "with its left at the right": head(window=(0, 0, -5, 53)),
    "higher than pictures are": head(window=(0, -(2**31), 95, 0)),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_exr_file_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.exr").write_bytes(content)
    with pytest.raises(FarmError, match="not a whole OpenEXR"):
        read_header(str(tmp_path / "a.exr"))


@pytest.mark.parametrize(
    "content",
    [BROKEN["cut"], head()[:-40], head(), head() + struct.pack("<Q", 2**60), head() + bytes(8)],
    ids=["cut", "without a size", "without pixels", "with pixels beyond its end", "with pixels before its head"],
)
def test_a_picture_that_is_not_whole_is_not_made_one_of_layers(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.exr").write_bytes(content)
    with pytest.raises(FarmError, match="not a whole OpenEXR"):
        write_as_layer(str(tmp_path / "a.exr"), str(tmp_path / "b.exr"), "Farm")
    assert not (tmp_path / "b.exr").exists()


@pytest.mark.parametrize("order", ["increasingY", "decreasingY", "randomY"])
@pytest.mark.parametrize("compression", ["none", "zip", "piz", "dwab"])
@pytest.mark.parametrize("tile", [0, 32])
def test_an_exr_file_that_lacks_its_last_pixels_is_said_to_be_cut(
    tmp_path: Path, compression: str, order: str, tile: int
) -> None:
    path, spec = tmp_path / "a.exr", oiio.ImageSpec(70, 300, 4, oiio.HALF)
    spec.attribute("compression", compression)
    spec.attribute("openexr:lineOrder", order)
    spec.tile_width = spec.tile_height = tile
    assert oiio.ImageBuf(spec).write(str(path))
    check_whole(str(path))
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 400):
        path.write_bytes(whole[:length])
        with pytest.raises(FarmError, match="not a whole OpenEXR"):
            check_whole(str(path))


def test_the_names_of_a_million_objects_in_an_exr_file_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(head(attribute("cryptomatte/1/manifest", "string", b'"Object.0000001":"00000000",' * 10**6)))
    found = read_header(str(tmp_path / "a.exr"))
    assert found is not None and (found.width, found.height, found.layers) == (96, 54, {})


def test_a_file_of_another_kind_has_no_head_of_that_kind(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert read_header(str(tmp_path / "a.png")) is None


@pytest.mark.blender
@pytest.mark.thorough
def test_the_render_result_takes_the_pixels_of_each_format_and_leaves_the_scene_as_it_was(
    blender: Blender, tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    given = {"addon": str(ADDON), "folder": str(tmp_path), "told": str(told)}
    words = [*script_in(blender, SESSION), "--", json.dumps(given)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
    assert told.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(told.read_text())
    for name in ("half.exr", "float.exr", "opaque.exr", "layers.exr"):
        assert found[name] == [0.0, ""], name
    for name in ("8 bit.png", "opaque.png", "16 bit.png", "still.jpg"):
        difference, inexact = found[name]
        assert difference <= 2.5 / 255 and "taken back" in inexact, name
    assert found["same passes"] and found["unchanged"]
    assert found["own"] == 0.0, "what was rendered here is in its own slot still"
    assert found["slots"] == [f"{name}, frame 1" for name in found if name.endswith(("png", "jpg", "exr"))]
    assert found["again"] == ["float.exr, frame 2", 8 + len(found["slots"])]
    assert found["called"] == [], "what the artist's scripts do at a render is left out"
    assert len(found["refused"]) == 3 and all("/" in each for each in found["refused"]) and found["no camera"] == ""
    assert found["slots after refusals"] and all("does not come" in each for each in found["broken"])
    assert found["slots after broken"][:2] == [True, True] and len(found["slots after broken"][2]) <= 1, "one is kept at most"
    assert found["own after broken"] == 0.0 and found["slots at last"] == ["third, frame 1"]


class _Striped(Farm):
    """A farm with one job, whose frames have the *states*."""

    def __init__(self, states: str) -> None:
        super().__init__("http://farm", "token")
        self.states = states
        self.lacks = 0
        self.asked: list[str] = []

    def ask(self, path: str, body: Any = None) -> Any:
        self.asked.append(path)
        return {"states": self.states, "ids": [[10, int(len(self.states) > 1), len(self.states)]]}  # (as the farm writes runs)

    def download(self, path: str, target: str, progress: Any) -> None:
        self.asked.append(path)
        if self.lacks:
            self.lacks -= 1
            raise FarmError("There is no such picture", "404")
        Path(target).write_bytes(b"a picture")


def test_the_picture_of_a_job_is_asked_for_when_it_changed_and_no_oftener(tmp_path: Path) -> None:
    farm, poster = _Striped("cqq"), Poster()
    job = {"id": "j", "status": "active", "units_done": 1}
    for _ in range(2):
        poster.look(farm, job, str(tmp_path))
    assert farm.asked == ["/jobs/j/strip?since=-1", "/jobs/j/thumbnails/10"] and Path(poster.path).exists()
    farm.states = "ccf"
    poster.look(farm, job | {"units_done": 2}, str(tmp_path))
    assert poster.states == "ccf" and len(farm.asked) == 3, "the picture of a job that is not done stays"


def test_a_picture_that_is_still_on_its_way_is_asked_for_again(tmp_path: Path) -> None:
    farm, poster, job = _Striped("c"), Poster(), {"id": "j", "status": "completed", "units_done": 1}
    farm.lacks = 1
    poster.look(farm, job, str(tmp_path))
    assert not poster.path
    poster.look(farm, job, str(tmp_path))
    assert Path(poster.path).exists()


def test_a_job_of_one_frame_has_a_picture_too(tmp_path: Path) -> None:
    farm, poster = _Striped("c"), Poster()
    poster.look(farm, {"id": "j", "status": "completed", "units_done": 1}, str(tmp_path))
    assert farm.asked[-1] == "/jobs/j/thumbnails/10" and Path(poster.path).exists()


def test_the_strip_of_all_frames_is_below_the_picture() -> None:
    pixels, height = with_strip([0.5] * (4 * 4 * 2), 4, 2, "cf")
    assert len(pixels) == 4 * 4 * height and pixels[-32:] == [0.5] * 32
    colors = [tuple(pixels[4 * column : 4 * column + 3]) for column in range(4)]
    assert colors == [COLORS["c"]] * 2 + [COLORS["f"]] * 2
