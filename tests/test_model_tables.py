"""Names, paths and versions by example: what the model makes of each, and what it refuses with which sentence."""

import msgspec
import pytest

from brender.model.addon import AddOn, check_addons, with_those_of_site
from brender.model.bundle import Bundle, BundleFile, as_bytes, check_paths, read_bundle
from brender.model.errors import BadInput
from brender.model.naming import (
    ScenePath,
    check_pattern,
    extension_of,
    file_pattern,
    frame_name,
    is_folder_of,
    is_frame_name,
    scene_path,
    scene_pattern,
    temporary_name,
)
from brender.model.nodes import (
    Blender,
    WorkerInfo,
    can_open,
    can_open_with,
    choose_blender,
    choose_series,
    dotted,
    forbidden,
    read_series,
    tags_of,
)
from brender.model.paths import PathVariable, adopt, collapse, expand, foreign, from_elsewhere, paths_of, places, spelled
from brender.model.people import Role, check_role, check_user_name
from brender.model.schedule import asleep, parse_schedule
from brender.model.views import base_of, check_suffixes, other_views, suffixes_of, view_name
from tests.world import facts


def refusal(make: object, *given: object) -> str:
    with pytest.raises(BadInput) as refused:
        make(*given)  # type: ignore[operator]
    return str(refused.value)


# --- names of files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "frame", "extension", "name"),
    [
        ("a", 7, ".png", "a0007.png"),
        ("a_##_b_###", 7, ".png", "a_##_b_007.png"),
        ("f##/a", 7, ".png", "f07/a.png"),
        ("f##/a#", 12345, ".png", "f##/a12345.png"),
        ("a_##", -7, "", "a_-07"),
        ("a_##.JPEG", 7, ".jpg", "a_07.JPEG"),
        ("a_##.tiff", 7, ".tif", "a_07.tiff"),
        ("a_##.exr", 7, ".png", "a_07.png"),
        ("a_##.b", 7, ".png", "a_07.b.png"),
        ("a_##.", 7, ".png", "a_07.png"),
    ],
)
def test_the_file_of_a_frame_is_named_as_blender_does(pattern: str, frame: int, extension: str, name: str) -> None:
    assert frame_name(pattern, frame, extension) == name
    assert is_frame_name(name.upper().replace("/", "\\"), pattern, extension) and is_frame_name(f"{name}/x", pattern, extension)
    assert not is_frame_name(f"x{name}", pattern, extension) and not is_frame_name(f"{name}x", pattern, extension)


def test_a_pattern_is_written_with_its_number_and_knows_its_folders() -> None:
    assert [file_pattern(each, ".png") for each in ("a", "a_##", "f#/a")] == ["a####.png", "a_##.png", "f#/a.png"]
    assert is_folder_of("A", "a/b_##") and is_folder_of("a\\b", "a/b/c") and not is_folder_of("a", "ab/c")


def test_a_name_ends_as_the_scene_wants_it() -> None:
    scene = msgspec.structs.replace(facts().scenes[0], is_codestream=True)
    assert [extension_of(each, scene) for each in ("PNG", "JPEG2000", "TIFF")] == [".png", ".j2c", ".tif"]
    assert extension_of("JPEG2000", msgspec.structs.replace(scene, is_codestream=False)) == ".jp2"
    assert extension_of("PNG", msgspec.structs.replace(scene, use_extension=False)) == ""


@pytest.mark.parametrize(
    ("folder", "name", "temporary"),
    [
        *(("", "", True), ("/tmp/", "", True), ("/var/tmp/", "a", True), ("C:/tmp/", "", True), ("c:/Windows/Temp/", "", True)),
        *(("C:/Users/x/AppData/Local/Temp/", "", True), ("", "a", False), ("/tmp/a/", "", False), ("//", "", False)),
        *(("C:/a/tmp/", "", False), ("/home/tmp/", "", False)),
    ],
)
def test_a_path_that_nobody_chose_is_known(folder: str, name: str, temporary: bool) -> None:
    path = ScenePath(folder, name)
    assert path.is_temporary is temporary
    named = "shot_####" if temporary and not name else name or "####"
    assert scene_pattern(path, "C:\\a\\shot.blend") == scene_pattern(path, "/a/shot.blend") == named


