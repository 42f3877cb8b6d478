"""Devices: what Blender says there is, what a worker is bound to, and how a machine is shared out. The lists of GPUs are made
up: no GPU has confirmed them."""

from pathlib import Path

import pytest

from brender.engines.devices import find_devices, read_devices
from brender.engines.gpustats import GpuUse, read_use
from brender.engines.stats import StatsReader
from brender.model.devices import Device, best, choose_devices, device_tags, share_out
from brender.model.errors import BadInput
from brender.model.nodes import Blender
from tests.conftest import SCENES
from tests.rendering import studio
from tests.tools import command, until

TWO_CARDS = (
    Device(kind="optix", index=0, name="RTX A", id="CUDA_RTX A_0000:01:00_OptiX"),
    Device(kind="optix", index=1, name="RTX B", id="CUDA_RTX B_0000:02:00_OptiX"),
    Device(kind="cuda", index=0, name="RTX A", id="CUDA_RTX A_0000:01:00"),
    Device(kind="cuda", index=1, name="RTX B", id="CUDA_RTX B_0000:02:00"),
)
RADEON = (Device(kind="hip", name="Radeon", id="HIP_Radeon_0000:03:00"),)
CUBE = SCENES / "03_animated_cube.blend"
#: A card that OptiX does not know.
OLD_CARD = Device(kind="cuda", index=2, name="GTX 980", id="CUDA_GTX 980_0000:03:00")


def test_a_worker_takes_every_card_once_and_as_what_is_faster() -> None:
    assert [device.label for device in choose_devices([], TWO_CARDS)] == ["optix:0", "optix:1"]
    assert choose_devices(["auto"], (*TWO_CARDS, *RADEON)) == TWO_CARDS[:2], "Blender renders with one kind at a time"


def test_a_card_without_an_id_is_known_by_its_name() -> None:
    named = tuple(Device(kind=kind, name=name) for kind, name in (("optix", "A"), ("cuda", "A"), ("cuda", "B")))
    assert [(device.card, device.label) for device in best(named)] == [("A", "optix:0"), ("B", "cuda:0")]
    assert Device(kind="cpu").label == "cpu" and TWO_CARDS[0].card == "CUDA_RTX A_0000:01:00"


def test_a_worker_without_a_card_renders_on_the_cpu() -> None:
    assert choose_devices([], ()) == () == choose_devices(["cpu"], TWO_CARDS)


