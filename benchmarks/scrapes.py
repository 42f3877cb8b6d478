"""How fast brender hands out tasks while its roles are scraped every second, and watched, against a farm that nobody looks at.

    python -m benchmarks.scrapes [--quick]

Tasks per second from submit to recorded-complete, with server, manager and eight workers; and the
processor time that these take for a task, which what else the machine does changes less. One farm with ``--metrics`` and one
without stand side by side, and work in turns. The monitors run on this machine too, and give way; what scrapes takes its share.
"""

import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from benchmarks.localroles import Roles, roles
from benchmarks.monitor import watched
from benchmarks.report import arguments, report
from brender.bus.client import Client

_WORKERS = 8


@contextmanager
def scrapes(farm: Roles) -> Iterator[None]:
    """Scrape the farm's roles every second, as Prometheus does; the block fails where one does not answer."""
    ended, failures = threading.Event(), []

    def scrape() -> None:
        while not ended.wait(1.0):
            for port in farm.metrics_ports:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                        answer.read()
                except OSError as error:
                    failures.append(error)

    scraping = threading.Thread(target=scrape)
    scraping.start()
    try:
        yield
    finally:
        ended.set()
        scraping.join()
    if failures:
        raise SystemExit(f"{len(failures)} scrapes failed: {failures[0]}")


@dataclass
class Side:
    """What was measured of one: tasks a second, and seconds of processor time for a task."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def measure(self, farm: Roles, client: Client, tasks: int) -> None:
        """Let *farm* do so many *tasks*."""
        before = _processor_seconds(farm)
        self.rates.append(tasks / farm.run(client, tasks))
        self.costs.append((_processor_seconds(farm) - before) / tasks)


def _processor_seconds(farm: Roles) -> float:
    times = [psutil.Process(each.pid).cpu_times() for each in farm.processes.values()]
    return sum(each.user + each.system for each in times)


def main() -> None:
    quick = arguments(__doc__.splitlines()[0]).quick
    tasks, turns = (10_000, 3) if quick else (40_000, 7)
    alone, scraped, watched_too = Side(), Side(), Side()
    with (
        tempfile.TemporaryDirectory() as folder,
        roles(Path(folder) / "with", _WORKERS, metrics=True) as shown,
        roles(Path(folder) / "without", _WORKERS) as plain,
        shown.client() as to_shown,
        plain.client() as to_plain,
    ):
        for turn in range(turns):
            for side in (alone, scraped, watched_too)[:: 1 if turn % 2 else -1]:
                with ExitStack() as looks:
                    if side is alone:
                        side.measure(plain, to_plain, tasks)
                        continue
                    if side is watched_too:
                        looks.enter_context(watched(shown, 5))
                    looks.enter_context(scrapes(shown))
                    side.measure(shown, to_shown, tasks)
    for name, side in (("scraped", scraped), ("scraped, and five monitors", watched_too)):
        share = median(rate / bare for rate, bare in zip(side.rates, alone.rates, strict=True))
        report(f"dispatch, {name}", median(side.rates), "tasks/s", f"nobody looks: {median(alone.rates):.0f} tasks/s", share)
        cost, bare = median(side.costs), median(alone.costs)
        report(f"processor time of the roles, {name}", cost * 1e6, "us a task", f"nobody looks: {bare * 1e6:.0f} us", bare / cost)


if __name__ == "__main__":
    main()