@pytest.mark.parametrize(
    ("output", "version", "more", "folder", "name"),
    [
        ("//a\\b_##", (3, 4), {}, "//a/", "b_##"),
        ("\\\\server\\a\\b", (3, 4), {}, "\\\\server/a/", "b"),
        ("//{blend_name}/{{x}}_", (4, 5), {}, "//shot/", "{x}_"),
        ("//{blend_name}", (4, 4), {}, "//", "{blend_name}"),
        ("//a.mp4", (5, 0), {"image_format": "FFMPEG"}, "//", "a"),
        ("//a.mp4", (5, 0), {"image_format": "PNG"}, "//", "a.mp4"),
        ("//a_##.avif", (5, 3), {}, "//", "a_##"),
        ("//a_##.avif", (5, 2), {}, "//", "a_##.avif"),
        ("//a.avif", (5, 3), {}, "//", "a.avif"),
        ("//a_##.avif", (5, 3), {"use_extension": False}, "//", "a_##.avif"),
        ("b", (5, 0), {}, "", "b"),
    ],
)
def test_a_scene_s_output_path_is_a_folder_and_a_name(
    output: str, version: tuple[int, int], more: dict[str, object], folder: str, name: str
) -> None:
    scene = msgspec.structs.replace(facts().scenes[0], **{"output": output, "image_format": "PNG"} | more)
    file = msgspec.structs.replace(facts(), version=version, scenes=(scene,))
    assert scene_path(file, scene) == ScenePath(folder, name)
    if scene.image_format == "FFMPEG":
        assert scene_path(file, scene, as_film=True).name == "a.mp4"


def test_what_a_pattern_may_not_be_is_said() -> None:
    assert refusal(check_pattern, " ") == "The output pattern is empty: give one such as shot_####"
    own = ". The scene names it so (Output properties): name the files with --pattern, such as --pattern NAME_####"
    assert refusal(check_pattern, "\0", "The name", True) == f"The name is empty: give one such as shot_####{own}"
    absolute = "is an absolute path: give the folder with --output, the pattern names files in it"
    for pattern in ("/a", "C:\\a", "C:a", "\\a"):
        assert refusal(check_pattern, pattern) == f"The output pattern {pattern!r} {absolute}"
    assert refusal(check_pattern, "a\\..\\b") == "The output pattern 'a\\\\..\\\\b' climbs out of the output folder with '..'"
    for piece in ("CON", "lpt9.png", "a:b", "a\x1f", "x" * 201):
        said = f"The output pattern {'d/' + piece!r} has a part that is not a file name on every platform: {piece!r}"
        assert refusal(check_pattern, f"d/{piece}") == said
    for pattern in ("x" * 200, "com10", "a b/c", "a.con"):
        assert check_pattern(pattern) == pattern


def test_an_attempt_writes_beside_the_file_and_hidden() -> None:
    names = [temporary_name(name, "f") for name in ("a/b.c.png", "b", ".png", "a/b")]
    assert names == ["a/.b.c.f.tmp.png", ".b.f.tmp", "..png.f.tmp", "a/.b.f.tmp"]


