"""Path variables: one folder that machines share, and where each platform and site has it."""

import shutil
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.engines.destination import one_spelling
from brender.engines.shared_folders import look, proof_file
from brender.model.eligibility import general_obstacle
from brender.model.errors import BadInput
from brender.model.grant import Order, localized
from brender.model.job import Requirements
from brender.model.nodes import Blender, WorkerInfo
from brender.model.paths import PathVariable, check_variable, collapse, expand, foreign, from_elsewhere, places, variables_in
from brender.roles.effects import Now
from brender.scheduling.classes import Limits
from brender.scheduling.folder_limits import inside_of
from brender.scheduling.terms import Demand
from tests.conftest import SCENES
from tests.rendering import studio
from tests.tools import command, in_blender, pixels, until
from tests.world import World, animation

LINUX = PathVariable("projects", "linux", "/mnt/projects")
WINDOWS = PathVariable("projects", "windows", "P:\\")
MACOS = PathVariable("projects", "macos", "/Volumes/projects")
SOUTH = PathVariable("projects", "linux", "/srv/p", "south")
ALL = (LINUX, WINDOWS, MACOS, SOUTH)


@pytest.mark.parametrize(
    ("platform", "site", "path"),
    [
        ("linux", "", "/mnt/projects/shot/a.blend"),
        ("linux", "south", "/srv/p/shot/a.blend"),
        ("windows", "south", "P:\\shot\\a.blend"),
        ("macos", "", "/Volumes/projects/shot/a.blend"),
    ],
)
def test_a_path_is_kept_with_its_variable_and_read_everywhere(platform: str, site: str, path: str) -> None:
    assert collapse(path, ALL, platform, site) == "{projects}/shot/a.blend"  # type: ignore[arg-type]
    assert expand("{projects}/shot/a.blend", places(ALL, platform, site), platform) == path  # type: ignore[arg-type]


def test_windows_paths_are_one_whatever_their_case_and_slashes() -> None:
    assert collapse("p:/Shot/A.blend", ALL, "windows") == "{projects}/Shot/A.blend"


def test_the_longest_folder_that_fits_is_the_variable() -> None:
    inner = PathVariable("assets", "linux", "/mnt/projects/assets")
    assert collapse("/mnt/projects/assets/a.png", (LINUX, inner), "linux") == "{assets}/a.png"
    assert collapse("/mnt/projects", (LINUX, inner), "linux") == "{projects}"


def test_paths_of_macos_are_told_in_the_coding_of_letters_that_other_systems_have() -> None:
    here = (PathVariable("projects", "macos", "/Volumes/Caf\u00e9"),)
    assert collapse("/Volumes/Cafe\u0301/Ku\u0308che.blend", here, "macos") == "{projects}/K\u00fcche.blend"
    linux = (PathVariable("projects", "linux", "/mnt/Caf\u00e9"),)
    assert collapse("/mnt/Cafe\u0301/a.blend", linux, "linux") == "/mnt/Cafe\u0301/a.blend"  # another folder, there


@pytest.mark.parametrize("path", ["/mnt/projectsx/a", "/mnt", "/home/a.blend", "/mnt/projects/../secret", "relative"])
def test_a_path_beside_the_folder_stays_as_it_is(path: str) -> None:
    assert collapse(path, ALL, "linux") == path


@given(st.lists(st.text(st.characters(exclude_characters="/\\\0{}", exclude_categories=["Cs"]), min_size=1), max_size=4))
def test_what_is_collapsed_expands_to_what_it_was(parts: list[str]) -> None:
    path = "/".join(["/mnt/projects", *(part for part in parts if part not in (".", ".."))])
    assert expand(collapse(path, ALL, "linux"), places(ALL, "linux"), "linux") == path


