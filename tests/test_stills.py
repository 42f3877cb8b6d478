"""One still over many workers: the pieces make the picture that one render would have made."""

import re
from pathlib import Path

import numpy
import OpenImageIO as oiio
import pytest

from brender.engines.events import Pictured
from brender.engines.exr_merge import CannotMerge, Cut, merge
from brender.jobs.declare import job_type
from brender.jobs.pieces import rows_of, samples_of
from brender.model.nodes import Blender
from tests.conftest import SCENES
from tests.rendering import Outcome, Studio, cycles_scene, studio
from tests.tools import pixels

CUBE = SCENES / "03_animated_cube.blend"

_SCENE = """
scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 24, False, False
scene.render.resolution_x, scene.render.resolution_y = 96, 54
layer = scene.view_layers[0]
layer.use_pass_position = True
layer.use_pass_z = layer.use_pass_normal = layer.use_pass_object_index = layer.use_pass_cryptomatte_object = True
"""


def scene(blender: Blender, folder: Path, more: str = "") -> Path:
    return cycles_scene(blender, folder / "still.blend", _SCENE + more)


def render_still(farm: Studio, file: Path, out: Path, **settings: object) -> list[Outcome]:
    """Every task of a still, as workers would do them."""
    spec = farm.job(file, out, job_type="blender-still", frame=1, **settings)
    outcomes = [farm.run(spec, task) for task in range(job_type("blender-still").task_count(spec))]
    assert [outcome.ended.reason for outcome in outcomes] == [""] * len(outcomes)
    return outcomes


def planes(path: Path) -> dict[str, numpy.ndarray]:
    """Every channel of an OpenEXR, by its name."""
    found, number = {}, 0
    opened = oiio.ImageInput.open(str(path))
    while opened.seek_subimage(number, 0):
        spec = opened.spec()
        values = opened.read_image(number, 0, 0, spec.nchannels, oiio.FLOAT)
        found |= {name: values[..., place] for place, name in enumerate(spec.channelnames)}
        number += 1
    return found


@pytest.mark.blender
@pytest.mark.parametrize("split", ["samples", "tiles"])
def test_the_pieces_of_a_still_make_the_unsplit_render_in_every_pass(blender: Blender, tmp_path: Path, split: str) -> None:
    file = scene(blender, tmp_path)
    with studio(tmp_path / "worker", blender) as farm:
        spec = farm.job(file, tmp_path / "whole", frames="1", format="OPEN_EXR_MULTILAYER")
        assert farm.run(spec).ended.reason == ""
        outcomes = render_still(farm, file, tmp_path / "split", pieces=3, split=split, format="OPEN_EXR_MULTILAYER")
    inexact = "in its passes Cryptomatte object"
    assert any(inexact in warning for warning in outcomes[0].warnings) == (split == "samples")
    whole, merged = (planes(tmp_path / name / "still_0001.exr") for name in ("whole", "split"))
    assert whole.keys() == merged.keys() and len(whole) > 10
    for name, channel in whole.items():
        if not name.rpartition(".")[0].startswith(("ViewLayer.Crypto", "View Layer.Crypto")):
            assert numpy.abs(channel - merged[name]).max() <= 1e-5 * max(1.0, numpy.abs(channel).max()), name
    assert [path.name for path in (tmp_path / "split").iterdir()] == ["still_0001.exr"], "no pieces are left"


@pytest.mark.blender
def test_a_split_png_is_the_unsplit_one(blender: Blender, tmp_path: Path) -> None:
    with studio(tmp_path / "worker", blender) as farm:
        farm.run(farm.job(CUBE, tmp_path / "whole", frames="1", resolution=8, samples=8))
        render_still(farm, CUBE, tmp_path / "split", pieces=2, resolution=8, samples=8)
    whole, merged = (pixels(tmp_path / name / "03_animated_cube_0001.png") for name in ("whole", "split"))
    assert numpy.abs(whole - merged).max() <= 1 / 255 + 1e-6


