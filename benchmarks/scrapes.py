"""How fast brender hands out tasks while its roles are scraped every second, and watched, against a farm that nobody looks at.

    python -m benchmarks.scrapes [--quick]

Tasks per second from submit to recorded-complete, with server, manager and eight workers. One farm with ``--metrics`` and
one without stand side by side, and work in turns, so that what else the machine does falls on both. The monitors of the second
figure run on this machine too, and give way (as in ``benchmarks.monitor``); what scrapes takes its share of it.
"""

import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.localroles import Roles, roles
from benchmarks.monitor import watched
from benchmarks.report import arguments, report

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


def main() -> None:
    quick = arguments(__doc__.splitlines()[0]).quick
    tasks, turns = (10_000, 3) if quick else (40_000, 7)
    found: dict[str, list[float]] = {"nobody looks": [], "scraped": [], "scraped, and five monitors": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        roles(Path(folder) / "with", _WORKERS, metrics=True) as shown,
        roles(Path(folder) / "without", _WORKERS) as plain,
        shown.client() as to_shown,
        plain.client() as to_plain,
    ):
        for turn in range(turns):
            for side in list(found)[:: 1 if turn % 2 else -1]:
                with ExitStack() as looks:
                    if side == "nobody looks":
                        found[side].append(tasks / plain.run(to_plain, tasks))
                        continue
                    if side != "scraped":
                        looks.enter_context(watched(shown, 5))
                    looks.enter_context(scrapes(shown))
                    found[side].append(tasks / shown.run(to_shown, tasks))
    alone = found.pop("nobody looks")
    for side, rates in found.items():
        share = median(rate / bare for rate, bare in zip(rates, alone, strict=True))
        report(f"dispatch, {side}", median(rates), "tasks/s", f"nobody looks: {median(alone):.0f} tasks/s", share)


if __name__ == "__main__":
    main()
