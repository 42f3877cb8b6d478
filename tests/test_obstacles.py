"""Why a worker cannot run a job, in words, and which of several could."""

import msgspec
import pytest

from brender.model.addon import AddOn
from brender.model.eligibility import count_able, general_obstacle, loses, obstacle, used_by, waits_for_newer
from brender.model.job import Requirements
from brender.model.nodes import Blender, WorkerInfo
from brender.model.obstacle import IT, NAMES, Obstacle
from brender.model.paths import PathVariable

PATHS = (PathVariable("projects", "linux", "/mnt/projects"), PathVariable("projects", "windows", "P:\\", "south"))
_WORKER = WorkerInfo(id="w", incarnation=1, name="w", host="h", platform="Linux-6.1", job_types=frozenset({"command"}))
_NEED = Requirements(job_type="command")
_FOR_5_0 = AddOn(name="A", module="a", digest="0" * 64, size=1, oldest=(5, 0, 0))
_BLEND = Requirements(job_type="command", blender=(4, 5))


def with_blenders(*versions: tuple[int, int, int]) -> WorkerInfo:
    return msgspec.structs.replace(_WORKER, blenders=tuple(Blender("executable", str(each), each) for each in versions))


@pytest.mark.parametrize(
    ("need", "worker", "one", "two"),
    [
        ({"tags": {"a"}}, {}, "lacks the tag a: `brender describe w --add-tags a` gives it that", "lack the tag a: `brender "),
        (
            {"tags": {"a", "b"}},
            {},
            "lacks the tags a, b: `brender ",
            "lack the tags a, b: `brender describe w v --add-tags a,b` ",
        ),
        ({"tags": {"gpu"}}, {}, "lacks the tag gpu: a GPU ", "lack the tag gpu: a GPU that Cycles finds gives that "),
        ({"job_type": "video"}, {}, "does not take jobs of the type video: add ", "do not take jobs of the type video: "),
        (
            {"program": "sleep"},
            {"job_types": frozenset({"blender-animation"})},
            "allows no programs: start it with `--allow-program sleep`",
            "do not allow the program sleep: ",
        ),
        ({"program": "sleep"}, {"programs": frozenset({"cat"})}, "does not allow the program sleep: add ", "do not allow "),
        ({"trusted": True}, {}, "does not run the scripts inside a .blend: start it with ", "do not run the scripts inside a "),
        ({"blender": (5, 0)}, {}, "has no Blender: `brender doctor` there ", "have no Blender: `brender doctor` there says "),
        (
            {"blender": (5, 0)},
            {"blenders": (Blender("executable", "b", (3, 4, 1)),)},
            "has Blender 3.4.1, which cannot read a file saved by Blender 5.0: start it with `--blender PATH` of a Blender 5.0 ",
            "have no Blender that can read a file saved by Blender 5.0: start them with `--blender PATH` of a Blender 5.0 or ",
        ),
        (
            {"variables": {"projects"}},
            {"platform": "Windows-11"},
            "has no place for {projects}: `brender path set projects --windows FOLDER` gives one",
            "have no place for {projects}: ",
        ),
        (
            {"reads": ("/mnt/x/a.blend",), "writes": ("/mnt/y/out",)},
            {"folders": ("/mnt/y",)},
            "may not read /mnt/x/a.blend: add `--allow-folder /mnt/x` to those that it has",
            "may not read /mnt/x/a.blend: add `--allow-folder /mnt/x` to those that they have",
        ),
        (
            {"reads": ("/mnt/x/a.blend", "/mnt/c/o.ocio"), "writes": ("/mnt/x/out",)},
            {"folders": ("/srv",), "readable": ("/mnt/c",)},
            "may not read /mnt/x/a.blend nor write to /mnt/x/out: add `--allow-folder /mnt/x` to those that it has",
            "may not read /mnt/x/a.blend nor write to /mnt/x/out: add ",
        ),
        (
            {"writes": ("{projects}/out",), "variables": {"projects"}},
            {"folders": ("/mnt/other",)},
            "may not write to /mnt/projects/out: add `--allow-folder /mnt/projects/out` to those that it has",
            "may not write to ",
        ),
    ],
)
def test_an_obstacle_agrees_in_number_with_the_workers_that_have_it_and_ends_with_its_remedy(
    need: dict[str, object], worker: dict[str, object], one: str, two: str
) -> None:
    given = {"job_type": "command"} | {key: frozenset(value) if isinstance(value, set) else value for key, value in need.items()}
    obstacle = general_obstacle(Requirements(**given), PATHS, msgspec.structs.replace(_WORKER, **worker))  # type: ignore[arg-type]
    assert obstacle is not None
    assert obstacle.said_of(1, ["w"]).startswith(f"The worker w {one}")
    assert obstacle.said_of(2, ["w", "v"]).startswith(f"The workers w and v {two}")
    assert obstacle.said_of(1200, ["w", "v", "u"]).startswith(f"1,200 workers (w, v, u and 1,197 more) {two[:20]}")


def test_the_first_three_workers_are_named_and_a_remedy_names_them_as_a_shell_takes_them() -> None:
    lacks = Obstacle("lacks it", "lack it", f"`do {NAMES}` gives {IT} that")
    said = {
        1: "The worker a lacks it: `do a` gives it that",
        2: "The workers a and b c lack it: `do a 'b c'` gives them that",
        3: "The workers a, b c and d lack it: `do a 'b c' d` gives them that",
        4: "4 workers (a, b c, d and 1 more) lack it: `do a 'b c' d …` gives them that",
    }
    assert {count: lacks.said_of(count, ["a", "b c", "d", "e"][:count]) for count in said} == said
    assert Obstacle("sleeps", "sleep").said_of(1, ["a" * 41]) == f"The worker {'a' * 39}… sleeps"


