"""The programs of the roles: brender-server, brender-manager, brender-worker, brender-dashboard, brender-monitor."""

import logging
from dataclasses import replace
from pathlib import Path

import click

from brender.bus.address import (
    DASHBOARD_PORT,
    MANAGER_PORT,
    SERVER_PORT,
    Address,
    ManagerAddresses,
    ServerAddresses,
    free_ports,
    resolve,
)
from brender.commands.config import Configured, read_config, run
from brender.commands.discovery import announced
from brender.commands.hidden_token import hide_token
from brender.commands.joining import as_dashboard, join_as_node, join_option, name_of_node, new_key_option
from brender.commands.lifeline import Lifeline, lifeline_option
from brender.commands.options import NamedPath, cache_option, common, host_name, listen_address, server_option, site_option
from brender.commands.output import say
from brender.commands.role_logs import begin_logging, log_options, say_of_role
from brender.commands.serving import metrics_option, metrics_page, serve
from brender.commands.worker import worker
from brender.metrics.frame_traces import ManagerTraces, ServerTraces
from brender.metrics.spans import spans
from brender.model.beginning import NIGHT
from brender.model.failure_patterns import FailurePattern, read_pattern
from brender.model.farm_file import read_farm_tables
from brender.model.keys import KeyRole
from brender.model.paths import check_site
from brender.model.power import PowerPlan, read_after, read_command
from brender.model.schedule import check_schedule
from brender.roles.policy import Policy
from brender.store.datafolder import DataFolder
from brender.system.network import own_address
from brender.system.open_files import allow_many_files
from brender.system.service_manager import ServiceManager

log = logging.getLogger("brender.manager")

_port_base = click.option(
    "--port-base", type=click.IntRange(0, 65535), help="The role's first port; its other ports are next to it. 0: any free ports."
)


_link_files = click.option(
    "--link-files/--no-link-files",
    default=True,
    show_default=True,
    help="Let roles on this machine link files instead of copying them.",
)


