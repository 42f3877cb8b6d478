"""The intent of a sweep (`brender.farm.sweeps`), as it stands in its job's row. Pure."""

from typing import Literal

import msgspec


class Sweep(msgspec.Struct, frozen=True):
    """What is still to be done to the tasks of a job after number ``cursor``.

    ``cancel`` is about all that has not ended. ``leave-out`` is about parts whose frames are no longer of the job. ``requeue`` is
    about tasks and parts that have one of ``statuses``, and of them only about ``frames`` (``None``: all of them, and then those
    are queued too whose task still runs), and about all that is made of what it has queued so far: ``count`` parts in the
    ``stages``. ``user``: who asked for it.
    """

    what: Literal["cancel", "requeue", "leave-out"]
    cursor: int = -1
    statuses: tuple[str, ...] = ()
    frames: tuple[int, ...] | None = None
    count: int = 0
    user: str = ""
    stages: tuple[str, ...] = ()
    renames: bool = False
    """All parts get the files that their job, which was edited, now has for them."""
    keeps: tuple[str, ...] = ()
    """Stages of which what is completed stays so."""
    of_edit: bool = False
    """An edit asked for it: what is done would look otherwise. So it is done although the job ends meanwhile."""
