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
