"""What a worker says of itself: its machine, its Blenders, its slot."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from brender.model.addon import AddOn
from brender.model.devices import Device
from brender.model.errors import BadInput
from brender.model.field_types import Count, Number
from brender.model.obstacle import IT, IT_HAS, Obstacle, short_name
from brender.model.text import harmless

_SERIES = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


#: How the reason begins for which a worker pauses that steps back for its machine's owner.
OWNERS_USE = "its owner uses the machine"
#: The same where they said for how long (`brender pause-here`).
GIVEN_BACK = f"{OWNERS_USE} until "


class Standing(StrEnum):
    """Whether a node begins anything new, as it says itself."""

    OPEN = "open"
    PAUSED = "paused"
    """Something is missing, such as room on its disk; it goes on by itself once that is there."""
    DRAINING = "draining"
    """It finishes what runs and leaves."""


class Blender(msgspec.Struct, frozen=True):
    """A Blender that a worker can start.

    ``kind`` is ``bpy`` (a Python with the bpy package: ``path`` is that interpreter) or ``executable``. ``file_subversion``
    counts the changes of the file format within its series (``bpy.app.version_file``); ``None`` is not known.
    """

    kind: str
    path: str
    version: tuple[int, int, int]
    file_subversion: Count | None = None

    @property
    def label(self) -> str:
        dotted = ".".join(map(str, self.version))
        return f"bpy {dotted}" if self.kind == "bpy" else f"Blender {dotted}"


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's slot, as it introduces itself. Memory in bytes."""

    id: str
    incarnation: Count
    connection: Count = 0
    """Counts its turns to another manager, so that the server knows which one it turned to last."""
    name: str
    host: str = ""
    platform: str = ""
    software: str = ""
    pid: Count = 0
    cores: Count = 0
    memory: Count = 0
    blenders: tuple[Blender, ...] = ()
    devices: tuple[Device, ...] = ()
    """The GPUs that Cycles renders on; none: the CPU."""
    tags: frozenset[str] = frozenset()
    job_types: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    """The programs that its owner lets command jobs run (`allows_program`)."""
    takes_trusted: bool = False
    """Its owner lets trusted jobs run the scripts in their .blend."""
    takes_addons: bool = False
    """Its owner lets jobs run add-ons, and it knows how to."""
    site: str = ""
    """Where it stands, for the paths that differ from site to site (brender.model.paths)."""
    folders: tuple[str, ...] = ()
    """The folders below which its owner lets jobs' files and outputs lie; none: anywhere."""
    readable: tuple[str, ...] = ()
    """Where a job's files may lie besides, where there are such folders."""
    pool: str = ""
    """The pool that it belongs to: it prefers that one's jobs, and helps others while there are none, or ""."""
    gpu_memory: Count = 0
    """The bytes of memory that each of its GPUs has, the smallest of several; 0: it has none, or that is not known."""

    mac: str = ""
    """The MAC address of the network interface that its machine is reached by, for waking it, or "" if that is not known."""

    @property
    def registration(self) -> tuple[int, int]:
        """Grows with every start of the worker and with every turn to another manager."""
        return self.incarnation, self.connection


def allows_program(worker: WorkerInfo, program: str) -> bool:
    """Return whether *worker* may run *program*. What its owner allows are patterns (as of a shell, ``*`` for any); one
    without a slash is the name of a program on the worker's own PATH, and no path's ending."""
    return any(
        pattern == "*" or (".." not in program and fnmatchcase(program, pattern) and ("/" in program) == ("/" in pattern))
        for pattern in worker.programs
    )


def forbidden(
    worker: WorkerInfo, program: str, trusted: bool, addons: bool = False, site_addons: bool = False
) -> Obstacle | None:
    """Return why the owner of *worker* does not let it run a task that starts *program* ("": Blender), is *trusted*, or has
    *addons*, of which some are the farm's (*site_addons*); ``None`` where it may."""
    without = "submit the job without add-ons" + (" (`--no-site-addons` leaves out the farm's)" if site_addons else "")
    if program and not allows_program(worker, program):
        shown = short_name(program)
        option = f"`--allow-program {shlex.quote(harmless(program))}`"
        return Obstacle(
            f"does not allow the program {shown}" if worker.programs else "allows no programs",
            f"do not allow the program {shown}",
            f"add {option} to those that {IT_HAS}" if worker.programs else f"start {IT} with {option}",
        )
    if trusted and not worker.takes_trusted:
        return Obstacle(
            "does not run the scripts inside a .blend",
            "do not run the scripts inside a .blend",
            f"start {IT} with `--accept-trusted`, or submit the job with `--untrusted`",
        )
    if addons and not worker.takes_addons and worker.takes_trusted:
        return Obstacle(
            "has a version of brender that runs no add-ons",
            "have a version of brender that runs no add-ons",
            f"install the farm's version there, or {without}",
        )
    if addons and not worker.takes_addons:
        return Obstacle(
            "does not run the add-ons of jobs",
            "do not run the add-ons of jobs",
            f"start {IT} with `--accept-trusted`, or {without}",
        )
    return None


def reads_all(blender: Blender, saved_by: tuple[int, int]) -> bool:
    """Return whether *blender* reads everything in a file saved by version *saved_by*: it is not older than that."""
    return blender.version[:2] >= saved_by


