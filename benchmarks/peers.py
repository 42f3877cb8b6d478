"""The Python task queues that brender's dispatch is measured against, each running the same no-op on this machine.

Each function takes how many tasks and how many workers, and returns seconds from the first submit to the last result. What
they promise differs: huey's SQLite and Celery's Redis keep queued tasks, dask and ipyparallel keep nothing. None records each
task's result durably, as brender does.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_HUEY = """
import os
from huey import SqliteHuey
huey = SqliteHuey(filename=os.environ["NOOP_DB"], fsync=True)
@huey.task()
def noop(number):
    return number
"""
_CELERY = """
import os
from celery import Celery
url = os.environ["NOOP_REDIS"]
app = Celery("noop", broker=url, backend=url)
@app.task
def noop(number):
    return number
"""


def noop(number: int) -> int:
    return number


def dask(tasks: int, workers: int) -> tuple[float, list[float]]:
    """dask.distributed, one process a worker; and the latencies of single tasks, submit to result."""
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(noop, range(-100, 0)))
        began = time.perf_counter()
        client.gather(client.map(noop, range(tasks)))
        seconds = time.perf_counter() - began
        return seconds, _latencies(lambda number: client.submit(noop, 10**7 + number).result())


def ipyparallel(tasks: int, workers: int) -> tuple[float, list[float]]:
    """ipyparallel's load-balanced view."""
    import ipyparallel

    with ipyparallel.Cluster(n=workers, log_level=40) as client:
        view = client.load_balanced_view()
        view.map_sync(noop, range(100))
        began = time.perf_counter()
        view.map_sync(noop, range(tasks))
        seconds = time.perf_counter() - began
        return seconds, _latencies(lambda number: view.apply_sync(noop, number))


def huey(tasks: int, workers: int) -> tuple[float, list[float]]:
    """huey with SQLite that syncs, one consumer process with as many worker processes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "noop_huey.py").write_text(_HUEY)
        env = os.environ | {"NOOP_DB": f"{folder}/huey.db", "PYTHONPATH": folder}
        os.environ["NOOP_DB"] = env["NOOP_DB"]
        sys.path.insert(0, folder)
        try:
            import noop_huey  # type: ignore[import-not-found]

            words = [sys.executable, "-m", "huey.bin.huey_consumer", "noop_huey.huey", "-w", str(workers), "-k", "process", "-q"]
            consumer = subprocess.Popen([*words, "-d", "0.005", "-m", "0.02"], env=env, stderr=subprocess.DEVNULL)
            try:
                noop_huey.noop(0)(blocking=True, timeout=30)
                began = time.perf_counter()
                results = [noop_huey.noop(number) for number in range(tasks)]
                for result in reversed(results):
                    result(blocking=True, timeout=120, backoff=1.0, max_delay=0.005)
                seconds = time.perf_counter() - began
                return seconds, _latencies(
                    lambda number: noop_huey.noop(number)(blocking=True, timeout=30, backoff=1.0, max_delay=0.001)
                )
            finally:
                consumer.terminate()
                consumer.wait()
        finally:
            sys.path.remove(folder)


def celery(tasks: int, workers: int) -> tuple[float, list[float]]:
    """Celery with Redis for broker and results."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        (Path(folder) / "noop_celery.py").write_text(_CELERY)
        env = os.environ | {"NOOP_REDIS": f"redis://127.0.0.1:{port}/0", "PYTHONPATH": folder}
        os.environ["NOOP_REDIS"] = env["NOOP_REDIS"]
        sys.path.insert(0, folder)
        redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--appendonly", "yes", "--dir", folder], stdout=subprocess.DEVNULL
        )
        words = [sys.executable, "-m", "celery", "-A", "noop_celery", "worker", "-c", str(workers), "-l", "error"]
        consumer = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            import noop_celery  # type: ignore[import-not-found]

            time.sleep(1)
            noop_celery.noop.delay(0).get(timeout=60)
            began = time.perf_counter()
            results = [noop_celery.noop.delay(number) for number in range(tasks)]
            for result in results:
                result.get(timeout=120)
            seconds = time.perf_counter() - began
            return seconds, _latencies(lambda number: noop_celery.noop.delay(number).get(timeout=30))
        finally:
            sys.path.remove(folder)
            consumer.terminate()
            consumer.wait()
            redis.terminate()
            redis.wait()


def _latencies(one: Callable[[int], object]) -> list[float]:
    """Seconds that each of 200 single tasks takes on an idle farm, sorted."""
    taken = []
    for number in range(200):
        time.sleep(0.005)
        began = time.perf_counter()
        one(number)
        taken.append(time.perf_counter() - began)
    return sorted(taken)


PEERS: dict[str, Callable[[int, int], tuple[float, list[float]]]] = {
    "dask.distributed": dask,
    "ipyparallel": ipyparallel,
    "Celery with Redis": celery,
    "huey with SQLite": huey,
}
