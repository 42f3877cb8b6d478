"""Add-ons: those of the worker's account, which do not reach renders, and those that a job or the farm has."""

import hashlib
import shutil
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

import brender.engines.addon_archive
from brender.bus.ids import new_id
from brender.bus.messages import Manage, Sorry
from brender.commands.localfarm import LocalFarm
from brender.engines.addon_archive import pack_addon, unpack_addon
from brender.engines.confine import confinement
from brender.engines.warm import Warmth
from brender.model.addon import AddOn, bounding
from brender.model.eligibility import obstacle
from brender.model.errors import BadInput
from brender.model.job import JobSpec, Requirements
from brender.model.nodes import Blender, WorkerInfo, choose_series
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from tests.conftest import find_blender, missing
from tests.rendering import studio
from tests.rows import new, put
from tests.test_store import JOB
from tests.tools import command, in_blender, pixels, until
from tests.web import Browser, application, make_users
from tests.world import World, animation, facts, farm_of_two

#: Makes the world red before each frame, and so the background of Workbench.
RED = """
import bpy
bl_info = {"name": "Red world", "version": (1, 2), "blender": (3, 0, 0), "category": "Render"}

@bpy.app.handlers.persistent
def paint(scene, *rest):
    scene.world.color = (1, 0, 0)

def register():
    bpy.app.handlers.render_pre.append(paint)
    bpy.app.handlers.frame_change_pre.append(paint)

def unregister():
    bpy.app.handlers.render_pre.remove(paint)
    bpy.app.handlers.frame_change_pre.remove(paint)
"""
MANIFEST = """
schema_version = "1.0.0"
id = "red_ext"
version = "2.1.0"
name = "Red extension"
tagline = "Paints worlds red"
maintainer = "somebody"
type = "add-on"
blender_version_min = "4.2.0"
license = ["SPDX:GPL-3.0-or-later"]
"""
#: Notes in the add-on's own file that it was there.
NOTE = """
assert not open(__file__).read().endswith("# NOTE")
open(__file__, "a").write("# NOTE")
"""
#: A render engine whose pictures are red.
ENGINE = """
import bpy
bl_info = {"name": "Red engine", "version": (1, 0), "blender": (3, 0, 0), "category": "Render"}

class Red(bpy.types.RenderEngine):
    bl_idname = "RED_ENGINE"
    bl_label = "Red"

    def render(self, depsgraph):
        render = depsgraph.scene.render
        result = self.begin_result(0, 0, render.resolution_x, render.resolution_y)
        result.layers[0].passes["Combined"].rect = [[1.0, 0.0, 0.0, 1.0]] * (render.resolution_x * render.resolution_y)
        self.end_result(result)

def register():
    bpy.utils.register_class(Red)

def unregister():
    bpy.utils.unregister_class(Red)
"""
_SCENE = """
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.world = bpy.data.worlds.new("World")
scene.world.color = (0, 0, 1)
scene.view_settings.view_transform = "Standard"
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x = scene.render.resolution_y = 16
bpy.ops.object.camera_add(location=(0, 0, 5))
scene.camera = bpy.context.object
bpy.ops.wm.save_as_mainfile(filepath={!r})
"""


@pytest.fixture
def scene(tmp_path: Path, blender: Blender) -> Path:
    """A .blend with a blue world."""
    file = tmp_path / "scene.blend"
    in_blender(blender, _SCENE.format(str(file)), tmp_path)
    return file


def is_red(frame: Path) -> bool:
    red, _, blue = pixels(frame)[8, 8, :3]
    assert {bool(red > 0.9), bool(blue > 0.9)} == {True, False}
    return bool(red > blue)