@click.command("server", cls=Configured, section="server", short_help="Run a server, which decides which worker renders what.")
@common
@log_options
@metrics_option("server")
@click.option(
    "--listen",
    envvar="BRENDER_SERVER_LISTEN",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at: HOST or HOST:PORT.",
)
@_port_base
@click.option(
    "--database", envvar="BRENDER_DATABASE", help="A database file or postgresql:// URL, instead of farm.db in the data folder."
)
@click.option(
    "--lease",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="A worker or manager that is silent for so many seconds is lost.",
)
@click.option(
    "--largest-file",
    type=click.FloatRange(0, 1e6),
    default=100.0,
    show_default=True,
    metavar="GB",
    help="The largest file that a client may send; 0: any size.",
)
@click.option(
    "--keep-free",
    type=click.FloatRange(0, 1e6),
    default=1.0,
    show_default=True,
    metavar="GB",
    help="How much disk to leave free when clients send files. For frames and logs it is half of that.",
)
@click.option(
    "--keep-blobs",
    type=click.FloatRange(0, 1e5),
    default=30.0,
    show_default=True,
    metavar="DAYS",
    help="How long to keep the files that were sent for a job, after its end.",
)
@click.option(
    "--keep-activity",
    type=click.FloatRange(1, 1e5),
    default=365.0,
    show_default=True,
    metavar="DAYS",
    help="How long to keep the activity log.",
)
@click.option(
    "--night",
    default=NIGHT,
    show_default=True,
    metavar="HOURS",
    help='The hours in which jobs with --night run, such as "20:00-07:00, sat-sun 00:00-24:00".',
)
@click.option(
    "--backup-every",
    type=click.FloatRange(0, 1e4),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="How often to back up the record; 0: never.",
)
@click.option(
    "--backups",
    type=NamedPath(file_okay=False),
    envvar="BRENDER_BACKUPS",
    show_default="backups in the data folder",
    help="The folder for backups; best on another disk.",
)
@click.option(
    "--keep-backups",
    type=click.IntRange(1, 10_000),
    default=7,
    show_default=True,
    metavar="NUMBER",
    help="How many backups to keep; the newest stay.",
)
@click.option(
    "--sign-in-days",
    type=click.FloatRange(0, 36_500),
    default=Policy.sign_in_days,
    show_default=True,
    metavar="DAYS",
    help="How long the token of a program that signed in by a code, such as Blender, is valid after its last use; 0: forever.",
)
@click.option(
    "--hook-program",
    "hook_programs",
    multiple=True,
    type=NamedPath(dir_okay=False),
    help="A program that hooks may run on this machine, with its absolute path. May be given several times. [default: none]",
)
@click.option(
    "--drain-after",
    type=click.IntRange(0, 1000),
    default=Policy.drain_after,
    show_default=True,
    metavar="NUMBER",
    help="Drain a worker after so many failed tasks in a row that other workers completed; 0: never.",
)
@click.option(
    "--power-sleep",
    default="",
    metavar="COMMAND",
    help="The command that puts an idle machine to sleep, such as 'ssh {host} sudo systemctl suspend'. {name}, {host} and {mac} "
    "come from its worker. [default: machines do not sleep]",
)
@click.option(
    "--power-wake",
    default="",
    metavar="COMMAND",
    help="The command that wakes a machine when work waits for it, such as 'wakeonlan {mac}'. [default: none]",
)
@click.option(
    "--power-after",
    default="20m",
    show_default=True,
    metavar="TIME",
    help="Put a machine to sleep after it was idle for so long.",
)
@click.option(
    "--power-within", default="5m", show_default=True, metavar="TIME", help="How soon a machine has to be back after it is woken."
)
@click.option(
    "--power-workers",
    multiple=True,
    metavar="NAME|TAG",
    help="The workers whose machines sleep. May be given several times. [default: all except the server's machine]",
)
@click.option(
    "--failure-pattern",
    "failure_patterns",
    multiple=True,
    type=read_pattern,
    metavar="WHAT: PATTERN",
    help="What a line in a program's output means, such as 'later, licence: No seat left'. May be given several times. "
    "[default: only brender's own patterns]",
)
@_link_files
@site_option
@click.option("--only-job", default="", hidden=True)
@click.option("--only-workers", type=click.IntRange(0), default=0, hidden=True)
@lifeline_option
def server(
    data: Path,
    config: Path | None,
    verbose: bool,
    log_format: str,
    metrics: str,
    listen: str,
    port_base: int | None,
    database: str | None,
    lease: float,
    largest_file: float,
    keep_free: float,
    keep_blobs: float,
    keep_activity: float,
    night: str,
    backup_every: float,
    backups: Path | None,
    keep_backups: int,
    sign_in_days: float,
    hook_programs: tuple[Path, ...],
    drain_after: int,
    power_sleep: str,
    power_wake: str,
    power_after: str,
    power_within: str,
    power_workers: tuple[str, ...],
    failure_patterns: tuple[FailurePattern, ...],
    link_files: bool,
    site: str,
    only_job: str,
    only_workers: int,
    lifeline: bool,
) -> None:
    """Run a server: it keeps the record of all jobs, and decides which worker renders what."""
    from brender.roles.server.backups import BackupPlan
    from brender.roles.server.database_wait import once_database_answers
    from brender.roles.server.loop import Server
    from brender.store.database import shown
    from brender.store.last_seen import record_of

    begin_logging(verbose, log_format, "server")
    lifeline_end = Lifeline(lifeline)
    addresses = ServerAddresses.of(listen_address(listen, port_base, SERVER_PORT))
    policy = replace(
        _policy(lease),
        only_job=only_job,
        sign_in_days=sign_in_days,
        hook_programs=tuple(map(str, hook_programs)),
        drain_after=drain_after,
        power=PowerPlan(
            wake=read_command(power_wake),
            sleep=read_command(power_sleep),
            after=read_after(power_after),
            within=read_after(power_within),
            workers=frozenset(power_workers),
        ),
        failure_patterns=failure_patterns,
        only_workers=only_workers,
        largest_file=int(largest_file * 1e9),
        least_free=int(keep_free * 1e9),
        blobs_keep=keep_blobs * 86400,
        activity_keep=keep_activity * 86400,
        night=check_schedule(night),
        link_files=link_files,
        farm_tables=read_farm_tables(read_config([] if config is None else ["--config", str(config)])),
    )
    plan = BackupPlan(every=backup_every * 3600, into=backups, keep=keep_backups)
    page = metrics_page(metrics, "server", data)
    traces = ServerTraces(made) if (made := spans("server")) is not None else None
    folder, known_site = DataFolder(data), check_site(site)
    where = record_of(folder, database)

    def make() -> Server:
        return Server(folder, addresses, policy, where, site=known_site, backups=plan, traces=traces)

    # A large record is backed up and migrated for longer than a service manager waits, and PostgreSQL may be away for longer.
    with ServiceManager({} if lifeline else None).starting():
        role = once_database_answers(make, folder, where)
    say_of_role(f"brender-server listens on {role.addresses.control}, its record is {shown(role.database)}")
    allow_many_files()
    serve(
        role.loop,
        role.stop,
        lifeline,
        f"listens on {role.addresses.control}",
        page,
        role.snapshot,
        role.record_figures.look,
    )
    lifeline_end.ends(role.stop)
    with announced("server", host_name(), role.addresses.enrolment, role.addresses.key):
        role.run()


