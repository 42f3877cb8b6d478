"""A worker whose engine does nothing, in no time: what is left is the farm. Run as a program by the benchmarks."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from benchmarks import plain
from brender.bus.membership import Membership
from brender.commands.joining import join_as_node, managers_for
from brender.commands.serving import metrics_page, serve
from brender.engines.events import AttemptEvent, Ended, PartFinished
from brender.model.grant import Grant, Order
from brender.model.keys import KeyRole
from brender.roles.policy import Policy
from brender.roles.worker.loop import Worker
from brender.roles.worker.setup import Setup
from brender.store.datafolder import DataFolder


class NoOp:
    """Every part is done at once."""

    def events(self, grant: Grant, order: Order) -> Iterable[AttemptEvent]:
        return [*(PartFinished(part.id, 0.0) for part in grant.parts), Ended(0.0)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--manager", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--metrics", default="")
    parser.add_argument("--plain", action="store_true", help="without keys")
    options = parser.parse_args()
    if options.plain:
        plain.disarm()
    folder = DataFolder(options.data)

    def join() -> Membership:
        return join_as_node(folder, KeyRole.WORKER, options.name, None, None)

    membership, managers = managers_for(join(), options.name, options.manager, join)
    setup = Setup(options.name, proof=membership.proof, programs=["*"], engines={"command": NoOp()})
    worker = Worker(folder, managers, Policy(), setup)
    page = metrics_page(options.metrics, "worker", options.data)
    serve(worker.loop, worker.stop, True, "does nothing", page, worker.snapshot)
    worker.run()


if __name__ == "__main__":
    main()