def account(blender: Blender, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's user have an add-on that paints worlds red, which is enabled, and such a start-up script."""
    home = folder / "home"
    for name in ("addons", "startup"):
        (home / "scripts" / name).mkdir(parents=True)
        (home / "scripts" / name / f"red_{name}.py").write_text(RED)
    (home / "config").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BLENDER_USER_SCRIPTS", str(home / "scripts"))
    monkeypatch.setenv("BLENDER_USER_CONFIG", str(home / "config"))
    enable = "import bpy; bpy.ops.preferences.addon_enable(module='red_addons'); bpy.ops.wm.save_userpref()"
    in_blender(blender, enable, folder)
    assert (home / "config" / "userpref.blend").exists()


@pytest.mark.blender
@pytest.mark.thorough
def test_what_the_worker_s_account_prefers_does_not_reach_its_renders(
    blender: Blender, tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(blender, tmp_path, monkeypatch)
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1"))
    assert outcome.ended.reason == ""
    assert not is_red(tmp_path / "out" / "scene_0001.png")


def legacy(folder: Path, name: str = "red_world") -> Path:
    """An add-on of one file that paints worlds red."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(RED)
    return folder / f"{name}.py"


def extension(folder: Path, manifest: str = "", source: str = RED) -> Path:
    """An extension that paints worlds red, as a folder; *manifest*: what else its manifest says."""
    made = folder / "red_extension"
    made.mkdir(parents=True)
    (made / "__init__.py").write_text(source)
    (made / "blender_manifest.toml").write_text(MANIFEST + manifest)
    return made


def archive(folder: Path, entries: dict[str, str], name: str = "archive.zip") -> Path:
    """An archive in *folder* of files with these contents."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as made:
        for entry, content in entries.items():
            made.writestr(entry, content)
    return folder / name


def packed(path: Path, folder: Path) -> AddOn:
    (folder / "blobs").mkdir(exist_ok=True)
    return pack_addon(path, folder / "blobs").addon


# --- what an add-on is ------------------------------------------------------------------------------------------------


def test_the_same_files_are_the_same_blob_however_they_were_packed(tmp_path: Path) -> None:
    folder = tmp_path / "red"
    folder.mkdir()
    (folder / "__init__.py").write_text(RED)
    (folder / "data.txt").write_text("data")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "__init__.cpython-311.pyc").write_bytes(b"x")
    zipped = archive(tmp_path, {"red/data.txt": "data", "__MACOSX/._red": "", "README.md": "read", "red/__init__.py": RED})
    from_folder, from_archive = packed(folder, tmp_path), packed(zipped, tmp_path)
    assert from_folder == from_archive
    assert (from_folder.module, from_folder.label) == ("red", "Red world 1.2")


def test_what_an_extension_says_of_itself_comes_from_its_manifest(tmp_path: Path) -> None:
    made = extension(tmp_path, 'blender_version_max = "5.9.0"')
    flat = archive(tmp_path, {each.name: each.read_text() for each in made.iterdir()})
    addon = packed(made, tmp_path)
    assert addon == packed(flat, tmp_path)
    assert (addon.module, addon.label, addon.is_extension) == ("red_ext", "Red extension 2.1.0", True)
    assert (addon.oldest, addon.before) == ((4, 2, 0), (5, 9, 0))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"red/__init__.py": RED, "blue/__init__.py": RED}, "holds more than one add-on, blue and red"),
        ({"red.py": RED, "../evil.py": "x"}, "does not lead to a file in the job's own folder"),
        ({"red.py": RED, "/etc/evil.py": "x"}, "does not lead to a file in the job's own folder"),
        ({"read.me": "x"}, "is no Blender add-on"),
        ({"red.py": "print('no bl_info')"}, "is no Blender add-on"),
        ({"my.red/__init__.py": RED}, "Blender cannot import an add-on of the name 'my.red'"),
        ({"red.py": RED, "red.PY": RED}, "differ in upper and lower case only"),
        ({"blender_manifest.toml": "id =", "__init__.py": ""}, "cannot be read"),
        ({"blender_manifest.toml": 'id = "x"', "__init__.py": ""}, "has no schema_version"),
        ({"blender_manifest.toml": MANIFEST + 'blender_version_max = "4.2.0"', "__init__.py": ""}, "is for no Blender"),
        (
            {"blender_manifest.toml": MANIFEST + 'wheels = ["./wheels/a-1-py3-none-any.whl"]', "__init__.py": RED},
            "names wheels that are not in it",
        ),
        ({"blender_manifest.toml": MANIFEST}, "has no __init__.py"),
        ({"red/__init__.py": RED, "red/bomb": "0" * 3 * 2**20}, "has more than 2 MB unpacked: make it smaller"),
        ({"blender_manifest.toml": MANIFEST + "since = 1" + "0" * 5000, "__init__.py": ""}, "cannot be read: Exceeds the limit"),
    ],
)
def test_what_is_no_add_on_is_refused(
    tmp_path: Path, entries: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(brender.engines.addon_archive, "MOST_BYTES", 2 * 2**20)
    path = archive(tmp_path, entries)
    result = command(capsys, "addon", "add", path, "--data", tmp_path / "data")
    assert (result.code, result.err.count("\n")) == (2, 1), result.err
    assert said in result.err


@pytest.mark.parametrize(
    "key", ["schema_version", "version", "name", "tagline", "maintainer", "type", "blender_version_min", "license"]
)
def test_a_manifest_that_lacks_what_blender_requires_is_refused_where_it_is_packed(tmp_path: Path, key: str) -> None:
    made = extension(tmp_path)
    lines = MANIFEST.splitlines()
    for written in ("", f"{key} = 3", f'{key} = " "'):
        told = "\n".join(written if line.startswith(f"{key} ") else line for line in lines)
        (made / "blender_manifest.toml").write_text(told)
        with pytest.raises(BadInput, match=f"{key}|is not an add-on"):
            packed(made, tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('version = "2.1"', "Blender takes three numbers only"),
        ('id = "red-ext"', "Blender takes letters, digits and single underscores"),
        ('maintainer = " me "', "with blanks around it"),
        ("license = []", "not a list of texts"),
        ('wheels = ["./x.whl"]', "not the name of a wheel"),
        ("wheels = 3", "not a list of texts"),
    ],
)
def test_a_manifest_that_blender_does_not_take_is_refused_where_it_is_packed(tmp_path: Path, line: str, said: str) -> None:
    made, key = extension(tmp_path), line.split()[0]
    kept = [each for each in MANIFEST.splitlines() if not each.startswith(f"{key} ")]
    (made / "blender_manifest.toml").write_text("\n".join([*kept, line]))
    with pytest.raises(BadInput, match=said):
        packed(made, tmp_path)


