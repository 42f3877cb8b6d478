"""When jobs of a history may begin: some at a time, some only at night, by chance."""

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.farm import Simulation

#: What the farm's clock on the wall shows when a history begins.
BEGIN = 1_700_000_000.0


class Times:
    """A quarter of the histories have some: in these, the clock on the wall never jumps, or nobody could say when it is time."""

    def __init__(self, world: "Simulation") -> None:
        self.chance = random.Random(f"times of {world.seed}")
        self.has_some = self.chance.random() < 0.25
        self._night = (datetime.fromtimestamp(BEGIN) + timedelta(minutes=self.chance.randint(1, 3))).replace(second=0)

    @property
    def night(self) -> str:
        """The hours of the night, which begins soon and outlasts the history."""
        return f"{self._night:%H:%M}-{self._night + timedelta(hours=12):%H:%M}"

    def of_job(self) -> dict[str, Any]:
        """Return what the next job says of it, by the fields of its spec."""
        if not self.has_some:
            return {}
        return {"start_at": BEGIN + self.chance.choice([0.0, 5.0, 60.0, 150.0]), "night": self.chance.random() < 0.3}

    def too_early(self, start_at: float, night: bool, wall: float) -> str:
        """Return why nothing of a job may begin at *wall*, "" where it may."""
        if wall < start_at:
            return f"begins at {start_at - BEGIN:g}"
        return "is for the night" if night and wall < self._night.timestamp() else ""
