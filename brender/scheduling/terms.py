"""The values that the scheduler works with: what a job wants, what a worker holds, and what is decided. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from brender.model.job import Requirements
from brender.model.obstacle import Obstacle
from brender.model.paths import PathVariable
from brender.model.text import short_id

#: Seconds of work that a slot may hold beyond what it runs, and the most grants that this may be.
PREFETCH_SECONDS = 2.0
PREFETCH_MOST = 512
#: What is said of a worker that does without a job for a while, before the command that ends that.
TRIED_AGAIN = "it is tried again after a while, and at once after"

#: Seconds that a task is taken to need while nothing is known of its job.
UNKNOWN_SECONDS = 60.0

#: Why a worker takes nothing, or not what needs it, beside others on its machine.
NOT_ALONE = Obstacle(
    "is on a machine where a frame that ran out of memory beside others is to be rendered alone",
    "are on machines where a frame that ran out of memory beside others is to be rendered alone",
    "it waits until what is rendered there is done",
)
#: Why a worker takes nothing else, until such a frame has begun, or one that reserves much of its machine.
KEPT_FREE = Obstacle(
    "is on a machine that is kept free for a frame that needs more of it than was free at once",
    "are on machines that are kept free for frames that need more of them than was free at once",
    "it waits until these have been rendered there",
)


@dataclass(slots=True)
class Demand:
    """What an open job wants.

    ``order`` is its age, ``live`` the number of its attempts, ``queued`` the number of its tasks that wait for a worker,
    ``mean_seconds`` the time that a task of it takes (``None``: not known yet), ``kept_off`` the ids of the workers that it no
    longer goes to, ``memory`` the bytes that a frame of it needed (0: not known), ``paths`` the path variables, if it needs any,
    ``put_off`` those of ``kept_off`` that it does not go to for a while only, with why not, as a sentence. ``alone``: a frame of
    it ran out of memory beside others, and it now renders where no other slot of the machine does. ``project`` and ``user`` are
    those whose shares of the farm it takes. ``most``: so many attempts of it may be live at most; 0: any number. ``rush``: where
    no worker is free, what is less urgent gives way; ``reclaims``: the same at the workers of its pool, for others' tasks.
    ``files`` are those of its scene, by a name that later versions of them have too, and ``scene`` is this version; "" for none.
    ``why_most``: why ``most`` is less than its submitter asked for, as a sentence; "" if it is not.
    """

    job: str
    priority: int
    order: int
    live: int
    queued: int
    need: Requirements
    mean_seconds: float | None = None
    kept_off: Collection[str] = ()
    memory: int = 0
    paths: tuple[PathVariable, ...] = ()
    put_off: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    project: str = ""
    user: str = ""
    most: int = 0
    rush: bool = False
    reclaims: bool = False
    files: str = ""
    scene: str = ""
    why_most: str = ""

    @property
    def reserves(self) -> bool:
        """Whether its tasks reserve cores or GPU memory."""
        return self.need.reserves

    @property
    def expected_seconds(self) -> float:
        """The seconds that a task of it is taken to need."""
        return UNKNOWN_SECONDS if self.mean_seconds is None else self.mean_seconds

    @property
    def wants_more(self) -> bool:
        """Whether a task of it waits that its own limit lets be given out."""
        return self.queued > 0 and (not self.most or self.live < self.most)

    @property
    def is_tiny(self) -> bool:
        """Whether its tasks are so short that more than one of them may wait at a slot."""
        return self.mean_seconds is not None and self.mean_seconds <= PREFETCH_SECONDS / 2

    def exception(self, worker: str, free: int | None, beside: bool = False) -> Obstacle | None:
        """Return why the worker with this id cannot run its tasks although others like it could; ``None`` where it can.

        *free*: the bytes of memory that a render could have there, less those that others on its machine will need; *beside*:
        there are such.
        """
        if worker in self.put_off:
            why = self.put_off[worker]
            remedy = f"{TRIED_AGAIN} `brender readmit {short_id(self.job)}`"
            return Obstacle(f"cannot run it now ({why})", f"cannot run it now ({why})", remedy)
        if worker in self.kept_off:
            remedy = f"`brender readmit {short_id(self.job)}` allows another try"
            return Obstacle("failed it before", "failed it before", remedy)
        if self.memory and free is not None and free < self.memory:
            needed = f"{self.memory / 1e9:.1f} GB"
            others = " beside what others on that machine need" if beside else ""
            return Obstacle(
                f"has {max(0, free) / 1e9:.1f} GB of memory free{others}, and a frame of it needed {needed}",
                f"have less memory free than the {needed} that a frame of it needed",
                f"close what else runs there, or start a worker where {needed} are free",
            )
        return None

    def prefetch_depth(self, width: int) -> int:
        """Return how many of its grants may wait at a slot: one, or as many tiny ones as make `PREFETCH_SECONDS` of work, unless
        others of the *width* slots could run them."""
        if self.mean_seconds is None:
            return 1
        tiny = min(PREFETCH_MOST, int(PREFETCH_SECONDS / max(self.mean_seconds, 0.001)))
        return max(1, min(tiny, self.queued // max(1, width)))


class Held(NamedTuple):
    """A grant that a slot holds and has not begun. ``recalling``: it has been asked back."""

    attempt: str
    job: str
    priority: int
    recalling: bool = False


@dataclass(frozen=True, slots=True)
class Take:
    """The slot of *worker* takes the next task of *job*."""

    worker: str
    job: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The grant *attempt*, not started at *worker*, is asked back."""

    worker: str
    attempt: str
