"""What is installed is all of it."""

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from setuptools import find_namespace_packages

ROOT = Path(__file__).parent.parent
#: What developers run by hand, beside the benchmarks, the tests and what pip starts.
PROGRAMS = [*sorted((ROOT / "docs").glob("take_*.py")), *(ROOT / name for name in ("docs/build.py", "dashboard/fetch_vendor.py"))]
PROGRAMS += [ROOT / "tests" / name for name in ("previous.py", "chaos", "corpus", "mutants", "simulation")]


def test_every_folder_with_code_is_in_the_wheel_and_tests_are_not() -> None:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    include = settings["options.packages.find"]["include"].split()
    packed = set(find_namespace_packages(str(ROOT), include=include))
    folders = {path.parent.relative_to(ROOT) for top in ("brender", "dashboard") for path in (ROOT / top).rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} <= packed
    assert not [name for name in packed if name.split(".")[0] in ("tests", "benchmarks", "docs")]


def test_every_browser_library_has_its_licence_beside_it() -> None:
    for folder in (ROOT / "dashboard" / "static" / "vendor").iterdir():
        assert list(folder.glob("[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]*")), folder.name


@pytest.mark.thorough
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_each_program_for_developers_says_by_help_how_it_is_called(program: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    words = ["-m", f"tests.{program.stem}"] if program.parent.name == "tests" else [program]
    done = subprocess.run([sys.executable, *words, "--help"], cwd=ROOT, env=env, capture_output=True)
    assert done.returncode == 0 and done.stdout.startswith(b"usage: "), done.stderr.decode()
