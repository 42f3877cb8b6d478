"""brender as others get it: its wheel, in an environment of its own, on each Python that there is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from brender.model.nodes import Blender

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13")

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(600)]


def _python(version: str) -> str:
    """A Python of that version; the test is skipped where this machine has none."""
    hidden = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    for path in filter(None, (shutil.which(f"python{version}"), *map(str, hidden))):
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip(f"there is no Python {version} here")


def _run(*words: str | Path, cwd: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=env, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # From a copy: a build leaves files beside what it builds.
    ignored = shutil.ignore_patterns(".*", "docs", "tests", "benchmarks", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_renders_on_each_python(version: str, wheel: Path, bpy: Blender, tmp_path: Path) -> None:
    """Each with the bpy of the Python that the tests run on: that brender[blender] brings one of its own is tried by hand."""
    _run(_python(version), "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    here = tmp_path / "venv" / "bin"
    _run(here / "pip", "install", "-q", wheel, cwd=tmp_path)
    assert "brender" in _run(here / "brender", "--version", cwd=tmp_path)
    said = _run(here / "brender", "demo", "--frames", "1-2", "--blender", bpy.path, cwd=tmp_path)
    assert "2 frames" in said and len(list((tmp_path / "brender-demo_frames").glob("*.png"))) == 2
