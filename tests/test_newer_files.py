"""Files that a newer Blender saved: what they say of the oldest one that may open them, and how an older one renders them."""

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from brender.blendfile import facts
from brender.blendfile.facts import inspect
from brender.blendfile.header import oldest_reader
from brender.model.errors import RenderFailed
from brender.model.nodes import Blender
from tests.conftest import BLENDS, find_blender
from tests.rendering import studio
from tests.tools import command, in_blender

pytestmark = pytest.mark.blender
_SAVE = """
import bpy
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x = scene.render.resolution_y = 16
bpy.ops.wm.save_as_mainfile(filepath={file!r}, compress={compress})
"""


@pytest.fixture(scope="module", params=["bpy", "executable"])
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Blender, Path]:
    """A Blender and a file that it has saved."""
    blender, folder = find_blender(request.param), tmp_path_factory.mktemp("own")
    in_blender(blender, _SAVE.format(file=str(folder / "own.blend"), compress=False), folder)
    return blender, folder / "own.blend"


def _of_the_next_series(file: Path, blender: Blender, target: Path) -> tuple[int, int]:
    """Write to *target* what *file* of *blender* is, as if the next series of Blender had saved it; returns that version."""
    major, minor = blender.version[:2]
    content = file.read_bytes()
    old, new = (
        f"v{major:02}{minor + shift:02}" if content[7:8] not in b"-_" else f"v{major}{minor + shift:02}" for shift in (0, 1)
    )
    target.write_bytes(content.replace(old.encode(), new.encode(), 1))
    return major, minor + 1


def test_an_older_blender_renders_what_it_may_open_with_the_warning_that_blender_gives(
    own: tuple[Blender, Path], tmp_path: Path
) -> None:
    blender, file = own
    newer = _of_the_next_series(file, blender, tmp_path / "newer.blend")
    with studio(tmp_path / "worker", blender) as farm:
        outcome = farm.run(farm.job(tmp_path / "newer.blend", tmp_path / "out", frames="1"))
    assert outcome.ended.reason == "" and len(outcome.parts) == 1
    (warning,) = (text for text in outcome.warnings if "lost" in text)
    assert warning.startswith(f"The file was saved by Blender {newer[0]}.{newer[1]}, which is newer than the {blender.label}")


@pytest.mark.thorough
def test_a_farm_for_one_job_that_no_worker_can_run_ends_at_once_and_says_why(
    bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "shot.blend"
    in_blender(bpy, _SAVE.format(file=str(file), compress=False), tmp_path)
    said = command(capsys, "render", file, "--frames", 1, "--device", "gpu", "--output", tmp_path / "out", "--no-dashboard")
    if said.code == 0:
        pytest.skip("this machine has a GPU")
    assert said.code == RenderFailed.exit_code
    assert "No worker can run it. The worker worker-1 lacks the tag gpu: a GPU that Cycles finds gives that" in said.err
    assert "brender log" not in said.err, "nothing ran, so there is no log"


def test_what_an_older_blender_may_not_open_is_refused_before_it_starts(own: tuple[Blender, Path], tmp_path: Path) -> None:
    blender, file = own
    with studio(tmp_path / "worker", blender) as farm:
        spec = farm.job(file, tmp_path / "out", frames="1")
        assert spec.facts is not None
        later = msgspec.structs.replace(spec.facts, version=(9, 1), oldest_blender=(9, 0, 7))
        outcome = farm.run(msgspec.structs.replace(spec, facts=later))
    assert outcome.ended.reason.startswith("The file was saved by Blender 9.1; this worker has ")
    assert "starting" not in outcome.log


@pytest.mark.parametrize("compress", [True, False])
def test_both_readers_tell_the_oldest_blender_that_may_open_a_file(
    bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: bool
) -> None:
    file = tmp_path / "shot.blend"
    in_blender(bpy, _SAVE.format(file=str(file), compress=compress), tmp_path)
    through_blender = inspect(file).oldest_blender
    monkeypatch.setattr(facts, "reader_for", lambda *_: contextlib.nullcontext())
    assert inspect(file).oldest_blender == through_blender
    assert through_blender is not None and (2, 80) < through_blender[:2] <= bpy.version[:2]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content: content[:40], None),
        (lambda content: content.replace(b"GLOB", b"GLOC", 1), None),
        (lambda content: b"", None),
        (lambda content: content, (3, 6, 13)),
    ],
)
def test_a_damaged_file_tells_nothing(damage: Callable[[bytes], bytes], told: object, tmp_path: Path) -> None:
    file = tmp_path / "shot.blend"
    file.write_bytes(damage((BLENDS / "gltf-blender-io" / "scenes" / "collection_to_link.blend").read_bytes()))
    assert oldest_reader(file) == told


def test_a_block_of_an_impossible_length_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "shot.blend"
    file.write_bytes(b"BLENDER-v405" + struct.pack("<4siQii", b"DATA", 2**31 - 1, 0, 0, 1))
    assert oldest_reader(file) is None