def test_an_add_on_whose_id_is_a_path_writes_nothing_there(tmp_path: Path) -> None:
    made = extension(tmp_path)
    for written in (str(tmp_path / "evil"), "../evil"):
        (made / "blender_manifest.toml").write_text(MANIFEST.replace("red_ext", written))
        with pytest.raises(BadInput, match="cannot import an add-on of the name"):
            packed(made, tmp_path)
    assert not list(tmp_path.glob("**/evil*"))


def test_what_cannot_be_read_of_a_bl_info_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "red.py").write_text('bl_info = {"name": "Red", "tags": {[]: 1}}')
    assert packed(tmp_path / "red.py", tmp_path).label == "Red"


_RED = 'bl_info = {"name": "Red"}'


@pytest.mark.parametrize(
    "source",
    [
        'bl_info = {"name": "Red", "description": "a\u2028b"}',
        'bl_info = {\f"name": "Red",\n\f"author": "a"}\n',
        f"import os\r\r{_RED}\rx = 1\r",
        f"import os\r\n{_RED}\r\n",
        f"import os; {_RED}",
        f"\f{_RED}",
        'bl_info = {"name": "Red", "description": "' + "a" * 100_000 + '"}',
        'bl_info = {"name": "Red",\n' + '    "b": [1, 2],\n' * 2_000 + "}",
        f'"""How it is done:\n\nbl_info = {{"name": "Blue"}}\n"""\n{_RED}',
        f"x = '\\'' ; y = (\n'''bl_info = 3\n\\''' '''\n)\n# bl_info = '\\\n{_RED}",
        f'if True:\n    bl_info = {{"name": "Blue"}}\n{_RED}',
        'bl_info: dict = \\\n    {"name": "Red"}',
    ],
    ids=range(12),
)
def test_a_bl_info_is_found_where_python_has_one(tmp_path: Path, source: str) -> None:
    (tmp_path / "red.py").write_bytes(source.encode())
    assert packed(tmp_path / "red.py", tmp_path).label == "Red"


