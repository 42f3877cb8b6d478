"""Which Blenders a machine has: one that does not work is passed over, and said; a named one is an error."""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
from pathlib import Path

import msgpack
import pytest

from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.engines.blenders import Search, ask, search_blenders, why_no_blender
from brender.engines.libraries import debian_package
from brender.model.errors import BadInput
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder
from tests.test_bad_input import CUBE
from tests.tools import command, until

NO_BLENDER = "echo 'I mix drinks'"
CRASHES = "kill -SEGV $$"
ONLY_SAYS_ITS_VERSION = 'if [ "$1" = --version ]; then echo "Blender 5.0.1"; else echo "missing libGL.so.1" >&2; exit 127; fi'


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called blender, first on the path, that is none. Its text may be replaced."""
    return put_first_on_the_path(tmp_path / "programs", NO_BLENDER, monkeypatch)


def put_first_on_the_path(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    program = folder / "blender"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (NO_BLENDER, "is not a Blender, or does not start: it ended without an answer. It says 'I mix drinks'"),
        (CRASHES, "does not start: it was killed by SIGSEGV"),
        (ONLY_SAYS_ITS_VERSION, "it ended with exit code 127. It says 'missing libGL.so.1'"),
    ],
)
def test_a_blender_on_the_path_that_does_not_work_is_passed_over_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    own = Blender("bpy", "/python", (5, 0, 1))
    monkeypatch.setattr("brender.engines.blenders.own_bpy", lambda: own)
    program = put_first_on_the_path(tmp_path / "programs", text, monkeypatch)
    search = search_blenders()
    assert search.found == (own,)
    (sentence,) = search.passed_over
    assert sentence.startswith(f"The blender on the path is not used: {program} ") and why in sentence


def test_a_bpy_package_whose_libraries_this_machine_lacks_is_passed_over_with_what_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "bpy" / "__init__.so"
    module.parent.mkdir()
    module.write_bytes(Path(msgpack._cmsgpack.__file__).read_bytes().replace(b"libc.so.6\0", b"libq.so.6\0"))
    spec = importlib.util.spec_from_file_location("bpy", module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "5.0.1")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said = "bpy 5.0.1 does not start: this machine lacks libq.so.6. On Debian: apt-get install libq6"
    assert search_blenders() == Search((), (said,)) and why_no_blender() == said


@pytest.mark.parametrize(
    ("library", "package"),
    [("libXrender.so.1", "libxrender1"), ("libX11.so.6", "libx11-6"), ("libxkbcommon.so.0", "libxkbcommon0")],
)
def test_a_library_s_package_is_named_as_debian_names_it(library: str, package: str) -> None:
    assert debian_package(library) == package


def test_a_named_blender_that_does_not_work_is_an_error_that_names_it(broken: Path) -> None:
    with pytest.raises(BadInput, match=f"{broken} is not a Blender"):
        search_blenders([str(broken)])


@pytest.mark.blender
def test_a_blender_whose_color_configuration_cannot_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blender: Blender
) -> None:
    (tmp_path / "config.ocio").write_text("garbage: [")
    monkeypatch.setenv("OCIO", str(tmp_path / "config.ocio"))
    try:
        ask(blender.path)
    except BadInput as error:
        # Blender before 5.0 ends; later ones go on with their own configuration.
        assert "its OpenColorIO configuration cannot be read" in str(error)
        assert any("OpenColorIO" in sentence for sentence in search_blenders().passed_over)


def test_the_doctor_tells_of_a_blender_that_does_not_work(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "doctor", "--quick")
    assert f"FAIL Blender: The blender on the path is not used: {broken} is not a Blender" in said.out
    assert "the others are used meanwhile" in said.out


def test_without_any_blender_that_works_render_says_which_does_not(
    broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brender.engines.blenders.own_bpy", lambda: None)
    said = command(capsys, "render", CUBE, "--allow-missing", "--output", tmp_path / "out")
    assert said.code and "No Blender works here" in said.err and f"{broken} is not a Blender" in said.err


@pytest.mark.thorough
def test_a_worker_works_without_a_broken_blender_and_says_so(
    broken: Path, folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True)), client(None, folder.root) as connection:
        sentence = f"The blender on the path is not used: {broken} is not a Blender"
        (worker,) = until(lambda: [row for row in connection.ask("workers") if sentence in row["reason"]])
        assert worker["status"] == "idle" and [each["kind"] for each in worker["blenders"]] in ([], ["bpy"])
        said = command(capsys, "workers", "--data", folder.root)
        assert sentence in said.out.replace("\n", " ")
        (log,) = (folder.root / "run").glob("worker*.log")
        assert sentence in log.read_text()


def test_named_blenders_leave_the_path_alone(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Blender("executable", "/named", (4, 2, 0))
    monkeypatch.setattr("brender.engines.blenders.ask", lambda path: one)
    assert search_blenders(["/named"]) == Search((one,))
