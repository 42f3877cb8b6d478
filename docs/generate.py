"""Writes the pages that are made from the code's own tables and declarations, so that they say what is so: `PAGES`."""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
import msgspec
from peewee import ForeignKeyField, SqliteDatabase

from brender.bus import messages
from brender.bus.messages import (
    Acks,
    BlobPiece,
    BlobWanted,
    Confirm,
    Done,
    Enrol,
    Enrolled,
    FileAck,
    FilePiece,
    Grants,
    Hello,
    Joined,
    Lacks,
    Message,
    Offer,
    Received,
    Renew,
    Renewed,
    Reports,
    Submit,
    Welcome,
)
from brender.commands.main import brender
from brender.jobs.declare import Setting, submitted_types
from brender.jobs.schema import schema_name
from brender.metrics.families import ALL, FAMILIES
from brender.model import status
from brender.model.errors import BY_CODE
from brender.model.keys import KeyRole
from brender.model.people import Role
from brender.model.rights import TABLE, Scope, scope
from brender.store.tables import JSONField, make_tables
from dashboard import app  # noqa: F401 (it declares all endpoints)
from dashboard.endpoint import PREFIX, openapi

TABLES = (
    ("Jobs", status.JOB_TRANSITIONS),
    ("Tasks", status.TASK_TRANSITIONS),
    ("Parts", status.PART_TRANSITIONS),
    ("Attempts", status.OUTCOMES),
)


#: Who says what to whom, in the order in which it happens, by the messages' own declarations: none is here that is not there.
SEQUENCES: tuple[tuple[str, tuple[tuple[str, str, type[Message], str], ...]], ...] = (
    (
        "A worker joins a farm",
        (
            ("worker", "server", Enrol, "with its token"),
            ("server", "worker", Enrolled, "its key is admitted"),
            ("worker", "manager", Hello, ""),
            ("manager", "worker", Welcome, "the lease and the beat"),
            ("manager", "server", Joined, "what it holds"),
            ("server", "manager", Confirm, "as this registration"),
        ),
    ),
    (
        "A frame, from submit to the commit",
        (
            ("client", "server", Submit, ""),
            ("server", "client", Done, "it is committed"),
            ("server", "manager", Grants, ""),
            ("manager", "worker", Grants, ""),
            ("worker", "manager", Received, ""),
            ("manager", "server", Received, ""),
            ("worker", "manager", Reports, "PartDone, Completed"),
            ("manager", "server", Reports, ""),
            ("server", "manager", Acks, "it is committed"),
            ("manager", "worker", Acks, "the worker forgets"),
        ),
    ),
    (
        "A lease is renewed",
        (
            ("worker", "manager", Renew, ""),
            ("manager", "worker", Renewed, ""),
            ("manager", "server", Renew, ""),
            ("server", "manager", Renewed, ""),
        ),
    ),
    (
        "Files travel with a job",
        (
            ("client", "server", Offer, "hashes of all files"),
            ("server", "client", Lacks, "those that it lacks"),
            ("client", "server", BlobPiece, "16 on their way"),
            ("worker", "manager", BlobWanted, "what a job needs"),
            ("manager", "server", BlobWanted, "once for all workers"),
            ("server", "manager", BlobPiece, ""),
            ("manager", "worker", BlobPiece, ""),
            ("worker", "manager", FilePiece, "a frame comes back"),
            ("manager", "server", FilePiece, ""),
            ("server", "manager", FileAck, "it is on the disk"),
        ),
    ),
)


def write_all(folder: Path) -> None:
    """Write every generated page into *folder*."""
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (folder / f"{name}.rst").write_text(page(), "utf-8")


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
    for title, steps in SEQUENCES:
        text += heading(title, "-") + "::\n\n" + "".join(f"   {line}\n" for line in sequence(steps)) + "\n"
    text += heading("All messages", "-") + table(("type", "what it says", "fields"), rows)
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