def test_a_docstring_that_shows_a_bl_info_makes_no_add_on_and_one_that_is_too_long_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "red.py").write_text(f'"""Such as\n{_RED}\n"""\n')
    with pytest.raises(BadInput, match="is no Blender add-on"):
        packed(tmp_path / "red.py", tmp_path)
    (tmp_path / "red.py").write_text(f"bl_info = {{{'1: 2, ' * 50_000}}}")
    with pytest.raises(BadInput, match="has more than 131,072 characters"):
        packed(tmp_path / "red.py", tmp_path)


def test_a_source_that_would_take_much_memory_to_parse_takes_little(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("bl_info = {'name': 'Large'}\nx = [" + "a," * 500_000 + "]\n")
    tracemalloc.start()
    try:
        assert packed(tmp_path / "large.py", tmp_path).name == "Large"
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_links_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    linked = zipfile.ZipInfo("red/secret.txt")
    linked.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "linked.zip", "w") as made:
        made.writestr(linked, "/etc/passwd")
    folder = extension(tmp_path)
    (folder / "secret.txt").symlink_to("/etc/passwd")
    for path, said in ((tmp_path / "linked.zip", "the link"), (folder, "the link"), (tmp_path / "none.zip", "No such file")):
        with pytest.raises(BadInput, match=said):
            packed(path, tmp_path)


@pytest.mark.parametrize(
    ("entries", "compression"),
    [
        ({"../evil.py": "x"}, zipfile.ZIP_STORED),
        ({"/evil.py": "x"}, zipfile.ZIP_STORED),
        ({"red/__init__.py": "x" * 2**20}, zipfile.ZIP_DEFLATED),
        ({"a/b.py": "x", "A/b.py": "x"}, zipfile.ZIP_STORED),
        ({}, zipfile.ZIP_STORED),
    ],
)
def test_a_worker_unpacks_no_blob_that_brender_did_not_pack(tmp_path: Path, entries: dict[str, str], compression: int) -> None:
    blob = tmp_path / "blob"
    with zipfile.ZipFile(blob, "w", compression) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    if not entries:
        blob.write_bytes(b"no archive")
    with pytest.raises(BadInput, match="it cannot be unpacked"):
        unpack_addon(blob, tmp_path / "in" / "folder", hashlib.sha256(blob.read_bytes()).hexdigest())
    assert not [each for each in tmp_path.rglob("*") if each.is_file() and each != blob]


# --- renders ----------------------------------------------------------------------------------------------------------


@pytest.mark.blender
@pytest.mark.thorough
def test_an_add_on_is_enabled_for_its_job_and_no_other(blender: Blender, tmp_path: Path, scene: Path) -> None:
    addon = legacy(tmp_path / "addon")
    out = tmp_path / "out"
    with studio(tmp_path / "w", blender) as worker:
        with_it = worker.run(worker.job(scene, out / "with", frames="1", addons=[addon]))
        again = worker.run(worker.job(scene, out / "again", frames="1", addons=[addon]))
        shown = [is_red(out / name / "scene_0001.png") for name in ("with", "again")]
        without = worker.run(worker.job(scene, out / "again", frames="1"))
    assert [each.ended.reason for each in (with_it, again, without)] == ["", "", ""]
    assert "enabled the add-on Red world 1.2" in with_it.log
    assert [each.was_warm for each in (with_it, again, without)] == [False, True, False]
    # Its frame was rendered with another add-on, and is not kept.
    assert [*shown, is_red(out / "again" / "scene_0001.png")] == [True, True, False]


@pytest.mark.blender
@pytest.mark.thorough
def test_an_extension_is_enabled_where_blender_knows_extensions(blender: Blender, tmp_path: Path, scene: Path) -> None:
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1", addons=[extension(tmp_path)]))
    if blender.version >= (4, 2, 0):
        assert outcome.ended.reason == "" and is_red(tmp_path / "out" / "scene_0001.png")
    else:
        assert outcome.ended.reason.startswith("The add-on Red extension 2.1.0 needs Blender 4.2 or later, and ")
        assert outcome.ended.permanent


