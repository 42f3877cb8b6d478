"""How long a job will probably take: said by earlier jobs like it, and not said where they do not tell."""

from dataclasses import replace

import pytest

from brender.model.estimates import Shot, Work, estimate, work_of

WORK = Work("shot.blend", "Scene", "CYCLES", 1e6, 64)
OTHER = replace(WORK, file="other.blend")


def test_earlier_jobs_of_the_same_file_tell_how_long_it_takes() -> None:
    found = estimate(WORK, 100, 5, [Shot(WORK, 10.0), Shot(OTHER, 500.0)])
    assert found is not None and (found.seconds, found.shots, found.same_file) == (200.0, 1, True)


def test_more_pixels_and_samples_take_longer() -> None:
    larger = replace(WORK, pixels=2e6, samples=128)
    found = estimate(larger, 1, 1, [Shot(WORK, 10.0)])
    assert found is not None and found.seconds == 40.0


def test_a_test_frame_tells_only_of_what_has_nearly_its_settings_and_is_called_one() -> None:
    tested = Shot(replace(WORK, samples=16), 9.0, frames=1)
    assert estimate(WORK, 1, 1, [tested]) is None
    found = estimate(replace(WORK, samples=20), 1, 1, [tested])
    assert found is not None and found.one_frame
    mixed = estimate(replace(WORK, samples=16), 1, 1, [tested, Shot(WORK, 40.0, frames=9)])
    assert mixed is not None and (mixed.shots, mixed.one_frame) == (2, False)


def test_several_comparable_jobs_of_the_project_tell_where_none_is_of_the_file() -> None:
    shots = [Shot(OTHER, seconds) for seconds in (8.0, 10.0, 12.0)]
    found = estimate(WORK, 10, 1, shots)
    assert found is not None and (found.seconds, found.same_file) == (100.0, False)
    assert found.least == 90.0 and found.most == 110.0
    assert estimate(WORK, 10, 1, shots[:2]) is None, "two say little"


@pytest.mark.parametrize(
    "other",
    [
        replace(OTHER, engine="BLENDER_EEVEE"),
        replace(OTHER, samples=None),
        replace(OTHER, samples=4096),
        replace(OTHER, pixels=1e4),
    ],
)
def test_what_cannot_be_compared_tells_nothing(other: Work) -> None:
    assert estimate(WORK, 10, 1, [Shot(other, 10.0)] * 5) is None


def test_jobs_that_differ_too_much_tell_nothing() -> None:
    assert estimate(WORK, 10, 1, [Shot(OTHER, seconds) for seconds in (1.0, 1.0, 50.0, 90.0, 100.0)]) is None


def test_without_workers_nothing_is_said() -> None:
    assert estimate(WORK, 10, 0, [Shot(WORK, 10.0)]) is None


def test_a_job_on_more_workers_than_frames_takes_as_long_as_a_frame() -> None:
    found = estimate(WORK, 2, 50, [Shot(WORK, 10.0)])
    assert found is not None and found.seconds == 10.0


def test_the_work_of_a_job_is_that_of_its_scene_and_settings() -> None:
    scene = {"name": "Scene", "engine": "CYCLES", "width": 200, "height": 100, "percent": 50, "samples": 64}
    given = {"file": "uploaded/shot.blend", "scene": "Scene"}
    assert work_of(given, {"scenes": [scene]}) == Work("shot.blend", "Scene", "CYCLES", 5000.0, 64)
    half = work_of(given | {"resolution": 100, "samples": 8}, {"scenes": [scene | {"border": (0.0, 0.5, 0.0, 1.0)}]})
    assert (half.pixels, half.samples) == (10000.0, 8)
    assert work_of({"program": "sleep", "arguments": ["1"]}, None).file == "sleep 1"


def test_the_pixels_of_a_border_are_those_that_are_rendered() -> None:
    scene = {
        "name": "S",
        "width": 100,
        "height": 200,
        "percent": 50,
        "engine": "CYCLES",
        "samples": 8,
        "border": (0.25, 0.75, 0.2, 0.4),
    }
    settings = {"file": "C:\\a\\b.blend", "scene": "S"}
    work = work_of(settings, {"scenes": [scene]})
    assert (work.file, work.scene, work.engine, work.samples) == ("b.blend", "S", "CYCLES", 8)
    assert work.pixels == pytest.approx(100 * 200 * 0.25 * 0.5 * 0.2)
    other = work_of(settings | {"engine": "X", "resolution": 100, "samples": 0}, {"scenes": [scene]})
    assert (other.engine, other.samples) == ("X", None) and other.pixels == pytest.approx(4 * work.pixels)
    assert work_of({"program": "cp", "arguments": ["a", 1]}, None) == Work("cp a 1", "", "", 1.0, None)


def test_frames_of_nothing_that_is_known_are_compared_with_the_same_scene_only() -> None:
    work = Work("a", "S", "", 100.0, None)
    for other, comparable in ((work, True), (replace(work, file="b"), False), (replace(work, scene="T"), False)):
        assert (estimate(work, 1, 1, [Shot(other, 2.0)]) is not None) is comparable
    lit = Work("a", "S", "CYCLES", 100.0, None)
    others = [Shot(replace(lit, file=str(number)), 2.0) for number in range(9)]
    assert estimate(lit, 1, 1, others) is None and estimate(lit, 1, 1, [*others, Shot(lit, 3.0)]) is not None