def test_a_variable_without_a_place_here_is_said_with_what_to_do() -> None:
    with pytest.raises(
        BadInput, match=r"\{projects\} has no place on this machine \(linux\): `brender path set projects --linux"
    ):
        expand("{projects}/a", places((WINDOWS,), "linux"), "linux")


@pytest.mark.parametrize(
    "variable",
    [
        PathVariable("Projects", "linux", "/mnt"),
        PathVariable("", "linux", "/mnt"),
        PathVariable("a b", "linux", "/mnt"),
        PathVariable("a", "amiga", "/mnt"),  # type: ignore[arg-type]
        PathVariable("a", "linux", "mnt"),
        PathVariable("a", "linux", "/mnt/../etc"),
        PathVariable("a", "windows", "/mnt"),
        PathVariable("a", "windows", "P:x"),
        PathVariable("a", "linux", "/mnt", "so uth"),
    ],
)
def test_a_variable_that_is_none_is_refused(variable: PathVariable) -> None:
    with pytest.raises(BadInput):
        check_variable(variable)


@pytest.mark.parametrize(
    ("platform", "example"), [("windows", "P:\\projects"), ("linux", "/mnt/projects"), ("macos", "/mnt/projects")]
)
def test_a_path_that_is_not_absolute_is_refused_with_one_that_is(platform: str, example: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_variable(PathVariable("a", platform, "here"))  # type: ignore[arg-type]
    assert str(refused.value) == f"'here' is not an absolute path on {platform}: give one such as {example}"


def test_a_worker_of_macos_uses_its_folders_however_they_are_spelled() -> None:
    mac = WorkerInfo(
        id="w",
        incarnation=1,
        name="mac",
        platform="macOS-14.5-arm64",
        folders=("/Volumes/Caf\u00e9",),
        job_types=frozenset({"command"}),
    )
    need = Requirements(job_type="command", writes=("/volumes/cafe\u0301/out",))
    assert general_obstacle(need, (), mac) is None
    assert general_obstacle(need, (), msgspec.structs.replace(mac, platform="Linux-6.1-x86_64")) is not None
    limits = Limits.of(mac)
    assert limits is not None and inside_of(Demand("job", 50, 1, 0, 1, need), [limits]) == {limits}


def test_only_a_beginning_is_a_variable() -> None:
    assert variables_in("{projects}/a", "/x/{other}", "{frame:04d}", "{b}x", "{c}") == {"projects", "c"}


def test_an_order_is_read_as_the_worker_s_machine_has_it() -> None:
    order = Order(job="a" * 16, engine="x", settings={"file": "{projects}/a.blend", "n": 3}, output="{projects}/out", paths=ALL)
    here = localized(order, "Windows-11", "")
    assert (here.settings, here.output) == ({"file": "P:\\a.blend", "n": 3}, "P:\\out")
    own = PathVariable("projects", "windows", "Q:\\", "south")
    assert localized(msgspec.structs.replace(order, paths=(*ALL, own)), "Windows-11", "south").output == "Q:\\out"


def test_a_worker_without_the_folder_is_passed_over_and_the_job_says_so() -> None:
    need = Requirements(job_type="t", variables=frozenset({"projects"}))
    worker = WorkerInfo(id="w", incarnation=1, name="w", platform="Linux-6.1", job_types=frozenset({"t"}))
    assert "has no place for {projects}" in str(general_obstacle(need, (WINDOWS, SOUTH), worker))
    south = WorkerInfo(id="w", incarnation=1, name="w", platform="Linux-6.1", site="south", job_types=frozenset({"t"}))
    assert general_obstacle(need, (WINDOWS, SOUTH), south) is None


def test_folders_elsewhere_are_listed_with_the_one_here_and_the_longest_first() -> None:
    assert foreign(ALL, places(ALL, "linux")) == [
        ("/Volumes/projects", "/mnt/projects"),
        ("/srv/p", "/mnt/projects"),
        ("P:\\", "/mnt/projects"),
    ]


def test_an_output_folder_has_one_spelling_whatever_links_lead_there(tmp_path: Path) -> None:
    root, shot = tmp_path / "disk", tmp_path / "disk" / "shot"
    shot.mkdir(parents=True)
    (root / "link").symlink_to(shot)
    (tmp_path / "mount").symlink_to(root)
    (root / "away").symlink_to(tmp_path)
    ways = [str(shot), str(root / "link"), f"{root}/none/../shot", f"{tmp_path}/mount/link/", f"{shot}/."]
    assert {one_spelling(way) for way in ways} == {str(shot)}
    for place in (root, tmp_path / "mount"):
        known = (PathVariable("projects", "linux", str(place)), WINDOWS)
        found = {one_spelling(way, known) for way in [*ways, "{projects}/link", "{projects}/shot/../shot"]}
        assert found == {"{projects}/shot"}
    assert one_spelling(str(root / "away"), known) == str(tmp_path)
    assert one_spelling("{projects}/away", known) == "{projects}/away", "other platforms find it by its variable alone"
    assert [one_spelling(way, known) for way in ("", "{nope}/a", "relative")] == ["", "{nope}/a", "relative"]


def test_a_second_job_for_one_folder_is_refused_however_that_is_spelled(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    words = ("submit", SCENES / "03_animated_cube.blend", "--frames", "1", "--paused", "--allow-missing")
    words = (*words, "--data", module_farm.folder.root, "--output")
    assert command(capsys, *words, tmp_path / "link").code == 0
    for other in (tmp_path / "out", tmp_path / "none" / ".." / "out"):
        again = command(capsys, *words, other)
        assert again.code == 3 and "writes the same files" in again.err and f" in {tmp_path / 'out'}," in again.err


# --- in Blender -----------------------------------------------------------------------------------------------------------


@pytest.mark.blender
def test_a_texture_that_another_platform_named_is_found_here(blender: Blender, tmp_path: Path) -> None:
    """A scene saved on Windows names P:\\\\tex\\\\a.png; the folder is here, elsewhere."""
    here = tmp_path / "projects"
    (here / "tex").mkdir(parents=True)
    shutil.copy(SCENES / "01_alpha_blend.png", here / "tex" / "a.png")
    in_blender(
        blender,
        f"import bpy\nbpy.ops.wm.open_mainfile(filepath={str(SCENES / '01_alpha_blend.blend')!r})\n"
        "image = next(i for i in bpy.data.images if i.source == 'FILE' and i.users)\nimage.filepath = r'P:\\tex\\a.png'\n"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(here / 's.blend')!r}, relative_remap=False)\n",
        tmp_path,
    )
    with studio(tmp_path / "w", blender) as worker:
        plain = worker.job(here / "s.blend", tmp_path / "out", frames="1", samples=1, resolution=5)
        lost = worker.run(plain)
        worker.paths = (WINDOWS, PathVariable("projects", "linux", str(here)))
        found = worker.run(msgspec.structs.replace(plain, overwrite=True))
    assert any("a.png" in warning for warning in lost.warnings)
    assert not found.ended.reason and not any("a.png" in warning for warning in found.warnings)