@click.command("manager", cls=Configured, section="manager", short_help="Run a manager, which connects workers to the server.")
@common
@log_options
@metrics_option("manager")
@click.option(
    "--listen",
    envvar="BRENDER_MANAGER_LISTEN",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at: HOST or HOST:PORT.",
)
@_port_base
@server_option
@click.option(
    "--name", envvar="BRENDER_MANAGER_NAME", default=host_name, show_default="this host's name", help="The manager's name."
)
@click.option(
    "--lease",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="A worker that is silent for so many seconds is lost.",
)
@_link_files
@cache_option
@join_option
@new_key_option
@lifeline_option
def manager(
    data: Path,
    config: Path | None,
    verbose: bool,
    log_format: str,
    metrics: str,
    listen: str,
    port_base: int | None,
    server: str | None,
    name: str,
    lease: float,
    link_files: bool,
    cache: float,
    join: str | None,
    new_key: bool,
    lifeline: bool,
) -> None:
    """Run a manager: it connects the workers of one site to the server. Ctrl-C or SIGTERM lets its workers finish their tasks
    first; a second one ends it at once."""
    from brender.roles.manager.loop import Manager

    folder = DataFolder(data)
    name = name_of_node(folder, KeyRole.MANAGER, name, join)
    begin_logging(verbose, log_format, "manager", name)
    lifeline_end = Lifeline(lifeline)
    page = metrics_page(metrics, "manager", data)
    membership = join_as_node(folder, KeyRole.MANAGER, name, join, server, new_key)
    control = listen_address(listen, port_base, MANAGER_PORT)
    if not control.port:  # (workers that have joined look for its other sockets beside this one)
        control = Address(control.host, free_ports(3) + 1)
    addresses = ManagerAddresses.of(control)
    policy = replace(_policy(lease), link_files=link_files, cache_bytes=int(cache * 1e9))
    traces = ManagerTraces(made) if (made := spans("manager", name)) is not None else None
    role = Manager(folder, addresses, membership.server, policy, name, traces)
    say_of_role(f"brender-manager {name} listens on {role.addresses.control}")
    if few := allow_many_files():
        log.warning("%s", few)
    serve(role.loop, role.drain, lifeline, f"listens on {role.addresses.control}", page, role.snapshot)
    lifeline_end.ends(role.stop)
    with announced("manager", name, role.addresses.control, role.addresses.key):
        role.run()
    if role.again:
        lifeline_end.start_again()


