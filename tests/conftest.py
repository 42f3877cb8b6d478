"""Fixtures that many tests share, and the rule that on CI nothing that matters may be missing."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.engines.blenders import ask, own_bpy
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder

BLENDS = Path(__file__).parent / "blends"
SCENES = BLENDS / "gltf-blender-io" / "scenes"


def missing(what: str) -> None:
    """A test cannot run here for want of *what*: on CI that is a failure, elsewhere a skip."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is not installed here")


def find_blender(kind: str) -> Blender:
    """The Blender of that kind, ``bpy`` or ``executable``, that tests render with."""
    found = own_bpy() if kind == "bpy" else ask(path) if (path := shutil.which("blender")) else None
    if found is None:
        missing({"bpy": "the bpy package (pip install -e '.[blender]')", "executable": "a blender executable"}[kind])
    assert found is not None
    return found


@pytest.fixture(params=["bpy", "executable"])
def blender(request: pytest.FixtureRequest) -> Blender:
    """Each of the two kinds of Blender in turn: the bpy package, and a ``blender`` executable."""
    return find_blender(request.param)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """A Chromium of the system's own."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("Chromium")
    assert path is not None
    return path


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the data folder, settings or farm of whoever runs it."""
    for name in list(os.environ):
        if name.startswith("BRENDER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BRENDER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


@pytest.fixture
def farm(folder: DataFolder) -> Iterator[LocalFarm]:
    """A whole farm of real processes on any free ports, with two workers and a dashboard."""
    with LocalFarm(FarmPlan(folder=folder, workers=2, any_ports=True)) as running:
        yield running
