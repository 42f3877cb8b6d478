"""python -m tests.mutants: change the code that decides, one place at a time; does a test notice? The last line is JSON."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.mutants.equivalent import EQUIVALENT, WHILE_READ

ROOT = Path(__file__).resolve().parents[2]
#: Of a hundred mutants, so many may survive.
MOST_SURVIVORS = 10

_FARM = (
    "tests/test_farm_decisions.py",
    "tests/test_requeue.py",
    "tests/test_stages.py",
    "tests/test_limits_and_leaving.py",
    "tests/test_stragglers.py",
    "tests/test_chunks_and_memory.py",
    "tests/test_film_stage.py",
    "tests/test_placement.py",
    "tests/test_reports.py",
    "tests/test_transitions.py",
    "tests/test_job_state.py",
    "tests/test_sweeps.py",
    "tests/test_ledger.py",
    "tests/test_crash_only.py",
    "tests/test_examples.py",
    "tests/mutants/short_simulation.py",
)
#: What is changed, and the tests that are to notice: none starts a process, a Blender, PostgreSQL or a browser.
TESTS = {
    "farm": _FARM,
    "scheduling": (
        "tests/test_scheduler.py",
        "tests/test_solitude.py",
        "tests/test_audit.py",
        "tests/test_kept_machines.py",
        "tests/test_terms.py",
        *_FARM,
    ),
    "model": (
        "tests/test_model.py",
        "tests/test_job_types.py",
        "tests/test_estimates.py",
        "tests/test_views.py",
        "tests/test_trust.py",
        "tests/test_names.py",
        "tests/test_simulations.py",
        "tests/test_paths.py",
        "tests/test_devices.py",
        "tests/test_worker_settings.py",
        "tests/test_units.py",
        "tests/test_rights.py",
        "tests/test_newer_files.py",
        "tests/test_blobs.py",
        "tests/test_film.py",
        "tests/test_addons.py",
        "tests/test_role_logs.py",
        "tests/test_key_decisions.py",
        "tests/test_obstacles.py",
        "tests/test_model_tables.py",
        *_FARM,
    ),
}

_SETTINGS = """
[mutmut]
source_paths = brender
only_mutate = {only}
also_copy = dashboard
timeout_multiplier = 3
timeout_constant = 10
use_git_change_detection = false
pytest_add_cli_args =
    -n
    0
    -p
    no:cacheprovider
    -p
    tests.mutants.only_pure
    -k
    not (postgresql or of_thousands or now_and_then or sandbox or worker_program or more_memory or pages_show)
pytest_add_cli_args_test_selection =
    {tests}
"""


def lay_out(folder: Path, package: str, only: str, tests: Sequence[str]) -> None:
    """Copy what the tests need into *folder*, with mutmut's settings: nothing is changed in the checkout."""
    for name in ("brender", "dashboard", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "blends"))
    for name in ("pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / name, folder)
    with (folder / "setup.cfg").open("a") as file:
        file.write(_SETTINGS.format(only=only or f"brender/{package}/*.py", tests="\n    ".join(tests)))


def mutants_of(package: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what became of each mutant of *package* that was tried: its ``name``, ``status`` and ``diff``."""
    with tempfile.TemporaryDirectory(prefix="brender-mutants-") as name:
        folder = Path(name)
        lay_out(folder, package, options.only, options.tests or TESTS[package])
        log = folder / "mutmut.log"
        print(f"{package}: mutmut says how far it is in {log}", flush=True)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONHASHSEED": "0"}
        command = [sys.executable, "tests/mutants/within.py", str(options.most), str(options.seed), str(options.processes)]
        with log.open("w") as output:
            ended = subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
        results = folder / "results.json"
        if ended.returncode or not results.exists():
            print(log.read_text()[-5000:])
            raise SystemExit(f"mutmut ended with exit code {ended.returncode}; what it said last stands above")
        found: list[dict[str, Any]] = json.loads(results.read_text())
        return found


def changed_line(diff: str) -> str:
    """Return the first line that *diff* adds, without blanks around it."""
    added = [line[1:].strip() for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    return added[0] if added else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("packages", nargs="*", help=f"of {', '.join(TESTS)} (default: all)")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="try N mutants of each package, chosen by chance")
    parser.add_argument("--seed", type=int, default=0, help="another choice")
    parser.add_argument("--only", default="", metavar="GLOB", help="change only these files, such as 'brender/farm/tasks.py'")
    parser.add_argument(
        "--tests", nargs="+", metavar="FILE", help="ask only these, which is quick: what they let survive, others may notice"
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="try N at a time")
    options = parser.parse_args()
    if unknown := set(options.packages) - TESTS.keys():
        parser.error(f"there is no package {sorted(unknown)[0]}; there are: {', '.join(TESTS)}")
    os.nice(10)
    began = time.monotonic()
    counts = {"mutants": 0, "killed": 0, "survived": 0, "equivalent": 0}
    for package in options.packages or TESTS:
        for mutant in mutants_of(package, options):
            status = mutant["status"]
            if status not in ("survived", "no tests"):
                status = "killed"
            elif changed_line(mutant["diff"]) in EQUIVALENT or mutant["name"].rpartition("__mutmut_")[0] in WHILE_READ:
                status = "equivalent"
            else:
                print(f"\n# {mutant['status']}: {mutant['name']}\n{mutant['diff']}")
                status = "survived"
            counts["mutants"] += 1
            counts[status] += 1
    print(json.dumps(counts | {"seconds": round(time.monotonic() - began)}))
    return int(counts["survived"] * 100 > MOST_SURVIVORS * counts["mutants"])


if __name__ == "__main__":
    sys.exit(main())