@pytest.mark.blender
@pytest.mark.thorough
def test_a_scene_may_be_rendered_by_an_engine_that_its_job_brings(blender: Blender, tmp_path: Path) -> None:
    file, addon = tmp_path / "scene.blend", tmp_path / "red_engine.py"
    addon.write_text(ENGINE)
    enabled = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import red_engine; red_engine.register()\nscene.render.engine ="
    )
    made = _SCENE.replace("scene.render.engine =", enabled).replace("BLENDER_WORKBENCH", "RED_ENGINE").format(str(file))
    in_blender(blender, made, tmp_path)
    with studio(tmp_path / "w", blender) as worker:
        without = worker.run(worker.job(file, tmp_path / "out", frames="1"))
        outcome = worker.run(worker.job(file, tmp_path / "out", frames="1", addons=[addon]))
    assert "send it with the job (--addon)" in without.ended.reason
    assert outcome.ended.reason == "" and is_red(tmp_path / "out" / "scene_0001.png")


@pytest.mark.blender
@pytest.mark.thorough
def test_the_frames_of_a_film_are_rendered_with_handlers_of_add_ons_too(bpy: Blender, tmp_path: Path) -> None:
    file = tmp_path / "film.blend"
    movie = """image = scene.render.image_settings
if hasattr(image, "media_type"):
    image.media_type = "VIDEO"
image.file_format, scene.render.ffmpeg.format = "FFMPEG", "MPEG4"
bpy.ops.wm.save"""
    in_blender(bpy, _SCENE.replace("bpy.ops.wm.save", movie).format(str(file)), tmp_path)
    with studio(tmp_path / "w", bpy) as worker:
        outcome = worker.run(worker.job(file, tmp_path / "out", frames="1-2", addons=[legacy(tmp_path / "addon")]))
    assert outcome.ended.reason == "", outcome.log
    assert [is_red(frame) for frame in sorted((tmp_path / "out").rglob("*.png"))] == [True, True]


@pytest.mark.blender
@pytest.mark.thorough
def test_an_extension_has_the_python_packages_that_it_brings(bpy: Blender, tmp_path: Path) -> None:
    file = tmp_path / "scene.blend"
    in_blender(bpy, _SCENE.format(str(file)), tmp_path)
    here = f"cp3{sys.version_info.minor}"
    names = (f"redness-1.0-{here}-{here}-win_arm64.whl", "redness-1.0-py3-none-any.whl")
    made = extension(tmp_path, f"wheels = {[f'./wheels/{name}' for name in names]}", RED.replace("(1, 0, 0)", "redness.COLOR"))
    (made / "__init__.py").write_text("import redness\n" + (made / "__init__.py").read_text())
    archive(made / "wheels", {"redness.py": "raise ImportError('of another platform')"}, names[0])
    archive(made / "wheels", {"redness.py": "COLOR = (1, 0, 0)"}, names[1])
    with studio(tmp_path / "w", bpy) as worker:
        outcome = worker.run(worker.job(file, tmp_path / "out", frames="1", addons=[made]))
    assert outcome.ended.reason == "" and is_red(tmp_path / "out" / "scene_0001.png")


