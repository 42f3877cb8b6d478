"""How long a round of the server computes while a long job is planned, canceled, and queued again, with its database on disk.

    python -m benchmarks.sweeps [--quick]

One JSON line for each: the longest round and the median in milliseconds of the thread, whatever else the machine does.
No round should be over 50 ms.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import arguments, report
from brender.bus.messages import Act, Submit
from brender.farm.record import Row
from brender.model.keys import KeyRole
from brender.roles.effects import Peer
from brender.roles.policy import Policy
from brender.roles.server.collection import collect_a_step, collect_in_steps
from brender.store.database import open_for_writing
from tests.world import World, animation, new_id

_CLIENT = Peer("local", b"client", key=KeyRole.ADMIN)


class Quiet(World):
    """The tests' world, without the comparison of all entities with their rows."""

    def committed(self, rows: list[Row]) -> None:
        """Nobody listens."""


def rounds(world: World, is_over: Callable[[], bool]) -> list[float]:
    """The seconds that each round takes until *is_over*, sorted."""
    found = []
    while not is_over():
        world.now += 0.1
        began = time.thread_time()
        world.round.tick()
        found.append(time.thread_time() - began)
        collect_a_step()  # as the server does
    return sorted(found)


def main() -> None:
    frames = 50_000 if arguments(__doc__.splitlines()[0]).quick else 1_000_000
    collect_in_steps()
    with tempfile.TemporaryDirectory() as folder:
        world = Quiet(Policy(plan_ahead=2 * frames), open_for_writing(str(Path(folder) / "farm.db")))
        spec = animation(f"1-{frames}", chunk=1, paused=True)
        world.round.receive(_CLIENT, Submit(id=new_id(), job=spec))
        _say("planned", frames, rounds(world, lambda: world.server.farm.jobs[spec.id].planned == frames))
        world.policy = Policy()
        world.start_server()  # which has in memory what a server has
        rounds(world, lambda: world.server.farm.jobs[spec.id].queued >= world.policy.plan_ahead)
        for action, value in (("cancel", None), ("requeue", None)):
            began = time.thread_time()
            world.round.receive(_CLIENT, Act(id=new_id(), action=action, target=spec.id, value=value))  # type: ignore[arg-type]
            asked = time.thread_time() - began
            found = rounds(world, lambda: not any(job.sweeps for job in world.server.farm.jobs.values()))
            _say(f"{action} {value or ''}".strip(), frames, sorted([asked, *found]))


def _say(what: str, frames: int, found: list[float]) -> None:
    median = 1000 * found[len(found) // 2]
    report(f"{what}, {frames} frames: longest round", 1000 * found[-1], "ms", f"median {median:.1f} ms", found[-1] / 0.05)


if __name__ == "__main__":
    main()
