"""The corpus: small scenes come out of the farm as Blender itself renders them, or the job says before it is accepted what is
done otherwise. `python -m tests.corpus` renders all of it, with any Blender."""

from collections.abc import Collection
from pathlib import Path

import numpy
import pytest

from brender.model.nodes import Blender
from tests.conftest import find_blender
from tests.corpus.cases import CASES
from tests.corpus.comparing import Content, Film, Other, Picture, Plane, Tolerance, differences
from tests.corpus.running import Corpus, farm_for

#: What is known to come out otherwise than it is declared in the table.
NOT_YET: set[str] = set()
#: One of each kind, of those of the quick ones that tell most.
FEW = {"png_8", "exr_half_dwaa", "marked_cameras", "driver_untrusted", "linked", "film_h264"}


def render(folder: Path, blender: Blender, quick: bool, names: Collection[str] = ()) -> list[str]:
    """Render the corpus, of it those of *names* if any are given; returns a line for each case that is wrong."""
    cases = [case for case in CASES if case.name not in NOT_YET and (case.quick or not quick) and not case.slow]
    assert {case.name for case in cases} >= set(names)
    cases = [case for case in cases if not names or case.name in names]
    with farm_for(folder / "farm", blender) as farm:
        verdicts = list(Corpus(cases, folder, blender, quick=quick).run(farm))
    assert verdicts
    return [verdict.line() for verdict in verdicts if verdict.wrong]


@pytest.mark.blender
def test_telling_scenes_come_out_of_the_farm_as_blender_itself_renders_them(bpy: Blender, tmp_path: Path) -> None:
    assert render(tmp_path, bpy, quick=True, names=FEW) == []


@pytest.mark.blender
@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_every_scene_comes_out_of_the_farm_as_blender_itself_renders_it(bpy: Blender, tmp_path: Path) -> None:
    assert render(tmp_path, bpy, quick=False) == []


@pytest.mark.blender
@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_telling_scenes_come_out_alike_of_an_older_blender_too(tmp_path: Path) -> None:
    assert render(tmp_path, find_blender("executable"), quick=True) == []


def picture(value: float = 0.5, **header: object) -> Picture:
    return Picture((Plane({"size": (2, 2), **header}, numpy.full((2, 2, 3), value, numpy.float32)),))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"a.png": picture()}, []),
        ({}, ["not there: a.png"]),
        ({"a.png": picture(), "b.png": picture()}, ["not Blender's: b.png"]),
        ({"a.png": picture(depth="uint16")}, ["a.png: depth is uint16, not None"]),
        ({"a.png": picture(0.502)}, ["a.png: 100.0% of the pixels differ, by 0.002 at most"]),
        ({"a.png": picture(float("nan"))}, ["a.png: 100.0% of the pixels differ, by inf at most"]),
        ({"a.png": Other(b"")}, ["a.png: is of the kind Other, not Picture"]),
    ],
)
def test_every_difference_between_two_renders_is_named(found: dict[str, Content], told: list[str]) -> None:
    assert differences({"a.png": picture()}, found) == told


def test_what_may_differ_has_a_measure_and_a_reason() -> None:
    noise = Tolerance(0.01, "the encoder has its own way")
    assert differences({"a.png": picture()}, {"a.png": picture(0.502)}, noise) == []
    assert differences({"a.png": picture()}, {"a.png": picture(0.6)}, noise) != []


def test_films_are_alike_by_what_their_containers_say_and_by_what_is_seen_and_heard() -> None:
    silence, tone = numpy.zeros((800, 1)), numpy.sin(numpy.arange(800.0)).reshape(-1, 1)
    film = Film({"container": "mp4"}, numpy.zeros((1, 2, 2, 3)), tone)
    assert differences({"a.mp4": film}, {"a.mp4": film}) == []
    assert differences({"a.mp4": film}, {"a.mp4": Film(film.header, film.pictures, silence)}) == ["a.mp4: its sound differs"]
    assert differences({"a.mp4": film}, {"a.mp4": Film(film.header, film.pictures)}) == ["a.mp4: has no sound"]