def test_views_have_pictures_of_their_own_where_the_format_cannot_hold_them() -> None:
    def suffixes(views: tuple[str, ...], views_format: str, image_format: str = "PNG", version: tuple[int, int] = (5, 0)) -> int:
        scene = msgspec.structs.replace(facts().scenes[0], views=views, views_format=views_format, image_format="PNG")
        return len(suffixes_of(scene, image_format, version))

    pair = ("_L", "_R")
    assert [suffixes(pair, each) for each in ("INDIVIDUAL", "STEREO_3D", "MULTIVIEW")] == [2, 0, 0]
    assert suffixes(pair, "MULTIVIEW", "TIFF") == 2 and suffixes(pair, "MULTIVIEW", "OPEN_EXR_MULTILAYER") == 0
    assert suffixes(pair, "STEREO_3D", "OPEN_EXR_MULTILAYER") == 2 and suffixes((), "INDIVIDUAL") == 0
    assert view_name("a.b/c", "_L") == "a.b/c_L" and view_name("a/b.c.png", "_L") == "a/b.c_L.png"
    assert base_of("a/b_L.png", pair) == "a/b" and base_of("a/b_L.png", ()) == "a/b_L"
    assert other_views("a/b_L.png", ("_L", "_M", "_R")) == ("a/b_M.png", "a/b_R.png")
    bad = msgspec.structs.replace(facts().scenes[0], views=("a/b",), views_format="INDIVIDUAL")
    assert refusal(check_suffixes, bad, "PNG", facts()).endswith("Change it in Blender (Output properties, Stereoscopy)")


# --- files of jobs, add-ons -----------------------------------------------------------------------------------------------


def test_a_bundle_holds_what_is_rendered_and_no_two_files_of_one_name() -> None:
    files = tuple(BundleFile(path, "0" * 64, 1) for path in ("a.blend", "t/b.png"))
    bundle = Bundle(main="a.blend", files=files)
    assert read_bundle(as_bytes(bundle)) == bundle
    other = msgspec.structs.replace(bundle, main="c.blend")
    said = "The list of the job's files does not hold 'c.blend', which is to be rendered"
    assert refusal(read_bundle, as_bytes(other)) == said
    assert refusal(read_bundle, b"x").startswith("The list of the job's files is damaged: ")
    for one, two in (("a/B", "A/b"), ("\u00e9", "e\u0301")):
        assert refusal(check_paths, [one, two]).startswith(f"The files {one} and {two} differ in upper and lower case only")


def test_add_ons_are_told_apart_by_what_blender_calls_them() -> None:
    def addon(module: str, oldest: tuple[int, ...] = (), version: str = "") -> AddOn:
        return AddOn(name=module.title(), module=module, version=version, digest="0" * 64, size=1, oldest=oldest)  # type: ignore[arg-type]

    said = "The add-ons Red 1 and Red are both called RED in Blender: leave one of them out"
    assert refusal(check_addons, [addon("red", version="1"), addon("RED")]) == said
    own, of_site = [addon("a")], [addon("A"), addon("b")]
    assert [(each.module, each.of_site) for each in with_those_of_site(own, of_site)] == [("b", True), ("a", False)]


# --- Blenders -------------------------------------------------------------------------------------------------------------


_FOR_4_5, _FOR_5_0 = (AddOn(name="A", module="a", digest="0" * 64, size=1, oldest=oldest) for oldest in ((4, 5, 0), (5, 0, 0)))


def blender(*version: int) -> Blender:
    return Blender("executable", "/b", version)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "saved_by", "oldest", "opens"),
    [
        *(((5, 0, 0), (5, 0), None, True), ((4, 5, 0), (5, 0), None, False), ((5, 1, 0), (5, 0), None, True)),
        *(((4, 5, 0), (5, 0), (4, 5, 0), True), ((4, 4, 0), (5, 0), (4, 5, 0), False), ((4, 6, 0), (5, 0), (4, 5, 9), True)),
    ],
)
def test_a_file_is_opened_by_what_its_word_lets(
    version: tuple[int, int, int], saved_by: tuple[int, int], oldest: tuple[int, int, int] | None, opens: bool
) -> None:
    assert can_open(blender(*version), saved_by, oldest) is can_open_with(version[:2], saved_by, oldest) is opens


