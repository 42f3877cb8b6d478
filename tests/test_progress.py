"""Blender's words on a frame in progress, as versions say them."""

from dataclasses import replace

import pytest

from brender.engines.progress import FrameProgress, read_progress, read_status, read_text


@pytest.mark.parametrize(
    ("line", "text", "share"),
    [
        (
            "Fra:6 Mem:879.53M (Peak 879.97M) | Time:00:26.49 | Remaining:01:01.10 | Mem:564.68M, Peak:564.68M | Scene, "
            "ViewLayer | Sample 3/64",
            "sampling 3/64 · 1:01 left · 880 MB",
            3 / 64,
        ),
        ("Remaining: 00:05.81 | Mem: 36M | Sample 256/300", "sampling 256/300 · 0:06 left · 36 MB", 256 / 300),
        ("Remaining: 01:10:05.81 | Mem: 2.5G | Sample 1/4", "sampling 1/4 · 1:10:06 left · 2.5 GB", 1 / 4),
        ("Mem: 0M | Synchronizing object | Sphere.001", "synchronizing", 0),
        ("Rendering 8 / 64 samples", "sampling 8/64", 8 / 64),
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
    said = FrameProgress(1, 1000, "sampling", remaining=29.0, spent=1.0, since=14.0)
    assert (said.share, said.left) == (0.5, 15.0)


def test_a_count_that_blender_does_not_go_on_with_gives_way_to_the_share_by_the_clock() -> None:
    said = FrameProgress(1, 128, "sampling", remaining=29.0, spent=1.0)
    assert said.text == "sampling 1/128 · 0:29 left"
    later = replace(said, since=25.0)
    assert later.text == "sampling 87 % · 0:04 left"
    assert (read_text(later.text).phase, read_text(later.text).samples, read_text(later.text).remaining) == ("sampling", 0, 4.0)


def test_a_new_count_is_shown_however_long_the_frame_took_before_its_first_sample() -> None:
    said = FrameProgress(1, 500, "sampling", remaining=20.0, spent=6.0)
    assert said.text == "sampling 1/500 · 0:20 left"
    assert replace(said, since=2.0).text == "sampling 31 % · 0:18 left"


def test_a_frame_that_takes_longer_than_was_said_is_not_done() -> None:
    said = FrameProgress(1, 1000, "sampling", remaining=29.0, spent=1.0, since=100.0)
    assert (said.share, said.left) == (0.99, 0.0)


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("Mem: 2M | Loading render kernels (may take a few minutes the first time)", "compiling shaders"),
        ("Mem: 2M | Loading denoising kernels (may take a few minutes the first time)", "denoising"),
        ("Mem: 1M | Updating Scene BVH | Building BVH 0%", "synchronizing"),
        ("Mem: 2M | Updating Device | Writing constant memory", "synchronizing"),
        ("Mem: 2M | Finished", "writing"),
        ("Stepping to frame 40, at 12", "simulating frame 12 on the way to 40"),
        ("Frame 12 happens before frame 40", "simulating frame 12 on the way to 40"),
    ],
)
def test_a_status_of_blender_becomes_a_phase_of_ours(line: str, phase: str) -> None:
    assert read_status(line).phase == phase


@pytest.mark.parametrize("noise", ["EGL Error (0x3009): EGL_BAD_MATCH: Arguments are inconsistent", "?", ""])
def test_what_names_no_phase_is_not_shown_and_the_phase_before_goes_on(noise: str) -> None:
    loading = FrameProgress(phase="loading").after(FrameProgress(phase="loading"), 10.0)
    said = read_status(noise).after(loading, 75.0)
    assert (said.text, said.in_phase) == ("loading, 1:15", 75.0)


def test_a_phase_after_the_last_sample_takes_nothing_back_and_shows_its_own_time() -> None:
    sampled = FrameProgress(64, 64, "sampling").after(FrameProgress(phase="rendering"), 20.0)
    denoising = read_status("Mem: 2M | Loading denoising kernels").after(sampled, 21.0)
    assert (denoising.share, denoising.text) == (1.0, "denoising · 2 MB")
