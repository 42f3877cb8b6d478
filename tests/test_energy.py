"""Energy: what the machine tells, divided among what runs on it; what it does not tell is not known.

There is neither RAPL nor a GPU where these tests run: a folder stands for /sys/class/powercap, and a program for nvidia-smi.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from brender.engines.energy import EnergyMeter
from brender.engines.gpustats import GpuUse
from brender.engines.stats import StatsReader
from brender.model.devices import Device
from brender.model.energy import NO_ENERGY, Energy, energy_in_words
from tests.tools import until
from tests.world import World, animation

CARD = Device(kind="optix", index=0, name="RTX", id="CUDA_NVIDIA RTX A4000_0000:65:00_OptiX")


class Machine:
    """A made-up machine: its counters in a folder, its clock and its processors' time set by hand."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.own, self.busy = root, 0.0, 0.0, 0.0
        self.gpus = GpuUse()

    def zone(self, number: str, name: str, joules: float, largest: float = 1000.0) -> None:
        folder = self.root / f"intel-rapl:{number}"
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in (("name", name), ("energy_uj", round(joules * 1e6)), ("max_energy_range_uj", round(largest * 1e6))):
            (folder / file).write_text(f"{text}\n")

    def meter(self, *cards: Device) -> EnergyMeter:
        return EnergyMeter(cards, lambda: self.gpus, self.root, lambda: self.now, lambda: self.own, lambda: self.busy)

    def passes(self, seconds: float, own: float = 0.0, busy: float = 0.0) -> None:
        self.now, self.own, self.busy = self.now + seconds, self.own + own, self.busy + busy


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "powercap")


def test_a_render_has_the_share_of_the_energy_that_it_has_of_the_processor_time(machine: Machine) -> None:
    machine.zone("0", "package-0", 100.0)
    machine.zone("0:0", "core", 50.0)  # a part of its package, that must not count twice
    machine.zone("0:1", "dram", 10.0)
    meter = machine.meter()
    meter.begin()
    machine.passes(4.0, own=6.0, busy=8.0)
    machine.zone("0", "package-0", 300.0)
    machine.zone("0:0", "core", 200.0)
    machine.zone("0:1", "dram", 30.0)
    assert meter.end() == Energy(pytest.approx(220.0 * 6 / 8), 4.0)
    assert meter.watts == pytest.approx(55.0)


def test_two_slots_of_one_machine_divide_what_it_used(machine: Machine) -> None:
    machine.zone("0", "package-0", 0.0)
    slots = [machine.meter() for _ in range(2)]
    for slot in slots:
        slot.begin()
    machine.passes(10.0, own=5.0, busy=10.0)  # each has used half
    machine.zone("0", "package-0", 400.0)
    assert sum(slot.end().joules for slot in slots) == pytest.approx(400.0)


def test_a_counter_that_begins_again_at_its_end_loses_nothing(machine: Machine) -> None:
    machine.zone("0", "package-0", 950.0, largest=1000.0)
    meter = machine.meter()
    meter.begin()
    machine.passes(1.0, own=1.0, busy=1.0)
    machine.zone("0", "package-0", 50.0, largest=1000.0)
    assert meter.end() == Energy(pytest.approx(100.0), 1.0)


@pytest.mark.parametrize("kind", ["no folder", "not readable", "nonsense"])
def test_what_the_machine_does_not_tell_is_not_known(machine: Machine, kind: str) -> None:
    if kind != "no folder":
        machine.zone("0", "package-0", 1.0)
        counter = machine.root / "intel-rapl:0" / "energy_uj"
        counter.unlink()
        if kind == "nonsense":
            counter.write_text("none\n")
        else:
            counter.mkdir()  # (root, as whom tests may run, reads any file)
    meter = machine.meter()
    meter.begin()
    machine.passes(5.0, own=1.0, busy=1.0)
    assert meter.end() == Energy(0.0, 0.0) and energy_in_words(0.0, 0.0, 5.0) == "not known"


def test_the_card_that_a_worker_renders_on_counts_whole_and_others_not_at_all(machine: Machine) -> None:
    machine.gpus = GpuUse(watts={"0000:65:00": 200.0, "0000:b3:00": 90.0})
    on_card, on_cpu = machine.meter(CARD), machine.meter()
    for meter in (on_card, on_cpu):
        meter.begin()
    machine.passes(10.0)
    assert (on_card.end(), on_cpu.end()) == (Energy(2000.0, 10.0), Energy(0.0, 0.0))
    assert on_card.watts == 290.0


def test_what_passes_between_attempts_is_nobody_s(machine: Machine) -> None:
    machine.zone("0", "package-0", 0.0)
    meter = machine.meter()
    machine.passes(100.0, own=1.0, busy=1.0)
    machine.zone("0", "package-0", 500.0)
    meter.look()
    meter.begin()
    machine.passes(1.0, own=1.0, busy=2.0)
    machine.zone("0", "package-0", 520.0)
    assert meter.end().joules == pytest.approx(10.0)


def test_a_program_that_stands_for_nvidia_smi_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_program: Callable[[Path, str], None]
) -> None:
    write_program(tmp_path / "nvidia-smi", "echo '55, 2048, 8192, 250.0, 00000000:65:00.0'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    reader = StatsReader(tmp_path, (CARD,))
    until(lambda: reader.read().power == 250.0)
    reader.energy.begin()
    until(lambda: reader.read().power == 250.0)
    used = reader.energy.end()
    assert used.joules == pytest.approx(250.0 * used.seconds) and used.seconds > 0


@pytest.fixture
def write_program() -> Callable[[Path, str], None]:
    def write(path: Path, line: str) -> None:
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    return write


def test_the_energy_of_attempts_is_summed_for_their_job_and_in_the_accounts() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-2", user="anna"))["id"]
    world.run(0.5)
    for used in (Energy(3600.0, 1.0), NO_ENERGY):
        world.finish_part("one")
        world.end("one", used=used)
    record = world.ask("job", id=job)
    assert (record["joules"], record["metered_seconds"], record["machine_seconds"]) == (3600.0, 1.0, 2.0)
    (row,) = world.ask("accounts", by="user", since="all")["rows"]
    assert (row["joules"], row["metered_seconds"]) == (3600.0, 1.0)
    world.start_server()
    assert world.ask("job", id=job)["joules"] == 3600.0


def test_a_worker_that_says_more_than_a_machine_can_use_is_not_believed() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1"))["id"]
    world.run(0.5)
    world.finish_part("one")
    world.end("one", used=Energy(1e14, 1e9))
    record = world.ask("job", id=job)
    assert (record["joules"], record["metered_seconds"]) == (20_000.0, 1.0)