def test_the_blender_is_of_the_file_s_series_or_else_the_newest_of_what_is_asked_for() -> None:
    several = [blender(4, 2, 1), blender(4, 5, 0), blender(4, 5, 3), blender(5, 0, 1)]

    def chosen(saved_by: tuple[int, int], *more: object) -> tuple[int, ...] | None:
        found = choose_blender(several, saved_by, *more)  # type: ignore[arg-type]
        return found and found.version

    assert chosen((4, 5)) == (4, 5, 3) and chosen((4, 3)) == (5, 0, 1) and chosen((5, 1)) is None
    assert chosen((4, 2), None, (4, 5)) == (4, 5, 3) and chosen((4, 2), None, None, [_FOR_4_5]) == (5, 0, 1)
    assert chosen((4, 5), None, None, [_FOR_4_5]) == (4, 5, 3) and chosen((5, 1), (4, 5, 0)) == (5, 0, 1)


def test_the_series_of_a_job_is_that_of_its_file_or_of_most_workers() -> None:
    old, mid, new = blender(4, 2, 1), blender(4, 5, 0), blender(5, 0, 1)
    assert choose_series([((old, new), 1), ((mid, mid), 3)], (4, 2)) == (4, 2)
    assert choose_series([((old, new), 1), ((mid,), 3)], (4, 1)) == (4, 5)
    assert choose_series([((new,), 2), ((mid,), 2)], (4, 1)) == (5, 0)
    assert choose_series([((mid,), 2), ((new,), 3), ((old, mid), 2)], (4, 1)) == (4, 5)
    assert choose_series([((old, mid), 9)], (5, 0), (4, 2, 0)) == (4, 5) and choose_series([((old,), 1)], (5, 0)) is None
    assert choose_series([((old,), 9), ((new,), 1)], (4, 2), addons=[_FOR_5_0]) == (5, 0)
    assert (
        choose_series([((new,), 1)], (4, 2), addons=[_FOR_5_0]) == (5, 0)
        and choose_series([((old,), 1)], (4, 2), None, [_FOR_5_0]) is None
    )


def test_a_series_is_read_and_written_as_people_do() -> None:
    assert read_series("4.5") == (4, 5) and dotted((4, 5)) == "4.5"
    assert refusal(read_series, "4") == "'4' is not a series of Blender: write it as 4.5"
    assert tags_of([blender(4, 5, 1), Blender("bpy", "", (5, 0, 1))]) == {
        *("blender-4.5", "blender-5.0", "blender-executable", "blender-bpy")
    }


def test_what_the_owner_of_a_worker_does_not_allow_is_said() -> None:
    worker = WorkerInfo(id="w", incarnation=1, name="w", programs=frozenset({"cat"}))
    some = forbidden(worker, "my tool", False, False)
    assert some is not None and some.one == "does not allow the program my tool" and "`--allow-program 'my tool'`" in some.remedy
    assert forbidden(worker, "cat", False, False) is None is forbidden(worker, "", False, False)
    said = [
        (obstacle.one if (obstacle := forbidden(each, "", trusted, addons)) else None)
        for each in (
            worker,
            msgspec.structs.replace(worker, takes_trusted=True),
            msgspec.structs.replace(worker, takes_addons=True),
        )
        for trusted, addons in ((True, False), (False, True))
    ]
    assert said == [
        *("does not run the scripts inside a .blend", "does not run the add-ons of jobs"),
        *(None, "has a version of brender that runs no add-ons", "does not run the scripts inside a .blend", None),
    ]


# --- paths, people, hours ---------------------------------------------------------------------------------------------------

_WIN, _LINUX = PathVariable("p", "windows", "P:\\"), PathVariable("p", "linux", "/mnt/p")
_SHOT, _SOUTH = PathVariable("shot", "linux", "/mnt/p/shot"), PathVariable("p", "linux", "/south", "south")


