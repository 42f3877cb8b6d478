"""Writes the pages that are made from the code's own tables: statuses, messages, rights, job types, commands."""

from enum import StrEnum
from pathlib import Path

import click
import msgspec

from brender.bus import messages
from brender.commands.main import brender
from brender.jobs.declare import Setting, submitted_types
from brender.metrics.families import ALL, FAMILIES
from brender.model import status
from brender.model.keys import KeyRole
from brender.model.people import Role
from brender.model.rights import TABLE, Scope, scope

TABLES = (
    ("Jobs", status.JOB_TRANSITIONS),
    ("Tasks", status.TASK_TRANSITIONS),
    ("Parts", status.PART_TRANSITIONS),
    ("Attempts", status.OUTCOMES),
)


def write_all(folder: Path) -> None:
    """Write every generated page into *folder*."""
    folder.mkdir(exist_ok=True)
    (folder / "statuses.rst").write_text(statuses())
    (folder / "messages.rst").write_text(message_types())
    (folder / "rights.rst").write_text(rights())
    (folder / "job_types.rst").write_text(types_of_job())
    (folder / "commands.rst").write_text(commands())
    (folder / "metrics.rst").write_text(metrics())


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (columns, *rows):
        lines += [f"   {'*' if place == 0 else ' '} - {' '.join(cell.split())}" for place, cell in enumerate(row)]
    return "\n".join(lines) + "\n\n"


def heading(text: str, mark: str) -> str:
    return f"{text}\n{mark * len(text)}\n\n"


def statuses() -> str:
    text = heading("Statuses", "=") + "Every change of a status that is allowed. A change that is not here is an error.\n\n"
    for name, transitions in TABLES:
        rows: list[tuple[str, ...]] = []
        for before, afters in transitions.items():
            assert isinstance(before, StrEnum)
            rows.append((f"``{before}``", ", ".join(f"``{after}``" for after in sorted(afters)) or "nothing: it has ended"))
        text += heading(name, "-") + table(("from", "to"), rows)
    return text


def message_types() -> str:
    text = (
        heading("Messages", "=")
        + f"Protocol {messages.PROTOCOL}. Each message is one msgpack map with ``v``, ``type`` and these fields.\n\n"
    )
    rows: list[tuple[str, ...]] = []
    for kind in messages.AnyMessage.__args__:
        fields = ", ".join(f"``{name}``" for name in kind.__struct_fields__) or "none"
        rows.append((f"``{kind.__struct_config__.tag}``", first_sentence(kind), fields))
    reports: list[tuple[str, ...]] = [
        (f"``{kind.__struct_config__.tag}``", first_sentence(kind), ", ".join(f"``{name}``" for name in kind.__struct_fields__))
        for kind in messages.AnyReport.__args__
    ]
    text += table(("type", "what it says", "fields"), rows)
    return text + heading("Reports", "-") + table(("kind", "what it says", "fields"), reports)


def rights() -> str:
    text = heading("Rights", "=") + (
        "Who may do what, by the table that the server asks about each message (``brender/model/rights.py``). *own*: to what is "
        "their own; *all*: to anybody's things; nothing: not at all.\n\n"
    )
    text += heading("Users", "-") + "On whose behalf the dashboard speaks.\n\n" + table_of_rights(tuple(Role))
    return text + heading("Keys", "-") + "Who speaks for themselves.\n\n" + table_of_rights(tuple(KeyRole))


def table_of_rights(roles: tuple[Role, ...] | tuple[KeyRole, ...]) -> str:
    shown = {Scope.NOBODY: "", Scope.OWN: "own", Scope.ALL: "all"}
    rows: dict[tuple[str, ...], None] = {}
    for action, entry in TABLE.items():
        scopes = [shown[scope(role, action)] for role in roles]
        if any(scopes):
            rows[(entry.deed, *scopes)] = None
    return table(("may", *roles), list(rows))


def metrics() -> str:
    text = heading("List of metrics", "=") + "What each role exports with ``--metrics`` (:doc:`/reference/metrics`).\n\n"
    rows: list[tuple[str, ...]] = [
        (
            f"``{family.name}``",
            "counter" if family.is_counter else "gauge",
            ", ".join(f"``{label}``" for label in family.labels),
            "all" if family.roles == ALL else ", ".join(family.roles),
            family.help,
        )
        for family in FAMILIES.values()
    ]
    return text + table(("name", "kind", "labels", "roles", "what it is"), rows)


def types_of_job() -> str:
    text = heading("Job types", "=") + (
        "A farm can add its own by a file (:doc:`/tutorials/job_type`), and packages by the entry-point group "
        "``brender.job_types``.\n\n"
    )
    for kind in submitted_types().values():
        rows: list[tuple[str, ...]] = [
            (f"``{each.name}``", each.title, described(each), each.absent or "refused")
            for each in kind.settings
            if not each.hidden
        ]
        text += heading(kind.name, "-") + table(("setting", "called", "what it is", "without it"), rows)
    return text


def described(setting: Setting) -> str:
    words = [f"``{value!r}``: {text}" for value, text in setting.words]
    plain = [f"``{value!r}``" for value in setting.choices if value not in dict(setting.words)]
    return setting.help + (f" ({'; '.join(words + plain)})" if words or plain else "")


def commands() -> str:
    text = heading("Commands", "=")
    nothing = click.Context(brender)
    for name in brender.list_commands(nothing):
        command = brender.get_command(nothing, name)
        if isinstance(command, click.Group):
            continue
        context = click.Context(command, info_name=f"brender {name}")
        text += heading(f"brender {name}", "-") + "::\n\n"
        text += "".join(f"   {line}\n" for line in command.get_help(context).splitlines()) + "\n"
    return text


def first_sentence(kind: type[msgspec.Struct]) -> str:
    documented = kind.__doc__ if "__doc__" in kind.__dict__ else ""
    return (documented or "").strip().split("\n\n")[0] or "—"