@pytest.mark.blender
@pytest.mark.thorough
def test_a_library_of_a_library_and_its_texture_that_another_platform_named_are_found_here(
    blender: Blender, tmp_path: Path
) -> None:
    """The scene links P:\\lib\\one.blend, which links P:\\lib\\two.blend, which has the texture P:\\tex\\a.png."""
    here = tmp_path / "projects"
    for name in ("lib", "tex"):
        (here / name).mkdir(parents=True)
    shutil.copy(SCENES / "01_alpha_blend.png", here / "tex" / "a.png")
    in_blender(blender, LIBRARIES.format(here=str(here), scene=str(SCENES / "01_alpha_blend.blend")), tmp_path)
    with studio(tmp_path / "w", blender) as worker:
        plain = worker.job(here / "s.blend", tmp_path / "out", frames="1", samples=1, resolution=5)
        lost = worker.run(plain)
        worker.paths = (WINDOWS, PathVariable("projects", "linux", str(here)))
        found = worker.run(msgspec.structs.replace(plain, overwrite=True))
    assert any("one.blend" in warning for warning in lost.warnings)
    assert not found.ended.reason and not any("P:" in warning for warning in found.warnings), found.warnings


LIBRARIES = """
import bpy, os
os.chdir({here!r})
def link(library, name, elsewhere):
    with bpy.data.libraries.load(os.path.abspath(library), link=True) as (there, here):
        here.collections = [name]
    for each in bpy.data.libraries:
        if os.path.basename(each.filepath) == os.path.basename(library):
            each.filepath = elsewhere
    return bpy.data.collections[name]
def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.abspath(name), relative_remap=False)
bpy.ops.wm.read_factory_settings(use_empty=True)
image = bpy.data.images.load(os.path.abspath("tex/a.png"))
image.filepath = r"P:\\tex\\a.png"
material = bpy.data.materials.new("m")
material.use_nodes = True
material.node_tree.nodes.new("ShaderNodeTexImage").image = image
mesh = bpy.data.meshes.new("mesh")
mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
mesh.materials.append(material)
two = bpy.data.collections.new("two")
two.objects.link(bpy.data.objects.new("thing", mesh))
bpy.context.scene.collection.children.link(two)
save("lib/two.blend")
bpy.ops.wm.read_factory_settings(use_empty=True)
one = bpy.data.collections.new("one")
one.children.link(link("lib/two.blend", "two", r"P:\\lib\\two.blend"))
bpy.context.scene.collection.children.link(one)
save("lib/one.blend")
bpy.ops.wm.open_mainfile(filepath={scene!r})
bpy.context.scene.collection.children.link(link("lib/one.blend", "one", r"P:\\lib\\one.blend"))
save("s.blend")
"""


