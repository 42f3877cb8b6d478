"""How fast brender hands out tasks that do nothing, against Python's task queues on the same machine in the same run.

    python -m benchmarks.dispatch [--quick]

- tasks per second from submit to recorded-complete, durable (WAL, synchronous FULL), through real processes and sockets, with
  2, 8 and 64 workers, and for each peer with 2;
- milliseconds from the submit of one task to the record that it has started, on an idle farm; for the peers, to its result;
- the same rate with more tasks queued.

It wants ipyparallel, dask[distributed], celery[redis] and huey (``pip install -e '.[benchmarks]'``), and a redis-server.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.localroles import Roles, roles
from benchmarks.peers import PEERS
from benchmarks.report import arguments, report
from brender.api.jobspec import command_job
from brender.bus.client import Client


def latencies(farm: Roles, client: Client, count: int) -> list[float]:
    """Seconds from the submit of one task to the server's record that it has started, sorted."""
    taken = []
    for _ in range(count):
        began = time.time()
        spec = command_job(("true",), {}, "one")
        client.submit(spec)
        time.sleep(0.1)  # asking meanwhile would only keep the server busy
        taken.append(client.ask("attempts", job=spec.id)[0]["started"] - began)
    return sorted(taken)


def rate(workers: int, tasks: int, armed: bool = True) -> float:
    """Tasks a second; *armed*: with keys, as always."""
    with tempfile.TemporaryDirectory() as folder, roles(Path(folder), workers, armed) as farm, farm.client() as client:
        return tasks / farm.run(client, tasks)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    quick = arguments(__doc__.splitlines()[0]).quick
    tasks, few = (5_000, 500) if quick else (40_000, 3_000)
    ours = {workers: rate(workers, tasks) for workers in (2, 8, 64)}
    theirs: dict[str, tuple[float, list[float]]] = {}
    for name, run in PEERS.items():
        seconds, waits = run(few, 2)
        theirs[name] = (few / seconds, waits)
    best = max(theirs, key=lambda name: theirs[name][0])
    for workers, found in ours.items():
        against = f"{best}, 2 workers: {theirs[best][0]:.0f} tasks/s"
        report(f"dispatch, {workers} workers", found, "tasks/s", against, found / theirs[best][0])
    for name, (found, waits) in theirs.items():
        report(f"dispatch, {name}, 2 workers", found, "tasks/s", f"brender: {ours[2]:.0f} tasks/s", found / ours[2])
        for share in (0.5, 0.99):
            report(f"submit to result, {name}, p{share * 100:.0f}", percentile(waits, share) * 1e3, "ms")
    with tempfile.TemporaryDirectory() as folder, roles(Path(folder), 2) as farm, farm.client() as client:
        waits = latencies(farm, client, 50 if quick else 300)
        for share in (0.5, 0.99):
            report(f"submit to start, p{share * 100:.0f}", percentile(waits, share) * 1e3, "ms")
    sizes = (1_000, 10_000) if quick else (1_000, 100_000, 1_000_000)
    grown = {size: growth(size, min(tasks, 20_000)) for size in sizes}
    for size, found in grown.items():
        first = grown[sizes[0]]
        report(f"dispatch, {size} tasks queued", found, "tasks/s", f"{sizes[0]} queued: {first:.0f} tasks/s", found / first)


def growth(queued: int, tasks: int) -> float:
    """Tasks per second of one job, while another has *queued* tasks that wait."""
    with tempfile.TemporaryDirectory() as folder, roles(Path(folder), 2) as farm, farm.client() as client:
        waiting = command_job(("true",), {"frames": f"1-{queued}"}, "waits", tags=("nobody-has-it",))
        client.submit(waiting)
        while client.ask("job", id=waiting.id)["planned_tasks"] < min(queued, 4_000):
            time.sleep(0.1)
        return tasks / farm.run(client, tasks)


if __name__ == "__main__":
    main()