def test_folders_that_lie_in_another_are_allowed_with_that() -> None:
    def remedy(platform: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> str:
        worker = msgspec.structs.replace(_WORKER, platform=platform, folders=("/srv",), readable=("/mnt/ok",))
        found = general_obstacle(msgspec.structs.replace(_NEED, reads=reads, writes=writes), (), worker)
        return found.remedy.split("`")[1] if found else ""

    assert remedy("Linux-6.1", ("/mnt/a/b/c.blend", "/mnt/ok/d"), ("/mnt/a",)) == "--allow-folder /mnt/a"
    assert remedy("Linux-6.1", ("/mnt/c.blend",), ("/mnt/a",)) == "--allow-folder /mnt"
    assert remedy("Linux-6.1", ("/mnt/c/x.blend",), ("/mnt/a",)) == "--allow-folder /mnt/a --allow-folder /mnt/c"
    assert remedy("Windows-11", ("P:\\a\\b\\c.blend",), ("p:\\A",)) == "--allow-folder 'p:\\A'"
    assert remedy("Windows-11", ("p:\\C.blend",), ("P:\\A\\b",)) == "--allow-folder 'p:\\'"
    assert remedy("Linux-6.1", ("/srv/a",), ("/srv/b",)) == "" == remedy("Linux-6.1", (), ())


def test_folders_are_those_of_the_worker_s_platform_and_site() -> None:
    need = msgspec.structs.replace(_NEED, reads=("{projects}/a", "{lost}/b"), writes=("{projects}/out",))
    assert used_by(need, PATHS, "linux", "") == (("/mnt/projects/a",), ("/mnt/projects/out",))
    assert used_by(need, PATHS, "windows", "south") == (("P:\\a",), ("P:\\out",))
    assert used_by(need, PATHS, "windows", "") == ((), ())


def test_a_job_of_one_series_is_refused_by_what_has_another_that_could_open_it() -> None:
    need = msgspec.structs.replace(_BLEND, series=(5, 0), oldest_blender=(4, 2, 0))
    found = obstacle(need, with_blenders((4, 5, 1), (4, 2, 3)))
    assert found is not None
    assert (
        found.one == "has Blender 4.2.3, Blender 4.5.1, and all of the job is rendered with Blender 5.0, so that its frames match"
    )
    assert found.several == "have no Blender 5.0, with which all of the job is rendered, so that its frames match"
    assert found.remedy == f"start {IT} with `--blender PATH` of a Blender 5.0"
    assert obstacle(need, with_blenders((5, 0, 1))) is None
    too_old = obstacle(need, with_blenders((4, 1, 0)))
    assert too_old is not None and too_old.one == "has Blender 4.1.0, which cannot read a file saved by Blender 4.5"
    assert too_old.remedy == f"start {IT} with `--blender PATH` of a Blender 4.2 or later"


def test_an_add_on_may_ask_for_a_newer_blender() -> None:
    found = obstacle(msgspec.structs.replace(_BLEND, bounding=(_FOR_5_0,)), with_blenders((4, 5, 1)))
    assert found is not None
    assert found.one == f"has Blender 4.5.1, and {_FOR_5_0.subject} needs Blender 5.0 or later"
    assert found.several == f"have no Blender for {_FOR_5_0.subject}, which needs Blender 5.0 or later"
    assert found.remedy == f"start {IT} with `--blender PATH` of such a Blender"


def test_a_worker_that_would_lose_data_leaves_a_job_to_a_newer_one() -> None:
    need = msgspec.structs.replace(_BLEND, oldest_blender=(4, 2, 0))
    older, newer = with_blenders((4, 2, 3)), with_blenders((4, 5, 0))
    assert loses(need, older) and not loses(need, newer) and not loses(_NEED, older) and not loses(_BLEND, older)
    found = waits_for_newer(need, older)
    assert found.one == "has Blender 4.2.3, which may lose what Blender 4.5 saved"
    assert found.several == "have Blenders that may lose what Blender 4.5 saved"
    assert found.remedy == "it is left to a worker with Blender 4.5 or later"


def test_of_workers_with_several_series_those_count_that_would_render_together() -> None:
    workers = [with_blenders((4, 5, 0)), with_blenders((4, 5, 2)), with_blenders((5, 0, 1)), with_blenders((4, 1, 0)), _WORKER]
    assert count_able(_BLEND, (), workers) == 2
    assert count_able(msgspec.structs.replace(_BLEND, series=(5, 0)), (), workers) == 1
    assert count_able(msgspec.structs.replace(_BLEND, bounding=(_FOR_5_0,)), (), workers) == 1
    assert count_able(_NEED, (), workers) == 5


@pytest.mark.parametrize(
    ("tags", "remedy"),
    [
        ({"gpu"}, "a GPU that Cycles finds gives that (`brender doctor` there lists them), or submit with `--device cpu`"),
        ({"blender-5.0"}, f"start {IT} with `--blender PATH` of such a Blender"),
        ({"b", "a"}, f"`brender describe {NAMES} --add-tags a,b` gives {IT} those"),
        ({"a"}, f"`brender describe {NAMES} --add-tags a` gives {IT} that"),
    ],
)
def test_how_a_worker_comes_to_a_tag_depends_on_the_tag(tags: set[str], remedy: str) -> None:
    found = obstacle(msgspec.structs.replace(_NEED, tags=frozenset(tags)), _WORKER)
    assert found is not None and found.remedy == remedy
