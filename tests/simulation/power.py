"""Machines that sleep while they are idle, in a fifth of the histories: commands that fail now and then, or go unheard."""

import random
from typing import TYPE_CHECKING

from brender.model.power import PowerPlan
from brender.roles.effects import RunPower

if TYPE_CHECKING:
    from tests.simulation.farm import Simulation

_PLAN = PowerPlan(wake=("wake",), sleep=("sleep",), after=6.0, within=20.0)


class Power:
    """Carries out what puts machines to sleep, and wakes them."""

    def __init__(self, world: "Simulation") -> None:
        self.world = world
        self.chance = random.Random(f"power of {world.seed}")
        self.plan = _PLAN if self.chance.random() < 0.2 else PowerPlan()
        self.asleep: set[str] = set()
        """The names of the workers whose machines sleep."""
        self.slept = 0

    def host_of(self, worker: str) -> str:
        """Return the machine of *worker*: one for all, where none sleeps."""
        return f"host of {worker}" if self.plan.sleep else "h"

    def run(self, wanted: RunPower) -> None:
        """Run the command that is *wanted*; it takes a while."""
        self.world.clock.at(self.chance.uniform(0.1, 3.0), lambda: self._end(wanted))

    def _end(self, wanted: RunPower) -> None:
        (worker,) = [each for each in self.world.workers if self.host_of(each.name) == wanted.machine]
        fails = self.world.faults and self.chance.random() < 0.2
        if not fails and wanted.verb == "sleep" and worker.up:
            self.world.say(f"{worker.name} sleeps")
            worker.up = False
            self.slept += 1
            self.asleep.add(worker.name)
        elif not fails and wanted.verb == "wake" and worker.name in self.asleep:
            worker.start()
        server, why = self.world.server, "it did not work" if fails else ""
        if server.up:
            told = wanted.machine, wanted.verb, why
            server.guarded(lambda: (server.round.apply(lambda core, now: core.powered(*told, now)), server.round.settle()))  # type: ignore[func-returns-value]
