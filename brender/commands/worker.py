"""The program brender-worker."""

import logging
import threading
from pathlib import Path

import click
import psutil

from brender.commands.config import Configured
from brender.commands.jobspec import Size
from brender.commands.joining import join_as_node, join_option, managers_for, name_of_node, new_key_option, tell_of_unknown_hosts
from brender.commands.lifeline import Lifeline, lifeline_option
from brender.commands.options import NamedPath, cache_option, common, host_name, site_option
from brender.commands.role_logs import begin_logging, log_options, say_of_role
from brender.commands.serving import metrics_option, metrics_page, serve
from brender.commands.slots import run_slots
from brender.engines.attempt import Engine, InstantEngine
from brender.engines.confine import Sandbox, confinement
from brender.engines.devices import find_devices, gpu_is_likely
from brender.engines.disk_space import LEAST
from brender.engines.gpustats import smallest_memory
from brender.engines.warm import Warmth
from brender.jobs.declare import job_types
from brender.metrics.frame_traces import WorkerTraces
from brender.metrics.spans import spans
from brender.model.devices import choose_devices, share_out
from brender.model.errors import BadInput
from brender.model.keys import KeyRole
from brender.model.paths import check_site
from brender.model.sharing import check_name
from brender.roles.policy import Policy
from brender.store.datafolder import DataFolder
from brender.system.open_files import allow_many_files