def sequence(steps: tuple[tuple[str, str, type[Message], str], ...]) -> Iterator[str]:
    """Yield the lines of a drawing: a column for each role, an arrow for each step."""
    roles = list(dict.fromkeys(role for step in steps for role in step[:2]))
    roles.sort(key=("client", "server", "manager", "worker").index)
    width = 24
    yield "".join(role.ljust(width) for role in roles).rstrip()
    for sender, receiver, kind, note in steps:
        here, there = sorted((roles.index(sender), roles.index(receiver)))
        span = (there - here) * width - 1
        label = f" {kind.__name__} ".center(span - 1, "-")
        arrow = f"{label}>" if roles.index(sender) == here else f"<{label}"
        line = (
            "".join(("|" + " " * (width - 1)) * here) + "|" + arrow + "|" + (" " * (width - 1) + "|") * (len(roles) - 1 - there)
        )
        yield f"{line}  {note}".rstrip()


def commands() -> str:
    text = heading("Commands", "=") + "Each command says this itself, with ``--help``.\n\n"
    for name, command in each_command(brender, "brender"):
        context = click.Context(command, info_name=name)
        text += heading(name, "-") + "::\n\n"
        text += "".join(f"   {line}".rstrip() + "\n" for line in command.get_help(context).splitlines()) + "\n"
    return text


