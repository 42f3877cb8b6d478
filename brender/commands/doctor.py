"""`brender doctor`: does this machine have what a farm needs, and if not, what to do."""

import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from brender import __version__
from brender.api.place import as_client
from brender.bus.address import (
    DASHBOARD_PORT,
    DOORS,
    MANAGER_PORT,
    SERVER_PORT,
    Address,
    ManagerAddresses,
    ServerAddresses,
    is_free,
)
from brender.bus.client import Client
from brender.commands.checks import Finding
from brender.commands.config import Configured
from brender.commands.options import common, json_option, server_option, site_option
from brender.commands.output import has_colors, print_json, say, when
from brender.commands.sharing import shared_folders
from brender.engines.blenders import how_to_get_one, search_blenders
from brender.engines.probe import probe
from brender.engines.type_files import all_problems, type_files
from brender.model.errors import BrenderError
from brender.model.nodes import Blender
from brender.model.text import harmless, size_in_words
from brender.store.datafolder import DataFolder

_ENOUGH_DISK = 5_000_000_000


@click.command(cls=Configured, section="doctor", short_help="Check this machine, and say what to mend.")
@common
@server_option
@site_option
@json_option
@click.option(
    "--blender", "blenders", multiple=True, envvar="BRENDER_BLENDER", help="A blender executable, or a Python with bpy."
)
@click.option("--quick", is_flag=True, help="Do not render test frames.")
@click.pass_context
def doctor(
    context: click.Context,
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    site: str,
    as_json: bool,
    blenders: tuple[str, ...],
    quick: bool,
) -> None:
    """Check this machine: Blender and its engines, ports, disk, clock, versions; and whether the workers of the running farm
    see the same files as this machine where they share folders."""
    findings = []
    for finding in _look(data, server, site, blenders, quick):
        findings.append(finding)
        if not as_json:
            mark = "ok  " if finding.ok else "FAIL"
            mark = click.style(mark, fg="green" if finding.ok else "red") if has_colors() else mark
            click.echo(f"{mark} {harmless(finding.what)}: {harmless(finding.found, kept=chr(10))}")
            if not finding.ok:
                say(f"     → {finding.advice}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        context.exit(1)


def _look(data: Path, server: str | None, site: str, named: tuple[str, ...], quick: bool) -> Iterator[Finding]:
    yield _python()
    yield _folder(data)
    yield _disk(data)
    folder = DataFolder(data)
    farm_runs = folder.root.exists() and folder.is_locked("server")
    if farm_runs or server:
        yield from _server(server, folder, site)
    else:
        yield from map(_needed_ports, ("server", "manager", "dashboard"), _default_ports())
    yield from _used_ports(folder)
    yield from _job_types(folder)
    yield from _blenders(named, quick)


def _python() -> Finding:
    version = platform.python_version()
    return Finding("brender", sys.version_info >= (3, 11), f"{__version__} on Python {version}", "Install Python 3.11 or later")


def _folder(data: Path) -> Finding:
    return _judged("data folder", lambda: str(DataFolder(data).make().root))


def _disk(data: Path) -> Finding:
    free = shutil.disk_usage(data if data.exists() else data.parent if data.parent.exists() else Path.cwd()).free
    return Finding(
        "disk", free > _ENOUGH_DISK, f"{size_in_words(free)} free", "Make room, or give a data folder on another disk with --data"
    )


def _default_ports() -> tuple[dict[str, int], ...]:
    """Return the ports that a server, a manager and a dashboard listen on unless they are given others, each by its purpose."""
    server, manager = (Address("127.0.0.1", port) for port in (SERVER_PORT, MANAGER_PORT))
    doors = ManagerAddresses.of(manager)
    of_manager = {name: getattr(doors, name).port for name in ("control", "stats", "files")}
    return ServerAddresses.of(server).ports, of_manager, {"page": DASHBOARD_PORT}


def _needed_ports(role: str, ports: dict[str, int]) -> Finding:
    """Return whether all *ports* that a *role* needs are free."""
    taken = [f"{port} ({name})" for name, port in ports.items() if not is_free(Address("127.0.0.1", port))]
    found = f"in use: {', '.join(taken)}" if taken else f"free: {', '.join(f'{port} {name}' for name, port in ports.items())}"
    advice = f"Stop what uses {'it' if len(taken) == 1 else 'them'}, or start the {role} with --port-base"
    return Finding(f"ports of a {role}", not taken, found, advice)


def _used_ports(folder: DataFolder) -> Iterator[Finding]:
    """Yield where each role that runs in *folder* listens."""
    for path in sorted((folder.root / "run").glob("*.json")):
        facts = folder.announced(path.stem) or {}
        said = {name: str(text) for name, text in facts.items() if name in (*DOORS, "url")}
        if said:
            kind, _, name = path.stem.partition("-")
            found = ", ".join(f"{text} {'page' if door == 'url' else door}" for door, text in said.items())
            yield Finding(f"the {kind}{f' {name}' if name else ''} listens at", True, found)


def _server(server: str | None, folder: DataFolder, site: str) -> Iterator[Finding]:
    try:
        addresses, pair = as_client(server, folder)
        began = time.time()
        with Client(addresses, pair, 5.0) as client:
            info, faults = client.ask("about"), client.ask("set_aside")
    except BrenderError as error:
        yield Finding("server", False, str(error), "Start it with brender-server, or name the right one with --server")
        return
    same = info["software"] == __version__
    yield Finding(
        "server", same, f"{addresses.control} runs brender {info['software']}", f"Install brender {__version__} on both machines"
    )
    if faults:
        newest = faults[0]
        found = (
            f"failed at {len(faults)} message{'' if len(faults) == 1 else 's'}, last at a {newest['type'].lower()} on "
            f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(newest['wall']))}: {newest['error'].strip().splitlines()[-1]}"
        )
        yield Finding("server's faults", False, found, "Report it with the server's log of that time: it is a fault of brender")
    yield from _backup(info.get("backup"))
    off = abs(info["wall"] - (began + time.time()) / 2)
    yield Finding("clock", off < 2.0, f"{off:.1f} s from the server's", "Set this machine's clock (NTP)")
    with Client(addresses, pair) as client:
        yield from shared_folders(client, site)


