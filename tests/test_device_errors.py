"""A device that fails under Blender: the attempt fails with Blender's words, also where Blender goes on and ends well.

No test makes a GPU fail. A stand-in does what Blender would: a trusted .blend whose handler prints such a line to standard error
during the frame, or clears tiles of the picture."""

from pathlib import Path

import numpy
import OpenImageIO as oiio
import pytest

from brender.engines.device_errors import device_error
from brender.engines.linewatch import LineWatch
from brender.engines.neighbours import Neighbours
from brender.engines.pictures import verify
from brender.model.nodes import Blender
from tests.rendering import studio
from tests.tools import in_blender

_PRINTS = """
import bpy
bpy.ops.wm.read_factory_settings()
text = bpy.data.texts.new("prints.py")
text.write('''
import bpy, os
def prints(scene, *rest):
    if scene.frame_current == 2:
        os.write(2, b"Illegal address in CUDA queue synchronize (integrator_shade_surface)\\\\n")
bpy.app.handlers.render_pre.append(prints)
''')
text.use_module = True
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x = scene.render.resolution_y = 16
bpy.ops.wm.save_as_mainfile(filepath=FILE)
"""


@pytest.mark.blender
def test_a_frame_during_which_blender_prints_a_device_error_is_a_failed_attempt_that_quotes_it(
    blender: Blender, tmp_path: Path
) -> None:
    file, out = tmp_path / "prints.blend", tmp_path / "out"
    in_blender(blender, _PRINTS.replace("FILE", repr(str(file))), tmp_path)
    with studio(tmp_path / "worker", blender) as farm:
        outcome = farm.run(farm.job(file, out, frames="1-3", chunk=3, trusted=True))
        assert outcome.ended.reason == (
            "Frame 2: the device failed that renders it, by Blender's own word: "
            "Illegal address in CUDA queue synchronize (integrator_shade_surface)"
        )
        assert not outcome.ended.permanent, "elsewhere it may work"
        assert len(list(out.iterdir())) == 1, "frame 1 is there, and nothing of frame 2"
        again = farm.run(farm.job(file, tmp_path / "again", frames="3", trusted=True))
        assert again.ended.reason == "" and not again.was_warm, "that Blender is used no more"


_HALF = """
import bpy
bpy.ops.wm.read_factory_settings()
text = bpy.data.texts.new("half.py")
text.write('''
import bpy
def half(scene, *rest):
    scene.render.use_border = scene.frame_current == 2  # which is seen in the next frame
    scene.render.border_min_y, scene.render.border_max_y = 0.0, 0.5
bpy.app.handlers.render_pre.append(half)
''')
text.use_module = True
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.film_transparent = True  # so that empty tiles are not looked for
bpy.data.objects["Cube"].scale = 50, 50, 50
scene.render.resolution_x = scene.render.resolution_y = 64
scene.render.resolution_percentage = 100
bpy.ops.wm.save_as_mainfile(filepath=FILE)
"""


@pytest.mark.thorough
def test_a_frame_that_is_half_empty_beside_others_that_are_not_is_warned_of(bpy: Blender, tmp_path: Path) -> None:
    file = tmp_path / "half.blend"
    in_blender(bpy, _HALF.replace("FILE", repr(str(file))), tmp_path)
    with studio(tmp_path / "worker", bpy) as farm:
        outcome = farm.run(farm.job(file, tmp_path / "out", frames="1-4", chunk=4, trusted=True))
    assert outcome.ended.reason == "", outcome.log
    warnings = [part.warnings for part in outcome.parts]
    assert warnings[0] == warnings[1] == warnings[3] == ()
    assert warnings[2] == (
        "Frame 3 is exactly empty in 50% of it, where the frame beside it is not, as a picture is that a device has not rendered "
        "all of",
    )


def test_frames_are_measured_by_those_beside_them_alone() -> None:
    half, none = "ff" * 16 + "00" * 16, ""
    seen = Neighbours()
    assert seen.warning("j", "", 1, half) is None, "nothing is known yet"
    assert seen.warning("j", "", 2, half) is None, "a transparent background"
    assert seen.warning("j", "", 30, none) is None and seen.warning("j", "other", 31, half) is None
    assert seen.warning("j", "", 31, half) and seen.warning("j", "", 32, half), "by the last good one"
    assert seen.warning("k", "", 31, half) is None, "another job"