def each_command(group: click.Group, called: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command below *group* that is no group itself, with all the words that call it."""
    nothing = click.Context(group)
    for name in group.list_commands(nothing):
        command = group.get_command(nothing, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from each_command(command, f"{called} {name}")
        elif not command.hidden:
            yield f"{called} {name}", command


def environment() -> str:
    text = heading("Environment variables", "=") + (
        "Each stands for an option. The command line goes before it, and the settings file after it "
        "(:doc:`/reference/settings`).\n\n"
    )
    found: dict[str, dict[str, None]] = {}
    told: dict[str, str] = {}
    for name, command in each_command(brender, "brender"):
        for option in command.params:
            if isinstance(option.envvar, str):
                found.setdefault(option.envvar, {})[name] = None
                told.setdefault(
                    option.envvar, f"``{option.opts[0]}``: {option.help}" if isinstance(option, click.Option) else "``TOKEN``"
                )
    rows: list[tuple[str, ...]] = [
        (f"``{name}``", told[name], ", ".join(f"``{each}``" for each in users) if len(users) < 8 else f"{len(users)} commands")
        for name, users in sorted(found.items())
    ]
    text += table(("variable", "the option that it stands for", "commands"), rows)
    text += heading("Heeded too", "-")
    return text + table(
        ("variable", "what for"),
        [
            ("``NO_COLOR``", "no colors in a terminal"),
            ("``TERM``", "``dumb``: a line for each frame, and nothing that moves"),
            ("``OCIO``", "the OpenColorIO configuration of a job that is submitted, where it is not given by ``--ocio``"),
            ("``KUBECONFIG``", "how ``brender scale --provider kubernetes`` reaches its cluster"),
            ("``JOURNAL_STREAM``", "set by systemd: lines in the journal have their level"),
        ],
    )


def exit_codes() -> str:
    text = heading("Exit codes", "=") + (
        "Of every command. A sentence on standard error says more. The *kind* is the ``code`` of an error in the JSON API, and "
        "the name of the error in Python (:doc:`/reference/python`).\n\n"
    )
    rows: list[tuple[str, ...]] = [("0", "", "It is done. Of ``render`` and ``submit --wait``: every frame is there.")]
    rows += [
        (str(kind.exit_code), f"``{code}``, ``{kind.__name__}``", kind.__doc__ or "")
        for code, kind in sorted(BY_CODE.items(), key=lambda each: each[1].exit_code)
    ]
    rows += [
        ("1", "", "``doctor``: something is not as it should be"),
        ("75", "", "a role that was asked to restart has ended, and what started it is to start it again"),
        ("130", "", "it was interrupted (Ctrl-C)"),
    ]
    return text + table(("code", "kind", "what it means"), rows)


def database() -> str:
    text = heading("The database", "=") + (
        "The farm's record, in SQLite (``farm.db``) or PostgreSQL: one table for each kind of thing. Times are the server's, in "
        "seconds since 1970; durations are in seconds, sizes in bytes. A row's ``change`` is the number of the "
        "commit that last touched it. Only the server writes. Read what you like, "
        "and know that a later version may have other columns; the JSON API (:doc:`http_api`) is what stays.\n\n"
    )
    for name, model in make_tables(SqliteDatabase(None)).by_kind.items():
        rows: list[tuple[str, ...]] = [
            (f"``{field.column_name}``", column_kind(field), column_more(field)) for field in model._meta.sorted_fields
        ]
        text += f".. _table-{name}:\n\n" + heading(name, "-") + inspect_doc(model) + "\n\n" + table(("column", "holds", ""), rows)
    return text


def inspect_doc(model: Any) -> str:
    return " ".join((model.__dict__.get("__doc__") or "").split())


def column_kind(field: Any) -> str:
    if isinstance(field, ForeignKeyField):
        return f"the key of :ref:`{field.rel_model._meta.table_name} <table-{field.rel_model._meta.table_name}>`"
    kind = "JSON" if isinstance(field, JSONField) else field.field_type.lower()
    return f"{kind}, or nothing" if field.null else kind


def column_more(field: Any) -> str:
    return ", ".join(
        word for word, is_so in (("key", field.primary_key), ("indexed", field.index), ("unique", field.unique)) if is_so
    )


def http_api() -> str:
    description = openapi()
    text = heading("HTTP API", "=") + (
        f"Below ``{PREFIX}``. A farm describes it itself at ``{PREFIX}/openapi.json`` (OpenAPI {description['openapi']}), with "
        "the type of each answer. How it is used is in :doc:`/howto/curl`.\n\n"
    )
    rows: list[tuple[str, ...]] = []
    for path, methods in sorted(description["paths"].items()):
        for method, operation in methods.items():
            given = [f"``{each['name']}``" for each in operation.get("parameters", ()) if each["in"] == "query"]
            body = operation.get("requestBody", {}).get("content", {})
            given += [f"a body: {named_schema(each.get('schema', {})) or kind}" for kind, each in body.items()]
            answers = operation["responses"]["200"]["content"]
            answer = ", ".join(named_schema(each.get("schema", {})) or f"``{kind}``" for kind, each in answers.items())
            rows.append((f"``{method.upper()} {path}``", operation.get("summary", ""), ", ".join(given), answer))
    text += table(("request", "what it does", "what it takes", "what it answers"), rows)
    text += heading("Types", "-") + "The fields of what is taken and answered.\n\n"
    schemas = description["components"]["schemas"]
    of_settings = [schema_name(kind) for kind in submitted_types()]
    types: list[tuple[str, ...]] = [
        (f"``{name}``", ", ".join(f"``{field}``" for field in schema["properties"]))
        for name, schema in sorted(schemas.items())
        if schema.get("properties") and name not in of_settings
    ]
    text += table(("type", "fields"), types)
    text += heading("Settings of a submission", "-") + (
        "The ``settings`` of a ``Submission`` have one of these types, as its ``job_type`` says. Others are refused. "
        ":doc:`job_types` says what each means.\n\n"
    )
    for name in of_settings:
        fields = [(f"``{field}``", *said_of_schema(each)) for field, each in schemas[name]["properties"].items()]
        text += heading(name, "~") + table(("setting", "type", "values", "default"), fields)
    return text


def said_of_schema(schema: dict[str, Any]) -> tuple[str, str, str]:
    """Return the type, the values and the default that the *schema* of a setting has, as cells of a table."""
    unit = f" ({schema['x-unit']})" if "x-unit" in schema else ""
    if "enum" in schema:
        values = ", ".join(f"``{each}``" for each in schema["enum"])
    elif "minimum" in schema:
        values = f"{schema['minimum']:,} to {schema['maximum']:,}" if "maximum" in schema else f"{schema['minimum']:,} or more"
    else:
        values = ""
    default = f"``{json.dumps(schema['default'])}``" if "default" in schema else ""
    return schema["type"] + unit, values, default


def named_schema(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", schema.get("items", {}).get("$ref", "")).rpartition("/")[2]
    return f"{'list of ' if 'items' in schema else ''}``{name}``" if name else ""


def first_sentence(kind: type[msgspec.Struct]) -> str:
    documented = kind.__doc__ if "__doc__" in kind.__dict__ else ""
    return (documented or "").strip().split("\n\n")[0] or "—"


PAGES = {
    "statuses": statuses,
    "messages": message_types,
    "rights": rights,
    "job_types": types_of_job,
    "commands": commands,
    "metrics": metrics,
    "environment": environment,
    "exit_codes": exit_codes,
    "database": database,
    "http_api": http_api,
}
