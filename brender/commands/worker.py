"""The program brender-worker."""

import threading
from pathlib import Path

import click
import psutil

from brender.bus.address import MANAGER_PORT
from brender.commands.config import Configured
from brender.commands.lifeline import lifeline_option, watch_lifeline
from brender.commands.options import begin_logging, common, host_name, manager_addresses
from brender.commands.slots import run_slots
from brender.engines.attempt import Engine, InstantEngine
from brender.engines.devices import find_devices, gpu_is_likely
from brender.engines.room import LEAST
from brender.engines.warm import Warmth
from brender.model.devices import choose_devices, share_out
from brender.model.errors import BadInput
from brender.roles.policy import Policy
from brender.store.datafolder import DataFolder


@click.command("worker", cls=Configured, section="worker")
@common
@click.option(
    "--manager",
    envvar="BRENDER_MANAGER",
    show_default=f"the data folder's, else 127.0.0.1:{MANAGER_PORT}",
    help="The manager's address; several with commas between: the next is turned to when one is silent.",
)
@click.option(
    "--name", envvar="BRENDER_WORKER_NAME", default=host_name, show_default="this host's name", help="What it is called."
)
@click.option(
    "--blender",
    "blenders",
    multiple=True,
    envvar="BRENDER_BLENDER",
    help="A blender executable, or a Python with bpy. [default: what is found]",
)
@click.option("--tag", "tags", multiple=True, help="A tag that tasks may ask for.")
@click.option("--threads", type=click.IntRange(0, 1024), default=0, show_default=True, help="CPU threads for a render; 0: all.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="What Cycles renders on: auto (every GPU, else the CPU), cpu, or optix, cuda, hip, oneapi, metal, or one of these such "
    "as optix:0. [default: auto]",
)
@click.option(
    "--slots",
    metavar="N|auto",
    help="Run so many workers, which share the CPU's threads; auto: one for each GPU. [default: this one]",
)
@click.option(
    "--keep-warm",
    type=click.FloatRange(0, 1e6),
    default=Warmth.seconds,
    show_default=True,
    metavar="SECONDS",
    help="Keep Blender with its scene for so long when nothing renders; 0: close it after each task.",
)
@click.option(
    "--warm-frames",
    type=click.IntRange(0),
    default=Warmth.frames,
    show_default=True,
    help="Start Blender anew after so many frames; 0: never.",
)
@click.option(
    "--least-free",
    type=click.IntRange(0),
    metavar="MB",
    default=LEAST // 2**20,
    show_default=True,
    help="Take no task while a disk that it writes to has less free than this.",
)
@lifeline_option
def worker(
    data: Path,
    config: Path | None,
    verbose: bool,
    manager: str | None,
    name: str,
    blenders: tuple[str, ...],
    tags: tuple[str, ...],
    threads: int,
    devices: tuple[str, ...],
    slots: str | None,
    keep_warm: float,
    warm_frames: int,
    least_free: int,
    lifeline: bool,
) -> None:
    """Run a worker: it renders, one task at a time. Ctrl-C or SIGTERM lets it finish its task first; a second one does not."""
    from brender.engines.blender import BlenderEngine
    from brender.engines.blenders import find_blenders
    from brender.engines.command import CommandEngine
    from brender.roles.worker.loop import Setup, Worker

    begin_logging(verbose)
    folder = DataFolder(data)
    found = find_blenders(blenders)
    gpus = find_devices(found) if gpu_is_likely() or set(devices) - {"auto", "cpu"} else ()
    if slots is not None:
        if devices or threads:
            raise BadInput("--slots shares the machine out by itself: leave out --device and --threads, or start single workers")
        shares = share_out(slots, gpus, psutil.cpu_count() or 1)
        common_options = [
            *(word for path in blenders for word in ("--blender", path)),
            *(word for tag in tags for word in ("--tag", tag)),
            *(("--manager", manager) if manager else ()),
            *("--keep-warm", str(keep_warm), "--warm-frames", str(warm_frames), "--least-free", str(least_free)),
        ]
        ended = threading.Event()
        watch_lifeline(ended.set, lifeline)
        run_slots(name, shares, common_options, folder, config, ended)
        return
    chosen = choose_devices(devices, gpus)
    engines: dict[str, Engine | InstantEngine] = {
        "blender": BlenderEngine(Warmth(keep_warm, warm_frames)),
        "command": CommandEngine(),
    }
    setup = Setup(name, found, tags, threads, chosen, least_free * 2**20, engines)
    role = Worker(folder, manager_addresses(manager, folder), Policy(), setup)
    have = (
        ", ".join(blender.label for blender in found)
        or "no Blender, so it takes only command jobs; `brender doctor` says how to get one"
    )
    on = ", ".join(f"{device.label} ({device.name})" for device in chosen) or "the CPU"
    click.echo(f"brender-worker {name} has {have}" + (f", and renders on {on}" if found else ""))
    role.loop.on_signals(role.drain)
    watch_lifeline(role.stop, lifeline)
    role.run()
