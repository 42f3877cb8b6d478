"""The sandbox, as an ordinary user: what hostile jobs and pictures try (`tests.sandbox_attacks`) is refused."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from brender.engines.confine import lacking
from tests.conftest import missing
from tests.sandbox_attacks import ATTACKS, INSIDE

_NOBODY = 65534
_ROOT = Path(__file__).parents[1]


def ordinary_python() -> list[str]:
    """What begins a command by which an ordinary user runs this Python, or one like it."""
    if os.geteuid() != 0:
        return [sys.executable]
    become = ["setpriv", "--reuid", str(_NOBODY), "--regid", str(_NOBODY), "--clear-groups", "env", "PYTHONDONTWRITEBYTECODE=1"]
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if subprocess.run([*become, python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return [*become, f"PYTHONPATH={os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}", python]
    missing("a Python that an ordinary user may run")
    raise AssertionError


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, str]]:
    """What came of each attack: "" where it was refused."""
    if (why := lacking()) is not None:
        missing(f"bubblewrap: a sandbox {why}")
    # (The folders that pytest gives are root's alone.)
    folder = Path(tempfile.mkdtemp(prefix="brender-attacks-"))
    folder.chmod(0o777)
    try:
        words = [*ordinary_python(), "-m", "tests.sandbox_attacks", str(folder)]
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=_ROOT, env=os.environ | {"HOME": str(folder)}
        )
        assert done.returncode == 0, done.stderr[-3000:]
        yield json.loads(done.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.thorough
@pytest.mark.parametrize("what", [*ATTACKS, *(f"a program that {each}" for each in INSIDE)])
def test_refused_to_an_ordinary_user_is(what: str, outcomes: dict[str, str]) -> None:
    assert outcomes[what] == ""
