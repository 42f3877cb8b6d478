"""Seconds from ``kill -9`` of a role to the start of the next task, with a supervisor that starts the role again at once.

    python -m benchmarks.recovery [--quick]

Default lease. The farm is one server, one manager and one worker on this machine; what the killed role's own start takes
(an interpreter, its imports) is part of the figure.
"""

import contextlib
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.localroles import Roles, roles, until
from benchmarks.report import arguments, report
from brender.api.jobspec import command_job
from brender.bus.client import Client
from brender.model.errors import BrenderError


def recovery(farm: Roles, name: str) -> float:
    """Kill *name*, start it again, submit one task; seconds from the kill until the task has started."""
    began = time.time()
    farm.processes[name].kill()
    farm.processes[name].wait()
    farm.start(name)
    spec = command_job(("true",), {}, "after")
    with farm.client() as client:
        client.submit(spec)
        until(lambda: _started(client, spec.id))
        return float(client.ask("attempts", job=spec.id)[0]["started"] - began)


def _started(client: Client, job: str) -> bool:
    with contextlib.suppress(BrenderError):
        return any(row["started"] is not None for row in client.ask("attempts", job=job))
    return False


def main() -> None:
    rounds = 1 if arguments(__doc__.splitlines()[0]).quick else 5
    with tempfile.TemporaryDirectory() as folder, roles(Path(folder), 1) as farm:
        for name in ("server", "manager", "worker-0"):
            taken = [recovery(farm, name) for _ in range(rounds)]
            report(f"kill -9 of the {name.partition('-')[0]} to the next task started, median", statistics.median(taken), "s")


if __name__ == "__main__":
    main()
