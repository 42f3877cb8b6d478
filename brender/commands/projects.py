"""Commands about projects, path variables, and deleting jobs."""

import sys
from pathlib import Path
from typing import Any, Literal

import click

from brender.api.connection import Asking
from brender.api.options import similar_project
from brender.commands.completion import complete_job, complete_project
from brender.commands.config import Configured
from brender.commands.options import client, common, farm, json_option, server_option
from brender.commands.output import line, print_json, print_table, say
from brender.commands.paging import tell_end
from brender.commands.time_left import time_left_of_project
from brender.model.errors import BadInput, Conflict
from brender.model.paths import PLATFORMS
from brender.model.text import plural, short_id
from brender.model.text import size_in_words as in_words

_GB = 1e9
_Part = Literal["frames", "record"]


@click.group()
def project() -> None:
    """List projects, and set how long they keep jobs."""


@project.command("list", cls=Configured, section="project")
@common
@server_option
@json_option
def list_projects(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the projects."""
    with client(server, data) as connection:
        rows = connection.ask("projects")
    tell_end(rows, "projects")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("NAME", "JOBS", "UNFINISHED", "LEFT", "POOL", "FOLDER", "KEEPS"),
        [
            (
                row["name"],
                row["jobs"],
                row["unfinished"],
                time_left_of_project(row),
                row.get("pool", ""),
                row["root"],
                _kept(row),
            )
            for row in rows
        ],
        optional=("POOL",),
        empty="There are no projects. `brender submit --project NAME FILE.blend` makes one",
    )


@project.command("set", cls=Configured, section="project")
@common
@server_option
@click.argument("name", shell_complete=complete_project)
@click.option("--root", help="The folder of its files, as the server sees it; it may begin with a path variable.")
@click.option(
    "--keep-days",
    type=click.FloatRange(0, 1e5),
    help="Delete a job so many days after its end, with its frames in the server's data folder.",
)
@click.option(
    "--keep-gb",
    type=click.FloatRange(0, 1e7),
    help="Delete the oldest jobs when their frames in the server's data folder take more than this.",
)
@click.option("--pool", help='The pool of its new jobs; "": none; file: what the settings file says.')
def set_project(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    name: str,
    root: str | None,
    keep_days: float | None,
    keep_gb: float | None,
    pool: str | None,
) -> None:
    """Make the project NAME, or change it. 0 days or GB: no limit. Frames in folders of `--output` are never deleted this way."""
    given: dict[str, Any] = {"root": root, "keep_days": keep_days}
    given["keep_bytes"] = None if keep_gb is None else int(keep_gb * _GB)
    with client(server, data) as connection:
        connection.manage("set-project", name=name, **{key: value for key, value in given.items() if value is not None})
        if pool is not None:
            told = connection.manage("set-pool", name=name, pool=pool)
            belong = f"belong to the pool {told['pool']}" if told["pool"] else "belong to no pool"
            say(f"New jobs of the project {name} {belong}, unless they say otherwise")
        row = next((row for row in connection.ask("projects") if row["name"] == name), None)
    if row is None:
        raise Conflict(f"The server took the project {name}, and has none of that name now. `brender project list` lists them")
    say(f"The project {name} keeps {_kept(row)}")


@click.group(short_help="Say where each system has a shared folder.")
def path() -> None:
    """Say where each platform, and each site, has a shared folder (path variables)."""


@path.command("list", cls=Configured, section="path")
@common
@server_option
@json_option
def list_paths(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the path variables."""
    with client(server, data) as connection:
        rows = connection.ask("paths")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("VARIABLE", "SITE", "PLATFORM", "FOLDER"),
        [(f"{{{row['name']}}}", row["site"], row["platform"], row["path"]) for row in rows],
        empty="There are no path variables. `brender path set projects --linux /mnt/projects --windows P:\\` makes one",
    )