@pytest.mark.parametrize(
    ("named", "chosen"),
    [(["optix:1"], ["optix:1"]), (["cuda"], ["cuda:0", "cuda:1"]), (["CUDA:0", "cuda", "cuda:0"], ["cuda:0", "cuda:1"])],
)
def test_named_devices_are_the_ones_that_are_taken(named: list[str], chosen: list[str]) -> None:
    assert [device.label for device in choose_devices(named, TWO_CARDS)] == chosen


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (["optix:2"], "no device 'optix:2' here. Blender finds: optix:0 \\(RTX A\\)"),
        (["gpu0"], "write auto, cpu, optix, cuda"),
        (["optix:x"], "is not a device"),
        (["cpu:0"], "is not a device"),
        (["hip"], "no device 'hip' here. Blender finds: optix:0 \\(RTX A\\), optix:1 \\(RTX B\\), cuda:0"),
        (["optix:0", "cuda:1"], "one kind of device at a time"),
        (["cpu", "cuda:1"], "one kind of device at a time"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_what_is(named: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        choose_devices(named, TWO_CARDS)


def test_where_there_is_no_device_that_is_said() -> None:
    with pytest.raises(BadInput, match=r"Blender finds: no GPU that Cycles can use$"):
        choose_devices(["optix"], ())


@pytest.mark.parametrize(
    ("wanted", "found", "slots"),
    [
        ("auto", TWO_CARDS, [("optix:0", 8), ("optix:1", 8)]),
        ("auto", (*TWO_CARDS, OLD_CARD), [("optix:0", 5), ("optix:1", 5), ("cuda:2", 5)]),
        ("auto", TWO_CARDS + RADEON, [("optix:0", 5), ("optix:1", 5), ("hip:0", 5)]),
        ("auto", (), [("cpu", 16)]),
        ("3", (), [("cpu", 5)] * 3),
        ("32", (), [("cpu", 1)] * 32),
        ("1", (), [("cpu", 16)]),
        ("256", (), [("cpu", 1)] * 256),
    ],
)
def test_a_machine_is_shared_out_among_slots(wanted: str, found: tuple[Device, ...], slots: list[tuple[str, int]]) -> None:
    assert share_out(wanted, found, 16) == slots


@pytest.mark.parametrize("wanted", ["0", "257", "-1", "many", ""])
def test_a_machine_is_shared_out_among_no_other_number(wanted: str) -> None:
    with pytest.raises(BadInput, match=f"--slots '{wanted}' is neither a number from 1 to 256 nor auto"):
        share_out(wanted, (), 16)


def test_tags_tell_what_a_worker_renders_on() -> None:
    assert device_tags(TWO_CARDS[:1]) == {"gpu", "optix"}
    assert device_tags(()) == {"cpu"}


def test_an_answer_is_found_among_what_blender_prints() -> None:
    said = 'Blender 4.2\nbrender-devices [{"kind": "cuda", "index": 0, "name": "A", "id": "CUDA_A"}]\nBlender quit\n'
    assert read_devices(said) == (Device(kind="cuda", name="A", id="CUDA_A"),)
    assert read_devices("Segmentation fault") == ()


@pytest.mark.blender
def test_each_kind_of_blender_can_be_asked(blender: Blender) -> None:
    assert all(device.kind in {"optix", "cuda", "hip", "oneapi", "metal"} for device in find_devices([blender]))


@pytest.mark.blender
def test_a_gpu_that_is_gone_when_a_task_comes_fails_it_with_a_clear_sentence(blender: Blender, tmp_path: Path) -> None:
    with studio(tmp_path / "worker", blender, devices=TWO_CARDS[2:3]) as farm:
        outcome = farm.run(farm.job(CUBE, tmp_path / "out", frames="1", resolution=5, samples=1, device="gpu"))
    assert "CUDA devices here" in outcome.ended.reason or "restart the worker" in outcome.ended.reason


@pytest.mark.blender
def test_a_job_that_wants_a_gpu_is_rendered_on_the_cpu_where_there_is_none_with_a_warning(
    blender: Blender, tmp_path: Path
) -> None:
    with studio(tmp_path / "worker", blender) as farm:
        outcome = farm.run(farm.job(CUBE, tmp_path / "out", frames="1", resolution=5, samples=1, device="gpu"))
    assert outcome.ended.reason == ""
    assert any("asks for a GPU" in warning for warning in outcome.warnings)


def test_the_worker_program_refuses_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "role", "worker", "--device", "hip:7")
    assert said.code != 0 and "no device 'hip:7' here" in said.err


# --- what they use: a stand-in for nvidia-smi, since there is no GPU here -------------------------------------------------


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("37, 1024, 24576, 251.5, 00000000:65:00.0\n", GpuUse(37.0, 2**30, 24 * 2**30, {"0000:65:00": 251.5})),
        ("10, 1, 2, [N/A], 00000000:65:00.0\n30, 1, 2, [N/A], 0\n", GpuUse(20.0, 2 * 2**20, 4 * 2**20)),
        ("[N/A], 5, 10, [N/A], [N/A]\n", GpuUse(0.0, 5 * 2**20, 10 * 2**20)),
        ("", GpuUse()),
        ("No devices were found\n", GpuUse()),
    ],
)
def test_what_nvidia_s_program_says_is_read(text: str, use: GpuUse) -> None:
    assert read_use(text) == use


def test_the_use_of_gpus_is_among_the_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '55, 2048, 8192, 250.0, 00000000:65:00.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    reader = StatsReader(tmp_path)
    stats = until(lambda: read if (read := reader.read()).gpu_memory_total else None)
    assert (stats.gpu_percent, stats.gpu_memory_used) == (55.0, 2 * 2**30)
