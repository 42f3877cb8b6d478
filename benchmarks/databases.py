"""How fast brender hands out tasks with its record in PostgreSQL, against SQLite.

    python -m benchmarks.databases [--quick]

Tasks that do nothing, a second, from submit to recorded-complete, and the processor time that the server takes for one: a farm on
each, side by side, working in turns. PostgreSQL runs on this machine too, as it comes but for its socket; both flush each commit.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from benchmarks.localroles import Roles, roles
from benchmarks.report import arguments, report
from brender.bus.client import Client
from tests.conftest import PostgreSQL

_WORKERS = 8


@dataclass
class _Side:
    farm: Roles
    client: Client
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def measure(self, tasks: int) -> None:
        server = psutil.Process(self.farm.processes["server"].pid)
        before = sum(server.cpu_times()[:2])
        self.rates.append(tasks / self.farm.run(self.client, tasks))
        self.costs.append((sum(server.cpu_times()[:2]) - before) / tasks)


def main() -> None:
    quick = arguments(__doc__.splitlines()[0]).quick
    tasks, turns = (4_000, 3) if quick else (20_000, 7)
    running = PostgreSQL(durable=True)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            roles(Path(folder) / "postgresql", _WORKERS, database=running.new_database()) as there,
            roles(Path(folder) / "sqlite", _WORKERS) as here,
            there.client() as to_there,
            here.client() as to_here,
        ):
            sides = _Side(there, to_there), _Side(here, to_here)
            for turn in range(turns):
                for side in sides[:: 1 if turn % 2 else -1]:
                    side.measure(tasks)
    finally:
        running.end()
    postgresql, sqlite = sides
    rate, against = median(postgresql.rates), median(sqlite.rates)
    report("dispatch, record in PostgreSQL", rate, "tasks/s", f"SQLite: {against:.0f} tasks/s", rate / against)
    cost, bare = median(postgresql.costs) * 1e6, median(sqlite.costs) * 1e6
    report("processor time of the server, record in PostgreSQL", cost, "us a task", f"SQLite: {bare:.0f} us", cost / bare)


if __name__ == "__main__":
    main()
