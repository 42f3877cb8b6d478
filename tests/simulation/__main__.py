"""python -m tests.simulation --seeds 1000, or --seed 42 to replay one. The last line is JSON."""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter

from tests.simulation.farm import Simulation, history


def replay(seed: int) -> int:
    simulation = Simulation(seed)
    try:
        simulation.run()
    except Exception:
        print("\n".join(simulation.trace))
        raise
    print("\n".join(simulation.trace[-200:]))
    print(json.dumps({"seeds": 1, "steps": simulation.steps, "violations": 0}))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000, help="how many histories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one, and tell what happened")
    options = parser.parse_args()
    if options.seed is not None:
        return replay(options.seed)
    began, steps, violations = time.monotonic(), 0, 0
    kinds: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool() as pool:
        seeds = range(options.first, options.first + options.seeds)
        for seed, taken, problem in pool.imap_unordered(history, seeds, chunksize=10):
            steps += taken
            if problem:
                violations += 1
                kinds[problem[:40]] += 1
                if kinds[problem[:40]] <= 3:
                    print(f"seed {seed}: {problem}", flush=True)
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"seeds": options.seeds, "steps": steps, "violations": violations, "seconds": seconds}))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