@pytest.mark.blender
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import not_there", "No module named 'not_there'"),
        ("def register():\n    raise ValueError('no\\nluck')", "luck"),
        ("def register():\n    import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
@pytest.mark.thorough
def test_an_add_on_that_cannot_be_enabled_ends_the_attempt_with_its_name_and_error(
    blender: Blender, tmp_path: Path, scene: Path, source: str, said: str
) -> None:
    addon = legacy(tmp_path / "addon")
    addon.write_text('bl_info = {"name": "Bad luck", "blender": (3, 0, 0)}\n' + source)
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1", addons=[addon]))
    assert outcome.ended.reason.startswith(f"The add-on Bad luck cannot be enabled in Blender {blender.version[0]}.")
    assert outcome.ended.reason.endswith(said) and outcome.ended.permanent


@pytest.mark.blender
@pytest.mark.thorough
def test_an_add_on_that_ends_blender_is_named_and_what_one_writes_into_its_folder_stays_with_its_session(
    bpy: Blender, tmp_path: Path, scene: Path
) -> None:
    ends, writes = legacy(tmp_path / "addon", "ends"), legacy(tmp_path / "addon", "writes")
    ends.write_text(RED + "\nimport os\ndef register():\n    os._exit(3)\n")
    writes.write_text(RED + NOTE)
    with studio(tmp_path / "w", bpy, Warmth(seconds=0)) as worker:
        ended = worker.run(worker.job(scene, tmp_path / "out", frames="1", addons=[ends]))
        job = worker.job(scene, tmp_path / "out", frames="1", addons=[ends])
        of_farm = tuple(msgspec.structs.replace(addon, of_site=True) for addon in job.addons)
        farm_s = worker.run(msgspec.structs.replace(job, addons=of_farm)).ended.reason
        outcomes = [worker.run(worker.job(scene, tmp_path / name, frames="1", addons=[writes])) for name in "ab"]
    assert "ended while it enabled the add-on Red world 1.2: " in ended.ended.reason
    assert "enabling the add-on Red world 1.2" in ended.log
    assert (
        "enabled the farm's add-on Red world 1.2: " in farm_s and "`brender addon remove ends` takes it from the farm" in farm_s
    )
    assert [each.ended.reason for each in outcomes] == ["", ""]
    until(lambda: not list((tmp_path / "w" / "addons").iterdir()))


@pytest.mark.blender
@pytest.mark.thorough
def test_an_add_on_may_be_called_as_a_module_of_the_driver_or_an_add_on_of_blender(
    tmp_path: Path, scene: Path, blender: Blender
) -> None:
    addons = [legacy(tmp_path / "addon", "paths"), legacy(tmp_path / "addon", "io_scene_fbx")]
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1", addons=addons))
    assert outcome.ended.reason == "" and is_red(tmp_path / "out" / "scene_0001.png")


@pytest.mark.blender
@pytest.mark.thorough
def test_in_the_sandbox_an_add_on_is_read_and_not_written(blender: Blender, tmp_path: Path, scene: Path) -> None:
    if shutil.which("bwrap") is None:
        missing("bubblewrap (apt-get install bubblewrap)")
    show = tmp_path / "show"
    show.mkdir()
    scene.rename(show / "scene.blend")
    folder = tmp_path / "addon" / "red"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        RED + "\ntry:\n    open(__file__, 'a')\nexcept OSError as error:\n    print('not written:', error.strerror)\n"
    )
    kept = confinement("bubblewrap", 0, roots=[show], data=tmp_path / "data")
    with studio(tmp_path / "data" / "w", blender, confinement=kept) as worker:
        outcome = worker.run(worker.job(show / "scene.blend", show / "out", frames="1", addons=[folder]))
    assert outcome.ended.reason == "" and is_red(show / "out" / "scene_0001.png")
    assert "not written: Read-only file system" in outcome.log


# --- the farm ---------------------------------------------------------------------------------------------------------


def known_addon(module: str, **more: Any) -> AddOn:
    return AddOn(name=module.title(), module=module, digest=f"{len(module):x}" * 64, size=9, **more)


def of_site(world: World, what: str, **arguments: Any) -> Any:
    """What an admin asks of the farm's add-ons; the answer, or the sentence that refuses it."""
    answer = world.request(Manage(id=new_id(), what=what, arguments=arguments))  # type: ignore[arg-type]
    return answer.message if isinstance(answer, Sorry) else answer


def addons_of(world: World, job: JobSpec) -> list[tuple[str, str, bool]]:
    return [(each["module"], each["version"], each["of_site"]) for each in world.ask("job", id=job.id)["addons"]]


