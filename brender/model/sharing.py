"""What a job says of how it shares the farm with others."""

from collections.abc import Iterable

import msgspec

from brender.model.errors import BadInput
from brender.model.text import some_of

_NAME_LENGTH = 100
WORKERS_MOST = 10**6
CORES_MOST, GPU_MEMORY_MOST = 1024, 2**50


#: In place of a pool's name: none, although the job's project has one.
NO_POOL = "none"


class Sharing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job says of how it shares the farm with others."""

    most_workers: int = 0
    """So many of its tasks are given out at a time at most, and so at most so many workers render it; 0: any number."""
    licences: tuple[str, ...] = ()
    """The licences that each of its tasks takes one of."""
    pool: str = ""
    """The pool of workers that it belongs to, or ""."""
    reclaim_at_once: bool = False
    """Workers of its pool that others borrowed are given back at once, not after their present frame."""
    rush: bool = False
    """If no worker is free, a running task of lower priority gives way to one of its."""
    cores: int = 0
    """Each of its tasks reserves so many cores of its machine, and uses so many threads; 0: it reserves none."""
    gpu_memory: int = 0
    """Each of its tasks reserves so many bytes of the memory of its worker's GPUs; 0: it reserves none."""


def check_sharing(sharing: Sharing) -> None:
    """Raises `BadInput` where *sharing* makes no sense."""
    if not 0 <= sharing.most_workers <= WORKERS_MOST:
        raise BadInput(f"At most {sharing.most_workers} workers make no sense: give 1 or more, or leave out --most-workers")
    if not 0 <= sharing.cores <= CORES_MOST:
        raise BadInput(f"A task cannot reserve {sharing.cores} cores: give 1 to {CORES_MOST}, or leave out --cores")
    if not 0 <= sharing.gpu_memory <= GPU_MEMORY_MOST:
        raise BadInput(f"A task cannot reserve {sharing.gpu_memory} bytes of GPU memory: give a size such as 8GB")
    for name in sharing.licences:
        check_name(name, "licence")
    if len(set(sharing.licences)) < len(sharing.licences):
        raise BadInput("A licence is named twice: name each once")
    if sharing.pool:
        check_name(sharing.pool, "pool")
    if sharing.reclaim_at_once and not sharing.pool:
        raise BadInput("Only a job of a pool takes workers back: name it too, `--pool NAME --reclaim-at-once`")


def check_name(name: str, kind: str) -> str:
    """Return *name*, if a pool or licence (*kind*) may have it. Raises `BadInput`."""
    if not name or len(name) > _NAME_LENGTH or not name.isprintable() or name != name.strip() or "=" in name:
        raise BadInput(f"{name!r} is not the name of a {kind}: it is a word or a few, without an equals sign")
    return name


def pool_warnings(pool: str, pools: Iterable[str]) -> list[str]:
    """Return what to tell the submitter of a job of *pool*, where no worker is of it: a list, empty if one of *pools* is it."""
    there = sorted({each for each in pools if each})
    if not pool or pool in there:
        return []
    known = f"there are: {some_of(there)}" if there else "none is of any"
    return [f"No connected worker is of the pool {pool} ({known}): until one is, others render its jobs"]
