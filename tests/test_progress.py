"""Blender's words on a frame in progress, as versions say them."""

import pytest

from brender.engines.progress import FrameProgress, read_progress


@pytest.mark.parametrize(
    ("line", "text", "share"),
    [
        (
            "Fra:6 Mem:879.53M (Peak 879.97M) | Time:00:26.49 | Remaining:01:01.10 | Mem:564.68M, Peak:564.68M | Scene, "
            "ViewLayer | Sample 3/64",
            "Sample 3/64 · 1:01 left · 880 MB",
            3 / 64,
        ),
        ("Remaining: 00:05.81 | Mem: 36M | Sample 256/300", "Sample 256/300 · 0:06 left · 36 MB", 256 / 300),
        ("Remaining: 01:10:05.81 | Mem: 2.5G | Sample 1/4", "Sample 1/4 · 1:10:06 left · 2.5 GB", 1 / 4),
        ("Mem: 0M | Synchronizing object | Sphere.001", "Synchronizing object Sphere.001", 0),
        ("Rendering 8 / 64 samples", "Rendering 8 / 64 samples", 8 / 64),
    ],
)
def test_what_blender_says_of_a_frame_becomes_a_few_words_and_a_share(line: str, text: str, share: float) -> None:
    said = read_progress(line)
    assert said is not None
    assert (said.text, said.share) == (text, share)


@pytest.mark.parametrize("line", ["Saved: '/out/0001.png'", "", "Sample", "Blender quit"])
def test_what_is_not_about_a_frame_says_nothing_of_it(line: str) -> None:
    assert read_progress(line) is None


def test_the_clock_goes_on_while_blender_is_silent() -> None:
    said = FrameProgress(1, 1000, "Sample 1/1000", remaining=29.0, spent=1.0, since=14.0)
    assert (said.share, said.left) == (0.5, 15.0)


def test_a_frame_that_takes_longer_than_was_said_is_not_done() -> None:
    said = FrameProgress(1, 1000, "Sample 1/1000", remaining=29.0, spent=1.0, since=100.0)
    assert (said.share, said.left) == (0.99, 0.0)
