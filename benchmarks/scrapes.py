"""How fast brender hands out tasks while its roles are scraped every second, against the same farm when nobody does.

    python -m benchmarks.scrapes [--quick]

Tasks per second from submit to recorded-complete, with server, manager and eight workers. One farm with ``--metrics`` and
one without stand side by side, and work in turns, so that what else the machine does falls on both.
"""

import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

from benchmarks.localroles import Roles, roles
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
    shares = []
    with (
        tempfile.TemporaryDirectory() as folder,
        roles(Path(folder) / "with", _WORKERS, metrics=True) as scraped,
        roles(Path(folder) / "without", _WORKERS) as plain,
        scraped.client() as to_scraped,
        plain.client() as to_plain,
    ):
        for turn in range(turns):
            rates = {}
            for is_scraped in (False, True) if turn % 2 else (True, False):
                farm, connection = (scraped, to_scraped) if is_scraped else (plain, to_plain)
                with scrapes(farm) if is_scraped else nullcontext():
                    rates[is_scraped] = tasks / farm.run(connection, tasks)
            shares.append((rates[True] / rates[False], rates[True], rates[False]))
    share, beside, alone = median(shares)
    report("dispatch, scraped every second", beside, "tasks/s", f"without metrics: {alone:.0f} tasks/s", share)


if __name__ == "__main__":
    main()