def header(path: Path) -> list[object]:
    """Everything that the picture *path* says of itself, but for times and what counts them."""
    said: list[object] = []
    opened = oiio.ImageInput.open(str(path))
    said.append(opened.format_name())
    while opened.seek_subimage(len(said) - 1, 0):
        spec = opened.spec()
        told = {each.name: str(each.value) for each in spec.extra_attribs if not _TIMES.search(each.name)}
        said.append((spec.width, spec.height, str(spec.format), spec.channelnames, told))
    return said


_TIMES = re.compile("Date|RenderTime|_time$|openexr:chunkCount")
_QUICK_FORMATS = [
    ("OPEN_EXR", "image.color_depth, image.quality = '32', 42", {"format": "JPEG"}),
    ("TIFF", "image.color_depth, image.tiff_codec, image.color_mode = '8', 'LZW', 'RGBA'", {}),
    ("OPEN_EXR", "image.color_depth, image.exr_codec, image.color_mode = '16', 'DWAA', 'BW'", {}),
]
_OTHER_FORMATS = [
    ("PNG", "image.color_depth, image.color_mode = '8', 'BW'; scene.view_settings.exposure = 1", {}),
    ("PNG", "image.color_depth, image.color_mode = '16', 'RGBA'; scene.render.film_transparent = True", {}),
    ("PNG", "image.color_management = 'OVERRIDE'; image.view_settings.view_transform = 'Raw'", {}),
    ("PNG", "scene.render.use_stamp_render_time = scene.render.use_stamp_camera = False", {}),
    ("JPEG2000", "image.color_depth = '12'", {}),
    ("BMP", "", {}),
    ("TARGA", "image.color_mode = 'RGBA'", {}),
    ("TARGA_RAW", "image.color_mode = 'RGB'", {}),
    ("TIFF", "image.color_depth, image.tiff_codec = '16', 'PACKBITS'", {}),
    ("WEBP", "image.quality = 70", {}),
    ("OPEN_EXR", "image.color_depth, image.exr_codec, image.color_mode = '16', 'B44', 'RGB'", {}),
    ("OPEN_EXR", "image.color_depth, image.exr_codec, image.color_mode = '32', 'NONE', 'RGBA'", {}),
    ("OPEN_EXR", "image.color_management = 'OVERRIDE'; image.linear_colorspace_settings.name = 'ACEScg'", {}),
    ("OPEN_EXR", "scene.render.pixel_aspect_x = 2; image.color_depth = '32'", {}),
    ("OPEN_EXR_MULTILAYER", "image.color_depth = '32'; scene.cycles.use_denoising = True", {}),
    ("HDR", "", {}),
    ("CINEON", "", {}),
    ("DPX", "image.color_depth, image.use_cineon_log = '10', True", {}),
    ("IRIS", "", {}),
    ("OPEN_EXR_MULTILAYER", "image.color_depth, image.exr_codec = '16', 'PIZ'", {}),
    ("PNG", "image.color_depth = '8'", {"format": "OPEN_EXR_MULTILAYER"}),
    ("JPEG", "image.quality = 50", {"format": "PNG"}),
]


@pytest.mark.blender
@pytest.mark.parametrize(
    "formats", [_QUICK_FORMATS, pytest.param(_OTHER_FORMATS, marks=pytest.mark.thorough)], ids=["quick", "others"]
)
def test_the_merged_file_is_of_the_format_depth_channels_and_metadata_of_the_unsplit_one(
    tmp_path: Path, bpy: Blender, formats: list[tuple[str, str, dict[str, object]]]
) -> None:
    scenes = [_FORMAT.format(format=format, more=more) + _SAVE.format(file=n) for n, (format, more, _) in enumerate(formats)]
    scene(bpy, tmp_path, "import os\n" + "".join(scenes))
    with studio(tmp_path / "worker", bpy) as farm:
        for number, (format, more, settings) in enumerate(formats):
            file, folder = tmp_path / f"{number}.blend", tmp_path / f"made{number}"
            farm.run(farm.job(file, folder / "whole", frames="1", **settings))
            render_still(farm, file, folder / "split", pieces=2, **settings)
            ((whole,), (merged,)) = (list((folder / name).iterdir()) for name in ("whole", "split"))
            assert whole.name == merged.name
            if whole.suffix == ".jp2":  # OpenImageIO does not read them
                assert whole.read_bytes() == merged.read_bytes()
                continue
            assert header(whole) == header(merged), (format, more)
            limit = 1e-5 if whole.suffix == ".exr" else 1 / 255 + 1e-6
            assert numpy.abs(pixels(whole) - pixels(merged)).max() <= limit, (format, more)


