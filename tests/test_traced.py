"""What a .blend needs, read through Blender itself where the tracer cannot: the same facts, the same files, a scene that
renders."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from brender.engines import blendfile, packing
from brender.engines.blendfile import inspect, saved_by
from brender.engines.packing import packed, write_folder
from brender.engines.tracing import _files, facts_through_blender
from brender.model.errors import BadInput
from brender.model.nodes import Blender
from tests.conftest import BLENDS, SCENES
from tests.rendering import studio
from tests.tools import in_blender, pixels

pytestmark = pytest.mark.blender
EVERY = sorted(BLENDS.rglob("*.blend"))


@pytest.fixture
def without_the_tracer(monkeypatch: pytest.MonkeyPatch, bpy: Blender) -> None:
    """As if the tracer knew no file any more."""

    def stumble(*_: Any, **__: Any) -> Any:
        raise KeyError("SDNA of the future")

    monkeypatch.setattr(packing, "_collected", stumble)
    monkeypatch.setattr("brender.engines.tracing.find_blenders", lambda named: (bpy,))


@pytest.mark.parametrize("file", EVERY, ids=lambda path: path.stem)
def test_the_version_stands_in_the_header(file: Path) -> None:
    assert saved_by(file) == inspect(file).version


@pytest.mark.parametrize("file", [SCENES / "01_linked_collection.blend", SCENES / "03_animated_cube.blend"], ids=lambda p: p.stem)
def test_blender_tells_the_same_of_a_file_as_the_tracer(file: Path, without_the_tracer: None) -> None:
    one, other = facts_through_blender(file, saved_by(file)), inspect(file)
    assert (one.active_scene, one.cameras) == (other.active_scene, other.cameras)
    for mine, theirs in zip(one.scenes, other.scenes, strict=True):
        same = ("name", "first", "last", "step", "width", "height", "percent", "camera", "needs_camera")
        assert [getattr(mine, each) for each in same] == [getattr(theirs, each) for each in same]


@pytest.mark.parametrize("name", ["01_alpha_blend", "01_linked_collection"])
def test_blender_finds_the_files_that_the_tracer_finds(name: str, request: pytest.FixtureRequest) -> None:
    file = SCENES / f"{name}.blend"
    with packed(file) as pack:
        expected = (pack.main, set(pack.files))
    request.getfixturevalue("without_the_tracer")
    with packed(file) as pack:
        assert (pack.main, set(pack.files)) == expected


def _far_scene(blender: Blender, folder: Path) -> Path:
    """A scene that names a texture far away by an absolute path, and links a library that names another."""
    (folder / "far").mkdir()
    for name in ("one.png", "two.png"):
        shutil.copy(SCENES / "01_alpha_blend.png", folder / "far" / name)
    library, file = folder / "lib" / "library.blend", folder / "here" / "scene.blend"
    library.parent.mkdir()
    file.parent.mkdir()
    in_blender(
        blender,
        "import bpy\nbpy.ops.wm.read_factory_settings(use_empty=True)\n"
        f"image = bpy.data.images.load({str(folder / 'far' / 'two.png')!r})\nimage.use_fake_user = True\n"
        "thing = bpy.data.objects.new('thing', None)\nthing.use_fake_user = True\nthing['image'] = image\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(library)!r}, relative_remap=False)\n"
        "bpy.ops.wm.read_factory_settings(use_empty=True)\nscene = bpy.context.scene\n"
        "scene.camera = bpy.data.objects.new('c', bpy.data.cameras.new('c'))\nscene.collection.objects.link(scene.camera)\n"
        f"image = bpy.data.images.load({str(folder / 'far' / 'one.png')!r})\nimage.use_fake_user = True\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r}, relative_remap=False)\n"
        "with bpy.data.libraries.load('//../lib/library.blend', link=True) as (there, here):\n    here.objects = ['thing']\n"
        "scene.collection.objects.link(here.objects[0])\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r}, relative_remap=False)\n",
        folder,
    )
    return file


def test_what_lies_far_away_comes_along_and_is_named_where_it_is(bpy: Blender, tmp_path: Path, without_the_tracer: None) -> None:
    file = _far_scene(bpy, tmp_path)
    with packed(file) as pack:
        assert {path.rpartition("/")[2] for path in pack.files} == {"scene.blend", "library.blend", "one.png", "two.png"}
        write_folder(pack, tmp_path / "packed")
        main = tmp_path / "packed" / pack.main
    shutil.move(tmp_path / "far", tmp_path / "gone")
    seen = tmp_path / "seen"
    in_blender(
        bpy,
        f"import bpy, os\nbpy.ops.wm.open_mainfile(filepath={str(main)!r})\n"
        "paths = [bpy.path.abspath(i.filepath, library=i.library) for i in bpy.data.images if i.source == 'FILE']\n"
        f"open({str(seen)!r}, 'w').write(repr(sorted((os.path.basename(p), os.path.exists(p)) for p in paths)))\n",
        tmp_path,
    )
    assert seen.read_text() == "[('one.png', True), ('two.png', True)]"


def test_a_scene_that_was_packed_through_blender_renders_the_same(bpy: Blender, tmp_path: Path, without_the_tracer: None) -> None:
    with packed(SCENES / "01_alpha_blend.blend") as pack:
        write_folder(pack, tmp_path / "packed")
        main = tmp_path / "packed" / pack.main
    found = []
    with studio(tmp_path / "w", bpy) as worker:
        for number, file in enumerate((SCENES / "01_alpha_blend.blend", main)):
            out = tmp_path / str(number)
            outcome = worker.run(worker.job(file, out, frames="1", samples=2, resolution=10, pattern="x_####"))
            found.append(pixels(out / outcome.parts[0].output))
    assert numpy.array_equal(*found)


def test_a_file_of_a_format_that_comes_later_is_read_through_blender(
    bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_the_tracer: None
) -> None:
    """There is none yet: the newest that there is stands for it, and the tracer is told that it cannot read it."""
    file = tmp_path / "new.blend"
    in_blender(
        bpy,
        "import bpy\nbpy.context.scene.camera = bpy.data.objects['Camera']\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r}, compress=False)\n",
        tmp_path,
    )

    def refuse(*_: Any, **__: Any) -> Callable[..., Any]:
        raise blendfile.BlendFileError("unsupported file format version 2", file)

    monkeypatch.setattr(blendfile.blendfile, "BlendFile", refuse)
    with pytest.raises(BadInput, match="damaged"):
        inspect(file)
    monkeypatch.setattr(blendfile, "_KNOWN_FORMAT", (b"17", b"00"))
    facts = inspect(file)
    assert facts.version == bpy.version[:2] and facts.scenes[0].camera == "Camera"


def test_without_a_blender_that_could_read_it_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "future.blend"
    file.write_bytes(b"BLENDER17-02v0990" + b"\0" * 1000)
    monkeypatch.setattr("brender.engines.tracing.find_blenders", lambda named: ())
    with pytest.raises(BadInput, match=r"saved by Blender 9\.90: only Blender itself could read it, and no Blender 9\.90"):
        inspect(file)


def test_tiles_sequences_and_folders_are_all_their_files(tmp_path: Path) -> None:
    for name in ("t.1001.png", "t.1002.png", "t.x.png", "s_001.exr", "s_002.exr", "s_b.exr", "cache/a.vdb", "cache/b/c.vdb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [
        [path.name for path in _files(tmp_path / name, many)] for name, many in (("t.<UDIM>.png", True), ("s_001.exr", True))
    ]
    assert names == [["t.1001.png", "t.1002.png"], ["s_001.exr", "s_002.exr"]]
    assert [path.name for path in _files(tmp_path / "cache", False)] == ["a.vdb", "c.vdb"]
    assert _files(tmp_path / "s_001.exr", False) == [tmp_path / "s_001.exr"] and _files(tmp_path / "none" / "x", True) == []