@path.command("set", cls=Configured, section="path")
@common
@server_option
@click.argument("name")
@click.option("--linux", metavar="FOLDER", help="Where Linux machines have it.")
@click.option("--windows", metavar="FOLDER", help="Where Windows machines have it.")
@click.option("--macos", metavar="FOLDER", help="Where macOS machines have it.")
@click.option("--site", default="", help="Only for machines of this site; other sites keep theirs.")
def set_path(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    name: str,
    linux: str | None,
    windows: str | None,
    macos: str | None,
    site: str,
) -> None:
    """Say which folder {NAME} stands for. Jobs with files in that folder keep {NAME} in their paths, and each machine replaces it
    by its own folder."""
    given = dict(zip(PLATFORMS, (linux, windows, macos), strict=True))
    if not any(given.values()):
        raise BadInput("Name the folder for at least one platform: --linux, --windows, --macos")
    with client(server, data) as connection:
        for platform, folder in given.items():
            if folder:
                told = connection.manage("set-path", name=name, platform=platform, path=folder, site=site)
                say(f"{{{name}}} on {platform}{f' at {site}' if site else ''} is {told['path']}")


@path.command("unset", cls=Configured, section="path")
@common
@server_option
@click.argument("name")
@click.option("--platform", type=click.Choice(PLATFORMS), help="Only for this platform.")
@click.option("--site", help="Only for this site.")
def unset_path(
    data: Path, config: Path | None, verbose: bool, server: str | None, name: str, platform: str | None, site: str | None
) -> None:
    """Forget what {NAME} stands for."""
    with client(server, data) as connection:
        told = connection.manage("unset-path", name=name, platform=platform, site=site)
    say(f"{plural(told['removed'], 'place')} of {{{name}}} {'is' if told['removed'] == 1 else 'are'} forgotten")


def check_project(connection: Asking, project: str, is_new: bool) -> None:
    """Ask whether a new project is meant where *project* is not there, and one with a similar name is; *is_new* says so. Raises
    `BadInput` where it is not, or where there is nobody to ask."""
    near = None if is_new else similar_project(connection, project)
    if near is None:
        return
    found = line(near)
    if not sys.stdin.isatty():
        raise BadInput(
            f"There is no project {line(project)}, but there is {found}: did you mean it? --new-project makes {line(project)}"
        )
    if not click.confirm(f"There is a project {found}: did you mean it? Make the new one {line(project)}", err=True):
        raise BadInput(f"Nothing was submitted. `--project {found}` names the one that is there")


@click.command(cls=Configured, section="delete", short_help="Delete jobs that have ended, or only their frames.")
@common
@server_option
@click.argument("ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_job)
@click.option("--frames", "what", flag_value="frames", help="Only the frames that the job rendered; its record stays.")
@click.option("--record", "what", flag_value="record", help="Only the job's record and logs; its frames stay.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    ids: tuple[str, ...],
    what: Literal["frames", "record"] | None,
    yes: bool,
) -> None:
    """Delete jobs that have ended: the frames that they rendered, their logs and records. Other files in the output folder stay:
    frames that the job found there and kept, frames that were changed since, and everything else."""
    chosen = what or "both"
    words = {"frames": "the frames that it rendered", "record": "the record and logs"}.get(
        chosen, "the logs, the record and the frames that it rendered"
    )
    with farm(server, data) as its:
        for id in ids:
            job = its.job(id, of_several="exact")
            if not yes:
                if not sys.stdin.isatty():
                    raise BadInput(f"There is no terminal to ask on: give --yes to delete {words}")
                output = job.record["output"]
                where = f" to {output}" if chosen != "record" and output else ""
                click.confirm(line(f"Job {short_id(job.id)} ({job.name}): delete {words}{where}?"), abort=True)
            job.delete(chosen)
            say(f"Job {short_id(job.id)}: {words} are being deleted")


def _kept(row: dict[str, Any]) -> str:
    kept = [f"jobs for {plural(row['keep_days'], 'day')}"] if row["keep_days"] else []
    kept += [f"{in_words(row['keep_bytes'])} of frames"] if row["keep_bytes"] else []
    return ", ".join(kept) or "everything"
