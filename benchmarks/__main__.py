"""Runs all benchmarks, one after another, and says on what machine. It takes over an hour; ``--quick`` minutes.

    python -m benchmarks --page docs/explanation/one_run.rst      # and keep what came out as a page of the documentation
    python -m benchmarks --quick --only dispatch --only transfer

Each figure is one line of JSON, as each benchmark prints it, with the benchmark's name. The first line is the machine.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from brender import __version__

#: Every benchmark, in the order in which the page has them. A test holds the list to the files that are here.
NAMES = (
    *("dispatch", "keys", "transfer", "databases", "scale", "rounds", "sweeps", "shares", "estimates", "recovery", "elastic"),
    *("pages", "monitor", "scrapes", "submit", "frames", "render", "progressive"),
)

#: What those are told that would take an hour by themselves: one comparison of each scene, by the bpy package, in place of three
#: by each Blender.
SHORTER = {"render": ("--quick", "--kind", "bpy")}


def main() -> int:
    """Run the benchmarks that were asked for; return how many of them ended with an error."""
    parser = argparse.ArgumentParser(description="Run all benchmarks.")
    parser.add_argument("--quick", action="store_true", help="short runs: enough to see that all of them work")
    parser.add_argument("--only", action="append", choices=NAMES, help="only this one; may be given again")
    parser.add_argument("--page", type=Path, help="write the figures to this file too, as a page of the documentation")
    asked = parser.parse_args()
    there = machine()
    print(json.dumps(there), flush=True)
    figures: list[dict[str, Any]] = []
    failed = []
    for name in asked.only or NAMES:
        began = time.monotonic()
        words = [sys.executable, "-m", f"benchmarks.{name}", *(("--quick",) if asked.quick else SHORTER.get(name, ()))]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                figure = figure_of(name, line)
                print(json.dumps(figure) if figure else line.rstrip(), flush=True)
                if figure:
                    figures.append(figure)
        if running.returncode:
            failed.append(name)
            print(json.dumps({"benchmark": name, "failed": running.returncode}), flush=True)
        print(json.dumps({"benchmark": name, "took_s": round(time.monotonic() - began)}), flush=True)
        if asked.page:  # after each, so that a run that is ended keeps what it measured
            asked.page.write_text(page(there, figures, failed), "utf-8")
    return len(failed)


def machine() -> dict[str, Any]:
    """Return what this machine is, and what is measured on it."""
    processor = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in info.read_text("utf-8").splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    return {
        "machine": f"{psutil.cpu_count()} x {processor}",
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": round(psutil.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "brender": __version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def figure_of(name: str, line: str) -> dict[str, Any] | None:
    """Return the figure that *line* of the benchmark *name* is; ``None`` where it is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return {"benchmark": name, **found} if isinstance(found, dict) and "figure" in found else None


def page(there: dict[str, Any], figures: list[dict[str, Any]], failed: list[str]) -> str:
    """Return a page of the documentation with all *figures*."""
    title = f"Figures of {there['date']}"
    lines = [title, "=" * len(title), ""]
    lines += [f"brender {there['brender']} with Python {there['python']} on {there['machine']},"]
    lines += [f"{there['memory_gb']} GB of memory, {there['system']}."]
    lines += ["Made by ``python -m benchmarks``, all in one run.", ""]
    if failed:
        lines += [f"These ended with an error: {', '.join(failed)}.", ""]
    lines += [".. list-table::", "   :header-rows: 1", ""]
    for row in (("benchmark", "figure", "value", "against", "ratio"), *map(_row, figures)):
        lines += [f"   {'*' if place == 0 else ' '} - {cell}".rstrip() for place, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _row(figure: dict[str, Any]) -> tuple[str, ...]:
    ratio = figure.get("ratio")
    value = f"{figure['value']:,} {figure.get('unit', '')}".rstrip()
    return (
        f"``benchmarks.{figure['benchmark']}``",
        figure["figure"],
        value,
        figure.get("against", ""),
        "" if ratio is None else f"{ratio}",
    )


if __name__ == "__main__":
    sys.exit(main())