# --- on a farm ------------------------------------------------------------------------------------------------------------


@pytest.mark.blender
def test_a_job_in_a_shared_folder_keeps_its_paths_with_the_variable(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "projects"
    shutil.copytree(SCENES.parent, root / "shot")
    data = module_farm.folder.root
    assert command(capsys, "path", "set", "projects", "--linux", root, "--windows", "P:\\", "--data", data).code == 0
    assert "P:\\" in command(capsys, "path", "list", "--data", data).out
    words = ("--frames", "1", "--samples", "1", "--resolution", "5", "--output", root / "out", "--allow-missing")
    words = (*words, "--name", "in a shared folder")
    said = command(capsys, "submit", root / "shot" / "scenes" / "03_animated_cube.blend", *words, "--wait", "--data", data)
    assert said.code == 0, said.err
    with client(None, data) as connection:
        job = connection.ask("job", id="in a shared folder")
    assert job["output"] == "{projects}/out" and job["settings"]["file"] == "{projects}/shot/scenes/03_animated_cube.blend"
    (frame,) = (root / "out").iterdir()
    assert pixels(frame).shape[0] > 0
    assert command(capsys, "fetch", job["id"], "--to", tmp_path / "got", "--data", data).out.strip().startswith("1 file fetched")
    command(capsys, "path", "unset", "projects", "--data", data)
    said = command(capsys, "requeue", job["id"], "--all", "--data", data)
    with client(None, data) as connection:
        reason = until(lambda: connection.ask("job", id=job["id"])["reason"])
    assert "no place for {projects}" in reason


@pytest.mark.thorough
def test_doctor_says_whether_all_workers_see_the_same_folder(
    farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = farm.folder.root
    root = tmp_path / "projects"
    root.mkdir()
    with client(None, data) as connection:
        until(lambda: len(connection.ask("workers")) == 2)
    command(capsys, "path", "set", "projects", "--linux", root, "--data", data)
    said = command(capsys, "doctor", "--quick", "--data", data)
    assert f"{root}: 2 workers see the same files there" in said.out
    assert not list(root.iterdir()), "nothing is left there"
    other = tmp_path / "other"
    other.mkdir()
    command(capsys, "path", "set", "projects", "--linux", other, "--site", "north", "--data", data)
    said = command(capsys, "doctor", "--quick", "--site", "north", "--data", data)
    assert said.code == 1 and f"the file is not in {root}: it is another folder there" in said.out
    command(capsys, "path", "set", "projects", "--linux", tmp_path / "gone", "--data", data)
    said = command(capsys, "doctor", "--quick", "--data", data)
    assert said.code == 1 and "No such file or directory" in said.out


def test_a_file_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    def come() -> None:
        time.sleep(0.3)
        proof_file(tmp_path, "a" * 32).write_bytes(b"here")

    threading.Thread(target=come).start()
    assert look(tmp_path, "a" * 32).digest
    assert "there is no folder" in look(tmp_path / "x", "a" * 32).problem


@pytest.mark.parametrize("path", ["C:\\tmp\\out", "c:/tmp/out", "\\\\nas\\show\\out"])
def test_a_folder_in_windows_words_that_nothing_maps_is_refused_with_what_maps_it(path: str) -> None:
    with pytest.raises(BadInput, match=r"is a path of Windows, and this machine is of linux.*brender path set NAME --windows"):
        one_spelling(path, [each for each in ALL if each.platform != "windows"])


def test_a_folder_in_windows_words_that_a_variable_begins_is_kept_with_the_variable() -> None:
    assert one_spelling("p:/shot/out", [WINDOWS]) == "{projects}/shot/out"
    share = PathVariable("shows", "windows", "\\\\nas\\shows", "south")
    assert one_spelling("\\\\NAS\\shows\\sh_010", [share]) == "{shows}/sh_010"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("/P:/tex/a.png", "/mnt/projects/tex/a.png"),
        ("P:\\tex\\a.png", "/mnt/projects/tex/a.png"),
        ("/nas/shows/b.png", ""),
        ("/Volumes/projects/c.png", "/mnt/projects/c.png"),
        ("/P:/../secret", None),
        ("/Q:/d.png", None),
        ("/mnt/projects/gone.png", None),
    ],
)
def test_a_file_that_another_platform_named_is_where_its_variable_is_here(named: str, found: str | None) -> None:
    variables = (*ALL, PathVariable("shows", "windows", "\\\\nas\\shows"))
    assert from_elsewhere(named, variables, places(ALL, "linux")) == found


def test_braces_in_names_of_files_are_no_variables() -> None:
    world = World()
    world.server.jobs.submit(animation("1", pattern="{camera_name}/x_##"), Now(0.0, 0.0))
    order = Order(job="a" * 16, engine="x", settings={"pattern": "{projects}/x", "film": "{projects}/y"}, output="/x", paths=ALL)
    assert localized(order, "Linux", "") == order


def test_a_job_with_a_variable_that_nobody_knows_is_refused() -> None:
    world = World()
    with pytest.raises(BadInput, match=r"There is no path variable \{nope\}"):
        world.server.jobs.submit(animation("1", output="{nope}/a"), Now(0.0, 0.0))


@pytest.mark.parametrize(
    "words",
    [
        ("set", "Bad Name", "--linux", "/mnt"),
        ("set", "x"),
        ("set", "x", "--linux", "relative"),
        ("set", "x", "--linux", "/mnt", "--site", "a b"),
        ("unset", "never-set"),
    ],
)
def test_rubbish_is_refused_in_a_sentence(
    module_farm: LocalFarm, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = command(capsys, "path", *words, "--data", module_farm.folder.root)
    assert said.code in (2, 4) and said.err.startswith("Error:") and "Traceback" not in said.err
