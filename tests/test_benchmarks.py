"""The benchmarks that put themselves in the place of parts of brender run, and tell figures: nothing else would show that such a
part has moved."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.thorough, pytest.mark.blender, pytest.mark.browser]


@pytest.mark.parametrize("name", ["keys", "pages", "submit"])
def test_a_short_run_tells_figures(name: str) -> None:
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert all("figure" in json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert '"figure"' in done.stdout
