"""What a .blend needs: found through Blender and by the tracer alike, packed so that a render elsewhere finds it."""

import contextlib
import os
import shutil
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest

from brender.blendfile import facts, packing, through_blender
from brender.blendfile.facts import inspect, saved_by
from brender.blendfile.packing import packed, write_folder
from brender.blendfile.reader import NoReader, Reader, close_readers
from brender.engines.inside.filesets import files_of, missing_of
from brender.model.errors import BadInput
from brender.model.job import FileFacts
from brender.model.nodes import Blender, can_open
from tests.conftest import BLENDS, SCENES, find_blender
from tests.rendering import studio
from tests.tools import in_blender, pixels
from tests.tracing import MISSING, NEEDED, WINDOWS, scene_of_everything

pytestmark = pytest.mark.blender
EVERY = sorted(BLENDS.rglob("*.blend"))


@pytest.fixture
def without_blender(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has no Blender."""
    monkeypatch.setattr(facts, "reader_for", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(packing, "reader_for", lambda *_: contextlib.nullcontext())


@pytest.fixture(scope="module", params=["bpy", "executable"])
def everything(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene_of_everything(find_blender(request.param), tmp_path_factory.mktemp("everything") / "shot")


def _sources(file: Path) -> set[Path]:
    """Where the files are that *file* is packed with; a copy that was rewritten stands for the .blend of its name."""
    with packed(file) as pack:
        names = {path.name: path for path in file.parent.rglob("*.blend")}
        return {names.get(Path(place).name, source) for place, source in pack.files.items()}


@pytest.mark.parametrize("file", EVERY, ids=lambda path: path.stem)
def test_the_version_stands_in_the_header(file: Path) -> None:
    assert saved_by(file) == inspect(file).version


@pytest.mark.parametrize("file", EVERY, ids=lambda path: path.stem)
def test_blender_and_the_tracer_say_the_same_of_a_file(file: Path, request: pytest.FixtureRequest) -> None:
    one = inspect(file)
    request.getfixturevalue("without_blender")
    other = inspect(file)
    assert (one.active_scene, one.cameras, one.missing) == (other.active_scene, other.cameras, other.missing)
    for mine, theirs in zip(one.scenes, other.scenes, strict=True):
        same = ("name", "first", "last", "step", "width", "height", "percent", "camera", "needs_camera", "fps")
        assert [getattr(mine, each) for each in same] == [getattr(theirs, each) for each in same]


@pytest.mark.parametrize("file", EVERY, ids=lambda path: path.stem)
def test_blender_and_the_tracer_find_the_same_files(file: Path, request: pytest.FixtureRequest) -> None:
    with packed(file) as pack:
        found = pack.main, set(pack.files)
    request.getfixturevalue("without_blender")
    with packed(file) as pack:
        assert (pack.main, set(pack.files)) == found


_WITH_A_SOUND = """
import bpy
scene = bpy.context.scene
editor = scene.sequence_editor_create()
strip = getattr(editor, "strips", getattr(editor, "sequences", None)).new_sound("tone", FOLDER + "/old/tone.wav", 1, 1)
strip.sound.filepath = "//tone.wav"
bpy.ops.wm.save_as_mainfile(filepath=FOLDER + "/shot.blend", relative_remap=False)
"""


@pytest.mark.blender
def test_a_sound_strip_needs_the_file_of_its_sound_and_not_the_one_that_it_was_added_with(bpy: Blender, tmp_path: Path) -> None:
    for place in (tmp_path / "old", tmp_path):
        place.mkdir(exist_ok=True)
        with wave.open(str(place / "tone.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(1600))
    in_blender(bpy, _WITH_A_SOUND.replace("FOLDER", repr(str(tmp_path))), tmp_path)
    with packed(tmp_path / "shot.blend") as pack:
        assert pack.files == {name: tmp_path / name for name in ("shot.blend", "tone.wav")}


def _of(folder: Path, facts: FileFacts) -> set[str]:
    missing = {each.path for each in facts.missing}
    return {path if path == WINDOWS else Path(path).relative_to(folder).as_posix() for path in missing}


def test_blender_tells_of_every_kind_of_file(everything: Path) -> None:
    folder = everything.parent
    assert {path.relative_to(folder).as_posix() for path in _sources(everything)} == NEEDED
    assert _of(folder, inspect(everything)) == MISSING | {WINDOWS}


def test_the_tracer_tells_of_every_kind_of_file(everything: Path, without_blender: None) -> None:
    """Textures of materials in chains of libraries, a Geometry Nodes modifier without bakes, OSL, IES, sequences, tiles."""
    folder = everything.parent
    assert {path.relative_to(folder).as_posix() for path in _sources(everything)} == NEEDED
    assert _of(folder, inspect(everything)) == MISSING | {WINDOWS}


def test_each_missing_file_is_named_with_what_uses_it(everything: Path, request: pytest.FixtureRequest) -> None:
    through_blender = {each.used_by for each in inspect(everything).missing}
    request.getfixturevalue("without_blender")
    through_tracer = {each.used_by for each in inspect(everything).missing}
    wanted = {"image t.1001.png of main.blend", "image windows of main.blend"}
    assert wanted < through_blender and wanted < through_tracer
    assert not any("nnamed" in user for user in through_blender | through_tracer)


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


def test_what_lies_far_away_comes_along_and_is_named_where_it_is(blender: Blender, tmp_path: Path) -> None:
    file = _far_scene(blender, tmp_path)
    with packed(file) as pack:
        assert {path.rpartition("/")[2] for path in pack.files} == {"scene.blend", "library.blend", "one.png", "two.png"}
        assert pack.why_newer(inspect(file)) is None
        write_folder(pack, tmp_path / "packed")
        main = tmp_path / "packed" / pack.main
    for each in (main, *(tmp_path / "packed").rglob("library.blend")):
        assert saved_by(each) == blender.version[:2], "Blenders of that version open it still"
    shutil.move(tmp_path / "far", tmp_path / "gone")
    seen = tmp_path / "seen"
    in_blender(
        find_blender("bpy"),
        f"import bpy, os\nbpy.ops.wm.open_mainfile(filepath={str(main)!r})\n"
        "paths = [bpy.path.abspath(i.filepath, library=i.library) for i in bpy.data.images if i.source == 'FILE']\n"
        f"open({str(seen)!r}, 'w').write(repr(sorted((os.path.basename(p), os.path.exists(p)) for p in paths)))\n",
        tmp_path,
    )
    assert seen.read_text() == "[('one.png', True), ('two.png', True)]"


def test_a_copy_that_a_newer_blender_had_to_save_is_rendered_by_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _far_scene(find_blender("executable"), tmp_path)
    monkeypatch.setattr(through_blender, "renamed", lambda *_: False)
    facts = inspect(file)
    with packed(file) as pack:
        newer = pack.facts(facts)
        assert newer.version == saved_by(pack.files[pack.main]) > facts.version and newer.oldest_blender is not None
        assert can_open(find_blender("bpy"), newer.version, newer.oldest_blender)
        assert not can_open(find_blender("executable"), newer.version, newer.oldest_blender)
        assert str(file.name) in (pack.why_newer(facts) or "")


def test_what_is_missing_keeps_the_name_that_it_has_in_the_file(bpy: Blender, tmp_path: Path) -> None:
    file = _far_scene(bpy, tmp_path)
    (tmp_path / "far" / "one.png").unlink()
    with packed(file) as pack:
        write_folder(pack, tmp_path / "packed")
        main = tmp_path / "packed" / pack.main
    assert [each.path for each in inspect(main).missing] == [str(tmp_path / "far" / "one.png")]


def test_a_scene_that_was_packed_renders_the_same(bpy: Blender, tmp_path: Path) -> None:
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


def test_a_library_that_links_itself_is_read_once(bpy: Blender, tmp_path: Path) -> None:
    file = tmp_path / "circle.blend"
    link = (
        "with bpy.data.libraries.load('//{}.blend', link=True) as (there, here):\n    here.objects = ['thing']\n"
        "bpy.context.scene.collection.objects.link(here.objects[0])\nbpy.ops.wm.save_mainfile()\n"
    )
    in_blender(
        bpy,
        "import bpy\nthing = bpy.data.objects.new('thing', None)\nthing.use_fake_user = True\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r})\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / 'circle2.blend')!r})\n"
        + link.format("circle")
        + f"bpy.ops.wm.open_mainfile(filepath={str(file)!r})\n"
        + link.format("circle2"),
        tmp_path,
    )
    with packed(file) as pack:
        assert set(pack.files) == {"circle.blend", "circle2.blend"}


def test_a_file_of_a_format_that_comes_later_needs_a_blender(tmp_path: Path) -> None:
    file = tmp_path / "future.blend"
    file.write_bytes(b"BLENDER17-02v0990" + b"\0" * 1000)
    with pytest.raises(BadInput, match=r"saved by Blender 9\.90: only Blender itself could read it, and no Blender 9\.90"):
        inspect(file)


def test_a_file_that_has_no_scene_is_refused(bpy: Blender, tmp_path: Path) -> None:
    file = tmp_path / "library.blend"
    in_blender(
        bpy, f"import bpy\nbpy.data.libraries.write({str(file)!r}, {{bpy.data.meshes.new('m')}}, fake_user=True)\n", tmp_path
    )
    with pytest.raises(BadInput, match=r"library\.blend has no scene of its own"):
        inspect(file)


def test_a_blender_that_does_not_start_is_not_the_file_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    reader = Reader(Blender("bpy", shutil.which("false") or "", (5, 0, 1)))
    with pytest.raises(NoReader, match="does not start"):
        reader.ask(EVERY[0])
    monkeypatch.setattr(facts, "reader_for", lambda *_: contextlib.nullcontext(reader))
    found = inspect(EVERY[0])
    request.getfixturevalue("without_blender")
    assert found == inspect(EVERY[0])


def test_a_reader_whose_process_was_killed_starts_another(bpy: Blender) -> None:
    close_readers()
    reader = Reader(bpy)
    one = reader.ask(EVERY[0])
    assert reader._process is not None
    reader._process.kill()
    reader._process.wait()
    assert reader.ask(EVERY[0]) == one
    reader.close()


def _scene_with(blender: Blender, file: Path, code: str) -> Path:
    """Save a scene as *file*, made by *code*, with an image called ``image``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    in_blender(
        blender,
        "import bpy\nbpy.ops.wm.read_factory_settings(use_empty=True)\nimage = bpy.data.images.new('image', 4, 4)\n"
        f"image.source, image.use_fake_user = 'FILE', True\n{code}\nbpy.ops.wm.save_as_mainfile(filepath={str(file)!r})\n",
        file.parent,
    )
    return file


def test_a_picture_that_names_a_folder_takes_nothing_along(bpy: Blender, tmp_path: Path) -> None:
    secret = tmp_path / "home" / ".ssh"
    secret.mkdir(parents=True)
    (secret / "id_rsa").write_text("key")
    file = _scene_with(bpy, tmp_path / "shot" / "shot.blend", f"image.filepath = {str(secret)!r} + '/'")
    with packed(file) as pack:
        assert {Path(path).name for path in pack.files} == {"shot.blend"}
    assert [each.path for each in inspect(file).missing] == [str(secret)]


def test_a_name_in_a_file_cannot_pass_for_the_reader_s_mark(bpy: Blender, tmp_path: Path) -> None:
    library = _scene_with(
        bpy, tmp_path / "library.blend", "thing = bpy.data.objects.new('O\\nBRENDER_DONE\\nX', None)\nthing.use_fake_user = True"
    )
    link = (
        f"with bpy.data.libraries.load({str(library)!r}, link=True) as (there, here):\n    here.objects = there.objects\n"
        "bpy.context.scene.collection.objects.link(here.objects[0])"
    )
    file = _scene_with(bpy, tmp_path / "shot.blend", link)
    _scene_with(bpy, library, "")
    other = _scene_with(bpy, tmp_path / "other.blend", "bpy.context.scene.frame_end = 7")
    for _ in range(2):
        assert inspect(file).scenes[0].last == 250
        assert inspect(other).scenes[0].last == 7


def test_a_stranger_s_file_is_told_nothing_of_what_lies_outside_of_its_upload(bpy: Blender, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.mkdir()
    (outside / "list_001.png").touch()
    (outside / "list_003.png").touch()
    code = f"image.filepath = {str(outside / 'list_001.png')!r}\nimage.source = 'SEQUENCE'"
    file = _scene_with(bpy, tmp_path / "upload" / "shot.blend", code)
    assert [each.path for each in inspect(file, tmp_path / "upload").missing] == [str(outside / "list_001.png")]
    with packed(file, tmp_path / "upload") as pack:
        assert {Path(path).name for path in pack.files} == {"shot.blend"}


def test_a_file_that_holds_up_its_reader_holds_up_nobody_else(bpy: Blender, tmp_path: Path) -> None:
    library = _scene_with(bpy, tmp_path / "upload" / "library.blend", "bpy.data.objects.new('thing', None).use_fake_user = True")
    link = (
        "with bpy.data.libraries.load('//library.blend', link=True) as (there, here):\n    here.objects = there.objects\n"
        "bpy.context.scene.collection.objects.link(here.objects[0])"
    )
    file = _scene_with(
        bpy,
        tmp_path / "upload" / "shot.blend",
        f"bpy.ops.wm.save_as_mainfile(filepath={str(library.parent / 'shot.blend')!r})\n{link}",
    )
    library.unlink()
    os.mkfifo(library)
    reader = Reader(bpy, tmp_path / "upload", 4.0)
    with ThreadPoolExecutor() as pool:
        stuck = pool.submit(reader.ask, file)
        assert inspect(EVERY[0]).scenes
        with pytest.raises(BadInput, match=r"did not open .*shot\.blend within 4 seconds"):
            stuck.result()
    reader.close()


def test_a_process_that_forked_leaves_the_reader_of_its_parent_alone(bpy: Blender) -> None:
    before = inspect(EVERY[0])
    child = os.fork()
    if child == 0:
        close_readers()
        os._exit(0)
    os.waitpid(child, 0)
    assert inspect(EVERY[0]) == before


def test_tiles_sequences_and_folders_are_all_their_files(tmp_path: Path) -> None:
    for name in (
        "t.1001.png",
        "t.1002.png",
        "t.x.png",
        "s_001.exr",
        "s_002.exr",
        "s_b.exr",
        "cache/a.vdb",
        "cache/b/c.vdb",
        "cache/id_rsa",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def names(name: str, many: bool, folder: bool = False) -> list[str]:
        return [Path(path).name for path in files_of(str(tmp_path / name), many, folder)]

    assert names("t.<UDIM>.png", True) == ["t.1001.png", "t.1002.png"]
    assert names("s_001.exr", True) == ["s_001.exr", "s_002.exr"] and names("s_001.exr", False) == ["s_001.exr"]
    assert names("cache", False, folder=True) == ["a.vdb", "c.vdb"] and names("cache", False) == []
    assert names("none/x", True) == []


def test_gaps_of_a_sequence_and_tiles_that_are_not_there_are_missing(tmp_path: Path) -> None:
    for name in ("s_001.exr", "s_002.exr", "s_005.exr", "t.1001.png", "v.u1_v1.png", "v.u3_v1.png"):
        (tmp_path / name).touch()

    def names(name: str, numbers: set[int] | None = None) -> list[str]:
        return [Path(path).name for path in missing_of(str(tmp_path / name), True, numbers)]

    assert names("s_001.exr") == ["s_003.exr", "s_004.exr"] and names("s_001.exr", {2, 5, 6}) == ["s_006.exr"]
    assert names("t.<UDIM>.png", {1001, 1012}) == ["t.1012.png"]
    assert names("v.<UVTILE>.png", {1001, 1002, 1003}) == ["v.u2_v1.png"]
    assert names("nothing_001.exr") == ["nothing_001.exr"]
