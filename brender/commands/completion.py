"""What the shell completes with what the farm knows: ids and names of jobs, names of workers, projects and users.

The shell waits while it asks, so that no answer, or none in time, completes nothing.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from brender.bus.client import Client
from brender.commands.options import client
from brender.commands.output import line
from brender.model.text import plural
from brender.store.datafolder import DataFolder

#: How long the shell is kept waiting, and the server asked for: less, so that the connection is closed in time.
_WAIT_SECONDS, _ASK_SECONDS = 1.0, 0.7
#: Jobs that are looked at, the newest.
_JOBS_LOOKED_AT = 500
#: Characters of an id that are shown.
_ID_SHOWN = 8
_PLAIN = re.compile(r"[\w.@+-]+")

F = TypeVar("F", bound=Callable[..., Any])
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_Found = Iterable[tuple[str, str]]


def _completion(find: Callable[[Client, str], _Found], chooses: bool = False) -> Complete:
    """Return a completion with what *find* finds for a beginning: values, each with a description. *chooses*: it knows what fits
    the beginning, also where a value does not begin so."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found: list[CompletionItem] = []

        def ask() -> None:
            given: dict[str, Any] = context.params
            try:
                with client(given.get("server"), Path(given.get("data") or DataFolder.default()), _ASK_SECONDS) as connection:
                    for value, text in find(connection, incomplete):
                        if (chooses or value.startswith(incomplete)) and _PLAIN.fullmatch(value):
                            found.append(CompletionItem(value, help=line(text)))
            except Exception:
                return

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(_WAIT_SECONDS)
        return list(found)

    return complete


def _jobs(connection: Client, incomplete: str) -> _Found:
    rows = connection.ask("jobs", limit=_JOBS_LOOKED_AT)
    names = Counter(row["name"] for row in rows)
    for row in rows:
        id, name = row["id"], row["name"]
        text = f"{name}, {row['status']}"
        if incomplete and id.startswith(incomplete):
            yield id[: max(_ID_SHOWN, len(incomplete))], text
        elif name.startswith(incomplete):
            # A name that several have, or with which an id begins, is not understood as this job.
            is_clear = _PLAIN.fullmatch(name) and names[name] == 1 and not any(each["id"].startswith(name) for each in rows)
            yield name if is_clear else id[:_ID_SHOWN], text


def _workers(connection: Client, incomplete: str) -> _Found:
    return [(row["name"], row["status"]) for row in connection.ask("workers")]


def _nodes(connection: Client, incomplete: str) -> _Found:
    return [*_workers(connection, incomplete), *((row["name"], "manager") for row in connection.ask("managers"))]


def _projects(connection: Client, incomplete: str) -> _Found:
    return [(row["name"], plural(row["jobs"], "job")) for row in connection.ask("projects")]


def _users(connection: Client, incomplete: str) -> _Found:
    return [(row["name"], row["role"]) for row in connection.manage("users")]


complete_job = _completion(_jobs, chooses=True)
complete_worker = _completion(_workers)
complete_node = _completion(_nodes)
complete_project = _completion(_projects)
complete_user = _completion(_users)


def job_argument(function: F) -> F:
    """``ID``: a job, by its id, the beginning of that, or its name."""
    return click.argument("id", shell_complete=complete_job)(function)