def can_open(blender: Blender, saved_by: tuple[int, int], oldest: tuple[int, int, int] | None = None) -> bool:
    """Return whether *blender* opens a file saved by version *saved_by* that names *oldest* as the oldest Blender to open it.

    Blender decides by the same rule: it opens every older file, and a newer one if that one's word lets it, with a warning that
    data may be lost. Where the word is not known (``None``), a newer file counts as one that it cannot open.
    """
    if reads_all(blender, saved_by):
        return True
    if oldest is None or blender.version[:2] < oldest[:2]:
        return False
    return blender.version[:2] > oldest[:2] or blender.file_subversion is None or blender.file_subversion >= oldest[2]


def can_open_with(series: tuple[int, int], saved_by: tuple[int, int], oldest: tuple[int, int, int] | None) -> bool:
    """Return whether Blenders of *series* may be able to open a file saved by version *saved_by*, likewise."""
    return can_open(Blender("", "", (*series, 0)), saved_by, oldest)


def choose_blender(
    blenders: Iterable[Blender],
    saved_by: tuple[int, int],
    oldest: tuple[int, int, int] | None = None,
    series: tuple[int, int] | None = None,
    addons: Iterable[AddOn] = (),
) -> Blender | None:
    """Return the Blender for a file saved by *saved_by* that names *oldest* as the oldest one to open it: of the same series if
    there is one, else the newest; ``None`` if none can open it. *series*: only one of that series will do; *addons*: only
    one that takes them."""
    able = [blender for blender in blenders if can_open(blender, saved_by, oldest) and _takes(addons, blender)]
    if series is not None:
        able = [blender for blender in able if blender.version[:2] == series]
    same = [blender for blender in able if blender.version[:2] == saved_by]
    return max(same or able, key=lambda blender: blender.version, default=None)


def choose_series(
    workers: Iterable[tuple[Iterable[Blender], int]],
    saved_by: tuple[int, int],
    oldest: tuple[int, int, int] | None = None,
    addons: Iterable[AddOn] = (),
) -> tuple[int, int] | None:
    """Return the series of Blender that renders all of a job, whose file *saved_by* saved; ``None`` where no Blender opens it
    that takes *addons*.

    *workers*: the Blenders of each kind of worker, and how many workers there are of it. The file's own series comes first; then
    that which most workers have of those that read all of the file, the newest of several; then the newest that opens it.
    """
    counts: Counter[tuple[int, int]] = Counter()
    for blenders, number in workers:
        able = (blender for blender in blenders if can_open(blender, saved_by, oldest) and _takes(addons, blender))
        for series in {blender.version[:2] for blender in able}:
            counts[series] += number
    counts = +counts
    if saved_by in counts:
        return saved_by
    newer = {series: count for series, count in counts.items() if series > saved_by}
    return max(newer, key=lambda series: (newer[series], series)) if newer else max(counts, default=None)


def _takes(addons: Iterable[AddOn], blender: Blender) -> bool:
    return all(addon.takes(blender.version) for addon in addons)


def read_series(text: str) -> tuple[int, int]:
    """Return the series of Blender that *text* names, such as 4.5. Raises `BadInput`."""
    if not _SERIES.fullmatch(text):
        raise BadInput(f"{text!r} is not a series of Blender: write it as 4.5")
    major, minor = text.split(".")
    return int(major), int(minor)


def dotted(version: tuple[int, ...]) -> str:
    """Return *version* as people write it: ``4.5``."""
    return ".".join(map(str, version))


def machine_tags(system: str, machine: str) -> frozenset[str]:
    """Return the tags that a worker has by its machine, as Python's module platform names it.

    >>> sorted(machine_tags("Darwin", "arm64")), sorted(machine_tags("Windows", "AMD64"))
    (['arm64', 'macos'], ['windows', 'x86_64'])
    """
    family = {"darwin": "macos"}.get(system.lower(), system.lower())
    kind = {"amd64": "x86_64", "aarch64": "arm64"}.get(machine.lower(), machine.lower())
    return frozenset({family, kind}) - {""}


def tags_of(blenders: Iterable[Blender]) -> frozenset[str]:
    """Return the tags that a worker has by its Blenders: ``blender-5.0`` and ``blender-bpy`` or ``blender-executable``."""
    found = set()
    for blender in blenders:
        found |= {f"blender-{blender.version[0]}.{blender.version[1]}", f"blender-{blender.kind}"}
    return frozenset(found)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What psutil says of a machine and of the render process's tree. Percent of all cores together (0–100), bytes,
    bytes per second."""

    cpu_percent: Number = 0.0
    load: Number = 0.0
    """The one-minute load average."""
    memory_used: Count = 0
    memory_total: Count = 0
    disk_free: Count = 0
    disk_read: Number = 0.0
    disk_written: Number = 0.0
    network_received: Number = 0.0
    network_sent: Number = 0.0
    render_cpu_percent: Number = 0.0
    """Of one core, so that four busy threads are 400."""
    render_memory: Count = 0
    render_processes: Count = 0
    gpu_percent: Number = 0.0
    """Of all NVIDIA GPUs, in the mean."""
    gpu_memory_used: Count = 0
    gpu_memory_total: Count = 0
    """0 where no GPU is seen."""
    render_silent: Number = 0.0
    """Seconds for which the running attempt has shown no progress."""
    render_idle: Number = 0.0
    """Seconds for which the render process's tree has computed next to nothing, nor its GPU, where it renders on one."""
    power: Number = 0.0
    """Watts of the processors and GPUs of the machine, as far as it tells them; 0: it does not."""
