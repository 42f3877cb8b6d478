"""What a worker is started with, and what it says of itself for that."""

import os
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from brender import __version__
from brender.engines.attempt import Engine, InstantEngine
from brender.engines.blender import BlenderEngine
from brender.engines.command import CommandEngine
from brender.engines.confine import Confinement
from brender.engines.disk_space import LEAST
from brender.jobs.declare import job_types
from brender.model.devices import Device, device_tags
from brender.model.nodes import Blender, WorkerInfo, machine_tags, tags_of
from brender.roles.identity import next_incarnation, node_id
from brender.system.memory import read_memory
from brender.system.network import mac_address


@dataclass(frozen=True)
class Setup:
    """What a worker is started with. ``threads``: CPU threads for a render, 0 for all. ``devices``: GPUs that Cycles renders
    on, none for the CPU. ``proof``: the secret that it shares with the server (brender.model.keys). ``least_free``: bytes that
    must be free on its disks. ``job_types``, ``programs`` and ``takes_trusted``: what its owner allows, all job types where
    none is named; ``site``: where it stands; ``confinement``: how renders are kept. ``engines``: which of its engines runs
    what, by the word that job types use. ``remarks``: what its owner should know of it, such as a Blender that does not work.
    ``yield_seconds``: it steps back while its machine's owner works there, and for so long after (0: it does not).
    ``pool``: the pool that it belongs to; ``gpu_memory``: the bytes of memory that each of its GPUs has, 0 if not known."""

    name: str
    blenders: Sequence[Blender] = ()
    tags: Sequence[str] = ()
    threads: int = 0
    devices: Sequence[Device] = ()
    least_free: int = LEAST
    proof: str = ""
    job_types: Sequence[str] = ()
    programs: Sequence[str] = ()
    takes_trusted: bool = False
    site: str = ""
    confinement: Confinement = field(default_factory=Confinement)
    engines: Mapping[str, Engine | InstantEngine] = field(
        default_factory=lambda: {"blender": BlenderEngine(), "command": CommandEngine()}
    )
    remarks: Sequence[str] = ()
    yield_seconds: float = 0.0
    pool: str = ""
    gpu_memory: int = 0


def introduced(setup: Setup, own: Path) -> WorkerInfo:
    """Return what the worker with the folder *own* says of itself to its manager, at a new start."""
    able = {
        kind.name
        for kind in job_types().values()
        if kind.engine in setup.engines
        and (kind.engine != "blender" or setup.blenders)
        and (kind.engine != "command" or setup.programs)
        and (kind.name in setup.job_types or not setup.job_types)
    }
    return WorkerInfo(
        id=node_id(own),
        incarnation=next_incarnation(own),
        name=setup.name,
        host=socket.gethostname(),
        platform=platform.platform(terse=True),
        software=__version__,
        pid=os.getpid(),
        cores=psutil.cpu_count() or 1,
        memory=read_memory().total,
        blenders=tuple(setup.blenders),
        devices=tuple(setup.devices),
        tags=frozenset(setup.tags)
        | machine_tags(platform.system(), platform.machine())
        | tags_of(setup.blenders)
        | device_tags(setup.devices),
        job_types=frozenset(able),
        programs=frozenset(setup.programs),
        takes_trusted=setup.takes_trusted,
        takes_addons=setup.takes_trusted,
        site=setup.site,
        folders=setup.confinement.folders,
        readable=tuple(dict.fromkeys(map(str, setup.confinement.readable))),
        pool=setup.pool,
        mac=mac_address(),
        gpu_memory=setup.gpu_memory,
    )
