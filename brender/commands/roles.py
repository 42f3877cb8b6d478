"""The programs of the roles: brender-server, brender-manager, brender-worker, brender-dashboard, brender-monitor."""

from dataclasses import replace
from pathlib import Path

import click

from brender.bus.address import DASHBOARD_PORT, MANAGER_PORT, SERVER_PORT, ManagerAddresses, ServerAddresses, resolve_loopback
from brender.commands.config import Configured, run
from brender.commands.lifeline import lifeline_option, watch_lifeline
from brender.commands.options import begin_logging, common, host_name, listen_address, server_addresses, server_option
from brender.commands.worker import worker
from brender.roles.policy import Policy
from brender.store.datafolder import DataFolder

_port_base = click.option(
    "--port-base", type=click.IntRange(0, 65535), help="The first port; the others lie beside it. 0: any free ports."
)


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
@lifeline_option
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
    watch_lifeline(role.stop, lifeline)
    role.run()


@click.command("manager", cls=Configured, section="manager")
@common
@click.option("--listen", envvar="BRENDER_MANAGER_LISTEN", default="127.0.0.1", show_default=True, help="HOST or HOST:PORT.")
@_port_base
@server_option
@click.option(
    "--name", envvar="BRENDER_MANAGER_NAME", default=host_name, show_default="this host's name", help="What it is called."
)
@click.option(
    "--lease",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="Seconds of silence after which a worker is lost.",
)
@lifeline_option
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
    watch_lifeline(role.stop, lifeline)
    role.run()


@click.command("dashboard", cls=Configured, section="dashboard")
@common
@click.option("--listen", envvar="BRENDER_DASHBOARD_LISTEN", default="127.0.0.1", show_default=True, help="HOST or HOST:PORT.")
@_port_base
@server_option
@click.option("--database", envvar="BRENDER_DATABASE", help="The server's database, if it is not in the data folder.")
@lifeline_option
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
    watch_lifeline(role.stop, lifeline)
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
