"""Commands about the farm's machines: workers and managers."""

from pathlib import Path
from typing import Any

import click

from brender.api.connection import asked
from brender.api.place import user
from brender.api.standing import one_node, worker_status
from brender.api.worker import NodeVerb
from brender.commands.completion import complete_job, complete_node, complete_worker
from brender.commands.config import Configured
from brender.commands.options import client, common, farm, json_option, server_option
from brender.commands.output import print_facts, print_json, print_table, say, say_cut, when
from brender.commands.paging import all_option, counted_in_all, tell_end
from brender.model.devices import CPU, GPU_KINDS
from brender.model.errors import BadInput
from brender.model.log_events import LEVELS
from brender.model.status import Wanted
from brender.model.text import short_id, size_in_words

#: Tags that say what a worker renders on.
_DEVICES = (CPU, "gpu", *GPU_KINDS)


@click.command(cls=Configured, section="workers")
@common
@server_option
@json_option
def workers(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the workers, what they have and what they render."""
    with client(server, data) as connection:
        rows = asked(connection, "workers", None, "id")
    if as_json:
        print_json(rows)
        return
    print_table(
        (
            "NAME",
            "STATUS",
            "JOB",
            "FRAME",
            "CPU",
            "MEMORY",
            "BLENDER",
            "DEVICE",
            "POOL",
            "TAGS",
            "SLEEPS",
            "NOTE",
            "MANAGER",
            "ID",
            "REASON",
        ),
        [
            (
                row["name"],
                worker_status(row),
                row["job_name"],
                "" if row["frame"] is None else row["frame"],
                f"{row['stats']['cpu_percent']:.0f} %" if row["stats"] else "",
                f"{size_in_words(row['stats']['memory_used'])} of {size_in_words(row['stats']['memory_total'])}"
                if row["stats"]
                else "",
                _blenders(row),
                _device(row),
                row["pool"],
                ", ".join(_own_tags(row)),
                row["schedule"],
                row["note"],
                row["manager_name"],
                short_id(row["id"]),
                row["reason"],
            )
            for row in rows
        ],
        empty="There are no workers. `brender-worker` starts one",
        optional=("DEVICE", "POOL", "TAGS", "SLEEPS", "NOTE", "REASON", "JOB", "FRAME"),
    )


def _blenders(row: dict[str, Any]) -> str:
    kinds = {"bpy": "bpy", "executable": "Blender"}
    return ", ".join(f"{kinds[blender['kind']]} {blender['version']}" for blender in row["blenders"]) or "none"


def _device(row: dict[str, Any]) -> str:
    """Return what a worker renders on, by its tags: a kind of GPU, or the CPU."""
    found = [tag for tag in _DEVICES if tag in row["tags"]]
    return ", ".join("CPU" if tag == CPU else tag for tag in [tag for tag in found if tag != "gpu"] or found)


def _gpu_use(stats: dict[str, Any]) -> str:
    """Return how much of the machine's GPUs is used, or "" if none is seen."""
    if not stats.get("gpu_memory_total"):
        return ""
    memory = f"{size_in_words(stats['gpu_memory_used'])} of {size_in_words(stats['gpu_memory_total'])}"
    return f"{stats['gpu_percent']:.0f} %, {memory}"


def _own_tags(row: dict[str, Any]) -> list[str]:
    """Return the tags of a worker that neither its Blenders nor its devices say."""
    return sorted({tag for tag in (*row["tags"], *row["extra_tags"]) if not tag.startswith("blender-") and tag not in _DEVICES})


@click.command(cls=Configured, section="worker-facts")
@common
@server_option
@json_option
@click.argument("name", shell_complete=complete_worker)
def worker(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool, name: str) -> None:
    """Show one worker, by its name or the beginning of its id."""
    with client(server, data) as connection:
        row = one_node(connection, "worker", name)
    if as_json:
        print_json(row)
        return
    stats = row["stats"] or {}
    frame = "" if row["frame"] is None else f", frame {row['frame']}"
    print_facts(
        (
            ("Worker", f"{row['name']} ({row['id']})"),
            ("Status", f"{row['status']}: {row['reason']}" if row["reason"] else row["status"]),
            ("Renders", f"{row['job_name']}{frame}" if row["job_name"] else ""),
            ("Host", f"{row['host']}, {row['platform']}"),
            ("Manager", row["manager_name"]),
            ("Blender", _blenders(row)),
            ("Renders on", _device(row)),
            ("Tags", ", ".join(dict.fromkeys([*row["tags"], *row["extra_tags"]]))),
            ("Pool", row["pool"]),
            ("Cores", row["cores"]),
            ("GPU memory", size_in_words(row["gpu_memory"]) if row["gpu_memory"] else ""),
            ("Note", row["note"]),
            ("Sleeps", row["schedule"]),
            ("Processor", f"{stats['cpu_percent']:.0f} %" if stats else ""),
            ("Memory", f"{size_in_words(stats['memory_used'])} of {size_in_words(stats['memory_total'])}" if stats else ""),
            ("GPU", _gpu_use(stats)),
            ("Power", f"{stats['power']:.0f} W" if stats.get("power") else ""),
            ("Free disk", size_in_words(stats["disk_free"]) if stats else ""),
            ("Last seen", when(row["last_seen"])),
        )
    )


@click.command(cls=Configured, section="activity")
@common
@server_option
@json_option
@click.option("--job", default="", shell_complete=complete_job, help="Only entries about this job.")
@click.option("--limit", type=click.IntRange(1, 10_000_000), default=50, show_default=True, help="The number of entries.")
@all_option
def activity(
    data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool, job: str, limit: int, everything: bool
) -> None:
    """Show who did what, newest first."""
    count = None if everything else limit
    with client(server, data) as connection:
        rows = asked(connection, "activity", count, "id", job=job)
        total = counted_in_all(connection, rows, count, "activity", job=job)
    cut = len(rows), total, "entries", "--all, --limit, --job"
    if as_json:
        print_json(rows)
        say_cut(*cut)
        return
    print_table(
        ("WHEN", "WHO", "JOB", "WHAT"),
        [(when(row["wall"]), row["user"], short_id(row["job"] or ""), row["text"]) for row in rows],
        empty="Nothing has happened yet",
    )
    say_cut(*cut)


@click.command(cls=Configured, section="managers")
@common
@server_option
@json_option
def managers(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the managers."""
    with client(server, data) as connection:
        rows = connection.ask("managers")
    tell_end(rows, "managers")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("NAME", "STATUS", "WORKERS", "ADDRESS", "HOST", "LAST SEEN", "ID", "REASON"),
        [
            (
                row["name"],
                row["status"],
                row["workers"],
                row["address"],
                row["host"],
                when(row["last_seen"]),
                short_id(row["id"]),
                row["reason"],
            )
            for row in rows
        ],
        empty="There are no managers. `brender-manager` starts one",
    )


@click.command(cls=Configured, section="manager-facts")
@common
@server_option
@json_option
@click.argument("name", shell_complete=complete_node)
def manager(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool, name: str) -> None:
    """Show one manager, by its name or the beginning of its id."""
    with client(server, data) as connection:
        row = one_node(connection, "manager", name)
    if as_json:
        print_json(row)
        return
    stats = row["stats"] or {}
    print_facts(
        (
            ("Manager", f"{row['name']} ({row['id']})"),
            ("Status", f"{row['status']}: {row['reason']}" if row["reason"] else row["status"]),
            ("Workers", row["workers"]),
            ("Address", row["address"]),
            ("Host", row["host"]),
            ("Processor", f"{stats['cpu_percent']:.0f} %" if stats else ""),
            ("Memory", f"{size_in_words(stats['memory_used'])} of {size_in_words(stats['memory_total'])}" if stats else ""),
            ("Last seen", when(row["last_seen"])),
        )
    )


def _action(name: NodeVerb, help: str, said: str) -> click.Command:
    """Return a command that says what people want of workers or managers."""

    @click.command(name, cls=Configured, section=name, help=help)
    @common
    @server_option
    @click.argument("nodes", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_node)
    def act(data: Path, config: Path | None, verbose: bool, server: str | None, nodes: tuple[str, ...]) -> None:
        with farm(server, data) as its:
            for node in nodes:
                answer = its.tell(node, name)
                stays = ", and stays disabled then" if answer["wanted"] == Wanted.FORGOTTEN_DISABLED else ""
                say(f"The {answer['kind']} {answer['name']} {said}{stays}")

    return act


drain = _action("drain", "Let workers or managers finish their tasks and leave.", "finishes what runs and leaves")
disable = _action("disable", "Give workers, or a manager's workers, nothing new.", "gets no new tasks")
restart = _action("restart", "Let workers or managers finish their tasks and restart.", "finishes what runs and starts again")
forget = _action(
    "forget",
    "Remove workers or managers that are gone from the lists. One that starts again is listed again; `brender key revoke` "
    "keeps it out.",
    "is forgotten: no list shows it until it joins again",
)
sleep = _action(
    "sleep",
    "Put the machines of workers to sleep, after their tasks. Work that waits wakes them, unless they are disabled.",
    "is put to sleep after its tasks",
)
wake = _action("wake", "Wake the machines of workers that sleep or are switched off.", "is being woken")
enable = _action("enable", "Give workers or managers tasks again.", "gets tasks again")


@click.command(cls=Configured, section="describe", short_help="Give workers tags, a note, or hours to sleep.")
@common
@server_option
@click.argument("workers", metavar="WORKER...", nargs=-1, required=True, shell_complete=complete_worker)
@click.option("--tags", metavar="A,B", help='The tags that people give it, in addition to its own; "" for none.')
@click.option("--add-tags", metavar="A,B", help="Tags to add to those that it has.")
@click.option("--note", help="A note for people.")
@click.option(
    "--give-back",
    type=click.FloatRange(0, 720),
    metavar="HOURS",
    help="Give the machine back to its owner for so many hours, after the frame that renders now; 0 ends that.",
)
@click.option("--sleeps", metavar="HOURS", help='When it takes no new tasks: "mon-fri 09:00-18:00, sat 10:00-14:00"; "": never.')
def describe(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    workers: tuple[str, ...],
    tags: str | None,
    add_tags: str | None,
    note: str | None,
    give_back: float | None,
    sleeps: str | None,
) -> None:
    """Give workers tags, a note, or hours in which they sleep (by the server's clock)."""
    if tags is not None and add_tags is not None:
        raise BadInput("Give --tags, which replaces the earlier tags, or --add-tags, not both")
    if all(value is None for value in (tags, add_tags, note, give_back, sleeps)):
        raise BadInput("Say what is to change: --tags, --add-tags, --note, --sleeps or --give-back")
    with farm(server, data) as its:
        for worker in workers:
            its.worker(worker).describe(
                tags=None if tags is None else _words(tags),
                add_tags=_words(add_tags or ""),
                note=note,
                sleeps=sleeps,
                give_back=give_back,
            )
            say(f"{worker} is described so now")


def _words(text: str) -> list[str]:
    """Return the words of *text*, which have commas between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


@click.command(cls=Configured, section="log-level", short_help="Set how much a running role logs.")
@common
@server_option
@click.argument("node", metavar="NAME|server", shell_complete=complete_node)
@click.argument("level", type=click.Choice(LEVELS))
def log_level(data: Path, config: Path | None, verbose: bool, server: str | None, node: str, level: str) -> None:
    """Set the log level of a worker, a manager or the server, until it restarts. At debug it logs each message that it sends and
    receives."""
    with client(server, data) as connection:
        if node == "server":
            connection.manage("server-log-level", level=level)
            say(f"The server logs from {level} on")
        else:
            answer: dict[str, Any] = connection.act("log-level", node, value=level, user=user())
            say(f"The {answer['kind']} {answer['name']} logs from {level} on")