def test_a_job_keeps_the_add_ons_that_the_farm_had_when_it_was_accepted() -> None:
    world = farm_of_two()
    of_site(world, "add-addon", addon=msgspec.to_builtins(known_addon("red", version="1")))
    of_site(world, "add-addon", addon=msgspec.to_builtins(known_addon("blue")))
    first, own, without = animation("1"), animation("1"), animation("1")
    world.submit(first)
    of_site(world, "add-addon", addon=msgspec.to_builtins(known_addon("red", version="2")))
    of_site(world, "remove-addon", name="Blue")
    world.submit(msgspec.structs.replace(own, addons=(known_addon("red", version="3", of_site=True), known_addon("green"))))
    world.submit(msgspec.structs.replace(without, site_addons=False))
    world.start_server()
    assert addons_of(world, first) == [("red", "1", True), ("blue", "", True)]
    assert addons_of(world, own) == [("red", "3", False), ("green", "", False)]
    assert addons_of(world, without) == []
    assert [row["module"] for row in world.ask("addons")] == ["red"]
    assert "has no add-on 'blue'" in of_site(world, "remove-addon", name="blue")


def test_add_ons_go_only_to_workers_whose_owners_let_them_run_and_that_have_a_blender_for_them() -> None:
    need = Requirements(
        job_type="blender-animation", blender=(3, 4), addons=True, bounding=(known_addon("red", oldest=(4, 2, 0)),)
    )
    old, new = Blender("executable", "/b", (3, 4, 1)), Blender("bpy", "/p", (4, 5, 0))
    info = WorkerInfo(id="w", incarnation=1, name="w", job_types=frozenset({"blender-animation"}), blenders=(old, new))
    willing = msgspec.structs.replace(info, takes_addons=True)
    aged = msgspec.structs.replace(willing, blenders=(old,))
    assert obstacle(need, willing) is None
    earlier = msgspec.structs.replace(info, takes_trusted=True)
    assert [found.one for found in (obstacle(need, info), obstacle(need, earlier), obstacle(need, aged)) if found] == [
        "does not run the add-ons of jobs",
        "has a version of brender that runs no add-ons",
        "has Blender 3.4.1, and the add-on Red needs Blender 4.2 or later",
    ]
    for of_site in (False, True):
        refused = obstacle(msgspec.structs.replace(need, site_addons=of_site), info)
        assert refused is not None and ("--no-site-addons" in refused.remedy) is of_site
    assert choose_series([((old, new), 3)], (3, 4), addons=need.bounding) == (4, 5)


def test_an_add_on_for_older_blenders_goes_to_none_that_is_too_new() -> None:
    old, new = Blender("executable", "/b", (4, 5, 2)), Blender("bpy", "/p", (5, 0, 1))
    addon = known_addon("red", before=(5, 0, 0), of_site=True)
    need = Requirements(job_type="blender-animation", blender=(4, 2), addons=True, bounding=bounding([addon]))
    info = WorkerInfo(id="w", incarnation=1, name="w", job_types=frozenset({"blender-animation"}), takes_addons=True)
    assert obstacle(need, msgspec.structs.replace(info, blenders=(old, new))) is None
    assert choose_series([((old, new), 1), ((new,), 5)], (5, 0), (4, 2, 0), need.bounding) == (4, 5)
    found = obstacle(need, msgspec.structs.replace(info, blenders=(new,)))
    assert found is not None and found.one == "has bpy 5.0.1, and the farm's add-on Red is for Blenders before 5.0"
    assert found.remedy.endswith("or submit the job without it (`--no-site-addons`)")


@pytest.mark.parametrize(
    ("saved_by", "bound", "said"),
    [
        ((3, 4), {"oldest": (5, 0, 0)}, "is rendered with Blender 5.0, though it would be rendered with Blender 3.4"),
        (
            (3, 4),
            {"oldest": (5, 0, 0)},
            "as the farm's add-on Red needs Blender 5.0 or later: `--no-site-addons` leaves them out",
        ),
        ((3, 4), {"before": (3, 4, 0)}, "waits for a worker with another Blender"),
        ((3, 4), {"before": (4, 0, 0)}, ""),
    ],
)
def test_a_job_that_has_another_blender_for_the_farm_s_add_ons_says_so(
    saved_by: tuple[int, int], bound: dict[str, Any], said: str
) -> None:
    world = World()
    world.add_worker("one", blenders=(Blender("executable", "/b", (3, 4, 1)), Blender("bpy", "/p", (5, 0, 1))))
    of_site(world, "add-addon", addon=msgspec.to_builtins(known_addon("red", **bound)))
    job = animation("1", version=saved_by)
    warnings = world.submit(job)["warnings"]
    assert said in warnings[0] if said else warnings == []
    assert world.ask("job", id=job.id)["warnings"] == warnings[:1]  # (the answer may add that nobody can run it)
    assert world.submit(msgspec.structs.replace(animation("1", version=saved_by), site_addons=False))["warnings"] == []


