"""What every benchmark shares: its command line, timing, and one line of JSON for each figure."""

import argparse
import json
import statistics
import time
from collections.abc import Callable


def arguments(description: str) -> argparse.Namespace:
    """The options of a benchmark: ``--quick`` for a short run."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short run: enough to see that it works")
    return parser.parse_args()


def report(figure: str, value: float, unit: str, against: str = "", ratio: float | None = None) -> None:
    """Print one figure. *ratio* is ours over *against*."""
    line = {
        "figure": figure,
        "value": float(f"{value:.6g}"),
        "unit": unit,
        "against": against,
        "ratio": None if ratio is None else round(ratio, 4),
    }
    print(json.dumps(line), flush=True)


def paired(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each of *sides*, run in turn *rounds* times, so that a busy machine is busy for all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}