@click.command("dashboard", cls=Configured, section="dashboard")
@common
@log_options
@metrics_option("dashboard")
@click.option(
    "--listen",
    envvar="BRENDER_DASHBOARD_LISTEN",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at: HOST or HOST:PORT.",
)
@_port_base
@server_option
@click.option("--database", envvar="BRENDER_DATABASE", help="The server's database, if it is not in the data folder.")
@click.option(
    "--login-header",
    default="",
    metavar="HEADER",
    help="Take the user's name from this header of a reverse proxy that signs people in, such as X-Remote-User.",
)
@click.option(
    "--proxy",
    multiple=True,
    metavar="ADDRESS",
    help="The address of a reverse proxy, or a network of them (10.0.0.0/8), whose X-Forwarded-For and --login-header are "
    "believed. May be given several times. [default: none; with --login-header: 127.0.0.1]",
)
@click.option("--https", is_flag=True, help="People reach the page by HTTPS, through a proxy: send cookies by HTTPS only.")
@click.option(
    "--public-url", default="", metavar="URL", help="The page's address for other machines, for links in notifications."
)
@click.option(
    "--upload-quota",
    type=click.FloatRange(0, 1e6),
    default=100.0,
    show_default=True,
    metavar="GB",
    help="How much of one user's uploads to keep; each is kept for a day. 0: no limit.",
)
@click.option(
    "--upload-total",
    type=click.FloatRange(0, 1e6),
    default=500.0,
    show_default=True,
    metavar="GB",
    help="How much of all users' uploads to keep; 0: no limit.",
)
@click.option(
    "--keep-free",
    type=click.FloatRange(0, 1e6),
    default=2.0,
    show_default=True,
    metavar="GB",
    help="How much disk to leave free when users upload files.",
)
@click.option("--smtp", default="", metavar="HOST:PORT", help="The mail server that sends notifications.")
@click.option("--mail-from", default="", metavar="ADDRESS", help="The sender of notifications.")
@lifeline_option
def dashboard(
    data: Path,
    config: Path | None,
    verbose: bool,
    log_format: str,
    metrics: str,
    listen: str,
    port_base: int | None,
    server: str | None,
    database: str | None,
    login_header: str,
    proxy: tuple[str, ...],
    https: bool,
    public_url: str,
    upload_quota: float,
    upload_total: float,
    keep_free: float,
    smtp: str,
    mail_from: str,
    lifeline: bool,
) -> None:
    """Serve the dashboard, the farm's web page. If there are no users yet, it prints a link that makes the first admin."""
    from dashboard.farm import Settings
    from dashboard.serve import Dashboard

    begin_logging(verbose, log_format, "dashboard")
    folder = DataFolder(data)
    lifeline_end = Lifeline(lifeline)
    address = resolve(listen_address(listen, port_base, DASHBOARD_PORT), "The dashboard's address")
    settings = Settings(
        login_header=login_header,
        proxy=proxy,
        secure=https,
        smtp=smtp,
        mail_from=mail_from,
        public_url=public_url,
        upload_quota=int(upload_quota * 1e9),
        upload_total=int(upload_total * 1e9),
        keep_free=int(keep_free * 1e9),
    )
    page = metrics_page(metrics, "dashboard", data)
    role = Dashboard(folder, address, *as_dashboard(server, folder), database or "", settings)
    say_of_role(f"brender-dashboard is at {role.url}")
    if not role.has_users():
        say("There are no users yet. This link makes the first admin, once:")
        say(role.setup_url)
        if address.host in ("0.0.0.0", "::") and not public_url and (own := own_address()):
            say(f"From another machine: {role.setup_url.replace('127.0.0.1', own, 1)}")
    role.stop_on_signals()
    if page is not None:
        role.show_metrics(page)
    ServiceManager({} if lifeline else None).ready(f"is at {role.url}")
    lifeline_end.ends(role.stop)
    role.run()


def _policy(lease: float) -> Policy:
    """Return the default policy, with its other times in proportion to the *lease*."""
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
    hide_token()
    run(manager)


def worker_main() -> None:
    hide_token()
    run(worker)


def dashboard_main() -> None:
    run(dashboard)


def monitor_main() -> None:
    from brender.commands.monitor import monitor

    run(monitor)
