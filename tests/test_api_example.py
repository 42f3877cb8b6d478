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
from dashboard.api_tokens import NOT_VALID
from tests.conftest import SCENES, find_blender
from tests.web import with_token

GUIDE = Path(__file__).parent.parent / "docs" / "howto" / "curl.rst"


def script_in(guide: Path) -> str:
    """The shell commands of *guide*, in their order."""
    blocks = re.findall(r"^\.\. code-block:: sh\n\n((?:   .*\n|\n)+)", guide.read_text("utf-8"), re.MULTILINE)
    return "".join(re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in blocks)


def run(folder: Path, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the guide's script in *folder*, with the variables *given*."""
    environment = {name: value for name, value in os.environ.items() if name != "TOKEN"} | given
    words = ["sh", "-c", script_in(GUIDE)]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_without_a_token_the_guide_s_commands_say_how_one_is_made_and_end(tmp_path: Path) -> None:
    done = run(tmp_path, {})
    assert done.returncode and "brender api-token make" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.blender
@pytest.mark.thorough
def test_the_guide_s_own_commands_submit_watch_and_download(folder: DataFolder, tmp_path: Path) -> None:
    blender = find_blender("bpy")
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True, blenders=[blender.path])) as farm:
        with client(None, folder.root) as connection:
            token = with_token(connection)["Authorization"].removeprefix("Bearer ")
        given = {"TOKEN": token, "FARM": farm.dashboard_url.rstrip("/"), "FILE": str(SCENES / "03_animated_cube.blend")}
        refused, done = run(tmp_path, given | {"TOKEN": "wrong"}), run(tmp_path, given)
    assert refused.returncode and NOT_VALID in refused.stderr and "Traceback" not in refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert "completed: 3 of 3 frames" in done.stdout and '"frames":3' in done.stdout
    with zipfile.ZipFile(tmp_path / "frames.zip") as archive:
        assert len(archive.namelist()) == 3 and archive.testzip() is None
