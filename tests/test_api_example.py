"""The example in docs/howto/curl.rst works as it stands there: its very text is run against a farm."""

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.store.datafolder import DataFolder
from tests.conftest import SCENES, find_blender
from tests.web import with_token

GUIDE = Path(__file__).parent.parent / "docs" / "howto" / "curl.rst"


def script_in(guide: Path) -> str:
    """The shell commands of *guide*, in their order."""
    blocks = re.findall(r"^\.\. code-block:: sh\n\n((?:   .*\n|\n)+)", guide.read_text("utf-8"), re.MULTILINE)
    return "".join(re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in blocks)


@pytest.mark.blender
@pytest.mark.thorough
def test_the_guide_s_own_commands_submit_watch_and_download(folder: DataFolder, tmp_path: Path) -> None:
    blender = find_blender("bpy")
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True, blenders=[blender.path])) as farm:
        with client(None, folder.root) as connection:
            token = with_token(connection)["Authorization"].removeprefix("Bearer ")
        given = {"TOKEN": token, "FARM": farm.dashboard_url.rstrip("/"), "FILE": str(SCENES / "03_animated_cube.blend")}
        done = subprocess.run(
            ["sh", "-eu", "-c", script_in(GUIDE)],
            cwd=tmp_path,
            env=os.environ | given,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "completed: 3 of 3 frames" in done.stdout and '"frames":3' in done.stdout
    with zipfile.ZipFile(tmp_path / "frames.zip") as archive:
        assert len(archive.namelist()) == 3 and archive.testzip() is None