_FORMAT = """
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 4, False, False
scene.render.resolution_x, scene.render.resolution_y = 48, 32
image = scene.render.image_settings
if hasattr(image, "media_type"):
    image.media_type = "MULTI_LAYER_IMAGE" if {format!r} == "OPEN_EXR_MULTILAYER" else "IMAGE"
image.file_format = {format!r}
{more}
"""
_SAVE = """
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(os.path.dirname(__file__), "{file}.blend"))
"""


@pytest.mark.blender
def test_a_split_still_keeps_what_is_there_whole_or_in_pieces(tmp_path: Path, bpy: Blender) -> None:
    file = scene(bpy, tmp_path, _FORMAT.format(format="PNG", more=""))
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(file, tmp_path / "out", job_type="blender-still", frame=1, pieces=2)
        first = farm.run(spec, 0)
        again = farm.run(spec, 0)
        farm.run(spec, 1, 2)
        kept = farm.run(farm.job(file, tmp_path / "out", frames="1"))
        other = [farm.run(farm.job(file, tmp_path / "out", job_type="blender-still", frame=1, pieces=3), n) for n in range(4)]
    assert not first.parts[0].kept and again.parts[0].kept and "piece 1 is there already" in again.log
    assert kept.parts[0].kept, "it has the fingerprint of an unsplit frame"
    assert [part.output for outcome in other for part in outcome.parts] == ["", "", "", "still_0001.png"]
    assert other[3].parts[0].kept


@pytest.mark.blender
def test_pieces_of_two_cuts_are_never_put_together(tmp_path: Path, bpy: Blender) -> None:
    file = scene(bpy, tmp_path, _FORMAT.format(format="PNG", more=""))
    with studio(tmp_path / "worker", bpy) as farm:
        samples, tiles = (
            farm.job(file, tmp_path / split, job_type="blender-still", frame=1, pieces=2, split=split)
            for split in ("samples", "tiles")
        )
        farm.run(samples, 0)
        farm.run(samples, 1)
        farm.run(tiles, 1)
        piece = Path(".still_0001.png.pieces") / "2.exr"
        (tmp_path / "tiles" / piece).replace(tmp_path / "samples" / piece)
        outcome = farm.run(samples, 2)
    assert "is another piece than is asked for: it says 'piece 2 of 2 by tiles" in outcome.ended.reason
    assert "requeue" in outcome.ended.reason and not (tmp_path / "samples" / "still_0001.png").exists()


@pytest.mark.blender
def test_adaptive_sampling_is_split_by_tiles_without_a_seam_and_says_so(blender: Blender, tmp_path: Path) -> None:
    more = "scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold, scene.cycles.samples = True, 0.1, 128"
    file = scene(blender, tmp_path, more)
    with studio(tmp_path / "worker", blender) as farm:
        farm.run(farm.job(file, tmp_path / "whole", frames="1", format="OPEN_EXR"))
        outcomes = render_still(farm, file, tmp_path / "split", pieces=4, format="OPEN_EXR")
    assert any("split by tiles: with adaptive sampling" in warning for warning in outcomes[0].warnings)
    whole, merged = (pixels(tmp_path / name / "still_0001.exr") for name in ("whole", "split"))
    assert numpy.abs(whole - merged).max() <= 2e-3  # (half floats)


