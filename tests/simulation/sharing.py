"""How the jobs of a history share its farm: users and projects, weights and limits, pools and rush, by chance."""

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from brender.bus.messages import Manage
from brender.model.keys import KeyRole
from brender.model.sharing import Sharing
from brender.roles.effects import Peer

if TYPE_CHECKING:
    from tests.simulation.farm import Simulation

#: What a machine has that workers run on.
CORES, GPU_MEMORY = 4, 8
_HAS = {"cores": CORES, "gpu_memory": GPU_MEMORY}
_USERS, _PROJECTS, _POOLS = ("ada", "ben"), ("default", "film"), ("", "film", "series")


class Shares:
    """Half of the histories have some; the others, one user."""

    def __init__(self, world: "Simulation") -> None:
        self.world = world
        self.chance = random.Random(f"shares of {world.seed}")
        self.are_many = self.chance.random() < 0.5
        self.most: dict[tuple[str, str], int] = {}

    def begin(self) -> None:
        """Set weights and limits, before any job is there."""
        if not self.are_many:
            return
        faults, self.world.faults = self.world.faults, False
        for user in _USERS:
            self._manage("set-weight", kind="user", name=user, weight=self.chance.choice([0.5, 1, 3]))
        gates = [("licence", "nuke"), *(("user", each) for each in _USERS), *(("project", each) for each in _PROJECTS)]
        for gate in gates:
            if gate[0] == "licence" or self.chance.random() < 0.4:
                self.most[gate] = self.chance.randint(1, 4)
                self._manage("set-limit", kind=gate[0], name=gate[1], most=self.most[gate])
        self.world.faults = faults

    def pool_of(self, worker: str) -> str:
        """Return the pool of the worker of that name."""
        return random.Random(f"pool of {worker} in {self.world.seed}").choice(_POOLS) if self.are_many else ""

    def of_job(self) -> dict[str, Any]:
        """Return what the next job says of it, by the fields of its spec."""
        if not self.are_many:
            return {}
        chance = self.chance
        pool = chance.choice(_POOLS)
        sharing = Sharing(
            most_workers=chance.choice([0, 0, 1, 2]),
            licences=chance.choice([(), (), ("nuke",)]),
            pool=pool,
            reclaim_at_once=bool(pool) and chance.random() < 0.3,
            rush=chance.random() < 0.2,
            cores=chance.choice([0, 0, 1, 3, CORES]),
            gpu_memory=chance.choice([0, 0, 0, 3]),
        )
        fields = {"user": chance.choice(_USERS), "project": chance.choice(_PROJECTS)}
        return fields | {"sharing": sharing, "priority": chance.choice([30, 50, 50, 70])}

    def exceeded(self) -> str:
        """Return which limit is exceeded by what is out, in a sentence; "" where none is."""
        farm = self.world.server.core.farm
        live: Counter[tuple[str, str]] = Counter()
        for attempt in farm.attempts.values():
            spec = farm.jobs[attempt.job].spec
            live.update([("user", spec.user), ("project", spec.project), *(("licence", each) for each in spec.sharing.licences)])
        taken_of: Counter[tuple[str, str]] = Counter()
        for worker in farm.workers.values():
            needs = [farm.jobs[farm.attempts[each].job].need for each in worker.attempts]
            for what in _HAS:
                taken_of[worker.info.host, what] += max((getattr(need, what) for need in needs), default=0)
        for (_, what), taken in taken_of.items():
            if taken > (most := _HAS[what]):
                return f"{taken} {what} of the machine are reserved, and it has {most}"
        for job in farm.jobs.values():
            if 0 < job.spec.sharing.most_workers < len(job.live):
                return f"{len(job.live)} tasks of {job.id} are out, and {job.spec.sharing.most_workers} may be"
        return next(
            (f"{live[gate]} tasks of {gate} are out, and {most} may be" for gate, most in self.most.items() if live[gate] > most),
            "",
        )

    def _manage(self, what: Any, **arguments: Any) -> None:
        message = Manage(id=self.world.new_id(), what=what, arguments=arguments)
        peer = Peer("local", b"client", key=KeyRole.ADMIN)
        self.world.server.round.apply(lambda core, now: core.manage(peer, message, "", now))
        self.world.server.round.settle()
