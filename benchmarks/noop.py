"""A worker whose engine does nothing, in no time: what is left is the farm. Run as a program by the benchmarks."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from brender.bus.address import ManagerAddresses, parse_address
from brender.engines.events import AttemptEvent, Ended, PartFinished
from brender.model.grant import Grant, Order
from brender.roles.policy import Policy
from brender.roles.worker.loop import Setup, Worker
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
    options = parser.parse_args()
    manager = ManagerAddresses.of(parse_address(options.manager, 0))
    worker = Worker(DataFolder(options.data), [manager], Policy(), Setup(options.name, engines={"command": NoOp()}))
    worker.loop.on_signals(worker.stop)
    worker.run()


if __name__ == "__main__":
    main()
