"""Workers that a real Slurm starts and ends, for what is queued."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.errors import BadInput
from brender.model.nodes import Blender
from brender.scaling.allocation_script import allocation_script
from brender.scaling.provider import FleetSettings
from brender.scaling.slurm import Slurm as Provider
from brender.scaling.slurm import time_limit
from brender.store.datafolder import DataFolder
from tests.conftest import SCENES, missing
from tests.slurm import Slurm
from tests.tools import Said, command, ended, submit_command, until

Scale = Callable[..., Said]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """A real Slurm that runs for these tests alone."""
    if Slurm.is_missing():
        missing("Slurm (slurm-wlm and munge)")
    made = Slurm()
    yield made
    made.end()


@pytest.fixture(scope="module")
def slurm_farm(tmp_path_factory: pytest.TempPathFactory, slurm: Slurm) -> Iterator[LocalFarm]:
    """A whole farm without workers, beside that Slurm."""
    folder = DataFolder(tmp_path_factory.mktemp("farm") / "data")
    with LocalFarm(FarmPlan(folder=folder, workers=0, any_ports=True, with_dashboard=False)) as running:
        yield running


@pytest.fixture
def scale(
    slurm: Slurm, slurm_farm: LocalFarm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Scale:
    """``brender scale --once`` for workers of that Slurm, with further words."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.configuration))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def once(*words: object) -> Said:
        given = ("--provider", "slurm", "--sbatch-option=--time=10", *words)
        return command(capsys, "scale", "--once", "--data", slurm_farm.folder.root, *given)

    return once


def clear(scale: Scale, slurm: Slurm, workers: Callable[[], list[Any]]) -> None:
    """Ask all workers to leave, and wait until nothing is left of them."""

    def is_clear() -> bool:
        assert scale("--most", "0").code == 0
        return not workers() and not slurm.jobs()

    until(is_clear)


@pytest.mark.thorough
@pytest.mark.blender
def test_a_job_is_rendered_by_workers_that_slurm_starts_and_ends(
    scale: Scale, slurm: Slurm, slurm_farm: LocalFarm, bpy: Blender, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root, frames = slurm_farm.folder.root, tmp_path / "frames"
    words = ("--most", "2", "--within", "1m", "--worker-option=--threads=1")
    scene, quick = SCENES / "03_animated_cube.blend", ("--samples", "1", "--resolution", "5")
    submitted = command(capsys, "submit", scene, "--allow-missing", *quick, "--frames", "1-6", "--output", frames, "--data", root)
    assert submitted.code == 0
    with client(None, root) as connection:
        assert scale(*words).out.endswith("2 workers are to be started\n")
        assert len(slurm.jobs()) == 2
        assert "2 workers are to be started" not in scale(*words).out, "nothing is started twice"
        assert len(slurm.jobs()) == 2
        job = connection.ask("jobs")[0]["id"]
        assert ended(connection, job)["status"] == "completed"
        assert len(list(frames.iterdir())) == 6
        assert {row["name"].partition("-")[0] for row in connection.ask("workers")} == {"slurm"}
        clear(scale, slurm, lambda: connection.ask("workers"))
    assert not list(tmp_path.glob("brender-*")), "their data folders are removed"


@pytest.mark.thorough
def test_an_allocation_that_ends_in_mid_frame_loses_nothing(
    scale: Scale, slurm: Slurm, slurm_farm: LocalFarm, tmp_path: Path
) -> None:
    words = ("--most", "1", "--notice", "60s", "--worker-option=--allow-program=*", "--worker-data", tmp_path / "node")
    # The first time it takes longer than the allocation lasts.
    program = f"if mkdir {tmp_path / 'first'} 2>/dev/null; then sleep 300; fi"
    with client(None, slurm_farm.folder.root) as connection:
        job = submit_command(connection, "sh", "-c", program)
        scale(*words)
        until((tmp_path / "first").is_dir)
        (number,) = slurm.jobs()
        # As Slurm does before the end: once, and at the end to all of it.
        for _ in range(2):
            slurm.ask("scancel", "--batch", "--signal=TERM", number)
            until(lambda: connection.ask("workers")[0]["status"] in ("draining", "offline"))
        until(lambda: not slurm.jobs())
        until(lambda: "1 worker is to be started" in scale(*words).out)
        assert ended(connection, job)["status"] == "completed"
        outcomes = [row["outcome"] for row in connection.ask("attempts", job=job)]
        assert outcomes.count("completed") == 1 and "failed" not in outcomes, outcomes
        clear(scale, slurm, lambda: connection.ask("workers"))
    assert (tmp_path / "node").is_dir() and not list((tmp_path / "node" / "workers").iterdir()), "what is theirs alone is removed"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--partition=nope", "Slurm did not start a worker: allocation failure: Invalid partition name specified"),
        ("--nope", "Slurm did not start a worker: sbatch: unrecognized option '--nope'"),
        ("--mem=900G", "Slurm did not start a worker: allocation failure: Requested node configuration is not available"),
    ],
)
def test_slurm_that_refuses_is_quoted_and_nothing_is_changed(scale: Scale, slurm: Slurm, option: str, sentence: str) -> None:
    said = scale("--least", "1", f"--sbatch-option={option}")
    assert (said.code, said.err) == (2, f"Error: {sentence}\n")
    assert not slurm.jobs()


def test_without_slurm_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    provider = Provider(FleetSettings("f", "slurm", tmp_path))
    with pytest.raises(BadInput, match="There is no sbatch on this machine's PATH"):
        provider.check()


@pytest.mark.parametrize(
    ("option", "seconds"),
    [
        ("--time=30", 1800),
        ("-t5", 300),
        ("--time=1:30", 90),
        ("--time=2:00:00", 7200),
        ("--time=1-02:00:00", 93_600),
        ("--time=0", None),
    ],
)
def test_the_time_limit_of_an_allocation_is_read_as_slurm_reads_it(option: str, seconds: float | None) -> None:
    assert time_limit([option]) == seconds
    assert time_limit(["--time=1", "--partition=time", option]) == seconds, "the last one counts"


def test_an_allocation_that_is_over_at_once_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"An allocation of 60 s \(--time\) is over before"):
        Provider(FleetSettings("f", "slurm", tmp_path, own={"sbatch": ["--time=1"]}))


def test_a_worker_that_does_not_leave_in_time_is_asked_once_more(tmp_path: Path) -> None:
    # It counts how often it is asked, and leaves at the second time.
    worker = "import signal, sys, time; asked = []; signal.signal(15, lambda *_: asked.append(1)); print('ready', flush=True)"
    worker += "\nwhile len(asked) < 2: time.sleep(0.05)\nsys.exit(7)"
    script = allocation_script("a", [sys.executable, "-c", worker], "", notice=20.5)
    running = subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 1, "its data folder"
    running.terminate()
    assert running.wait(20) == 7
    assert not list(tmp_path.iterdir())