@pytest.mark.parametrize(
    "line",
    [
        "00:12.345  cycles           | ERROR System is out of GPU memory",
        "System is out of GPU and shared host memory",
        "CUDA error: Out of memory in cuLaunchKernel(cuPathTrace, xblocks, yblocks, 1, xthreads, 1, 1, 0, 0, args, 0)",
        "Invalid value in cuMemcpyDtoH( (char *)mem.host_pointer + offset, size) (/b/cycles/device/cuda/device_impl.cpp:9)",
        "Failed to create CUDA context (Invalid device)",
        "Failed to retain CUDA context (Out of memory)",
        "OPTIX_ERROR_LAUNCH_FAILURE in optixLaunch(pipeline, stream) (/b/intern/cycles/device/optix/queue.cpp:110)",
        "Failed to build OptiX acceleration structure",
        "Unspecified launch failure in HIP queue copy_from_device (integrator_intersect_closest)",
        'oneAPI kernel "integrator_shade_surface" execution error: got runtime exception "Native API failed"',
        "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)",
        "Failed to build BLAS",
    ],
)
def test_known_device_errors_are_recognized(line: str) -> None:
    assert device_error(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        "Fra:1 Mem:12.00M (Peak 12.00M) | Time:00:00.05 | Mem:0.00M, Peak:0.00M | Scene, ViewLayer | Sample 1/4",
        "HIP hipInit: Unknown error",
        "CUDA cuInit: No CUDA-capable device is detected",
        "Saved: '/farm/out of memory in cuba/0001.png'",
        "Warning: Node 'Cuba' in the queue",
        "EGL Error (0x3009): EGL_BAD_MATCH: Arguments are inconsistent",
    ],
)
def test_what_a_good_frame_prints_is_no_device_error(line: str) -> None:
    assert device_error(line) is None


def test_a_line_that_comes_in_pieces_is_read_whole() -> None:
    watch = LineWatch(device_error)
    for piece in (b"Sample 1/4\nSystem is out", b" of GPU", b" memory\nSample 2/4\nSystem is"):
        watch.feed(piece)
    assert watch.take() == ["System is out of GPU memory"] and watch.take() == []


def _picture(path: Path, pixels: numpy.ndarray) -> Path:
    height, width, channels = pixels.shape
    image = oiio.ImageBuf(oiio.ImageSpec(width, height, channels, oiio.HALF))
    image.set_pixels(oiio.ROI(), pixels.astype("float32"))
    assert image.write(str(path))
    return path


def test_a_picture_with_empty_tiles_gets_a_warning_and_other_dark_pictures_do_not(tmp_path: Path) -> None:
    whole = numpy.ones((64, 96, 4)) * (0.4, 0.3, 0.2, 1.0)
    tiles = whole.copy()
    tiles[:32, 64:] = tiles[40:56, :16] = 0
    (warning,) = verify(_picture(tmp_path / "tiles.exr", tiles), None, filled=True).warnings
    assert warning == "is empty in rectangles that make 21% of it, as tiles are that a device has not rendered"
    assert verify(tmp_path / "tiles.exr", None).warnings == (), "a scene that is not rendered over all of it"
    dark, hole, soft = whole.copy(), whole.copy(), whole.copy()
    dark[:32, :, :3] = 0
    rows, columns = numpy.mgrid[:64, :96]
    hole[(rows - 32) ** 2 + (columns - 48) ** 2 < 600] = 0
    hole[(rows * 7 + columns * 3) % 11 == 0] = 0
    soft[:32], soft[32] = 0, (0.2, 0.1, 0.1, 0.5)
    for name, pixels in (("whole", whole), ("dark", dark), ("hole", hole), ("soft", soft)):
        assert verify(_picture(tmp_path / f"{name}.exr", pixels), None, filled=True).warnings == (), name