@click.command("worker", cls=Configured, section="worker")
@common
@log_options
@metrics_option("worker")
@click.option(
    "--manager",
    envvar="BRENDER_MANAGER",
    show_default="those that the server knows",
    help="The manager's address. If you give several, separated by commas, the worker turns to the next when one is silent. "
    "Write NAME@ before an address if the manager NAME has another address itself.",
)
@click.option(
    "--name", envvar="BRENDER_WORKER_NAME", default=host_name, show_default="this host's name", help="The worker's name."
)
@click.option(
    "--blender",
    "blenders",
    multiple=True,
    envvar="BRENDER_BLENDER",
    help="A blender executable, or a Python with bpy. [default: what is found]",
)
@click.option("--tag", "tags", multiple=True, help="A tag that jobs can require. May be given several times.")
@click.option("--threads", type=click.IntRange(0, 1024), default=0, show_default=True, help="CPU threads of a render; 0: all.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="What Cycles renders on: auto (every GPU, or the CPU if there is none); cpu; every GPU of one kind (optix, cuda, hip, "
    "oneapi, metal); or one GPU, such as optix:0. [default: auto]",
)
@click.option(
    "--gpu-memory",
    type=Size(),
    help="The memory of each GPU, for jobs that reserve GPU memory. [default: what nvidia-smi says]",
)
@click.option(
    "--slots",
    metavar="N|auto",
    help="Run so many workers, which share the CPU's threads; auto: one for each GPU. [default: one worker]",
)
@click.option(
    "--keep-warm",
    type=click.FloatRange(0, 1e6),
    default=Warmth.seconds,
    show_default=True,
    metavar="SECONDS",
    help="Keep Blender open with its scene for so long when nothing renders; 0: close it after each task.",
)
@click.option(
    "--warm-frames",
    type=click.IntRange(0),
    default=Warmth.frames,
    show_default=True,
    help="Restart Blender after so many frames; 0: never.",
)
@click.option(
    "--least-free",
    type=click.IntRange(0),
    metavar="MB",
    default=LEAST // 2**20,
    show_default=True,
    help="Take no task while a disk that the worker writes to has less free space than this.",
)
@click.option(
    "--job-type", "types", multiple=True, help="Take only jobs of this type. May be given several times. [default: all]"
)
@click.option(
    "--allow-program",
    "programs",
    multiple=True,
    metavar="PATTERN",
    help="Let jobs run this program: a name on this machine's PATH, or an absolute path; * for any. [default: none]",
)
@click.option(
    "--yield-to-owner",
    is_flag=True,
    help="Pause while somebody works at this machine, by its input or the load of other programs; others render its tasks.",
)
@click.option(
    "--yield-minutes",
    type=click.FloatRange(0, 1e4, min_open=True),
    default=10.0,
    show_default=True,
    help="Go on so many minutes after the last sign of somebody.",
)
@click.option(
    "--accept-trusted",
    is_flag=True,
    help="Run scripts in the .blend of jobs that were submitted with --trusted, and add-ons of jobs.",
)
@site_option
@click.option("--pool", default="", help="The worker's pool: it renders jobs of this pool first, and others when that has none.")
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "bubblewrap", "none"]),
    default="none",
    show_default=True,
    help="Render in a sandbox, without network and with the allowed folders only; auto: if there is bubblewrap.",
)
@click.option(
    "--allow-folder",
    "roots",
    multiple=True,
    type=NamedPath(),
    help="Use only files and outputs of jobs below this folder. May be given several times. A sandbox needs one. [default: any]",
)
@click.option(
    "--sandbox-read",
    "readable",
    multiple=True,
    type=NamedPath(),
    help="Let renders in the sandbox also read this folder, such as a library's. May be given several times.",
)
@click.option(
    "--limit-memory",
    type=click.IntRange(0),
    default=0,
    metavar="MB",
    help="End an attempt that uses more memory than this. [default: no limit]",
)
@cache_option
@join_option
@new_key_option
@lifeline_option
def worker(
    data: Path,
    config: Path | None,
    verbose: bool,
    log_format: str,
    metrics: str,
    manager: str | None,
    name: str,
    blenders: tuple[str, ...],
    tags: tuple[str, ...],
    threads: int,
    devices: tuple[str, ...],
    gpu_memory: int | None,
    slots: str | None,
    keep_warm: float,
    warm_frames: int,
    least_free: int,
    types: tuple[str, ...],
    programs: tuple[str, ...],
    accept_trusted: bool,
    site: str,
    pool: str,
    sandbox: Sandbox,
    roots: tuple[Path, ...],
    readable: tuple[Path, ...],
    limit_memory: int,
    cache: float,
    yield_to_owner: bool,
    yield_minutes: float,
    join: str | None,
    new_key: bool,
    lifeline: bool,
) -> None:
    """Run a worker: it renders one task at a time. Ctrl-C or SIGTERM lets it finish its task first; a second one ends it at
    once."""
    from brender.engines.blender import BlenderEngine
    from brender.engines.blenders import search_blenders
    from brender.engines.command import CommandEngine
    from brender.roles.worker.loop import Worker
    from brender.roles.worker.setup import Setup

    folder = DataFolder(data)
    if not slots:
        name = name_of_node(folder, KeyRole.WORKER, name, join)
    begin_logging(verbose, log_format, "worker", name)
    allow_many_files()  # a still of a thousand pieces is merged with all of them open
    lifeline_end = Lifeline(lifeline)
    if unknown := set(types) - job_types().keys():
        raise BadInput(f"--job-type: there is no job type {', '.join(sorted(unknown))}; there are: {', '.join(job_types())}")
    kept = confinement(sandbox, limit_memory * 2**20, readable, roots, folder.root)
    if not slots:
        tell_of_unknown_hosts(folder, name, manager)  # to find out about Blenders and devices takes a while
    page = None if slots else metrics_page(metrics, "worker", data)
    search = search_blenders(blenders)
    found = search.found
    gpus = find_devices(found) if gpu_is_likely() or set(devices) - {"auto", "cpu"} else ()
    if slots:  # ("" in the words of one slot: the settings file may name slots for all)
        if devices or threads:
            raise BadInput("--slots divides the machine itself: leave out --device and --threads, or start single workers")
        shares = share_out(slots, gpus, psutil.cpu_count() or 1)
        common_options = [
            *(word for path in blenders for word in ("--blender", path)),
            *(word for tag in tags for word in ("--tag", tag)),
            *(("--manager", manager) if manager else ()),
            *(("--new-key",) if new_key else ()),
            *(word for kind in types for word in ("--job-type", kind)),
            *(word for program in programs for word in ("--allow-program", program)),
            *(("--accept-trusted",) if accept_trusted else ()),
            *(("--yield-to-owner", "--yield-minutes", str(yield_minutes)) if yield_to_owner else ()),
            *(("--site", site) if site else ()),
            *(("--pool", pool) if pool else ()),
            *(("--gpu-memory", f"{gpu_memory / 1e9:.6f}GB") if gpu_memory else ()),
            *("--log-format", log_format),
            *("--sandbox", sandbox, "--limit-memory", str(limit_memory)),
            *(word for path in roots for word in ("--allow-folder", str(path))),
            *(word for path in readable for word in ("--sandbox-read", str(path))),
            *(
                "--cache",
                str(cache),
                "--keep-warm",
                str(keep_warm),
                "--warm-frames",
                str(warm_frames),
                "--least-free",
                str(least_free),
            ),
        ]
        ended = threading.Event()
        lifeline_end.ends(ended.set)
        run_slots(name, shares, common_options, folder, config, ended, join, metrics)
        return
    chosen = choose_devices(devices, gpus)
    engines: dict[str, Engine | InstantEngine] = {
        "blender": BlenderEngine(Warmth(keep_warm, warm_frames)),
        "command": CommandEngine(),
    }
    membership = join_as_node(folder, KeyRole.WORKER, name, join, None, new_key)
    membership, managers = managers_for(membership, name, manager, lambda: join_as_node(folder, KeyRole.WORKER, name, join, None))
    setup = Setup(
        name,
        found,
        tags,
        threads,
        chosen,
        least_free * 2**20,
        membership.proof,
        types,
        programs,
        accept_trusted,
        check_site(site),
        kept,
        engines,
        search.passed_over,
        yield_minutes * 60 if yield_to_owner else 0.0,
        check_name(pool, "pool") if pool else "",
        smallest_memory(chosen) if gpu_memory is None else gpu_memory,
    )
    traces = WorkerTraces(made, name) if (made := spans("worker", name)) is not None else None
    role = Worker(folder, managers, Policy(cache_bytes=int(cache * 1e9)), setup, traces)
    have = (
        ", ".join(blender.label for blender in found)
        or "no Blender, so it takes only command jobs; `brender doctor` says how to get one"
    )
    on = ", ".join(f"{device.label} ({device.name})" for device in chosen) or "the CPU"
    say_of_role(f"brender-worker {name} has {have}" + (f", and renders on {on}" if found else ""))
    for sentence in search.passed_over:
        logging.getLogger("brender.worker").warning("%s", sentence)
    serve(role.loop, role.drain, lifeline, f"renders with {have}", page, role.snapshot)
    lifeline_end.ends(role.stop)
    role.run()
    if role.again:
        lifeline_end.start_again()