@pytest.mark.blender
@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("scene.render.engine = 'BLENDER_WORKBENCH'", "BLENDER_WORKBENCH computes effects over the whole picture"),
        ("scene.view_layers.new('second')", "it has several view layers"),
        ("scene.render.use_border = True; scene.render.border_max_x = 0.5", "it has a render region of its own"),
    ],
)
def test_a_still_that_cannot_be_split_exactly_is_rendered_whole_and_says_why(
    tmp_path: Path, bpy: Blender, more: str, why: str
) -> None:
    file = scene(bpy, tmp_path, more)
    with studio(tmp_path / "worker", bpy) as farm:
        outcomes = render_still(farm, file, tmp_path / "out", pieces=3)
    assert [part.output for outcome in outcomes for part in outcome.parts] == ["", "", "", "still_0001.png"]
    assert any(why in warning for warning in outcomes[0].warnings), outcomes[0].warnings
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["still_0001.png"]


@pytest.mark.blender
def test_the_merged_still_is_denoised_once(tmp_path: Path, bpy: Blender) -> None:
    file = scene(bpy, tmp_path, "scene.cycles.use_denoising = True; scene.cycles.samples = 4")
    with studio(tmp_path / "worker", bpy) as farm:
        farm.run(farm.job(file, tmp_path / "whole", frames="1", format="OPEN_EXR"))
        outcomes = render_still(farm, file, tmp_path / "split", pieces=2, format="OPEN_EXR")
    assert "denoising the picture" in outcomes[-1].log
    whole, merged = (pixels(tmp_path / name / "still_0001.exr")[..., :3] for name in ("whole", "split"))
    assert numpy.abs(whole - merged).mean() <= 2e-3
    assert not any("denoising" in outcome.log for outcome in outcomes[:-1])


@pytest.mark.blender
def test_each_piece_brings_a_preview_of_all_that_is_there(tmp_path: Path, bpy: Blender) -> None:
    with studio(tmp_path / "worker", bpy) as farm:
        outcomes = render_still(farm, CUBE, tmp_path / "out", pieces=3, split="tiles", resolution=8, samples=2)
        farm.engine.close()
    small = [event.thumbnail for outcome in outcomes for event in outcome.events if isinstance(event, Pictured)]
    assert len(small) == 4
    black = [float((pixels(path).sum(axis=2) < 0.02).mean()) for path in small]
    assert black[0] > black[1] > black[2]


@pytest.mark.blender
def test_a_piece_that_is_gone_is_named_and_how_to_get_it_back(tmp_path: Path, bpy: Blender) -> None:
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(CUBE, tmp_path / "out", job_type="blender-still", frame=1, pieces=2, resolution=5, samples=2)
        farm.run(spec, 0)
        farm.run(spec, 1)
        (tmp_path / "out" / ".03_animated_cube_0001.png.pieces" / "2.exr").unlink()
        outcome = farm.run(spec, 2)
    assert "Piece 2 of the still is gone" in outcome.ended.reason and "requeue" in outcome.ended.reason


@pytest.mark.parametrize(("total", "pieces"), [(100, 3), (8, 8), (1024, 7)])
def test_pieces_cover_all_samples_and_rows_once(total: int, pieces: int) -> None:
    samples = [sample for k in range(1, pieces + 1) for sample in range(*_range(*samples_of(k, pieces, total)))]
    rows = [row for k in range(1, pieces + 1) for row in range(*rows_of(k, pieces, total))]
    assert samples == rows == list(range(total))


def _range(first: int, count: int) -> tuple[int, int]:
    return first, first + count


def test_pieces_of_different_sizes_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / "1.exr", tmp_path / "2.exr"]
    for number, file in enumerate(files, start=1):
        spec = oiio.ImageSpec(8 * number, 8, 4, oiio.FLOAT)
        spec.channelnames = tuple(f"Layer.Combined.{channel}" for channel in "RGBA")
        oiio.ImageBuf(spec).write(str(file))
    with pytest.raises(CannotMerge, match="another size than the first piece"):
        merge(files, Cut("samples", 2, 2), tmp_path / "merged.exr")
