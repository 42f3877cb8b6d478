"""Commands that show jobs. `brender.commands.submit` submits them, and `brender.commands.job_actions` changes them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from brender.api.connection import asked
from brender.commands.completion import complete_project, job_argument
from brender.commands.config import Configured
from brender.commands.job_tree import graph_of, tree
from brender.commands.options import common, farm, json_option, server_option
from brender.commands.output import duration, print_facts, print_json, print_table, say, say_cut, tell, tell_more, when
from brender.commands.paging import all_option, counted_in_all, limit_option, wanted
from brender.commands.time_left import estimates_in_words, time_left
from brender.engines.log_end import FOLDED, folded
from brender.jobs.declare import label_of, say_settings
from brender.model.addon import AddOn
from brender.model.answers import LOG_TAIL
from brender.model.energy import energy_in_words
from brender.model.frames import format_frames
from brender.model.job_standing import because
from brender.model.spans import span_in_words
from brender.model.status import HANDED_OUT, JobStatus
from brender.model.text import harmless, plural, short_id, size_in_words
from brender.model.units import Units


@click.command(cls=Configured, section="jobs")
@common
@server_option
@json_option
@click.option("--status", type=click.Choice([str(each) for each in JobStatus]), help="Only jobs with this status.")
@click.option("--user", "of", default="", help="Only jobs of this user.")
@click.option("--project", default="", shell_complete=complete_project, help="Only jobs of this project.")
@limit_option
@all_option
def jobs(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    as_json: bool,
    status: str | None,
    of: str,
    project: str,
    limit: int | None,
    everything: bool,
) -> None:
    """List the jobs, newest first."""
    chosen = {key: value for key, value in (("status", status), ("user", of), ("project", project)) if value}
    count = wanted(limit, everything, as_json)
    with farm(server, data) as its:
        rows = [each.record for each in its.jobs(**chosen, limit=count)]
        total = counted_in_all(its, rows, count, "jobs", **chosen)
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("ID", "NAME", "STATUS", "DONE", "PRIORITY", "USER", "SUBMITTED", "REASON"),
            [
                (
                    short_id(row["id"]),
                    row["name"],
                    row["status"],
                    str(Units.of_row(row)),
                    row["priority"],
                    row["user"],
                    when(row["submitted"]),
                    row["reason"],
                )
                for row in rows
            ],
            empty="There are no such jobs" if chosen else "There are no jobs. `brender submit FILE.blend` makes one",
        )
    say_cut(len(rows), total, "jobs", "--all, --limit, --status, --user, --project")


@click.command(cls=Configured, section="job")
@common
@server_option
@json_option
@job_argument
def job(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool, id: str) -> None:
    """Show one job. ID may be the start of its id, or its name."""
    with farm(server, data) as its:
        record = its.job(id).record
        known = graph_of(its, record["id"])
    if as_json:
        print_json(record)
        return
    lines: list[tuple[str, Any]] = [
        ("Job", f"{record['name']} ({record['id']})"),
        ("Status", because(record["status"], record["reason"])),
        ("Done", str(Units.of_row(record))),
        ("Film", record["settings"].get("film", "")),
        ("Time left", time_left(record)),
        ("Expected", " · ".join(estimates_in_words(record))),
        ("Type", label_of(record["job_type"], record["settings"])),
        ("File", record["settings"].get("file", "")),
        ("Blender", record["series"]),
        ("Add-ons", ", ".join(map(_addon, record.get("addons", ())))),
        ("Saved by", f"Blender {record['blender_version']}" if record["blender_version"] else ""),
        ("Output", record["output"]),
        ("Time limits", _limits(record)),
        ("Shares", _sharing(record.get("sharing") or {})),
        ("Priority", record["priority"]),
        ("Project", record["project"]),
        ("User", record["user"]),
        ("Submitted", when(record["submitted"])),
        ("Started", when(record["started"])),
        ("Finished", when(record["finished"])),
        ("Rendered for", duration(record["render_seconds"]) if record["render_seconds"] else ""),
        ("Energy", energy_in_words(record["joules"], record["metered_seconds"], record["machine_seconds"])),
    ]
    if record.get("start_at"):
        lines.insert(2, ("Begins", f"at {when(record['start_at'])}"))
    if record.get("night"):
        lines.insert(2, ("Runs", "at night"))
    print_facts(lines)
    said = [
        each
        for each in say_settings(record["job_type"], record["settings"], record["overwrite"])
        if not each.is_default and each.name not in ("file", "film")
    ]
    if known is not None:
        for line in tree(known, record["id"]):
            say(line)
    width = max((len(each.label) for each in said), default=0) + 3
    for number, each in enumerate(said):
        if number == 0 or each.group != said[number - 1].group:
            say(f"{each.group}:")
        say(f"  {each.label:<{width}}{each.text}")
    for each in record.get("revisions", ())[1:]:
        by = f" by {each['user']}" if each["user"] else ""
        say(f"{'Edited:':<14}{when(each['wall'])}{by}: {each['said']} (revision {each['revision']})")
    for at in record["rendering"]:
        share = f"{at['fraction']:.0%}" if at["frame"] is not None or at["fraction"] or at["line"] else "starting"
        where = f"frame {at['frame']}, {share}" if at["frame"] is not None else share
        say(f"{'Now:':<14}{at['name']}: {where}{', ' + at['line'] if at['line'] else ''}")
    for at in record.get("stuck", ()):
        say(f"{'Stuck:':<14}{at['name']} {at['reason']}")
    for warning in record["warnings"]:
        say(f"{'Warning:':<14}{warning}")
    tell_more(*record["warnings"])
    for off in record["kept_off"]:
        say(f"{'Kept off:':<14}{off['worker_name']}, after {_in_a_row(off['failures'])}: {off['reason']}")
    for off in record.get("put_off", ()):
        say(f"{'Put off:':<14}{off['worker_name']}, until {when(off['readmitted'])}: {off['reason']}")


def _in_a_row(failures: int) -> str:
    return plural(failures, "failure") + (" in a row" if failures > 1 else "")


def _addon(addon: dict[str, Any]) -> str:
    known = msgspec.convert(addon, AddOn)
    return f"{known.label} (the farm's)" if known.of_site else known.label


def _sharing(sharing: Mapping[str, Any]) -> str:
    parts = [
        f"{sharing['most_workers']} workers at most" if sharing.get("most_workers") else "",
        f"licence {', '.join(sharing['licences'])}" if sharing.get("licences") else "",
        f"pool {sharing['pool']}" if sharing.get("pool") else "",
        "takes its pool's workers back at once" if sharing.get("reclaim_at_once") else "",
        "rush: others give way" if sharing.get("rush") else "",
        f"{plural(sharing['cores'], 'core')} a task" if sharing.get("cores") else "",
        f"{size_in_words(sharing['gpu_memory'])} of GPU memory a task" if sharing.get("gpu_memory") else "",
    ]
    return ", ".join(part for part in parts if part)


def _limits(record: dict[str, Any]) -> str:
    parts = [
        f"{span_in_words(60 * record['stall_minutes'])} without progress" if record["stall_minutes"] else "",
        f"{span_in_words(60 * record['limit_minutes'])} for a task" if record["limit_minutes"] else "",
    ]
    return ", ".join(part for part in parts if part) or "none"


@click.command(cls=Configured, section="tasks")
@common
@server_option
@json_option
@job_argument
@limit_option
@all_option
def tasks(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    as_json: bool,
    id: str,
    limit: int | None,
    everything: bool,
) -> None:
    """List the tasks of a job."""
    count = wanted(limit, everything, as_json)
    with farm(server, data) as its:
        id = its.job(id).id
        rows = asked(its, "tasks", count, "id", job=id)
        total = counted_in_all(its, rows, count, "tasks", job=id)
    cut = len(rows), total, "tasks", "--all, --limit"
    if as_json:
        print_json(rows)
        say_cut(*cut)
        return
    print_table(
        ("TASK", "STAGE", "FRAMES", "STATUS", "WORKER", "SECONDS", "FAILURES", "REASON"),
        [
            (
                row["number"],
                row["stage"],
                format_frames(row["frames"]) if row["of_frames"] else "",
                _standing(row),
                row["attempt"]["worker_name"] if row["attempt"] else "",
                f"{row['attempt']['seconds']:.1f}" if row["attempt"] and row["attempt"]["seconds"] else "",
                row["failures"] or "",
                row["reason"],
            )
            for row in rows
        ],
        empty="It has no tasks yet",
    )
    say_cut(*cut)


def _standing(task: dict[str, Any]) -> str:
    """Return how *task* stands: what a worker has, and has not begun, is not active yet."""
    attempt = task["attempt"]
    waits = task["status"] == "active" and attempt is not None and attempt["started"] is None
    return HANDED_OUT if waits else str(task["status"])


@click.command(cls=Configured, section="log", short_help="Print the log of a job or frame.")
@common
@server_option
@job_argument
@click.option("--frame", type=int, help="The log of this frame's newest attempt.")
@click.option("--attempt", default="", help="The log of this attempt.")
@click.option("--raw", is_flag=True, help="Print all lines, also those that Blender always writes.")
def log(
    data: Path, config: Path | None, verbose: bool, server: str | None, id: str, frame: int | None, attempt: str, raw: bool
) -> None:
    """Print the log of a job's newest attempt (of a failed job, the newest that failed), or of one frame's; of a long one its
    end.

    What Blender always writes is folded to a count, as on the job's page.
    """
    with farm(server, data) as its:
        job = its.job(id)
        answer = its.ask("log", job=job.id, frame=frame, attempt=attempt)
        raw = raw or job.record["job_type"] == "command"  # (what another program writes is not Blender's)
    chosen = answer["attempt"]
    # (How it ended is the log's last line, as a rule.)
    ending = f": {chosen['reason']}" if chosen["reason"] and f"ended: {chosen['reason']}" not in answer["text"] else ""
    what = f", {answer['what']}" if answer.get("what") else ""
    say(f"Attempt {chosen['id']} on {chosen['worker_name']}{what}, {chosen['outcome']}{ending}", err=True)
    text = harmless(answer["text"], kept="\n\t") if raw else "\n".join(folded(answer["text"]))
    click.echo(text or "(nothing has arrived yet)")
    if not raw and FOLDED in text and sys.stdout.isatty():  # (into a pipe, a terminal would show it before the log)
        say("--raw prints all lines, also the folded ones", err=True)
    if (whole := answer.get("size", 0)) > LOG_TAIL:
        part = f"{size_in_words(LOG_TAIL)} of {size_in_words(whole)}"
        tell(f"This is the log's end, {part}. All of it, on the server: {answer['path']}")
