"""The programs of the roles: brender-server, brender-manager, brender-worker, brender-dashboard, brender-monitor."""

import os
import platform
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from brender.bus.address import DASHBOARD_PORT, MANAGER_PORT, SERVER_PORT, ManagerAddresses, ServerAddresses, resolve_loopback
from brender.commands.config import Configured, run
from brender.commands.options import begin_logging, common, listen_address, manager_addresses, server_addresses, server_option
from brender.engines.room import LEAST
from brender.roles.policy import Policy
from brender.store.datafolder import DataFolder

_lifeline = click.option("--lifeline", is_flag=True, hidden=True, help="End when standard input does.")
_port_base = click.option(
    "--port-base", type=click.IntRange(0, 65535), help="The first port; the others lie beside it. 0: any free ports."
)


def _host_name() -> str:
    return platform.node() or "brender"


@click.command("server", cls=Configured, section="server")
@common
@click.option("--listen", envvar="BRENDER_SERVER_LISTEN", default="127.0.0.1", show_default=True, help="HOST or HOST:PORT.")
@_port_base
@click.option(
    "--database", envvar="BRENDER_DATABASE", help="A database file or postgresql:// URL, instead of the data folder's own."
)
@click.option(
    "--lease",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="Seconds of silence after which a node is lost.",
)
@click.option("--only-job", default="", hidden=True)
@_lifeline
def server(
    data: Path,
    config: Path | None,
    verbose: bool,
    listen: str,
    port_base: int | None,
    database: str | None,
    lease: float,
    only_job: str,
    lifeline: bool,
) -> None:
    """Run a server: it owns the database and decides who renders what."""
    from brender.roles.server.loop import Server

    begin_logging(verbose)
    addresses = ServerAddresses.of(listen_address(listen, port_base, SERVER_PORT))
    role = Server(DataFolder(data), addresses, replace(_policy(lease), only_job=only_job), database or "")
    click.echo(f"brender-server listens on {role.addresses.control}, its record is {role.database}")
    role.loop.on_signals(role.stop)
    _watch_lifeline(role.stop, lifeline)
    role.run()


@click.command("manager", cls=Configured, section="manager")
@common
@click.option("--listen", envvar="BRENDER_MANAGER_LISTEN", default="127.0.0.1", show_default=True, help="HOST or HOST:PORT.")
@_port_base
@server_option
@click.option(
    "--name", envvar="BRENDER_MANAGER_NAME", default=_host_name, show_default="this host's name", help="What it is called."
)
@click.option(
    "--lease",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="Seconds of silence after which a worker is lost.",
)
@_lifeline
def manager(
    data: Path,
    config: Path | None,
    verbose: bool,
    listen: str,
    port_base: int | None,
    server: str | None,
    name: str,
    lease: float,
    lifeline: bool,
) -> None:
    """Run a manager: it stands between the server and the workers of one site. Ctrl-C or SIGTERM lets its workers finish first;
    a second one does not."""
    from brender.roles.manager.loop import Manager

    begin_logging(verbose)
    folder = DataFolder(data)
    addresses = ManagerAddresses.of(listen_address(listen, port_base, MANAGER_PORT))
    role = Manager(folder, addresses, server_addresses(server, folder), _policy(lease), name)
    click.echo(f"brender-manager {name} listens on {role.addresses.control}")
    role.loop.on_signals(role.drain)
    _watch_lifeline(role.stop, lifeline)
    role.run()


@click.command("worker", cls=Configured, section="worker")
@common
@click.option(
    "--manager",
    envvar="BRENDER_MANAGER",
    show_default=f"the data folder's, else 127.0.0.1:{MANAGER_PORT}",
    help="The manager's address; several with commas between: the next is turned to when one is silent.",
)
@click.option(
    "--name", envvar="BRENDER_WORKER_NAME", default=_host_name, show_default="this host's name", help="What it is called."
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
    "--least-free",
    type=click.IntRange(0),
    metavar="MB",
    default=LEAST // 2**20,
    show_default=True,
    help="Take no task while a disk that it writes to has less free than this.",
)
@_lifeline
def worker(
    data: Path,
    config: Path | None,
    verbose: bool,
    manager: str | None,
    name: str,
    blenders: tuple[str, ...],
    tags: tuple[str, ...],
    threads: int,
    least_free: int,
    lifeline: bool,
) -> None:
    """Run a worker: it renders, one task at a time. Ctrl-C or SIGTERM lets it finish its task first; a second one does not."""
    from brender.engines.blenders import find_blenders
    from brender.roles.worker.loop import Setup, Worker

    begin_logging(verbose)
    folder = DataFolder(data)
    found = find_blenders(blenders)
    setup = Setup(name, found, tags, threads, least_free * 2**20)
    role = Worker(folder, manager_addresses(manager, folder), Policy(), setup)
    have = (
        ", ".join(blender.label for blender in found)
        or "no Blender, so it takes only command jobs; `brender doctor` says how to get one"
    )
    click.echo(f"brender-worker {name} has {have}")
    role.loop.on_signals(role.drain)
    _watch_lifeline(role.stop, lifeline)
    role.run()


@click.command("dashboard", cls=Configured, section="dashboard")
@common
@click.option("--listen", envvar="BRENDER_DASHBOARD_LISTEN", default="127.0.0.1", show_default=True, help="HOST or HOST:PORT.")
@_port_base
@server_option
@click.option("--database", envvar="BRENDER_DATABASE", help="The server's database, if it is not in the data folder.")
@_lifeline
def dashboard(
    data: Path,
    config: Path | None,
    verbose: bool,
    listen: str,
    port_base: int | None,
    server: str | None,
    database: str | None,
    lifeline: bool,
) -> None:
    """Serve the dashboard, the farm's web page."""
    from dashboard.serve import Dashboard

    begin_logging(verbose)
    folder = DataFolder(data)
    address = resolve_loopback(listen_address(listen, port_base, DASHBOARD_PORT), "The dashboard's address", exact=True)
    ask = resolve_loopback(server_addresses(server, folder).control, "The server's address")
    role = Dashboard(folder, address, ask, database or "")
    click.echo(f"brender-dashboard is at {role.url}")
    _watch_lifeline(role.stop, lifeline)
    role.run()


@click.command("monitor", cls=Configured, section="monitor")
@common
@server_option
@click.option("--plain", is_flag=True, help="Print each event as a line of JSON instead of drawing a screen.")
def monitor(data: Path, config: Path | None, verbose: bool, server: str | None, plain: bool) -> None:
    """Watch what passes on the event bus, and every node's statistics."""
    from brender.monitor.live import watch

    addresses = server_addresses(server, DataFolder(data))
    watch(resolve_loopback(addresses.events, "The server's address"), plain)


def _policy(lease: float) -> Policy:
    """The default policy, with its other times in proportion to the *lease*."""
    share = min(1.0, lease / Policy.lease)
    return Policy(
        lease=lease,
        heartbeat=Policy.heartbeat * share,
        suspicion=Policy.suspicion * share,
        resend=max(0.5, Policy.resend * share),
    )


def _watch_lifeline(stop: Callable[[], None], lifeline: bool) -> None:
    """End with the program that started this one, however that ends: its end of the pipe closes."""
    if not lifeline:
        return

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        stop()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def server_main() -> None:
    run(server)


def manager_main() -> None:
    run(manager)


def worker_main() -> None:
    run(worker)


def dashboard_main() -> None:
    run(dashboard)


def monitor_main() -> None:
    run(monitor)