def test_a_path_begins_with_the_longest_variable_that_fits() -> None:
    known = [_WIN, _LINUX, _SHOT, _SOUTH]
    assert [collapse(path, known, "linux") for path in ("/mnt/p/shot/a", "/mnt/p", "/mnt/p/../a", "/mnt/pa", "/south/a")] == [
        *("{shot}/a", "{p}", "/mnt/p/../a", "/mnt/pa", "/south/a")
    ]
    assert collapse("/south/a", known, "linux", "south") == "{p}/a" and places(known, "linux", "south")["p"] == "/south"
    assert expand("{p}\\a//b", places(known, "linux"), "linux") == "/mnt/p/a/b" and expand("/{p}", {}, "linux") == "/{p}"
    said = "{p} has no place on this machine (macos): `brender path set p --macos FOLDER` gives it one"
    assert refusal(expand, "{p}/a", {}, "macos") == said
    assert paths_of({"file": "{p}/a", "frames": 3}) == {"file": "{p}/a"}
    assert spelled("P:/A/../b", "windows") == "p:\\b\\" and spelled("/", "linux") == "/"


def test_a_path_of_windows_is_found_here_by_its_variable() -> None:
    assert adopt("P:\\a", [_WIN], "linux") == "{p}/a" and adopt("P:\\a", [_WIN], "windows") == "P:\\a"
    south = PathVariable("q", "windows", "Q:\\", "south")
    assert adopt("q:\\A\\b", [_WIN, south], "linux") == "{q}/A/b"
    assert refusal(adopt, "X:\\a", [_WIN], "linux") == (
        "X:\\a is a path of Windows, and this machine is of linux: give the folder as this machine has it, or say once where "
        "each has it, with `brender path set NAME --windows X:\\ --linux FOLDER`"
    )
    here = {"p": "/mnt/p"}
    assert [from_elsewhere(path, [_WIN, _LINUX], here) for path in ("p:/A", "/P:/a", "P:\\..\\a", "X:\\a", "/mnt/p/a")] == [
        *("/mnt/p/A", "/mnt/p/a", None, None, None)
    ]
    assert from_elsewhere("P:\\a", [_WIN], {}) == ""
    far = PathVariable("p", "linux", "/far/away")
    assert foreign([_WIN, _LINUX, far, _SHOT], here) == [("/far/away", "/mnt/p"), ("P:\\", "/mnt/p")]


def test_a_user_has_a_name_and_a_role() -> None:
    assert [check_user_name(name) for name in ("anna", "1.a_b@c+d-e f", "a" * 64)] and check_role("artist") is Role.ARTIST
    for name in ("", ".a", "a ", "a" * 65, "a/b"):
        assert refusal(check_user_name, name).startswith(f"{name!r} cannot be a user's name: it begins with a letter or digit")
    assert refusal(check_role, "boss") == "'boss' is not a role; there are: viewer, artist, wrangler, admin"


def test_a_worker_sleeps_in_its_hours_and_wakes_after_them() -> None:
    spans = parse_schedule("Fri-mon 22:00-6:00, wed 00:00-24:00,")
    assert [(sorted(each.days), each.begin, each.end) for each in spans] == [([0, 4, 5, 6], 1320, 1800), ([2], 0, 1440)]
    asked = [(4, 1319), (4, 1320), (5, 359), (5, 360), (1, 0), (2, 0), (2, 1439), (3, 0), (0, 1439)]
    assert [asleep(spans, *each) for each in asked] == [None, 480, 1, None, 360, 1440, 1, None, 361]
    assert [each.days for each in parse_schedule("8:00-9:00")] == [frozenset(range(7))] and parse_schedule("") == ()
    assert refusal(parse_schedule, "x 8:00-9:00").startswith("'x 8:00-9:00' is not a span of a schedule: write mon-fri")
    assert refusal(parse_schedule, "mon-abc 8:00-9:00").startswith("'mon-abc 8:00-9:00' is not a span")
    for time in ("24:01", "25:00", "9:60"):
        assert refusal(parse_schedule, f"8:00-{time}") == f"{time} is not a time of a day"
    many = "mon 1:00-2:00," * 50
    assert len(parse_schedule(many)) == 50 and refusal(parse_schedule, many * 2) == "A schedule has up to 50 spans, not 100"
