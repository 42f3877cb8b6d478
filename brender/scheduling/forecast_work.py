"""What a forecast of the queue is told of a job. Pure."""

from dataclasses import dataclass

from brender.scheduling.forecast_room import NOTHING, Claim
from brender.scheduling.gates import Gate


@dataclass(frozen=True)
class Work:
    """What is left of an open job.

    *tasks* that no worker has begun, each *seconds* of work at the speed 1, spread around that by a share of it (*spread*), as
    far as so many *known* parts tell (0: nobody knows how long a task takes); *kinds*: the kinds of workers that can take them;
    *after*: jobs that have to be done before, and *frames_of*: jobs of which it waits for one frame after the other, each of them
    not done now: of a job that is not forecast, nobody knows when it will be; *delay*: seconds until it may start; *most*:
    workers that may be at it, 0 for any number; *claim*: what each task takes of its machine; *gates*: what counts its tasks, and
    may have a limit; *project* and *user*: whose share of the farm it takes; *pool*: the one that it belongs to, or "";
    *rush* and *reclaims*: as in `brender.scheduling.terms.Demand`; *later*: further kinds of workers, each with the seconds after
    which it can take them.
    """

    job: str
    priority: int
    order: int
    tasks: int
    seconds: float
    kinds: frozenset[int]
    spread: float = 0.0
    known: int = 1
    after: frozenset[str] = frozenset()
    frames_of: frozenset[str] = frozenset()
    delay: float = 0.0
    most: int = 0
    claim: Claim = NOTHING
    gates: tuple[Gate, ...] = ()
    project: str = ""
    user: str = ""
    pool: str = ""
    rush: bool = False
    reclaims: bool = False
    later: tuple[tuple[int, float], ...] = ()
