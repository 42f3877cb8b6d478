"""The memory that this process may use: the machine's, or that of its control group (a container, a service) where it is less."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

#: In a control group's folder: its limit, what it uses, and what of that is cached files that the kernel gives up, in version 2
#: and 1 (Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
_VERSION_2 = ("memory.max", "memory.current", ("inactive_file", "active_file"))
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory: all that there is for this process, and what of it is free for use."""

    total: int
    available: int


def read_memory(own_groups: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")) -> Memory:
    """Return the memory of this machine, or of the tightest control group that this process is in."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    for folder, names in _folders(own_groups, groups):
        limit, used, cached = _of_group(folder, *names)
        if limit is not None and limit < machine.total:
            total, available = min(total, limit), min(available, max(0, limit - used + min(cached, used)))
    return Memory(total, available)


def _folders(own_groups: Path, groups: Path) -> Iterator[tuple[Path, tuple[str, str, tuple[str, str]]]]:
    """Yield the folders of the control groups of this process that may limit its memory, and the files that these have."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" or "memory" in controllers.split(","):
            top, names = (groups, _VERSION_2) if number == "0" else (groups / "memory", _VERSION_1)
            own = top / path.lstrip("/")  # in a container it may be what the host calls it, which is not there
            yield from ((folder, names) for folder in (own, *own.parents) if folder == top or top in folder.parents)


def _of_group(folder: Path, limit: str, used: str, cached: tuple[str, str]) -> tuple[int | None, int, int]:
    try:
        most = (folder / limit).read_text().strip()
        if most == "max":
            return None, 0, 0
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(most), int((folder / used).read_text()), sum(int(counts.get(each, 0)) for each in cached)
    except (OSError, ValueError):
        return None, 0, 0