def test_an_add_on_that_no_worker_s_blender_takes_is_said_to_be_so_when_the_farm_gets_it() -> None:
    world = farm_of_two()
    told = of_site(world, "add-addon", addon=msgspec.to_builtins(known_addon("red", before=(4, 0, 0))))
    assert told["unfit"] == "is for Blenders before 4.0"
    said = of_site(world, "add-addon", addon=msgspec.to_builtins(known_addon("blue", oldest=(4, 2, 0))))
    assert "the farm's add-on Blue needs Blender 4.2 or later, and the farm's add-on Red is for Blenders before 4.0" in said


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"addons": (known_addon("red"), known_addon("RED"))}, "are both called RED in Blender"),
        (
            {"addons": (known_addon("red", oldest=(4, 2, 0)),), "settings": {"blender": "4.1"}},
            "the add-on Red needs Blender 4.2 or later",
        ),
        (
            {"addons": (known_addon("red", oldest=(4, 2, 0)), known_addon("blue", before=(4, 1, 0)))},
            "the add-on Red needs Blender 4.2 or later, and the add-on Blue is for",
        ),
    ],
)
def test_a_job_whose_add_ons_cannot_be_enabled_is_refused(job: dict[str, Any], said: str) -> None:
    world, spec = farm_of_two(), animation("1")
    wanted = msgspec.structs.replace(spec, **job | {"settings": {**spec.settings, **job.get("settings", {})}})
    wanted = msgspec.structs.replace(wanted, facts=facts((4, 0)))
    assert said in world.submit(wanted).message


@pytest.mark.blender
@pytest.mark.thorough
@pytest.mark.parametrize("send", [(), ("--send",)])
def test_a_farm_renders_with_the_add_ons_of_a_job_and_its_own(
    farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str], send: tuple[str, ...]
) -> None:
    bpy, file = find_blender("bpy"), tmp_path / "scene.blend"
    in_blender(bpy, _SCENE.format(str(file)), tmp_path)
    where = ("--data", farm.folder.root)
    added = command(capsys, "addon", "add", extension(tmp_path), *where)
    assert (added.code, added.out) == (0, "Every render that is submitted from now on has the add-on Red extension 2.1.0\n")
    jobs = {}
    for name, words in {
        "site": (),
        "none": ("--no-site-addons",),
        "own": ("--no-site-addons", "--addon", legacy(tmp_path / "addon")),
    }.items():
        out = ("--output", tmp_path / name)
        said = command(capsys, "submit", file, "--frames", "1", *words, *send, *out, "--wait", *where)
        assert said.code == 0, said.err
        jobs[name] = is_red(tmp_path / name / "scene_0001.png")
    assert jobs == {"site": True, "none": False, "own": True}


def test_pages_show_the_add_ons_of_a_job_and_those_that_a_new_one_gets(folder: DataFolder) -> None:
    writer = Writer(open_for_writing(str(folder.make().database)))
    told = msgspec.to_builtins(known_addon("red", version="1.2", of_site=True))
    job = {**JOB, "addons": [told, msgspec.to_builtins(known_addon("green"))]}
    writer.commit(
        [put("project", "default", {}), new("job", "a" * 16, job), new("site_addon", "red", {"addon": told, "wall": 1.0})]
    )
    writer.database.close()
    make_users(folder)
    web = Browser(application(folder))
    assert "<dd>Red 1.2 (the farm&#39;s), Green</dd>" in web.get(f"/jobs/{'a' * 16}").text.replace(
        "(the farm's)", "(the farm&#39;s)"
    )
    assert "Renders have the farm's add-ons: Red 1.2. " in web.get("/submit").text