def _backup(backup: dict[str, Any] | None) -> Iterator[Finding]:
    """Yield how the server's own backups are, once it has made or tried one."""
    if backup is None:
        return
    made = f"{backup['file']} of {when(backup['wall'])}" if "file" in backup else "none yet"
    trouble = backup.get("trouble")
    found = f"{made}. The last one could not be made: {trouble}" if trouble else made
    yield Finding("backup", not trouble, found, "Make room, or give the server another folder for them with --backups")


def _job_types(folder: DataFolder) -> Iterator[Finding]:
    """Yield what job types others wrote, if there are any, and why some cannot be used."""
    found, _ = type_files(folder.job_types)
    if found:
        yield Finding("job types", True, f"{', '.join(sorted(found))}, of {folder.job_types}")
    for problem in all_problems(folder.job_types):
        yield Finding("job types", False, problem, "Mend it, or remove it: all other job types work")


def _blenders(named: tuple[str, ...], quick: bool) -> Iterator[Finding]:
    try:
        search = search_blenders(named)
    except BrenderError as error:
        yield Finding("Blender", False, str(error), how_to_get_one())
        return
    if not search.found:
        yield Finding("Blender", False, "none found", how_to_get_one())
    for sentence in search.passed_over:
        yield Finding("Blender", False, sentence, "Mend that, or take it away; the others are used meanwhile")
    for blender in search.found:
        yield Finding("Blender", True, f"{blender.label} ({blender.path})")
        if not quick:
            yield from _engines(blender)


def _engines(blender: Blender) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        for engine in ("cycles", "eevee", "workbench"):
            began = time.monotonic()
            problem = probe(blender, engine, Path(folder))
            what = f"{engine} in {blender.label}"
            advice = (
                "Jobs of that engine will fail here. EEVEE and Workbench need OpenGL; on Debian: apt-get install libegl1 libgl1"
            )
            yield Finding(what, not problem, problem or f"renders ({time.monotonic() - began:.1f} s with its start)", advice)


def _judged(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except BrenderError as error:
        return Finding(what, False, str(error), "See the sentence above")
