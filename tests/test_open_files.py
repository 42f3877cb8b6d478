"""How many files and connections roles may have open, tried in processes of their own."""

import subprocess
import sys

import pytest

_SAID = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from brender.system.open_files import allow_many_files
print(allow_many_files())
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def _said(soft: int, hard: int) -> list[str]:
    done = subprocess.run([sys.executable, "-c", _SAID, str(soft), str(hard)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_role_may_open_as_many_files_as_its_system_allows() -> None:
    assert _said(256, 4096) == ["", "4096"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_manager_with_room_for_few_workers_says_so_and_what_to_do() -> None:
    said, now = _said(256, 1024)
    assert now == "1024" and "1,024 files" in said and "about 308 workers" in said and "LimitNOFILE" in said
